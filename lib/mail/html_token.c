/* lib/mail/html_token.c - see html_token.h. */
#include "mail/html_token.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "mail/text.h"

/* ---- character references ---- */

/* clang-format off */
/* Sorted by bytes. `bare`: also read without its semicolon, as of old. */
static const struct entity {
    char     name[16];
    uint16_t cp;
    bool     bare;
} entities[] = {
    {"AElig", 0xC6, 1}, {"AMP", 0x26, 1}, {"Aacute", 0xC1, 1}, {"Acirc", 0xC2, 1}, {"Agrave", 0xC0, 1},
    {"Alpha", 0x391, 0}, {"Aring", 0xC5, 1}, {"Atilde", 0xC3, 1}, {"Auml", 0xC4, 1}, {"Beta", 0x392, 0},
    {"COPY", 0xA9, 1}, {"Cacute", 0x106, 0}, {"Ccaron", 0x10C, 0}, {"Ccedil", 0xC7, 1}, {"Chi", 0x3A7, 0},
    {"Dagger", 0x2021, 0}, {"Delta", 0x394, 0}, {"ETH", 0xD0, 1}, {"Eacute", 0xC9, 1}, {"Ecirc", 0xCA, 1},
    {"Egrave", 0xC8, 1}, {"Epsilon", 0x395, 0}, {"Eta", 0x397, 0}, {"Euml", 0xCB, 1}, {"GT", 0x3E, 1},
    {"Gamma", 0x393, 0}, {"Hat", 0x5E, 0}, {"Iacute", 0xCD, 1}, {"Icirc", 0xCE, 1}, {"Idot", 0x130, 0},
    {"Igrave", 0xCC, 1}, {"Iota", 0x399, 0}, {"Iuml", 0xCF, 1}, {"Kappa", 0x39A, 0}, {"LT", 0x3C, 1},
    {"Lambda", 0x39B, 0}, {"Lstrok", 0x141, 0}, {"Mu", 0x39C, 0}, {"NewLine", 0xA, 0},
    {"NoBreak", 0x2060, 0}, {"Ntilde", 0xD1, 1}, {"Nu", 0x39D, 0},
    {"OElig", 0x152, 0}, {"Oacute", 0xD3, 1}, {"Ocirc", 0xD4, 1}, {"Ograve", 0xD2, 1}, {"Omega", 0x3A9, 0},
    {"Omicron", 0x39F, 0}, {"Oslash", 0xD8, 1}, {"Otilde", 0xD5, 1}, {"Ouml", 0xD6, 1}, {"Phi", 0x3A6, 0},
    {"Pi", 0x3A0, 0}, {"Prime", 0x2033, 0}, {"Psi", 0x3A8, 0}, {"QUOT", 0x22, 1}, {"REG", 0xAE, 1},
    {"Rcaron", 0x158, 0}, {"Rho", 0x3A1, 0}, {"Scaron", 0x160, 0}, {"Sigma", 0x3A3, 0}, {"THORN", 0xDE, 1},
    {"Tab", 0x9, 0}, {"Tau", 0x3A4, 0}, {"Theta", 0x398, 0}, {"Uacute", 0xDA, 1}, {"Ucirc", 0xDB, 1},
    {"Ugrave", 0xD9, 1}, {"Upsilon", 0x3A5, 0}, {"Uuml", 0xDC, 1}, {"Xi", 0x39E, 0}, {"Yacute", 0xDD, 1},
    {"Yuml", 0x178, 0}, {"Zcaron", 0x17D, 0}, {"ZeroWidthSpace", 0x200B, 0}, {"Zeta", 0x396, 0},
    {"aacute", 0xE1, 1}, {"acirc", 0xE2, 1}, {"acute", 0xB4, 1}, {"aelig", 0xE6, 1}, {"agrave", 0xE0, 1},
    {"alefsym", 0x2135, 0}, {"alpha", 0x3B1, 0}, {"amp", 0x26, 1}, {"and", 0x2227, 0}, {"ang", 0x2220, 0},
    {"aogon", 0x105, 0}, {"apos", 0x27, 0}, {"aring", 0xE5, 1}, {"ast", 0x2A, 0}, {"asymp", 0x2248, 0},
    {"atilde", 0xE3, 1}, {"auml", 0xE4, 1}, {"bdquo", 0x201E, 0}, {"beta", 0x3B2, 0}, {"brvbar", 0xA6, 1},
    {"bsol", 0x5C, 0}, {"bull", 0x2022, 0}, {"cacute", 0x107, 0}, {"cap", 0x2229, 0}, {"ccaron", 0x10D, 0},
    {"ccedil", 0xE7, 1}, {"cedil", 0xB8, 1}, {"cent", 0xA2, 1}, {"check", 0x2713, 0}, {"chi", 0x3C7, 0},
    {"circ", 0x2C6, 0}, {"clubs", 0x2663, 0}, {"colon", 0x3A, 0}, {"comma", 0x2C, 0}, {"commat", 0x40, 0},
    {"cong", 0x2245, 0}, {"copy", 0xA9, 1}, {"crarr", 0x21B5, 0}, {"cup", 0x222A, 0}, {"curren", 0xA4, 1},
    {"dArr", 0x21D3, 0}, {"dagger", 0x2020, 0}, {"darr", 0x2193, 0}, {"dash", 0x2010, 0}, {"deg", 0xB0, 1},
    {"delta", 0x3B4, 0}, {"diams", 0x2666, 0}, {"divide", 0xF7, 1}, {"dollar", 0x24, 0},
    {"eacute", 0xE9, 1}, {"ecaron", 0x11B, 0}, {"ecirc", 0xEA, 1}, {"egrave", 0xE8, 1},
    {"empty", 0x2205, 0}, {"emsp", 0x2003, 0}, {"emsp13", 0x2004, 0}, {"emsp14", 0x2005, 0},
    {"ensp", 0x2002, 0}, {"eogon", 0x119, 0}, {"epsilon", 0x3B5, 0}, {"equals", 0x3D, 0},
    {"equiv", 0x2261, 0}, {"eta", 0x3B7, 0}, {"eth", 0xF0, 1}, {"euml", 0xEB, 1}, {"euro", 0x20AC, 0},
    {"excl", 0x21, 0}, {"exist", 0x2203, 0}, {"fflig", 0xFB00, 0}, {"filig", 0xFB01, 0},
    {"fllig", 0xFB02, 0}, {"fnof", 0x192, 0}, {"forall", 0x2200, 0}, {"frac12", 0xBD, 1},
    {"frac14", 0xBC, 1}, {"frac34", 0xBE, 1}, {"frasl", 0x2044, 0}, {"gamma", 0x3B3, 0},
    {"gbreve", 0x11F, 0}, {"ge", 0x2265, 0}, {"grave", 0x60, 0}, {"gt", 0x3E, 1}, {"hArr", 0x21D4, 0},
    {"hairsp", 0x200A, 0}, {"harr", 0x2194, 0}, {"hearts", 0x2665, 0}, {"hellip", 0x2026, 0},
    {"hyphen", 0x2010, 0}, {"iacute", 0xED, 1}, {"icirc", 0xEE, 1}, {"iexcl", 0xA1, 1}, {"igrave", 0xEC, 1},
    {"image", 0x2111, 0}, {"infin", 0x221E, 0}, {"inodot", 0x131, 0}, {"int", 0x222B, 0},
    {"iota", 0x3B9, 0}, {"iquest", 0xBF, 1}, {"isin", 0x2208, 0}, {"iuml", 0xEF, 1}, {"kappa", 0x3BA, 0},
    {"lArr", 0x21D0, 0}, {"lambda", 0x3BB, 0}, {"lang", 0x2329, 0}, {"laquo", 0xAB, 1}, {"larr", 0x2190, 0},
    {"lbrace", 0x7B, 0}, {"lbrack", 0x5B, 0}, {"lceil", 0x2308, 0}, {"lcub", 0x7B, 0}, {"ldquo", 0x201C, 0},
    {"le", 0x2264, 0}, {"lfloor", 0x230A, 0}, {"lowast", 0x2217, 0}, {"lowbar", 0x5F, 0},
    {"loz", 0x25CA, 0}, {"lpar", 0x28, 0}, {"lrm", 0x200E, 0}, {"lsaquo", 0x2039, 0}, {"lsqb", 0x5B, 0},
    {"lsquo", 0x2018, 0}, {"lstrok", 0x142, 0}, {"lt", 0x3C, 1}, {"macr", 0xAF, 1}, {"mdash", 0x2014, 0},
    {"micro", 0xB5, 1}, {"middot", 0xB7, 1}, {"minus", 0x2212, 0}, {"mu", 0x3BC, 0}, {"nabla", 0x2207, 0},
    {"nacute", 0x144, 0}, {"nbsp", 0xA0, 1}, {"ncaron", 0x148, 0}, {"ndash", 0x2013, 0}, {"ne", 0x2260, 0},
    {"ni", 0x220B, 0}, {"not", 0xAC, 1}, {"notin", 0x2209, 0}, {"nsub", 0x2284, 0}, {"ntilde", 0xF1, 1},
    {"nu", 0x3BD, 0}, {"num", 0x23, 0}, {"numsp", 0x2007, 0}, {"oacute", 0xF3, 1}, {"ocirc", 0xF4, 1},
    {"oelig", 0x153, 0}, {"ograve", 0xF2, 1}, {"oline", 0x203E, 0}, {"omega", 0x3C9, 0},
    {"omicron", 0x3BF, 0}, {"oplus", 0x2295, 0}, {"or", 0x2228, 0}, {"ordf", 0xAA, 1}, {"ordm", 0xBA, 1},
    {"oslash", 0xF8, 1}, {"otilde", 0xF5, 1}, {"otimes", 0x2297, 0}, {"ouml", 0xF6, 1}, {"para", 0xB6, 1},
    {"part", 0x2202, 0}, {"percnt", 0x25, 0}, {"period", 0x2E, 0}, {"permil", 0x2030, 0},
    {"perp", 0x22A5, 0}, {"phi", 0x3C6, 0}, {"phone", 0x260E, 0}, {"pi", 0x3C0, 0}, {"piv", 0x3D6, 0},
    {"plus", 0x2B, 0}, {"plusmn", 0xB1, 1}, {"pound", 0xA3, 1}, {"prime", 0x2032, 0}, {"prod", 0x220F, 0},
    {"prop", 0x221D, 0}, {"psi", 0x3C8, 0}, {"puncsp", 0x2008, 0}, {"quest", 0x3F, 0}, {"quot", 0x22, 1},
    {"rArr", 0x21D2, 0}, {"radic", 0x221A, 0}, {"rang", 0x232A, 0}, {"raquo", 0xBB, 1}, {"rarr", 0x2192, 0},
    {"rbrace", 0x7D, 0}, {"rbrack", 0x5D, 0}, {"rcaron", 0x159, 0}, {"rceil", 0x2309, 0}, {"rcub", 0x7D, 0},
    {"rdquo", 0x201D, 0}, {"real", 0x211C, 0}, {"reg", 0xAE, 1}, {"rfloor", 0x230B, 0}, {"rho", 0x3C1, 0},
    {"rlm", 0x200F, 0}, {"rpar", 0x29, 0}, {"rsaquo", 0x203A, 0}, {"rsqb", 0x5D, 0}, {"rsquo", 0x2019, 0},
    {"sacute", 0x15B, 0}, {"sbquo", 0x201A, 0}, {"scaron", 0x161, 0}, {"scedil", 0x15F, 0},
    {"sdot", 0x22C5, 0}, {"sect", 0xA7, 1}, {"semi", 0x3B, 0}, {"shy", 0xAD, 1}, {"sigma", 0x3C3, 0},
    {"sigmaf", 0x3C2, 0}, {"sim", 0x223C, 0}, {"sol", 0x2F, 0}, {"spades", 0x2660, 0}, {"star", 0x2606, 0},
    {"starf", 0x2605, 0}, {"sub", 0x2282, 0}, {"sube", 0x2286, 0}, {"sum", 0x2211, 0}, {"sup", 0x2283, 0},
    {"sup1", 0xB9, 1}, {"sup2", 0xB2, 1}, {"sup3", 0xB3, 1}, {"supe", 0x2287, 0}, {"szlig", 0xDF, 1},
    {"tau", 0x3C4, 0}, {"there4", 0x2234, 0}, {"theta", 0x3B8, 0}, {"thetasym", 0x3D1, 0},
    {"thinsp", 0x2009, 0}, {"thorn", 0xFE, 1}, {"tilde", 0x2DC, 0}, {"times", 0xD7, 1},
    {"trade", 0x2122, 0}, {"uArr", 0x21D1, 0}, {"uacute", 0xFA, 1}, {"uarr", 0x2191, 0}, {"ucirc", 0xFB, 1},
    {"ugrave", 0xF9, 1}, {"uml", 0xA8, 1}, {"upsih", 0x3D2, 0}, {"upsilon", 0x3C5, 0}, {"uring", 0x16F, 0},
    {"uuml", 0xFC, 1}, {"verbar", 0x7C, 0}, {"vert", 0x7C, 0}, {"weierp", 0x2118, 0}, {"xi", 0x3BE, 0},
    {"yacute", 0xFD, 1}, {"yen", 0xA5, 1}, {"yuml", 0xFF, 1}, {"zacute", 0x17A, 0}, {"zcaron", 0x17E, 0},
    {"zdot", 0x17C, 0}, {"zeta", 0x3B6, 0}, {"zwj", 0x200D, 0}, {"zwnj", 0x200C, 0},
};
/* clang-format on */

