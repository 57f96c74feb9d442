#include "rules/wildcard.h"

#include "base/utf8.h"
#include "rules.h"

static const struct {
    const char *holds, *pattern, *text;
    bool        match;
} matches[] = {
    {"plain text is itself", "abc", "abc", true},
    {"and nothing longer", "abc", "abcd", false},
    {"and nothing shorter", "abc", "ab", false},
    {"nothing is nothing", "", "", true},
    {"nothing is not something", "", "a", false},
    {"a star is any run", "a*c", "abbbc", true},
    {"an empty run too", "a*c", "ac", true},
    {"a star covers dots and at signs", "*.example", "a@b.c.example", true},
    {"the whole value counts, not a part", "b*", "abc", false},
    {"a star alone is everything", "*", "", true},
    {"several stars", "*a*b*", "xxaxxbxx", true},
    {"in their order", "*a*b*", "xxbxxaxx", false},
    {"the last star takes more when it must", "*ab", "aabab", true},
    {"a question mark is one character", "a?c", "abc", true},
    {"not none", "a?c", "ac", false},
    {"not two", "a?c", "abbc", false},
    {"a character, not a byte", "a?c", "aüc", true},
    {"one character is not two bytes", "a??c", "aüc", false},
    {"one of the alternatives", "*.[de|dk]", "mx.example.dk", true},
    {"none of the alternatives", "*.[de|dk]", "mx.example.se", false},
    {"the shorter alternative when the longer fails", "[ab|a]bc", "abc", true},
    {"the longer alternative when the shorter fails", "[a|ab]c", "abc", true},
    {"alternatives behind a star", "*[a|ab]c", "xxabc", true},
    {"two alternations", "[a|b][c|d]", "bc", true},
    {"both must match", "[a|b][c|d]", "bb", false},
    {"one alternative is a word", "x[abc]y", "xabcy", true},
    {"and no set of characters", "x[abc]y", "xay", false},
    {"alternatives between stars", "*[foo|bar]*", "a bar in town", true},
    {"a question mark behind alternatives", "[a|bb]?", "bbü", true},
    {"an escaped star is a star", "a\\*", "a*", true},
    {"and no run", "a\\*", "ab", false},
    {"an escaped question mark", "a\\?", "ab", false},
    {"an escaped bracket", "\\[a", "[a", true},
    {"an escaped backslash", "a\\\\b", "a\\b", true},
    {"an escaped bar in an alternative", "[a\\|b|c]", "a|b", true},
    {"bars outside of brackets are themselves", "a|b", "a|b", true},
    {"closing brackets too", "a]", "a]", true},
    {"case counts here", "A*", "abc", false},
};

static void a_wildcard_matches_what_the_manual_says(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(matches); i++)
        CHECK(matches[i].holds,
              wildcard_match(span_of(matches[i].pattern), span_of(matches[i].text)) == matches[i].match);
}

static const struct {
    const char *pattern, *says;
    size_t      at;
} refused[] = {
    {"ab[c", "unclosed \"[\" - write \"\\[\"", 2},
    {"[a|b", "unclosed", 0},
    {"a[]", "an empty alternative", 2},
    {"a[|b]", "an empty alternative", 2},
    {"a[b||c]", "an empty alternative", 4},
    {"a[b|]", "an empty alternative", 4},
    {"ab\\", "nothing behind \"\\\"", 2},
    {"[a*|b]", "alternatives hold no wildcards - write \"\\*\"", 2},
    {"[a|[b]", "write \"\\[\"", 3},
};

static void a_bad_wildcard_is_refused_with_its_place_and_a_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct err e = ERR_INIT;

        CHECK(refused[i].pattern, wildcard_check(span_of(refused[i].pattern), &e) < 0);
        check_err(refused[i].pattern, &e, refused[i].says);
        CHECK(refused[i].pattern, e.at == refused[i].at && e.code == ERR_INVALID);
    }
}

static void a_good_wildcard_is_not_refused(void **unused)
{
    static const char *const good[] = {"", "a", "*", "a[b|c]d", "\\[", "[\\*|\\[|\\]]", "a]|", "a\\\\"};

    (void)unused;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct err e = ERR_INIT;

        CHECK(good[i], wildcard_check(span_of(good[i]), &e) == 0);
    }
}

static void only_unescaped_wildcards_make_a_wildcard(void **unused)
{
    (void)unused;
    CHECK("star", wildcard_is(SPAN("a*")));
    CHECK("question mark", wildcard_is(SPAN("a?")));
    CHECK("bracket", wildcard_is(SPAN("a[b]")));
    CHECK("escaped", !wildcard_is(SPAN("a\\*\\?\\[b]")));
    CHECK("plain", !wildcard_is(SPAN("a.b|c")));
}

static const struct {
    const char *pattern, *literal;
} literals[] = {
    {"*partner.example", "partner.example"},
    {"a*bcd?ef", "bcd"},
    {"*", ""},
    {"[aaaa|bbbb]c", "c"},
    {"\\*\\*\\*a*bcd", "***a"},
    {"abc", "abc"},
    {"ab[x]cde*", "cde"},
};

