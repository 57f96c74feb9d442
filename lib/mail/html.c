/* lib/mail/html.c - keeps what is seen of the tokens (html_token.h).
 *
 * One pass. Tags move a stack of open elements, whose top tells whether text is visible; text goes out with its white
 * space run together. The output is never longer than the input, so it is written straight into the arena. Where a
 * document is broken we do what a browser does, and where that would take a tree, we err towards "visible": a rule
 * must not miss what a person sees. */
#include "mail/html.h"

#include "base/utf8.h"
#include "mail/html_token.h"
#include "mail/text.h"

/* Why text is not seen. GONE stays for all that is inside; what is inside may take back the others. */
enum { HIDE_GONE = 1, HIDE_INVISIBLE = 2, HIDE_TINY = 4 };

enum gap { GAP_NONE, GAP_BLANK, GAP_LINE };

struct reader {
    struct html_cursor c;
    char              *out;
    size_t             n;
    enum gap           gap;                  /* white space that goes out before the next character */
    struct html_open   open[HTML_DEPTH_MAX]; /* open[0] is the document */
    size_t             depth;
};

/* ---- text ---- */

static void widen(struct reader *r, enum gap gap)
{
    if (r->open[r->depth].hide == 0 && gap > r->gap)
        r->gap = gap;
}

static bool is_wide_white(uint32_t cp)
{
    return cp == 0xA0 || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
           cp == 0x205F || cp == 0x3000;
}

/* Characters without width: joiners, marks of direction, the soft hyphen, the BOM; and NUL, which browsers drop. */
static bool is_unseen(uint32_t cp)
{
    return cp == 0 || cp == 0xAD || cp == 0x34F || cp == 0x61C || cp == 0x115F || cp == 0x1160 || cp == 0x17B4 ||
           cp == 0x17B5 || (cp >= 0x180B && cp <= 0x180E) || (cp >= 0x200B && cp <= 0x200F) ||
           (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2060 && cp <= 0x206F) || (cp >= 0xFE00 && cp <= 0xFE0F) ||
           cp == 0xFEFF || (cp >= 0xE0000 && cp <= 0xE0FFF);
}

static void put_bytes(struct reader *r, const char *p, size_t n)
{
    if (r->gap != GAP_NONE && r->n > 0)
        r->out[r->n++] = r->gap == GAP_LINE ? '\n' : ' ';
    r->gap = GAP_NONE;
    memcpy(r->out + r->n, p, n);
    r->n += n;
}

static void put_cp(struct reader *r, uint32_t cp)
{
    char c[4];

    if (r->open[r->depth].hide != 0 || is_unseen(cp))
        return;
    if ((cp < 0x80 && html_is_white((char)cp)) || is_wide_white(cp))
        widen(r, GAP_BLANK);
    else
        put_bytes(r, c, utf8_put(cp, c));
}

static void read_text(struct reader *r, struct span text)
{
    size_t at = 0;

    while (r->open[r->depth].hide == 0 && at < text.n) {
        struct span rest = span_skip(text, at);
        size_t      run = 0, used;
        uint32_t    cp;

        while (run < rest.n && rest.p[run] > ' ' && rest.p[run] != '&' && rest.p[run] != 0x7f) /* plain ASCII */
            run++;
        if (run > 0) {
            put_bytes(r, rest.p, run);
            at += run;
        } else if (rest.p[0] == '&' && (used = html_reference(rest, &cp)) > 0) {
            put_cp(r, cp);
            at += used;
        } else {
            put_cp(r, utf8_next(text, &at, NULL));
        }
    }
}

/* ---- attributes ---- */

#define STYLE_MAX 2048

/* A style as one writes it to compare: references decoded, in lower case, without blanks and comments. */
static struct span plain_style(struct span value, char out[STYLE_MAX])
{
    char   flat[STYLE_MAX];
    size_t n = 0, kept = 0;

    for (size_t at = 0; at < value.n && n < sizeof flat;) {
        uint32_t cp;
        size_t   used = value.p[at] == '&' ? html_reference(span_skip(value, at), &cp) : 0;

        if (used == 0)
            cp = (unsigned char)value.p[at];
        at += used > 0 ? used : 1;
        if (cp < 0x80 && !html_is_white((char)cp))
            flat[n++] = html_lower((char)cp);
    }
    for (size_t at = 0; at < n; at++) {
        if (flat[at] == '/' && at + 1 < n && flat[at + 1] == '*') {
            at += 2 + span_find(span_make(flat + at + 2, n - at - 2), SPAN("*/")) + 1;
            continue;
        }
        out[kept++] = flat[at];
    }
    return span_make(out, kept);
}

