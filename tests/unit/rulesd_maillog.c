/* tests/unit/rulesd_maillog.c - twin of rulesd/maillog.c and of its readers, maillog_postfix.c and maillog_exim.c. */
#include "../../rulesd/maillog.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "check.h"

#define NOON_US (INT64_C(1795262400) * 1000000) /* 2026-11-21T12:00:00Z */

static struct span str(const char *s) { return span_of(s == NULL ? "" : s); }

static bool read_line(const char *line, struct mail_event *ev)
{
    struct maillog_clock clock = {.now_us = NOON_US};

    return maillog_read(span_of(line), &clock, ev);
}

/* ---- a whole log, beside what another program says of each of its lines ---- */

static struct buf read_corpus(const char *name)
{
    char       path[200];
    struct buf b;
    struct err e = ERR_INIT;

    snprintf(path, sizeof path, "tests/corpus/maillog/%s", name);
    buf_init(&b, 1 << 20);
    if (fd_read_file(path, 1 << 20, &b, &e) < 0)
        fail_msg("%s", e.text);
    return b;
}

static void put_tabbed(struct buf *b, struct span field)
{
    buf_putc(b, '\t');
    buf_put(b, field);
}

static void describe(struct buf *b, size_t number, const struct mail_event *ev)
{
    bool two = ev->kind == MAIL_QUEUED || ev->kind == MAIL_MESSAGE_ID;

    buf_put_u64(b, number);
    put_tabbed(b, span_of(mail_event_words[ev->kind]));
    put_tabbed(b, ev->queue_id);
    if (ev->kind != MAIL_ATTEMPT) {
        put_tabbed(b, two ? (ev->kind == MAIL_QUEUED ? ev->sender : ev->message_id) : ev->parent_id);
        put_tabbed(b, ev->kind == MAIL_ARRIVED ? ev->ip : str(""));
        return;
    }
    put_tabbed(b, ev->to);
    put_tabbed(b, ev->orig_to);
    put_tabbed(b, span_of(mail_outcome_words[ev->outcome]));
    put_tabbed(b, ev->ip);
    buf_putc(b, '\t');
    if (ev->port > 0)
        buf_put_u64(b, ev->port);
    put_tabbed(b, ev->response);
}

static void every_line_of_a_real_postfix_log_is_read_as_its_manual_says(void **unused)
{
    struct buf           log = read_corpus("postfix.log"), told = read_corpus("postfix.told"), got;
    struct span          lines = buf_span(&log), wanted = buf_span(&told), line, want;
    struct maillog_clock clock = {.now_us = NOON_US};
    struct mail_event    ev;

    (void)unused;
    buf_init(&got, 1 << 16);
    for (size_t number = 1; span_line(&lines, &line); number++) {
        if (!maillog_read(line, &clock, &ev))
            continue;
        buf_clear(&got);
        describe(&got, number, &ev);
        assert_true(span_line(&wanted, &want));
        if (!span_eq(buf_span(&got), want))
            fail_msg("is    %.*s\nnot   %.*s", SPAN_ARG(buf_span(&got)), SPAN_ARG(want));
    }
    assert_false(span_line(&wanted, &want));
    buf_fini(&log);
    buf_fini(&told);
    buf_fini(&got);
}

/* ---- attempts, of both ---- */

#define POSTFIX "Nov 21 11:59:30 mx postfix/"
#define Q "4jX51P6jsYz1c738: "
#define EXIM "2026-11-21 11:59:30 1xUxbU-00083x-2W "

