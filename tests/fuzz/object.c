/* Whatever lies in the spool under a UID: it opens, or it is told to be damaged, and nothing else happens. The first byte says what
 * the others are:
 *   0  the file; with 4 added to it, what needs no key (magic, UID, digest of the head, end) is put right
 *   1  what stands where a compressed message should, properly sealed by somebody who may write: two bytes of its stated size first
 *   2  a head and a message (two bytes say where it begins), which come back as they were; and not with any one bit changed
 * Aims at lib/vault/object.c. */
#include "vault/object.h"

#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fd.h"
#include "rules.h"

#define MESSAGE_MAX ((size_t)1 << 20)

/* Of the format: see object.h. */
enum { UID = 8, KEY_ID = 24, SEALED = 56, SHA256 = 136, HEAD_SHA256 = 168, SIZE = 200, HEAD_SIZE = 208, STREAM = 216 };

static const struct uuid uid = {{1, 0x9a, 2, 3, 4, 5, 0x76, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}};

static struct keyring *ring(void)
{
    static struct keyring *ring;
    char                   dir[] = "/tmp/postern-fuzz-XXXXXX", command[64];

    if (ring != NULL)
        return ring;
    REQUIRE(mkdtemp(dir) != NULL && keyring_create(dir, NULL) == 0 && keyring_open(dir, &ring, NULL) == 0);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    REQUIRE(system(command) == 0);
    return ring;
}

static int file_of(struct span bytes)
{
    int fd = memfd_create("object", MFD_CLOEXEC);

    REQUIRE(fd >= 0 && fd_write_all(fd, bytes, NULL) == 0);
    return fd;
}

/* 0: it opened, and *message has it. Both ways of reading the head agree. */
static int open_all(int fd, struct buf *head, struct buf *message)
{
    struct err        e = ERR_INIT;
    struct vault_kept kept;
    struct buf        alone;
    int               whole, rc;

    buf_init(&alone, VAULT_HEAD_MAX);
    buf_init(head, VAULT_HEAD_MAX);
    buf_init(message, MESSAGE_MAX);
    whole = object_head(fd, &uid, &alone, &kept, &e);
    REQUIRE(whole == 0 || e.code == ERR_CORRUPT);
    e = ERR_INIT;
    rc = object_open(fd, &uid, ring(), head, message, &e);
    REQUIRE(rc == 0 || e.code == ERR_CORRUPT || e.code == ERR_DENIED || e.code == ERR_LIMIT);
    REQUIRE(rc < 0 || (whole == 0 && span_eq(buf_span(head), buf_span(&alone))));
    REQUIRE(message->n <= message->max && (message->cap == 0 || message->n <= message->cap));
    buf_fini(&alone);
    return rc;
}

static void put_number(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static void put_tail(struct buf *b, size_t body)
{
    uint8_t tail[8];

    put_number(tail, body, sizeof tail);
    buf_put(b, span_make(tail, sizeof tail));
    buf_put(b, SPAN("\1NRETSOP"));
}

/* All that can be made to fit without a key. */
static void put_right(struct buf *file)
{
    uint8_t *p = (uint8_t *)file->p;
    size_t   head;

    if (file->n < OBJECT_FRONT)
        return;
    memcpy(p, "POSTERN\1", 8);
    memcpy(p + UID, uid.b, 16);
    p[SEALED - 1] = 0;
    head = (p[HEAD_SIZE] | p[HEAD_SIZE + 1] << 8) % (file->n - OBJECT_FRONT + 1);
    put_number(p + HEAD_SIZE, head, 8);
    crypto_hash_sha256(p + HEAD_SHA256, p + OBJECT_FRONT, head);
    if (p[KEY_ID] % 2 == 0)
        strcpy((char *)p + KEY_ID, keyring_current(ring()));
    put_tail(file, file->n - OBJECT_FRONT - head);
}

static void try_raw(struct span bytes, bool right)
{
    struct buf file, head, message;
    int        fd;

    buf_init(&file, bytes.n + 64);
    buf_put(&file, bytes);
    if (right)
        put_right(&file);
    fd = file_of(buf_span(&file));
    open_all(fd, &head, &message);
    buf_fini(&head);
    buf_fini(&message);
    buf_fini(&file);
    fd_close(&fd);
}

/* What the bytes unpack to, all at once. (Of a frame that contradicts itself zstd thinks one way or the other, as it comes by it.) */
static void unpack(struct span packed, struct buf *out)
{
    ZSTD_DCtx     *d = ZSTD_createDCtx();
    ZSTD_inBuffer  in = {packed.p, packed.n, 0};
    ZSTD_outBuffer to = {buf_reserve(out, MESSAGE_MAX), MESSAGE_MAX, 0};
    size_t         rc, before;

    ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, 24);
    do {
        before = in.pos + to.pos;
        rc = ZSTD_decompressStream(d, &to, &in);
    } while (!ZSTD_isError(rc) && rc != 0 && in.pos + to.pos > before);
    out->n = to.pos;
    ZSTD_freeDCtx(d);
}

