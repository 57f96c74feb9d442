/* lib/mail/answer.h - what somebody writes who answers a digest: "release 2".
 *
 * Line      the word (any case; a colon may follow), then numbers with commas, blanks or "and" between them, a stop at the end; nothing
 *           else: "Release 1, 3 and 4." German too: "zustellen 2", "1 und 3 zustellen", "freigeben 2". A line that is anything else is
 *           none.
 * Top       only lines at the top count, from the first that is not blank to the first that is no such line: neither what is quoted
 *           below, in whichever way, nor a signature is ever read.
 * Pure      no memory, one pass over at most ANSWER_LOOK bytes, for whatever bytes come. */
#ifndef POSTERN_MAIL_ANSWER_H
#define POSTERN_MAIL_ANSWER_H

#include <stdint.h>

#include "base/span.h"

#define ANSWER_LOOK ((size_t)16 << 10) /* bytes of the text that are read */
#define ANSWER_LINE_MAX 500
#define ANSWER_NUMBERS_MAX 100 /* different ones; more: none of them is done, for nobody writes that */
#define ANSWER_NUMBER_MAX 99999

struct answer {
    uint32_t numbers[ANSWER_NUMBERS_MAX]; /* each once, in the order in which they were written */
    size_t   n;
    bool     too_many; /* then n is 0 */
};
void answer_read(struct span text, struct answer *out);

#endif
