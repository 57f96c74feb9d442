/* lib/store/digest_run.c - see digest_run.h. */
#include "store/digest_run.h"

#include "store/day.h"
#include "store/row.h"

const char *const run_state_words[] = {"waiting", "sent", "failed", NULL};

#define COLUMNS                                                                                                        \
    "id, subscription_id, since_us, until_us, state, quiet, recipient, total, again, attempts, answer, created_us,"    \
    " changed_us"
static const char listed_sql[] =
    "SELECT uid, n, place FROM digest_item WHERE subscription_id = $1 AND uid >= $2 ORDER BY uid, n";
static const char begin_sql[] =
    "INSERT INTO digest_run (id, subscription_id, since_us, until_us, state, quiet, recipient, total, next_us,"
    " created_us, changed_us) VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $8, $8) ON CONFLICT DO NOTHING";
static const char item_sql[] = "INSERT INTO digest_item (subscription_id, uid, n, run_id, place)"
                               " SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT 1 FROM digest_run WHERE id = $4)"
                               " ON CONFLICT DO NOTHING";
static const char whole_sql[] = "SELECT id FROM digest_run r WHERE id >= $1 AND id <= $2 AND total ="
                                " (SELECT COUNT(*) FROM digest_item WHERE run_id = r.id)";
static const char not_begun_sql[] = "DELETE FROM digest_run WHERE id = $1";
#define DUE "state = 'waiting' AND next_us <= $1 AND lease_until_us <= $1"
static const char claim_sql[] = "UPDATE digest_run SET lease_until_us = $2, lease_by = $3, attempts = attempts + 1"
                                " WHERE id IN (SELECT id FROM digest_run WHERE " DUE " ORDER BY next_us, id LIMIT $4)"
                                " AND " DUE " RETURNING " COLUMNS;
static const char end_sql[] = "UPDATE digest_run SET state = $3, answer = $4, changed_us = $5, lease_until_us = 0,"
                              " lease_by = '' WHERE id = $1 AND lease_by = $2 AND state = 'waiting'";
static const char later_sql[] = "UPDATE digest_run SET next_us = $3, answer = $4, changed_us = $5, lease_until_us = 0,"
                                " lease_by = '' WHERE id = $1 AND lease_by = $2 AND state = 'waiting'";
static const char give_back_sql[] = "DELETE FROM digest_item WHERE run_id = $1";
static const char free_sql[] = "UPDATE digest_run SET lease_until_us = 0, lease_by = ''"
                               " WHERE state = 'waiting' AND lease_by = $1";
static const char again_sql[] =
    "UPDATE digest_run SET state = 'waiting', again = again + 1, attempts = 0, next_us = $2,"
    " changed_us = $2 WHERE id = $1 AND state = 'sent'";
static const char get_sql[] = "SELECT " COLUMNS " FROM digest_run WHERE id = $1";
static const char list_sql[] = "SELECT " COLUMNS " FROM digest_run WHERE subscription_id = $1"
                               " ORDER BY until_us DESC LIMIT $2";
static const char last_sql[] = "SELECT " COLUMNS " FROM digest_run WHERE subscription_id = $1 AND state = 'sent'"
                               " ORDER BY until_us DESC LIMIT 1";
static const char items_sql[] = "SELECT uid, n, place FROM digest_item WHERE run_id = $1 ORDER BY place, uid, n";
static const char recipients_sql[] =
    "SELECT d.recipient, COUNT(*) FROM digest_item i JOIN delivery d ON d.uid = i.uid AND d.n = i.n"
    " WHERE i.run_id = $1 AND i.place <> $2 GROUP BY d.recipient ORDER BY COUNT(*) DESC, d.recipient LIMIT $3";
static const char at_sql[] = "SELECT uid, n, place FROM digest_item WHERE run_id = $1 AND place = $2";
static const char sums_sql[] = "SELECT (SELECT COUNT(*) FROM digest_run WHERE state = 'waiting'),"
                               " (SELECT COUNT(*) FROM digest_run WHERE state = 'failed' AND changed_us > $1),"
                               " (SELECT COALESCE(MIN(created_us), 0) FROM digest_run WHERE state = 'waiting')";
static const char trim_items_sql[] =
    "DELETE FROM digest_item WHERE run_id IN (SELECT id FROM digest_run WHERE state <> 'waiting' AND changed_us < $1)";
static const char trim_sql[] = "DELETE FROM digest_run WHERE state <> 'waiting' AND changed_us < $1";

