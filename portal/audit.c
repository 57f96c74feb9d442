/* portal/audit.c - the log of who did what: all of it for the operator, a domain's for its owners, what concerns them for people,
 * and who else looked at their mail. */
#include "store/audit.h"

#include "csv.h"
#include "lasting.h"
#include "route.h"
#include "store/audit_name.h"
#include "store/search.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 200
#define EXPORT_MAX 10000 /* rows of one table */
#define ROW_MAX ((size_t)32 << 20)
#define CURSOR_BYTES 32 /* time, number, node */

/* ---- cursors ---- */

static void put_be(char *out, int64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)((uint64_t)v >> (56 - 8 * i) & 0xff);
}

static int64_t get_be(const char *in)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | (unsigned char)in[i];
    return (int64_t)v;
}

static struct span cursor_behind(struct call *c, const struct store_audit_query *q)
{
    char bytes[CURSOR_BYTES];

    put_be(bytes, q->before_us);
    put_be(bytes + 8, q->before_seq);
    memcpy(bytes + 16, q->before_node.b, 16);
    return cursor_make(c->arena, span_make(bytes, sizeof bytes));
}

static int read_cursor(struct call *c, struct span text, struct store_audit_query *q, struct err *e)
{
    struct span bytes;

    if (cursor_read(c->arena, text, &bytes, e) < 0)
        return -1;
    if (bytes.n != CURSOR_BYTES || get_be(bytes.p) <= 0)
        return err_set(e, ERR_INVALID, "The cursor is none that this list has given.");
    q->before_us = get_be(bytes.p);
    q->before_seq = get_be(bytes.p + 8);
    memcpy(q->before_node.b, bytes.p + 16, 16);
    return 0;
}

static void remember(struct store_audit_query *q, const struct store_audit_row *r)
{
    q->before_us = r->at_us;
    q->before_seq = r->seq;
    q->before_node = r->node;
}

/* ---- what is asked ---- */

struct ask {
    uint64_t    given;
    struct span actor, action, after;
    int64_t     since, until, limit;
};
#define FILTERS                                                                                                        \
    {"actor", FIELD_TEXT, 0, 0, 320, NULL, offsetof(struct ask, actor), "Part of the name of who did it."},            \
        {"action", FIELD_TEXT, 0, 0, 60, NULL, offsetof(struct ask, action), "rule.add, or rule for all of them."},    \
        {"since", FIELD_TIME, 0, 0, 0, NULL, offsetof(struct ask, since), "From then on."},                            \
    {                                                                                                                  \
        "until", FIELD_TIME, 0, 0, 0, NULL, offsetof(struct ask, until), "Before then."                                \
    }
static const struct field list_fields[] = {
    FILTERS,
    {"after", FIELD_TEXT, 0, 0, 100, NULL, offsetof(struct ask, after), "The `next` of the page before."},
    {"limit", FIELD_I64, 0, 1, PAGE_MAX, NULL, offsetof(struct ask, limit), "How many rows at most; 50 unless said."},
    FIELDS_END,
};
static const struct field export_fields[] = {FILTERS, FIELDS_END};

static struct span lower(struct arena *a, struct span text)
{
    char *out = arena_alloc(a, text.n + 1);

    for (size_t i = 0; out != NULL && i < text.n; i++)
        out[i] = text.p[i] >= 'A' && text.p[i] <= 'Z' ? (char)(text.p[i] - 'A' + 'a') : text.p[i];
    return out != NULL ? span_make(out, text.n) : text;
}

static struct store_audit_query query_of(struct call *c, enum audit_where where)
{
    const struct ask *in = c->query;

    return (struct store_audit_query){
        .where = where,
        .scope = c->scope,
        .of = c->who.account.id,
        .actor = lower(c->arena, span_trim(in->actor)),
        .action = span_trim(in->action),
        .since_us = in->since,
        .until_us = in->until,
    };
}

/* ---- a list ---- */

static struct span doer(const struct store_audit_row *r)
{
    return call_doer(r->actor_kind == ACTOR_SYSTEM, r->actor_name);
}

