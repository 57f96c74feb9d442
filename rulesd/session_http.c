/* rulesd/session_http.c - Rspamd's HTTP protocol, and what operators ask: health, metrics. One table of paths. */
#include "base/clock.h"
#include "base/log.h"
#include "endpoints.h"
#include "reply.h"
#include "report.h"
#include "scan_hold.h"
#include "session.h"
#include "shm.h"

#define BODY_MAX ((size_t)4 << 20) /* of a reply, milter lists of 10,000 recipients included */
#define COMPLAIN_US (60 * INT64_C(1000000))

/* What the whole site can be asked. */
static const struct route {
    const char *path;
    enum answer (*run)(struct exchange *x, struct scan_request *req, struct buf *out);
    bool legacy; /* scans: the old form of the reply */
} routes[];

static void begin(struct exchange *x, const struct wire_limits *limits)
{
    http_begin(&x->http, &x->arena, &x->plain, limits);
}

static enum wire_step step(struct exchange *x, struct buf *in, bool eof)
{
    enum wire_step got = http_step(&x->http, in, eof);

    x->used = x->http.used;
    return got;
}

static bool head_done(const struct exchange *x) { return http_head_done(&x->http); }

static size_t wants(const struct exchange *x, const struct buf *in) { return http_wants(&x->http, in); }

static void count(struct exchange *x, enum metric_verb verb, enum metric_verdict verdict)
{
    metrics_request(x->metrics, METRIC_HTTP, verb, verdict);
}

static bool packed(const struct exchange *x) { return http_packed(&x->http); }

static enum wire_step unpack(struct exchange *x) { return http_unpack(&x->http); }

static void expire(struct exchange *x) { http_expire(&x->http); }

static void put_bad(struct exchange *x, struct buf *out)
{
    http_put_bad(out, &x->http);
    if (x->http.status != 0) /* 0: came and went */
        count(x, METRIC_OTHER, METRIC_REFUSED);
}

static void put_busy(struct exchange *x, struct buf *out)
{
    http_put_error(out, 503, "busy, try again", false, x->http.method == HTTP_HEAD);
    count(x, METRIC_OTHER, METRIC_FAILED);
}

/* ---- replies ---- */

static enum answer say(struct exchange *x, struct buf *out, int status, const char *type, struct span body)
{
    http_put_reply(out, status, NULL, type, body, x->keep, x->http.method == HTTP_HEAD);
    return ANSWER_READY;
}

static enum answer refuse(struct exchange *x, struct buf *out, enum metric_verb verb, int status, const char *why)
{
    http_put_error(out, status, why, x->keep, x->http.method == HTTP_HEAD);
    count(x, verb, METRIC_REFUSED);
    return ANSWER_READY;
}

/* A body made by `put`, and the reply around it. */
static enum answer say_made(struct exchange *x, struct buf *out, const char *type,
                            void (*put)(struct buf *out, const struct metrics_view *v))
{
    const struct metrics *room[256];
    struct metrics_view   v = server_view(x->server, room);
    struct buf            body;

    buf_init(&body, BODY_MAX);
    put(&body, &v);
    say(x, out, 200, type, buf_span(&body));
    buf_fini(&body);
    count(x, METRIC_ASK, METRIC_OK);
    return ANSWER_READY;
}

/* ---- who asks ---- */

/* Somebody is mistaken, or guesses: the log says so, once a minute. */
static void complain(const struct exchange *x)
{
    static _Atomic int64_t told_us;
    int64_t                now = clock_mono_us(), last = atomic_load(&told_us);
    struct log_line        l;
    char                   text[PEER_TEXT];

    if ((last != 0 && now - last < COMPLAIN_US) || !atomic_compare_exchange_strong(&told_us, &last, now))
        return;
    peer_format(&x->client->peer, text);
    log_begin(&l, LOG_LEVEL_WARNING, "wrong password");
    log_str(&l, "listener", x->client->listener->at.text);
    log_str(&l, "peer", text);
    log_end(&l);
}

/* 0, or the status to refuse with. A password that is right makes the caller an MTA, as far as the listener permits; one that
 * is wrong is told, so that nobody takes a lesser verdict for the real one. */
static int check_password(const struct exchange *x, enum caller_class *class)
{
    *class = x->client->class;
    if (*class == CLASS_MTA || x->envelope.password.p == NULL)
        return 0;
    if (!trust_password(x->trust, x->envelope.password)) {
        complain(x);
        return 401;
    }
    *class = x->client->listener->most;
    return 0;
}

/* ---- scans ---- */

