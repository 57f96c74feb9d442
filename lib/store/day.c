/* lib/store/day.c - the tables of a day. */
#include "store/day.h"

#include <stdio.h>

#include "store/row.h"

#define UID_MS_MAX ((INT64_C(1) << 48) - 1)
#define ID_MS_BITS 42 /* until 2109 */
#define ID_MS_MAX ((INT64_C(1) << ID_MS_BITS) - 1)
#define TICK_BITS 12 /* of a UID made here: its count within the millisecond */
#define N_BITS 9     /* recipients without reaching into the next tick's ids */

int64_t day_uid_ms(const struct uuid *u)
{
    int64_t ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | u->b[i];
    return ms;
}

int64_t day_of_uid(const struct uuid *u) { return day_uid_ms(u) / DAY_MS; }

struct uuid day_uid_at(int64_t ms)
{
    struct uuid u = {{0}};

    ms = ms < 0 ? 0 : ms > UID_MS_MAX ? UID_MS_MAX : ms;
    for (size_t i = 0; i < 6; i++)
        u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    return u;
}

int64_t day_id_at(int64_t ms)
{
    ms = ms < 0 ? 0 : ms > ID_MS_MAX ? ID_MS_MAX : ms;
    return ms << (TICK_BITS + N_BITS);
}

int64_t day_id_ms(int64_t id) { return id >> (TICK_BITS + N_BITS); }

int64_t day_id(const struct uuid *u)
{
    int64_t tick = (u->b[6] & 0x0F) << 8 | u->b[7];

    return day_id_at(day_uid_ms(u)) | tick << N_BITS;
}

/* ---- Tables ------------------------------------------------------------------------------------------------------- */

static const char known_sql[] = "SELECT day FROM log_day WHERE day = $1";
static const char add_sql[] = "INSERT INTO log_day (day) VALUES ($1) ON CONFLICT DO NOTHING";
static const char add_lite_sql[] = "INSERT INTO log_day (day, moments, moments_whole) VALUES ($1, 1, 1)"
                                   " ON CONFLICT DO NOTHING";
static const char moments_sql[] = "SELECT moments + moments * moments_whole FROM log_day WHERE day = $1";
static const char forget_sql[] = "DELETE FROM log_day WHERE day = $1";
static const char newest_sql[] = "SELECT day FROM log_day WHERE day >= $1 AND day <= $2 ORDER BY day DESC LIMIT $3";
static const char oldest_sql[] = "SELECT day FROM log_day WHERE day >= $1 AND day <= $2 ORDER BY day LIMIT $3";
/* Two that make the same day's partitions: one waits. */
static const char lock_sql[] = "SELECT pg_advisory_xact_lock(7073746572)";
static const char patience_sql[] = "SET LOCAL lock_timeout = 500";

#define SCRIPT_MAX 8192

/* The text of a message is in its rows: no copy of it here (content='') and no word of its size (columnsize=0). */
static void put_full_text(struct buf *b, int64_t day)
{
    buf_printf(b,
               "CREATE VIRTUAL TABLE IF NOT EXISTS words_%lld USING fts5(scope, subject, sender, recipient, "
               "message_id, inbound,"
               " content='', columnsize=0);"
               "CREATE VIRTUAL TABLE IF NOT EXISTS answers_%lld USING fts5(scope, outbound, delivery, content='', "
               "columnsize=0);"
               "CREATE VIRTUAL TABLE IF NOT EXISTS moments_%lld USING fts5(words, content='', columnsize=0, "
               "detail=none);",
               (long long)day, (long long)day, (long long)day);
}

static const char *const full_text[] = {"words", "answers", "moments"};
static const char *const partitioned[] = {"message",        "delivery",         "delivery_mailbox",
                                          "delivery_words", "delivery_answers", "attempt"};

/* Made first and attached then: the parent is locked against nobody but who changes tables. */
static void put_partitions(struct buf *b, int64_t day)
{
    struct uuid    from = day_uid_at(day * DAY_MS), to = day_uid_at((day + 1) * DAY_MS);
    struct day_uid a = day_uid_text(&from), z = day_uid_text(&to);

    for (size_t i = 0; i < COUNT(partitioned); i++)
        buf_printf(b,
                   "CREATE TABLE %s_%lld (LIKE %s INCLUDING ALL);"
                   "ALTER TABLE %s ATTACH PARTITION %s_%lld FOR VALUES FROM ('%s') TO ('%s');",
                   partitioned[i], (long long)day, partitioned[i], partitioned[i], partitioned[i], (long long)day,
                   a.text, z.text);
}

/* On SQLite another name is enough: to free a day's pages takes most of a second, in which nobody writes. */
static void put_drops(struct buf *b, enum db_kind kind, int64_t day, bool moments)
{
    for (size_t i = 0; kind == DB_SQLITE && i < COUNT(full_text) - !moments; i++)
        buf_printf(b, "ALTER TABLE %s_%lld RENAME TO forgotten_%s_%lld;", full_text[i], (long long)day, full_text[i],
                   (long long)day);
    for (size_t i = 0; kind == DB_PGSQL && i < COUNT(partitioned); i++)
        buf_printf(b, "DROP TABLE IF EXISTS %s_%lld;", partitioned[i], (long long)day);
}

