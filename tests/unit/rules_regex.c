#include "rules/regex.h"

#include <pthread.h>

#include "base/clock.h"
#include "mail/text.h"
#include "rules.h"

static const struct {
    const char *holds, *source;
    unsigned    flags;
    const char *text;
    bool        match;
} matches[] = {
    {"anywhere in the text", "INV-[0-9]{6}", 0, "your INV-123456 is due", true},
    {"case counts unless told", "INV-[0-9]{6}", 0, "your inv-123456 is due", false},
    {"case does not count when told", "INV-[0-9]{6}", REGEX_CASELESS, "your inv-123456 is due", true},
    {"letters beyond ASCII have a case too", "ÄRZTE", REGEX_CASELESS, "die ärzte", true},
    {"\\w knows all letters", "^\\w+$", 0, "grüße", true},
    {"a dot is a character, not a byte", "^.$", 0, "ü", true},
    {"^ is the start of the text", "^b", 0, "a\nb", false},
    {"^ is the start of a line in bodies", "^b", REGEX_MULTILINE, "a\nb", true},
    {"a CRLF ends a line", "^b$", REGEX_MULTILINE, "a\r\nb\r\nc", true},
    {"a number refers back", "(ab|cd)-\\1", 0, "cd-cd", true},
    {"and only to the same", "(ab|cd)-\\1", 0, "ab-cd", false},
    {"an empty text may match", "^$", 0, "", true},
    {"a needed byte that is missing", "[a-z]+@[a-z]+", 0, "nobody at example", false},
    {"a needed byte that is there", "[a-z]+@[a-z]+", 0, "a@b", true},
};

static bool match_once(const char *source, unsigned flags, struct span text, enum regex_outcome want)
{
    struct regex      *r = regex_array(1);
    enum regex_outcome got;

    regex_init(r, span_of(source), flags);
    got = regex_match(r, text, NULL, NULL);
    regex_array_free(&r, 1);
    return got == want;
}

static void a_regex_matches_what_the_manual_says(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(matches); i++)
        CHECK(matches[i].holds, match_once(matches[i].source, matches[i].flags, span_of(matches[i].text),
                                           matches[i].match ? REGEX_YES : REGEX_NO));
}

/* The same text, with the place that matches moved over the borders of several windows. */
static void where_the_match_stands_makes_no_difference(void **unused)
{
    static const struct {
        const char *source, *part;
        unsigned    flags;
    } moved[] = {
        {"needle", "needle", 0},
        {"(?<=xxy)needle", "yneedle", 0},
        {"(?<=xxyü)needle", "yüneedle", 0},
        {"ü.ü", "üüü", 0},
        {"^needle$", "\r\nneedle\r\n", REGEX_MULTILINE},
        {"\\r\\nneedle", "\r\nneedle", REGEX_MULTILINE},
        {"\\nneedle", "\r\nneedle", REGEX_MULTILINE},
        {"x+yneedle$", "yneedle", 0},
    };
    char text[1024];

    (void)unused;
    for (size_t i = 0; i < COUNT(moved); i++) {
        for (size_t before = 2; before < 300; before++) {
            struct span t = span_make(text, before + strlen(moved[i].part));

            memset(text, 'x', before);
            memcpy(text + before, moved[i].part, strlen(moved[i].part));
            if (!match_once(moved[i].source, moved[i].flags, t, REGEX_YES))
                fail_msg("%s at %zu", moved[i].source, before);
        }
    }
}

static void no_window_starts_inside_a_character(void **unused)
{
    char text[3 * 300];

    (void)unused;
    for (size_t i = 0; i < 300; i++)
        memcpy(text + 3 * i, "€", 3);
    for (size_t n = 0; n < 300; n++)
        CHECK("there is nothing else", match_once("[^€]", 0, span_make(text, 3 * n), REGEX_NO));
}

