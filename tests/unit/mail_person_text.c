/* What strangers wrote, in a line of ours. */
#include "mail/person_text.h"

#include "mail.h"

#define FSI "\u2068"
#define PDI "\u2069"
#define FAMILY "\U0001F468\u200D\U0001F469\u200D\U0001F467"
#define GERMANY "\U0001F1E9\U0001F1EA"
#define FRANCE "\U0001F1EB\U0001F1F7"

static const struct {
    const char *holds;
    struct span in;
    size_t      max;
    const char *out;
} cases[] = {
    {"plain text stays", SPAN("Invoice 2026-11 for you & <me>"), 80, "Invoice 2026-11 for you & <me>"},
    {"nothing", SPAN(""), 80, ""},
    {"text of other languages stays", SPAN("Grüße, 你好, हिन्दी, Ελλάδα"), 80, "Grüße, 你好, हिन्दी, Ελλάδα"},
    {"line ends and tabs are one blank", SPAN("a\r\n b\t\tc\vd"), 80, "a b c d"},
    {"blanks around and in rows go", SPAN("  a   b  "), 80, "a b"},
    {"odd blanks too",
     SPAN("a\u00A0\u2003\u3000b\u2028c\u2029d\xC2\x85"
          "e"),
     80, "a b c d e"},
    {"controls go", SPAN("a\x01\x1b[31m\x7f\0b\xC2\x9B\xC2\x80"), 80, "a[31mb"},
    {"bad bytes are told", SPAN("a\xff\xc3z"), 80, "a\uFFFD\uFFFDz"},
    {"what shows nothing goes", SPAN("a\u200Bb\uFEFFc\u00ADd\u2060e\U000E0041f\u3164g\uFFF9h"), 80, "abcdefgh"},
    {"nothing but that is nothing", SPAN("\u200B\u200D\uFE0F\u200E \u200F"), 80, ""},
    {"an override does nothing", SPAN("photo\u202Egpj.exe"), 80, "photogpj.exe"},
    {"nor do embeddings and isolates", SPAN("\u202A\u202Ba\u202C\u202D\u2066b\u2067\u2068c\u2069\u2069"), 80, "abc"},
    {"text from the right stands by itself", SPAN("שלום"), 80, FSI "שלום" PDI},
    {"Arabic, with digits", SPAN("رقم ١٢٣"), 80, FSI "رقم ١٢٣" PDI},
    {"it cannot end its isolate early", SPAN("שלום\u2069\u202C x"), 80, FSI "שלום x" PDI},
    {"marks of direction are kept within it", SPAN("C\u200F!"), 80, FSI "C\u200F!" PDI},
    {"Persian keeps its joiners", SPAN("می\u200Cخواهم"), 80, FSI "می\u200Cخواهم" PDI},
    {"no tower of marks", SPAN("a\u0301\u0302\u0303\u0304\u0305\u0306\u0307b"), 80,
     "a\u0301\u0302\u0303\u0304"
     "b"},
    {"nor with joiners between", SPAN("a\u0301\u200D\u0303\u200D\u0305\u200D\u0307b"), 80,
     "a\u0301\u200D\u0303\u200Db"},
    {"no mark on what is ours", SPAN("\u0338\u0301x"), 80, "x"},
    {"as many as there may be", SPAN("12345"), 5, "12345"},
    {"one more", SPAN("123456"), 5, "1234…"},
    {"just the dots", SPAN("123456"), 1, "…"},
    {"no blank before the dots", SPAN("123 56"), 5, "123…"},
    {"a letter with its marks is one", SPAN("e\u0301e\u0301e\u0301e\u0301"), 3, "e\u0301e\u0301…"},
    {"a family is one", SPAN(FAMILY FAMILY FAMILY), 3, FAMILY FAMILY FAMILY},
    {"and is not torn", SPAN(FAMILY FAMILY FAMILY), 2, FAMILY "…"},
    {"a flag is one", SPAN(GERMANY FRANCE GERMANY), 2, GERMANY "…"},
    {"a hand of a colour", SPAN("\U0001F44D\U0001F3FD\U0001F44D\U0001F3FD"), 2,
     "\U0001F44D\U0001F3FD\U0001F44D\U0001F3FD"},
    {"a syllable of Hangul", SPAN("\u1112\u1161\u11AB\u1100\u1173\u11AF"), 2, "\u1112\u1161\u11AB\u1100\u1173\u11AF"},
    {"the dots are within the isolate", SPAN("אבגדה"), 3, FSI "אב…" PDI},
    {"blanks that were never shown do not count", SPAN("  12   45 "), 5, "12 45"},
};

static void a_strangers_text_keeps_to_its_line(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *a = arena_of_test();
        struct span   out = person_text(cases[i].in, cases[i].max, a), again;

        CHECK(cases[i].holds, out.p != NULL);
        check_text(cases[i].holds, out, cases[i].out);
        again = person_text(out, 1000, a);
        check_text(cases[i].holds, again, cases[i].out);
    }
}

static void a_long_text_costs_no_more_than_what_is_looked_at(void **unused)
{
    static const char *const pieces[] = {"x",    " ", "\u0301", "a\u0301", "\u200D", FAMILY "\u200D",
                                         "\xff", "א", "\u202E"};

    (void)unused;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct arena *a = arena_of_test();
        struct span   in = repeated(a, pieces[i], 100000), out = SPAN_NONE;

        WITHIN_MS(pieces[i], 20, out = person_text(in, 100, a));
        CHECK(pieces[i], utf8_valid(out) && out.n <= 4 * 16 * 100);
        WITHIN_MS(pieces[i], 20, out = person_text(in, 1000000, a));
        CHECK(pieces[i], utf8_valid(out) && out.n <= 3 * PERSON_TEXT_LOOK + 20);
        CHECK(pieces[i], out.n == 0 || span_find(out, SPAN("…")) < out.n);
    }
}

static void a_full_arena_is_told(void **unused)
{
    struct arena a;

    (void)unused;
    arena_init(&a, 16);
    assert_null(person_text(SPAN("more than sixteen bytes"), 80, &a).p);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_strangers_text_keeps_to_its_line),
        cmocka_unit_test(a_long_text_costs_no_more_than_what_is_looked_at),
        cmocka_unit_test(a_full_arena_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
