/* tests/unit/db_db.c - twin of lib/db/db.c: what holds on both databases. */
#include <math.h>

#include "databases.h"

static const char put_sql[] = "INSERT INTO thing (id, i, f, t, b) VALUES ($1, $2, $3, $4, $5)";
static const char get_sql[] = "SELECT i, f, t, b FROM thing WHERE id = $1";
static const char ids_sql[] = "SELECT id FROM thing ORDER BY id";
static const char count_sql[] = "SELECT COUNT(*) FROM thing";
static const char slow_sql[] =
    "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
    " SELECT COUNT(*) FROM n";

/* A database with one empty table; PostgreSQL needs the schema that migrations would make. */
static struct db *open_db(struct world *w, bool table)
{
    struct db *db = NULL;

    OK(w, db_open(w->url, DB_MAIN, true, &db, &w->e));
    if (w->kind == DB_PGSQL && table)
        OK(w, db_script(db, "CREATE SCHEMA postern", &w->e));
    if (table)
        OK(w, db_script(db,
                        "CREATE TABLE thing (id BIGINT PRIMARY KEY, i BIGINT, f DOUBLE PRECISION, t TEXT, b BYTEA,"
                        " yes SMALLINT NOT NULL DEFAULT 1 CHECK (yes IN (0, 1)))",
                        &w->e));
    return db;
}

static int put(struct db *db, int64_t id, struct err *e)
{
    struct db_val vals[] = {dbv_i64(id), DBV_NULL, DBV_NULL, DBV_NULL, DBV_NULL};

    return db_run(db, put_sql, vals, COUNT(vals), NULL, e);
}

static int64_t count(struct world *w, struct db *db) { return db_number(w, db, count_sql); }

