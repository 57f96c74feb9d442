/* lib/store/search.c - finding deliveries.
 *
 * A search walks back in time, window by window, so that it can stop between two when it has worked long enough. Each window is one
 * statement, composed of what was asked for; on PostgreSQL one for the keys and one for their rows (log_row.h).
 * Words on SQLite: a window is a day, since each day has full-text tables of its own. Else: as wide as goes quickly. */
#include "store/search.h"

#include <stdlib.h>

#include "store/day.h"
#include "store/log_row.h"
#include "store/words.h"

#define SQL_MAX 16384
#define QUERY_MAX (2u << 20) /* of one full-text query */
#define PARAMS_MAX 32
#define WINDOW_MIN_MS (3600 * INT64_C(1000))
#define WINDOW_MAX_MS (3660 * DAY_MS)
#define QUICK_US 10000
#define SLOW_US 100000
#define DAYS_MAX 4000
#define UID_SLACK_MS 50 /* by which a delivery.id may lie behind its UID's time */

/* One search, while it runs. */
struct search {
    struct store              *s;
    const struct store_search *what;
    struct words_where         where;
    bool                       has_domain; /* of a mailbox that is there */
    struct uuid                domain;
    bool    lite, by_words, by_answers; /* what drives a window: a scope's index, or one of the two sets of words */
    int64_t since_ms, until_ms;         /* since <= UID's time < until */
    struct store_key         before;    /* keys from here on are behind us; n 0: all of this moment */
    int64_t                  before_id;
    int64_t                  deadline_us;
    size_t                   left;
    store_row_fn             fn;
    void                    *ctx;
    bool                     stopped; /* by fn */
    struct store_search_end *end;
};

static bool has_words(const struct search *x) { return x->by_words || x->by_answers; }

/* A statement in the making. Owns its texts. */
struct query {
    struct buf    sql;
    struct buf    texts[PARAMS_MAX]; /* of parameters that were put together */
    size_t        ntexts;
    struct db_val vals[PARAMS_MAX];
    size_t        n;
};

static void query_init(struct query *q)
{
    q->n = q->ntexts = 0;
    buf_init(&q->sql, SQL_MAX);
}

static void query_fini(struct query *q)
{
    for (size_t i = 0; i < q->ntexts; i++)
        buf_fini(&q->texts[i]);
    buf_fini(&q->sql);
}

static void put(struct query *q, const char *sql) { buf_puts(&q->sql, sql); }

/* "$3", the value at its place. */
static void put_param(struct query *q, struct db_val v)
{
    if (q->n == PARAMS_MAX)
        panic("a search with more than %d parameters", PARAMS_MAX);
    q->vals[q->n++] = v;
    buf_printf(&q->sql, "$%zu", q->n);
}

/* A full-text query as a parameter. */
static struct buf *new_text(struct query *q)
{
    struct buf *b = &q->texts[q->ntexts++];

    buf_init(b, QUERY_MAX);
    return b;
}

/* "… MATCH $n", or what PostgreSQL says for it. */
static void put_match(struct query *q, bool lite, const char *table, int64_t day, const struct buf *text)
{
    if (lite) {
        buf_printf(&q->sql, "%s_%lld MATCH ", table, (long long)day);
        put_param(q, dbv_text(buf_span(text)));
        return;
    }
    buf_printf(&q->sql, "%s.words @@ CAST(CAST(", table);
    put_param(q, dbv_text(buf_span(text)));
    put(q, " AS TEXT) AS tsquery)");
}

/* ---- Filters ------------------------------------------------------------------------------------------------------ */

static void put_statuses(struct query *q, const char *of, unsigned statuses)
{
    const char *before = " IN (";

    if (statuses == 0)
        return;
    buf_printf(&q->sql, " AND %s.status", of);
    for (int i = 0; delivery_status_words[i] != NULL; i++) {
        if (!(statuses & 1u << i))
            continue;
        buf_printf(&q->sql, "%s'%s'", before, delivery_status_words[i]);
        before = ", ";
    }
    put(q, ")");
}

/* What has to hold besides words and scope. `of` has status and rule, `delivery` the domain, `key` the UID. */
static void put_filters(struct query *q, const struct store_search *w, const char *of, const char *delivery,
                        const char *key)
{
    put_statuses(q, of, w->statuses);
    if (w->has_rule) {
        buf_printf(&q->sql, " AND %s.rule_id = ", of);
        put_param(q, dbv_uuid(&w->rule));
    }
    if (w->has_domain) {
        buf_printf(&q->sql, " AND %s.domain_id = ", delivery);
        put_param(q, dbv_uuid(&w->domain));
    }
    if (w->has_direction) {
        put(q, " AND m.direction = ");
        put_param(q, dbv_word(direction_words, (int)w->direction));
    }
    if (w->has_uid) {
        struct day_uid uid = day_uid_text(&w->uid);
        struct buf    *text = new_text(q);

        buf_puts(text, uid.text);
        buf_printf(&q->sql, " AND %s.uid = ", key);
        put_param(q, dbv_text(buf_span(text)));
    }
}

