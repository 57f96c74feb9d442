/* rulesd/scan_scanner.c - see scan_scanner.h. */
#include "scan_scanner.h"

#include "scan/findings.h"
#include "scan_people.h"
#include "scan_released.h"

/* ---- is it to be asked? ---- */

/* An allow that waits for the sender to be proven could still outrank the block. */
static bool waits_for_proof(const struct decision *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->all[i].m.why == WHY_NOT_PROVEN)
            return true;
    return false;
}

/* Not where every recipient refuses the message already, whatever it is. Who would hold it needs to know of a
 * virus, and so does who let it go. */
bool scan_scanner_wanted(struct scan *s)
{
    if (s->tools->scanner == NULL)
        return false;
    if (s->observes)
        return true;
    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct verdict *v = &s->verdicts[i];

        if (v->rule != VERDICT_BLOCK || v->action != ACTION_REJECT || waits_for_proof(&v->decision))
            return true;
    }
    return scan_released(s);
}

/* ---- the question ---- */

/* For whom the scanner scans, and later learns: the domain that all recipients share. */
static struct span common_domain(const struct scan *s)
{
    struct span domain = SPAN_NONE;

    for (size_t i = 0; i < s->nverdicts; i++) {
        const struct store_resolved *who = audience_who(s->rcpts[i].audience);

        if (!who->ours || (domain.n > 0 && !span_is(domain, who->domain_name)))
            return SPAN_NONE;
        domain = span_of(who->domain_name);
    }
    return domain;
}

static void scanner_done(struct scanner_ask *ask)
{
    struct scan *s = HOLDER(ask, struct scan, ask);

    s->wake(s->wake_ctx);
}

/* Where the client stands behind a relay of ours, what was stated is the relay's, and passes SPF for whoever
 * lists it. */
static struct span client_text(struct scan *s)
{
    char text[IP_TEXT];

    if (!s->facts.has_ip)
        return SPAN_NONE;
    ip_format(&s->facts.ip, text);
    return arena_dup(&s->arena, span_of(text));
}

void scan_scanner_ask(struct scan *s)
{
    s->ask = (struct scanner_ask){
        .message = s->req.message,
        .from = s->req.from,
        .rcpt = s->req.rcpt,
        .nrcpt = s->req.nrcpt,
        .ip = client_text(s),
        .helo = s->facts.helo,
        .hostname = s->facts.no_host ? s->req.hostname : s->facts.host,
        .user = s->req.user,
        .queue_id = s->req.queue_id,
        .deliver_to = common_domain(s),
        .arena = &s->arena,
        .done = scanner_done,
    };
    scanner_put(s->tools->scanner, &s->ask);
}

/* ---- the answer ---- */

int scan_scanner_take(struct scan *s)
{
    bool null_sender = s->has_from && s->from.full.n == 0; /* which one that we cannot read is not */

    if (s->req.answered != NULL) /* elsewhere, and dealt with */
        s->ask.answer = *s->req.answered;
    else if (s->ask.rc < 0) {
        s->err = s->ask.err;
        return -1;
    }
    s->answer = &s->ask.answer;
    s->ask.answer.envelope_told &= findings_sender_is_plain(s->req.from);
    findings_proof(s->answer, s->has_from ? s->from.domain : SPAN_NONE, null_sender ? s->facts.helo : SPAN_NONE,
                   &s->arena, &s->facts.proof);
    findings_score(s->answer, &s->tools->settings->rules.protected_symbols, NULL, &s->score);
    return s->arena.full ? err_set(&s->err, ERR_LIMIT, "the scanner's answer needs too much memory") : 0;
}

/* On purpose: it asks the sender to come again (its own greylisting, a rate limit), or refuses at a score below
 * its own limit (a policy of its operator's). Scores are ours to judge. */
void scan_scanner_heed(struct scan *s)
{
    const struct rspamd_reply *r = &s->answer->reply;
    bool                       refuses = r->action == RSPAMD_REJECT && r->score < r->required_score;

    for (size_t i = 0; i < s->nverdicts; i++) {
        struct verdict *v = &s->verdicts[i];

        if (v->rule != VERDICT_NONE || v->action > ACTION_TAG)
            continue; /* what was deferred for a protected finding is that already, for everybody */
        if (refuses)
            v->action = v->after_defer = audience_domain(scan_rcpt_audience(s, i))->dispositions.at_reject;
        else if (r->action == RSPAMD_SOFT_REJECT)
            v->action = ACTION_DEFER;
    }
}
