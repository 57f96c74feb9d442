/* lib/db/sqlite.c - SQLite behind db.h; the only includer of sqlite3.h.
 *
 * The file is 0600 and WAL. BEGIN is IMMEDIATE, so a transaction that will write waits at its start, where
 * waiting is harmless, and never finds in its middle that its snapshot is old. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "db/driver.h"

#define PROGRESS_OPS 20000 /* virtual machine steps between two looks at the clock: well under 1 ms */
#define SETUP_REST_NS 10000000

/* Owns the handle and the statements. `path` is for messages. */
struct lite {
    struct db db;
    sqlite3  *h;
    char      path[PATH_MAX];
    int64_t   deadline_us;  /* monotonic; of the statement that runs */
    int64_t   seen_version; /* PRAGMA data_version as last looked at */
};
/* A statement and which of our $n its parameters are, in its own order. */
struct lite_stmt {
    sqlite3_stmt *stmt;
    int           nparams;
    uint8_t       param[DB_PARAMS_MAX];
};
struct lite_rows {
    struct db_rows rows;
    sqlite3_stmt  *stmt;
};

static const char version_sql[] = "PRAGMA data_version";

static struct lite *lite_of(struct db *db) { return (struct lite *)db; }

static const struct {
    enum err_code code;
    const char   *cure;
} cures[] = {
    {ERR_FULL, "no space is left for it"},
    {ERR_BUSY, "somebody else holds its lock"},
    {ERR_TIMEOUT, "it took too long"},
    {ERR_CORRUPT, "restore it from a backup"},
};

static enum err_code code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_FULL: return ERR_FULL;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_ROWID
                   ? ERR_CONFLICT
                   : ERR_INVALID;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR_CORRUPT;
    case SQLITE_INTERRUPT: return ERR_TIMEOUT;
    case SQLITE_TOOBIG: return ERR_LIMIT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return ERR_DENIED;
    }
    return ERR_IO;
}

/* What the system said to the last failure of this file; 0: nothing. */
static int errno_of(sqlite3_file *f)
{
    int n = 0;

    if (f != NULL && f->pMethods != NULL)
        f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &n);
    return n;
}

/* SQLite knows ENOSPC for a full disk, but not a quota or a limit: those say so to the file that was written. */
static bool out_of_space(sqlite3 *h)
{
    sqlite3_file *files[2] = {NULL, NULL};

    sqlite3_file_control(h, "main", SQLITE_FCNTL_FILE_POINTER, &files[0]);
    sqlite3_file_control(h, "main", SQLITE_FCNTL_JOURNAL_POINTER, &files[1]);
    for (size_t i = 0; i < COUNT(files); i++) {
        int n = errno_of(files[i]);

        if (n == ENOSPC || n == EDQUOT || n == EFBIG)
            return true;
    }
    return false;
}

/* Before anything else is called on the handle: the next call overwrites what it knows. */
static int failed(struct lite *l, struct err *e, const char *doing)
{
    int           rc = sqlite3_extended_errcode(l->h);
    enum err_code code = code_of(rc);
    const char   *cure = "";
    char          said[256];

    snprintf(said, sizeof said, "%s", sqlite3_errmsg(l->h));
    if ((rc & 0xff) == SQLITE_IOERR && out_of_space(l->h))
        code = ERR_FULL;
    for (size_t i = 0; i < COUNT(cures); i++)
        if (cures[i].code == code)
            cure = cures[i].cure;
    err_set(e, code, "%s in %s: %s%s%s", doing, l->path, said, *cure ? ": " : "", cure);
    return -1;
}

static int over_deadline(void *arg)
{
    const struct lite *l = arg;

    return clock_mono_us() > l->deadline_us;
}

static void start_clock(struct lite *l) { l->deadline_us = clock_mono_us() + l->db.timeout_ms * 1000; }

/* "$12" is parameter 12. */
static int name_params(struct lite_stmt *s)
{
    s->nparams = sqlite3_bind_parameter_count(s->stmt);
    if (s->nparams > DB_PARAMS_MAX)
        return -1;
    for (int i = 0; i < s->nparams; i++) {
        const char *name = sqlite3_bind_parameter_name(s->stmt, i + 1);
        uint64_t    n;

        if (name == NULL || name[0] != '$' || !span_u64(span_of(name + 1), &n) || n < 1 || n > DB_PARAMS_MAX)
            return -1;
        s->param[i] = (uint8_t)(n - 1);
    }
    return 0;
}

