/* rulesd/metrics.h - what /metrics, /stat and /healthz tell: totals, never whose mail it was.
 *
 * Each loop counts for itself (one writer, no lock); who reads adds them up. */
#ifndef POSTERN_RULESD_METRICS_H
#define POSTERN_RULESD_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/clock.h"

enum metric_protocol { METRIC_SPAMD, METRIC_RSPAMC, METRIC_HTTP, METRIC_PROTOCOLS };
enum metric_verb { METRIC_SCAN, METRIC_PING, METRIC_LEARN, METRIC_SKIP, METRIC_ASK, METRIC_OTHER, METRIC_VERBS };
enum metric_verdict {
    METRIC_PASS,
    METRIC_TAG,
    METRIC_DEFER,
    METRIC_REJECT,
    METRIC_DISCARD, /* of scans, as carried out */
    METRIC_OK,      /* of everything else */
    METRIC_REFUSED, /* not permitted, or damaged */
    METRIC_FAILED,  /* our fault: to be tried again */
    METRIC_VERDICTS
};
#define METRIC_BUCKETS 16

/* One loop's. A counter of its own cache lines, so that loops do not meet. */
struct metrics {
    _Alignas(64) atomic_ullong requests[METRIC_PROTOCOLS][METRIC_VERBS][METRIC_VERDICTS];
    atomic_ullong by_rule[3]; /* enum rule_verdict */
    atomic_ullong latency[METRIC_BUCKETS + 1];
    atomic_ullong latency_us, recipients, bytes_in;
    atomic_ullong accepted, turned_away, timeouts, on_worker, parked, regex_limits;
    atomic_llong  open;
};

/* By the one thread that owns the counter. */
static inline void metric_add(atomic_ullong *counter, unsigned long long n)
{
    unsigned long long was = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, was + n, memory_order_relaxed);
}
void metrics_request(struct metrics *m, enum metric_protocol p, enum metric_verb verb, enum metric_verdict verdict);
void metrics_latency(struct metrics *m, int64_t us);

/* The rules whose regex hit a limit, by name: the first METRICS_LIMITED_MAX since the start. Any thread; rare. */
#define METRICS_LIMITED_MAX 64
struct limited_rules;
struct limited_rules *limited_rules_new(void);
void                  limited_rules_free(struct limited_rules **l);
void                  limited_rules_count(struct limited_rules *l, const struct uuid *rule);

struct cache;
struct greylist;
struct hits;
struct scanner;
struct journal;
struct custody;
struct copies;
struct follower;
struct sending;
struct lookup;
/* What there is to tell about; borrowed for the call. */
struct metrics_view {
    const struct metrics *const *loops;
    size_t                       nloops;
    struct cache                *cache;
    struct greylist             *greylist;
    struct hits                 *hits;
    struct limited_rules        *limited;
    struct scanner              *scanner; /* these five may be NULL */
    struct journal              *journal;
    struct custody              *custody;
    struct copies               *copies;
    struct follower             *follower; /* NULL: no log is followed */
    struct sending              *sending;
    struct lookup               *lookup;
    size_t                       waiting;    /* scans in the workers' queue */
    unsigned long long           buffered;   /* bytes of requests held in memory */
    int64_t                      started_us; /* wall clock */
};
void metrics_put_prometheus(struct buf *out, const struct metrics_view *v);
void metrics_put_json(struct buf *out, const struct metrics_view *v); /* /stat */

#endif
