/* lib/rules/conflict.c - see conflict.h.
 *
 * Rules are taken in their order. Each is looked up among those in front of it, entry by entry, then filed itself, under its anchor: its
 * first condition that is not negated. What an entry finds are rules whose anchor catches it; what else they ask for is compared once a
 * pair. A rule's entries that are all caught, under one condition, are all that it has. */
#include "rules/conflict.h"

#include "base/map.h"
#include "rules/cover.h"

#define PARENTS_MAX 32 /* labels of a domain that are looked up */

/* An entry of an anchor. */
struct filed {
    uint32_t      rule, entry;
    struct filed *next;
};

/* What one rule in front is to the one that is looked at. */
struct pair {
    uint32_t of;       /* the rule that this is about, + 1 */
    uint32_t split;    /* the condition of it, + 1 */
    uint32_t entry;    /* the last entry that it caught, + 1 */
    uint32_t caught;   /* entries so far */
    bool     strictly; /* it decides whenever the other would, as far as its anchor catches it */
    bool     loosely;
};

struct finding {
    const struct conflict_rule *rules;
    size_t                      nrules, steps;
    struct arena               *arena;
    struct map                  exact;           /* key of an entry -> struct filed */
    struct filed               *odd[COND_KINDS]; /* what no key finds */
    struct filed               *bare;            /* rules without an anchor; entry 0 */
    struct pair                *pairs;
    struct conflict            *items;
    size_t                      n;
    char                        key[RULE_ENTRY_MAX * 3 + 16];
};

#define NO_ANCHOR UINT32_MAX

static uint32_t anchor_of(const struct rule *r)
{
    for (uint32_t i = 0; i < r->nconditions; i++)
        if (!r->conditions[i].negated && r->conditions[i].kind != COND_SIZE)
            return i;
    return NO_ANCHOR;
}

/* ---- filing ------------------------------------------------------------------------------------------------------- */

static struct span key_of(struct finding *f, enum condition_kind kind, enum entry_kind as, struct span text)
{
    text = span_head(text, sizeof f->key - 2);
    f->key[0] = (char)kind;
    f->key[1] = (char)as;
    memcpy(f->key + 2, text.p != NULL ? text.p : "", text.n);
    return span_make(f->key, text.n + 2);
}

static struct span text_key(struct finding *f, const struct condition *c, const struct entry *x)
{
    return x->kind == ENTRY_IP ? key_of(f, c->kind, x->kind, span_make(x->ip.first.b, 16))
                               : key_of(f, c->kind, x->kind, x->text);
}

/* Can it catch what is not written as it is, or as one of the domains of what is? */
static bool is_odd(const struct condition *c, const struct entry *x)
{
    switch (x->kind) {
    case ENTRY_TEXT: return c->match != MATCH_EXACT;
    case ENTRY_IP: return ip_cmp(&x->ip.first, &x->ip.last) != 0;
    case ENTRY_WILDCARD:
    case ENTRY_ATTACHMENT: return true;
    case ENTRY_REGEX:
    case ENTRY_ADDRESS:
    case ENTRY_DOMAIN:
    case ENTRY_DOMAIN_ALONE:
    case ENTRY_SUBDOMAINS:
    case ENTRY_NULL_SENDER: break;
    }
    return false;
}

static int file_entry(struct finding *f, const struct condition *c, uint32_t rule, uint32_t entry)
{
    struct filed *x = arena_zalloc(f->arena, sizeof *x);
    bool          odd = c != NULL && is_odd(c, &c->any[entry]);
    struct span   key;

    if (x == NULL)
        return -1;
    *x = (struct filed){.rule = rule, .entry = entry};
    if (c == NULL || odd) {
        struct filed **head = c == NULL ? &f->bare : &f->odd[c->kind];

        x->next = *head;
        *head = x;
        return 0;
    }
    key = text_key(f, c, &c->any[entry]);
    if ((x->next = map_get(&f->exact, key)) == NULL && (key = arena_dup(f->arena, key)).p == NULL)
        return -1;
    if (x->next == NULL) {
        map_put(&f->exact, key, x);
    } else { /* behind the first, whose key the map has */
        struct filed *first = x->next;

        x->next = first->next;
        first->next = x;
    }
    return 0;
}

static int file_rule(struct finding *f, uint32_t rule)
{
    const struct rule *r = &f->rules[rule].rule;
    uint32_t           anchor = anchor_of(r);

    if (anchor == NO_ANCHOR)
        return file_entry(f, NULL, rule, 0);
    for (uint32_t i = 0; i < r->conditions[anchor].nany; i++)
        if (file_entry(f, &r->conditions[anchor], rule, i) < 0)
            return -1;
    return 0;
}

/* ---- two rules ---------------------------------------------------------------------------------------------------- */

