/* tests/unit/databases.h - every test on both databases: SQLite in a folder of its own, and a PostgreSQL that the
 * test program starts for itself (a Unix socket in the same folder, no network, no fsync) and takes down with it.
 *
 *     int main(void) { return run_on_both(tests, COUNT(tests)); }
 *
 * runs each test twice, with a struct world as its state: an empty folder, the database's URL, and nothing open.
 * Where the programs of PostgreSQL are missing its half is skipped, and says so. */
#ifndef POSTERN_TESTS_UNIT_DATABASES_H
#define POSTERN_TESTS_UNIT_DATABASES_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "base/clock.h"
#include "base/err.h"
#include "db/db.h"
#include "db/migrate.h"

struct world {
    enum db_kind kind;
    char         dir[PATH_MAX - 64], url[PATH_MAX + 64];
    struct err   e;
    void        *more; /* of the tests that share a setup */
};

/* Asserts that a call went well, and shows its error when not. */
#define OK(w, call)                                                                                                    \
    do {                                                                                                               \
        (w)->e = ERR_INIT;                                                                                             \
        if ((call) < 0)                                                                                                \
            fail_msg("%s: %s (%s)", #call, (w)->e.text, err_word((w)->e.code));                                        \
    } while (0)
/* Asserts that it was refused for this reason. */
#define REFUSED(w, want, call)                                                                                         \
    do {                                                                                                               \
        (w)->e = ERR_INIT;                                                                                             \
        if ((call) >= 0)                                                                                               \
            fail_msg("%s: went well, %s was expected", #call, err_word(want));                                         \
        if ((w)->e.code != (want))                                                                                     \
            fail_msg("%s: %s was expected, not %s: %s", #call, err_word(want), err_word((w)->e.code), (w)->e.text);    \
    } while (0)

/* The number that a constant text asks for. */
static inline int64_t db_number(struct world *w, struct db *db, const char *sql)
{
    struct db_rows *r = NULL;
    int64_t         n;

    OK(w, db_query(db, sql, NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    n = db_i64(r, 0);
    db_rows_free(&r);
    return n;
}

static struct {
    char        dir[PATH_MAX - 128], bin[PATH_MAX - 128];
    pid_t       pid;
    bool        tried;
    int         databases;
    const char *pattern; /* the database that new ones are copied from, or NULL */
} postgres;

static inline int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* Nothing here has to survive: memory spares the disk thousands of syncs. */
static inline const char *memory_dir(void) { return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; }

/* As user postgres when we are root, whom PostgreSQL refuses; it dies with us. */
static inline pid_t spawn_postgres(const char *const argv[])
{
    struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    pid_t          parent = getpid(), pid = fork();
    int            fd;

    if (pid != 0)
        return pid;
    if ((fd = open("/dev/null", O_RDWR)) < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0)
        _exit(126);
    if (getenv("POSTGRES_VERBOSE") == NULL)
        dup2(fd, 2);
    if (user != NULL && (setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGINT);
    if (getppid() != parent)
        _exit(126);
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

static inline bool find_postgres(void)
{
    glob_t found = {0};
    bool   any = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0 && found.gl_pathc > 0;

    if (any) {
        snprintf(postgres.bin, sizeof postgres.bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
        *strrchr(postgres.bin, '/') = '\0';
    }
    globfree(&found);
    return any && (getuid() != 0 || getpwnam("postgres") != NULL);
}

static inline bool run_as_postgres(const char *const argv[])
{
    int   status;
    pid_t pid = spawn_postgres(argv);

    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline bool init_cluster(const char *data)
{
    char        program[PATH_MAX];
    const char *argv[] = {program, "-D",   data,          "-A", "trust", "-U", "postgres",
                          "-E",    "UTF8", "--no-locale", "-N", "-n",    NULL};

    snprintf(program, sizeof program, "%s/initdb", postgres.bin);
    return run_as_postgres(argv);
}

static inline bool give_to_postgres(const char *dir)
{
    struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;

    return user == NULL || chown(dir, user->pw_uid, user->pw_gid) == 0;
}

/* Many programs run one after the other: the first of them makes a cluster in the folder $POSTGRES_CLUSTER, for all to copy. */
static inline bool copy_cluster(const char *shared, const char *data)
{
    char        lock[PATH_MAX], begun[PATH_MAX], whole[PATH_MAX];
    const char *argv[] = {"/bin/cp", "-a", whole, data, NULL};
    int         fd;
    bool        there;

    snprintf(lock, sizeof lock, "%s/lock", shared);
    snprintf(begun, sizeof begun, "%s/begun", shared);
    snprintf(whole, sizeof whole, "%s/whole", shared);
    if ((fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) < 0 || flock(fd, LOCK_EX) < 0)
        return false;
    there = access(whole, F_OK) == 0 || (give_to_postgres(shared) && init_cluster(begun) && rename(begun, whole) == 0);
    close(fd);
    return there && run_as_postgres(argv);
}

static inline bool make_cluster(void)
{
    const char *shared = getenv("POSTGRES_CLUSTER");
    char        data[PATH_MAX];

    snprintf(data, sizeof data, "%s/data", postgres.dir);
    return shared != NULL ? copy_cluster(shared, data) : init_cluster(data);
}

static inline void start_server(void)
{
    char        program[PATH_MAX], data[PATH_MAX];
    const char *argv[] = {program,
                          "-D",
                          data,
                          "-k",
                          postgres.dir,
                          "-c",
                          "listen_addresses=",
                          "-c",
                          "fsync=off",
                          "-c",
                          "full_page_writes=off",
                          "-c",
                          "max_connections=40",
                          "-c",
                          "shared_buffers=32MB",
                          NULL};

    snprintf(program, sizeof program, "%s/postgres", postgres.bin);
    snprintf(data, sizeof data, "%s/data", postgres.dir);
    postgres.pid = spawn_postgres(argv);
}

static inline void postgres_url(char *out, size_t size, const char *database)
{
    snprintf(out, size, "postgresql:///%s?host=%s&user=postgres", database, postgres.dir);
}

/* Connects to database postgres, as soon as the server answers. */
static inline struct db *postgres_admin(void)
{
    char       url[PATH_MAX + 64];
    struct err e = ERR_INIT;
    struct db *db = NULL;

    postgres_url(url, sizeof url, "postgres");
    for (int tries = 0; tries < 500; tries++) {
        if (db_open(url, DB_MAIN, false, &db, &e) == 0)
            return db;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fail_msg("PostgreSQL does not answer: %s", e.text);
    return NULL;
}

static inline bool postgres_ready(void)
{
    if (postgres.tried)
        return postgres.pid > 0;
    postgres.tried = true;
    snprintf(postgres.dir, sizeof postgres.dir, "%s/postern-pg-XXXXXX", memory_dir());
    if (!find_postgres() || mkdtemp(postgres.dir) == NULL)
        return false;
    if (!give_to_postgres(postgres.dir))
        return false;
    if (!make_cluster())
        fail_msg("no cluster could be made in %s", postgres.dir);
    start_server();
    return postgres.pid > 0;
}

static inline void stop_postgres(void)
{
    if (postgres.pid > 0) {
        kill(postgres.pid, SIGQUIT);
        waitpid(postgres.pid, NULL, 0);
        postgres.pid = 0;
    }
    if (postgres.tried)
        remove_tree(postgres.dir);
}

/* ---- worlds ---- */

static inline int world_begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct db    *admin;
    char          sql[96], name[32];

    w->kind = *state == NULL ? DB_SQLITE : DB_PGSQL;
    *state = w;
    snprintf(w->dir, sizeof w->dir, "%s/postern-test-XXXXXX", memory_dir());
    if (mkdtemp(w->dir) == NULL)
        return -1;
    if (w->kind == DB_SQLITE) {
        snprintf(w->url, sizeof w->url, "sqlite:%s/postern.db", w->dir);
        return 0;
    }
    if (!postgres_ready())
        return 0;
    snprintf(name, sizeof name, "t%d", ++postgres.databases);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s", name,
             postgres.pattern ? postgres.pattern : "template1");
    admin = postgres_admin();
    OK(w, db_script(admin, sql, &w->e));
    db_close(&admin);
    postgres_url(w->url, sizeof w->url, name);
    return 0;
}

static inline int world_end(void **state)
{
    struct world *w = *state;

    remove_tree(w->dir);
    free(w);
    return 0;
}

/* First thing in a test: on PostgreSQL it needs its programs. */
static inline struct world *world_of(void **state)
{
    struct world *w = *state;

    if (w->kind == DB_PGSQL && postgres.pid <= 0)
        SKIP("PostgreSQL's programs are not installed");
    return w;
}

struct both_test {
    const char *name;
    void (*run)(void **state);
    int (*begin)(void **state), (*end)(void **state); /* NULL: world_begin, world_end */
    enum { ON_BOTH, ON_SQLITE, ON_PGSQL } on;
};
#define BOTH(test)                                                                                                     \
    {                                                                                                                  \
#test, test, NULL, NULL, ON_BOTH                                                                               \
    }
#define SQLITE_ONLY(test)                                                                                              \
    {                                                                                                                  \
#test, test, NULL, NULL, ON_SQLITE                                                                             \
    }
#define PGSQL_ONLY(test)                                                                                               \
    {                                                                                                                  \
#test, test, NULL, NULL, ON_PGSQL                                                                              \
    }

static inline int run_on_both(const struct both_test *tests, size_t n)
{
    static int         is_pgsql;
    struct CMUnitTest *all = calloc(2 * n, sizeof *all);
    char(*names)[200] = calloc(2 * n, sizeof *names);
    size_t count = 0;
    int    failed;

    for (size_t i = 0; i < 2 * n; i++) {
        const struct both_test *t = &tests[i / 2];
        bool                    pg = i % 2 == 1;

        if (t->on == (pg ? ON_SQLITE : ON_PGSQL))
            continue;
        snprintf(names[count], sizeof *names, "%s [%s]", t->name, pg ? "postgresql" : "sqlite");
        all[count] = (struct CMUnitTest){names[count], t->run, t->begin ? t->begin : world_begin,
                                         t->end ? t->end : world_end, pg ? &is_pgsql : NULL};
        count++;
    }
    failed = _cmocka_run_group_tests("both", all, count, NULL, NULL);
    stop_postgres();
    free(all);
    free(names);
    return failed;
}

#endif
