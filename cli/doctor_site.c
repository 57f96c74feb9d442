/* cli/doctor_site.c - what this machine and our own data can tell. */
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>

#include "doctor.h"
#include "store/lookup.h"
#include "store/search.h"
#include "vault/keyring.h"

#define LOG_DAYS 7
#define LOG_ROWS 500
#define CLOCK_AHEAD_US ((int64_t)5 * 60 * 1000000)
#define DATABASE_ROOM ((int64_t)200 << 20)

void doctor_database(struct doctor *d)
{
    struct err e = ERR_INIT;
    int64_t    before = clock_mono_us();

    if (cli_store(d->c, &e) < 0 || store_ping(d->c->store, &e) < 0) {
        doctor_find(
            d, FINDING_WRONG,
            "start the database, or see [store] url; \"postern init\" makes a new one, \"postern migrate\" brings "
            "one up to date",
            "%s", e.text);
        return;
    }
    doctor_find(d, FINDING_OK, NULL, "answers, and is of this release (%lld ms)",
                (long long)(clock_mono_us() - before) / 1000);
}

/* ---- what the log says about the last days ---- */

struct lately {
    int64_t rows, no_queue_id, no_ip, newest_us;
};

static int look_at_row(void *ctx, const struct store_row *r)
{
    struct lately *l = ctx;

    l->rows++;
    l->no_queue_id += r->queue_id.n == 0;
    l->no_ip += r->ip.n == 0;
    l->newest_us = r->at_us > l->newest_us ? r->at_us : l->newest_us;
    return 0;
}

static int read_lately(struct doctor *d, struct lately *out, struct err *e)
{
    struct store_search     what = {.scope = STORE_SCOPE_GLOBAL,
                                    .since_us = clock_wall_us() - (int64_t)LOG_DAYS * 86400 * 1000000,
                                    .limit = LOG_ROWS};
    struct store_search_end end;

    *out = (struct lately){0};
    return cli_store(d->c, e) < 0 ? -1 : store_search(d->c->store, &what, look_at_row, out, &end, e);
}

void doctor_envelope(struct doctor *d)
{
    struct lately l;
    struct err    e = ERR_INIT;

    if (read_lately(d, &l, &e) < 0) {
        doctor_find(d, FINDING_WRONG, "see what is said about the database", "the log cannot be read: %s", e.text);
        return;
    }
    if (l.rows == 0) {
        doctor_find(
            d, FINDING_WRONG,
            "see the lines for your mail server in docs/, and \"trust\" above: only from those whose word counts "
            "is mail logged; \"postern doctor --mail ADDRESS\" tries it",
            "no message with a recipient came in the last %d days", LOG_DAYS);
        return;
    }
    doctor_find(d, FINDING_OK, NULL, "recipients are seen: %lld deliveries looked at", (long long)l.rows);
    if (l.no_ip == l.rows)
        doctor_find(d, FINDING_NOTE,
                    "plain spamd carries none; Rspamd's proxy, spamass-milter and Exim's rspamd form do",
                    "no client address is seen: rules that look at one never match");
    if (l.no_queue_id == l.rows)
        doctor_find(d, FINDING_NOTE,
                    "plain spamd carries none; Rspamd's proxy, filter-rspamd and Exim's rspamd form do",
                    "no queue id is seen: what becomes of a delivery is known by Message-ID alone");
}

/* ---- the clock ---- */

void doctor_clock(struct doctor *d)
{
    struct timex  t = {.modes = 0};
    struct lately l;
    struct err    e = ERR_INIT;
    int           state = adjtimex(&t);

    if (read_lately(d, &l, &e) == 0 && l.newest_us > clock_wall_us() + CLOCK_AHEAD_US)
        doctor_find(d, FINDING_WRONG, "set the clock right; nothing is purged until it is past that time",
                    "the newest message in the log is from the future: the clock went back");
    else if (state == TIME_ERROR || (state >= 0 && (t.status & STA_UNSYNC) != 0))
        doctor_find(d, FINDING_NOTE, "install chrony, or switch systemd-timesyncd on",
                    "nothing seems to keep the clock right; retention, greylisting and link expiry go by it");
    else
        doctor_find(d, FINDING_OK, NULL, "is kept right");
}

/* ---- keys and room ---- */

struct key_count {
    size_t all, open;
};

static int count_key(void *ctx, const struct key_info *key)
{
    struct key_count *count = ctx;

    count->all++;
    count->open += key->can_open;
    return 0;
}

