/* lib/rules/evaluate_sentence.c - what came of a rule, as one sentence for a person. The trace in the log, in explain and in
 * the portal say it with these words. What strangers wrote is escaped and cut. */
#include "base/json_write.h"
#include "base/utf8.h"
#include "rules/evaluation.h"

#define SHOWN_MAX 80
#define SENTENCE_MAX 2048

static const struct {
    const char *thing;
    bool        by_match; /* its `match` is part of what it is called */
} kinds[COND_KINDS] = {
    [COND_SENDER] = {"the sender", false},
    [COND_RECIPIENT] = {"the recipient", false},
    [COND_SUBJECT] = {"the subject", true},
    [COND_BODY] = {"the text of the message", true},
    [COND_HEADER] = {"the field", true},
    [COND_IP] = {"the address of the server", false},
    [COND_HOST] = {"the name of the server", false},
    [COND_SIZE] = {"the message", false},
    [COND_ATTACHMENT] = {"an attachment", false},
    [COND_SIGNED_BY] = {"the domain of a signature", false},
};

static const char *match_word(enum rule_match m)
{
    static const char *const words[] = {[MATCH_EXACT] = "exact",
                                        [MATCH_CONTAINS] = "contains",
                                        [MATCH_STARTS_WITH] = "starts with",
                                        [MATCH_ENDS_WITH] = "ends with",
                                        [MATCH_REGEX] = "regex"};

    return words[m];
}

static const char *kind_word(enum condition_kind k)
{
    static const char *const words[COND_KINDS] = {
        [COND_SENDER] = "sender",      [COND_RECIPIENT] = "recipient", [COND_SUBJECT] = "subject",
        [COND_BODY] = "body",          [COND_HEADER] = "header",       [COND_IP] = "ip",
        [COND_HOST] = "host",          [COND_SIZE] = "size",           [COND_ATTACHMENT] = "attachment",
        [COND_SIGNED_BY] = "signed_by"};

    return words[k];
}

static void put_shown(struct buf *b, struct span s)
{
    size_t n = utf8_clip(s, SHOWN_MAX);

    buf_putc(b, '"');
    utf8_put_escaped(b, span_head(s, n), '"');
    buf_puts(b, n < s.n ? "…\"" : "\"");
}

struct told {
    struct buf                    *b;
    const struct match            *m;
    const struct ruleset          *rs;
    const struct stored_rule      *rule;
    const struct stored_condition *condition;
};

/* "condition 2 (not subject contains): " */
static void put_condition(const struct told *t)
{
    const struct stored_condition *c = t->condition;

    buf_printf(t->b, "condition %u (%s%s", t->m->condition + 1u, c->flags & CONDITION_NOT ? "not " : "",
               kind_word((enum condition_kind)c->kind));
    if (c->kind == COND_HEADER) {
        buf_putc(t->b, ' ');
        utf8_put_escaped(t->b, ruleset_text(t->rs, t->rs->fields[c->extra].name, t->rs->fields[c->extra].n), 0);
    }
    if (kinds[c->kind].by_match)
        buf_printf(t->b, " %s", match_word((enum rule_match)c->match));
    buf_puts(t->b, "): ");
}

/* "entry 3, "partner.example"," */
static void put_entry(const struct told *t)
{
    const struct stored_condition *c = t->condition;
    uint32_t                       index = c->entries + t->m->entry;
    const struct stored_entry     *e = &t->rs->entries[index];
    struct span                    text = entry_text(t->rs, e);
    char                           first[IP_TEXT], last[IP_TEXT];

    buf_printf(t->b, "entry %u", t->m->entry + 1u);
    if (t->rs->written != NULL)
        text = ruleset_text(t->rs, t->rs->written[index].text, t->rs->written[index].n);
    if (text.n > 0) {
        buf_puts(t->b, ", ");
        put_shown(t->b, text);
        buf_putc(t->b, ',');
    } else if (e->kind == ENTRY_IP) {
        ip_format(&t->rs->ips[e->extra].first, first);
        ip_format(&t->rs->ips[e->extra].last, last);
        if (strcmp(first, last) == 0)
            buf_printf(t->b, ", %s,", first);
        else
            buf_printf(t->b, ", %s-%s,", first, last);
    }
}

