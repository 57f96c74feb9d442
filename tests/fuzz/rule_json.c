/* A rule that was read is written, read again and written as the same; what may be stored is decided without harm.
 * Aims at lib/rules/rule_json.c, lib/rules/entry.c, lib/rules/rule.c and lib/base/json_read.c. */
#include "rules/rule.h"

#include "rules.h"

static bool same_entry(const struct entry *a, const struct entry *b)
{
    const struct attachment_entry *x = &a->attachment, *y = &b->attachment;

    return a->kind == b->kind && span_eq(a->text, b->text) && span_eq(a->written, b->written) &&
           memcmp(&a->ip, &b->ip, sizeof a->ip) == 0 && span_eq(x->extension, y->extension) &&
           span_eq(x->mime_type, y->mime_type) && span_eq(x->filename, y->filename) &&
           x->has_present == y->has_present && x->present == y->present;
}

static bool same_condition(const struct condition *a, const struct condition *b)
{
    bool same = a->kind == b->kind && a->match == b->match && a->source == b->source && a->negated == b->negated &&
                a->case_sensitive == b->case_sensitive && span_eq(a->header, b->header) && a->size_min == b->size_min &&
                a->size_max == b->size_max && a->nany == b->nany;

    for (size_t i = 0; same && i < a->nany; i++)
        same = same_entry(&a->any[i], &b->any[i]);
    return same;
}

static bool same_conditions(const struct rule *a, const struct rule *b)
{
    bool same = a->nconditions == b->nconditions;

    for (size_t i = 0; same && i < a->nconditions; i++)
        same = same_condition(&a->conditions[i], &b->conditions[i]);
    return same;
}

static bool same_rule(const struct rule *a, const struct rule *b)
{
    return span_eq(a->name, b->name) && span_eq(a->note, b->note) && a->action == b->action &&
           a->priority == b->priority && a->enabled == b->enabled && a->require_proof == b->require_proof &&
           a->test_only == b->test_only && a->flow == b->flow && a->expires_us == b->expires_us &&
           same_conditions(a, b);
}

/* What was written of `r` reads as r, and is written alike. */
static void again(const struct rule *r, struct arena *a)
{
    struct rule read;
    struct buf  once, twice;

    buf_init(&once, 16 << 20);
    buf_init(&twice, 16 << 20);
    rule_put_json(&once, r);
    REQUIRE(rule_from_json(buf_span(&once), a, NULL, &read, NULL) == 0);
    REQUIRE(same_rule(r, &read));
    rule_put_json(&twice, &read);
    REQUIRE(span_eq(buf_span(&once), buf_span(&twice)));
    buf_fini(&once);
    buf_fini(&twice);
}

static void line_again(const struct rule *r, struct span scope, struct span policy, struct arena *a)
{
    struct rule read;
    struct span scope_read, policy_read;
    struct buf  line;

    buf_init(&line, 16 << 20);
    rule_put_line_json(&line, r, scope, policy);
    REQUIRE(rule_line_from_json(buf_span(&line), a, NULL, &read, &scope_read, &policy_read, NULL) == 0);
    REQUIRE(same_rule(r, &read) && span_eq(scope, scope_read) && span_eq(policy, policy_read));
    buf_fini(&line);
}

static void conditions_again(const struct rule *r, struct arena *a)
{
    struct rule read = {0};
    struct buf  once;

    buf_init(&once, 16 << 20);
    rule_put_conditions_json(&once, r);
    REQUIRE(rule_conditions_from_json(buf_span(&once), a, NULL, &read, NULL) == 0);
    REQUIRE(same_conditions(r, &read));
    buf_fini(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span       json = span_make(data, size), scope, policy;
    struct rule_check check = {.may_regex = true};
    struct arena      a;
    struct rule       r;
    struct err        e = ERR_INIT;

    arena_init(&a, 64 << 20);
    if (rule_from_json(json, &a, NULL, &r, &e) == 0) {
        again(&r, &a);
        rule_vet(&r, &check, NULL);
    } else {
        REQUIRE(e.code != ERR_NONE && e.text[0] != '\0');
    }
    if (rule_line_from_json(json, &a, NULL, &r, &scope, &policy, NULL) == 0)
        line_again(&r, scope, policy, &a);
    r = (struct rule){0};
    if (rule_conditions_from_json(json, &a, NULL, &r, NULL) == 0)
        conditions_again(&r, &a);
    arena_fini(&a);
    return 0;
}
