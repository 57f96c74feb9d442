/* rulesd/sending_inside.h - what the two files of the sending limits share: sending.c decides in memory,
 * sending_follow.c is the thread that keeps memory and store together. For them alone.
 *
 * One lock guards all that is decided with: it is held for look-ups and sums, never while somebody is asked. A count
 * is three numbers: what everybody is known to have sent, what of ours is on its way into the store, and what came
 * since. */
#ifndef POSTERN_RULESD_SENDING_INSIDE_H
#define POSTERN_RULESD_SENDING_INSIDE_H

#include "sending.h"

#include <pthread.h>

#include "base/map.h"
#include "net/redis.h"

#define SENDING_SENDERS_MAX 200000
#define SENDING_SUBJECT_MAX (SENDING_LOGIN_MAX + 8)
#define SENDING_KINDS 4

/* What is counted, in the order of the first four limits. */
struct sending_kind {
    const char *name;
    int64_t     slot_us;
    bool        recipients;
};
extern const struct sending_kind sending_kinds[SENDING_KINDS];

struct count {
    int64_t slot_us;
    int64_t known, on_its_way, since;
};

/* A message beyond a limit, for the evidence. */
struct seen {
    int64_t at_us;
    size_t  nrcpt;
    char    ip[46], sender[128], queue_id[40];
};

/* Somebody who sends, or a domain as a whole. */
struct sender {
    struct count counts[SENDING_KINDS];
    int64_t      used_us;
    int64_t      over_slot_us, over; /* messages beyond a limit in that hour */
    struct seen *seen;               /* SEEN_MAX of them, the last `over`; NULL while there is none */
    bool         dirty;
    size_t       n;
    char         subject[]; /* "user:anna@ours.example" */
};

/* What the operator said. Made by the thread, swapped in. */
struct orders {
    struct arena arena;
    struct map   limits;  /* "mailbox:ADDRESS", "domain:NAME", "whole:NAME", "global:" -> struct store_limit */
    struct map   blocked; /* login -> until, int64_t */
};

/* A block that was decided here and is not written yet. */
struct verdict_row {
    struct verdict_row *next;
    int64_t             at_us;
    char                login[SENDING_LOGIN_MAX + 1];
    char                reason[SENDING_REASON_MAX + 1];
    struct buf          evidence;
};

struct sending {
    char         *url, *user_domain;
    pthread_t     thread;
    struct store *store; /* the thread's, as what follows */
    struct redis *redis; /* NULL: not configured */
    int64_t       seq;   /* of the last change that was looked at */
    int64_t       flushed_us, trimmed_us, logged_us;

    pthread_mutex_t      lock; /* guards what follows */
    pthread_cond_t       came;
    struct map           senders;
    struct orders       *orders;
    size_t               ndirty;
    struct verdict_row  *verdicts; /* to be written */
    struct sending_stats stats;
    bool                 stopping;
};

/* Under the lock: who it is, made if it is new; what is counted of them in the slot of `now`; when that began; and
 * that there is something to write. */
struct sender *sending_sender(struct sending *s, struct span subject, int64_t now);
struct count  *sending_count(struct sender *x, size_t kind, int64_t now);
int64_t        sending_slot(size_t kind, int64_t now);
void           sending_dirty(struct sending *s, struct sender *x);

/* Reads orders and counters, and starts the thread. */
int sending_follow_start(struct sending *s, const struct settings *settings, struct err *e);
/* Has it write what is left, and waits for it. */
void sending_follow_stop(struct sending *s);
/* What the thread had: when it runs no more. */
void sending_follow_free(struct sending *s);

#endif