/* All conditions of a but its anchor. */
static bool rest_covers(struct finding *f, const struct rule *a, const struct rule *b, uint32_t anchor, bool loose)
{
    for (uint32_t i = 0; i < a->nconditions; i++) {
        size_t k = 0;

        while (i != anchor && k < b->nconditions &&
               !condition_covers(a, &a->conditions[i], b, &b->conditions[k], loose, &f->steps))
            k++;
        if (i != anchor && k == b->nconditions)
            return false;
    }
    return true;
}

static bool holds_where(const struct conflict_rule *a, const struct conflict_rule *b)
{
    return a->part == 0 || a->part == b->part;
}

/* The pair of `rule` in front of `of`, whose condition `split` is looked at entry by entry. */
static struct pair *pair_of(struct finding *f, uint32_t rule, uint32_t of, uint32_t split)
{
    const struct conflict_rule *a = &f->rules[rule], *b = &f->rules[of];
    const struct condition     *cb = split != NO_ANCHOR ? &b->rule.conditions[split] : NULL;
    struct pair                *p = &f->pairs[rule];
    uint32_t                    anchor = anchor_of(&a->rule);

    if (p->of == of + 1 && p->split == split + 1)
        return p;
    *p = (struct pair){.of = of + 1, .split = split + 1};
    f->steps++;
    if (!holds_where(a, b))
        return p;
    for (int loose = 0; loose < 2; loose++) {
        bool fits = anchor == NO_ANCHOR ||
                    (cb != NULL && condition_fits(&a->rule, &a->rule.conditions[anchor], &b->rule, cb, loose));

        *(loose ? &p->loosely : &p->strictly) = fits && rule_stands(&a->rule, &b->rule, loose) &&
                                                rest_covers(f, &a->rule, &b->rule, anchor, loose);
    }
    return p;
}

/* ---- one rule ----------------------------------------------------------------------------------------------------- */

/* What has been found of the rule at hand, under one of its conditions. */
struct looking {
    uint32_t        rule, split;
    size_t          ncaught; /* entries that somebody catches strictly */
    bool            opposed; /* by one of the other action at least */
    bool            entry_caught, entry_opposed;
    uint32_t        all_by; /* the first that catches all of them; UINT32_MAX */
    struct conflict shadow, opposite;
};

static void add_by(struct conflict *c, size_t rule)
{
    for (size_t i = 0; i < c->nby; i++)
        if (c->by[i] == rule)
            return;
    if (c->nby < CONFLICT_BY_MAX)
        c->by[c->nby++] = rule;
}

/* An allow needs all From addresses: what lets in one of them does not let in all. */
static bool splits(const struct rule *a, const struct rule *b, const struct condition *c)
{
    return !(a->action == RULE_ALLOW && b->action == RULE_ALLOW && c->kind == COND_SENDER && c->nany > 1);
}

static void note_opposite(struct looking *l, uint32_t by, const struct rule *a, const struct entry *y)
{
    if (l->opposite.nby == 0) {
        l->opposite.entry = y;
        l->opposite.if_proven = rule_asks_proof(a);
    }
    l->opposite.nentries += !l->entry_opposed;
    l->entry_opposed = true;
    add_by(&l->opposite, by);
}

/* The rule `by` catches entry i of the condition that is looked at. */
static void note_caught(struct finding *f, struct looking *l, uint32_t by, uint32_t i)
{
    const struct rule      *a = &f->rules[by].rule, *b = &f->rules[l->rule].rule;
    const struct condition *c = &b->conditions[l->split];
    struct pair            *p = pair_of(f, by, l->rule, l->split);

    if (p->entry == i + 1)
        return;
    p->entry = i + 1;
    if (p->strictly && ++p->caught == c->nany && by < l->all_by)
        l->all_by = by;
    if (p->strictly && splits(a, b, c)) {
        l->ncaught += !l->entry_caught;
        l->entry_caught = true;
        l->opposed |= a->action != b->action;
        add_by(&l->shadow, by);
    }
    if (p->loosely && a->action != b->action)
        note_opposite(l, by, a, &c->any[i]);
}

static void look_chain(struct finding *f, struct looking *l, const struct filed *x, uint32_t i)
{
    const struct condition *c = &f->rules[l->rule].rule.conditions[l->split];

    for (; x != NULL && f->steps < CONFLICT_STEPS; x = x->next) {
        const struct rule      *a = &f->rules[x->rule].rule;
        const struct condition *ca = &a->conditions[anchor_of(a)];
        const struct entry     *from = &ca->any[x->entry];

        f->steps += from->kind == ENTRY_WILDCARD || from->kind == ENTRY_TEXT ? 1 + c->any[i].text.n / 16 : 1;
        if (entry_covers(ca, from, c, &c->any[i]))
            note_caught(f, l, x->rule, i);
    }
}

