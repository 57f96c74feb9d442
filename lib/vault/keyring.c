/* lib/vault/keyring.c - see keyring.h. */
#include "vault/keyring.h"

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
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define FILE_MAX 512 /* bytes of a file here */
#define KEYS_MAX 10000
#define LOOK_EVERY_US 1000000

struct key {
    char id[KEY_ID_MAX + 1];
    uint8_t public[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
    bool    has_secret, mismatched; /* mismatched: the two halves are not a pair */
    int64_t created_us;
};

/* The keys as they were read once. Nobody writes to it any more when others can see it. */
struct ring {
    const char  *dir;  /* the keyring's */
    struct key  *keys; /* the oldest first */
    size_t       n, current;
    struct stat  seen; /* the file that named the current one */
    struct ring *older;
};

/* Owns what it ever read: each reading stays until it closes, so that whoever is sealing may finish, and there are only as many as
 * the keys have changed. The secret halves are wiped then. Behind a pointer, since a ring that nobody may change still gets newer. */
struct keyring {
    struct state {
        char                   dir[PATH_MAX];
        _Atomic(struct ring *) now;
        pthread_mutex_t        reading;
        struct stat            seen; /* guarded by `reading`: the file that named the current key when it was read */
        atomic_int_fast64_t    looked_us, missed_us; /* monotonic: for `current`, and in vain for a key to open with */
    } * state;
};

static const struct ring *ring_of(const struct keyring *k) { return atomic_load(&k->state->now); }

static void need_sodium(void)
{
    if (sodium_init() < 0)
        panic("libsodium does not start");
}

/* ---- one file: "postern KIND CREATED HEX" ------------------------------------------------------------------------ */

enum file_kind { FILE_PUBLIC, FILE_KEY, FILE_SECRET };
static const struct {
    const char *word, *suffix;
    mode_t      mode, refused; /* refused: with any of these bits the file is not used */
} kinds[] = {
    [FILE_PUBLIC] = {"body-key-public", ".pub", 0444, 0022},
    [FILE_KEY] = {"body-key-secret", ".key", 0400, 0037},
    [FILE_SECRET] = {"secret", ".secret", 0400, 0037},
};

static int parse_file(struct span text, enum file_kind kind, uint8_t key[32], int64_t *created_us)
{
    struct span rest = span_trim(text), word, at;
    size_t      n;

    if (!span_next(&rest, ' ', &word) || !span_is(word, "postern") || !span_next(&rest, ' ', &word) ||
        !span_is(word, kinds[kind].word) || !span_next(&rest, ' ', &at) || !clock_parse_utc(at, created_us))
        return -1;
    return rest.n == 64 && sodium_hex2bin(key, 32, rest.p, rest.n, NULL, &n, NULL) == 0 && n == 32 ? 0 : -1;
}

/* ERR_NOT_FOUND, and ERR_DENIED when the process may not read it, are for the caller to judge. */
static int read_file(int dir, const char *path, const char *name, enum file_kind kind, uint8_t key[32],
                     int64_t *created_us, struct err *e)
{
    char        text[FILE_MAX];
    struct stat st;
    ssize_t     n = -1;
    int         rc, fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_errno(e, "read %s/%s", path, name);
    if (fstat(fd, &st) == 0)
        n = read(fd, text, sizeof text);
    fd_close(&fd);
    if (n < 0)
        return err_errno(e, "read %s/%s", path, name);
    if ((st.st_mode & kinds[kind].refused) != 0)
        rc = err_set(e, ERR_INVALID, "%s/%s is not safe with mode %04o; chmod %04o it", path, name,
                     (unsigned)(st.st_mode & 07777), (unsigned)kinds[kind].mode);
    else if (parse_file(span_make(text, (size_t)n), kind, key, created_us) < 0)
        rc = err_set(e, ERR_CORRUPT, "%s/%s is not a key as postern writes it", path, name);
    else
        rc = 0;
    sodium_memzero(text, sizeof text);
    return rc;
}

/* The whole file or none of it, on disk. `replace`: over one that is there; else ERR_CONFLICT. */
static int write_file(int dir, const char *path, const char *name, struct span text, mode_t mode, bool replace,
                      struct err *e)
{
    char tmp[NAME_MAX];
    int  fd, rc = -1;

