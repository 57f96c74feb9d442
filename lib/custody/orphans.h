/* lib/custody/orphans.h - whether what we hold and what the log says that we hold are the same.
 *
 * Looks both ways: at every file for its row, and at every row for its file. Files younger than a minute are left out: their
 * rows may be on the way. */
#ifndef POSTERN_CUSTODY_ORPHANS_H
#define POSTERN_CUSTODY_ORPHANS_H

#include "store/custody.h"
#include "vault/vault.h"

enum orphan_kind {
    ORPHAN_FILE,    /* a message without a row: `repair` makes it again from the head */
    ORPHAN_ROW,     /* a row whose message is not there: lost, or on a disk that is not mounted; never repaired */
    ORPHAN_DAMAGED, /* a file that is not whole, or whose body does not open */
};
extern const char *const orphan_kind_words[]; /* "no row", "no message", "damaged", NULL */

struct orphan {
    enum orphan_kind kind;
    struct uuid      uid;
    const char      *why; /* in words, or "" */
    bool             repaired;
};
typedef void (*orphan_fn)(void *ctx, const struct orphan *o);

struct orphans_how {
    const struct uuid *node; /* whose rows; NULL: of all nodes */
    bool               open; /* open every body too: takes its key, and time */
    bool               repair;
    size_t             message_max;
};
struct orphans_sum {
    int64_t files, rows, orphans, repaired;
};
int orphans_find(struct store *s, struct vault *v, const struct orphans_how *how, orphan_fn fn, void *ctx,
                 struct orphans_sum *sum, struct err *e);

#endif
