/* rulesd/maillog.c - a line's stamp and program, and who reads the rest of it. */
#include "maillog.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "maillog_take.h"

const char *const mail_event_words[] = {"arrived", "message_id", "queued",  "attempt", "expired", "refused",
                                        "held",    "freed",      "deleted", "removed", "tls",     NULL};
const char *const mail_outcome_words[] = {"sent", "deferred", "bounced", NULL};

#define SECOND_US INT64_C(1000000)
#define TAG_MAX 128

/* ---- stamps ---- */

static bool two_digits(struct span s, size_t at, int *out)
{
    if (at + 2 > s.n || !is_digit(s.p[at + 1]) || (!is_digit(s.p[at]) && s.p[at] != ' '))
        return false;
    *out = (s.p[at] == ' ' ? 0 : s.p[at] - '0') * 10 + s.p[at + 1] - '0';
    return true;
}

static int month_of(struct span s)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int m = 0; m < 12; m++)
        if (s.n >= 3 && memcmp(s.p, names + 3 * m, 3) == 0)
            return m;
    return -1;
}

static int64_t local_us(struct tm tm)
{
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) * SECOND_US;
}

/* The year that puts it nearest to now: in January a line of December is of last year. */
static int64_t nearest_us(struct tm tm, int64_t now_us)
{
    time_t    now = (time_t)(now_us / SECOND_US);
    struct tm today;
    int64_t   best = 0;

    localtime_r(&now, &today);
    for (int year = today.tm_year - 1; year <= today.tm_year + 1; year++) {
        tm.tm_year = year;
        int64_t us = local_us(tm);

        if (year == today.tm_year - 1 || llabs(us - now_us) < llabs(best - now_us))
            best = us;
    }
    return best;
}

/* Consecutive lines share a minute, and working one out asks the system for its zone. */
static bool known_minute(struct maillog_clock *c, struct span minute)
{
    if (memcmp(c->minute, minute.p, minute.n) == 0 && (minute.n == sizeof c->minute || c->minute[minute.n] == '\0'))
        return true;
    memset(c->minute, 0, sizeof c->minute);
    memcpy(c->minute, minute.p, minute.n);
    return false;
}

/* "Nov 21 21:28:56 ", as syslog has it. */
static bool take_old_stamp(struct span *s, struct maillog_clock *c, int64_t *us_out)
{
    struct tm tm = {.tm_mon = month_of(*s)};
    int       second;

    if (s->n < 16 || tm.tm_mon < 0 || s->p[3] != ' ' || s->p[6] != ' ' || s->p[9] != ':' || s->p[12] != ':' ||
        s->p[15] != ' ' || !two_digits(*s, 13, &second))
        return false;
    if (!known_minute(c, span_head(*s, 12))) {
        if (!two_digits(*s, 4, &tm.tm_mday) || !two_digits(*s, 7, &tm.tm_hour) || !two_digits(*s, 10, &tm.tm_min)) {
            c->minute[0] = '\0';
            return false;
        }
        c->minute_us = nearest_us(tm, c->now_us);
    }
    *us_out = c->minute_us + second * SECOND_US;
    *s = span_skip(*s, 16);
    return true;
}

/* "2026-11-21T21:28:56.123456+01:00 " */
static bool take_new_stamp(struct span *s, int64_t *us_out)
{
    size_t n = span_chr(span_head(*s, 40), ' ');

    if (n < 20 || n == s->n || s->p[10] != 'T' || !clock_parse_utc(span_head(*s, n), us_out))
        return false;
    *s = span_skip(*s, n + 1);
    return true;
}

/* " +0100": what Exim writes with log_timezone. */
static bool take_zone(struct span *s, int64_t *seconds_out)
{
    int hours, minutes;

    if (s->n < 6 || s->p[0] != ' ' || (s->p[1] != '+' && s->p[1] != '-') || !two_digits(*s, 2, &hours) ||
        !two_digits(*s, 4, &minutes))
        return false;
    *seconds_out = (hours * 60 + minutes) * (s->p[1] == '-' ? -60 : 60);
    *s = span_skip(*s, 6);
    return true;
}

