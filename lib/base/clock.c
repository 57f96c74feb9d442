/* lib/base/clock.c - see clock.h. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/err.h"

#define SECOND_US 1000000

static int64_t read_us(clockid_t which)
{
    struct timespec t;

    if (clock_gettime(which, &t) < 0)
        panic("clock_gettime(%d) failed", (int)which);
    return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

int64_t clock_wall_us(void) { return read_us(CLOCK_REALTIME); }

int64_t clock_mono_us(void) { return read_us(CLOCK_MONOTONIC); }
int64_t clock_boot_us(void) { return read_us(CLOCK_BOOTTIME); }

int64_t clock_thread_cpu_us(void) { return read_us(CLOCK_THREAD_CPUTIME_ID); }

/* 60 bits of time: milliseconds since 1970, and 4096ths of one. Each call gives more than the last did, so ids
 * made at once, or after the clock stepped back, count on from there. */
static uint64_t next_tick(void)
{
    static _Atomic uint64_t last;
    int64_t                 now_us = clock_wall_us();
    uint64_t                before = atomic_load(&last),
             now = (uint64_t)(now_us / 1000) << 12 | (uint64_t)(now_us % 1000 * 4096 / 1000);
    uint64_t mine;

    do
        mine = now > before ? now : before + 1;
    while (!atomic_compare_exchange_weak(&last, &before, mine));
    return mine;
}

/* Eight bytes nobody can guess. A thread draws 256 at once, which getrandom(2) never cuts short: a call for each UUID would
 * cost more than the UUID. */
static void draw(uint8_t out[8])
{
    static _Thread_local uint8_t pool[256];
    static _Thread_local size_t  left;

    if (left == 0) {
        if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool)
            panic("getrandom gave no bytes");
        left = sizeof pool;
    }
    left -= 8;
    memcpy(out, pool + left, 8);
    memset(pool + left, 0, 8);
}

struct uuid uuid7_make(void)
{
    uint64_t    tick = next_tick(), ms = tick >> 12;
    struct uuid u;

    draw(u.b + 8);
    for (size_t i = 0; i < 6; i++)
        u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    u.b[6] = (uint8_t)(0x70 | (tick >> 8 & 0x0F));
    u.b[7] = (uint8_t)tick;
    u.b[8] = (uint8_t)(0x80 | (u.b[8] & 0x3F));
    return u;
}

static bool dash_at(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

void uuid_format(const struct uuid *u, char out[UUID_TEXT + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t            nibble = 0;

    for (size_t i = 0; i < UUID_TEXT; i++) {
        if (dash_at(i)) {
            out[i] = '-';
            continue;
        }
        out[i] = digits[nibble % 2 ? u->b[nibble / 2] & 15 : u->b[nibble / 2] >> 4];
        nibble++;
    }
    out[UUID_TEXT] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_parse(struct span text, struct uuid *out)
{
    struct uuid u = {{0}};
    size_t      nibble = 0;

    if (text.n != UUID_TEXT)
        return false;
    for (size_t i = 0; i < UUID_TEXT; i++) {
        int v = hex_value(text.p[i]);

        if (dash_at(i) ? text.p[i] != '-' : v < 0)
            return false;
        if (dash_at(i))
            continue;
        u.b[nibble / 2] = (uint8_t)(u.b[nibble / 2] << 4 | v);
        nibble++;
    }
    *out = u;
    return true;
}

#define YEAR_1_US (-62135596800 * SECOND_US)
#define YEAR_9999_US (253402300800 * SECOND_US - 1)

void clock_format_utc(int64_t us, char out[28])
{
    struct tm tm;
    time_t    seconds;
    char      text[80]; /* as wide as the compiler can imagine these numbers */

    us = us < YEAR_1_US ? YEAR_1_US : us > YEAR_9999_US ? YEAR_9999_US : us;
    seconds = (time_t)(us / SECOND_US - (us % SECOND_US < 0));
    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us - (int64_t)seconds * SECOND_US));
    memcpy(out, text, 27);
    out[27] = '\0';
}

/* Takes exactly `digits` digits and, unless 0, the character `then` from the front of *s. */
static bool take(struct span *s, size_t digits, char then, int *out)
{
    uint64_t v;

    if (s->n < digits || !span_u64(span_head(*s, digits), &v))
        return false;
    *s = span_skip(*s, digits);
    *out = (int)v;
    if (then == 0)
        return true;
    if (s->n == 0 || s->p[0] != then)
        return false;
    *s = span_skip(*s, 1);
    return true;
}

static bool take_date(struct span *s, struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int              year, month, day;

    if (!take(s, 4, '-', &year) || !take(s, 2, '-', &month) || !take(s, 2, 0, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > days[month - 1] + (month == 2 && leap))
        return false;
    *tm = (struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return true;
}

/* ".123": at least one digit, those behind the sixth do not count. */
static bool take_fraction(struct span *s, int64_t *us_out)
{
    int64_t us = 0, worth = 100000;
    size_t  n = 0;

    *us_out = 0;
    if (s->n == 0 || s->p[0] != '.')
        return true;
    *s = span_skip(*s, 1);
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++, worth /= 10)
        us += worth * (s->p[n] - '0');
    *s = span_skip(*s, n);
    *us_out = us;
    return n > 0;
}

static bool take_offset(struct span *s, int64_t *seconds_out)
{
    int hours, minutes, sign;

    if (s->n == 1 && (s->p[0] == 'Z' || s->p[0] == 'z')) {
        *seconds_out = 0;
        return true;
    }
    if (s->n != 6 || (s->p[0] != '+' && s->p[0] != '-'))
        return false;
    sign = s->p[0] == '-' ? -1 : 1;
    *s = span_skip(*s, 1);
    if (!take(s, 2, ':', &hours) || !take(s, 2, 0, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds_out = (int64_t)sign * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_parse_utc(struct span text, int64_t *us_out)
{
    struct tm tm;
    int64_t   fraction = 0, offset = 0;

    if (!take_date(&text, &tm))
        return false;
    if (text.n > 0) {
        if (text.p[0] != 'T' && text.p[0] != 't' && text.p[0] != ' ')
            return false;
        text = span_skip(text, 1);
        if (!take(&text, 2, ':', &tm.tm_hour) || !take(&text, 2, ':', &tm.tm_min) || !take(&text, 2, 0, &tm.tm_sec))
            return false;
        if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60) /* :60 is a leap second */
            return false;
        if (!take_fraction(&text, &fraction) || !take_offset(&text, &offset))
            return false;
    }
    *us_out = ((int64_t)timegm(&tm) - offset) * SECOND_US + fraction;
    return true;
}
