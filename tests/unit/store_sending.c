/* tests/unit/store_sending.c - twin of lib/store/sending.c. */
#include "store/sending.h"

#include "store_world.h"

static struct store_limit limit(int64_t messages_hour, int64_t messages_day)
{
    struct store_limit l = STORE_LIMIT_NONE;

    l.of[LIMIT_MESSAGES_HOUR] = messages_hour;
    l.of[LIMIT_MESSAGES_DAY] = messages_day;
    return l;
}

static void a_limit_that_is_not_set_inherits_the_one_below(void **unused)
{
    struct store_limit global = limit(100, 1000), own = limit(-1, 0), holds;

    (void)unused;
    holds = store_limit_over(global, &own);
    assert_int_equal(holds.of[LIMIT_MESSAGES_HOUR], 100);
    assert_int_equal(holds.of[LIMIT_MESSAGES_DAY], 0);
    assert_int_equal(holds.of[LIMIT_RECIPIENTS_DAY], -1);
}

static int note_limit(void *ctx, struct store_scope scope, struct span name, bool whole, const struct store_limit *l)
{
    size_t used = strlen(ctx);

    snprintf((char *)ctx + used, 400 - used, "%s:%.*s:%d:%lld ", scope_kind_words[scope.kind], SPAN_ARG(name), whole,
             (long long)l->of[LIMIT_MESSAGES_HOUR]);
    return 0;
}

static void limits_are_kept_for_senders_and_for_a_domain_as_a_whole(void **state)
{
    struct world      *w = world_of(state);
    struct uuid        domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna");
    struct store_limit l, a = limit(10, -1), b = limit(20, -1), c = limit(500, -1), d = limit(5, -1);
    char               all[400] = "";
    int64_t            before = change_head(w);

    OK(w, store_limit_set(w->more, &root, STORE_SCOPE_GLOBAL, false, &a, &w->e));
    OK(w, store_limit_set(w->more, &root, store_scope_domain(domain), false, &b, &w->e));
    OK(w, store_limit_set(w->more, &root, store_scope_domain(domain), true, &c, &w->e));
    OK(w, store_limit_set(w->more, &root, store_scope_mailbox(anna), false, &d, &w->e));
    assert_int_equal(change_head(w), before + 4);
    OK(w, store_limit_get(w->more, store_scope_domain(domain), true, &l, &w->e));
    assert_int_equal(l.of[LIMIT_MESSAGES_HOUR], 500);
    OK(w, store_limit_list(w->more, note_limit, all, &w->e));
    assert_non_null(strstr(all, "global::0:10 "));
    assert_non_null(strstr(all, "domain:ours.example:0:20 domain:ours.example:1:500 "));
    assert_non_null(strstr(all, "mailbox:anna@ours.example:0:5 "));
    l = STORE_LIMIT_NONE;
    OK(w, store_limit_set(w->more, &root, store_scope_mailbox(anna), false, &l, &w->e));
    all[0] = '\0';
    OK(w, store_limit_list(w->more, note_limit, all, &w->e));
    assert_null(strstr(all, "mailbox:"));
}

static void limits_are_the_operators_to_set(void **state)
{
    struct world      *w = world_of(state);
    struct store_limit l = limit(10, -1), block = STORE_LIMIT_NONE;
    struct uuid        domain = add_domain(w, "ours.example");

    block.of[LIMIT_BLOCK_AFTER] = 3;
    REFUSED(w, ERR_DENIED, store_limit_set(w->more, &owner, STORE_SCOPE_GLOBAL, false, &l, &w->e));
    REFUSED(w, ERR_INVALID, store_limit_set(w->more, &root, STORE_SCOPE_GLOBAL, true, &l, &w->e));
    REFUSED(w, ERR_INVALID, store_limit_set(w->more, &root, store_scope_domain(domain), true, &block, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_limit_set(w->more, &root, store_scope_domain(uuid7_make()), false, &l, &w->e));
    OK(w, store_audit_verify(w->more, &(struct store_audit_verified){0}, &w->e));
}

static int note_blocked(void *ctx, const struct store_blocked *b)
{
    size_t used = strlen(ctx);

    snprintf((char *)ctx + used, 400 - used, "%.*s=%.*s by %.*s%s ", SPAN_ARG(b->login), SPAN_ARG(b->reason),
             SPAN_ARG(b->blocked_by), b->automatic ? " itself" : "");
    return 0;
}

static void a_blocked_sender_is_listed_with_the_reason_until_the_block_runs_out(void **state)
{
    struct world        *w = world_of(state);
    struct store_blocked anna = {.login = SPAN("Anna@Ours.Example"), .reason = SPAN("stolen password")},
                         bob = {.login = SPAN("bob"), .reason = SPAN("too much"), .automatic = true, .until_us = 1000};
    char all[400] = "";

    OK(w, store_blocked_put(w->more, &root, &anna, &w->e));
    OK(w, store_blocked_put(w->more, &root, &bob, &w->e));
    OK(w, store_blocked_list(w->more, 500, SPAN_NONE, 0, note_blocked, all, &w->e));
    assert_string_equal(all, "anna@ours.example=stolen password by root bob=too much by root itself ");
    all[0] = '\0';
    OK(w, store_blocked_list(w->more, 2000, SPAN_NONE, 0, note_blocked, all, &w->e));
    assert_string_equal(all, "anna@ours.example=stolen password by root ");
    OK(w, store_blocked_delete(w->more, &root, SPAN("ANNA@ours.example"), &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_blocked_delete(w->more, &root, SPAN("anna@ours.example"), &w->e));
    REFUSED(w, ERR_DENIED, store_blocked_put(w->more, &owner, &anna, &w->e));
    anna.login = SPAN("two\nlines");
    REFUSED(w, ERR_INVALID, store_blocked_put(w->more, &root, &anna, &w->e));
}

static int sum_up(void *ctx, const struct store_counter *c)
{
    *(int64_t *)ctx += c->value;
    return 0;
}

static void counters_of_several_nodes_add_up(void **state)
{
    struct world              *w = world_of(state);
    const struct store_counter rows[] = {
        {SPAN("sent.messages.hour"), SPAN("user:bob"), 3600, 2},
        {SPAN("sent.messages.hour"), SPAN("user:anna"), 3600, 5},
    };
    int64_t totals[2], sum = 0;

    OK(w, store_counters_add(w->more, rows, 2, totals, &w->e));
    OK(w, store_counters_add(w->more, rows, 2, totals, &w->e));
    assert_int_equal(totals[0], 4);
    assert_int_equal(totals[1], 10);
    OK(w, store_counters_of(w->more, 3600, sum_up, &sum, &w->e));
    assert_int_equal(sum, 14);
    sum = 0;
    OK(w, store_counters_list(w->more, SPAN("user:anna"), 0, sum_up, &sum, &w->e));
    assert_int_equal(sum, 10);
    OK(w, store_counters_trim(w->more, 3601, &w->e));
    sum = 0;
    OK(w, store_counters_of(w->more, 3600, sum_up, &sum, &w->e));
    assert_int_equal(sum, 0);
}

int main(void)
{
    const struct both_test tests[] = {
        BOTH(a_limit_that_is_not_set_inherits_the_one_below),
        STORE(limits_are_kept_for_senders_and_for_a_domain_as_a_whole),
        STORE(limits_are_the_operators_to_set),
        STORE(a_blocked_sender_is_listed_with_the_reason_until_the_block_runs_out),
        STORE(counters_of_several_nodes_add_up),
    };

    return run_on_both(tests, COUNT(tests));
}
