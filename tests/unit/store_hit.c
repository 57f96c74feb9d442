/* tests/unit/store_hit.c - twin of lib/store/hit.c and ordered.c. */
#include "store/hit.h"

#include "store_world.h"

static void hits_add_up_by_rule_entry_and_day(void **state)
{
    struct world    *w = world_of(state);
    struct store    *s = w->more;
    struct uuid      a = uuid7_make(), b = uuid7_make();
    struct store_hit hits[] = {{a, HIT_RULE, 10, 3, 1000},
                               {b, HIT_RULE, 10, 1, 5},
                               {a, 7, 10, 2, 1000},
                               {a, HIT_RULE, 11, 1, 2000},
                               {a, HIT_RULE, 10, 1, 900}};
    int64_t          count, last;

    OK(w, store_hits_add(s, hits, COUNT(hits), &w->e));
    OK(w, store_hits_add(s, hits, 1, &w->e));
    OK(w, store_hits_add(s, hits, 0, &w->e));
    OK(w, store_hits_of(s, a, 0, &count, &last, &w->e));
    assert_int_equal(count, 8);
    assert_int_equal(last, 2000);
    OK(w, store_hits_of(s, a, 11, &count, &last, &w->e));
    assert_int_equal(count, 1);
    OK(w, store_hits_of(s, uuid7_make(), 0, &count, &last, &w->e));
    assert_true(count == 0 && last == 0);
    OK(w, store_hits_trim(s, 11, &w->e));
    OK(w, store_hits_of(s, a, 0, &count, &last, &w->e));
    assert_int_equal(count, 1);
}

static int each_hit(void *ctx, const struct store_hit *h)
{
    char *text = ctx;

    sprintf(text + strlen(text), "%lld:%lld:%lld ", (long long)h->entry, (long long)h->count, (long long)h->last_us);
    return 0;
}

static void entries_are_counted_apart_from_their_rule(void **state)
{
    struct world    *w = world_of(state);
    struct uuid      a = uuid7_make();
    struct store_hit hits[] = {
        {a, HIT_RULE, 1, 9, 9}, {a, -5, 1, 1, 1}, {a, INT64_MAX, 1, 2, 3}, {a, INT64_MAX, 2, 2, 4}};
    char text[256] = "";

    OK(w, store_hits_add(w->more, hits, COUNT(hits), &w->e));
    OK(w, store_hits_entries(w->more, a, 0, each_hit, text, &w->e));
    assert_string_equal(text, "-5:1:1 9223372036854775807:4:4 ");
}

/* Each in an order of its own, over the same rows: nobody may be locked out for ever, and no hit may be lost. */
static void two_that_count_at_once_lose_nothing(void **state)
{
    enum { WRITERS = 2, RULES = 200, ROUNDS = 20 };
    struct world    *w = world_of(state);
    struct uuid      rules[RULES];
    struct store_hit hits[RULES];
    int64_t          count, last;
    pid_t            pids[WRITERS];
    int              status, ready[2], go[2];
    char             byte;

    assert_int_equal(pipe(ready) + pipe(go), 0);
    for (int i = 0; i < RULES; i++)
        rules[i] = uuid7_make();
    for (int p = 0; p < WRITERS; p++) {
        if ((pids[p] = fork()) != 0)
            continue;
        w->more = open_store(w);
        for (int i = 0; i < RULES; i++)
            hits[i] = (struct store_hit){rules[p ? i : RULES - 1 - i], HIT_RULE, 1, 1, 1};
        if (write(ready[1], "!", 1) != 1 || read(go[0], &byte, 1) != 1)
            _exit(1);
        for (int k = 0; k < ROUNDS; k++)
            OK(w, store_hits_add(w->more, hits, RULES, &w->e));
        _exit(0);
    }
    for (int p = 0; p < WRITERS; p++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(write(go[1], "!!", WRITERS), WRITERS);
    for (int p = 0; p < WRITERS; p++) {
        waitpid(pids[p], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
    for (int i = 0; i < RULES; i++) {
        OK(w, store_hits_of(w->more, rules[i], 0, &count, &last, &w->e));
        assert_int_equal(count, WRITERS * ROUNDS);
    }
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(hits_add_up_by_rule_entry_and_day),
        STORE(entries_are_counted_apart_from_their_rule),
        STORE(two_that_count_at_once_lose_nothing),
    };

    return run_on_both(tests, COUNT(tests));
}
