/* lib/rules/scope.c - see scope.h: collecting rules into flat arrays, and scopes as counted things. scope_index.c files them. */
#include "rules/scope.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "mail/text.h"
#include "rules/scope_layout.h"
#include "rules/wildcard.h"

#define POLICIES_MAX 65535
#define TEXT_BYTES_MAX ((size_t)UINT32_MAX - 1)
#define ENTRIES_ALL_MAX ((size_t)LITERAL_ID_MAX)

/* The arrays of `rs`, with what they have room for in the same order. */
struct scope_builder {
    enum scope_kind      kind;
    struct uuid          id;
    bool                 keep_text;
    struct scope_policy *policies;
    size_t               npolicies, cap_policies, last_policy;
    struct ruleset       rs;
    size_t cap_text, cap_rules, cap_conditions, cap_entries, cap_patterns, cap_attachments, cap_ips, cap_sizes,
        cap_fields, cap_written;
    struct map   fields; /* name -> index + 1 */
    struct arena names, scratch;
    struct buf   literal;
};

static void *must(void *p)
{
    if (p == NULL)
        panic("out of memory");
    return p;
}

/* Room for one more (or `more` more) behind n. */
static void *room(void *p, size_t n, size_t *cap, size_t more, size_t size)
{
    if (n + more <= *cap)
        return p;
    *cap = 2 * *cap > n + more ? 2 * *cap : n + more;
    *cap = *cap < 16 ? 16 : *cap;
    return must(realloc(p, *cap * size));
}
#define ROOM(b, what) ((b)->rs.what = room((b)->rs.what, (b)->rs.n##what, &(b)->cap_##what, 1, sizeof *(b)->rs.what))

struct scope_builder *scope_builder_new(enum scope_kind kind, const struct uuid *id, bool keep_text)
{
    struct scope_builder *b = must(calloc(1, sizeof *b));

    b->kind = kind;
    b->id = *id;
    b->keep_text = keep_text;
    arena_init(&b->names, SIZE_MAX / 2);
    arena_init(&b->scratch, 1 << 20);
    buf_init(&b->literal, RULE_ENTRY_MAX + 1);
    map_init(&b->fields);
    b->rs.text = room(NULL, 0, &b->cap_text, 64, 1);
    b->rs.text[0] = 0;
    b->rs.ntext = 1;
    return b;
}

static void builder_tools_fini(struct scope_builder *b)
{
    map_fini(&b->fields);
    arena_fini(&b->names);
    arena_fini(&b->scratch);
    buf_fini(&b->literal);
}

void scope_builder_free(struct scope_builder **b)
{
    if (*b == NULL)
        return;
    builder_tools_fini(*b);
    ruleset_fini(&(*b)->rs);
    free((*b)->policies);
    free(*b);
    *b = NULL;
}

/* ---- Policies ---- */

static bool policy_find(const struct scope_policy *list, size_t n, const struct uuid *id, size_t *at_out)
{
    for (size_t i = 0; i < n; i++) {
        if (uuid_cmp(&list[i].id, id) == 0) {
            *at_out = i;
            return true;
        }
    }
    return false;
}

int scope_builder_policy(struct scope_builder *b, const struct scope_policy *p, struct err *e)
{
    size_t at = b->npolicies;

    if (!policy_find(b->policies, b->npolicies, &p->id, &at)) {
        if (b->npolicies == POLICIES_MAX)
            return err_set(e, ERR_LIMIT, "more than %d policies in one scope", POLICIES_MAX);
        b->policies = room(b->policies, b->npolicies++, &b->cap_policies, 1, sizeof *b->policies);
    }
    b->policies[at] = *p;
    b->policies[at].name[sizeof p->name - 1] = 0;
    return 0;
}

/* ---- Rules ---- */

static uint32_t put_text(struct scope_builder *b, struct span s)
{
    size_t at = b->rs.ntext;

    b->rs.text = room(b->rs.text, b->rs.ntext, &b->cap_text, s.n, 1);
    if (s.n > 0)
        memcpy(b->rs.text + at, s.p, s.n);
    b->rs.ntext += s.n;
    return (uint32_t)at;
}

