/* lib/mail/date.c - see date.h. Words are taken one by one; comments and blanks are what stands between. */
#include "mail/date.h"

#include "mail/text.h"

#define US INT64_C(1000000)

/* The next word: letters, digits, signs; or one other character. Empty at the end. */
static struct span next_word(struct span *rest)
{
    struct span word;
    size_t      n = 0;

    *rest = text_skip_comments(*rest, NULL);
    while (n < rest->n && span_chr(SPAN(" \t\r\n(),:"), rest->p[n]) == 8)
        n++;
    word = span_head(*rest, n > 0 ? n : 1);
    *rest = span_skip(*rest, word.n);
    return word;
}

static bool take_number(struct span *rest, size_t digits, int64_t max, int64_t *out)
{
    struct span word = next_word(rest);
    uint64_t    n;

    if (word.n > digits || !span_u64(word, &n) || n > (uint64_t)max)
        return false;
    *out = (int64_t)n;
    return true;
}

static bool take_month(struct span *rest, int64_t *out)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    struct span       word = next_word(rest);

    for (int i = 0; i < 12; i++) {
        if (word.n >= 3 && span_eq_ci(span_head(word, 3), span_make(names + 3 * i, 3))) {
            *out = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_year(struct span *rest, int64_t *out)
{
    struct span peek = *rest;
    size_t      digits = next_word(&peek).n;

    if (digits < 2 || !take_number(rest, 4, 9999, out))
        return false;
    if (digits < 4)
        *out += digits == 2 && *out < 50 ? 2000 : 1900;
    return *out >= 1970;
}

/* hh:mm or hh:mm:ss, in seconds. */
static bool take_time(struct span *rest, int64_t *out)
{
    struct span peek;
    int64_t     h, m, s = 0;

    if (!take_number(rest, 2, 23, &h) || !span_is(next_word(rest), ":") || !take_number(rest, 2, 59, &m))
        return false;
    peek = *rest;
    if (span_is(next_word(&peek), ":")) {
        *rest = peek;
        if (!take_number(rest, 2, 60, &s))
            return false;
    }
    *out = h * 3600 + m * 60 + s;
    return true;
}

/* "+0130", "EST": seconds east of Greenwich. */
static int64_t zone(struct span word)
{
    static const struct {
        const char *name;
        int         hours;
    } names[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    uint64_t n;

    if (word.n == 5 && (word.p[0] == '+' || word.p[0] == '-') && span_u64(span_skip(word, 1), &n)) {
        int64_t east = (int64_t)(n / 100 * 3600 + n % 100 * 60);

        return word.p[0] == '-' ? -east : east;
    }
    for (size_t i = 0; i < COUNT(names); i++)
        if (span_is_ci(word, names[i].name))
            return names[i].hours * INT64_C(3600);
    return 0;
}

/* Days since 1970 of the Gregorian calendar; March begins the year, so that the odd day is its last. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    int64_t era, of_era, of_year;

    y -= m <= 2;
    era = y / 400;
    of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    of_era = (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + of_year;
    return era * 146097 + of_era - 719468;
}

static int64_t days_in(int64_t y, int64_t m) { return days_of(m < 12 ? y : y + 1, m % 12 + 1, 1) - days_of(y, m, 1); }

bool date_parse(struct span text, int64_t *us_out)
{
    struct span rest = span_head(text, 1000), peek = rest;
    int64_t     day, month, year, second, east;

    next_word(&peek);
    if (span_is(next_word(&peek), ","))
        rest = peek;
    if (!take_number(&rest, 2, 31, &day) || !take_month(&rest, &month) || !take_year(&rest, &year) ||
        !take_time(&rest, &second) || day < 1 || day > days_in(year, month))
        return false;
    east = zone(next_word(&rest));
    *us_out = (days_of(year, month, day) * 86400 + second - east) * US;
    return true;
}
