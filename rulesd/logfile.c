/* rulesd/logfile.c - which file comes next, and lines out of what was read. */
#include "logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "maillog.h"

#define READ_BYTES ((size_t)256 << 10)
#define CHECK_BYTES 64
#define QUIET_US 1000000 /* a file that was renamed is done when nobody has written to it for this long */

/* Owns its descriptor and buffer. The buffer holds the file's bytes from `base` on; those before `at` were handed out. */
struct logfile {
    char       *path;
    int         fd;
    struct stat st; /* of the open file: device and inode */
    struct buf  buf;
    int64_t     base;
    size_t      at;
    bool        skipping; /* a line that is too long */
    int64_t     grew_us;
};

struct logfile *logfile_new(const char *path)
{
    struct logfile *f = calloc(1, sizeof *f);

    if (f == NULL)
        panic("out of memory");
    f->path = span_strdup(span_of(path));
    f->fd = -1;
    buf_init(&f->buf, READ_BYTES + MAILLOG_LINE_MAX + 2 * CHECK_BYTES);
    return f;
}

void logfile_free(struct logfile **at)
{
    struct logfile *f = *at;

    if (f == NULL)
        return;
    *at = NULL;
    fd_close(&f->fd);
    buf_fini(&f->buf);
    free(f->path);
    free(f);
}

const char *logfile_path(const struct logfile *f) { return f->path; }

bool logfile_is_open(const struct logfile *f) { return f->fd >= 0; }

int64_t logfile_place(const struct logfile *f) { return f->base + (int64_t)f->at; }

int64_t logfile_behind(const struct logfile *f)
{
    struct stat st;

    if (f->fd < 0 || fstat(f->fd, &st) < 0 || st.st_size < logfile_place(f))
        return 0;
    return st.st_size - logfile_place(f);
}

/* ---- marks ---- */

/* False: there are not as many bytes before it. */
static bool check_of(int fd, int64_t position, uint8_t out[FINGERPRINT_BYTES])
{
    char    bytes[CHECK_BYTES];
    int64_t n = position < CHECK_BYTES ? position : CHECK_BYTES;

    if (pread(fd, bytes, (size_t)n, (off_t)(position - n)) != n)
        return false;
    fingerprint(span_make(bytes, (size_t)n), out);
    return true;
}

void logfile_mark(const struct logfile *f, int64_t place, struct logfile_mark *out)
{
    *out = (struct logfile_mark){(int64_t)f->st.st_dev, (int64_t)f->st.st_ino, place, {0}};
    if (f->fd >= 0)
        check_of(f->fd, place, out->check);
}

static bool fits(int fd, const struct logfile_mark *m)
{
    uint8_t check[FINGERPRINT_BYTES];

    return check_of(fd, m->position, check) && memcmp(check, m->check, sizeof check) == 0;
}

/* ---- the files that there are ---- */

static int open_log(const char *path) { return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); }

/* With what stands before the position in the buffer, to know the place again. */
static void begin_at(struct logfile *f, int fd, int64_t position)
{
    int64_t n = position < CHECK_BYTES ? position : CHECK_BYTES;

    fd_close(&f->fd);
    f->fd = fd;
    if (fstat(fd, &f->st) < 0)
        memset(&f->st, 0, sizeof f->st);
    buf_clear(&f->buf);
    if (pread(fd, buf_reserve(&f->buf, CHECK_BYTES), (size_t)n, (off_t)(position - n)) == n)
        f->buf.n = (size_t)n;
    f->at = f->buf.n;
    f->base = position - (int64_t)f->at;
    f->skipping = false;
}

static bool is_compressed(struct span name)
{
    static const char *const ends[] = {".gz", ".xz", ".bz2", ".zst", ".lz4", ".tmp"};

    for (size_t i = 0; i < COUNT(ends); i++)
        if (span_ends(name, span_of(ends[i])))
            return true;
    return false;
}

/* One of the files that the log may go on in. */
struct candidate {
    char        path[PATH_MAX];
    struct stat st;
    bool        live; /* the one that is written to */
};
typedef bool (*candidate_fn)(void *ctx, const struct candidate *c);

static bool look_at(struct candidate *c) { return stat(c->path, &c->st) == 0 && (S_ISREG(c->st.st_mode) || c->live); }

