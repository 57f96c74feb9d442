/* rulesd/lookup.c - see lookup.h.
 *
 * The feed's thread notes what has changed, a thread of ours does it: it owns the store and the files. What fails is not tried again
 * by itself: everything is filled anew, a second later. */
#include "lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "feed.h"

#define PENDING_MAX 10000 /* changes; beyond that filling anew is quicker */
#define EXPIRE_US 1000000
#define RETRY_MS 1000
#define LOG_US 60000000
#define FILE_NAME "lookup.db"
#define MODE_DIR 02750
#define MODE_FILE 0640
#define MODE_ABOVE 0711 /* others pass through */

/* One program's. */
struct table {
    enum lookup_kind     kind;
    char                 path[PATH_MAX];
    struct store_lookup *rows; /* NULL: to be opened and filled */
};

struct lookup {
    char         *url;
    struct table  tables[LOOKUP_KINDS];
    size_t        ntables;
    struct store *store; /* the thread's */
    struct feed  *feed;
    pthread_t     thread;
    int64_t       expired_us, logged_us;

    pthread_mutex_t     lock; /* guards what follows */
    pthread_cond_t      came;
    struct store_change pending[PENDING_MAX];
    size_t              n;
    bool                refill, stopping;
    struct lookup_stats stats;
};

/* ---- Directories and files ------------------------------------------------------------------------------------------ */

/* Those that a reader has to pass through. */
static void warn_about_parents(const char *dir)
{
    char        path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s", dir);
    for (char *slash = strrchr(path, '/'); slash != NULL && slash != path; slash = strrchr(path, '/')) {
        if (stat(path, &st) == 0 && (st.st_mode & S_IXOTH) == 0)
            log_text(LOG_LEVEL_WARNING, "look-up files cannot be read by others through %s: chmod o+x %s", path, path);
        *slash = '\0';
    }
}

/* The program's group is asked for where it exists; who makes the directory beforehand (install -d) decides. */
static int make_dir(const char *path, const char *group, struct err *e)
{
    const struct group *g = getgrnam(group);
    struct stat         st;

    if (mkdir(path, 0750) == 0 && ((g != NULL && chown(path, (uid_t)-1, g->gr_gid) < 0) || chmod(path, MODE_DIR) < 0) &&
        errno != EPERM)
        return err_errno(e, "set the group and mode of %s", path);
    if (stat(path, &st) < 0)
        return err_errno(e, "make the directory %s", path);
    if (g == NULL)
        log_text(LOG_LEVEL_WARNING, "there is no group %s to read %s", group, path);
    else if (st.st_gid != g->gr_gid || (st.st_mode & S_ISGID) == 0)
        log_text(LOG_LEVEL_WARNING, "group %s cannot read %s: install -d -o %u -g %s -m 2750 %s", group, path,
                 (unsigned)geteuid(), group, path);
    return 0;
}

static int make_file(const char *path, const char *dir, struct err *e)
{
    struct stat at, st;
    int         fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, MODE_FILE), rc = -1;

    if (fd < 0)
        return err_errno(e, "make the look-up file %s", path);
    if (fstat(fd, &st) < 0 || stat(dir, &at) < 0)
        err_errno(e, "look at the look-up file %s", path);
    else if ((st.st_mode & 0777) != MODE_FILE && fchmod(fd, MODE_FILE) < 0)
        err_errno(e, "set the mode of %s", path);
    else if (st.st_gid != at.st_gid && fchown(fd, (uid_t)-1, at.st_gid) < 0 && errno != EPERM)
        err_errno(e, "set the group of %s", path);
    else
        rc = 0;
    fd_close(&fd);
    return rc;
}

static const char *group_of(const struct settings *s, enum lookup_kind kind)
{
    return kind == LOOKUP_SPAMASSASSIN ? s->lookup.spamassassin_group : s->lookup.postfix_group;
}

static int make_place(const struct settings *s, struct table *t, struct err *e)
{
    char dir[PATH_MAX - 32];
    int  n = snprintf(dir, sizeof dir, "%s/%s", s->lookup.dir, lookup_words[t->kind]);

    if (n >= (int)sizeof dir)
        return err_set(e, ERR_INVALID, "[lookup] dir is too long");
    snprintf(t->path, sizeof t->path, "%s/" FILE_NAME, dir);
    if (fd_mkdirs(s->lookup.dir, MODE_ABOVE, e) < 0)
        return -1;
    chmod(s->lookup.dir, MODE_ABOVE); /* whatever our umask is; a directory of somebody else's is theirs to open */
    return make_dir(dir, group_of(s, t->kind), e) < 0 ? -1 : make_file(t->path, dir, e);
}

