/* tests/unit/store_rule.c - twin of lib/store/rule.c and of what lies beside it. */
#include <pthread.h>

#include "store_world.h"

struct seen {
    int               n;
    struct uuid       last;
    char              names[4096];
    struct store_rule rule; /* of the last; its spans are gone */
    char              conditions[256], note[256];
};

static int each_rule(void *ctx, const struct store_rule *r)
{
    struct seen *seen = ctx;

    seen->n++;
    seen->last = r->id;
    seen->rule = *r;
    snprintf(seen->conditions, sizeof seen->conditions, "%.*s", SPAN_ARG(r->conditions));
    snprintf(seen->note, sizeof seen->note, "%.*s", SPAN_ARG(r->note));
    if (strlen(seen->names) + r->name.n + 2 < sizeof seen->names) {
        strncat(seen->names, r->name.p, r->name.n);
        strcat(seen->names, " ");
    }
    return 0;
}

static struct seen load(struct world *w, struct store_scope scope)
{
    struct seen seen = {0};

    OK(w, store_scope_load(w->more, scope, each_rule, &seen, &w->e));
    return seen;
}

static void a_rule_is_read_as_it_was_written(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        policy = policy_id(w, scope, POLICY_ENFORCED), id;
    struct store_rule  r = {.policy = policy,
                            .name = SPAN("Rechnungen \xc3\xa4"),
                            .note = SPAN("two\nlines"),
                            .action = RULE_ALLOW,
                            .flow = FLOW_FROM_OR_TO,
                            .priority = -7,
                            .enabled = true,
                            .test_only = true,
                            .expires_us = 1234567,
                            .conditions = SPAN("[{\"kind\":\"subject\",\"any\":[\"it's \\\"x\\\"\"]}]")};
    struct arena       a;
    struct store_rule  got;
    struct seen        seen;

    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    arena_init(&a, 1 << 20);
    OK(w, store_rule_get(w->more, id, &a, &got, &w->e));
    assert_true(span_eq(got.name, r.name) && span_eq(got.note, r.note) && span_eq(got.conditions, r.conditions));
    assert_true(got.action == r.action && got.flow == r.flow && got.priority == r.priority &&
                got.expires_us == r.expires_us);
    assert_true(got.enabled && !got.require_proof && got.test_only && got.locked && !got.is_default);
    assert_true(uuid_eq(&got.policy, &policy) && got.scope.kind == SCOPE_DOMAIN && uuid_eq(&got.scope.id, &scope.id));
    assert_true(span_is(got.policy_name, POLICY_ENFORCED) && got.policy_priority == POLICY_PRIORITY);
    seen = load(w, scope);
    assert_int_equal(seen.n, 1);
    assert_true(uuid_eq(&seen.last, &id) && seen.rule.expires_us == 1234567);
    assert_string_equal(seen.conditions, "[{\"kind\":\"subject\",\"any\":[\"it's \\\"x\\\"\"]}]");
    arena_fini(&a);
}

static void a_scope_is_loaded_without_what_is_switched_off(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct store_scope  scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid         rules = policy_id(w, scope, POLICY_RULES), enforced = policy_id(w, scope, POLICY_ENFORCED);
    struct uuid         off = add_rule(w, rules, "off");
    struct store_policy p;
    struct arena        a;
    struct store_rule   one;

    add_rule(w, rules, "on");
    add_rule(w, enforced, "enforced");
    add_rule(w, policy_id(w, store_scope_domain(add_domain(w, "other.example")), POLICY_RULES), "foreign");
    arena_init(&a, 1 << 20);
    OK(w, store_scope_load_one(s, off, &a, &one, &w->e));
    OK(w, store_rule_enable(s, &root, off, false, &w->e));
    assert_int_equal(load(w, scope).n, 2);
    REFUSED(w, ERR_NOT_FOUND, store_scope_load_one(s, off, &a, &one, &w->e));
    OK(w, store_policy_get(s, enforced, &p, &w->e));
    p.enabled = false;
    OK(w, store_policy_set(s, &root, &p, &w->e));
    assert_int_equal(load(w, scope).n, 1);
    OK(w, store_rule_enable(s, &root, off, true, &w->e));
    assert_int_equal(load(w, scope).n, 2);
    arena_fini(&a);
}

