/* rulesd/endpoints.c - see endpoints.h. One table of paths; each row says what its token has to be for, and who does the work. */
#include "endpoints.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/domain.h"

#define BODY_MAX ((size_t)1 << 20) /* of an answer in JSON */

static int read_maps(struct visit *v, struct store *s);

static const struct service {
    const char *path;   /* one that ends with '/' stands for all below it */
    bool        writes; /* POST; else GET and HEAD */
    const char *scope;  /* NULL: of the map that is asked for */
    int (*work)(struct visit *v, struct store *s);
} table[] = {
    {"/ingest/rspamd", true, "ingest:rspamd", ingest_rspamd},
    {"/ingest/delivery", true, "ingest:delivery", ingest_delivery},
    {"/report", true, "report", report_post},
    {"/maps/", false, NULL, read_maps},
    {"/settings.ucl", false, NULL, read_maps},
};

static const struct service *find(struct span path)
{
    for (const struct service *p = table; p < table + COUNT(table); p++) {
        struct span own = span_of(p->path);

        if (own.p[own.n - 1] == '/' ? span_starts_ci(path, own) : span_eq_ci(path, own))
            return p;
    }
    return NULL;
}

/* "/report" is also what Rspamd's old protocol calls a scan. */
bool endpoints_have(struct span path, bool bearer)
{
    const struct service *what = find(path);

    return what != NULL && (what->work != report_post || bearer);
}

int visit_refuse(struct visit *v, int status, const char *fmt, ...)
{
    va_list ap;
    char    text[256];

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    v->status = status;
    return err_set(&v->err, ERR_INVALID, "%s", text);
}

/* ---- maps ---- */

static int status_of(enum err_code code)
{
    switch (code) {
    case ERR_NOT_FOUND: return 404;
    case ERR_LIMIT: return 413;
    case ERR_INVALID: return 400;
    default: return 503;
    }
}

static int read_maps(struct visit *v, struct store *s)
{
    if (s == NULL)
        return visit_refuse(v, 503, "the database is away");
    if (maps_get(v->at->maps, s, &v->wish, cache_feed_seq(v->at->cache), clock_wall_us(), &v->doc, &v->err) < 0) {
        v->status = status_of(v->err.code);
        return -1;
    }
    return 0;
}

/* The map that a path names, its domain in normal form. False: there is none. */
static bool read_wish(struct visit *v)
{
    struct span path = v->x->http.path;

    if (span_is_ci(path, "/settings.ucl"))
        return maps_read_path(SPAN("global/settings"), &v->wish);
    if (!maps_read_path(span_skip(path, sizeof "/maps/" - 1), &v->wish))
        return false;
    return span_is(v->wish.domain, "global") ||
           domain_normalise(v->wish.domain, &v->x->arena, &v->wish.domain, NULL) == 0;
}

/* ---- who asks ---- */

/* Somebody guesses, or has forgotten to change a token: the log says so, once a minute. */
static void complain(const struct visit *v)
{
    static _Atomic int64_t told_us;
    int64_t                now = clock_mono_us(), last = atomic_load(&told_us);
    struct log_line        l;
    char                   text[PEER_TEXT];

    if ((last != 0 && now - last < 60000000) || !atomic_compare_exchange_strong(&told_us, &last, now))
        return;
    peer_format(&v->x->client->peer, text);
    log_begin(&l, LOG_LEVEL_WARNING, v->status == 401 ? "wrong token" : "a token for something else");
    log_str(&l, "path", v->what->path);
    log_str(&l, "listener", v->x->client->listener->at.text);
    log_str(&l, "peer", text);
    log_end(&l);
}

static int check_token(struct visit *v)
{
    struct span scope = v->what->scope != NULL ? span_of(v->what->scope)
                                               : arena_printf(&v->x->arena, "maps:%.*s", SPAN_ARG(v->wish.domain));

    switch (tokens_ask(v->at->tokens, v->secret, scope, &v->x->client->peer, clock_wall_us(), &v->token)) {
    case TOKEN_OK: return 0;
    case TOKEN_UNKNOWN: visit_refuse(v, 401, "Unauthorized"); break;
    case TOKEN_DENIED: visit_refuse(v, 403, "this token is not for that"); break;
    }
    complain(v);
    return -1;
}

/* ---- on the desk ---- */

static struct visit *visit_of_job(struct job *j)
{
    return (struct visit *)(void *)((char *)j - offsetof(struct visit, job));
}
static struct visit *visit_of(struct errand *er)
{
    return (struct visit *)(void *)((char *)er - offsetof(struct visit, errand));
}

static void work(struct job *j, struct hand *hand)
{
    struct visit *v = visit_of_job(j);
    struct store *s = NULL;
    struct err    e = ERR_INIT;

    if (hand_store(hand, &s, &e) < 0)
        s = NULL;
    if (tokens_refresh(v->at->tokens, s, cache_feed_seq(v->at->cache), clock_wall_us(), &e) < 0)
        log_err(LOG_LEVEL_WARNING, "tokens not read", &e);
    if (check_token(v) == 0)
        v->what->work(v, s);
    v->errand.wake(v->errand.wake_ctx);
}

static void start(struct errand *er)
{
    struct visit *v = visit_of(er);

    desk_put(v->at->desk, &v->job);
}

