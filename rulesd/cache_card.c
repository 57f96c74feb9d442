/* rulesd/cache_card.c - see cache_inside.h: a card an address, with what it means or why that is not known, and who
 * waits for it. */
#include "cache_inside.h"

#include <stdlib.h>

#define RETRY_US 1000000

/* Somebody who waits for several addresses. */
struct wait {
    struct job    job; /* to be told by a thread of ours when nothing was to be waited for */
    atomic_size_t left;
    void (*done)(void *ctx);
    void *ctx;
};
struct ticket {
    struct ticket *next;
    struct wait   *wait;
};

/* One address. `job` and `draft` belong to the job while `loading`; the rest to the shard's lock. */
struct card {
    struct job       job;
    struct cache    *cache;
    struct shard    *shard;
    struct audience *draft;
    struct audience *now; /* NULL: never loaded */
    bool             loading, used, foreign;
    struct err      *error; /* of the last attempt; NULL: it went well */
    int64_t          retry_us;
    struct ticket   *tickets;
    struct card     *next, *prev; /* those of its ring */
    struct span      address;
    char             text[];
};

/* ---- Cards ------------------------------------------------------------------------------------------------------- */

static void ring_put(struct ring *r, struct card *k)
{
    if (r->hand == NULL) {
        r->hand = k->next = k->prev = k;
    } else {
        k->next = r->hand;
        k->prev = r->hand->prev;
        k->prev->next = k->next->prev = k;
    }
    r->n++;
}

static void ring_take(struct ring *r, struct card *k)
{
    if (r->hand == k)
        r->hand = k->next == k ? NULL : k->next;
    k->next->prev = k->prev;
    k->prev->next = k->next;
    r->n--;
}

static struct ring *ring_of(struct card *k) { return k->foreign ? &k->shard->strangers : &k->shard->ours; }

static struct shard *shard_of(struct cache *c, struct span address)
{
    return &c->shards[(span_hash(address) >> 32) % CACHE_SHARDS];
}

static void card_run(struct job *j, struct hand *h);

/* Counts as a stranger's until it is known to be ours: guessed addresses push out one another. */
static struct card *card_add(struct cache *c, struct shard *sh, struct span address)
{
    struct card *k = calloc(1, sizeof *k + address.n);

    if (k == NULL)
        panic("out of memory");
    if (address.n > 0)
        memcpy(k->text, address.p, address.n);
    k->address = span_make(k->text, address.n);
    k->cache = c;
    k->shard = sh;
    k->foreign = true;
    k->job.run = card_run;
    map_put(&sh->cards, k->address, k);
    ring_put(&sh->strangers, k);
    return k;
}

static void card_free(struct card *k)
{
    while (k->tickets != NULL) {
        struct ticket *t = k->tickets;

        k->tickets = t->next;
        free(t);
    }
    audience_drop(&k->now);
    audience_drop(&k->draft);
    free(k->error);
    free(k);
}

/* Under the shard's lock: takes out what is too much, as a list by `next`, for the caller to free without the lock. */
static struct card *make_room(struct ring *r)
{
    struct card *out = NULL;

    for (size_t left = 2 * r->n; r->n > r->max && left > 0; left--) {
        struct card *k = r->hand;

        r->hand = k->next;
        if (k->loading || k->used) {
            k->used = false;
            continue;
        }
        ring_take(r, k);
        map_del(&k->shard->cards, k->address);
        k->next = out;
        out = k;
    }
    return out;
}