    snprintf(tmp, sizeof tmp, ".%.200s.%08x", name, (unsigned)randombytes_random());
    if ((fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        return err_errno(e, "create %s/%s", path, tmp);
    fd_inherit(fd, dir);
    if (fchmod(fd, mode) < 0)
        err_errno(e, "set the mode of %s/%s", path, tmp);
    else if (fd_write_all(fd, text, e) < 0 || fd_sync(fd, e) < 0)
        err_wrap(e, "%s/%s", path, tmp);
    else if ((replace ? renameat(dir, tmp, dir, name) : linkat(dir, tmp, dir, name, 0)) < 0)
        err_errno(e, "name %s/%s", path, name);
    else
        rc = fd_sync(dir, e);
    if (rc < 0 || !replace)
        unlinkat(dir, tmp, 0);
    fd_close(&fd);
    return rc;
}

static int write_key(int dir, const char *path, const char *name, enum file_kind kind, const uint8_t key[32],
                     struct err *e)
{
    char text[FILE_MAX], hex[65], now[28];
    int  n, rc;

    clock_format_utc(clock_wall_us(), now);
    sodium_bin2hex(hex, sizeof hex, key, 32);
    n = snprintf(text, sizeof text, "postern %s %s %s\n", kinds[kind].word, now, hex);
    rc = write_file(dir, path, name, span_make(text, (size_t)n), kinds[kind].mode, false, e);
    sodium_memzero(text, sizeof text);
    sodium_memzero(hex, sizeof hex);
    return rc;
}

/* ---- the directory ------------------------------------------------------------------------------------------------ */

static int open_dir(const char *path, struct err *e)
{
    struct stat st;
    int         fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there are no keys in %s; \"postern init\" makes them", path);
    if (fd < 0)
        return err_errno(e, "open the keys in %s", path);
    if (fstat(fd, &st) < 0) {
        err_errno(e, "look at %s", path);
        fd_close(&fd);
    } else if ((st.st_mode & 0027) != 0) {
        err_set(e, ERR_INVALID, "%s is not safe with mode %04o; chmod 0700 it", path, (unsigned)(st.st_mode & 07777));
        fd_close(&fd);
    }
    return fd;
}

/* What may stand in the name of a file: no dots, no slashes. */
static bool is_id(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
            return false;
    }
    return s.n > 0 && s.n <= KEY_ID_MAX;
}

/* A pair of today. The public half comes last, then `current`: what seals is never without what opens. */
static int make_pair(int dir, const char *path, char id[KEY_ID_MAX + 1], struct err *e)
{
    uint8_t public[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
    char now[28], name[KEY_ID_MAX + 16];
    int  rc = -1;

    clock_format_utc(clock_wall_us(), now);
    snprintf(id, KEY_ID_MAX + 1, "%.10s-%08x", now, (unsigned)randombytes_random());
    crypto_box_keypair(public, secret);
    snprintf(name, sizeof name, "%s.key", id);
    if (write_key(dir, path, name, FILE_KEY, secret, e) < 0)
        goto out;
    snprintf(name, sizeof name, "%s.pub", id);
    if (write_key(dir, path, name, FILE_PUBLIC, public, e) < 0)
        goto out;
    snprintf(name, sizeof name, "%s\n", id);
    rc = write_file(dir, path, "current", span_of(name), 0444, true, e);
out:
    sodium_memzero(secret, sizeof secret);
    return rc;
}

/* One at a time: two that make a first pair make one. */
static int lock_dir(int dir, const char *path, struct err *e)
{
    while (flock(dir, LOCK_EX) < 0) {
        if (errno != EINTR)
            return err_errno(e, "lock %s", path);
    }
    return 0;
}

int keyring_create(const char *path, struct err *e)
{
    char id[KEY_ID_MAX + 1];
    int  dir, rc = -1;

    need_sodium();
    if (fd_mkdirs(path, 0700, e) < 0 || (dir = open_dir(path, e)) < 0)
        return -1;
    if (lock_dir(dir, path, e) == 0)
        rc = faccessat(dir, "current", F_OK, 0) == 0 ? 0 : make_pair(dir, path, id, e);
    if (rc == 0) /* keys that are lost are mail that is lost */
        rc = fd_sync_way(path, e);
    fd_close(&dir);
    return rc;
}

int keyring_rotate(const char *path, char id_out[KEY_ID_MAX + 1], struct err *e)
{
    int dir, rc = -1;

    need_sodium();
    if ((dir = open_dir(path, e)) < 0)
        return -1;
    if (lock_dir(dir, path, e) == 0)
        rc = make_pair(dir, path, id_out, e);
    fd_close(&dir);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static struct key *key_of(const struct ring *k, const char *id)
{
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->keys[i].id, id) == 0)
            return &k->keys[i];
    }
    return NULL;
}

