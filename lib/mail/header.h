/* lib/mail/header.h - where header blocks end, and where their fields lie.
 *
 * Lines end in LF or CRLF. A block ends behind its first empty line, or in front of a line that is neither a field nor
 * the continuation of one: such a line begins the body, as MTAs read it. Makes no copy, never fails, one pass. */
#ifndef POSTERN_MAIL_HEADER_H
#define POSTERN_MAIL_HEADER_H

#include "base/span.h"

struct header {
    struct span name;  /* as written, without blanks before the colon */
    struct span body;  /* raw, behind the colon, still folded, without the last line end */
    struct span whole; /* name, colon, body and line end */
};

/* Takes the next field off *rest. False at the end of the block: then *rest begins with the body (an empty line has
 * been taken). */
bool header_next(struct span *rest, struct header *out);

#endif
