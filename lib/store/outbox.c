/* lib/store/outbox.c - see outbox.h. */
#include "store/outbox.h"

#include "store/row.h"

static const char put_sql[] = "INSERT INTO outbox (id, kind, idempotency_key, recipient, payload, state, next_us,"
                              " created_us, done_us) VALUES ($1, $2, $3, $4, $5, $7, $6, $6, $8)"
                              " ON CONFLICT (idempotency_key) DO NOTHING";
static const char claim_sql[] =
    "UPDATE outbox SET lease_until_us = $2, lease_by = $3, attempts = attempts + 1 WHERE id ="
    " (SELECT id FROM outbox WHERE state = 'waiting' AND next_us <= $1 AND lease_until_us <= $1"
    "  ORDER BY next_us, id LIMIT 1) AND state = 'waiting' AND lease_until_us <= $1"
    " RETURNING id, kind, idempotency_key, recipient, payload, attempts, created_us";
static const char end_sql[] = "UPDATE outbox SET state = $3, answer = $4, done_us = $5, payload = $6, lease_by = NULL"
                              " WHERE id = $1 AND lease_by = $2 AND state = 'waiting'";
static const char later_sql[] = "UPDATE outbox SET next_us = $3, answer = $4, lease_until_us = 0, lease_by = NULL"
                                " WHERE id = $1 AND lease_by = $2 AND state = 'waiting'";
static const char sums_sql[] = "SELECT CAST(COALESCE(SUM(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END), 0) AS BIGINT),"
                               " CAST(COALESCE(SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), 0) AS BIGINT),"
                               " COALESCE(MIN(CASE WHEN state = 'waiting' THEN created_us END), 0) FROM outbox";
static const char get_sql[] = "SELECT recipient, state, COALESCE(answer, ''), attempts, next_us, created_us,"
                              " COALESCE(done_us, 0) FROM outbox WHERE idempotency_key = $1 AND kind = $2";
static const char trim_sql[] = "DELETE FROM outbox WHERE state <> 'waiting' AND done_us < $1";

int store_outbox_put(struct store *s, const struct store_mail *m, int64_t now_us, bool *new_out, struct err *e)
{
    struct uuid         id = uuid7_make();
    const struct db_val vals[] = {dbv_uuid(&id),
                                  dbv_text(m->kind),
                                  dbv_text(m->key),
                                  dbv_text(m->recipient),
                                  dbv_blob(m->message),
                                  dbv_i64(now_us),
                                  dbv_str(m->nowhere ? "sent" : "waiting"),
                                  m->nowhere ? dbv_i64(now_us) : DBV_NULL};
    int64_t             changed = 0;

    if (m->message.n > OUTBOX_MESSAGE_MAX)
        return err_set(e, ERR_LIMIT, "a message of %zu bytes is too large to be sent", m->message.n);
    if (db_run(s->main, put_sql, vals, COUNT(vals), &changed, e) < 0)
        return -1;
    if (new_out != NULL)
        *new_out = changed > 0;
    return 0;
}

int store_outbox_claim(struct store *s, struct span by, int64_t now_us, struct arena *a, struct store_mail *out,
                       struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us), dbv_i64(now_us + OUTBOX_LEASE_US), dbv_text(by)};
    struct db_rows     *r = NULL;
    int                 rc = row_first(s->main, claim_sql, vals, COUNT(vals), &r, e);

    if (rc <= 0)
        return rc;
    *out = (struct store_mail){.id = col_uuid(r, 0),
                               .kind = arena_dup(a, db_text(r, 1)),
                               .key = arena_dup(a, db_text(r, 2)),
                               .recipient = arena_dup(a, db_text(r, 3)),
                               .message = arena_dup(a, db_text(r, 4)),
                               .attempts = db_i64(r, 5),
                               .created_us = db_i64(r, 6)};
    db_rows_free(&r);
    return out->message.p != NULL ? 1 : err_set(e, ERR_LIMIT, "no room for a message of the outbox");
}

static int end(struct store *s, const struct uuid *id, struct span by, const char *state, struct span answer,
               int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(id),     dbv_text(by),    dbv_str(state),
                                  dbv_text(answer), dbv_i64(now_us), dbv_blob(SPAN(""))};

    return row_change_one(s, end_sql, vals, COUNT(vals), "mail of ours to be sent", e);
}

int store_outbox_sent(struct store *s, const struct uuid *id, struct span by, struct span answer, int64_t now_us,
                      struct err *e)
{
    return end(s, id, by, "sent", answer, now_us, e);
}

int store_outbox_failed(struct store *s, const struct uuid *id, struct span by, struct span answer, int64_t now_us,
                        struct err *e)
{
    return end(s, id, by, "failed", answer, now_us, e);
}

int store_outbox_later(struct store *s, const struct uuid *id, struct span by, int64_t next_us, struct span answer,
                       struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(id), dbv_text(by), dbv_i64(next_us), dbv_text(answer)};

    return row_change_one(s, later_sql, vals, COUNT(vals), "mail of ours to be sent", e);
}

int store_outbox_sums(struct store *s, struct store_outbox_sums *out, struct err *e)
{
    struct db_rows *r = NULL;

    if (row_first(s->main, sums_sql, NULL, 0, &r, e) < 0)
        return -1;
    *out = (struct store_outbox_sums){db_i64(r, 0), db_i64(r, 1), db_i64(r, 2)};
    db_rows_free(&r);
    return 0;
}

int store_outbox_get(struct store *s, struct span kind, struct span key, struct arena *a, struct store_outbox_row *out,
                     struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, get_sql, (struct db_val[]){dbv_text(key), dbv_text(kind)}, 2, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "mail of ours");
    *out = (struct store_outbox_row){.recipient = arena_dup(a, db_text(r, 0)),
                                     .state = arena_dup(a, db_text(r, 1)),
                                     .answer = arena_dup(a, db_text(r, 2)),
                                     .attempts = db_i64(r, 3),
                                     .next_us = db_i64(r, 4),
                                     .created_us = db_i64(r, 5),
                                     .done_us = db_i64(r, 6)};
    db_rows_free(&r);
    return out->answer.p != NULL ? 0 : err_set(e, ERR_LIMIT, "no room for a row of the outbox");
}

int store_outbox_trim(struct store *s, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us - OUTBOX_KEEP_US)};

    return db_run(s->main, trim_sql, vals, COUNT(vals), NULL, e);
}