/* ---- the reply ---- */

static void put_doc(struct visit *v, struct buf *out, bool head)
{
    char        room[MAP_FIELDS_MAX];
    struct span fields = map_doc_fields(v->doc, clock_wall_us(), room);
    bool        known = map_doc_is_known(v->doc, http_header_get(&v->x->http, "If-None-Match"),
                                         http_header_get(&v->x->http, "If-Modified-Since"));

    http_put_reply_with(out, known ? 304 : 200, map_doc_type(v->doc), fields, map_doc_body(v->doc), v->x->keep, head);
}

static void count(struct visit *v)
{
    enum metric_verdict verdict = v->status == 0 ? METRIC_OK : v->status < 500 ? METRIC_REFUSED : METRIC_FAILED;

    metrics_request(v->x->metrics, METRIC_HTTP, METRIC_ASK, verdict);
}

static enum answer put(struct errand *er, struct exchange *x, struct scan_request *req, struct buf *out)
{
    struct visit *v = visit_of(er);
    bool          head = x->http.method == HTTP_HEAD;

    count(v);
    if (v->status == 0 && v->scan) {
        *req = v->req;
        return ANSWER_SCAN;
    }
    if (v->status != 0)
        http_put_error(out, v->status, v->err.text, x->keep, head);
    else if (v->doc != NULL)
        put_doc(v, out, head);
    else
        http_put_reply(out, 200, NULL, "application/json", buf_span(&v->body), x->keep, head);
    return ANSWER_READY;
}

static void end(struct errand *er)
{
    struct visit *v = visit_of(er);

    map_doc_drop(&v->doc);
    token_drop(&v->token);
    trust_drop(&v->trust);
    buf_fini(&v->body);
    free(v);
}

void endpoints_put_scan(struct exchange *x, struct buf *out)
{
    if (!x->scan->failed && !x->scan->refused)
        http_put_reply(out, 200, NULL, "application/json", SPAN("{\"success\":true}"), x->keep, false);
    else
        http_put_error(out, 503, "the message cannot be taken at the moment", x->keep, false);
}

/* ---- on the loop ---- */

static enum answer refuse(struct exchange *x, struct buf *out, int status, const char *why)
{
    http_put_error(out, status, why, x->keep, x->http.method == HTTP_HEAD);
    metrics_request(x->metrics, METRIC_HTTP, METRIC_ASK, METRIC_REFUSED);
    return ANSWER_READY;
}

enum answer endpoints_answer(struct exchange *x, struct buf *out)
{
    const struct service *what = find(x->http.path);
    bool                  writes = x->http.method == HTTP_POST || x->http.method == HTTP_PUT;
    struct span           secret = x->envelope.bearer.p != NULL ? x->envelope.bearer : x->envelope.password;
    struct visit         *v;

    if (x->server->endpoints == NULL)
        return refuse(x, out, 404, "invalid command");
    if (secret.p == NULL)
        return refuse(x, out, 401, "Unauthorized");
    if (writes != what->writes)
        return refuse(x, out, 405, what->writes ? "this is to be POSTed to" : "this is to be read");
    if ((v = calloc(1, sizeof *v)) == NULL)
        panic("out of memory");
    *v = (struct visit){.errand = {.start = start, .put = put, .end = end},
                        .job = {.run = work},
                        .at = x->server->endpoints,
                        .what = what,
                        .x = x,
                        .trust = trust_hold(x->trust),
                        .secret = secret};
    buf_init(&v->body, BODY_MAX);
    if (what->scope == NULL && !read_wish(v)) {
        end(&v->errand);
        return refuse(x, out, 404, "there is no such map");
    }
    x->errand = &v->errand;
    return ANSWER_LATER;
}

/* ---- start and stop ---- */

static bool is_away(void *ctx)
{
    const struct endpoints *p = ctx;

    return cache_is_stale(p->cache);
}

int endpoints_new(const struct settings *settings, struct cache *cache, struct endpoints **out, struct err *e)
{
    struct endpoints *p = calloc(1, sizeof *p);

    if (p == NULL)
        panic("out of memory");
    p->cache = cache;
    p->tokens = tokens_new();
    p->maps = maps_new();
    p->reports = report_posts_new(settings);
    struct desk_how how = {.url = settings->store.url, .threads = ENDPOINT_THREADS, .away = is_away, .ctx = p};
    if (desk_new(&how, &p->desk, e) < 0) {
        endpoints_free(&p);
        return -1;
    }
    *out = p;
    return 0;
}

void endpoints_stop(struct endpoints *p)
{
    struct job *j;

    if (p == NULL)
        return;
    desk_stop(p->desk);
    while ((j = desk_left(p->desk)) != NULL) {
        struct visit *v = visit_of_job(j);

        visit_refuse(v, 503, "stopping");
        v->errand.wake(v->errand.wake_ctx);
    }
}

void endpoints_free(struct endpoints **pp)
{
    struct endpoints *p = *pp;

    *pp = NULL;
    if (p == NULL)
        return;
    desk_free(&p->desk);
    report_posts_free(&p->reports);
    maps_free(&p->maps);
    tokens_free(&p->tokens);
    free(p);
}
