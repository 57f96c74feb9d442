/* tests/unit/store_change.c - twin of lib/store/change.c. */
#include "store/greylist.h"
#include "store/hit.h"
#include "store/learned.h"
#include "store_world.h"

struct seen {
    int64_t             n, first, last;
    struct store_change one;
};

static int each_change(void *ctx, const struct store_change *c)
{
    struct seen *seen = ctx;

    if (seen->n++ == 0)
        seen->first = c->seq;
    seen->last = c->seq;
    seen->one = *c;
    return 0;
}

static struct seen changes(struct world *w, int64_t after, bool *gap)
{
    struct seen seen = {0};

    OK(w, store_changes(w->more, after, gap, each_change, &seen, &w->e));
    return seen;
}

/* What the mutation just made wrote to the feed. */
static void check_change(struct world *w, const char *holds, int64_t before, enum change_kind kind,
                         struct store_scope scope, const struct uuid *object)
{
    bool        gap;
    struct seen seen = changes(w, before, &gap);

    CHECK(holds, !gap && seen.n == 1 && seen.first == before + 1);
    CHECK(holds, seen.one.kind == kind);
    CHECK(holds, seen.one.scope.kind == scope.kind && uuid_eq(&seen.one.scope.id, &scope.id));
    CHECK(holds, seen.one.has_object == (object != NULL));
    CHECK(holds, object == NULL || uuid_eq(&seen.one.object, object));
    CHECK(holds, seen.one.at_us > 0);
}

static void every_change_of_a_verdict_is_told_with_its_scope(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna"), id, policy;
    struct store_scope   domain = store_scope_domain(ours), mailbox = store_scope_mailbox(box);
    struct store_setting x = STORE_SETTING_NONE;
    struct store_policy  p = {.scope = STORE_SCOPE_GLOBAL, .name = "g", .enabled = true};
    struct store_learned l = {.mailbox = box,
                              .action = RULE_BLOCK,
                              .sender = SPAN("a@b.example"),
                              .proof = SPAN("dmarc"),
                              .expires_us = INT64_MAX};
    struct span          target = SPAN("anna@ours.example");
    struct store_domain  d;
    struct store_mailbox m;
    int64_t              at = change_head(w);

    id = add_rule(w, policy_id(w, domain, POLICY_RULES), "r");
    check_change(w, "a rule added", at++, CHANGE_RULE, domain, &id);
    OK(w, store_rule_enable(s, &root, id, false, &w->e));
    check_change(w, "a rule switched off", at++, CHANGE_RULE, domain, &id);
    OK(w, store_rule_delete(s, &root, id, &w->e));
    check_change(w, "a rule deleted", at++, CHANGE_RULE, domain, &id);
    OK(w, store_policy_add(s, &root, &p, &policy, &w->e));
    check_change(w, "a policy added", at++, CHANGE_POLICY, STORE_SCOPE_GLOBAL, &policy);
    OK(w, store_policy_assign(s, &root, policy, ours, &w->e));
    check_change(w, "a policy assigned", at++, CHANGE_ASSIGNMENT, domain, &policy);
    OK(w, store_policy_unassign(s, &root, policy, ours, &w->e));
    check_change(w, "a policy unassigned", at++, CHANGE_ASSIGNMENT, domain, &policy);
    OK(w, store_policy_get(s, policy, &p, &w->e));
    p.locked = true;
    OK(w, store_policy_set(s, &root, &p, &w->e));
    check_change(w, "a policy locked", at++, CHANGE_POLICY, STORE_SCOPE_GLOBAL, &policy);
    OK(w, store_policy_delete(s, &root, policy, &w->e));
    check_change(w, "a policy deleted", at++, CHANGE_POLICY, STORE_SCOPE_GLOBAL, &policy);
    x.reject = 20;
    OK(w, store_setting_set(s, &root, domain, &x, &w->e));
    check_change(w, "a threshold", at++, CHANGE_SETTING, domain, NULL);
    OK(w, store_learned_put(s, &root, &l, &id, &w->e));
    check_change(w, "a sender learned", at++, CHANGE_LEARNED, mailbox, &id);
    OK(w, store_learned_delete(s, &root, id, &w->e));
    check_change(w, "a sender forgotten", at++, CHANGE_LEARNED, mailbox, &id);
    OK(w, store_address_add(s, &root, ours, SPAN("info"), ADDRESS_ALIAS, &target, 1, &id, &w->e));
    check_change(w, "an address added", at++, CHANGE_ADDRESS, domain, &id);
    OK(w, store_address_delete(s, &root, id, &w->e));
    check_change(w, "an address deleted", at++, CHANGE_ADDRESS, domain, &id);
    OK(w, store_mailbox_get(s, box, &m, &w->e));
    m.enabled = false;
    OK(w, store_mailbox_set(s, &root, &m, &w->e));
    check_change(w, "a mailbox switched off", at++, CHANGE_MAILBOX, mailbox, &ours);
    OK(w, store_mailbox_delete(s, &root, box, &w->e));
    check_change(w, "a mailbox deleted", at++, CHANGE_MAILBOX, mailbox, &ours);
    OK(w, store_domain_alias_add(s, &root, ours, SPAN("also.example"), &w->e));
    check_change(w, "another name", at++, CHANGE_DOMAIN, domain, NULL);
    OK(w, store_domain_get(s, ours, &d, &w->e));
    d.state = DOMAIN_DISABLED;
    OK(w, store_domain_set(s, &root, &d, &w->e));
    check_change(w, "a domain switched off", at++, CHANGE_DOMAIN, domain, NULL);
    OK(w, store_domain_delete(s, &root, ours, &w->e));
    check_change(w, "a domain deleted", at++, CHANGE_DOMAIN, domain, NULL);
}

