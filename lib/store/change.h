/* lib/store/change.h - the change feed: what a reader of rules has to look at again.
 *
 * A row is written in the transaction of the change itself. Invariants:
 *   1 seq order is commit order, without holes: the number comes from one row that serialises all writers.
 *   2 who has seen seq n and finds no gap has seen everything up to n.
 *   3 counting hits, logging and greylisting never move it.
 * Rows are kept for 7 days and at most 100,000; a reader that is behind the oldest reloads everything. */
#ifndef POSTERN_STORE_CHANGE_H
#define POSTERN_STORE_CHANGE_H

#include "store/store.h"

#define CHANGE_KEEP 100000
#define CHANGE_KEEP_US (7 * 86400 * INT64_C(1000000))

enum change_kind {
    CHANGE_RULE,       /* scope; object: the one rule, none: many, load the scope again */
    CHANGE_POLICY,     /* scope; object: the policy. Load the scope again */
    CHANGE_ASSIGNMENT, /* scope: the domain; object: the global policy */
    CHANGE_SETTING,    /* scope */
    CHANGE_LEARNED,    /* scope: the mailbox; object: the entry */
    CHANGE_DOMAIN,     /* scope: the domain, added, changed, deleted, or one of its aliases */
    CHANGE_MAILBOX,    /* scope: the mailbox; object: its domain, whose addresses resolve anew */
    CHANGE_ADDRESS,    /* scope: the domain whose addresses resolve anew; object: the address */
    CHANGE_API_KEY,    /* scope: global; object: the key */
    CHANGE_SENDER,     /* scope: global; object: whose limits or block changed */
};
extern const char *const change_kind_words[];

struct store_change {
    int64_t            seq;
    enum change_kind   kind;
    struct store_scope scope;
    bool               has_object;
    struct uuid        object;
    int64_t            at_us;
};
typedef int (*store_change_fn)(void *ctx, const struct store_change *c);

/* The number of the last change; 0: none yet. */
int store_change_head(struct store *s, int64_t *seq_out, struct err *e);
/* Every change after `after_seq`, in order. *gap_out: some of them are gone already, reload everything (fn may
 * not have been called). A head smaller than after_seq (a restored backup) is a gap too. */
int store_changes(struct store *s, int64_t after_seq, bool *gap_out, store_change_fn fn, void *ctx, struct err *e);

/* For the mutations of lib/store, inside their transaction and before they look at anything: it makes them wait
 * for each other, so that what they check still holds when they write. */
int store_change_note(struct store *s, enum change_kind kind, struct store_scope scope, const struct uuid *object,
                      struct err *e);
/* The wait alone, before a number is taken: for who reads, in their transaction, what they will write back changed. What is read
 * behind it stays as it is until they commit. */
int store_change_hold(struct store *s, struct err *e);
/* store_change_note() for many whole scopes at once, which takes their numbers in one go. */
int store_change_note_scopes(struct store *s, enum change_kind kind, const struct store_scope *scopes, size_t n,
                             struct err *e);

#endif