static int read_run(struct db_rows *r, struct store_run *out)
{
    int state = col_word(r, 4, run_state_words);

    *out = (struct store_run){.id = col_uuid(r, 0),
                              .subscription = col_uuid(r, 1),
                              .since_us = db_i64(r, 2),
                              .until_us = db_i64(r, 3),
                              .state = (enum run_state)state,
                              .quiet = db_i64(r, 5) != 0,
                              .recipient = db_text(r, 6),
                              .total = db_i64(r, 7),
                              .again = db_i64(r, 8),
                              .attempts = db_i64(r, 9),
                              .answer = db_text(r, 10),
                              .created_us = db_i64(r, 11),
                              .changed_us = db_i64(r, 12)};
    return state >= 0 ? 0 : -1;
}

/* The row at hand, into the arena; ends the query. */
static int keep_run(struct db_rows *r, struct arena *a, struct store_run *out, struct err *e)
{
    int rc = read_run(r, out);

    out->recipient = arena_dup(a, out->recipient);
    out->answer = arena_dup(a, out->answer);
    db_rows_free(&r);
    if (rc < 0)
        return err_set(e, ERR_CORRUPT, "a digest's run cannot be read");
    return a->full ? err_set(e, ERR_LIMIT, "no memory for a digest's run") : 0;
}

static int one(struct store *s, const char *sql, const struct db_val *vals, size_t n, struct arena *a,
               struct store_run *out, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->log, sql, vals, n, &r, e);

    if (rc <= 0)
        return rc;
    return keep_run(r, a, out, e) < 0 ? -1 : 1;
}

/* ---- items ---- */

struct item_list {
    store_run_item_fn fn;
    void             *ctx;
};

static int read_item(struct db_rows *r, struct store_run_item *out)
{
    *out = (struct store_run_item){.key.n = db_i64(r, 1), .place = db_i64(r, 2)};
    return uuid_parse(db_text(r, 0), &out->key.uid) ? 0 : -1;
}

static int each_item(void *arg, struct db_rows *r)
{
    struct item_list     *l = arg;
    struct store_run_item i;

    return read_item(r, &i) < 0 ? 0 : l->fn(l->ctx, &i);
}

int store_run_listed(struct store *s, struct uuid subscription, int64_t since_us, store_run_item_fn fn, void *ctx,
                     struct err *e)
{
    struct item_list    l = {fn, ctx};
    struct uuid         least = day_uid_at(since_us / 1000);
    struct day_uid      first = day_uid_text(&least);
    const struct db_val vals[] = {dbv_uuid(&subscription), dbv_str(first.text)};

    return row_each(s->log, listed_sql, vals, COUNT(vals), each_item, &l, e) < 0 ? -1 : 0;
}

int store_run_items(struct store *s, struct uuid id, store_run_item_fn fn, void *ctx, struct err *e)
{
    struct item_list l = {fn, ctx};

    return row_each(s->log, items_sql, (struct db_val[]){dbv_uuid(&id)}, 1, each_item, &l, e) < 0 ? -1 : 0;
}

struct recipient_list {
    store_run_recipient_fn fn;
    void                  *ctx;
};

static int each_recipient(void *arg, struct db_rows *r)
{
    struct recipient_list *l = arg;

    return l->fn(l->ctx, db_text(r, 0), db_i64(r, 1));
}

int store_run_recipients(struct store *s, struct uuid id, size_t limit, store_run_recipient_fn fn, void *ctx,
                         struct err *e)
{
    struct recipient_list l = {fn, ctx};
    const struct db_val   vals[] = {dbv_uuid(&id), dbv_i64(LISTED_BLOCKED), dbv_i64((int64_t)limit)};

    return row_each(s->log, recipients_sql, vals, COUNT(vals), each_recipient, &l, e) < 0 ? -1 : 0;
}

int store_run_item_at(struct store *s, struct uuid id, int64_t place, struct store_key *out, struct err *e)
{
    struct db_rows       *r = NULL;
    struct store_run_item i = {0};
    int                   rc = row_first(s->log, at_sql, (struct db_val[]){dbv_uuid(&id), dbv_i64(place)}, 2, &r, e);

    if (rc <= 0)
        return rc;
    rc = read_item(r, &i) < 0 ? err_set(e, ERR_CORRUPT, "a digest's item cannot be read") : 1;
    *out = i.key;
    db_rows_free(&r);
    return rc;
}

/* ---- begun ---- */

/* All runs are written, then all items of those that were, without waiting for each answer, which is what most of the time went into; then
 * it is asked which are whole. What is not is taken out again, in the same transaction. */

