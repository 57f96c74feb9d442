/* tests/bench/log_truth.h - what a search of the message log has to find, by looking at every row of its scope: nothing here is shared
 * with the search itself, neither its words nor its statements.
 *
 * Texts are ASCII and their words letters and digits, as log_material.h makes them. */
#ifndef POSTERN_TESTS_BENCH_LOG_TRUTH_H
#define POSTERN_TESTS_BENCH_LOG_TRUTH_H

#include <ctype.h>
#include <stdlib.h>

#include "base/arena.h"
#include "store/log_row.h"
#include "store/search.h"

#define TRUTH_BYTES ((size_t)1 << 30)

/* All deliveries of one scope, the newest first. Owns `arena`, where the texts are. */
struct truth {
    struct arena arena;
    struct truth_row {
        struct store_key key;
        struct span      texts[SEARCH_DELIVERY + 1], status, direction, rule, domain;
    } * rows;
    size_t n;
};

#define TRUTH_OF(join, scope)                                                                                          \
    "SELECT d.uid, d.n, m.subject, m.from_address, m.from_name, m.sender, d.recipient, m.message_id, m.inbound,"       \
    " COALESCE(a.host, ''), COALESCE(a.response, ''), d.answer, d.status, m.direction, d.rule_id, d.domain_id"         \
    " FROM delivery d JOIN message m ON m.uid = d.uid LEFT JOIN attempt a ON a.uid = d.uid AND a.n = d.n" join         \
    " WHERE " scope " ORDER BY d.uid DESC, d.n DESC"
static const char truth_all_sql[] = TRUTH_OF("", "CAST($1 AS BYTEA) IS NOT NULL");
static const char truth_domain_sql[] = TRUTH_OF("", "d.domain_id = $1");
static const char truth_box_lite_sql[] = TRUTH_OF(" JOIN delivery_mailbox b ON b.id = d.id", "b.mailbox_id = $1");
static const char truth_box_pg_sql[] = TRUTH_OF(" JOIN delivery_mailbox b ON b.uid = d.uid AND b.n = d.n",
                                                "b.mailbox_id = $1");

