/* lib/custody/held.h - what is to be said of a held delivery, to whoever asks. Pure. */
#ifndef POSTERN_CUSTODY_HELD_H
#define POSTERN_CUSTODY_HELD_H

#include "rules/decide.h"
#include "store/message.h"

/* A block adds SCORE_BLOCK: what the filter alone made of it. */
double held_own_score(bool has_rule, double score);
/* Is it probably spam, for who looks for what should not be there? What the score held is, where the domain would refuse it; what a rule
 * held, where the domain would mark it. */
bool held_likely_spam(bool has_rule, bool has_score, double score, const struct thresholds *t);
/* Was it held by what the person said: a rule of the mailbox, a learned sender; or by the score alone? Not by who is over them. */
bool held_by_themselves(bool has_rule, struct span layer);

#endif
