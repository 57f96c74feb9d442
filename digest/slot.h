/* digest/slot.h - a name for this daemon among those of one machine, which it gets back when it was killed and starts again.
 *
 * Its claims carry that name: who has it ends at once the leases that its predecessor has left, instead of waiting for them to lapse. The
 * name is held by a socket in the kernel's abstract namespace, which ends with the process however it dies; a machine's daemons for another
 * database have other names. */
#ifndef POSTERN_DIGEST_SLOT_H
#define POSTERN_DIGEST_SLOT_H

#include "base/err.h"
#include "base/span.h"

#define SLOTS_MAX 64

struct slot {
    int  fd;
    char name[120]; /* "postern-digest 1 at HOST" */
};
/* store_url: of which database. ERR_LIMIT: SLOTS_MAX of them run. */
int  slot_take(struct span store_url, struct slot *out, struct err *e);
void slot_leave(struct slot *s);

#endif
