/* cli/doctor_peers.c - what the other programs say: rulesd, the scanner, the mail server. */
#include <fcntl.h>
#include <ifaddrs.h>
#include <math.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/fd.h"
#include "custody/report_mail.h"
#include "doctor.h"
#include "mail/address.h"
#include "net/endpoint.h"
#include "net/prometheus.h"
#include "net/smtp_client.h"
#include "scan/wait.h"
#include "store/address.h"

#define PATIENCE_S 5
#define ANSWER_MAX ((size_t)1 << 20)
#define OUTPUT_MAX ((size_t)4 << 20)
#define SCANS_ENOUGH 20 /* to say that something never happens */

static bool has(struct span text, struct span word) { return span_find(text, word) < text.n; }

/* ---- one question over a socket ---- */

static int connect_to(const struct sockaddr *addr, socklen_t len, const char *text, struct err *e)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int                  fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 && connect(fd, addr, len) == 0)
        return fd;
    err_errno(e, "%s", text);
    fd_close(&fd);
    return -1;
}

int doctor_connect(const char *text, struct err *e)
{
    struct endpoint at;
    struct span     query;

    return endpoint_parse(text, &at, &query, e) < 0 ? -1
                                                    : connect_to((struct sockaddr *)&at.addr, at.addr_len, at.text, e);
}

