/* lib/net/object_store.h - objects in a bucket that speaks Amazon's S3, signed by libcurl (AWS_SIGV4), in path style.
 *
 *     s3+https://HOST[:PORT]/BUCKET[/PREFIX]?region=REGION[&credentials=FILE]      (s3+http:// too, for a server beside us)
 * Credentials  FILE has the lines access_key=… and secret_key=…, and is nobody else's to read; without it AWS_ACCESS_KEY_ID and
 *              AWS_SECRET_ACCESS_KEY of the environment count.
 * Other words of the query are the caller's.
 * Names        lower case letters, digits, '-', '.' and '/': nothing that would be encoded.
 * Threads      any; calls block, at most for STALL_S without a byte. One try each: who calls decides about another.
 * Errors       ERR_NOT_FOUND; ERR_DENIED (403); ERR_LOST: not reached, or 5xx; ERR_PROTOCOL. */
#ifndef POSTERN_NET_OBJECT_STORE_H
#define POSTERN_NET_OBJECT_STORE_H

#include "base/buf.h"
#include "base/err.h"

struct object_store;
int  object_store_new(const char *url, struct object_store **out, struct err *e);
void object_store_free(struct object_store **s);

/* All of a file, from its first byte; the body's SHA-256 is signed too, so that the bucket refuses any other. */
int object_store_put(struct object_store *s, const char *name, int fd, const uint8_t sha256[32], struct err *e);
/* All of it, written to fd. */
int object_store_get(struct object_store *s, const char *name, int fd, struct err *e);
/* Its first n bytes (fewer if it is shorter), and how many it has. */
int object_store_front(struct object_store *s, const char *name, size_t n, struct buf *out, uint64_t *size_out,
                       struct err *e);
/* Gone; so is one that was not there. */
int object_store_delete(struct object_store *s, const char *name, struct err *e);
/* Names that begin with `prefix`, in order. folders: those up to the next '/', once each ("2026-11-22/"). fn returns 0 to go on. */
typedef int (*object_store_fn)(void *ctx, struct span name);
int object_store_list(struct object_store *s, const char *prefix, bool folders, object_store_fn fn, void *ctx,
                      struct err *e);

#endif
