/* lib/store/idempotency.h - what was answered to a write that its caller may send twice. */
#ifndef POSTERN_STORE_IDEMPOTENCY_H
#define POSTERN_STORE_IDEMPOTENCY_H

#include "store/store.h"

#define IDEMPOTENCY_KEY_MAX 200
#define IDEMPOTENCY_REPLY_MAX (256 << 10)
#define IDEMPOTENCY_KEEP_US (86400 * INT64_C(1000000))
#define IDEMPOTENCY_LEASE_US (120 * INT64_C(1000000)) /* who died while working on it */

enum idempotency { IDEMPOTENT_NEW, IDEMPOTENT_KNOWN, IDEMPOTENT_WORKING, IDEMPOTENT_OTHER };
/* NEW: it is the caller's to do, and ends with _end or _drop. KNOWN: status and reply (in `a`). WORKING: somebody does it right now.
 * OTHER: the key was used for another request. */
int store_idempotency_begin(struct store *s, const struct uuid *owner, struct span key, const uint8_t sha256[32],
                            int64_t now_us, struct arena *a, enum idempotency *out, int *status_out,
                            struct span *reply_out, struct err *e);
int store_idempotency_end(struct store *s, const struct uuid *owner, struct span key, int status, struct span reply,
                          struct err *e);
/* As if it had never been asked. */
int store_idempotency_drop(struct store *s, const struct uuid *owner, struct span key, struct err *e);
int store_idempotency_trim(struct store *s, int64_t now_us, struct err *e);

#endif
