/* cli/explain.c - postern explain: why a message gets its verdict (custody/explain.h), for people and programs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "cli.h"
#include "custody/explain.h"
#include "rules/trace.h"

#define EXPLAIN_RCPTS_MAX 100

struct explain_call {
    struct cli      *c;
    struct args_list rcpts;
    const char      *from, *ip, *host, *helo, *user, *score, *file;
    bool             json;
    struct buf       raw;
    struct explained found[EXPLAIN_RCPTS_MAX];
};

/* ---- telling ---- */

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

static void print_match(struct explain_call *x, const struct layered *l, const struct decision *d, bool role_address)
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
        printf("  %s by the %s rule ", explain_verdict_words[v->rule], layer_word(w->layer));
        print_name(&w->m);
        printf(": %s, score %.1f\n", action_word(v->action), v->score);
    } else {
        printf("  no rule decides: %s, score %.1f\n", action_word(v->action), v->score);
    }
    printf("  thresholds: reject %g, add_header %g, greylist %g%s\n", v->thresholds.reject, v->thresholds.add_header,
           v->thresholds.greylist, v->greylist_due ? "; greylisting asks for a second try" : "");
}

static void print_rcpt(struct explain_call *x, size_t i)
{
    static const char *const directions[] = {
        [DIRECTION_INBOUND] = "inbound", [DIRECTION_OUTBOUND] = "outbound", [DIRECTION_LOCAL] = "local"};
    const struct explained  *r = &x->found[i];
    const struct judge_rcpt *j = &r->judged;
    const struct decision   *d = &r->verdict.decision;

    printf("%s", i > 0 ? "\n" : "");
    cli_print(j->rcpt.given.full);
    printf(" (%s", directions[r->direction]);
    if (j->rcpt.resolved.n > 0 && !span_eq(j->rcpt.resolved, j->rcpt.given.full)) {
        fputs(", the mailbox ", stdout);
        cli_print(j->rcpt.resolved);
    } else if (j->rcpt.resolved.n == 0) {
        fputs(j->rcpt.resolved_domain.n > 0 ? ", the domain's rules alone" : ", not one of ours", stdout);
    }
    puts(j->role_address ? ", locked global rules only)" : ")");
    print_verdict(&r->verdict);
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

static int print_json(struct explain_call *x, struct err *e)
{
    struct buf b;
    bool       failed;

    buf_init(&b, (size_t)1 << 30);
    buf_puts(&b, "{\"recipients\":[");
    for (size_t i = 0; i < x->rcpts.n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        explained_put_json(&b, &x->found[i], &x->c->arena);
    }
    buf_puts(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
    failed = b.failed;
    buf_fini(&b);
    return failed ? err_set(e, ERR_LIMIT, "the trace is too long") : 0;
}

static int read_message(struct explain_call *x, struct explain_message *m, struct err *e)
{
    char *end;

    *m = (struct explain_message){
        .has_from = x->from != NULL,
        .from = span_of(x->from),
        .ip = span_of(x->ip),
        .host = span_of(x->host),
        .helo = span_of(x->helo),
        .authenticated = x->user != NULL,
        .has_score = x->score != NULL,
    };
    if (x->score != NULL) {
        m->score = strtod(x->score, &end);
        if (*end != 0 || !(m->score > -10000 && m->score < 10000))
            return err_set(e, ERR_INVALID, "--score: \"%s\" is not a score", x->score);
    }
    if (fd_read_file(x->file, (size_t)x->c->settings->rulesd.max_message, &x->raw, e) < 0)
        return -1;
    m->raw = buf_span(&x->raw);
    return 0;
}

static int explain(struct explain_call *x, struct err *e)
{
    struct explain_message m;
    struct explain         with;

    if (x->rcpts.n > EXPLAIN_RCPTS_MAX)
        return err_set(e, ERR_LIMIT, "at most %d recipients", EXPLAIN_RCPTS_MAX);
    if (cli_store(x->c, e) < 0 || read_message(x, &m, e) < 0 ||
        explain_begin(&with, x->c->store, x->c->settings, &m, &x->c->arena, e) < 0)
        return -1;
    for (size_t i = 0; i < x->rcpts.n; i++)
        if (explain_rcpt(&with, span_of(x->rcpts.items[i]), &x->found[i], e) < 0)
            return -1;
    if (x->json)
        return print_json(x, e);
    for (size_t i = 0; i < x->rcpts.n; i++)
        print_rcpt(x, i);
    return 0;
}

int cli_explain(struct cli *c, int argc, char **argv, struct err *e)
{
    static struct explain_call x; /* large; one a process */
    int                        rc = -1;
    const struct args_option   options[] = {
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
        explained_drop(&x.found[i]);
    buf_fini(&x.raw);
    return rc;
}
