#include "check.h"

#include "base/secret.h"

static void a_token_is_43_characters_and_never_the_same(void **state)
{
    char a[SECRET_TOKEN_TEXT + 1], b[SECRET_TOKEN_TEXT + 1];

    (void)state;
    secret_token(a);
    secret_token(b);
    assert_int_equal(strlen(a), SECRET_TOKEN_TEXT);
    assert_string_not_equal(a, b);
}

static void text_comes_back_as_the_bytes_it_was_made_of(void **state)
{
    char   text[64], bytes[64];
    size_t n;

    (void)state;
    for (size_t length = 0; length < 40; length++) {
        char in[40];

        for (size_t i = 0; i < length; i++)
            in[i] = (char)(i * 37 + length);
        secret_text(span_make(in, length), text);
        assert_int_equal(strlen(text) + 1, secret_text_size(length));
        assert_true(secret_from_text(span_of(text), bytes, &n));
        assert_int_equal(n, length);
        assert_memory_equal(in, bytes, length);
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    static const char *const bad[] = {"=",    "A",      "AA==",     "AA+A",    "AA/A",
                                      "AA A", "AAAA\n", "\xc3\xa9", "AAA\xc1", "AA\x80\x80"};
    char                     bytes[64];
    size_t                   n;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(secret_from_text(span_of(bad[i]), bytes, &n));
}

static void parts_that_read_alike_have_other_hashes(void **state)
{
    const struct span one[] = {SPAN("ab"), SPAN("c")}, two[] = {SPAN("a"), SPAN("bc")};
    uint8_t           a[SECRET_HASH], b[SECRET_HASH];

    (void)state;
    secret_hash_parts(one, 2, a);
    secret_hash_parts(two, 2, b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void equal_is_equal_in_length_too(void **state)
{
    (void)state;
    assert_true(secret_eq(SPAN("abc"), SPAN("abc")));
    assert_false(secret_eq(SPAN("abc"), SPAN("abd")));
    assert_false(secret_eq(SPAN("abc"), SPAN("abcd")));
    assert_true(secret_eq(SPAN_NONE, SPAN_NONE));
}

static void what_is_sealed_opens_by_its_key_alone_and_unchanged(void **state)
{
    uint8_t    key[32] = {1}, other[32] = {2};
    struct buf one, two, text;

    (void)state;
    buf_init(&one, 1000);
    buf_init(&two, 1000);
    buf_init(&text, 1000);
    secret_seal(key, SPAN("a link"), &one);
    secret_seal(key, SPAN("a link"), &two);
    assert_false(span_eq(buf_span(&one), buf_span(&two)));
    assert_int_equal(span_find(buf_span(&one), SPAN("link")), one.n);
    assert_true(secret_unseal(key, buf_span(&one), &text));
    assert_true(span_is(buf_span(&text), "a link"));
    assert_false(secret_unseal(other, buf_span(&one), &text));
    for (size_t i = 0; i < one.n; i++) {
        one.p[i] ^= 1;
        assert_false(secret_unseal(key, buf_span(&one), &text));
        one.p[i] ^= 1;
        assert_false(secret_unseal(key, span_head(buf_span(&one), i), &text));
    }
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_43_characters_and_never_the_same),
        cmocka_unit_test(text_comes_back_as_the_bytes_it_was_made_of),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(parts_that_read_alike_have_other_hashes),
        cmocka_unit_test(equal_is_equal_in_length_too),
        cmocka_unit_test(what_is_sealed_opens_by_its_key_alone_and_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
