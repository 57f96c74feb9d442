/* lib/net/http_client.h - one question over HTTP to a service that the settings name, and its answer (libcurl).
 *
 * Blocks within one time limit, names looked up included. Redirects are not followed: who answers is who was asked. A status of any
 * kind is an answer; the caller judges it.
 * Errors   ERR_INVALID: the address cannot be one; ERR_LOST: nobody there, or cut off; ERR_TIMEOUT; ERR_LIMIT: more came than
 *          `answer` takes.
 * Threads  any. */
#ifndef POSTERN_NET_HTTP_CLIENT_H
#define POSTERN_NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

struct http_question {
    const char *url;        /* http:// or https://; over a socket only the path of it counts */
    const char *socket;     /* path of a Unix socket, or NULL */
    struct span form;       /* POSTed as application/x-www-form-urlencoded; p NULL: GET */
    int64_t     timeout_ms; /* for all of it */
};
int http_client_ask(const struct http_question *q, int *status_out, struct buf *answer, struct err *e);

/* GET of `path` at what a program of ours listens on, as its settings say it ("127.0.0.1:11344?phase=post", "unix:PATH"). */
int http_client_get_at(const char *listen, const char *path, int64_t timeout_ms, int *status_out, struct buf *answer,
                       struct err *e);

/* "name=value" behind an "&", percent-encoded. */
void http_form_add(struct buf *form, const char *name, struct span value);

#endif
