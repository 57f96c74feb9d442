/* portal/sender.h - the outbox, emptied: one thread that hands our own mail to [smtp] url.
 *
 * What the server takes is done. 4xx, and a server that is not there, are tried again after 10 s, doubled up to an hour, for two days;
 * 5xx ends it. A sign-in link that is older than it is good for is not sent any more. */
#ifndef POSTERN_PORTAL_SENDER_H
#define POSTERN_PORTAL_SENDER_H

#include "portal.h"

struct sender;
int  sender_start(const struct portal *p, struct sender **out, struct err *e);
void sender_stop(struct sender **s); /* when the letter at hand is done */

#endif
