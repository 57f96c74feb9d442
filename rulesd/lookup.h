/* rulesd/lookup.h - keeps the look-up files of other programs as the database is (design.md 7).
 *
 * [lookup] programs names who gets one: DIR/spamassassin/lookup.db, DIR/postfix/lookup.db, each in a directory of its own (2750) with the
 * program's group, the file 0640 with persistent -wal and -shm, so that the group can read when nobody has it open. The files
 * are rewritten in place, never replaced: who has one open goes on reading. On PostgreSQL there are views instead (`postern lookup
 * sql`), and a thread that fills what they read.
 * Files follow the change feed: a commit is seen within 200 ms. While the database is away they stay as they are. */
#ifndef POSTERN_RULESD_LOOKUP_H
#define POSTERN_RULESD_LOOKUP_H

#include "base/conf.h"
#include "store/lookup.h"

struct lookup;
/* *out is NULL when no program wants one. When it returns the files are as the database is. */
int  lookup_new(const struct settings *settings, struct lookup **out, struct err *e);
void lookup_free(struct lookup **l);

struct lookup_stats {
    int64_t  seq; /* of the change that the files are up to */
    uint64_t changes, failures;
    bool     stale; /* the last attempt failed */
};
void lookup_stats(struct lookup *l, struct lookup_stats *out);

#endif
