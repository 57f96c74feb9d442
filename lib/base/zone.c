/* lib/base/zone.c - see zone.h. GLib reads the zone files and knows their intervals of one offset. Which wall time is which instant is
 * worked out here, from the intervals. */
#include "base/zone.h"

#include <glib.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/map.h"

#define SECOND_US INT64_C(1000000)
#define DAY_S INT64_C(86400)
#define OFFSET_MAX_S (26 * INT64_C(3600))   /* no offset is as large */
#define INSTANT_MAX_S INT64_C(253402300799) /* the year 9999 */
#define TAB_MAX ((size_t)1 << 20)
#define TAB_LINE_MIN 3 /* two tabs and a letter, at least */

struct zone {
    GTimeZone  *glib; /* NULL: the file was damaged */
    struct stat file; /* as it was when read */
    unsigned    held; /* guarded by the lock, as the table is; whoever holds a zone may read glib without it */
    char        name[ZONE_NAME_MAX];
};

/* ---- Names ------------------------------------------------------------------------------------------------ */

static const char *folder(void)
{
    const char *set = getenv("TZDIR"); /* as GLib and the C library do */

    return set != NULL && *set != '\0' ? set : "/usr/share/zoneinfo";
}

static bool letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

/* Words of letters, digits, '_', '+' and '-' between slashes, the first letter large: "posix/" and "right/" stay out. */
static bool well_named(struct span name)
{
    struct span rest = name, word;

    if (name.n == 0 || name.n >= ZONE_NAME_MAX || !(name.p[0] >= 'A' && name.p[0] <= 'Z'))
        return false;
    while (span_next(&rest, '/', &word)) {
        if (word.n == 0 || !letter(word.p[0]))
            return false;
        for (size_t i = 0; i < word.n; i++)
            if (!letter(word.p[i]) && !(word.p[i] >= '0' && word.p[i] <= '9') && span_chr(SPAN("_+-"), word.p[i]) == 3)
                return false;
    }
    return true;
}

/* Is there a zone file? GLib would take "ABC5" for a rule and make a zone of it. */
static int installed(const char *name, struct stat *file_out, struct err *e)
{
    char  path[PATH_MAX], magic[4];
    FILE *f;
    bool  is;

    snprintf(path, sizeof path, "%s/%s", folder(), name);
    f = fopen(path, "re");
    is = f != NULL && fstat(fileno(f), file_out) == 0 && S_ISREG(file_out->st_mode) &&
         fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
    if (f != NULL)
        fclose(f);
    return is ? 0 : err_set(e, ERR_NOT_FOUND, "no time zone \"%s\" is installed", name);
}

/* ---- Open zones ------------------------------------------------------------------------------------------- */

/* Each name that was asked for and exists, so no more than there are files. They stay. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map      zones;

static bool replaced(const struct zone *z)
{
    char        path[PATH_MAX];
    struct stat now;

    snprintf(path, sizeof path, "%s/%s", folder(), z->name);
    return stat(path, &now) == 0 && (now.st_ino != z->file.st_ino || now.st_mtim.tv_sec != z->file.st_mtim.tv_sec ||
                                     now.st_mtim.tv_nsec != z->file.st_mtim.tv_nsec);
}

/* Nobody holds what was read before, else GLib would give the same again. */
static int zone_read(struct zone *z, struct err *e)
{
    if (installed(z->name, &z->file, e) < 0)
        return -1;
    if (z->glib != NULL)
        g_time_zone_unref(z->glib);
    z->glib = g_time_zone_new_identifier(z->name);
    return z->glib != NULL ? 0 : err_set(e, ERR_CORRUPT, "the file of time zone \"%s\" is damaged", z->name);
}

static struct zone *zone_new(struct span name, struct err *e)
{
    struct zone *z = calloc(1, sizeof *z);

    if (z == NULL)
        panic("out of memory for a time zone");
    memcpy(z->name, name.p, name.n);
    if (zone_read(z, e) < 0) {
        free(z);
        return NULL;
    }
    map_put(&zones, span_of(z->name), z);
    return z;
}

const struct zone *zone_open(struct span name, struct err *e)
{
    struct zone *z;

    if (!well_named(name)) {
        err_set(e, ERR_INVALID, "\"%.*s\" is not the name of a time zone", SPAN_ARG(span_head(name, ZONE_NAME_MAX)));
        return NULL;
    }
    pthread_mutex_lock(&lock);
    z = map_get(&zones, name);
    if (z == NULL)
        z = zone_new(name, e);
    else if (z->held == 0 && (z->glib == NULL || replaced(z)))
        zone_read(z, e);
    if (z != NULL && z->glib != NULL)
        z->held++;
    else
        z = NULL;
    pthread_mutex_unlock(&lock);
    return z;
}

void zone_close(const struct zone **z)
{
    if (*z == NULL)
        return;
    pthread_mutex_lock(&lock);
    ((struct zone *)(uintptr_t)*z)->held--;
    pthread_mutex_unlock(&lock);
    *z = NULL;
}

