/* lib/rules/cover.c - see cover.h. */
#include "rules/cover.h"

#include "mail/domain.h"
#include "rules/wildcard.h"

/* ---- entries ------------------------------------------------------------------------------------------------------ */

/* What stands behind the "@" of a wildcard, if that is plain. */
static struct span plain_domain(struct span pattern)
{
    size_t      at = span_rchr(pattern, '@');
    struct span domain = span_skip(pattern, at + 1);

    for (size_t i = 0; i < domain.n; i++)
        if (strchr("*?[]|\\", domain.p[i]) != NULL)
            return SPAN_NONE;
    return at < pattern.n && domain.n > 0 ? domain : SPAN_NONE;
}

struct span entry_domain(const struct entry *x)
{
    switch (x->kind) {
    case ENTRY_ADDRESS: return span_skip(x->text, span_rchr(x->text, '@') + 1);
    case ENTRY_DOMAIN:
    case ENTRY_DOMAIN_ALONE:
    case ENTRY_SUBDOMAINS: return x->text;
    case ENTRY_WILDCARD: return plain_domain(x->text);
    case ENTRY_TEXT:
    case ENTRY_REGEX:
    case ENTRY_NULL_SENDER:
    case ENTRY_IP:
    case ENTRY_ATTACHMENT: break;
    }
    return SPAN_NONE;
}

static bool is_below(struct span domain, struct span parent)
{
    return domain.n > parent.n && domain_is_within(domain, parent);
}

/* Of senders, recipients, hosts, signers. */
static bool name_covers(const struct entry *x, const struct entry *y)
{
    struct span domain = entry_domain(y);
    bool        one = y->kind == ENTRY_ADDRESS || y->kind == ENTRY_DOMAIN_ALONE || y->kind == ENTRY_WILDCARD;

    if (x->kind == y->kind && span_eq(x->text, y->text))
        return true;
    switch (x->kind) {
    case ENTRY_DOMAIN: return domain.n > 0 && domain_is_within(domain, x->text);
    case ENTRY_DOMAIN_ALONE: return one && domain.n > 0 && span_eq(domain, x->text);
    case ENTRY_SUBDOMAINS:
        return domain.n > 0 && (is_below(domain, x->text) || (y->kind == ENTRY_SUBDOMAINS && span_eq(domain, x->text)));
    case ENTRY_ADDRESS:
    case ENTRY_WILDCARD:
    case ENTRY_TEXT:
    case ENTRY_REGEX:
    case ENTRY_NULL_SENDER:
    case ENTRY_IP:
    case ENTRY_ATTACHMENT: break;
    }
    return false;
}

/* A wildcard is asked about a whole address, or a host's whole name. */
static bool wildcard_covers(const struct condition *a, const struct entry *x, const struct entry *y)
{
    bool whole = y->kind == ENTRY_ADDRESS || (a->kind == COND_HOST && y->kind == ENTRY_DOMAIN_ALONE);

    return x->kind == ENTRY_WILDCARD && whole && wildcard_match(x->text, y->text);
}

static bool text_covers(const struct condition *a, struct span x, const struct condition *b, struct span y)
{
    switch (a->match) {
    case MATCH_EXACT: return b->match == MATCH_EXACT && span_eq(x, y);
    case MATCH_CONTAINS: return b->match != MATCH_REGEX && (x.n == 0 || span_find(y, x) < y.n);
    case MATCH_STARTS_WITH: return (b->match == MATCH_EXACT || b->match == MATCH_STARTS_WITH) && span_starts(y, x);
    case MATCH_ENDS_WITH: return (b->match == MATCH_EXACT || b->match == MATCH_ENDS_WITH) && span_ends(y, x);
    case MATCH_REGEX: return b->match == MATCH_REGEX && span_eq(x, y);
    }
    return false;
}

/* A key that is not there takes every value. */
static bool key_covers(struct span x, struct span y)
{
    if (x.p == NULL || span_is(x, "*"))
        return true;
    return y.p != NULL && (span_eq(x, y) || (!wildcard_is(y) && wildcard_match(x, y)));
}

static bool attachment_covers(const struct attachment_entry *x, const struct attachment_entry *y)
{
    bool same = key_covers(x->extension, y->extension) && key_covers(x->mime_type, y->mime_type) &&
                key_covers(x->filename, y->filename);
    bool none_x = x->has_present && !x->present, none_y = y->has_present && !y->present;
    bool keys_x = x->extension.p != NULL || x->mime_type.p != NULL || x->filename.p != NULL;

    return none_x || none_y ? none_x && none_y && !keys_x : same;
}

