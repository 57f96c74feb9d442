/* lib/store/search_query.c - a statement in the making. */
#include "store/search_inside.h"

#define QUERY_MAX (2u << 20) /* of one full-text query */

void query_init(struct query *q)
{
    q->n = q->ntexts = 0;
    buf_init(&q->sql, SEARCH_SQL_MAX);
}

void query_fini(struct query *q)
{
    for (size_t i = 0; i < q->ntexts; i++)
        buf_fini(&q->texts[i]);
    buf_fini(&q->sql);
}

void query_put_param(struct query *q, struct db_val v)
{
    if (q->n == SEARCH_PARAMS_MAX)
        panic("a search with more than %d parameters", SEARCH_PARAMS_MAX);
    q->vals[q->n++] = v;
    buf_printf(&q->sql, "$%zu", q->n);
}

struct buf *query_text(struct query *q)
{
    struct buf *b;

    if (q->ntexts == SEARCH_PARAMS_MAX)
        panic("a search with more than %d texts", SEARCH_PARAMS_MAX);
    b = &q->texts[q->ntexts++];
    buf_init(b, QUERY_MAX);
    return b;
}

void query_put_uid(struct query *q, const struct uuid *u)
{
    struct day_uid uid = day_uid_text(u);
    struct buf    *text = query_text(q);

    buf_puts(text, uid.text);
    query_put_param(q, dbv_text(buf_span(text)));
}

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
    query_put(q, ")");
}

static void put_directions(struct query *q, const char *of, unsigned directions)
{
    const char *before = " IN (";

    if (directions == 0)
        return;
    buf_printf(&q->sql, " AND %s.direction", of);
    for (int i = 0; direction_words[i] != NULL; i++) {
        if (!(directions & 1u << i))
            continue;
        buf_printf(&q->sql, "%s%d", before, i);
        before = ", ";
    }
    query_put(q, ")");
}

bool search_leaves_out(const struct store_search *w, enum search_id of)
{
    for (size_t i = 0; i < w->nwithout; i++)
        if (w->without[i].of == of)
            return true;
    return false;
}

bool search_asks_of_row(const struct store_search *w)
{
    return w->statuses != 0 || w->directions != 0 || w->has_rule || search_leaves_out(w, SEARCH_RULE);
}

static void put_other_than(struct query *q, const char *of, const char *column, const struct uuid *id)
{
    buf_printf(&q->sql, " AND (%s.%s IS NULL OR %s.%s <> ", of, column, of, column);
    query_put_param(q, dbv_uuid(id));
    query_put(q, ")");
}

void query_put_without(struct query *q, const struct search *x, const char *of, const char *delivery, const char *key)
{
    for (size_t i = 0; i < x->what->nwithout; i++) {
        const struct store_without *one = &x->what->without[i];

        switch (one->of) {
        case SEARCH_UID:
            buf_printf(&q->sql, " AND %s.uid <> ", key);
            query_put_uid(q, &one->id);
            break;
        case SEARCH_RULE: put_other_than(q, of, "rule_id", &one->id); break;
        case SEARCH_DOMAIN:
            if (x->by_domain)
                put_other_than(q, delivery, "domain_id", &one->id);
            break;
        }
    }
}

void query_put_filters(struct query *q, const struct search *x, const char *of, const char *delivery, const char *key)
{
    const struct store_search *w = x->what;

    put_statuses(q, of, w->statuses);
    if (w->has_rule) {
        buf_printf(&q->sql, " AND %s.rule_id = ", of);
        query_put_param(q, dbv_uuid(&w->rule));
    }
    if (x->by_domain && w->has_domain) {
        buf_printf(&q->sql, " AND %s.domain_id = ", delivery);
        query_put_param(q, dbv_uuid(&w->domain));
    }
    put_directions(q, of, w->directions);
    if (w->has_uid) {
        buf_printf(&q->sql, " AND %s.uid = ", key);
        query_put_uid(q, &w->uid);
    }
    query_put_without(q, x, of, delivery, key);
}

bool search_wants(const struct store_search *w, bool answers)
{
    for (size_t i = 0; i < w->nwords; i++)
        if (!w->words[i].without && words_in_answers(w->words[i].field) == answers && words_any(w->words[i].text))
            return true;
    return false;
}

bool search_is_aside(const struct search *x, const struct store_words *one)
{
    enum driver of = words_in_answers(one->field) ? BY_ANSWERS : BY_WORDS;

    return of != x->by && words_any(one->text);
}

struct buf *search_driving_words(struct query *q, const struct search *x, bool quick)
{
    struct words_where where = x->where;
    struct buf        *text = query_text(q);

    where.quick = quick;
    words_query(text, &where, x->what->words, x->what->nwords, x->by == BY_ANSWERS, true);
    return text;
}
