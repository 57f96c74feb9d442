/* lib/store/sort_day.h - a day that is over is written anew in the order in which it is searched. PostgreSQL; for lib/store alone.
 *
 * Mail comes in as it comes, so each word that a mailbox is searched for leads to a page of its own. Sorted by domain, mailbox and time,
 * what one of them has of a day lies on a few pages side by side; and the index of the words gets a third smaller. Answers are sorted too,
 * and with it go the words of everybody's mail (shelf_words.h).
 * Who reads   does not notice but for the moment in which the new table takes the place of the old.
 * Who writes  to that day, of which there is hardly anybody, waits for as long as it takes: some 5 s for 100,000 deliveries. */
#ifndef POSTERN_STORE_SORT_DAY_H
#define POSTERN_STORE_SORT_DAY_H

#include "store/store.h"

/* A day that is sorted is left as it is. ERR_BUSY where somebody is in the way. Outside of a transaction. */
int sort_day(struct store *s, int64_t day, struct err *e);

/* There are new words of messages in it: to be called behind them, in their transaction. */
int sort_day_written(struct store *s, int64_t day, struct err *e);

#endif
