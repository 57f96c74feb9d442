/* lib/net/httpd_worker.c - the threads on which serve() and `more` run, and the queue in front of them. */
#include <errno.h>
#include <stdlib.h>

#include "net/httpd_inside.h"

/* Where a connection is suspended and handed on the queue is locked: a worker may resume it at once. */
enum httpd_refusal httpd_submit(struct httpd_call *call)
{
    struct httpd      *d = call->d;
    bool               chunk = call->stage == CALL_REPLYING;
    enum httpd_refusal why = HTTPD_FINE;

    pthread_mutex_lock(&d->queue_lock);
    if (d->closed)
        why = HTTPD_STOPPING;
    else if (!chunk && d->waiting >= d->config.waiting_max)
        why = HTTPD_BUSY;
    else if (!httpd_enter(call->conn, CONN_SERVE, 0))
        why = HTTPD_SLOW;
    if (why == HTTPD_FINE) {
        call->stage = chunk ? CALL_REPLYING : CALL_WAITING;
        MHD_suspend_connection(call->conn->mhd);
        call->next = NULL;
        *d->queue_end = call;
        d->queue_end = &call->next;
        d->waiting++;
        pthread_cond_signal(&d->queued);
    }
    pthread_mutex_unlock(&d->queue_lock);
    return why;
}

static struct httpd_call *take(struct httpd *d)
{
    struct httpd_call *call;

    pthread_mutex_lock(&d->queue_lock);
    while (d->queue == NULL && !d->closed)
        pthread_cond_wait(&d->queued, &d->queue_lock);
    if ((call = d->queue) != NULL) {
        if ((d->queue = call->next) == NULL)
            d->queue_end = &d->queue;
        d->waiting--;
    }
    pthread_mutex_unlock(&d->queue_lock);
    return call;
}

static void serve(struct httpd_worker *w, struct httpd_call *call)
{
    call->request.body = buf_span(&call->body);
    if (atomic_load(&w->d->cutting))
        httpd_reply_refuse(call, HTTPD_STOPPING);
    else {
        w->d->config.serve(w->d->config.ctx, w->own, &call->request, &call->reply);
        httpd_reply_finish(call);
    }
    call->stage = CALL_ANSWERED;
}

static void make_chunk(struct httpd_worker *w, struct httpd_call *call)
{
    buf_clear(&call->chunk);
    call->chunk_at = 0;
    call->chunk_rc = -1;
    if (!atomic_load(&w->d->cutting))
        call->chunk_rc = call->reply.more(call->reply.more_ctx, w->own, &call->chunk);
    if (call->chunk.failed || call->chunk_rc < 0) { /* what it put may be half of what it meant */
        buf_clear(&call->chunk);
        call->chunk_rc = -1;
    }
}

static void *work(void *arg)
{
    struct httpd_worker *w = arg;
    struct httpd_call   *call;

    while ((call = take(w->d)) != NULL) {
        struct MHD_Connection *mhd = call->conn->mhd;

        if (call->stage == CALL_REPLYING)
            make_chunk(w, call);
        else
            serve(w, call);
        MHD_resume_connection(mhd); /* from here on the call is the I/O thread's */
    }
    return NULL;
}

int httpd_workers_start(struct httpd *d, struct err *e)
{
    if ((d->workers = calloc(d->config.workers, sizeof *d->workers)) == NULL)
        panic("out of memory for %zu workers", d->config.workers);
    for (size_t i = 0; i < d->config.workers; i++) {
        struct httpd_worker *w = &d->workers[i];

        w->d = d;
        if (d->config.worker_open != NULL && d->config.worker_open(d->config.ctx, i, &w->own, e) < 0)
            return err_wrap(e, "worker %zu", i);
        w->opened = true;
        if ((errno = pthread_create(&w->thread, NULL, work, w)) != 0)
            return err_errno(e, "start worker %zu", i);
        w->runs = true;
    }
    return 0;
}

void httpd_workers_stop(struct httpd *d)
{
    pthread_mutex_lock(&d->queue_lock);
    d->closed = true;
    pthread_cond_broadcast(&d->queued);
    pthread_mutex_unlock(&d->queue_lock);
    for (size_t i = 0; d->workers != NULL && i < d->config.workers; i++) {
        struct httpd_worker *w = &d->workers[i];

        if (w->runs)
            pthread_join(w->thread, NULL);
        if (w->opened && d->config.worker_close != NULL)
            d->config.worker_close(d->config.ctx, w->own);
    }
    free(d->workers);
    d->workers = NULL;
}
