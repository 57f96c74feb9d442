/* lib/store/search_pg.c - some days on PostgreSQL: one statement, which has the keys; it names the partitions of its days.
 *
 * What costs is to look at rows, each of which is on a page of its own. So the search goes by what finds fewest, and asks the rest of
 * these rows alone: a rare status, or a rare answer, of a mailbox whose every third subject has the word. What that is one of its days
 * tells. */
#include "store/search_inside.h"

#include "store/row.h"
#include "store/shelf_words.h"

#define DAY_MARK '\x01' /* stands for the day in the text of what is asked of each */
#define FEW 1000        /* rows of a day: from as many on it does not matter who has more, since a page is soon full */
#define DRIVERS (BY_ANSWERS + 1)
#define ASKED_OF_SHELVES 4 /* words: the longest, which few mails have; more take hardly anything away */

static void put_partition(struct query *q, const char *table, const char *as)
{
    buf_printf(&q->sql, "%s_%c %s", table, DAY_MARK, as);
}

/* The planner takes a look at a row's words for as cheap as one at a number, and would rather look at all of a small day's; and it weighs
 * for each of the days what cannot be better than to look a few rows up by their key. What an index finds is on as many pages as it has
 * rows: those that are not in memory are asked for together, not one after the other. One plan serves whatever is looked for next. */
#define BY_INDEX(each)                                                                                                 \
    each("enable_seqscan", "off") each("enable_hashjoin", "off") each("enable_mergejoin", "off")                       \
        each("enable_material", "off") each("enable_memoize", "off") each("max_parallel_workers_per_gather", "0")      \
            each("effective_io_concurrency", "64") each("plan_cache_mode", "force_generic_plan")
#define SET_IT(name, value) "SET " name " = " value ";"
#define RESET_IT(name, value) "RESET " name ";"
static const char by_index_sql[] = BY_INDEX(SET_IT), as_ever_sql[] = BY_INDEX(RESET_IT);

static const char *words_table(bool answers) { return answers ? "delivery_answers" : "delivery_words"; }

/* "CAST($n AS tsquery)" by way of a text, which is how parameters come. */
static void put_tsquery(struct query *q, const struct buf *text)
{
    query_put(q, "CAST(CAST(");
    query_put_param(q, dbv_text(buf_span(text)));
    query_put(q, " AS TEXT) AS tsquery)");
}

/* What else there is of each of the rows t; OFFSET 0 keeps the planner from going the other way round. of: its column of the scope, or
 * NULL. */
static void put_beside(struct query *q, const char *table, const char *as, const char *of, const struct uuid *scope)
{
    query_put(q, " CROSS JOIN LATERAL (SELECT * FROM ");
    put_partition(q, table, "j");
    query_put(q, " WHERE j.uid = t.uid AND j.n = t.n");
    if (of != NULL) {
        buf_printf(&q->sql, " AND j.%s = ", of);
        query_put_param(q, dbv_uuid(scope));
    }
    buf_printf(&q->sql, " OFFSET 0) %s", as);
}

static void put_bounds(struct query *q, const struct search *x)
{
    struct uuid from = day_uid_at(x->since_ms), to = day_uid_at(x->until_ms);

    query_put(q, " WHERE t.uid >= ");
    query_put_uid(q, &from);
    query_put(q, " AND t.uid < ");
    query_put_uid(q, &to);
    query_put(q, " AND (t.uid, t.n) < (");
    query_put_uid(q, &x->before.uid);
    query_put(q, ", ");
    query_put_param(q, dbv_i64(x->before.n));
    query_put(q, ")");
}

/* ---- Words that do not drive the search: asked of each row --------------------------------------------------------- */

/* A function is not looked up in an index, and OFFSET 0 keeps the planner from doing it for all rows at once. */
static void put_exists(struct query *q, const char *of, bool without, bool answers, const struct buf *text)
{
    buf_printf(&q->sql, " AND %sEXISTS (SELECT 1 FROM ", without ? "NOT " : "");
    put_partition(q, words_table(answers), "a");
    buf_printf(&q->sql, " WHERE a.uid = %s.uid AND a.n = %s.n AND ts_match_vq(a.words, ", of, of);
    put_tsquery(q, text);
    query_put(q, ") OFFSET 0)");
}