static void try_sealed(struct span bytes)
{
    crypto_secretstream_xchacha20poly1305_state stream;
    uint8_t                                     front[OBJECT_FRONT] = "POSTERN\1", key[32] = {7};
    struct span                                 packed = span_skip(bytes, 2);
    size_t             stated = bytes.n < 2 ? 0 : (size_t)((uint8_t)bytes.p[0] | (uint8_t)bytes.p[1] << 8);
    struct buf         file, real, head, message;
    unsigned char     *sealed = malloc(packed.n + 17);
    unsigned long long n;
    int                fd, rc;

    buf_init(&real, MESSAGE_MAX);
    unpack(packed, &real);
    stated = stated == 0xFFFF ? real.n : stated; /* so that it is easily right */
    memcpy(front + UID, uid.b, 16);
    REQUIRE(keyring_seal(ring(), key, front + SEALED, (char *)front + KEY_ID, NULL) == 0);
    crypto_hash_sha256(front + SHA256, (const unsigned char *)real.p, real.n);
    crypto_hash_sha256(front + HEAD_SHA256, (const unsigned char *)"{}", 2);
    put_number(front + SIZE, stated, 8);
    put_number(front + HEAD_SIZE, 2, 8);
    crypto_secretstream_xchacha20poly1305_init_push(&stream, front + STREAM, key);
    crypto_secretstream_xchacha20poly1305_push(&stream, sealed, &n, (const unsigned char *)packed.p, packed.n, front,
                                               STREAM, crypto_secretstream_xchacha20poly1305_TAG_FINAL);
    buf_init(&file, OBJECT_FRONT + 100 + packed.n);
    buf_put(&file, span_make(front, sizeof front));
    buf_puts(&file, "{}");
    buf_put(&file, span_make(sealed, (size_t)n));
    put_tail(&file, (size_t)n);
    fd = file_of(buf_span(&file));
    rc = open_all(fd, &head, &message);
    REQUIRE(message.n <= stated);
    REQUIRE(rc < 0 || (message.n == stated && span_eq(buf_span(&message), buf_span(&real))));
    buf_fini(&head);
    buf_fini(&message);
    buf_fini(&real);
    buf_fini(&file);
    free(sealed);
    fd_close(&fd);
}

static void try_round(struct span bytes)
{
    size_t            at = bytes.n < 2 ? 0 : (size_t)((uint8_t)bytes.p[0] | (uint8_t)bytes.p[1] << 8);
    struct span       head_in = span_head(span_skip(bytes, 2), at), message_in = span_skip(bytes, 2 + at);
    struct buf        head, message;
    struct vault_kept kept;
    unsigned char     c;
    off_t             where;
    int               fd = memfd_create("object", MFD_CLOEXEC);

    REQUIRE(object_write(fd, &uid, head_in, message_in, ring(), &kept, NULL) == 0);
    REQUIRE(open_all(fd, &head, &message) == 0);
    REQUIRE(span_eq(buf_span(&head), head_in) && span_eq(buf_span(&message), message_in));
    buf_fini(&head);
    buf_fini(&message);

    where = (off_t)(at * 2654435761u % kept.bytes);
    REQUIRE(pread(fd, &c, 1, where) == 1);
    c ^= (unsigned char)(1 << at % 8);
    REQUIRE(pwrite(fd, &c, 1, where) == 1);
    REQUIRE(open_all(fd, &head, &message) < 0);
    buf_fini(&head);
    buf_fini(&message);
    fd_close(&fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_make(data + 1, size - 1);

    if (size == 0)
        return 0;
    if (data[0] % 4 == 1)
        try_sealed(bytes);
    else if (data[0] % 4 == 2)
        try_round(bytes);
    else
        try_raw(bytes, (data[0] & 4) != 0);
    return 0;
}
