/* rulesd/desk.h - a queue of jobs, and threads that do them, each with a store of its own.
 *
 * Jobs are part of what they are about (intrusive), so queueing never fails and never allocates. A job belongs to the desk from
 * desk_put() until its run() is called; it may be put again from there. run() may block on the database: nothing that a
 * listener's loop waits for runs here while it holds a lock. */
#ifndef POSTERN_RULESD_DESK_H
#define POSTERN_RULESD_DESK_H

#include "store/store.h"

struct desk;
struct hand; /* one of the desk's threads, as its jobs see it */

struct job {
    struct job *next;
    void (*run)(struct job *j, struct hand *hand);
};

struct desk_how {
    const char *url;
    size_t      threads;
    int         nice; /* lower priority for its threads, 0 … 19 */
    /* May be NULL. While it says so, hand_store() fails at once: nobody waits for a connection that is not to be had. */
    bool (*away)(void *ctx);
    void *ctx;
};
int desk_new(const struct desk_how *how, struct desk **out, struct err *e);
/* No new job is begun; those that run are waited for. desk_stopping() tells them to hurry. */
void desk_stop(struct desk *d);
/* After desk_stop(): the jobs that were not begun, one by one; NULL at the end. */
struct job *desk_left(struct desk *d);
void        desk_free(struct desk **d); /* after desk_stop() */
bool        desk_stopping(const struct desk *d);

void   desk_put(struct desk *d, struct job *j);
void   desk_put_first(struct desk *d, struct job *j); /* others wait for this one */
size_t desk_waiting(struct desk *d);

/* The thread's store, opened when first asked for, and connected again if it was lost while nobody used it. After a failure to
 * open it is not tried again for a second: the same error. */
int  hand_store(struct hand *h, struct store **out, struct err *e);
bool hand_stopping(const struct hand *h); /* the desk wants its thread back */

#endif