/* One that is damaged, or another release's: in its place comes a new one, and who has it open has to open it again. */
static int make_again(struct table *t, struct err *e)
{
    char        path[PATH_MAX + 8], dir[PATH_MAX];
    const char *ends[] = {"", "-wal", "-shm"};

    log_err(LOG_LEVEL_WARNING, "look-up file made again", e);
    for (size_t i = 0; i < COUNT(ends); i++) {
        snprintf(path, sizeof path, "%s%s", t->path, ends[i]);
        unlink(path);
    }
    snprintf(dir, sizeof dir, "%s", t->path);
    *strrchr(dir, '/') = '\0';
    return make_file(t->path, dir, e);
}

/* ---- Filling and following ------------------------------------------------------------------------------------------ */

static int fill(struct lookup *l, struct table *t, struct err *e)
{
    if (t->rows == NULL && store_lookup_open(l->url, t->path, t->kind, &t->rows, e) < 0)
        return -1;
    return store_lookup_fill(t->rows, l->store, e);
}

static int fill_table(struct lookup *l, struct table *t, struct err *e)
{
    struct err why = ERR_INIT;

    if (fill(l, t, &why) == 0)
        return 0;
    store_lookup_close(&t->rows);
    if (e != NULL)
        *e = why;
    if (why.code != ERR_CORRUPT || t->path[0] == '\0' || make_again(t, &why) < 0)
        return -1;
    return fill(l, t, e);
}

static int open_store(struct lookup *l, struct err *e)
{
    if (l->store != NULL)
        return store_ping(l->store, e);
    return store_open(l->url, STORE_EXISTING, &l->store, e);
}

static int fill_all(struct lookup *l, struct err *e)
{
    if (open_store(l, e) < 0)
        return -1;
    for (size_t i = 0; i < l->ntables; i++)
        if (fill_table(l, &l->tables[i], e) < 0)
            return -1;
    return 0;
}

static int apply(struct lookup *l, const struct store_change *changes, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < l->ntables; k++)
            if (store_lookup_change(l->tables[k].rows, l->store, &changes[i], e) < 0)
                return -1;
    return 0;
}

static int expire(struct lookup *l, struct err *e)
{
    int64_t now = clock_mono_us();

    if (now - l->expired_us < EXPIRE_US)
        return 0;
    l->expired_us = now;
    for (size_t k = 0; k < l->ntables; k++)
        if (store_lookup_expire(l->tables[k].rows, l->store, clock_wall_us(), e) < 0)
            return -1;
    return 0;
}

static void complain(struct lookup *l, const struct err *e)
{
    int64_t now = clock_mono_us();

    if (l->logged_us != 0 && now - l->logged_us < LOG_US)
        return;
    l->logged_us = now;
    log_err(LOG_LEVEL_WARNING, "look-up files stay as they were", e);
}

/* ---- The thread ----------------------------------------------------------------------------------------------------- */

/* What there is to do, taken all at once. */
struct todo {
    struct store_change *changes;
    size_t               n;
    bool                 refill, stopping;
};

/* Under the lock. */
static struct todo take(struct lookup *l, struct store_change *room)
{
    struct todo t = {.changes = room, .n = l->n, .refill = l->refill, .stopping = l->stopping};

    memcpy(room, l->pending, l->n * sizeof *room);
    l->n = 0;
    l->refill = false;
    return t;
}

