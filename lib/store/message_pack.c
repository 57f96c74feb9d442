/* lib/store/message_pack.c - days that are over are put in order: nobody writes much to them any more, and many search them.
 *
 * On SQLite FTS5 writes a new piece at each commit and merges few of them by itself. On PostgreSQL the words that came last wait in a
 * list beside their index, which each search reads to its end, and each row is looked up in its page to see whether it is still
 * there; until VACUUM, which autovacuum runs some time later. And a day later, when hardly anybody writes to it any more, it is sorted. */
#include <stdio.h>

#include "store/day.h"
#include "store/pace.h"
#include "store/row.h"
#include "store/sort_day.h"

#define DAYS_AT_ONCE 64
#define PACK_PAGES 250 /* of 4 kB, that one transaction writes */
#define PIECES_MAX 2   /* few answers come late, and are not worth writing a day anew */
#define BUSY_TRIES 3
#define VACUUM_MS (15 * 60 * 1000) /* of a table of a large site's day */

/* ---- SQLite -------------------------------------------------------------------------------------------------------- */

static const char pieces_sql[] = "SELECT COUNT(DISTINCT segid) FROM %s_%lld_idx";
static const char merge_sql[] = "INSERT INTO %s_%lld (%s_%lld, rank) VALUES ('merge', %d)";
static const char changes_sql[] = "SELECT total_changes()";

static int number(struct store *s, const char *sql, int64_t *out, struct err *e)
{
    return row_i64(s->log, sql, NULL, 0, out, e) < 0 ? -1 : 0;
}

static int pieces_of(struct store *s, const char *table, int64_t day, int64_t *out, struct err *e)
{
    char sql[sizeof pieces_sql + 48];
    int  rc;

    snprintf(sql, sizeof sql, pieces_sql, table, (long long)day);
    rc = number(s, sql, out, e);
    db_forget(s->log, sql);
    return rc;
}

/* Writes about so many pages; below 0 it begins with all pieces that there are. Nothing was left to do when hardly anything changed. */
static int merge(struct store *s, const char *table, int64_t day, int pages, bool *more, struct err *e)
{
    char    sql[sizeof merge_sql + 96];
    int64_t before = 0, after = 0;
    int     rc = -1;

    snprintf(sql, sizeof sql, merge_sql, table, (long long)day, table, (long long)day, pages);
    if (number(s, changes_sql, &before, e) == 0 && db_run(s->log, sql, NULL, 0, NULL, e) == 0)
        rc = number(s, changes_sql, &after, e);
    db_forget(s->log, sql);
    *more = rc == 0 && after - before >= 2;
    return rc;
}

/* 1 done, 0 stopped, -1. */
static int merge_table(struct store *s, const struct pace *p, const char *table, int64_t day, struct err *e)
{
    int64_t pieces;
    bool    more = true;

    if (pieces_of(s, table, day, &pieces, e) < 0)
        return -1;
    for (int pages = -PACK_PAGES; more && pieces > PIECES_MAX; pages = PACK_PAGES) {
        int64_t begun = clock_mono_us();

        if (pace_stopped(p))
            return 0;
        if (merge(s, table, day, pages, &more, e) < 0)
            return -1;
        pace_rest(begun);
    }
    return 1;
}

static int merge_day(struct store *s, const struct pace *p, int64_t day, struct err *e)
{
    static const char *const tables[] = {"words", "answers", "moments"};
    int                      moments = day_has_moments(s, day, e), rc = moments < 0 ? -1 : 1;

    for (int i = 0; i < 2 + (moments > 0) && rc > 0; i++)
        rc = merge_table(s, p, tables[i], day, e);
    return rc;
}

/* ---- PostgreSQL ---------------------------------------------------------------------------------------------------- */

/* What has pages that were written since VACUUM was here. */
static const char untidy_sql[] =
    "SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = current_schema()"
    " AND c.relkind = 'r' AND c.relname LIKE $1 AND (c.reltuples < 0 OR"
    " c.relallvisible < pg_relation_size(c.oid) / CAST(current_setting('block_size') AS BIGINT)) ORDER BY 1 LIMIT 1";

