/* tests/unit/rules_scope.c - scopes as things: limits, memory, overlays, holding. What they match is in rules_evaluate.c. */
#include "rules.h"

#include "base/clock.h"
#include "rules/regex.h"
#include "rules/scope.h"

static const struct uuid scope_id = {{9}}, first_policy = {{1}}, second_policy = {{2}};

static struct uuid id_of(uint64_t n)
{
    struct uuid id = {{0}};

    for (size_t i = 0; i < 8; i++)
        id.b[15 - i] = (uint8_t)(n >> 8 * i);
    return id;
}

static struct scope_builder *builder(bool keep_text)
{
    struct scope_builder *b = scope_builder_new(SCOPE_DOMAIN, &scope_id, keep_text);
    struct scope_policy   p = {.id = first_policy, .priority = 10, .name = "First"};

    assert_int_equal(scope_builder_policy(b, &p, NULL), 0);
    return b;
}

/* A block with one condition of one entry. Valid until the next call. */
static struct rule *rule_of(uint64_t id, enum condition_kind kind, enum entry_kind entry, struct span text)
{
    static struct entry     e;
    static struct condition c;
    static struct rule      r;

    e = (struct entry){.kind = entry, .text = text, .written = text};
    c = (struct condition){.kind = kind,
                           .match = entry == ENTRY_REGEX ? MATCH_REGEX : MATCH_CONTAINS,
                           .source = SOURCE_FROM,
                           .any = &e,
                           .nany = 1};
    r = (struct rule){.id = id_of(id),
                      .name = SPAN("a rule"),
                      .action = RULE_BLOCK,
                      .priority = 100,
                      .enabled = true,
                      .flow = FLOW_FROM,
                      .conditions = &c,
                      .nconditions = 1};
    return &r;
}

static struct rule *sender_rule(uint64_t id)
{
    static char text[40];

    snprintf(text, sizeof text, "user%llu@example.org", (unsigned long long)id);
    return rule_of(id, COND_SENDER, ENTRY_ADDRESS, span_of(text));
}

static struct scope *scope_of_senders(size_t n, bool keep_text)
{
    struct scope_builder *b = builder(keep_text);

    for (size_t i = 1; i <= n; i++)
        assert_int_equal(scope_builder_rule(b, &first_policy, sender_rule(i), NULL), 0);
    return scope_build(&b, 1, NULL);
}

#define MANY 100000

static void an_exact_rule_takes_150_bytes_at_most_beyond_its_text(void **state)
{
    (void)state;
    for (size_t n = 65000; n <= MANY; n += 35000) { /* a table that is nearly full, and one just grown */
        struct scope *s = scope_of_senders(n, false);
        size_t        text = 0;

        for (size_t i = 1; i <= n; i++)
            text += sender_rule(i)->conditions[0].any[0].text.n;
        assert_int_equal(scope_nrules(s), n);
        if ((scope_memory(s) - text) / n > 150)
            fail_msg("%zu bytes a rule", (scope_memory(s) - text) / n);
        scope_drop(&s);
    }
}

static void a_hundred_thousand_rules_compile_within_a_second(void **state)
{
    int64_t       began = clock_thread_cpu_us();
    struct scope *s = scope_of_senders(MANY, true);

    (void)state;
    assert_true(clock_thread_cpu_us() - began < 1000000);
    scope_drop(&s);
}

static void regexes_take_3_kilobytes_at_most_each(void **state)
{
    struct scope_builder *b = builder(false);
    struct scope         *s;
    char                  text[40];

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) {
        snprintf(text, sizeof text, "invoice %llu [0-9]+", (unsigned long long)i);
        assert_int_equal(
            scope_builder_rule(b, &first_policy, rule_of(i, COND_SUBJECT, ENTRY_REGEX, span_of(text)), NULL), 0);
    }
    s = scope_build(&b, 1, NULL);
    assert_true(scope_memory(s) / 1000 < 3072);
    scope_drop(&s);
}

static int add_slow(struct scope_builder *b, uint64_t id, struct err *e)
{
    char text[20];

    snprintf(text, sizeof text, "[a-z]{%u}", (unsigned)id % 100 + 1);
    return scope_builder_rule(b, &first_policy, rule_of(id, COND_SUBJECT, ENTRY_REGEX, span_of(text)), e);
}

