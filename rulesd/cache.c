/* rulesd/cache.c - see cache.h. The compiled scopes live in slot.c, the threads in desk.c and feed.c.
 *
 * How an audience learns that it is out of date: every change of people or settings takes the next number of a clock of our own
 * (`moved`) and writes it where those look who depend on it: a field for its domain, one for its mailbox, one for all. An audience
 * remembers the clock as it was before its rows were read; whoever asks compares. So a change costs nothing but a number, nobody
 * is searched for, and only those that are asked for again are read again. Fields are shared by hash: a neighbour's change at
 * worst reads an audience once too often. */
#include "cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "feed.h"
#include "slot.h"
#include "store/compile.h"

#define SHARDS 64
#define FIELDS 4096
#define LIGHT_THREADS 2
#define HEAVY_NICE 10
#define RETRY_US 1000000
#define VIEW_ARENA_MAX (4u << 20) /* the ids of the policies that are assigned to one domain */

typedef atomic_int_fast64_t moment; /* of our own clock: counts changes */

/* What holds in one domain, shared by its audiences. Counted. */
struct part {
    atomic_size_t            refs;
    int64_t                  as_of;
    struct arena             arena; /* of view.assigned */
    struct store_domain_view view;
};

/* Immutable but for refs. Owns a reference on its part and its slots. */
struct audience {
    atomic_size_t     refs;
    int64_t           as_of, loaded_us;
    bool              settled; /* the address is a mailbox's own: nothing but its domain and mailbox can change it */
    struct part      *part;
    struct thresholds thresholds;
    struct slot      *slots[3];  /* by enum scope_kind */
    struct store_resolved who[]; /* none for a stranger */
};
static const struct store_resolved stranger;

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

/* Cards in a ring, in the order in which the clock hand passes them. */
struct ring {
    struct card *hand;
    size_t       n, max;
};

struct shard {
    pthread_mutex_t lock; /* guards all below and its cards */
    struct map      cards;
    struct ring     ours, strangers;
    uint64_t        hits, misses;
};

struct cache {
    struct desk  *light, *heavy;
    struct slots *slots;
    struct slot  *global;
    struct feed  *feed;
    struct shard  shards[SHARDS];

    moment clock, all, domains, any, fields[FIELDS];

    pthread_mutex_t parts_lock; /* guards parts */
    struct map      parts;      /* domain id (zero: global) -> struct part, which it holds */

    atomic_bool          away, surveyed, surveying;
    struct job           survey;
    atomic_uint_fast64_t loads, load_errors, changes;
};

/* ---- Out of date, or not ----------------------------------------------------------------------------------------- */

static moment *field_of(struct cache *c, const struct uuid *id)
{
    return &c->fields[span_hash(span_make(id->b, sizeof id->b)) % FIELDS];
}

static bool part_fresh(struct cache *c, const struct part *p)
{
    return atomic_load(&c->all) <= p->as_of && atomic_load(field_of(c, &p->view.id)) <= p->as_of;
}

static const struct store_resolved *who_of(const struct audience *a)
{
    return a->slots[SCOPE_DOMAIN] != NULL ? a->who : &stranger;
}

/* By what the feed has told. */
static bool current(struct cache *c, const struct audience *a)
{
    const struct store_resolved *who = who_of(a);

    if (atomic_load(&c->all) > a->as_of || !part_fresh(c, a->part))
        return false;
    if (!who->ours)
        return atomic_load(&c->domains) <= a->as_of;
    if (atomic_load(field_of(c, &who->domain)) > a->as_of)
        return false;
    if (who->has_mailbox && atomic_load(field_of(c, &who->mailbox)) > a->as_of)
        return false;
    return a->settled || atomic_load(&c->any) <= a->as_of;
}

/* And are its scopes there? */
static bool fresh(struct cache *c, const struct audience *a)
{
    for (size_t i = 0; i < COUNT(a->slots); i++) {
        if (a->slots[i] != NULL && !slot_loaded(a->slots[i]))
            return false;
    }
    return current(c, a) && clock_mono_us() - a->loaded_us < SLOT_AGE_US;
}

/* ---- Audiences --------------------------------------------------------------------------------------------------- */

static void part_drop(struct part *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    arena_fini(&p->arena);
    free(p);
}