static int prepare(struct lite *l, const char *sql, struct lite_stmt **out, struct err *e)
{
    struct db_statement *slot = db_statement_slot(&l->db.statements, sql);
    struct lite_stmt    *s = slot->prepared;

    if (s != NULL) {
        *out = s;
        return 0;
    }
    if (l->db.statements.n >= DB_STATEMENTS_MAX / 2)
        panic("too many statements: is their text constant? %s", sql);
    if ((s = calloc(1, sizeof *s)) == NULL)
        panic("out of memory");
    if (sqlite3_prepare_v3(l->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) != SQLITE_OK) {
        free(s);
        return failed(l, e, "cannot prepare a statement");
    }
    if (s->stmt == NULL || name_params(s) < 0)
        panic("statement without text or with other parameters than $1, $2: %s", sql);
    slot->sql = sql;
    slot->prepared = s;
    l->db.statements.n++;
    *out = s;
    return 0;
}

static void lite_forget(struct db *db, struct db_statement *slot)
{
    struct lite_stmt *s = slot->prepared;

    (void)db;
    sqlite3_finalize(s->stmt);
    free(s);
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct db_val *v, sqlite3_destructor_type copy)
{
    const char *p = v->s.p ? v->s.p : "";

    switch (v->type) {
    case DB_NULL: return sqlite3_bind_null(stmt, at);
    case DB_I64: return sqlite3_bind_int64(stmt, at, v->i);
    case DB_F64: return sqlite3_bind_double(stmt, at, v->f);
    case DB_TEXT: return sqlite3_bind_text64(stmt, at, p, v->s.n, copy, SQLITE_UTF8);
    case DB_BLOB: return sqlite3_bind_blob64(stmt, at, p, v->s.n, copy);
    }
    return SQLITE_MISUSE;
}

static int bind_all(struct lite *l, struct lite_stmt *s, const struct db_val *vals, size_t n,
                    sqlite3_destructor_type copy, struct err *e)
{
    for (int i = 0; i < s->nparams; i++) {
        if (s->param[i] >= n)
            panic("parameter $%d is missing: %s", s->param[i] + 1, sqlite3_sql(s->stmt));
        if (bind_one(s->stmt, i + 1, &vals[s->param[i]], copy) != SQLITE_OK)
            return failed(l, e, "cannot bind a value");
    }
    return 0;
}

