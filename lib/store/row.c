/* lib/store/row.c - between rows and structs. */
#include "store/row.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "store/audit.h"

struct uuid col_uuid(struct db_rows *r, int column)
{
    struct span s = db_text(r, column);
    struct uuid u = {{0}};

    if (s.n == sizeof u.b)
        memcpy(u.b, s.p, sizeof u.b);
    return u;
}

void col_str(struct db_rows *r, int column, char *out, size_t size)
{
    struct span s = db_text(r, column);
    size_t      n = s.n < size ? s.n : size - 1;

    if (n > 0)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

int word_index(const char *const *words, struct span s)
{
    for (int i = 0; words[i] != NULL; i++)
        if (span_is(s, words[i]))
            return i;
    return -1;
}

int col_word(struct db_rows *r, int column, const char *const *words) { return word_index(words, db_text(r, column)); }

int row_first(struct db *db, const char *sql, const struct db_val *vals, size_t n, struct db_rows **out, struct err *e)
{
    int rc;

    if (db_query(db, sql, vals, n, out, e) < 0)
        return -1;
    if ((rc = db_next(*out, e)) <= 0)
        db_rows_free(out);
    return rc;
}

int row_i64(struct db *db, const char *sql, const struct db_val *vals, size_t n, int64_t *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(db, sql, vals, n, &r, e);

    if (rc > 0) {
        *out = db_i64(r, 0);
        db_rows_free(&r);
    }
    return rc;
}

int row_each(struct db *db, const char *sql, const struct db_val *vals, size_t n,
             int (*each)(void *ctx, struct db_rows *r), void *ctx, struct err *e)
{
    struct db_rows *r;
    int             rc;

    if (db_query(db, sql, vals, n, &r, e) < 0)
        return -1;
    while ((rc = db_next(r, e)) > 0)
        if (each(ctx, r) != 0) {
            rc = 0;
            break;
        }
    db_rows_free(&r);
    return rc;
}

int row_change_one(struct store *s, const char *sql, const struct db_val *vals, size_t n, const char *what,
                   struct err *e)
{
    int64_t changed;

    if (db_run(s->main, sql, vals, n, &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_NOT_FOUND, "there is no such %s", what);
}

int row_begin(struct store *s, bool *mine_out, struct err *e)
{
    *mine_out = !db_in_transaction(s->main);
    return *mine_out ? db_begin(s->main, e) : 0;
}

int row_end(struct store *s, bool mine, int rc, struct err *e)
{
    if (!mine)
        return rc;
    if (rc == 0)
        rc = db_commit(s->main, e);
    if (rc < 0)
        db_rollback(s->main);
    return rc;
}

bool is_storable(struct span s) { return span_chr(s, '\0') == s.n && utf8_valid(s); }

int check_text(struct span s, size_t min, size_t max, const char *what, struct err *e)
{
    if (s.n < min)
        return err_set(e, ERR_INVALID, "%s is missing", what);
    if (s.n > max)
        return err_set(e, ERR_INVALID, "%s has %zu bytes, at most %zu", what, s.n, max);
    if (!utf8_valid(s))
        return err_set(e, ERR_INVALID, "%s is not UTF-8", what);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return err_at(e, i, "%s has a control character at byte %zu", what, i);
    return 0;
}

int say_conflict(struct err *e, const char *fmt, ...)
{
    char    text[sizeof e->text];
    va_list ap;

    if (e == NULL || e->code != ERR_CONFLICT)
        return -1;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_CONFLICT, "%s", text);
}

int payload_note(struct store *s, const struct actor *by, struct store_scope scope, const struct payload_change *c,
                 struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, 3 * PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    if (c->before != NULL)
        c->put(&b, "before", c->before);
    if (c->after != NULL)
        c->put(&b, "after", c->after);
    json_close(&b, '}');
    rc = store_audit_note(s, by, c->action, c->kind, &c->id, scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}
