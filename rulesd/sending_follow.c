/* rulesd/sending_follow.c - see sending_inside.h: the thread that writes behind what was counted and decided, and
 * follows what the operator said. */
#include "sending_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/change.h"

#define KEEP_US (31 * 24 * 3600 * INT64_C(1000000)) /* counters, for who looks back */
#define LOOK_MS 100                                 /* at the change feed */
#define FLUSH_US 500000
#define TRIM_US (3600 * INT64_C(1000000))
#define RETRY_MS 1000
#define LOG_US 60000000
#define REDIS_TIMEOUT_MS 500
#define BATCH 2000

static const struct actor ourselves = {
    .kind = ACTOR_SYSTEM, .name = "postern-rulesd", .source = "sending limits", .admin = true};

/* ---- Orders: limits and blocks --------------------------------------------------------------------------------------- */

static struct orders *orders_new(void)
{
    struct orders *o = calloc(1, sizeof *o);

    if (o == NULL)
        panic("out of memory");
    arena_init(&o->arena, (size_t)256 << 20);
    map_init(&o->limits);
    map_init(&o->blocked);
    return o;
}

static void orders_free(struct orders **o)
{
    if (*o == NULL)
        return;
    map_fini(&(*o)->limits);
    map_fini(&(*o)->blocked);
    arena_fini(&(*o)->arena);
    free(*o);
    *o = NULL;
}

static int each_limit(void *ctx, struct store_scope scope, struct span name, bool whole,
                      const struct store_limit *limit)
{
    struct orders      *o = ctx;
    struct span         key = arena_printf(&o->arena, "%s:%.*s", whole ? "whole" : scope_kind_words[scope.kind],
                                           SPAN_ARG(name));
    struct store_limit *l = arena_alloc(&o->arena, sizeof *l);

    if (key.p == NULL || l == NULL)
        return 1;
    *l = *limit;
    map_put(&o->limits, key, l);
    return 0;
}

struct blocked_page {
    struct orders *orders;
    struct span    last;
    size_t         n;
};

static int each_blocked(void *ctx, const struct store_blocked *b)
{
    struct blocked_page *p = ctx;
    int64_t             *until = arena_alloc(&p->orders->arena, sizeof *until);

    p->last = arena_dup(&p->orders->arena, b->login);
    if (until == NULL || p->last.p == NULL)
        return 1;
    *until = b->until_us > 0 ? b->until_us : INT64_MAX;
    map_put(&p->orders->blocked, p->last, until);
    p->n++;
    return 0;
}

static int read_orders(struct store *s, struct orders *o, struct err *e)
{
    struct blocked_page p = {.orders = o};

    if (store_limit_list(s, each_limit, o, e) < 0)
        return -1;
    do {
        p.n = 0;
        if (store_blocked_list(s, clock_wall_us(), p.last, 0, each_blocked, &p, e) < 0)
            return -1;
    } while (p.n == STORE_LIST_MAX);
    return o->arena.full ? err_set(e, ERR_LIMIT, "too many limits and blocked senders") : 0;
}

/* ---- Writing behind --------------------------------------------------------------------------------------------------- */

/* One batch on its way. Owns its subjects. */
struct batch {
    struct store_counter rows[BATCH];
    size_t               kind[BATCH]; /* index of sending_kinds */
    int64_t              totals[BATCH];
    size_t               n;
    struct arena         arena;
};

static void take_sender(struct sending *s, struct batch *b, struct sender *x)
{
    struct span subject = SPAN_NONE;

    s->ndirty--;
    x->dirty = false;
    for (size_t k = 0; k < SENDING_KINDS; k++) {
        struct count *c = &x->counts[k];

        if (c->since == 0)
            continue;
        if (subject.p == NULL)
            subject = arena_dup(&b->arena, span_make(x->subject, x->n));
        b->kind[b->n] = k;
        b->rows[b->n++] = (struct store_counter){span_of(sending_kinds[k].name), subject, c->slot_us, c->since};
        c->on_its_way = c->since;
        c->since = 0;
    }
}

static void take_batch(struct sending *s, struct batch *b)
{
    size_t at = 0;
    void  *value;

    b->n = 0;
    pthread_mutex_lock(&s->lock);
    while (b->n + SENDING_KINDS <= BATCH && map_next(&s->senders, &at, NULL, &value))
        if (((struct sender *)value)->dirty)
            take_sender(s, b, value);
    pthread_mutex_unlock(&s->lock);
}

