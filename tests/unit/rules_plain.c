/* tests/unit/rules_plain.c - which rules are lists, and which do the same. */
#include "rules/plain.h"

#include "rules.h"

#define SENDER(any) "\"conditions\":[{\"kind\":\"sender\",\"any\":[" any "]}]"

static const struct {
    const char *holds, *rule;
    bool        list;
} lists[] = {
    {"senders that are blocked", "{\"action\":\"block\"," SENDER("\"a@x.example\",\"y.example\"") "}", true},
    {"senders that are allowed when they are proven", "{\"action\":\"allow\"," SENDER("\"a@x.example\"") "}", true},
    {"servers",
     "{\"action\":\"allow\",\"require_proof\":false,\"conditions\":[{\"kind\":\"ip\",\"any\":[\"192.0.2.1\"]}]}", true},
    {"not senders that nobody proves", "{\"action\":\"allow\",\"require_proof\":false," SENDER("\"a@x.example\"") "}",
     false},
    {"not what is off", "{\"action\":\"block\",\"enabled\":false," SENDER("\"a@x.example\"") "}", false},
    {"not what ends", "{\"action\":\"block\",\"expires_at\":\"2031-01-01T00:00:00Z\"," SENDER("\"a@x.example\"") "}",
     false},
    {"not what is only counted", "{\"action\":\"block\",\"test_only\":true," SENDER("\"a@x.example\"") "}", false},
    {"not where mail goes to", "{\"action\":\"block\",\"flow\":\"to\"," SENDER("\"a@x.example\"") "}", false},
    {"not everybody else",
     "{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"not\":true,\"any\":[\"a@x.example\"]}]}", false},
    {"not the envelope",
     "{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"source\":\"any\",\"any\":[\"a@x.example\"]}]}",
     false},
    {"not subjects", "{\"action\":\"block\",\"conditions\":[{\"kind\":\"subject\",\"any\":[\"a\"]}]}", false},
    {"not senders and something else",
     "{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":[\"a@x.example\"]},{\"kind\":\"ip\",\"any\":["
     "\"192.0.2.1\"]}]}",
     false},
};

static const struct {
    const char *holds, *one, *other;
    bool        same;
} pairs[] = {
    {"names, notes, priorities and case do not count",
     "{\"action\":\"block\",\"name\":\"a\",\"note\":\"b\",\"priority\":5," SENDER("\"A@X.example\"") "}",
     "{\"action\":\"block\"," SENDER("\"a@x.example\"") "}", true},
    {"the action does", "{\"action\":\"block\"," SENDER("\"a@x.example\"") "}",
     "{\"action\":\"allow\"," SENDER("\"a@x.example\"") "}", false},
    {"proof does for an allow", "{\"action\":\"allow\",\"require_proof\":false," SENDER("\"a@x.example\"") "}",
     "{\"action\":\"allow\"," SENDER("\"a@x.example\"") "}", false},
    {"and not for a block", "{\"action\":\"block\",\"require_proof\":false," SENDER("\"a@x.example\"") "}",
     "{\"action\":\"block\"," SENDER("\"a@x.example\"") "}", true},
    {"an entry ends where it ends", "{\"action\":\"block\"," SENDER("\"/a/\",\"/b/\"") "}",
     "{\"action\":\"block\"," SENDER("\"/a:b/\"") "}", false},
    {"a domain is not that domain alone", "{\"action\":\"block\"," SENDER("\"x.example\"") "}",
     "{\"action\":\"block\"," SENDER("\"*@x.example\"") "}", false},
    {"sizes", "{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"min\":1}]}",
     "{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"min\":2}]}", false},
    {"attachments by another key",
     "{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[{\"filename\":\"a\"}]}]}",
     "{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[{\"extension\":\"a\"}]}]}", false},
};

static void read_rule(const char *text, struct arena *a, struct rule *out)
{
    struct err e = ERR_INIT;

    if (rule_from_json(span_of(text), a, NULL, out, &e) < 0)
        fail_msg("%s: %s", text, e.text);
}

static void a_list_is_a_rule_that_says_nothing_else(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct rule r;

        read_rule(lists[i].rule, arena_of_test(), &r);
        CHECK(lists[i].holds, rule_is_list(&r) == lists[i].list);
    }
}

static void rules_that_do_the_same_have_one_key(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct arena *a = arena_of_test();
        struct rule   one, other;
        struct buf    x, y;

        read_rule(pairs[i].one, a, &one);
        read_rule(pairs[i].other, a, &other);
        buf_init(&x, 4000);
        buf_init(&y, 4000);
        rule_put_key(&x, &one);
        rule_put_key(&y, &other);
        CHECK(pairs[i].holds, span_eq(buf_span(&x), buf_span(&y)) == pairs[i].same);
        buf_fini(&x);
        buf_fini(&y);
    }
}

static void an_entry_of_a_list_has_the_key_of_a_list_of_one(void **unused)
{
    struct arena *a = arena_of_test();
    struct rule   all, one;
    struct buf    x, y;

    (void)unused;
    read_rule("{\"action\":\"block\"," SENDER("\"y.example\",\"A@x.example\"") "}", a, &all);
    read_rule("{\"action\":\"block\"," SENDER("\"a@x.example\"") "}", a, &one);
    buf_init(&x, 4000);
    buf_init(&y, 4000);
    rule_put_entry_key(&x, &all, &all.conditions[0].any[1]);
    rule_put_key(&y, &one);
    assert_true(span_eq(buf_span(&x), buf_span(&y)));
    buf_fini(&x);
    buf_fini(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_a_rule_that_says_nothing_else),
        cmocka_unit_test(rules_that_do_the_same_have_one_key),
        cmocka_unit_test(an_entry_of_a_list_has_the_key_of_a_list_of_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
