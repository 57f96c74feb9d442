/* lib/store/custody.c - the rows of what we hold. */
#include "store/custody.h"

#include <stdlib.h>

#include "store/day.h"
#include "store/log_row.h"

const char *const custody_place_words[] = {"spool", "store", "gone", NULL};

#define CUSTODY_COLUMNS "uid, node_id, place, bytes, at_us, keep_us, object, sha256, key_id, copy"

static const char has_sql[] = "SELECT CAST(1 AS BIGINT) FROM custody WHERE uid = $1 AND NOT " CUSTODY_IS_LOST;
static const char get_sql[] = "SELECT " CUSTODY_COLUMNS " FROM custody WHERE uid = $1";
static const char each_sql[] = "SELECT " CUSTODY_COLUMNS " FROM custody WHERE uid > $1 AND place <> 'gone'"
                               " ORDER BY uid LIMIT $2";
static const char each_of_node_sql[] = "SELECT " CUSTODY_COLUMNS " FROM custody WHERE uid > $1 AND place <> 'gone'"
                                       " AND node_id = $3 ORDER BY uid LIMIT $2";
static const char due_sql[] = "SELECT " CUSTODY_COLUMNS " FROM custody WHERE keep_us < $1 AND place <> 'gone'"
                              " AND copy = $3 ORDER BY keep_us LIMIT $2";
static const char due_of_node_sql[] = "SELECT " CUSTODY_COLUMNS " FROM custody WHERE keep_us < $1 AND place <> 'gone'"
                                      " AND copy = $3 AND node_id = $4 ORDER BY keep_us LIMIT $2";
static const char move_sql[] = "UPDATE custody SET place = $2 WHERE uid = $1";
static const char not_held_sql[] = "DELETE FROM held WHERE uid = $1";
static const char disk_sql[] =
    "SELECT CAST(COALESCE(SUM(1 - copy), 0) AS BIGINT), CAST(COALESCE(SUM(copy), 0) AS BIGINT),"
    " CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM custody WHERE node_id = $1 AND place = 'spool'";
static const char lose_sql[] = "UPDATE custody SET place = 'gone', object = '" CUSTODY_LOST "' || $3"
                               " WHERE uid = $1 AND node_id = $2 AND place = 'spool'";
static const char adopt_sql[] = "UPDATE custody SET node_id = $2 WHERE node_id = $1 AND place = 'store' AND uid IN"
                                " (SELECT uid FROM custody WHERE node_id = $1 AND place = 'store' AND keep_us < $3"
                                " ORDER BY keep_us LIMIT $4)";
static const char keep_sql[] = "UPDATE custody SET keep_us = $2 WHERE uid = $1 AND place <> 'gone'";
#define SUMS                                                                                                           \
    "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT),"                                                        \
    " CAST(COALESCE(SUM(CASE WHEN keep_us < $1 THEN 1 ELSE 0 END), 0) AS BIGINT),"                                     \
    " CAST(COALESCE(SUM(CASE WHEN keep_us < $1 THEN bytes ELSE 0 END), 0) AS BIGINT)"                                  \
    " FROM custody WHERE place <> 'gone' AND copy = $2"
static const char sum_sql[] = SUMS;
static const char sum_of_node_sql[] = SUMS " AND node_id = $3";
static const char keys_sql[] = "SELECT key_id, COUNT(*), MAX(keep_us) FROM custody WHERE place <> 'gone'"
                               " GROUP BY key_id ORDER BY key_id";
static const char usage_sql[] =
    "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM held WHERE owner_id = $1";
static const char copied_sql[] =
    "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM custody c WHERE place <> 'gone' AND copy = 1 AND EXISTS"
    " (SELECT 1 FROM delivery d WHERE d.uid = c.uid AND d.domain_id = $1)";

