/* portal/rules_order.c - see rules_order.h. */
#include "rules_order.h"

#include "store/mailbox.h"
#include "store/setting.h"

static int add_policy(void *ctx, const struct store_policy *p)
{
    struct rules_order *o = ctx;

    o->policies[o->npolicies++] = *p;
    return o->npolicies == RULES_POLICIES_MAX;
}

/* A global policy that some domain has stands where its domains' rules do. */
static int find_assigned(struct rules_order *o, struct err *e)
{
    struct call              *c = o->call;
    struct store_mailbox_view mailbox = {.domain = c->scope.id};
    struct store_domain_view  view;
    struct uuid              *ids = arena_array(c->arena, o->npolicies + 1, sizeof *ids);

    if (ids == NULL)
        return err_set(e, ERR_LIMIT, "There are too many policies.");
    if (c->scope.kind == SCOPE_GLOBAL) {
        for (size_t i = 0; i < o->npolicies; i++)
            if (o->policies[i].nassigned > 0)
                ids[o->assigned.n++] = o->policies[i].id;
        o->assigned.ids = ids;
        return 0;
    }
    if (c->scope.kind == SCOPE_MAILBOX && store_mailbox_view(c->store, c->scope.id, &mailbox, e) < 0)
        return -1;
    if (store_domain_view(c->store, &mailbox.domain, c->arena, &view, e) < 0)
        return -1;
    o->assigned = (struct assigned){view.assigned, view.nassigned};
    return 0;
}

int rules_order_begin(struct call *c, struct rules_order **out, struct err *e)
{
    struct rules_order *o = *out = arena_zalloc(c->arena, sizeof *o);

    if (o == NULL)
        return err_set(e, ERR_LIMIT, "There are too many policies.");
    o->call = c;
    return store_policy_list(c->store, c->scope, add_policy, o, e) < 0 ? -1 : find_assigned(o, e);
}

enum layer rules_layer(const struct rules_order *o, const struct store_rule *r)
{
    const struct scope_policy policy = {.id = r->policy, .locked = r->locked, .is_default = r->is_default};
    const struct match        as = {.policy = &policy};

    return match_layer(&as, r->scope.kind, &o->assigned);
}

struct rules_place rules_place_of(const struct rules_order *o, const struct store_rule *r)
{
    return (struct rules_place){(int32_t)rules_layer(o, r), r->policy_priority, r->priority,
                                r->action == RULE_ALLOW ? 0 : 1, r->id};
}

int rules_by_place(const void *one, const void *other)
{
    const struct rules_place *a = one, *b = other;
    const int32_t             x[] = {a->layer, a->policy_priority, a->priority, a->action};
    const int32_t             y[] = {b->layer, b->policy_priority, b->priority, b->action};

    for (size_t i = 0; i < COUNT(x); i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return uuid_cmp(&a->id, &b->id);
}

int rules_each_own(const struct rules_order *o, store_rule_fn fn, void *ctx, struct err *e)
{
    return store_rule_list(o->call->store, o->call->scope, NULL, NULL, 0, fn, ctx, e);
}

int rules_each_above(const struct rules_order *o, store_rule_fn fn, void *ctx, struct err *e)
{
    struct call         *c = o->call;
    struct store_mailbox m;

    if (c->scope.kind == SCOPE_GLOBAL)
        return 0;
    if (store_scope_load(c->store, STORE_SCOPE_GLOBAL, fn, ctx, e) < 0)
        return -1;
    if (c->scope.kind == SCOPE_DOMAIN)
        return 0;
    if (store_mailbox_get(c->store, c->scope.id, &m, e) < 0)
        return -1;
    return store_scope_load(c->store, store_scope_domain(m.domain), fn, ctx, e);
}

int rules_policy(struct call *c, const struct uuid *id, struct span name, struct store_policy *out, struct err *e)
{
    struct span wanted = name.n > 0 ? name : SPAN(POLICY_RULES);
    int         rc = id != NULL ? store_policy_get(c->store, *id, out, e)
                                : store_policy_find(c->store, c->scope, wanted, out, e);

    if (rc < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (rc == 0 && out->scope.kind == c->scope.kind && uuid_eq(&out->scope.id, &c->scope.id))
        return 0;
    *e = ERR_INIT;
    c->member = "policy";
    return err_set(e, ERR_INVALID,
                   id == NULL && name.n == 0 ? "Say into which policy the rule goes."
                                             : "There is no such policy here.");
}
