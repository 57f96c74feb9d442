#include "check.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"

/* Standard error goes to a pipe while a line is logged. */
static char said[8192];

static void listen_to(void (*speak)(void))
{
    int     ends[2], keep = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    speak();
    dup2(keep, STDERR_FILENO);
    close(ends[1]);
    n = read(ends[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(keep);
}

static void speak_of_a_stranger(void)
{
    struct log_line l;

    log_begin(&l, LOG_LEVEL_WARNING, "rule changed");
    log_str(&l, "from", "a\nb \"c\"");
    log_span(&l, "plain", SPAN("x\\y"));
    log_str(&l, "empty", "");
    log_str(&l, "pair", "a=b");
    log_i64(&l, "n", INT64_MIN);
    log_f64(&l, "score", 4.25, 2);
    log_end(&l);
}

static void one_event_is_one_line_whatever_a_stranger_wrote(void **state)
{
    (void)state;
    log_open("rulesd", LOG_TO_STDERR, LOG_LEVEL_INFO);
    listen_to(speak_of_a_stranger);
    assert_string_equal(said + 28, "warning rulesd: rule changed from=\"a\\nb \\\"c\\\"\" plain=x\\\\y empty=\"\" "
                                   "pair=\"a=b\" n=-9223372036854775808 score=4.25\n");
    assert_int_equal(said[26], 'Z');
}

static void speak_too_long(void)
{
    static char     wide[5000];
    struct log_line l;

    log_begin(&l, LOG_LEVEL_INFO, "much");
    memset(wide, 'a', 3000);
    log_str(&l, "first", wide);
    for (size_t i = 0; i + 2 < sizeof wide; i += 2)
        memcpy(wide + i, "\xc3\xa4", 3);
    log_str(&l, "wide", wide);
    log_str(&l, "after", "x");
    log_end(&l);
}

static void a_long_line_is_cut_between_characters_and_says_so(void **state)
{
    (void)state;
    listen_to(speak_too_long);
    assert_true(strlen(said) <= 4096);
    assert_true(strlen(said) > 4080);
    assert_true(span_ends(span_of(said), SPAN("\xe2\x80\xa6\n")));
    assert_true(utf8_valid(span_of(said)));
    assert_null(strstr(said, "after"));
}

static void speak_softly(void)
{
    struct err e = {.code = ERR_BUSY, .text = "locked"};

    log_text(LOG_LEVEL_INFO, "not %s", "wanted");
    log_err(LOG_LEVEL_INFO, "not this", &e);
    log_err(LOG_LEVEL_ERROR, "cannot write", &e);
}

static void below_the_wanted_level_nothing_is_said(void **state)
{
    (void)state;
    log_open("rulesd", LOG_TO_STDERR, LOG_LEVEL_ERROR);
    listen_to(speak_softly);
    assert_string_equal(said + 28, "error rulesd: cannot write error=busy why=locked\n");
    assert_false(log_wants(LOG_LEVEL_WARNING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_is_one_line_whatever_a_stranger_wrote),
        cmocka_unit_test(a_long_line_is_cut_between_characters_and_says_so),
        cmocka_unit_test(below_the_wanted_level_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
