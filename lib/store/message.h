/* lib/store/message.h - the message log: what was judged, for whom, and what became of it (design.md 2.6, 9).
 *
 * Rows     `message` (one a scan), `delivery` (one a recipient), `delivery_mailbox` (who sees it), `attempt`, `custody`. All in the
 *          log database; nothing refers to the main one but by ids that may be gone.
 * Once     A UID that is there already is left alone: writing a record twice (a replay after a crash, a repeated scan) changes nothing,
 *          but that what is kept by the second gets its custody row.
 * Record   struct store_message is also the head of a file in custody (vault/vault.h), as JSON: rows can be made from it again. */
#ifndef POSTERN_STORE_MESSAGE_H
#define POSTERN_STORE_MESSAGE_H

#include "rules/evaluate.h"
#include "store/store.h"

#define STORE_DELIVERIES_MAX 10000 /* of one message */

enum delivery_verdict {
    DELIVERY_ALLOWED,
    DELIVERY_CLEAN,
    DELIVERY_TAGGED,
    DELIVERY_QUARANTINED,
    DELIVERY_BLOCKED, /* by a rule, and refused or discarded */
    DELIVERY_REJECTED,
    DELIVERY_DEFERRED,
    DELIVERY_DISCARDED,
    DELIVERY_REMOVED, /* blocked, but others accepted: dropped from the message, a copy kept */
};
enum delivery_state {
    STATE_UNKNOWN,
    STATE_RECEIVED,
    STATE_QUEUED,
    STATE_DEFERRED,
    STATE_DELIVERED,
    STATE_BOUNCED,
    STATE_RELEASED,
};
enum delivery_status {
    STATUS_RECEIVED,
    STATUS_QUEUED,
    STATUS_DELIVERED,
    STATUS_SPAM,
    STATUS_QUARANTINED,
    STATUS_BLOCKED,
    STATUS_REJECTED,
};
extern const char *const delivery_verdict_words[], *const delivery_state_words[], *const delivery_status_words[];
extern const char *const direction_words[]; /* "inbound", "outbound", "local", NULL */
/* The one function that derives it. by_rule: a rule decided (discarded by a rule shows as blocked, by score as spam). */
enum delivery_status delivery_status(enum delivery_verdict verdict, enum delivery_state state, bool by_rule);
/* It was held, and was let go; by now it may be anywhere on its way. */
bool delivery_was_released(enum delivery_verdict verdict, enum delivery_state state);

/* Times are wall clock; texts are UTF-8 without control characters (who fills the record cleans them), cut at what their column
 * is for. */
struct store_delivery {
    struct span           recipient; /* as given, before tags and aliases */
    bool                  has_domain, has_mailbox, has_score, has_rule;
    struct uuid           domain, mailbox, rule;
    enum delivery_verdict verdict;
    enum delivery_state   state;
    double                score; /* with what a rule added or took away */
    struct span           layer; /* of the rule that decided */
    struct span           trace; /* JSON array, as `postern explain --json` has it in "matches" */
};
struct store_message {
    struct uuid                  uid;
    int64_t                      at_us;
    enum direction               direction;
    struct span                  listener, queue_id, ip, helo, host, tls, auth_user;
    struct span                  sender; /* of the envelope; "": the null sender */
    struct span                  from_address, from_name, subject, message_id;
    int64_t                      size;
    bool                         has_score;
    double                       score;       /* the scanner's */
    struct span                  symbols;     /* JSON array: {"name","score","options":[…]} */
    struct span                  attachments; /* JSON array: {"name","type","size"} */
    struct span                  inbound;     /* what the sender was told: "250", "554 5.7.1 Blocked …" */
    const struct store_delivery *deliveries;
    size_t                       ndeliveries;

    /* custody; kept == false: there is none */
    bool        kept;
    bool        copy;    /* kept to learn from, of a message that was delivered: no harm when it goes */
    int64_t     keep_us; /* until when */
    uint64_t    kept_bytes;
    struct span sha256, key_id;

    /* a listener that only observes: what we would have done, and what the filter did (store/observe.h) */
    bool        observed;
    struct span ours, theirs;
};

/* One delivery as lists show it. */
struct store_key {
    struct uuid uid;
    int64_t     n; /* counts the recipients of a message from 1 */
};
struct store_row {
    struct store_key key;
    int64_t          at_us, size, updated_us;
    enum direction   direction;
    struct span queue_id, ip, host, sender, from_address, from_name, subject, message_id, inbound, recipient, layer;
    bool        has_domain, has_mailbox, has_score, has_rule;
    struct uuid domain, mailbox, rule;
    enum delivery_verdict verdict;
    enum delivery_state   state;
    enum delivery_status  status;
    double                score;
    struct span           answer;   /* to the last attempt */
    bool                  attached; /* it has attachments */
};
typedef int (*store_row_fn)(void *ctx, const struct store_row *r);

/* Writes all of them, rows of every table, in one transaction. */
int store_message_put(struct store *s, const struct store_message *const *records, size_t n, struct err *e);

/* A copy of the record. room: store_message_room() bytes, as malloc() aligns them, for all that it points to. */
size_t store_message_room(const struct store_message *m);
void   store_message_copy(const struct store_message *m, void *room, struct store_message *out);

/* The record as JSON, and back. Spans of what is read live in `a`. Bounded: STORE_DELIVERIES_MAX. */
void store_message_put_json(struct buf *out, const struct store_message *m);
int  store_message_read_json(struct span json, struct arena *a, struct store_message *out, struct err *e);

/* Forgets the days (since 1970, UTC) before `day`, the oldest first, in steps that let other writers in between: whole
 * partitions on PostgreSQL, 1,000 rows a transaction on SQLite. Makes tomorrow's partitions too. Custody that still holds something
 * keeps its rows. stop (may be NULL) is asked between two steps. */
struct store_trim {
    int64_t days, rows; /* that went */
};
int store_message_trim(struct store *s, int64_t day, bool (*stop)(void *ctx), void *ctx, struct store_trim *done,
                       struct err *e);

/* Puts the days before `day` in order, so that a search of them costs little: what was written bit by bit is put together (SQLite), or
 * is vacuumed and, but for the last one, sorted (PostgreSQL). In steps that let other writers in between; what is in order already costs
 * nothing. */
int store_message_pack(struct store *s, int64_t day, bool (*stop)(void *ctx), void *ctx, struct err *e);

#endif
