/* What a digest says in sentences with numbers, in each language. */
#include "letter/words.h"

#include <math.h>

#include "check.h"

struct told {
    size_t  listed, blocked, marked; /* held or marked, by rules; how many of the first are marked */
    int64_t quarantined, by_rules, delivered;
};

static const struct {
    struct told of;
    bool        quiet;
    const char *title[LANGUAGES], *counts[LANGUAGES];
} cases[] = {
    {{.listed = 1, .quarantined = 1},
     false,
     {"1 message in your quarantine", "1 Nachricht in Ihrer Quarantäne"},
     {"1 quarantined · 0 blocked · 0 delivered", "1 in Quarantäne · 0 blockiert · 0 zugestellt"}},
    {{.listed = 3, .quarantined = 3, .by_rules = 12, .delivered = 40},
     false,
     {"3 messages in your quarantine", "3 Nachrichten in Ihrer Quarantäne"},
     {"3 quarantined · 12 blocked · 40 delivered", "3 in Quarantäne · 12 blockiert · 40 zugestellt"}},
    {{.listed = 6, .marked = 2, .blocked = 3, .quarantined = 4, .by_rules = 3, .delivered = 9},
     false,
     {"4 messages in your quarantine", "4 Nachrichten in Ihrer Quarantäne"},
     {"4 quarantined · 3 blocked · 9 delivered", "4 in Quarantäne · 3 blockiert · 9 zugestellt"}},
    {{.listed = 1, .marked = 1, .delivered = 1},
     false,
     {"1 message was marked as spam", "1 Nachricht wurde als Spam markiert"},
     {"0 quarantined · 0 blocked · 1 delivered", "0 in Quarantäne · 0 blockiert · 1 zugestellt"}},
    {{.blocked = 2, .by_rules = 2},
     false,
     {"2 messages were blocked", "2 Nachrichten wurden blockiert"},
     {"0 quarantined · 2 blocked · 0 delivered", "0 in Quarantäne · 2 blockiert · 0 zugestellt"}},
    {{.delivered = 10},
     true,
     {"All quiet", "Alles ruhig"},
     {"0 quarantined · 0 blocked · 10 delivered", "0 in Quarantäne · 0 blockiert · 10 zugestellt"}},
};

static void same(struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("\"%.*s\", not \"%s\"", SPAN_ARG(got), want);
}

static void title_and_counts_say_what_is_told(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct told          *t = &cases[i].of;
        const struct digest_content c = {.shown = t->listed,
                                         .marked = t->marked,
                                         .of_group = {[GROUP_PROBABLY_SPAM] = t->listed, [GROUP_BLOCKED] = t->blocked},
                                         .quarantined = t->quarantined,
                                         .blocked = t->by_rules,
                                         .delivered = t->delivered};

        for (enum language l = 0; l < LANGUAGES; l++) {
            same(words_title(l, &c, cases[i].quiet, &a), cases[i].title[l]);
            same(words_counts(l, &c, &a), cases[i].counts[l]);
        }
    }
    arena_fini(&a);
}

static void a_score_is_said_with_the_limit_that_it_has_reached(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    same(words_by_score(LANGUAGE_EN, 9.44, 6, &a), "Score 9.4; your domain's limit is 6.");
    same(words_by_score(LANGUAGE_DE, 9.44, 6.5, &a), "Bewertung 9,4; die Grenze Ihrer Domain ist 6,5.");
    same(words_by_score(LANGUAGE_EN, 9.44, NAN, &a), "Held by the filter.");
    same(words_by_score(LANGUAGE_EN, NAN, 6, &a), "Held by the filter.");
    arena_fini(&a);
}

static void an_answer_is_shown_by_a_number_that_there_is(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    assert_true(span_ends(words_reply(LANGUAGE_EN, 5, &a), SPAN(": release 5")));
    assert_true(span_ends(words_reply(LANGUAGE_DE, 12, &a), SPAN(": zustellen 12")));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(title_and_counts_say_what_is_told),
        cmocka_unit_test(a_score_is_said_with_the_limit_that_it_has_reached),
        cmocka_unit_test(an_answer_is_shown_by_a_number_that_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
