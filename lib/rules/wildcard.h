/* lib/rules/wildcard.h - `*` any run, `?` one character, `[a|b|c]` one of the alternatives, `\` escapes (design.md 2.1).
 *
 * Matches the whole value, both sides already in normal form. Time is at most pattern length × text length; no recursion;
 * no allocation. A character is one of UTF-8; a bad byte counts as one. Alternatives are literal: wildcards inside them are
 * refused. A pattern that wildcard_check() refuses matches nothing, or something, but ends. */
#ifndef POSTERN_RULES_WILDCARD_H
#define POSTERN_RULES_WILDCARD_H

#include "base/buf.h"
#include "base/err.h"

#define WILDCARD_MAX 1024 /* bytes of a pattern; a longer one matches nothing */

bool wildcard_is(struct span text); /* holds an unescaped * ? or [ */
/* Unclosed [, empty alternative, trailing \, wildcard in an alternative: reason and cure; e->at is the byte. */
int  wildcard_check(struct span pattern, struct err *e);
bool wildcard_match(struct span pattern, struct span text);
/* The longest literal run that every match must contain, unescaped, appended to out (may be nothing). */
void wildcard_literal(struct span pattern, struct buf *out);
/* A text without wildcards, unescaped: "a\*b" is "a*b". Appended to out. */
void wildcard_unescape(struct span text, struct buf *out);

/* The items of a pattern one by one, for who needs to look inside. Zero-initialise, set pattern. */
enum wildcard_kind {
    WILDCARD_END,
    WILDCARD_LITERAL,
    WILDCARD_ONE,
    WILDCARD_RUN,
    WILDCARD_OPEN,
    WILDCARD_BAR,
    WILDCARD_CLOSE
};
struct wildcard_walk {
    struct span pattern;
    size_t      at;
    bool        inside; /* of [ ] */
};
struct wildcard_item {
    enum wildcard_kind kind;
    struct span        text; /* of a literal: one character, unescaped */
    size_t             at;   /* where it starts, its escape included */
    bool               cut;  /* a backslash with nothing behind it */
};
struct wildcard_item wildcard_next(struct wildcard_walk *w);

#endif
