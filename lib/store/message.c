/* lib/store/message.c - writing what was judged. */
#include "store/message.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/utf8.h"
#include "store/custody.h"
#include "store/log_row.h"
#include "store/observe.h"
#include "store/row.h"
#include "store/words.h"

const char *const delivery_verdict_words[] = {"allowed",  "clean",    "tagged",    "quarantined", "blocked",
                                              "rejected", "deferred", "discarded", "removed",     NULL};
const char *const delivery_state_words[] = {"unknown",   "received", "queued",   "deferred",
                                            "delivered", "bounced",  "released", NULL};
const char *const delivery_status_words[] = {"received",    "queued",  "delivered", "spam",
                                             "quarantined", "blocked", "rejected",  NULL};
const char *const direction_words[] = {"inbound", "outbound", "local", NULL};

/* ---- Status ------------------------------------------------------------------------------------------------------- */

static enum delivery_status passed_status(enum delivery_state state)
{
    switch (state) {
    case STATE_UNKNOWN:
    case STATE_RECEIVED:
    case STATE_RELEASED: return STATUS_RECEIVED;
    case STATE_QUEUED:
    case STATE_DEFERRED: return STATUS_QUEUED;
    case STATE_DELIVERED: return STATUS_DELIVERED;
    case STATE_BOUNCED: return STATUS_REJECTED;
    }
    return STATUS_RECEIVED;
}

bool delivery_is_held(enum delivery_verdict verdict, enum delivery_state state)
{
    switch (verdict) {
    case DELIVERY_ALLOWED:
    case DELIVERY_CLEAN:
    case DELIVERY_TAGGED: return false;
    default: return state == STATE_UNKNOWN || state == STATE_RECEIVED;
    }
}

bool delivery_was_released(enum delivery_verdict verdict, enum delivery_state state)
{
    return delivery_is_held(verdict, STATE_UNKNOWN) && !delivery_is_held(verdict, state);
}

enum delivery_status delivery_status(enum delivery_verdict verdict, enum delivery_state state, bool by_rule)
{
    if (verdict == DELIVERY_TAGGED)
        return state == STATE_BOUNCED ? STATUS_REJECTED : STATUS_SPAM;
    if (!delivery_is_held(verdict, state))
        return passed_status(state);
    switch (verdict) {
    case DELIVERY_QUARANTINED: return STATUS_QUARANTINED;
    case DELIVERY_BLOCKED:
    case DELIVERY_REMOVED: return STATUS_BLOCKED;
    case DELIVERY_DISCARDED: return by_rule ? STATUS_BLOCKED : STATUS_SPAM;
    case DELIVERY_REJECTED: return STATUS_REJECTED;
    default: return STATUS_QUEUED; /* deferred: the sender was asked to try again */
    }
}

/* ---- Writing ------------------------------------------------------------------------------------------------------ */

#define PUT_ARENA_MAX ((size_t)256 << 20)
#define KNOWN_CHUNK 1000

static const char known_sql[] = "SELECT CAST(1 AS BIGINT) FROM message WHERE uid = $1";
static const char known_many_sql[] = "SELECT uid FROM message WHERE uid = ANY(string_to_array($1, ','))"
                                     " AND uid >= $2 AND uid <= $3";
static const char message_sql[] =
    "INSERT INTO message (uid, node_id, at_us, direction, listener, queue_id, ip, helo, host, tls, auth_user, sender,"
    " from_address, from_name, subject, message_id, size, score, symbols, attachments, inbound)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
#define DELIVERY_COLUMNS                                                                                               \
    "uid, n, recipient, domain_id, verdict, state, status, score, rule_id, layer, trace, updated_us, direction"
static const char delivery_pg_sql[] = "INSERT INTO delivery (" DELIVERY_COLUMNS ")"
                                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
static const char delivery_lite_sql[] = "INSERT INTO delivery (" DELIVERY_COLUMNS ", id)"
                                        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
static const char mailbox_pg_sql[] =
    "INSERT INTO delivery_mailbox (mailbox_id, status, rule_id, direction, uid, n) VALUES ($1, $2, $3, $4, $5, $6)";
