/* lib/rules/wildcard.h - `*` any run, `?` one character, `[a|b|c]` one of the alternatives, `\` escapes (design.md 2.1).
 *
 * Matches the whole value, both sides already in normal form. Time is at most pattern length × text length; no recursion;
 * no allocation. `?` is one UTF-8 character. Alternatives are literal, without wildcards inside. */
#ifndef POSTERN_RULES_WILDCARD_H
#define POSTERN_RULES_WILDCARD_H

#include "base/buf.h"
#include "base/err.h"

bool wildcard_is(struct span text);                    /* holds an unescaped * ? or [ */
int  wildcard_check(struct span pattern, struct err *e); /* unclosed [, empty alternative, trailing \: position and cure */
bool wildcard_match(struct span pattern, struct span text);
/* The longest literal run that every match must contain, unescaped, appended to out (may be nothing). */
void wildcard_literal(struct span pattern, struct buf *out);

#endif
