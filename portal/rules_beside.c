/* portal/rules_beside.c - see rules_beside.h; and the calls that ask for it. */
#include "rules_beside.h"

#include <stdlib.h>

#include "route.h"
#include "rules.h"

#define PLACES_MAX (100000 * sizeof(struct rules_place))
#define ROWS_MAX 40000 /* rules that are compared */
#define CONFLICTS_MAX 500

struct beside_row {
    struct beside_rule   rule;
    struct conflict_rule read;
};

/* ---- gathering ---------------------------------------------------------------------------------------------------- */

static uint32_t part_of(const struct rules_order *o, const struct rules_place *p, const struct uuid *policy)
{
    uint32_t i = 0;

    if (o->call->scope.kind != SCOPE_GLOBAL || p->layer == LAYER_GLOBAL_LOCKED)
        return 0;
    while (i < o->npolicies && !uuid_eq(&o->policies[i].id, policy))
        i++;
    return i + 1;
}

static void add_row(struct beside *b, const struct beside_rule *rule, const struct rule *r)
{
    struct beside_row *row = arena_alloc(&b->arena, sizeof *row);

    if (row == NULL || b->rows.n >= ROWS_MAX * sizeof row) {
        b->whole = false;
        return;
    }
    *row = (struct beside_row){*rule, {*r, part_of(b->order, &rule->place, &rule->policy)}};
    buf_put(&b->rows, span_make((const char *)&row, sizeof row));
}

static void read_row(struct beside *b, const struct store_rule *s, const struct rules_place *place, bool above)
{
    struct beside_rule rule = {.place = *place, .policy = s->policy, .above = above};
    struct rule        r = {.id = s->id,
                            .action = s->action,
                            .priority = s->priority,
                            .enabled = true,
                            .require_proof = s->require_proof,
                            .flow = s->flow,
                            .expires_us = s->expires_us};
    struct err         ignored = ERR_INIT;

    rule.name = arena_dup(&b->arena, s->name);
    if (rule_conditions_from_json(s->conditions, &b->arena, NULL, &r, &ignored) == 0)
        add_row(b, &rule, &r);
    else
        b->whole = false;
}

static bool decides(const struct beside *b, const struct store_rule *s, int32_t layer)
{
    return s->enabled && !s->test_only && layer != LAYER_NONE && !uuid_eq(&s->id, &b->but) &&
           (s->expires_us == 0 || s->expires_us > b->order->call->now_us);
}

static bool policy_is_on(const struct rules_order *o, const struct uuid *policy)
{
    for (size_t i = 0; i < o->npolicies; i++)
        if (uuid_eq(&o->policies[i].id, policy))
            return o->policies[i].enabled;
    return true;
}

static int each_own(void *ctx, const struct store_rule *s)
{
    struct beside     *b = ctx;
    struct rules_place p = rules_place_of(b->order, s);

    buf_put(&b->places, span_make((const char *)&p, sizeof p));
    if (decides(b, s, p.layer) && policy_is_on(b->order, &s->policy))
        read_row(b, s, &p, false);
    return 0;
}

/* What is weaker than all of one's own stands in front of none. */
static int each_above(void *ctx, const struct store_rule *s)
{
    struct beside     *b = ctx;
    struct rules_place p = rules_place_of(b->order, s);

    if (decides(b, s, p.layer) && (b->order->call->scope.kind != SCOPE_MAILBOX || p.layer < LAYER_MAILBOX))
        read_row(b, s, &p, true);
    return 0;
}

int beside_begin(struct call *c, struct beside *b, const struct uuid *but, struct err *e)
{
    *b = (struct beside){.whole = true, .but = but != NULL ? *but : uuid_zero};
    arena_init(&b->arena, BESIDE_MEMORY);
    buf_init(&b->places, PLACES_MAX);
    buf_init(&b->rows, (ROWS_MAX + 1) * sizeof(struct beside_row *));
    if (rules_order_begin(c, &b->order, e) < 0 || rules_each_own(b->order, each_own, b, e) < 0 ||
        rules_each_above(b->order, each_above, b, e) < 0)
        return -1;
    if (b->places.n > 0)
        qsort(b->places.p, b->places.n / sizeof(struct rules_place), sizeof(struct rules_place), rules_by_place);
    return 0;
}

void beside_fini(struct beside *b)
{
    buf_fini(&b->rows);
    buf_fini(&b->places);
    arena_fini(&b->arena);
}

