/* rulesd/timeline_open.h - what timeline.c remembers: queue ids that are open, and events that wait for their rows. For it alone. */
#ifndef POSTERN_RULESD_TIMELINE_OPEN_H
#define POSTERN_RULESD_TIMELINE_OPEN_H

#include "base/map.h"
#include "store/join.h"
#include "timeline.h"

#define JOINS_MAX 12000 /* of one queue id: recipients, and addresses that they became */

/* One event, with a copy of every text in `text`. In two lists: those of its queue id, and all in the order of reading. */
struct waiting {
    struct open      *open; /* its queue id */
    struct waiting   *next; /* of the same queue id */
    struct waiting   *older, *newer;
    unsigned          source;
    int64_t           place, since_us;
    bool              done; /* written when this transaction is; does not hold up the place any more */
    struct mail_event ev;
    char              text[];
};

/* A delivery under a queue id, by an address that the log may use for it. */
struct joined {
    struct uuid         uid;
    int64_t             n, at_us;
    enum delivery_state state;           /* as far as we know */
    bool                attempted, held; /* held: not let through, and not released when it was asked for */
    int64_t             link_us;         /* not found by this queue id: tied to it, as of then; else 0 */
    struct span         address;         /* malloc'd */
};

/* Queue ids whose events wait, the first to be asked for first. */
struct queue {
    struct open *first, *last;
};

/* One queue id, or (queue_id empty, in no map) one event that has none. Owns what its pointers lead to. In the list of all, the
 * most recently used first; in one of the queues while events wait. */
struct open {
    struct open    *older, *newer;
    struct open    *ask_prev, *ask_next;
    struct queue   *asking; /* or NULL */
    char            queue_id[MAILLOG_QUEUE_ID_MAX + 1], parent_id[MAILLOG_QUEUE_ID_MAX + 1];
    char           *message_id; /* with brackets; or NULL */
    struct waiting *first, *last;
    bool            known; /* joins hold what the store has */
    struct joined  *joins;
    size_t          njoins, capjoins;
    int64_t         ask_us; /* when to ask again */
    unsigned        step;   /* which of the queues it goes to then */
};

/* One connection of a process that is encrypted. */
struct secured {
    char     process[64], ip[64], tls[100], queue_id[MAILLOG_QUEUE_ID_MAX + 1];
    unsigned port;
};
#define SECURED_MAX 1024

#define STEPS 4 /* each is asked for ever later */

struct timeline {
    struct map            ids; /* queue id -> struct open */
    struct open          *newest, *oldest;
    struct queue          due;          /* to be asked for at once */
    struct queue          later[STEPS]; /* not found yet: one queue a step, so that each is in the order of ask_us */
    struct waiting       *first, *last; /* in the order of reading */
    struct secured        secured[SECURED_MAX];
    struct timeline_stats stats;
};

struct open *open_get(struct timeline *t, struct span queue_id); /* or NULL */
struct open *open_make(struct timeline *t, struct span queue_id);
/* Forgets it, unless events wait: then only its id is free for another message. */
void open_close(struct timeline *t, struct open *o);
void open_set_message_id(struct open *o, struct span id);
void open_join(struct open *o, const struct store_join *j, struct span address, int64_t link_us);
void open_forget_joins(struct open *o);
/* Adds a copy of the event. */
void open_wait(struct timeline *t, struct open *o, const struct mail_event *ev, unsigned source, int64_t place,
               int64_t now_us);
/* Takes away those that are done. */
void open_sweep(struct timeline *t, struct open *o);
/* Was not found: is due again in a while, a longer one each time. */
void open_ask_later(struct timeline *t, struct open *o, int64_t now_us);
/* Those whose time has come (`all`: all of them) are due. */
void open_wake(struct timeline *t, int64_t now_us, bool all);

void        secured_note(struct timeline *t, const struct mail_event *ev);
struct span secured_tls(struct timeline *t, const struct mail_event *ev);

#endif
