/* lib/letter/tally.h - of whom there is how much in a digest: the senders of what was blocked, and a domain's recipients. Pure. */
#ifndef POSTERN_LETTER_TALLY_H
#define POSTERN_LETTER_TALLY_H

#include "letter/content.h"

/* The most frequent ones, at most max of them; of those equally frequent in order of addresses. How many. What is gone counts for nobody. */
size_t tally_senders_blocked(const struct digest_item *items, size_t n, struct arena *a, struct digest_count *out,
                             size_t max);
size_t tally_recipients(const struct digest_item *items, size_t n, struct arena *a, struct digest_count *out,
                        size_t max); /* of all but what was blocked */

#endif