/* The rotated ones in no order, then the live one, until fn says true. */
static bool each_candidate(const struct logfile *f, candidate_fn fn, void *ctx)
{
    struct span      path = span_of(f->path);
    size_t           slash = span_rchr(path, '/');
    struct span      dir = slash < path.n ? span_head(path, slash + 1) : SPAN("./");
    struct span      base = slash < path.n ? span_skip(path, slash + 1) : path;
    struct candidate c = {.live = false};
    bool             found = false;

    snprintf(c.path, sizeof c.path, "%.*s", SPAN_ARG(dir));
    DIR *d = opendir(c.path);
    for (struct dirent *item; d != NULL && !found && (item = readdir(d)) != NULL;) {
        struct span name = span_of(item->d_name), rest = span_skip(name, base.n);

        if (!span_starts(name, base) || rest.n == 0 || (rest.p[0] != '.' && rest.p[0] != '-') || is_compressed(name))
            continue;
        if (snprintf(c.path, sizeof c.path, "%.*s%s", SPAN_ARG(dir), item->d_name) < (int)sizeof c.path && look_at(&c))
            found = fn(ctx, &c);
    }
    if (d != NULL)
        closedir(d);
    c.live = true;
    snprintf(c.path, sizeof c.path, "%s", f->path);
    return found || (look_at(&c) && fn(ctx, &c));
}

struct seek {
    struct logfile            *f;
    const struct logfile_mark *mark;
    bool                       same_inode;
};

/* Opens it there, if that is where the mark was made. */
static bool is_marked(void *ctx, const struct candidate *c)
{
    struct seek *k = ctx;
    bool         same = (int64_t)c->st.st_dev == k->mark->device && (int64_t)c->st.st_ino == k->mark->inode;
    int          fd;

    if (same != k->same_inode || c->st.st_size < k->mark->position || (fd = open_log(c->path)) < 0)
        return false;
    if (!fits(fd, k->mark)) {
        fd_close(&fd);
        return false;
    }
    begin_at(k->f, fd, k->mark->position);
    return true;
}

