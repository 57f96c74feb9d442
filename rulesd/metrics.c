/* rulesd/metrics.c - see metrics.h. Names, kinds and help of everything that is told stand in tables. */
#include "metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "cache.h"
#include "copies.h"
#include "custody.h"
#include "follower.h"
#include "greylist.h"
#include "hits.h"
#include "lookup.h"
#include "net/scanner.h"
#include "rules/decide.h"
#include "rules/regex.h"
#include "sending.h"
#include "base/version.h"

static const char *const protocols[METRIC_PROTOCOLS] = {
    [METRIC_SPAMD] = "spamd", [METRIC_RSPAMC] = "rspamc", [METRIC_HTTP] = "http"};
static const char *const verbs[METRIC_VERBS] = {
    [METRIC_SCAN] = "scan", [METRIC_PING] = "ping", [METRIC_LEARN] = "learn",
    [METRIC_SKIP] = "skip", [METRIC_ASK] = "ask",   [METRIC_OTHER] = "other"};
static const char *const verdicts[METRIC_VERDICTS] = {
    [METRIC_PASS] = "pass",       [METRIC_TAG] = "tag", [METRIC_DEFER] = "defer",     [METRIC_REJECT] = "reject",
    [METRIC_DISCARD] = "discard", [METRIC_OK] = "ok",   [METRIC_REFUSED] = "refused", [METRIC_FAILED] = "failed"};
static const char *const rule_words[3] = {
    [VERDICT_NONE] = "none", [VERDICT_ALLOW] = "allow", [VERDICT_BLOCK] = "block"};

/* Upper bounds in microseconds; the last bucket has none. */
static const int64_t bounds[METRIC_BUCKETS] = {50,    100,   200,    500,    1000,   2000,    5000,    10000,
                                               20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000};

void metrics_request(struct metrics *m, enum metric_protocol p, enum metric_verb verb, enum metric_verdict verdict)
{
    metric_add(&m->requests[p][verb][verdict], 1);
}

void metrics_latency(struct metrics *m, int64_t us)
{
    size_t i = 0;

    while (i < METRIC_BUCKETS && us > bounds[i])
        i++;
    metric_add(&m->latency[i], 1);
    metric_add(&m->latency_us, us > 0 ? (unsigned long long)us : 0);
}

/* The counter at that place of each loop's metrics, added up. */
static unsigned long long sum(const struct metrics_view *v, size_t offset)
{
    unsigned long long total = 0;

    for (size_t i = 0; i < v->nloops; i++)
        total += atomic_load_explicit((const atomic_ullong *)((const char *)v->loops[i] + offset),
                                      memory_order_relaxed);
    return total;
}
#define SUM(v, field) sum(v, offsetof(struct metrics, field))

static long long sum_open(const struct metrics_view *v)
{
    long long total = 0;

    for (size_t i = 0; i < v->nloops; i++)
        total += atomic_load_explicit(&v->loops[i]->open, memory_order_relaxed);
    return total;
}

static size_t request_offset(size_t p, size_t verb, size_t verdict)
{
    return offsetof(struct metrics, requests) +
           ((p * METRIC_VERBS + verb) * METRIC_VERDICTS + verdict) * sizeof(atomic_ullong);
}

/* ---- Prometheus ---- */

static void head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_printf(out, "# HELP postern_rulesd_%s %s\n# TYPE postern_rulesd_%s %s\n", name, help, name, kind);
}

static void put_requests(struct buf *out, const struct metrics_view *v)
{
    head(out, "requests_total", "counter", "Requests answered, by protocol, kind and what came of them.");
    for (size_t p = 0; p < METRIC_PROTOCOLS; p++) {
        for (size_t verb = 0; verb < METRIC_VERBS; verb++) {
            for (size_t verdict = 0; verdict < METRIC_VERDICTS; verdict++) {
                unsigned long long n = sum(v, request_offset(p, verb, verdict));

                if (n > 0 || (verb == METRIC_SCAN && verdict < METRIC_OK))
                    buf_printf(out, "postern_rulesd_requests_total{protocol=\"%s\",verb=\"%s\",verdict=\"%s\"} %llu\n",
                               protocols[p], verbs[verb], verdicts[verdict], n);
            }
        }
    }
    head(out, "scans_by_rule_total", "counter", "Scans by what the rules said, before scores and thresholds.");
    for (size_t i = 0; i < COUNT(rule_words); i++)
        buf_printf(out, "postern_rulesd_scans_by_rule_total{rule=\"%s\"} %llu\n", rule_words[i],
                   sum(v, offsetof(struct metrics, by_rule) + i * sizeof(atomic_ullong)));
}