static struct timespec from_now(int64_t ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static struct todo wait_for_work(struct lookup *l, struct store_change *room)
{
    struct timespec until = from_now(EXPIRE_US / 1000);
    struct todo     t;

    pthread_mutex_lock(&l->lock);
    while (!l->stopping && l->n == 0 && !l->refill)
        if (pthread_cond_timedwait(&l->came, &l->lock, &until) == ETIMEDOUT)
            break;
    t = take(l, room);
    pthread_mutex_unlock(&l->lock);
    return t;
}

static void done(struct lookup *l, const struct todo *t, bool well)
{
    pthread_mutex_lock(&l->lock);
    l->stats.stale = !well;
    if (well && t->n > 0)
        l->stats.seq = t->changes[t->n - 1].seq;
    l->stats.changes += well ? t->n : 0;
    l->stats.failures += !well;
    l->refill |= !well;
    pthread_mutex_unlock(&l->lock);
}

/* A failure leaves `refill` set, which would come back at once. */
static void pause_after_failure(struct lookup *l)
{
    struct timespec until = from_now(RETRY_MS);

    pthread_mutex_lock(&l->lock);
    while (!l->stopping && pthread_cond_timedwait(&l->came, &l->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&l->lock);
}

static void *run(void *arg)
{
    struct lookup       *l = arg;
    struct store_change *room = calloc(PENDING_MAX, sizeof *room);

    if (room == NULL)
        panic("out of memory");
    for (;;) {
        struct err  e = ERR_INIT;
        struct todo t = wait_for_work(l, room);
        int         rc;

        if (t.stopping)
            break;
        rc = t.refill ? fill_all(l, &e) : apply(l, t.changes, t.n, &e);
        if (rc == 0)
            rc = expire(l, &e);
        done(l, &t, rc == 0);
        if (rc == 0) {
            l->logged_us = 0;
        } else {
            complain(l, &e);
            pause_after_failure(l);
        }
    }
    free(room);
    return NULL;
}

/* ---- What the feed tells --------------------------------------------------------------------------------------------- */

static void on_change(void *ctx, const struct store_change *c)
{
    struct lookup *l = ctx;

    pthread_mutex_lock(&l->lock);
    if (l->n < PENDING_MAX)
        l->pending[l->n++] = *c;
    else
        l->refill = true;
    pthread_cond_signal(&l->came);
    pthread_mutex_unlock(&l->lock);
}

static void on_gap(void *ctx)
{
    struct lookup *l = ctx;

    pthread_mutex_lock(&l->lock);
    l->refill = true;
    pthread_cond_signal(&l->came);
    pthread_mutex_unlock(&l->lock);
}

static void on_tick(void *ctx, bool away)
{
    (void)ctx;
    (void)away;
}

/* ---- Starting and stopping ------------------------------------------------------------------------------------------- */

static int read_programs(struct lookup *l, const struct settings *s, struct err *e)
{
    for (size_t i = 0; i < s->lookup.programs.n; i++) {
        int kind = 0;

        while (lookup_words[kind] != NULL && strcmp(s->lookup.programs.items[i], lookup_words[kind]) != 0)
            kind++;
        if (lookup_words[kind] == NULL || l->ntables == LOOKUP_KINDS)
            return err_set(e, ERR_INVALID,
                           "[lookup] programs: there is spamassassin, and postfix, each once; not \"%s\"",
                           s->lookup.programs.items[i]);
        l->tables[l->ntables++].kind = (enum lookup_kind)kind;
    }
    return 0;
}

static int make_places(struct lookup *l, const struct settings *s, struct err *e)
{
    if (!span_starts(span_of(l->url), SPAN("sqlite:")))
        return 0;
    for (size_t i = 0; i < l->ntables; i++)
        if (make_place(s, &l->tables[i], e) < 0)
            return -1;
    warn_about_parents(s->lookup.dir);
    return 0;
}

static void release(struct lookup *l)
{
    feed_free(&l->feed);
    for (size_t i = 0; i < l->ntables; i++)
        store_lookup_close(&l->tables[i].rows);
    store_close(&l->store);
    pthread_cond_destroy(&l->came);
    pthread_mutex_destroy(&l->lock);
    free(l->url);
    free(l);
}

/* The feed first: what is committed while the files are filled is told afterwards. */
static int start(struct lookup *l, const struct settings *s, struct err *e)
{
    struct feed_sink sink = {on_change, on_gap, on_tick, l};
    int              rc;

    if (make_places(l, s, e) < 0 || feed_new(l->url, &sink, &l->feed, e) < 0)
        return -1;
    l->stats.seq = feed_seq(l->feed);
    if (fill_all(l, e) < 0)
        return err_wrap(e, "fill the look-up files");
    if ((rc = pthread_create(&l->thread, NULL, run, l)) != 0)
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    return 0;
}

int lookup_new(const struct settings *settings, struct lookup **out, struct err *e)
{
    struct lookup     *l;
    pthread_condattr_t attr;

    *out = NULL;
    if (settings->lookup.programs.n == 0)
        return 0;
    if ((l = calloc(1, sizeof *l)) == NULL)
        panic("out of memory");
    l->url = span_strdup(span_of(settings->store.url));
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->came, &attr);
    pthread_condattr_destroy(&attr);
    if (read_programs(l, settings, e) < 0 || start(l, settings, e) < 0) {
        release(l);
        return -1;
    }
    *out = l;
    return 0;
}

void lookup_free(struct lookup **at)
{
    struct lookup *l = *at;

    if (l == NULL)
        return;
    *at = NULL;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->came);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    release(l);
}

void lookup_stats(struct lookup *l, struct lookup_stats *out)
{
    pthread_mutex_lock(&l->lock);
    *out = l->stats;
    pthread_mutex_unlock(&l->lock);
}
