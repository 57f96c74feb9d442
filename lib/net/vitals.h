/* lib/net/vitals.h - /healthz and /metrics of a program that tells nothing else over HTTP (net/httpd.h), to anybody who may come.
 *
 * Says      /healthz: 200 and "ok", or 503 and why; /metrics: what `put` puts. All else is 404, what is neither GET nor HEAD 405.
 * Threads   three, of httpd's. `ill` and `put` are called by one of them alone, never two at once; they may block. vitals_start() with
 *           signals blocked, as they shall stay in them.
 * Bounds    VITALS_CLIENTS_MAX connections at once, and what else net/httpd.h says; no bodies. */
#ifndef POSTERN_NET_VITALS_H
#define POSTERN_NET_VITALS_H

#include "base/conf.h"
#include "net/httpd.h"

#define VITALS_CLIENTS_MAX 64
#define VITALS_LISTENERS_MAX 8

struct vitals_config {
    const char             *setting; /* whose value `listen` is, for who made a mistake: "[trainer] listen_http" */
    const struct conf_list *listen;
    const char *(*ill)(void *ctx); /* in a few words; NULL: it is well */
    void (*put)(void *ctx, struct buf *out);
    void *ctx;
};
struct vitals;
/* The configuration is copied, what it points to borrowed; `listen` until this returns. Nothing to listen on: *out is NULL. */
int  vitals_start(const struct vitals_config *c, struct vitals **out, struct err *e);
void vitals_stop(struct vitals **v); /* NULL is fine */

#endif
