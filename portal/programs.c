/* portal/programs.c - see programs.h. */
#include "programs.h"

#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "net/http_client.h"
#include "net/prometheus.h"

#define TOLD_MAX ((size_t)1 << 20)

const char *const program_state_words[] = {"runs", "ails", "silent", "unknown", NULL};

/* Who can be asked, where, and what each calls its numbers. */
static const struct asked {
    const char *name, *setting;
    size_t      listen; /* its addresses, in the settings */
    bool        each;   /* each is a program of its own; else the first that answers is it */
    const char *start, *database;
} asked[] = {
    {"postern-rulesd", "[portal] rulesd_nodes", offsetof(struct settings, portal.rulesd_nodes), true,
     "postern_rulesd_start_time_seconds", "postern_rulesd_database_up"},
    {"postern-rulesd", "[rulesd] listen_http", offsetof(struct settings, rulesd.listen_http), false,
     "postern_rulesd_start_time_seconds", "postern_rulesd_database_up"},
    {"postern-trainer", "[trainer] listen_http", offsetof(struct settings, trainer.listen_http), false,
     "postern_trainer_start_time_seconds", "postern_trainer_database_up"},
    {"postern-digest", "[digest] listen_http", offsetof(struct settings, digest.listen_http), false,
     "postern_digest_start_time_seconds", "postern_digest_database_up"},
};
enum { ASKED_NODES, ASKED_HERE };

/* One program that is asked, in a thread of its own. */
struct asking {
    const struct asked *who;
    const char *const  *addresses;
    size_t              n;
    struct program     *program;
    pthread_t           thread;
    bool                runs;
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
static void *ask(void *arg)
{
    struct asking  *a = arg;
    struct program *p = a->program;

    *p = (struct program){.name = a->who->name, .setting = a->who->setting};
    buf_init(&p->told, TOLD_MAX);
    p->state = a->n > 0 ? PROGRAM_SILENT : PROGRAM_UNKNOWN;
    for (size_t i = 0; i < a->n && p->state == PROGRAM_SILENT; i++) {
        struct err e = ERR_INIT;
        int        status;

        p->at = a->addresses[i];
        buf_clear(&p->told);
        if (http_client_get_at(p->at, "/metrics", PROGRAM_ASK_MS, &status, &p->told, &e) == 0 && status == 200)
            judge(p, a->who);
    }
    if (p->state == PROGRAM_SILENT)
        buf_clear(&p->told);
    return NULL;
}

static const struct conf_list *addresses_of(const struct settings *s, const struct asked *who)
{
    return (const struct conf_list *)(const void *)((const char *)s + who->listen);
}

/* Who is to be asked. Where nodes are named, this one is asked as one of them or not at all. */
static size_t list(const struct settings *s, struct program out[PROGRAMS_MAX], struct asking all[PROGRAMS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT(asked); i++) {
        const struct conf_list *at = addresses_of(s, &asked[i]);
        const char *const      *items = at->items;

        if (i == ASKED_HERE && s->portal.rulesd_nodes.n > 0)
            continue;
        for (size_t k = 0; asked[i].each && k < at->n && k < PROGRAM_NODES_MAX; k++, n++)
            all[n] = (struct asking){.who = &asked[i], .addresses = &items[k], .n = 1, .program = &out[n]};
        if (!asked[i].each) {
            all[n] = (struct asking){.who = &asked[i], .addresses = items, .n = at->n, .program = &out[n]};
            n++;
        }
    }
    return n;
}

size_t programs_ask(const struct settings *s, struct program out[PROGRAMS_MAX])
{
    struct asking all[PROGRAMS_MAX];
    size_t        n = list(s, out, all);

    for (size_t i = 0; i < n; i++)
        if (!(all[i].runs = pthread_create(&all[i].thread, NULL, ask, &all[i]) == 0))
            ask(&all[i]); /* no thread is to be had: one behind the other, then */
    for (size_t i = 0; i < n; i++)
        if (all[i].runs)
            pthread_join(all[i].thread, NULL);
    return n;
}

void program_fini(struct program *p) { buf_fini(&p->told); }

/* ---- what the nodes tell together --------------------------------------------------------------------------------- */

static void add_scanner(const struct program *p, struct span told, struct rulesd_figures *f)
{
    double number[6], mean;

    if (!prometheus_sum(told, "postern_rulesd_scanner_asked_total", &number[0]) ||
        !prometheus_sum(told, "postern_rulesd_scanner_failed_total", &number[1]) ||
        !prometheus_sum(told, "postern_rulesd_scanner_timeouts_total", &number[2]) ||
        !prometheus_sum(told, "postern_rulesd_scanner_well", &number[3]) ||
        !prometheus_sum(told, "postern_rulesd_scanner_seconds_total", &number[4]) ||
        !prometheus_sum(told, "postern_rulesd_scanner_answered_total", &number[5]))
        return;
    f->scanners++;
    f->asked += number[0];
    f->failed += number[1];
    f->timeouts += number[2];
    f->well += number[3];
    if (p->since_us > 0 && (f->since_us == 0 || p->since_us < f->since_us))
        f->since_us = p->since_us;
    mean = number[5] > 0 ? number[4] * 1000 / number[5] : (double)NAN;
    if (!isnan(mean) && !(f->mean_ms >= mean)) {
        f->mean_ms = mean;
        f->slowest_at = p->at;
    }
}

static void add_room(const struct program *p, struct span told, struct rulesd_figures *f)
{
    double room;

    if (!prometheus_sum(told, "postern_rulesd_custody_room_bytes", &room) || (f->has_room && f->room <= room))
        return;
    f->has_room = true;
    f->room = room;
    f->room_at = p->at;
}

static void add_load(const struct program *p, struct span told, struct rulesd_figures *f)
{
    double load[3], processors;

    if (!prometheus_sum(told, "postern_rulesd_machine_load1", &load[0]) ||
        !prometheus_sum(told, "postern_rulesd_machine_load5", &load[1]) ||
        !prometheus_sum(told, "postern_rulesd_machine_load15", &load[2]) ||
        !prometheus_sum(told, "postern_rulesd_machine_processors", &processors) || processors < 1 ||
        (f->has_load && f->load[1] / f->processors >= load[1] / processors))
        return;
    f->has_load = true;
    memcpy(f->load, load, sizeof load);
    f->processors = processors;
    f->load_at = p->at;
}

void rulesd_figures_read(const struct program *all, size_t n, struct rulesd_figures *out)
{
    *out = (struct rulesd_figures){.mean_ms = (double)NAN};
    for (size_t i = 0; i < n; i++) {
        struct span told = buf_span(&all[i].told);

        if (strcmp(all[i].name, asked[ASKED_NODES].name) != 0)
            continue;
        out->nodes++;
        add_scanner(&all[i], told, out);
        add_room(&all[i], told, out);
        add_load(&all[i], told, out);
    }
    if (out->nodes < 2)
        out->slowest_at = out->room_at = out->load_at = NULL;
}
