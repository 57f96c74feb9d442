/* Times in people's words. */
#include "base/when.h"

#include "base/clock.h"
#include "check.h"

static int64_t utc(const char *text)
{
    int64_t us = 0;

    assert_true(clock_parse_utc(span_of(text), &us));
    return us;
}

static const struct {
    const char *zone, *language, *at, *day, *time, *brief, *name;
} cases[] = {
    {"Europe/Berlin", "en", "2026-11-22T06:00:00Z", "Sunday 22 November", "Sunday 22 November, 07:00",
     "Sun 22 Nov, 07:00", "CET"},
    {"Europe/Berlin", "de", "2026-11-22T06:00:00Z", "Sonntag, 22. November", "Sonntag, 22. November, 07:00",
     "So 22. Nov., 07:00", "CET"},
    {"Europe/Berlin", "de-AT", "2026-03-29T01:00:00Z", "Sonntag, 29. März", "Sonntag, 29. März, 03:00",
     "So 29. März, 03:00", "CEST"},
    {"America/New_York", "fr", "2026-07-05T03:59:59Z", "Saturday 4 July", "Saturday 4 July, 23:59", "Sat 4 Jul, 23:59",
     "EDT"},
    {"Asia/Kathmandu", "", "2026-12-31T18:15:00Z", "Friday 1 January", "Friday 1 January, 00:00", "Fri 1 Jan, 00:00",
     "UTC+05:45"},
    {"America/Sao_Paulo", "den", "2026-05-01T12:00:00Z", "Friday 1 May", "Friday 1 May, 09:00", "Fri 1 May, 09:00",
     "UTC-03:00"},
    {"UTC", NULL, "2026-09-02T12:34:56Z", "Wednesday 2 September", "Wednesday 2 September, 12:34", "Wed 2 Sep, 12:34",
     "UTC"},
};

static void check_put(const char *zone, struct buf *b, const char *expected)
{
    if (!span_is(buf_span(b), expected))
        fail_msg("%s: \"%s\" instead of \"%s\"", zone, b->p, expected);
    buf_clear(b);
}

static void an_instant_is_named_as_people_there_do(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct zone *z = zone_open(span_of(cases[i].zone), NULL);
        int64_t            at = utc(cases[i].at);

        when_put_day(&b, z, cases[i].language, at);
        check_put(cases[i].zone, &b, cases[i].day);
        when_put_time(&b, z, cases[i].language, at);
        check_put(cases[i].zone, &b, cases[i].time);
        when_put_short(&b, z, cases[i].language, at);
        check_put(cases[i].zone, &b, cases[i].brief);
        when_put_zone(&b, z, at);
        check_put(cases[i].zone, &b, cases[i].name);
        zone_close(&z);
    }
    buf_fini(&b);
}

static void a_period_says_its_zone_once_or_twice_where_clocks_change(void **unused)
{
    static const struct {
        const char *zone, *language, *from, *to, *text;
    } periods[] = {
        {"Europe/Berlin", "en", "2026-11-21T06:00:00Z", "2026-11-22T06:00:00Z",
         "Saturday 21 November, 07:00 to Sunday 22 November, 07:00 (CET)"},
        {"Europe/Berlin", "de", "2026-11-21T06:00:00Z", "2026-11-22T06:00:00Z",
         "Samstag, 21. November, 07:00 bis Sonntag, 22. November, 07:00 (CET)"},
        {"Europe/Berlin", "en", "2026-11-22T06:00:00Z", "2026-11-22T07:00:00Z",
         "Sunday 22 November, 07:00 to 08:00 (CET)"},
        {"Europe/Berlin", "en", "2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z",
         "Sunday 25 October, 02:15 (CEST) to 02:15 (CET)"},
        {"Pacific/Apia", "en", "2026-11-20T18:00:00Z", "2026-11-22T18:00:00Z",
         "Saturday 21 November, 07:00 to Monday 23 November, 07:00 (UTC+13:00)"},
        {"Africa/Casablanca", "en", "2026-02-14T06:00:00Z", "2026-02-15T07:00:00Z",
         "Saturday 14 February, 07:00 (UTC+01:00) to Sunday 15 February, 07:00 (UTC+00:00)"},
    };
    struct buf b;

    (void)unused;
    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT(periods); i++) {
        const struct zone *z = zone_open(span_of(periods[i].zone), NULL);

        when_put_period(&b, z, periods[i].language, utc(periods[i].from), utc(periods[i].to));
        check_put(periods[i].zone, &b, periods[i].text);
        zone_close(&z);
    }
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instant_is_named_as_people_there_do),
        cmocka_unit_test(a_period_says_its_zone_once_or_twice_where_clocks_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