static void free_list(struct card *list)
{
    while (list != NULL) {
        struct card *k = list;

        list = k->next;
        card_free(k);
    }
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

/* While the database is away, what is not known is not worth a card. */
static int answer(struct cache *c, struct card *k, struct audience **out, struct err *e)
{
    if (k == NULL)
        return atomic_load(&c->away) ? err_set(e, ERR_LOST, "the database is away") : 0;
    k->used = true;
    if (k->now != NULL && audience_fresh(&c->people, k->now)) {
        *out = audience_hold(k->now);
        return 1;
    }
    if (!atomic_load(&c->away) && (k->error == NULL || clock_mono_us() >= k->retry_us))
        return 0;
    if (k->now != NULL) {
        *out = audience_hold(k->now);
        return 1;
    }
    if (k->error == NULL)
        return err_set(e, ERR_LOST, "the database is away");
    if (e != NULL)
        *e = *k->error;
    return -1;
}

int cache_get(struct cache *c, struct span address, struct audience **out, struct err *e)
{
    struct shard *sh = shard_of(c, address);
    int           rc;

    *out = NULL;
    pthread_mutex_lock(&sh->lock);
    rc = answer(c, map_get(&sh->cards, address), out, e);
    sh->hits += rc > 0;
    sh->misses += rc == 0;
    pthread_mutex_unlock(&sh->lock);
    return rc;
}

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

static void wait_end(struct wait *w)
{
    w->done(w->ctx);
    free(w);
}

static void wait_run(struct job *j, struct hand *h)
{
    (void)h;
    wait_end(HOLDER(j, struct wait, job));
}

static bool wait_less(struct wait *w) { return atomic_fetch_sub(&w->left, 1) == 1; }

static void put_ticket(struct card *k, struct wait *w)
{
    struct ticket *t = malloc(sizeof *t);

    if (t == NULL)
        panic("out of memory");
    *t = (struct ticket){k->tickets, w};
    k->tickets = t;
    atomic_fetch_add(&w->left, 1);
}

static void load_one(struct cache *c, struct span address, struct wait *w)
{
    struct shard *sh = shard_of(c, address);
    struct card  *k;
    bool          begin = false;

    pthread_mutex_lock(&sh->lock);
    if ((k = map_get(&sh->cards, address)) == NULL)
        k = card_add(c, sh, address);
    k->used = true;
    if ((k->now == NULL || !audience_fresh(&c->people, k->now)) &&
        (k->error == NULL || clock_mono_us() >= k->retry_us)) {
        put_ticket(k, w);
        begin = !k->loading;
        k->loading = true;
    }
    pthread_mutex_unlock(&sh->lock);
    if (begin)
        desk_put(c->light, &k->job);
}

void cache_load(struct cache *c, const struct span *addresses, size_t n, void (*done)(void *ctx), void *ctx)
{
    struct wait *w = calloc(1, sizeof *w);

    if (w == NULL)
        panic("out of memory");
    w->job.run = wait_run;
    w->done = done;
    w->ctx = ctx;
    atomic_store(&w->left, 1); /* ours, until all are asked for */
    for (size_t i = 0; i < n; i++)
        load_one(c, addresses[i], w);
    if (wait_less(w))
        desk_put_first(c->light, &w->job);
}

/* 1: the draft is complete; 0: the job is parked, and may be running again already; -1. */
static int prepare(struct card *k, struct hand *h, struct err *e)
{
    struct cache *c = k->cache;
    struct store *s;

    if (k->draft != NULL && !audience_current(&c->people, k->draft))
        audience_drop(&k->draft);
    if (k->draft == NULL) {
        if (hand_store(h, &s, e) < 0)
            return -1;
        if ((k->draft = audience_load(&c->people, s, k->address, e)) == NULL)
            return -1;
    }
    return audience_await(k->draft, &k->job, h, e);
}

/* Under the shard's lock. What was there is handed back in the draft, to be dropped without the lock. */
static void card_settle(struct card *k, bool good, const struct err *e)
{
    struct audience *old = k->now;

    k->loading = false;
    if (!good) {
        if (k->error == NULL && (k->error = malloc(sizeof *k->error)) == NULL)
            panic("out of memory");
        *k->error = *e;
        k->retry_us = clock_mono_us() + RETRY_US;
        return;
    }
    free(k->error);
    k->error = NULL;
    ring_take(ring_of(k), k);
    k->now = k->draft;
    k->draft = old;
    k->foreign = !audience_who(k->now)->ours;
    ring_put(ring_of(k), k);
}

static void tell(struct ticket *tickets)
{
    while (tickets != NULL) {
        struct ticket *t = tickets;

        tickets = t->next;
        if (wait_less(t->wait))
            wait_end(t->wait);
        free(t);
    }
}

static void card_run(struct job *j, struct hand *h)
{
    struct card     *k = HOLDER(j, struct card, job), *out;
    struct cache    *c = k->cache;
    struct shard    *sh = k->shard;
    struct audience *old;
    struct ticket   *tickets;
    struct err       e = ERR_INIT;
    int              rc = prepare(k, h, &e);

    if (rc == 0)
        return;
    if (rc < 0)
        atomic_fetch_add(&c->load_errors, 1);
    pthread_mutex_lock(&sh->lock);
    card_settle(k, rc > 0, &e);
    old = k->draft;
    k->draft = NULL;
    tickets = k->tickets;
    k->tickets = NULL;
    out = atomic_load(&c->away) ? NULL : make_room(ring_of(k));
    pthread_mutex_unlock(&sh->lock);
    audience_drop(&old);
    free_list(out);
    tell(tickets);
}

/* ---- All of them ----------------------------------------------------------------------------------------------------- */

void cards_init(struct cache *c, const struct cache_limits *limits)
{
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        struct shard *sh = &c->shards[i];

        pthread_mutex_init(&sh->lock, NULL);
        map_init(&sh->cards);
        sh->ours.max = limits->audiences_max / CACHE_SHARDS + 1;
        sh->strangers.max = limits->strangers_max / CACHE_SHARDS + 1;
    }
}

void cards_tell(struct cache *c)
{
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        struct shard  *sh = &c->shards[i];
        struct ticket *all = NULL;
        void          *value;
        size_t         at = 0;

        pthread_mutex_lock(&sh->lock);
        while (map_next(&sh->cards, &at, NULL, &value)) {
            struct card *k = value;

            while (k->tickets != NULL) {
                struct ticket *t = k->tickets;

                k->tickets = t->next;
                t->next = all;
                all = t;
            }
        }
        pthread_mutex_unlock(&sh->lock);
        tell(all);
    }
}

void cards_end(struct cache *c)
{
    struct job *j;

    while (c->light != NULL && (j = desk_left(c->light)) != NULL) {
        if (j->run == wait_run)
            wait_run(j, NULL);
    }
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        void  *value;
        size_t at = 0;

        while (map_next(&c->shards[i].cards, &at, NULL, &value)) {
            struct card *k = value;

            tell(k->tickets);
            k->tickets = NULL;
        }
    }
}

void cards_fini(struct cache *c)
{
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        void  *value;
        size_t at = 0;

        while (map_next(&c->shards[i].cards, &at, NULL, &value))
            card_free(value);
        map_fini(&c->shards[i].cards);
        pthread_mutex_destroy(&c->shards[i].lock);
    }
}
