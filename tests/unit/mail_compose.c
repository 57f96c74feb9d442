#include "check.h"

#include "mail/compose.h"
#include "mail/leaf.h"
#include "mail/message.h"

static const struct compose simple = {
    .from = {"Häuser & Co <post@häuser.example>", 36},
    .to = {"anna@ours.example", 17},
    .subject = {"Grüße – 3 messages in your quarantine, and a subject so long that it is folded", 0},
    .message_id = {"1@ours.example", 14},
    .at_us = INT64_C(1795000000000000),
    .text = {"Hello\n.\nFrom here on\n", 21}};

static struct compose plain(void)
{
    struct compose m = simple;

    m.from = SPAN("Haus <post@haus.example>");
    m.subject.n = strlen(m.subject.p);
    return m;
}

static void a_message_reads_back_as_it_was_meant(void **state)
{
    struct compose        m = plain();
    struct buf            out;
    struct arena          a;
    struct message       *read;
    const struct address *from;
    size_t                n, at = 0;
    bool                  clean;
    struct err            e = ERR_INIT;

    (void)state;
    buf_init(&out, 1 << 20);
    arena_init(&a, 1 << 20);
    assert_int_equal(compose_message(&m, &out, &e), 0);
    read = message_open(buf_span(&out), &a);
    assert_int_equal(message_from(read, &from, &n), FACT_YES);
    assert_true(span_is(message_id(read), "1@ours.example"));
    assert_non_null(message_header_next(read, SPAN("Subject"), &at));
    assert_true(span_eq(message_header_text(read, at - 1, &clean), m.subject));
    buf_fini(&out);
    arena_fini(&a);
}

static void every_line_ends_in_crlf_and_is_short_enough(void **state)
{
    struct compose m = plain();
    struct buf     out;
    struct err     e = ERR_INIT;
    size_t         start = 0;

    (void)state;
    m.html = SPAN("<p>"
                  "0123456789012345678901234567890123456789012345678901234567890123456789"
                  "0123456789012345678901234567890123456789012345678901234567890123456789"
                  "</p>");
    buf_init(&out, 1 << 20);
    assert_int_equal(compose_message(&m, &out, &e), 0);
    for (size_t i = 0; i < out.n; i++) {
        if (out.p[i] != '\n')
            continue;
        assert_true(i > 0 && out.p[i - 1] == '\r');
        assert_true(i - start < 200);
        start = i + 1;
    }
    buf_fini(&out);
}

static void nothing_that_goes_in_becomes_another_field(void **state)
{
    static const char *const bad[] = {"a\r\nBcc: all@ours.example", "a\nb", "a\rb", "\x7f", "\xff"};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct compose       m = plain();
        struct compose_field field = {"List-Id", span_of(bad[i])};
        struct buf           out;
        struct err           e = ERR_INIT;

        buf_init(&out, 1 << 20);
        m.subject = span_of(bad[i]);
        assert_int_equal(compose_message(&m, &out, &e), -1);
        m = plain();
        m.to_name = span_of(bad[i]);
        assert_int_equal(compose_message(&m, &out, &e), -1);
        m = plain();
        m.fields = &field;
        m.nfields = 1;
        assert_int_equal(compose_message(&m, &out, &e), -1);
        assert_int_equal(out.n, 0);
        buf_fini(&out);
    }
}

static void an_address_of_any_letters_stays_one_address(void **state)
{
    static const struct {
        const char *to, *line;
    } cases[] = {
        {"anna.b+c@ours.example", "To: anna.b+c@ours.example\r\n"},
        {"a>b<evil@evil.example@ours.example", "To: \"a>b<evil@evil.example\"@ours.example\r\n"},
        {"a, b@ours.example", "To: \"a, b\"@ours.example\r\n"},
        {"a\"\\b@ours.example", "To: \"a\\\"\\\\b\"@ours.example\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct compose m = plain();
        struct buf     out;
        struct err     e = ERR_INIT;

        buf_init(&out, 1 << 20);
        m.to = span_of(cases[i].to);
        assert_int_equal(compose_message(&m, &out, &e), 0);
        CHECK(cases[i].to, span_find(buf_span(&out), span_of(cases[i].line)) < out.n);
        buf_fini(&out);
    }
}

static void the_address_is_found_in_both_forms(void **state)
{
    (void)state;
    assert_true(span_is(compose_address(SPAN("Postern <postern@localhost>")), "postern@localhost"));
    assert_true(span_is(compose_address(SPAN("postern@localhost")), "postern@localhost"));
    assert_int_equal(compose_address(SPAN("nobody")).n, 0);
}

static void a_long_address_of_a_field_stands_as_it_is(void **state)
{
    static const char url[] =
        "<https://portal.ours.example/d/AQABBABrFS6yAaICouSTelGX-qQLjBu9_wAAAAAAAAAAAAAAAAAAAAAAAApnLu_D7smJSP1FXjc>";
    struct compose_field field = {"List-Unsubscribe", span_of(url)};
    struct compose       m = plain();
    struct buf           out;
    struct err           e = ERR_INIT;

    (void)state;
    buf_init(&out, 1 << 20);
    m.fields = &field;
    m.nfields = 1;
    m.text = SPAN("Gr\xc3\xbc\xc3\x9f"
                  "e\n");
    assert_int_equal(compose_message(&m, &out, &e), 0);
    assert_true(span_find(buf_span(&out), SPAN("List-Unsubscribe: <https://")) < out.n);
    assert_true(span_find(buf_span(&out), span_of(url)) < out.n);
    assert_true(span_find(buf_span(&out), SPAN("charset=utf-8")) < out.n);
    assert_true(span_find(buf_span(&out), SPAN("Gr=C3=BC=C3=9Fe")) < out.n);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_reads_back_as_it_was_meant),
        cmocka_unit_test(every_line_ends_in_crlf_and_is_short_enough),
        cmocka_unit_test(nothing_that_goes_in_becomes_another_field),
        cmocka_unit_test(an_address_of_any_letters_stays_one_address),
        cmocka_unit_test(the_address_is_found_in_both_forms),
        cmocka_unit_test(a_long_address_of_a_field_stands_as_it_is),
    };

    mail_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
