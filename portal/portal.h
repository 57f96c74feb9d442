/* portal/portal.h - what all calls of the portal share, and what a worker thread has for itself. */
#ifndef POSTERN_PORTAL_PORTAL_H
#define POSTERN_PORTAL_PORTAL_H

#include "base/conf.h"
#include "metrics.h"
#include "net/httpd.h"
#include "store/store.h"

/* Made at start; never changed while requests run, but for the counters. */
struct portal {
    const struct settings *settings;
    struct httpd          *httpd;
    char                   origin[300]; /* of [portal] public_url: scheme://host[:port], without a slash behind it */
    bool                   secure;      /* https */
    struct ip_block        proxies[64]; /* [portal] trusted_proxies */
    size_t                 nproxies;
    struct ip_block        metrics_from[64]; /* [portal] metrics_from */
    size_t                 nmetrics_from;
    struct portal_counts   counts;
    int64_t                started_us;
    struct pages          *pages; /* static.h */
    uint8_t                challenge_key[32];
    uint8_t                letter_key[32]; /* of what waits in the outbox and is a secret: signin.h */
    struct siteverify     *siteverify;     /* siteverify.h; NULL: browsers do a piece of work */
    char                   policy[800];    /* Content-Security-Policy of pages and calls */
    struct scanner        *scanner;        /* [rulesd] scanner, for the look at release; NULL: there is none */
    struct live           *live;           /* live.h */
    struct links          *links;          /* links.h */
};

/* One a thread of the HTTP server. */
struct worker {
    struct portal *portal;
    struct store  *store; /* opened at start; ERR_LOST and ERR_BUSY are answered with 503 */
    struct arena   arena; /* reset behind each call */

    /* What opens held mail; read when the first call asks for it. */
    struct keyring *keys;
    struct vault   *vault;
};
/* The vault of this worker, opened when it is not yet. Owned by the worker. */
int worker_vault(struct worker *w, struct vault **out, struct err *e);

#endif
