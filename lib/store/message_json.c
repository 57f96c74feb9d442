/* lib/store/message_json.c - a record of the message log as JSON, and back.
 *
 * One table a struct says what its members are called and what they are; both directions read it. What is itself JSON (symbols,
 * attachments, trace) goes as a string, so that nothing of it has to be understood to be kept. */
#include <math.h>
#include <stdlib.h>

#include "base/json_read.h"
#include "base/utf8.h"
#include "mail/text.h"
#include "store/log_row.h"
#include "store/message.h"
#include "store/row.h"

#define SHA256_BYTES 32

enum kind { TEXT, I64, U64, F64, BOOL, UUID, HASH, WORD };
struct member {
    const char        *key;
    enum kind          kind;
    size_t             offset, has; /* has: of the bool that says whether it is there; NO_HAS: always */
    const char *const *words;
};
#define NO_HAS ((size_t)-1)
#define M(field) offsetof(struct store_message, field)
#define D(field) offsetof(struct store_delivery, field)

static const struct member of_message[] = {
    {"uid", UUID, M(uid), NO_HAS, NULL},
    {"at_us", I64, M(at_us), NO_HAS, NULL},
    {"direction", WORD, M(direction), NO_HAS, direction_words},
    {"listener", TEXT, M(listener), NO_HAS, NULL},
    {"queue_id", TEXT, M(queue_id), NO_HAS, NULL},
    {"ip", TEXT, M(ip), NO_HAS, NULL},
    {"helo", TEXT, M(helo), NO_HAS, NULL},
    {"host", TEXT, M(host), NO_HAS, NULL},
    {"tls", TEXT, M(tls), NO_HAS, NULL},
    {"auth_user", TEXT, M(auth_user), NO_HAS, NULL},
    {"sender", TEXT, M(sender), NO_HAS, NULL},
    {"from_address", TEXT, M(from_address), NO_HAS, NULL},
    {"from_name", TEXT, M(from_name), NO_HAS, NULL},
    {"subject", TEXT, M(subject), NO_HAS, NULL},
    {"message_id", TEXT, M(message_id), NO_HAS, NULL},
    {"size", I64, M(size), NO_HAS, NULL},
    {"score", F64, M(score), M(has_score), NULL},
    {"symbols", TEXT, M(symbols), NO_HAS, NULL},
    {"attachments", TEXT, M(attachments), NO_HAS, NULL},
    {"inbound", TEXT, M(inbound), NO_HAS, NULL},
    {"kept", BOOL, M(kept), NO_HAS, NULL},
    {"copy", BOOL, M(copy), NO_HAS, NULL},
    {"keep_us", I64, M(keep_us), NO_HAS, NULL},
    {"kept_bytes", U64, M(kept_bytes), NO_HAS, NULL},
    {"sha256", HASH, M(sha256), NO_HAS, NULL},
    {"key_id", TEXT, M(key_id), NO_HAS, NULL},
};
static const struct member of_delivery[] = {
    {"recipient", TEXT, D(recipient), NO_HAS, NULL},
    {"domain", UUID, D(domain), D(has_domain), NULL},
    {"mailbox", UUID, D(mailbox), D(has_mailbox), NULL},
    {"rule", UUID, D(rule), D(has_rule), NULL},
    {"verdict", WORD, D(verdict), NO_HAS, delivery_verdict_words},
    {"state", WORD, D(state), NO_HAS, delivery_state_words},
    {"score", F64, D(score), D(has_score), NULL},
    {"layer", TEXT, D(layer), NO_HAS, NULL},
    {"trace", TEXT, D(trace), NO_HAS, NULL},
};

/* ---- Writing ------------------------------------------------------------------------------------------------------ */

static void put_hash(struct buf *b, struct span bytes)
{
    buf_putc(b, '"');
    for (size_t i = 0; i < bytes.n; i++)
        buf_printf(b, "%02x", (unsigned char)bytes.p[i]);
    buf_putc(b, '"');
}

/* NUL is the one character that no reader of ours takes. */
static void put_text(struct buf *b, struct span s)
{
    buf_putc(b, '"');
    for (;;) {
        size_t n = span_chr(s, '\0');

        json_put_chars(b, span_head(s, n));
        if (n == s.n)
            break;
        buf_puts(b, "\xEF\xBF\xBD");
        s = span_skip(s, n + 1);
    }
    buf_putc(b, '"');
}

