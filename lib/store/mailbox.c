/* lib/store/mailbox.c - mailboxes. */
#include "store/mailbox.h"

#include <stdio.h>

#include "store/account.h"
#include "store/audit.h"
#include "store/change.h"
#include "store/digest.h"
#include "store/domain.h"
#include "store/policy.h"
#include "store/row.h"

#define SELECT                                                                                                         \
    "SELECT m.id, m.domain_id, m.account_id, m.enabled, a.local, d.name, m.created_us, m.updated_us FROM mailbox m"    \
    " JOIN address a ON a.mailbox_id = m.id JOIN domain d ON d.id = m.domain_id"
static const char get_sql[] = SELECT " WHERE m.id = $1";
static const char find_sql[] = SELECT " WHERE d.name = $1 AND a.local = $2";
static const char list_sql[] = SELECT " WHERE a.domain_id = $1 AND a.local > $2 ORDER BY a.local LIMIT $3";
static const char of_account_sql[] = SELECT " WHERE m.account_id = $1 ORDER BY d.name, a.local";
static const char insert_sql[] =
    "INSERT INTO mailbox (id, domain_id, account_id, created_us, updated_us) VALUES ($1, $2, $3, $4, $4)";
static const char insert_address_sql[] =
    "INSERT INTO address (id, domain_id, local, kind, mailbox_id, created_us) VALUES ($1, $2, $3, 'mailbox', $4, $5)";
static const char update_sql[] = "UPDATE mailbox SET account_id = $2, enabled = $3, updated_us = $4 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM mailbox WHERE id = $1";

static void read_row(struct db_rows *r, struct store_mailbox *out)
{
    struct span local = db_text(r, 4), domain = db_text(r, 5);

    *out = (struct store_mailbox){
        .id = col_uuid(r, 0),
        .domain = col_uuid(r, 1),
        .account = col_uuid(r, 2),
        .has_account = !db_is_null(r, 2),
        .enabled = db_i64(r, 3) != 0,
        .created_us = db_i64(r, 6),
        .updated_us = db_i64(r, 7),
    };
    snprintf(out->address, sizeof out->address, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
}

static int read_one(struct store *s, const char *sql, const struct db_val *keys, size_t n, struct store_mailbox *out,
                    struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, keys, n, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "mailbox");
    read_row(r, out);
    db_rows_free(&r);
    return 0;
}

int store_mailbox_get(struct store *s, struct uuid id, struct store_mailbox *out, struct err *e)
{
    return read_one(s, get_sql, (struct db_val[]){dbv_uuid(&id)}, 1, out, e);
}

int store_mailbox_find(struct store *s, struct span address, struct store_mailbox *out, struct err *e)
{
    size_t at = span_rchr(address, '@');

    if (read_one(s, find_sql, (struct db_val[]){dbv_text(span_skip(address, at + 1)), dbv_text(span_head(address, at))},
                 2, out, e) == 0)
        return 0;
    return e != NULL && e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such mailbox: %.*s", SPAN_ARG(address))
                                                 : -1;
}

/* A mailbox as the audit log has it: whose it is by the name that people know. */
struct noted {
    const struct store_mailbox *m;
    struct store_account        whose;
};

static void put_noted(struct buf *b, const char *key, const void *row)
{
    const struct noted *n = row;

    json_open(b, key, '{');
    json_add_str(b, "address", n->m->address);
    json_add_bool(b, "enabled", n->m->enabled);
    json_add_text(b, "account", n->m->has_account ? span_of(n->whose.login) : SPAN_NONE);
    json_close(b, '}');
}

static int find_whose(struct store *s, const struct store_mailbox *m, struct noted *out, struct err *e)
{
    out->m = m;
    return m != NULL && m->has_account ? store_account_get(s, m->account, &out->whose, e) : 0;
}

static int note(struct store *s, const struct actor *by, const char *action, const struct store_mailbox *m,
                const struct store_mailbox *before, const struct store_mailbox *after, struct err *e)
{
    struct noted          was, is;
    struct payload_change c = {.action = action, .kind = "mailbox", .id = m->id, .put = put_noted};

    if (find_whose(s, before, &was, e) < 0 || find_whose(s, after, &is, e) < 0)
        return -1;
    c.before = before != NULL ? &was : NULL;
    c.after = after != NULL ? &is : NULL;
    return payload_note(s, by, store_scope_domain(m->domain), &c, e);
}