int beside_add(struct beside *b, const struct rule *r, const struct store_policy *p, const struct uuid *id,
               size_t fresh, struct err *e)
{
    struct store_rule  s = {.id = *id,
                            .policy = p->id,
                            .scope = p->scope,
                            .policy_priority = p->priority,
                            .locked = p->locked,
                            .is_default = p->is_default,
                            .action = r->action,
                            .priority = r->priority};
    struct beside_rule rule = {.place = rules_place_of(b->order, &s), .name = r->name, .policy = p->id, .fresh = fresh};
    bool               ended = r->expires_us != 0 && r->expires_us <= b->order->call->now_us;

    if (r->enabled && !r->test_only && !ended && p->enabled && rule.place.layer != LAYER_NONE)
        add_row(b, &rule, r);
    return b->rows.failed ? err_set(e, ERR_LIMIT, "There are too many rules.") : 0;
}

/* ---- finding ------------------------------------------------------------------------------------------------------ */

static int by_row(const void *one, const void *other)
{
    const struct beside_row *const *a = one, *const *b = other;
    int                             order = rules_by_place(&(*a)->rule.place, &(*b)->rule.place);

    return order != 0 ? order : (*a)->rule.fresh < (*b)->rule.fresh ? -1 : (*a)->rule.fresh > (*b)->rule.fresh;
}

static size_t number_of(const struct beside *b, const struct rules_place *p)
{
    const struct rules_place *all = (const struct rules_place *)(const void *)b->places.p;
    const struct rules_place *at = b->places.n == 0
                                       ? NULL
                                       : bsearch(p, all, b->places.n / sizeof *all, sizeof *all, rules_by_place);

    return at != NULL ? (size_t)(at - all) + 1 : 0;
}

int beside_end(struct beside *b, struct err *e)
{
    struct beside_row        **rows = (struct beside_row **)(void *)b->rows.p;
    size_t                     n = b->rows.n / sizeof *rows;
    struct conflict_rule      *read = arena_array(&b->arena, n + 1, sizeof *read);
    const struct beside_rule **rules = arena_array(&b->arena, n + 1, sizeof *rules);

    if (read == NULL || rules == NULL)
        return err_set(e, ERR_LIMIT, "There are too many rules here to be compared.");
    if (n > 0)
        qsort(rows, n, sizeof *rows, by_row);
    for (size_t i = 0; i < n; i++) {
        rows[i]->rule.number = rows[i]->rule.above || rows[i]->rule.fresh > 0 ? 0 : number_of(b, &rows[i]->rule.place);
        read[i] = rows[i]->read;
        rules[i] = &rows[i]->rule;
    }
    b->rules = rules;
    b->read = read;
    b->n = n;
    if (conflicts_find(read, n, &b->arena, &b->found, e) < 0)
        return err_set(e, ERR_LIMIT, "There are too many rules here to be compared.");
    b->whole &= b->found.whole;
    return 0;
}

/* ---- as JSON ------------------------------------------------------------------------------------------------------ */

static void put_one(struct buf *out, const char *key, const struct beside_rule *r, enum rule_action action)
{
    json_open(out, key, '{');
    json_add_uuid(out, "id", r->fresh > 0 ? NULL : &r->place.id);
    json_add_text(out, "name", r->name.p != NULL ? r->name : SPAN(""));
    json_add_str(out, "action", rule_action_word(action));
    if (r->number > 0)
        json_add_i64(out, "number", (int64_t)r->number);
    else
        json_add_null(out, "number");
    json_add_bool(out, "above", r->above);
    json_close(out, '}');
}

void beside_put(struct buf *out, const struct beside *b, const struct conflict *f)
{
    json_open(out, NULL, '{');
    json_add_str(out, "kind", f->kind == CONFLICT_SHADOWED ? "shadowed" : "contradicts");
    put_one(out, "rule", b->rules[f->rule], b->read[f->rule].rule.action);
    json_open(out, "by", '[');
    for (size_t i = 0; i < f->nby; i++)
        put_one(out, NULL, b->rules[f->by[i]], b->read[f->by[i]].rule.action);
    json_close(out, ']');
    json_add_bool(out, "opposite", f->opposite || f->kind == CONFLICT_OPPOSITE);
    json_add_bool(out, "if_proven", f->if_proven);
    json_add_text(out, "entry", f->entry != NULL ? f->entry->written : SPAN_NONE);
    json_add_i64(out, "entries", f->entry != NULL ? (int64_t)f->nentries : 0);
    json_close(out, '}');
}

static bool names_new(const struct beside *b, const struct conflict *f)
{
    bool is = b->rules[f->rule]->fresh > 0;

    for (size_t i = 0; i < f->nby; i++)
        is |= b->rules[f->by[i]]->fresh > 0;
    return is;
}

static void put_found(struct call *c, const struct beside *b, bool only_new)
{
    struct buf *out = call_reply(c, 200);
    size_t      n = 0;

    json_open(out, NULL, '{');
    json_open(out, "items", '[');
    for (size_t i = 0; i < b->found.n && n < CONFLICTS_MAX; i++) {
        const struct conflict *f = &b->found.items[i];

        if (b->rules[f->rule]->above || (only_new && !names_new(b, f)))
            continue;
        beside_put(out, b, f);
        n++;
    }
    json_close(out, ']');
    json_add_bool(out, "whole", b->whole && n < CONFLICTS_MAX);
    json_close(out, '}');
}

