/* rulesd/greylist.c - see greylist.h.
 *
 * Memory answers. Whatever is new to it becomes an errand for a thread that asks Redis or the store what others know of it, and
 * writes down what we know. A wait is kept as the moment when it began by the monotonic clock; what was waited before this start,
 * or with another node, moves that moment back.
 * In Redis a wait is two keys, one that lives for the delay and one that lives for the day: the second without the first has
 * waited long enough, and that is Redis' clock alone. */
#include "greylist.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fingerprint.h"
#include "base/log.h"
#include "base/map.h"
#include "net/redis.h"
#include "store/greylist.h"

#define SHARDS 64
#define GRAINS_MAX 250000  /* of each kind; some 40 MB when full */
#define ERRANDS_MAX 100000 /* more are dropped: what others know is then learned the next time */
#define ROUND_MS 50        /* errands are collected that long */
#define RETRY_MS 1000      /* after the store failed */
#define BATCH 1000
#define REFRESH_US (86400 * INT64_C(1000000)) /* a known pair is written again after that */
#define TRIM_US (3600 * INT64_C(1000000))
#define LOG_US 60000000
#define REDIS_TIMEOUT_MS 500

/* A waiting tuple, or a known pair. */
struct grain {
    uint8_t        key[FINGERPRINT_BYTES];
    enum grey_kind kind;
    bool           used;     /* since it was last at the head of its queue */
    int64_t        since_us; /* monotonic: the wait began; a pair: last seen */
    int64_t        first_us; /* wall clock, for the row */
    int64_t        count, written_us;
    struct grain  *next; /* in its queue, the oldest first */
};

struct queue {
    struct grain *first, *last;
    size_t        n;
};

struct shard {
    pthread_mutex_t lock; /* guards the rest */
    struct map      grains;
    struct queue    queues[2]; /* by enum grey_kind */
};

struct errand {
    uint8_t        key[FINGERPRINT_BYTES];
    enum grey_kind kind;
    bool           ask; /* what others know; it is written down in any case */
};
struct errands {
    struct errand *list;
    size_t         n, cap;
};

struct greylist {
    char                *url;
    int64_t              delay_us;
    struct shard         shards[SHARDS];
    atomic_uint_fast64_t deferred, passed;

    pthread_t     thread;
    struct store *store; /* the thread's */
    struct redis *redis; /* the thread's; NULL: not configured */
    int64_t       trimmed_us, logged_us;

    pthread_mutex_t lock; /* guards errands and stopping */
    pthread_cond_t  came;
    struct errands  errands;
    bool            stopping;
};

/* ---- Memory ------------------------------------------------------------------------------------------------------- */

static struct shard *shard_of(struct greylist *g, const uint8_t *key) { return &g->shards[key[0] % SHARDS]; }

static struct span key_span(const uint8_t *key) { return span_make(key, FINGERPRINT_BYTES); }

static void queue_put(struct queue *q, struct grain *gr)
{
    gr->next = NULL;
    if (q->last != NULL)
        q->last->next = gr;
    else
        q->first = gr;
    q->last = gr;
    q->n++;
}

static struct grain *queue_take(struct queue *q)
{
    struct grain *gr = q->first;

    q->first = gr->next;
    if (q->first == NULL)
        q->last = NULL;
    q->n--;
    return gr;
}

static int64_t lifetime(enum grey_kind kind) { return kind == GREY_TUPLE ? GREYLIST_RETRY_US : GREYLIST_KNOWN_US; }

/* Under the shard's lock: the oldest go when they are past their time, or when there are too many; who was used since gets
 * another round. */
static void make_room(struct shard *sh, enum grey_kind kind, int64_t now)
{
    struct queue *q = &sh->queues[kind];

    for (size_t tries = 0; q->first != NULL && tries < 16; tries++) {
        struct grain *gr = q->first;
        bool          old = now - gr->since_us > lifetime(kind);

        if (!old && q->n <= GRAINS_MAX / SHARDS)
            return;
        queue_take(q);
        if (gr->used && !old && tries < 15) {
            gr->used = false;
            queue_put(q, gr);
            continue;
        }
        map_del(&sh->grains, key_span(gr->key));
        free(gr);
    }
}

static struct grain *grain_add(struct shard *sh, enum grey_kind kind, const uint8_t *key, int64_t since_us, int64_t now)
{
    struct grain *gr = calloc(1, sizeof *gr);

    if (gr == NULL)
        panic("out of memory");
    make_room(sh, kind, now);
    memcpy(gr->key, key, sizeof gr->key);
    gr->kind = kind;
    gr->since_us = since_us;
    gr->first_us = clock_wall_us();
    map_put(&sh->grains, key_span(gr->key), gr);
    queue_put(&sh->queues[kind], gr);
    return gr;
}

