/* trainer/lmtp.c - see lmtp.h. */
#include "lmtp.h"

#include <stdlib.h>

#include "base/log.h"
#include "net/lmtp_service.h"

/* Written before the threads start. Owned by main. */
struct lmtp {
    const struct settings *settings;
    struct arena           arena; /* of what stands in the settings */
    struct origin_trust    trust;
    struct lmtp_service   *service;
};

/* What one thread has in hand. Opened when it is first needed, and anew after a failure. */
struct hand {
    struct lmtp            *l;
    struct report_mail_site site;
    struct keyring         *ring;
    struct vault           *vault;
    struct store           *store;
};

/* ---- the store ---- */

static void hand_close(struct hand *h)
{
    vault_close(&h->vault);
    keyring_close(&h->ring);
    store_close(&h->store);
}

static int hand_open(struct hand *h, struct err *e)
{
    const struct settings *s = h->l->settings;

    if (h->store == NULL && store_open(s->store.url, STORE_EXISTING, &h->store, e) < 0)
        return -1;
    if (h->ring == NULL && keyring_open(s->quarantine.keys, &h->ring, e) < 0)
        return -1;
    const struct vault_how how = {s->quarantine.url, h->ring, s->quarantine.min_free};
    if (h->vault == NULL && vault_open(&how, &h->vault, e) < 0)
        return -1;
    h->site.store = h->store;
    h->site.vault = h->vault;
    return 0;
}

static void complain(struct hand *h, const struct err *e)
{
    log_err(LOG_LEVEL_WARNING, "a report by mail waits", e);
    if (e->code != ERR_NOT_FOUND && e->code != ERR_BUSY)
        hand_close(h);
}

/* ---- in a thread ---- */

static void *begin(void *ctx)
{
    struct lmtp *l = ctx;
    struct hand *h = calloc(1, sizeof *h);

    if (h == NULL)
        panic("out of memory");
    h->l = l;
    h->site = (struct report_mail_site){
        .settings = l->settings, .trust = l->trust, .listener = "lmtp", .wait_us = AUTHOR_WAIT_US};
    return h;
}

static void end(void *hand)
{
    hand_close(hand);
    free(hand);
}

static int name_rcpt(void *hand, struct span recipient, const char **why_out)
{
    enum report_class class;
    struct hand *h = hand;
    struct arena a;
    struct err   e = ERR_INIT;
    int          rc = hand_open(h, &e);

    arena_init(&a, 1 << 20);
    if (rc == 0)
        rc = report_mail_class(&h->site, recipient, &a, &class, &e);
    *why_out = e.code == ERR_NOT_FOUND ? "no address for reports" : "the store is away";
    if (rc < 0)
        complain(h, &e);
    arena_fini(&a);
    return rc;
}

/* Each recipient is a report of its own: spam@ and ham@ say different things. */
static int take(void *hand, const struct lmtp_mail *said)
{
    const struct report_mail mail = {
        .recipient = said->recipient, .sender = said->sender, .message = said->message, .too_large = said->too_large};
    struct report_mail_done done;
    struct hand            *h = hand;
    struct arena            a;
    struct err              e = ERR_INIT;
    int                     rc;

    arena_init(&a, REPORT_MAIL_ARENA_MAX(h->l->settings->rulesd.max_message));
    if ((rc = hand_open(h, &e)) == 0 && (rc = report_mail_take(&h->site, &mail, &a, &done, &e)) == 0)
        report_mail_log(&mail, &done);
    if (rc < 0)
        complain(h, &e);
    arena_fini(&a);
    return rc;
}

/* ---- start and stop ---- */

static int open_all(struct lmtp *l, struct err *e)
{
    const struct settings        *s = l->settings;
    const struct lmtp_service_how how = {.setting = "[trainer] listen_lmtp",
                                         .listen = &s->trainer.listen_lmtp,
                                         .mta_users = &s->rulesd.mta_users,
                                         .mta_from = &s->rulesd.mta_from,
                                         .message_max = (size_t)s->rulesd.max_message,
                                         .ctx = l,
                                         .open = begin,
                                         .close = end,
                                         .rcpt = name_rcpt,
                                         .take = take};

    if (report_mail_check(s, &l->arena, e) < 0 ||
        origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, &l->arena, &l->trust, e) < 0)
        return -1;
    return lmtp_service_start(&how, &l->service, e);
}

int lmtp_start(const struct settings *settings, struct lmtp **out, struct err *e)
{
    struct lmtp *l;

    *out = NULL;
    if (settings->trainer.listen_lmtp.n == 0)
        return 0;
    if ((l = calloc(1, sizeof *l)) == NULL)
        panic("out of memory");
    l->settings = settings;
    arena_init(&l->arena, 1 << 20);
    *out = l;
    if (open_all(l, e) == 0)
        return 0;
    lmtp_stop(out);
    return -1;
}

void lmtp_stop(struct lmtp **lp)
{
    struct lmtp *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    lmtp_service_stop(&l->service);
    arena_fini(&l->arena);
    free(l);
}
