/* lib/rules/plain.h - rules that are no more than a list; and what a rule does, as one text to compare. Pure. */
#ifndef POSTERN_RULES_PLAIN_H
#define POSTERN_RULES_PLAIN_H

#include "rules/rule.h"

/* Is it a list of senders, or of servers' addresses? In force, for ever, for mail that comes from there: one condition on the From address
 * or the IP that is not negated; an allow by name asks for proof. */
bool rule_is_list(const struct rule *r);

/* What the rule does, in normal form, appended: two with the same key do the same, whatever their names, notes and priorities. */
void rule_put_key(struct buf *out, const struct rule *r);
/* The key of the rule that has only this entry, of a rule with one condition. */
void rule_put_entry_key(struct buf *out, const struct rule *r, const struct entry *x);

#endif