/* Does the filter ask the set of words that does not drive the search? */
static bool is_aside(const struct search *x, const struct store_words *one)
{
    return words_in_answers(one->field) != x->by_answers && words_any(one->text);
}

static void put_driving_words(struct query *q, const struct search *x, const char *table, int64_t day)
{
    struct buf *text = new_text(q);

    words_query(text, &x->where, x->what->words, x->what->nwords, x->by_answers, true);
    put_match(q, x->lite, table, day, text);
}

/* ---- One window on SQLite ------------------------------------------------------------------------------------------ */

static void lite_aside(struct query *q, const struct search *x, int64_t day)
{
    for (size_t i = 0; i < x->what->nwords; i++) {
        const struct store_words *one = &x->what->words[i];
        const char               *table = words_in_answers(one->field) ? "answers" : "words";
        struct buf               *text;

        if (!is_aside(x, one))
            continue;
        text = new_text(q);
        words_query_one(text, &x->where, one);
        buf_printf(&q->sql, " AND k.rowid %sIN (SELECT rowid FROM %s_%lld WHERE ", one->without ? "NOT " : "", table,
                   (long long)day);
        put_match(q, true, table, day, text);
        put(q, ")");
    }
}

static void lite_ids(struct query *q, const char *id, int64_t from, int64_t below)
{
    buf_printf(&q->sql, " AND %s >= ", id);
    put_param(q, dbv_i64(from));
    buf_printf(&q->sql, " AND %s < ", id);
    put_param(q, dbv_i64(below));
}

/* The joins go on from the first table, whose order is the one that is wanted; its index has what is filtered most. */
static void lite_window(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms)
{
    const struct store_search *w = x->what;
    const char                *table = x->by_answers ? "answers" : "words", *id = "d.id";
    int64_t                    day = from_ms / DAY_MS, below = day_id_at(to_ms);
    bool                       words = has_words(x);

    below = below < x->before_id ? below : x->before_id;
    put(q, "SELECT " LOG_ROW_LITE " FROM ");
    if (words) {
        buf_printf(&q->sql, "%s_%lld k CROSS JOIN delivery d ON d.id = k.rowid", table, (long long)day);
        id = "k.rowid";
    } else if (w->scope.kind == SCOPE_MAILBOX) {
        put(q, "delivery_mailbox k CROSS JOIN delivery d ON d.id = k.id");
        id = "k.id";
    } else {
        put(q, w->scope.kind == SCOPE_DOMAIN ? "delivery d INDEXED BY delivery_domain" : "delivery d");
    }
    put(q, " CROSS JOIN message m ON m.uid = d.uid WHERE ");
    if (words) {
        put(q, "k.");
        put_driving_words(q, x, table, day);
        lite_aside(q, x, day);
    } else if (w->scope.kind == SCOPE_GLOBAL) {
        put(q, "1");
    } else {
        put(q, w->scope.kind == SCOPE_DOMAIN ? "d.domain_id = " : "k.mailbox_id = ");
        put_param(q, dbv_uuid(&w->scope.id));
    }
    lite_ids(q, id, day_id_at(from_ms), below);
    put_filters(q, w, !words && w->scope.kind == SCOPE_MAILBOX ? "k" : "d", "d", "d");
    buf_printf(&q->sql, " ORDER BY %s DESC LIMIT ", id);
    put_param(q, dbv_i64((int64_t)x->left));
}

/* ---- One window on PostgreSQL -------------------------------------------------------------------------------------- */

/* The bounds stand at every table: so the planner leaves the partitions of other days out. */
static void pg_bounds(struct query *q, const char *table, const size_t bounds[2])
{
    buf_printf(&q->sql, "%s.uid >= $%zu AND %s.uid < $%zu", table, bounds[0], table, bounds[1]);
}

static void pg_join(struct query *q, const char *table, const char *as, const char *to, bool n, const size_t bounds[2])
{
    buf_printf(&q->sql, " JOIN %s %s ON %s.uid = %s.uid AND ", table, as, as, to);
    if (n)
        buf_printf(&q->sql, "%s.n = %s.n AND ", as, to);
    pg_bounds(q, as, bounds);
}

