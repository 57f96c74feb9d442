/* lib/store/release.c - see release.h: each step is one UPDATE that names the state it comes from. */
#include "store/release.h"

#include <stdio.h>

#include "base/utf8.h"
#include "store/attempt.h"
#include "store/row.h"

const char *const release_state_words[] = {"requested", "sending", "unknown", "sent", "failed", NULL};

#define COLUMNS                                                                                                        \
    "uid, n, state, attempt, lease_until_us, requested_us, changed_us, requested_by, queue_id, code, reply,"           \
    " lifts, found"

static const char request_sql[] =
    "INSERT INTO release (uid, n, state, attempt, lease_until_us, requested_us, changed_us, requested_by, lifts)"
    " VALUES ($1, $2, 'requested', 0, 0, $3, $3, $4, $6)"
    " ON CONFLICT (uid, n) DO UPDATE SET state = 'requested', lease_until_us = 0, requested_us = $3, changed_us = $3,"
    " requested_by = $4, lifts = $6, queue_id = '', code = 0, reply = ''"
    " WHERE release.state IN ('requested', 'failed')"
    " OR (release.state = 'unknown' AND release.lease_until_us <= $3 AND $5 = 1)";
static const char claim_sql[] =
    "UPDATE release SET state = 'sending', attempt = attempt + 1, lease_until_us = $4, changed_us = $3"
    " WHERE uid = $1 AND n = $2 AND (state = 'requested' OR (state = 'sending' AND lease_until_us <= $3))"
    " RETURNING " COLUMNS;
static const char dot_sql[] = "UPDATE release SET state = 'unknown', lease_until_us = $5, changed_us = $4,"
                              " reply = 'whoever sent it ended before the server''s reply was written down'"
                              " WHERE uid = $1 AND n = $2 AND state = 'sending' AND attempt = $3";
static const char done_sql[] =
    "UPDATE release SET state = $4, lease_until_us = 0, changed_us = $5, queue_id = $6, code = $7, reply = $8,"
    " found = $9 WHERE uid = $1 AND n = $2 AND attempt = $3 AND state IN ('sending', 'unknown')";
#define WITHDRAWN "it was taken back before it was sent"
static const char withdraw_sql[] = "UPDATE release SET state = 'failed', lease_until_us = 0, changed_us = $3, code = 0,"
                                   " reply = '" WITHDRAWN "'"
                                   " WHERE uid = $1 AND n = $2 AND state = 'requested' AND requested_by = $4";
static const char get_sql[] = "SELECT " COLUMNS " FROM release WHERE uid = $1 AND n = $2";
static const char list_sql[] = "SELECT " COLUMNS " FROM release WHERE uid = $1 ORDER BY n";
static const char open_sql[] =
    "SELECT " COLUMNS " FROM release WHERE state IN ('requested', 'sending')"
    " AND (state = 'requested' OR lease_until_us <= $1) ORDER BY requested_us, uid, n LIMIT $2";

static void read_row(struct db_rows *r, struct store_release *out)
{
    *out = (struct store_release){.n = db_i64(r, 1),
                                  .attempt = db_i64(r, 3),
                                  .lease_until_us = db_i64(r, 4),
                                  .requested_us = db_i64(r, 5),
                                  .changed_us = db_i64(r, 6),
                                  .code = db_i64(r, 9)};
    uuid_parse(db_text(r, 0), &out->uid);
    out->state = (enum release_state)col_word(r, 2, release_state_words);
    col_str(r, 7, out->requested_by, sizeof out->requested_by);
    col_str(r, 8, out->queue_id, sizeof out->queue_id);
    col_str(r, 10, out->reply, sizeof out->reply);
    col_str(r, 11, out->lifts, sizeof out->lifts);
    col_str(r, 12, out->found, sizeof out->found);
}

int store_release_get(struct store *s, struct uuid uid, int64_t n, struct store_release *out, struct err *e)
{
    char            text[UUID_TEXT + 1];
    struct db_rows *r;
    int             rc;

    uuid_format(&uid, text);
    if ((rc = row_first(s->log, get_sql, (struct db_val[]){dbv_str(text), dbv_i64(n)}, 2, &r, e)) <= 0)
        return rc;
    read_row(r, out);
    db_rows_free(&r);
    return 1;
}

