/* rulesd/loop.c - see loop.h. A round: wait, look at sockets, at what other threads gave back, at who has more to do, and at
 * the deadlines. */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "conn.h"

#define EVENTS 256
#define BURST_MAX 32
#define INPUT_BYTES ((size_t)64 << 10)
#define OUTPUT_BYTES ((size_t)8 << 10)
#define EXCHANGES_MAX 64
#define COMPLAIN_US (60 * INT64_C(1000000))
#define WRITE_US (60 * INT64_C(1000000))
#define DRAIN_US (5 * INT64_C(1000000))

/* ---- waiting ---- */

int64_t loop_deadline(const struct loop *l, enum waiting for_what)
{
    const struct server *s = l->server;
    const int64_t        after[WAITS] = {[WAIT_HEAD] = s->head_us, [WAIT_BODY] = s->body_us, [WAIT_IDLE] = s->idle_us,
                                         [WAIT_WRITE] = WRITE_US,  [WAIT_DRAIN] = DRAIN_US,  [WAIT_LATER] = SCAN_LATER_US};

    return for_what == WAIT_SCAN ? INT64_MAX : l->now_us + after[for_what];
}

/* Waiting on for the same does not move the deadline: it is for all of it together. */
void loop_wait(struct loop *l, struct conn *c, enum waiting for_what)
{
    struct conn_list *list = &l->waiting[for_what];

    if (c->waits && c->waiting == for_what)
        return;
    loop_unwait(l, c);
    c->waits = true;
    c->waiting = for_what;
    c->deadline_us = loop_deadline(l, for_what);
    c->prev = list->last;
    c->next = NULL;
    if (list->last != NULL)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

void loop_unwait(struct loop *l, struct conn *c)
{
    struct conn_list *list = &l->waiting[c->waiting];

    if (!c->waits)
        return;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
    c->prev = c->next = NULL;
    c->waits = false;
}

static void expire(struct loop *l)
{
    for (size_t i = 0; i < WAIT_SCAN; i++)
        while (l->waiting[i].first != NULL && l->waiting[i].first->deadline_us <= l->now_us)
            conn_expire(l->waiting[i].first);
}

static int timeout_ms(const struct loop *l)
{
    int64_t first = INT64_MAX;

    if (l->again != NULL)
        return 0;
    for (size_t i = 0; i < WAIT_SCAN; i++)
        if (l->waiting[i].first != NULL && l->waiting[i].first->deadline_us < first)
            first = l->waiting[i].first->deadline_us;
    if (first == INT64_MAX)
        return -1;
    int64_t now = clock_mono_us();
    return first <= now ? 0 : (int)((first - now) / 1000 + 1);
}

/* ---- things to use again ---- */

struct exchange *loop_take_exchange(struct loop *l)
{
    struct exchange *x = l->exchanges;

    if (x != NULL) {
        l->exchanges = x->next;
        l->nexchanges--;
        return x;
    }
    if ((x = calloc(1, sizeof *x)) == NULL)
        panic("out of memory");
    arena_init(&x->arena, SCAN_ARENA_MAX);
    buf_init(&x->plain, l->server->limits[CLASS_MTA].body_max + 1024);
    return x;
}

static void free_exchange(struct exchange *x)
{
    arena_fini(&x->arena);
    buf_fini(&x->plain);
    free(x);
}

void loop_give_exchange(struct loop *l, struct exchange **xp)
{
    struct exchange *x = *xp;

    *xp = NULL;
    arena_reset(&x->arena);
    buf_trim(&x->plain, INPUT_BYTES);
    if (l->nexchanges >= EXCHANGES_MAX) {
        free_exchange(x);
        return;
    }
    x->next = l->exchanges;
    l->exchanges = x;
    l->nexchanges++;
}

struct scan *loop_take_scan(struct loop *l) { return l->nscans > 0 ? l->scans[--l->nscans] : scan_new(); }

void loop_give_scan(struct loop *l, struct scan **s)
{
    if (l->nscans == COUNT(l->scans)) {
        scan_free(s);
        return;
    }
    scan_end(*s);
    l->scans[l->nscans++] = *s;
    *s = NULL;
}

static void take(struct buf *b, struct buf *kept, size_t *n, size_t least)
{
    size_t max = b->max;

    if (b->cap > 0)
        return;
    if (*n > 0) {
        *b = kept[--*n];
        b->max = max;
        return;
    }
    buf_reserve(b, least);
}

static void give(struct buf *b, struct buf *kept, size_t *n, size_t least)
{
    size_t max = b->max;

    if (b->cap < least || b->cap > 4 * least || *n == COUNT(((struct loop *)0)->inputs)) {
        buf_fini(b);
        return;
    }
    buf_clear(b);
    kept[(*n)++] = *b;
    buf_init(b, max);
}

void loop_take_input(struct loop *l, struct buf *b) { take(b, l->inputs, &l->ninputs, INPUT_BYTES); }
void loop_give_input(struct loop *l, struct buf *b) { give(b, l->inputs, &l->ninputs, INPUT_BYTES); }
void loop_take_output(struct loop *l, struct buf *b) { take(b, l->outputs, &l->noutputs, OUTPUT_BYTES); }
void loop_give_output(struct loop *l, struct buf *b) { give(b, l->outputs, &l->noutputs, OUTPUT_BYTES); }

/* ---- accepting ---- */

static void read_peer(int fd, const struct sockaddr_storage *from, bool is_unix, struct peer *out)
{
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t    n = sizeof cred;

    *out = (struct peer){.is_unix = is_unix};
    if (is_unix) {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);
        out->uid = cred.uid;
    } else if (from->ss_family == AF_INET6) {
        memcpy(out->ip.b, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
    } else {
        out->ip.b[10] = out->ip.b[11] = 0xff;
        memcpy(out->ip.b + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    }
}

static void complain(struct loop *l, const char *what)
{
    if (l->complained_us != 0 && l->now_us - l->complained_us < COMPLAIN_US)
        return;
    l->complained_us = l->now_us;
    log_text(LOG_LEVEL_WARNING, "%s", what);
}

static void turn_away(struct loop *l, int fd)
{
    close(fd);
    metric_add(&l->metrics.turned_away, 1);
    complain(l, "too many connections: new ones are closed at once (max_connections, or the limit on open files)");
}

/* Out of descriptors: the one in reserve lets us close what waits, else it would wake us for ever. */
static void out_of_files(struct loop *l, struct door *d)
{
    fd_close(&l->spare_fd);
    int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        turn_away(l, fd);
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* 1: took one; 0: nobody waits. */
static int accept_one(struct loop *l, struct door *d)
{
    struct sockaddr_storage from = {0};
    socklen_t               n = sizeof from;
    struct client           client = {.listener = d->listener};
    long                    max = l->server->connections_max;
    int                     fd = accept4(d->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            out_of_files(l, d);
        return errno == ECONNABORTED || errno == EINTR;
    }
    read_peer(fd, &from, d->listener->at.is_unix, &client.peer);
    client.class = caller_class(l->trust, &client.peer, d->listener->most);
    if (atomic_load_explicit(&l->server->connections, memory_order_relaxed) >=
        (client.class == CLASS_MTA ? max : max / 4 * 3)) {
        turn_away(l, fd);
        return 1;
    }
    conn_open(l, fd, &client);
    return 1;
}

/* Asking once too often costs a call, asking too seldom a round: so it follows what was found the last time. */
static void accept_some(struct loop *l, struct door *d)
{
    for (unsigned i = 0; i < d->burst; i++) {
        if (accept_one(l, d) == 0) {
            d->burst = d->burst > 1 ? d->burst / 2 : 1;
            return;
        }
    }
    if (d->burst < BURST_MAX)
        d->burst *= 2;
}

/* Who has connected already is served; nobody else comes in. */
static void close_doors(struct loop *l)
{
    if (l->closed)
        return;
    l->closed = true;
    for (struct door *d = l->doors; d < l->doors + l->ndoors; d++) {
        while (accept_one(l, d) == 1)
            ;
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, d->fd, NULL);
        shutdown(d->fd, SHUT_RDWR); /* main closes it when all loops have ended */
    }
    for (enum waiting w = WAIT_HEAD; w <= WAIT_IDLE; w++) {
        for (struct conn *c = l->waiting[w].first, *next; c != NULL; c = next) {
            next = c->next;
            if (conn_is_idle(c))
                conn_close(c);
        }
    }
    atomic_fetch_add(&l->server->closed, 1);
}

/* ---- other threads ---- */

void loop_wake(struct loop *l)
{
    uint64_t one = 1;

    while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void loop_post(struct loop *l, struct conn *c)
{
    struct conn *first = atomic_load_explicit(&l->inbox, memory_order_relaxed);

    do
        c->inbox_next = first;
    while (!atomic_compare_exchange_weak_explicit(&l->inbox, &first, c, memory_order_release, memory_order_relaxed));
    if (first == NULL)
        loop_wake(l);
}

void loop_trust(struct loop *l, struct trust *trust)
{
    struct trust *was = atomic_exchange(&l->next_trust, trust_hold(trust));

    trust_drop(&was);
    loop_wake(l);
}

static void woken(struct loop *l)
{
    uint64_t      n;
    struct trust *trust;

    while (read(l->wake_fd, &n, sizeof n) < 0 && errno == EINTR)
        ;
    if ((trust = atomic_exchange(&l->next_trust, NULL)) != NULL) {
        trust_drop(&l->trust);
        l->trust = trust;
    }
}

static void read_inbox(struct loop *l)
{
    struct conn *c = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);

    while (c != NULL) {
        struct conn *next = c->inbox_next;

        conn_resume(c);
        c = next;
    }
}

/* Those who are in the list now, once each; who has still more to do comes in a list of its own, next time. */
static void go_on(struct loop *l)
{
    struct conn *c = l->again;

    l->again = NULL;
    for (struct conn *next; c != NULL; c = next) {
        next = c->again_next;
        conn_again(c);
    }
}

/* ---- the loop ---- */

static void look_at(struct loop *l, const struct epoll_event *ev)
{
    switch (*(enum watch *)ev->data.ptr) {
    case WATCH_WAKE: woken(l); break;
    case WATCH_LISTENER:
        if (!l->closed)
            accept_some(l, ev->data.ptr);
        break;
    case WATCH_CONN: conn_event(ev->data.ptr, ev->events); break;
    }
}

/* Where clients share our processors, a loop that woke at once for a connection would find a request still being written, and
 * come a second time. As a batch process it interrupts nobody; an idle processor takes it as soon as before. */
static void let_clients_finish(void)
{
    struct sched_param none = {0};

    pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
}

static void *run(void *arg)
{
    struct loop       *l = arg;
    struct epoll_event events[EVENTS];

    let_clients_finish();
    while (!atomic_load(&l->server->stopping) && !(l->closed && l->nconns == 0)) {
        int n = epoll_wait(l->epoll_fd, events, EVENTS, timeout_ms(l));

        l->now_us = clock_mono_us();
        for (int i = 0; i < n; i++)
            look_at(l, &events[i]);
        /* From here on connections may go that an event just looked at could have named. */
        if (atomic_load_explicit(&l->server->draining, memory_order_relaxed))
            close_doors(l);
        read_inbox(l);
        go_on(l);
        expire(l);
    }
    return NULL;
}

static int open_doors(struct loop *l, struct err *e)
{
    struct server *s = l->server;

    if ((l->doors = calloc(s->nlisteners, sizeof *l->doors)) == NULL)
        panic("out of memory");
    for (size_t i = 0; i < s->nlisteners; i++) {
        struct listener   *at = &s->listeners[i];
        struct door       *d = &l->doors[l->ndoors++];
        struct epoll_event ev = {.events = EPOLLIN | (at->at.is_unix ? EPOLLEXCLUSIVE : 0), .data.ptr = d};

        *d = (struct door){WATCH_LISTENER, at, at->fds[at->nfds > 1 ? l->index : 0], 1};
        if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, d->fd, &ev) < 0)
            return err_errno(e, "watch %s", at->at.text);
    }
    return 0;
}

