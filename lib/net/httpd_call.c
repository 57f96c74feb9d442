/* lib/net/httpd_call.c - one request, from its first line to the last byte of its reply, as libmicrohttpd tells of it:
 *
 *   httpd_on_target     its first line came
 *   httpd_on_request    its head came (NEW); a piece of its body, or all of it (READING); its reply is there (ANSWERED)
 *   httpd_on_completed  it is over, one way or another */
#include <stdlib.h>

#include "base/clock.h"
#include "net/httpd_inside.h"

#define ARENA_MAX ((size_t)16 << 20)
#define REPLY_MAX ((size_t)64 << 20)
#define CHUNK_MAX ((size_t)4 << 20)
#define BODY_BYTES_PER_MS 64
#define SMALL_BODY ((size_t)64 << 10)

static struct httpd_conn *conn_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void *httpd_on_target(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    struct httpd      *d = ctx;
    struct httpd_conn *c = conn_of(mhd);
    struct httpd_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        panic("out of memory for a request");
    call->d = d;
    call->conn = c;
    call->began_us = clock_mono_us();
    arena_init(&call->arena, ARENA_MAX);
    call->target = arena_dup(&call->arena, span_of(target));
    c->call = call;
    httpd_enter(c, CONN_HEAD, c->head_by > 0 ? c->head_by : httpd_now_ms() + d->config.times.head_ms);
    atomic_fetch_add(&d->requests, 1);
    pthread_mutex_lock(&d->lock);
    d->calls++;
    c->busy = true;
    pthread_mutex_unlock(&d->lock);
    return call;
}

/* ---- The head --------------------------------------------------------------------------------------------- */

static enum MHD_Result put_field(void *head, enum MHD_ValueKind kind, const char *name, size_t name_n,
                                 const char *value, size_t value_n)
{
    (void)kind;
    return httpd_head_put(head, span_make(name, name_n), span_make(value != NULL ? value : "", value_n)) ? MHD_YES
                                                                                                         : MHD_NO;
}

static void fill_request(struct httpd_call *call, const char *method)
{
    struct httpd_request *r = &call->request;

    r->method = httpd_method_of(span_of(method));
    r->by_unix = call->conn->by_unix;
    r->peer = call->conn->peer;
    r->arena = &call->arena;
    r->inside = &call->head;
    call->reply.status = 200;
    call->reply.inside = call;
    buf_init(&call->reply.body, REPLY_MAX);
    buf_init(&call->chunk, CHUNK_MAX);
}

/* Up to 0.9.75 libmicrohttpd takes a field without a name (": x") for the end of the head, and what follows for another request. It
 * writes NULs where it found line ends: at the true end there are two. */
static bool ends_truly(const char *head, size_t n)
{
    static const char ends[4];

    return MHD_VERSION > 0x00097500 || (n >= sizeof ends && memcmp(head + n - sizeof ends, ends, sizeof ends) == 0);
}

static enum httpd_refusal read_head(struct httpd_call *call, const char *method, const char *version,
                                    struct httpd_framing *framing)
{
    struct MHD_Connection *mhd = call->conn->mhd;
    size_t                 size = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    int                    n = MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, put_field, &call->head);
    bool                   http11 = span_is(span_of(version), "HTTP/1.1");
    enum httpd_refusal     why = httpd_head_check(&call->head, http11, framing);

    if (!http11 && !span_is(span_of(version), "HTTP/1.0"))
        return HTTPD_BAD_VERSION;
    if (!httpd_is_token(span_of(method)))
        return HTTPD_BAD_METHOD;
    enum httpd_refusal target = httpd_target_read(call->target, &call->arena, &call->request.path,
                                                  &call->request.query);
    if (target != HTTPD_FINE)
        return target;
    if (!ends_truly(method, size))
        return HTTPD_BAD_FIELD;
    if (size > HTTPD_HEAD_MAX || (size_t)n > call->head.n)
        return HTTPD_BIG_HEAD;
    if (why != HTTPD_FINE)
        return why;
    call->body_max = call->d->config.body_max(call->d->config.ctx, call->request.method, call->request.path);
    return framing->length > call->body_max ? HTTPD_BIG_BODY : HTTPD_FINE;
}

/* From now on what comes is thrown away. */
static enum MHD_Result refuse_now(struct httpd_call *call, enum httpd_refusal why)
{
    httpd_reply_refuse(call, why);
    call->stage = CALL_READING;
    call->drains = true;
    if (!httpd_enter(call->conn, CONN_DRAIN, 0))
        return MHD_NO;
    httpd_refuse_now(call->conn, why);
    return MHD_YES;
}

static enum MHD_Result on_head(struct httpd_call *call, const char *method, const char *version)
{
    struct httpd_framing framing;
    enum httpd_refusal   why;

