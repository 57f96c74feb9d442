/* rulesd/maillog_take.h - taking fields from the front of a log line. For maillog*.c alone.
 *
 * Each takes what it is named after from the front of *s and moves *s behind it; on false *s is as it was. */
#ifndef POSTERN_RULESD_MAILLOG_TAKE_H
#define POSTERN_RULESD_MAILLOG_TAKE_H

#include "base/span.h"

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool take_text(struct span *s, const char *text);
/* "<address>", up to the first '>' outside of quotes. */
bool take_bracketed(struct span *s, struct span *out);
/* "host[ip]" or "host[ip]:port"; the host holds no blank. */
bool take_host(struct span *s, struct span *host_out, struct span *ip_out, unsigned *port_out);
/* ":port", where there is one. */
void take_port(struct span *s, unsigned *port_out);

#endif