static int add_rows(struct store *s, const struct store_mailbox *m, struct span local, struct err *e)
{
    struct uuid   address = uuid7_make();
    struct db_val now = dbv_i64(clock_wall_us());

    if (db_run(s->main, insert_sql,
               (struct db_val[]){dbv_uuid(&m->id), dbv_uuid(&m->domain),
                                 dbv_uuid_or_null(m->has_account ? &m->account : NULL), now},
               4, NULL, e) < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "there is no such account") : -1;
    if (db_run(s->main, insert_address_sql,
               (struct db_val[]){dbv_uuid(&address), dbv_uuid(&m->domain), dbv_text(local), dbv_uuid(&m->id), now}, 5,
               NULL, e) < 0)
        return say_conflict(e, "the address %s exists already", m->address);
    return 0;
}

static int add_in(struct store *s, const struct actor *by, struct store_mailbox *m, struct span local, struct err *e)
{
    struct store_policy rules = {
        .scope = store_scope_mailbox(m->id), .name = POLICY_RULES, .priority = POLICY_PRIORITY, .enabled = true};
    struct store_domain d;
    struct uuid         ignored;

    if (store_change_note(s, CHANGE_MAILBOX, store_scope_mailbox(m->id), &m->domain, e) < 0 ||
        store_domain_get(s, m->domain, &d, e) < 0)
        return -1;
    snprintf(m->address, sizeof m->address, "%.*s@%s", SPAN_ARG(local), d.name);
    if (add_rows(s, m, local, e) < 0 || note(s, by, "mailbox.add", m, NULL, m, e) < 0)
        return -1;
    if (store_policy_add(s, by, &rules, &ignored, e) < 0)
        return -1;
    return m->has_account ? store_digest_begin(s, by, m->domain, m->id, m->account, e) : 0;
}

int store_mailbox_add(struct store *s, const struct actor *by, struct uuid domain, struct span local,
                      const struct uuid *account, struct uuid *id_out, struct err *e)
{
    struct store_mailbox m = {.id = uuid7_make(), .domain = domain, .has_account = account != NULL, .enabled = true};
    bool                 own;

    if (account != NULL)
        m.account = *account;
    if (check_text(local, 1, STORE_LOCAL_MAX, "the local part", e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = m.id;
    return row_end(s, own, add_in(s, by, &m, local, e), e);
}

static int set_in(struct store *s, const struct actor *by, const struct store_mailbox *m, struct err *e)
{
    struct store_mailbox before, after;

    if (store_mailbox_get(s, m->id, &before, e) < 0 ||
        store_change_note(s, CHANGE_MAILBOX, store_scope_mailbox(m->id), &before.domain, e) < 0)
        return -1;
    if (row_change_one(s, update_sql,
                       (struct db_val[]){dbv_uuid(&m->id), dbv_uuid_or_null(m->has_account ? &m->account : NULL),
                                         dbv_bool(m->enabled), dbv_i64(clock_wall_us())},
                       4, "mailbox", e) < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "there is no such account") : -1;
    if (store_mailbox_get(s, m->id, &after, e) < 0 || note(s, by, "mailbox.set", &after, &before, &after, e) < 0)
        return -1;
    if (!after.has_account || uuid_eq(&after.account, &before.account))
        return 0;
    return store_digest_begin(s, by, after.domain, after.id, after.account, e);
}

int store_mailbox_set(struct store *s, const struct actor *by, const struct store_mailbox *m, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, m, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct store_mailbox before;

    if (store_mailbox_get(s, id, &before, e) < 0 ||
        store_change_note(s, CHANGE_MAILBOX, store_scope_mailbox(id), &before.domain, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "mailbox", e) < 0)
        return -1;
    return note(s, by, "mailbox.delete", &before, &before, NULL, e);
}

int store_mailbox_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}

struct mailbox_list {
    store_mailbox_fn fn;
    void            *ctx;
};

static int each_mailbox(void *arg, struct db_rows *r)
{
    struct mailbox_list *l = arg;
    struct store_mailbox m;

    read_row(r, &m);
    return l->fn(l->ctx, &m);
}

int store_mailbox_list(struct store *s, struct uuid domain, struct span after_local, size_t limit, store_mailbox_fn fn,
                       void *ctx, struct err *e)
{
    struct mailbox_list l = {fn, ctx};
    struct db_val       vals[] = {dbv_uuid(&domain), dbv_text(after_local), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->main, list_sql, vals, COUNT(vals), each_mailbox, &l, e);
}

int store_mailbox_of_account(struct store *s, struct uuid account, store_mailbox_fn fn, void *ctx, struct err *e)
{
    struct mailbox_list l = {fn, ctx};

    return row_each(s->main, of_account_sql, (struct db_val[]){dbv_uuid(&account)}, 1, each_mailbox, &l, e);
}