static const struct {
    const char *holds;
    int64_t     i;
    double      f;
    struct span t, b;
} values[] = {
    {"plain values", 1, 1.5, {"text", 4}, {"bytes", 5}},
    {"the smallest", INT64_MIN, -1e308, {"", 0}, {"", 0}},
    {"the largest", INT64_MAX, 1e308, {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7", 9}, {"\0\xff\0", 3}},
    {"what others would quote", -1, 0.1, {"a'b\"c\\d\ne$1", 11}, {"'; --", 5}},
    {"the exact double", 0, 4.35, {" ", 1}, {"\x80", 1}},
};

static void what_is_written_is_what_is_read(void **state)
{
    struct world   *w = world_of(state);
    struct db      *db = open_db(w, true);
    struct db_rows *r = NULL;

    for (size_t n = 0; n < COUNT(values); n++) {
        struct db_val vals[] = {dbv_i64((int64_t)n), dbv_i64(values[n].i), dbv_f64(values[n].f), dbv_text(values[n].t),
                                dbv_blob(values[n].b)};

        OK(w, db_run(db, put_sql, vals, COUNT(vals), NULL, &w->e));
        OK(w, db_query(db, get_sql, vals, 1, &r, &w->e));
        CHECK(values[n].holds, db_next(r, &w->e) == 1);
        CHECK(values[n].holds, db_i64(r, 0) == values[n].i);
        CHECK(values[n].holds, db_f64(r, 1) == values[n].f);
        CHECK(values[n].holds, span_eq(db_text(r, 2), values[n].t));
        CHECK(values[n].holds, span_eq(db_text(r, 3), values[n].b));
        CHECK(values[n].holds, !db_is_null(r, 2) && !db_is_null(r, 3));
        CHECK(values[n].holds, db_next(r, &w->e) == 0);
        CHECK(values[n].holds, db_next(r, &w->e) == 0);
        db_rows_free(&r);
    }
    db_close(&db);
}

static void null_reads_as_null_and_as_nothing(void **state)
{
    struct world   *w = world_of(state);
    struct db      *db = open_db(w, true);
    struct db_rows *r = NULL;

    OK(w, put(db, 1, &w->e));
    OK(w, db_query(db, get_sql, (struct db_val[]){dbv_i64(1)}, 1, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    for (int column = 0; column < 4; column++)
        assert_true(db_is_null(r, column));
    assert_int_equal(db_i64(r, 0), 0);
    assert_true(db_f64(r, 1) == 0);
    assert_int_equal(db_text(r, 2).n, 0);
    db_rows_free(&r);
    db_close(&db);
}

static void a_parameter_may_be_used_twice_and_out_of_order(void **state)
{
    static const char sql[] = "UPDATE thing SET i = $2 + 0 * $1 WHERE id = $1 AND $2 > 0";
    struct world     *w = world_of(state);
    struct db        *db = open_db(w, true);
    struct db_rows   *r = NULL;
    int64_t           changed = -1;

    OK(w, put(db, 7, &w->e));
    OK(w, db_run(db, sql, (struct db_val[]){dbv_i64(7), dbv_i64(5)}, 2, &changed, &w->e));
    assert_int_equal(changed, 1);
    OK(w, db_run(db, sql, (struct db_val[]){dbv_i64(8), dbv_i64(5)}, 2, &changed, &w->e));
    assert_int_equal(changed, 0);
    OK(w, db_query(db, get_sql, (struct db_val[]){dbv_i64(7)}, 1, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    assert_int_equal(db_i64(r, 0), 5);
    db_rows_free(&r);
    db_close(&db);
}

static void a_broken_promise_is_told_by_its_kind(void **state)
{
    static const char no_sql[] = "INSERT INTO thing (id, yes) VALUES ($1, $2)",
                      bad_sql[] = "SELECT nothing FROM nowhere";
    struct world *w = world_of(state);
    struct db    *db = open_db(w, true);

    OK(w, put(db, 1, &w->e));
    REFUSED(w, ERR_CONFLICT, put(db, 1, &w->e));
    REFUSED(w, ERR_INVALID, db_run(db, no_sql, (struct db_val[]){dbv_i64(2), dbv_i64(2)}, 2, NULL, &w->e));
    REFUSED(w, ERR_IO, db_run(db, bad_sql, NULL, 0, NULL, &w->e));
    assert_int_equal(count(w, db), 1);
    db_close(&db);
}

static void a_rollback_leaves_nothing_behind(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_db(w, true);

    OK(w, db_begin(db, &w->e));
    OK(w, put(db, 1, &w->e));
    assert_true(db_in_transaction(db));
    db_rollback(db);
    assert_false(db_in_transaction(db));
    assert_int_equal(count(w, db), 0);
    OK(w, db_begin(db, &w->e));
    OK(w, put(db, 1, &w->e));
    OK(w, db_commit(db, &w->e));
    assert_int_equal(count(w, db), 1);
    db_close(&db);
}

static void a_transaction_that_reads_keeps_nobody_from_writing(void **state)
{
    struct world *w = *state;
    struct db    *reader = open_db(w, true), *writer = open_db(w, false);

    OK(w, db_begin_read(reader, &w->e));
    assert_int_equal(count(w, reader), 0);
    OK(w, put(writer, 1, &w->e));
    assert_true(db_in_transaction(reader));
    db_rollback(reader);
    assert_false(db_in_transaction(reader));
    assert_int_equal(count(w, reader), 1);
    db_close(&writer);
    db_close(&reader);
}

static void a_failed_transaction_stays_failed_until_its_rollback(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_db(w, true);

    OK(w, put(db, 1, &w->e));
    OK(w, db_begin(db, &w->e));
    OK(w, put(db, 2, &w->e));
    REFUSED(w, ERR_CONFLICT, put(db, 1, &w->e));
    REFUSED(w, ERR_CONFLICT, put(db, 3, &w->e));
    REFUSED(w, ERR_CONFLICT, db_commit(db, &w->e));
    db_rollback(db);
    assert_int_equal(count(w, db), 1);
    OK(w, put(db, 3, &w->e));
    db_close(&db);
}

static void another_connection_sees_what_is_committed_and_nothing_else(void **state)
{
    struct world *w = world_of(state);
    struct db    *a = open_db(w, true), *b = open_db(w, false);

    OK(w, db_begin(a, &w->e));
    OK(w, put(a, 1, &w->e));
    assert_int_equal(count(w, b), 0);
    OK(w, db_commit(a, &w->e));
    assert_int_equal(count(w, b), 1);
    db_close(&a);
    db_close(&b);
}

static void a_batch_puts_every_row_in_order(void **state)
{
    struct world   *w = world_of(state);
    struct db      *db = open_db(w, true);
    struct db_rows *r = NULL;

    OK(w, db_begin(db, &w->e));
    OK(w, db_batch_begin(db, put_sql, &w->e));
    for (int64_t i = 0; i < 5000; i++) {
        struct db_val vals[] = {dbv_i64(i), DBV_NULL, DBV_NULL, DBV_NULL, DBV_NULL};

        OK(w, db_batch_add(db, vals, COUNT(vals), &w->e));
    }
    OK(w, db_batch_end(db, &w->e));
    OK(w, db_commit(db, &w->e));
    OK(w, db_query(db, ids_sql, NULL, 0, &r, &w->e));
    for (int64_t i = 0; i < 5000; i++) {
        assert_int_equal(db_next(r, &w->e), 1);
        assert_int_equal(db_i64(r, 0), i);
    }
    assert_int_equal(db_next(r, &w->e), 0);
    db_rows_free(&r);
    db_close(&db);
}

/* The error may come with any later row, at the latest at the end. */
static void a_batch_with_one_bad_row_stores_none(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_db(w, true);
    int           rc = 0;

    OK(w, db_begin(db, &w->e));
    OK(w, db_batch_begin(db, put_sql, &w->e));
    for (int64_t i = 0; i < 3000 && rc == 0; i++) {
        struct db_val vals[] = {dbv_i64(i == 2000 ? 1 : i), DBV_NULL, DBV_NULL, DBV_NULL, DBV_NULL};

        rc = db_batch_add(db, vals, COUNT(vals), &w->e);
    }
    if (rc == 0)
        rc = db_batch_end(db, &w->e);
    assert_int_equal(rc, -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    db_rollback(db);
    assert_int_equal(count(w, db), 0);
    OK(w, put(db, 1, &w->e));
    db_close(&db);
}

static void a_cursor_may_be_left_early(void **state)
{
    static const char many_sql[] = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n "
                                   "WHERE i < 10000000) SELECT i FROM n";
    struct world     *w = world_of(state);
    struct db        *db = open_db(w, true);
    struct db_rows   *r = NULL;
    int64_t           begun = clock_mono_us();

    for (int round = 0; round < 3; round++) {
        OK(w, db_query(db, many_sql, NULL, 0, &r, &w->e));
        assert_int_equal(db_next(r, &w->e), 1);
        assert_int_equal(db_i64(r, 0), 1);
        db_rows_free(&r);
        OK(w, put(db, round, &w->e));
    }
    assert_true(clock_mono_us() - begun < 30 * 1000000);
    db_close(&db);
}

static void a_statement_that_takes_too_long_is_ended(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_db(w, true);
    int64_t       begun = clock_mono_us();

    db_set_timeout(db, 200);
    REFUSED(w, ERR_TIMEOUT, db_run(db, slow_sql, NULL, 0, NULL, &w->e));
    assert_true(clock_mono_us() - begun < 10 * 1000000);
    OK(w, put(db, 1, &w->e));
    db_close(&db);
}

static void a_change_by_somebody_else_wakes_who_waits(void **state)
{
    static const char sqlite_sql[] = "INSERT INTO thing (id) VALUES (1)", pgsql_sql[] = "NOTIFY postern_change";
    struct world     *w = world_of(state);
    struct db        *writer = open_db(w, true), *waiter = open_db(w, false);
    int64_t           begun;

    while (db_wait_change(waiter, 0, &w->e) == 1) /* what happened before may wake it first */
        ;
    begun = clock_mono_us();
    assert_int_equal(db_wait_change(waiter, 100, &w->e), 0);
    assert_true(clock_mono_us() - begun >= 90 * 1000);
    OK(w, db_run(writer, w->kind == DB_SQLITE ? sqlite_sql : pgsql_sql, NULL, 0, NULL, &w->e));
    begun = clock_mono_us();
    assert_int_equal(db_wait_change(waiter, 20000, &w->e), 1);
    assert_true(clock_mono_us() - begun < 10 * 1000000);
    assert_int_equal(db_wait_change(waiter, 0, &w->e), 0);
    db_close(&writer);
    db_close(&waiter);
}

static void a_locked_database_says_busy_and_then_works_again(void **state)
{
    struct world *w = world_of(state);
    struct db    *holder = open_db(w, true), *db = open_db(w, false);
    int64_t       begun = clock_mono_us();

    OK(w, put(holder, 1, &w->e));
    OK(w, db_begin(holder, &w->e));
    OK(w, db_script(holder, w->kind == DB_SQLITE ? "UPDATE thing SET i = 1" : "LOCK TABLE thing", &w->e));
    REFUSED(w, ERR_BUSY, put(db, 2, &w->e));
    assert_true(clock_mono_us() - begun > 4 * 1000000);
    assert_true(clock_mono_us() - begun < 60 * 1000000);
    db_rollback(holder);
    OK(w, put(db, 2, &w->e));
    db_close(&holder);
    db_close(&db);
}

static const struct {
    const char *holds, *url;
} refused[] = {
    {"no url", ""},
    {"another kind of database", "mysql://localhost/postern"},
    {"a path alone", "/var/lib/postern/postern.db"},
    {"SQLite without a path", "sqlite:"},
    {"the name of the log for the main file", "sqlite:/tmp/log.db"},
};

static void a_url_that_is_none_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct db *db;
        struct err e = ERR_INIT;

        CHECK(refused[i].holds, db_open(refused[i].url, DB_MAIN, true, &db, &e) < 0);
        CHECK(refused[i].holds, e.code == ERR_INVALID && db == NULL);
    }
}

/* Many more than a connection keeps, in memory that is used again, beside some that stay. */
static void texts_that_are_forgotten_leave_room_and_confuse_nobody(void **state)
{
    static const char kept_sql[] = "SELECT CAST(-1 AS BIGINT)";
    struct world     *w = world_of(state);
    struct db        *db = NULL;
    char              texts[300][48];

    OK(w, db_open(w->url, DB_LOG, true, &db, &w->e));
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 300; i++) {
            struct db_rows *r = NULL;

            snprintf(texts[i], sizeof texts[i], "SELECT CAST(%d AS BIGINT)", round * 1000 + i);
            OK(w, db_query(db, i % 100 == 99 ? kept_sql : texts[i], NULL, 0, &r, &w->e));
            assert_int_equal(db_next(r, &w->e), 1);
            assert_int_equal(db_i64(r, 0), i % 100 == 99 ? -1 : round * 1000 + i);
            db_rows_free(&r);
        }
        for (int i = 0; i < 300; i++)
            db_forget(db, texts[(i * 7 + round) % 300]);
    }
    db_close(&db);
}

int main(void)
{
    static const struct both_test tests[] = {
        BOTH(what_is_written_is_what_is_read),
        BOTH(null_reads_as_null_and_as_nothing),
        BOTH(a_parameter_may_be_used_twice_and_out_of_order),
        BOTH(a_broken_promise_is_told_by_its_kind),
        BOTH(a_rollback_leaves_nothing_behind),
        BOTH(a_transaction_that_reads_keeps_nobody_from_writing),
        BOTH(a_failed_transaction_stays_failed_until_its_rollback),
        BOTH(another_connection_sees_what_is_committed_and_nothing_else),
        BOTH(a_batch_puts_every_row_in_order),
        BOTH(a_batch_with_one_bad_row_stores_none),
        BOTH(a_cursor_may_be_left_early),
        BOTH(a_statement_that_takes_too_long_is_ended),
        BOTH(a_change_by_somebody_else_wakes_who_waits),
        BOTH(texts_that_are_forgotten_leave_room_and_confuse_nobody),
        BOTH(a_locked_database_says_busy_and_then_works_again),
        SQLITE_ONLY(a_url_that_is_none_is_refused),
    };

    return run_on_both(tests, COUNT(tests));
}
