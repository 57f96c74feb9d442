/* tests/unit/sockets.h - a client of a server under test: it writes bytes and reads what comes. */
#ifndef POSTERN_TESTS_UNIT_SOCKETS_H
#define POSTERN_TESTS_UNIT_SOCKETS_H

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "check.h"
#include "net/endpoint.h"

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
