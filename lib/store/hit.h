/* lib/store/hit.h - how often rules and their entries matched, by day (UTC), in the log database. */
#ifndef POSTERN_STORE_HIT_H
#define POSTERN_STORE_HIT_H

#include "store/store.h"

#define HIT_RULE 0 /* `entry` of the rule as a whole; entries have numbers of the caller's choosing, not 0 */

struct store_hit {
    struct uuid rule;
    int64_t     entry;
    int64_t     day; /* days since 1970 */
    int64_t     count;
    int64_t     last_us;
};
static inline int64_t hit_day(int64_t at_us) { return at_us / (86400 * INT64_C(1000000)); }

/* Adds the counts, in one transaction. Collect for a second or so, then call this. */
int store_hits_add(struct store *s, const struct store_hit *hits, size_t n, struct err *e);
/* One rule since a day, all days together: count and last hit of the rule, 0 and 0 without any. */
int store_hits_of(struct store *s, struct uuid rule, int64_t since_day, int64_t *count_out, int64_t *last_us_out,
                  struct err *e);
/* The entries of one rule since a day, a row each (`day` is 0). */
typedef int (*store_hit_fn)(void *ctx, const struct store_hit *h);
int store_hits_entries(struct store *s, struct uuid rule, int64_t since_day, store_hit_fn fn, void *ctx, struct err *e);
/* Forgets days before `day`. */
int store_hits_trim(struct store *s, int64_t day, struct err *e);

#endif
