/* lib/net/httpd.c - see httpd.h. Starting, stopping, and connections; the story of a request is httpd_call.c.
 *
 * libmicrohttpd accepts, reads and writes on its threads. Around it we do what it does not: limits by address, deadlines that a slow
 * drip does not move (httpd_watch.c), strict heads (httpd_head.c), workers (httpd_worker.c), streams (httpd_stream.c). */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "net/httpd_inside.h"

#define IO_THREADS 2
#define CONNECTIONS_MAX 20000
#define PER_IP_MAX 200
#define WAITING_MAX 256
#define BODIES_MAX ((size_t)256 << 20)
/* A head, cookies once more, records of fields and parameters, and room for the reply's head. */
#define CONNECTION_MEMORY ((size_t)48 << 10)

/* ---- Connections ------------------------------------------------------------------------------------------ */

static bool ip_of(const struct sockaddr *addr, struct ip *out)
{
    memset(out, 0, sizeof *out);
    if (addr->sa_family == AF_INET6)
        memcpy(out->b, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
    else if (addr->sa_family == AF_INET) {
        memset(out->b + 10, 0xff, 2);
        memcpy(out->b + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    } else
        return false;
    return true;
}

/* Whose connections are counted together. */
static struct ip peer_key(const struct ip *ip) { return ip_network(ip, ip_is_v4(ip) ? 32 : 64); }

static bool is_trusted(const struct httpd *d, const struct ip *ip)
{
    for (size_t i = 0; i < d->config.ntrusted; i++)
        if (ip_block_holds(&d->config.trusted[i], ip))
            return true;
    return false;
}

/* A few more than the limit may come in at once, one for each I/O thread. */
static enum MHD_Result on_accept(void *ctx, const struct sockaddr *addr, socklen_t n)
{
    struct httpd *d = ctx;
    struct ip     ip, key;
    bool          inet = n >= sizeof addr->sa_family && ip_of(addr, &ip), welcome;

    if (atomic_load(&d->stopping))
        return MHD_NO;
    pthread_mutex_lock(&d->lock);
    welcome = d->nconns < d->config.connections_max;
    if (welcome && inet && !is_trusted(d, &ip)) {
        const struct httpd_peer *p;

        key = peer_key(&ip);
        p = map_get(&d->peers, span_make(key.b, sizeof key.b));
        welcome = p == NULL || p->n < d->config.per_ip_max;
    }
    pthread_mutex_unlock(&d->lock);
    return welcome ? MHD_YES : MHD_NO;
}

static struct httpd_peer *count_peer(struct httpd *d, const struct ip *ip)
{
    struct ip          key = peer_key(ip);
    struct httpd_peer *p = map_get(&d->peers, span_make(key.b, sizeof key.b));

    if (p == NULL) {
        if ((p = calloc(1, sizeof *p)) == NULL)
            panic("out of memory for an address");
        p->ip = key;
        map_put(&d->peers, span_make(p->ip.b, sizeof p->ip.b), p);
    }
    p->n++;
    return p;
}

static void uncount_peer(struct httpd *d, struct httpd_peer *p)
{
    if (--p->n > 0)
        return;
    map_del(&d->peers, span_make(p->ip.b, sizeof p->ip.b));
    free(p);
}

static struct httpd_conn *conn_open(struct httpd *d, struct MHD_Connection *mhd)
{
    struct httpd_conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        panic("out of memory for a connection");
    c->d = d;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->by_unix = !ip_of(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, &c->peer);
    c->head_by = httpd_now_ms() + d->config.times.head_ms;
    httpd_enter(c, CONN_FIRST, c->head_by);
    pthread_mutex_lock(&d->lock);
    if ((c->next = d->conns) != NULL)
        c->next->prev = c;
    d->conns = c;
    d->nconns++;
    if (!c->by_unix && !is_trusted(d, &c->peer))
        c->counted = count_peer(d, &c->peer);
    pthread_mutex_unlock(&d->lock);
    return c;
}

static void conn_close(struct httpd *d, struct httpd_conn *c)
{
    if (c->call != NULL) /* libmicrohttpd gave up without a word */
        httpd_call_end(c, false);
    pthread_mutex_lock(&d->lock);
    *(c->prev != NULL ? &c->prev->next : &d->conns) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    d->nconns--;
    if (c->counted != NULL)
        uncount_peer(d, c->counted);
    pthread_mutex_unlock(&d->lock);
    free(c);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **conn, enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *conn = conn_open(ctx, mhd);
    else if (*conn != NULL)
        conn_close(ctx, *conn);
}

/* ---- Starting --------------------------------------------------------------------------------------------- */

static void default_to(int64_t *value, int64_t otherwise) { *value = *value > 0 ? *value : otherwise; }

static void default_size(size_t *value, size_t otherwise) { *value = *value > 0 ? *value : otherwise; }

static void fill_defaults(struct httpd_config *c)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    default_size(&c->io_threads, IO_THREADS);
    default_size(&c->workers, 2 * (size_t)(cpus > 0 ? cpus : 1));
    default_size(&c->connections_max, CONNECTIONS_MAX);
    default_size(&c->per_ip_max, PER_IP_MAX);
    default_size(&c->waiting_max, WAITING_MAX);
    default_size(&c->bodies_max, BODIES_MAX);
    default_to(&c->times.head_ms, 10000);
    default_to(&c->times.body_ms, 60000);
    default_to(&c->times.idle_ms, 30000);
    default_to(&c->times.reply_ms, 60000);
    default_to(&c->times.stop_ms, 10000);
}

/* Parameters and paths are decoded by us, once. */
static size_t leave_encoded(void *ctx, struct MHD_Connection *mhd, char *text)
{
    (void)ctx;
    (void)mhd;
    return strlen(text);
}

static void on_panic(void *ctx, const char *file, unsigned line, const char *reason)
{
    (void)ctx;
    panic("libmicrohttpd, %s:%u: %s", file, line, reason != NULL ? reason : "");
}

static int start_listener(struct httpd *d, struct endpoint *ep, struct err *e)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    unsigned limit = (unsigned)(2 * d->config.connections_max * d->config.io_threads); /* ours comes first */
    unsigned pool = d->config.io_threads > 1 ? (unsigned)d->config.io_threads : 0;
    int      fd = endpoint_listen(ep, false, e);

    if (fd < 0)
        return -1;
    errno = 0;
    d->listeners[d->nlisteners].daemon = MHD_start_daemon(
        flags, 0, on_accept, d, httpd_on_request, d, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE, pool,
        MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION, on_connection, d, MHD_OPTION_NOTIFY_COMPLETED,
        httpd_on_completed, d, MHD_OPTION_URI_LOG_CALLBACK, httpd_on_target, d, MHD_OPTION_UNESCAPE_CALLBACK,
        leave_encoded, d, MHD_OPTION_END);
    if (d->listeners[d->nlisteners].daemon == NULL) {
        err_errno(e, "serve HTTP on %s", ep->text);
        fd_close(&fd);
        return -1;
    }
    d->listeners[d->nlisteners++].ep = *ep;
    return 0;
}

