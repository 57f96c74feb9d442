/* rulesd/scan.c - see scan.h. One scan from top to bottom: below is a function a stage, in this order.
 *
 *   BEGIN        does the log keep up, and is it the same scan as one before?
 *     |  \_________________________________________________ OVER: told what was told before
 *   RESOLVE      who are they, and whose rules hold? The cache is asked
 *     |
 *   JUDGE        by the rules, with what the request states
 *     |
 *   ASK          who else has a say?
 *     |  \  \____________________________________________ SETTLE: stopped, for they have sent too much
 *     |   \________________________________________________ RELEASED: the scanner need not be asked
 *   ANSWER       what did the scanner find?
 *     |  \_________________________________________________ SETTLE: nothing was heard of it
 *   JUDGE_AGAIN  with what it found
 *     |
 *   RELEASED     a released message on its way back? The database is asked, for it may come but once
 *     |  \_________________________________________________ SETTLE: it is not
 *   SPENT        then past rules and score
 *     |
 *   SETTLE       one outcome for all; what is to be held goes to custody
 *     |  \_________________________________________________ OVER: nothing is
 *   HELD         is it on the disk?
 *     |
 *   OVER
 *
 * Any of them may give up: OVER, and `failed`. Who asks somebody else sets the stage that takes the answer first:
 * the scan may be running on another thread before SCAN_ASKS is returned. */
#include "scan.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "record.h"
#include "scan_hold.h"
#include "scan_judge.h"
#include "scan_people.h"
#include "scan_released.h"
#include "scan_repeat.h"
#include "scan_scanner.h"
#include "scan_settle.h"

#define ARENA_FIRST ((size_t)32 << 10) /* what nearly every scan fits into */
#define WARN_US (10 * INT64_C(1000000))

/* ---- its life ---- */

struct scan *scan_new(void)
{
    struct scan *s = calloc(1, sizeof *s);

    if (s == NULL)
        panic("out of memory");
    arena_init(&s->arena, SCAN_ARENA_MAX);
    arena_alloc(&s->arena, ARENA_FIRST);
    arena_reset(&s->arena);
    return s;
}

void scan_begin(struct scan *s, const struct scan_request *req, const struct scan_tools *tools, struct trust *trust)
{
    s->req = *req;
    s->tools = tools;
    s->trust = trust_hold(trust);
    s->uid = uuid7_make();
    s->started_us = clock_mono_us();
    s->err = ERR_INIT;
    s->score.none = true;
    s->observes = atomic_load_explicit(&req->listener->observe, memory_order_relaxed);
    if (req->class == CLASS_SCAN) {
        s->req.user = SPAN_NONE;         /* who is signed in is for the MTA to say */
        s->req.drops_recipients = false; /* one verdict a scan, not one a recipient */
        s->refused = !allowance_take(tools->allowance, &req->peer, req->nrcpt, s->started_us);
    }
}

void scan_end(struct scan *s)
{
    struct arena arena = s->arena;

    scan_repeat_drop(s);
    scan_people_drop(s);
    trust_drop(&s->trust);
    arena_reset(&arena);
    memset(s, 0, sizeof *s);
    s->arena = arena;
}

void scan_free(struct scan **sp)
{
    if (*sp == NULL)
        return;
    scan_end(*sp);
    arena_fini(&(*sp)->arena);
    free(*sp);
    *sp = NULL;
}

const char *scan_excuse(const struct scan *s)
{
    return s->excuse != NULL ? s->excuse : "the rules cannot be read at the moment";
}

int scan_full(struct scan *s)
{
    s->excuse = "the request needs too much memory";
    return err_set(&s->err, ERR_LIMIT, "%s", s->excuse);
}

/* ---- how a stage ends ---- */

static enum scan_step go_on(struct scan *s, enum scan_stage next)
{
    s->stage = next;
    return SCAN_DONE;
}

/* s->err says why. */
static enum scan_step give_up(struct scan *s)
{
    s->failed = true;
    return go_on(s, STAGE_OVER);
}

/* ---- the stages ---- */

/* A log that cannot be written is no reason to lose rows: the sender waits instead. */
static bool log_is_behind(const struct scan *s)
{
    return s->req.class == CLASS_MTA && s->tools->journal != NULL &&
           journal_lag_us(s->tools->journal, clock_mono_us()) > SCAN_LAG_US;
}

static enum scan_step begin(struct scan *s)
{
    int rc;

    if (!s->on_worker && s->req.nrcpt > SCAN_LOOP_RCPTS)
        return SCAN_HEAVY;
    if (log_is_behind(s)) {
        if (s->waited) {
            s->excuse = "the message log is behind, try again later";
            err_set(&s->err, ERR_BUSY, "the message log is behind");
            return give_up(s);
        }
        s->waited = true;
        return SCAN_LATER;
    }
    if ((rc = scan_repeat_find(s)) > 0)
        return SCAN_ASKS;
    if (rc < 0)
        return give_up(s);
    return go_on(s, s->given.p != NULL ? STAGE_OVER : STAGE_RESOLVE);
}

static enum scan_step resolve(struct scan *s)
{
    int rc = scan_people_find(s);

    if (rc > 0)
        return SCAN_ASKS;
    return rc < 0 ? give_up(s) : go_on(s, STAGE_JUDGE);
}

