/* lib/net/vitals.c - see vitals.h. */
#include "net/vitals.h"

#include <stdlib.h>

struct vitals {
    struct vitals_config config;
    struct endpoint      at[VITALS_LISTENERS_MAX];
    struct httpd        *httpd;
};

/* ---- one question ---- */

static void say(struct httpd_reply *out, int status, const char *words)
{
    out->status = status;
    httpd_set(out, "Content-Type", SPAN("text/plain; charset=utf-8"));
    httpd_set(out, "Cache-Control", SPAN("no-store"));
    buf_printf(&out->body, "%s\n", words);
}

static void serve(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out)
{
    const struct vitals_config *c = &((const struct vitals *)ctx)->config;

    (void)worker;
    if (r->method != HTTPD_GET && r->method != HTTPD_HEAD) {
        say(out, 405, "only GET");
        httpd_set(out, "Allow", SPAN("GET, HEAD"));
    } else if (span_is(r->path, "/healthz")) {
        const char *why = c->ill(c->ctx);

        say(out, why == NULL ? 200 : 503, why == NULL ? "ok" : why);
    } else if (span_is(r->path, "/metrics")) {
        httpd_set(out, "Content-Type", SPAN("text/plain; version=0.0.4; charset=utf-8"));
        httpd_set(out, "Cache-Control", SPAN("no-store"));
        c->put(c->ctx, &out->body);
    } else {
        say(out, 404, "/healthz and /metrics are here");
    }
}

static int worker_open(void *ctx, size_t index, void **out, struct err *e)
{
    (void)ctx;
    (void)index;
    (void)e;
    *out = NULL;
    return 0;
}

static void worker_close(void *ctx, void *worker)
{
    (void)ctx;
    (void)worker;
}

static size_t body_max(void *ctx, enum httpd_method method, struct span path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return 0;
}

/* ---- start and stop ---- */

static int read_listen(struct vitals *v, struct err *e)
{
    const struct vitals_config *c = &v->config;

    if (c->listen->n > VITALS_LISTENERS_MAX)
        return err_set(e, ERR_INVALID, "%s: at most %d", c->setting, VITALS_LISTENERS_MAX);
    for (size_t i = 0; i < c->listen->n; i++) {
        struct span query;

        if (endpoint_parse(c->listen->items[i], &v->at[i], &query, e) < 0)
            return err_wrap(e, "%s", c->setting);
        if (query.n > 0)
            return err_set(e, ERR_INVALID, "%s: there are no settings behind %s", c->setting, v->at[i].text);
    }
    return 0;
}

static int start_httpd(struct vitals *v, struct err *e)
{
    const struct httpd_config c = {.listen = v->at,
                                   .nlisten = v->config.listen->n,
                                   .io_threads = 1,
                                   .workers = 1,
                                   .connections_max = VITALS_CLIENTS_MAX,
                                   .worker_open = worker_open,
                                   .worker_close = worker_close,
                                   .body_max = body_max,
                                   .serve = serve,
                                   .ctx = v};

    return httpd_start(&c, &v->httpd, e);
}

int vitals_start(const struct vitals_config *c, struct vitals **out, struct err *e)
{
    struct vitals *v;

    *out = NULL;
    if (c->listen->n == 0)
        return 0;
    if ((v = calloc(1, sizeof *v)) == NULL)
        panic("out of memory");
    v->config = *c;
    *out = v;
    if (read_listen(v, e) == 0 && start_httpd(v, e) == 0)
        return 0;
    vitals_stop(out);
    return -1;
}

void vitals_stop(struct vitals **vp)
{
    struct vitals *v = *vp;

    *vp = NULL;
    if (v != NULL)
        httpd_stop(&v->httpd);
    free(v);
}
