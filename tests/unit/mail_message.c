/* tests/unit/mail_message.c - twin of lib/mail/message.c. */
#include "mail/message.h"

#include "mail/leaf.h"

#include "mail.h"

static struct message *opened(struct arena *a, const char *text) { return message_open(span_of(text), a); }

static void header_and_body_part_at_the_empty_line(void **unused)
{
    static const struct {
        const char *holds, *raw, *head, *body;
    } cases[] = {
        {"CRLF", "A: 1\r\n\r\nbody\r\n", "A: 1\r\n\r\n", "body\r\n"},
        {"LF", "A: 1\n\nbody\n", "A: 1\n\n", "body\n"},
        {"an mbox line in front", "From x Sat Nov 21\nA: 1\n\nbody", "A: 1\n\n", "body"},
        {"no header", "just text\n\nmore", "", "just text\n\nmore"},
        {"no body", "A: 1\n", "A: 1\n", ""},
        {"an empty line first", "\nbody", "\n", "body"},
        {"nothing", "", "", ""},
        {"an mbox line alone", "From x", "", ""},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct message *m = opened(a, cases[i].raw);

        check_text(cases[i].holds, message_header_block(m), cases[i].head);
        check_text(cases[i].holds, message_body_raw(m), cases[i].body);
        check_text(cases[i].holds, message_raw(m), cases[i].raw);
    }
}

static void size_counts_every_line_end_as_two_bytes(void **unused)
{
    static const struct {
        const char *raw;
        size_t      size;
    } cases[] = {
        {"", 0},   {"abc", 3}, {"a\r\nb\r\n", 6}, {"a\nb\n", 6},       {"a\nb\r\n\n", 8},
        {"\n", 2}, {"\r", 1},  {"\r\r\n", 3},     {"From x\nab\n", 4},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].raw, message_size_crlf(opened(a, cases[i].raw)) == cases[i].size);
    for (size_t n = 1; n < 600; n += 13) { /* every place in a run, and across its edges */
        struct span lf = repeated(a, "x\n", n), crlf = repeated(a, "\r\n", n), long_lines = repeated(a, "0123456\n", n);

        assert_int_equal(message_size_crlf(message_open(lf, a)), 3 * n);
        assert_int_equal(message_size_crlf(message_open(crlf, a)), 2 * n);
        assert_int_equal(message_size_crlf(message_open(long_lines, a)), 9 * n);
    }
}

static void fields_are_found_by_name_in_order(void **unused)
{
    struct message *m = opened(
        arena_of_test(),
        "To: a\r\nReceived: 1\r\nSubject: s\r\nRECEIVED: 2\r\nX: y\r\nreceived : 3\r\n\r\nReceived: 4\r\n");
    size_t at = 0;
    bool   limit_hit;

    (void)unused;
    assert_int_equal(message_nheaders(m, &limit_hit), 6);
    assert_false(limit_hit);
    check_text("first", message_header_next(m, SPAN("Received"), &at)->body, " 1");
    assert_int_equal(at, 2);
    check_text("second", message_header_next(m, SPAN("received"), &at)->body, " 2");
    check_text("third", message_header_next(m, SPAN("reCeived"), &at)->body, " 3");
    assert_null(message_header_next(m, SPAN("Received"), &at));
    assert_null(message_header_next(m, SPAN("Received"), &at));
    at = 0;
    assert_null(message_header_next(m, SPAN("Receive"), &at));
    at = 2;
    check_text("from the middle", message_header_next(m, SPAN("Received"), &at)->body, " 2");
    at = 3;
    check_text("behind another", message_header_next(m, SPAN("Received"), &at)->body, " 2");
    check_text("by index", message_header_at(m, 2)->whole, "Subject: s\r\n");
    assert_null(message_header_at(m, 6));
}

static void header_text_is_decoded_and_folded_once(void **unused)
{
    struct message *m = opened(arena_of_test(), "Subject: =?utf-8?Q?GR=C3=9CN?=\r\nX: =?x-klingon?Q?a?=\r\n\r\n");
    bool            clean;
    struct span     first;

    (void)unused;
    first = message_header_text(m, 0, &clean);
    check_text("text", first, "GR\xc3\x9cN");
    assert_true(clean);
    check_text("folded", message_header_folded(m, 0, &clean), "gr\xc3\xbcn");
    assert_true(clean);
    assert_ptr_equal(message_header_text(m, 0, &clean).p, first.p);
    check_text("not clean", message_header_folded(m, 1, &clean), "=?x-klingon?q?a?=");
    assert_false(clean);
    message_header_text(m, 2, &clean);
    assert_false(clean);
}

