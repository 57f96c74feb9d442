/* portal/rules.c - the rules of a scope, in the order in which they decide, and what people do with them. What a rule would do is in
 * rules_try.c. */
#include "rules.h"

#include <ctype.h>
#include <stdlib.h>

#include "route.h"
#include "rules_order.h"
#include "store/compile.h"
#include "store/hit.h"
#include "store/setting.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 200
#define LISTED_MAX 100000 /* rules of one list; a scope of more is for export */
#define HIT_DAYS 30

/* ---- what all share ---------------------------------------------------------------------------------------------- */

int rules_permit(struct call *c, bool write, struct err *e)
{
    if (c->scope.kind != SCOPE_DOMAIN)
        return 0;
    return permit(c->store, &c->who, write ? DEED_WRITE_POLICIES : DEED_SEE_DOMAIN, &c->scope, "domain", e);
}

bool rules_can_prove(const struct call *c)
{
    const struct settings *s = c->portal->settings;

    return c->portal->scanner != NULL || s->rules.authserv_id[0] != '\0';
}

int rules_say(struct call *c, struct err *e)
{
    struct err as = *e;
    char       text[sizeof as.text];
    size_t     n = strlen(as.text);

    if (as.code == ERR_LOST || as.code == ERR_BUSY || as.code == ERR_IO)
        return -1;
    memcpy(text, as.text, n + 1);
    text[0] = (char)toupper((unsigned char)text[0]);
    err_set(e, as.code, "%s%s", text, n > 0 && text[n - 1] == '.' ? "" : ".");
    e->at = as.at;
    c->member = c->member != NULL ? c->member : "rule";
    return -1;
}

int rules_check_slow(struct call *c, size_t more, const struct uuid *but, struct err *e)
{
    size_t there;

    if (more == 0)
        return 0;
    if (store_scope_slow(c->store, c->scope, but, &there, e) < 0)
        return -1;
    if (there + more <= SCOPE_SLOW_REGEX_MAX)
        return 0;
    return err_set(e, ERR_LIMIT,
                   "There would be %zu regular expressions without a fixed text of at least 3 characters here, and %d "
                   "are allowed. Give them such a text, or use contains.",
                   there + more, SCOPE_SLOW_REGEX_MAX);
}

int rules_read(struct call *c, struct span json, bool confirm, struct rule_check *check, struct rule *out,
               struct err *e)
{
    *check = (struct rule_check){.freemail_confirmed = confirm};
    if (store_may_regex(c->store, &c->actor, c->scope, &check->may_regex, e) < 0)
        return -1;
    return rule_from_json(json, c->arena, check, out, e) < 0 ? rules_say(c, e) : 0;
}

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
        const struct store_policy *p = &own->policies[i];

        json_open(b, NULL, '{');
        json_add_uuid(b, "id", &p->id);
        json_add_str(b, "name", p->name);
        json_add_i64(b, "priority", p->priority);
        json_add_bool(b, "locked", p->locked);
        json_add_bool(b, "default", p->is_default);
        json_add_bool(b, "enabled", p->enabled);
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

    if (rules_permit(c, false, e) < 0 || store_rule_get(c->store, c->object, c->arena, &r, e) < 0)
        return -1;
    return put_item(c, call_reply(c, 200), &r, rules_layer(&none, &r), true, e);
}

/* ---- adding and changing ----------------------------------------------------------------------------------------- */

struct rule_body {
    uint64_t    given;
    struct span rule;
    struct uuid policy;
    bool        confirm;
};
enum { BODY_RULE, BODY_POLICY };
static const struct field add_fields[] = {
    {"rule", FIELD_JSON, FIELD_REQUIRED, 0, RULE_JSON_MAX, NULL, offsetof(struct rule_body, rule),
     "The rule: name, action, conditions and so on."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct rule_body, policy), "Where to; the policy Rules."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct rule_body, confirm),
     "An allow of a whole free-mail domain is meant."},
    FIELDS_END};
static const struct field change_fields[] = {
    {"rule", FIELD_JSON, FIELD_REQUIRED, 0, RULE_JSON_MAX, NULL, offsetof(struct rule_body, rule), "All of the rule."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct rule_body, confirm),
     "An allow of a whole free-mail domain is meant."},
    FIELDS_END};

