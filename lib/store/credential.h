/* lib/store/credential.h - what proves that a person is who they say.
 *
 * Passwords are Argon2id hashes (libsodium, interactive limits: about 0.1 s and 64 MiB a try), never text. */
#ifndef POSTERN_STORE_CREDENTIAL_H
#define POSTERN_STORE_CREDENTIAL_H

#include "store/store.h"

#define PASSWORD_LENGTH_MIN 10
#define PASSWORD_LENGTH_MAX 1024

/* Sets or replaces the password of an account. ERR_INVALID when it is too short or too long. */
int store_password_set(struct store *s, const struct actor *by, struct uuid account, struct span password,
                       struct err *e);
/* 1 right, 0 wrong, or without a password, or no such account (in the same time), -1. */
int store_password_check(struct store *s, struct uuid account, struct span password, struct err *e);
/* Is there one? */
int store_password_there(struct store *s, struct uuid account, bool *out, struct err *e);
int store_password_clear(struct store *s, const struct actor *by, struct uuid account, struct err *e);

#endif
