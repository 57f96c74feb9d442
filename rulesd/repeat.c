/* rulesd/repeat.c - see repeat.h. A shard is a map and two ends of a list, the oldest first. */
#include "repeat.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/map.h"

#define SHARDS 16

struct entry {
    uint8_t             key[FINGERPRINT_BYTES];
    bool                known; /* else in flight */
    int64_t             at_us, until_us;
    struct repeat_wait *waiting;
    char               *reply;
    size_t              n;
    struct entry       *older, *newer; /* of those that are known */
};

struct shard {
    pthread_mutex_t lock; /* guards everything here */
    struct map      map;
    struct entry   *oldest, *newest;
    size_t          bytes;
    uint64_t        joined, known;
};

struct repeats {
    struct shard shards[SHARDS];
};

struct repeats *repeats_new(void)
{
    struct repeats *r = calloc(1, sizeof *r);

    if (r == NULL)
        panic("out of memory");
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&r->shards[i].lock, NULL);
        map_init(&r->shards[i].map);
    }
    return r;
}

static struct span key_of(const struct entry *e) { return span_make(e->key, FINGERPRINT_BYTES); }

static size_t weight(const struct entry *e) { return sizeof *e + e->n; }

static void unlink_entry(struct shard *s, struct entry *e)
{
    *(e->older != NULL ? &e->older->newer : &s->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &s->newest) = e->older;
    s->bytes -= weight(e);
}

static void free_entry(struct entry *e)
{
    free(e->reply);
    free(e);
}

static void forget(struct shard *s, struct entry *e)
{
    unlink_entry(s, e);
    map_del(&s->map, key_of(e));
    free_entry(e);
}

static void forget_old(struct shard *s, int64_t now_us)
{
    while (s->oldest != NULL &&
           ((s->bytes > REPEAT_BYTES / SHARDS && s->oldest != s->newest) || now_us - s->oldest->at_us > REPEAT_US))
        forget(s, s->oldest);
}

void repeats_free(struct repeats **rp)
{
    struct repeats *r = *rp;
    struct span     key;
    void           *value;

    *rp = NULL;
    for (size_t i = 0; r != NULL && i < SHARDS; i++) {
        for (size_t at = 0; map_next(&r->shards[i].map, &at, &key, &value);)
            free_entry(value);
        map_fini(&r->shards[i].map);
        pthread_mutex_destroy(&r->shards[i].lock);
    }
    free(r);
}

static void add(struct shard *s, const uint8_t key[FINGERPRINT_BYTES])
{
    struct entry *e = calloc(1, sizeof *e);

    if (e == NULL)
        panic("out of memory");
    memcpy(e->key, key, FINGERPRINT_BYTES);
    map_put(&s->map, key_of(e), e);
}

static struct shard *shard_of(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES])
{
    return &r->shards[key[0] % SHARDS];
}

enum repeat repeat_begin(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES], struct repeat_wait *w,
                         struct arena *a, struct span *reply, int64_t now_mono_us)
{
    struct shard *s = shard_of(r, key);
    enum repeat   is = REPEAT_NEW;
    struct entry *e;

    pthread_mutex_lock(&s->lock);
    forget_old(s, now_mono_us);
    e = map_get(&s->map, span_make(key, FINGERPRINT_BYTES));
    if (e != NULL && e->known && now_mono_us > e->until_us) {
        forget(s, e);
        e = NULL;
    }
    if (e == NULL) {
        add(s, key);
    } else if (e->known) {
        is = REPEAT_KNOWN;
        s->known++;
        *reply = arena_dup(a, span_make(e->reply, e->n));
    } else {
        is = REPEAT_WAITS;
        s->joined++;
        w->next = e->waiting;
        e->waiting = w;
    }
    pthread_mutex_unlock(&s->lock);
    return is;
}

static void keep(struct shard *s, struct entry *e, struct span reply, int64_t keep_us, int64_t now_us)
{
    e->known = true;
    e->at_us = now_us;
    e->until_us = now_us + keep_us;
    e->reply = span_strdup(reply);
    e->n = reply.n;
    e->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
    s->bytes += weight(e);
    forget_old(s, now_us);
}

void repeat_end(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES], struct span reply, int64_t keep_us,
                int64_t now_mono_us)
{
    struct shard       *s = shard_of(r, key);
    struct repeat_wait *waiting = NULL, *next;
    struct entry       *e;

    pthread_mutex_lock(&s->lock);
    e = map_get(&s->map, span_make(key, FINGERPRINT_BYTES));
    if (e != NULL && !e->known) {
        waiting = e->waiting;
        e->waiting = NULL;
        if (reply.p != NULL) {
            keep(s, e, reply, keep_us, now_mono_us);
        } else {
            map_del(&s->map, key_of(e));
            free_entry(e);
        }
    }
    pthread_mutex_unlock(&s->lock);
    for (; waiting != NULL; waiting = next) {
        next = waiting->next;
        waiting->wake(waiting->ctx);
    }
}

void repeat_leave(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES], struct repeat_wait *w)
{
    struct shard        *s = shard_of(r, key);
    struct repeat_wait **at;
    struct entry        *e;

    pthread_mutex_lock(&s->lock);
    e = map_get(&s->map, span_make(key, FINGERPRINT_BYTES));
    for (at = e != NULL ? &e->waiting : NULL; at != NULL && *at != NULL && *at != w; at = &(*at)->next)
        ;
    if (at != NULL && *at == w)
        *at = w->next;
    pthread_mutex_unlock(&s->lock);
}

void repeat_stats(struct repeats *r, struct repeat_stats *out)
{
    *out = (struct repeat_stats){0};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &r->shards[i];

        pthread_mutex_lock(&s->lock);
        out->joined += s->joined;
        out->known += s->known;
        out->kept += s->map.n;
        out->bytes += s->bytes;
        pthread_mutex_unlock(&s->lock);
    }
}
