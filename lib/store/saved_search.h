/* lib/store/saved_search.h - searches that a person keeps by a name, in an order of their own.
 *
 * Positions count from 1 without gaps. Nobody sees another's: every call names the account, and what is not its own is ERR_NOT_FOUND. */
#ifndef POSTERN_STORE_SAVED_SEARCH_H
#define POSTERN_STORE_SAVED_SEARCH_H

#include "store/store.h"

#define SAVED_SEARCHES_MAX 50 /* of one account */
#define SAVED_NAME_MAX 60
#define SAVED_QUERY_MAX 2000
#define SAVED_PLACE_MAX (STORE_ADDRESS_MAX + 8)

struct store_saved_search {
    struct uuid id;
    struct span name, q, place; /* place: where it looks, as schema/main says; "": one's own mailboxes */
    int64_t     position, created_us;
};
typedef int (*store_saved_search_fn)(void *ctx, const struct store_saved_search *x);
int store_saved_search_list(struct store *s, struct uuid account, store_saved_search_fn fn, void *ctx, struct err *e);
/* Spans in `a`. */
int store_saved_search_get(struct store *s, struct uuid account, struct uuid id, struct arena *a,
                           struct store_saved_search *out, struct err *e);
/* Uses name, q, place; it comes last. ERR_CONFLICT: the name is taken; ERR_LIMIT. */
int store_saved_search_add(struct store *s, const struct actor *by, struct uuid account,
                           const struct store_saved_search *what, int64_t now_us, struct uuid *id_out, struct err *e);
/* Makes name, q and place so; and moves it to `position`, the others beside it: beyond the last is the last, 0 leaves it there. */
int store_saved_search_set(struct store *s, const struct actor *by, struct uuid account,
                           const struct store_saved_search *what, struct err *e);
int store_saved_search_delete(struct store *s, const struct actor *by, struct uuid account, struct uuid id,
                              struct err *e);

#endif
