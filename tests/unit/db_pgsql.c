/* tests/unit/db_pgsql.c - twin of lib/db/pgsql.c: connections that break, and servers that refuse. */
#include <dlfcn.h>

#include "databases.h"

static const char put_sql[] = "INSERT INTO thing (id, t) VALUES ($1, $2)";
static const char count_sql[] = "SELECT COUNT(*) FROM thing";
static const char pid_sql[] = "SELECT pg_backend_pid()";
static const char kill_sql[] = "SELECT pg_terminate_backend(CAST($1 AS INTEGER))";

/* Stands in for libpq's own, to know how often a server is told to stop. */
static int cancels;
int        PQcancel(void *cancel, char *why, int size);

int PQcancel(void *cancel, char *why, int size)
{
    int (*real)(void *, char *, int);

    *(void **)&real = dlsym(RTLD_NEXT, "PQcancel");
    cancels++;
    return real(cancel, why, size);
}

static struct db *open_table(struct world *w, bool make)
{
    struct db *db = NULL;

    OK(w, db_open(w->url, DB_MAIN, false, &db, &w->e));
    if (make)
        OK(w, db_script(db, "CREATE SCHEMA postern; CREATE TABLE thing (id BIGINT PRIMARY KEY, t TEXT)", &w->e));
    return db;
}

static int put(struct db *db, int64_t id, const char *text, struct err *e)
{
    return db_run(db, put_sql, (struct db_val[]){dbv_i64(id), dbv_str(text)}, 2, NULL, e);
}

/* Ends the connection from the server's side, and waits until it is gone. */
static void cut(struct world *w, struct db *db, int64_t pid)
{
    OK(w, db_run(db, kill_sql, (struct db_val[]){dbv_i64(pid)}, 1, NULL, &w->e));
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
}

static void a_lost_connection_is_told_once_and_made_anew(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true), *other = open_table(w, false);

    OK(w, put(db, 1, "before", &w->e));
    cut(w, other, db_number(w, db, pid_sql));
    REFUSED(w, ERR_LOST, put(db, 2, "lost", &w->e));
    OK(w, put(db, 2, "after", &w->e));
    assert_int_equal(db_number(w, db, count_sql), 2);
    db_close(&db);
    db_close(&other);
}

static void a_ping_makes_a_lost_connection_anew(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true), *other = open_table(w, false);

    cut(w, other, db_number(w, db, pid_sql));
    OK(w, db_ping(db, &w->e));
    OK(w, put(db, 1, "after", &w->e));
    OK(w, db_begin(db, &w->e));
    cut(w, other, db_number(w, db, pid_sql));
    REFUSED(w, ERR_LOST, db_ping(db, &w->e));
    db_rollback(db);
    OK(w, db_ping(db, &w->e));
    db_close(&db);
    db_close(&other);
}

static void a_transaction_is_lost_with_its_connection(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true), *other = open_table(w, false);

    OK(w, db_begin(db, &w->e));
    OK(w, put(db, 1, "half", &w->e));
    cut(w, other, db_number(w, db, pid_sql));
    REFUSED(w, ERR_LOST, put(db, 2, "lost", &w->e));
    REFUSED(w, ERR_CONFLICT, put(db, 3, "still", &w->e));
    REFUSED(w, ERR_CONFLICT, db_commit(db, &w->e));
    db_rollback(db);
    assert_int_equal(db_number(w, db, count_sql), 0);
    OK(w, put(db, 1, "whole", &w->e));
    db_close(&db);
    db_close(&other);
}

static void a_commit_that_was_cut_off_is_not_taken_for_one(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true), *other = open_table(w, false);

    OK(w, db_begin(db, &w->e));
    OK(w, put(db, 1, "half", &w->e));
    cut(w, other, db_number(w, db, pid_sql));
    REFUSED(w, ERR_LOST, db_commit(db, &w->e));
    db_rollback(db);
    assert_int_equal(db_number(w, db, count_sql), 0);
    db_close(&db);
    db_close(&other);
}

