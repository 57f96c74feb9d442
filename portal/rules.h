/* portal/rules.h - what the calls about rules share. */
#ifndef POSTERN_PORTAL_RULES_H
#define POSTERN_PORTAL_RULES_H

#include "change.h"
#include "store/rule.h"

/* A domain's rules are its owners'; in a mailbox the deed of the route has said enough. */
int rules_permit(struct call *c, bool write, struct err *e);

/* A rule as a person sent it, checked for this scope: who may write regexes, free-mail domains (ERR_CONFLICT until `confirm`). What is
 * wrong with it is said as a sentence, about the member `rule`; e->at is the byte of the rule's own JSON. */
int rules_read(struct call *c, struct span json, bool confirm, struct rule_check *check, struct rule *out,
               struct err *e);

/* What PUT /rules/{rule} writes, and the policy that it is in. / Of the call's rule. */
struct version rules_version_of(const struct store_rule *r);
int            rules_version(struct call *c, struct version *out, struct err *e);

/* The call's rule into another policy of its scope, behind the rules that are there. What is wrong is about the member `policy`. */
int rules_transfer(struct call *c, struct uuid policy, struct err *e);

/* The library speaks in the middle of a line: its error as a sentence, about the member that c names, else `rule`. Returns -1. */
int rules_say(struct call *c, struct err *e);

/* Can anything here prove senders: a filter, or an authserv_id? */
bool rules_can_prove(const struct call *c);

#endif
