/* portal/csv.h - tables for spreadsheets (RFC 4180), that carry no formula: what a stranger wrote stays text.
 *
 * A cell that a spreadsheet would run (=, +, -, @, a tab or a return in front, also behind blanks) gets an apostrophe before it. */
#ifndef POSTERN_PORTAL_CSV_H
#define POSTERN_PORTAL_CSV_H

#include "base/buf.h"

void csv_cell(struct buf *b, struct span text); /* bad bytes come out as U+FFFD */
void csv_time(struct buf *b, int64_t us);       /* RFC 3339 in UTC; 0: empty */
void csv_row_end(struct buf *b);

#endif
