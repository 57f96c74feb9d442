/* rulesd/custody.c - see custody.h. */
#include "custody.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "store/custody.h"
#include "vault/purge.h"

#define SEALERS 4 /* more of them share one commit of the file system's */
#define TICK_S 1  /* of the keeper */
#define PURGE_EVERY_US (3600 * INT64_C(1000000))
#define UPLOAD_EVERY_US (5 * INT64_C(1000000))
#define GONE_US                                                                                                        \
    (86400 * INT64_C(1000000)) /* a node that was not seen for that long leaves its objects in the bucket to others */
#define GONE_MAX 100
#define RETRY_US (5 * INT64_C(1000000))
#define COUNTER_US                                                                                                     \
    1000000 /* how long a counter leaves a database alone that is away, and believes in one that was there */
#define LOG_US (60 * INT64_C(1000000))
#define BATCH 200
#define JOURNAL_LAG_US 500000         /* with more of it a replay waits */
#define RECORD_MAX ((size_t)64 << 20) /* of a head that is read again */

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
    pthread_t              sealers[SEALERS], keeper;
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

/* ---- the sealers --------------------------------------------------------------------------------------------------- */

/* A sealer's way to know what is held for whom; opened when somebody has a cap. Times of the monotonic clock. */
struct counter {
    struct store *store;
    int64_t       retry_us, seen_us;
};

/* Is the database there? A connection that was lost meanwhile is made anew. */
static bool can_count(struct custody *c, struct counter *n)
{
    struct err away = ERR_INIT;
    int64_t    now = clock_mono_us();

    if (now < n->retry_us)
        return false;
    if (n->store != NULL && now - n->seen_us < COUNTER_US)
        return true;
    if ((n->store == NULL && store_open(c->url, STORE_EXISTING, &n->store, &away) < 0) ||
        store_ping(n->store, &away) < 0) {
        n->retry_us = clock_mono_us() + COUNTER_US;
        return false;
    }
    n->seen_us = now;
    return true;
}

/* Lost just now: once more, on a new connection. */
static int usage(struct custody *c, struct counter *n, const struct uuid *owner, int64_t *count, int64_t *bytes)
{
    struct err away = ERR_INIT;

    if (store_custody_usage(n->store, owner, count, bytes, &away) == 0)
        return 0;
    n->seen_us = 0;
    return can_count(c, n) ? store_custody_usage(n->store, owner, count, bytes, &away) : -1;
}

/* While the database is away nobody can count; then what is to be held is held. */
static int check_caps(struct custody *c, struct counter *counter, struct custody_job *j)
{
    int64_t count, bytes;

    if (j->ncaps == 0 || !can_count(c, counter))
        return 0;
    for (size_t i = 0; i < j->ncaps; i++) {
        const struct custody_cap *cap = &j->caps[i];

        if (usage(c, counter, &cap->owner, &count, &bytes) < 0)
            return 0;
        if (bytes + (int64_t)j->message.n > cap->max)
            return err_set(&j->err, ERR_FULL,
                           "%lld messages of %lld bytes are held for one of the recipients, at most %lld bytes",
                           (long long)count, (long long)bytes, (long long)cap->max);
    }
    return 0;
}

/* Where they cannot be read what we have seals as well, and the log hears of it once a minute. */
static void look_at_keys(struct custody *c, bool now)
{
    struct err e = ERR_INIT;
    int        rc = keyring_refresh(c->ring, now, &e);
    int64_t    at = clock_mono_us();
    bool       say;

    pthread_mutex_lock(&c->lock);
    say = rc < 0 && (now || c->keys_logged_us == 0 || at - c->keys_logged_us >= LOG_US);
    if (say)
        c->keys_logged_us = at;
    pthread_mutex_unlock(&c->lock);
    if (say)
        log_err(LOG_LEVEL_ERROR, "the keys cannot be read again: the one before seals", &e);
    if (rc > 0)
        log_text(LOG_LEVEL_INFO, "the key %s seals held mail from now on", keyring_current(c->ring));
}

