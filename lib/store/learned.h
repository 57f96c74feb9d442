/* lib/store/learned.h - learned senders: the entries of a mailbox that reports leave behind. */
#ifndef POSTERN_STORE_LEARNED_H
#define POSTERN_STORE_LEARNED_H

#include "store/rule.h"

#define LEARNED_KEEP_US (90 * 86400 * INT64_C(1000000)) /* without a hit */

struct store_learned {
    struct uuid      id, mailbox;
    enum rule_action action;
    struct span      sender;     /* the sender grammar of rules: an address, its stable part with *, a domain */
    struct span      proof;      /* what was proven: "dmarc", "dkim:example.org", "spf:example.org" */
    struct span      report_uid; /* the message that was reported, or empty */
    int64_t          expires_us, created_us;
};
typedef int (*store_learned_fn)(void *ctx, const struct store_learned *l);

/* Adds, or replaces the entry of that sender (its id stays). */
int store_learned_put(struct store *s, const struct actor *by, const struct store_learned *l, struct uuid *id_out,
                      struct err *e);
int store_learned_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
/* Whose entry it is. */
int store_learned_mailbox(struct store *s, struct uuid id, struct uuid *mailbox_out, struct err *e);
/* For rulesd and for lists: all of a mailbox that have not expired at `now_us`, the oldest first. */
int store_learned_load(struct store *s, struct uuid mailbox, int64_t now_us, store_learned_fn fn, void *ctx,
                       struct err *e);
/* For people: those of a scope (mailbox, domain, all), and whose they are; a page from behind `after` (NULL: from the start). */
typedef int (*store_learned_of_fn)(void *ctx, const struct store_learned *l, struct span mailbox);
int store_learned_list(struct store *s, struct store_scope scope, const struct uuid *after, int64_t now_us,
                       size_t limit, store_learned_of_fn fn, void *ctx, struct err *e);
/* Takes what has lapsed for a day out of the table, at most `limit` of it: a hit may be on its way until then. */
int store_learned_lapse(struct store *s, const struct actor *by, int64_t now_us, size_t limit, int64_t *gone_out,
                        struct err *e);
/* A hit keeps an entry alive until `expires_us`; does not move the change feed. */
int store_learned_touch(struct store *s, const struct uuid *ids, size_t n, int64_t expires_us, struct err *e);

#endif