#define ENTITY_NAME_MAX 15
#define BARE_NAME_MAX 6

static int entity_cmp(const void *key, const void *row)
{
    return span_cmp(*(const struct span *)key, span_of(((const struct entity *)row)->name));
}

static const struct entity *entity_find(struct span name)
{
    return bsearch(&name, entities, COUNT(entities), sizeof entities[0], entity_cmp);
}

/* "&#8364;", "&#x20ac": the bytes it takes, or 0. */
static size_t numeric_reference(struct span s, uint32_t *cp_out)
{
    uint32_t cp = 0, base = s.n > 2 && (s.p[2] | 32) == 'x' ? 16 : 10;
    size_t   first = base == 16 ? 3 : 2, at = first;

    for (; at < s.n; at++) {
        char     c = s.p[at], low = (char)(c | 32);
        uint32_t digit = html_is_digit(c) ? (uint32_t)(c - '0') : (uint32_t)(low - 'a' + 10);

        if (!html_is_digit(c) && !(base == 16 && low >= 'a' && low <= 'f'))
            break;
        if (cp <= 0x10FFFF)
            cp = cp * base + digit;
    }
    if (at == first)
        return 0;
    if (cp == 0 || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        cp = UTF8_BAD;
    *cp_out = cp >= 0x80 && cp < 0xA0 ? text_windows_1252((unsigned char)cp) : cp;
    return at + (at < s.n && s.p[at] == ';');
}

size_t html_reference(struct span s, uint32_t *cp_out)
{
    const struct entity *e;
    size_t               n = 0;

    if (s.n > 2 && s.p[1] == '#')
        return numeric_reference(s, cp_out);
    while (n <= ENTITY_NAME_MAX && n + 1 < s.n && (html_is_alpha(s.p[n + 1]) || html_is_digit(s.p[n + 1])))
        n++;
    if (n + 1 < s.n && s.p[n + 1] == ';' && (e = entity_find(span_make(s.p + 1, n))) != NULL) {
        *cp_out = e->cp;
        return n + 2;
    }
    for (n = n < BARE_NAME_MAX ? n : BARE_NAME_MAX; n >= 2; n--) {
        e = entity_find(span_make(s.p + 1, n));
        if (e != NULL && e->bare) {
            *cp_out = e->cp;
            return n + 1;
        }
    }
    return 0;
}

/* ---- elements ---- */

/* clang-format off */
/* Sorted by bytes; what is not here is an inline element. */
static const struct tag {
    char     name[12];
    unsigned kind;
} tags[] = {
    {"address", EL_LINE},      {"area", EL_VOID},       {"article", EL_LINE},       {"aside", EL_LINE},
    {"base", EL_VOID},         {"blockquote", EL_LINE}, {"body", EL_LINE | EL_ROOT}, {"br", EL_LINE | EL_VOID},
    {"caption", EL_LINE},      {"center", EL_LINE},     {"col", EL_VOID},           {"datalist", EL_GONE},
    {"dd", EL_LINE | EL_ITEM}, {"details", EL_LINE},    {"dialog", EL_LINE},        {"dir", EL_LINE | EL_LIST},
    {"div", EL_LINE},          {"dl", EL_LINE | EL_LIST}, {"dt", EL_LINE | EL_ITEM}, {"embed", EL_VOID},
    {"fieldset", EL_LINE},     {"figcaption", EL_LINE}, {"figure", EL_LINE},        {"footer", EL_LINE},
    {"form", EL_LINE},         {"h1", EL_LINE},         {"h2", EL_LINE},            {"h3", EL_LINE},
    {"h4", EL_LINE},           {"h5", EL_LINE},         {"h6", EL_LINE},            {"head", EL_ROOT},
    {"header", EL_LINE},       {"hr", EL_LINE | EL_VOID}, {"html", EL_ROOT},        {"iframe", EL_RAW},
    {"img", EL_VOID},          {"input", EL_VOID},      {"legend", EL_LINE},        {"li", EL_LINE | EL_ITEM},
    {"link", EL_VOID},         {"main", EL_LINE},       {"menu", EL_LINE | EL_LIST}, {"meta", EL_VOID},
    {"nav", EL_LINE},          {"noembed", EL_RAW},     {"noframes", EL_RAW},       {"ol", EL_LINE | EL_LIST},
    {"option", EL_LINE | EL_ITEM}, {"p", EL_LINE | EL_PARA}, {"param", EL_VOID},    {"pre", EL_LINE},
    {"script", EL_RAW},        {"section", EL_LINE},    {"select", EL_LIST},        {"source", EL_VOID},
    {"style", EL_RAW},         {"summary", EL_LINE},    {"table", EL_LINE | EL_TABLE}, {"tbody", EL_LINE},
    {"td", EL_CELL},           {"template", EL_GONE},   {"tfoot", EL_LINE},         {"th", EL_CELL},
    {"thead", EL_LINE},        {"title", EL_RAW},       {"tr", EL_LINE | EL_ROW},   {"track", EL_VOID},
    {"ul", EL_LINE | EL_LIST}, {"wbr", EL_VOID},
};
/* clang-format on */

static int tag_cmp(const void *key, const void *row) { return strcmp(key, ((const struct tag *)row)->name); }

unsigned html_kind(struct span name)
{
    char              low[sizeof tags[0].name] = "";
    const struct tag *t;

    if (name.n >= sizeof low)
        return 0;
    for (size_t i = 0; i < name.n; i++)
        low[i] = html_lower(name.p[i]);
    t = bsearch(low, tags, COUNT(tags), sizeof tags[0], tag_cmp);
    return t != NULL ? t->kind : 0;
}

static uint32_t tag_id(struct span name)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)html_lower(name.p[i])) * 16777619u;
    return h;
}

