/* portal/programs.c - see programs.h. */
#include "programs.h"

#include "net/http_client.h"
#include "net/prometheus.h"

#define TOLD_MAX ((size_t)1 << 20)

const char *const program_state_words[] = {"runs", "ails", "silent", "unknown", NULL};

/* What each calls its numbers. */
struct names {
    const char *start, *database;
};

static void judge(struct program *p, const struct names *names)
{
    double start, up;

    p->state = PROGRAM_RUNS;
    if (prometheus_sum(buf_span(&p->told), names->start, &start) && start > 0 && start < 1e12)
        p->since_us = (int64_t)(start * 1e6);
    if (prometheus_sum(buf_span(&p->told), names->database, &up) && up == 0)
        p->state = PROGRAM_AILS;
}

/* The first of its addresses that answers. */
static void ask(const struct conf_list *listen, const struct names *names, struct program *p)
{
    buf_init(&p->told, TOLD_MAX);
    p->state = listen->n > 0 ? PROGRAM_SILENT : PROGRAM_UNKNOWN;
    for (size_t i = 0; i < listen->n && p->state == PROGRAM_SILENT; i++) {
        struct err e = ERR_INIT;
        int        status;

        p->at = listen->items[i];
        buf_clear(&p->told);
        if (http_client_get_at(p->at, "/metrics", PROGRAM_ASK_MS, &status, &p->told, &e) == 0 && status == 200)
            judge(p, names);
    }
    if (p->state == PROGRAM_SILENT)
        buf_clear(&p->told);
}

void programs_ask_rulesd(const struct settings *s, struct program *out)
{
    static const struct names names = {"postern_rulesd_start_time_seconds", "postern_rulesd_database_up"};

    *out = (struct program){.name = "postern-rulesd", .setting = "[rulesd] listen_http"};
    ask(&s->rulesd.listen_http, &names, out);
}

void programs_ask_trainer(const struct settings *s, struct program *out)
{
    static const struct names names = {"postern_trainer_start_time_seconds", "postern_trainer_database_up"};

    *out = (struct program){.name = "postern-trainer", .setting = "[trainer] listen_http"};
    ask(&s->trainer.listen_http, &names, out);
}

void program_fini(struct program *p) { buf_fini(&p->told); }

void rulesd_figures_read(struct span told, struct rulesd_figures *out)
{
    *out = (struct rulesd_figures){0};
    out->has_scanner = prometheus_sum(told, "postern_rulesd_scanner_asked_total", &out->asked) &&
                       prometheus_sum(told, "postern_rulesd_scanner_answered_total", &out->answered) &&
                       prometheus_sum(told, "postern_rulesd_scanner_failed_total", &out->failed) &&
                       prometheus_sum(told, "postern_rulesd_scanner_timeouts_total", &out->timeouts) &&
                       prometheus_sum(told, "postern_rulesd_scanner_seconds_total", &out->seconds) &&
                       prometheus_sum(told, "postern_rulesd_scanner_well", &out->well);
    out->has_room = prometheus_sum(told, "postern_rulesd_custody_room_bytes", &out->room);
}
