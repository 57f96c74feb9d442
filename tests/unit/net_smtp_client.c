/* Handing mail to a server. */
#include <signal.h>

#include "net.h"
#include "net/smtp_client.h"
#include "smtp_server.h"

static const struct smtp_how quick = {.helo = "postern.test", .connect_ms = 2000, .reply_ms = 300, .end_ms = 300};

static struct smtp_client *open_client(const struct server *s)
{
    struct smtp_client *c = NULL;
    struct err          e = ERR_INIT;

    if (smtp_client_open(s->url, &quick, &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

static const struct span anna[] = {{"anna@ours.test", 14}};
static const struct span two[] = {{"anna@ours.test", 14}, {"bob@ours.test", 13}};

static struct smtp_letter a_letter(void)
{
    return (struct smtp_letter){.from = SPAN("sender@ext.test"),
                                .rcpt = anna,
                                .nrcpt = 1,
                                .head = SPAN("X-Top: 1\r\n"),
                                .message = SPAN("Subject: hi\r\n\r\n.dot\r\n..\r\nend\r\n"),
                                .notify_never = true};
}

/* Sends one letter over a connection of its own. */
static int send_one(struct server *s, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_client *c = NULL;
    int                 rc = -1;

    *e = ERR_INIT;
    for (size_t i = 0; i < l->nrcpt; i++)
        results[i].fate = SMTP_UNSENT;
    if (smtp_client_open(s->url, &quick, &c, e) == 0)
        rc = smtp_client_send(c, l, results, e);
    smtp_client_close(&c);
    return rc;
}

/* ---- what goes over the wire ---- */

static void a_letter_goes_out_as_it_is_with_its_origin_and_no_wish_for_reports(void **unused)
{
    struct smtp_origin origin = {.name = SPAN("mail.ext.test"),
                                 .addr = SPAN("2001:db8::7"),
                                 .helo = SPAN("he lo"),
                                 .ident = SPAN("OLD1"),
                                 .port = 40123};
    struct smtp_letter l = a_letter();
    struct smtp_result r;
    struct server      s;
    struct err         e;

    (void)unused;
    start(&s, NULL, false);
    l.origin = &origin;
    if (send_one(&s, &l, &r, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(r.fate, SMTP_TAKEN);
    assert_int_equal(r.reply.code, 250);
    assert_string_equal(r.reply.dsn, "2.0.0");
    assert_string_equal(r.reply.text, "2.0.0 Ok: queued as 4XyZ123");
    hang_up(&s);
    check_same("the dialogue", buf_span(&s.heard),
               SPAN("EHLO postern.test\nEHLO postern.test\n"
                    "XFORWARD NAME=mail.ext.test ADDR=IPV6:2001:db8::7 PORT=40123 PROTO=ESMTP HELO=he+20lo IDENT=OLD1"
                    " SOURCE=REMOTE\n"
                    "MAIL FROM:<sender@ext.test>\nRCPT TO:<anna@ours.test> NOTIFY=NEVER\nDATA\n"
                    "|X-Top: 1\n|Subject: hi\n|\n|..dot\n|...\n|end\n|.\nQUIT\n"));
    buf_fini(&s.heard);
}

/* What stands in the transcript for an envelope, and a message. */
static const struct {
    const char *holds;
    struct span from, rcpt, message;
    bool        offers;
    const char *mail; /* in what was heard */
} envelopes[] = {
    {"the null sender is <>", {"", 0}, {"a@b.test", 8}, {"x\r\n", 3}, true, "MAIL FROM:<>\n"},
    {"bytes above ASCII need 8BITMIME",
     {"s@e.test", 8},
     {"a@b.test", 8},
     {"\xc3\xa4", 2},
     true,
     "MAIL FROM:<s@e.test> BODY=8BITMIME\n"},
    {"which is not asked for where it is not offered",
     {"s@e.test", 8},
     {"a@b.test", 8},
     {"\xc3\xa4", 2},
     false,
     "MAIL FROM:<s@e.test>\n"},
    {"a UTF-8 recipient needs SMTPUTF8",
     {"s@e.test", 8},
     {"\xc3\xa4@b.test", 9},
     {"x", 1},
     true,
     "MAIL FROM:<s@e.test> SMTPUTF8\nRCPT TO:<\xc3\xa4@b.test> NOTIFY=NEVER\n"},
    {"so does a sender",
     {"\xc3\xa4@b.test", 9},
     {"a@b.test", 8},
     {"x", 1},
     true,
     "MAIL FROM:<\xc3\xa4@b.test> SMTPUTF8\n"},
    {"a local part with a blank is quoted",
     {"s@e.test", 8},
     {"a \"b@c.test", 11},
     {"x", 1},
     true,
     "RCPT TO:<\"a \\\"b\"@c.test> NOTIFY=NEVER\n"},
    {"one that is quoted stays so",
     {"s@e.test", 8},
     {"\"a b\"@c.test", 12},
     {"x", 1},
     true,
     "RCPT TO:<\"a b\"@c.test> NOTIFY=NEVER\n"},
    {"no report is spoken of where DSN is not offered",
     {"s@e.test", 8},
     {"a@b.test", 8},
     {"x", 1},
     false,
     "RCPT TO:<a@b.test>\n"},
    {"a bare LF goes out as CRLF, and its dot is doubled",
     {"s@e.test", 8},
     {"a@b.test", 8},
     {"a\n.\nMAIL x", 10},
     true,
     "|a\n|..\n|MAIL x\n|.\n"},
    {"a bare CR before a dot smuggles nothing",
     {"s@e.test", 8},
     {"a@b.test", 8},
     {"a\r.\rb\r\n.\r\n", 10},
     true,
     "|a\n|..\rb\n|..\n|.\n"},
    {"an end of line is added where there is none", {"s@e.test", 8}, {"a@b.test", 8}, {"end", 3}, true, "|end\n|.\n"},
};
static const struct answer poor[] = {{"EHLO", "250 mx.test\r\n", 0}, {NULL, NULL, 0}};

static void the_envelope_is_written_as_the_server_offers(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(envelopes); i++) {
        struct smtp_letter l = a_letter();
        struct smtp_result r;
        struct server      s;
        struct err         e;

        start(&s, envelopes[i].offers ? NULL : poor, false);
        l.from = envelopes[i].from;
        l.rcpt = &envelopes[i].rcpt;
        l.message = envelopes[i].message;
        if (send_one(&s, &l, &r, &e) < 0)
            fail_msg("%s: %s", envelopes[i].holds, e.text);
        CHECK(envelopes[i].holds, r.fate == SMTP_TAKEN);
        hang_up(&s);
        if (span_find(buf_span(&s.heard), span_of(envelopes[i].mail)) == s.heard.n)
            fail_msg("%s: %.*s", envelopes[i].holds, SPAN_ARG(buf_span(&s.heard)));
        buf_fini(&s.heard);
    }
}

static const struct {
    const char *holds;
    struct span from, rcpt;
    bool        offers;
} impossible[] = {
    {"a UTF-8 recipient where there is no SMTPUTF8", {"s@e.test", 8}, {"\xc3\xa4@b.test", 9}, false},
    {"a UTF-8 sender where there is no SMTPUTF8", {"\xc3\xa4@b.test", 9}, {"a@b.test", 8}, false},
    {"an address with a line end", {"s@e.test", 8}, {"a@b.test>\r\nRCPT TO:<x", 20}, true},
    {"a sender with a line end", {"s\r\n@e.test", 10}, {"a@b.test", 8}, true},
    {"a NUL", {"s@e.test", 8}, {"a\0@b.test", 9}, true},
    {"bytes that are not UTF-8", {"s@e.test", 8}, {"\xff@b.test", 8}, true},
    {"no recipient at all", {"s@e.test", 8}, {"", 0}, true},
    {"a bracket in the domain", {"s@e.test", 8}, {"a@b> NOTIFY=NEVER", 17}, true},
};

static void what_smtp_cannot_carry_is_refused_before_it_is_said(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(impossible); i++) {
        struct smtp_letter l = a_letter();
        struct smtp_result r;
        struct server      s;
        struct err         e;

        start(&s, impossible[i].offers ? NULL : poor, false);
        l.from = impossible[i].from;
        l.rcpt = &impossible[i].rcpt;
        if (send_one(&s, &l, &r, &e) < 0)
            fail_msg("%s: %s", impossible[i].holds, e.text);
        CHECK(impossible[i].holds, r.fate == SMTP_REFUSED && r.reply.code == 553);
        hang_up(&s);
        CHECK(impossible[i].holds, span_find(buf_span(&s.heard), SPAN("DATA")) == s.heard.n);
        buf_fini(&s.heard);
    }
}

/* ---- what the server says ---- */

static const struct {
    const char    *holds;
    struct answer  script[2];
    enum smtp_fate fate;
    int            code;
} refusals[] = {
    {"MAIL refused", {{"MAIL", "554 5.7.1 go away\r\n", 0}}, SMTP_REFUSED, 554},
    {"RCPT refused", {{"RCPT", "550-5.1.1 no such\r\n550 5.1.1 user\r\n", 0}}, SMTP_REFUSED, 550},
    {"RCPT refused for now", {{"RCPT", "451 4.3.0 later\r\n", 0}}, SMTP_REFUSED, 451},
    {"DATA refused", {{"DATA", "452 4.3.1 full\r\n", 0}}, SMTP_REFUSED, 452},
    {"the message refused", {{".", "550 5.7.1 spam\r\n", 0}}, SMTP_REFUSED, 550},
    {"an end of the session instead of an answer to MAIL",
     {{"MAIL", "421 4.3.2 shutting down\r\n", 0}},
     SMTP_REFUSED,
     421},
    {"an end of the session instead of an answer to the message", {{".", "421 4.3.2 sorry\r\n", 0}}, SMTP_REFUSED, 421},
    {"an XFORWARD that is not for us does not keep the mail", {{"XFORWARD", "550 5.7.0 no\r\n", 0}}, SMTP_TAKEN, 250},
    {"a bare code is a reply", {{".", "250\r\n", 0}}, SMTP_TAKEN, 250},
};

static void a_refusal_is_the_recipients_answer_and_no_failure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct smtp_origin origin = {.addr = SPAN("192.0.2.1")};
        struct smtp_letter l = a_letter();
        struct smtp_result r;
        struct server      s;
        struct err         e;

        start(&s, refusals[i].script, false);
        l.origin = &origin;
        if (send_one(&s, &l, &r, &e) < 0)
            fail_msg("%s: %s", refusals[i].holds, e.text);
        if (r.fate != refusals[i].fate || r.reply.code != refusals[i].code)
            fail_msg("%s: %s, %d %s", refusals[i].holds, smtp_fate_words[r.fate], r.reply.code, r.reply.text);
        stop(&s);
    }
}

static void each_recipient_has_an_answer_of_its_own(void **unused)
{
    static const struct answer second_refused[] = {{"RCPT TO:<anna", "550 5.1.1 no anna\r\n", 0}, {NULL, NULL, 0}};
    struct smtp_letter         l = a_letter();
    struct smtp_result         r[2];
    struct server              s;
    struct err                 e;

    (void)unused;
    l.rcpt = two;
    l.nrcpt = 2;
    start(&s, second_refused, false);
    assert_int_equal(send_one(&s, &l, r, &e), 0);
    assert_int_equal(r[0].fate, SMTP_REFUSED);
    assert_string_equal(r[0].reply.text, "5.1.1 no anna");
    assert_int_equal(r[1].fate, SMTP_TAKEN);
    stop(&s);
}

static void lmtp_answers_for_each_recipient_after_the_message(void **unused)
{
    static const struct answer one_full[] = {{".", "250 2.0.0 saved\r\n452 4.2.2 bob's mailbox is full\r\n", 0},
                                             {NULL, NULL, 0}};
    struct smtp_letter         l = a_letter();
    struct smtp_result         r[2];
    struct server              s;
    struct err                 e;

    (void)unused;
    l.rcpt = two;
    l.nrcpt = 2;
    start(&s, one_full, true);
    if (send_one(&s, &l, r, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(r[0].fate, SMTP_TAKEN);
    assert_int_equal(r[1].fate, SMTP_REFUSED);
    assert_int_equal(r[1].reply.code, 452);
    stop(&s);
}

static void one_connection_carries_several_letters(void **unused)
{
    static const struct answer once[] = {{"MAIL", "451 4.3.0 later\r\n", 1}, {NULL, NULL, 0}};
    struct smtp_letter         l = a_letter();
    struct smtp_result         r;
    struct smtp_client        *c;
    struct server              s;
    struct err                 e = ERR_INIT;

    (void)unused;
    start(&s, once, false);
    c = open_client(&s);
    assert_int_equal(smtp_client_send(c, &l, &r, &e), 0);
    assert_int_equal(r.fate, SMTP_REFUSED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(smtp_client_send(c, &l, &r, &e), 0);
        assert_int_equal(r.fate, SMTP_TAKEN);
    }
    smtp_client_close(&c);
    assert_null(c);
    smtp_client_close(&c);
    hang_up(&s);
    assert_int_equal(s.connections, 1);
    CHECK("a transaction that was not ended is taken back first",
          span_find(buf_span(&s.heard), SPAN("RSET\nMAIL")) < s.heard.n);
    buf_fini(&s.heard);
}

/* ---- trouble ---- */

#define FLOOD16(text) text text text text text text text text text text text text text text text text
static const struct {
    const char    *holds;
    struct answer  script[2];
    enum smtp_fate fate;
    enum err_code  code;
} faults[] = {
    {"cut at EHLO", {{"EHLO", NULL, 0}}, SMTP_UNSENT, ERR_LOST},
    {"cut at MAIL", {{"MAIL", NULL, 0}}, SMTP_UNSENT, ERR_LOST},
    {"cut at RCPT", {{"RCPT", NULL, 0}}, SMTP_UNSENT, ERR_LOST},
    {"cut at DATA", {{"DATA", NULL, 0}}, SMTP_UNSENT, ERR_LOST},
    {"cut after the final dot", {{".", NULL, 0}}, SMTP_UNKNOWN, ERR_LOST},
    {"silent at EHLO", {{"EHLO", "", 0}}, SMTP_UNSENT, ERR_TIMEOUT},
    {"silent at MAIL", {{"MAIL", "", 0}}, SMTP_UNSENT, ERR_TIMEOUT},
    {"silent at RCPT", {{"RCPT", "", 0}}, SMTP_UNSENT, ERR_TIMEOUT},
    {"silent at DATA", {{"DATA", "", 0}}, SMTP_UNSENT, ERR_TIMEOUT},
    {"silent after the final dot", {{".", "", 0}}, SMTP_UNKNOWN, ERR_TIMEOUT},
    {"half a reply after the final dot", {{".", "250 2.0.0 Ok: que", 0}}, SMTP_UNKNOWN, ERR_TIMEOUT},
    {"nonsense at MAIL", {{"MAIL", "HTTP/1.1 200 OK\r\n", 0}}, SMTP_UNSENT, ERR_PROTOCOL},
    {"nonsense after the final dot", {{".", "yes\r\n", 0}}, SMTP_UNKNOWN, ERR_PROTOCOL},
    {"two codes in one reply", {{"RCPT", "250-a\r\n550 b\r\n", 0}}, SMTP_UNSENT, ERR_PROTOCOL},
    {"a yes to DATA that is none", {{"DATA", "250 Ok\r\n", 0}}, SMTP_UNSENT, ERR_PROTOCOL},
    {"a reply without an end", {{"MAIL", FLOOD16(FLOOD16("250-more and more\r\n")), 0}}, SMTP_UNSENT, ERR_PROTOCOL},
    {"a go-ahead instead of a verdict", {{".", "354 more\r\n", 0}}, SMTP_UNKNOWN, ERR_PROTOCOL},
};

static void trouble_tells_what_is_sent_from_what_nobody_knows(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct smtp_letter l = a_letter();
        struct smtp_result r;
        struct server      s;
        struct err         e;

        start(&s, faults[i].script, false);
        CHECK(faults[i].holds, send_one(&s, &l, &r, &e) < 0);
        if (r.fate != faults[i].fate || e.code != faults[i].code)
            fail_msg("%s: %s, %s: %s", faults[i].holds, smtp_fate_words[r.fate], err_word(e.code), e.text);
        stop(&s);
    }
}

static int not_now(void *ctx, struct err *e)
{
    ++*(int *)ctx;
    return err_set(e, ERR_IO, "cannot write it down");
}

static void no_dot_leaves_before_it_is_written_down(void **unused)
{
    struct smtp_letter l = a_letter();
    struct smtp_result r;
    struct server      s;
    struct err         e;
    int                asked = 0;

    (void)unused;
    start(&s, NULL, false);
    l.before_end = not_now;
    l.ctx = &asked;
    assert_int_equal(send_one(&s, &l, &r, &e), -1);
    assert_int_equal(e.code, ERR_IO);
    assert_int_equal(asked, 1);
    assert_int_equal(r.fate, SMTP_UNSENT);
    hang_up(&s);
    CHECK("all but the dot was sent", span_find(buf_span(&s.heard), SPAN("|end\n")) < s.heard.n);
    CHECK("and no dot", span_find(buf_span(&s.heard), SPAN("|.\n")) == s.heard.n);
    buf_fini(&s.heard);
}

static void a_large_message_arrives_whole(void **unused)
{
    struct smtp_letter l = a_letter();
    struct smtp_result r;
    struct server      s;
    struct err         e;
    struct buf         m, want;

    (void)unused;
    buf_init(&m, 16 << 20);
    buf_init(&want, 16 << 20);
    for (int i = 0; i < 3000; i++)
        buf_printf(&m, ".%0*d\r\n", i, i);
    struct span rest = buf_span(&m), line;
    while (span_line(&rest, &line)) {
        buf_puts(&want, "|.");
        buf_put(&want, line);
        buf_putc(&want, '\n');
    }
    start(&s, NULL, false);
    l.message = buf_span(&m);
    if (send_one(&s, &l, &r, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(r.fate, SMTP_TAKEN);
    hang_up(&s);
    CHECK("every byte of 4.5 MB", span_find(buf_span(&s.heard), buf_span(&want)) < s.heard.n);
    buf_fini(&s.heard);
    buf_fini(&m);
    buf_fini(&want);
}

static void nobody_listens_is_lost_and_not_sent(void **unused)
{
    struct smtp_client *c = NULL;
    struct server       s;
    struct err          e = ERR_INIT;

    (void)unused;
    start(&s, NULL, false);
    hang_up(&s);
    assert_int_equal(smtp_client_open(s.url, &quick, &c, &e), -1);
    assert_int_equal(e.code, ERR_LOST);
    assert_null(c);
    buf_fini(&s.heard);
}

static const struct {
    const char *url, *wrong; /* what is said of it; NULL: it is good */
} urls[] = {
    {"smtp://127.0.0.1:10025", NULL},
    {"smtp://[::1]:25", NULL},
    {"smtps://mx.test", NULL},
    {"lmtp://127.0.0.1:24", NULL},
    {"lmtp+unix:/run/lmtp", NULL},
    {"smtp://u:p%40@mx.test:587?bypass=on", NULL},
    {"http://127.0.0.1/", "\"http\" is no way to a mail server"},
    {"127.0.0.1:25", "there is no \"://\""},
    {"smtp://", "host"},
    {"smtp://u:secret@", "host"},
    {"", "there is no \"://\""},
    {"lmtp+unix:relative", "there is no \"://\""},
    {"smtp://host:99999", "the port is a number"},
    {"smtp://host:mail", "the port is a number"},
    {"smtp://ho st", "host"},
    {"smtp://[::1", "ddress"},
};

static void addresses_of_servers_are_checked_and_what_is_wrong_is_named(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct err e = ERR_INIT;
        bool       good = smtp_client_check(urls[i].url, &e) == 0;

        CHECK(urls[i].url, good == (urls[i].wrong == NULL));
        if (!good && (strstr(e.text, urls[i].wrong) == NULL || strstr(e.text, "smtp://HOST:PORT") == NULL))
            fail_msg("%s: \"%s\" is not said: %s", urls[i].url, urls[i].wrong, e.text);
        CHECK("a password is not said", strstr(e.text, "secret") == NULL);
    }
}

static const struct {
    struct span text, id;
} queue_ids[] = {
    {{"2.0.0 Ok: queued as 4XyZ123", 27}, {"4XyZ123", 7}},
    {{"OK id=1qXyZ1-0001AB-2c", 22}, {"1qXyZ1-0001AB-2c", 16}},
    {{"2.0.0 4f3a9b Message accepted for delivery", 42}, {"4f3a9b", 6}},
    {{"2.0.0 Ok", 8}, {"", 0}},
    {{"queued as <script>", 18}, {"", 0}},
};

static void the_new_queue_id_is_read_from_the_reply(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(queue_ids); i++)
        check_same(queue_ids[i].text.p, smtp_queue_id(queue_ids[i].text), queue_ids[i].id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_goes_out_as_it_is_with_its_origin_and_no_wish_for_reports),
        cmocka_unit_test(the_envelope_is_written_as_the_server_offers),
        cmocka_unit_test(what_smtp_cannot_carry_is_refused_before_it_is_said),
        cmocka_unit_test(a_refusal_is_the_recipients_answer_and_no_failure),
        cmocka_unit_test(each_recipient_has_an_answer_of_its_own),
        cmocka_unit_test(lmtp_answers_for_each_recipient_after_the_message),
        cmocka_unit_test(one_connection_carries_several_letters),
        cmocka_unit_test(trouble_tells_what_is_sent_from_what_nobody_knows),
        cmocka_unit_test(no_dot_leaves_before_it_is_written_down),
        cmocka_unit_test(a_large_message_arrives_whole),
        cmocka_unit_test(nobody_listens_is_lost_and_not_sent),
        cmocka_unit_test(addresses_of_servers_are_checked_and_what_is_wrong_is_named),
        cmocka_unit_test(the_new_queue_id_is_read_from_the_reply),
    };

    signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
