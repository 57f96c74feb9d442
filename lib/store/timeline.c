/* lib/store/timeline.c - everything about one message, and messages by what an administrator has in hand. */
#include <stdlib.h>

#include "store/day.h"
#include "store/log_row.h"
#include "store/search.h"

static const char message_sql[] =
    "SELECT node_id, at_us, direction, listener, queue_id, ip, helo, host, tls, auth_user, sender, from_address, "
    "from_name,"
    " subject, message_id, size, score, symbols, attachments, inbound FROM message WHERE uid = $1";
#define DELIVERIES(mailbox, scope)                                                                                     \
    "SELECT d.n, d.recipient, d.domain_id, d.verdict, d.state, d.status, d.score, d.rule_id, d.layer, d.trace, "       \
    "d.answer,"                                                                                                        \
    " d.updated_us, " mailbox " FROM delivery d WHERE d.uid = $1" scope " ORDER BY d.n"
#define BOX_LITE "(SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.id = d.id LIMIT 1)"
#define BOX_PG "(SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.uid = $1 AND b.n = d.n LIMIT 1)"
#define IN_BOX_LITE " AND EXISTS (SELECT 1 FROM delivery_mailbox b WHERE b.mailbox_id = $2 AND b.id = d.id)"
#define IN_BOX_PG " AND EXISTS (SELECT 1 FROM delivery_mailbox b WHERE b.mailbox_id = $2 AND b.uid = $1 AND b.n = d.n)"
#define IN_DOMAIN " AND d.domain_id = $2"
/* By database, then by scope. */
static const char all_lite[] = DELIVERIES(BOX_LITE, ""), domain_lite[] = DELIVERIES(BOX_LITE, IN_DOMAIN),
                  mailbox_lite[] = DELIVERIES(BOX_LITE, IN_BOX_LITE);
static const char all_pg[] = DELIVERIES(BOX_PG, ""), domain_pg[] = DELIVERIES(BOX_PG, IN_DOMAIN),
                  mailbox_pg[] = DELIVERIES(BOX_PG, IN_BOX_PG);
static const char *const deliveries_sql[2][3] = {
    {[SCOPE_GLOBAL] = all_lite, [SCOPE_DOMAIN] = domain_lite, [SCOPE_MAILBOX] = mailbox_lite},
    {[SCOPE_GLOBAL] = all_pg, [SCOPE_DOMAIN] = domain_pg, [SCOPE_MAILBOX] = mailbox_pg},
};
static const char attempts_sql[] =
    "SELECT n, seq, at_us, queue_id, final_recipient, host, ip, port, tls, dsn, code, response FROM attempt"
    " WHERE uid = $1 ORDER BY n, seq";
static const char links_sql[] = "SELECT queue_id, n, at_us FROM queue_link WHERE uid = $1 ORDER BY at_us, queue_id, n";

/* A growing array in the arena. */
struct list {
    char  *items;
    size_t n, cap, size;
};

static void *one_more(struct list *l, struct arena *a)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 4;
        char  *items = arena_array(a, cap, l->size);

        if (items == NULL)
            return NULL;
        if (l->n > 0)
            memcpy(items, l->items, l->n * l->size);
        l->items = items;
        l->cap = cap;
    }
    return l->items + l->size * l->n++;
}

struct reading {
    struct arena          *arena;
    struct store_timeline *out;
    struct list            deliveries, attempts, links;
};

static struct span dup(struct reading *x, struct db_rows *r, int column)
{
    return arena_dup(x->arena, db_text(r, column));
}

static int read_message(struct reading *x, struct db_rows *r)
{
    struct store_message *m = &x->out->message;
    int                   direction = col_word(r, 2, direction_words);
    struct span          *texts[] = {&m->listener,  &m->queue_id, &m->ip,           &m->helo,      &m->host,    &m->tls,
                                     &m->auth_user, &m->sender,   &m->from_address, &m->from_name, &m->subject, &m->message_id};

    x->out->node = col_uuid(r, 0);
    m->at_us = db_i64(r, 1);
    m->direction = (enum direction)direction;
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = dup(x, r, 3 + (int)i);
    m->size = db_i64(r, 15);
    m->has_score = !db_is_null(r, 16);
    m->score = db_f64(r, 16);
    m->symbols = dup(x, r, 17);
    m->attachments = dup(x, r, 18);
    m->inbound = dup(x, r, 19);
    return direction < 0 ? -1 : 0;
}

