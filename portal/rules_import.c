/* portal/rules_import.c - rules by paste or file: what they would be, line by line, before anything is stored; and storing them.
 *
 * A line of a list that says no more than whom (rules/import.h) becomes an entry of a rule that holds many; a JSON line, and a row that has
 * a name, a note or an end, stay rules of their own. What does the same as a rule that is there, or as a line before it, is a
 * duplicate and left out: so an import that is made twice adds nothing. What contradicts (rules/conflict.h) is said, and left out on request.
 * The preview and the import are made by the same plan. */
#include <stdlib.h>

#include "base/map.h"
#include "base/utf8.h"
#include "route.h"
#include "rules.h"
#include "rules/import.h"
#include "rules/plain.h"
#include "rules_beside.h"
#include "store/setting.h"

#define TEXT_MAX (4 << 20)
#define ITEMS_MAX 20000
#define SHOWN_MAX 100 /* of each state, in a preview */
#define LINE_SHOWN 200

enum state { STATE_NEW, STATE_DUPLICATE, STATE_CONFLICT, STATE_ERROR, STATE_PASSED, STATES };
static const char *const state_words[] = {"new", "duplicate", "conflict", "error", "passed_over", NULL};

struct import_body {
    uint64_t    given;
    struct span text;
    int         format, action, kind;
    struct uuid policy;
    bool        skip_conflicts, confirm;
};
enum { IN_TEXT, IN_FORMAT, IN_ACTION, IN_KIND, IN_POLICY };
static const struct field import_fields[] = {
    {"text", FIELD_TEXT, FIELD_REQUIRED, 1, TEXT_MAX, NULL, offsetof(struct import_body, text),
     "The list; lines end with LF."},
    {"format", FIELD_WORD, 0, 0, 0, import_format_words, offsetof(struct import_body, format), "What it is; guessed."},
    {"action", FIELD_WORD, 0, 0, 0, rule_action_words, offsetof(struct import_body, action),
     "Of lines that do not say it."},
    {"kind", FIELD_WORD, 0, 0, 0, import_kind_words, offsetof(struct import_body, kind), "The same; sender or ip."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct import_body, policy),
     "Of lines that name none; the policy Rules."},
    {"skip_conflicts", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct import_body, skip_conflicts),
     "Leaves out what contradicts."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct import_body, confirm), "Whole free-mail domains are meant."},
    FIELDS_END};

/* One rule that a line would be, or one entry of it; or a line that is none. */
struct item {
    size_t                 line;
    struct span            text; /* of the line, cut; or the entry */
    enum state             state;
    struct rule            rule;
    struct store_policy   *policy;
    bool                   alone; /* a rule of its own */
    struct span            why;   /* ERROR: a sentence without its stop */
    struct uuid            same;  /* DUPLICATE: of this rule, or */
    size_t                 same_line;
    const struct conflict *conflict;
};
struct plan {
    struct call              *call;
    const struct import_body *in;
    enum import_format        format;
    struct beside             beside; /* its arena holds all that is here */
    bool                      begun, may_regex;
    struct item              *items;
    size_t                    n, counts[STATES], slow;
    struct map                known; /* key -> struct item of a line, or struct known of a stored rule */
    struct buf                key;
    struct store_policy      *policies[RULES_POLICIES_MAX];
    size_t                    npolicies;
};

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

static struct item *add_item(struct plan *p, size_t line, struct span text, enum state state)
{
    struct item *x = &p->items[p->n++];

    *x = (struct item){.line = line, .text = span_head(text, utf8_clip(text, LINE_SHOWN)), .state = state};
    return x;
}

static int add_error(struct plan *p, size_t line, struct span text, const struct err *why, struct err *e)
{
    struct item *x = add_item(p, line, text, STATE_ERROR);

    x->why = arena_dup(&p->beside.arena, span_of(why->text));
    return x->why.p != NULL ? 0 : err_set(e, ERR_LIMIT, "The list is too long for one import.");
}

/* By its name, or the one that is meant where a line names none. */
static struct store_policy *policy_of(struct plan *p, struct span name, struct err *e)
{
    const struct import_body *in = p->in;
    struct store_policy       found, *kept;

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
    struct item  *x = add_item(p, line, text, same != NULL ? STATE_DUPLICATE : STATE_NEW);

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