static void the_end_of_a_field_beyond_64_kilobytes_is_unknown(void **unused)
{
    struct arena   *a = arena_of_test();
    struct span     big = repeated(a, "x", MESSAGE_HEADER_MAX + 1);
    struct message *m = message_open(
        arena_printf(a, "Subject: %.*s\nFrom: a@b.example, %.*s@b.example\n\n", SPAN_ARG(big), SPAN_ARG(big)), a);
    const struct address *list;
    size_t                n;
    bool                  clean;

    (void)unused;
    assert_true(message_header_text(m, 0, &clean).n < MESSAGE_HEADER_MAX);
    assert_false(clean);
    assert_int_equal(message_from(m, &list, &n), FACT_UNKNOWN);
    assert_int_equal(n, 1);
    assert_string_equal(message_limit(m), "headers");
}

static void from_lists_the_addresses_of_all_from_fields(void **unused)
{
    static const struct {
        const char *holds, *raw;
        enum fact   fact;
        const char *list;
    } cases[] = {
        {"one", "From: Bob <bob@b.example>\n\n", FACT_YES, "bob@b.example"},
        {"two in one field", "From: a@b.example, c@d.example\n\n", FACT_YES, "a@b.example c@d.example"},
        {"two fields", "From: a@b.example\nFROM: c@d.example\n\n", FACT_YES, "a@b.example c@d.example"},
        {"none", "To: a@b.example\n\n", FACT_NO, ""},
        {"an empty one", "From: <>\n\n", FACT_NO, ""},
        {"damage", "From: Bob\n\n", FACT_UNKNOWN, ""},
        {"damage beside an address", "From: Bob, c@d.example\n\n", FACT_UNKNOWN, "c@d.example"},
        {"in the body it is none", "To: x\n\nFrom: a@b.example\n", FACT_NO, ""},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct message       *m = opened(a, cases[i].raw);
        const struct address *list;
        struct span           all = SPAN("");
        size_t                n;

        CHECK(cases[i].holds, message_from(m, &list, &n) == cases[i].fact);
        for (size_t j = 0; j < n; j++)
            all = arena_printf(a, "%.*s%s%.*s", SPAN_ARG(all), j ? " " : "", SPAN_ARG(list[j].full));
        check_text(cases[i].holds, all, cases[i].list);
    }
}

