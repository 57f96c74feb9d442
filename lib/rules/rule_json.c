/* lib/rules/rule_json.c - see rule.h: reading and writing rules as JSON.
 *
 * Two tables say what there may be: the keys of a rule, and the keys of a condition with the kinds that know them. A value is
 * read where its key stands; what depends on other keys (the entries on the kind, say) is settled when the object has ended. */
#include "base/json_read.h"
#include "base/utf8.h"
#include "rules/entry.h"
#include "rules/rule.h"

/* Lives for one call. The JSON is a copy in the arena of the rule, so texts can point into it. */
struct reader {
    struct json_read json;
    struct arena    *arena;
    size_t           nentries;
    struct entry    *any;       /* of the condition that is being read */
    size_t           condition; /* its index */
    bool             placed;    /* the error says already where it is */
    bool             line;
    struct span      scope, policy; /* of a line */
};

static int no_memory(struct err *e) { return err_set(e, ERR_LIMIT, "no memory left for a rule"); }

static int reader_init(struct reader *r, struct span json, struct arena *a, struct err *e)
{
    *r = (struct reader){.arena = a};
    if (json.n > RULE_JSON_MAX)
        return err_set(e, ERR_LIMIT, "a rule of %zu bytes, at most %d", json.n, RULE_JSON_MAX);
    r->json = (struct json_read){.in = arena_dup(a, json), .arena = a};
    return r->json.in.p == NULL ? no_memory(e) : 0;
}

/* ---- Values of one type ------------------------------------------------------------------------------------ */

static int read_type(struct reader *r, enum json_type type, const char *key, struct json_value *v, struct err *e)
{
    if (json_value(&r->json, v, e) < 0)
        return -1;
    if (v->type != type)
        return err_at(e, v->at, "\"%s\" takes %s, not %s", key, json_type_word(type), json_type_word(v->type));
    return 0;
}

static int read_bool(struct reader *r, const char *key, bool *out, struct err *e)
{
    struct json_value v;

    if (read_type(r, JSON_BOOL, key, &v, e) < 0)
        return -1;
    *out = v.yes;
    return 0;
}

static int read_text(struct reader *r, const char *key, size_t max, bool lines, struct span *out, struct err *e)
{
    struct json_value v;

    if (read_type(r, JSON_STRING, key, &v, e) < 0)
        return -1;
    if (v.text.n > max)
        return err_at(e, v.at, "\"%s\" of %zu bytes, at most %zu", key, v.text.n, max);
    for (size_t i = 0; i < v.text.n; i++) {
        if ((uint8_t)v.text.p[i] < 0x20 && !lines)
            return err_at(e, v.at, "\"%s\" holds a control character - it is one line", key);
    }
    *out = v.text;
    return 0;
}

/* The index of the word. */
static int read_word(struct reader *r, const char *key, const char *const *words, size_t *out, struct err *e)
{
    struct json_value v;

    if (read_type(r, JSON_STRING, key, &v, e) < 0)
        return -1;
    for (size_t i = 0; words[i] != NULL; i++) {
        if (span_is(v.text, words[i])) {
            *out = i;
            return 0;
        }
    }
    return err_at(e, v.at, "\"%s\" cannot be \"%.*s\"; the nearest that it can be is \"%s\"", key,
                  SPAN_ARG(span_head(v.text, 64)), word_nearest(v.text, words));
}

static int read_whole(struct reader *r, const char *key, int64_t min, int64_t max, int64_t *out, struct err *e)
{
    struct json_value v;

    if (read_type(r, JSON_NUMBER, key, &v, e) < 0)
        return -1;
    if (!json_i64(&v, out) || *out < min || *out > max)
        return err_at(e, v.at, "\"%s\" takes a whole number from %lld to %lld, not %.*s", key, (long long)min,
                      (long long)max, SPAN_ARG(span_head(v.text, 32)));
    return 0;
}

/* Which of the keys `key` is; each once. `name_at(i)` is NULL behind the last. */
static int find_key(const struct json_value *key, const char *(*name_at)(size_t), const char *what, uint32_t *seen,
                    size_t *out, struct err *e)
{
    const char *names[32];
    size_t      n = 0;

    for (; (names[n] = name_at(n)) != NULL; n++) {
        if (!span_is(key->text, names[n]))
            continue;
        if (*seen & UINT32_C(1) << n)
            return err_at(e, key->at, "\"%s\" stands twice in %s", names[n], what);
        *seen |= UINT32_C(1) << n;
        *out = n;
        return 0;
    }
    return err_at(e, key->at, "\"%.*s\" is no key of %s; the nearest is \"%s\"", SPAN_ARG(span_head(key->text, 64)),
                  what, word_nearest(key->text, names));
}

