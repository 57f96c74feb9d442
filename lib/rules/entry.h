/* lib/rules/entry.h - one entry of a condition's `any`: from what a person wrote to its kind and normal form.
 *
 * The grammar is design.md 2.1's. Beyond it, because people write it so: blanks around an entry are dropped; "*.domain" as a
 * sender is "*@*.domain"; a sender wildcard without "@" and without "*" ("[a|b].example") means a domain, "*@[a|b].example",
 * since no address could match it; every other one compares with the whole address. An address literal is no wildcard.
 * A text entry is folded unless case_sensitive; no text but `exact` may be empty. */
#ifndef POSTERN_RULES_ENTRY_H
#define POSTERN_RULES_ENTRY_H

#include "rules/rule.h"

/* Fills kind, text, ip and written of *out, whose spans point into `written` or the arena. c needs kind, match and
 * case_sensitive. Regexes are not compiled here. -1: e has reason and cure, e->at the byte of `written`. */
int entry_parse(const struct condition *c, struct span written, struct arena *a, struct entry *out, struct err *e);

/* One value of an attachment entry; `dot` drops a leading dot (".pdf"). */
int entry_attachment_value(struct span written, bool dot, struct arena *a, struct span *out, struct err *e);

/* The flags that a regex of this condition is compiled with. */
unsigned entry_regex_flags(const struct condition *c);

#endif
