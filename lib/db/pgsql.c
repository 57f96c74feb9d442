/* lib/db/pgsql.c - PostgreSQL behind db.h; the only includer of libpq-fe.h.
 *
 * Statements are prepared on first use and forgotten with their connection. Results come in binary, one row at a
 * time. A connection that was lost is made anew at the next call, except inside a transaction, which is lost
 * with it and has to be rolled back by who began it. */
#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "db/driver.h"

#define BATCH_WINDOW 1000 /* rows on the way before their answers are read */
#define NAME_BYTES 40
#define REST_STEPS 100
#define REST_MS 10
#define SILENCE_MS 2000 /* a server that is there ends a statement at its timeout, and says so within this */
#define TEXT_OF(n) TEXT_OF_(n)
#define TEXT_OF_(n) #n

/* Owns the connection, url and result. */
struct pg {
    struct db  db;
    PGconn    *c;
    char      *url;
    PGresult  *row; /* of the open cursor: the row that db_next() has yielded */
    bool       listening;
    bool       silent;  /* the connection was given up because nothing came */
    size_t     pending; /* rows of the batch that are not answered yet */
    uintptr_t  serial;  /* of the statement prepared last: names are not used again */
    char       batch_name[NAME_BYTES];
    struct err batch_err; /* the first of the batch */
};

/* What PQexecPrepared wants: ints and floats as text, the rest as the bytes they are. */
struct pg_params {
    const char *values[DB_PARAMS_MAX];
    int         lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX];
    char        text[DB_PARAMS_MAX][32];
};

/* pg_type.h's numbers, fixed for ever. */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_FLOAT4 = 700, OID_FLOAT8 = 701, OID_OID = 26 };

static struct pg *pg_of(struct db *db) { return (struct pg *)db; }

/* By class (two characters) or whole state; the first that is a prefix holds. */
static const struct {
    const char   *state;
    enum err_code code;
} states[] = {
    {"23505", ERR_CONFLICT}, {"23", ERR_INVALID},   {"22", ERR_INVALID}, {"40", ERR_CONFLICT}, {"53100", ERR_FULL},
    {"53300", ERR_BUSY},     {"53400", ERR_LIMIT},  {"53", ERR_FULL},    {"55P03", ERR_BUSY},  {"57014", ERR_TIMEOUT},
    {"57P", ERR_LOST},       {"08", ERR_LOST},      {"25P03", ERR_LOST}, {"25P04", ERR_LOST},  {"XX001", ERR_CORRUPT},
    {"XX002", ERR_CORRUPT},  {"42501", ERR_DENIED}, {"28", ERR_DENIED},  {"54", ERR_LIMIT},    {"0A000", ERR_BUSY},
};

static enum err_code code_of(const char *state, bool lost)
{
    for (size_t i = 0; state != NULL && i < COUNT(states); i++)
        if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
            return states[i].code;
    return lost ? ERR_LOST : ERR_IO;
}

/* libpq ends its messages with line feeds, and some have several lines: the first says it. */
static struct span first_line(const char *message)
{
    struct span rest = span_trim(span_of(message)), line = SPAN_NONE;

    span_line(&rest, &line);
    return line;
}

static void forget_statements(struct pg *p) { memset(&p->db.statements, 0, sizeof p->db.statements); }

static int failed(struct pg *p, const PGresult *res, const char *doing, struct err *e)
{
    bool          lost = p->c == NULL || PQstatus(p->c) == CONNECTION_BAD;
    const char   *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char   *primary = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    struct span   text = first_line(primary ? primary : p->c ? PQerrorMessage(p->c) : "no connection");
    enum err_code code = code_of(state, lost);

    if (state != NULL && strcmp(state, "0A000") == 0)
        forget_statements(p); /* a plan that a migration has made obsolete */
    if (lost && p->silent)
        return err_set(e, ERR_LOST, "%s in PostgreSQL: it has not answered for %lld s", doing,
                       (long long)(p->db.timeout_ms + SILENCE_MS) / 1000);
    err_set(e, code, "%s in PostgreSQL: %.*s%s%s%s", doing, SPAN_ARG(text), state ? " (" : "", state ? state : "",
            state ? ")" : "");
    return -1;
}

