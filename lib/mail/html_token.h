/* lib/mail/html_token.h - HTML taken apart as a browser would, for html.c and html_safe.c alone.
 *
 * One pass, linear, without recursion or copies: texts, start tags and end tags one after the other; comments, declarations and what is
 * cut off at the end are passed over. No tree is built: who reads keeps a stack of open elements (open[0] is the document, open[depth]
 * the innermost), and asks which of them end. */
#ifndef POSTERN_MAIL_HTML_TOKEN_H
#define POSTERN_MAIL_HTML_TOKEN_H

#include "base/span.h"

struct html_cursor {
    struct span in;
    size_t      at;
};

enum html_token_kind { HTML_TEXT, HTML_OPEN, HTML_CLOSE };
struct html_token {
    enum html_token_kind kind;
    struct span          text; /* as written, or the element's name */
};
/* False at the end. Behind a tag its attributes have to be read, all of them. */
bool html_next(struct html_cursor *c, struct html_token *out);

struct html_attribute {
    struct span name, value; /* as written */
};
/* The next attribute of the tag at the cursor. False at the end of the tag, which is then taken. */
bool html_next_attribute(struct html_cursor *c, struct html_attribute *out);
/* Behind the tag of an element that is EL_RAW: goes to its end tag, or to the end of all. */
void html_skip_raw(struct html_cursor *c, struct span name);

/* The character reference at the start of s ('&'): the bytes it takes, or 0 when it is none. */
size_t html_reference(struct span s, uint32_t *cp_out);

enum {
    EL_VOID = 1 << 0, /* has no content */
    EL_LINE = 1 << 1, /* stands on lines of its own */
    EL_RAW = 1 << 2,  /* its content is not markup, and is not shown */
    EL_GONE = 1 << 3, /* its content is markup, and is not shown */
    EL_ROOT = 1 << 4, /* opened once, and never closed */
    EL_PARA = 1 << 5, /* ends where a block begins */
    EL_ITEM = 1 << 6, /* ends where the next one begins */
    EL_CELL = 1 << 7,
    EL_ROW = 1 << 8,
    EL_TABLE = 1 << 9, /* closed by its own end alone, as its cells are */
    EL_LIST = 1 << 10,
};
/* What is in no list of ours is an inline element: 0. */
unsigned html_kind(struct span name);

struct html_open {
    uint32_t id;
    unsigned kind, hide; /* hide: the reader's own */
};
struct html_open html_opened(struct span name, unsigned hide);
/* The depth that is left when an element of this kind begins: some end without being told to. */
size_t html_implied(const struct html_open *open, size_t depth, unsigned kind);
/* The depth that is left behind that end tag; the same when it closes nothing. */
size_t html_closed(const struct html_open *open, size_t depth, struct span name);

static inline bool html_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool html_is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool html_is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
static inline char html_lower(char c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

#endif
