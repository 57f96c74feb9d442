/* tests/unit/rules_conflict.c - rules that never decide, rules that contradict; and that what is said is so, by trying it. */
#include "rules/conflict.h"

#include "rules.h"
#include "rules/cover.h"
#include "rules/evaluate.h"

#define RULES_MAX 12
#define RULE(action, conditions) "{\"action\":\"" action "\",\"conditions\":[" conditions "]}"
#define ANY(kind, any) "{\"kind\":\"" kind "\",\"any\":[" any "]}"
#define NOT(kind, any) "{\"kind\":\"" kind "\",\"not\":true,\"any\":[" any "]}"
#define TEXT(kind, match, any) "{\"kind\":\"" kind "\",\"match\":\"" match "\",\"any\":[" any "]}"
#define BLOCK(any) RULE("block", ANY("sender", any))
#define ALLOW(any) RULE("allow", ANY("sender", any))
#define MORE(action, more, conditions) "{\"action\":\"" action "\"," more ",\"conditions\":[" conditions "]}"

/* What is found of rules in their order: "2<1" rule 2 never decides because of rule 1; "2<1!" which does the opposite; "2~1" it
 * contradicts rule 1, "2~1:ENTRY" as to that entry; a final "?" where the sender is proven. */
static const struct {
    const char *holds, *rules[5], *found;
} cases[] = {
    {"the same again", {BLOCK("\"a@x.example\""), BLOCK("\"A@X.example\"")}, "2<1"},
    {"a domain covers its addresses and subdomains", {BLOCK("\"x.example\""), BLOCK("\"a@b.x.example\"")}, "2<1"},
    {"an exception in front is none", {BLOCK("\"a@x.example\""), BLOCK("\"x.example\"")}, ""},
    {"nor is a name that only ends alike", {BLOCK("\"x.example\""), BLOCK("\"a@yx.example\"")}, ""},
    {"*@domain is that domain alone", {BLOCK("\"*@x.example\""), BLOCK("\"a@x.example\",\"b@s.x.example\"")}, ""},
    {"below is not itself", {BLOCK("\"*@*.x.example\""), BLOCK("\"x.example\"")}, ""},
    {"below what is below", {BLOCK("\"*@*.x.example\""), BLOCK("\"*@*.y.x.example\",\"y.x.example\"")}, "2<1"},
    {"a wildcard catches an address", {BLOCK("\"news-*@x.example\""), BLOCK("\"news-7@x.example\"")}, "2<1"},
    {"and is in its domain", {BLOCK("\"x.example\""), BLOCK("\"news-*@x.example\"")}, "2<1"},
    {"a wildcard with an open end is in none", {BLOCK("\"x.example\""), BLOCK("\"news-*@x.exampl?\"")}, ""},
    {"each entry by another rule",
     {BLOCK("\"x.example\""), BLOCK("\"y.example\""), BLOCK("\"a@x.example\",\"a@y.example\"")},
     "3<1,2"},
    {"all but one entry", {BLOCK("\"x.example\""), BLOCK("\"a@x.example\",\"a@y.example\"")}, ""},
    {"a block in front of an allow", {BLOCK("\"x.example\""), ALLOW("\"a@x.example\"")}, "2<1!"},
    {"an allow of proven senders leaves the others to the block",
     {ALLOW("\"x.example\""), BLOCK("\"a@x.example\"")},
     "2~1?"},
    {"an allow needs all From addresses, a block one",
     {MORE("allow", "\"require_proof\":false", ANY("sender", "\"x.example\"")), BLOCK("\"a@x.example\"")},
     "2~1"},
    {"the envelope is one address",
     {MORE("allow", "\"require_proof\":false", "{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"x.example\"]}"),
      RULE("block", "{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"a@x.example\"]}")},
     "2<1!"},
    {"some entries contradict",
     {ALLOW("\"a@x.example\""), BLOCK("\"b@x.example\",\"a@x.example\"")},
     "2~1:a@x.example?"},
    {"allows of two senders do not add up, since both can stand in From",
     {ALLOW("\"x.example\""), ALLOW("\"y.example\""), ALLOW("\"a@x.example\",\"a@y.example\"")},
     ""},
    {"but one allow of both does",
     {ALLOW("\"x.example\",\"y.example\""), ALLOW("\"a@x.example\",\"a@y.example\"")},
     "2<1"},
    {"an allow without proof catches what one with proof does",
     {MORE("allow", "\"require_proof\":false", ANY("sender", "\"x.example\"")), ALLOW("\"x.example\"")},
     "2<1"},
    {"not the other way round",
     {ALLOW("\"x.example\""), MORE("allow", "\"require_proof\":false", ANY("sender", "\"x.example\""))},
     ""},
    {"another source is another sender",
     {BLOCK("\"x.example\""), RULE("block", "{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"x.example\"]}")},
     ""},
    {"any source is either",
     {RULE("block", "{\"kind\":\"sender\",\"source\":\"any\",\"any\":[\"x.example\"]}"), BLOCK("\"x.example\"")},
     "2<1"},
    {"what asks for less catches what asks for more",
     {BLOCK("\"x.example\""), RULE("block", ANY("sender", "\"x.example\"") "," ANY("subject", "\"sale\""))},
     "2<1"},
    {"what asks for more does not",
     {RULE("block", ANY("sender", "\"x.example\"") "," ANY("subject", "\"sale\"")), BLOCK("\"x.example\"")},
     ""},
    {"texts that hold texts",
     {RULE("block", ANY("subject", "\"win\"")), RULE("block", ANY("subject", "\"WINNER\""))},
     "2<1"},
    {"starts that start",
     {RULE("block", TEXT("subject", "starts_with", "\"win\"")),
      RULE("block", TEXT("subject", "starts_with", "\"winner\"")),
      RULE("block", TEXT("subject", "contains", "\"winner\""))},
     "2<1"},
    {"another field",
     {RULE("block", "{\"kind\":\"header\",\"name\":\"X-A\",\"any\":[\"a\"]}"),
      RULE("block", "{\"kind\":\"header\",\"name\":\"X-B\",\"any\":[\"a\"]}")},
     ""},
    {"a field's name is without case",
     {RULE("block", "{\"kind\":\"header\",\"name\":\"X-A\",\"any\":[\"a\"]}"),
      RULE("block", "{\"kind\":\"header\",\"name\":\"x-a\",\"any\":[\"a\"]}")},
     "2<1"},
    {"blocks of addresses",
     {RULE("block", ANY("ip", "\"192.0.2.0/24\"")), RULE("allow", ANY("ip", "\"192.0.2.7\",\"192.0.2.16-192.0.2.31\"")),
      RULE("block", ANY("ip", "\"192.0.0.0/16\""))},
     "2<1!"},
    {"sizes within sizes",
     {RULE("block", "{\"kind\":\"size\",\"min\":1000}"),
      RULE("block", "{\"kind\":\"size\",\"min\":2000,\"max\":9000}")},
     "2<1"},
    {"attachments",
     {RULE("block", ANY("attachment", "{\"extension\":\"exe\"}")),
      RULE("block", ANY("attachment", "{\"extension\":\"exe\",\"mime_type\":\"application/*\"}"))},
     "2<1"},
    {"any attachment",
     {RULE("block", ANY("attachment", "{\"present\":true}")),
      RULE("block", ANY("attachment", "{\"filename\":\"a*.zip\"}")),
      RULE("block", ANY("attachment", "{\"present\":false}"))},
     "2<1"},
    {"everybody but",
     {RULE("block", NOT("sender", "\"a@x.example\"")), RULE("block", NOT("sender", "\"x.example\"")),
      RULE("block", NOT("sender", "\"a@y.example\""))},
     "2<1"},
    {"a rule that is off catches nothing",
     {MORE("block", "\"enabled\":false", ANY("sender", "\"x.example\"")), BLOCK("\"x.example\"")},
     ""},
    {"nor does one for testing",
     {MORE("block", "\"test_only\":true", ANY("sender", "\"x.example\"")), BLOCK("\"x.example\"")},
     ""},
    {"one that ends does not catch what goes on",
     {MORE("block", "\"expires_at\":\"2031-01-01T00:00:00Z\"", ANY("sender", "\"x.example\"")), BLOCK("\"x.example\"")},
     ""},
    {"but what ends before it",
     {MORE("block", "\"expires_at\":\"2031-01-01T00:00:00Z\"", ANY("sender", "\"x.example\"")),
      MORE("block", "\"expires_at\":\"2030-01-01T00:00:00Z\"", ANY("sender", "\"x.example\""))},
     "2<1"},
    {"either side holds what the sending side does",
     {MORE("block", "\"flow\":\"from_or_to\"", ANY("sender", "\"x.example\"")), BLOCK("\"x.example\""),
      MORE("block", "\"flow\":\"to\"", ANY("sender", "\"x.example\""))},
     "2<1 3<1"},
    {"the sending side does not hold either",
     {BLOCK("\"x.example\""), MORE("block", "\"flow\":\"from_or_to\"", ANY("sender", "\"x.example\""))},
     ""},
    {"the null sender is itself alone", {BLOCK("\"<>\""), BLOCK("\"<>\""), BLOCK("\"*@*\"")}, "2<1"},
    {"hosts",
     {RULE("block", ANY("host", "\"*.x.example\"")), RULE("block", ANY("host", "\"mx.x.example\"")),
      RULE("block", ANY("host", "\"x.example\""))},
     "2<1"},
    {"a block by HELO is more than an allow by name",
     {RULE("allow", ANY("host", "\"mx.x.example\"")), RULE("block", ANY("host", "\"mx.x.example\""))},
     "2~1"},
};