static void a_message_id_stands_without_its_brackets(void **unused)
{
    static const struct {
        const char *raw, *id;
    } cases[] = {
        {"Message-ID: <a@b>\n\n", "a@b"},
        {"message-id:\r\n <a@b>\r\n\r\n", "a@b"},
        {"Message-Id: a@b\n\n", "a@b"},
        {"Message-Id: x <a@b> y\n\n", "a@b"},
        {"Message-Id: <a@b\n\n", "a@b"},
        {"Message-Id:\n\n", ""},
        {"X: y\n\n", ""},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_text(cases[i].raw, message_id(opened(a, cases[i].raw)), cases[i].id);
}

static const struct {
    const char *holds, *received, *ip;
} received[] = {
    {"Postfix", "from helo.example (mx.example [192.0.2.7]) by mx.ours.example (Postfix)", "192.0.2.7"},
    {"Postfix, unknown name", "from helo.example (unknown [192.0.2.7])\r\n\tby mx", "192.0.2.7"},
    {"Postfix, IPv6", "from x (y [IPv6:2001:db8::1]) by z", "2001:db8::1"},
    {"Postfix, with TLS", "from x (y [192.0.2.7]) (using TLSv1.3 with cipher X (256/256 bits)) by z", "192.0.2.7"},
    {"a literal as HELO is the client's word", "from [198.51.100.1] (unknown [192.0.2.7]) by z", "192.0.2.7"},
    {"Exim", "from mx.example ([192.0.2.7] helo=[198.51.100.1]) by z", "192.0.2.7"},
    {"Exim without a name", "from [192.0.2.7] (helo=[198.51.100.1]) by z", "192.0.2.7"},
    {"Exim with a port", "from mx.example ([192.0.2.7]:4711 helo=x) by z", "192.0.2.7"},
    {"Exim alone", "from [192.0.2.7] by z", "192.0.2.7"},
    {"Sendmail", "from x (y [192.0.2.7] (may be forged)) by z", "192.0.2.7"},
    {"qmail", "from unknown (HELO [198.51.100.1]) (192.0.2.7) by z", "192.0.2.7"},
    {"Exchange", "from A.example (2001:db8::1) by B.example (2001:db8::2) with X", "2001:db8::1"},
    {"a HELO of by", "from by (y [192.0.2.7]) by z", "192.0.2.7"},
    {"nothing behind by counts", "from localhost by mx (unknown [192.0.2.7])", ""},
    {"no address", "from localhost (localhost) by z", ""},
    {"by alone", "by mx.ours.example (Postfix, from userid 0) id X", ""},
    {"an address that is none", "from x (y [192.0.2.777]) by z", ""},
    {"an open comment", "from x (y [192.0.2.7]", "192.0.2.7"},
    {"empty", "", ""},
};

static void a_received_line_tells_whom_its_server_saw(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   ip;

    (void)unused;
    for (size_t i = 0; i < COUNT(received); i++) {
        struct message *m = message_open(arena_printf(a, "Received: x\nReceived: %s\n\n", received[i].received), a);

        CHECK(received[i].holds, message_received_ip(m, 1, &ip));
        check_text(received[i].holds, ip, received[i].ip);
        CHECK(received[i].holds, !message_received_ip(m, 2, &ip));
        CHECK(received[i].holds, message_received_ip(m, 0, &ip) && message_received_ip(m, 0, &ip) && ip.n == 0);
        CHECK(received[i].holds, message_received_ip(m, 1, &ip));
        check_text("asked again", ip, received[i].ip);
    }
}

/* ---- texts ---- */

static struct span all_texts(struct arena *a, struct message *m, bool source, enum fact *fact_out)
{
    const struct message_text *list;
    struct span                all = SPAN("");
    size_t                     n;

    *fact_out = message_texts(m, source, &list, &n);
    for (size_t i = 0; i < n; i++)
        all = arena_printf(a, "%.*s%s%s%.*s", SPAN_ARG(all), i ? "|" : "", list[i].html_source ? "src:" : "",
                           SPAN_ARG(list[i].text));
    return all;
}

#define ALTERNATIVE                                                                                                    \
    "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n"                \
    "Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe\n--b\nContent-Type: "                              \
    "text/html\n\n<b>Hi</b>\n--b--\n"

static const struct {
    const char *holds, *raw;
    bool        source;
    enum fact   fact;
    const char *texts;
} texts[] = {
    {"a plain message", "A: b\n\nHello\n", false, FACT_YES, "Hello\n"},
    {"no header at all", "Hello\n", false, FACT_YES, "Hello\n"},
    {"a header alone", "A: b\n", false, FACT_YES, ""},
    {"line ends are LF", "A: b\r\n\r\nx\r\ny\r\n\rz\r", false, FACT_YES, "x\ny\n\rz\r"},
    {"text and HTML", ALTERNATIVE, false, FACT_YES,
     "Gr\xc3\xbc\xc3\x9f"
     "e|Hi"},
    {"and its source", ALTERNATIVE, true, FACT_YES,
     "Gr\xc3\xbc\xc3\x9f"
     "e|Hi|src:<b>Hi</b>"},
    {"base64", "Content-Transfer-Encoding: base64\n\nSGVs\nbG8=\n", false, FACT_YES, "Hello"},
    {"base64 with junk", "Content-Transfer-Encoding: base64\n\nSGVs!\nbG8=\n", false, FACT_UNKNOWN, "Hello"},
    {"an unknown encoding", "Content-Transfer-Encoding: x-secret\n\nHello", false, FACT_UNKNOWN, "Hello"},
    {"Latin 1",
     "Content-Type: text/plain; charset=\"ISO-8859-1\"\n\nGr\xfc\xdf"
     "e",
     false, FACT_YES,
     "Gr\xc3\xbc\xc3\x9f"
     "e"},
    {"an unknown charset",
     "Content-Type: text/plain; charset=klingon\n\nGr\xfc\xdf"
     "e",
     false, FACT_UNKNOWN,
     "Gr\xc3\xbc\xc3\x9f"
     "e"},
    {"a broken type is plain text", "Content-Type: nonsense\n\nHello", false, FACT_YES, "Hello"},
    {"other text is text", "Content-Type: text/calendar\n\nBEGIN", false, FACT_YES, "BEGIN"},
    {"no text", "Content-Type: image/png\n\nxx", false, FACT_NO, ""},
    {"an attached text is no body", "Content-Disposition: attachment; filename=a.txt\n\nHello", false, FACT_NO, ""},
    {"a named text inline is body", "Content-Disposition: inline; filename=a.txt\n\nHello", false, FACT_YES, "Hello"},
    {"a detached text without a name is body", "Content-Disposition: attachment\n\nHello", false, FACT_YES, "Hello"},
    {"the text of a message inside", "Content-Type: message/rfc822\n\nSubject: x\n\nHello", false, FACT_YES, "Hello"},
};

static void texts_are_what_people_read(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(texts); i++) {
        enum fact       fact;
        struct message *m = opened(a, texts[i].raw);

        check_text(texts[i].holds, all_texts(a, m, texts[i].source, &fact), texts[i].texts);
        CHECK(texts[i].holds, fact == texts[i].fact);
        check_text("asked the other way", all_texts(a, m, !texts[i].source, &fact),
                   texts[i].source ? "Gr\xc3\xbc\xc3\x9f"
                                     "e|Hi"
                                   : all_texts(a, opened(a, texts[i].raw), true, &fact).p);
    }
}

