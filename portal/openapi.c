/* portal/openapi.c - the tables of route.h and fields.h, as OpenAPI 3.1. */
#include <ctype.h>
#include <stdio.h>

#include "base/version.h"
#include "route.h"
#include "sentence.h"
#include "store/idempotency.h"

/* GET /mailboxes/{mailbox}/rules → "get_mailboxes_mailbox_rules": an id that programs may go by. */
static void put_operation_id(struct buf *b, const struct route *r)
{
    char   id[200];
    size_t n = 0;

    for (const char *m = httpd_method_words[r->method]; *m != '\0' && n < sizeof id - 1; m++)
        id[n++] = (char)tolower((unsigned char)*m);
    for (const char *p = r->path; *p != '\0' && n < sizeof id - 1; p++)
        if (*p != '{' && *p != '}')
            id[n++] = *p == '/' || *p == '-' || *p == '.' ? '_' : *p;
    json_add_text(b, "operationId", span_make(id, n));
}

static void put_type(struct buf *b, const struct field *f)
{
    static const char *const types[] = {[FIELD_TEXT] = "string", [FIELD_BOOL] = "boolean", [FIELD_I64] = "integer",
                                        [FIELD_F64] = "number",  [FIELD_UUID] = "string",  [FIELD_TIME] = "string",
                                        [FIELD_WORD] = "string", [FIELD_TEXTS] = "array",  [FIELD_JSON] = NULL};
    const char              *type = types[f->type];

    json_open(b, "schema", '{');
    if (type != NULL)
        json_add_str(b, "type", type);
    if (f->type == FIELD_UUID || f->type == FIELD_TIME)
        json_add_str(b, "format", f->type == FIELD_UUID ? "uuid" : "date-time");
    if (f->type == FIELD_TEXT) {
        json_add_i64(b, "minLength", f->min > 0);
        json_add_i64(b, "maxLength", f->max);
    }
    if (f->type == FIELD_I64 || f->type == FIELD_F64) {
        json_add_i64(b, "minimum", f->min);
        json_add_i64(b, "maximum", f->max);
    }
    if (f->type == FIELD_WORD) {
        json_open(b, "enum", '[');
        for (const char *const *w = f->words; *w != NULL; w++)
            json_add_str(b, NULL, *w);
        json_close(b, ']');
    }
    if (f->type == FIELD_TEXTS) {
        json_open(b, "items", '{');
        json_add_str(b, "type", "string");
        json_close(b, '}');
        json_add_i64(b, "maxItems", f->max);
    }
    json_close(b, '}');
}

/* The same schema as a property: without the word "schema" around it. */
static void put_property(struct buf *b, const struct field *f)
{
    struct buf  one;
    struct span text;

    buf_init(&one, 64 << 10);
    put_type(&one, f);
    text = buf_span(&one);
    text = span_skip(text, span_chr(text, ':') + 1);
    text.n -= text.n > 0; /* its last brace: the sentence goes in before */
    json_add_json(b, f->name, text);
    json_add_str(b, "description", f->doc);
    json_close(b, '}');
    buf_fini(&one);
}

static void put_parameter(struct buf *b, struct span name, const char *in, bool required, const struct field *f)
{
    json_open(b, NULL, '{');
    json_add_text(b, "name", name);
    json_add_str(b, "in", in);
    json_add_bool(b, "required", required);
    if (f != NULL) {
        json_add_str(b, "description", f->doc);
        put_type(b, f);
    } else {
        json_open(b, "schema", '{');
        json_add_str(b, "type", "string");
        json_close(b, '}');
    }
    json_close(b, '}');
}

static bool takes_version(const struct route *r) { return (r->flags & ROUTE_VERSION) != 0 && r->method != HTTPD_GET; }

static bool is_write(const struct route *r) { return r->method != HTTPD_GET; }

/* Of a call without a caller nothing is kept (replay.h). */
static bool takes_key(const struct route *r)
{
    return is_write(r) && r->deed != DEED_OPEN && (r->flags & ROUTE_NO_REPLAY) == 0;
}

static void put_fields_of_head(struct buf *b, const struct route *r)
{
    static const struct field if_match = {
        .name = "If-Match",
        .type = FIELD_TEXT,
        .min = 1,
        .max = 1000,
        .doc = "The version that is meant, in quotes: the change is made to that one, or not at all (412)."};
    static const struct field key = {
        .name = "Idempotency-Key",
        .type = FIELD_TEXT,
        .min = 1,
        .max = IDEMPOTENCY_KEY_MAX,
        .doc = "Any text of your own: the same request with the same text is done once, and answered again for a day."};

    if (takes_version(r))
        put_parameter(b, span_of(if_match.name), "header", false, &if_match);
    if (takes_key(r))
        put_parameter(b, span_of(key.name), "header", false, &key);
}

