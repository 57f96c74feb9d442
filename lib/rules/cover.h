/* lib/rules/cover.h - does one rule hold whenever another does? Pure.
 *
 * Sound, not complete: yes means that there is no message for which it is otherwise; no means that it is not so, or that nobody can
 * tell so cheaply. What is compared is what rules say, never a message: domains that hold others, blocks that hold addresses, texts that
 * hold texts, wildcards that match an address, entries that are the same. Two regexes are the same or unrelated.
 *
 * Strictly, a rule that lets in mail of a sender who has to be proven does not hold whenever the same block would, nor does an allow
 * (which needs all From addresses) whenever a block (which needs one) does. Loosely, those are left out of account: the two
 * rules speak of the same senders.
 * Cost      entry_covers: of a wildcard its length by that of the other entry, else constant. The rest multiplies entries; `steps`
 *           counts them, and who calls bounds them. */
#ifndef POSTERN_RULES_COVER_H
#define POSTERN_RULES_COVER_H

#include "rules/rule.h"

/* Everything that y matches in the condition b, x matches in a. Of two conditions that condition_fits(). */
bool entry_covers(const struct condition *a, const struct entry *x, const struct condition *b, const struct entry *y);

/* May conditions of these two be compared entry by entry: the same kind, field and negation, and no other difference that counts? */
bool condition_fits(const struct rule *ra, const struct condition *a, const struct rule *rb, const struct condition *b,
                    bool loose);
/* Whenever b is true, a is. */
bool condition_covers(const struct rule *ra, const struct condition *a, const struct rule *rb,
                      const struct condition *b, bool loose, size_t *steps);

/* Whatever the conditions say: is a there whenever b is (flow, expiry, proof)? */
bool rule_stands(const struct rule *a, const struct rule *b, bool loose);
/* Would a's allow be refused to a sender who is not proven? */
bool rule_asks_proof(const struct rule *a);

/* The domain of a sender, recipient, host or signer entry that all it matches have, or end in; {NULL, 0}: there is none. */
struct span entry_domain(const struct entry *x);

#endif