/* ---- Wall time -------------------------------------------------------------------------------------------- */

static int64_t seconds_of(int64_t us)
{
    int64_t s = us / SECOND_US - (us % SECOND_US < 0);

    return s > INSTANT_MAX_S ? INSTANT_MAX_S : s < -INSTANT_MAX_S ? -INSTANT_MAX_S : s;
}

static int interval_at(const struct zone *z, int64_t s)
{
    return g_time_zone_find_interval(z->glib, G_TIME_TYPE_UNIVERSAL, s);
}

static int64_t offset_of(const struct zone *z, int interval) { return g_time_zone_get_offset(z->glib, interval); }

/* The first second of (from, to] that is not in the interval of `from`; to + 1 if there is none. */
static int64_t interval_end(const struct zone *z, int64_t from, int64_t to)
{
    int     interval = interval_at(z, from);
    int64_t in = from, out = to;

    if (interval_at(z, to) == interval)
        return to + 1;
    while (out - in > 1) {
        int64_t middle = in + (out - in) / 2;

        if (interval_at(z, middle) == interval)
            in = middle;
        else
            out = middle;
    }
    return out;
}

int64_t zone_local_s(const struct zone *z, int64_t us)
{
    int64_t s = seconds_of(us);

    return s + offset_of(z, interval_at(z, s));
}

struct zone_time zone_time(const struct zone *z, int64_t us)
{
    int64_t          s = seconds_of(us);
    int              interval = interval_at(z, s);
    struct zone_time t = {.offset_s = (int32_t)offset_of(z, interval)};
    time_t           local = (time_t)(s + t.offset_s);
    struct tm        tm;

    gmtime_r(&local, &tm);
    t.year = tm.tm_year + 1900;
    t.month = tm.tm_mon + 1;
    t.day = tm.tm_mday;
    t.weekday = tm.tm_wday;
    t.hour = tm.tm_hour;
    t.minute = tm.tm_min;
    t.second = tm.tm_sec;
    snprintf(t.abbreviation, sizeof t.abbreviation, "%s", g_time_zone_get_abbreviation(z->glib, interval));
    return t;
}

int64_t zone_first_us(const struct zone *z, int64_t local_s)
{
    int64_t from, last;

    local_s = local_s > INSTANT_MAX_S ? INSTANT_MAX_S : local_s < -INSTANT_MAX_S ? -INSTANT_MAX_S : local_s;
    from = local_s - OFFSET_MAX_S;
    last = local_s + OFFSET_MAX_S; /* the wall shows local_s or later by then, and did not at `from` */
    for (;;) {
        int64_t end = interval_end(z, from, last), at = local_s - offset_of(z, interval_at(z, from));

        if (at < end) /* holds at the latest where end > last */
            return (at > from ? at : from) * SECOND_US;
        from = end;
    }
}

int64_t zone_change_us(const struct zone *z, int64_t from_us, int64_t to_us)
{
    int64_t to = seconds_of(to_us), at = interval_end(z, seconds_of(from_us), to);

    return at <= to ? at * SECOND_US : to_us + 1;
}

int64_t zone_day_start_us(const struct zone *z, int64_t us)
{
    int64_t local = zone_local_s(z, us), into = local % DAY_S;

    return zone_first_us(z, local - (into < 0 ? into + DAY_S : into));
}

/* ---- The list --------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) { return span_cmp(*(const struct span *)a, *(const struct span *)b); }

/* The third column of zone.tab: "DE	+5230+01322	Europe/Berlin	most of Germany". */
static struct span name_in(struct span line)
{
    struct span column = SPAN_NONE;

    if (line.n == 0 || line.p[0] == '#')
        return SPAN_NONE;
    for (int i = 0; i < 3; i++)
        if (!span_next(&line, '\t', &column))
            return SPAN_NONE;
    return well_named(column) ? column : SPAN_NONE;
}

int zone_names(struct arena *a, struct span **names_out, size_t *n_out, struct err *e)
{
    char        path[PATH_MAX];
    struct buf  tab;
    struct span rest, line, name, *names;
    size_t      n = 0;
    int         rc = -1;

    snprintf(path, sizeof path, "%s/zone.tab", folder());
    buf_init(&tab, TAB_MAX);
    if (fd_read_file(path, TAB_MAX, &tab, e) < 0)
        goto out;
    names = arena_array(a, tab.n / TAB_LINE_MIN + 1, sizeof *names);
    for (rest = buf_span(&tab); names != NULL && span_line(&rest, &line);)
        if ((name = name_in(line)).n > 0)
            names[n++] = arena_dup(a, name);
    if (names != NULL)
        names[n++] = SPAN("UTC");
    if (a->full) {
        err_set(e, ERR_LIMIT, "no room for the names of time zones");
        goto out;
    }
    qsort(names, n, sizeof *names, by_name);
    *names_out = names;
    *n_out = n;
    rc = 0;
out:
    buf_fini(&tab);
    return rc;
}
