/* tests/unit/mail_address.c - twin of lib/mail/address.c. */
#include "mail/address.h"

#include "mail.h"

static const struct {
    const char *holds, *path, *full; /* full NULL: refused; "": the null sender */
} paths[] = {
    {"an address", "a@b.example", "a@b.example"},
    {"in brackets", "<a@b.example>", "a@b.example"},
    {"blanks around", " \t<a@b.example>\r\n", "a@b.example"},
    {"blanks inside the brackets", "< a@b.example >", "a@b.example"},
    {"case does not count", "<Bob.B@Partner.EXAMPLE>", "bob.b@partner.example"},
    {"the null sender", "<>", ""},
    {"nothing is the null sender", "", ""},
    {"a source route is dropped", "<@relay.example,@other.example:a@b.example>", "a@b.example"},
    {"a quoted local part is unquoted", "<\"john doe\"@b.example>", "john doe@b.example"},
    {"with an at in it", "\"a@x\"@b.example", "a@x@b.example"},
    {"with escapes", "\"a\\\"b\\\\c\"@b.example", "a\"b\\c@b.example"},
    {"quoting what needs none changes nothing", "\"bob\"@b.example", "bob@b.example"},
    {"mixed words", "\"a\".b@c.example", "a.b@c.example"},
    {"a tag", "bob+tag=x/y@b.example", "bob+tag=x/y@b.example"},
    {"dots that the RFC forbids", ".a..b.@c.example", ".a..b.@c.example"},
    {"an IDN domain", "a@m\xc3\xbcnchen.example", "a@xn--mnchen-3ya.example"},
    {"an EAI local part, folded", "J\xc3\x96RG@b.example", "j\xc3\xb6rg@b.example"},
    {"a domain literal", "<root@[192.0.2.7]>", "root@[192.0.2.7]"},
    {"an IPv6 literal", "<root@[IPv6:2001:DB8::1]>", "root@[ipv6:2001:db8::1]"},
    {"a final dot goes", "a@b.example.", "a@b.example"},
    {"no domain", "postmaster", NULL},
    {"an empty domain", "a@", NULL},
    {"no local part", "@b.example", NULL},
    {"an empty quoted local part", "\"\"@b.example", NULL},
    {"two ats", "a@b@c.example", NULL},
    {"no closing bracket", "<a@b.example", NULL},
    {"no opening bracket", "a@b.example>", NULL},
    {"two words", "a b@c.example", NULL},
    {"two addresses", "a@b.example,c@d.example", NULL},
    {"a comment", "a(x)@b.example", NULL},
    {"a comment behind quotes", "\"a\"@b.example(x", NULL},
    {"an open quote", "\"a@b.example", NULL},
    {"a backslash outside quotes", "a\\b@c.example", NULL},
    {"a control character", "a\x01@b.example", NULL},
    {"a quoted control character", "\"a\x07\"@b.example", NULL},
    {"a route without an address", "<@relay.example:>", NULL},
    {"a route with brackets in it", "<@a.exa<>mple:j@d.example>", NULL},
    {"a domain with a blank", "a@b .example x", NULL},
};

static void an_envelope_path_is_one_address_or_is_refused(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct address out;
        struct err     e = ERR_INIT;
        int            rc = address_parse_path(span_of(paths[i].path), a, &out, &e);

        CHECK(paths[i].holds, (rc == 0) == (paths[i].full != NULL));
        CHECK(paths[i].holds, (rc == 0) == (e.code == ERR_NONE));
        CHECK(paths[i].holds, e.at <= strlen(paths[i].path));
        if (rc < 0)
            continue;
        check_text(paths[i].holds, out.full, paths[i].full);
        CHECK(paths[i].holds, out.full.n == 0 || out.full.n == out.local.n + 1 + out.domain.n);
    }
}

static void a_refused_path_says_where(void **unused)
{
    static const struct {
        const char *path;
        size_t      at;
    } cases[] = {{"<a@b,c@d.example>", 4}, {"<a@b.exa/mple>", 8}, {"a@b@c", 3}, {"<a@b.example", 12}};

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address out;
        struct err     e = ERR_INIT;

        CHECK(cases[i].path, address_parse_path(span_of(cases[i].path), arena_of_test(), &out, &e) < 0);
        if (e.at != cases[i].at)
            fail_msg("%s: at %zu, want %zu: %s", cases[i].path, e.at, cases[i].at, e.text);
    }
}

