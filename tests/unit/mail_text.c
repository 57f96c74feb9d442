/* tests/unit/mail_text.c - twin of lib/mail/text.c. */
#include "mail/text.h"

#include <pthread.h>

#include "mail.h"

static const struct {
    const char *holds, *text, *folded;
} folds[] = {
    {"nothing", "", ""},
    {"lower case stays", "plain text 123", "plain text 123"},
    {"capitals go", "Hello WORLD", "hello world"},
    {"umlauts", "\xc3\x84\xc3\x96\xc3\x9c", "\xc3\xa4\xc3\xb6\xc3\xbc"},
    {"Greek, with its final sigma", "\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83"},
    {"Cyrillic", "\xd0\x94\xd0\x90", "\xd0\xb4\xd0\xb0"},
    {"the Kelvin sign is a k", "\xe2\x84\xaa", "k"},
    {"the long s is an s", "\xc5\xbf", "s"},
    {"the micro sign is a mu", "\xc2\xb5", "\xce\xbc"},
    {"sharp s stays one character", "\xc3\x9f\xe1\xba\x9e", "\xc3\x9f\xc3\x9f"},
    {"Roman numerals and circled letters", "\xe2\x85\xa3\xe2\x92\xb6", "\xe2\x85\xb3\xe2\x93\x90"},
    {"the iota below is an iota", "\xcd\x85\xce\x99", "\xce\xb9\xce\xb9"},
    {"beyond the basic plane", "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"},
    {"what has no case stays", "\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe6\x96\x87"},
    {"a bad byte is U+FFFD",
     "A\xff"
     "B",
     "a\xef\xbf\xbd"
     "b"},
    {"a cut character too", "A\xc3", "a\xef\xbf\xbd"},
    {"text that grows", "\xc8\xba", "\xe2\xb1\xa5"},
};

static void folding_makes_texts_equal_that_differ_in_case_alone(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(folds); i++) {
        struct span f = text_fold(span_of(folds[i].text), a);

        check_text(folds[i].holds, f, folds[i].folded);
        check_text("folding twice changes nothing", text_fold(f, a), folds[i].folded);
    }
}

static void folding_works_at_every_length_and_place(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t n = 0; n < 200; n++) {
        for (size_t at = 0; at < n; at += 7) {
            char        text[200], want[200];
            struct span f;

            memset(text, 'x', n);
            memset(want, 'x', n);
            text[at] = 'Q';
            want[at] = 'q';
            assert_false(text_is_folded_ascii(span_make(text, n)));
            assert_true(text_is_folded_ascii(span_make(want, n)));
            f = text_fold(span_make(text, n), a);
            assert_true(span_eq(f, span_make(want, n)));
        }
    }
}

static void every_character_folds_to_a_fixed_point(void **unused)
{
    (void)unused;
    for (uint32_t c = 0; c < 0x30000; c++)
        assert_int_equal(text_fold_char(text_fold_char(c)), text_fold_char(c));
}

static void what_is_folded_is_not_copied(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   s = SPAN("already folded, as most text is that people write in haste, [@`{] 0123456789");

    (void)unused;
    assert_ptr_equal(text_fold(s, a).p, s.p);
}

