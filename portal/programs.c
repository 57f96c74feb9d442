/* portal/programs.c - see programs.h. */
#include "programs.h"

#include <stddef.h>

#include "net/http_client.h"
#include "net/prometheus.h"

#define TOLD_MAX ((size_t)1 << 20)

const char *const program_state_words[] = {"runs", "ails", "silent", "unknown", NULL};

/* Who can be asked, where, and what each calls its numbers. */
static const struct asked {
    const char *name, *setting;
    size_t      listen; /* its addresses, in the settings */
    const char *start, *database;
} asked[PROGRAMS_ASKED] = {
    [ASKED_RULESD] = {"postern-rulesd", "[rulesd] listen_http", offsetof(struct settings, rulesd.listen_http),
                      "postern_rulesd_start_time_seconds", "postern_rulesd_database_up"},
    [ASKED_TRAINER] = {"postern-trainer", "[trainer] listen_http", offsetof(struct settings, trainer.listen_http),
                       "postern_trainer_start_time_seconds", "postern_trainer_database_up"},
    [ASKED_DIGEST] = {"postern-digest", "[digest] listen_http", offsetof(struct settings, digest.listen_http),
                      "postern_digest_start_time_seconds", "postern_digest_database_up"},
};

static void judge(struct program *p, const struct asked *names)
{
    double start, up;

    p->state = PROGRAM_RUNS;
    if (prometheus_sum(buf_span(&p->told), names->start, &start) && start > 0 && start < 1e12)
        p->since_us = (int64_t)(start * 1e6);
    if (prometheus_sum(buf_span(&p->told), names->database, &up) && up == 0)
        p->state = PROGRAM_AILS;
}

/* The first of its addresses that answers. */
void program_ask(const struct settings *s, enum program_asked which, struct program *out)
{
    const struct asked     *who = &asked[which];
    const struct conf_list *listen = (const struct conf_list *)(const void *)((const char *)s + who->listen);
    struct program         *p = out;

    *p = (struct program){.name = who->name, .setting = who->setting};
    buf_init(&p->told, TOLD_MAX);
    p->state = listen->n > 0 ? PROGRAM_SILENT : PROGRAM_UNKNOWN;
    for (size_t i = 0; i < listen->n && p->state == PROGRAM_SILENT; i++) {
        struct err e = ERR_INIT;
        int        status;

        p->at = listen->items[i];
        buf_clear(&p->told);
        if (http_client_get_at(p->at, "/metrics", PROGRAM_ASK_MS, &status, &p->told, &e) == 0 && status == 200)
            judge(p, who);
    }
    if (p->state == PROGRAM_SILENT)
        buf_clear(&p->told);
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
