/* trainer/health.h - /healthz and /metrics, where [trainer] listen_http says.
 *
 * Says      /healthz: 200, or 503 while the database or the keys are away; /metrics: metrics.h. Nothing else, to anybody who may come.
 * Bayes     a thread looks once a minute (net/bayes.h): who asks us makes nobody work. The queue is counted once a second at most.
 * Bounds    HEALTH_CLIENTS_MAX connections at once, and more wait; one request each, within HEALTH_MS from the first byte to the last.
 * Threads   two. health_start() with signals blocked, as they shall stay in them. */
#ifndef POSTERN_TRAINER_HEALTH_H
#define POSTERN_TRAINER_HEALTH_H

#include "metrics.h"

#define HEALTH_CLIENTS_MAX 16
#define HEALTH_MS 10000
#define HEALTH_LOOK_MS 60000

struct health;
/* All is borrowed, but for `counts` itself. Nothing to listen on: *out is NULL. */
int  health_start(const struct settings *settings, const struct metrics_counts *counts, struct health **out,
                  struct err *e);
void health_stop(struct health **h); /* NULL is fine */

#endif
