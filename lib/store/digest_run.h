/* lib/store/digest_run.h - digests that were begun: one a subscription and end of window, and what each lists.
 *
 * Begun    run and items are one transaction. The same (subscription, until_us) is begun once; a delivery is an item of a subscription
 *          once. A run that was begun will be sent, by whoever has its lease, until the mail server has taken or refused it.
 * Failed   a run that was refused gives its items back: the next digest lists them.
 * Kept     RUN_KEEP_US after its last change, then forgotten with its items; by then its deliveries are too old for any
 *          digest, and its links have expired. */
#ifndef POSTERN_STORE_DIGEST_RUN_H
#define POSTERN_STORE_DIGEST_RUN_H

#include "store/message.h"

#define RUN_LEASE_US (10 * 60 * INT64_C(1000000)) /* longer than a letter can be on its way to the mail server */
#define RUN_KEEP_US (16 * 86400 * INT64_C(1000000))
#define RUN_ITEMS_MAX 10000 /* of one run: what is beyond waits for the next */

enum run_state { RUN_WAITING, RUN_SENT, RUN_FAILED };
extern const char *const run_state_words[]; /* "waiting", "sent", "failed", NULL */

enum run_listed {
    LISTED_MARKED = -2, /* in the count of what was let pass, marked as spam */
    LISTED_BLOCKED,     /* of what rules blocked */
    LISTED_COUNTED,     /* of what was held */
};
struct store_run_item {
    struct store_key key;
    int64_t          place; /* in the letter, from 1; else one of these */
};
struct store_run {
    struct uuid    id, subscription;
    int64_t        since_us, until_us;
    enum run_state state;
    bool           quiet;
    struct span    recipient;
    int64_t        total, again, attempts;
    struct span    answer;
    int64_t        created_us, changed_us;
};
typedef int (*store_run_fn)(void *ctx, const struct store_run *r);
typedef int (*store_run_item_fn)(void *ctx, const struct store_run_item *i);

/* What a subscription has listed of the deliveries since then, in order of keys. */
int store_run_listed(struct store *s, struct uuid subscription, int64_t since_us, store_run_item_fn fn, void *ctx,
                     struct err *e);
/* One to be begun, with its items. */
struct store_run_plan {
    struct store_run             run; /* subscription, since_us, until_us, quiet, recipient */
    const struct store_run_item *items;
    size_t                       nitems;
    bool begun; /* out; false: there is one of this window, or somebody has listed one of the items
                                           meanwhile: nothing of it was written */
};
/* All in one transaction. run.id is made here, run.total becomes nitems. */
int store_run_begin(struct store *s, struct store_run_plan *plans, size_t n, int64_t now_us, struct err *e);
/* At most `max` that are due, the longest first as far as the database keeps order; texts in `a`. How many, or -1. */
int store_run_claim(struct store *s, struct span by, int64_t now_us, struct arena *a, struct store_run *out, size_t max,
                    struct err *e);
/* By who holds the lease; ERR_CONFLICT: somebody else does by now. */
int store_run_sent(struct store *s, struct uuid id, struct span by, struct span answer, int64_t now_us, struct err *e);
int store_run_failed(struct store *s, struct uuid id, struct span by, struct span answer, int64_t now_us,
                     struct err *e);
int store_run_later(struct store *s, struct uuid id, struct span by, int64_t next_us, struct span answer,
                    int64_t now_us, struct err *e);
/* Leases of `by` end: it was killed, and is there again. */
int store_run_free(struct store *s, struct span by, struct err *e);
/* Sends a run once more that was sent. ERR_CONFLICT: it waits, or came to nothing. */
int store_run_again(struct store *s, struct uuid id, int64_t now_us, struct err *e);

int store_run_get(struct store *s, struct uuid id, struct arena *a, struct store_run *out, struct err *e);
/* The newest first. */
int store_run_list(struct store *s, struct uuid subscription, size_t limit, store_run_fn fn, void *ctx, struct err *e);
/* The latest that the mail server has taken: 1, 0 none, -1. */
int store_run_last(struct store *s, struct uuid subscription, struct arena *a, struct store_run *out, struct err *e);
/* In order of places: those without a line of their own come first. */
int store_run_items(struct store *s, struct uuid id, store_run_item_fn fn, void *ctx, struct err *e);
/* To whom most of what it lists went, but for what was blocked; as far as the log has it still. */
typedef int (*store_run_recipient_fn)(void *ctx, struct span recipient, int64_t n);
int store_run_recipients(struct store *s, struct uuid id, size_t limit, store_run_recipient_fn fn, void *ctx,
                         struct err *e);
/* 1 and the delivery at that place, 0 there is none, -1: what "release 2" in an answer means. */
int store_run_item_at(struct store *s, struct uuid id, int64_t place, struct store_key *out, struct err *e);

struct store_run_sums {
    int64_t waiting, failed, oldest_us; /* failed: of the last day; oldest_us 0: none waits */
};
int store_run_sums(struct store *s, int64_t now_us, struct store_run_sums *out, struct err *e);
int store_run_trim(struct store *s, int64_t now_us, struct err *e);

#endif