void doctor_keys(struct doctor *d)
{
    const char      *dir = d->c->settings->quarantine.keys;
    struct keyring  *ring;
    struct key_count count = {0, 0};
    struct err       e = ERR_INIT;

    if (keyring_open(dir, &ring, &e) < 0) {
        doctor_find(d, FINDING_WRONG,
                    "\"postern init\" makes them; without them nothing is held, and what would be is refused instead",
                    "%s", e.text);
        return;
    }
    keyring_each(ring, count_key, &count);
    doctor_find(d, FINDING_OK, NULL, "%zu in %s, key %s seals", count.all, dir, keyring_current(ring));
    if (count.open < count.all)
        doctor_find(d, FINDING_NOTE,
                    "fine for a node that only writes; where mail is released or shown, copy the ID.key files there",
                    "%zu of them cannot open held mail here", count.all - count.open);
    keyring_close(&ring);
}

/* Room at a path, or at the nearest folder above it that exists. */
static int room_at(struct span path, int64_t *out)
{
    char           text[1024];
    struct statvfs fs;

    snprintf(text, sizeof text, "%.*s", SPAN_ARG(path));
    while (statvfs(text, &fs) < 0) {
        char *slash = strrchr(text, '/');

        if (slash == NULL || slash == text)
            return -1;
        *slash = 0;
    }
    *out = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    return 0;
}

static void look_at_room(struct doctor *d, const char *what, struct span path, int64_t least, const char *cure)
{
    int64_t room;

    if (room_at(path, &room) < 0)
        doctor_find(d, FINDING_WRONG, "see the path in the settings", "%s: %.*s is not there", what, SPAN_ARG(path));
    else if (room < least)
        doctor_find(d, FINDING_WRONG, cure, "%s: %lld MB are free at %.*s, and %lld have to be", what,
                    (long long)room >> 20, SPAN_ARG(path), (long long)least >> 20);
    else if (room < 2 * least)
        doctor_find(d, FINDING_NOTE, "make room soon", "%s: %lld MB are free at %.*s; from %lld on it is too little",
                    what, (long long)room >> 20, SPAN_ARG(path), (long long)least >> 20);
    else
        doctor_find(d, FINDING_OK, NULL, "%s: %lld MB are free", what, (long long)room >> 20);
}

void doctor_room(struct doctor *d)
{
    const struct settings *s = d->c->settings;
    struct span            quarantine = span_of(s->quarantine.url), store = span_of(s->store.url);

    if (span_starts(quarantine, SPAN("file:")))
        look_at_room(d, "quarantine", span_skip(quarantine, 5), s->quarantine.min_free,
                     "make room, or lower [quarantine] min_free: until then senders of mail that would be held are "
                     "asked to try again");
    if (span_starts(store, SPAN("sqlite:")))
        look_at_room(d, "database", span_skip(store, 7), DATABASE_ROOM,
                     "make room: without it the log cannot be written, and mail waits");
}

/* ---- proof of senders ---- */

void doctor_senders(struct doctor *d)
{
    const struct settings *s = d->c->settings;

    if (s->rulesd.scanner.n == 0 && s->rules.authserv_id[0] == 0)
        doctor_find(d, FINDING_NOTE,
                    "set [rulesd] scanner, or [rules] authserv_id where your mail server adds Authentication-Results",
                    "no sender can be proven: an allow by sender name does nothing, unless made with --no-proof");
    else
        doctor_find(d, FINDING_OK, NULL, "are proven by %s",
                    s->rulesd.scanner.n > 0 ? "what the scanner finds" : "Authentication-Results");
}

/* ---- look-ups ---- */

static void look_at_lookup(struct doctor *d, const char *program, const char *group)
{
    char                path[1024];
    struct stat         file;
    const struct group *wanted = getgrnam(group);

    snprintf(path, sizeof path, "%s/%s/lookup.db", d->c->settings->lookup.dir, program);
    if (stat(path, &file) < 0) {
        doctor_find(d, FINDING_WRONG, "rulesd makes it when it starts; its log says why it did not", "%s is not there",
                    path);
        return;
    }
    if (wanted == NULL)
        doctor_find(d, FINDING_WRONG, "install the program, or name its group in [lookup]",
                    "there is no group %s for %s", group, path);
    else if (file.st_gid != wanted->gr_gid || (file.st_mode & S_IRGRP) == 0)
        doctor_find(d, FINDING_WRONG, "let rulesd make it again: remove the file and restart rulesd",
                    "the group %s cannot read %s", group, path);
    else if ((file.st_mode & S_IROTH) != 0)
        doctor_find(d, FINDING_WRONG, "chmod o-r", "everybody can read %s", path);
    else
        doctor_find(d, FINDING_OK, NULL, "%s can read its file", program);
}

void doctor_lookups(struct doctor *d)
{
    const struct settings *s = d->c->settings;

    if (!span_starts(span_of(s->store.url), SPAN("sqlite:")))
        return; /* views, which need no file */
    for (size_t i = 0; i < s->lookup.programs.n; i++) {
        const char *program = s->lookup.programs.items[i];

        look_at_lookup(d, program,
                       strcmp(program, lookup_words[LOOKUP_POSTFIX]) == 0 ? s->lookup.postfix_group
                                                                          : s->lookup.spamassassin_group);
    }
}
