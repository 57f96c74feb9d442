/* lib/rules/evaluate_condition.c - is one condition true, false or unknown? evaluate.h says what missing facts mean. */
#include "base/utf8.h"
#include "mail/text.h"
#include "rules/evaluation.h"
#include "rules/origin.h"
#include "rules/wildcard.h"

static const char UNDECODABLE[] = "cannot be decoded", NOT_STATED[] = "not stated", TIME[] = "time";
static const char MATCH_LIMIT[] = "match limit";

bool match_hit_limit(const struct match *m) { return m->limit == TIME || m->limit == MATCH_LIMIT; }

static struct finding found(enum fact truth, const char *limit)
{
    return (struct finding){.truth = (uint8_t)truth, .limit = truth == FACT_UNKNOWN ? limit : NULL};
}

static struct finding unknown(const char *limit) { return found(FACT_UNKNOWN, limit); }

static struct finding no(void) { return found(FACT_NO, NULL); }

/* The stronger of two: yes before unknown before no. */
struct finding finding_or(struct finding a, struct finding b)
{
    static const uint8_t weight[] = {[FACT_NO] = 0, [FACT_UNKNOWN] = 1, [FACT_YES] = 2};
    struct finding       best = weight[b.truth] > weight[a.truth] ? b : a;

    if (a.truth == FACT_YES && b.truth == FACT_YES)
        best.proven = a.proven || b.proven;
    if (best.seen.n == 0)
        best.seen = a.seen.n > 0 ? a.seen : b.seen;
    return best;
}

static struct finding finding_and(struct finding a, struct finding b)
{
    static const uint8_t weight[] = {[FACT_NO] = 2, [FACT_UNKNOWN] = 1, [FACT_YES] = 0};

    return weight[b.truth] > weight[a.truth] ? b : a;
}

/* ---- The entries to try ---- */

static size_t nentries(const struct question *q) { return q->some ? q->nkeys : q->condition->nentries; }

static const struct stored_entry *entry_at(const struct question *q, size_t i)
{
    return &q->rs->entries[q->some ? (uint32_t)q->keys[i] : q->condition->entries + i];
}

static uint32_t index_of(const struct question *q, const struct stored_entry *e)
{
    return (uint32_t)(e - q->rs->entries);
}

static struct finding by_entry(const struct question *q, const struct stored_entry *e)
{
    struct finding f = found(FACT_YES, NULL);

    f.entry = index_of(q, e);
    return f;
}

/* ---- Regexes ---- */

/* The budget of the message, cut to what is left before yield_us. */
static struct regex_budget slice_of(const struct evaluation *ev)
{
    struct regex_budget slice = ev->regex_budget;
    int64_t             left = ev->facts->yield_us;

    if (left > 0 && slice.left_us > left)
        slice.left_us = left;
    return slice;
}

/* The text is valid UTF-8. `folded` holds all of it: without the literal of the regex there is no match, and so no limit that
 * could be hit on the way, whoever looks. */
static struct finding regex_finding(const struct question *q, const struct stored_entry *e, struct span text,
                                    struct span folded)
{
    const struct stored_pattern *p = &q->rs->patterns[e->extra];
    struct regex                *r = regex_at(q->rs->regexes, p->regex);
    struct evaluation           *ev = q->ev;
    struct regex_budget          slice = slice_of(ev), scope_before = *q->scope_budget;
    int64_t                      given = slice.left_us;
    enum regex_outcome           out;

    if (p->n > 0 && span_find(folded, ruleset_text(q->rs, p->literal, p->n)) == folded.n)
        return no();
    if (evaluation_spend(ev, 16 + text.n / 64))
        return unknown(TIME);
    if (ev->facts->yield_us > 0 && regex_took_long(r)) {
        ev->busy = true;
        return unknown(TIME);
    }
    out = regex_match(r, text, q->scope_budget, &slice);
    if (out == REGEX_LIMIT && slice.tripped && !ev->regex_budget.tripped && given < ev->regex_budget.left_us) {
        *q->scope_budget = scope_before; /* it starts again elsewhere */
        ev->busy = true;
        return unknown(TIME);
    }
    ev->regex_budget.left_us -= given - slice.left_us;
    ev->regex_budget.tripped |= slice.tripped;
    if (out == REGEX_YES)
        return by_entry(q, e);
    if (out == REGEX_NO)
        return no();
    ev->regex_limits++;
    return unknown(q->scope_budget->tripped || slice.tripped ? TIME : MATCH_LIMIT);
}