static void take_envelope(struct exchange *x, struct scan_request *req)
{
    const struct rspamd_envelope *v = &x->envelope;

    req->from = v->from;
    req->rcpt = v->rcpt.items;
    req->nrcpt = v->rcpt.n;
    if (v->rcpt.n == 0 && v->deliver_to.n > 0) {
        x->rcpt = v->deliver_to;
        req->rcpt = &x->rcpt;
        req->nrcpt = 1;
    }
    req->ip = v->ip;
    req->helo = v->helo;
    req->hostname = v->hostname;
    req->user = v->user;
    req->queue_id = v->queue_id;
    req->tls_version = v->tls_version;
    req->tls_cipher = v->tls_cipher;
    req->drops_recipients = v->milter;
    req->no_log = v->no_log;
}

/* The message where it is not the body. Whoever may not have us read it is refused, never scanned as empty. */
static int take_shm(struct exchange *x, enum caller_class class, struct err *e)
{
    if (x->envelope.shm.p == NULL)
        return 0;
    if (!shm_permitted(x->client->listener->shm, class, &x->client->peer))
        return err_set(e, ERR_INVALID, "shared memory is not read here; send the message as the body");
    buf_clear(&x->plain);
    if (shm_read(&x->envelope, x->http.limits.body_max, &x->plain, e) < 0)
        return -1;
    x->http.body = buf_span(&x->plain);
    return 0;
}

static enum answer do_scan(struct exchange *x, struct scan_request *req, struct buf *out)
{
    enum caller_class class;
    struct err e = ERR_INIT;

    if (check_password(x, &class) != 0)
        return refuse(x, out, METRIC_SCAN, 401, "Unauthorized");
    if (take_shm(x, class, &e) < 0)
        return refuse(x, out, METRIC_SCAN, e.code == ERR_LIMIT ? 413 : 400, e.text);
    *req = (struct scan_request){.protocol = METRIC_HTTP,
                                 .class = class,
                                 .listener = x->client->listener,
                                 .peer = x->client->peer,
                                 .message = x->http.body};
    take_envelope(x, req);
    req->form = (unsigned)(x->route - routes) << 4 | (unsigned)x->envelope.no_log << 3 | (unsigned)x->keep << 2 |
                (x->http.method == HTTP_HEAD) << 1 | x->envelope.milter;
    return ANSWER_SCAN;
}

static void put_scan(struct exchange *x, struct buf *out)
{
    struct rspamd_reply reply;
    struct buf          json;
    bool                head_only = x->http.method == HTTP_HEAD;

    if (x->scan->req.answered != NULL) {
        endpoints_put_scan(x, out);
        return;
    }
    if (x->scan->refused) {
        http_put_error(out, 429, "too many recipients in a minute, try again later", x->keep, head_only);
        return;
    }
    if (x->scan->failed) {
        http_put_error(out, 503, scan_excuse(x->scan), x->keep, head_only);
        return;
    }
    reply_rspamd(x->scan, x->envelope.milter, clock_mono_us(), &reply);
    reply.hold_reject = x->envelope.no_log && scan_holds(x->scan, true);
    reply.hold_add_header = x->envelope.no_log && scan_holds(x->scan, false);
    buf_init(&json, BODY_MAX);
    buf_reserve(&json, 1024);
    rspamd_put_json(&json, &reply, x->route->legacy);
    if (json.failed)
        http_put_error(out, 503, "the reply is too large", x->keep, head_only);
    else
        http_put_reply(out, 200, NULL, "application/json", buf_span(&json), x->keep, head_only);
    buf_fini(&json);
}

/* ---- everything else ---- */

static enum answer do_ping(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    count(x, METRIC_PING, METRIC_OK);
    return say(x, out, 200, "text/plain", SPAN("pong\r\n"));
}

static enum answer do_health(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    count(x, METRIC_ASK, METRIC_OK);
    return say(x, out, 200, "text/plain", SPAN("ok\n"));
}

static enum answer do_ready(struct exchange *x, struct scan_request *req, struct buf *out)
{
    bool ready = cache_ready(x->server->tools.cache) && !atomic_load(&x->server->draining);

    (void)req;
    count(x, METRIC_ASK, ready ? METRIC_OK : METRIC_FAILED);
    return say(x, out, ready ? 200 : 503, "text/plain", ready ? SPAN("ready\n") : SPAN("not ready\n"));
}

static enum answer do_metrics(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    return say_made(x, out, "text/plain; version=0.0.4; charset=utf-8", metrics_put_prometheus);
}

static enum answer do_stat(struct exchange *x, struct scan_request *req, struct buf *out)
{
    enum caller_class class;

    (void)req;
    if (check_password(x, &class) != 0)
        return refuse(x, out, METRIC_ASK, 401, "Unauthorized");
    return say_made(x, out, "application/json", metrics_put_json);
}

