/* tests/unit/net.h - what the tests of lib/net share: bytes fed in pieces, from a buffer that moves at every step. */
#ifndef POSTERN_TESTS_UNIT_NET_H
#define POSTERN_TESTS_UNIT_NET_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "check.h"

/* Appends to a buffer at a new place; the old place is freed, so that a span into it is found by ASan. */
static inline void append_moving(struct buf *in, struct span more)
{
    struct buf fresh;

    buf_init(&fresh, in->max);
    buf_put(&fresh, buf_span(in));
    buf_put(&fresh, more);
    buf_fini(in);
    *in = fresh;
}

static inline void check_same(const char *holds, struct span got, struct span want)
{
    if (!span_eq(got, want))
        fail_msg("%s:\n--- got\n%.*s\n--- want\n%.*s\n---", holds, SPAN_ARG(got), SPAN_ARG(want));
}

/* A way to cut input: whole (piece 0), or in pieces of that many bytes, the first one `first` bytes long when not 0. */
struct cut {
    size_t first, piece;
};

static inline size_t cut_next(struct cut cut, size_t at, size_t n)
{
    size_t piece = at == 0 && cut.first > 0 ? cut.first : cut.piece > 0 ? cut.piece : n;

    return piece < n - at ? piece : n - at;
}

/* `times` copies of a piece behind b. */
static inline void put_times(struct buf *b, const char *piece, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_puts(b, piece);
}

#endif