static void utf16_text_is_read(void **unused)
{
    static const char raw[] = "Content-Type: text/plain; charset=utf-16le\n\nH\0i\0";
    struct arena     *a = arena_of_test();
    enum fact         fact;

    (void)unused;
    check_text("UTF-16", all_texts(a, message_open(span_make(raw, sizeof raw - 1), a), false, &fact), "Hi");
    assert_int_equal(fact, FACT_YES);
}

static void folded_text_comes_with_it(void **unused)
{
    const struct message_text *list;
    size_t                     n;
    struct message            *m = opened(arena_of_test(), ALTERNATIVE);

    (void)unused;
    message_texts(m, true, &list, &n);
    assert_int_equal(n, 3);
    check_text("plain", list[0].folded,
               "gr\xc3\xbc\xc3\x9f"
               "e");
    check_text("seen", list[1].folded, "hi");
    check_text("source", list[2].folded, "<b>hi</b>");
}

static void text_beyond_a_megabyte_is_unknown(void **unused)
{
    struct arena              *a = arena_of_test();
    struct span                big = repeated(a, "0123456789abcde\n", MESSAGE_TEXT_MAX / 16 + 1);
    struct message            *m = message_open(arena_printf(a, "A: b\n\n%.*s", SPAN_ARG(big)), a);
    const struct message_text *list;
    size_t                     n;

    (void)unused;
    assert_int_equal(message_texts(m, false, &list, &n), FACT_UNKNOWN);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].text.n, MESSAGE_TEXT_MAX);
    assert_string_equal(message_limit(m), "text");
}

/* ---- hostile ---- */

static void ask_everything(struct message *m)
{
    const struct address      *from;
    const struct message_text *list;
    struct span                ip;
    size_t                     n, at = 0;
    bool                       clean;

    for (size_t i = 0; i < message_nheaders(m, NULL); i++)
        message_header_folded(m, i, &clean);
    while (message_header_next(m, SPAN("Received"), &at) != NULL)
        continue;
    message_from(m, &from, &n);
    message_id(m);
    for (size_t i = 0; message_received_ip(m, i, &ip); i++)
        continue;
    message_parts(m, NULL);
    message_texts(m, true, &list, &n);
    message_size_crlf(m);
}

static const struct {
    const char *holds, *head, *piece;
    size_t      bytes;
    const char *limit; /* NULL: none need be hit */
    int         ms;
} hostile[] = {
    {"100,000 headers", "", "X-Header: value\r\n", 1700000, "headers", 200},
    {"100,000 Received", "", "Received: from a (b [192.0.2.7]) by c\r\n", 3900000, "headers", 400},
    {"many From fields", "", "From: a@b.example\r\n", 1900000, "headers", 400},
    {"a From of groups", "From: ", "a:", 100000, "headers", 50},
    {"50 MB of text", "A: b\r\n\r\n", "0123456789012345678901234567890123456789\r\n", 50 << 20, "text", 1000},
    {"50 MB of empty lines", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n", "\n", 50 << 20, "text",
     1000},
    {"50 MB of boundary-like lines", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n", "--y\n", 50 << 20,
     "text", 2000},
    {"a million boundaries", "Content-Type: multipart/mixed; boundary=x\r\n\r\n", "--x\n", 4000000, "parts", 200},
    {"encoded words in 50 MB of headers", "", "X: =?koi8-r?Q?=C1=C2?= =?big5?Q?=A4=A4?= =?utf-8?B?w7Y=?=\n", 20 << 20,
     "headers", 2500},
    {"messages in messages", "", "Content-Type: message/rfc822\n\n", 3000000, "depth", 100},
    {"binary", "Content-Type: text/html; charset=utf-8\n\n", "<\xff\x00>&\n", 2000000, "text", 1000},
};