/* ---- Addresses and names ---- */

/* `whole` is what wildcards, regexes and addresses compare, `domain` what domains do. */
static struct finding name_entry(const struct question *q, const struct stored_entry *e, struct span whole,
                                 struct span domain)
{
    struct span text = entry_text(q->rs, e);
    bool        yes = false;

    switch ((enum entry_kind)e->kind) {
    case ENTRY_ADDRESS: yes = span_eq(text, whole); break;
    case ENTRY_DOMAIN: yes = domain_is_within(domain, text); break;
    case ENTRY_DOMAIN_ALONE: yes = span_eq(domain, text); break;
    case ENTRY_SUBDOMAINS: yes = domain.n > text.n && domain_is_within(domain, text); break;
    case ENTRY_WILDCARD: yes = wildcard_match(text, whole); break;
    case ENTRY_REGEX:
        if (!utf8_valid(whole))
            whole = text_fold(whole, q->ev->arena);
        return regex_finding(q, e, whole, whole);
    case ENTRY_TEXT:
    case ENTRY_NULL_SENDER: /* asked for by itself */
    case ENTRY_IP:
    case ENTRY_ATTACHMENT: break;
    }
    return yes ? by_entry(q, e) : no();
}

static struct finding names(const struct question *q, struct span whole, struct span domain)
{
    struct finding best = no();

    for (size_t i = 0; i < nentries(q) && best.truth != FACT_YES && whole.n > 0; i++) {
        const struct stored_entry *e = entry_at(q, i);

        if (evaluation_spend(q->ev, e->kind == ENTRY_WILDCARD ? 1 + whole.n / 4 : 1))
            return finding_or(best, unknown(TIME));
        best = finding_or(best, name_entry(q, e, whole, domain));
    }
    best.seen = whole;
    return best;
}

/* ---- Senders ---- */

/* Does it hold for all From addresses, or for one? See evaluate.h; a `not` turns it round. */
static bool needs_all(const struct question *q)
{
    bool negated = q->condition->flags & CONDITION_NOT;

    return (q->rule->action == RULE_ALLOW) != negated;
}

static bool wants_proof(const struct question *q)
{
    return q->rule->action == RULE_ALLOW && (q->rule->flags & RULE_PROOF);
}

static bool from_proven(const struct question *q)
{
    struct proof          p = q->ev->facts->proof;
    const struct address *list;
    size_t                n;

    if (evaluation_from(q->ev, &list, &n) != FACT_YES)
        return false;
    p.dmarc_pass = p.dmarc_pass && n == 1;
    for (size_t i = 0; i < n; i++) {
        if (evaluation_spend(q->ev, 16) || !proof_covers(&p, &list[i]))
            return false;
    }
    return n > 0;
}

static bool envelope_proven(const struct question *q)
{
    struct proof p = q->ev->facts->proof;

    p.dmarc_pass = false;
    return proof_covers(&p, &q->ev->facts->envelope_from);
}

static struct finding sender_by_from(const struct question *q)
{
    const struct address *list;
    size_t                n;
    enum fact             known = evaluation_from(q->ev, &list, &n);
    bool                  all = needs_all(q);
    struct finding        f = no();

    for (size_t i = 0; i < n; i++) {
        struct finding one = names(q, list[i].full, list[i].domain);

        f = i == 0 ? one : all ? finding_and(f, one) : finding_or(f, one);
        if (f.truth == (all ? FACT_NO : FACT_YES))
            break;
    }
    if (known == FACT_UNKNOWN)
        f = all && n > 0 ? finding_and(f, unknown(UNDECODABLE)) : finding_or(f, unknown(UNDECODABLE));
    f.proven = f.truth == FACT_YES && wants_proof(q) && from_proven(q);
    return f;
}

