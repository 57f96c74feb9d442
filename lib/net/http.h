/* lib/net/http.h - HTTP/1.x requests of rulesd's listeners, strict about framing (protocols.md 2.1, 6.2).
 *
 * No interim replies, no chunked replies; replies always carry a Content-Length. Path compares without case; query
 * arguments become header fields, as Rspamd's clients expect. Not a general server: the portal uses libmicrohttpd. */
#ifndef POSTERN_NET_HTTP_H
#define POSTERN_NET_HTTP_H

#include "net/wire.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT };

struct http_header {
    struct span name, value; /* as sent; value trimmed */
};

struct http_request {
    enum http_method    method;
    struct span         path;     /* "/checkv2", without query and authority, still as sent */
    struct span         query;
    int                 minor;    /* HTTP/1.minor */
    bool                keep_alive; /* what this request asks for; the caller may still close */
    struct http_header *headers;  /* in order, query arguments (percent-decoded) behind the fields */
    size_t              nheaders;
    struct span         body;     /* dechunked, zstd undone */

    struct arena      *arena;
    struct buf        *plain;     /* caller's: dechunked or decompressed bodies */
    struct wire_limits limits;
    int                state;
    size_t             pos, head_end, headers_cap, nrcpt, nother;
    bool               chunked, zstd;
    uint64_t           length, chunk_left;
    size_t             used;
    int                status;    /* after WIRE_BAD: 400, 405, 408, 411, 413, 414, 415, 431, 505 */
    struct err         error;
};

void           http_begin(struct http_request *r, struct arena *a, struct buf *plain, const struct wire_limits *limits);
enum wire_step http_step(struct http_request *r, struct buf *in, bool eof);
void           http_expire(struct http_request *r); /* WIRE_BAD with 408 */
bool           http_head_done(const struct http_request *r);
size_t         http_wants(const struct http_request *r, const struct buf *in);

/* The first field of that name (any case); {NULL,0} when absent; an empty value has p != NULL. */
struct span http_header_get(const struct http_request *r, const char *name);
/* The next field of that name at or after *at. False at the end. */
bool http_header_next(const struct http_request *r, const char *name, size_t *at, struct span *value_out);

/* A whole reply: status line, Connection, Server, Content-Length, Content-Type, blank line, body (not for HEAD). */
void http_put_reply(struct buf *out, int status, const char *reason, const char *content_type, struct span body,
                    bool keep_alive, bool head_only);
/* {"error": text} with the status' usual reason; never an "action" key (protocols.md 0.6). */
void http_put_error(struct buf *out, int status, const char *text, bool keep_alive, bool head_only);
void http_put_bad(struct buf *out, const struct http_request *r);

#endif
