/* cli/explain.c - postern explain: why a message gets its verdict. The same judge() as in rulesd, with every rule tried and shown. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "cli.h"
#include "rules/judge.h"
#include "rules/trace.h"
#include "store/address.h"
#include "store/compile.h"

#define EXPLAIN_RCPTS_MAX 100

struct explain {
    struct cli       *c;
    struct args_list  rcpts;
    const char       *from, *ip, *host, *helo, *user, *score, *file;
    bool              json;
    struct buf        raw;
    struct facts      facts;
    struct judge_rcpt judged[EXPLAIN_RCPTS_MAX];
    enum direction    directions[EXPLAIN_RCPTS_MAX];
    struct scope     *scopes[EXPLAIN_RCPTS_MAX][3];
    size_t            n;
    struct verdict    verdicts[EXPLAIN_RCPTS_MAX];
};

/* ---- gathering: what rulesd would know ---- */

static int read_facts(struct explain *x, struct err *e)
{
    struct facts        *f = &x->facts;
    struct origin_trust  trust;
    struct origin_stated stated = {span_of(x->ip), span_of(x->host), span_of(x->helo)};
    struct ip            ignored;

    if (x->ip != NULL && !ip_parse(stated.ip, true, &ignored))
        return err_set(e, ERR_INVALID, "--ip: \"%s\" is not an IP address", x->ip);
    if (fd_read_file(x->file, (size_t)x->c->settings->rulesd.max_message, &x->raw, e) < 0 ||
        origin_trust_read(&x->c->settings->rulesd.trusted_relays, x->c->settings->rules.authserv_id, &x->c->arena,
                          &trust, e) < 0)
        return -1;
    f->arena = &x->c->arena;
    if ((f->message = message_open(buf_span(&x->raw), f->arena)) == NULL)
        return err_set(e, ERR_LIMIT, "the message is too large");
    if (x->from != NULL) {
        if (address_parse_path(span_of(x->from), f->arena, &f->envelope_from, e) < 0)
            return err_wrap(e, "--from");
        f->has_envelope_from = true;
    }
    f->now_us = clock_wall_us();
    origin_facts(&trust, &stated, f);
    return 0;
}

static int load_scopes(struct explain *x, size_t i, const struct store_resolved *who, struct err *e)
{
    struct store_scope at[3] = {STORE_SCOPE_GLOBAL, store_scope_domain(who->domain), store_scope_mailbox(who->mailbox)};
    bool               there[3] = {true, who->ours, who->has_mailbox};
    struct compile_how how = {.keep_text = true};

    for (size_t k = 0; k < 3; k++) {
        if (!there[k])
            continue;
        if (store_scope_compile(x->c->store, at[k], &how, &x->scopes[i][k], e) < 0)
            return -1;
        x->judged[i].scopes[k] = x->scopes[i][k];
    }
    return 0;
}

/* One recipient: whose rules, which thresholds. Outbound, they are the sender's. */
static int load_rcpt(struct explain *x, size_t i, const struct store_resolved *sender, bool sender_known, struct err *e)
{
    struct judge_rcpt        *j = &x->judged[i];
    struct store_domain_view  view;
    struct store_mailbox_view mailbox;
    struct store_resolved     who;
    struct span               given = span_of(x->rcpts.items[i]);

    if (address_parse_path(given, &x->c->arena, &j->rcpt.given, e) < 0)
        return err_wrap(e, "--rcpt %s", x->rcpts.items[i]);
    if (store_resolve(x->c->store, j->rcpt.given.full, &who, e) < 0)
        return -1;
    j->rcpt.resolved = arena_dup(&x->c->arena, span_of(who.ours ? who.mailbox_address : ""));
    j->rcpt.resolved_domain = arena_dup(&x->c->arena, span_of(who.ours ? who.domain_name : ""));
    x->directions[i] = origin_direction(x->user != NULL, sender_known && sender->ours, who.ours);
    j->role_address = who.ours && who.special && x->directions[i] != DIRECTION_OUTBOUND;
    if (x->directions[i] == DIRECTION_OUTBOUND && sender_known && sender->ours)
        who = *sender;
    if (store_domain_view(x->c->store, who.ours ? &who.domain : NULL, &x->c->arena, &view, e) < 0)
        return -1;
    j->assigned = (struct assigned){view.assigned, view.nassigned};
    j->thresholds = view.thresholds;
    j->dispositions = view.dispositions;
    j->greylisting = view.greylisting && x->directions[i] == DIRECTION_INBOUND;
    if (x->directions[i] != DIRECTION_OUTBOUND)
        origin_nexthop(span_of(view.route), &x->c->arena, &j->rcpt);
    if (who.ours && who.has_mailbox) {
        if (store_mailbox_view(x->c->store, who.mailbox, &mailbox, e) < 0)
            return -1;
        j->thresholds = mailbox.thresholds;
    }
    return load_scopes(x, i, &who, e);
}

