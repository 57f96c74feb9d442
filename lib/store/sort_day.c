/* lib/store/sort_day.c - a day that is over is written anew in the order in which it is searched. */
#include "store/sort_day.h"

#include <stdio.h>

#include "store/row.h"
#include "store/shelf_words.h"

#define SCRIPT_MAX 4096

static const char unsorted_sql[] = "SELECT day FROM log_day WHERE day = $1 AND sorted = 0";
static const char sorted_sql[] = "UPDATE log_day SET sorted = 1 WHERE day = $1";
static const char written_sql[] = "UPDATE log_day SET sorted = 0 WHERE day = $1 AND sorted = 1";

static const char *const tables[] = {"delivery_words", "delivery_answers"};

/* Keeps away who writes to the table, and who would sort it too, but nobody who reads. */
static const char lock_format[] = "SET LOCAL lock_timeout = 500;"
                                  "LOCK TABLE %1$s_%2$lld IN SHARE ROW EXCLUSIVE MODE";

/* A row of several mailboxes is put to one of them. The indexes are made of what is there, which is faster and makes them smaller. */
static const char write_format[] =
    "CREATE TABLE sorted_%1$s_%2$lld (LIKE %1$s_%2$lld INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
    "INSERT INTO sorted_%1$s_%2$lld SELECT w.* FROM %1$s_%2$lld w"
    " LEFT JOIN delivery_%2$lld d ON d.uid = w.uid AND d.n = w.n ORDER BY d.domain_id,"
    " (SELECT b.mailbox_id FROM delivery_mailbox_%2$lld b WHERE b.uid = w.uid AND b.n = w.n ORDER BY 1 LIMIT 1), "
    "w.uid, w.n;"
    "ALTER TABLE sorted_%1$s_%2$lld ADD PRIMARY KEY (uid, n);"
    "CREATE INDEX ON sorted_%1$s_%2$lld USING gin (words)";

/* Everybody waits behind who takes a partition away, so it is the last that is done. */
static const char exchange_format[] =
    "DROP TABLE %1$s_%2$lld;"
    "ALTER TABLE sorted_%1$s_%2$lld RENAME TO %1$s_%2$lld;"
    "ALTER TABLE %1$s ATTACH PARTITION %1$s_%2$lld FOR VALUES FROM ('%3$s') TO ('%4$s')";

static int run_script(struct store *s, const char *format, const char *table, int64_t day, struct err *e)
{
    struct uuid    from = day_uid_at(day * DAY_MS), to = day_uid_at((day + 1) * DAY_MS);
    struct day_uid a = day_uid_text(&from), z = day_uid_text(&to);
    char           sql[SCRIPT_MAX];

    /* cppcheck-suppress wrongPrintfScanfArgNum ; by number: each format takes those of them that it needs */
    snprintf(sql, sizeof sql, format, table, (long long)day, a.text, z.text);
    return db_script(s->log, sql, e);
}

/* 1 it is, 0, -1. */
static int is_unsorted(struct store *s, int64_t day, struct err *e)
{
    int64_t there;

    return row_i64(s->log, unsorted_sql, (struct db_val[]){dbv_i64(day)}, 1, &there, e);
}

/* In a transaction. Answers still come, to mail that had to wait: they are kept from coming as shortly as can be. */
static int sort_in(struct store *s, int64_t day, struct err *e)
{
    int rc;

    if (run_script(s, lock_format, tables[0], day, e) < 0 || (rc = is_unsorted(s, day, e)) < 0)
        return -1;
    if (rc == 0)
        return 0;
    if (shelf_words_make(s, day, e) < 0 || run_script(s, write_format, tables[0], day, e) < 0 ||
        run_script(s, lock_format, tables[1], day, e) < 0 || run_script(s, write_format, tables[1], day, e) < 0 ||
        row_run_i64(s->log, sorted_sql, day, e) < 0)
        return -1;
    for (size_t i = 0; i < COUNT(tables); i++)
        if (run_script(s, exchange_format, tables[i], day, e) < 0)
            return -1;
    return 0;
}

int sort_day(struct store *s, int64_t day, struct err *e)
{
    int rc = is_unsorted(s, day, e);

    if (rc <= 0)
        return rc;
    if (db_begin(s->log, e) < 0)
        return -1;
    if (sort_in(s, day, e) == 0 && db_commit(s->log, e) == 0)
        return 0;
    db_rollback(s->log);
    return -1;
}

int sort_day_written(struct store *s, int64_t day, struct err *e) { return row_run_i64(s->log, written_sql, day, e); }
