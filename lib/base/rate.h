/* lib/base/rate.h - so many a minute for each name: a balance that refills evenly, up to a minute's worth.
 *
 * A table of fixed size: whoever shares a place pushes the other out, so at worst somebody gets more than their due. Any thread. */
#ifndef POSTERN_BASE_RATE_H
#define POSTERN_BASE_RATE_H

#include "base/span.h"

struct rate;
struct rate *rate_new(void);
void         rate_free(struct rate **r);
/* Takes n of the name's balance; false: there is not enough left, and nothing was taken. n beyond per_minute never goes. */
bool rate_take(struct rate *r, struct span name, int64_t n, int64_t per_minute, int64_t now_mono_us);

#endif