/* ---- Attachment entries ------------------------------------------------------------------------------------ */

static const char *const attachment_keys[] = {"extension", "mime_type", "filename", "present", NULL};

static const char *attachment_key(size_t i) { return attachment_keys[i]; }

/* Behind the "{" of an entry. */
static int read_attachment(struct reader *r, struct entry *out, struct err *e)
{
    struct attachment_entry *t = &out->attachment;
    struct span             *texts[] = {&t->extension, &t->mime_type, &t->filename};
    struct json_value        key;
    uint32_t                 seen = 0;
    struct buf               b;
    size_t                   k;
    int                      rc;

    out->kind = ENTRY_ATTACHMENT;
    buf_init(&b, 3 * (6 * RULE_ENTRY_MAX + 20) + 20);
    buf_putc(&b, '{');
    while ((rc = json_member(&r->json, &key, e)) > 0) {
        struct span written;

        rc = -1;
        if (find_key(&key, attachment_key, "an attachment entry", &seen, &k, e) < 0)
            break;
        buf_printf(&b, "%s\"%s\":", b.n > 1 ? "," : "", attachment_keys[k]);
        if (k == COUNT(texts)) {
            if (read_bool(r, attachment_keys[k], &t->present, e) < 0)
                break;
            t->has_present = true;
            buf_puts(&b, t->present ? "true" : "false");
            continue;
        }
        if (read_text(r, attachment_keys[k], RULE_ENTRY_MAX, false, &written, e) < 0)
            break;
        if (entry_attachment_value(written, k == 0, r->arena, texts[k], e) < 0) {
            err_wrap(e, "%s, character %zu", attachment_keys[k], e != NULL ? e->at + 1 : 0);
            break;
        }
        json_put_string(&b, written);
    }
    if (rc == 0 && seen == 0)
        rc = err_at(e, r->json.at, "an empty object - say \"extension\", \"mime_type\", \"filename\" or \"present\"");
    if (rc == 0 && t->has_present && !t->present && (seen & 7) != 0)
        rc = err_at(e, r->json.at,
                    "\"present\": false says that there is no attachment, so nothing else can hold of it");
    buf_putc(&b, '}');
    if (rc == 0 && (out->written = arena_dup(r->arena, buf_span(&b))).p == NULL)
        rc = no_memory(e);
    buf_fini(&b);
    return rc;
}

/* ---- Conditions -------------------------------------------------------------------------------------------- */

/* Room for one more in an array of the arena; NULL when that is full. */
static void *grow(struct arena *a, void *old, size_t n, size_t *cap, size_t size)
{
    void *p = old;

    if (n < *cap)
        return old;
    *cap = *cap > 0 ? *cap * 2 : 1;
    p = arena_array(a, *cap, size);
    if (p != NULL && n > 0)
        memcpy(p, old, n * size);
    return p;
}

/* Puts the place of an entry in front of an error. */
static int at_entry(struct reader *r, size_t entry, struct err *e)
{
    r->placed = true;
    return err_wrap(e, "conditions[%zu].any[%zu]", r->condition, entry);
}

static int read_any(struct reader *r, struct condition *c, struct err *e)
{
    struct json_value v;
    struct entry     *list = NULL;
    size_t            cap = 0;
    int               rc;

    r->any = NULL;
    if (read_type(r, JSON_ARRAY, "any", &v, e) < 0)
        return -1;
    for (c->nany = 0; (rc = json_item(&r->json, e)) > 0; c->nany++) {
        if (++r->nentries > RULE_ENTRIES_MAX)
            return err_set(e, ERR_LIMIT, "more than %d entries in one rule", RULE_ENTRIES_MAX);
        if ((list = grow(r->arena, list, c->nany, &cap, sizeof *list)) == NULL)
            return no_memory(e);
        if (json_value(&r->json, &v, e) < 0)
            return -1;
        if (v.type == JSON_STRING)
            list[c->nany] = (struct entry){.kind = ENTRY_TEXT, .written = v.text};
        else if (v.type == JSON_OBJECT && read_attachment(r, &list[c->nany], e) < 0)
            return at_entry(r, c->nany, e);
        else if (v.type != JSON_OBJECT) {
            err_at(e, v.at, "an entry is a text, not %s", json_type_word(v.type));
            return at_entry(r, c->nany, e);
        }
    }
    c->any = r->any = list;
    return rc;
}