static void what_is_no_text_is_refused_alike(void **state)
{
    struct world     *w = world_of(state);
    struct uuid       policy = policy_id(w, store_scope_domain(add_domain(w, "ours.example")), POLICY_RULES), ignored;
    struct store_rule name = a_rule(policy, "a\nb"), note = a_rule(policy, "r"), conditions = note, nul = note,
                      none = note;

    note.note = SPAN("\xff");
    conditions.conditions = SPAN("[\"\xff\"]");
    nul.conditions = SPAN("[\"\0\"]");
    none.conditions = SPAN_NONE;
    REFUSED(w, ERR_INVALID, store_rule_add(w->more, &root, &name, &ignored, &w->e));
    REFUSED(w, ERR_INVALID, store_rule_add(w->more, &root, &note, &ignored, &w->e));
    REFUSED(w, ERR_INVALID, store_rule_add(w->more, &root, &conditions, &ignored, &w->e));
    REFUSED(w, ERR_INVALID, store_rule_add(w->more, &root, &nul, &ignored, &w->e));
    REFUSED(w, ERR_INVALID, store_rule_add(w->more, &root, &none, &ignored, &w->e));
}

static void a_changed_rule_stays_where_it_is(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        policy = policy_id(w, scope, POLICY_RULES), id = add_rule(w, policy, "old");
    struct store_rule  r = a_rule(policy_id(w, scope, POLICY_ENFORCED), "new"), got;
    struct arena       a;

    r.id = id;
    r.action = RULE_ALLOW;
    arena_init(&a, 1 << 20);
    OK(w, store_rule_set(w->more, &root, &r, &w->e));
    OK(w, store_rule_get(w->more, id, &a, &got, &w->e));
    assert_true(span_is(got.name, "new") && got.action == RULE_ALLOW && uuid_eq(&got.policy, &policy));
    OK(w, store_rule_delete(w->more, &root, id, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_rule_get(w->more, id, &a, &got, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_rule_delete(w->more, &root, id, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_rule_set(w->more, &root, &r, &w->e));
    arena_fini(&a);
}

static void a_rule_is_found_by_the_eight_digits_that_people_see(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        id = add_rule(w, policy_id(w, scope, POLICY_RULES), "a"), got;
    char               text[UUID_TEXT + 1];

    uuid_format(&id, text);
    OK(w, store_rule_find(w->more, span_of(text), &got, &w->e));
    assert_true(uuid_eq(&id, &got));
    OK(w, store_rule_find(w->more, span_of(text + UUID_TEXT - 8), &got, &w->e));
    assert_true(uuid_eq(&id, &got));
    text[UUID_TEXT - 1] = text[UUID_TEXT - 1] == '0' ? '1' : '0';
    REFUSED(w, ERR_NOT_FOUND, store_rule_find(w->more, span_of(text + UUID_TEXT - 8), &got, &w->e));
    REFUSED(w, ERR_INVALID, store_rule_find(w->more, SPAN("12345"), &got, &w->e));
    REFUSED(w, ERR_INVALID, store_rule_find(w->more, SPAN("1234567x"), &got, &w->e));
}

static void rules_are_listed_by_age_a_page_at_a_time(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        rules = policy_id(w, scope, POLICY_RULES), enforced = policy_id(w, scope, POLICY_ENFORCED);
    struct seen        seen = {0}, some = {0};

    for (char name[] = "a"; name[0] <= 'e'; name[0]++)
        add_rule(w, name[0] % 2 ? rules : enforced, name);
    OK(w, store_rule_list(w->more, scope, NULL, NULL, 3, each_rule, &seen, &w->e));
    assert_string_equal(seen.names, "a b c ");
    assert_string_equal(seen.note, "why");
    OK(w, store_rule_list(w->more, scope, NULL, &seen.last, 3, each_rule, &seen, &w->e));
    assert_string_equal(seen.names, "a b c d e ");
    OK(w, store_rule_list(w->more, scope, &enforced, NULL, 0, each_rule, &some, &w->e));
    assert_string_equal(some.names, "b d ");
    assert_int_equal(count_rules(w, scope), 5);
}

/* The names in the order in which they decide. */
struct ordered {
    struct {
        char    name[8];
        int32_t priority;
    } rules[16];
    int n;
};

static int each_ordered(void *ctx, const struct store_rule *r)
{
    struct ordered *o = ctx;
    int             i = o->n++;

    for (; i > 0 && o->rules[i - 1].priority > r->priority; i--)
        o->rules[i] = o->rules[i - 1];
    snprintf(o->rules[i].name, sizeof o->rules[i].name, "%.*s", SPAN_ARG(r->name));
    o->rules[i].priority = r->priority;
    return 0;
}

static const char *order_of(struct world *w, struct uuid policy, struct store_scope scope)
{
    static char    text[128];
    struct ordered o = {.n = 0};

    OK(w, store_rule_list(w->more, scope, &policy, NULL, 0, each_ordered, &o, &w->e));
    text[0] = 0;
    for (int i = 0; i < o.n; i++)
        strcat(text, o.rules[i].name);
    return text;
}

static void a_rule_is_moved_in_front_of_another_and_the_rest_keeps_its_order(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        rules = policy_id(w, scope, POLICY_RULES), id[5], other;

    for (int i = 0; i < 5; i++)
        id[i] = add_rule(w, rules, (char[]){(char)('a' + i), 0});
    other = add_rule(w, policy_id(w, scope, POLICY_ENFORCED), "x");
    OK(w, store_rule_move(w->more, &root, id[4], &id[0], &w->e));
    assert_string_equal(order_of(w, rules, scope), "eabcd");
    OK(w, store_rule_move(w->more, &root, id[0], NULL, &w->e));
    assert_string_equal(order_of(w, rules, scope), "ebcda");
    OK(w, store_rule_move(w->more, &root, id[2], &id[1], &w->e));
    assert_string_equal(order_of(w, rules, scope), "ecbda");
    for (int i = 0; i < 20; i++) { /* until there is no room between two any more */
        OK(w, store_rule_move(w->more, &root, id[i % 2 ? 1 : 2], &id[i % 2 ? 2 : 1], &w->e));
        assert_string_equal(order_of(w, rules, scope), i % 2 ? "ebcda" : "ecbda");
    }
    add_rule(w, rules, "n");
    assert_string_equal(order_of(w, rules, scope), "ebcdan");
    for (int i = 0; i < 20; i++)
        OK(w, store_rule_move(w->more, &root, id[i % 2 ? 0 : 3], NULL, &w->e));
    add_rule(w, rules, "l");
    assert_string_equal(order_of(w, rules, scope), "ebcndal");
    OK(w, store_rule_move(w->more, &root, id[3], &id[0], &w->e));
    OK(w, store_rule_move(w->more, &root, id[2], &id[3], &w->e));
    assert_string_equal(order_of(w, rules, scope), "ebncdal");
    REFUSED(w, ERR_CONFLICT, store_rule_move(w->more, &root, id[0], &other, &w->e));
    assert_string_equal(order_of(w, rules, scope), "ebncdal");
}

static void a_rule_goes_into_another_policy_of_its_scope_behind_those_there(void **state)
{
    struct world      *w = world_of(state);
    struct uuid        ours = add_domain(w, "ours.example");
    struct store_scope scope = store_scope_domain(ours), theirs = store_scope_domain(add_domain(w, "theirs.example"));
    struct uuid rules = policy_id(w, scope, POLICY_RULES), enforced = policy_id(w, scope, POLICY_ENFORCED), id[3],
                allowed;
    struct store_rule allow = a_rule(rules, "+");

    for (int i = 0; i < 3; i++)
        id[i] = add_rule(w, rules, (char[]){(char)('a' + i), 0});
    add_rule(w, enforced, "x");
    OK(w, store_rule_transfer(w->more, &owner, id[1], enforced, &w->e));
    OK(w, store_rule_transfer(w->more, &owner, id[0], enforced, &w->e));
    assert_string_equal(order_of(w, rules, scope), "c");
    assert_string_equal(order_of(w, enforced, scope), "xba");
    OK(w, store_rule_transfer(w->more, &owner, id[0], enforced, &w->e));
    assert_string_equal(order_of(w, enforced, scope), "xba");
    allow.action = RULE_ALLOW;
    OK(w, store_rule_add(w->more, &owner, &allow, &allowed, &w->e));
    REFUSED(w, ERR_DENIED, store_rule_transfer(w->more, &owner, allowed, enforced, &w->e));
    OK(w, store_rule_transfer(w->more, &root, allowed, enforced, &w->e));
    REFUSED(w, ERR_CONFLICT, store_rule_transfer(w->more, &root, id[2], policy_id(w, theirs, POLICY_RULES), &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_rule_transfer(w->more, &root, id[2], uuid7_make(), &w->e));
    assert_string_equal(order_of(w, rules, scope), "c");
}

static void the_quota_stops_people_and_not_the_operator(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna"), ignored;
    struct store_scope   scope = store_scope_domain(ours), mine = store_scope_mailbox(box);
    struct actor         boss = root;
    struct store_setting x = STORE_SETTING_NONE;
    struct store_rule    r = a_rule(policy_id(w, scope, POLICY_RULES), "r"),
                      own = a_rule(policy_id(w, mine, POLICY_RULES), "m");

    x.rules_max = 2;
    x.mailbox_rules_max = 1;
    OK(w, store_setting_set(s, &root, scope, &x, &w->e));
    for (int i = 0; i < 2; i++)
        OK(w, store_rule_add(s, &owner, &r, &ignored, &w->e));
    REFUSED(w, ERR_LIMIT, store_rule_add(s, &owner, &r, &ignored, &w->e));
    assert_non_null(strstr(w->e.text, "2 rules at most"));
    assert_int_equal(count_rules(w, scope), 2);
    OK(w, store_rule_add(s, &owner, &own, &ignored, &w->e));
    REFUSED(w, ERR_LIMIT, store_rule_add(s, &owner, &own, &ignored, &w->e));
    boss.over_quota = true;
    OK(w, store_rule_add(s, &boss, &r, &ignored, &w->e));
    assert_int_equal(count_rules(w, scope), 3);
}

/* ---- regexes without a fixed text ---- */

/* A rule with that many of them. */
static struct store_rule slow_rule(struct uuid policy, int n)
{
    static char       text[2][8 * SCOPE_SLOW_REGEX_MAX + 100];
    static int        turn;
    char             *to = text[turn++ % 2];
    struct store_rule r = a_rule(policy, "slow");
    size_t            at = (size_t)sprintf(to, "[{\"kind\":\"subject\",\"match\":\"regex\",\"any\":[");

    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(to + at, "%s\"a.%c\"", i > 0 ? "," : "", 'a' + i % 26);
    strcpy(to + at, "]}]");
    r.conditions = span_of(to);
    return r;
}

static void a_scope_gets_no_more_slow_regexes_than_are_tried(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct store_scope  scope = store_scope_domain(add_domain(w, "ours.example"));
    struct store_policy enforced = {0};
    struct uuid         rules = policy_id(w, scope, POLICY_RULES), id, one, off, ignored;
    struct store_rule   r = slow_rule(rules, SCOPE_SLOW_REGEX_MAX - 1), last = slow_rule(rules, 1);

    OK(w, store_policy_find(s, scope, SPAN(POLICY_ENFORCED), &enforced, &w->e));
    OK(w, store_rule_add(s, &root, &r, &id, &w->e));
    OK(w, store_rule_add(s, &root, &last, &one, &w->e));
    REFUSED(w, ERR_LIMIT, store_rule_add(s, &root, &last, &ignored, &w->e));
    assert_non_null(strstr(w->e.text, "101 regular expressions"));
    add_rule(w, rules, "quick");
    assert_int_equal(count_rules(w, scope), 3);

    r = slow_rule(rules, 2);
    r.id = one;
    REFUSED(w, ERR_LIMIT, store_rule_set(s, &root, &r, &w->e));
    last.id = one;
    OK(w, store_rule_set(s, &root, &last, &w->e));

    last.enabled = false;
    OK(w, store_rule_add(s, &root, &last, &off, &w->e));
    REFUSED(w, ERR_LIMIT, store_rule_enable(s, &root, off, true, &w->e));
    OK(w, store_rule_enable(s, &root, one, false, &w->e));
    OK(w, store_rule_enable(s, &root, off, true, &w->e));
    OK(w, store_rule_enable(s, &root, off, true, &w->e));

    enforced.enabled = false;
    OK(w, store_policy_set(s, &root, &enforced, &w->e));
    last = slow_rule(enforced.id, 1);
    OK(w, store_rule_add(s, &root, &last, &ignored, &w->e));
    REFUSED(w, ERR_LIMIT, store_rule_transfer(s, &root, ignored, rules, &w->e));
    enforced.enabled = true;
    REFUSED(w, ERR_LIMIT, store_policy_set(s, &root, &enforced, &w->e));
    OK(w, store_rule_delete(s, &root, off, &w->e));
    OK(w, store_policy_set(s, &root, &enforced, &w->e));
}

static void a_scope_with_too_many_slow_regexes_can_be_mended(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        rules = policy_id(w, scope, POLICY_RULES), id;
    struct store_rule  r = slow_rule(rules, 60);
    struct db_val      more[] = {dbv_text(r.conditions)};

    add_rule(w, rules, "quick");
    OK(w, store_rule_add(s, &root, &r, &id, &w->e));
    OK(w, db_run(s->main, "UPDATE rule SET conditions = $1 WHERE conditions <> $1", more, 1, NULL, &w->e));
    r = slow_rule(rules, 59);
    r.id = id;
    OK(w, store_rule_set(s, &root, &r, &w->e));
    r = slow_rule(rules, 61);
    r.id = id;
    REFUSED(w, ERR_LIMIT, store_rule_set(s, &root, &r, &w->e));
}

struct racer {
    struct world     *w;
    struct store     *s;
    struct store_rule rule;
    int               rc;
    struct err        e;
};

static void *add_last(void *arg)
{
    struct racer *x = arg;
    struct uuid   ignored;

    x->e = ERR_INIT;
    x->rc = store_rule_add(x->s, &owner, &x->rule, &ignored, &x->e);
    return NULL;
}

static void of_many_who_add_the_last_slow_regex_at_one_moment_one_does(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        rules = policy_id(w, scope, POLICY_RULES), ignored;
    struct store_rule  most = slow_rule(rules, SCOPE_SLOW_REGEX_MAX - 1);
    struct racer       x[8];
    pthread_t          threads[COUNT(x)];
    size_t             added = 0;

    OK(w, store_rule_add(w->more, &root, &most, &ignored, &w->e));
    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = (struct racer){.w = w, .s = open_store(w), .rule = slow_rule(rules, 1)};
    for (size_t i = 0; i < COUNT(x); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_last, &x[i]), 0);
    for (size_t i = 0; i < COUNT(x); i++) {
        pthread_join(threads[i], NULL);
        added += x[i].rc == 0;
        if (x[i].rc < 0)
            assert_int_equal(x[i].e.code, ERR_LIMIT);
        store_close(&x[i].s);
    }
    assert_int_equal(added, 1);
    assert_int_equal(count_rules(w, scope), 2);
}

static void an_owner_can_block_but_not_allow_in_what_is_enforced(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct store_rule  r = a_rule(policy_id(w, scope, POLICY_ENFORCED), "r");
    struct uuid        id, ignored;

    OK(w, store_rule_add(s, &owner, &r, &id, &w->e));
    r.action = RULE_ALLOW;
    REFUSED(w, ERR_DENIED, store_rule_add(s, &owner, &r, &ignored, &w->e));
    r.id = id;
    REFUSED(w, ERR_DENIED, store_rule_set(s, &owner, &r, &w->e));
    OK(w, store_rule_add(s, &root, &r, &ignored, &w->e));
}

static void global_rules_are_the_operators(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct store_policy p = {
        .scope = STORE_SCOPE_GLOBAL, .name = "All", .priority = 10, .locked = true, .enabled = true};
    struct uuid       policy, id, ignored;
    struct store_rule r;

    REFUSED(w, ERR_DENIED, store_policy_add(s, &owner, &p, &policy, &w->e));
    OK(w, store_policy_add(s, &root, &p, &policy, &w->e));
    r = a_rule(policy, "r");
    REFUSED(w, ERR_DENIED, store_rule_add(s, &owner, &r, &ignored, &w->e));
    id = add_rule(w, policy, "r");
    REFUSED(w, ERR_DENIED, store_rule_delete(s, &owner, id, &w->e));
    REFUSED(w, ERR_DENIED, store_rule_enable(s, &owner, id, false, &w->e));
    assert_int_equal(load(w, STORE_SCOPE_GLOBAL).n, 1);
}

/* ---- many at once ---- */

static void import_all(struct world *w, const struct uuid *policies, size_t npolicies, int64_t n)
{
    struct store_import *import = NULL;
    struct store_rule    r = a_rule(policies[0], "");
    char                 name[32];

    OK(w, store_import_begin(w->more, &root, policies, npolicies, &import, &w->e));
    for (int64_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%lld", (long long)i);
        r.name = span_of(name);
        r.policy = policies[(size_t)i % npolicies];
        OK(w, store_import_put(&import, &r, &w->e));
    }
    OK(w, store_import_commit(&import, &w->e));
    assert_null(import);
}

static int count_changes(void *ctx, const struct store_change *c)
{
    int *n = ctx;

    assert_int_equal(c->kind, CHANGE_RULE);
    assert_false(c->has_object);
    (*n)++;
    return 0;
}

static void an_import_is_one_change_a_scope_and_keeps_its_order(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope one = store_scope_domain(add_domain(w, "one.example")),
                       two = store_scope_domain(add_domain(w, "two.example"));
    struct uuid policies[] = {policy_id(w, one, POLICY_RULES), policy_id(w, one, POLICY_ENFORCED),
                              policy_id(w, two, POLICY_RULES)};
    struct seen seen = {0};
    int64_t     before = change_head(w);
    int         changes = 0;
    bool        gap;

    import_all(w, policies, COUNT(policies), 3000);
    assert_int_equal(change_head(w), before + 2);
    OK(w, store_changes(w->more, before, &gap, count_changes, &changes, &w->e));
    assert_int_equal(changes, 2);
    assert_int_equal(count_rules(w, one), 2000);
    assert_int_equal(count_rules(w, two), 1000);
    OK(w, store_rule_list(w->more, two, NULL, NULL, 4, each_rule, &seen, &w->e));
    assert_string_equal(seen.names, "2 5 8 11 ");
}

static void an_import_with_one_bad_rule_stores_none(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct store_scope   scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid          policy = policy_id(w, scope, POLICY_RULES);
    struct store_import *import = NULL;
    struct store_rule    r = a_rule(policy, "good");
    int64_t              before = change_head(w);

    OK(w, store_import_begin(s, &root, &policy, 1, &import, &w->e));
    for (int i = 0; i < 1500; i++)
        OK(w, store_import_put(&import, &r, &w->e));
    r.name = SPAN("bad\xff");
    REFUSED(w, ERR_INVALID, store_import_put(&import, &r, &w->e));
    assert_null(import);
    assert_int_equal(count_rules(w, scope), 0);
    assert_int_equal(change_head(w), before);
    OK(w, store_import_begin(s, &root, &policy, 1, &import, &w->e));
    r.name = SPAN("good");
    OK(w, store_import_put(&import, &r, &w->e));
    store_import_abort(&import);
    assert_int_equal(count_rules(w, scope), 0);
    import_all(w, &policy, 1, 10);
    assert_int_equal(count_rules(w, scope), 10);
}

static void an_import_keeps_the_quota_of_who_is_no_operator(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct store_scope   scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid          policy = policy_id(w, scope, POLICY_RULES);
    struct store_setting x = STORE_SETTING_NONE;
    struct store_import *import = NULL;
    struct store_rule    r = a_rule(policy, "r");

    x.rules_max = 99;
    OK(w, store_setting_set(s, &root, scope, &x, &w->e));
    OK(w, store_import_begin(s, &owner, &policy, 1, &import, &w->e));
    for (int i = 0; i < 100; i++)
        OK(w, store_import_put(&import, &r, &w->e));
    REFUSED(w, ERR_LIMIT, store_import_commit(&import, &w->e));
    assert_null(import);
    assert_int_equal(count_rules(w, scope), 0);
}

static void an_import_keeps_the_number_of_slow_regexes(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct store_scope   scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid          policies[] = {policy_id(w, scope, POLICY_RULES), policy_id(w, scope, POLICY_ENFORCED)};
    struct store_import *import = NULL;

    for (int over = 0; over < 2; over++) {
        OK(w, store_import_begin(s, &root, policies, 2, &import, &w->e));
        for (int i = 0; i < 2; i++) {
            struct store_rule r = slow_rule(policies[i], SCOPE_SLOW_REGEX_MAX / 2 + i * over);

            OK(w, store_import_put(&import, &r, &w->e));
        }
        if (over == 0) {
            OK(w, store_import_commit(&import, &w->e));
            assert_int_equal(count_rules(w, scope), 2);
            OK(w, db_run(s->main, "DELETE FROM rule", NULL, 0, NULL, &w->e));
        } else {
            REFUSED(w, ERR_LIMIT, store_import_commit(&import, &w->e));
        }
    }
    assert_int_equal(count_rules(w, scope), 0);
}

static void an_import_can_be_part_of_a_larger_change(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct store_scope scope;
    struct uuid        policy;

    OK(w, store_begin(s, &w->e));
    scope = store_scope_domain(add_domain(w, "ours.example"));
    policy = policy_id(w, scope, POLICY_RULES);
    import_all(w, &policy, 1, 10);
    store_rollback(s);
    assert_int_equal(count_rules(w, scope), 0);
    assert_int_equal(change_head(w), 0);
}

/* A process that dies in the middle of an import, as the system kills it. */
static void a_killed_import_leaves_nothing_half(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        policy = policy_id(w, scope, POLICY_RULES);
    int64_t            before = change_head(w);
    int                ready[2];
    char               c;
    pid_t              pid;

    assert_int_equal(pipe(ready), 0);
    if ((pid = fork()) == 0) {
        struct store        *s = NULL;
        struct store_import *import = NULL;
        struct store_rule    r = a_rule(policy, "r");

        if (store_open(w->url, STORE_EXISTING, &s, &w->e) < 0 ||
            store_import_begin(s, &root, &policy, 1, &import, &w->e) < 0)
            _exit(1);
        for (int i = 0; i < 5000; i++)
            store_import_put(&import, &r, &w->e);
        if (write(ready[1], "!", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    assert_int_equal(count_rules(w, scope), 0);
    assert_int_equal(change_head(w), before);
    add_rule(w, policy, "after");
    assert_int_equal(count_rules(w, scope), 1);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_rule_is_read_as_it_was_written),
        STORE(a_scope_is_loaded_without_what_is_switched_off),
        STORE(what_is_no_text_is_refused_alike),
        STORE(a_changed_rule_stays_where_it_is),
        STORE(a_rule_is_found_by_the_eight_digits_that_people_see),
        STORE(rules_are_listed_by_age_a_page_at_a_time),
        STORE(a_rule_is_moved_in_front_of_another_and_the_rest_keeps_its_order),
        STORE(a_rule_goes_into_another_policy_of_its_scope_behind_those_there),
        STORE(the_quota_stops_people_and_not_the_operator),
        STORE(a_scope_gets_no_more_slow_regexes_than_are_tried),
        STORE(a_scope_with_too_many_slow_regexes_can_be_mended),
        STORE(of_many_who_add_the_last_slow_regex_at_one_moment_one_does),
        STORE(an_owner_can_block_but_not_allow_in_what_is_enforced),
        STORE(global_rules_are_the_operators),
        STORE(an_import_is_one_change_a_scope_and_keeps_its_order),
        STORE(an_import_with_one_bad_rule_stores_none),
        STORE(an_import_keeps_the_quota_of_who_is_no_operator),
        STORE(an_import_keeps_the_number_of_slow_regexes),
        STORE(an_import_can_be_part_of_a_larger_change),
        STORE(a_killed_import_leaves_nothing_half),
    };

    return run_on_both(tests, COUNT(tests));
}
