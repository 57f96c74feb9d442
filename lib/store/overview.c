/* lib/store/overview.c - see overview.h. Counts go by UIDs, which are times. */
#include "store/overview.h"

#include "store/day.h"
#include "store/row.h"

#define HOUR_US (3600 * INT64_C(1000000))

static const char messages_sql[] = "SELECT COUNT(*) FROM message WHERE uid >= $1";
static const char last_sql[] = "SELECT at_us FROM message ORDER BY uid DESC LIMIT 1";
static const char domain_sql[] = "SELECT status, COUNT(*) FROM delivery WHERE domain_id = $1 AND uid >= $2"
                                 " GROUP BY status";
/* SQLite has the deliveries of a domain by the id that has the order of the UIDs. */
static const char domain_lite_sql[] = "SELECT status, COUNT(*) FROM delivery WHERE domain_id = $1 AND id >= $2"
                                      " GROUP BY status";
static const char mailbox_sql[] = "SELECT status, COUNT(*) FROM delivery_mailbox WHERE mailbox_id = $1 AND uid >= $2"
                                  " AND uid < $3 GROUP BY status";
static const char mailbox_lite_sql[] =
    "SELECT status, COUNT(*) FROM delivery_mailbox WHERE mailbox_id = $1 AND id >= $2"
    " AND id < $3 GROUP BY status";
#define DISCARDED " d.status = 'spam' AND d.verdict = 'discarded'"
static const char discarded_domain_sql[] =
    "SELECT COUNT(*) FROM delivery d WHERE d.domain_id = $1 AND d.uid >= $2 AND d.uid < $3 AND" DISCARDED;
static const char discarded_domain_lite_sql[] =
    "SELECT COUNT(*) FROM delivery d WHERE d.domain_id = $1 AND d.id >= $2 AND d.id < $3 AND" DISCARDED;
static const char discarded_mailbox_sql[] =
    "SELECT COUNT(*) FROM delivery_mailbox b JOIN delivery d ON d.uid = b.uid AND d.n = b.n"
    " WHERE b.mailbox_id = $1 AND b.uid >= $2 AND b.uid < $3 AND b.status = 'spam' AND" DISCARDED;
static const char discarded_mailbox_lite_sql[] =
    "SELECT COUNT(*) FROM delivery_mailbox b JOIN delivery d ON d.id = b.id"
    " WHERE b.mailbox_id = $1 AND b.id >= $2 AND b.id < $3 AND b.status = 'spam' AND" DISCARDED;
static const char domain_last_sql[] = "SELECT uid FROM delivery WHERE domain_id = $1 ORDER BY uid DESC LIMIT 1";
static const char domain_last_lite_sql[] = "SELECT uid FROM delivery WHERE domain_id = $1 ORDER BY id DESC LIMIT 1";
static const char queue_sql[] = "SELECT CAST(COALESCE(SUM(CASE WHEN uid >= $1 THEN 1 ELSE 0 END), 0) AS BIGINT),"
                                " CAST(COALESCE(SUM(CASE WHEN uid < $1 AND uid >= $2 THEN 1 ELSE 0 END), 0) AS BIGINT),"
                                " CAST(COALESCE(SUM(CASE WHEN uid < $2 AND uid >= $3 THEN 1 ELSE 0 END), 0) AS BIGINT),"
                                " CAST(COALESCE(SUM(CASE WHEN uid < $3 THEN 1 ELSE 0 END), 0) AS BIGINT),"
                                " MIN(CASE WHEN uid >= $3 THEN uid END)"
                                " FROM delivery WHERE state IN ('queued', 'deferred') AND ($4 = 0 OR domain_id = $5)";
static const char followed_sql[] = "SELECT COUNT(*) FROM follower";
static const char releases_sql[] =
    "SELECT CAST(COUNT(*) AS BIGINT), COALESCE(MIN(r.requested_us), 0) FROM release r"
    " WHERE (($1 = 0 AND r.state IN ('requested', 'sending')) OR ($1 = 1 AND r.state = 'unknown'))"
    " AND ($2 = 0 OR EXISTS (SELECT 1 FROM delivery d WHERE d.uid = r.uid AND d.n = r.n AND d.domain_id = $3))";
static const char asked_sql[] = "SELECT CAST(COUNT(*) AS BIGINT), COALESCE(MIN(asked_us), 0) FROM release_request"
                                " WHERE state = 'waiting' AND ($1 = 0 OR domain_id = $2)";
static const char kept_sql[] = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT), COALESCE(MIN(at_us), 0) FROM custody"
                               " WHERE uid >= $1";

static struct day_uid uid_at(int64_t us)
{
    struct uuid u = day_uid_at(us / 1000);

    return day_uid_text(&u);
}

int store_overview_messages(struct store *s, int64_t since_us, int64_t *n_out, struct err *e)
{
    struct day_uid since = uid_at(since_us);

    *n_out = 0;
    return row_i64(s->log, messages_sql, (struct db_val[]){dbv_str(since.text)}, 1, n_out, e) < 0 ? -1 : 0;
}

int store_overview_last(struct store *s, int64_t *at_us_out, struct err *e)
{
    *at_us_out = 0;
    return row_i64(s->log, last_sql, NULL, 0, at_us_out, e) < 0 ? -1 : 0;
}

static int each_status(void *ctx, struct db_rows *r)
{
    int64_t *by_status = ctx;
    int      status = col_word(r, 0, delivery_status_words);

    if (status >= 0)
        by_status[status] = db_i64(r, 1);
    return 0;
}

