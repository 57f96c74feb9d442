/* lib/net/httpd.h - the portal's HTTP server: the one home of libmicrohttpd.
 *
 * Threads   A few I/O threads read requests and write replies, and never wait for anything else. A whole request goes to one of
 *           `workers` threads, each with a context of its own (a store, say); there `serve` may block. When too many wait for a worker,
 *           the next is told 503 with Retry-After at once.
 * Request   All of it is borrowed until serve() returns. Names of fields compare without case. A path comes percent-decoded once, with a
 *           leading "/", as UTF-8 without control bytes, "//", "." and ".." segments or an encoded "/": one that has them is 400 before
 *           serve() sees it. A client that shuts down its side of the connection has gone, and gets no reply.
 * Reply     serve() fills it; the body is the reply's own. Every reply gets Date, Content-Length, and `always` of the configuration;
 *           HEAD gets the fields of GET without a body. A body of 1 KiB or more whose `compress` is set goes as zstd or gzip, as the
 *           client prefers, with Vary; an ETag beside it becomes a weak one. A 200 whose ETag the client's If-None-Match names goes out
 *           as 304: serve() never makes one. Ranges are not served: who asks for one gets all.
 * Chunks    Where `more` is set, the body is what it puts, call by call, on any worker, at the client's speed: 1 more follows, 0 that
 *           was all, -1 the connection is cut so that nobody takes it for whole (an HTTP/1.0 client cannot tell). more_end is called
 *           once in any case.
 * Streams   httpd_stream_new() instead of a body: an open reply that any thread may put bytes on (server-sent events).
 * Bounds    head 16 KiB, 100 fields, 8 KiB of URL; a body as body_max says before a byte of it is kept; head in 10 s, body in 60 s, idle
 *           keep-alive 30 s, a reply that is not taken 60 s; a second more for each 64 KiB of body that came, 16 KiB of reply that went;
 *           connections, and connections from one address (a /64 of IPv6; not from trusted proxies).
 *           What is beyond is refused with 400, 408, 413, 414, 431 or 503 as application/problem+json, or cut. What libmicrohttpd itself
 *           cannot read (no HTTP at all, a line without end, a damaged chunk) gets its own page with 400, 413, 414, 431, 500 or 505.
 * Refused   two Content-Lengths or Hosts, Transfer-Encoding beside Content-Length, a space before a field's colon, HTTP/0.9, and to wait
 *           for anything but 100-continue. */
#ifndef POSTERN_NET_HTTPD_H
#define POSTERN_NET_HTTPD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "net/endpoint.h"

struct httpd;
struct httpd_stream;

enum httpd_method {
    HTTPD_GET,
    HTTPD_HEAD,
    HTTPD_POST,
    HTTPD_PUT,
    HTTPD_PATCH,
    HTTPD_DELETE,
    HTTPD_OPTIONS,
    HTTPD_OTHER
};
extern const char *const httpd_method_words[]; /* "GET", …, NULL */

struct httpd_request {
    enum httpd_method method;
    struct span       path, query; /* query as sent, without "?" */
    struct span       body;
    bool              by_unix;
    struct ip         peer; /* who connected; not set by_unix */
    struct arena     *arena;
    void             *inside; /* httpd.c's own */
};
/* The first of that name, trimmed; SPAN_NONE: there is none. */
struct span httpd_field(const struct httpd_request *r, const char *name);
/* All of that name as one list, joined by ", ": a proxy may add a field of its own behind a client's. In the arena when they are several. */
struct span httpd_list(const struct httpd_request *r, const char *name);
/* A cookie's value; of two with one name, SPAN_NONE: nobody knows whose it is. */
struct span httpd_cookie(const struct httpd_request *r, const char *name);
/* A query parameter (or that of an urlencoded form in `from`), decoded into the arena: "+" and %XX. SPAN_NONE: there is none, or it is
 * not UTF-8, or has a NUL. */
struct span httpd_param(const struct httpd_request *r, struct span from, const char *name);

/* Does an If-Match or If-None-Match name this ETag? Weak comparison. */
bool httpd_etag_named(struct span list, struct span etag);

