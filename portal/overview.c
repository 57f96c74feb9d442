/* portal/overview.c - the first page of who answers for the service, and of who owns a domain.
 *
 * What the database holds is counted there. What only the other programs know is asked of them (programs.h); what nobody can tell is
 * null, never zero. */
#include "store/overview.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "programs.h"
#include "route.h"
#include "store/outbox.h"
#include "store/report.h"

#define MINUTE_US (60 * INT64_C(1000000))
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)
#define KEPT_US (7 * DAY_US) /* how far back the pace of held mail is looked at */

struct overview_query {
    uint64_t given;
    int64_t  today_us;
};
static const struct field overview_fields[] = {
    {"today", FIELD_TIME, 0, 0, 0, NULL, offsetof(struct overview_query, today_us),
     "When the day began for who looks, at most two days ago; midnight UTC unless said."},
    FIELDS_END};

static int64_t day_began(const struct call *c)
{
    const struct overview_query *in = c->query;

    return field_given(in, 0) && in->today_us <= c->now_us && in->today_us > c->now_us - 2 * DAY_US
               ? in->today_us
               : c->now_us - c->now_us % DAY_US;
}

/* ---- from the database ---- */

static int put_messages(struct call *c, struct buf *b, struct err *e)
{
    int64_t last, minute, hour, today;

    if (store_overview_last(c->store, &last, e) < 0 ||
        store_overview_messages(c->store, c->now_us - MINUTE_US, &minute, e) < 0 ||
        store_overview_messages(c->store, c->now_us - HOUR_US, &hour, e) < 0 ||
        store_overview_messages(c->store, day_began(c), &today, e) < 0)
        return -1;
    json_open(b, "messages", '{');
    json_add_time(b, "last", last);
    json_add_i64(b, "minute", minute);
    json_add_i64(b, "hour", hour);
    json_add_i64(b, "today", today);
    json_close(b, '}');
    return 0;
}

static int put_queue(struct call *c, struct buf *b, const struct uuid *domain, struct err *e)
{
    struct store_overview_queue q;

    if (store_overview_queue(c->store, domain, c->now_us, &q, e) < 0)
        return -1;
    /* Without a log to follow, an empty queue is only one of which nobody has told. */
    if (!q.followed && q.hour + q.day + q.days + q.older == 0) {
        json_add_null(b, "queue");
        return 0;
    }
    json_open(b, "queue", '{');
    json_add_i64(b, "hour", q.hour);
    json_add_i64(b, "day", q.day);
    json_add_i64(b, "days", q.days);
    json_add_i64(b, "older", q.older);
    json_add_time(b, "oldest", q.oldest_us);
    json_close(b, '}');
    return 0;
}

static void put_waiting(struct buf *b, const char *key, const struct store_overview_waiting *w)
{
    json_open(b, key, '{');
    json_add_i64(b, "n", w->n);
    json_add_time(b, "oldest", w->n > 0 ? w->oldest_us : 0);
    json_close(b, '}');
}

static int put_releases(struct call *c, struct buf *b, const struct uuid *domain, struct err *e)
{
    struct store_overview_releases r;

    if (store_overview_releases(c->store, domain, &r, e) < 0)
        return -1;
    put_waiting(b, "releases", &r.open);
    put_waiting(b, "releases_unknown", &r.unknown);
    put_waiting(b, "requests", &r.asked);
    return 0;
}

static int add_sum(void *ctx, enum report_state state, int64_t count)
{
    int64_t *waiting = ctx;

    if (state == REPORT_WAITING)
        *waiting += count;
    return 0;
}

static int put_reports(struct call *c, struct buf *b, struct err *e)
{
    struct store_overview_waiting w = {0};

    if (store_report_sums(c->store, add_sum, &w.n, e) < 0 || store_report_oldest(c->store, &w.oldest_us, e) < 0)
        return -1;
    put_waiting(b, "reports", &w);
    return 0;
}

static int put_outbox(struct call *c, struct buf *b, struct err *e)
{
    struct store_outbox_sums sums;

    if (store_outbox_sums(c->store, &sums, e) < 0)
        return -1;
    json_open(b, "outbox", '{');
    json_add_i64(b, "waiting", sums.waiting);
    json_add_i64(b, "failed", sums.failed);
    json_add_time(b, "oldest", sums.oldest_us);
    json_close(b, '}');
    return 0;
}

