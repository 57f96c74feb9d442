/* rulesd/custody_inside.h - what the files of custody share. For them alone.
 *
 *   custody.c         starts and stops it; the queue
 *   custody_seal.c    the sealers, threads that take what is queued into the vault
 *   custody_keeper.c  the keeper, one more: rows that a crash lost, the bucket
 *   custody_purge.c   what the keeper removes when its time is over */
#ifndef POSTERN_RULESD_CUSTODY_INSIDE_H
#define POSTERN_RULESD_CUSTODY_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "custody.h"
#include "store/custody.h"
#include "vault/vault.h"

#define CUSTODY_SEALERS 4 /* more of them share one commit of the file system's */
#define CUSTODY_BATCH 200
#define CUSTODY_LOG_US (60 * INT64_C(1000000))
#define CUSTODY_RETRY_US (5 * INT64_C(1000000))

/* What the keeper does from time to time; each has its own patience. Times of the monotonic clock. */
struct chore {
    int64_t next_us, logged_us;
};

/* ring, vault and threads are there once it is open. */
struct custody {
    const struct settings *settings; /* borrowed, as the journal is */
    struct keyring        *ring;
    struct vault          *vault;
    struct journal        *journal;
    char                  *url;
    atomic_bool            open;
    pthread_t              sealers[CUSTODY_SEALERS], keeper;
    size_t                 nsealers;
    bool                   has_keeper;

    pthread_mutex_t     lock; /* guards the queue and stopping */
    pthread_cond_t      more, stop;
    struct custody_job *first, **last;
    size_t              waiting;
    bool                stopping;
    int64_t             keys_logged_us; /* when it was last said that the keys cannot be read again */

    /* the keeper's own */
    struct store *store;
    struct uuid   node;
    struct chore  replay, purge, upload;
    struct uuid  *found; /* what lay here before we kept anything, until it is compared with the rows */
    size_t        nfound, compared;
    int64_t       purged_us, purged_mono_us;

    atomic_uint_fast64_t kept, failed, purged, replayed, uploaded;
    atomic_bool          purge_stopped;
};

/* ---- custody_seal.c ---- */
/* A sealer, which ends when it is time to stop. */
void *custody_seal(void *custody);
void  custody_finish(struct custody *c, struct custody_job *j, int rc);
/* Where they cannot be read what we have seals as well, and the log hears of it once a minute. */
void custody_look_at_keys(struct custody *c, bool now);

/* ---- custody_keeper.c ---- */
void *custody_look_after(void *custody);
bool  custody_stopping(struct custody *c);
int   custody_need_store(struct custody *c, struct err *e);
/* Again in a while, with a connection to the database that is made anew. */
void custody_chore_fail(struct custody *c, struct chore *chore, const char *event, const struct err *e);

/* ---- custody_purge.c ---- */
void custody_purge(struct custody *c);

#endif
