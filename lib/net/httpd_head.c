/* lib/net/httpd_head.c - see httpd_head.h, and the readers of httpd.h: fields, cookies, parameters. */
#include "net/httpd_head.h"

#include "base/utf8.h"

const char *const httpd_method_words[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL};

static bool is_control(char c) { return (unsigned char)c < 0x20 || c == 0x7f; }

/* RFC 9110, 5.6.2. */
static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool httpd_is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char(s.p[i]))
            return false;
    return s.n > 0;
}

bool httpd_is_clean(struct span value)
{
    for (size_t i = 0; i < value.n; i++)
        if (is_control(value.p[i]))
            return false;
    return true;
}

enum httpd_method httpd_method_of(struct span word)
{
    size_t i = 0;

    while (httpd_method_words[i] != NULL && !span_is(word, httpd_method_words[i]))
        i++;
    return (enum httpd_method)i;
}

/* ---- Percent-encoding ------------------------------------------------------------------------------------- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at *at, decoded; -1: a % that no two digits follow. */
static int next_byte(struct span s, size_t *at, bool plus)
{
    char c = s.p[(*at)++];

    if (plus && c == '+')
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    int high = s.n - *at < 2 ? -1 : hex_of(s.p[*at]), low = high < 0 ? -1 : hex_of(s.p[*at + 1]);
    if (low < 0)
        return -1;
    *at += 2;
    return high * 16 + low;
}

/* Decoded text in the arena, followed by a NUL; SPAN_NONE: damaged, not UTF-8, a NUL in it, or no room. */
static struct span decode(struct span s, bool plus, struct arena *a)
{
    char  *out = arena_alloc(a, s.n + 1);
    size_t n = 0;

    if (out == NULL)
        return SPAN_NONE;
    for (size_t at = 0; at < s.n;) {
        int byte = next_byte(s, &at, plus);

        if (byte <= 0)
            return SPAN_NONE;
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return utf8_valid(span_make(out, n)) ? span_make(out, n) : SPAN_NONE;
}

/* ---- The target ------------------------------------------------------------------------------------------- */

/* No segment may mean something else to somebody behind us. */
static bool segments_are_plain(struct span path)
{
    struct span rest = span_skip(path, 1), segment;
    bool        last = rest.n == 0;

    while (!last) {
        last = span_chr(rest, '/') == rest.n;
        segment = span_head(rest, span_chr(rest, '/'));
        rest = span_skip(rest, segment.n + 1);
        if ((segment.n == 0 && !last) || span_is(segment, ".") || span_is(segment, ".."))
            return false;
    }
    return true;
}

/* "%2F" would make a segment of two, or two of one, depending on who decodes. */
static bool has_encoded_slash(struct span raw)
{
    for (size_t at = 0; at < raw.n;) {
        bool encoded = raw.p[at] == '%';

        if (next_byte(raw, &at, false) == '/' && encoded)
            return true;
    }
    return false;
}

enum httpd_refusal httpd_target_read(struct span target, struct arena *a, struct span *path_out, struct span *query_out)
{
    size_t      mark = span_chr(target, '?');
    struct span raw = span_head(target, mark), path;

    *path_out = SPAN_NONE;
    *query_out = span_skip(target, mark + 1);
    if (target.n > HTTPD_URL_MAX)
        return HTTPD_LONG_URL;
    if (raw.n == 0 || raw.p[0] != '/' || span_chr(target, ' ') < target.n || has_encoded_slash(raw) ||
        !httpd_is_clean(*query_out))
        return HTTPD_BAD_PATH;
    path = decode(raw, false, a);
    if (path.p == NULL || !httpd_is_clean(path) || !segments_are_plain(path))
        return HTTPD_BAD_PATH;
    *path_out = path;
    return HTTPD_FINE;
}

/* ---- Fields ----------------------------------------------------------------------------------------------- */

bool httpd_head_put(struct httpd_head *h, struct span name, struct span value)
{
    if (h->n == HTTPD_FIELDS_MAX)
        return false;
    h->fields[h->n++] = (struct httpd_head_field){name, value};
    return true;
}

/* How often a field came; the last one in *value_out. */
static size_t count_of(const struct httpd_head *h, const char *name, struct span *value_out)
{
    size_t n = 0;

    *value_out = SPAN_NONE;
    for (size_t i = 0; i < h->n; i++)
        if (span_is_ci(h->fields[i].name, name)) {
            *value_out = h->fields[i].value;
            n++;
        }
    return n;
}

static bool value_is_plain(struct span value)
{
    for (size_t i = 0; i < value.n; i++)
        if (is_control(value.p[i]) && value.p[i] != '\t')
            return false;
    return true;
}

static bool host_is_plain(struct span host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              strchr(".-_:[]", c) != NULL) ||
            c == '\0')
            return false;
    }
    return true;
}

