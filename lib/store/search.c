/* lib/store/search.c - finding deliveries: where a search begins, and its walk back in time.
 *
 * Window by window, so that it can stop between two when it has worked long enough. Each window is one statement, composed of what was
 * asked for; on PostgreSQL one for the keys and one for their rows (log_row.h).
 * SQLite      Words: a window is a day, since each day has full-text tables of its own. Else: as wide as goes quickly.
 * PostgreSQL  A window is some days, as many as go quickly. It names their partitions: to plan the whole table would take longer
 *             than to look at them. */
#include "store/search_inside.h"

#include <stdlib.h>

#include "store/kept.h"

#define WINDOW_MIN_MS (3600 * INT64_C(1000))
#define WINDOW_MAX_MS (3660 * DAY_MS)
#define QUICK_US 10000
#define SLOW_US 100000
#define DAYS_MAX 4000
#define UID_SLACK_MS 50 /* by which a delivery.id may lie behind its UID's time */

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

/* A window: from one moment to another on SQLite, whole days on PostgreSQL. */
struct window {
    int64_t        from_ms, to_ms;
    const int64_t *days;
    size_t         ndays;
};

static void compose(struct query *q, const struct search *x, const struct window *w)
{
    if (x->lite)
        search_lite_window(q, x, w->from_ms, w->to_ms);
    else
        search_pg_window(q, x, w->days, w->ndays);
    if (q->sql.failed)
        panic("a search longer than %d bytes", SEARCH_SQL_MAX);
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

static int run_window(struct search *x, const struct window *w, struct err *e)
{
    struct store_key *keys = x->lite ? NULL : calloc(x->left, sizeof *keys);
    struct query      q;
    struct db_rows   *r = NULL;
    const char       *sql;
    size_t            n = 0;
    int               rc;

    if (!x->lite && keys == NULL)
        panic("out of memory");
    query_init(&q);
    compose(&q, x, w);
    sql = x->lite ? q.sql.p : kept_text(x->s, buf_span(&q.sql));
    rc = db_query(x->s->log, sql, q.vals, q.n, &r, e);
    if (rc == 0)
        rc = x->lite ? yield_rows(x, r, e) : yield_keys(x, r, keys, &n, e);
    db_rows_free(&r);
    if (x->lite)
        db_forget(x->s->log, sql);
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
    x->everywhere = x->where.shelves == WORDS_ALL_SHELVES;
    if (x->everywhere)
        search_lite_ask(x);
    for (size_t i = 0; i < x->ndays; i++) {
        int64_t       from = x->days[i] * DAY_MS;
        struct window w = {from > x->since_ms ? from : x->since_ms, x->until_ms, NULL, 0};

        if (x->everywhere)
            x->where.shelves = search_lite_shelves(x, w.from_ms, w.to_ms);
        if (x->where.shelves != 0 && run_window(x, &w, e) < 0)
            return -1;
        if (is_over(x, from))
            break;
    }
    return 0;
}

/* What goes quickly widens the next window, what goes slowly narrows it. */
static bool went_quickly(int64_t begun_us) { return clock_mono_us() - begun_us < QUICK_US; }
static bool went_slowly(int64_t begun_us) { return clock_mono_us() - begun_us > SLOW_US; }

/* The first window is a day. */
static int walk_windows(struct search *x, struct err *e)
{
    int64_t width = DAY_MS, to = x->until_ms;

    while (to > x->since_ms) {
        int64_t       begun = clock_mono_us(), from = to - x->since_ms < width ? x->since_ms : to - width;
        struct window w = {from, to, NULL, 0};

        if (run_window(x, &w, e) < 0)
            return -1;
        if (is_over(x, from))
            break;
        to = from;
        if (went_quickly(begun) && width < WINDOW_MAX_MS)
            width *= 4;
        else if (went_slowly(begun) && width > WINDOW_MIN_MS)
            width /= 2;
    }
    return 0;
}

/* A day that was forgotten meanwhile has no tables any more; only the oldest are. */
static bool forgotten(struct search *x)
{
    int64_t    oldest;
    size_t     n;
    struct err ignored = ERR_INIT;

    if (day_list(x->s, 0, INT64_MAX, false, &oldest, 1, &n, &ignored) < 0 || n == 0)
        return false;
    for (n = x->ndays; n > 0 && x->days[n - 1] < oldest;)
        n--;
    if (n == x->ndays)
        return false;
    x->ndays = n;
    return true;
}

/* Looks at the first of the days, and says how many they were. */
static int run_days(struct search *x, const int64_t *days, size_t *n, struct err *e)
{
    int64_t       may_have[SEARCH_DAYS_AT_ONCE];
    struct window w = {0, 0, days, *n};

    if (x->everywhere) {
        *n = search_pg_shelves(x, days, *n, may_have, &w.ndays);
        w.days = may_have;
    }
    return w.ndays == 0 ? 0 : run_window(x, &w, e);
}

static int walk_partitions(struct search *x, struct err *e)
{
    size_t at = 0, width = 1;

    while (at < x->ndays) {
        size_t  left = x->left, n = x->ndays - at < width ? x->ndays - at : width;
        int64_t begun = clock_mono_us();

        if (run_days(x, x->days + at, &n, e) < 0) {
            if (x->left < left || !forgotten(x))
                return -1;
            continue;
        }
        at += n;
        if (is_over(x, x->days[at - 1] * DAY_MS))
            break;
        if (went_quickly(begun) && width < SEARCH_DAYS_AT_ONCE)
            width *= 4;
        else if (went_slowly(begun) && width > 1)
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

/* Those days that lie within the time. */
static void keep_days(struct search *x)
{
    size_t n = 0;

    for (size_t i = 0; i < x->ndays; i++)
        if (x->days[i] * DAY_MS < x->until_ms && (x->days[i] + 1) * DAY_MS > x->since_ms)
            x->days[n++] = x->days[i];
    x->ndays = n;
}

/* The time that has to be looked at: what was asked for, within the days that there are. */
static int find_bounds(struct search *x, struct err *e)
{
    const struct store_search *w = x->what;

    if (day_list(x->s, 0, INT64_MAX, true, x->days, DAYS_MAX, &x->ndays, e) < 0)
        return -1;
    x->since_ms = x->ndays == 0 ? 0 : x->days[x->ndays - 1] * DAY_MS;
    x->until_ms = x->ndays == 0 ? 0 : (x->days[0] + 1) * DAY_MS;
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
    keep_days(x);
    return find_before(x, e);
}

/* On SQLite words of the message drive a search as soon as there are any, or none are wanted of the answers. */
static void find_lite_driver(struct search *x)
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
    x->by = !any ? BY_SCOPE : of_answers && !of_message ? BY_ANSWERS : BY_WORDS;
}

static const char domain_sql[] = "SELECT domain_id FROM mailbox WHERE id = $1";

/* 1: all of the scope is of this domain, since a mailbox is of one for ever. 0: of several, or nobody knows: the mailbox is gone. */
static int find_domain(struct search *x, struct uuid *out, struct err *e)
{
    const struct store_scope *scope = &x->what->scope;
    struct db_rows           *r;
    int                       rc;

    *out = scope->id;
    if (scope->kind != SCOPE_MAILBOX)
        return scope->kind == SCOPE_DOMAIN;
    if ((rc = row_first(x->s->main, domain_sql, (struct db_val[]){dbv_uuid(&scope->id)}, 1, &r, e)) <= 0)
        return rc;
    *out = col_uuid(r, 0);
    db_rows_free(&r);
    return 1;
}

static bool wants_domain(const struct store_search *w, const struct uuid *domain)
{
    if (w->has_domain && !uuid_eq(domain, &w->domain))
        return false;
    for (size_t i = 0; i < w->nwithout; i++)
        if (w->without[i].of == SEARCH_DOMAIN && uuid_eq(domain, &w->without[i].id))
            return false;
    return true;
}

/* On which shelf the words of the scope are, and whether the filters for domains say more than the scope does. */
static int find_shelf(struct search *x, struct err *e)
{
    const struct store_search *w = x->what;
    struct uuid                domain;
    int                        rc;

    x->where = (struct words_where){db_kind(x->s->log), w->scope, WORDS_ALL_SHELVES, false};
    x->by_domain = w->has_domain || search_leaves_out(w, SEARCH_DOMAIN);
    if ((rc = find_domain(x, &domain, e)) <= 0)
        return rc;
    x->where.shelves = UINT64_C(1) << words_shelf(&domain);
    x->by_domain = false;
    if (!wants_domain(w, &domain))
        x->until_ms = x->since_ms; /* so there is nothing */
    return 0;
}

/* Is what one filter wants left out by another? People do type that, and every row with the word would be looked at. */
static bool contradicts_itself(const struct store_search *w)
{
    for (size_t i = 0; i < w->nwords; i++)
        for (size_t k = 0; k < w->nwords && w->words[i].without; k++)
            if (!w->words[k].without && w->words[k].field == w->words[i].field && words_any(w->words[i].text) &&
                span_eq_ci(w->words[k].text, w->words[i].text))
                return true;
    return false;
}

static int start(struct search *x, struct err *e)
{
    if (x->what->nwords > STORE_WORDS_MAX)
        return err_set(e, ERR_LIMIT, "a search with %zu texts, at most %d", x->what->nwords, STORE_WORDS_MAX);
    if (x->what->nwithout > STORE_WITHOUT_MAX)
        return err_set(e, ERR_LIMIT, "a search without %zu ids, at most %d", x->what->nwithout, STORE_WITHOUT_MAX);
    if ((x->days = calloc(DAYS_MAX, sizeof *x->days)) == NULL)
        panic("out of memory");
    x->lite = db_kind(x->s->log) == DB_SQLITE;
    x->left = page_limit(x->what->limit);
    x->deadline_us = clock_mono_us() + STORE_SEARCH_US;
    if (find_bounds(x, e) < 0 || find_shelf(x, e) < 0)
        return -1;
    if (contradicts_itself(x->what))
        x->until_ms = x->since_ms;
    if (!x->lite)
        return search_pg_begin(x, e);
    find_lite_driver(x);
    return 0;
}

static void finish(struct search *x)
{
    search_pg_end(x);
    free(x->days);
}

static int walk(struct search *x, struct err *e)
{
    if (start(x, e) < 0)
        return -1;
    if (x->until_ms <= x->since_ms)
        return 0;
    return !x->lite ? walk_partitions(x, e) : x->by != BY_SCOPE ? walk_days(x, e) : walk_windows(x, e);
}

int store_search(struct store *s, const struct store_search *what, store_row_fn fn, void *ctx,
                 struct store_search_end *end, struct err *e)
{
    int64_t       begun = clock_mono_us();
    struct search x = {.s = s, .what = what, .fn = fn, .ctx = ctx, .end = end};
    int           rc;

    *end = (struct store_search_end){.more = false};
    rc = walk(&x, e);
    finish(&x);
    end->us = clock_mono_us() - begun;
    return rc;
}

static int explain(struct search *x, struct query *q, struct buf *out, struct err *e)
{
    struct buf      sql;
    struct db_rows *r = NULL;
    int             rc;

    buf_init(&sql, 2 * SEARCH_SQL_MAX);
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

static int plan(struct search *x, struct buf *out, struct err *e)
{
    struct query q;
    int          rc;

    if (start(x, e) < 0)
        return -1;
    if (x->until_ms <= x->since_ms || x->ndays == 0)
        return 0;
    query_init(&q);
    compose(&q, x,
            &(struct window){x->until_ms - DAY_MS < x->since_ms ? x->since_ms : x->until_ms - DAY_MS, x->until_ms,
                             x->days, 1});
    rc = explain(x, &q, out, e);
    query_fini(&q);
    return rc;
}

int store_search_plan(struct store *s, const struct store_search *what, struct buf *out, struct err *e)
{
    struct store_search_end end = {.more = false};
    struct search           x = {.s = s, .what = what, .end = &end};
    int                     rc = plan(&x, out, e);

    finish(&x);
    return rc;
}
