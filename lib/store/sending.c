/* lib/store/sending.c - limits, blocked senders, and the counters of what was sent. */
#include "store/sending.h"

#include <stdio.h>

#include "store/audit.h"
#include "store/change.h"
#include "store/ordered.h"
#include "store/row.h"

const char *const sending_limit_words[] = {"messages_hour",  "messages_day", "recipients_hour",
                                           "recipients_day", "block_after",  NULL};

#define LIMITS "messages_hour, messages_day, recipients_hour, recipients_day, block_after"
static const char get_sql[] = "SELECT " LIMITS
                              " FROM sending_limit WHERE scope_kind = $1 AND scope_id = $2 AND whole = $3";
static const char put_sql[] =
    "INSERT INTO sending_limit (scope_kind, scope_id, domain_id, mailbox_id, whole, " LIMITS ", updated_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    " ON CONFLICT (scope_kind, scope_id, whole) DO UPDATE SET messages_hour = excluded.messages_hour,"
    " messages_day = excluded.messages_day, recipients_hour = excluded.recipients_hour,"
    " recipients_day = excluded.recipients_day, block_after = excluded.block_after, updated_us = excluded.updated_us";
static const char drop_sql[] = "DELETE FROM sending_limit WHERE scope_kind = $1 AND scope_id = $2 AND whole = $3";
static const char list_sql[] =
    "SELECT " LIMITS ", l.scope_kind, l.scope_id, l.whole, a.local, d.name FROM sending_limit l"
    " LEFT JOIN mailbox m ON m.id = l.mailbox_id LEFT JOIN address a ON a.mailbox_id = m.id"
    " LEFT JOIN domain d ON d.id = COALESCE(l.domain_id, m.domain_id) ORDER BY d.name, a.local, l.whole";

static const char block_sql[] =
    "INSERT INTO blocked_sender (login, reason, evidence, blocked_by, automatic, at_us, until_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (login) DO UPDATE SET reason = excluded.reason, evidence = excluded.evidence,"
    " blocked_by = excluded.blocked_by, automatic = excluded.automatic, at_us = excluded.at_us,"
    " until_us = excluded.until_us";
static const char unblock_sql[] = "DELETE FROM blocked_sender WHERE login = $1";
static const char automatic_sql[] = "SELECT automatic FROM blocked_sender WHERE login = $1";
static const char blocked_sql[] =
    "SELECT login, reason, evidence, blocked_by, automatic, at_us, until_us FROM blocked_sender"
    " WHERE login > $1 AND (until_us IS NULL OR until_us > $2) ORDER BY login LIMIT $3";

static const char add_sql[] =
    "INSERT INTO counter (name, subject, slot_us, value) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (name, subject, slot_us) DO UPDATE SET value = counter.value + excluded.value"
    " RETURNING value";
static const char slot_sql[] = "SELECT name, subject, slot_us, value FROM counter WHERE slot_us = $1";
static const char subject_sql[] =
    "SELECT name, subject, slot_us, value FROM counter WHERE subject = $1 AND slot_us >= $2"
    " ORDER BY slot_us DESC, name";
static const char trim_sql[] = "DELETE FROM counter WHERE slot_us < $1";

/* ---- limits ---- */

struct store_limit store_limit_over(struct store_limit base, const struct store_limit *own)
{
    for (size_t i = 0; i < LIMIT_KEYS; i++)
        if (own->of[i] >= 0)
            base.of[i] = own->of[i];
    return base;
}

static struct store_limit read_limit(struct db_rows *r)
{
    struct store_limit l;

    for (int i = 0; i < LIMIT_KEYS; i++)
        l.of[i] = db_is_null(r, i) ? -1 : db_i64(r, i);
    return l;
}