static void put_parameters(struct buf *b, const struct route *r)
{
    struct span rest = span_of(r->path), segment;

    json_open(b, "parameters", '[');
    while (span_next(&rest, '/', &segment))
        if (segment.n > 2 && segment.p[0] == '{')
            put_parameter(b, span_make(segment.p + 1, segment.n - 2), "path", true, NULL);
    for (const struct field *f = r->query; f != NULL && f->name != NULL; f++)
        put_parameter(b, span_of(f->name), "query", (f->flags & FIELD_REQUIRED) != 0, f);
    put_fields_of_head(b, r);
    json_close(b, ']');
}

static void put_body_as(struct buf *b, const struct route *r, const char *type)
{
    json_open(b, type, '{');
    json_open(b, "schema", '{');
    if (r->body != NULL) {
        json_add_str(b, "type", "object");
        json_add_bool(b, "additionalProperties", false);
        json_open(b, "properties", '{');
        for (const struct field *f = r->body; f->name != NULL; f++)
            put_property(b, f);
        json_close(b, '}');
        json_open(b, "required", '[');
        for (const struct field *f = r->body; f->name != NULL; f++)
            if ((f->flags & FIELD_REQUIRED) != 0)
                json_add_str(b, NULL, f->name);
        json_close(b, ']');
    }
    json_close(b, '}');
    json_close(b, '}');
}

static void put_body(struct buf *b, const struct route *r)
{
    if (r->body == NULL && (r->flags & ROUTE_RAW) == 0)
        return;
    json_open(b, "requestBody", '{');
    json_open(b, "content", '{');
    put_body_as(b, r, (r->flags & ROUTE_RAW) != 0 ? "application/octet-stream" : "application/json");
    if ((r->flags & ROUTE_FORM) != 0)
        put_body_as(b, r, "application/x-www-form-urlencoded");
    json_close(b, '}');
    json_close(b, '}');
}

static void put_ref(struct buf *b, const char *key, const char *name)
{
    char ref[120];

    snprintf(ref, sizeof ref, "#/components/schemas/%s", name);
    json_open(b, key, '{');
    json_add_str(b, "$ref", ref);
    json_close(b, '}');
}

static bool is_media_type(const char *reply) { return strchr(reply, '/') != NULL; }

static void put_reply_schema(struct buf *b, const char *reply)
{
    if (is_media_type(reply)) {
        json_add_json(b, "schema", strncmp(reply, "text/", 5) == 0 ? SPAN("{\"type\":\"string\"}") : SPAN("{}"));
        return;
    }
    if (strncmp(reply, "list:", 5) != 0) {
        put_ref(b, "schema", reply);
        return;
    }
    json_open(b, "schema", '{');
    json_add_str(b, "type", "object");
    json_open(b, "properties", '{');
    json_open(b, "items", '{');
    json_add_str(b, "type", "array");
    put_ref(b, "items", reply + 5);
    json_close(b, '}');
    json_open(b, "next", '{');
    json_add_json(b, "type", SPAN("[\"string\",\"null\"]"));
    json_close(b, '}');
    json_close(b, '}');
    json_close(b, '}');
}

static void put_problem(struct buf *b, const char *status, const char *description)
{
    json_open(b, status, '{');
    json_add_str(b, "description", description);
    json_open(b, "content", '{');
    json_open(b, "application/problem+json", '{');
    put_ref(b, "schema", "Problem");
    json_close(b, '}');
    json_close(b, '}');
    json_close(b, '}');
}

static const char *status_of(const struct route *r)
{
    return (r->flags & ROUTE_MAKES) != 0    ? "201"
           : (r->flags & ROUTE_BEGINS) != 0 ? "202"
           : (r->flags & ROUTE_LEADS) != 0  ? "303"
           : r->reply != NULL               ? "200"
                                            : "204";
}

static void put_responses(struct buf *b, const struct route *r)
{
    json_open(b, "responses", '{');
    json_open(b, status_of(r), '{');
    json_add_str(b, "description", "Done.");
    if ((r->flags & ROUTE_VERSION) != 0 && r->method == HTTPD_GET)
        json_add_json(b, "headers",
                      SPAN("{\"ETag\":{\"description\":\"The version, in quotes: for "
                           "If-Match.\",\"schema\":{\"type\":\"string\"}}}"));
    if (r->reply != NULL) {
        json_open(b, "content", '{');
        json_open(b, is_media_type(r->reply) ? r->reply : "application/json", '{');
        put_reply_schema(b, r->reply);
        json_close(b, '}');
        json_close(b, '}');
    }
    json_close(b, '}');
    if (takes_version(r))
        put_problem(b, "412",
                    "What If-Match names is not there any more: it was changed meanwhile, and nothing was done.");
    put_problem(b, "default", "A problem (RFC 9457), with a sentence for a person in detail.");
    json_close(b, '}');
}

