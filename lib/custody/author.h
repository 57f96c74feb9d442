/* lib/custody/author.h - who wrote a mail that asks us for something, and what proves it.
 *
 * Proven    by the log's row of this very mail (queue id of the topmost Received field, else Message-ID, and an address of ours that
 *           such mail is written to among its recipients), which says that its author was signed in; or by the scanner's symbols in that
 *           row, or Authentication-Results of our own, that the author is who it says, and then only if To names such an address: a
 *           signed message can be sent on by anybody. Where the row says that somebody else was signed in, nothing else counts. The row
 *           may come a little later than the mail.
 * Nobody    is ever told what came of it: who sent a mail may be somebody else than who is named. */
#ifndef POSTERN_CUSTODY_AUTHOR_H
#define POSTERN_CUSTODY_AUTHOR_H

#include "base/conf.h"
#include "custody/report.h"
#include "mail/message.h"
#include "store/address.h"
#include "store/search.h"

#define AUTHOR_NEAR_US (7 * 86400 * INT64_C(1000000)) /* how old a row may be */
#define AUTHOR_WAIT_US (3 * INT64_C(1000000))         /* for that row */

/* Is this an address of ours that such mail is written to? 1, 0, -1. */
typedef int (*author_for_fn)(void *ctx, struct span address, struct err *e);

/* All but what is below it is borrowed. A store belongs to one thread. */
struct author {
    const struct settings     *settings;
    struct store              *store;
    const struct origin_trust *trust;
    int64_t                    wait_us; /* AUTHOR_WAIT_US */
    author_for_fn              is_for;
    void                      *ctx;
    struct message            *message;
    struct arena              *arena;

    const struct address *from;  /* of author_read() */
    struct store_resolved who;   /* whose address that is */
    const char           *proof; /* of author_prove(): "signed in", "log", "authentication-results" */
};

enum author_reason {
    AUTHOR_FINE,
    AUTHOR_NO_SENDER,
    AUTHOR_NONE,
    AUTHOR_OURS,
    AUTHOR_AUTOMATIC,
    AUTHOR_OTHER_SIGNED_IN,
    AUTHOR_NOT_TO_US,
    AUTHOR_UNPROVEN,
    AUTHOR_REASONS
};
/* In a sentence: "a program sent it". */
extern const char *const author_sentences[AUTHOR_REASONS];

/* Who it says wrote it. envelope: its sender, empty for <>. With AUTHOR_NO_SENDER and AUTHOR_NONE there is no `from`. */
int author_read(struct author *x, struct span envelope, enum author_reason *why_out, struct err *e);
/* After author_read(): is it proven? */
int author_prove(struct author *x, enum author_reason *why_out, struct err *e);

/* ---- what else is asked of such mail ---- */
bool author_has_field(struct message *m, struct span name);
/* Is that [smtp] from? */
bool author_is_postern(const struct author *x, const struct address *from);
/* By fields of our own, in a message that came this way. */
bool author_proven_by_fields(const struct author *x, struct span bytes, const struct address *from);

/* The log's rows of a queue id or Message-ID, whole; fn other than 0 ends it, -1 with e. */
typedef int (*author_row_fn)(void *ctx, const struct uuid *uid, const struct store_timeline *row, struct err *e);
int author_rows(const struct author *x, struct span handle, author_row_fn fn, void *ctx, struct err *e);
/* Is it the row of a message with that Message-ID, and near that time? A queue id comes again, and a handle may be anything. */
bool author_row_is(const struct store_message *row, struct span message_id, int64_t when_us);
/* Was it this author, or another mailbox of the same person's, that was signed in when it was sent? 1, 0, -1. known: somebody was. */
int author_signed_in(const struct author *x, const struct store_message *row, bool *known_out, struct err *e);

#endif
