/* lib/net/lmtp_service.c - see lmtp_service.h. A thread waits for a connection, serves it to its end, and waits for the next. */
#include "lmtp_service.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "endpoint.h"
#include "lmtp_server.h"

#define LISTENERS_MAX 16
#define READ_SIZE ((size_t)64 << 10)
#define RCPT_MAX 100
#define REST_US 100000 /* when the system has no descriptor for one more */
#define SESSION_ARENA_MAX ((size_t)8 << 20)

static const struct lmtp_limits shape = {.rcpt_max = RCPT_MAX, .idle_max = 4 * RCPT_MAX, .errors_max = 20};

/* All but `threads` is written before they start. */
struct lmtp_service {
    struct lmtp_service_how how;
    struct arena            arena; /* of who may come */
    struct ip_block        *mta_from;
    uid_t                  *mta_users;
    size_t                  nmta_users;
    struct endpoint         at[LISTENERS_MAX];
    int                     fds[LISTENERS_MAX];
    size_t                  n;
    int                     stop; /* eventfd: readable when it is over */
    char                    host[256];
    pthread_t               threads[LMTP_SESSIONS];
    size_t                  nthreads;
};

struct session {
    const struct lmtp_service *l;
    void                      *hand;
    int                        fd;
    bool                       in_message;
    int64_t                    deadline_us;
    struct lmtp_server         server;
    struct buf                 in, out, message;
    struct arena               arena;
};

/* ---- what the machine asks ---- */

static void name_rcpt(struct session *x)
{
    const char *why = NULL;
    bool        later = x->l->how.rcpt(x->hand, x->server.recipient, &why) < 0;

    lmtp_server_rcpt(&x->server, later, later ? why : NULL, &x->out);
}

/* Each recipient has the message for itself. */
static void take_message(struct session *x)
{
    const struct lmtp_server *s = &x->server;

    for (size_t i = 0; i < s->nrcpts; i++) {
        const struct lmtp_mail mail = {
            .recipient = s->rcpts[i], .sender = s->sender, .message = buf_span(s->message), .too_large = s->too_large};

        lmtp_server_answer(&x->server, x->l->how.take(x->hand, &mail) < 0, NULL, &x->out);
    }
}

/* ---- bytes ---- */

enum woken { WOKEN, WOKEN_LATE, WOKEN_STOP };

/* Until the socket is ready, time is up, or it is over. */
static enum woken wait_for(const struct session *x, short events, int64_t deadline_us)
{
    struct pollfd fds[2] = {{.fd = x->fd, .events = events}, {.fd = x->l->stop, .events = POLLIN}};

