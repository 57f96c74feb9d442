/* portal/sender.c - see sender.h. */
#include "sender.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/pause.h"
#include "base/secret.h"
#include "mail/compose.h"
#include "mail/header.h"
#include "mail/own_mark.h"
#include "net/smtp_client.h"
#include "signin.h"
#include "store/handoff.h"
#include "store/idempotency.h"
#include "store/outbox.h"
#include "store/session.h"
#include "vault/keyring.h"
#include "store/signin.h"

#define LOOK_MS 300
#define AWAY_MS 5000
#define FIRST_US (10 * INT64_C(1000000))
#define LONGEST_US (3600 * INT64_C(1000000))
#define GIVE_UP_US (2 * 86400 * INT64_C(1000000))
#define TRIM_US (3600 * INT64_C(1000000))

struct sender {
    const struct portal *portal;
    struct store        *store;
    struct smtp_client  *smtp; /* NULL: not connected */
    struct arena         arena;
    uint8_t              own_key[OWN_MARK_KEY_BYTES];
    bool                 marks;     /* there are keys */
    char                 name[120]; /* of this claimer */
    int64_t              trimmed_us;
    pthread_t            thread;
    struct pause         pause;
};

/* ---- one letter ---- */

static void log_letter(const char *event, enum log_level level, const struct store_mail *m, struct span answer)
{
    struct log_line l;

    log_begin(&l, level, event);
    log_span(&l, "kind", m->kind);
    log_span(&l, "to", m->recipient);
    log_i64(&l, "attempt", m->attempts);
    log_span(&l, "answer", answer);
    log_end(&l);
}

/* Is it of no use any more? */
static bool is_over(const struct store_mail *m, int64_t now_us)
{
    return now_us - m->created_us > (span_is(m->kind, SIGNIN_MAIL) ? SIGNIN_US : GIVE_UP_US);
}

static int put_off(struct sender *s, const struct store_mail *m, struct span answer, struct err *e)
{
    int64_t now = clock_wall_us();

    log_letter("mail of ours waits", LOG_LEVEL_WARNING, m, answer);
    return store_outbox_later(s->store, &m->id, span_of(s->name), now + backoff_us(m->attempts, FIRST_US, LONGEST_US),
                              answer, e);
}

static int give_up(struct sender *s, const struct store_mail *m, struct span answer, struct err *e)
{
    log_letter("mail of ours was not taken", LOG_LEVEL_WARNING, m, answer);
    return store_outbox_failed(s->store, &m->id, span_of(s->name), answer, clock_wall_us(), e);
}

/* So that our own rulesd knows it again. */
static struct span mark_of(struct sender *s, const struct store_mail *m)
{
    struct span mark = SPAN_NONE;
    struct buf  b;

    if (!s->marks)
        return mark;
    buf_init(&b, 1024);
    own_mark_put(s->own_key, m->recipient, m->message, clock_wall_us(), &b);
    mark = arena_dup(&s->arena, buf_span(&b));
    buf_fini(&b);
    return mark;
}

/* That of the letter, which is its brand's: so SPF and DMARC look at one domain, and what comes back goes to whoever runs it, never to a
 * stranger. */
static struct span envelope_sender(const struct sender *s, const struct store_mail *m)
{
    struct span   rest = m->message;
    struct header h;

    while (header_next(&rest, &h))
        if (span_is_ci(h.name, "From") && compose_address(span_trim(h.body)).n > 0)
            return compose_address(span_trim(h.body));
    return compose_address(span_of(s->portal->settings->smtp.from));
}

static int hand_over(struct sender *s, const struct store_mail *m, struct smtp_result *result, struct err *e)
{
    struct smtp_letter letter = {
        .from = envelope_sender(s, m), .rcpt = &m->recipient, .nrcpt = 1, .head = mark_of(s, m), .message = m->message};

    *result = (struct smtp_result){.fate = SMTP_UNSENT};
    if (s->smtp == NULL && smtp_client_open(s->portal->settings->smtp.url, NULL, &s->smtp, e) < 0)
        return -1;
    if (smtp_client_send(s->smtp, &letter, result, e) < 0) {
        smtp_client_close(&s->smtp);
        return -1;
    }
    return 0;
}

