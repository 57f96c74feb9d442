/* lib/store/log_row.c - reading deliveries of the log. */
#include "store/log_row.h"

#include "store/day.h"
#include "store/kept.h"

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
        .attached = db_i64(r, 24) != 0,
        .has_mailbox = !db_is_null(r, 25),
        .mailbox = col_uuid(r, 25),
    };
    if (!uuid_parse(db_text(r, 0), &out->key.uid) || !read_words(r, out))
        return err_set(e, ERR_CORRUPT, "a delivery in the log has words that this release does not know");
    return 0;
}

/* ---- Rows of keys -------------------------------------------------------------------------------------------------- */

#define HELD_COLUMNS                                                                                                   \
    ", COALESCE(c.keep_us, 0), COALESCE(c.bytes, 0),"                                                                  \
    " CAST(CASE WHEN c.place <> 'gone' AND c.copy = 0 THEN 1 ELSE 0 END AS BIGINT)"
#define ONE_LITE(symbols)                                                                                              \
    "SELECT " LOG_ROW_LITE symbols HELD_COLUMNS                                                                        \
    " FROM delivery d JOIN message m ON m.uid = d.uid LEFT JOIN custody c ON c.uid = d.uid"                            \
    " WHERE d.uid = $1 AND d.n = $2"
static const char one_lite_sql[] = ONE_LITE(""), one_closer_lite_sql[] = ONE_LITE(", m.symbols");
/* PostgreSQL: those of one day from the day's partitions, and what is done with them. $1, $2: the lists of UIDs and n of all days;
 * $3: of each day the first and the last of its elements. So the text is the same as long as the days are; and since the planner does
 * not see through the inner SELECTs how long the lists are, it finds that it need not plan anew for each. */
#define BOUNDS "(CAST(string_to_array($3, ',') AS INTEGER[]))"
#define OF_THE_DAY "[" BOUNDS "[%2$zu]:" BOUNDS "[%3$zu]]"
static const char day_pg_format[] = "SELECT " LOG_ROW_(
    "(SELECT b.mailbox_id FROM delivery_mailbox_%1$lld b WHERE b.uid = d.uid AND b.n = d.n LIMIT 1) "
    "AS mailbox_id") "%4$s FROM unnest((SELECT (string_to_array($1, ','))" OF_THE_DAY "), "
                     "(SELECT (CAST(string_to_array($2, ',') AS BIGINT[]))" OF_THE_DAY "))"
                     " k(uid, n) JOIN delivery_%1$lld d ON d.uid = k.uid AND d.n = k.n JOIN "
                     "message_%1$lld m ON m.uid = k.uid";
static const char days_begin_sql[] = "SELECT r.*" HELD_COLUMNS " FROM (";
static const char days_end_sql[] = ") r LEFT JOIN custody c ON c.uid = r.uid ORDER BY r.uid DESC, r.n DESC";

#define DAYS_AT_ONCE 32
#define DAYS_SQL_MAX (64u << 10)

/* Who wants what of which rows. */
struct wish {
    struct store *s;
    bool          closer;
    log_row_fn    fn;
    void         *ctx;
};

static int yield(const struct wish *w, struct db_rows *r, struct err *e)
{
    const int           at = LOG_ROW_COLUMNS + w->closer; /* what is held stands behind the symbols */
    struct store_row    row;
    struct log_row_held held;
    int                 rc;

    while ((rc = db_next(r, e)) > 0) {
        if (log_row_read(r, &row, e) < 0)
            return -1;
        held = (struct log_row_held){db_i64(r, at), db_i64(r, at + 1), db_i64(r, at + 2) != 0,
                                     w->closer ? db_text(r, LOG_ROW_COLUMNS) : SPAN_NONE};
        if (w->fn(w->ctx, &row, &held) != 0)
            return 1;
    }
    return rc;
}

static int ask(const struct wish *w, const char *sql, const struct db_val *vals, size_t n, struct err *e)
{
    struct db_rows *r;
    int             rc;

    if (db_query(w->s->log, sql, vals, n, &r, e) < 0)
        return -1;
    rc = yield(w, r, e);
    db_rows_free(&r);
    return rc;
}

static int one_by_one(const struct wish *w, const struct store_key *keys, size_t n, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        struct day_uid uid = day_uid_text(&keys[i].uid);

        rc = ask(w, w->closer ? one_closer_lite_sql : one_lite_sql,
                 (struct db_val[]){dbv_str(uid.text), dbv_i64(keys[i].n)}, 2, e);
    }
    return rc;
}

