/* tests/unit/mail_domain.c - twin of lib/mail/domain.c. */
#include "mail/domain.h"

#include "mail.h"

static const struct {
    const char *holds, *written, *normal; /* normal NULL: refused */
} names[] = {
    {"a plain name stays", "mail.example", "mail.example"},
    {"case does not count", "MAIL.Example", "mail.example"},
    {"a final dot goes", "mail.example.", "mail.example"},
    {"umlauts become A-labels", "m\xc3\xbcnchen.example", "xn--mnchen-3ya.example"},
    {"upper-case umlauts too", "M\xc3\x9cNCHEN.Example", "xn--mnchen-3ya.example"},
    {"decomposed umlauts too", "mu\xcc\x88nchen.example", "xn--mnchen-3ya.example"},
    {"non-transitional: sharp s is itself",
     "stra\xc3\x9f"
     "e.example",
     "xn--strae-oqa.example"},
    {"an ideographic full stop is a dot",
     "a\xe3\x80\x82"
     "example",
     "a.example"},
    {"an A-label stays one, in lower case", "XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example"},
    {"underscores are let through", "_dmarc.mail_1.example", "_dmarc.mail_1.example"},
    {"one label will do", "localhost", "localhost"},
    {"hyphens may lead: such names exist", "-a-.example", "-a-.example"},
    {"digits may lead", "1und1.example", "1und1.example"},
    {"an IPv4 literal keeps its brackets", "[192.0.2.7]", "[192.0.2.7]"},
    {"an IPv6 literal comes in lower case", "[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
    {"a literal needs its end", "[192.0.2.7", NULL},
    {"a literal holds something", "[]", NULL},
    {"a literal holds no blanks", "[192.0.2.7 ]", NULL},
    {"nothing is no domain", "", NULL},
    {"a dot is no domain", ".", NULL},
    {"no empty label within", "a..example", NULL},
    {"no empty label in front", ".example", NULL},
    {"one final dot, not two", "a.example..", NULL},
    {"no blanks", "a b.example", NULL},
    {"no slash", "a/b.example", NULL},
    {"no at", "a@b.example", NULL},
    {"no broken UTF-8", "m\xfcnchen.example", NULL},
    {"no control characters", "a\x01.example", NULL},
    {"63 bytes are a label", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123.example",
     "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123.example"},
    {"64 bytes are none", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234.example", NULL},
};

static void a_domain_has_one_normal_form_or_none(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct span out, again;
        struct err  e = ERR_INIT;
        int         rc = domain_normalise(span_of(names[i].written), a, &out, &e);

        CHECK(names[i].holds, (rc == 0) == (names[i].normal != NULL));
        CHECK(names[i].holds, (rc == 0) == (e.code == ERR_NONE));
        if (rc < 0)
            continue;
        check_text(names[i].holds, out, names[i].normal);
        CHECK(names[i].holds, domain_normalise(out, a, &again, NULL) == 0 && span_eq(out, again));
    }
}

static void names_of_253_bytes_are_the_longest(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   d = repeated(a, "abcdefg.", 32), out;

    (void)unused;
    assert_int_equal(domain_normalise(span_head(d, 253), a, &out, NULL), 0);
    assert_int_equal(out.n, 253);
    assert_int_equal(domain_normalise(span_head(d, 254), a, &out, NULL), -1);
    assert_int_equal(domain_normalise(repeated(a, "\xc3\xbc", 1 << 20), a, &out, NULL), -1);
}

static void a_refusal_says_where(void **unused)
{
    struct err  e = ERR_INIT;
    struct span out;

    (void)unused;
    assert_int_equal(domain_normalise(SPAN("mail.exa mple"), arena_of_test(), &out, &e), -1);
    assert_int_equal(e.at, 8);
    assert_non_null(strstr(e.text, "\" \""));
}

static const struct {
    const char *holds, *domain, *org;
} orgs[] = {
    {"a host belongs to its domain", "mx.mail.partner.example", "partner.example"},
    {"a domain to itself", "partner.example", "partner.example"},
    {"suffixes may have two labels", "a.b.bbc.co.uk", "bbc.co.uk"},
    {"a suffix is its own", "co.uk", "co.uk"},
    {"private suffixes count", "alice.github.io", "alice.github.io"},
    {"IDN suffixes too, as A-labels", "a.b.xn--p1ai", "b.xn--p1ai"},
    {"a literal owns itself", "[192.0.2.7]", "[192.0.2.7]"},
    {"an IPv4 address is no name", "192.0.2.7", "192.0.2.7"},
    {"one label owns itself", "localhost", "localhost"},
};

static void the_organisational_domain_follows_the_public_suffix_list(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(orgs); i++) {
        struct span d = span_of(orgs[i].domain), org = domain_org(d);

        check_text(orgs[i].holds, org, orgs[i].org);
        CHECK(orgs[i].holds, org.p + org.n == d.p + d.n);
    }
    assert_true(domain_is_public_suffix(SPAN("co.uk")));
    assert_true(domain_is_public_suffix(SPAN("com")));
    assert_false(domain_is_public_suffix(SPAN("bbc.co.uk")));
    assert_false(domain_is_public_suffix(SPAN("[192.0.2.7]")));
    assert_false(domain_is_public_suffix(SPAN("192.0.2.7")));
}

static void free_mail_domains_are_known_by_name_alone(void **unused)
{
    static const char *const free_ones[] = {"126.com",   "gmail.com",    "gmx.net", "web.de",
                                            "yahoo.com", "zohomail.com", "qq.com"};

    (void)unused;
    for (size_t i = 0; i < COUNT(free_ones); i++)
        CHECK(free_ones[i], domain_is_freemail(span_of(free_ones[i])));
    assert_false(domain_is_freemail(SPAN("partner.example")));
    assert_false(domain_is_freemail(SPAN("mail.gmail.com")));
    assert_false(domain_is_freemail(SPAN("")));
}

static void within_means_the_same_or_below(void **unused)
{
    (void)unused;
    assert_true(domain_is_within(SPAN("partner.example"), SPAN("partner.example")));
    assert_true(domain_is_within(SPAN("x.partner.example"), SPAN("partner.example")));
    assert_false(domain_is_within(SPAN("mypartner.example"), SPAN("partner.example")));
    assert_false(domain_is_within(SPAN("partner.example"), SPAN("x.partner.example")));
    assert_false(domain_is_within(SPAN("partner.example"), SPAN("")));
}

static void people_read_u_labels(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    check_text("an A-label", domain_display(SPAN("xn--mnchen-3ya.example"), a), "m\xc3\xbcnchen.example");
    check_text("a plain name", domain_display(SPAN("partner.example"), a), "partner.example");
    check_text("what does not convert", domain_display(SPAN("xn--a\xff.example"), a), "xn--a\xff.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_has_one_normal_form_or_none),
        cmocka_unit_test(names_of_253_bytes_are_the_longest),
        cmocka_unit_test(a_refusal_says_where),
        cmocka_unit_test(the_organisational_domain_follows_the_public_suffix_list),
        cmocka_unit_test(free_mail_domains_are_known_by_name_alone),
        cmocka_unit_test(within_means_the_same_or_below),
        cmocka_unit_test(people_read_u_labels),
    };

    return cmocka_run_group_tests_name("mail_domain", tests, NULL, NULL);
}