static int read_custody(struct db_rows *r, struct store_custody *c)
{
    int place = col_word(r, 2, custody_place_words);

    *c = (struct store_custody){
        .node = col_uuid(r, 1),
        .place = (enum custody_place)place,
        .bytes = db_i64(r, 3),
        .at_us = db_i64(r, 4),
        .keep_us = db_i64(r, 5),
        .object = db_text(r, 6),
        .sha256 = db_text(r, 7),
        .key_id = db_text(r, 8),
        .copy = db_i64(r, 9) != 0,
    };
    if (place == CUSTODY_GONE && span_starts(c->object, SPAN(CUSTODY_LOST)))
        c->lost = span_skip(c->object, sizeof CUSTODY_LOST - 1);
    return place >= 0 && uuid_parse(db_text(r, 0), &c->uid) ? 0 : -1;
}

int store_custody_has(struct store *s, const struct uuid *uids, size_t n, bool *has_out, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct day_uid uid = day_uid_text(&uids[i]);
        int64_t        one;
        int            rc = row_i64(s->log, has_sql, (struct db_val[]){dbv_str(uid.text)}, 1, &one, e);

        if (rc < 0)
            return -1;
        has_out[i] = rc > 0;
    }
    return 0;
}

int store_custody_get(struct store *s, const struct uuid *uid, struct arena *a, struct store_custody *out,
                      struct err *e)
{
    struct day_uid  text = day_uid_text(uid);
    struct db_rows *r;
    int             rc = row_first(s->log, get_sql, (struct db_val[]){dbv_str(text.text)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "message in custody");
    rc = read_custody(r, out);
    out->object = arena_dup(a, out->object);
    out->sha256 = arena_dup(a, out->sha256);
    out->key_id = arena_dup(a, out->key_id);
    out->lost = arena_dup(a, out->lost);
    db_rows_free(&r);
    if (rc < 0)
        return err_set(e, ERR_CORRUPT, "the custody row of %s cannot be read", text.text);
    return a->full ? err_set(e, ERR_LIMIT, "no memory for a custody row") : 0;
}

struct custody_list {
    store_custody_fn fn;
    void            *ctx;
};

static int each_custody(void *arg, struct db_rows *r)
{
    struct custody_list *l = arg;
    struct store_custody c;

    return read_custody(r, &c) < 0 ? 0 : l->fn(l->ctx, &c);
}

int store_custody_each(struct store *s, const struct uuid *node, const struct uuid *after, size_t limit,
                       store_custody_fn fn, void *ctx, struct err *e)
{
    struct day_uid      text = day_uid_text(after != NULL ? after : &uuid_zero);
    struct custody_list l = {fn, ctx};
    struct db_val       vals[] = {dbv_str(text.text), dbv_i64((int64_t)page_limit(limit)), dbv_uuid_or_null(node)};

    return row_each(s->log, node != NULL ? each_of_node_sql : each_sql, vals, node != NULL ? 3 : 2, each_custody, &l,
                    e);
}

int store_custody_due(struct store *s, const struct uuid *node, bool copies, int64_t now_us, size_t limit,
                      store_custody_fn fn, void *ctx, struct err *e)
{
    struct custody_list l = {fn, ctx};
    struct db_val       vals[] = {dbv_i64(now_us), dbv_i64((int64_t)page_limit(limit)), dbv_i64(copies),
                                  dbv_uuid_or_null(node)};

    return row_each(s->log, node != NULL ? due_of_node_sql : due_sql, vals, node != NULL ? 4 : 3, each_custody, &l, e);
}

static int move_one(struct store *s, const struct uuid *u, enum custody_place place, struct err *e)
{
    struct day_uid uid = day_uid_text(u);
    struct db_val  vals[] = {dbv_str(uid.text), dbv_word(custody_place_words, (int)place)};

    if (db_run(s->log, move_sql, vals, 2, NULL, e) < 0)
        return -1;
    return place == CUSTODY_GONE ? db_run(s->log, not_held_sql, vals, 1, NULL, e) : 0;
}

int store_custody_move(struct store *s, const struct uuid *uids, size_t n, enum custody_place place, struct err *e)
{
    int rc;

    if ((rc = db_begin(s->log, e)) < 0)
        return -1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = move_one(s, &uids[i], place, e);
    if (rc == 0)
        rc = db_commit(s->log, e);
    if (rc < 0)
        db_rollback(s->log);
    return rc;
}

int store_custody_disk(struct store *s, const struct uuid *node, struct store_custody_disk *out, struct err *e)
{
    struct db_rows *r;

    *out = (struct store_custody_disk){0};
    if (row_first(s->log, disk_sql, (struct db_val[]){dbv_uuid(node)}, 1, &r, e) <= 0)
        return -1;
    *out = (struct store_custody_disk){db_i64(r, 0), db_i64(r, 1), db_i64(r, 2)};
    db_rows_free(&r);
    return 0;
}

static int lose_one(struct store *s, const struct uuid *u, const struct uuid *node, struct span name, struct err *e)
{
    struct day_uid uid = day_uid_text(u);
    struct db_val  vals[] = {dbv_str(uid.text), dbv_uuid(node), dbv_text(name)};
    int64_t        lost = 0;

    if (db_run(s->log, lose_sql, vals, 3, &lost, e) < 0)
        return -1;
    return lost > 0 ? db_run(s->log, not_held_sql, vals, 1, NULL, e) : 0;
}

int store_custody_lose(struct store *s, const struct uuid *uids, size_t n, const struct uuid *node, struct span name,
                       struct err *e)
{
    int rc;

