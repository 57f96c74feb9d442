#include "check.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/pause.h"

static void *rests(void *arg)
{
    while (pause_for(arg, 3600000))
        ;
    return NULL;
}

static void who_rests_hears_at_once_that_it_shall_stop(void **state)
{
    struct pause p;
    pthread_t    thread;

    (void)state;
    pause_init(&p);
    assert_int_equal(pthread_create(&thread, NULL, rests, &p), 0);
    assert_false(pause_is_over(&p));
    pause_stop(&p);
    pause_stop(&p);
    assert_int_equal(pthread_join(thread, NULL), 0); /* else the test hangs for an hour */
    assert_true(pause_is_over(&p));
    assert_false(pause_for(&p, 3600000));
    pause_fini(&p);
}

static void a_rest_ends_by_itself(void **state)
{
    struct pause p;
    int64_t      from = clock_mono_us();

    (void)state;
    pause_init(&p);
    assert_true(pause_for(&p, 20));
    assert_true(clock_mono_us() - from >= 20000);
    pause_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_rests_hears_at_once_that_it_shall_stop),
        cmocka_unit_test(a_rest_ends_by_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
