/* rulesd/scan_judge.h - what the rules and the score make of a scan for each of its recipients (rules/judge.h).
 *
 * It may be judged twice: with what the request states, and with what the scanner found. Each time
 * scan->verdicts are new. */
#ifndef POSTERN_RULESD_SCAN_JUDGE_H
#define POSTERN_RULESD_SCAN_JUDGE_H

#include "scan.h"

/* Needs the people. -1: scan->err says why; ERR_BUSY: it takes too long for a loop's thread, and nothing was
 * judged. */
int scan_judge(struct scan *s);

/* Puts off whose domain greylists a stranger; only for a caller who could turn the sender away, and means it. */
void scan_greylist(struct scan *s);

#endif
