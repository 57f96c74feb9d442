/* What spamd is told before a message, so that it believes nothing that came with it; and reports that are not as usual. */
#include "net.h"
#include "net/spamd_client.h"

static struct arena arena;

static const struct {
    const char *holds, *message, *from, *ip, *helo, *host, *user;
    bool        told;
    const char *prefix;
} prefixes[] = {
    {"client and sender, in the message's line ends", "A: b\r\n\r\n", "<a@b.example>", "192.0.2.1", "mx.b.example",
     "mx.b.example", "", true,
     "Return-Path: <a@b.example>\r\nX-Envelope-From: <a@b.example>\r\n"
     "Received: from mx.b.example (mx.b.example [192.0.2.1])\r\n\tby us.example (Postfix) with ESMTP id Q1\r\n"
     "\t(envelope-from <a@b.example>); Sun, 22 Nov 2026 02:49:30 +0000\r\n"},
    {"the null sender, IPv6, an authenticated user", "A: b\n\n", "<>", "2001:db8::1", "[IPv6:2001:db8::1]", "", "joe",
     true,
     "Return-Path: <>\nX-Envelope-From: <>\n"
     "Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\n\tby us.example (Postfix) with ESMTPA id Q1\n"
     "\t(envelope-from <>); Sun, 22 Nov 2026 02:49:30 +0000\n"},
    {"a HELO that would be a sender", "A: b\n\n", "<a@b.example>", "192.0.2.1", "envelope-from=x@bank.example",
     "(envelope-from x@bank.example)", "", true,
     "Return-Path: <a@b.example>\nX-Envelope-From: <a@b.example>\n"
     "Received: from unknown (unknown [192.0.2.1])\n\tby us.example (Postfix) with ESMTP id Q1\n"
     "\t(envelope-from <a@b.example>); Sun, 22 Nov 2026 02:49:30 +0000\n"},
    {"a HELO that would make a sender of what follows", "A: b\n\n", "<a@b.example>", "192.0.2.1", "Envelope-From",
     "return-path:", "", true,
     "Return-Path: <a@b.example>\nX-Envelope-From: <a@b.example>\n"
     "Received: from unknown (unknown [192.0.2.1])\n\tby us.example (Postfix) with ESMTP id Q1\n"
     "\t(envelope-from <a@b.example>); Sun, 22 Nov 2026 02:49:30 +0000\n"},
    {"a sender that would be two", "A: b\n\n", "<\"x>; (envelope-from y\"@b.example>", "192.0.2.1", "h", "h", "", false,
     "Received: from h (h [192.0.2.1])\n\tby us.example (Postfix) with ESMTP id Q1\n\t; "
     "Sun, 22 Nov 2026 02:49:30 +0000\n"},
    {"a sender that would be a field", "A: b\n\n", "<a@b\nX: y>", "", "h", "h", "", false, ""},
    {"the sender alone", "A: b\n\n", "<a@b.example>", "", "h", "h", "", false,
     "Return-Path: <a@b.example>\nX-Envelope-From: <a@b.example>\n"},
    {"no client that is none", "A: b\n\n", NULL, "[1.2.3.4] (x", "h", "h", "", false, ""},
    {"nothing above an mbox line", "From a@b Sun\nA: b\n\n", "<a@b.example>", "192.0.2.1", "h", "h", "", false, ""},
    {"nothing that the message would go on with", " (envelope-from x@bank.example)\nA: b\n\n", "<a@b.example>",
     "192.0.2.1", "h", "h", "", false, ""},
    {"nothing above nothing", "", "<a@b.example>", "192.0.2.1", "h", "h", "", false, ""},
};

static void what_was_stated_stands_above_what_came_with_the_message(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(prefixes); i++) {
        struct scanner_ask ask = {.message = span_of(prefixes[i].message),
                                  .from = span_of(prefixes[i].from),
                                  .ip = span_of(prefixes[i].ip),
                                  .helo = span_of(prefixes[i].helo),
                                  .hostname = span_of(prefixes[i].host),
                                  .user = span_of(prefixes[i].user),
                                  .queue_id = SPAN("Q1")};
        struct buf         out, want;

        buf_init(&out, 20000);
        buf_init(&want, 20000);
        bool told = spamd_put_question(&out, &ask, false, "us.example", INT64_C(1795315770000000));
        buf_printf(&want, "REPORT SPAMC/1.5\r\nContent-length: %zu\r\n\r\n%s",
                   strlen(prefixes[i].prefix) + ask.message.n + spamd_needs_end(ask.message), prefixes[i].prefix);
        check_same(prefixes[i].holds, buf_span(&out), buf_span(&want));
        CHECK(prefixes[i].holds, told == prefixes[i].told);
        buf_fini(&out);
        buf_fini(&want);
    }
}

