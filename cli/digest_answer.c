/* cli/digest_answer.c - postern digest-answer: one answer to a digest, from the pipe of a mail server (letter/reply.h).
 *
 * The mail server reads the exit code, as of report-mail: 0 for what is taken or dropped, EX_TEMPFAIL (main.c) for all else. */
#include "base/log.h"
#include "held.h"
#include "letter/reply.h"
#include "net/scanner.h"
#include "piped.h"

static int open_site(struct cli *c, struct held *held, struct reply_site *site, struct arena *a, struct err *e)
{
    const struct settings *s = c->settings;

    if (cli_store(c, e) < 0 || reply_check(c->store, s, a, e) < 0 ||
        origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, a, &site->trust, e) < 0 ||
        held_open(c, held, e) < 0 || held_check_owner(held, e) < 0)
        return -1;
    site->settings = s;
    site->wait_us = AUTHOR_WAIT_US;
    site->release = (struct release_how){.store = c->store,
                                         .vault = held->vault,
                                         .keys = s->quarantine.keys,
                                         .url = s->delivery.url,
                                         .protected_symbols = &s->rules.protected_symbols,
                                         .unscanned_ok = s->rulesd.scanner_down == SCANNER_DOWN_ACCEPT,
                                         .message_max = held_message_max(c),
                                         .prefix = s->rules.prefix};
    return scanner_new(&s->rulesd.scanner, s->rulesd.scanner_timeout_ms, &site->release.scanner, e);
}

static int take(struct cli *c, const struct reply_mail *mail, struct err *e)
{
    struct reply_site site = {.settings = NULL};
    struct reply_done done;
    struct held       held = {0};
    struct arena      a;
    int               rc;

    arena_init(&a, REPLY_ARENA_MAX);
    rc = open_site(c, &held, &site, &a, e);
    if (rc == 0 && (rc = reply_take(&site, mail, &a, &done, e)) == 0)
        reply_log(mail, &done);
    scanner_free(&site.release.scanner);
    held_close(&held);
    arena_fini(&a);
    return rc;
}

int cli_digest_answer(struct cli *c, int argc, char **argv, struct err *e)
{
    const struct settings   *s = c->settings;
    const char              *rcpt = NULL, *sender = NULL;
    struct reply_mail        mail = {.too_large = false};
    struct buf               message;
    int                      rc;
    const struct args_option options[] = {
        {"rcpt", "ADDRESS", .text = &rcpt, .help = "the address that the answer came to: [digest] reply_to"},
        {"sender", "ADDRESS", .text = &sender, .help = "of the envelope; default $SENDER"},
    };

    if (args_read(argc, argv, options, COUNT(options), "", 0, 0, NULL, NULL, e) < 0)
        return -1;
    if (rcpt == NULL)
        return err_set(e, ERR_USAGE, "where did the answer come to? --rcpt ADDRESS");
    log_open("postern", (enum log_target)s->log.target, (enum log_level)s->log.level);
    buf_init(&message, REPLY_MAIL_MAX + PIPED_PIECE);
    rc = piped_read(&message, REPLY_MAIL_MAX, &mail.too_large, e);
    mail.recipient = span_of(rcpt);
    mail.sender = piped_sender(sender);
    mail.message = buf_span(&message);
    rc = rc < 0 ? -1 : take(c, &mail, e);
    if (rc < 0 && s->log.target == LOG_TO_SYSLOG)
        log_err(LOG_LEVEL_WARNING, "an answer to a digest waits", e);
    buf_fini(&message);
    return rc;
}
