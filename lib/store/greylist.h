/* lib/store/greylist.h - who has been asked to come again, and who did. The log database.
 *
 * A row remembers two clocks: when it was first seen by the wall clock, and how long it is known to have waited
 * by monotonic clocks. Who judges counts the wait within one run by the monotonic clock and carries it here; the
 * wall clock bridges restarts only, bounded on both sides, so that its steps neither free nor jail anyone. */
#ifndef POSTERN_STORE_GREYLIST_H
#define POSTERN_STORE_GREYLIST_H

#include "store/store.h"

enum grey_kind {
    GREY_TUPLE, /* sender, recipient, and proven domain or network: waiting */
    GREY_PAIR,  /* sender and proven domain or network: known, passes */
};
struct store_grey {
    enum grey_kind kind;
    uint8_t        key[16];   /* a hash of what it stands for, made by who judges */
    int64_t        first_us;  /* wall clock, of the first try */
    int64_t        seen_us;   /* wall clock, of the last */
    int64_t        waited_us; /* known to have passed since the first */
    int64_t        count;     /* tries of a tuple, passes of a pair */
};
typedef int (*store_grey_fn)(void *ctx, const struct store_grey *g);

/* 1 and the row, 0 there is none, -1. */
int store_grey_get(struct store *s, enum grey_kind kind, const uint8_t key[16], struct store_grey *out, struct err *e);
/* Adds or replaces, all in one transaction. */
int store_grey_put(struct store *s, const struct store_grey *rows, size_t n, struct err *e);
/* The most recently seen rows, for a start with a warm memory. */
int store_grey_load(struct store *s, size_t limit, store_grey_fn fn, void *ctx, struct err *e);
/* Forgets what was last seen before. */
int store_grey_trim(struct store *s, enum grey_kind kind, int64_t before_us, struct err *e);

#endif
