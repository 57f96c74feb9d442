/* tests/bench/scope.c - compiled scopes without any daemon around them: how long they take to build, how large they are, and
 * what a verdict costs.
 *
 *   bench-scope                    the table
 *   bench-scope instructions N [K] 2,000 verdicts on a scope of N rules of kind K (mixed), for callgrind --toggle-collect=judge_some
 *   bench-scope verdicts N [K]     the same, timed */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "mail/leaf.h"
#include "rules/evaluate.h"

#define VERDICTS 2000
#define BODY_BYTES 2048

static const struct uuid policy_id = {{1}}, scope_id = {{2}};

/* One rule of a kind, number i of n; `text` is where its entry may be written. */
struct made {
    struct rule      rule;
    struct condition conditions[1];
    struct entry     entry;
    char             text[64];
};

static void write_text(struct made *m, enum condition_kind kind, enum entry_kind entry, enum rule_match match)
{
    m->entry = (struct entry){.kind = entry, .text = span_of(m->text), .written = span_of(m->text)};
    m->conditions[0] = (struct condition){
        .kind = kind, .match = match, .source = SOURCE_FROM, .any = &m->entry, .nany = 1};
}

static void make_address(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "user%zu@dom%zu.example", i, i % 5000);
    write_text(m, COND_SENDER, ENTRY_ADDRESS, MATCH_EXACT);
}

static void make_domain(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "sub.dom%zu.example", i);
    write_text(m, COND_SENDER, ENTRY_DOMAIN, MATCH_EXACT);
}

static void make_ip(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "10.%zu.%zu.%zu", i >> 16 & 255, i >> 8 & 255, i & 255);
    write_text(m, COND_IP, ENTRY_IP, MATCH_EXACT);
    ip_block_parse(span_of(m->text), &m->entry.ip, NULL);
}

static void make_subject(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "offer number %zu today", i);
    write_text(m, COND_SUBJECT, ENTRY_TEXT, MATCH_CONTAINS);
}

static void make_body(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "click here for %zu reasons", i);
    write_text(m, COND_BODY, ENTRY_TEXT, MATCH_CONTAINS);
}

static void make_subject_regex(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "order-%zu[0-9]+ (sent|paid)", i);
    write_text(m, COND_SUBJECT, ENTRY_REGEX, MATCH_REGEX);
}

static void make_body_regex(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "order-%zu[0-9]+ (sent|paid)", i);
    write_text(m, COND_BODY, ENTRY_REGEX, MATCH_REGEX);
}

static void make_attachment(struct made *m, size_t i)
{
    snprintf(m->text, sizeof m->text, "invoice-%zu.pdf", i);
    write_text(m, COND_ATTACHMENT, ENTRY_ATTACHMENT, MATCH_EXACT);
    m->entry.attachment.filename = span_of(m->text);
}

static void make_mixed(struct made *m, size_t i)
{
    static void (*const makers[])(struct made *, size_t) = {make_address, make_domain, make_ip, make_subject};

    makers[i % 4](m, i);
}

static const struct kind {
    const char *name;
    void (*make)(struct made *m, size_t i);
    size_t most;
} kinds[] = {
    {"address", make_address, 1000000},
    {"domain", make_domain, 1000000},
    {"ip", make_ip, 1000000},
    {"mixed", make_mixed, 1000000},
    {"subject", make_subject, 100000},
    {"body", make_body, 100000},
    {"subject-regex", make_subject_regex, 10000},
    {"body-regex", make_body_regex, 10000},
    {"attachment", make_attachment, 100000},
};

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    fprintf(stderr, "bench-scope: no kind %s\n", name);
    exit(64);
}

static struct scope *build(const struct kind *k, size_t n, size_t *text_out)
{
    struct scope_builder *b = scope_builder_new(SCOPE_DOMAIN, &scope_id, false);
    struct scope_policy   p = {.id = policy_id, .priority = 10, .name = "Rules"};
    struct made          *m = calloc(1, sizeof *m);
    struct err            e = ERR_INIT;
    struct scope         *s = NULL;

    *text_out = 0;
    scope_builder_policy(b, &p, &e);
    for (size_t i = 0; i < n; i++) {
        m->rule = (struct rule){.action = RULE_BLOCK,
                                .priority = 100,
                                .enabled = true,
                                .flow = FLOW_FROM,
                                .conditions = m->conditions,
                                .nconditions = 1};
        for (size_t j = 0; j < 8; j++)
            m->rule.id.b[15 - j] = (uint8_t)((i + 1) >> 8 * j);
        m->entry = (struct entry){0};
        k->make(m, i);
        *text_out += m->entry.kind == ENTRY_IP ? 0 : m->entry.text.n;
        if (scope_builder_rule(b, &policy_id, &m->rule, &e) < 0)
            break;
    }
    if (e.code == ERR_NONE)
        s = scope_build(&b, 1, &e);
    if (s == NULL) {
        fprintf(stderr, "bench-scope: %s\n", e.text);
        exit(70);
    }
    free(m);
    return s;
}

