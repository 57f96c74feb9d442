/* rulesd/slot_inside.h - what the three files of the slots share: slot.c keeps them, slot_ask.c gives what they
 * hold, slot_work.c fills them. For them alone. */
#ifndef POSTERN_RULESD_SLOT_INSIDE_H
#define POSTERN_RULESD_SLOT_INSIDE_H

#include "slot.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "store/compile.h"

struct note {
    struct uuid rule;
    int64_t     seq;
};
struct notes {
    struct note *list;
    size_t       n;
};

/* Lives while somebody holds it: audiences, its jobs, or the table for those loaded at the start.
 * now, edition     behind `lock`; `loaded` and `edition` are also read without it.
 * base, patch      touched by the light job alone, or by who holds the table's lock while no job exists.
 * the rest         behind the table's lock. */
struct slot {
    struct slots        *all;
    struct store_scope   scope;
    uint8_t              key[1 + sizeof(struct uuid)];
    atomic_size_t        refs;
    atomic_bool          loaded, used;
    atomic_uint_fast64_t edition; /* unique in the process; moves when `now` does */

    pthread_mutex_t lock;
    struct scope   *now; /* NULL: without rules, or not loaded */

    struct scope       *base; /* what the patch lies on; NULL: nothing to patch */
    struct scope_patch *patch;

    struct job    light, heavy;
    bool          light_on, heavy_on; /* queued or running */
    bool          whole;              /* to be read as a whole */
    bool          kept;               /* the table holds it */
    struct notes  notes;
    struct scope *compiled; /* by the heavy job, to be adopted */
    size_t        bytes, nrules;
    struct job   *parked;
    struct err   *error; /* of the last attempt; NULL: it went well */
    int64_t       retry_us, heavy_since_us, read_us;
    struct slot  *next, *prev;  /* all of them, a ring */
    struct slot  *watched_next; /* those that slots_tick() looks at */
    bool          watched;
};

struct grave;

struct slots {
    struct desk       *light, *heavy;
    size_t             bytes_max;
    pthread_mutex_t    lock; /* guards all below, and most of every slot */
    struct map         table;
    struct slot       *ring; /* where the next round of throwing out begins */
    struct slot       *watched;
    struct grave      *graves;
    struct slots_stats stats;
};

/* The jobs (slot_work.c). */
void slot_light_run(struct job *j, struct hand *h);
void slot_heavy_run(struct job *j, struct hand *h);

/* Under the table's lock: has the job run, if it is not about to. A job holds its slot. */
void slot_want_light(struct slot *s);
void slot_want_heavy(struct slot *s);

/* Under the table's lock: slots_tick() looks at it from now on. */
void slot_watch(struct slot *s);
/* Under the table's lock: who waits for it; to be put to the light desk without it. */
struct job *slot_take_parked(struct slot *s);
void        slots_release(struct slots *all, struct job *parked);

/* What changed since it was read. */
void notes_put(struct notes *to, const struct uuid *rule, int64_t seq);
void notes_clear(struct notes *n);

/* Without a lock. Frees it later, elsewhere, if freeing takes a while: its last holder may be a listener's loop. */
void slots_bury(struct slots *all, struct scope **old);

#endif
