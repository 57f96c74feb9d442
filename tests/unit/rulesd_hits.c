/* tests/unit/rulesd_hits.c - twin of rulesd/hits.c. */
#include "../../rulesd/hits.h"

#include <pthread.h>

#include "rulesd_world.h"
#include "store/hit.h"
#include "store/learned.h"

#define DAY_US (86400 * INT64_C(1000000))
#define SLOW_MS 10000

static struct hits *hits_on(struct world *w)
{
    struct settings settings = settings_of(w);
    struct hits    *h = NULL;

    OK(w, hits_new(&settings, &h, &w->e));
    return h;
}

static int64_t count_of(struct world *w, struct uuid rule, int64_t *last_us)
{
    int64_t n = -1, last = 0;

    OK(w, store_hits_of(w->more, rule, 0, &n, last_us ? last_us : &last, &w->e));
    return n;
}

static int each_entry(void *ctx, const struct store_hit *h)
{
    ((int64_t *)ctx)[h->entry] += h->count;
    return 0;
}

static void hits_of_a_rule_and_of_its_entries_are_written_within_seconds(void **state)
{
    struct world *w = world_of(state);
    struct hits  *h = hits_on(w);
    struct match  m = {.id = uuid7_make(), .why = WHY_APPLIED};
    int64_t       entries[8] = {0}, last = 0;

    for (uint32_t i = 0; i < 5; i++) {
        m.entry = i % 2;
        hits_count(h, &m, 10 * DAY_US + i);
    }
    SOON(SLOW_MS, count_of(w, m.id, &last) == 5);
    assert_int_equal(last, 10 * DAY_US + 4);
    OK(w, store_hits_entries(w->more, m.id, 0, each_entry, entries, &w->e));
    assert_int_equal(entries[1], 3);
    assert_int_equal(entries[2], 2);
    SOON(SLOW_MS, hits_waiting(h) == 0);
    hits_count(h, &m, 11 * DAY_US);
    SOON(SLOW_MS, count_of(w, m.id, NULL) == 6);
    hits_free(&h);
}

static void a_clean_stop_loses_nothing(void **state)
{
    struct world *w = world_of(state);
    struct hits  *h = hits_on(w);
    struct match  m = {.id = uuid7_make(), .why = WHY_TEST_ONLY};

    for (int i = 0; i < 1000; i++)
        hits_count(h, &m, DAY_US);
    hits_free(&h);
    assert_null(h);
    assert_int_equal(count_of(w, m.id, NULL), 1000);
}

static void what_did_not_apply_is_not_counted(void **state)
{
    static const enum match_why not [] = {WHY_NOT_PROVEN, WHY_UNKNOWN, WHY_FALSE, WHY_EXPIRED, WHY_FLOW};
    struct world *w = world_of(state);
    struct hits  *h = hits_on(w);
    struct match  m = {.id = uuid7_make()};

    for (size_t i = 0; i < COUNT(not ); i++) {
        m.why = not [i];
        hits_count(h, &m, DAY_US);
    }
    assert_int_equal(hits_waiting(h), 0);
    hits_free(&h);
    assert_int_equal(count_of(w, m.id, NULL), 0);
}

#define THREADS 4
#define EACH 20000
struct counter {
    struct hits *h;
    struct match rules[3];
};

static void *count_on(void *arg)
{
    struct counter *c = arg;

    for (int i = 0; i < EACH; i++)
        hits_count(c->h, &c->rules[i % 3], DAY_US);
    return NULL;
}

static void many_threads_count_together(void **state)
{
    struct world  *w = world_of(state);
    struct counter c = {.h = hits_on(w)};
    pthread_t      threads[THREADS];
    int64_t        sum = 0;

    for (size_t i = 0; i < COUNT(c.rules); i++)
        c.rules[i] = (struct match){.id = uuid7_make(), .why = WHY_APPLIED};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_on, &c), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    hits_free(&c.h);
    for (size_t i = 0; i < COUNT(c.rules); i++)
        sum += count_of(w, c.rules[i].id, NULL);
    assert_int_equal(sum, THREADS * EACH);
}

static void while_the_database_is_locked_counts_wait_and_are_written_later(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct hits  *h = hits_on(w);
    struct match  m = {.id = uuid7_make(), .why = WHY_APPLIED};

    hits_count(h, &m, DAY_US);
    SOON(SLOW_MS, hits_waiting(h) == 0);
    OK(w, db_begin(s->log, &w->e)); /* on SQLite nobody else writes now */
    for (int i = 0; i < 5; i++) {
        hits_count(h, &m, DAY_US);
        sleep_ms(300);
    }
    assert_true(hits_waiting(h) > 0);
    db_rollback(s->log);
    SOON(SLOW_MS, hits_waiting(h) == 0);
    assert_int_equal(count_of(w, m.id, NULL), 6);
    hits_free(&h);
}

struct found {
    size_t  n;
    int64_t expires_us;
};

static int each_learned(void *ctx, const struct store_learned *l)
{
    struct found *f = ctx;

    f->n++;
    f->expires_us = l->expires_us;
    return 0;
}

/* All days from one that the test names. */
static void a_hit_keeps_a_learned_sender_for_90_days_and_without_one_it_lapses(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          box = add_mailbox(w, add_domain(w, "ours.example"), "anna"), id;
    struct scope_policy  learned = {.learned = true};
    const int64_t        day = 20000 * DAY_US;
    struct store_learned l = {.mailbox = box, .proof = SPAN("dmarc"), .expires_us = day + LEARNED_KEEP_US};
    struct hits         *h = hits_on(w);
    struct found         f = {0};
    struct match         m = {.policy = &learned, .why = WHY_APPLIED};
    int64_t              head;

    for (enum rule_action action = RULE_ALLOW; action <= RULE_BLOCK; action++) {
        l.action = action;
        l.sender = action == RULE_ALLOW ? SPAN("news@shop.example") : SPAN("x@bad.example");
        OK(w, store_learned_put(w->more, &root, &l, &id, &w->e));
        head = change_head(w);
        m.id = id;
        m.action = action;
        hits_count(h, &m, day + 80 * DAY_US);
    }
    l.sender = SPAN("nobody@hits.example");
    OK(w, store_learned_put(w->more, &root, &l, &id, &w->e));
    head = change_head(w);
    hits_free(&h);
    OK(w, store_learned_load(w->more, box, day + 89 * DAY_US, each_learned, &f, &w->e));
    assert_int_equal(f.n, 3);
    f.n = 0;
    OK(w, store_learned_load(w->more, box, day + 169 * DAY_US, each_learned, &f, &w->e));
    assert_int_equal(f.n, 2);
    assert_true(f.expires_us == day + 170 * DAY_US);
    f.n = 0;
    OK(w, store_learned_load(w->more, box, day + 170 * DAY_US, each_learned, &f, &w->e));
    assert_int_equal(f.n, 0);
    assert_int_equal(change_head(w), head);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(hits_of_a_rule_and_of_its_entries_are_written_within_seconds),
        STORE(a_clean_stop_loses_nothing),
        STORE(what_did_not_apply_is_not_counted),
        STORE(many_threads_count_together),
        STORE_SQLITE(while_the_database_is_locked_counts_wait_and_are_written_later),
        STORE(a_hit_keeps_a_learned_sender_for_90_days_and_without_one_it_lapses),
    };

    return run_on_both(tests, COUNT(tests));
}
