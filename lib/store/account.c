/* lib/store/account.c - people, and their roles. */
#include "store/account.h"

#include "store/audit.h"
#include "store/domain.h"
#include "store/row.h"
#include "store/session.h"

const char *const        role_words[] = {"user", "clerk", "owner", "admin", NULL};
static const char *const state_words[] = {"disabled", "active", NULL};

#define COLUMNS "id, login, name, is_admin, state, language, zone, created_us, updated_us"
static const char insert_sql[] =
    "INSERT INTO account (id, tenant_id, login, name, is_admin, state, language, zone, created_us, updated_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";
static const char update_sql[] = "UPDATE account SET name = $2, is_admin = $3, state = $4, language = $5, zone = $6,"
                                 " updated_us = $7 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM account WHERE id = $1";
static const char get_sql[] = "SELECT " COLUMNS " FROM account WHERE id = $1";
static const char find_sql[] = "SELECT " COLUMNS " FROM account WHERE login = $1";
static const char list_sql[] = "SELECT " COLUMNS " FROM account WHERE login > $1 ORDER BY login LIMIT $2";
/* By a role, a mailbox, or the login itself. */
#define IN_DOMAIN(domain)                                                                                              \
    "(EXISTS (SELECT 1 FROM domain_role r WHERE r.account_id = account.id AND r.domain_id = " domain ")"               \
    " OR EXISTS (SELECT 1 FROM mailbox m WHERE m.account_id = account.id AND m.domain_id = " domain ")"                \
    " OR EXISTS (SELECT 1 FROM domain d WHERE d.id = " domain                                                          \
    " AND substr(account.login, length(account.login) - length(d.name)) = '@' || d.name))"
static const char of_domain_sql[] =
    "SELECT " COLUMNS ", (SELECT r.role FROM domain_role r WHERE r.account_id = account.id AND r.domain_id = $1)"
    " FROM account WHERE login > $2 AND " IN_DOMAIN("$1") " ORDER BY login LIMIT $3";
static const char is_in_sql[] = "SELECT id FROM account WHERE id = $1 AND " IN_DOMAIN("$2");
static const char other_admins_sql[] =
    "SELECT COUNT(*) FROM account WHERE is_admin = 1 AND state = 'active' AND id <> $1";
static const char role_put_sql[] =
    "INSERT INTO domain_role (account_id, domain_id, role, created_us) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (account_id, domain_id) DO UPDATE SET role = excluded.role";
static const char role_delete_sql[] = "DELETE FROM domain_role WHERE account_id = $1 AND domain_id = $2";
static const char role_get_sql[] =
    "SELECT a.is_admin, r.role FROM account a LEFT JOIN domain_role r ON r.account_id = a.id AND r.domain_id = $2"
    " WHERE a.id = $1 AND a.state = 'active'";
static const char role_row_sql[] = "SELECT role FROM domain_role WHERE account_id = $1 AND domain_id = $2";
static const char role_list_sql[] =
    "SELECT r.account_id, r.domain_id, d.name, r.role FROM domain_role r JOIN domain d ON d.id = r.domain_id"
    " WHERE r.account_id = $1 ORDER BY d.name";
static const char owners_sql[] = "SELECT a.login FROM domain_role r JOIN account a ON a.id = r.account_id"
                                 " WHERE r.domain_id = $1 AND r.role = 'owner' ORDER BY a.login";

static void read_row(struct db_rows *r, struct store_account *out)
{
    *out = (struct store_account){
        .id = col_uuid(r, 0),
        .admin = db_i64(r, 3) != 0,
        .active = col_word(r, 4, state_words) == 1,
        .created_us = db_i64(r, 7),
        .updated_us = db_i64(r, 8),
    };
    col_str(r, 1, out->login, sizeof out->login);
    col_str(r, 2, out->name, sizeof out->name);
    col_str(r, 5, out->language, sizeof out->language);
    col_str(r, 6, out->zone, sizeof out->zone);
}