static int load_all(struct explain *x, struct err *e)
{
    struct store_resolved sender = {.ours = false};
    bool                  known = x->facts.has_envelope_from && x->facts.envelope_from.full.n > 0;

    if (known && store_resolve(x->c->store, x->facts.envelope_from.full, &sender, e) < 0)
        return -1;
    if (x->rcpts.n > EXPLAIN_RCPTS_MAX)
        return err_set(e, ERR_LIMIT, "at most %d recipients", EXPLAIN_RCPTS_MAX);
    for (x->n = 0; x->n < x->rcpts.n; x->n++)
        if (load_rcpt(x, x->n, &sender, known, e) < 0)
            return -1;
    return 0;
}

/* ---- telling ---- */

static const char *const rule_verdict_words[] = {
    [VERDICT_NONE] = "none", [VERDICT_ALLOW] = "allow", [VERDICT_BLOCK] = "block"};

static void print_name(const struct match *m)
{
    struct span name = match_rule_name(m);
    char        id[9];

    rule_short_id(&m->id, id);
    if (name.n > 0) {
        putchar('"');
        cli_print(name);
        printf("\" (%s)", id);
    } else {
        printf("%s", id);
    }
}

static void print_match(struct explain *x, const struct layered *l, const struct decision *d, bool role_address)
{
    static const char *const mark[] = {
        [WHY_APPLIED] = "+", [WHY_TEST_ONLY] = "t", [WHY_NOT_PROVEN] = "!", [WHY_UNKNOWN] = "?",
        [WHY_FALSE] = "-",   [WHY_EXPIRED] = "-",   [WHY_FLOW] = "-"};
    const char *lost = trace_why_lost(l, d, role_address);

    printf("    %s %-5s ", mark[l->m.why], rule_action_word(l->m.action));
    print_name(&l->m);
    fputs("\n        ", stdout);
    cli_print(match_sentence(&l->m, &x->c->arena));
    if (lost != NULL)
        printf("\n        %s", lost);
    putchar('\n');
}

static void print_verdict(const struct verdict *v)
{
    const struct layered *w = v->decision.decider;

    if (w != NULL) {
        printf("  %s by the %s rule ", rule_verdict_words[v->rule], layer_word(w->layer));
        print_name(&w->m);
        printf(": %s, score %.1f\n", action_word(v->action), v->score);
    } else {
        printf("  no rule decides: %s, score %.1f\n", action_word(v->action), v->score);
    }
    printf("  thresholds: reject %g, add_header %g, greylist %g%s\n", v->thresholds.reject, v->thresholds.add_header,
           v->thresholds.greylist, v->greylist_due ? "; greylisting asks for a second try" : "");
}

static void print_rcpt(struct explain *x, size_t i)
{
    static const char *const directions[] = {
        [DIRECTION_INBOUND] = "inbound", [DIRECTION_OUTBOUND] = "outbound", [DIRECTION_LOCAL] = "local"};
    const struct judge_rcpt *j = &x->judged[i];
    const struct decision   *d = &x->verdicts[i].decision;

    printf("%s", i > 0 ? "\n" : "");
    cli_print(j->rcpt.given.full);
    printf(" (%s", directions[x->directions[i]]);
    if (j->rcpt.resolved.n > 0 && !span_eq(j->rcpt.resolved, j->rcpt.given.full)) {
        fputs(", the mailbox ", stdout);
        cli_print(j->rcpt.resolved);
    } else if (j->rcpt.resolved.n == 0) {
        fputs(j->rcpt.resolved_domain.n > 0 ? ", the domain's rules alone" : ", not one of ours", stdout);
    }
    puts(j->role_address ? ", locked global rules only)" : ")");
    print_verdict(&x->verdicts[i]);
    for (enum layer l = LAYER_GLOBAL_LOCKED; l <= LAYER_NONE; l++) {
        bool headed = false;

        for (size_t k = 0; k < d->n; k++) {
            if (d->all[k].layer != l)
                continue;
            if (!headed)
                printf("  %s\n", l == LAYER_NONE ? "without effect here" : layer_word(l));
            headed = true;
            print_match(x, &d->all[k], d, j->role_address);
        }
    }
    if (d->n == 0)
        puts("  there is no rule that could say anything about it");
}

