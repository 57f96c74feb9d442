/* rulesd/hits.c - see hits.h.
 *
 * A thread counts into a bucket of its own, whose lock it meets nobody at but the writer, once a second for a moment. The writer
 * adds all buckets up by rule, entry and day; what the database does not take stays added up and goes with the next second's. */
#include "hits.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/map.h"
#include "store/hit.h"
#include "store/learned.h"

#define FLUSH_S 1
#define WAITING_MAX 500000 /* different (rule, entry, day) while the database is away: some 60 MB */
#define BATCH 5000         /* rows of one transaction */
#define TOUCHED_MAX 200000
#define LOG_US 60000000

/* One counter. The key is the front of the row: rule, entry, day. */
struct count {
    struct store_hit hit;
    bool             learned; /* an entry of this kind is kept alive by its hits */
};
#define KEY_BYTES offsetof(struct store_hit, count)

/* Owns its counts. */
struct bucket {
    struct bucket  *next;
    pthread_mutex_t lock; /* guards counts */
    struct map      counts;
};

struct hits {
    uint64_t             number; /* unique in the process: tells a thread whose bucket it has */
    char                *url;
    pthread_t            writer;
    struct store        *store;        /* the writer's */
    struct map           sum, touched; /* the writer's; touched: learned ids of `touched_day` */
    int64_t              touched_day, logged_us;
    atomic_size_t        waiting;
    atomic_uint_fast64_t lost;

    pthread_mutex_t lock; /* guards buckets and stopping */
    pthread_cond_t  stop;
    struct bucket  *buckets;
    bool            stopping;
};

static atomic_uint_fast64_t numbers = 1;
static _Thread_local struct {
    uint64_t       number;
    struct bucket *bucket;
} mine;

/* ---- Counting ---------------------------------------------------------------------------------------------------- */

static struct bucket *bucket_of_thread(struct hits *h)
{
    struct bucket *b;

    if (mine.number == h->number)
        return mine.bucket;
    if ((b = calloc(1, sizeof *b)) == NULL)
        panic("out of memory");
    pthread_mutex_init(&b->lock, NULL);
    map_init(&b->counts);
    pthread_mutex_lock(&h->lock);
    b->next = h->buckets;
    h->buckets = b;
    pthread_mutex_unlock(&h->lock);
    mine.number = h->number;
    mine.bucket = b;
    return b;
}

static struct span key_of(const struct store_hit *hit) { return span_make(hit, KEY_BYTES); }

/* False: there is no room for another. */
static bool add(struct map *to, const struct count *c, size_t max)
{
    struct count *there = map_get(to, key_of(&c->hit));

    if (there != NULL) {
        there->hit.count += c->hit.count;
        there->hit.last_us = c->hit.last_us > there->hit.last_us ? c->hit.last_us : there->hit.last_us;
        return true;
    }
    if (to->n >= max)
        return false;
    if ((there = malloc(sizeof *there)) == NULL)
        panic("out of memory");
    *there = *c;
    map_put(to, key_of(&there->hit), there);
    return true;
}

/* A bucket is emptied every second, and scans are slower than its bound. */
void hits_count(struct hits *h, const struct match *m, int64_t now_us)
{
    struct bucket *b;
    struct count c = {.hit = {.rule = m->id, .entry = HIT_RULE, .day = hit_day(now_us), .count = 1, .last_us = now_us}};
    bool         kept;

    if (m->why != WHY_APPLIED && m->why != WHY_TEST_ONLY)
        return;
    c.learned = m->policy != NULL && m->policy->learned && m->why == WHY_APPLIED;
    b = bucket_of_thread(h);
    pthread_mutex_lock(&b->lock);
    kept = add(&b->counts, &c, WAITING_MAX);
    c.hit.entry = (int64_t)m->entry + 1;
    c.learned = false;
    kept = add(&b->counts, &c, WAITING_MAX) && kept;
    pthread_mutex_unlock(&b->lock);
    if (!kept)
        atomic_fetch_add(&h->lost, 1);
}