/* written: the totals are known; else what was on its way is to be written again. */
static void settle(struct sending *s, const struct batch *b, bool written)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < b->n; i++) {
        struct sender *x = map_get(&s->senders, b->rows[i].subject);
        struct count  *c = x != NULL ? &x->counts[b->kind[i]] : NULL;

        if (c == NULL || c->slot_us != b->rows[i].slot_us)
            continue;
        if (written) {
            c->known = b->totals[i];
        } else {
            c->since += c->on_its_way;
            sending_dirty(s, x);
        }
        c->on_its_way = 0;
    }
    pthread_mutex_unlock(&s->lock);
}

/* Redis knows what the other nodes sent, whose store may be another. While it is away the store's sums have to do. */
static void ask_redis(struct sending *s, struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct store_counter *c = &b->rows[i];
        char                        key[SENDING_SUBJECT_MAX + STORE_DOMAIN_MAX + 80];
        int64_t                     total;
        int n = snprintf(key, sizeof key, "postern:%.*s:%.*s:%lld", SPAN_ARG(c->name), SPAN_ARG(c->subject),
                         (long long)(c->slot_us / 1000000));

        if (redis_add(s->redis, span_make(key, (size_t)n), c->value, 2 * sending_kinds[b->kind[i]].slot_us / 1000,
                      &total, NULL) < 0)
            return;
        if (total > b->totals[i])
            b->totals[i] = total;
    }
}

/* 1: there may be more, 0, -1. */
static int flush_batch(struct sending *s, struct batch *b, struct err *e)
{
    int rc;

    take_batch(s, b);
    if (b->n == 0)
        return 0;
    if ((rc = store_counters_add(s->store, b->rows, b->n, b->totals, e)) == 0 && s->redis != NULL)
        ask_redis(s, b);
    settle(s, b, rc == 0);
    arena_reset(&b->arena);
    return rc < 0 ? -1 : b->n + SENDING_KINDS > BATCH;
}

static int flush(struct sending *s, struct err *e)
{
    struct batch *b = calloc(1, sizeof *b);
    int           rc;

    if (b == NULL)
        panic("out of memory");
    arena_init(&b->arena, (size_t)BATCH * (SENDING_SUBJECT_MAX + STORE_DOMAIN_MAX + 64));
    while ((rc = flush_batch(s, b, e)) > 0)
        ;
    arena_fini(&b->arena);
    free(b);
    return rc;
}

static int write_block(struct sending *s, const struct verdict_row *v, struct err *e)
{
    struct store_blocked b = {.login = span_of(v->login),
                              .reason = span_of(v->reason),
                              .evidence = buf_span(&v->evidence),
                              .automatic = true,
                              .at_us = v->at_us};

    if (store_blocked_put(s->store, &ourselves, &b, e) < 0)
        return -1;
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARNING, "sender blocked");
    log_str(&line, "user", v->login);
    log_str(&line, "why", v->reason);
    log_end(&line);
    return 0;
}

static struct verdict_row *first_verdict(struct sending *s)
{
    struct verdict_row *v;

    pthread_mutex_lock(&s->lock);
    v = s->verdicts;
    pthread_mutex_unlock(&s->lock);
    return v;
}

static void drop_verdict(struct sending *s, struct verdict_row *v)
{
    struct verdict_row **at;

    pthread_mutex_lock(&s->lock);
    for (at = &s->verdicts; *at != v; at = &(*at)->next)
        ;
    *at = v->next;
    pthread_mutex_unlock(&s->lock);
    buf_fini(&v->evidence);
    free(v);
}

static int write_blocks(struct sending *s, struct err *e)
{
    struct verdict_row *v;

    while ((v = first_verdict(s)) != NULL) {
        if (write_block(s, v, e) < 0)
            return -1;
        drop_verdict(s, v);
    }
    return 0;
}

/* ---- Following the store ------------------------------------------------------------------------------------------------ */

/* Blocks that are not written yet are not in what was read. */
static void keep_unwritten(struct sending *s, struct orders *o)
{
    for (struct verdict_row *v = s->verdicts; v != NULL; v = v->next) {
        struct span login = arena_dup(&o->arena, span_of(v->login));
        int64_t    *until = arena_alloc(&o->arena, sizeof *until);

        if (login.p == NULL || until == NULL)
            return;
        *until = INT64_MAX;
        map_put(&o->blocked, login, until);
    }
}

static int reload(struct sending *s, struct err *e)
{
    struct orders *o = orders_new(), *before;

    if (read_orders(s->store, o, e) < 0) {
        orders_free(&o);
        return -1;
    }
    pthread_mutex_lock(&s->lock);
    keep_unwritten(s, o);
    before = s->orders;
    s->orders = o;
    pthread_mutex_unlock(&s->lock);
    orders_free(&before);
    return 0;
}