static const char *const object_names[OBJECTS] = {"none",     "global", "scope",  "domain",  "mailbox", "account",
                                                  "delivery", "rule",   "policy", "learned", "sender"};

/* A browser's session and its token; or a program's key. */
static void put_security(struct buf *b, const struct route *r, const struct deed_row *deed)
{
    json_open(b, "security", '[');
    if (r->deed != DEED_OPEN)
        json_add_json(b, NULL, is_write(r) ? SPAN("{\"session\":[],\"csrf\":[]}") : SPAN("{\"session\":[]}"));
    if (deed->key_scope != NULL) {
        json_open(b, NULL, '{');
        json_open(b, "key", '[');
        json_add_str(b, NULL, deed->key_scope);
        json_close(b, ']');
        json_close(b, '}');
    }
    json_close(b, ']');
}

static void put_operation(struct buf *b, const struct route *r, const char *tag)
{
    char                   method[16];
    size_t                 n = 0;
    const struct deed_row *deed = &deed_rows[r->deed];

    for (const char *m = httpd_method_words[r->method]; *m != '\0'; m++)
        method[n++] = (char)tolower((unsigned char)*m);
    method[n] = '\0';
    json_open(b, method, '{');
    put_operation_id(b, r);
    json_add_str(b, "summary", r->summary);
    json_open(b, "tags", '[');
    json_add_str(b, NULL, tag);
    json_close(b, ']');
    /* Who may: for readers, and for the test that walks every operation as everybody. */
    json_add_str(b, "x-deed", deed->word);
    json_add_str(b, "x-object", object_names[r->object]);
    json_add_str(b, "x-least", standing_words[deed->least]);
    json_add_bool(b, "x-clerk", deed->clerk);
    json_add_bool(b, "x-staff", deed->staff);
    put_security(b, r, deed);
    put_parameters(b, r);
    put_body(b, r);
    put_responses(b, r);
    json_close(b, '}');
}

/* Rows of one path stand together wherever they are in the tables. */
static bool first_of_path(const struct route *row)
{
    for (const struct route_family *const *f = route_families; *f != NULL; f++)
        for (const struct route *r = (*f)->rows; r < (*f)->rows + (*f)->n; r++)
            if (strcmp(r->path, row->path) == 0)
                return r == row;
    return true;
}

static void put_path(struct buf *b, const char *path)
{
    json_open(b, path, '{');
    for (const struct route_family *const *f = route_families; *f != NULL; f++)
        for (const struct route *r = (*f)->rows; r < (*f)->rows + (*f)->n; r++)
            if (strcmp(r->path, path) == 0)
                put_operation(b, r, (*f)->name);
    json_close(b, '}');
}

static void put_components(struct buf *b, const char *session)
{
    json_open(b, "components", '{');
    json_key(b, "securitySchemes");
    buf_printf(b,
               "{\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"%s\"},"
               "\"csrf\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-CSRF-Token\",\"description\":\"As GET "
               "/session says it: whatever changes something with a session's cookie needs it.\"},"
               "\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}",
               session);
    json_open(b, "schemas", '{');
    json_add_json(
        b, "Problem",
        SPAN("{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
             "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},"
             "\"member\":{\"type\":\"string\"},\"at\":{\"type\":\"integer\"},\"detail_said\":{\"$ref\":\"#/components/"
             "schemas/Said\"}}}"));
    sentence_schema(b);
    for (const struct route_family *const *f = route_families; *f != NULL; f++)
        if ((*f)->schemas != NULL)
            buf_printf(b, ",%s", (*f)->schemas);
    json_close(b, '}');
    json_close(b, '}');
}

void openapi_put(struct buf *b, const char *title, const char *session)
{
    json_open(b, NULL, '{');
    json_add_str(b, "openapi", "3.1.0");
    json_open(b, "info", '{');
    json_add_str(b, "title", title);
    json_add_str(b, "version", POSTERN_VERSION);
    json_add_str(b, "description", "Everything that the pages do, a program can do by the same calls.");
    json_close(b, '}');
    json_open(b, "servers", '[');
    json_open(b, NULL, '{');
    json_add_str(b, "url", "/api/v1");
    json_close(b, '}');
    json_close(b, ']');
    json_open(b, "paths", '{');
    for (const struct route_family *const *f = route_families; *f != NULL; f++)
        for (const struct route *r = (*f)->rows; r < (*f)->rows + (*f)->n; r++)
            if (first_of_path(r))
                put_path(b, r->path);
    json_close(b, '}');
    put_components(b, session);
    json_close(b, '}');
}
