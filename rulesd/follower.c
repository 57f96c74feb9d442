/* rulesd/follower.c - a thread between the files and the store.
 *
 * Round after round: some lines of each file into the timeline, then what is due of it into the store, with how far the files have
 * been dealt with. While the store is away lines pile up in the timeline until it is full; then the files wait. */
#include "follower.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "logfile.h"

#define TICK_US 100000
#define ROUND_LINES 15000 /* in one transaction, which has the log for itself for some 100 ms */
#define PLACE_US 5000000  /* how far a file has been read is written this often where nothing else is */
#define RETRY_US 1000000
#define LOG_US 60000000

/* One followed file. */
struct source {
    struct logfile     *file;
    bool                resumed, bad; /* bad: that it cannot be read was said */
    int64_t             written;      /* the place that the store has */
    int64_t             writing;      /* the one in the transaction under way */
    struct logfile_mark mark;
};

struct follower {
    char                 *url;
    struct source         sources[TIMELINE_SOURCES_MAX];
    size_t                nsources;
    struct store         *store;
    struct timeline      *timeline;
    struct store_position positions[TIMELINE_SOURCES_MAX];
    struct maillog_clock  clock;
    int64_t               now_us, written_us, retry_us, logged_us; /* monotonic */
    struct follower_stats counted;                                 /* the thread's */

    pthread_t             thread;
    pthread_mutex_t       lock; /* guards what follows */
    pthread_cond_t        wake;
    bool                  stopping;
    struct follower_stats told;
};

/* ---- saying what is wrong ---- */

static void complain(struct follower *f, const char *event, const struct err *e)
{
    f->counted.failures++;
    if (f->logged_us != 0 && f->now_us - f->logged_us < LOG_US)
        return;
    f->logged_us = f->now_us;
    log_err(LOG_LEVEL_ERROR, event, e);
}

static void say(enum log_level level, const char *event, const struct source *s)
{
    struct log_line line;

    log_begin(&line, level, event);
    log_str(&line, "file", logfile_path(s->file));
    log_i64(&line, "position", logfile_place(s->file));
    log_end(&line);
}

/* ---- reading ---- */

static void recall_line(void *ctx, struct span line)
{
    struct follower  *f = ctx;
    struct mail_event ev;

    if (maillog_read(line, &f->clock, &ev))
        timeline_recall(f->timeline, &ev, f->now_us);
}

/* Goes on where the store says that it was left. */
static int resume(struct follower *f, struct source *s, struct err *e)
{
    struct arena          a;
    struct store_position left;
    struct logfile_mark   mark;
    bool                  lost = false;
    int                   rc;

    arena_init(&a, 65536);
    rc = store_position_get(f->store, span_of(logfile_path(s->file)), &a, &left, e);
    if (rc > 0) {
        mark = (struct logfile_mark){left.device, left.inode, left.position, {0}};
        memcpy(mark.check, left.check.p, left.check.n < sizeof mark.check ? left.check.n : sizeof mark.check);
    }
    arena_fini(&a);
    if (rc < 0)
        return -1;
    logfile_resume(s->file, rc > 0 ? &mark : NULL, &lost);
    logfile_recall(s->file, recall_line, f);
    s->resumed = true;
    s->written = logfile_place(s->file);
    if (lost)
        say(LOG_LEVEL_WARNING, "lines of the log are lost: the file that was followed is gone, or not what it was", s);
    else if (logfile_is_open(s->file))
        say(LOG_LEVEL_INFO, "following", s);
    return 0;
}

static void take_lines(struct follower *f, struct source *s)
{
    unsigned          number = (unsigned)(s - f->sources);
    struct mail_event ev;
    struct span       line;
    int64_t           place;

    for (int n = 0; n < ROUND_LINES && logfile_line(s->file, &line, &place); n++) {
        f->counted.lines++;
        f->counted.bytes += line.n + 1;
        if (maillog_read(line, &f->clock, &ev))
            timeline_take(f->timeline, &ev, number, place, f->now_us);
    }
}

static void read_failed(struct follower *f, struct source *s, const struct err *e)
{
    f->counted.failures++;
    if (!s->bad)
        log_err(LOG_LEVEL_ERROR, "log not read", e);
    s->bad = true;
}

/* Its lines have to be dealt with before the next file begins: a place is one in a file. */
static void turn(struct follower *f, struct source *s)
{
    int64_t place = logfile_place(s->file);

    if (timeline_place(f->timeline, (unsigned)(s - f->sources), place) != place)
        return;
    logfile_turn(s->file);
    f->counted.rotations++;
    s->written = -1;
    say(LOG_LEVEL_INFO, "the log goes on in another file", s);
}

/* True: there may be more at once. */
static bool read_source(struct follower *f, struct source *s)
{
    struct err e = ERR_INIT;
    uint64_t   before = f->counted.lines;

    take_lines(f, s);
    if (f->counted.lines - before >= ROUND_LINES)
        return true;
    switch (logfile_read(s->file, f->now_us, &e)) {
    case LOGFILE_LINES: s->bad = false; return true;
    case LOGFILE_NOTHING: break;
    case LOGFILE_ENDED: turn(f, s); return s->written < 0;
    case LOGFILE_BAD: read_failed(f, s, &e); break;
    }
    return false;
}

static bool read_all(struct follower *f)
{
    bool more = false;

    for (struct source *s = f->sources; s < f->sources + f->nsources; s++)
        if (s->resumed && !timeline_full(f->timeline))
            more |= read_source(f, s);
    return more;
}

/* ---- writing ---- */