static const struct {
    const char       *holds, *line, *to, *orig_to;
    enum mail_outcome outcome;
    const char       *host, *ip;
    unsigned          port, code;
    const char       *dsn, *tls, *response;
} attempts[] = {
    {"a delivery",
     POSTFIX "smtp[1]: " Q "to=<a@b.example>, relay=mx.b.example[192.0.2.1]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, "
             "status=sent (250 2.0.0 Ok: queued as X)",
     "a@b.example", NULL, MAIL_SENT, "mx.b.example", "192.0.2.1", 25, 250, "2.0.0", NULL, "250 2.0.0 Ok: queued as X"},
    {"over IPv6",
     POSTFIX
     "smtp[1]: " Q
     "to=<a@b.example>, relay=mx.b.example[2001:db8::1]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
     "a@b.example", NULL, MAIL_SENT, "mx.b.example", "2001:db8::1", 25, 250, "2.0.0", NULL, "250 ok"},
    {"to a socket",
     POSTFIX "lmtp[1]: " Q "to=<a@b.example>, orig_to=<c@b.example>, relay=mx.b.example[private/dovecot-lmtp], "
             "delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Saved)",
     "a@b.example", "c@b.example", MAIL_SENT, "mx.b.example", NULL, 0, 250, "2.0.0", NULL, "250 2.0.0 Saved"},
    {"over a connection used again",
     POSTFIX
     "relay/smtp[1]: " Q
     "to=<a@b.example>, relay=mx[192.0.2.1]:25, conn_use=2, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
     "a@b.example", NULL, MAIL_SENT, "mx", "192.0.2.1", 25, 250, "2.0.0", NULL, "250 ok"},
    {"to a file",
     POSTFIX "local[1]: " Q
             "to=<a@b.example>, relay=local, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (delivered to mailbox)",
     "a@b.example", NULL, MAIL_SENT, "local", NULL, 0, 0, "2.0.0", NULL, "delivered to mailbox"},
    {"a reply that says what another status looks like",
     POSTFIX "smtp[1]: " Q
             "to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=0.1, delays=0/0/0/0, dsn=4.0.0, status=deferred (host "
             "mx[192.0.2.1] said: 450 to=<x@y>, dsn=2.0.0, status=sent (250 ok) (in reply to RCPT TO command))",
     "a@b.example", NULL, MAIL_DEFERRED, "mx", "192.0.2.1", 25, 450, "4.0.0", NULL,
     "450 to=<x@y>, dsn=2.0.0, status=sent (250 ok)"},
    {"a recipient who tries the same",
     POSTFIX "smtp[1]: " Q
             "to=<\"a>, relay=x, dsn=2.0.0, status=sent (250 ok)\"@b.example>, relay=none, delay=0.1, delays=0/0/0/0, "
             "dsn=4.4.1, status=deferred (connect to mx[192.0.2.1]:25: Connection refused)",
     "\"a>, relay=x, dsn=2.0.0, status=sent (250 ok)\"@b.example", NULL, MAIL_DEFERRED, NULL, NULL, 0, 0, "4.4.1", NULL,
     "connect to mx[192.0.2.1]:25: Connection refused"},
    {"nobody wanted to talk",
     POSTFIX "smtp[1]: " Q "to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=4.3.2, "
             "status=deferred (host mx[192.0.2.1] refused to talk to me: 421 4.3.2 busy)",
     "a@b.example", NULL, MAIL_DEFERRED, "mx", "192.0.2.1", 25, 421, "4.3.2", NULL, "421 4.3.2 busy"},
    {"a line that syslog cut",
     POSTFIX "smtp[1]: " Q "to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=5.0.0, "
             "status=bounced (host mx[192.0.2.1] said: 554 no",
     "a@b.example", NULL, MAIL_BOUNCED, "mx", "192.0.2.1", 25, 554, "5.0.0", NULL, "554 no"},
    {"another instance",
     "Nov 21 11:59:30 mx postfix-out/smtp[1]: " Q
     "to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
     "a@b.example", NULL, MAIL_SENT, "mx", "192.0.2.1", 25, 250, "2.0.0", NULL, "250 ok"},

    {"Exim: a delivery",
     EXIM "=> b@far.example R=sink T=sink H=mx.far.example [192.0.2.1] "
          "X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=yes C=\"250 2.0.0 Ok\"",
     "b@far.example", NULL, MAIL_SENT, "mx.far.example", "192.0.2.1", 0, 250, "2.0.0",
     "TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256", "250 2.0.0 Ok"},
    {"one more over the same connection",
     EXIM "-> b@far.example R=sink T=sink H=127.0.0.1 [127.0.0.1] C=\"250 2.0.0 Ok: queued as \\\"S1\\\\2\\\"\"",
     "b@far.example", NULL, MAIL_SENT, "127.0.0.1", "127.0.0.1", 0, 250, "2.0.0", NULL,
     "250 2.0.0 Ok: queued as \\\"S1\\\\2\\\""},
    {"by an alias, into a file", EXIM "=> anna <team@ours.example> R=local T=file", "anna", "team@ours.example",
     MAIL_SENT, NULL, NULL, 0, 0, NULL, NULL, NULL},
    {"by two of them, with every field that there is",
     EXIM "=> ext@far.example (team@ours.example) <nest@ours.example> F=<sender@ext.test> P=<sender@ext.test> R=sink "
          "T=sink S=280 H=127.0.0.1 [127.0.0.1]:28625 I=[127.0.0.1]:33460 C=\"250 2.0.0 Ok\" QT=0.021s DT=0.002s",
     "ext@far.example", "nest@ours.example", MAIL_SENT, "127.0.0.1", "127.0.0.1", 28625, 250, "2.0.0", NULL,
     "250 2.0.0 Ok"},
    {"into a command", EXIM "=> |/usr/bin/procmail -d \"a b\" <anna@ours.example> R=pipe T=address_pipe",
     "|/usr/bin/procmail -d \"a b\"", "anna@ours.example", MAIL_SENT, NULL, NULL, 0, 0, NULL, NULL, NULL},
    {"an address with a blank",
     EXIM "=> odd user@far.example <\"odd user\"@far.example> R=sink T=sink H=127.0.0.1 [127.0.0.1] C=\"250 Ok\"",
     "odd user@far.example", "\"odd user\"@far.example", MAIL_SENT, "127.0.0.1", "127.0.0.1", 0, 250, NULL, NULL,
     "250 Ok"},
    {"a refusal",
     EXIM "** bounce1@far.example R=sink T=sink H=127.0.0.1 [127.0.0.1]: SMTP error from remote mail server after RCPT "
          "TO:<bounce1@far.example>: 550 5.1.1 no such \"user\" \\ here",
     "bounce1@far.example", NULL, MAIL_BOUNCED, "127.0.0.1", "127.0.0.1", 0, 550, "5.1.1", NULL,
     "550 5.1.1 no such \"user\" \\ here"},
    {"a refusal after the message",
     EXIM "** b@far.example R=sink T=sink H=127.0.0.1 [127.0.0.1]:25 I=[127.0.0.1]:33470: SMTP error from remote mail "
          "server after end of data: 554 5.7.1 spam",
     "b@far.example", NULL, MAIL_BOUNCED, "127.0.0.1", "127.0.0.1", 25, 554, "5.7.1", NULL, "554 5.7.1 spam"},
    {"an address that leads nowhere", EXIM "** x@nowhere.example: Unrouteable address", "x@nowhere.example", NULL,
     MAIL_BOUNCED, NULL, NULL, 0, 0, NULL, NULL, "Unrouteable address"},
    {"a delay",
     EXIM "== defer1@far.example R=sink T=sink defer (-44) H=127.0.0.1 [127.0.0.1]: SMTP error from remote mail server "
          "after RCPT TO:<defer1@far.example>: 451 4.2.1 mailbox busy: 250 2.0.0 later",
     "defer1@far.example", NULL, MAIL_DEFERRED, "127.0.0.1", "127.0.0.1", 0, 451, "4.2.1", NULL,
     "451 4.2.1 mailbox busy: 250 2.0.0 later"},
    {"nobody there", EXIM "== x@dead.example R=dead T=deadt defer (111): Connection refused", "x@dead.example", NULL,
     MAIL_DEFERRED, NULL, NULL, 0, 0, NULL, NULL, "Connection refused"},
    {"a command's recipient who tries to answer",
     EXIM "== \"a>: 250 ok\"@far.example R=sink T=sink defer (-44) H=127.0.0.1 [127.0.0.1]: SMTP error from remote "
          "mail server after RCPT TO:<\"a>: 250 ok\"@far.example>: 451 later",
     "\"a>: 250 ok\"@far.example", NULL, MAIL_DEFERRED, "127.0.0.1", "127.0.0.1", 0, 451, NULL, NULL, "451 later"},
    {"the id of a later release",
     "2026-11-21 11:59:30 1vMXYZ-00000000abc-1A2B => b@far.example R=s T=s H=h [192.0.2.1] C=\"250 Ok\"",
     "b@far.example", NULL, MAIL_SENT, "h", "192.0.2.1", 0, 250, NULL, NULL, "250 Ok"},
};

