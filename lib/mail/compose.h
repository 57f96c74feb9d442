/* lib/mail/compose.h - a message that we send ourselves, put together by GMime.
 *
 * Text in the header that a stranger may have written is refused when it holds control characters: nothing that goes in can become
 * another header field. Lines end in CRLF; bodies are quoted-printable or 7bit, so that the message passes every server. */
#ifndef POSTERN_MAIL_COMPOSE_H
#define POSTERN_MAIL_COMPOSE_H

#include "base/buf.h"
#include "base/err.h"

struct compose {
    struct span from;    /* "Postern <postern@localhost>", or the address alone */
    struct span to;      /* an address, in its normal form or quoted */
    struct span to_name; /* or empty */
    struct span subject;
    struct span message_id; /* without brackets */
    int64_t     at_us;
    struct span text; /* UTF-8, lines end in LF */
    struct span html; /* or empty: then text alone */
    const struct compose_field {
        const char *name;
        struct span value;
    } * fields; /* further ones: Auto-Submitted, List-Id, … */
    size_t nfields;
};
/* Appends to out. ERR_INVALID names the field. */
int compose_message(const struct compose *m, struct buf *out, struct err *e);
/* The address in "Name <address>"; the text itself if it is one; empty: neither. */
struct span compose_address(struct span from);

#endif
