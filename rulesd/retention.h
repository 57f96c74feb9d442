/* rulesd/retention.h - the log forgets: once a day, what is older than [log] retention_days, in the background. So do learned senders
 * that have lapsed. Days that have ended are packed for searches.
 *
 * In small steps, so that the journal's writer never waits long. A wall clock that has gone another way than the one that nobody sets by
 * more than an hour since the start is not believed: nothing goes, and the log says so, until it is right again or rulesd is started
 * anew. */
#ifndef POSTERN_RULESD_RETENTION_H
#define POSTERN_RULESD_RETENTION_H

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"

/* What the guard goes by, and how often it looks; for tests, which set clocks. */
struct retention_clock {
    int64_t (*wall_us)(void);
    int64_t (*boot_us)(void); /* never set, and goes on while the machine sleeps */
    int64_t look_ms;          /* for a new day, and to try again */
};
#define RETENTION_CLOCK ((struct retention_clock){clock_wall_us, clock_boot_us, 600000})

struct retention;
int  retention_new(const struct settings *settings, const struct retention_clock *clock, struct retention **out,
                   struct err *e);         /* starts the thread */
void retention_free(struct retention **r); /* between two steps */

#endif