/* Where something is wanted of the set, all at once; else each that is not, since a delivery without answers has none of them. */
static void put_set(struct query *q, const struct search *x, const char *of, bool answers)
{
    const struct store_search *w = x->what;
    bool                       all = search_wants(w, answers);

    if (all) {
        struct buf *text = query_text(q);

        words_query(text, &x->where, w->words, w->nwords, answers, true);
        put_exists(q, of, false, answers, text);
    }
    for (size_t i = 0; !all && i < w->nwords; i++) {
        struct buf *text;

        if (words_in_answers(w->words[i].field) != answers || !words_any(w->words[i].text))
            continue;
        text = query_text(q);
        words_query_one(text, &x->where, &w->words[i]);
        put_exists(q, of, true, answers, text);
    }
}

static void put_asides(struct query *q, const struct search *x, const char *of)
{
    if (x->by != BY_WORDS)
        put_set(q, x, of, false);
    if (x->by != BY_ANSWERS)
        put_set(q, x, of, true);
}

/* ---- What drives it ------------------------------------------------------------------------------------------------ */

/* "words w WHERE …", by the index. */
static void put_driving_words(struct query *q, const struct search *x)
{
    struct buf *quick = search_driving_words(q, x, true), *all = search_driving_words(q, x, false);

    put_partition(q, words_table(x->by == BY_ANSWERS), "w WHERE w.words @@ ");
    put_tsquery(q, quick);
    if (span_eq(buf_span(quick), buf_span(all)))
        return;
    query_put(q, " AND ts_match_vq(w.words, ");
    put_tsquery(q, all);
    query_put(q, ")");
}

/* OFFSET 0 has the words looked up, and by their index: the planner does not know how few they are. */
static void put_by_words(struct query *q, const struct search *x)
{
    const struct store_search *w = x->what;
    bool                       box = w->scope.kind == SCOPE_MAILBOX && !x->by_domain;

    query_put(q, "(SELECT w.uid, w.n FROM ");
    put_driving_words(q, x);
    put_asides(q, x, "w");
    query_put(q, " OFFSET 0) t");
    if (search_asks_of_row(w) || x->by_domain)
        put_beside(q, box ? "delivery_mailbox" : "delivery", "f",
                   box                             ? "mailbox_id"
                   : w->scope.kind == SCOPE_DOMAIN ? "domain_id"
                                                   : NULL,
                   &w->scope.id);
    put_bounds(q, x);
    query_put_filters(q, x, "f", "f", "t");
}

/* "deliveries t … WHERE …", by the scope's index, or that of rules. */
static void put_scope(struct query *q, const struct search *x)
{
    const struct store_search *w = x->what;
    bool                       box = w->scope.kind == SCOPE_MAILBOX;

    put_partition(q, box ? "delivery_mailbox" : "delivery", "t");
    if (box && x->by_domain)
        put_beside(q, "delivery", "d", NULL, NULL);
    put_bounds(q, x);
    if (w->scope.kind != SCOPE_GLOBAL) {
        query_put(q, box ? " AND t.mailbox_id = " : " AND t.domain_id = ");
        query_put_param(q, dbv_uuid(&w->scope.id));
    }
    query_put_filters(q, x, "t", box ? "d" : "t", "t");
}

/* ---- Statements ---------------------------------------------------------------------------------------------------- */

/* The same of each day: what is written once with a mark, behind each other with the days. */
static void put_days(struct query *q, struct span of_a_day, const int64_t *days, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        query_put(q, i > 0 ? " UNION ALL " : "");
        for (size_t at = 0; at < of_a_day.n; at++) {
            if (of_a_day.p[at] == DAY_MARK)
                buf_printf(&q->sql, "%lld", (long long)days[i]);
            else
                buf_putc(&q->sql, of_a_day.p[at]);
        }
    }
}

/* What was put so far is about each day. */
static void repeat_for_days(struct query *q, const char *before, const int64_t *days, size_t n)
{
    struct buf of_a_day = q->sql;

    buf_init(&q->sql, SEARCH_SQL_MAX);
    query_put(q, before);
    put_days(q, buf_span(&of_a_day), days, n);
    q->sql.failed = q->sql.failed || of_a_day.failed;
    buf_fini(&of_a_day);
}

void search_pg_window(struct query *q, const struct search *x, const int64_t *days, size_t n)
{
    query_put(q, "(SELECT t.uid, t.n FROM ");
    if (x->by == BY_SCOPE) {
        put_scope(q, x);
        put_asides(q, x, "t");
    } else {
        put_by_words(q, x);
    }
    query_put(q, " ORDER BY t.uid DESC, t.n DESC LIMIT ");
    query_put_param(q, dbv_i64((int64_t)x->left));
    query_put(q, ")");
    repeat_for_days(q, "SELECT uid, n FROM (", days, n);
    query_put(q, ") u ORDER BY uid DESC, n DESC LIMIT ");
    query_put_param(q, dbv_i64((int64_t)x->left));
}