static void an_attempt_is_told_with_its_host_and_the_words_of_the_other_side(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(attempts); i++) {
        struct mail_event ev;
        const char       *holds = attempts[i].holds;

        CHECK(holds, read_line(attempts[i].line, &ev) && ev.kind == MAIL_ATTEMPT);
        CHECK(holds, ev.at_us == NOON_US - 30 * INT64_C(1000000));
        CHECK(holds, span_eq(ev.to, str(attempts[i].to)));
        CHECK(holds, ev.outcome == attempts[i].outcome);
        CHECK(holds, span_eq(ev.orig_to, str(attempts[i].orig_to)));
        CHECK(holds, span_eq(ev.host, str(attempts[i].host)) && span_eq(ev.ip, str(attempts[i].ip)));
        CHECK(holds, ev.port == attempts[i].port && ev.code == attempts[i].code);
        CHECK(holds, span_eq(ev.dsn, str(attempts[i].dsn)) && span_eq(ev.tls, str(attempts[i].tls)));
        CHECK(holds, span_eq(ev.response, str(attempts[i].response)));
    }
}

/* ---- the other lines ---- */

static const struct {
    const char          *holds, *line;
    enum mail_event_kind kind;
    const char          *queue_id, *about; /* the id it came from, the Message-ID, or TLS */
} others[] = {
    {"a release carries the id it had before",
     POSTFIX "reinject/smtpd[1]: 4jX53S6K4pz1c719: client=localhost[127.0.0.1], orig_queue_id=4jX51R2T73z1c73D, "
             "orig_client=mail.ext.test[203.0.113.9]",
     MAIL_ARRIVED, "4jX53S6K4pz1c719", "4jX51R2T73z1c73D"},
    {"what a login name says does not",
     POSTFIX "smtpd[1]: " Q
             "client=localhost[127.0.0.1], sasl_method=PLAIN, sasl_username=a, orig_queue_id=4jX51R2T73z1c73D",
     MAIL_ARRIVED, "4jX51P6jsYz1c738", ""},
    {"an RFC 3339 stamp", "2026-11-21T12:59:30.500000+01:00 mx postfix/qmgr[1]: C0F69A847C2: removed", MAIL_REMOVED,
     "C0F69A847C2", NULL},
    {"a sender who says that it is removed",
     POSTFIX "qmgr[1]: " Q
             "from=<\"x>, status=expired, returned to sender\"@evil.example>, size=1, nrcpt=1 (queue active)",
     MAIL_QUEUED, "4jX51P6jsYz1c738", NULL},
    {"expired", POSTFIX "qmgr[1]: " Q "from=<a@b.example>, status=expired, returned to sender", MAIL_EXPIRED,
     "4jX51P6jsYz1c738", NULL},
    {"expired by hand", POSTFIX "qmgr[1]: " Q "from=<a@b.example>, status=force-expired, returned to sender",
     MAIL_EXPIRED, "4jX51P6jsYz1c738", NULL},
    {"on hold by a milter",
     POSTFIX "cleanup[1]: " Q "milter-hold: END-OF-MESSAGE from a[192.0.2.1]: milter triggers HOLD action; from=<> "
             "to=<a@b.example> proto=ESMTP helo=<x>",
     MAIL_HELD, "4jX51P6jsYz1c738", NULL},
    {"deleted by the administrator", POSTFIX "postsuper[1]: " Q "removed", MAIL_DELETED, "4jX51P6jsYz1c738", NULL},
    {"a Message-ID with blanks", POSTFIX "cleanup[1]: " Q "message-id=<a b status=sent (c)@d> ", MAIL_MESSAGE_ID,
     "4jX51P6jsYz1c738", "<a b status=sent (c)@d>"},
    {"encryption",
     POSTFIX "smtp[77]: Trusted TLS connection established to mx.b.example[192.0.2.1]:25: TLSv1.3 with cipher "
             "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519",
     MAIL_TLS, "", "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"},
    {"Exim: arrival",
     EXIM "<= sender@ext.test H=(client.ext.test) [127.0.0.1]:43166 I=[127.0.0.1]:28525 P=esmtp L.- S=244 M8S=0 "
          "RT=0.000s id=m1@ext.test T=\"hi\" from <sender@ext.test> for anna@ours.example",
     MAIL_QUEUED, "1xUxbU-00083x-2W", "m1@ext.test"},
    {"whose sender invents an id",
     EXIM "<= \"a id=fake b\"@ext.test H=(x) [127.0.0.1] P=esmtp S=233 id=m1@ext.test T=\"id=other\"", MAIL_QUEUED,
     "1xUxbU-00083x-2W", "m1@ext.test"},
    {"with process ids and milliseconds", "2026-11-21 11:59:30.222 [31168] 1xUxbU-00083x-2W Completed QT=0.024s",
     MAIL_REMOVED, "1xUxbU-00083x-2W", NULL},
    {"with its zone", "2026-11-21 12:59:30 +0100 1xUxbU-00083x-2W Completed", MAIL_REMOVED, "1xUxbU-00083x-2W", NULL},
    {"by way of syslog", "Nov 21 11:59:30 mx exim[77]: 2026-11-21 11:59:30 1xUxbU-00083x-2W Completed", MAIL_REMOVED,
     "1xUxbU-00083x-2W", NULL},
    {"the same without a stamp of its own", "Nov 21 11:59:30 mx exim4[77]: 1xUxbU-00083x-2W Completed", MAIL_REMOVED,
     "1xUxbU-00083x-2W", NULL},
    {"deleted", EXIM "removed by root", MAIL_DELETED, "1xUxbU-00083x-2W", NULL},
};

