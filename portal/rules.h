/* portal/rules.h - what the calls about rules share. */
#ifndef POSTERN_PORTAL_RULES_H
#define POSTERN_PORTAL_RULES_H

#include "call.h"
#include "store/rule.h"

/* A domain's rules are its owners'; in a mailbox the deed of the route has said enough. */
int rules_permit(struct call *c, bool write, struct err *e);

/* A rule as a person sent it, checked for this scope: who may write regexes, free-mail domains (ERR_CONFLICT until `confirm`). What is
 * wrong with it is said as a sentence, about the member `rule`; e->at is the byte of the rule's own JSON. */
int rules_read(struct call *c, struct span json, bool confirm, struct rule_check *check, struct rule *out,
               struct err *e);

/* Can anything here prove senders: a filter, or an authserv_id? */
bool rules_can_prove(const struct call *c);

#endif