/* Until a result can be had without waiting. libpq itself would wait without an end for a server that is frozen or cut off:
 * after the time that a statement may take its connection is closed underneath, and libpq finds it lost. */
static void await_result(struct pg *p)
{
    int64_t limit_us = (p->db.timeout_ms + SILENCE_MS) * 1000, until = clock_mono_us() + limit_us;

    while (PQisBusy(p->c)) {
        struct pollfd fd = {.fd = PQsocket(p->c), .events = POLLIN};
        int64_t       left_ms = (until - clock_mono_us() + 999) / 1000;

        if (left_ms <= 0) {
            p->silent = true;
            shutdown(fd.fd, SHUT_RDWR);
            return;
        }
        if (poll(&fd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms) <= 0)
            continue;
        if (!PQconsumeInput(p->c))
            return;
        until = clock_mono_us() + limit_us;
    }
}

static PGresult *next_result(struct pg *p)
{
    await_result(p);
    return PQgetResult(p->c);
}

/* The last of what comes, as PQexec() would give it; NULL when it could not even be sent. */
static PGresult *last_result(struct pg *p, int sent)
{
    PGresult *last = NULL, *res;

    while (sent && (res = next_result(p)) != NULL) {
        PQclear(last);
        last = res;
    }
    return last;
}

static PGresult *exec_script(struct pg *p, const char *sql) { return last_result(p, PQsendQuery(p->c, sql)); }

/* Takes res. */
static int expect(struct pg *p, PGresult *res, ExecStatusType want, const char *doing, struct err *e)
{
    int rc = 0;

    if (PQresultStatus(res) != want)
        rc = failed(p, res, doing, e);
    PQclear(res);
    return rc;
}

static int exec_simple(struct pg *p, const char *sql, const char *doing, struct err *e)
{
    return expect(p, exec_script(p, sql), PGRES_COMMAND_OK, doing, e);
}

static int apply_timeout(struct pg *p, struct err *e)
{
    char sql[64];

    snprintf(sql, sizeof sql, "SET statement_timeout = %lld", (long long)p->db.timeout_ms);
    return exec_simple(p, sql, "cannot set the timeout", e);
}

static void no_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

static const char session_sql[] =
    "SET client_encoding = 'UTF8'; SET TIME ZONE 'UTC'; SET standard_conforming_strings = on;"
    " SET idle_in_transaction_session_timeout = 300000; SET client_min_messages = warning;"
    " SET jit = off;" /* our statements are short: to compile one takes longer than to run it */
    " SET lock_timeout = %d; SET search_path = %s";

static int set_up_session(struct pg *p, struct err *e)
{
    char sql[512];

    PQsetNoticeReceiver(p->c, no_notice, NULL);
    snprintf(sql, sizeof sql, session_sql, DB_BUSY_MS, p->db.part == DB_MAIN ? "postern" : "postern_log");
    if (exec_simple(p, sql, "cannot set the session up", e) < 0)
        return -1;
    return apply_timeout(p, e);
}

static int connect_now(struct pg *p, struct err *e)
{
    static const char *const keys[] = {"dbname",           "connect_timeout",           "keepalives",
                                       "keepalives_idle",  "keepalives_interval",       "keepalives_count",
                                       "tcp_user_timeout", "fallback_application_name", NULL};
    const char              *values[] = {p->url, TEXT_OF(DB_CONNECT_S), "1", "30", "10", "3", "30000", "postern", NULL};

    PQfinish(p->c);
    forget_statements(p);
    p->listening = p->silent = false;
    p->c = PQconnectdbParams(keys, values, 1);
    if (PQstatus(p->c) != CONNECTION_OK) {
        /* Without a state to go by: who is refused is told so, everything else may be tried again. */
        struct span text = first_line(PQerrorMessage(p->c));
        bool        denied = span_find(text, SPAN("authentication failed")) < text.n ||
                      span_find(text, SPAN("pg_hba")) < text.n;

        return err_set(e, denied ? ERR_DENIED : ERR_LOST, "cannot connect to PostgreSQL: %.*s", SPAN_ARG(text));
    }
    return set_up_session(p, e);
}