static void take_fraction(struct span *s, int64_t *us)
{
    int64_t worth = 100000;

    if (s->n == 0 || s->p[0] != '.')
        return;
    for (*s = span_skip(*s, 1); s->n > 0 && is_digit(s->p[0]); *s = span_skip(*s, 1), worth /= 10)
        *us += worth * (s->p[0] - '0');
}

/* "2026-11-21 21:28:56[.123][ +0100] ", as Exim has it. */
static bool take_exim_stamp(struct span *s, struct maillog_clock *c, int64_t *us_out)
{
    struct tm tm = {0};
    int       century, year, second;
    int64_t   zone;

    if (s->n < 20 || s->p[4] != '-' || s->p[7] != '-' || s->p[10] != ' ' || s->p[13] != ':' || s->p[16] != ':' ||
        !two_digits(*s, 0, &century) || !two_digits(*s, 2, &year) || !two_digits(*s, 5, &tm.tm_mon) ||
        !two_digits(*s, 8, &tm.tm_mday) || !two_digits(*s, 11, &tm.tm_hour) || !two_digits(*s, 14, &tm.tm_min) ||
        !two_digits(*s, 17, &second))
        return false;
    tm.tm_year = century * 100 + year - 1900;
    tm.tm_mon--;
    if (!known_minute(c, span_head(*s, 16)))
        c->minute_us = local_us(tm);
    *us_out = c->minute_us + second * SECOND_US;
    *s = span_skip(*s, 19);
    take_fraction(s, us_out);
    if (take_zone(s, &zone)) {
        tm.tm_sec = second;
        *us_out = ((int64_t)timegm(&tm) - zone) * SECOND_US + *us_out % SECOND_US;
    }
    return take_text(s, " ");
}

/* ---- the program ---- */

static size_t digits_of(struct span s)
{
    size_t n = 0;

    while (n < s.n && is_digit(s.p[n]))
        n++;
    return n;
}

/* "PROGRAM[PID]: " */
static bool take_tag(struct span *s, struct span *tag_out)
{
    size_t n = 0, digits;

    while (n < s->n && n < TAG_MAX && (is_word(s->p[n]) || s->p[n] == '/' || s->p[n] == '.' || s->p[n] == '-'))
        n++;
    struct span rest = span_skip(*s, n);
    if (n == 0 || !take_text(&rest, "["))
        return false;
    digits = digits_of(rest);
    rest = span_skip(rest, digits);
    if (digits == 0 || digits > 10 || !take_text(&rest, "]: "))
        return false;
    *tag_out = span_head(*s, n + digits + 2);
    *s = rest;
    return true;
}

/* Exim by way of syslog; its own stamp may stand there too, and then is the better one. */
static bool read_exim_syslog(struct span tag, struct span text, struct maillog_clock *c, struct mail_event *out)
{
    if (!span_starts(tag, SPAN("exim[")) && !span_starts(tag, SPAN("exim4[")))
        return false;
    take_exim_stamp(&text, c, &out->at_us);
    return maillog_read_exim(text, out);
}

static bool read_syslog(struct span rest, struct maillog_clock *c, struct mail_event *out)
{
    size_t      host = span_chr(span_head(rest, 256), ' ');
    struct span tag;

    if (host == 0 || host >= rest.n)
        return false;
    rest = span_skip(rest, host + 1);
    if (!take_tag(&rest, &tag))
        return false;
    return maillog_read_postfix(tag, rest, out) || read_exim_syslog(tag, rest, c, out);
}

bool maillog_read(struct span line, struct maillog_clock *clock, struct mail_event *out)
{
    int64_t at_us;

    memset(out, 0, sizeof *out);
    if (take_old_stamp(&line, clock, &at_us) || take_new_stamp(&line, &at_us)) {
        out->at_us = at_us;
        return read_syslog(line, clock, out);
    }
    if (!take_exim_stamp(&line, clock, &at_us))
        return false;
    out->at_us = at_us;
    return maillog_read_exim(line, out);
}

/* ---- what both MTAs' readers need ---- */

