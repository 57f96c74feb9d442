/* tests/unit/rulesd_feed.c - twin of rulesd/feed.c. */
#include "../../rulesd/feed.h"

#include <stdatomic.h>

#include "rulesd_world.h"

#define SLOW_MS 10000

/* What the feed told. The numbers are written by its thread, and read here when `n` says so. */
struct told {
    int64_t       seqs[1000];
    atomic_size_t n, gaps, ticks;
};

static void told_change(void *ctx, const struct store_change *c)
{
    struct told *t = ctx;
    size_t       n = atomic_load(&t->n);

    t->seqs[n % COUNT(t->seqs)] = c->seq;
    atomic_store(&t->n, n + 1);
}

static void told_gap(void *ctx) { atomic_fetch_add(&((struct told *)ctx)->gaps, 1); }

static void told_tick(void *ctx, bool away)
{
    (void)away;
    atomic_fetch_add(&((struct told *)ctx)->ticks, 1);
}

static struct feed *feed_on(struct world *w, struct told *t)
{
    struct feed_sink sink = {told_change, told_gap, told_tick, t};
    struct feed     *f = NULL;

    OK(w, feed_new(w->url, &sink, &f, &w->e));
    return f;
}

static void every_change_is_told_once_and_in_order(void **state)
{
    struct world *w = world_of(state);
    struct told   t = {0};
    struct uuid domain = add_domain(w, "ours.example"), policy = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    struct feed *f = feed_on(w, &t);
    int64_t      before = change_head(w);

    for (int i = 0; i < 50; i++)
        add_block(w, w->more, policy, "a@spam.example");
    SOON(SLOW_MS, feed_seq(f) == change_head(w));
    feed_free(&f);
    assert_int_equal(atomic_load(&t.n), 50);
    for (int i = 0; i < 50; i++)
        assert_int_equal(t.seqs[i], before + 1 + i);
    assert_int_equal(atomic_load(&t.gaps), 0);
}

static void a_change_is_told_within_a_tenth_of_a_second(void **state)
{
    struct world *w = world_of(state);
    struct told   t = {0};
    struct uuid domain = add_domain(w, "ours.example"), policy = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    struct feed *f = feed_on(w, &t);

    for (size_t i = 1; i <= 5; i++) {
        add_block(w, w->more, policy, "a@spam.example");
        SOON(100, atomic_load(&t.n) == i);
    }
    feed_free(&f);
}

static void what_was_before_the_start_is_not_told(void **state)
{
    struct world *w = world_of(state);
    struct told   t = {0};
    struct feed  *f;

    add_domain(w, "ours.example");
    f = feed_on(w, &t);
    assert_int_equal(feed_seq(f), change_head(w));
    SOON(SLOW_MS, atomic_load(&t.ticks) >= 3);
    feed_free(&f);
    assert_int_equal(atomic_load(&t.n), 0);
}

static const struct {
    const char *holds, *sql;
} gaps[] = {
    {"rows that are gone", "DELETE FROM change; UPDATE change_head SET seq = seq + 10"},
    {"a hole in the middle", "DELETE FROM change WHERE seq = (SELECT MAX(seq) FROM change)"},
    {"a database restored from a backup", "DELETE FROM change; UPDATE change_head SET seq = 1"},
};

static void a_gap_is_told_and_what_follows_it_is_too(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct uuid domain = add_domain(w, "ours.example"), policy = policy_id(w, store_scope_domain(domain), POLICY_RULES);

    for (size_t i = 0; i < COUNT(gaps); i++) {
        struct told  t = {0};
        struct feed *f = feed_on(w, &t);

        OK(w, store_begin(s, &w->e)); /* the feed sees all of it at once */
        add_block(w, s, policy, "a@spam.example");
        add_block(w, s, policy, "b@spam.example");
        OK(w, db_script(s->main, gaps[i].sql, &w->e));
        add_block(w, s, policy, "c@spam.example");
        OK(w, store_commit(s, &w->e));
        SOON(SLOW_MS, atomic_load(&t.gaps) > 0 && feed_seq(f) == change_head(w));
        CHECK(gaps[i].holds, atomic_load(&t.gaps) == 1);
        atomic_store(&t.n, 0);
        add_block(w, s, policy, "d@spam.example");
        SOON(SLOW_MS, atomic_load(&t.n) == 1);
        feed_free(&f);
        CHECK(gaps[i].holds, t.seqs[0] == change_head(w));
    }
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(every_change_is_told_once_and_in_order),
        STORE(a_change_is_told_within_a_tenth_of_a_second),
        STORE(what_was_before_the_start_is_not_told),
        STORE(a_gap_is_told_and_what_follows_it_is_too),
    };

    return run_on_both(tests, COUNT(tests));
}
