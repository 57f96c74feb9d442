/* rulesd/scan_released.c - see scan_released.h. */
#include "scan_released.h"

#include "mail/own_mark.h"
#include "scan/findings.h"
#include "scan_people.h"

/* A field of that name, and who may bring one: the MTA, for one recipient. */
static bool has_field(struct scan *s, struct span name)
{
    size_t at = 0;

    return s->tools->bypasses != NULL && message_header_next(s->message, name, &at) != NULL &&
           s->req.class == CLASS_MTA && s->req.nrcpt == 1 && s->req.answered == NULL;
}

static bool has_pass(struct scan *s)
{
    return has_field(s, SPAN(BYPASS_FIELD)) &&
           bypasses_check(s->tools->bypasses, s->req.message, s->rcpts[0].address.full, s->facts.now_us,
                          &s->pass.bypass);
}

/* What was decided counts as not found. */
static void lift(struct scan *s)
{
    struct lift lift;

    if (s->answer != NULL && lift_read(span_of(s->pass.bypass.lifts), &lift))
        findings_score(s->answer, &s->tools->settings->rules.protected_symbols, &lift, &s->lifted);
}

bool scan_released(struct scan *s)
{
    s->lifted = s->score;
    if (!has_pass(s))
        return false;
    lift(s);
    return true;
}

void scan_released_put_off(struct scan *s)
{
    struct verdict *v = &s->verdicts[0];

    v->rule = VERDICT_NONE;
    v->action = ACTION_DEFER;
    v->by_protected = v->must_wait = true;
}

static void spent(struct bypass_job *job)
{
    struct scan *s = HOLDER(job, struct scan, pass);

    s->wake(s->wake_ctx);
}

void scan_released_spend(struct scan *s)
{
    s->pass.done = spent;
    bypasses_spend(s->tools->bypasses, &s->pass);
}

/* Rules and score are past; what it carries is not. */
static void let_through(struct scan *s, const struct score_parts *found)
{
    struct verdict *v = &s->verdicts[0];
    bool            carries = found->protected_reject ||
                   (v->thresholds.reject < THRESHOLD_OFF && found->protected_sum >= v->thresholds.reject);

    s->bypassed = !carries;
    v->rule = VERDICT_NONE;
    v->action = v->after_defer = carries ? ACTION_REJECT : ACTION_PASS;
    v->by_protected = carries;
    v->score = carries ? v->total : v->total < v->thresholds.add_header ? v->total : 0;
    v->greylist_due = false;
}

void scan_released_judge(struct scan *s)
{
    if (s->pass.good)
        let_through(s, &s->lifted);
}

bool scan_own(struct scan *s)
{
    return has_field(s, SPAN(OWN_MARK_FIELD)) &&
           bypasses_own(s->tools->bypasses, s->req.message, s->rcpts[0].address.full, s->facts.now_us);
}

void scan_own_judge(struct scan *s)
{
    s->own = true;
    if (s->score.protected_defer)
        scan_released_put_off(s);
    else
        let_through(s, &s->score);
}