/* What the client would rather have, for who holds a body in several codings. */
enum httpd_coding { HTTPD_PLAIN, HTTPD_GZIP, HTTPD_ZSTD };
extern const char *const httpd_coding_words[]; /* "identity", "gzip", "zstd" for Content-Encoding */
enum httpd_coding        httpd_accepts(const struct httpd_request *r);
/* Appends `in` in that coding; best: as small as can be, however long it takes. -1: it would not get smaller. */
int httpd_encode(enum httpd_coding how, bool best, struct span in, struct buf *out);

/* Comes to serve() with status 200 and an empty body that may grow to 64 MiB. One of body, lent, more and stream is used. */
struct httpd_reply {
    int         status; /* 200 … 599 */
    bool        compress;
    struct buf  body;
    struct span lent; /* a body that stays the caller's until more_end(more_ctx) is called; goes as it is */
    int (*more)(void *ctx, void *worker, struct buf *chunk);
    void (*more_end)(void *ctx);
    void                *more_ctx;
    struct httpd_stream *stream;
    void                *inside; /* httpd.c's own */
};
/* Copied. Of names that may come once, a second replaces the first (Set-Cookie adds), and an empty value takes it away. A value with a
 * control byte panics: who makes values from strangers' text cleans it. How the body is framed is not for serve() to say. */
void httpd_set(struct httpd_reply *r, const char *name, struct span value);

/* A stream is held by the connection and by who made it, in serve(), and put it into its reply; there is no other use for one.
 * `queue_max` bytes may wait for a slow client; beyond, it is cut. */
struct httpd_stream *httpd_stream_new(struct httpd *d, size_t queue_max);
/* false: the client has gone, or was too slow. Any thread. */
bool httpd_stream_put(struct httpd_stream *s, struct span bytes);
void httpd_stream_end(struct httpd_stream **s); /* what was put still goes out */

/* Its strings and arrays stay the caller's, and alive until httpd_stop(); `listen` until httpd_start() returns. */
struct httpd_config {
    struct endpoint       *listen; /* opened by httpd_start(), its text filled in */
    size_t                 nlisten;
    size_t                 io_threads, workers;         /* 0: 2 and twice the processors */
    size_t                 connections_max, per_ip_max; /* 0: 20,000 and 200 */
    size_t                 waiting_max;                 /* requests that wait for a worker; 0: 256 */
    const struct ip_block *trusted;                     /* addresses of proxies: per_ip_max does not hold for them */
    size_t                 ntrusted;
    const struct httpd_field_value {
        const char *name, *value;
    } * always;
    size_t nalways;
    struct httpd_times {
        int64_t head_ms, body_ms, idle_ms, reply_ms, stop_ms; /* 0: what is said above */
    } times;
    /* Bytes of request bodies in memory at once, beyond: 503; 0: 256 MiB. Bodies of more than 64 KiB leave a quarter of it to the others; such
     * from one address (per_ip_max says which) have a quarter together, or are one. */
    size_t bodies_max;
    /* All with `ctx`. Workers are opened and closed by the thread that starts and stops; body_max runs on an I/O thread. */
    int (*worker_open)(void *ctx, size_t index, void **worker_out, struct err *e);
    void (*worker_close)(void *ctx, void *worker);
    size_t (*body_max)(void *ctx, enum httpd_method method, struct span path);
    void (*serve)(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out);
    /* After the last byte, or when the client went: for logs and metrics. May be NULL. Any thread. */
    void (*served)(void *ctx, enum httpd_method method, struct span path, int status, uint64_t bytes, int64_t us);
    void *ctx;
};
/* *out is there before the first serve() and until the last has ended: they may use it. */
int httpd_start(const struct httpd_config *c, struct httpd **out, struct err *e);
/* Takes no new connection, ends streams, lets requests in hand end for 10 s, then cuts; a serve() that runs is waited for. */
void httpd_stop(struct httpd **d);

struct httpd_stats {
    size_t   connections, waiting, streams, bodies; /* bodies: bytes of them in memory */
    uint64_t requests, refused;
};
void httpd_stats(struct httpd *d, struct httpd_stats *out);

#endif
