/* lib/store/rule_inside.h - what the files of rule.h share. For them alone.
 *
 *   rule.c         rows are read, added, changed, deleted
 *   rule_limit.c   what a rule may be, who may write it, and how many a scope may have
 *   rule_order.c   which rule of a policy decides first, and which policy a rule is in
 *   rule_import.c  many at once */
#ifndef POSTERN_STORE_RULE_INSIDE_H
#define POSTERN_STORE_RULE_INSIDE_H

#include "store/policy.h"
#include "store/rule.h"

#define RULE_ROW_MAX (RULE_JSON_MAX + RULE_NOTE_MAX + 4096) /* an arena for one row */

/* ---- rows ---- */
#define RULE_ROW_VALUES 13
extern const char rule_row_insert_sql[];
void              rule_row_values(const struct store_rule *r, const struct uuid *id, int64_t now_us,
                                  struct db_val out[RULE_ROW_VALUES]);
/* What a change of a stored rule needs to know first, and its row of the change feed. The rule waits in the arena. */
int rule_row_before(struct store *s, const struct actor *by, struct uuid id, struct arena *a, struct store_rule *out,
                    struct store_policy *policy_out, struct err *e);

/* ---- limits ---- */
/* Can it be a row? */
int rule_row_check(const struct store_rule *r, struct err *e);
/* May such a rule stand in that policy, by this hand? */
int rule_row_permit(const struct actor *by, const struct store_policy *p, enum rule_action action, struct err *e);
/* Does it add to the regexes without a fixed text? before: NULL, or what was there. Then store_scope_slow_fit() has to be asked, for 0
 * more, once it is written. */
bool rule_row_slows(const struct store_rule *before, const struct store_rule *after);
/* Does the scope, with what was just put into it, keep its quota? */
int rule_room_check(struct store *s, const struct actor *by, struct store_scope scope, struct err *e);

#endif
