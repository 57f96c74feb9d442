/* portal/rules_plan.c - see rules_plan.h. */
#include "rules_plan.h"

#include "base/utf8.h"
#include "rules.h"
#include "rules/plain.h"
#include "store/setting.h"

#define LINE_SHOWN 200

enum { IN_TEXT, IN_FORMAT, IN_ACTION, IN_KIND, IN_POLICY };
const struct field plan_fields[] = {
    {"text", FIELD_TEXT, FIELD_REQUIRED, 1, PLAN_TEXT_MAX, NULL, offsetof(struct plan_body, text),
     "The list; lines end with LF."},
    {"format", FIELD_WORD, 0, 0, 0, import_format_words, offsetof(struct plan_body, format), "What it is; guessed."},
    {"action", FIELD_WORD, 0, 0, 0, rule_action_words, offsetof(struct plan_body, action),
     "Of lines that do not say it."},
    {"kind", FIELD_WORD, 0, 0, 0, import_kind_words, offsetof(struct plan_body, kind), "The same; sender or ip."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct plan_body, policy),
     "Of lines that name none; the policy Rules."},
    {"skip_conflicts", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct plan_body, skip_conflicts),
     "Leaves out what contradicts."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct plan_body, confirm), "Whole free-mail domains are meant."},
    FIELDS_END};

/* What stands behind a key. */
struct known {
    struct uuid rule;
    size_t      line; /* 0: it is stored */
};

/* ---- what there is ------------------------------------------------------------------------------------------------ */

static struct span key_of(struct plan *p, const struct uuid *policy, const struct rule *r, const struct entry *x)
{
    buf_clear(&p->key);
    buf_put(&p->key, span_make(policy->b, sizeof policy->b));
    if (x != NULL)
        rule_put_entry_key(&p->key, r, x);
    else
        rule_put_key(&p->key, r);
    return buf_span(&p->key);
}

static bool know(struct plan *p, struct span key, const struct uuid *rule, size_t line)
{
    struct known *k = arena_zalloc(&p->beside.arena, sizeof *k);

    key = arena_dup(&p->beside.arena, key);
    if (k == NULL || key.p == NULL)
        return false;
    *k = (struct known){.rule = rule != NULL ? *rule : uuid_zero, .line = line};
    map_put(&p->known, key, k);
    return true;
}