static void a_line_of_a_daemon_says_what_it_has_done_to_a_message(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(others); i++) {
        struct mail_event ev;
        const char       *holds = others[i].holds;

        CHECK(holds, read_line(others[i].line, &ev) && ev.kind == others[i].kind);
        CHECK(holds, ev.at_us / 1000000 == NOON_US / 1000000 - 30);
        CHECK(holds, span_is(ev.queue_id, others[i].queue_id));
        if (others[i].about != NULL)
            CHECK(holds, span_is(ev.kind == MAIL_ARRIVED ? ev.parent_id
                                 : ev.kind == MAIL_TLS   ? ev.tls
                                                         : ev.message_id,
                                 others[i].about));
    }
}

/* What logger(1) and others write, or what says nothing. */
static const char *const nothing[] = {
    "",
    "Nov 21 11:59:30 mx",
    "Nov 21 11:59:30 mx root: " Q "to=<a@b.example>, relay=x, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
    "Nov 21 11:59:30 mx postfix[1]: " Q "to=<a@b.example>, relay=x, dsn=2.0.0, status=sent (250 ok)",
    "Nov 21 11:59:30 mx smtp[1]: " Q "to=<a@b.example>, relay=x, dsn=2.0.0, status=sent (250 ok)",
    "Nov 21 11:59:30 mx postfix/smtp: " Q "to=<a@b.example>, relay=x, dsn=2.0.0, status=sent (250 ok)",
    "Nov 21 11:59:30 mx postfix/smtp[1x]: " Q "to=<a@b.example>, relay=x, dsn=2.0.0, status=sent (250 ok)",
    POSTFIX "smtpd[1]: " Q "to=<a@b.example>, relay=x, dsn=2.0.0, status=sent (250 ok)",
    POSTFIX "qmgr[1]: " Q "to=<a@b.example>, relay=x, dsn=2.0.0, status=sent (250 ok)",
    POSTFIX "bounce[1]: " Q "removed",
    POSTFIX "smtp[1]: " Q "removed",
    POSTFIX "smtpd[1]: " Q "message-id=<a@b>",
    POSTFIX "smtpd[1]: NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 no; from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
    POSTFIX "smtp[1]: " Q "to=<a@b.example>, relay=x, delay=1, delays=0/0/0/0, dsn=2.1.5, status=deliverable (250 ok)",
    POSTFIX "smtp[1]: connect to 127.0.0.1[127.0.0.1]:2999: Connection refused",
    "Mov 21 11:59:30 mx postfix/qmgr[1]: " Q "removed",
    "2026-11-21T25:59:30.5Z mx postfix/qmgr[1]: " Q "removed",
    EXIM "H=(client.ext.test) [127.0.0.1] F=<sender@ext.test> rejected after DATA: no spam here",
    EXIM "H=127.0.0.9 [127.0.0.9] Connection refused",
    "2026-11-21 11:59:30 exim 4.96 daemon started: pid=30800",
    "2026-11-21 11:59:30 1xUxbU-00083x => a@b.example R=x T=y",
    "Nov 21 11:59:30 mx exim-forged[77]: 1xUxbU-00083x-2W Completed",
};