static const char mailbox_lite_sql[] =
    "INSERT INTO delivery_mailbox (mailbox_id, status, rule_id, direction, id) VALUES ($1, $2, $3, $4, $5)";
static const char custody_sql[] =
    "INSERT INTO custody (uid, node_id, place, object, bytes, sha256, key_id, at_us, keep_us, copy)"
    " VALUES ($1, $2, 'spool', $1, $3, $4, $5, $6, $7, $8) ON CONFLICT (uid) DO UPDATE SET place = excluded.place,"
    " object = excluded.object, node_id = excluded.node_id WHERE " CUSTODY_IS_LOST;
static const char held_sql[] =
    "INSERT INTO held (owner_id, uid, n, bytes) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
static const char in_the_way_sql[] = "SELECT MAX(id) FROM delivery WHERE id >= $1 AND id < $2";

/* One record that is new. */
struct fresh {
    const struct store_message *m;
    struct day_uid              uid;
    int64_t                     id; /* of its first delivery, on SQLite */
};
/* Lives for one call; owns its arena and with it everything else. */
struct put {
    struct store *s;
    bool          lite;
    struct uuid   node;
    struct arena  arena;
    struct fresh *fresh;
    size_t        n;

    const struct store_message *const *records; /* all that were given */
    size_t                             nrecords;
};

/* What a stranger's text may have slipped through: neither database takes what is no UTF-8, and one of them no NUL. */
static struct db_val text(struct put *p, struct span s)
{
    char  *out;
    size_t n = 0;

    if (is_storable(s))
        return dbv_text(s);
    if ((out = arena_alloc(&p->arena, 3 * s.n)) == NULL)
        return dbv_text(SPAN_NONE);
    for (size_t at = 0; at < s.n;) {
        uint32_t c = utf8_next(s, &at, NULL);

        n += utf8_put(c == 0 ? UTF8_BAD : c, out + n);
    }
    return dbv_text(span_make(out, n));
}
static struct span clean(struct put *p, struct span s) { return text(p, s).s; }

static struct db_val score(bool has, double value) { return has ? dbv_f64(value) : DBV_NULL; }

static int known_one(struct put *p, const struct fresh *f, struct map *known, struct err *e)
{
    int64_t one;
    int     rc = row_i64(p->s->log, known_sql, (struct db_val[]){dbv_str(f->uid.text)}, 1, &one, e);

    if (rc > 0)
        map_put(known, span_make(f->uid.text, UUID_TEXT), p);
    return rc < 0 ? -1 : 0;
}

/* Asked in one go, with the bounds that tell PostgreSQL which partitions to look at. */
static int known_many(struct put *p, const struct fresh *f, size_t n, struct map *known, struct err *e)
{
    struct buf      list;
    const char     *least = f->uid.text, *most = f->uid.text;
    struct db_rows *r = NULL;
    int             rc;

    buf_init(&list, n * (UUID_TEXT + 1));
    for (size_t i = 0; i < n; i++) {
        buf_printf(&list, "%s%s", i ? "," : "", f[i].uid.text);
        least = strcmp(f[i].uid.text, least) < 0 ? f[i].uid.text : least;
        most = strcmp(f[i].uid.text, most) > 0 ? f[i].uid.text : most;
    }
    rc = db_query(p->s->log, known_many_sql,
                  (struct db_val[]){dbv_text(buf_span(&list)), dbv_str(least), dbv_str(most)}, 3, &r, e);
    while (rc >= 0 && (rc = db_next(r, e)) > 0) {
        struct span uid = arena_dup(&p->arena, db_text(r, 0));

        if (uid.p != NULL)
            map_put(known, uid, p);
    }
    db_rows_free(&r);
    buf_fini(&list);
    return rc;
}

static int find_known(struct put *p, struct map *known, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < p->n && rc == 0; i += p->lite ? 1 : KNOWN_CHUNK) {
        size_t n = p->n - i < KNOWN_CHUNK ? p->n - i : KNOWN_CHUNK;

        rc = p->lite ? known_one(p, &p->fresh[i], known, e) : known_many(p, &p->fresh[i], n, known, e);
    }
    return rc;
}

