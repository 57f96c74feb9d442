/* lib/store/words.c - the words that a delivery is found by. */
#include "store/words_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "mail/text.h"
#include "store/moment.h"
#include "store/row.h"
#include "store/sort_day.h"

#define VECTOR_MAX (512u << 10)
#define POSITION_MAX 16000 /* tsvector's is 16383 */
#define SHELVED_MAX 5      /* texts of one row */
#define SHELVED_BYTES (64u << 10)

const char *const search_field_words[] = {"subject",  "from",     "to",  "message_id", "inbound",
                                          "outbound", "delivery", "any", NULL};

const struct words_field words_fields[] = {
    [SEARCH_SUBJECT] = {"subject", "s", false},  [SEARCH_FROM] = {"sender", "f", false},
    [SEARCH_TO] = {"recipient", "t", false},     [SEARCH_MESSAGE_ID] = {"message_id", "m", false},
    [SEARCH_INBOUND] = {"inbound", "i", false},  [SEARCH_OUTBOUND] = {"outbound", "o", true},
    [SEARCH_DELIVERY] = {"delivery", "d", true}, [SEARCH_ANY] = {"subject sender recipient", "sft", false},
};

bool words_in_answers(enum search_field f) { return words_fields[f].answers; }

/* ---- Words of a text ---------------------------------------------------------------------------------------------- */

/* Marks, signs and blanks beyond ASCII that stand between words. */
static bool is_between(uint32_t c)
{
    return c < 0xC0     ? c != 0xAA && c != 0xB5 && c != 0xBA
           : c < 0x2000 ? c == 0xD7 || c == 0xF7
                        : c <= 0x206F || (c >= 0x20A0 && c <= 0x20CF) || (c >= 0x2190 && c <= 0x2BFF) ||
                              (c >= 0x3000 && c <= 0x3004) || (c >= 0x3008 && c <= 0x3020) || c == 0xFEFF ||
                              (c >= 0xFF01 && c <= 0xFF0F) || c == UTF8_BAD || c >= 0x1F000;
}

static bool is_word_char(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    return !is_between(c);
}

bool words_next(struct span text, size_t *at, struct word *w)
{
    w->n = w->chars = 0;
    while (*at < text.n) {
        uint32_t c = utf8_next(text, at, NULL);

        if (is_word_char(c)) {
            if (w->n < WORD_MAX)
                w->n += utf8_put(text_fold_char(c), w->text + w->n);
            w->chars++;
        } else if (w->n > 0) {
            break;
        }
    }
    return w->n > 0;
}

bool words_any(struct span text)
{
    struct word w;
    size_t      at = 0;

    return words_next(span_head(text, WORDS_ASKED_MAX), &at, &w);
}

int words_shelf(const struct uuid *domain)
{
    uint32_t h = 2166136261u; /* FNV-1a: ids differ in few of their bytes */

    for (size_t i = 0; domain != NULL && i < sizeof domain->b; i++)
        h = (h ^ domain->b[i]) * 16777619u;
    return (int)((h ^ h >> 16) % WORDS_SHELVES);
}

/* By hand: it is done for every word that is written. */
static char *put_hex(char *out, unsigned byte)
{
    static const char digits[] = "0123456789abcdef";

    *out++ = digits[byte >> 4 & 15];
    *out++ = digits[byte & 15];
    return out;
}

static void hex(const struct uuid *u, char out[33])
{
    for (size_t i = 0; i < sizeof u->b; i++)
        out = put_hex(out, u->b[i]);
    *out = '\0';
}

/* "all d… m…" */
static size_t scope_words(const struct words_of *of, char out[3][34])
{
    size_t n = 1;

    memcpy(out[0], "all", sizeof "all");
    if (of->domain != NULL) {
        out[n][0] = 'd';
        hex(of->domain, out[n++] + 1);
    }
    if (of->mailbox != NULL) {
        out[n][0] = 'm';
        hex(of->mailbox, out[n++] + 1);
    }
    return n;
}

static void scope_word(struct store_scope scope, char out[34])
{
    if (scope.kind == SCOPE_GLOBAL) {
        memcpy(out, "all", sizeof "all");
        return;
    }
    out[0] = scope.kind == SCOPE_DOMAIN ? 'd' : 'm';
    hex(&scope.id, out + 1);
}

