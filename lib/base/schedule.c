/* lib/base/schedule.c - see schedule.h. A daily run belongs to a date of the calendar: its instant is the first at which the wall shows
 * that date's time or later, which says all about gaps and about hours that come twice. */
#include "base/schedule.h"

#define MINUTE_US INT64_C(60000000)
#define HOUR_MINUTES 60
#define DAY_MINUTES 1440
#define DAY_S INT64_C(86400)
#define AFTER_MAX_US INT64_C(253370764800000000) /* the year 9999: behind it zones end */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int check_numbers(const struct schedule *s, struct err *e)
{
    unsigned minutes = s->hourly ? HOUR_MINUTES : DAY_MINUTES;

    if (s->minute >= minutes)
        return err_set(e, ERR_INVALID, "minute %u is not one of the %u of %s", s->minute, minutes,
                       s->hourly ? "an hour" : "a day");
    if (!s->hourly && (s->weekdays == 0 || s->weekdays > SCHEDULE_EVERY_DAY))
        return err_set(e, ERR_INVALID, "no day of the week is chosen");
    return 0;
}

static const struct zone *open_zone(const struct schedule *s, struct err *e)
{
    return zone_open(span_make(s->zone, strnlen(s->zone, sizeof s->zone)), e);
}

int schedule_check(const struct schedule *s, struct err *e)
{
    const struct zone *z;

    if (check_numbers(s, e) < 0 || (z = open_zone(s, e)) == NULL)
        return -1;
    zone_close(&z);
    return 0;
}

/* Days count from 1970-01-01, a Thursday. */
static bool on_day(const struct schedule *s, int64_t day)
{
    int64_t weekday = (day % 7 + 7 + 4) % 7;

    return (s->weekdays >> weekday & 1) != 0;
}

/* Instants rise with dates, and those of dates before that of after_us have passed. */
static int64_t next_daily(const struct schedule *s, const struct zone *z, int64_t after_us)
{
    for (int64_t day = floor_div(zone_local_s(z, after_us), DAY_S);; day++) {
        int64_t at;

        if (!on_day(s, day))
            continue;
        at = zone_first_us(z, day * DAY_S + s->minute * INT64_C(60));
        if (at > after_us)
            return at;
    }
}

/* From the beginning of a minute, the next one that shows s->minute if no change of clocks comes between. */
static int64_t minute_from(const struct schedule *s, const struct zone *z, int64_t us)
{
    int64_t shown = floor_div(zone_local_s(z, us), 60) % HOUR_MINUTES;

    return us + (s->minute + HOUR_MINUTES - (shown + HOUR_MINUTES) % HOUR_MINUTES) % HOUR_MINUTES * MINUTE_US;
}

static int64_t next_hourly(const struct schedule *s, const struct zone *z, int64_t after_us)
{
    int64_t from = (floor_div(after_us, MINUTE_US) + 1) * MINUTE_US, at = minute_from(s, z, from), change;

    change = zone_change_us(z, from, at);
    return change <= at ? minute_from(s, z, change) : at;
}

int schedule_next_us(const struct schedule *s, int64_t after_us, int64_t *next_out, struct err *e)
{
    const struct zone *z;

    if (after_us < 0 || after_us >= AFTER_MAX_US)
        return err_set(e, ERR_INVALID, "nothing is scheduled before 1970 or after 9998");
    if (check_numbers(s, e) < 0 || (z = open_zone(s, e)) == NULL)
        return -1;
    *next_out = s->hourly ? next_hourly(s, z, after_us) : next_daily(s, z, after_us);
    zone_close(&z);
    return 0;
}
