/* trainer/metrics.h - what the trainer tells of itself, in Prometheus' words: totals, never whose mail it was. Pure. */
#ifndef POSTERN_TRAINER_METRICS_H
#define POSTERN_TRAINER_METRICS_H

#include "custody/report_mail_count.h"
#include "drain.h"
#include "net/bayes.h"
#include "resume.h"

#define METRICS_STATES_MAX 16

/* What the parts of the program count. */
struct metrics_counts {
    const struct drain_counts  *reports;
    const struct resume_counts *releases; /* NULL: nobody looks, without [delivery] url */
};

struct metrics_view {
    struct metrics_counts    counts;
    bool                     store_up;                    /* what follows is not told while it is away */
    int64_t                  reports[METRICS_STATES_MAX]; /* by state */
    int64_t                  oldest_us;                   /* since when the oldest waits; INT64_MAX: none does */
    struct report_mail_sums  mail;
    int64_t                  now_us, started_us;
    const struct bayes_view *bayes;
    size_t                   nbayes;
    int64_t                  needed;
};
void metrics_put(struct buf *out, const struct metrics_view *v);

#endif