static struct part *part_hold(struct part *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void audience_drop(struct audience **at)
{
    struct audience *a = *at;

    *at = NULL;
    if (a == NULL || atomic_fetch_sub(&a->refs, 1) != 1)
        return;
    for (size_t i = 0; i < COUNT(a->slots); i++)
        slot_drop(&a->slots[i]);
    part_drop(a->part);
    free(a);
}

static struct audience *audience_hold(struct audience *a)
{
    atomic_fetch_add(&a->refs, 1);
    return a;
}

static struct span id_span(const struct uuid *id) { return span_make(id->b, sizeof id->b); }

static struct part *part_known(struct cache *c, const struct uuid *domain)
{
    struct part *p;

    pthread_mutex_lock(&c->parts_lock);
    p = map_get(&c->parts, id_span(domain));
    p = p != NULL && part_fresh(c, p) ? part_hold(p) : NULL;
    pthread_mutex_unlock(&c->parts_lock);
    return p;
}

/* p NULL: forget the one that is there. The key lies in the part: the old one must go with it. */
static void part_remember(struct cache *c, const struct uuid *domain, struct part *p)
{
    struct part *old;

    pthread_mutex_lock(&c->parts_lock);
    old = map_del(&c->parts, id_span(domain));
    if (p != NULL)
        map_put(&c->parts, id_span(&p->view.id), part_hold(p));
    pthread_mutex_unlock(&c->parts_lock);
    part_drop(old);
}

/* domain NULL: what holds where no domain is concerned. */
static struct part *part_load(struct cache *c, struct store *s, const struct uuid *domain, struct err *e)
{
    const struct uuid *id = domain ? domain : &uuid_zero;
    struct part       *p = part_known(c, id);

    if (p != NULL)
        return p;
    if ((p = calloc(1, sizeof *p)) == NULL)
        panic("out of memory");
    atomic_store(&p->refs, 1);
    p->as_of = atomic_load(&c->clock);
    arena_init(&p->arena, VIEW_ARENA_MAX);
    if (store_domain_view(s, domain, &p->arena, &p->view, e) < 0) {
        part_drop(p);
        return NULL;
    }
    p->view.id = *id;
    part_remember(c, id, p);
    return p;
}

/* Not what only leads there now, by tag, alias or catch-all: a mailbox or an alias of just that name may come. */
static bool is_settled(struct span address, const struct store_resolved *who)
{
    return who->has_mailbox && span_is(address, who->mailbox_address);
}

static struct audience *audience_new(const struct store_resolved *who, int64_t as_of)
{
    struct audience *a = calloc(1, sizeof *a + (who->ours ? sizeof *who : 0));

    if (a == NULL)
        panic("out of memory");
    atomic_store(&a->refs, 1);
    a->as_of = as_of;
    a->loaded_us = clock_mono_us();
    if (who->ours)
        a->who[0] = *who;
    return a;
}

static void take_slots(struct cache *c, struct audience *a, const struct store_resolved *who)
{
    a->slots[SCOPE_GLOBAL] = slot_hold(c->global);
    if (who->ours)
        a->slots[SCOPE_DOMAIN] = slots_take(c->slots, store_scope_domain(who->domain));
    if (who->ours && who->has_mailbox)
        a->slots[SCOPE_MAILBOX] = slots_take(c->slots, store_scope_mailbox(who->mailbox));
}

/* A mailbox that has gone since it was resolved has its domain's thresholds until the feed tells. */
static int mailbox_thresholds(struct store *s, const struct store_resolved *who, struct thresholds *out, struct err *e)
{
    struct store_mailbox_view view;
    struct err                why = ERR_INIT;

    if (!who->has_mailbox)
        return 0;
    if (store_mailbox_view(s, who->mailbox, &view, &why) == 0)
        *out = view.thresholds;
    else if (why.code != ERR_NOT_FOUND) {
        if (e != NULL)
            *e = why;
        return -1;
    }
    return 0;
}

static struct audience *audience_load(struct cache *c, struct store *s, struct span address, struct err *e)
{
    struct store_resolved who = {0};
    struct audience      *a;
    int64_t               as_of = atomic_load(&c->clock);

    atomic_fetch_add(&c->loads, 1);
    if (address.n > 0 && store_resolve(s, address, &who, e) < 0)
        return NULL;
    a = audience_new(&who, as_of);
    a->settled = is_settled(address, &who);
    if ((a->part = part_load(c, s, who.ours ? &who.domain : NULL, e)) == NULL) {
        audience_drop(&a);
        return NULL;
    }
    a->thresholds = a->part->view.thresholds;
    if (who.ours && mailbox_thresholds(s, &who, &a->thresholds, e) < 0) {
        audience_drop(&a);
        return NULL;
    }
    take_slots(c, a, &who);
    return a;
}

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
    return &c->shards[(span_hash(address) >> 32) % SHARDS];
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
    if (k->now != NULL && fresh(c, k->now)) {
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

const struct store_resolved    *audience_who(const struct audience *a) { return who_of(a); }
const struct store_domain_view *audience_domain(const struct audience *a) { return &a->part->view; }
struct thresholds               audience_thresholds(const struct audience *a) { return a->thresholds; }

int audience_scope(struct cache *c, const struct audience *a, enum scope_kind kind, struct scope **out, struct err *e)
{
    (void)c;
    *out = NULL;
    return a->slots[kind] ? slot_scope(a->slots[kind], out, e) : 0;
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
    wait_end((struct wait *)((char *)j - offsetof(struct wait, job)));
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
    if ((k->now == NULL || !fresh(c, k->now)) && (k->error == NULL || clock_mono_us() >= k->retry_us)) {
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
    int           rc = 1;

    if (k->draft != NULL && !current(c, k->draft))
        audience_drop(&k->draft);
    if (k->draft == NULL) {
        if (hand_store(h, &s, e) < 0)
            return -1;
        if ((k->draft = audience_load(c, s, k->address, e)) == NULL)
            return -1;
    }
    for (size_t i = 0; rc > 0 && i < COUNT(k->draft->slots); i++) {
        if (k->draft->slots[i] != NULL)
            rc = slot_await(k->draft->slots[i], &k->job, h, e);
    }
    return rc;
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
    k->foreign = !who_of(k->now)->ours;
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
    struct card     *k = (struct card *)((char *)j - offsetof(struct card, job)), *out;
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

/* ---- What the feed tells ----------------------------------------------------------------------------------------- */

/* Whom a change of people or settings reaches. */
static void moved(struct cache *c, const struct store_change *change)
{
    int64_t now = atomic_fetch_add(&c->clock, 1) + 1;

    if (change->scope.kind == SCOPE_GLOBAL)
        atomic_store(&c->all, now);
    else
        atomic_store(field_of(c, &change->scope.id), now);
    if (change->kind == CHANGE_DOMAIN || change->kind == CHANGE_MAILBOX || change->kind == CHANGE_ADDRESS)
        atomic_store(&c->any, now);
    if (change->kind == CHANGE_DOMAIN) {
        atomic_store(&c->domains, now);
        part_remember(c, &change->scope.id, NULL);
    }
}

static void on_change(void *ctx, const struct store_change *change)
{
    struct cache      *c = ctx;
    const struct uuid *rule = change->kind == CHANGE_RULE && change->has_object ? &change->object : NULL;

    atomic_fetch_add(&c->changes, 1);
    switch (change->kind) {
    case CHANGE_RULE:
    case CHANGE_LEARNED: slots_changed(c->slots, change->scope, rule, change->seq); break;
    case CHANGE_POLICY: /* a global one may be assigned, which the views of domains say */
        slots_changed(c->slots, change->scope, NULL, change->seq);
        if (change->scope.kind == SCOPE_GLOBAL)
            moved(c, change);
        break;
    case CHANGE_DOMAIN:
    case CHANGE_MAILBOX:
        slots_changed(c->slots, change->scope, NULL, change->seq);
        moved(c, change);
        break;
    case CHANGE_ASSIGNMENT:
    case CHANGE_SETTING:
    case CHANGE_ADDRESS: moved(c, change); break;
    case CHANGE_API_KEY: /* not for rules */
    case CHANGE_SENDER: break;
    }
}

static void on_gap(void *ctx)
{
    struct cache *c = ctx;

    slots_gap(c->slots);
    atomic_store(&c->all, atomic_fetch_add(&c->clock, 1) + 1);
}

/* Who waits for the database when it goes is told so at once: the jobs that ask it may hang for as long as it does. */
static void tell_all(struct cache *c)
{
    for (size_t i = 0; i < SHARDS; i++) {
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

static void on_tick(void *ctx, bool away)
{
    struct cache *c = ctx;

    if (atomic_exchange(&c->away, away) != away && away)
        tell_all(c);
    slots_tick(c->slots);
    slot_want(c->global);
    if (!atomic_load(&c->surveyed) && !atomic_exchange(&c->surveying, true))
        desk_put(c->heavy, &c->survey);
}

/* ---- Starting and stopping --------------------------------------------------------------------------------------- */

static int each_large(void *ctx, struct store_scope scope, int64_t rules)
{
    struct cache *c = ctx;

    (void)rules;
    slots_preload(c->slots, scope);
    return 0;
}

/* What will take a while is begun before somebody asks. */
static void survey_run(struct job *j, struct hand *h)
{
    struct cache *c = (struct cache *)((char *)j - offsetof(struct cache, survey));
    struct store *s;

    if (hand_store(h, &s, NULL) == 0 && store_scopes_large(s, SLOT_LIGHT_MAX, each_large, c, NULL) == 0)
        atomic_store(&c->surveyed, true);
    atomic_store(&c->surveying, false);
}

static bool is_away(void *ctx) { return atomic_load(&((struct cache *)ctx)->away); }

static void init_parts(struct cache *c, const struct cache_limits *limits)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *sh = &c->shards[i];

        pthread_mutex_init(&sh->lock, NULL);
        map_init(&sh->cards);
        sh->ours.max = limits->audiences_max / SHARDS + 1;
        sh->strangers.max = limits->strangers_max / SHARDS + 1;
    }
    pthread_mutex_init(&c->parts_lock, NULL);
    map_init(&c->parts);
    c->survey.run = survey_run;
}

int cache_new(const struct settings *settings, const struct cache_limits *limits, struct cache **out, struct err *e)
{
    struct cache    *c = calloc(1, sizeof *c);
    struct desk_how  light = {.url = settings->store.url, .threads = LIGHT_THREADS, .away = is_away, .ctx = c};
    struct desk_how  heavy = {.url = light.url, .threads = 1, .nice = HEAVY_NICE, .away = is_away, .ctx = c};
    struct feed_sink sink = {on_change, on_gap, on_tick, c};

    *out = NULL;
    if (c == NULL)
        panic("out of memory");
    init_parts(c, limits);
    if (desk_new(&light, &c->light, e) < 0 || desk_new(&heavy, &c->heavy, e) < 0)
        goto fail;
    c->slots = slots_new(c->light, c->heavy, limits->bytes_max);
    c->global = slots_take(c->slots, STORE_SCOPE_GLOBAL);
    if (feed_new(settings->store.url, &sink, &c->feed, e) < 0)
        goto fail;
    slot_want(c->global);
    *out = c;
    return 0;
fail:
    cache_free(&c);
    return -1;
}

/* Tells everybody who still waits, so that each done() is called once. */
static void end_waits(struct cache *c)
{
    struct job *j;

    while (c->light != NULL && (j = desk_left(c->light)) != NULL) {
        if (j->run == wait_run)
            wait_run(j, NULL);
    }
    for (size_t i = 0; i < SHARDS; i++) {
        void  *value;
        size_t at = 0;

        while (map_next(&c->shards[i].cards, &at, NULL, &value)) {
            struct card *k = value;

            tell(k->tickets);
            k->tickets = NULL;
        }
    }
}

static void free_cards(struct cache *c)
{
    for (size_t i = 0; i < SHARDS; i++) {
        void  *value;
        size_t at = 0;

        while (map_next(&c->shards[i].cards, &at, NULL, &value))
            card_free(value);
        map_fini(&c->shards[i].cards);
        pthread_mutex_destroy(&c->shards[i].lock);
    }
}

static void free_parts(struct cache *c)
{
    void  *value;
    size_t at = 0;

    while (map_next(&c->parts, &at, NULL, &value))
        part_drop(value);
    map_fini(&c->parts);
    pthread_mutex_destroy(&c->parts_lock);
}

/* The feed first: it gives work to the desks; the desks next: their jobs use all the rest. */
void cache_free(struct cache **at)
{
    struct cache *c = *at;

    if (c == NULL)
        return;
    *at = NULL;
    feed_free(&c->feed);
    if (c->heavy != NULL)
        desk_stop(c->heavy);
    if (c->light != NULL)
        desk_stop(c->light);
    end_waits(c);
    free_cards(c);
    free_parts(c);
    slot_drop(&c->global);
    slots_free(&c->slots);
    desk_free(&c->heavy);
    desk_free(&c->light);
    free(c);
}

/* ---- How it is ---------------------------------------------------------------------------------------------------- */

bool cache_ready(struct cache *c)
{
    struct slots_stats stats;

    if (!slot_loaded(c->global) || !atomic_load(&c->surveyed))
        return false;
    slots_stats(c->slots, &stats);
    return stats.compiling == 0;
}

int64_t cache_feed_seq(const struct cache *c) { return feed_seq(c->feed); }
bool    cache_is_stale(const struct cache *c) { return feed_stale_since_us(c->feed) != 0; }

void cache_stats(struct cache *c, struct cache_stats *out)
{
    struct slots_stats slots;

    slots_stats(c->slots, &slots);
    *out = (struct cache_stats){
        .loads = atomic_load(&c->loads),
        .load_errors = atomic_load(&c->load_errors),
        .changes = atomic_load(&c->changes),
        .compiles = slots.compiles,
        .overlays = slots.overlays,
        .merges = slots.merges,
        .compile_us_max = slots.compile_us_max,
        .slots = slots.slots,
        .scope_bytes = slots.bytes,
        .stale_since_us = feed_stale_since_us(c->feed),
        .feed_seq = feed_seq(c->feed),
    };
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *sh = &c->shards[i];

        pthread_mutex_lock(&sh->lock);
        out->hits += sh->hits;
        out->misses += sh->misses;
        out->audiences += sh->ours.n;
        out->strangers += sh->strangers.n;
        pthread_mutex_unlock(&sh->lock);
    }
}