static struct finding sender_by_envelope(const struct question *q)
{
    const struct facts *facts = q->ev->facts;
    struct finding      f;

    if (!facts->has_envelope_from)
        return unknown(NOT_STATED);
    f = names(q, facts->envelope_from.full, facts->envelope_from.domain);
    f.proven = f.truth == FACT_YES && wants_proof(q) && envelope_proven(q);
    return f;
}

static struct finding sender_by_null(const struct question *q)
{
    const struct facts *facts = q->ev->facts;

    for (size_t i = 0; i < nentries(q); i++) {
        struct finding f;

        if (entry_at(q, i)->kind != ENTRY_NULL_SENDER)
            continue;
        if (!facts->has_envelope_from)
            return unknown(NOT_STATED);
        if (facts->envelope_from.full.n > 0)
            return no();
        f = by_entry(q, entry_at(q, i));
        f.seen = SPAN("<>");
        f.proven = wants_proof(q) && from_proven(q);
        return f;
    }
    return no();
}

static struct finding sender_finding(const struct question *q)
{
    struct finding f = no();

    if (q->condition->source & SOURCE_FROM)
        f = sender_by_from(q);
    if ((q->condition->source & SOURCE_ENVELOPE) && (f.truth != FACT_YES || !f.proven))
        f = finding_or(f, sender_by_envelope(q));
    return f.truth == FACT_YES && f.proven ? f : finding_or(f, sender_by_null(q));
}

/* ---- Servers ---- */

static struct finding ip_finding(const struct question *q, const struct ip *ip)
{
    for (size_t i = 0; i < nentries(q); i++) {
        const struct stored_entry *e = entry_at(q, i);

        if (evaluation_spend(q->ev, 1))
            return unknown(TIME);
        if (e->kind == ENTRY_IP && ip_block_holds(&q->rs->ips[e->extra], ip))
            return by_entry(q, e);
    }
    return no();
}

static struct span client_text(struct evaluation *ev)
{
    char text[IP_TEXT];

    if (ev->client_text.p == NULL) {
        ip_format(&ev->facts->ip, text);
        ev->client_text = arena_dup(ev->arena, span_of(text));
    }
    return ev->client_text;
}

static struct finding client_ip(const struct question *q)
{
    struct finding f;

    if (!q->ev->facts->has_ip)
        return unknown(NOT_STATED);
    f = ip_finding(q, &q->ev->facts->ip);
    f.by_client = f.truth == FACT_YES;
    f.seen = client_text(q->ev);
    return f;
}

static struct finding client_host(const struct question *q)
{
    struct span    host = evaluation_host(q->ev), helo = evaluation_helo(q->ev);
    bool           helo_counts = q->rule->action == RULE_BLOCK && !(q->condition->flags & CONDITION_NOT);
    struct finding f = names(q, host, host), by_helo;

    if (host.n == 0 && !q->ev->facts->no_host)
        f = unknown(NOT_STATED);
    if (f.truth == FACT_YES || !helo_counts || helo.n == 0)
        return f;
    by_helo = names(q, helo, helo);
    by_helo.by_helo = by_helo.truth == FACT_YES;
    return finding_or(f, by_helo);
}

static struct finding signer_finding(const struct question *q)
{
    const struct proof *p = &q->ev->facts->proof;
    struct finding      f = no();

    if (!p->can_prove)
        return unknown("nothing here checks signatures");
    for (size_t i = 0; i < p->ndkim && f.truth != FACT_YES; i++)
        f = finding_or(f, names(q, p->dkim[i], p->dkim[i]));
    return f;
}

/* ---- Texts ---- */

static bool text_matches(enum rule_match match, struct span hay, struct span needle)
{
    switch (match) {
    case MATCH_EXACT: return span_eq(span_trim(hay), needle);
    case MATCH_CONTAINS: return needle.n == 0 || span_find(hay, needle) < hay.n;
    /* A body's last line end, and blanks around a header, are not what a person means by start and end. */
    case MATCH_STARTS_WITH: return span_starts(hay, needle) || span_starts(span_trim(hay), needle);
    case MATCH_ENDS_WITH: return span_ends(hay, needle) || span_ends(span_trim(hay), needle);
    case MATCH_REGEX: break;
    }
    return false;
}