size_t hits_waiting(struct hits *h)
{
    size_t n = 0;

    pthread_mutex_lock(&h->lock);
    for (struct bucket *b = h->buckets; b != NULL; b = b->next) {
        pthread_mutex_lock(&b->lock);
        n += b->counts.n;
        pthread_mutex_unlock(&b->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return n + atomic_load(&h->waiting); /* after the buckets: what leaves one was added here before, see collect() */
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void free_counts(struct map *m)
{
    size_t at = 0;
    void  *value;

    while (map_next(m, &at, NULL, &value))
        free(value);
    map_fini(m);
}

static void add_up(struct hits *h, struct map *from)
{
    size_t at = 0;
    void  *value;

    while (map_next(from, &at, NULL, &value)) {
        if (!add(&h->sum, value, WAITING_MAX))
            atomic_fetch_add(&h->lost, (uint64_t)((struct count *)value)->hit.count);
    }
}

/* The list only ever grows at its front, so it is walked without its lock. */
static void collect(struct hits *h)
{
    struct bucket *first;

    pthread_mutex_lock(&h->lock);
    first = h->buckets;
    pthread_mutex_unlock(&h->lock);
    for (struct bucket *b = first; b != NULL; b = b->next) {
        struct map full;

        pthread_mutex_lock(&b->lock);
        atomic_fetch_add(&h->waiting, b->counts.n);
        full = b->counts;
        map_init(&b->counts);
        pthread_mutex_unlock(&b->lock);
        add_up(h, &full);
        free_counts(&full);
    }
    atomic_store(&h->waiting, h->sum.n);
}

/* Once a day and entry: a hit moves its end to 90 days later. */
static bool to_be_touched(struct hits *h, const struct count *c)
{
    if (!c->learned || c->hit.entry != HIT_RULE)
        return false;
    if (c->hit.day != h->touched_day) {
        free_counts(&h->touched);
        map_init(&h->touched);
        h->touched_day = c->hit.day;
    }
    return map_get(&h->touched, key_of(&c->hit)) == NULL && add(&h->touched, c, TOUCHED_MAX);
}

static int touch(struct hits *h, const struct count *const *counts, size_t n, struct err *e)
{
    struct uuid *ids = calloc(n, sizeof *ids);
    int64_t      last_us = 0;
    size_t       nids = 0;
    int          rc = 0;

    if (ids == NULL)
        panic("out of memory");
    for (size_t i = 0; i < n; i++) {
        if (!to_be_touched(h, counts[i]))
            continue;
        ids[nids++] = counts[i]->hit.rule;
        last_us = counts[i]->hit.last_us > last_us ? counts[i]->hit.last_us : last_us;
    }
    if (nids > 0)
        rc = store_learned_touch(h->store, ids, nids, last_us + LEARNED_KEEP_US, e);
    free(ids);
    return rc;
}

/* One transaction's worth; what is written leaves the sum. 1: there is more, 0: that was all, -1. */
static int write_batch(struct hits *h, struct err *e)
{
    struct store_hit *rows = calloc(BATCH, sizeof *rows);
    struct count    **counts = calloc(BATCH, sizeof *counts);
    size_t            n = 0, at = 0;
    void             *value;
    int               rc;

    if (rows == NULL || counts == NULL)
        panic("out of memory");
    while (n < BATCH && map_next(&h->sum, &at, NULL, &value)) {
        counts[n] = value;
        rows[n++] = ((struct count *)value)->hit;
    }
    rc = n == 0 ? 0 : store_hits_add(h->store, rows, n, e);
    for (size_t i = 0; rc == 0 && i < n; i++)
        map_del(&h->sum, key_of(&rows[i]));
    if (rc == 0 && n > 0)
        rc = touch(h, (const struct count *const *)counts, n, e);
    for (size_t i = 0; i < n; i++) {
        if (map_get(&h->sum, key_of(&rows[i])) != counts[i])
            free(counts[i]);
    }
    free(counts);
    free(rows);
    atomic_store(&h->waiting, h->sum.n);
    return rc < 0 ? -1 : h->sum.n > 0;
}

static int write_all(struct hits *h, struct err *e)
{
    int rc;

    if (h->sum.n == 0)
        return 0;
    if (h->store == NULL && store_open(h->url, STORE_EXISTING, &h->store, e) < 0)
        return -1;
    while ((rc = write_batch(h, e)) > 0)
        ;
    return rc;
}

static void complain(struct hits *h, const struct err *e)
{
    int64_t now = clock_mono_us();

    if (h->logged_us != 0 && now - h->logged_us < LOG_US)
        return;
    h->logged_us = now;
    log_err(LOG_LEVEL_WARNING, "hit counters wait for the database", e);
    if (atomic_load(&h->lost) > 0)
        log_text(LOG_LEVEL_WARNING, "hit counters lost for want of room: %llu",
                 (unsigned long long)atomic_load(&h->lost));
}

static void flush(struct hits *h)
{
    struct err e = ERR_INIT;

    collect(h);
    if (write_all(h, &e) < 0)
        complain(h, &e);
}

/* True when it is time to stop. */
static bool wait_a_second(struct hits *h)
{
    struct timespec until;
    bool            stopping;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FLUSH_S;
    pthread_mutex_lock(&h->lock);
    while (!h->stopping && pthread_cond_timedwait(&h->stop, &h->lock, &until) != ETIMEDOUT)
        ;
    stopping = h->stopping;
    pthread_mutex_unlock(&h->lock);
    return stopping;
}

static void *run(void *arg)
{
    struct hits *h = arg;
    bool         stopping;

    do {
        stopping = wait_a_second(h);
        flush(h);
    } while (!stopping);
    store_close(&h->store);
    return NULL;
}

/* ---- Starting and stopping --------------------------------------------------------------------------------------- */

static void init_stop(struct hits *h)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->stop, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&h->lock, NULL);
}

static void release(struct hits *h)
{
    while (h->buckets != NULL) {
        struct bucket *b = h->buckets;

        h->buckets = b->next;
        free_counts(&b->counts);
        pthread_mutex_destroy(&b->lock);
        free(b);
    }
    free_counts(&h->sum);
    free_counts(&h->touched);
    pthread_cond_destroy(&h->stop);
    pthread_mutex_destroy(&h->lock);
    free(h->url);
    free(h);
}

int hits_new(const struct settings *settings, struct hits **out, struct err *e)
{
    struct hits *h = calloc(1, sizeof *h);
    int          rc;

    *out = NULL;
    if (h == NULL)
        panic("out of memory");
    h->number = atomic_fetch_add(&numbers, 1);
    h->url = span_strdup(span_of(settings->store.url));
    init_stop(h);
    map_init(&h->sum);
    map_init(&h->touched);
    if ((rc = pthread_create(&h->writer, NULL, run, h)) != 0) {
        release(h);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = h;
    return 0;
}

void hits_free(struct hits **at)
{
    struct hits *h = *at;

    if (h == NULL)
        return;
    *at = NULL;
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_signal(&h->stop);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->writer, NULL);
    if (h->sum.n > 0)
        log_text(LOG_LEVEL_ERROR, "hit counters lost, the database is away: %zu", h->sum.n);
    release(h);
}
