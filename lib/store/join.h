/* lib/store/join.h - whose deliveries are meant: by a queue id, or where none is known by Message-ID and recipient.
 *
 * Many questions at once cost PostgreSQL three statements a thousand, however long the way to it is; SQLite is beside us, and is asked
 * one by one. Each has the answer that it would have alone. */
#ifndef POSTERN_STORE_JOIN_H
#define POSTERN_STORE_JOIN_H

#include "store/message.h"

struct store_join {
    struct uuid         uid;
    int64_t             n;
    int64_t             at_us; /* of the message */
    enum delivery_state state;
    bool                held;      /* not let through, and not released */
    struct span         recipient; /* as given */
};

struct store_join_ask {
    struct span handle;    /* the queue id, or the Message-ID with its brackets; empty or no text: answered by none */
    struct span recipient; /* for Message-IDs: whose delivery, without regard to case */
    int64_t     at_us;
};
/* `which` of the questions it answers, in their order. 0: go on; else it is over for all of them. */
typedef int (*store_join_fn)(void *ctx, size_t which, const struct store_join *j);

#define STORE_JOIN_QUEUE_US (24 * 3600 * INT64_C(1000000))
#define STORE_JOIN_ID_US (3600 * INT64_C(1000000))
#define STORE_JOIN_MAX 10000 /* deliveries that are yielded at most, for each question */

/* Every delivery of the messages under a queue id: those within 24 h before or after at_us, the newest message first; where there
 * are none, those of the newest older message (a queue keeps mail for days). */
int store_join_queues(struct store *s, const struct store_join_ask *asks, size_t n, store_join_fn fn, void *ctx,
                      struct err *e);
/* Deliveries of this recipient under a Message-ID, within an hour before or after. */
int store_join_message_ids(struct store *s, const struct store_join_ask *asks, size_t n, store_join_fn fn, void *ctx,
                           struct err *e);

/* Around many of them: they need not lock the log for each. Nothing is written in between. */
int  store_join_begin(struct store *s, struct err *e);
void store_join_end(struct store *s);

#endif
