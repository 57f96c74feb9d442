/* tests/unit/store_policy.c - twin of lib/store/policy.c. */
#include "store_world.h"

static struct store_policy a_policy(struct store_scope scope, const char *name)
{
    struct store_policy p = {.scope = scope, .priority = POLICY_PRIORITY, .enabled = true};

    snprintf(p.name, sizeof p.name, "%s", name);
    return p;
}

static struct store_policy add(struct world *w, struct store_policy p)
{
    OK(w, store_policy_add(w->more, &root, &p, &p.id, &w->e));
    OK(w, store_policy_get(w->more, p.id, &p, &w->e));
    return p;
}

static int each_text(void *ctx, const struct store_policy *p)
{
    char *text = ctx;

    sprintf(text + strlen(text), "%s/%d/%lld/%lld ", p->name, (int)p->priority, (long long)p->nrules,
            (long long)p->nassigned);
    return 0;
}

static void policies_are_listed_as_they_decide_with_what_is_in_them(void **state)
{
    struct world       *w = world_of(state);
    struct uuid         ours = add_domain(w, "ours.example");
    struct store_policy late = a_policy(STORE_SCOPE_GLOBAL, "late"), early = a_policy(STORE_SCOPE_GLOBAL, "early");
    char                text[512] = "";

    early.priority = -3;
    late = add(w, late);
    early = add(w, early);
    add(w, a_policy(STORE_SCOPE_GLOBAL, "later"));
    add_rule(w, late.id, "a");
    add_rule(w, late.id, "b");
    OK(w, store_policy_assign(w->more, &root, early.id, ours, &w->e));
    OK(w, store_policy_assign(w->more, &root, early.id, ours, &w->e));
    OK(w, store_policy_list(w->more, STORE_SCOPE_GLOBAL, each_text, text, &w->e));
    assert_string_equal(text, "early/-3/0/1 late/100/2/0 later/100/0/0 ");
}

static void there_is_one_default(void **state)
{
    struct world       *w = world_of(state);
    struct store_policy a = a_policy(STORE_SCOPE_GLOBAL, "a"), b = a_policy(STORE_SCOPE_GLOBAL, "b");

    a.is_default = true;
    a = add(w, a);
    assert_true(a.is_default);
    b = add(w, b);
    b.is_default = true;
    OK(w, store_policy_set(w->more, &root, &b, &w->e));
    OK(w, store_policy_get(w->more, a.id, &a, &w->e));
    OK(w, store_policy_get(w->more, b.id, &b, &w->e));
    assert_true(!a.is_default && b.is_default);
}

static void a_name_is_unique_in_its_scope_alone(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope one = store_scope_domain(add_domain(w, "one.example")),
                       two = store_scope_domain(add_domain(w, "two.example"));
    struct store_policy p = a_policy(one, "Spring"), other;

    add(w, p);
    REFUSED(w, ERR_CONFLICT, store_policy_add(w->more, &root, &p, &p.id, &w->e));
    other = add(w, a_policy(two, "Spring"));
    snprintf(other.name, sizeof other.name, POLICY_RULES);
    REFUSED(w, ERR_CONFLICT, store_policy_set(w->more, &root, &other, &w->e));
}

static void a_deleted_policy_takes_its_rules_and_assignments_with_it(void **state)
{
    struct world            *w = world_of(state);
    struct uuid              ours = add_domain(w, "ours.example");
    struct store_policy      p = add(w, a_policy(STORE_SCOPE_GLOBAL, "a"));
    struct store_domain_view v;
    struct arena             a;

    add_rule(w, p.id, "r");
    OK(w, store_policy_assign(w->more, &root, p.id, ours, &w->e));
    OK(w, store_policy_delete(w->more, &root, p.id, &w->e));
    assert_int_equal(count_rules(w, STORE_SCOPE_GLOBAL), 0);
    arena_init(&a, 1 << 16);
    OK(w, store_domain_view(w->more, &ours, &a, &v, &w->e));
    assert_int_equal(v.nassigned, 0);
    arena_fini(&a);
    REFUSED(w, ERR_NOT_FOUND, store_policy_delete(w->more, &root, p.id, &w->e));
}

