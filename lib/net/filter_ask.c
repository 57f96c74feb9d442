/* lib/net/filter_ask.c - see filter_ask.h. */
#include "net/filter_ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/endpoint.h"

#define CONNECT_MS 5000
#define READ_SIZE ((size_t)8 << 10)

struct line {
    int     fd;
    CURL   *easy;    /* owns fd, where the peer has a name */
    bool    is_open; /* else whoever sends first learns whether somebody is there, until open_until_us */
    int64_t until_us, open_until_us;
};

static int64_t left_ms(int64_t until_us)
{
    int64_t us = until_us - clock_mono_us();

    return us > 0 ? us / 1000 + 1 : 0;
}

static int wait_for(const struct line *l, short events, int64_t until_us, struct err *e)
{
    for (;;) {
        struct pollfd p = {.fd = l->fd, .events = events};
        int64_t       ms = left_ms(until_us);
        int           n = ms > 0 ? poll(&p, 1, (int)ms) : 0;

        if (n > 0)
            return 0;
        if (n == 0)
            return err_set(e, ERR_TIMEOUT, "timed out");
        if (errno != EINTR)
            return err_errno(e, "wait for it");
    }
}

/* ---- the connection ---- */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int lost(struct err *e, const char *doing, int number)
{
    return err_set(e, ERR_LOST, "%s: %s", doing, strerror(number));
}

