/* portal/mail_rules.c - see mail_rules.h. */
#include "mail_rules.h"

#include "base/json_read.h"
#include "base/utf8.h"
#include "store/rule.h"

/* 1 it is there, 0 it is not any more. */
static int find(struct call *c, struct uuid id, struct store_rule *out, struct err *e)
{
    if (store_rule_get(c->store, id, c->arena, out, e) == 0)
        return 1;
    if (e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    return 0;
}

static int put_decider(struct call *c, const struct store_delivery *of, struct buf *b, struct err *e)
{
    struct store_rule r;
    int               known;

    if (!of->has_rule) {
        json_add_null(b, "rule");
        return 0;
    }
    if ((known = find(c, of->rule, &r, e)) < 0)
        return -1;
    json_open(b, "rule", '{');
    json_add_uuid(b, "id", &of->rule);
    json_add_text(b, "name", known ? r.name : SPAN_NONE);
    json_add_str(b, "action", known ? rule_action_word(r.action) : NULL);
    json_close(b, '}');
    return 0;
}

/* What is written of one match: all of it, the name in it, and whose name that is. */
struct told {
    struct span whole, name;
    struct uuid id;
    bool        nameless;
};

static int read_match(struct json_read *r, struct told *out, struct err *e)
{
    struct json_value v, key;
    size_t            start;
    int               rc;

    *out = (struct told){0};
    if (json_value(r, &v, e) < 0)
        return -1;
    start = v.at;
    if (v.type != JSON_OBJECT)
        return err_set(e, ERR_CORRUPT, "a match in the log is no object");
    while ((rc = json_member(r, &key, e)) > 0) {
        if (json_value(r, &v, e) < 0)
            return -1;
        if (span_is(key.text, "name") && v.type == JSON_STRING) {
            out->name = span_make(r->in.p + v.at, r->at - v.at);
            out->nameless = v.text.n == 0;
        } else if (span_is(key.text, "id") && v.type == JSON_STRING && !uuid_parse(v.text, &out->id)) {
            return err_set(e, ERR_CORRUPT, "a match in the log names no rule");
        }
        if (json_over(r, &v, e) < 0)
            return -1;
    }
    out->whole = span_make(r->in.p + start, r->at - start);
    return rc;
}

static int put_match(struct call *c, const struct told *m, struct buf *b, struct err *e)
{
    struct store_rule r;
    struct span       name;
    int               known;

    if (!m->nameless) {
        json_add_json(b, NULL, m->whole);
        return 0;
    }
    if ((known = find(c, m->id, &r, e)) < 0)
        return -1;
    json_add_json(b, NULL, span_between(m->whole.p, m->name.p));
    name = known ? r.name : SPAN_NONE;
    if (name.p != NULL)
        json_put_string(b, name);
    else
        buf_puts(b, "null");
    buf_put(b, span_between(m->name.p + m->name.n, m->whole.p + m->whole.n));
    return 0;
}

static int put_matches(struct call *c, struct span trace, struct buf *b, struct err *e)
{
    struct json_read  r = {.in = trace, .arena = c->arena};
    struct json_value v;
    struct told       one;
    int               rc = 0;

    json_open(b, "matches", '[');
    if (trace.n > 0) {
        if (json_value(&r, &v, e) < 0)
            return -1;
        while ((rc = json_item(&r, e)) > 0)
            if (read_match(&r, &one, e) < 0 || put_match(c, &one, b, e) < 0)
                return -1;
    }
    json_close(b, ']');
    return rc;
}

int mail_rules_put(struct call *c, const struct store_delivery *of, struct buf *b, struct err *e)
{
    return put_decider(c, of, b, e) < 0 ? -1 : put_matches(c, of->trace, b, e);
}
