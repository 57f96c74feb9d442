/* lib/store/row.h - what every table family needs to get between rows and structs. For lib/store alone. */
#ifndef POSTERN_STORE_ROW_H
#define POSTERN_STORE_ROW_H

#include "base/json_write.h"
#include "store/store.h"

/* ---- values in ---- */
static inline struct db_val dbv_uuid(const struct uuid *u) { return dbv_blob(span_make(u->b, sizeof u->b)); }
static inline struct db_val dbv_uuid_or_null(const struct uuid *u) { return u ? dbv_uuid(u) : DBV_NULL; }
static inline struct db_val dbv_bool(bool b) { return dbv_i64(b ? 1 : 0); }
static inline struct db_val dbv_bytes(const uint8_t *p, size_t n) { return dbv_blob(span_make(p, n)); }
/* The word at `value`; NULL for a negative one. */
static inline struct db_val dbv_word(const char *const *words, int value)
{
    return value < 0 ? DBV_NULL : dbv_str(words[value]);
}
/* The four columns of a scope: kind, id, domain_id, mailbox_id. */
#define DBV_SCOPE(scope)                                                                                               \
    dbv_word(scope_kind_words, (int)(scope)->kind), dbv_uuid(&(scope)->id),                                            \
        dbv_uuid_or_null((scope)->kind == SCOPE_DOMAIN ? &(scope)->id : NULL),                                         \
        dbv_uuid_or_null((scope)->kind == SCOPE_MAILBOX ? &(scope)->id : NULL)

/* ---- values out ---- */
struct uuid col_uuid(struct db_rows *r, int column); /* zero for NULL */
/* Cut to what fits, and terminated. */
void col_str(struct db_rows *r, int column, char *out, size_t size);
int  col_word(struct db_rows *r, int column, const char *const *words); /* -1: NULL, or no word of ours */
int  word_index(const char *const *words, struct span s);

/* Runs a query and reads its first row: 1 (free *out afterwards), 0 none, -1. */
int row_first(struct db *db, const char *sql, const struct db_val *vals, size_t n, struct db_rows **out, struct err *e);
/* After row_first() has found nothing: says so when it was no failure (rc 0). Always -1. */
static inline int no_such(int rc, struct err *e, const char *what)
{
    if (rc == 0)
        err_set(e, ERR_NOT_FOUND, "there is no such %s", what);
    return -1;
}
/* The first column of the first row; 1, 0 none, -1. */
int row_i64(struct db *db, const char *sql, const struct db_val *vals, size_t n, int64_t *out, struct err *e);
/* Calls each(ctx, row) for every row until it returns something else than 0. */
int row_each(struct db *db, const char *sql, const struct db_val *vals, size_t n,
             int (*each)(void *ctx, struct db_rows *r), void *ctx, struct err *e);
/* db_run with one number: a day, a time. */
static inline int row_run_i64(struct db *db, const char *sql, int64_t number, struct err *e)
{
    return db_run(db, sql, (struct db_val[]){dbv_i64(number)}, 1, NULL, e);
}
/* db_run on the main database that has to change exactly one row: else ERR_NOT_FOUND "no such <what>". */
int row_change_one(struct store *s, const char *sql, const struct db_val *vals, size_t n, const char *what,
                   struct err *e);

/* ---- transactions: a mutation opens one, or joins the caller's ---- */
int row_begin(struct store *s, bool *mine_out, struct err *e);
/* Passes rc on; ends what row_begin began: commits for rc 0, else rolls back. */
int row_end(struct store *s, bool mine, int rc, struct err *e);

/* ---- checks ---- */
/* UTF-8 without NUL: what both databases take for text. */
bool is_storable(struct span s);
/* min..max bytes of UTF-8 without control characters. */
int check_text(struct span s, size_t min, size_t max, const char *what, struct err *e);
/* When e says ERR_CONFLICT: says it in words for people instead. Always -1. */
int                  say_conflict(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline size_t page_limit(size_t limit) { return limit == 0 || limit > STORE_LIST_MAX ? STORE_LIST_MAX : limit; }

/* ---- JSON of audit payloads: {"before":{…},"after":{…}} ---- */
#define PAYLOAD_MAX (8u << 20)
/* What a change did to one object. Each of before and after may be NULL; put() writes one of them, under its key. */
struct payload_change {
    const char *action, *kind; /* "rule.set", "rule" */
    struct uuid id;
    void (*put)(struct buf *b, const char *key, const void *row);
    const void *before, *after;
};
/* Notes it in the audit log. */
int payload_note(struct store *s, const struct actor *by, struct store_scope scope, const struct payload_change *c,
                 struct err *e);

#endif