static void a_line_of_nobody_who_delivers_mail_says_nothing(void **unused)
{
    struct mail_event ev;

    (void)unused;
    for (size_t i = 0; i < COUNT(nothing); i++)
        CHECK(nothing[i], !read_line(nothing[i], &ev));
}

static const struct {
    const char *now, *line, *at;
} stamps[] = {
    {"2026-11-21T12:00:00Z", "Nov 21 11:59:30", "2026-11-21T11:59:30.000000Z"},
    {"2027-01-01T00:00:05Z", "Dec 31 23:59:59", "2026-12-31T23:59:59.000000Z"},
    {"2026-12-31T23:59:50Z", "Jan  1 00:00:01", "2027-01-01T00:00:01.000000Z"},
    {"2028-03-01T00:00:00Z", "Feb 29 12:00:00", "2028-02-29T12:00:00.000000Z"},
    {"2027-03-01T00:00:00Z", "Nov  2 01:02:03", "2026-11-02T01:02:03.000000Z"},
};

static void a_stamp_without_a_year_is_of_the_year_that_puts_it_nearest(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(stamps); i++) {
        struct maillog_clock clock = {0};
        struct mail_event    ev;
        char                 line[100], at[28];

        assert_true(clock_parse_utc(span_of(stamps[i].now), &clock.now_us));
        snprintf(line, sizeof line, "%s mx postfix/qmgr[1]: C0F69A847C2: removed", stamps[i].line);
        for (int twice = 0; twice < 2; twice++) {
            CHECK(stamps[i].line, maillog_read(span_of(line), &clock, &ev));
            clock_format_utc(ev.at_us, at);
            CHECK(stamps[i].line, strcmp(at, stamps[i].at) == 0);
        }
    }
}

