/* lib/mail/html_safe.c - writes anew what lists know of an HTML text.
 *
 * The lists: elements, attributes with the kind of their values, properties of a style. Each value is decoded, judged, and written again
 * from what was judged. What is open is a stack, as html.c has it: each level knows the element that was written for it (or none), and
 * the host that has to stand behind it. A unit (a tag, a run of text, a picture) goes out whole or not at all; RESERVE is kept for the
 * end tags. */
#include "mail/html_safe.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "mail/domain.h"
#include "mail/html_token.h"
#include "mail/text.h"

#define RESERVE ((size_t)8 << 10)
#define VALUE_MAX ((size_t)1 << 20) /* bytes of one attribute, decoded */
#define HOST_SHOWN 300
#define STYLE_SHOWN 2048

static const char begin[] =
    "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>Message</title><style>"
    "body{margin:12px;font:14px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}img,table{max-width:100%}"
    "bdi.host{display:inline!important;visibility:visible!important;font:12px/1.4 "
    "monospace!important;color:#7a1f00!important;"
    "background:#fff3e0!important;letter-spacing:0!important;text-indent:0!important;white-space:normal!important}"
    "i.picture{color:#555;background:#eee}</style></head><body>\n";
static const char end[] = "\n</body></html>\n";

/* ---- what there is ---- */

/* clang-format off */
/* Sorted by bytes: what is written for which element. */
static const struct element {
    char name[12], as[12];
} elements[] = {
    {"a", "u"},                  {"abbr", "abbr"},       {"acronym", "acronym"}, {"address", "address"},
    {"article", "article"},      {"aside", "aside"},     {"b", "b"},             {"bdi", "bdi"},
    {"bdo", "bdo"},              {"big", "big"},         {"blockquote", "blockquote"}, {"body", "div"},
    {"br", "br"},                {"caption", "caption"}, {"center", "center"},   {"cite", "cite"},
    {"code", "code"},            {"col", "col"},         {"colgroup", "colgroup"}, {"dd", "dd"},
    {"del", "del"},              {"dfn", "dfn"},         {"div", "div"},         {"dl", "dl"},
    {"dt", "dt"},                {"em", "em"},           {"figcaption", "figcaption"}, {"figure", "figure"},
    {"font", "font"},            {"footer", "footer"},   {"h1", "h1"},           {"h2", "h2"},
    {"h3", "h3"},                {"h4", "h4"},           {"h5", "h5"},           {"h6", "h6"},
    {"header", "header"},        {"hr", "hr"},           {"i", "i"},             {"img", "img"},
    {"ins", "ins"},              {"kbd", "kbd"},         {"li", "li"},           {"main", "div"},
    {"mark", "mark"},            {"nav", "div"},         {"ol", "ol"},           {"p", "p"},
    {"pre", "pre"},              {"q", "q"},             {"s", "s"},             {"samp", "samp"},
    {"section", "section"},      {"small", "small"},     {"span", "span"},       {"strike", "strike"},
    {"strong", "strong"},        {"sub", "sub"},         {"sup", "sup"},         {"table", "table"},
    {"tbody", "tbody"},          {"td", "td"},           {"tfoot", "tfoot"},     {"th", "th"},
    {"thead", "thead"},          {"time", "time"},       {"tr", "tr"},           {"tt", "tt"},
    {"u", "u"},                  {"ul", "ul"},           {"var", "var"},         {"wbr", "wbr"},
};

enum value { VALUE_LENGTH, VALUE_WORD, VALUE_COLOUR, VALUE_TEXT, VALUE_FACE, VALUE_STYLE };
static const struct attribute {
    char       name[12];
    enum value kind;
} attributes[] = {
    {"align", VALUE_WORD},        {"bgcolor", VALUE_COLOUR},     {"border", VALUE_LENGTH},  {"cellpadding", VALUE_LENGTH},
    {"cellspacing", VALUE_LENGTH}, {"color", VALUE_COLOUR},      {"colspan", VALUE_LENGTH}, {"dir", VALUE_WORD},
    {"face", VALUE_FACE},         {"height", VALUE_LENGTH},      {"hspace", VALUE_LENGTH},  {"lang", VALUE_WORD},
    {"nowrap", VALUE_WORD},       {"rowspan", VALUE_LENGTH},     {"size", VALUE_LENGTH},    {"span", VALUE_LENGTH},
    {"start", VALUE_LENGTH},      {"style", VALUE_STYLE},        {"title", VALUE_TEXT},     {"type", VALUE_WORD},
    {"valign", VALUE_WORD},       {"value", VALUE_LENGTH},       {"vspace", VALUE_LENGTH},  {"width", VALUE_LENGTH},
};

