/* lib/store/idempotency.c - see idempotency.h. The row without a status is somebody's at work. */
#include "store/idempotency.h"

#include "store/row.h"

static const char take_sql[] = "INSERT INTO idempotency (owner_id, key, request_sha256, status, response, created_us)"
                               " VALUES ($1, $2, $3, NULL, NULL, $4)"
                               " ON CONFLICT (owner_id, key) DO UPDATE SET request_sha256 = $3, status = NULL,"
                               " response = NULL, created_us = $4 WHERE idempotency.created_us < $5 OR"
                               " (idempotency.status IS NULL AND idempotency.created_us < $6)";
static const char get_sql[] = "SELECT request_sha256, status, response FROM idempotency"
                              " WHERE owner_id = $1 AND key = $2";
static const char end_sql[] = "UPDATE idempotency SET status = $3, response = $4 WHERE owner_id = $1 AND key = $2";
static const char drop_sql[] = "DELETE FROM idempotency WHERE owner_id = $1 AND key = $2";
static const char trim_sql[] = "DELETE FROM idempotency WHERE created_us < $1";

int store_idempotency_begin(struct store *s, const struct uuid *owner, struct span key, const uint8_t sha256[32],
                            int64_t now_us, struct arena *a, enum idempotency *out, int *status_out,
                            struct span *reply_out, struct err *e)
{
    const struct db_val take[] = {dbv_uuid(owner),
                                  dbv_text(key),
                                  dbv_bytes(sha256, 32),
                                  dbv_i64(now_us),
                                  dbv_i64(now_us - IDEMPOTENCY_KEEP_US),
                                  dbv_i64(now_us - IDEMPOTENCY_LEASE_US)};
    struct db_rows     *r = NULL;
    int64_t             changed = 0;
    int                 rc;

    if (check_text(key, 1, IDEMPOTENCY_KEY_MAX, "the Idempotency-Key", e) < 0 ||
        db_run(s->main, take_sql, take, COUNT(take), &changed, e) < 0)
        return -1;
    *out = IDEMPOTENT_NEW;
    if (changed > 0)
        return 0;
    if ((rc = row_first(s->main, get_sql, take, 2, &r, e)) <= 0)
        return no_such(rc, e, "request under this Idempotency-Key");
    *out = IDEMPOTENT_KNOWN;
    if (!span_eq(db_text(r, 0), span_make(sha256, 32)))
        *out = IDEMPOTENT_OTHER;
    else if (db_is_null(r, 1))
        *out = IDEMPOTENT_WORKING;
    *status_out = (int)db_i64(r, 1);
    *reply_out = arena_dup(a, db_text(r, 2));
    db_rows_free(&r);
    return 0;
}

int store_idempotency_end(struct store *s, const struct uuid *owner, struct span key, int status, struct span reply,
                          struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(owner), dbv_text(key), dbv_i64(status), dbv_text(reply)};

    return db_run(s->main, end_sql, vals, COUNT(vals), NULL, e);
}

int store_idempotency_drop(struct store *s, const struct uuid *owner, struct span key, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(owner), dbv_text(key)};

    return db_run(s->main, drop_sql, vals, COUNT(vals), NULL, e);
}

int store_idempotency_trim(struct store *s, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us - IDEMPOTENCY_KEEP_US)};

    return db_run(s->main, trim_sql, vals, COUNT(vals), NULL, e);
}
