/* lib/store/message_trim.c - retention: the log forgets whole days.
 *
 * Rows go first and the day's own tables last, so that what a crash leaves is found again by the day that still has tables. What a
 * day's tables leave behind on SQLite is looked for by its name. */
#include <stdio.h>

#include "store/day.h"
#include "store/pace.h"
#include "store/row.h"
#include "store/shelf_words.h"

#define STEP_ROWS 1000
#define BUSY_TRIES 20
#define DAYS_AT_ONCE 64

/* Each takes at most $2 of the oldest rows below a UID (on SQLite also: below the id that belongs to it; reports: before a time). On
 * PostgreSQL most tables have partitions, which are dropped. */
#define OLDEST(table, key)                                                                                             \
    "DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM " table " WHERE uid < $1 ORDER BY uid LIMIT $2)"
#define OLDEST_ID(table, key)                                                                                          \
    "DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM " table " WHERE id < $1 ORDER BY id LIMIT $2)"
static const char mailboxes_lite[] = OLDEST_ID("delivery_mailbox", "mailbox_id, id");
static const char deliveries_lite[] = OLDEST_ID("delivery", "id");
static const char messages[] = OLDEST("message", "uid"), attempts[] = OLDEST("attempt", "uid, n, seq");
static const char links[] = OLDEST("queue_link", "queue_id, uid, n");
static const char gone[] = "DELETE FROM custody WHERE uid IN (SELECT uid FROM custody WHERE uid < $1 AND place = 'gone'"
                           " ORDER BY uid LIMIT $2)";
/* One that is still held could be asked for again, and has to be known as sent. */
static const char releases[] =
    "DELETE FROM release WHERE (uid, n) IN (SELECT r.uid, r.n FROM release r WHERE r.uid < $1 AND NOT EXISTS"
    " (SELECT 1 FROM custody c WHERE c.uid = r.uid AND c.place <> 'gone') ORDER BY r.uid LIMIT $2)";

static const char requests[] = OLDEST("release_request", "uid, n");
static const char observations[] = OLDEST("observed", "uid");
/* What waits is not forgotten, however long it does. */
static const char reports[] = "DELETE FROM report WHERE id IN (SELECT id FROM report WHERE state <> 'waiting' AND"
                              " changed_us < $1 ORDER BY changed_us LIMIT $2)";

static const struct step {
    const char *sql;
    enum { BY_UID, BY_ID, BY_TIME } by;
} steps[2][10] = {
    [DB_SQLITE] = {{mailboxes_lite, BY_ID},
                   {deliveries_lite, BY_ID},
                   {messages, BY_UID},
                   {attempts, BY_UID},
                   {links, BY_UID},
                   {releases, BY_UID},
                   {requests, BY_UID},
                   {gone, BY_UID},
                   {observations, BY_UID},
                   {reports, BY_TIME}},
    [DB_PGSQL] = {{links, BY_UID},
                  {releases, BY_UID},
                  {requests, BY_UID},
                  {gone, BY_UID},
                  {observations, BY_UID},
                  {reports, BY_TIME}},
};

struct trimming {
    struct store      *s;
    struct pace        pace;
    struct store_trim *done;
};

/* 1 done, 0 stopped, -1. */
static int delete_rows(struct trimming *t, const struct step *step, int64_t day, struct err *e)
{
    struct uuid    below = day_uid_at(day * DAY_MS);
    struct day_uid text = day_uid_text(&below);
    struct db_val  vals[] = {step->by == BY_ID     ? dbv_i64(day_id_at(day * DAY_MS))
                             : step->by == BY_TIME ? dbv_i64(day * DAY_US)
                                                   : dbv_str(text.text),
                            dbv_i64(STEP_ROWS)};
    int64_t changed, begun;

    do {
        if (pace_stopped(&t->pace))
            return 0;
        begun = clock_mono_us();
        if (db_run(t->s->log, step->sql, vals, 2, &changed, e) < 0)
            return -1;
        t->done->rows += changed;
        if (changed > 0)
            pace_rest(begun);
    } while (changed == STEP_ROWS);
    return 1;
}

/* A search that reads the day is waited for in small portions. */
static int drop_day(struct trimming *t, int64_t day, struct err *e)
{
    for (int tries = 1;; tries++) {
        int64_t begun = clock_mono_us();

        if (day_drop(t->s, day, e) == 0)
            break;
        if (e == NULL || e->code != ERR_BUSY || tries == BUSY_TRIES)
            return -1;
        if (pace_stopped(&t->pace))
            return 0;
        pace_rest(begun);
    }
    t->done->days++;
    return db_kind(t->s->log) == DB_PGSQL && shelf_words_forget(t->s, day + 1, e) < 0 ? -1 : 1;
}

/* What dropped days have left. 1 done, 0 stopped, -1. */
static int sweep(struct trimming *t, struct err *e)
{
    int rc = 1;

    while (rc > 0 && !pace_stopped(&t->pace)) {
        int64_t begun = clock_mono_us();

        rc = day_sweep(t->s, e);
        if (rc > 0)
            pace_rest(begun);
    }
    return rc < 0 ? -1 : rc == 0;
}

static int forget_until(struct trimming *t, int64_t day, struct err *e)
{
    const struct step *all = steps[db_kind(t->s->log)];
    int                rc = 1;

    for (size_t i = 0; i < COUNT(steps[0]) && all[i].sql != NULL && rc > 0; i++)
        rc = delete_rows(t, &all[i], day, e);
    return rc;
}

/* The oldest day first, each to its end. */
static int forget_days(struct trimming *t, int64_t day, struct err *e)
{
    int64_t days[DAYS_AT_ONCE];
    size_t  n;
    int     rc = sweep(t, e); /* of one that was stopped */

    if (rc <= 0)
        return rc;
    do {
        if (day_list(t->s, 0, day - 1, false, days, DAYS_AT_ONCE, &n, e) < 0)
            return -1;
        for (size_t i = 0; i < n && rc > 0; i++) {
            rc = db_kind(t->s->log) == DB_SQLITE ? forget_until(t, days[i] + 1, e) : 1;
            if (rc > 0 && (rc = drop_day(t, days[i], e)) > 0)
                rc = sweep(t, e);
        }
    } while (n == DAYS_AT_ONCE && rc > 0);
    return rc > 0 ? forget_until(t, day, e) : rc;
}

static int make_ahead(struct store *s, struct err *e)
{
    int64_t today = clock_wall_us() / DAY_US;

    if (db_kind(s->log) == DB_SQLITE)
        return 0;
    for (int64_t day = today; day <= today + DAY_AHEAD; day++)
        if (day_make(s, day, e) < 0)
            return -1;
    return 0;
}

int store_message_trim(struct store *s, int64_t day, bool (*stop)(void *ctx), void *ctx, struct store_trim *done,
                       struct err *e)
{
    struct trimming t = {s, {stop, ctx}, done};
    struct err      why = ERR_INIT;

    *done = (struct store_trim){0};
    if (make_ahead(s, e) < 0)
        return -1;
    if (forget_days(&t, day, &why) >= 0)
        return 0;
    if (e != NULL)
        *e = why;
    return -1;
}