/* ---- On which shelves ---------------------------------------------------------------------------------------------- */

/* Days of which that is known are looked at apart from those of which it is not. What cannot be told is left to the search itself. */
size_t search_pg_shelves(struct search *x, const int64_t *days, size_t n, int64_t *out, size_t *n_out)
{
    struct shelf_words  found[SEARCH_DAYS_AT_ONCE];
    struct words_of_all asked;
    struct err          ignored = ERR_INIT;
    size_t              i;

    words_ask_all(&asked, x->what->words, x->what->nwords, false);
    asked.n = asked.n < ASKED_OF_SHELVES ? asked.n : ASKED_OF_SHELVES;
    if (shelf_words_find(x->s, &asked, days, n, found, &ignored) < 0)
        memset(found, 0, sizeof found);
    x->where.shelves = 0;
    *n_out = 0;
    for (i = 0; i < n && found[i].known == found[0].known; i++) {
        uint64_t shelves = found[i].known ? found[i].shelves : WORDS_ALL_SHELVES;

        if (shelves != 0)
            out[(*n_out)++] = days[i];
        x->where.shelves |= shelves;
    }
    return i;
}

/* ---- What finds fewest --------------------------------------------------------------------------------------------- */

/* All that could drive it. Everybody's rows are read one by one where nothing finds fewer than FEW. */
static size_t find_drivers(const struct search *x, enum driver out[DRIVERS])
{
    const struct store_search *w = x->what;
    size_t                     n = 0;

    if (w->has_uid || !(search_wants(w, false) || search_wants(w, true)))
        return 0;
    if (search_wants(w, false))
        out[n++] = BY_WORDS;
    if (search_wants(w, true))
        out[n++] = BY_ANSWERS;
    if (w->has_rule || w->directions != 0 || w->statuses != 0)
        out[n++] = BY_SCOPE;
    return n;
}

static void put_sample(struct query *q, struct search *x, enum driver by)
{
    buf_printf(&q->sql, "%sSELECT CAST(%d AS BIGINT), COUNT(*) FROM (SELECT 1 FROM ", q->sql.n > 0 ? " UNION ALL " : "",
               (int)by);
    x->by = by;
    if (by == BY_SCOPE)
        put_scope(q, x);
    else
        put_driving_words(q, x);
    buf_printf(&q->sql, " LIMIT %d) s", FEW);
}

static int each_sample(void *ctx, struct db_rows *r)
{
    int64_t *found = ctx;

    found[db_i64(r, 0)] = db_i64(r, 1);
    return 0;
}

/* In one day. What cannot be counted is left to the search itself, which will say why. Nothing stands on no shelf. */
static int count_each(struct search *x, int64_t day, const enum driver *drivers, size_t n, int64_t found[DRIVERS])
{
    struct query q;
    struct err   ignored = ERR_INIT;
    size_t       kept;
    int          rc = -1;

    if (x->everywhere && search_pg_shelves(x, &day, 1, &day, &kept) > 0 && kept == 0)
        return 0;

    query_init(&q);
    for (size_t i = 0; i < n; i++)
        put_sample(&q, x, drivers[i]);
    repeat_for_days(&q, "", &day, 1);
    if (!q.sql.failed)
        rc = row_each(x->s->log, q.sql.p, q.vals, q.n, each_sample, found, &ignored);
    db_forget(x->s->log, q.sql.p);
    query_fini(&q);
    return rc;
}

/* The day that tells is the newest that is over. */
int search_pg_begin(struct search *x, struct err *e)
{
    bool        all = x->what->scope.kind == SCOPE_GLOBAL;
    enum driver drivers[DRIVERS], best;
    size_t      n = find_drivers(x, drivers);
    int64_t     found[DRIVERS] = {0};

    x->by = BY_SCOPE;
    x->everywhere = x->where.shelves == WORDS_ALL_SHELVES && search_wants(x->what, false);
    if (db_script(x->s->log, by_index_sql, e) < 0)
        return -1;
    x->forced = true;
    if (n == 0 || x->ndays == 0)
        return 0;
    best = drivers[0];
    if ((n > 1 || all) && count_each(x, x->days[x->ndays > 1], drivers, n, found) == 0)
        for (size_t i = 1; i < n; i++)
            best = found[drivers[i]] < found[best] ? drivers[i] : best;
    x->by = all && found[best] == FEW ? BY_SCOPE : best;
    return 0;
}

void search_pg_end(struct search *x)
{
    struct err ignored = ERR_INIT;

    if (x->forced)
        db_script(x->s->log, as_ever_sql, &ignored);
}