    fill_request(call, method);
    why = read_head(call, method, version, &framing);
    call->stage = CALL_READING;
    call->began_ms = httpd_now_ms();
    buf_init(&call->body, call->body_max);
    if (why != HTTPD_FINE && framing.waits) { /* the client sends nothing before it has our word */
        httpd_reply_refuse(call, why);
        return httpd_reply_queue(call);
    }
    if (why != HTTPD_FINE && framing.follows)
        return refuse_now(call, why);
    call->refused = why;
    return httpd_enter(call->conn, CONN_BODY, call->began_ms + call->d->config.times.body_ms) ? MHD_YES : MHD_NO;
}

/* ---- The body --------------------------------------------------------------------------------------------- */

static void give_back(struct httpd_call *call, size_t n)
{
    atomic_fetch_sub(&call->d->bodies, n);
    if (call->conn->counted != NULL)
        atomic_fetch_sub(&call->conn->counted->bodies, n);
}

/* Who sends large bodies almost to their end, and then waits, keeps that room to themselves and takes nobody's: httpd.h, bodies_max. */
static bool has_room(struct httpd_call *call, size_t more)
{
    struct httpd_peer *peer = call->conn->counted;
    size_t             own = call->body.n + more, most = call->d->config.bodies_max;
    size_t             all = atomic_fetch_add(&call->d->bodies, more) + more;
    size_t             theirs = peer != NULL ? atomic_fetch_add(&peer->bodies, more) + more : own;
    bool               small = own <= SMALL_BODY;

    if (all <= (small || all == own ? most : most - most / 4) && (small || theirs <= most / 4 || theirs == own))
        return true;
    give_back(call, more);
    return false;
}

static enum MHD_Result on_body(struct httpd_call *call, struct span piece)
{
    int64_t patience = call->d->config.times.body_ms + (int64_t)(call->body.n / BODY_BYTES_PER_MS);

    if (call->drains)
        return MHD_YES;
    if (piece.n > call->body_max - call->body.n)
        return refuse_now(call, HTTPD_BIG_BODY);
    if (!has_room(call, piece.n))
        return refuse_now(call, HTTPD_BUSY);
    buf_put(&call->body, piece);
    return httpd_enter(call->conn, CONN_BODY, call->began_ms + patience) ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_whole(struct httpd_call *call)
{
    enum httpd_refusal why = call->refused;

    if (call->drains)
        return MHD_NO;
    if (why == HTTPD_FINE && atomic_load(&call->d->stopping))
        why = HTTPD_STOPPING;
    if (why == HTTPD_FINE)
        why = httpd_submit(call);
    if (why == HTTPD_FINE)
        return MHD_YES;
    httpd_reply_refuse(call, why);
    return httpd_reply_queue(call);
}

enum MHD_Result httpd_on_request(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *n, void **call_at)
{
    struct httpd_call *call = *call_at;
    struct span        piece = span_make(data, *n);

    (void)ctx;
    (void)mhd;
    (void)url;
    *n = 0;
    switch (call->stage) {
    case CALL_NEW: return on_head(call, method, version);
    case CALL_READING: return piece.n > 0 ? on_body(call, piece) : on_whole(call);
    case CALL_ANSWERED: return httpd_reply_queue(call);
    case CALL_WAITING: /* suspended */
    case CALL_REPLYING: break;
    }
    return MHD_YES;
}

/* ---- The end ---------------------------------------------------------------------------------------------- */

static void free_call(struct httpd_call *call)
{
    struct httpd      *d = call->d;
    struct httpd_conn *c = call->conn;

    if (call->reply.stream != NULL)
        httpd_stream_detach(call->reply.stream, call->conn);
    if (call->reply.more_end != NULL)
        call->reply.more_end(call->reply.more_ctx);
    give_back(call, call->body.n);
    buf_fini(&call->body);
    buf_fini(&call->reply.body);
    buf_fini(&call->encoded);
    buf_fini(&call->chunk);
    arena_fini(&call->arena);
    free(call);
    pthread_mutex_lock(&d->lock);
    c->busy = false;
    if (--d->calls == 0)
        pthread_cond_broadcast(&d->calm);
    pthread_mutex_unlock(&d->lock);
}

void httpd_call_end(struct httpd_conn *c, bool whole)
{
    struct httpd_call   *call = c->call;
    struct httpd_config *config = &c->d->config;
    bool                 answered = call->stage == CALL_REPLYING || call->drains;

    c->call = NULL;
    c->head_by = 0;
    if (call->refused != HTTPD_FINE)
        atomic_fetch_add(&c->d->refused, 1);
    if (config->served != NULL && answered)
        config->served(config->ctx, call->request.method, call->request.path, call->reply.status,
                       whole || !call->one_piece ? call->sent : 0, clock_mono_us() - call->began_us);
    free_call(call);
    httpd_enter(c, CONN_IDLE, httpd_now_ms() + config->times.idle_ms);
}

void httpd_on_completed(void *d, struct MHD_Connection *mhd, void **call, enum MHD_RequestTerminationCode how)
{
    (void)d;
    if (*call != NULL)
        httpd_call_end(conn_of(mhd), how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *call = NULL;
}
