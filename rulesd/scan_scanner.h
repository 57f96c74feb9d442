/* rulesd/scan_scanner.h - what a scan asks of the scanner behind us, and what it makes of the answer
 * (net/scanner.h). */
#ifndef POSTERN_RULESD_SCAN_SCANNER_H
#define POSTERN_RULESD_SCAN_SCANNER_H

#include "scan.h"

/* Judged by what the request states: does it have to be asked? */
bool scan_scanner_wanted(struct scan *s);
/* Wakes the scan, which must not be touched before. */
void scan_scanner_ask(struct scan *s);

/* Its answer becomes proof of the sender and score. -1: there is none, scan->err says why. */
int scan_scanner_take(struct scan *s);
/* Where no rule decided, what it did on purpose holds. */
void scan_scanner_heed(struct scan *s);

#endif
