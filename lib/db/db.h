/* lib/db/db.h - one small API over SQLite and PostgreSQL.
 *
 * One SQL text serves both: parameters are $1, $2, …; types BIGINT, TEXT, BYTEA, DOUBLE PRECISION, SMALLINT for
 * yes/no; ON CONFLICT … DO UPDATE, RETURNING. A connection belongs to one thread at a time. Statements are
 * prepared once per connection, keyed by the address of their text: SQL is constant text, or is forgotten after use.
 *
 * Errors   ERR_BUSY locked (after the busy timeout of 5 s), ERR_LOST connection gone (the next call reconnects,
 *          unless a transaction was open: that one fails until rolled back), ERR_FULL disk full, ERR_CONFLICT a
 *          unique key or a serialisation failure, ERR_CORRUPT, ERR_VERSION, ERR_INVALID a foreign key or check.
 * Timeouts every statement has one (DB_STATEMENT_MS; db_set_timeout), connecting 5 s. A server that does not answer at all counts as lost
 *          2 s later.
 * SQLite   WAL, synchronous=FULL for main and log, foreign_keys on, files 0600, trusted_schema off, no network
 *          file system. "sqlite:/path/postern.db"; DB_LOG opens log.db beside it.
 * PostgreSQL "postgresql://…"; DB_MAIN is schema postern, DB_LOG schema postern_log (search_path). */
#ifndef POSTERN_DB_DB_H
#define POSTERN_DB_DB_H

#include "base/err.h"

struct db;
struct db_rows;

enum db_part { DB_MAIN, DB_LOG };
enum db_kind { DB_SQLITE, DB_PGSQL };

enum db_type { DB_NULL, DB_I64, DB_F64, DB_TEXT, DB_BLOB };
struct db_val {
    enum db_type type;
    int64_t      i;
    double       f;
    struct span  s; /* borrowed until the call returns */
};
#define DBV_NULL ((struct db_val){.type = DB_NULL})
static inline struct db_val dbv_i64(int64_t i) { return (struct db_val){.type = DB_I64, .i = i}; }
static inline struct db_val dbv_f64(double f) { return (struct db_val){.type = DB_F64, .f = f}; }
static inline struct db_val dbv_text(struct span s) { return (struct db_val){.type = DB_TEXT, .s = s}; }
static inline struct db_val dbv_str(const char *s) { return s ? dbv_text(span_of(s)) : DBV_NULL; }
static inline struct db_val dbv_blob(struct span s) { return (struct db_val){.type = DB_BLOB, .s = s}; }

/* Opens without migrating. create: make the SQLite file and its directory if missing (0600, 0700). */
int          db_open(const char *url, enum db_part part, bool create, struct db **out, struct err *e);
void         db_close(struct db **db);
enum db_kind db_kind(const struct db *db);
#define DB_STATEMENT_MS 30000
void db_set_timeout(struct db *db, int64_t ms);
/* Is it usable right now? Reconnects if it can. */
int db_ping(struct db *db, struct err *e);

/* Runs one statement. *changed_out (may be NULL): rows inserted, updated or deleted. */
int db_run(struct db *db, const char *sql, const struct db_val *vals, size_t nvals, int64_t *changed_out,
           struct err *e);
/* Runs a script of several statements without parameters (migrations). */
int db_script(struct db *db, const char *sql, struct err *e);
/* A text that was put together at run time has to be forgotten before its bytes go away or change; never heard of is fine. Not
 * while its cursor or batch is open. */
void db_forget(struct db *db, const char *sql);

/* A cursor: on PostgreSQL rows come in single-row mode or chunks, never all in memory. Only one open cursor per
 * connection. Column values are valid until the next db_next() or db_rows_free(). */
int         db_query(struct db *db, const char *sql, const struct db_val *vals, size_t nvals, struct db_rows **out,
                     struct err *e);
int         db_next(struct db_rows *r, struct err *e); /* 1 a row, 0 the end, -1 */
bool        db_is_null(struct db_rows *r, int column);
int64_t     db_i64(struct db_rows *r, int column);
double      db_f64(struct db_rows *r, int column);
struct span db_text(struct db_rows *r, int column); /* BYTEA too */
void        db_rows_free(struct db_rows **r);

/* Transactions: BEGIN IMMEDIATE / BEGIN. Not nested. A rollback after ERR_LOST clears the connection.
 * db_begin_read: one that only reads. It keeps nobody from writing, and spares SQLite to lock the file for each statement. */
int  db_begin(struct db *db, struct err *e);
int  db_begin_read(struct db *db, struct err *e);
int  db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);

/* Many runs of one statement, as fast as the database can: prepared statement inside the open transaction on SQLite,
 * libpq pipeline mode on PostgreSQL. Errors may surface later, at the latest in db_batch_end(). No other call on
 * the connection in between. */
int db_batch_begin(struct db *db, const char *sql, struct err *e);
int db_batch_add(struct db *db, const struct db_val *vals, size_t nvals, struct err *e);
int db_batch_end(struct db *db, struct err *e);

/* SQLite: the -wal and -shm files stay when the last connection closes, so that one who may only read can open the database at any
 * time. Nothing to do on PostgreSQL. */
int db_keep_files(struct db *db, struct err *e);

/* Waits until somebody (another connection or process) committed a change: PRAGMA data_version polled every
 * 20 ms, or LISTEN postern_change. 1 changed, 0 timeout, -1. Use a connection of its own. */
int db_wait_change(struct db *db, int64_t timeout_ms, struct err *e);

#endif
