/* Dates as mail has them. */
#include "mail/date.h"
#include "mail.h"

static const struct {
    const char *text, *utc; /* NULL: none */
} dates[] = {
    {"Sun, 22 Nov 2026 03:00:00 +0000", "2026-11-22T03:00:00.000000Z"},
    {"Sun, 22 Nov 2026 03:00:00 +0130", "2026-11-22T01:30:00.000000Z"},
    {"22 Nov 2026 03:00 -0800 (PST)", "2026-11-22T11:00:00.000000Z"},
    {" Sun ,\r\n 1 (the (first) \\) of)JAN 2000 00:00:59 GMT", "2000-01-01T00:00:59.000000Z"},
    {"Thu, 29 Feb 2024 23:59:60 EST", "2024-03-01T05:00:00.000000Z"},
    {"1 January 1970 00:00 Z", "1970-01-01T00:00:00.000000Z"},
    {"1 Jan 49 00:00:00 UT", "2049-01-01T00:00:00.000000Z"},
    {"1 Jan 99 00:00:00 UT", "1999-01-01T00:00:00.000000Z"},
    {"31 Dec 2099 12:00:00 somewhere", "2099-12-31T12:00:00.000000Z"},
    {"1 Mar 2100 12:00:00 +0000 and more", "2100-03-01T12:00:00.000000Z"},
    {"29 Feb 2023 00:00:00 +0000", NULL},
    {"29 Feb 2100 00:00:00 +0000", NULL},
    {"31 Nov 2026 00:00:00 +0000", NULL},
    {"0 Nov 2026 00:00:00 +0000", NULL},
    {"22 Nov 1969 00:00:00 +0000", NULL},
    {"22 Nov 2026 24:00:00 +0000", NULL},
    {"22 Nov 2026 03:00:", NULL},
    {"22 Nov 2026", NULL},
    {"22 Foo 2026 03:00:00 +0000", NULL},
    {"2026-11-22T03:00:00Z", NULL},
    {"99999999999999999999 Nov 2026 03:00:00", NULL},
    {"Sun,", NULL},
    {"(((((", NULL},
    {"\\", NULL},
    {"", NULL},
};

static void a_date_is_read_or_is_none(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(dates); i++) {
        int64_t us;
        char    text[28] = "";

        if (date_parse(span_of(dates[i].text), &us))
            clock_format_utc(us, text);
        check_text(dates[i].text, span_of(text), dates[i].utc != NULL ? dates[i].utc : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_date_is_read_or_is_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
