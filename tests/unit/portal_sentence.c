/* tests/unit/portal_sentence.c - twin of portal/sentence.c. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "../../portal/sentence.h"

#include <pcre2.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json_write.h"
#include "check.h"
#include "rules/regex.h"

static const struct {
    const char *holds, *text, *said;
} cases[] = {
    {"a sentence has its code", "There is no such rule.", "{\"code\":\"none.rule\",\"values\":{}}"},
    {"with or without its stop", "There is no such rule", "{\"code\":\"none.rule\",\"values\":{}}"},
    {"and whether a capital begins it or not", "An empty entry.", "{\"code\":\"entry.empty\",\"values\":{}}"},
    {"what stands in a gap is a value", "The mailbox a@b.example is somebody else's.",
     "{\"code\":\"mailbox.theirs\",\"values\":{\"mailbox\":\"a@b.example\"}}"},
    {"a number is one", "A search has at most 16 texts; put some together in quotes.",
     "{\"code\":\"search.texts\",\"values\":{\"n\":16}}"},
    {"a text of digits stays a text", "the policy 2026 exists already",
     "{\"code\":\"policy.taken\",\"values\":{\"policy\":\"2026\"}}"},
    {"where a number has to be, words are none", "A search has at most many texts; put some together in quotes.",
     "null"},
    {"people count from one, and the sentence inside is said too", "Conditions[0].any[2]: an empty entry.",
     "{\"code\":\"rule.entry\",\"values\":{\"condition\":1,\"entry\":3,\"why\":{\"text\":\"an empty entry\",\"code\":"
     "\"entry.empty\",\"values\":{}}}}"},
    {"of two that fit, the one that says more", "conditions[0].any[0], character 2: no address",
     "{\"code\":\"rule.character\",\"values\":{\"condition\":1,\"entry\":1,\"at\":2,\"why\":{\"text\":\"no address\","
     "\"code\":\"entry.no_address\",\"values\":{}}}}"},
    {"what is not known inside stands as it is", "conditions[0].any[0]: the moon is full",
     "{\"code\":\"rule.entry\",\"values\":{\"condition\":1,\"entry\":1,\"why\":{\"text\":\"the moon is full\"}}}"},
    {"an import names line and cause",
     "2 of the lines cannot be read, so nothing was stored. Line 3: \"x\" is not an IP address",
     "{\"code\":\"import.bad_lines\",\"values\":{\"n\":2,\"line\":3,\"why\":{\"text\":\"\\\"x\\\" is not an IP "
     "address\",\"code\":\"ip.none\",\"values\":{\"text\":\"x\"}}}}"},
    {"a word of ours is one", "the policy's name is missing",
     "{\"code\":\"text.missing\",\"values\":{\"what\":{\"text\":\"the policy's name\",\"code\":\"what.policy_name\","
     "\"values\":{}}}}"},
    {"a fraction is a number", "reject (5) must be more than add_header (6.5)",
     "{\"code\":\"threshold.order\",\"values\":{\"above\":{\"text\":\"reject\",\"code\":\"threshold.reject\","
     "\"values\":"
     "{}},\"high\":5,\"below\":{\"text\":\"add_header\",\"code\":\"threshold.add_header\",\"values\":{}},\"low\":6.5}"
     "}"},
    {"what a stranger wrote makes no other sentence", "There is a search \"\" already.\" already.",
     "{\"code\":\"search.taken\",\"values\":{\"name\":\"\\\" already.\"}}"},
    {"any other text has none", "PostgreSQL is away", "null"},
    {"nothing has none", "", "null"},
    {"a stop alone has none", ".", "null"},
};

static void a_sentence_of_ours_is_found_again_by_its_text(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b;

        buf_init(&b, 4000);
        sentence_put(&b, NULL, span_of(cases[i].text));
        CHECK(cases[i].holds, span_is(buf_span(&b), cases[i].said));
        buf_fini(&b);
    }
}

/* Made by its own format, each row is found as itself: no other swallows it. */
static void each_row_is_found_as_itself(void **unused)
{
    (void)unused;
    for (const struct sentence_row *row = sentence_rows; row->code != NULL; row++) {
        char   text[700];
        size_t n = 0;

        for (const char *p = row->text; *p != '\0'; p++) {
            if (*p != '%') {
                text[n++] = *p;
                continue;
            }
            while (strchr("scdugfx", *++p) == NULL)
                ;
            text[n++] = *p == 's' || *p == 'c' ? 'x' : '7';
        }
        CHECK(row->code, sentence_find(span_make(text, n)).row == row);
    }
}

static void no_code_stands_twice(void **unused)
{
    (void)unused;
    for (const struct sentence_row *row = sentence_rows; row->code != NULL; row++)
        for (const struct sentence_row *other = sentence_rows; other < row; other++)
            CHECK(row->code, strcmp(row->code, other->code) != 0 && strcmp(row->text, other->text) != 0);
}

