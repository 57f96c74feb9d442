/* rulesd/conn.c - see conn.h.
 *
 * The way of a connection: read … (scan …) write … then read again, or drain, or the end. Each state is a function that
 * does what it can at once and says how to go on. */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "reply.h"
#include "scan_after.h"
#include "scan_repeat.h"

#define ROOM_MIN ((size_t)4 << 10)    /* less free room than this, and the input grows */
#define SMALL_INPUT ((size_t)8 << 10) /* what waits with less gets a buffer of its size */
#define FREE_BYTES ((size_t)64 << 10) /* of input are not counted against the server's limit */
#define KEEP_BYTES ((size_t)256 << 10)
#define DRAIN_MAX ((size_t)64 << 20)
#define TURN_MAX ((size_t)1 << 20)    /* after so many bytes others come first */
#define TURN_REQUEST (TURN_MAX / 16)  /* what a request counts for */
#define WRITE_STEP ((size_t)64 << 10) /* a client that takes this much may go on taking */

enum go { GO_ON, GO_WAIT, GO_AWAY };

/* ---- memory ---- */

/* Counts what a connection holds beyond a first few bytes - input, what it became when decompressed, a long reply - against
 * the server's limit; class scan may have half of it. */
static bool charge(struct conn *c, size_t more)
{
    struct server *s = c->loop->server;
    size_t         max = c->client.class == CLASS_MTA ? s->buffered_max : s->buffered_max / 2;

    if (atomic_fetch_add_explicit(&s->buffered, more, memory_order_relaxed) + more > max) {
        atomic_fetch_sub_explicit(&s->buffered, more, memory_order_relaxed);
        return false;
    }
    c->charged += more;
    return true;
}

static void discharge(struct conn *c, size_t n)
{
    n = n < c->charged ? n : c->charged;
    atomic_fetch_sub_explicit(&c->loop->server->buffered, n, memory_order_relaxed);
    c->charged -= n;
}

/* A buffer that has been filled by now. */
static bool charge_buf(struct conn *c, const struct buf *b) { return b->cap <= FREE_BYTES || charge(c, b->cap); }

static void release_input(struct conn *c)
{
    if (c->in.cap > KEEP_BYTES)
        buf_fini(&c->in);
    loop_give_input(c->loop, &c->in);
    discharge(c, c->charged_in);
    c->charged_in = 0;
}

/* Input that is about to grow to `cap` bytes. */
static bool charge_input(struct conn *c, size_t cap)
{
    size_t more = cap > FREE_BYTES && cap > c->charged_in ? cap - c->charged_in : 0;

    if (!charge(c, more))
        return false;
    c->charged_in += more;
    return true;
}

static void end_exchange(struct conn *c)
{
    if (c->x == NULL)
        return;
    if (c->x->scan != NULL)
        loop_give_scan(c->loop, &c->x->scan);
    if (c->x->errand != NULL)
        c->x->errand->end(c->x->errand);
    c->x->errand = NULL;
    loop_give_exchange(c->loop, &c->x);
    discharge(c, c->charged - c->charged_in);
}

static void unqueue(struct conn *c)
{
    struct conn **at = &c->loop->again;

    while (c->queued && *at != c)
        at = &(*at)->again_next;
    if (c->queued)
        *at = c->again_next;
    c->queued = false;
}

/* To be gone on with when others had their turn. */
static enum go later(struct conn *c)
{
    c->turn = 0;
    c->queued = true;
    c->again_next = c->loop->again;
    c->loop->again = c;
    return GO_WAIT;
}

void conn_close(struct conn *c)
{
    unqueue(c);
    loop_unwait(c->loop, c);
    end_exchange(c);
    release_input(c);
    loop_give_output(c->loop, &c->out);
    discharge(c, c->charged);
    close(c->fd);
    c->loop->nconns--;
    atomic_store_explicit(&c->loop->metrics.open, (long long)c->loop->nconns, memory_order_relaxed);
    atomic_fetch_sub_explicit(&c->loop->server->connections, 1, memory_order_relaxed);
    free(c);
}

bool conn_is_idle(const struct conn *c) { return c->state == CONN_READ && c->in.n == 0; }

/* ---- waiting ---- */

/* What waits long shall not hold a large buffer for the little that has come. */
static void settle_input(struct conn *c)
{
    struct buf small;

    if (c->in.n == 0) {
        release_input(c);
    } else if (c->in.n <= SMALL_INPUT && c->in.cap > 2 * SMALL_INPUT) {
        buf_init(&small, c->in.max);
        buf_put(&small, buf_span(&c->in));
        release_input(c);
        c->in = small;
    }
}

