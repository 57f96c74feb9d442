/* tests/unit/rules_spamassassin.c - twin of lib/rules/spamassassin.c. */
#include "rules/spamassassin.h"

#include <stdio.h>

#include "check.h"

#define SENDER(any) "\"conditions\":[{\"kind\":\"sender\",\"any\":[" any "]}]"

/* What a rule comes to: "whole|part|none: pattern pattern …". */
static const struct {
    const char *holds, *rule, *told;
} cases[] = {
    {"an address is itself", SENDER("\"Bob@Partner.Example\""), "whole: bob@partner.example"},
    {"a domain covers its subdomains", SENDER("\"partner.example\""), "whole: *@partner.example *@*.partner.example"},
    {"*@domain is that domain alone", SENDER("\"*@partner.example\""), "whole: *@partner.example"},
    {"*@*.domain is what lies below it", SENDER("\"*@*.partner.example\""), "whole: *@*.partner.example"},
    {"* and ? are the same there", SENDER("\"bounce-*@list?.example\""), "whole: bounce-*@list?.example"},
    {"names beyond ASCII travel as A-labels", SENDER("\"b\\u00fccher.example\""),
     "whole: *@xn--bcher-kva.example *@*.xn--bcher-kva.example"},
    {"alternatives have no form there", SENDER("\"[a|b]@x.example\""), "none:"},
    {"nor has a regex", SENDER("\"/^a@/\""), "none:"},
    {"nor the null sender", SENDER("\"<>\""), "none:"},
    {"what can be told is told", SENDER("\"/^a@/\",\"a@x.example\""), "part: a@x.example"},
    {"a star in an exact address would become a wildcard", SENDER("\"\\\"a*b\\\"@x.example\""), "none:"},
    {"a blank would begin another pattern", SENDER("\"\\\"a b\\\"@x.example\""), "none:"},
    {"a # would begin a comment", SENDER("\"a#b@x.example\""), "none:"},
    {"an apostrophe is a letter like others", SENDER("\"o'brien@x.example\""), "whole: o'brien@x.example"},
    {"a local part beyond ASCII", SENDER("\"j\\u00f6rg@x.example\""), "none:"},
    {"the envelope alone is not known there",
     "\"conditions\":[{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"a@x.example\"]}]", "part: a@x.example"},
    {"everybody but one", "\"conditions\":[{\"kind\":\"sender\",\"not\":true,\"any\":[\"a@x.example\"]}]", "none:"},
    {"a sender and a subject",
     "\"conditions\":[{\"kind\":\"sender\",\"any\":[\"a@x.example\"]},{\"kind\":\"subject\",\"any\":[\"x\"]}]",
     "none:"},
    {"a client", "\"conditions\":[{\"kind\":\"ip\",\"any\":[\"192.0.2.1\"]}]", "none:"},
    {"a rule that is switched off", "\"enabled\":false," SENDER("\"a@x.example\""), "none:"},
    {"a rule that is for testing", "\"test_only\":true," SENDER("\"a@x.example\""), "none:"},
    {"the receiving side", "\"flow\":\"to\"," SENDER("\"a@x.example\""), "none:"},
    {"either side", "\"flow\":\"from_or_to\"," SENDER("\"a@x.example\""), "part: a@x.example"},
};

static void tell(struct span json, struct arena *a, char *out, size_t size)
{
    static const char *const fits[] = {"whole:", "part:", "none:"};
    struct err               e = ERR_INIT;
    struct rule              r;
    struct spamassassin_rule t;
    size_t                   n;

    if (rule_from_json(json, a, NULL, &r, &e) < 0 || spamassassin_express(&r, a, &t, &e) < 0)
        fail_msg("%.*s: %s", SPAN_ARG(json), e.text);
    assert_true((t.why == NULL) == (t.fit == SPAMASSASSIN_WHOLE));
    n = (size_t)snprintf(out, size, "%s", fits[t.fit]);
    for (size_t i = 0; i < t.npatterns; i++)
        n += (size_t)snprintf(out + n, size - n, " %.*s", SPAN_ARG(t.patterns[i]));
}

static void a_rule_becomes_what_spamassassin_can_be_told(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena a;
        char         json[512], got[512];

        arena_init(&a, 1 << 20);
        snprintf(json, sizeof json, "{\"name\":\"x\",\"action\":\"block\",%s}", cases[i].rule);
        tell(span_of(json), &a, got, sizeof got);
        if (strcmp(got, cases[i].told) != 0)
            fail_msg("%s: %s, not %s", cases[i].holds, got, cases[i].told);
        arena_fini(&a);
    }
}

static void an_allow_that_asks_for_no_proof_is_told_as_one_that_does(void **unused)
{
    struct arena a;
    char         got[512];

    (void)unused;
    arena_init(&a, 1 << 20);
    tell(SPAN("{\"name\":\"x\",\"action\":\"allow\"," SENDER("\"a@x.example\"") "}"), &a, got, sizeof got);
    assert_string_equal(got, "whole: a@x.example");
    tell(SPAN("{\"name\":\"x\",\"action\":\"allow\",\"require_proof\":false," SENDER("\"a@x.example\"") "}"), &a, got,
         sizeof got);
    assert_string_equal(got, "part: a@x.example");
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_becomes_what_spamassassin_can_be_told),
        cmocka_unit_test(an_allow_that_asks_for_no_proof_is_told_as_one_that_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
