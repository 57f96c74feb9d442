/* When something runs that was asked for at a wall time. The expected instants are worked out by hand from the changes that `zdump -v`
 * lists for the zone: the wall time minus the offset that holds; in a gap the instant of the change; of two the first. */
#include "base/schedule.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "check.h"

#define SUN 1u
#define MON 2u
#define TUE 4u
#define THU 16u
#define FRI 32u
#define SAT 64u
#define EVERY SCHEDULE_EVERY_DAY
#define AT(h, m) ((h)*60 + (m))

/* "2026-11-22T06:00Z", or with seconds. */
static int64_t utc(const char *text)
{
    int64_t us = 0;
    char    whole[40];

    snprintf(whole, sizeof whole, strlen(text) == 17 ? "%.16s:00Z" : "%s", text);
    if (!clock_parse_utc(span_of(whole), &us))
        panic("%s is no time", text);
    return us;
}

static struct schedule daily(const char *zone, unsigned minute, unsigned weekdays)
{
    struct schedule s = {.minute = minute, .weekdays = weekdays};

    snprintf(s.zone, sizeof s.zone, "%s", zone);
    return s;
}

static struct schedule hourly(const char *zone, unsigned minute)
{
    struct schedule s = daily(zone, minute, 0);

    s.hourly = true;
    return s;
}

static void check_next(const char *holds, const struct schedule *s, const char *after, const char *next)
{
    struct err e = ERR_INIT;
    int64_t    at = 0;
    char       text[28];

    if (schedule_next_us(s, utc(after), &at, &e) < 0)
        fail_msg("%s: %s", holds, e.text);
    clock_format_utc(at, text);
    if (at != utc(next))
        fail_msg("%s: %s after %s: %s instead of %s", holds, s->zone, after, text, next);
}