/* What saving says besides: words that the page has sentences for. */
static void put_saved(struct call *c, int status, const struct uuid *id, const struct rule *r,
                      const struct rule_check *check)
{
    struct buf *b = call_reply(c, status);

    json_open(b, NULL, '{');
    json_add_uuid(b, "id", id);
    json_open(b, "advice", '[');
    if ((check->advice & ADVICE_NEEDS_PROOF) != 0 && r->require_proof)
        json_add_str(b, NULL, rules_can_prove(c) ? "needs_proof" : "cannot_prove");
    if ((check->advice & ADVICE_SLOW_REGEX) != 0)
        json_add_str(b, NULL, "slow_regex");
    if ((check->advice & ADVICE_FREEMAIL) != 0)
        json_add_str(b, NULL, "freemail");
    if (r->test_only)
        json_add_str(b, NULL, "test_only");
    json_close(b, ']');
    json_close(b, '}');
}

static int add_json(struct call *c, struct span json, bool confirm, const struct uuid *policy, struct err *e)
{
    struct rule_check   check;
    struct store_policy into;
    struct store_rule   row;
    struct rule         r;
    struct uuid         id;
    struct buf          conditions;
    int                 rc = -1;

    buf_init(&conditions, RULE_JSON_MAX);
    if (rules_permit(c, true, e) < 0 || rules_read(c, json, confirm, &check, &r, e) < 0 ||
        rules_policy(c, policy, SPAN_NONE, &into, e) < 0 || rules_check_slow(c, rule_slow_regexes(&r), NULL, e) < 0)
        goto out;
    rule_put_conditions_json(&conditions, &r);
    row = store_rule_of(&r, &into.id, buf_span(&conditions));
    if (store_rule_add(c->store, &c->actor, &row, &id, e) < 0) {
        rules_say(c, e);
        goto out;
    }
    put_saved(c, 201, &id, &r, &check);
    rc = 0;
out:
    buf_fini(&conditions);
    return rc;
}

static int add_rule(struct call *c, struct err *e)
{
    const struct rule_body *in = c->body;

    return add_json(c, in->rule, in->confirm, field_given(in, BODY_POLICY) ? &in->policy : NULL, e);
}

static int change_rule(struct call *c, struct err *e)
{
    const struct rule_body *in = c->body;
    struct rule_check       check;
    struct store_rule       row, before;
    struct rule             r;
    struct buf              conditions;
    int                     rc = -1;

    buf_init(&conditions, RULE_JSON_MAX);
    if (rules_permit(c, true, e) < 0 || rules_read(c, in->rule, in->confirm, &check, &r, e) < 0 ||
        store_rule_get(c->store, c->object, c->arena, &before, e) < 0 ||
        rules_check_slow(c, rule_slow_regexes(&r), &c->object, e) < 0)
        goto out;
    rule_put_conditions_json(&conditions, &r);
    row = store_rule_of(&r, &before.policy, buf_span(&conditions));
    row.id = c->object;
    if (store_rule_set(c->store, &c->actor, &row, e) < 0) {
        rules_say(c, e);
        goto out;
    }
    put_saved(c, 200, &c->object, &r, &check);
    rc = 0;
out:
    buf_fini(&conditions);
    return rc;
}

struct switch_body {
    uint64_t given;
    bool     enabled;
};
static const struct field switch_fields[] = {{"enabled", FIELD_BOOL, FIELD_REQUIRED, 0, 0, NULL,
                                              offsetof(struct switch_body, enabled), "On, or off without deleting it."},
                                             FIELDS_END};

static int switch_rule(struct call *c, struct err *e)
{
    const struct switch_body *in = c->body;

    if (rules_permit(c, true, e) < 0)
        return -1;
    if (store_rule_enable(c->store, &c->actor, c->object, in->enabled, e) < 0)
        return rules_say(c, e);
    call_reply_nothing(c);
    return 0;
}

static int delete_rule(struct call *c, struct err *e)
{
    if (rules_permit(c, true, e) < 0)
        return -1;
    if (store_rule_delete(c->store, &c->actor, c->object, e) < 0)
        return rules_say(c, e);
    call_reply_nothing(c);
    return 0;
}

struct move_body {
    uint64_t    given;
    struct uuid before;
};
static const struct field move_fields[] = {{"before", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct move_body, before),
                                            "The rule of the same policy that comes behind it; without: it goes last."},
                                           FIELDS_END};

static int move_rule(struct call *c, struct err *e)
{
    const struct move_body *in = c->body;

    if (rules_permit(c, true, e) < 0)
        return -1;
    if (store_rule_move(c->store, &c->actor, c->object, field_given(in, 0) ? &in->before : NULL, e) < 0) {
        c->member = "before";
        return rules_say(c, e);
    }
    call_reply_nothing(c);
    return 0;
}

/* ---- the quick way ----------------------------------------------------------------------------------------------- */

