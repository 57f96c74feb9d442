/* lib/base/pause.h - a thread that works in rounds: it rests in between, and hears at once that it shall stop. */
#ifndef POSTERN_BASE_PAUSE_H
#define POSTERN_BASE_PAUSE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct pause {
    pthread_mutex_t lock; /* guards the condition alone */
    pthread_cond_t  wake;
    atomic_bool     stopping;
};

void pause_init(struct pause *p);
void pause_fini(struct pause *p); /* when the thread has ended */
/* Rests so long by the monotonic clock, or until told to stop. false: stop. */
bool pause_for(struct pause *p, long ms);
/* Any thread, any number of times. */
void pause_stop(struct pause *p);
bool pause_is_over(struct pause *p); /* it was told to stop */

#endif
