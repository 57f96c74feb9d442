/* tests/unit/rulesd_journal.c - twin of rulesd/journal.c. */
#include "../../rulesd/journal.h"

#include <pthread.h>

#include "log_world.h"
#include "rulesd_world.h"

#define SLOW_MS 10000

static struct journal *journal_on(struct world *w)
{
    struct settings settings = settings_of(w);
    struct journal *j = NULL;

    OK(w, journal_new(&settings, &j, &w->e));
    return j;
}

static int64_t messages(struct world *w) { return log_number(w, "SELECT COUNT(*) FROM message"); }

static void put_some(struct journal *j, size_t n)
{
    struct letter l;

    for (size_t i = 0; i < n; i++) {
        a_letter(&l);
        journal_put(j, &l.m);
        memset(&l, 0xAA, sizeof l); /* whose it was may be gone by then */
    }
}

static struct journal_stats stats_of(struct journal *j)
{
    struct journal_stats s;

    journal_stats(j, &s);
    return s;
}

static void records_are_written_soon_and_together(void **state)
{
    struct world        *w = world_of(state);
    struct journal      *j = journal_on(w);
    struct journal_stats s;

    assert_int_equal(journal_lag_us(j, clock_mono_us()), 0);
    put_some(j, 1);
    SOON(SLOW_MS, stats_of(j).waiting == 0);
    put_some(j, 100);
    assert_true(journal_lag_us(j, clock_mono_us() + 1000) > 0);
    SOON(SLOW_MS, stats_of(j).waiting == 0);
    assert_int_equal(messages(w), 101);
    s = stats_of(j);
    assert_int_equal(s.records, 101);
    assert_int_equal(s.deliveries, 202);
    if (s.commits < 2 || s.commits > 100) /* how many depends on how fast the machine is */
        fail_msg("101 records were written in %llu groups", (unsigned long long)s.commits);
    assert_true(s.commit_us_max > 0);
    assert_int_equal(s.failures, 0);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.waiting_bytes, 0);
    journal_free(&j);
    assert_null(j);
}

static void a_clean_stop_writes_what_is_left(void **state)
{
    struct world   *w = world_of(state);
    struct journal *j = journal_on(w);

    put_some(j, 3000);
    journal_free(&j);
    assert_int_equal(messages(w), 3000);
}

static void *put_many(void *arg)
{
    put_some(arg, 500);
    return NULL;
}

static void many_threads_put_together(void **state)
{
    struct world   *w = world_of(state);
    struct journal *j = journal_on(w);
    pthread_t       threads[4];

    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, j), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        journal_lag_us(j, clock_mono_us());
        stats_of(j);
        pthread_join(threads[i], NULL);
    }
    journal_free(&j);
    assert_int_equal(messages(w), 2000);
}

static void while_the_database_is_locked_records_wait_and_say_how_long(void **state)
{
    struct world   *w = world_of(state);
    struct store   *s = w->more;
    struct journal *j = journal_on(w);

    OK(w, db_begin(s->log, &w->e)); /* on SQLite nobody else writes now */
    put_some(j, 10);
    SOON(SLOW_MS, journal_lag_us(j, clock_mono_us()) > 300 * MS);
    put_some(j, 10);
    assert_int_equal(stats_of(j).waiting, 20);
    assert_true(stats_of(j).waiting_bytes > 20 * sizeof(struct store_message));
    SOON(SLOW_MS, stats_of(j).failures > 0);
    db_rollback(s->log);
    SOON(SLOW_MS, journal_lag_us(j, clock_mono_us()) == 0);
    assert_int_equal(messages(w), 20);
    journal_free(&j);
}

static void a_database_that_is_not_there_yet_is_waited_for(void **state)
{
    struct world   *w = world_of(state);
    struct store   *s = w->more;
    struct journal *j;
    char            from[PATH_MAX + 16], to[PATH_MAX + 16];

    store_close(&s);
    w->more = NULL;
    snprintf(from, sizeof from, "%s/log.db", w->dir);
    snprintf(to, sizeof to, "%s/away.db", w->dir);
    assert_int_equal(rename(from, to), 0);
    j = journal_on(w);
    put_some(j, 5);
    SOON(SLOW_MS, stats_of(j).failures > 0);
    assert_int_equal(stats_of(j).waiting, 5);
    assert_int_equal(rename(to, from), 0);
    SOON(SLOW_MS, stats_of(j).waiting == 0);
    journal_free(&j);
    w->more = open_store(w);
    assert_int_equal(messages(w), 5);
}

static void a_record_that_is_refused_does_not_stop_the_others(void **state)
{
    struct world          *w = world_of(state);
    struct journal        *j = journal_on(w);
    struct store_delivery *many = calloc(STORE_DELIVERIES_MAX + 1, sizeof *many);
    struct letter          l;

    a_letter(&l);
    l.m.deliveries = many;
    l.m.ndeliveries = STORE_DELIVERIES_MAX + 1;
    put_some(j, 3);
    journal_put(j, &l.m);
    put_some(j, 3);
    free(many);
    journal_free(&j);
    assert_int_equal(messages(w), 6);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(records_are_written_soon_and_together),
        STORE(a_clean_stop_writes_what_is_left),
        STORE(many_threads_put_together),
        STORE_SQLITE(while_the_database_is_locked_records_wait_and_say_how_long),
        STORE_SQLITE(a_database_that_is_not_there_yet_is_waited_for),
        STORE(a_record_that_is_refused_does_not_stop_the_others),
    };

    return run_on_both(tests, COUNT(tests));
}