static const struct {
    const char *source, *says;
    size_t      at;
} refused[] = {
    {"", "matches everything", 0},
    {"(*UTF8)a", "\"(*…)\" is not allowed", 0},
    {"a(*COMMIT)b", "\"(*…)\" is not allowed", 1},
    {"a\\Cb", "\"\\C\" is not allowed", 1},
    {"\\Ga", "\"\\G\" is not allowed", 0},
    {"a(?C1)b", "callouts are not allowed", 1},
    {"a(?:b(?C)c)", "callouts are not allowed", 5},
    {"[abc", "missing terminating ] for character class - write \"\\[\" for the character itself", 4},
    {"a(b", "write \"\\(\"", 3},
    {"ab)", "write \"\\)\"", 2},
    {"*a", "write \"\\\" in front of it", 0},
    {"a\\", "write \"\\\\\"", 2},
    {"(?:(?:(?:a{50}){50}){50})", "too large", 0},
    {"(?:(?:ab|cd){9}){99}", "too large once compiled", 0},
    {"\xff", "not valid UTF-8", 0},
};

static void a_bad_regex_is_refused_with_its_place_and_a_cure(void **unused)
{
    char       long_one[REGEX_SOURCE_MAX + 2];
    struct err e = ERR_INIT;

    (void)unused;
    for (size_t i = 0; i < COUNT(refused); i++) {
        e = ERR_INIT;
        CHECK(refused[i].source, regex_check(span_of(refused[i].source), 0, &e) < 0);
        check_err(refused[i].source, &e, refused[i].says);
        if (strstr(refused[i].says, "too large") == NULL && e.at != refused[i].at)
            fail_msg("%s: at %zu", refused[i].source, e.at);
        CHECK(refused[i].source, match_once(refused[i].source, 0, SPAN("a"), REGEX_LIMIT));
    }
    memset(long_one, 'a', sizeof long_one);
    CHECK("too long", regex_check(span_make(long_one, REGEX_SOURCE_MAX + 1), 0, &e) < 0);
    CHECK("not too long", regex_check(span_make(long_one, REGEX_SOURCE_MAX), 0, &e) == 0);
    CHECK("a verb that is only text", regex_check(SPAN("\\(*x[(*]\\Q(*COMMIT)\\C\\E"), 0, &e) == 0);
    CHECK("a NUL", regex_check(SPAN("a\0b"), 0, &e) < 0);
}

/* clang-format off */
static const struct {
    const char *source;
    unsigned    flags;
    const char *literal, *text; /* text: something that it matches */
} literals[] = {
    {"INV-[0-9]{6}", 0, "INV-", "INV-123456"},
    {"INV-[0-9]{6}", REGEX_CASELESS, "inv-", "Inv-123456"},
    {"colou?r of money", 0, "r of money", "color of money"},
    {"ab+c", 0, "ab", "abbbc"},
    {"ab*cd", 0, "cd", "acd"},
    {"ab{0}cde", 0, "cde", "acde"},
    {"ab{0,}cde", 0, "cde", "acde"},
    {"ab{2,3}cde", 0, "cde", "abbcde"},
    {"(?:a{2}){0}b", 0, "b", "b"},
    {"abc{0}?d", 0, "ab", "abd"},
    {"ab{x}", 0, "ab{x}", "ab{x}"},
    {"foo|bar", 0, NULL, "bar"},
    {"(foo|bar)bazz", 0, "bazz", "barbazz"},
    {"(foo)?ba", 0, "ba", "ba"},
    {"(?:a|[)]|\\)|b)xyz", 0, "xyz", ")xyz"},
    {"(?i)foo", 0, NULL, "FOO"},
    {"(?:x(?i)b)foo", 0, NULL, "xBfoo"},
    {"(?x)a b # c", 0, NULL, "ab"},
    {"(?#(comment)foo", 0, NULL, "foo"},
    {"(?=foo)f..", 0, "f", "foo"},
    {"(?!x)foo", 0, "foo", "foo"},
    {"(?<name>x)foo", 0, "foo", "xfoo"},
    {"(?P<name>x)(?'b'y)foo", 0, "foo", "xyfoo"},
    {"foo(?P>n)(?<n>x)", 0, NULL, "fooxx"},
    {"[abc]foo[^]]", 0, "foo", "afoox"},
    {"[]abc]fo", 0, "fo", "]fo"},
    {"[[:alpha:]\\]]foo", 0, "foo", "]foo"},
    {"[\\Q]\\E]foo", 0, NULL, "]foo"},
    {"\\Qa.b*\\E", 0, "a.b*", "a.b*"},
    {"\\Qab\\E*c", 0, "a", "ac"},
    {"ab\\Q\\E*c", 0, NULL, "ac"},
    {"a\\.b\\-c", 0, "a.b-c", "a.b-c"},
    {"a\\x41bc", 0, NULL, "aAbc"},
    {"a\\d\\sbcd", 0, "bcd", "a1 bcd"},
    {"\\bfree\\b", REGEX_CASELESS, "free", "so FREE."},
    {"a\\p{Lu}bcd", 0, "bcd", "aXbcd"},
    {"a\\pLbc", 0, "bc", "axbc"},
    {"grüße", 0, "gr", "grüße"},
    {"grü?ab", 0, "gr", "grab"},
    {"kiss", REGEX_CASELESS, "kiss", "\xe2\x84\xaai\xc5\xbf\xc5\xbf"}, /* KELVIN SIGN, LONG S */
    {".*", 0, NULL, "x"},
    {"a|", 0, NULL, ""},
    {"^abc$", 0, "abc", "abc"},
    {"a++b", 0, "a", "aab"},
    {"\\Rabc", 0, "abc", "\nabc"},
    {"x\\Kabc", 0, NULL, "xabc"},
    {"\\N{U+41}abc", 0, NULL, "Aabc"},
};
/* clang-format on */