static uint32_t put_name(struct scope_builder *b, struct span name)
{
    unsigned char n = (unsigned char)utf8_clip(name, RULE_NAME_MAX);
    uint32_t      at;

    if (!b->keep_text || n == 0)
        return 0;
    at = put_text(b, span_make(&n, 1));
    put_text(b, span_head(name, n));
    return at;
}

static uint32_t put_field(struct scope_builder *b, struct span name)
{
    void *known = map_get(&b->fields, name);

    if (known != NULL)
        return (uint32_t)(uintptr_t)known - 1;
    ROOM(b, fields);
    b->rs.fields[b->rs.nfields] = (struct stored_field){.name = put_text(b, name), .n = (uint16_t)name.n};
    map_put(&b->fields, arena_dup(&b->names, name), (void *)(uintptr_t)(b->rs.nfields + 1));
    return (uint32_t)b->rs.nfields++;
}

static uint32_t put_pattern(struct scope_builder *b, struct span literal, uint32_t regex)
{
    ROOM(b, patterns);
    b->rs.patterns[b->rs.npatterns] = (struct stored_pattern){
        .literal = put_text(b, literal), .n = (uint16_t)literal.n, .regex = regex};
    return (uint32_t)b->rs.npatterns++;
}

static struct span folded(struct scope_builder *b, struct span s)
{
    arena_reset(&b->scratch);
    return text_is_folded_ascii(s) ? s : text_fold(s, &b->scratch);
}

static struct span wildcard_part(struct scope_builder *b, struct span pattern)
{
    buf_clear(&b->literal);
    wildcard_literal(pattern, &b->literal);
    return buf_span(&b->literal);
}

static int put_regex(struct scope_builder *b, const struct condition *c, const struct entry *in, uint32_t *row_out,
                     struct err *e)
{
    unsigned    flags = condition_regex_flags(c->kind, c->case_sensitive);
    struct span literal;

    buf_clear(&b->literal);
    if (!regex_literal(in->text, flags, &b->literal) || b->literal.n < 3) {
        buf_clear(&b->literal);
        if (++b->rs.nslow > SCOPE_SLOW_REGEX_MAX)
            return err_set(
                e, ERR_LIMIT,
                "more than %d regular expressions without a fixed text of 3 bytes or more in one scope: give each "
                "such a text, or write it as a wildcard",
                SCOPE_SLOW_REGEX_MAX);
    }
    literal = buf_span(&b->literal);
    *row_out = put_pattern(b, folded(b, literal), (uint32_t)b->rs.nregexes++);
    return 0;
}

static uint32_t put_attachment(struct scope_builder *b, const struct attachment_entry *in)
{
    const struct span        keys[] = {in->extension, in->mime_type, in->filename};
    struct stored_attachment out = {.has_present = in->has_present, .present = in->present};

    for (size_t i = 0; i < COUNT(keys); i++) {
        struct span key = folded(b, keys[i]);

        if (keys[i].p == NULL)
            continue;
        out.key[i] = put_text(b, key);
        out.n[i] = (uint16_t)key.n;
        if (i < 2)
            continue;
        key = wildcard_part(b, key);
        out.literal = put_text(b, key);
        out.literal_n = (uint16_t)(wildcard_is(keys[i]) ? key.n : 0);
    }
    ROOM(b, attachments);
    b->rs.attachments[b->rs.nattachments] = out;
    return (uint32_t)b->rs.nattachments++;
}

/* What an entry has besides its text. */
static int put_extra(struct scope_builder *b, const struct condition *c, const struct entry *in,
                     struct stored_entry *out, struct err *e)
{
    switch (in->kind) {
    case ENTRY_REGEX: out->has_pattern = true; return put_regex(b, c, in, &out->extra, e);
    case ENTRY_WILDCARD:
        out->has_pattern = true;
        out->extra = put_pattern(b, wildcard_part(b, in->text), NO_REGEX);
        break;
    case ENTRY_TEXT:
        out->has_pattern = c->case_sensitive;
        if (out->has_pattern)
            out->extra = put_pattern(b, folded(b, c->match == MATCH_EXACT ? span_trim(in->text) : in->text), NO_REGEX);
        break;
    case ENTRY_IP:
        ROOM(b, ips);
        b->rs.ips[b->rs.nips] = in->ip;
        out->extra = (uint32_t)b->rs.nips++;
        break;
    case ENTRY_ATTACHMENT: out->extra = put_attachment(b, &in->attachment); break;
    case ENTRY_ADDRESS:
    case ENTRY_DOMAIN:
    case ENTRY_DOMAIN_ALONE:
    case ENTRY_SUBDOMAINS:
    case ENTRY_NULL_SENDER: break;
    }
    return 0;
}