int store_limit_get(struct store *s, struct store_scope scope, bool whole, struct store_limit *out, struct err *e)
{
    struct db_val   keys[] = {dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id), dbv_bool(whole)};
    struct db_rows *r;
    int             rc = row_first(s->main, get_sql, keys, COUNT(keys), &r, e);

    *out = STORE_LIMIT_NONE;
    if (rc <= 0)
        return rc;
    *out = read_limit(r);
    db_rows_free(&r);
    return 0;
}

static void put_payload(struct buf *b, const char *key, const struct store_limit *l)
{
    json_open(b, key, '{');
    for (size_t i = 0; i < LIMIT_KEYS; i++)
        if (l->of[i] >= 0)
            json_add_i64(b, sending_limit_words[i], l->of[i]);
    json_close(b, '}');
}

static int note_limit(struct store *s, const struct actor *by, struct store_scope scope, bool whole,
                      const struct store_limit *before, const struct store_limit *after, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_bool(&b, "whole", whole);
    put_payload(&b, "before", before);
    put_payload(&b, "after", after);
    json_close(&b, '}');
    rc = store_audit_note(s, by, "sender.limit", "sending_limit", NULL, scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static struct db_val i64_or_null(int64_t i) { return i < 0 ? DBV_NULL : dbv_i64(i); }

static int limit_in(struct store *s, const struct actor *by, struct store_scope scope, bool whole,
                    const struct store_limit *to, struct err *e)
{
    struct store_limit before;
    bool               any = false;

    for (size_t i = 0; i < LIMIT_KEYS; i++)
        any |= to->of[i] >= 0;
    struct db_val vals[] = {DBV_SCOPE(&scope),      dbv_bool(whole),         i64_or_null(to->of[0]),
                            i64_or_null(to->of[1]), i64_or_null(to->of[2]),  i64_or_null(to->of[3]),
                            i64_or_null(to->of[4]), dbv_i64(clock_wall_us())};
    struct db_val keys[] = {vals[0], vals[1], vals[4]};

    if (store_change_note(s, CHANGE_SENDER, STORE_SCOPE_GLOBAL, NULL, e) < 0 ||
        store_limit_get(s, scope, whole, &before, e) < 0)
        return -1;
    if (!any) {
        if (db_run(s->main, drop_sql, keys, COUNT(keys), NULL, e) < 0)
            return -1;
    } else if (db_run(s->main, put_sql, vals, COUNT(vals), NULL, e) < 0) {
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "no such domain or mailbox") : -1;
    }
    return note_limit(s, by, scope, whole, &before, to, e);
}

int store_limit_set(struct store *s, const struct actor *by, struct store_scope scope, bool whole,
                    const struct store_limit *to, struct err *e)
{
    bool own;

    if (!by->admin)
        return err_set(e, ERR_DENIED, "how much people may send is for the operator to say");
    if (whole && scope.kind != SCOPE_DOMAIN)
        return err_set(e, ERR_INVALID, "only a domain has a limit for all of its senders together");
    for (size_t i = 0; i < LIMIT_KEYS; i++)
        if (to->of[i] > SENDING_LIMIT_MAX)
            return err_set(e, ERR_INVALID, "%s is at most %d", sending_limit_words[i], SENDING_LIMIT_MAX);
    if (whole && to->of[LIMIT_BLOCK_AFTER] >= 0)
        return err_set(e, ERR_INVALID, "block_after is about a sender: a whole domain is deferred, never blocked");
    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, limit_in(s, by, scope, whole, to, e), e);
}

struct limit_list {
    store_limit_fn fn;
    void          *ctx;
};

static int each_limit(void *arg, struct db_rows *r)
{
    struct limit_list *l = arg;
    struct store_limit limit = read_limit(r);
    struct store_scope scope = {(enum scope_kind)col_word(r, LIMIT_KEYS, scope_kind_words),
                                col_uuid(r, LIMIT_KEYS + 1)};
    char               name[STORE_ADDRESS_MAX + 2];
    struct span        local = db_text(r, LIMIT_KEYS + 3), domain = db_text(r, LIMIT_KEYS + 4);

    snprintf(name, sizeof name, "%.*s%s%.*s", SPAN_ARG(local), local.n > 0 ? "@" : "", SPAN_ARG(domain));
    return l->fn(l->ctx, scope, span_of(name), db_i64(r, LIMIT_KEYS + 2) != 0, &limit);
}

