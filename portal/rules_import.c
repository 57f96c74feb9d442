/* portal/rules_import.c - rules by paste or file: what they would be, and storing them; and out again. */
#include "lasting.h"
#include "route.h"
#include "rules.h"
#include "rules_plan.h"
#include "sentence.h"

#define SHOWN_MAX 100 /* of each state, in a preview */

static const char *const state_words[] = {"new", "duplicate", "conflict", "error", "passed_over", NULL};

/* ---- the preview -------------------------------------------------------------------------------------------------- */

static void put_item(struct buf *b, const struct plan *p, const struct item *x)
{
    json_open(b, NULL, '{');
    json_add_i64(b, "line", (int64_t)x->line);
    json_add_str(b, "state", state_words[x->state]);
    json_add_text(b, "text", x->text);
    if (x->state != PLAN_ERROR && x->state != PLAN_PASSED)
        json_add_str(b, "action", rule_action_word(x->rule.action));
    json_add_text(b, "why", x->why);
    sentence_put(b, "why_said", x->why);
    if (x->state == PLAN_DUPLICATE && x->same_line > 0)
        json_add_i64(b, "same_line", (int64_t)x->same_line);
    else if (x->state == PLAN_DUPLICATE)
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
    for (size_t i = 0; i < PLAN_STATES; i++)
        json_add_i64(b, state_words[i], (int64_t)p->counts[i]);
}

static int preview(struct call *c, struct err *e)
{
    struct plan p = {0};
    size_t      shown[PLAN_STATES] = {0};
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
        if (done[i] || !plan_takes(p, &p->items[i]) || !joins(&p->items[first], &p->items[i]))
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

        if (done[i] || !plan_takes(p, x))
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

    while (p->items[i].state != PLAN_ERROR)
        i++;
    p->call->member = "text"; /* the full stop is call.c's, where there is none */
    return err_set(e, ERR_INVALID, "%zu of the lines cannot be read, so nothing was stored. Line %zu: %.*s",
                   p->counts[PLAN_ERROR], p->items[i].line, SPAN_ARG(p->items[i].why));
}

static int store_plan(struct plan *p, size_t *nrules, struct err *e)
{
    struct uuid         *policies = arena_array(p->call->arena, p->npolicies + 1, sizeof *policies);
    struct store_import *import;
    int                  rc;

    if (p->counts[PLAN_ERROR] > 0)
        return refuse_errors(p, e);
    if (p->counts[PLAN_NEW] + (p->in->skip_conflicts ? 0 : p->counts[PLAN_CONFLICT]) == 0)
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
    if (rc == 0 && x.failed)
        return err_set(e, ERR_LIMIT, "There are too many rules for one file: the operator can export them by command.");
    if (rc == 0)
        lasting_body(c);
    return rc;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_POST, "/scopes/{scope}/rules/import/preview", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE | ROUTE_NO_REPLAY, preview, NULL,
     plan_fields, 0, sizeof(struct plan_body),
     "What an import would add, what is there already, what contradicts, and what cannot be read. Nothing is stored.", "ImportPreview"},
    {HTTPD_POST, "/scopes/{scope}/rules/import", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE, import_rules, NULL, plan_fields, 0,
     sizeof(struct plan_body), "Adds the rules of a list, all or none; what is there already is left out.", "Imported"},
    {HTTPD_GET, "/scopes/{scope}/rules/export", DEED_EXPORT_RULES, OBJECT_SCOPE, 0, export_rules,
     .summary = "The rules as JSON lines, as the import reads them.", .reply = "text/plain"},
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
    "\"null\"]},\"why_said\":{\"$ref\":\"#/components/schemas/SaidOrNull\"},"
    "\"same_line\":{\"type\":\"integer\"},\"same_rule\":{\"type\":\"string\"},\"beside\":{\"type\":\"array\",\"items\":"
    "{\"$ref\":\"#/components/schemas/RuleConflict\"}}}}}}},"
    "\"Imported\":{\"type\":\"object\",\"properties\":{" COUNTS ",\"rules\":{\"type\":\"integer\"}}}"};
