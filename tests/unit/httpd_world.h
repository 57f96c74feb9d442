/* tests/unit/httpd_world.h - a running HTTP server on a port of its own, and a client that writes bytes and reads replies. */
#ifndef POSTERN_TESTS_UNIT_HTTPD_WORLD_H
#define POSTERN_TESTS_UNIT_HTTPD_WORLD_H

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "check.h"
#include "net/httpd.h"

#define PATIENCE_MS 60000 /* for what must come; a test fails after that */

static inline int must_connect(const struct endpoint *ep)
{
    int fd = socket(ep->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&ep->addr, ep->addr_len) < 0)
        fail_msg("connect to %s: %s", ep->text, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* What the server does not take any more is not our error. */
static inline void send_bytes(int fd, struct span s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        s = span_skip(s, (size_t)n);
    }
}

static inline void send_text(int fd, const char *text) { send_bytes(fd, span_of(text)); }

/* More of what comes; false at the end of it. */
static inline bool read_some(int fd, struct buf *in, size_t max)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char          piece[65536];

    if (poll(&p, 1, PATIENCE_MS) != 1)
        fail_msg("nothing comes");
    ssize_t n = recv(fd, piece, max < sizeof piece ? max : sizeof piece, 0);
    if (n > 0)
        buf_put(in, span_make(piece, (size_t)n));
    return n > 0;
}

static inline void read_all(int fd, struct buf *in)
{
    while (read_some(fd, in, SIZE_MAX))
        ;
}

struct answer {
    int         status;
    bool        bodiless; /* said before: it answers HEAD */
    struct buf  raw;
    struct span head, body;
};

static inline struct span answer_field(const struct answer *a, const char *name)
{
    struct span rest = a->head, line;

    while (span_line(&rest, &line)) {
        size_t colon = span_chr(line, ':');

        if (colon < line.n && span_is_ci(span_head(line, colon), name))
            return span_trim(span_skip(line, colon + 1));
    }
    return SPAN_NONE;
}

static inline void answer_init(struct answer *a)
{
    *a = (struct answer){0};
    buf_init(&a->raw, (size_t)64 << 20);
}

/* One reply, byte for byte up to its end; status 0: the connection ended before. Chunked bodies stay as they are, up to the last chunk. */
static inline void read_answer(int fd, struct answer *a)
{
    uint64_t length = 0;
    size_t   end;

    buf_clear(&a->raw);
    a->status = 0;
    while ((end = span_find(buf_span(&a->raw), SPAN("\r\n\r\n"))) == a->raw.n)
        if (!read_some(fd, &a->raw, 1))
            return;
    a->head = span_head(buf_span(&a->raw), end + 4);
    assert_true(span_starts(a->head, SPAN("HTTP/1.1 ")));
    a->status = atoi(a->raw.p + 9);
    bool chunked = span_is(answer_field(a, "Transfer-Encoding"), "chunked");
    span_u64(answer_field(a, "Content-Length"), &length);
    if (a->bodiless || a->status == 304 || a->status == 204 || a->status < 200)
        length = 0;
    if (chunked)
        while (!span_ends(buf_span(&a->raw), SPAN("\r\n0\r\n\r\n")) && read_some(fd, &a->raw, SIZE_MAX))
            ;
    else
        while (a->raw.n < end + 4 + length && read_some(fd, &a->raw, end + 4 + length - a->raw.n))
            ;
    a->head = span_head(buf_span(&a->raw), end + 4);
    a->body = span_skip(buf_span(&a->raw), end + 4);
}

static inline void ask(int fd, const char *request, struct answer *a)
{
    send_text(fd, request);
    read_answer(fd, a);
}

/* One request on a connection of its own. */
static inline void ask_once(const struct endpoint *ep, const char *request, struct answer *a)
{
    int fd = must_connect(ep);

    ask(fd, request, a);
    fd_close(&fd);
}

/* Until it holds, or the test fails. */
#define AWAIT(holds, condition)                                                                                        \
    do {                                                                                                               \
        int64_t until_us = clock_mono_us() + (int64_t)PATIENCE_MS * 1000;                                              \
        while (!(condition)) {                                                                                         \
            if (clock_mono_us() > until_us)                                                                            \
                fail_msg("%s: it never is so: %s", (holds), #condition);                                               \
            usleep(2000);                                                                                              \
        }                                                                                                              \
    } while (0)

#endif
