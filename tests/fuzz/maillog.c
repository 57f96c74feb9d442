/* A line of an MTA's log is read from itself alone, and what the other side says cannot turn into a field of it.
 * Aims at rulesd/maillog.c, rulesd/maillog_postfix.c and rulesd/maillog_exim.c. */
#include "../../rulesd/maillog.c"
#include "../../rulesd/maillog_exim.c"
#include "../../rulesd/maillog_postfix.c"

#include "net.h"

#define NOW_US (INT64_C(1795262400) * 1000000)

static void require_inside(struct span line, struct span field)
{
    REQUIRE(field.n == 0 || (field.p >= line.p && field.p + field.n <= line.p + line.n));
}

static bool read_one(struct span line, struct mail_event *ev)
{
    struct maillog_clock clock = {.now_us = NOW_US};

    if (!maillog_read(line, &clock, ev))
        return false;
    REQUIRE(ev->kind <= MAIL_TLS && ev->outcome <= MAIL_BOUNCED && ev->port < 65536 && ev->code < 1000);
    REQUIRE(ev->queue_id.n <= MAILLOG_QUEUE_ID_MAX && (ev->queue_id.n > 0) == (ev->kind != MAIL_TLS));
    const struct span fields[] = {ev->queue_id, ev->parent_id, ev->message_id, ev->sender, ev->to,       ev->orig_to,
                                  ev->host,     ev->ip,        ev->tls,        ev->dsn,    ev->response, ev->process};
    for (size_t i = 0; i < COUNT(fields); i++)
        require_inside(line, fields[i]);
    return true;
}

/* What stands before and behind a stranger's words, and what a line then says whatever they are. */
static void run_story(const char *before, struct span words, const char *behind)
{
    struct buf        b;
    struct mail_event ev;

    buf_init(&b, 1 << 20);
    buf_puts(&b, before);
    buf_put(&b, words);
    buf_puts(&b, behind);
    REQUIRE(read_one(buf_span(&b), &ev));
    REQUIRE(ev.kind == MAIL_ATTEMPT && ev.outcome == MAIL_DEFERRED);
    REQUIRE(span_is(ev.to, "a@b.example") && span_is(ev.ip, "192.0.2.1") && ev.orig_to.n == 0);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mail_event ev;
    struct span       words = span_make(data, size), lines = words, line;

    while (span_line(&lines, &line))
        read_one(line, &ev);
    run_story(
        "Nov 21 11:59:30 mx postfix/smtp[1]: 4jX51P6jsYz1c738: to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=1, "
        "delays=0/0/0/0, dsn=4.0.0, status=deferred (host mx[192.0.2.1] said: ",
        words, " (in reply to RCPT TO command))");
    run_story("2026-11-21 11:59:30 1xUxbU-00083x-2W == a@b.example R=sink T=sink defer (-44) H=mx [192.0.2.1]: SMTP "
              "error from remote mail server after RCPT TO:<a@b.example>: ",
              words, "");
    return 0;
}