size_t html_implied(const struct html_open *open, size_t depth, unsigned kind)
{
    unsigned ends = 0, stop = EL_TABLE;

    if (kind & (EL_CELL | EL_ROW))
        ends = kind & EL_ROW ? EL_CELL | EL_ROW : EL_CELL;
    else if (kind & EL_ITEM)
        ends = EL_ITEM | EL_PARA, stop |= EL_CELL | EL_LIST;
    else if (kind & EL_LINE && !(kind & EL_VOID))
        ends = EL_PARA, stop |= EL_CELL;
    for (size_t i = depth; ends != 0 && i > 0; i--) {
        if (open[i].kind & stop)
            break;
        if (open[i].kind & ends)
            depth = i - 1;
    }
    return depth;
}

struct html_open html_opened(struct span name, unsigned hide)
{
    return (struct html_open){.id = tag_id(name), .kind = html_kind(name), .hide = hide};
}

size_t html_closed(const struct html_open *open, size_t depth, struct span name)
{
    unsigned kind = html_kind(name);
    uint32_t id = tag_id(name);
    unsigned stop = kind & (EL_CELL | EL_ROW) ? EL_TABLE : kind & EL_TABLE ? 0 : EL_TABLE | EL_CELL;

    for (size_t i = depth; i > 0; i--) {
        if (open[i].id == id && open[i].kind == kind)
            return i - 1;
        if (open[i].kind & stop)
            break;
    }
    return depth;
}