/* No position, float, transform, animation, content, filter, behavior; no opacity: what is written is to be seen. */
static const char *const properties[] = {
    "background", "background-color", "border", "border-bottom", "border-bottom-color", "border-bottom-style",
    "border-bottom-width", "border-collapse", "border-color", "border-left", "border-left-color", "border-left-style",
    "border-left-width", "border-radius", "border-right", "border-right-color", "border-right-style",
    "border-right-width", "border-spacing", "border-style", "border-top", "border-top-color", "border-top-style",
    "border-top-width", "border-width", "box-sizing", "color", "direction", "display", "font", "font-family",
    "font-size", "font-style", "font-variant", "font-weight", "height", "letter-spacing", "line-height", "list-style-type",
    "margin", "margin-bottom", "margin-left", "margin-right", "margin-top", "max-height", "max-width", "min-height",
    "min-width", "overflow-wrap", "padding", "padding-bottom", "padding-left", "padding-right", "padding-top",
    "table-layout", "text-align", "text-decoration", "text-indent", "text-transform", "vertical-align", "visibility",
    "white-space", "width", "word-break", "word-wrap",
};
/* clang-format on */
static const char *const functions[] = {"rgb", "rgba", "hsl", "hsla"};

static struct span lowered(struct span name, char *out, size_t size)
{
    if (name.n >= size)
        return SPAN_NONE;
    for (size_t i = 0; i < name.n; i++)
        out[i] = html_lower(name.p[i]);
    return span_make(out, name.n);
}

static int by_name(const void *key, const void *row) { return span_cmp(*(const struct span *)key, span_of(row)); }

static const struct element *element_find(struct span name)
{
    char        low[sizeof elements[0].name];
    struct span key = lowered(name, low, sizeof low);

    return key.n > 0 ? bsearch(&key, elements, COUNT(elements), sizeof elements[0], by_name) : NULL;
}

static const struct attribute *attribute_find(struct span name)
{
    char        low[sizeof attributes[0].name];
    struct span key = lowered(name, low, sizeof low);

    return key.n > 0 ? bsearch(&key, attributes, COUNT(attributes), sizeof attributes[0], by_name) : NULL;
}

static int by_word(const void *key, const void *row)
{
    return span_cmp(*(const struct span *)key, span_of(*(const char *const *)row));
}

static bool is_property(struct span name)
{
    return bsearch(&name, properties, COUNT(properties), sizeof properties[0], by_word) != NULL;
}

/* ---- writing ---- */

struct writer {
    struct html_cursor   c;
    html_safe_picture_fn picture;
    void                *ctx;
    struct arena        *arena;
    struct buf          *out, tag, value; /* tag: the unit that is being made; value: one attribute, decoded */
    size_t               limit;           /* of out->n */
    bool                 full;
    struct html_open     open[HTML_SAFE_DEPTH];
    const char          *written[HTML_SAFE_DEPTH]; /* the end tag that is owed, or NULL */
    struct span          host[HTML_SAFE_DEPTH];    /* to stand behind it */
    size_t               depth;
    size_t               foreign; /* the level of an <svg> or <math> that is open, or 0 */
    size_t               npictures;
};

static bool room(struct writer *w, size_t n)
{
    w->full |= w->out->n + n > w->limit;
    return !w->full;
}

/* A character as text or in an attribute's quotes. Those that nobody can see or that are none go. */
static void put_cp(struct buf *b, uint32_t cp)
{
    char c[4];

    switch (cp) {
    case '<': buf_puts(b, "&lt;"); return;
    case '>': buf_puts(b, "&gt;"); return;
    case '&': buf_puts(b, "&amp;"); return;
    case '"': buf_puts(b, "&quot;"); return;
    case '\'': buf_puts(b, "&#39;"); return;
    default: break;
    }
    if ((cp < 0x20 && cp != '\t' && cp != '\n') || (cp >= 0x7f && cp < 0xa0) || (cp >= 0xfdd0 && cp <= 0xfdef) ||
        (cp & 0xfffe) == 0xfffe)
        return;
    buf_put(b, span_make(c, utf8_put(cp, c)));
}