/* Called first by everything: a lost connection is made anew, unless a transaction was lost with it. */
static int connected(struct pg *p, struct err *e)
{
    if (p->c != NULL && PQstatus(p->c) == CONNECTION_OK)
        return 0;
    if (p->db.in_transaction)
        return err_set(e, ERR_LOST, "the connection to PostgreSQL was lost in the middle of a transaction");
    return connect_now(p, e);
}

static void statement_name(uintptr_t serial, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "s%llu", (unsigned long long)serial);
}

static int prepare(struct pg *p, const char *sql, char name_out[NAME_BYTES], struct err *e)
{
    struct db_statement *slot = db_statement_slot(&p->db.statements, sql);

    if (slot->sql != NULL) {
        statement_name((uintptr_t)slot->prepared, name_out);
        return 0;
    }
    statement_name(++p->serial, name_out);
    if (p->db.statements.n >= DB_STATEMENTS_MAX / 2)
        panic("too many statements: is their text constant? %s", sql);
    if (expect(p, last_result(p, PQsendPrepare(p->c, name_out, sql, 0, NULL)), PGRES_COMMAND_OK,
               "cannot prepare a statement", e) < 0)
        return -1;
    slot->sql = sql;
    slot->prepared = (void *)p->serial;
    p->db.statements.n++;
    return 0;
}

/* In a transaction that has failed the server keeps it: that costs a little memory of its own until the connection ends. */
static void pg_forget(struct db *db, struct db_statement *slot)
{
    struct pg *p = pg_of(db);
    char       name[NAME_BYTES], sql[NAME_BYTES + 16];

    statement_name((uintptr_t)slot->prepared, name);
    snprintf(sql, sizeof sql, "DEALLOCATE %s", name);
    if (PQstatus(p->c) == CONNECTION_OK)
        PQclear(exec_script(p, sql));
}

static void fill_params(struct pg_params *out, const struct db_val *vals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out->lengths[i] = out->formats[i] = 0;
        out->values[i] = out->text[i];
        switch (vals[i].type) {
        case DB_NULL: out->values[i] = NULL; break;
        case DB_I64: snprintf(out->text[i], sizeof out->text[i], "%lld", (long long)vals[i].i); break;
        case DB_F64: snprintf(out->text[i], sizeof out->text[i], "%.17g", vals[i].f); break;
        case DB_TEXT:
        case DB_BLOB:
            out->values[i] = vals[i].s.p ? vals[i].s.p : "";
            out->lengths[i] = (int)vals[i].s.n;
            out->formats[i] = 1;
            break;
        }
    }
}

/* libpq counts bytes in int. */
static int check_sizes(const struct db_val *vals, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if ((vals[i].type == DB_TEXT || vals[i].type == DB_BLOB) && vals[i].s.n > INT_MAX / 2)
            return err_set(e, ERR_LIMIT, "a value of %zu bytes is too large for the database", vals[i].s.n);
    return 0;
}