static int put_entry(struct scope_builder *b, const struct condition *c, uint32_t condition, const struct entry *in,
                     struct err *e)
{
    struct span         text = in->kind == ENTRY_TEXT && c->match == MATCH_EXACT ? span_trim(in->text) : in->text;
    struct stored_entry out = {.condition = condition, .kind = (uint8_t)in->kind};

    if (text.n > UINT16_MAX || in->written.n > UINT16_MAX)
        return err_set(e, ERR_LIMIT, "an entry of %zu bytes, at most %d", text.n, UINT16_MAX);
    if (in->kind == ENTRY_NULL_SENDER)
        text = SPAN("<>");
    out.n = (uint16_t)(in->kind == ENTRY_IP ? 0 : text.n);
    out.text = in->kind == ENTRY_IP ? 0 : put_text(b, text);
    if (put_extra(b, c, in, &out, e) < 0)
        return -1;
    ROOM(b, entries);
    if (b->keep_text) {
        bool same = out.n > 0 && span_eq(in->written, text);

        b->rs.written = room(b->rs.written, b->rs.nentries, &b->cap_written, 1, sizeof *b->rs.written);
        b->rs.written[b->rs.nentries] = (struct stored_written){same ? out.text : put_text(b, in->written),
                                                                (uint16_t)in->written.n};
    }
    b->rs.entries[b->rs.nentries++] = out;
    return 0;
}

/* Does it look at the receiving side? */
static bool asks_rcpt(const struct condition *c, enum rule_flow flow)
{
    bool sided = c->kind == COND_SENDER || c->kind == COND_IP || c->kind == COND_HOST;

    return c->kind == COND_RECIPIENT || (sided && (flow & FLOW_TO));
}

static int put_condition(struct scope_builder *b, const struct rule *r, const struct condition *c, struct err *e)
{
    uint32_t                index = (uint32_t)b->rs.nconditions;
    struct stored_condition out = {.rule = (uint32_t)b->rs.nrules,
                                   .entries = (uint32_t)b->rs.nentries,
                                   .nentries = (uint16_t)c->nany,
                                   .kind = (uint8_t)c->kind,
                                   .match = (uint8_t)c->match,
                                   .source = (uint8_t)c->source};

    if (c->nany > RULE_ENTRIES_MAX)
        return err_set(e, ERR_LIMIT, "%zu entries in one condition, at most %d", c->nany, RULE_ENTRIES_MAX);
    out.flags = (uint8_t)((c->negated ? CONDITION_NOT : 0) | (c->case_sensitive ? CONDITION_CASE : 0) |
                          (asks_rcpt(c, r->flow) ? CONDITION_ASKS_RCPT : 0));
    if (c->kind == COND_SUBJECT || c->kind == COND_HEADER)
        out.extra = put_field(b, c->kind == COND_SUBJECT ? SPAN("subject") : c->header);
    if (c->kind == COND_SIZE) {
        ROOM(b, sizes);
        b->rs.sizes[b->rs.nsizes] = (struct stored_size){c->size_min, c->size_max};
        out.extra = (uint32_t)b->rs.nsizes++;
    }
    ROOM(b, conditions);
    b->rs.conditions[b->rs.nconditions++] = out;
    for (size_t i = 0; i < c->nany; i++) {
        if (put_entry(b, c, index, &c->any[i], e) < 0)
            return -1;
    }
    return 0;
}

