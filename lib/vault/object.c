/* lib/vault/object.c - see object.h. */
#include "vault/object.h"

#include <errno.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fd.h"

#define MAGIC_BYTES 8
#define PIECE ((size_t)64 << 10)
#define SEALED_PIECE (PIECE + crypto_secretstream_xchacha20poly1305_ABYTES)
#define LEVEL 3
#define FIRST ((size_t)16 << 10)
#define BENCH_MAX ((size_t)1 << 20) /* of libzstd's, beyond which it is not kept */
#define WINDOW_LOG_MAX 24           /* what level 3 asks for at most is 21 */
#define NOT_KEPT "its message is not the one that was kept"

static const char magic[MAGIC_BYTES] = {'P', 'O', 'S', 'T', 'E', 'R', 'N', 1};
static const char tail_magic[MAGIC_BYTES] = {1, 'N', 'R', 'E', 'T', 'S', 'O', 'P'};

/* Where things stand in the prefix. */
enum {
    AT_UID = MAGIC_BYTES,
    AT_KEY_ID = AT_UID + 16,
    AT_SEALED = AT_KEY_ID + KEY_ID_MAX + 1,
    AT_SHA256 = AT_SEALED + KEY_SEALED_BYTES,
    AT_HEAD_SHA256 = AT_SHA256 + 32,
    AT_SIZE = AT_HEAD_SHA256 + 32,
    AT_HEAD_SIZE = AT_SIZE + 8,
    PREFIX = AT_HEAD_SIZE + 8,
    AT_STREAM = PREFIX,
    TAIL = 16,
};
_Static_assert(PREFIX + crypto_secretstream_xchacha20poly1305_HEADERBYTES == OBJECT_FRONT,
               "what stands before the head");

static void put_u64(uint8_t *at, uint64_t v)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t v = 0;

    for (size_t i = 8; i-- > 0;)
        v = v << 8 | at[i];
    return v;
}

static const unsigned char *bytes_of(struct span s) { return (const unsigned char *)(s.p != NULL ? s.p : ""); }

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* The way of the body: compressed into `plain`, sealed from there, written. */
struct sealer {
    int                                         fd;
    uint64_t                                    written;
    const uint8_t                              *bound; /* the prefix; NULL once the first piece has it */
    crypto_secretstream_xchacha20poly1305_state stream;
    ZSTD_CCtx                                  *zstd;
    ZSTD_outBuffer                              plain;
    unsigned char                              *sealed;
};