static struct key *add_key(struct ring *k, struct span id)
{
    struct key *more = realloc(k->keys, (k->n + 1) * sizeof *more);

    if (more == NULL)
        panic("out of memory");
    k->keys = more;
    k->keys[k->n] = (struct key){.created_us = 0};
    memcpy(k->keys[k->n].id, id.p, id.n);
    return &k->keys[k->n++];
}

/* The secret half, if it is here and we may read it; a public half that is missing follows from it. */
static int read_secret(struct ring *k, int dir, struct key *key, bool has_public, struct err *e)
{
    struct err why = ERR_INIT;
    uint8_t public[crypto_box_PUBLICKEYBYTES];
    char    name[KEY_ID_MAX + 16];
    int64_t created_us;

    snprintf(name, sizeof name, "%s.key", key->id);
    if (read_file(dir, k->dir, name, FILE_KEY, key->secret, &created_us, &why) < 0) {
        if (why.code == ERR_NOT_FOUND || why.code == ERR_DENIED)
            return 0;
        if (e != NULL)
            *e = why;
        return -1;
    }
    crypto_scalarmult_base(public, key->secret);
    key->mismatched = has_public && memcmp(public, key->public, sizeof public) != 0;
    key->has_secret = !key->mismatched;
    if (!has_public) {
        memcpy(key->public, public, sizeof public);
        key->created_us = created_us;
    }
    return 0;
}

static int read_pair(struct ring *k, int dir, struct span id, struct err *e)
{
    struct key *key = add_key(k, id);
    struct err  why = ERR_INIT;
    char        name[KEY_ID_MAX + 16];

    snprintf(name, sizeof name, "%s.pub", key->id);
    if (read_file(dir, k->dir, name, FILE_PUBLIC, key->public, &key->created_us, &why) < 0 &&
        why.code != ERR_NOT_FOUND) {
        if (e != NULL)
            *e = why;
        return -1;
    }
    return read_secret(k, dir, key, why.code == ERR_NONE, e);
}

static int read_pairs(struct ring *k, int dir, struct err *e)
{
    struct dirent *d;
    int            rc = 0, again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR           *list = again >= 0 ? fdopendir(again) : NULL;

    if (list == NULL) {
        err_errno(e, "list %s", k->dir);
        fd_close(&again);
        return -1;
    }
    while (rc == 0 && (d = readdir(list)) != NULL) {
        struct span name = span_of(d->d_name), id = span_head(name, name.n < 4 ? 0 : name.n - 4);
        char        text[KEY_ID_MAX + 1] = "";

        if (!is_id(id) || (!span_ends(name, SPAN(".pub")) && !span_ends(name, SPAN(".key"))))
            continue;
        memcpy(text, id.p, id.n);
        if (key_of(k, text) != NULL)
            continue;
        rc = k->n < KEYS_MAX ? read_pair(k, dir, id, e)
                             : err_set(e, ERR_LIMIT, "more than %d keys in %s", KEYS_MAX, k->dir);
    }
    closedir(list);
    return rc;
}

static int by_age(const void *a, const void *b)
{
    const struct key *one = a, *two = b;

    if (one->created_us != two->created_us)
        return one->created_us < two->created_us ? -1 : 1;
    return strcmp(one->id, two->id);
}

