/* trainer/health.c - see health.h. */
#include "health.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/endpoint.h"
#include "net/http.h"

#define LISTENERS_MAX 8
#define HEAD_MAX ((size_t)16 << 10)
#define BODY_MAX ((size_t)4 << 10)
#define REPLY_MAX ((size_t)256 << 10)
#define COUNT_US 1000000
#define REST_MS 100 /* when the system has no descriptor for one more */

struct client {
    int                 fd; /* -1: a free place */
    int64_t             until_us;
    struct arena        arena;
    struct buf          in, plain, out;
    struct http_request request;
    bool                answered;
    size_t              sent;
};

/* Owned by main. What the two threads share stands behind `lock`. */
struct health {
    const struct settings *settings;
    struct metrics_counts  counts;
    int64_t                started_us;
    struct endpoint        at[LISTENERS_MAX];
    int                    fds[LISTENERS_MAX];
    size_t                 n;
    int                    stop; /* eventfd: readable when it is over */
    pthread_t              threads[2];
    size_t                 nthreads;

    pthread_mutex_t   lock;
    struct bayes_view bayes[BAYES_VIEWS_MAX];
    size_t            nbayes;

    /* The listener's alone. */
    struct client       clients[HEALTH_CLIENTS_MAX];
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
    return store_report_sums(h->store, each_sum, v, e) < 0 || store_report_oldest(h->store, &v->oldest_us, e) < 0 ? -1
                                                                                                                  : 0;
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

static void put_metrics(struct health *h, struct buf *out)
{
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

static void say(struct client *c, int status, const char *type, struct span body)
{
    http_put_reply(&c->out, status, NULL, type, body, false, c->request.method == HTTP_HEAD);
}

static void answer(struct health *h, struct client *c)
{
    bool       reads = c->request.method == HTTP_GET || c->request.method == HTTP_HEAD;
    struct buf body;

    if (reads && span_is(c->request.path, "/healthz")) {
        if (atomic_load(&h->counts.reports->away))
            say(c, 503, "text/plain", SPAN("the database or the keys are away\n"));
        else
            say(c, 200, "text/plain", SPAN("ok\n"));
    } else if (reads && span_is(c->request.path, "/metrics")) {
        buf_init(&body, REPLY_MAX / 2);
        put_metrics(h, &body);
        say(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&body));
        buf_fini(&body);
    } else {
        http_put_error(&c->out, reads ? 404 : 405, reads ? "/healthz and /metrics are here" : "only GET", false,
                       c->request.method == HTTP_HEAD);
    }
}

/* ---- connections ---- */

static void take(struct health *h, int listener)
{
    static const struct wire_limits limits = {
        .body_max = BODY_MAX, .head_max = HEAD_MAX, .rcpt_max = 1, .headers_max = 100};
    struct client *c = h->clients;

    while (c->fd >= 0)
        c++;
    if ((c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
        poll(NULL, 0, REST_MS);
        return;
    }
    c->until_us = clock_mono_us() + HEALTH_MS * INT64_C(1000);
    c->answered = false;
    c->sent = 0;
    arena_init(&c->arena, 1 << 20);
    buf_init(&c->in, HEAD_MAX + 2 * BODY_MAX);
    buf_init(&c->plain, 2 * BODY_MAX);
    buf_init(&c->out, REPLY_MAX);
    http_begin(&c->request, &c->arena, &c->plain, &limits);
}

static void drop(struct client *c)
{
    fd_close(&c->fd);
    buf_fini(&c->in);
    buf_fini(&c->plain);
    buf_fini(&c->out);
    arena_fini(&c->arena);
}

static void hear(struct health *h, struct client *c)
{
    char          *to = buf_reserve(&c->in, 4096);
    ssize_t        n = to != NULL ? recv(c->fd, to, 4096, 0) : 0;
    enum wire_step got;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->in.n += n > 0 ? (size_t)n : 0;
    got = http_step(&c->request, &c->in, n <= 0);
    if (got == WIRE_MORE)
        return;
    c->answered = true;
    if (got == WIRE_DONE)
        answer(h, c);
    else
        http_put_bad(&c->out, &c->request);
}

/* False: that was all. */
static bool speak(struct client *c)
{
    ssize_t n = 0;

    if (c->sent < c->out.n) {
        n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->sent += (size_t)n;
    }
    return c->sent < c->out.n;
}

static void serve(struct health *h, struct client *c)
{
    if (!c->answered)
        hear(h, c);
    if (c->answered && !speak(c))
        drop(c);
}

/* ---- the thread that listens ---- */

/* Fills p and whose[i] of each client's place in it; how many. The listeners come last, while there is a place free. */
static nfds_t what_to_wait_for(struct health *h, struct pollfd *p, struct client **whose, int64_t *until_us)
{
    nfds_t n = 0;
    bool   room = false;

    *until_us = INT64_MAX;
    p[n++] = (struct pollfd){.fd = h->stop, .events = POLLIN};
    for (struct client *c = h->clients; c < h->clients + HEALTH_CLIENTS_MAX; c++) {
        room |= c->fd < 0;
        if (c->fd < 0)
            continue;
        whose[n] = c;
        p[n++] = (struct pollfd){.fd = c->fd, .events = c->answered ? POLLOUT : POLLIN};
        *until_us = c->until_us < *until_us ? c->until_us : *until_us;
    }
    for (size_t i = 0; room && i < h->n; i++) {
        whose[n] = NULL;
        p[n++] = (struct pollfd){.fd = h->fds[i], .events = POLLIN};
    }
    return n;
}

static int wait_ms(int64_t until_us)
{
    int64_t left = until_us - clock_mono_us();

    return until_us == INT64_MAX ? -1 : left <= 0 ? 0 : (int)(left / 1000) + 1;
}

static void drop_slow(struct health *h)
{
    int64_t now = clock_mono_us();

    for (struct client *c = h->clients; c < h->clients + HEALTH_CLIENTS_MAX; c++)
        if (c->fd >= 0 && now >= c->until_us)
            drop(c);
}

static void *listen_on(void *arg)
{
    struct health *h = arg;
    struct pollfd  p[1 + HEALTH_CLIENTS_MAX + LISTENERS_MAX];
    struct client *whose[COUNT(p)];

    for (;;) {
        int64_t until;
        nfds_t  n = what_to_wait_for(h, p, whose, &until);

        if (poll(p, n, wait_ms(until)) < 0 && errno != EINTR)
            panic("poll: %s", strerror(errno));
        if (p[0].revents != 0)
            return NULL;
        bool taken = false;
        for (nfds_t i = 1; i < n; i++) {
            if (p[i].revents != 0 && whose[i] != NULL) {
                serve(h, whose[i]);
            } else if (p[i].revents != 0 && !taken) { /* one a round: there may be one place only */
                take(h, p[i].fd);
                taken = true;
            }
        }
        drop_slow(h);
    }
}

/* ---- start and stop ---- */

static int listen_all(struct health *h, struct err *e)
{
    const struct conf_list *list = &h->settings->trainer.listen_http;

    if (list->n > LISTENERS_MAX)
        return err_set(e, ERR_INVALID, "[trainer] listen_http: at most %d", LISTENERS_MAX);
    for (; h->n < list->n; h->n++) {
        struct endpoint *at = &h->at[h->n];
        struct span      query;

        if (endpoint_parse(list->items[h->n], at, &query, e) < 0)
            return err_wrap(e, "[trainer] listen_http");
        if (query.n > 0)
            return err_set(e, ERR_INVALID, "[trainer] listen_http: there are no settings behind %s", at->text);
        if ((h->fds[h->n] = endpoint_listen(at, false, e)) < 0)
            return -1;
    }
    return 0;
}

static int start_all(struct health *h, struct err *e)
{
    void *(*const work[])(void *) = {watch, listen_on};

    if ((h->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return err_errno(e, "make an eventfd");
    if (listen_all(h, e) < 0)
        return -1;
    for (; h->nthreads < COUNT(work); h->nthreads++)
        if ((errno = pthread_create(&h->threads[h->nthreads], NULL, work[h->nthreads], h)) != 0)
            return err_errno(e, "start a thread");
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
    for (size_t i = 0; i < HEALTH_CLIENTS_MAX; i++)
        h->clients[i].fd = -1;
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
    for (size_t i = 0; i < h->nthreads; i++)
        pthread_join(h->threads[i], NULL);
    for (struct client *c = h->clients; c < h->clients + HEALTH_CLIENTS_MAX; c++)
        if (c->fd >= 0)
            drop(c);
    for (size_t i = 0; i < h->n; i++) {
        fd_close(&h->fds[i]);
        if (h->at[i].is_unix)
            unlink(((const struct sockaddr_un *)&h->at[i].addr)->sun_path);
    }
    fd_close(&h->stop);
    store_close(&h->store);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
