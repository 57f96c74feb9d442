/* lib/mail/leaf.h - one MIME leaf decoded, by GMime.
 *
 * GMime never sees an address header or a message/rfc822: it decodes the transfer encoding of a single leaf body.
 * mail_init() is for main(), once, before threads: it builds what the first message would else wait for. */
#ifndef POSTERN_MAIL_LEAF_H
#define POSTERN_MAIL_LEAF_H

#include "base/arena.h"

void mail_init(void);

/* Decodes base64, quoted-printable, uuencode; 7bit, 8bit, binary, none and unknown ones pass through, without a copy. At
 * most `max` bytes come out; *clean_out is false when the encoding is unknown or damaged (what could be read is there),
 * *cut_out true when max was reached. {NULL, 0} for a leaf that was not empty means that the arena is full. */
struct span leaf_decode(struct span raw, struct span encoding, size_t max, struct arena *a, bool *clean_out,
                        bool *cut_out);

#endif
