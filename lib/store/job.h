/* lib/store/job.h - one wish about many messages, worked off in steps: with progress, a stop, and a way back.
 *
 * Claims   one UPDATE; a lease that lapses lets another go on where the last step ended. Who has been overtaken, or whose job was stopped,
 *          changes nothing more.
 * Step     what was done and how far it has got are one transaction. A step that a crash cut is done again: what is done twice has to be
 *          harmless.
 * Kept     JOB_KEEP_US after its end, with its items: so long it can be taken back. */
#ifndef POSTERN_STORE_JOB_H
#define POSTERN_STORE_JOB_H

#include "store/message.h"

#define JOB_LEASE_US (20 * INT64_C(1000000))
#define JOB_KEEP_US (7 * 86400 * INT64_C(1000000))
#define JOB_STEP 100 /* messages of one step */

enum job_what { JOB_RELEASE, JOB_SPAM, JOB_HAM, JOB_FORGET, JOB_DELETE, JOB_UNDELETE, JOB_UNRELEASE };
/* "release", "spam", "ham", "forget", "delete", "undelete", "unrelease", NULL */
extern const char *const job_what_words[];
enum job_state { JOB_WAITING, JOB_DONE, JOB_STOPPED, JOB_FAILED };
extern const char *const job_state_words[]; /* "waiting", "done", "stopped", "failed", NULL */

struct store_job {
    struct uuid      id, owner, undoes;
    bool             is_undo, begun; /* begun: `at` is the last that was looked at */
    enum job_what    what;
    enum job_state   state;
    struct span      actor, acting_for, source, scopes, q, answer;
    bool             waits; /* JOB_RELEASE: something of it is not sent yet; filled by get and list */
    int64_t          total, done, failed, until_us, created_us, changed_us;
    int64_t          gone; /* JOB_UNRELEASE: it was too late for these */
    struct store_key at;
};
typedef int (*store_job_fn)(void *ctx, const struct store_job *j);

/* Uses owner, undoes, is_undo, what, actor, acting_for, source, scopes, q, total, until_us. */
int store_job_add(struct store *s, const struct store_job *j, int64_t now_us, struct uuid *id_out, struct err *e);
/* Texts in `a`. ERR_NOT_FOUND. */
int store_job_get(struct store *s, struct uuid id, struct arena *a, struct store_job *out, struct err *e);
/* Of a person, the newest first. */
int store_job_list(struct store *s, struct uuid owner, size_t limit, store_job_fn fn, void *ctx, struct err *e);
/* 1 and the oldest that waits, 0 there is none, -1. */
int store_job_claim(struct store *s, struct span by, int64_t now_us, struct arena *a, struct store_job *out,
                    struct err *e);
/* The end of a step: j's done, failed, gone, at, answer and state; with the items that were done, and the lease renewed. ERR_CONFLICT: it was
 * stopped, or is another's now. */
int store_job_step(struct store *s, struct span by, const struct store_job *j, const struct store_key *items, size_t n,
                   int64_t now_us, struct err *e);
/* Another may go on with it at once: whoever had it ends. */
int store_job_leave(struct store *s, struct uuid id, struct span by, struct err *e);
/* Not further than the step at hand. Ended already: nothing changes. */
int store_job_stop(struct store *s, struct uuid id, int64_t now_us, struct err *e);
/* What it has done, the newest first, behind `before` (NULL: from the start). */
typedef int (*store_job_item_fn)(void *ctx, const struct store_key *key);
int store_job_items(struct store *s, struct uuid id, const struct store_key *before, size_t limit, store_job_item_fn fn,
                    void *ctx, struct err *e);
/* Forgets those that ended JOB_KEEP_US ago. */
int store_job_trim(struct store *s, int64_t now_us, struct err *e);

#endif
