/* lib/letter/link.h - the links of a digest: what each may do, and that we wrote it.
 *
 * Token    base64url of: version, key id, action, expiry (seconds), subscription, UID, n; then HMAC-SHA-256 over all that, cut to 16
 *          bytes, keyed by a key of the purpose "link". Nothing of it is stored: a link that was made can be checked for as long as it
 *          lives. Nothing in it is a secret but that we made it.
 * Keys     rotate: the key id is the number of a key; an old key checks until its last link has expired.
 * Means    no more than its one action on its one delivery; that the subscription still stands is the caller's to ask (store/digest.h),
 *          and what a user may do (portal/permit.h). */
#ifndef POSTERN_LETTER_LINK_H
#define POSTERN_LETTER_LINK_H

#include "base/err.h"
#include "base/span.h"
#include "store/message.h"

#define LINK_TTL_US (14 * 86400 * INT64_C(1000000))
#define LINK_STOP_TTL_US                                                                                               \
    (400 * 86400 * INT64_C(1000000)) /* of LINK_UNSUBSCRIBE: who has had enough finds an old letter */
#define LINK_TEXT 120                /* bytes of a token, with its NUL */
#define LINK_KEYS_MAX 8

enum link_action {
    LINK_RELEASE = 1,
    LINK_RELEASE_ALLOW, /* and allow the sender */
    LINK_BLOCK,         /* block the sender */
    LINK_UNSUBSCRIBE,   /* pause the subscription; uid zero, n 0 */
};
struct link {
    enum link_action action;
    struct uuid      subscription;
    struct store_key key;
    int64_t          expires_us;
};
/* The keys in the keyring's directory, the newest first; made when there is none. Each is `link-N.secret`; `postern key rotate --links`
 * adds one. */
struct link_keys {
    size_t   n;
    unsigned id[LINK_KEYS_MAX];
    uint8_t  key[LINK_KEYS_MAX][32];
};
int link_keys_read(const char *dir, struct link_keys *out, struct err *e);
int link_keys_rotate(const char *dir, unsigned *id_out, struct err *e);

void link_make(const struct link_keys *k, const struct link *what, char out[LINK_TEXT]);
/* Did we make it? *out is filled also when it has expired: its page shows how things stand. Constant time in the HMAC. */
enum link_check { LINK_GOOD, LINK_EXPIRED, LINK_FORGED };
enum link_check link_read(const struct link_keys *k, struct span token, int64_t now_us, struct link *out);

#endif
