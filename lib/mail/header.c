/* lib/mail/header.c - see header.h. */
#include "mail/header.h"

/* Length of the first line of s, its line end included. */
static size_t line_size(struct span s)
{
    size_t at = span_chr(s, '\n');

    return at < s.n ? at + 1 : s.n;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Length of the field name at the start of s, or 0 when there is no field. *colon_out: where its colon is. */
static size_t name_size(struct span s, size_t *colon_out)
{
    size_t n = 0, at;

    while (n < s.n && s.p[n] > ' ' && s.p[n] < 0x7f && s.p[n] != ':')
        n++;
    at = n;
    while (at < s.n && is_blank(s.p[at]))
        at++;
    *colon_out = at;
    return at < s.n && s.p[at] == ':' ? n : 0;
}

/* Does s begin with an empty line (a bare CR or several before the LF count as nothing)? Its length, or 0. */
static size_t empty_line_size(struct span s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] == '\r')
        n++;
    return n < s.n && s.p[n] == '\n' ? n + 1 : 0;
}

static struct span without_line_end(struct span s)
{
    if (s.n > 0 && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n > 0 && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

bool header_next(struct span *rest, struct header *out)
{
    struct span s = *rest;
    size_t      colon, name = name_size(s, &colon), n;

    if (name == 0) {
        *rest = span_skip(s, empty_line_size(s));
        return false;
    }
    n = colon + line_size(span_skip(s, colon));
    while (n < s.n && is_blank(s.p[n]))
        n += line_size(span_skip(s, n));
    out->name = span_head(s, name);
    out->whole = span_head(s, n);
    out->body = without_line_end(span_skip(out->whole, colon + 1));
    *rest = span_skip(s, n);
    return true;
}