static void only_what_makes_sense_is_stored(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct uuid         ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna"), ignored;
    struct store_policy own = a_policy(store_scope_domain(ours), "own"),
                        mine = a_policy(store_scope_mailbox(box), "mine");
    struct store_policy none = a_policy(store_scope_domain(uuid7_make()), "none"),
                        global = a_policy(STORE_SCOPE_GLOBAL, "g");

    REFUSED(w, ERR_NOT_FOUND, store_policy_add(s, &root, &none, &ignored, &w->e));
    REFUSED(w, ERR_DENIED, store_policy_add(s, &owner, &global, &ignored, &w->e));
    own.is_default = true;
    REFUSED(w, ERR_INVALID, store_policy_add(s, &root, &own, &ignored, &w->e));
    own.is_default = false;
    own.priority = 1000001;
    REFUSED(w, ERR_INVALID, store_policy_add(s, &root, &own, &ignored, &w->e));
    own.priority = 1;
    own = add(w, own);
    mine.locked = true;
    REFUSED(w, ERR_INVALID, store_policy_add(s, &root, &mine, &ignored, &w->e));
    REFUSED(w, ERR_INVALID, store_policy_assign(s, &root, own.id, ours, &w->e));
    global = add(w, global);
    REFUSED(w, ERR_NOT_FOUND, store_policy_assign(s, &root, global.id, uuid7_make(), &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_policy_unassign(s, &root, global.id, ours, &w->e));
    global.scope = store_scope_domain(ours);
    REFUSED(w, ERR_DENIED, store_policy_set(s, &owner, &global, &w->e));
    REFUSED(w, ERR_DENIED, store_policy_delete(s, &owner, global.id, &w->e));
}

static void those_that_everybody_has_keep_their_name_and_their_lock(void **state)
{
    struct world       *w = world_of(state);
    struct uuid         ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna");
    struct store_scope  scopes[] = {store_scope_domain(ours), store_scope_domain(ours), store_scope_mailbox(box)};
    const char         *names[] = {POLICY_RULES, POLICY_ENFORCED, POLICY_RULES};
    struct store_policy p, global;

    for (size_t i = 0; i < COUNT(names); i++) {
        OK(w, store_policy_find(w->more, scopes[i], span_of(names[i]), &p, &w->e));
        assert_true(store_policy_is_built_in(&p));
        REFUSED(w, ERR_CONFLICT, store_policy_delete(w->more, &root, p.id, &w->e));
        snprintf(p.name, sizeof p.name, "Mine");
        REFUSED(w, ERR_CONFLICT, store_policy_set(w->more, &root, &p, &w->e));
        snprintf(p.name, sizeof p.name, "%s", names[i]);
        p.locked = !p.locked;
        if (scopes[i].kind == SCOPE_DOMAIN)
            REFUSED(w, ERR_CONFLICT, store_policy_set(w->more, &root, &p, &w->e));
        p.locked = !p.locked;
        p.priority = 7;
        p.enabled = false;
        OK(w, store_policy_set(w->more, &owner, &p, &w->e));
    }
    global = add(w, a_policy(STORE_SCOPE_GLOBAL, POLICY_RULES));
    assert_false(store_policy_is_built_in(&global));
    OK(w, store_policy_delete(w->more, &root, global.id, &w->e));
}

static void an_owner_cannot_make_an_allow_outrank_everybody_by_locking_it(void **state)
{
    struct world       *w = world_of(state);
    struct store_policy p = add(w, a_policy(store_scope_domain(add_domain(w, "ours.example")), "Partners"));
    struct store_rule   allow = a_rule(p.id, "partner");
    struct uuid         id;

    add_rule(w, p.id, "a block");
    p.locked = true;
    OK(w, store_policy_set(w->more, &owner, &p, &w->e));
    REFUSED(w, ERR_DENIED, (allow.action = RULE_ALLOW, store_rule_add(w->more, &owner, &allow, &id, &w->e)));
    p.locked = false;
    OK(w, store_policy_set(w->more, &owner, &p, &w->e));
    OK(w, store_rule_add(w->more, &owner, &allow, &id, &w->e));
    p.locked = true;
    REFUSED(w, ERR_DENIED, store_policy_set(w->more, &owner, &p, &w->e));
    OK(w, store_policy_set(w->more, &root, &p, &w->e));
    p.priority = 3;
    OK(w, store_policy_set(w->more, &owner, &p, &w->e));
}

static void what_a_global_policy_is_assigned_to_is_the_operators_to_say(void **state)
{
    struct world       *w = world_of(state);
    struct store_policy p = add(w, a_policy(STORE_SCOPE_GLOBAL, "Shared"));
    struct uuid         ours = add_domain(w, "ours.example");

    REFUSED(w, ERR_DENIED, store_policy_assign(w->more, &owner, p.id, ours, &w->e));
    OK(w, store_policy_assign(w->more, &root, p.id, ours, &w->e));
    REFUSED(w, ERR_DENIED, store_policy_unassign(w->more, &owner, p.id, ours, &w->e));
    OK(w, store_policy_unassign(w->more, &root, p.id, ours, &w->e));
}

static int each_name(void *ctx, const struct uuid *domain, struct span name)
{
    char *text = ctx;

    (void)domain;
    sprintf(text + strlen(text), "%.*s ", SPAN_ARG(name));
    return 0;
}

static void its_domains_are_listed_by_name_page_by_page(void **state)
{
    struct world       *w = world_of(state);
    struct store_policy p = add(w, a_policy(STORE_SCOPE_GLOBAL, "Shared")),
                        other = add(w, a_policy(STORE_SCOPE_GLOBAL, "Other"));
    const char *names[] = {"c.example", "a.example", "b.example"};
    char        text[256] = "";

    for (size_t i = 0; i < COUNT(names); i++)
        OK(w, store_policy_assign(w->more, &root, p.id, add_domain(w, names[i]), &w->e));
    OK(w, store_policy_assign(w->more, &root, other.id, add_domain(w, "d.example"), &w->e));
    OK(w, store_policy_domains(w->more, p.id, SPAN_NONE, 2, each_name, text, &w->e));
    assert_string_equal(text, "a.example b.example ");
    text[0] = '\0';
    OK(w, store_policy_domains(w->more, p.id, SPAN("b.example"), 2, each_name, text, &w->e));
    assert_string_equal(text, "c.example ");
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(policies_are_listed_as_they_decide_with_what_is_in_them),
        STORE(there_is_one_default),
        STORE(a_name_is_unique_in_its_scope_alone),
        STORE(a_deleted_policy_takes_its_rules_and_assignments_with_it),
        STORE(only_what_makes_sense_is_stored),
        STORE(those_that_everybody_has_keep_their_name_and_their_lock),
        STORE(an_owner_cannot_make_an_allow_outrank_everybody_by_locking_it),
        STORE(what_a_global_policy_is_assigned_to_is_the_operators_to_say),
        STORE(its_domains_are_listed_by_name_page_by_page),
    };

    return run_on_both(tests, COUNT(tests));
}