static void look_entry(struct finding *f, struct looking *l, uint32_t i)
{
    static const enum entry_kind above[] = {ENTRY_DOMAIN, ENTRY_SUBDOMAINS};
    const struct condition      *c = &f->rules[l->rule].rule.conditions[l->split];
    const struct entry          *y = &c->any[i];
    struct span                  domain = entry_domain(y);
    bool                         is_domain = y->kind == ENTRY_DOMAIN || y->kind == ENTRY_SUBDOMAINS;

    l->entry_caught = l->entry_opposed = false;
    if (!is_odd(c, y) && !is_domain)
        look_chain(f, l, map_get(&f->exact, text_key(f, c, y)), i);
    if (domain.n > 0 && y->kind != ENTRY_DOMAIN_ALONE)
        look_chain(f, l, map_get(&f->exact, key_of(f, c->kind, ENTRY_DOMAIN_ALONE, domain)), i);
    for (int n = 0; domain.n > 0 && n < PARENTS_MAX; n++) {
        for (size_t k = 0; k < COUNT(above); k++)
            look_chain(f, l, map_get(&f->exact, key_of(f, c->kind, above[k], domain)), i);
        domain = span_skip(domain, span_chr(domain, '.') + 1);
    }
    look_chain(f, l, f->odd[c->kind], i);
}

/* Under the condition `split`. True: the rule never decides. */
static bool look_condition(struct finding *f, struct looking *l)
{
    const struct condition *c = &f->rules[l->rule].rule.conditions[l->split];
    struct looking          before = *l;

    l->ncaught = 0;
    l->shadow.nby = 0;
    l->opposed = false;
    l->all_by = UINT32_MAX;
    if (before.opposite.nby == 0)
        l->opposite.nentries = 0;
    for (uint32_t i = 0; i < c->nany && f->steps < CONFLICT_STEPS; i++)
        look_entry(f, l, i);
    if (l->opposite.nentries == c->nany && before.opposite.nby == 0)
        l->opposite.entry = NULL;
    if (before.opposite.nby > 0)
        l->opposite = before.opposite;
    if (l->all_by != UINT32_MAX) {
        l->shadow.nby = 0;
        add_by(&l->shadow, l->all_by);
        l->opposed = f->rules[l->all_by].rule.action != f->rules[l->rule].rule.action;
        return true;
    }
    return c->nany > 0 && l->ncaught == c->nany;
}

/* Rules in front that ask for no entry at all: sizes, and what something is not. */
static bool look_bare(struct finding *f, struct looking *l)
{
    const struct rule *b = &f->rules[l->rule].rule;

    for (const struct filed *x = f->bare; x != NULL && f->steps < CONFLICT_STEPS; x = x->next) {
        const struct pair *p = pair_of(f, x->rule, l->rule, NO_ANCHOR);
        bool               opposed = f->rules[x->rule].rule.action != b->action;

        if (p->strictly) {
            l->shadow.nby = 0;
            add_by(&l->shadow, x->rule);
            l->opposed = opposed;
            return true;
        }
        if (p->loosely && opposed && l->opposite.nby == 0)
            note_opposite(l, x->rule, &f->rules[x->rule].rule, NULL);
    }
    return false;
}

static void look(struct finding *f, uint32_t rule)
{
    const struct rule *r = &f->rules[rule].rule;
    struct looking     l = {.rule = rule};
    bool               shadowed = look_bare(f, &l);
    struct conflict   *c = &f->items[f->n];

    for (l.split = 0; l.split < r->nconditions && !shadowed; l.split++)
        if (!r->conditions[l.split].negated && r->conditions[l.split].kind != COND_SIZE)
            shadowed = look_condition(f, &l);
    if (!shadowed && l.opposite.nby == 0)
        return;
    *c = shadowed ? l.shadow : l.opposite;
    c->kind = shadowed ? CONFLICT_SHADOWED : CONFLICT_OPPOSITE;
    c->rule = rule;
    c->opposite = shadowed && l.opposed;
    f->n++;
}

int conflicts_find(const struct conflict_rule *rules, size_t n, struct arena *a, struct conflicts *out, struct err *e)
{
    struct finding *f = arena_zalloc(a, sizeof *f);
    int             rc = 0;

    *out = (struct conflicts){.whole = true};
    if (f == NULL || n >= UINT32_MAX || (f->pairs = arena_array(a, n + 1, sizeof *f->pairs)) == NULL ||
        (f->items = arena_array(a, n + 1, sizeof *f->items)) == NULL)
        return err_set(e, ERR_LIMIT, "too many rules to be compared");
    f->rules = rules;
    f->nrules = n;
    f->arena = a;
    map_init(&f->exact);
    for (uint32_t i = 0; i < n && rc == 0 && f->steps < CONFLICT_STEPS; i++) {
        if (!rules[i].rule.enabled || rules[i].rule.test_only)
            continue;
        look(f, i);
        rc = file_rule(f, i);
    }
    map_fini(&f->exact);
    *out = (struct conflicts){f->items, f->n, f->steps < CONFLICT_STEPS};
    return rc < 0 ? err_set(e, ERR_LIMIT, "too many rules to be compared") : 0;
}