bool entry_covers(const struct condition *a, const struct entry *x, const struct condition *b, const struct entry *y)
{
    switch (a->kind) {
    case COND_SENDER:
    case COND_RECIPIENT:
    case COND_HOST:
    case COND_SIGNED_BY: return name_covers(x, y) || wildcard_covers(a, x, y);
    case COND_SUBJECT:
    case COND_BODY:
    case COND_HEADER: return text_covers(a, x->text, b, y->text);
    case COND_IP: return ip_cmp(&x->ip.first, &y->ip.first) <= 0 && ip_cmp(&x->ip.last, &y->ip.last) >= 0;
    case COND_ATTACHMENT: return attachment_covers(&x->attachment, &y->attachment);
    case COND_SIZE:
    case COND_KINDS: break;
    }
    return false;
}

/* ---- conditions --------------------------------------------------------------------------------------------------- */

static bool looks_at_a_side(enum condition_kind k) { return k == COND_SENDER || k == COND_IP || k == COND_HOST; }

/* Does what one action asks of several From addresses, or of a HELO, make a difference? See evaluate.h. */
static bool actions_agree(const struct rule *ra, const struct rule *rb, const struct condition *b)
{
    if (ra->action == rb->action || ra->action == RULE_BLOCK)
        return true;
    if (b->kind == COND_SENDER)
        return b->source == SOURCE_ENVELOPE;
    return b->kind != COND_HOST || b->negated;
}

bool condition_fits(const struct rule *ra, const struct condition *a, const struct rule *rb, const struct condition *b,
                    bool loose)
{
    const struct condition *wide = a->negated ? b : a, *narrow = a->negated ? a : b;

    if (a->kind != b->kind || a->negated != b->negated || (a->kind == COND_HEADER && !span_eq(a->header, b->header)) ||
        a->case_sensitive != b->case_sensitive)
        return false;
    if (a->kind == COND_SENDER && (wide->source & narrow->source) != narrow->source)
        return false;
    if (a->negated && looks_at_a_side(a->kind) && ra->flow != rb->flow)
        return false;
    return loose || actions_agree(ra, rb, b);
}

static bool entries_cover(const struct condition *a, const struct condition *b, size_t *steps)
{
    for (size_t i = 0; i < b->nany; i++) {
        size_t k = 0;

        while (k < a->nany && !entry_covers(a, &a->any[k], b, &b->any[i]))
            k++;
        *steps += k + 1;
        if (k == a->nany)
            return false;
    }
    return true;
}

bool condition_covers(const struct rule *ra, const struct condition *a, const struct rule *rb,
                      const struct condition *b, bool loose, size_t *steps)
{
    const struct condition *wide = a->negated ? b : a, *narrow = a->negated ? a : b;

    *steps += 1;
    if (!condition_fits(ra, a, rb, b, loose))
        return false;
    if (a->kind == COND_SIZE)
        return wide->size_min <= narrow->size_min && wide->size_max >= narrow->size_max;
    return entries_cover(wide, narrow, steps);
}

/* ---- rules -------------------------------------------------------------------------------------------------------- */

static const struct condition *next_plain(const struct rule *r, enum condition_kind kind, size_t *at)
{
    while (*at < r->nconditions) {
        const struct condition *c = &r->conditions[(*at)++];

        if (c->kind == kind && !c->negated)
            return c;
    }
    return NULL;
}

static bool has_plain(const struct rule *r, enum condition_kind kind)
{
    size_t at = 0;

    return next_plain(r, kind, &at) != NULL;
}

bool rule_asks_proof(const struct rule *a)
{
    bool pinned = has_plain(a, COND_SIGNED_BY) || (has_plain(a, COND_IP) && a->flow == FLOW_FROM);

    return a->action == RULE_ALLOW && a->require_proof && !pinned && has_plain(a, COND_SENDER);
}

static bool all_of_source(const struct rule *r, enum rule_source source)
{
    const struct condition *c;
    size_t                  at = 0;

    while ((c = next_plain(r, COND_SENDER, &at)) != NULL)
        if (c->source != source)
            return false;
    return true;
}

/* Where b holds its sender is proven, by the same addresses that a would ask about. */
static bool proof_carries(const struct rule *a, const struct rule *b)
{
    size_t at = 0;

    if (!rule_asks_proof(a))
        return true;
    if (!rule_asks_proof(b) || has_plain(b, COND_IP) || a->flow != FLOW_FROM || b->flow != FLOW_FROM)
        return false;
    enum rule_source source = next_plain(a, COND_SENDER, &at)->source;
    return all_of_source(a, source) && all_of_source(b, source);
}

bool rule_stands(const struct rule *a, const struct rule *b, bool loose)
{
    bool outlives = a->expires_us == 0 || (b->expires_us != 0 && b->expires_us <= a->expires_us);

    return (a->flow & b->flow) == b->flow && (loose || (outlives && proof_carries(a, b)));
}
