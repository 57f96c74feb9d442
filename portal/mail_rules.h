/* portal/mail_rules.h - the rules that a delivery met, as people read of them: by the names that they have now.
 *
 * What rulesd writes down of a match has no name in it, since it keeps none. A rule that is gone has the name null, and so has an entry
 * of the learned senders ("layer" says so), which never had one. */
#ifndef POSTERN_PORTAL_MAIL_RULES_H
#define POSTERN_PORTAL_MAIL_RULES_H

#include "call.h"
#include "store/delivery.h"

/* "rule": { id, name, action } of the one that decided, or null; and "matches": all that matched, as rulesd tells of them. */
int mail_rules_put(struct call *c, const struct store_delivery *of, struct buf *b, struct err *e);

#endif