int loop_new(struct server *server, size_t index, struct trust *trust, struct loop **out, struct err *e)
{
    struct loop       *l = aligned_alloc(64, (sizeof *l + 63) / 64 * 64);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};

    if (l == NULL)
        panic("out of memory");
    memset(l, 0, sizeof *l);
    l->wake = WATCH_WAKE;
    l->server = server;
    l->index = index;
    l->trust = trust_hold(trust);
    l->now_us = clock_mono_us();
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    *out = l;
    if (l->epoll_fd < 0 || l->wake_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0)
        return err_errno(e, "make an event loop");
    return open_doors(l, e);
}

int loop_start(struct loop *l, struct err *e)
{
    if ((errno = pthread_create(&l->thread, NULL, run, l)) != 0)
        return err_errno(e, "start a thread");
    return 0;
}

void loop_join(struct loop *l) { pthread_join(l->thread, NULL); }

static void let_go(struct conn *c)
{
    if (c->x != NULL && c->x->scan != NULL)
        scan_end(c->x->scan);
}

void loop_let_go(struct loop *l)
{
    for (struct conn *c = l->again; c != NULL; c = c->again_next)
        let_go(c);
    for (size_t i = 0; i < WAITS; i++)
        for (struct conn *c = l->waiting[i].first; c != NULL; c = c->next)
            let_go(c);
}

static void close_conns(struct loop *l)
{
    while (l->again != NULL)
        conn_close(l->again);
    for (size_t i = 0; i < WAITS; i++)
        while (l->waiting[i].first != NULL)
            conn_close(l->waiting[i].first);
}

void loop_free(struct loop **lp)
{
    struct loop     *l = *lp;
    struct trust    *next;
    struct exchange *x;

    *lp = NULL;
    if (l == NULL)
        return;
    close_conns(l);
    while ((x = l->exchanges) != NULL) {
        l->exchanges = x->next;
        free_exchange(x);
    }
    while (l->nscans > 0)
        scan_free(&l->scans[--l->nscans]);
    while (l->ninputs > 0)
        buf_fini(&l->inputs[--l->ninputs]);
    while (l->noutputs > 0)
        buf_fini(&l->outputs[--l->noutputs]);
    next = atomic_exchange(&l->next_trust, NULL);
    trust_drop(&next);
    trust_drop(&l->trust);
    fd_close(&l->wake_fd);
    fd_close(&l->epoll_fd);
    fd_close(&l->spare_fd);
    free(l->doors);
    free(l);
}