        if (c == NULL || p->n == ITEMS_MAX)
            return err_set(e, ERR_LIMIT, "There are more than %d entries in the list: use postern rule import.",
                           ITEMS_MAX);
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
        add_item(p, number, line, STATE_PASSED);
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
    const struct import_body *in = p->in;
    struct span               rest = in->text, line;
    struct import_reader      reader;
    int                       rc = 0;

    import_init(&reader, p->format, field_given(in, IN_ACTION) ? rule_action_words[in->action] : NULL,
                field_given(in, IN_KIND) ? import_kind_words[in->kind] : NULL);
    for (size_t number = 1; rc == 0 && span_line(&rest, &line); number++) {
        struct err why = ERR_INIT;

        if (p->n >= ITEMS_MAX)
            rc = err_set(e, ERR_LIMIT, "There are more than %d entries in the list: use postern rule import.",
                         ITEMS_MAX);
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
        x->state = STATE_CONFLICT;
}

static bool is_taken(const struct plan *p, const struct item *x)
{
    return x->state == STATE_NEW || (x->state == STATE_CONFLICT && !p->in->skip_conflicts);
}

/* Among what is stored: a new rule that contradicts, and what is there that a new one would contradict from in front. */
static int compare(struct plan *p, struct err *e)
{
    struct beside *b = &p->beside;

    for (size_t i = 0; i < p->n; i++) {
        struct uuid id = uuid7_make();

        if (p->items[i].state == STATE_NEW && beside_add(b, &p->items[i].rule, p->items[i].policy, &id, i + 1, e) < 0)
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
        if (is_taken(p, &p->items[i]))
            p->slow += rule_slow_regexes(&p->items[i].rule);
    }
    return 0;
}

static int plan_make(struct plan *p, struct call *c, struct err *e)
{
    const struct import_body *in = c->body;

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
        (p->items = arena_array(c->arena, ITEMS_MAX + RULE_ENTRIES_MAX, sizeof *p->items)) == NULL)
        return err_set(e, ERR_LIMIT, "There are too many rules here for a page: use postern rule import.");
    if (read_lines(p, e) < 0 || compare(p, e) < 0)
        return -1;
    return p->slow > 0 ? rules_check_slow(c, p->slow, NULL, e) : 0;
}

static void plan_drop(struct plan *p)
{
    if (!p->begun)
        return;
    beside_fini(&p->beside);
    buf_fini(&p->key);
    map_fini(&p->known);
}

/* ---- the preview -------------------------------------------------------------------------------------------------- */

static void put_item(struct buf *b, const struct plan *p, const struct item *x)
{
    json_open(b, NULL, '{');
    json_add_i64(b, "line", (int64_t)x->line);
    json_add_str(b, "state", state_words[x->state]);
    json_add_text(b, "text", x->text);
    if (x->state != STATE_ERROR && x->state != STATE_PASSED)
        json_add_str(b, "action", rule_action_word(x->rule.action));
    json_add_text(b, "why", x->why);
    if (x->state == STATE_DUPLICATE && x->same_line > 0)
        json_add_i64(b, "same_line", (int64_t)x->same_line);
    else if (x->state == STATE_DUPLICATE)
        json_add_uuid(b, "same_rule", &x->same);
    if (x->conflict != NULL) {
        json_open(b, "beside", '[');
        beside_put(b, &p->beside, x->conflict);
        json_close(b, ']');
    }
    json_close(b, '}');
}

static void put_counts(struct buf *b, const struct plan *p)
{
    json_add_str(b, "format", import_format_words[p->format]);
    for (size_t i = 0; i < STATES; i++)
        json_add_i64(b, state_words[i], (int64_t)p->counts[i]);
}

static int preview(struct call *c, struct err *e)
{
    struct plan p = {0};
    size_t      shown[STATES] = {0};
    int         rc = plan_make(&p, c, e);
    struct buf *b;

    if (rc == 0) {
        b = call_reply(c, 200);
        json_open(b, NULL, '{');
        put_counts(b, &p);
        json_add_bool(b, "whole", p.beside.whole);
        json_open(b, "items", '[');
        for (size_t i = 0; i < p.n; i++)
            if (shown[p.items[i].state]++ < SHOWN_MAX)
                put_item(b, &p, &p.items[i]);
        json_close(b, ']');
        json_close(b, '}');
    }
    plan_drop(&p);
    return rc;
}

