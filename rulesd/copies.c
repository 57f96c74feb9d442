/* rulesd/copies.c - see copies.h. One list, one thread. */
#include "copies.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/map.h"
#include "store/custody.h"
#include "store/setting.h"
#include "vault/vault.h"

#define REST_MS_MAX 200       /* after one copy, however long it took */
#define LOOK_MS 20            /* while others go first */
#define JOURNAL_LAG_US 500000 /* with more of it none is made */
#define COUNT_US (60 * INT64_C(1000000))
#define LOG_US (60 * INT64_C(1000000))
#define DOMAINS_MAX 10000 /* whose bytes are remembered */

/* A record with everything that it points to and its message, in one block. */
struct waiting {
    struct waiting      *next;
    size_t               bytes;
    struct store_message m;
    struct span          message;
};

/* What a domain may have, and has: counted once in a while. */
struct counted {
    struct uuid id;
    int64_t     max, bytes, until_us; /* max 0: no limit */
};

struct copies {
    struct custody *custody; /* borrowed, and so is the journal */
    struct journal *journal;
    char           *url;
    int64_t         min_free;
    pthread_t       thread;
    bool            has_thread;

    /* the thread's own */
    struct store *store;
    struct map    domains; /* id -> struct counted */
    int64_t       logged_us;

    pthread_mutex_t     lock;       /* guards what follows */
    pthread_cond_t      more, stop; /* apart, so that who puts one wakes nobody who rests */
    struct waiting     *first, **last;
    struct copies_stats stats;
    bool                stopping;
};

/* ---- putting ---- */

static struct waiting *copy_of(const struct store_message *m, struct span message)
{
    size_t          room = store_message_room(m), bytes = sizeof(struct waiting) + room + message.n;
    struct waiting *x = malloc(bytes);
    char           *body;

    if (x == NULL)
        return NULL;
    *x = (struct waiting){.bytes = bytes};
    store_message_copy(m, x + 1, &x->m);
    body = (char *)(x + 1) + room;
    if (message.n > 0)
        memcpy(body, message.p, message.n);
    x->message = span_make(body, message.n);
    return x;
}

/* Takes the room for it; false: there is none. */
static bool reserve(struct copies *c, size_t bytes)
{
    bool ok;

    pthread_mutex_lock(&c->lock);
    ok = !c->stopping && bytes <= COPIES_WAITING - c->stats.waiting_bytes;
    if (ok)
        c->stats.waiting_bytes += bytes;
    else
        c->stats.left_out++;
    pthread_mutex_unlock(&c->lock);
    return ok;
}

void copies_put(struct copies *c, const struct store_message *record, struct span message)
{
    size_t          bytes = sizeof(struct waiting) + store_message_room(record) + message.n;
    struct waiting *x;

    if (!reserve(c, bytes))
        return;
    if ((x = copy_of(record, message)) == NULL)
        panic("out of memory");
    pthread_mutex_lock(&c->lock);
    *c->last = x;
    c->last = &x->next;
    c->stats.waiting++;
    if (c->first == x)
        pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
}

void copies_stats(struct copies *c, struct copies_stats *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    pthread_mutex_unlock(&c->lock);
}

/* ---- what a domain may have ---- */

static int need_store(struct copies *c, struct err *e)
{
    return c->store != NULL ? 0 : store_open(c->url, STORE_EXISTING, &c->store, e);
}

static int count_domain(struct copies *c, struct counted *d, struct err *e)
{
    struct store_domain_view view = {.held_max = 0};
    struct arena             a;
    int64_t                  count, held = 0, copied = 0;
    int                      rc;

    arena_init(&a, 1 << 20);
    rc = need_store(c, e) < 0 ? -1 : store_domain_view(c->store, &d->id, &a, &view, e);
    arena_fini(&a);
    if (rc < 0 && e->code != ERR_NOT_FOUND) /* gone by now: no limit either */
        return -1;
    d->max = rc < 0 ? 0 : view.held_max;
    if (d->max > 0 && (store_custody_usage(c->store, &d->id, &count, &held, e) < 0 ||
                       store_custody_copied(c->store, &d->id, &copied, e) < 0))
        return -1;
    d->bytes = held + copied;
    d->until_us = clock_mono_us() + COUNT_US;
    return 0;
}

static void forget_domains(struct copies *c)
{
    size_t at = 0;
    void  *d;

    while (map_next(&c->domains, &at, NULL, &d))
        free(d);
    map_fini(&c->domains);
    map_init(&c->domains);
}

static struct counted *find_domain(struct copies *c, const struct uuid *id)
{
    struct counted *d = map_get(&c->domains, span_make(id->b, sizeof id->b));

    if (d != NULL)
        return d;
    if (c->domains.n >= DOMAINS_MAX)
        forget_domains(c);
    if ((d = calloc(1, sizeof *d)) == NULL)
        panic("out of memory");
    d->id = *id;
    map_put(&c->domains, span_make(d->id.b, sizeof d->id.b), d);
    return d;
}

/* A domain of several recipients counts once, as they mostly stand together. */
static int check_caps(struct copies *c, const struct waiting *x, struct err *e)
{
    const struct uuid *last = NULL;

    for (size_t i = 0; i < x->m.ndeliveries; i++) {
        const struct store_delivery *to = &x->m.deliveries[i];
        struct counted              *d;

        if (!to->has_domain || (last != NULL && uuid_eq(last, &to->domain)))
            continue;
        last = &to->domain;
        d = find_domain(c, last);
        if (clock_mono_us() >= d->until_us && count_domain(c, d, e) < 0)
            return -1;
        if (d->max > 0 && d->bytes + (int64_t)x->message.n > d->max)
            return err_set(e, ERR_FULL, "a domain has %lld bytes held and copied, at most %lld", (long long)d->bytes,
                           (long long)d->max);
        d->bytes += (int64_t)x->message.n;
    }
    return 0;
}