static void put_text(struct buf *b, struct span s)
{
    for (size_t at = 0; at < s.n;)
        put_cp(b, utf8_next(s, &at, NULL));
}

/* The unit goes out, if it is whole and there is room. */
static bool put_unit(struct writer *w)
{
    if (w->tag.failed || !room(w, w->tag.n))
        return false;
    buf_put(w->out, buf_span(&w->tag));
    return true;
}

/* One character or reference of a text. */
static uint32_t next_char(struct span s, size_t *at)
{
    uint32_t cp;
    size_t   used = s.p[*at] == '&' ? html_reference(span_skip(s, *at), &cp) : 0;

    if (used == 0)
        return utf8_next(s, at, NULL);
    *at += used;
    return cp;
}

#define RUN_MAX 4096

/* Characters that are written as they are. */
static size_t plain_run(struct span s)
{
    size_t n = 0;

    while (n < s.n && n < RUN_MAX && s.p[n] >= ' ' && s.p[n] < 0x7f && strchr("<>&\"'", s.p[n]) == NULL)
        n++;
    return n;
}

static void put_document_text(struct writer *w, struct span s)
{
    for (size_t at = 0; at < s.n && !w->full;) {
        size_t run = plain_run(span_skip(s, at));

        buf_clear(&w->tag);
        buf_put(&w->tag, span_head(span_skip(s, at), run));
        at += run;
        if (run == 0)
            put_cp(&w->tag, next_char(s, &at));
        put_unit(w);
    }
}

/* What an attribute means, in w->value until the next one; cut at VALUE_MAX: none. */
static struct span decoded(struct writer *w, struct span value)
{
    buf_clear(&w->value);
    for (size_t at = 0; at < value.n && !w->value.failed;) {
        char c[4];

        buf_put(&w->value, span_make(c, utf8_put(next_char(value, &at), c)));
    }
    return w->value.failed ? SPAN_NONE : span_trim(buf_span(&w->value));
}

/* ---- links ---- */

/* What browsers leave out of an address before they read it. */
static struct span bare_address(struct span s, struct arena *a)
{
    char  *p = arena_alloc(a, s.n + 1);
    size_t n = 0;

    if (p == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > 0x20 || (s.p[i] == ' ' && n > 0))
            p[n++] = s.p[i];
    return span_make(p, n);
}

static bool is_slash(char c) { return c == '/' || c == '\\'; }

static bool ends_host(char c) { return is_slash(c) || c == '?' || c == '#'; }

static struct span percent_decoded(struct span s, struct arena *a)
{
    char  *p = arena_alloc(a, s.n + 1);
    size_t n = 0;

    if (p == NULL)
        return s;
    for (size_t i = 0; i < s.n; i++) {
        int high = i + 2 < s.n && s.p[i] == '%' ? text_hex_value(s.p[i + 1]) : -1;
        int low = high >= 0 ? text_hex_value(s.p[i + 2]) : -1;

        p[n++] = low >= 0 ? (char)(high * 16 + low) : s.p[i];
        i += low >= 0 ? 2 : 0;
    }
    return span_make(p, n);
}

/* Behind "http:": the host, in the form in which names are looked up, so that no letter looks like another. */
static struct span host_of(struct span s, struct arena *a)
{
    size_t      n = 0, colon;
    struct span port, name, normal;

    while (s.n > 0 && is_slash(s.p[0]))
        s = span_skip(s, 1);
    while (n < s.n && !ends_host(s.p[n]))
        n++;
    s = span_head(s, n);
    if (span_rchr(s, '@') < s.n)
        s = span_skip(s, span_rchr(s, '@') + 1);
    colon = span_rchr(s, ':');
    if (s.n > 0 && s.p[0] == '[') /* an IPv6 address has colons of its own */
        colon = span_chr(s, ']') < s.n ? span_chr(s, ']') + 1 : s.n;
    port = span_skip(s, colon);
    name = percent_decoded(span_head(s, colon), a);
    if (domain_normalise(name, a, &normal, NULL) == 0)
        name = normal;
    normal = arena_printf(a, "%.*s%.*s", SPAN_ARG(name), SPAN_ARG(port));
    return normal.p != NULL ? normal : name;
}

