/* lib/store/day.h - the message log by days: what a UID's day is, and the tables that a day has of its own. For lib/store alone.
 *
 * A UID is time: days, pages and retention go by it, not by what a row says of its message.
 * SQLite       words_DAY, answers_DAY and moments_DAY, full-text tables; delivery.id has the order of (uid, n).
 * PostgreSQL   a partition a day of each large table. */
#ifndef POSTERN_STORE_DAY_H
#define POSTERN_STORE_DAY_H

#include "store/message.h"

#define DAY_US (86400 * INT64_C(1000000))
#define DAY_MS (86400 * INT64_C(1000))
#define DAY_AHEAD 7 /* days whose partitions are made before they come */

struct day_uid {
    char text[UUID_TEXT + 1];
};
static inline struct day_uid day_uid_text(const struct uuid *u)
{
    struct day_uid t = {0};

    uuid_format(u, t.text);
    return t;
}
int64_t day_uid_ms(const struct uuid *u);
int64_t day_of_uid(const struct uuid *u);
/* The least UID of a millisecond, and its text. Ends before 1970 and behind what a UID can say are those. */
struct uuid day_uid_at(int64_t ms);

/* delivery.id on SQLite: of the first recipient, where nothing is in the way. It has the order of the UIDs. */
int64_t day_id(const struct uuid *u);
int64_t day_id_at(int64_t ms); /* the least of a millisecond */
int64_t day_id_ms(int64_t id); /* and back */
/* On SQLite the full-text tables of a day count from the day's first id on: small numbers make small lists. */
static inline int64_t day_first_id(int64_t day) { return day_id_at(day * DAY_MS); }

/* Makes the tables of a day, if it has none yet. On PostgreSQL outside of a transaction. */
int day_make(struct store *s, int64_t day, struct err *e);
/* Has it the words of everybody's mail (moment.h)? 2 yes, 1 as they were made before, 0, -1. SQLite. */
int day_has_moments(struct store *s, int64_t day, struct err *e);
/* Forgets a day with its tables. On SQLite their pages, which are many, stay until day_sweep() has taken them. Outside of a transaction. */
int day_drop(struct store *s, int64_t day, struct err *e);
/* Takes some pages that days have left behind, whoever dropped them, in a transaction of its own: 1 there may be more, 0, -1. */
int day_sweep(struct store *s, struct err *e);
/* The days between two that have tables, at most max, the newest first (or the oldest). */
int day_list(struct store *s, int64_t from, int64_t to, bool newest_first, int64_t *out, size_t max, size_t *n_out,
             struct err *e);

#endif
