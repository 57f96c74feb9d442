/* rulesd/cache.h - who a recipient is and which compiled rules hold for it, without asking the database twice.
 *
 * audience  what an address means: resolved, its domain's settings and thresholds, and the slots of its scopes. Immutable,
 *           counted, kept in a table of 64 shards, each with a lock of its own; bounded (least recently used go); strangers'
 *           addresses are kept too (negative entries, bounded apart).
 * slot      one scope's place (slot.h): the compiled scope that holds now, swapped whole when its rules change. Loading and
 *           compiling happen on the cache's own threads (desk.h), never on a loop.
 * feed      one thread follows the change feed (feed.h): within 200 ms of a commit new audiences and scopes hold. Small changes
 *           become overlays; large scopes are merged in the background. A change never stalls a reader: it swaps a pointer.
 *
 * Database away: what is cached goes on deciding (stale, counted and logged once a minute); what is not cached fails
 * with ERR_LOST or ERR_BUSY, which callers turn into a temporary failure. Nothing is thrown out meanwhile. */
#ifndef POSTERN_RULESD_CACHE_H
#define POSTERN_RULESD_CACHE_H

#include "base/conf.h"
#include "rules/judge.h"
#include "store/address.h"
#include "store/setting.h"

struct cache;
struct audience;

struct cache_limits {
    size_t audiences_max; /* 200,000 */
    size_t strangers_max; /* 50,000 */
    size_t bytes_max;     /* of compiled scopes that nobody is using: 1 GiB */
};

/* Opens the store, starts the threads, loads the global scope. -1: cannot start. */
int  cache_new(const struct settings *settings, const struct cache_limits *limits, struct cache **out, struct err *e);
void cache_free(struct cache **c); /* when no loop thread runs any more, and all audiences are dropped */
/* Does everything that was asked for at the start stand compiled (global scope, large scopes)? For /ready. */
bool cache_ready(struct cache *c);
/* The number of the last change that was told: what was read after this holds all up to it. One atomic read. */
int64_t cache_feed_seq(const struct cache *c);
bool    cache_is_stale(const struct cache *c); /* the database is away: changes are not heard of */

/* 1: *out is held (drop it); 0: not known yet, use cache_load(); -1: known to fail right now, with e. `address` is
 * in normal form; the empty span stands for "no recipient": global rules and thresholds. Any thread; takes one shard
 * lock. */
int  cache_get(struct cache *c, struct span address, struct audience **out, struct err *e);
void audience_drop(struct audience **a);

/* Asks for what is missing: when every address is there (or failed), done(ctx) is called on a thread of the cache's;
 * it must be short (wake a loop). Addresses are copied. Same addresses asked at once are loaded once. Never blocks.
 * done is called exactly once, at the latest by cache_free(): ctx has to live until then. A scope that is compiled
 * for the first time is waited for, at most 3 s; then the address has failed for now (ERR_BUSY). */
void cache_load(struct cache *c, const struct span *addresses, size_t n, void (*done)(void *ctx), void *ctx);

const struct store_resolved    *audience_who(const struct audience *a);
const struct store_domain_view *audience_domain(const struct audience *a);
struct thresholds               audience_thresholds(const struct audience *a);
/* The scope that holds now, held for the caller (drop it), or NULL where there is none (a stranger's domain, no
 * mailbox) or none with rules. ERR_BUSY: it was thrown out for want of memory since cache_get() said 1; ask
 * cache_load() again. */
int audience_scope(const struct audience *a, enum scope_kind kind, struct scope **out, struct err *e);

struct cache_stats {
    uint64_t hits, misses, loads, load_errors, changes, compiles, overlays, merges;
    uint64_t compile_us_max;
    size_t   audiences, strangers, slots, scope_bytes;
    int64_t  stale_since_us; /* monotonic; 0: the database is there */
    int64_t  feed_seq;
};
void cache_stats(struct cache *c, struct cache_stats *out);

#endif