/* ---- SQLite ------------------------------------------------------------------------------------------------------- */

static const char words_sql[] = "INSERT INTO words_%lld (rowid, scope, subject, sender, recipient, message_id, inbound)"
                                " VALUES ($1, $2, $3, $4, $5, $6, $7)";
static const char answers_sql[] = "INSERT INTO answers_%lld (rowid, scope, outbound, delivery) VALUES ($1, $2, $3, $4)";
static const char answers_gone_sql[] = "INSERT INTO answers_%lld (answers_%lld, rowid, scope, outbound, delivery)"
                                       " VALUES ('delete', $1, $2, $3, $4)";

static void put_scope(const struct words_of *of, char *out, size_t size)
{
    char   words[3][34];
    size_t n = scope_words(of, words);

    *out = '\0';
    for (size_t i = 0; i < n; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s", i ? " " : "", words[i]);
}

/* Of its day's tables. */
static struct db_val row_of(const struct words_of *of) { return dbv_i64(of->id - day_first_id(day_of_uid(&of->uid))); }

struct span words_head(struct span s) { return span_head(s, utf8_clip(s, WORDS_TEXT_MAX)); }

/* A text as a table is told it: its words, each behind its shelf. */
static void put_shelved(struct buf *b, int shelf, struct span text)
{
    struct word w;
    size_t      at = 0;

    text = words_head(text);
    while (words_next(text, &at, &w)) {
        char *room = buf_reserve(b, w.n + 3);

        if (room == NULL)
            return;
        room = put_hex(room, (unsigned)shelf);
        memcpy(room, w.text, w.n);
        room[w.n] = ' ';
        b->n += w.n + 3;
    }
}

/* Texts that stand in one buffer, behind each other. */
struct shelved {
    struct buf buf;
    size_t     ends[SHELVED_MAX], n;
};

static void shelved_end(struct shelved *t) { t->ends[t->n++] = t->buf.n; }

static void shelved_put(struct shelved *t, int shelf, struct span text)
{
    put_shelved(&t->buf, shelf, text);
    shelved_end(t);
}

/* When all are there: the buffer moves while it grows. */
static struct db_val shelved_val(const struct shelved *t, size_t i)
{
    size_t from = i > 0 ? t->ends[i - 1] : 0;

    return dbv_text(span_make(t->buf.p + from, t->ends[i] - from));
}

static void shelved_clear(struct shelved *t)
{
    buf_clear(&t->buf);
    t->n = 0;
}

static int lite_put_message(struct store *s, const char *sql, struct shelved *t, const struct words_message *m,
                            struct err *e)
{
    char scope[112];
    int  shelf = words_shelf(m->of.domain);

    put_scope(&m->of, scope, sizeof scope);
    shelved_clear(t);
    shelved_put(t, shelf, m->subject);
    put_shelved(&t->buf, shelf, m->from_address);
    put_shelved(&t->buf, shelf, m->from_name);
    shelved_put(t, shelf, span_eq_ci(m->sender, m->from_address) ? SPAN_NONE : m->sender);
    shelved_put(t, shelf, m->recipient);
    shelved_put(t, shelf, m->message_id);
    shelved_put(t, shelf, m->inbound);
    return db_run(s->log, sql,
                  (struct db_val[]){row_of(&m->of), dbv_str(scope), shelved_val(t, 0), shelved_val(t, 1),
                                    shelved_val(t, 2), shelved_val(t, 3), shelved_val(t, 4)},
                  7, NULL, e);
}

/* Rows of one day, from the first on; how many they were, or -1. */
static int64_t lite_put_day(struct store *s, const struct words_message *rows, size_t n, struct err *e)
{
    char           sql[sizeof words_sql + 24];
    struct shelved t = {.n = 0};
    int64_t        day = day_of_uid(&rows[0].of.uid);
    size_t         i;
    int            rc = 0;

    snprintf(sql, sizeof sql, words_sql, (long long)day);
    buf_init(&t.buf, SHELVED_BYTES);
    for (i = 0; i < n && rc == 0 && day_of_uid(&rows[i].of.uid) == day; i++)
        rc = lite_put_message(s, sql, &t, &rows[i], e);
    buf_fini(&t.buf);
    db_forget(s->log, sql);
    if (rc == 0)
        rc = moment_put_messages(s, day, rows, i, e);
    return rc < 0 ? -1 : (int64_t)i;
}

static int lite_put_messages(struct store *s, const struct words_message *rows, size_t n, struct err *e)
{
    for (size_t i = 0; i < n;) {
        int64_t done = lite_put_day(s, rows + i, n - i, e);

        if (done < 0)
            return -1;
        i += (size_t)done;
    }
    return 0;
}

/* The statements of one day's table: the same texts as long as the day is, so that they are prepared once. */
struct answers_of_day {
    struct store  *s;
    int64_t        day; /* -1: none yet */
    char           put[sizeof answers_sql + 24], gone[sizeof answers_gone_sql + 48];
    struct shelved texts;
};

static void forget_day(struct answers_of_day *d)
{
    db_forget(d->s->log, d->put);
    db_forget(d->s->log, d->gone);
}

static void turn_to_day(struct answers_of_day *d, int64_t day)
{
    if (d->day == day)
        return;
    forget_day(d);
    d->day = day;
    snprintf(d->put, sizeof d->put, answers_sql, (long long)day);
    snprintf(d->gone, sizeof d->gone, answers_gone_sql, (long long)day, (long long)day);
}

static int lite_answers(struct answers_of_day *d, const char *sql, const struct words_answers *a, struct err *e)
{
    char scope[112];
    int  shelf = words_shelf(a->of.domain);

    put_scope(&a->of, scope, sizeof scope);
    shelved_clear(&d->texts);
    shelved_put(&d->texts, shelf, a->outbound);
    shelved_put(&d->texts, shelf, a->delivery);
    return db_run(
        d->s->log, sql,
        (struct db_val[]){row_of(&a->of), dbv_str(scope), shelved_val(&d->texts, 0), shelved_val(&d->texts, 1)}, 4,
        NULL, e);
}

/* Without its text the table has to be told again what is to be taken out. */
static int lite_change_answers(struct store *s, const struct words_change *rows, size_t n, struct err *e)
{
    struct answers_of_day d = {.s = s, .day = -1};
    int                   rc = 0;

    buf_init(&d.texts.buf, SHELVED_BYTES);
    for (size_t i = 0; i < n && rc == 0; i++) {
        turn_to_day(&d, day_of_uid(&rows[i].now.of.uid));
        if (rows[i].had)
            rc = lite_answers(&d, d.gone, &rows[i].before, e);
        if (rc == 0)
            rc = lite_answers(&d, d.put, &rows[i].now, e);
    }
    buf_fini(&d.texts.buf);
    forget_day(&d);
    return rc;
}

static int lite_put_answers(struct store *s, const struct words_change *rows, size_t n, struct err *e)
{
    int rc = lite_change_answers(s, rows, n, e);

    for (size_t i = 0, first = 0; i < n && rc == 0; first = i) {
        int64_t day = day_of_uid(&rows[first].now.of.uid);

        while (i < n && day_of_uid(&rows[i].now.of.uid) == day)
            i++;
        rc = moment_put_answers(s, day, rows + first, i - first, e);
    }
    return rc;
}

/* ---- PostgreSQL --------------------------------------------------------------------------------------------------- */

static const char vector_sql[] =
    "INSERT INTO delivery_words (uid, n, words) VALUES ($1, $2, CAST(CAST($3 AS TEXT) AS tsvector))";
static const char answers_vector_sql[] =
    "INSERT INTO delivery_answers (uid, n, words) VALUES ($1, $2, CAST(CAST($3 AS TEXT) AS tsvector))"
    " ON CONFLICT (uid, n) DO UPDATE SET words = excluded.words";

/* The words of a field behind each other, each behind its shelf and the field's letter; there is nothing in them to be quoted. */
static void put_vector(struct buf *b, int shelf, enum search_field f, struct span text, int *position)
{
    struct word w;
    size_t      at = 0;

    text = words_head(text);
    for (int i = 0; i < WORDS_MAX && *position < POSITION_MAX && words_next(text, &at, &w); i++)
        buf_printf(b, " '%02x%c%.*s':%d", shelf, words_fields[f].letters[0], (int)w.n, w.text, ++*position);
}

static void put_vector_scope(struct buf *b, const struct words_of *of)
{
    char   words[3][34];
    size_t n = scope_words(of, words);

    for (size_t i = 0; i < n; i++)
        buf_printf(b, " '@%s'", words[i]);
}

/* The server takes parameters in binary form as their bytes; a tsvector's are not its text. The text goes through a cast. */
static int pg_put(struct store *s, const struct words_of *of, const struct buf *vector, struct err *e)
{
    struct day_uid uid = day_uid_text(&of->uid);

    return db_batch_add(s->log, (struct db_val[]){dbv_str(uid.text), dbv_i64(of->n), dbv_text(buf_span(vector))}, 3, e);
}

static int pg_written(struct store *s, const struct words_message *rows, size_t n, struct err *e)
{
    int64_t last = -1;

    for (size_t i = 0; i < n; i++) {
        int64_t day = day_of_uid(&rows[i].of.uid);

        if (day != last && sort_day_written(s, day, e) < 0)
            return -1;
        last = day;
    }
    return 0;
}

static int pg_put_messages(struct store *s, const struct words_message *rows, size_t n, struct err *e)
{
    struct buf b;
    int        rc = 0;

    if (db_batch_begin(s->log, vector_sql, e) < 0)
        return -1;
    buf_init(&b, VECTOR_MAX);
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct words_message *m = &rows[i];
        int                         at = 0, shelf = words_shelf(m->of.domain);

        buf_clear(&b);
        put_vector_scope(&b, &m->of);
        put_vector(&b, shelf, SEARCH_SUBJECT, m->subject, &at);
        put_vector(&b, shelf, SEARCH_FROM, m->from_address, &at);
        put_vector(&b, shelf, SEARCH_FROM, m->from_name, &at);
        if (!span_eq_ci(m->sender, m->from_address))
            put_vector(&b, shelf, SEARCH_FROM, m->sender, &at);
        put_vector(&b, shelf, SEARCH_TO, m->recipient, &at);
        put_vector(&b, shelf, SEARCH_MESSAGE_ID, m->message_id, &at);
        put_vector(&b, shelf, SEARCH_INBOUND, m->inbound, &at);
        rc = pg_put(s, &m->of, &b, e);
    }
    buf_fini(&b);
    return rc < 0 || db_batch_end(s->log, e) < 0 ? -1 : pg_written(s, rows, n, e);
}

