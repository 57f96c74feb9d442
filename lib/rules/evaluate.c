/* lib/rules/evaluate.c - see evaluate.h.
 *
 * For each scope, once a message: every fact is looked up at the places that the scope uses, which yields keys (rule, entry),
 * sorted. For each recipient: the same for what is known of it; the two lists, merged, are the rules to try. What a rule's
 * conditions say of the message alone is kept in a memo; only the receiving side is asked again. */
#include "rules/evaluate.h"

#include <stdlib.h>

#include "base/clock.h"
#include "mail/text.h"
#include "rules/evaluation.h"

#define NO_ENTRY UINT32_MAX /* in a key: the rule is tried on every message */
#define FIELDS_FEW 8
#define FIELD_NAME_MAX 256
#define KEYS_TIDY 4096

/* What a rule's conditions are by the message alone; `done` has a bit a condition. */
struct memo {
    uint32_t       done;
    bool           dead;   /* a condition that no recipient can change is false */
    bool           listed; /* `match` is complete: no recipient can change it */
    struct match   match;
    struct finding findings[];
};

struct set_state {
    struct keys  keys;
    bool         gathered, asks_rcpt;
    struct table memos;
};

/* One scope as this message sees it. */
struct scope_state {
    const struct scope *scope;
    struct regex_budget budget;
    struct set_state    sets[2]; /* of the base, and its own */
    bool                same_for_all;
    const struct match *list; /* when it is the same for all recipients */
    size_t              nlist;
};

struct evaluation *evaluation_new(const struct facts *facts)
{
    struct evaluation *ev = arena_zalloc(facts->arena, sizeof *ev);

    if (ev == NULL)
        return NULL;
    ev->facts = facts;
    ev->message = facts->message;
    ev->arena = facts->arena;
    ev->regex_budget.left_us = REGEX_MESSAGE_US;
    ev->look_at = 1;
    if (facts->yield_us > 0) {
        ev->clock_runs = true;
        ev->cpu_begun_us = clock_thread_cpu_us();
    } else {
        ev->look_at = 8192; /* short evaluations read no clock at all */
    }
    return ev;
}

bool evaluation_touched_body(const struct evaluation *ev) { return ev->touched_body; }

size_t evaluation_regex_limits(const struct evaluation *ev) { return ev->regex_limits; }

/* ---- Gathering: from facts to keys ---- */

/* At the places that all rules share, or, with `own`, at that of one condition. */
struct gathering {
    struct evaluation        *ev;
    const struct ruleset     *rs;
    struct keys              *keys;
    uint32_t                  own;
    const struct literal_set *own_literals;
    bool                      incomplete; /* there may be more, or an entry that is not true may be unknown */
};

static bool uses(const struct gathering *g, enum place place) { return g->own != 0 || ruleset_uses(g->rs, place); }

static const struct literal_set *literals_at(const struct gathering *g, enum place place)
{
    return g->own != 0 ? g->own_literals : g->rs->literals[place];
}

static int key_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void tidy(struct keys *k)
{
    size_t kept = 0;

    if (k->n > 1)
        qsort(k->list, k->n, sizeof *k->list, key_order);
    for (size_t i = 0; i < k->n; i++) {
        if (kept == 0 || k->list[kept - 1] != k->list[i])
            k->list[kept++] = k->list[i];
    }
    k->n = kept;
}

static void add_key(struct gathering *g, uint64_t key)
{
    struct keys *k = g->keys;

    if (k->n == k->cap && k->cap >= KEYS_TIDY)
        tidy(k); /* most were there before: a text that repeats what is looked for */
    if (k->n == k->cap || (k->cap >= KEYS_TIDY && 2 * k->n > k->cap)) {
        size_t    cap = k->cap > 0 ? 2 * k->cap : 32;
        uint64_t *list = arena_alloc(g->ev->arena, cap * sizeof *list);

        if (list == NULL)
            return; /* the arena remembers */
        if (k->n > 0)
            memcpy(list, k->list, k->n * sizeof *list);
        k->list = list;
        k->cap = cap;
    }
    k->list[k->n++] = key;
}

