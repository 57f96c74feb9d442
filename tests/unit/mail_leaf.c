/* tests/unit/mail_leaf.c - twin of lib/mail/leaf.c. */
#include "mail/leaf.h"

#include "mail.h"

static const struct {
    const char *holds, *raw, *encoding, *text;
    bool        clean;
} cases[] = {
    {"no encoding", "as is = \xff", "", "as is = \xff", true},
    {"8bit", "as is =41", "8bit", "as is =41", true},
    {"an unknown one", "as is", "x-secret", "as is", false},
    {"base64", "SGVsbG8s\r\nIHdvcmxk\r\n", "base64", "Hello, world", true},
    {"base64 with padding", "SGVsbG8=\n", "BASE64", "Hello", true},
    {"base64 without padding", "SGVsbG8", "base64", "Hello", true},
    {"base64 with junk", "SGVs!bG8=", "base64", "Hello", false},
    {"base64 with a footer behind", "SGVsbG8=\nlist footer\n", "base64", NULL, false},
    {"base64 that ends inside a byte", "SGVsb", "base64", "Hel", false},
    {"quoted-printable", "J=C3=B6rg =3D=\r\n x", "quoted-printable", "J\xc3\xb6rg = x", true},
    {"quoted-printable in lower case", "=c3=b6", "Quoted-Printable", "\xc3\xb6", true},
    {"a soft break with blanks", "a= \t\r\nb", "quoted-printable", NULL, true},
    {"a soft break at the end", "a=", "quoted-printable", NULL, true},
    {"bad quoted-printable", "a=ZZb", "quoted-printable", NULL, false},
    {"uuencode", "begin 644 x\n%2&5L;&\\`\n`\nend\n", "x-uuencode", "Hello", true},
    {"uuencode without its end", "begin 644 x\n%2&5L;&\\`\n", "uuencode", "Hello", false},
    {"nothing", "", "base64", "", true},
};

static void a_leaf_decodes_and_tells_damage(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool        clean = !cases[i].clean, cut = true;
        struct span t = leaf_decode(span_of(cases[i].raw), span_of(cases[i].encoding), 1000, a, &clean, &cut);

        if (cases[i].text != NULL)
            check_text(cases[i].holds, t, cases[i].text);
        CHECK(cases[i].holds, clean == cases[i].clean);
        CHECK(cases[i].holds, !cut);
    }
}

static void no_more_than_asked_for_comes_out(void **unused)
{
    struct arena            *a = arena_of_test();
    static const char *const encodings[] = {"base64", "quoted-printable", "8bit"};

    (void)unused;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        bool        clean, cut;
        struct span raw = repeated(a, "QUFB", 10000);

        CHECK(encodings[i], leaf_decode(raw, span_of(encodings[i]), 5000, a, &clean, &cut).n == 5000);
        CHECK(encodings[i], cut && clean);
        CHECK(encodings[i], leaf_decode(raw, span_of(encodings[i]), SIZE_MAX, a, &clean, &cut).n >= 30000);
        CHECK(encodings[i], !cut);
    }
}

static void a_full_arena_gives_nothing(void **unused)
{
    struct span  raw = repeated(arena_of_test(), "QUFB", 10000);
    struct arena small;
    bool         clean, cut;

    (void)unused;
    arena_init(&small, 4096);
    assert_null(leaf_decode(raw, SPAN("base64"), SIZE_MAX, &small, &clean, &cut).p);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_decodes_and_tells_damage),
        cmocka_unit_test(no_more_than_asked_for_comes_out),
        cmocka_unit_test(a_full_arena_gives_nothing),
    };

    mail_init();
    return cmocka_run_group_tests_name("mail_leaf", tests, NULL, NULL);
}