static enum httpd_refusal framing_check(const struct httpd_head *h, bool http11, struct httpd_framing *out)
{
    struct span length, coding;
    size_t      lengths = count_of(h, "Content-Length", &length), codings = count_of(h, "Transfer-Encoding", &coding);

    out->follows = codings > 0 || lengths > 1 || (lengths == 1 && !span_is(length, "0"));
    if (lengths + codings > 1 || (codings == 1 && (!http11 || !span_is_ci(coding, "chunked"))))
        return HTTPD_BAD_FRAMING;
    if (lengths == 1 && !span_u64(length, &out->length))
        return HTTPD_BAD_FRAMING;
    out->chunked = codings == 1;
    return HTTPD_FINE;
}

enum httpd_refusal httpd_head_check(const struct httpd_head *h, bool http11, struct httpd_framing *out)
{
    struct span        host, expect;
    enum httpd_refusal framing;

    *out = (struct httpd_framing){0};
    framing = framing_check(h, http11, out);
    for (size_t i = 0; i < h->n; i++)
        if (!httpd_is_token(h->fields[i].name) || !value_is_plain(h->fields[i].value))
            return HTTPD_BAD_FIELD;
    if (framing != HTTPD_FINE)
        return framing;
    size_t hosts = count_of(h, "Host", &host);
    if (hosts > 1 || (hosts == 0 && http11) || !host_is_plain(span_trim(host)))
        return HTTPD_BAD_HOST;
    size_t expects = count_of(h, "Expect", &expect);
    if (expects > 1 || (expects == 1 && !span_is_ci(expect, "100-continue")))
        return HTTPD_BAD_EXPECT;
    out->waits = expects == 1 && http11;
    return HTTPD_FINE;
}

struct span httpd_field(const struct httpd_request *r, const char *name)
{
    const struct httpd_head *h = r->inside;

    for (size_t i = 0; i < h->n; i++)
        if (span_is_ci(h->fields[i].name, name))
            return span_trim(h->fields[i].value);
    return SPAN_NONE;
}

struct span httpd_list(const struct httpd_request *r, const char *name)
{
    const struct httpd_head *h = r->inside;
    struct span              list = SPAN_NONE, one;

    for (size_t i = 0; i < h->n; i++) {
        if (!span_is_ci(h->fields[i].name, name))
            continue;
        one = span_trim(h->fields[i].value);
        list = list.p == NULL ? one : arena_printf(r->arena, "%.*s, %.*s", SPAN_ARG(list), SPAN_ARG(one));
    }
    return list;
}

struct span httpd_cookie(const struct httpd_request *r, const char *name)
{
    const struct httpd_head *h = r->inside;
    struct span              found = SPAN_NONE, rest, pair;

    for (size_t i = 0; i < h->n; i++) {
        if (!span_is_ci(h->fields[i].name, "Cookie"))
            continue;
        for (rest = h->fields[i].value; span_next(&rest, ';', &pair);) {
            size_t eq = span_chr(pair, '=');

            if (eq == pair.n || !span_is(span_trim(span_head(pair, eq)), name))
                continue;
            if (found.p != NULL)
                return SPAN_NONE;
            found = span_trim(span_skip(pair, eq + 1));
        }
    }
    return found;
}

static bool name_is(struct span encoded, const char *name)
{
    for (size_t at = 0; at < encoded.n; name++)
        if (*name == '\0' || next_byte(encoded, &at, true) != (unsigned char)*name)
            return false;
    return *name == '\0';
}

struct span httpd_param(const struct httpd_request *r, struct span from, const char *name)
{
    struct span pair;

    while (span_next(&from, '&', &pair)) {
        size_t eq = span_chr(pair, '=');

        if (name_is(span_head(pair, eq), name))
            return decode(span_skip(pair, eq + 1), true, r->arena);
    }
    return SPAN_NONE;
}

bool httpd_etag_named(struct span list, struct span etag)
{
    struct span one;

    if (span_starts(etag, SPAN("W/")))
        etag = span_skip(etag, 2);
    if (etag.n == 0)
        return false;
    while (span_next(&list, ',', &one)) { /* our own ETags have no comma */
        one = span_trim(one);
        if (span_starts(one, SPAN("W/")))
            one = span_skip(one, 2);
        if (span_eq(one, etag) || span_is(one, "*"))
            return true;
    }
    return false;
}