static bool add_entry(struct gathering *g, uint32_t entry)
{
    uint32_t rule = g->rs->conditions[g->rs->entries[entry].condition].rule;

    add_key(g, (uint64_t)rule << 32 | entry);
    return !evaluation_spend(g->ev, 1);
}

static void look_up(struct gathering *g, uint64_t hash, uint32_t place)
{
    uint32_t ref = ruleset_find(g->rs, hash, g->own != 0 ? g->own : place), entry;

    while (ref_next(g->rs, &ref, &entry) && add_entry(g, entry))
        ;
}

static void look_up_all(struct gathering *g, const struct hashes *h, enum place place)
{
    for (size_t i = 0; i < h->n && !g->ev->busy; i++)
        look_up(g, h->list[i], place);
}

static bool literal_found(void *ctx, uint32_t id, size_t at)
{
    (void)at;
    return add_entry(ctx, id);
}

static void scan(struct gathering *g, const struct literal_set *set, struct span folded)
{
    if (set == NULL || folded.n == 0 || g->ev->busy)
        return;
    if (literal_scan(set, folded, literal_found, g) < 0)
        g->incomplete = true;
    evaluation_spend(g->ev, folded.n / 16);
}

static void look_up_ip(struct gathering *g, const struct ip *ip, enum place place)
{
    const bool *used = g->rs->prefixes[place == PLACE_NEXTHOP_IP];

    for (unsigned bits = 0; bits <= 128; bits++) {
        if (used[bits])
            look_up(g, prefix_hash(ip, bits), place);
    }
}

static void gather_senders(struct gathering *g)
{
    const struct literal_set *literals = literals_at(g, PLACE_SENDER);
    const struct address     *list;
    size_t                    n;

    if (!uses(g, PLACE_SENDER))
        return;
    look_up_all(g, evaluation_sender_hashes(g->ev), PLACE_SENDER);
    if (literals == NULL)
        return;
    evaluation_from(g->ev, &list, &n);
    for (size_t i = 0; i < n; i++)
        scan(g, literals, list[i].full);
    if (g->ev->facts->has_envelope_from)
        scan(g, literals, g->ev->facts->envelope_from.full);
}

static void gather_client(struct gathering *g)
{
    if (uses(g, PLACE_IP) && g->ev->facts->has_ip)
        look_up_ip(g, &g->ev->facts->ip, PLACE_IP);
}

static void gather_host(struct gathering *g)
{
    if (!uses(g, PLACE_HOST))
        return;
    look_up_all(g, evaluation_server_hashes(g->ev), PLACE_HOST);
    scan(g, literals_at(g, PLACE_HOST), evaluation_host(g->ev));
    scan(g, literals_at(g, PLACE_HOST), evaluation_helo(g->ev));
}

static void gather_signers(struct gathering *g)
{
    const struct proof *p = &g->ev->facts->proof;

    if (!uses(g, PLACE_SIGNED))
        return;
    look_up_all(g, evaluation_signer_hashes(g->ev), PLACE_SIGNED);
    for (size_t i = 0; i < p->ndkim; i++)
        scan(g, literals_at(g, PLACE_SIGNED), p->dkim[i]);
}

static void gather_header(struct gathering *g, const struct stored_field *f, size_t header)
{
    bool        clean; /* what is not makes a condition unknown later */
    struct span folded = message_header_folded(g->ev->message, header, &clean);

    if (f->exact || g->own != 0)
        look_up(g, span_hash(span_trim(folded)), PLACE_HEADER + (uint32_t)(f - g->rs->fields));
    scan(g, g->own != 0 ? g->own_literals : f->literals, folded);
}

static void gather_field(struct gathering *g, const struct stored_field *f)
{
    struct span name = ruleset_text(g->rs, f->name, f->n);
    size_t      at = 0;

    while (!g->ev->busy && message_header_next(g->ev->message, name, &at) != NULL)
        gather_header(g, f, at - 1);
}

static bool field_is_filed(const struct stored_field *f) { return f->exact || f->literals != NULL; }

