/* cli/owner.h - whom the files of an installation belong to: the user whom the programs run as.
 *
 * What root makes inside somebody's directory belongs to that somebody (base/fd.h), so it is the folders that decide: the
 * database's, the keys' and held mail's. */
#ifndef POSTERN_CLI_OWNER_H
#define POSTERN_CLI_OWNER_H

#include "base/conf.h"

#define OWNER_FOLDERS 3
#define OWNER_PATH 1024

/* The folders of this installation on this machine, those that it has. */
struct owner_folder {
    const char *what; /* "the database" */
    char        path[OWNER_PATH];
    unsigned    mode; /* for a new one */
};
size_t owner_folders(const struct settings *s, struct owner_folder out[OWNER_FOLDERS]);

/* As root: makes them where they are missing, and gives them to that user, with the files of root's that lie in them. -1 where one
 * belongs to somebody else, or there is no such user. */
int owner_give(const struct settings *s, const char *user, struct err *e);

#endif
