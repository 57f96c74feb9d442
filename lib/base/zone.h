/* lib/base/zone.h - time as the clocks on a wall show it, by the IANA zones that are installed.
 *
 * A zone is held between zone_open() and zone_close(); any number of threads may read it, and neither TZ nor the locale is looked
 * at. Zones are kept by name, so that opening one again costs a look-up; a zone file that was replaced is read as soon as nobody
 * holds what was read before.
 * Names     "Europe/Berlin", "UTC", old ones ("Asia/Calcutta") too where their file is there. A name is refused by its letters before a
 *           file is touched: no path leads out of the folder (/usr/share/zoneinfo, or TZDIR).
 * Local_s   seconds that a wall clock counts since it showed 1970-01-01 00:00: what it shows, not an instant. Where clocks are put back two
 *           instants show the same; where they are put forward there is a gap that none shows.
 * Cost      A hundred thousand questions take well under a second. Leap seconds are not known here. */
#ifndef POSTERN_BASE_ZONE_H
#define POSTERN_BASE_ZONE_H

#include "base/arena.h"
#include "base/err.h"

#define ZONE_NAME_MAX 64 /* with the NUL */

struct zone;

/* ERR_INVALID: not the name of a zone. ERR_NOT_FOUND: none of that name is installed. */
const struct zone *zone_open(struct span name, struct err *e);
void               zone_close(const struct zone **z); /* NULL is fine; leaves NULL */

/* What to choose from: a zone for each country and clock of the world, and UTC, sorted by name. */
int zone_names(struct arena *a, struct span **names_out, size_t *n_out, struct err *e);

/* What the wall shows at an instant. */
struct zone_time {
    int     year, month, day; /* month and day from 1 */
    int     weekday;          /* 0: Sunday */
    int     hour, minute, second;
    int32_t offset_s;         /* seconds that local time is ahead of UTC */
    char    abbreviation[16]; /* "CET"; where people have none, the offset: "+0545" */
};
struct zone_time zone_time(const struct zone *z, int64_t us);
int64_t          zone_local_s(const struct zone *z, int64_t us);

/* The first instant at which the wall shows local_s or later: the first of two, and behind a gap its first minute. */
int64_t zone_first_us(const struct zone *z, int64_t local_s);
/* The first instant in (from_us, to_us] with another offset or abbreviation than from_us, to the second; to_us + 1 if there is none. */
int64_t zone_change_us(const struct zone *z, int64_t from_us, int64_t to_us);
/* When the local day of this instant began: not always at 00:00. */
int64_t zone_day_start_us(const struct zone *z, int64_t us);

#endif