static const struct daily_case {
    const char *holds, *zone;
    unsigned    minute, weekdays;
    const char *after, *next;
} dailies[] = {
    /* New York: EST -5, EDT -4 from 8 Mar 2026 07:00Z to 1 Nov 06:00Z, and from 14 Mar 2027 07:00Z to 7 Nov 06:00Z. */
    {"the day before clocks go forward", "America/New_York", AT(7, 0), EVERY, "2026-03-07T00:00Z", "2026-03-07T12:00Z"},
    {"an hour sooner in UTC the day after", "America/New_York", AT(7, 0), EVERY, "2026-03-07T12:00Z",
     "2026-03-08T11:00Z"},
    {"02:30 is in the gap: 03:00 EDT", "America/New_York", AT(2, 30), EVERY, "2026-03-07T12:00Z", "2026-03-08T07:00Z"},
    {"the gap's first minute, 02:00", "America/New_York", AT(2, 0), EVERY, "2026-03-08T06:59Z", "2026-03-08T07:00Z"},
    {"03:00 itself, the same instant", "America/New_York", AT(3, 0), EVERY, "2026-03-07T12:00Z", "2026-03-08T07:00Z"},
    {"01:30 comes twice: the EDT one", "America/New_York", AT(1, 30), EVERY, "2026-10-31T12:00Z", "2026-11-01T05:30Z"},
    {"and not again an hour later", "America/New_York", AT(1, 30), EVERY, "2026-11-01T05:30Z", "2026-11-02T06:30Z"},
    {"from within the second 01:xx", "America/New_York", AT(1, 45), EVERY, "2026-11-01T06:10Z", "2026-11-02T06:45Z"},
    {"02:00 on that day comes once", "America/New_York", AT(2, 0), EVERY, "2026-11-01T05:30Z", "2026-11-01T07:00Z"},
    {"the gap of 2027", "America/New_York", AT(2, 59), EVERY, "2027-03-13T12:00Z", "2027-03-14T07:00Z"},
    {"the fold of 2027", "America/New_York", AT(1, 0), EVERY, "2027-11-06T12:00Z", "2027-11-07T05:00Z"},
    /* Berlin: CET +1, CEST +2 from 29 Mar 2026 01:00Z to 25 Oct 01:00Z, and from 28 Mar 2027 01:00Z to 31 Oct 01:00Z. */
    {"in winter", "Europe/Berlin", AT(7, 0), EVERY, "2026-11-22T05:59Z", "2026-11-22T06:00Z"},
    {"a run is not its own successor", "Europe/Berlin", AT(7, 0), EVERY, "2026-11-22T06:00Z", "2026-11-23T06:00Z"},
    {"02:30 is in the gap: 03:00 CEST", "Europe/Berlin", AT(2, 30), EVERY, "2026-03-28T12:00Z", "2026-03-29T01:00Z"},
    {"after the gap's run, the next day", "Europe/Berlin", AT(2, 30), EVERY, "2026-03-29T01:00Z", "2026-03-30T00:30Z"},
    {"02:30 comes twice: the CEST one", "Europe/Berlin", AT(2, 30), EVERY, "2026-10-24T12:00Z", "2026-10-25T00:30Z"},
    {"once, though it is 02:30 again", "Europe/Berlin", AT(2, 30), EVERY, "2026-10-25T00:30Z", "2026-10-26T01:30Z"},
    {"the gap of 2027", "Europe/Berlin", AT(2, 1), EVERY, "2027-03-27T12:00Z", "2027-03-28T01:00Z"},
    {"the fold of 2027", "Europe/Berlin", AT(2, 0), EVERY, "2027-10-30T12:00Z", "2027-10-31T00:00Z"},
    {"23:59 before a new year", "Europe/Berlin", AT(23, 59), EVERY, "2026-12-31T12:00Z", "2026-12-31T22:59Z"},
    {"midnight begins the day", "Europe/Berlin", AT(0, 0), EVERY, "2026-12-31T12:00Z", "2026-12-31T23:00Z"},
    /* Lord Howe moves by half an hour: +11, +10:30 from 4 Apr 2026 15:00Z to 3 Oct 15:30Z, and 3 Apr to 2 Oct 2027. */
    {"01:45 comes twice: the +11 one", "Australia/Lord_Howe", AT(1, 45), EVERY, "2026-04-04T00:00Z",
     "2026-04-04T14:45Z"},
    {"and not half an hour later", "Australia/Lord_Howe", AT(1, 45), EVERY, "2026-04-04T14:45Z", "2026-04-05T15:15Z"},
    {"02:15 is in the gap: 02:30 +11", "Australia/Lord_Howe", AT(2, 15), EVERY, "2026-10-03T12:00Z",
     "2026-10-03T15:30Z"},
    {"02:30 is not in the gap", "Australia/Lord_Howe", AT(2, 30), EVERY, "2026-10-03T12:00Z", "2026-10-03T15:30Z"},
    {"07:00 at +10:30", "Australia/Lord_Howe", AT(7, 0), EVERY, "2026-04-04T20:10Z", "2026-04-04T20:30Z"},
    {"the fold of 2027", "Australia/Lord_Howe", AT(1, 30), EVERY, "2027-04-03T12:00Z", "2027-04-03T14:30Z"},
    {"the gap of 2027", "Australia/Lord_Howe", AT(2, 0), EVERY, "2027-10-02T12:00Z", "2027-10-02T15:30Z"},
    /* Kathmandu: +5:45 always. */
    {"a quarter of an hour", "Asia/Kathmandu", AT(7, 0), EVERY, "2026-03-29T00:00Z", "2026-03-29T01:15Z"},
    {"midnight is 18:15 in UTC", "Asia/Kathmandu", AT(0, 0), EVERY, "2027-10-30T18:15Z", "2027-10-31T18:15Z"},
    {"Monday there, Sunday in UTC", "Asia/Kathmandu", AT(3, 0), MON, "2026-11-22T00:00Z", "2026-11-22T21:15Z"},
    /* Casablanca: +1, and +0 in Ramadan: 15 Feb 02:00Z to 22 Mar 02:00Z 2026, 7 Feb 02:00Z to 14 Mar 02:00Z 2027. */
    {"02:30 comes twice: the +1 one", "Africa/Casablanca", AT(2, 30), EVERY, "2026-02-14T12:00Z", "2026-02-15T01:30Z"},
    {"once, as Ramadan begins", "Africa/Casablanca", AT(2, 30), EVERY, "2026-02-15T01:30Z", "2026-02-16T02:30Z"},
    {"in Ramadan", "Africa/Casablanca", AT(7, 0), EVERY, "2026-03-01T00:00Z", "2026-03-01T07:00Z"},
    {"02:30 is in the gap: 03:00 +1", "Africa/Casablanca", AT(2, 30), EVERY, "2026-03-21T12:00Z", "2026-03-22T02:00Z"},
    {"after Ramadan", "Africa/Casablanca", AT(7, 0), EVERY, "2026-03-22T02:00Z", "2026-03-22T06:00Z"},
    {"the fold of 2027", "Africa/Casablanca", AT(2, 0), EVERY, "2027-02-06T12:00Z", "2027-02-07T01:00Z"},
    {"the gap of 2027", "Africa/Casablanca", AT(2, 45), EVERY, "2027-03-13T12:00Z", "2027-03-14T02:00Z"},
    /* St John's: NST -3:30, NDT -2:30 from 8 Mar 2026 05:30Z to 1 Nov 04:30Z, and 14 Mar 05:30Z to 7 Nov 04:30Z 2027. */
    {"02:15 is in the gap: 03:00 NDT", "America/St_Johns", AT(2, 15), EVERY, "2026-03-07T12:00Z", "2026-03-08T05:30Z"},
    {"01:59 comes twice: the NDT one", "America/St_Johns", AT(1, 59), EVERY, "2026-10-31T12:00Z", "2026-11-01T04:29Z"},
    {"and once", "America/St_Johns", AT(1, 59), EVERY, "2026-11-01T04:29Z", "2026-11-02T05:29Z"},
    {"07:00 in winter", "America/St_Johns", AT(7, 0), EVERY, "2027-01-01T00:00Z", "2027-01-01T10:30Z"},
    {"the gap of 2027", "America/St_Johns", AT(2, 30), SUN, "2027-03-08T00:00Z", "2027-03-14T05:30Z"},
    {"the fold of 2027", "America/St_Johns", AT(1, 30), SUN, "2027-11-01T12:00Z", "2027-11-07T04:00Z"},
    /* Apia: +13, without changes since 2021. */
    {"Monday there while it is Sunday in UTC", "Pacific/Apia", AT(7, 0), MON, "2026-11-22T00:00Z", "2026-11-22T18:00Z"},
    {"no change in April", "Pacific/Apia", AT(3, 30), EVERY, "2026-04-04T12:00Z", "2026-04-04T14:30Z"},
    {"no change in September", "Pacific/Apia", AT(3, 30), EVERY, "2027-09-25T12:00Z", "2027-09-25T14:30Z"},
    {"30 December 2011 was no day: the 31st's first minute", "Pacific/Apia", AT(7, 0), FRI, "2011-12-30T00:00Z",
     "2011-12-30T10:00Z"},
    /* Weekdays. */
    {"Mondays and Thursdays, from a Monday's run", "Europe/Berlin", AT(7, 0), MON | THU, "2026-11-23T06:00Z",
     "2026-11-26T06:00Z"},
    {"over the end of the week", "Europe/Berlin", AT(7, 0), MON | THU, "2026-11-26T06:00Z", "2026-11-30T06:00Z"},
    {"the same weekday, later today", "Europe/Berlin", AT(7, 0), SUN, "2026-11-22T05:00Z", "2026-11-22T06:00Z"},
    {"the same weekday, in a week", "Europe/Berlin", AT(7, 0), SUN, "2026-11-22T06:00Z", "2026-11-29T06:00Z"},
    {"Saturday, Sunday's fold between", "Europe/Berlin", AT(2, 30), SAT, "2026-10-24T00:30Z", "2026-10-31T01:30Z"},
    {"Tuesday over the gap", "America/New_York", AT(2, 30), TUE, "2026-03-04T00:00Z", "2026-03-10T06:30Z"},
};