static int read_kind(struct reader *r, struct condition *c, struct err *e)
{
    size_t k = COND_KINDS;

    if (read_word(r, "kind", condition_kind_words, &k, e) < 0)
        return -1;
    c->kind = (enum condition_kind)k;
    return 0;
}

static int read_source(struct reader *r, struct condition *c, struct err *e)
{
    static const char *const words[] = {"from", "envelope", "any", NULL};
    size_t                   k = 0;

    if (read_word(r, "source", words, &k, e) < 0)
        return -1;
    c->source = (enum rule_source)(k + 1);
    return 0;
}

static int read_match(struct reader *r, struct condition *c, struct err *e)
{
    size_t k = 0;

    if (read_word(r, "match", rule_match_words, &k, e) < 0)
        return -1;
    c->match = (enum rule_match)k;
    return 0;
}

/* A field name of RFC 5322: printable ASCII but the colon. */
static int read_header_name(struct reader *r, struct condition *c, struct err *e)
{
    char *p;

    if (read_text(r, "name", 200, false, &c->header, e) < 0)
        return -1;
    for (size_t i = 0; i < c->header.n; i++) {
        if (c->header.p[i] <= ' ' || c->header.p[i] > '~' || c->header.p[i] == ':')
            return err_at(e, r->json.at,
                          "\"name\", character %zu: this cannot be in the name of a header - write it without "
                          "colon and blanks",
                          i + 1);
    }
    if (c->header.n == 0)
        return err_at(e, r->json.at, "\"name\" is empty - write the name of a header, \"List-Id\"");
    if ((p = arena_str(r->arena, c->header)) == NULL)
        return no_memory(e);
    for (size_t i = 0; i < c->header.n; i++)
        p[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] | 0x20) : p[i];
    c->header_written = c->header;
    c->header.p = p;
    return 0;
}

static int read_case(struct reader *r, struct condition *c, struct err *e)
{
    return read_bool(r, "case_sensitive", &c->case_sensitive, e);
}

static int read_not(struct reader *r, struct condition *c, struct err *e)
{
    return read_bool(r, "not", &c->negated, e);
}

static int read_size(struct reader *r, const char *key, uint64_t *out, struct err *e)
{
    int64_t n = 0;

    if (read_whole(r, key, 0, INT64_MAX, &n, e) < 0)
        return -1;
    *out = (uint64_t)n;
    return 0;
}

static int read_min(struct reader *r, struct condition *c, struct err *e)
{
    return read_size(r, "min", &c->size_min, e);
}
static int read_max(struct reader *r, struct condition *c, struct err *e)
{
    return read_size(r, "max", &c->size_max, e);
}

#define OF(kind) (1u << (kind))
#define TEXTS (OF(COND_SUBJECT) | OF(COND_BODY) | OF(COND_HEADER))
#define EVERY (OF(COND_KINDS) - 1)

static const struct {
    const char *name;
    unsigned    kinds; /* that know this key */
    unsigned    must;  /* that cannot do without */
    int (*read)(struct reader *r, struct condition *c, struct err *e);
} condition_keys[] = {
    {"kind", EVERY, EVERY, read_kind},
    {"any", EVERY & ~OF(COND_SIZE), EVERY & ~OF(COND_SIZE), read_any},
    {"source", OF(COND_SENDER), 0, read_source},
    {"match", TEXTS, 0, read_match},
    {"case_sensitive", TEXTS, 0, read_case},
    {"name", OF(COND_HEADER), OF(COND_HEADER), read_header_name},
    {"min", OF(COND_SIZE), 0, read_min},
    {"max", OF(COND_SIZE), 0, read_max},
    {"not", EVERY, 0, read_not},
};

static const char *condition_key(size_t i) { return i < COUNT(condition_keys) ? condition_keys[i].name : NULL; }

