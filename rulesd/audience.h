/* rulesd/audience.h - what an address means to us: resolved, its domain's settings and thresholds, and the slots of
 * its scopes.
 *
 * Immutable and counted. How one learns that it is out of date: every change of people or settings takes the next
 * number of a clock of our own (audiences_moved) and writes it where those look who depend on it: a field for its
 * domain, one for its mailbox, one for all. An audience remembers the clock as it was before its rows were read;
 * whoever asks compares. So a change costs nothing but a number, nobody is searched for, and only those that are
 * asked for again are read again. Fields are shared by hash: a neighbour's change at worst reads an audience once
 * too often. Any thread. */
#ifndef POSTERN_RULESD_AUDIENCE_H
#define POSTERN_RULESD_AUDIENCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "cache.h"
#include "slot.h"
#include "store/change.h"

#define AUDIENCE_FIELDS 4096

typedef atomic_int_fast64_t moment; /* of our own clock: counts changes */

/* What all audiences depend on. */
struct audiences {
    struct slots *slots;  /* borrowed */
    struct slot  *global; /* held */

    moment clock, every, domains, any, fields[AUDIENCE_FIELDS];

    pthread_mutex_t parts_lock; /* guards parts */
    struct map      parts;      /* domain id (zero: global) -> what holds in it, shared by its audiences */

    atomic_uint_fast64_t loads;
};

void audiences_init(struct audiences *all);
void audiences_fini(struct audiences *all); /* when none is held any more */

/* From the feed: whom a change of people or settings reaches; and one that may have been any. */
void audiences_moved(struct audiences *all, const struct store_change *change);
void audiences_gap(struct audiences *all);

/* Reads what the address means now; held. NULL: e. */
struct audience *audience_load(struct audiences *all, struct store *s, struct span address, struct err *e);
struct audience *audience_hold(struct audience *a);
/* Is it what the feed has told? */
bool audience_current(struct audiences *all, const struct audience *a);
/* And are its scopes there, and is it not too old? */
bool audience_fresh(struct audiences *all, const struct audience *a);
/* As slot_await(), for all of its scopes. */
int audience_await(const struct audience *a, struct job *j, struct hand *h, struct err *e);

#endif
