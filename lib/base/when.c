/* lib/base/when.c - see when.h. A language is a row. */
#include "base/when.h"

static const struct tongue {
    const char *tag;
    const char *weekdays[7], *months[12], *short_weekdays[7], *short_months[12];
    const char *day;       /* weekday, day, month */
    const char *short_day; /* the same, short */
    const char *until;
} tongues[] = {
    {"en",
     {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
     {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
      "December"},
     {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
     {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
     "%s %d %s",
     "%s %d %s",
     "to"},
    {"de",
     {"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"},
     {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
      "Dezember"},
     {"So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"},
     {"Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."},
     "%s, %d. %s",
     "%s %d. %s",
     "bis"},
};

static const struct tongue *tongue_of(const char *language)
{
    for (size_t i = 1; i < COUNT(tongues); i++)
        if (language != NULL && span_starts_ci(span_of(language), span_of(tongues[i].tag)) &&
            (language[2] == '\0' || language[2] == '-'))
            return &tongues[i];
    return &tongues[0];
}

static void put_day(struct buf *b, const struct tongue *in, const struct zone_time *t)
{
    buf_printf(b, in->day, in->weekdays[t->weekday], t->day, in->months[t->month - 1]);
}

static void put_clock(struct buf *b, const struct zone_time *t) { buf_printf(b, "%02d:%02d", t->hour, t->minute); }

static void put_zone(struct buf *b, const struct zone_time *t)
{
    int minutes = (t->offset_s < 0 ? -t->offset_s : t->offset_s) / 60;

    if (t->abbreviation[0] != '+' && t->abbreviation[0] != '-')
        buf_puts(b, t->abbreviation);
    else
        buf_printf(b, "UTC%c%02d:%02d", t->offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

void when_put_day(struct buf *b, const struct zone *z, const char *language, int64_t us)
{
    struct zone_time t = zone_time(z, us);

    put_day(b, tongue_of(language), &t);
}

static void put_time(struct buf *b, const struct tongue *in, const struct zone_time *t)
{
    put_day(b, in, t);
    buf_puts(b, ", ");
    put_clock(b, t);
}

void when_put_time(struct buf *b, const struct zone *z, const char *language, int64_t us)
{
    struct zone_time t = zone_time(z, us);

    put_time(b, tongue_of(language), &t);
}

void when_put_short(struct buf *b, const struct zone *z, const char *language, int64_t us)
{
    const struct tongue *in = tongue_of(language);
    struct zone_time     t = zone_time(z, us);

    buf_printf(b, in->short_day, in->short_weekdays[t.weekday], t.day, in->short_months[t.month - 1]);
    buf_puts(b, ", ");
    put_clock(b, &t);
}

void when_put_zone(struct buf *b, const struct zone *z, int64_t us)
{
    struct zone_time t = zone_time(z, us);

    put_zone(b, &t);
}

static void put_zone_behind(struct buf *b, const struct zone_time *t)
{
    buf_puts(b, " (");
    put_zone(b, t);
    buf_putc(b, ')');
}

void when_put_period(struct buf *b, const struct zone *z, const char *language, int64_t from_us, int64_t to_us)
{
    const struct tongue *in = tongue_of(language);
    struct zone_time     from = zone_time(z, from_us), to = zone_time(z, to_us);

    put_time(b, in, &from);
    if (from.offset_s != to.offset_s)
        put_zone_behind(b, &from);
    buf_printf(b, " %s ", in->until);
    if (from.year == to.year && from.month == to.month && from.day == to.day)
        put_clock(b, &to);
    else
        put_time(b, in, &to);
    put_zone_behind(b, &to);
}