static void put_found(const struct conflicts *c, struct buf *b)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct conflict *x = &c->items[i];

        buf_printf(b, "%s%zu%c", i > 0 ? " " : "", x->rule + 1, x->kind == CONFLICT_SHADOWED ? '<' : '~');
        for (size_t k = 0; k < x->nby; k++)
            buf_printf(b, "%s%zu", k > 0 ? "," : "", x->by[k] + 1);
        if (x->entry != NULL)
            buf_printf(b, ":%.*s", SPAN_ARG(x->entry->text));
        buf_puts(b, x->opposite ? "!" : x->if_proven ? "?" : "");
    }
}

static void what_never_decides_and_what_contradicts_is_named(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conflict_rule rules[5];
        struct arena         keep;
        struct conflicts     found;
        struct buf           b;
        struct err           e = ERR_INIT;
        size_t               n = 0;

        arena_init(&keep, 16 << 20);
        for (; n < 5 && cases[i].rules[n] != NULL; n++) {
            rules[n].part = 0;
            if (rule_from_json(span_of(cases[i].rules[n]), &keep, NULL, &rules[n].rule, &e) < 0)
                fail_msg("%s: %s", cases[i].holds, e.text);
        }
        buf_init(&b, 1000);
        CHECK(cases[i].holds, conflicts_find(rules, n, &keep, &found, &e) == 0 && found.whole);
        put_found(&found, &b);
        check_text(cases[i].holds, buf_span(&b), cases[i].found);
        buf_fini(&b);
        arena_fini(&keep);
    }
}