static int seal_piece(struct sealer *s, bool last, struct err *e)
{
    unsigned long long n;

    crypto_secretstream_xchacha20poly1305_push(
        &s->stream, s->sealed, &n, s->plain.dst, s->plain.pos, s->bound, s->bound != NULL ? PREFIX : 0,
        last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
    s->bound = NULL;
    s->plain.pos = 0;
    s->written += n;
    return fd_write_all(s->fd, span_make(s->sealed, (size_t)n), e);
}

static int write_body(struct sealer *s, struct span message, struct err *e)
{
    ZSTD_inBuffer in = {bytes_of(message), message.n, 0};
    size_t        left;

    do {
        left = ZSTD_compressStream2(s->zstd, &s->plain, &in, ZSTD_e_end);
        if (ZSTD_isError(left))
            return err_set(e, ERR_IO, "compress the message: %s", ZSTD_getErrorName(left));
        if ((left == 0 || s->plain.pos == s->plain.size) && seal_piece(s, left == 0, e) < 0)
            return -1;
    } while (left > 0);
    return 0;
}

static int write_tail(struct sealer *s, struct err *e)
{
    uint8_t tail[TAIL];

    put_u64(tail, s->written);
    memcpy(tail + 8, tail_magic, MAGIC_BYTES);
    return fd_write_all(s->fd, span_make(tail, sizeof tail), e);
}

static int fill_prefix(uint8_t front[OBJECT_FRONT], const struct uuid *uid, struct span head, struct span message,
                       const struct keyring *keys, const uint8_t data_key[32], struct vault_kept *out, struct err *e)
{
    memset(front, 0, PREFIX);
    memcpy(front, magic, MAGIC_BYTES);
    memcpy(front + AT_UID, uid->b, sizeof uid->b);
    crypto_hash_sha256(front + AT_SHA256, bytes_of(message), message.n);
    crypto_hash_sha256(front + AT_HEAD_SHA256, bytes_of(head), head.n);
    put_u64(front + AT_SIZE, message.n);
    put_u64(front + AT_HEAD_SIZE, head.n);
    memcpy(out->sha256, front + AT_SHA256, sizeof out->sha256);
    if (keyring_seal(keys, data_key, front + AT_SEALED, out->key_id, e) < 0)
        return -1;
    strcpy((char *)front + AT_KEY_ID, out->key_id);
    return 0;
}

int object_write(int fd, const struct uuid *uid, struct span head, struct span message, const struct keyring *keys,
                 struct vault_kept *out, struct err *e)
{
    uint8_t       front[OBJECT_FRONT], data_key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    struct sealer s = {.fd = fd, .bound = front};
    int           rc = -1;

    if (head.n > VAULT_HEAD_MAX)
        return err_set(e, ERR_LIMIT, "the head of an object has %zu bytes, at most %zu", head.n, VAULT_HEAD_MAX);
    crypto_secretstream_xchacha20poly1305_keygen(data_key);
    s.zstd = ZSTD_createCCtx();
    s.plain = (ZSTD_outBuffer){malloc(PIECE), PIECE, 0};
    s.sealed = malloc(SEALED_PIECE);
    if (s.zstd == NULL || s.plain.dst == NULL || s.sealed == NULL)
        panic("out of memory");
    ZSTD_CCtx_setParameter(s.zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setPledgedSrcSize(s.zstd, message.n);
    if (fill_prefix(front, uid, head, message, keys, data_key, out, e) < 0)
        goto out;
    crypto_secretstream_xchacha20poly1305_init_push(&s.stream, front + AT_STREAM, data_key);
    if (fd_write_all(fd, span_make(front, sizeof front), e) < 0 || fd_write_all(fd, head, e) < 0 ||
        write_body(&s, message, e) < 0 || write_tail(&s, e) < 0)
        goto out;
    out->bytes = OBJECT_FRONT + head.n + s.written + TAIL;
    rc = 0;
out:
    sodium_memzero(data_key, sizeof data_key);
    sodium_memzero(&s.stream, sizeof s.stream);
    free(s.sealed);
    free(s.plain.dst);
    ZSTD_freeCCtx(s.zstd);
    return rc;
}

/* ---- reading the head ---------------------------------------------------------------------------------------------- */

size_t object_head_end(const uint8_t front[OBJECT_FRONT])
{
    uint64_t head = get_u64(front + AT_HEAD_SIZE);

    return memcmp(front, magic, MAGIC_BYTES) == 0 && head <= VAULT_HEAD_MAX ? OBJECT_FRONT + (size_t)head : 0;
}

/* Is the front that of an object of `size` bytes with this UID? */
static int check_front(const uint8_t front[OBJECT_FRONT], uint64_t size, const struct uuid *uid, struct err *e)
{
    size_t end = object_head_end(front);
    char   says[UUID_TEXT + 1];

    if (end == 0)
        return err_set(e, ERR_CORRUPT, "it does not begin as a held message does");
    if (size < end + (uint64_t)TAIL)
        return err_set(e, ERR_CORRUPT, "it is cut: %llu bytes are less than its head takes", (unsigned long long)size);
    if (front[AT_SEALED - 1] != '\0' || front[AT_KEY_ID] == '\0')
        return err_set(e, ERR_CORRUPT, "it does not name the key that sealed it");
    if (memcmp(front + AT_UID, uid->b, sizeof uid->b) == 0)
        return 0;
    uuid_format((const struct uuid *)(const void *)(front + AT_UID), says);
    return err_set(e, ERR_CORRUPT, "it is another message, %s, under this name", says);
}

/* Whole, as far as can be told without the tail. */
int object_head_of(struct span all, uint64_t size, const struct uuid *uid, struct buf *head, struct vault_kept *kept,
                   struct err *e)
{
    const uint8_t *front = bytes_of(all);
    uint8_t        digest[crypto_hash_sha256_BYTES];
    struct span    text;

    if (all.n < OBJECT_FRONT)
        return err_set(e, ERR_CORRUPT, "it is cut: %zu bytes are no object", all.n);
    if (check_front(front, size, uid, e) < 0)
        return -1;
    if (all.n < object_head_end(front))
        return err_set(e, ERR_CORRUPT, "it is cut within its head");
    text = span_skip(span_head(all, object_head_end(front)), OBJECT_FRONT);
    crypto_hash_sha256(digest, bytes_of(text), text.n);
    if (memcmp(digest, front + AT_HEAD_SHA256, sizeof digest) != 0)
        return err_set(e, ERR_CORRUPT, "its head is not the one that it was kept with");
    if (head != NULL) {
        buf_put(head, text);
        if (head->failed)
            return err_set(e, ERR_LIMIT, "its head has %zu bytes", text.n);
    }
    if (kept != NULL) {
        kept->bytes = size;
        memcpy(kept->sha256, front + AT_SHA256, sizeof kept->sha256);
        memcpy(kept->key_id, front + AT_KEY_ID, sizeof kept->key_id);
    }
    return 0;
}

/* Reads n bytes at `at`; fewer are an error. */
static int read_at(int fd, uint64_t at, void *to, size_t n, struct err *e)
{
    char *p = to;

    while (n > 0) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(e, "read the object");
        if (got == 0)
            return err_set(e, ERR_CORRUPT, "it is cut at byte %llu", (unsigned long long)at);
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

/* An open file of which the first bytes, of most letters all, are read at once. */
struct source {
    int      fd;
    uint64_t size;
    size_t   nfirst;
    uint8_t  first[FIRST];
};

static int source_open(struct source *s, int fd, struct err *e)
{
    struct stat st;

    s->fd = fd;
    if (fstat(fd, &st) < 0)
        return err_errno(e, "look at the object");
    s->size = (uint64_t)st.st_size;
    s->nfirst = s->size < FIRST ? (size_t)s->size : FIRST;
    return read_at(fd, 0, s->first, s->nfirst, e);
}

static int source_read(const struct source *s, uint64_t at, void *to, size_t n, struct err *e)
{
    size_t here = at >= s->nfirst ? 0 : s->nfirst - at < n ? s->nfirst - (size_t)at : n;

    if (here > 0)
        memcpy(to, s->first + at, here);
    return read_at(s->fd, at + here, (uint8_t *)to + here, n - here, e);
}

/* Is it whole? Where its body begins, and how long that is. */
static int find_body(const struct source *s, const struct uuid *uid, size_t *start_out, uint64_t *body_out,
                     struct err *e)
{
    uint8_t tail[TAIL];

    if (s->size < OBJECT_FRONT + TAIL)
        return err_set(e, ERR_CORRUPT, "it is cut: %llu bytes are no object", (unsigned long long)s->size);
    if (check_front(s->first, s->size, uid, e) < 0)
        return -1;
    *start_out = object_head_end(s->first);
    if (source_read(s, s->size - TAIL, tail, TAIL, e) < 0)
        return -1;
    *body_out = get_u64(tail);
    if (memcmp(tail + 8, tail_magic, MAGIC_BYTES) != 0 || *body_out != s->size - *start_out - TAIL)
        return err_set(e, ERR_CORRUPT, "it is cut: its end is missing");
    return 0;
}

/* The front with the head, looked at as object_head_of() does. */
static int read_head(const struct source *s, const struct uuid *uid, size_t end, struct buf *head,
                     struct vault_kept *kept, struct err *e)
{
    struct buf all;
    int        rc;

    buf_init(&all, end);
    rc = source_read(s, 0, buf_reserve(&all, end), end, e);
    all.n = end;
    if (rc == 0)
        rc = object_head_of(buf_span(&all), s->size, uid, head, kept, e);
    buf_fini(&all);
    return rc;
}

int object_head(int fd, const struct uuid *uid, struct buf *head, struct vault_kept *kept, struct err *e)
{
    struct source s;
    uint64_t      body;
    size_t        start;

    if (source_open(&s, fd, e) < 0 || find_body(&s, uid, &start, &body, e) < 0)
        return -1;
    return read_head(&s, uid, start, head, kept, e);
}

/* ---- opening the body ---------------------------------------------------------------------------------------------- */

/* What opening takes; making it takes longer than opening a letter on it (libzstd asks the processor for its kind each time, which is
 * dear in a virtual machine). One that nobody uses just now is kept for the next, whoever that is. */
struct bench {
    ZSTD_DCtx    *zstd;
    unsigned char sealed[SEALED_PIECE], plain[PIECE];
};
static _Atomic(struct bench *) idle_bench;

static struct bench *take_bench(void)
{
    struct bench *b = atomic_exchange(&idle_bench, NULL);

    if (b != NULL)
        return b;
    if ((b = malloc(sizeof *b)) == NULL || (b->zstd = ZSTD_createDCtx()) == NULL)
        panic("out of memory");
    ZSTD_DCtx_setParameter(b->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return b;
}

static void leave_bench(struct bench *b)
{
    struct bench *none = NULL;

    ZSTD_DCtx_reset(b->zstd, ZSTD_reset_session_only);
    if (ZSTD_sizeof_DCtx(b->zstd) <= BENCH_MAX && atomic_compare_exchange_strong(&idle_bench, &none, b))
        return;
    ZSTD_freeDCtx(b->zstd);
    free(b);
}

/* The way back: read, opened into `plain`, unpacked to the end of `message`. */
struct opener {
    const struct source                        *from;
    uint64_t                                    at, left; /* of the body */
    const uint8_t                              *bound;
    crypto_secretstream_xchacha20poly1305_state stream;
    struct bench                               *bench;
    struct buf                                 *message;
    uint64_t                                    size;  /* that it may grow by */
    bool                                        ended; /* the frame of zstd */
};

/* Unpacks what is in `plain`. One byte of room more than the size shows what would grow beyond it. */
static int unpack(struct opener *o, size_t n, struct err *e)
{
    ZSTD_inBuffer in = {o->bench->plain, n, 0};
    size_t        before, rc, room;
    bool          stuck;

    do {
        unsigned char small;
        void         *to = &small;

        room = o->size < PIECE ? (size_t)o->size : PIECE;
        if (room > 0 && (to = buf_reserve(o->message, room)) == NULL)
            return err_set(e, ERR_LIMIT, "the message is larger than %zu bytes", o->message->max);
        ZSTD_outBuffer out = {to, room > 0 ? room : 1, 0};
        before = in.pos;
        rc = ZSTD_decompressStream(o->bench->zstd, &out, &in);
        if (ZSTD_isError(rc))
            return err_set(e, ERR_CORRUPT, "its message does not unpack: %s", ZSTD_getErrorName(rc));
        if (out.pos > o->size)
            return err_set(e, ERR_CORRUPT, "its message is longer than it says");
        o->message->n += out.pos;
        o->size -= out.pos;
        if (room > 0)
            o->message->p[o->message->n] = '\0';
        o->ended = rc == 0;
        stuck = out.pos == 0 && in.pos == before;
    } while (!o->ended && (in.pos < in.size || !stuck));
    return in.pos == in.size ? 0 : err_set(e, ERR_CORRUPT, "something follows its message");
}

static int open_piece(struct opener *o, struct err *e)
{
    size_t             n = o->left < SEALED_PIECE ? (size_t)o->left : SEALED_PIECE;
    unsigned long long plain;
    unsigned char      tag;
    bool               last = n == o->left;

    if (source_read(o->from, o->at, o->bench->sealed, n, e) < 0)
        return -1;
    if (crypto_secretstream_xchacha20poly1305_pull(&o->stream, o->bench->plain, &plain, &tag, o->bench->sealed, n,
                                                   o->bound, o->bound != NULL ? PREFIX : 0) != 0)
        return err_set(e, ERR_CORRUPT, "its message does not open at byte %llu: it, its head or its name was changed",
                       (unsigned long long)o->at);
    if (last != (tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL))
        return err_set(e, ERR_CORRUPT, "its message does not end where it should");
    o->bound = NULL;
    o->at += n;
    o->left -= n;
    return unpack(o, (size_t)plain, e);
}

static int open_body(struct opener *o, struct err *e)
{
    if (o->left == 0)
        return err_set(e, ERR_CORRUPT, "it has no message");
    while (o->left > 0) {
        if (open_piece(o, e) < 0)
            return -1;
    }
    return o->ended && o->size == 0 ? 0 : err_set(e, ERR_CORRUPT, NOT_KEPT);
}

/* Opens the body, of `body` bytes from `start` on. */
static int open_with(const struct source *from, size_t start, uint64_t body, const uint8_t data_key[32],
                     struct buf *message, struct err *e)
{
    const uint8_t *front = from->first;
    struct opener  o = {
         .from = from, .at = start, .left = body, .bound = front, .message = message, .size = get_u64(front + AT_SIZE)};
    int rc = -1;

    if (o.size > message->max - message->n)
        return err_set(e, ERR_LIMIT, "its message has %llu bytes, at most %zu", (unsigned long long)o.size,
                       message->max - message->n);
    o.bench = take_bench();
    if (crypto_secretstream_xchacha20poly1305_init_pull(&o.stream, front + AT_STREAM, data_key) != 0)
        err_set(e, ERR_CORRUPT, "its message does not begin as it should");
    else
        rc = open_body(&o, e);
    sodium_memzero(&o.stream, sizeof o.stream);
    leave_bench(o.bench);
    return rc;
}

static int open_sealed(const struct source *s, size_t start, uint64_t body, const struct keyring *keys,
                       struct buf *message, struct err *e)
{
    uint8_t data_key[crypto_secretstream_xchacha20poly1305_KEYBYTES];
    int     rc;

    if (keyring_unseal(keys, (const char *)s->first + AT_KEY_ID, s->first + AT_SEALED, data_key, e) < 0)
        return -1;
    rc = open_with(s, start, body, data_key, message, e);
    sodium_memzero(data_key, sizeof data_key);
    return rc;
}

static int check_message(const struct source *s, struct span message, struct err *e)
{
    uint8_t digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, bytes_of(message), message.n);
    return memcmp(digest, s->first + AT_SHA256, sizeof digest) == 0 ? 0 : err_set(e, ERR_CORRUPT, NOT_KEPT);
}

int object_open(int fd, const struct uuid *uid, const struct keyring *keys, struct buf *head, struct buf *message,
                struct err *e)
{
    const size_t  before = message->n;
    struct source s;
    uint64_t      body;
    size_t        start;

    if (source_open(&s, fd, e) < 0 || find_body(&s, uid, &start, &body, e) < 0 ||
        read_head(&s, uid, start, head, NULL, e) < 0 || open_sealed(&s, start, body, keys, message, e) < 0)
        return -1;
    return check_message(&s, span_skip(buf_span(message), before), e);
}

int object_open_sealed(int fd, const struct uuid *uid, const struct keyring *keys, struct buf *message, struct err *e)
{
    struct source s;
    uint64_t      body;
    size_t        start;

    if (source_open(&s, fd, e) < 0 || find_body(&s, uid, &start, &body, e) < 0)
        return -1;
    return open_sealed(&s, start, body, keys, message, e);
}
