/* rulesd/scan_after.h - once a scan's reply is made: its rules are counted, its row goes to the journal, and a
 * line says what came of it. */
#ifndef POSTERN_RULESD_SCAN_AFTER_H
#define POSTERN_RULESD_SCAN_AFTER_H

#include "scan.h"

/* The rules that made the outcome what it is: their deciders' matches, each rule once. In the arena. */
size_t scan_deciders(const struct scan *s, struct arena *a, const struct match ***out);

/* Counts hits, has the log row written and the copy made (class mta alone). Once, when the reply is made. */
void scan_count(struct scan *s);
/* One line that says what was asked, and what came of it; for class scan without any address. */
void scan_log(const struct scan *s, int64_t now_us);

#endif
