/* Zones: which names there are, and that they say what the C library says of the same files. */
#include "base/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "check.h"

static const struct zone *must_open(const char *name)
{
    struct err         e = ERR_INIT;
    const struct zone *z = zone_open(span_of(name), &e);

    if (z == NULL)
        fail_msg("%s", e.text);
    return z;
}

static void what_is_not_the_name_of_a_zone_opens_none(void **unused)
{
    static const struct {
        const char   *name;
        enum err_code code;
    } cases[] = {
        {"", ERR_INVALID},
        {"../../etc/passwd", ERR_INVALID},
        {"Europe/../../../etc/passwd", ERR_INVALID},
        {"Europe/./Berlin", ERR_INVALID},
        {"/usr/share/zoneinfo/Europe/Berlin", ERR_INVALID},
        {"Europe//Berlin", ERR_INVALID},
        {"Europe/Berlin/", ERR_INVALID},
        {"Europe/Berlin ", ERR_INVALID},
        {"Europe/Berlin\n", ERR_INVALID},
        {":Europe/Berlin", ERR_INVALID},
        {"posix/Europe/Berlin", ERR_INVALID},
        {"right/Europe/Berlin", ERR_INVALID},
        {"localtime", ERR_INVALID},
        {"zone.tab", ERR_INVALID},
        {"+02:00", ERR_INVALID},
        {"CET-1CEST,M3.5.0,M10.5.0/3", ERR_INVALID},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ERR_INVALID},
        {"europe/berlin", ERR_INVALID},
        {"Europe", ERR_NOT_FOUND},
        {"Europe/Berlin2", ERR_NOT_FOUND},
        {"ABC5", ERR_NOT_FOUND},
        {"Z", ERR_NOT_FOUND},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = ERR_INIT;

        CHECK(cases[i].name, zone_open(span_of(cases[i].name), &e) == NULL);
        CHECK(cases[i].name, e.code == cases[i].code && e.text[0] != '\0');
    }
    assert_null(zone_open(SPAN("UTC\0/x"), NULL));
}