static int pg_run(struct db *db, const char *sql, const struct db_val *vals, size_t n, int64_t *changed, struct err *e)
{
    struct pg       *p = pg_of(db);
    struct pg_params params;
    char             name[NAME_BYTES];
    PGresult        *res;
    ExecStatusType   status;
    int              rc = 0;

    if (connected(p, e) < 0 || check_sizes(vals, n, e) < 0 || prepare(p, sql, name, e) < 0)
        return -1;
    fill_params(&params, vals, n);
    res = last_result(p, PQsendQueryPrepared(p->c, name, (int)n, params.values, params.lengths, params.formats, 1));
    status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        rc = failed(p, res, "cannot run a statement", e);
    else if (changed != NULL)
        *changed = strtoll(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    return rc;
}

static int pg_script(struct db *db, const char *sql, struct err *e)
{
    struct pg     *p = pg_of(db);
    PGresult      *res;
    ExecStatusType status;
    int            rc = 0;

    if (connected(p, e) < 0)
        return -1;
    res = exec_script(p, sql);
    status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        rc = failed(p, res, "cannot run a script", e);
    PQclear(res);
    return rc;
}

static int pg_query(struct db *db, const char *sql, const struct db_val *vals, size_t n, struct db_rows **out,
                    struct err *e)
{
    struct pg       *p = pg_of(db);
    struct pg_params params;
    char             name[NAME_BYTES];

    if (connected(p, e) < 0 || check_sizes(vals, n, e) < 0 || prepare(p, sql, name, e) < 0)
        return -1;
    fill_params(&params, vals, n);
    if (!PQsendQueryPrepared(p->c, name, (int)n, params.values, params.lengths, params.formats, 1))
        return failed(p, NULL, "cannot send a query", e);
    PQsetSingleRowMode(p->c);
    if ((*out = calloc(1, sizeof **out)) == NULL)
        panic("out of memory");
    return 0;
}

static int pg_next(struct db_rows *r, struct err *e)
{
    struct pg *p = pg_of(r->db);
    int        rc;

    PQclear(p->row);
    if ((p->row = next_result(p)) == NULL)
        return PQstatus(p->c) == CONNECTION_OK ? 0 : failed(p, NULL, "cannot read rows", e);
    switch (PQresultStatus(p->row)) {
    case PGRES_SINGLE_TUPLE: return 1;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK: return 0;
    default:
        rc = failed(p, p->row, "cannot read rows", e);
        PQclear(p->row);
        p->row = NULL;
        return rc;
    }
}

static bool pg_is_null(struct db_rows *r, int column) { return PQgetisnull(pg_of(r->db)->row, 0, column) == 1; }

static struct span pg_text(struct db_rows *r, int column)
{
    PGresult *row = pg_of(r->db)->row;

    if (PQgetisnull(row, 0, column))
        return SPAN_NONE;
    return span_make(PQgetvalue(row, 0, column), (size_t)PQgetlength(row, 0, column));
}

static uint64_t big_endian(const char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

static int64_t pg_i64(struct db_rows *r, int column)
{
    PGresult   *row = pg_of(r->db)->row;
    const char *p = PQgetvalue(row, 0, column);

    if (PQgetisnull(row, 0, column))
        return 0;
    switch (PQftype(row, column)) {
    case OID_INT8: return (int64_t)big_endian(p, 8);
    case OID_INT4: return (int32_t)big_endian(p, 4);
    case OID_OID: return (int64_t)big_endian(p, 4);
    case OID_INT2: return (int16_t)big_endian(p, 2);
    case OID_BOOL: return *p;
    }
    panic("column %d is no integer (type %u): CAST it AS BIGINT", column, PQftype(row, column));
}

static double pg_f64(struct db_rows *r, int column)
{
    PGresult   *row = pg_of(r->db)->row;
    const char *p = PQgetvalue(row, 0, column);
    uint64_t    bits;
    uint32_t    bits32;
    double      d;
    float       f;

    if (PQgetisnull(row, 0, column))
        return 0;
    switch (PQftype(row, column)) {
    case OID_FLOAT8:
        bits = big_endian(p, 8);
        memcpy(&d, &bits, sizeof d);
        return d;
    case OID_FLOAT4:
        bits32 = (uint32_t)big_endian(p, 4);
        memcpy(&f, &bits32, sizeof f);
        return f;
    }
    return (double)pg_i64(r, column);
}

/* Reads what has come already and what comes at once, such as the end behind the one row that there is. False: there is more. */
static bool rest_is_short(struct pg *p)
{
    for (int i = 0; i < REST_STEPS; i++) {
        struct pollfd fd = {.fd = PQsocket(p->c), .events = POLLIN};
        PGresult     *res;

        if (PQisBusy(p->c)) {
            if (poll(&fd, 1, REST_MS) <= 0 || !PQconsumeInput(p->c))
                return false;
            continue;
        }
        if ((res = PQgetResult(p->c)) == NULL)
            return true;
        PQclear(res);
    }
    return false;
}

/* Who stops early would otherwise read all that the server still wants to send: tell it to stop first. That takes the server a new
 * connection, and us longer than a query does: not where there is hardly anything left. */
static void pg_rows_free(struct db_rows *r)
{
    struct pg *p = pg_of(r->db);
    PGcancel  *cancel;
    PGresult  *res;
    char       why[256];

    PQclear(p->row);
    p->row = NULL;
    if (!r->ended && PQtransactionStatus(p->c) == PQTRANS_ACTIVE && !r->db->in_transaction && !rest_is_short(p) &&
        (cancel = PQgetCancel(p->c)) != NULL) {
        PQcancel(cancel, why, sizeof why);
        PQfreeCancel(cancel);
    }
    while ((res = next_result(p)) != NULL)
        PQclear(res);
    free(r);
}

static int pg_begin(struct db *db, bool reads, struct err *e)
{
    struct pg *p = pg_of(db);

    if (connected(p, e) < 0)
        return -1;
    return exec_simple(p, reads ? "BEGIN READ ONLY" : "BEGIN", "cannot begin a transaction", e);
}

/* COMMIT of a transaction that failed is answered with ROLLBACK, and no error. */
static int pg_commit(struct db *db, struct err *e)
{
    struct pg *p = pg_of(db);
    PGresult  *res;
    int        rc = 0;

    if (connected(p, e) < 0)
        return -1;
    res = exec_script(p, "COMMIT");
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        rc = failed(p, res, "cannot commit", e);
    else if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
        rc = err_set(e, ERR_CONFLICT, "PostgreSQL has rolled the transaction back");
    PQclear(res);
    return rc;
}

static void pg_rollback(struct db *db)
{
    struct pg *p = pg_of(db);

    if (p->c != NULL && PQstatus(p->c) == CONNECTION_OK)
        PQclear(exec_script(p, "ROLLBACK"));
}

static int pg_batch_begin(struct db *db, const char *sql, struct err *e)
{
    struct pg *p = pg_of(db);

    if (connected(p, e) < 0 || prepare(p, sql, p->batch_name, e) < 0)
        return -1;
    if (!PQenterPipelineMode(p->c) || PQsetnonblocking(p->c, 1) != 0)
        return failed(p, NULL, "cannot begin a batch", e);
    p->pending = 0;
    p->batch_err = ERR_INIT;
    return 0;
}

/* Writes what libpq still holds, reading meanwhile: a server whose answers nobody takes stops taking ours. */
static int flush_all(struct pg *p)
{
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(p->c), .events = POLLIN | POLLOUT};
        int           rc = PQflush(p->c);

        if (rc <= 0)
            return rc;
        if (poll(&fd, 1, (int)p->db.timeout_ms) <= 0)
            return -1;
        if ((fd.revents & POLLIN) && !PQconsumeInput(p->c))
            return -1;
    }
}

