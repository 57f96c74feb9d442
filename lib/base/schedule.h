/* lib/base/schedule.h - when something runs that people have asked for at an hour of theirs.
 *
 * A daily one runs at a wall time on some weekdays. A wall time that does not exist on a day (clocks put forward) runs at the first minute
 * behind the gap; one that exists twice (clocks put back) runs once, the first time. An hourly one runs whenever the wall clock shows
 * its minute: an hour that clocks skip has no run, one that they repeat has two, so that there is one for each hour that passes. */
#ifndef POSTERN_BASE_SCHEDULE_H
#define POSTERN_BASE_SCHEDULE_H

#include "base/zone.h"

#define SCHEDULE_EVERY_DAY 0x7Fu

struct schedule {
    bool     hourly;
    unsigned minute;   /* of the local day, 0 to 1439; hourly: of the hour, 0 to 59 */
    unsigned weekdays; /* bit 0 Sunday … bit 6 Saturday, at least one; hourly: does not count */
    char     zone[ZONE_NAME_MAX];
};

/* 0: schedule_next_us() has an answer for it. Else e says what a person would change. */
int schedule_check(const struct schedule *s, struct err *e);
/* The first run after after_us, itself left out. -1: the schedule is none (see schedule_check). */
int schedule_next_us(const struct schedule *s, int64_t after_us, int64_t *next_out, struct err *e);

#endif
