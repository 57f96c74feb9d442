/* cli/timeline.h - one message of the log for people and for programs: the dialogue, the verdicts and the rules behind them, and what
 * became of each recipient's copy. `postern trace` and `postern quarantine show` print it. */
#ifndef POSTERN_CLI_TIMELINE_H
#define POSTERN_CLI_TIMELINE_H

#include "cli.h"

/* Text goes to stdout; JSON (one object, no line end) behind `json`. Either. */
int timeline_print(struct cli *c, const struct uuid *uid, struct err *e);
int timeline_put_json(struct cli *c, const struct uuid *uid, struct buf *json, struct err *e);

/* Members of a JSON object, with the comma that they may need. An empty text is "". */
void member_key(struct buf *b, const char *key);
void member_text(struct buf *b, const char *key, struct span value);
void member_i64(struct buf *b, const char *key, int64_t value);
void member_time(struct buf *b, const char *key, int64_t us); /* RFC 3339 */
void member_uuid(struct buf *b, const char *key, const struct uuid *value);

/* "2026-11-22 02:47:29": UTC. */
struct time_text {
    char text[20];
};
struct time_text time_text(int64_t us);

#endif