static bool watch(struct conn *c, bool out)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (out ? EPOLLOUT : 0), .data.ptr = c};

    if (c->watched && (c->watches_out || !out))
        return true;
    if (epoll_ctl(c->loop->epoll_fd, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) < 0)
        return false;
    c->watched = true;
    c->watches_out = out;
    return true;
}

static enum waiting reading_for(const struct conn *c)
{
    if (c->in.n == 0 && c->asked)
        return WAIT_IDLE;
    return c->x != NULL && c->session->head_done(c->x) ? WAIT_BODY : WAIT_HEAD;
}

static enum go wait_to_read(struct conn *c)
{
    settle_input(c);
    if (!watch(c, false))
        return GO_AWAY;
    c->turn = 0;
    loop_wait(c->loop, c, reading_for(c));
    return GO_WAIT;
}

/* ---- reading ---- */

/* Room for what comes next: what is announced, but never much more than has already come, so that words cost nothing; and
 * never beyond the ceiling, so that the codec is the one who says what is too much. */
static size_t growth(const struct conn *c)
{
    size_t wanted = c->x != NULL ? c->session->wants(c->x, &c->in) : 0;
    size_t fair = c->in.n > FREE_BYTES ? c->in.n : FREE_BYTES;
    size_t left = c->in.max - c->in.n, more = wanted < fair ? wanted + 1 : fair;

    if (wanted == 0)
        more = c->in.n > 4 * ROOM_MIN ? c->in.n : 4 * ROOM_MIN;
    return left > 0 && left < more ? left : more;
}

/* 1: got some; 0: nothing for now, or the end; -1: the connection is broken; -2: no memory for it. */
static int receive(struct conn *c)
{
    if (c->in.cap == 0)
        loop_take_input(c->loop, &c->in);
    if (c->in.cap - c->in.n < ROOM_MIN) {
        size_t more = growth(c);

        if (more == 0 || !charge_input(c, c->in.n + more) || buf_reserve(&c->in, more) == NULL)
            return -2;
    }
    size_t  room = c->in.cap - c->in.n < TURN_MAX ? c->in.cap - c->in.n : TURN_MAX;
    ssize_t n = recv(c->fd, c->in.p + c->in.n, room, 0);
    if (n < 0 && errno == EINTR)
        return 1;
    if (n < 0 && (errno != EAGAIN && errno != EWOULDBLOCK))
        return -1;
    c->readable = n > 0 &&
                  ((size_t)n == room || c->hung_up); /* less than asked for: that was all (epoll is told of more) */
    c->eof = n == 0;
    if (n > 0) {
        c->in.n += (size_t)n;
        c->turn += (size_t)n;
        c->in.p[c->in.n] = '\0';
        c->parsed = false;
    }
    return n > 0;
}

/* Which protocol is it? The first line tells; the listener, where it does not. */
static bool find_session(struct conn *c)
{
    enum wire_kind fallback = c->client.listener->kind, kind;

    if (c->session != NULL)
        return true;
    kind = c->in.n > 0 ? wire_detect(buf_span(&c->in), fallback) : WIRE_UNDECIDED;
    if (kind == WIRE_UNDECIDED && !c->eof)
        return false;
    if (kind == WIRE_UNDECIDED)
        kind = fallback;
    c->session = kind == WIRE_HTTP ? &session_http : &session_spamd;
    return true;
}

static void begin_exchange(struct conn *c)
{
    if (c->x != NULL)
        return;
    c->x = loop_take_exchange(c->loop);
    c->x->session = c->session;
    c->x->client = &c->client;
    c->x->server = c->loop->server;
    c->x->metrics = &c->loop->metrics;
    c->x->keep = c->x->linger = false;
    c->x->used = 0;
    c->session->begin(c->x, &c->loop->server->limits[c->client.class]);
}

static enum go start_writing(struct conn *c)
{
    loop_unwait(c->loop, c);
    c->state = CONN_WRITE;
    c->sent = 0;
    return GO_ON;
}

/* Everything that ends a connection with a word: what is left of the input is read over before we close. */
static enum go refuse(struct conn *c, void (*put)(struct exchange *x, struct buf *out))
{
    loop_take_output(c->loop, &c->out);
    put(c->x, &c->out);
    c->x->keep = false;
    c->x->linger = true;
    return start_writing(c);
}