static const struct {
    const char *holds, *field, *text;
    bool        clean;
} headers[] = {
    {"plain", " Hello", "Hello", true},
    {"folded", " Hello\r\n world\n\tagain ", "Hello world\tagain", true},
    {"inner runs are kept", "a   b", "a   b", true},
    {"empty", "  ", "", true},
    {"quoted-printable", "=?utf-8?Q?J=C3=B6rg_M?=", "J\xc3\xb6rg M", true},
    {"base64", "=?UTF-8?B?SsO2cmc=?=", "J\xc3\xb6rg", true},
    {"base64 without padding", "=?UTF-8?B?SsO2cmc?=", "J\xc3\xb6rg", true},
    {"Latin 1", "=?ISO-8859-1?q?J=F6rg?=", "J\xc3\xb6rg", true},
    {"Latin 1 is windows-1252", "=?iso-8859-1?q?=80_5?=", "\xe2\x82\xac 5", true},
    {"Cyrillic", "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", true},
    {"Japanese", "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac", true},
    {"Chinese", "=?gb2312?B?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87", true},
    {"a language tag", "=?utf-8*de?Q?Gr=C3=BC=C3=9Fe?=",
     "Gr\xc3\xbc\xc3\x9f"
     "e",
     true},
    {"text around", "Re: =?utf-8?Q?x?= y", "Re: x y", true},
    {"blanks between words go", "=?utf-8?Q?a?= \r\n =?utf-8?Q?b?=", "ab", true},
    {"text between words keeps its blanks", "=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c", true},
    {"a character split over two words", "=?utf-8?Q?J=C3?= =?utf-8?Q?=B6rg?=", "J\xc3\xb6rg", true},
    {"split over encodings too", "=?utf-8?Q?J=C3?= =?utf-8?B?tnJn?=", "J\xc3\xb6rg", true},
    {"two charsets", "=?utf-8?Q?=C3=B6?= =?iso-8859-1?Q?=F6?=", "\xc3\xb6\xc3\xb6", true},
    {"glued to text", "x=?utf-8?Q?y?=z", "xyz", true},
    {"blanks inside a word", "=?utf-8?Q?two words?=", "two words", true},
    {"an empty word",
     "a =?utf-8?Q?"
     "?= b",
     "a  b", true},
    {"a word that breaks a line", "=?utf-8?Q?a=\r\n b?=", "a= b", false},
    {"raw UTF-8", "J\xc3\xb6rg", "J\xc3\xb6rg", true},
    {"raw Latin 1", "J\xf6rg", "J\xc3\xb6rg", false},
    {"an unknown charset stands as written", "a =?x-klingon?Q?b=20?= c", "a =?x-klingon?Q?b=20?= c", false},
    {"bad UTF-8 in a word", "=?utf-8?Q?a=FFb?=",
     "a\xef\xbf\xbd"
     "b",
     false},
    {"bad hex in a word", "=?utf-8?Q?a=ZZb?=", "a=ZZb", false},
    {"junk in base64", "=?utf-8?B?SsO2!cmc=?=", "J\xc3\xb6rg", false},
    {"a word without end", "=?utf-8?Q?abc", "=?utf-8?Q?abc", true},
    {"a word without encoding", "=?utf-8?abc?=", "=?utf-8?abc?=", true},
    {"another encoding", "=?utf-8?X?abc?=", "=?utf-8?X?abc?=", true},
    {"false starts", "=?=?=?utf-8?Q?x?=", "=?=?x", true},
    {"a charset with a slash is none", "=?utf-8//TRANSLIT?Q?x?=", "=?utf-8//TRANSLIT?Q?x?=", false},
    {"a bare CR is a blank", "a\rb", "a b", true},
    {"a hidden line end decodes to one", "=?utf-8?Q?a=0Ab?=", "a\nb", true},
};

static void a_header_reads_as_people_see_it(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(headers); i++) {
        bool        clean = !headers[i].clean;
        struct span t = text_decode_header(span_of(headers[i].field), SIZE_MAX, a, &clean);

        check_text(headers[i].holds, t, headers[i].text);
        CHECK(headers[i].holds, clean == headers[i].clean);
        CHECK(headers[i].holds, span_eq(text_decode_header(span_of(headers[i].field), SIZE_MAX, a, NULL), t));
    }
}

static void only_the_start_of_a_long_header_is_looked_at(void **unused)
{
    bool clean;

    (void)unused;
    check_text("ten bytes", text_decode_header(SPAN("0123456789abcdef"), 10, arena_of_test(), &clean), "0123456789");
}

