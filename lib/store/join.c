/* lib/store/join.c - see join.h. First the messages are found, then which of them count is decided here, then come their deliveries. */
#include "store/join.h"

#include <stdlib.h>

#include "store/day.h"
#include "store/log_row.h"

#define OLDER_US (30 * 86400 * INT64_C(1000000)) /* a queue keeps nothing for longer */
#define FOUND_MAX 100                            /* messages for one question: the newest */
#define CHUNK 1000                               /* questions, or messages, in one statement */
#define LIST_MAX ((size_t)64 << 20)              /* of a chunk's values */

/* UIDs with the time of their message; n 0: all its deliveries. Nearly always there is one, and to sort it costs SQLite as much as to
 * find it; PostgreSQL should not send all where there are thousands. */
#define ALL_OF_IT "CAST(0 AS BIGINT) AS n"
#define BY_QUEUE(handle, from, to, again)                                                                              \
    "SELECT uid, " ALL_OF_IT ", at_us FROM message WHERE queue_id = " handle again(                                    \
        "queue_id", handle) " AND queue_id <> '' AND uid >= " from " AND uid <= " to                                   \
                            " UNION ALL SELECT uid, n, at_us FROM queue_link WHERE queue_id = " handle                 \
                            " AND uid >= " from " AND uid <= " to
#define BY_ID(handle, from, to, again)                                                                                 \
    "SELECT uid, " ALL_OF_IT ", at_us FROM message WHERE message_id = " handle again(                                  \
        "message_id", handle) " AND message_id <> '' AND uid >= " from " AND uid <= " to
/* Said once more, it is what PostgreSQL looks up: of a day's table that was not analyzed yet it takes the times for as good, and would
 * read the day for each question. */
#define AGAIN(column, handle) " AND " column " BETWEEN " handle " AND " handle
#define ONCE(column, handle) ""
/* A question at a time inside, so that each of them looks into the days that it is about. */
#define MANY(select)                                                                                                   \
    "SELECT k.i, f.uid, f.n, f.at_us FROM json_to_recordset(CAST($1 AS json))"                                         \
    " AS k(i BIGINT, handle TEXT, from_uid TEXT, to_uid TEXT) CROSS JOIN LATERAL (" select                             \
    " ORDER BY 1 DESC LIMIT 100) f ORDER BY k.i, f.uid DESC"
static const char by_queue_lite_sql[] = BY_QUEUE("$1", "$2", "$3", ONCE),
                  by_queue_pg_sql[] = MANY(BY_QUEUE("k.handle", "k.from_uid", "k.to_uid", AGAIN));
static const char by_id_lite_sql[] = BY_ID("$1", "$2", "$3", ONCE),
                  by_id_pg_sql[] = MANY(BY_ID("k.handle", "k.from_uid", "k.to_uid", AGAIN));
static const char deliveries_lite_sql[] =
    "SELECT CAST(0 AS BIGINT), n, recipient, verdict, state FROM delivery WHERE uid = $1 AND ($2 = 0 OR n = $2)"
    " ORDER BY n";
static const char deliveries_pg_sql[] =
    "SELECT k.i - 1, d.n, d.recipient, d.verdict, d.state"
    " FROM unnest(string_to_array($1, ','), CAST(string_to_array($2, ',') AS BIGINT[])) WITH ORDINALITY k(uid, n, i)"
    " CROSS JOIN LATERAL (SELECT n, recipient, verdict, state FROM delivery WHERE uid = k.uid AND (k.n = 0 OR n = k.n)"
    " OFFSET 0) d ORDER BY k.i, d.n";

/* How messages are looked for: what tells them, and when they came, against the question's time. A UID is made when its message
 * comes, so its time bounds the search. SQLite has one index, and is asked once for all times; PostgreSQL has one a day, and is asked
 * for the few that will do first. */
struct way {
    const char *lite_sql, *pg_sql;
    int64_t     before_us, after_us;
};
static const struct way by_queue_lite = {by_queue_lite_sql, NULL, OLDER_US, STORE_JOIN_QUEUE_US},
                        by_queue_pg = {NULL, by_queue_pg_sql, STORE_JOIN_QUEUE_US, STORE_JOIN_QUEUE_US},
                        by_queue_pg_older = {NULL, by_queue_pg_sql, OLDER_US, 0},
                        by_id = {by_id_lite_sql, by_id_pg_sql, STORE_JOIN_ID_US, STORE_JOIN_ID_US};

/* A message that answers a question. */
struct found {
    size_t      which; /* of the chunk */
    struct uuid uid;
    int64_t     n, at_us;
};

/* One chunk of questions. What is found for one stands together, the newest first. */
struct asking {
    struct store                *s;
    const struct store_join_ask *asks;
    size_t                       n, base; /* base: the number of the first */
    struct found                *found;
    size_t                       nfound, cap, first; /* first: of the question that is being asked */
    bool                         has[CHUNK];         /* something was found */

    store_join_fn fn;
    void         *ctx;
    size_t        at, which, left; /* at: of `found`, that its deliveries come now; left: that may still be yielded */
    bool          by_recipient, stopped;
};