/* As hostile as a refusal can be: nothing but what the formats look for, at the length of an err. */
static void a_text_of_nothing_but_separators_is_walked_once(void **unused)
{
    char   text[sizeof((struct err *)0)->text];
    size_t n = 0;

    (void)unused;
    while (n + 24 < sizeof text)
        n += (size_t)snprintf(text + n, sizeof text - n, "conditions[0].any[0]: ");
    for (int i = 0; i < 200; i++) {
        struct buf b;

        buf_init(&b, 10000);
        sentence_put(&b, NULL, span_make(text, n));
        assert_false(b.failed);
        buf_fini(&b);
    }
}

/* What PCRE2 says of itself, of options that it never gets from us, and of what regex.c refuses before it; and what regex.c says with
 * its cure, as below. */
static const int elsewhere[] = {100, 116, 117, 121, 132, 136, 138, 139, 140, 145, 151, 159,
                                160, 166, 172, 174, 175, 176, 181, 182, 183, 185, 188, 191,
                                192, 193, 195, 196, 101, 106, 108, 109, 114, 122, 125};

static bool is_elsewhere(int code)
{
    for (size_t i = 0; i < COUNT(elsewhere); i++)
        if (elsewhere[i] == code)
            return true;
    return false;
}

static void all_that_pcre2_finds_wrong_with_a_regular_expression_has_a_code(void **unused)
{
    PCRE2_UCHAR text[200];

    (void)unused;
    if (PCRE2_MAJOR != 10 || PCRE2_MINOR != 42) /* what another release says in other words stands as it is */
        skip();
    for (int code = 100; code < 300; code++) {
        const char *says = (const char *)text;

        if (pcre2_get_error_message(code, text, sizeof text) < 0 || is_elsewhere(code) ||
            strncmp(says, "internal error", 14) == 0)
            continue;
        CHECK(says, sentence_is_ours(span_of(says)));
    }
}

static const struct {
    const char *source, *code;
} regexes[] = {
    {"a\\", "regex.backslash"},
    {"[a", "regex.bracket"},
    {"[z-a]", "regex.range"},
    {"*a", "regex.quantifier"},
    {"(a", "regex.parenthesis"},
    {"a)", "regex.open_parenthesis"},
    {"(?<=a+)b", "regex.lookbehind"},
    {"(*UTF)a", "regex.verb"},
    {"(?C1)a", "regex.callout"},
    {"a\\C", "regex.c"},
    {"\\Ga", "regex.g"},
    {"", "entry.regex_empty"},
    {"a{3,2}", "regex.times_order"},
    {"a{70000}", "regex.times_big"},
    {"(a)\\2", "regex.no_group"},
    {"[[:letter:]]", "regex.posix_unknown"},
    {"\\p{Nonesuch}", "regex.property_unknown"},
    {"(?<a>x)(?<a>y)", "regex.name_twice"},
    {"\\x{ffffffff}", "regex.code_large"},
    {"(?z)a", "regex.group"},
};

static void what_is_wrong_with_a_regular_expression_is_found_with_its_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(regexes); i++) {
        struct err      e = ERR_INIT;
        struct sentence s;

        assert_int_equal(regex_check(span_of(regexes[i].source), 0, &e), -1);
        s = sentence_find(span_of(e.text));
        CHECK(e.text, s.row != NULL && strcmp(s.row->code, regexes[i].code) == 0);
    }
}

static const struct {
    const char   *holds, *text;
    enum err_code code;
    const char   *said;
} failures[] = {
    {"what was written for people is told", "no such domain: ours.example", ERR_NOT_FOUND, "none.domain_named"},
    {"a path of ours is nobody's business", "open /var/lib/postern/x: No such file or directory", ERR_NOT_FOUND,
     "failed"},
    {"nor is a key", "the secret half of the key k is not in /etc/keys", ERR_DENIED, "failed"},
    {"what is away comes back", "PostgreSQL is away", ERR_LOST, "away"},
    {"what is too much is too much", "no memory for a job", ERR_LIMIT, "too_much"},
};

static void a_person_is_told_what_was_written_for_people_and_no_more(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(failures); i++) {
        struct err e = ERR_INIT;

        err_set(&e, failures[i].code, "%s", failures[i].text);
        CHECK(failures[i].holds, strcmp(sentence_find(span_of(sentence_for(&e))).row->code, failures[i].said) == 0);
    }
}

static void a_sentence_for_a_person_begins_and_ends_as_one(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 4000);
    json_open(&b, NULL, '{');
    sentence_say(&b, "detail", "no address");
    json_close(&b, '}');
    assert_true(span_is(buf_span(&b), "{\"detail\":\"No address.\",\"detail_said\":{\"code\":\"entry.no_address\","
                                      "\"values\":{}}}"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_of_ours_is_found_again_by_its_text),
        cmocka_unit_test(each_row_is_found_as_itself),
        cmocka_unit_test(no_code_stands_twice),
        cmocka_unit_test(a_text_of_nothing_but_separators_is_walked_once),
        cmocka_unit_test(all_that_pcre2_finds_wrong_with_a_regular_expression_has_a_code),
        cmocka_unit_test(what_is_wrong_with_a_regular_expression_is_found_with_its_cure),
        cmocka_unit_test(a_person_is_told_what_was_written_for_people_and_no_more),
        cmocka_unit_test(a_sentence_for_a_person_begins_and_ends_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