static int start_all(struct httpd *d, struct err *e)
{
    if (httpd_watch_start(d, e) < 0 || httpd_workers_start(d, e) < 0)
        return -1;
    for (size_t i = 0; i < d->config.nlisten; i++)
        if (start_listener(d, &d->config.listen[i], e) < 0)
            return -1;
    return 0;
}

/* Signals are for the threads of the program, not for ours. */
static int start_quietly(struct httpd *d, struct err *e)
{
    sigset_t all, before;
    int      rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = start_all(d, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static struct httpd *make(const struct httpd_config *config)
{
    struct httpd      *d = calloc(1, sizeof *d);
    pthread_condattr_t mono;

    if (d == NULL || (d->listeners = calloc(config->nlisten + 1, sizeof *d->listeners)) == NULL)
        panic("out of memory for a server");
    d->config = *config;
    fill_defaults(&d->config);
    d->epoll = d->wake = -1;
    d->queue_end = &d->queue;
    map_init(&d->peers);
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->queue_lock, NULL);
    pthread_cond_init(&d->queued, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&d->calm, &mono);
    pthread_condattr_destroy(&mono);
    return d;
}

int httpd_start(const struct httpd_config *c, struct httpd **out, struct err *e)
{
    MHD_set_panic_func(on_panic, NULL);
    *out = make(c);
    if (start_quietly(*out, e) == 0)
        return 0;
    httpd_stop(out);
    return -1;
}

/* ---- Stopping --------------------------------------------------------------------------------------------- */

/* Those that have no request under way have nothing to wait for. */
static void cut_idle(struct httpd *d)
{
    pthread_mutex_lock(&d->lock);
    for (struct httpd_conn *c = d->conns; c != NULL; c = c->next) {
        uint_fast64_t was = atomic_load(&c->watch);

        if (((was & 0xff) == CONN_FIRST || (was & 0xff) == CONN_IDLE) &&
            atomic_compare_exchange_strong(&c->watch, &was, CONN_CUT))
            httpd_cut(c);
    }
    pthread_mutex_unlock(&d->lock);
}

static void wait_for_calls(struct httpd *d)
{
    struct timespec until;
    int             rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += d->config.times.stop_ms / 1000;
    until.tv_nsec += d->config.times.stop_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&d->lock);
    while (d->calls > 0 && rc == 0)
        rc = pthread_cond_timedwait(&d->calm, &d->lock, &until);
    pthread_mutex_unlock(&d->lock);
}

static void cut_all(struct httpd *d)
{
    atomic_store(&d->cutting, true);
    pthread_mutex_lock(&d->lock);
    for (struct httpd_conn *c = d->conns; c != NULL; c = c->next)
        httpd_cut(c);
    pthread_mutex_unlock(&d->lock);
}

/* libmicrohttpd dies of a suspended connection at its stop: the workers end before, and give back what they have. It is not told to
 * quiesce either, which races with its own threads; until its stop new connections are refused by on_accept(). */
void httpd_stop(struct httpd **server)
{
    struct httpd *d = *server;

    if (d == NULL)
        return;
    atomic_store(&d->stopping, true);
    httpd_streams_end(d);
    cut_idle(d);
    wait_for_calls(d);
    cut_all(d);
    httpd_workers_stop(d);
    for (size_t i = 0; i < d->nlisteners; i++) {
        MHD_stop_daemon(d->listeners[i].daemon);
        if (d->listeners[i].ep.is_unix)
            unlink(((const struct sockaddr_un *)&d->listeners[i].ep.addr)->sun_path);
    }
    httpd_watch_stop(d);
    map_fini(&d->peers);
    pthread_cond_destroy(&d->calm);
    pthread_cond_destroy(&d->queued);
    pthread_mutex_destroy(&d->queue_lock);
    pthread_mutex_destroy(&d->lock);
    free(d->listeners);
    free(d);
    *server = NULL;
}

void httpd_stats(struct httpd *d, struct httpd_stats *out)
{
    *out = (struct httpd_stats){
        .requests = atomic_load(&d->requests), .refused = atomic_load(&d->refused), .bodies = atomic_load(&d->bodies)};
    pthread_mutex_lock(&d->lock);
    out->connections = d->nconns;
    out->streams = d->nstreams;
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_lock(&d->queue_lock);
    out->waiting = d->waiting;
    pthread_mutex_unlock(&d->queue_lock);
}