static struct grain *grain_find(struct shard *sh, const uint8_t *key) { return map_get(&sh->grains, key_span(key)); }

/* ---- Errands ----------------------------------------------------------------------------------------------------- */

static void put_errand(struct errands *all, enum grey_kind kind, const uint8_t *key, bool ask)
{
    struct errand *er;

    if (all->n >= ERRANDS_MAX)
        return;
    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 64;
        all->list = realloc(all->list, all->cap * sizeof *all->list);
        if (all->list == NULL)
            panic("out of memory");
    }
    er = &all->list[all->n++];
    er->kind = kind;
    er->ask = ask;
    memcpy(er->key, key, sizeof er->key);
}

static void send(struct greylist *g, enum grey_kind kind, const uint8_t *key, bool ask)
{
    pthread_mutex_lock(&g->lock);
    put_errand(&g->errands, kind, key, ask);
    pthread_cond_signal(&g->came);
    pthread_mutex_unlock(&g->lock);
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

/* The organisational domain of the envelope sender (for <>: of the HELO) when SPF or a signature proves it. */
static struct span proven_domain(const struct facts *f)
{
    struct span org;

    if (!f->has_envelope_from || f->envelope_from.full.n == 0)
        return f->proof.spf_domain.n > 0 ? domain_org(f->proof.spf_domain) : SPAN_NONE;
    org = domain_org(f->envelope_from.domain);
    if (f->proof.spf_domain.n > 0 && span_eq(domain_org(f->proof.spf_domain), org))
        return org;
    for (size_t i = 0; i < f->proof.ndkim; i++) {
        if (span_eq(domain_org(f->proof.dkim[i]), org))
            return org;
    }
    return SPAN_NONE;
}

/* A part of a key: a letter that says what it is, and what ends it, so that no two lists of parts read alike. */
static void put_part(struct buf *b, char what, struct span part)
{
    buf_putc(b, what);
    buf_put(b, part);
    buf_putc(b, '\0');
}

static void put_origin(struct buf *b, const struct facts *f)
{
    struct span domain = proven_domain(f);
    struct ip   network;

    if (domain.n > 0) {
        put_part(b, 'd', domain);
    } else if (f->has_ip) {
        network = ip_network(&f->ip, ip_is_v4(&f->ip) ? 24 : 64);
        put_part(b, 'n', span_make(network.b, sizeof network.b));
    }
}

static void make_keys(const struct facts *f, const struct rcpt_facts *rcpt, uint8_t pair[FINGERPRINT_BYTES],
                      uint8_t tuple[FINGERPRINT_BYTES])
{
    struct buf b;

    buf_init(&b, 4096);
    put_origin(&b, f);
    put_part(&b, 's', f->envelope_from.full);
    fingerprint(buf_span(&b), pair);
    put_part(&b, 'r', rcpt->given.full);
    fingerprint(buf_span(&b), tuple);
    buf_fini(&b);
}

static bool is_known(struct greylist *g, const uint8_t *pair, int64_t now)
{
    struct shard *sh = shard_of(g, pair);
    struct grain *gr;
    bool          known, write = false;

    pthread_mutex_lock(&sh->lock);
    gr = grain_find(sh, pair);
    known = gr != NULL && now - gr->since_us <= GREYLIST_KNOWN_US;
    if (known) {
        gr->used = true;
        gr->since_us = now > gr->since_us ? now : gr->since_us;
        gr->count++;
        write = now - gr->written_us > REFRESH_US;
        if (write)
            gr->written_us = now;
    }
    pthread_mutex_unlock(&sh->lock);
    if (write)
        send(g, GREY_PAIR, pair, false);
    return known;
}

/* Has it come before, and long enough ago? A wait that began more than a day ago begins anew. */
static bool has_waited(struct greylist *g, const uint8_t *tuple, int64_t now, bool *new_out)
{
    struct shard *sh = shard_of(g, tuple);
    struct grain *gr;
    bool          waited;

    pthread_mutex_lock(&sh->lock);
    gr = grain_find(sh, tuple);
    *new_out = gr == NULL || now - gr->since_us > GREYLIST_RETRY_US;
    if (gr == NULL) {
        gr = grain_add(sh, GREY_TUPLE, tuple, now, now);
    } else if (*new_out) {
        gr->since_us = now;
        gr->first_us = clock_wall_us();
    }
    waited = !*new_out && now - gr->since_us >= g->delay_us;
    gr->used = true;
    gr->count++;
    pthread_mutex_unlock(&sh->lock);
    return waited;
}

static void make_known(struct greylist *g, const uint8_t *pair, int64_t now)
{
    struct shard *sh = shard_of(g, pair);
    struct grain *gr;

    pthread_mutex_lock(&sh->lock);
    if ((gr = grain_find(sh, pair)) == NULL)
        gr = grain_add(sh, GREY_PAIR, pair, now, now);
    gr->since_us = gr->written_us = now;
    gr->count++;
    pthread_mutex_unlock(&sh->lock);
    send(g, GREY_PAIR, pair, false);
}

enum grey greylist_ask(struct greylist *g, const struct facts *facts, const struct rcpt_facts *rcpt,
                       int64_t now_mono_us)
{
    uint8_t pair[FINGERPRINT_BYTES], tuple[FINGERPRINT_BYTES];
    bool    is_new = false, pass;

    make_keys(facts, rcpt, pair, tuple);
    pass = is_known(g, pair, now_mono_us);
    if (!pass && has_waited(g, tuple, now_mono_us, &is_new)) {
        make_known(g, pair, now_mono_us);
        pass = true;
    }
    if (is_new)
        send(g, GREY_PAIR, pair, true);
    if (!pass)
        send(g, GREY_TUPLE, tuple, true);
    atomic_fetch_add(pass ? &g->passed : &g->deferred, 1);
    return pass ? GREY_PASS : GREY_NOT_YET;
}

void greylist_stats(struct greylist *g, struct greylist_stats *out)
{
    *out = (struct greylist_stats){.deferred = atomic_load(&g->deferred), .passed = atomic_load(&g->passed)};
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&g->shards[i].lock);
        out->tuples += g->shards[i].queues[GREY_TUPLE].n;
        out->pairs += g->shards[i].queues[GREY_PAIR].n;
        pthread_mutex_unlock(&g->shards[i].lock);
    }
}

