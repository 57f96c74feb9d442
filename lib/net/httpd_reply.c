/* lib/net/httpd_reply.c - what goes out: replies as serve() made them, and refusals. */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/utf8.h"
#include "net/httpd_inside.h"

#define COMPRESS_LEAST 1024
#define REPLY_BYTES_PER_MS 16
#define PIECE 4096 /* towards HTTP/1.0; others get as much as libmicrohttpd has room for */
#define LINGER_MS 2000

/* One row an enum httpd_refusal. */
static const struct refusal {
    unsigned    status;
    const char *title, *detail;
} refusals[HTTPD_NREFUSALS] = {
    [HTTPD_BAD_PATH] = {400, "Bad Request", "The path is not one that this server could have."},
    [HTTPD_BAD_METHOD] = {400, "Bad Request", "The method is no word."},
    [HTTPD_BAD_FIELD] = {400, "Bad Request", "A header field is damaged."},
    [HTTPD_BAD_HOST] = {400, "Bad Request", "The request needs exactly one Host."},
    [HTTPD_BAD_FRAMING] = {400, "Bad Request", "It is not clear where the request ends."},
    [HTTPD_SLOW] = {408, "Request Timeout", "The request took too long to arrive."},
    [HTTPD_BIG_BODY] = {413, "Content Too Large", "The request is larger than what may be sent here."},
    [HTTPD_LONG_URL] = {414, "URI Too Long", "The address is too long."},
    [HTTPD_BAD_EXPECT] = {417, "Expectation Failed", "This server cannot do what the request expects."},
    [HTTPD_BIG_HEAD] = {431, "Request Header Fields Too Large", "The header fields are too many or too long."},
    [HTTPD_BAD_REPLY] = {500, "Internal Server Error", "The reply could not be made."},
    [HTTPD_BUSY] = {503, "Service Unavailable", "Too much is going on at the moment. Please try again."},
    [HTTPD_STOPPING] = {503, "Service Unavailable", "The server is about to stop. Please try again."},
    [HTTPD_BAD_VERSION] = {505, "HTTP Version Not Supported", "This server speaks HTTP/1.1."},
};

/* ---- Fields ----------------------------------------------------------------------------------------------- */

static struct httpd_out_field *find_field(const struct httpd_call *call, const char *name)
{
    struct httpd_out_field *f = call->fields;

    while (f != NULL && !span_is_ci(span_of(f->name), name))
        f = f->next;
    return f;
}

void httpd_set(struct httpd_reply *r, const char *name, struct span value)
{
    struct httpd_call      *call = r->inside;
    bool                    many = span_is_ci(span_of(name), "Set-Cookie");
    struct httpd_out_field *f = many ? NULL : find_field(call, name);

    if (!httpd_is_token(span_of(name)) || !httpd_is_clean(value))
        panic("%s is no field of a reply, or its value has a control byte", name);
    if (f == NULL) {
        if ((f = arena_zalloc(&call->arena, sizeof *f)) == NULL)
            return; /* the arena knows that it is full: httpd_reply_finish() */
        f->name = arena_str(&call->arena, span_of(name));
        f->next = call->fields;
        call->fields = f;
    }
    f->value = arena_str(&call->arena, value);
}

static bool is_set(const struct httpd_call *call, const char *name)
{
    const struct httpd_out_field *f = find_field(call, name);

    return f != NULL && f->value != NULL && f->value[0] != '\0';
}

/* ---- Refusals --------------------------------------------------------------------------------------------- */

static void put_problem(struct buf *out, const struct refusal *r)
{
    buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":\"%s\"}\n", r->title,
               r->status, r->detail);
}

static void set_of_refusal(struct httpd_call *call, size_t i, const char *name, const char *value)
{
    call->of_refusal[i] = (struct httpd_out_field){call->fields, name, value};
    call->fields = &call->of_refusal[i];
}

void httpd_reply_refuse(struct httpd_call *call, enum httpd_refusal why)
{
    struct httpd_reply *r = &call->reply;

    if (r->body.max == 0)
        buf_init(&r->body, COMPRESS_LEAST);
    buf_clear(&r->body);
    r->more = NULL;
    r->compress = false;
    r->status = (int)refusals[why].status;
    r->inside = call;
    put_problem(&r->body, &refusals[why]);
    call->refused = why;
    call->fields = NULL;
    call->close = why != HTTPD_BUSY;
    call->one_piece = true;
    call->bytes = buf_span(&r->body);
    call->stage = CALL_ANSWERED;
    set_of_refusal(call, 0, "Content-Type", "application/problem+json");
    set_of_refusal(call, 1, "Cache-Control", "no-store");
    if (why == HTTPD_BUSY || why == HTTPD_STOPPING)
        set_of_refusal(call, 2, "Retry-After", "2");
}

/* Not strftime(3): its words are those of the locale. */
static void put_date(struct buf *out)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t            now = time(NULL);
    struct tm         t;

    gmtime_r(&now, &t);
    buf_printf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d GMT\r\n", days + 3 * t.tm_wday, t.tm_mday,
               months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