struct quick_body {
    uint64_t    given;
    int         action;
    struct span what;
    bool        confirm;
};
static const struct field quick_fields[] = {{"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words,
                                             offsetof(struct quick_body, action), "allow or block."},
                                            {"what", FIELD_TEXT, FIELD_REQUIRED, 1, RULE_NAME_MAX, NULL,
                                             offsetof(struct quick_body, what),
                                             "An address, a domain or an IP address."},
                                            {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct quick_body, confirm),
                                             "An allow of a whole free-mail domain is meant."},
                                            FIELDS_END};

static int add_quick(struct call *c, struct err *e)
{
    const struct quick_body *in = c->body;
    struct span              what = span_trim(in->what);
    struct ip_block          ignored;
    struct buf               json;
    int                      rc;

    buf_init(&json, 16384);
    json_open(&json, NULL, '{');
    json_add_text(&json, "name", what);
    json_add_str(&json, "action", rule_action_words[in->action]);
    json_open(&json, "conditions", '[');
    json_open(&json, NULL, '{');
    json_add_str(&json, "kind", ip_block_parse(what, &ignored, NULL) == 0 ? "ip" : "sender");
    json_open(&json, "any", '[');
    json_add_text(&json, NULL, what);
    json_close(&json, ']');
    json_close(&json, '}');
    json_close(&json, ']');
    json_close(&json, '}');
    c->member = "what";
    rc = add_json(c, buf_span(&json), in->confirm, NULL, e);
    if (rc < 0)
        e->at = 0; /* of JSON that the caller has not seen */
    buf_fini(&json);
    return rc;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_GET, "/scopes/{scope}/rules", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_own, list_fields, NULL,
     sizeof(struct list_query), 0, "The rules of a mailbox, a domain or all, in the order in which they decide.", "RuleList"},
    {HTTPD_GET, "/scopes/{scope}/rules/above", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_above, list_fields, NULL,
     sizeof(struct list_query), 0, "Rules from above that hold here too: those of the organisation.", "RuleList"},
    {HTTPD_POST, "/scopes/{scope}/rules", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE, add_rule, NULL, add_fields, 0,
     sizeof(struct rule_body), "Makes a rule.", "RuleSaved"},
    {HTTPD_POST, "/scopes/{scope}/rules/quick", DEED_WRITE_RULES, OBJECT_SCOPE, 0, add_quick, NULL, quick_fields, 0,
     sizeof(struct quick_body), "Makes a rule of an address, a domain or an IP address.", "RuleSaved"},
    {HTTPD_GET, "/rules/{rule}", DEED_SEE_RULES, OBJECT_RULE, 0, get_rule, .summary = "One rule.", .reply = "Rule"},
    {HTTPD_PUT, "/rules/{rule}", DEED_WRITE_RULES, OBJECT_RULE, ROUTE_LARGE, change_rule, NULL, change_fields, 0,
     sizeof(struct rule_body), "Changes a rule; it stays in its policy.", "RuleSaved"},
    {HTTPD_PATCH, "/rules/{rule}", DEED_WRITE_RULES, OBJECT_RULE, 0, switch_rule, NULL, switch_fields, 0,
     sizeof(struct switch_body), "Switches a rule on or off.", NULL},
    {HTTPD_POST, "/rules/{rule}/move", DEED_WRITE_RULES, OBJECT_RULE, 0, move_rule, NULL, move_fields, 0,
     sizeof(struct move_body), "Moves a rule within its policy.", NULL},
    {HTTPD_DELETE, "/rules/{rule}", DEED_WRITE_RULES, OBJECT_RULE, 0, delete_rule, .summary = "Deletes a rule."},
};
/* clang-format on */

const struct route_family rules_family = {
    "Rules", rows, COUNT(rows),
    "\"Rule\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"layer\":{\"type\":\"string\"},"
    "\"policy\":{\"type\":\"object\"},\"rule\":{\"type\":\"object\"},\"read_only\":{\"type\":\"boolean\"},"
    "\"expired\":{\"type\":\"boolean\"},\"hits\":{\"type\":\"integer\"},\"last_hit\":{\"type\":[\"string\",\"null\"]},"
    "\"created\":{\"type\":\"string\"},\"updated\":{\"type\":\"string\"}}},"
    "\"RuleList\":{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"$ref\":"
    "\"#/components/schemas/Rule\"}},\"next\":{\"type\":[\"string\",\"null\"]},\"total\":{\"type\":\"integer\"},"
    "\"policies\":{\"type\":\"array\"},\"may_regex\":{\"type\":\"boolean\"},\"can_prove\":{\"type\":\"boolean\"},"
    "\"any_action\":{\"type\":\"boolean\"}}},"
    "\"RuleSaved\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"advice\":{\"type\":\"array\","
    "\"items\":{\"type\":\"string\"}}}}"};
