/* lib/rules/rule.c - see rule.h: the words of a rule, and what must not be stored.
 *
 * How broad a rule is: each condition that is not negated says whom it lets through; the narrowest of them counts. Wildcards
 * are judged by an address that they would match, regexes by trying addresses that have nothing in common. */
#include "rules/rule.h"

#include "base/utf8.h"
#include "mail/domain.h"
#include "rules/entry.h"
#include "rules/regex.h"
#include "rules/wildcard.h"

const char *const rule_action_words[] = {"allow", "block", NULL};
const char *const condition_kind_words[] = {"sender", "recipient", "subject",    "body",      "header", "ip",
                                            "host",   "size",      "attachment", "signed_by", NULL};
const char *const rule_match_words[] = {"exact", "contains", "starts_with", "ends_with", "regex", NULL};

const char *rule_action_word(enum rule_action a) { return rule_action_words[a]; }
const char *condition_kind_word(enum condition_kind k) { return condition_kind_words[k]; }
const char *rule_match_word(enum rule_match m) { return rule_match_words[m]; }

const char *rule_flow_word(enum rule_flow f) { return f == FLOW_FROM ? "from" : f == FLOW_TO ? "to" : "from_or_to"; }

const char *rule_source_word(enum rule_source s)
{
    return s == SOURCE_FROM ? "from" : s == SOURCE_ENVELOPE ? "envelope" : "any";
}

void rule_short_id(const struct uuid *id, char out[9])
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < 8; i++)
        out[i] = hex[id->b[12 + i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    out[8] = '\0';
}

/* Insertions, deletions and replacements from a to b, both cut to 32 bytes. */
static size_t distance(struct span a, struct span b)
{
    size_t row[33], n;

    a = span_head(a, 32);
    b = span_head(b, 32);
    for (n = 0; n <= b.n; n++)
        row[n] = n;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t best = diagonal + (a.p[i - 1] != b.p[k - 1]);

            diagonal = row[k];
            best = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
            row[k] = row[k] + 1 < best ? row[k] + 1 : best;
        }
    }
    return row[b.n];
}

const char *word_nearest(struct span text, const char *const *words)
{
    const char *best = words[0];

    for (; *words != NULL; words++) {
        if (distance(text, span_of(*words)) < distance(text, span_of(best)))
            best = *words;
    }
    return best;
}

/* ---- How broad ------------------------------------------------------------------------------------------- */

enum breadth {
    NARROW,
    FREEMAIL, /* everybody who opened a mailbox with a large provider */
    EVERYONE, /* or everybody below a public suffix */
};

static enum breadth domain_breadth(struct span domain)
{
    if (domain.n > 0 && domain.p[0] == '[')
        return NARROW;
    if (domain_is_public_suffix(domain))
        return EVERYONE;
    return domain_is_freemail(domain_org(domain)) ? FREEMAIL : NARROW;
}

/* An address that a wildcard matches: runs become "zz9", alternatives their `pick`-th; `wild` marks what the pattern leaves
 * open. At least as long as the pattern's letters, at most three times. */
struct sample {
    char   text[3 * WILDCARD_MAX + 1];
    bool   wild[3 * WILDCARD_MAX + 1];
    size_t n;
};

static void sample_put(struct sample *s, struct span text, bool wild)
{
    for (size_t i = 0; i < text.n && s->n < COUNT(s->text); i++, s->n++) {
        s->text[s->n] = text.p[i];
        s->wild[s->n] = wild;
    }
}

static void sample_make(struct span pattern, size_t pick, struct sample *s)
{
    struct wildcard_walk w = {.pattern = pattern};
    struct wildcard_item item;
    size_t               count = 1, nth = 0;

    s->n = 0;
    while ((item = wildcard_next(&w)).kind != WILDCARD_END) {
        switch (item.kind) {
        case WILDCARD_RUN: sample_put(s, SPAN("zz9"), true); break;
        case WILDCARD_ONE: sample_put(s, SPAN("z"), true); break;
        case WILDCARD_OPEN: {
            struct wildcard_walk ahead = w;

            for (count = 1; ahead.inside && ahead.at < pattern.n;)
                count += wildcard_next(&ahead).kind == WILDCARD_BAR;
            nth = 0;
            break;
        }
        case WILDCARD_BAR: nth++; break;
        case WILDCARD_CLOSE: break;
        default:
            if (!w.inside || nth == pick % count)
                sample_put(s, item.text, false);
        }
    }
}

/* Is all of it, or any of it, what the pattern leaves open? Dots do not count. */
static bool all_wild(const struct sample *s, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (!s->wild[i] && s->text[i] != '.')
            return false;
    }
    return true;
}

static bool any_wild(const struct sample *s, size_t from, size_t to)
{
    while (from < to && !s->wild[from])
        from++;
    return from < to;
}