static void pg_aside(struct query *q, const struct search *x, const size_t bounds[2])
{
    for (size_t i = 0; i < x->what->nwords; i++) {
        const struct store_words *one = &x->what->words[i];
        struct buf               *text;

        if (!is_aside(x, one))
            continue;
        text = new_text(q);
        words_query_one(text, &x->where, one);
        buf_printf(&q->sql, " AND %sEXISTS (SELECT 1 FROM %s w WHERE w.uid = t.uid AND w.n = t.n AND ",
                   one->without ? "NOT " : "", words_in_answers(one->field) ? "delivery_answers" : "delivery_words");
        pg_bounds(q, "w", bounds);
        put(q, " AND ");
        put_match(q, false, "w", 0, text);
        put(q, ")");
    }
}

static const char *pg_table(const struct search *x)
{
    return x->by_answers                          ? "delivery_answers"
           : x->by_words                          ? "delivery_words"
           : x->what->scope.kind == SCOPE_MAILBOX ? "delivery_mailbox"
                                                  : "delivery";
}

/* The keys of the window. t has status and rule itself, unless words drive the search. */
static void pg_keys(struct query *q, const struct search *x, const size_t bounds[2], struct db_val uid)
{
    const struct store_search *w = x->what;
    bool                       words = has_words(x), box = !words && w->scope.kind == SCOPE_MAILBOX;

    buf_printf(&q->sql, "SELECT t.uid, t.n FROM %s t", pg_table(x));
    if ((words && (w->statuses != 0 || w->has_rule || w->has_domain)) || (box && w->has_domain))
        pg_join(q, "delivery", "d", "t", true, bounds);
    if (w->has_direction)
        pg_join(q, "message", "m", "t", false, bounds);
    put(q, " WHERE ");
    pg_bounds(q, "t", bounds);
    put(q, " AND (t.uid, t.n) < (");
    put_param(q, uid);
    put(q, ", ");
    put_param(q, dbv_i64(x->before.n));
    put(q, ")");
    if (words) {
        put(q, " AND ");
        put_driving_words(q, x, "t", 0);
        pg_aside(q, x, bounds);
    } else if (w->scope.kind != SCOPE_GLOBAL) {
        put(q, box ? " AND t.mailbox_id = " : " AND t.domain_id = ");
        put_param(q, dbv_uuid(&w->scope.id));
    }
    put_filters(q, w, words ? "d" : "t", words || box ? "d" : "t", "t");
    put(q, " ORDER BY t.uid DESC, t.n DESC LIMIT ");
    put_param(q, dbv_i64((int64_t)x->left));
}

static void pg_window(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms)
{
    struct uuid ends[] = {day_uid_at(from_ms), day_uid_at(to_ms), x->before.uid};
    size_t      bounds[2] = {1, 2};

    for (size_t i = 0; i < COUNT(ends); i++) {
        struct day_uid uid = day_uid_text(&ends[i]);

        buf_puts(new_text(q), uid.text);
    }
    for (size_t i = 0; i < COUNT(bounds); i++)
        q->vals[q->n++] = dbv_text(buf_span(&q->texts[i]));
    pg_keys(q, x, bounds, dbv_text(buf_span(&q->texts[2])));
}

/* ---- Walking ------------------------------------------------------------------------------------------------------ */

static int yield_rows(struct search *x, struct db_rows *r, struct err *e)
{
    struct store_row row;
    int              rc;

    while ((rc = db_next(r, e)) > 0) {
        if (log_row_read(r, &row, e) < 0)
            return -1;
        x->end->next = row.key;
        x->left--;
        if (x->fn(x->ctx, &row) != 0) {
            x->stopped = true;
            return 0;
        }
    }
    return rc;
}

static void compose(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms)
{
    if (x->lite)
        lite_window(q, x, from_ms, to_ms);
    else
        pg_window(q, x, from_ms, to_ms);
    if (q->sql.failed)
        panic("a search longer than %d bytes", SQL_MAX);
}

static int each_row(void *ctx, const struct store_row *row, const struct log_row_held *held)
{
    struct search *x = ctx;

    (void)held;
    x->end->next = row->key;
    x->stopped = x->fn(x->ctx, row) != 0;
    return x->stopped;
}

/* Keys whose rows are gone count too: otherwise a page would begin before them for ever. */
static int yield_keys(struct search *x, struct db_rows *r, struct store_key *keys, size_t *n, struct err *e)
{
    int rc;

    while ((rc = db_next(r, e)) > 0) {
        if (*n < x->left && uuid_parse(db_text(r, 0), &keys[*n].uid))
            keys[(*n)++].n = db_i64(r, 1);
    }
    return rc;
}