/* Few fields are looked for in the message; of many, those that the message has are looked for in the scope. */
static void gather_headers(struct gathering *g)
{
    struct message *m = g->ev->message;
    size_t          n = g->rs->nfields;
    char            lower[FIELD_NAME_MAX];
    bool            limit_hit;

    for (size_t i = 0; n <= FIELDS_FEW && i < n; i++) {
        if (field_is_filed(&g->rs->fields[i]))
            gather_field(g, &g->rs->fields[i]);
    }
    if (n <= FIELDS_FEW)
        return;
    n = message_nheaders(m, &limit_hit);
    for (size_t i = 0; i < n && !evaluation_spend(g->ev, 1); i++) {
        struct span                name = message_header_at(m, i)->name;
        const struct stored_field *f;

        if (name.n > sizeof lower)
            continue;
        for (size_t k = 0; k < name.n; k++)
            lower[k] = name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] | 0x20) : name.p[k];
        f = map_get(&g->rs->fields_by_name, span_make(lower, name.n));
        if (f != NULL && field_is_filed(f))
            gather_header(g, f, i);
    }
}

static void gather_texts(struct gathering *g, enum place place)
{
    const struct message_text *list;
    size_t                     n;

    if (!uses(g, place) || g->ev->busy)
        return;
    evaluation_texts(g->ev, place == PLACE_SOURCE, &list, &n);
    for (size_t i = 0; i < n && !g->ev->busy; i++) {
        look_up(g, span_hash(span_trim(list[i].folded)), place);
        scan(g, literals_at(g, place), list[i].folded);
    }
}

static void gather_attachments(struct gathering *g)
{
    const uint32_t places = 1u << PLACE_EXTENSION | 1u << PLACE_MIME | 1u << PLACE_FILENAME | 1u << PLACE_ATTACHED;
    const struct attachment *list;
    size_t                   n;
    bool                     limit_hit;

    if ((g->own == 0 && !(g->rs->places & places)) || g->ev->busy)
        return;
    list = evaluation_attachments(g->ev, &n, &limit_hit);
    g->incomplete |= limit_hit;
    look_up(g, span_hash(n > 0 ? ATTACHED_YES : ATTACHED_NO), PLACE_ATTACHED);
    for (size_t i = 0; i < n && !g->ev->busy; i++) {
        g->incomplete |= !list[i].clean;
        look_up(g, span_hash(list[i].extension), PLACE_EXTENSION);
        look_up(g, span_hash(list[i].type), PLACE_MIME);
        look_up(g, span_hash(list[i].name), PLACE_FILENAME);
        scan(g, literals_at(g, PLACE_FILENAME), list[i].name);
    }
}

/* Everything that the message alone says. Where that is incomplete, what was not found is not tried, and so does not apply:
 * these are anchors, and have no `not`. False when it has to be done again. */
static bool gather_message(struct evaluation *ev, const struct ruleset *rs, struct set_state *st)
{
    struct gathering g = {.ev = ev, .rs = rs, .keys = &st->keys};

    st->keys.n = 0;
    for (size_t i = 0; i < rs->nalways; i++) {
        add_key(&g, (uint64_t)rs->always[i] << 32 | NO_ENTRY);
        evaluation_spend(ev, 1);
    }
    gather_senders(&g);
    gather_client(&g);
    gather_host(&g);
    gather_signers(&g);
    gather_headers(&g);
    gather_attachments(&g);
    gather_texts(&g, PLACE_BODY);
    gather_texts(&g, PLACE_SOURCE);
    if (ev->busy)
        return false;
    tidy(&st->keys);
    st->asks_rcpt = ruleset_uses(rs, PLACE_RCPT) || ruleset_uses(rs, PLACE_NEXTHOP) ||
                    ruleset_uses(rs, PLACE_NEXTHOP_IP);
    for (size_t i = 0; i < st->keys.n && !st->asks_rcpt; i++)
        st->asks_rcpt = rs->rules[st->keys.list[i] >> 32].flags & RULE_ASKS_RCPT;
    st->gathered = true;
    return true;
}

