/* digest/slot.h - a name for this daemon among those of one machine, which it gets back when it was killed and starts again.
 *
 * Its claims carry that name: who has it ends at once the leases that its predecessor has left, instead of waiting for them to lapse. The
 * name is held by a socket in the kernel's abstract namespace, which ends with the process however it dies; a machine's daemons for another
 * database have other names. */
#ifndef POSTERN_DIGEST_SLOT_H
#define POSTERN_DIGEST_SLOT_H

#include "base/err.h"
#include "base/span.h"

#define SLOTS_MAX 16

struct slot {
    int  fd;
    char name[120]; /* "postern-digest 1 at HOST" */
};
/* store_url: of which database. ERR_LIMIT: SLOTS_MAX of them run. */
int  slot_take(struct span store_url, struct slot *out, struct err *e);
void slot_leave(struct slot *s);
/* Calls fn with the name of each slot of this machine that nobody has: its last holder is dead, and nobody takes it before fn returns. -1 as
 * soon as fn says so. */
typedef int (*slot_fn)(void *ctx, struct span name, struct err *e);
int slot_each_free(struct span store_url, slot_fn fn, void *ctx, struct err *e);

#endif