/* "the subject "Hello"" */
static void put_seen(const struct told *t)
{
    const struct stored_condition *c = t->condition;

    buf_puts(t->b, t->m->by_helo ? "the HELO of the server" : kinds[c->kind].thing);
    if (t->m->seen.n == 0)
        return;
    buf_putc(t->b, ' ');
    put_shown(t->b, t->m->seen);
}

/* Why a learned sender stands for more than the address that was reported (scan/learnable.h). */
static void put_breadth(const struct told *t)
{
    const struct stored_entry *e = &t->rs->entries[t->condition->entries + t->m->entry];

    if (e->kind == ENTRY_WILDCARD)
        buf_puts(t->b, "; the address that was reported was made for one message: what stays of it counts");
    else if (e->kind == ENTRY_DOMAIN_ALONE)
        buf_puts(t->b, "; the address that was reported was made for one message: its domain counts");
}

static void put_matching(const struct told *t)
{
    const struct stored_condition *c = t->condition;

    if (c->kind == COND_SIZE) {
        buf_printf(t->b, "the message has %.*s", SPAN_ARG(t->m->seen));
    } else if (c->nentries == 0 || (c->flags & CONDITION_NOT)) {
        buf_puts(t->b, "it holds");
    } else {
        put_entry(t);
        buf_puts(t->b, " matches ");
        put_seen(t);
        if (t->m->by_resolved)
            buf_puts(t->b, " by the mailbox behind it");
        if (t->m->policy->learned)
            put_breadth(t);
    }
    if (t->rule->nconditions > 1)
        buf_printf(t->b, "; all %u conditions hold", t->rule->nconditions);
}

static void put_size_bounds(const struct told *t)
{
    const struct stored_size *s = &t->rs->sizes[t->condition->extra];

    buf_printf(t->b, "the message has %.*s, which is %s %llu", SPAN_ARG(t->m->seen),
               t->condition->flags & CONDITION_NOT ? "within" : "not within", (unsigned long long)s->min);
    if (s->max == UINT64_MAX)
        buf_puts(t->b, " or more");
    else
        buf_printf(t->b, " to %llu", (unsigned long long)s->max);
}

static void put_failing(const struct told *t)
{
    const struct stored_condition *c = t->condition;

    if (c->kind == COND_SIZE) {
        put_size_bounds(t);
        return;
    }
    if (c->flags & CONDITION_NOT)
        put_entry(t);
    else if (c->nentries == 1)
        buf_puts(t->b, "its entry does not match ");
    else
        buf_printf(t->b, "none of its %u entries matches ", c->nentries);
    if (c->flags & CONDITION_NOT)
        buf_puts(t->b, " matches ");
    put_seen(t);
}

static void put_expiry(const struct told *t)
{
    char when[28];

    clock_format_utc(t->rule->expires_us, when);
    buf_printf(t->b, "the rule expired at %s", when);
}

static void put_sentence(const struct told *t)
{
    if (t->rule->nconditions == 0 && t->m->why <= WHY_UNKNOWN) {
        buf_puts(t->b, "the rule has no conditions");
        return;
    }
    switch (t->m->why) {
    case WHY_APPLIED:
        put_condition(t);
        put_matching(t);
        break;
    case WHY_TEST_ONLY:
        buf_puts(t->b, "would apply, but is only tested: ");
        put_condition(t);
        put_matching(t);
        break;
    case WHY_NOT_PROVEN:
        buf_puts(t->b, "matched, not applied: sender not proven; ");
        put_condition(t);
        put_matching(t);
        buf_puts(t->b, "; an ip or signed_by condition would pin the rule");
        break;
    case WHY_UNKNOWN:
        put_condition(t);
        buf_printf(t->b, "unknown (%s)", t->m->limit != NULL ? t->m->limit : "not proven");
        break;
    case WHY_FALSE:
        put_condition(t);
        put_failing(t);
        break;
    case WHY_EXPIRED: put_expiry(t); break;
    case WHY_FLOW: buf_puts(t->b, "the rule looks at the sending side alone, and the message goes out"); break;
    }
}

static struct told told_of(const struct match *m, struct buf *b)
{
    uint32_t    index = m->rule;
    struct told t = {.b = b, .m = m};