static void put_value(struct buf *b, const struct member *m, const void *at)
{
    char uuid[UUID_TEXT + 1];

    switch (m->kind) {
    case TEXT: put_text(b, *(const struct span *)at); break;
    case I64: buf_printf(b, "%lld", (long long)*(const int64_t *)at); break;
    case U64: buf_put_u64(b, *(const uint64_t *)at); break;
    case F64: buf_printf(b, "%.17g", *(const double *)at); break;
    case BOOL: buf_puts(b, *(const bool *)at ? "true" : "false"); break;
    case HASH: put_hash(b, *(const struct span *)at); break;
    case WORD: json_put_string(b, span_of(m->words[*(const int *)at])); break;
    case UUID:
        uuid_format(at, uuid);
        json_put_string(b, span_of(uuid));
        break;
    }
}

static bool has(const struct member *m, const char *base)
{
    const void *at = base + m->offset;

    if (m->has != NO_HAS && !*(const bool *)(base + m->has))
        return false;
    return m->kind != F64 || isfinite(*(const double *)at);
}

static void put_members(struct buf *b, const struct member *members, size_t n, const void *base)
{
    for (size_t i = 0; i < n; i++) {
        if (!has(&members[i], base))
            continue;
        json_key(b, members[i].key);
        put_value(b, &members[i], (const char *)base + members[i].offset);
    }
}

void store_message_put_json(struct buf *out, const struct store_message *m)
{
    buf_putc(out, '{');
    put_members(out, of_message, COUNT(of_message), m);
    buf_puts(out, ",\"deliveries\":[");
    for (size_t i = 0; i < m->ndeliveries; i++) {
        buf_puts(out, i ? ",{" : "{");
        put_members(out, of_delivery, COUNT(of_delivery), &m->deliveries[i]);
        buf_putc(out, '}');
    }
    buf_puts(out, "]}");
}

/* ---- Reading ------------------------------------------------------------------------------------------------------ */

/* Grows by doubling, in the arena. */
struct list {
    struct store_delivery *items;
    size_t                 n, cap;
    bool                   there;
};

static int wrong(const struct member *m, const struct json_value *v, const char *wanted, struct err *e)
{
    return err_at(e, v->at, "%s is %s, %s is expected", m->key, json_type_word(v->type), wanted);
}

static int read_hash(const struct member *m, const struct json_value *v, struct arena *a, struct span *out,
                     struct err *e)
{
    char *bytes;

    if (v->type != JSON_STRING || (v->text.n != 0 && v->text.n != (size_t)2 * SHA256_BYTES))
        return wrong(m, v, "a hash in hexadecimal digits", e);
    if ((bytes = arena_alloc(a, SHA256_BYTES)) == NULL)
        return err_set(e, ERR_LIMIT, "the record needs too much memory");
    for (size_t i = 0; i < v->text.n / 2; i++) {
        int high = text_hex_value(v->text.p[2 * i]), low = text_hex_value(v->text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return wrong(m, v, "a hash in hexadecimal digits", e);
        bytes[i] = (char)(high << 4 | low);
    }
    *out = span_make(bytes, v->text.n / 2);
    return 0;
}

static int read_number(const struct member *m, const struct json_value *v, double *out, struct err *e)
{
    char text[64];

    if (v->type != JSON_NUMBER || v->text.n >= sizeof text)
        return wrong(m, v, "a number", e);
    memcpy(text, v->text.p, v->text.n);
    text[v->text.n] = '\0';
    *out = strtod(text, NULL);
    return isfinite(*out) ? 0 : wrong(m, v, "a number of this world", e);
}

static int read_value(const struct member *m, const struct json_value *v, struct arena *a, void *at, struct err *e)
{
    int64_t i;
    int     word;

    switch (m->kind) {
    case TEXT:
        if (v->type != JSON_STRING)
            return wrong(m, v, "a string", e);
        *(struct span *)at = v->text;
        return 0;
    case I64: return json_i64(v, at) ? 0 : wrong(m, v, "a whole number", e);
    case U64:
        if (!json_i64(v, &i) || i < 0)
            return wrong(m, v, "a whole number from 0 on", e);
        *(uint64_t *)at = (uint64_t)i;
        return 0;
    case F64: return read_number(m, v, at, e);
    case BOOL: *(bool *)at = v->yes; return v->type == JSON_BOOL ? 0 : wrong(m, v, "true or false", e);
    case UUID: return v->type == JSON_STRING && uuid_parse(v->text, at) ? 0 : wrong(m, v, "a UUID", e);
    case HASH: return read_hash(m, v, a, at, e);
    case WORD:
        if (v->type != JSON_STRING || (word = word_index(m->words, v->text)) < 0)
            return wrong(m, v, "one of its words", e);
        *(int *)at = word;
        return 0;
    }
    return -1;
}

/* What a later release has added, and what is null, is passed over, unless it is more than one value. */
static int read_member(const struct member *members, size_t n, const struct json_value *key, const struct json_value *v,
                       struct arena *a, void *base, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        const struct member *m = &members[i];

        if (!span_is(key->text, m->key))
            continue;
        if (v->type == JSON_NULL && m->has != NO_HAS)
            return 0;
        if (m->has != NO_HAS)
            *(bool *)((char *)base + m->has) = true;
        return read_value(m, v, a, (char *)base + m->offset, e);
    }
    if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
        return err_at(e, v->at, "unknown member with %s", json_type_word(v->type));
    return 0;
}

