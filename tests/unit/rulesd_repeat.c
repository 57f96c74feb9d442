/* tests/unit/rulesd_repeat.c - the same request once more. */
#include "../../rulesd/repeat.h"

#include "rules.h"

#define HOUR_US (3600 * INT64_C(1000000))

static void key_of(unsigned i, uint8_t key[FINGERPRINT_BYTES]) { fingerprint_seeded(span_make(&i, sizeof i), key); }

static void count(void *ctx) { ++*(int *)ctx; }

static enum repeat ask(struct repeats *r, unsigned i, struct repeat_wait *w, struct span *reply, int64_t now)
{
    uint8_t key[FINGERPRINT_BYTES];

    key_of(i, key);
    return repeat_begin(r, key, w, arena_of_test(), reply, now);
}

static void end(struct repeats *r, unsigned i, struct span reply, int64_t now)
{
    uint8_t key[FINGERPRINT_BYTES];

    key_of(i, key);
    repeat_end(r, key, reply, REPEAT_US, now);
}

static void who_comes_meanwhile_waits_and_gets_the_same_reply(void **unused)
{
    struct repeats    *r = repeats_new();
    int                woken = 0;
    struct repeat_wait w[2] = {{count, &woken, NULL}, {count, &woken, NULL}};
    struct span        reply = SPAN_NONE;

    (void)unused;
    assert_int_equal(ask(r, 1, NULL, &reply, 0), REPEAT_NEW);
    assert_int_equal(ask(r, 2, NULL, &reply, 0), REPEAT_NEW);
    assert_int_equal(ask(r, 1, &w[0], &reply, 0), REPEAT_WAITS);
    assert_int_equal(ask(r, 1, &w[1], &reply, 0), REPEAT_WAITS);
    end(r, 1, SPAN("250"), 5);
    assert_int_equal(woken, 2);
    assert_int_equal(ask(r, 1, &w[0], &reply, 6), REPEAT_KNOWN);
    assert_true(span_is(reply, "250"));
    end(r, 2, SPAN_NONE, 7);
    repeats_free(&r);
}

static void what_came_to_nothing_is_tried_by_who_waited(void **unused)
{
    struct repeats    *r = repeats_new();
    int                woken = 0;
    struct repeat_wait w = {count, &woken, NULL};
    struct span        reply = SPAN_NONE;

    (void)unused;
    assert_int_equal(ask(r, 1, NULL, &reply, 0), REPEAT_NEW);
    assert_int_equal(ask(r, 1, &w, &reply, 0), REPEAT_WAITS);
    end(r, 1, SPAN_NONE, 1);
    assert_int_equal(woken, 1);
    assert_int_equal(ask(r, 1, &w, &reply, 2), REPEAT_NEW);
    end(r, 1, SPAN_NONE, 3);
    repeats_free(&r);
}

static void who_goes_away_is_not_woken(void **unused)
{
    struct repeats    *r = repeats_new();
    int                woken = 0;
    struct repeat_wait w[2] = {{count, &woken, NULL}, {count, &woken, NULL}};
    struct span        reply = SPAN_NONE;
    uint8_t            key[FINGERPRINT_BYTES];

    (void)unused;
    key_of(1, key);
    assert_int_equal(ask(r, 1, NULL, &reply, 0), REPEAT_NEW);
    assert_int_equal(ask(r, 1, &w[0], &reply, 0), REPEAT_WAITS);
    assert_int_equal(ask(r, 1, &w[1], &reply, 0), REPEAT_WAITS);
    repeat_leave(r, key, &w[0]);
    end(r, 1, SPAN("250"), 1);
    assert_int_equal(woken, 1);
    repeats_free(&r);
}

static void a_day_later_it_is_new(void **unused)
{
    struct repeats *r = repeats_new();
    struct span     reply = SPAN_NONE;

    (void)unused;
    assert_int_equal(ask(r, 1, NULL, &reply, 0), REPEAT_NEW);
    end(r, 1, SPAN("250"), 0);
    assert_int_equal(ask(r, 1, NULL, &reply, 23 * HOUR_US), REPEAT_KNOWN);
    assert_int_equal(ask(r, 1, NULL, &reply, 25 * HOUR_US), REPEAT_NEW);
    end(r, 1, SPAN_NONE, 25 * HOUR_US);
    repeats_free(&r);
}

static void what_told_to_come_again_is_known_for_a_moment(void **unused)
{
    struct repeats *r = repeats_new();
    struct span     reply = SPAN_NONE;
    uint8_t         key[FINGERPRINT_BYTES];

    (void)unused;
    key_of(1, key);
    assert_int_equal(ask(r, 1, NULL, &reply, 0), REPEAT_NEW);
    repeat_end(r, key, SPAN("451"), REPEAT_SHORT_US, 0);
    assert_int_equal(ask(r, 1, NULL, &reply, REPEAT_SHORT_US), REPEAT_KNOWN);
    assert_int_equal(ask(r, 1, NULL, &reply, REPEAT_SHORT_US + 1), REPEAT_NEW);
    end(r, 1, SPAN_NONE, REPEAT_SHORT_US + 2);
    repeats_free(&r);
}

static void replies_are_bounded_and_the_oldest_go(void **unused)
{
    static char         large[256 << 10];
    struct repeats     *r = repeats_new();
    struct span         reply = SPAN_NONE;
    struct repeat_stats stats;

    (void)unused;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(ask(r, i, NULL, &reply, i), REPEAT_NEW);
        end(r, i, span_make(large, sizeof large), i);
    }
    repeat_stats(r, &stats);
    assert_true(stats.bytes <= REPEAT_BYTES && stats.kept > 30 && stats.kept < 200);
    assert_int_equal(ask(r, 999, NULL, &reply, 1000), REPEAT_KNOWN);
    assert_int_equal(ask(r, 0, NULL, &reply, 1000), REPEAT_NEW);
    end(r, 0, SPAN_NONE, 1000);
    repeats_free(&r);
}

/* What removes 10,000 recipients one by one. */
static void a_reply_is_kept_however_long_it_is(void **unused)
{
    static char         huge[4 << 20];
    struct repeats     *r = repeats_new();
    struct repeat_stats stats;
    struct span         reply = SPAN_NONE;

    (void)unused;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(ask(r, i, NULL, &reply, i), REPEAT_NEW);
        end(r, i, span_make(huge, sizeof huge), i);
        assert_int_equal(ask(r, i, NULL, &reply, i), REPEAT_KNOWN);
        assert_int_equal(reply.n, sizeof huge);
        arena_reset(arena_of_test());
    }
    repeat_stats(r, &stats);
    assert_true(stats.kept <= 16);
    repeats_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_meanwhile_waits_and_gets_the_same_reply),
        cmocka_unit_test(what_came_to_nothing_is_tried_by_who_waited),
        cmocka_unit_test(who_goes_away_is_not_woken),
        cmocka_unit_test(a_day_later_it_is_new),
        cmocka_unit_test(what_told_to_come_again_is_known_for_a_moment),
        cmocka_unit_test(replies_are_bounded_and_the_oldest_go),
        cmocka_unit_test(a_reply_is_kept_however_long_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