static void put_rcpt(struct explain *x, struct buf *b, size_t i)
{
    const struct verdict *v = &x->verdicts[i];
    const struct layered *w = v->decision.decider;
    char                  text[UUID_TEXT + 1];

    buf_puts(b, "{\"rcpt\":");
    json_put_string(b, x->judged[i].rcpt.given.full);
    buf_printf(b,
               ",\"verdict\":\"%s\",\"action\":\"%s\",\"score\":%.3f,\"thresholds\":{\"reject\":%g,\"add_header\":%g,"
               "\"greylist\":%g},\"layer\":",
               rule_verdict_words[v->rule], action_word(v->action), v->score, v->thresholds.reject,
               v->thresholds.add_header, v->thresholds.greylist);
    if (w != NULL) {
        uuid_format(&w->m.id, text);
        buf_printf(b, "\"%s\",\"rule\":{\"id\":\"%s\",\"name\":", layer_word(w->layer), text);
        json_put_string(b, match_rule_name(&w->m));
        buf_puts(b, "},\"matches\":");
    } else {
        buf_puts(b, "null,\"rule\":null,\"matches\":");
    }
    trace_put_json(b, &v->decision, 0, &x->c->arena);
    buf_putc(b, '}');
}

static int print_json(struct explain *x, struct err *e)
{
    struct buf b;
    bool       failed;

    buf_init(&b, (size_t)1 << 30);
    buf_puts(&b, "{\"recipients\":[");
    for (size_t i = 0; i < x->n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_rcpt(x, &b, i);
    }
    buf_puts(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
    failed = b.failed;
    buf_fini(&b);
    return failed ? err_set(e, ERR_LIMIT, "the trace is too long") : 0;
}

/* Each by themselves: the direction is the recipient's. */
static int judge_one(struct explain *x, size_t i, const struct score_parts *score, struct err *e)
{
    struct evaluation *evaluation;
    struct verdict    *verdict;

    x->facts.direction = x->directions[i];
    if (judge(&x->facts, &x->judged[i], 1, score, true, &verdict, &evaluation, e) < 0)
        return -1;
    x->verdicts[i] = *verdict;
    return 0;
}

static int explain(struct explain *x, struct err *e)
{
    struct score_parts score = {.none = x->score == NULL};
    char              *end;

    if (x->score != NULL) {
        score.total = strtod(x->score, &end);
        if (*end != 0 || !(score.total > -10000 && score.total < 10000))
            return err_set(e, ERR_INVALID, "--score: \"%s\" is not a score", x->score);
    }
    if (cli_store(x->c, e) < 0 || read_facts(x, e) < 0 || load_all(x, e) < 0)
        return -1;
    for (size_t i = 0; i < x->n; i++)
        if (judge_one(x, i, &score, e) < 0)
            return -1;
    if (x->json)
        return print_json(x, e);
    for (size_t i = 0; i < x->n; i++)
        print_rcpt(x, i);
    return 0;
}

int cli_explain(struct cli *c, int argc, char **argv, struct err *e)
{
    static struct explain    x; /* large; one a process */
    int                      rc = -1;
    const struct args_option options[] = {
        {"rcpt", "ADDRESS", .list = &x.rcpts, .help = "a recipient"},
        {"from", "ADDRESS", .text = &x.from, .help = "the envelope sender (<> is the null sender)"},
        {"ip", "ADDRESS", .text = &x.ip, .help = "the connecting client"},
        {"host", "NAME", .text = &x.host, .help = "its verified name"},
        {"helo", "NAME", .text = &x.helo, .help = "what it called itself"},
        {"user", "NAME", .text = &x.user, .help = "the authenticated user"},
        {"score", "N", .text = &x.score, .help = "what a scanner would have said"},
        {"json", NULL, .on = &x.json, .help = "for programs"},
    };

    memset(&x, 0, sizeof x);
    x.c = c;
    buf_init(&x.raw, (size_t)c->settings->rulesd.max_message);
    if (args_read(argc, argv, options, COUNT(options), "--rcpt ADDRESS … FILE (- for standard input)", 1, 1, &x.file,
                  NULL, e) == 0)
        rc = x.rcpts.n == 0 ? err_set(e, ERR_USAGE, "for whom? --rcpt ADDRESS") : explain(&x, e);
    for (size_t i = 0; i < EXPLAIN_RCPTS_MAX; i++)
        for (size_t k = 0; k < 3; k++)
            scope_drop(&x.scopes[i][k]);
    buf_fini(&x.raw);
    return rc;
}