/* ---- making one ---- */

static int check_room(struct copies *c, const struct waiting *x, struct err *e)
{
    int64_t room = 0;

    if (vault_room(custody_vault(c->custody), &room, e) < 0)
        return -1;
    return room >= c->min_free + (int64_t)x->bytes
               ? 0
               : err_set(e, ERR_FULL, "less than twice min_free is free, which is for mail that is held");
}

/* The head is the record as it will be, as custody writes it. */
static int keep(struct copies *c, struct waiting *x, struct err *e)
{
    struct vault_kept kept = {0};
    struct buf        head;
    int               rc;

    if (check_room(c, x, e) < 0 || check_caps(c, x, e) < 0)
        return -1;
    x->m.kept = true;
    buf_init(&head, VAULT_HEAD_MAX);
    store_message_put_json(&head, &x->m);
    rc = head.failed ? err_set(e, ERR_LIMIT, "what is known of the message is more than %zu bytes", head.max)
                     : vault_put(custody_vault(c->custody), &x->m.uid, buf_span(&head), x->message, &kept, e);
    buf_fini(&head);
    if (rc < 0)
        return -1;
    x->m.kept_bytes = kept.bytes;
    x->m.sha256 = span_make(kept.sha256, sizeof kept.sha256);
    x->m.key_id = span_of(kept.key_id);
    journal_put(c->journal, &x->m); /* the message is there by then: it was put before */
    return 0;
}

static void complain(struct copies *c, const struct err *e)
{
    int64_t now = clock_mono_us();

    store_close(&c->store);
    if (c->logged_us != 0 && now - c->logged_us < LOG_US)
        return;
    c->logged_us = now;
    log_err(LOG_LEVEL_WARNING, "delivered mail is not copied", e);
}

static void make(struct copies *c, struct waiting *x)
{
    struct err e = ERR_INIT;
    int        rc = keep(c, x, &e);

    if (rc < 0)
        complain(c, &e);
    pthread_mutex_lock(&c->lock);
    c->stats.waiting--;
    c->stats.waiting_bytes -= x->bytes;
    c->stats.kept += rc == 0;
    c->stats.left_out += rc < 0;
    pthread_mutex_unlock(&c->lock);
    free(x);
}

/* ---- the thread ---- */

/* True when it is time to stop. */
static bool rest(struct copies *c, int64_t ms)
{
    struct timespec until;
    bool            over;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping && pthread_cond_timedwait(&c->stop, &c->lock, &until) != ETIMEDOUT)
        ;
    over = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return over;
}

static bool others_go_first(struct copies *c)
{
    return custody_waiting(c->custody) > 0 || journal_lag_us(c->journal, clock_mono_us()) > JOURNAL_LAG_US;
}

/* NULL: it is time to stop. */
static struct waiting *next(struct copies *c)
{
    struct waiting *x;

    pthread_mutex_lock(&c->lock);
    while (c->first == NULL && !c->stopping)
        pthread_cond_wait(&c->more, &c->lock);
    x = c->stopping ? NULL : c->first;
    if (x != NULL && (c->first = x->next) == NULL)
        c->last = &c->first;
    pthread_mutex_unlock(&c->lock);
    return x;
}

static void *run(void *arg)
{
    struct copies  *c = arg;
    struct waiting *x;
    int64_t         begun, ms;

    while ((x = next(c)) != NULL) {
        bool over = false;

        while (!over && others_go_first(c))
            over = rest(c, LOOK_MS);
        begun = clock_mono_us();
        make(c, x);
        ms = (clock_mono_us() - begun) / 1000;
        if (over || rest(c, ms < REST_MS_MAX ? ms : REST_MS_MAX))
            break;
    }
    store_close(&c->store);
    return NULL;
}

int copies_new(const struct settings *settings, struct custody *custody, struct journal *journal, struct copies **out,
               struct err *e)
{
    struct copies     *c;
    pthread_condattr_t attr;
    int                rc;

    *out = NULL;
    if (settings->copies.delivered_hours == 0 || custody == NULL)
        return 0;
    if ((c = calloc(1, sizeof *c)) == NULL)
        panic("out of memory");
    c->custody = custody;
    c->journal = journal;
    c->url = span_strdup(span_of(settings->store.url));
    c->min_free = settings->quarantine.min_free;
    c->last = &c->first;
    map_init(&c->domains);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->stop, &attr);
    pthread_cond_init(&c->more, NULL);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&c->thread, NULL, run, c);
    c->has_thread = rc == 0;
    if (rc != 0) {
        copies_free(&c);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = c;
    return 0;
}

void copies_free(struct copies **at)
{
    struct copies *c = *at;

    if (c == NULL)
        return;
    *at = NULL;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->more);
    pthread_cond_signal(&c->stop);
    pthread_mutex_unlock(&c->lock);
    if (c->has_thread)
        pthread_join(c->thread, NULL);
    for (struct waiting *x = c->first, *after; x != NULL; x = after) {
        after = x->next;
        free(x);
    }
    forget_domains(c);
    map_fini(&c->domains);
    pthread_cond_destroy(&c->more);
    pthread_cond_destroy(&c->stop);
    pthread_mutex_destroy(&c->lock);
    free(c->url);
    free(c);
}