void httpd_refuse_now(struct httpd_conn *c, enum httpd_refusal why)
{
    const struct httpd_config *config = &c->d->config;
    const struct refusal      *r = &refusals[why];
    struct buf                 body, out;

    buf_init(&body, COMPRESS_LEAST);
    buf_init(&out, HTTPD_HEAD_MAX);
    put_problem(&body, r);
    buf_printf(&out, "HTTP/1.1 %u %s\r\n", r->status, r->title);
    put_date(&out);
    buf_printf(&out, "Connection: close\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n", body.n);
    for (size_t i = 0; i < config->nalways; i++)
        buf_printf(&out, "%s: %s\r\n", config->always[i].name, config->always[i].value);
    buf_puts(&out, "\r\n");
    buf_put(&out, buf_span(&body));
    /* It is small, and nothing else was written: it goes, or the client has gone. */
    if (!out.failed && send(c->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        shutdown(c->fd, SHUT_WR);
    buf_fini(&body);
    buf_fini(&out);
    /* The client may be in the midst of sending: closing now would reset the connection, and our words with it. */
    httpd_enter(c, CONN_DRAIN, httpd_now_ms() + LINGER_MS);
}

/* ---- Replies ---------------------------------------------------------------------------------------------- */

static bool is_safe(const struct httpd_call *call)
{
    return call->request.method == HTTPD_GET || call->request.method == HTTPD_HEAD;
}

/* It carries no body, though it says how long one would be. */
static bool is_bodiless(const struct httpd_call *call)
{
    return call->request.method == HTTPD_HEAD || call->reply.status == 204 || call->reply.status == 304;
}

static void settle_condition(struct httpd_call *call)
{
    const struct httpd_out_field *etag = find_field(call, "ETag");
    struct span                   named = httpd_field(&call->request, "If-None-Match");

    if (call->reply.status == 200 && is_safe(call) && etag != NULL && named.p != NULL &&
        httpd_etag_named(named, span_of(etag->value)))
        call->reply.status = 304;
}

static void weaken_etag(struct httpd_call *call)
{
    const struct httpd_out_field *etag = find_field(call, "ETag");

    if (etag == NULL || etag->value == NULL || span_starts(span_of(etag->value), SPAN("W/")))
        return;
    httpd_set(&call->reply, "ETag", arena_printf(&call->arena, "W/%s", etag->value));
}

static void settle_coding(struct httpd_call *call)
{
    struct httpd_reply     *r = &call->reply;
    enum httpd_coding       how = httpd_accepts(&call->request);
    struct httpd_out_field *vary = find_field(call, "Vary");

    if (!r->compress || !call->one_piece || r->lent.p != NULL || r->body.n < COMPRESS_LEAST ||
        is_set(call, "Content-Encoding"))
        return;
    httpd_set(r, "Vary",
              vary == NULL ? SPAN("Accept-Encoding") : arena_printf(&call->arena, "%s, Accept-Encoding", vary->value));
    weaken_etag(call); /* whichever of the codings it was: they share one name */
    buf_init(&call->encoded, r->body.n);
    if (httpd_encode(how, false, buf_span(&r->body), &call->encoded) < 0)
        return;
    call->bytes = buf_span(&call->encoded);
    httpd_set(r, "Content-Encoding", span_of(httpd_coding_words[how]));
}

void httpd_reply_finish(struct httpd_call *call)
{
    struct httpd_reply *r = &call->reply;

    if (r->status < 200 || r->status > 599 || r->body.failed || call->arena.full) {
        httpd_reply_refuse(call, HTTPD_BAD_REPLY);
        return;
    }
    call->one_piece = r->more == NULL && r->stream == NULL;
    call->bytes = r->lent.p != NULL ? r->lent : buf_span(&r->body);
    settle_condition(call);
    settle_coding(call);
    if (call->arena.full)
        httpd_reply_refuse(call, HTTPD_BAD_REPLY);
}

/* Of two with one name the reply's own goes, not the one for all. The list is the wrong way round: cookies go out as they were set. */
static void add_fields(struct httpd_call *call, struct MHD_Response *response)
{
    const struct httpd_config *config = &call->d->config;
    struct httpd_out_field    *turned = NULL, *next;

    for (size_t i = 0; i < config->nalways; i++)
        if (find_field(call, config->always[i].name) == NULL)
            MHD_add_response_header(response, config->always[i].name, config->always[i].value);
    for (struct httpd_out_field *f = call->fields; f != NULL; f = next) {
        next = f->next;
        f->next = turned;
        turned = f;
    }
    call->fields = turned;
    for (struct httpd_out_field *f = turned; f != NULL; f = f->next)
        if (f->value[0] != '\0')
            MHD_add_response_header(response, f->name, f->value);
    if (call->close || atomic_load(&call->d->stopping))
        MHD_add_response_header(response, "Connection", "close");
}

static struct MHD_Response *make_response(struct httpd_call *call)
{
    MHD_ContentReaderCallback reader = call->reply.stream != NULL ? httpd_stream_read : httpd_chunk_read;
    struct MHD_Response      *response;

    if (call->one_piece)
        return MHD_create_response_from_buffer(call->bytes.n, (void *)(uintptr_t)call->bytes.p, MHD_RESPMEM_PERSISTENT);
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, reader, call, NULL);
    /* libmicrohttpd would end a chunked body that it does not send. Without chunks it leaves the length out, and closes. */
    if (response != NULL && is_bodiless(call))
        MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    return response;
}

enum MHD_Result httpd_reply_queue(struct httpd_call *call)
{
    struct httpd_conn   *c = call->conn;
    int64_t              patience = call->d->config.times.reply_ms + (int64_t)(call->bytes.n / REPLY_BYTES_PER_MS);
    struct MHD_Response *response;
    enum MHD_Result      done;

    if (!httpd_enter(c, CONN_REPLY, httpd_now_ms() + patience) || (response = make_response(call)) == NULL)
        return MHD_NO;
    add_fields(call, response);
    call->stage = CALL_REPLYING;
    call->chunk_rc = 1;
    call->sent = call->one_piece && !is_bodiless(call) ? call->bytes.n : 0;
    if (!call->one_piece && call->reply.stream != NULL && !is_bodiless(call))
        httpd_stream_attach(call->reply.stream, c);
    done = MHD_queue_response(c->mhd, (unsigned)call->reply.status, response);
    MHD_destroy_response(response);
    return done;
}
