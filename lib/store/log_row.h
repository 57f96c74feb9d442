/* lib/store/log_row.h - reading deliveries of the log as struct store_row. For lib/store alone.
 *
 * First the keys are found, then log_rows() has the rows of these: PostgreSQL would look for each of them in every partition, unless the
 * statement itself names those of its day. */
#ifndef POSTERN_STORE_LOG_ROW_H
#define POSTERN_STORE_LOG_ROW_H

#include "store/row.h"
#include "store/search.h"

/* The columns of a delivery d and its message m on SQLite, where one statement does both; log_row_read() wants them first. */
#define LOG_ROW_(mailbox)                                                                                              \
    "d.uid, d.n, m.at_us, m.size, d.updated_us, m.direction, m.queue_id, m.ip, m.host, m.sender, m.from_address,"      \
    " m.from_name, m.subject, m.message_id, m.inbound, d.recipient, d.layer, d.domain_id, d.rule_id, d.verdict,"       \
    " d.state, d.status, d.score, d.answer, CAST(CASE WHEN m.attachments = '[]' THEN 0 ELSE 1 END AS BIGINT) AS"       \
    " attached, " mailbox
#define LOG_ROW_LITE LOG_ROW_("(SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.id = d.id LIMIT 1)")
#define LOG_ROW_COLUMNS 26

/* How a row of custody says that its object is lost, and with whose disk: "lost:mx2" is where it is. */
#define CUSTODY_LOST "lost:"
#define CUSTODY_IS_LOST "(custody.place = 'gone' AND substr(custody.object, 1, 5) = '" CUSTODY_LOST "')"

/* What is held of a message, beside its row; zeros where nothing is. */
struct log_row_held {
    int64_t     keep_us, bytes;
    bool        there;   /* no copy, and not gone */
    struct span symbols; /* of the message, where log_rows_closer() is asked */
};
/* The rows of these keys, in order of (uid, n) descending as the keys have to be; those that are gone are passed over. fn as in
 * store.h. 1: fn has stopped it, 0, -1. */
typedef int (*log_row_fn)(void *ctx, const struct store_row *row, const struct log_row_held *held);
int log_rows(struct store *s, const struct store_key *keys, size_t n, log_row_fn fn, void *ctx, struct err *e);
/* With symbols, which can be long. */
int log_rows_closer(struct store *s, const struct store_key *keys, size_t n, log_row_fn fn, void *ctx, struct err *e);

/* Spans live until the next row. -1: a word in it is none of ours. */
int log_row_read(struct db_rows *r, struct store_row *out, struct err *e);
/* The columns seq, at_us, queue_id, final_recipient, host, ip, port, tls, dsn, code, response, from `column` on. */
struct store_attempt attempt_of_row(struct db_rows *r, int column);
/* One that was kept from passing, and was not released: events move it no further. */
bool delivery_is_held(enum delivery_verdict verdict, enum delivery_state state);

#endif