struct name {
    char text[64];
};

static int each_name(void *ctx, struct db_rows *r)
{
    struct name *name = ctx;

    snprintf(name->text, sizeof name->text, "%.*s", SPAN_ARG(db_text(r, 0)));
    return 0;
}

static int vacuum(struct store *s, const struct name *table, struct err *e)
{
    char sql[sizeof table->text + 48];

    snprintf(sql, sizeof sql, "VACUUM (FREEZE, ANALYZE) %s", table->text);
    return db_script(s->log, sql, e);
}

/* 1 done, 0 stopped, -1. A table that somebody still reads as it was stays untidy, and is left for tomorrow. */
static int vacuum_like(struct store *s, const struct pace *p, const char *names, struct err *e)
{
    struct name last = {""}, next;

    for (;;) {
        int64_t begun = clock_mono_us();

        next = (struct name){""};
        if (pace_stopped(p))
            return 0;
        if (row_each(s->log, untidy_sql, (struct db_val[]){dbv_str(names)}, 1, each_name, &next, e) < 0)
            return -1;
        if (next.text[0] == '\0' || strcmp(next.text, last.text) == 0)
            return 1;
        if (vacuum(s, &next, e) < 0)
            return -1;
        last = next;
        pace_rest(begun);
    }
}

static int vacuum_day(struct store *s, const struct pace *p, int64_t day, struct err *e)
{
    char names[32];

    snprintf(names, sizeof names, "%%\\_%lld", (long long)day);
    return vacuum_like(s, p, names, e);
}

/* 1 done, 0 stopped, -1. Who is in the way for long has the day be sorted tomorrow. */
static int sort(struct store *s, const struct pace *p, int64_t day, struct err *e)
{
    for (int tries = 0; tries < BUSY_TRIES; tries++) {
        struct err why = ERR_INIT;
        int64_t    begun = clock_mono_us();

        if (pace_stopped(p))
            return 0;
        if (sort_day(s, day, &why) == 0)
            return 1;
        if (why.code != ERR_BUSY) {
            if (e != NULL)
                *e = why;
            return -1;
        }
        pace_rest(begun);
    }
    return 1;
}

static int order_day(struct store *s, const struct pace *p, int64_t day, bool is_quiet, struct err *e)
{
    int rc = is_quiet ? sort(s, p, day, e) : 1;

    return rc > 0 ? vacuum_day(s, p, day, e) : rc;
}

/* ---- Both ---------------------------------------------------------------------------------------------------------- */

static int pack_day(struct store *s, const struct pace *p, int64_t day, bool is_quiet, struct err *e)
{
    int rc = db_kind(s->log) == DB_SQLITE ? merge_day(s, p, day, e) : order_day(s, p, day, is_quiet, e);

    return rc < 0 ? err_wrap(e, "put day %lld of the log in order", (long long)day) : rc;
}

static int pack_days(struct store *s, const struct pace *p, int64_t before, struct err *e)
{
    int64_t from = 0, days[DAYS_AT_ONCE];
    size_t  n;
    int     rc = 1;

    do {
        if (day_list(s, from, before - 1, false, days, DAYS_AT_ONCE, &n, e) < 0)
            return -1;
        for (size_t i = 0; i < n && rc > 0; i++) {
            rc = pack_day(s, p, days[i], days[i] + 1 < before, e);
            from = days[i] + 1;
        }
    } while (n == DAYS_AT_ONCE && rc > 0);
    if (rc > 0 && db_kind(s->log) == DB_PGSQL)
        rc = vacuum_like(s, p, "shelf\\_words", e);
    return rc < 0 ? -1 : 0;
}

int store_message_pack(struct store *s, int64_t day, bool (*stop)(void *ctx), void *ctx, struct err *e)
{
    int rc;

    db_set_timeout(s->log, VACUUM_MS);
    rc = pack_days(s, &(struct pace){stop, ctx}, day, e);
    db_set_timeout(s->log, DB_STATEMENT_MS);
    return rc;
}
