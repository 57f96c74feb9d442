/* lib/db/migrate.h - numbered migrations, forward only.
 *
 * schema/main/ and schema/log/ hold one file a migration: NNNN-what.sql for both databases, or the twins
 * NNNN-what.sqlite.sql and NNNN-what.pgsql.sql (a twin may be missing where its database has nothing to do). They are
 * compiled into the programs: no file is needed at run time.
 * Each runs in one transaction and is recorded in schema_version(number, name, applied_us, contract). A line
 * `-- contract: N` says that programs that know only up to a migration before N cannot use the database any more:
 * releases expand first and contract one later, so two adjacent ones share a schema. */
#ifndef POSTERN_DB_MIGRATE_H
#define POSTERN_DB_MIGRATE_H

#include "db/db.h"

/* One file, as schema/embed.awk writes it into $(BUILD)/schema.c. Numbers count from 1 without a gap. */
struct migration {
    enum db_part part;
    int          kind; /* enum db_kind, or -1: both */
    int          number, contract;
    const char  *name, *sql;
};
extern const struct migration migrations[];
extern const size_t           nmigrations;

struct migrate_state {
    int known;   /* the newest migration of this program */
    int applied; /* the newest in the database; 0: empty */
    int needs;   /* the least `known` that the database's contract allows */
};
int migrate_look(struct db *db, enum db_part part, struct migrate_state *out, struct err *e);
/* Applies what is missing. Two programs may try at once: one waits for the other. */
int migrate_up(struct db *db, enum db_part part, struct err *e);
/* -1 ERR_VERSION with the cure unless this program can work with the database as it is. */
int migrate_check(struct db *db, enum db_part part, struct err *e);

#endif
