/* rulesd/feed.h - one thread that follows the change feed.
 *
 * Every change after the number that it began with is told once, in order, on the feed's thread; after a failure some may be told
 * again. A gap (the feed's rows are gone, or the database was restored from a backup) is told instead of what it swallowed.
 * The functions must not block: they note what is to be done, and others do it. */
#ifndef POSTERN_RULESD_FEED_H
#define POSTERN_RULESD_FEED_H

#include "store/change.h"

#define FEED_TICK_MS 100

struct feed_sink {
    void (*change)(void *ctx, const struct store_change *c);
    void (*gap)(void *ctx);
    void (*tick)(void *ctx, bool away); /* every FEED_TICK_MS or so; is the database away? */
    void *ctx;
};

struct feed;
/* -1: the database cannot be opened, or a thread cannot be started. What is read after this is told or contained. */
int  feed_new(const char *url, const struct feed_sink *sink, struct feed **out, struct err *e);
void feed_free(struct feed **f); /* stops it; may wait FEED_TICK_MS, or a statement's time limit */

int64_t feed_seq(const struct feed *f);
int64_t feed_stale_since_us(const struct feed *f); /* monotonic; 0: the database is there */

#endif
