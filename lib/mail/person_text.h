/* lib/mail/person_text.h - what a stranger wrote (a name, a subject), made fit for one line of ours.
 *
 * Comes out  valid UTF-8 on one line, of at most so many characters as people count them (extended grapheme clusters); where some were
 *            left out the last is "…". It is plain text still: who puts it into HTML escapes it.
 * Controls   are left out, and so is whatever shows nothing, except joiners, variation selectors and directional marks, which
 *            scripts need; each run of white space is one blank. Bad bytes are U+FFFD.
 * Direction  No embedding, override or isolate of theirs survives. Where something is written from right to left the whole stands in an
 *            isolate (U+2068 … U+2069), so that it cannot reorder what is around it. The two do not count as characters.
 * Height     Of marks that pile up on a character four are kept, and none that would lean on what stands before the text.
 * Cost       The first PERSON_TEXT_LOOK bytes are looked at, no more. */
#ifndef POSTERN_MAIL_PERSON_TEXT_H
#define POSTERN_MAIL_PERSON_TEXT_H

#include "base/arena.h"

#define PERSON_TEXT_LOOK 4096

/* {NULL, 0}: the arena is full. Nothing to show is an empty text that is not NULL. max: at least 1. */
struct span person_text(struct span text, size_t max, struct arena *a);

#endif
