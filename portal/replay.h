/* portal/replay.h - Idempotency-Key: the same write sent twice is done once, and answered twice.
 *
 * Kept for a day, per caller and key, with the SHA-256 of method, path, body and If-Match: another request under the same key is refused (422).
 * Without the field nothing is kept. Replies of 5xx and 429 are not kept: trying again is the point. */
#ifndef POSTERN_PORTAL_REPLAY_H
#define POSTERN_PORTAL_REPLAY_H

#include "call.h"

/* 0: go on (and call replay_end() with the reply made); 1: answered as the first time; -1. */
int  replay_begin(struct call *c, struct err *e);
void replay_end(struct call *c);

#endif