static void a_batch_that_loses_its_connection_stores_nothing(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true), *other = open_table(w, false);
    int64_t       pid = db_number(w, db, pid_sql);
    int           rc = 0;

    OK(w, db_begin(db, &w->e));
    OK(w, db_batch_begin(db, put_sql, &w->e));
    for (int64_t i = 0; i < 5000 && rc == 0; i++) {
        if (i == 2500)
            cut(w, other, pid);
        rc = db_batch_add(db, (struct db_val[]){dbv_i64(i), dbv_str("x")}, 2, &w->e);
    }
    if (rc == 0)
        rc = db_batch_end(db, &w->e);
    assert_int_equal(rc, -1);
    assert_int_equal(w->e.code, ERR_LOST);
    db_rollback(db);
    assert_int_equal(db_number(w, db, count_sql), 0);
    db_close(&db);
    db_close(&other);
}

static void a_cursor_that_loses_its_connection_says_so(void **state)
{
    static const char many_sql[] =
        "SELECT CAST(i AS BIGINT), repeat('x', 1000) FROM generate_series(1, 1000000) AS s (i)";
    struct world   *w = world_of(state);
    struct db      *db = open_table(w, true), *other = open_table(w, false);
    int64_t         pid = db_number(w, db, pid_sql), rows = 0;
    struct db_rows *r = NULL;
    int             rc;

    OK(w, db_query(db, many_sql, NULL, 0, &r, &w->e));
    while ((rc = db_next(r, &w->e)) > 0)
        if (++rows == 10)
            cut(w, other, pid);
    assert_int_equal(rc, -1);
    assert_int_equal(w->e.code, ERR_LOST);
    assert_true(rows < 1000000);
    db_rows_free(&r);
    assert_int_equal(db_number(w, db, count_sql), 0);
    db_close(&db);
    db_close(&other);
}

static void a_server_is_told_to_stop_only_where_there_is_much_left_to_read(void **state)
{
    static const struct {
        const char *sql;
        int         told;
    } queries[] = {
        {"SELECT CAST(7 AS BIGINT)", 0},
        {"SELECT CAST(i AS BIGINT) FROM generate_series(7, 27) AS s (i)", 0},
        {"SELECT CAST(i AS BIGINT) FROM generate_series(7, 10000000) AS s (i)", 1},
    };
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true);

    for (size_t i = 0; i < COUNT(queries); i++) {
        cancels = 0;
        assert_int_equal(db_number(w, db, queries[i].sql), 7);
        assert_int_equal(cancels, queries[i].told);
        assert_int_equal(db_number(w, db, count_sql), 0);
    }
    db_close(&db);
}

static void who_waits_for_changes_hears_of_a_lost_connection_and_then_looks_again(void **state)
{
    static const char notify_sql[] = "NOTIFY postern_change";
    struct world     *w = world_of(state);
    struct db        *waiter = open_table(w, true), *other = open_table(w, false);

    assert_int_equal(db_wait_change(waiter, 1000, &w->e), 1);
    cut(w, other, db_number(w, waiter, pid_sql));
    REFUSED(w, ERR_LOST, db_wait_change(waiter, 1000, &w->e));
    assert_int_equal(db_wait_change(waiter, 1000, &w->e), 1);
    assert_int_equal(db_wait_change(waiter, 50, &w->e), 0);
    OK(w, db_run(other, notify_sql, NULL, 0, NULL, &w->e));
    assert_int_equal(db_wait_change(waiter, 2000, &w->e), 1);
    db_close(&waiter);
    db_close(&other);
}

static void a_server_that_keeps_silent_is_given_up_and_asked_anew(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true);
    pid_t         backend = (pid_t)db_number(w, db, pid_sql);
    int64_t       began = clock_mono_us();

    OK(w, put(db, 1, "before", &w->e));
    db_set_timeout(db, 100);
    if (kill(backend, SIGSTOP) < 0) {
        db_close(&db);
        print_message("the server belongs to somebody else\n");
        skip();
    }
    REFUSED(w, ERR_LOST, put(db, 2, "lost", &w->e));
    assert_non_null(strstr(w->e.text, "has not answered for 2 s"));
    assert_true(clock_mono_us() - began < 20000000);
    db_set_timeout(db, 30000);
    OK(w, put(db, 3, "after", &w->e));
    kill(backend, SIGCONT);
    db_close(&db);
}