static void counting_does_not_move_the_feed(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna"), id;
    struct store_learned l = {
        .mailbox = box, .action = RULE_BLOCK, .sender = SPAN("a@b.example"), .proof = SPAN("dmarc"), .expires_us = 5};
    struct store_hit     hit = {.rule = ours, .day = 1, .count = 1, .last_us = 1};
    struct store_grey    grey = {.kind = GREY_PAIR, .key = {1}};
    struct store_account a = {.login = "anna@ours.example", .active = true};
    int64_t              at;

    OK(w, store_learned_put(s, &root, &l, &id, &w->e));
    at = change_head(w);
    OK(w, store_learned_touch(s, &id, 1, 99, &w->e));
    OK(w, store_hits_add(s, &hit, 1, &w->e));
    OK(w, store_grey_put(s, &grey, 1, &w->e));
    OK(w, store_account_add(s, &root, &a, &id, &w->e));
    OK(w, store_audit_note(s, &root, "body.open", "message", NULL, STORE_SCOPE_GLOBAL, SPAN("{}"), &w->e));
    assert_int_equal(change_head(w), at);
}

static void what_failed_or_was_rolled_back_is_not_told(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct store_rule  r = a_rule(policy_id(w, scope, POLICY_RULES), "\xff");
    struct uuid        ignored;
    int64_t            at = change_head(w);
    bool               gap;

    REFUSED(w, ERR_INVALID, store_rule_add(s, &root, &r, &ignored, &w->e));
    OK(w, store_begin(s, &w->e));
    add_rule(w, r.policy, "gone");
    store_rollback(s);
    assert_int_equal(change_head(w), at);
    assert_int_equal(changes(w, at, &gap).n, 0);
    assert_false(gap);
    add_rule(w, r.policy, "stays");
    assert_int_equal(change_head(w), at + 1);
}

static void who_is_too_far_behind_is_told_to_start_again(void **state)
{
    static const char trim_sql[] = "DELETE FROM change WHERE seq <= $1";
    struct world     *w = world_of(state);
    struct store     *s = w->more;
    int64_t           head;
    bool              gap;

    for (char name[] = "a.example"; name[0] <= 'e'; name[0]++)
        add_domain(w, name);
    head = change_head(w);
    OK(w, db_run(s->main, trim_sql, (struct db_val[]){dbv_i64(head - 3)}, 1, NULL, &w->e));
    assert_int_equal(changes(w, head - 3, &gap).n, 3);
    assert_false(gap);
    changes(w, head - 4, &gap);
    assert_true(gap);
    changes(w, 0, &gap);
    assert_true(gap);
    changes(w, head, &gap);
    assert_false(gap);
    changes(w, head + 1, &gap); /* the database is older than the reader: a backup was put back */
    assert_true(gap);
    OK(w, db_run(s->main, trim_sql, (struct db_val[]){dbv_i64(head)}, 1, NULL, &w->e));
    changes(w, head - 1, &gap);
    assert_true(gap);
    changes(w, head, &gap);
    assert_false(gap);
}

