/* lib/rules/spamassassin.c - see spamassassin.h. */
#include "rules/spamassassin.h"

/* Why a condition cannot be told. */
static const char *const whys[COND_KINDS] = {
    [COND_RECIPIENT] = "it looks at the recipient: put it into that mailbox or domain",
    [COND_SUBJECT] = "it looks at the subject",
    [COND_BODY] = "it looks at the body",
    [COND_HEADER] = "it looks at a header field",
    [COND_IP] = "it looks at the client's address",
    [COND_HOST] = "it looks at the client's name",
    [COND_SIZE] = "it looks at the size",
    [COND_ATTACHMENT] = "it looks at attachments",
    [COND_SIGNED_BY] = "it looks at signatures",
};

/* What stands in a preference as itself: no blank, no control, nothing beyond ASCII, no comment, no escape, no condition. */
static bool is_tellable(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c <= ' ' || c >= 0x7f || strchr("#\\()[]\",;<>", c) != NULL)
            return false;
    }
    return s.n > 0 && s.n <= SPAMASSASSIN_VALUE_MAX;
}

/* An exact text must hold nothing that is a wildcard there. */
static bool is_exact(struct span s)
{
    return is_tellable(s) && memchr(s.p, '*', s.n) == NULL && memchr(s.p, '?', s.n) == NULL;
}

static bool put(struct spamassassin_rule *out, struct arena *a, const char *before, struct span text)
{
    struct span pattern = arena_printf(a, "%s%.*s", before, SPAN_ARG(text));

    if (pattern.p == NULL)
        return false;
    out->patterns[out->npatterns++] = pattern;
    return true;
}

/* At most two patterns an entry. False: the arena is full. */
static bool express_entry(const struct entry *x, struct arena *a, struct spamassassin_rule *out, bool *told)
{
    *told = is_exact(x->text);
    switch (x->kind) {
    case ENTRY_ADDRESS: return !*told || put(out, a, "", x->text);
    case ENTRY_DOMAIN: return !*told || (put(out, a, "*@", x->text) && put(out, a, "*@*.", x->text));
    case ENTRY_DOMAIN_ALONE: return !*told || put(out, a, "*@", x->text);
    case ENTRY_SUBDOMAINS: return !*told || put(out, a, "*@*.", x->text);
    case ENTRY_WILDCARD: *told = is_tellable(x->text); return !*told || put(out, a, "", x->text);
    case ENTRY_TEXT:
    case ENTRY_REGEX:
    case ENTRY_NULL_SENDER:
    case ENTRY_IP:
    case ENTRY_ATTACHMENT: *told = false; break;
    }
    return true;
}

static int express_entries(const struct condition *c, struct arena *a, struct spamassassin_rule *out, struct err *e)
{
    if ((out->patterns = arena_array(a, 2 * c->nany, sizeof *out->patterns)) == NULL)
        return err_set(e, ERR_LIMIT, "a rule with too many entries");
    for (size_t i = 0; i < c->nany; i++) {
        bool told;

        if (!express_entry(&c->any[i], a, out, &told))
            return err_set(e, ERR_LIMIT, "a rule with too many entries");
        if (told)
            continue;
        out->fit = SPAMASSASSIN_PART;
        out->why = "some of its entries are a regex, the null sender, or characters that a preference cannot hold";
    }
    if (out->npatterns == 0) {
        out->fit = SPAMASSASSIN_NONE;
        out->why = "its entries are a regex, the null sender, or characters that a preference cannot hold";
    }
    return 0;
}

static void limit(struct spamassassin_rule *out, const char *why)
{
    if (out->fit != SPAMASSASSIN_WHOLE)
        return;
    out->fit = SPAMASSASSIN_PART;
    out->why = why;
}

static const char *why_not(const struct rule *r)
{
    const struct condition *sender = NULL;

    if (!r->enabled)
        return "it is switched off";
    if (r->test_only)
        return "it is for testing only";
    for (size_t i = 0; i < r->nconditions; i++) {
        const struct condition *c = &r->conditions[i];

        if (c->kind != COND_SENDER)
            return whys[c->kind];
        if (c->negated)
            return "it is about everybody but a sender";
        if (sender != NULL)
            return "it asks for two senders at once";
        sender = c;
    }
    return r->flow == FLOW_TO ? "it looks at the receiving side" : NULL;
}

int spamassassin_express(const struct rule *r, struct arena *a, struct spamassassin_rule *out, struct err *e)
{
    *out = (struct spamassassin_rule){.fit = SPAMASSASSIN_WHOLE};
    if (r->nconditions == 0 || (out->why = why_not(r)) != NULL) {
        out->fit = SPAMASSASSIN_NONE;
        if (out->why == NULL)
            out->why = "it has no condition";
        return 0;
    }
    if (express_entries(&r->conditions[0], a, out, e) < 0)
        return -1;
    if (r->flow == FLOW_FROM_OR_TO)
        limit(out, "it holds for senders alone, not for the receiving side");
    if (r->conditions[0].source == SOURCE_ENVELOPE)
        limit(out, "it looks at the From header too");
    if (r->action == RULE_ALLOW && !r->require_proof)
        limit(out, "it holds for senders alone that SPF or DKIM prove");
    return 0;
}