/* Do the keys that were there fit the kind? */
static int check_keys(const struct condition *c, uint32_t seen, size_t at, struct err *e)
{
    if (!(seen & 1))
        return err_at(e, at, "\"kind\" is missing");
    for (size_t i = 0; i < COUNT(condition_keys); i++) {
        bool there = seen & UINT32_C(1) << i;

        if (there && !(condition_keys[i].kinds & OF(c->kind)))
            return err_at(e, at, "\"%s\" does not belong to a %s condition", condition_keys[i].name,
                          condition_kind_word(c->kind));
        if (!there && (condition_keys[i].must & OF(c->kind)))
            return err_at(e, at, "\"%s\" is missing", condition_keys[i].name);
    }
    if (c->kind == COND_SIZE && c->size_min == 0 && c->size_max == UINT64_MAX)
        return err_at(e, at, "every size is meant - say \"min\" or \"max\"");
    if (c->kind == COND_SIZE && c->size_min > c->size_max)
        return err_at(e, at, "\"min\" is larger than \"max\", so no size is meant");
    if (c->kind != COND_SIZE && c->nany == 0)
        return err_at(e, at, "\"any\" is empty, so nothing is meant");
    return 0;
}

/* Says which entry, and which character of it. */
static int in_entry(struct reader *r, const struct entry *t, size_t entry, struct err *e)
{
    struct span in = r->json.in;
    size_t      inside = e != NULL ? e->at : 0, at = 0, characters = 1;

    if (e == NULL || e->code != ERR_INVALID)
        return at_entry(r, entry, e);
    for (; at < inside && at < t->written.n; characters++)
        utf8_next(t->written, &at, NULL);
    r->placed = true;
    if (t->written.p >= in.p && t->written.p < in.p + in.n)
        e->at += (size_t)(t->written.p - in.p);
    return err_wrap(e, "conditions[%zu].any[%zu], character %zu", r->condition, entry, characters);
}

static int settle_entries(struct reader *r, const struct condition *c, struct err *e)
{
    struct entry *list = r->any;

    for (size_t i = 0; i < c->nany; i++) {
        bool object = list[i].kind == ENTRY_ATTACHMENT;

        if (object != (c->kind == COND_ATTACHMENT)) {
            err_at(e, r->json.at, "an entry of a %s condition is %s", condition_kind_word(c->kind),
                   object ? "a text" : "an object, as {\"extension\": \"pdf\"}");
            return at_entry(r, i, e);
        }
        if (!object && entry_parse(c, list[i].written, r->arena, &list[i], e) < 0)
            return in_entry(r, &list[i], i, e);
    }
    return 0;
}

static int read_condition(struct reader *r, struct condition *c, struct err *e)
{
    struct json_value v;
    uint32_t          seen = 0;
    size_t            k = 0;
    int               rc;

    *c = (struct condition){.match = MATCH_CONTAINS, .source = SOURCE_FROM, .size_max = UINT64_MAX};
    if (json_value(&r->json, &v, e) < 0)
        return -1;
    if (v.type != JSON_OBJECT)
        return err_at(e, v.at, "a condition is an object, not %s", json_type_word(v.type));
    while ((rc = json_member(&r->json, &v, e)) > 0) {
        if (find_key(&v, condition_key, "a condition", &seen, &k, e) < 0 || condition_keys[k].read(r, c, e) < 0)
            return -1;
    }
    if (rc < 0 || check_keys(c, seen, r->json.at, e) < 0)
        return -1;
    return settle_entries(r, c, e);
}

