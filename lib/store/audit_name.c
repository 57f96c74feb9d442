/* lib/store/audit_name.c - see audit_name.h. */
#include "store/audit_name.h"

#include "base/json_read.h"
#include "base/json_write.h"
#include "store/row.h"

#define NAMED ",\"named\":{"

static const struct named {
    const char *kind, *sql;
} tables[] = {
    {"account", "SELECT login FROM account WHERE id = $1"},
    {"domain", "SELECT name FROM domain WHERE id = $1"},
    {"mailbox", "SELECT a.local || '@' || d.name FROM address a JOIN domain d ON d.id = a.domain_id"
                " WHERE a.mailbox_id = $1 AND a.kind = 'mailbox'"},
    {"address", "SELECT a.local || '@' || d.name FROM address a JOIN domain d ON d.id = a.domain_id WHERE a.id = $1"},
    {"rule", "SELECT name FROM rule WHERE id = $1"},
    {"policy", "SELECT name FROM policy WHERE id = $1"},
    {"learned", "SELECT sender FROM learned WHERE id = $1"},
    {"brand", "SELECT name FROM brand WHERE id = $1"},
    {"api_key", "SELECT name FROM api_key WHERE id = $1"},
    {"session", "SELECT a.login FROM session x JOIN account a ON a.id = x.account_id WHERE x.id = $1"},
    {"handoff", "SELECT a.login FROM handoff x JOIN account a ON a.id = x.account_id WHERE x.id = $1"},
};

/* ---- writing ---- */

/* Adds the member, if there is such a thing. */
static int put_name(struct store *s, const char *key, const char *kind, const struct uuid *id, struct buf *b,
                    struct err *e)
{
    for (size_t i = 0; i < COUNT(tables); i++) {
        struct db_rows *r = NULL;
        int             rc;

        if (!span_is(span_of(kind), tables[i].kind))
            continue;
        if ((rc = row_first(s->main, tables[i].sql, (struct db_val[]){dbv_uuid(id)}, 1, &r, e)) <= 0)
            return rc;
        json_add_text(b, key, db_text(r, 0));
        db_rows_free(&r);
        return 0;
    }
    return 0;
}

int audit_put_named(struct store *s, const char *kind, const struct uuid *object, struct store_scope scope,
                    struct span payload, struct buf *out, struct err *e)
{
    size_t begun;

    buf_put(out, span_head(payload, payload.n > 0 ? payload.n - 1 : 0)); /* without its bracket */
    begun = out->n;
    buf_puts(out, payload.n > 2 ? NAMED : &NAMED[1]);
    if ((object != NULL && put_name(s, "object", kind, object, out, e) < 0) ||
        (scope.kind != SCOPE_GLOBAL && put_name(s, "scope", scope_kind_words[scope.kind], &scope.id, out, e) < 0))
        return -1;
    if (!out->failed && out->p[out->n - 1] == '{')
        out->n = begun; /* nothing has a name */
    else
        buf_putc(out, '}');
    buf_putc(out, '}');
    return out->failed ? err_set(e, ERR_LIMIT, "too much for one row of the audit log") : 0;
}

/* ---- reading ---- */

/* A name is a text under one of these, in what was before or came after. */
static bool is_name(struct span key)
{
    static const char *const keys[] = {"name", "address", "login", "sender", "local"};

    for (size_t i = 0; i < COUNT(keys); i++)
        if (span_is(key, keys[i]))
            return true;
    return false;
}

static int read_name(struct json_read *json, struct span *out, struct err *e)
{
    struct json_value key, v;
    int               rc;

    while ((rc = json_member(json, &key, e)) > 0) {
        if (json_value(json, &v, e) < 0 || json_over(json, &v, e) < 0)
            return -1;
        if (v.type == JSON_STRING && is_name(key.text) && v.text.n > 0)
            *out = v.text;
    }
    return rc;
}

static int read_named(struct json_read *json, struct store_audit_names *out, struct err *e)
{
    struct json_value key, v;
    int               rc;

    while ((rc = json_member(json, &key, e)) > 0) {
        if (json_value(json, &v, e) < 0 || json_over(json, &v, e) < 0)
            return -1;
        if (v.type == JSON_STRING && span_is(key.text, "object"))
            out->object = v.text;
        else if (v.type == JSON_STRING && span_is(key.text, "scope"))
            out->scope = v.text;
    }
    return rc;
}

/* The payload up to where the names begin. */
static struct span without_named(struct span payload, size_t key_at, struct arena *a)
{
    size_t n = key_at;

    while (n > 1 && payload.p[n - 1] != ',' && payload.p[n - 1] != '{')
        n--;
    if (n > 1 && payload.p[n - 1] == ',')
        n--;
    struct span rest = arena_printf(a, "%.*s}", SPAN_ARG(span_head(payload, n)));
    return rest.p != NULL ? rest : payload;
}

static int read_payload(struct json_read *json, struct store_audit_names *out, struct span *was, struct err *e)
{
    struct span       payload = json->in;
    struct json_value key, v;
    int               rc;

    if (json_value(json, &v, e) < 0 || v.type != JSON_OBJECT)
        return -1;
    while ((rc = json_member(json, &key, e)) > 0) {
        bool named = span_is(key.text, "named"), state = span_is(key.text, "before") || span_is(key.text, "after");

        if (json_value(json, &v, e) < 0)
            return -1;
        if (named && v.type == JSON_OBJECT)
            out->what = without_named(payload, key.at, json->arena);
        if (v.type == JSON_OBJECT && (named || state)) {
            if ((named ? read_named(json, out, e) : read_name(json, was, e)) < 0)
                return -1;
        } else if (json_over(json, &v, e) < 0) {
            return -1;
        }
    }
    return rc;
}

void store_audit_names(struct span payload, struct arena *a, struct store_audit_names *out)
{
    struct json_read json = {.in = payload, .arena = a};
    struct span      was = SPAN_NONE;
    struct err       ignored = ERR_INIT;

    *out = (struct store_audit_names){.what = payload};
    if (payload.p == NULL)
        return;
    (void)read_payload(&json, out, &was, &ignored); /* what it could not read it does not name */
    if (out->object.n == 0)
        out->object = was;
}
