/* rulesd/loop.h - one epoll loop, on a thread of its own: connections, their deadlines, and what comes back to them.
 *
 * A connection belongs to the loop that accepted it, and is touched by its thread alone, except while a scan of it is with
 * the cache or a worker: who has it then gives it back by loop_post(). Deadlines are lists, one a kind of waiting: all that
 * wait for the same have the same time, so who came first goes first, and nobody searches. */
#ifndef POSTERN_RULESD_LOOP_H
#define POSTERN_RULESD_LOOP_H

#include <pthread.h>

#include "server.h"
#include "session.h"

enum waiting {
    WAIT_HEAD, /* for a request, or the rest of its head */
    WAIT_BODY,
    WAIT_IDLE,  /* for the next request */
    WAIT_WRITE, /* until the client takes more of the reply */
    WAIT_DRAIN, /* for the client's end, its reply sent */
    WAIT_LATER, /* for the log to catch up; then the scan goes on */
    WAIT_SCAN,  /* for the cache, a worker, the scanner, custody; without a deadline */
    WAITS
};

struct conn;
struct conn_list {
    struct conn *first, *last;
};

/* What epoll's pointer points at: the first member of everything that is watched. */
enum watch { WATCH_WAKE, WATCH_LISTENER, WATCH_CONN };

struct door { /* a listener's socket in one loop */
    enum watch             watch;
    const struct listener *listener;
    int                    fd;
    unsigned               burst; /* how many to accept before looking at others: follows what is found */
};

struct loop {
    enum watch              wake; /* WATCH_WAKE: epoll's pointer for wake_fd */
    struct server          *server;
    size_t                  index;
    pthread_t               thread;
    int                     epoll_fd, wake_fd, spare_fd;
    struct door            *doors;
    size_t                  ndoors;
    int64_t                 now_us; /* monotonic, once a round */
    struct trust           *trust;
    _Atomic(struct trust *) next_trust;
    _Atomic(struct conn *)  inbox; /* given back by other threads */
    struct conn_list        waiting[WAITS];
    struct conn            *again; /* has more to do, but others come first */
    size_t                  nconns;
    bool                    closed; /* accepts nobody any more */
    int64_t                 complained_us;
    struct metrics          metrics;

    /* kept to be used again */
    struct exchange *exchanges;
    size_t           nexchanges;
    struct scan     *scans[16];
    size_t           nscans;
    struct buf       inputs[16], outputs[16];
    size_t           ninputs, noutputs;
};

/* Trust is held. */
int  loop_new(struct server *server, size_t index, struct trust *trust, struct loop **out, struct err *e);
int  loop_start(struct loop *l, struct err *e); /* the thread */
void loop_join(struct loop *l);
/* Scans that are not over, or whose reply is still on its way out, give back what they hold of the cache; the connections stay, to be
 * posted. */
void loop_let_go(struct loop *l);
/* When nobody can post any more. Connections that are left are closed. */
void loop_free(struct loop **l);

/* Any thread. The loop looks at server->draining and ->stopping, and at next_trust, when woken. */
void loop_wake(struct loop *l);
void loop_post(struct loop *l, struct conn *c);
void loop_trust(struct loop *l, struct trust *trust); /* from now on; held */

/* For conn.c, on the loop's thread. */
void             loop_wait(struct loop *l, struct conn *c, enum waiting for_what);
void             loop_unwait(struct loop *l, struct conn *c);
struct exchange *loop_take_exchange(struct loop *l);
void             loop_give_exchange(struct loop *l, struct exchange **x);
struct scan     *loop_take_scan(struct loop *l);
void             loop_give_scan(struct loop *l, struct scan **s);
void             loop_take_input(struct loop *l, struct buf *b);
void             loop_give_input(struct loop *l, struct buf *b);
void             loop_take_output(struct loop *l, struct buf *b);
void             loop_give_output(struct loop *l, struct buf *b);
int64_t          loop_deadline(const struct loop *l, enum waiting for_what);

#endif
