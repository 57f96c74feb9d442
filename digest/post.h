/* digest/post.h - runs that were begun, as letters to [smtp] url, over one connection.
 *
 * Taken      by the server: the run is sent. A death between its answer and our commit sends the same letter once more, under the same
 *            Message-ID.
 * 4xx        and a server that is away: again after POST_FIRST_US, doubled up to POST_LONGEST_US, for POST_GIVE_UP_US.
 * 5xx        ends the run, with the server's words for Settings; what it listed is new again.
 * Pace       [digest] per_second. */
#ifndef POSTERN_DIGEST_POST_H
#define POSTERN_DIGEST_POST_H

#include <stdatomic.h>

#include "base/conf.h"
#include "letter/letter.h"
#include "net/smtp_client.h"

#define POST_FIRST_US (30 * INT64_C(1000000))
#define POST_LONGEST_US (3600 * INT64_C(1000000))
#define POST_BATCH 32 /* runs that are claimed at once */
#define POST_GIVE_UP_US (2 * 86400 * INT64_C(1000000))

struct post_counts {
    atomic_ullong sent, later, failed, bytes;
};
/* All is borrowed, but for `smtp` and what is below it. */
struct post {
    const struct settings *settings;
    struct digest_look     look;
    struct letter_site     site;
    struct span            by; /* this claimer's name */
    struct post_counts    *counts;
    struct arena          *a; /* reset between letters */
    struct buf             letter;

    struct arena     claims; /* texts of the runs at hand */
    struct store_run runs[POST_BATCH];
    size_t           nruns, at;
    int64_t          claimed_mono_us;
    bool             stumbled; /* the database was away: what is claimed is given back when it is there again */

    struct smtp_client *smtp;         /* NULL: not connected */
    int64_t             last_mono_us; /* when the last one left */
    struct uuid         brand_domain; /* whose brand that is, read at brand_us */
    struct store_brand  brand;
    bool                has_brand;
    int64_t             brand_us;
};
void post_init(struct post *p);
void post_fini(struct post *p);
/* One letter: 1; 0: none waits, and the connection is closed; -1. */
int post_step(struct post *p, int64_t now_us, struct err *e);
/* How long the pace asks to rest before the next. */
int64_t post_rest_us(const struct post *p);

/* The brand of a subscription's domain, or NULL; kept for a minute. -1 with e. */
int post_brand(struct post *p, const struct store_digest *d, const struct store_brand **out, struct err *e);

#endif
