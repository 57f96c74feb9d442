/* lib/letter/content.h - what one digest tells: which deliveries, in which groups, with what reason, and the numbers above them.
 *
 * New      every delivery of the last DIGEST_LOOK_US (the first digest: DIGEST_FIRST_US) of the wanted statuses that no digest of this
 *          subscription has listed, except those younger than DIGEST_YOUNG_US, whose neighbours may still be on their way to the log.
 *          By what was listed, not by a mark in time: a row that was written late is in the next digest. What came behind the end of
 *          the window is for the next as well.
 * Old      a digest that was begun is read again from its items: what has been released, deleted or forgotten since is shown so. */
#ifndef POSTERN_LETTER_CONTENT_H
#define POSTERN_LETTER_CONTENT_H

#include "base/conf.h"
#include "store/digest.h"
#include "store/digest_run.h"

#define DIGEST_LOOK_US (7 * 86400 * INT64_C(1000000))
#define DIGEST_FIRST_US (86400 * INT64_C(1000000))
#define DIGEST_YOUNG_US (5 * INT64_C(1000000))
#define DIGEST_SHOWN 50  /* items with a line of their own */
#define DIGEST_SENDERS 5 /* of those blocked by rules, the most frequent */
#define DIGEST_RECIPIENTS 10

enum digest_group { GROUP_PROBABLY_FINE, GROUP_PROBABLY_SPAM, GROUP_BLOCKED, DIGEST_GROUPS };
enum digest_reason {
    REASON_SCORE,      /* held, or tagged, by its score */
    REASON_YOUR_RULE,  /* a rule of the mailbox, or a learned sender */
    REASON_SITE_RULE,  /* one of the domain or the operator */
    REASON_ATTACHMENT, /* a protected finding: the file type, … */
    REASON_VIRUS,
};
struct digest_item {
    struct store_key     key;
    int64_t              place; /* 0 and less: in a count alone, as struct store_run_item has it */
    enum digest_group    group;
    enum digest_reason   reason;
    enum delivery_status status; /* of now */
    enum delivery_state  state;
    bool        can_release; /* held still, and a user may release it: the reason is none that others decide about */
    bool        marked;      /* it was let pass, marked as spam; else it was kept from them */
    bool        gone;        /* what it was about is in the log no more */
    int64_t     at_us, size;
    double      score, threshold; /* the limit that it has reached; NAN: that did not hold or mark it */
    struct span from_name, from_address, envelope_sender, subject, recipient;
};
struct digest_count {
    struct span address;
    int64_t     n;
};
struct digest_content {
    int64_t since_us, until_us;
    int64_t quarantined, blocked,
        delivered;                   /* in that time; what was marked was delivered, what was discarded is held */
    const struct digest_item *items; /* those with a place, in order of groups and in them; then the others */
    size_t                    nitems, shown;
    size_t                    marked; /* of those that are no block's: marked. The others were held */
    size_t                    of_group[DIGEST_GROUPS];
    struct digest_count       blocked_by[DIGEST_SENDERS], recipients[DIGEST_RECIPIENTS]; /* the latter of a domain */
    size_t                    nblocked_by, nrecipients;
    bool                      more; /* over RUN_ITEMS_MAX: the rest is for the next */
};
struct digest_look {
    struct store           *store;
    const struct conf_list *scanner;           /* [rulesd] scanner */
    const struct conf_list *protected_symbols; /* [rules] protected_symbols */
};
/* Everything in `a`. */
int digest_content_new(const struct digest_look *l, const struct store_digest *d, int64_t now_us, struct arena *a,
                       struct digest_content *out, struct err *e);
int digest_content_of(const struct digest_look *l, const struct store_digest *d, const struct store_run *r,
                      struct arena *a, struct digest_content *out, struct err *e);

/* One delivery as such a digest would show it now, with a place; `gone` where it is none of the subscription's, or in the log no more. */
int digest_content_one(const struct digest_look *l, const struct store_digest *d, const struct store_key *key,
                       struct arena *a, struct digest_item *out, struct err *e);

/* What store_run_begin() needs, in `a`: 1; 0: nothing is new (and no quiet week is over); -1. until_us: the end of the window, unique of
 * the subscription. */
int digest_plan(const struct digest_look *l, const struct store_digest *d, int64_t until_us, int64_t now_us,
                struct arena *a, struct store_run_plan *out, struct err *e);
/* Begins a single one: 1 and its id; 0: nothing is new, or it was begun already; -1. */
int digest_begin(const struct digest_look *l, const struct store_digest *d, int64_t until_us, int64_t now_us,
                 struct arena *a, struct uuid *id_out, struct err *e);

#endif
