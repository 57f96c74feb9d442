/* lib/store/observe.c - see observe.h. */
#include "store/observe.h"

#include "store/row.h"

static const char put_sql[] = "INSERT INTO observed (uid, at_us, ours, theirs, sender, recipients, rule_id)"
                              " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (uid) DO NOTHING";
static const char sums_sql[] = "SELECT ours, theirs, COUNT(*) AS n FROM observed WHERE at_us >= $1"
                               " GROUP BY ours, theirs ORDER BY n DESC, ours, theirs";
/* Without a scanner there is nothing to compare with but letting it pass. */
static const char list_sql[] = "SELECT uid, ours, theirs, sender, at_us, recipients, rule_id FROM observed"
                               " WHERE at_us >= $1 AND ours <> CASE theirs WHEN '' THEN 'pass' ELSE theirs END"
                               " ORDER BY at_us DESC, uid DESC LIMIT $2";

int store_observed_put(struct store *s, const struct store_message *m, struct err *e)
{
    const struct uuid *rule = NULL;
    char               uid[UUID_TEXT + 1];

    for (size_t i = 0; i < m->ndeliveries && rule == NULL; i++)
        rule = m->deliveries[i].has_rule ? &m->deliveries[i].rule : NULL;
    uuid_format(&m->uid, uid);

    struct db_val vals[] = {
        dbv_str(uid),
        dbv_i64(m->at_us),
        dbv_text(m->ours),
        dbv_text(m->theirs),
        dbv_text(is_storable(m->sender) ? m->sender : SPAN("")),
        dbv_i64((int64_t)m->ndeliveries),
        dbv_uuid_or_null(rule),
    };
    return db_run(s->log, put_sql, vals, COUNT(vals), NULL, e);
}

struct sums {
    store_observed_sum_fn fn;
    void                 *ctx;
};

static int each_sum(void *arg, struct db_rows *r)
{
    struct sums              *to = arg;
    struct store_observed_sum sum = {db_text(r, 0), db_text(r, 1), db_i64(r, 2)};

    return to->fn(to->ctx, &sum);
}

int store_observed_sums(struct store *s, int64_t since_us, store_observed_sum_fn fn, void *ctx, struct err *e)
{
    struct sums to = {fn, ctx};

    return row_each(s->log, sums_sql, (struct db_val[]){dbv_i64(since_us)}, 1, each_sum, &to, e);
}

struct list {
    store_observed_fn fn;
    void             *ctx;
};

static int each_observed(void *arg, struct db_rows *r)
{
    struct list          *to = arg;
    struct store_observed o = {
        .uid = db_text(r, 0),
        .ours = db_text(r, 1),
        .theirs = db_text(r, 2),
        .sender = db_text(r, 3),
        .at_us = db_i64(r, 4),
        .recipients = db_i64(r, 5),
        .has_rule = !db_is_null(r, 6),
    };

    if (o.has_rule)
        o.rule = col_uuid(r, 6);
    return to->fn(to->ctx, &o);
}

int store_observed_list(struct store *s, int64_t since_us, size_t limit, store_observed_fn fn, void *ctx, struct err *e)
{
    struct list   to = {fn, ctx};
    struct db_val vals[] = {dbv_i64(since_us), dbv_i64((int64_t)(limit > 0 ? limit : STORE_LIST_MAX))};

    return row_each(s->log, list_sql, vals, COUNT(vals), each_observed, &to, e);
}
