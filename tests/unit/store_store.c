/* tests/unit/store_store.c - twin of lib/store/store.c: both databases together, and in trouble. */
#include "store_world.h"

static void a_store_that_was_never_made_is_not_opened(void **state)
{
    struct world *w = world_of(state);
    struct store *s = NULL;

    assert_int_equal(store_open(w->url, STORE_EXISTING, &s, &w->e), -1);
    assert_int_equal(w->e.code, w->kind == DB_SQLITE ? ERR_NOT_FOUND : ERR_VERSION);
    assert_non_null(strstr(w->e.text, "postern init"));
    assert_null(s);
}

static void a_store_is_made_once_and_opened_again(void **state)
{
    struct world *w = world_of(state);
    struct store *s = NULL;

    for (int round = 0; round < 2; round++) {
        OK(w, store_open(w->url, STORE_CREATE, &s, &w->e));
        OK(w, store_ping(s, &w->e));
        store_close(&s);
        OK(w, store_open(w->url, STORE_EXISTING, &s, &w->e));
        store_close(&s);
        assert_null(s);
    }
}

static void a_store_of_a_newer_release_is_refused(void **state)
{
    static const char newer_sql[] =
        "INSERT INTO schema_version (number, name, applied_us, contract) VALUES (9999, 'x', 0, 9999)";
    struct world *w = world_of(state);
    struct store *s = NULL, *again = NULL;

    OK(w, store_open(w->url, STORE_CREATE, &s, &w->e));
    OK(w, db_run(s->log, newer_sql, NULL, 0, NULL, &w->e));
    store_close(&s);
    REFUSED(w, ERR_VERSION, store_open(w->url, STORE_EXISTING, &again, &w->e));
    REFUSED(w, ERR_VERSION, store_open(w->url, STORE_CREATE, &again, &w->e));
    assert_non_null(strstr(w->e.text, "log database"));
}

static void several_changes_become_one(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more, *other = open_store(w);
    struct store_domain d;

    OK(w, store_begin(s, &w->e));
    add_domain(w, "a.example");
    add_domain(w, "b.example");
    REFUSED(w, ERR_NOT_FOUND, store_domain_find(other, SPAN("a.example"), &d, &w->e));
    OK(w, store_commit(s, &w->e));
    OK(w, store_domain_find(other, SPAN("b.example"), &d, &w->e));
    store_close(&other);
}

static void a_locked_store_says_busy_and_then_works(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more, *other = open_store(w);
    struct store_domain d = {.name = "late.example", .state = DOMAIN_ACTIVE};
    struct uuid         id;
    struct store_domain seen;

    add_domain(w, "early.example");
    OK(w, store_begin(s, &w->e));
    add_domain(w, "half.example");
    REFUSED(w, ERR_BUSY, store_domain_add(other, &root, &d, &id, &w->e));
    OK(w, store_domain_find(other, SPAN("early.example"), &seen, &w->e)); /* who only reads goes on */
    store_rollback(s);
    OK(w, store_domain_add(other, &root, &d, &id, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_domain_find(s, SPAN("half.example"), &seen, &w->e));
    store_close(&other);
}

static void a_store_that_loses_its_connection_finds_it_again(void **state)
{
    static const char kill_sql[] =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()";
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct store_domain d = {.name = "late.example", .state = DOMAIN_ACTIVE};
    struct db          *killer = NULL;
    struct uuid         id;

    OK(w, db_open(w->url, DB_MAIN, false, &killer, &w->e));
    add_domain(w, "early.example");
    OK(w, db_run(killer, kill_sql, NULL, 0, NULL, &w->e));
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    REFUSED(w, ERR_LOST, store_domain_add(s, &root, &d, &id, &w->e));
    OK(w, store_domain_add(s, &root, &d, &id, &w->e));
    OK(w, store_domain_find(s, SPAN("early.example"), &d, &w->e));
    OK(w, db_ping(s->log, &w->e));
    OK(w, store_ping(s, &w->e));
    db_close(&killer);
}

int main(void)
{
    static const struct both_test tests[] = {
        BOTH(a_store_that_was_never_made_is_not_opened), BOTH(a_store_is_made_once_and_opened_again),
        BOTH(a_store_of_a_newer_release_is_refused),     STORE(several_changes_become_one),
        STORE(a_locked_store_says_busy_and_then_works),  STORE_PGSQL(a_store_that_loses_its_connection_finds_it_again),
    };

    return run_on_both(tests, COUNT(tests));
}
