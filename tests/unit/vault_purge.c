#include "vault.h"
#include "vault/purge.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define NOW (INT64_C(1795305600) * SECOND)
#define UP (40 * DAY)

static const struct {
    const char        *holds;
    struct purge_facts facts;
    enum purge_verdict verdict;
} cases[] = {
    {"the first run of all goes", {NOW, UP, 0, 0, 1000, 5}, PURGE_GO},
    {"an hour by both clocks", {NOW, UP, NOW - HOUR, UP - HOUR, 1000, 5}, PURGE_GO},
    {"a clock that is slewed a little", {NOW, UP, NOW - HOUR - SECOND, UP - HOUR, 1000, 5}, PURGE_GO},
    {"forwards by a month", {NOW + 30 * DAY, UP, NOW - HOUR, UP - HOUR, 1000, 5}, PURGE_CLOCK},
    {"forwards by an hour", {NOW + HOUR, UP, NOW - HOUR, UP - HOUR, 1000, 5}, PURGE_CLOCK},
    {"backwards by an hour", {NOW - HOUR, UP, NOW - HOUR, UP - HOUR, 1000, 5}, PURGE_CLOCK},
    {"and back in line again", {NOW, UP, NOW - 3 * HOUR, UP - 3 * HOUR, 1000, 5}, PURGE_GO},
    {"started again after a night", {NOW, 60 * SECOND, NOW - 12 * HOUR, 0, 1000, 5}, PURGE_GO},
    {"started before it was stopped", {NOW, 60 * SECOND, NOW + HOUR, 0, 1000, 5}, PURGE_CLOCK},
    {"started in 1970", {100 * SECOND, 60 * SECOND, NOW, 0, 1000, 0}, PURGE_CLOCK},
    {"started a month later", {NOW, 60 * SECOND, NOW - 30 * DAY, 0, 1000, 5}, PURGE_CLOCK},
    {"a tenth goes", {NOW, UP, NOW - HOUR, UP - HOUR, 1000, 100}, PURGE_GO},
    {"more than a tenth asks", {NOW, UP, NOW - HOUR, UP - HOUR, 1000, 101}, PURGE_MANY},
    {"all of it asks", {NOW, UP, NOW - HOUR, UP - HOUR, 60, 60}, PURGE_MANY},
    {"a few are never many", {NOW, UP, NOW - HOUR, UP - HOUR, 50, 50}, PURGE_GO},
    {"nothing is due", {NOW, UP, NOW - HOUR, UP - HOUR, 0, 0}, PURGE_GO},
};

static void a_purge_stops_when_the_clock_or_the_number_is_suspicious(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds, purge_judge(&cases[i].facts) == cases[i].verdict);
}

static void the_last_run_is_remembered(void **state)
{
    struct home *h = *state;
    int64_t      us = 1;
    FILE        *f;

    open_vault(h, 0);
    OK(h, purge_last(h->vault, &us, &h->e));
    assert_int_equal(us, 0);
    OK(h, purge_mark(h->vault, NOW + 7, &h->e));
    reopen_vault(h);
    OK(h, purge_last(h->vault, &us, &h->e));
    assert_int_equal(us, NOW + 7);
    f = fopen(inside(h, "held/purged"), "w");
    fputs("long ago", f);
    fclose(f);
    FAILS(h, purge_last(h->vault, &us, &h->e), ERR_CORRUPT, "remove it");
}

static void leave_holds_for_one_run(void **state)
{
    struct home *h = *state;

    open_vault(h, 0);
    assert_false(purge_take_leave(h->vault));
    OK(h, purge_allow(h->vault, &h->e));
    OK(h, purge_allow(h->vault, &h->e));
    assert_true(purge_take_leave(h->vault));
    assert_false(purge_take_leave(h->vault));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_purge_stops_when_the_clock_or_the_number_is_suspicious),
        cmocka_unit_test_setup_teardown(the_last_run_is_remembered, home_begin, home_end),
        cmocka_unit_test_setup_teardown(leave_holds_for_one_run, home_begin, home_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
