/* lib/db/db.c - the rules that hold for both databases; the work is the drivers'. */
#include "db/db.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "db/driver.h"

#define SQLITE_PREFIX "sqlite:"
#define LOG_FILE "log.db"

static size_t home_of(const char *sql)
{
    return (((uintptr_t)sql >> 3) * 0x9E3779B97F4A7C15u >> 40) % DB_STATEMENTS_MAX;
}

struct db_statement *db_statement_slot(struct db_statements *all, const char *sql)
{
    for (size_t i = home_of(sql);; i++) {
        struct db_statement *s = &all->slots[i % DB_STATEMENTS_MAX];

        if (s->sql == sql || s->sql == NULL)
            return s;
    }
}

/* Empties a slot, and moves up those behind it that would not be found past the gap. */
static void empty_slot(struct db_statements *all, size_t gap)
{
    for (size_t i = (gap + 1) % DB_STATEMENTS_MAX; all->slots[i].sql != NULL; i = (i + 1) % DB_STATEMENTS_MAX) {
        size_t home = home_of(all->slots[i].sql);
        bool   reaches = gap <= i ? home <= gap || home > i : home <= gap && home > i;

        if (!reaches)
            continue;
        all->slots[gap] = all->slots[i];
        gap = i;
    }
    all->slots[gap] = (struct db_statement){0};
    all->n--;
}

/* postern.db is the main file, log.db lies beside it. */
static int sqlite_path(const char *main_path, enum db_part part, char out[PATH_MAX], struct err *e)
{
    const char *slash = strrchr(main_path, '/');
    int         n;

    if (*main_path == '\0')
        return err_set(e, ERR_INVALID, "sqlite: needs a path, as in sqlite:/var/lib/postern/postern.db");
    if (part == DB_MAIN)
        n = snprintf(out, PATH_MAX, "%s", main_path);
    else
        n = snprintf(out, PATH_MAX, "%.*s%s", slash ? (int)(slash - main_path) + 1 : 0, main_path, LOG_FILE);
    if (n >= PATH_MAX)
        return err_set(e, ERR_INVALID, "the path of the database is too long");
    if (part == DB_MAIN && strcmp(slash ? slash + 1 : main_path, LOG_FILE) == 0)
        return err_set(e, ERR_INVALID, "%s cannot be the main database: the log lies beside it under that name",
                       main_path);
    return 0;
}

int db_open(const char *url, enum db_part part, bool create, struct db **out, struct err *e)
{
    struct span s = span_of(url);
    char        path[PATH_MAX];

    *out = NULL;
    if (span_starts(s, SPAN(SQLITE_PREFIX))) {
        if (sqlite_path(url + strlen(SQLITE_PREFIX), part, path, e) < 0)
            return -1;
        return db_sqlite_open(path, part, create, out, e);
    }
    if (span_starts(s, SPAN("postgresql://")) || span_starts(s, SPAN("postgres://")))
        return db_pgsql_open(url, part, out, e);
    return err_set(e, ERR_INVALID, "the store's url has to start with sqlite: or postgresql://");
}

void db_close(struct db **db)
{
    if (*db == NULL)
        return;
    if ((*db)->rows != NULL)
        panic("database closed under an open cursor");
    (*db)->driver->close(*db);
    *db = NULL;
}

enum db_kind db_kind(const struct db *db) { return db->driver->kind; }
bool         db_in_transaction(const struct db *db) { return db->in_transaction; }

int db_keep_files(struct db *db, struct err *e) { return db_kind(db) == DB_SQLITE ? db_sqlite_keep_files(db, e) : 0; }

void db_set_timeout(struct db *db, int64_t ms)
{
    db->timeout_ms = ms;
    db->driver->set_timeout(db);
}

/* A second use of the connection while a cursor or batch is open is a bug on both, so that the database that
 * would put up with it does not hide it from the one that does not. */
static int may_run(struct db *db, const char *sql, size_t nvals, struct err *e)
{
    if (db->rows != NULL)
        panic("database used while a cursor is open: %s", sql);
    if (db->batch != NULL)
        panic("database used in the middle of a batch: %s", sql);
    if (nvals > DB_PARAMS_MAX)
        panic("statement with %zu parameters, at most %d", nvals, DB_PARAMS_MAX);
    if (db->failed)
        return err_set(e, ERR_CONFLICT, "the transaction has failed already and waits for its rollback");
    return 0;
}

/* What went wrong inside a transaction has ended it, on both databases alike. */
static int noted(struct db *db, int rc)
{
    if (rc < 0 && db->in_transaction)
        db->failed = true;
    return rc;
}

int db_ping(struct db *db, struct err *e)
{
    if (may_run(db, "ping", 0, e) < 0)
        return -1;
    return noted(db, db->driver->ping(db, e));
}

