#include "check.h"

#include "base/utf8.h"

#define S(text) span_make((text), sizeof(text) - 1)

static void bad_utf8_is_told_byte_by_byte_and_nothing_is_lost(void **state)
{
    static const struct {
        const char *holds;
        struct span in;
        size_t      characters, bad;
    } cases[] = {
        {"ASCII", SPAN("abc"), 3, 0},
        {"two, three and four bytes", SPAN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), 3, 0},
        {"the last code point", SPAN("\xf4\x8f\xbf\xbf"), 1, 0},
        {"above the last", SPAN("\xf4\x90\x80\x80"), 4, 4},
        {"a surrogate", SPAN("\xed\xa0\x80"), 3, 3},
        {"just below the surrogates", SPAN("\xed\x9f\xbf"), 1, 0},
        {"overlong slash in two", SPAN("\xc0\xaf"), 2, 2},
        {"overlong slash in three", SPAN("\xe0\x80\xaf"), 3, 3},
        {"overlong slash in four", SPAN("\xf0\x80\x80\xaf"), 4, 4},
        {"a lonely tail", SPAN("\x80"), 1, 1},
        {"cut at the end", SPAN("a\xe2\x82"), 3, 2},
        {"cut by ASCII", SPAN("\xe2\x82X"), 3, 2},
        {"NUL is a character", SPAN("a\0b"), 3, 0},
        {"never in UTF-8", SPAN("\xfe\xff\xf8"), 3, 3},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t characters = 0, bad = 0;

        for (size_t at = 0; at < cases[i].in.n; characters++) {
            size_t   before = at;
            bool     ok;
            uint32_t cp = utf8_next(cases[i].in, &at, &ok);

            CHECK(cases[i].holds, ok || (cp == UTF8_BAD && at == before + 1));
            bad += !ok;
        }
        CHECK(cases[i].holds, characters == cases[i].characters && bad == cases[i].bad);
        CHECK(cases[i].holds, utf8_valid(cases[i].in) == (cases[i].bad == 0));
    }
}

static void every_code_point_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        char   bytes[4];
        size_t n = utf8_put(cp, bytes), at = 0;

        if (utf8_next(span_make(bytes, n), &at, NULL) != (cp >= 0xD800 && cp <= 0xDFFF ? UTF8_BAD : cp) || at != n)
            fail_msg("U+%04X", (unsigned)cp);
    }
}

static void cutting_never_halves_a_character(void **state)
{
    struct span s = S("a\xe2\x82\xac"
                      "b\xff");

    (void)state;
    assert_int_equal(utf8_clip(s, 0), 0);
    assert_int_equal(utf8_clip(s, 1), 1);
    assert_int_equal(utf8_clip(s, 2), 1);
    assert_int_equal(utf8_clip(s, 3), 1);
    assert_int_equal(utf8_clip(s, 4), 4);
    assert_int_equal(utf8_clip(s, 100), 5); /* and ends before a bad byte */
}

static void what_a_stranger_wrote_cannot_speak_to_the_terminal(void **state)
{
    static const struct {
        const char *holds;
        struct span in;
        const char *out;
    } cases[] = {
        {"plain text stays",
         SPAN("Gr\xc3\xbc\xc3\x9f"
              "e"),
         "Gr\xc3\xbc\xc3\x9f"
         "e"},
        {"line ends", SPAN("a\r\nb\tc"), "a\\r\\nb\\tc"},
        {"ESC, NUL, DEL", SPAN("\x1b[0m\0\x7f"), "\\x1b[0m\\x00\\x7f"},
        {"C1",
         SPAN("\xc2\x9b"
              "31m"),
         "\\u{009b}31m"},
        {"bidi",
         SPAN("\xe2\x80\xae"
              "exe"),
         "\\u{202e}exe"},
        {"isolates and marks", SPAN("\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c"), "\\u{2066}\\u{200f}\\u{061c}"},
        {"line separator", SPAN("\xe2\x80\xa8"), "\\u{2028}"},
        {"bad bytes", SPAN("\xff\xc3"), "\\xff\\xc3"},
        {"backslash and quote", SPAN("a\\n\"b'"), "a\\\\n\\\"b'"},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&b);
        utf8_put_escaped(&b, cases[i].in, '"');
        CHECK(cases[i].holds, span_is(buf_span(&b), cases[i].out));
    }
    buf_clear(&b);
    utf8_put_escaped(&b, S("\"'"), 0);
    assert_string_equal(b.p, "\"'");
    buf_fini(&b);
}

static void json_strings_are_raw_valid_utf8(void **state)
{
    static const struct {
        const char *holds;
        struct span in;
        const char *out;
    } cases[] = {
        {"nothing", SPAN(""), "\"\""},
        {"quotes and backslashes", SPAN("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
        {"control bytes", SPAN("\n\x01\0z"), "\"\\u000a\\u0001\\u0000z\""},
        {"bad bytes", SPAN("x\xff\xed\xa0\x80y"), "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\""},
        {"emoji stay raw", SPAN("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\""},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&b);
        json_put_string(&b, cases[i].in);
        CHECK(cases[i].holds, span_is(buf_span(&b), cases[i].out));
    }
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_utf8_is_told_byte_by_byte_and_nothing_is_lost),
        cmocka_unit_test(every_code_point_survives_the_way_there_and_back),
        cmocka_unit_test(cutting_never_halves_a_character),
        cmocka_unit_test(what_a_stranger_wrote_cannot_speak_to_the_terminal),
        cmocka_unit_test(json_strings_are_raw_valid_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