/* A message is called what the log calls it, as long as it is there. */
static void name_message(struct store *s, const struct store_audit_row *r, struct arena *a, struct span *out)
{
    struct store_message m;

    if (r->has_object && span_is(r->object_kind, "message") && store_message_read(s, &r->object, a, &m, NULL) == 0)
        *out = m.subject;
}

static void put_row(struct call *c, struct buf *b, const struct store_audit_row *r)
{
    static const char *const kinds[] = {"system", "operator", "account", "api_key"};
    struct store_audit_names names;

    store_audit_names(r->payload, c->arena, &names);
    name_message(c->store, r, c->arena, &names.object);

    json_open(b, NULL, '{');
    json_add_time(b, "at", r->at_us);
    json_add_uuid(b, "node", &r->node);
    json_add_i64(b, "number", r->seq);
    json_add_str(b, "actor_kind", kinds[r->actor_kind]);
    json_add_text(b, "actor", doer(r));
    json_add_text(b, "acting_for", r->acting_for.n > 0 ? r->acting_for : SPAN_NONE);
    json_add_text(b, "source", r->source);
    json_add_text(b, "action", r->action);
    json_add_text(b, "object_kind", r->object_kind);
    json_add_uuid(b, "object", r->has_object ? &r->object : NULL);
    json_add_text(b, "object_name", names.object.n > 0 ? names.object : SPAN_NONE);
    json_add_str(b, "scope", scope_kind_words[r->scope.kind]);
    json_add_uuid(b, "scope_id", r->scope.kind != SCOPE_GLOBAL ? &r->scope.id : NULL);
    json_add_text(b, "scope_name", names.scope.n > 0 ? names.scope : SPAN_NONE);
    json_add_json(b, "what", names.what);
    json_close(b, '}');
}

struct page {
    struct call             *c;
    struct buf              *b;
    struct arena             row; /* of an export */
    struct store_audit_query next;
    size_t                   n, limit;
    bool                     more;
};

static int each_listed(void *ctx, const struct store_audit_row *r)
{
    struct page *p = ctx;

    if (p->n == p->limit) {
        p->more = true;
        return 1;
    }
    put_row(p->c, p->b, r);
    remember(&p->next, r);
    p->n++;
    return p->b->failed;
}

static int list(struct call *c, enum audit_where where, struct err *e)
{
    const struct ask        *in = c->query;
    struct store_audit_query q = query_of(c, where);
    struct page              p = {.c = c, .limit = in->limit > 0 ? (size_t)in->limit : PAGE_DEFAULT};

    if (in->after.n > 0 && read_cursor(c, in->after, &q, e) < 0)
        return -1;
    q.limit = p.limit + 1;
    p.b = call_list_begin(c);
    if (store_audit_find(c->store, &q, each_listed, &p, e) < 0)
        return -1;
    call_list_end(c, p.more ? cursor_behind(c, &p.next) : SPAN_NONE);
    return 0;
}

static int list_all(struct call *c, struct err *e) { return list(c, AUDIT_ALL, e); }
static int list_scope(struct call *c, struct err *e) { return list(c, AUDIT_SCOPE, e); }
static int list_mine(struct call *c, struct err *e) { return list(c, AUDIT_PERSON, e); }
static int list_looked(struct call *c, struct err *e) { return list(c, AUDIT_LOOKED, e); }

/* ---- as a table ---- */

static int each_exported(void *ctx, const struct store_audit_row *r)
{
    struct page             *p = ctx;
    char                     object[UUID_TEXT + 1] = "";
    struct store_audit_names names;

    arena_reset(&p->row);
    store_audit_names(r->payload, &p->row, &names);
    if (r->has_object)
        uuid_format(&r->object, object);
    csv_time(p->b, r->at_us);
    csv_cell(p->b, doer(r));
    csv_cell(p->b, r->acting_for);
    csv_cell(p->b, r->source);
    csv_cell(p->b, r->action);
    csv_cell(p->b, r->object_kind);
    csv_cell(p->b, span_of(object));
    csv_cell(p->b, names.object);
    csv_cell(p->b, span_of(scope_kind_words[r->scope.kind]));
    csv_cell(p->b, names.scope);
    csv_cell(p->b, names.what);
    csv_row_end(p->b);
    remember(&p->next, r);
    p->n++;
    return p->b->failed;
}

