/* lib/base/secret.h - tokens, digests of them, and comparing without telling how much was right (libsodium).
 *
 * Text is URL-safe base64 without padding (RFC 4648 section 5). Any thread. */
#ifndef POSTERN_BASE_SECRET_H
#define POSTERN_BASE_SECRET_H

#include "base/buf.h"
#include "base/span.h"

#define SECRET_HASH 32
#define SECRET_TOKEN_TEXT 43 /* characters of 32 bytes, without the NUL */

/* 32 random bytes, as text. */
void secret_token(char text_out[SECRET_TOKEN_TEXT + 1]);
/* Uniform in 0 … below-1. */
uint32_t secret_below(uint32_t below);
void     secret_bytes(void *out, size_t n);
/* SHA-256 of the parts behind each other, each with its length in front: no two lists of parts read alike. */
void secret_hash_parts(const struct span *parts, size_t n, uint8_t out[SECRET_HASH]);
void secret_hash(struct span text, uint8_t out[SECRET_HASH]); /* plain SHA-256 */
/* Of a message, with line ends as crlf.h has them: the same wherever it is on its way. */
void secret_hash_message(struct span message, uint8_t out[SECRET_HASH]);
/* HMAC-SHA-256. */
void secret_mac(const uint8_t key[32], struct span text, uint8_t out[SECRET_HASH]);
/* Appends `text` so that who has not the key can neither read nor change it; the same text never looks the same twice. */
void secret_seal(const uint8_t key[32], struct span text, struct buf *out);
/* Appends what was sealed. False: it was not, or by another key. */
bool secret_unseal(const uint8_t key[32], struct span sealed, struct buf *out);
/* In time that depends on the lengths alone. */
bool secret_eq(struct span a, struct span b);

size_t secret_text_size(size_t bytes); /* with the NUL */
void   secret_text(struct span bytes, char *out);
/* Bytes written, at most text.n * 3 / 4; false: not base64 of that kind. */
bool secret_from_text(struct span text, char *out, size_t *n_out);

#endif