    for (;;) {
        int64_t left = deadline_us - clock_mono_us();
        int     n = left <= 0 ? 0 : poll(fds, COUNT(fds), (int)(left / 1000) + 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return WOKEN_LATE;
        return fds[1].revents != 0 ? WOKEN_STOP : WOKEN;
    }
}

/* Who does not read what is said cannot be waited for at the end: what they have handed over they send again. */
static int flush(struct session *x)
{
    int64_t deadline_us = clock_mono_us() + LMTP_IDLE_MS * INT64_C(1000);
    size_t  at = 0;

    while (at < x->out.n) {
        ssize_t n = send(x->fd, x->out.p + at, x->out.n - at, MSG_NOSIGNAL);

        if (n > 0)
            at += (size_t)n;
        else if (errno != EINTR && (errno != EAGAIN || wait_for(x, POLLOUT, deadline_us) != WOKEN))
            return -1;
    }
    buf_clear(&x->out);
    return 0;
}

/* 1: bytes came; 0: the client has hung up; -1: it is to end, and the reason is in out, or the connection is gone. It looks at the time and
 * at the end of all first: who sends without pause would never let it wait. */
static int receive(struct session *x)
{
    char *to = buf_reserve(&x->in, READ_SIZE);

    while (to != NULL) {
        switch (wait_for(x, POLLIN, x->deadline_us)) {
        case WOKEN: break;
        case WOKEN_LATE: lmtp_server_quit(&x->server, "that took too long", &x->out); return -1;
        case WOKEN_STOP: lmtp_server_quit(&x->server, "going down", &x->out); return -1;
        }
        ssize_t n = recv(x->fd, to, READ_SIZE, 0);

        if (n >= 0) {
            x->in.n += (size_t)n;
            return n > 0;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -1;
    }
    return -1;
}

/* ---- a session ---- */

/* A command has so long, and so has a message, all of it together. */
static void set_deadline(struct session *x)
{
    bool was = x->in_message;

    x->in_message = x->server.state == LMTP_DATA;
    if (!was || !x->in_message)
        x->deadline_us = clock_mono_us() + (x->in_message ? LMTP_MESSAGE_MS : LMTP_IDLE_MS) * INT64_C(1000);
}

static void converse(struct session *x)
{
    enum lmtp_step step;
    int            rc = 1;

    while ((step = lmtp_server_step(&x->server, &x->in, rc == 0, &x->out)) != LMTP_END) {
        if (step == LMTP_RCPT) {
            name_rcpt(x);
        } else if (step == LMTP_MESSAGE) {
            take_message(x);
        } else {
            if (flush(x) < 0)
                return;
            set_deadline(x);
            if ((rc = receive(x)) < 0)
                break;
        }
    }
    flush(x);
}

static void serve(const struct lmtp_service *l, void *hand, int fd)
{
    struct session     x = {.l = l, .hand = hand, .fd = fd};
    struct lmtp_limits limits = shape;

    limits.message_max = l->how.message_max;
    buf_init(&x.in, LMTP_LINE_MAX + 2 * READ_SIZE);
    buf_init(&x.out, 1 << 20);
    buf_init(&x.message, limits.message_max);
    arena_init(&x.arena, SESSION_ARENA_MAX);
    lmtp_server_begin(&x.server, &limits, l->host, &x.message, &x.arena, &x.out);
    converse(&x);
    arena_fini(&x.arena);
    buf_fini(&x.message);
    buf_fini(&x.out);
    buf_fini(&x.in);
}

/* ---- who comes ---- */

static bool may_user(const struct lmtp_service *l, int fd)
{
    struct ucred cred;
    socklen_t    n = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return false;
    for (size_t i = 0; i < l->nmta_users; i++)
        if (l->mta_users[i] == cred.uid)
            return true;
    return cred.uid == 0 || cred.uid == geteuid();
}

static bool may_address(const struct lmtp_service *l, const struct sockaddr_storage *from)
{
    struct ip ip = {{[10] = 0xff, [11] = 0xff}};

    if (from->ss_family == AF_INET6)
        memcpy(ip.b, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
    else
        memcpy(ip.b + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    for (size_t i = 0; i < l->how.mta_from->n; i++)
        if (ip_block_holds(&l->mta_from[i], &ip))
            return true;
    return false;
}

/* One that waits at this listener, if no other thread was quicker. */
static void take_one(const struct lmtp_service *l, void *hand, size_t i)
{
    static const char       no[] = "421 4.7.1 you are not known here\r\n";
    struct sockaddr_storage from = {0};
    socklen_t               n = sizeof from;
    int                     fd = accept4(l->fds[i], (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            usleep(REST_US);
        return;
    }
    if (l->at[i].is_unix ? may_user(l, fd) : may_address(l, &from)) {
        serve(l, hand, fd);
    } else {
        log_text(LOG_LEVEL_WARNING, "somebody who is no MTA of ours came to %s: see [rulesd] mta_users and mta_from",
                 l->at[i].text);
        (void)!send(fd, no, sizeof no - 1, MSG_NOSIGNAL);
    }
    fd_close(&fd);
}

static void *work(void *ctx)
{
    const struct lmtp_service *l = ctx;
    void                      *hand = l->how.open(l->how.ctx);
    struct pollfd              fds[LISTENERS_MAX + 1];

    for (size_t i = 0; i < l->n; i++)
        fds[i] = (struct pollfd){.fd = l->fds[i], .events = POLLIN};
    fds[l->n] = (struct pollfd){.fd = l->stop, .events = POLLIN};
    for (;;) {
        if (poll(fds, l->n + 1, -1) < 0)
            continue;
        if (fds[l->n].revents != 0)
            break;
        for (size_t i = 0; i < l->n; i++)
            if (fds[i].revents != 0)
                take_one(l, hand, i);
    }
    l->how.close(hand);
    return NULL;
}

/* ---- start and stop ---- */

static int read_mtas(struct lmtp_service *l, struct err *e)
{
    const struct conf_list *from = l->how.mta_from, *users = l->how.mta_users;

    l->mta_from = arena_array(&l->arena, from->n + 1, sizeof *l->mta_from);
    l->mta_users = arena_array(&l->arena, users->n + 1, sizeof *l->mta_users);
    if (l->arena.full)
        return err_set(e, ERR_LIMIT, "too many of [rulesd] mta_from and mta_users");
    for (size_t i = 0; i < from->n; i++)
        if (ip_block_parse(span_of(from->items[i]), &l->mta_from[i], e) < 0)
            return err_wrap(e, "[rulesd] mta_from");
    for (size_t i = 0; i < users->n; i++) {
        const struct passwd *pw = getpwnam(users->items[i]);
        uint64_t             number;

        if (pw != NULL)
            l->mta_users[l->nmta_users++] = pw->pw_uid;
        else if (span_u64(span_of(users->items[i]), &number) && number < UINT32_MAX)
            l->mta_users[l->nmta_users++] = (uid_t)number;
    }
    return 0;
}

static int listen_all(struct lmtp_service *l, struct err *e)
{
    const struct conf_list *list = l->how.listen;

    if (list->n > LISTENERS_MAX)
        return err_set(e, ERR_INVALID, "%s: at most %d", l->how.setting, LISTENERS_MAX);
    for (size_t i = 0; i < list->n; i++) {
        struct endpoint *at = &l->at[i];
        struct span      query;

        if (endpoint_parse(list->items[i], at, &query, e) < 0)
            return err_wrap(e, "%s", l->how.setting);
        if (query.n > 0)
            return err_set(e, ERR_INVALID, "%s: there are no settings behind %s", l->how.setting, at->text);
        if ((l->fds[l->n] = endpoint_listen(at, false, e)) < 0)
            return -1;
        l->n++;
        if (!at->is_unix && l->how.mta_from->n == 0)
            log_text(LOG_LEVEL_WARNING, "nobody may come to %s: [rulesd] mta_from is empty", at->text);
    }
    return 0;
}

static int open_all(struct lmtp_service *l, struct err *e)
{
    if (read_mtas(l, e) < 0)
        return -1;
    if (gethostname(l->host, sizeof l->host - 1) < 0 || l->host[0] == '\0')
        strcpy(l->host, "localhost");
    if ((l->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return err_errno(e, "make an eventfd");
    if (listen_all(l, e) < 0)
        return -1;
    for (; l->nthreads < LMTP_SESSIONS; l->nthreads++)
        if ((errno = pthread_create(&l->threads[l->nthreads], NULL, work, l)) != 0)
            return err_errno(e, "start a thread");
    return 0;
}

int lmtp_service_start(const struct lmtp_service_how *how, struct lmtp_service **out, struct err *e)
{
    struct lmtp_service *l;

    *out = NULL;
    if (how->listen->n == 0)
        return 0;
    if ((l = calloc(1, sizeof *l)) == NULL)
        panic("out of memory");
    l->how = *how;
    l->stop = -1;
    arena_init(&l->arena, 1 << 20);
    *out = l;
    if (open_all(l, e) == 0)
        return 0;
    lmtp_service_stop(out);
    return -1;
}

void lmtp_service_stop(struct lmtp_service **lp)
{
    struct lmtp_service *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    if (l->stop >= 0)
        eventfd_write(l->stop, 1);
    for (size_t i = 0; i < l->nthreads; i++)
        pthread_join(l->threads[i], NULL);
    for (size_t i = 0; i < l->n; i++) {
        fd_close(&l->fds[i]);
        if (l->at[i].is_unix)
            unlink(((const struct sockaddr_un *)&l->at[i].addr)->sun_path);
    }
    fd_close(&l->stop);
    arena_fini(&l->arena);
    free(l);
}
