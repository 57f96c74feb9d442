/* trainer/metrics.c - see metrics.h. */
#include "metrics.h"

#include <inttypes.h>

#define NAME "postern_trainer_"

static void head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_printf(out, "# HELP " NAME "%s %s\n# TYPE " NAME "%s %s\n", name, help, name, kind);
}

static void put_one(struct buf *out, const char *name, const char *kind, const char *help, double value)
{
    head(out, name, kind, help);
    buf_printf(out, NAME "%s %.17g\n", name, value);
}

/* A value between quotes. */
static void put_label(struct buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *value == '\n' ? ' ' : *value);
    }
}

static void put_reports(struct buf *out, const struct metrics_view *v)
{
    double waits = v->oldest_us == INT64_MAX ? 0 : (double)(v->now_us - v->oldest_us) / 1e6;

    head(out, "reports", "gauge", "Reports, by state.");
    for (size_t i = 0; i < METRICS_STATES_MAX && report_state_words[i] != NULL; i++)
        buf_printf(out, NAME "reports{state=\"%s\"} %" PRId64 "\n", report_state_words[i], v->reports[i]);
    put_one(out, "oldest_waiting_seconds", "gauge", "For how long the oldest report has waited; 0: none waits.", waits);
}

static void put_counts(struct buf *out, const struct drain_counts *c)
{
    put_one(out, "attempts_total", "counter", "Questions to backends.", (double)atomic_load(&c->attempts));
    put_one(out, "failures_total", "counter", "Backends that were down, slow, cut their answer or said nonsense.",
            (double)atomic_load(&c->failed));
    put_one(out, "closed_total", "counter", "Backends that were closed to us: a wrong password, learning switched off.",
            (double)atomic_load(&c->closed));
    head(out, "ended_total", "counter", "What came of reports, by state; waiting: they were put off.");
    for (size_t i = 0; i < COUNT(c->ended); i++)
        if (i <= REPORT_REFUSED)
            buf_printf(out, NAME "ended_total{state=\"%s\"} %llu\n", report_state_words[i], atomic_load(&c->ended[i]));
}

static void put_mail(struct buf *out, const struct report_mail_sums *m)
{
    put_one(out, "mail_taken_today", "gauge",
            "Messages that were attached to a mail to report them, and are reports; since midnight UTC.",
            (double)m->taken);
    put_one(out, "mail_refused_today", "gauge", "Messages that were attached, and are none.", (double)m->refused);
    put_one(out, "mail_later_today", "gauge", "Mails of mailboxes that report too much at once, put off.",
            (double)m->later);
    head(out, "mail_dropped_today", "gauge", "Mails that were dropped, by reason.");
    for (size_t i = REPORT_MAIL_TAKEN + 1; i < REPORT_MAIL_REASONS; i++)
        buf_printf(out, NAME "mail_dropped_today{reason=\"%s\"} %" PRId64 "\n", report_mail_reason_words[i],
                   m->dropped[i]);
}

static void put_releases(struct buf *out, const struct resume_counts *c)
{
    put_one(out, "releases_sent_total", "counter", "Releases that were left over, and have left.",
            (double)atomic_load(&c->sent));
    put_one(out, "releases_ended_total", "counter",
            "Releases that were left over, and leave no more unless somebody asks again.",
            (double)atomic_load(&c->ended));
    put_one(out, "releases_waiting", "gauge", "Releases that were left over, and could not leave yet.",
            (double)atomic_load(&c->waiting));
    put_one(out, "releases_able", "gauge",
            "1 while there is what it takes to send them: database, secret key, scanner.", !atomic_load(&c->unable));
}

static void put_row(struct buf *out, const char *name, const struct bayes_view *b, const char *class, int64_t value)
{
    buf_printf(out, NAME "%s{from=\"", name);
    put_label(out, b->from);
    buf_printf(out, class != NULL ? "\",class=\"%s\"} " : "\"} ", class);
    buf_printf(out, "%" PRId64 "\n", value);
}

static void put_bayes(struct buf *out, const struct metrics_view *v)
{
    head(out, "backend_up", "gauge", "1 when it answered as it should, a minute ago at most.");
    for (const struct bayes_view *b = v->bayes; b < v->bayes + v->nbayes; b++)
        if (b->backend)
            put_row(out, "backend_up", b, NULL, b->up);
    head(out, "bayes_learnt", "gauge", "How many messages of each kind Bayes knows, by who says so.");
    for (const struct bayes_view *b = v->bayes; b < v->bayes + v->nbayes; b++) {
        if (!b->counted)
            continue;
        put_row(out, "bayes_learnt", b, "spam", b->known.spam);
        put_row(out, "bayes_learnt", b, "ham", b->known.ham);
    }
    put_one(out, "bayes_needed", "gauge", "From how many of each kind on Bayes acts.", (double)v->needed);
}

void metrics_put(struct buf *out, const struct metrics_view *v)
{
    if (v->store_up) {
        put_reports(out, v);
        put_mail(out, &v->mail);
    }
    put_counts(out, v->counts.reports);
    if (v->counts.releases != NULL)
        put_releases(out, v->counts.releases);
    put_bayes(out, v);
    put_one(out, "database_up", "gauge", "1 while the database answers.", v->store_up);
    put_one(out, "start_time_seconds", "gauge", "When this process started.", (double)v->started_us / 1e6);
}
