/* rulesd/custody.h - taking custody from within a scan, and what follows from it: rows, retention, room.
 *
 * custody_put() never blocks: threads of its own seal the message and sync it (vault/vault.h), then done() wakes the scan, and only
 * then the reply may go out. Rows follow by the journal; at start every object whose row is missing is put into the journal
 * again, from its own head.
 * Keeper    one more thread, with a store of its own: it replays at start, moves objects into the bucket (the S3 form; only what
 *           has its row), and purges. Of several nodes each looks after its own spool.
 * Purge     at start and once an hour, what is past its time: the file, then its row. Stops and says so (log, /metrics) when
 *           vault/purge.h does; `postern quarantine purge --yes` goes on. Copies (copies.h) go too, and stop it only with the clock.
 *           Whoever has a bucket also purges what a node left in it that has not been seen for a day. */
#ifndef POSTERN_RULESD_CUSTODY_H
#define POSTERN_RULESD_CUSTODY_H

#include "journal.h"

/* How much may be held for one owner, a mailbox or a domain: bytes as stored. What came within the last 100 ms is not counted yet. */
struct custody_cap {
    struct uuid owner;
    int64_t     max;
};

struct custody_job {
    struct store_message
        *record; /* with its UID and keep_us; kept, kept_bytes, sha256 and key_id are filled (bytes in `arena`) */
    struct span               message; /* as it came, without envelope lines; borrowed until done() */
    struct arena             *arena;   /* for what is filled in */
    const struct custody_cap *caps;    /* over one of them: ERR_FULL, and nothing is kept */
    size_t                    ncaps;
    void (*done)(struct custody_job *j); /* once, on a thread of custody's */
    int        rc;                       /* 0: on disk, synced; -1: err, and `kept` is false */
    struct err err;

    struct custody_job *next; /* custody's own */
};

struct custody;
/* No keys there (postern init makes them): the log says that nothing can be held, and it is not open yet. */
int custody_new(const struct settings *settings, struct journal *journal, struct custody **out, struct err *e);
/* Can anything be held? Once it can, it always can. Any thread; what follows needs it, but for custody_keys_again(), custody_free()
 * and custody_waiting(). */
bool custody_is_open(const struct custody *c);
void custody_put(struct custody *c, struct custody_job *job);
/* Reads [quarantine] keys again, and says in the log what came of it; opens if there are some by now. A key that is made current is
 * taken within a second without this, too: before the next message is sealed. Where there were none, whoever made it has to look;
 * unless `asked`, the log does not hear each time that there are still none. One thread at a time. */
void custody_keys_again(struct custody *c, bool asked);
/* What has begun is finished, what has not fails with ERR_LOST, each by its done(). Before the journal, which it writes to. */
void custody_free(struct custody **c);

/* Where it is kept, for who reads there or keeps something too; and how many wait for it. */
struct vault *custody_vault(const struct custody *c);
size_t        custody_waiting(struct custody *c);

struct custody_stats {
    uint64_t kept, failed, purged, replayed, uploaded;
    int64_t  room; /* bytes beyond min_free */
    size_t   waiting;
    bool     purge_stopped;
};
void custody_stats(struct custody *c, struct custody_stats *out);

#endif