/* ---- storing ------------------------------------------------------------------------------------------------------ */

/* May both be entries of one rule? */
static bool joins(const struct item *a, const struct item *b)
{
    const struct condition *x = a->rule.conditions, *y = b->rule.conditions;

    return !a->alone && !b->alone && a->policy == b->policy && a->rule.action == b->rule.action &&
           a->rule.require_proof == b->rule.require_proof && x->kind == y->kind && x->match == y->match;
}

static int put_rule(struct store_import **import, const struct rule *r, const struct store_policy *policy,
                    struct err *e)
{
    struct store_rule row;
    struct buf        json;
    int               rc;

    buf_init(&json, RULE_JSON_MAX);
    rule_put_conditions_json(&json, r);
    row = store_rule_of(r, &policy->id, buf_span(&json));
    rc = json.failed ? err_set(e, ERR_LIMIT, "a rule that is too long") : store_import_put(import, &row, e);
    buf_fini(&json);
    return rc;
}

/* The entries from item `first` on that join it, as one rule; they are not taken again. */
static int put_joined(struct plan *p, struct store_import **import, size_t first, bool *done, struct err *e)
{
    struct condition c = p->items[first].rule.conditions[0];
    struct rule      r = p->items[first].rule;
    struct entry    *all = arena_array(p->call->arena, RULE_ENTRIES_MAX, sizeof *all);
    size_t           n = 0, bytes = 0;
    char             at[28];

    if (all == NULL)
        return err_set(e, ERR_LIMIT, "The list is too long for one import.");
    for (size_t i = first; i < p->n && n < RULE_ENTRIES_MAX && bytes < RULE_JSON_MAX / 8; i++) {
        if (done[i] || !is_taken(p, &p->items[i]) || !joins(&p->items[first], &p->items[i]))
            continue;
        all[n] = p->items[i].rule.conditions[0].any[0];
        bytes += all[n++].written.n + 3;
        done[i] = true;
    }
    c.any = all;
    c.nany = n;
    r.conditions = &c;
    clock_format_utc(p->call->now_us, at);
    r.name = arena_printf(p->call->arena, "Imported on %.10s", at);
    return put_rule(import, &r, p->items[first].policy, e);
}

static int put_all(struct plan *p, struct store_import **import, size_t *nrules, struct err *e)
{
    bool *done = arena_array(p->call->arena, p->n + 1, sizeof *done);

    if (done == NULL)
        return err_set(e, ERR_LIMIT, "The list is too long for one import.");
    for (size_t i = 0; i < p->n; i++) {
        const struct item *x = &p->items[i];

        if (done[i] || !is_taken(p, x))
            continue;
        if ((x->alone ? put_rule(import, &x->rule, x->policy, e) : put_joined(p, import, i, done, e)) < 0)
            return -1;
        ++*nrules;
    }
    return 0;
}

static int refuse_errors(struct plan *p, struct err *e)
{
    size_t i = 0;

    while (p->items[i].state != STATE_ERROR)
        i++;
    p->call->member = "text";
    return err_set(e, ERR_INVALID, "%zu of the lines cannot be read, so nothing was stored. Line %zu: %.*s.",
                   p->counts[STATE_ERROR], p->items[i].line, SPAN_ARG(p->items[i].why));
}

static int store_plan(struct plan *p, size_t *nrules, struct err *e)
{
    struct uuid         *policies = arena_array(p->call->arena, p->npolicies + 1, sizeof *policies);
    struct store_import *import;
    int                  rc;

    if (p->counts[STATE_ERROR] > 0)
        return refuse_errors(p, e);
    if (p->counts[STATE_NEW] + (p->in->skip_conflicts ? 0 : p->counts[STATE_CONFLICT]) == 0)
        return 0;
    if (policies == NULL)
        return err_set(e, ERR_LIMIT, "There are too many policies.");
    for (size_t i = 0; i < p->npolicies; i++)
        policies[i] = p->policies[i]->id;
    if (store_import_begin(p->call->store, &p->call->actor, policies, p->npolicies, &import, e) < 0)
        return -1;
    rc = put_all(p, &import, nrules, e);
    if (rc == 0)
        rc = store_import_commit(&import, e);
    store_import_abort(&import);
    return rc < 0 ? rules_say(p->call, e) : 0;
}

