/* lib/base/utf8.c - see utf8.h. One decoder; everything else is what to do with a character. */
#include "base/utf8.h"

#include <stdio.h>

/* What may follow a lead byte, as the Unicode standard has it (table 3-7): its second byte decides about
 * overlong forms, surrogates and the end of Unicode; all further ones are 80..BF. */
static const struct lead {
    uint8_t first, last, extra, second_min, second_max;
} leads[] = {
    {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF}, {0xE1, 0xEC, 2, 0x80, 0xBF}, {0xED, 0xED, 2, 0x80, 0x9F},
    {0xEE, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF}, {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

static const struct lead *lead_of(uint8_t c)
{
    for (const struct lead *l = leads; l < leads + COUNT(leads); l++) {
        if (c >= l->first && c <= l->last)
            return l;
    }
    return NULL;
}

/* Bytes of the good multi-byte character at p, of which n are there; 0 when it is bad. */
static size_t decode(const uint8_t *p, size_t n, uint32_t *cp_out)
{
    const struct lead *l = lead_of(p[0]);
    uint32_t           cp;

    if (l == NULL || n <= l->extra || p[1] < l->second_min || p[1] > l->second_max)
        return 0;
    cp = p[0] & (0x3Fu >> l->extra);
    for (size_t i = 1; i <= l->extra; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 0x3F);
    }
    *cp_out = cp;
    return 1 + (size_t)l->extra;
}

uint32_t utf8_next(struct span s, size_t *at, bool *ok_out)
{
    const uint8_t *p = (const uint8_t *)s.p + *at;
    uint32_t       cp = p[0];
    size_t         len = cp < 0x80 ? 1 : decode(p, s.n - *at, &cp);

    if (ok_out != NULL)
        *ok_out = len > 0;
    *at += len > 0 ? len : 1;
    return len > 0 ? cp : UTF8_BAD;
}

size_t utf8_put(uint32_t cp, char out[4])
{
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        cp = UTF8_BAD;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

bool utf8_valid(struct span s) { return utf8_clip(s, s.n) == s.n; }

size_t utf8_clip(struct span s, size_t n)
{
    size_t at = 0, good = 0;
    bool   ok = true;

    n = n < s.n ? n : s.n;
    while (at < n) {
        utf8_next(s, &at, &ok);
        if (!ok || at > n)
            break;
        good = at;
    }
    return good;
}

/* Ends a line, turns the writing direction, or speaks to a terminal. */
static bool is_unsafe(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || cp == 0x61C || cp == 0x200E || cp == 0x200F ||
           (cp >= 0x2028 && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069);
}

size_t utf8_next_safe(struct span s, size_t *at, char out[UTF8_SAFE_MAX])
{
    size_t   start = *at;
    bool     ok;
    uint32_t cp = utf8_next(s, at, &ok);

    if (!ok)
        return (size_t)snprintf(out, UTF8_SAFE_MAX, "\\x%02x", (uint8_t)s.p[start]);
    if (!is_unsafe(cp)) {
        memcpy(out, s.p + start, *at - start);
        return *at - start;
    }
    if (cp == '\n' || cp == '\t' || cp == '\r') {
        out[0] = '\\';
        out[1] = cp == '\n' ? 'n' : cp == '\t' ? 't' : 'r';
        return 2;
    }
    return (size_t)snprintf(out, UTF8_SAFE_MAX, cp < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)cp);
}

void utf8_put_escaped(struct buf *b, struct span s, char quote)
{
    char safe[UTF8_SAFE_MAX];

    for (size_t at = 0; at < s.n;) {
        char first = s.p[at];

        if (first == '\\' || (quote != 0 && first == quote))
            buf_putc(b, '\\');
        buf_put(b, span_make(safe, utf8_next_safe(s, &at, safe)));
    }
}

/* Good characters go out in runs: most text is nothing else. */
void json_put_chars(struct buf *b, struct span s)
{
    size_t run = 0, at = 0;

    while (at < s.n) {
        size_t   start = at;
        bool     ok;
        uint32_t cp = utf8_next(s, &at, &ok);

        if (ok && cp >= 0x20 && cp != '"' && cp != '\\')
            continue;
        buf_put(b, span_between(s.p + run, s.p + start));
        run = at;
        if (!ok)
            buf_puts(b, "\xEF\xBF\xBD");
        else if (cp < 0x20)
            buf_printf(b, "\\u%04x", (unsigned)cp);
        else
            buf_printf(b, "\\%c", (char)cp);
    }
    buf_put(b, span_skip(s, run));
}

void json_put_string(struct buf *b, struct span s)
{
    buf_putc(b, '"');
    json_put_chars(b, s);
    buf_putc(b, '"');
}
