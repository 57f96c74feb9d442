/* tests/unit/bucket.h - a small server that speaks enough of Amazon's S3, in path style, and believes no signature that it has not
 * checked. One request a connection, in a thread of its own. What goes wrong in it is counted, not asserted: it is not the test's thread. */
#ifndef POSTERN_TESTS_UNIT_BUCKET_H
#define POSTERN_TESTS_UNIT_BUCKET_H

#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

#define BUCKET_ID "AKIDEXAMPLE"
#define BUCKET_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define BUCKET_OBJECTS 64
#define BUCKET_PAGE 3 /* names in an answer, so that lists have pages */

enum bucket_fault { BUCKET_WELL, BUCKET_BUSY, BUCKET_FORGETS, BUCKET_HANGS_UP };

struct bucket_object {
    char       name[200];
    struct buf bytes;
};
struct bucket {
    int                  fd;
    unsigned             port;
    pthread_t            thread;
    _Atomic int          fault; /* enum bucket_fault */
    atomic_bool          over;
    atomic_size_t        requests, forged; /* forged: a signature or a digest that is not right */
    pthread_mutex_t      lock;             /* guards objects */
    struct bucket_object objects[BUCKET_OBJECTS];
    size_t               n;
};

/* One request as it came. Spans point into `in`. */
struct bucket_request {
    struct buf  in;
    struct span method, path, query, head, body;
};

static inline struct span bucket_header(const struct bucket_request *r, const char *name)
{
    struct span rest = r->head, line;

    while (span_line(&rest, &line)) {
        size_t colon = span_chr(line, ':');

        if (span_eq_ci(span_head(line, colon), span_of(name)))
            return span_trim(span_skip(line, colon + 1));
    }
    return SPAN_NONE;
}

static inline bool bucket_read(int fd, struct bucket_request *r)
{
    char     piece[65536];
    size_t   head;
    uint64_t want = 0;
    ssize_t  n;

    while ((head = span_find(buf_span(&r->in), SPAN("\r\n\r\n"))) == r->in.n) {
        if ((n = read(fd, piece, sizeof piece)) <= 0)
            return false;
        buf_put(&r->in, span_make(piece, (size_t)n));
    }
    r->head = span_head(buf_span(&r->in), head);
    span_u64(bucket_header(r, "content-length"), &want);
    while (r->in.n < head + 4 + want) {
        if ((n = read(fd, piece, sizeof piece)) <= 0)
            return false;
        buf_put(&r->in, span_make(piece, (size_t)n));
    }
    r->head = span_head(buf_span(&r->in), head);
    r->body = span_skip(buf_span(&r->in), head + 4);
    struct span line, target;
    span_line(&r->head, &line);
    span_next(&line, ' ', &r->method);
    span_next(&line, ' ', &target);
    r->path = span_head(target, span_chr(target, '?'));
    r->query = span_skip(target, r->path.n + 1);
    return true;
}

/* ---- Amazon's signature, version 4 ---- */

static inline void bucket_hmac(const void *key, size_t n, struct span text, unsigned char out[32])
{
    crypto_auth_hmacsha256_state s;

    crypto_auth_hmacsha256_init(&s, key, n);
    crypto_auth_hmacsha256_update(&s, (const unsigned char *)text.p, text.n);
    crypto_auth_hmacsha256_final(&s, out);
}

static inline void bucket_hex_digest(struct span bytes, char out[65])
{
    unsigned char digest[32];

    crypto_hash_sha256(digest, (const unsigned char *)(bytes.p != NULL ? bytes.p : ""), bytes.n);
    sodium_bin2hex(out, 65, digest, 32);
}

/* "Credential=…/20261122/eu/s3/aws4_request": the part behind `word`. */
static inline struct span bucket_part(struct span text, const char *word)
{
    struct span s = span_skip(text, span_find(text, span_of(word)) + strlen(word));

    return span_head(s, span_chr(s, ','));
}

