/* rulesd/main.c - postern-rulesd: start, wait for signals, and stop in mirrored order.
 *
 * SIGTERM and SIGINT: accept nobody any more, finish what is under way (at most 10 s), leave. A second one: leave now.
 * SIGHUP: read the settings again; what callers are trusted for and the log level hold at once, others are named. The keys of held
 * mail, too. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "endpoints.h"
#include "follower.h"
#include "lookup.h"
#include "loop.h"
#include "mail/leaf.h"
#include "report.h"
#include "retention.h"

#define PROGRAM "postern-rulesd"
#define DRAIN_SECONDS 10
#define LOOPS_MAX 8             /* unless asked for more */
#define FILES_FOR_OURSELVES 256 /* descriptors that connections must not take */
#define QUEUE_MAX 1024
#define BUFFERED_MIN ((size_t)512 << 20)

/* ---- the server ---- */

/* The processors that we may run on, which a cpuset or taskset(1) may have made fewer. */
static size_t loops_wanted(const struct settings *s)
{
    cpu_set_t set;
    int       cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    if (s->rulesd.threads > 0)
        return (size_t)s->rulesd.threads;
    return cpus > LOOPS_MAX ? LOOPS_MAX : (size_t)cpus;
}

static long connections_wanted(const struct settings *s)
{
    struct rlimit files = {.rlim_cur = 1024};

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_NOFILE, &files);
    }
    long may = files.rlim_cur > 1000000 + FILES_FOR_OURSELVES ? 1000000 : (long)files.rlim_cur - FILES_FOR_OURSELVES;
    long want = s->rulesd.max_connections > 0 ? (long)s->rulesd.max_connections : may;
    return want > may && may > 0 ? may : want;
}

static void set_limits(struct server *sv, const struct settings *s)
{
    size_t body = (size_t)s->rulesd.max_message;

    sv->limits[CLASS_MTA] = (struct wire_limits){
        .body_max = body, .head_max = 1 << 20, .rcpt_max = 10000, .headers_max = 1000, .unpack_max = SCAN_LOOP_BYTES};
    sv->limits[CLASS_SCAN] = sv->limits[CLASS_MTA];
    sv->limits[CLASS_SCAN].head_max = 80 << 10;
    sv->in_max = body + (1 << 20) + (128 << 10);
    sv->buffered_max = 8 * body > BUFFERED_MIN ? 8 * body : BUFFERED_MIN;
    sv->connections_max = connections_wanted(s);
    sv->head_us = s->rulesd.head_timeout_s * 1000000;
    sv->body_us = s->rulesd.body_timeout_s * 1000000;
    sv->idle_us = s->rulesd.idle_timeout_s * 1000000;
    sv->started_us = clock_wall_us();
    if (gethostname(sv->host, sizeof sv->host - 1) != 0 || sv->host[0] == '\0')
        snprintf(sv->host, sizeof sv->host, "localhost");
}

static int start_tools(struct scan_tools *t, const struct settings *s, struct err *e)
{
    const struct cache_limits limits = {200000, 50000, (size_t)1 << 30};

    t->settings = s;
    if (!brand_prefix_good(span_of(s->rules.prefix)))
        return err_set(e, ERR_INVALID, "[rules] prefix: %.40s is no word in capitals, like ACME", s->rules.prefix);
    if (cache_new(s, &limits, &t->cache, e) < 0 || hits_new(s, &t->hits, e) < 0 ||
        greylist_new(s, GREYLIST_DELAY_US, &t->greylist, e) < 0 ||
        scanner_new(&s->rulesd.scanner, s->rulesd.scanner_timeout_ms, &t->scanner, e) < 0)
        return -1;
    if (sending_new(s, &t->sending, e) < 0 || bypasses_new(s, &t->bypasses, e) < 0)
        return -1;
    if (s->rulesd.message_log &&
        (journal_new(s, &t->journal, e) < 0 || custody_new(s, t->journal, &t->custody, e) < 0 ||
         copies_new(s, t->custody, t->journal, &t->copies, e) < 0))
        return -1;
    t->allowance = allowance_new();
    t->limited = limited_rules_new();
    t->repeats = repeats_new();
    return 0;
}

static int start_loops(struct server *sv, size_t n, struct trust *trust, struct err *e)
{
    if ((sv->loops = calloc(n, sizeof *sv->loops)) == NULL)
        panic("out of memory");
    for (size_t i = 0; i < n; i++)
        if (loop_new(sv, i, trust, &sv->loops[i], e) < 0)
            return -1;
    sv->nloops = n;
    for (size_t i = 0; i < n; i++)
        if (loop_start(sv->loops[i], e) < 0)
            return -1;
    return 0;
}

