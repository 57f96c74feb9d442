/* lib/store/search_lite.c - one window on SQLite: one statement, which has the rows. */
#include "store/search_inside.h"

#include <stdlib.h>

#include "store/moment.h"
#include "store/row.h"

#define BEHIND_MS 1000
#define MANY 500 /* deliveries: as many are on most shelves */
#define ASKED_FIRST 3
#define MOMENTS_WHOLE 2 /* day_has_moments() */
#define LOOKS 1000      /* at rows for such: more would cost as much as to ask every shelf */

static void put_match(struct query *q, const char *table, int64_t day, const struct buf *text)
{
    buf_printf(&q->sql, "%s_%lld MATCH ", table, (long long)day);
    query_put_param(q, dbv_text(buf_span(text)));
}

/* The + keeps SQLite from asking the driving words anew for each of these rows. */
static void lite_aside(struct query *q, const struct search *x, int64_t day)
{
    for (size_t i = 0; i < x->what->nwords; i++) {
        const struct store_words *one = &x->what->words[i];
        const char               *table = words_in_answers(one->field) ? "answers" : "words";
        struct buf               *text;

        if (!search_is_aside(x, one))
            continue;
        text = query_text(q);
        words_query_one(text, &x->where, one);
        buf_printf(&q->sql, " AND +k.rowid %sIN (SELECT rowid FROM %s_%lld WHERE ", one->without ? "NOT " : "", table,
                   (long long)day);
        put_match(q, table, day, text);
        query_put(q, ")");
    }
}

static void lite_ids(struct query *q, const char *id, int64_t from, int64_t below)
{
    buf_printf(&q->sql, " AND %s >= ", id);
    query_put_param(q, dbv_i64(from));
    buf_printf(&q->sql, " AND %s < ", id);
    query_put_param(q, dbv_i64(below));
}

static void put_everybody_s(struct query *q, const char *of, bool directions)
{
    buf_printf(&q->sql, " CROSS JOIN delivery %s INDEXED BY delivery_everybody ON ", of);
    if (directions)
        buf_printf(&q->sql, "%s.direction IN (0, 1, 2) AND ", of);
}

/* Status, rule and direction of what words have found, in the scope's own index: its rows lie side by side. The name of the table. */
static const char *lite_narrow(struct query *q, const struct search *x, int64_t first)
{
    const struct store_search *w = x->what;

    if (w->scope.kind == SCOPE_GLOBAL && w->statuses != 0) {
        put_everybody_s(q, "f", w->directions == 0);
        buf_printf(&q->sql, "f.id = k.rowid + %lld", (long long)first);
        return "f";
    }
    if (w->scope.kind == SCOPE_GLOBAL || !search_asks_of_row(w))
        return "d";
    buf_printf(&q->sql, " CROSS JOIN %s f %s ON f.id = k.rowid + %lld AND f.%s = ",
               w->scope.kind == SCOPE_MAILBOX ? "delivery_mailbox" : "delivery",
               w->scope.kind == SCOPE_MAILBOX ? "" : "INDEXED BY delivery_domain", (long long)first,
               w->scope.kind == SCOPE_MAILBOX ? "mailbox_id" : "domain_id");
    query_put_param(q, dbv_uuid(&w->scope.id));
    return "f";
}

static void lite_by_words(struct query *q, const struct search *x, int64_t from_ms, int64_t below)
{
    const char *table = x->by == BY_ANSWERS ? "answers" : "words", *of;
    int64_t     day = from_ms / DAY_MS, first = day_first_id(day);

    buf_printf(&q->sql, "%s_%lld k", table, (long long)day);
    of = lite_narrow(q, x, first);
    buf_printf(&q->sql,
               " CROSS JOIN delivery d ON d.id = k.rowid + %lld CROSS JOIN message m ON m.uid = d.uid WHERE k.",
               (long long)first);
    put_match(q, table, day, search_driving_words(q, x, false));
    lite_aside(q, x, day);
    lite_ids(q, "k.rowid", day_id_at(from_ms) - first, below - first);
    query_put_filters(q, x, of, "d", "d");
}

/* What is left out of a table, as a text that may be put several times with the same parameters. */
static struct span text_of_without(struct query *q, const struct search *x, const char *of)
{
    struct buf *text = query_text(q), sql = q->sql;

    q->sql = *text;
    query_put_without(q, x, of, of, of);
    *text = q->sql;
    q->sql = sql;
    return buf_span(text);
}