static void put_latency(struct buf *out, const struct metrics_view *v)
{
    unsigned long long total = 0;

    head(out, "scan_seconds", "histogram", "Time from the last byte of a message to its verdict.");
    for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
        total += sum(v, offsetof(struct metrics, latency) + i * sizeof(atomic_ullong));
        if (i < METRIC_BUCKETS)
            buf_printf(out, "postern_rulesd_scan_seconds_bucket{le=\"%g\"} %llu\n", (double)bounds[i] / 1e6, total);
    }
    buf_printf(out, "postern_rulesd_scan_seconds_bucket{le=\"+Inf\"} %llu\n", total);
    buf_printf(out, "postern_rulesd_scan_seconds_sum %.6f\n", (double)SUM(v, latency_us) / 1e6);
    buf_printf(out, "postern_rulesd_scan_seconds_count %llu\n", total);
}

struct limited_rules {
    pthread_mutex_t lock; /* guards all */
    size_t          n;
    struct {
        struct uuid        id;
        unsigned long long times;
    } rules[METRICS_LIMITED_MAX];
};

struct limited_rules *limited_rules_new(void)
{
    struct limited_rules *l = calloc(1, sizeof *l);

    if (l == NULL)
        panic("out of memory");
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void limited_rules_free(struct limited_rules **l)
{
    if (*l != NULL)
        pthread_mutex_destroy(&(*l)->lock);
    free(*l);
    *l = NULL;
}

void limited_rules_count(struct limited_rules *l, const struct uuid *rule)
{
    size_t i = 0;

    pthread_mutex_lock(&l->lock);
    while (i < l->n && uuid_cmp(&l->rules[i].id, rule) != 0)
        i++;
    if (i == l->n && i < METRICS_LIMITED_MAX)
        l->rules[l->n++].id = *rule;
    if (i < METRICS_LIMITED_MAX)
        l->rules[i].times++;
    pthread_mutex_unlock(&l->lock);
}

static void put_limited(struct buf *out, struct limited_rules *l)
{
    char id[9];

    head(out, "regex_limit_rule_total", "counter", "Messages on which a regex of this rule hit a limit.");
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        rule_short_id(&l->rules[i].id, id);
        buf_printf(out, "postern_rulesd_regex_limit_rule_total{rule=\"%s\"} %llu\n", id, l->rules[i].times);
    }
    pthread_mutex_unlock(&l->lock);
}

/* Everything that is one number. Filled once, told in both forms. */
struct number {
    const char *name, *kind, *help;
    double      value;
};
#define NUMBERS_MAX 120

