/* lib/store/release.h - which quarantined mail is on its way to its recipient, and how far (design.md 8).
 *
 * One row a delivery. It moves so that nobody ever sends twice without knowing, and nothing gets lost:
 *
 *     requested ──claim──> sending ──dot──> unknown ──done──> sent
 *         ^                   │                │  └──done───> failed (refused: may be requested again)
 *         └──lease lapsed─────┘                └─ no reply came: may have it or not. Only a person who says so sends it again.
 *
 * Back     what is requested and is not being sent can be withdrawn by who asked for it last: failed, with code 0.
 * Dot      `unknown` is on disk before the final dot leaves: who dies while sending leaves `sending` (nobody has it) or
 *          `unknown`, never a doubt that is not written down.
 * Lease    who sends holds the row until its lease lapses; every later step names its attempt, and one that has been overtaken
 *          changes nothing (ERR_CONFLICT).
 * Sent     stays sent: a second request is refused with what the server said. Rows go with the log of their day
 *          (store_message_trim), but not before the message itself. */
#ifndef POSTERN_STORE_RELEASE_H
#define POSTERN_STORE_RELEASE_H

#include "store/store.h"

#define RELEASE_LEASE_US ((int64_t)15 * 60 * 1000000)

enum release_state { RELEASE_REQUESTED, RELEASE_SENDING, RELEASE_UNKNOWN, RELEASE_SENT, RELEASE_FAILED };
extern const char *const release_state_words[]; /* "requested", …, NULL */

#define RELEASE_REPLY_MAX 1000
#define RELEASE_LIFTS_MAX 500
#define RELEASE_FOUND_MAX 4000
struct store_release {
    struct uuid        uid;
    int64_t            n; /* which recipient of the message, as table delivery counts */
    enum release_state state;
    int64_t            attempt; /* how often it was claimed */
    int64_t            lease_until_us, requested_us, changed_us;
    char               requested_by[200];
    char               queue_id[100];                /* the new one; "" */
    int64_t            code;                         /* of the reply; 0: none */
    char               reply[RELEASE_REPLY_MAX + 1]; /* what the server said, or why there is no reply */
    char               lifts[RELEASE_LIFTS_MAX + 1]; /* what was decided about its findings (scan/lift.h) */
    char found[RELEASE_FOUND_MAX + 1]; /* protected findings of the last scan that stopped it, as message.symbols; "" */
};

/* Asks for it, with what is decided about its findings. What was refused before is asked for again; what is requested already is so
 * for the last who asked. ERR_CONFLICT: it is sent already,
 * or (unless `again`) nobody knows whether it was. ERR_BUSY: it is being sent. The row as it is goes to *out (NULL: not wanted) then too. */
int store_release_request(struct store *s, const struct actor *by, struct uuid uid, int64_t n, bool again,
                          const char *lifts, struct store_release *out, struct err *e);
/* Takes a request of one's own back while nobody sends it: it is failed, with code 0, and may be requested again. ERR_BUSY: it is being
 * sent. ERR_CONFLICT: it was, or nobody knows, or it failed. ERR_DENIED: somebody else has asked for it since. */
int store_release_withdraw(struct store *s, const struct actor *by, struct uuid uid, int64_t n, struct err *e);
/* Is that how it ended? */
bool store_release_is_withdrawn(const struct store_release *r);
/* May `by` withdraw it, as it stands? */
bool store_release_can_withdraw(const struct store_release *r, const struct actor *by);
/* Takes it to send: one that is requested, or whose sender died before the dot. ERR_BUSY: somebody else has it. ERR_CONFLICT:
 * there is nothing to send any more. */
int store_release_claim(struct store *s, struct uuid uid, int64_t n, int64_t now_us, struct store_release *out,
                        struct err *e);
/* The final dot is about to leave. On -1 it must not. */
int store_release_dot(struct store *s, const struct store_release *r, int64_t now_us, struct err *e);
/* How it ended: r->state SENT, FAILED, UNKNOWN, or REQUESTED (nothing left: it can be claimed again), with queue_id, code,
 * reply and found. Fills changed_us. */
int store_release_done(struct store *s, struct store_release *r, struct err *e);

/* Behind a SENT: the delivery is released, and has an attempt with the new queue id. Doing it twice does nothing; where nobody came
 * to do it, the next request does the first half. */
struct store_release_hop {
    struct span recipient, host, ip;
    unsigned    port;
    bool        tls;
    struct span dsn;
};
int store_release_tell(struct store *s, const struct store_release *r, const struct store_release_hop *hop,
                       struct err *e);

/* 1 and the row, 0 there is none, -1. */
int store_release_get(struct store *s, struct uuid uid, int64_t n, struct store_release *out, struct err *e);
/* Of one message, in the order of recipients. */
typedef int (*store_release_fn)(void *ctx, const struct store_release *r);
int store_release_list(struct store *s, struct uuid uid, store_release_fn fn, void *ctx, struct err *e);
/* Whose senders died before the dot, or that nobody has taken: for who goes on with them. Oldest first. */
int store_release_open(struct store *s, int64_t now_us, size_t limit, store_release_fn fn, void *ctx, struct err *e);

#endif