    t.rs = scope_ruleset(m->scope, &index);
    t.rule = &t.rs->rules[index];
    t.condition = &t.rs->conditions[t.rule->conditions + m->condition];
    return t;
}

struct span match_sentence(const struct match *m, struct arena *a)
{
    struct buf  b;
    struct told t;
    struct span out;

    buf_init(&b, SENTENCE_MAX);
    t = told_of(m, &b);
    put_sentence(&t);
    out = arena_dup(a, buf_span(&b));
    buf_fini(&b);
    return out;
}

/* ---- the same as facts ---- */

static const char *const why_words[] = {
    [WHY_APPLIED] = "applied", [WHY_TEST_ONLY] = "test_only", [WHY_NOT_PROVEN] = "not_proven",
    [WHY_UNKNOWN] = "unknown", [WHY_FALSE] = "false",         [WHY_EXPIRED] = "expired",
    [WHY_FLOW] = "flow"};

static void add_shown(struct buf *b, const char *key, struct span s)
{
    if (s.n > 0)
        json_add_text(b, key, span_head(s, utf8_clip(s, SHOWN_MAX)));
}

/* The entry that made it so, as it was written. */
static void put_entry_facts(const struct told *t)
{
    uint32_t                   index = t->condition->entries + t->m->entry;
    const struct stored_entry *e = &t->rs->entries[index];
    struct span                text = entry_text(t->rs, e);

    json_add_i64(t->b, "entry", t->m->entry + 1);
    if (t->rs->written != NULL)
        text = ruleset_text(t->rs, t->rs->written[index].text, t->rs->written[index].n);
    add_shown(t->b, "text", text);
    if (t->m->policy->learned && (e->kind == ENTRY_WILDCARD || e->kind == ENTRY_DOMAIN_ALONE))
        json_add_str(t->b, "wide", e->kind == ENTRY_WILDCARD ? "pattern" : "domain");
}

static void put_condition_facts(const struct told *t)
{
    const struct stored_condition *c = t->condition;
    bool                           negated = (c->flags & CONDITION_NOT) != 0, holds = t->m->why <= WHY_NOT_PROVEN;

    json_add_i64(t->b, "condition", t->m->condition + 1);
    json_add_i64(t->b, "conditions", t->rule->nconditions);
    json_add_str(t->b, "kind", kind_word((enum condition_kind)c->kind));
    json_add_bool(t->b, "not", negated);
    if (c->kind == COND_HEADER)
        add_shown(t->b, "header", ruleset_text(t->rs, t->rs->fields[c->extra].name, t->rs->fields[c->extra].n));
    if (t->m->why == WHY_UNKNOWN) {
        json_add_str(t->b, "limit", t->m->limit != NULL ? t->m->limit : "not proven");
        return;
    }
    if (c->kind == COND_SIZE) {
        json_add_i64(t->b, "min", (int64_t)t->rs->sizes[c->extra].min);
        if (t->rs->sizes[c->extra].max != UINT64_MAX)
            json_add_i64(t->b, "max", (int64_t)t->rs->sizes[c->extra].max);
    } else if (c->nentries > 0 && holds != negated) {
        put_entry_facts(t);
    }
    add_shown(t->b, "seen", t->m->seen);
    json_add_bool(t->b, "by_helo", t->m->by_helo);
    json_add_bool(t->b, "by_mailbox", t->m->by_resolved);
}

void match_put_facts(struct buf *b, const char *key, const struct match *m)
{
    struct told t = told_of(m, b);

    json_open(b, key, '{');
    json_add_str(b, "code", t.rule->nconditions == 0 && m->why <= WHY_UNKNOWN ? "no_conditions" : why_words[m->why]);
    if (m->why == WHY_EXPIRED)
        json_add_time(b, "at", t.rule->expires_us);
    else if (m->why != WHY_FLOW && t.rule->nconditions > 0)
        put_condition_facts(&t);
    json_close(b, '}');
}

struct span match_rule_name(const struct match *m)
{
    uint32_t              index = m->rule;
    const struct ruleset *rs = scope_ruleset(m->scope, &index);
    uint32_t              at = rs->rules[index].name;

    return at != 0 ? ruleset_text(rs, at + 1, (unsigned char)rs->text[at]) : SPAN_NONE;
}
