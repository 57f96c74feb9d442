/* lib/store/hit.c - how often rules matched. */
#include "store/hit.h"

#include "store/ordered.h"
#include "store/row.h"

static const char add_sql[] =
    "INSERT INTO rule_hit (rule_id, entry, day, count, last_us) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (rule_id, entry, day) DO UPDATE SET count = rule_hit.count + excluded.count,"
    " last_us = CASE WHEN excluded.last_us > rule_hit.last_us THEN excluded.last_us ELSE rule_hit.last_us END";
static const char of_sql[] = "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT), COALESCE(MAX(last_us), 0) FROM rule_hit"
                             " WHERE rule_id = $1 AND entry = 0 AND day >= $2";
static const char entries_sql[] = "SELECT entry, CAST(SUM(count) AS BIGINT), MAX(last_us) FROM rule_hit"
                                  " WHERE rule_id = $1 AND entry <> 0 AND day >= $2 GROUP BY entry ORDER BY entry";
static const char trim_sql[] = "DELETE FROM rule_hit WHERE day < $1";

static int by_key(const void *a, const void *b)
{
    const struct store_hit *x = a, *y = b;
    int                     c = uuid_cmp(&x->rule, &y->rule);

    if (c != 0)
        return c;
    if (x->entry != y->entry)
        return x->entry < y->entry ? -1 : 1;
    return (x->day > y->day) - (x->day < y->day);
}

static int add_one(struct store *s, void *unused, const void *row, struct err *e)
{
    const struct store_hit *h = row;

    (void)unused;
    return db_batch_add(s->log,
                        (struct db_val[]){dbv_uuid(&h->rule), dbv_i64(h->entry), dbv_i64(h->day), dbv_i64(h->count),
                                          dbv_i64(h->last_us)},
                        5, e);
}

int store_hits_add(struct store *s, const struct store_hit *hits, size_t n, struct err *e)
{
    return ordered_put(s, &(struct ordered){hits, n, sizeof *hits, by_key, add_sql, add_one, NULL}, e);
}

int store_hits_of(struct store *s, struct uuid rule, int64_t since_day, int64_t *count_out, int64_t *last_us_out,
                  struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->log, of_sql, (struct db_val[]){dbv_uuid(&rule), dbv_i64(since_day)}, 2, &r, e);

    *count_out = *last_us_out = 0;
    if (rc <= 0)
        return rc;
    *count_out = db_i64(r, 0);
    *last_us_out = db_i64(r, 1);
    db_rows_free(&r);
    return 0;
}

struct hit_list {
    store_hit_fn fn;
    void        *ctx;
    struct uuid  rule;
};

static int each_hit(void *arg, struct db_rows *r)
{
    struct hit_list *l = arg;
    struct store_hit h = {.rule = l->rule, .entry = db_i64(r, 0), .count = db_i64(r, 1), .last_us = db_i64(r, 2)};

    return l->fn(l->ctx, &h);
}

int store_hits_entries(struct store *s, struct uuid rule, int64_t since_day, store_hit_fn fn, void *ctx, struct err *e)
{
    struct hit_list l = {fn, ctx, rule};

    return row_each(s->log, entries_sql, (struct db_val[]){dbv_uuid(&rule), dbv_i64(since_day)}, 2, each_hit, &l, e);
}

int store_hits_trim(struct store *s, int64_t day, struct err *e) { return row_run_i64(s->log, trim_sql, day, e); }