static int each_stored(void *ctx, const struct store_rule *s)
{
    struct plan *p = ctx;
    struct rule  r = {.action = s->action,
                      .flow = s->flow,
                      .enabled = s->enabled,
                      .require_proof = s->require_proof,
                      .test_only = s->test_only,
                      .expires_us = s->expires_us};
    bool         fits;

    if (rule_conditions_from_json(s->conditions, &p->beside.arena, NULL, &r, NULL) < 0)
        return p->beside.arena.full;
    fits = know(p, key_of(p, &s->policy, &r, NULL), &s->id, 0);
    for (size_t i = 0; r.nconditions == 1 && r.conditions[0].nany > 1 && i < r.conditions[0].nany && fits; i++)
        fits = know(p, key_of(p, &s->policy, &r, &r.conditions[0].any[i]), &s->id, 0);
    return !fits;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static struct item *add_item(struct plan *p, size_t line, struct span text, enum plan_state state)
{
    struct item *x = &p->items[p->n++];

    *x = (struct item){.line = line, .text = span_head(text, utf8_clip(text, LINE_SHOWN)), .state = state};
    return x;
}

static int add_error(struct plan *p, size_t line, struct span text, const struct err *why, struct err *e)
{
    struct item *x = add_item(p, line, text, PLAN_ERROR);

    x->why = arena_dup(&p->beside.arena, span_of(why->text));
    return x->why.p != NULL ? 0 : err_set(e, ERR_LIMIT, "The list is too long for one import.");
}

/* By its name, or the one that is meant where a line names none. */
static struct store_policy *policy_of(struct plan *p, struct span name, struct err *e)
{
    const struct plan_body *in = p->in;
    struct store_policy     found, *kept;

    for (size_t i = 0; i < p->npolicies; i++)
        if (name.n > 0 && span_is(name, p->policies[i]->name))
            return p->policies[i];
    if (name.n == 0 && p->npolicies > 0)
        return p->policies[0];
    if (rules_policy(p->call, name.n == 0 && field_given(in, IN_POLICY) ? &in->policy : NULL, name, &found, e) < 0)
        return NULL;
    if (p->npolicies == RULES_POLICIES_MAX || (kept = arena_alloc(&p->beside.arena, sizeof *kept)) == NULL) {
        err_set(e, ERR_LIMIT, "there are too many policies in one import");
        return NULL;
    }
    *kept = found;
    return p->policies[p->npolicies++] = kept;
}

/* "global", "domain:NAME", "mailbox:ADDRESS" of an export: it must be this one. */
static int check_scope(struct plan *p, struct span scope, struct err *e)
{
    return scope.n == 0 || span_eq_ci(scope, p->call->params[0])
               ? 0
               : err_set(e, ERR_INVALID, "the line is of another scope: %.*s", SPAN_ARG(span_head(scope, 100)));
}

static bool says_more(const struct rule *r) { return r->name.n > 0 || r->note.n > 0 || r->expires_us != 0; }

static int add_rule(struct plan *p, size_t line, struct span text, const struct rule *r, struct store_policy *policy,
                    bool alone, struct err *e)
{
    struct span   key = key_of(p, &policy->id, r, NULL);
    struct known *same = map_get(&p->known, key);
    struct item  *x = add_item(p, line, text, same != NULL ? PLAN_DUPLICATE : PLAN_NEW);

    x->rule = *r;
    x->policy = policy;
    x->alone = alone;
    if (same != NULL) {
        x->same = same->rule;
        x->same_line = same->line;
        return 0;
    }
    return know(p, key, NULL, line) ? 0 : err_set(e, ERR_LIMIT, "The list is too long for one import.");
}

/* Each entry of a plain line by itself. */
static int add_entries(struct plan *p, size_t line, const struct rule *r, struct store_policy *policy, struct err *e)
{
    for (size_t i = 0; i < r->conditions[0].nany; i++) {
        struct condition *c = arena_alloc(&p->beside.arena, sizeof *c);
        struct rule       one = *r;

        if (c == NULL || p->n == PLAN_ITEMS_MAX)
            return err_set(e, ERR_LIMIT,
                           "There are more than %d entries in the list: the operator can import it by command.",
                           PLAN_ITEMS_MAX);
        *c = r->conditions[0];
        c->any = &r->conditions[0].any[i];
        c->nany = 1;
        one.conditions = c;
        if (add_rule(p, line, c->any->written, &one, policy, false, e) < 0)
            return -1;
    }
    return 0;
}

/* 0, or -1 with what is wrong with the line in `why`; what is wrong with all in e. */
static int read_line(struct plan *p, struct import_reader *reader, size_t number, struct span line, struct err *why,
                     struct err *e)
{
    struct rule_check    check = {.may_regex = p->may_regex, .freemail_confirmed = p->in->confirm};
    struct arena        *a = &p->beside.arena;
    struct span          scope, policy;
    struct store_policy *into;
    struct rule          r;
    int                  rc = import_line(reader, line, a, &check, &r, &scope, &policy, why);

    if (rc == IMPORT_UNSAYABLE || (rc == IMPORT_NOTHING && p->format == IMPORT_SPAMASSASSIN && span_trim(line).n > 0 &&
                                   span_trim(line).p[0] != '#'))
        add_item(p, number, line, PLAN_PASSED);
    if (rc != IMPORT_RULE)
        return rc < 0 ? -1 : 0;
    if (check_scope(p, scope, why) < 0 || (into = policy_of(p, policy, why)) == NULL)
        return -1;
    if (into->locked && r.action == RULE_ALLOW && !p->call->actor.admin)
        return err_set(why, ERR_DENIED, "the policy %s is for blocks: only the operator puts an allow there",
                       into->name);
    if (p->format == IMPORT_JSON || says_more(&r) || r.nconditions != 1)
        return add_rule(p, number, line, &r, into, true, e);
    return add_entries(p, number, &r, into, e);
}

static int read_lines(struct plan *p, struct err *e)
{
    const struct plan_body *in = p->in;
    struct span             rest = in->text, line;
    struct import_reader    reader;
    int                     rc = 0;

    import_init(&reader, p->format, field_given(in, IN_ACTION) ? rule_action_words[in->action] : NULL,
                field_given(in, IN_KIND) ? import_kind_words[in->kind] : NULL);
    for (size_t number = 1; rc == 0 && span_line(&rest, &line); number++) {
        struct err why = ERR_INIT;

        if (p->n >= PLAN_ITEMS_MAX)
            rc = err_set(e, ERR_LIMIT,
                         "There are more than %d entries in the list: the operator can import it by command.",
                         PLAN_ITEMS_MAX);
        else if (read_line(p, &reader, number, line, &why, e) < 0)
            rc = e->code != ERR_NONE ? -1 : add_error(p, number, line, &why, e);
    }
    import_fini(&reader);
    p->call->member = NULL;
    return rc;
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static void mark(struct plan *p, const struct conflict *f, size_t fresh)
{
    struct item *x = fresh > 0 ? &p->items[fresh - 1] : NULL;

    if (x == NULL || x->conflict != NULL)
        return;
    x->conflict = f;
    if (f->opposite || f->kind == CONFLICT_OPPOSITE)
        x->state = PLAN_CONFLICT;
}

bool plan_takes(const struct plan *p, const struct item *x)
{
    return x->state == PLAN_NEW || (x->state == PLAN_CONFLICT && !p->in->skip_conflicts);
}

/* Among what is stored: a new rule that contradicts, and what is there that a new one would contradict from in front. */
static int compare(struct plan *p, struct err *e)
{
    struct beside *b = &p->beside;

    for (size_t i = 0; i < p->n; i++) {
        struct uuid id = uuid7_make();

        if (p->items[i].state == PLAN_NEW && beside_add(b, &p->items[i].rule, p->items[i].policy, &id, i + 1, e) < 0)
            return -1;
    }
    if (beside_end(b, e) < 0)
        return -1;
    for (size_t i = 0; i < b->found.n; i++) {
        const struct conflict *f = &b->found.items[i];

        mark(p, f, b->rules[f->rule]->fresh);
        for (size_t k = 0; k < f->nby && b->rules[f->rule]->fresh == 0; k++)
            mark(p, f, b->rules[f->by[k]]->fresh);
    }
    for (size_t i = 0; i < p->n; i++) {
        p->counts[p->items[i].state]++;
        if (plan_takes(p, &p->items[i]))
            p->slow += rule_slow_regexes(&p->items[i].rule);
    }
    return 0;
}

int plan_make(struct plan *p, struct call *c, struct err *e)
{
    const struct plan_body *in = c->body;

    p->call = c;
    p->in = in;
    p->format = field_given(in, IN_FORMAT) ? (enum import_format)in->format : import_guess(in->text);
    if (rules_permit(c, true, e) < 0 || store_may_regex(c->store, &c->actor, c->scope, &p->may_regex, e) < 0)
        return -1;
    map_init(&p->known);
    buf_init(&p->key, RULE_JSON_MAX * 2);
    p->begun = true;
    if (beside_begin(c, &p->beside, NULL, e) < 0)
        return -1;
    if (rules_each_own(p->beside.order, each_stored, p, e) < 0)
        return -1;
    if (p->beside.arena.full ||
        (p->items = arena_array(c->arena, PLAN_ITEMS_MAX + RULE_ENTRIES_MAX, sizeof *p->items)) == NULL)
        return err_set(e, ERR_LIMIT,
                       "There are too many rules here for a page: the operator can import them by command.");
    if (read_lines(p, e) < 0 || compare(p, e) < 0)
        return -1;
    if (p->slow == 0 || store_scope_slow_fit(c->store, c->scope, p->slow, e) == 0)
        return 0;
    c->member = "text";
    return rules_say(c, e);
}

void plan_drop(struct plan *p)
{
    if (!p->begun)
        return;
    beside_fini(&p->beside);
    buf_fini(&p->key);
    map_fini(&p->known);
}
