/* rulesd/scan_settle.h - the one outcome for all recipients of a scan, made of their verdicts or in spite of
 * them. */
#ifndef POSTERN_RULESD_SCAN_SETTLE_H
#define POSTERN_RULESD_SCAN_SETTLE_H

#include "scan.h"

/* scan->outcome, of verdicts, scanner and greylist: what this caller can carry out. may_hold: whether copies can
 * be kept. -1: err. */
int scan_settle(struct scan *s, bool may_hold);

/* Nobody gets it now, nobody is told "no": the sender comes again. */
void scan_put_off(struct scan *s);

/* Who is signed in is counted. True: they have sent too much, and the scan is stopped for it. */
bool scan_sends_too_much(struct scan *s);

#endif