static void say_listening(const struct server *sv)
{
    for (const struct listener *l = sv->listeners; l < sv->listeners + sv->nlisteners; l++) {
        struct log_line line;

        log_begin(&line, LOG_LEVEL_INFO, "listening");
        log_str(&line, "address", l->at.text);
        log_str(&line, "protocol", l->kind == WIRE_HTTP ? "http" : "spamd");
        log_str(&line, "class", l->most == CLASS_MTA ? "by caller" : "scan");
        log_str(&line, "phase", l->post ? "post" : "pre");
        log_str(&line, "mode", atomic_load(&l->observe) ? "observe" : "live");
        log_end(&line);
    }
}

/* ---- signals ---- */

static sigset_t signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static bool same_list(const struct conf_list *a, const struct conf_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_setting(const struct conf_row *row, const struct settings *sa, const struct settings *sb)
{
    const char *a = (const char *)sa + row->offset, *b = (const char *)sb + row->offset;

    switch (row->type) {
    case CONF_TEXT: return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
    case CONF_LIST: return same_list((const struct conf_list *)a, (const struct conf_list *)b);
    case CONF_INT:
    case CONF_SIZE: return *(const int64_t *)a == *(const int64_t *)b;
    case CONF_BOOL: return *(const bool *)a == *(const bool *)b;
    case CONF_ENUM: return *(const int *)a == *(const int *)b;
    }
    return true;
}

/* Settings that hold from a SIGHUP on. */
static bool is_live(const struct conf_row *row)
{
    static const char *const live[] = {
        "rulesd.password",   "rulesd.mta_from", "rulesd.mta_users", "rulesd.trusted_relays",
        "rules.authserv_id", "log.level",       "rulesd.mode"};
    char name[64];

    snprintf(name, sizeof name, "%s.%s", row->section, row->key);
    for (size_t i = 0; i < COUNT(live); i++)
        if (strcmp(name, live[i]) == 0)
            return true;
    return false;
}

static void name_others(const struct settings *was, const struct settings *now)
{
    static const char *const ours[] = {"store", "redis", "rulesd", "lookup", "rules", "trainer", "log"};

    for (const struct conf_row *row = conf_rows; row < conf_rows + conf_nrows; row++) {
        bool mine = false;

        for (size_t i = 0; i < COUNT(ours); i++)
            mine |= strcmp(row->section, ours[i]) == 0;
        if (mine && row->offset != CONF_OTHER && !is_live(row) && !same_setting(row, was, now))
            log_text(LOG_LEVEL_WARNING, "[%s] %s has changed: that needs a restart", row->section, row->key);
    }
}

/* On an error everything stays as it was. */
static void reload(struct server *sv, const struct program_options *o, const struct settings *was)
{
    struct err    e = ERR_INIT;
    struct conf  *conf = NULL;
    struct trust *trust = NULL;

    if (conf_load(o->conf_path, !o->conf_given, &conf, &e) < 0 || trust_new(conf_settings(conf), &trust, &e) < 0) {
        log_err(LOG_LEVEL_ERROR, "settings not read again", &e);
        conf_free(&conf);
        return;
    }
    const struct settings *now = conf_settings(conf);
    log_set_least((enum log_level)now->log.level);
    listeners_modes(now, sv->listeners, sv->nlisteners);
    for (size_t i = 0; i < sv->nloops; i++)
        loop_trust(sv->loops[i], trust);
    name_others(was, now);
    log_text(LOG_LEVEL_INFO, "settings read again");
    trust_drop(&trust);
    conf_free(&conf);
}

/* Keys that were not there at the start are looked for once a second. True: all are there. */
static bool look_for_keys(struct server *sv)
{
    struct custody *c = sv->tools.custody;

    if (c != NULL && !custody_is_open(c))
        custody_keys_again(c, false);
    return bypasses_keys_again(sv->tools.bypasses) && (c == NULL || custody_is_open(c));
}

static int next_signal(struct server *sv, const sigset_t *set)
{
    const struct timespec second = {.tv_sec = 1};
    int                   got = -1;

    while (got < 0 && !look_for_keys(sv))
        got = sigtimedwait(set, NULL, &second);
    return got < 0 ? sigwaitinfo(set, NULL) : got;
}

static void wait_for_end(struct server *sv, const struct program_options *o, const struct settings *s)
{
    sigset_t set = signals();

    for (;;) {
        int got = next_signal(sv, &set);

        if (got == SIGHUP) {
            reload(sv, o, s);
            if (sv->tools.custody != NULL)
                custody_keys_again(sv->tools.custody, true);
        }
        if (got == SIGTERM || got == SIGINT)
            return;
    }
}

static void wake_loops(struct server *sv)
{
    for (size_t i = 0; i < sv->nloops; i++)
        loop_wake(sv->loops[i]);
}

static bool all_gone(struct server *sv)
{
    return atomic_load(&sv->closed) == sv->nloops && atomic_load(&sv->connections) == 0;
}

/* Loops end by themselves when their last connection has gone; after the time allowed, or a second signal, at once. */
static void drain(struct server *sv)
{
    sigset_t        set = signals();
    struct timespec tick = {.tv_nsec = 20000000};
    int64_t         until = clock_mono_us() + DRAIN_SECONDS * INT64_C(1000000);

    log_text(LOG_LEVEL_INFO, "stopping: finishing what is under way");
    atomic_store(&sv->draining, true);
    wake_loops(sv);
    while (!all_gone(sv) && clock_mono_us() < until) {
        int got = sigtimedwait(&set, NULL, &tick);

        if (got == SIGTERM || got == SIGINT)
            break;
    }
    if (!all_gone(sv))
        log_text(LOG_LEVEL_WARNING, "stopping: %ld connections are cut", atomic_load(&sv->connections));
    atomic_store(&sv->stopping, true);
    wake_loops(sv);
    for (size_t i = 0; i < sv->nloops; i++)
        loop_join(sv->loops[i]);
}

/* ---- start and stop ---- */

static int start(struct server *sv, const struct settings *s, struct trust *trust, struct err *e)
{
    size_t n = loops_wanted(s);

    set_limits(sv, s);
    if (start_tools(&sv->tools, s, e) < 0)
        return -1;
    sv->workers = workers_new(n, QUEUE_MAX);
    if (reports_new(s, sv->tools.custody, sv->tools.journal, &sv->reports, e) < 0)
        return -1;
    if (s->trainer.backend.n > 0 && !reports_are_taken(sv->reports))
        log_text(LOG_LEVEL_WARNING, "reports are not taken: nothing can be held here");
    if (lookup_new(s, &sv->lookup, e) < 0 || endpoints_new(s, sv->tools.cache, &sv->endpoints, e) < 0 ||
        listeners_open(s, n, &sv->listeners, &sv->nlisteners, e) < 0)
        return -1;
    if (s->rulesd.message_log &&
        (follower_new(s, &sv->follower, e) < 0 || retention_new(s, &RETENTION_CLOCK, &sv->retention, e) < 0))
        return -1;
    return start_loops(sv, n, trust, e);
}

/* Who may still post to a loop ends before the loops are freed, and lets go of the cache before that ends. */
static void stop(struct server *sv)
{
    listeners_close(sv->listeners, sv->nlisteners);
    follower_free(&sv->follower);
    retention_free(&sv->retention);
    workers_free(&sv->workers);
    scanner_free(&sv->tools.scanner);
    copies_free(&sv->tools.copies);
    custody_free(&sv->tools.custody);
    bypasses_free(&sv->tools.bypasses);
    endpoints_stop(sv->endpoints);
    reports_stop(sv->reports);
    for (size_t i = 0; i < sv->nloops; i++)
        loop_let_go(sv->loops[i]);
    cache_free(&sv->tools.cache);
    for (size_t i = 0; i < sv->nloops; i++)
        loop_free(&sv->loops[i]);
    free(sv->loops);
    endpoints_free(&sv->endpoints);
    reports_free(&sv->reports);
    listeners_free(&sv->listeners, sv->nlisteners);
    greylist_free(&sv->tools.greylist);
    sending_free(&sv->tools.sending);
    journal_free(&sv->tools.journal);
    hits_free(&sv->tools.hits);
    lookup_free(&sv->lookup);
    limited_rules_free(&sv->tools.limited);
    repeats_free(&sv->tools.repeats);
    allowance_free(&sv->tools.allowance);
}

int main(int argc, char **argv)
{
    struct program_options o = program_options(PROGRAM, argc, argv);
    struct err             e = ERR_INIT;
    static struct server   sv;
    struct conf           *conf;
    struct trust          *trust;
    sigset_t               set = signals();

    log_open(PROGRAM, LOG_TO_STDERR, LOG_LEVEL_INFO);
    if (conf_load(o.conf_path, !o.conf_given, &conf, &e) < 0)
        fatal(&e);
    const struct settings *s = conf_settings(conf);
    log_open(PROGRAM, (enum log_target)s->log.target, (enum log_level)s->log.level);

    pthread_sigmask(SIG_BLOCK, &set, NULL); /* threads inherit it: signals come to sigwaitinfo() alone */
    signal(SIGPIPE, SIG_IGN);
    mail_init();
    if (trust_new(s, &trust, &e) < 0 || start(&sv, s, trust, &e) < 0)
        fatal(&e);
    say_listening(&sv);
    wait_for_end(&sv, &o, s);
    drain(&sv);
    stop(&sv);
    trust_drop(&trust);
    conf_free(&conf);
    log_text(LOG_LEVEL_INFO, "stopped");
    return EXIT_SUCCESS;
}