static size_t put_positions(void *ctx, const struct timeline *t, const struct store_position **out)
{
    struct follower *f = ctx;
    size_t           n = 0;

    for (struct source *s = f->sources; s < f->sources + f->nsources; s++) {
        if (!s->resumed || !logfile_is_open(s->file))
            continue;
        s->writing = timeline_place(t, (unsigned)(s - f->sources), logfile_place(s->file));
        if (s->writing == s->written)
            continue;
        logfile_mark(s->file, s->writing, &s->mark);
        f->positions[n++] = (struct store_position){.path = span_of(logfile_path(s->file)),
                                                    .device = s->mark.device,
                                                    .inode = s->mark.inode,
                                                    .position = s->mark.position,
                                                    .check = span_make(s->mark.check, sizeof s->mark.check)};
    }
    *out = f->positions;
    return n;
}

static int write_due(struct follower *f, struct err *e)
{
    const struct timeline_write how = {.now_mono_us = f->now_us, .positions = put_positions, .ctx = f};

    for (struct source *s = f->sources; s < f->sources + f->nsources; s++)
        s->writing = s->written;
    if (timeline_write(f->timeline, f->store, &how, e) < 0)
        return -1;
    for (struct source *s = f->sources; s < f->sources + f->nsources; s++)
        s->written = s->writing;
    f->written_us = f->now_us;
    return 0;
}

/* ---- the thread ---- */

static int ready(struct follower *f, struct err *e)
{
    if (f->store == NULL && store_open(f->url, STORE_EXISTING, &f->store, e) < 0)
        return -1;
    for (struct source *s = f->sources; s < f->sources + f->nsources; s++)
        if (!s->resumed && resume(f, s, e) < 0)
            return -1;
    return 0;
}

static void store_is_away(struct follower *f, const struct err *e)
{
    complain(f, "what became of mail not written", e);
    f->retry_us = f->now_us + RETRY_US;
}

/* One round. True: another one at once. */
static bool work(struct follower *f)
{
    struct err e = ERR_INIT;
    bool       more;

    if (f->now_us >= f->retry_us && ready(f, &e) < 0)
        store_is_away(f, &e);
    more = read_all(f);
    if (f->store == NULL || f->now_us < f->retry_us)
        return more;
    if (!timeline_due(f->timeline, f->now_us) && f->now_us - f->written_us < PLACE_US)
        return more;
    if (write_due(f, &e) < 0)
        store_is_away(f, &e);
    else
        f->logged_us = 0;
    return more && !timeline_full(f->timeline);
}

static void tell_stats(struct follower *f)
{
    struct follower_stats *s = &f->counted;

    timeline_stats(f->timeline, &s->timeline);
    s->behind = 0;
    s->files = 0;
    for (size_t i = 0; i < f->nsources; i++) {
        s->behind += logfile_behind(f->sources[i].file);
        s->files += logfile_is_open(f->sources[i].file);
    }
    pthread_mutex_lock(&f->lock);
    f->told = *s;
    pthread_mutex_unlock(&f->lock);
}

/* False: it is time to stop. */
static bool pause_for(struct follower *f, int64_t us)
{
    struct timespec until;
    bool            on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&f->lock);
    if (!f->stopping && us > 0)
        pthread_cond_timedwait(&f->wake, &f->lock, &until);
    on = !f->stopping;
    pthread_mutex_unlock(&f->lock);
    return on;
}

static void set_clocks(struct follower *f)
{
    f->now_us = clock_mono_us();
    f->clock.now_us = clock_wall_us();
}

static void *run(void *arg)
{
    struct follower *f = arg;
    struct err       e = ERR_INIT;
    bool             more;

    do {
        set_clocks(f);
        more = work(f);
        tell_stats(f);
    } while (pause_for(f, more ? 0 : TICK_US));
    set_clocks(f);
    if (f->store != NULL && write_due(f, &e) < 0)
        log_err(LOG_LEVEL_ERROR, "what became of mail not written, it will be read again", &e);
    return NULL;
}

static void release(struct follower *f)
{
    for (size_t i = 0; i < f->nsources; i++)
        logfile_free(&f->sources[i].file);
    timeline_free(&f->timeline);
    store_close(&f->store);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f->url);
    free(f);
}

static void init_wake(struct follower *f)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&f->lock, NULL);
}

int follower_new(const struct settings *settings, struct follower **out, struct err *e)
{
    const struct conf_list *files = &settings->rulesd.maillog;
    struct follower        *f;
    int                     rc;

    *out = NULL;
    if (files->n == 0)
        return 0;
    if (files->n > TIMELINE_SOURCES_MAX)
        return err_set(e, ERR_LIMIT, "[rulesd] maillog: at most %d files", TIMELINE_SOURCES_MAX);
    if ((f = calloc(1, sizeof *f)) == NULL)
        panic("out of memory");
    f->url = span_strdup(span_of(settings->store.url));
    f->timeline = timeline_new();
    for (; f->nsources < files->n; f->nsources++)
        f->sources[f->nsources].file = logfile_new(files->items[f->nsources]);
    init_wake(f);
    if ((rc = pthread_create(&f->thread, NULL, run, f)) != 0) {
        release(f);
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    }
    *out = f;
    return 0;
}

void follower_free(struct follower **at)
{
    struct follower *f = *at;

    if (f == NULL)
        return;
    *at = NULL;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    release(f);
}

void follower_stats(struct follower *f, struct follower_stats *out)
{
    *out = (struct follower_stats){0};
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    *out = f->told;
    pthread_mutex_unlock(&f->lock);
}
