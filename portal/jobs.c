/* portal/jobs.c - see jobs.h.
 *
 * A step is a page of a search, or of what another job has done, then one act a message, then a row that says how far it has got. A step
 * takes two seconds at most: so long a stop has to wait. */
#include "jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/pause.h"
#include "mail.h"
#include "route.h"
#include "sentence.h"
#include "store/job.h"
#include "worker.h"

#define LOOK_MS 300
#define AWAY_MS 5000
#define STEP_US INT64_C(2000000)
#define TRIM_US (3600 * INT64_C(1000000))

struct jobs {
    struct portal *portal;
    struct worker *worker;
    char           name[120]; /* of this claimer */
    int64_t        trimmed_us;
    struct arena   arena; /* of one step; the worker's own is of one message */
    pthread_t      thread;
    struct pause   pause;
};

/* ---- in whose name ---- */

/* A call as that person would make it now. */
static int call_of(struct jobs *j, const struct store_job *job, struct arena *a, struct call *c, struct err *e)
{
    *c = (struct call){
        .portal = j->portal, .worker = j->worker, .store = j->worker->store, .arena = a, .now_us = clock_wall_us()};
    if (store_account_get(c->store, job->owner, &c->who.account, e) < 0)
        return -1;
    if (!c->who.account.active)
        return err_set(e, ERR_DENIED, "The account is closed.");
    c->who.kind = WHO_SESSION;
    c->who.staff = job->acting_for.n > 0;
    c->who.acting_for = job->acting_for;
    c->actor = (struct actor){.kind = ACTOR_ACCOUNT,
                              .id = job->owner,
                              .name = c->who.account.login,
                              .acting_for = c->who.staff ? arena_str(a, job->acting_for) : NULL,
                              .source = arena_str(a, job->source),
                              .admin = c->who.account.admin};
    return 0;
}

/* ---- one message ---- */

/* 1: it is too late. */
static int unrelease(struct call *c, struct err *e)
{
    bool gone;

    if (mail_unrelease(c, &gone, e) == 0)
        return 0;
    return gone ? 1 : -1;
}

/* 0 done, 1 too late to take it back, -1. */
static int act(struct call *c, enum job_what what, struct err *e)
{
    static const enum report_class says[] = {
        [JOB_SPAM] = REPORT_SPAM, [JOB_HAM] = REPORT_HAM, [JOB_FORGET] = REPORT_FORGET};
    struct mail_release_how how = {.again = false};
    struct store_release    row;
    struct report_made      made;

    switch (what) {
    case JOB_RELEASE: return mail_release(c, &how, &row, e);
    case JOB_SPAM:
    case JOB_HAM:
    case JOB_FORGET: return mail_report(c, says[what], &made, e);
    case JOB_DELETE: return mail_put_away(c, true, e);
    case JOB_UNDELETE: return mail_put_away(c, false, e);
    case JOB_UNRELEASE: return unrelease(c, e);
    }
    return 0;
}

static int act_on(struct jobs *j, const struct store_job *job, const struct store_key *key, struct err *e)
{
    struct call c;
    int         rc;

    arena_reset(&j->worker->arena);
    rc = call_of(j, job, &j->worker->arena, &c, e);
    c.delivery = *key;
    if (rc == 0)
        rc = route_delivery(&c, e);
    if (rc == 0)
        rc = route_permit(&c, DEED_ACT_ON_MAIL, "message", true, e);
    return rc == 0 ? act(&c, job->what, e) : rc;
}

/* ---- a page of what is meant ---- */

struct page {
    struct store_key keys[JOB_STEP];
    size_t           n;
    bool             more;
    struct store_key next;
};

static int add_key(void *ctx, const struct store_key *key)
{
    struct page *p = ctx;

    if (p->n < JOB_STEP)
        p->keys[p->n++] = *key;
    return 0;
}

static int page_of_undo(struct jobs *j, const struct store_job *job, struct page *p, struct err *e)
{
    if (store_job_items(j->worker->store, job->undoes, job->begun ? &job->at : NULL, JOB_STEP, add_key, p, e) < 0)
        return -1;
    p->more = p->n == JOB_STEP;
    if (p->n > 0)
        p->next = p->keys[p->n - 1];
    return 0;
}

static int page_of_search(struct jobs *j, const struct store_job *job, struct page *p, struct err *e)
{
    struct mail_scopes where;
    struct mail_query  what;
    struct mail_page   page;
    struct call        c;

    if (call_of(j, job, &j->arena, &c, e) < 0 || mail_scopes_read(job->scopes, &where, e) < 0 ||
        mail_query_read(job->q, &j->arena, &what, e) < 0)
        return -1;
    for (size_t i = 0; i < where.n; i++)
        if (permit(c.store, &c.who, DEED_ACT_ON_MAIL, &where.scopes[i], "mailbox", e) < 0)
            return -1;
    if (what.until_us == 0 || what.until_us > job->until_us)
        what.until_us = job->until_us;
    if (mail_search(&c, &where, &what, job->begun ? &job->at : NULL, JOB_STEP, &page, e) < 0 ||
        (what.held && mail_leave_out_deleted(&c, &page, e) < 0))
        return -1;
    for (size_t i = 0; i < page.n; i++)
        p->keys[p->n++] = page.rows[i].key;
    p->more = page.more;
    p->next = page.next;
    return 0;
}

/* ---- a step ---- */

