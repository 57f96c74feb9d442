/* lib/store/log_row.h - reading deliveries of the log as struct store_row. For lib/store alone.
 *
 * A query that selects LOG_ROW_LITE or LOG_ROW_PG from a delivery d and its message m has these columns first, in this order;
 * its own may follow from LOG_ROW_COLUMNS on. On PostgreSQL $1 and $2 have to be bounds of the UIDs, $1 <= uid < $2: a table that is
 * asked without them is planned with all its partitions. */
#ifndef POSTERN_STORE_LOG_ROW_H
#define POSTERN_STORE_LOG_ROW_H

#include "store/row.h"
#include "store/search.h"

#define LOG_ROW_(mailbox)                                                                                              \
    "d.uid, d.n, m.at_us, m.size, d.updated_us, m.direction, m.queue_id, m.ip, m.host, m.sender, m.from_address,"      \
    " m.from_name, m.subject, m.message_id, m.inbound, d.recipient, d.layer, d.domain_id, d.rule_id, d.verdict,"       \
    " d.state, d.status, d.score, d.answer, " mailbox
#define LOG_ROW_LITE LOG_ROW_("(SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.id = d.id LIMIT 1)")
#define LOG_ROW_PG                                                                                                     \
    LOG_ROW_("(SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.uid = d.uid AND b.n = d.n AND b.uid >= $1 AND "     \
             "b.uid < $2 LIMIT 1)")
#define LOG_ROW_COLUMNS 25

extern const char *const direction_words[]; /* "inbound", "outbound", "local", NULL */

/* Spans live until the next row. -1: a word in it is none of ours. */
int log_row_read(struct db_rows *r, struct store_row *out, struct err *e);
/* The columns seq, at_us, queue_id, final_recipient, host, ip, port, tls, dsn, code, response, from `column` on. */
struct store_attempt attempt_of_row(struct db_rows *r, int column);
/* One that was kept from passing, and was not released: events move it no further. */
bool delivery_is_held(enum delivery_verdict verdict, enum delivery_state state);

#endif
