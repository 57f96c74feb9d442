/* lib/store/ordered.h - rows of the log that several write at the same moment: hits, counters, who is greylisted. For lib/store alone.
 *
 * All of them in one transaction, and in one order for everybody: two who write the same rows at once wait for each other, instead of
 * locking each other out. */
#ifndef POSTERN_STORE_ORDERED_H
#define POSTERN_STORE_ORDERED_H

#include "store/store.h"

struct ordered {
    const void *rows; /* n of `size` bytes each */
    size_t      n, size;
    int (*order)(const void *a,
                 const void *b); /* of two rows, as qsort() asks; those of one key may come in any order */
    const char *sql;             /* what put() adds to is a batch of it; NULL: put() runs what it needs */
    int (*put)(struct store *s, void *ctx, const void *row, struct err *e);
    void *ctx;
};
/* Outside of a transaction. All of the rows or none. */
int ordered_put(struct store *s, const struct ordered *o, struct err *e);

#endif