struct look {
    int64_t seq;
    bool    ours;
};

static int each_change(void *ctx, const struct store_change *c)
{
    struct look *l = ctx;

    l->seq = c->seq;
    l->ours |= c->kind == CHANGE_SENDER || c->kind == CHANGE_DOMAIN || c->kind == CHANGE_MAILBOX;
    return 0;
}

static int follow(struct sending *s, struct err *e)
{
    struct look l = {.seq = s->seq};
    bool        gap = false;

    if (store_changes(s->store, s->seq, &gap, each_change, &l, e) < 0)
        return -1;
    if (gap && store_change_head(s->store, &l.seq, e) < 0)
        return -1;
    if ((gap || l.ours) && reload(s, e) < 0)
        return -1;
    s->seq = l.seq;
    return 0;
}

static int each_counter(void *ctx, const struct store_counter *c)
{
    struct sending *s = ctx;
    int64_t         now = clock_wall_us();

    for (size_t k = 0; k < SENDING_KINDS; k++)
        if (span_is(c->name, sending_kinds[k].name) && c->slot_us == sending_slot(k, now) &&
            s->senders.n < SENDING_SENDERS_MAX / 2)
            sending_count(sending_sender(s, c->subject, now), k, now)->known = c->value;
    return 0;
}

/* Where an earlier start left off. */
static int read_counters(struct sending *s, struct err *e)
{
    int64_t now = clock_wall_us(), hour = sending_slot(LIMIT_MESSAGES_HOUR, now),
            day = sending_slot(LIMIT_MESSAGES_DAY, now);

    if (store_counters_of(s->store, day, each_counter, s, e) < 0)
        return -1;
    return hour != day ? store_counters_of(s->store, hour, each_counter, s, e) : 0;
}

static int open_store(struct sending *s, struct err *e)
{
    if (s->store != NULL)
        return 0;
    return store_open(s->url, STORE_EXISTING, &s->store, e);
}

static int trim(struct sending *s, int64_t now, struct err *e)
{
    if (s->trimmed_us != 0 && now - s->trimmed_us < TRIM_US)
        return 0;
    s->trimmed_us = now;
    return store_counters_trim(s->store, clock_wall_us() - KEEP_US, e);
}

/* All that is due. */
static int work(struct sending *s, bool all, struct err *e)
{
    int64_t now = clock_mono_us();

    if (open_store(s, e) < 0 || write_blocks(s, e) < 0 || follow(s, e) < 0)
        return -1;
    if (!all && now - s->flushed_us < FLUSH_US)
        return 0;
    s->flushed_us = now;
    return flush(s, e) < 0 ? -1 : trim(s, now, e);
}

static void complain(struct sending *s, const struct err *e)
{
    int64_t now = clock_mono_us();

    if (s->logged_us != 0 && now - s->logged_us < LOG_US)
        return;
    s->logged_us = now;
    log_err(LOG_LEVEL_WARNING, "what is sent is counted in memory alone", e);
}

/* True when it is time to stop. */
static bool wait_a_moment(struct sending *s, int64_t ms)
{
    struct timespec until;
    bool            stopping;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && (s->verdicts == NULL || ms > LOOK_MS) &&
           pthread_cond_timedwait(&s->came, &s->lock, &until) != ETIMEDOUT)
        ;
    stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static void *run(void *arg)
{
    struct sending *s = arg;
    bool            stopping, well = true;

    do {
        struct err e = ERR_INIT;

        stopping = wait_a_moment(s, well ? LOOK_MS : RETRY_MS);
        well = work(s, stopping, &e) == 0;
        if (well)
            s->logged_us = 0;
        else
            complain(s, &e);
    } while (!stopping);
    return NULL;
}

/* ---- Starting and stopping ---------------------------------------------------------------------------------------------- */

int sending_follow_start(struct sending *s, const struct settings *settings, struct err *e)
{
    int rc;

    if (settings->redis.url[0] != '\0' && redis_new(settings->redis.url, REDIS_TIMEOUT_MS, &s->redis, e) < 0)
        return err_wrap(e, "[redis] url");
    if (open_store(s, e) < 0 || store_change_head(s->store, &s->seq, e) < 0 || reload(s, e) < 0 ||
        read_counters(s, e) < 0)
        return -1;
    if ((rc = pthread_create(&s->thread, NULL, run, s)) != 0)
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    return 0;
}

void sending_follow_stop(struct sending *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->came);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
}

void sending_follow_free(struct sending *s)
{
    while (s->verdicts != NULL)
        drop_verdict(s, s->verdicts);
    orders_free(&s->orders);
    redis_free(&s->redis);
    store_close(&s->store);
}