static int is_known(struct store *s, int64_t day, struct err *e)
{
    int64_t there;

    return row_i64(s->log, known_sql, (struct db_val[]){dbv_i64(day)}, 1, &there, e);
}

/* In a transaction. */
static int make_in(struct store *s, int64_t day, struct err *e)
{
    struct buf script;
    int        rc;

    if (db_kind(s->log) == DB_PGSQL && db_script(s->log, lock_sql, e) < 0)
        return -1;
    if ((rc = is_known(s, day, e)) != 0)
        return rc < 0 ? -1 : 0;
    buf_init(&script, SCRIPT_MAX);
    if (db_kind(s->log) == DB_SQLITE)
        put_full_text(&script, day);
    else
        put_partitions(&script, day);
    rc = db_script(s->log, script.p, e);
    buf_fini(&script);
    return rc < 0 ? -1
                  : db_run(s->log, db_kind(s->log) == DB_SQLITE ? add_lite_sql : add_sql,
                           (struct db_val[]){dbv_i64(day)}, 1, NULL, e);
}

int day_has_moments(struct store *s, int64_t day, struct err *e)
{
    int64_t has = 0;

    return row_i64(s->log, moments_sql, (struct db_val[]){dbv_i64(day)}, 1, &has, e) < 0 ? -1 : (int)has;
}

int day_make(struct store *s, int64_t day, struct err *e)
{
    int rc = is_known(s, day, e);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (db_in_transaction(s->log))
        return make_in(s, day, e);
    if (db_begin(s->log, e) < 0)
        return -1;
    if (make_in(s, day, e) == 0 && db_commit(s->log, e) == 0)
        return 0;
    db_rollback(s->log);
    return err_wrap(e, "make the log's tables of day %lld", (long long)day);
}

static int drop_in(struct store *s, int64_t day, struct err *e)
{
    struct buf script;
    int        rc = db_kind(s->log) == DB_SQLITE ? day_has_moments(s, day, e) : 0;
    bool       moments = rc > 0;

    /* A search that still reads the day would have everybody wait behind us. */
    if (rc < 0 || (db_kind(s->log) == DB_PGSQL && db_script(s->log, patience_sql, e) < 0))
        return -1;
    buf_init(&script, SCRIPT_MAX);
    put_drops(&script, db_kind(s->log), day, moments);
    rc = db_script(s->log, script.p, e);
    buf_fini(&script);
    return rc < 0 ? -1 : db_run(s->log, forget_sql, (struct db_val[]){dbv_i64(day)}, 1, NULL, e);
}

int day_drop(struct store *s, int64_t day, struct err *e)
{
    if (db_begin(s->log, e) < 0)
        return -1;
    if (drop_in(s, day, e) == 0 && db_commit(s->log, e) == 0)
        return 0;
    db_rollback(s->log);
    return err_wrap(e, "drop the log's tables of day %lld", (long long)day);
}

/* ---- What days leave on SQLite ------------------------------------------------------------------------------------- */

#define SWEEP_PAGES 250
#define STEP_SQL_MAX 256

/* A full-text table's pages are rows of its table NAME_data; the first ten are what it needs to be opened. */
static const char left_sql[] =
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'forgotten\\_%\\_data'"
    " ESCAPE '\\' LIMIT 1";
static const char sweep_format[] = "DELETE FROM %s_data WHERE id IN (SELECT id FROM %s_data WHERE id > 10 LIMIT %d)";

/* "forgotten_words_20000", of one that is left. */
static int find_left(struct store *s, char name[64], struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->log, left_sql, NULL, 0, &r, e);

    if (rc <= 0)
        return rc;
    col_str(r, 0, name, 64);
    name[strlen(name) - strlen("_data")] = '\0';
    db_rows_free(&r);
    return 1;
}

int day_sweep(struct store *s, struct err *e)
{
    char    name[64], sql[STEP_SQL_MAX];
    int64_t gone;
    int     rc;

    if (db_kind(s->log) == DB_PGSQL || (rc = find_left(s, name, e)) == 0)
        return 0;
    if (rc < 0)
        return -1;
    snprintf(sql, sizeof sql, sweep_format, name, name, SWEEP_PAGES);
    rc = db_run(s->log, sql, NULL, 0, &gone, e);
    db_forget(s->log, sql);
    if (rc < 0)
        return -1;
    snprintf(sql, sizeof sql, "DROP TABLE %s", name);
    return gone == 0 && db_script(s->log, sql, e) < 0 ? -1 : 1;
}

int day_list(struct store *s, int64_t from, int64_t to, bool newest_first, int64_t *out, size_t max, size_t *n_out,
             struct err *e)
{
    struct db_val   vals[] = {dbv_i64(from), dbv_i64(to), dbv_i64((int64_t)max)};
    struct db_rows *r;
    int             rc;

    *n_out = 0;
    if (db_query(s->log, newest_first ? newest_sql : oldest_sql, vals, COUNT(vals), &r, e) < 0)
        return -1;
    while ((rc = db_next(r, e)) > 0 && *n_out < max)
        out[(*n_out)++] = db_i64(r, 0);
    db_rows_free(&r);
    return rc < 0 ? -1 : 0;
}
