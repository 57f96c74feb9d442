/* lib/db/migrate_file.h - the migrations as they are compiled in: schema/embed writes the table from
 * schema/main/ and schema/log/ when the library is built. Sorted by part, then by number. */
#ifndef POSTERN_DB_MIGRATE_FILE_H
#define POSTERN_DB_MIGRATE_FILE_H

#include "db/db.h"

enum migrate_for { MIGRATE_BOTH, MIGRATE_SQLITE, MIGRATE_PGSQL };

struct migrate_file {
    enum db_part     part;
    enum migrate_for kind;
    int              number;
    const char      *name; /* "NNNN-what" */
    const char      *sql;
};

extern const struct migrate_file migrate_files[];
extern const size_t              migrate_nfiles;

#endif