/* What the field yields: addresses joined by '|', and "!" at the end when it is damaged. */
static const struct {
    const char *holds, *field, *yields;
} fields[] = {
    {"one address", "a@b.example", "a@b.example"},
    {"with a name", "Bob <Bob@B.example>", "bob@b.example"},
    {"two", "a@b.example, Bob <c@d.example>", "a@b.example|c@d.example"},
    {"a comma in a quoted name", "\"Doe, John\" <j@d.example>", "j@d.example"},
    {"a bracket in a quoted name", "\"x <evil@e.example>\" <j@d.example>", "j@d.example"},
    {"an address as a name", "evil@e.example <j@d.example>", "j@d.example"},
    {"an encoded name", "=?utf-8?Q?a=2C_b?= <j@d.example>", "j@d.example"},
    {"a comment for a name", "j@d.example (John)", "j@d.example"},
    {"comments everywhere", "(a) j (b) @ (c(d)) d . (e) example (f)", "j@d.example"},
    {"a comment with an escape", "(a\\)b) j@d.example", "j@d.example"},
    {"folded", "\r\n Bob\r\n <j@d.example>,\r\n\tk@d.example", "j@d.example|k@d.example"},
    {"a group", "Friends: a@b.example, c@d.example; e@f.example", "a@b.example|c@d.example|e@f.example"},
    {"an empty group", "undisclosed-recipients:;", ""},
    {"a group of groups", "a:b:c:d@e.example;;", "d@e.example"},
    {"the null address", "<>", ""},
    {"a named null address", "MAILER-DAEMON <>", ""},
    {"nothing", "", ""},
    {"commas alone", ",, ,", ""},
    {"empty elements", ",a@b.example,,c@d.example,", "a@b.example|c@d.example"},
    {"a quoted local part", "\"john doe\"@d.example", "john doe@d.example"},
    {"a source route", "<@a.example,@b.example:j@d.example>", "j@d.example"},
    {"a source route of one", "<@a.example:j@d.example>", "j@d.example"},
    {"IDN and EAI", "J\xc3\x96rg <j\xc3\xb6rg@m\xc3\xbcnchen.example>", "j\xc3\xb6rg@xn--mnchen-3ya.example"},
    {"a literal", "root@[192.0.2.7]", "root@[192.0.2.7]"},
    {"obsolete dots", "john . doe @ d . example", "john.doe@d.example"},
    {"a name alone is damage", "Bob", "!"},
    {"no domain is damage", "<bob>", "!"},
    {"a name without brackets", "Bob bob@b.example", "bob@b.example!"},
    {"words behind", "bob@b.example Bob", "bob@b.example!"},
    {"no comma between", "<a@b.example> <c@d.example>", "a@b.example|c@d.example!"},
    {"no comma before a bare one", "<a@b.example> c@d.example", "a@b.example|c@d.example!"},
    {"no closing bracket", "Bob <a@b.example", "a@b.example!"},
    {"no closing bracket, and more", "Bob <a@b.example, c@d.example", "a@b.example|c@d.example!"},
    {"an open quote", "\"Bob <a@b.example>", "a@b.example!"},
    {"an open comment", "(Bob <a@b.example>", "a@b.example!"},
    {"two ats", "a@b@c.example, d@e.example", "d@e.example!"},
    {"a bad one beside a good one", "a b c, d@e.example", "d@e.example!"},
    {"a bad domain", "a@x/y.example, d@e.example", "d@e.example!"},
    {"a control character is damage", "a\x01@b.example", "!"},
};

static struct span yield(struct span field, struct arena *a, struct address_walk *w)
{
    struct address one;
    struct span    all = SPAN("");

    *w = (struct address_walk){.rest = field, .arena = a};
    while (address_next(w, &one))
        all = arena_printf(a, "%.*s%s%.*s", SPAN_ARG(all), all.n ? "|" : "", SPAN_ARG(one.full));
    return w->damaged ? arena_printf(a, "%.*s!", SPAN_ARG(all)) : all;
}