int db_run(struct db *db, const char *sql, const struct db_val *vals, size_t nvals, int64_t *changed_out, struct err *e)
{
    if (changed_out != NULL)
        *changed_out = 0;
    if (may_run(db, sql, nvals, e) < 0)
        return -1;
    return noted(db, db->driver->run(db, sql, vals, nvals, changed_out, e));
}

int db_script(struct db *db, const char *sql, struct err *e)
{
    if (may_run(db, sql, 0, e) < 0)
        return -1;
    return noted(db, db->driver->script(db, sql, e));
}

int db_query(struct db *db, const char *sql, const struct db_val *vals, size_t nvals, struct db_rows **out,
             struct err *e)
{
    *out = NULL;
    if (may_run(db, sql, nvals, e) < 0)
        return -1;
    if (db->driver->query(db, sql, vals, nvals, out, e) < 0)
        return noted(db, -1);
    (*out)->db = db;
    db->rows = *out;
    return 0;
}

int db_next(struct db_rows *r, struct err *e)
{
    int rc;

    if (r->ended)
        return 0;
    rc = r->db->driver->next(r, e);
    r->ended = rc <= 0;
    return noted(r->db, rc);
}

void db_forget(struct db *db, const char *sql)
{
    struct db_statement *slot = db_statement_slot(&db->statements, sql);

    if (slot->sql == NULL)
        return;
    if (db->rows != NULL || db->batch == sql)
        panic("statement forgotten while it runs: %s", sql);
    db->driver->forget(db, slot);
    empty_slot(&db->statements, (size_t)(slot - db->statements.slots));
}

bool        db_is_null(struct db_rows *r, int column) { return r->db->driver->is_null(r, column); }
int64_t     db_i64(struct db_rows *r, int column) { return r->db->driver->i64(r, column); }
double      db_f64(struct db_rows *r, int column) { return r->db->driver->f64(r, column); }
struct span db_text(struct db_rows *r, int column) { return r->db->driver->text(r, column); }

void db_rows_free(struct db_rows **r)
{
    if (*r == NULL)
        return;
    (*r)->db->rows = NULL;
    (*r)->db->driver->rows_free(*r);
    *r = NULL;
}

static int begin(struct db *db, bool reads, struct err *e)
{
    if (db->in_transaction)
        panic("transaction inside a transaction");
    if (may_run(db, "begin", 0, e) < 0)
        return -1;
    if (db->driver->begin(db, reads, e) < 0)
        return -1;
    db->in_transaction = true;
    return 0;
}

int db_begin(struct db *db, struct err *e) { return begin(db, false, e); }
int db_begin_read(struct db *db, struct err *e) { return begin(db, true, e); }

/* After a commit that failed the transaction is still there, failed, for the caller's rollback. */
int db_commit(struct db *db, struct err *e)
{
    if (!db->in_transaction)
        panic("commit without a transaction");
    if (may_run(db, "commit", 0, e) < 0)
        return -1;
    if (db->driver->commit(db, e) < 0)
        return noted(db, -1);
    db->in_transaction = false;
    return 0;
}

void db_rollback(struct db *db)
{
    struct err ignored;

    if (!db->in_transaction)
        return;
    if (db->rows != NULL)
        panic("rollback under an open cursor");
    if (db->batch != NULL)
        db_batch_end(db, &ignored);
    db->driver->rollback(db);
    db->in_transaction = db->failed = false;
}

int db_batch_begin(struct db *db, const char *sql, struct err *e)
{
    if (!db->in_transaction)
        panic("batch outside a transaction");
    if (may_run(db, sql, 0, e) < 0)
        return -1;
    if (db->driver->batch_begin(db, sql, e) < 0)
        return noted(db, -1);
    db->batch = sql;
    return 0;
}

int db_batch_add(struct db *db, const struct db_val *vals, size_t nvals, struct err *e)
{
    if (db->batch == NULL || nvals > DB_PARAMS_MAX)
        panic("row for a batch that was not begun");
    if (db->failed)
        return err_set(e, ERR_CONFLICT, "the batch has failed already");
    return noted(db, db->driver->batch_add(db, vals, nvals, e));
}

int db_batch_end(struct db *db, struct err *e)
{
    int rc;

    if (db->batch == NULL)
        panic("end of a batch that was not begun");
    rc = db->driver->batch_end(db, e);
    db->batch = NULL;
    return noted(db, rc);
}

int db_wait_change(struct db *db, int64_t timeout_ms, struct err *e)
{
    if (may_run(db, "wait", 0, e) < 0)
        return -1;
    return db->driver->wait_change(db, timeout_ms, e);
}