/* The keys that one statement is about, and which day's partitions they are in. */
struct day_keys {
    const struct store_key *keys;
    size_t                  n;
    struct {
        int64_t day;
        size_t  first, last; /* counted from 1 */
    } days[DAYS_AT_ONCE];
    size_t ndays;
};

static bool is_among(int64_t day, const int64_t *days, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (days[i] == day)
            return true;
    return false;
}

/* As many keys as lie in DAYS_AT_ONCE days. A day without tables has no rows any more. */
static int find_days(struct store *s, struct day_keys *k, const struct store_key *keys, size_t n, struct err *e)
{
    int64_t there[DAYS_AT_ONCE], newest = day_of_uid(&keys[0].uid), oldest = newest - DAYS_AT_ONCE + 1;
    size_t  nthere, end;

    *k = (struct day_keys){.keys = keys};
    if (day_list(s, oldest, newest, true, there, DAYS_AT_ONCE, &nthere, e) < 0)
        return -1;
    for (; k->n < n && day_of_uid(&keys[k->n].uid) >= oldest; k->n = end) {
        int64_t day = day_of_uid(&keys[k->n].uid);

        for (end = k->n + 1; end < n && day_of_uid(&keys[end].uid) == day;)
            end++;
        if (!is_among(day, there, nthere))
            continue;
        k->days[k->ndays].day = day;
        k->days[k->ndays].first = k->n + 1;
        k->days[k->ndays++].last = end;
    }
    return 0;
}

static int ask_days(const struct wish *w, const struct day_keys *k, struct err *e)
{
    struct buf uids, numbers, bounds, sql;
    int        rc;

    buf_init(&uids, k->n * (UUID_TEXT + 1));
    buf_init(&numbers, k->n * 21);
    buf_init(&bounds, DAYS_AT_ONCE * 42);
    buf_init(&sql, DAYS_SQL_MAX);
    for (size_t i = 0; i < k->n; i++) {
        struct day_uid uid = day_uid_text(&k->keys[i].uid);

        buf_printf(&uids, "%s%s", i ? "," : "", uid.text);
        buf_printf(&numbers, "%s%lld", i ? "," : "", (long long)k->keys[i].n);
    }
    buf_puts(&sql, days_begin_sql);
    for (size_t i = 0; i < k->ndays; i++) {
        buf_puts(&sql, i > 0 ? " UNION ALL " : "");
        buf_printf(&sql, day_pg_format, (long long)k->days[i].day, 2 * i + 1, 2 * i + 2,
                   w->closer ? ", m.symbols" : "");
        buf_printf(&bounds, "%s%zu,%zu", i ? "," : "", k->days[i].first, k->days[i].last);
    }
    buf_puts(&sql, days_end_sql);
    if (sql.failed)
        panic("rows of %zu days need a statement of over %d bytes", k->ndays, DAYS_SQL_MAX);
    rc = ask(w, kept_text(w->s, buf_span(&sql)),
             (struct db_val[]){dbv_text(buf_span(&uids)), dbv_text(buf_span(&numbers)), dbv_text(buf_span(&bounds))}, 3,
             e);
    buf_fini(&uids);
    buf_fini(&numbers);
    buf_fini(&bounds);
    buf_fini(&sql);
    return rc;
}

static int by_days(const struct wish *w, const struct store_key *keys, size_t n, struct err *e)
{
    struct day_keys k;
    int             rc = 0;

    for (size_t at = 0; at < n && rc == 0; at += k.n) {
        if (find_days(w->s, &k, keys + at, n - at, e) < 0)
            return -1;
        if (k.ndays > 0)
            rc = ask_days(w, &k, e);
    }
    return rc;
}

static int rows_of(const struct wish *w, const struct store_key *keys, size_t n, struct err *e)
{
    return (db_kind(w->s->log) == DB_SQLITE ? one_by_one : by_days)(w, keys, n, e);
}

int log_rows(struct store *s, const struct store_key *keys, size_t n, log_row_fn fn, void *ctx, struct err *e)
{
    return rows_of(&(struct wish){s, false, fn, ctx}, keys, n, e);
}

int log_rows_closer(struct store *s, const struct store_key *keys, size_t n, log_row_fn fn, void *ctx, struct err *e)
{
    return rows_of(&(struct wish){s, true, fn, ctx}, keys, n, e);
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
