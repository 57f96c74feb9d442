/* trainer/resume.h - takes up releases that were asked for and never left: whoever sent them died, or the mail server was away.
 *
 * When      At the start, and every RESUME_EVERY_MS. A request that is younger than RESUME_QUIET_US is left to who made it; one whose
 *           sender died before the final dot is taken when its lease has lapsed (store/release.h).
 * Once      Each is claimed first, so several trainers and the command never send the same. One of which nobody knows whether the mail
 *           server has it stays as it is: only a person sends that again.
 * Here      and not in rulesd, although that holds the store and [delivery]: to release is to open a body, and rulesd, which reads
 *           what strangers send, has the public keys alone. The trainer has the secret ring already, and listens to no stranger.
 * Trouble   Without a secret key that opens: said once, and nothing is touched. Without [delivery] url, where no domain has a route either,
 *           there is nothing to do. A message that lies on the
 *           disk of another node is left to that node.
 * Threads   One of its own. resume_start() with signals blocked, as they shall stay there. */
#ifndef POSTERN_TRAINER_RESUME_H
#define POSTERN_TRAINER_RESUME_H

#include <stdatomic.h>

#include "base/conf.h"

#define RESUME_EVERY_MS 60000
#define RESUME_QUIET_US (30 * INT64_C(1000000))

/* Since the start, SIGHUP or not; written by the thread, read by anybody. */
struct resume_counts {
    atomic_ullong sent,
        ended;             /* that left after all; that will not without a person: refused, stopped, or nobody knows */
    atomic_ullong waiting; /* of the last round: that could not leave yet */
    atomic_bool   unable;  /* the last round could not look: the store, the key or the scanner is missing */
};

struct resume;
/* All is borrowed. Nowhere to send to: *out is NULL. */
int resume_start(const struct settings *settings, struct resume_counts *counts, struct resume **out, struct err *e);
/* Waits for the one that is on its way. NULL is fine. */
void resume_stop(struct resume **r);

#endif