/* All that comes back until they close. */
static int ask(const char *where, struct span question, struct buf *answer, struct err *e)
{
    int     fd = doctor_connect(where, e);
    ssize_t n = 1;

    if (fd < 0)
        return -1;
    if (fd_write_all(fd, question, e) < 0) {
        fd_close(&fd);
        return -1;
    }
    while (n > 0) {
        char *room = buf_reserve(answer, 4096);

        if (room == NULL)
            break;
        n = read(fd, room, 4096);
        answer->n += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        err_errno(e, "%s", where);
    fd_close(&fd);
    return n < 0 ? -1 : 0;
}

static int http_get(const char *where, const char *path, struct buf *answer, struct err *e)
{
    char question[200];

    snprintf(question, sizeof question, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    if (ask(where, span_of(question), answer, e) < 0)
        return -1;
    if (!span_starts(buf_span(answer), SPAN("HTTP/1.1 200")))
        return err_set(e, ERR_PROTOCOL, "%s says to %s: %.*s", where, path, (int)span_chr(buf_span(answer), '\r'),
                       answer->p);
    return 0;
}

/* ---- rulesd ---- */

static void look_at_metrics(struct doctor *d, const char *where)
{
    struct buf answer;
    struct err e = ERR_INIT;
    double     scans, recipients;

    buf_init(&answer, ANSWER_MAX);
    if (http_get(where, "/metrics", &answer, &e) < 0) {
        doctor_find(d, FINDING_WRONG, "see rulesd's log", "%s", e.text);
    } else {
        prometheus_sum(buf_span(&answer), "postern_rulesd_scan_seconds_count", &scans);
        prometheus_sum(buf_span(&answer), "postern_rulesd_recipients_total", &recipients);
        if (scans >= SCANS_ENOUGH && recipients <= 0)
            doctor_find(
                d, FINDING_WRONG, "the caller has to state the envelope: see the lines for your mail server in docs/",
                "%.0f messages came since its start, none with a recipient: no rule but global ones can match", scans);
        else
            doctor_find(d, FINDING_OK, NULL, "%.0f messages for %.0f recipients since its start", scans, recipients);
    }
    buf_fini(&answer);
}

static bool look_at_listener(struct doctor *d, const char *where, bool http)
{
    struct buf answer;
    struct err e = ERR_INIT;
    bool       well;

    buf_init(&answer, ANSWER_MAX);
    well = http ? http_get(where, "/healthz", &answer, &e) == 0
                : ask(where, SPAN("PING SPAMC/1.2\r\n\r\n"), &answer, &e) == 0;
    if (well && !http && !has(buf_span(&answer), SPAN("PONG"))) {
        well = false;
        err_set(&e, ERR_PROTOCOL, "%s is not rulesd: it does not know PING", where);
    }
    if (well)
        doctor_find(d, FINDING_OK, NULL, "answers at %s", where);
    else
        doctor_find(d, FINDING_WRONG, "start postern-rulesd; its log says why it did not start", "does not answer: %s",
                    e.text);
    buf_fini(&answer);
    return well;
}

void doctor_rulesd(struct doctor *d)
{
    const struct settings *s = d->c->settings;
    const char            *metrics_at = NULL;

    for (size_t i = 0; i < s->rulesd.listen_http.n; i++)
        if (look_at_listener(d, s->rulesd.listen_http.items[i], true) && metrics_at == NULL)
            metrics_at = s->rulesd.listen_http.items[i];
    for (size_t i = 0; i < s->rulesd.listen_spamd.n; i++)
        look_at_listener(d, s->rulesd.listen_spamd.items[i], false);
    if (metrics_at != NULL)
        look_at_metrics(d, metrics_at);
}

/* ---- whose word counts ---- */

static bool some_user_exists(const struct conf_list *users)
{
    for (size_t i = 0; i < users->n; i++)
        if (getpwnam(users->items[i]) != NULL)
            return true;
    return false;
}

/* May a caller there be class mta? */
static bool trusts_somebody(struct doctor *d, const char *where)
{
    const struct settings *s = d->c->settings;

    if (has(span_of(where), SPAN("class=scan")))
        return false;
    if (span_starts(span_of(where), SPAN("unix:")))
        return some_user_exists(&s->rulesd.mta_users);
    return s->rulesd.password[0] != 0 || s->rulesd.mta_from.n > 0;
}

void doctor_trust(struct doctor *d)
{
    const struct settings  *s = d->c->settings;
    const struct conf_list *lists[] = {&s->rulesd.listen_http, &s->rulesd.listen_spamd};
    size_t                  trusted = 0;

    for (size_t k = 0; k < COUNT(lists); k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            trusted += trusts_somebody(d, lists[k]->items[i]);
    if (trusted == 0)
        doctor_find(d, FINDING_WRONG,
                    "let your mail server come by a Unix socket as one of [rulesd] mta_users, or with the password; "
                    "see docs/trust.md",
                    "nobody's word on envelope and client counts: nothing is held, counted, greylisted or logged");
    else
        doctor_find(d, FINDING_OK, NULL, "the word of mail servers counts at %zu of %zu addresses", trusted,
                    lists[0]->n + lists[1]->n);
    for (size_t i = 0; i < s->rulesd.mta_from.n; i++)
        if (span_starts(span_of(s->rulesd.mta_from.items[i]), SPAN("127.")) && s->rulesd.password[0] == 0)
            doctor_find(d, FINDING_NOTE, "use a Unix socket or a password instead of [rulesd] mta_from",
                        "every program on this machine is believed like "
                        "a mail server");
}

/* ---- the scanner ---- */

void doctor_scanner(struct doctor *d)
{
    static const char message[] =
        "From: Postern <postern@localhost>\r\nSubject: Is anybody there?\r\nMessage-ID: <doctor@postern.invalid>\r\n"
        "Date: Sat, 21 Nov 2026 22:00:00 +0000\r\n\r\nA test of the scanner.\r\n";
    const struct settings *s = d->c->settings;
    struct scanner        *scanner = NULL;
    struct scanner_ask     question = {
            .message = span_of(message), .from = SPAN("postern@localhost"), .arena = &d->c->arena};
    struct err e = ERR_INIT;

    if (s->rulesd.scanner.n == 0) {
        doctor_find(d, FINDING_NOTE, "set [rulesd] scanner to the Rspamd or spamd that you have",
                    "there is none: the rules alone decide");
        return;
    }
    if (scanner_new(&s->rulesd.scanner, s->rulesd.scanner_timeout_ms, &scanner, &e) < 0 ||
        scan_wait(scanner, &question, &e) < 0)
        doctor_find(d, FINDING_WRONG,
                    s->rulesd.scanner_down == SCANNER_DOWN_DEFER
                        ? "start it, or see [rulesd] scanner: until then senders are asked to try again"
                        : "start it, or see [rulesd] scanner: until then the rules alone decide",
                    "%s", e.text);
    else
        doctor_find(d, FINDING_OK, NULL, "%s answers (%lld ms, score %.1f)", question.answer.by,
                    (long long)question.answer.took_us / 1000, question.answer.reply.score);
    scanner_free(&scanner);
}

/* ---- timeouts ---- */

/* What a program prints, within 20 seconds; false: it is not here, or did not get far. */
static bool output_of(const char *const argv[], struct buf *out)
{
    posix_spawn_file_actions_t actions;
    int                        pipes[2], status = -1;
    char                       part[4096];
    ssize_t                    n;
    pid_t                      child;
    bool                       started;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    started = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    fd_close(&pipes[1]);
    while (started && (n = read(pipes[0], part, sizeof part)) > 0)
        buf_put(out, span_make(part, (size_t)n));
    fd_close(&pipes[0]);
    return started && waitpid(child, &status, 0) == child && status == 0 && !out->failed;
}

struct timeouts {
    double task_s, proxy_s, milter_s; /* NAN: not known */
};

/* rspamadm prints objects one behind the other. */
static void read_rspamd(struct timeouts *t)
{
    static const char *const argv[] = {"timeout", "20", "rspamadm", "configdump", "-j", "worker", "options", NULL};
    struct buf               out;
    const char              *at, *end;
    cJSON                   *object;

    buf_init(&out, OUTPUT_MAX);
    if (output_of(argv, &out)) {
        for (at = out.p; at != NULL && (object = cJSON_ParseWithOpts(at, &end, 0)) != NULL; at = end) {
            const cJSON *proxy = cJSON_GetObjectItemCaseSensitive(object, "rspamd_proxy");
            const cJSON *task = cJSON_GetObjectItemCaseSensitive(object, "task_timeout");
            const cJSON *timeout = cJSON_GetObjectItemCaseSensitive(proxy, "timeout");

            t->task_s = cJSON_IsNumber(task) ? task->valuedouble : t->task_s;
            t->proxy_s = cJSON_IsNumber(timeout) ? timeout->valuedouble : t->proxy_s;
            cJSON_Delete(object);
        }
    }
    buf_fini(&out);
}

/* "30s", "1m", "300" */
static double postfix_time(const char *text)
{
    char  *unit;
    double n = strtod(text, &unit);

    return unit == text ? NAN : n * (*unit == 'm' ? 60 : *unit == 'h' ? 3600 : *unit == 'd' ? 86400 : 1);
}

static void read_postfix(struct timeouts *t)
{
    static const char *const argv[] = {"timeout", "20", "postconf", "-h", "milter_content_timeout", NULL};
    struct buf               out;

    buf_init(&out, OUTPUT_MAX);
    if (output_of(argv, &out) && out.n > 0)
        t->milter_s = postfix_time(out.p);
    buf_fini(&out);
}

static void nests(struct doctor *d, const char *inner, double inner_s, const char *outer, double outer_s,
                  const char *cure)
{
    if (isnan(inner_s) || isnan(outer_s))
        return;
    if (inner_s < outer_s)
        doctor_find(d, FINDING_OK, NULL, "%s (%g s) ends before %s (%g s)", inner, inner_s, outer, outer_s);
    else
        doctor_find(d, FINDING_WRONG, cure,
                    "%s (%g s) does not end before %s (%g s): its answer comes when nobody waits", inner, inner_s,
                    outer, outer_s);
}

void doctor_timeouts(struct doctor *d)
{
    const struct settings *s = d->c->settings;
    struct timeouts        t = {NAN, NAN, NAN};
    double                 ours_s = (double)s->rulesd.scanner_timeout_ms / 1000;
    bool rspamd = s->rulesd.scanner.n > 0 && span_starts(span_of(s->rulesd.scanner.items[0]), SPAN("rspamd"));

    if (s->rulesd.scanner.n == 0)
        return;
    read_rspamd(&t);
    read_postfix(&t);
    if (rspamd)
        nests(d, "Rspamd's scan", t.task_s, "scanner_timeout_ms", ours_s,
              "lower task_timeout in /etc/rspamd/local.d/options.inc");
    nests(d, "scanner_timeout_ms", ours_s, "Rspamd's proxy", t.proxy_s,
          "raise timeout in /etc/rspamd/local.d/worker-proxy.inc");
    nests(d, "Rspamd's proxy", t.proxy_s, "milter_content_timeout", t.milter_s,
          "raise milter_content_timeout in Postfix's main.cf");
    if (isnan(t.task_s) && isnan(t.proxy_s) && isnan(t.milter_s))
        doctor_find(d, FINDING_NOTE, "see that whoever asks rulesd waits longer than [rulesd] scanner_timeout_ms",
                    "neither Rspamd nor Postfix is on this machine: theirs are not known");
}

/* ---- the way back in ---- */

/* "smtp://USER@HOST:PORT": where strangers would have to get to. */
static bool host_and_port(const char *url, char host[256], char port[16])
{
    struct span rest = span_of(url), authority;
    size_t      scheme = span_find(rest, SPAN("://")), at;

    if (scheme == rest.n)
        return false;
    rest = span_skip(rest, scheme + 3);
    authority = span_head(rest, span_chr(rest, '/'));
    at = span_rchr(authority, '@');
    authority = at < authority.n ? span_skip(authority, at + 1) : authority;
    at = span_rchr(authority, ':');
    if (at == authority.n)
        return false;
    snprintf(host, 256, "%.*s", SPAN_ARG(span_head(authority, at)));
    snprintf(port, 16, "%.*s", SPAN_ARG(span_skip(authority, at + 1)));
    return true;
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

/* The first of this machine's own addresses, other than loopback, that the port answers at. */
static bool reached_from_outside(const char *port, char text[64])
{
    struct ifaddrs *all = NULL;
    bool            open = false;

    if (getifaddrs(&all) < 0)
        return false;
    for (const struct ifaddrs *i = all; i != NULL && !open; i = i->ifa_next) {
        union {
            struct sockaddr     any;
            struct sockaddr_in  v4;
            struct sockaddr_in6 v6;
        } to;
        size_t len;
        int    fd;

        if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6) ||
            is_loopback(i->ifa_addr))
            continue;
        len = i->ifa_addr->sa_family == AF_INET ? sizeof to.v4 : sizeof to.v6;
        memcpy(&to, i->ifa_addr, len);
        *(i->ifa_addr->sa_family == AF_INET ? &to.v4.sin_port
                                            : &to.v6.sin6_port) = htons((uint16_t)strtoul(port, NULL, 10));
        fd = connect_to(&to.any, (socklen_t)len, port, NULL);
        open = fd >= 0;
        fd_close(&fd);
        if (open)
            snprintf(text, 64, "%s", i->ifa_name);
    }
    freeifaddrs(all);
    return open;
}

static void look_at_strangers(struct doctor *d, const char *url)
{
    char host[256], port[16], interface[64];

    if (!host_and_port(url, host, port))
        return;
    if (strncmp(host, "127.", 4) != 0 && strcmp(host, "localhost") != 0 && strcmp(host, "[::1]") != 0)
        doctor_find(d, FINDING_NOTE, "see there that only this machine may reach it",
                    "%s is another machine: whether strangers reach its port %s cannot be "
                    "seen from here",
                    host, port);
    else if (reached_from_outside(port, interface))
        doctor_find(d, FINDING_WRONG,
                    "bind it to 127.0.0.1 (docs/rspamd-proxy.md, master.cf): what comes in there is not filtered",
                    "port %s can be reached through %s, not from this machine alone", port, interface);
    else
        doctor_find(d, FINDING_OK, NULL, "port %s is closed to strangers", port);
}

void doctor_release(struct doctor *d)
{
    const char         *url = d->c->settings->delivery.url;
    struct smtp_how     how = {.connect_ms = PATIENCE_S * 1000, .reply_ms = PATIENCE_S * 1000};
    struct smtp_client *client = NULL;
    struct err          e = ERR_INIT;
    bool                routed = false;

    if (url[0] == 0) {
        if (cli_store(d->c, &e) == 0)
            (void)store_domain_routed(d->c->store, &routed, &e);
        doctor_find(d, FINDING_NOTE, "set [delivery] url to a listener of your mail server without filters",
                    routed ? "held mail can be released to domains with a route of their own, and to no other"
                           : "held mail cannot be released: there is no way back in");
        return;
    }
    if (smtp_client_open(url, &how, &client, &e) < 0)
        doctor_find(d, FINDING_WRONG, "start that listener (docs/rspamd-proxy.md, master.cf), or see [delivery] url",
                    "%s", e.text);
    else
        doctor_find(d, FINDING_OK, NULL, "%s takes mail", url);
    smtp_client_close(&client);
    look_at_strangers(d, url);
}

/* ---- the trainer ---- */

/* Whole addresses only: a local part is meant at every domain of ours. */
static void look_at_report_names(struct doctor *d, const char *key, const struct conf_list *names)
{
    struct store_resolved who = {.ours = false};
    struct address        to;
    struct err            e = ERR_INIT;

    for (size_t i = 0; i < names->n; i++) {
        struct span name = span_of(names->items[i]);

        if (span_chr(name, '@') == name.n || address_parse_path(name, &d->c->arena, &to, NULL) < 0)
            continue;
        if (cli_store(d->c, &e) < 0 || store_resolve(d->c->store, to.full, &who, &e) < 0) {
            doctor_find(d, FINDING_WRONG, "see the check of the database", "%s", e.text);
            return;
        }
        if (!who.ours)
            doctor_find(
                d, FINDING_WRONG,
                "name an address of a domain of ours, or add the domain: postern domain add; mail to it does not "
                "come here",
                "[trainer] %s names %s, which is of no active domain of ours", key, names->items[i]);
        else
            doctor_find(d, FINDING_OK, NULL, "%s is an address for reports", names->items[i]);
    }
}

static void look_at_reports_by_mail(struct doctor *d)
{
    const struct settings *s = d->c->settings;
    struct err             e = ERR_INIT;

    if (report_mail_check(s, &d->c->arena, &e) < 0)
        doctor_find(d, FINDING_WRONG, "see the settings: until then reports by mail wait in the mail queue", "%s",
                    e.text);
    look_at_report_names(d, "report_spam", &s->trainer.report_spam);
    look_at_report_names(d, "report_ham", &s->trainer.report_ham);
    if (s->trainer.listen_lmtp.n > 0 && s->trainer.report_spam.n == 0 && s->trainer.report_ham.n == 0)
        doctor_find(d, FINDING_WRONG, "set [trainer] report_spam and report_ham",
                    "[trainer] listen_lmtp waits for reports by mail, and no address is one for reports");
}

void doctor_trainer(struct doctor *d)
{
    const struct conf_list *backends = &d->c->settings->trainer.backend;

    if (backends->n == 0)
        doctor_find(d, FINDING_OK, NULL, "no filter is trained: [trainer] backend is none");
    for (size_t i = 0; i < backends->n; i++) {
        const char *text = backends->items[i];
        size_t      scheme = span_find(span_of(text), SPAN("://"));
        struct err  e = ERR_INIT;
        int         fd = doctor_connect(text[scheme] != 0 ? text + scheme + 3 : text, &e);

        if (fd < 0)
            doctor_find(d, FINDING_WRONG, "start it, or see [trainer] backend: until then reports wait", "%s", e.text);
        else
            doctor_find(d, FINDING_OK, NULL, "%s is there", text);
        fd_close(&fd);
    }
    look_at_reports_by_mail(d);
}

/* ---- the portal ---- */

void doctor_portal(struct doctor *d)
{
    const struct settings *s = d->c->settings;
    struct span            url = span_of(s->portal.public_url);
    bool       loopback = has(url, SPAN("://127.")) || has(url, SPAN("://localhost")) || has(url, SPAN("://[::1]"));
    struct buf answer;
    struct err e = ERR_INIT;

    if (!span_starts_ci(url, SPAN("https://")) && !loopback)
        doctor_find(d, FINDING_WRONG,
                    "put a web server with TLS in front of it, and set [portal] public_url (docs/portal.md)",
                    "people reach the portal at %s, without TLS", s->portal.public_url);
    buf_init(&answer, ANSWER_MAX);
    if (http_get(s->portal.listen, "/healthz", &answer, &e) < 0)
        doctor_find(d, FINDING_NOTE, "start postern-portal, if people are to use it", "the portal does not answer: %s",
                    e.text);
    else
        doctor_find(d, FINDING_OK, NULL, "the portal at %s is well", s->portal.listen);
    buf_fini(&answer);
}