    if ((rc = db_begin(s->log, e)) < 0)
        return -1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = lose_one(s, &uids[i], node, name, e);
    if (rc == 0)
        rc = db_commit(s->log, e);
    if (rc < 0)
        db_rollback(s->log);
    return rc;
}

int store_custody_adopt(struct store *s, const struct uuid *of, const struct uuid *heir, int64_t now_us, size_t limit,
                        int64_t *n_out, struct err *e)
{
    struct db_val vals[] = {dbv_uuid(of), dbv_uuid(heir), dbv_i64(now_us), dbv_i64((int64_t)page_limit(limit))};

    return db_run(s->log, adopt_sql, vals, 4, n_out, e);
}

int store_custody_keep(struct store *s, const struct uuid *uid, int64_t keep_us, struct err *e)
{
    struct day_uid text = day_uid_text(uid);
    int64_t        changed;

    if (db_run(s->log, keep_sql, (struct db_val[]){dbv_str(text.text), dbv_i64(keep_us)}, 2, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : no_such(0, e, "message in custody");
}

int store_custody_sum(struct store *s, const struct uuid *node, bool copies, int64_t now_us,
                      struct store_custody_sum *out, struct err *e)
{
    struct db_val   vals[] = {dbv_i64(now_us), dbv_i64(copies), dbv_uuid_or_null(node)};
    struct db_rows *r;

    *out = (struct store_custody_sum){0};
    if (row_first(s->log, node != NULL ? sum_of_node_sql : sum_sql, vals, node != NULL ? 3 : 2, &r, e) <= 0)
        return -1;
    *out = (struct store_custody_sum){db_i64(r, 0), db_i64(r, 1), db_i64(r, 2), db_i64(r, 3)};
    db_rows_free(&r);
    return 0;
}

struct key_list {
    store_custody_key_fn fn;
    void                *ctx;
};

static int each_key_id(void *arg, struct db_rows *r)
{
    struct key_list *l = arg;

    return l->fn(l->ctx, db_text(r, 0), db_i64(r, 1), db_i64(r, 2));
}

int store_custody_keys(struct store *s, store_custody_key_fn fn, void *ctx, struct err *e)
{
    struct key_list l = {fn, ctx};

    return row_each(s->log, keys_sql, NULL, 0, each_key_id, &l, e);
}

int store_custody_usage(struct store *s, const struct uuid *owner, int64_t *count_out, int64_t *bytes_out,
                        struct err *e)
{
    struct db_rows *r;

    *count_out = *bytes_out = 0;
    if (row_first(s->log, usage_sql, (struct db_val[]){dbv_uuid(owner)}, 1, &r, e) <= 0)
        return -1;
    *count_out = db_i64(r, 0);
    *bytes_out = db_i64(r, 1);
    db_rows_free(&r);
    return 0;
}

int store_custody_copied(struct store *s, const struct uuid *domain, int64_t *bytes_out, struct err *e)
{
    *bytes_out = 0;
    return row_i64(s->log, copied_sql, (struct db_val[]){dbv_uuid(domain)}, 1, bytes_out, e) < 0 ? -1 : 0;
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

static const char owner_sql[] = "SELECT uid, n FROM held WHERE owner_id = $3 AND deleted_us = 0 AND (uid, n) < ($1, "
                                "$2) ORDER BY uid DESC, n DESC LIMIT $4";
static const char all_sql[] =
    "SELECT DISTINCT uid, n FROM held WHERE deleted_us = 0 AND (uid, n) < ($1, $2) ORDER BY uid DESC, n DESC LIMIT $3";

#define UID_LAST "ffffffff-ffff-ffff-ffff-ffffffffffff"

struct held_page {
    struct store_key keys[STORE_LIST_MAX];
    size_t           n;
    store_held_fn    fn;
    void            *ctx;
};

static int each_key(void *ctx, struct db_rows *r)
{
    struct held_page *p = ctx;

    if (p->n < STORE_LIST_MAX && uuid_parse(db_text(r, 0), &p->keys[p->n].uid))
        p->keys[p->n++].n = db_i64(r, 1);
    return 0;
}

static int each_held(void *ctx, const struct store_row *row, const struct log_row_held *held)
{
    struct held_page *p = ctx;
    struct store_held h = {.row = *row, .keep_us = held->keep_us, .bytes = held->bytes};

    return p->fn(p->ctx, &h);
}

static int list_page(struct store *s, const char *sql, const struct db_val *vals, size_t n, store_held_fn fn, void *ctx,
                     struct err *e)
{
    struct held_page *p = calloc(1, sizeof *p);
    int               rc;

    if (p == NULL)
        panic("out of memory");
    p->fn = fn;
    p->ctx = ctx;
    rc = row_each(s->log, sql, vals, n, each_key, p, e);
    if (rc == 0)
        rc = log_rows(s, p->keys, p->n, each_held, p, e);
    free(p);
    return rc < 0 ? -1 : 0;
}

int store_custody_list(struct store *s, struct store_scope scope, const struct store_key *before, size_t limit,
                       store_held_fn fn, void *ctx, struct err *e)
{
    bool           all = scope.kind == SCOPE_GLOBAL;
    struct day_uid text = day_uid_text(before != NULL ? &before->uid : &uuid_zero);
    struct db_val  most = dbv_i64((int64_t)page_limit(limit));
    struct db_val  vals[] = {dbv_str(before != NULL ? text.text : UID_LAST), dbv_i64(before != NULL ? before->n : 0),
                            all ? most : dbv_uuid(&scope.id), most};

    return list_page(s, all ? all_sql : owner_sql, vals, all ? 3 : 4, fn, ctx, e);
}

/* ---- Put away ------------------------------------------------------------------------------------------------------ */

static const char delete_sql[] = "UPDATE held SET deleted_us = $3 WHERE uid = $1 AND n = $2 AND deleted_us = 0";
static const char undelete_sql[] = "UPDATE held SET deleted_us = 0 WHERE uid = $1 AND n = $2 AND deleted_us > 0";
static const char deleted_sql[] = "SELECT CAST(COALESCE(MAX(deleted_us), -1) AS BIGINT) FROM held"
                                  " WHERE uid = $1 AND n = $2";
/* When nobody is left for whom it is held. */
static const char shorten_sql[] =
    "UPDATE custody SET kept_us = keep_us, keep_us = $2 WHERE uid = $1 AND place <> 'gone' AND kept_us = 0"
    " AND keep_us > $2 AND NOT EXISTS (SELECT 1 FROM held h WHERE h.uid = $1 AND h.deleted_us = 0)";
static const char lengthen_sql[] = "UPDATE custody SET keep_us = kept_us, kept_us = 0 WHERE uid = $1 AND kept_us > 0"
                                   " AND place <> 'gone'";
static const char list_deleted_sql[] =
    "SELECT uid, n FROM held WHERE owner_id = $3 AND deleted_us > $5 AND (uid, n) < ($1, $2)"
    " ORDER BY uid DESC, n DESC LIMIT $4";

int store_held_deleted(struct store *s, const struct store_key *key, int64_t *us_out, struct err *e)
{
    struct day_uid uid = day_uid_text(&key->uid);
    int64_t        us = 0;

    if (row_i64(s->log, deleted_sql, (struct db_val[]){dbv_str(uid.text), dbv_i64(key->n)}, 2, &us, e) < 0)
        return -1;
    *us_out = us > 0 ? us : 0;
    return 0;
}

static int put_away(struct store *s, const struct db_val *vals, struct err *e)
{
    int64_t us = -1;

    if (db_run(s->log, delete_sql, vals, 3, NULL, e) < 0 || row_i64(s->log, deleted_sql, vals, 2, &us, e) < 0)
        return -1;
    if (us < 0)
        return no_such(0, e, "held message");
    return db_run(s->log, shorten_sql, (struct db_val[]){vals[0], dbv_i64(vals[2].i + HELD_DELETED_US)}, 2, NULL, e);
}

static int take_back(struct store *s, const struct db_val *vals, struct err *e)
{
    int64_t us = -1;

    if (db_run(s->log, undelete_sql, vals, 2, NULL, e) < 0 || row_i64(s->log, deleted_sql, vals, 2, &us, e) < 0)
        return -1;
    return us < 0 ? no_such(0, e, "held message") : db_run(s->log, lengthen_sql, vals, 1, NULL, e);
}

static int in_one(struct store           *s, int (*run)(struct store *s, const struct db_val *vals, struct err *e),
                  const struct store_key *key, int64_t now_us, struct err *e)
{
    struct day_uid uid = day_uid_text(&key->uid);
    struct db_val  vals[] = {dbv_str(uid.text), dbv_i64(key->n), dbv_i64(now_us)};
    int            rc;

    if (db_begin(s->log, e) < 0)
        return -1;
    if ((rc = run(s, vals, e)) == 0)
        rc = db_commit(s->log, e);
    if (rc < 0)
        db_rollback(s->log);
    return rc;
}

int store_held_delete(struct store *s, const struct store_key *key, int64_t now_us, struct err *e)
{
    return in_one(s, put_away, key, now_us, e);
}

int store_held_undelete(struct store *s, const struct store_key *key, struct err *e)
{
    return in_one(s, take_back, key, 0, e);
}

int store_held_list_deleted(struct store *s, struct uuid owner, int64_t since_us, const struct store_key *before,
                            size_t limit, store_held_fn fn, void *ctx, struct err *e)
{
    struct day_uid text = day_uid_text(before != NULL ? &before->uid : &uuid_zero);
    struct db_val  vals[] = {dbv_str(before != NULL ? text.text : UID_LAST), dbv_i64(before != NULL ? before->n : 0),
                             dbv_uuid(&owner), dbv_i64((int64_t)page_limit(limit)), dbv_i64(since_us)};

    return list_page(s, list_deleted_sql, vals, COUNT(vals), fn, ctx, e);
}
