/* lib/store/job.c - see job.h. */
#include "store/job.h"

#include "store/day.h"
#include "store/row.h"

const char *const job_what_words[] = {"release", "spam", "ham", "forget", "delete", "undelete", "unrelease", NULL};
const char *const job_state_words[] = {"waiting", "done", "stopped", "failed", NULL};

#define COLUMNS                                                                                                        \
    "id, what, owner_id, actor, acting_for, source, scopes, q, undoes, state, total, done, failed, until_us, at_uid,"  \
    " at_n, answer, created_us, changed_us, gone"
/* Begins with what is on its way, which is little. */
#define WAITS                                                                                                          \
    "CASE WHEN what = 'release' AND EXISTS (SELECT 1 FROM release r CROSS JOIN job_item i"                             \
    " WHERE r.state IN ('requested', 'sending') AND r.state = 'requested'"                                             \
    " AND i.job_id = job.id AND i.uid = r.uid AND i.n = r.n) THEN 1 ELSE 0 END"
#define UID_LAST "ffffffff-ffff-ffff-ffff-ffffffffffff"

static const char add_sql[] =
    "INSERT INTO job (id, what, owner_id, actor, acting_for, source, scopes, q, undoes, state, total, until_us,"
    " created_us, changed_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', $10, $11, $12, $12)";
static const char get_sql[] = "SELECT " COLUMNS ", " WAITS " FROM job WHERE id = $1";
static const char list_sql[] = "SELECT " COLUMNS ", " WAITS
                               " FROM job WHERE owner_id = $1 ORDER BY created_us DESC LIMIT $2";
static const char claim_sql[] =
    "UPDATE job SET lease_until_us = $2, lease_by = $3 WHERE id ="
    " (SELECT id FROM job WHERE state = 'waiting' AND lease_until_us <= $1 ORDER BY created_us, id LIMIT 1)"
    " AND state = 'waiting' AND lease_until_us <= $1 RETURNING " COLUMNS ", 0";
static const char step_sql[] =
    "UPDATE job SET done = $3, failed = $4, at_uid = $5, at_n = $6, answer = $7, state = $8, lease_until_us = $9,"
    " changed_us = $10, gone = $11 WHERE id = $1 AND lease_by = $2 AND state = 'waiting'";
static const char item_sql[] = "INSERT INTO job_item (job_id, uid, n) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
static const char leave_sql[] = "UPDATE job SET lease_until_us = 0, lease_by = '' WHERE id = $1 AND lease_by = $2";
static const char stop_sql[] = "UPDATE job SET state = 'stopped', changed_us = $2 WHERE id = $1 AND state = 'waiting'";
static const char items_sql[] = "SELECT uid, n FROM job_item WHERE job_id = $1 AND (uid, n) < ($2, $3)"
                                " ORDER BY uid DESC, n DESC LIMIT $4";
static const char trim_items_sql[] = "DELETE FROM job_item WHERE job_id IN"
                                     " (SELECT id FROM job WHERE state <> 'waiting' AND changed_us < $1)";
static const char trim_sql[] = "DELETE FROM job WHERE state <> 'waiting' AND changed_us < $1";

static int read_job(struct db_rows *r, struct store_job *out)
{
    int what = col_word(r, 1, job_what_words), state = col_word(r, 9, job_state_words);

    *out = (struct store_job){.id = col_uuid(r, 0),
                              .what = (enum job_what)what,
                              .owner = col_uuid(r, 2),
                              .actor = db_text(r, 3),
                              .acting_for = db_text(r, 4),
                              .source = db_text(r, 5),
                              .scopes = db_text(r, 6),
                              .q = db_text(r, 7),
                              .is_undo = !db_is_null(r, 8),
                              .undoes = col_uuid(r, 8),
                              .state = (enum job_state)state,
                              .total = db_i64(r, 10),
                              .done = db_i64(r, 11),
                              .failed = db_i64(r, 12),
                              .until_us = db_i64(r, 13),
                              .at.n = db_i64(r, 15),
                              .answer = db_text(r, 16),
                              .created_us = db_i64(r, 17),
                              .changed_us = db_i64(r, 18),
                              .gone = db_i64(r, 19),
                              .waits = db_i64(r, 20) != 0};
    out->begun = uuid_parse(db_text(r, 14), &out->at.uid);
    return what >= 0 && state >= 0 ? 0 : -1;
}

/* The row at hand, into the arena; ends the query. */
static int keep_job(struct db_rows *r, struct arena *a, struct store_job *out, struct err *e)
{
    struct span *texts[] = {&out->actor, &out->acting_for, &out->source, &out->scopes, &out->q, &out->answer};
    int          rc = read_job(r, out);

    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = arena_dup(a, *texts[i]);
    db_rows_free(&r);
    if (rc < 0)
        return err_set(e, ERR_CORRUPT, "a job cannot be read");
    return a->full ? err_set(e, ERR_LIMIT, "no memory for a job") : 0;
}

int store_job_add(struct store *s, const struct store_job *j, int64_t now_us, struct uuid *id_out, struct err *e)
{
    struct uuid         id = uuid7_make();
    const struct db_val vals[] = {dbv_uuid(&id),
                                  dbv_word(job_what_words, (int)j->what),
                                  dbv_uuid(&j->owner),
                                  dbv_text(j->actor),
                                  dbv_text(j->acting_for),
                                  dbv_text(j->source),
                                  dbv_text(j->scopes),
                                  dbv_text(j->q),
                                  dbv_uuid_or_null(j->is_undo ? &j->undoes : NULL),
                                  dbv_i64(j->total),
                                  dbv_i64(j->until_us),
                                  dbv_i64(now_us)};

    *id_out = id;
    return db_run(s->log, add_sql, vals, COUNT(vals), NULL, e);
}

