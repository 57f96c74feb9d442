/* rulesd/scan_repeat.h - is a scan the same as one before (repeat.h)? Then it joins that one, or gets its reply. */
#ifndef POSTERN_RULESD_SCAN_REPEAT_H
#define POSTERN_RULESD_SCAN_REPEAT_H

#include "scan.h"

/* 0: go on; scan->given is the reply, if it was answered before. 1: it is on its way, and wakes the scan, which
 * must not be touched before; then call again. -1: the arena is full. */
int scan_repeat_find(struct scan *s);

/* The reply that was made, for whoever asks the same again. Before scan_end(). */
void scan_answered(struct scan *s, struct span reply);
/* It came to nothing that could be told again: who waits for it tries it himself. */
void scan_repeat_drop(struct scan *s);

#endif
