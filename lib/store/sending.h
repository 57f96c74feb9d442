/* lib/store/sending.h - what people may send, who may not send any more, and what was counted.
 *
 * Limits   of a sender (by the mailbox whose address the login is, else the login's domain, else global), and of a domain as a whole.
 *          A field that is not set inherits; built in there is no limit, and block_after 20.
 * Blocks   by login, as the MTA says it; lower case. A block that has run out is as good as none.
 * Counters in the log database, added up by whoever counts: several nodes may. */
#ifndef POSTERN_STORE_SENDING_H
#define POSTERN_STORE_SENDING_H

#include "store/store.h"

#define SENDING_LOGIN_MAX 320
#define SENDING_REASON_MAX 500
#define SENDING_EVIDENCE_MAX 16384
#define SENDING_BLOCK_AFTER 20
#define SENDING_LIMIT_MAX 1000000000

enum sending_limit_key {
    LIMIT_MESSAGES_HOUR,
    LIMIT_MESSAGES_DAY,
    LIMIT_RECIPIENTS_HOUR,
    LIMIT_RECIPIENTS_DAY,
    LIMIT_BLOCK_AFTER, /* messages beyond a limit within an hour until the sender is blocked; 0: never */
    LIMIT_KEYS,
};
extern const char *const sending_limit_words[]; /* "messages_hour", …, NULL */

/* -1: not set, inherits; 0: no limit. */
struct store_limit {
    int64_t of[LIMIT_KEYS];
};
#define STORE_LIMIT_NONE ((struct store_limit){{-1, -1, -1, -1, -1}})
/* What is set in `own`, over what is set in `base`. */
struct store_limit store_limit_over(struct store_limit base, const struct store_limit *own);

/* whole: of a domain's senders together, else of each sender in the scope. */
int store_limit_get(struct store *s, struct store_scope scope, bool whole, struct store_limit *out, struct err *e);
/* Replaces the row. Limits are the operator's to set: ERR_DENIED for others. */
int store_limit_set(struct store *s, const struct actor *by, struct store_scope scope, bool whole,
                    const struct store_limit *to, struct err *e);
/* name: "", the domain, or the mailbox's address. */
typedef int (*store_limit_fn)(void *ctx, struct store_scope scope, struct span name, bool whole,
                              const struct store_limit *limit);
int store_limit_list(struct store *s, store_limit_fn fn, void *ctx, struct err *e);

struct store_blocked {
    struct span login, reason;
    struct span evidence;   /* a JSON object */
    struct span blocked_by; /* filled by lists: who */
    bool        automatic;
    int64_t     at_us, until_us; /* until_us 0: until somebody unblocks */
};
typedef int (*store_blocked_fn)(void *ctx, const struct store_blocked *b);

/* Blocks (a second time: with the new reason). The login is put in lower case. */
int store_blocked_put(struct store *s, const struct actor *by, const struct store_blocked *b, struct err *e);
/* Who is no admin may lift what was blocked automatically, and nothing that somebody decided: ERR_DENIED. That it is a sender of theirs
 * is for the caller to see to. */
int store_blocked_delete(struct store *s, const struct actor *by, struct span login, struct err *e);
/* In order of logins, those after `after` (SPAN_NONE: from the start); those that have run out at now_us are left out. */
int store_blocked_list(struct store *s, int64_t now_us, struct span after, size_t limit, store_blocked_fn fn, void *ctx,
                       struct err *e);

/* "sent.messages.hour" and so on, of "user:anna@ours.example" or "domain:ours.example". */
struct store_counter {
    struct span name, subject;
    int64_t     slot_us; /* where its hour or day begins, UTC */
    int64_t     value;
};
typedef int (*store_counter_fn)(void *ctx, const struct store_counter *c);
/* Adds values, in one transaction; totals_out[i] is what it then is, others' adding included. */
int store_counters_add(struct store *s, const struct store_counter *rows, size_t n, int64_t *totals_out, struct err *e);
/* All of a slot. */
int store_counters_of(struct store *s, int64_t slot_us, store_counter_fn fn, void *ctx, struct err *e);
/* One subject's, newest first. */
int store_counters_list(struct store *s, struct span subject, int64_t since_us, store_counter_fn fn, void *ctx,
                        struct err *e);
int store_counters_trim(struct store *s, int64_t before_us, struct err *e);

#endif
