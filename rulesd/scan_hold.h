/* rulesd/scan_hold.h - a scan gives custody what nobody gets now (custody.h). */
#ifndef POSTERN_RULESD_SCAN_HOLD_H
#define POSTERN_RULESD_SCAN_HOLD_H

#include "scan.h"

/* Can copies be kept at all, for this caller? */
bool scan_may_hold(const struct scan *s);
/* Would everybody who may still get it rather have such mail held than refused, or tagged (at_reject false)? */
bool scan_holds(const struct scan *s, bool at_reject);

/* With a record that says so. 0: custody has it, and wakes the scan, which must not be touched before;
 * scan->hold is how it went. -1: the arena is full. */
int scan_hold(struct scan *s);

#endif