static int pg_put_answers(struct store *s, const struct words_change *rows, size_t n, struct err *e)
{
    struct buf b;
    int        rc = 0;

    if (db_batch_begin(s->log, answers_vector_sql, e) < 0)
        return -1;
    buf_init(&b, VECTOR_MAX);
    for (size_t i = 0; i < n && rc == 0; i++) {
        int at = 0, shelf = words_shelf(rows[i].now.of.domain);

        buf_clear(&b);
        put_vector_scope(&b, &rows[i].now.of);
        put_vector(&b, shelf, SEARCH_OUTBOUND, rows[i].now.outbound, &at);
        put_vector(&b, shelf, SEARCH_DELIVERY, rows[i].now.delivery, &at);
        rc = pg_put(s, &rows[i].now.of, &b, e);
    }
    buf_fini(&b);
    return rc < 0 ? -1 : db_batch_end(s->log, e);
}

/* ---- Both --------------------------------------------------------------------------------------------------------- */

int words_put_messages(struct store *s, const struct words_message *rows, size_t n, struct err *e)
{
    return db_kind(s->log) == DB_SQLITE ? lite_put_messages(s, rows, n, e) : pg_put_messages(s, rows, n, e);
}

int words_put_answers(struct store *s, const struct words_change *rows, size_t n, struct err *e)
{
    return db_kind(s->log) == DB_SQLITE ? lite_put_answers(s, rows, n, e) : pg_put_answers(s, rows, n, e);
}

