/* lib/net/httpd_stream.c - replies in pieces: what `more` makes on a worker, and streams, which any thread writes.
 *
 * libmicrohttpd asks for bytes when the ones before have gone. When there are none its connection is suspended; a worker that has made a
 * chunk, or a put into the stream, resumes it. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "net/httpd_inside.h"

#define REPLY_BYTES_PER_MS 16

static bool enter_reply(struct httpd_call *call, size_t n)
{
    int64_t patience = call->d->config.times.reply_ms + (int64_t)(n / REPLY_BYTES_PER_MS);

    call->sent += n;
    return httpd_enter(call->conn, CONN_REPLY, httpd_now_ms() + patience);
}

static size_t copy_from(const struct buf *b, size_t *at, char *out, size_t max)
{
    size_t n = b->n - *at < max ? b->n - *at : max;

    memcpy(out, b->p + *at, n);
    *at += n;
    return n;
}

/* ---- Chunks ----------------------------------------------------------------------------------------------- */

ssize_t httpd_chunk_read(void *ctx, uint64_t pos, char *out, size_t max)
{
    struct httpd_call *call = ctx;
    size_t             n = copy_from(&call->chunk, &call->chunk_at, out, max);

    (void)pos;
    if (n > 0)
        return enter_reply(call, n) ? (ssize_t)n : MHD_CONTENT_READER_END_WITH_ERROR;
    if (call->chunk_rc <= 0)
        return call->chunk_rc == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    return httpd_submit(call) == HTTPD_FINE ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

/* ---- Streams ---------------------------------------------------------------------------------------------- */

struct httpd_stream *httpd_stream_new(struct httpd *d, size_t queue_max)
{
    struct httpd_stream *s = calloc(1, sizeof *s);

    (void)d;
    if (s == NULL)
        panic("out of memory for a stream");
    pthread_mutex_init(&s->lock, NULL);
    buf_init(&s->queue, queue_max);
    s->refs = 2; /* who made it, and the reply that it is put into */
    return s;
}

/* Unlocks it too. */
static void drop(struct httpd_stream *s)
{
    bool last = --s->refs == 0;

    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&s->lock);
    buf_fini(&s->queue);
    free(s);
}

static void wake(struct httpd_stream *s)
{
    if (s->asleep)
        MHD_resume_connection(s->conn->mhd);
    s->asleep = false;
}

static void lose(struct httpd_stream *s)
{
    s->gone = true;
    wake(s);
}

void httpd_stream_lose(struct httpd_stream *s)
{
    pthread_mutex_lock(&s->lock);
    lose(s);
    pthread_mutex_unlock(&s->lock);
}

/* Bytes that have gone out make room when there are as many as those that wait: moving them costs what they cost to write. */
static void make_room(struct httpd_stream *s)
{
    if (s->at * 2 < s->queue.n)
        return;
    buf_consume(&s->queue, s->at);
    s->at = 0;
}

bool httpd_stream_put(struct httpd_stream *s, struct span bytes)
{
    bool taken;

    pthread_mutex_lock(&s->lock);
    if (!s->gone && !s->ended && s->queue.n - s->at + bytes.n > s->queue.max) { /* too slow */
        if (s->conn != NULL)
            shutdown(s->conn->fd, SHUT_RDWR);
        lose(s);
    }
    if ((taken = !s->gone && !s->ended)) {
        if (s->queue.n + bytes.n > s->queue.max) {
            buf_consume(&s->queue, s->at);
            s->at = 0;
        }
        buf_put(&s->queue, bytes);
        wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    return taken;
}

void httpd_stream_end(struct httpd_stream **stream)
{
    struct httpd_stream *s = *stream;

    if (s == NULL)
        return;
    *stream = NULL;
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    wake(s);
    drop(s);
}

ssize_t httpd_stream_read(void *ctx, uint64_t pos, char *out, size_t max)
{
    struct httpd_call   *call = ctx;
    struct httpd_stream *s = call->reply.stream;
    ssize_t              n = 0;

    (void)pos;
    pthread_mutex_lock(&s->lock);
    if (s->gone)
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    else if (s->queue.n > s->at) {
        n = (ssize_t)copy_from(&s->queue, &s->at, out, max);
        make_room(s);
        if (!enter_reply(call, (size_t)n))
            n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (s->ended)
        n = MHD_CONTENT_READER_END_OF_STREAM;
    else if (!httpd_enter(call->conn, CONN_SERVE, 0))
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    else {
        s->asleep = true;
        MHD_suspend_connection(call->conn->mhd);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

void httpd_stream_attach(struct httpd_stream *s, struct httpd_conn *c)
{
    struct httpd      *d = c->d;
    struct epoll_event gone = {.events = EPOLLRDHUP | EPOLLET, .data.fd = c->fd};

    pthread_mutex_lock(&d->lock);
    c->stream = s;
    s->next = d->streams;
    d->streams = s;
    d->nstreams++;
    epoll_ctl(d->epoll, EPOLL_CTL_ADD, c->fd, &gone);
    pthread_mutex_lock(&s->lock);
    s->conn = c;
    s->ended |= atomic_load(&d->stopping);
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_unlock(&d->lock);
}

static void unlist(struct httpd_stream *s, struct httpd_conn *c)
{
    struct httpd         *d = c->d;
    struct httpd_stream **at = &d->streams;

    pthread_mutex_lock(&d->lock);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    d->nstreams--;
    c->stream = NULL;
    epoll_ctl(d->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    pthread_mutex_unlock(&d->lock);
}

void httpd_stream_detach(struct httpd_stream *s, struct httpd_conn *c)
{
    if (s->conn != NULL)
        unlist(s, c);
    pthread_mutex_lock(&s->lock);
    s->conn = NULL;
    s->gone = true;
    s->asleep = false;
    drop(s);
}

void httpd_streams_end(struct httpd *d)
{
    pthread_mutex_lock(&d->lock);
    for (struct httpd_stream *s = d->streams; s != NULL; s = s->next) {
        pthread_mutex_lock(&s->lock);
        s->ended = true;
        wake(s);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&d->lock);
}