static void gather_name(struct gathering *g, struct span whole, struct span domain, enum place place)
{
    struct hashes *h = &g->ev->rcpt_hashes;

    h->n = 0;
    hashes_add(g->ev, h, whole);
    hashes_add_domain(g->ev, h, domain);
    look_up_all(g, h, place);
    scan(g, literals_at(g, place), whole);
}

static void gather_rcpt(struct gathering *g, const struct rcpt_facts *rcpt)
{
    if (!uses(g, PLACE_RCPT))
        return;
    gather_name(g, rcpt->given.full, rcpt->given.domain, PLACE_RCPT);
    if (rcpt->resolved.n > 0 && !span_eq(rcpt->resolved, rcpt->given.full))
        gather_name(g, rcpt->resolved, rcpt->resolved_domain, PLACE_RCPT);
}

static void gather_nexthop(struct gathering *g, const struct rcpt_facts *rcpt)
{
    if (uses(g, PLACE_NEXTHOP))
        gather_name(g, rcpt->nexthop, rcpt->nexthop, PLACE_NEXTHOP);
}

static void gather_nexthop_ip(struct gathering *g, const struct rcpt_facts *rcpt)
{
    if (uses(g, PLACE_NEXTHOP_IP) && rcpt->has_nexthop_ip)
        look_up_ip(g, &rcpt->nexthop_ip, PLACE_NEXTHOP_IP);
}

/* Everything that the recipient says. Valid until the next recipient. */
static const struct keys *gather_recipient(struct evaluation *ev, const struct ruleset *rs,
                                           const struct rcpt_facts *rcpt)
{
    struct gathering g = {.ev = ev, .rs = rs, .keys = &ev->rcpt_keys};

    g.keys->n = 0;
    if (rcpt != NULL) {
        gather_rcpt(&g, rcpt);
        gather_nexthop(&g, rcpt);
        gather_nexthop_ip(&g, rcpt);
        tidy(g.keys);
    }
    return g.keys;
}

/* The entries of a condition that is filed by itself which could be true by the message, or by the recipient; all others are
 * false. NULL: that cannot be told, so all have to be tried. */
static const struct keys *gather_own(struct evaluation *ev, const struct ruleset *rs, const struct stored_condition *c,
                                     const struct rcpt_facts *rcpt, bool by_rcpt)
{
    uint32_t         index = (uint32_t)(c - rs->conditions);
    struct gathering g = {
        .ev = ev, .rs = rs, .keys = &ev->own_keys, .own = PLACE_OWN + index, .own_literals = ruleset_own(rs, index)};

    g.keys->n = 0;
    look_up(&g, span_hash(NOT_FILED), 0);
    switch ((enum condition_kind)c->kind) {
    case COND_SENDER:
    case COND_RECIPIENT:
        if (!by_rcpt)
            gather_senders(&g);
        else if (rcpt != NULL)
            gather_rcpt(&g, rcpt);
        if (!by_rcpt && !ev->facts->has_envelope_from)
            look_up(&g, span_hash(SPAN("<>")), 0); /* then that is unknown */
        break;
    case COND_IP:
        if (!by_rcpt)
            gather_client(&g);
        else if (rcpt != NULL)
            gather_nexthop_ip(&g, rcpt);
        break;
    case COND_HOST:
        if (!by_rcpt)
            gather_host(&g);
        else if (rcpt != NULL)
            gather_nexthop(&g, rcpt);
        break;
    case COND_SUBJECT:
    case COND_HEADER: gather_field(&g, &rs->fields[c->extra]); break;
    case COND_BODY: gather_texts(&g, c->match == MATCH_REGEX ? PLACE_SOURCE : PLACE_BODY); break;
    case COND_ATTACHMENT: gather_attachments(&g); break;
    case COND_SIGNED_BY: gather_signers(&g); break;
    case COND_SIZE:
    case COND_KINDS: break;
    }
    tidy(g.keys);
    return g.incomplete ? NULL : g.keys;
}

/* ---- One rule ---- */

