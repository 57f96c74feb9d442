/* lib/store/delivery.h - deliveries of the log by their keys. */
#ifndef POSTERN_STORE_DELIVERY_H
#define POSTERN_STORE_DELIVERY_H

#include "store/custody.h"

/* Mailbox and domain as the log has them: they may be gone. ERR_NOT_FOUND. */
struct store_owner {
    bool                  there; /* ours */
    bool                  has_mailbox, has_domain;
    struct uuid           mailbox, domain;
    enum delivery_verdict verdict;
};
int store_delivery_owner(struct store *s, const struct store_key *key, struct store_owner *out, struct err *e);

/* With what the scanner found in the message, and whether we have it: it is held, and not gone. */
struct store_delivery_row {
    struct store_row row;
    struct span      symbols;
    bool             held;
};
typedef int (*store_delivery_fn)(void *ctx, const struct store_delivery_row *d);
/* The rows of these keys, which have to be in order of (uid, n) descending; those that are gone are passed over. One statement, however
 * many they are, on PostgreSQL. */
int store_delivery_rows(struct store *s, const struct store_key *keys, size_t n, store_delivery_fn fn, void *ctx,
                        struct err *e);

#endif