static void a_daily_run_comes_at_its_wall_time_through_every_change_of_clocks(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(dailies); i++) {
        const struct daily_case *c = &dailies[i];
        struct schedule          s = daily(c->zone, c->minute, c->weekdays);

        check_next(c->holds, &s, c->after, c->next);
    }
}

static const struct {
    const char *holds, *zone;
    unsigned    minute;
    const char *after, *next;
} hourlies[] = {
    {"this hour", "Europe/Berlin", 15, "2026-11-22T06:14:59.999999Z", "2026-11-22T06:15Z"},
    {"the next hour", "Europe/Berlin", 15, "2026-11-22T06:15Z", "2026-11-22T07:15Z"},
    {"minute 0", "Europe/Berlin", 0, "2026-11-22T06:00:00.000001Z", "2026-11-22T07:00Z"},
    {"the minute of the local hour", "Asia/Kathmandu", 0, "2026-11-22T06:00Z", "2026-11-22T06:15Z"},
    {"west of UTC", "America/St_Johns", 0, "2026-12-01T06:00Z", "2026-12-01T06:30Z"},
    {"over the gap an hour is an hour", "Europe/Berlin", 15, "2026-03-29T00:15Z", "2026-03-29T01:15Z"},
    {"the hour that comes twice", "Europe/Berlin", 15, "2026-10-25T00:15Z", "2026-10-25T01:15Z"},
    {"and the one behind it", "Europe/Berlin", 15, "2026-10-25T01:15Z", "2026-10-25T02:15Z"},
    {"02:15 was skipped: 03:15", "Australia/Lord_Howe", 15, "2026-10-03T14:45Z", "2026-10-03T16:15Z"},
    {"02:45 follows the skipped half hour", "Australia/Lord_Howe", 45, "2026-10-03T15:15Z", "2026-10-03T15:45Z"},
    {"the clocks change on the minute itself", "Australia/Lord_Howe", 0, "2026-04-04T14:00Z", "2026-04-04T15:30Z"},
    {"half an hour back shows it once more", "Australia/Lord_Howe", 45, "2026-04-04T14:45Z", "2026-04-04T15:15Z"},
};

