/* lib/vault/vault.h - custody: what we hold of other people's mail, so that nothing short of a lost disk loses it (design.md 5, 8).
 *
 * One file a message, DIR/YYYY-MM-DD/UID: a head that anybody who may read the file can read (JSON: envelope, verdicts,
 * recipients), then the message, compressed (zstd) and sealed with a data key of its own. The data key is sealed to the keyring's
 * public key; head, UID and key id are bound into the seal, so that an object that was swapped or touched does not open: who
 * writes cannot read.
 *
 * The promise  vault_put() returns 0 when the file, its name and its directories are on disk: written, fsync, rename, fsync of
 *              the directory. At a crash there is the whole file or a leftover in DIR/tmp, which the next start removes.
 * S3 form      custody is the spool, and the promise the same; vault_upload() moves what is there into the bucket, one by one, and lets
 *              go of the file once the bucket has shown that it has it. What reads looks in both.
 * Database     rows are derived from these files (store/message.h): vault_each() after a crash is the truth.
 * Threads      any; calls block on the disk.
 * Errors       ERR_FULL: less than min_free would be left, or the disk is full: nothing is kept. ERR_NOT_FOUND. ERR_CORRUPT: does
 *              not open (cut, swapped, another key's). ERR_DENIED: the key that opens it is not here, which is named. */
#ifndef POSTERN_VAULT_VAULT_H
#define POSTERN_VAULT_VAULT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "vault/keyring.h"

#define VAULT_HEAD_MAX ((size_t)16 << 20) /* 10,000 recipients with their traces */
#define VAULT_DAY 10                      /* "2026-11-22" */

struct vault;
struct vault_how {
    const char           *url;      /* [quarantine] url: file:DIR, or s3+https://HOST/BUCKET?region=…&spool=DIR */
    const struct keyring *keys;     /* borrowed; has to outlive the vault */
    int64_t               min_free; /* bytes that have to stay free on the disk of the spool */
};
/* Makes the directories (0700). Whoever is the first to have it open removes what a crash left half written. */
int  vault_open(const struct vault_how *how, struct vault **out, struct err *e);
void vault_close(struct vault **v);

struct vault_kept {
    uint64_t bytes;      /* of the file */
    uint8_t  sha256[32]; /* of the message as it came */
    char     key_id[KEY_ID_MAX + 1];
};
/* Keeps a message under its UID. The UID is there already: nothing is written, and that is success (*out tells of the one that
 * is there): a repeated scan changes nothing. */
int vault_put(struct vault *v, const struct uuid *uid, struct span head, struct span message, struct vault_kept *out,
              struct err *e);
/* The head alone, without any secret key. */
int vault_head(struct vault *v, const struct uuid *uid, struct buf *head, struct vault_kept *kept, struct err *e);
/* The message, opened. head may be NULL. */
int vault_get(struct vault *v, const struct uuid *uid, struct buf *head, struct buf *message, struct err *e);
/* For who but reads it, and often (a filter that learns): the message alone, put behind what is there. The seal vouches for it; that it has
 * the SHA-256 which it was kept with, too, is not looked at, nor is the head. What fails may leave a part of it. */
int vault_read(struct vault *v, const struct uuid *uid, struct buf *message, struct err *e);
/* Gone, its name synced. ERR_NOT_FOUND. */
int vault_delete(struct vault *v, const struct uuid *uid, struct err *e);

/* Every object, the oldest day first; fn returns 0 to go on. since_us skips days before it. A file that is not whole is told
 * with kept == NULL. */
typedef int (*vault_fn)(void *ctx, const struct uuid *uid, struct span head, const struct vault_kept *kept);
int vault_each(struct vault *v, int64_t since_us, vault_fn fn, void *ctx, struct err *e);
/* The names alone of those on this disk: all of the file form, the spool of the other. No file is opened. */
typedef int (*vault_uid_fn)(void *ctx, const struct uuid *uid);
int vault_each_here(struct vault *v, int64_t since_us, vault_uid_fn fn, void *ctx, struct err *e);

/* The S3 form: is it one; moves one object from the spool into the bucket. ERR_NOT_FOUND: not in the spool. */
bool vault_has_bucket(const struct vault *v);
int  vault_upload(struct vault *v, const struct uuid *uid, struct err *e);

/* Free bytes beyond min_free; negative: too little. */
int vault_room(struct vault *v, int64_t *out, struct err *e);
/* The directory: of the objects, or of the spool. */
const char *vault_path(const struct vault *v);

#endif