static int read_conditions(struct reader *r, struct rule *out, struct err *e)
{
    struct json_value v;
    struct condition *list = NULL;
    size_t            cap = 0, n = 0;
    int               rc;

    if (read_type(r, JSON_ARRAY, "conditions", &v, e) < 0)
        return -1;
    for (; (rc = json_item(&r->json, e)) > 0; n++) {
        if (n == RULE_CONDITIONS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d conditions in one rule", RULE_CONDITIONS_MAX);
        if ((list = grow(r->arena, list, n, &cap, sizeof *list)) == NULL)
            return no_memory(e);
        r->condition = n;
        if (read_condition(r, &list[n], e) < 0)
            return r->placed ? -1 : err_wrap(e, "conditions[%zu]", n);
    }
    out->conditions = list;
    out->nconditions = n;
    return rc;
}

/* ---- The rule ---------------------------------------------------------------------------------------------- */

static int read_name(struct reader *r, struct rule *out, struct err *e)
{
    return read_text(r, "name", RULE_NAME_MAX, false, &out->name, e);
}

static int read_note(struct reader *r, struct rule *out, struct err *e)
{
    return read_text(r, "note", RULE_NOTE_MAX, true, &out->note, e);
}

static int read_action(struct reader *r, struct rule *out, struct err *e)
{
    size_t k = 0;

    if (read_word(r, "action", rule_action_words, &k, e) < 0)
        return -1;
    out->action = (enum rule_action)k;
    return 0;
}

static int read_priority(struct reader *r, struct rule *out, struct err *e)
{
    int64_t n = 0;

    if (read_whole(r, "priority", -RULE_PRIORITY_MAX, RULE_PRIORITY_MAX, &n, e) < 0)
        return -1;
    out->priority = (int32_t)n;
    return 0;
}

static int read_flow(struct reader *r, struct rule *out, struct err *e)
{
    static const char *const words[] = {"from", "to", "from_or_to", NULL};
    size_t                   k = 0;

    if (read_word(r, "flow", words, &k, e) < 0)
        return -1;
    out->flow = (enum rule_flow)(k + 1);
    return 0;
}

static int read_expires(struct reader *r, struct rule *out, struct err *e)
{
    struct json_value v;

    if (json_value(&r->json, &v, e) < 0)
        return -1;
    out->expires_us = 0;
    if (v.type == JSON_NULL)
        return 0;
    if (v.type != JSON_STRING || !clock_parse_utc(v.text, &out->expires_us) || out->expires_us <= 0)
        return err_at(e, v.at, "\"expires_at\" takes null or a time, as \"2027-01-31T12:00:00Z\"");
    return 0;
}

static int read_enabled(struct reader *r, struct rule *out, struct err *e)
{
    return read_bool(r, "enabled", &out->enabled, e);
}

static int read_proof(struct reader *r, struct rule *out, struct err *e)
{
    return read_bool(r, "require_proof", &out->require_proof, e);
}

static int read_test_only(struct reader *r, struct rule *out, struct err *e)
{
    return read_bool(r, "test_only", &out->test_only, e);
}

static int read_scope(struct reader *r, struct rule *out, struct err *e)
{
    (void)out;
    return read_text(r, "scope", RULE_ENTRY_MAX, false, &r->scope, e);
}

static int read_policy(struct reader *r, struct rule *out, struct err *e)
{
    (void)out;
    return read_text(r, "policy", RULE_ENTRY_MAX, false, &r->policy, e);
}

static const struct {
    const char *name;
    int (*read)(struct reader *r, struct rule *out, struct err *e);
} rule_keys[] = {
    {"name", read_name},
    {"action", read_action},
    {"priority", read_priority},
    {"enabled", read_enabled},
    {"flow", read_flow},
    {"expires_at", read_expires},
    {"note", read_note},
    {"require_proof", read_proof},
    {"test_only", read_test_only},
    {"conditions", read_conditions},
    /* of a line alone */
    {"scope", read_scope},
    {"policy", read_policy},
};
#define KEY_ACTION 1
#define KEY_CONDITIONS 9

static const char *rule_key(size_t i) { return i <= KEY_CONDITIONS ? rule_keys[i].name : NULL; }
static const char *line_key(size_t i) { return i < COUNT(rule_keys) ? rule_keys[i].name : NULL; }

static int read_rule(struct reader *r, struct rule *out, struct err *e)
{
    struct json_value v;
    uint32_t          seen = 0;
    size_t            k = 0;
    int               rc;

    *out = (struct rule){.priority = 100, .enabled = true, .require_proof = true, .flow = FLOW_FROM};
    if (json_value(&r->json, &v, e) < 0)
        return -1;
    if (v.type != JSON_OBJECT)
        return err_at(e, v.at, "a rule is an object, not %s", json_type_word(v.type));
    while ((rc = json_member(&r->json, &v, e)) > 0) {
        if (find_key(&v, r->line ? line_key : rule_key, "a rule", &seen, &k, e) < 0 || rule_keys[k].read(r, out, e) < 0)
            return -1;
    }
    if (rc < 0 || json_end(&r->json, e) < 0)
        return -1;
    if (!(seen & 1u << KEY_ACTION))
        return err_at(e, r->json.at, "\"action\" is missing - say \"allow\" or \"block\"");
    if (!(seen & 1u << KEY_CONDITIONS))
        return err_at(e, r->json.at, "\"conditions\" is missing");
    return 0;
}

int rule_from_json(struct span json, struct arena *a, struct rule_check *check, struct rule *out, struct err *e)
{
    struct reader r;

    if (reader_init(&r, json, a, e) < 0 || read_rule(&r, out, e) < 0)
        return -1;
    return check != NULL ? rule_vet(out, check, e) : 0;
}

int rule_line_from_json(struct span json, struct arena *a, struct rule_check *check, struct rule *out,
                        struct span *scope_out, struct span *policy_out, struct err *e)
{
    struct reader r;

    if (reader_init(&r, json, a, e) < 0)
        return -1;
    r.line = true;
    if (read_rule(&r, out, e) < 0)
        return -1;
    *scope_out = r.scope;
    *policy_out = r.policy;
    return check != NULL ? rule_vet(out, check, e) : 0;
}

int rule_conditions_from_json(struct span json, struct arena *a, struct rule_check *check, struct rule *out,
                              struct err *e)
{
    struct reader r;

    if (reader_init(&r, json, a, e) < 0 || read_conditions(&r, out, e) < 0 || json_end(&r.json, e) < 0)
        return -1;
    return check != NULL ? rule_vet(out, check, e) : 0;
}

/* ---- Writing ----------------------------------------------------------------------------------------------- */

static void put_pair(struct buf *b, const char *key, struct span value)
{
    buf_printf(b, "\"%s\":", key);
    json_put_string(b, value);
}

static void put_flag(struct buf *b, const char *key, bool value)
{
    buf_printf(b, ",\"%s\":%s", key, value ? "true" : "false");
}

static void put_entries(struct buf *b, const struct condition *c)
{
    buf_puts(b, ",\"any\":[");
    for (size_t i = 0; i < c->nany; i++) {
        if (i > 0)
            buf_putc(b, ',');
        if (c->any[i].kind == ENTRY_ATTACHMENT)
            buf_put(b, c->any[i].written);
        else
            json_put_string(b, c->any[i].written);
    }
    buf_putc(b, ']');
}

static void put_condition(struct buf *b, const struct condition *c)
{
    buf_printf(b, "{\"kind\":\"%s\"", condition_kind_word(c->kind));
    if (c->kind == COND_HEADER) {
        buf_putc(b, ',');
        put_pair(b, "name", c->header_written.n > 0 ? c->header_written : c->header);
    }
    if (c->kind == COND_SENDER)
        buf_printf(b, ",\"source\":\"%s\"", rule_source_word(c->source));
    if (OF(c->kind) & TEXTS)
        buf_printf(b, ",\"match\":\"%s\"", rule_match_word(c->match));
    if (c->kind == COND_SIZE) {
        buf_puts(b, ",\"min\":");
        buf_put_u64(b, c->size_min);
        if (c->size_max != UINT64_MAX) {
            buf_puts(b, ",\"max\":");
            buf_put_u64(b, c->size_max);
        }
    } else {
        put_entries(b, c);
    }
    if (c->case_sensitive)
        put_flag(b, "case_sensitive", true);
    if (c->negated)
        put_flag(b, "not", true);
    buf_putc(b, '}');
}

void rule_put_conditions_json(struct buf *out, const struct rule *r)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < r->nconditions; i++) {
        if (i > 0)
            buf_putc(out, ',');
        put_condition(out, &r->conditions[i]);
    }
    buf_putc(out, ']');
}

