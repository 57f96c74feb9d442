/* lib/db/migrate.c - brings a database to the schema that this program was built with. */
#include "db/migrate.h"

#include "base/clock.h"

#define MIGRATE_TIMEOUT_MS (30 * 60 * 1000) /* an index over a large log takes its time */
#define LOCK_TRIES 24                       /* of 5 s: as long as another program may take to migrate */

static const char exists_sqlite_sql[] =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'";
static const char exists_pgsql_sql[] = "SELECT COUNT(*) FROM information_schema.tables"
                                       " WHERE table_schema = current_schema() AND table_name = 'schema_version'";
static const char look_sql[] = "SELECT COALESCE(MAX(number), 0), COALESCE(MAX(contract), 0) FROM schema_version";
static const char record_sql[] =
    "INSERT INTO schema_version (number, name, applied_us, contract) VALUES ($1, $2, $3, $4)";
static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_version (number BIGINT PRIMARY KEY, name TEXT NOT NULL,"
    " applied_us BIGINT NOT NULL, contract BIGINT NOT NULL DEFAULT 0)";
static const char schema_exists_sql[] = "SELECT COUNT(*) FROM pg_catalog.pg_namespace WHERE nspname = $1";
static const char lock_pgsql[] = "SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(7816553902341)";

/* The first row's first columns, up to two. */
static int read_two(struct db *db, const char *sql, const struct db_val *vals, size_t n, int64_t out[2], struct err *e)
{
    struct db_rows *r;
    int             rc;

    if (db_query(db, sql, vals, n, &r, e) < 0)
        return -1;
    if ((rc = db_next(r, e)) > 0) {
        out[0] = db_i64(r, 0);
        if (sql == look_sql)
            out[1] = db_i64(r, 1);
    }
    db_rows_free(&r);
    return rc < 0 ? -1 : 0;
}

static int newest_known(enum db_part part)
{
    int newest = 0;

    for (size_t i = 0; i < nmigrations; i++)
        if (migrations[i].part == part && migrations[i].number > newest)
            newest = migrations[i].number;
    return newest;
}

int migrate_look(struct db *db, enum db_part part, struct migrate_state *out, struct err *e)
{
    int64_t found[2] = {0, 0};

    *out = (struct migrate_state){.known = newest_known(part)};
    if (read_two(db, db_kind(db) == DB_SQLITE ? exists_sqlite_sql : exists_pgsql_sql, NULL, 0, found, e) < 0)
        return -1;
    if (found[0] == 0)
        return 0;
    if (read_two(db, look_sql, NULL, 0, found, e) < 0)
        return -1;
    out->applied = (int)found[0];
    out->needs = (int)found[1];
    return 0;
}

static const char *part_name(enum db_part part) { return part == DB_MAIN ? "main" : "log"; }

static int check_needs(const struct migrate_state *state, enum db_part part, struct err *e)
{
    if (state->needs <= state->known)
        return 0;
    return err_set(
        e, ERR_VERSION,
        "the %s database was made by a newer release (its schema %d needs at least %d, this program knows %d): "
        "install that release, or restore the backup from before it",
        part_name(part), state->applied, state->needs, state->known);
}

int migrate_check(struct db *db, enum db_part part, struct err *e)
{
    struct migrate_state state;

    if (migrate_look(db, part, &state, e) < 0 || check_needs(&state, part, e) < 0)
        return -1;
    if (state.applied == 0)
        return err_set(e, ERR_VERSION, "the %s database is empty: `postern init` fills it", part_name(part));
    if (state.applied < state.known)
        return err_set(e, ERR_VERSION, "the %s database has schema %d, this program needs %d: run `postern migrate`",
                       part_name(part), state.applied, state.known);
    return 0;
}

/* PostgreSQL: our own schema, made where we may. */
static int make_schema(struct db *db, enum db_part part, struct err *e)
{
    const char *name = part == DB_MAIN ? "postern" : "postern_log";
    int64_t     found[2] = {0, 0};

    if (db_kind(db) != DB_PGSQL)
        return 0;
    if (read_two(db, schema_exists_sql, (struct db_val[]){dbv_str(name)}, 1, found, e) < 0)
        return -1;
    if (found[0] > 0)
        return 0;
    if (db_script(db, part == DB_MAIN ? "CREATE SCHEMA postern" : "CREATE SCHEMA postern_log", e) < 0)
        return err_wrap(e, "make the schema %s (or have it made for this role)", name);
    return 0;
}

/* Only one program at a time gets beyond this, until its transaction ends. */
static int begin_alone(struct db *db, struct err *e)
{
    for (int tries = 1;; tries++) {
        if (db_begin(db, e) == 0)
            break;
        if (e == NULL || e->code != ERR_BUSY || tries >= LOCK_TRIES)
            return -1;
    }
    if (db_kind(db) == DB_PGSQL && db_script(db, lock_pgsql, e) < 0) {
        db_rollback(db);
        return -1;
    }
    return 0;
}

/* Every file of one number that is for this database; at most one by its name, none where its twin is alone. */
static int run_number(struct db *db, enum db_part part, int number, struct err *e)
{
    const char *name = "";
    int         contract = 0;

    for (size_t i = 0; i < nmigrations; i++) {
        const struct migration *m = &migrations[i];

        if (m->part != part || m->number != number)
            continue;
        name = m->name;
        contract = m->contract > contract ? m->contract : contract;
        if ((m->kind < 0 || m->kind == (int)db_kind(db)) && db_script(db, m->sql, e) < 0)
            return err_wrap(e, "migration %04d-%s of the %s database", number, name, part_name(part));
    }
    return db_run(db, record_sql,
                  (struct db_val[]){dbv_i64(number), dbv_str(name), dbv_i64(clock_wall_us()), dbv_i64(contract)}, 4,
                  NULL, e);
}

/* 1 when one was applied, 0 when there is nothing left to do. */
static int apply_next(struct db *db, enum db_part part, struct err *e)
{
    struct migrate_state state;

    if (begin_alone(db, e) < 0)
        return -1;
    if (make_schema(db, part, e) < 0 || db_script(db, table_sql, e) < 0 || migrate_look(db, part, &state, e) < 0 ||
        check_needs(&state, part, e) < 0)
        goto fail;
    if (state.applied < state.known && run_number(db, part, state.applied + 1, e) < 0)
        goto fail;
    if (db_commit(db, e) < 0)
        goto fail;
    return state.applied < state.known;
fail:
    db_rollback(db);
    return -1;
}

int migrate_up(struct db *db, enum db_part part, struct err *e)
{
    struct err mine = ERR_INIT;
    int        rc;

    db_set_timeout(db, MIGRATE_TIMEOUT_MS);
    while ((rc = apply_next(db, part, &mine)) > 0)
        ;
    db_set_timeout(db, DB_STATEMENT_MS);
    if (rc < 0 && e != NULL)
        *e = mine;
    return rc;
}