static struct span sample_message(void)
{
    static char       raw[BODY_BYTES + 1024];
    int               n = snprintf(raw, sizeof raw,
                                   "Received: from mx.other.test (mx.other.test [192.0.2.1]) by mx.ours.example; Sat, 21 Nov 2026 "
                                                 "10:00:00 +0000\r\nFrom: Some Body <some.body@news.other.test>\r\nTo: ann@ours.example\r\n"
                                                 "Subject: =?utf-8?q?Minutes_of_the_meeting?= and what is next\r\nDate: Sat, 21 Nov 2026 10:00:00 "
                                                 "+0000\r\nMessage-ID: <1@other.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                                                 "charset=utf-8\r\n\r\n");
    static const char line[] = "We met on Tuesday and agreed on the agenda for the next months, as sent.\r\n";

    for (size_t at = 0; at < BODY_BYTES; at++)
        raw[n++] = line[at % (sizeof line - 1)];
    return span_make(raw, (size_t)n);
}

/* One message against one scope, from its bytes to its matches. */
static size_t judge_one(struct arena *a, const struct scope *s, struct span raw)
{
    struct facts        f = {.arena = a, .now_us = 1};
    struct rcpt_facts   rcpt = {.given = {SPAN("ann"), SPAN("ours.example"), SPAN("ann@ours.example"), SPAN_NONE}};
    const struct match *list;
    struct err          e = ERR_INIT;
    size_t              n = 0;

    arena_reset(a);
    f.message = message_open(raw, a);
    f.has_envelope_from = f.has_ip = true;
    f.envelope_from = (struct address){SPAN("bounce"), SPAN("news.other.test"), SPAN("bounce@news.other.test"),
                                       SPAN_NONE};
    ip_parse(SPAN("192.0.2.1"), false, &f.ip);
    f.host = SPAN("mx.other.test");
    f.helo = SPAN("mx.other.test");
    if (evaluate_scope(evaluation_new(&f), s, &rcpt, &list, &n, &e) < 0)
        fprintf(stderr, "bench-scope: %s\n", e.text);
    return n;
}

size_t judge_some(const struct scope *s, size_t times);

/* Not static: callgrind is told its name. */
__attribute__((noinline)) size_t judge_some(const struct scope *s, size_t times)
{
    struct span  raw = sample_message();
    struct arena a;
    size_t       matches = 0;

    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < times; i++)
        matches += judge_one(&a, s, raw);
    arena_fini(&a);
    return matches;
}

static double verdict_us(const struct scope *s)
{
    int64_t begun;

    judge_some(s, 200);
    begun = clock_thread_cpu_us();
    judge_some(s, VERDICTS);
    return (double)(clock_thread_cpu_us() - begun) / VERDICTS;
}

static void row(const struct kind *k, size_t n)
{
    int64_t       begun = clock_thread_cpu_us();
    size_t        text;
    struct scope *s = build(k, n, &text);
    double        built_ms = (double)(clock_thread_cpu_us() - begun) / 1000, us = verdict_us(s);

    printf("%-14s %9zu %10.1f %12.1f %10.2f\n", k->name, n, built_ms,
           ((double)scope_memory(s) - (double)text) / (double)n, us);
    fflush(stdout);
    scope_drop(&s);
}

static int table(void)
{
    printf("%-14s %9s %10s %12s %10s\n", "kind", "rules", "build ms", "bytes/rule", "verdict us");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        row(&kinds[i], 1);
        for (size_t n = 100; n <= kinds[i].most; n *= 10)
            row(&kinds[i], n);
    }
    return 0;
}

int main(int argc, char **argv)
{
    size_t        text;
    struct scope *s;

    mail_init();
    if (argc < 3)
        return table();
    s = build(kind_of(argc > 3 ? argv[3] : "mixed"), (size_t)atol(argv[2]), &text);
    if (strcmp(argv[1], "instructions") == 0)
        printf("%zu matches\n", judge_some(s, VERDICTS));
    else
        printf("%.2f us a verdict\n", verdict_us(s));
    scope_drop(&s);
    return 0;
}