static void a_rule_that_holds_in_part_catches_only_its_own(void **unused)
{
    static const char *const texts[] = {BLOCK("\"x.example\""), BLOCK("\"x.example\""), BLOCK("\"x.example\"")};
    struct conflict_rule     rules[3];
    struct conflicts         found;
    struct arena             a;
    struct err               e = ERR_INIT;

    (void)unused;
    arena_init(&a, 16 << 20);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rule_from_json(span_of(texts[i]), &a, NULL, &rules[i].rule, &e), 0);
    rules[0].part = 1;
    rules[1].part = 0;
    rules[2].part = 1;
    assert_int_equal(conflicts_find(rules, 3, &a, &found, &e), 0);
    CHECK("the one that holds everywhere is not caught", found.n == 1 && found.items[0].rule == 2);
    arena_fini(&a);
}

/* ---- the oracle: messages of few words, rules of few words ---- */

static const char *const senders[] = {"a@x.example", "b@x.example", "a@s.x.example", "b@y.example", "a@z.test"};
static const char *const entries[] = {"a@x.example", "b@x.example", "x.example",   "*@x.example", "*@*.x.example",
                                      "y.example",   "a@*",         "*@?.example", "<>",          "z.test",
                                      "b@y.example"};
static const char *const words[] = {"win", "winner", "you win", "a", "prize"};
static const char *const ips[] = {"192.0.2.7", "192.0.2.0/24", "192.0.2.0-192.0.2.9", "198.51.100.1"};
static const char *const flows[] = {"from", "to", "from_or_to"}, *const sources[] = {"from", "envelope", "any"};
static const char *const matches[] = {"contains", "exact", "starts_with", "ends_with"};

static const char *pick(uint64_t *seed, const char *const *list, size_t n) { return list[random_below(seed, n)]; }
#define PICK(seed, list) pick(seed, list, COUNT(list))

