/* lib/net/wire.h - what both protocols' codecs share.
 *
 * A codec is a state machine over one growing buffer `in` that its caller appends bytes to (by read(2) straight into
 * buf_reserve()): step() looks at what is new, keeps its place, and says what it needs. Nothing is copied: header
 * values and the body are spans into `in`, valid until the caller consumes or appends after WIRE_DONE. Input may be
 * split anywhere; the outcome is the same. Codecs never read, write or log.
 *
 * WIRE_DONE  a whole request; `used` bytes of `in` belong to it, what follows is the next one (or to be drained).
 * WIRE_BAD   refused; the reply is made by *_put_error(); the caller writes it, shuts down its side, and drains. */
#ifndef POSTERN_NET_WIRE_H
#define POSTERN_NET_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum wire_step { WIRE_MORE, WIRE_DONE, WIRE_BAD };
enum wire_kind { WIRE_UNDECIDED, WIRE_HTTP, WIRE_SPAMC };

#define WIRE_LINE_MAX 8192

struct wire_limits {
    size_t body_max;    /* bytes on the wire, and after decompression */
    size_t head_max;    /* 1 MiB for trusted callers, else 80 KiB */
    size_t rcpt_max;    /* Rcpt fields: 10,000 */
    size_t headers_max; /* other fields: 1,000 (HTTP); spamd has 255 lines */
    size_t
        unpack_max; /* a body that grows beyond this stays packed, for *_unpack() on a thread with time; 0: none does */
};

static inline size_t wire_unpack_first(const struct wire_limits *l)
{
    return l->unpack_max > 0 && l->unpack_max < l->body_max ? l->unpack_max : l->body_max;
}

/* Whose protocol do these first bytes speak? The word after the last blank of the first line tells: HTTP/…, SPAMC/…,
 * RSPAMC/…. UNDECIDED while the line is not complete and shorter than WIRE_LINE_MAX; else `fallback`. */
enum wire_kind wire_detect(struct span in, enum wire_kind fallback);

/* The next line of a growing buffer, its LF included; *pos moves behind it. False when its end has not come yet. *scan
 * remembers up to where no line end was found, so that slow senders cost no more than fast ones. Both start at 0. */
bool wire_line(const struct buf *in, size_t *pos, size_t *scan, struct span *line_out);
/* A line of wire_line() without its end, which may be LF alone. */
struct span wire_chop(struct span line);

/* zlib (RFC 1950) and zstd, bounded: appends at most `max` bytes to out, whose own ceiling must be higher.
 * -1: ERR_INVALID damaged or cut short, ERR_LIMIT too large.
 * zstd: several frames may follow each other; windows up to 8 MiB, what RFC 8878 asks of every decoder. */
int wire_inflate(struct span in, size_t max, struct buf *out, struct err *e);
int wire_unzstd(struct span in, size_t max, struct buf *out, struct err *e);

/* A list of repeated values in the request's arena. */
struct span_list {
    struct span *items;
    size_t       n, cap;
};
/* False when the arena is at its ceiling. */
bool span_list_put(struct span_list *l, struct arena *a, struct span item);
/* Puts the addresses of one Rcpt field: split at commas outside quoted strings, trimmed, empty ones dropped.
 * False when the list would exceed `max` or the arena its ceiling. */
bool wire_put_addresses(struct span_list *l, struct arena *a, struct span field, size_t max);

/* The buffer moved from `old` to `now` (a growing `in`): makes a span into it point there again. */
static inline void wire_rebase(struct span *s, const char *old, const char *now)
{
    if (s->p != NULL)
        s->p = now + ((uintptr_t)s->p - (uintptr_t)old);
}

/* scaled / 10^decimals with exactly that many digits (1 … 6) behind the point: (-150, 1) is -15.0. */
void wire_put_fixed(struct buf *out, int64_t scaled, int decimals);
/* v * 10^decimals, rounded to the nearest. What is not finite counts as 0, what is huge as 1e9. */
int64_t wire_scale(double v, int decimals);
/* The same two in one, without zeros at the end but for the first digit behind the point: 15.0, -0.125.
 * Never an exponent, NaN, infinity or -0.0. */
void wire_put_decimal(struct buf *out, double v, int decimals);

#endif
