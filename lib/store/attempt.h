/* lib/store/attempt.h - what became of a delivery after it was judged: what the MTA's log, an ingest or a release tells of it.
 *
 * Join     By queue id: that of the scan, or one that store_queue_link() has tied to it (a release, a second queue). Where no queue id
 *          is known, by Message-ID and recipient.
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

/* ---- Which deliveries an event speaks of ---- */
struct store_join {
    struct uuid         uid;
    int64_t             n;
    int64_t             at_us; /* of the message */
    enum delivery_state state;
    bool                held;      /* not let through, and not released */
    struct span         recipient; /* as given */
};
typedef int (*store_join_fn)(void *ctx, const struct store_join *j);

#define STORE_JOIN_QUEUE_US (24 * 3600 * INT64_C(1000000))
#define STORE_JOIN_ID_US (3600 * INT64_C(1000000))
#define STORE_JOIN_MAX 10000 /* deliveries that are yielded at most */

/* Every delivery of the messages under a queue id: those within 24 h before or after at_us, the newest message first; where there
 * are none, those of the newest older message (a queue keeps mail for days). */
int store_join_queue(struct store *s, struct span queue_id, int64_t at_us, store_join_fn fn, void *ctx, struct err *e);
/* Deliveries of this recipient (without regard to case) under a Message-ID (with its brackets), within an hour before or after. */
int store_join_message_id(struct store *s, struct span message_id, struct span recipient, int64_t at_us,
                          store_join_fn fn, void *ctx, struct err *e);

/* Around many of them: they need not lock the log for each. Nothing is written in between. */
int  store_join_begin(struct store *s, struct err *e);
void store_join_end(struct store *s);

/* A further queue id under which a message, or one delivery of it (n > 0), goes on. */
struct store_queue_link {
    struct span queue_id;
    struct uuid uid;
    int64_t     n; /* 0: all */
    int64_t     at_us;
};

/* ---- What happened ---- */
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
