/* rulesd/endpoints.h - what other programs hand over and read by HTTP: /ingest/…, /report, /maps/…, /settings.ucl.
 * Each shows a token.
 *
 * A request is an errand (session.h): a hand of a desk of their own reads tokens anew if they changed, checks this one, and does the
 * work, so that no loop waits for the database. Without a right token nothing is read of the body.
 * Database away: tokens that are known go on, what needs rows is answered 503. */
#ifndef POSTERN_RULESD_ENDPOINTS_H
#define POSTERN_RULESD_ENDPOINTS_H

#include "desk.h"
#include "ingest.h"
#include "maps.h"
#include "report_post.h"
#include "session.h"
#include "tokens.h"

#define ENDPOINT_THREADS 2

struct service;
struct endpoints {
    struct cache        *cache; /* borrowed: for the change feed */
    struct desk         *desk;
    struct tokens       *tokens;
    struct maps         *maps;
    struct report_posts *reports;
};

int endpoints_new(const struct settings *settings, struct cache *cache, struct endpoints **out, struct err *e);
/* Every errand is done, or has failed and is woken: before the loops are freed, and before the cache. */
void endpoints_stop(struct endpoints *p);
void endpoints_free(struct endpoints **p); /* after endpoints_stop(), and when the loops are gone */

/* One request on its way. Lives until its reply is made. While a hand has it, nobody else touches the exchange. */
struct visit {
    struct errand         errand;
    struct job            job;
    struct endpoints     *at;
    const struct service *what;
    struct exchange      *x;
    struct trust         *trust; /* held */
    struct span           secret;
    struct token          token; /* held; key NULL while there is none */
    struct map_wish       wish;

    /* what came of it */
    int                 status;
    struct err          err;  /* of a status that refuses */
    struct map_doc     *doc;  /* held, or NULL */
    struct buf          body; /* JSON */
    bool                scan; /* req is to be scanned */
    struct scan_request req;
};
int visit_refuse(struct visit *v, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4))); /* -1 */

/* x->route is one of ours: what conn.c does next. */
enum answer endpoints_answer(struct exchange *x, struct buf *out);
/* Does that path belong here? `bearer`: a token is shown as such, which the old questions of the same name never do. */
bool endpoints_have(struct span path, bool bearer);
/* The reply to what was handed over as a scan. */
void endpoints_put_scan(struct exchange *x, struct buf *out);

#endif
