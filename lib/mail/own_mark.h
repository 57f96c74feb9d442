/* lib/mail/own_mark.h - the field by which our own rulesd knows mail that Postern itself has sent.
 *
 *     X-Own-Mail: v=1; t=EXPIRY; s=HMAC
 *
 * HMAC: SHA-256 keyed by the secret "own" (vault/keyring.h), over the recipient (normal form), expiry (seconds) and the SHA-256 of all that
 * stands below (line ends as base/crlf.h has them). On top may stand what its way adds, but nothing that a letter says of itself (From,
 * Subject, Content-Type …). Good for that recipient and those bytes alone, so a copy of it is worth the same letter once more. Such mail is
 * neither held, tagged nor stored, whatever the score and people's rules say; findings that protect (viruses) stand. Anybody can write such
 * a field: what does not check is as if it were not there. */
#ifndef POSTERN_MAIL_OWN_MARK_H
#define POSTERN_MAIL_OWN_MARK_H

#include "base/buf.h"

#define OWN_MARK_FIELD "X-Own-Mail"
#define OWN_MARK_SECRET "own" /* its purpose in the keyring */
#define OWN_MARK_KEY_BYTES 32
#define OWN_MARK_TTL_US (7 * 86400 * INT64_C(1000000))
#define OWN_MARK_AHEAD_US (600 * INT64_C(1000000)) /* by how much the clock of who wrote it may be ahead */

/* Appends the field, with CRLF; `message` is all that will stand below it. */
void own_mark_put(const uint8_t key[OWN_MARK_KEY_BYTES], struct span recipient, struct span message, int64_t now_us,
                  struct buf *out);
/* Is the topmost field of that name good? Costs one hash of the message, only if there is such a field, in form. */
bool own_mark_check(const uint8_t key[OWN_MARK_KEY_BYTES], struct span message, struct span recipient, int64_t now_us);

#endif
