/* lib/net/smtp_letter.c - one letter, from MAIL to the last verdict. */
#include "net/smtp_inside.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/crlf.h"

#define LETTER_MS 600000 /* one letter from its first command to its last reply: less than the lease of who releases */

static bool said_yes(const struct smtp_reply *r, int class) { return r->code / 100 == class; }

static void refuse(struct smtp_result *result, const struct smtp_reply *r)
{
    *result = (struct smtp_result){SMTP_REFUSED, *r};
}

/* We say no ourselves, in a server's form. */
static void refuse_here(struct smtp_result *result, int code, const char *dsn, const char *why)
{
    *result = (struct smtp_result){SMTP_REFUSED, {.code = code}};
    snprintf(result->reply.dsn, sizeof result->reply.dsn, "%s", dsn);
    snprintf(result->reply.text, sizeof result->reply.text, "%s %s (not sent)", dsn, why);
}

/* What the server was not asked about yet gets this answer. */
static void refuse_rest(struct smtp_result *results, size_t n, const struct smtp_reply *r)
{
    for (size_t i = 0; i < n; i++)
        if (results[i].fate == SMTP_UNSENT)
            refuse(&results[i], r);
}

/* An answer that means neither yes nor no here. */
static int nonsense(struct smtp_client *c, const struct smtp_reply *r, const char *to, struct err *e)
{
    c->broken = true;
    return err_set(e, ERR_PROTOCOL, "%s answers %s with %d %s", c->host, to, r->code, r->text);
}

/* Is any address of the transaction one that only SMTPUTF8 carries? */
static bool needs_utf8(const struct smtp_letter *l)
{
    bool ascii = span_is_ascii(l->from);

    for (size_t i = 0; i < l->nrcpt && ascii; i++)
        ascii = span_is_ascii(l->rcpt[i]);
    return !ascii;
}

/* 1: go on, 0: all are refused, -1. */
static int say_mail(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_result mine;
    bool               utf8 = (c->offers & OFFERS_SMTPUTF8) != 0 && needs_utf8(l);

    smtp_begin(c, "MAIL FROM:");
    if (!smtp_put_path(&c->out, l->from) || (!utf8 && !span_is_ascii(l->from))) {
        if (span_is_ascii(l->from) || utf8)
            refuse_here(&mine, 553, "5.1.7", "the sender's address cannot be written in SMTP");
        else
            refuse_here(&mine, 553, "5.6.7", "the sender's address needs SMTPUTF8, which the server does not offer");
        refuse_rest(results, l->nrcpt, &mine.reply);
        return 0;
    }
    if ((c->offers & OFFERS_8BITMIME) != 0 && (!span_is_ascii(l->message) || !span_is_ascii(l->head)))
        buf_puts(&c->out, " BODY=8BITMIME");
    buf_puts(&c->out, utf8 ? " SMTPUTF8\r\n" : "\r\n");
    c->dirty = true;
    if (smtp_command(c, &mine.reply, e) < 0)
        return -1;
    if (said_yes(&mine.reply, 2))
        return 1;
    if (mine.reply.code < 400)
        return nonsense(c, &mine.reply, "MAIL", e);
    refuse_rest(results, l->nrcpt, &mine.reply);
    return 0;
}

/* 1: the server takes it, 0: it is refused, -1. */
static int say_rcpt(struct smtp_client *c, const struct smtp_letter *l, struct span rcpt, struct smtp_result *result,
                    struct err *e)
{
    struct smtp_reply r;

    if (!span_is_ascii(rcpt) && (c->offers & OFFERS_SMTPUTF8) == 0) {
        refuse_here(result, 553, "5.6.7", "the address needs SMTPUTF8, which the server does not offer");
        return 0;
    }
    smtp_begin(c, "RCPT TO:");
    if (rcpt.n == 0 || !smtp_put_path(&c->out, rcpt)) {
        refuse_here(result, 553, "5.1.3", "the address cannot be written in SMTP");
        return 0;
    }
    buf_puts(&c->out, l->notify_never && (c->offers & OFFERS_DSN) != 0 ? " NOTIFY=NEVER\r\n" : "\r\n");
    if (smtp_command(c, &r, e) < 0)
        return -1;
    if (said_yes(&r, 2))
        return 1;
    if (r.code < 400)
        return nonsense(c, &r, "RCPT", e);
    refuse(result, &r);
    return 0;
}

/* How many recipients the server takes; -1. */
static int say_rcpts(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    int taken = 0, rc = 0;

    for (size_t i = 0; i < l->nrcpt && rc >= 0 && !c->broken; i++) {
        rc = say_rcpt(c, l, l->rcpt[i], &results[i], e);
        taken += rc > 0;
    }
    return rc < 0 ? -1 : c->broken ? 0 : taken;
}