static void a_literal_stands_in_every_text_that_matches(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 4096);
    for (size_t i = 0; i < COUNT(literals); i++) {
        struct span text = span_of(literals[i].text);
        bool        any;

        buf_clear(&b);
        any = regex_literal(span_of(literals[i].source), literals[i].flags, &b);
        CHECK(literals[i].source, any == (literals[i].literal != NULL));
        check_text(literals[i].source, buf_span(&b), literals[i].literal != NULL ? literals[i].literal : "");
        CHECK(literals[i].source, match_once(literals[i].source, literals[i].flags, text, REGEX_YES));
        if (literals[i].flags & REGEX_CASELESS)
            text = text_fold(text, arena_of_test());
        CHECK(literals[i].source, any == false || span_find(text, buf_span(&b)) < text.n);
    }
    buf_fini(&b);
}

/* Random patterns on random texts: whenever one matches, its literal is there. */
static void no_random_match_lacks_its_literal(void **unused)
{
    static const char *const parts[] = {
        "a", "b", "A",    "k",    "(",   ")",   "|",    "*",   "+",    "?",   "{0}",     "{1,2}",
        ".", "^", "[ab]", "[^b]", "\\.", "(?:", "(?i)", "(?=", "(?<=", "\\b", "\\Qa\\E", "\\x61",
        "[", "]", "{",    "}",    ",",   "0",   "\\",   "E",   "Q",    "(?!", "ü",       "(?<n>"};
    static const char *const pieces[] = {"a", "b", "A", "k", "\xe2\x84\xaa", "ü", "0", "{0}", ".", "Q"};
    uint64_t                 seed = 42;
    size_t                   matched = 0, with_literal = 0;
    struct buf               b;

    (void)unused;
    buf_init(&b, 4096);
    for (size_t i = 0; i < 60000; i++) {
        char          source[128] = "", text[64] = "";
        size_t        n = 1 + random_below(&seed, 7), nt = random_below(&seed, 9);
        unsigned      flags = (unsigned)random_below(&seed, 4);
        struct regex *r = regex_array(1);

        while (n-- > 0)
            strcat(source, parts[random_below(&seed, COUNT(parts))]);
        while (nt-- > 0)
            strcat(text, pieces[random_below(&seed, COUNT(pieces))]);
        regex_init(r, span_of(source), flags);
        if (regex_match(r, span_of(text), NULL, NULL) == REGEX_YES) {
            struct span in = flags & REGEX_CASELESS ? text_fold(span_of(text), arena_of_test()) : span_of(text);

            matched++;
            buf_clear(&b);
            if (regex_literal(span_of(source), flags, &b)) {
                with_literal++;
                if (span_find(in, buf_span(&b)) == in.n)
                    fail_msg("\"%s\" (%u) matches \"%s\" without \"%.*s\"", source, flags, text,
                             SPAN_ARG(buf_span(&b)));
            }
        }
        regex_array_free(&r, 1);
    }
    CHECK("many matched, many of them with a literal", matched > 2000 && with_literal > 500);
    buf_fini(&b);
}

