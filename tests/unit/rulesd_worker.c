/* tests/unit/rulesd_worker.c - twin of rulesd/worker.c. */
#include "../../rulesd/worker.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/span.h"
#include "check.h"

static atomic_int done;

static void count(void *ctx) { atomic_fetch_add(&done, *(int *)ctx); }

static void every_job_runs_once_and_what_is_queued_at_the_end_too(void **unused)
{
    struct workers *w = workers_new(3, 1000);
    int             one = 1;

    (void)unused;
    atomic_store(&done, 0);
    for (size_t i = 0; i < 1000; i++)
        assert_true(workers_put(w, count, &one));
    workers_free(&w);
    assert_null(w);
    assert_int_equal(atomic_load(&done), 1000);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(void *ctx)
{
    pthread_mutex_lock(&gate);
    count(ctx);
    pthread_mutex_unlock(&gate);
}

static void a_full_queue_refuses_and_has_room_again_later(void **unused)
{
    struct workers *w = workers_new(1, 4);
    int             one = 1, taken = 0;

    (void)unused;
    atomic_store(&done, 0);
    pthread_mutex_lock(&gate);
    while (workers_put(w, wait_at_gate, &one))
        taken++;
    assert_in_range(taken, 4, 5); /* the worker may hold one already */
    assert_int_equal(workers_waiting(w), 4);
    pthread_mutex_unlock(&gate);
    while (!workers_put(w, count, &one))
        ;
    workers_free(&w);
    assert_int_equal(atomic_load(&done), taken + 1);
}

static struct order {
    int    seen[100];
    size_t n;
} order;

static void note(void *ctx) { order.seen[order.n++] = *(int *)ctx; }

static void one_worker_keeps_the_order(void **unused)
{
    struct workers *w = workers_new(1, 100);
    int             number[100];

    (void)unused;
    for (int i = 0; i < 100; i++) {
        number[i] = i;
        assert_true(workers_put(w, note, &number[i]));
    }
    workers_free(&w);
    assert_int_equal(order.n, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order.seen[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_once_and_what_is_queued_at_the_end_too),
        cmocka_unit_test(a_full_queue_refuses_and_has_room_again_later),
        cmocka_unit_test(one_worker_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