/* The head is the record as it will be, but for what is known only when it is kept. */
static int keep(struct custody *c, struct counter *counter, struct custody_job *j)
{
    struct store_message *m = j->record;
    struct vault_kept     kept = {0};
    struct buf            head;
    int                   rc;

    m->kept = false;
    if (check_caps(c, counter, j) < 0)
        return -1;
    look_at_keys(c, false);
    m->kept = true;
    m->kept_bytes = 0;
    m->sha256 = m->key_id = SPAN_NONE;
    buf_init(&head, VAULT_HEAD_MAX);
    store_message_put_json(&head, m);
    rc = head.failed ? err_set(&j->err, ERR_LIMIT, "what is known of the message is more than %zu bytes", head.max)
                     : vault_put(c->vault, &m->uid, buf_span(&head), j->message, &kept, &j->err);
    buf_fini(&head);
    m->kept = rc == 0;
    if (rc < 0)
        return -1;
    m->kept_bytes = kept.bytes;
    m->sha256 = arena_dup(j->arena, span_make(kept.sha256, sizeof kept.sha256));
    m->key_id = arena_dup(j->arena, span_of(kept.key_id));
    return 0;
}

static void finish(struct custody *c, struct custody_job *j, int rc)
{
    atomic_fetch_add(rc == 0 ? &c->kept : &c->failed, 1);
    j->rc = rc;
    j->done(j); /* and it is theirs */
}

static struct custody_job *next_job(struct custody *c)
{
    struct custody_job *j;

    pthread_mutex_lock(&c->lock);
    while (c->first == NULL && !c->stopping)
        pthread_cond_wait(&c->more, &c->lock);
    j = c->stopping ? NULL : c->first;
    if (j != NULL) {
        c->first = j->next;
        c->waiting--;
        if (c->first == NULL)
            c->last = &c->first;
    }
    pthread_mutex_unlock(&c->lock);
    return j;
}

static void *seal(void *arg)
{
    struct custody     *c = arg;
    struct counter      counter = {.store = NULL};
    struct custody_job *j;

    while ((j = next_job(c)) != NULL)
        finish(c, j, keep(c, &counter, j));
    store_close(&counter.store);
    return NULL;
}

void custody_put(struct custody *c, struct custody_job *j)
{
    bool stopping;

    j->next = NULL;
    j->err = ERR_INIT;
    pthread_mutex_lock(&c->lock);
    stopping = c->stopping;
    if (!stopping) {
        *c->last = j;
        c->last = &j->next;
        c->waiting++;
        pthread_cond_signal(&c->more);
    }
    pthread_mutex_unlock(&c->lock);
    if (stopping)
        finish(c, j, err_set(&j->err, ERR_LOST, "this server is stopping"));
}

/* ---- the keeper ---------------------------------------------------------------------------------------------------- */

static bool stopping(struct custody *c)
{
    bool yes;

    pthread_mutex_lock(&c->lock);
    yes = c->stopping;
    pthread_mutex_unlock(&c->lock);
    return yes;
}

static int need_store(struct custody *c, struct err *e)
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

    if (chore->logged_us != 0 && now - chore->logged_us < LOG_US)
        return;
    chore->logged_us = now;
    log_err(LOG_LEVEL_WARNING, event, e);
}

/* Again in a while, with a connection to the database that is made anew. */
static void fail(struct custody *c, struct chore *chore, const char *event, const struct err *e)
{
    store_close(&c->store);
    complain(chore, event, e);
    chore->next_us = clock_mono_us() + RETRY_US;
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

/* ---- rows that a crash lost ---------------------------------------------------------------------------------------- */

static int add_found(void *ctx, const struct uuid *uid)
{
    struct custody *c = ctx;

    if (c->nfound % 1024 == 0 && (c->found = realloc(c->found, (c->nfound + 1024) * sizeof *c->found)) == NULL)
        panic("out of memory");
    c->found[c->nfound++] = *uid;
    return 0;
}

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
    bool has[BATCH];

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
    if (need_store(c, e) < 0)
        return -1;
    while (c->compared < c->nfound) {
        size_t left = c->nfound - c->compared, n = left < BATCH ? left : BATCH;

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
        fail(c, &c->replay, "rows of held messages cannot be compared with the files", &e);
        return;
    }
    free(c->found);
    c->found = NULL;
    if (atomic_load(&c->replayed) > 0)
        log_text(LOG_LEVEL_WARNING, "held messages whose rows were missing are in the log again: %llu",
                 (unsigned long long)atomic_load(&c->replayed));
}