int store_limit_list(struct store *s, store_limit_fn fn, void *ctx, struct err *e)
{
    struct limit_list l = {fn, ctx};

    return row_each(s->main, list_sql, NULL, 0, each_limit, &l, e);
}

/* ---- blocked senders ---- */

/* As Postfix asks for it. */
static int login_key(struct span login, char out[SENDING_LOGIN_MAX + 1], struct err *e)
{
    login = span_trim(login);
    if (check_text(login, 1, SENDING_LOGIN_MAX, "the login", e) < 0)
        return -1;
    for (size_t i = 0; i < login.n; i++)
        out[i] = (char)(login.p[i] >= 'A' && login.p[i] <= 'Z' ? login.p[i] + 32 : login.p[i]);
    out[login.n] = '\0';
    return 0;
}

static int note_block(struct store *s, const struct actor *by, const char *action, const char *login,
                      const struct store_blocked *b, struct err *e)
{
    struct buf payload;
    int        rc;

    buf_init(&payload, PAYLOAD_MAX);
    json_open(&payload, NULL, '{');
    json_add_str(&payload, "login", login);
    if (b != NULL) {
        json_add_string(&payload, "reason", b->reason);
        if (b->until_us > 0)
            json_add_i64(&payload, "until_us", b->until_us);
    }
    json_close(&payload, '}');
    rc = store_audit_note(s, by, action, "blocked_sender", NULL, STORE_SCOPE_GLOBAL, buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

static int block_in(struct store *s, const struct actor *by, const char *login, const struct store_blocked *b,
                    struct err *e)
{
    struct db_val vals[] = {dbv_str(login),
                            dbv_text(b->reason),
                            b->evidence.n > 0 ? dbv_text(b->evidence) : dbv_str("{}"),
                            dbv_str(by->name),
                            dbv_bool(b->automatic),
                            dbv_i64(b->at_us > 0 ? b->at_us : clock_wall_us()),
                            b->until_us > 0 ? dbv_i64(b->until_us) : DBV_NULL};

    if (store_change_note(s, CHANGE_SENDER, STORE_SCOPE_GLOBAL, NULL, e) < 0 ||
        db_run(s->main, block_sql, vals, COUNT(vals), NULL, e) < 0)
        return -1;
    return note_block(s, by, "sender.block", login, b, e);
}

int store_blocked_put(struct store *s, const struct actor *by, const struct store_blocked *b, struct err *e)
{
    char login[SENDING_LOGIN_MAX + 1];
    bool own;

    if (!by->admin)
        return err_set(e, ERR_DENIED, "who may send is for the operator to say");
    if (login_key(b->login, login, e) < 0 || check_text(b->reason, 1, SENDING_REASON_MAX, "the reason", e) < 0)
        return -1;
    if (b->evidence.n > SENDING_EVIDENCE_MAX || !is_storable(b->evidence))
        return err_set(e, ERR_INVALID, "the evidence is no text, or more than %d bytes", SENDING_EVIDENCE_MAX);
    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, block_in(s, by, login, b, e), e);
}

static int unblock_in(struct store *s, const struct actor *by, const char *login, struct err *e)
{
    int64_t       changed = 0, automatic = 0;
    struct db_val key = dbv_str(login);

    if (!by->admin) {
        int rc = row_i64(s->main, automatic_sql, &key, 1, &automatic, e);

        if (rc < 0 || (rc > 0 && !automatic))
            return rc < 0 ? -1 : err_set(e, ERR_DENIED, "the operator has blocked this sender, and can lift it");
    }
    if (store_change_note(s, CHANGE_SENDER, STORE_SCOPE_GLOBAL, NULL, e) < 0 ||
        db_run(s->main, unblock_sql, &key, 1, &changed, e) < 0)
        return -1;
    if (changed == 0)
        return err_set(e, ERR_NOT_FOUND, "%s is not blocked", login);
    return note_block(s, by, "sender.unblock", login, NULL, e);
}

int store_blocked_delete(struct store *s, const struct actor *by, struct span login, struct err *e)
{
    char key[SENDING_LOGIN_MAX + 1];
    bool own;

    if (login_key(login, key, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, unblock_in(s, by, key, e), e);
}

struct blocked_list {
    store_blocked_fn fn;
    void            *ctx;
};

static int each_blocked(void *arg, struct db_rows *r)
{
    struct blocked_list *l = arg;
    struct store_blocked b = {.login = db_text(r, 0),
                              .reason = db_text(r, 1),
                              .evidence = db_text(r, 2),
                              .blocked_by = db_text(r, 3),
                              .automatic = db_i64(r, 4) != 0,
                              .at_us = db_i64(r, 5),
                              .until_us = db_is_null(r, 6) ? 0 : db_i64(r, 6)};

    return l->fn(l->ctx, &b);
}

int store_blocked_list(struct store *s, int64_t now_us, struct span after, size_t limit, store_blocked_fn fn, void *ctx,
                       struct err *e)
{
    struct blocked_list l = {fn, ctx};
    struct db_val       vals[] = {dbv_text(after), dbv_i64(now_us), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->main, blocked_sql, vals, COUNT(vals), each_blocked, &l, e);
}

/* ---- counters ---- */

static int by_key(const void *a, const void *b)
{
    const struct store_counter *x = a, *y = b;
    int                         c = span_cmp(x->subject, y->subject);

    if (c == 0)
        c = span_cmp(x->name, y->name);
    return c != 0 ? c : (x->slot_us > y->slot_us) - (x->slot_us < y->slot_us);
}

struct adding {
    const struct store_counter *rows;
    int64_t                    *totals; /* same index */
};

static int add_one(struct store *s, void *ctx, const void *row, struct err *e)
{
    const struct adding        *x = ctx;
    const struct store_counter *c = row;
    struct db_val vals[] = {dbv_text(c->name), dbv_text(c->subject), dbv_i64(c->slot_us), dbv_i64(c->value)};

    return row_i64(s->log, add_sql, vals, COUNT(vals), &x->totals[c - x->rows], e) < 0 ? -1 : 0;
}

int store_counters_add(struct store *s, const struct store_counter *rows, size_t n, int64_t *totals_out, struct err *e)
{
    struct adding x = {rows, totals_out};

    return ordered_put(s, &(struct ordered){rows, n, sizeof *rows, by_key, NULL, add_one, &x}, e);
}

struct counter_list {
    store_counter_fn fn;
    void            *ctx;
};

static int each_counter(void *arg, struct db_rows *r)
{
    struct counter_list *l = arg;
    struct store_counter c = {
        .name = db_text(r, 0), .subject = db_text(r, 1), .slot_us = db_i64(r, 2), .value = db_i64(r, 3)};

    return l->fn(l->ctx, &c);
}

int store_counters_of(struct store *s, int64_t slot_us, store_counter_fn fn, void *ctx, struct err *e)
{
    struct counter_list l = {fn, ctx};

    return row_each(s->log, slot_sql, (struct db_val[]){dbv_i64(slot_us)}, 1, each_counter, &l, e);
}

int store_counters_list(struct store *s, struct span subject, int64_t since_us, store_counter_fn fn, void *ctx,
                        struct err *e)
{
    struct counter_list l = {fn, ctx};

    return row_each(s->log, subject_sql, (struct db_val[]){dbv_text(subject), dbv_i64(since_us)}, 2, each_counter, &l,
                    e);
}

int store_counters_trim(struct store *s, int64_t before_us, struct err *e)
{
    return row_run_i64(s->log, trim_sql, before_us, e);
}
