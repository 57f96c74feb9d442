/* portal/health.c - see health.h. */
#include "health.h"

#include "base/log.h"
#include "store/session.h"

static void answer(struct httpd_reply *out, int status, const char *type, const char *text)
{
    out->status = status;
    httpd_set(out, "Content-Type", span_of(type));
    httpd_set(out, "Cache-Control", SPAN("no-store"));
    buf_puts(&out->body, text);
}

static void say_health(struct worker *w, struct httpd_reply *out)
{
    struct err e = ERR_INIT;

    if (store_ping(w->store, &e) == 0)
        answer(out, 200, "text/plain; charset=utf-8", "ok\n");
    else
        answer(out, 503, "text/plain; charset=utf-8", "the database is away\n");
}

static bool may_know(const struct portal *p, const struct httpd_request *r)
{
    if (httpd_field(r, "X-Forwarded-For").n > 0 || httpd_field(r, "Forwarded").n > 0)
        return false;
    for (size_t i = 0; i < p->nmetrics_from; i++)
        if (r->by_unix || ip_block_holds(&p->metrics_from[i], &r->peer))
            return true;
    return false;
}

static void say_metrics(struct worker *w, struct httpd_reply *out)
{
    struct metrics_view v = {
        .counts = &w->portal->counts, .now_us = clock_wall_us(), .started_us = w->portal->started_us};
    struct err e = ERR_INIT;

    if (w->portal->httpd != NULL) /* not in the first moment */
        httpd_stats(w->portal->httpd, &v.httpd);
    v.store_up = store_outbox_sums(w->store, &v.outbox, &e) == 0 &&
                 store_session_count(w->store, v.now_us, &v.sessions, &e) == 0;
    if (!v.store_up)
        log_err(LOG_LEVEL_WARNING, "metrics", &e);
    answer(out, 200, "text/plain; version=0.0.4; charset=utf-8", "");
    out->compress = true;
    metrics_put(&out->body, &v);
}

bool health_serve(struct worker *w, const struct httpd_request *r, struct httpd_reply *out)
{
    bool health = span_is(r->path, "/healthz"), metrics = span_is(r->path, "/metrics");

    if (!health && !metrics)
        return false;
    if (r->method != HTTPD_GET && r->method != HTTPD_HEAD) {
        httpd_set(out, "Allow", SPAN("GET, HEAD"));
        answer(out, 405, "text/plain; charset=utf-8", "only GET\n");
    } else if (health) {
        say_health(w, out);
    } else if (may_know(w->portal, r)) {
        say_metrics(w, out);
    } else {
        answer(out, 404, "text/plain; charset=utf-8", "there is nothing here\n");
    }
    return true;
}