static inline bool bucket_believes(const struct bucket_request *r)
{
    struct span auth = bucket_header(r, "authorization"), credential = bucket_part(auth, "Credential="),
                names = bucket_part(auth, "SignedHeaders="), rest = names, name,
                digest = bucket_header(r, "x-amz-content-sha256"),
                scope = span_skip(credential, span_chr(credential, '/') + 1), words = scope, word;
    unsigned char key[32];
    char          hex[65], start[128] = "AWS4" BUCKET_SECRET;
    struct buf    b;
    bool          same;

    bucket_hex_digest(r->body, hex);
    if (!span_is(digest, hex) || !span_is(span_head(credential, span_chr(credential, '/')), BUCKET_ID) ||
        span_find(names, SPAN("host")) == names.n || span_find(names, SPAN("x-amz-content-sha256")) == names.n)
        return false;
    buf_init(&b, 1 << 16);
    buf_printf(&b, "%.*s\n%.*s\n%.*s\n", SPAN_ARG(r->method), SPAN_ARG(r->path), SPAN_ARG(r->query));
    while (span_next(&rest, ';', &name)) {
        char text[64];

        snprintf(text, sizeof text, "%.*s", SPAN_ARG(name));
        buf_printf(&b, "%s:%.*s\n", text, SPAN_ARG(bucket_header(r, text)));
    }
    buf_printf(&b, "\n%.*s\n%s", SPAN_ARG(names), hex);
    bucket_hex_digest(buf_span(&b), hex);
    buf_clear(&b);
    buf_printf(&b, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%s", SPAN_ARG(bucket_header(r, "x-amz-date")), SPAN_ARG(scope), hex);
    span_next(&words, '/', &word);
    bucket_hmac(start, strlen(start), word, key);
    while (span_next(&words, '/', &word))
        bucket_hmac(key, sizeof key, word, key);
    bucket_hmac(key, sizeof key, buf_span(&b), key);
    sodium_bin2hex(hex, sizeof hex, key, sizeof key);
    same = span_is(bucket_part(auth, "Signature="), hex);
    buf_fini(&b);
    return same;
}

/* ---- what it does ---- */

static inline void bucket_say(int fd, const char *status, const char *headers, struct span body)
{
    char   head[512];
    size_t at = 0;
    int    n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                        headers, body.n);

    if (write(fd, head, (size_t)n) != n)
        return;
    while (at < body.n) {
        ssize_t wrote = write(fd, body.p + at, body.n - at);

        if (wrote <= 0)
            return;
        at += (size_t)wrote;
    }
}

static inline struct bucket_object *bucket_find(struct bucket *b, struct span name)
{
    for (size_t i = 0; i < b->n; i++) {
        if (span_is(name, b->objects[i].name))
            return &b->objects[i];
    }
    return NULL;
}

static inline int bucket_by_name(const void *a, const void *b)
{
    return strcmp(((const struct bucket_object *)a)->name, ((const struct bucket_object *)b)->name);
}

static inline void bucket_put(struct bucket *b, struct span name, struct span bytes)
{
    struct bucket_object *o = bucket_find(b, name);

    if (atomic_load(&b->fault) == BUCKET_FORGETS || (o == NULL && b->n == BUCKET_OBJECTS))
        return;
    if (o == NULL) {
        o = &b->objects[b->n++];
        snprintf(o->name, sizeof o->name, "%.*s", SPAN_ARG(name));
        buf_init(&o->bytes, (size_t)200 << 20);
    }
    buf_clear(&o->bytes);
    buf_put(&o->bytes, bytes);
    qsort(b->objects, b->n, sizeof *b->objects, bucket_by_name);
}

static inline void bucket_delete(struct bucket *b, struct span name)
{
    struct bucket_object *o = bucket_find(b, name);

    if (o == NULL)
        return;
    buf_fini(&o->bytes);
    memmove(o, o + 1, (size_t)(b->objects + --b->n - o) * sizeof *o);
}

static inline struct span bucket_word(struct span query, const char *key, char out[256])
{
    struct span word;
    size_t      n = 0;

    while (span_next(&query, '&', &word)) {
        if (!span_starts(word, span_of(key)) || word.n <= strlen(key) || word.p[strlen(key)] != '=')
            continue;
        word = span_skip(word, strlen(key) + 1);
        for (size_t i = 0; i < word.n && n < 255; i++) {
            unsigned c = (unsigned char)word.p[i];

            if (c == '%' && i + 2 < word.n && sscanf(word.p + i + 1, "%2x", &c) == 1)
                i += 2;
            out[n++] = (char)c;
        }
        break;
    }
    out[n] = '\0';
    return span_make(out, n);
}

/* Names behind the token, BUCKET_PAGE of them; with a delimiter what stands before it, once. */
static inline void bucket_list(struct bucket *b, int fd, struct span query)
{
    char        texts[3][256], last[256] = "";
    struct span prefix = bucket_word(query, "prefix", texts[0]), delimiter = bucket_word(query, "delimiter", texts[1]),
                after = bucket_word(query, "continuation-token", texts[2]);
    struct buf out;
    size_t     shown = 0;
    bool       more = false;

    buf_init(&out, 1 << 20);
    buf_puts(&out, "<?xml version=\"1.0\"?><ListBucketResult>");
    for (size_t i = 0; i < b->n; i++) {
        struct span name = span_of(b->objects[i].name), rest = span_skip(name, prefix.n);

        if (delimiter.n > 0 && span_chr(rest, '/') < rest.n)
            name = span_head(name, prefix.n + span_chr(rest, '/') + 1);
        if (!span_starts(name, prefix) || span_cmp(name, after) <= 0 || span_is(name, last))
            continue;
        if ((more = shown == BUCKET_PAGE))
            break;
        snprintf(last, sizeof last, "%.*s", SPAN_ARG(name));
        shown++;
        buf_printf(&out,
                   delimiter.n > 0 ? "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>"
                                   : "<Contents><Key>%s</Key><Size>1</Size></Contents>",
                   last);
    }
    if (more)
        buf_printf(&out, "<NextContinuationToken>%s</NextContinuationToken>", last);
    buf_puts(&out, "</ListBucketResult>");
    bucket_say(fd, "200 OK", "", buf_span(&out));
    buf_fini(&out);
}