/* Its sender is at work, or died: it says when that will be known. */
static int being_sent(const struct store_release *r, struct err *e)
{
    char until[28];

    clock_format_utc(r->lease_until_us, until);
    return err_set(e, ERR_BUSY, "it is being sent right now, or whoever sent it died: then ask again after %.5s UTC",
                   until + 11);
}

/* The row is not where the step begins: says why, from where it is. Always -1. */
static int not_now(const struct store_release *r, int64_t now_us, struct err *e)
{
    char when[28];

    clock_format_utc(r->changed_us, when);
    when[10] = ' ';
    switch (r->state) {
    case RELEASE_SENDING: return being_sent(r, e);
    case RELEASE_SENT:
        return err_set(e, ERR_CONFLICT, "it was released already, %.16s UTC by %s; the server said: %lld %s", when,
                       r->requested_by, (long long)r->code, r->reply);
    case RELEASE_UNKNOWN:
        if (r->lease_until_us > now_us)
            return being_sent(r, e);
        return err_set(
            e, ERR_CONFLICT,
            "it was sent %.16s UTC, and the connection was lost before the server said whether it has it "
            "(%.200s); look into the mailbox or the mail server's log, and ask again only if it is not there",
            when, r->reply);
    case RELEASE_FAILED:
        return err_set(e, ERR_CONFLICT, "the server refused it: %lld %s", (long long)r->code, r->reply);
    default: return err_set(e, ERR_CONFLICT, "nobody has taken it to be sent");
    }
}

/* As the row has it. */
struct requester {
    char name[sizeof((struct store_release *)0)->requested_by];
};
static struct requester requester_of(const struct actor *by)
{
    struct requester r;

    snprintf(r.name, sizeof r.name, "%.*s", (int)utf8_clip(span_of(by->name), sizeof r.name - 1), by->name);
    return r;
}

int store_release_request(struct store *s, const struct actor *by, struct uuid uid, int64_t n, bool again,
                          const char *lifts, struct store_release *out, struct err *e)
{
    struct store_release r;
    struct requester     who = requester_of(by);
    char                 text[UUID_TEXT + 1];
    int64_t              now_us = clock_wall_us();
    int                  rc;

    uuid_format(&uid, text);
    if (db_run(s->log, request_sql,
               (struct db_val[]){dbv_str(text), dbv_i64(n), dbv_i64(now_us), dbv_str(who.name), dbv_bool(again),
                                 dbv_str(lifts)},
               6, NULL, e) < 0 ||
        (rc = store_release_get(s, uid, n, &r, e)) < 0)
        return -1;
    if (rc == 0)
        return err_set(e, ERR_CONFLICT, "the request vanished again");
    if (out != NULL)
        *out = r;
    if (r.state == RELEASE_REQUESTED || (r.state == RELEASE_SENDING && r.lease_until_us <= now_us))
        return 0;
    if (r.state == RELEASE_SENT) /* whoever sent it may have died before the delivery was told */
        (void)store_delivery_released(s, &uid, n, span_of(r.queue_id), r.changed_us, NULL);
    return not_now(&r, now_us, e);
}

int store_release_withdraw(struct store *s, const struct actor *by, struct uuid uid, int64_t n, struct err *e)
{
    struct store_release r;
    struct requester     who = requester_of(by);
    char                 text[UUID_TEXT + 1];
    int64_t              changed = 0, now_us = clock_wall_us();
    int                  rc;

    uuid_format(&uid, text);
    if (db_run(s->log, withdraw_sql, (struct db_val[]){dbv_str(text), dbv_i64(n), dbv_i64(now_us), dbv_str(who.name)},
               4, &changed, e) < 0)
        return -1;
    if (changed == 1)
        return 0;
    if ((rc = store_release_get(s, uid, n, &r, e)) < 0)
        return -1;
    if (rc == 0)
        return no_such(0, e, "request for a release");
    return r.state == RELEASE_REQUESTED ? err_set(e, ERR_DENIED, "%s has asked for it since", r.requested_by)
                                        : not_now(&r, now_us, e);
}

bool store_release_is_withdrawn(const struct store_release *r)
{
    return r->state == RELEASE_FAILED && r->code == 0 && strcmp(r->reply, WITHDRAWN) == 0;
}

bool store_release_can_withdraw(const struct store_release *r, const struct actor *by)
{
    return r->state == RELEASE_REQUESTED && strcmp(r->requested_by, requester_of(by).name) == 0;
}