static size_t scheme_length(struct span s)
{
    size_t n = 0;

    while (n < s.n && (html_is_alpha(s.p[n]) || (n > 0 && (html_is_digit(s.p[n]) || strchr("+-.", s.p[n]) != NULL))))
        n++;
    return n > 0 && n < s.n && s.p[n] == ':' ? n : 0;
}

/* Where a link goes, in as many words as a reader needs; SPAN_NONE: nowhere (a place in the mail itself, or beside it). */
static struct span target_of(struct writer *w, struct span href)
{
    struct span s = bare_address(decoded(w, href), w->arena), scheme, rest;
    size_t      n = scheme_length(s);

    if (n == 0)
        return s.n > 1 && is_slash(s.p[0]) && is_slash(s.p[1]) ? host_of(s, w->arena) : SPAN_NONE;
    scheme = span_head(s, n);
    rest = span_skip(s, n + 1);
    if (span_is_ci(scheme, "http") || span_is_ci(scheme, "https") || span_is_ci(scheme, "ftp"))
        return host_of(rest, w->arena);
    if (span_is_ci(scheme, "mailto") || span_is_ci(scheme, "tel"))
        return percent_decoded(span_head(rest, span_chr(rest, '?')), w->arena);
    return span_head(s, n + 1); /* "javascript:": no more of it is worth reading */
}

/* In plain ASCII; other characters have been a reader's trap in names. */
static void put_host(struct writer *w, struct span host)
{
    if (host.n == 0)
        return;
    buf_clear(&w->tag);
    buf_puts(&w->tag, " <bdi class=\"host\">[");
    for (size_t i = 0; i < host.n && i < HOST_SHOWN; i++)
        put_cp(&w->tag, host.p[i] > ' ' && host.p[i] < 0x7f ? (uint32_t)host.p[i] : '?');
    buf_puts(&w->tag, host.n > HOST_SHOWN ? "...]</bdi>" : "]</bdi>");
    put_unit(w);
}

/* ---- values ---- */

static bool all_of(struct span s, size_t max, const char *more)
{
    if (s.n == 0 || s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!html_is_alpha(s.p[i]) && !html_is_digit(s.p[i]) && (s.p[i] == 0 || strchr(more, s.p[i]) == NULL))
            return false;
    return true;
}

/* May a '(' stand here: behind the name of a function that only makes a colour? */
static bool calls_colour(struct span before)
{
    size_t n = before.n;

    while (n > 0 && (html_is_alpha(before.p[n - 1]) || html_is_digit(before.p[n - 1]) || before.p[n - 1] == '-' ||
                     before.p[n - 1] == '_'))
        n--;
    for (size_t i = 0; i < COUNT(functions); i++)
        if (span_is(span_skip(before, n), functions[i]))
            return true;
    return false;
}

/* Lower case comes in. Letters, digits and what lengths, colours and names of fonts need; nothing that begins a comment, an escape, a
 * string, a block or another function, and no length below nought, which would lay one thing over another. */
static bool is_plain_value(struct span v)
{
    size_t depth = 0;

    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i], next = i + 1 < v.n ? v.p[i + 1] : ' ', before = i > 0 ? v.p[i - 1] : ' ';

        if (c == '(' && (depth++ > 0 || !calls_colour(span_head(v, i))))
            return false;
        if (c == ')' && depth-- == 0)
            return false;
        if (c == '/' && (next == '*' || next == '/'))
            return false;
        if (c == '-' && !html_is_alpha(before) && (html_is_digit(next) || next == '.'))
            return false;
        if (!html_is_alpha(c) && !html_is_digit(c) && (c == 0 || strchr(" #%.,+-/!()", c) == NULL))
            return false;
    }
    return v.n > 0 && depth == 0;
}

