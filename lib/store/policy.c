/* lib/store/policy.c - named sets of rules. */
#include "store/policy.h"

#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"
#include "store/rule.h"

#define COLUMNS                                                                                                        \
    "p.id, p.scope_kind, p.scope_id, p.name, p.priority, p.locked, p.is_default, p.enabled, p.created_us, "            \
    "p.updated_us"
static const char insert_sql[] =
    "INSERT INTO policy (scope_kind, scope_id, domain_id, mailbox_id, id, name, priority, locked, is_default, enabled,"
    " created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)";
static const char update_sql[] =
    "UPDATE policy SET name = $2, priority = $3, locked = $4, is_default = $5, enabled = $6,"
    " updated_us = $7 WHERE id = $1";
static const char one_default_sql[] = "UPDATE policy SET is_default = 0 WHERE is_default = 1 AND id <> $1";
static const char delete_sql[] = "DELETE FROM policy WHERE id = $1";
static const char get_sql[] = "SELECT " COLUMNS " FROM policy p WHERE p.id = $1";
static const char find_sql[] = "SELECT " COLUMNS
                               " FROM policy p WHERE p.scope_kind = $1 AND p.scope_id = $2 AND p.name = $3";
#define COUNTS                                                                                                         \
    "(SELECT COUNT(*) FROM rule r WHERE r.policy_id = p.id),"                                                          \
    " (SELECT COUNT(*) FROM policy_assignment a WHERE a.policy_id = p.id)"
static const char count_sql[] = "SELECT " COUNTS " FROM policy p WHERE p.id = $1";
static const char list_sql[] = "SELECT " COLUMNS ", " COUNTS
                               " FROM policy p WHERE p.scope_kind = $1 AND p.scope_id = $2 ORDER BY p.priority, p.id";
static const char assign_sql[] = "INSERT INTO policy_assignment (policy_id, domain_id, created_us) VALUES ($1, $2, $3)"
                                 " ON CONFLICT (policy_id, domain_id) DO NOTHING";
static const char unassign_sql[] = "DELETE FROM policy_assignment WHERE policy_id = $1 AND domain_id = $2";
static const char domains_sql[] = "SELECT d.id, d.name FROM policy_assignment a JOIN domain d ON d.id = a.domain_id"
                                  " WHERE a.policy_id = $1 AND d.name > $2 ORDER BY d.name LIMIT $3";
static const char allows_sql[] = "SELECT COUNT(*) FROM rule WHERE policy_id = $1 AND action = 'allow'";

static void read_row(struct db_rows *r, struct store_policy *out)
{
    *out = (struct store_policy){
        .id = col_uuid(r, 0),
        .priority = (int32_t)db_i64(r, 4),
        .locked = db_i64(r, 5) != 0,
        .is_default = db_i64(r, 6) != 0,
        .enabled = db_i64(r, 7) != 0,
        .created_us = db_i64(r, 8),
        .updated_us = db_i64(r, 9),
    };
    out->scope.kind = (enum scope_kind)col_word(r, 1, scope_kind_words);
    out->scope.id = col_uuid(r, 2);
    col_str(r, 3, out->name, sizeof out->name);
}

static int read_one(struct store *s, const char *sql, const struct db_val *keys, size_t n, struct store_policy *out,
                    struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, keys, n, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "policy");
    read_row(r, out);
    db_rows_free(&r);
    return 0;
}

int store_policy_get(struct store *s, struct uuid id, struct store_policy *out, struct err *e)
{
    return read_one(s, get_sql, (struct db_val[]){dbv_uuid(&id)}, 1, out, e);
}

int store_policy_count(struct store *s, struct store_policy *p, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, count_sql, (struct db_val[]){dbv_uuid(&p->id)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "policy");
    p->nrules = db_i64(r, 0);
    p->nassigned = db_i64(r, 1);
    db_rows_free(&r);
    return 0;
}

int store_policy_find(struct store *s, struct store_scope scope, struct span name, struct store_policy *out,
                      struct err *e)
{
    struct db_val keys[] = {dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id), dbv_text(name)};

    if (read_one(s, find_sql, keys, COUNT(keys), out, e) == 0)
        return 0;
    return e != NULL && e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such policy: %.*s", SPAN_ARG(name))
                                                 : -1;
}

struct policy_list {
    store_policy_fn fn;
    void           *ctx;
};

static int each_policy(void *arg, struct db_rows *r)
{
    struct policy_list *l = arg;
    struct store_policy p;

    read_row(r, &p);
    p.nrules = db_i64(r, 10);
    p.nassigned = db_i64(r, 11);
    return l->fn(l->ctx, &p);
}

