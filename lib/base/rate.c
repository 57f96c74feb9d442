/* lib/base/rate.c - see rate.h. */
#include "base/rate.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"

#define PLACES 4096
#define MINUTE_US (60 * INT64_C(1000000))

struct place {
    uint64_t who;
    int64_t  full_us; /* when the balance is whole again */
};
struct rate {
    pthread_mutex_t lock; /* guards what follows */
    struct place    places[PLACES];
};

struct rate *rate_new(void)
{
    struct rate *r = calloc(1, sizeof *r);

    if (r == NULL)
        panic("out of memory");
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void rate_free(struct rate **r)
{
    if (*r != NULL)
        pthread_mutex_destroy(&(*r)->lock);
    free(*r);
    *r = NULL;
}

bool rate_take(struct rate *r, struct span name, int64_t n, int64_t per_minute, int64_t now_us)
{
    const uint64_t who = span_hash(name);
    const int64_t  price = n * (MINUTE_US / per_minute);
    struct place  *p = &r->places[who % PLACES];
    bool           ok;

    pthread_mutex_lock(&r->lock);
    if (p->who != who || p->full_us < now_us)
        *p = (struct place){who, now_us};
    if ((ok = p->full_us - now_us + price <= MINUTE_US))
        p->full_us += price;
    pthread_mutex_unlock(&r->lock);
    return ok;
}