static int read_one(struct store *s, const char *sql, struct db_val key, struct store_account *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, &key, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "account");
    read_row(r, out);
    db_rows_free(&r);
    return 0;
}

int store_account_get(struct store *s, struct uuid id, struct store_account *out, struct err *e)
{
    return read_one(s, get_sql, dbv_uuid(&id), out, e);
}

int store_account_find(struct store *s, struct span login, struct store_account *out, struct err *e)
{
    if (read_one(s, find_sql, dbv_text(login), out, e) == 0)
        return 0;
    return e != NULL && e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such account: %.*s", SPAN_ARG(login))
                                                 : -1;
}

static void put_payload(struct buf *b, const char *key, const void *row)
{
    const struct store_account *a = row;

    json_open(b, key, '{');
    json_add_str(b, "login", a->login);
    json_add_str(b, "name", a->name);
    json_add_bool(b, "admin", a->admin);
    json_add_bool(b, "active", a->active);
    json_add_str(b, "language", a->language);
    json_add_str(b, "zone", a->zone);
    json_close(b, '}');
}

/* Who has an address of a domain of ours is somebody there: its owners read in their log what becomes of them. */
static int scope_of(struct store *s, const struct store_account *a, struct store_scope *out, struct err *e)
{
    struct span         login = span_of(a->login);
    struct store_domain d;

    *out = STORE_SCOPE_GLOBAL;
    if (store_domain_find(s, span_skip(login, span_rchr(login, '@') + 1), &d, e) == 0)
        *out = store_scope_domain(d.id);
    else if (e->code != ERR_NOT_FOUND)
        return -1;
    else
        *e = ERR_INIT;
    return 0;
}

static int note(struct store *s, const struct actor *by, const char *action, struct uuid id,
                const struct store_account *before, const struct store_account *after, struct err *e)
{
    struct payload_change c = {action, "account", id, put_payload, before, after};
    struct store_scope    scope;

    if (scope_of(s, after != NULL ? after : before, &scope, e) < 0)
        return -1;
    return payload_note(s, by, scope, &c, e);
}

static int check(const struct store_account *a, struct err *e)
{
    if (check_text(span_of(a->login), 1, STORE_ADDRESS_MAX, "the login", e) < 0 ||
        check_text(span_of(a->name), 0, STORE_NAME_MAX, "the name", e) < 0 ||
        check_text(span_of(a->language), 0, sizeof a->language - 1, "the language", e) < 0)
        return -1;
    return check_text(span_of(a->zone), 0, sizeof a->zone - 1, "the time zone", e);
}

static int may_make_admin(const struct actor *by, const struct store_account *a, struct err *e)
{
    return !a->admin || by->admin ? 0 : err_set(e, ERR_DENIED, "only an admin can make an admin");
}

static int add_in(struct store *s, const struct actor *by, const struct store_account *a, struct err *e)
{
    if (db_run(s->main, insert_sql,
               (struct db_val[]){dbv_uuid(&a->id), dbv_uuid(&uuid_zero), dbv_str(a->login), dbv_str(a->name),
                                 dbv_bool(a->admin), dbv_str(state_words[a->active]), dbv_str(a->language),
                                 dbv_str(a->zone), dbv_i64(clock_wall_us())},
               9, NULL, e) < 0)
        return say_conflict(e, "the account %s exists already", a->login);
    return note(s, by, "account.add", a->id, NULL, a, e);
}

int store_account_add(struct store *s, const struct actor *by, const struct store_account *a, struct uuid *id_out,
                      struct err *e)
{
    struct store_account mine = *a;
    bool                 own;

