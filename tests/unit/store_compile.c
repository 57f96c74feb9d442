/* tests/unit/store_compile.c - twin of lib/store/compile.c. */
#include "store/compile.h"

#include "rulesd_world.h"
#include "store/learned.h"

/* What was left out, and when to stop. */
struct report {
    size_t      left_out;
    struct uuid rule;
    bool        stop;
};

static void count_left_out(void *ctx, const struct uuid *rule, const struct err *e)
{
    struct report *r = ctx;

    assert_true(e->text[0] != '\0');
    r->left_out++;
    r->rule = *rule;
}

static bool says_stop(void *ctx) { return ((struct report *)ctx)->stop; }

static struct scope *compiled(struct world *w, struct store_scope scope, struct report *report)
{
    struct compile_how how = {.left_out = count_left_out, .stop = says_stop, .ctx = report};
    struct scope      *s = NULL;

    OK(w, store_scope_compile(w->more, scope, &how, &s, &w->e));
    assert_non_null(s);
    return s;
}

static void a_scope_holds_the_enabled_rules_of_its_policies(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        rules = policy_id(w, scope, POLICY_RULES), enforced = policy_id(w, scope, POLICY_ENFORCED), off;
    struct report      report = {0};
    struct match       m;
    struct scope      *s;

    add_block(w, w->more, rules, "a@spam.example");
    add_block(w, w->more, enforced, "b@spam.example");
    off = add_block(w, w->more, rules, "c@spam.example");
    OK(w, store_rule_enable(w->more, &root, off, false, &w->e));
    s = compiled(w, scope, &report);
    assert_int_equal(scope_nrules(s), 2);
    assert_true(applies(s, "a@spam.example", &m));
    assert_false(m.policy->locked);
    assert_true(applies(s, "b@spam.example", &m));
    assert_true(m.policy->locked);
    assert_string_equal(m.policy->name, POLICY_ENFORCED);
    assert_false(applies(s, "c@spam.example", NULL));
    assert_int_equal(scope_at_change(s), change_head(w));
    assert_int_equal(report.left_out, 0);
    scope_drop(&s);
}

static void a_scope_without_rules_is_a_scope(void **state)
{
    struct world *w = world_of(state);
    struct report report = {0};
    struct scope *s = compiled(w, STORE_SCOPE_GLOBAL, &report);

    assert_int_equal(scope_nrules(s), 0);
    assert_false(applies(s, "a@spam.example", NULL));
    scope_drop(&s);
}

static void a_damaged_rule_is_left_out_and_reported_and_the_others_decide(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        rules = policy_id(w, scope, POLICY_RULES), damaged;
    struct store      *store = w->more;
    struct report      report = {0};
    struct scope      *s;

    damaged = add_block(w, store, rules, "a@spam.example");
    add_block(w, store, rules, "b@spam.example");
    OK(w, db_script(store->main, "UPDATE rule SET conditions = '[{\"kind\":\"sphinx\"' WHERE name = 'a@spam.example'",
                    &w->e));
    s = compiled(w, scope, &report);
    assert_int_equal(scope_nrules(s), 1);
    assert_true(applies(s, "b@spam.example", NULL));
    assert_int_equal(report.left_out, 1);
    assert_true(uuid_eq(&report.rule, &damaged));
    scope_drop(&s);
}

static void learned_senders_are_a_policy_of_their_own(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          domain = add_domain(w, "ours.example"), box = add_mailbox(w, domain, "anna"), id;
    struct store_scope   scope = store_scope_mailbox(box);
    struct store_learned l = {.mailbox = box,
                              .action = RULE_BLOCK,
                              .sender = SPAN("*@\"odd\\\".example"),
                              .proof = SPAN("dmarc"),
                              .expires_us = clock_wall_us() + INT64_C(1000000000)};
    struct report        report = {0};
    struct match         m;
    struct scope        *s;

    OK(w, store_learned_put(w->more, &root, &l, &id, &w->e)); /* what cannot be read harms nobody */
    l.sender = SPAN("news@shop.example");
    OK(w, store_learned_put(w->more, &root, &l, &id, &w->e));
    add_block(w, w->more, policy_id(w, scope, POLICY_RULES), "a@spam.example");
    s = compiled(w, scope, &report);
    assert_true(applies(s, "news@shop.example", &m));
    assert_true(m.policy->learned);
    assert_true(uuid_eq(&m.id, &id));
    assert_true(applies(s, "a@spam.example", &m));
    assert_false(m.policy->learned);
    scope_drop(&s);
}

static void a_scope_over_its_limit_is_refused(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct compile_how how = {.rules_max = 10};
    struct scope      *s = NULL;

    add_many(w, w->more, policy_id(w, scope, POLICY_RULES), 10);
    OK(w, store_scope_compile(w->more, scope, &how, &s, &w->e));
    scope_drop(&s);
    add_block(w, w->more, policy_id(w, scope, POLICY_RULES), "a@spam.example");
    REFUSED(w, ERR_LIMIT, store_scope_compile(w->more, scope, &how, &s, &w->e));
    assert_null(s);
}

static void compiling_stops_when_nobody_wants_it_any_more(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct report      report = {.stop = true};
    struct compile_how how = {.stop = says_stop, .ctx = &report};
    struct scope      *s = NULL;

    add_many(w, w->more, policy_id(w, scope, POLICY_RULES), 5);
    REFUSED(w, ERR_BUSY, store_scope_compile(w->more, scope, &how, &s, &w->e));
    assert_null(s);
}