/* Anybody in an organisation of anybody's choice, or at a free-mail domain? */
static enum breadth sample_breadth(const struct sample *s)
{
    struct span text = {s->text, s->n}, domain, org;
    size_t      at = span_rchr(text, '@'), org_at, label_end;

    if (at < text.n && !all_wild(s, 0, at))
        return NARROW;
    domain = at < text.n ? span_skip(text, at + 1) : text;
    if (domain.n == 0)
        return EVERYONE;
    org = domain_org(domain);
    org_at = (size_t)(org.p - text.p);
    label_end = org_at + span_chr(org, '.');
    if (any_wild(s, org_at, label_end))
        return all_wild(s, org_at, label_end) ? EVERYONE : NARROW;
    return all_wild(s, (size_t)(domain.p - text.p), org_at) ? domain_breadth(org) : NARROW;
}

static enum breadth wildcard_breadth(struct span pattern)
{
    enum breadth  most = NARROW;
    struct sample s;
    size_t        bars = 1;

    for (size_t i = 0; i < pattern.n; i++)
        bars += pattern.p[i] == '|';
    for (size_t pick = 0; pick < bars && pick < 64; pick++) {
        enum breadth now;

        sample_make(pattern, pick, &s);
        now = sample_breadth(&s);
        most = now > most ? now : most;
    }
    return most;
}

static bool matches_all(struct span source, unsigned flags, const char *const *texts, size_t n)
{
    struct regex *r = regex_array(1);
    bool          all = true;

    regex_init(r, source, flags);
    for (size_t i = 0; i < n && all; i++)
        all = regex_match(r, span_of(texts[i]), NULL, NULL) == REGEX_YES;
    regex_array_free(&r, 1);
    return all;
}

static enum breadth regex_breadth(const struct condition *c, struct span source)
{
    static const char *const senders[] = {"q7x-w@k3z.example", "Hj_40@bu.sub.test", "m@vy6.co.uk"};
    static const char *const providers[][2] = {{"q7xw@gmail.com", "hj40@gmail.com"},
                                               {"q7xw@outlook.com", "hj40@outlook.com"},
                                               {"q7xw@yahoo.com", "hj40@yahoo.com"},
                                               {"q7xw@gmx.de", "hj40@gmx.de"}};
    static const char *const texts[] = {"q7x kzw", "40 jvp, BU", "ümñ"};
    unsigned                 flags = entry_regex_flags(c);

    if (c->kind != COND_SENDER && c->kind != COND_RECIPIENT)
        return matches_all(source, flags, texts, COUNT(texts)) ? EVERYONE : NARROW;
    if (matches_all(source, flags, senders, COUNT(senders)))
        return EVERYONE;
    for (size_t i = 0; i < COUNT(providers); i++) {
        if (matches_all(source, flags, providers[i], 2))
            return FREEMAIL;
    }
    return NARROW;
}

/* More than a few of the largest blocks that anybody was ever given. */
static enum breadth block_breadth(const struct ip_block *b)
{
    if (ip_is_v4(&b->first) && ip_is_v4(&b->last))
        return b->last.b[12] - b->first.b[12] > 1 ? EVERYONE : NARROW;
    return b->last.b[0] != b->first.b[0] ? EVERYONE : NARROW;
}

static bool is_any(struct span pattern) { return span_is(pattern, "*"); }

static enum breadth attachment_breadth(const struct attachment_entry *t)
{
    bool open = (t->extension.p == NULL || is_any(t->extension)) && (t->mime_type.p == NULL || is_any(t->mime_type)) &&
                (t->filename.p == NULL || is_any(t->filename));

    return open ? EVERYONE : NARROW;
}

static enum breadth entry_breadth(const struct condition *c, const struct entry *t)
{
    switch (t->kind) {
    case ENTRY_TEXT: return t->text.n == 0 ? EVERYONE : NARROW; /* an absent header is the empty text */
    case ENTRY_REGEX: return regex_breadth(c, t->text);
    case ENTRY_WILDCARD: return wildcard_breadth(t->text);
    case ENTRY_DOMAIN:
    case ENTRY_SUBDOMAINS: return domain_breadth(t->text);
    case ENTRY_DOMAIN_ALONE: return c->kind == COND_HOST ? NARROW : domain_breadth(t->text);
    case ENTRY_IP: return block_breadth(&t->ip);
    case ENTRY_ATTACHMENT: return attachment_breadth(&t->attachment);
    case ENTRY_ADDRESS:
    case ENTRY_NULL_SENDER: return NARROW;
    }
    return NARROW;
}

/* The broadest entry counts, since one is enough; *entry_out is its index. */
static enum breadth condition_breadth(const struct condition *c, size_t *entry_out)
{
    enum breadth most = NARROW;