/* ---- messages ------------------------------------------------------------------------------------------------------ */

static void add_found(struct asking *a, const struct found *f)
{
    if (a->nfound == a->cap) {
        a->cap = a->cap == 0 ? CHUNK : 2 * a->cap;
        if ((a->found = realloc(a->found, a->cap * sizeof *a->found)) == NULL)
            panic("out of memory");
    }
    a->found[a->nfound++] = *f;
    a->has[f->which] = true;
}

/* In their order as they come; of more than there is room for, the newest. */
static int each_lite(void *ctx, struct db_rows *r)
{
    struct asking *a = ctx;
    struct found   f = {.which = a->which, .n = db_i64(r, 1), .at_us = db_i64(r, 2)};
    size_t         i;

    if (!uuid_parse(db_text(r, 0), &f.uid))
        return 0;
    add_found(a, &f);
    for (i = a->nfound - 1; i > a->first && uuid_cmp(&a->found[i - 1].uid, &f.uid) < 0; i--)
        a->found[i] = a->found[i - 1];
    a->found[i] = f;
    if (a->nfound - a->first > FOUND_MAX)
        a->nfound--;
    return 0;
}

static int each_pg(void *ctx, struct db_rows *r)
{
    struct asking *a = ctx;
    struct found   f = {.which = (size_t)db_i64(r, 0), .n = db_i64(r, 2), .at_us = db_i64(r, 3)};

    if (f.which < a->n && uuid_parse(db_text(r, 1), &f.uid))
        add_found(a, &f);
    return 0;
}

static bool can_ask(const struct asking *a, size_t i)
{
    const struct store_join_ask *ask = &a->asks[i];

    return !a->has[i] && ask->handle.n > 0 && is_storable(ask->handle) && (!a->by_recipient || ask->recipient.n > 0);
}

struct bounds {
    struct day_uid from, to;
};

static struct bounds bounds_of(const struct way *way, int64_t at_us)
{
    struct uuid from = day_uid_at((at_us - way->before_us) / 1000), to = day_uid_at((at_us + way->after_us) / 1000 + 1);

    return (struct bounds){day_uid_text(&from), day_uid_text(&to)};
}

static int find_lite(struct asking *a, const struct way *way, struct err *e)
{
    for (a->which = 0; a->which < a->n; a->which++) {
        const struct store_join_ask *ask = &a->asks[a->which];
        struct bounds                b;

        if (!can_ask(a, a->which))
            continue;
        b = bounds_of(way, ask->at_us);
        a->first = a->nfound;
        if (row_each(a->s->log, way->lite_sql,
                     (struct db_val[]){dbv_text(ask->handle), dbv_str(b.from.text), dbv_str(b.to.text)}, 3, each_lite,
                     a, e) < 0)
            return -1;
    }
    return 0;
}

