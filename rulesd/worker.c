/* rulesd/worker.c - see worker.h. */
#include "worker.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"

struct job {
    void (*run)(void *ctx);
    void *ctx;
};
struct workers {
    pthread_mutex_t lock; /* guards all below but the threads */
    pthread_cond_t  more;
    struct job     *ring;
    size_t          first, n, max;
    bool            over;
    pthread_t      *threads;
    size_t          nthreads;
};

/* False when there is nothing left, and there will be nothing. */
static bool next_job(struct workers *w, struct job *out)
{
    bool got;

    pthread_mutex_lock(&w->lock);
    while (w->n == 0 && !w->over)
        pthread_cond_wait(&w->more, &w->lock);
    got = w->n > 0;
    if (got) {
        *out = w->ring[w->first];
        w->first = (w->first + 1) % w->max;
        w->n--;
    }
    pthread_mutex_unlock(&w->lock);
    return got;
}

static void *work(void *arg)
{
    struct job job;

    while (next_job(arg, &job))
        job.run(job.ctx);
    return NULL;
}

struct workers *workers_new(size_t nthreads, size_t queue_max)
{
    struct workers *w = calloc(1, sizeof *w);

    if (w == NULL || (w->ring = calloc(queue_max, sizeof *w->ring)) == NULL ||
        (w->threads = calloc(nthreads, sizeof *w->threads)) == NULL)
        panic("out of memory");
    w->max = queue_max;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    for (; w->nthreads < nthreads; w->nthreads++)
        if (pthread_create(&w->threads[w->nthreads], NULL, work, w) != 0)
            panic("cannot start a worker thread");
    return w;
}

void workers_free(struct workers **wp)
{
    struct workers *w = *wp;

    *wp = NULL;
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->nthreads; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    free(w->threads);
    free(w->ring);
    free(w);
}

bool workers_put(struct workers *w, void (*run)(void *ctx), void *ctx)
{
    bool room;

    pthread_mutex_lock(&w->lock);
    room = w->n < w->max && !w->over;
    if (room) {
        w->ring[(w->first + w->n++) % w->max] = (struct job){run, ctx};
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

size_t workers_waiting(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    size_t n = w->n;
    pthread_mutex_unlock(&w->lock);
    return n;
}