/* ---- What others know: on the thread ------------------------------------------------------------------------------ */

/* It has waited this long already; a pair was seen this long ago. */
static void learn(struct greylist *g, enum grey_kind kind, const uint8_t *key, int64_t age_us, int64_t first_us)
{
    struct shard *sh = shard_of(g, key);
    int64_t       now = clock_mono_us();
    struct grain *gr;

    pthread_mutex_lock(&sh->lock);
    if ((gr = grain_find(sh, key)) == NULL) {
        gr = grain_add(sh, kind, key, now - age_us, now);
        gr->written_us = kind == GREY_PAIR ? now : 0;
    } else if (kind == GREY_TUPLE ? now - age_us < gr->since_us : now - age_us > gr->since_us) {
        gr->since_us = now - age_us;
    }
    gr->first_us = first_us < gr->first_us ? first_us : gr->first_us;
    pthread_mutex_unlock(&sh->lock);
}

/* Between its last writing and now only the wall clock ran, and it may have been set: what it adds to a wait is never less than
 * nothing nor more than half of the delay, so that it alone frees nobody. A pair never ages by more than half its life. */
static void learn_row(struct greylist *g, const struct store_grey *row)
{
    int64_t gap = clock_wall_us() - row->seen_us,
            most = row->kind == GREY_TUPLE ? g->delay_us / 2 : GREYLIST_KNOWN_US / 2;
    int64_t waited = row->waited_us < 0 ? 0 : row->waited_us;

    gap = gap < 0 ? 0 : gap > most ? most : gap;
    if (row->kind == GREY_PAIR)
        learn(g, row->kind, row->key, gap, row->first_us);
    else if (waited <= GREYLIST_RETRY_US)
        learn(g, row->kind, row->key, waited + gap, row->first_us);
}

static int each_row(void *ctx, const struct store_grey *row)
{
    learn_row(ctx, row);
    return 0;
}

/* "postern:grey:w:0123…": w waiting, s seen, p known pair. */
static struct span redis_key(char what, const uint8_t *key, char out[64])
{
    int n = snprintf(out, 64, "postern:grey:%c:", what);

    for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
        n += snprintf(out + n, 64 - (size_t)n, "%02x", key[i]);
    return span_make(out, (size_t)n);
}

