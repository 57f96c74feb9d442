/* lib/mail/attached.h - the messages that people attach to a message: how they forward mail as it was.
 *
 * Which     message/rfc822 (and message/global), and attachments of other types that hold a message: application/octet-stream, or
 *           named *.eml. Encoded ones are decoded. The first level alone: what an attached message holds itself is part of that.
 * Damage    an attachment that cannot be decoded, or has no header of a message, is none.
 * Refusal   more than ATTACHED_MAX, or a structure beyond the limits of message.h: ERR_LIMIT, and nothing is told. */
#ifndef POSTERN_MAIL_ATTACHED_H
#define POSTERN_MAIL_ATTACHED_H

#include "mail/message.h"

#define ATTACHED_MAX 50

/* Whole messages, in `a` or in m's own bytes. The count, or -1. */
int attached_messages(struct message *m, struct arena *a, struct span out[ATTACHED_MAX], struct err *e);

#endif
