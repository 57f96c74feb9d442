/* portal/mail_said.h - what was said of a delivery for its mailbox, and how far the filter has got with it. */
#ifndef POSTERN_PORTAL_MAIL_SAID_H
#define POSTERN_PORTAL_MAIL_SAID_H

#include "call.h"
#include "store/delivery.h"

/* "report": { class, state, changed, answer }, or null; the latest that holds, else the one that was taken back ("superseded"). What
 * was said for other mailboxes is not told. */
int mail_said_put(struct call *c, const struct store_delivery *of, struct buf *b, struct err *e);

#endif
