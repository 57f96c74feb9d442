/* cli/backtest.c - postern backtest: what a rule would have done to the mail of the last 30 days. */
#include <stdio.h>

#include "base/fd.h"
#include "cli.h"
#include "custody/backtest.h"

struct backtest_call {
    const char *scope, *json, *rule;
};

/* The rule from a file, in a scope that has to be named; or one that is stored, in its own scope unless another is. */
static int read_rule(struct cli *c, const struct backtest_call *in, struct store_scope *scope, struct rule *r,
                     struct err *e)
{
    struct rule_check check = {.may_regex = true, .freemail_confirmed = true};
    struct store_rule row;
    struct uuid       id;
    struct buf        json;
    int               rc;

    if (in->scope != NULL && cli_parse_scope(c, span_of(in->scope), scope, e) < 0)
        return -1;
    if (in->rule != NULL) {
        if (cli_find_rule(c, in->rule, &id, e) < 0 || store_rule_get(c->store, id, &c->arena, &row, e) < 0)
            return -1;
        if (in->scope == NULL)
            *scope = row.scope;
        *r = (struct rule){.action = row.action, .flow = row.flow, .require_proof = row.require_proof};
        return rule_conditions_from_json(row.conditions, &c->arena, NULL, r, e);
    }
    buf_init(&json, RULE_JSON_MAX);
    rc = fd_read_file(in->json, RULE_JSON_MAX, &json, e) < 0
             ? -1
             : rule_from_json(arena_dup(&c->arena, buf_span(&json)), &c->arena, &check, r, e);
    buf_fini(&json);
    return rc;
}

static void print_unjudged(const struct backtest_result *b)
{
    bool first = true;

    if (b->unknown == 0)
        return;
    printf("%lld could not be judged", (long long)b->unknown);
    for (int k = 0; k < COND_KINDS; k++) {
        if ((b->unjudged & 1u << k) == 0)
            continue;
        printf("%s %s", first ? ": the log does not keep what these conditions ask for:" : ",",
               condition_kind_word((enum condition_kind)k));
        first = false;
    }
    puts(".");
}

static void print_sample(const struct backtest_sample *s)
{
    char at[28];

    clock_format_utc(s->row.at_us, at);
    printf("  %.16s  %-11s ", at, delivery_status_words[s->row.status]);
    cli_print_padded(s->row.from_address.n > 0 ? s->row.from_address : s->row.sender, 30);
    putchar(' ');
    cli_print(s->row.subject);
    printf("%s%s%s\n", delivery_was_released(s->row.verdict, s->row.state) ? "  (released)" : "",
           s->reported_ham ? "  (reported as not spam)" : "", s->reported_spam ? "  (reported as spam)" : "");
}

static void print_result(const struct rule *r, const struct backtest_result *b)
{
    char since[28];

    clock_format_utc(b->since_us, since);
    printf("It would have matched %lld of %lld messages", (long long)b->matched, (long long)b->looked);
    if (b->whole)
        printf(" in %d days.\n", BACKTEST_DAYS);
    else
        printf(", the newest: the log was read back to %.16s.\n", since);
    if (b->unproven > 0)
        printf("%lld more have the sender's name, but the sender was not proven.\n", (long long)b->unproven);
    print_unjudged(b);
    if (r->action == RULE_BLOCK && b->released + b->reported_ham > 0)
        printf("Careful: of these, %lld were released and %lld were reported as not spam.\n", (long long)b->released,
               (long long)b->reported_ham);
    if (r->action == RULE_ALLOW && b->reported_spam > 0)
        printf("Careful: of these, %lld were reported as spam.\n", (long long)b->reported_spam);
    for (size_t i = 0; i < b->nsamples; i++)
        print_sample(&b->samples[i]);
}

int cli_backtest(struct cli *c, int argc, char **argv, struct err *e)
{
    struct backtest_call     in = {0};
    struct store_scope       scope;
    struct origin_trust      trust;
    struct report_site       site = {&c->settings->rulesd.scanner, &trust};
    struct backtest_result  *found = arena_zalloc(&c->arena, sizeof *found);
    struct rule              r;
    const struct args_option options[] = {
        {"scope", "SCOPE", .text = &in.scope, .help = "whose mail; that of the rule's own scope unless said otherwise"},
        {"json", "FILE", .text = &in.json, .help = "the rule as JSON (- for standard input)"},
    };

    if (args_read(argc, argv, options, COUNT(options), "RULE | --json FILE --scope SCOPE", 0, 1, &in.rule, NULL, e) < 0)
        return -1;
    if ((in.rule == NULL) == (in.json == NULL))
        return err_set(e, ERR_USAGE, "which rule? Its id, or --json FILE");
    if (in.json != NULL && in.scope == NULL)
        return err_set(e, ERR_USAGE, "whose mail? --scope global, domain:NAME or mailbox:ADDRESS");
    if (found == NULL || cli_store(c, e) < 0 || read_rule(c, &in, &scope, &r, e) < 0 ||
        origin_trust_read(&c->settings->rulesd.trusted_relays, c->settings->rules.authserv_id, &c->arena, &trust, e) <
            0 ||
        backtest(c->store, &site, scope, &r, &c->arena, found, e) < 0)
        return -1;
    print_result(&r, found);
    return 0;
}
