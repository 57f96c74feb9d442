/* portal/fields.c - see fields.h. */
#include "fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_read.h"
#include "base/utf8.h"

#define TEXTS_ITEM_MAX 1000
#define FIELDS_MAX 64

/* What is being filled. */
struct filling {
    const struct field *table;
    struct arena       *arena;
    void               *out;
    const char        **member_out;
};

static void *at(const struct filling *f, const struct field *row) { return (char *)f->out + row->offset; }

static const struct field *row_named(const struct filling *f, struct span name)
{
    for (const struct field *row = f->table; row->name != NULL; row++)
        if (span_is(name, row->name))
            return row;
    return NULL;
}

static int wrong(const struct filling *f, const struct field *row, size_t where, struct err *e, const char *what)
{
    *f->member_out = row->name;
    return err_at(e, where, "%s: %s", row->name, what);
}

static bool is_plain_text(struct span s)
{
    if (!utf8_valid(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\n' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

static int say_length(const struct filling *f, const struct field *row, size_t where, struct span text, struct err *e)
{
    char sentence[120];

    if (text.n == 0)
        return wrong(f, row, where, e, "must not be empty");
    snprintf(sentence, sizeof sentence, "has %zu bytes, but takes %lld to %lld", text.n, (long long)row->min,
             (long long)row->max);
    return wrong(f, row, where, e, sentence);
}

/* ---- one value, from text; both readers end here ---- */

static int take_text(const struct filling *f, const struct field *row, struct span text, size_t where, struct err *e)
{
    if (!is_plain_text(text))
        return wrong(f, row, where, e, "has control characters, or is not UTF-8");
    if (text.n < (size_t)row->min || text.n > (size_t)row->max)
        return say_length(f, row, where, text, e);
    *(struct span *)at(f, row) = text;
    return 0;
}

static int take_word(const struct filling *f, const struct field *row, struct span text, size_t where, struct err *e)
{
    char   sentence[200] = "is one of";
    size_t n = strlen(sentence);

    for (int i = 0; row->words[i] != NULL; i++) {
        if (span_is(text, row->words[i])) {
            *(int *)at(f, row) = i;
            return 0;
        }
        if (n < sizeof sentence)
            n += (size_t)snprintf(sentence + n, sizeof sentence - n, " %s", row->words[i]);
    }
    return wrong(f, row, where, e, sentence);
}

static int take_i64(const struct filling *f, const struct field *row, struct span text, size_t where, struct err *e)
{
    char    sentence[100];
    int64_t v;

    snprintf(sentence, sizeof sentence, "is a whole number from %lld to %lld", (long long)row->min,
             (long long)row->max);
    if (!span_i64(text, &v) || v < row->min || v > row->max)
        return wrong(f, row, where, e, sentence);
    *(int64_t *)at(f, row) = v;
    return 0;
}

static int take_f64(const struct filling *f, const struct field *row, struct span text, size_t where, struct err *e)
{
    char   sentence[100], copy[64], *end;
    double v;

    snprintf(sentence, sizeof sentence, "is a number from %lld to %lld", (long long)row->min, (long long)row->max);
    if (text.n == 0 || text.n >= sizeof copy)
        return wrong(f, row, where, e, sentence);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    v = strtod(copy, &end);
    if (*end != '\0' || !isfinite(v) || v < (double)row->min || v > (double)row->max)
        return wrong(f, row, where, e, sentence);
    *(double *)at(f, row) = v;
    return 0;
}

static int take_bool(const struct filling *f, const struct field *row, struct span text, size_t where, struct err *e)
{
    bool yes = span_is(text, "true") || span_is(text, "1");

    if (!yes && !span_is(text, "false") && !span_is(text, "0"))
        return wrong(f, row, where, e, "is true or false");
    *(bool *)at(f, row) = yes;
    return 0;
}

static int take(const struct filling *f, const struct field *row, struct span text, size_t where, struct err *e)
{
    switch (row->type) {
    case FIELD_TEXT: return take_text(f, row, text, where, e);
    case FIELD_WORD: return take_word(f, row, text, where, e);
    case FIELD_I64: return take_i64(f, row, text, where, e);
    case FIELD_F64: return take_f64(f, row, text, where, e);
    case FIELD_BOOL: return take_bool(f, row, text, where, e);
    case FIELD_UUID: return uuid_parse(text, at(f, row)) ? 0 : wrong(f, row, where, e, "is an id of 36 characters");
    case FIELD_TIME:
        return clock_parse_utc(text, at(f, row))
                   ? 0
                   : wrong(f, row, where, e, "is a time like 2026-11-22T10:00:00Z, or a date");
    case FIELD_TEXTS:
    case FIELD_JSON: break;
    }
    panic("%s: no such field type here", row->name);
}

static int check_required(const struct filling *f, struct err *e)
{
    for (const struct field *row = f->table; row->name != NULL; row++)
        if ((row->flags & FIELD_REQUIRED) != 0 && !field_given(f->out, (size_t)(row - f->table)))
            return wrong(f, row, 0, e, "is missing");
    return 0;
}

static void mark(const struct filling *f, const struct field *row)
{
    *(uint64_t *)f->out |= UINT64_C(1) << (row - f->table);
}

/* ---- JSON ---- */

static int take_texts(const struct filling *f, const struct field *row, struct json_read *r, struct err *e)
{
    struct field_texts *out = at(f, row);
    struct span        *items = arena_array(f->arena, (size_t)row->max, sizeof *items);
    struct json_value   v;
    size_t              n = 0;
    int                 rc;

    if (items == NULL)
        return err_set(e, ERR_LIMIT, "%s: is too large", row->name);
    while ((rc = json_item(r, e)) > 0) {
        if (json_value(r, &v, e) < 0)
            return -1;
        if (n == (size_t)row->max)
            return wrong(f, row, v.at, e, "has too many items");
        if (v.type != JSON_STRING || v.text.n > TEXTS_ITEM_MAX || !is_plain_text(v.text))
            return wrong(f, row, v.at, e, "is a list of texts of at most 1,000 bytes each");
        items[n++] = v.text;
    }
    *out = (struct field_texts){items, n};
    return rc;
}

static bool fits(enum field_type type, enum json_type json)
{
    switch (type) {
    case FIELD_BOOL: return json == JSON_BOOL;
    case FIELD_I64:
    case FIELD_F64: return json == JSON_NUMBER;
    case FIELD_TEXTS: return json == JSON_ARRAY;
    case FIELD_JSON: return true;
    case FIELD_TEXT:
    case FIELD_WORD:
    case FIELD_UUID:
    case FIELD_TIME: break;
    }
    return json == JSON_STRING;
}

static int take_json(const struct filling *f, const struct field *row, struct json_read *r, const struct json_value *v,
                     struct err *e)
{
    if (json_over(r, v, e) < 0)
        return -1;
    if (r->at - v->at > (size_t)row->max)
        return wrong(f, row, v->at, e, "is too large");
    *(struct span *)at(f, row) = span_make(r->in.p + v->at, r->at - v->at);
    return 0;
}

static int take_member(const struct filling *f, struct json_read *r, const struct json_value *key, struct err *e)
{
    const struct field *row = row_named(f, key->text);
    struct json_value   v;
    char                sentence[80];

    if (row == NULL)
        return err_at(e, key->at, "there is no member \"%.*s\" here", SPAN_ARG(span_head(key->text, 60)));
    if (field_given(f->out, (size_t)(row - f->table)))
        return wrong(f, row, key->at, e, "is there twice");
    if (json_value(r, &v, e) < 0)
        return -1;
    if (v.type == JSON_NULL && row->type != FIELD_JSON)
        return 0;
    if (!fits(row->type, v.type)) {
        snprintf(sentence, sizeof sentence, "cannot be %s", json_type_word(v.type));
        return wrong(f, row, v.at, e, sentence);
    }
    mark(f, row);
    if (row->type == FIELD_TEXTS)
        return take_texts(f, row, r, e);
    if (row->type == FIELD_JSON)
        return take_json(f, row, r, &v, e);
    return take(f, row, v.type == JSON_BOOL ? (v.yes ? SPAN("true") : SPAN("false")) : v.text, v.at, e);
}

int fields_from_json(const struct field *table, struct span json, struct arena *a, void *out, const char **member_out,
                     struct err *e)
{
    const struct filling f = {table, a, out, member_out};
    struct json_read     r = {.in = json, .arena = a};
    struct json_value    v, key;
    int                  rc;

    *member_out = NULL;
    if (json_value(&r, &v, e) < 0)
        return -1;
    if (v.type != JSON_OBJECT)
        return err_at(e, v.at, "the body is %s, but has to be an object", json_type_word(v.type));
    while ((rc = json_member(&r, &key, e)) > 0)
        if (take_member(&f, &r, &key, e) < 0)
            return -1;
    return rc < 0 || json_end(&r, e) < 0 ? -1 : check_required(&f, e);
}

/* ---- queries and forms ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "+" and %XX undone; {NULL, 0}: it is not what a form sends. */
static struct span undone(struct span text, struct arena *a)
{
    char  *out = arena_alloc(a, text.n + 1);
    size_t n = 0;

    for (size_t i = 0; out != NULL && i < text.n; i++) {
        if (text.p[i] != '%') {
            out[n++] = text.p[i] == '+' ? ' ' : text.p[i];
            continue;
        }
        int high = i + 2 < text.n ? hex(text.p[i + 1]) : -1, low = i + 2 < text.n ? hex(text.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return SPAN_NONE;
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    return out != NULL ? span_make(out, n) : SPAN_NONE;
}

static int add_text(const struct filling *f, const struct field *row, struct span text, struct err *e)
{
    struct field_texts *list = at(f, row);

    if (list->items == NULL)
        list->items = arena_array(f->arena, (size_t)row->max, sizeof *list->items);
    if (list->items == NULL || list->n == (size_t)row->max)
        return wrong(f, row, 0, e, "is there too often");
    if (text.n > TEXTS_ITEM_MAX || !is_plain_text(text))
        return wrong(f, row, 0, e, "is a text of at most 1,000 bytes");
    ((struct span *)list->items)[list->n++] = text;
    return 0;
}

static int take_pair(const struct filling *f, struct span pair, struct err *e)
{
    size_t              equals = span_chr(pair, '=');
    struct span         name = undone(span_head(pair, equals), f->arena);
    struct span         text = undone(span_skip(pair, equals + 1), f->arena);
    const struct field *row = name.p != NULL ? row_named(f, name) : NULL;

    if (row == NULL)
        return err_set(e, ERR_INVALID, "there is no parameter \"%.*s\" here", SPAN_ARG(span_head(pair, 60)));
    if (text.p == NULL)
        return wrong(f, row, 0, e, "is not encoded as a form does it");
    if (row->type == FIELD_TEXTS) {
        mark(f, row);
        return add_text(f, row, text, e);
    }
    if (field_given(f->out, (size_t)(row - f->table)))
        return wrong(f, row, 0, e, "is there twice");
    if (text.n == 0 && row->type != FIELD_TEXT)
        return 0;
    mark(f, row);
    return take(f, row, text, 0, e);
}

int fields_from_query(const struct field *table, struct span query, struct arena *a, void *out, const char **member_out,
                      struct err *e)
{
    const struct filling f = {table, a, out, member_out};
    struct span          pair;

    *member_out = NULL;
    while (span_next(&query, '&', &pair))
        if (pair.n > 0 && take_pair(&f, pair, e) < 0)
            return -1;
    return check_required(&f, e);
}
