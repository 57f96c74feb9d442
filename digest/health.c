/* digest/health.c - see health.h. */
#include "health.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/httpd.h"

#define LISTENERS_MAX 8
#define NAME "postern_digest_"

struct health {
    const struct settings      *settings;
    const struct digest_counts *counts;
    struct endpoint             at[LISTENERS_MAX];
    struct httpd               *httpd;
};

/* ---- what is told ---- */

static void put(struct buf *b, const char *name, const char *kind, const char *help, double value)
{
    buf_printf(b, "# HELP " NAME "%s %s\n# TYPE " NAME "%s %s\n" NAME "%s %.17g\n", name, help, name, kind, name,
               value);
}

static double total(const atomic_ullong *n) { return (double)atomic_load(n); }

static void put_counts(struct buf *b, const struct digest_counts *c)
{
    put(b, "begun_total", "counter", "Digests that were begun.", total(&c->round.begun));
    put(b, "nothing_total", "counter", "Hours that came with nothing new to tell.", total(&c->round.nothing));
    put(b, "skipped_total", "counter", "Hours of paused digests, and of those that are nobody's any more.",
        total(&c->round.skipped));
    put(b, "sent_total", "counter", "Digests that the mail server has taken.", total(&c->post.sent));
    put(b, "sent_bytes_total", "counter", "Their size.", total(&c->post.bytes));
    put(b, "later_total", "counter", "Tries that the mail server put off, or was away at.", total(&c->post.later));
    put(b, "failed_total", "counter", "Digests that the mail server has refused.", total(&c->post.failed));
}

static void put_metrics(struct health *h, struct store *s, struct buf *b)
{
    struct store_run_sums sums = {0};
    struct err            e = ERR_INIT;
    int64_t               now = clock_wall_us(), due = 0;
    bool                  up = store_run_sums(s, now, &sums, &e) == 0 && store_digest_next_due(s, &due, &e) == 0;

    put_counts(b, h->counts);
    put(b, "store_up", "gauge", "Whether the database answers.", up);
    if (!up) {
        log_err(LOG_LEVEL_WARNING, "metrics", &e);
        return;
    }
    put(b, "waiting", "gauge", "Digests that are begun and not sent.", (double)sums.waiting);
    put(b, "oldest_waiting_seconds", "gauge", "For how long the oldest of them has waited.",
        sums.oldest_us == 0 ? 0 : (double)(now - sums.oldest_us) / 1e6);
    put(b, "late_seconds", "gauge", "For how long the first that is due has been so.",
        due == 0 || due > now ? 0 : (double)(now - due) / 1e6);
}

static void answer(struct httpd_reply *out, int status, const char *type, const char *text)
{
    out->status = status;
    httpd_set(out, "Content-Type", span_of(type));
    httpd_set(out, "Cache-Control", SPAN("no-store"));
    buf_puts(&out->body, text);
}

static void serve(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out)
{
    struct store *s = worker;

    if (r->method != HTTPD_GET && r->method != HTTPD_HEAD) {
        httpd_set(out, "Allow", SPAN("GET, HEAD"));
        answer(out, 405, "text/plain; charset=utf-8", "only GET\n");
    } else if (span_is(r->path, "/healthz")) {
        bool up = store_ping(s, NULL) == 0;

        answer(out, up ? 200 : 503, "text/plain; charset=utf-8", up ? "ok\n" : "the database is away\n");
    } else if (span_is(r->path, "/metrics")) {
        answer(out, 200, "text/plain; version=0.0.4; charset=utf-8", "");
        put_metrics(ctx, s, &out->body);
    } else {
        answer(out, 404, "text/plain; charset=utf-8", "/healthz and /metrics are here\n");
    }
}

/* ---- start and stop ---- */

static int worker_open(void *ctx, size_t index, void **out, struct err *e)
{
    struct health *h = ctx;
    struct store  *s = NULL;
    int            rc = store_open(h->settings->store.url, STORE_EXISTING, &s, e);

    (void)index;
    *out = s;
    return rc;
}

static void worker_close(void *ctx, void *worker)
{
    struct store *s = worker;

    (void)ctx;
    store_close(&s);
}

static size_t body_max(void *ctx, enum httpd_method method, struct span path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return 0;
}

static int listen_all(struct health *h, struct err *e)
{
    const struct conf_list *list = &h->settings->digest.listen_http;
    struct httpd_config     c = {.listen = h->at,
                                 .nlisten = list->n,
                                 .io_threads = 1,
                                 .workers = 1,
                                 .connections_max = 64,
                                 .worker_open = worker_open,
                                 .worker_close = worker_close,
                                 .body_max = body_max,
                                 .serve = serve,
                                 .ctx = h};

    if (list->n > LISTENERS_MAX)
        return err_set(e, ERR_INVALID, "[digest] listen_http: at most %d", LISTENERS_MAX);
    for (size_t i = 0; i < list->n; i++) {
        struct span query;

        if (endpoint_parse(list->items[i], &h->at[i], &query, e) < 0)
            return err_wrap(e, "[digest] listen_http");
        if (query.n > 0)
            return err_set(e, ERR_INVALID, "[digest] listen_http: there are no settings behind %s", h->at[i].text);
    }
    return httpd_start(&c, &h->httpd, e);
}

int health_start(const struct settings *settings, const struct digest_counts *counts, struct health **out,
                 struct err *e)
{
    struct health *h;

    *out = NULL;
    if (settings->digest.listen_http.n == 0)
        return 0;
    if ((h = calloc(1, sizeof *h)) == NULL)
        panic("out of memory");
    h->settings = settings;
    h->counts = counts;
    *out = h;
    if (listen_all(h, e) == 0)
        return 0;
    health_stop(out);
    return -1;
}

void health_stop(struct health **hp)
{
    struct health *h = *hp;

    *hp = NULL;
    if (h == NULL)
        return;
    httpd_stop(&h->httpd);
    free(h);
}
