/* lib/store/log_row.c - reading deliveries of the log. */
#include "store/log_row.h"

static bool read_words(struct db_rows *r, struct store_row *out)
{
    int direction = col_word(r, 5, direction_words), verdict = col_word(r, 19, delivery_verdict_words);
    int state = col_word(r, 20, delivery_state_words), status = col_word(r, 21, delivery_status_words);

    out->direction = (enum direction)direction;
    out->verdict = (enum delivery_verdict)verdict;
    out->state = (enum delivery_state)state;
    out->status = (enum delivery_status)status;
    return direction >= 0 && verdict >= 0 && state >= 0 && status >= 0;
}

int log_row_read(struct db_rows *r, struct store_row *out, struct err *e)
{
    *out = (struct store_row){
        .key.n = db_i64(r, 1),
        .at_us = db_i64(r, 2),
        .size = db_i64(r, 3),
        .updated_us = db_i64(r, 4),
        .queue_id = db_text(r, 6),
        .ip = db_text(r, 7),
        .host = db_text(r, 8),
        .sender = db_text(r, 9),
        .from_address = db_text(r, 10),
        .from_name = db_text(r, 11),
        .subject = db_text(r, 12),
        .message_id = db_text(r, 13),
        .inbound = db_text(r, 14),
        .recipient = db_text(r, 15),
        .layer = db_text(r, 16),
        .has_domain = !db_is_null(r, 17),
        .domain = col_uuid(r, 17),
        .has_rule = !db_is_null(r, 18),
        .rule = col_uuid(r, 18),
        .has_score = !db_is_null(r, 22),
        .score = db_f64(r, 22),
        .answer = db_text(r, 23),
        .has_mailbox = !db_is_null(r, 24),
        .mailbox = col_uuid(r, 24),
    };
    if (!uuid_parse(db_text(r, 0), &out->key.uid) || !read_words(r, out))
        return err_set(e, ERR_CORRUPT, "a delivery in the log has words that this release does not know");
    return 0;
}

struct store_attempt attempt_of_row(struct db_rows *r, int column)
{
    return (struct store_attempt){
        .seq = db_i64(r, column),
        .at_us = db_i64(r, column + 1),
        .queue_id = db_text(r, column + 2),
        .final_recipient = db_text(r, column + 3),
        .host = db_text(r, column + 4),
        .ip = db_text(r, column + 5),
        .port = db_i64(r, column + 6),
        .tls = db_text(r, column + 7),
        .dsn = db_text(r, column + 8),
        .code = db_i64(r, column + 9),
        .response = db_text(r, column + 10),
    };
}
