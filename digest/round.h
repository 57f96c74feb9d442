/* digest/round.h - what is due is begun: a run with its items for each subscription whose hour has come.
 *
 * Any number of daemons, any time one of them dies: the claim says whose a subscription is for now, the run's unique key that its window
 * is begun once, and only then does the subscription move on to its next hour. Many hours that were missed are one digest. */
#ifndef POSTERN_DIGEST_ROUND_H
#define POSTERN_DIGEST_ROUND_H

#include <stdatomic.h>

#include "letter/content.h"

/* Since the start; read by any thread. */
struct round_counts {
    atomic_ullong begun, quiet, nothing,
        skipped; /* nothing: there was nothing new; skipped: paused, or nobody's any more */
};
/* All is borrowed. */
struct round {
    struct digest_look   look;
    struct span          by; /* this claimer's name */
    struct round_counts *counts;
    struct arena        *a; /* reset between subscriptions */
};
/* One batch: how many subscriptions it has gone through, 0: nothing is due; or -1. */
int round_step(struct round *r, int64_t now_us, struct err *e);

/* The last of a choice's hours that has come by now, of those from due_us on, which is one: what a digest that runs late tells of ends
 * there. */
int64_t round_last_us(const struct store_digest_choice *c, int64_t due_us, int64_t now_us);
/* The next run of a choice after then. A zone that is not installed any more counts as UTC: late is better than never. */
int64_t round_next_us(const struct store_digest_choice *c, int64_t after_us);

#endif
