/* tests/unit/rulesd_lookup.c - twin of rulesd/lookup.c. */
#include "../../rulesd/lookup.h"

#include <grp.h>

#include "rulesd_world.h"

#define SEEN_MS 200
#define SLOW_MS 10000

static struct settings lookup_settings(const struct world *w, char dir[PATH_MAX], const char **programs, size_t n)
{
    struct settings s = settings_of(w);

    snprintf(dir, PATH_MAX, "%s/lookup", w->dir);
    s.lookup.dir = dir;
    s.lookup.programs = (struct conf_list){programs, n};
    s.lookup.spamassassin_group = "nogroup";
    s.lookup.postfix_group = "nogroup";
    return s;
}

/* As a stranger who may only read would: the database by itself. */
static struct db *reader_of(struct world *w, const char *dir, const char *program)
{
    char       url[PATH_MAX + 64];
    struct db *db = NULL;

    snprintf(url, sizeof url, "sqlite:%s/%s/lookup.db", dir, program);
    OK(w, db_open(w->kind == DB_SQLITE ? url : w->url, DB_MAIN, false, &db, &w->e));
    return db;
}

static int64_t rows_of(struct world *w, struct db *db)
{
    static const char sql[] = "SELECT COUNT(*) FROM spamassassin_userpref";
    struct db_rows   *r;
    int64_t           n = -1;

    OK(w, db_query(db, sql, NULL, 0, &r, &w->e));
    if (db_next(r, &w->e) > 0)
        n = db_i64(r, 0);
    db_rows_free(&r);
    return n;
}

static const char *both[] = {"spamassassin", "postfix"};

static void nothing_is_made_where_no_program_wants_it(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX];
    struct settings s = lookup_settings(w, dir, both, 0);
    struct lookup  *l = NULL;

    OK(w, lookup_new(&s, &l, &w->e));
    assert_null(l);
    assert_int_not_equal(access(dir, F_OK), 0);
    lookup_free(&l);
}

static void a_commit_is_in_the_file_within_a_fifth_of_a_second(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX];
    struct settings s = lookup_settings(w, dir, both, 2);
    struct uuid domain = add_domain(w, "ours.example"), policy = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    struct lookup *l = NULL;
    struct db     *db;

    OK(w, lookup_new(&s, &l, &w->e));
    db = reader_of(w, dir, "spamassassin");
    assert_int_equal(rows_of(w, db), 1);
    for (int i = 1; i <= 5; i++) {
        char sender[32];

        snprintf(sender, sizeof sender, "a%d@x.example", i);
        add_block(w, w->more, policy, sender);
        SOON(SEEN_MS, rows_of(w, db) == 1 + 2 * i);
    }
    db_close(&db);
    lookup_free(&l);
}

static void what_changed_while_rulesd_was_down_is_in_the_file_when_it_starts(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX];
    struct settings s = lookup_settings(w, dir, both, 1);
    struct uuid domain = add_domain(w, "ours.example"), policy = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    struct lookup *l = NULL;
    struct db     *db;

    OK(w, lookup_new(&s, &l, &w->e));
    lookup_free(&l);
    db = reader_of(w, dir, "spamassassin"); /* who has it open keeps reading the same file */
    add_block(w, w->more, policy, "a@x.example");
    assert_int_equal(rows_of(w, db), 1);
    OK(w, lookup_new(&s, &l, &w->e));
    assert_int_equal(rows_of(w, db), 3);
    db_close(&db);
    lookup_free(&l);
}

static unsigned mode_of(const char *dir, const char *name)
{
    char        path[PATH_MAX + 64];
    struct stat st = {0};

    snprintf(path, sizeof path, "%s%s", dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void files_are_for_the_programs_group_alone(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX];
    struct settings s = lookup_settings(w, dir, both, 2);
    struct lookup  *l = NULL;
    mode_t          before = umask(0077);

    OK(w, lookup_new(&s, &l, &w->e));
    umask(before);
    assert_int_equal(mode_of(dir, ""), 0711);
    assert_int_equal(mode_of(dir, "/spamassassin"), 02750);
    assert_int_equal(mode_of(dir, "/spamassassin/lookup.db"), 0640);
    assert_int_equal(mode_of(dir, "/spamassassin/lookup.db-wal"), 0640);
    assert_int_equal(mode_of(dir, "/spamassassin/lookup.db-shm"), 0640);
    assert_int_equal(mode_of(dir, "/postfix/lookup.db"), 0640);
    lookup_free(&l);
    assert_int_equal(mode_of(dir, "/postfix/lookup.db-wal"), 0640);
}

static void a_damaged_file_is_made_again(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX], path[PATH_MAX + 64];
    struct settings s = lookup_settings(w, dir, both, 1);
    struct lookup  *l = NULL;
    struct db      *db;
    FILE           *f;

    OK(w, lookup_new(&s, &l, &w->e));
    lookup_free(&l);
    snprintf(path, sizeof path, "%s/spamassassin/lookup.db", dir);
    f = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fputs("garbage ", f);
    fclose(f);
    OK(w, lookup_new(&s, &l, &w->e));
    db = reader_of(w, dir, "spamassassin");
    assert_int_equal(rows_of(w, db), 1);
    db_close(&db);
    lookup_free(&l);
}

static void a_program_that_there_is_no_lookup_for_is_an_error(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX];
    const char     *names[] = {"sendmail"};
    struct settings s = lookup_settings(w, dir, names, 1);
    struct lookup  *l = NULL;

    REFUSED(w, ERR_INVALID, lookup_new(&s, &l, &w->e));
    assert_non_null(strstr(w->e.text, "sendmail"));
}

static void many_changes_at_once_end_in_the_same_rows(void **state)
{
    struct world   *w = world_of(state);
    char            dir[PATH_MAX];
    struct settings s = lookup_settings(w, dir, both, 1);
    struct uuid domain = add_domain(w, "ours.example"), policy = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    struct lookup *l = NULL;
    struct db     *db;

    OK(w, lookup_new(&s, &l, &w->e));
    db = reader_of(w, dir, "spamassassin");
    add_many(w, w->more, policy, 20000);
    SOON(SLOW_MS, rows_of(w, db) == 1 + 2 * 20000);
    db_close(&db);
    lookup_free(&l);
}

int main(void)
{
    const struct both_test tests[] = {
        STORE_SQLITE(nothing_is_made_where_no_program_wants_it),
        STORE(a_commit_is_in_the_file_within_a_fifth_of_a_second),
        STORE(what_changed_while_rulesd_was_down_is_in_the_file_when_it_starts),
        STORE_SQLITE(files_are_for_the_programs_group_alone),
        STORE_SQLITE(a_damaged_file_is_made_again),
        STORE(a_program_that_there_is_no_lookup_for_is_an_error),
        STORE(many_changes_at_once_end_in_the_same_rows),
    };

    return run_on_both(tests, COUNT(tests));
}