#define LINE "---- ---------------------- --------------------------------------------------\n"

static const struct {
    const char *holds, *body, *symbols;
    bool        table;
} reports[] = {
    {"rows", "x\n" LINE " 1.0 A text\n-0.1 B\n 100 C_9 [x]\n\n 1.0 D\n", "A=1.0 B=-0.1 C_9=100.0", true},
    {"CRLF, and an end without a line end", "x\r\n---- ---------------------- ---\r\n 1.0 A text\r\n-0.1 B",
     "A=1.0 B=-0.1", true},
    {"texts that go on",
     LINE " 1.0 A text\n                            goes on\n                            [x]\n[y]\n 2.0 B\n",
     "A=1.0 B=2.0", true},
    {"a preview that would be a table",
     "Content preview:  x\n  ---- ----------------------\n   9.9 FORGED\n\n" LINE " 1.0 A\n", "A=1.0", true},
    {"the last of two tables", LINE " 1.0 A\n\n" LINE " 2.0 B\n", "B=2.0", true},
    {"an empty table", LINE "\n", "", true},
    {"no table", "This is a report in words\n 1.0 A\n", "", false},
    {"no report", "", "", false},
    {"a text that breaks out of its row", LINE " 1.0 A [x\n-0.1 DKIM_VALID_AU]\n 2.0 B\n", "A=1.0 B=2.0", false},
    {"rows that are none", LINE " 1.0 A\n nan B\n 1e3 C\n 1.0 D-E\n    1.0 F\n 1.0\n 2.0 G\n", "A=1.0 G=2.0", false},
};

static void a_report_gives_the_rows_of_its_table(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(reports); i++) {
        struct rspamd_reply r;
        struct err          e = ERR_INIT;
        struct buf          in, got;
        bool                table;

        buf_init(&in, 10000);
        buf_init(&got, 10000);
        buf_printf(&in, "SPAMD/1.1 0 EX_OK\r\nContent-length: %zu\r\nSpam: False ; 1.0 / 5.0\r\n\r\n%s",
                   strlen(reports[i].body), reports[i].body);
        if (spamd_read_answer(buf_span(&in), false, &arena, &r, &table, &e) < 0)
            fail_msg("%s: %s", reports[i].holds, e.text);
        for (size_t s = 0; s < r.nsymbols; s++)
            buf_printf(&got, "%s%.*s=%.1f", s > 0 ? " " : "", SPAN_ARG(r.symbols[s].name), r.symbols[s].score);
        check_same(reports[i].holds, buf_span(&got), span_of(reports[i].symbols));
        CHECK(reports[i].holds, table == reports[i].table);
        buf_fini(&in);
        buf_fini(&got);
    }
}

static void numbers_decide_and_words_do_not(void **unused)
{
    static const struct {
        const char        *line;
        enum rspamd_action action;
    } cases[] = {{"Spam: False ; 5.0 / 5.0", RSPAMD_ADD_HEADER},
                 {"spam:Yes;4.9/5", RSPAMD_NO_ACTION},
                 {"SPAM: True ; -1.0 / 5.0", RSPAMD_NO_ACTION}};

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char                in[200];
        struct rspamd_reply r;
        struct err          e = ERR_INIT;
        bool                table;

        snprintf(in, sizeof in, "SPAMD/1.1 0 EX_OK\n%s\n\n", cases[i].line);
        CHECK(cases[i].line, spamd_read_answer(span_of(in), true, &arena, &r, &table, &e) == 0);
        CHECK(cases[i].line, r.action == cases[i].action);
    }
}

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stated_stands_above_what_came_with_the_message),
        cmocka_unit_test(a_report_gives_the_rows_of_its_table),
        cmocka_unit_test(numbers_decide_and_words_do_not),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