static int by_uid(const void *a, const void *b)
{
    return strcmp(((const struct fresh *)a)->uid.text, ((const struct fresh *)b)->uid.text);
}

/* Leaves out what is there already, in the tables or twice in the call; the rest in order of UID. */
static int keep_fresh(struct put *p, struct err *e)
{
    struct map known;
    size_t     n = 0;
    int        rc;

    qsort(p->fresh, p->n, sizeof *p->fresh, by_uid);
    map_init(&known);
    rc = find_known(p, &known, e);
    for (size_t i = 0; i < p->n && rc == 0; i++) {
        if (map_get(&known, span_make(p->fresh[i].uid.text, UUID_TEXT)) != NULL)
            continue;
        if (n > 0 && strcmp(p->fresh[n - 1].uid.text, p->fresh[i].uid.text) == 0)
            continue;
        p->fresh[n++] = p->fresh[i];
    }
    map_fini(&known);
    p->n = n;
    return rc;
}

static int put_messages(struct put *p, struct err *e)
{
    if (db_batch_begin(p->s->log, message_sql, e) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        const struct store_message *m = p->fresh[i].m;
        struct db_val               vals[] = {
                          dbv_str(p->fresh[i].uid.text),
                          dbv_uuid(&p->node),
                          dbv_i64(m->at_us),
                          dbv_word(direction_words, (int)m->direction),
                          text(p, m->listener),
                          text(p, m->queue_id),
                          text(p, m->ip),
                          text(p, m->helo),
                          text(p, m->host),
                          text(p, m->tls),
                          text(p, m->auth_user),
                          text(p, m->sender),
                          text(p, m->from_address),
                          text(p, m->from_name),
                          text(p, m->subject),
                          text(p, m->message_id),
                          dbv_i64(m->size),
                          score(m->has_score, m->score),
            m->symbols.n > 0 ? text(p, m->symbols) : dbv_str("[]"),
            m->attachments.n > 0 ? text(p, m->attachments) : dbv_str("[]"),
            text(p, m->inbound),
        };

        if (db_batch_add(p->s->log, vals, COUNT(vals), e) < 0)
            return -1;
    }
    return db_batch_end(p->s->log, e);
}

static enum delivery_status status_of(const struct store_delivery *d)
{
    return delivery_status(d->verdict, d->state, d->has_rule);
}

static int add_delivery(struct put *p, const struct fresh *f, size_t i, struct err *e)
{
    const struct store_delivery *d = &f->m->deliveries[i];
    struct db_val                vals[] = {
                       dbv_str(f->uid.text),
                       dbv_i64((int64_t)i + 1),
                       text(p, d->recipient),
                       dbv_uuid_or_null(d->has_domain ? &d->domain : NULL),
                       dbv_word(delivery_verdict_words, (int)d->verdict),
                       dbv_word(delivery_state_words, (int)d->state),
                       dbv_word(delivery_status_words, (int)status_of(d)),
                       score(d->has_score, d->score),
                       dbv_uuid_or_null(d->has_rule ? &d->rule : NULL),
                       text(p, d->layer),
        d->trace.n > 0 ? text(p, d->trace) : dbv_str("[]"),
                       dbv_i64(f->m->at_us),
                       dbv_i64((int64_t)f->m->direction),
                       dbv_i64(f->id + (int64_t)i),
    };

    return db_batch_add(p->s->log, vals, COUNT(vals) - (p->lite ? 0 : 1), e);
}

static int put_deliveries(struct put *p, struct err *e)
{
    if (db_batch_begin(p->s->log, p->lite ? delivery_lite_sql : delivery_pg_sql, e) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < p->fresh[i].m->ndeliveries; k++)
            if (add_delivery(p, &p->fresh[i], k, e) < 0)
                return -1;
    }
    return db_batch_end(p->s->log, e);
}