static int redis_ask(struct greylist *g, const struct errand *er, struct arena *a, struct err *e)
{
    char        name[64];
    struct span value;
    int         rc;

    if (er->kind == GREY_PAIR) {
        rc = redis_get(g->redis, redis_key('p', er->key, name), a, &value, e);
        if (rc > 0)
            learn(g, GREY_PAIR, er->key, 0, clock_wall_us());
        return rc < 0 ? -1 : 0;
    }
    if ((rc = redis_get(g->redis, redis_key('s', er->key, name), a, &value, e)) < 0)
        return -1;
    if (rc == 0) {
        if (redis_set_first(g->redis, redis_key('w', er->key, name), SPAN("1"), g->delay_us / 1000, a, &value, e) < 0)
            return -1;
        rc = redis_set_first(g->redis, redis_key('s', er->key, name), SPAN("1"), GREYLIST_RETRY_US / 1000, a, &value,
                             e);
        return rc < 0 ? -1 : 0;
    }
    rc = redis_get(g->redis, redis_key('w', er->key, name), a, &value, e);
    if (rc == 0)
        learn(g, GREY_TUPLE, er->key, g->delay_us, clock_wall_us());
    return rc < 0 ? -1 : 0;
}

static int redis_tell(struct greylist *g, const struct errand *er, struct err *e)
{
    char name[64];

    if (er->kind != GREY_PAIR || er->ask)
        return 0;
    return redis_set(g->redis, redis_key('p', er->key, name), SPAN("1"), GREYLIST_KNOWN_US / 1000, e);
}

static int store_ask(struct greylist *g, const struct errand *er, struct err *e)
{
    struct store_grey row;
    int               rc = er->ask ? store_grey_get(g->store, er->kind, er->key, &row, e) : 0;

    if (rc > 0)
        learn_row(g, &row);
    return rc < 0 ? -1 : 0;
}

/* ---- Writing: on the thread --------------------------------------------------------------------------------------- */

/* The row of a grain as it stands; false when there is none. */
static bool row_of(struct greylist *g, const uint8_t *key, struct store_grey *out)
{
    struct shard *sh = shard_of(g, key);
    struct grain *gr;
    int64_t       age;

    pthread_mutex_lock(&sh->lock);
    if ((gr = grain_find(sh, key)) != NULL) {
        age = clock_mono_us() - gr->since_us;
        *out = (struct store_grey){
            .kind = gr->kind, .first_us = gr->first_us, .seen_us = clock_wall_us(), .count = gr->count};
        out->waited_us = gr->kind == GREY_PAIR || age < 0 ? 0 : age;
        memcpy(out->key, gr->key, sizeof out->key);
    }
    pthread_mutex_unlock(&sh->lock);
    return gr != NULL;
}

static int write_rows(struct greylist *g, const struct errand *list, size_t n, struct err *e)
{
    struct store_grey *rows = calloc(BATCH, sizeof *rows);
    int                rc = 0;

    if (rows == NULL)
        panic("out of memory");
    for (size_t i = 0; rc == 0 && i < n;) {
        size_t nrows = 0;

        while (i < n && nrows < BATCH)
            nrows += row_of(g, list[i++].key, &rows[nrows]);
        rc = store_grey_put(g->store, rows, nrows, e);
    }
    free(rows);
    return rc;
}

static void complain(struct greylist *g, const char *what, const struct err *e)
{
    int64_t now = clock_mono_us();

    if (g->logged_us != 0 && now - g->logged_us < LOG_US)
        return;
    g->logged_us = now;
    log_err(LOG_LEVEL_WARNING, what, e);
}

static void ask_redis(struct greylist *g, const struct errands *all)
{
    struct arena a;

    if (g->redis == NULL)
        return;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < all->n; i++) {
        struct err e = ERR_INIT;

        if ((all->list[i].ask ? redis_ask(g, &all->list[i], &a, &e) : redis_tell(g, &all->list[i], &e)) < 0) {
            complain(g, "greylist without Redis", &e);
            break;
        }
        arena_reset(&a);
    }
    arena_fini(&a);
}

static int open_store(struct greylist *g, struct err *e)
{
    if (g->store != NULL)
        return 0;
    if (store_open(g->url, STORE_EXISTING, &g->store, e) < 0)
        return -1;
    return store_grey_load(g->store, GRAINS_MAX, each_row, g, e);
}

static int with_store(struct greylist *g, const struct errands *all, struct err *e)
{
    int64_t wall = clock_wall_us(), now = clock_mono_us();

    if (open_store(g, e) < 0)
        return -1;
    for (size_t i = 0; i < all->n; i++) {
        if (store_ask(g, &all->list[i], e) < 0)
            return -1;
    }
    if (write_rows(g, all->list, all->n, e) < 0)
        return -1;
    if (now - g->trimmed_us < TRIM_US)
        return 0;
    g->trimmed_us = now;
    if (store_grey_trim(g->store, GREY_TUPLE, wall - 2 * GREYLIST_RETRY_US, e) < 0)
        return -1;
    return store_grey_trim(g->store, GREY_PAIR, wall - GREYLIST_KNOWN_US, e);
}

