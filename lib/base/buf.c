/* lib/base/buf.c - see buf.h. Invariant: cap counts without the NUL, and 0 means that p is not ours to free. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

#define BUF_LEAST 64

static char nothing[1]; /* what an empty buffer points at, so that p always is a C string; never written */

static void set_cap(struct buf *b, size_t cap)
{
    char *p = realloc(b->cap > 0 ? b->p : NULL, cap + 1);

    if (p == NULL)
        panic("out of memory for %zu bytes", cap);
    b->p = p;
    b->cap = cap;
}

static void set_length(struct buf *b, size_t n)
{
    b->n = n;
    if (b->cap > 0)
        b->p[n] = '\0';
}

void buf_init(struct buf *b, size_t max) { *b = (struct buf){.p = nothing, .max = max}; }

void buf_fini(struct buf *b)
{
    if (b->cap > 0)
        free(b->p);
    *b = (struct buf){.p = nothing, .max = b->max};
}

void buf_clear(struct buf *b)
{
    b->failed = false;
    set_length(b, 0);
}

void buf_trim(struct buf *b, size_t keep)
{
    buf_clear(b);
    if (b->cap <= keep)
        return;
    if (keep == 0)
        buf_fini(b);
    else
        set_cap(b, keep);
}

char *buf_reserve(struct buf *b, size_t more)
{
    size_t cap;

    if (b->failed || more > b->max - b->n) {
        b->failed = true;
        return NULL;
    }
    if (b->cap > 0 && more <= b->cap - b->n)
        return b->p + b->n;
    cap = b->cap < BUF_LEAST / 2 ? BUF_LEAST : b->cap > b->max / 2 ? b->max : 2 * b->cap;
    cap = cap < b->max ? cap : b->max;
    cap = cap > b->n + more ? cap : b->n + more;
    set_cap(b, cap > 0 ? cap : 1);
    return b->p + b->n;
}

void buf_put(struct buf *b, struct span s)
{
    char *to = s.n > 0 ? buf_reserve(b, s.n) : NULL;

    if (to == NULL)
        return;
    memcpy(to, s.p, s.n);
    set_length(b, b->n + s.n);
}

void buf_puts(struct buf *b, const char *s) { buf_put(b, span_of(s)); }

void buf_putc(struct buf *b, char c) { buf_put(b, span_make(&c, 1)); }

void buf_put_u64(struct buf *b, uint64_t v)
{
    char  digits[20];
    char *p = digits + sizeof digits;

    do
        *--p = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    buf_put(b, span_between(p, digits + sizeof digits));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    char   *to;
    int     n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        panic("bad format %s", fmt);
    if ((to = buf_reserve(b, (size_t)n)) == NULL)
        return;
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
    n = n < b->n ? n : b->n;
    memmove(b->p, b->p + n, b->n - n);
    set_length(b, b->n - n);
}
