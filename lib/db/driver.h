/* lib/db/driver.h - what db.c asks of each of its two drivers; nobody else includes this.
 *
 * db.c keeps the rules that hold for both (one cursor, no nested transaction, a failed transaction stays failed
 * until it is rolled back), so a driver may assume that it is called in a legal order. */
#ifndef POSTERN_DB_DRIVER_H
#define POSTERN_DB_DRIVER_H

#include "db/db.h"

#define DB_PARAMS_MAX 32
#define DB_STATEMENTS_MAX 1024 /* texts of one connection: a power of two, more is a bug */
#define DB_BUSY_MS 5000
#define DB_CONNECT_S 5
#define DB_POLL_MS 20 /* how often SQLite is asked whether somebody else has written */

/* Prepared statements by the address of their text. The value is the driver's. */
struct db_statements {
    struct db_statement {
        const char *sql;
        void       *prepared;
    } slots[DB_STATEMENTS_MAX];
    size_t n;
};

struct db_driver;
struct db {
    const struct db_driver *driver;
    enum db_part            part;
    bool                    in_transaction, failed; /* failed: nothing but a rollback helps */
    struct db_rows         *rows;                   /* the open cursor, or NULL */
    const char             *batch;                  /* its SQL while a batch runs, or NULL */
    int64_t                 timeout_ms;
    struct db_statements    statements;
};
struct db_rows {
    struct db *db;
    bool       ended;
};

struct db_driver {
    enum db_kind kind;
    void (*close)(struct db *db);
    void (*set_timeout)(struct db *db);
    int (*ping)(struct db *db, struct err *e);
    int (*run)(struct db *db, const char *sql, const struct db_val *vals, size_t n, int64_t *changed, struct err *e);
    int (*script)(struct db *db, const char *sql, struct err *e);
    void (*forget)(struct db *db, struct db_statement *slot); /* frees what was prepared; the slot is emptied by db.c */
    int (*query)(struct db *db, const char *sql, const struct db_val *vals, size_t n, struct db_rows **out,
                 struct err *e);
    int (*next)(struct db_rows *r, struct err *e);
    bool (*is_null)(struct db_rows *r, int column);
    int64_t (*i64)(struct db_rows *r, int column);
    double (*f64)(struct db_rows *r, int column);
    struct span (*text)(struct db_rows *r, int column);
    void (*rows_free)(struct db_rows *r);
    int (*begin)(struct db *db, bool reads, struct err *e); /* reads: it writes nothing */
    int (*commit)(struct db *db, struct err *e);
    void (*rollback)(struct db *db);
    int (*batch_begin)(struct db *db, const char *sql, struct err *e);
    int (*batch_add)(struct db *db, const struct db_val *vals, size_t n, struct err *e);
    int (*batch_end)(struct db *db, struct err *e);
    int (*wait_change)(struct db *db, int64_t timeout_ms, struct err *e);
};

/* The slot of this text: its own, or the free one where it belongs. */
struct db_statement *db_statement_slot(struct db_statements *all, const char *sql);

int db_sqlite_keep_files(struct db *db, struct err *e);
int db_sqlite_open(const char *path, enum db_part part, bool create, struct db **out, struct err *e);
int db_pgsql_open(const char *url, enum db_part part, struct db **out, struct err *e);

#endif
