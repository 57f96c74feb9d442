/* cli/doctor_mail.c - one message, sent as mail comes, and followed by its Message-ID through the log. */
#include <stdio.h>
#include <time.h>

#include "doctor.h"
#include "mail/address.h"
#include "net/smtp_client.h"
#include "store/search.h"

#define POLL_MS 250

struct trip {
    char        id[128], queue_id[64];
    int64_t     sent_us; /* monotonic */
    struct span from;
};

/* "Postern <postern@localhost>": the address in it. */
static struct span bare_address(struct span text)
{
    size_t open = span_chr(text, '<'), shut = span_chr(text, '>');

    return open < shut && shut < text.n ? span_between(text.p + open + 1, text.p + shut) : span_trim(text);
}

static int send_it(struct doctor *d, struct trip *t, struct err *e)
{
    const struct settings *s = d->c->settings;
    struct smtp_client    *client = NULL;
    struct smtp_result     result;
    struct span            rcpt = span_of(d->mail);
    struct uuid            id = uuid7_make();
    char                   uid[UUID_TEXT + 1], date[64], text[1000];
    time_t                 now = time(NULL);
    struct tm              tm;
    int                    rc;

    uuid_format(&id, uid);
    t->from = bare_address(span_of(s->smtp.from));
    snprintf(t->id, sizeof t->id, "%s@doctor.postern.invalid", uid);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &tm));
    snprintf(text, sizeof text,
             "From: %s\r\nTo: <%s>\r\nSubject: A test by postern doctor\r\nMessage-ID: <%s>\r\nDate: "
             "%s\r\nAuto-Submitted: auto-generated\r\n\r\n"
             "This message was sent to see whether mail finds its way. You can delete it.\r\n",
             s->smtp.from, d->mail, t->id, date);
    t->sent_us = clock_mono_us();
    if (smtp_client_open(s->smtp.url, NULL, &client, e) < 0)
        return -1;

    const struct smtp_letter letter = {.from = t->from, .rcpt = &rcpt, .nrcpt = 1, .message = span_of(text)};
    rc = smtp_client_send(client, &letter, &result, e);
    smtp_client_close(&client);
    if (rc == 0 && result.fate != SMTP_TAKEN)
        rc = err_set(e, ERR_DENIED, "%s says %d %s", s->smtp.url, result.reply.code, result.reply.text);
    if (rc == 0) {
        struct span queue_id = smtp_queue_id(span_of(result.reply.text));

        snprintf(t->queue_id, sizeof t->queue_id, "%.*s", SPAN_ARG(queue_id));
    }
    return rc;
}

static int note_uid(void *ctx, const struct uuid *uid)
{
    *(struct uuid *)ctx = *uid;
    return 1;
}

/* What the log knows of it by now. False: nothing yet. */
static bool find_it(struct doctor *d, const struct trip *t, struct store_timeline *out)
{
    struct uuid uid = {0};
    struct err  e = ERR_INIT;

    return cli_store(d->c, &e) == 0 && store_trace(d->c->store, span_of(t->id), 1, note_uid, &uid, &e) == 0 &&
           uuid_cmp(&uid, &uuid_zero) != 0 &&
           store_timeline(d->c->store, &uid, STORE_SCOPE_GLOBAL, &d->c->arena, out, &e) == 0 && out->ndeliveries > 0;
}

static bool has_arrived(const struct store_timeline *t)
{
    enum delivery_state state = t->deliveries[0].delivery.state;

    return state == STATE_DELIVERED || state == STATE_BOUNCED;
}

static long long ms_since(const struct trip *t) { return (long long)(clock_mono_us() - t->sent_us) / 1000; }

/* Waits until `enough`, or the patience is over. */
static bool wait_for(struct doctor *d, const struct trip *t, struct store_timeline *out,
                     bool (*enough)(const struct store_timeline *))
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

    for (;;) {
        if (find_it(d, t, out) && (enough == NULL || enough(out)))
            return true;
        if (clock_mono_us() - t->sent_us > d->mail_wait_s * 1000000)
            return false;
        nanosleep(&pause, NULL);
    }
}

static void tell_verdict(struct doctor *d, const struct trip *t, const struct store_timeline *found)
{
    const struct store_delivery *x = &found->deliveries[0].delivery;

    doctor_find(d, FINDING_OK, NULL, "rulesd judged it after %lld ms: %s%s%.*s", ms_since(t),
                delivery_verdict_words[x->verdict],
                found->message.queue_id.n > 0 ? ", queue id " : ", without a queue id",
                SPAN_ARG(found->message.queue_id));
}

static void tell_end(struct doctor *d, const struct trip *t, const struct store_timeline *found)
{
    const struct store_timeline_delivery *x = &found->deliveries[0];
    const struct store_attempt           *last = x->nattempts > 0 ? &x->attempts[x->nattempts - 1] : NULL;
    struct span                           host = last != NULL ? last->host : SPAN_NONE;

    if (x->delivery.state == STATE_DELIVERED)
        doctor_find(d, FINDING_OK, NULL, "delivered after %lld ms to %.*s: %.*s", ms_since(t), SPAN_ARG(host),
                    SPAN_ARG(x->answer));
    else
        doctor_find(d, FINDING_WRONG, "see what that server does not like", "not delivered by %.*s: %.*s",
                    SPAN_ARG(host), SPAN_ARG(x->answer));
}

void doctor_mail(struct doctor *d)
{
    struct trip           t = {.queue_id = ""};
    struct store_timeline found;
    struct err            e = ERR_INIT;

    if (d->mail == NULL)
        return;
    if (send_it(d, &t, &e) < 0) {
        doctor_find(d, FINDING_WRONG, "see [smtp] url, and the mail server's log", "the message was not taken: %s",
                    e.text);
        return;
    }
    doctor_find(d, FINDING_OK, NULL, "the mail server took it after %lld ms%s%s", ms_since(&t),
                t.queue_id[0] != 0 ? " as " : "", t.queue_id);
    if (!wait_for(d, &t, &found, NULL)) {
        doctor_find(d, FINDING_WRONG, "put the lines for your mail server in (docs/), and see \"trust\" above",
                    "the mail server did not ask rulesd about it");
        return;
    }
    tell_verdict(d, &t, &found);
    if (wait_for(d, &t, &found, has_arrived))
        tell_end(d, &t, &found);
    else
        doctor_find(d, FINDING_NOTE,
                    d->c->settings->rulesd.maillog.n > 0
                        ? "the mail server may still be trying: \"postern trace\" with its queue id says more"
                        : "set [rulesd] maillog to the mail server's log, so that deliveries are followed",
                    "what became of it is not known after %lld s", (long long)d->mail_wait_s);
}