/* ---- from the machine and the other programs ---- */

/* Of this machine; where there are several nodes, of the busiest. */
static void put_load(struct buf *b, const struct rulesd_figures *f)
{
    bool   of_node = f->nodes > 1 && f->has_load;
    double load[3];
    long   cpus = of_node ? (long)f->processors : sysconf(_SC_NPROCESSORS_ONLN);

    if ((!of_node && getloadavg(load, 3) != 3) || cpus < 1) {
        json_add_null(b, "load");
        return;
    }
    if (of_node)
        memcpy(load, f->load, sizeof load);
    json_open(b, "load", '{');
    json_add_f64(b, "one", load[0]);
    json_add_f64(b, "five", load[1]);
    json_add_f64(b, "fifteen", load[2]);
    json_add_i64(b, "processors", cpus);
    json_add_str(b, "at", of_node ? f->load_at : NULL);
    json_close(b, '}');
}

/* Each node has the scanners that the settings name. */
static void put_scanner(struct buf *b, const struct settings *s, const struct rulesd_figures *f)
{
    json_open(b, "scanner", '{');
    json_add_i64(b, "configured", (int64_t)(s->rulesd.scanner.n * (f->scanners > 0 ? f->scanners : 1)));
    json_add_bool(b, "known", f->scanners > 0);
    if (f->scanners > 0) {
        json_add_time(b, "since", f->since_us);
        json_add_i64(b, "asked", (int64_t)f->asked);
        json_add_i64(b, "failed", (int64_t)f->failed);
        json_add_i64(b, "timeouts", (int64_t)f->timeouts);
        json_add_i64(b, "well", (int64_t)f->well);
        json_add_f64(b, "mean_ms", f->mean_ms);
        json_add_str(b, "slowest", f->slowest_at);
    }
    json_close(b, '}');
}

/* How long the room lasts at the pace of the last week, as if nothing were deleted meanwhile: at least so long. */
static int put_disk(struct call *c, struct buf *b, const struct rulesd_figures *f, struct err *e)
{
    int64_t bytes, first_us;
    double  days, per_day;

    if (!f->has_room) {
        json_add_null(b, "disk");
        return 0;
    }
    if (store_overview_kept(c->store, c->now_us - KEPT_US, &bytes, &first_us, e) < 0)
        return -1;
    days = first_us > 0 ? (double)(c->now_us - first_us) / (double)DAY_US : 0;
    per_day = (double)bytes / (days > 1 ? days : 1);
    json_open(b, "disk", '{');
    json_add_i64(b, "room", f->room > 0 && f->room < 1e18 ? (int64_t)f->room : 0);
    json_add_i64(b, "per_day", (int64_t)per_day);
    json_add_f64(b, "days", per_day >= 1 ? floor((f->room > 0 ? f->room : 0) / per_day) : (double)NAN);
    json_add_str(b, "at", f->room_at);
    json_close(b, '}');
    return 0;
}

static void put_program(struct buf *b, const struct program *p)
{
    json_open(b, NULL, '{');
    json_add_str(b, "name", p->name);
    json_add_str(b, "state", program_state_words[p->state]);
    json_add_str(b, "setting", p->setting);
    json_add_str(b, "at", p->at);
    json_add_time(b, "since", p->since_us);
    json_close(b, '}');
}

static void put_programs(struct call *c, struct buf *b, const struct program *others, size_t n)
{
    const struct program own = {.name = "postern-portal", .state = PROGRAM_RUNS, .since_us = c->portal->started_us};

    json_open(b, "programs", '[');
    for (size_t i = 0; i < n; i++)
        put_program(b, &others[i]);
    put_program(b, &own);
    json_close(b, ']');
}

/* ---- the calls ---- */

static int put_stored(struct call *c, struct buf *b, struct err *e)
{
    return put_messages(c, b, e) < 0 || put_queue(c, b, NULL, e) < 0 || put_releases(c, b, NULL, e) < 0 ||
                   put_reports(c, b, e) < 0 || put_outbox(c, b, e) < 0
               ? -1
               : 0;
}

