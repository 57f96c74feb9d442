/* rulesd/greylist.h - greylisting for those without a scanner that does it (design.md 2.5).
 *
 * Keyed by proven domain, else network (/24, /64), with sender and recipient. A tuple that comes again after the delay (300 s) and
 * within a day passes, and makes its pair (domain or network, sender) known for 35 days; known pairs skip it. In memory (bounded),
 * written behind to the store, shared by Redis when configured. Waiting is counted by the monotonic clock, so that a clock step
 * neither frees nor jails anyone; the wall clock only bridges restarts, bounded on both sides. */
#ifndef POSTERN_RULESD_GREYLIST_H
#define POSTERN_RULESD_GREYLIST_H

#include "base/conf.h"
#include "rules/evaluate.h"

#define GREYLIST_DELAY_US (300 * INT64_C(1000000))
#define GREYLIST_RETRY_US (86400 * INT64_C(1000000))
#define GREYLIST_KNOWN_US (35 * 86400 * INT64_C(1000000))

struct greylist;
/* delay_us: GREYLIST_DELAY_US, or shorter in tests. */
int  greylist_new(const struct settings *settings, int64_t delay_us, struct greylist **out, struct err *e);
void greylist_free(struct greylist **g);

enum grey { GREY_NOT_YET, GREY_PASS };
/* Any thread; locks one of 64 shards; never waits for the store or Redis (Redis is asked by a thread of its own: what other nodes
 * know arrives within moments, and a retry comes minutes later). */
enum grey greylist_ask(struct greylist *g, const struct facts *facts, const struct rcpt_facts *rcpt,
                       int64_t now_mono_us);
struct greylist_stats {
    size_t   tuples, pairs;
    uint64_t deferred, passed;
};
void greylist_stats(struct greylist *g, struct greylist_stats *out);

#endif
