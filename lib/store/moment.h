/* lib/store/moment.h - the words of everybody's mail, so that who searches all of it need not ask every shelf. SQLite; for lib/store alone.
 *
 * Besides the words of each delivery, which stand on the shelf of its domain (words.h), a day has a table moments_DAY: a row for what
 * came within the same four seconds, with all words of its messages and envelopes and of all that its attempts were ever answered. Where
 * they stand it does not know, but in a number of 12 bits which of them stand side by side, so that a phrase is found. A search asks it for the moments that have all its words, looks at their deliveries, and asks the shelves of
 * these domains alone for what it really wants.
 * Size     Some 6 % of the log: a moment has a number of two bytes, and a word that many of its deliveries have stands there once.
 * Days     that were begun before there were moments have none, or less in them; there each shelf is asked. */
#ifndef POSTERN_STORE_MOMENT_H
#define POSTERN_STORE_MOMENT_H

#include "store/words.h"

#define MOMENT_BITS 33 /* of an id: 4,096 ms */

static inline int64_t moment_of(int64_t id_in_day) { return id_in_day >> MOMENT_BITS; }

/* Of one day, in order of their ids, in the transaction that writes the rows. */
int moment_put_messages(struct store *s, int64_t day, const struct words_message *rows, size_t n, struct err *e);
int moment_put_answers(struct store *s, int64_t day, const struct words_change *rows, size_t n, struct err *e);

#endif
