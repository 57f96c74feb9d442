/* cli/report_mail.c - postern report-mail: one report, by mail, from the pipe of a mail server (custody/report_mail.h).
 *
 * The mail server reads the exit code. 0: taken, or dropped; nobody is told which. All else is EX_TEMPFAIL (main.c), so that the mail
 * stays in the queue: any other code would become a bounce to whoever the mail names as its sender. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "custody/report_mail.h"
#include "held.h"

#define PIECE ((size_t)64 << 10)

/* All of standard input is read, what does not fit too: who writes there gets rid of it. */
static int read_mail(struct buf *b, bool *too_large_out, struct err *e)
{
    for (;;) {
        char   *to = buf_reserve(b, PIECE);
        ssize_t n;

        if (to == NULL) {
            *too_large_out = true;
            buf_clear(b);
            continue;
        }
        n = read(STDIN_FILENO, to, PIECE);
        if (n < 0 && errno != EINTR)
            return err_errno(e, "read the mail");
        if (n == 0)
            return 0;
        b->n += n > 0 ? (size_t)n : 0;
    }
}

/* Postfix has a name for nobody. */
static struct span sender_of(const char *given)
{
    struct span sender = span_of(given != NULL ? given : getenv("SENDER"));

    if (span_is(sender, "<>") || span_is_ci(span_head(sender, span_chr(sender, '@')), "MAILER-DAEMON"))
        return SPAN_NONE;
    return sender;
}

static int take(struct cli *c, const struct report_mail *mail, struct err *e)
{
    const struct settings  *s = c->settings;
    struct report_mail_site site = {.settings = s, .listener = "command", .wait_us = AUTHOR_WAIT_US};
    struct report_mail_done done;
    struct held             held = {0};
    struct arena            a;
    int                     rc = -1;

    arena_init(&a, REPORT_MAIL_ARENA_MAX(s->rulesd.max_message));
    if (report_mail_check(s, &a, e) == 0 &&
        origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, &a, &site.trust, e) == 0 &&
        held_open(c, &held, e) == 0 && held_check_owner(&held, e) == 0) {
        site.store = c->store;
        site.vault = held.vault;
        rc = report_mail_take(&site, mail, &a, &done, e);
    }
    if (rc == 0)
        report_mail_log(mail, &done);
    held_close(&held);
    arena_fini(&a);
    return rc;
}

int cli_report_mail(struct cli *c, int argc, char **argv, struct err *e)
{
    const struct settings   *s = c->settings;
    const char              *rcpt = NULL, *sender = NULL;
    struct report_mail       mail = {.too_large = false};
    struct buf               message;
    int                      rc;
    const struct args_option options[] = {
        {"rcpt", "ADDRESS", .text = &rcpt, .help = "the address that the report came to"},
        {"sender", "ADDRESS", .text = &sender, .help = "of the envelope; default $SENDER"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    if (rcpt == NULL)
        return err_set(e, ERR_USAGE, "where did the report come to? --rcpt ADDRESS");
    log_open("postern", (enum log_target)s->log.target, (enum log_level)s->log.level);
    buf_init(&message, (size_t)s->rulesd.max_message + PIECE);
    rc = read_mail(&message, &mail.too_large, e);
    mail.too_large = mail.too_large || message.n > (size_t)s->rulesd.max_message;
    mail.recipient = span_of(rcpt);
    mail.sender = sender_of(sender);
    mail.message = mail.too_large ? SPAN_NONE : buf_span(&message);
    rc = rc < 0 ? -1 : take(c, &mail, e);
    if (rc < 0 && s->log.target == LOG_TO_SYSLOG) /* main says it too, to whom standard error leads */
        log_err(LOG_LEVEL_WARNING, "a report by mail waits", e);
    buf_fini(&message);
    return rc;
}
