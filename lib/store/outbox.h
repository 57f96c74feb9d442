/* lib/store/outbox.h - mail that Postern itself sends, until the mail server has it.
 *
 * Put in the transaction that decides it; sent by whoever claims it first (design.md 9), so that several programs and nodes may. The
 * same key is put once. A row that has ended is kept for OUTBOX_KEEP_US without its message. */
#ifndef POSTERN_STORE_OUTBOX_H
#define POSTERN_STORE_OUTBOX_H

#include "store/store.h"

#define OUTBOX_MESSAGE_MAX (4u << 20)
#define OUTBOX_LEASE_US (10 * 60 * INT64_C(1000000))
#define OUTBOX_KEEP_US (30 * 86400 * INT64_C(1000000))

struct store_mail {
    struct uuid id;
    struct span kind; /* "signin", "test": what it is */
    struct span key;  /* the same mail has the same */
    struct span recipient, message;
    int64_t     attempts, created_us;
    bool        nowhere; /* put like any other, and never sent */
};
/* Uses kind, key, recipient, message, nowhere. *new_out (may be NULL): false when the key was there. Joins an open transaction. */
int store_outbox_put(struct store *s, const struct store_mail *m, int64_t now_us, bool *new_out, struct err *e);
/* The next that is due: 1 and the row (spans in `a`), 0 none, -1. */
int store_outbox_claim(struct store *s, struct span by, int64_t now_us, struct arena *a, struct store_mail *out,
                       struct err *e);
int store_outbox_sent(struct store *s, const struct uuid *id, struct span by, struct span answer, int64_t now_us,
                      struct err *e);
int store_outbox_failed(struct store *s, const struct uuid *id, struct span by, struct span answer, int64_t now_us,
                        struct err *e);
int store_outbox_later(struct store *s, const struct uuid *id, struct span by, int64_t next_us, struct span answer,
                       struct err *e);
struct store_outbox_sums {
    int64_t waiting, failed, oldest_us; /* oldest_us 0: none waits */
};
int store_outbox_sums(struct store *s, struct store_outbox_sums *out, struct err *e);
/* How far one has come, by its key; texts in `a`. ERR_NOT_FOUND. */
struct store_outbox_row {
    struct span recipient, state, answer; /* state "waiting", "sent", "failed"; answer of the last attempt */
    int64_t     attempts, next_us, created_us, done_us;
};
int store_outbox_get(struct store *s, struct span kind, struct span key, struct arena *a, struct store_outbox_row *out,
                     struct err *e);
int store_outbox_trim(struct store *s, int64_t now_us, struct err *e);

#endif
