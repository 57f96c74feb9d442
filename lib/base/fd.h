/* lib/base/fd.h - descriptors: the few calls that everybody would else write again. */
#ifndef POSTERN_BASE_FD_H
#define POSTERN_BASE_FD_H

#include "base/buf.h"
#include "base/err.h"

void fd_close(int *fd); /* accepts -1; leaves -1; keeps errno */
int  fd_write_all(int fd, struct span bytes, struct err *e);
int  fd_sync(int fd, struct err *e);
/* Reads a whole file (or stdin for "-") up to `max` bytes into b (initialised by the caller). */
int fd_read_file(const char *path, size_t max, struct buf *b, struct err *e);
/* What root makes in somebody's directory is to be that somebody's: else root's commands lock the programs out. For what is new at
 * fd; nothing happens for anybody but root, in a directory of root's, or where that is not permitted. */
void fd_inherit(int fd, int dir);
/* Creates a directory and its parents, mode for the new ones, which inherit. Existing is fine. */
int fd_mkdirs(const char *path, unsigned mode, struct err *e);
/* Syncs the directories that path goes through, its own name's included: then what was made there is found after a power cut. */
int fd_sync_way(const char *path, struct err *e);
/* True when path (or its nearest existing parent) lies on a network file system (NFS, CIFS, 9p, FUSE network
 * kinds, …); name_out gets the kind's name. */
bool fd_on_network(const char *path, const char **name_out);

/* A file's content as a whole: written beside it with the same owner and mode, synced, renamed over it, and the directory synced. Who
 * reads it meanwhile sees the old or the new one. The file must exist. */
int fd_replace_file(const char *path, struct span bytes, struct err *e);

#endif
