/* tests/unit/httpd_world.h - a running HTTP server on a port of its own, and a client that writes bytes and reads replies. */
#ifndef POSTERN_TESTS_UNIT_HTTPD_WORLD_H
#define POSTERN_TESTS_UNIT_HTTPD_WORLD_H

#include <stdlib.h>

#include "net/httpd.h"
#include "sockets.h"

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

#endif
