/* lib/rules/spamassassin.h - what of a rule SpamAssassin 4 can be told in a user's preferences. Pure.
 *
 * SpamAssassin knows allows and blocks by sender: welcomelist_auth (which holds for a sender that SPF or DKIM prove, as our own allows do;
 * welcomelist_from would believe any From) and blocklist_from. Patterns there are whole addresses with * and ?. What a rule
 * looks at besides, and patterns that have no such form, cannot be told. */
#ifndef POSTERN_RULES_SPAMASSASSIN_H
#define POSTERN_RULES_SPAMASSASSIN_H

#include "rules/rule.h"

#define SPAMASSASSIN_VALUE_MAX 320

enum spamassassin_fit {
    SPAMASSASSIN_WHOLE, /* all of it */
    SPAMASSASSIN_PART,  /* some of its entries, or a little more or less than it says: see why */
    SPAMASSASSIN_NONE,  /* nothing */
};
struct spamassassin_rule {
    enum spamassassin_fit fit;
    const char           *why; /* for people; NULL for SPAMASSASSIN_WHOLE */
    struct span *patterns;     /* ASCII without blanks and controls: nothing that could end a line or start a comment */
    size_t       npatterns;
};
/* -1: the arena is full. */
int spamassassin_express(const struct rule *r, struct arena *a, struct spamassassin_rule *out, struct err *e);

#endif