static void a_regex_that_never_ends_hits_its_limit(void **unused)
{
    static const char *const bad[] = {"(a+)+$", "(?:a|a)*b", "(a*)*(b*)*c$", "(?=(a+))*+\\1b", "(?R)?a(?R)?b|a"};
    char                    *text = malloc(REGEX_BODY_MAX);

    (void)unused;
    memset(text, 'a', REGEX_BODY_MAX);
    text[4095] = '!';
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct regex       *r = regex_array(1);
        struct regex_budget scope = {.left_us = REGEX_SCOPE_US}, message = {.left_us = REGEX_MESSAGE_US};
        int64_t             begun = clock_thread_cpu_us();
        enum regex_outcome  out;

        regex_init(r, span_of(bad[i]), 0);
        out = regex_match(r, span_make(text, 4096), &scope, &message);
        CHECK(bad[i], out != REGEX_YES || i == 4);
        CHECK(bad[i], clock_thread_cpu_us() - begun < 500000);
        if (i == 0) /* which takes long enough to be measured */
            CHECK(bad[i], message.left_us < REGEX_MESSAGE_US && scope.left_us < REGEX_SCOPE_US);
        regex_array_free(&r, 1);
    }
    CHECK("the classical one", match_once("(a+)+$", 0, span_make(text, 4096), REGEX_LIMIT));
    free(text);
}

static void a_budget_that_is_used_up_stops_all_later_matches(void **unused)
{
    struct regex_budget scope = {.left_us = 2000}, message = {.left_us = REGEX_MESSAGE_US},
                        other = {.left_us = REGEX_SCOPE_US};
    struct regex *r = regex_array(2);
    char         *text = malloc(REGEX_BODY_MAX);

    (void)unused;
    memset(text, 'a', REGEX_BODY_MAX);
    regex_init(regex_at(r, 0), SPAN("(?:a{1,60}b)|(?:a{1,61}c)|(?:a{1,62}d)"), 0);
    regex_init(regex_at(r, 1), SPAN("a"), 0);
    CHECK("slow", regex_match(regex_at(r, 0), span_make(text, REGEX_BODY_MAX), &scope, &message) == REGEX_LIMIT);
    CHECK("the scope's budget tripped", scope.tripped && !message.tripped);
    CHECK("even a harmless one is unknown now",
          regex_match(regex_at(r, 1), SPAN("a"), &scope, &message) == REGEX_LIMIT);
    CHECK("another scope is not touched", regex_match(regex_at(r, 1), SPAN("a"), &other, &message) == REGEX_YES);
    CHECK("the message paid for both", message.left_us < REGEX_MESSAGE_US && message.left_us > 0);
    regex_array_free(&r, 2);
    free(text);
}

static void *match_in_a_thread(void *arg)
{
    struct regex *r = arg;
    size_t        yes = 0;

    for (size_t i = 0; i < 64; i++)
        yes += regex_match(regex_at(r, i), SPAN("the needle 7"), NULL, NULL) == REGEX_YES;
    return (void *)yes;
}

