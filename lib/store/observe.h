/* lib/store/observe.h - beside a filter that decides: where we would have done something else. */
#ifndef POSTERN_STORE_OBSERVE_H
#define POSTERN_STORE_OBSERVE_H

#include "store/message.h"

/* Within the transaction that writes the message; a UID that is there already is left alone. */
int store_observed_put(struct store *s, const struct store_message *m, struct err *e);

struct store_observed_sum {
    struct span ours, theirs;
    int64_t     count;
};
typedef int (*store_observed_sum_fn)(void *ctx, const struct store_observed_sum *sum);
/* How often which pair came, since then, the most frequent first. */
int store_observed_sums(struct store *s, int64_t since_us, store_observed_sum_fn fn, void *ctx, struct err *e);

struct store_observed {
    struct span uid, ours, theirs, sender;
    int64_t     at_us, recipients;
    bool        has_rule;
    struct uuid rule;
};
typedef int (*store_observed_fn)(void *ctx, const struct store_observed *o);
/* Those that differ, the newest first. */
int store_observed_list(struct store *s, int64_t since_us, size_t limit, store_observed_fn fn, void *ctx,
                        struct err *e);

#endif
