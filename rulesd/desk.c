/* rulesd/desk.c - see desk.h. */
#include "desk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define REOPEN_US 1000000
#define PING_US 1000000 /* a connection that was idle for that long may be gone */

struct hand {
    struct desk  *desk;
    pthread_t     thread;
    struct store *store;    /* opened by its thread, closed by its thread */
    struct err    failure;  /* of the last attempt to open */
    int64_t       retry_us; /* monotonic: not before */
    int64_t       pinged_us;
};

struct desk {
    struct desk_how how; /* its url is ours */
    struct hand    *hands;
    size_t          nhands; /* those whose thread runs */
    atomic_bool     stopping;
    pthread_mutex_t lock; /* guards first, last, waiting */
    pthread_cond_t  came;
    struct job     *first, *last;
    size_t          waiting;
};

static int open_store(struct hand *h, int64_t now, struct err *e)
{
    if (now < h->retry_us) {
        if (e != NULL)
            *e = h->failure;
        return -1;
    }
    h->failure = ERR_INIT;
    if (store_open(h->desk->how.url, STORE_EXISTING, &h->store, &h->failure) == 0)
        return 0;
    h->retry_us = now + REOPEN_US;
    if (e != NULL)
        *e = h->failure;
    return -1;
}

int hand_store(struct hand *h, struct store **out, struct err *e)
{
    int64_t now = clock_mono_us();

    if (h->desk->how.away != NULL && h->desk->how.away(h->desk->how.ctx))
        return err_set(e, ERR_LOST, "the database is away");
    if (h->store == NULL && open_store(h, now, e) < 0)
        return -1;
    if (now - h->pinged_us > PING_US) {
        if (store_ping(h->store, e) < 0)
            return -1;
        h->pinged_us = now;
    }
    *out = h->store;
    return 0;
}

/* The next job, or NULL when the desk stops. */
static struct job *take(struct desk *d)
{
    struct job *j = NULL;

    pthread_mutex_lock(&d->lock);
    while (d->first == NULL && !desk_stopping(d))
        pthread_cond_wait(&d->came, &d->lock);
    if (!desk_stopping(d)) {
        j = d->first;
        d->first = j->next;
        if (d->first == NULL)
            d->last = NULL;
        d->waiting--;
    }
    pthread_mutex_unlock(&d->lock);
    return j;
}

static void *work(void *arg)
{
    struct hand *h = arg;
    struct job  *j;

    if (h->desk->how.nice > 0)
        setpriority(PRIO_PROCESS, 0,
                    h->desk->how.nice); /* Linux: of this thread alone. Refused: at normal priority then */
    while ((j = take(h->desk)) != NULL) {
        j->next = NULL;
        j->run(j, h);
    }
    store_close(&h->store);
    return NULL;
}

int desk_new(const struct desk_how *how, struct desk **out, struct err *e)
{
    struct desk *d = calloc(1, sizeof *d);

    *out = NULL;
    if (d == NULL || (d->hands = calloc(how->threads, sizeof *d->hands)) == NULL)
        panic("out of memory");
    d->how = *how;
    d->how.url = span_strdup(span_of(how->url));
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->came, NULL);
    for (; d->nhands < how->threads; d->nhands++) {
        struct hand *h = &d->hands[d->nhands];
        int          rc;

        h->desk = d;
        if ((rc = pthread_create(&h->thread, NULL, work, h)) != 0) {
            err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
            desk_stop(d);
            desk_free(&d);
            return -1;
        }
    }
    *out = d;
    return 0;
}

void desk_stop(struct desk *d)
{
    pthread_mutex_lock(&d->lock);
    atomic_store(&d->stopping, true);
    pthread_cond_broadcast(&d->came);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < d->nhands; i++)
        pthread_join(d->hands[i].thread, NULL);
    d->nhands = 0;
}

void desk_free(struct desk **d)
{
    if (*d == NULL)
        return;
    if ((*d)->nhands > 0)
        panic("a desk is freed while it works");
    pthread_cond_destroy(&(*d)->came);
    pthread_mutex_destroy(&(*d)->lock);
    free((*d)->hands);
    free((char *)(*d)->how.url);
    free(*d);
    *d = NULL;
}

struct job *desk_left(struct desk *d)
{
    struct job *j = d->first;

    if (j != NULL)
        d->first = j->next;
    return j;
}

bool desk_stopping(const struct desk *d) { return atomic_load(&d->stopping); }

static void put(struct desk *d, struct job *j, bool first)
{
    pthread_mutex_lock(&d->lock);
    j->next = first ? d->first : NULL;
    if (d->first == NULL)
        d->first = d->last = j;
    else if (first)
        d->first = j;
    else {
        d->last->next = j;
        d->last = j;
    }
    d->waiting++;
    pthread_cond_signal(&d->came);
    pthread_mutex_unlock(&d->lock);
}

void desk_put(struct desk *d, struct job *j) { put(d, j, false); }
void desk_put_first(struct desk *d, struct job *j) { put(d, j, true); }

size_t desk_waiting(struct desk *d)
{
    size_t n;

    pthread_mutex_lock(&d->lock);
    n = d->waiting;
    pthread_mutex_unlock(&d->lock);
    return n;
}

bool hand_stopping(const struct hand *h) { return desk_stopping(h->desk); }