bool take_text(struct span *s, const char *text)
{
    struct span want = span_of(text);

    if (!span_starts(*s, want))
        return false;
    *s = span_skip(*s, want.n);
    return true;
}

/* Postfix and Exim write a local part with odd characters in quotes, so the first bracket outside of them is its end. */
bool take_bracketed(struct span *s, struct span *out)
{
    bool quoted = false;

    if (s->n == 0 || s->p[0] != '<')
        return false;
    for (size_t i = 1; i < s->n; i++) {
        if (quoted && s->p[i] == '\\')
            i++;
        else if (s->p[i] == '"')
            quoted = !quoted;
        else if (s->p[i] == '>' && !quoted) {
            *out = span_make(s->p + 1, i - 1);
            *s = span_skip(*s, i + 1);
            return true;
        }
    }
    return false;
}

bool take_host(struct span *s, struct span *host_out, struct span *ip_out, unsigned *port_out)
{
    size_t open = span_chr(span_head(*s, 512), '['), close;

    *port_out = 0;
    if (open >= s->n || s->p[open] != '[' || span_chr(span_head(*s, open), ' ') < open)
        return false;
    close = open + span_chr(span_head(span_skip(*s, open), 256), ']');
    if (close >= s->n || s->p[close] != ']')
        return false;
    *host_out = span_head(*s, open);
    *ip_out = span_between(s->p + open + 1, s->p + close);
    *s = span_skip(*s, close + 1);
    take_port(s, port_out);
    return true;
}

void take_port(struct span *s, unsigned *port_out)
{
    size_t   digits = 1;
    uint64_t port;

    while (digits < s->n && digits < 7 && is_digit(s->p[digits]))
        digits++;
    if (s->n > 0 && s->p[0] == ':' && span_u64(span_between(s->p + 1, s->p + digits), &port) && port < 65536) {
        *port_out = (unsigned)port;
        *s = span_skip(*s, digits);
    }
}

/* Of "5.1.1", at the front; 0: it is none. */
static size_t dsn_length(struct span s)
{
    struct span rest = s;

    if (digits_of(rest) != 1 || (rest.p[0] != '2' && rest.p[0] != '4' && rest.p[0] != '5'))
        return 0;
    rest = span_skip(rest, 1);
    for (int part = 0; part < 2; part++) {
        size_t n;

        if (!take_text(&rest, ".") || (n = digits_of(rest)) == 0 || n > 3)
            return 0;
        rest = span_skip(rest, n);
    }
    return s.n - rest.n;
}

/* Behind "host mx[192.0.2.1] " */
static struct span without_speaker(struct span s)
{
    struct span rest = s;

    if (!take_text(&rest, "host "))
        return s;
    rest = span_skip(rest, span_chr(span_head(rest, 600), ' '));
    return take_text(&rest, " said: ") || take_text(&rest, " refused to talk to me: ") ? rest : s;
}

static struct span without_command(struct span s)
{
    struct span rest = s;

    if (!span_ends(s, SPAN(" command)")))
        return s;
    for (size_t at = span_rchr(rest, '('); at < rest.n; at = span_rchr(rest, '(')) {
        if (span_starts(span_skip(rest, at), SPAN("(in reply to ")))
            return at > 0 && s.p[at - 1] == ' ' ? span_head(s, at - 1) : s;
        rest = span_head(rest, at);
    }
    return s;
}

struct span maillog_reply(struct span response, unsigned *code_out, struct span *dsn_out)
{
    struct span reply = without_command(without_speaker(response));
    uint64_t    code;

    *code_out = 0;
    if (reply.n >= 3 && (reply.n == 3 || reply.p[3] == ' ' || reply.p[3] == '-') && reply.p[0] >= '2' &&
        reply.p[0] <= '5' && span_u64(span_head(reply, 3), &code)) {
        struct span behind = span_skip(reply, 4);
        size_t      n = dsn_length(behind);

        *code_out = (unsigned)code;
        if (dsn_out->n == 0 && n > 0)
            *dsn_out = span_head(behind, n);
    }
    return reply;
}
