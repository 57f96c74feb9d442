/* rulesd/scan_judge.c - see scan_judge.h. */
#include "scan_judge.h"

#include "base/clock.h"
#include "scan_people.h"

/* ---- what is judged ---- */

static void read_facts(struct scan *s)
{
    struct origin_stated stated = {.ip = s->req.ip, .host = s->req.hostname, .helo = s->req.helo};

    if ((s->message = message_open(s->req.message, &s->arena)) == NULL)
        return;
    s->facts = (struct facts){.message = s->message,
                              .arena = &s->arena,
                              .has_envelope_from = s->has_from,
                              .envelope_from = s->from,
                              .now_us = clock_wall_us()};
    origin_facts(&s->trust->origin, &stated, &s->facts);
    s->facts.proof.can_prove |= s->tools->scanner != NULL;
}

static void rcpt_to_judge(struct scan *s, size_t i, struct judge_rcpt *out)
{
    const struct scan_rcpt         *r = &s->rcpts[i];
    bool                            leaves = r->direction == DIRECTION_OUTBOUND;
    const struct audience          *whose = scan_rcpt_audience(s, i);
    const struct store_resolved    *who = audience_who(r->audience);
    const struct store_domain_view *domain = audience_domain(whose);

    *out = (struct judge_rcpt){
        .rcpt = {.given = r->address,
                 .resolved = who->ours && who->has_mailbox ? span_of(who->mailbox_address) : SPAN_NONE,
                 .resolved_domain = who->ours ? span_of(who->domain_name) : SPAN_NONE},
        .scopes = {[SCOPE_GLOBAL] = s->global},
        .assigned = {domain->assigned, domain->nassigned},
        .thresholds = audience_thresholds(whose),
        .dispositions = domain->dispositions,
        .greylisting = domain->greylisting && r->direction == DIRECTION_INBOUND,
        .role_address = !leaves && who->special,
    };
    if (audience_domain(r->audience)->route[0] != '\0')
        origin_nexthop(span_of(audience_domain(r->audience)->route), &s->arena, &out->rcpt);
    struct scope *const *scopes = leaves ? s->sender_scopes : r->scopes;

    out->scopes[SCOPE_DOMAIN] = scopes[SCOPE_DOMAIN];
    out->scopes[SCOPE_MAILBOX] = scopes[SCOPE_MAILBOX];
}

/* ---- the rules ---- */

/* A message has one direction a recipient, an evaluation one for all: those of one direction are judged
 * together. */
static int judge_direction(struct scan *s, enum direction direction, struct judge_rcpt *rcpts, size_t *at)
{
    struct verdict    *verdicts;
    struct evaluation *evaluation;
    size_t             n = 0;

    for (size_t i = 0; i < s->nverdicts; i++) {
        if (s->rcpts[i].direction != direction)
            continue;
        rcpt_to_judge(s, i, &rcpts[n]);
        at[n++] = i;
    }
    if (n == 0)
        return 0;
    s->facts.direction = direction;
    if (judge(&s->facts, rcpts, n, &s->score, false, &verdicts, &evaluation, &s->err) < 0)
        return -1;
    s->regex_limits += evaluation_regex_limits(evaluation);
    for (size_t i = 0; i < n; i++)
        s->verdicts[at[i]] = verdicts[i];
    return 0;
}

int scan_judge(struct scan *s)
{
    if (s->message == NULL)
        read_facts(s);
    if (s->message == NULL || s->arena.full)
        return scan_full(s);

    struct judge_rcpt *rcpts = arena_array(&s->arena, s->nverdicts, sizeof *rcpts);
    size_t            *at = arena_array(&s->arena, s->nverdicts, sizeof *at);

    s->verdicts = arena_array(&s->arena, s->nverdicts, sizeof *s->verdicts);
    if (rcpts == NULL || at == NULL || s->verdicts == NULL)
        return scan_full(s);
    s->facts.yield_us = s->on_worker ? 0 : SCAN_LOOP_US;
    s->regex_limits = 0;
    for (enum direction d = DIRECTION_INBOUND; d <= DIRECTION_LOCAL; d++)
        if (judge_direction(s, d, rcpts, at) < 0)
            return -1;
    return 0;
}

/* ---- the greylist ---- */

/* Only a caller who could turn the sender away, and means it, moves the greylist. */
static bool may_greylist(const struct scan *s)
{
    return s->req.class == CLASS_MTA && !s->observes && !s->req.listener->post && s->req.answered == NULL;
}

void scan_greylist(struct scan *s)
{
    int64_t now = clock_mono_us();

    if (!may_greylist(s))
        return;
    for (size_t i = 0; i < s->nverdicts; i++) {
        struct verdict   *v = &s->verdicts[i];
        struct judge_rcpt r;

        if (!v->greylist_due)
            continue;
        rcpt_to_judge(s, i, &r);
        s->facts.direction = s->rcpts[i].direction;
        if (greylist_ask(s->tools->greylist, &s->facts, &r.rcpt, now) == GREY_NOT_YET)
            *v = decide_deferred(v);
    }
}