int store_policy_list(struct store *s, struct store_scope scope, store_policy_fn fn, void *ctx, struct err *e)
{
    struct policy_list l = {fn, ctx};
    struct db_val      keys[] = {dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id)};

    return row_each(s->main, list_sql, keys, COUNT(keys), each_policy, &l, e);
}

/* ---- changing ---- */

void store_policy_put(struct buf *b, const struct store_policy *p)
{
    json_add_str(b, "name", p->name);
    json_add_i64(b, "priority", p->priority);
    json_add_bool(b, "locked", p->locked);
    json_add_bool(b, "default", p->is_default);
    json_add_bool(b, "enabled", p->enabled);
}

static void put_payload(struct buf *b, const char *key, const void *row)
{
    json_open(b, key, '{');
    store_policy_put(b, row);
    json_close(b, '}');
}

static int note(struct store *s, const struct actor *by, const char *action, const struct store_policy *p,
                const struct store_policy *before, const struct store_policy *after, struct err *e)
{
    struct payload_change c = {action, "policy", p->id, put_payload, before, after};

    return payload_note(s, by, p->scope, &c, e);
}

bool store_policy_is_built_in(const struct store_policy *p)
{
    struct span name = span_of(p->name);

    return (p->scope.kind != SCOPE_GLOBAL && span_is(name, POLICY_RULES)) ||
           (p->scope.kind == SCOPE_DOMAIN && span_is(name, POLICY_ENFORCED));
}

static int check(const struct actor *by, const struct store_policy *p, struct err *e)
{
    if (p->scope.kind == SCOPE_GLOBAL && !by->admin)
        return err_set(e, ERR_DENIED, "global policies are the operator's");
    if (p->is_default && p->scope.kind != SCOPE_GLOBAL)
        return err_set(e, ERR_INVALID, "only a global policy can be the default");
    if (p->locked && p->scope.kind == SCOPE_MAILBOX)
        return err_set(e, ERR_INVALID, "a mailbox's policy cannot be locked: nothing is below it");
    if (p->priority < -1000000 || p->priority > 1000000)
        return err_set(e, ERR_INVALID, "a priority lies between -1,000,000 and 1,000,000");
    return check_text(span_of(p->name), 1, STORE_NAME_MAX, "the policy's name", e);
}

/* There is at most one default: the new one takes the place. */
static int keep_one_default(struct store *s, const struct store_policy *p, struct err *e)
{
    if (!p->is_default)
        return 0;
    return db_run(s->main, one_default_sql, (struct db_val[]){dbv_uuid(&p->id)}, 1, NULL, e);
}

static int add_in(struct store *s, const struct actor *by, const struct store_policy *p, struct err *e)
{
    struct db_val vals[] = {
        DBV_SCOPE(&p->scope), dbv_uuid(&p->id),        dbv_str(p->name),     dbv_i64(p->priority),
        dbv_bool(p->locked),  dbv_bool(p->is_default), dbv_bool(p->enabled), dbv_i64(clock_wall_us()),
    };

    if (store_change_note(s, CHANGE_POLICY, p->scope, &p->id, e) < 0)
        return -1;
    if (db_run(s->main, insert_sql, vals, COUNT(vals), NULL, e) < 0) {
        if (e != NULL && e->code == ERR_INVALID)
            return err_set(e, ERR_NOT_FOUND, "no such domain or mailbox");
        return say_conflict(e, "the policy %s exists already", p->name);
    }
    if (keep_one_default(s, p, e) < 0)
        return -1;
    return note(s, by, "policy.add", p, NULL, p, e);
}

int store_policy_add(struct store *s, const struct actor *by, const struct store_policy *p, struct uuid *id_out,
                     struct err *e)
{
    struct store_policy mine = *p;
    bool                own;