static int read_current(struct ring *k, int dir, char id_out[KEY_ID_MAX + 1], struct err *e)
{
    char        text[FILE_MAX];
    struct span id;
    int         fd = openat(dir, "current", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t     n;

    if (fd < 0 && errno == ENOENT)
        return err_set(e, ERR_NOT_FOUND, "there are no keys in %s; \"postern init\" makes them", k->dir);
    if (fd < 0)
        return err_errno(e, "read %s/current", k->dir);
    n = fstat(fd, &k->seen) == 0 ? read(fd, text, sizeof text) : -1;
    fd_close(&fd);
    id = span_trim(span_make(text, n > 0 ? (size_t)n : 0));
    if (!is_id(id))
        return err_set(e, ERR_CORRUPT, "%s/current does not hold the name of a key", k->dir);
    memcpy(id_out, id.p, id.n);
    id_out[id.n] = '\0';
    return 0;
}

static void ring_free(struct ring **k)
{
    if (*k == NULL)
        return;
    if ((*k)->keys != NULL)
        sodium_memzero((*k)->keys, (*k)->n * sizeof *(*k)->keys);
    free((*k)->keys);
    free(*k);
    *k = NULL;
}

/* First which one is current, then the keys: a key is named last, so the one that is named is there. */
static struct ring *ring_read(const char *path, struct err *e)
{
    char         current[KEY_ID_MAX + 1];
    struct ring *k;
    struct key  *key = NULL;
    int          dir;

    if ((dir = open_dir(path, e)) < 0)
        return NULL;
    if ((k = calloc(1, sizeof *k)) == NULL)
        panic("out of memory");
    k->dir = path;
    if (read_current(k, dir, current, e) == 0 && read_pairs(k, dir, e) == 0) {
        if (k->n > 0)
            qsort(k->keys, k->n, sizeof *k->keys, by_age);
        if ((key = key_of(k, current)) == NULL)
            err_set(e, ERR_NOT_FOUND, "%s/current names the key %s, which is not there", path, current);
    }
    fd_close(&dir);
    if (key == NULL)
        ring_free(&k);
    else
        k->current = (size_t)(key - k->keys);
    return k;
}

int keyring_open(const char *path, struct keyring **out, struct err *e)
{
    struct keyring *k;
    struct state   *s;
    struct ring    *now;

    *out = NULL;
    need_sodium();
    if (strlen(path) >= sizeof s->dir)
        return err_set(e, ERR_INVALID, "the name of the key directory is too long");
    if ((k = calloc(1, sizeof *k)) == NULL || (s = k->state = calloc(1, sizeof *s)) == NULL)
        panic("out of memory");
    strcpy(s->dir, path);
    pthread_mutex_init(&s->reading, NULL);
    now = ring_read(s->dir, e);
    atomic_init(&s->now, now);
    if (now != NULL)
        s->seen = now->seen;
    atomic_init(&s->looked_us, clock_mono_us());
    *out = k;
    if (now == NULL)
        keyring_close(out);
    return now != NULL ? 0 : -1;
}

void keyring_close(struct keyring **k)
{
    if (*k == NULL)
        return;
    for (struct ring *r = atomic_load(&(*k)->state->now), *older; r != NULL; r = older) {
        older = r->older;
        ring_free(&r);
    }
    pthread_mutex_destroy(&(*k)->state->reading);
    free((*k)->state);
    free(*k);
    *k = NULL;
}

static bool same_keys(const struct ring *a, const struct ring *b)
{
    if (a->n != b->n || a->current != b->current)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct key *x = &a->keys[i], *y = &b->keys[i];

        if (strcmp(x->id, y->id) != 0 || memcmp(x->public, y->public, sizeof x->public) != 0 ||
            x->has_secret != y->has_secret || x->mismatched != y->mismatched ||
            sodium_memcmp(x->secret, y->secret, sizeof x->secret) != 0)
            return false;
    }
    return true;
}

/* Under `reading`. 1: what is current is another one. */
static int read_again(struct state *s, struct err *e)
{
    struct ring *was = atomic_load(&s->now), *now = ring_read(s->dir, e);
    bool         same;

    if (now == NULL)
        return -1;
    s->seen = now->seen;
    same = strcmp(now->keys[now->current].id, was->keys[was->current].id) == 0;
    if (same_keys(was, now)) {
        ring_free(&now);
        return 0;
    }
    now->older = was;
    atomic_store(&s->now, now);
    return same ? 0 : 1;
}

static bool is_seen(const struct state *s)
{
    char        path[PATH_MAX + 16];
    struct stat st;

    snprintf(path, sizeof path, "%s/current", s->dir);
    return stat(path, &st) == 0 && st.st_ino == s->seen.st_ino && st.st_dev == s->seen.st_dev &&
           st.st_mtim.tv_sec == s->seen.st_mtim.tv_sec && st.st_mtim.tv_nsec == s->seen.st_mtim.tv_nsec;
}

int keyring_refresh(const struct keyring *k, bool now, struct err *e)
{
    struct state *s = k->state;
    int64_t       at = clock_mono_us();
    int           rc = 0;

    if (!now && at - atomic_load(&s->looked_us) < LOOK_EVERY_US)
        return 0;
    if (now)
        pthread_mutex_lock(&s->reading);
    else if (pthread_mutex_trylock(&s->reading) != 0)
        return 0;
    atomic_store(&s->looked_us, at);
    if (now || !is_seen(s))
        rc = read_again(s, e);
    pthread_mutex_unlock(&s->reading);
    return rc;
}

