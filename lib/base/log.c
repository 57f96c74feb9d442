/* lib/base/log.c - see log.h. A line is built in the caller's struct, so that no thread waits for another. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define ELLIPSIS "\xE2\x80\xA6"
#define ROOM (sizeof(((struct log_line *)0)->text) - sizeof(ELLIPSIS "\n")) /* what may be filled before the "…" */

static const struct {
    const char *word;
    int         priority;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
};

/* Written by log_open() in main, before there are threads; `least` also later. */
static struct {
    const char     *program;
    enum log_target target;
    atomic_int      least; /* enum log_level */
} sink = {"postern", LOG_TO_STDERR, LOG_LEVEL_INFO};

void log_open(const char *program, enum log_target target, enum log_level least)
{
    sink.program = program;
    sink.target = target;
    log_set_least(least);
    if (target == LOG_TO_SYSLOG)
        openlog(program, LOG_PID, LOG_MAIL);
}

void log_set_least(enum log_level least) { atomic_store_explicit(&sink.least, least, memory_order_relaxed); }

bool log_wants(enum log_level level) { return (int)level >= atomic_load_explicit(&sink.least, memory_order_relaxed); }

/* Once something did not fit, the line ends with "…" and takes no more. */
static void put(struct log_line *l, const char *p, size_t n)
{
    if (!l->on || l->cut)
        return;
    if (n > ROOM - l->n) {
        l->cut = true;
        p = ELLIPSIS;
        n = sizeof ELLIPSIS - 1;
    }
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static void put_str(struct log_line *l, const char *s) { put(l, s, strlen(s)); }

static void put_escaped(struct log_line *l, struct span s, bool quoted)
{
    char safe[UTF8_SAFE_MAX];

    for (size_t at = 0; at < s.n && l->on && !l->cut;) {
        if (s.p[at] == '\\' || (quoted && s.p[at] == '"'))
            put(l, "\\", 1);
        put(l, safe, utf8_next_safe(s, &at, safe));
    }
}

static bool needs_quotes(struct span s)
{
    return s.n == 0 || span_chr(s, ' ') < s.n || span_chr(s, '"') < s.n || span_chr(s, '=') < s.n;
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    char now[28];

    l->level = level;
    l->on = log_wants(level);
    l->cut = false;
    l->n = 0;
    if (!l->on)
        return;
    if (sink.target == LOG_TO_STDERR) {
        clock_format_utc(clock_wall_us(), now);
        put_str(l, now);
        put_str(l, " ");
        put_str(l, levels[level].word);
        put_str(l, " ");
        put_str(l, sink.program);
        put_str(l, ": ");
    }
    put_str(l, event);
}

void log_span(struct log_line *l, const char *key, struct span value)
{
    bool quoted = needs_quotes(value);

    put_str(l, " ");
    put_str(l, key);
    put_str(l, quoted ? "=\"" : "=");
    put_escaped(l, value, quoted);
    if (quoted)
        put_str(l, "\"");
}

void log_str(struct log_line *l, const char *key, const char *value) { log_span(l, key, span_of(value)); }

void log_i64(struct log_line *l, const char *key, int64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%lld", (long long)value);
    log_str(l, key, digits);
}

void log_f64(struct log_line *l, const char *key, double value, int decimals)
{
    char digits[400]; /* the largest double has 309 digits before its point */

    snprintf(digits, sizeof digits, "%.*f", decimals < 0 ? 0 : decimals > 15 ? 15 : decimals, value);
    log_str(l, key, digits);
}

void log_end(struct log_line *l)
{
    if (!l->on)
        return;
    l->text[l->n] = '\0';
    if (sink.target == LOG_TO_SYSLOG) {
        syslog(levels[l->level].priority, "%s", l->text);
        return;
    }
    l->text[l->n++] = '\n';
    /* A log that cannot be written has nobody to tell. */
    if (write(STDERR_FILENO, l->text, l->n) < 0)
        return;
}

void log_err(enum log_level level, const char *event, const struct err *e)
{
    struct log_line l;

    log_begin(&l, level, event);
    log_str(&l, "error", err_word(e->code));
    log_str(&l, "why", e->text);
    log_end(&l);
}

void log_text(enum log_level level, const char *fmt, ...)
{
    struct log_line l;
    char            text[sizeof l.text];
    va_list         ap;

    if (!log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_begin(&l, level, "");
    put_escaped(&l, span_of(text), false);
    log_end(&l);
}
