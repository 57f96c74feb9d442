/* cli/report_mail.c - postern report-mail: one report, by mail, from the pipe of a mail server (custody/report_mail.h).
 *
 * The mail server reads the exit code. 0: taken, or dropped; nobody is told which. All else is EX_TEMPFAIL (main.c), so that the mail
 * stays in the queue: any other code would become a bounce to whoever the mail names as its sender. */
#include "base/log.h"
#include "custody/report_mail.h"
#include "held.h"
#include "piped.h"

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
    buf_init(&message, (size_t)s->rulesd.max_message + PIPED_PIECE);
    rc = piped_read(&message, (size_t)s->rulesd.max_message, &mail.too_large, e);
    mail.recipient = span_of(rcpt);
    mail.sender = piped_sender(sender);
    mail.message = buf_span(&message);
    rc = rc < 0 ? -1 : take(c, &mail, e);
    if (rc < 0 && s->log.target == LOG_TO_SYSLOG) /* main says it too, to whom standard error leads */
        log_err(LOG_LEVEL_WARNING, "a report by mail waits", e);
    buf_fini(&message);
    return rc;
}
