/* rulesd/logfile.h - a file that grows, line by line, through rotation.
 *
 * Order    Lines come in the order in which they were written. A line counts once its end is there.
 * Rotation By renaming: the old file is read to its end, then the next. By copying and truncating: what was not read yet is read
 *          from the copy. Several times while nobody looked: one after the other, by their times. Rotated files are those
 *          beside it with its name in front, compressed ones apart: what was compressed before it was read is lost, and
 *          said so.
 * Mark     A place that outlives the process: which file it was, how far, and what stood before. An inode may be used again, so
 *          all of it has to agree.
 *          A file of which nothing had been read is known again by its inode alone.
 * Bounds   A line beyond MAILLOG_LINE_MAX is passed over. Of a file met for the first time the last LOGFILE_FIRST_MAX bytes. */
#ifndef POSTERN_RULESD_LOGFILE_H
#define POSTERN_RULESD_LOGFILE_H

#include "base/err.h"
#include "base/fingerprint.h"

#define LOGFILE_FIRST_MAX ((int64_t)64 << 20)
#define LOGFILE_RECALL_MAX ((int64_t)4 << 20)

struct logfile_mark {
    int64_t device, inode, position;
    uint8_t check[FINGERPRINT_BYTES]; /* of the at most 64 bytes before the position */
};

struct logfile;
struct logfile *logfile_new(const char *path);
void            logfile_free(struct logfile **f);
const char     *logfile_path(const struct logfile *f);

/* Where it was left, or NULL: never read. The file need not be there yet. *lost_out: lines between there and what can be read now
 * are gone. */
void logfile_resume(struct logfile *f, const struct logfile_mark *left, bool *lost_out);
/* The lines before that place, at most LOGFILE_RECALL_MAX bytes of them, the oldest first. */
void logfile_recall(struct logfile *f, void (*line)(void *ctx, struct span line), void *ctx);

enum logfile_step {
    LOGFILE_LINES,   /* there may be lines */
    LOGFILE_NOTHING, /* nothing new */
    LOGFILE_ENDED,   /* this file is done, and there is another one: logfile_turn() when all its lines are dealt with */
    LOGFILE_BAD,     /* e says why; it may be better next time */
};
/* Reads on, once every line of before was taken. */
enum logfile_step logfile_read(struct logfile *f, int64_t now_mono_us, struct err *e);
bool              logfile_line(struct logfile *f, struct span *line_out, int64_t *place_out);
void              logfile_turn(struct logfile *f);

bool    logfile_is_open(const struct logfile *f);
int64_t logfile_place(const struct logfile *f);  /* of the next line */
int64_t logfile_behind(const struct logfile *f); /* bytes not read yet, of this file */
/* The mark of a place in the file that is open. */
void logfile_mark(const struct logfile *f, int64_t place, struct logfile_mark *out);

#endif
