/* digest/health.h - /healthz and /metrics, where [digest] listen_http says: totals, never whose mail it was. */
#ifndef POSTERN_DIGEST_HEALTH_H
#define POSTERN_DIGEST_HEALTH_H

#include "answers.h"
#include "post.h"
#include "round.h"

struct digest_counts {
    struct round_counts  round;
    struct post_counts   post;
    struct answer_counts answers;
};
struct health;
/* All is borrowed. Nothing to listen on: *out is NULL. */
int  health_start(const struct settings *settings, const struct digest_counts *counts, struct health **out,
                  struct err *e);
void health_stop(struct health **h); /* NULL is fine */

#endif