static void old_changes_are_forgotten_by_themselves(void **state)
{
    static const char age_sql[] = "UPDATE change SET at_us = 0 WHERE seq <= $1",
                      count_sql[] = "SELECT COUNT(*) FROM change";
    struct world *w = world_of(state);
    struct store *s = w->more;

    OK(w, store_begin(s, &w->e));
    for (int i = 0; i < 499; i++)
        OK(w, store_change_note(s, CHANGE_SETTING, STORE_SCOPE_GLOBAL, NULL, &w->e));
    OK(w, store_commit(s, &w->e));
    OK(w, db_run(s->main, age_sql, (struct db_val[]){dbv_i64(400)}, 1, NULL, &w->e));
    OK(w, store_change_note(s, CHANGE_SETTING, STORE_SCOPE_GLOBAL, NULL, &w->e));
    assert_int_equal(db_number(w, s->main, count_sql), 100);
}

enum { WRITERS = 2, EACH = 60 };

/* Two processes write; a reader that follows the feed meanwhile must never see a number after a later one, nor a
 * hole that is filled behind its back. */
static void two_writers_and_a_reader_agree_on_the_order(void **state)
{
    struct world      *w = world_of(state);
    struct store_scope scope = store_scope_domain(add_domain(w, "ours.example"));
    struct uuid        policy = policy_id(w, scope, POLICY_RULES);
    int64_t            at = change_head(w), end = at + WRITERS * EACH, until = clock_mono_us() + 60 * INT64_C(1000000);
    pid_t              pids[WRITERS];
    int                status;

    for (int i = 0; i < WRITERS; i++) {
        if ((pids[i] = fork()) != 0)
            continue;
        w->more = open_store(w);
        for (int k = 0; k < EACH; k++)
            add_rule(w, policy, "r");
        _exit(0);
    }
    while (at < end && clock_mono_us() < until) {
        bool        gap;
        struct seen seen = changes(w, at, &gap);

        assert_false(gap);
        if (seen.n == 0)
            continue;
        assert_int_equal(seen.first, at + 1);
        assert_int_equal(seen.last, at + seen.n);
        at = seen.last;
    }
    assert_int_equal(at, end);
    for (int i = 0; i < WRITERS; i++) {
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(count_rules(w, scope), WRITERS * EACH);
}

/* Reads a rule's priority and writes it back one higher, in one transaction. */
static void raise_priority(struct world *w, struct store *s, struct uuid id)
{
    struct store_rule r;
    struct arena      a;

    arena_init(&a, 1 << 20);
    OK(w, store_begin(s, &w->e));
    OK(w, store_change_hold(s, &w->e));
    OK(w, store_rule_get(s, id, &a, &r, &w->e));
    r.priority++;
    OK(w, store_rule_set(s, &root, &r, &w->e));
    OK(w, store_commit(s, &w->e));
    arena_fini(&a);
}

static void who_reads_behind_the_hold_loses_nobodys_change(void **state)
{
    struct world *w = world_of(state);
    struct uuid   id = add_rule(w, policy_id(w, store_scope_domain(add_domain(w, "ours.example")), POLICY_RULES), "r");
    struct store_rule r;
    struct arena      a;
    pid_t             pids[WRITERS];
    int               status;

    for (int i = 0; i < WRITERS; i++) {
        struct store *s;

        if ((pids[i] = fork()) != 0)
            continue;
        s = open_store(w);
        for (int k = 0; k < EACH; k++)
            raise_priority(w, s, id);
        _exit(0);
    }
    for (int i = 0; i < WRITERS; i++) {
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    arena_init(&a, 1 << 20);
    OK(w, store_rule_get(w->more, id, &a, &r, &w->e));
    assert_int_equal(r.priority, RULE_PRIORITY + WRITERS * EACH);
    arena_fini(&a);
}

static void a_change_wakes_who_waits_for_it(void **state)
{
    struct world *w = world_of(state);
    struct store *waiter = open_store(w);

    while (db_wait_change(waiter->main, 0, &w->e) == 1)
        ;
    assert_int_equal(db_wait_change(waiter->main, 50, &w->e), 0);
    add_domain(w, "ours.example");
    assert_int_equal(db_wait_change(waiter->main, 2000, &w->e), 1);
    store_close(&waiter);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(every_change_of_a_verdict_is_told_with_its_scope), STORE(counting_does_not_move_the_feed),
        STORE(what_failed_or_was_rolled_back_is_not_told),       STORE(who_is_too_far_behind_is_told_to_start_again),
        STORE(old_changes_are_forgotten_by_themselves),          STORE(two_writers_and_a_reader_agree_on_the_order),
        STORE(who_reads_behind_the_hold_loses_nobodys_change),   STORE(a_change_wakes_who_waits_for_it),
    };

    return run_on_both(tests, COUNT(tests));
}
