/* rulesd/slot.h - the places of compiled scopes.
 *
 * A slot is one scope's place. What holds there is immutable and swapped whole; who judges holds what held when it
 * asked.
 *
 * Work     is done by jobs at two desks. The light one loads scopes of up to SLOT_LIGHT_MAX rules and lays changed rules over
 *          larger ones; it alone publishes. The heavy one compiles large scopes from their rows, at low priority, while the old
 *          ones decide. At most one light and one heavy job of a slot exist at a time.
 * Changes  noted while a slot is being read are applied after it: a reading takes its list of changes before it reads, so what
 *          comes later is either in the rows or still in the list.
 * Patches  A scope of more than SLOT_PATCH_MIN rules is patched, a smaller one read anew. A patch of more than SLOT_PATCH_MAX
 *          readings, and of a twentieth of the scope, is merged by the heavy desk; changes since that reading go on top.
 * Failure  The old scope decides on; the reading is tried again every second. A slot that never was read fails its waiters.
 * Memory   When all scopes together exceed their bound, those not used since the last round go; the next use reads them.
 * */
#ifndef POSTERN_RULESD_SLOT_H
#define POSTERN_RULESD_SLOT_H

#include "desk.h"

#define SLOT_LIGHT_MAX 100000
#define SLOT_PATCH_MIN 1000
#define SLOT_PATCH_MAX 1000
#define SLOT_WAIT_US 3000000                   /* how long anybody waits for a first compilation */
#define SLOT_KEEP_US 1000000                   /* what was read is kept that long at least */
#define SLOT_AGE_US (86400 * INT64_C(1000000)) /* a mailbox's rules are read anew after that, if they are asked for */

struct slots;
struct slot;

struct slots *slots_new(struct desk *light, struct desk *heavy, size_t bytes_max);
/* When both desks have stopped and nobody holds a slot any more. */
void slots_free(struct slots **all);

/* Held: drop it. Any thread. */
struct slot *slots_take(struct slots *all, struct store_scope scope);
struct slot *slot_hold(struct slot *s);
void         slot_drop(struct slot **s);
/* Begins to compile a scope that is known to be large, and keeps the slot. */
void slots_preload(struct slots *all, struct store_scope scope);

/* May its scope be asked for? One atomic read. */
bool slot_loaded(const struct slot *s);
/* For the job j that runs on a hand of the light desk. 1: it holds what was committed until a moment ago (a
 * large one: what was compiled last), read here and now if nobody else was about to; 0: j is put to the light
 * desk as soon as who reads it is done; -1: it cannot be read right now. */
int slot_await(struct slot *s, struct job *j, struct hand *h, struct err *e);
/* Has it read if it is not loaded, and nobody has tried in the last second. */
void slot_want(struct slot *s);
/* The scope, held for the caller, or NULL when it has no rules. -1 ERR_BUSY: not loaded (any more). The global
 * scope comes from a copy of the calling thread's, others from behind the slot's own lock. */
int slot_scope(struct slot *s, struct scope **out, struct err *e);

/* From the change feed. rule NULL: all of it may have changed. */
void slots_changed(struct slots *all, struct store_scope scope, const struct uuid *rule, int64_t seq);
void slots_gap(struct slots *all); /* of every scope */
/* Now and then: retries, waiters that waited long enough, old scopes to free. */
void slots_tick(struct slots *all);

struct slots_stats {
    uint64_t compiles, overlays, merges, errors, compile_us_max;
    size_t   slots, bytes;
    size_t   compiling; /* large scopes that have nothing to decide with yet */
};
void slots_stats(struct slots *all, struct slots_stats *out);

#endif