static void release(sqlite3_stmt *stmt)
{
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

static int run_stmt(struct lite *l, struct lite_stmt *s, const struct db_val *vals, size_t n, int64_t *changed,
                    struct err *e)
{
    int rc;

    start_clock(l);
    if (bind_all(l, s, vals, n, SQLITE_STATIC, e) < 0)
        return -1;
    while ((rc = sqlite3_step(s->stmt)) == SQLITE_ROW)
        ;
    if (rc == SQLITE_DONE && changed != NULL)
        *changed = sqlite3_stmt_readonly(s->stmt) ? 0 : sqlite3_changes64(l->h);
    if (rc != SQLITE_DONE)
        failed(l, e, "cannot run a statement");
    release(s->stmt);
    return rc == SQLITE_DONE ? 0 : -1;
}

static int lite_run(struct db *db, const char *sql, const struct db_val *vals, size_t n, int64_t *changed,
                    struct err *e)
{
    struct lite_stmt *s = NULL;

    if (prepare(lite_of(db), sql, &s, e) < 0)
        return -1;
    return run_stmt(lite_of(db), s, vals, n, changed, e);
}

static int lite_script(struct db *db, const char *sql, struct err *e)
{
    struct lite *l = lite_of(db);

    start_clock(l);
    if (sqlite3_exec(l->h, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failed(l, e, "cannot run a script");
    return 0;
}

static int lite_query(struct db *db, const char *sql, const struct db_val *vals, size_t n, struct db_rows **out,
                      struct err *e)
{
    struct lite      *l = lite_of(db);
    struct lite_stmt *s = NULL;
    struct lite_rows *r;

    if (prepare(l, sql, &s, e) < 0)
        return -1;
    if (bind_all(l, s, vals, n, SQLITE_TRANSIENT, e) < 0) {
        release(s->stmt);
        return -1;
    }
    if ((r = calloc(1, sizeof *r)) == NULL)
        panic("out of memory");
    r->stmt = s->stmt;
    *out = &r->rows;
    return 0;
}

static sqlite3_stmt *stmt_of(struct db_rows *r) { return ((struct lite_rows *)r)->stmt; }

static int lite_next(struct db_rows *r, struct err *e)
{
    struct lite *l = lite_of(r->db);

    start_clock(l);
    switch (sqlite3_step(stmt_of(r))) {
    case SQLITE_ROW: return 1;
    case SQLITE_DONE: return 0;
    }
    return failed(l, e, "cannot read rows");
}

static bool lite_is_null(struct db_rows *r, int column)
{
    return sqlite3_column_type(stmt_of(r), column) == SQLITE_NULL;
}
static int64_t lite_i64(struct db_rows *r, int column) { return sqlite3_column_int64(stmt_of(r), column); }
static double  lite_f64(struct db_rows *r, int column) { return sqlite3_column_double(stmt_of(r), column); }

static struct span lite_text(struct db_rows *r, int column)
{
    const char *p = sqlite3_column_blob(stmt_of(r), column);

    return span_make(p, (size_t)sqlite3_column_bytes(stmt_of(r), column));
}

static void lite_rows_free(struct db_rows *r)
{
    release(stmt_of(r));
    free(r);
}

static const char begin_sql[] = "BEGIN IMMEDIATE", begin_read_sql[] = "BEGIN", commit_sql[] = "COMMIT",
                  rollback_sql[] = "ROLLBACK";

static int lite_begin(struct db *db, bool reads, struct err *e)
{
    return lite_run(db, reads ? begin_read_sql : begin_sql, NULL, 0, NULL, e);
}

static int lite_commit(struct db *db, struct err *e)
{
    /* A full disk or a failed read may have rolled it back already, behind the caller's back. */
    if (sqlite3_get_autocommit(lite_of(db)->h))
        return err_set(e, ERR_IO, "the transaction in %s was rolled back by an earlier failure", lite_of(db)->path);
    return lite_run(db, commit_sql, NULL, 0, NULL, e);
}

static void lite_rollback(struct db *db)
{
    struct err ignored;

    if (!sqlite3_get_autocommit(lite_of(db)->h))
        lite_run(db, rollback_sql, NULL, 0, NULL, &ignored);
}

static int lite_batch_begin(struct db *db, const char *sql, struct err *e)
{
    struct lite_stmt *s = NULL;

    return prepare(lite_of(db), sql, &s, e);
}

static int lite_batch_add(struct db *db, const struct db_val *vals, size_t n, struct err *e)
{
    return lite_run(db, db->batch, vals, n, NULL, e);
}

static int lite_batch_end(struct db *db, struct err *e)
{
    (void)db;
    (void)e;
    return 0;
}

static int data_version(struct lite *l, int64_t *out, struct err *e)
{
    struct db_rows *r;
    int             rc;

    if (lite_query(&l->db, version_sql, NULL, 0, &r, e) < 0)
        return -1;
    r->db = &l->db;
    rc = lite_next(r, e);
    if (rc > 0)
        *out = lite_i64(r, 0);
    lite_rows_free(r);
    return rc > 0 ? 0 : -1;
}

/* The counter moves when another connection commits, in this process or in any other. */
static int lite_wait_change(struct db *db, int64_t timeout_ms, struct err *e)
{
    struct lite *l = lite_of(db);
    int64_t      until = clock_mono_us() + timeout_ms * 1000;

    for (;;) {
        int64_t version, left;

        if (data_version(l, &version, e) < 0)
            return -1;
        if (version != l->seen_version) {
            l->seen_version = version;
            return 1;
        }
        if ((left = until - clock_mono_us()) <= 0)
            return 0;
        poll(NULL, 0, left > DB_POLL_MS * 1000 ? DB_POLL_MS : (int)(left / 1000) + 1);
    }
}

static void lite_set_timeout(struct db *db) { (void)db; } /* read at each start */

/* A file that was deleted or replaced under us would take our writes into nowhere. */
static int lite_ping(struct db *db, struct err *e)
{
    struct lite *l = lite_of(db);
    int64_t      version;
    int          moved = 0;

    if (sqlite3_file_control(l->h, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
        return err_set(e, ERR_LOST, "%s was moved or deleted while in use: restart", l->path);
    return data_version(l, &version, e);
}

static void lite_close(struct db *db)
{
    struct lite *l = lite_of(db);

    for (size_t i = 0; i < DB_STATEMENTS_MAX; i++) {
        struct lite_stmt *s = db->statements.slots[i].prepared;

        if (s != NULL)
            sqlite3_finalize(s->stmt);
        free(s);
    }
    sqlite3_close_v2(l->h);
    free(l);
}

static const struct db_driver driver = {
    .kind = DB_SQLITE,
    .close = lite_close,
    .set_timeout = lite_set_timeout,
    .ping = lite_ping,
    .run = lite_run,
    .script = lite_script,
    .forget = lite_forget,
    .query = lite_query,
    .next = lite_next,
    .is_null = lite_is_null,
    .i64 = lite_i64,
    .f64 = lite_f64,
    .text = lite_text,
    .rows_free = lite_rows_free,
    .begin = lite_begin,
    .commit = lite_commit,
    .rollback = lite_rollback,
    .batch_begin = lite_batch_begin,
    .batch_add = lite_batch_add,
    .batch_end = lite_batch_end,
    .wait_change = lite_wait_change,
};

/* SQLite would make it 0644; its -wal and -shm take the mode of the file. */
static int make_file(const char *path, struct err *e)
{
    char  dir[PATH_MAX];
    char *slash;
    int   fd, above;

    snprintf(dir, sizeof dir, "%s", path);
    if ((slash = strrchr(dir, '/')) != NULL && slash != dir) {
        *slash = '\0';
        if (fd_mkdirs(dir, 0700, e) < 0)
            return -1;
    }
    if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return err_errno(e, "create %s", path);
    above = open(slash == NULL ? "." : slash == dir ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above >= 0) /* SQLite gives -wal and -shm the owner of the file */
        fd_inherit(fd, above);
    fd_close(&above);
    fd_close(&fd);
    return 0;
}

static int find_file(const char *path, bool create, struct err *e)
{
    const char *kind = NULL;
    struct stat st;

    if (fd_on_network(path, &kind))
        return err_set(
            e, ERR_INVALID,
            "%s lies on a network file system (%s), where SQLite's locks do not hold: use a local disk, or PostgreSQL",
            path, kind ? kind : "unknown");
    if (create)
        return make_file(path, e);
    if (stat(path, &st) < 0)
        return err_errno(e, "open the database %s (`postern init` makes it)", path);
    return 0;
}

int db_sqlite_keep_files(struct db *db, struct err *e)
{
    struct lite *l = lite_of(db);
    int          on = 1;

    if (sqlite3_file_control(l->h, "main", SQLITE_FCNTL_PERSIST_WAL, &on) != SQLITE_OK)
        return failed(l, e, "cannot keep the files of the log");
    return 0;
}

static const char setup_sql[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                                "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
                                "PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864;";

/* Several programs that find a new file turn it to WAL at once: there SQLite does not wait by itself, since two readers that want to write
 * would wait for each other. */
static int set_up_session(struct lite *l, struct err *e)
{
    int64_t until_us = clock_mono_us() + DB_BUSY_MS * INT64_C(1000);

    for (;;) {
        struct err why = ERR_INIT;

        if (lite_script(&l->db, setup_sql, &why) == 0)
            return 0;
        if (why.code != ERR_BUSY || clock_mono_us() > until_us) {
            if (e != NULL)
                *e = why;
            return -1;
        }
        nanosleep(&(struct timespec){.tv_nsec = SETUP_REST_NS}, NULL);
    }
}

static int set_up(struct lite *l, struct err *e)
{
    sqlite3_busy_timeout(l->h, DB_BUSY_MS);
    sqlite3_progress_handler(l->h, PROGRESS_OPS, over_deadline, l);
    if (set_up_session(l, e) < 0)
        return -1;
    return data_version(l, &l->seen_version, e);
}

int db_sqlite_open(const char *path, enum db_part part, bool create, struct db **out, struct err *e)
{
    struct lite *l;

    if (find_file(path, create, e) < 0)
        return -1;
    if ((l = calloc(1, sizeof *l)) == NULL)
        panic("out of memory");
    l->db = (struct db){.driver = &driver, .part = part, .timeout_ms = DB_STATEMENT_MS};
    snprintf(l->path, sizeof l->path, "%s", path);
    if (sqlite3_open_v2(path, &l->h, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) !=
        SQLITE_OK) {
        failed(l, e, "cannot open the database");
        goto fail;
    }
    if (set_up(l, e) < 0)
        goto fail;
    *out = &l->db;
    return 0;
fail:
    lite_close(&l->db);
    return -1;
}