/* Without a wait: beside us it is open at once. The packet that says that we heard so goes with the question. */
static int connect_to(struct line *l, const struct sockaddr_storage *to, socklen_t n, struct err *e)
{
    const int on = 1, off = 0;

    if ((l->fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
        return err_errno(e, "make a socket");
    if (to->ss_family != AF_UNIX) {
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(l->fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
    }
    l->is_open = connect(l->fd, (const struct sockaddr *)to, n) == 0;
    l->open_until_us = least(l->until_us, clock_mono_us() + CONNECT_MS * INT64_C(1000));
    return l->is_open || errno == EINPROGRESS ? 0 : lost(e, "connect to it", errno);
}

static int connect_socket(struct line *l, const char *path, struct err *e)
{
    struct sockaddr_storage to = {.ss_family = AF_UNIX};
    struct sockaddr_un     *un = (struct sockaddr_un *)&to;

    snprintf(un->sun_path, sizeof un->sun_path, "%s", path); /* filter_url_read() has seen that it fits */
    return connect_to(l, &to, sizeof *un, e);
}

static int connect_name(struct line *l, const char *url, struct err *e)
{
    const int64_t ms = left_ms(l->until_us) + 1;
    curl_socket_t fd = CURL_SOCKET_BAD;
    char          fault[CURL_ERROR_SIZE] = "";
    CURLcode      code;

    if ((l->easy = curl_easy_init()) == NULL)
        panic("out of memory");
    curl_easy_setopt(l->easy, CURLOPT_URL, url);
    curl_easy_setopt(l->easy, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(l->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(l->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(l->easy, CURLOPT_ERRORBUFFER, fault);
    curl_easy_setopt(l->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(ms < CONNECT_MS ? ms : CONNECT_MS));
    curl_easy_setopt(l->easy, CURLOPT_CONNECT_ONLY, 1L);
    code = curl_easy_perform(l->easy);
    curl_easy_setopt(l->easy, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_OK)
        curl_easy_getinfo(l->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD)
        return err_set(e, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_LOST, "connect to it: %s",
                       fault[0] != '\0' ? fault : curl_easy_strerror(code));
    l->fd = fd;
    l->is_open = true;
    return 0;
}

/* "http://HOST:PORT/path": the address, if it is one and no name. */
static bool read_number(const char *url, struct endpoint *out)
{
    struct span target = span_skip(span_of(url), sizeof "http://" - 1), query;
    char        text[sizeof out->text];

    target = span_head(target, span_chr(target, '/'));
    if (target.n == 0 || target.n >= sizeof text || !(target.p[0] == '[' || (target.p[0] >= '0' && target.p[0] <= '9')))
        return false;
    snprintf(text, sizeof text, "%.*s", SPAN_ARG(target));
    return endpoint_parse(text, out, &query, NULL) == 0;
}

static int open_line(struct line *l, const struct filter_url *at, struct err *e)
{
    struct endpoint number;

    if (at->socket != NULL)
        return connect_socket(l, at->socket, e);
    if (read_number(at->base, &number))
        return connect_to(l, &number.addr, number.addr_len, e);
    return connect_name(l, at->base, e);
}

void filter_over_close(struct filter_over *over)
{
    while (over->n > 0)
        fd_close(&over->fds[--over->n]);
}

static void close_line(struct line *l, struct filter_over *over)
{
    if (l->easy != NULL) {
        curl_easy_cleanup(l->easy);
    } else if (over == NULL || l->fd < 0) {
        fd_close(&l->fd);
    } else {
        if (over->n == FILTER_OVER_MAX)
            filter_over_close(over);
        over->fds[over->n++] = l->fd;
    }
}

/* ---- bytes ---- */

/* Sends some of it. Whether the line is open at all shows at the first. */
static int send_some(struct line *l, const struct msghdr *m, size_t *sent_out, struct err *e)
{
    ssize_t n = sendmsg(l->fd, m, MSG_NOSIGNAL);

    *sent_out = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno == EAGAIN) {
        if (wait_for(l, POLLOUT, l->is_open ? l->until_us : l->open_until_us, e) < 0)
            return l->is_open ? -1 : err_wrap(e, "connect to it");
    } else if (n < 0 && errno != EINTR) {
        return lost(e, l->is_open ? "send to it" : "connect to it", errno);
    }
    l->is_open = l->is_open || n >= 0;
    return 0;
}

static int send_parts(struct line *l, const struct span *parts, size_t nparts, struct err *e)
{
    struct iovec  v[FILTER_ASK_PARTS_MAX];
    struct msghdr m = {.msg_iov = v, .msg_iovlen = nparts};
    size_t        sent;

    for (size_t i = 0; i < nparts; i++)
        v[i] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
    while (m.msg_iovlen > 0) {
        if (send_some(l, &m, &sent, e) < 0)
            return -1;
        for (; m.msg_iovlen > 0; m.msg_iov++, m.msg_iovlen--) {
            if (sent < m.msg_iov->iov_len) {
                m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + sent;
                m.msg_iov->iov_len -= sent;
                break;
            }
            sent -= m.msg_iov->iov_len;
        }
    }
    return 0;
}

static int receive(const struct line *l, filter_whole_fn is_whole, struct buf *in, struct err *e)
{
    for (;;) {
        if (wait_for(l, POLLIN, l->until_us, e) < 0)
            return -1;
        char   *to = buf_reserve(in, READ_SIZE);
        ssize_t n = to != NULL ? recv(l->fd, to, READ_SIZE, 0) : 0;

        if (to == NULL)
            return err_set(e, ERR_LIMIT, "it says too much");
        if (n == 0)
            return 0;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return lost(e, "its answer is cut", errno);
        in->n += n > 0 ? (size_t)n : 0;
        if (n > 0 && is_whole != NULL && is_whole(buf_span(in)))
            return 0;
    }
}

/* Who does not want to hear all of it may have said why, and closed. */
static int converse(struct line *l, const struct span *parts, size_t nparts, filter_whole_fn is_whole, struct buf *in,
                    struct err *e)
{
    struct err unheard = ERR_INIT;

    if (send_parts(l, parts, nparts, e) == 0)
        return receive(l, is_whole, in, e);
    if (e->code != ERR_LOST || !l->is_open || receive(l, is_whole, in, &unheard) < 0 || in->n == 0)
        return -1;
    *e = ERR_INIT;
    return 0;
}

int filter_ask(const struct filter_url *at, const struct span *parts, size_t nparts, filter_whole_fn is_whole,
               int64_t until_us, struct filter_over *over, struct buf *in, struct err *e)
{
    struct line l = {.fd = -1, .until_us = until_us};
    int         rc = open_line(&l, at, e);

    if (rc == 0)
        rc = converse(&l, parts, nparts, is_whole, in, e);
    close_line(&l, rc == 0 ? over : NULL);
    return rc;
}
