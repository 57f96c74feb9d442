/* rulesd/discreet.h - what a scanner writes about a message may name its recipients (Rspamd's X-Spamd-Result does), and goes to all of
 * them alike: with more than one, nobody shall read of the others. Pure. */
#ifndef POSTERN_RULESD_DISCREET_H
#define POSTERN_RULESD_DISCREET_H

#include "base/span.h"

/* Does the text name one of them? Case does not count; addresses may have brackets. A longer address that ends or goes on like one of
 * them counts too. With so many '@' and recipients that it would take long (DISCREET_STEPS_MAX): true. */
#define DISCREET_STEPS_MAX 1000000
bool discreet_names(struct span text, const struct span *addresses, size_t n);

#endif
