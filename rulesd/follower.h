/* rulesd/follower.h - follows the MTA's logs, and writes what becomes of our messages (maillog.h, timeline.h).
 *
 * Thread   One of its own, with a store of its own. Looks every 100 ms.
 * Files    [rulesd] maillog, several. One that is not there yet is waited for. Rotation by renaming or by copying and truncating,
 *          also while nobody was looking, loses no line as long as the rotated file lies beside it uncompressed.
 * Once     How far a file has been read is written in the transaction of what was read: a kill loses nothing and doubles nothing.
 * Trouble  A database that is away: the files wait. One that cannot be read is said once, and tried again. */
#ifndef POSTERN_RULESD_FOLLOWER_H
#define POSTERN_RULESD_FOLLOWER_H

#include "base/conf.h"
#include "timeline.h"

struct follower;
/* No maillog set: *out is NULL. */
int  follower_new(const struct settings *settings, struct follower **out, struct err *e);
void follower_free(struct follower **f); /* writes what has been read and joined */

struct follower_stats {
    struct timeline_stats timeline;
    uint64_t              lines, bytes, rotations;
    int64_t               behind; /* bytes not read yet, of all files */
    size_t                files;  /* that are open */
    uint64_t              failures;
};
void follower_stats(struct follower *f, struct follower_stats *out); /* NULL: all zero */

#endif