static const struct {
    const char *holds, *bytes, *charset, *text;
    bool        clean;
} charset_cases[] = {
    {"no charset, ASCII", "abc", "", "abc", true},
    {"no charset, UTF-8", "\xc3\xb6", "", "\xc3\xb6", true},
    {"no charset, neither", "\xf6", "", "\xc3\xb6", false},
    {"US-ASCII with UTF-8 in it", "\xc3\xb6", "US-ASCII", "\xc3\xb6", true},
    {"UTF-8", "\xc3\xb6", "UTF-8", "\xc3\xb6", true},
    {"UTF-8 with bad bytes", "\xc3\xb6\xff\xc3", "utf8", "\xc3\xb6\xef\xbf\xbd\xef\xbf\xbd", false},
    {"a BOM goes",
     "\xef\xbb\xbf"
     "a\xc3\xb6",
     "utf-8", "a\xc3\xb6", true},
    {"windows-1252", "\x84x\x93", "windows-1252", "\xe2\x80\x9ex\xe2\x80\x9c", true},
    {"windows-1252 has holes", "\x81", "windows-1252", "\xef\xbf\xbd", false},
    {"an unknown charset, ASCII", "abc", "x-klingon", "abc", true},
    {"an unknown charset, UTF-8", "\xc3\xb6", "x-klingon", "\xc3\xb6", false},
    {"an unknown charset, neither", "\xf6", "x-klingon", "\xc3\xb6", false},
    {"blanks around the name", "\xc3\xb6", " utf-8 ", "\xc3\xb6", true},
    {"windows-1251", "\xcf\xf0\xe8", "Windows-1251", "\xd0\x9f\xd1\x80\xd0\xb8", true},
    {"Shift JIS", "\x93\xfa", "Shift_JIS", "\xe6\x97\xa5", true},
    {"Shift JIS cut", "a\x93", "Shift_JIS", "a\xef\xbf\xbd", false},
    {"EUC-KR is its superset", "\xb0\xa1", "ks_c_5601-1987", "\xea\xb0\x80", true},
    {"Big5", "\xa4\xa4", "big5", "\xe4\xb8\xad", true},
    {"UTF-7", "+AOQ-", "utf-7", "\xc3\xa4", true},
    {"Vietnamese, whose last character waits for its mark", "a", "windows-1258", "a", true},
};

static void text_comes_from_its_charset(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(charset_cases); i++) {
        bool        clean = !charset_cases[i].clean;
        struct span t = text_from_charset(span_of(charset_cases[i].bytes), span_of(charset_cases[i].charset), a,
                                          &clean);

        check_text(charset_cases[i].holds, t, charset_cases[i].text);
        CHECK(charset_cases[i].holds, clean == charset_cases[i].clean);
    }
}

static void wide_charsets_are_read_in_either_order(void **unused)
{
    struct arena *a = arena_of_test();
    bool          clean;

    (void)unused;
    check_text("LE", text_from_charset(SPAN("H\0i\0\xf6\0"), SPAN("utf-16le"), a, &clean), "Hi\xc3\xb6");
    assert_true(clean);
    check_text("BE", text_from_charset(SPAN("\0H\0i"), SPAN("UTF-16BE"), a, &clean), "Hi");
    check_text("BOM", text_from_charset(SPAN("\xfe\xff\0H\0i"), SPAN("utf-16"), a, &clean), "Hi");
    check_text("BOM in LE", text_from_charset(SPAN("\xff\xfeH\0"), SPAN("utf-16le"), a, &clean), "H");
    check_text("cut", text_from_charset(SPAN("H\0i"), SPAN("utf-16le"), a, &clean), "H\xef\xbf\xbd");
    assert_false(clean);
    check_text("a lone surrogate", text_from_charset(SPAN("\0\xd8H\0"), SPAN("utf-16le"), a, &clean), "\xef\xbf\xbdH");
    assert_false(clean);
}

static const char *const every_charset[] = {
    "",
    "us-ascii",
    "utf-8",
    "iso-8859-1",
    "iso-8859-8-i",
    "iso-8859-15",
    "windows-1250",
    "windows-1255",
    "windows-1258",
    "windows-874",
    "koi8-r",
    "koi8-u",
    "big5",
    "gb2312",
    "gb18030",
    "euc-jp",
    "euc-kr",
    "euc-tw",
    "iso-2022-jp",
    "iso-2022-kr",
    "shift_jis",
    "utf-7",
    "utf-16",
    "utf-16be",
    "utf-32",
    "macintosh",
    "cp437",
    "cp866",
    "tis-620",
    "nonsense",
};

