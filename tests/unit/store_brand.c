/* tests/unit/store_brand.c - twin of lib/store/brand.c and colour.c. */
#include "store/brand.h"

#include "store_world.h"

#define BYTES(literal)                                                                                                 \
    {                                                                                                                  \
        (literal), sizeof(literal) - 1                                                                                 \
    }

static struct store_brand acme(void)
{
    return (struct store_brand){.name = "Acme Mail",
                                .prefix = "ACME",
                                .sender = "Acme <mail@acme.example>",
                                .url = "https://mail.acme.example",
                                .support = "help@acme.example",
                                .webmail = "https://webmail.acme.example/in",
                                .accent = {"#1d4ed8", "#93c5fd"}};
}

static void a_brand_is_found_by_its_host_and_its_domain_until_they_are_taken_away(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct uuid        domain = add_domain(w, "ours.example"), id;
    struct store_brand b = acme(), got;

    OK(w, store_brand_add(s, &root, &b, &id, &w->e));
    OK(w, store_domain_alias_add(s, &root, domain, SPAN("other.example"), &w->e));
    assert_int_equal(store_brand_of_host(s, SPAN("mail.acme.example"), &got, &w->e), 0);
    OK(w, store_brand_host_set(s, &root, SPAN("mail.acme.example"), &id, &w->e));
    OK(w, store_brand_domain_set(s, &root, domain, &id, &w->e));
    assert_int_equal(store_brand_of_host(s, SPAN("mail.acme.example"), &got, &w->e), 1);
    assert_string_equal(got.webmail, b.webmail);
    assert_string_equal(got.accent[SCHEME_DARK], "#93c5fd");
    assert_int_equal(store_brand_of_domain(s, SPAN("ours.example"), &got, &w->e), 1);
    assert_int_equal(store_brand_of_domain(s, SPAN("other.example"), &got, &w->e), 1);
    OK(w, store_brand_domain_set(s, &root, domain, NULL, &w->e));
    assert_int_equal(store_brand_of_domain(s, SPAN("ours.example"), &got, &w->e), 0);
    OK(w, store_brand_delete(s, &root, id, &w->e));
    assert_int_equal(store_brand_of_host(s, SPAN("mail.acme.example"), &got, &w->e), 0);
    REFUSED(w, ERR_NOT_FOUND, store_brand_get(s, id, &got, &w->e));
}

static void what_would_break_a_page_or_a_letter_is_refused(void **state)
{
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct uuid        id;
    struct store_brand b;

#define BAD(member, value)                                                                                             \
    do {                                                                                                               \
        b = acme();                                                                                                    \
        snprintf(b.member, sizeof b.member, "%s", value);                                                              \
        REFUSED(w, ERR_INVALID, store_brand_add(s, &root, &b, &id, &w->e));                                            \
    } while (0)
    BAD(name, "");
    BAD(name, "Acme\r\nBcc: x");
    BAD(name, "Acme \" <x@y>");
    BAD(prefix, "acme");
    BAD(prefix, "");
    BAD(webmail, "javascript:alert(1)");
    BAD(webmail, "https://x/\"onclick=");
    BAD(url, "https://mail.acme.example/path");
    BAD(url, "https://me@mail.acme.example");
    BAD(sender, "nobody");
    BAD(support, "nobody");
    BAD(accent[SCHEME_LIGHT], "red");
    BAD(accent[SCHEME_LIGHT], "#ffee88");
    BAD(accent[SCHEME_DARK], "#222244");
#undef BAD
}

static const struct {
    const char *sender, *wrong; /* what is said of it; NULL: it is good */
} senders[] = {
    {"", NULL},
    {"mail@acme.example", NULL},
    {"Acme <mail@acme.example>", NULL},
    {"\"Acme, Inc.\" <mail@acme.example>", NULL},
    {"Müller Mail <post@müller.example>", NULL},
    {"  mail@acme.example ", NULL},
    {"a@acme.example, b@acme.example", "one mail address"},
    {"Acme <a@acme.example>, b@acme.example", "one mail address"},
    {"a@acme.example, Acme <b@acme.example>", "one mail address"},
    {"<a@acme.example><b@acme.example>", "mail address"},
    {"a@acme.example b@acme.example", "mail address"},
    {"a@acme.example; b@acme.example", "mail address"},
    {"Us: a@acme.example;", "mail address"},
    {"Us: a@acme.example, b@acme.example;", "one mail address"},
    {"a@acme.example,", "mail address"},
    {"a@acme.example (Acme)", "mail address"},
    {"\"Acme <a@acme.example>", "mail address"},
    {"Acme <a@acme.example", "mail address"},
    {"Acme <a@acme.example> Inc.", "mail address"},
    {"Acme <>", "mail address"},
    {"acme.example", "mail address"},
    {"a@", "mail address"},
    {"Acme <a@acme.example>\r\nBcc: b@acme.example", "control character"},
    {"Acme\nBcc: b@acme.example <a@acme.example>", "control character"},
};

