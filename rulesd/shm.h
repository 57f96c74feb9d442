/* rulesd/shm.h - a message in POSIX shared memory, as Rspamd's proxy before 4.1.5 hands it to a neighbour (protocols.md 2.9).
 *
 * Read only for a listener with shm=on, for class mta, and for a caller on this machine; everybody else is refused, since whoever
 * names an object has us read it. The object is opened read-only and copied at once: nobody can change it under the scan. */
#ifndef POSTERN_RULESD_SHM_H
#define POSTERN_RULESD_SHM_H

#include "caller.h"
#include "net/rspamd.h"

bool shm_permitted(bool listener_on, enum caller_class class, const struct peer *peer);
/* Appends the bytes that the request means to out; at most `max` of them. -1 ERR_INVALID: a name that is no object's, a range
 * outside the object; ERR_NOT_FOUND, ERR_DENIED: it cannot be opened; ERR_LIMIT. */
int shm_read(const struct rspamd_envelope *envelope, size_t max, struct buf *out, struct err *e);

#endif