/* ---- retention ----------------------------------------------------------------------------------------------------- */

struct due {
    struct uuid uids[BATCH];
    size_t      n;
};

static int add_due(void *ctx, const struct store_custody *row)
{
    struct due *d = ctx;

    d->uids[d->n++] = row->uid;
    return d->n == BATCH;
}

/* First the files, then the rows: a crash in between leaves rows that the next run takes. 1: there is more. */
static int purge_batch(struct custody *c, bool copies, int64_t now_us, struct err *e)
{
    struct due d = {.n = 0};

    if (store_custody_due(c->store, &c->node, copies, now_us, BATCH, add_due, &d, e) < 0)
        return -1;
    for (size_t i = 0; i < d.n; i++) {
        struct err why = ERR_INIT;

        if (vault_delete(c->vault, &d.uids[i], &why) < 0 && why.code != ERR_NOT_FOUND) {
            *e = why;
            return -1;
        }
    }
    if (d.n > 0 && store_custody_move(c->store, d.uids, d.n, CUSTODY_GONE, e) < 0)
        return -1;
    atomic_fetch_add(&c->purged, d.n);
    return d.n == BATCH;
}

static void say_stopped(struct custody *c, enum purge_verdict why, const struct store_custody_sum *sum)
{
    struct log_line l;

    if (atomic_exchange(&c->purge_stopped, true))
        return;
    log_begin(&l, LOG_LEVEL_ERROR, "held mail past its time stays, until somebody looks");
    log_str(&l, "why", why == PURGE_CLOCK ? "the clock stepped" : "more than a tenth of it is due at once");
    log_i64(&l, "held", sum->count);
    log_i64(&l, "due", sum->due_count);
    log_str(&l, "cure", "postern quarantine purge --yes");
    log_end(&l);
}

static int purge_all(struct custody *c, bool copies, int64_t now_us, struct err *e)
{
    int rc;

    while ((rc = purge_batch(c, copies, now_us, e)) > 0 && !stopping(c))
        ;
    return rc;
}

/* Its objects become ours batch by batch as they are due; of several heirs each batch has one. The guard counts them apart from
 * ours. */
static int purge_of_gone(struct custody *c, const struct uuid *node, struct purge_facts f, bool allowed, struct err *e)
{
    struct store_custody_sum sum;
    int64_t                  n = 1;

    if (store_custody_sum(c->store, node, false, f.now_us, &sum, e) < 0)
        return -1;
    f.count = sum.count;
    f.due = sum.due_count;
    if (!allowed && purge_judge(&f) != PURGE_GO) {
        say_stopped(c, PURGE_MANY, &sum);
        return 0;
    }
    while (n > 0 && !stopping(c)) {
        if (store_custody_adopt(c->store, node, &c->node, f.now_us, BATCH, &n, e) < 0 ||
            purge_all(c, true, f.now_us, e) < 0 || purge_all(c, false, f.now_us, e) < 0)
            return -1;
        if (n > 0)
            log_text(LOG_LEVEL_INFO, "held mail past its time of a node that is gone is removed: %lld objects",
                     (long long)n);
    }
    return 0;
}