static int add_mailbox(struct put *p, const struct fresh *f, size_t i, struct err *e)
{
    const struct store_delivery *d = &f->m->deliveries[i];
    struct db_val                vals[6] = {dbv_uuid(&d->mailbox), dbv_word(delivery_status_words, (int)status_of(d)),
                                            dbv_uuid_or_null(d->has_rule ? &d->rule : NULL), dbv_i64((int64_t)f->m->direction)};

    if (!d->has_mailbox)
        return 0;
    vals[4] = p->lite ? dbv_i64(f->id + (int64_t)i) : dbv_str(f->uid.text);
    vals[5] = dbv_i64((int64_t)i + 1);
    return db_batch_add(p->s->log, vals, p->lite ? 5 : 6, e);
}

static int put_mailboxes(struct put *p, struct err *e)
{
    if (db_batch_begin(p->s->log, p->lite ? mailbox_lite_sql : mailbox_pg_sql, e) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < p->fresh[i].m->ndeliveries; k++)
            if (add_mailbox(p, &p->fresh[i], k, e) < 0)
                return -1;
    }
    return db_batch_end(p->s->log, e);
}

static struct words_message words_of(struct put *p, const struct fresh *f, size_t i)
{
    const struct store_delivery *d = &f->m->deliveries[i];
    const struct store_message  *m = f->m;

    return (struct words_message){
        .of = {.id = f->id + (int64_t)i,
               .uid = m->uid,
               .n = (int64_t)i + 1,
               .domain = d->has_domain ? &d->domain : NULL,
               .mailbox = d->has_mailbox ? &d->mailbox : NULL},
        .subject = clean(p, m->subject),
        .from_address = clean(p, m->from_address),
        .from_name = clean(p, m->from_name),
        .sender = clean(p, m->sender),
        .recipient = clean(p, d->recipient),
        .message_id = clean(p, m->message_id),
        .inbound = clean(p, m->inbound),
    };
}

static int put_words(struct put *p, struct err *e)
{
    struct words_message *rows;
    size_t                n = 0;

    for (size_t i = 0; i < p->n; i++)
        n += p->fresh[i].m->ndeliveries;
    if (n == 0)
        return 0;
    if ((rows = arena_array(&p->arena, n, sizeof *rows)) == NULL)
        return err_set(e, ERR_LIMIT, "too many deliveries at once: %zu", n);
    n = 0;
    for (size_t i = 0; i < p->n; i++) {
        for (size_t k = 0; k < p->fresh[i].m->ndeliveries; k++)
            rows[n++] = words_of(p, &p->fresh[i], k);
    }
    return words_put_messages(p->s, rows, n, e);
}

static int put_owner(struct put *p, const struct store_message *m, size_t i, const struct uuid *owner, struct err *e)
{
    struct day_uid uid = day_uid_text(&m->uid);

    return db_run(
        p->s->log, held_sql,
        (struct db_val[]){dbv_uuid(owner), dbv_str(uid.text), dbv_i64((int64_t)i + 1), dbv_i64((int64_t)m->kept_bytes)},
        4, NULL, e);
}

static int put_held(struct put *p, const struct store_message *m, struct err *e)
{
    for (size_t i = 0; i < m->ndeliveries; i++) {
        const struct store_delivery *d = &m->deliveries[i];

        if (!delivery_is_held(d->verdict, STATE_UNKNOWN) || d->verdict == DELIVERY_DEFERRED)
            continue;
        if (d->has_mailbox && put_owner(p, m, i, &d->mailbox, e) < 0)
            return -1;
        if (d->has_domain && put_owner(p, m, i, &d->domain, e) < 0)
            return -1;
        if (!d->has_mailbox && !d->has_domain && put_owner(p, m, i, &uuid_zero, e) < 0)
            return -1;
    }
    return 0;
}

/* With its row a message is in the lists of what is held; a replay of one that had it, and may be gone, is not again, unless it was taken
 * for lost. */
static int keep_one(struct put *p, const struct store_message *m, struct err *e)
{
    struct day_uid uid = day_uid_text(&m->uid);
    struct db_val  vals[] = {dbv_str(uid.text),   dbv_uuid(&p->node), dbv_i64((int64_t)m->kept_bytes),
                             dbv_blob(m->sha256), text(p, m->key_id), dbv_i64(m->at_us),
                             dbv_i64(m->keep_us), dbv_i64(m->copy)};
    int64_t        added = 0;

    if (db_run(p->s->log, custody_sql, vals, COUNT(vals), &added, e) < 0)
        return -1;
    return added == 1 ? put_held(p, m, e) : 0;
}