static int each_delivery(void *ctx, struct db_rows *r)
{
    struct reading                 *x = ctx;
    struct store_timeline_delivery *t = one_more(&x->deliveries, x->arena);
    int verdict = col_word(r, 3, delivery_verdict_words), state = col_word(r, 4, delivery_state_words);
    int status = col_word(r, 5, delivery_status_words);

    if (t == NULL || verdict < 0 || state < 0 || status < 0)
        return -1;
    *t = (struct store_timeline_delivery){
        .n = db_i64(r, 0),
        .status = (enum delivery_status)status,
        .answer = dup(x, r, 10),
        .updated_us = db_i64(r, 11),
        .delivery = {.recipient = dup(x, r, 1),
                     .has_domain = !db_is_null(r, 2),
                     .domain = col_uuid(r, 2),
                     .verdict = (enum delivery_verdict)verdict,
                     .state = (enum delivery_state)state,
                     .has_score = !db_is_null(r, 6),
                     .score = db_f64(r, 6),
                     .has_rule = !db_is_null(r, 7),
                     .rule = col_uuid(r, 7),
                     .layer = dup(x, r, 8),
                     .trace = dup(x, r, 9),
                     .has_mailbox = !db_is_null(r, 12),
                     .mailbox = col_uuid(r, 12)},
    };
    return 0;
}

/* Both come in order of n, so the attempts of a delivery stand together. They are tied to it when all are there. */
struct numbered_attempt {
    struct store_attempt a;
    int64_t              n;
};

static int each_attempt(void *ctx, struct db_rows *r)
{
    struct reading          *x = ctx;
    struct numbered_attempt *t = one_more(&x->attempts, x->arena);
    struct span             *texts[7];

    if (t == NULL)
        return -1;
    *t = (struct numbered_attempt){.a = attempt_of_row(r, 1), .n = db_i64(r, 0)};
    memcpy(texts,
           (struct span *[]){&t->a.queue_id, &t->a.final_recipient, &t->a.host, &t->a.ip, &t->a.tls, &t->a.dsn,
                             &t->a.response},
           sizeof texts);
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = arena_dup(x->arena, *texts[i]);
    return 0;
}

static int each_link(void *ctx, struct db_rows *r)
{
    struct reading          *x = ctx;
    struct store_queue_link *l = one_more(&x->links, x->arena);

    if (l == NULL)
        return -1;
    *l = (struct store_queue_link){
        .queue_id = dup(x, r, 0), .uid = x->out->message.uid, .n = db_i64(r, 1), .at_us = db_i64(r, 2)};
    return 0;
}

/* Attempts of deliveries that the scope does not see are passed over. */
static void tie(struct reading *x)
{
    struct store_timeline_delivery *d = (struct store_timeline_delivery *)(void *)x->deliveries.items;
    const struct numbered_attempt  *t = (const struct numbered_attempt *)(const void *)x->attempts.items;
    struct store_attempt           *all = arena_array(x->arena, x->attempts.n + 1, sizeof *all);
    size_t                          at = 0;

    if (all == NULL)
        return;
    for (size_t i = 0; i < x->deliveries.n; i++) {
        while (at < x->attempts.n && t[at].n < d[i].n)
            at++;
        d[i].attempts = &all[at];
        while (at < x->attempts.n && t[at].n == d[i].n) {
            all[at] = t[at].a;
            d[i].nattempts++;
            at++;
        }
    }
    x->out->deliveries = d;
    x->out->ndeliveries = x->deliveries.n;
}

/* Links of other recipients' deliveries are none of the scope's business. */
static void keep_links(struct reading *x, struct store_scope scope)
{
    struct store_queue_link *l = (struct store_queue_link *)(void *)x->links.items;
    size_t                   n = 0;

    for (size_t i = 0; i < x->links.n; i++) {
        bool ours = l[i].n == 0 || scope.kind == SCOPE_GLOBAL;

        for (size_t k = 0; k < x->out->ndeliveries && !ours; k++)
            ours = x->out->deliveries[k].n == l[i].n;
        if (ours)
            l[n++] = l[i];
    }
    x->out->links = l;
    x->out->nlinks = n;
}

static int read_custody(struct store *s, const struct uuid *uid, struct reading *x, struct err *e)
{
    struct err why = ERR_INIT;

    if (store_custody_get(s, uid, x->arena, &x->out->custody, &why) == 0) {
        x->out->has_custody = true;
        return 0;
    }
    if (why.code == ERR_NOT_FOUND)
        return 0;
    if (e != NULL)
        *e = why;
    return -1;
}