/* An upper bound of the text that a rule may add: checked before, so that nothing overflows half-way. */
static bool fits(const struct scope_builder *b, const struct rule *r)
{
    size_t text = b->rs.ntext + RULE_NAME_MAX + 1, entries = b->rs.nentries;

    for (size_t i = 0; i < r->nconditions; i++) {
        const struct condition *c = &r->conditions[i];

        entries += c->nany;
        text += c->header.n;
        for (size_t k = 0; k < c->nany; k++) {
            const struct attachment_entry *a = &c->any[k].attachment;

            text += 3 * c->any[k].text.n + c->any[k].written.n + 2 * (a->extension.n + a->mime_type.n) +
                    4 * a->filename.n + 2;
        }
    }
    return text <= TEXT_BYTES_MAX && entries <= ENTRIES_ALL_MAX && b->rs.nrules < ENTRIES_ALL_MAX;
}

/* Back to what was there before a rule that was refused. Fields may stay: they are only names. */
static void take_back(struct ruleset *rs, const struct ruleset *before)
{
    rs->nconditions = before->nconditions;
    rs->nentries = before->nentries;
    rs->npatterns = before->npatterns;
    rs->nattachments = before->nattachments;
    rs->nips = before->nips;
    rs->nsizes = before->nsizes;
    rs->nregexes = before->nregexes;
    rs->nslow = before->nslow;
}

static int policy_of_rule(struct scope_builder *b, const struct uuid *policy, struct err *e)
{
    char text[UUID_TEXT + 1];

    if (b->last_policy < b->npolicies && uuid_cmp(&b->policies[b->last_policy].id, policy) == 0)
        return 0;
    if (policy_find(b->policies, b->npolicies, policy, &b->last_policy))
        return 0;
    uuid_format(policy, text);
    return err_set(e, ERR_NOT_FOUND, "the rule belongs to policy %s, which is not in this scope", text);
}

int scope_builder_rule(struct scope_builder *b, const struct uuid *policy, const struct rule *r, struct err *e)
{
    const struct ruleset before = b->rs;
    struct stored_rule   out = {
          .id = r->id, .expires_us = r->expires_us, .priority = r->priority, .conditions = (uint32_t)b->rs.nconditions};

    if (!r->enabled)
        return 0;
    if (r->nconditions > RULE_CONDITIONS_MAX)
        return err_set(e, ERR_LIMIT, "%zu conditions in one rule, at most %d", r->nconditions, RULE_CONDITIONS_MAX);
    if (!fits(b, r))
        return err_set(e, ERR_LIMIT, "the rules of one scope do not fit into %zu bytes", TEXT_BYTES_MAX);
    if (policy_of_rule(b, policy, e) < 0)
        return -1;
    out.policy = (uint16_t)b->last_policy;
    out.nconditions = (uint8_t)r->nconditions;
    out.flow = (unsigned)r->flow & 3;
    out.action = (unsigned)r->action & 1;
    out.flags = (r->require_proof ? RULE_PROOF : 0) | (r->test_only ? RULE_TEST : 0);
    for (size_t i = 0; i < r->nconditions; i++) {
        if (put_condition(b, r, &r->conditions[i], e) < 0) {
            take_back(&b->rs, &before);
            return -1;
        }
        if (asks_rcpt(&r->conditions[i], r->flow))
            out.flags |= RULE_ASKS_RCPT;
    }
    out.name = put_name(b, r->name);
    ROOM(b, rules);
    b->rs.rules[b->rs.nrules++] = out;
    return 0;
}

/* ---- Building ---- */

static int by_id(const void *a, const void *b, void *rules)
{
    const struct stored_rule *list = rules;
    uint32_t                  x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int                       order = uuid_cmp(&list[x].id, &list[y].id);

    return order != 0 ? order : (x > y) - (x < y);
}

/* Invariant 1 asks for the order of the rules alone: their conditions stay where they are. */
static void sort_rules(struct ruleset *rs)
{
    struct stored_rule *sorted;
    uint32_t           *order;
    size_t              i = 1;

    while (i < rs->nrules && uuid_cmp(&rs->rules[i - 1].id, &rs->rules[i].id) <= 0)
        i++;
    if (i >= rs->nrules)
        return;
    order = must(malloc(rs->nrules * sizeof *order));
    sorted = must(malloc(rs->nrules * sizeof *sorted));
    for (i = 0; i < rs->nrules; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, rs->nrules, sizeof *order, by_id, rs->rules);
    for (i = 0; i < rs->nrules; i++) {
        sorted[i] = rs->rules[order[i]];
        for (uint32_t c = 0; c < sorted[i].nconditions; c++)
            rs->conditions[sorted[i].conditions + c].rule = (uint32_t)i;
    }
    free(order);
    free(rs->rules);
    rs->rules = sorted;
}

