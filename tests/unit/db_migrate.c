/* tests/unit/db_migrate.c - twin of lib/db/migrate.c. */
#include "databases.h"

static const char newer_sql[] =
    "INSERT INTO schema_version (number, name, applied_us, contract) VALUES ($1, 'later', 0, $2)";
static const char forget_sql[] = "DELETE FROM schema_version WHERE number = $1";
static const char rules_sql[] = "SELECT COUNT(*) FROM rule";
static const char hits_sql[] = "SELECT COUNT(*) FROM rule_hit";

static struct db *open_part(struct world *w, enum db_part part)
{
    struct db *db = NULL;

    OK(w, db_open(w->url, part, true, &db, &w->e));
    return db;
}

static struct migrate_state look(struct world *w, struct db *db, enum db_part part)
{
    struct migrate_state state;

    OK(w, migrate_look(db, part, &state, &w->e));
    return state;
}

static void an_empty_database_is_filled_once(void **state)
{
    struct world        *w = world_of(state);
    struct db           *main = open_part(w, DB_MAIN), *log = open_part(w, DB_LOG);
    struct migrate_state at;

    at = look(w, main, DB_MAIN);
    assert_int_equal(at.applied, 0);
    assert_true(at.known > 0);
    REFUSED(w, ERR_VERSION, migrate_check(main, DB_MAIN, &w->e));
    assert_non_null(strstr(w->e.text, "postern init"));
    for (int round = 0; round < 2; round++) {
        OK(w, migrate_up(main, DB_MAIN, &w->e));
        OK(w, migrate_up(log, DB_LOG, &w->e));
        OK(w, migrate_check(main, DB_MAIN, &w->e));
        OK(w, migrate_check(log, DB_LOG, &w->e));
        assert_int_equal(look(w, main, DB_MAIN).applied, at.known);
    }
    OK(w, db_run(main, rules_sql, NULL, 0, NULL, &w->e));
    OK(w, db_run(log, hits_sql, NULL, 0, NULL, &w->e));
    db_close(&main);
    db_close(&log);
}

/* Releases expand first: what the next one has added does not disturb this one. */
static void the_next_release_shares_its_schema_with_this_one(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_part(w, DB_MAIN);
    int           known;

    OK(w, migrate_up(db, DB_MAIN, &w->e));
    known = look(w, db, DB_MAIN).known;
    OK(w, db_run(db, newer_sql, (struct db_val[]){dbv_i64(known + 1), dbv_i64(known)}, 2, NULL, &w->e));
    OK(w, migrate_check(db, DB_MAIN, &w->e));
    OK(w, migrate_up(db, DB_MAIN, &w->e));
    assert_int_equal(look(w, db, DB_MAIN).applied, known + 1);
    db_close(&db);
}

static void a_database_of_a_much_newer_release_is_refused(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_part(w, DB_MAIN);
    int           known;

    OK(w, migrate_up(db, DB_MAIN, &w->e));
    known = look(w, db, DB_MAIN).known;
    OK(w, db_run(db, newer_sql, (struct db_val[]){dbv_i64(known + 2), dbv_i64(known + 1)}, 2, NULL, &w->e));
    REFUSED(w, ERR_VERSION, migrate_check(db, DB_MAIN, &w->e));
    assert_non_null(strstr(w->e.text, "newer release"));
    REFUSED(w, ERR_VERSION, migrate_up(db, DB_MAIN, &w->e));
    db_close(&db);
}

static void a_database_that_lags_behind_asks_for_migrating(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_part(w, DB_MAIN);
    int           known;

    OK(w, migrate_up(db, DB_MAIN, &w->e));
    known = look(w, db, DB_MAIN).known;
    OK(w, db_run(db, forget_sql, (struct db_val[]){dbv_i64(known)}, 1, NULL, &w->e));
    REFUSED(w, ERR_VERSION, migrate_check(db, DB_MAIN, &w->e));
    assert_non_null(strstr(w->e.text, "postern migrate"));
    db_close(&db);
}

/* The first migration runs into what is there already: nothing of it stays, and nobody believes that it ran. */
static void a_migration_that_fails_leaves_the_database_as_it_was(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_part(w, DB_LOG);
    int           known;

    OK(w, migrate_up(db, DB_LOG, &w->e));
    known = look(w, db, DB_LOG).known;
    for (int i = 1; i <= known; i++)
        OK(w, db_run(db, forget_sql, (struct db_val[]){dbv_i64(i)}, 1, NULL, &w->e));
    assert_int_equal(migrate_up(db, DB_LOG, &w->e), -1);
    assert_non_null(strstr(w->e.text, "migration"));
    assert_false(db_in_transaction(db));
    assert_int_equal(look(w, db, DB_LOG).applied, 0);
    db_close(&db);
}

static void two_programs_that_migrate_at_once_wait_for_each_other(void **state)
{
    struct world *w = world_of(state);
    struct db    *db;
    pid_t         pids[3];
    int           status;

    for (size_t i = 0; i < COUNT(pids); i++) {
        if ((pids[i] = fork()) != 0)
            continue;
        db = NULL;
        if (db_open(w->url, DB_MAIN, true, &db, &w->e) < 0 || migrate_up(db, DB_MAIN, &w->e) < 0) {
            fprintf(stderr, "%s\n", w->e.text);
            _exit(1);
        }
        _exit(0);
    }
    for (size_t i = 0; i < COUNT(pids); i++) {
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    db = open_part(w, DB_MAIN);
    OK(w, migrate_check(db, DB_MAIN, &w->e));
    db_close(&db);
}

static void the_numbers_of_migrations_have_no_gap_and_no_rival(void **state)
{
    (void)state;
    for (int part = DB_MAIN; part <= DB_LOG; part++) {
        for (int kind = DB_SQLITE; kind <= DB_PGSQL; kind++) {
            int seen[1000] = {0}, newest = 0;

            for (size_t i = 0; i < nmigrations; i++) {
                if (migrations[i].part != (enum db_part)part)
                    continue;
                if (migrations[i].number > newest)
                    newest = migrations[i].number;
                if (migrations[i].kind < 0 || migrations[i].kind == kind)
                    assert_int_equal(++seen[migrations[i].number], 1);
                assert_true(migrations[i].contract <= migrations[i].number);
            }
            assert_true(newest > 0);
            for (int n = 1; n <= newest; n++)
                assert_true(seen[n] <= 1);
        }
    }
}

int main(void)
{
    static const struct both_test tests[] = {
        BOTH(an_empty_database_is_filled_once),
        BOTH(the_next_release_shares_its_schema_with_this_one),
        BOTH(a_database_of_a_much_newer_release_is_refused),
        BOTH(a_database_that_lags_behind_asks_for_migrating),
        BOTH(a_migration_that_fails_leaves_the_database_as_it_was),
        BOTH(two_programs_that_migrate_at_once_wait_for_each_other),
        SQLITE_ONLY(the_numbers_of_migrations_have_no_gap_and_no_rival),
    };

    return run_on_both(tests, COUNT(tests));
}