/* Everybody's by status or direction. Each pair of the two has its own list, in the order that is wanted: they are merged. */
static void lite_by_kind(struct query *q, const struct search *x, int64_t from_ms, int64_t below)
{
    const struct store_search *w = x->what;
    const char                *before = "delivery d CROSS JOIN message m ON m.uid = d.uid WHERE d.id IN (";
    struct span                without = text_of_without(q, x, "e");

    for (int direction = 0; direction_words[direction] != NULL; direction++) {
        for (int status = 0; delivery_status_words[status] != NULL; status++) {
            if ((w->directions != 0 && !(w->directions >> direction & 1)) ||
                (w->statuses != 0 && !(w->statuses >> status & 1)))
                continue;
            buf_printf(&q->sql,
                       "%sSELECT id FROM delivery e INDEXED BY delivery_everybody WHERE direction = %d AND"
                       " status = '%s' AND id >= %lld AND id < %lld",
                       before, direction, delivery_status_words[status], (long long)day_id_at(from_ms),
                       (long long)below);
            buf_put(&q->sql, without);
            before = " UNION ALL ";
        }
    }
    query_put(q, " ORDER BY id DESC LIMIT ");
    query_put_param(q, dbv_i64((int64_t)x->left));
    query_put(q, ")");
}

/* What else is asked has an index of its own. */
static bool is_by_kind(const struct search *x)
{
    const struct store_search *w = x->what;

    return x->by == BY_SCOPE && w->scope.kind == SCOPE_GLOBAL && !w->has_rule && !w->has_uid && !w->has_domain &&
           (w->statuses != 0 || w->directions != 0);
}

static void lite_by_scope(struct query *q, const struct search *x, int64_t from_ms, int64_t below)
{
    const struct store_search *w = x->what;
    bool                       box = w->scope.kind == SCOPE_MAILBOX, domain = w->scope.kind == SCOPE_DOMAIN;

    query_put(q, box      ? "delivery_mailbox k CROSS JOIN delivery d ON d.id = k.id"
                 : domain ? "delivery d INDEXED BY delivery_domain"
                          : "delivery d");
    query_put(q, " CROSS JOIN message m ON m.uid = d.uid WHERE ");
    if (box || domain) {
        query_put(q, box ? "k.mailbox_id = " : "d.domain_id = ");
        query_put_param(q, dbv_uuid(&w->scope.id));
    } else {
        query_put(q, "1");
    }
    lite_ids(q, box ? "k.id" : "d.id", day_id_at(from_ms), below);
    query_put_filters(q, x, box ? "k" : "d", "d", "d");
}

/* The joins go on from the first table, whose order is the one that is wanted; its index has what is filtered most. */
void search_lite_window(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms)
{
    int64_t below = day_id_at(to_ms);
    bool    words = x->by != BY_SCOPE;

    below = below < x->before_id ? below : x->before_id;
    query_put(q, "SELECT " LOG_ROW_LITE " FROM ");
    if (words)
        lite_by_words(q, x, from_ms, below);
    else if (is_by_kind(x))
        lite_by_kind(q, x, from_ms, below);
    else
        lite_by_scope(q, x, from_ms, below);
    buf_printf(&q->sql, " ORDER BY %s DESC LIMIT ",
               words                                  ? "k.rowid"
               : x->what->scope.kind == SCOPE_MAILBOX ? "k.id"
                                                      : "d.id");
    query_put_param(q, dbv_i64((int64_t)x->left));
}

/* ---- On which shelves ---------------------------------------------------------------------------------------------- */

/* How many moments of a day have a word. */
static int64_t count_moments(const struct search *x, int64_t day, size_t word)
{
    struct err   ignored = ERR_INIT;
    int64_t      found = 0;
    struct query q;

    query_init(&q);
    query_put(&q, "SELECT COUNT(*) FROM moments_");
    buf_printf(&q.sql, "%lld WHERE ", (long long)day);
    words_query_moments(query_text(&q), &x->asked, word, 1);
    put_match(&q, "moments", day, &q.texts[0]);
    row_i64(x->s->log, q.sql.p, q.vals, q.n, &found, &ignored);
    db_forget(x->s->log, q.sql.p);
    query_fini(&q);
    return found;
}

static int by_found(const void *a, const void *b)
{
    const struct words_one_of_all *x = a, *y = b;

    return (x->found > y->found) - (x->found < y->found);
}

/* The newest day may have hardly begun. */
void search_lite_ask(struct search *x)
{
    struct err ignored = ERR_INIT;
    int64_t    day = x->ndays > 0 ? x->days[x->ndays > 1] : 0;

    words_ask_all(&x->asked, x->what->words, x->what->nwords, true);
    if (x->asked.n < 2 || day_has_moments(x->s, day, &ignored) < MOMENTS_WHOLE)
        return;
    for (size_t i = 0; i < x->asked.n; i++)
        x->asked.words[i].found = count_moments(x, day, i);
    qsort(x->asked.words, x->asked.n, sizeof x->asked.words[0], by_found);
}

