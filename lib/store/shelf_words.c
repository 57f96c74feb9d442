/* lib/store/shelf_words.c - on which shelves a day's messages have a word. */
#include "store/shelf_words.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/row.h"

#define SQL_MAX (64u << 10)
#define LETTERS_MAX 3
#define LAST_CHAR "\xF4\x8F\xBF\xBF" /* behind all that may follow the beginning of a word */

/* ---- Making -------------------------------------------------------------------------------------------------------- */

static const char clear_sql[] = "DELETE FROM shelf_words WHERE day = $1";
/* A word stands behind two digits of its shelf; @ is before whose the row is. */
static const char make_format[] =
    "INSERT INTO shelf_words (day, word, shelves) SELECT $1, substr(l.lexeme, 3), bit_or(CAST(1 AS BIGINT) <<"
    " CAST(CAST('x' || lpad(left(l.lexeme, 2), 8, '0') AS bit(32)) AS INTEGER))"
    " FROM delivery_words_%lld w CROSS JOIN unnest(w.words) l WHERE l.lexeme NOT LIKE '@%%' GROUP BY 2 ORDER BY 2";
static const char forget_sql[] = "DELETE FROM shelf_words WHERE day < $1";

int shelf_words_make(struct store *s, int64_t day, struct err *e)
{
    char sql[sizeof make_format + 24];
    int  rc = row_run_i64(s->log, clear_sql, day, e);

    snprintf(sql, sizeof sql, make_format, (long long)day);
    if (rc == 0)
        rc = row_run_i64(s->log, sql, day, e);
    db_forget(s->log, sql);
    return rc;
}

int shelf_words_forget(struct store *s, int64_t before, struct err *e)
{
    return row_run_i64(s->log, forget_sql, before, e);
}

/* ---- Asking -------------------------------------------------------------------------------------------------------- */

/* What is being put together: a row for each day, word and letter that the word may stand behind. */
struct asking {
    struct buf    sql, texts;
    struct db_val vals[2 * WORDS_OF_ALL * LETTERS_MAX];
    size_t        n;
    struct span   days; /* "1, 2, 3" */
};

static void put_bound(struct asking *a, const char *is, char letter, struct span word, const char *behind)
{
    size_t at = a->texts.n;

    buf_putc(&a->texts, letter);
    buf_put(&a->texts, word);
    buf_puts(&a->texts, behind);
    a->vals[a->n++] = dbv_text(span_make(a->texts.p + at, a->texts.n - at));
    buf_printf(&a->sql, " AND w.word %s $%zu", is, a->n);
}

static void put_word(struct asking *a, size_t i, char letter, struct span word, bool begins)
{
    buf_printf(&a->sql,
               "%sSELECT d.day, CAST(%zu AS BIGINT), CAST(COALESCE(bit_or(w.shelves), 0) AS BIGINT)"
               " FROM log_day d LEFT JOIN shelf_words w ON w.day = d.day",
               a->sql.n > 0 ? " UNION ALL " : "", i);
    put_bound(a, begins ? ">=" : "=", letter, word, "");
    if (begins)
        put_bound(a, "<", letter, word, LAST_CHAR);
    buf_printf(&a->sql, " WHERE d.sorted = 1 AND d.day IN (%.*s) GROUP BY d.day", SPAN_ARG(a->days));
}

static void put_words(struct asking *a, const struct words_of_all *asked)
{
    for (size_t i = 0; i < asked->n; i++)
        for (const char *letter = asked->words[i].letters; *letter; letter++)
            put_word(a, i, *letter, span_make(asked->words[i].text, asked->words[i].n), asked->words[i].begins);
}

/* What came back, before the words are put together: a word may be behind one letter or the other, and all of them are wanted. */
struct answers {
    const int64_t *days;
    size_t         n;
    uint64_t (*of)[WORDS_OF_ALL];
    struct shelf_words *out;
};

static int each_answer(void *ctx, struct db_rows *r)
{
    struct answers *a = ctx;
    int64_t         day = db_i64(r, 0), word = db_i64(r, 1);

    for (size_t i = 0; i < a->n; i++) {
        if (a->days[i] != day)
            continue;
        a->of[i][word] |= (uint64_t)db_i64(r, 2);
        a->out[i].known = true;
    }
    return 0;
}

static int ask(struct store *s, const struct words_of_all *asked, struct span days, struct answers *answers,
               struct err *e)
{
    struct asking a = {.n = 0, .days = days};
    int           rc;

    buf_init(&a.sql, SQL_MAX);
    buf_init(&a.texts, SQL_MAX);
    buf_reserve(&a.texts, 2 * WORDS_OF_ALL * LETTERS_MAX * (WORD_MAX + 16)); /* the values point into it */
    put_words(&a, asked);
    rc = row_each(s->log, a.sql.p, a.vals, a.n, each_answer, answers, e);
    db_forget(s->log, a.sql.p);
    buf_fini(&a.texts);
    buf_fini(&a.sql);
    return rc;
}

int shelf_words_find(struct store *s, const struct words_of_all *asked, const int64_t *days, size_t n,
                     struct shelf_words *out, struct err *e)
{
    uint64_t(*of)[WORDS_OF_ALL] = calloc(n, sizeof *of);
    struct answers answers = {days, n, of, out};
    struct buf     list;
    int            rc;

    if (of == NULL)
        panic("out of memory");
    buf_init(&list, SQL_MAX);
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct shelf_words){WORDS_ALL_SHELVES, false};
        buf_printf(&list, "%s%lld", i > 0 ? ", " : "", (long long)days[i]);
    }
    rc = n == 0 || asked->n == 0 ? 0 : ask(s, asked, buf_span(&list), &answers, e);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < asked->n && out[i].known; k++)
            out[i].shelves &= of[i][k];
    buf_fini(&list);
    free(of);
    return rc;
}
