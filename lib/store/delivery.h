/* lib/store/delivery.h - whose a delivery of the log is. */
#ifndef POSTERN_STORE_DELIVERY_H
#define POSTERN_STORE_DELIVERY_H

#include "store/message.h"

/* Mailbox and domain as the log has them: they may be gone. ERR_NOT_FOUND. */
struct store_owner {
    bool                  there; /* ours */
    bool                  has_mailbox, has_domain;
    struct uuid           mailbox, domain;
    enum delivery_verdict verdict;
};
int store_delivery_owner(struct store *s, const struct store_key *key, struct store_owner *out, struct err *e);

#endif