    mine.id = uuid7_make();
    if (check(by, p, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = mine.id;
    return row_end(s, own, add_in(s, by, &mine, e), e);
}

/* Locked is stronger than all below it, and so is an allow in it. */
static int check_lock(struct store *s, const struct actor *by, const struct store_policy *p, struct err *e)
{
    int64_t allows = 0;

    if (by->admin || !p->locked)
        return 0;
    if (row_i64(s->main, allows_sql, (struct db_val[]){dbv_uuid(&p->id)}, 1, &allows, e) < 0)
        return -1;
    return allows == 0 ? 0
                       : err_set(e, ERR_DENIED, "%s has %lld allows: only an admin locks such a policy", p->name,
                                 (long long)allows);
}

static int check_change(struct store *s, const struct actor *by, const struct store_policy *before,
                        const struct store_policy *after, struct err *e)
{
    if (check(by, after, e) < 0)
        return -1;
    if (store_policy_is_built_in(before) && (strcmp(before->name, after->name) != 0 || before->locked != after->locked))
        return err_set(e, ERR_CONFLICT, "%s keeps its name and its lock: every %s has this policy", before->name,
                       scope_kind_words[before->scope.kind]);
    return before->locked ? 0 : check_lock(s, by, after, e);
}

static int set_in(struct store *s, const struct actor *by, const struct store_policy *p, struct err *e)
{
    struct store_policy before, after = *p;

    if (store_change_hold(s, e) < 0 || store_policy_get(s, p->id, &before, e) < 0)
        return -1;
    after.scope = before.scope;
    if (check_change(s, by, &before, &after, e) < 0 || store_change_note(s, CHANGE_POLICY, before.scope, &p->id, e) < 0)
        return -1;
    if (row_change_one(s, update_sql,
                       (struct db_val[]){dbv_uuid(&p->id), dbv_str(p->name), dbv_i64(p->priority), dbv_bool(p->locked),
                                         dbv_bool(p->is_default), dbv_bool(p->enabled), dbv_i64(clock_wall_us())},
                       7, "policy", e) < 0)
        return say_conflict(e, "the policy %s exists already", p->name);
    if (keep_one_default(s, &after, e) < 0 ||
        (after.enabled && !before.enabled && store_scope_slow_fit(s, after.scope, 0, e) < 0))
        return -1;
    return note(s, by, "policy.set", &after, &before, &after, e);
}

int store_policy_set(struct store *s, const struct actor *by, const struct store_policy *p, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, p, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct store_policy before;

    if (store_policy_get(s, id, &before, e) < 0 || check(by, &before, e) < 0)
        return -1;
    if (store_policy_is_built_in(&before))
        return err_set(e, ERR_CONFLICT, "every %s has the policy %s: switch it off, or delete its rules",
                       scope_kind_words[before.scope.kind], before.name);
    if (store_change_note(s, CHANGE_POLICY, before.scope, &id, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "policy", e) < 0)
        return -1;
    return note(s, by, "policy.delete", &before, &before, NULL, e);
}

int store_policy_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}

/* ---- assigning ---- */

static int note_assignment(struct store *s, const struct actor *by, const char *action, const struct store_policy *p,
                           struct uuid domain, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_str(&b, "policy", p->name);
    json_close(&b, '}');
    rc = store_audit_note(s, by, action, "policy", &p->id, store_scope_domain(domain), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static int assign_in(struct store *s, const struct actor *by, struct uuid policy, struct uuid domain, bool on,
                     struct err *e)
{
    struct db_val       vals[] = {dbv_uuid(&policy), dbv_uuid(&domain), dbv_i64(clock_wall_us())};
    struct store_policy p;

    if (!by->admin)
        return err_set(e, ERR_DENIED, "where global policies hold is for the operator to say");
    if (store_change_note(s, CHANGE_ASSIGNMENT, store_scope_domain(domain), &policy, e) < 0 ||
        store_policy_get(s, policy, &p, e) < 0)
        return -1;
    if (p.scope.kind != SCOPE_GLOBAL)
        return err_set(e, ERR_INVALID, "only a global policy can be assigned; %s belongs to a %s", p.name,
                       scope_kind_words[p.scope.kind]);
    if (!on && row_change_one(s, unassign_sql, vals, 2, "assignment", e) < 0)
        return -1;
    if (on && db_run(s->main, assign_sql, vals, 3, NULL, e) < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "there is no such domain") : -1;
    return note_assignment(s, by, on ? "policy.assign" : "policy.unassign", &p, domain, e);
}

int store_policy_assign(struct store *s, const struct actor *by, struct uuid policy, struct uuid domain, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, assign_in(s, by, policy, domain, true, e), e);
}

int store_policy_unassign(struct store *s, const struct actor *by, struct uuid policy, struct uuid domain,
                          struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, assign_in(s, by, policy, domain, false, e), e);
}

struct domain_list {
    store_policy_domain_fn fn;
    void                  *ctx;
};

static int each_domain(void *arg, struct db_rows *r)
{
    struct domain_list *l = arg;
    struct uuid         id = col_uuid(r, 0);

    return l->fn(l->ctx, &id, db_text(r, 1));
}

int store_policy_domains(struct store *s, struct uuid policy, struct span after, size_t limit,
                         store_policy_domain_fn fn, void *ctx, struct err *e)
{
    struct domain_list l = {fn, ctx};
    struct db_val      vals[] = {dbv_uuid(&policy), dbv_text(after.p ? after : SPAN("")),
                                 dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->main, domains_sql, vals, COUNT(vals), each_domain, &l, e);
}