static void any_bytes_in_any_charset_are_valid_utf8_in_the_end(void **unused)
{
    unsigned seed = 1;

    (void)unused;
    for (size_t i = 0; i < COUNT(every_charset); i++) {
        struct arena *a = arena_of_test();

        for (size_t round = 0; round < 200; round++) {
            char        junk[64];
            bool        clean;
            struct span out;

            for (size_t j = 0; j < sizeof junk; j++)
                junk[j] = (char)((seed = seed * 1103515245 + 12345) >> 16);
            out = text_from_charset(span_make(junk, sizeof junk), span_of(every_charset[i]), a, &clean);
            CHECK(every_charset[i], utf8_valid(out));
        }
    }
}

/* Whatever a charset calls itself, plain letters in it must not be lost because the C library lacks its converter. */
static void every_charset_of_the_table_can_be_read(void **unused)
{
    (void)unused;
    for (size_t i = 1; i + 1 < COUNT(every_charset); i++) {
        struct arena *a = arena_of_test();
        struct span   word = arena_printf(a, "=?%s?Q?=00a?=", every_charset[i]);
        bool          clean;
        struct span   t = text_decode_header(word, SIZE_MAX, a, &clean);

        CHECK(every_charset[i], !span_starts(t, SPAN("=?")));
    }
}

static void hostile_headers_take_linear_time(void **unused)
{
    static const struct {
        const char *holds, *piece;
    } cases[] = {
        {"starts", "=?"},
        {"starts with charset", "=?a?Q?"},
        {"words", "=?utf-8?Q?=41?= "},
        {"words of two charsets", "=?utf-8?Q?=41?= =?koi8-r?Q?=C1?= "},
        {"words of many charsets", "=?koi8-r?Q?=C1?= =?big5?Q?=41?= =?euc-jp?Q?=41?= =?gbk?Q?=41?= =?euc-kr?Q?=41?= "},
        {"bad bytes", "\xff"},
        {"bad words", "=?utf-8?B?////?="},
        {"line ends", "\r\n "},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *a = arena_of_test();
        struct span   s = repeated(a, cases[i].piece, (64u << 10) / strlen(cases[i].piece));

        WITHIN_MS(cases[i].holds, 30, text_decode_header(s, SIZE_MAX, a, NULL));
    }
}

static void *decode_in_a_thread(void *unused)
{
    struct arena a;
    bool         clean;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 200; i++)
        text_from_charset(SPAN("\xcf\xf0\xe8"), span_of(every_charset[i % COUNT(every_charset)]), &a, &clean);
    arena_fini(&a);
    return unused;
}

static void threads_have_converters_of_their_own(void **unused)
{
    pthread_t t[4];

    (void)unused;
    for (size_t i = 0; i < COUNT(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, decode_in_a_thread, NULL), 0);
    for (size_t i = 0; i < COUNT(t); i++)
        pthread_join(t[i], NULL);
}

static void a_full_arena_gives_nothing(void **unused)
{
    struct span  big = repeated(arena_of_test(), "A\xff", 10000), out;
    struct arena small;

    (void)unused;
    arena_init(&small, 4096);
    out = text_fold(big, &small);
    assert_true(out.p == NULL && out.n == 0);
    out = text_from_charset(big, SPAN("koi8-r"), &small, NULL);
    assert_true(out.p == NULL && out.n == 0);
    out = text_decode_header(big, SIZE_MAX, &small, NULL);
    assert_true(out.p == NULL && out.n == 0);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_makes_texts_equal_that_differ_in_case_alone),
        cmocka_unit_test(folding_works_at_every_length_and_place),
        cmocka_unit_test(every_character_folds_to_a_fixed_point),
        cmocka_unit_test(what_is_folded_is_not_copied),
        cmocka_unit_test(a_header_reads_as_people_see_it),
        cmocka_unit_test(only_the_start_of_a_long_header_is_looked_at),
        cmocka_unit_test(text_comes_from_its_charset),
        cmocka_unit_test(wide_charsets_are_read_in_either_order),
        cmocka_unit_test(any_bytes_in_any_charset_are_valid_utf8_in_the_end),
        cmocka_unit_test(every_charset_of_the_table_can_be_read),
        cmocka_unit_test(hostile_headers_take_linear_time),
        cmocka_unit_test(threads_have_converters_of_their_own),
        cmocka_unit_test(a_full_arena_gives_nothing),
    };

    return cmocka_run_group_tests_name("mail_text", tests, NULL, NULL);
}