static void *trimmed(void *p, size_t n, size_t size)
{
    return p != NULL ? must(realloc(p, (n > 0 ? n : 1) * size)) : NULL;
}
#define TRIM(rs, what) ((rs)->what = trimmed((rs)->what, (rs)->n##what, sizeof *(rs)->what))

/* The scope of what was collected; the builder is gone afterwards. */
static struct scope *finish(struct scope_builder **builder, int64_t at_change)
{
    struct scope_builder *b = *builder;
    struct scope         *s = must(calloc(1, sizeof *s));

    atomic_init(&s->holds, 1);
    s->kind = b->kind;
    s->id = b->id;
    s->at_change = at_change;
    s->policies = b->policies;
    s->npolicies = b->npolicies;
    s->own = b->rs;
    builder_tools_fini(b);
    free(b);
    *builder = NULL;
    TRIM(&s->own, text);
    TRIM(&s->own, rules);
    TRIM(&s->own, conditions);
    TRIM(&s->own, entries);
    TRIM(&s->own, patterns);
    TRIM(&s->own, attachments);
    TRIM(&s->own, ips);
    TRIM(&s->own, sizes);
    TRIM(&s->own, fields);
    s->own.written = trimmed(s->own.written, s->own.nentries, sizeof *s->own.written);
    sort_rules(&s->own);
    ruleset_file(&s->own);
    return s;
}

struct scope *scope_build(struct scope_builder **b, int64_t at_change, struct err *e)
{
    (void)e; /* what can fail failed when the rule was added */
    return finish(b, at_change);
}

/* ---- Overlays ---- */

/* One rule of a ruleset as the model has it, without its names: enough to be added once more. */
static struct rule rule_again(const struct ruleset *rs, const struct stored_rule *in, struct arena *a)
{
    struct condition *conditions = arena_array(a, in->nconditions, sizeof *conditions);
    struct rule       out = {.id = in->id,
                             .action = (enum rule_action)in->action,
                             .priority = in->priority,
                             .enabled = true,
                             .require_proof = in->flags & RULE_PROOF,
                             .test_only = in->flags & RULE_TEST,
                             .flow = (enum rule_flow)in->flow,
                             .expires_us = in->expires_us,
                             .conditions = conditions,
                             .nconditions = in->nconditions};

    if (in->name != 0)
        out.name = ruleset_text(rs, in->name + 1, (unsigned char)rs->text[in->name]);
    for (uint32_t i = 0; i < in->nconditions && conditions != NULL; i++) {
        const struct stored_condition *c = &rs->conditions[in->conditions + i];
        struct entry                  *any = arena_array(a, c->nentries, sizeof *any);
        bool                           text = c->kind == COND_SUBJECT || c->kind == COND_HEADER;

        conditions[i] = (struct condition){.kind = (enum condition_kind)c->kind,
                                           .match = (enum rule_match)c->match,
                                           .source = (enum rule_source)c->source,
                                           .negated = c->flags & CONDITION_NOT,
                                           .case_sensitive = c->flags & CONDITION_CASE,
                                           .any = any,
                                           .nany = any != NULL ? c->nentries : 0};
        if (text)
            conditions[i].header = ruleset_text(rs, rs->fields[c->extra].name, rs->fields[c->extra].n);
        if (c->kind == COND_SIZE) {
            conditions[i].size_min = rs->sizes[c->extra].min;
            conditions[i].size_max = rs->sizes[c->extra].max;
        }
        for (uint32_t k = 0; k < conditions[i].nany; k++) {
            const struct stored_entry *e = &rs->entries[c->entries + k];

            any[k] = (struct entry){.kind = (enum entry_kind)e->kind, .text = entry_text(rs, e)};
            if (rs->written != NULL)
                any[k].written = ruleset_text(rs, rs->written[c->entries + k].text, rs->written[c->entries + k].n);
            if (e->kind == ENTRY_IP)
                any[k].ip = rs->ips[e->extra];
            if (e->kind == ENTRY_ATTACHMENT) {
                const struct stored_attachment *t = &rs->attachments[e->extra];
                struct span                     keys[3];

                for (size_t j = 0; j < COUNT(keys); j++)
                    keys[j] = t->key[j] != 0 ? ruleset_text(rs, t->key[j], t->n[j]) : SPAN_NONE;
                any[k].attachment = (struct attachment_entry){keys[0], keys[1], keys[2], t->has_present, t->present};
            }
        }
    }
    return out;
}