/* Under the lock: this long, or until it is time to stop. */
static void wait_a_moment(struct greylist *g, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!g->stopping && pthread_cond_timedwait(&g->came, &g->lock, &until) != ETIMEDOUT)
        ;
}

/* Waits for an errand, then a moment for more; takes them all. True when it is time to stop. */
static bool next_errands(struct greylist *g, struct errands *out)
{
    bool stopping;

    pthread_mutex_lock(&g->lock);
    while (g->errands.n == 0 && !g->stopping)
        pthread_cond_wait(&g->came, &g->lock);
    wait_a_moment(g, ROUND_MS);
    *out = g->errands;
    g->errands = (struct errands){0};
    stopping = g->stopping;
    pthread_mutex_unlock(&g->lock);
    return stopping;
}

/* Back to the queue, before what came meanwhile, and not at once again. */
static void put_back(struct greylist *g, struct errands *failed)
{
    pthread_mutex_lock(&g->lock);
    wait_a_moment(g, RETRY_MS);
    for (size_t i = 0; i < g->errands.n; i++)
        put_errand(failed, g->errands.list[i].kind, g->errands.list[i].key, g->errands.list[i].ask);
    free(g->errands.list);
    g->errands = *failed;
    *failed = (struct errands){0};
    pthread_mutex_unlock(&g->lock);
}

/* At the end: how long those have waited who still wait. */
static void write_waiting(struct greylist *g)
{
    struct errands all = {0};
    struct err     e = ERR_INIT;
    int64_t        now = clock_mono_us();

    for (size_t i = 0; i < SHARDS; i++) {
        for (struct grain *gr = g->shards[i].queues[GREY_TUPLE].first; gr != NULL; gr = gr->next) {
            if (now - gr->since_us <= 2 * g->delay_us)
                put_errand(&all, GREY_TUPLE, gr->key, false);
        }
    }
    if (all.n > 0 && g->store != NULL && write_rows(g, all.list, all.n, &e) < 0)
        complain(g, "greylist not written at the end", &e);
    free(all.list);
}

static void *run(void *arg)
{
    struct greylist *g = arg;
    struct errands   now = {0};
    struct err       e = ERR_INIT;
    bool             stopping;

    if (open_store(g, &e) < 0)
        complain(g, "greylist without the store", &e);
    do {
        e = ERR_INIT;
        stopping = next_errands(g, &now);
        ask_redis(g, &now);
        if (with_store(g, &now, &e) < 0) {
            complain(g, "greylist without the store", &e);
            put_back(g, &now);
        }
        free(now.list);
    } while (!stopping);
    write_waiting(g);
    store_close(&g->store);
    return NULL;
}

/* ---- Starting and stopping --------------------------------------------------------------------------------------- */

static void init_locks(struct greylist *g)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->came, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&g->lock, NULL);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&g->shards[i].lock, NULL);
        map_init(&g->shards[i].grains);
    }
}

static void release(struct greylist *g)
{
    for (size_t i = 0; i < SHARDS; i++) {
        for (size_t kind = 0; kind < COUNT(g->shards[i].queues); kind++) {
            while (g->shards[i].queues[kind].n > 0)
                free(queue_take(&g->shards[i].queues[kind]));
        }
        map_fini(&g->shards[i].grains);
        pthread_mutex_destroy(&g->shards[i].lock);
    }
    redis_free(&g->redis);
    free(g->errands.list);
    pthread_cond_destroy(&g->came);
    pthread_mutex_destroy(&g->lock);
    free(g->url);
    free(g);
}

int greylist_new(const struct settings *settings, int64_t delay_us, struct greylist **out, struct err *e)
{
    struct greylist *g = calloc(1, sizeof *g);
    const char      *redis = settings->redis.url;
    int              rc;

    *out = NULL;
    if (g == NULL)
        panic("out of memory");
    g->url = span_strdup(span_of(settings->store.url));
    g->delay_us = delay_us;
    init_locks(g);
    if (redis != NULL && *redis != '\0' && redis_new(redis, REDIS_TIMEOUT_MS, &g->redis, e) < 0) {
        release(g);
        return -1;
    }
    if ((rc = pthread_create(&g->thread, NULL, run, g)) != 0) {
        release(g);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = g;
    return 0;
}

void greylist_free(struct greylist **at)
{
    struct greylist *g = *at;

    if (g == NULL)
        return;
    *at = NULL;
    pthread_mutex_lock(&g->lock);
    g->stopping = true;
    pthread_cond_signal(&g->came);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    release(g);
}