/* ---- tokens ---- */

bool html_next_attribute(struct html_cursor *c, struct html_attribute *out)
{
    const char *p = c->in.p;
    size_t      n = c->in.n, at = c->at, from;

    while (at < n && (html_is_white(p[at]) || p[at] == '/'))
        at++;
    if (at >= n || p[at] == '>') {
        c->at = at < n ? at + 1 : n;
        return false;
    }
    from = at++; /* whatever stands first belongs to the name, an '=' too */
    while (at < n && !html_is_white(p[at]) && p[at] != '/' && p[at] != '>' && p[at] != '=')
        at++;
    *out = (struct html_attribute){.name = span_make(p + from, at - from), .value = SPAN("")};
    while (at < n && html_is_white(p[at]))
        at++;
    if (at < n && p[at] == '=') {
        at++;
        while (at < n && html_is_white(p[at]))
            at++;
        if (at < n && (p[at] == '"' || p[at] == '\'')) {
            out->value = span_head(span_make(p + at + 1, n - at - 1),
                                   span_chr(span_make(p + at + 1, n - at - 1), p[at]));
            at += out->value.n + 2;
        } else {
            from = at;
            while (at < n && !html_is_white(p[at]) && p[at] != '>')
                at++;
            out->value = span_make(p + from, at - from);
        }
    }
    c->at = at < n ? at : n;
    return true;
}

