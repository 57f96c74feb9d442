/* portal/sentence.h - what the server says to people, as a code with its values: a page says it in the reader's language, a program
 * knows it again.
 *
 * Who refuses writes an English sentence (base/err.h) and knows nothing of codes; here each sentence that people meet stands once more,
 * as its author has it, with its code. A sentence is found again by its text, so that what was kept as text (the answer of a job, why
 * a line of an import is wrong) is found as well. What is none of these was not written for people: paths and the words of a database
 * are for the log, and people are told no more than that something went wrong (sentence_for).
 *
 * Rows      `text` is the author's printf format; what err_wrap puts in front ends in ": %s". Numbers match digits alone, but %x any text.
 *           `values` names its directives in their order, with commas between. In front of a name
 *             '>'  the value is a sentence or a word of ours, found by itself
 *             '+'  it is counted from 0 there and from 1 for people
 * Several   Of the rows that fit, the one with the most text of its own is meant.
 * Not there A full stop at the end, and whether the first letter is a capital, do not count. */
#ifndef POSTERN_PORTAL_SENTENCE_H
#define POSTERN_PORTAL_SENTENCE_H

#include "base/buf.h"
#include "base/err.h"

#define SENTENCE_VALUES_MAX 6

struct sentence_row {
    const char *code, *text, *values;
};
extern const struct sentence_row sentence_rows[]; /* code NULL at the end */

struct sentence {
    const struct sentence_row *row; /* NULL: it is none of ours */
    struct span                values[SENTENCE_VALUES_MAX];
    char                       kinds[SENTENCE_VALUES_MAX]; /* their conversions: 's', 'd', … */
    size_t                     n;
};
/* The values point into `text`. */
struct sentence sentence_find(struct span text);
bool            sentence_is_ours(struct span text);
/* What a person is told of a failure: its own text where that is one of ours; else what is said of all that was written for the log,
 * by its code. */
const char *sentence_for(const struct err *e);

/* Adds `key`: {"code", "values": {name: text, number, or {"text", "code", "values"} of a sentence inside}}, or null for what has none. */
void sentence_put(struct buf *b, const char *key, struct span text);
/* Adds `key` with the text as a sentence for a person (a capital in front, a stop behind), and "<key>_said" as above. A name in
 * front stays as it is. */
void sentence_say(struct buf *b, const char *key, const char *text);
/* The schema "Said" for openapi.json: the codes that there are. */
void sentence_schema(struct buf *b);

#endif