static void threads_may_race_to_compile(void **unused)
{
    (void)unused;
    for (int round = 0; round < 20; round++) {
        struct regex *r = regex_array(64);
        pthread_t     threads[4];

        for (size_t i = 0; i < 64; i++)
            regex_init(regex_at(r, i), SPAN("ne+dle \\d"), 0);
        for (size_t i = 0; i < COUNT(threads); i++)
            pthread_create(&threads[i], NULL, match_in_a_thread, r);
        for (size_t i = 0; i < COUNT(threads); i++) {
            void *yes;

            pthread_join(threads[i], &yes);
            CHECK("each thread matched all", (size_t)yes == 64);
        }
        regex_array_free(&r, 64);
    }
}

static void a_typical_regex_takes_less_than_3_kb(void **unused)
{
    static const char *const typical[] = {"INV-[0-9]{6}", "^(re|fwd):\\s*\\[.*\\]", "\\b(?:viagra|cialis)\\s+now\\b",
                                          "[a-z0-9._]+@[a-z]+\\.(com|net)", "^inv-\\d+@"};

    (void)unused;
    for (size_t i = 0; i < COUNT(typical); i++) {
        struct regex *r = regex_array(1);

        regex_init(r, span_of(typical[i]), REGEX_CASELESS | REGEX_MULTILINE);
        CHECK(typical[i], regex_memory(r) <= 48);
        regex_match(r, SPAN("x"), NULL, NULL);
        if (regex_memory(r) >= 3000)
            fail_msg("%s: %zu bytes", typical[i], regex_memory(r));
        regex_array_free(&r, 1);
    }
}

/* ".*" comes back from the end of a long text at each of its steps: the limit that a short text has would take a second. */
static void a_step_that_walks_a_long_text_counts_for_more(void **unused)
{
    static char         text[REGEX_BODY_MAX];
    struct regex       *r = regex_array(1);
    struct regex_budget budget = {1000 * INT64_C(1000000), false};

    (void)unused;
    memset(text, 'x', sizeof text);
    memset(text, 'a', 4000);
    regex_init(r, SPAN("(.*a){20}$"), REGEX_CASELESS);
    regex_match(r, SPAN("x"), NULL, NULL);
    for (int i = 0; i < 3; i++) {
        int64_t before = clock_thread_cpu_us();

        assert_int_equal(regex_match(r, span_make(text, sizeof text), &budget, NULL), REGEX_LIMIT);
        int64_t whole = clock_thread_cpu_us() - before;
        before = clock_thread_cpu_us();
        assert_int_equal(regex_match(r, span_make(text, REGEX_LIMIT_TEXT), &budget, NULL), REGEX_LIMIT);
        int64_t part = clock_thread_cpu_us() - before;
        if (whole < 5 * part + 1000)
            break;
        if (i == 2)
            fail_msg("64 KiB took %lld us, 8 KiB %lld us", (long long)whole, (long long)part);
    }
    assert_true(regex_took_long(r));
    regex_array_free(&r, 1);
}

static void a_regex_that_is_quick_is_not_taken_for_slow(void **unused)
{
    struct regex       *r = regex_array(1);
    struct regex_budget budget = {1000000, false};

    (void)unused;
    regex_init(r, SPAN("inv-[0-9]{6}"), REGEX_CASELESS);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(regex_match(r, SPAN("an invoice, inv-12345 or so"), &budget, NULL), REGEX_NO);
    assert_false(regex_took_long(r));
    regex_array_free(&r, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_regex_matches_what_the_manual_says),
        cmocka_unit_test(where_the_match_stands_makes_no_difference),
        cmocka_unit_test(no_window_starts_inside_a_character),
        cmocka_unit_test(a_bad_regex_is_refused_with_its_place_and_a_cure),
        cmocka_unit_test(a_literal_stands_in_every_text_that_matches),
        cmocka_unit_test(no_random_match_lacks_its_literal),
        cmocka_unit_test(a_regex_that_never_ends_hits_its_limit),
        cmocka_unit_test(a_budget_that_is_used_up_stops_all_later_matches),
        cmocka_unit_test(a_step_that_walks_a_long_text_counts_for_more),
        cmocka_unit_test(a_regex_that_is_quick_is_not_taken_for_slow),
        cmocka_unit_test(threads_may_race_to_compile),
        cmocka_unit_test(a_typical_regex_takes_less_than_3_kb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