static void the_literal_of_a_wildcard_is_its_longest_run(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 1024);
    for (size_t i = 0; i < COUNT(literals); i++) {
        buf_clear(&b);
        wildcard_literal(span_of(literals[i].pattern), &b);
        check_text(literals[i].pattern, buf_span(&b), literals[i].literal);
    }
    buf_fini(&b);
}

/* By trying everything: the definition, for short values. */
static bool tries(struct span p, struct span t)
{
    struct wildcard_walk w = {.pattern = p};
    struct wildcard_item item = wildcard_next(&w);
    struct span          rest = span_skip(p, w.at);
    size_t               one = 0;

    if (item.kind == WILDCARD_END)
        return t.n == 0;
    if (t.n > 0)
        utf8_next(t, &one, NULL);
    if (item.kind == WILDCARD_RUN)
        return tries(rest, t) || (t.n > 0 && tries(p, span_skip(t, one)));
    if (item.kind == WILDCARD_ONE)
        return t.n > 0 && tries(rest, span_skip(t, one));
    if (item.kind == WILDCARD_LITERAL)
        return t.n > 0 && span_eq(item.text, span_head(t, one)) && tries(rest, span_skip(t, one));
    while (item.kind != WILDCARD_CLOSE) {
        char                 z[64];
        size_t               n = 0;
        struct span          behind;
        struct wildcard_walk to;

        while ((item = wildcard_next(&w)).kind == WILDCARD_LITERAL) {
            memcpy(z + n, item.text.p, item.text.n);
            n += item.text.n;
        }
        if (item.kind == WILDCARD_END)
            return false;
        for (to = w; item.kind != WILDCARD_CLOSE && wildcard_next(&to).kind != WILDCARD_CLOSE;)
            if (to.at >= p.n && to.inside)
                return false;
        behind = span_skip(p, item.kind == WILDCARD_CLOSE ? w.at : to.at);
        if (span_starts(t, span_make(z, n)) && tries(behind, span_skip(t, n)))
            return true;
    }
    return false;
}

static void matching_agrees_with_trying_everything_and_holds_the_literal(void **unused)
{
    static const char *const parts[] = {"a", "b", "*", "?", "[a|ab]", "[b|ba|a]", "ü", "[ü]"};
    uint64_t                 seed = 20261121;
    struct buf               literal;
    size_t                   matched = 0;

    (void)unused;
    buf_init(&literal, 1024);
    for (size_t i = 0; i < 200000; i++) {
        char   pattern[64] = "", text[64] = "";
        size_t np = random_below(&seed, 6), nt = random_below(&seed, 8);
        bool   want;

        while (np-- > 0)
            strcat(pattern, parts[random_below(&seed, COUNT(parts))]);
        while (nt-- > 0)
            strcat(text, (const char *[]){"a", "b", "ü"}[random_below(&seed, 3)]);
        want = tries(span_of(pattern), span_of(text));
        if (wildcard_match(span_of(pattern), span_of(text)) != want)
            fail_msg("\"%s\" on \"%s\" should be %d", pattern, text, want);
        buf_clear(&literal);
        wildcard_literal(span_of(pattern), &literal);
        if (want && span_find(span_of(text), buf_span(&literal)) == strlen(text) && literal.n > 0)
            fail_msg("\"%s\" matches \"%s\", which lacks its literal", pattern, text);
        matched += want;
    }
    CHECK("both outcomes are frequent", matched > 20000 && matched < 180000);
    buf_fini(&literal);
}

static void a_hostile_pattern_on_a_hostile_text_ends_soon(void **unused)
{
    char   pattern[WILDCARD_MAX], *text = malloc(100000);
    size_t n = 0;

    (void)unused;
    memset(text, 'a', 100000);
    while (n + 2 <= sizeof pattern) {
        memcpy(pattern + n, "*a", 2);
        n += 2;
    }
    pattern[n - 1] = 'b';
    CHECK("stars", !wildcard_match(span_make(pattern, n), span_make(text, 100000)));
    for (n = 0; n + 6 <= sizeof pattern; n += 6)
        memcpy(pattern + n, "[a|aa]", 6);
    CHECK("alternatives", !wildcard_match(span_make(pattern, n), span_make(text, 20000)));
    CHECK("over the limit", !wildcard_match(span_make(text, WILDCARD_MAX + 1), span_make(text, WILDCARD_MAX + 1)));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wildcard_matches_what_the_manual_says),
        cmocka_unit_test(a_bad_wildcard_is_refused_with_its_place_and_a_cure),
        cmocka_unit_test(a_good_wildcard_is_not_refused),
        cmocka_unit_test(only_unescaped_wildcards_make_a_wildcard),
        cmocka_unit_test(the_literal_of_a_wildcard_is_its_longest_run),
        cmocka_unit_test(matching_agrees_with_trying_everything_and_holds_the_literal),
        cmocka_unit_test(a_hostile_pattern_on_a_hostile_text_ends_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
