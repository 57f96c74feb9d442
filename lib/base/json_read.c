/* lib/base/json_read.c - see json_read.h. */
#include "base/json_read.h"

#include "base/utf8.h"

static char peek(const struct json_read *r) { return r->at < r->in.n ? r->in.p[r->at] : '\0'; }

static void skip_blanks(struct json_read *r)
{
    while (r->at < r->in.n && (r->in.p[r->at] == ' ' || (r->in.p[r->at] >= '\t' && r->in.p[r->at] <= '\r' &&
                                                         r->in.p[r->at] != '\v' && r->in.p[r->at] != '\f')))
        r->at++;
}

static int fail(const struct json_read *r, struct err *e, const char *what)
{
    if (r->at >= r->in.n)
        return err_at(e, r->at, "byte %zu: the JSON ends where %s was expected", r->at + 1, what);
    return err_at(e, r->at, "byte %zu: %s was expected", r->at + 1, what);
}

/* Four hex digits at `at`, or -1. */
static int32_t hex4(struct span s, size_t at)
{
    int32_t v = 0;

    if (s.n < 4 || at > s.n - 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        char c = s.p[i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            v = v << 4 | ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return v;
}

/* Behind "\u" at *at: the code point, surrogates joined; 0 when it is none that may stand in a string. */
static uint32_t unicode(struct span s, size_t *at)
{
    int32_t high = hex4(s, *at), low;

    *at += 4;
    if (high <= 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return 0;
    if (high < 0xD800 || high > 0xDFFF)
        return (uint32_t)high;
    if (!span_starts(span_skip(s, *at), SPAN("\\u")) || (low = hex4(s, *at + 2)) < 0xDC00 || low > 0xDFFF)
        return 0;
    *at += 6;
    return 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

/* `raw` is the inside of a string, known to end before its closing quote; r->at is where it starts. */
static int unescape(struct json_read *r, struct span raw, struct span *out, struct err *e)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char             *p = arena_alloc(r->arena, raw.n);
    size_t            n = 0;

    if (p == NULL)
        return err_set(e, ERR_LIMIT, "no memory left for a text of %zu bytes", raw.n);
    for (size_t at = 0; at < raw.n;) {
        const char *known;
        size_t      begun = at;
        uint32_t    cp;

        if (raw.p[at] != '\\') {
            p[n++] = raw.p[at++];
            continue;
        }
        if (raw.p[++at] == 'u') {
            at++;
            if ((cp = unicode(raw, &at)) == 0)
                return err_at(e, r->at + begun, "byte %zu: this escape is no character that may stand in a text",
                              r->at + begun + 1);
            n += utf8_put(cp, p + n);
        } else if ((known = memchr(from, raw.p[at], sizeof from - 1)) != NULL) {
            p[n++] = to[known - from];
            at++;
        } else {
            return err_at(e, r->at + begun, "byte %zu: no such escape - write \"\\\\\" for a backslash",
                          r->at + begun + 1);
        }
    }
    *out = span_make(p, n);
    return 0;
}

/* At the opening quote. */
static int read_string(struct json_read *r, struct span *out, struct err *e)
{
    size_t from = r->at + 1, at = from;
    bool   escapes = false, wide = false;

    for (; at < r->in.n && r->in.p[at] != '"'; at++) {
        uint8_t c = (uint8_t)r->in.p[at];

        if (c < 0x20)
            return err_at(e, at, "byte %zu: a control character in a text - write it as \\u%04x", at + 1, c);
        wide |= c >= 0x80;
        if (c == '\\') {
            escapes = true;
            at++;
        }
    }
    if (at >= r->in.n)
        return err_at(e, r->at, "byte %zu: this text has no closing quote", r->at + 1);
    *out = span_make(r->in.p + from, at - from);
    r->at = from;
    if (wide && !utf8_valid(*out))
        return err_at(e, from + utf8_clip(*out, out->n), "byte %zu: not valid UTF-8",
                      from + utf8_clip(*out, out->n) + 1);
    if (escapes && unescape(r, *out, out, e) < 0)
        return -1;
    r->at = at + 1;
    return 0;
}

static bool digits(struct json_read *r)
{
    size_t from = r->at;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > from;
}

static int read_number(struct json_read *r, struct span *out, struct err *e)
{
    size_t from = r->at;
    bool   good;

    r->at += peek(r) == '-';
    if (peek(r) == '0') {
        r->at++;
        good = !(peek(r) >= '0' && peek(r) <= '9');
    } else {
        good = digits(r);
    }
    if (good && peek(r) == '.') {
        r->at++;
        good = digits(r);
    }
    if (good && (peek(r) | 0x20) == 'e') {
        r->at++;
        r->at += peek(r) == '+' || peek(r) == '-';
        good = digits(r);
    }
    if (!good)
        return fail(r, e, "a number");
    *out = span_make(r->in.p + from, r->at - from);
    return 0;
}

int json_value(struct json_read *r, struct json_value *out, struct err *e)
{
    static const struct {
        struct span    word;
        enum json_type type;
        bool           yes;
    } words[] = {{{"null", 4}, JSON_NULL, false}, {{"true", 4}, JSON_BOOL, true}, {{"false", 5}, JSON_BOOL, false}};

    skip_blanks(r);
    *out = (struct json_value){.at = r->at};
    switch (peek(r)) {
    case '"': out->type = JSON_STRING; return read_string(r, &out->text, e);
    case '{':
    case '[':
        out->type = r->in.p[r->at++] == '{' ? JSON_OBJECT : JSON_ARRAY;
        r->first = true;
        return 0;
    case '-': out->type = JSON_NUMBER; return read_number(r, &out->text, e);
    default: break;
    }
    if (peek(r) >= '0' && peek(r) <= '9') {
        out->type = JSON_NUMBER;
        return read_number(r, &out->text, e);
    }
    for (size_t i = 0; i < COUNT(words); i++) {
        if (span_starts(span_skip(r->in, r->at), words[i].word)) {
            r->at += words[i].word.n;
            out->type = words[i].type;
            out->yes = words[i].yes;
            return 0;
        }
    }
    return fail(r, e, "a value");
}

/* Before an item: the comma, where one must stand. 1 an item follows, 0 `close` came. */
static int next_item(struct json_read *r, char close, const char *or_close, struct err *e)
{
    bool first = r->first;

    r->first = false;
    skip_blanks(r);
    if (peek(r) == close && r->at < r->in.n) {
        r->at++;
        return 0;
    }
    if (first)
        return 1;
    if (peek(r) != ',')
        return fail(r, e, or_close);
    r->at++;
    return 1;
}

int json_item(struct json_read *r, struct err *e) { return next_item(r, ']', "a comma or \"]\"", e); }

int json_member(struct json_read *r, struct json_value *key_out, struct err *e)
{
    int rc = next_item(r, '}', "a comma or \"}\"", e);

    if (rc <= 0)
        return rc;
    skip_blanks(r);
    if (peek(r) != '"')
        return fail(r, e, "a key in quotes");
    *key_out = (struct json_value){.type = JSON_STRING, .at = r->at};
    if (read_string(r, &key_out->text, e) < 0)
        return -1;
    skip_blanks(r);
    if (peek(r) != ':')
        return fail(r, e, "a colon");
    r->at++;
    return 1;
}

int json_end(struct json_read *r, struct err *e)
{
    skip_blanks(r);
    return r->at == r->in.n ? 0 : err_at(e, r->at, "byte %zu: something stands behind the end of the JSON", r->at + 1);
}

bool json_i64(const struct json_value *v, int64_t *out)
{
    return v->type == JSON_NUMBER && !span_is(v->text, "-0") && span_i64(v->text, out);
}

const char *json_type_word(enum json_type t)
{
    static const char *const words[] = {"null", "true or false", "a number", "a text", "a list", "an object"};

    return words[t];
}

int json_over(struct json_read *r, const struct json_value *first, struct err *e)
{
    char              open[JSON_OVER_DEPTH];
    size_t            depth = 0;
    struct json_value v = *first, key;

    for (;;) {
        if (v.type == JSON_ARRAY || v.type == JSON_OBJECT) {
            if (depth == JSON_OVER_DEPTH)
                return err_at(e, v.at, "is nested more than %d deep", JSON_OVER_DEPTH);
            open[depth++] = v.type == JSON_OBJECT;
        }
        for (;;) {
            if (depth == 0)
                return 0;
            int rc = open[depth - 1] ? json_member(r, &key, e) : json_item(r, e);
            if (rc < 0)
                return -1;
            if (rc > 0)
                break;
            depth--;
        }
        if (json_value(r, &v, e) < 0)
            return -1;
    }
}
