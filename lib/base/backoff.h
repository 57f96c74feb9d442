/* lib/base/backoff.h - how long to wait before one more try: `first` behind the first one, doubled with each, `most` at most. */
#ifndef POSTERN_BASE_BACKOFF_H
#define POSTERN_BASE_BACKOFF_H

#include <stdint.h>

static inline int64_t backoff_us(int64_t tries, int64_t first, int64_t most)
{
    int64_t wait = first;

    for (int64_t i = 1; i < tries && wait < most; i++)
        wait *= 2;
    return wait < most ? wait : most;
}

#endif
