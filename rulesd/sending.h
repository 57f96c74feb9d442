/* rulesd/sending.h - what signed-in people send: counted, limited, and stopped where it goes on (design.md 3, 7).
 *
 * Messages and recipients are counted by clock hour and day (UTC), of the sender and of the sender's domain. Over a
 * limit a message is deferred, and not counted; who goes on for `block_after` messages within an hour is blocked,
 * with the reason and the evidence, until somebody unblocks (`postern sender`). Limits and blocks are rows of the
 * store, and hold within 200 ms of their commit. The decision is made in memory. A thread writes behind, to Redis
 * where that is configured and else to the store, twice a second, and learns the totals from there: with several
 * nodes a sender may get beyond a limit by what passes elsewhere in that time. While the database is away memory
 * alone counts, with the last limits. Bounded: the longest unused senders are forgotten (the totals are learnt
 * again). */
#ifndef POSTERN_RULESD_SENDING_H
#define POSTERN_RULESD_SENDING_H

#include "base/conf.h"
#include "store/sending.h"

enum sending_verdict {
    SENDING_OK,      /* counted */
    SENDING_DEFER,   /* over a limit: 451 */
    SENDING_BLOCKED, /* may not send: 554 */
};
/* What the sender is told, with the enhanced code in front: "4.7.1 …", "5.7.1 …"; "" for SENDING_OK. */
const char *sending_text(enum sending_verdict v);

struct sending_facts {
    struct span user;   /* as the MTA has authenticated it: an address, or a name */
    struct span sender; /* of the envelope; for the evidence */
    struct span ip, queue_id;
    size_t      nrcpt;
    int64_t     now_us; /* wall clock */
};

struct sending;
int  sending_new(const struct settings *settings, struct sending **out, struct err *e); /* starts its threads */
void sending_free(struct sending **s);                                                  /* writes what is left */

/* Once a message, before it is judged. Any thread; never waits for the store or Redis. Without a user: SENDING_OK,
 * not counted. */
enum sending_verdict sending_ask(struct sending *s, const struct sending_facts *f);

struct sending_stats {
    size_t   senders; /* in memory, domains included */
    size_t   waiting; /* of those, whose sums are not written yet */
    size_t   blocked; /* senders */
    uint64_t counted, deferred, refused;
};
void sending_stats(struct sending *s, struct sending_stats *out);

#endif