static void a_hundred_slow_regexes_are_the_most(void **state)
{
    struct scope_builder *b = builder(false);
    struct scope         *s, *over;
    struct err            e = ERR_INIT;
    struct uuid           gone = id_of(1);

    (void)state;
    for (uint64_t i = 1; i <= SCOPE_SLOW_REGEX_MAX; i++)
        assert_int_equal(add_slow(b, i, &e), 0);
    assert_int_equal(add_slow(b, 101, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    check_err("names the cure", &e, "fixed text of 3 bytes");
    assert_int_equal(scope_builder_rule(b, &first_policy, sender_rule(102), &e), 0); /* others still come in */
    s = scope_build(&b, 1, &e);
    assert_int_equal(scope_nrules(s), SCOPE_SLOW_REGEX_MAX + 1);
    b = builder(false); /* an overlay may not lift the limit */
    assert_int_equal(add_slow(b, 101, &e), 0);
    over = scope_overlay(s, NULL, 0, &b, 2, &e);
    assert_null(over);
    assert_null(b);
    assert_int_equal(e.code, ERR_LIMIT);
    b = builder(false); /* but one may go for another */
    assert_int_equal(add_slow(b, 101, &e), 0);
    over = scope_overlay(s, &gone, 1, &b, 2, &e);
    assert_non_null(over);
    scope_drop(&over);
    scope_drop(&s);
}

static void a_rule_of_an_unknown_policy_is_refused_and_a_disabled_one_left_out(void **state)
{
    struct scope_builder *b = builder(false);
    struct err            e = ERR_INIT;
    struct rule          *r;
    struct scope         *s;

    (void)state;
    assert_int_equal(scope_builder_rule(b, &second_policy, sender_rule(1), &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    r = sender_rule(2);
    r->enabled = false;
    assert_int_equal(scope_builder_rule(b, &first_policy, r, &e), 0);
    s = scope_build(&b, 7, &e);
    assert_int_equal(scope_nrules(s), 0);
    assert_int_equal(scope_at_change(s), 7);
    scope_drop(&s);
}

static void an_overlay_replaces_rules_and_policies_and_holds_its_base(void **state)
{
    struct scope         *base = scope_of_senders(10, true), *over, *again;
    struct scope_builder *b = scope_builder_new(SCOPE_DOMAIN, &scope_id, true);
    struct scope_policy   renamed = {.id = first_policy, .priority = 5, .name = "Renamed"},
                        added = {.id = second_policy, .priority = 20, .locked = true, .name = "Added"};
    struct uuid gone[] = {id_of(3), id_of(4), id_of(99)};
    struct err  e = ERR_INIT;

    (void)state;
    assert_int_equal(scope_builder_policy(b, &added, &e), 0);
    assert_int_equal(scope_builder_policy(b, &renamed, &e), 0);
    assert_int_equal(scope_builder_rule(b, &second_policy, sender_rule(4), &e), 0);
    assert_int_equal(scope_builder_rule(b, &first_policy, sender_rule(11), &e), 0);
    over = scope_overlay(base, gone, COUNT(gone), &b, 2, &e);
    assert_non_null(over);
    assert_true(scope_memory(over) > scope_memory(base));
    scope_drop(&base);
    assert_int_equal(scope_nrules(over), 10);
    assert_int_equal(scope_overlay_size(over), 4);
    assert_int_equal(scope_at_change(over), 2);
    assert_int_equal(scope_npolicies(over), 2);
    assert_string_equal(scope_policy_at(over, 0)->name, "Renamed");
    assert_true(scope_policy_at(over, 1)->locked);
    assert_null(scope_policy_at(over, 2));

    b = builder(true); /* an overlay of the overlay: rule 11 goes again */
    gone[0] = id_of(11);
    again = scope_overlay(over, gone, 1, &b, 3, &e);
    scope_drop(&over);
    assert_int_equal(scope_nrules(again), 9);
    assert_int_equal(scope_npolicies(again), 2);
    assert_int_equal(scope_overlay_size(again), 3);
    scope_hold(again);
    over = again;
    scope_drop(&over);
    assert_int_equal(scope_nrules(again), 9);
    scope_drop(&again);
    assert_null(again);
    scope_drop(&again);
}

static void a_builder_that_is_given_up_leaves_nothing(void **state)
{
    struct scope_builder *b = builder(true);

    (void)state;
    assert_int_equal(add_slow(b, 1, NULL), 0);
    assert_int_equal(scope_builder_rule(b, &first_policy, sender_rule(2), NULL), 0);
    scope_builder_free(&b);
    assert_null(b);
    scope_builder_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_rule_takes_150_bytes_at_most_beyond_its_text),
        cmocka_unit_test(a_hundred_thousand_rules_compile_within_a_second),
        cmocka_unit_test(regexes_take_3_kilobytes_at_most_each),
        cmocka_unit_test(a_hundred_slow_regexes_are_the_most),
        cmocka_unit_test(a_rule_of_an_unknown_policy_is_refused_and_a_disabled_one_left_out),
        cmocka_unit_test(an_overlay_replaces_rules_and_policies_and_holds_its_base),
        cmocka_unit_test(a_builder_that_is_given_up_leaves_nothing),
    };

    return cmocka_run_group_tests_name("rules/scope", tests, NULL, NULL);
}
