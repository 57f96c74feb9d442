/* rulesd/scan_settle.c - see scan_settle.h. */
#include "scan_settle.h"

#include "scan/findings.h"
#include "scan_judge.h"
#include "scan_people.h"
#include "scan_scanner.h"

/* ---- decided elsewhere ---- */

/* What it came to elsewhere. Refused: a domain that would rather hold such mail than refuse it has a copy of it
 * held. */
static enum action dealt_with(const struct scan *s, size_t i, enum action done)
{
    const struct verdict      *v = &s->verdicts[i];
    const struct dispositions *d = &audience_domain(scan_rcpt_audience(s, i))->dispositions;

    if (done != ACTION_REJECT && done != ACTION_DISCARD)
        return done;
    if (v->action == ACTION_QUARANTINE || v->action == ACTION_DISCARD)
        return v->action;
    if (v->by_protected || v->rule == VERDICT_BLOCK ||
        (d->at_reject != ACTION_QUARANTINE && d->at_reject != ACTION_DISCARD))
        return done;
    return d->at_reject;
}

static void settle_elsewhere(struct scan *s)
{
    const struct rspamd_reply *r = &s->answer->reply;
    enum action                done = r->discard ? ACTION_DISCARD : findings_action(r);

    for (size_t i = 0; i < s->nverdicts; i++)
        s->verdicts[i].action = s->verdicts[i].after_defer = dealt_with(s, i, done);
    s->outcome = (struct outcome){.action = done,
                                  .wish = done,
                                  .score = r->score,
                                  .thresholds = s->verdicts[0].thresholds,
                                  .rule = s->nverdicts == 1 ? s->verdicts[0].rule : VERDICT_NONE};
}

/* ---- decided here ---- */

int scan_settle(struct scan *s, bool may_hold)
{
    struct caller caller = {.drops_recipients = s->req.drops_recipients,
                            .discards = s->req.listener->discards && s->req.class == CLASS_MTA,
                            .custody = may_hold,
                            .post = s->req.listener->post};

    if (s->req.answered != NULL) {
        settle_elsewhere(s);
        return 0;
    }
    if (s->answer != NULL && !s->bypassed)
        scan_scanner_heed(s);
    scan_greylist(s);
    return decide_outcome(s->verdicts, s->nverdicts, &caller, &s->arena, &s->outcome, &s->err);
}

/* ---- whatever the verdicts are ---- */

/* The same for all, for a reason that is not in any verdict; nothing is kept. */
static void stop(struct scan *s, enum action action, struct span notice)
{
    s->stopped = true;
    s->notice = notice;
    s->outcome.action = s->outcome.wish = action;
    s->outcome.rule = VERDICT_NONE;
    s->outcome.nremoved = 0;
    s->outcome.split_tag = false;
    s->outcome.score = s->score.total;
    if (s->nverdicts > 0)
        s->outcome.thresholds = s->verdicts[0].thresholds;
}

void scan_put_off(struct scan *s) { stop(s, ACTION_DEFER, SPAN("Temporarily unavailable, please try again later")); }

bool scan_sends_too_much(struct scan *s)
{
    const struct sending_facts f = {.user = s->req.user,
                                    .sender = s->has_from ? s->from.full : s->req.from,
                                    .ip = s->req.ip,
                                    .queue_id = s->req.queue_id,
                                    .nrcpt = s->req.nrcpt,
                                    .now_us = s->facts.now_us};
    enum sending_verdict       v;

    if (s->tools->sending == NULL || s->req.class != CLASS_MTA || s->req.user.n == 0 || s->observes)
        return false;
    v = sending_ask(s->tools->sending, &f);
    if (v == SENDING_OK)
        return false;

    struct span text = span_of(sending_text(v));
    text = span_trim(span_skip(text, span_chr(text, ' '))); /* the caller puts the code there */
    err_set(&s->err, ERR_LIMIT, "%.*s", SPAN_ARG(text));
    stop(s, v == SENDING_BLOCKED ? ACTION_REJECT : ACTION_DEFER, text);
    return true;
}
