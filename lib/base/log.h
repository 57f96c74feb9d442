/* lib/base/log.h - one event a line: what happened, then key=value pairs.
 *
 * Values that a stranger wrote are escaped (utf8_put_escaped) and quoted when they hold a blank. lib/ logs
 * nothing above debug: it returns errors. No password, token or body is ever logged. Each line is one write(2)
 * or one syslog(3) call, so threads do not interleave. At most 4 KiB a line; the rest is cut with "…". */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* `program` is borrowed for ever. On stderr lines start with the UTC time and the level. */
void log_open(const char *program, enum log_target target, enum log_level least);
void log_set_least(enum log_level least); /* any thread, at any time */
bool log_wants(enum log_level level);

struct log_line {
    enum log_level level;
    bool           on, cut;
    size_t         n;
    char           text[4096];
};
/* `event` is ours: a few plain words, "rule changed". Then pairs in the words of the manual, then log_end(). */
void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_span(struct log_line *l, const char *key, struct span value);
void log_str(struct log_line *l, const char *key, const char *value);
void log_i64(struct log_line *l, const char *key, int64_t value);
void log_f64(struct log_line *l, const char *key, double value, int decimals);
void log_end(struct log_line *l);

/* A whole line at once: event and an error. */
void log_err(enum log_level level, const char *event, const struct err *e);
/* An event without pairs; the text is formatted, escaped, and ours. */
void log_text(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