static int run_window(struct search *x, int64_t from_ms, int64_t to_ms, struct err *e)
{
    struct store_key *keys = x->lite ? NULL : calloc(x->left, sizeof *keys);
    struct query      q;
    struct db_rows   *r = NULL;
    size_t            n = 0;
    int               rc;

    if (!x->lite && keys == NULL)
        panic("out of memory");
    query_init(&q);
    compose(&q, x, from_ms, to_ms);
    rc = db_query(x->s->log, q.sql.p, q.vals, q.n, &r, e);
    if (rc == 0)
        rc = x->lite ? yield_rows(x, r, e) : yield_keys(x, r, keys, &n, e);
    db_rows_free(&r);
    db_forget(x->s->log, q.sql.p);
    query_fini(&q);
    if (rc == 0 && n > 0) {
        x->left -= n;
        rc = log_rows(x->s, keys, n, each_row, x, e);
        if (!x->stopped)
            x->end->next = keys[n - 1];
    }
    free(keys);
    return rc < 0 ? -1 : 0;
}

/* Is it time to stop? Then says where to go on, when everything from `from_ms` on has been looked at. */
static bool is_over(struct search *x, int64_t from_ms)
{
    if (x->stopped || x->left == 0) {
        x->end->more = true;
        return true;
    }
    if (from_ms <= x->since_ms || clock_mono_us() < x->deadline_us)
        return false;
    x->end->more = true;
    x->end->next = (struct store_key){.uid = day_uid_at(from_ms)};
    return true;
}

static int walk_days(struct search *x, struct err *e)
{
    int64_t *days = calloc(DAYS_MAX, sizeof *days);
    size_t   n = 0;
    int      rc;

    if (days == NULL)
        panic("out of memory");
    rc = day_list(x->s, x->since_ms / DAY_MS, (x->until_ms - 1) / DAY_MS, true, days, DAYS_MAX, &n, e);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int64_t from = days[i] * DAY_MS;

        rc = run_window(x, from > x->since_ms ? from : x->since_ms, x->until_ms, e);
        if (rc == 0 && is_over(x, from))
            break;
    }
    free(days);
    return rc;
}

/* The first window is a day; what goes quickly widens the next one, what goes slowly narrows it. */
static int walk_windows(struct search *x, struct err *e)
{
    int64_t width = DAY_MS, to = x->until_ms;

    while (to > x->since_ms) {
        int64_t begun = clock_mono_us(), from = to - x->since_ms < width ? x->since_ms : to - width;

        if (run_window(x, from, to, e) < 0)
            return -1;
        if (is_over(x, from))
            break;
        to = from;
        if (clock_mono_us() - begun < QUICK_US && width < WINDOW_MAX_MS)
            width *= 4;
        else if (clock_mono_us() - begun > SLOW_US && width > WINDOW_MIN_MS)
            width /= 2;
    }
    return 0;
}

/* ---- Starting ----------------------------------------------------------------------------------------------------- */

static const char id_sql[] = "SELECT id FROM delivery WHERE uid = $1 AND n = $2";

/* Where the page before ended, as an id. A row that is gone has left its place. */
static int find_before(struct search *x, struct err *e)
{
    struct day_uid uid = day_uid_text(&x->before.uid);
    int            rc;

    x->before_id = day_id(&x->before.uid) + (x->before.n > 0 ? x->before.n - 1 : 0);
    if (!x->lite || x->before.n == 0)
        return 0;
    rc = row_i64(x->s->log, id_sql, (struct db_val[]){dbv_str(uid.text), dbv_i64(x->before.n)}, 2, &x->before_id, e);
    return rc < 0 ? -1 : 0;
}

