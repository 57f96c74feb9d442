/* lib/store/search_inside.h - what the files of the search share. For them alone.
 *
 *   search.c        walks back in time, window by window
 *   search_query.c  a statement in the making, and the filters that both databases put alike
 *   search_lite.c   one window on SQLite
 *   search_pg.c     some days on PostgreSQL, and what drives them */
#ifndef POSTERN_STORE_SEARCH_INSIDE_H
#define POSTERN_STORE_SEARCH_INSIDE_H

#include "store/day.h"
#include "store/log_row.h"
#include "store/words.h"

#define SEARCH_SQL_MAX (256u << 10)
#define SEARCH_PARAMS_MAX 64
#define SEARCH_DAYS_AT_ONCE 32 /* partitions of one statement */

/* Whose rows are looked at, in which the rest is asked of each: those of the scope, in its index, or those that one of the two sets of
 * words finds. */
enum driver { BY_SCOPE, BY_WORDS, BY_ANSWERS };

/* One search, while it runs. Owns `days`. */
struct search {
    struct store              *s;
    const struct store_search *what;
    struct words_where         where;
    enum driver                by;
    bool                       lite;
    bool                       forced;             /* PostgreSQL was told to go by indexes */
    bool                       everywhere;         /* words are wanted, of whatever shelf */
    bool                       by_domain;          /* the filter says something that the scope does not */
    int64_t                    since_ms, until_ms; /* since <= UID's time < until */
    int64_t                   *days;               /* that have tables, the newest first */
    size_t                     ndays;
    struct words_of_all        asked;  /* SQLite, of everybody's moments: the word first that the fewest have */
    struct store_key           before; /* keys from here on are behind us; n 0: all of this moment */
    int64_t                    before_id;
    int64_t                    deadline_us;
    size_t                     left;
    store_row_fn               fn;
    void                      *ctx;
    bool                       stopped; /* by fn */
    struct store_search_end   *end;
};

/* A statement in the making. Owns its texts. */
struct query {
    struct buf    sql;
    struct buf    texts[SEARCH_PARAMS_MAX]; /* of parameters that were put together */
    size_t        ntexts;
    struct db_val vals[SEARCH_PARAMS_MAX];
    size_t        n;
};

void               query_init(struct query *q);
void               query_fini(struct query *q);
static inline void query_put(struct query *q, const char *sql) { buf_puts(&q->sql, sql); }
/* "$3", the value at its place. */
void query_put_param(struct query *q, struct db_val v);
/* A text that a parameter will be; lives as long as the query. */
struct buf *query_text(struct query *q);
/* "$3", the UID. */
void query_put_uid(struct query *q, const struct uuid *u);
/* What has to hold besides words and scope. `of` has status, rule and direction, `delivery` the domain, `key` the UID. */
void query_put_filters(struct query *q, const struct search *x, const char *of, const char *delivery, const char *key);
/* The part of it that is left out. */
void query_put_without(struct query *q, const struct search *x, const char *of, const char *delivery, const char *key);

/* Is anything asked, or left out, of that kind? And of what stands beside the key in the scope's own index: status, rule and direction? */
bool search_leaves_out(const struct store_search *w, enum search_id of);
bool search_asks_of_row(const struct store_search *w);

/* Are words of that set wanted: of the messages, or of the answers? */
bool search_wants(const struct store_search *w, bool answers);
/* Does the filter ask words that do not drive the search? */
bool search_is_aside(const struct search *x, const struct store_words *one);
/* What is asked of the set of words that drives it; quick: words_where. */
struct buf *search_driving_words(struct query *q, const struct search *x, bool quick);

/* The statement of one window: rows on SQLite, keys on PostgreSQL. The latter's days have to have tables. */
void search_lite_window(struct query *q, const struct search *x, int64_t from_ms, int64_t to_ms);
void search_pg_window(struct query *q, const struct search *x, const int64_t *days, size_t n);

/* Before the first of these: finds `asked`. */
void search_lite_ask(struct search *x);
/* Those shelves on which a window of one day may have what is wanted, as far as that is cheap to know. */
uint64_t search_lite_shelves(const struct search *x, int64_t from_ms, int64_t to_ms);

/* PostgreSQL: how many of the first days can be looked at together; out (n at most): those that may have something, on the shelves where
 * it is looked for from now on. */
size_t search_pg_shelves(struct search *x, const int64_t *days, size_t n, int64_t *out, size_t *n_out);

/* PostgreSQL: around all statements of a search. Finds what drives it: of all that could, what finds fewest in one of its days. */
int  search_pg_begin(struct search *x, struct err *e);
void search_pg_end(struct search *x);

#endif