/* A key that came since. In vain it is looked for once a second. */
static const struct key *key_to_open(const struct keyring *k, const char *id)
{
    const struct key *key = key_of(ring_of(k), id);
    int64_t           at = clock_mono_us(), missed = atomic_load(&k->state->missed_us);

    if ((key != NULL && key->has_secret) || (missed != 0 && at - missed < LOOK_EVERY_US))
        return key;
    keyring_refresh(k, true, NULL);
    key = key_of(ring_of(k), id);
    if (key == NULL || !key->has_secret)
        atomic_store(&k->state->missed_us, at);
    return key;
}

void keyring_each(const struct keyring *ring, keyring_fn fn, void *ctx)
{
    const struct ring *k = ring_of(ring);

    for (size_t i = 0; i < k->n; i++) {
        const struct key *key = &k->keys[i];
        struct key_info info = {.current = i == k->current, .can_open = key->has_secret, .created_us = key->created_us};

        memcpy(info.id, key->id, sizeof info.id);
        if (fn(ctx, &info) != 0)
            return;
    }
}

static const struct key *current_of(const struct ring *r) { return &r->keys[r->current]; }

const char *keyring_current(const struct keyring *k) { return current_of(ring_of(k))->id; }

/* ---- sealing ------------------------------------------------------------------------------------------------------- */

_Static_assert(KEY_SEALED_BYTES == 32 + crypto_box_SEALBYTES, "what a sealed key takes");

int keyring_seal(const struct keyring *k, const uint8_t key[32], uint8_t out[KEY_SEALED_BYTES],
                 char id_out[KEY_ID_MAX + 1], struct err *e)
{
    const struct key *current = current_of(ring_of(k));

    strcpy(id_out, current->id);
    if (crypto_box_seal(out, key, 32, current->public) != 0)
        return err_set(e, ERR_CORRUPT, "the public key %s/%s.pub does not seal", k->state->dir, current->id);
    return 0;
}

int keyring_unseal(const struct keyring *k, const char *id, const uint8_t sealed[KEY_SEALED_BYTES], uint8_t out[32],
                   struct err *e)
{
    const struct key *key = key_to_open(k, id);
    const char       *dir = k->state->dir;

    if (key == NULL)
        return err_set(e, ERR_DENIED, "the key %s that opens it is not in %s", id, dir);
    if (key->mismatched)
        return err_set(e, ERR_CORRUPT, "%s/%s.key is not the secret half of %s.pub: it opens nothing that was sealed",
                       dir, id, id);
    if (!key->has_secret)
        return err_set(e, ERR_DENIED, "the secret half of the key %s is not in %s, or not for us to read", id, dir);
    if (crypto_box_seal_open(out, sealed, KEY_SEALED_BYTES, key->public, key->secret) != 0)
        return err_set(e, ERR_CORRUPT,
                       "it does not open with the key %s: sealed with another one of that name, or damaged", id);
    return 0;
}

/* ---- secrets with a purpose ---------------------------------------------------------------------------------------- */

static int make_secret(int dir, const char *path, const char *name, uint8_t out[SECRET_BYTES], struct err *e)
{
    struct err why = ERR_INIT;
    int64_t    created_us;

    randombytes_buf(out, SECRET_BYTES);
    if (write_key(dir, path, name, FILE_SECRET, out, &why) == 0)
        return 0;
    if (why.code == ERR_CONFLICT) /* somebody was faster: theirs it is */
        return read_file(dir, path, name, FILE_SECRET, out, &created_us, e);
    if (e != NULL)
        *e = why;
    return -1;
}

int keyring_secret(const char *path, const char *purpose, uint8_t out[SECRET_BYTES], struct err *e)
{
    struct err why = ERR_INIT;
    char       name[KEY_ID_MAX + 16];
    int64_t    created_us;
    int        dir, rc = -1;

    need_sodium();
    if (!is_id(span_of(purpose)))
        return err_set(e, ERR_INVALID, "\"%s\" cannot be the purpose of a secret", purpose);
    if ((dir = open_dir(path, e)) < 0)
        return -1;
    snprintf(name, sizeof name, "%s.secret", purpose);
    if (read_file(dir, path, name, FILE_SECRET, out, &created_us, &why) == 0)
        rc = 0;
    else if (why.code == ERR_NOT_FOUND)
        rc = make_secret(dir, path, name, out, e);
    else if (e != NULL)
        *e = why;
    fd_close(&dir);
    return rc;
}