/* A declaration, in lower case, without the quotes around names of fonts: those need none. */
static void put_declaration(struct buf *b, struct span one)
{
    char        flat[400];
    size_t      n = 0, colon = span_chr(one, ':');
    struct span name = span_trim(span_head(one, colon)), value;
    bool        fonts = span_is_ci(name, "font") || span_is_ci(name, "font-family");
    char        low[32];

    for (size_t i = colon + 1; i < one.n; i++) {
        char c = one.p[i];

        if (n == sizeof flat)
            return;
        if (!(fonts && (c == '"' || c == '\'')))
            flat[n++] = html_is_white(c) ? ' ' : html_lower(c);
    }
    name = lowered(name, low, sizeof low);
    value = span_trim(span_make(flat, n));
    if (!is_property(name) || !is_plain_value(value))
        return;
    buf_put(b, name);
    buf_putc(b, ':');
    buf_put(b, value);
    buf_putc(b, ';');
}

static void put_style(struct buf *b, struct span style)
{
    size_t      from = b->n;
    struct span rest = style, one;

    while (b->n - from < STYLE_SHOWN && span_next(&rest, ';', &one))
        put_declaration(b, one);
}

static bool is_good(enum value kind, struct span v)
{
    switch (kind) {
    case VALUE_LENGTH: return all_of(v, 10, "%.+") && (html_is_digit(v.p[0]) || v.p[0] == '+' || v.p[0] == '.');
    case VALUE_WORD: return all_of(v, 40, "-_") || v.n == 0;
    case VALUE_COLOUR: return all_of(v, 40, "#");
    case VALUE_FACE: return all_of(v, 200, " ,-_");
    case VALUE_TEXT: return v.n <= 1000;
    case VALUE_STYLE: return true;
    }
    return false;
}

static void put_attribute(struct writer *w, const struct attribute *known, struct span raw)
{
    struct span v = decoded(w, raw);

    if (!is_good(known->kind, v))
        return;
    buf_printf(&w->tag, " %s=\"", known->name);
    if (known->kind == VALUE_STYLE)
        put_style(&w->tag, v);
    else
        put_text(&w->tag, v);
    buf_putc(&w->tag, '"');
}

/* ---- pictures ---- */

static const struct {
    const char *type, *magic;
    size_t      n, at;
} formats[] = {
    {"png", "\x89PNG\r\n\x1a\n", 8, 0}, {"jpeg", "\xff\xd8\xff", 3, 0}, {"gif", "GIF8", 4, 0}, {"webp", "WEBP", 4, 8}};

static const char *format_of(struct span bytes)
{
    for (size_t i = 0; i < COUNT(formats); i++)
        if (span_starts(span_skip(bytes, formats[i].at), span_make(formats[i].magic, formats[i].n)))
            return formats[i].type;
    return NULL;
}

static void put_base64(struct buf *b, struct span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t    *p = (const uint8_t *)s.p;

    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < s.n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < s.n ? p[i + 2] : 0);

        buf_putc(b, digits[v >> 18]);
        buf_putc(b, digits[v >> 12 & 63]);
        buf_putc(b, i + 1 < s.n ? digits[v >> 6 & 63] : '=');
        buf_putc(b, i + 2 < s.n ? digits[v & 63] : '=');
    }
}

/* Base64 with blanks and padding, as browsers read it. {NULL, 0}: it is none, or too much. */
static struct span base64_bytes(struct span s, struct arena *a)
{
    char    *p = s.n <= HTML_SAFE_PICTURE_MAX * 3 / 2 ? arena_alloc(a, s.n + 1) : NULL;
    size_t   n = 0, digits = 0;
    uint32_t held = 0;

    for (size_t i = 0; p != NULL && i < s.n; i++) {
        int d = base64_digit(s.p[i]);

        if (html_is_white(s.p[i]) || s.p[i] == '=')
            continue;
        if (d < 0)
            return SPAN_NONE;
        held = held << 6 | (uint32_t)d;
        if (++digits % 4 == 0) {
            p[n++] = (char)(held >> 16);
            p[n++] = (char)(held >> 8);
            p[n++] = (char)held;
        }
    }
    if (digits % 4 == 3)
        p[n++] = (char)(held >> 10);
    if (digits % 4 >= 2)
        p[n++] = (char)(held >> (digits % 4 == 3 ? 2 : 4));
    return span_make(p, n);
}

