/* lib/store/node.c - the machines that share the database: which there are, and which still say so. Their rows: audit.c. */
#include "store/row.h"

static const char node_seen_sql[] = "UPDATE node SET seen_us = $2 WHERE id = $1";
static const char nodes_gone_sql[] =
    "SELECT id FROM node WHERE seen_us < $1 AND created_us < $1 AND id <> $2 ORDER BY id LIMIT $3";
static const char list_sql[] = "SELECT id, name, CASE WHEN seen_us > created_us THEN seen_us ELSE created_us END"
                               " FROM node ORDER BY name LIMIT $1";

int store_node_seen(struct store *s, int64_t now_us, struct err *e)
{
    struct uuid id;

    if (store_node(s, &id, e) < 0)
        return -1;
    return db_run(s->main, node_seen_sql, (struct db_val[]){dbv_uuid(&id), dbv_i64(now_us)}, 2, NULL, e);
}

struct gone {
    struct uuid *out;
    size_t       n, max;
};

static int each_gone(void *ctx, struct db_rows *r)
{
    struct gone *g = ctx;

    g->out[g->n++] = col_uuid(r, 0);
    return g->n == g->max;
}

int store_nodes_gone(struct store *s, int64_t since_us, struct uuid *out, size_t max, size_t *n_out, struct err *e)
{
    struct gone g = {.out = out, .max = max};
    struct uuid id;
    int         rc;

    *n_out = 0;
    if (store_node(s, &id, e) < 0)
        return -1;
    struct db_val vals[] = {dbv_i64(since_us), dbv_uuid(&id), dbv_i64((int64_t)max)};
    rc = row_each(s->main, nodes_gone_sql, vals, 3, each_gone, &g, e);
    *n_out = g.n;
    return rc < 0 ? -1 : 0;
}

struct listing {
    store_node_fn fn;
    void         *ctx;
};

static int each_node(void *arg, struct db_rows *r)
{
    struct listing         *l = arg;
    const struct store_node node = {.id = col_uuid(r, 0), .name = db_text(r, 1), .seen_us = db_i64(r, 2)};

    return l->fn(l->ctx, &node);
}

int store_node_list(struct store *s, store_node_fn fn, void *ctx, struct err *e)
{
    struct listing l = {fn, ctx};

    return row_each(s->main, list_sql, (struct db_val[]){dbv_i64(STORE_LIST_MAX)}, 1, each_node, &l, e);
}
