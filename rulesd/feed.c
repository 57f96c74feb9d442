/* rulesd/feed.c - see feed.h. */
#include "feed.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LOOK_US 1000000 /* look at the feed this often, even if nothing was heard */
#define RETRY_MS 250    /* between two attempts while the database is away */
#define LOG_US 60000000
#define TIMEOUT_MS 5000 /* whoever answers these small questions later than this is as good as away */

struct feed {
    char               *url;
    struct feed_sink    sink;
    struct db          *bell; /* waits for commits of others; the store's connection reads */
    struct store       *store;
    pthread_t           thread;
    atomic_bool         stopping;
    atomic_int_fast64_t seq, stale_since_us;
    int64_t             looked_us, logged_us;
};

/* What one look at the feed finds. */
struct look {
    struct feed *feed;
    int64_t      seq;
    bool         hole; /* a number is missing: rows were trimmed while we read */
};

static int each_change(void *arg, const struct store_change *c)
{
    struct look *l = arg;

    if (c->seq != l->seq + 1) {
        l->hole = true;
        return 1;
    }
    l->seq = c->seq;
    l->feed->sink.change(l->feed->sink.ctx, c);
    return 0;
}

/* Everything that is read from now on is newer than the head as it was before. */
static int skip_gap(struct feed *f, struct err *e)
{
    int64_t seq;

    if (store_change_head(f->store, &seq, e) < 0)
        return -1;
    f->sink.gap(f->sink.ctx);
    atomic_store(&f->seq, seq);
    return 0;
}

static int look(struct feed *f, struct err *e)
{
    struct look l = {.feed = f, .seq = atomic_load(&f->seq)};
    bool        gap = false;

    if (store_ping(f->store, e) < 0 || store_changes(f->store, l.seq, &gap, each_change, &l, e) < 0)
        return -1;
    if (gap || l.hole)
        return skip_gap(f, e);
    atomic_store(&f->seq, l.seq);
    f->looked_us = clock_mono_us();
    return 0;
}

/* Opens what is not open. */
static int connect_both(struct feed *f, struct err *e)
{
    if (f->store == NULL) {
        if (store_open(f->url, STORE_EXISTING, &f->store, e) < 0)
            return -1;
        db_set_timeout(f->store->main, TIMEOUT_MS);
        db_set_timeout(f->store->log, TIMEOUT_MS);
    }
    if (f->bell == NULL) {
        if (db_open(f->url, DB_MAIN, false, &f->bell, e) < 0)
            return -1;
        db_set_timeout(f->bell, TIMEOUT_MS);
    }
    return 0;
}

/* Waits for a commit and reads what it changed. */
static int follow(struct feed *f, struct err *e)
{
    int rung;

    if (connect_both(f, e) < 0 || (rung = db_wait_change(f->bell, FEED_TICK_MS, e)) < 0)
        return -1;
    if (rung > 0 || clock_mono_us() - f->looked_us > LOOK_US || atomic_load(&f->stale_since_us) != 0)
        return look(f, e);
    return 0;
}

static void went_away(struct feed *f, const struct err *e)
{
    int64_t now = clock_mono_us(), none = 0;

    atomic_compare_exchange_strong(&f->stale_since_us, &none, now);
    if (f->logged_us == 0 || now - f->logged_us > LOG_US) {
        log_err(LOG_LEVEL_WARNING, "database away, the last rules decide", e);
        f->logged_us = now;
    }
}

static void came_back(struct feed *f)
{
    if (atomic_exchange(&f->stale_since_us, 0) != 0)
        log_text(LOG_LEVEL_INFO, "database back");
    f->logged_us = 0;
}

static void *run(void *arg)
{
    struct feed *f = arg;

    while (!atomic_load(&f->stopping)) {
        struct err e = ERR_INIT;

        if (follow(f, &e) == 0) {
            came_back(f);
        } else {
            went_away(f, &e);
            poll(NULL, 0, RETRY_MS);
        }
        f->sink.tick(f->sink.ctx, atomic_load(&f->stale_since_us) != 0);
    }
    return NULL;
}

static void release(struct feed *f)
{
    db_close(&f->bell);
    store_close(&f->store);
    free(f->url);
    free(f);
}

int feed_new(const char *url, const struct feed_sink *sink, struct feed **out, struct err *e)
{
    struct feed *f = calloc(1, sizeof *f);
    int64_t      seq;
    int          rc;

    *out = NULL;
    if (f == NULL)
        panic("out of memory");
    f->url = span_strdup(span_of(url));
    f->sink = *sink;
    f->looked_us = clock_mono_us();
    if (connect_both(f, e) < 0 || store_change_head(f->store, &seq, e) < 0) {
        release(f);
        return -1;
    }
    atomic_store(&f->seq, seq);
    if ((rc = pthread_create(&f->thread, NULL, run, f)) != 0) {
        release(f);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = f;
    return 0;
}

void feed_free(struct feed **f)
{
    if (*f == NULL)
        return;
    atomic_store(&(*f)->stopping, true);
    pthread_join((*f)->thread, NULL);
    release(*f);
    *f = NULL;
}

int64_t feed_seq(const struct feed *f) { return atomic_load(&f->seq); }
int64_t feed_stale_since_us(const struct feed *f) { return atomic_load(&f->stale_since_us); }
