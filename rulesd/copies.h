/* rulesd/copies.h - short-lived copies of delivered mail ([copies]), so that a report of it has something to learn from.
 *
 * A courtesy: whoever puts one never waits for it, and no mail is deferred because of it. One thread seals and syncs them into
 * custody's vault, behind the reply and behind what is held; their custody rows follow by the journal. A copy is left out, and
 * counted, when
 *   - too much waits already (COPIES_WAITING bytes), or the server stops;
 *   - the disk has less free than twice min_free: that room is for what is held;
 *   - one of its domains has reached held_max, copies included.
 * The thread rests as long as it worked, and waits while custody has something to do or the log is behind. */
#ifndef POSTERN_RULESD_COPIES_H
#define POSTERN_RULESD_COPIES_H

#include "custody.h"

#define COPIES_WAITING ((size_t)64 << 20)

struct copies;
/* delivered_hours is 0, or there is no custody: *out is NULL. custody and journal are borrowed, and outlive it. */
int copies_new(const struct settings *settings, struct custody *custody, struct journal *journal, struct copies **out,
               struct err *e);
/* Any thread, once custody is open. record.copy and keep_us are set; both are copied. */
void copies_put(struct copies *c, const struct store_message *record, struct span message);
/* What waits is left out. */
void copies_free(struct copies **c);

struct copies_stats {
    uint64_t kept, left_out;
    size_t   waiting, waiting_bytes;
};
void copies_stats(struct copies *c, struct copies_stats *out);

#endif
