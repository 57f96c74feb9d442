/* portal/metrics.c - see metrics.h. */
#include "metrics.h"

#include <inttypes.h>

#include "base/clock.h"

#define NAME "postern_portal_"

/* The calls that end in a session, when they go well. */
static const struct {
    const char *path, *way;
} ways[] = {
    {"/api/v1/signin/link/use", "link"},
    {"/api/v1/signin/code", "code"},
    {"/api/v1/signin/password", "password"},
    {"/api/v1/handoffs/use", "sso"},
};
_Static_assert(COUNT(ways) <= METRICS_WAYS_MAX, "counters for each");
static const char *const outcomes[METRICS_OUTCOMES] = {"in", "refused", "failed"};

void metrics_count(struct portal_counts *c, struct span path, int status)
{
    if (status >= 100 && status < 600)
        atomic_fetch_add(&c->requests[status / 100 - 1], 1);
    for (size_t i = 0; i < COUNT(ways); i++)
        if (span_is(path, ways[i].path))
            atomic_fetch_add(&c->signins[i][status < 400   ? METRICS_IN
                                            : status < 500 ? METRICS_REFUSED
                                                           : METRICS_FAILED],
                             1);
}

static void head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_printf(out, "# HELP " NAME "%s %s\n# TYPE " NAME "%s %s\n", name, help, name, kind);
}

static void put_one(struct buf *out, const char *name, const char *kind, const char *help, double value)
{
    head(out, name, kind, help);
    buf_printf(out, NAME "%s %.17g\n", name, value);
}

static void put_requests(struct buf *out, const struct metrics_view *v)
{
    head(out, "requests_total", "counter", "Requests that were answered, by class of status.");
    for (int i = 0; i < METRICS_CLASSES; i++)
        buf_printf(out, NAME "requests_total{class=\"%dxx\"} %llu\n", i + 1, atomic_load(&v->counts->requests[i]));
    put_one(out, "refused_total", "counter", "Requests and connections that were refused before they became a call.",
            (double)v->httpd.refused);
    put_one(out, "connections", "gauge", "Connections that are open.", (double)v->httpd.connections);
    put_one(out, "streams", "gauge", "Of these, pages that are told of new mail as it comes.",
            (double)v->httpd.streams);
    put_one(out, "waiting", "gauge", "Requests that wait for a worker.", (double)v->httpd.waiting);
}

static void put_signins(struct buf *out, const struct portal_counts *c)
{
    head(out, "signins_total", "counter", "Tries to sign in, by way and outcome.");
    for (size_t i = 0; i < COUNT(ways); i++)
        for (size_t k = 0; k < METRICS_OUTCOMES; k++)
            buf_printf(out, NAME "signins_total{way=\"%s\",outcome=\"%s\"} %llu\n", ways[i].way, outcomes[k],
                       atomic_load(&c->signins[i][k]));
}

static void put_stored(struct buf *out, const struct metrics_view *v)
{
    double oldest = v->outbox.oldest_us == 0 ? 0 : (double)(v->now_us - v->outbox.oldest_us) / 1e6;

    head(out, "outbox", "gauge", "Mail of our own, by state.");
    buf_printf(out, NAME "outbox{state=\"waiting\"} %" PRId64 "\n" NAME "outbox{state=\"failed\"} %" PRId64 "\n",
               v->outbox.waiting, v->outbox.failed);
    put_one(out, "outbox_oldest_seconds", "gauge", "For how long the oldest of it has waited; 0: none waits.", oldest);
    put_one(out, "sessions", "gauge", "Sessions that hold.", (double)v->sessions);
}

void metrics_put(struct buf *out, const struct metrics_view *v)
{
    put_requests(out, v);
    put_signins(out, v->counts);
    if (v->store_up)
        put_stored(out, v);
    put_one(out, "database_up", "gauge", "1 while the database answers.", v->store_up);
    put_one(out, "start_time_seconds", "gauge", "When this process started.", (double)v->started_us / 1e6);
}
