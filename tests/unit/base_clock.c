#include "check.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

#define THREADS 4
#define EACH 20000

static void *make_many(void *ids)
{
    for (size_t i = 0; i < EACH; i++)
        ((struct uuid *)ids)[i] = uuid7_make();
    return NULL;
}

static int by_bytes(const void *a, const void *b) { return uuid_cmp(a, b); }

static void ids_grow_strictly_within_a_thread_and_never_repeat(void **state)
{
    static struct uuid ids[THREADS * EACH];
    pthread_t          threads[THREADS];

    (void)state;
    for (size_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, make_many, ids + t * EACH), 0);
    for (size_t t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (size_t t = 0; t < THREADS; t++) {
        for (size_t i = 1; i < EACH; i++) {
            const struct uuid *id = &ids[t * EACH + i];

            if (uuid_cmp(id - 1, id) >= 0)
                fail_msg("thread %zu, id %zu is not greater than the one before", t, i);
        }
    }
    /* The time part alone must differ too: compare without the random half. */
    qsort(ids, COUNT(ids), sizeof *ids, by_bytes);
    for (size_t i = 1; i < COUNT(ids); i++) {
        if (memcmp(ids[i - 1].b, ids[i].b, 8) == 0)
            fail_msg("two ids share a tick");
    }
}

static void an_id_carries_its_time_its_version_and_its_text(void **state)
{
    int64_t     before_ms = clock_wall_us() / 1000, ms = 0;
    struct uuid u = uuid7_make(), back;
    char        text[UUID_TEXT + 1];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | u.b[i];
    assert_true(ms >= before_ms && ms < before_ms + 60000);
    assert_int_equal(u.b[6] >> 4, 7);
    assert_int_equal(u.b[8] >> 6, 2);
    uuid_format(&u, text);
    assert_int_equal(strlen(text), UUID_TEXT);
    assert_true(uuid_parse(span_of(text), &back));
    assert_int_equal(uuid_cmp(&u, &back), 0);
}

static void only_a_whole_uuid_is_read(void **state)
{
    static const struct {
        const char *text;
        bool        ok;
    } cases[] = {
        {"01a20064-14d3-7116-a8e9-1f0562abac4e", true},   {"01A20064-14D3-7116-A8E9-1F0562ABAC4E", true},
        {"01a20064-14d3-7116-a8e9-1f0562abac4", false},   {"01a20064-14d3-7116-a8e9-1f0562abac4ef", false},
        {"01a2006401-4d3-7116-a8e9-1f0562abac4e", false}, {"g1a20064-14d3-7116-a8e9-1f0562abac4e", false},
        {"01a2006414d37116a8e91f0562abac4e----", false},  {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct uuid u;

        CHECK(cases[i].text, uuid_parse(span_of(cases[i].text), &u) == cases[i].ok);
    }
}

static void times_are_written_in_utc_with_microseconds(void **state)
{
    static const struct {
        int64_t     us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},         {1795301822123456, "2026-11-21T22:57:02.123456Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},        {951782400000000, "2000-02-29T00:00:00.000000Z"},
        {INT64_MIN, "0001-01-01T00:00:00.000000Z"}, {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char    text[28];
        int64_t us;

        clock_format_utc(cases[i].us, text);
        assert_string_equal(text, cases[i].text);
        assert_true(clock_parse_utc(span_of(text), &us));
        if (i < 4)
            assert_true(us == cases[i].us);
    }
}

static void times_are_read_as_rfc_3339_says(void **state)
{
    static const struct {
        const char *text;
        bool        ok;
        int64_t     us;
    } cases[] = {
        {"2026-11-21T22:57:02Z", true, 1795301822000000},
        {"2026-11-21t23:57:02.5+01:00", true, 1795301822500000},
        {"2026-11-21 22:27:02.123456789-00:30", true, 1795301822123456},
        {"1970-01-02", true, 86400000000},
        {"2024-02-29", true, 1709164800000000},
        {"2023-02-29", false, 0},
        {"1900-02-29", false, 0},
        {"2026-13-01", false, 0},
        {"2026-00-01", false, 0},
        {"2026-01-32", false, 0},
        {"2026-1-1", false, 0},
        {"2026-11-21T22:57:02", false, 0},
        {"2026-11-21T24:00:00Z", false, 0},
        {"2026-11-21T22:57:61Z", false, 0},
        {"2026-11-21T22:57:02.Z", false, 0},
        {"2026-11-21T22:57:02+1:00", false, 0},
        {"2026-11-21T22:57:02+24:00", false, 0},
        {"2026-11-21T22:57:02Zx", false, 0},
        {"0000-01-01", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t us = 0;

        CHECK(cases[i].text, clock_parse_utc(span_of(cases[i].text), &us) == cases[i].ok && us == cases[i].us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_grow_strictly_within_a_thread_and_never_repeat),
        cmocka_unit_test(an_id_carries_its_time_its_version_and_its_text),
        cmocka_unit_test(only_a_whole_uuid_is_read),
        cmocka_unit_test(times_are_written_in_utc_with_microseconds),
        cmocka_unit_test(times_are_read_as_rfc_3339_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