/* SQLite asks for the rest when a moment has the first words, and not before. */
static void put_rest(struct query *q, const char *id, int64_t day, const struct buf *rest)
{
    if (rest->n == 0)
        return;
    buf_printf(&q->sql, " AND +%s IN (SELECT rowid FROM moments_%lld WHERE ", id, (long long)day);
    put_match(q, "moments", day, rest);
    query_put(q, ")");
}

/* Deliveries of some states are looked for among the moments; else the moments' deliveries are looked at. An id may lie a little behind
 * its day. */
static void put_candidates_of(struct query *q, const struct search *x, int64_t from_ms, int64_t below,
                              const struct buf *wanted, const struct buf *rest)
{
    int64_t day = from_ms / DAY_MS, first = day_first_id(day), end = day_id_at((day + 1) * DAY_MS + BEHIND_MS);

    if (x->what->statuses != 0) {
        query_put(q, "SELECT d.domain_id, d.answer FROM delivery d INDEXED BY delivery_everybody WHERE ");
        query_put(q, x->what->directions != 0 ? "1" : "d.direction IN (0, 1, 2)");
        lite_ids(q, "d.id", day_id_at(from_ms), below < end ? below : end);
        buf_printf(&q->sql, " AND d.id - %lld >> %d IN (SELECT rowid FROM moments_%lld WHERE ", (long long)first,
                   MOMENT_BITS, (long long)day);
        put_match(q, "moments", day, wanted);
        put_rest(q, "rowid", day, rest);
        query_put(q, ")");
        return;
    }
    buf_printf(&q->sql,
               "SELECT d.domain_id, d.answer FROM moments_%lld k CROSS JOIN delivery d NOT INDEXED"
               " ON d.id >= %lld + (k.rowid << %d) AND d.id < %lld + ((k.rowid + 1) << %d) WHERE k.",
               (long long)day, (long long)first, MOMENT_BITS, (long long)first, MOMENT_BITS);
    put_match(q, "moments", day, wanted);
    put_rest(q, "k.rowid", day, rest);
    lite_ids(q, "k.rowid", moment_of(day_id_at(from_ms) - first), moment_of(below - first) + 1);
}

/* The domains of all deliveries that may be wanted, as far as the other filters leave them. */
static bool put_candidates(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms)
{
    int64_t     end = day_id_at(to_ms), below = end < x->before_id ? end : x->before_id;
    struct buf *wanted = query_text(q), *rest = query_text(q);
    size_t      first = x->asked.n < ASKED_FIRST ? x->asked.n : ASKED_FIRST;

    if (x->asked.n == 0)
        return false;
    words_query_moments(wanted, &x->asked, 0, first);
    words_query_moments(rest, &x->asked, first, x->asked.n - first);
    put_candidates_of(q, x, from_ms, below, wanted, rest);
    query_put_filters(q, x, "d", "d", "d");
    buf_printf(&q->sql, " LIMIT %d", LOOKS);
    return true;
}

/* What a delivery was last answered stands beside its domain. */
struct candidates {
    const struct store_search *what;
    uint64_t                   shelves;
    size_t                     n, looks;
};

static int each_candidate(void *ctx, struct db_rows *r)
{
    struct candidates *c = ctx;
    struct uuid        domain = {{0}};

    c->looks++;
    if (!words_may_hold(db_text(r, 1), SEARCH_DELIVERY, c->what->words, c->what->nwords))
        return 0;
    if (!db_is_null(r, 0))
        domain = col_uuid(r, 0);
    c->shelves |= UINT64_C(1) << words_shelf(db_is_null(r, 0) ? NULL : &domain);
    c->n++;
    return c->n == MANY;
}

/* Their shelves: 1 of all that there are, 0 they are too many, or it cannot be told: FTS5 refuses a word that it takes for two. */
static int find_candidates(const struct search *x, int64_t from_ms, int64_t to_ms, uint64_t *shelves)
{
    struct candidates found = {.what = x->what};
    struct err        ignored = ERR_INIT;
    struct query      q;
    bool              known = false;

    query_init(&q);
    if (put_candidates(&q, x, from_ms, to_ms)) {
        known = row_each(x->s->log, q.sql.p, q.vals, q.n, each_candidate, &found, &ignored) == 0;
        db_forget(x->s->log, q.sql.p);
    }
    query_fini(&q);
    *shelves = found.shelves;
    return known && found.n < MANY && found.looks < LOOKS;
}

/* What cannot be told here is left to the search itself, on every shelf. */
uint64_t search_lite_shelves(const struct search *x, int64_t from_ms, int64_t to_ms)
{
    struct err ignored = ERR_INIT;
    uint64_t   shelves;
    int        moments = day_has_moments(x->s, from_ms / DAY_MS, &ignored);

    return moments == MOMENTS_WHOLE && find_candidates(x, from_ms, to_ms, &shelves) ? shelves : WORDS_ALL_SHELVES;
}