static void put_random_condition(struct buf *b, uint64_t *seed)
{
    static const char *const kinds[] = {"sender", "sender", "sender", "recipient", "subject", "ip", "size", "host"};
    const char              *kind = PICK(seed, kinds);
    size_t                   n = 1 + random_below(seed, 3);

    buf_printf(b, "{\"kind\":\"%s\",\"not\":%s", kind, random_below(seed, 4) == 0 ? "true" : "false");
    if (strcmp(kind, "size") == 0) {
        buf_printf(b, ",\"min\":%zu,\"max\":%zu}", random_below(seed, 100), 100 + random_below(seed, 100));
        return;
    }
    if (strcmp(kind, "sender") == 0)
        buf_printf(b, ",\"source\":\"%s\"", random_below(seed, 2) ? "from" : PICK(seed, sources));
    if (strcmp(kind, "subject") == 0)
        buf_printf(b, ",\"match\":\"%s\"", PICK(seed, matches));
    buf_puts(b, ",\"any\":[");
    for (size_t i = 0; i < n; i++) {
        const char *one = strcmp(kind, "subject") == 0 ? PICK(seed, words)
                          : strcmp(kind, "ip") == 0    ? PICK(seed, ips)
                                                       : PICK(seed, entries);

        if (strcmp(kind, "recipient") == 0)
            one = "ann@ours.example";
        if (strcmp(kind, "host") == 0)
            one = random_below(seed, 2) ? "*.x.example" : "mx.x.example";
        buf_printf(b, "%s\"%s\"", i > 0 ? "," : "", one);
    }
    buf_puts(b, "]}");
}

static void random_rule(uint64_t *seed, size_t index, struct arena *a, struct rule *out)
{
    struct err e = ERR_INIT;
    struct buf b;
    size_t     n = 1 + random_below(seed, 2);

    buf_init(&b, 4000);
    buf_printf(&b, "{\"action\":\"%s\",\"flow\":\"%s\",\"require_proof\":%s,\"conditions\":[",
               random_below(seed, 2) ? "allow" : "block", random_below(seed, 3) ? "from" : PICK(seed, flows),
               random_below(seed, 2) ? "true" : "false");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&b, ',');
        put_random_condition(&b, seed);
    }
    buf_puts(&b, "]}");
    if (rule_from_json(arena_dup(a, buf_span(&b)), a, NULL, out, &e) < 0)
        fail_msg("%.*s: %s", SPAN_ARG(buf_span(&b)), e.text);
    out->id = (struct uuid){.b = {[15] = (uint8_t)(index + 1)}};
    buf_fini(&b);
}

static struct address address_of(const char *text)
{
    struct span s = span_of(text);

    return (struct address){
        .local = span_head(s, span_rchr(s, '@')), .domain = span_skip(s, span_rchr(s, '@') + 1), .full = s};
}

/* The index of the first rule that applies to a random message; n: none. */
static size_t decides(uint64_t *seed, const struct scope *s, size_t n, struct arena *a)
{
    struct facts        f = {.arena = a,
                             .now_us = 1000,
                             .has_envelope_from = random_below(seed, 5) > 0,
                             .direction = random_below(seed, 6) == 0 ? DIRECTION_OUTBOUND : DIRECTION_INBOUND};
    struct rcpt_facts   rcpt = {.given = address_of(random_below(seed, 2) ? "ann@ours.example" : PICK(seed, senders))};
    const char         *one = PICK(seed, senders), *two = random_below(seed, 3) == 0 ? PICK(seed, senders) : NULL;
    struct span         dkim = span_skip(span_of(one), 2);
    const struct match *found;
    size_t              nfound, first = n;
    struct span text = arena_printf(a, "From: %s%s%s\r\nSubject: %s%s\r\n\r\n%s", one, two ? ", " : "", two ? two : "",
                                    PICK(seed, words), random_below(seed, 2) ? "" : " today",
                                    random_below(seed, 2) ? "text" : "");

    f.message = message_open(text, a);
    f.envelope_from = random_below(seed, 4) == 0 ? (struct address){0} : address_of(PICK(seed, senders));
    f.has_ip = random_below(seed, 4) > 0 &&
               ip_parse(span_of(random_below(seed, 2) ? "192.0.2.7" : "203.0.113.9"), false, &f.ip);
    f.host = random_below(seed, 2) ? SPAN("mx.x.example") : SPAN("");
    f.helo = random_below(seed, 2) ? SPAN("mx.x.example") : SPAN("h.test");
    f.proof = (struct proof){
        .can_prove = true, .dmarc_pass = random_below(seed, 4) == 0, .dkim = &dkim, .ndkim = random_below(seed, 2)};
    assert_int_equal(evaluate_all(evaluation_new(&f), s, &rcpt, &found, &nfound, NULL), 0);
    for (size_t i = 0; i < nfound; i++)
        if (found[i].why == WHY_APPLIED && (size_t)found[i].id.b[15] - 1 < first)
            first = (size_t)found[i].id.b[15] - 1;
    return first;
}

