/* rulesd/custody_keeper.c - what follows from custody from time to time: rows that a crash lost, the bucket, the end of retention. */
#include "custody_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define TICK_S 1
#define UPLOAD_EVERY_US (5 * INT64_C(1000000))
#define JOURNAL_LAG_US 500000         /* with more of it a replay waits */
#define RECORD_MAX ((size_t)64 << 20) /* of a head that is read again */

bool custody_stopping(struct custody *c)
{
    bool yes;

    pthread_mutex_lock(&c->lock);
    yes = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return yes;
}

int custody_need_store(struct custody *c, struct err *e)
{
    if (c->store != NULL)
        return 0;
    if (store_open(c->url, STORE_EXISTING, &c->store, e) == 0 && store_node(c->store, &c->node, e) == 0)
        return 0;
    store_close(&c->store);
    return -1;
}

/* The log hears of it once a minute. */
static void complain(struct chore *chore, const char *event, const struct err *e)
{
    int64_t now = clock_mono_us();

    if (chore->logged_us != 0 && now - chore->logged_us < CUSTODY_LOG_US)
        return;
    chore->logged_us = now;
    log_err(LOG_LEVEL_WARNING, event, e);
}

void custody_chore_fail(struct custody *c, struct chore *chore, const char *event, const struct err *e)
{
    store_close(&c->store);
    complain(chore, event, e);
    chore->next_us = clock_mono_us() + CUSTODY_RETRY_US;
}

/* True when it is time to stop. */
static bool wait_a_tick(struct custody *c)
{
    struct timespec until;
    bool            over;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping && pthread_cond_timedwait(&c->stop, &c->lock, &until) != ETIMEDOUT)
        ;
    over = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return over;
}

/* ---- rows that a crash lost ---- */

static int journal_again(struct custody *c, const struct uuid *uid, struct err *e)
{
    struct store_message m;
    struct vault_kept    kept;
    struct arena         a;
    struct buf           head;
    int                  rc = -1;

    arena_init(&a, RECORD_MAX);
    buf_init(&head, VAULT_HEAD_MAX);
    if (vault_head(c->vault, uid, &head, &kept, e) < 0 || store_message_read_json(buf_span(&head), &a, &m, e) < 0)
        goto out;
    m.uid = *uid;
    m.kept = true;
    m.kept_bytes = kept.bytes;
    m.sha256 = span_make(kept.sha256, sizeof kept.sha256);
    m.key_id = span_of(kept.key_id);
    journal_put(c->journal, &m);
    atomic_fetch_add(&c->replayed, 1);
    rc = 0;
out:
    buf_fini(&head);
    arena_fini(&a);
    return rc;
}

/* One that cannot be read is told, and does not stop the others: `postern quarantine verify` lists it too. */
static int replay_batch(struct custody *c, const struct uuid *uids, size_t n, struct err *e)
{
    bool has[CUSTODY_BATCH];

    if (store_custody_has(c->store, uids, n, has, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;

        if (!has[i] && journal_again(c, &uids[i], &why) < 0 && why.code != ERR_NOT_FOUND)
            log_err(LOG_LEVEL_ERROR, "a held message without its row cannot be read", &why);
    }
    return 0;
}

static int replay(struct custody *c, struct err *e)
{
    if (custody_need_store(c, e) < 0)
        return -1;
    while (c->compared < c->nfound) {
        size_t left = c->nfound - c->compared, n = left < CUSTODY_BATCH ? left : CUSTODY_BATCH;

        if (replay_batch(c, c->found + c->compared, n, e) < 0)
            return -1;
        c->compared += n;
        while (journal_lag_us(c->journal, clock_mono_us()) > JOURNAL_LAG_US) { /* it has it all in memory */
            if (wait_a_tick(c))
                return 0;
        }
    }
    return 0;
}

static void do_replay(struct custody *c)
{
    struct err e = ERR_INIT;

    if (replay(c, &e) < 0) {
        custody_chore_fail(c, &c->replay, "rows of held messages cannot be compared with the files", &e);
        return;
    }
    free(c->found);
    c->found = NULL;
    if (atomic_load(&c->replayed) > 0)
        log_text(LOG_LEVEL_WARNING, "held messages whose rows were missing are in the log again: %llu",
                 (unsigned long long)atomic_load(&c->replayed));
}

/* ---- into the bucket ---- */

struct spooled {
    struct uuid uids[CUSTODY_BATCH];
    size_t      n;
};

static int add_spooled(void *ctx, const struct uuid *uid)
{
    struct spooled *s = ctx;

    s->uids[s->n++] = *uid;
    return s->n == CUSTODY_BATCH;
}

/* One object; what is wrong with it alone does not hold up the others. */
static int upload_one(struct custody *c, const struct uuid *uid, struct spooled *moved, struct err *e)
{
    struct err why = ERR_INIT;

    if (vault_upload(c->vault, uid, &why) == 0)
        moved->uids[moved->n++] = *uid;
    else if (why.code == ERR_CORRUPT || why.code == ERR_CONFLICT)
        complain(&c->upload, "a held message stays in the spool", &why);
    else if (why.code != ERR_NOT_FOUND) {
        *e = why;
        return -1;
    }
    return 0;
}

/* Only what has its row: after a crash rows are looked for by what lies here. */
static int upload(struct custody *c, struct err *e)
{
    struct spooled there = {.n = 0}, moved = {.n = 0};
    bool           has[CUSTODY_BATCH];
    int            rc = 0;

    if (custody_need_store(c, e) < 0 || vault_each_here(c->vault, 0, add_spooled, &there, e) < 0 ||
        store_custody_has(c->store, there.uids, there.n, has, e) < 0)
        return -1;
    for (size_t i = 0; i < there.n && rc == 0 && !custody_stopping(c); i++) {
        if (has[i])
            rc = upload_one(c, &there.uids[i], &moved, e);
    }
    if (moved.n > 0 && store_custody_move(c->store, moved.uids, moved.n, CUSTODY_STORE, e) < 0)
        return -1;
    atomic_fetch_add(&c->uploaded, moved.n);
    return rc < 0 ? -1 : moved.n == CUSTODY_BATCH;
}

static void do_upload(struct custody *c)
{
    struct err e = ERR_INIT;
    int        more = upload(c, &e);

    if (more < 0)
        custody_chore_fail(c, &c->upload, "held messages wait in the spool for the bucket", &e);
    else
        c->upload.next_us = clock_mono_us() + (more ? 0 : UPLOAD_EVERY_US);
}

/* ---- one after the other ---- */

void *custody_look_after(void *arg)
{
    struct custody *c = arg;

    do {
        int64_t now = clock_mono_us();

        if (c->found != NULL) {
            if (now >= c->replay.next_us)
                do_replay(c);
            continue;
        }
        if (now >= c->purge.next_us)
            custody_purge(c);
        if (vault_has_bucket(c->vault) && now >= c->upload.next_us)
            do_upload(c);
    } while (!wait_a_tick(c));
    store_close(&c->store);
    return NULL;
}