/* Cut anywhere, in memory that ends there: nothing behind a line is read (the sanitizers say so). */
static void a_line_cut_anywhere_is_read_to_its_end_and_no_further(void **unused)
{
    static const char *const names[] = {"postfix.log", "exim.log"};
    struct maillog_clock     clock = {.now_us = NOON_US};
    struct mail_event        ev;

    (void)unused;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct buf  log = read_corpus(names[i]);
        struct span lines = buf_span(&log), line;

        for (size_t number = 0; span_line(&lines, &line); number++) {
            for (size_t n = number % 7; n <= line.n; n += 7) {
                char *copy = malloc(n > 0 ? n : 1);

                assert_non_null(copy);
                memcpy(copy, line.p, n);
                maillog_read(span_make(copy, n), &clock, &ev);
                free(copy);
            }
        }
        buf_fini(&log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_a_real_postfix_log_is_read_as_its_manual_says),
        cmocka_unit_test(an_attempt_is_told_with_its_host_and_the_words_of_the_other_side),
        cmocka_unit_test(a_line_of_a_daemon_says_what_it_has_done_to_a_message),
        cmocka_unit_test(a_line_of_nobody_who_delivers_mail_says_nothing),
        cmocka_unit_test(a_stamp_without_a_year_is_of_the_year_that_puts_it_nearest),
        cmocka_unit_test(a_line_cut_anywhere_is_read_to_its_end_and_no_further),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