static int read_delivery(struct json_read *r, struct store_delivery *d, struct err *e)
{
    struct json_value key, v;
    int               rc;

    *d = (struct store_delivery){.trace = SPAN("[]")};
    if (json_value(r, &v, e) < 0)
        return -1;
    if (v.type != JSON_OBJECT)
        return err_at(e, v.at, "a delivery is %s, not an object", json_type_word(v.type));
    while ((rc = json_member(r, &key, e)) > 0) {
        if (json_value(r, &v, e) < 0 || read_member(of_delivery, COUNT(of_delivery), &key, &v, r->arena, d, e) < 0)
            return -1;
    }
    return rc;
}

static struct store_delivery *one_more(struct list *l, struct arena *a, struct err *e)
{
    if (l->n == STORE_DELIVERIES_MAX) {
        err_set(e, ERR_LIMIT, "more than %d deliveries", STORE_DELIVERIES_MAX);
        return NULL;
    }
    if (l->n == l->cap) {
        size_t                 cap = l->cap ? 2 * l->cap : 4;
        struct store_delivery *items = arena_array(a, cap, sizeof *items);

        if (items == NULL) {
            err_set(e, ERR_LIMIT, "the record needs too much memory");
            return NULL;
        }
        if (l->n > 0)
            memcpy(items, l->items, l->n * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    return &l->items[l->n++];
}

static int read_deliveries(struct json_read *r, const struct json_value *v, struct list *l, struct err *e)
{
    struct store_delivery *d;
    int                    rc;

    if (v->type != JSON_ARRAY || l->there)
        return err_at(e, v->at, "deliveries is one array");
    l->there = true;
    while ((rc = json_item(r, e)) > 0) {
        if ((d = one_more(l, r->arena, e)) == NULL || read_delivery(r, d, e) < 0)
            return -1;
    }
    return rc;
}

static int read_message(struct json_read *r, struct store_message *m, struct err *e)
{
    struct json_value key, v;
    struct list       list = {0};
    bool              uid = false;
    int               rc;

    if (json_value(r, &v, e) < 0)
        return -1;
    if (v.type != JSON_OBJECT)
        return err_at(e, v.at, "the record is %s, not an object", json_type_word(v.type));
    while ((rc = json_member(r, &key, e)) > 0) {
        bool deliveries = span_is(key.text, "deliveries");

        uid = uid || span_is(key.text, "uid");
        if (json_value(r, &v, e) < 0 || (deliveries && read_deliveries(r, &v, &list, e) < 0) ||
            (!deliveries && read_member(of_message, COUNT(of_message), &key, &v, r->arena, m, e) < 0))
            return -1;
    }
    if (rc < 0 || json_end(r, e) < 0)
        return -1;
    m->deliveries = list.items;
    m->ndeliveries = list.n;
    return uid ? 0 : err_set(e, ERR_INVALID, "the record has no uid");
}

int store_message_read_json(struct span json, struct arena *a, struct store_message *out, struct err *e)
{
    struct json_read r = {.in = arena_dup(a, json), .arena = a};

    *out = (struct store_message){.symbols = SPAN("[]"), .attachments = SPAN("[]")};
    if (r.in.p == NULL)
        return err_set(e, json.n > 0 ? ERR_LIMIT : ERR_INVALID,
                       json.n > 0 ? "the record needs too much memory" : "the record is empty");
    if (read_message(&r, out, e) < 0)
        return err_wrap(e, "read a record of the message log");
    return 0;
}