/* The machine is in trouble, and not the message. A release that somebody else is at is no reason to wait. */
static bool is_temporary(const struct store_job *job, const struct err *e)
{
    return e->code == ERR_LOST || e->code == ERR_FULL || (e->code == ERR_BUSY && job->what != JOB_RELEASE);
}

/* What is kept for the person; what was not written for people is for the log. */
static const char *told(const struct err *why)
{
    const char *sentence = sentence_for(why);

    if (sentence != why->text)
        log_err(LOG_LEVEL_WARNING, "work on many messages failed", why);
    return sentence;
}

/* What is refused for what it is goes by. 1: the whole page; 0: as far as the time of a step went; -1: trouble, job->at says how far. */
static int work_off(struct jobs *j, struct store_job *job, const struct page *p, struct store_key *done, size_t *n,
                    struct err *e)
{
    int64_t from = clock_mono_us();

    for (size_t i = 0; i < p->n; i++) {
        struct err why = ERR_INIT;
        int        rc;

        if (pause_is_over(&j->pause) || clock_mono_us() - from > STEP_US)
            return 0;
        if ((rc = act_on(j, job, &p->keys[i], &why)) == 0) {
            done[(*n)++] = p->keys[i];
            job->done++;
        } else if (rc > 0) {
            job->gone++;
        } else if (is_temporary(job, &why)) {
            *e = why;
            return -1;
        } else {
            job->failed++;
            job->answer = arena_dup(&j->arena, span_of(told(&why)));
        }
        job->at = p->keys[i];
        job->begun = true;
    }
    return 1;
}

static int go_on(struct jobs *j, struct store_job *job, struct err *e)
{
    struct page     *p = arena_zalloc(&j->arena, sizeof *p);
    struct store_key done[JOB_STEP];
    struct err       trouble = ERR_INIT;
    size_t           n = 0;
    int              rc;

    if (p == NULL)
        return err_set(e, ERR_LIMIT, "no memory for a step of a job");
    if ((job->is_undo ? page_of_undo(j, job, p, &trouble) : page_of_search(j, job, p, &trouble)) < 0) {
        if (is_temporary(job, &trouble))
            return *e = trouble, -1;
        job->state = JOB_FAILED;
        job->answer = span_of(told(&trouble));
        return store_job_step(j->worker->store, span_of(j->name), job, NULL, 0, clock_wall_us(), e);
    }
    rc = work_off(j, job, p, done, &n, &trouble);
    if (rc > 0 && p->more) {
        job->at = p->next;
        job->begun = true;
    } else if (rc > 0) {
        job->state = JOB_DONE;
    }
    if (store_job_step(j->worker->store, span_of(j->name), job, done, n, clock_wall_us(), e) < 0)
        return -1;
    return rc < 0 ? (*e = trouble, -1) : 0;
}

/* Each step claims anew: whoever stops it, and jobs that wait beside it, have their turn. 1 something was done, 0 there is nothing to do, -1. */
static int step(struct jobs *j, struct err *e)
{
    struct store_job job;
    int64_t          now = clock_wall_us();
    int              rc;

    arena_reset(&j->arena);
    if (now - j->trimmed_us >= TRIM_US) {
        j->trimmed_us = now;
        if (store_job_trim(j->worker->store, now, e) < 0)
            return -1;
    }
    if ((rc = store_job_claim(j->worker->store, span_of(j->name), now, &j->arena, &job, e)) <= 0)
        return rc;
    rc = go_on(j, &job, e);
    (void)store_job_leave(j->worker->store, job.id, span_of(j->name), NULL);
    if (rc == 0 || e->code != ERR_CONFLICT)
        return rc < 0 ? -1 : 1;
    *e = ERR_INIT; /* it was stopped meanwhile */
    return 1;
}

static void *run(void *arg)
{
    struct jobs *j = arg;
    bool         away = false;

    while (!pause_is_over(&j->pause)) {
        struct err e = ERR_INIT;
        int        rc = step(j, &e);

        if (rc < 0 && !away)
            log_err(LOG_LEVEL_WARNING, "work on many messages waits", &e);
        away = rc < 0;
        if (rc <= 0)
            pause_for(&j->pause, rc < 0 ? AWAY_MS : LOOK_MS);
    }
    return NULL;
}

int jobs_start(struct portal *p, struct jobs **out, struct err *e)
{
    struct jobs *j = calloc(1, sizeof *j);
    char         host[64] = "";
    void        *worker = NULL;
    int          rc;

    if (j == NULL)
        panic("out of memory");
    j->portal = p;
    gethostname(host, sizeof host - 1);
    snprintf(j->name, sizeof j->name, "postern-portal %ld at %s", (long)getpid(), host);
    arena_init(&j->arena, (size_t)16 << 20);
    pause_init(&j->pause);
    *out = j;
    rc = worker_open(p, 0, &worker, e);
    j->worker = worker;
    if (rc < 0)
        return -1;
    if ((errno = pthread_create(&j->thread, NULL, run, j)) != 0)
        return err_errno(e, "start a thread");
    return 0;
}

void jobs_stop(struct jobs **jp)
{
    struct jobs *j = *jp;

    *jp = NULL;
    if (j == NULL)
        return;
    pause_stop(&j->pause);
    if (j->thread != 0)
        pthread_join(j->thread, NULL);
    worker_close(j->portal, j->worker);
    arena_fini(&j->arena);
    pause_fini(&j->pause);
    free(j);
}
