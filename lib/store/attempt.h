/* lib/store/attempt.h - what became of a delivery after it was judged: what the MTA's log, an ingest or a release tells of it.
 *
 * Join     By queue id: that of the scan, or one that a store_queue_link has tied to it (a release, a second queue). Where no queue id
 *          is known, by Message-ID and recipient (store/join.h).
 * Once     The same event twice does nothing, nor does an older one undo a newer: a delivery goes on through received, queued,
 *          deferred, bounced, delivered, and never back; of several attempts with one state each is kept.
 * Hearsay  What was not let through (quarantined, removed, blocked, rejected, discarded, deferred by us) is moved by no event
 *          before it is released. Verdict and custody are moved by none.
 * Texts    are cleaned and cut by who fills them, as in message.h; a response is cut at STORE_RESPONSE_MAX. */
#ifndef POSTERN_STORE_ATTEMPT_H
#define POSTERN_STORE_ATTEMPT_H

#include "store/message.h"

#define STORE_RESPONSE_MAX 1000
#define STORE_ATTEMPTS_MAX 200 /* of a delivery; later ones move its state only */

/* A further queue id under which a message, or one delivery of it (n > 0), goes on. */
struct store_queue_link {
    struct span queue_id;
    struct uuid uid;
    int64_t     n; /* 0: all */
    int64_t     at_us;
};

struct store_event {
    struct uuid         uid;
    int64_t             n;
    int64_t             at_us;
    bool                has_state; /* false: the attempt alone */
    enum delivery_state state;
    bool                has_attempt; /* what follows */
    struct span         queue_id;    /* under which it went out */
    struct span         final_recipient, host, ip, tls, dsn, response;
    int64_t             port, code; /* 0: none */
};

/* How far a log file has been read. */
struct store_position {
    struct span path;
    int64_t     device, inode, position;
    struct span check; /* a hash of the bytes before the position, at most 64: an inode may be used again */
};

/* Everything or nothing, in one transaction: links, then events in their order, then positions. */
struct store_events {
    const struct store_event      *events;
    size_t                         nevents;
    const struct store_queue_link *links;
    size_t                         nlinks;
    const struct store_position   *positions;
    size_t                         npositions;
};
struct store_events_done {
    uint64_t moved, attempts; /* states changed, attempts added */
    uint64_t known;           /* events that were known already, or too late to say anything */
    uint64_t strange;         /* events for a delivery that is not there, or is held */
};
/* done may be NULL. */
int store_events_put(struct store *s, const struct store_events *all, struct store_events_done *done, struct err *e);

/* 1 and the position (its spans in `a`), 0 none, -1. This node's. */
int store_position_get(struct store *s, struct span path, struct arena *a, struct store_position *out, struct err *e);

/* Released from custody: its status is as that of clean mail from now on. By who has released it, not by hearsay.
 * queue_id: under which it goes on now; "": not known. */
int store_delivery_released(struct store *s, const struct uuid *uid, int64_t n, struct span queue_id, int64_t at_us,
                            struct err *e);

#endif
