#include "check.h"

#include "base/arena.h"

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4000, 5000, 70000, 300000, 3};
    unsigned char      *pieces[200];
    struct arena        a;

    (void)state;
    arena_init(&a, (size_t)1 << 30);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pieces[i] = arena_alloc(&a, sizes[i % COUNT(sizes)]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, sizes[i % COUNT(sizes)]);
    }
    for (size_t i = 0; i < COUNT(pieces); i++) {
        for (size_t at = 0; at < sizes[i % COUNT(sizes)]; at++) {
            if (pieces[i][at] != i)
                fail_msg("piece %zu was overwritten at %zu", i, at);
        }
    }
    arena_fini(&a);
}

static void at_its_ceiling_an_arena_fails_until_it_is_reset(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 64);
    assert_non_null(arena_alloc(&a, 48));
    assert_null(arena_alloc(&a, 17));
    assert_true(a.full);
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_str(&a, SPAN("x")));
    assert_null(arena_printf(&a, "%d", 1).p);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_true(a.full);
    arena_reset(&a);
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_fini(&a);
}

static void a_reset_arena_starts_again_in_its_first_block(void **state)
{
    struct arena a;
    char        *first;

    (void)state;
    arena_init(&a, (size_t)1 << 24);
    first = arena_alloc(&a, 10);
    for (int round = 0; round < 100; round++) {
        arena_reset(&a);
        assert_int_equal(a.used, 0);
        for (int i = 0; i < 100; i++)
            assert_non_null(arena_alloc(&a, 1000));
    }
    (void)first;
    arena_fini(&a);
    arena_fini(&a);
}

static void copies_end_with_nul_and_arrays_are_zero(void **state)
{
    struct arena a;
    uint64_t    *numbers;

    (void)state;
    arena_init(&a, 1 << 20);
    memset(arena_alloc(&a, 2000), 0xff, 2000);
    arena_reset(&a);
    numbers = arena_array(&a, 100, sizeof *numbers);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(numbers[i], 0);
    assert_string_equal(arena_str(&a, span_head(SPAN("abcdef"), 3)), "abc");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7).p, "x-7");
    assert_int_equal(arena_printf(&a, "%s", "").n, 0);
    assert_non_null(arena_dup(&a, SPAN_NONE).p);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(at_its_ceiling_an_arena_fails_until_it_is_reset),
        cmocka_unit_test(a_reset_arena_starts_again_in_its_first_block),
        cmocka_unit_test(copies_end_with_nul_and_arrays_are_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
