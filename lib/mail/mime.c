/* lib/mail/mime.c - see mime.h. A walk over the parameters yields each as written; the rest chooses and joins. */
#include "mail/mime.h"

#include "mail/text.h"

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static char lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

/* Skips blanks and comments. An unclosed comment takes the rest. */
static struct span skip_blanks(struct span s)
{
    size_t depth = 0, i = 0;

    for (; i < s.n; i++) {
        if (depth > 0 && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (depth > 0)
            depth -= s.p[i] == ')';
        else if (!is_blank(s.p[i]))
            break;
    }
    return span_skip(s, i);
}

struct span mime_value(struct span body, struct arena *a)
{
    struct span s = skip_blanks(body);
    char       *out;
    size_t      n = 0;

    while (n < s.n && s.p[n] != ';' && s.p[n] != '(' && !is_blank(s.p[n]))
        n++;
    if ((out = arena_alloc(a, n + 1)) == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < n; i++)
        out[i] = lower(s.p[i]);
    out[n] = 0;
    return span_make(out, n);
}

static bool is_type_char(char c) { return c > ' ' && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL; }

bool mime_is_type(struct span value)
{
    size_t slash = span_chr(value, '/');

    if (slash == 0 || slash + 1 >= value.n)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (i != slash && !is_type_char(value.p[i]))
            return false;
    }
    return true;
}

/* One parameter as written. `value` stands without its quotes, but still with escapes when `quoted`. */
struct param {
    struct span name, value;
    bool        quoted;
};

/* Length of the quoted string's inside at the start of s (behind the opening quote); to the end if it never closes. */
static size_t quoted_size(struct span s)
{
    size_t i = 0;

    while (i < s.n && s.p[i] != '"')
        i += s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '"' || s.p[i + 1] == '\\') ? 2 : 1;
    return i < s.n ? i : s.n;
}

/* *rest starts anywhere in front of a parameter's ';'. */
static bool param_next(struct span *rest, struct param *out)
{
    for (;;) {
        struct span s = span_skip(*rest, span_chr(*rest, ';'));
        size_t      n = 0;

        if (s.n == 0)
            return false;
        s = skip_blanks(span_skip(s, 1));
        while (n < s.n && s.p[n] != '=' && s.p[n] != ';')
            n++;
        out->name = span_trim(span_head(s, n));
        s = span_skip(s, n);
        if (s.n == 0 || s.p[0] == ';') { /* no value: not a parameter */
            *rest = s;
            continue;
        }
        s = skip_blanks(span_skip(s, 1));
        out->quoted = s.n > 0 && s.p[0] == '"';
        if (out->quoted)
            s = span_skip(s, 1);
        n = out->quoted ? quoted_size(s) : span_chr(s, ';');
        out->value = out->quoted ? span_head(s, n) : span_trim(span_head(s, n));
        *rest = span_skip(s, n);
        return true;
    }
}

/* Skips to the first parameter: past the value, where a ';' in a comment does not count. */
static struct span params_of(struct span body)
{
    struct span s = skip_blanks(body);

    while (s.n > 0 && s.p[0] != ';')
        s = s.p[0] == '(' || is_blank(s.p[0]) ? skip_blanks(s) : span_skip(s, 1);
    return s;
}

/* Without line ends, and unescaped where it is quoted. A backslash in front of anything but '"' or '\' is itself: paths are
 * written so. */
static struct span unquoted(const struct param *p, struct arena *a)
{
    char  *out;
    size_t n = 0;

    if (span_chr(p->value, '\n') == p->value.n && (!p->quoted || span_chr(p->value, '\\') == p->value.n))
        return p->value;
    if ((out = arena_alloc(a, p->value.n + 1)) == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < p->value.n; i++) {
        char c = p->value.p[i], next = i + 1 < p->value.n ? p->value.p[i + 1] : 0;

        if (c == '\n' || (c == '\r' && next == '\n'))
            continue;
        if (p->quoted && c == '\\' && (next == '"' || next == '\\'))
            c = p->value.p[++i];
        out[n++] = c;
    }
    out[n] = 0;
    return span_make(out, n);
}

/* Which form of `name` a parameter is: name, name*, name*3, name*3*. */
struct form {
    size_t index;
    bool   extended, piece;
};

static bool form_of(struct span written, const char *name, struct form *out)
{
    size_t      n = strlen(name);
    struct span rest = span_skip(written, n);
    uint64_t    index;

    *out = (struct form){.index = 0};
    if (!span_starts_ci(written, span_make(name, n)))
        return false;
    if (rest.n == 0)
        return true;
    if (rest.p[0] != '*')
        return false;
    if (rest.n == 1) {
        out->extended = true;
        return true;
    }
    out->extended = rest.p[rest.n - 1] == '*';
    out->piece = true;
    rest = span_make(rest.p + 1, rest.n - 1 - out->extended);
    if (rest.n > 4 || !span_u64(rest, &index) || index >= MIME_SEGMENTS_MAX)
        return false;
    out->index = (size_t)index;
    return true;
}

/* %XX decoded into out; returns the bytes. */
static size_t unpercent(struct span s, char *out, bool *clean)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        int hi = i + 2 < s.n ? text_hex_value(s.p[i + 1]) : -1, lo = i + 2 < s.n ? text_hex_value(s.p[i + 2]) : -1;

        if (s.p[i] == '%' && hi >= 0 && lo >= 0) {
            out[n++] = (char)(hi << 4 | lo);
            i += 2;
        } else {
            *clean &= s.p[i] != '%';
            out[n++] = s.p[i];
        }
    }
    return n;
}