static int purge_of_others(struct custody *c, const struct purge_facts *f, bool allowed, struct err *e)
{
    struct uuid gone[GONE_MAX];
    size_t      n;

    if (!vault_has_bucket(c->vault))
        return 0;
    if (store_nodes_gone(c->store, f->now_us - GONE_US, gone, GONE_MAX, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (purge_of_gone(c, &gone[i], *f, allowed, e) < 0)
            return -1;
    return 0;
}

/* Copies come in numbers and for hours: how many of them are due says nothing. */
static int purge_now(struct custody *c, struct err *e)
{
    struct store_custody_sum sum;
    struct purge_facts       f = {.now_us = clock_wall_us(), .now_mono_us = clock_boot_us()};
    enum purge_verdict       verdict;
    bool                     allowed;

    if (need_store(c, e) < 0 || store_node_seen(c->store, f.now_us, e) < 0 ||
        store_custody_sum(c->store, &c->node, false, f.now_us, &sum, e) < 0 || purge_last(c->vault, &f.last_us, e) < 0)
        return -1;
    f.last_us = c->purged_us != 0 ? c->purged_us : f.last_us;
    f.last_mono_us = c->purged_mono_us;
    f.count = sum.count;
    f.due = sum.due_count;
    allowed = purge_take_leave(c->vault);
    verdict = allowed ? PURGE_GO : purge_judge(&f);
    if (verdict != PURGE_CLOCK && purge_all(c, true, f.now_us, e) < 0)
        return -1;
    if (verdict != PURGE_GO) {
        say_stopped(c, verdict, &sum);
        return 0;
    }
    atomic_store(&c->purge_stopped, false);
    if (purge_all(c, false, f.now_us, e) < 0 || purge_of_others(c, &f, allowed, e) < 0 ||
        purge_mark(c->vault, f.now_us, e) < 0)
        return -1;
    c->purged_us = f.now_us;
    c->purged_mono_us = f.now_mono_us;
    return 0;
}

static void do_purge(struct custody *c)
{
    struct err e = ERR_INIT;

    if (purge_now(c, &e) < 0)
        fail(c, &c->purge, "held mail past its time cannot be removed", &e);
    else if (atomic_load(&c->purge_stopped)) /* it may be allowed any time, and clocks are set right */
        c->purge.next_us = clock_mono_us() + RETRY_US;
    else
        c->purge.next_us = clock_mono_us() + PURGE_EVERY_US;
}

/* ---- into the bucket ----------------------------------------------------------------------------------------------- */

struct spooled {
    struct uuid uids[BATCH];
    size_t      n;
};

static int add_spooled(void *ctx, const struct uuid *uid)
{
    struct spooled *s = ctx;

    s->uids[s->n++] = *uid;
    return s->n == BATCH;
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
    bool           has[BATCH];
    int            rc = 0;

    if (need_store(c, e) < 0 || vault_each_here(c->vault, 0, add_spooled, &there, e) < 0 ||
        store_custody_has(c->store, there.uids, there.n, has, e) < 0)
        return -1;
    for (size_t i = 0; i < there.n && rc == 0 && !stopping(c); i++) {
        if (has[i])
            rc = upload_one(c, &there.uids[i], &moved, e);
    }
    if (moved.n > 0 && store_custody_move(c->store, moved.uids, moved.n, CUSTODY_STORE, e) < 0)
        return -1;
    atomic_fetch_add(&c->uploaded, moved.n);
    return rc < 0 ? -1 : moved.n == BATCH;
}

static void do_upload(struct custody *c)
{
    struct err e = ERR_INIT;
    int        more = upload(c, &e);

    if (more < 0)
        fail(c, &c->upload, "held messages wait in the spool for the bucket", &e);
    else
        c->upload.next_us = clock_mono_us() + (more ? 0 : UPLOAD_EVERY_US);
}

static void *look_after(void *arg)
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
            do_purge(c);
        if (vault_has_bucket(c->vault) && now >= c->upload.next_us)
            do_upload(c);
    } while (!wait_a_tick(c));
    store_close(&c->store);
    return NULL;
}

/* ---- starting and stopping ----------------------------------------------------------------------------------------- */

static void init_queue(struct custody *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->stop, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&c->more, NULL);
    pthread_mutex_init(&c->lock, NULL);
    c->last = &c->first;
}

static int start_threads(struct custody *c, struct err *e)
{
    int rc = 0;

    while (rc == 0 && c->nsealers < SEALERS && (rc = pthread_create(&c->sealers[c->nsealers], NULL, seal, c)) == 0)
        c->nsealers++;
    if (rc == 0 && (rc = pthread_create(&c->keeper, NULL, look_after, c)) == 0)
        c->has_keeper = true;
    return rc == 0 ? 0 : err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
}

/* What is older than retention has had its row. */
static int64_t since_us(const struct settings *s)
{
    int64_t us = clock_wall_us() - (s->quarantine.retention_days + 1) * 86400 * INT64_C(1000000);

    return us > 0 ? us : 0;
}