void html_skip_raw(struct html_cursor *c, struct span name)
{
    while (c->at < c->in.n) {
        struct span rest;

        c->at += span_chr(span_skip(c->in, c->at), '<');
        rest = span_skip(c->in, c->at);
        if (rest.n > name.n + 2 && rest.p[1] == '/' && span_eq_ci(span_make(rest.p + 2, name.n), name) &&
            !html_is_alpha(rest.p[2 + name.n]))
            return; /* the end tag is read as any other, and closes nothing */
        c->at += rest.n > 0;
    }
}

/* "<!--": to "-->" (or what browsers take for it), or to the end of all. */
static void skip_comment(struct html_cursor *c)
{
    struct span body = span_skip(c->in, c->at + 4);
    size_t      end, odd;

    if (span_starts(body, SPAN(">")) || span_starts(body, SPAN("->"))) {
        c->at += 4 + (body.p[0] == '>' ? 1 : 2);
        return;
    }
    end = span_find(body, SPAN("-->"));
    odd = span_find(span_head(body, end), SPAN("--!>"));
    c->at += 4 + (odd < end ? odd + 4 : end + 3);
}

/* The name at the cursor, behind "<" or "</". */
static struct span take_name(struct html_cursor *c)
{
    size_t from = c->at;

    while (c->at < c->in.n && !html_is_white(c->in.p[c->at]) && c->in.p[c->at] != '/' && c->in.p[c->at] != '>')
        c->at++;
    return span_make(c->in.p + from, c->at - from);
}

