/* lib/store/search.h - finding deliveries in the message log, and the timeline of one message.
 *
 * Order    The newest first: by (uid, n) descending, which is also the key that the next page begins behind.
 * Words    A text filter holds when its words stand side by side in the field; the last one, from three characters on, also as the
 *          beginning of a word. Case does not count, nor what stands between words: a@b.example is found by "b.example".
 *          Of a long text the first 32 words and 256 bytes are asked for.
 *          Texts in scripts without blanks between words are found by their beginnings only. On SQLite accents do not count either.
 * Privacy  In a mailbox's or domain's scope only its own deliveries are looked at: no filter tells of other recipients.
 * Bounded  A search that has worked for STORE_SEARCH_US stops with what it has found and the key to go on from (`more`); so does one
 *          that has `limit` rows. A page may be empty and still have more behind it. */
#ifndef POSTERN_STORE_SEARCH_H
#define POSTERN_STORE_SEARCH_H

#include "base/buf.h"
#include "store/attempt.h"
#include "store/custody.h"

#define STORE_SEARCH_US 1000000
#define STORE_WORDS_MAX 12   /* text filters of one search */
#define STORE_WITHOUT_MAX 12 /* messages, rules and domains that one search leaves out */

enum search_field {
    SEARCH_SUBJECT,
    SEARCH_FROM, /* the From header's address and name, and the envelope's sender */
    SEARCH_TO,   /* the recipient as given */
    SEARCH_MESSAGE_ID,
    SEARCH_INBOUND,  /* what the sender was told */
    SEARCH_OUTBOUND, /* what any attempt was answered, with its host */
    SEARCH_DELIVERY, /* what the last attempt was answered */
    SEARCH_ANY,      /* subject, from or to: what people type without saying where */
};
extern const char *const search_field_words[]; /* "subject", "from", "to", "message_id", …, NULL */

struct store_words {
    enum search_field field;
    struct span       text;
    bool              without; /* not these */
};
/* One to leave out. A delivery that no rule decided, or that is of no domain of ours, is not left out for one. */
enum search_id { SEARCH_UID, SEARCH_RULE, SEARCH_DOMAIN };
struct store_without {
    enum search_id of;
    struct uuid    id;
};
struct store_search {
    struct store_scope          scope;
    const struct store_words   *words; /* all have to hold; one without any letter or digit holds always */
    size_t                      nwords;
    bool                        has_uid, has_domain, has_rule;
    struct uuid                 uid, domain, rule;
    const struct store_without *without; /* none of these */
    size_t                      nwithout;
    unsigned                    statuses;           /* bits 1 << enum delivery_status; 0: any */
    unsigned                    directions;         /* bits 1 << enum direction; 0: any */
    int64_t                     since_us, until_us; /* of the message: since <= at < until; 0: open */
    bool                        has_before;
    struct store_key            before; /* the last row of the page before, or `next` */
    size_t                      limit;  /* 0: STORE_LIST_MAX */
};
struct store_search_end {
    bool             more; /* there may be more: begin behind `next` */
    struct store_key next;
    int64_t          us; /* what it took */
};
int store_search(struct store *s, const struct store_search *what, store_row_fn fn, void *ctx,
                 struct store_search_end *end, struct err *e);

/* How the database goes about the first window of a search, a line a step: for who measures. */
int store_search_plan(struct store *s, const struct store_search *what, struct buf *out, struct err *e);

/* ---- One message, from the dialogue to the mailbox's reply ---- */
struct store_attempt {
    int64_t     seq, at_us, port, code; /* port, code 0: none */
    struct span queue_id, final_recipient, host, ip, tls, dsn, response;
};
struct store_timeline_delivery {
    struct store_delivery       delivery; /* with verdict and state of now */
    int64_t                     n;
    enum delivery_status        status;
    struct span                 answer;
    int64_t                     updated_us;
    const struct store_attempt *attempts;
    size_t                      nattempts;
};
struct store_timeline {
    struct store_message                  message; /* deliveries, kept … are not filled: see below */
    struct uuid                           node;
    const struct store_timeline_delivery *deliveries; /* those that the scope may see */
    size_t                                ndeliveries;
    const struct store_queue_link        *links;
    size_t                                nlinks;
    bool                                  has_custody;
    struct store_custody                  custody;
};
/* Everything in `a`. ERR_NOT_FOUND where there is no such message, or none of its deliveries is in the scope. */
int store_timeline(struct store *s, const struct uuid *uid, struct store_scope scope, struct arena *a,
                   struct store_timeline *out, struct err *e);

/* The message alone, without its deliveries: one row. ERR_NOT_FOUND. */
int store_message_read(struct store *s, const struct uuid *uid, struct arena *a, struct store_message *out,
                       struct err *e);

/* Messages by what an administrator has in hand: a UID, a queue id (of the scan or a link) or a Message-ID (with or
 * without its brackets); the newest first. */
typedef int (*store_uid_fn)(void *ctx, const struct uuid *uid);
int store_trace(struct store *s, struct span handle, size_t limit, store_uid_fn fn, void *ctx, struct err *e);

#endif
