/* rulesd/retention.h - the log forgets: once a day, what is older than [log] retention_days, in the background. So do learned senders
 * that have lapsed.
 *
 * In small steps, so that the journal's writer never waits long. A wall clock that has gone another way than the monotonic one by
 * more than an hour since the start is not believed: nothing goes, and the log says so, until a restart. */
#ifndef POSTERN_RULESD_RETENTION_H
#define POSTERN_RULESD_RETENTION_H

#include "base/conf.h"
#include "base/err.h"

struct retention;
int  retention_new(const struct settings *settings, struct retention **out, struct err *e); /* starts the thread */
void retention_free(struct retention **r);                                                  /* between two steps */

#endif
