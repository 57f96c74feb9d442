#include "check.h"

#include <stdlib.h>

#include "base/span.h"

#define S(text) span_make((text), sizeof(text) - 1)

static void spans_order_by_bytes_and_a_prefix_comes_first(void **state)
{
    static const struct {
        const char *holds, *a, *b;
        int         sign;
    } cases[] = {
        {"equal", "abc", "abc", 0},
        {"a prefix first", "ab", "abc", -1},
        {"by bytes", "b", "abc", 1},
        {"bytes are unsigned", "\xff", "a", 1},
        {"nothing first of all", "", "a", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int order = span_cmp(span_of(cases[i].a), span_of(cases[i].b));

        CHECK(cases[i].holds, (order > 0) - (order < 0) == cases[i].sign);
    }
    assert_int_equal(span_cmp(SPAN_NONE, SPAN_NONE), 0);
}

static void case_is_folded_for_ascii_alone(void **state)
{
    (void)state;
    assert_true(span_is_ci(S("Content-TYPE"), "content-type"));
    assert_false(span_is_ci(S("content-typ"), "content-type"));
    assert_false(span_is_ci(S("a[b"), "a{b")); /* 0x20 apart, and no letters */
    assert_false(span_is_ci(S("\xc3\x84"), "\xc3\xa4"));
    assert_true(span_starts_ci(S("Subject: x"), S("SUBJECT")));
    assert_false(span_ends(S("exe"), S(".exe")));
    assert_false(span_starts(S("Sub"), S("Subject")));
    assert_true(span_starts(SPAN_NONE, SPAN_NONE) && span_ends(SPAN_NONE, SPAN_NONE));
}

static void ascii_ends_at_127(void **state)
{
    (void)state;
    assert_true(span_is_ascii(S("\x01 a~\x7f")) && span_is_ascii(SPAN_NONE) && !span_is_ascii(S("a\x80")));
}

static void looking_for_something_gives_its_offset_or_the_length(void **state)
{
    static const struct {
        const char *holds, *in, *what;
        size_t      at, at_ci;
    } cases[] = {
        {"at the start", "abcabc", "abc", 0, 0},
        {"the first one", "xabcabc", "bc", 2, 2},
        {"at the end", "xxab", "ab", 2, 2},
        {"by case", "xABab", "ab", 3, 1},
        {"not there", "aaaa", "b", 4, 4},
        {"longer than all", "ab", "abc", 2, 2},
        {"nothing is anywhere", "ab", "", 0, 0},
        {"nothing in nothing", "", "", 0, 0},
        {"half of it at the end", "aab", "abc", 3, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK(cases[i].holds, span_find(span_of(cases[i].in), span_of(cases[i].what)) == cases[i].at);
        CHECK(cases[i].holds, span_find_ci(span_of(cases[i].in), span_of(cases[i].what)) == cases[i].at_ci);
    }
    assert_int_equal(span_chr(S("a\0b"), '\0'), 1);
    assert_int_equal(span_rchr(S("a@b@c"), '@'), 3);
    assert_int_equal(span_rchr(S("abc"), '@'), 3);
    assert_int_equal(span_chr(SPAN_NONE, 'x'), 0);
}

static void a_list_splits_into_as_many_parts_as_separators_and_one(void **state)
{
    struct span rest = S("a,,b,"), part;

    (void)state;
    assert_true(span_next(&rest, ',', &part) && span_is(part, "a"));
    assert_true(span_next(&rest, ',', &part) && span_is(part, ""));
    assert_true(span_next(&rest, ',', &part) && span_is(part, "b"));
    assert_true(span_next(&rest, ',', &part) && span_is(part, ""));
    assert_false(span_next(&rest, ',', &part));
    assert_false(span_next(&rest, ',', &part));
}

static void lines_end_with_lf_or_crlf_or_with_the_text(void **state)
{
    struct span rest = S("a\r\n\nb\rc\n\r\nlast"), line;

    (void)state;
    assert_true(span_line(&rest, &line) && span_is(line, "a"));
    assert_true(span_line(&rest, &line) && span_is(line, ""));
    assert_true(span_line(&rest, &line) && span_is(line, "b\rc"));
    assert_true(span_line(&rest, &line) && span_is(line, ""));
    assert_true(span_line(&rest, &line) && span_is(line, "last"));
    assert_false(span_line(&rest, &line));
    rest = S("\n");
    assert_true(span_line(&rest, &line) && line.n == 0);
    assert_false(span_line(&rest, &line));
}

static void blanks_are_trimmed_at_both_ends_only(void **state)
{
    (void)state;
    assert_true(span_is(span_trim(S(" \t a b\r\n")), "a b"));
    assert_int_equal(span_trim(S(" \r\n\t")).n, 0);
    assert_int_equal(span_trim(SPAN_NONE).n, 0);
    assert_true(span_is(span_skip(S("abc"), 9), ""));
    assert_true(span_is(span_head(S("abc"), 9), "abc"));
}

static void numbers_are_digits_from_end_to_end_and_fit(void **state)
{
    static const struct {
        const char *text;
        bool        ok_u;
        uint64_t    u;
        bool        ok_i;
        int64_t     i;
    } cases[] = {
        {"0", true, 0, true, 0},
        {"007", true, 7, true, 7},
        {"18446744073709551615", true, UINT64_MAX, false, 0},
        {"18446744073709551616", false, 0, false, 0},
        {"99999999999999999999", false, 0, false, 0},
        {"9223372036854775807", true, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", true, (uint64_t)INT64_MAX + 1, false, 0},
        {"-9223372036854775808", false, 0, true, INT64_MIN},
        {"-9223372036854775809", false, 0, false, 0},
        {"-1", false, 0, true, -1},
        {"--1", false, 0, false, 0},
        {"-", false, 0, false, 0},
        {"+1", false, 0, false, 0},
        {" 1", false, 0, false, 0},
        {"1 ", false, 0, false, 0},
        {"1.0", false, 0, false, 0},
        {"0x1", false, 0, false, 0},
        {"", false, 0, false, 0},
        {"\xff", false, 0, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t u = 0;
        int64_t  n = 0;

        CHECK(cases[i].text, span_u64(span_of(cases[i].text), &u) == cases[i].ok_u && u == cases[i].u);
        CHECK(cases[i].text, span_i64(span_of(cases[i].text), &n) == cases[i].ok_i && n == cases[i].i);
    }
}

static void equal_bytes_hash_alike_and_others_do_not(void **state)
{
    char a[] = "same", b[] = "same";

    (void)state;
    assert_true(span_hash(S("same")) == span_hash(span_of(a)) && span_hash(span_of(a)) == span_hash(span_of(b)));
    assert_true(span_hash(S("same")) != span_hash(S("Same")));
    assert_true(span_hash(SPAN_NONE) == span_hash(S("")));
}

static void a_copy_ends_with_a_nul_that_does_not_count(void **state)
{
    char *copy = span_strdup(span_head(S("abcdef"), 3)), *empty = span_strdup(SPAN_NONE);

    (void)state;
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
    free(copy);
    free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_order_by_bytes_and_a_prefix_comes_first),
        cmocka_unit_test(case_is_folded_for_ascii_alone),
        cmocka_unit_test(ascii_ends_at_127),
        cmocka_unit_test(looking_for_something_gives_its_offset_or_the_length),
        cmocka_unit_test(a_list_splits_into_as_many_parts_as_separators_and_one),
        cmocka_unit_test(lines_end_with_lf_or_crlf_or_with_the_text),
        cmocka_unit_test(blanks_are_trimmed_at_both_ends_only),
        cmocka_unit_test(numbers_are_digits_from_end_to_end_and_fit),
        cmocka_unit_test(equal_bytes_hash_alike_and_others_do_not),
        cmocka_unit_test(a_copy_ends_with_a_nul_that_does_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