static int flush(struct smtp_client *c, struct err *e)
{
    int rc = smtp_send_all(c, buf_span(&c->out), e);

    buf_clear(&c->out);
    return rc;
}

/* A line may be longer than what we hold: it goes in pieces. */
static int put_line(struct smtp_client *c, struct span line, struct err *e)
{
    if (line.n > 0 && line.p[0] == '.')
        buf_putc(&c->out, '.');
    for (struct span piece; line.n > 0; line = span_skip(line, piece.n)) {
        piece = span_head(line, SMTP_PIECE);
        buf_put(&c->out, piece);
        if (c->out.n >= SMTP_PIECE && flush(c, e) < 0)
            return -1;
    }
    buf_puts(&c->out, "\r\n");
    return 0;
}

static int put_lines(struct smtp_client *c, struct span text, struct err *e)
{
    struct span line;

    buf_clear(&c->out);
    while (crlf_line(&text, &line))
        if (put_line(c, line, e) < 0 || (c->out.n >= SMTP_PIECE && flush(c, e) < 0))
            return -1;
    return flush(c, e);
}

/* 1: the message may come, 0: all are refused, -1. */
static int say_data(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_reply r;

    smtp_begin(c, "DATA\r\n");
    if (smtp_command(c, &r, e) < 0)
        return -1;
    if (r.code == 354)
        return 1;
    if (r.code < 400)
        return nonsense(c, &r, "DATA", e);
    refuse_rest(results, l->nrcpt, &r);
    return 0;
}

/* The verdict on the message: one for all, or, in LMTP, one for each that RCPT was taken for. */
static int read_verdicts(struct smtp_client *c, struct smtp_result *results, size_t n, struct err *e)
{
    struct smtp_reply r = {.code = 0};

    for (size_t i = 0; i < n; i++) {
        if (results[i].fate != SMTP_UNKNOWN)
            continue;
        if ((c->lmtp || r.code == 0) && smtp_read_reply(c, c->end_ms, &r, e) < 0)
            return -1;
        if (r.code / 100 == 3)
            return nonsense(c, &r, "the message", e);
        results[i] = (struct smtp_result){said_yes(&r, 2) ? SMTP_TAKEN : SMTP_REFUSED, r};
    }
    c->dirty = false;
    if (r.code == 421)
        c->broken = true;
    return 0;
}

/* From here on nobody knows, until the replies are there. */
static int end_message(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    if (l->before_end != NULL && l->before_end(l->ctx, e) < 0) {
        c->broken = true;
        return -1;
    }
    for (size_t i = 0; i < l->nrcpt; i++)
        if (results[i].fate == SMTP_UNSENT)
            results[i].fate = SMTP_UNKNOWN;
    if (smtp_send_all(c, SPAN(".\r\n"), e) < 0)
        return -1;
    return read_verdicts(c, results, l->nrcpt, e);
}

static int say_letter(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_reply r;
    int               rc;

    if (c->dirty) {
        smtp_begin(c, "RSET\r\n");
        if (smtp_command(c, &r, e) < 0)
            return -1;
        c->dirty = false;
    }
    if (l->origin != NULL && smtp_forward_origin(c, l->origin, e) < 0)
        return -1;
    if ((rc = say_mail(c, l, results, e)) <= 0 || (rc = say_rcpts(c, l, results, e)) <= 0 ||
        (rc = say_data(c, l, results, e)) <= 0)
        return rc;
    if (put_lines(c, l->head, e) < 0 || put_lines(c, l->message, e) < 0) {
        smtp_last_words(c, e);
        return -1;
    }
    return end_message(c, l, results, e);
}

/* The server hung up politely (421) in the middle: those it had not answered are not sent. */
static int all_answered(const struct smtp_client *c, const struct smtp_result *results, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (results[i].fate == SMTP_UNSENT)
            return err_set(e, ERR_LOST, "%s ended the connection before the message", c->host);
    return 0;
}

int smtp_client_send(struct smtp_client *c, const struct smtp_letter *letter, struct smtp_result *results,
                     struct err *e)
{
    int rc;

    for (size_t i = 0; i < letter->nrcpt; i++)
        results[i] = (struct smtp_result){.fate = SMTP_UNSENT};
    if (letter->nrcpt == 0 || letter->nrcpt > SMTP_RCPT_MAX)
        return err_set(e, ERR_LIMIT, "a letter has from 1 to %d recipients, not %zu", SMTP_RCPT_MAX, letter->nrcpt);
    if (c->broken)
        return err_set(e, ERR_LOST, "%s: the connection was given up before", c->host);
    c->letter_end_us = clock_mono_us() + (int64_t)LETTER_MS * 1000;
    rc = say_letter(c, letter, results, e);
    c->letter_end_us = 0;
    return rc < 0 ? -1 : all_answered(c, results, letter->nrcpt, e);
}