static void what_is_said_to_never_decide_never_does(void **unused)
{
    const struct scope_policy policy = {.id = {{7}}, .priority = 100};
    uint64_t                  seed = 20261122;
    size_t                    said = 0, decided = 0;

    (void)unused;
    for (int round = 0; round < 1500; round++) {
        struct arena          a, m;
        struct conflict_rule  rules[RULES_MAX];
        struct conflicts      found;
        struct scope_builder *b = scope_builder_new(SCOPE_MAILBOX, &policy.id, false);
        struct scope         *s;
        bool                  never[RULES_MAX + 1] = {false};

        arena_init(&a, 16 << 20);
        assert_int_equal(scope_builder_policy(b, &policy, NULL), 0);
        for (size_t i = 0; i < RULES_MAX; i++) {
            rules[i].part = 0;
            random_rule(&seed, i, &a, &rules[i].rule);
            assert_int_equal(scope_builder_rule(b, &policy.id, &rules[i].rule, NULL), 0);
        }
        s = scope_build(&b, 0, NULL);
        assert_int_equal(conflicts_find(rules, RULES_MAX, &a, &found, NULL), 0);
        for (size_t i = 0; i < found.n; i++)
            never[found.items[i].rule] = found.items[i].kind == CONFLICT_SHADOWED;
        for (size_t i = 0; i < RULES_MAX; i++)
            said += never[i];
        for (int k = 0; k < 30; k++) {
            size_t first;

            arena_init(&m, 16 << 20);
            first = decides(&seed, s, RULES_MAX, &m);
            if (first < RULES_MAX && never[first]) {
                struct buf json;

                buf_init(&json, 1 << 16);
                for (size_t i = 0; i <= first; i++) {
                    rule_put_json(&json, &rules[i].rule);
                    buf_putc(&json, '\n');
                }
                fail_msg("round %d: rule %zu decided, of\n%.*s", round, first + 1, SPAN_ARG(buf_span(&json)));
            }
            decided += first < RULES_MAX;
            arena_fini(&m);
        }
        scope_drop(&s);
        arena_fini(&a);
    }
    CHECK("the oracle was asked something", said > 500 && decided > 5000);
}

/* ---- cost ---- */

static void add_list(struct conflict_rule *r, size_t n, const char *format, struct arena *a)
{
    struct buf b;
    struct err e = ERR_INIT;

    buf_init(&b, RULE_JSON_MAX);
    buf_puts(&b, "{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":[");
    for (size_t i = 0; i < n; i++) {
        char entry[100];

        snprintf(entry, sizeof entry, format, i);
        buf_printf(&b, "%s\"%s\"", i > 0 ? "," : "", entry);
    }
    buf_puts(&b, "]}]}");
    r->part = 0;
    if (rule_from_json(arena_dup(a, buf_span(&b)), a, NULL, &r->rule, &e) < 0)
        fail_msg("%s", e.text);
    buf_fini(&b);
}

static void long_lists_are_compared_and_wildcards_only_so_far(void **unused)
{
    struct conflict_rule rules[3];
    struct conflicts     found;
    struct arena         a;

    (void)unused;
    arena_init(&a, 64 << 20);
    add_list(&rules[0], RULE_ENTRIES_MAX, "a%zu@x.example", &a);
    add_list(&rules[1], RULE_ENTRIES_MAX, "a%zu@x.example", &a);
    add_list(&rules[2], RULE_ENTRIES_MAX, "b%zu@x.example", &a);
    assert_int_equal(conflicts_find(rules, 3, &a, &found, NULL), 0);
    CHECK("all of it", found.whole && found.n == 1 && found.items[0].rule == 1);
    add_list(&rules[0], RULE_ENTRIES_MAX, "a%zu-*@x.exampl?", &a);
    assert_int_equal(conflicts_find(rules, 3, &a, &found, NULL), 0);
    CHECK("it stops, and says so", !found.whole);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_never_decides_and_what_contradicts_is_named),
        cmocka_unit_test(a_rule_that_holds_in_part_catches_only_its_own),
        cmocka_unit_test(what_is_said_to_never_decide_never_does),
        cmocka_unit_test(long_lists_are_compared_and_wildcards_only_so_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