static void fail_what_waits(struct custody *c)
{
    struct custody_job *j = c->first;

    c->first = NULL;
    c->last = &c->first;
    while (j != NULL) {
        struct custody_job *next = j->next;

        c->waiting--;
        finish(c, j, err_set(&j->err, ERR_LOST, "this server is stopping"));
        j = next;
    }
}

static void stop_threads(struct custody *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->more);
    pthread_cond_signal(&c->stop);
    pthread_mutex_unlock(&c->lock);
    while (c->nsealers > 0)
        pthread_join(c->sealers[--c->nsealers], NULL);
    if (c->has_keeper)
        pthread_join(c->keeper, NULL);
    c->has_keeper = false;
}

/* As before open_up(), which may be tried again. */
static void close_down(struct custody *c)
{
    stop_threads(c);
    fail_what_waits(c);
    vault_close(&c->vault);
    keyring_close(&c->ring);
    free(c->found);
    c->found = NULL;
    c->nfound = 0;
}

/* 1: it is open. 0: there are no keys, as e says; -1: what is there cannot be used. Then it is as it was. */
static int open_up(struct custody *c, struct err *e)
{
    const struct settings *s = c->settings;

    c->stopping = false;
    if (keyring_open(s->quarantine.keys, &c->ring, e) < 0)
        return e->code == ERR_NOT_FOUND ? 0 : -1;
    struct vault_how how = {.url = s->quarantine.url, .keys = c->ring, .min_free = s->quarantine.min_free};
    if (vault_open(&how, &c->vault, e) == 0 && vault_each_here(c->vault, since_us(s), add_found, c, e) == 0 &&
        start_threads(c, e) == 0) {
        atomic_store(&c->open, true);
        return 1;
    }
    close_down(c);
    return -1;
}

bool custody_is_open(const struct custody *c) { return atomic_load(&c->open); }

/* What is wrong with them is said once a minute, unless somebody asked. */
static void look_for_keys(struct custody *c, bool asked)
{
    struct err e = ERR_INIT;
    int        rc = open_up(c, &e);
    int64_t    at = clock_mono_us();

    if (rc > 0)
        log_text(LOG_LEVEL_INFO, "the key %s seals held mail from now on", keyring_current(c->ring));
    else if (asked || (rc < 0 && (c->keys_logged_us == 0 || at - c->keys_logged_us >= LOG_US))) {
        log_err(LOG_LEVEL_WARNING, "nothing can be held", &e);
        c->keys_logged_us = at;
    }
}

void custody_keys_again(struct custody *c, bool asked)
{
    if (custody_is_open(c))
        look_at_keys(c, true);
    else
        look_for_keys(c, asked);
}

int custody_new(const struct settings *settings, struct journal *journal, struct custody **out, struct err *e)
{
    struct custody *c = calloc(1, sizeof *c);
    struct err      why = ERR_INIT;
    int             rc;

    if (c == NULL)
        panic("out of memory");
    init_queue(c);
    c->settings = settings;
    c->journal = journal;
    c->url = span_strdup(span_of(settings->store.url));
    *out = c;
    if ((rc = open_up(c, &why)) == 0)
        log_err(LOG_LEVEL_WARNING, "nothing can be held", &why);
    if (rc >= 0)
        return 0;
    custody_free(out);
    if (e != NULL)
        *e = why;
    return -1;
}

void custody_free(struct custody **at)
{
    struct custody *c = *at;

    if (c == NULL)
        return;
    *at = NULL;
    close_down(c);
    pthread_cond_destroy(&c->stop);
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->lock);
    free(c->url);
    free(c);
}

struct vault *custody_vault(const struct custody *c) { return c->vault; }

size_t custody_waiting(struct custody *c)
{
    size_t n;

    pthread_mutex_lock(&c->lock);
    n = c->waiting;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void custody_stats(struct custody *c, struct custody_stats *out)
{
    *out = (struct custody_stats){
        .kept = atomic_load(&c->kept),
        .failed = atomic_load(&c->failed),
        .purged = atomic_load(&c->purged),
        .replayed = atomic_load(&c->replayed),
        .uploaded = atomic_load(&c->uploaded),
        .purge_stopped = atomic_load(&c->purge_stopped),
    };
    vault_room(c->vault, &out->room, NULL);
    out->waiting = custody_waiting(c);
}
