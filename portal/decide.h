/* portal/decide.h - "allow this sender", "block this sender" about the call's delivery, by a rule of its scope that takes effect.
 *
 * Effect   the rule goes into the policy `Rules` of the scope, ahead of all that would decide the other way there. What stands above the
 *          scope, or in a stronger policy of it, cannot be overtaken: then `note` names it.
 * Atomic   what it goes ahead of is what stands when it is written, however many change the scope's rules or press at the same moment;
 *          whoever presses the same gets the same rule. */
#ifndef POSTERN_PORTAL_DECIDE_H
#define POSTERN_PORTAL_DECIDE_H

#include "breadths.h"
#include "store/rule.h"

struct decided {
    struct uuid rule;
    int32_t     priority;
    const char *note; /* a sentence: what keeps it from deciding; or NULL */
};
/* In no transaction: it makes its own. sender: one of breadths_find(); empty: the address alone, and nothing wider (ERR_CONFLICT: it cannot stand in a rule). */
int decide_make(struct call *c, enum rule_action action, struct span sender, struct decided *out, struct err *e);

/* How it stands with the address alone, changing nothing. */
struct decide_stand {
    bool        possible; /* it has a sender that a rule can be about */
    bool        made;     /* there is such a rule, and nothing in its reach goes ahead of it */
    struct uuid rule;     /* also where it is switched off, or overtaken; else zero */
    bool        over;     /* made, but one above it decides first, or mail to this address obeys the operator alone */
    bool        unproven; /* made, but nothing here can prove senders */
};
int decide_look(struct call *c, enum rule_action action, struct decide_stand *out, struct err *e);

#endif
