/* lib/base/crlf.c - see crlf.h. */
#include "base/crlf.h"

/* Where a CR stands in front of a dot, or line.n. */
static size_t cr_dot(struct span line)
{
    size_t at = 0, step;

    while ((step = span_chr(span_skip(line, at), '\r')) < line.n - at) {
        at += step;
        if (at + 1 < line.n && line.p[at + 1] == '.')
            return at;
        at++;
    }
    return line.n;
}

bool crlf_line(struct span *rest, struct span *line_out)
{
    struct span whole = *rest, line;

    if (!span_line(rest, &line))
        return false;
    size_t cut = cr_dot(line);
    if (cut < line.n) {
        *rest = span_skip(whole, cut + 1);
        line = span_head(line, cut);
    }
    *line_out = line;
    return true;
}
