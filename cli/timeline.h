/* cli/timeline.h - one message of the log for people and for programs: the dialogue, the verdicts and the rules behind them, and what
 * became of each recipient's copy. `postern trace` and `postern quarantine show` print it. */
#ifndef POSTERN_CLI_TIMELINE_H
#define POSTERN_CLI_TIMELINE_H

#include "cli.h"

/* Text goes to stdout; JSON (one object, no line end) behind `json`. Either. */
int timeline_print(struct cli *c, const struct uuid *uid, struct err *e);
int timeline_put_json(struct cli *c, const struct uuid *uid, struct buf *json, struct err *e);

/* "2026-11-22 02:47:29": UTC. */
struct time_text {
    char text[20];
};
struct time_text time_text(int64_t us);

#endif