static void hostile_messages_answer_in_bounded_time(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct arena   *a = arena_of_test();
        size_t          times = hostile[i].bytes / strlen(hostile[i].piece), head = strlen(hostile[i].head);
        char           *raw = malloc(hostile[i].bytes + head);
        struct message *m;

        memcpy(raw, hostile[i].head, head);
        for (size_t j = 0; j < times; j++)
            memcpy(raw + head + j * strlen(hostile[i].piece), hostile[i].piece, strlen(hostile[i].piece));
        m = message_open(span_make(raw, head + times * strlen(hostile[i].piece)), a);
        WITHIN_MS(hostile[i].holds, hostile[i].ms, ask_everything(m));
        if (hostile[i].limit != NULL && strcmp(hostile[i].limit, "headers") != 0 && message_limit(m) == NULL)
            fail_msg("%s: no limit", hostile[i].holds);
        free(raw);
    }
}

static void more_headers_than_we_index_are_unknown(void **unused)
{
    struct arena         *a = arena_of_test();
    struct span           many = repeated(a, "X: y\n", MESSAGE_HEADERS_MAX);
    struct message       *m = message_open(arena_printf(a, "%.*sFrom: a@b.example\n\nbody", SPAN_ARG(many)), a);
    const struct address *list;
    size_t                n;
    bool                  limit_hit;

    (void)unused;
    assert_int_equal(message_nheaders(m, &limit_hit), MESSAGE_HEADERS_MAX);
    assert_true(limit_hit);
    assert_int_equal(message_from(m, &list, &n), FACT_UNKNOWN);
    assert_string_equal(message_limit(m), "headers");
    check_text("the body is found all the same", message_body_raw(m), "body");
}

static void a_full_arena_is_unknown_and_no_crash(void **unused)
{
    static const size_t sizes[] = {512, 2048, 4096, 8192, 16384, 65536};
    struct span         raw = repeated(arena_of_test(), "From: =?koi8-r?Q?=C1?= <A@b.example>\n", 2000);

    (void)unused;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct arena    small;
        struct message *m;

        arena_init(&small, sizes[i]);
        m = message_open(raw, &small);
        if (m != NULL) {
            ask_everything(m);
            assert_non_null(message_limit(m));
        }
        arena_fini(&small);
    }
}

static void a_question_about_headers_touches_nothing_else(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   body = repeated(a, "0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 300);
    struct span   raw = arena_printf(a, "From: a@b.example\r\nTo: c@d.example\r\nSubject: Hello\r\n\r\n%.*s",
                                     SPAN_ARG(body));
    struct message *m;
    size_t          before = a->used, at = 0;
    bool            clean;

    (void)unused;
    m = message_open(raw, a);
    assert_non_null(message_header_next(m, SPAN("Subject"), &at));
    message_header_text(m, at - 1, &clean);
    assert_true(a->used - before < 8192);
    WITHIN_MS(
        "a thousand of them", 30, for (int i = 0; i < 1000; i++) {
            at = 0;
            m = message_open(raw, a);
            message_header_next(m, SPAN("Subject"), &at);
            message_header_text(m, at - 1, &clean);
        });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_and_body_part_at_the_empty_line),
        cmocka_unit_test(size_counts_every_line_end_as_two_bytes),
        cmocka_unit_test(fields_are_found_by_name_in_order),
        cmocka_unit_test(header_text_is_decoded_and_folded_once),
        cmocka_unit_test(the_end_of_a_field_beyond_64_kilobytes_is_unknown),
        cmocka_unit_test(from_lists_the_addresses_of_all_from_fields),
        cmocka_unit_test(a_message_id_stands_without_its_brackets),
        cmocka_unit_test(a_received_line_tells_whom_its_server_saw),
        cmocka_unit_test(texts_are_what_people_read),
        cmocka_unit_test(utf16_text_is_read),
        cmocka_unit_test(folded_text_comes_with_it),
        cmocka_unit_test(text_beyond_a_megabyte_is_unknown),
        cmocka_unit_test(hostile_messages_answer_in_bounded_time),
        cmocka_unit_test(more_headers_than_we_index_are_unknown),
        cmocka_unit_test(a_full_arena_is_unknown_and_no_crash),
        cmocka_unit_test(a_question_about_headers_touches_nothing_else),
    };

    mail_init();
    return cmocka_run_group_tests_name("mail_message", tests, NULL, NULL);
}