static size_t loop_numbers(const struct metrics_view *v, struct number *to)
{
    const struct number all[] = {
        {"recipients_total", "counter", "Recipients judged.", (double)SUM(v, recipients)},
        {"message_bytes_total", "counter", "Bytes of messages judged.", (double)SUM(v, bytes_in)},
        {"connections_total", "counter", "Connections accepted.", (double)SUM(v, accepted)},
        {"connections_turned_away_total", "counter", "Connections closed at once: too many.",
         (double)SUM(v, turned_away)},
        {"connections_open", "gauge", "Connections now.", (double)sum_open(v)},
        {"timeouts_total", "counter", "Clients that were too slow.", (double)SUM(v, timeouts)},
        {"scans_on_worker_total", "counter", "Scans handed to a worker: large, or long to judge.",
         (double)SUM(v, on_worker)},
        {"scans_parked_total", "counter", "Scans that waited for rules to be read.", (double)SUM(v, parked)},
        {"scans_waiting", "gauge", "Scans in the workers' queue.", (double)v->waiting},
        {"buffered_bytes", "gauge", "Bytes of requests in memory.", (double)v->buffered},
        {"regex_limits_total", "counter", "Regexes that hit a limit: their condition was unknown.",
         (double)SUM(v, regex_limits)},
        {"regex_jit", "gauge", "1 when regexes are compiled to machine code.", regex_jit_on() ? 1 : 0},
        {"start_time_seconds", "gauge", "When this process started.", (double)v->started_us / 1e6},
    };

    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t cache_numbers(struct cache *c, struct number *to)
{
    struct cache_stats s;

    cache_stats(c, &s);
    const struct number all[] = {
        {"cache_hits_total", "counter", "Addresses found in the cache.", (double)s.hits},
        {"cache_misses_total", "counter", "Addresses that had to be looked up.", (double)s.misses},
        {"cache_loads_total", "counter", "Reads of the database for the cache.", (double)s.loads},
        {"cache_load_errors_total", "counter", "Such reads that failed.", (double)s.load_errors},
        {"cache_audiences", "gauge", "Addresses of ours in the cache.", (double)s.audiences},
        {"cache_strangers", "gauge", "Other addresses in the cache.", (double)s.strangers},
        {"cache_scopes", "gauge", "Compiled scopes.", (double)s.slots},
        {"cache_scope_bytes", "gauge", "Memory of compiled scopes.", (double)s.scope_bytes},
        {"changes_total", "counter", "Changes of rules seen.", (double)s.changes},
        {"compiles_total", "counter", "Scopes compiled.", (double)s.compiles},
        {"overlays_total", "counter", "Changes that became an overlay.", (double)s.overlays},
        {"merges_total", "counter", "Overlays merged.", (double)s.merges},
        {"compile_seconds_max", "gauge", "The longest compilation.", (double)s.compile_us_max / 1e6},
        {"change_feed_position", "gauge", "The last change seen.", (double)s.feed_seq},
        {"database_up", "gauge", "1 while the database answers.", s.stale_since_us == 0 ? 1 : 0},
        {"database_stale_seconds", "gauge", "For how long the last rules known have decided without it.",
         s.stale_since_us == 0 ? 0 : (double)(clock_mono_us() - s.stale_since_us) / 1e6},
        {"ready", "gauge", "1 when every rule that was asked for at the start is compiled.", cache_ready(c) ? 1 : 0},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t other_numbers(const struct metrics_view *v, struct number *to)
{
    struct greylist_stats g;

    greylist_stats(v->greylist, &g);
    const struct number all[] = {
        {"greylist_tuples", "gauge", "Senders asked to come again.", (double)g.tuples},
        {"greylist_pairs", "gauge", "Senders known to the greylist.", (double)g.pairs},
        {"greylist_deferred_total", "counter", "Deliveries asked to come again.", (double)g.deferred},
        {"greylist_passed_total", "counter", "Deliveries that came again, or were known.", (double)g.passed},
        {"hits_waiting", "gauge", "Hits of rules not yet written.", (double)hits_waiting(v->hits)},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t sending_numbers(struct sending *sending, struct number *to)
{
    struct sending_stats s = {0};

    if (sending == NULL)
        return 0;
    sending_stats(sending, &s);
    const struct number all[] = {
        {"sending_counted_total", "counter", "Messages of signed-in senders within their limits.", (double)s.counted},
        {"sending_deferred_total", "counter", "Messages of signed-in senders beyond a limit.", (double)s.deferred},
        {"sending_refused_total", "counter", "Messages of senders who may not send any more.", (double)s.refused},
        {"sending_senders", "gauge", "Senders and domains that are being counted.", (double)s.senders},
        {"sending_blocked", "gauge", "Senders who may not send.", (double)s.blocked},
        {"sending_waiting", "gauge", "Senders and domains whose sums are not written yet.", (double)s.waiting},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t lookup_numbers(struct lookup *lookup, struct number *to)
{
    struct lookup_stats s;

    if (lookup == NULL)
        return 0;
    lookup_stats(lookup, &s);
    const struct number all[] = {
        {"lookup_changes_total", "counter", "Changes that other programs' look-up files follow.", (double)s.changes},
        {"lookup_failures_total", "counter", "Times that those files could not be written.", (double)s.failures},
        {"lookup_up_to_date", "gauge", "1 while those files are as the database is.", s.stale ? 0 : 1},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t scanner_numbers(struct scanner *scanner, struct number *to)
{
    struct scanner_stats s = {0};

    if (scanner == NULL)
        return 0;
    scanner_stats(scanner, &s);
    const struct number all[] = {
        {"scanner_asked_total", "counter", "Messages that the scanner was asked about.", (double)s.asked},
        {"scanner_answered_total", "counter", "Answers of the scanner.", (double)s.answered},
        {"scanner_failed_total", "counter", "Messages that no scanner answered.", (double)s.failed},
        {"scanner_timeouts_total", "counter", "Of those, for want of time.", (double)s.timeouts},
        {"scanner_retried_total", "counter", "Messages that another scanner was asked about.", (double)s.retried},
        {"scanner_seconds_total", "counter", "Time until the answers came.", (double)s.us / 1e6},
        {"scanner_under_way", "gauge", "Messages with the scanner.", (double)s.under_way},
        {"scanner_well", "gauge", "Scanners that are not left alone for a failure.", (double)s.well},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t journal_numbers(struct journal *j, struct number *to)
{
    struct journal_stats s;

    if (j == NULL)
        return 0;
    journal_stats(j, &s);
    const struct number all[] = {
        {"log_records_total", "counter", "Messages written to the log.", (double)s.records},
        {"log_deliveries_total", "counter", "And their recipients.", (double)s.deliveries},
        {"log_commits_total", "counter", "Transactions of the log.", (double)s.commits},
        {"log_failures_total", "counter", "Transactions that failed, and were tried again.", (double)s.failures},
        {"log_commit_seconds_max", "gauge", "The longest transaction.", (double)s.commit_us_max / 1e6},
        {"log_waiting", "gauge", "Messages that wait to be written.", (double)s.waiting},
        {"log_waiting_bytes", "gauge", "Memory that they take.", (double)s.waiting_bytes},
        {"log_lag_seconds", "gauge", "How long the oldest has waited.",
         (double)journal_lag_us(j, clock_mono_us()) / 1e6},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t follower_numbers(struct follower *f, struct number *to)
{
    struct follower_stats s;

    if (f == NULL)
        return 0;
    follower_stats(f, &s);
    const struct number all[] = {
        {"maillog_lines_total", "counter", "Lines of the mail server's logs that were read.", (double)s.lines},
        {"maillog_events_total", "counter", "Of those, what said something of a message.", (double)s.timeline.events},
        {"maillog_joined_total", "counter", "Events of messages of ours.", (double)s.timeline.joined},
        {"maillog_unknown_total", "counter", "Events of messages that nobody asked us about.",
         (double)s.timeline.unknown},
        {"maillog_nobody_total", "counter", "Events of recipients that the message had not.",
         (double)s.timeline.nobody},
        {"maillog_attempts_total", "counter", "Attempts to deliver that were written.", (double)s.timeline.attempts},
        {"maillog_rotations_total", "counter", "Times that a log went on in another file.", (double)s.rotations},
        {"maillog_failures_total", "counter", "Times that a log was not read, or the database not written.",
         (double)s.failures},
        {"maillog_behind_bytes", "gauge", "What of the logs is not read yet.", (double)s.behind},
        {"maillog_waiting", "gauge", "Events whose message is not in the log yet.", (double)s.timeline.waiting},
        {"maillog_open", "gauge", "Queue ids that are remembered.", (double)s.timeline.open},
        {"maillog_files", "gauge", "Logs that are being read.", (double)s.files},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t custody_numbers(struct custody *c, struct number *to)
{
    struct custody_stats s;

    if (c == NULL || !custody_is_open(c))
        return 0;
    custody_stats(c, &s);
    const struct number all[] = {
        {"custody_kept_total", "counter", "Messages taken into custody.", (double)s.kept},
        {"custody_failed_total", "counter", "Messages that could not be: deferred.", (double)s.failed},
        {"custody_purged_total", "counter", "Messages past their time, deleted.", (double)s.purged},
        {"custody_uploaded_total", "counter", "Messages moved into the bucket.", (double)s.uploaded},
        {"custody_replayed_total", "counter", "Rows made again from what is held.", (double)s.replayed},
        {"custody_room_bytes", "gauge", "Free space beyond min_free.", (double)s.room},
        {"custody_waiting", "gauge", "Messages on their way to the disk.", (double)s.waiting},
        {"custody_purge_stopped", "gauge", "1 when the purge waits for somebody to look.", s.purge_stopped ? 1 : 0},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t copies_numbers(struct copies *c, struct number *to)
{
    struct copies_stats s;

    if (c == NULL)
        return 0;
    copies_stats(c, &s);
    const struct number all[] = {
        {"copies_kept_total", "counter", "Delivered messages that were copied, to learn from.", (double)s.kept},
        {"copies_left_out_total", "counter", "Those that were not, for want of room or time.", (double)s.left_out},
        {"copies_waiting", "gauge", "Copies on their way to the disk.", (double)s.waiting},
        {"copies_waiting_bytes", "gauge", "What they take in memory.", (double)s.waiting_bytes},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

/* For who looks at several nodes at once (docs/portal.md). */
static size_t machine_numbers(struct number *to)
{
    double load[3];
    long   processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (getloadavg(load, 3) != 3 || processors < 1)
        return 0;
    const struct number all[] = {
        {"machine_load1", "gauge", "Load of this machine, over a minute.", load[0]},
        {"machine_load5", "gauge", "Over five minutes.", load[1]},
        {"machine_load15", "gauge", "Over fifteen minutes.", load[2]},
        {"machine_processors", "gauge", "Its processors.", (double)processors},
    };
    memcpy(to, all, sizeof all);
    return COUNT(all);
}

static size_t all_numbers(const struct metrics_view *v, struct number to[NUMBERS_MAX])
{
    size_t n = loop_numbers(v, to);

    n += cache_numbers(v->cache, to + n);
    n += scanner_numbers(v->scanner, to + n);
    n += journal_numbers(v->journal, to + n);
    n += sending_numbers(v->sending, to + n);
    n += lookup_numbers(v->lookup, to + n);
    n += custody_numbers(v->custody, to + n);
    n += copies_numbers(v->copies, to + n);
    n += follower_numbers(v->follower, to + n);
    n += machine_numbers(to + n);
    return n + other_numbers(v, to + n);
}

void metrics_put_prometheus(struct buf *out, const struct metrics_view *v)
{
    struct number all[NUMBERS_MAX];
    size_t        n = all_numbers(v, all);

    put_requests(out, v);
    put_latency(out, v);
    for (size_t i = 0; i < n; i++) {
        head(out, all[i].name, all[i].kind, all[i].help);
        buf_printf(out, "postern_rulesd_%s %.17g\n", all[i].name, all[i].value);
    }
    put_limited(out, v->limited);
}

/* ---- /stat, as rspamc stat prints it ---- */

static unsigned long long scans(const struct metrics_view *v, enum metric_verdict verdict)
{
    unsigned long long n = 0;

    for (size_t p = 0; p < METRIC_PROTOCOLS; p++)
        n += sum(v, request_offset(p, METRIC_SCAN, verdict));
    return n;
}

void metrics_put_json(struct buf *out, const struct metrics_view *v)
{
    unsigned long long pass = scans(v, METRIC_PASS), tag = scans(v, METRIC_TAG), defer = scans(v, METRIC_DEFER),
                       reject = scans(v, METRIC_REJECT), discard = scans(v, METRIC_DISCARD);
    struct number all[NUMBERS_MAX];
    size_t        n = all_numbers(v, all);

    buf_printf(
        out,
        "{\"version\":\"" POSTERN_VERSION "\",\"uptime\":%lld,\"read_only\":true,\"scanned\":%llu,\"learned\":0,"
        "\"actions\":{\"reject\":%llu,\"soft reject\":%llu,\"add header\":%llu,\"no action\":%llu,\"discard\":%llu},"
        "\"spam_count\":%llu,\"ham_count\":%llu,\"statfiles\":[],\"fuzzy_hashes\":{}",
        (long long)((clock_wall_us() - v->started_us) / 1000000), pass + tag + defer + reject + discard, reject, defer,
        tag, pass, discard, tag + reject + discard, pass + defer);
    for (size_t i = 0; i < n; i++)
        buf_printf(out, ",\"%s\":%.17g", all[i].name, all[i].value);
    buf_puts(out, "}");
}
