/* lib/store/greylist.c - who has been asked to come again, and who did. */
#include "store/greylist.h"

#include "store/ordered.h"
#include "store/row.h"

static const char *const kind_words[] = {"tuple", "pair", NULL};

static const char get_sql[] =
    "SELECT kind, key, first_us, seen_us, waited_us, count FROM greylist WHERE kind = $1 AND key = $2";
static const char put_sql[] =
    "INSERT INTO greylist (kind, key, first_us, seen_us, waited_us, count) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (kind, key) DO UPDATE SET first_us = excluded.first_us, seen_us = excluded.seen_us,"
    " waited_us = excluded.waited_us, count = excluded.count";
static const char load_sql[] =
    "SELECT kind, key, first_us, seen_us, waited_us, count FROM greylist ORDER BY seen_us DESC LIMIT $1";
static const char trim_sql[] = "DELETE FROM greylist WHERE kind = $1 AND seen_us < $2";

static void read_row(struct db_rows *r, struct store_grey *out)
{
    struct span key = db_text(r, 1);

    *out = (struct store_grey){
        .first_us = db_i64(r, 2), .seen_us = db_i64(r, 3), .waited_us = db_i64(r, 4), .count = db_i64(r, 5)};
    out->kind = (enum grey_kind)col_word(r, 0, kind_words);
    if (key.n == sizeof out->key)
        memcpy(out->key, key.p, sizeof out->key);
}

int store_grey_get(struct store *s, enum grey_kind kind, const uint8_t key[16], struct store_grey *out, struct err *e)
{
    struct db_rows *r;
    int rc = row_first(s->log, get_sql, (struct db_val[]){dbv_word(kind_words, (int)kind), dbv_bytes(key, 16)}, 2, &r,
                       e);

    if (rc > 0) {
        read_row(r, out);
        db_rows_free(&r);
    }
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct store_grey *x = a, *y = b;

    return x->kind != y->kind ? (int)x->kind - (int)y->kind : memcmp(x->key, y->key, sizeof x->key);
}

static int put_one(struct store *s, void *unused, const void *row, struct err *e)
{
    const struct store_grey *g = row;

    (void)unused;
    return db_batch_add(s->log,
                        (struct db_val[]){dbv_word(kind_words, (int)g->kind), dbv_bytes(g->key, 16),
                                          dbv_i64(g->first_us), dbv_i64(g->seen_us), dbv_i64(g->waited_us),
                                          dbv_i64(g->count)},
                        6, e);
}

int store_grey_put(struct store *s, const struct store_grey *rows, size_t n, struct err *e)
{
    return ordered_put(s, &(struct ordered){rows, n, sizeof *rows, by_key, put_sql, put_one, NULL}, e);
}

struct grey_list {
    store_grey_fn fn;
    void         *ctx;
};

static int each_grey(void *arg, struct db_rows *r)
{
    struct grey_list *l = arg;
    struct store_grey g;

    read_row(r, &g);
    return l->fn(l->ctx, &g);
}

int store_grey_load(struct store *s, size_t limit, store_grey_fn fn, void *ctx, struct err *e)
{
    struct grey_list l = {fn, ctx};

    return row_each(s->log, load_sql, (struct db_val[]){dbv_i64((int64_t)limit)}, 1, each_grey, &l, e);
}

int store_grey_trim(struct store *s, enum grey_kind kind, int64_t before_us, struct err *e)
{
    return db_run(s->log, trim_sql, (struct db_val[]){dbv_word(kind_words, (int)kind), dbv_i64(before_us)}, 2, NULL, e);
}