    mine.id = uuid7_make();
    if (check(a, e) < 0 || may_make_admin(by, a, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = mine.id;
    return row_end(s, own, add_in(s, by, &mine, e), e);
}

/* Nobody shuts everybody out from afar. At the machine itself there is always a way back. */
static int check_last(struct store *s, const struct actor *by, const struct store_account *before,
                      const struct store_account *after, struct err *e)
{
    int64_t others = 0;

    if (!before->admin || !before->active || (after != NULL && after->admin && after->active) ||
        (by->kind != ACTOR_ACCOUNT && by->kind != ACTOR_API_KEY))
        return 0;
    if (row_i64(s->main, other_admins_sql, (struct db_val[]){dbv_uuid(&before->id)}, 1, &others, e) < 0)
        return -1;
    return others > 0 ? 0 : err_set(e, ERR_CONFLICT, "this is the last admin: make somebody else one first");
}

static int set_in(struct store *s, const struct actor *by, const struct store_account *a, struct err *e)
{
    struct store_account before, after;

    if (store_account_get(s, a->id, &before, e) < 0)
        return -1;
    if (before.admin != a->admin && !by->admin)
        return err_set(e, ERR_DENIED, "only an admin can make or unmake an admin");
    if (check_last(s, by, &before, a, e) < 0)
        return -1;
    if (row_change_one(s, update_sql,
                       (struct db_val[]){dbv_uuid(&a->id), dbv_str(a->name), dbv_bool(a->admin),
                                         dbv_str(state_words[a->active]), dbv_str(a->language), dbv_str(a->zone),
                                         dbv_i64(clock_wall_us())},
                       7, "account", e) < 0 ||
        store_account_get(s, a->id, &after, e) < 0 ||
        (after.admin && !before.admin && store_session_revoke_unproven(s, by, a->id, e) < 0))
        return -1;
    return note(s, by, "account.set", a->id, &before, &after, e);
}

int store_account_set(struct store *s, const struct actor *by, const struct store_account *a, struct err *e)
{
    bool own;

    if (check(a, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, a, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct store_account before;

    if (store_account_get(s, id, &before, e) < 0)
        return -1;
    if (before.admin && !by->admin)
        return err_set(e, ERR_DENIED, "only an admin can delete an admin");
    if (check_last(s, by, &before, NULL, e) < 0)
        return -1;
    if (row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "account", e) < 0)
        return -1;
    return note(s, by, "account.delete", id, &before, NULL, e);
}

int store_account_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}

struct account_list {
    store_account_fn fn;
    void            *ctx;
};

static int each_account(void *arg, struct db_rows *r)
{
    struct account_list *l = arg;
    struct store_account a;

    read_row(r, &a);
    return l->fn(l->ctx, &a);
}

int store_account_list(struct store *s, struct span after, size_t limit, store_account_fn fn, void *ctx, struct err *e)
{
    struct account_list l = {fn, ctx};

    return row_each(s->main, list_sql, (struct db_val[]){dbv_text(after), dbv_i64((int64_t)page_limit(limit))}, 2,
                    each_account, &l, e);
}

struct person_list {
    store_person_fn fn;
    void           *ctx;
};

static int each_person(void *arg, struct db_rows *r)
{
    struct person_list  *l = arg;
    struct store_account a;

    read_row(r, &a);
    return l->fn(l->ctx, &a, db_is_null(r, 9) ? ROLE_USER : (enum role)col_word(r, 9, role_words));
}

int store_account_of_domain(struct store *s, struct uuid domain, struct span after, size_t limit, store_person_fn fn,
                            void *ctx, struct err *e)
{
    struct person_list  l = {fn, ctx};
    const struct db_val vals[] = {dbv_uuid(&domain), dbv_text(after.p != NULL ? after : SPAN("")),
                                  dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->main, of_domain_sql, vals, COUNT(vals), each_person, &l, e);
}

int store_account_is_in(struct store *s, struct uuid account, struct uuid domain, bool *out, struct err *e)
{
    struct db_rows *r;
    int rc = row_first(s->main, is_in_sql, (struct db_val[]){dbv_uuid(&account), dbv_uuid(&domain)}, 2, &r, e);

    *out = rc > 0;
    if (rc > 0)
        db_rows_free(&r);
    return rc < 0 ? -1 : 0;
}

/* ---- roles ---- */

/* As the row has it: an admin's too, and of who is disabled. */
static int role_in_domain(struct store *s, struct uuid account, struct uuid domain, enum role *out, struct err *e)
{
    struct db_rows *r;
    int rc = row_first(s->main, role_row_sql, (struct db_val[]){dbv_uuid(&account), dbv_uuid(&domain)}, 2, &r, e);

    *out = ROLE_USER;
    if (rc <= 0)
        return rc;
    *out = (enum role)col_word(r, 0, role_words);
    db_rows_free(&r);
    return 0;
}

static void put_role(struct buf *b, const char *key, const void *role)
{
    json_open(b, key, '{');
    json_add_str(b, "role", role_words[*(const enum role *)role]);
    json_close(b, '}');
}

static int role_set_in(struct store *s, const struct actor *by, struct uuid account, struct uuid domain, enum role role,
                       struct err *e)
{
    struct db_val         keys[4] = {dbv_uuid(&account), dbv_uuid(&domain), dbv_word(role_words, (int)role),
                                     dbv_i64(clock_wall_us())};
    enum role             before;
    struct payload_change c = {"role.set", "account", account, put_role, &before, &role};
    int                   rc;

    if (role_in_domain(s, account, domain, &before, e) < 0)
        return -1;
    if (role == ROLE_USER)
        rc = row_change_one(s, role_delete_sql, keys, 2, "role", e);
    else
        rc = db_run(s->main, role_put_sql, keys, 4, NULL, e);
    if (rc < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "no such account or domain") : -1;
    return payload_note(s, by, store_scope_domain(domain), &c, e);
}

int store_role_set(struct store *s, const struct actor *by, struct uuid account, struct uuid domain, enum role role,
                   struct err *e)
{
    bool own;

    if (role == ROLE_ADMIN)
        return err_set(e, ERR_INVALID, "an admin is one everywhere: set the account's admin mark");
    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, role_set_in(s, by, account, domain, role, e), e);
}

int store_role_of(struct store *s, struct uuid account, struct uuid domain, enum role *out, struct err *e)
{
    struct db_rows *r;
    int rc = row_first(s->main, role_get_sql, (struct db_val[]){dbv_uuid(&account), dbv_uuid(&domain)}, 2, &r, e);

    *out = ROLE_USER;
    if (rc <= 0)
        return rc;
    if (db_i64(r, 0) != 0)
        *out = ROLE_ADMIN;
    else if (!db_is_null(r, 1))
        *out = (enum role)col_word(r, 1, role_words);
    db_rows_free(&r);
    return 0;
}

struct role_list {
    store_role_fn fn;
    void         *ctx;
};

static int each_role(void *arg, struct db_rows *r)
{
    struct role_list *l = arg;
    struct uuid       account = col_uuid(r, 0), domain = col_uuid(r, 1);

    return l->fn(l->ctx, &account, &domain, db_text(r, 2), (enum role)col_word(r, 3, role_words));
}

int store_role_list(struct store *s, struct uuid account, store_role_fn fn, void *ctx, struct err *e)
{
    struct role_list l = {fn, ctx};

    return row_each(s->main, role_list_sql, (struct db_val[]){dbv_uuid(&account)}, 1, each_role, &l, e);
}

struct owner_list {
    store_owner_fn fn;
    void          *ctx;
};

static int each_owner(void *arg, struct db_rows *r)
{
    struct owner_list *l = arg;

    return l->fn(l->ctx, db_text(r, 0));
}

int store_role_owners(struct store *s, struct uuid domain, store_owner_fn fn, void *ctx, struct err *e)
{
    struct owner_list l = {fn, ctx};

    return row_each(s->main, owners_sql, (struct db_val[]){dbv_uuid(&domain)}, 1, each_owner, &l, e);
}