/* The bytes that an img shows, if they came with the message. */
static struct span picture_bytes(struct writer *w, struct span src)
{
    struct span s = bare_address(decoded(w, src), w->arena), head;
    size_t      comma = span_chr(s, ',');

    if (w->npictures == HTML_SAFE_PICTURES_MAX)
        return SPAN_NONE;
    if (span_starts_ci(s, SPAN("cid:")) && w->picture != NULL) {
        w->npictures++;
        return w->picture(w->ctx, percent_decoded(span_skip(s, 4), w->arena));
    }
    head = span_head(s, comma);
    if (!span_starts_ci(s, SPAN("data:image/")) || comma == s.n || head.n < 7 ||
        !span_is_ci(span_skip(head, head.n - 7), ";base64"))
        return SPAN_NONE;
    w->npictures++;
    return base64_bytes(span_skip(s, comma + 1), w->arena);
}

/* 1, 0, "1px": pixels that tell their sender that they were fetched. */
static bool is_point(struct span size)
{
    uint64_t n;

    if (span_ends(size, SPAN("px")))
        size.n -= 2;
    return span_u64(span_trim(size), &n) && n <= 2;
}

static void put_img(struct writer *w)
{
    struct html_attribute a;
    struct span           src = SPAN_NONE, alt = SPAN_NONE, bytes;
    const char           *format;
    bool                  point = false, hidden = w->open[w->depth].hide != 0;

    buf_clear(&w->tag);
    buf_puts(&w->tag, "<img");
    while (html_next_attribute(&w->c, &a)) {
        const struct attribute *known = attribute_find(a.name);

        if (span_is_ci(a.name, "src") && src.p == NULL)
            src = a.value;
        else if (span_is_ci(a.name, "alt") && alt.p == NULL)
            alt = a.value;
        else if (known != NULL && !hidden)
            put_attribute(w, known, a.value);
        point |= (span_is_ci(a.name, "width") || span_is_ci(a.name, "height")) && is_point(a.value);
    }
    if (hidden || point)
        return;
    bytes = picture_bytes(w, src);
    format = bytes.n <= HTML_SAFE_PICTURE_MAX ? format_of(bytes) : NULL;
    if (format != NULL) {
        buf_printf(&w->tag, " src=\"data:image/%s;base64,", format);
        put_base64(&w->tag, bytes);
        buf_puts(&w->tag, "\" alt=\"");
        put_text(&w->tag, decoded(w, span_head(alt, 1000)));
        buf_puts(&w->tag, "\">");
    } else {
        buf_clear(&w->tag);
        buf_puts(&w->tag, "<i class=\"picture\">[");
        put_text(&w->tag, alt.n > 0 ? decoded(w, span_head(alt, 1000)) : SPAN("picture"));
        buf_puts(&w->tag, "]</i>");
    }
    put_unit(w);
}

/* ---- tags ---- */

static void end_until(struct writer *w, size_t depth)
{
    for (; w->depth > depth; w->depth--) {
        if (w->written[w->depth] != NULL)
            buf_printf(w->out, "</%s>", w->written[w->depth]);
        put_host(w, w->host[w->depth]);
    }
    if (w->foreign > w->depth)
        w->foreign = 0;
}

static bool is_foreign(struct span name) { return span_is_ci(name, "svg") || span_is_ci(name, "math"); }

static bool push(struct writer *w, struct span name, bool hide)
{
    if (w->depth + 1 >= HTML_SAFE_DEPTH)
        return false;
    w->open[++w->depth] = html_opened(name, hide);
    w->written[w->depth] = NULL;
    w->host[w->depth] = SPAN_NONE;
    return true;
}

/* The element's tag into w->tag; the host of its href, if it is a link. */
static struct span make_tag(struct writer *w, const struct element *el)
{
    struct html_attribute a;
    struct span           host = SPAN_NONE;
    bool                  link = el->name[0] == 'a' && el->name[1] == '\0', linked = false;
    uint32_t              seen = 0;