/* The very file, or a copy of it. */
static bool seek_mark(struct logfile *f, const struct logfile_mark *mark)
{
    struct seek k = {f, mark, true};

    if (each_candidate(f, is_marked, &k))
        return true;
    k.same_inode = false;
    return mark->position > 0 && each_candidate(f, is_marked, &k);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_later(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec > b->st_mtim.tv_sec
                                                  : a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

struct next {
    struct stat      of;
    struct candidate best;
    bool             any;
};

/* The first that was written to after ours; the live one, where none was. */
static bool is_next(void *ctx, const struct candidate *c)
{
    struct next *n = ctx;

    if (same_file(&c->st, &n->of))
        return false;
    if (c->live ? !n->any || is_later(&n->best.st, &c->st)
                : is_later(&c->st, &n->of) && (!n->any || is_later(&n->best.st, &c->st))) {
        n->best = *c;
        n->any = true;
    }
    return false;
}

static bool find_next(const struct logfile *f, struct next *n)
{
    n->any = false;
    if (fstat(f->fd, &n->of) < 0)
        return false;
    each_candidate(f, is_next, n);
    return n->any;
}

/* ---- beginning, and going on ---- */

static void begin_live(struct logfile *f)
{
    int fd = open_log(f->path);

    if (fd >= 0)
        begin_at(f, fd, 0);
}

/* At the beginning of a line, not too long before the end. */
static void begin_first(struct logfile *f)
{
    struct stat st;

    begin_live(f);
    if (f->fd < 0 || fstat(f->fd, &st) < 0 || st.st_size <= LOGFILE_FIRST_MAX)
        return;
    begin_at(f, dup(f->fd), st.st_size - LOGFILE_FIRST_MAX);
    f->skipping = true; /* to the end of that line */
}

void logfile_resume(struct logfile *f, const struct logfile_mark *left, bool *lost_out)
{
    *lost_out = false;
    if (left == NULL) {
        begin_first(f);
    } else if (!seek_mark(f, left)) {
        *lost_out = left->position > 0;
        begin_live(f);
    }
}

void logfile_recall(struct logfile *f, void (*line)(void *ctx, struct span line), void *ctx)
{
    int64_t     place = logfile_place(f), n = place < LOGFILE_RECALL_MAX ? place : LOGFILE_RECALL_MAX;
    char       *bytes;
    ssize_t     got;
    struct span rest, one;

    if (f->fd < 0 || n == 0)
        return;
    if ((bytes = malloc((size_t)n)) == NULL)
        panic("out of memory");
    got = pread(f->fd, bytes, (size_t)n, (off_t)(place - n));
    rest = span_make(bytes, got > 0 ? (size_t)got : 0);
    if (n < place)
        span_line(&rest, &one); /* cut */
    while (span_line(&rest, &one))
        line(ctx, one);
    free(bytes);
}

void logfile_turn(struct logfile *f)
{
    struct next n;
    int         fd;

    if (f->fd >= 0 && find_next(f, &n) && (fd = open_log(n.best.path)) >= 0)
        begin_at(f, fd, 0);
}

/* Emptied, or emptied and written to again: what we had read does not stand there any more. */
static bool is_truncated(const struct logfile *f)
{
    int64_t     end = f->base + (int64_t)f->buf.n;
    struct stat st;
    char        bytes[CHECK_BYTES];
    size_t      n = f->buf.n < CHECK_BYTES ? f->buf.n : CHECK_BYTES;

    if (fstat(f->fd, &st) < 0 || st.st_size < end)
        return true;
    return n > 0 && (pread(f->fd, bytes, n, (off_t)(end - (int64_t)n)) != (ssize_t)n ||
                     memcmp(bytes, f->buf.p + f->buf.n - n, n) != 0);
}

/* Goes on in the copy, from behind the last whole line; without one at the front of the file. */
static void follow_copy(struct logfile *f)
{
    struct logfile_mark mark = {0, 0, logfile_place(f), {0}};
    size_t              n = f->at < CHECK_BYTES ? f->at : CHECK_BYTES;
    struct seek         k = {f, &mark, false};

    fingerprint(span_make(f->buf.p + f->at - n, n), mark.check);
    if ((int64_t)n < (mark.position < CHECK_BYTES ? mark.position : CHECK_BYTES) || !each_candidate(f, is_marked, &k)) {
        f->base = 0;
        f->at = 0;
        f->skipping = false;
        buf_clear(&f->buf);
    }
}

/* Keeps what stands behind `at`, and a little before it to know the place again. */
static void make_room(struct logfile *f)
{
    size_t keep = f->at < CHECK_BYTES ? f->at : CHECK_BYTES;

    f->base += (int64_t)(f->at - keep);
    buf_consume(&f->buf, f->at - keep);
    f->at = keep;
}

/* Who writes has gone on to another file once there is something in it. */
static enum logfile_step at_end(struct logfile *f, int64_t now_us)
{
    struct next n;
    struct stat live;

    if (now_us - f->grew_us < QUIET_US || stat(f->path, &live) < 0 || same_file(&live, &f->st) || !find_next(f, &n))
        return LOGFILE_NOTHING;
    return n.best.live && n.best.st.st_size == 0 ? LOGFILE_NOTHING : LOGFILE_ENDED;
}

enum logfile_step logfile_read(struct logfile *f, int64_t now_mono_us, struct err *e)
{
    ssize_t got;
    char   *to;

    if (f->fd < 0)
        begin_live(f);
    if (f->fd < 0)
        return errno == ENOENT ? LOGFILE_NOTHING : (err_errno(e, "open %s", f->path), LOGFILE_BAD);
    if (is_truncated(f))
        follow_copy(f);
    make_room(f);
    if ((to = buf_reserve(&f->buf, READ_BYTES)) == NULL)
        panic("no room to read %s", f->path);
    got = pread(f->fd, to, READ_BYTES, (off_t)(f->base + (int64_t)f->buf.n));
    if (got < 0)
        return err_errno(e, "read %s", f->path), LOGFILE_BAD;
    if (got == 0)
        return at_end(f, now_mono_us);
    f->buf.n += (size_t)got;
    f->grew_us = now_mono_us;
    return LOGFILE_LINES;
}

bool logfile_line(struct logfile *f, struct span *line_out, int64_t *place_out)
{
    for (;;) {
        struct span rest = span_skip(buf_span(&f->buf), f->at);
        size_t      n = span_chr(rest, '\n');
        bool        whole = n < rest.n, skipped = f->skipping;

        if (!whole && rest.n <= MAILLOG_LINE_MAX)
            return false;
        *line_out = span_head(rest, n);
        *place_out = logfile_place(f);
        f->at += whole ? n + 1 : n;
        f->skipping = !whole;
        if (whole && !skipped && n <= MAILLOG_LINE_MAX)
            return true;
    }
}
