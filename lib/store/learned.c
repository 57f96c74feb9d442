/* lib/store/learned.c - learned senders. */
#include "store/learned.h"

#include <stdio.h>

#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

static const char        mailbox_sql[] = "SELECT mailbox_id FROM learned WHERE id = $1";
static const char *const action_words[] = {[RULE_ALLOW] = "allow", [RULE_BLOCK] = "block", NULL};

static const char put_sql[] =
    "INSERT INTO learned (id, mailbox_id, action, sender, proof, report_uid, expires_us, created_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (mailbox_id, sender) DO UPDATE SET action = excluded.action,"
    " proof = excluded.proof, report_uid = excluded.report_uid, expires_us = excluded.expires_us";
static const char id_sql[] = "SELECT id FROM learned WHERE mailbox_id = $1 AND sender = $2";
static const char get_sql[] = "SELECT mailbox_id, sender, action FROM learned WHERE id = $1";
static const char delete_sql[] = "DELETE FROM learned WHERE id = $1";
static const char load_sql[] = "SELECT id, action, sender, proof, report_uid, expires_us, created_us FROM learned"
                               " WHERE mailbox_id = $1 AND expires_us > $2 ORDER BY id";
static const char list_sql[] =
    "SELECT l.id, l.action, l.sender, l.proof, l.report_uid, l.expires_us, l.created_us, l.mailbox_id,"
    " a.local || '@' || d.name FROM learned l JOIN address a ON a.mailbox_id = l.mailbox_id"
    " JOIN domain d ON d.id = a.domain_id WHERE l.id > $1 AND l.expires_us > $2 AND ($3 = 0 OR d.id = $5)"
    " AND ($4 = 0 OR l.mailbox_id = $5) ORDER BY l.id LIMIT $6";
static const char lapse_sql[] = "DELETE FROM learned WHERE id IN (SELECT id FROM learned WHERE expires_us <= $1"
                                " ORDER BY expires_us LIMIT $2)";
static const char touch_sql[] = "UPDATE learned SET expires_us = $2 WHERE id = $1 AND expires_us < $2";