static enum scan_step judge_then(struct scan *s, enum scan_stage next)
{
    if (!s->on_worker && s->req.message.n > SCAN_LOOP_BYTES)
        return SCAN_HEAVY;
    if (scan_judge(s) < 0)
        return s->err.code == ERR_BUSY && !s->on_worker ? SCAN_HEAVY : give_up(s);
    return go_on(s, next);
}

static enum scan_step ask(struct scan *s)
{
    if (s->req.answered != NULL)
        return go_on(s, STAGE_ANSWER); /* the scanner was asked elsewhere */
    if (scan_sends_too_much(s))
        return go_on(s, STAGE_SETTLE);
    if (!scan_scanner_wanted(s))
        return go_on(s, STAGE_RELEASED);
    s->stage = STAGE_ANSWER;
    scan_scanner_ask(s);
    return SCAN_ASKS;
}

/* Once in a while, not for every message. */
static void warn(const char *event, const struct err *e)
{
    static _Atomic int64_t told_us;
    int64_t                now = clock_mono_us(), last = atomic_load(&told_us);

    if ((last == 0 || now - last > WARN_US) && atomic_compare_exchange_strong(&told_us, &last, now))
        log_err(LOG_LEVEL_WARNING, event, e);
}

/* Without an answer the rules alone decide, or the sender comes again, where there still is one to tell. In observe
 * mode the caller has to see what it would have seen without us. */
static enum scan_step answer(struct scan *s)
{
    if (scan_scanner_take(s) == 0)
        return go_on(s, STAGE_JUDGE_AGAIN);
    warn("the scanner did not answer", &s->err);
    if (s->observes)
        return give_up(s);
    if (s->tools->settings->rulesd.scanner_down == SCANNER_DOWN_DEFER && !s->req.listener->post)
        scan_put_off(s);
    return go_on(s, STAGE_SETTLE);
}

static enum scan_step released(struct scan *s)
{
    if (!scan_released(s)) {
        if (scan_own(s))
            scan_own_judge(s);
        return go_on(s, STAGE_SETTLE);
    }
    if (s->lifted.protected_defer) {
        scan_released_put_off(s);
        return go_on(s, STAGE_SETTLE);
    }
    s->stage = STAGE_SPENT;
    scan_released_spend(s);
    return SCAN_ASKS;
}

static enum scan_step spent(struct scan *s)
{
    scan_released_judge(s);
    return go_on(s, STAGE_SETTLE);
}

static bool is_logged(const struct scan *s)
{
    return s->req.class == CLASS_MTA && s->req.nrcpt > 0 && (!s->bypassed || s->own) &&
           (s->tools->journal != NULL || scan_may_hold(s));
}

/* It ends with nothing in custody, and the row says so. */
static enum scan_step record_unheld(struct scan *s)
{
    return record_make(s, false) < 0 ? give_up(s) : go_on(s, STAGE_OVER);
}

static enum scan_step hold(struct scan *s)
{
    s->stage = STAGE_HELD;
    if (scan_hold(s) == 0)
        return SCAN_ASKS;
    scan_put_off(s);
    return record_unheld(s);
}

static enum scan_step settle(struct scan *s)
{
    bool may_hold = scan_may_hold(s);

    if (!s->stopped && scan_settle(s, may_hold) < 0)
        return give_up(s);
    if (!is_logged(s))
        return go_on(s, STAGE_OVER);
    if (record_make(s, may_hold && !s->stopped) < 0)
        return give_up(s);
    if (s->record.kept)
        return hold(s);
    if (s->req.no_log)
        record_settled_only(s);
    return go_on(s, STAGE_OVER);
}

static enum scan_step held(struct scan *s)
{
    if (s->hold.rc == 0)
        return go_on(s, STAGE_OVER);
    s->err = s->hold.err;
    log_err(LOG_LEVEL_ERROR, "a message could not be taken into custody", &s->err);
    if (s->req.answered != NULL)
        return give_up(s); /* there is nothing to put off any more: who handed it over has to hear of it */
    if (!s->req.listener->post)
        scan_put_off(s);
    else if (scan_settle(s, false) < 0) /* accepted already: what cannot be held is tagged */
        return give_up(s);
    return record_unheld(s);
}

/* ---- the machine ---- */

static enum scan_step run_stage(struct scan *s)
{
    switch (s->stage) {
    case STAGE_BEGIN: return begin(s);
    case STAGE_RESOLVE: return resolve(s);
    case STAGE_JUDGE: return judge_then(s, STAGE_ASK);
    case STAGE_ASK: return ask(s);
    case STAGE_ANSWER: return answer(s);
    case STAGE_JUDGE_AGAIN: return judge_then(s, STAGE_RELEASED);
    case STAGE_RELEASED: return released(s);
    case STAGE_SPENT: return spent(s);
    case STAGE_SETTLE: return settle(s);
    case STAGE_HELD: return held(s);
    case STAGE_OVER: break;
    }
    return SCAN_DONE;
}

static enum scan_step run(struct scan *s)
{
    enum scan_step step = run_stage(s);

    while (step == SCAN_DONE && s->stage != STAGE_OVER)
        step = run_stage(s);
    return step;
}

enum scan_step scan_run(struct scan *s)
{
    if (s->refused)
        return SCAN_DONE;
    if (!log_wants(LOG_LEVEL_INFO))
        return run(s);

    bool           on_loop = !s->on_worker;
    int64_t        before = clock_thread_cpu_us();
    enum scan_step step = run(s);
    if (step != SCAN_ASKS || on_loop) /* else it may be with somebody else by now */
        s->cpu_us += clock_thread_cpu_us() - before;
    return step;
}