static void put_members(struct buf *b, const struct rule *r)
{
    char time[28];

    put_pair(b, "name", r->name);
    buf_printf(b, ",\"action\":\"%s\",\"priority\":%d", rule_action_word(r->action), r->priority);
    put_flag(b, "enabled", r->enabled);
    buf_printf(b, ",\"flow\":\"%s\",\"expires_at\":", rule_flow_word(r->flow));
    if (r->expires_us == 0) {
        buf_puts(b, "null");
    } else {
        clock_format_utc(r->expires_us, time);
        buf_printf(b, "\"%s\"", time);
    }
    put_flag(b, "require_proof", r->require_proof);
    put_flag(b, "test_only", r->test_only);
    buf_putc(b, ',');
    put_pair(b, "note", r->note);
    buf_puts(b, ",\"conditions\":");
    rule_put_conditions_json(b, r);
}

void rule_put_json(struct buf *out, const struct rule *r)
{
    buf_putc(out, '{');
    put_members(out, r);
    buf_putc(out, '}');
}

void rule_put_line_json(struct buf *out, const struct rule *r, struct span scope, struct span policy)
{
    buf_putc(out, '{');
    put_pair(out, "scope", scope);
    buf_putc(out, ',');
    put_pair(out, "policy", policy);
    buf_putc(out, ',');
    put_members(out, r);
    buf_putc(out, '}');
}
