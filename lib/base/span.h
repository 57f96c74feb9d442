/* lib/base/span.h - a view of bytes that somebody else owns.
 *
 * A span is a pointer and a length; it is never NUL-terminated by promise, may hold any byte, and is valid as
 * long as what it points into. The empty span may have p == NULL. Passed by value. Case-insensitive helpers
 * fold ASCII only: text in people's languages is folded by mail/text.h. */
#ifndef POSTERN_BASE_SPAN_H
#define POSTERN_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t      n;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* The struct whose member `p` points at. */
#define HOLDER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE ((struct span){NULL, 0})
#define SPAN_ARG(s) (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), ((s).p ? (s).p : "") /* for "%.*s" */

static inline struct span span_make(const void *p, size_t n) { return (struct span){(const char *)p, n}; }
static inline struct span span_of(const char *s) { return (struct span){s, s ? strlen(s) : 0}; }
static inline struct span span_between(const char *a, const char *b) { return (struct span){a, (size_t)(b - a)}; }

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool span_is(struct span a, const char *s) { return span_eq(a, span_of(s)); }

/* Byte order; a prefix sorts first. */
int  span_cmp(struct span a, struct span b);
bool span_eq_ci(struct span a, struct span b);
bool span_is_ci(struct span a, const char *s);
bool span_starts(struct span a, struct span prefix);
bool span_starts_ci(struct span a, struct span prefix);
bool span_ends(struct span a, struct span suffix);
/* No byte above 127. */
bool span_is_ascii(struct span a);

/* Offset of the first (chr, find) or last (rchr) occurrence, or a.n when there is none. An empty needle is at 0.
 * span_find_ci costs a.n * needle.n at worst: for short needles. */
size_t span_chr(struct span a, char c);
size_t span_rchr(struct span a, char c);
size_t span_find(struct span a, struct span needle);
size_t span_find_ci(struct span a, struct span needle);

/* a without its first n bytes / only its first n bytes; n beyond the end is the end. */
static inline struct span span_skip(struct span a, size_t n)
{
    n = n < a.n ? n : a.n;
    return (struct span){a.p ? a.p + n : NULL, a.n - n};
}
static inline struct span span_head(struct span a, size_t n) { return (struct span){a.p, n < a.n ? n : a.n}; }

/* Without the blanks (SP, TAB, CR, LF) at both ends. */
struct span span_trim(struct span a);

/* Takes the part of *rest before `sep` and moves *rest behind it. False when *rest was used up (p == NULL). */
bool span_next(struct span *rest, char sep, struct span *part_out);

/* The next line of *rest without its LF or CRLF. False at the end. A last line without line end counts. */
bool span_line(struct span *rest, struct span *line_out);

/* Decimal digits only, the whole span, no sign, no blank. False on anything else or on overflow. */
bool span_u64(struct span a, uint64_t *out);
/* The same with an optional leading '-'. */
bool span_i64(struct span a, int64_t *out);

/* 64-bit seeded hash (XXH3), the seed drawn once a process: not stable across runs. */
uint64_t span_hash(struct span a);
uint64_t span_seed(void); /* that seed, for other hashes */

/* malloc'd NUL-terminated copy; aborts when memory is out. */
char *span_strdup(struct span a);

#endif