static void put_word_on(struct buf *b, enum db_kind kind, int shelf, char letter, const struct word *w, bool first)
{
    if (kind == DB_SQLITE)
        buf_printf(b, "%s%02x%.*s", first ? "" : " ", shelf, (int)w->n, w->text);
    else
        buf_printf(b, "%s'%02x%c%.*s'", first ? "" : " <-> ", shelf, letter, (int)w->n, w->text);
}

bool words_of_address(char letter) { return letter == 'f' || letter == 't' || letter == 'm'; }

/* Words side by side: "3fa 3fb" * in FTS5, '3fsa' <-> '3fsb':* in a tsquery. The words are ours, so nothing in them needs
 * quoting. PostgreSQL's index collects all that begins like a word before it looks at any other: quickly, the last word of an
 * address is left out, which many have. */
static void put_phrase_on(struct buf *b, const struct words_where *where, int shelf, char letter, struct span asked)
{
    struct span text = span_head(asked, utf8_clip(asked, WORDS_ASKED_MAX));
    struct word w, next;
    size_t      at = 0;
    bool        more = words_next(text, &at, &w), begins = false;

    buf_puts(b, where->kind == DB_SQLITE ? "\"" : "(");
    for (int i = 0; more; i++) {
        more = i + 1 < WORDS_ASKED && words_next(text, &at, &next);
        begins = !more && (w.chars >= WORD_PREFIX_MIN || text.n < asked.n); /* cut, perhaps within a word */
        if (begins && where->quick && i > 0 && words_of_address(letter))
            begins = false;
        else
            put_word_on(b, where->kind, shelf, letter, &w, i == 0);
        if (more)
            w = next;
    }
    if (where->kind == DB_SQLITE)
        buf_putc(b, '"');
    if (begins)
        buf_puts(b, where->kind == DB_SQLITE ? " *" : ":*");
    if (where->kind == DB_PGSQL)
        buf_putc(b, ')');
}