static int read_rows(struct store *s, const struct day_uid *uid, struct store_scope scope, struct reading *x,
                     struct err *e)
{
    const char   *sql = deliveries_sql[db_kind(s->log) == DB_PGSQL][scope.kind];
    struct db_val key[] = {dbv_str(uid->text), dbv_uuid(&scope.id)};

    if (row_each(s->log, sql, key, scope.kind == SCOPE_GLOBAL ? 1 : 2, each_delivery, x, e) < 0)
        return -1;
    if (x->deliveries.n == 0 && scope.kind != SCOPE_GLOBAL)
        return no_such(0, e, "message");
    if (row_each(s->log, attempts_sql, key, 1, each_attempt, x, e) < 0)
        return -1;
    return row_each(s->log, links_sql, key, 1, each_link, x, e);
}

static int read_head(struct store *s, const struct day_uid *uid, struct reading *x, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->log, message_sql, (struct db_val[]){dbv_str(uid->text)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "message");
    rc = read_message(x, r);
    db_rows_free(&r);
    return rc < 0 ? err_set(e, ERR_CORRUPT, "message %s has words that this release does not know", uid->text) : 0;
}

int store_timeline(struct store *s, const struct uuid *uid, struct store_scope scope, struct arena *a,
                   struct store_timeline *out, struct err *e)
{
    struct day_uid text = day_uid_text(uid);
    struct reading x = {.arena = a,
                        .out = out,
                        .deliveries.size = sizeof(struct store_timeline_delivery),
                        .attempts.size = sizeof(struct numbered_attempt),
                        .links.size = sizeof(struct store_queue_link)};

    *out = (struct store_timeline){.message.uid = *uid};
    if (read_head(s, &text, &x, e) < 0 || read_rows(s, &text, scope, &x, e) < 0 || read_custody(s, uid, &x, e) < 0)
        return -1;
    tie(&x);
    keep_links(&x, scope);
    return a->full ? err_set(e, ERR_LIMIT, "message %s needs too much memory", text.text) : 0;
}

int store_message_read(struct store *s, const struct uuid *uid, struct arena *a, struct store_message *out,
                       struct err *e)
{
    struct day_uid        text = day_uid_text(uid);
    struct store_timeline t = {.message.uid = *uid};
    struct reading        x = {.arena = a, .out = &t};

    if (read_head(s, &text, &x, e) < 0)
        return -1;
    *out = t.message;
    return a->full ? err_set(e, ERR_LIMIT, "message %s needs too much memory", text.text) : 0;
}

/* ---- By what is in hand -------------------------------------------------------------------------------------------- */

static const char by_uid_sql[] = "SELECT uid FROM message WHERE uid = $1";
static const char by_handle_sql[] = "SELECT uid FROM message WHERE queue_id = $1 AND queue_id <> ''"
                                    " UNION SELECT uid FROM message WHERE message_id = $1 AND message_id <> ''"
                                    " UNION SELECT uid FROM message WHERE message_id = $2 AND message_id <> ''"
                                    " UNION SELECT uid FROM queue_link WHERE queue_id = $1 ORDER BY 1 DESC LIMIT $3";

struct trace {
    store_uid_fn fn;
    void        *ctx;
    bool         any;
};

static int each_uid(void *arg, struct db_rows *r)
{
    struct trace *t = arg;
    struct uuid   uid;

    t->any = true;
    return uuid_parse(db_text(r, 0), &uid) ? t->fn(t->ctx, &uid) : 0;
}

int store_trace(struct store *s, struct span handle, size_t limit, store_uid_fn fn, void *ctx, struct err *e)
{
    struct trace   t = {fn, ctx, false};
    struct uuid    uid;
    struct buf     id;
    struct day_uid text;
    int            rc;

    if (handle.n == 0 || !is_storable(handle))
        return 0;
    if (uuid_parse(handle, &uid)) {
        text = day_uid_text(&uid);
        rc = row_each(s->log, by_uid_sql, (struct db_val[]){dbv_str(text.text)}, 1, each_uid, &t, e);
        if (rc < 0 || t.any)
            return rc;
    }
    buf_init(&id, handle.n + 2);
    buf_putc(&id, '<');
    buf_put(&id, handle);
    buf_putc(&id, '>');
    rc = row_each(s->log, by_handle_sql,
                  (struct db_val[]){dbv_text(handle), dbv_text(buf_span(&id)), dbv_i64((int64_t)page_limit(limit))}, 3,
                  each_uid, &t, e);
    buf_fini(&id);
    return rc;
}
