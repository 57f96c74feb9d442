/* tests/unit/digest_round.c - twin of digest/round.c: where the time ends that a digest tells of. */
#include "../../digest/round.h"

#include "base/clock.h"
#include "check.h"

static int64_t us(const char *text)
{
    int64_t out = 0;

    assert_true(clock_parse_utc(span_of(text), &out));
    return out;
}

static void a_late_digest_ends_at_the_last_of_its_hours(void **state)
{
    static const struct {
        const char *holds;
        bool        hourly;
        unsigned    weekdays;
        const char *due, *now, *ends;
    } cases[] = {
        {"in time", false, 127, "2026-11-22T06:00:00Z", "2026-11-22T06:00:01Z", "2026-11-22T06:00:00Z"},
        {"some hours late", false, 127, "2026-11-22T06:00:00Z", "2026-11-22T16:00:00Z", "2026-11-22T06:00:00Z"},
        {"days late", false, 127, "2026-11-19T06:00:00Z", "2026-11-22T05:59:59Z", "2026-11-21T06:00:00Z"},
        {"on Mondays alone", false, 2, "2026-11-09T06:00:00Z", "2026-11-22T16:00:00Z", "2026-11-16T06:00:00Z"},
        {"every hour", true, 127, "2026-11-22T06:00:00Z", "2026-11-22T16:30:00Z", "2026-11-22T16:00:00Z"},
        {"over the end of summer time", false, 127, "2026-10-24T05:00:00Z", "2026-10-26T05:00:00Z",
         "2026-10-25T06:00:00Z"},
        {"years late", true, 127, "2020-01-01T00:00:00Z", "2026-11-22T16:30:00Z", "2026-11-22T16:00:00Z"},
        {"years late, on Mondays alone", false, 2, "2020-01-06T06:00:00Z", "2026-11-22T16:00:00Z",
         "2026-11-16T06:00:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store_digest_choice c = {.minute = cases[i].hourly ? 0 : 420,
                                        .hourly = cases[i].hourly,
                                        .weekdays = cases[i].weekdays,
                                        .zone = "Europe/Berlin"};

        CHECK(cases[i].holds, round_last_us(&c, us(cases[i].due), us(cases[i].now)) == us(cases[i].ends));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_late_digest_ends_at_the_last_of_its_hours)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