/* All entries against one text; regexes see its first `cap` bytes. */
static struct finding text_finding(const struct question *q, struct span text, struct span folded, size_t cap)
{
    struct span    hay = q->condition->flags & CONDITION_CASE ? text : folded;
    struct span    head = span_head(text, text.n > cap ? utf8_clip(text, cap) : text.n);
    struct finding best = no();

    for (size_t i = 0; i < nentries(q) && best.truth != FACT_YES; i++) {
        const struct stored_entry *e = entry_at(q, i);

        if (evaluation_spend(q->ev, 1 + hay.n / 64))
            return finding_or(best, unknown(TIME));
        if (e->kind == ENTRY_REGEX)
            best = finding_or(best, regex_finding(q, e, head, folded));
        else if (text_matches((enum rule_match)q->condition->match, hay, entry_text(q->rs, e)))
            best = by_entry(q, e);
    }
    best.seen = text;
    return best;
}

static const char *limit_of(const struct evaluation *ev, const char *otherwise)
{
    const char *limit = message_limit(ev->message);

    return limit != NULL ? limit : otherwise;
}

static struct finding header_finding(const struct question *q)
{
    const struct stored_field *field = &q->rs->fields[q->condition->extra];
    struct span                name = ruleset_text(q->rs, field->name, field->n);
    struct evaluation         *ev = q->ev;
    struct finding             best = no();
    const struct header       *h;
    size_t                     at = 0;
    bool                       limit_hit, any = false;

    message_nheaders(ev->message, &limit_hit);
    while (best.truth != FACT_YES && (h = message_header_next(ev->message, name, &at)) != NULL) {
        bool        clean = true, clean_folded = true;
        struct span text = message_header_text(ev->message, at - 1, &clean);
        struct span folded = message_header_folded(ev->message, at - 1, &clean_folded);

        any = true;
        if (evaluation_spend(ev, 1))
            return finding_or(best, unknown(TIME));
        best = finding_or(best, text_finding(q, text, folded, REGEX_HEADER_MAX));
        if (!clean || !clean_folded || h->body.n > MESSAGE_HEADER_MAX)
            best = finding_or(best, unknown(UNDECODABLE));
    }
    if (!any && !limit_hit)
        return text_finding(q, SPAN(""), SPAN(""), REGEX_HEADER_MAX);
    return limit_hit ? finding_or(best, unknown(limit_of(ev, "headers"))) : best;
}

static struct finding body_finding(const struct question *q)
{
    bool                       source = q->condition->match == MATCH_REGEX;
    const struct message_text *list;
    size_t                     n;
    enum fact                  known = evaluation_texts(q->ev, source, &list, &n);
    struct finding             best = no();

    for (size_t i = 0; i < n && best.truth != FACT_YES; i++) {
        if (q->ev->busy)
            return unknown(TIME);
        best = finding_or(best, text_finding(q, list[i].text, list[i].folded, REGEX_BODY_MAX));
        if (!list[i].clean)
            best = finding_or(best, unknown(limit_of(q->ev, UNDECODABLE)));
    }
    best.seen = SPAN_NONE;
    return known == FACT_UNKNOWN ? finding_or(best, unknown(limit_of(q->ev, UNDECODABLE))) : best;
}

/* ---- Attachments ---- */

static bool key_matches(const struct question *q, const struct stored_attachment *t, size_t key, struct span value)
{
    return t->key[key] == 0 || wildcard_match(ruleset_text(q->rs, t->key[key], t->n[key]), value);
}

static struct finding attachment_keys(const struct question *q, const struct stored_entry *e,
                                      const struct attachment *a)
{
    const struct stored_attachment *t = &q->rs->attachments[e->extra];

    if (!key_matches(q, t, 1, a->type))
        return no();
    if (key_matches(q, t, 0, a->extension) && key_matches(q, t, 2, a->name))
        return by_entry(q, e);
    return a->clean ? no() : unknown(UNDECODABLE);
}

