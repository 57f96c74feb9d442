/* lib/custody/body.h - who may open a held message; the one place where that is decided, and written down (design.md 8).
 *
 *   a person              the mail that was held for a mailbox of theirs, and copies of what it got
 *   clerk, owner          what was held for recipients of their domain, and no copies
 *   operator, admin       anything, with a reason that they have typed, which the person can see
 *   anybody else          nothing
 *
 * "body.open" is in the audit log, in the mailbox's scope (else the domain's), before a byte of the body is. */
#ifndef POSTERN_CUSTODY_BODY_H
#define POSTERN_CUSTODY_BODY_H

#include "store/message.h"
#include "vault/vault.h"

#define BODY_REASON_MIN 5 /* characters that are no blanks */
#define BODY_REASON_MAX 500

/* The record that stands at the head of a held message. Its spans live in `a`. */
int body_record(struct vault *v, const struct uuid *uid, struct arena *a, struct store_message *out, struct err *e);
/* The delivery that `n` counts. ERR_NOT_FOUND. */
const struct store_delivery *body_delivery(const struct store_message *m, int64_t n, struct err *e);
/* Whom an audit row about it concerns. */
struct store_scope body_scope(const struct store_delivery *d);

/* Fills `message` with the bytes as they came. reason may be NULL where none is asked for. ERR_DENIED. */
int body_open(struct store *s, struct vault *v, const struct actor *by, const struct uuid *uid, int64_t n,
              const char *reason, struct buf *message, struct err *e);

#endif
