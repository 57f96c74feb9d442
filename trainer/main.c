/* trainer/main.c - postern-trainer: teaches the filter what people report, takes reports by mail (lmtp.h), and sees to
 * it that released mail whose sender died leaves after all (resume.h).
 *
 * One thread, and those of lmtp.h, resume.h and health.h. SIGTERM and SIGINT: finish the report at hand, give back the others, leave. SIGHUP: read
 * the settings again. Several may run at once, here and on other machines. */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/program.h"
#include "drain.h"
#include "health.h"
#include "lmtp.h"
#include "mail/leaf.h"
#include "resume.h"

#define PROGRAM "postern-trainer"
#define IDLE_MS 500
#define MEMORY_KEPT (16 << 20)
#define AWAY_MS 5000 /* the database, or the keys */

/* How long to rest; 0: there is more. */
static long step(struct drain *d, bool *away)
{
    struct err e = ERR_INIT;
    int        rc = drain_step(d, &e);

    if (rc < 0 && !*away)
        log_err(LOG_LEVEL_WARNING, "reports wait", &e);
    *away = rc < 0;
    return rc > 0 ? 0 : rc < 0 ? AWAY_MS : IDLE_MS;
}

/* Until a signal, which it returns. */
static int serve(struct drain *d, bool idle)
{
    bool away = false;

    for (;;) {
        long ms = idle ? 3600000 : step(d, &away);
        int  got = program_wait_us(ms * INT64_C(1000));

        if (got != 0)
            return got;
    }
}

/* All of it borrows from conf. */
struct parts {
    struct conf   *conf;
    struct drain  *drain;
    struct resume *resume;
    struct lmtp   *lmtp;
    struct health *health;
};

static int begin(const struct program_options *o, struct parts *p, struct err *e)
{
    static struct drain_counts  reports;
    static struct resume_counts releases;
    const struct settings      *s;

    if (conf_load(o->conf_path, !o->conf_given, &p->conf, e) < 0)
        return -1;
    s = conf_settings(p->conf);
    if (drain_new(s, &reports, &p->drain, e) < 0)
        return -1;
    log_open(PROGRAM, (enum log_target)s->log.target, (enum log_level)s->log.level);
    if (resume_start(s, &releases, &p->resume, e) < 0)
        return -1;
    const struct metrics_counts counts = {&reports, p->resume != NULL ? &releases : NULL};
    return lmtp_start(s, &p->lmtp, e) < 0 ? -1 : health_start(s, &counts, &p->health, e);
}

static void end(struct parts *p)
{
    health_stop(&p->health);
    lmtp_stop(&p->lmtp);
    resume_stop(&p->resume);
    drain_free(&p->drain);
    conf_free(&p->conf);
}

static int run_with(const struct program_options *o, bool first)
{
    struct err   e = ERR_INIT;
    struct parts p = {.conf = NULL};
    int          got;

    if (begin(o, &p, &e) < 0) {
        end(&p);
        if (first)
            fatal(&e);
        log_err(LOG_LEVEL_ERROR, "settings not read again, and reports wait", &e);
        return program_wait_us(3600000 * INT64_C(1000));
    }
    const bool idle = conf_settings(p.conf)->trainer.backend.n == 0;
    if (idle)
        log_text(LOG_LEVEL_INFO, "no [trainer] backend is configured: there is nothing to teach");
    got = serve(p.drain, idle);
    end(&p);
    return got;
}

int main(int argc, char **argv)
{
    struct program_options o = program_options(PROGRAM, argc, argv);
    sigset_t               set = program_signals();
    int                    got = SIGHUP;

    mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT); /* else each message's buffers come from the system and go back to it */
    mallopt(M_MMAP_THRESHOLD, MEMORY_KEPT);
    log_open(PROGRAM, LOG_TO_STDERR, LOG_LEVEL_INFO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    mail_init();
    for (bool first = true; got == SIGHUP || got == 0; first = false)
        got = run_with(&o, first);
    log_text(LOG_LEVEL_INFO, "stopped");
    return EXIT_SUCCESS;
}