static int get_overview(struct call *c, struct err *e)
{
    const struct settings *s = c->portal->settings;
    struct buf            *b = call_reply(c, 200);
    struct program         others[PROGRAMS_MAX];
    size_t                 n = programs_ask(s, others);
    struct rulesd_figures  figures;
    int                    rc;

    rulesd_figures_read(others, n, &figures);
    json_open(b, NULL, '{');
    json_add_time(b, "now", c->now_us);
    rc = put_stored(c, b, e);
    if (rc == 0)
        rc = put_disk(c, b, &figures, e);
    put_scanner(b, s, &figures);
    put_load(b, &figures);
    put_programs(c, b, others, n);
    json_close(b, '}');
    for (size_t i = 0; i < n; i++)
        program_fini(&others[i]);
    return rc;
}

static int get_of_domain(struct call *c, struct err *e)
{
    struct buf *b = call_reply(c, 200);
    int64_t     today[DELIVERY_STATUSES], last;

    if (store_overview_domain(c->store, c->object, day_began(c), today, &last, e) < 0)
        return -1;
    json_open(b, NULL, '{');
    json_add_time(b, "now", c->now_us);
    json_add_time(b, "last", last);
    json_open(b, "today", '{');
    for (int i = 0; i < DELIVERY_STATUSES; i++)
        json_add_i64(b, delivery_status_words[i], today[i]);
    json_close(b, '}');
    if (put_queue(c, b, &c->object, e) < 0 || put_releases(c, b, &c->object, e) < 0)
        return -1;
    json_close(b, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/overview", DEED_OPERATE, OBJECT_GLOBAL, 0, get_overview, overview_fields, NULL,
     sizeof(struct overview_query), 0,
     "The service at a glance: what comes, what waits, who runs. What nobody can tell is null.", "Overview"},
    {HTTPD_GET, "/domains/{domain}/overview", DEED_SEE_DOMAIN, OBJECT_DOMAIN, 0, get_of_domain, overview_fields, NULL,
     sizeof(struct overview_query), 0, "A domain at a glance: today's deliveries by status, and what waits.",
     "DomainOverview"},
};

#define WAITING "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"oldest\":" TIME "}}"
#define TIME "{\"type\":[\"string\",\"null\"]}"
#define QUEUE                                                                                                          \
    "{\"type\":[\"object\",\"null\"],\"description\":\"What the mail server has not delivered yet, by age: under an "  \
    "hour, a day, six days, and older; null: no log of it is followed\",\"properties\":{\"hour\":{\"type\":"           \
    "\"integer\"},\"day\":{\"type\":\"integer\"},\"days\":{\"type\":\"integer\"},\"older\":{\"type\":\"integer\"},"    \
    "\"oldest\":" TIME "}}"

const struct route_family overview_family = {
    "Overview", rows, COUNT(rows),
    "\"Overview\":{\"type\":\"object\",\"properties\":{\"now\":{\"type\":\"string\"},\"messages\":{\"type\":\"object\","
    "\"properties\":{\"last\":" TIME ",\"minute\":{\"type\":\"integer\"},\"hour\":{\"type\":\"integer\"},\"today\":{"
    "\"type\":\"integer\"}}},\"queue\":" QUEUE ",\"releases\":" WAITING ",\"releases_unknown\":" WAITING
    ",\"requests\":" WAITING ",\"reports\":" WAITING ",\"outbox\":{\"type\":\"object\"},\"disk\":{\"type\":[\"object\","
    "\"null\"],\"properties\":{\"room\":{\"type\":\"integer\"},\"per_day\":{\"type\":\"integer\"},\"days\":{\"type\":["
    "\"number\",\"null\"]},\"at\":{\"type\":[\"string\",\"null\"]}}},\"scanner\":{\"type\":\"object\"},\"load\":{"
    "\"type\":[\"object\",\"null\"]},\"programs\":"
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"state\":{"
    "\"type\":\"string\",\"enum\":[\"runs\",\"ails\",\"silent\",\"unknown\"]},\"setting\":{\"type\":[\"string\","
    "\"null\"]},\"at\":{\"type\":[\"string\",\"null\"]},\"since\":" TIME "}}}}},"
    "\"DomainOverview\":{\"type\":\"object\",\"properties\":{\"now\":{\"type\":\"string\"},\"last\":" TIME
    ",\"today\":{\"type\":\"object\"},\"queue\":" QUEUE ",\"releases\":" WAITING ",\"releases_unknown\":" WAITING
    ",\"requests\":" WAITING "}}"};
