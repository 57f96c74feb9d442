/* tests/unit/portal_password.c - twin of portal/password.c. */
#include "../../portal/password.h"

#include "check.h"

static const struct span known[] = {{"anna.berg@ours.example", 22}, {"Anna Berg-Larsson", 17}, {"Mailguard", 9}};

static const struct {
    const char *holds, *password;
    bool        good;
} cases[] = {
    {"nine characters are too few", "k7#pQz!m2", false},
    {"ten are enough", "k7#pQz!m2v", true},
    {"a letter of another script counts once",
     "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9\xc3\xa8\xc3\xaa\xc3\xab\xc3\xb1", false},
    {"and ten of them are enough", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9\xc3\xa8\xc3\xaa\xc3\xab\xc3\xb1\xc3\xb8",
     true},
    {"several words", "correct horse battery", true},
    {"one letter", "aaaaaaaaaaaaaaaa", false},
    {"a piece over and over", "abcxabcxabcx", false},
    {"few letters", "ababbaabbaba", false},
    {"digits in order", "1234567890", false},
    {"and backwards", "9876543210", false},
    {"the alphabet", "abcdefghijklm", false},
    {"a row of keys", "qwertyuiop12", false},
    {"and of other keyboards", "qwertzuiop12", false},
    {"keys from top to bottom", "1qaz2wsx3edc", false},
    {"the word itself", "Password2024!", false},
    {"also with other signs for its letters", "P@ssw0rd1234", false},
    {"in another language", "Willkommen2025!", false},
    {"a season and a year", "Summer2026!!", false},
    {"the person's address", "anna.berg2001", false},
    {"their name, turned", "LarssonBerg85", false},
    {"the name of the service", "MailGuard2026!", false},
    {"a name with enough beside it", "Larsson eats 7 pears", true},
    {"a word with enough beside it", "passwordless kiwi drum", true},
};

static void what_a_guesser_tries_early_is_refused(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds,
              (password_refusal(span_of(cases[i].password), known, COUNT(known)) == NULL) == cases[i].good);
}

static void a_password_of_any_length_is_looked_at_in_bounded_memory(void **unused)
{
    static char long_one[5000];

    (void)unused;
    for (size_t i = 0; i < sizeof long_one; i++)
        long_one[i] = (char)('!' + i * 7919 % 89);
    assert_null(password_refusal(span_make(long_one, 1024), known, COUNT(known)));
    assert_non_null(password_refusal(span_make(long_one, 1025), known, COUNT(known)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_guesser_tries_early_is_refused),
        cmocka_unit_test(a_password_of_any_length_is_looked_at_in_bounded_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