/* ---- the calls ---------------------------------------------------------------------------------------------------- */

static int list_conflicts(struct call *c, struct err *e)
{
    struct beside b;
    int           rc;

    if (rules_permit(c, false, e) < 0)
        return -1;
    rc = beside_begin(c, &b, NULL, e) < 0 || beside_end(&b, e) < 0 ? -1 : 0;
    if (rc == 0)
        put_found(c, &b, false);
    beside_fini(&b);
    return rc;
}

struct check_body {
    uint64_t    given;
    struct span rule;
    struct uuid id, policy;
};
enum { CHECK_RULE, CHECK_ID, CHECK_POLICY };
static const struct field check_fields[] = {
    {"rule", FIELD_JSON, FIELD_REQUIRED, 0, RULE_JSON_MAX, NULL, offsetof(struct check_body, rule), "The rule."},
    {"id", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct check_body, id),
     "The stored one that it would take the place of."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct check_body, policy),
     "Where it would go to; where it is, else the policy Rules."},
    FIELDS_END};

/* The stored one has to be of this scope. */
static int find_stored(struct call *c, const struct check_body *in, struct uuid *policy, struct err *e)
{
    struct store_rule row;

    if (store_rule_get(c->store, in->id, c->arena, &row, e) < 0 || row.scope.kind != c->scope.kind ||
        !uuid_eq(&row.scope.id, &c->scope.id)) {
        if (e->code != ERR_NONE && e->code != ERR_NOT_FOUND)
            return -1;
        c->member = "id";
        return err_set(e, ERR_INVALID, "There is no such rule here.");
    }
    *policy = row.policy;
    return 0;
}

static int check_rule(struct call *c, struct err *e)
{
    const struct check_body *in = c->body;
    bool                     stored = field_given(in, CHECK_ID), named = field_given(in, CHECK_POLICY);
    struct uuid              policy, id = stored ? in->id : uuid7_make();
    struct rule_check        check;
    struct store_policy      into;
    struct rule              r;
    struct beside            b;
    int                      rc = -1;

    if (rules_permit(c, false, e) < 0 || rules_read(c, in->rule, true, &check, &r, e) < 0 ||
        (stored && find_stored(c, in, &policy, e) < 0) ||
        rules_policy(c,
                     named    ? &in->policy
                     : stored ? &policy
                              : NULL,
                     SPAN_NONE, &into, e) < 0)
        return -1;
    if (beside_begin(c, &b, stored ? &id : NULL, e) == 0 && beside_add(&b, &r, &into, &id, 1, e) == 0 &&
        beside_end(&b, e) == 0) {
        put_found(c, &b, true);
        rc = 0;
    }
    beside_fini(&b);
    return rc;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_GET, "/scopes/{scope}/rules/conflicts", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_conflicts,
     .summary = "Rules that never decide because of others in front of them, and those that contradict one another.",
     .reply = "RuleConflicts"},
    {HTTPD_POST, "/scopes/{scope}/rules/check", DEED_SEE_RULES, OBJECT_SCOPE, ROUTE_LARGE, check_rule, NULL, check_fields, 0,
     sizeof(struct check_body), "The same of a rule that is not stored yet, and of what it would stand in front of.", "RuleConflicts"},
};
/* clang-format on */

const struct route_family rules_beside_family = {
    "Rules", rows, COUNT(rows),
    "\"RuleBeside\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":[\"string\",\"null\"]},\"name\":{\"type\":"
    "\"string\"},\"action\":{\"type\":\"string\"},\"number\":{\"type\":[\"integer\",\"null\"]},\"above\":{\"type\":"
    "\"boolean\"}}},"
    "\"RuleConflict\":{\"type\":\"object\",\"properties\":{\"kind\":{\"type\":\"string\",\"enum\":[\"shadowed\","
    "\"contradicts\"]},\"rule\":{\"$ref\":\"#/components/schemas/RuleBeside\"},\"by\":{\"type\":\"array\",\"items\":"
    "{\"$ref\":\"#/components/schemas/RuleBeside\"}},\"opposite\":{\"type\":\"boolean\"},\"if_proven\":{\"type\":"
    "\"boolean\"},\"entry\":{\"type\":[\"string\",\"null\"]},\"entries\":{\"type\":\"integer\"}}},"
    "\"RuleConflicts\":{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"$ref\":"
    "\"#/components/schemas/RuleConflict\"}},\"whole\":{\"type\":\"boolean\"}}}"};
