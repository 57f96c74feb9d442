/* lib/store/change.c - the change feed. */
#include "store/change.h"

#include "store/row.h"

#define TRIM_EVERY 500 /* numbers between two looks at what is old */

const char *const change_kind_words[] = {"rule",    "policy",  "assignment", "setting", "learned", "domain",
                                         "mailbox", "address", "api_key",    "sender",  NULL};

static const char take_sql[] = "UPDATE change_head SET seq = seq + $1 WHERE one = 1 RETURNING seq";
static const char hold_sql[] = "UPDATE change_head SET seq = seq WHERE one = 1";
static const char insert_sql[] = "INSERT INTO change (seq, kind, scope_kind, scope_id, object_id, at_us)"
                                 " VALUES ($1, $2, $3, $4, $5, $6)";
static const char trim_sql[] = "DELETE FROM change WHERE seq <= $1 OR at_us < $2";
static const char head_sql[] = "SELECT seq FROM change_head";
static const char after_sql[] =
    "SELECT seq, kind, scope_kind, scope_id, object_id, at_us FROM change WHERE seq > $1 ORDER BY seq";

/* The next n numbers; *first_out is the lowest. Whoever else wants one waits until this transaction ends. */
static int take(struct store *s, int64_t n, int64_t *first_out, struct err *e)
{
    int64_t seq = 0;

    if (row_i64(s->main, take_sql, (struct db_val[]){dbv_i64(n)}, 1, &seq, e) < 0)
        return -1;
    if (seq == 0)
        return err_set(e, ERR_CORRUPT, "the change feed has lost its head");
    *first_out = seq - n + 1;
    return 0;
}

static int put(struct store *s, int64_t seq, enum change_kind kind, const struct store_scope *scope,
               const struct uuid *object, int64_t now_us, struct err *e)
{
    struct db_val vals[] = {dbv_i64(seq),
                            dbv_word(change_kind_words, (int)kind),
                            dbv_word(scope_kind_words, (int)scope->kind),
                            dbv_uuid(&scope->id),
                            dbv_uuid_or_null(object),
                            dbv_i64(now_us)};

    return db_run(s->main, insert_sql, vals, COUNT(vals), NULL, e);
}

/* Now and then, when a multiple of TRIM_EVERY was among the last n numbers. */
static int trim(struct store *s, int64_t seq, int64_t n, int64_t now_us, struct err *e)
{
    struct db_val vals[] = {dbv_i64(seq - CHANGE_KEEP), dbv_i64(now_us - CHANGE_KEEP_US)};

    if (seq / TRIM_EVERY == (seq - n) / TRIM_EVERY)
        return 0;
    return db_run(s->main, trim_sql, vals, COUNT(vals), NULL, e);
}

int store_change_hold(struct store *s, struct err *e) { return db_run(s->main, hold_sql, NULL, 0, NULL, e); }

int store_change_note(struct store *s, enum change_kind kind, struct store_scope scope, const struct uuid *object,
                      struct err *e)
{
    int64_t seq = 0, now = clock_wall_us();

    if (take(s, 1, &seq, e) < 0 || trim(s, seq, 1, now, e) < 0)
        return -1;
    return put(s, seq, kind, &scope, object, now, e);
}

int store_change_note_scopes(struct store *s, enum change_kind kind, const struct store_scope *scopes, size_t n,
                             struct err *e)
{
    int64_t first = 0, now = clock_wall_us();

    if (n == 0)
        return 0;
    if (take(s, (int64_t)n, &first, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (put(s, first + (int64_t)i, kind, &scopes[i], NULL, now, e) < 0)
            return -1;
    return trim(s, first + (int64_t)n - 1, (int64_t)n, now, e);
}

int store_change_head(struct store *s, int64_t *seq_out, struct err *e)
{
    *seq_out = 0;
    return row_i64(s->main, head_sql, NULL, 0, seq_out, e) < 0 ? -1 : 0;
}

struct change_list {
    store_change_fn fn;
    void           *ctx;
    int64_t         next; /* the number that has to come: there are no holes */
    bool            gap;
};

static int each_change(void *arg, struct db_rows *r)
{
    struct change_list *l = arg;
    struct store_change c = {.seq = db_i64(r, 0), .at_us = db_i64(r, 5), .has_object = !db_is_null(r, 4)};

    l->gap = c.seq != l->next++;
    if (l->gap)
        return 1;
    c.kind = (enum change_kind)col_word(r, 1, change_kind_words);
    c.scope.kind = (enum scope_kind)col_word(r, 2, scope_kind_words);
    c.scope.id = col_uuid(r, 3);
    c.object = col_uuid(r, 4);
    return l->fn(l->ctx, &c);
}

int store_changes(struct store *s, int64_t after_seq, bool *gap_out, store_change_fn fn, void *ctx, struct err *e)
{
    struct change_list l = {fn, ctx, after_seq + 1, false};
    int64_t            head;

    *gap_out = false;
    if (store_change_head(s, &head, e) < 0)
        return -1;
    if (head == after_seq)
        return 0;
    if (head > after_seq &&
        row_each(s->main, after_sql, (struct db_val[]){dbv_i64(after_seq)}, 1, each_change, &l, e) < 0)
        return -1;
    *gap_out = l.gap || l.next == after_seq + 1;
    return 0;
}