static void mail_of_a_brand_comes_from_one_address(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(senders); i++) {
        struct store_brand b = acme();
        struct err         e = ERR_INIT;
        struct uuid        id;
        int                rc;

        snprintf(b.sender, sizeof b.sender, "%s", senders[i].sender);
        rc = store_brand_add(w->more, &root, &b, &id, &e);
        if ((rc == 0) != (senders[i].wrong == NULL) || (rc < 0 && strstr(e.text, senders[i].wrong) == NULL))
            fail_msg("%s: %s", senders[i].sender, rc == 0 ? "taken" : e.text);
    }
}

static void a_logo_is_an_image_by_its_bytes_and_not_too_large(void **state)
{
    static const struct {
        struct span bytes;
        const char *type;
    } cases[] = {{BYTES("\x89PNG\r\n\x1a\nxxxx"), "image/png"},
                 {BYTES("\xff\xd8\xff\xe0xxxx"), "image/jpeg"},
                 {BYTES("RIFFxxxxWEBPVP8 "), "image/webp"},
                 {BYTES("<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), "image/svg+xml"},
                 {BYTES("<!DOCTYPE svg [<!ENTITY a \"b\">]><svg/>"), NULL},
                 {BYTES("<?xml version=\"1.0\"?><!DOCTYPE svg><svg/>"), NULL},
                 {BYTES("<html><svg/></html>"), NULL},
                 {BYTES("GIF89a"), NULL}};
    static char        large[BRAND_LOGO_MAX + 1] = "\x89PNG\r\n\x1a\n";
    struct world      *w = world_of(state);
    struct store      *s = w->more;
    struct store_brand b = acme();
    struct uuid        id;
    struct arena       a;
    struct span        bytes;
    const char        *type;

    arena_init(&a, 1 << 20);
    OK(w, store_brand_add(s, &root, &b, &id, &w->e));
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (cases[i].type == NULL) {
            REFUSED(w, ERR_INVALID, store_brand_logo_set(s, &root, id, cases[i].bytes, &w->e));
            continue;
        }
        OK(w, store_brand_logo_set(s, &root, id, cases[i].bytes, &w->e));
        OK(w, store_brand_logo(s, id, &a, &bytes, &type, &w->e));
        assert_string_equal(type, cases[i].type);
        assert_true(span_eq(bytes, cases[i].bytes));
        OK(w, store_brand_get(s, id, &b, &w->e));
        assert_string_equal(b.logo_type, cases[i].type);
    }
    REFUSED(w, ERR_LIMIT, store_brand_logo_set(s, &root, id, span_make(large, sizeof large), &w->e));
    OK(w, store_brand_logo_set(s, &root, id, SPAN_NONE, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_brand_logo(s, id, &a, &bytes, &type, &w->e));
    arena_fini(&a);
}

static void text_on_an_accent_and_an_accent_on_a_page_can_be_read(void **state)
{
    static const char *const good[][2] = {
        {"#2f6f62", "#6fc0ae"}, {"#1d4ed8", "#93c5fd"}, {"#000000", "#ffffff"}, {"#a21caf", "#f0abfc"}};
    struct err    e = ERR_INIT;
    struct accent made;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        for (int k = 0; k < SCHEMES; k++) {
            assert_int_equal(accent_make(span_of(good[i][k]), (enum scheme)k, &made, &e), 0);
            assert_true(colour_contrast(span_of(made.accent), span_of(made.on)) >= COLOUR_CONTRAST);
            assert_true(colour_contrast(span_of(made.accent), span_of(made.soft)) >= COLOUR_CONTRAST);
        }
    assert_true(colour_contrast(SPAN("#000000"), SPAN("#ffffff")) > 20.99);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_brand_is_found_by_its_host_and_its_domain_until_they_are_taken_away),
        STORE(what_would_break_a_page_or_a_letter_is_refused),
        STORE_SQLITE(mail_of_a_brand_comes_from_one_address),
        STORE(a_logo_is_an_image_by_its_bytes_and_not_too_large),
        STORE(text_on_an_accent_and_an_accent_on_a_page_can_be_read),
    };

    return run_on_both(tests, COUNT(tests));
}