/* On each of the shelves; on PostgreSQL also behind each letter that the field has. */
static void put_phrase(struct buf *b, const struct words_where *at, const struct store_words *one)
{
    bool        lite = at->kind == DB_SQLITE, first = true;
    const char *letters = lite ? "-" : words_fields[one->field].letters;

    if (lite)
        buf_printf(b, "{%s} : ", words_fields[one->field].column);
    buf_putc(b, '(');
    for (int shelf = 0; shelf < WORDS_SHELVES; shelf++) {
        for (const char *letter = letters; *letter && at->shelves >> shelf & 1; letter++) {
            if (!first)
                buf_puts(b, lite ? " OR " : " | ");
            put_phrase_on(b, at, shelf, *letter, one->text);
            first = false;
        }
    }
    buf_putc(b, ')');
}

bool words_asks(const struct store_words *one, bool answers, bool without)
{
    return one->without == without && words_in_answers(one->field) == answers && words_any(one->text);
}

static void put_scope_query(struct buf *b, const struct words_where *at)
{
    char word[34];

    scope_word(at->scope, word);
    buf_printf(b, at->kind == DB_SQLITE ? "{scope} : %s" : "'@%s'", word);
}

/* NOT of FTS5 takes what stands before it as a whole; ! of a tsquery is one more condition. */
static void put_without(struct buf *b, const struct words_where *at, const struct store_words *one)
{
    buf_puts(b, at->kind == DB_SQLITE ? " NOT " : " & !");
    put_phrase(b, at, one);
}

/* Where everybody's rows are asked for words, the words are enough: the one that all rows have would only be in the way. */
void words_query(struct buf *b, const struct words_where *at, const struct store_words *words, size_t n, bool answers,
                 bool without)
{
    const char *both = at->kind == DB_SQLITE ? " AND " : " & ";
    bool        any = false;

    for (size_t i = 0; i < n; i++)
        any = any || words_asks(&words[i], answers, false);
    buf_putc(b, '(');
    if (at->scope.kind != SCOPE_GLOBAL || !any)
        put_scope_query(b, at);
    for (size_t i = 0; i < n; i++) {
        if (!words_asks(&words[i], answers, false))
            continue;
        if (b->p[b->n - 1] != '(')
            buf_puts(b, both);
        put_phrase(b, at, &words[i]);
    }
    buf_putc(b, ')');
    for (size_t i = 0; without && !at->quick && i < n; i++)
        if (words_asks(&words[i], answers, true))
            put_without(b, at, &words[i]);
}

void words_query_one(struct buf *b, const struct words_where *at, const struct store_words *one)
{
    put_scope_query(b, at);
    buf_puts(b, at->kind == DB_SQLITE ? " AND " : " & ");
    put_phrase(b, at, one);
}