/* ---- scans ---- */

static void wake_conn(void *ctx)
{
    struct conn *c = ctx;

    loop_post(c->loop, c);
}

/* What is told again, by a repeat, is told as it was. */
static void make_reply(struct conn *c)
{
    struct scan *s = c->x->scan;

    scan_count(s);
    if (s->given.p != NULL)
        buf_put(&c->out, s->given);
    else
        c->session->put_scan(c->x, &c->out);
    scan_answered(s, c->out.failed ? SPAN_NONE : buf_span(&c->out));
    c->replied = true;
}

static void run_on_worker(void *ctx)
{
    struct conn *c = ctx;

    if (atomic_load_explicit(&c->loop->server->stopping, memory_order_relaxed))
        return;          /* nobody is there to send a reply */
    c->step = SCAN_ASKS; /* said before: once the scan is with somebody, the connection may be woken at any time */
    enum scan_step step = scan_run(c->x->scan);
    if (step == SCAN_ASKS)
        return;
    c->step = step;
    if (c->step == SCAN_DONE)
        make_reply(c);
    loop_post(c->loop, c);
}

/* The reply is made: a large message goes now, not when the client has taken the reply. */
static void forget_message(struct conn *c)
{
    if (c->x->plain.cap <= FREE_BYTES && c->in.cap <= KEEP_BYTES)
        return;
    loop_give_scan(c->loop, &c->x->scan);
    if (c->x->plain.cap > FREE_BYTES)
        discharge(c, c->x->plain.cap);
    buf_trim(&c->x->plain, 0);
    buf_consume(&c->in, c->x->used);
    c->x->used = 0;
    if (c->in.n == 0)
        release_input(c);
}

/* We lack the room for the reply: the client shall come again. */
static void give_up_reply(struct conn *c)
{
    buf_trim(&c->out, FREE_BYTES);
    c->session->put_busy(c->x, &c->out);
    c->x->keep = false;
}

static enum go finish_scan(struct conn *c)
{
    struct scan    *s = c->x->scan;
    struct metrics *m = &c->loop->metrics;

    if (!c->replied)
        make_reply(c);
    c->replied = false;
    metrics_request(m, s->req.protocol, METRIC_SCAN, s->given.p != NULL ? METRIC_OK : reply_verdict(s));
    if (c->out.failed || !charge_buf(c, &c->out))
        give_up_reply(c);
    int64_t now = clock_mono_us();
    metrics_latency(m, now - s->started_us);
    metric_add(&m->recipients, s->req.nrcpt);
    metric_add(&m->bytes_in, s->req.message.n);
    metric_add(&m->regex_limits, s->regex_limits);
    if (!s->failed && !s->refused && s->given.p == NULL)
        metric_add(&m->by_rule[s->outcome.rule], 1);
    scan_log(s, now);
    forget_message(c);
    return start_writing(c);
}

static enum go hand_over(struct conn *c)
{
    c->x->scan->on_worker = true;
    metric_add(&c->loop->metrics.on_worker, 1);
    loop_wait(c->loop, c, WAIT_SCAN);
    if (workers_put(c->loop->server->workers, run_on_worker, c))
        return GO_WAIT;
    c->x->scan->failed = true;
    c->x->scan->excuse = "too many long messages are waiting, try again later";
    err_set(&c->x->scan->err, ERR_BUSY, "too many long scans are waiting");
    loop_unwait(c->loop, c);
    return finish_scan(c);
}

static enum go go_on_with(struct conn *c, enum scan_step step)
{
    switch (step) {
    case SCAN_DONE: return finish_scan(c);
    case SCAN_HEAVY: return hand_over(c);
    case SCAN_LATER: loop_wait(c->loop, c, WAIT_LATER); return GO_WAIT;
    case SCAN_ASKS: /* wake_conn() may have been called already: its post is looked at in this thread, and later */
        metric_add(&c->loop->metrics.parked, 1);
        loop_wait(c->loop, c, WAIT_SCAN);
        return GO_WAIT;
    }
    return GO_AWAY;
}

static enum go start_scan(struct conn *c, const struct scan_request *req)
{
    struct scan *s = c->x->scan = loop_take_scan(c->loop);

    loop_unwait(c->loop, c);
    c->state = CONN_SCAN;
    scan_begin(s, req, &c->loop->server->tools, c->loop->trust);
    s->wake = wake_conn;
    s->wake_ctx = c;
    return go_on_with(c, scan_run(s));
}

