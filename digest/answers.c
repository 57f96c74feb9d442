/* digest/answers.c - see answers.h. */
#include "answers.h"

#include <stdlib.h>

#include "base/log.h"
#include "net/lmtp_service.h"

#define MESSAGE_SPARE ((size_t)1 << 20)

/* Written before the threads start. Owned by main. */
struct answers {
    const struct settings *settings;
    struct answer_counts  *counts;
    struct arena           arena; /* of what stands in the settings */
    struct origin_trust    trust;
    struct lmtp_service   *service;
};

/* What one thread has in hand. Opened when it is first needed, and anew after a failure. */
struct hand {
    struct answers   *x;
    struct reply_site site;
    struct keyring   *ring;
};

/* ---- the store, and what a release takes ---- */

static void hand_close(struct hand *h)
{
    scanner_free(&h->site.release.scanner);
    vault_close(&h->site.release.vault);
    keyring_close(&h->ring);
    store_close(&h->site.release.store);
}

static int hand_open(struct hand *h, struct err *e)
{
    const struct settings *s = h->x->settings;
    struct release_how    *how = &h->site.release;

    if (how->store == NULL && store_open(s->store.url, STORE_EXISTING, &how->store, e) < 0)
        return -1;
    if (h->ring == NULL && keyring_open(s->quarantine.keys, &h->ring, e) < 0)
        return -1;
    const struct vault_how vault = {s->quarantine.url, h->ring, s->quarantine.min_free};
    if (how->vault == NULL && vault_open(&vault, &how->vault, e) < 0)
        return -1;
    return how->scanner != NULL ? 0 : scanner_new(&s->rulesd.scanner, s->rulesd.scanner_timeout_ms, &how->scanner, e);
}

static void complain(struct hand *h, const struct err *e)
{
    log_err(LOG_LEVEL_WARNING, "an answer to a digest waits", e);
    if (e->code != ERR_NOT_FOUND && e->code != ERR_BUSY)
        hand_close(h);
}

/* ---- in a thread ---- */

static void *begin(void *ctx)
{
    struct answers        *x = ctx;
    const struct settings *s = x->settings;
    struct hand           *h = calloc(1, sizeof *h);

    if (h == NULL)
        panic("out of memory");
    h->x = x;
    h->site = (struct reply_site){.settings = s,
                                  .release = {.keys = s->quarantine.keys,
                                              .url = s->delivery.url,
                                              .protected_symbols = &s->rules.protected_symbols,
                                              .unscanned_ok = s->rulesd.scanner_down == SCANNER_DOWN_ACCEPT,
                                              .message_max = (size_t)s->rulesd.max_message + MESSAGE_SPARE,
                                              .prefix = s->rules.prefix},
                                  .trust = x->trust,
                                  .wait_us = AUTHOR_WAIT_US};
    return h;
}

static void end(void *hand)
{
    hand_close(hand);
    free(hand);
}

static int name_rcpt(void *hand, struct span recipient, const char **why_out)
{
    struct hand *h = hand;
    struct arena a;
    struct err   e = ERR_INIT;
    int          rc;

    arena_init(&a, 1 << 20);
    *why_out = "no address for answers to digests";
    if ((rc = reply_is_for(h->x->settings, recipient, &a, &e)) < 0)
        log_err(LOG_LEVEL_WARNING, "an answer to a digest waits", &e);
    arena_fini(&a);
    return rc;
}

static void count(struct answer_counts *c, const struct reply_done *done)
{
    if (done->reason != REPLY_TAKEN)
        atomic_fetch_add(&c->dropped, 1);
    for (size_t i = 0; i < done->n; i++)
        atomic_fetch_add(done->ones[i].none != NULL ? &c->refused : &c->released, 1);
}

static int take(void *hand, const struct lmtp_mail *said)
{
    const struct reply_mail mail = {
        .recipient = said->recipient, .sender = said->sender, .message = said->message, .too_large = said->too_large};
    struct reply_done done;
    struct hand      *h = hand;
    struct arena      a;
    struct err        e = ERR_INIT;
    int               rc;

    arena_init(&a, REPLY_ARENA_MAX);
    if ((rc = hand_open(h, &e)) == 0 && (rc = reply_take(&h->site, &mail, &a, &done, &e)) == 0) {
        reply_log(&mail, &done);
        count(h->x->counts, &done);
    } else {
        atomic_fetch_add(&h->x->counts->later, 1);
        complain(h, &e);
    }
    arena_fini(&a);
    return rc;
}

/* ---- start and stop ---- */

static int open_all(struct answers *x, struct store *store, struct err *e)
{
    const struct settings        *s = x->settings;
    const struct lmtp_service_how how = {.setting = "[digest] listen_lmtp",
                                         .listen = &s->digest.listen_lmtp,
                                         .mta_users = &s->rulesd.mta_users,
                                         .mta_from = &s->rulesd.mta_from,
                                         .message_max = REPLY_MAIL_MAX,
                                         .ctx = x,
                                         .open = begin,
                                         .close = end,
                                         .rcpt = name_rcpt,
                                         .take = take};

    if (reply_check(store, s, &x->arena, e) < 0)
        return err_wrap(e, "[digest] listen_lmtp");
    if (origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, &x->arena, &x->trust, e) < 0)
        return -1;
    return lmtp_service_start(&how, &x->service, e);
}

int answers_start(const struct settings *settings, struct store *store, struct answer_counts *counts,
                  struct answers **out, struct err *e)
{
    struct answers *x;

    *out = NULL;
    if (settings->digest.listen_lmtp.n == 0)
        return 0;
    if ((x = calloc(1, sizeof *x)) == NULL)
        panic("out of memory");
    x->settings = settings;
    x->counts = counts;
    arena_init(&x->arena, 1 << 20);
    *out = x;
    if (open_all(x, store, e) == 0)
        return 0;
    answers_stop(out);
    return -1;
}

void answers_stop(struct answers **xp)
{
    struct answers *x = *xp;

    *xp = NULL;
    if (x == NULL)
        return;
    lmtp_service_stop(&x->service);
    arena_fini(&x->arena);
    free(x);
}
