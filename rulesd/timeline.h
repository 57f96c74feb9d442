/* rulesd/timeline.h - what became of mail: events of an MTA (maillog.h), joined to deliveries and written to the store.
 *
 * Join     By queue id: the scan's, one that XFORWARD or an earlier event has linked to it; else by Message-ID and recipient within
 *          an hour (then the queue id is linked). Recipients by orig_to, else to, without regard to case; where a message has one
 *          recipient alone, whatever the MTA has made of the address is that one. Several targets of an alias: several
 *          attempts of the one delivery.
 * States   queued: in the queue or on hold · deferred, delivered, bounced: the attempt says so · bounced: expired, or deleted by the
 *          administrator of the queue before anybody had it. They only go on (store/attempt.h). An attempt that hands the message
 *          to another queue of the same log, as a content filter does, leaves it queued.
 * Waiting  A row lags its scan by some 100 ms, so an event without one waits for up to TIMELINE_WAIT_US; then it is given up: most
 *          mail of an MTA is none of ours. So does an attempt for who is held: it may be a release whose row lags. All is bounded: see TIMELINE_WAITING_MAX and TIMELINE_OPEN_MAX.
 * Places   An event may carry where it was read. What timeline_place() yields is safe to begin from again: every event before it is
 *          written or given up.
 * Threads  One at a time. */
#ifndef POSTERN_RULESD_TIMELINE_H
#define POSTERN_RULESD_TIMELINE_H

#include "maillog.h"
#include "store/attempt.h"

#define TIMELINE_WAIT_US INT64_C(10000000)
#define TIMELINE_WAITING_MAX 100000 /* events; beyond, who feeds it has to let it write */
#define TIMELINE_OPEN_MAX 200000    /* queue ids remembered; who comes back later is asked for in the store again */

struct timeline;
struct timeline *timeline_new(void);
void             timeline_free(struct timeline **t);

/* Copies what it needs. `source` (0 … TIMELINE_SOURCES_MAX - 1) and `place`: where it was read. */
#define TIMELINE_SOURCES_MAX 64
void timeline_take(struct timeline *t, const struct mail_event *ev, unsigned source, int64_t place,
                   int64_t now_mono_us);
/* Before a log is read on from where it was left: what an older line of it tells about queue ids and connections, and nothing else. */
void timeline_recall(struct timeline *t, const struct mail_event *ev, int64_t now_mono_us);

/* Is anything due to be joined? */
bool timeline_due(const struct timeline *t, int64_t now_mono_us);
/* Room for more events? */
bool timeline_full(const struct timeline *t);
/* Joins what is due, and writes it with these positions, in one transaction. `give_up`: what finds nothing now is not kept. On -1
 * nothing is lost: the next one tries again. place_of_ctx: fills in the positions once it is known what will have been
 * written; NULL: none. */
struct timeline_write {
    int64_t now_mono_us;
    bool    give_up;
    size_t (*positions)(void *ctx, const struct timeline *t, const struct store_position **out);
    void *ctx;
};
int timeline_write(struct timeline *t, struct store *s, const struct timeline_write *how, struct err *e);
/* The place of the oldest event of a source that waits, or `read` when none does. */
int64_t timeline_place(const struct timeline *t, unsigned source, int64_t read);

struct timeline_stats {
    uint64_t events;  /* that were taken */
    uint64_t joined;  /* that spoke of a delivery of ours */
    uint64_t unknown; /* given up */
    uint64_t nobody;  /* of a message of ours, for a recipient that it does not have */
    uint64_t attempts, moved;
    size_t   open, waiting;
};
void timeline_stats(const struct timeline *t, struct timeline_stats *out);

/* All at once, for who has events and no log: unknown ones are not waited for. */
int timeline_tell(struct store *s, const struct mail_event *events, size_t n, struct timeline_stats *out,
                  struct err *e);

#endif