/* Reads every answer up to the sync; keeps the first error. */
static int drain(struct pg *p)
{
    bool synced = false;

    if (!PQpipelineSync(p->c) || flush_all(p) < 0)
        return failed(p, NULL, "cannot send a batch", &p->batch_err);
    while (!synced) {
        PGresult      *res = next_result(p);
        ExecStatusType status = PQresultStatus(res);

        if (PQstatus(p->c) != CONNECTION_OK && res == NULL)
            return failed(p, NULL, "cannot read the answers of a batch", &p->batch_err);
        synced = status == PGRES_PIPELINE_SYNC;
        if (res != NULL && status == PGRES_FATAL_ERROR && p->batch_err.code == ERR_NONE)
            failed(p, res, "cannot run a batch", &p->batch_err);
        PQclear(res);
    }
    p->pending = 0;
    return p->batch_err.code == ERR_NONE ? 0 : -1;
}

static int pg_batch_add(struct db *db, const struct db_val *vals, size_t n, struct err *e)
{
    struct pg       *p = pg_of(db);
    struct pg_params params;

    if (check_sizes(vals, n, e) < 0)
        return -1;
    fill_params(&params, vals, n);
    if (!PQsendQueryPrepared(p->c, p->batch_name, (int)n, params.values, params.lengths, params.formats, 1))
        return failed(p, NULL, "cannot send a row", e);
    if (++p->pending < BATCH_WINDOW || drain(p) == 0)
        return 0;
    if (e != NULL)
        *e = p->batch_err;
    return -1;
}

