/* rulesd/cache_inside.h - what the two files of the cache share: cache.c starts and stops it and hears the feed,
 * cache_card.c knows addresses and those who wait for them. For them alone. */
#ifndef POSTERN_RULESD_CACHE_INSIDE_H
#define POSTERN_RULESD_CACHE_INSIDE_H

#include "audience.h"
#include "feed.h"

#define CACHE_SHARDS 64

struct card;

/* Cards in a ring, in the order in which the clock hand passes them. */
struct ring {
    struct card *hand;
    size_t       n, max;
};

struct shard {
    pthread_mutex_t lock; /* guards all below and its cards */
    struct map      cards;
    struct ring     ours, strangers;
    uint64_t        hits, misses;
};

struct cache {
    struct desk     *light, *heavy;
    struct slots    *slots;
    struct feed     *feed;
    struct audiences people;
    struct shard     shards[CACHE_SHARDS];

    atomic_bool          away, surveyed, surveying;
    struct job           survey;
    atomic_uint_fast64_t load_errors, changes;
};

void cards_init(struct cache *c, const struct cache_limits *limits);
void cards_fini(struct cache *c);
/* Whoever waits for an address is told so at once, whatever came of it. */
void cards_tell(struct cache *c);
/* The same, for the last time: the desks have stopped. Each done() was called once then. */
void cards_end(struct cache *c);

#endif