int store_overview_domain(struct store *s, struct uuid domain, int64_t since_us, int64_t by_status[DELIVERY_STATUSES],
                          int64_t *last_us_out, struct err *e)
{
    bool                lite = db_kind(s->log) == DB_SQLITE;
    struct day_uid      since = uid_at(since_us);
    const struct db_val vals[] = {dbv_uuid(&domain), lite ? dbv_i64(day_id_at(since_us / 1000)) : dbv_str(since.text)};
    struct db_rows     *r;
    struct uuid         uid;
    int                 rc;

    memset(by_status, 0, DELIVERY_STATUSES * sizeof *by_status);
    *last_us_out = 0;
    if (row_each(s->log, lite ? domain_lite_sql : domain_sql, vals, 2, each_status, by_status, e) < 0 ||
        (rc = row_first(s->log, lite ? domain_last_lite_sql : domain_last_sql, vals, 1, &r, e)) < 0)
        return -1;
    if (rc > 0) {
        if (uuid_parse(db_text(r, 0), &uid))
            *last_us_out = day_uid_ms(&uid) * 1000;
        db_rows_free(&r);
    }
    return 0;
}

int store_overview_mailbox(struct store *s, struct uuid mailbox, int64_t since_us, int64_t until_us,
                           int64_t by_status[DELIVERY_STATUSES], struct err *e)
{
    bool                lite = db_kind(s->log) == DB_SQLITE;
    struct day_uid      since = uid_at(since_us), until = uid_at(until_us);
    const struct db_val vals[] = {dbv_uuid(&mailbox), lite ? dbv_i64(day_id_at(since_us / 1000)) : dbv_str(since.text),
                                  lite ? dbv_i64(day_id_at(until_us / 1000)) : dbv_str(until.text)};

    memset(by_status, 0, DELIVERY_STATUSES * sizeof *by_status);
    return row_each(s->log, lite ? mailbox_lite_sql : mailbox_sql, vals, 3, each_status, by_status, e) < 0 ? -1 : 0;
}

int store_overview_discarded(struct store *s, struct store_scope scope, int64_t since_us, int64_t until_us,
                             int64_t *n_out, struct err *e)
{
    static const char *const sql[2][2] = {{discarded_domain_sql, discarded_domain_lite_sql},
                                          {discarded_mailbox_sql, discarded_mailbox_lite_sql}};
    bool                     lite = db_kind(s->log) == DB_SQLITE;
    struct day_uid           since = uid_at(since_us), until = uid_at(until_us);
    const struct db_val vals[] = {dbv_uuid(&scope.id), lite ? dbv_i64(day_id_at(since_us / 1000)) : dbv_str(since.text),
                                  lite ? dbv_i64(day_id_at(until_us / 1000)) : dbv_str(until.text)};

    *n_out = 0;
    return row_i64(s->log, sql[scope.kind == SCOPE_MAILBOX][lite], vals, COUNT(vals), n_out, e) < 0 ? -1 : 0;
}

int store_overview_queue(struct store *s, const struct uuid *domain, int64_t now_us, struct store_overview_queue *out,
                         struct err *e)
{
    struct day_uid hour = uid_at(now_us - HOUR_US), day = uid_at(now_us - DAY_US),
                   days = uid_at(now_us - QUEUE_DAYS_US);
    const struct db_val vals[] = {dbv_str(hour.text), dbv_str(day.text), dbv_str(days.text), dbv_bool(domain != NULL),
                                  dbv_uuid(domain != NULL ? domain : &uuid_zero)};
    struct db_rows     *r;
    struct uuid         oldest;
    int64_t             logs = 0;

    *out = (struct store_overview_queue){0};
    if (row_first(s->log, queue_sql, vals, COUNT(vals), &r, e) < 0)
        return -1;
    out->hour = db_i64(r, 0);
    out->day = db_i64(r, 1);
    out->days = db_i64(r, 2);
    out->older = db_i64(r, 3);
    if (!db_is_null(r, 4) && uuid_parse(db_text(r, 4), &oldest))
        out->oldest_us = day_uid_ms(&oldest) * 1000;
    db_rows_free(&r);
    if (row_i64(s->log, followed_sql, NULL, 0, &logs, e) < 0)
        return -1;
    out->followed = logs > 0;
    return 0;
}

static int waiting(struct store *s, const char *sql, const struct db_val *vals, size_t n,
                   struct store_overview_waiting *out, struct err *e)
{
    struct db_rows *r;

    if (row_first(s->log, sql, vals, n, &r, e) < 0)
        return -1;
    *out = (struct store_overview_waiting){db_i64(r, 0), db_i64(r, 1)};
    db_rows_free(&r);
    return 0;
}

int store_overview_releases(struct store *s, const struct uuid *domain, struct store_overview_releases *out,
                            struct err *e)
{
    struct db_val vals[] = {dbv_i64(0), dbv_bool(domain != NULL), dbv_uuid(domain != NULL ? domain : &uuid_zero)};

    if (waiting(s, releases_sql, vals, 3, &out->open, e) < 0 || waiting(s, asked_sql, vals + 1, 2, &out->asked, e) < 0)
        return -1;
    vals[0] = dbv_i64(1);
    return waiting(s, releases_sql, vals, 3, &out->unknown, e);
}

int store_overview_kept(struct store *s, int64_t since_us, int64_t *bytes_out, int64_t *first_us_out, struct err *e)
{
    struct day_uid  since = uid_at(since_us);
    struct db_rows *r;

    if (row_first(s->log, kept_sql, (struct db_val[]){dbv_str(since.text)}, 1, &r, e) < 0)
        return -1;
    *bytes_out = db_i64(r, 0);
    *first_us_out = db_i64(r, 1);
    db_rows_free(&r);
    return 0;
}
