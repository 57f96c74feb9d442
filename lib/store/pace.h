/* lib/store/pace.h - inside: long work in small steps, beside which others write. */
#ifndef POSTERN_STORE_PACE_H
#define POSTERN_STORE_PACE_H

#include <time.h>

#include "base/clock.h"

#define PACE_REST_US_MIN 2000
#define PACE_REST_US_MAX 200000

struct pace {
    bool (*stop)(void *ctx); /* NULL: never */
    void *ctx;
};

static inline bool pace_stopped(const struct pace *p) { return p->stop != NULL && p->stop(p->ctx); }

/* As long as the step took: others then have at least half of the time. */
static inline void pace_rest(int64_t begun_us)
{
    int64_t us = clock_mono_us() - begun_us;

    us = us < PACE_REST_US_MIN ? PACE_REST_US_MIN : us > PACE_REST_US_MAX ? PACE_REST_US_MAX : us;
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

#endif