/* Takes charset'language' off *s. */
static struct span take_charset(struct span *s)
{
    size_t      one = span_chr(*s, '\''), two;
    struct span charset = span_head(*s, one);

    if (one == s->n)
        return SPAN_NONE;
    two = span_chr(span_skip(*s, one + 1), '\'');
    if (one + 1 + two >= s->n)
        return SPAN_NONE;
    *s = span_skip(*s, one + 1 + two + 1);
    return charset;
}

/* What the walk found of one parameter. */
struct found {
    struct param plain, extended, pieces[MIME_SEGMENTS_MAX];
    bool         has_plain, has_extended, piece_extended[MIME_SEGMENTS_MAX];
    size_t       npieces; /* one more than the highest index */
};

static void find(struct span body, const char *name, struct found *f)
{
    struct span  rest = params_of(body);
    struct param p;
    struct form  form;

    f->has_plain = f->has_extended = false;
    f->npieces = 0;
    while (param_next(&rest, &p)) {
        if (!form_of(p.name, name, &form))
            continue;
        if (form.piece) {
            for (; f->npieces <= form.index; f->npieces++)
                f->pieces[f->npieces].name = SPAN_NONE;
            if (f->pieces[form.index].name.p == NULL) {
                f->pieces[form.index] = p;
                f->piece_extended[form.index] = form.extended;
            }
        } else if (form.extended && !f->has_extended) {
            f->extended = p;
            f->has_extended = true;
        } else if (!form.extended && !f->has_plain) {
            f->plain = p;
            f->has_plain = true;
        }
    }
}

/* The pieces 0, 1, 2 … up to the first that is missing, as one text. */
static struct span join(const struct found *f, struct arena *a, bool *clean)
{
    struct span charset = SPAN_NONE;
    size_t      room = 0, n = 0;
    bool        charset_clean = true;
    char       *out;

    for (size_t i = 0; i < f->npieces; i++)
        room += f->pieces[i].name.p != NULL ? f->pieces[i].value.n : 0;
    if ((out = arena_alloc(a, room + 1)) == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < f->npieces; i++) {
        struct span s = f->pieces[i].name.p != NULL ? unquoted(&f->pieces[i], a) : SPAN_NONE;

        if (f->pieces[i].name.p == NULL) {
            *clean = false;
            break;
        }
        if (i == 0 && f->piece_extended[i])
            charset = take_charset(&s);
        if (f->piece_extended[i]) {
            n += unpercent(s, out + n, clean);
        } else if (s.n > 0) {
            memcpy(out + n, s.p, s.n);
            n += s.n;
        }
    }
    out[n] = 0;
    if (!f->piece_extended[0]) /* 8-bit bytes in plain pieces are the caller's to judge */
        return span_make(out, n);
    charset = text_from_charset(span_make(out, n), charset, a, &charset_clean);
    *clean &= charset_clean;
    return charset;
}

static struct span from_extended(const struct param *p, struct arena *a, bool *clean)
{
    struct span s = unquoted(p, a), charset = take_charset(&s);
    bool        charset_clean = true;
    char       *out = arena_alloc(a, s.n + 1);

    if (out == NULL)
        return SPAN_NONE;
    s = text_from_charset(span_make(out, unpercent(s, out, clean)), charset, a, &charset_clean);
    *clean &= charset_clean;
    return s;
}

/* *decoded_out: it came with a charset, and is UTF-8 already. */
static struct span param(struct span body, const char *name, struct arena *a, bool *clean, bool *quoted_out,
                         bool *decoded_out)
{
    struct found f;

    *decoded_out = *quoted_out = true;
    find(body, name, &f);
    if (f.npieces > 0 && f.pieces[0].name.p != NULL) {
        *decoded_out = f.piece_extended[0];
        return join(&f, a, clean);
    }
    if (f.has_extended)
        return from_extended(&f.extended, a, clean);
    *clean &= f.npieces == 0;
    *decoded_out = false;
    if (!f.has_plain)
        return SPAN_NONE;
    *quoted_out = f.plain.quoted;
    return unquoted(&f.plain, a);
}

struct span mime_param(struct span body, const char *name, bool token, struct arena *a, bool *clean_out)
{
    bool        clean = true, quoted, decoded;
    struct span s = param(body, name, a, &clean, &quoted, &decoded);

    if (token && !quoted) {
        size_t n = 0;

        while (n < s.n && !is_blank(s.p[n]) && s.p[n] != '(')
            n++;
        s.n = n;
    }
    if (clean_out != NULL)
        *clean_out = clean;
    return s;
}

/* The last component of a path of either kind, without control characters and blanks around. */
static struct span base_name(struct span s, struct arena *a)
{
    size_t from = 0, n = 0;
    char  *out;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '/' || s.p[i] == '\\')
            from = i + 1;
    }
    s = span_skip(s, from);
    if ((out = arena_alloc(a, s.n + 1)) == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f)
            out[n++] = s.p[i];
    }
    out[n] = 0;
    return span_trim(span_make(out, n));
}

struct span mime_filename(struct span disposition, struct span type, struct arena *a, bool *clean_out)
{
    const struct {
        struct span body;
        const char *name;
    } places[] = {{disposition, "filename"}, {type, "name"}};

    *clean_out = true;
    for (size_t i = 0; i < COUNT(places); i++) {
        bool        clean = true, word_clean = true, quoted, decoded;
        struct span s = param(places[i].body, places[i].name, a, &clean, &quoted, &decoded);

        if (!decoded)
            s = text_decode_header(s, SIZE_MAX, a, &word_clean);
        s = base_name(s, a);
        *clean_out &= clean && word_clean;
        if (s.n > 0)
            return s;
    }
    return SPAN_NONE;
}