/* What has an answer already is left out. */
static void put_questions(struct asking *a, const struct way *way, struct buf *out)
{
    json_open(out, NULL, '[');
    for (size_t i = 0; i < a->n; i++) {
        struct bounds b;

        if (!can_ask(a, i))
            continue;
        b = bounds_of(way, a->asks[i].at_us);
        json_open(out, NULL, '{');
        json_add_i64(out, "i", (int64_t)i);
        json_add_text(out, "handle", a->asks[i].handle);
        json_add_str(out, "from_uid", b.from.text);
        json_add_str(out, "to_uid", b.to.text);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static int too_long(struct err *e) { return err_set(e, ERR_LIMIT, "these queue ids need too much memory"); }

static int find_pg(struct asking *a, const struct way *way, struct err *e)
{
    struct buf list;
    int        rc = 0;

    buf_init(&list, LIST_MAX);
    put_questions(a, way, &list);
    if (list.failed)
        rc = too_long(e);
    else if (list.n > 2)
        rc = row_each(a->s->log, way->pg_sql, (struct db_val[]){dbv_text(buf_span(&list))}, 1, each_pg, a, e);
    buf_fini(&list);
    return rc;
}

/* ---- their deliveries ---------------------------------------------------------------------------------------------- */

static int each_delivery(void *ctx, struct db_rows *r)
{
    struct asking      *a = ctx;
    const struct found *f = &a->found[a->at + (size_t)db_i64(r, 0)];
    const struct span  *only = &a->asks[f->which].recipient;
    int                 verdict = col_word(r, 3, delivery_verdict_words), state = col_word(r, 4, delivery_state_words);
    struct store_join   j = {.uid = f->uid, .n = db_i64(r, 1), .at_us = f->at_us, .recipient = db_text(r, 2)};

    if (a->which != f->which) {
        a->which = f->which;
        a->left = STORE_JOIN_MAX;
    }
    if (verdict < 0 || state < 0 || (a->by_recipient && !span_eq_ci(*only, j.recipient)) || a->left == 0)
        return 0;
    a->left--;
    j.state = (enum delivery_state)state;
    j.held = delivery_is_held((enum delivery_verdict)verdict, (enum delivery_state)state);
    a->stopped = a->fn(a->ctx, a->base + f->which, &j) != 0;
    return a->stopped;
}

/* Each statement is read to its end before the next one, so fn sees them message by message. */
static int yield_lite(struct asking *a, struct err *e)
{
    for (a->at = 0; a->at < a->nfound && !a->stopped; a->at++) {
        struct day_uid uid = day_uid_text(&a->found[a->at].uid);

        if (row_each(a->s->log, deliveries_lite_sql, (struct db_val[]){dbv_str(uid.text), dbv_i64(a->found[a->at].n)},
                     2, each_delivery, a, e) < 0)
            return -1;
    }
    return 0;
}

static int yield_pg(struct asking *a, struct err *e)
{
    struct buf uids, ns;
    int        rc = 0;

    buf_init(&uids, LIST_MAX);
    buf_init(&ns, LIST_MAX);
    for (a->at = 0; a->at < a->nfound && !a->stopped && rc == 0; a->at += CHUNK) {
        buf_clear(&uids);
        buf_clear(&ns);
        for (size_t i = a->at; i < a->nfound && i < a->at + CHUNK; i++) {
            struct day_uid uid = day_uid_text(&a->found[i].uid);

            buf_printf(&uids, "%s%s", uids.n > 0 ? "," : "", uid.text);
            buf_printf(&ns, "%s%lld", ns.n > 0 ? "," : "", (long long)a->found[i].n);
        }
        rc = uids.failed || ns.failed ? too_long(e)
                                      : row_each(a->s->log, deliveries_pg_sql,
                                                 (struct db_val[]){dbv_text(buf_span(&uids)), dbv_text(buf_span(&ns))},
                                                 2, each_delivery, a, e);
    }
    buf_fini(&uids);
    buf_fini(&ns);
    return rc;
}

/* ---- both ---------------------------------------------------------------------------------------------------------- */

/* Of the messages of one question those of these days; where there are none, the newest. */
static size_t count_meant(const struct asking *a, size_t from, size_t to)
{
    struct uuid near = day_uid_at((a->asks[a->found[from].which].at_us - STORE_JOIN_QUEUE_US) / 1000);
    size_t      n = from;

    while (n < to && uuid_cmp(&a->found[n].uid, &near) >= 0)
        n++;
    if (n == from)
        while (n < to && uuid_eq(&a->found[n].uid, &a->found[from].uid))
            n++;
    return n - from;
}

static void keep_meant(struct asking *a)
{
    size_t kept = 0;

    for (size_t from = 0, to; from < a->nfound; from = to) {
        size_t meant;

        for (to = from + 1; to < a->nfound && a->found[to].which == a->found[from].which;)
            to++;
        meant = count_meant(a, from, to);
        memmove(&a->found[kept], &a->found[from], meant * sizeof *a->found);
        kept += meant;
    }
    a->nfound = kept;
}

static int by_which(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    if (x->which != y->which)
        return x->which < y->which ? -1 : 1;
    return uuid_cmp(&y->uid, &x->uid);
}

static int find_queues(struct asking *a, bool lite, struct err *e)
{
    int rc = lite ? find_lite(a, &by_queue_lite, e) : find_pg(a, &by_queue_pg, e);

    if (rc == 0 && !lite) {
        size_t near = a->nfound;

        rc = find_pg(a, &by_queue_pg_older, e);
        if (a->nfound > near)
            qsort(a->found, a->nfound, sizeof *a->found, by_which);
    }
    if (rc == 0)
        keep_meant(a);
    return rc;
}

static int find_message_ids(struct asking *a, bool lite, struct err *e)
{
    return lite ? find_lite(a, &by_id, e) : find_pg(a, &by_id, e);
}

static int join_chunk(struct asking *a, struct err *e)
{
    bool lite = db_kind(a->s->log) == DB_SQLITE;

    if ((a->by_recipient ? find_message_ids(a, lite, e) : find_queues(a, lite, e)) < 0)
        return -1;
    a->which = CHUNK; /* none of them */
    return a->nfound == 0 ? 0 : lite ? yield_lite(a, e) : yield_pg(a, e);
}

static int join(struct asking *a, const struct store_join_ask *asks, size_t n, struct err *e)
{
    int rc = 0;

    for (a->base = 0; a->base < n && !a->stopped && rc == 0; a->base += CHUNK) {
        a->asks = asks + a->base;
        a->n = n - a->base < CHUNK ? n - a->base : CHUNK;
        a->nfound = 0;
        memset(a->has, 0, sizeof a->has);
        rc = join_chunk(a, e);
    }
    free(a->found);
    return rc;
}

int store_join_queues(struct store *s, const struct store_join_ask *asks, size_t n, store_join_fn fn, void *ctx,
                      struct err *e)
{
    struct asking a = {.s = s, .fn = fn, .ctx = ctx};

    return join(&a, asks, n, e);
}

int store_join_message_ids(struct store *s, const struct store_join_ask *asks, size_t n, store_join_fn fn, void *ctx,
                           struct err *e)
{
    struct asking a = {.s = s, .fn = fn, .ctx = ctx, .by_recipient = true};

    return join(&a, asks, n, e);
}

int  store_join_begin(struct store *s, struct err *e) { return db_begin_read(s->log, e); }
void store_join_end(struct store *s) { db_rollback(s->log); }
