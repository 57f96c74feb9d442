/* lib/scan/wait.c - see wait.h. */
#include "scan/wait.h"

#include <pthread.h>

/* Who waits. `ask` is the first member: done() finds the rest by it. */
struct waiter {
    struct scanner_ask ask;
    pthread_mutex_t    lock; /* of `answered` */
    pthread_cond_t     wake;
    bool               answered;
};

static void answered(struct scanner_ask *ask)
{
    struct waiter *w = (struct waiter *)ask;

    pthread_mutex_lock(&w->lock);
    w->answered = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

int scan_wait(struct scanner *s, struct scanner_ask *ask, struct err *e)
{
    struct waiter w = {.ask = *ask};

    w.ask.done = answered;
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.wake, NULL);
    scanner_put(s, &w.ask);
    pthread_mutex_lock(&w.lock);
    while (!w.answered)
        pthread_cond_wait(&w.wake, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.wake);
    pthread_mutex_destroy(&w.lock);
    *ask = w.ask;
    if (ask->rc < 0 && e != NULL)
        *e = ask->err;
    return ask->rc < 0 ? -1 : 0;
}
