/* rulesd/custody.c - see custody.h: what starts and stops it, and the queue. */
#include "custody_inside.h"

#include <stdlib.h>

/* ---- the queue ---- */

void custody_put(struct custody *c, struct custody_job *j)
{
    bool stopping;

    j->next = NULL;
    j->err = ERR_INIT;
    pthread_mutex_lock(&c->lock);
    stopping = c->stopping;
    if (!stopping) {
        *c->last = j;
        c->last = &j->next;
        c->waiting++;
        pthread_cond_signal(&c->more);
    }
    pthread_mutex_unlock(&c->lock);
    if (stopping)
        custody_finish(c, j, err_set(&j->err, ERR_LOST, "this server is stopping"));
}

size_t custody_waiting(struct custody *c)
{
    size_t n;

    pthread_mutex_lock(&c->lock);
    n = c->waiting;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* ---- starting and stopping ---- */

static void init_queue(struct custody *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->stop, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&c->more, NULL);
    pthread_mutex_init(&c->lock, NULL);
    c->last = &c->first;
}

static int start_threads(struct custody *c, struct err *e)
{
    int rc = 0;

    while (rc == 0 && c->nsealers < CUSTODY_SEALERS &&
           (rc = pthread_create(&c->sealers[c->nsealers], NULL, custody_seal, c)) == 0)
        c->nsealers++;
    if (rc == 0 && (rc = pthread_create(&c->keeper, NULL, custody_look_after, c)) == 0)
        c->has_keeper = true;
    return rc == 0 ? 0 : err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
}

static int add_found(void *ctx, const struct uuid *uid)
{
    struct custody *c = ctx;

    if (c->nfound % 1024 == 0 && (c->found = realloc(c->found, (c->nfound + 1024) * sizeof *c->found)) == NULL)
        panic("out of memory");
    c->found[c->nfound++] = *uid;
    return 0;
}

/* What is older than retention has had its row. */
static int64_t since_us(const struct settings *s)
{
    int64_t us = clock_wall_us() - (s->quarantine.retention_days + 1) * 86400 * INT64_C(1000000);

    return us > 0 ? us : 0;
}

static void fail_what_waits(struct custody *c)
{
    struct custody_job *j = c->first;

    c->first = NULL;
    c->last = &c->first;
    while (j != NULL) {
        struct custody_job *next = j->next;

        c->waiting--;
        custody_finish(c, j, err_set(&j->err, ERR_LOST, "this server is stopping"));
        j = next;
    }
}

static void stop_threads(struct custody *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->more);
    pthread_cond_signal(&c->stop);
    pthread_mutex_unlock(&c->lock);
    while (c->nsealers > 0)
        pthread_join(c->sealers[--c->nsealers], NULL);
    if (c->has_keeper)
        pthread_join(c->keeper, NULL);
    c->has_keeper = false;
}

/* As before open_up(), which may be tried again. */
static void close_down(struct custody *c)
{
    stop_threads(c);
    fail_what_waits(c);
    vault_close(&c->vault);
    keyring_close(&c->ring);
    free(c->found);
    c->found = NULL;
    c->nfound = 0;
}

/* 1: it is open. 0: there are no keys, as e says; -1: what is there cannot be used. Then it is as it was. */
static int open_up(struct custody *c, struct err *e)
{
    const struct settings *s = c->settings;

    c->stopping = false;
    if (keyring_open(s->quarantine.keys, &c->ring, e) < 0)
        return e->code == ERR_NOT_FOUND ? 0 : -1;
    struct vault_how how = {.url = s->quarantine.url, .keys = c->ring, .min_free = s->quarantine.min_free};
    if (vault_open(&how, &c->vault, e) == 0 && vault_each_here(c->vault, since_us(s), add_found, c, e) == 0 &&
        start_threads(c, e) == 0) {
        atomic_store(&c->open, true);
        return 1;
    }
    close_down(c);
    return -1;
}

bool custody_is_open(const struct custody *c) { return atomic_load(&c->open); }

/* What is wrong with them is said once a minute, unless somebody asked. */
static void look_for_keys(struct custody *c, bool asked)
{
    struct err e = ERR_INIT;
    int        rc = open_up(c, &e);
    int64_t    at = clock_mono_us();

    if (rc > 0)
        log_text(LOG_LEVEL_INFO, "the key %s seals held mail from now on", keyring_current(c->ring));
    else if (asked || (rc < 0 && (c->keys_logged_us == 0 || at - c->keys_logged_us >= CUSTODY_LOG_US))) {
        log_err(LOG_LEVEL_WARNING, "nothing can be held", &e);
        c->keys_logged_us = at;
    }
}

void custody_keys_again(struct custody *c, bool asked)
{
    if (custody_is_open(c))
        custody_look_at_keys(c, true);
    else
        look_for_keys(c, asked);
}

int custody_new(const struct settings *settings, struct journal *journal, struct custody **out, struct err *e)
{
    struct custody *c = calloc(1, sizeof *c);
    struct err      why = ERR_INIT;
    int             rc;

    if (c == NULL)
        panic("out of memory");
    init_queue(c);
    c->settings = settings;
    c->journal = journal;
    c->url = span_strdup(span_of(settings->store.url));
    *out = c;
    if ((rc = open_up(c, &why)) == 0)
        log_err(LOG_LEVEL_WARNING, "nothing can be held", &why);
    if (rc >= 0)
        return 0;
    custody_free(out);
    if (e != NULL)
        *e = why;
    return -1;
}

void custody_free(struct custody **at)
{
    struct custody *c = *at;

    if (c == NULL)
        return;
    *at = NULL;
    close_down(c);
    pthread_cond_destroy(&c->stop);
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->lock);
    free(c->url);
    free(c);
}

struct vault *custody_vault(const struct custody *c) { return c->vault; }

void custody_stats(struct custody *c, struct custody_stats *out)
{
    *out = (struct custody_stats){
        .kept = atomic_load(&c->kept),
        .failed = atomic_load(&c->failed),
        .purged = atomic_load(&c->purged),
        .replayed = atomic_load(&c->replayed),
        .uploaded = atomic_load(&c->uploaded),
        .purge_stopped = atomic_load(&c->purge_stopped),
    };
    vault_room(c->vault, &out->room, NULL);
    out->waiting = custody_waiting(c);
}
