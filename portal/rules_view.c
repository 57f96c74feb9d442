/* portal/rules_view.c - the rules of a scope as they are shown: one, and the lists in the order in which they decide. */
#include <stdlib.h>

#include "route.h"
#include "rules.h"
#include "rules_order.h"
#include "store/compile.h"
#include "store/hit.h"
#include "store/setting.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 200
#define LISTED_MAX 100000 /* rules of one list; a scope of more is for export */
#define HIT_DAYS 30

/* ---- one rule as JSON -------------------------------------------------------------------------------------------- */

static void put_policy(struct buf *b, const char *key, const struct store_rule *r)
{
    json_open(b, key, '{');
    json_add_uuid(b, "id", &r->policy);
    json_add_text(b, "name", r->policy_name);
    json_add_i64(b, "priority", r->policy_priority);
    json_add_bool(b, "locked", r->locked);
    json_close(b, '}');
}

/* The rule as it can be sent back. `note`: whose rule it is may read why. */
static void put_rule(struct buf *b, const struct store_rule *r, bool note)
{
    json_open(b, "rule", '{');
    json_add_text(b, "name", r->name);
    json_add_str(b, "action", rule_action_word(r->action));
    json_add_i64(b, "priority", r->priority);
    json_add_bool(b, "enabled", r->enabled);
    json_add_str(b, "flow", rule_flow_word(r->flow));
    json_add_time(b, "expires_at", r->expires_us);
    json_add_bool(b, "require_proof", r->require_proof);
    json_add_bool(b, "test_only", r->test_only);
    json_add_text(b, "note", note && r->note.p != NULL ? r->note : SPAN(""));
    json_add_json(b, "conditions", r->conditions);
    json_close(b, '}');
}

struct version rules_version_of(const struct store_rule *r)
{
    struct buf     b;
    struct version v;

    buf_init(&b, RULE_JSON_MAX + RULE_NOTE_MAX + RULE_NAME_MAX + 4096);
    json_open(&b, NULL, '{');
    json_add_uuid(&b, "policy", &r->policy);
    put_rule(&b, r, true);
    json_close(&b, '}');
    v = version_of(buf_span(&b));
    buf_fini(&b);
    return v;
}

int rules_version(struct call *c, struct version *out, struct err *e)
{
    struct store_rule r;

    if (store_rule_get(c->store, c->object, c->arena, &r, e) < 0)
        return -1;
    *out = rules_version_of(&r);
    return 0;
}

/* A version is for who may change it: it would tell whether a guess of the note is right. */
static int put_item(struct call *c, struct buf *b, const struct store_rule *r, enum layer layer, bool own,
                    struct err *e)
{
    int64_t count, last_us;

    if (store_hits_of(c->store, r->id, hit_day(c->now_us) - HIT_DAYS + 1, &count, &last_us, e) < 0)
        return -1;
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &r->id);
    json_add_str(b, "layer", layer_word(layer));
    put_policy(b, "policy", r);
    put_rule(b, r, own);
    json_add_str(b, "version", own ? rules_version_of(r).text : NULL);
    json_add_bool(b, "read_only", !own);
    json_add_bool(b, "expired", r->expires_us != 0 && r->expires_us <= c->now_us);
    json_add_i64(b, "hits", count);
    json_add_time(b, "last_hit", last_us);
    json_add_time(b, "created", r->created_us);
    json_add_time(b, "updated", r->updated_us);
    json_close(b, '}');
    return 0;
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

struct listing {
    struct rules_order *order;
    struct buf          places; /* of struct rules_place */
    int64_t             now_us;
    bool                above; /* rules of other scopes: those that hold alone */
};

static int add_place(void *ctx, const struct store_rule *r)
{
    struct listing    *l = ctx;
    struct rules_place p = rules_place_of(l->order, r);

    if (l->above && (p.layer == LAYER_NONE || (r->expires_us != 0 && r->expires_us <= l->now_us)))
        return 0;
    buf_put(&l->places, span_make((const char *)&p, sizeof p));
    return l->places.failed;
}

struct list_query {
    uint64_t    given;
    int64_t     limit;
    struct span after;
};
static const struct field list_fields[] = {
    {"limit", FIELD_I64, 0, 1, PAGE_MAX, NULL, offsetof(struct list_query, limit), "Rules of a page; 100."},
    {"after", FIELD_TEXT, 0, 1, 200, NULL, offsetof(struct list_query, after), "Where the page before ended."},
    FIELDS_END};

static size_t first_behind(const struct rules_place *places, size_t n, const struct rules_place *after)
{
    size_t i = 0;

    while (i < n && rules_by_place(&places[i], after) <= 0)
        i++;
    return i;
}

