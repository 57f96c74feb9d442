/* lib/store/bypass.h - the header field that takes one released message past our own scan (design.md 8).
 *
 * Where the way back into the MTA leads through milters, a released message would be quarantined again. The field, the lowest of
 * those that a release puts on top, says: this message, to this recipient, until then, once.
 *
 *     X-Release-Bypass: v=2; u=UID; t=EXPIRY; n=NONCE; l=LIFTS; s=HMAC
 *
 * HMAC     SHA-512/256 keyed by the secret "bypass", over UID, SHA-256 of all that stands below the field (line ends as
 *          base/crlf.h has them), expiry, nonce, lifts and recipient. The recipient is not in the field: it is the envelope's.
 * Once     the nonce is spent by compare-and-set in the log database; also when the message has arrived unasked, so that a copy of
 *          the field is worth nothing.
 * Lifts    what is said of it as spam, always; of protected findings those that somebody has decided about (scan/lift.h; opaque here),
 *          which the HMAC covers. The scan itself is done, and what else it finds stands.
 * Hostile  anybody can write such a field: what does not check is as if it were not there. It is to be stripped in any case. */
#ifndef POSTERN_STORE_BYPASS_H
#define POSTERN_STORE_BYPASS_H

#include "base/buf.h"
#include "store/store.h"

#define BYPASS_FIELD "X-Release-Bypass"
#define BYPASS_SECRET "bypass" /* its purpose in the keyring (vault/keyring.h) */
#define BYPASS_KEY_BYTES 32
#define BYPASS_NONCE_BYTES 16
#define BYPASS_LIFTS_MAX 500
#define BYPASS_TTL_US ((int64_t)15 * 60 * 1000000)

struct bypass {
    struct uuid uid; /* of the message in quarantine */
    uint8_t     nonce[BYPASS_NONCE_BYTES];
    int64_t     expires_us;
    char        lifts[BYPASS_LIFTS_MAX + 1]; /* "" or [a-z0-9_:,] */
};

/* ---- who releases ---- */
/* Draws a nonce and writes the whole field, with CRLF, behind what is in `out`; `message` is all that will stand below it. */
void bypass_put(const uint8_t key[BYPASS_KEY_BYTES], const struct uuid *uid, struct span recipient, struct span message,
                const char *lifts, int64_t now_us, struct bypass *made_out, struct buf *out);
int  store_bypass_add(struct store *s, const struct bypass *b, struct err *e);

/* ---- who scans ---- */
/* Pure. Is the topmost field of that name in the header block good for this message, alone to this recipient (in normal form, as
 * made by address_parse_path), now? Then *out says whose it is, to be spent. Costs one hash of the message, only if there is a
 * field in the right form. */
bool bypass_check(const uint8_t key[BYPASS_KEY_BYTES], struct span message, struct span recipient, int64_t now_us,
                  struct bypass *out);
/* 1: it was good, and is spent now. 0: spent before, expired, or never made here. */
int store_bypass_spend(struct store *s, const struct bypass *b, int64_t now_us, struct err *e);
/* Forgets what has expired. */
int store_bypass_trim(struct store *s, int64_t now_us, struct err *e);

#endif