static inline struct span truth_join(struct arena *a, struct db_rows *r, int first, int last)
{
    char   text[1024];
    size_t n = 0;

    for (int i = first; i <= last; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", SPAN_ARG(db_text(r, i)));
    return arena_dup(a, span_make(text, n));
}

static inline struct truth_row truth_row_of(struct arena *a, struct db_rows *r)
{
    struct truth_row row = {.key.n = db_i64(r, 1),
                            .texts = {[SEARCH_SUBJECT] = truth_join(a, r, 2, 2),
                                      [SEARCH_FROM] = truth_join(a, r, 3, 5),
                                      [SEARCH_TO] = truth_join(a, r, 6, 6),
                                      [SEARCH_MESSAGE_ID] = truth_join(a, r, 7, 7),
                                      [SEARCH_INBOUND] = truth_join(a, r, 8, 8),
                                      [SEARCH_OUTBOUND] = truth_join(a, r, 9, 10),
                                      [SEARCH_DELIVERY] = truth_join(a, r, 11, 11)},
                            .status = arena_dup(a, db_text(r, 12)),
                            .direction = arena_dup(a, db_text(r, 13)),
                            .rule = arena_dup(a, db_text(r, 14)),
                            .domain = arena_dup(a, db_text(r, 15))};

    uuid_parse(db_text(r, 0), &row.key.uid);
    return row;
}

/* 0, or -1 and e; `t` is to be freed either way. */
static inline int truth_load(struct store *s, struct store_scope scope, struct truth *t, struct err *e)
{
    const char     *sql = scope.kind == SCOPE_GLOBAL     ? truth_all_sql
                          : scope.kind == SCOPE_DOMAIN   ? truth_domain_sql
                          : db_kind(s->log) == DB_SQLITE ? truth_box_lite_sql
                                                         : truth_box_pg_sql;
    struct db_val   id = {.type = DB_BLOB, .s = span_make((const char *)scope.id.b, sizeof scope.id.b)};
    struct db_rows *r;
    size_t          cap = 1000;
    int             rc;

    arena_init(&t->arena, TRUTH_BYTES);
    t->n = 0;
    t->rows = calloc(cap, sizeof *t->rows);
    if (db_query(s->log, sql, &id, 1, &r, e) < 0)
        return -1;
    while ((rc = db_next(r, e)) > 0) {
        if (t->n == cap)
            t->rows = realloc(t->rows, (cap *= 2) * sizeof *t->rows);
        t->rows[t->n++] = truth_row_of(&t->arena, r);
    }
    db_rows_free(&r);
    return rc;
}

static inline void truth_free(struct truth *t)
{
    arena_fini(&t->arena);
    free(t->rows);
}

static inline struct span truth_word(struct span *rest)
{
    size_t from = 0, to;

    while (from < rest->n && !isalnum((unsigned char)rest->p[from]))
        from++;
    for (to = from; to < rest->n && isalnum((unsigned char)rest->p[to]); to++)
        ;
    struct span word = span_make(rest->p + from, to - from);

    *rest = span_make(rest->p + to, rest->n - to);
    return word;
}

/* Do the wanted words stand at the beginning of the text, the last perhaps only begun? */
static inline bool truth_begins(struct span text, struct span wanted)
{
    struct span next = truth_word(&wanted);

    while (next.n > 0) {
        struct span want = next, have = truth_word(&text);

        next = truth_word(&wanted);
        if (!span_eq_ci(have, want) &&
            !(next.n == 0 && want.n >= 3 && have.n > want.n && span_eq_ci(span_make(have.p, want.n), want)))
            return false;
    }
    return true;
}

static inline bool truth_has(struct span text, struct span wanted)
{
    for (struct span rest = text, word; (word = truth_word(&rest)).n > 0;)
        if (truth_begins(span_make(word.p, (size_t)(text.p + text.n - word.p)), wanted))
            return true;
    return false;
}

static inline bool truth_is(struct span column, const struct uuid *u)
{
    return span_eq(column, span_make((const char *)u->b, sizeof u->b));
}

static inline int64_t truth_ms(const struct uuid *u)
{
    int64_t ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | u->b[i];
    return ms;
}

static inline bool truth_holds(const struct truth_row *r, const struct store_search *q)
{
    int64_t at_us = truth_ms(&r->key.uid) * 1000;

    for (size_t i = 0; i < q->nwords; i++)
        if (truth_has(r->texts[q->words[i].field], q->words[i].text) == q->words[i].without)
            return false;
    for (int i = 0; q->statuses != 0 && delivery_status_words[i] != NULL; i++)
        if (span_eq(r->status, span_of(delivery_status_words[i])) && !(q->statuses & 1u << i))
            return false;
    for (int i = 0; q->directions != 0 && direction_words[i] != NULL; i++)
        if (span_eq(r->direction, span_of(direction_words[i])) && !(q->directions & 1u << i))
            return false;
    for (size_t i = 0; i < q->nwithout; i++) {
        const struct store_without *one = &q->without[i];

        if (one->of == SEARCH_UID    ? uuid_cmp(&r->key.uid, &one->id) == 0
            : one->of == SEARCH_RULE ? truth_is(r->rule, &one->id)
                                     : truth_is(r->domain, &one->id))
            return false;
    }
    return (!q->has_uid || uuid_cmp(&r->key.uid, &q->uid) == 0) &&
           (!q->has_domain || truth_is(r->domain, &q->domain)) && (!q->has_rule || truth_is(r->rule, &q->rule)) &&
           (q->since_us == 0 || at_us >= q->since_us) && (q->until_us == 0 || at_us < q->until_us);
}

/* The first of the rows that a search has to find, at most q->limit; how many. */
static inline size_t truth_page(const struct truth *t, const struct store_search *q, struct store_key *out)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n && n < q->limit; i++)
        if (truth_holds(&t->rows[i], q))
            out[n++] = t->rows[i].key;
    return n;
}

#endif
