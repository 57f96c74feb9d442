/* lib/net/httpd_watch.c - one thread that ends what takes too long. libmicrohttpd knows only how long a connection was silent, so a
 * client that sends a byte now and then would stay for ever; and it does not see that the client of a suspended connection leaves. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/httpd_inside.h"

#define TICK_MIN_MS 10
#define TICK_MAX_MS 500
#define EVENTS 64

int64_t httpd_now_ms(void) { return clock_mono_us() / 1000; }

static uint_fast64_t word_of(enum httpd_phase phase, int64_t deadline_ms)
{
    return (uint_fast64_t)deadline_ms << 8 | (uint_fast64_t)phase;
}

static enum httpd_phase phase_of(uint_fast64_t word) { return (enum httpd_phase)(word & 0xff); }

bool httpd_enter(struct httpd_conn *c, enum httpd_phase phase, int64_t deadline_ms)
{
    uint_fast64_t was = atomic_load(&c->watch);

    do
        if (phase_of(was) == CONN_CUT)
            return false;
    while (!atomic_compare_exchange_weak(&c->watch, &was, word_of(phase, deadline_ms)));
    return true;
}

static void end(struct httpd_conn *c)
{
    shutdown(c->fd, SHUT_RDWR);
    if (c->stream != NULL)
        httpd_stream_lose(c->stream);
}

void httpd_cut(struct httpd_conn *c)
{
    atomic_store(&c->watch, word_of(CONN_CUT, 0));
    end(c);
}

static void look_at(struct httpd_conn *c, int64_t now)
{
    uint_fast64_t    was = atomic_load(&c->watch);
    int64_t          deadline = (int64_t)(was >> 8);
    enum httpd_phase phase = phase_of(was);

    /* libmicrohttpd may find a connection broken in the moment in which a stream of it falls asleep: it ends the request then, and
     * never looks at the connection again unless it is woken. One that does not sleep is not touched by that. */
    if (phase == CONN_CUT && !c->busy)
        MHD_resume_connection(c->mhd);
    if (deadline == 0 || deadline > now || !atomic_compare_exchange_strong(&c->watch, &was, word_of(CONN_CUT, 0)))
        return;
    if (phase == CONN_HEAD || phase == CONN_BODY)
        httpd_refuse_now(c, HTTPD_SLOW);
    end(c);
}

/* A client that went away, found by its descriptor; the event may be older than the connection that has it now. */
static void look_for_end(struct httpd *d, int fd)
{
    for (struct httpd_stream *s = d->streams; s != NULL; s = s->next) {
        struct pollfd p = {.fd = fd, .events = POLLRDHUP};

        if (s->conn->fd != fd)
            continue;
        if (poll(&p, 1, 0) == 1)
            httpd_cut(s->conn);
        return;
    }
}

static int tick_ms(const struct httpd_times *t)
{
    int64_t least = t->head_ms;

    least = t->body_ms < least ? t->body_ms : least;
    least = t->idle_ms < least ? t->idle_ms : least;
    least = t->reply_ms < least ? t->reply_ms : least;
    least /= 4;
    return (int)(least < TICK_MIN_MS ? TICK_MIN_MS : least > TICK_MAX_MS ? TICK_MAX_MS : least);
}

static void *watch(void *arg)
{
    struct httpd      *d = arg;
    struct epoll_event events[EVENTS];
    int                tick = tick_ms(&d->config.times);
    int64_t            next = 0;

    for (;;) {
        int     n = epoll_wait(d->epoll, events, EVENTS, tick);
        int64_t now = httpd_now_ms();

        pthread_mutex_lock(&d->lock);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == d->wake) {
                pthread_mutex_unlock(&d->lock);
                return NULL;
            }
            look_for_end(d, events[i].data.fd);
        }
        if (now >= next) {
            for (struct httpd_conn *c = d->conns; c != NULL; c = c->next)
                look_at(c, now);
            next = now + tick;
        }
        pthread_mutex_unlock(&d->lock);
    }
}

int httpd_watch_start(struct httpd *d, struct err *e)
{
    struct epoll_event wake = {.events = EPOLLIN};

    if ((d->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 || (d->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return err_errno(e, "make what watches connections");
    wake.data.fd = d->wake;
    if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->wake, &wake) < 0 ||
        (errno = pthread_create(&d->watcher, NULL, watch, d)) != 0)
        return err_errno(e, "start what watches connections");
    d->watches = true;
    return 0;
}

void httpd_watch_stop(struct httpd *d)
{
    uint64_t one = 1;

    if (d->watches && write(d->wake, &one, sizeof one) == sizeof one)
        pthread_join(d->watcher, NULL);
    d->watches = false;
    fd_close(&d->wake);
    fd_close(&d->epoll);
}
