/* rulesd/retention.c - see retention.h. */
#include "retention.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "store/learned.h"
#include "store/message.h"

#define DAY_US (86400 * INT64_C(1000000))
#define STEP_US (3600 * INT64_C(1000000)) /* of the wall clock, that is not believed */

struct retention {
    struct retention_clock clock;

    char       *url;
    int64_t     days;
    int64_t     wall_us, boot_us; /* of the start */
    int64_t     done_day;         /* that was trimmed for; -1: none yet */
    bool        told;             /* that the clock is not believed */
    pthread_t   thread;
    atomic_bool stopping;

    pthread_mutex_t lock; /* for wake alone */
    pthread_cond_t  wake;
};

static bool is_stopping(void *arg) { return atomic_load(&((struct retention *)arg)->stopping); }

static bool clock_is_believed(struct retention *r, int64_t wall_us)
{
    int64_t off = (wall_us - r->wall_us) - (r->clock.boot_us() - r->boot_us);

    if (off > -STEP_US && off < STEP_US) {
        r->told = false;
        return true;
    }
    if (!r->told)
        log_text(LOG_LEVEL_WARNING,
                 "the clock has stepped by %lld s: the message log forgets nothing until it is right, or a restart",
                 (long long)(off / 1000000));
    r->told = true;
    return false;
}

static int trim(struct retention *r, int64_t day, struct store_trim *done, struct err *e)
{
    struct store *s = NULL;
    int           rc = -1;

    if (store_open(r->url, STORE_EXISTING, &s, e) == 0)
        rc = store_message_trim(s, day - r->days, is_stopping, r, done, e);
    if (rc == 0)
        rc = store_message_pack(s, day, is_stopping, r, e);
    store_close(&s);
    return rc;
}

#define LAPSE_STEP 1000

/* Learned senders that nobody has met for 90 days. */
static int lapse(struct retention *r, int64_t now_us, struct err *e)
{
    const struct actor by = {.kind = ACTOR_SYSTEM, .name = "postern-rulesd", .source = "retention"};
    struct store      *s = NULL;
    int64_t            gone = LAPSE_STEP;
    int                rc = store_open(r->url, STORE_EXISTING, &s, e);

    while (rc == 0 && gone == LAPSE_STEP && !is_stopping(r))
        rc = store_learned_lapse(s, &by, now_us, LAPSE_STEP, &gone, e);
    store_close(&s);
    return rc;
}

static void look(struct retention *r)
{
    int64_t           now = r->clock.wall_us(), today = now / DAY_US;
    struct store_trim done = {0};
    struct err        e = ERR_INIT;

    if (today == r->done_day || !clock_is_believed(r, now))
        return;
    if (lapse(r, now, &e) < 0 || trim(r, today, &done, &e) < 0) {
        log_err(LOG_LEVEL_WARNING, "old days could not be forgotten, or not be packed", &e);
        return;
    }
    r->done_day = today;
    if (done.days > 0)
        log_text(LOG_LEVEL_INFO, "the message log has forgotten %lld days", (long long)done.days);
}

static void *run(void *arg)
{
    struct retention *r = arg;
    struct timespec   until;

    pthread_mutex_lock(&r->lock);
    while (!is_stopping(r)) {
        pthread_mutex_unlock(&r->lock);
        look(r);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += r->clock.look_ms / 1000 + (until.tv_nsec + r->clock.look_ms % 1000 * 1000000) / 1000000000;
        until.tv_nsec = (until.tv_nsec + r->clock.look_ms % 1000 * 1000000) % 1000000000;
        pthread_mutex_lock(&r->lock);
        while (!is_stopping(r) && pthread_cond_timedwait(&r->wake, &r->lock, &until) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void release(struct retention *r)
{
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r->url);
    free(r);
}

static void init_wake(struct retention *r)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&r->lock, NULL);
}

int retention_new(const struct settings *settings, const struct retention_clock *clock, struct retention **out,
                  struct err *e)
{
    struct retention *r = calloc(1, sizeof *r);
    int               rc;

    *out = NULL;
    if (r == NULL)
        panic("out of memory");
    r->url = span_strdup(span_of(settings->store.url));
    r->days = settings->log.retention_days;
    r->clock = *clock;
    r->wall_us = clock->wall_us();
    r->boot_us = clock->boot_us();
    r->done_day = -1;
    init_wake(r);
    if ((rc = pthread_create(&r->thread, NULL, run, r)) != 0) {
        release(r);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = r;
    return 0;
}

void retention_free(struct retention **at)
{
    struct retention *r = *at;

    if (r == NULL)
        return;
    *at = NULL;
    atomic_store(&r->stopping, true);
    pthread_mutex_lock(&r->lock);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    release(r);
}