static void the_list_is_sorted_and_each_of_it_opens(void **unused)
{
    struct arena a;
    struct err   e = ERR_INIT;
    struct span *names;
    size_t       n, known = 0;

    (void)unused;
    arena_init(&a, 1 << 20);
    if (zone_names(&a, &names, &n, &e) < 0)
        fail_msg("%s", e.text);
    assert_in_range(n, 300, 1000);
    for (size_t i = 0; i < n; i++) {
        const struct zone *z = must_open(names[i].p);

        zone_close(&z);
        assert_true(i == 0 || span_cmp(names[i - 1], names[i]) < 0);
        known += span_is(names[i], "UTC") || span_is(names[i], "Europe/Berlin") || span_is(names[i], "Pacific/Apia");
    }
    assert_int_equal(known, 3);
    arena_fini(&a);

    arena_init(&a, 1000);
    assert_int_equal(zone_names(&a, &names, &n, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    arena_fini(&a);
}

static bool agrees(const struct zone *z, time_t at)
{
    struct zone_time t = zone_time(z, at * INT64_C(1000000));
    struct tm        tm;

    localtime_r(&at, &tm);
    return t.year == tm.tm_year + 1900 && t.month == tm.tm_mon + 1 && t.day == tm.tm_mday && t.hour == tm.tm_hour &&
           t.minute == tm.tm_min && t.second == tm.tm_sec && t.weekday == tm.tm_wday && t.offset_s == tm.tm_gmtoff &&
           strcmp(t.abbreviation, tm.tm_zone) == 0;
}

/* 2024 to 2050 by odd steps; and the years 2026 and 2027 by the hour and the last second before it. */
static void check_against_libc(const char *name)
{
    const struct zone *z = must_open(name);

    setenv("TZ", name, 1);
    tzset();
    for (time_t at = 1704067200; at < 2524608000; at += 1234567)
        if (!agrees(z, at))
            fail_msg("%s at %lld", name, (long long)at);
    for (time_t at = 1767225600; at < 1830297600; at += 3600)
        if (!agrees(z, at) || !agrees(z, at - 1))
            fail_msg("%s at %lld", name, (long long)at);
    unsetenv("TZ");
    zone_close(&z);
}

static void every_zone_says_what_the_c_library_says(void **unused)
{
    static const char *const old[] = {"Asia/Calcutta", "US/Eastern", "EST5EDT", "CET", "Etc/GMT+5", "Japan", "GMT0"};
    struct arena             a;
    struct span             *names;
    size_t                   n;

    (void)unused;
    arena_init(&a, 1 << 20);
    assert_int_equal(zone_names(&a, &names, &n, NULL), 0);
    for (size_t i = 0; i < n; i += 7)
        check_against_libc(names[i].p);
    for (size_t i = 0; i < COUNT(old); i++) {
        const struct zone *z = zone_open(span_of(old[i]), NULL);

        if (z != NULL) /* some systems leave old names out */
            check_against_libc(old[i]);
        zone_close(&z);
    }
    arena_fini(&a);
}

static void a_day_begins_when_its_first_minute_does(void **unused)
{
    static const struct {
        const char *zone, *at, *start;
    } cases[] = {
        {"UTC", "2026-11-22T23:59:59.999999Z", "2026-11-22T00:00:00Z"},
        {"Europe/Berlin", "2026-11-21T22:59:59Z", "2026-11-20T23:00:00Z"},
        {"Europe/Berlin", "2026-11-21T23:00:00Z", "2026-11-21T23:00:00Z"},
        {"Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"}, /* a day of 25 hours */
        {"Asia/Kathmandu", "2026-11-22T00:00:00Z", "2026-11-21T18:15:00Z"},
        {"America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z"}, /* 00:00 to 01:00 is in the gap */
        {"America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z"},   /* 00:xx comes twice */
        {"America/Santiago", "2026-04-05T03:30:00Z", "2026-04-04T03:00:00Z"}, /* back to 23:00 of the day before */
        {"Europe/Berlin", "1969-12-31T12:00:00Z", "1969-12-30T23:00:00Z"},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct zone *z = must_open(cases[i].zone);
        int64_t            at, start;

        assert_true(clock_parse_utc(span_of(cases[i].at), &at) && clock_parse_utc(span_of(cases[i].start), &start));
        if (zone_day_start_us(z, at) != start)
            fail_msg("%s at %s: %lld instead of %s", cases[i].zone, cases[i].at,
                     (long long)zone_day_start_us(z, at) / 1000000, cases[i].start);
        zone_close(&z);
    }
}

static void times_out_of_this_world_are_the_first_and_last_of_it(void **unused)
{
    const struct zone *z = must_open("America/New_York");

    (void)unused;
    assert_int_equal(zone_time(z, INT64_MAX).year, 9999);
    zone_time(z, INT64_MIN);
    assert_true(zone_first_us(z, INT64_MAX) > 0);
    assert_true(zone_first_us(z, INT64_MIN) < 0);
    zone_close(&z);
    zone_close(&z);
}

/* In a folder of zones of its own, Test/Place. */
static void place(const char *folder, const char *like)
{
    struct err e = ERR_INIT;
    struct buf bytes;
    char       from[200], to[200], new[210];
    FILE      *f;

    buf_init(&bytes, 1 << 20);
    snprintf(from, sizeof from, "/usr/share/zoneinfo/%s", like);
    snprintf(to, sizeof to, "%s/Test/Place", folder);
    snprintf(new, sizeof new, "%s.new", to);
    if (fd_read_file(from, 1 << 20, &bytes, &e) < 0)
        fail_msg("%s", e.text);
    assert_non_null(f = fopen(new, "w"));
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    fclose(f);
    assert_int_equal(rename(new, to), 0);
    buf_fini(&bytes);
}

static void newer_zone_files_are_read_without_a_restart(void **unused)
{
    char               folder[] = "/tmp/zones-XXXXXX", path[200];
    const struct zone *z, *held;

    (void)unused;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/Test", folder);
    assert_int_equal(fd_mkdirs(path, 0700, NULL), 0);
    setenv("TZDIR", folder, 1);

    place(folder, "Asia/Kathmandu");
    held = must_open("Test/Place");
    assert_int_equal(zone_time(held, 0).offset_s, 5 * 3600 + 1800); /* in 1970 */
    place(folder, "UTC");
    z = must_open("Test/Place"); /* the one that is held */
    assert_int_equal(zone_time(z, 0).offset_s, 5 * 3600 + 1800);
    zone_close(&z);
    zone_close(&held);
    z = must_open("Test/Place");
    assert_int_equal(zone_time(z, 0).offset_s, 0);
    zone_close(&z);

    snprintf(path, sizeof path, "rm -r %s", folder);
    assert_int_equal(system(path), 0);
    z = must_open("Test/Place"); /* gone: what was known stands */
    zone_close(&z);
    assert_null(zone_open(SPAN("Test/Elsewhere"), NULL));
    unsetenv("TZDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_the_name_of_a_zone_opens_none),
        cmocka_unit_test(the_list_is_sorted_and_each_of_it_opens),
        cmocka_unit_test(every_zone_says_what_the_c_library_says),
        cmocka_unit_test(a_day_begins_when_its_first_minute_does),
        cmocka_unit_test(times_out_of_this_world_are_the_first_and_last_of_it),
        cmocka_unit_test(newer_zone_files_are_read_without_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