static int pg_batch_end(struct db *db, struct err *e)
{
    struct pg *p = pg_of(db);
    int        rc = 0;

    if (p->pending > 0 && PQstatus(p->c) == CONNECTION_OK)
        drain(p);
    if (PQstatus(p->c) == CONNECTION_OK && (!PQexitPipelineMode(p->c) || PQsetnonblocking(p->c, 0) != 0))
        failed(p, NULL, "cannot end a batch", &p->batch_err);
    if (PQstatus(p->c) != CONNECTION_OK && p->batch_err.code == ERR_NONE)
        failed(p, NULL, "cannot end a batch", &p->batch_err);
    if (p->batch_err.code != ERR_NONE) {
        rc = -1;
        if (e != NULL)
            *e = p->batch_err;
    }
    return rc;
}

/* Takes every notice that has come; were there any? */
static bool take_notices(struct pg *p)
{
    bool      any = false;
    PGnotify *n;

    while ((n = PQnotifies(p->c)) != NULL) {
        any = true;
        PQfreemem(n);
    }
    return any;
}

/* Whoever begins to listen cannot know what happened just before: that counts as a change. */
static int pg_wait_change(struct db *db, int64_t timeout_ms, struct err *e)
{
    struct pg *p = pg_of(db);
    int64_t    until = clock_mono_us() + timeout_ms * 1000;

    if (connected(p, e) < 0)
        return -1;
    if (!p->listening) {
        if (exec_simple(p, "LISTEN postern_change", "cannot listen", e) < 0)
            return -1;
        p->listening = true;
        return 1;
    }
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(p->c), .events = POLLIN};
        int64_t       left_ms = (until - clock_mono_us() + 999) / 1000;

        if (!PQconsumeInput(p->c))
            return failed(p, NULL, "cannot listen", e);
        if (take_notices(p))
            return 1;
        if (left_ms <= 0)
            return 0;
        if (poll(&fd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms) < 0 && errno != EINTR)
            return err_errno(e, "wait for PostgreSQL");
    }
}

static void pg_set_timeout(struct db *db)
{
    struct pg *p = pg_of(db);
    struct err ignored;

    if (p->c != NULL && PQstatus(p->c) == CONNECTION_OK)
        apply_timeout(p, &ignored);
}

/* One that was lost since the last call is made anew at once; one of a server that is silent is not. */
static int pg_ping(struct db *db, struct err *e)
{
    struct pg *p = pg_of(db);
    bool       was = p->c != NULL && PQstatus(p->c) == CONNECTION_OK;
    int        rc = pg_script(db, "SELECT 1", e);

    if (rc < 0 && was && !p->silent && !p->db.in_transaction && PQstatus(p->c) == CONNECTION_BAD)
        rc = pg_script(db, "SELECT 1", e);
    return rc;
}

static void pg_close(struct db *db)
{
    struct pg *p = pg_of(db);

    PQfinish(p->c);
    free(p->url);
    free(p);
}

static const struct db_driver driver = {
    .kind = DB_PGSQL,
    .close = pg_close,
    .set_timeout = pg_set_timeout,
    .ping = pg_ping,
    .run = pg_run,
    .script = pg_script,
    .forget = pg_forget,
    .query = pg_query,
    .next = pg_next,
    .is_null = pg_is_null,
    .i64 = pg_i64,
    .f64 = pg_f64,
    .text = pg_text,
    .rows_free = pg_rows_free,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .batch_begin = pg_batch_begin,
    .batch_add = pg_batch_add,
    .batch_end = pg_batch_end,
    .wait_change = pg_wait_change,
};

int db_pgsql_open(const char *url, enum db_part part, struct db **out, struct err *e)
{
    struct pg *p = calloc(1, sizeof *p);

    if (p == NULL)
        panic("out of memory");
    p->db = (struct db){.driver = &driver, .part = part, .timeout_ms = DB_STATEMENT_MS};
    p->url = span_strdup(span_of(url));
    if (connect_now(p, e) < 0) {
        pg_close(&p->db);
        return -1;
    }
    *out = &p->db;
    return 0;
}
