#include "check.h"

#include <errno.h>
#include <sysexits.h>

#include "base/err.h"
#include "base/utf8.h"

static void an_error_says_what_on_what_and_why(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&e, ERR_DENIED, "%s is not allowed from here", "TELL"), -1);
    assert_int_equal(e.code, ERR_DENIED);
    assert_string_equal(e.text, "TELL is not allowed from here");
    err_wrap(&e, "scan %d", 7);
    assert_string_equal(e.text, "scan 7: TELL is not allowed from here");
    assert_int_equal(e.code, ERR_DENIED);
    err_at(&e, 12, "bad");
    assert_true(e.code == ERR_INVALID && e.at == 12);
    assert_int_equal(err_set(NULL, ERR_IO, "nobody asked"), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
    assert_int_equal(err_errno(NULL, "x"), -1);
}

static void the_code_follows_errno(void **state)
{
    static const struct {
        int           number;
        enum err_code code;
    } cases[] = {{ENOSPC, ERR_FULL},   {EDQUOT, ERR_FULL},       {ENOENT, ERR_NOT_FOUND},
                 {EACCES, ERR_DENIED}, {ECONNREFUSED, ERR_LOST}, {EIO, ERR_IO}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = ERR_INIT;

        errno = cases[i].number;
        assert_int_equal(err_errno(&e, "open %s", "x"), -1);
        assert_int_equal(e.code, cases[i].code);
        assert_true(span_starts(span_of(e.text), SPAN("open x: ")));
        assert_non_null(strstr(e.text, strerror(cases[i].number)));
    }
}

static void what_a_stranger_wrote_is_escaped_in_errors(void **state)
{
    struct err e;

    (void)state;
    err_set(&e, ERR_PROTOCOL, "verb %s", "A\r\n\x1b[2J\xff");
    assert_string_equal(e.text, "verb A\\r\\n\\x1b[2J\\xff");
}

static void text_that_does_not_fit_is_cut_between_characters(void **state)
{
    char       stretch[1200];
    struct err e;

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(stretch, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof stretch; i += 3)
            memcpy(stretch + i, "\xe2\x82\xac", 4);
        err_set(&e, ERR_IO, "%s", stretch);
        assert_true(strlen(e.text) > 500 && strlen(e.text) < sizeof e.text);
        assert_true(utf8_valid(span_of(e.text)));
        assert_null(strchr(e.text, '\\'));
    }
    memset(stretch, '\n', sizeof stretch - 1);
    stretch[sizeof stretch - 1] = '\0';
    err_set(&e, ERR_IO, "%s", stretch);
    assert_true(strlen(e.text) < sizeof e.text);
}

static void every_code_has_a_word_and_an_exit_status(void **state)
{
    (void)state;
    for (int code = ERR_NONE; code <= ERR_IO; code++) {
        assert_non_null(err_word((enum err_code)code));
        assert_true((err_exit_code((enum err_code)code) == EX_OK) == (code == ERR_NONE));
    }
    assert_string_equal(err_word(ERR_BUSY), "busy");
    assert_int_equal(err_exit_code(ERR_BUSY), EX_TEMPFAIL);
    assert_int_equal(err_exit_code(ERR_INVALID), EX_DATAERR);
    assert_int_equal(err_exit_code(ERR_USAGE), EX_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_what_on_what_and_why),
        cmocka_unit_test(the_code_follows_errno),
        cmocka_unit_test(what_a_stranger_wrote_is_escaped_in_errors),
        cmocka_unit_test(text_that_does_not_fit_is_cut_between_characters),
        cmocka_unit_test(every_code_has_a_word_and_an_exit_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
