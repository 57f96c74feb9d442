/* lib/store/words_inside.h - what the files of the words share. For them alone.
 *
 *   words.c            the words of a text, and those of each delivery: writing them and asking for them
 *   words_everybody.c  those of everybody's mail */
#ifndef POSTERN_STORE_WORDS_INSIDE_H
#define POSTERN_STORE_WORDS_INSIDE_H

#include "store/words.h"

#define WORD_PREFIX_MIN 3 /* characters from which the last word may be the beginning of one */

/* A field, by enum search_field: its column on SQLite, and what its words begin with on PostgreSQL. */
struct words_field {
    const char *column;
    const char *letters;
    bool        answers;
};
extern const struct words_field words_fields[];

struct word {
    char   text[WORD_MAX + 4];
    size_t n, chars;
};

/* The next word, folded; false at the end. */
bool words_next(struct span text, size_t *at, struct word *w);
/* As far as the words of a text are kept. */
struct span words_head(struct span s);

/* Does a filter want words of that set, or want to be without them? */
bool words_asks(const struct store_words *one, bool answers, bool without);
/* Is it a field of addresses, by its letter? */
bool words_of_address(char letter);

#endif
