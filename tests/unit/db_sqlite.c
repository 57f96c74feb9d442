/* tests/unit/db_sqlite.c - twin of lib/db/sqlite.c: the trouble that files get into. */
#include <sys/mount.h>
#include <sys/resource.h>

#include "databases.h"

static const char put_sql[] = "INSERT INTO thing (t) VALUES ($1)";
static const char count_sql[] = "SELECT COUNT(*) FROM thing";

static struct db *open_table(struct world *w)
{
    struct db *db = NULL;

    OK(w, db_open(w->url, DB_MAIN, true, &db, &w->e));
    OK(w, db_script(db, "CREATE TABLE IF NOT EXISTS thing (t TEXT)", &w->e));
    return db;
}

static int64_t count(struct world *w, struct db *db) { return db_number(w, db, count_sql); }

/* Puts text of `bytes` bytes. */
static int put(struct db *db, size_t bytes, struct err *e)
{
    char *text = malloc(bytes);
    int   rc;

    memset(text, 'x', bytes);
    rc = db_run(db, put_sql, (struct db_val[]){dbv_text(span_make(text, bytes))}, 1, NULL, e);
    free(text);
    return rc;
}

static mode_t mode_of(struct world *w, const char *name)
{
    char        path[PATH_MAX];
    struct stat st = {0};

    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void the_files_are_ours_alone(void **state)
{
    struct world *w = world_of(state);
    struct db    *db, *log = NULL;

    snprintf(w->url, sizeof w->url, "sqlite:%s/new/deep/postern.db", w->dir);
    umask(0);
    db = open_table(w);
    OK(w, db_open(w->url, DB_LOG, true, &log, &w->e));
    OK(w, db_script(log, "CREATE TABLE thing (t TEXT)", &w->e));
    assert_int_equal(mode_of(w, "new"), 0700);
    assert_int_equal(mode_of(w, "new/deep"), 0700);
    assert_int_equal(mode_of(w, "new/deep/postern.db"), 0600);
    assert_int_equal(mode_of(w, "new/deep/postern.db-wal"), 0600);
    assert_int_equal(mode_of(w, "new/deep/postern.db-shm"), 0600);
    assert_int_equal(mode_of(w, "new/deep/log.db"), 0600);
    umask(022);
    db_close(&db);
    db_close(&log);
}

static void a_file_that_is_missing_is_not_made_by_opening(void **state)
{
    struct world *w = world_of(state);
    struct db    *db;

    REFUSED(w, ERR_NOT_FOUND, db_open(w->url, DB_MAIN, false, &db, &w->e));
    assert_non_null(strstr(w->e.text, "postern init"));
}

static void a_file_that_is_no_database_is_called_damaged(void **state)
{
    struct world *w = world_of(state);
    struct db    *db;
    char          path[PATH_MAX];
    FILE         *f;

    snprintf(path, sizeof path, "%s/postern.db", w->dir);
    f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fprintf(f, "this is no database, line %d\n", i);
    fclose(f);
    REFUSED(w, ERR_CORRUPT, db_open(w->url, DB_MAIN, false, &db, &w->e));
    assert_non_null(strstr(w->e.text, path));
}

static void another_connection_cannot_write_while_one_does_but_it_can_read(void **state)
{
    struct world *w = world_of(state);
    struct db    *writer = open_table(w), *reader = open_table(w);

    OK(w, db_begin(writer, &w->e));
    OK(w, put(writer, 10, &w->e));
    assert_int_equal(count(w, reader), 0);
    OK(w, db_commit(writer, &w->e));
    db_close(&writer);
    db_close(&reader);
}

/* Fills it until it says so; then makes room and writes again. */
static void fill(struct world *w, struct db *db)
{
    int rows = 0;

    w->e = ERR_INIT;
    while (put(db, 50000, &w->e) == 0)
        assert_true(++rows < 10000);
    assert_int_equal(w->e.code, ERR_FULL);
    assert_int_equal(count(w, db), rows);
    REFUSED(w, ERR_FULL, put(db, 50000, &w->e));
}

static void a_full_disk_says_so_and_is_usable_again_with_room(void **state)
{
    struct world *w = world_of(state);
    struct db    *db;

    if (mount("tmpfs", w->dir, "tmpfs", 0, "size=2m,mode=0700") < 0)
        SKIP("a small file system cannot be mounted here: %s", strerror(errno));
    db = open_table(w);
    fill(w, db);
    if (mount("tmpfs", w->dir, "tmpfs", MS_REMOUNT, "size=20m,mode=0700") < 0)
        fail_msg("remount: %s", strerror(errno));
    OK(w, put(db, 50000, &w->e));
    db_close(&db);
    assert_int_equal(umount2(w->dir, MNT_DETACH), 0);
}

static void a_transaction_that_meets_a_full_disk_leaves_nothing_behind(void **state)
{
    struct world *w = world_of(state);
    struct db    *db;
    int           rows = 0;

    if (mount("tmpfs", w->dir, "tmpfs", 0, "size=2m,mode=0700") < 0)
        SKIP("a small file system cannot be mounted here: %s", strerror(errno));
    db = open_table(w);
    OK(w, db_begin(db, &w->e));
    db_script(db, "PRAGMA cache_size = 10", &w->e);
    while (put(db, 50000, &w->e) == 0)
        assert_true(++rows < 10000);
    assert_int_equal(w->e.code, ERR_FULL);
    assert_int_equal(db_commit(db, &w->e), -1);
    db_rollback(db);
    assert_int_equal(count(w, db), 0);
    OK(w, put(db, 10, &w->e));
    db_close(&db);
    assert_int_equal(umount2(w->dir, MNT_DETACH), 0);
}

static void a_limit_on_file_sizes_reads_as_full_too(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w);
    struct rlimit before, small;

    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){.rlim_cur = 600000, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    fill(w, db);
    setrlimit(RLIMIT_FSIZE, &before);
    OK(w, put(db, 50000, &w->e));
    db_close(&db);
}