/* A rule that is tried, and which entries of its anchor the look-ups of either side yielded (none of them: all are tried). */
struct trial {
    struct evaluation       *ev;
    struct scope_state      *state;
    const struct ruleset    *rs;
    const struct rcpt_facts *rcpt;
    uint32_t                 index, offset; /* in the ruleset; what to add for its index in the scope */
    bool                     explain;
    const uint64_t          *by_message, *by_rcpt;
    size_t                   nby_message, nby_rcpt;
};

static struct finding ask(const struct trial *t, const struct stored_condition *c, bool rcpt)
{
    struct question q = {
        .ev = t->ev, .scope_budget = &t->state->budget, .rs = t->rs, .rule = &t->rs->rules[t->index], .condition = c};

    if (!t->explain && (c->flags & CONDITION_ANCHOR)) {
        q.some = true;
        q.keys = rcpt ? t->by_rcpt : t->by_message;
        q.nkeys = rcpt ? t->nby_rcpt : t->nby_message;
    } else if (!t->explain && (c->flags & CONDITION_FILED)) {
        const struct keys *own = gather_own(t->ev, t->rs, c, t->rcpt, rcpt);

        q.some = own != NULL;
        q.keys = own != NULL ? own->list : NULL;
        q.nkeys = own != NULL ? own->n : 0;
    }
    return rcpt ? condition_by_rcpt(&q, t->rcpt) : condition_by_message(&q);
}

/* What a condition costs to ask; the cheap ones go first, and often nobody asks the dear ones. */
static unsigned cost_of(const struct stored_condition *c)
{
    static const uint8_t costs[COND_KINDS] = {
        [COND_SUBJECT] = 1, [COND_HEADER] = 1, [COND_SIZE] = 1, [COND_BODY] = 2, [COND_ATTACHMENT] = 2};

    return costs[c->kind];
}

static enum fact truth_of(const struct stored_condition *c, const struct finding *f)
{
    static const enum fact negation[] = {[FACT_NO] = FACT_YES, [FACT_YES] = FACT_NO, [FACT_UNKNOWN] = FACT_UNKNOWN};

    return c->flags & CONDITION_NOT ? negation[f->truth] : (enum fact)f->truth;
}

/* The whole condition, its `not` included. What the message alone says of it is asked once. */
static enum fact try_condition(const struct trial *t, struct memo *m, uint32_t i, struct finding *out)
{
    const struct stored_condition *c = &t->rs->conditions[t->rs->rules[t->index].conditions + i];

    if (!(m->done >> i & 1)) {
        m->findings[i] = ask(t, c, false);
        m->done |= t->ev->busy ? 0 : 1u << i;
    }
    *out = m->findings[i];
    if (c->flags & CONDITION_ASKS_RCPT)
        *out = finding_or(*out, ask(t, c, true));
    return truth_of(c, out);
}

/* All conditions hold: does the rule apply? */
static void conclude(const struct trial *t, const struct finding *found, struct match *out)
{
    const struct stored_rule *r = &t->rs->rules[t->index];
    bool                      pinned = false, shown = false;
    uint32_t                  unproven = UINT32_MAX;

    for (uint32_t i = 0; i < r->nconditions; i++) {
        const struct stored_condition *c = &t->rs->conditions[r->conditions + i];

        if (c->flags & CONDITION_NOT)
            continue;
        pinned |= c->kind == COND_SIGNED_BY || (c->kind == COND_IP && found[i].by_client);
        if (c->kind == COND_SENDER && !found[i].proven && unproven == UINT32_MAX)
            unproven = i;
        if (!shown && c->nentries > 0) {
            out->condition = (uint16_t)i;
            shown = true;
        }
        out->by_helo |= found[i].by_helo;
        out->by_resolved |= found[i].by_resolved;
    }
    out->why = r->flags & RULE_TEST ? WHY_TEST_ONLY : WHY_APPLIED;
    if (r->action == RULE_ALLOW && (r->flags & RULE_PROOF) && !pinned && unproven != UINT32_MAX) {
        out->why = WHY_NOT_PROVEN;
        out->condition = (uint16_t)unproven;
    }
    out->seen = found[out->condition].seen;
    if (r->nconditions > 0) {
        const struct stored_condition *c = &t->rs->conditions[r->conditions + out->condition];

        out->entry = c->nentries > 0 && !(c->flags & CONDITION_NOT) ? found[out->condition].entry - c->entries : 0;
    }
}

