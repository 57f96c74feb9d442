/* lib/store/custody.h - the rows of what we hold (vault/vault.h has the messages themselves).
 *
 * Rows are derived: store_message_put() makes them from a record with `kept`, the second time from the same record nothing new.
 * A row outlives its object as CUSTODY_GONE until the day's retention takes it.
 * Lost     With the disk of its node: GONE, and says with whose. Should the object turn up again, so does what is held: the row counts
 *          as missing.
 * Copies   Of delivered mail, to learn from: they are counted, and are past their time, by themselves.
 * Held     One row a delivery that is not let through (quarantined, removed, blocked or discarded with a copy) for its mailbox and
 *          one for its domain: what the lists, the counts and the caps read. Gone with the object. */
#ifndef POSTERN_STORE_CUSTODY_H
#define POSTERN_STORE_CUSTODY_H

#include "store/message.h"

enum custody_place {
    CUSTODY_SPOOL, /* on the disk of its node */
    CUSTODY_STORE, /* in the object store */
    CUSTODY_GONE,
};
extern const char *const custody_place_words[]; /* "spool", "store", "gone", NULL */

struct store_custody {
    struct uuid        uid, node;
    enum custody_place place;
    bool               copy;
    int64_t            bytes, at_us, keep_us;
    struct span        object, sha256 /* 32 bytes */, key_id;
    struct span        lost; /* with the disk of this node; empty: it is not */
};
typedef int (*store_custody_fn)(void *ctx, const struct store_custody *c);

/* has_out[i]: is there a row for uids[i], in whatever place, unless as lost? For replays and for orphans. */
int store_custody_has(struct store *s, const struct uuid *uids, size_t n, bool *has_out, struct err *e);
/* Spans in `a`. ERR_NOT_FOUND. */
int store_custody_get(struct store *s, const struct uuid *uid, struct arena *a, struct store_custody *out,
                      struct err *e);
/* The objects that should be there, of one node or (NULL) of all, in order of UID from `after` (NULL: the first): for verify. */
int store_custody_each(struct store *s, const struct uuid *node, const struct uuid *after, size_t limit,
                       store_custody_fn fn, void *ctx, struct err *e);
/* Of what is held, or of copies: past their time at now_us, the longest first; a node's own (NULL: all). */
int store_custody_due(struct store *s, const struct uuid *node, bool copies, int64_t now_us, size_t limit,
                      store_custody_fn fn, void *ctx, struct err *e);
/* In one transaction; what is not there is left out. To GONE also takes them from lists and counts. */
int store_custody_move(struct store *s, const struct uuid *uids, size_t n, enum custody_place place, struct err *e);
/* What a node has on its own disk: held mail, copies, and the bytes of both. */
struct store_custody_disk {
    int64_t held, copies, bytes;
};
int store_custody_disk(struct store *s, const struct uuid *node, struct store_custody_disk *out, struct err *e);
/* Lost, those of them that are on the disk of this node, which is called `name`; in one transaction. */
int store_custody_lose(struct store *s, const struct uuid *uids, size_t n, const struct uuid *node, struct span name,
                       struct err *e);
/* Makes `heir` look after what is past its time of another node's, as far as it is in the object store: at most `limit`, each for one
 * heir alone however many try. */
int store_custody_adopt(struct store *s, const struct uuid *of, const struct uuid *heir, int64_t now_us, size_t limit,
                        int64_t *n_out, struct err *e);
/* Another end of its time. ERR_NOT_FOUND when it is not there any more. */
int store_custody_keep(struct store *s, const struct uuid *uid, int64_t keep_us, struct err *e);

struct store_custody_sum {
    int64_t count, bytes, due_count, due_bytes;
};
/* Of a node's objects that are held, or copies (NULL: all), and how many of them are past their time at now_us. */
int store_custody_sum(struct store *s, const struct uuid *node, bool copies, int64_t now_us,
                      struct store_custody_sum *out, struct err *e);
/* How many objects there are of each body key (all nodes), and until when the last of them is kept. In order of the keys' names. */
typedef int (*store_custody_key_fn)(void *ctx, struct span key_id, int64_t count, int64_t keep_us);
int store_custody_keys(struct store *s, store_custody_key_fn fn, void *ctx, struct err *e);
/* What is held for a mailbox or a domain: deliveries, and their bytes as stored. */
int store_custody_usage(struct store *s, const struct uuid *owner, int64_t *count_out, int64_t *bytes_out,
                        struct err *e);

/* Bytes of the copies that a domain's deliveries have. Reads them all: for now and then. */
int store_custody_copied(struct store *s, const struct uuid *domain, int64_t *bytes_out, struct err *e);

/* One held delivery. */
struct store_held {
    struct store_row row;
    int64_t          keep_us, bytes;
};
typedef int (*store_held_fn)(void *ctx, const struct store_held *h);
/* The newest first, in a mailbox, a domain or everywhere; behind `before` (NULL: from the start). Without what was put away. */
int store_custody_list(struct store *s, struct store_scope scope, const struct store_key *before, size_t limit,
                       store_held_fn fn, void *ctx, struct err *e);

/* ---- Put away ----
 * A held delivery that a person has put away stays HELD_DELETED_US; so long it can be taken back. The object goes by the purge when all who
 * it is held for have put it away, and never later than it would have gone. */
#define HELD_DELETED_US (7 * 86400 * INT64_C(1000000))
/* Twice is once. ERR_NOT_FOUND: nothing of it is held. */
int store_held_delete(struct store *s, const struct store_key *key, int64_t now_us, struct err *e);
int store_held_undelete(struct store *s, const struct store_key *key, struct err *e);
/* Since when it is put away; 0: it is not, or not held. */
int store_held_deleted(struct store *s, const struct store_key *key, int64_t *us_out, struct err *e);
/* As store_custody_list(), of what was put away after since_us, in a mailbox or a domain. */
int store_held_list_deleted(struct store *s, struct uuid owner, int64_t since_us, const struct store_key *before,
                            size_t limit, store_held_fn fn, void *ctx, struct err *e);

#endif