static bool is_zero(const struct uuid *id)
{
    static const struct uuid zero;

    return uuid_cmp(id, &zero) == 0;
}

static int uuid_order(const void *a, const void *b) { return uuid_cmp(a, b); }

/* The ids that the base's rules must not have any more: those replaced, and those that come anew. Sorted. */
static struct uuid *gone_of(const struct uuid *replaced, size_t nreplaced, const struct ruleset *fresh, size_t *n_out)
{
    struct uuid *gone = must(malloc((nreplaced + fresh->nrules + 1) * sizeof *gone));

    if (nreplaced > 0)
        memcpy(gone, replaced, nreplaced * sizeof *gone);
    *n_out = nreplaced;
    for (size_t i = 0; i < fresh->nrules; i++) {
        if (!is_zero(&fresh->rules[i].id))
            gone[(*n_out)++] = fresh->rules[i].id;
    }
    qsort(gone, *n_out, sizeof *gone, uuid_order);
    return gone;
}

static bool is_gone(const struct uuid *gone, size_t n, const struct uuid *id)
{
    return n > 0 && bsearch(id, gone, n, sizeof *gone, uuid_order) != NULL;
}

/* Regexes without a literal in a rule. */
static size_t slow_of(const struct ruleset *rs, const struct stored_rule *r)
{
    size_t n = 0;

    for (uint32_t i = 0; i < r->nconditions; i++) {
        const struct stored_condition *c = &rs->conditions[r->conditions + i];

        for (uint32_t k = 0; k < c->nentries; k++) {
            const struct stored_entry *e = &rs->entries[c->entries + k];

            n += e->kind == ENTRY_REGEX && rs->patterns[e->extra].n == 0;
        }
    }
    return n;
}

/* Masks the base's rules that are gone: each id is looked for, so this costs what changed, not what is there. */
static size_t mask_gone(struct scope *s, const struct uuid *gone, size_t ngone)
{
    const struct ruleset *base = &s->base->own;
    size_t                slow = 0;

    for (size_t i = 0; i < ngone; i++) {
        size_t lo = 0, hi = base->nrules;

        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;

            if (uuid_cmp(&base->rules[mid].id, &gone[i]) < 0)
                lo = mid + 1;
            else
                hi = mid;
        }
        for (; lo < base->nrules && uuid_cmp(&base->rules[lo].id, &gone[i]) == 0; lo++) {
            uint64_t bit = (uint64_t)1 << lo % 64;

            if (s->masked[lo / 64] & bit)
                continue;
            s->masked[lo / 64] |= bit;
            s->nmasked++;
        }
    }
    for (size_t w = 0; w < (base->nrules + 63) / 64; w++) {
        for (uint64_t bits = s->masked[w]; bits != 0; bits &= bits - 1)
            slow += slow_of(base, &base->rules[64 * w + (size_t)__builtin_ctzll(bits)]);
    }
    return base->nslow - slow;
}

/* The rules of an earlier overlay that stay are added once more, so that there are never more than two layers. */
static int keep_earlier(struct scope_builder *b, const struct scope *earlier, const struct uuid *gone, size_t ngone,
                        struct err *e)
{
    const struct ruleset *rs = &earlier->own;
    struct arena          a;
    int                   rc = 0;

    arena_init(&a, 64u << 20);
    for (size_t i = 0; i < rs->nrules && rc == 0; i++) {
        struct rule r;

        if (is_gone(gone, ngone, &rs->rules[i].id))
            continue;
        arena_reset(&a);
        r = rule_again(rs, &rs->rules[i], &a);
        rc = a.full ? err_set(e, ERR_LIMIT, "a rule does not fit into memory")
                    : scope_builder_rule(b, &earlier->policies[rs->rules[i].policy].id, &r, e);
    }
    arena_fini(&a);
    return rc;
}

