/* tests/unit/rules_literal.c - one pass finds what a search for each literal would find. */
#include "rules.h"

#include "base/clock.h"
#include "rules/literal.h"

#define MANY 2000

/* How often each id was reported, and where last. */
struct seen {
    unsigned times[MANY];
    size_t   at[MANY], total, stop_after;
};

static bool note(void *ctx, uint32_t id, size_t at)
{
    struct seen *s = ctx;

    assert_true(id < MANY);
    s->times[id]++;
    s->at[id] = at;
    return ++s->total != s->stop_after;
}

static const char *const words[] = {"a",       "ab",       "abc",       "abcd",    "abcde",
                                    "abcdefg", "abcdefgh", "abcdefghi", "invoice", "z"};

static struct literal_set *set_of_words(void)
{
    struct literal_builder *b = literal_builder_new();

    for (uint32_t i = 0; i < COUNT(words); i++)
        literal_add(b, span_of(words[i]), i);
    return literal_build(&b);
}

static const struct {
    const char *holds, *text, *found;
} cases[] = {
    {
        "nothing is in the empty text",
        "",
        "..........",
    },
    {"a text may be shorter than all windows", "z", ".........1"},
    {"a literal that is the whole text", "abcdefghi", "11111111.."},
    {"at the end", "xxxxxxxxinvoice", "........1."},
    {"at the start", "invoicexxxxxxxxxx", "........1."},
    {"cut off by the end", "xxinvoic", ".........."},
    {"twice is found once", "invoice invoice", "........1."},
    {"one inside of another", "xxabcdexx", "11111....."},
    {"bytes beyond ASCII around it", "\xff\xfeinvoice\x80", "........1."},
};

static void each_literal_that_occurs_is_found_once(void **state)
{
    struct literal_set *set = set_of_words();

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        static struct seen s;

        s = (struct seen){0};
        CHECK(cases[i].holds, literal_scan(set, span_of(cases[i].text), note, &s) == 0);
        for (size_t k = 0; k < COUNT(words); k++) {
            CHECK(cases[i].holds, s.times[k] == (cases[i].found[k] == '1'));
            if (s.times[k] > 0)
                CHECK(cases[i].holds, s.at[k] == span_find(span_of(cases[i].text), span_of(words[k])));
        }
    }
    literal_free(&set);
    assert_null(set);
}

static void a_scan_and_a_search_for_each_agree(void **state)
{
    struct arena *a = arena_of_test();
    uint64_t      seed = 7;

    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        static struct seen      s;
        struct literal_builder *b = literal_builder_new();
        struct literal_set     *set;
        struct span             literals[60];
        size_t                  n = 1 + random_below(&seed, COUNT(literals)), ntext = random_below(&seed, 400);
        char                   *text = arena_alloc(a, ntext + 1);

        s = (struct seen){0};
        for (size_t i = 0; i < ntext; i++)
            text[i] = (char)('a' + random_below(&seed, 3));
        for (size_t i = 0; i < n; i++) {
            size_t length = 1 + random_below(&seed, 14);
            char  *p = arena_alloc(a, length);

            for (size_t k = 0; k < length; k++)
                p[k] = (char)('a' + random_below(&seed, 3));
            literals[i] = span_make(p, length);
            literal_add(b, literals[i], (uint32_t)i);
        }
        set = literal_build(&b);
        assert_int_equal(literal_scan(set, span_make(text, ntext), note, &s), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(s.times[i], span_find(span_make(text, ntext), literals[i]) < ntext);
        literal_free(&set);
    }
}

static void a_text_that_many_rules_ask_for_is_reported_to_each_once(void **state)
{
    struct literal_builder *b = literal_builder_new();
    static struct seen      s;
    static char             text[70000];
    struct literal_set     *set;

    (void)state;
    s = (struct seen){0};
    for (size_t i = 0; i + 7 <= sizeof text; i += 7)
        memcpy(text + i, "invoice", 7);
    for (uint32_t i = 0; i < MANY; i++)
        literal_add(b, SPAN("invoice"), i);
    set = literal_build(&b);
    assert_int_equal(literal_scan(set, span_make(text, sizeof text), note, &s), 0);
    assert_int_equal(s.total, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(s.times[i], 1);
    literal_free(&set);
}

static void who_has_enough_stops_the_scan(void **state)
{
    struct literal_set *set = set_of_words();
    static struct seen  s;

    (void)state;
    s = (struct seen){.stop_after = 3};
    assert_int_equal(literal_scan(set, SPAN("abcdefghi invoice z"), note, &s), 0);
    assert_int_equal(s.total, 3);
    literal_free(&set);
}

static void a_hostile_pair_of_literals_and_text_ends_at_the_budget(void **state)
{
    struct literal_builder *b = literal_builder_new();
    static char             literals[MANY], text[1 << 20];
    static struct seen      s;
    struct literal_set     *set;
    int64_t                 began;

    (void)state;
    s = (struct seen){0};
    memset(text, 'a', sizeof text);
    memset(literals, 'a', sizeof literals);
    for (uint32_t i = 0; i < 1000; i++) /* all windows of all of them are the same */
        literal_add(b, span_make(literals, 8 + i), i);
    set = literal_build(&b);
    began = clock_thread_cpu_us();
    assert_int_equal(literal_scan(set, span_make(text, sizeof text), note, &s), -1);
    assert_true(clock_thread_cpu_us() - began < 1000000);
    assert_true(s.total > 0);
    literal_free(&set);
}

static void ten_thousand_literals_take_little_memory_and_no_set_takes_none(void **state)
{
    struct literal_builder *b = literal_builder_new();
    static char             text[10000][12];
    struct literal_set     *set = literal_build(&b);

    (void)state;
    assert_null(set);
    assert_null(b);
    assert_int_equal(literal_memory(set), 0);
    assert_int_equal(literal_scan(set, SPAN("text"), note, NULL), 0);
    literal_free(&set);
    b = literal_builder_new();
    for (uint32_t i = 0; i < COUNT(text); i++) {
        snprintf(text[i], sizeof text[i], "%u-word", i);
        literal_add(b, span_of(text[i]), i);
    }
    set = literal_build(&b);
    assert_true(literal_memory(set) > 16 * COUNT(text));
    assert_true(literal_memory(set) < 40 * COUNT(text));
    literal_free(&set);
    b = literal_builder_new();
    literal_add(b, SPAN("x"), 1);
    literal_builder_free(&b);
    assert_null(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_literal_that_occurs_is_found_once),
        cmocka_unit_test(a_scan_and_a_search_for_each_agree),
        cmocka_unit_test(a_text_that_many_rules_ask_for_is_reported_to_each_once),
        cmocka_unit_test(who_has_enough_stops_the_scan),
        cmocka_unit_test(a_hostile_pair_of_literals_and_text_ends_at_the_budget),
        cmocka_unit_test(ten_thousand_literals_take_little_memory_and_no_set_takes_none),
    };

    return cmocka_run_group_tests_name("rules/literal", tests, NULL, NULL);
}
