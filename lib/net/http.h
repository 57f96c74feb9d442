/* lib/net/http.h - HTTP/1.x requests of rulesd's listeners, strict about framing (protocols.md 2.1, 6.2).
 *
 * No interim replies, no chunked replies; replies always carry a Content-Length. Path compares without case; query
 * arguments become header fields, as Rspamd's clients expect. Not a general server: the portal uses libmicrohttpd.
 * Strict   one Content-Length or `chunked`, never both; CRLF inside chunked bodies; no folded fields, no blank before a
 *          colon, no NUL or bare CR in a field. Heads may have LF alone. Expect is ignored: no 1xx ever goes out.
 * In place the framing of chunks is taken out of `in` as it arrives, so a body is one span, and `in` never holds more
 *          than head, body and what follows. Spans of a request are good right after http_step(), until `in` changes.
 */
#ifndef POSTERN_NET_HTTP_H
#define POSTERN_NET_HTTP_H

#include "net/wire.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT };

struct http_header {
    struct span name, value; /* as sent; value trimmed */
};

struct http_request {
    enum http_method    method;
    struct span         path; /* "/checkv2", without query and authority, still as sent */
    struct span         query;
    int                 minor;      /* HTTP/1.minor */
    bool                keep_alive; /* what this request asks for; the caller may still close */
    struct http_header *headers;    /* in order, query arguments (percent-decoded) behind the fields */
    size_t              nheaders;
    struct span         body; /* after WIRE_DONE: dechunked, zstd undone */
    size_t              used; /* after WIRE_DONE: bytes of `in` that are this request's */
    int        status;        /* after WIRE_BAD: 400, 405, 408, 411, 413, 414, 415, 431, 505; 0: close without a word */
    struct err error;         /* after WIRE_BAD: words of ours alone, nothing that the peer sent */

    /* the machine's own */
    struct arena      *arena;
    struct buf        *plain; /* the caller's, for decompressed bodies */
    struct wire_limits limits;
    enum http_state {
        HTTP_LINE,
        HTTP_FIELDS,
        HTTP_BODY,
        HTTP_CHUNK_SIZE,
        HTTP_CHUNK_DATA,
        HTTP_CHUNK_END,
        HTTP_TRAILER,
        HTTP_OVER,
    } state;
    const char *base; /* where `in` was when the spans were made */
    size_t      pos;  /* the next byte to parse */
    size_t      scan; /* no line end between pos and here */
    size_t      head_end, body_end, ntrailer;
    size_t      nfields, headers_cap, nrcpt;
    bool        has_length, chunked, zstd;
    bool        packed; /* body is still zstd */
    uint64_t    length, chunk_left;
};

/* A new request at in->p[0]. arena and plain are borrowed until it ends; plain is cleared. Its ceiling must be above
 * limits->body_max, and the ceiling of `in` above head_max + body_max. */
void http_begin(struct http_request *r, struct arena *a, struct buf *plain, const struct wire_limits *limits);
/* eof: the peer has shut down its side. An end before the first byte, or within the head, is WIRE_BAD with status 0. */
enum wire_step http_step(struct http_request *r, struct buf *in, bool eof);
/* After WIRE_DONE: is the body still compressed (wire_limits.unpack_max)? Then this undoes it: WIRE_DONE or WIRE_BAD. It touches
 * the request and its buffers alone, so any thread may, one at a time. */
bool           http_packed(const struct http_request *r);
enum wire_step http_unpack(struct http_request *r);
void           http_expire(struct http_request *r); /* the deadline passed: WIRE_BAD with 408 */
bool           http_head_done(const struct http_request *r);
/* At most this many more bytes are wanted for now, for sizing reads; 0: unknown. */
size_t http_wants(const struct http_request *r, const struct buf *in);

/* The first field of that name (any case); {NULL,0} when absent; an empty value has p != NULL. */
struct span http_header_get(const struct http_request *r, const char *name);
/* The next field of that name at or after *at. False at the end. */
bool http_header_next(const struct http_request *r, const char *name, size_t *at, struct span *value_out);

/* A whole reply: status line, Connection, Server, Content-Length, Content-Type, blank line, body (not for HEAD).
 * reason NULL: the usual one. Reason and content type are ours: never text of a peer. */
void http_put_reply(struct buf *out, int status, const char *reason, const char *content_type, struct span body,
                    bool keep_alive, bool head_only);
/* The same with further fields of ours: whole lines, "ETag: \"1\"\r\n". A 304 has neither length, type nor body. */
void http_put_reply_with(struct buf *out, int status, const char *content_type, struct span fields, struct span body,
                         bool keep_alive, bool head_only);
/* {"error": text} with the status' usual reason; never an "action" key (protocols.md 0.6). */
void http_put_error(struct buf *out, int status, const char *text, bool keep_alive, bool head_only);
/* The reply to a request that ended in WIRE_BAD; it says Connection: close. Nothing for status 0. */
void http_put_bad(struct buf *out, const struct http_request *r);

#endif