    *entry_out = 0;
    if (c->negated || c->kind == COND_SIZE)
        return EVERYONE;
    for (size_t i = 0; i < c->nany && most < EVERYONE; i++) {
        enum breadth now = entry_breadth(c, &c->any[i]);

        /* Whoever the recipient is, and whatever host it is, a provider's name narrows it. */
        if (now == FREEMAIL && c->kind != COND_SENDER && c->kind != COND_SIGNED_BY)
            now = NARROW;
        if (now > most) {
            most = now;
            *entry_out = i;
        }
    }
    return most;
}

/* ---- Vetting ----------------------------------------------------------------------------------------------- */

static int refuse_everyone(const struct rule *r, size_t condition, size_t entry, struct err *e)
{
    const struct condition *c = &r->conditions[condition];

    if (c->negated || c->kind == COND_SIZE || c->nany == 0)
        return err_at(e, 0, "this would allow nearly every message - add a condition that says which ones are wanted");
    return err_at(
        e, 0, "conditions[%zu].any[%zu]: \"%.*s\" would allow mail from everybody - name a domain, or add a condition",
        condition, entry, SPAN_ARG(span_head(c->any[entry].written, 100)));
}

static int vet_allow(const struct rule *r, struct rule_check *check, struct err *e)
{
    enum breadth least = EVERYONE;
    size_t       condition = 0, entry = 0;

    for (size_t i = 0; i < r->nconditions; i++) {
        size_t       at;
        enum breadth now = condition_breadth(&r->conditions[i], &at);
        bool         says_more = r->conditions[condition].negated || r->conditions[condition].kind == COND_SIZE;

        if (now < least || i == 0 || says_more) {
            least = now < least ? now : least;
            condition = i;
            entry = at;
        }
    }
    if (least == EVERYONE)
        return refuse_everyone(r, condition, entry, e);
    if (least != FREEMAIL)
        return 0;
    check->advice |= ADVICE_FREEMAIL;
    if (check->freemail_confirmed)
        return 0;
    return err_set(e, ERR_CONFLICT,
                   "conditions[%zu].any[%zu]: at \"%.*s\" anybody can open a mailbox - name the address, or "
                   "confirm that everybody there is meant",
                   condition, entry, SPAN_ARG(span_head(r->conditions[condition].any[entry].written, 100)));
}

/* No text of 3 bytes that every match must contain: nothing to look for first. */
static bool regex_is_slow(const struct condition *c, const struct entry *t)
{
    struct buf literal;
    bool       slow;

    buf_init(&literal, REGEX_SOURCE_MAX);
    slow = !regex_literal(t->text, entry_regex_flags(c), &literal) || literal.n < 3;
    buf_fini(&literal);
    return slow;
}

size_t rule_slow_regexes(const struct rule *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->nconditions; i++)
        for (size_t k = 0; k < r->conditions[i].nany; k++)
            if (r->conditions[i].any[k].kind == ENTRY_REGEX)
                n += regex_is_slow(&r->conditions[i], &r->conditions[i].any[k]);
    return n;
}

static int vet_regex(const struct condition *c, size_t condition, size_t entry, struct rule_check *check, struct err *e)
{
    const struct entry *t = &c->any[entry];
    size_t              at = 0, characters = 1;

    if (!check->may_regex)
        return err_set(e, ERR_DENIED,
                       "conditions[%zu].any[%zu]: regular expressions are not allowed to you here - the domain's "
                       "setting \"regex_role\" says who may write them",
                       condition, entry);
    if (regex_check(t->text, entry_regex_flags(c), e) < 0) {
        size_t before = t->text.p >= t->written.p && t->text.p < t->written.p + t->written.n
                            ? (size_t)(t->text.p - t->written.p)
                            : 0;

        for (size_t stop = before + (e != NULL ? e->at : 0); at < stop && at < t->written.n; characters++)
            utf8_next(t->written, &at, NULL);
        return err_wrap(e, "conditions[%zu].any[%zu], character %zu", condition, entry, characters);
    }
    if (regex_is_slow(c, t))
        check->advice |= ADVICE_SLOW_REGEX;
    return 0;
}

int rule_vet(const struct rule *r, struct rule_check *check, struct err *e)
{
    bool by_name = false, by_fact = false;

    if (r->nconditions == 0)
        return err_at(e, 0, "\"conditions\" is empty - a rule needs at least one");
    for (size_t i = 0; i < r->nconditions; i++) {
        const struct condition *c = &r->conditions[i];

        by_name |= c->kind == COND_SENDER && !c->negated;
        by_fact |= (c->kind == COND_IP || c->kind == COND_SIGNED_BY) && !c->negated;
        for (size_t k = 0; k < c->nany; k++) {
            if (c->any[k].kind == ENTRY_REGEX && vet_regex(c, i, k, check, e) < 0)
                return -1;
        }
    }
    if (r->action != RULE_ALLOW)
        return 0;
    if (by_name && !by_fact && r->require_proof)
        check->advice |= ADVICE_NEEDS_PROOF;
    return vet_allow(r, check, e);
}