/* Is it a length or number of nought? *relative_out: it depends on what is around. */
static bool is_nought(struct span value, bool *relative_out)
{
    bool nought = false;

    for (size_t at = 0; at < value.n && (html_is_digit(value.p[at]) || strchr(".+-", value.p[at]) != NULL); at++) {
        if (value.p[at] >= '1' && value.p[at] <= '9') {
            nought = false;
            break;
        }
        nought |= value.p[at] == '0';
    }
    *relative_out = span_ends(value, SPAN("%")) || span_ends(value, SPAN("em")) || span_ends(value, SPAN("ex")) ||
                    span_is(value, "inherit") || span_is(value, "smaller") || span_is(value, "larger");
    return nought;
}

static void set_hide(unsigned *hide, unsigned bit, bool on) { *hide = on ? *hide | bit : *hide & ~bit; }

/* What an element's style makes of `around`, the state of what is around it. */
static unsigned apply_style(unsigned around, struct span style)
{
    char        plain[STYLE_MAX];
    struct span rest = plain_style(style, plain), one;
    unsigned    hide = around;
    bool        none = false, clear = false;

    while (span_next(&rest, ';', &one)) {
        struct span value = span_skip(one, span_chr(one, ':') + 1);
        struct span name = span_head(one, span_chr(one, ':'));
        bool        relative;

        value = span_head(value, span_chr(value, '!')); /* !important */
        if (span_is(name, "display"))
            none = span_is(value, "none");
        else if (span_is(name, "visibility"))
            set_hide(&hide, HIDE_INVISIBLE,
                     span_is(value, "hidden") || span_is(value, "collapse") ||
                         (span_is(value, "inherit") && (around & HIDE_INVISIBLE)));
        else if (span_is(name, "opacity"))
            clear = is_nought(value, &relative);
        else if (span_is(name, "font-size"))
            set_hide(&hide, HIDE_TINY, is_nought(value, &relative) || (relative && (around & HIDE_TINY)));
    }
    return none || clear ? hide | HIDE_GONE : hide;
}

/* ---- tags ---- */

static void open_tag(struct reader *r, struct span name)
{
    unsigned              kind = html_kind(name), hide;
    bool                  styled = false;
    struct html_attribute a;

    r->depth = html_implied(r->open, r->depth, kind);
    hide = r->open[r->depth].hide | (kind & EL_GONE ? HIDE_GONE : 0);
    if (kind & (EL_LINE | EL_CELL))
        widen(r, kind & EL_LINE ? GAP_LINE : GAP_BLANK);
    while (html_next_attribute(&r->c, &a)) {
        if (span_is_ci(a.name, "hidden"))
            hide |= HIDE_GONE;
        if (span_is_ci(a.name, "style") && !styled) {
            hide = apply_style(hide, a.value);
            styled = true;
        }
    }
    if (kind & EL_ROOT)
        r->open[0].hide |= hide;
    else if (!(kind & (EL_VOID | EL_RAW)) && r->depth + 1 < HTML_DEPTH_MAX)
        r->open[++r->depth] = html_opened(name, hide);
    if (kind & EL_RAW)
        html_skip_raw(&r->c, name);
}

static void close_tag(struct reader *r, struct span name)
{
    unsigned              kind = html_kind(name);
    struct html_attribute unused;

    while (html_next_attribute(&r->c, &unused))
        continue;
    if (kind & (EL_LINE | EL_CELL))
        widen(r, kind & EL_LINE ? GAP_LINE : GAP_BLANK);
    r->depth = html_closed(r->open, r->depth, name);
    if (kind & (EL_LINE | EL_CELL)) /* it may have been hidden, and what is around it not */
        widen(r, kind & EL_LINE ? GAP_LINE : GAP_BLANK);
}

struct span html_seen(struct span html, struct arena *a)
{
    struct reader     r = {.c.in = text_from_charset(html, SPAN("utf-8"), a, NULL)};
    struct html_token t;

    if (html.n > 0 && r.c.in.p == NULL)
        return SPAN_NONE;
    if ((r.out = arena_alloc(a, r.c.in.n + 1)) == NULL)
        return SPAN_NONE;
    while (html_next(&r.c, &t)) {
        switch (t.kind) {
        case HTML_TEXT: read_text(&r, t.text); break;
        case HTML_OPEN: open_tag(&r, t.text); break;
        case HTML_CLOSE: close_tag(&r, t.text); break;
        }
    }
    r.out[r.n] = 0;
    return span_make(r.out, r.n);
}
