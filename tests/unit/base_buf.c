#include "check.h"

#include "base/buf.h"

static void a_buffer_holds_what_was_put_and_ends_with_nul(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100000);
    assert_string_equal(b.p, "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_false(b.failed);
    assert_int_equal(b.n, 3890);
    assert_int_equal(strlen(b.p), b.n);
    assert_true(span_ends(buf_span(&b), SPAN("998,999,")));
    buf_clear(&b);
    buf_put_u64(&b, UINT64_MAX);
    buf_putc(&b, ' ');
    buf_put_u64(&b, 0);
    assert_string_equal(b.p, "18446744073709551615 0");
    buf_fini(&b);
    buf_fini(&b);
}

static void at_its_ceiling_a_buffer_fails_and_stays_failed(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    buf_puts(&b, "0123456789");
    assert_false(b.failed);
    buf_putc(&b, 'x');
    assert_true(b.failed);
    assert_string_equal(b.p, "0123456789");
    buf_clear(&b);
    assert_false(b.failed);
    buf_puts(&b, "0123456");
    buf_printf(&b, "%s", "789x");
    assert_true(b.failed);
    buf_puts(&b, "7"); /* would fit, but what came before it is gone */
    assert_string_equal(b.p, "0123456");
    buf_clear(&b);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_fini(&b);
}

static void reserved_room_is_there_to_the_last_byte(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t n = 1; n < 3000; n = n * 3 + 1) {
        char *to = buf_reserve(&b, n);

        assert_non_null(to);
        memset(to, 'a', n);
        b.n += n;
    }
    buf_putc(&b, '!');
    assert_int_equal(strlen(b.p), b.n);
    buf_fini(&b);
}

static void consuming_takes_from_the_front(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    buf_consume(&b, 5);
    buf_puts(&b, "abcdef");
    buf_consume(&b, 2);
    assert_string_equal(b.p, "cdef");
    buf_consume(&b, 99);
    assert_string_equal(b.p, "");
    buf_fini(&b);
}

static void trimming_gives_memory_back(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    assert_non_null(buf_reserve(&b, 100000));
    buf_trim(&b, 1000);
    assert_true(b.cap <= 1000 && b.n == 0);
    buf_puts(&b, "again");
    assert_string_equal(b.p, "again");
    buf_trim(&b, 0);
    assert_int_equal(b.cap, 0);
    assert_string_equal(b.p, "");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_holds_what_was_put_and_ends_with_nul),
        cmocka_unit_test(at_its_ceiling_a_buffer_fails_and_stays_failed),
        cmocka_unit_test(reserved_room_is_there_to_the_last_byte),
        cmocka_unit_test(consuming_takes_from_the_front),
        cmocka_unit_test(trimming_gives_memory_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
