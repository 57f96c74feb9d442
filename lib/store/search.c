/* lib/store/search.c - finding deliveries.
 *
 * A search walks back in time, window by window, so that it can stop between two when it has worked long enough. Each window is one
 * statement, composed of what was asked for; on PostgreSQL one for the keys and one for their rows (log_row.h).
 * SQLite      Words: a window is a day, since each day has full-text tables of its own. Else: as wide as goes quickly.
 * PostgreSQL  A window is some days, as many as go quickly. It names their partitions: to plan the whole table would take longer
 *             than to look at them. */
#include "store/search.h"

#include <stdlib.h>

#include "store/day.h"
#include "store/log_row.h"
#include "store/words.h"

#define SQL_MAX (256u << 10)
#define QUERY_MAX (2u << 20) /* of one full-text query */
#define PARAMS_MAX 32
#define WINDOW_MIN_MS (3600 * INT64_C(1000))
#define WINDOW_MAX_MS (3660 * DAY_MS)
#define QUICK_US 10000
#define SLOW_US 100000
#define DAYS_MAX 4000
#define DAYS_AT_ONCE 32 /* partitions of one statement */
#define DAY_MARK '\x01' /* stands for the day in the text of what is asked of each */
#define UID_SLACK_MS 50 /* by which a delivery.id may lie behind its UID's time */

