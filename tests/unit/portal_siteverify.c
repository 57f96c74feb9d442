/* tests/unit/portal_siteverify.c - twin of portal/siteverify.c. */
#include "../../portal/siteverify.h"

#include "check.h"

static const struct {
    const char          *holds, *answer;
    enum siteverify_says says;
} cases[] = {
    {"yes is yes", "{\"success\":true,\"hostname\":\"x\"}", SITEVERIFY_YES},
    {"what else it tells does not count", "{\"a\":{\"b\":[1,{}]},\"success\":true,\"error-codes\":[]}", SITEVERIFY_YES},
    {"a token that was used is refused", "{\"success\":false,\"error-codes\":[\"timeout-or-duplicate\"]}",
     SITEVERIFY_NO},
    {"no without a reason is no", "{\"success\":false}", SITEVERIFY_NO},
    {"a secret that it does not know is our fault", "{\"success\":false,\"error-codes\":[\"invalid-input-secret\"]}",
     SITEVERIFY_AWAY},
    {"when it is broken itself, it has not said no", "{\"success\":false,\"error-codes\":[\"internal-error\"]}",
     SITEVERIFY_AWAY},
    {"a page is no answer", "<html>502</html>", SITEVERIFY_AWAY},
    {"nothing is no answer", "", SITEVERIFY_AWAY},
    {"an object that does not say is none", "{\"ok\":true}", SITEVERIFY_AWAY},
    {"yes has to be a yes, not a word", "{\"success\":\"true\"}", SITEVERIFY_AWAY},
    {"half an answer is none", "{\"success\":true", SITEVERIFY_AWAY},
    {"nor is one with more behind it", "{\"success\":true}{}", SITEVERIFY_AWAY},
};

static void an_answer_says_yes_no_or_nothing(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 16);
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds, siteverify_read(span_of(cases[i].answer), &a) == cases[i].says);
    arena_fini(&a);
}

static void settings_that_do_not_fit_are_refused_at_start(void **state)
{
    static const struct {
        const char *holds, *script, *secret, *says;
    } bad[] = {
        {"a script needs an address", "api.js", "/dev/null", "challenge_script"},
        {"nothing gets into the policy by it", "https://a.example; script-src *//x", "/dev/null", "challenge_script"},
        {"a secret is needed", "https://a.example/api.js", "", "challenge_secret"},
        {"that is there", "https://a.example/api.js", "/nowhere/secret", "challenge_secret"},
        {"and nobody else's to read", "https://a.example/api.js", "/etc/passwd", "chmod 0400"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct settings    s = {.portal = {.challenge_site_key = "key",
                                           .challenge_verify = "https://a.example/verify",
                                           .challenge_script = bad[i].script,
                                           .challenge_secret = bad[i].secret}};
        struct siteverify *v;
        struct err         e = ERR_INIT;

        CHECK(bad[i].holds, siteverify_open(&s, &v, &e) < 0 && v == NULL && strstr(e.text, bad[i].says) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_says_yes_no_or_nothing),
        cmocka_unit_test(settings_that_do_not_fit_are_refused_at_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