static int import_rules(struct call *c, struct err *e)
{
    struct plan p = {0};
    size_t      nrules = 0;
    int         rc = plan_make(&p, c, e) < 0 ? -1 : store_plan(&p, &nrules, e);
    struct buf *b;

    if (rc == 0) {
        b = call_reply(c, 200);
        json_open(b, NULL, '{');
        put_counts(b, &p);
        json_add_i64(b, "rules", (int64_t)nrules);
        json_close(b, '}');
    }
    plan_drop(&p);
    return rc;
}

/* ---- and out again ------------------------------------------------------------------------------------------------ */

struct exporting {
    struct call *call;
    struct arena line;
    bool         failed;
};

static int each_line(void *ctx, const struct store_rule *s)
{
    struct exporting *x = ctx;
    struct buf       *b = &x->call->reply->body;
    struct rule       r = {.name = s->name,
                           .note = s->note,
                           .action = s->action,
                           .priority = s->priority,
                           .enabled = s->enabled,
                           .require_proof = s->require_proof,
                           .test_only = s->test_only,
                           .flow = s->flow,
                           .expires_us = s->expires_us};

    arena_reset(&x->line);
    if (rule_conditions_from_json(s->conditions, &x->line, NULL, &r, NULL) < 0)
        return 0; /* damaged: nothing could read it back */
    rule_put_line_json(b, &r, x->call->params[0], s->policy_name);
    buf_putc(b, '\n');
    x->failed = b->failed;
    return x->failed;
}

static int export_rules(struct call *c, struct err *e)
{
    struct exporting x = {.call = c};
    int              rc;

    if (rules_permit(c, false, e) < 0)
        return -1;
    call_reply_bytes(c, "text/plain; charset=utf-8", SPAN(""), "rules.jsonl");
    arena_init(&x.line, (size_t)64 << 20);
    rc = store_rule_list(c->store, c->scope, NULL, NULL, 0, each_line, &x, e);
    arena_fini(&x.line);
    return rc == 0 && x.failed
               ? err_set(e, ERR_LIMIT, "There are too many rules for one file: use postern rule export.")
               : rc;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_POST, "/scopes/{scope}/rules/import/preview", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE | ROUTE_NO_REPLAY, preview, NULL,
     import_fields, 0, sizeof(struct import_body),
     "What an import would add, what is there already, what contradicts, and what cannot be read. Nothing is stored.", "ImportPreview"},
    {HTTPD_POST, "/scopes/{scope}/rules/import", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE, import_rules, NULL, import_fields, 0,
     sizeof(struct import_body), "Adds the rules of a list, all or none; what is there already is left out.", "Imported"},
    {HTTPD_GET, "/scopes/{scope}/rules/export", DEED_EXPORT_RULES, OBJECT_SCOPE, 0, export_rules,
     .summary = "The rules as JSON lines, as the import reads them.", .reply = "Bytes"},
};
/* clang-format on */

#define COUNTS                                                                                                         \
    "\"format\":{\"type\":\"string\"},\"new\":{\"type\":\"integer\"},\"duplicate\":{\"type\":\"integer\"},"            \
    "\"conflict\":{\"type\":\"integer\"},\"error\":{\"type\":\"integer\"},\"passed_over\":{\"type\":\"integer\"}"
const struct route_family rules_import_family = {
    "Rules", rows, COUNT(rows),
    "\"ImportPreview\":{\"type\":\"object\",\"properties\":{" COUNTS
    ",\"whole\":{\"type\":\"boolean\"},\"items\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"line\":{\"type\":\"integer\"},\"state\":{\"type\":"
    "\"string\"},\"text\":{\"type\":\"string\"},\"action\":{\"type\":\"string\"},\"why\":{\"type\":[\"string\","
    "\"null\"]},"
    "\"same_line\":{\"type\":\"integer\"},\"same_rule\":{\"type\":\"string\"},\"beside\":{\"type\":\"array\",\"items\":"
    "{\"$ref\":\"#/components/schemas/RuleConflict\"}}}}}}},"
    "\"Imported\":{\"type\":\"object\",\"properties\":{" COUNTS ",\"rules\":{\"type\":\"integer\"}}}"};