/* One search, while it runs. Owns `days`. */
struct search {
    struct store              *s;
    const struct store_search *what;
    struct words_where         where;
    bool     lite, by_words, by_answers; /* what drives a window: a scope's index, or one of the two sets of words */
    bool     by_domain;                  /* the filter says something that the scope does not */
    int64_t  since_ms, until_ms;         /* since <= UID's time < until */
    int64_t *days;                       /* that have tables, the newest first */
    size_t   ndays;
    struct store_key         before; /* keys from here on are behind us; n 0: all of this moment */
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
static void put_filters(struct query *q, const struct search *x, const char *of, const char *delivery, const char *key)
{
    const struct store_search *w = x->what;

    put_statuses(q, of, w->statuses);
    if (w->has_rule) {
        buf_printf(&q->sql, " AND %s.rule_id = ", of);
        put_param(q, dbv_uuid(&w->rule));
    }
    if (x->by_domain) {
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

static struct buf *driving_words(struct query *q, const struct search *x, bool quick)
{
    struct words_where where = x->where;
    struct buf        *text = new_text(q);

    where.quick = quick;
    words_query(text, &where, x->what->words, x->what->nwords, x->by_answers, true);
    return text;
}

/* ---- One window on SQLite ------------------------------------------------------------------------------------------ */

/* The + keeps SQLite from asking the driving words anew for each of these rows. */
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
        buf_printf(&q->sql, " AND +k.rowid %sIN (SELECT rowid FROM %s_%lld WHERE ", one->without ? "NOT " : "", table,
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

/* Status and rule of what words have found, in the scope's own index: its rows lie side by side. The name of the table. */
static const char *lite_narrow(struct query *q, const struct search *x, int64_t first)
{
    const struct store_search *w = x->what;

    if (w->scope.kind == SCOPE_GLOBAL || (w->statuses == 0 && !w->has_rule))
        return "d";
    buf_printf(&q->sql, " CROSS JOIN %s f %s ON f.id = k.rowid + %lld AND f.%s = ",
               w->scope.kind == SCOPE_MAILBOX ? "delivery_mailbox" : "delivery",
               w->scope.kind == SCOPE_MAILBOX ? "" : "INDEXED BY delivery_domain", (long long)first,
               w->scope.kind == SCOPE_MAILBOX ? "mailbox_id" : "domain_id");
    put_param(q, dbv_uuid(&w->scope.id));
    return "f";
}

static void lite_by_words(struct query *q, const struct search *x, int64_t from_ms, int64_t below)
{
    const char *table = x->by_answers ? "answers" : "words", *of;
    int64_t     day = from_ms / DAY_MS, first = day_first_id(day);

    buf_printf(&q->sql, "%s_%lld k", table, (long long)day);
    of = lite_narrow(q, x, first);
    buf_printf(&q->sql,
               " CROSS JOIN delivery d ON d.id = k.rowid + %lld CROSS JOIN message m ON m.uid = d.uid WHERE k.",
               (long long)first);
    put_match(q, true, table, day, driving_words(q, x, false));
    lite_aside(q, x, day);
    lite_ids(q, "k.rowid", day_id_at(from_ms) - first, below - first);
    put_filters(q, x, of, "d", "d");
}

static void lite_by_scope(struct query *q, const struct search *x, int64_t from_ms, int64_t below)
{
    const struct store_search *w = x->what;
    bool                       box = w->scope.kind == SCOPE_MAILBOX, domain = w->scope.kind == SCOPE_DOMAIN;

    put(q, box      ? "delivery_mailbox k CROSS JOIN delivery d ON d.id = k.id"
           : domain ? "delivery d INDEXED BY delivery_domain"
                    : "delivery d");
    put(q, " CROSS JOIN message m ON m.uid = d.uid WHERE ");
    if (box || domain) {
        put(q, box ? "k.mailbox_id = " : "d.domain_id = ");
        put_param(q, dbv_uuid(&w->scope.id));
    } else {
        put(q, "1");
    }
    lite_ids(q, box ? "k.id" : "d.id", day_id_at(from_ms), below);
    put_filters(q, x, box ? "k" : "d", "d", "d");
}

/* The joins go on from the first table, whose order is the one that is wanted; its index has what is filtered most. */
static void lite_window(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms)
{
    int64_t below = day_id_at(to_ms);
    bool    words = has_words(x);

    below = below < x->before_id ? below : x->before_id;
    put(q, "SELECT " LOG_ROW_LITE " FROM ");
    if (words)
        lite_by_words(q, x, from_ms, below);
    else
        lite_by_scope(q, x, from_ms, below);
    buf_printf(&q->sql, " ORDER BY %s DESC LIMIT ",
               words                                  ? "k.rowid"
               : x->what->scope.kind == SCOPE_MAILBOX ? "k.id"
                                                      : "d.id");
    put_param(q, dbv_i64((int64_t)x->left));
}

/* ---- Some days on PostgreSQL --------------------------------------------------------------------------------------- */

static void put_partition(struct query *q, const char *table, const char *as)
{
    buf_printf(&q->sql, "%s_%c %s", table, DAY_MARK, as);
}

static void pg_join(struct query *q, const char *table, const char *as, bool n)
{
    put(q, " JOIN ");
    put_partition(q, table, as);
    buf_printf(&q->sql, " ON %s.uid = t.uid", as);
    if (n)
        buf_printf(&q->sql, " AND %s.n = t.n", as);
}

static void put_uid_param(struct query *q, const struct uuid *u)
{
    struct day_uid uid = day_uid_text(u);
    struct buf    *text = new_text(q);

    buf_puts(text, uid.text);
    put_param(q, dbv_text(buf_span(text)));
}

static void pg_bounds(struct query *q, const struct search *x)
{
    struct uuid from = day_uid_at(x->since_ms), to = day_uid_at(x->until_ms);

    put(q, " WHERE t.uid >= ");
    put_uid_param(q, &from);
    put(q, " AND t.uid < ");
    put_uid_param(q, &to);
    put(q, " AND (t.uid, t.n) < (");
    put_uid_param(q, &x->before.uid);
    put(q, ", ");
    put_param(q, dbv_i64(x->before.n));
    put(q, ")");
}

/* What the other set of words wants is looked up too. What it does not want is asked of each row that is left, since most rows
 * have what people leave out; OFFSET 0 keeps the planner from looking it up. */
static void pg_without(struct query *q, const struct search *x)
{
    for (size_t i = 0; i < x->what->nwords; i++) {
        const struct store_words *one = &x->what->words[i];
        struct buf               *text;

        if (!is_aside(x, one) || !one->without)
            continue;
        put(q, " AND NOT EXISTS (SELECT 1 FROM ");
        put_partition(q, words_in_answers(one->field) ? "delivery_answers" : "delivery_words", "a");
        put(q, " WHERE a.uid = w.uid AND a.n = w.n AND ts_match_vq(a.words, CAST(CAST(");
        text = new_text(q);
        words_query_one(text, &x->where, one);
        put_param(q, dbv_text(buf_span(text)));
        put(q, " AS TEXT) AS tsquery)) OFFSET 0)");
    }
}

static void pg_aside(struct query *q, const struct search *x)
{
    for (size_t i = 0; i < x->what->nwords; i++) {
        const struct store_words *one = &x->what->words[i];
        struct buf               *text;

        if (!is_aside(x, one) || one->without)
            continue;
        put(q, " INTERSECT SELECT w.uid, w.n FROM ");
        put_partition(q, words_in_answers(one->field) ? "delivery_answers" : "delivery_words", "w WHERE ");
        text = new_text(q);
        words_query_one(text, &x->where, one);
        put_match(q, false, "w", 0, text);
    }
}

/* A function is not looked up in an index. */
static void pg_driving_words(struct query *q, const struct search *x)
{
    struct buf *quick = driving_words(q, x, true), *all = driving_words(q, x, false);

    put_match(q, false, "w", 0, quick);
    if (span_eq(buf_span(quick), buf_span(all)))
        return;
    put(q, " AND ts_match_vq(w.words, CAST(CAST(");
    put_param(q, dbv_text(buf_span(all)));
    put(q, " AS TEXT) AS tsquery))");
}

/* OFFSET 0 has the words looked up, where one scope's are few: else the planner may read all rows in their order instead. */
static void pg_by_words(struct query *q, const struct search *x)
{
    const struct store_search *w = x->what;
    bool                       box = w->scope.kind == SCOPE_MAILBOX, domain = w->scope.kind == SCOPE_DOMAIN;

    put(q, "(SELECT w.uid, w.n FROM ");
    put_partition(q, x->by_answers ? "delivery_answers" : "delivery_words", "w WHERE ");
    pg_driving_words(q, x);
    pg_without(q, x);
    pg_aside(q, x);
    put(q, box || domain ? " OFFSET 0) t" : ") t");
    if (w->statuses != 0 || w->has_rule || x->by_domain) {
        pg_join(q, box && !x->by_domain ? "delivery_mailbox" : "delivery", "f", true);
        if (domain || (box && !x->by_domain)) {
            put(q, domain ? " AND f.domain_id = " : " AND f.mailbox_id = ");
            put_param(q, dbv_uuid(&w->scope.id));
        }
    }
    if (w->has_direction)
        pg_join(q, "message", "m", false);
    pg_bounds(q, x);
    put_filters(q, x, "f", "f", "t");
}

static void pg_by_scope(struct query *q, const struct search *x)
{
    const struct store_search *w = x->what;
    bool                       box = w->scope.kind == SCOPE_MAILBOX;

    put_partition(q, box ? "delivery_mailbox" : "delivery", "t");
    if (box && x->by_domain)
        pg_join(q, "delivery", "d", true);
    if (w->has_direction)
        pg_join(q, "message", "m", false);
    pg_bounds(q, x);
    if (w->scope.kind != SCOPE_GLOBAL) {
        put(q, box ? " AND t.mailbox_id = " : " AND t.domain_id = ");
        put_param(q, dbv_uuid(&w->scope.id));
    }
    put_filters(q, x, "t", box ? "d" : "t", "t");
}

/* The same of each day: what is written once with a mark, behind each other with the days. */
static void put_days(struct query *q, struct span of_a_day, const int64_t *days, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put(q, i > 0 ? " UNION ALL " : "");
        for (size_t at = 0; at < of_a_day.n; at++) {
            if (of_a_day.p[at] == DAY_MARK)
                buf_printf(&q->sql, "%lld", (long long)days[i]);
            else
                buf_putc(&q->sql, of_a_day.p[at]);
        }
    }
}

static void pg_window(struct query *q, const struct search *x, const int64_t *days, size_t n)
{
    struct buf of_a_day;

    put(q, "(SELECT t.uid, t.n FROM ");
    if (has_words(x))
        pg_by_words(q, x);
    else
        pg_by_scope(q, x);
    put(q, " ORDER BY t.uid DESC, t.n DESC LIMIT ");
    put_param(q, dbv_i64((int64_t)x->left));
    put(q, ")");
    of_a_day = q->sql;
    buf_init(&q->sql, SQL_MAX);
    put(q, "SELECT uid, n FROM (");
    put_days(q, buf_span(&of_a_day), days, n);
    put(q, ") u ORDER BY uid DESC, n DESC LIMIT ");
    put_param(q, dbv_i64((int64_t)x->left));
    q->sql.failed = q->sql.failed || of_a_day.failed;
    buf_fini(&of_a_day);
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

/* A window: from one moment to another on SQLite, whole days on PostgreSQL. */
struct window {
    int64_t        from_ms, to_ms;
    const int64_t *days;
    size_t         ndays;
};

static void compose(struct query *q, const struct search *x, const struct window *w)
{
    if (x->lite)
        lite_window(q, x, w->from_ms, w->to_ms);
    else
        pg_window(q, x, w->days, w->ndays);
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

static int run_window(struct search *x, const struct window *w, struct err *e)
{
    struct store_key *keys = x->lite ? NULL : calloc(x->left, sizeof *keys);
    struct query      q;
    struct db_rows   *r = NULL;
    size_t            n = 0;
    int               rc;

    if (!x->lite && keys == NULL)
        panic("out of memory");
    query_init(&q);
    compose(&q, x, w);
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
    for (size_t i = 0; i < x->ndays; i++) {
        int64_t       from = x->days[i] * DAY_MS;
        struct window w = {from > x->since_ms ? from : x->since_ms, x->until_ms, NULL, 0};

        if (run_window(x, &w, e) < 0)
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

static int walk_partitions(struct search *x, struct err *e)
{
    size_t at = 0, width = 1;

    while (at < x->ndays) {
        size_t        left = x->left;
        int64_t       begun = clock_mono_us();
        struct window w = {0, 0, x->days + at, x->ndays - at < width ? x->ndays - at : width};

        if (run_window(x, &w, e) < 0) {
            if (x->left < left || !forgotten(x))
                return -1;
            continue;
        }
        at += w.ndays;
        if (is_over(x, x->days[at - 1] * DAY_MS))
            break;
        if (went_quickly(begun) && width < DAYS_AT_ONCE)
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

/* On which shelf the words of the scope are, and whether the filter for a domain says more than a mailbox does, which is of one domain for
 * ever. Of a mailbox that is gone nobody knows any more. */
static int find_shelf(struct search *x, struct err *e)
{
    const struct store_scope *scope = &x->what->scope;
    struct db_rows           *r;
    struct uuid               domain;
    int                       rc;

    x->where = (struct words_where){db_kind(x->s->log), *scope, WORDS_ANY_SHELF, false};
    x->by_domain = x->what->has_domain;
    if (scope->kind == SCOPE_DOMAIN)
        x->where.shelf = words_shelf(&scope->id);
    if (scope->kind != SCOPE_MAILBOX)
        return 0;
    if ((rc = row_first(x->s->main, domain_sql, (struct db_val[]){dbv_uuid(&scope->id)}, 1, &r, e)) <= 0)
        return rc;
    domain = col_uuid(r, 0);
    db_rows_free(&r);
    x->where.shelf = words_shelf(&domain);
    x->by_domain = false;
    if (x->what->has_domain && !uuid_eq(&domain, &x->what->domain))
        x->until_ms = x->since_ms; /* so there is nothing */
    return 0;
}

static int start(struct search *x, struct err *e)
{
    if (x->what->nwords > STORE_WORDS_MAX)
        return err_set(e, ERR_LIMIT, "a search with %zu texts, at most %d", x->what->nwords, STORE_WORDS_MAX);
    if ((x->days = calloc(DAYS_MAX, sizeof *x->days)) == NULL)
        panic("out of memory");
    x->lite = db_kind(x->s->log) == DB_SQLITE;
    x->left = page_limit(x->what->limit);
    x->deadline_us = clock_mono_us() + STORE_SEARCH_US;
    find_driver(x);
    return find_bounds(x, e) < 0 ? -1 : find_shelf(x, e);
}

static int walk(struct search *x, struct err *e)
{
    if (start(x, e) < 0)
        return -1;
    if (x->until_ms <= x->since_ms)
        return 0;
    return !x->lite ? walk_partitions(x, e) : has_words(x) ? walk_days(x, e) : walk_windows(x, e);
}

int store_search(struct store *s, const struct store_search *what, store_row_fn fn, void *ctx,
                 struct store_search_end *end, struct err *e)
{
    int64_t       begun = clock_mono_us();
    struct search x = {.s = s, .what = what, .fn = fn, .ctx = ctx, .end = end};
    int           rc;

    *end = (struct store_search_end){.more = false};
    rc = walk(&x, e);
    free(x.days);
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

    free(x.days);
    return rc;
}
