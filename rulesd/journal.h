/* rulesd/journal.h - the message log, written behind the scans: one transaction for all that came within 50 ms.
 *
 * Records are copied when they are put, so nobody waits for the disk; the row lags the reply by at most 100 ms while the database is
 * well. While it is away records wait in memory, in order; none is dropped. Who looks at journal_lag_us() before a scan may have
 * the sender try again later (design.md 5: beyond 2 s). A clean stop writes what is left. */
#ifndef POSTERN_RULESD_JOURNAL_H
#define POSTERN_RULESD_JOURNAL_H

#include "base/conf.h"
#include "store/message.h"

struct journal;
int  journal_new(const struct settings *settings, struct journal **out, struct err *e); /* starts the writing thread */
void journal_free(struct journal **j);                                                  /* writes what is left */
/* Any thread; takes a lock for the time of a list insertion. */
void journal_put(struct journal *j, const struct store_message *m);
/* How long the oldest record has been waiting; 0: none waits. Any thread, without a lock. */
int64_t journal_lag_us(const struct journal *j, int64_t now_mono_us);

struct journal_stats {
    uint64_t records, deliveries, commits, failures;
    uint64_t commit_us_max;
    size_t   waiting, waiting_bytes;
};
void journal_stats(struct journal *j, struct journal_stats *out);

#endif