/* ---- errands ---- */

static enum go start_errand(struct conn *c)
{
    struct errand *er = c->x->errand;

    loop_unwait(c->loop, c);
    c->state = CONN_SCAN;
    er->wake = wake_conn;
    er->wake_ctx = c;
    loop_wait(c->loop, c, WAIT_SCAN);
    er->start(er); /* may wake already: its post is looked at in this thread, and later */
    return GO_WAIT;
}

static enum go finish_errand(struct conn *c)
{
    struct errand      *er = c->x->errand;
    struct scan_request req = {0};
    enum answer         answer = er->put(er, c->x, &req, &c->out);

    er->end(er);
    c->x->errand = NULL;
    if (answer == ANSWER_SCAN)
        return start_scan(c, &req);
    if (c->out.failed || !charge_buf(c, &c->out))
        give_up_reply(c);
    return start_writing(c);
}

static enum go answer(struct conn *c)
{
    struct scan_request req = {0};

    c->asked = true;
    c->x->trust = c->loop->trust;
    loop_take_output(c->loop, &c->out);
    switch (c->session->answer(c->x, &req, &c->out)) {
    case ANSWER_SCAN: return start_scan(c, &req);
    case ANSWER_LATER: return start_errand(c);
    case ANSWER_READY: break;
    }
    return start_writing(c);
}

static enum go refuse_busy(struct conn *c)
{
    buf_trim(&c->x->plain, 0);
    return refuse(c, c->session->put_busy);
}

static enum go answer_plain(struct conn *c) { return charge_buf(c, &c->x->plain) ? answer(c) : refuse_busy(c); }

static void unpack_on_worker(void *ctx)
{
    struct conn *c = ctx;

    if (atomic_load_explicit(&c->loop->server->stopping, memory_order_relaxed))
        return;
    c->unpacked = c->session->unpack(c->x);
    loop_post(c->loop, c);
}

/* A few bytes may become a large message, and others would wait for that. */
static enum go unpack_elsewhere(struct conn *c)
{
    loop_wait(c->loop, c, WAIT_SCAN);
    if (!workers_put(c->loop->server->workers, unpack_on_worker, c)) {
        loop_unwait(c->loop, c);
        return refuse_busy(c);
    }
    c->state = CONN_SCAN;
    c->unpacks = true;
    return GO_WAIT;
}

static enum go after_unpacking(struct conn *c)
{
    c->unpacks = false;
    return c->unpacked == WIRE_DONE ? answer_plain(c) : refuse(c, c->session->put_bad);
}

static enum go parse(struct conn *c)
{
    begin_exchange(c);
    c->parsed = true;
    switch (c->session->step(c->x, &c->in, c->eof)) {
    case WIRE_DONE: return c->session->packed(c->x) ? unpack_elsewhere(c) : answer_plain(c);
    case WIRE_BAD: return refuse(c, c->session->put_bad);
    case WIRE_MORE: break;
    }
    return c->eof ? GO_AWAY : GO_WAIT;
}

static enum go do_read(struct conn *c)
{
    for (;;) {
        if ((!c->parsed || c->eof) && find_session(c)) {
            if (c->eof && c->in.n == 0 && c->asked)
                return GO_AWAY; /* the end between two requests */
            enum go go = parse(c);
            if (go != GO_WAIT || c->state != CONN_READ)
                return go;
        }
        if (!c->readable)
            return wait_to_read(c);
        if (c->turn > TURN_MAX) {
            loop_wait(c->loop, c, reading_for(c));
            return later(c);
        }
        int got = receive(c);
        if (got == -1)
            return GO_AWAY;
        if (got == -2) {
            if (!find_session(c))
                return GO_AWAY;
            begin_exchange(c);
            return refuse(c, c->session->put_busy);
        }
    }
}

/* ---- writing ---- */

static enum go start_draining(struct conn *c)
{
    shutdown(c->fd, SHUT_WR);
    end_exchange(c);
    release_input(c);
    c->state = CONN_DRAIN;
    c->readable = true;
    return GO_ON;
}

static bool goes_on(const struct conn *c) { return c->x->keep && !c->eof && !c->loop->closed; }

/* The reply is out. What of the input was behind this request is the next one. */
static enum go next_request(struct conn *c)
{
    bool   keep = goes_on(c);
    bool   unread = c->x->linger || c->in.n > c->x->used;
    size_t used = c->x->used;