static void an_hourly_run_comes_when_the_wall_clock_shows_its_minute(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(hourlies); i++) {
        struct schedule s = hourly(hourlies[i].zone, hourlies[i].minute);

        check_next(hourlies[i].holds, &s, hourlies[i].after, hourlies[i].next);
    }
}

static void each_date_has_exactly_one_run(void **unused)
{
    static const char *const zones[] = {"America/New_York", "Europe/Berlin",     "Australia/Lord_Howe",
                                        "Asia/Kathmandu",   "Africa/Casablanca", "America/St_Johns",
                                        "Pacific/Apia"};

    (void)unused;
    for (size_t i = 0; i < COUNT(zones); i++) {
        for (unsigned minute = 0; minute < 24 * 60; minute += 15) {
            struct schedule s = daily(zones[i], minute, EVERY);
            int64_t         at = utc("2025-12-31T23:00Z"), end = at + INT64_C(730) * 86400 * 1000000;
            int             runs = 0;

            while (schedule_next_us(&s, at, &at, NULL) == 0 && at <= end)
                runs++;
            if (runs != 730)
                fail_msg("%s at minute %u: %d runs in 730 days", zones[i], minute, runs);
        }
    }
}

static void a_schedule_that_cannot_run_is_refused(void **unused)
{
    static const struct {
        const char     *holds;
        struct schedule s;
        const char     *says;
    } cases[] = {
        {"no weekday", {.minute = 60, .zone = "UTC"}, "no day of the week is chosen"},
        {"an eighth weekday", {.weekdays = 0x80, .zone = "UTC"}, "no day of the week is chosen"},
        {"24:00", {.minute = 1440, .weekdays = 1, .zone = "UTC"}, "minute 1440 is not one of the 1440 of a day"},
        {"minute 60", {.hourly = true, .minute = 60, .zone = "UTC"}, "minute 60 is not one of the 60 of an hour"},
        {"no zone", {.hourly = true}, "\"\" is not the name of a time zone"},
        {"an unknown zone", {.hourly = true, .zone = "Mars/Olympus"}, "no time zone \"Mars/Olympus\" is installed"},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = ERR_INIT;
        int64_t    at;

        CHECK(cases[i].holds, schedule_check(&cases[i].s, &e) < 0);
        assert_string_equal(e.text, cases[i].says);
        CHECK(cases[i].holds, schedule_next_us(&cases[i].s, 0, &at, NULL) < 0);
    }
}

static void no_time_makes_it_run_on_for_ever(void **unused)
{
    struct schedule s = daily("Europe/Berlin", 60, MON);
    struct err      e = ERR_INIT;
    int64_t         at;

    (void)unused;
    assert_int_equal(schedule_next_us(&s, INT64_MAX, &at, &e), -1);
    assert_int_equal(schedule_next_us(&s, INT64_MIN, &at, &e), -1);
    check_next("the last", &s, "9998-12-20T00:00Z", "9998-12-21T00:00Z");
}

/* In CPU time, so that a busy machine does not count: a hundred thousand take ten times this. */
static void ten_thousand_subscriptions_are_cheap(void **unused)
{
    static const char *const zones[] = {"America/New_York", "Europe/Berlin", "Australia/Lord_Howe",
                                        "Africa/Casablanca"};
    int64_t                  start = clock_thread_cpu_us(), spent, at;

    (void)unused;
    for (unsigned i = 0; i < 10000; i++) {
        struct schedule s = daily(zones[i % COUNT(zones)], i % 1440, EVERY);

        assert_int_equal(schedule_next_us(&s, utc("2026-10-24T12:00Z") + i, &at, NULL), 0);
    }
    spent = clock_thread_cpu_us() - start;
    assert_true(spent < 300000);
}

static void *ask_often(void *wrong)
{
    for (size_t i = 0; i < 50 * COUNT(dailies); i++) {
        const struct daily_case *c = &dailies[i % COUNT(dailies)];
        struct schedule          s = daily(c->zone, c->minute, c->weekdays);
        int64_t                  at;

        *(bool *)wrong |= schedule_next_us(&s, utc(c->after), &at, NULL) < 0 || at != utc(c->next);
    }
    return NULL;
}

static void threads_may_ask_at_once(void **unused)
{
    pthread_t threads[4];
    bool      wrong[4] = {false};

    (void)unused;
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &wrong[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_false(wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daily_run_comes_at_its_wall_time_through_every_change_of_clocks),
        cmocka_unit_test(an_hourly_run_comes_when_the_wall_clock_shows_its_minute),
        cmocka_unit_test(each_date_has_exactly_one_run),
        cmocka_unit_test(a_schedule_that_cannot_run_is_refused),
        cmocka_unit_test(no_time_makes_it_run_on_for_ever),
        cmocka_unit_test(ten_thousand_subscriptions_are_cheap),
        cmocka_unit_test(threads_may_ask_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
