/* tests/unit/portal_csv.c - twin of portal/csv.c. */
#include "../../portal/csv.h"

#include "check.h"

static const struct {
    const char *holds, *text, *cell;
} cases[] = {
    {"text is quoted", "Re: wares", "\"Re: wares\""},
    {"a quote is doubled", "say \"hello\"", "\"say \"\"hello\"\"\""},
    {"an equals sign in front is no formula", "=1+1", "\"'=1+1\""},
    {"nor a plus", "+1", "\"'+1\""},
    {"nor a minus", "-1", "\"'-1\""},
    {"nor an at sign", "@SUM(A1)", "\"'@SUM(A1)\""},
    {"nor a tab", "\t=1", "\"'\t=1\""},
    {"nor behind blanks", "  =1", "\"'  =1\""},
    {"nor on a second line", "\n=1", "\"'\n=1\""},
    {"within text they are themselves", "a=b", "\"a=b\""},
    {"bad bytes are replaced", "a\xff", "\"a\xef\xbf\xbd\""},
    {"nothing is nothing", "", "\"\""},
};

static void a_cell_is_text_whatever_a_stranger_wrote(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b;

        buf_init(&b, 1000);
        csv_cell(&b, span_of(cases[i].text));
        CHECK(cases[i].holds, span_is(buf_span(&b), cases[i].cell));
        buf_fini(&b);
    }
}

static void a_row_has_commas_between_and_ends_as_spreadsheets_expect(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 1000);
    csv_cell(&b, SPAN("a"));
    csv_time(&b, 1000000);
    csv_row_end(&b);
    csv_time(&b, 0);
    csv_row_end(&b);
    assert_true(span_is(buf_span(&b), "\"a\",\"1970-01-01T00:00:01.000000Z\"\r\n\"\"\r\n"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_is_text_whatever_a_stranger_wrote),
        cmocka_unit_test(a_row_has_commas_between_and_ends_as_spreadsheets_expect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
