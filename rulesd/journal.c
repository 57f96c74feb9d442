/* rulesd/journal.c - see journal.h.
 *
 * Whoever puts a record makes one block of memory of it, with its texts and deliveries, and hangs it into a list. The writer takes
 * the whole list, writes it in transactions of bounded size, and frees what is written. While it writes, the next ones gather: that
 * is the group. What the database refuses for what it is (not for how the database is) is tried alone, so that one record
 * cannot stop the others. */
#include "journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

#define GROUP_MS 30       /* how long the first of a group waits for others; with the commit itself within 50 ms */
#define GROUP_RECORDS 500 /* of one transaction */
#define GROUP_BYTES (32u << 20)
#define GROUP_DELIVERIES 20000
#define AGAIN_MS_MIN 50 /* after a failure, doubled up to */
#define AGAIN_MS_MAX 1000
#define LAST_TRIES_MS 10000 /* how long a stop waits for a database that is away */
#define LOG_US 60000000

/* A record with everything that it points to, in one block. */
struct pending {
    struct pending      *next;
    int64_t              at_us; /* monotonic, when it was put */
    size_t               bytes;
    struct store_message m;
};

struct journal {
    char           *url;
    pthread_t       writer;
    struct store   *store; /* the writer's */
    int64_t         logged_us;
    struct pending *mine, **mine_end; /* the writer's: taken and not written yet, in order */

    _Atomic int64_t oldest_us; /* when the oldest was put; 0: none waits */

    pthread_mutex_t      lock; /* guards what follows */
    pthread_cond_t       wake;
    struct pending      *first, **end;
    struct journal_stats stats;
    bool                 stopping;
};

/* ---- Putting ------------------------------------------------------------------------------------------------------ */

static struct pending *copy_of(const struct store_message *m)
{
    size_t          bytes = sizeof(struct pending) + store_message_room(m);
    struct pending *x = malloc(bytes);

    if (x == NULL)
        panic("out of memory");
    *x = (struct pending){.bytes = bytes};
    store_message_copy(m, x + 1, &x->m);
    return x;
}

void journal_put(struct journal *j, const struct store_message *m)
{
    struct pending *x = copy_of(m);

    pthread_mutex_lock(&j->lock);
    x->at_us = clock_mono_us();
    *j->end = x;
    j->end = &x->next;
    if (j->stats.waiting++ == 0)
        atomic_store(&j->oldest_us, x->at_us);
    j->stats.waiting_bytes += x->bytes;
    if (j->first == x)
        pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

int64_t journal_lag_us(const struct journal *j, int64_t now_mono_us)
{
    int64_t oldest = atomic_load(&j->oldest_us);

    return oldest == 0 || now_mono_us <= oldest ? 0 : now_mono_us - oldest;
}

void journal_stats(struct journal *j, struct journal_stats *out)
{
    pthread_mutex_lock(&j->lock);
    *out = j->stats;
    pthread_mutex_unlock(&j->lock);
}

/* ---- Writing ------------------------------------------------------------------------------------------------------ */

/* How many of the first make one transaction. */
static size_t group_of(const struct pending *first, const struct store_message *out[GROUP_RECORDS])
{
    size_t n = 0, bytes = 0, deliveries = 0;

    for (const struct pending *x = first; x != NULL && n < GROUP_RECORDS; x = x->next) {
        bytes += x->bytes;
        deliveries += x->m.ndeliveries;
        if (n > 0 && (bytes > GROUP_BYTES || deliveries > GROUP_DELIVERIES))
            break;
        out[n++] = &x->m;
    }
    return n;
}

/* The first n are done with. */
static void let_go(struct journal *j, size_t n, bool written, int64_t us)
{
    size_t bytes = 0, deliveries = 0;

    for (size_t i = 0; i < n; i++) {
        struct pending *x = j->mine;

        j->mine = x->next;
        bytes += x->bytes;
        deliveries += x->m.ndeliveries;
        free(x);
    }
    if (j->mine == NULL)
        j->mine_end = &j->mine;
    pthread_mutex_lock(&j->lock);
    j->stats.waiting -= n;
    j->stats.waiting_bytes -= bytes;
    if (written) {
        j->stats.records += n;
        j->stats.deliveries += deliveries;
        j->stats.commits++;
        j->stats.commit_us_max = (uint64_t)us > j->stats.commit_us_max ? (uint64_t)us : j->stats.commit_us_max;
    }
    atomic_store(&j->oldest_us, j->mine != NULL ? j->mine->at_us : j->first != NULL ? j->first->at_us : 0);
    pthread_mutex_unlock(&j->lock);
}

static void count_failure(struct journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->stats.failures++;
    pthread_mutex_unlock(&j->lock);
}

static int write_some(struct journal *j, const struct store_message *const *group, size_t n, struct err *e)
{
    int64_t begun = clock_mono_us();

    if (store_message_put(j->store, group, n, e) < 0)
        return -1;
    let_go(j, n, true, clock_mono_us() - begun);
    return 0;
}

/* Does the error speak of the record, so that trying again cannot help? */
static bool is_refusal(const struct err *e) { return e->code == ERR_INVALID || e->code == ERR_LIMIT; }

/* One by one; what is refused alone is told and left out. */
static int write_singly(struct journal *j, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct store_message *one = &j->mine->m;
        char                        uid[UUID_TEXT + 1];

        *e = ERR_INIT;
        if (write_some(j, &one, 1, e) == 0)
            continue;
        if (!is_refusal(e))
            return -1;
        uuid_format(&one->uid, uid);
        err_wrap(e, "message %s", uid);
        log_err(LOG_LEVEL_ERROR, "cannot be written into the log, left out", e);
        count_failure(j);
        let_go(j, 1, false, 0);
    }
    return 0;
}