static int64_t ms_up(int64_t us) { return us / 1000 + (us % 1000 > 0); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The time that has to be looked at: what was asked for, within the days that there are. */
static int find_bounds(struct search *x, struct err *e)
{
    const struct store_search *w = x->what;
    int64_t                    newest = 0, oldest = 0;
    size_t                     n = 0;

    if (day_list(x->s, 0, INT64_MAX, true, &newest, 1, &n, e) < 0 ||
        day_list(x->s, 0, INT64_MAX, false, &oldest, 1, &n, e) < 0)
        return -1;
    x->since_ms = oldest * DAY_MS;
    x->until_ms = n == 0 ? x->since_ms : (newest + 1) * DAY_MS;
    x->before = (struct store_key){.uid = day_uid_at(INT64_MAX)};
    if (w->has_before) {
        x->before = w->before;
        x->until_ms = least(x->until_ms, day_uid_ms(&w->before.uid) + 1 + UID_SLACK_MS);
    }
    if (w->until_us > 0)
        x->until_ms = least(x->until_ms, ms_up(w->until_us));
    if (w->since_us > 0 && w->since_us / 1000 > x->since_ms)
        x->since_ms = w->since_us / 1000;
    if (w->has_uid) {
        int64_t ms = day_uid_ms(&w->uid);

        x->since_ms = ms > x->since_ms ? ms : x->since_ms;
        x->until_ms = least(x->until_ms, ms + 1 + UID_SLACK_MS);
    }
    return find_before(x, e);
}

/* Words of the message drive a search as soon as there are any, or none are wanted of the answers. */
static void find_driver(struct search *x)
{
    bool of_message = false, of_answers = false, any = false;

    for (size_t i = 0; i < x->what->nwords; i++) {
        const struct store_words *one = &x->what->words[i];

        if (!words_any(one->text))
            continue;
        any = true;
        of_message = of_message || (!one->without && !words_in_answers(one->field));
        of_answers = of_answers || (!one->without && words_in_answers(one->field));
    }
    x->by_answers = of_answers && !of_message;
    x->by_words = any && !x->by_answers;
}

static const char domain_sql[] = "SELECT domain_id FROM mailbox WHERE id = $1";

/* On which shelf the words of the scope are. Of a mailbox that is gone nobody knows any more. */
static int find_shelf(struct search *x, struct err *e)
{
    const struct store_scope *scope = &x->what->scope;
    struct db_rows           *r;
    int                       rc;

    x->where = (struct words_where){db_kind(x->s->log), *scope, WORDS_ANY_SHELF};
    if (scope->kind == SCOPE_DOMAIN)
        x->where.shelf = words_shelf(&scope->id);
    if (scope->kind != SCOPE_MAILBOX)
        return 0;
    if ((rc = row_first(x->s->main, domain_sql, (struct db_val[]){dbv_uuid(&scope->id)}, 1, &r, e)) <= 0)
        return rc;
    x->domain = col_uuid(r, 0);
    x->has_domain = true;
    x->where.shelf = words_shelf(&x->domain);
    db_rows_free(&r);
    return 0;
}

static int start(struct search *x, struct err *e)
{
    if (x->what->nwords > STORE_WORDS_MAX)
        return err_set(e, ERR_LIMIT, "a search with %zu texts, at most %d", x->what->nwords, STORE_WORDS_MAX);
    x->lite = db_kind(x->s->log) == DB_SQLITE;
    x->left = page_limit(x->what->limit);
    x->deadline_us = clock_mono_us() + STORE_SEARCH_US;
    find_driver(x);
    return find_shelf(x, e) < 0 ? -1 : find_bounds(x, e);
}

int store_search(struct store *s, const struct store_search *what, store_row_fn fn, void *ctx,
                 struct store_search_end *end, struct err *e)
{
    int64_t       begun = clock_mono_us();
    struct search x = {.s = s, .what = what, .fn = fn, .ctx = ctx, .end = end};
    int           rc = 0;

    *end = (struct store_search_end){.more = false};
    if (start(&x, e) < 0)
        return -1;
    if (x.until_ms > x.since_ms)
        rc = x.lite && has_words(&x) ? walk_days(&x, e) : walk_windows(&x, e);
    end->us = clock_mono_us() - begun;
    return rc;
}

static int explain(struct search *x, struct query *q, struct buf *out, struct err *e)
{
    struct buf      sql;
    struct db_rows *r = NULL;
    int             rc;

    buf_init(&sql, 2 * SQL_MAX);
    buf_puts(&sql, x->lite ? "EXPLAIN QUERY PLAN " : "EXPLAIN (COSTS OFF) ");
    buf_puts(&sql, q->sql.p);
    rc = db_query(x->s->log, sql.p, q->vals, q->n, &r, e);
    while (rc >= 0 && (rc = db_next(r, e)) > 0) {
        buf_put(out, db_text(r, x->lite ? 3 : 0));
        buf_putc(out, '\n');
    }
    db_rows_free(&r);
    db_forget(x->s->log, sql.p);
    buf_fini(&sql);
    return rc;
}

int store_search_plan(struct store *s, const struct store_search *what, struct buf *out, struct err *e)
{
    struct store_search_end end = {.more = false};
    struct search           x = {.s = s, .what = what, .end = &end};
    struct query            q;
    int                     rc;

    if (start(&x, e) < 0)
        return -1;
    query_init(&q);
    compose(&q, &x, x.until_ms - DAY_MS < x.since_ms ? x.since_ms : x.until_ms - DAY_MS, x.until_ms);
    rc = explain(&x, &q, out, e);
    query_fini(&q);
    return rc;
}