/* At a '<'. False: what stood there was no more than a comment or a declaration. */
static bool read_markup(struct html_cursor *c, struct html_token *out)
{
    struct span rest = span_skip(c->in, c->at);
    bool        closing = rest.n > 1 && rest.p[1] == '/';
    size_t      n = 1 + closing;

    if (rest.n > n && html_is_alpha(rest.p[n])) {
        c->at += n;
        *out = (struct html_token){closing ? HTML_CLOSE : HTML_OPEN, take_name(c)};
        return true;
    }
    if (span_starts(rest, SPAN("<!--"))) {
        skip_comment(c);
    } else if (closing || (rest.n > 1 && (rest.p[1] == '!' || rest.p[1] == '?'))) {
        c->at += span_chr(rest, '>') + 1;
    } else { /* a '<' that begins nothing is text */
        c->at++;
        *out = (struct html_token){HTML_TEXT, span_head(rest, 1)};
        return true;
    }
    return false;
}

bool html_next(struct html_cursor *c, struct html_token *out)
{
    while (c->at < c->in.n) {
        struct span rest = span_skip(c->in, c->at);

        if (rest.p[0] != '<') {
            *out = (struct html_token){HTML_TEXT, span_head(rest, span_chr(rest, '<'))};
            c->at += out->text.n;
            return true;
        }
        if (read_markup(c, out))
            return true;
    }
    return false;
}