int store_job_get(struct store *s, struct uuid id, struct arena *a, struct store_job *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->log, get_sql, (struct db_val[]){dbv_uuid(&id)}, 1, &r, e);

    return rc > 0 ? keep_job(r, a, out, e) : no_such(rc, e, "job");
}

struct job_list {
    store_job_fn fn;
    void        *ctx;
};

static int each_job(void *arg, struct db_rows *r)
{
    struct job_list *l = arg;
    struct store_job j;

    return read_job(r, &j) < 0 ? 0 : l->fn(l->ctx, &j);
}

int store_job_list(struct store *s, struct uuid owner, size_t limit, store_job_fn fn, void *ctx, struct err *e)
{
    struct job_list l = {fn, ctx};
    struct db_val   vals[] = {dbv_uuid(&owner), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->log, list_sql, vals, 2, each_job, &l, e) < 0 ? -1 : 0;
}

int store_job_claim(struct store *s, struct span by, int64_t now_us, struct arena *a, struct store_job *out,
                    struct err *e)
{
    struct db_val   vals[] = {dbv_i64(now_us), dbv_i64(now_us + JOB_LEASE_US), dbv_text(by)};
    struct db_rows *r;
    int             rc = row_first(s->log, claim_sql, vals, 3, &r, e);

    if (rc <= 0)
        return rc;
    return keep_job(r, a, out, e) < 0 ? -1 : 1;
}

static int put_items(struct store *s, const struct uuid *job, const struct store_key *items, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct day_uid uid = day_uid_text(&items[i].uid);

        if (db_run(s->log, item_sql, (struct db_val[]){dbv_uuid(job), dbv_str(uid.text), dbv_i64(items[i].n)}, 3, NULL,
                   e) < 0)
            return -1;
    }
    return 0;
}

int store_job_step(struct store *s, struct span by, const struct store_job *j, const struct store_key *items, size_t n,
                   int64_t now_us, struct err *e)
{
    struct day_uid      uid = day_uid_text(&j->at.uid);
    const struct db_val vals[] = {dbv_uuid(&j->id),
                                  dbv_text(by),
                                  dbv_i64(j->done),
                                  dbv_i64(j->failed),
                                  dbv_str(j->begun ? uid.text : ""),
                                  dbv_i64(j->at.n),
                                  dbv_text(j->answer),
                                  dbv_word(job_state_words, (int)j->state),
                                  dbv_i64(now_us + JOB_LEASE_US),
                                  dbv_i64(now_us),
                                  dbv_i64(j->gone)};
    int64_t             changed = 0;
    int                 rc;

    if (db_begin(s->log, e) < 0)
        return -1;
    rc = put_items(s, &j->id, items, n, e);
    if (rc == 0)
        rc = db_run(s->log, step_sql, vals, COUNT(vals), &changed, e);
    if (rc == 0)
        rc = db_commit(s->log, e);
    if (rc < 0) {
        db_rollback(s->log);
        return -1;
    }
    return changed == 1 ? 0 : err_set(e, ERR_CONFLICT, "the job was stopped, or somebody else has it");
}

int store_job_leave(struct store *s, struct uuid id, struct span by, struct err *e)
{
    return db_run(s->log, leave_sql, (struct db_val[]){dbv_uuid(&id), dbv_text(by)}, 2, NULL, e);
}

int store_job_stop(struct store *s, struct uuid id, int64_t now_us, struct err *e)
{
    return db_run(s->log, stop_sql, (struct db_val[]){dbv_uuid(&id), dbv_i64(now_us)}, 2, NULL, e);
}

struct item_list {
    store_job_item_fn fn;
    void             *ctx;
};

static int each_item(void *arg, struct db_rows *r)
{
    struct item_list *l = arg;
    struct store_key  key = {.n = db_i64(r, 1)};

    return uuid_parse(db_text(r, 0), &key.uid) ? l->fn(l->ctx, &key) : 0;
}

int store_job_items(struct store *s, struct uuid id, const struct store_key *before, size_t limit, store_job_item_fn fn,
                    void *ctx, struct err *e)
{
    struct item_list l = {fn, ctx};
    struct day_uid   uid = day_uid_text(before != NULL ? &before->uid : &uuid_zero);
    struct db_val    vals[] = {dbv_uuid(&id), dbv_str(before != NULL ? uid.text : UID_LAST),
                               dbv_i64(before != NULL ? before->n : 0), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->log, items_sql, vals, 4, each_item, &l, e) < 0 ? -1 : 0;
}

int store_job_trim(struct store *s, int64_t now_us, struct err *e)
{
    struct db_val before = dbv_i64(now_us - JOB_KEEP_US);
    int           rc;

    if (db_begin(s->log, e) < 0)
        return -1;
    rc = db_run(s->log, trim_items_sql, &before, 1, NULL, e);
    if (rc == 0)
        rc = db_run(s->log, trim_sql, &before, 1, NULL, e);
    if (rc == 0)
        rc = db_commit(s->log, e);
    if (rc < 0)
        db_rollback(s->log);
    return rc < 0 ? -1 : 0;
}