/* Fills in what does not hold: condition i. */
static void object(const struct trial *t, struct match *out, enum match_why why, uint32_t i, const struct finding *f)
{
    const struct stored_condition *c = &t->rs->conditions[t->rs->rules[t->index].conditions + i];

    out->why = why;
    out->condition = (uint16_t)i;
    out->limit = why == WHY_UNKNOWN ? f->limit : NULL;
    out->seen = f->seen;
    out->entry = f->truth == FACT_YES && c->nentries > 0 ? f->entry - c->entries
                                                         : 0; /* a `not` that an entry made false */
}

/* The conditions by cost, or in their order where each is to be explained. */
static void try_rule(const struct trial *t, struct memo *m, struct match *out)
{
    const struct stored_rule *r = &t->rs->rules[t->index];
    struct finding            found[RULE_CONDITIONS_MAX];
    uint32_t                  unknown = UINT32_MAX;

    for (unsigned cost = 0; cost < (t->explain ? 1 : 3); cost++) {
        for (uint32_t i = 0; i < r->nconditions; i++) {
            const struct stored_condition *c = &t->rs->conditions[r->conditions + i];
            enum fact                      truth;

            if (!t->explain && cost_of(c) != cost)
                continue;
            truth = try_condition(t, m, i, &found[i]);
            if (t->ev->busy)
                return;
            if (truth == FACT_NO) {
                m->dead = !(c->flags & CONDITION_ASKS_RCPT);
                object(t, out, WHY_FALSE, i, &found[i]);
                return;
            }
            if (truth == FACT_UNKNOWN && i < unknown)
                unknown = i;
        }
    }
    if (unknown != UINT32_MAX)
        object(t, out, WHY_UNKNOWN, unknown, &found[unknown]);
    else
        conclude(t, found, out);
}

static bool is_masked(const struct scope *s, const struct ruleset *rs, uint32_t index)
{
    return s->base != NULL && rs == &s->base->own && (s->masked[index / 64] >> index % 64 & 1);
}

/* Does the direction leave the rule out? Outbound, the sending side is the scope's own. */
static bool wrong_way(const struct evaluation *ev, const struct stored_rule *r)
{
    return ev->facts->direction == DIRECTION_OUTBOUND && r->flow == FLOW_FROM;
}

static bool expired(const struct evaluation *ev, const struct stored_rule *r)
{
    return r->expires_us != 0 && r->expires_us <= ev->facts->now_us;
}

static struct match blank_match(const struct trial *t)
{
    const struct stored_rule *r = &t->rs->rules[t->index];

    return (struct match){.scope = t->state->scope,
                          .policy = &t->state->scope->policies[r->policy],
                          .rule = t->offset + t->index,
                          .id = r->id,
                          .action = (enum rule_action)r->action,
                          .priority = r->priority};
}

/* ---- Lists ---- */

struct list {
    struct match *items;
    size_t        n, cap;
};

