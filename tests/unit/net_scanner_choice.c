/* Which scanner is asked, told with a clock that the test holds. */
#include "base/span.h"
#include "check.h"
#include "net/scanner_choice.h"

#define S ((int64_t)1000000)

static struct scanner_health all[2];
static const bool            none_tried[2] = {false, false};

static size_t choose(int64_t now_us, bool *trial)
{
    *trial = false;
    return scanner_choose(all, 2, none_tried, now_us, trial);
}

static int all_well(void **unused)
{
    (void)unused;
    all[0] = all[1] = (struct scanner_health){0};
    return 0;
}

static void the_first_that_is_well_is_asked(void **unused)
{
    const bool first_tried[2] = {true, false}, both_tried[2] = {true, true};
    bool       trial;

    (void)unused;
    assert_int_equal(choose(0, &trial), 0);
    assert_false(trial);
    assert_int_equal(scanner_choose(all, 2, first_tried, 0, &trial), 1);
    assert_true(scanner_choose(all, 2, both_tried, 0, &trial) == SIZE_MAX);
    assert_true(scanner_has_other(all, 2, none_tried, 0, 0) && !scanner_has_other(all, 2, first_tried, 1, 0));
}

static void one_that_cannot_be_reached_rests_at_once(void **unused)
{
    bool trial;

    (void)unused;
    scanner_did_badly(&all[0], true, false, 10 * S);
    assert_int_equal(choose(10 * S, &trial), 1);
    assert_int_equal(choose(11 * S - 1, &trial), 1);
    assert_false(scanner_has_other(all, 2, none_tried, 1, 11 * S - 1));
    assert_true(scanner_has_other(all, 2, none_tried, 1, 11 * S));
}

static void one_bad_answer_says_nothing_and_three_in_a_row_do(void **unused)
{
    bool trial;

    (void)unused;
    for (int i = 0; i < 2; i++)
        scanner_did_badly(&all[0], false, false, 0);
    scanner_did_well(&all[0]);
    for (int i = 0; i < 2; i++)
        scanner_did_badly(&all[0], false, false, 0);
    assert_int_equal(choose(0, &trial), 0);
    scanner_did_badly(&all[0], false, false, 0);
    assert_int_equal(choose(0, &trial), 1);
}

static void after_the_rest_one_question_tries_and_not_all(void **unused)
{
    bool trial;

    (void)unused;
    scanner_did_badly(&all[0], true, false, 0);
    assert_int_equal(choose(S, &trial), 0);
    assert_true(trial);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(choose(S + i, &trial), 1);
        assert_false(trial);
    }
    scanner_did_well(&all[0]);
    assert_int_equal(choose(S + 9, &trial), 0);
    assert_false(trial);
}

static void a_rest_doubles_up_to_a_minute_and_starts_anew_after_a_good_answer(void **unused)
{
    static const int64_t rests[] = {1, 2, 4, 8, 16, 32, 60, 60};
    int64_t              now = 0;
    bool                 trial = false;

    (void)unused;
    for (size_t i = 0; i < COUNT(rests); i++) {
        scanner_did_badly(&all[0], false, trial, now);
        while (i == 0 && all[0].rest_us == 0)
            scanner_did_badly(&all[0], false, trial, now);
        assert_int_equal(choose(now + rests[i] * S - 1, &trial), 1);
        now += rests[i] * S;
        assert_int_equal(choose(now, &trial), 0);
        assert_true(trial);
    }
    scanner_did_well(&all[0]);
    scanner_did_badly(&all[0], true, false, now);
    assert_int_equal(choose(now + S, &trial), 0);
}

static void questions_from_before_the_rest_do_not_make_it_longer(void **unused)
{
    bool trial;

    (void)unused;
    for (int i = 0; i < 50; i++)
        scanner_did_badly(&all[0], true, false, i);
    assert_int_equal(choose(S, &trial), 0);
    scanner_did_badly(&all[0], true, false, S); /* one more of them, while another question tries */
    assert_int_equal(choose(S, &trial), 1);
    scanner_did_badly(&all[0], true, true, S);
    assert_int_equal(choose(3 * S - 1, &trial), 1);
    assert_int_equal(choose(3 * S, &trial), 0);
}

static void a_withdrawn_trial_leaves_the_next_one_free_to_try(void **unused)
{
    bool trial;

    (void)unused;
    scanner_did_badly(&all[0], true, false, 0);
    assert_int_equal(choose(S, &trial), 0);
    scanner_was_not_asked(&all[0], true);
    assert_int_equal(choose(S, &trial), 0);
    assert_true(trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_that_is_well_is_asked, all_well),
        cmocka_unit_test_setup(one_that_cannot_be_reached_rests_at_once, all_well),
        cmocka_unit_test_setup(one_bad_answer_says_nothing_and_three_in_a_row_do, all_well),
        cmocka_unit_test_setup(after_the_rest_one_question_tries_and_not_all, all_well),
        cmocka_unit_test_setup(a_rest_doubles_up_to_a_minute_and_starts_anew_after_a_good_answer, all_well),
        cmocka_unit_test_setup(questions_from_before_the_rest_do_not_make_it_longer, all_well),
        cmocka_unit_test_setup(a_withdrawn_trial_leaves_the_next_one_free_to_try, all_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