int store_release_claim(struct store *s, struct uuid uid, int64_t n, int64_t now_us, struct store_release *out,
                        struct err *e)
{
    struct store_release r;
    struct db_rows      *rows;
    char                 text[UUID_TEXT + 1];
    int                  rc;

    uuid_format(&uid, text);
    rc = row_first(s->log, claim_sql,
                   (struct db_val[]){dbv_str(text), dbv_i64(n), dbv_i64(now_us), dbv_i64(now_us + RELEASE_LEASE_US)}, 4,
                   &rows, e);
    if (rc > 0) {
        read_row(rows, out);
        db_rows_free(&rows);
        return 0;
    }
    if (rc < 0 || (rc = store_release_get(s, uid, n, &r, e)) < 0)
        return -1;
    return rc == 0 ? no_such(0, e, "request for a release") : not_now(&r, now_us, e);
}

/* What an update of our own attempt has to have changed. */
static int ours(int64_t changed, struct err *e)
{
    return changed == 1 ? 0 : err_set(e, ERR_CONFLICT, "somebody else has taken over this release");
}

int store_release_dot(struct store *s, const struct store_release *r, int64_t now_us, struct err *e)
{
    char    text[UUID_TEXT + 1];
    int64_t changed = 0;

    uuid_format(&r->uid, text);
    if (db_run(s->log, dot_sql,
               (struct db_val[]){dbv_str(text), dbv_i64(r->n), dbv_i64(r->attempt), dbv_i64(now_us),
                                 dbv_i64(now_us + RELEASE_LEASE_US)},
               5, &changed, e) < 0)
        return -1;
    return ours(changed, e);
}

int store_release_done(struct store *s, struct store_release *r, struct err *e)
{
    char    text[UUID_TEXT + 1];
    int64_t changed = 0, now_us = clock_wall_us();

    uuid_format(&r->uid, text);
    r->changed_us = now_us;
    if (db_run(s->log, done_sql,
               (struct db_val[]){dbv_str(text), dbv_i64(r->n), dbv_i64(r->attempt),
                                 dbv_word(release_state_words, (int)r->state), dbv_i64(now_us), dbv_str(r->queue_id),
                                 dbv_i64(r->code), dbv_str(r->reply), dbv_str(r->found)},
               9, &changed, e) < 0)
        return -1;
    return ours(changed, e);
}

int store_release_tell(struct store *s, const struct store_release *r, const struct store_release_hop *hop,
                       struct err *e)
{
    struct store_event  event = {.uid = r->uid,
                                 .n = r->n,
                                 .at_us = r->changed_us,
                                 .has_attempt = true,
                                 .queue_id = span_of(r->queue_id),
                                 .final_recipient = hop->recipient,
                                 .host = hop->host,
                                 .ip = hop->ip,
                                 .port = (int64_t)hop->port,
                                 .tls = hop->tls ? SPAN("TLS") : SPAN_NONE,
                                 .dsn = hop->dsn,
                                 .code = r->code,
                                 .response = span_of(r->reply)};
    struct store_events all = {.events = &event, .nevents = 1};

    if (store_delivery_released(s, &r->uid, r->n, span_of(r->queue_id), r->changed_us, e) < 0)
        return -1;
    return store_events_put(s, &all, NULL, e);
}

struct release_list {
    store_release_fn fn;
    void            *ctx;
};

static int each_release(void *arg, struct db_rows *rows)
{
    struct release_list *l = arg;
    struct store_release r;

    read_row(rows, &r);
    return l->fn(l->ctx, &r);
}

int store_release_list(struct store *s, struct uuid uid, store_release_fn fn, void *ctx, struct err *e)
{
    struct release_list l = {fn, ctx};
    char                text[UUID_TEXT + 1];

    uuid_format(&uid, text);
    return row_each(s->log, list_sql, (struct db_val[]){dbv_str(text)}, 1, each_release, &l, e);
}

int store_release_open(struct store *s, int64_t now_us, size_t limit, store_release_fn fn, void *ctx, struct err *e)
{
    struct release_list l = {fn, ctx};

    return row_each(s->log, open_sql, (struct db_val[]){dbv_i64(now_us), dbv_i64((int64_t)page_limit(limit))}, 2,
                    each_release, &l, e);
}
