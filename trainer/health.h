/* trainer/health.h - /healthz and /metrics, where [trainer] listen_http says.
 *
 * Says      by net/vitals.h: /healthz is 503 while the database or the keys are away; /metrics: metrics.h.
 * Bayes     a thread looks once a minute (net/bayes.h): who asks us makes nobody work. The queue is counted once a second at most.
 * Threads   that one, and those of net/vitals.h. health_start() with signals blocked, as they shall stay in them. */
#ifndef POSTERN_TRAINER_HEALTH_H
#define POSTERN_TRAINER_HEALTH_H

#include "metrics.h"

#define HEALTH_LOOK_MS 60000

struct health;
/* All is borrowed, but for `counts` itself. Nothing to listen on: *out is NULL. */
int  health_start(const struct settings *settings, const struct metrics_counts *counts, struct health **out,
                  struct err *e);
void health_stop(struct health **h); /* NULL is fine */

#endif