static struct finding attachment_entry(const struct question *q, const struct stored_entry *e,
                                       const struct attachment *list, size_t n, bool limit_hit)
{
    const struct stored_attachment *t = &q->rs->attachments[e->extra];
    bool                            keys = t->key[0] != 0 || t->key[1] != 0 || t->key[2] != 0;
    struct finding                  best = no();

    if (t->has_present && !t->present) { /* what is not there has no name */
        if (keys || n > 0)
            return no();
        return limit_hit ? unknown(limit_of(q->ev, "parts")) : by_entry(q, e);
    }
    for (size_t i = 0; i < n && best.truth != FACT_YES; i++) {
        if (evaluation_spend(q->ev, 4))
            return finding_or(best, unknown(TIME));
        best = finding_or(best, attachment_keys(q, e, &list[i]));
        best.seen = list[i].name;
    }
    return limit_hit ? finding_or(best, unknown(limit_of(q->ev, "parts"))) : best;
}

static struct finding attachment_finding(const struct question *q)
{
    struct finding           best = no();
    bool                     limit_hit;
    size_t                   n;
    const struct attachment *list = evaluation_attachments(q->ev, &n, &limit_hit);

    for (size_t i = 0; i < nentries(q) && best.truth != FACT_YES; i++)
        best = finding_or(best, attachment_entry(q, entry_at(q, i), list, n, limit_hit));
    return best;
}

static struct finding size_finding(const struct question *q)
{
    const struct stored_size *s = &q->rs->sizes[q->condition->extra];
    size_t                    n = message_size_crlf(q->ev->message);
    struct finding            f = found(n >= s->min && n <= s->max ? FACT_YES : FACT_NO, NULL);

    f.seen = arena_printf(q->ev->arena, "%zu bytes", n);
    return f;
}

/* ---- Both sides ---- */

struct finding condition_by_message(const struct question *q)
{
    bool from = q->rule->flow & FLOW_FROM;

    if (q->ev->late)
        return unknown(TIME);
    switch ((enum condition_kind)q->condition->kind) {
    case COND_SENDER: return from ? sender_finding(q) : no();
    case COND_IP: return from ? client_ip(q) : no();
    case COND_HOST: return from ? client_host(q) : no();
    case COND_SUBJECT:
    case COND_HEADER: return header_finding(q);
    case COND_BODY: return body_finding(q);
    case COND_SIZE: return size_finding(q);
    case COND_ATTACHMENT: return attachment_finding(q);
    case COND_SIGNED_BY: return signer_finding(q);
    case COND_RECIPIENT:
    case COND_KINDS: break;
    }
    return no();
}

/* The address as given, and that of the mailbox behind it; what is shown is the one given. */
static struct finding rcpt_finding(const struct question *q, const struct rcpt_facts *rcpt)
{
    struct finding f = names(q, rcpt->given.full, rcpt->given.domain), resolved;

    f.proven = f.truth == FACT_YES;
    if (f.truth == FACT_YES || rcpt->resolved.n == 0 || span_eq(rcpt->resolved, rcpt->given.full))
        return f;
    resolved = names(q, rcpt->resolved, rcpt->resolved_domain);
    resolved.seen = rcpt->given.full;
    resolved.by_resolved = resolved.proven = resolved.truth == FACT_YES;
    return finding_or(f, resolved);
}

static struct finding nexthop_ip(const struct question *q, const struct rcpt_facts *rcpt)
{
    if (!rcpt->has_nexthop_ip)
        return rcpt->nexthop.n > 0 ? unknown("the next hop's address is not known") : no();
    return ip_finding(q, &rcpt->nexthop_ip);
}

struct finding condition_by_rcpt(const struct question *q, const struct rcpt_facts *rcpt)
{
    bool to = q->rule->flow & FLOW_TO;

    if (rcpt == NULL)
        return no();
    if (q->ev->late)
        return unknown(TIME);
    switch ((enum condition_kind)q->condition->kind) {
    case COND_SENDER: return to ? rcpt_finding(q, rcpt) : no();
    case COND_RECIPIENT: return rcpt_finding(q, rcpt);
    case COND_IP: return to ? nexthop_ip(q, rcpt) : no();
    case COND_HOST: return to ? names(q, rcpt->nexthop, rcpt->nexthop) : no();
    default: return no();
    }
}
