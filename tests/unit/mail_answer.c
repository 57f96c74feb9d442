/* What counts in an answer to a digest, and that nothing else does. */
#include "mail/answer.h"

#include "mail.h"

static const struct {
    const char *holds, *text, *want;
} cases[] = {
    {"a number is named", "release 2", "2"},
    {"with a line end", "release 2\r\n", "2"},
    {"the case does not count", "Release 2", "2"},
    {"nor do blanks", "\n\n  RELEASE\t 2  \n", "2"},
    {"nor those that do not break",
     "\xc2\xa0release\xc2\xa0"
     "2\xc2\xa0\n",
     "2"},
    {"several, with commas", "release 1, 3", "1 3"},
    {"without blanks", "release 1,3;5", "1 3 5"},
    {"with blanks alone", "release 1 3", "1 3"},
    {"as people write", "Release: 1, 3 and 4.", "1 3 4"},
    {"emphatically", "release 2!", "2"},
    {"in several lines", "release 2\nrelease 5\n", "2 5"},
    {"with blank lines between them", "release 2\n\n\nrelease 5\n", "2 5"},
    {"the same twice is once", "release 2, 2\nrelease 2", "2"},
    {"in the English of lists", "release 1, 3, and 4", "1 3 4"},
    {"with a colon and no blank", "release:2", "2"},
    {"in German", "Zustellen 2", "2"},
    {"in other German", "freigeben 2", "2"},
    {"in German order", "1, 3 und 4 freigeben", "1 3 4"},
    {"0 is a number, of nothing", "release 0", "0"},
    {"a number without a command is none", "2", ""},
    {"a command without a number is none", "release", ""},
    {"in the middle of a sentence it is none", "Please release 2", ""},
    {"with a word behind it neither", "release 2 please", ""},
    {"not this one", "do not release 2", ""},
    {"two commands in a line are none", "release 1 release 2", ""},
    {"numbers on both sides are none", "1 release 2", ""},
    {"commas alone are none", "release ,", ""},
    {"a comma too many is none", "release 1,,2", ""},
    {"a comma at the end is none", "release 1,", ""},
    {"a number that is glued to the command is one too", "release2", "2"},
    {"the command glued to its number is none", "2freigeben", ""},
    {"a range is none", "release 1-3", ""},
    {"a fraction is none", "release 1.5", ""},
    {"a sign is none", "release -1", ""},
    {"a very long number is none", "release 00000000000000000002", ""},
    {"a word that begins alike is none", "released 2", ""},
    {"a number that goes on is none", "release 2nd", ""},
    {"everything is none", "release all", ""},
    {"what is quoted is none", "> release 2", ""},
    {"without a blank", ">release 2", ""},
    {"what is quoted below the command neither", "release 1\n\n> release 2\nrelease 3\n", "1"},
    {"nor below the line that says so", "On Sunday Postern wrote:\nrelease 2\n", ""},
    {"nor what was cut off a quoted line", "release 1\n> or answer this mail with\nrelease 2\n", "1"},
    {"nor a signature", "release 1\n-- \nrelease 2\n", "1"},
    {"nor below a greeting", "Hello,\nrelease 2\n", ""},
    {"nor behind a NUL", "release 1\n\x01\nrelease 2", "1"},
    {"letters that only look so are none", "r\xd0\xb5lease 2", ""},
    {"nothing is nothing", "", ""},
};

static void check(const char *holds, struct span text, const char *want)
{
    struct answer a;
    char          got[1000] = "";
    size_t        n = 0;

    answer_read(text, &a);
    for (size_t i = 0; i < a.n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%u", i > 0 ? " " : "", a.numbers[i]);
    if (strcmp(got, want) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", holds, got, want);
}

static void only_a_command_at_the_top_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check(cases[i].holds, span_of(cases[i].text), cases[i].want);
}

static void a_text_without_end_is_read_to_its_bound(void **state)
{
    static char   text[1 << 20];
    size_t        n = 0;
    struct answer a;

    (void)state;
    memset(text, '\n', sizeof text);
    memcpy(text + ANSWER_LOOK, "release 1", 9);
    check("a command far below blank lines", span_make(text, sizeof text), "");
    memset(text, ' ', ANSWER_LINE_MAX);
    memcpy(text, "release 1", 9);
    text[ANSWER_LINE_MAX - 1] = '2';
    check("a line as long as may be", span_make(text, ANSWER_LINE_MAX), "1 2");
    text[ANSWER_LINE_MAX] = '3';
    check("a longer one", span_make(text, ANSWER_LINE_MAX + 1), "");
    for (int i = 0; i <= ANSWER_NUMBERS_MAX; i++)
        n += (size_t)sprintf(text + n, "release %d\n", i);
    answer_read(span_make(text, n), &a);
    assert_true(a.too_many);
    assert_int_equal(a.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_command_at_the_top_counts),
        cmocka_unit_test(a_text_without_end_is_read_to_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
