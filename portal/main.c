/* portal/main.c - postern-portal: start, wait for signals, and stop in mirrored order.
 *
 * SIGTERM and SIGINT: take nobody new, finish what is under way, leave. SIGHUP: read the pages again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/program.h"
#include "call.h"
#include "challenge.h"
#include "jobs.h"
#include "sender.h"
#include "links.h"
#include "live.h"
#include "programs.h"
#include "signin.h"
#include "siteverify.h"
#include "mail/leaf.h"
#include "net/scanner.h"
#include "static.h"
#include "worker.h"

#define PROGRAM "postern-portal"
#define SMALL_BODY ((size_t)1 << 20)

/* What holds for every reply, pages and calls alike. Pages that need more say so themselves. The first is filled in at start. */
static struct httpd_field_value always[] = {
    {"Content-Security-Policy", NULL},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Permissions-Policy", "camera=(), microphone=(), geolocation=()"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

/* Nothing comes from elsewhere, but for the script and the frame of a challenge service, where one is set. */
static void make_policy(struct portal *p)
{
    const char *other = p->siteverify != NULL ? siteverify_origin(p->siteverify) : "";
    bool        any = other[0] != '\0';

    snprintf(p->policy, sizeof p->policy,
             "default-src 'self'; script-src 'self'%s%s; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
             "%s%s%sobject-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
             any ? " " : "", other, any ? "frame-src 'self' " : "", other, any ? "; " : "");
    always[0].value = p->policy;
}

/* ---- settings ---- */

/* scheme://host[:port] of [portal] public_url, and nothing behind it. */
static int read_origin(struct portal *p, struct err *e)
{
    struct span url = span_of(p->settings->portal.public_url);

    p->secure = span_starts_ci(url, SPAN("https://"));
    if (url.n > 0 && url.p[url.n - 1] == '/')
        url.n--;
    if ((!p->secure && !span_starts_ci(url, SPAN("http://"))) || url.n >= sizeof p->origin ||
        span_chr(span_skip(url, p->secure ? 8 : 7), '/') < span_skip(url, p->secure ? 8 : 7).n)
        return err_set(e, ERR_INVALID, "[portal] public_url is https://HOST or http://HOST[:PORT], not \"%s\"",
                       p->settings->portal.public_url);
    snprintf(p->origin, sizeof p->origin, "%.*s", SPAN_ARG(url));
    return 0;
}

#define BLOCKS_MAX COUNT(((struct portal *)0)->proxies)
_Static_assert(BLOCKS_MAX == COUNT(((struct portal *)0)->metrics_from), "one bound for both");

static int read_blocks(const struct conf_list *list, const char *key, struct ip_block *out, size_t *n, struct err *e)
{
    if (list->n > BLOCKS_MAX)
        return err_set(e, ERR_INVALID, "[portal] %s: at most %zu", key, BLOCKS_MAX);
    for (size_t i = 0; i < list->n; i++)
        if (ip_block_parse(span_of(list->items[i]), &out[(*n)++], e) < 0)
            return err_wrap(e, "[portal] %s", key);
    return 0;
}

static int check_nodes(const struct conf_list *nodes, struct err *e)
{
    struct endpoint at;
    struct span     query;

    if (nodes->n > PROGRAM_NODES_MAX)
        return err_set(e, ERR_INVALID, "[portal] rulesd_nodes: at most %d", PROGRAM_NODES_MAX);
    for (size_t i = 0; i < nodes->n; i++)
        if (endpoint_parse(nodes->items[i], &at, &query, e) < 0)
            return err_wrap(e, "[portal] rulesd_nodes");
    return 0;
}

static int read_networks(struct portal *p, struct err *e)
{
    const struct settings *s = p->settings;

    if (check_nodes(&s->portal.rulesd_nodes, e) < 0)
        return -1;
    return read_blocks(&s->portal.trusted_proxies, "trusted_proxies", p->proxies, &p->nproxies, e) < 0 ||
                   read_blocks(&s->portal.metrics_from, "metrics_from", p->metrics_from, &p->nmetrics_from, e) < 0
               ? -1
               : 0;
}

/* ---- what httpd calls ---- */

static size_t body_max(void *ctx, enum httpd_method method, struct span path)
{
    const struct portal *p = ctx;

    return call_body_is_large(method, path) ? (size_t)p->settings->rulesd.max_message + SMALL_BODY : SMALL_BODY;
}

static void serve(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out)
{
    (void)ctx;
    call_serve(worker, r, out);
}

static void served(void *ctx, enum httpd_method method, struct span path, int status, uint64_t bytes, int64_t us)
{
    struct portal  *p = ctx;
    struct span     token;
    struct log_line l;

    metrics_count(&p->counts, path, status);
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    log_begin(&l, LOG_LEVEL_DEBUG, "served");
    log_str(&l, "method", httpd_method_words[method]);
    log_span(&l, "path", links_is_path(path, &token) ? SPAN("/d/") : path); /* who has the token may press it */
    log_i64(&l, "status", status);
    log_i64(&l, "bytes", (int64_t)bytes);
    log_i64(&l, "us", us);
    log_end(&l);
}

/* ---- from start to end ---- */

static int start(struct portal *p, struct sender **sender, struct jobs **jobs, struct err *e)
{
    struct endpoint     at;
    struct span         query;
    struct httpd_config c = {.listen = &at,
                             .nlisten = 1,
                             .trusted = p->proxies,
                             .always = always,
                             .nalways = COUNT(always),
                             .worker_open = worker_open,
                             .worker_close = worker_close,
                             .body_max = body_max,
                             .serve = serve,
                             .served = served,
                             .ctx = p};

    if (read_origin(p, e) < 0 || read_networks(p, e) < 0)
        return -1;
    c.ntrusted = p->nproxies;
    if (endpoint_parse(p->settings->portal.listen, &at, &query, e) < 0)
        return err_wrap(e, "[portal] listen");
    challenge_init(p);
    signin_init(p);
    if (siteverify_open(p->settings, &p->siteverify, e) < 0)
        return -1;
    make_policy(p);
    p->links = links_open(p->settings->quarantine.keys);
    if (live_start(p, &p->live, e) < 0)
        return -1;
    if (pages_load(p->settings->portal.web, p->settings->portal.modules, &p->pages, e) < 0 ||
        scanner_new(&p->settings->rulesd.scanner, p->settings->rulesd.scanner_timeout_ms, &p->scanner, e) < 0 ||
        sender_start(p, sender, e) < 0 || jobs_start(p, jobs, e) < 0 || httpd_start(&c, &p->httpd, e) < 0)
        return -1;
    log_text(LOG_LEVEL_INFO, "listening at %s, for people at %s", at.text, p->origin);
    return 0;
}

static void stop(struct portal *p, struct sender **sender, struct jobs **jobs)
{
    httpd_stop(&p->httpd);
    jobs_stop(jobs);
    sender_stop(sender);
    live_stop(&p->live);
    links_close(&p->links);
    scanner_free(&p->scanner);
    pages_free(&p->pages);
    siteverify_close(&p->siteverify);
}

static void wait_for_the_end(struct portal *p)
{
    const struct settings *s = p->settings;
    sigset_t               set = program_signals();
    int                    got;

    while (sigwait(&set, &got) != 0 || got == SIGHUP) {
        struct err e = ERR_INIT;

        links_reload(p->links);
        if (pages_reload(p->pages, s->portal.web, s->portal.modules, &e) < 0)
            log_err(LOG_LEVEL_ERROR, "the pages stay as they were", &e);
        else
            log_text(LOG_LEVEL_INFO, "pages read again; what changed in the settings needs a restart");
    }
}

int main(int argc, char **argv)
{
    struct program_options o = program_options(PROGRAM, argc, argv);
    struct portal          p = {.started_us = clock_wall_us()};
    struct err             e = ERR_INIT;
    struct conf           *conf = NULL;
    struct sender         *sender = NULL;
    struct jobs           *jobs = NULL;
    sigset_t               set = program_signals();

    log_open(PROGRAM, LOG_TO_STDERR, LOG_LEVEL_INFO);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (conf_load(o.conf_path, !o.conf_given, &conf, &e) < 0)
        fatal(&e);
    p.settings = conf_settings(conf);
    mail_init();
    log_open(PROGRAM, (enum log_target)p.settings->log.target, (enum log_level)p.settings->log.level);
    if (start(&p, &sender, &jobs, &e) < 0)
        fatal(&e);
    wait_for_the_end(&p);
    stop(&p, &sender, &jobs);
    conf_free(&conf);
    log_text(LOG_LEVEL_INFO, "stopped");
    return EXIT_SUCCESS;
}