/* `number` counts the whole list from 1: 1 decides first. */
static int put_page(struct listing *l, const struct rules_place *places, size_t n, struct err *e)
{
    struct call             *c = l->order->call;
    const struct list_query *q = c->query;
    size_t                   limit = q->limit > 0 ? (size_t)q->limit : PAGE_DEFAULT, i = 0, end;
    struct buf              *b;
    struct store_rule        row;
    struct rules_place       after;
    struct span              bytes;

    if (q->after.n > 0) {
        if (cursor_read(c->arena, q->after, &bytes, e) < 0)
            return -1;
        if (bytes.n != sizeof after)
            return err_set(e, ERR_INVALID, "The cursor is none that this list has given.");
        memcpy(&after, bytes.p, sizeof after);
        i = first_behind(places, n, &after);
    }
    end = i + limit < n ? i + limit : n;
    b = call_list_begin(c);
    for (; i < end; i++) {
        if (store_rule_get(c->store, places[i].id, c->arena, &row, e) < 0) {
            if (e->code != ERR_NOT_FOUND)
                return -1;
            *e = ERR_INIT; /* it went meanwhile */
            continue;
        }
        if (put_item(c, b, &row, (enum layer)places[i].layer, !l->above, e) < 0)
            return -1;
    }
    json_close(b, ']');
    json_add_i64(b, "total", (int64_t)n);
    json_add_text(b, "next",
                  end < n && end > 0 ? cursor_make(c->arena, span_make((const char *)&places[end - 1], sizeof *places))
                                     : SPAN_NONE);
    return 0;
}

/* What the page needs to know beside the rules. */
static int put_beside(struct call *c, const struct rules_order *own, struct err *e)
{
    struct buf *b = &c->reply->body;
    bool        regex;

    if (store_may_regex(c->store, &c->actor, c->scope, &regex, e) < 0)
        return -1;
    json_open(b, "policies", '[');
    for (size_t i = 0; i < own->npolicies; i++) {
        json_open(b, NULL, '{');
        json_add_uuid(b, "id", &own->policies[i].id);
        store_policy_put(b, &own->policies[i]);
        json_close(b, '}');
    }
    json_close(b, ']');
    json_add_bool(b, "may_regex", regex);
    json_add_bool(b, "can_prove", rules_can_prove(c));
    json_add_bool(b, "any_action", c->actor.admin); /* in a locked policy; else blocks alone */
    return 0;
}

static int list(struct call *c, bool above, struct err *e)
{
    struct listing l = {.now_us = c->now_us, .above = above};
    size_t         n;
    int            rc = -1;

    if (rules_permit(c, false, e) < 0 || rules_order_begin(c, &l.order, e) < 0)
        return -1;
    buf_init(&l.places, LISTED_MAX * sizeof(struct rules_place));
    if ((above ? rules_each_above : rules_each_own)(l.order, add_place, &l, e) < 0)
        goto out;
    if (l.places.failed) {
        err_set(e, ERR_LIMIT, "There are more than %d rules here: export them instead.", LISTED_MAX);
        goto out;
    }
    n = l.places.n / sizeof(struct rules_place);
    if (n > 0)
        qsort(l.places.p, n, sizeof(struct rules_place), rules_by_place);
    rc = put_page(&l, (const struct rules_place *)(const void *)l.places.p, n, e);
    if (rc == 0 && !above)
        rc = put_beside(c, l.order, e);
    if (rc == 0)
        json_close(&c->reply->body, '}');
out:
    buf_fini(&l.places);
    return rc;
}

static int list_own(struct call *c, struct err *e) { return list(c, false, e); }

static int list_above(struct call *c, struct err *e) { return list(c, true, e); }

static int get_rule(struct call *c, struct err *e)
{
    static const struct rules_order none;
    struct store_rule               r;
    struct version                  v;

    if (rules_permit(c, false, e) < 0 || store_rule_get(c->store, c->object, c->arena, &r, e) < 0)
        return -1;
    v = rules_version_of(&r);
    version_tag(c, &v);
    return put_item(c, call_reply(c, 200), &r, rules_layer(&none, &r), true, e);
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_GET, "/scopes/{scope}/rules", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_own, list_fields, NULL,
     sizeof(struct list_query), 0, "The rules of a mailbox, a domain or all, in the order in which they decide.", "RuleList"},
    {HTTPD_GET, "/scopes/{scope}/rules/above", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_above, list_fields, NULL,
     sizeof(struct list_query), 0, "Rules from above that hold here too: those of the organisation.", "RuleList"},
    {HTTPD_GET, "/rules/{rule}", DEED_SEE_RULES, OBJECT_RULE, ROUTE_VERSION, get_rule, .summary = "One rule.", .reply = "Rule"},
};
/* clang-format on */

const struct route_family rules_view_family = {
    "Rules", rows, COUNT(rows),
    "\"Rule\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"layer\":{\"type\":\"string\"},"
    "\"policy\":{\"type\":\"object\"},\"rule\":{\"type\":\"object\"},\"version\":{\"type\":[\"string\",\"null\"]},"
    "\"read_only\":{\"type\":\"boolean\"},"
    "\"expired\":{\"type\":\"boolean\"},\"hits\":{\"type\":\"integer\"},\"last_hit\":{\"type\":[\"string\",\"null\"]},"
    "\"created\":{\"type\":\"string\"},\"updated\":{\"type\":\"string\"}}},"
    "\"RuleList\":{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"$ref\":"
    "\"#/components/schemas/Rule\"}},\"next\":{\"type\":[\"string\",\"null\"]},\"total\":{\"type\":\"integer\"},"
    "\"policies\":{\"type\":\"array\"},\"may_regex\":{\"type\":\"boolean\"},\"can_prove\":{\"type\":\"boolean\"},"
    "\"any_action\":{\"type\":\"boolean\"}}}"};
