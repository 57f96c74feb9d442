/* rulesd/worker.h - threads for what would keep a loop too long: large messages, slow regexes.
 *
 * The queue is bounded; who finds it full answers "try again". Jobs run in order, each once, on any of the threads. */
#ifndef POSTERN_RULESD_WORKER_H
#define POSTERN_RULESD_WORKER_H

#include <stdbool.h>
#include <stddef.h>

struct workers;
struct workers *workers_new(size_t nthreads, size_t queue_max);
void            workers_free(struct workers **w); /* runs what is queued, then ends the threads */
/* False: full. Any thread. */
bool   workers_put(struct workers *w, void (*run)(void *ctx), void *ctx);
size_t workers_waiting(struct workers *w);

#endif
