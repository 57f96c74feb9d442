/* lib/vault/vault.c - see vault.h. */
#include "vault/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "net/object_store.h"
#include "vault/object.h"

#define DAY_US (86400 * INT64_C(1000000))
#define NAME_BYTES (VAULT_DAY + 1 + UUID_TEXT) /* "2026-11-22/UID" */
#define READ_BYTES ((size_t)64 << 10)

/* Borrows the keys. `lock` is held shared as long as the vault is open: who gets it alone at the start is the first. */
struct vault {
    char                  path[PATH_MAX];
    int                   root, tmp, lock;
    const struct keyring *keys;
    int64_t               min_free;
    struct object_store  *bucket; /* NULL: the file form */
    atomic_uint           counter;
    pthread_mutex_t       mutex;                 /* guards synced */
    char                  synced[VAULT_DAY + 1]; /* the last day whose directory is known to be on disk */
};

struct name {
    char day[VAULT_DAY + 1], uid[UUID_TEXT + 1], path[NAME_BYTES + 1];
};

static void day_of(int64_t us, char day[VAULT_DAY + 1])
{
    char text[28];

    clock_format_utc(us, text);
    memcpy(day, text, VAULT_DAY);
    day[VAULT_DAY] = '\0';
}

/* A UID is a time, and that is the day of the object: nothing has to be searched. */
static struct name name_of(const struct uuid *uid)
{
    struct name n;
    int64_t     ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | uid->b[i];
    day_of(ms * 1000, n.day);
    uuid_format(uid, n.uid);
    snprintf(n.path, sizeof n.path, "%s/%s", n.day, n.uid);
    return n;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static void remove_leftovers(struct vault *v)
{
    struct dirent *d;
    int            again = openat(v->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *list = again >= 0 ? fdopendir(again) : NULL;

    if (list == NULL) {
        fd_close(&again);
        return;
    }
    while ((d = readdir(list)) != NULL)
        unlinkat(v->tmp, d->d_name, 0); /* "." and ".." do not go */
    closedir(list);
}

/* Whoever may only read here does without: nothing of his is half written. */
static void take_lock(struct vault *v)
{
    if ((v->lock = openat(v->root, "lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0644)) < 0)
        return;
    fd_inherit(v->lock, v->root);
    if (flock(v->lock, LOCK_EX | LOCK_NB) == 0)
        remove_leftovers(v);
    flock(v->lock, LOCK_SH | LOCK_NB);
}

/* "…?region=…&spool=DIR": the directory. */
static int spool_of(struct vault *v, struct span url, struct err *e)
{
    struct span query = span_skip(url, span_chr(url, '?') + 1), word;

    while (span_next(&query, '&', &word)) {
        if (span_starts(word, SPAN("spool=")) && word.n > 6 && word.n - 6 < sizeof v->path) {
            memcpy(v->path, word.p + 6, word.n - 6);
            return 0;
        }
    }
    return err_set(e, ERR_INVALID,
                   "[quarantine] url names no spool: add &spool=DIR, where held mail is kept until the "
                   "bucket has it");
}

static int read_url(struct vault *v, const char *text, struct err *e)
{
    struct span url = span_of(text);

    if (span_starts(url, SPAN("file:")) && url.n > 5 && url.n - 5 < sizeof v->path) {
        memcpy(v->path, url.p + 5, url.n - 5);
        return 0;
    }
    if (!span_starts(url, SPAN("s3+http")))
        return err_set(e, ERR_INVALID, "[quarantine] url is file:DIR or s3+https://HOST/BUCKET?region=…&spool=DIR");
    return spool_of(v, url, e) < 0 ? -1 : object_store_new(text, &v->bucket, e);
}

static int open_directories(struct vault *v, struct err *e)
{
    char tmp[PATH_MAX + 8];

    snprintf(tmp, sizeof tmp, "%s/tmp", v->path);
    if (fd_mkdirs(v->path, 0700, e) < 0 || fd_mkdirs(tmp, 0700, e) < 0 || fd_sync_way(v->path, e) < 0)
        return err_wrap(e, "where held mail is kept");
    v->root = open(v->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    v->tmp = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return v->root < 0 || v->tmp < 0 ? err_errno(e, "open %s, where held mail is kept", v->path) : 0;
}

int vault_open(const struct vault_how *how, struct vault **out, struct err *e)
{
    struct vault *v = calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL)
        panic("out of memory");
    v->root = v->tmp = v->lock = -1;
    v->keys = how->keys;
    v->min_free = how->min_free;
    pthread_mutex_init(&v->mutex, NULL);
    if (read_url(v, how->url, e) < 0 || open_directories(v, e) < 0) {
        vault_close(&v);
        return -1;
    }
    take_lock(v);
    *out = v;
    return 0;
}

void vault_close(struct vault **v)
{
    if (*v == NULL)
        return;
    fd_close(&(*v)->lock);
    fd_close(&(*v)->tmp);
    fd_close(&(*v)->root);
    object_store_free(&(*v)->bucket);
    pthread_mutex_destroy(&(*v)->mutex);
    free(*v);
    *v = NULL;
}

const char *vault_path(const struct vault *v) { return v->path; }

/* ---- keeping ------------------------------------------------------------------------------------------------------- */

int vault_room(struct vault *v, int64_t *out, struct err *e)
{
    struct statvfs s;

    if (fstatvfs(v->root, &s) < 0)
        return err_errno(e, "see how much room there is in %s", v->path);
    *out = (int64_t)(s.f_bavail * s.f_frsize) - v->min_free;
    return 0;
}

static int check_room(struct vault *v, size_t bytes, struct err *e)
{
    int64_t room = 0;

    if (vault_room(v, &room, e) < 0)
        return -1;
    return room >= (int64_t)bytes
               ? 0
               : err_set(e, ERR_FULL, "less than [quarantine] min_free would be left in %s for %zu bytes", v->path,
                         bytes);
}

static int make_day(struct vault *v, const char *day)
{
    int fd;

    if (mkdirat(v->root, day, 0700) < 0)
        return errno == EEXIST ? 0 : -1;
    if ((fd = openat(v->root, day, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
        fd_inherit(fd, v->root);
    fd_close(&fd);
    return 0;
}

/* The directory of a day is there, and its name on disk. */
static int need_day(struct vault *v, const char *day, struct err *e)
{
    int rc = 0;

    pthread_mutex_lock(&v->mutex);
    if (strcmp(v->synced, day) != 0) {
        if (make_day(v, day) < 0)
            rc = err_errno(e, "make directory %s/%s", v->path, day);
        else if ((rc = fd_sync(v->root, e)) == 0)
            memcpy(v->synced, day, sizeof v->synced);
    }
    pthread_mutex_unlock(&v->mutex);
    return rc;
}

static void forget_day(struct vault *v, const char *day)
{
    pthread_mutex_lock(&v->mutex);
    if (strcmp(v->synced, day) == 0)
        v->synced[0] = '\0';
    pthread_mutex_unlock(&v->mutex);
}

/* 1: the object is there, whole, and from here on surely on disk (who wrote it may have died on the way). 0: it is not. */
static int is_there(struct vault *v, const struct uuid *uid, const struct name *n, struct vault_kept *out,
                    struct err *e)
{
    int day, rc = -1, fd = openat(v->root, n->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(e, "open %s/%s", v->path, n->path);
    if ((day = openat(v->root, n->day, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        err_errno(e, "open %s/%s", v->path, n->day);
    else if (object_head(fd, uid, NULL, out, e) < 0)
        err_wrap(e, "%s/%s", v->path, n->path);
    else if (fd_sync(fd, e) == 0 && fd_sync(day, e) == 0 && need_day(v, n->day, e) == 0)
        rc = 1;
    fd_close(&day);
    fd_close(&fd);
    return rc;
}

/* A rename that never replaces; where the file system has no such thing, by a second name. */
static int rename_once(int from, const char *old, int to, const char *new)
{
    if (renameat2(from, old, to, new, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(from, old, to, new, 0) < 0)
        return -1;
    unlinkat(from, old, 0);
    return 0;
}

/* The file in tmp/ gets its name. 1: done. 0: another has that name. */
static int publish(struct vault *v, const char *tmp, const struct name *n, struct err *e)
{
    int rc = -1, day = -1;

    for (int tries = 0; day < 0 && tries < 2; tries++) {
        if (need_day(v, n->day, e) < 0)
            return -1;
        if ((day = openat(v->root, n->day, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
            forget_day(v, n->day); /* somebody removed it when it was empty */
    }
    if (day < 0)
        return err_errno(e, "open %s/%s", v->path, n->day);
    if (rename_once(v->tmp, tmp, day, n->uid) < 0)
        rc = errno == EEXIST ? 0 : err_errno(e, "name %s/%s", v->path, n->path);
    else if (fd_sync(day, e) == 0)
        rc = 1;
    else
        unlinkat(day, n->uid, 0);
    fd_close(&day);
    return rc;
}

int vault_put(struct vault *v, const struct uuid *uid, struct span head, struct span message, struct vault_kept *out,
              struct err *e)
{
    struct name n = name_of(uid);
    char        tmp[UUID_TEXT + 16];
    int         fd, rc;

    if ((rc = is_there(v, uid, &n, out, e)) != 0)
        return rc < 0 ? -1 : 0;
    if (check_room(v, head.n + message.n, e) < 0)
        return -1;
    keyring_refresh(v->keys, false, NULL); /* what cannot be read leaves the old one, which seals as well */
    snprintf(tmp, sizeof tmp, "%s.%u", n.uid, atomic_fetch_add(&v->counter, 1));
    if ((fd = openat(v->tmp, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        return err_errno(e, "create %s/tmp/%s", v->path, tmp);
    fd_inherit(fd, v->root);
    if (object_write(fd, uid, head, message, v->keys, out, e) < 0 || fd_sync(fd, e) < 0)
        rc = err_wrap(e, "%s/tmp/%s", v->path, tmp);
    else
        rc = publish(v, tmp, &n, e);
    if (rc != 1)
        unlinkat(v->tmp, tmp, 0);
    fd_close(&fd);
    if (rc == 0) /* somebody kept the same one meanwhile */
        rc = is_there(v, uid, &n, out, e);
    return rc == 1 ? 0 : -1;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static int not_held(const struct name *n, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "%s is not held here", n->uid);
}

/* From the bucket into a file that has no name any more. */
static int fetch(struct vault *v, const struct name *n, struct err *e)
{
    char tmp[UUID_TEXT + 24];
    int  fd;

    snprintf(tmp, sizeof tmp, "%s.get.%u", n->uid, atomic_fetch_add(&v->counter, 1));
    if ((fd = openat(v->tmp, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        return err_errno(e, "create %s/tmp/%s", v->path, tmp);
    unlinkat(v->tmp, tmp, 0);
    if (object_store_get(v->bucket, n->path, fd, e) < 0)
        fd_close(&fd);
    return fd;
}

static int open_object(struct vault *v, const struct name *n, struct err *e)
{
    int fd = openat(v->root, n->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return err_errno(e, "open %s/%s", v->path, n->path);
    if (v->bucket == NULL)
        return not_held(n, e);
    if ((fd = fetch(v, n, e)) < 0 && e != NULL && e->code == ERR_NOT_FOUND)
        not_held(n, e);
    return fd;
}

/* The head of one in the bucket: its front, and once more if the head is longer than most. */
static int head_from_bucket(struct vault *v, const struct uuid *uid, const struct name *n, struct buf *head,
                            struct vault_kept *kept, struct err *e)
{
    struct buf front;
    uint64_t   size;
    size_t     end;
    int        rc = -1;

    buf_init(&front, OBJECT_FRONT + VAULT_HEAD_MAX);
    if (object_store_front(v->bucket, n->path, READ_BYTES, &front, &size, e) < 0)
        goto out;
    end = front.n < OBJECT_FRONT ? 0 : object_head_end((const uint8_t *)front.p);
    if (end > front.n && end <= size) {
        buf_clear(&front);
        if (object_store_front(v->bucket, n->path, end, &front, &size, e) < 0)
            goto out;
    }
    rc = object_head_of(buf_span(&front), size, uid, head, kept, e);
out:
    if (rc < 0 && e != NULL && e->code == ERR_NOT_FOUND)
        not_held(n, e);
    buf_fini(&front);
    return rc;
}

static int head_here(struct vault *v, const struct uuid *uid, const struct name *n, struct buf *head,
                     struct vault_kept *kept, struct err *e)
{
    int rc, fd = openat(v->root, n->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? not_held(n, e) : err_errno(e, "open %s/%s", v->path, n->path);
    rc = object_head(fd, uid, head, kept, e);
    fd_close(&fd);
    return rc < 0 ? err_wrap(e, "%s", n->path) : 0;
}

int vault_head(struct vault *v, const struct uuid *uid, struct buf *head, struct vault_kept *kept, struct err *e)
{
    struct name n = name_of(uid);
    struct err  why = ERR_INIT;
    int         rc = head_here(v, uid, &n, head, kept, &why);

    if (rc < 0 && why.code == ERR_NOT_FOUND && v->bucket != NULL)
        return head_from_bucket(v, uid, &n, head, kept, e);
    if (rc < 0 && e != NULL)
        *e = why;
    return rc;
}

int vault_get(struct vault *v, const struct uuid *uid, struct buf *head, struct buf *message, struct err *e)
{
    struct name n = name_of(uid);
    int         rc, fd = open_object(v, &n, e);

    if (fd < 0)
        return -1;
    rc = object_open(fd, uid, v->keys, head, message, e);
    fd_close(&fd);
    return rc < 0 ? err_wrap(e, "%s", n.path) : 0;
}

int vault_read(struct vault *v, const struct uuid *uid, struct buf *message, struct err *e)
{
    struct name n = name_of(uid);
    int         rc, fd = open_object(v, &n, e);

    if (fd < 0)
        return -1;
    rc = object_open_sealed(fd, uid, v->keys, message, e);
    fd_close(&fd);
    return rc < 0 ? err_wrap(e, "%s", n.path) : 0;
}

/* ---- deleting ------------------------------------------------------------------------------------------------------ */

/* A day that is over goes when it is empty; one that may still be written to stays. */
static void remove_day(struct vault *v, const char *day)
{
    char over[VAULT_DAY + 1];

    day_of(clock_wall_us() - 2 * DAY_US, over);
    if (strcmp(day, over) < 0 && unlinkat(v->root, day, AT_REMOVEDIR) == 0)
        forget_day(v, day);
}

static int delete_here(struct vault *v, const struct name *n, struct err *e)
{
    int rc = -1, day = openat(v->root, n->day, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (day < 0)
        return errno == ENOENT ? not_held(n, e) : err_errno(e, "open %s/%s", v->path, n->day);
    if (unlinkat(day, n->uid, 0) == 0)
        rc = fd_sync(day, e);
    else if (errno == ENOENT)
        not_held(n, e);
    else
        err_errno(e, "remove %s/%s", v->path, n->path);
    fd_close(&day);
    if (rc == 0)
        remove_day(v, n->day);
    return rc;
}

/* The bucket first: what is left when that fails is found again. */
int vault_delete(struct vault *v, const struct uuid *uid, struct err *e)
{
    struct name n = name_of(uid);
    struct err  why = ERR_INIT;
    struct buf  front;
    uint64_t    size;
    bool        there = false;
    int         rc = 0;

    if (v->bucket != NULL) {
        buf_init(&front, 1);
        there = object_store_front(v->bucket, n.path, 1, &front, &size, &why) == 0;
        buf_fini(&front);
        if (there)
            rc = object_store_delete(v->bucket, n.path, e);
        else if (why.code != ERR_NOT_FOUND)
            rc = -1;
        if (rc < 0) {
            if (!there && e != NULL)
                *e = why;
            return -1;
        }
    }
    rc = delete_here(v, &n, &why);
    if (rc < 0 && there && why.code == ERR_NOT_FOUND)
        return 0;
    if (rc < 0 && e != NULL)
        *e = why;
    return rc;
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

/* Names of one length, in order. Owns them. */
struct names {
    char  *p;
    size_t n, cap, width; /* width with the NUL */
};

static void names_add(struct names *l, struct span name)
{
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? 2 * l->cap : 64;
        if ((l->p = realloc(l->p, l->cap * l->width)) == NULL)
            panic("out of memory");
    }
    memcpy(l->p + l->n * l->width, name.p, l->width - 1);
    l->p[l->n++ * l->width + l->width - 1] = '\0';
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static const char *name_at(const struct names *l, size_t i) { return l->p + i * l->width; }

static void names_sort(struct names *l)
{
    size_t kept = 0;

    if (l->n > 0)
        qsort(l->p, l->n, l->width, by_text);
    for (size_t i = 0; i < l->n; i++) { /* what is in both places is one */
        if (kept == 0 || strcmp(name_at(l, kept - 1), name_at(l, i)) != 0)
            memmove(l->p + kept++ * l->width, name_at(l, i), l->width);
    }
    l->n = kept;
}

static bool is_day(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (i == 4 || i == 7 ? s.p[i] != '-' : s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    return s.n == VAULT_DAY;
}

static bool is_uid(struct span s)
{
    struct uuid uid;
    char        text[UUID_TEXT + 1];

    if (!uuid_parse(s, &uid))
        return false;
    uuid_format(&uid, text);
    return span_is(s, text);
}

static int list_directory(struct vault *v, const char *path, bool (*fits)(struct span), struct names *out,
                          struct err *e)
{
    struct dirent *d;
    int            fd = openat(v->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *list = fd >= 0 ? fdopendir(fd) : NULL;

    if (list == NULL) {
        int gone = errno == ENOENT;

        fd_close(&fd);
        return gone ? 0 : err_errno(e, "list %s/%s", v->path, path);
    }
    while ((d = readdir(list)) != NULL) {
        if (fits(span_of(d->d_name)))
            names_add(out, span_of(d->d_name));
    }
    closedir(list);
    return 0;
}

/* "2026-11-22/" when days are listed, "2026-11-22/UID" when the objects of one are. */
static int from_bucket(void *ctx, struct span name)
{
    struct names *l = ctx;

    if (l->width == VAULT_DAY + 1 && name.n == VAULT_DAY + 1 && is_day(span_head(name, VAULT_DAY)))
        names_add(l, name);
    else if (l->width == UUID_TEXT + 1 && name.n == NAME_BYTES && is_uid(span_skip(name, VAULT_DAY + 1)))
        names_add(l, span_skip(name, VAULT_DAY + 1));
    return 0;
}

struct walk {
    struct vault *v;
    bool          everywhere;
    vault_fn      fn;
    vault_uid_fn  uid_fn; /* instead, for the names alone */
    void         *ctx;
};

static int list_days(const struct walk *w, struct names *out, struct err *e)
{
    if (list_directory(w->v, ".", is_day, out, e) < 0)
        return -1;
    if (w->everywhere && object_store_list(w->v->bucket, "", true, from_bucket, out, e) < 0)
        return -1;
    names_sort(out);
    return 0;
}

static int list_objects(const struct walk *w, const char *day, struct names *out, struct err *e)
{
    char prefix[VAULT_DAY + 2];

    if (list_directory(w->v, day, is_uid, out, e) < 0)
        return -1;
    snprintf(prefix, sizeof prefix, "%s/", day);
    if (w->everywhere && object_store_list(w->v->bucket, prefix, false, from_bucket, out, e) < 0)
        return -1;
    names_sort(out);
    return 0;
}

/* 1: fn wants no more. One that vanished since it was listed is passed over; so is none that cannot be read for now. */
static int visit(const struct walk *w, const char *text, struct err *e)
{
    struct uuid       uid;
    struct buf        head;
    struct vault_kept kept;
    struct err        why = ERR_INIT;
    int               rc = 0;

    uuid_parse(span_of(text), &uid);
    if (w->uid_fn != NULL)
        return w->uid_fn(w->ctx, &uid) != 0;
    buf_init(&head, VAULT_HEAD_MAX);
    if (vault_head(w->v, &uid, &head, &kept, &why) == 0)
        rc = w->fn(w->ctx, &uid, buf_span(&head), &kept) != 0;
    else if (why.code == ERR_CORRUPT)
        rc = w->fn(w->ctx, &uid, SPAN_NONE, NULL) != 0;
    else if (why.code != ERR_NOT_FOUND)
        rc = -1;
    if (rc < 0 && e != NULL)
        *e = why;
    buf_fini(&head);
    return rc;
}

static int visit_day(const struct walk *w, const char *day, struct err *e)
{
    struct names uids = {.width = UUID_TEXT + 1};
    int          rc = list_objects(w, day, &uids, e);

    for (size_t i = 0; rc == 0 && i < uids.n; i++)
        rc = visit(w, name_at(&uids, i), e);
    free(uids.p);
    return rc;
}

static int walk(const struct walk *w, int64_t since_us, struct err *e)
{
    struct names days = {.width = VAULT_DAY + 1};
    char         since[VAULT_DAY + 1];
    int          rc = list_days(w, &days, e);

    day_of(since_us, since);
    for (size_t i = 0; rc == 0 && i < days.n; i++) {
        if (strcmp(name_at(&days, i), since) >= 0)
            rc = visit_day(w, name_at(&days, i), e);
    }
    free(days.p);
    return rc < 0 ? -1 : 0;
}

int vault_each(struct vault *v, int64_t since_us, vault_fn fn, void *ctx, struct err *e)
{
    return walk(&(struct walk){.v = v, .everywhere = v->bucket != NULL, .fn = fn, .ctx = ctx}, since_us, e);
}

int vault_each_here(struct vault *v, int64_t since_us, vault_uid_fn fn, void *ctx, struct err *e)
{
    return walk(&(struct walk){.v = v, .uid_fn = fn, .ctx = ctx}, since_us, e);
}

/* ---- into the bucket ----------------------------------------------------------------------------------------------- */

bool vault_has_bucket(const struct vault *v) { return v->bucket != NULL; }

static int digest_of(int fd, uint8_t out[crypto_hash_sha256_BYTES], struct err *e)
{
    crypto_hash_sha256_state state;
    char                    *piece = malloc(READ_BYTES);
    ssize_t                  n;
    off_t                    at = 0;

    if (piece == NULL)
        panic("out of memory");
    crypto_hash_sha256_init(&state);
    while ((n = pread(fd, piece, READ_BYTES, at)) > 0 || (n < 0 && errno == EINTR)) {
        crypto_hash_sha256_update(&state, (const unsigned char *)piece, n > 0 ? (unsigned long long)n : 0);
        at += n > 0 ? n : 0;
    }
    crypto_hash_sha256_final(&state, out);
    free(piece);
    return n < 0 ? err_errno(e, "read the object") : 0;
}

/* 1: the bucket has this message under this name (sealed the same, or by another try). 0: nothing is there. */
static int bucket_has(struct vault *v, const struct uuid *uid, const struct name *n, const struct vault_kept *kept,
                      struct err *e)
{
    struct vault_kept there;
    struct err        why = ERR_INIT;

    if (head_from_bucket(v, uid, n, NULL, &there, &why) == 0) {
        if (memcmp(there.sha256, kept->sha256, sizeof there.sha256) == 0)
            return 1;
        return err_set(e, ERR_CONFLICT, "the bucket has another message under the name %s", n->path);
    }
    if (why.code == ERR_NOT_FOUND)
        return 0;
    if (e != NULL)
        *e = why;
    return -1;
}

int vault_upload(struct vault *v, const struct uuid *uid, struct err *e)
{
    struct name       n = name_of(uid);
    struct vault_kept kept;
    uint8_t           digest[crypto_hash_sha256_BYTES];
    int               rc = -1, fd = openat(v->root, n.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? not_held(&n, e) : err_errno(e, "open %s/%s", v->path, n.path);
    if (object_head(fd, uid, NULL, &kept, e) < 0 || (rc = bucket_has(v, uid, &n, &kept, e)) < 0)
        goto out;
    if (rc == 0) {
        rc = -1;
        if (digest_of(fd, digest, e) < 0 || object_store_put(v->bucket, n.path, fd, digest, e) < 0)
            goto out;
        if ((rc = bucket_has(v, uid, &n, &kept, e)) == 0)
            rc = err_set(e, ERR_LOST, "the bucket took it, and does not have it");
    }
    rc = rc == 1 ? delete_here(v, &n, e) : -1;
out:
    fd_close(&fd);
    return rc < 0 ? err_wrap(e, "upload %s", n.path) : 0;
}