static int note(struct store *s, const struct actor *by, const char *action, struct uuid mailbox, struct uuid id,
                struct span sender, enum rule_action what, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_string(&b, "sender", sender);
    json_add_str(&b, "action", action_words[what]);
    json_close(&b, '}');
    rc = store_audit_note(s, by, action, "learned", &id, store_scope_mailbox(mailbox), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

/* The id that a sender's entry has already, else a new one. */
static int pick_id(struct store *s, const struct store_learned *l, struct uuid *out, struct err *e)
{
    struct db_rows *r;
    int rc = row_first(s->main, id_sql, (struct db_val[]){dbv_uuid(&l->mailbox), dbv_text(l->sender)}, 2, &r, e);

    if (rc < 0)
        return -1;
    *out = rc > 0 ? col_uuid(r, 0) : uuid7_make();
    if (rc > 0)
        db_rows_free(&r);
    return 0;
}

/* The feed first, so that nobody else can make the same entry meanwhile; its row names the entry, whose id has to
 * be known for that: ids that lost a race would name nothing, which a reader takes for "gone". */
static int put_in(struct store *s, const struct actor *by, const struct store_learned *l, struct uuid *id,
                  struct err *e)
{
    struct db_val vals[8];

    if (pick_id(s, l, id, e) < 0 || store_change_note(s, CHANGE_LEARNED, store_scope_mailbox(l->mailbox), id, e) < 0)
        return -1;
    memcpy(vals,
           ((struct db_val[]){dbv_uuid(id), dbv_uuid(&l->mailbox), dbv_word(action_words, (int)l->action),
                              dbv_text(l->sender), dbv_text(l->proof),
                              l->report_uid.n ? dbv_text(l->report_uid) : DBV_NULL, dbv_i64(l->expires_us),
                              dbv_i64(clock_wall_us())}),
           sizeof vals);
    if (db_run(s->main, put_sql, vals, COUNT(vals), NULL, e) < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "there is no such mailbox") : -1;
    return note(s, by, "learned.put", l->mailbox, *id, l->sender, l->action, e);
}

int store_learned_put(struct store *s, const struct actor *by, const struct store_learned *l, struct uuid *id_out,
                      struct err *e)
{
    bool own;

    if (check_text(l->sender, 1, STORE_ADDRESS_MAX, "the sender", e) < 0 ||
        check_text(l->proof, 1, STORE_ADDRESS_MAX, "the proof", e) < 0 ||
        check_text(l->report_uid, 0, UUID_TEXT, "the report's message", e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, put_in(s, by, l, id_out, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct db_rows  *r;
    struct uuid      mailbox;
    enum rule_action action;
    char             sender[STORE_ADDRESS_MAX + 1];
    int              rc = row_first(s->main, get_sql, (struct db_val[]){dbv_uuid(&id)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "learned sender");
    mailbox = col_uuid(r, 0);
    col_str(r, 1, sender, sizeof sender);
    action = (enum rule_action)col_word(r, 2, action_words);
    db_rows_free(&r);
    if (store_change_note(s, CHANGE_LEARNED, store_scope_mailbox(mailbox), &id, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "learned sender", e) < 0)
        return -1;
    return note(s, by, "learned.delete", mailbox, id, span_of(sender), action, e);
}

int store_learned_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}

int store_learned_mailbox(struct store *s, struct uuid id, struct uuid *mailbox_out, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, mailbox_sql, (struct db_val[]){dbv_uuid(&id)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "learned sender");
    *mailbox_out = col_uuid(r, 0);
    db_rows_free(&r);
    return 0;
}

struct learned_list {
    store_learned_fn fn;
    void            *ctx;
    struct uuid      mailbox;
};

static int each_learned(void *arg, struct db_rows *r)
{
    struct learned_list *l = arg;
    struct store_learned row = {
        .id = col_uuid(r, 0),
        .mailbox = l->mailbox,
        .action = (enum rule_action)col_word(r, 1, action_words),
        .sender = db_text(r, 2),
        .proof = db_text(r, 3),
        .report_uid = db_text(r, 4),
        .expires_us = db_i64(r, 5),
        .created_us = db_i64(r, 6),
    };

    return l->fn(l->ctx, &row);
}

int store_learned_load(struct store *s, struct uuid mailbox, int64_t now_us, store_learned_fn fn, void *ctx,
                       struct err *e)
{
    struct learned_list l = {fn, ctx, mailbox};

    return row_each(s->main, load_sql, (struct db_val[]){dbv_uuid(&mailbox), dbv_i64(now_us)}, 2, each_learned, &l, e);
}

struct learned_of_list {
    store_learned_of_fn fn;
    void               *ctx;
};

static int of_row(void *ctx, const struct store_learned *l)
{
    *(struct store_learned *)ctx = *l;
    return 0;
}

static int each_of(void *arg, struct db_rows *r)
{
    struct learned_of_list *to = arg;
    struct store_learned    row;
    struct learned_list     one = {of_row, &row, col_uuid(r, 7)};

    each_learned(&one, r);
    return to->fn(to->ctx, &row, db_text(r, 8));
}

int store_learned_list(struct store *s, struct store_scope scope, const struct uuid *after, int64_t now_us,
                       size_t limit, store_learned_of_fn fn, void *ctx, struct err *e)
{
    struct learned_of_list to = {fn, ctx};
    struct db_val          vals[] = {
                 dbv_uuid(after != NULL ? after : &uuid_zero), dbv_i64(now_us),     dbv_i64(scope.kind == SCOPE_DOMAIN),
                 dbv_i64(scope.kind == SCOPE_MAILBOX),         dbv_uuid(&scope.id), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->main, list_sql, vals, COUNT(vals), each_of, &to, e);
}

/* ---- lapsing ---- */

static int lapse_in(struct store *s, const struct actor *by, int64_t before_us, size_t limit, int64_t *gone,
                    struct err *e)
{
    char payload[64];

    if (db_run(s->main, lapse_sql, (struct db_val[]){dbv_i64(before_us), dbv_i64((int64_t)limit)}, 2, gone, e) < 0)
        return -1;
    if (*gone == 0)
        return 0;
    snprintf(payload, sizeof payload, "{\"entries\":%lld}", (long long)*gone);
    return store_audit_note(s, by, "learned.lapse", "learned", NULL, STORE_SCOPE_GLOBAL, span_of(payload), e);
}

/* Nobody needs to hear of it: an entry that has lapsed decides nothing. */
int store_learned_lapse(struct store *s, const struct actor *by, int64_t now_us, size_t limit, int64_t *gone_out,
                        struct err *e)
{
    bool own;

    *gone_out = 0;
    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, lapse_in(s, by, now_us - 86400 * INT64_C(1000000), limit, gone_out, e), e);
}

int store_learned_touch(struct store *s, const struct uuid *ids, size_t n, int64_t expires_us, struct err *e)
{
    bool own;
    int  rc = 0;

    if (row_begin(s, &own, e) < 0)
        return -1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = db_run(s->main, touch_sql, (struct db_val[]){dbv_uuid(&ids[i]), dbv_i64(expires_us)}, 2, NULL, e);
    return row_end(s, own, rc, e);
}