static void a_file_that_is_taken_away_is_noticed(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w);
    char          from[PATH_MAX], to[PATH_MAX];

    OK(w, db_ping(db, &w->e));
    snprintf(from, sizeof from, "%s/postern.db", w->dir);
    snprintf(to, sizeof to, "%s/elsewhere.db", w->dir);
    assert_int_equal(rename(from, to), 0);
    REFUSED(w, ERR_LOST, db_ping(db, &w->e));
    db_close(&db);
}

/* The child is killed after its first row is in the WAL or the cache, before its commit. */
static void a_process_killed_in_a_transaction_leaves_nothing_half(void **state)
{
    struct world *w = world_of(state);
    struct db    *db = open_table(w);
    int           ready[2];
    char          c;
    pid_t         pid;

    db_close(&db);
    assert_int_equal(pipe(ready), 0);
    if ((pid = fork()) == 0) {
        db = open_table(w);
        if (db_begin(db, &w->e) < 0 || db_script(db, "PRAGMA cache_size = 10", &w->e) < 0)
            _exit(1);
        for (int i = 0; i < 100; i++)
            put(db, 20000, &w->e);
        if (write(ready[1], "!", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    db = open_table(w);
    assert_int_equal(count(w, db), 0);
    OK(w, put(db, 10, &w->e));
    db_close(&db);
}

int main(void)
{
    static const struct both_test tests[] = {
        SQLITE_ONLY(the_files_are_ours_alone),
        SQLITE_ONLY(a_file_that_is_missing_is_not_made_by_opening),
        SQLITE_ONLY(a_file_that_is_no_database_is_called_damaged),
        SQLITE_ONLY(another_connection_cannot_write_while_one_does_but_it_can_read),
        SQLITE_ONLY(a_full_disk_says_so_and_is_usable_again_with_room),
        SQLITE_ONLY(a_transaction_that_meets_a_full_disk_leaves_nothing_behind),
        SQLITE_ONLY(a_limit_on_file_sizes_reads_as_full_too),
        SQLITE_ONLY(a_file_that_is_taken_away_is_noticed),
        SQLITE_ONLY(a_process_killed_in_a_transaction_leaves_nothing_half),
    };

    return run_on_both(tests, COUNT(tests));
}
