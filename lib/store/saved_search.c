/* lib/store/saved_search.c - see saved_search.h. */
#include "store/saved_search.h"

#include "store/row.h"

#define COLUMNS "id, name, q, place, position, created_us"

static const char list_sql[] = "SELECT " COLUMNS " FROM saved_search WHERE account_id = $1 ORDER BY position";
static const char get_sql[] = "SELECT " COLUMNS " FROM saved_search WHERE id = $1 AND account_id = $2";
static const char count_sql[] = "SELECT COUNT(*) FROM saved_search WHERE account_id = $1";
static const char add_sql[] = "INSERT INTO saved_search (id, account_id, name, q, place, position, created_us)"
                              " VALUES ($1, $2, $3, $4, $5, $6, $7)";
static const char set_sql[] = "UPDATE saved_search SET name = $3, q = $4, place = $5, position = $6"
                              " WHERE id = $1 AND account_id = $2";
static const char shift_sql[] = "UPDATE saved_search SET position = position + $2"
                                " WHERE account_id = $1 AND position >= $3 AND position <= $4";
static const char delete_sql[] = "DELETE FROM saved_search WHERE id = $1 AND account_id = $2";

static struct store_saved_search read_row(struct db_rows *r)
{
    return (struct store_saved_search){.id = col_uuid(r, 0),
                                       .name = db_text(r, 1),
                                       .q = db_text(r, 2),
                                       .place = db_text(r, 3),
                                       .position = db_i64(r, 4),
                                       .created_us = db_i64(r, 5)};
}

struct listing {
    store_saved_search_fn fn;
    void                 *ctx;
};

static int each(void *ctx, struct db_rows *r)
{
    const struct listing     *l = ctx;
    struct store_saved_search x = read_row(r);

    return l->fn(l->ctx, &x);
}

int store_saved_search_list(struct store *s, struct uuid account, store_saved_search_fn fn, void *ctx, struct err *e)
{
    struct listing l = {fn, ctx};

    return row_each(s->main, list_sql, (struct db_val[]){dbv_uuid(&account)}, 1, each, &l, e);
}

int store_saved_search_get(struct store *s, struct uuid account, struct uuid id, struct arena *a,
                           struct store_saved_search *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, get_sql, (struct db_val[]){dbv_uuid(&id), dbv_uuid(&account)}, 2, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "saved search");
    *out = read_row(r);
    out->name = arena_dup(a, out->name);
    out->q = arena_dup(a, out->q);
    out->place = arena_dup(a, out->place);
    db_rows_free(&r);
    return out->place.p != NULL ? 0 : err_set(e, ERR_LIMIT, "no room for a saved search");
}

static int check(const struct store_saved_search *x, struct err *e)
{
    return check_text(x->name, 1, SAVED_NAME_MAX, "the name", e) < 0 ||
                   check_text(x->q, 0, SAVED_QUERY_MAX, "the search", e) < 0 ||
                   check_text(x->place, 0, SAVED_PLACE_MAX, "where to look", e) < 0
               ? -1
               : 0;
}

static int say_taken(const struct store_saved_search *x, struct err *e)
{
    return say_conflict(e, "There is a search \"%.*s\" already.", SPAN_ARG(x->name));
}

static void put(struct buf *b, const char *key, const void *row)
{
    const struct store_saved_search *x = row;

    json_open(b, key, '{');
    json_add_string(b, "name", x->name);
    json_add_string(b, "q", x->q);
    json_add_string(b, "in", x->place);
    json_add_i64(b, "position", x->position);
    json_close(b, '}');
}

static int note(struct store *s, const struct actor *by, const char *action, const struct store_saved_search *before,
                const struct store_saved_search *after, struct err *e)
{
    struct payload_change c = {.action = action,
                               .kind = "saved_search",
                               .id = before != NULL ? before->id : after->id,
                               .put = put,
                               .before = before,
                               .after = after};

    return payload_note(s, by, STORE_SCOPE_GLOBAL, &c, e);
}

