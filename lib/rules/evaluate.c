/* lib/rules/evaluate.c - see evaluate.h.
 *
 * For each scope, once a message: what its facts yield (evaluate_gather.c). For each recipient: the same for what is known of
 * it; the two lists of keys, merged, are the rules to try. What a rule's conditions say of the message alone is kept in a memo;
 * only the receiving side is asked again. */
#include "rules/evaluate.h"

#include "rules/evaluation.h"

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
    ev->look_at = LOOK_EVERY;
    return ev;
}

bool evaluation_touched_body(const struct evaluation *ev) { return ev->touched_body; }

size_t evaluation_regex_limits(const struct evaluation *ev) { return ev->regex_limits; }

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

/* The keys of one rule at *at, without KEY_ALWAYS, which comes last; moves *at behind them. */
static size_t group(const struct keys *k, size_t *at, uint32_t rule)
{
    size_t n = 0;

    while (*at < k->n && k->list[*at] >> 32 == rule) {
        n += (uint32_t)k->list[*at] != KEY_ALWAYS;
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

/* The keys of the message, gathered once. False when that has to be done again. */
static bool ready(struct evaluation *ev, const struct ruleset *rs, struct set_state *st)
{
    if (st->gathered || !gather_message(ev, rs, &st->keys))
        return st->gathered;
    st->asks_rcpt = ruleset_uses(rs, PLACE_RCPT) || ruleset_uses(rs, PLACE_NEXTHOP) ||
                    ruleset_uses(rs, PLACE_NEXTHOP_IP);
    for (size_t i = 0; i < st->keys.n && !st->asks_rcpt; i++)
        st->asks_rcpt = rs->rules[st->keys.list[i] >> 32].flags & RULE_ASKS_RCPT;
    return st->gathered = true;
}

static struct list evaluate_set(struct evaluation *ev, struct scope_state *state, const struct ruleset *rs,
                                struct set_state *st, uint32_t offset, const struct rcpt_facts *rcpt)
{
    struct trial t = {.ev = ev, .state = state, .rs = rs, .rcpt = rcpt, .offset = offset};
    struct list  out = {0};

    if (rs->nrules == 0 || !ready(ev, rs, st))
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