/* ---- reports ---- */

static bool is_spam_report(const struct exchange *x) { return span_is_ci(x->http.path, "/learnspam"); }

/* As the controller's own. */
static enum answer put_report(struct errand *er, struct exchange *x, struct scan_request *req, struct buf *out)
{
    const struct report_end *end = report_came(er);
    bool                     head_only = x->http.method == HTTP_HEAD;

    (void)req;
    if (end->rc < 0) {
        log_err(LOG_LEVEL_WARNING, "a report could not be kept", &end->err);
        http_put_error(out, 503, "the report could not be kept, try again later", x->keep, head_only);
        count(x, METRIC_LEARN, METRIC_FAILED);
        return ANSWER_READY;
    }
    if (end->made.added == REPORT_SAID)
        http_put_error(out, 208,
                       is_spam_report(x) ? "has been already learned as spam, ignore it"
                                         : "has been already learned as ham, ignore it",
                       x->keep, head_only);
    else
        http_put_reply(out, 200, NULL, "application/json", SPAN("{\"success\":true}"), x->keep, head_only);
    count(x, METRIC_LEARN, METRIC_OK);
    return ANSWER_READY;
}

static enum answer do_learn(struct exchange *x, struct scan_request *req, struct buf *out)
{
    struct report_ask ask = {.class = is_spam_report(x) ? REPORT_SPAM : REPORT_HAM,
                             .message = x->http.body,
                             .channel = "learn",
                             .listener = x->client->listener->at.text,
                             .put = put_report};
    enum caller_class class;

    (void)req;
    if (check_password(x, &class) != 0 || class != CLASS_MTA)
        return refuse(x, out, METRIC_LEARN, 401, "Unauthorized");
    if (x->http.body.n == 0)
        return refuse(x, out, METRIC_LEARN, 400, "Empty body is not permitted");
    if (!reports_are_taken(x->server->reports))
        return refuse(x, out, METRIC_LEARN, 404, "learning is not enabled here: no trainer backend is configured");
    ask.recipient = x->envelope.deliver_to.n > 0 ? x->envelope.deliver_to
                    : x->envelope.rcpt.n > 0     ? x->envelope.rcpt.items[0]
                                                 : SPAN_NONE;
    ask.person = x->envelope.user.n > 0 ? x->envelope.user : ask.recipient;
    x->errand = report_take(x->server->reports, &ask, x);
    return ANSWER_LATER;
}

static enum answer do_post(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    return refuse(x, out, METRIC_OTHER, 400, "encrypted requests are not served here");
}

static const struct route routes[] = {
    {"/checkv2", do_scan, false},      {"/check", do_scan, true},      {"/symbols", do_scan, true},
    {"/scan", do_scan, true},          {"/process", do_scan, true},    {"/report", do_scan, true},
    {"/report_ifspam", do_scan, true}, {"/skip", do_scan, true},       {"/ping", do_ping, false},
    {"/healthz", do_health, false},    {"/healthy", do_health, false}, {"/ready", do_ready, false},
    {"/metrics", do_metrics, false},   {"/stat", do_stat, false},      {"/auth", do_stat, false},
    {"/learnspam", do_learn, false},   {"/learnham", do_learn, false}, {"/post", do_post, false},
};

static enum answer do_endpoint(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    return endpoints_answer(x, out);
}

/* Paths with a table of their own. */
static const struct route endpoint = {NULL, do_endpoint, false};

static const struct route *find_route(const struct http_request *http)
{
    struct span path = http->path;
    bool        bearer = span_starts_ci(http_header_get(http, "Authorization"), SPAN("Bearer "));

    if (endpoints_have(path, bearer))
        return &endpoint;
    for (const struct route *r = routes; r < routes + COUNT(routes); r++)
        if (span_is_ci(path, r->path))
            return r;
    return NULL;
}

static enum answer answer(struct exchange *x, struct scan_request *req, struct buf *out)
{
    struct err e = ERR_INIT;

    x->keep = x->http.keep_alive && !atomic_load_explicit(&x->server->draining, memory_order_relaxed);
    x->linger = false;
    if ((x->route = find_route(&x->http)) == NULL)
        return refuse(x, out, METRIC_OTHER, 404, "invalid command");
    if (rspamd_read_envelope(&x->http, &x->envelope, &e) < 0)
        return refuse(x, out, METRIC_OTHER, e.code == ERR_LIMIT ? 431 : 400, e.text);
    return x->route->run(x, req, out);
}

const struct session session_http = {begin,  step,    head_done, wants,  packed,  unpack,
                                     expire, put_bad, put_busy,  answer, put_scan};
