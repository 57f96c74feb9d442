/* lib/vault/keyring.h - the keys of this site, in the directory [quarantine] keys.
 *
 * Body keys are X25519 pairs (libsodium). ID.pub is what sealing needs, `current` names the one that seals; ID.key (0400) is what
 * opening needs. A node that only writes has no ID.key at all. Rotating adds a pair and makes it current; old ones stay for
 * what they sealed.
 * Secrets with a purpose ("bypass", "link", …) are 32 random bytes in PURPOSE.secret (0400), apart from the body keys and from
 * each other, so that one that leaks is only that one.
 * Rotated  Who has the ring open takes a new key by keyring_refresh(), and an unknown one when it has to open something: the files are
 *          read again, and what is sealed meanwhile is sealed whole with the one or the other.
 * Every file is a line of text: what it is, and the key in hexadecimal digits.
 * Modes    A directory that others can enter, or that its group can write to, is refused; so is a secret that others can read.
 *          A group may read: rulesd the public keys, whoever opens mail the others. */
#ifndef POSTERN_VAULT_KEYRING_H
#define POSTERN_VAULT_KEYRING_H

#include "base/err.h"

#define KEY_ID_MAX 31
#define SECRET_BYTES 32

struct keyring;
/* Makes directory (0700), a first pair and nothing else, if there is none: for `postern init`. */
int keyring_create(const char *dir, struct err *e);
/* Reads all public keys, and what secret keys the process may read. ERR_NOT_FOUND: no keys; says what makes them. Any thread may
 * use it from then on. */
int  keyring_open(const char *dir, struct keyring **out, struct err *e);
void keyring_close(struct keyring **k);
/* 1: another key seals from now on; 0: none, or somebody is just looking; -1: what is there cannot be used, and all stays as it
 * was. Costs one stat() a second at most, unless `now`: then all files are read. */
int keyring_refresh(const struct keyring *k, bool now, struct err *e);
/* A new pair, current from now on. */
int keyring_rotate(const char *dir, char id_out[KEY_ID_MAX + 1], struct err *e);

struct key_info {
    char    id[KEY_ID_MAX + 1];
    bool    current, can_open;
    int64_t created_us;
};
/* The oldest first; fn returns 0 to go on. */
typedef int (*keyring_fn)(void *ctx, const struct key_info *key);
void        keyring_each(const struct keyring *k, keyring_fn fn, void *ctx);
const char *keyring_current(const struct keyring *k); /* its id, good until the ring is closed */

/* Seals 32 bytes to the current key, and says which that was; opens what was sealed. ERR_DENIED: that key is not here, or has no secret half here;
 * ERR_CORRUPT: it does not open. */
#define KEY_SEALED_BYTES 80
int keyring_seal(const struct keyring *k, const uint8_t key[32], uint8_t out[KEY_SEALED_BYTES],
                 char id_out[KEY_ID_MAX + 1], struct err *e);
int keyring_unseal(const struct keyring *k, const char *id, const uint8_t sealed[KEY_SEALED_BYTES], uint8_t out[32],
                   struct err *e);

/* The secret of a purpose; made if missing. */
int keyring_secret(const char *dir, const char *purpose, uint8_t out[SECRET_BYTES], struct err *e);

#endif
