/* tests/unit/rulesd_desk.c - twin of rulesd/desk.c. */
#include "../../rulesd/desk.h"

#include <stdatomic.h>

#include "rulesd_world.h"

#define SLOW_MS 10000

/* A job that writes down when it was done, and may be held up. */
struct errand {
    struct job   job;
    atomic_int  *done;
    int          place;
    atomic_bool *hold;
    bool         wants_store, again;
    int          rc;
    struct err   e;
};

static struct desk *desk_of(struct world *w, size_t threads, bool (*away)(void *ctx), void *ctx)
{
    struct desk_how how = {.url = w->url, .threads = threads, .away = away, .ctx = ctx};
    struct desk    *d = NULL;

    OK(w, desk_new(&how, &d, &w->e));
    return d;
}

static struct desk *again_at; /* where a job puts itself once more */

static void run_errand(struct job *j, struct hand *h)
{
    struct errand *er = (struct errand *)j;
    struct store  *s;

    while (er->hold != NULL && atomic_load(er->hold) && !hand_stopping(h))
        sleep_ms(1);
    if (er->wants_store)
        er->rc = hand_store(h, &s, &er->e);
    if (er->again) {
        er->again = false;
        desk_put(again_at, j);
        return;
    }
    er->place = atomic_fetch_add(er->done, 1);
}

static void jobs_are_done_in_order_and_urgent_ones_first(void **state)
{
    struct world *w = world_of(state);
    struct desk  *d = desk_of(w, 1, NULL, NULL);
    atomic_bool   hold = true;
    atomic_int    done = 0;
    struct errand jobs[4] = {0};

    for (size_t i = 0; i < COUNT(jobs); i++) {
        jobs[i] = (struct errand){.job.run = run_errand, .done = &done, .hold = i == 0 ? &hold : NULL};
        if (i < 3)
            desk_put(d, &jobs[i].job);
        if (i == 0)
            SOON(SLOW_MS, desk_waiting(d) == 0);
    }
    desk_put_first(d, &jobs[3].job);
    assert_int_equal(desk_waiting(d), 3);
    atomic_store(&hold, false);
    SOON(SLOW_MS, atomic_load(&done) == 4);
    desk_stop(d);
    assert_int_equal(jobs[0].place, 0);
    assert_int_equal(jobs[3].place, 1);
    assert_int_equal(jobs[1].place, 2);
    assert_int_equal(jobs[2].place, 3);
    desk_free(&d);
}

static void a_job_may_put_itself_again(void **state)
{
    struct world *w = world_of(state);
    atomic_int    done = 0;
    struct errand job = {.job.run = run_errand, .done = &done, .again = true};

    again_at = desk_of(w, 2, NULL, NULL);
    desk_put(again_at, &job.job);
    SOON(SLOW_MS, atomic_load(&done) == 1);
    desk_stop(again_at);
    desk_free(&again_at);
}

static void a_desk_that_stops_finishes_what_runs_and_gives_the_rest_back(void **state)
{
    struct world *w = world_of(state);
    struct desk  *d = desk_of(w, 1, NULL, NULL);
    atomic_bool   hold = true;
    atomic_int    done = 0;
    struct errand runs = {.job.run = run_errand, .done = &done, .hold = &hold},
                  waits = {.job.run = run_errand, .done = &done};

    desk_put(d, &runs.job);
    SOON(SLOW_MS, desk_waiting(d) == 0);
    desk_put(d, &waits.job);
    desk_stop(d);
    assert_int_equal(atomic_load(&done), 1);
    assert_ptr_equal(desk_left(d), &waits.job);
    assert_null(desk_left(d));
    desk_free(&d);
}

static bool says_away(void *ctx) { return atomic_load((atomic_bool *)ctx); }

static void while_the_database_is_away_no_job_waits_for_it(void **state)
{
    struct world *w = world_of(state);
    atomic_bool   away = true;
    struct desk  *d = desk_of(w, 1, says_away, &away);
    atomic_int    done = 0;
    struct errand job = {.job.run = run_errand, .done = &done, .wants_store = true};

    desk_put(d, &job.job);
    SOON(SLOW_MS, atomic_load(&done) == 1);
    assert_int_equal(job.rc, -1);
    assert_int_equal(job.e.code, ERR_LOST);
    atomic_store(&away, false);
    desk_put(d, &job.job);
    SOON(SLOW_MS, atomic_load(&done) == 2);
    assert_int_equal(job.rc, 0);
    desk_stop(d);
    desk_free(&d);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_SQLITE(jobs_are_done_in_order_and_urgent_ones_first),
        STORE_SQLITE(a_job_may_put_itself_again),
        STORE_SQLITE(a_desk_that_stops_finishes_what_runs_and_gives_the_rest_back),
        STORE(while_the_database_is_away_no_job_waits_for_it),
    };

    return run_on_both(tests, COUNT(tests));
}