static int write_mine(struct journal *j, struct err *e)
{
    const struct store_message *group[GROUP_RECORDS];

    if (j->mine != NULL && j->store == NULL && store_open(j->url, STORE_EXISTING, &j->store, e) < 0)
        return -1;
    while (j->mine != NULL) {
        size_t n = group_of(j->mine, group);

        *e = ERR_INIT;
        if (write_some(j, group, n, e) == 0)
            continue;
        if (!is_refusal(e) || write_singly(j, n, e) < 0)
            return -1;
    }
    return 0;
}

static void complain(struct journal *j, const struct err *e)
{
    int64_t now = clock_mono_us();

    count_failure(j);
    if (j->logged_us != 0 && now - j->logged_us < LOG_US)
        return;
    j->logged_us = now;
    log_err(LOG_LEVEL_WARNING, "the message log waits for the database", e);
}

/* ---- The thread --------------------------------------------------------------------------------------------------- */

static struct timespec in_ms(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* Under the lock. */
static void wait_until(struct journal *j, struct timespec until)
{
    while (!j->stopping && pthread_cond_timedwait(&j->wake, &j->lock, &until) != ETIMEDOUT)
        ;
}

/* Waits for the first record and then for those that come with it, or for again_ms where some wait already; takes them all. False:
 * it is time to stop. */
static bool gather(struct journal *j, int64_t again_ms)
{
    bool stopping;

    pthread_mutex_lock(&j->lock);
    if (j->mine != NULL) {
        wait_until(j, in_ms(again_ms));
    } else {
        while (j->first == NULL && !j->stopping)
            pthread_cond_wait(&j->wake, &j->lock);
        wait_until(j, in_ms(GROUP_MS));
    }
    *j->mine_end = j->first;
    if (j->first != NULL)
        j->mine_end = j->end;
    j->first = NULL;
    j->end = &j->first;
    stopping = j->stopping;
    pthread_mutex_unlock(&j->lock);
    return !stopping;
}

/* At a stop nothing comes any more: what is left is written, also by a database that comes back soon. */
static void write_last(struct journal *j)
{
    int64_t    until = clock_mono_us() + LAST_TRIES_MS * INT64_C(1000);
    struct err e = ERR_INIT;

    while (write_mine(j, &e) < 0 && clock_mono_us() < until)
        nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS_MIN * 1000000L}, NULL);
    if (j->mine != NULL)
        log_err(LOG_LEVEL_ERROR, "rows of the message log are lost, the database is away", &e);
}

static void *run(void *arg)
{
    struct journal *j = arg;
    int64_t         again_ms = AGAIN_MS_MIN;

    while (gather(j, again_ms)) {
        struct err e = ERR_INIT;

        if (write_mine(j, &e) == 0) {
            again_ms = AGAIN_MS_MIN;
            continue;
        }
        complain(j, &e);
        again_ms = again_ms * 2 < AGAIN_MS_MAX ? again_ms * 2 : AGAIN_MS_MAX;
    }
    write_last(j);
    store_close(&j->store);
    return NULL;
}

/* ---- Starting and stopping ---------------------------------------------------------------------------------------- */

static void release(struct journal *j)
{
    while (j->mine != NULL) {
        struct pending *x = j->mine;

        j->mine = x->next;
        free(x);
    }
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j->url);
    free(j);
}

static void init_wake(struct journal *j)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&j->lock, NULL);
}

int journal_new(const struct settings *settings, struct journal **out, struct err *e)
{
    struct journal *j = calloc(1, sizeof *j);
    int             rc;

    *out = NULL;
    if (j == NULL)
        panic("out of memory");
    j->url = span_strdup(span_of(settings->store.url));
    j->end = &j->first;
    j->mine_end = &j->mine;
    init_wake(j);
    if ((rc = pthread_create(&j->writer, NULL, run, j)) != 0) {
        release(j);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = j;
    return 0;
}

void journal_free(struct journal **at)
{
    struct journal *j = *at;

    if (j == NULL)
        return;
    *at = NULL;
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->writer, NULL);
    release(j);
}