static void list_add(struct evaluation *ev, struct list *l, const struct match *m)
{
    if (l->n == l->cap) {
        size_t        cap = l->cap > 0 ? 2 * l->cap : 4;
        struct match *items = arena_alloc(ev->arena, cap * sizeof *items);

        if (items == NULL)
            return;
        if (l->n > 0)
            memcpy(items, l->items, l->n * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = *m;
}

static struct memo *memo_new(struct evaluation *ev, size_t nconditions)
{
    return arena_zalloc(ev->arena, sizeof(struct memo) + nconditions * sizeof(struct finding));
}

/* A memo for one rule only, used again and again. */
static struct memo *scratch_memo(struct evaluation *ev)
{
    if (ev->scratch == NULL)
        ev->scratch = memo_new(ev, RULE_CONDITIONS_MAX);
    if (ev->scratch != NULL)
        ((struct memo *)ev->scratch)->done = 0;
    return ev->scratch;
}

/* Nothing has to be kept where no recipient makes a difference: then the list itself is. */
static struct memo *memo_of(struct evaluation *ev, struct set_state *st, const struct ruleset *rs, uint32_t index)
{
    void **cell;

    if (!st->asks_rcpt)
        return scratch_memo(ev);
    cell = table_at(ev, &st->memos, (uint64_t)index + 1);
    if (cell != NULL && *cell == NULL)
        *cell = memo_new(ev, rs->rules[index].nconditions);
    return cell != NULL ? *cell : NULL;
}

/* Tries a rule that the look-ups yielded, and lists it unless it is false. */
static void try_and_list(const struct trial *t, struct set_state *st, struct list *out)
{
    const struct stored_rule *r = &t->rs->rules[t->index];
    struct match              match;
    struct memo              *m;

    if (is_masked(t->state->scope, t->rs, t->index) || expired(t->ev, r) || wrong_way(t->ev, r))
        return;
    if ((m = memo_of(t->ev, st, t->rs, t->index)) == NULL || (m->dead && st->asks_rcpt))
        return;
    if (m->listed) {
        list_add(t->ev, out, &m->match);
        return;
    }
    match = blank_match(t);
    try_rule(t, m, &match);
    if (t->ev->busy || match.why == WHY_FALSE)
        return;
    if (st->asks_rcpt && !(r->flags & RULE_ASKS_RCPT)) {
        m->match = match;
        m->listed = true;
    }
    list_add(t->ev, out, &match);
}

/* The keys of one rule at *at, without NO_ENTRY, which comes last; moves *at behind them. */
static size_t group(const struct keys *k, size_t *at, uint32_t rule)
{
    size_t n = 0;

    while (*at < k->n && k->list[*at] >> 32 == rule) {
        n += (uint32_t)k->list[*at] != NO_ENTRY;
        (*at)++;
    }
    return n;
}

/* All rules that either list of keys names, in order of id. */
static void try_keys(struct trial *t, struct set_state *st, const struct keys *by_rcpt, struct list *out)
{
    const struct keys *by_message = &st->keys;
    size_t             m = 0, r = 0;

    while ((m < by_message->n || r < by_rcpt->n) && !t->ev->busy && !t->ev->arena->full) {
        uint64_t next = m < by_message->n ? by_message->list[m] : UINT64_MAX;

        if (r < by_rcpt->n && by_rcpt->list[r] < next)
            next = by_rcpt->list[r];
        t->index = (uint32_t)(next >> 32);
        t->by_message = by_message->list + m;
        t->nby_message = group(by_message, &m, t->index);
        t->by_rcpt = by_rcpt->list + r;
        t->nby_rcpt = group(by_rcpt, &r, t->index);
        try_and_list(t, st, out);
        evaluation_spend(t->ev, 1);
    }
}

/* Two lists, each in order of id, as one. */
static struct list merged(struct evaluation *ev, struct list a, struct list b)
{
    struct list out = {0};
    size_t      i = 0, k = 0;

    if (a.n == 0 || b.n == 0)
        return a.n == 0 ? b : a;
    while (i < a.n || k < b.n) {
        bool first = k == b.n || (i < a.n && uuid_cmp(&a.items[i].id, &b.items[k].id) <= 0);

        list_add(ev, &out, first ? &a.items[i++] : &b.items[k++]);
        if (ev->arena->full)
            break;
    }
    return out;
}

static struct scope_state *state_of(struct evaluation *ev, const struct scope *s)
{
    void              **cell = table_at(ev, &ev->scopes, (uint64_t)(uintptr_t)s);
    struct scope_state *st;

    if (cell == NULL || *cell != NULL)
        return cell != NULL ? *cell : NULL;
    if ((st = arena_zalloc(ev->arena, sizeof *st)) == NULL)
        return NULL;
    st->scope = s;
    st->budget.left_us = REGEX_SCOPE_US;
    return *cell = st;
}

/* Goes on where a loop thread gave up: the clock starts anew. */
static void resume(struct evaluation *ev)
{
    if (!ev->busy)
        return;
    ev->busy = false;
    ev->clock_runs = false;
    ev->look_at = ev->work;
}

static int finish_list(struct evaluation *ev, struct list l, const struct match **list_out, size_t *n_out,
                       struct err *e)
{
    *list_out = NULL;
    *n_out = 0;
    if (ev->busy)
        return err_set(e, ERR_BUSY, "judging takes longer than %lld µs", (long long)ev->facts->yield_us);
    if (ev->arena->full)
        return err_set(e, ERR_LIMIT, "the message needs more than %zu bytes to be judged", ev->arena->max);
    *list_out = l.items;
    *n_out = l.n;
    return 0;
}

static struct list evaluate_set(struct evaluation *ev, struct scope_state *state, const struct ruleset *rs,
                                struct set_state *st, uint32_t offset, const struct rcpt_facts *rcpt)
{
    struct trial t = {.ev = ev, .state = state, .rs = rs, .rcpt = rcpt, .offset = offset};
    struct list  out = {0};

    if (rs->nrules == 0 || (!st->gathered && !gather_message(ev, rs, st)))
        return out;
    try_keys(&t, st, gather_recipient(ev, rs, rcpt), &out);
    return out;
}

int evaluate_scope(struct evaluation *ev, const struct scope *s, const struct rcpt_facts *rcpt,
                   const struct match **list_out, size_t *n_out, struct err *e)
{
    struct scope_state *state = state_of(ev, s);
    struct list         base = {0}, own, all = {0};

    resume(ev);
    if (state == NULL)
        return finish_list(ev, all, list_out, n_out, e);
    if (state->same_for_all)
        return finish_list(ev, (struct list){.items = (struct match *)state->list, .n = state->nlist}, list_out, n_out,
                           e);
    if (s->base != NULL)
        base = evaluate_set(ev, state, &s->base->own, &state->sets[0], 0, rcpt);
    own = evaluate_set(ev, state, &s->own, &state->sets[1], s->base != NULL ? (uint32_t)s->base->own.nrules : 0, rcpt);
    all = merged(ev, base, own);
    if (!ev->busy && !ev->arena->full && !state->sets[0].asks_rcpt && !state->sets[1].asks_rcpt) {
        state->same_for_all = true;
        state->list = all.items;
        state->nlist = all.n;
    }
    return finish_list(ev, all, list_out, n_out, e);
}

/* ---- Without any index ---- */

static struct list explain_set(struct evaluation *ev, struct scope_state *state, const struct ruleset *rs,
                               uint32_t offset, const struct rcpt_facts *rcpt)
{
    struct trial t = {.ev = ev, .state = state, .rs = rs, .rcpt = rcpt, .offset = offset, .explain = true};
    struct list  out = {0};

    for (t.index = 0; t.index < rs->nrules && !ev->busy && !ev->arena->full; t.index++) {
        const struct stored_rule *r = &rs->rules[t.index];
        struct memo              *m = scratch_memo(ev);
        struct match              match;

        if (m == NULL || is_masked(state->scope, rs, t.index))
            continue;
        match = blank_match(&t);
        if (expired(ev, r))
            match.why = WHY_EXPIRED;
        else if (wrong_way(ev, r))
            match.why = WHY_FLOW;
        else
            try_rule(&t, m, &match);
        list_add(ev, &out, &match);
    }
    return out;
}

int evaluate_all(struct evaluation *ev, const struct scope *s, const struct rcpt_facts *rcpt,
                 const struct match **list_out, size_t *n_out, struct err *e)
{
    struct scope_state *state = state_of(ev, s);
    struct list         base = {0}, own = {0};

    resume(ev);
    if (state != NULL && s->base != NULL)
        base = explain_set(ev, state, &s->base->own, 0, rcpt);
    if (state != NULL)
        own = explain_set(ev, state, &s->own, s->base != NULL ? (uint32_t)s->base->own.nrules : 0, rcpt);
    return finish_list(ev, merged(ev, base, own), list_out, n_out, e);
}
