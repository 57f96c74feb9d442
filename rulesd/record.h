/* rulesd/record.h - a scan as the message log and custody keep it. */
#ifndef POSTERN_RULESD_RECORD_H
#define POSTERN_RULESD_RECORD_H

#include "store/message.h"

struct scan;

/* Fills scan->record from a scan whose outcome stands; texts are in the scan's arena, clean and cut. record.kept says whether some
 * recipient's copy has to be taken into custody (may_hold: whether it can be), record.copy
 * whether one is made for a while of what passes (copies.h). -1: the arena is full, scan->err says so. */
int record_make(struct scan *s, bool may_hold);

/* Leaves out of scan->record who may still get it: for a caller who tells later what came of those. */
void record_settled_only(struct scan *s);

/* Is a copy kept for the recipient at `i`? */
bool record_keeps(const struct store_message *m, size_t i);

#endif