static int export(struct call *c, enum audit_where where, struct err *e)
{
    static const char *const heads[] = {"time",   "who",         "on behalf of", "from",       "action", "object kind",
                                        "object", "object name", "scope",        "scope name", "what"};
    struct page              p = {.b = &c->reply->body, .next = query_of(c, where)};
    size_t                   before;
    int                      rc;

    call_reply_bytes(c, "text/csv; charset=utf-8", SPAN(""), "log.csv");
    c->reply->compress = true;
    for (size_t i = 0; i < COUNT(heads); i++)
        csv_cell(p.b, span_of(heads[i]));
    csv_row_end(p.b);
    arena_init(&p.row, ROW_MAX);
    do {
        struct store_audit_query q = p.next;

        before = p.n;
        rc = store_audit_find(c->store, &q, each_exported, &p, e);
    } while (rc == 0 && p.n - before == STORE_LIST_MAX && p.n < EXPORT_MAX && !p.b->failed);
    arena_fini(&p.row);
    if (rc == 0)
        lasting_body(c);
    return rc;
}

static int export_scope(struct call *c, struct err *e) { return export(c, AUDIT_SCOPE, e); }
static int export_mine(struct call *c, struct err *e) { return export(c, AUDIT_PERSON, e); }

#define LIST(path, deed, object, run, summary)                                                                         \
    {                                                                                                                  \
        HTTPD_GET, path, deed, object, 0, run, list_fields, NULL, sizeof(struct ask), 0, summary, "list:AuditRow"      \
    }
static const struct route rows[] = {
    LIST("/audit", DEED_OPERATE, OBJECT_GLOBAL, list_all, "Who did what in the whole installation, newest first."),
    LIST("/scopes/{scope}/audit", DEED_SEE_AUDIT, OBJECT_SCOPE, list_scope,
         "Who did what about a mailbox, or a domain with its mailboxes."),
    LIST("/me/audit", DEED_SELF, OBJECT_NONE, list_mine, "What concerns the person who asks."),
    LIST("/me/looked-at", DEED_SELF, OBJECT_NONE, list_looked, "Who else opened the mail of who asks, or let it go."),
    {HTTPD_GET, "/scopes/{scope}/audit.csv", DEED_EXPORT_AUDIT, OBJECT_SCOPE, 0, export_scope, export_fields, NULL,
     sizeof(struct ask), 0, "The same as a table, the newest 10,000 rows.", "text/csv"},
    {HTTPD_GET, "/me/audit.csv", DEED_EXPORT_SELF, OBJECT_NONE, 0, export_mine, export_fields, NULL, sizeof(struct ask),
     0, "What concerns the person who asks, as a table.", "text/csv"},
};

const struct route_family audit_family = {
    "Audit", rows, COUNT(rows),
    "\"AuditRow\":{\"type\":\"object\",\"properties\":{\"at\":{\"type\":\"string\"},\"node\":{\"type\":\"string\"},"
    "\"number\":{\"type\":\"integer\"},\"actor_kind\":{\"type\":\"string\"},\"actor\":{\"type\":\"string\"},"
    "\"acting_for\":{\"type\":[\"string\",\"null\"]},\"source\":{\"type\":\"string\"},\"action\":{\"type\":\"string\"},"
    "\"object_kind\":{\"type\":\"string\"},\"object\":{\"type\":[\"string\",\"null\"]},"
    "\"object_name\":{\"type\":[\"string\",\"null\"],\"description\":\"What it was called then.\"},"
    "\"scope\":{\"type\":\"string\"},\"scope_name\":{\"type\":[\"string\",\"null\"]},"
    "\"scope_id\":{\"type\":[\"string\",\"null\"]},\"what\":{\"type\":[\"object\",\"null\"]}}}"};
