/* lib/net/rspamd_read.c - what a scanner answers to /checkv2; see rspamd.h. A table of members says what is read of each object;
 * whatever else stands there is passed over without recursion. */
#include <math.h>
#include <stdlib.h>

#include "base/json_read.h"
#include "base/utf8.h"
#include "net/rspamd.h"

#define NUMBER_MAX 1e6
#define ORDER_MAX 127 /* what the milter proxy takes */

struct reading {
    struct json_read     r;
    struct arena        *arena;
    struct rspamd_reply *out;

    struct rspamd_symbol     *symbols;
    size_t                    symbols_cap;
    struct rspamd_add_header *added;
    size_t                    added_cap;
    struct span_list          removed, add_rcpt, dkim;
    int                      *removed_at;
    bool                      has_action;
    struct span               error;
};

/* Of one object: its members that are read. `into` is where the value goes: `at` bytes into what the members are of. */
typedef int read_value(struct reading *in, const struct json_value *v, void *into, struct err *e);
struct member {
    struct span name;
    read_value *read;
    size_t      at;
};

/* ---- bytes that no JSON text may hold ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of "\uXXXX" at p, of which `left` bytes are there; -1 when it is none. */
static int32_t unicode_escape(const char *p, size_t left)
{
    int32_t v = 0;

    if (left < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* At a backslash: how many bytes belong to the escape, once it is one that may stand in a text. */
static size_t mend_escape(char *p, size_t left)
{
    static const char bad[6] = {'\\', 'u', 'f', 'f', 'f', 'd'};
    int32_t           v = unicode_escape(p, left);

    if (v < 0)
        return left < 2 ? left : 2;
    if (v >= 0xD800 && v <= 0xDBFF) {
        int32_t low = unicode_escape(p + 6, left - 6);

        if (low >= 0xDC00 && low <= 0xDFFF)
            return 12;
    }
    if (v == 0 || (v >= 0xD800 && v <= 0xDFFF))
        memcpy(p, bad, sizeof bad);
    return 6;
}

/* In place, so that nothing grows: bad UTF-8 becomes '?', a control byte a blank, "\u0000" and a lone surrogate "\ufffd". */
static void mend(char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        bool   ok;
        size_t from = at;

        if ((signed char)p[at] >= 0x20 && p[at] != '\\') {
            at++;
        } else if (p[at] == '\\') {
            at += mend_escape(p + at, n - at);
        } else if ((unsigned char)p[at] < 0x20) {
            p[at++] = ' ';
        } else {
            utf8_next(span_make(p, n), &at, &ok);
            if (!ok)
                memset(p + from, '?', at - from);
        }
    }
}

/* ---- values ---- */

static int no_memory(struct err *e)
{
    return err_set(e, ERR_LIMIT, "the answer needs more memory than there is for it");
}

static int wrong_type(const struct json_value *v, const char *wanted, struct err *e)
{
    return err_set(e, ERR_PROTOCOL, "byte %zu: %s where %s was expected", v->at + 1, json_type_word(v->type), wanted);
}

/* Passes over what is left of a value. */
static int skip(struct reading *in, const struct json_value *v, struct err *e)
{
    enum json_type    open[RSPAMD_DEPTH_MAX];
    size_t            depth = 0;
    struct json_value now = *v, key;

    for (;;) {
        if (now.type == JSON_ARRAY || now.type == JSON_OBJECT) {
            if (depth == RSPAMD_DEPTH_MAX)
                return err_set(e, ERR_LIMIT, "byte %zu: more than %d levels deep", now.at + 1, RSPAMD_DEPTH_MAX);
            open[depth++] = now.type;
        }
        int rc = 0;
        while (depth > 0) {
            rc = open[depth - 1] == JSON_OBJECT ? json_member(&in->r, &key, e) : json_item(&in->r, e);
            if (rc != 0)
                break;
            depth--;
        }
        if (rc <= 0)
            return rc;
        if (json_value(&in->r, &now, e) < 0)
            return -1;
    }
}

static int read_number(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    double *out = into;
    char    text[64];

    (void)in;
    if (v->type != JSON_NUMBER)
        return wrong_type(v, "a number", e);
    if (v->text.n < sizeof text) {
        memcpy(text, v->text.p, v->text.n);
        text[v->text.n] = '\0';
        *out = strtod(text, NULL);
        if (isfinite(*out) && fabs(*out) <= NUMBER_MAX)
            return 0;
    }
    return err_set(e, ERR_PROTOCOL, "byte %zu: %.*s is no score", v->at + 1, (int)(v->text.n < 40 ? v->text.n : 40),
                   v->text.p);
}

static int read_text(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    (void)in;
    if (v->type != JSON_STRING)
        return wrong_type(v, "a text", e);
    *(struct span *)into = v->text;
    return 0;
}

static int read_bool(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    (void)in;
    if (v->type != JSON_BOOL)
        return wrong_type(v, "true or false", e);
    *(bool *)into = v->yes;
    return 0;
}

/* Reads the members of an object that the table knows. */
static int read_object(struct reading *in, const struct json_value *v, const struct member *members, size_t n,
                       void *into, struct err *e)
{
    struct json_value key, value;
    int               rc;

    if (v->type != JSON_OBJECT)
        return wrong_type(v, "an object", e);
    while ((rc = json_member(&in->r, &key, e)) > 0) {
        const struct member *m = members;

        if (json_value(&in->r, &value, e) < 0)
            return -1;
        while (m < members + n && !span_eq(m->name, key.text))
            m++;
        if ((m < members + n && value.type != JSON_NULL ? m->read(in, &value, (char *)into + m->at, e)
                                                        : skip(in, &value, e)) < 0)
            return -1;
    }
    return rc;
}

/* A text, or a list of texts; what a list holds besides is passed over, and so is what is above `max`. */
static int read_texts(struct reading *in, const struct json_value *v, struct span_list *out, size_t max, struct err *e)
{
    struct json_value item;
    int               rc;

    if (v->type == JSON_STRING)
        return span_list_put(out, in->arena, v->text) ? 0 : no_memory(e);
    if (v->type != JSON_ARRAY)
        return wrong_type(v, "a list", e);
    while ((rc = json_item(&in->r, e)) > 0) {
        if (json_value(&in->r, &item, e) < 0 || skip(in, &item, e) < 0)
            return -1;
        if (item.type == JSON_STRING && out->n < max && !span_list_put(out, in->arena, item.text))
            return no_memory(e);
    }
    return rc;
}

/* Room for one more item of `size` bytes in a list in the arena, or -1. */
static int make_room(struct reading *in, void **items, size_t n, size_t *cap, size_t size, struct err *e)
{
    void *more;

    if (n < *cap)
        return 0;
    *cap = *cap > 0 ? 2 * *cap : 32;
    if ((more = arena_array(in->arena, *cap, size)) == NULL)
        return no_memory(e);
    if (n > 0)
        memcpy(more, *items, n * size);
    *items = more;
    return 0;
}

/* ---- symbols ---- */

static int read_symbol_options(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    struct rspamd_symbol *symbol = into;
    struct span_list      options = {NULL, 0, 0};

    if (read_texts(in, v, &options, RSPAMD_OPTIONS_MAX, e) < 0)
        return -1;
    symbol->options = options.items;
    symbol->noptions = options.n;
    return 0;
}

#define AT(type, field) offsetof(struct type, field)

static const struct member symbol_members[] = {
    {{"score", 5}, read_number, AT(rspamd_symbol, score)},
    {{"description", 11}, read_text, AT(rspamd_symbol, description)},
    {{"options", 7}, read_symbol_options, 0},
};

static int read_symbols(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    struct json_value key, value;
    int               rc;

    (void)into;
    if (v->type != JSON_OBJECT)
        return wrong_type(v, "an object", e);
    while ((rc = json_member(&in->r, &key, e)) > 0) {
        size_t n = in->out->nsymbols;

        if (n == RSPAMD_SYMBOLS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d symbols", RSPAMD_SYMBOLS_MAX);
        if (json_value(&in->r, &value, e) < 0 ||
            make_room(in, (void **)&in->symbols, n, &in->symbols_cap, sizeof *in->symbols, e) < 0)
            return -1;
        in->symbols[n] = (struct rspamd_symbol){.name = key.text};
        if (read_object(in, &value, symbol_members, COUNT(symbol_members), &in->symbols[n], e) < 0)
            return -1;
        in->out->symbols = in->symbols;
        in->out->nsymbols = n + 1;
    }
    return rc;
}

/* ---- the milter's changes ---- */

static int read_added_order(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    double order = 0;

    if (read_number(in, v, &order, e) < 0)
        return -1;
    *(int *)into = (int)(order < -ORDER_MAX ? -ORDER_MAX : order > ORDER_MAX ? ORDER_MAX : order);
    return 0;
}

static const struct member added_members[] = {
    {{"value", 5}, read_text, AT(rspamd_add_header, value)},
    {{"order", 5}, read_added_order, AT(rspamd_add_header, order)},
    {{"index", 5}, read_added_order, AT(rspamd_add_header, order)},
};

/* "text", which is appended, or {"value": …, "order": …}, appended too when it names no order. */
static int read_added(struct reading *in, struct span name, const struct json_value *v, struct err *e)
{
    struct rspamd_add_header added = {.name = name, .order = -1, .plain = v->type == JSON_STRING};

    if (in->out->nadd_headers == RSPAMD_HEADERS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d header fields to add", RSPAMD_HEADERS_MAX);
    if (v->type == JSON_STRING)
        added.value = v->text;
    else if (read_object(in, v, added_members, COUNT(added_members), &added, e) < 0)
        return -1;
    if (added.value.p == NULL)
        return 0; /* as Rspamd's own proxy: a field without a text is none */
    if (make_room(in, (void **)&in->added, in->out->nadd_headers, &in->added_cap, sizeof *in->added, e) < 0)
        return -1;
    in->added[in->out->nadd_headers++] = added;
    in->out->add_headers = in->added;
    return 0;
}

/* One, or a list of objects: a text in a list is dropped by Rspamd's proxy, and so by us. */
static int read_added_all(struct reading *in, struct span name, const struct json_value *v, struct err *e)
{
    struct json_value item;
    int               rc;

    if (v->type == JSON_STRING || v->type == JSON_OBJECT)
        return read_added(in, name, v, e);
    if (v->type != JSON_ARRAY)
        return skip(in, v, e);
    while ((rc = json_item(&in->r, e)) > 0)
        if (json_value(&in->r, &item, e) < 0 ||
            (item.type == JSON_OBJECT ? read_added(in, name, &item, e) : skip(in, &item, e)) < 0)
            return -1;
    return rc;
}

static int read_add_headers(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    struct json_value key, value;
    int               rc;

    (void)into;
    if (v->type != JSON_OBJECT)
        return wrong_type(v, "an object", e);
    while ((rc = json_member(&in->r, &key, e)) > 0)
        if (json_value(&in->r, &value, e) < 0 || read_added_all(in, key.text, &value, e) < 0)
            return -1;
    return rc;
}

/* Which instance: a whole number, or the first of a list of them (3.14); anything else removes nothing. */
static int read_instance(struct reading *in, const struct json_value *v, bool *some_out, int *out, struct err *e)
{
    struct json_value item;
    int64_t           n;
    int               rc;

    *some_out = false;
    if (v->type == JSON_NUMBER && json_i64(v, &n) && n >= -ORDER_MAX && n <= ORDER_MAX) {
        *some_out = true;
        *out = (int)n;
    }
    if (v->type != JSON_ARRAY)
        return skip(in, v, e);
    while ((rc = json_item(&in->r, e)) > 0) {
        if (json_value(&in->r, &item, e) < 0 || skip(in, &item, e) < 0)
            return -1;
        if (!*some_out && json_i64(&item, &n) && n >= -ORDER_MAX && n <= ORDER_MAX) {
            *some_out = true;
            *out = (int)n;
        }
    }
    return rc;
}

static int read_remove_headers(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    struct json_value key, value;
    int               rc, at = 0;
    bool              some;

    (void)into;
    if (v->type != JSON_OBJECT)
        return wrong_type(v, "an object", e);
    if (in->removed_at == NULL && (in->removed_at = arena_array(in->arena, RSPAMD_HEADERS_MAX, sizeof(int))) == NULL)
        return no_memory(e);
    while ((rc = json_member(&in->r, &key, e)) > 0) {
        if (json_value(&in->r, &value, e) < 0 || read_instance(in, &value, &some, &at, e) < 0)
            return -1;
        if (!some)
            continue;
        if (in->removed.n == RSPAMD_HEADERS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d header fields to remove", RSPAMD_HEADERS_MAX);
        in->removed_at[in->removed.n] = at;
        if (!span_list_put(&in->removed, in->arena, key.text))
            return no_memory(e);
    }
    return rc;
}

static int read_add_rcpt(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    (void)into;
    /* Rspamd's proxy wants a list, and ignores a bare text. */
    return v->type == JSON_ARRAY ? read_texts(in, v, &in->add_rcpt, RSPAMD_HEADERS_MAX, e) : skip(in, v, e);
}

static const struct member milter_members[] = {
    {{"add_headers", 11}, read_add_headers, 0},
    {{"remove_headers", 14}, read_remove_headers, 0},
    {{"add_rcpt", 8}, read_add_rcpt, 0},
    {{"change_from", 11}, read_text, AT(rspamd_reply, change_from)},
};

static int read_milter(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    return read_object(in, v, milter_members, COUNT(milter_members), into, e);
}

/* ---- the whole ---- */

static int read_action(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    enum rspamd_action *out = into;
    struct span         word = SPAN_NONE;

    if (read_text(in, v, &word, e) < 0)
        return -1;
    in->has_action = true;
    *out = span_is(word, "discard") || span_is(word, "quarantine") ? RSPAMD_REJECT : RSPAMD_NO_ACTION;
    for (enum rspamd_action a = RSPAMD_NO_ACTION; a <= RSPAMD_REJECT; a++)
        if (span_is(word, rspamd_action_name(a)))
            *out = a;
    return 0;
}

static const struct member messages_members[] = {{{"smtp_message", 12}, read_text, AT(rspamd_reply, smtp_message)}};

static int read_messages(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    if (v->type != JSON_OBJECT) /* a list, in old versions */
        return skip(in, v, e);
    return read_object(in, v, messages_members, COUNT(messages_members), into, e);
}

static int read_dkim_signature(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    (void)into;
    return read_texts(in, v, &in->dkim, RSPAMD_HEADERS_MAX, e);
}

static int read_error(struct reading *in, const struct json_value *v, void *into, struct err *e)
{
    (void)into;
    if (v->type == JSON_STRING)
        in->error = v->text;
    return skip(in, v, e);
}

static const struct member members[] = {
    {{"is_skipped", 10}, read_bool, AT(rspamd_reply, is_skipped)},
    {{"score", 5}, read_number, AT(rspamd_reply, score)},
    {{"required_score", 14}, read_number, AT(rspamd_reply, required_score)},
    {{"action", 6}, read_action, AT(rspamd_reply, action)},
    {{"symbols", 7}, read_symbols, 0},
    {{"messages", 8}, read_messages, 0},
    {{"subject", 7}, read_text, AT(rspamd_reply, subject)},
    {{"message-id", 10}, read_text, AT(rspamd_reply, message_id)},
    {{"passthrough_module", 18}, read_text, AT(rspamd_reply, passthrough)},
    {{"milter", 6}, read_milter, 0},
    {{"dkim-signature", 14}, read_dkim_signature, 0},
    {{"time_real", 9}, read_number, AT(rspamd_reply, time_real)},
    {{"error", 5}, read_error, 0},
};

static int check(const struct reading *in, struct err *e)
{
    if (in->error.p != NULL && !in->has_action)
        return err_set(e, ERR_PROTOCOL, "it says: %.*s", (int)(in->error.n < 200 ? in->error.n : 200), in->error.p);
    if (!in->has_action)
        return err_set(e, ERR_PROTOCOL, "the answer has no action");
    if (isnan(in->out->score) || isnan(in->out->required_score))
        return err_set(e, ERR_PROTOCOL, "the answer has no %s", isnan(in->out->score) ? "score" : "required_score");
    return 0;
}

int rspamd_read_json(struct span json, struct arena *a, struct rspamd_reply *out, struct err *e)
{
    struct reading    in = {.arena = a, .out = out};
    struct json_value top;
    char             *copy = arena_str(a, json);

    *out = (struct rspamd_reply){
        .score = NAN, .required_score = NAN, .reject = INFINITY, .add_header = INFINITY, .greylist = INFINITY};
    if (copy == NULL)
        return no_memory(e);
    mend(copy, json.n);
    in.r = (struct json_read){.in = span_make(copy, json.n), .arena = a};
    if (json_value(&in.r, &top, e) < 0 || read_object(&in, &top, members, COUNT(members), out, e) < 0 ||
        json_end(&in.r, e) < 0 || check(&in, e) < 0)
        return -1;
    out->remove_headers = in.removed.items;
    out->remove_at = in.removed_at;
    out->nremove_headers = in.removed.n;
    out->add_rcpt = in.add_rcpt.items;
    out->nadd_rcpt = in.add_rcpt.n;
    out->dkim_signature = in.dkim.items;
    out->ndkim_signature = in.dkim.n;
    return 0;
}