    loop_give_output(c->loop, &c->out);
    if (!keep)
        return !c->eof && unread ? start_draining(c) : GO_AWAY;
    end_exchange(c);
    if (used == c->in.n)
        release_input(c);
    else
        buf_consume(&c->in, used);
    c->parsed = c->in.n == 0;
    c->state = CONN_READ;
    c->turn += TURN_REQUEST;
    return c->in.n > 0 && c->turn > TURN_MAX ? later(c) : GO_ON;
}

/* A last reply waits in the kernel for the end of the connection, which follows at once: both go as one segment, and the
 * client wakes once. */
static enum go do_write(struct conn *c)
{
    int flags = MSG_NOSIGNAL | (goes_on(c) ? 0 : MSG_MORE);

    while (c->sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, flags);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return GO_AWAY;
        if (n < 0) {
            if (!watch(c, true))
                return GO_AWAY;
            if (!c->waits)
                loop_wait(c->loop, c, WAIT_WRITE);
            return GO_WAIT;
        }
        if ((size_t)n >= WRITE_STEP)
            loop_unwait(c->loop, c);
        c->sent += (size_t)n;
        c->turn += (size_t)n;
    }
    loop_unwait(c->loop, c);
    return next_request(c);
}

/* ---- draining ---- */

static enum go do_drain(struct conn *c)
{
    char over[16 << 10];

    if (!c->waits)
        loop_wait(c->loop, c, WAIT_DRAIN);
    while (c->readable && c->drained < DRAIN_MAX) {
        if (c->turn > TURN_MAX)
            return later(c);
        ssize_t n = recv(c->fd, over, sizeof over, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            return GO_AWAY;
        if (n > 0) {
            c->drained += (size_t)n;
            c->turn += (size_t)n;
        } else if (errno != EINTR) {
            c->readable = false;
        }
    }
    return c->drained < DRAIN_MAX && watch(c, false) ? GO_WAIT : GO_AWAY;
}

/* ---- the machine ---- */

static void run(struct conn *c, enum go go)
{
    while (go == GO_ON) {
        switch (c->state) {
        case CONN_READ: go = do_read(c); break;
        case CONN_WRITE: go = do_write(c); break;
        case CONN_DRAIN: go = do_drain(c); break;
        case CONN_SCAN: go = GO_WAIT; break;
        }
    }
    if (go == GO_AWAY)
        conn_close(c);
}

void conn_open(struct loop *l, int fd, const struct client *client)
{
    struct conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        panic("out of memory");
    c->watch = WATCH_CONN;
    c->fd = fd;
    c->loop = l;
    c->client = *client;
    c->readable = true;
    c->parsed = true;
    buf_init(&c->in, l->server->in_max);
    buf_init(&c->out, 2 * l->server->in_max);
    l->nconns++;
    atomic_store_explicit(&l->metrics.open, (long long)l->nconns, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->server->connections, 1, memory_order_relaxed);
    metric_add(&l->metrics.accepted, 1);
    run(c, GO_ON);
}

void conn_event(struct conn *c, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->hung_up = true;
    if (c->state != CONN_SCAN && !c->queued)
        run(c, GO_ON);
}

void conn_again(struct conn *c)
{
    c->queued = false;
    run(c, GO_ON);
}

void conn_resume(struct conn *c)
{
    struct scan *s = c->x->scan;

    loop_unwait(c->loop, c);
    if (c->unpacks)
        run(c, after_unpacking(c));
    else if (c->x->errand != NULL)
        run(c, finish_errand(c));
    else if (s->on_worker)
        run(c, c->step == SCAN_ASKS ? hand_over(c) : go_on_with(c, c->step));
    else
        run(c, go_on_with(c, scan_run(s)));
}

void conn_expire(struct conn *c)
{
    enum waiting was = c->waiting;

    loop_unwait(c->loop, c);
    if (was == WAIT_LATER) {
        run(c, c->x->scan->on_worker ? hand_over(c) : go_on_with(c, scan_run(c->x->scan)));
        return;
    }
    metric_add(&c->loop->metrics.timeouts, 1);
    if (was != WAIT_HEAD && was != WAIT_BODY) {
        conn_close(c);
        return;
    }
    if (c->session == NULL)
        c->session = c->client.listener->kind == WIRE_HTTP ? &session_http : &session_spamd;
    begin_exchange(c);
    c->session->expire(c->x);
    run(c, refuse(c, c->session->put_bad));
}