/* What waits sealed is read when it goes. */
static bool open_letter(struct sender *s, struct store_mail *m)
{
    struct buf text;
    bool       done;

    if (!span_is(m->kind, SIGNIN_MAIL))
        return true;
    buf_init(&text, OUTBOX_MESSAGE_MAX);
    done = secret_unseal(s->portal->letter_key, m->message, &text);
    m->message = arena_dup(&s->arena, buf_span(&text));
    buf_fini(&text);
    return done && m->message.p != NULL;
}

static int send_letter(struct sender *s, struct store_mail *m, struct err *e)
{
    struct smtp_result result;
    struct err         why = ERR_INIT;

    if (is_over(m, clock_wall_us()))
        return give_up(s, m, SPAN("too old to be of use"), e);
    if (!open_letter(s, m))
        return give_up(s, m, SPAN("sealed by another key"), e);
    if (hand_over(s, m, &result, &why) < 0 && result.fate != SMTP_TAKEN && result.fate != SMTP_REFUSED)
        return put_off(s, m, span_of(why.text), e);
    if (result.fate == SMTP_TAKEN) {
        log_letter("mail of ours sent", LOG_LEVEL_INFO, m, span_of(result.reply.text));
        return store_outbox_sent(s->store, &m->id, span_of(s->name), span_of(result.reply.text), clock_wall_us(), e);
    }
    return result.reply.code >= 500 ? give_up(s, m, span_of(result.reply.text), e)
                                    : put_off(s, m, span_of(result.reply.text), e);
}

/* ---- the thread ---- */

/* What has ended and is in nobody's way, once an hour. */
static int trim(struct sender *s, struct err *e)
{
    int64_t now = clock_wall_us();

    if (now - s->trimmed_us < TRIM_US)
        return 0;
    s->trimmed_us = now;
    return store_outbox_trim(s->store, now, e) < 0 || store_signin_trim(s->store, now, e) < 0 ||
                   store_session_trim(s->store, now, e) < 0 || store_idempotency_trim(s->store, now, e) < 0 ||
                   store_handoff_trim(s->store, now, e) < 0
               ? -1
               : 0;
}

static int step(struct sender *s, struct err *e)
{
    struct store_mail m;
    int               rc;

    arena_reset(&s->arena);
    if (trim(s, e) < 0)
        return -1;
    rc = store_outbox_claim(s->store, span_of(s->name), clock_wall_us(), &s->arena, &m, e);
    if (rc <= 0) {
        if (rc == 0)
            smtp_client_close(&s->smtp); /* nothing to do: no server is kept waiting */
        return rc;
    }
    return send_letter(s, &m, e) < 0 ? -1 : 1;
}

static void *run(void *arg)
{
    struct sender *s = arg;
    bool           away = false;

    while (!pause_is_over(&s->pause)) {
        struct err e = ERR_INIT;
        int        rc = step(s, &e);

        if (rc < 0 && !away)
            log_err(LOG_LEVEL_WARNING, "the outbox waits", &e);
        away = rc < 0;
        if (rc <= 0)
            pause_for(&s->pause, rc < 0 ? AWAY_MS : LOOK_MS);
    }
    return NULL;
}

int sender_start(const struct portal *p, struct sender **out, struct err *e)
{
    struct sender *s = calloc(1, sizeof *s);
    char           host[64] = "";

    if (s == NULL)
        panic("out of memory");
    s->portal = p;
    gethostname(host, sizeof host - 1);
    snprintf(s->name, sizeof s->name, "postern-portal %ld at %s", (long)getpid(), host);
    arena_init(&s->arena, 2 * OUTBOX_MESSAGE_MAX);
    pause_init(&s->pause);
    *out = s;
    s->marks = keyring_secret(p->settings->quarantine.keys, OWN_MARK_SECRET, s->own_key, NULL) == 0;
    if (store_open(p->settings->store.url, STORE_EXISTING, &s->store, e) < 0 ||
        smtp_client_check(p->settings->smtp.url, e) < 0)
        return -1;
    if ((errno = pthread_create(&s->thread, NULL, run, s)) != 0)
        return err_errno(e, "start a thread");
    return 0;
}

void sender_stop(struct sender **sp)
{
    struct sender *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    pause_stop(&s->pause);
    if (s->thread != 0)
        pthread_join(s->thread, NULL);
    smtp_client_close(&s->smtp);
    store_close(&s->store);
    arena_fini(&s->arena);
    pause_fini(&s->pause);
    free(s);
}