/* Of all that were given: what is in the log already may have been kept since. */
static int put_custody(struct put *p, struct err *e)
{
    for (size_t i = 0; i < p->nrecords; i++)
        if (p->records[i]->kept && keep_one(p, p->records[i], e) < 0)
            return -1;
    return 0;
}

/* Ids behind each other, from where their UID says on; where others are in the way, behind those. In order of UID. */
static int find_ids(struct put *p, struct err *e)
{
    int64_t last = -1; /* of this call */

    for (size_t i = 0; p->lite && i < p->n; i++) {
        struct fresh *f = &p->fresh[i];
        int64_t       n = (int64_t)f->m->ndeliveries, there = 0;
        int           rc;

        f->id = day_id(&f->m->uid);
        f->id = f->id > last ? f->id : last + 1;
        while ((rc = row_i64(p->s->log, in_the_way_sql, (struct db_val[]){dbv_i64(f->id), dbv_i64(f->id + n)}, 2,
                             &there, e)) > 0 &&
               there >= f->id)
            f->id = there + 1;
        if (rc < 0)
            return -1;
        last = f->id + n - 1;
    }
    return 0;
}

static int make_days(struct put *p, struct err *e)
{
    int64_t made = -1;

    for (size_t i = 0; i < p->n; i++) {
        int64_t day = day_of_uid(&p->fresh[i].m->uid);

        if (day != made && day_make(p->s, day, e) < 0)
            return -1;
        made = day;
    }
    return 0;
}

static int put_observed(struct put *p, struct err *e)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->fresh[i].m->observed && store_observed_put(p->s, p->fresh[i].m, e) < 0)
            return -1;
    return 0;
}

static int put_all(struct put *p, struct err *e)
{
    if (keep_fresh(p, e) < 0 || (p->lite && make_days(p, e) < 0) || find_ids(p, e) < 0)
        return -1;
    if (p->n > 0 && (put_messages(p, e) < 0 || put_deliveries(p, e) < 0 || put_mailboxes(p, e) < 0 ||
                     put_words(p, e) < 0 || put_observed(p, e) < 0))
        return -1;
    return put_custody(p, e);
}

static int start(struct put *p, const struct store_message *const *records, size_t n, struct err *e)
{
    if ((p->fresh = arena_array(&p->arena, n, sizeof *p->fresh)) == NULL)
        return err_set(e, ERR_LIMIT, "too many messages at once: %zu", n);
    for (size_t i = 0; i < n; i++) {
        if (records[i]->ndeliveries > STORE_DELIVERIES_MAX)
            return err_set(e, ERR_LIMIT, "a message with %zu recipients, at most %d", records[i]->ndeliveries,
                           STORE_DELIVERIES_MAX);
        p->fresh[i] = (struct fresh){.m = records[i], .uid = day_uid_text(&records[i]->uid)};
    }
    p->n = n;
    if (store_node(p->s, &p->node, e) < 0)
        return -1;
    /* PostgreSQL would hold the locks of new partitions until all is written. */
    return p->lite ? 0 : make_days(p, e);
}

int store_message_put(struct store *s, const struct store_message *const *records, size_t n, struct err *e)
{
    struct put p = {.s = s, .lite = db_kind(s->log) == DB_SQLITE, .records = records, .nrecords = n};
    int        rc;

    if (n == 0)
        return 0;
    arena_init(&p.arena, PUT_ARENA_MAX);
    rc = start(&p, records, n, e);
    if (rc == 0 && (rc = db_begin(s->log, e)) == 0) {
        if ((rc = put_all(&p, e)) == 0 && p.arena.full)
            rc = err_set(e, ERR_LIMIT, "%zu messages at once need too much memory", n);
        if (rc == 0)
            rc = db_commit(s->log, e);
        if (rc < 0)
            db_rollback(s->log);
    }
    arena_fini(&p.arena);
    return rc;
}
