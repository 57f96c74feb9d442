/* portal/metrics.h - what the portal tells of itself, in Prometheus' words: totals, never whose they are. Pure, but for the counters.
 *
 * Bounds   No label is made from what a stranger sends: status classes, the ways of signing in and how they ended are tables. */
#ifndef POSTERN_PORTAL_METRICS_H
#define POSTERN_PORTAL_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "net/httpd.h"
#include "store/outbox.h"

#define METRICS_CLASSES 5 /* 1xx … 5xx */
enum { METRICS_IN, METRICS_REFUSED, METRICS_FAILED, METRICS_OUTCOMES };
#define METRICS_WAYS_MAX 8

/* Counted by any thread. */
struct portal_counts {
    atomic_ullong requests[METRICS_CLASSES];
    atomic_ullong signins[METRICS_WAYS_MAX][METRICS_OUTCOMES];
};
/* A request that was answered: its path as asked for, its status. */
void metrics_count(struct portal_counts *c, struct span path, int status);

struct metrics_view {
    const struct portal_counts *counts;
    struct httpd_stats          httpd;
    bool                        store_up; /* false: what follows is not told */
    struct store_outbox_sums    outbox;
    int64_t                     sessions;
    int64_t                     now_us, started_us;
};
void metrics_put(struct buf *out, const struct metrics_view *v);

#endif