    _Static_assert(COUNT(attributes) <= 32, "seen has a bit for each");
    buf_clear(&w->tag);
    buf_printf(&w->tag, "<%s", el->as);
    while (html_next_attribute(&w->c, &a)) {
        const struct attribute *known = attribute_find(a.name);

        if (link && !linked && span_is_ci(a.name, "href")) {
            linked = true;
            host = target_of(w, a.value);
            w->full |= w->arena->full; /* a link without its host is worse than no more text */
        }
        if (known == NULL || (seen >> (known - attributes) & 1) != 0)
            continue;
        seen |= UINT32_C(1) << (known - attributes);
        put_attribute(w, known, a.value);
    }
    buf_putc(&w->tag, '>');
    return host;
}

static void put_element(struct writer *w, const struct element *el, struct span name, unsigned kind)
{
    struct span host = make_tag(w, el);
    bool        is_void = (kind & EL_VOID) != 0;

    if (is_void || !push(w, name, false)) {
        if (is_void)
            put_unit(w);
        else
            put_host(w, host); /* too deep to be written; where it leads is still said */
        return;
    }
    w->host[w->depth] = host;
    if (put_unit(w))
        w->written[w->depth] = el->as;
}

static void open_tag(struct writer *w, struct span name)
{
    const struct element *el = element_find(name);
    unsigned              kind = html_kind(name);
    struct html_attribute unused;
    bool                  foreign = is_foreign(name);

    /* What no drawing holds ends it, as in browsers; a link it may hold. */
    if (w->foreign > 0 && el != NULL && strcmp(el->name, "a") != 0)
        end_until(w, w->foreign - 1);
    end_until(w, html_implied(w->open, w->depth, kind));
    if (el != NULL && strcmp(el->as, "img") == 0) {
        put_img(w);
        return;
    }
    if (el != NULL && w->open[w->depth].hide == 0) {
        put_element(w, el, name, kind);
        return;
    }
    while (html_next_attribute(&w->c, &unused))
        continue;
    if (foreign && w->c.at >= 2 && w->c.in.p[w->c.at - 2] == '/')
        return; /* <svg/>: nothing is in it */
    if ((foreign || (kind & EL_GONE) != 0) && push(w, name, true) && foreign && w->foreign == 0)
        w->foreign = w->depth;
    if (kind & EL_RAW)
        html_skip_raw(&w->c, name);
}

static void close_tag(struct writer *w, struct span name)
{
    struct html_attribute unused;

    while (html_next_attribute(&w->c, &unused))
        continue;
    end_until(w, html_closed(w->open, w->depth, name));
}

/* ---- all of it ---- */

static void put_part(struct writer *w, struct span html)
{
    struct html_token t;

    w->c = (struct html_cursor){html, 0};
    while (!w->full && html_next(&w->c, &t)) {
        switch (t.kind) {
        case HTML_TEXT:
            if (w->open[w->depth].hide == 0)
                put_document_text(w, t.text);
            break;
        case HTML_OPEN: open_tag(w, t.text); break;
        case HTML_CLOSE: close_tag(w, t.text); break;
        }
    }
    end_until(w, 0);
}

bool html_safe(const struct span *parts, size_t n, html_safe_picture_fn picture, void *ctx, struct arena *a,
               struct buf *out)
{
    struct writer *w = arena_zalloc(a, sizeof *w);
    size_t         left = HTML_SAFE_INPUT_MAX;
    bool           whole = w != NULL;

    buf_puts(out, begin);
    if (w != NULL) {
        w->picture = picture;
        w->ctx = ctx;
        w->arena = a;
        w->out = out;
        w->limit = out->n + HTML_SAFE_MAX - RESERVE;
        buf_init(&w->tag, VALUE_MAX);
        buf_init(&w->value, VALUE_MAX);
    }
    for (size_t i = 0; whole && i < n; i++) {
        struct span text = text_from_charset(span_head(parts[i], left), SPAN("utf-8"), a, NULL);

        if (i > 0 && room(w, 5))
            buf_puts(out, "<hr>\n");
        put_part(w, text);
        whole = !w->full && !a->full && parts[i].n <= left;
        left -= parts[i].n <= left ? parts[i].n : left;
    }
    if (w != NULL) {
        buf_fini(&w->tag);
        buf_fini(&w->value);
    }
    buf_puts(out, end);
    return whole;
}
