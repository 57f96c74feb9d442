/* lib/net/prometheus.c - see prometheus.h. */
#include "net/prometheus.h"

#include <math.h>
#include <stdlib.h>

/* strtod() wants an end; a number that is longer is none of ours. */
static bool read_number(struct span s, double *out)
{
    char text[64], *end;

    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

bool prometheus_sum(struct span text, const char *name, double *out)
{
    struct span own = span_of(name), line;
    bool        found = false;
    double      one;

    *out = 0;
    while (span_line(&text, &line)) {
        if (!span_starts(line, own) || line.n <= own.n || (line.p[own.n] != ' ' && line.p[own.n] != '{'))
            continue;
        if (read_number(span_skip(line, span_rchr(line, ' ') + 1), &one)) {
            *out += one;
            found = true;
        }
    }
    return found;
}