static void a_header_field_yields_its_addresses_and_tells_damage(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct address_walk w;

        check_text(fields[i].holds, yield(span_of(fields[i].field), a, &w), fields[i].yields);
    }
}

static void a_display_name_comes_as_written(void **unused)
{
    static const struct {
        const char *field, *name;
    } cases[] = {
        {"\"Doe, John\" <j@d.example>", "\"Doe, John\""},
        {" John  Doe <j@d.example>", "John  Doe"},
        {"=?utf-8?Q?J=C3=B6rg?= <j@d.example>", "=?utf-8?Q?J=C3=B6rg?="},
        {"j@d.example (John (Doe))", "John (Doe)"},
        {"j@d.example", ""},
        {"<j@d.example>", ""},
        {"Team: John <j@d.example>;", "John"},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address_walk w = {.rest = span_of(cases[i].field), .arena = a};
        struct address      one;

        CHECK(cases[i].field, address_next(&w, &one));
        check_text(cases[i].field, one.name, cases[i].name);
    }
}

static void hostile_fields_take_linear_time(void **unused)
{
    static const struct {
        const char *holds, *head, *piece;
        size_t      times;
    } cases[] = {
        {"nested groups", "", "a:", 500000},
        {"nested comments", "", "(", 1000000},
        {"nested comments that close badly", "", "(()", 300000},
        {"a quoted string of a megabyte", "\"", "x", 1000000},
        {"open quotes behind backslashes", "\"", "\\\"", 500000},
        {"open brackets", "", "<", 1000000},
        {"open literals", "a@", "[", 1000000},
        {"ats", "", "@", 1000000},
        {"dots", "", ".", 1000000},
        {"addresses", "", "a@b,", 250000},
        {"routes", "<", "@a,", 300000},
        {"words", "", "a ", 500000},
        {"high bytes", "a@", "\xc3\xbc", 500000},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena       *a = arena_of_test();
        struct span         tail = repeated(a, cases[i].piece, cases[i].times);
        struct address_walk w = {.arena = a, .rest = arena_printf(a, "%s%.*s", cases[i].head, SPAN_ARG(tail))};
        struct address      one;
        size_t              n = 0;

        WITHIN_MS(cases[i].holds, 60, while (address_next(&w, &one)) n++);
        CHECK(cases[i].holds, n <= ADDRESS_LIST_MAX);
        CHECK(cases[i].holds, w.damaged || n == 0);
    }
}

static void an_address_of_998_bytes_is_the_longest(void **unused)
{
    struct arena       *a = arena_of_test();
    struct span         local = repeated(a, "x", ADDRESS_MAX - 10);
    struct address      out;
    struct address_walk w;

    (void)unused;
    assert_int_equal(address_parse_path(arena_printf(a, "%.*s@b.example", SPAN_ARG(local)), a, &out, NULL), 0);
    assert_int_equal(out.full.n, ADDRESS_MAX);
    assert_int_equal(address_parse_path(arena_printf(a, "x%.*s@b.example", SPAN_ARG(local)), a, &out, NULL), -1);
    check_text("in a field too", yield(arena_printf(a, "x%.*s@b.example", SPAN_ARG(local)), a, &w), "!");
}

static void a_full_arena_is_damage_and_no_crash(void **unused)
{
    struct arena        small;
    struct address_walk w;
    struct address      out;
    struct span         many = repeated(arena_of_test(), "Bob@B.example,", 5000);
    size_t              n = 0;

    (void)unused;
    arena_init(&small, 8192);
    w = (struct address_walk){.rest = many, .arena = &small};
    while (address_next(&w, &out))
        n++;
    assert_true(n > 0 && n < 5000);
    assert_true(w.damaged);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_path_is_one_address_or_is_refused),
        cmocka_unit_test(a_refused_path_says_where),
        cmocka_unit_test(a_header_field_yields_its_addresses_and_tells_damage),
        cmocka_unit_test(a_display_name_comes_as_written),
        cmocka_unit_test(hostile_fields_take_linear_time),
        cmocka_unit_test(an_address_of_998_bytes_is_the_longest),
        cmocka_unit_test(a_full_arena_is_damage_and_no_crash),
    };

    return cmocka_run_group_tests_name("mail_address", tests, NULL, NULL);
}
