/* tests/unit/rulesd_discreet.c - twin of rulesd/discreet.c. */
#include "../../rulesd/discreet.h"

#include "base/buf.h"
#include "check.h"

/* clang-format off */
static const struct { const char *holds, *text; bool names; } cases[] = {
    {"an address in a list", "FORGED_RECIPIENTS(2.00)[m:list@ext.example,s:anna@ours.example]", true},
    {"the last one", "bob@ours.example", true},
    {"case does not count", "s:ANNA@Ours.Example", true},
    {"in brackets", "for <anna@ours.example>;", true},
    {"behind another one", "a@b.example anna@ours.example", true},
    {"the other end of a longer one", "hanna@ours.example", true},
    {"somebody else", "list@ext.example, bobby@ours.example", false},
    {"the domain alone", "@ours.example", false},
    {"a part of it", "anna@ours.exampl", false},
    {"nobody", "no address", false},
    {"nothing", "", false},
    {"a quoted one with an @ of its own", "\"a@b\"@ours.example", true},
};
/* clang-format on */

static const struct span addresses[] = {
    {"<anna@ours.example>", 19}, {"bob@ours.example", 16}, {"<>", 2}, {"\"a@b\"@ours.example", 18}};

static void a_text_that_names_a_recipient_is_found(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds, discreet_names(span_of(cases[i].text), addresses, COUNT(addresses)) == cases[i].names);
    CHECK("nobody to name", !discreet_names(SPAN("anna@ours.example"), NULL, 0));
}

static void what_would_take_long_counts_as_named(void **unused)
{
    struct buf  b;
    struct span many[1000];

    (void)unused;
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = SPAN("nobody@nowhere.example");
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < 1000; i++)
        buf_putc(&b, '@');
    CHECK("as many as may be looked at", !discreet_names(buf_span(&b), many, COUNT(many)));
    buf_putc(&b, '@');
    CHECK("one more", discreet_names(buf_span(&b), many, COUNT(many)));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_that_names_a_recipient_is_found),
        cmocka_unit_test(what_would_take_long_counts_as_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