static int put_row(struct store *s, const char *sql, struct uuid account, const struct store_saved_search *x,
                   bool is_new, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&x->id),   dbv_uuid(&account),   dbv_text(x->name),     dbv_text(x->q),
                                  dbv_text(x->place), dbv_i64(x->position), dbv_i64(x->created_us)};

    return db_run(s->main, sql, vals, is_new ? 7 : 6, NULL, e) < 0 ? say_taken(x, e) : 0;
}

int store_saved_search_add(struct store *s, const struct actor *by, struct uuid account,
                           const struct store_saved_search *what, int64_t now_us, struct uuid *id_out, struct err *e)
{
    struct store_saved_search x = *what;
    int64_t                   n;
    bool                      mine;
    int                       rc;

    x.id = *id_out = uuid7_make();
    x.created_us = now_us;
    if (check(&x, e) < 0 || row_begin(s, &mine, e) < 0)
        return -1;
    rc = row_i64(s->main, count_sql, (struct db_val[]){dbv_uuid(&account)}, 1, &n, e);
    if (rc > 0 && n >= SAVED_SEARCHES_MAX)
        rc = err_set(e, ERR_LIMIT, "There are %d searches already; one has to go first.", SAVED_SEARCHES_MAX);
    x.position = n + 1;
    if (rc > 0)
        rc = put_row(s, add_sql, account, &x, true, e);
    if (rc == 0)
        rc = note(s, by, "saved_search.add", NULL, &x, e);
    return row_end(s, mine, rc, e);
}

/* Those between the two places make way, or close up. */
static int shift(struct store *s, struct uuid account, int64_t from, int64_t to, struct err *e)
{
    bool                up = to < from;
    const struct db_val vals[] = {dbv_uuid(&account), dbv_i64(up ? 1 : -1), dbv_i64(up ? to : from + 1),
                                  dbv_i64(up ? from - 1 : to)};

    return to == from ? 0 : db_run(s->main, shift_sql, vals, COUNT(vals), NULL, e);
}

static int set(struct store *s, const struct actor *by, struct uuid account, const struct store_saved_search *was,
               const struct store_saved_search *what, struct err *e)
{
    struct store_saved_search x = *what;
    int64_t                   n;

    if (row_i64(s->main, count_sql, (struct db_val[]){dbv_uuid(&account)}, 1, &n, e) < 0)
        return -1;
    x.position = x.position <= 0 ? was->position : x.position > n ? n : x.position;
    return shift(s, account, was->position, x.position, e) < 0 || put_row(s, set_sql, account, &x, false, e) < 0
               ? -1
               : note(s, by, "saved_search.set", was, &x, e);
}

int store_saved_search_set(struct store *s, const struct actor *by, struct uuid account,
                           const struct store_saved_search *what, struct err *e)
{
    struct store_saved_search was;
    struct arena              a;
    bool                      mine;
    int                       rc;

    if (check(what, e) < 0 || row_begin(s, &mine, e) < 0)
        return -1;
    arena_init(&a, 16 << 10);
    rc = store_saved_search_get(s, account, what->id, &a, &was, e);
    if (rc == 0)
        rc = set(s, by, account, &was, what, e);
    arena_fini(&a);
    return row_end(s, mine, rc, e);
}

int store_saved_search_delete(struct store *s, const struct actor *by, struct uuid account, struct uuid id,
                              struct err *e)
{
    struct store_saved_search was;
    struct arena              a;
    bool                      mine;
    int                       rc;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    arena_init(&a, 16 << 10);
    rc = store_saved_search_get(s, account, id, &a, &was, e);
    if (rc == 0)
        rc = row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id), dbv_uuid(&account)}, 2, "saved search", e);
    if (rc == 0)
        rc = shift(s, account, was.position, SAVED_SEARCHES_MAX + 1, e);
    if (rc == 0)
        rc = note(s, by, "saved_search.delete", &was, NULL, e);
    arena_fini(&a);
    return row_end(s, mine, rc, e);
}