/* b gets the base's policies in front, in the base's order (its rules refer to them by index), replaced by its own. */
static int unite_policies(struct scope_builder *b, const struct scope *base, struct err *e)
{
    struct scope_policy *own = b->policies;
    size_t               nown = b->npolicies, at = 0;
    uint16_t            *moved = must(calloc(nown + 1, sizeof *moved));
    int                  rc = 0;

    b->policies = NULL;
    b->npolicies = b->cap_policies = b->last_policy = 0;
    if (base->npolicies > 0) {
        b->policies = room(NULL, 0, &b->cap_policies, base->npolicies, sizeof *b->policies);
        memcpy(b->policies, base->policies, base->npolicies * sizeof *b->policies);
        b->npolicies = base->npolicies;
    }
    for (size_t i = 0; i < nown && rc == 0; i++) {
        rc = scope_builder_policy(b, &own[i], e);
        if (rc == 0 && policy_find(b->policies, b->npolicies, &own[i].id, &at))
            moved[i] = (uint16_t)at;
    }
    for (size_t i = 0; i < b->rs.nrules; i++)
        b->rs.rules[i].policy = moved[b->rs.rules[i].policy];
    free(moved);
    free(own);
    return rc;
}

struct scope *scope_overlay(struct scope *base, const struct uuid *replaced, size_t nreplaced, struct scope_builder **b,
                            int64_t at_change, struct err *e)
{
    struct scope *flat = base->base != NULL ? base->base : base, *s = NULL;
    size_t        words = (flat->own.nrules + 63) / 64, ngone, slow;
    struct uuid  *gone = gone_of(replaced, nreplaced, &(*b)->rs, &ngone);

    if (unite_policies(*b, base, e) < 0)
        goto out;
    if (base->base != NULL && keep_earlier(*b, base, gone, ngone, e) < 0)
        goto out;
    s = finish(b, at_change);
    s->base = scope_hold(flat);
    s->masked = must(calloc(words + 1, sizeof *s->masked));
    if (base->base != NULL) {
        memcpy(s->masked, base->masked, words * sizeof *s->masked);
        s->nmasked = base->nmasked;
    }
    slow = mask_gone(s, gone, ngone) + s->own.nslow;
    if (slow > SCOPE_SLOW_REGEX_MAX) {
        err_set(e, ERR_LIMIT,
                "%zu regular expressions without a fixed text of 3 bytes or more in one scope, at most %d", slow,
                SCOPE_SLOW_REGEX_MAX);
        scope_drop(&s);
    }
out:
    free(gone);
    scope_builder_free(b);
    return s;
}

size_t scope_overlay_size(const struct scope *s) { return s->base != NULL ? s->own.nrules + s->nmasked : 0; }

/* ---- Scopes as things ---- */

struct scope *scope_hold(struct scope *s)
{
    atomic_fetch_add_explicit(&s->holds, 1, memory_order_relaxed);
    return s;
}

void scope_drop(struct scope **s)
{
    struct scope *mine = *s;

    *s = NULL;
    if (mine == NULL || atomic_fetch_sub_explicit(&mine->holds, 1, memory_order_acq_rel) != 1)
        return;
    ruleset_fini(&mine->own);
    scope_drop(&mine->base); /* one level: a base has no base */
    free(mine->masked);
    free(mine->policies);
    free(mine);
}

size_t scope_nrules(const struct scope *s)
{
    return s->own.nrules + (s->base != NULL ? s->base->own.nrules - s->nmasked : 0);
}

size_t scope_memory(const struct scope *s)
{
    size_t bytes = sizeof *s + s->npolicies * sizeof *s->policies + ruleset_memory(&s->own);

    if (s->base != NULL)
        bytes += (s->base->own.nrules + 63) / 64 * sizeof *s->masked + scope_memory(s->base);
    return bytes;
}

int64_t scope_at_change(const struct scope *s) { return s->at_change; }

size_t scope_npolicies(const struct scope *s) { return s->npolicies; }

const struct scope_policy *scope_policy_at(const struct scope *s, size_t i)
{
    return i < s->npolicies ? &s->policies[i] : NULL;
}
