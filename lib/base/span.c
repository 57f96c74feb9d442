/* lib/base/span.c - see span.h. The hash is the only state: a seed, drawn at first use. */
#include "base/span.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/err.h"

static unsigned char fold(char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c; }

static bool same_ci(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fold(a[i]) != fold(b[i]))
            return false;
    }
    return true;
}

static struct span tail(struct span a, size_t n) { return span_skip(a, a.n - n); }

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int    order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

bool span_eq_ci(struct span a, struct span b) { return a.n == b.n && same_ci(a.p, b.p, a.n); }

bool span_is_ci(struct span a, const char *s) { return span_eq_ci(a, span_of(s)); }

bool span_starts(struct span a, struct span prefix)
{
    return a.n >= prefix.n && span_eq(span_head(a, prefix.n), prefix);
}

bool span_starts_ci(struct span a, struct span prefix)
{
    return a.n >= prefix.n && span_eq_ci(span_head(a, prefix.n), prefix);
}

bool span_ends(struct span a, struct span suffix) { return a.n >= suffix.n && span_eq(tail(a, suffix.n), suffix); }

bool span_is_ascii(struct span a)
{
    for (size_t i = 0; i < a.n; i++)
        if ((unsigned char)a.p[i] > 127)
            return false;
    return true;
}

size_t span_chr(struct span a, char c)
{
    const char *hit = a.n > 0 ? memchr(a.p, c, a.n) : NULL;

    return hit ? (size_t)(hit - a.p) : a.n;
}

size_t span_rchr(struct span a, char c)
{
    const char *hit = a.n > 0 ? memrchr(a.p, c, a.n) : NULL;

    return hit ? (size_t)(hit - a.p) : a.n;
}

size_t span_find(struct span a, struct span needle)
{
    const char *hit;

    if (needle.n == 0)
        return 0;
    hit = a.n >= needle.n ? memmem(a.p, a.n, needle.p, needle.n) : NULL;
    return hit ? (size_t)(hit - a.p) : a.n;
}

size_t span_find_ci(struct span a, struct span needle)
{
    if (needle.n == 0)
        return 0;
    for (size_t i = 0; needle.n <= a.n && i <= a.n - needle.n; i++) {
        if (same_ci(a.p + i, needle.p, needle.n))
            return i;
    }
    return a.n;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

struct span span_trim(struct span a)
{
    while (a.n > 0 && is_blank(a.p[0]))
        a = span_skip(a, 1);
    while (a.n > 0 && is_blank(a.p[a.n - 1]))
        a.n--;
    return a;
}

bool span_next(struct span *rest, char sep, struct span *part_out)
{
    size_t at = span_chr(*rest, sep);

    if (rest->p == NULL)
        return false;
    *part_out = span_head(*rest, at);
    *rest = at < rest->n ? span_skip(*rest, at + 1) : SPAN_NONE;
    return true;
}

bool span_line(struct span *rest, struct span *line_out)
{
    size_t at = span_chr(*rest, '\n');

    if (rest->n == 0)
        return false;
    *line_out = span_head(*rest, at);
    if (at < rest->n && at > 0 && rest->p[at - 1] == '\r')
        line_out->n--;
    *rest = span_skip(*rest, at + 1);
    return true;
}

bool span_u64(struct span a, uint64_t *out)
{
    uint64_t v = 0;

    if (a.n == 0)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        unsigned digit = (unsigned)(unsigned char)a.p[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *out = v;
    return true;
}

bool span_i64(struct span a, int64_t *out)
{
    bool     negative = span_starts(a, SPAN("-"));
    uint64_t size, most = (uint64_t)INT64_MAX + negative;

    if (!span_u64(span_skip(a, negative), &size) || size > most)
        return false;
    *out = (int64_t)(negative ? 0 - size : size);
    return true;
}

/* Whoever comes first draws the seed; who loses the race takes the winner's. */
uint64_t span_seed(void)
{
    static _Atomic uint64_t seed;
    uint64_t                fresh, now = atomic_load_explicit(&seed, memory_order_relaxed);

    if (now != 0)
        return now;
    if (getrandom(&fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
        panic("getrandom gave no seed");
    fresh |= 1; /* 0 means: not drawn yet */
    return atomic_compare_exchange_strong(&seed, &now, fresh) ? fresh : now;
}

uint64_t span_hash(struct span a) { return XXH3_64bits_withSeed(a.p ? a.p : "", a.n, span_seed()); }

char *span_strdup(struct span a)
{
    char *copy = malloc(a.n + 1);

    if (copy == NULL)
        panic("out of memory for %zu bytes", a.n);
    if (a.n > 0)
        memcpy(copy, a.p, a.n);
    copy[a.n] = '\0';
    return copy;
}
