/* lib/store/log_row.c - reading deliveries of the log. */
#include "store/log_row.h"

#include "store/day.h"

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

/* ---- Rows of keys -------------------------------------------------------------------------------------------------- */

#define FROM_CUSTODY ", COALESCE(c.keep_us, 0), COALESCE(c.bytes, 0) FROM "
static const char one_lite_sql[] = "SELECT " LOG_ROW_LITE FROM_CUSTODY
                                   "delivery d JOIN message m ON m.uid = d.uid LEFT JOIN custody c ON c.uid = d.uid"
                                   " WHERE d.uid = $1 AND d.n = $2";
/* The list of UIDs stands at every table that has partitions. */
#define IN_LIST(table) table ".uid = ANY(string_to_array($1, ','))"
static const char many_pg_sql[] = "SELECT " LOG_ROW_(
    "(SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.uid = d.uid AND b.n = d.n AND " IN_LIST("b") " LIMIT 1)")
    FROM_CUSTODY
    "unnest(string_to_array($1, ','), CAST(string_to_array($2, ',') AS BIGINT[])) k(uid, n)"
    " JOIN delivery d ON d.uid = k.uid AND d.n = k.n AND " IN_LIST("d") " JOIN message m ON m.uid = k.uid AND " IN_LIST(
        "m") " LEFT JOIN custody c ON c.uid = k.uid ORDER BY d.uid DESC, d.n DESC";

static int yield(struct db_rows *r, log_row_fn fn, void *ctx, struct err *e)
{
    struct store_row    row;
    struct log_row_held held;
    int                 rc;

    while ((rc = db_next(r, e)) > 0) {
        if (log_row_read(r, &row, e) < 0)
            return -1;
        held = (struct log_row_held){db_i64(r, LOG_ROW_COLUMNS), db_i64(r, LOG_ROW_COLUMNS + 1)};
        if (fn(ctx, &row, &held) != 0)
            return 1;
    }
    return rc;
}

static int ask(struct store *s, const char *sql, const struct db_val *vals, size_t n, log_row_fn fn, void *ctx,
               struct err *e)
{
    struct db_rows *r;
    int             rc;

    if (db_query(s->log, sql, vals, n, &r, e) < 0)
        return -1;
    rc = yield(r, fn, ctx, e);
    db_rows_free(&r);
    return rc;
}

static int one_by_one(struct store *s, const struct store_key *keys, size_t n, log_row_fn fn, void *ctx, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct day_uid uid = day_uid_text(&keys[i].uid);

        rc = ask(s, one_lite_sql, (struct db_val[]){dbv_str(uid.text), dbv_i64(keys[i].n)}, 2, fn, ctx, e);
    }
    return rc;
}

int log_rows(struct store *s, const struct store_key *keys, size_t n, log_row_fn fn, void *ctx, struct err *e)
{
    struct buf uids, numbers;
    int        rc;

    if (db_kind(s->log) == DB_SQLITE || n == 0)
        return one_by_one(s, keys, n, fn, ctx, e);
    buf_init(&uids, n * (UUID_TEXT + 1));
    buf_init(&numbers, n * 21);
    for (size_t i = 0; i < n; i++) {
        struct day_uid uid = day_uid_text(&keys[i].uid);

        buf_printf(&uids, "%s%s", i ? "," : "", uid.text);
        buf_printf(&numbers, "%s%lld", i ? "," : "", (long long)keys[i].n);
    }
    rc = ask(s, many_pg_sql, (struct db_val[]){dbv_text(buf_span(&uids)), dbv_text(buf_span(&numbers))}, 2, fn, ctx, e);
    db_forget(s->log, many_pg_sql); /* a plan for any list has all partitions in it */
    buf_fini(&uids);
    buf_fini(&numbers);
    return rc;
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
