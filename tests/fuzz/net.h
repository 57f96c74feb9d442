/* tests/fuzz/net.h - what the fuzz targets of lib/net share. The first four bytes of an input say how to cut the rest.
 */
#ifndef POSTERN_TESTS_FUZZ_NET_H
#define POSTERN_TESTS_FUZZ_NET_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "net/wire.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* first: where the first piece ends. piece: how long the further ones are, 0: all at once. eof: the peer hangs up. */
struct plan {
    size_t      first, piece;
    bool        eof;
    struct span bytes;
};

static inline struct plan plan_of(const uint8_t *data, size_t size)
{
    struct plan p = {.bytes = span_make(data + 4, size - 4)};

    p.first = (size_t)data[0] << 8 | data[1];
    p.piece = data[2];
    p.eof = data[3] & 1;
    return p;
}

static inline size_t plan_next(const struct plan *p, bool whole, size_t at)
{
    size_t left = p->bytes.n - at, n = whole                     ? left
                                       : at == 0 && p->first > 0 ? p->first
                                       : p->piece > 0            ? p->piece
                                                                 : left;

    return n < left ? n : left;
}

/* Appends to a buffer at a new place, so that ASan finds spans into the old one. */
static inline void append_moving(struct buf *in, struct span more)
{
    struct buf fresh;

    buf_init(&fresh, in->max);
    buf_put(&fresh, buf_span(in));
    buf_put(&fresh, more);
    buf_fini(in);
    *in = fresh;
}

/* Every byte of a span, so that a bad one is found, in a text that tells where each ends. */
static inline void put_field(struct buf *out, const char *name, struct span s)
{
    if (s.p == NULL)
        return;
    buf_puts(out, name);
    buf_put_u64(out, s.n);
    buf_putc(out, ':');
    buf_put(out, s);
}

static inline void require_same(const struct buf *a, const struct buf *b)
{
    if (!span_eq(buf_span(a), buf_span(b)))
        fprintf(stderr, "--- whole\n%.*s\n--- cut\n%.*s\n", SPAN_ARG(buf_span(a)), SPAN_ARG(buf_span(b)));
    REQUIRE(span_eq(buf_span(a), buf_span(b)));
}

/* Once the first bytes tell the protocol, more of them do not tell another. */
static inline void require_detection(struct span bytes)
{
    enum wire_kind so_far = WIRE_UNDECIDED, now;

    for (size_t n = 0; n <= bytes.n; n = n < 100 ? n + 1 : 2 * n) {
        now = wire_detect(span_head(bytes, n), WIRE_HTTP);
        REQUIRE(so_far == WIRE_UNDECIDED || now == so_far);
        so_far = now;
    }
}

#endif
