/* lib/store/shelf_words.h - on which shelves (words.h) a day's messages have a word, so that who searches everybody's mail need not ask
 * all of them. PostgreSQL, as SQLite has moments (moment.h); for lib/store alone.
 *
 * A row for each word of a day that is over and has been sorted (sort_day.h); some 7 % of the log. Other days, as today, are asked on
 * every shelf. */
#ifndef POSTERN_STORE_SHELF_WORDS_H
#define POSTERN_STORE_SHELF_WORDS_H

#include "store/words.h"

/* Those of one day anew, in the transaction that sorts it. */
int shelf_words_make(struct store *s, int64_t day, struct err *e);
/* Those of days before this one. */
int shelf_words_forget(struct store *s, int64_t before, struct err *e);

/* On which shelves each of the days may have all that is asked for; known: false where nobody can tell, which are all. */
struct shelf_words {
    uint64_t shelves;
    bool     known;
};
int shelf_words_find(struct store *s, const struct words_of_all *asked, const int64_t *days, size_t n,
                     struct shelf_words *out, struct err *e);

#endif
