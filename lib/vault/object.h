/* lib/vault/object.h - the bytes of one held message: a head for all who may read the file, and a body that is sealed. For vault.c.
 *
 *     prefix   216 bytes: magic, UID, id of the key, the data key sealed to it, SHA-256 of the message and of the head, their sizes
 *     24       header of the stream
 *     head     JSON
 *     body     the message, zstd, in pieces of 64 KiB, each sealed with the data key (XChaCha20-Poly1305, libsodium's secretstream);
 *              the prefix is bound into the first, and each into the next
 *     tail     16 bytes: how long the body is, magic: what was cut is seen without a key
 * Numbers are little endian.
 *
 * Hostile  whoever can write into the spool: every size is checked against the file's, the message may grow to the size that the
 *          prefix states and no further, and that one is checked against what the caller takes. */
#ifndef POSTERN_VAULT_OBJECT_H
#define POSTERN_VAULT_OBJECT_H

#include "vault/vault.h"

/* Writes it all to fd, which is at its start; does not sync. */
int object_write(int fd, const struct uuid *uid, struct span head, struct span message, const struct keyring *keys,
                 struct vault_kept *out, struct err *e);
/* Is it whole, and the one of this UID? head and kept may be NULL. ERR_CORRUPT. */
int object_head(int fd, const struct uuid *uid, struct buf *head, struct vault_kept *kept, struct err *e);
/* How many bytes of an object's front object_head() needs, told from the first OBJECT_FRONT of them; 0: no object. */
#define OBJECT_FRONT 240
size_t object_head_end(const uint8_t front[OBJECT_FRONT]);
/* The same for who has no more than the front of it, and its whole size. */
int object_head_of(struct span front, uint64_t size, const struct uuid *uid, struct buf *head, struct vault_kept *kept,
                   struct err *e);
/* Opens it; head may be NULL. */
int object_open(int fd, const struct uuid *uid, const struct keyring *keys, struct buf *head, struct buf *message,
                struct err *e);
/* The message alone, behind what `message` has: the seal shows that it is what was sealed under this UID, and neither head nor message is
 * hashed for it. */
int object_open_sealed(int fd, const struct uuid *uid, const struct keyring *keys, struct buf *message, struct err *e);

#endif
