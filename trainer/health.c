/* trainer/health.c - see health.h. */
#include "health.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/vitals.h"

#define COUNT_US 1000000

/* Owned by main. What the two threads share stands behind `lock`. */
struct health {
    const struct settings *settings;
    struct metrics_counts  counts;
    int64_t                started_us;
    struct vitals         *vitals;
    int                    stop; /* eventfd: readable when it is over */
    pthread_t              watcher;
    bool                   watches;

    pthread_mutex_t   lock;
    struct bayes_view bayes[BAYES_VIEWS_MAX];
    size_t            nbayes;

    /* The listener's alone. */
    struct store       *store;
    struct metrics_view counted; /* the queue, as of counted_us */
    int64_t             counted_us;
};

/* ---- the thread that looks ---- */

static bool is_over(const struct health *h, int ms)
{
    struct pollfd p = {.fd = h->stop, .events = POLLIN};

    return poll(&p, 1, ms) > 0;
}

static void *watch(void *arg)
{
    struct health     *h = arg;
    struct bayes_view *found = calloc(BAYES_VIEWS_MAX, sizeof *found);

    if (found == NULL)
        panic("out of memory");
    do {
        size_t n = bayes_look(h->settings, h->stop, found);

        pthread_mutex_lock(&h->lock);
        memcpy(h->bayes, found, n * sizeof *found);
        h->nbayes = n;
        pthread_mutex_unlock(&h->lock);
    } while (!is_over(h, HEALTH_LOOK_MS));
    free(found);
    return NULL;
}

/* ---- what is told ---- */

static int each_sum(void *ctx, enum report_state state, int64_t count)
{
    struct metrics_view *v = ctx;

    if ((size_t)state < COUNT(v->reports))
        v->reports[state] += count;
    return 0;
}

static int count(struct health *h, struct metrics_view *v, struct err *e)
{
    if (h->store == NULL && store_open(h->settings->store.url, STORE_EXISTING, &h->store, e) < 0)
        return -1;
    if (store_report_sums(h->store, each_sum, v, e) < 0 || store_report_oldest(h->store, &v->oldest_us, e) < 0)
        return -1;
    return report_mail_counted(h->store, clock_wall_us(), &v->mail, e);
}

static void count_now_and_then(struct health *h)
{
    struct err e = ERR_INIT;

    if (h->counted_us != 0 && clock_mono_us() - h->counted_us < COUNT_US)
        return;
    h->counted = (struct metrics_view){.oldest_us = INT64_MAX};
    h->counted.store_up = count(h, &h->counted, &e) == 0;
    if (!h->counted.store_up)
        store_close(&h->store);
    h->counted_us = clock_mono_us();
}

static void put_metrics(void *ctx, struct buf *out)
{
    struct health      *h = ctx;
    struct metrics_view v;

    count_now_and_then(h);
    v = h->counted;
    v.counts = h->counts;
    v.now_us = clock_wall_us();
    v.started_us = h->started_us;
    v.needed = h->settings->trainer.bayes_needed;
    pthread_mutex_lock(&h->lock);
    v.bayes = h->bayes;
    v.nbayes = h->nbayes;
    metrics_put(out, &v);
    pthread_mutex_unlock(&h->lock);
}

static const char *ill(void *ctx)
{
    const struct health *h = ctx;

    return atomic_load(&h->counts.reports->away) ? "the database or the keys are away" : NULL;
}

/* ---- start and stop ---- */

static int start_all(struct health *h, struct err *e)
{
    const struct vitals_config c = {"[trainer] listen_http", &h->settings->trainer.listen_http, ill, put_metrics, h};

    if ((h->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return err_errno(e, "make an eventfd");
    if (vitals_start(&c, &h->vitals, e) < 0)
        return -1;
    if ((errno = pthread_create(&h->watcher, NULL, watch, h)) != 0)
        return err_errno(e, "start a thread");
    h->watches = true;
    return 0;
}

int health_start(const struct settings *settings, const struct metrics_counts *counts, struct health **out,
                 struct err *e)
{
    static int64_t started_us; /* SIGHUP is no start */
    struct health *h;

    *out = NULL;
    if (settings->trainer.listen_http.n == 0)
        return 0;
    if ((h = calloc(1, sizeof *h)) == NULL)
        panic("out of memory");
    h->settings = settings;
    h->counts = *counts;
    h->started_us = started_us != 0 ? started_us : (started_us = clock_wall_us());
    h->stop = -1;
    pthread_mutex_init(&h->lock, NULL);
    *out = h;
    if (start_all(h, e) == 0)
        return 0;
    health_stop(out);
    return -1;
}

void health_stop(struct health **hp)
{
    struct health *h = *hp;

    *hp = NULL;
    if (h == NULL)
        return;
    if (h->stop >= 0)
        eventfd_write(h->stop, 1);
    if (h->watches)
        pthread_join(h->watcher, NULL);
    vitals_stop(&h->vitals);
    fd_close(&h->stop);
    store_close(&h->store);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
