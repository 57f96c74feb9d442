/* tests/fuzz/html_check.h - is a document one that html_safe() may write? Told by a reader of its own, which knows none of its code. */
#ifndef POSTERN_TESTS_FUZZ_HTML_CHECK_H
#define POSTERN_TESTS_FUZZ_HTML_CHECK_H

#include "base/utf8.h"
#include "mail/html_safe.h"

#define HTML_CHECK_END SPAN("\n</body></html>\n")

static inline bool one_of(struct span s, const char *blank_separated)
{
    struct span rest = span_of(blank_separated), one;

    while (span_next(&rest, ' ', &one))
        if (span_eq(one, s))
            return true;
    return false;
}

static inline bool is_known_element(struct span name)
{
    return one_of(
        name,
        "u abbr acronym address article aside b bdi bdo big blockquote div br caption center cite code col colgroup "
        "dd del dfn dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li mark "
        "ol p pre q s samp section small span strike strong sub sup table tbody td tfoot th thead time tr tt "
        "ul var wbr");
}

static inline bool is_void_element(struct span name) { return one_of(name, "br col hr img wbr"); }

static inline bool has(struct span s, const char *word) { return span_find_ci(s, span_of(word)) < s.n; }

static inline const char *wrong_in_text(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        struct span rest = span_skip(s, i);

        if (s.p[i] == '&' && !span_starts(rest, SPAN("&amp;")) && !span_starts(rest, SPAN("&lt;")) &&
            !span_starts(rest, SPAN("&gt;")) && !span_starts(rest, SPAN("&quot;")) && !span_starts(rest, SPAN("&#39;")))
            return "a bare &";
        if (s.p[i] == '>' || s.p[i] == '"' || s.p[i] == '\'')
            return "a bare mark";
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t' && s.p[i] != '\n') || s.p[i] == 0x7f)
            return "a control character";
    }
    return NULL;
}

static inline const char *wrong_in_attribute(struct span element, struct span name, struct span value)
{
    if (span_is(name, "src")) {
        size_t comma = span_chr(value, ',');

        if (!span_is(element, "img") ||
            !one_of(span_head(value, comma),
                    "data:image/png;base64 data:image/jpeg;base64 data:image/gif;base64 data:image/webp;base64"))
            return "a source that is no picture";
        for (size_t i = comma + 1; i < value.n; i++)
            if (!one_of(span_make(value.p + i, 1), "+ / =") && !(value.p[i] >= '0' && value.p[i] <= '9') &&
                !((value.p[i] | 32) >= 'a' && (value.p[i] | 32) <= 'z'))
                return "a picture that is no base64";
        return NULL;
    }
    if (span_is(name, "class"))
        return (span_is(element, "bdi") && span_is(value, "host")) ||
                       (span_is(element, "i") && span_is(value, "picture"))
                   ? NULL
                   : "a class";
    if (span_is(name, "style") &&
        (has(value, "url(") || has(value, "expression(") || has(value, "position:") || has(value, "attr(") ||
         has(value, "\\") || has(value, "@") || has(value, "/*") || has(value, "&") || has(value, "image(") ||
         has(value, "image-set") || has(value, "binding:") || has(value, "behavior:") || has(value, "{")))
        return "a style that does something";
    if (!one_of(name, "align bgcolor border cellpadding cellspacing color colspan dir face height hspace lang nowrap "
                      "rowspan size "
                      "span start style title type valign value vspace width alt"))
        return "an attribute that nobody knows";
    return wrong_in_text(value);
}

/* Behind the name of a start tag, up to its '>'. */
static inline const char *wrong_in_attributes(struct span element, struct span *rest)
{
    while (rest->n > 0 && rest->p[0] == ' ') {
        struct span name, value;
        const char *wrong;
        size_t      eq = span_find(*rest, SPAN("=\"")), close;

        name = span_head(span_skip(*rest, 1), eq > 0 ? eq - 1 : 0);
        *rest = span_skip(*rest, eq + 2);
        close = span_chr(*rest, '"');
        value = span_head(*rest, close);
        *rest = span_skip(*rest, close + 1);
        if ((wrong = wrong_in_attribute(element, name, value)) != NULL)
            return wrong;
    }
    if (rest->n == 0 || rest->p[0] != '>')
        return "a tag without end";
    *rest = span_skip(*rest, 1);
    return NULL;
}

/* NULL, or what is wrong. */
static inline const char *html_wrong(struct span all)
{
    static const char head[] = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">";
    struct span       stack[HTML_SAFE_DEPTH + 2], rest;
    size_t            depth = 0, body = span_find(all, SPAN("<body>\n"));

    if (!utf8_valid(all) || all.n > HTML_SAFE_MAX + 2048 || !span_starts(all, span_of(head)) ||
        !span_ends(all, HTML_CHECK_END))
        return "not a document";
    rest = span_make(all.p + body + 7, all.n - body - 7 - HTML_CHECK_END.n);
    while (rest.n > 0) {
        size_t      n = span_chr(rest, '<');
        const char *wrong = wrong_in_text(span_head(rest, n));
        bool        closing;
        struct span name;

        if (wrong != NULL)
            return wrong;
        if (n == rest.n)
            break;
        rest = span_skip(rest, n + 1);
        closing = rest.n > 0 && rest.p[0] == '/';
        rest = span_skip(rest, closing);
        for (n = 0; n < rest.n && ((rest.p[n] >= 'a' && rest.p[n] <= 'z') || (rest.p[n] >= '0' && rest.p[n] <= '9'));)
            n++;
        name = span_head(rest, n);
        rest = span_skip(rest, n);
        if (!is_known_element(name))
            return "an element that nobody knows";
        if (closing && (depth == 0 || !span_eq(stack[--depth], name) || rest.n == 0 || rest.p[0] != '>'))
            return "an end of what is not open";
        if (closing)
            rest = span_skip(rest, 1);
        else if ((wrong = wrong_in_attributes(name, &rest)) != NULL)
            return wrong;
        else if (!is_void_element(name) && depth <= HTML_SAFE_DEPTH)
            stack[depth++] = name;
        if (depth > HTML_SAFE_DEPTH)
            return "too deep";
    }
    return depth == 0 ? NULL : "something is left open";
}

#endif
