/* rulesd/bypass.h - the released message that comes back through our own scan (store/bypass.h), and mail that Postern itself sends
 * (mail/own_mark.h).
 *
 * Checking costs a hash and happens on the scan's thread; spending asks the database, on a thread of its own. */
#ifndef POSTERN_RULESD_BYPASS_H
#define POSTERN_RULESD_BYPASS_H

#include "base/conf.h"
#include "desk.h"
#include "store/bypass.h"

struct bypasses;
/* No keys there: no field and no mark is good until bypasses_keys_again() finds them. Borrows the settings. */
int bypasses_new(const struct settings *settings, struct bypasses **out, struct err *e);
/* Looks for the keys, unless they are there: true if they are now. One thread at a time. */
bool bypasses_keys_again(struct bypasses *b);
void bypasses_free(struct bypasses **b); /* what is under way is told that it is not good */

/* Pure: is there a field that is good for this message and recipient? */
bool bypasses_check(const struct bypasses *b, struct span message, struct span recipient, int64_t now_us,
                    struct bypass *out);

/* Pure: is it mail of our own, to this recipient? */
bool bypasses_own(const struct bypasses *b, struct span message, struct span recipient, int64_t now_us);

struct bypass_job {
    struct bypass bypass;
    void (*done)(struct bypass_job *j); /* once, on the thread of the bypasses */
    bool good;                          /* it was not spent before, and is now */

    struct job       job; /* the desk's */
    struct bypasses *all;
};
void bypasses_spend(struct bypasses *b, struct bypass_job *j);

#endif