static void a_server_that_is_away_is_found_again(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w, true), *none = NULL;

    OK(w, put(db, 1, "before", &w->e));
    kill(postgres.pid, SIGINT);
    waitpid(postgres.pid, NULL, 0);
    REFUSED(w, ERR_LOST, put(db, 2, "away", &w->e));
    REFUSED(w, ERR_LOST, put(db, 2, "away", &w->e));
    REFUSED(w, ERR_LOST, db_ping(db, &w->e));
    REFUSED(w, ERR_LOST, db_open(w->url, DB_MAIN, false, &none, &w->e));
    start_server();
    none = postgres_admin();
    db_close(&none);
    OK(w, db_ping(db, &w->e));
    OK(w, put(db, 2, "back", &w->e));
    assert_int_equal(db_number(w, db, count_sql), 2);
    db_close(&db);
}

static void an_error_names_its_state_and_no_password(void **state)
{
    struct world *w = world_of(state);
    struct db    *db;
    char          url[2 * PATH_MAX];

    snprintf(url, sizeof url, "postgresql://nobody:geheim@/%s?host=%s", "postgres", postgres.dir);
    assert_int_equal(db_open(url, DB_MAIN, false, &db, &w->e), -1);
    assert_null(strstr(w->e.text, "geheim"));
    db = open_table(w, true);
    assert_int_equal(put(db, 1, "a", &w->e), 0);
    REFUSED(w, ERR_CONFLICT, put(db, 1, "a", &w->e));
    assert_non_null(strstr(w->e.text, "23505"));
    REFUSED(w, ERR_INVALID, put(db, 2, "\xff", &w->e));
    db_close(&db);
}

static void two_that_wait_for_each_other_are_told_apart(void **state)
{
    struct world *w = world_of(state);
    struct db    *a = open_table(w, true), *b = open_table(w, false);
    struct err    ignored;
    pid_t         pid;
    int           status;

    OK(w, put(a, 1, "x", &w->e));
    OK(w, put(a, 2, "x", &w->e));
    db_close(&b);
    OK(w, db_begin(a, &w->e));
    OK(w, db_script(a, "UPDATE thing SET t = 'a' WHERE id = 1", &w->e));
    if ((pid = fork()) == 0) {
        b = open_table(w, false);
        db_begin(b, &w->e);
        db_script(b, "UPDATE thing SET t = 'b' WHERE id = 2", &w->e);
        status = db_script(b, "UPDATE thing SET t = 'b' WHERE id = 1", &w->e);
        _exit(status < 0 ? (int)w->e.code : 0);
    }
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    ignored = ERR_INIT;
    if (db_script(a, "UPDATE thing SET t = 'a' WHERE id = 2", &ignored) < 0)
        assert_int_equal(ignored.code, ERR_CONFLICT);
    db_rollback(a);
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_true((ignored.code == ERR_CONFLICT) != (WEXITSTATUS(status) == ERR_CONFLICT));
    db_close(&a);
}

int main(void)
{
    static const struct both_test tests[] = {
        PGSQL_ONLY(a_lost_connection_is_told_once_and_made_anew),
        PGSQL_ONLY(a_ping_makes_a_lost_connection_anew),
        PGSQL_ONLY(a_transaction_is_lost_with_its_connection),
        PGSQL_ONLY(a_commit_that_was_cut_off_is_not_taken_for_one),
        PGSQL_ONLY(a_batch_that_loses_its_connection_stores_nothing),
        PGSQL_ONLY(a_cursor_that_loses_its_connection_says_so),
        PGSQL_ONLY(a_server_is_told_to_stop_only_where_there_is_much_left_to_read),
        PGSQL_ONLY(who_waits_for_changes_hears_of_a_lost_connection_and_then_looks_again),
        PGSQL_ONLY(a_server_that_keeps_silent_is_given_up_and_asked_anew),
        PGSQL_ONLY(a_server_that_is_away_is_found_again),
        PGSQL_ONLY(an_error_names_its_state_and_no_password),
        PGSQL_ONLY(two_that_wait_for_each_other_are_told_apart),
    };

    return run_on_both(tests, COUNT(tests));
}