static int only_seq(void *ctx, const struct uuid *rule, int64_t seq)
{
    (void)rule;
    *(int64_t *)ctx = seq;
    return 0;
}

static void a_patch_makes_of_the_old_scope_what_compiling_anew_would(void **state)
{
    struct world       *w = world_of(state);
    struct store_scope  scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid         rules = policy_id(w, scope, POLICY_RULES), gone, changed, off, added;
    struct report       report = {0};
    struct compile_how  how = {.left_out = count_left_out, .ctx = &report};
    struct scope_patch *p = scope_patch_new(&how);
    struct scope       *base, *over = NULL;
    struct store_rule   r = a_rule(rules, "changed");
    int64_t             seq = 0;

    gone = add_block(w, w->more, rules, "gone@spam.example");
    changed = add_block(w, w->more, rules, "before@spam.example");
    off = add_block(w, w->more, rules, "off@spam.example");
    add_block(w, w->more, rules, "same@spam.example");
    base = compiled(w, scope, &report);

    OK(w, store_rule_delete(w->more, &root, gone, &w->e));
    r.id = changed;
    r.conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"after@spam.example\"]}]");
    OK(w, store_rule_set(w->more, &root, &r, &w->e));
    OK(w, store_rule_enable(w->more, &root, off, false, &w->e));
    added = add_block(w, w->more, rules, "added@spam.example");

    OK(w, scope_patch_read(p, w->more, &gone, 11, &w->e));
    OK(w, scope_patch_read(p, w->more, &changed, 12, &w->e));
    OK(w, scope_patch_read(p, w->more, &off, 13, &w->e));
    OK(w, scope_patch_read(p, w->more, &added, 14, &w->e));
    OK(w, scope_patch_read(p, w->more, &added, 15, &w->e));
    assert_int_equal(scope_patch_size(p), 5);
    assert_int_equal(scope_patch_each(p, 14, only_seq, &seq), 0);
    assert_int_equal(seq, 15);
    OK(w, scope_patch_apply(p, scope, base, &over, &w->e));

    assert_false(applies(over, "gone@spam.example", NULL));
    assert_false(applies(over, "before@spam.example", NULL));
    assert_true(applies(over, "after@spam.example", NULL));
    assert_false(applies(over, "off@spam.example", NULL));
    assert_true(applies(over, "added@spam.example", NULL));
    assert_true(applies(over, "same@spam.example", NULL));
    assert_int_equal(scope_nrules(over), 3);
    assert_true(applies(base, "gone@spam.example", NULL)); /* what holds elsewhere stays as it is */
    scope_drop(&over);
    scope_drop(&base);
    scope_patch_free(&p);
}

static void a_rule_that_a_patch_cannot_read_is_gone_and_reported(void **state)
{
    struct world       *w = world_of(state);
    struct store_scope  scope = store_scope_domain(add_domain(w, "ours.example"));
    struct report       report = {0};
    struct compile_how  how = {.left_out = count_left_out, .ctx = &report};
    struct scope_patch *p = scope_patch_new(&how);
    struct store       *store = w->more;
    struct uuid         id = add_block(w, store, policy_id(w, scope, POLICY_RULES), "a@spam.example");
    struct scope       *base = compiled(w, scope, &report), *over = NULL;

    OK(w, db_script(store->main, "UPDATE rule SET conditions = 'nonsense'", &w->e));
    OK(w, scope_patch_read(p, store, &id, 1, &w->e));
    OK(w, scope_patch_apply(p, scope, base, &over, &w->e));
    assert_int_equal(report.left_out, 1);
    assert_false(applies(over, "a@spam.example", NULL));
    scope_drop(&over);
    scope_drop(&base);
    scope_patch_free(&p);
}

struct larges {
    size_t             n;
    struct store_scope scope;
};

static int each_large(void *ctx, struct store_scope scope, int64_t rules)
{
    struct larges *l = ctx;

    assert_int_equal(rules, 8);
    l->n++;
    l->scope = scope;
    return 0;
}

static void large_scopes_are_found(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope large = store_scope_domain(add_domain(w, "large.example")),
                       small = store_scope_domain(add_domain(w, "small.example"));
    struct larges l = {0};

    add_many(w, w->more, policy_id(w, large, POLICY_RULES), 5);
    add_many(w, w->more, policy_id(w, large, POLICY_ENFORCED), 3);
    add_many(w, w->more, policy_id(w, small, POLICY_RULES), 7);
    OK(w, store_scopes_large(w->more, 7, each_large, &l, &w->e));
    assert_int_equal(l.n, 1);
    assert_int_equal(l.scope.kind, SCOPE_DOMAIN);
    assert_true(uuid_eq(&l.scope.id, &large.id));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_scope_holds_the_enabled_rules_of_its_policies),
        STORE(a_scope_without_rules_is_a_scope),
        STORE(a_damaged_rule_is_left_out_and_reported_and_the_others_decide),
        STORE(learned_senders_are_a_policy_of_their_own),
        STORE(a_scope_over_its_limit_is_refused),
        STORE(compiling_stops_when_nobody_wants_it_any_more),
        STORE(a_patch_makes_of_the_old_scope_what_compiling_anew_would),
        STORE(a_rule_that_a_patch_cannot_read_is_gone_and_reported),
        STORE(large_scopes_are_found),
    };

    return run_on_both(tests, COUNT(tests));
}