static int put_runs(struct store *s, struct store_run_plan *plans, size_t n, int64_t now_us, struct err *e)
{
    if (db_batch_begin(s->log, begin_sql, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct store_run *r = &plans[i].run;

        r->id = uuid7_make();
        r->total = (int64_t)plans[i].nitems;
        const struct db_val vals[] = {
            dbv_uuid(&r->id),   dbv_uuid(&r->subscription), dbv_i64(r->since_us), dbv_i64(r->until_us),
            dbv_bool(r->quiet), dbv_text(r->recipient),     dbv_i64(r->total),    dbv_i64(now_us)};
        if (db_batch_add(s->log, vals, COUNT(vals), e) < 0)
            return -1;
    }
    return db_batch_end(s->log, e);
}

static int put_items(struct store *s, const struct store_run_plan *p, struct err *e)
{
    for (size_t i = 0; i < p->nitems; i++) {
        struct day_uid      uid = day_uid_text(&p->items[i].key.uid);
        const struct db_val vals[] = {dbv_uuid(&p->run.subscription), dbv_str(uid.text), dbv_i64(p->items[i].key.n),
                                      dbv_uuid(&p->run.id), dbv_i64(p->items[i].place)};

        if (db_batch_add(s->log, vals, COUNT(vals), e) < 0)
            return -1;
    }
    return 0;
}

static int put_all_items(struct store *s, const struct store_run_plan *plans, size_t n, struct err *e)
{
    if (db_batch_begin(s->log, item_sql, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (put_items(s, &plans[i], e) < 0)
            return -1;
    return db_batch_end(s->log, e);
}

struct plans {
    struct store_run_plan *list;
    size_t                 n;
};

static int each_whole(void *arg, struct db_rows *r)
{
    const struct plans *p = arg;
    struct uuid         id = col_uuid(r, 0);

    for (size_t i = 0; i < p->n; i++)
        if (uuid_eq(&p->list[i].run.id, &id))
            p->list[i].begun = true;
    return 0;
}

/* By one question: their ids lie between the least and the greatest, and whoever else's lie there is passed over. */
static int find_whole(struct store *s, struct store_run_plan *plans, size_t n, struct err *e)
{
    struct uuid  least = plans[0].run.id, most = least;
    struct plans p = {plans, n};

    for (size_t i = 0; i < n; i++) {
        plans[i].begun = false;
        least = uuid_cmp(&plans[i].run.id, &least) < 0 ? plans[i].run.id : least;
        most = uuid_cmp(&plans[i].run.id, &most) > 0 ? plans[i].run.id : most;
    }
    return row_each(s->log, whole_sql, (struct db_val[]){dbv_uuid(&least), dbv_uuid(&most)}, 2, each_whole, &p, e);
}

static int take_out(struct store *s, const struct uuid *run, struct err *e)
{
    const struct db_val id = dbv_uuid(run);

    return db_run(s->log, give_back_sql, &id, 1, NULL, e) < 0 ? -1 : db_run(s->log, not_begun_sql, &id, 1, NULL, e);
}

static int begin_all(struct store *s, struct store_run_plan *plans, size_t n, int64_t now_us, struct err *e)
{
    if (put_runs(s, plans, n, now_us, e) < 0 || put_all_items(s, plans, n, e) < 0 || find_whole(s, plans, n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (!plans[i].begun && take_out(s, &plans[i].run.id, e) < 0)
            return -1;
    return 0;
}

int store_run_begin(struct store *s, struct store_run_plan *plans, size_t n, int64_t now_us, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (plans[i].nitems > RUN_ITEMS_MAX)
            return err_set(e, ERR_LIMIT, "a digest lists at most %d messages", RUN_ITEMS_MAX);
    if (n == 0)
        return 0;
    if (db_begin(s->log, e) < 0)
        return -1;
    if (begin_all(s, plans, n, now_us, e) == 0)
        return db_commit(s->log, e);
    db_rollback(s->log);
    return -1;
}

/* ---- sent ---- */

struct claimed {
    struct store_run *out;
    struct arena     *a;
    size_t            n, max;
};

static int each_claimed(void *arg, struct db_rows *r)
{
    struct claimed   *c = arg;
    struct store_run *to = &c->out[c->n];

    if (c->n == c->max || read_run(r, to) < 0)
        return 0;
    to->recipient = arena_dup(c->a, to->recipient);
    to->answer = arena_dup(c->a, to->answer);
    c->n++;
    return 0;
}

int store_run_claim(struct store *s, struct span by, int64_t now_us, struct arena *a, struct store_run *out, size_t max,
                    struct err *e)
{
    struct claimed      c = {out, a, 0, max};
    const struct db_val vals[] = {dbv_i64(now_us), dbv_i64(now_us + RUN_LEASE_US), dbv_text(by), dbv_i64((int64_t)max)};

    if (row_each(s->log, claim_sql, vals, COUNT(vals), each_claimed, &c, e) < 0)
        return -1;
    return a->full ? err_set(e, ERR_LIMIT, "no memory for digests' runs") : (int)c.n;
}

static int change(struct store *s, const char *sql, const struct db_val *vals, size_t n, struct err *e)
{
    int64_t changed = 0;

    if (db_run(s->log, sql, vals, n, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_CONFLICT, "this digest is in other hands");
}

static int end(struct store *s, const struct uuid *id, struct span by, enum run_state state, struct span answer,
               int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(id), dbv_text(by), dbv_word(run_state_words, (int)state), dbv_text(answer),
                                  dbv_i64(now_us)};

    return change(s, end_sql, vals, COUNT(vals), e);
}

int store_run_sent(struct store *s, struct uuid id, struct span by, struct span answer, int64_t now_us, struct err *e)
{
    return end(s, &id, by, RUN_SENT, answer, now_us, e);
}

int store_run_failed(struct store *s, struct uuid id, struct span by, struct span answer, int64_t now_us, struct err *e)
{
    if (db_begin(s->log, e) < 0)
        return -1;
    if (end(s, &id, by, RUN_FAILED, answer, now_us, e) < 0 ||
        db_run(s->log, give_back_sql, (struct db_val[]){dbv_uuid(&id)}, 1, NULL, e) < 0) {
        db_rollback(s->log);
        return -1;
    }
    return db_commit(s->log, e);
}

int store_run_later(struct store *s, struct uuid id, struct span by, int64_t next_us, struct span answer,
                    int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&id), dbv_text(by), dbv_i64(next_us), dbv_text(answer), dbv_i64(now_us)};

    return change(s, later_sql, vals, COUNT(vals), e);
}

int store_run_free(struct store *s, struct span by, struct err *e)
{
    return db_run(s->log, free_sql, (struct db_val[]){dbv_text(by)}, 1, NULL, e);
}

int store_run_again(struct store *s, struct uuid id, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&id), dbv_i64(now_us)};
    int64_t             changed = 0;

    if (db_run(s->log, again_sql, vals, COUNT(vals), &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_CONFLICT, "this digest was not sent: there is nothing to send again");
}

/* ---- looked at ---- */

int store_run_get(struct store *s, struct uuid id, struct arena *a, struct store_run *out, struct err *e)
{
    int rc = one(s, get_sql, (struct db_val[]){dbv_uuid(&id)}, 1, a, out, e);

    return rc > 0 ? 0 : no_such(rc, e, "digest");
}

int store_run_last(struct store *s, struct uuid subscription, struct arena *a, struct store_run *out, struct err *e)
{
    return one(s, last_sql, (struct db_val[]){dbv_uuid(&subscription)}, 1, a, out, e);
}

struct run_list {
    store_run_fn fn;
    void        *ctx;
};

static int each_run(void *arg, struct db_rows *r)
{
    struct run_list *l = arg;
    struct store_run run;

    return read_run(r, &run) < 0 ? 0 : l->fn(l->ctx, &run);
}

int store_run_list(struct store *s, struct uuid subscription, size_t limit, store_run_fn fn, void *ctx, struct err *e)
{
    struct run_list     l = {fn, ctx};
    const struct db_val vals[] = {dbv_uuid(&subscription), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->log, list_sql, vals, COUNT(vals), each_run, &l, e) < 0 ? -1 : 0;
}

int store_run_sums(struct store *s, int64_t now_us, struct store_run_sums *out, struct err *e)
{
    struct db_rows *r = NULL;

    if (row_first(s->log, sums_sql, (struct db_val[]){dbv_i64(now_us - DAY_US)}, 1, &r, e) <= 0)
        return -1;
    *out = (struct store_run_sums){db_i64(r, 0), db_i64(r, 1), db_i64(r, 2)};
    db_rows_free(&r);
    return 0;
}

int store_run_trim(struct store *s, int64_t now_us, struct err *e)
{
    const struct db_val before = dbv_i64(now_us - RUN_KEEP_US);

    return db_run(s->log, trim_items_sql, &before, 1, NULL, e) < 0 || db_run(s->log, trim_sql, &before, 1, NULL, e) < 0
               ? -1
               : 0;
}
