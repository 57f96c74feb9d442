/* lib/base/buf.h - a growing byte buffer that is born with its ceiling.
 *
 * Owns its memory. Growing beyond `max` sets `failed` (sticky) and drops what did not fit: callers may write a
 * whole reply and test once at the end. A failed malloc aborts. Not thread-safe. The bytes are always followed
 * by a NUL that does not count, so b.p may go to a C function when it holds no NUL itself. */
#ifndef POSTERN_BASE_BUF_H
#define POSTERN_BASE_BUF_H

#include <stdarg.h>

#include "base/span.h"

struct buf {
    char  *p;
    size_t n, cap, max;
    bool   failed;
};

void  buf_init(struct buf *b, size_t max);
void  buf_fini(struct buf *b);                 /* frees; the struct may be initialised again */
void  buf_clear(struct buf *b);                /* n = 0, failed = false; keeps the memory */
void  buf_trim(struct buf *b, size_t keep);    /* n = 0, and gives memory above `keep` bytes back */
char *buf_reserve(struct buf *b, size_t more); /* room for `more` bytes behind n, or NULL at the ceiling */
void  buf_put(struct buf *b, struct span s);
void  buf_puts(struct buf *b, const char *s);
void  buf_putc(struct buf *b, char c);
void  buf_put_u64(struct buf *b, uint64_t v);
void  buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void  buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void  buf_consume(struct buf *b, size_t n); /* removes n bytes at the front (memmove) */
static inline struct span buf_span(const struct buf *b) { return (struct span){b->p, b->n}; }

#endif