static inline void bucket_get(struct bucket *b, int fd, const struct bucket_request *r, struct span name)
{
    struct bucket_object *o = bucket_find(b, name);
    struct span           range = bucket_header(r, "range"), bytes;
    uint64_t              last;
    char                  said[100];

    if (o == NULL) {
        bucket_say(fd, "404 Not Found", "", SPAN("<Error><Code>NoSuchKey</Code></Error>"));
        return;
    }
    bytes = buf_span(&o->bytes);
    if (!span_starts(range, SPAN("bytes=0-")) || !span_u64(span_skip(range, 8), &last)) {
        bucket_say(fd, "200 OK", "", bytes);
        return;
    }
    bytes = span_head(bytes, (size_t)last + 1);
    snprintf(said, sizeof said, "Content-Range: bytes 0-%zu/%zu\r\n", bytes.n - 1, o->bytes.n);
    bucket_say(fd, bytes.n == 0 ? "416 Range Not Satisfiable" : "206 Partial Content", said, bytes);
}

static inline void bucket_do(struct bucket *b, int fd, const struct bucket_request *r)
{
    struct span name = span_skip(r->path, 8); /* "/bucket/" */

    if (!bucket_believes(r)) {
        atomic_fetch_add(&b->forged, 1);
        bucket_say(fd, "403 Forbidden", "", SPAN("<Error><Code>SignatureDoesNotMatch</Code></Error>"));
    } else if (atomic_load(&b->fault) == BUCKET_BUSY) {
        bucket_say(fd, "503 Slow Down", "", SPAN("<Error><Code>SlowDown</Code></Error>"));
    } else if (!span_starts(r->path, SPAN("/bucket/"))) {
        bucket_say(fd, "404 Not Found", "", SPAN("<Error><Code>NoSuchBucket</Code></Error>"));
    } else if (span_is(r->method, "PUT")) {
        bucket_put(b, name, r->body);
        bucket_say(fd, "200 OK", "", SPAN_NONE);
    } else if (span_is(r->method, "DELETE")) {
        bucket_delete(b, name);
        bucket_say(fd, "204 No Content", "", SPAN_NONE);
    } else if (name.n == 0) {
        bucket_list(b, fd, r->query);
    } else {
        bucket_get(b, fd, r, name);
    }
}

static inline void *bucket_serve(void *arg)
{
    struct bucket *b = arg;
    int            fd;

    while ((fd = accept(b->fd, NULL, NULL)) >= 0 && !atomic_load(&b->over)) {
        struct bucket_request r = {.method = SPAN_NONE};

        buf_init(&r.in, (size_t)200 << 20);
        if (bucket_read(fd, &r) && atomic_load(&b->fault) != BUCKET_HANGS_UP) {
            atomic_fetch_add(&b->requests, 1);
            pthread_mutex_lock(&b->lock);
            bucket_do(b, fd, &r);
            pthread_mutex_unlock(&b->lock);
        }
        buf_fini(&r.in);
        close(fd);
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

static inline struct bucket *bucket_start(void)
{
    struct bucket     *b = calloc(1, sizeof *b);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          n = sizeof at;

    pthread_mutex_init(&b->lock, NULL);
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(b->fd, 16), 0);
    assert_int_equal(getsockname(b->fd, (struct sockaddr *)&at, &n), 0);
    b->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&b->thread, NULL, bucket_serve, b), 0);
    setenv("AWS_ACCESS_KEY_ID", BUCKET_ID, 1);
    setenv("AWS_SECRET_ACCESS_KEY", BUCKET_SECRET, 1);
    return b;
}

static inline void bucket_stop(struct bucket **at)
{
    struct bucket *b = *at;

    *at = NULL;
    atomic_store(&b->over, true);
    shutdown(b->fd, SHUT_RDWR);
    pthread_join(b->thread, NULL);
    close(b->fd);
    for (size_t i = 0; i < b->n; i++)
        buf_fini(&b->objects[i].bytes);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static inline size_t bucket_count(struct bucket *b)
{
    size_t n;

    pthread_mutex_lock(&b->lock);
    n = b->n;
    pthread_mutex_unlock(&b->lock);
    return n;
}

#endif
