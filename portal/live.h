/* portal/live.h - tells pages that mail has come: the streams of GET /me/events, and the one thread that watches the log for all of them.
 *
 * Watching  One search a second for all streams, none while there is no stream: the deliveries of the last half minute, of which those
 *           that the search before has not seen are new. Keys alone will not do: several nodes write, and not in the order of their UIDs.
 * Told      That so many have come for who listens ("mail"), or that something has become of one that just came ("changed"), never
 *           what: the page asks for its list, and is permitted or not, as always.
 * Bounded   LIVE_STREAMS_MAX at once, LIVE_STREAMS_PERSON of one account: who wants more is told to wait. A stream ends after LIVE_US; a page
 *           that still wants one asks again, and is known again: whoever has lost a mailbox or a role hears nothing from then on.
 * Ended     Whose session has ended, here or at another node, is cut off within seconds: LIVE_SESSIONS_A_LOOK of them are looked at
 *           each second, in turn. */
#ifndef POSTERN_PORTAL_LIVE_H
#define POSTERN_PORTAL_LIVE_H

#include "portal.h"

#define LIVE_STREAMS_MAX 2000
#define LIVE_STREAMS_PERSON 20
#define LIVE_SESSIONS_A_LOOK 500
#define LIVE_US (5 * 60 * INT64_C(1000000))

struct live;
int  live_start(const struct portal *p, struct live **out, struct err *e);
void live_stop(struct live **l); /* behind httpd_stop() */

#endif
