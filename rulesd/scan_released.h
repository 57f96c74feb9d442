/* rulesd/scan_released.h - a released message on its way back in: its bypass is good once (bypass.h).
 *
 * It was let go by somebody who may: rules and score are past, and so is what they decided about (scan/lift.h, in
 * the bypass). What else it carries is not. For that it is refused like any other, even where such mail would be
 * held: who releases has to hear of it. */
#ifndef POSTERN_RULESD_SCAN_RELEASED_H
#define POSTERN_RULESD_SCAN_RELEASED_H

#include "scan.h"

/* Has it a bypass that is good for its bytes and its one recipient? Then scan->pass says which, and scan->lifted is
 * the score without what is lifted. Good means written by us; whether it was spent before is not
 * known yet. */
bool scan_released(struct scan *s);
/* Is it mail of our own, with a mark that is good for its bytes and its one recipient? Then nobody's rules and no score hold it. */
bool scan_own(struct scan *s);
void scan_own_judge(struct scan *s);

/* The scanner could not look for what it must not carry: it is not spent, and comes again. */
void scan_released_put_off(struct scan *s);
/* Spends that. Wakes the scan, which must not be touched before. */
void scan_released_spend(struct scan *s);
/* If it was not spent before, the verdict is what a released message gets. */
void scan_released_judge(struct scan *s);

#endif
