/* lib/store/rule.c - rules as rows. */
#include "store/rule_inside.h"

#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

static const char *const action_words[] = {[RULE_ALLOW] = "allow", [RULE_BLOCK] = "block", NULL};
static const char *const flow_words[] = {"", [FLOW_FROM] = "from", [FLOW_TO] = "to", [FLOW_FROM_OR_TO] = "from_or_to",
                                         NULL};

#define COLUMNS                                                                                                        \
    "r.id, r.policy_id, p.scope_kind, p.scope_id, p.priority, p.locked, p.is_default, p.name, r.name, r.action, "      \
    "r.flow,"                                                                                                          \
    " r.priority, r.enabled, r.require_proof, r.test_only, r.expires_us, r.created_us, r.updated_us, r.conditions"
#define FROM " FROM policy p JOIN rule r ON r.policy_id = p.id"
#define OF_SCOPE " WHERE p.scope_kind = $1 AND p.scope_id = $2"
static const char load_sql[] = "SELECT " COLUMNS FROM OF_SCOPE " AND p.enabled = 1 AND r.enabled = 1";
static const char load_one_sql[] = "SELECT " COLUMNS FROM " WHERE r.id = $1 AND p.enabled = 1 AND r.enabled = 1";
static const char                                    get_sql[] = "SELECT " COLUMNS ", r.note" FROM " WHERE r.id = $1";
static const char list_sql[] = "SELECT " COLUMNS ", r.note" FROM OF_SCOPE " AND r.id > $3 ORDER BY r.id LIMIT $4";
static const char list_policy_sql[] = "SELECT " COLUMNS ", r.note" FROM OF_SCOPE
                                      " AND r.policy_id = $5 AND r.id > $3 ORDER BY r.id LIMIT $4";
static const char short_sql[] = "SELECT id FROM rule WHERE substr(id, 13, 4) = $1 LIMIT 2";
static const char count_sql[] = "SELECT COUNT(*)" FROM OF_SCOPE;
static const char                                      count_all_sql[] = "SELECT COUNT(*) FROM rule";
static const char                                      update_sql[] =
    "UPDATE rule SET name = $3, action = $4, priority = $5, enabled = $6, flow = $7, expires_us = $8, require_proof = "
    "$9,"
    " test_only = $10, note = $11, conditions = $12, updated_us = $13 WHERE id = $1 AND policy_id = $2";
static const char enable_sql[] = "UPDATE rule SET enabled = $2, updated_us = $3 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM rule WHERE id = $1";

const char rule_row_insert_sql[] =
    "INSERT INTO rule (id, policy_id, name, action, priority, enabled, flow, expires_us, require_proof, test_only, "
    "note,"
    " conditions, created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)";

/* ---- reading ---- */

static void read_row(struct db_rows *r, bool with_note, struct store_rule *out)
{
    *out = (struct store_rule){
        .id = col_uuid(r, 0),
        .policy = col_uuid(r, 1),
        .policy_priority = (int32_t)db_i64(r, 4),
        .locked = db_i64(r, 5) != 0,
        .is_default = db_i64(r, 6) != 0,
        .policy_name = db_text(r, 7),
        .name = db_text(r, 8),
        .priority = (int32_t)db_i64(r, 11),
        .enabled = db_i64(r, 12) != 0,
        .require_proof = db_i64(r, 13) != 0,
        .test_only = db_i64(r, 14) != 0,
        .expires_us = db_i64(r, 15),
        .created_us = db_i64(r, 16),
        .updated_us = db_i64(r, 17),
        .conditions = db_text(r, 18),
        .note = with_note ? db_text(r, 19) : SPAN_NONE,
    };
    out->scope.kind = (enum scope_kind)col_word(r, 2, scope_kind_words);
    out->scope.id = col_uuid(r, 3);
    out->action = (enum rule_action)col_word(r, 9, action_words);
    out->flow = (enum rule_flow)col_word(r, 10, flow_words);
}

struct rule_list {
    store_rule_fn fn;
    void         *ctx;
    bool          with_note;
};

static int each_rule(void *arg, struct db_rows *r)
{
    struct rule_list *l = arg;
    struct store_rule rule;

    read_row(r, l->with_note, &rule);
    return l->fn(l->ctx, &rule);
}

int store_scope_load(struct store *s, struct store_scope scope, store_rule_fn fn, void *ctx, struct err *e)
{
    struct rule_list l = {fn, ctx, false};
    struct db_val    keys[] = {dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id)};

    return row_each(s->main, load_sql, keys, COUNT(keys), each_rule, &l, e);
}

static int read_one(struct store *s, const char *sql, struct uuid id, bool with_note, struct arena *a,
                    struct store_rule *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, (struct db_val[]){dbv_uuid(&id)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "rule");
    read_row(r, with_note, out);
    out->name = arena_dup(a, out->name);
    out->note = arena_dup(a, out->note);
    out->policy_name = arena_dup(a, out->policy_name);
    out->conditions = arena_dup(a, out->conditions);
    db_rows_free(&r);
    return a->full ? err_set(e, ERR_LIMIT, "a rule larger than the memory for it") : 0;
}

int store_scope_load_one(struct store *s, struct uuid rule, struct arena *a, struct store_rule *out, struct err *e)
{
    return read_one(s, load_one_sql, rule, false, a, out, e);
}

int store_rule_get(struct store *s, struct uuid id, struct arena *a, struct store_rule *out, struct err *e)
{
    return read_one(s, get_sql, id, true, a, out, e);
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) % 16 : -1;
}

/* The ids that end like this; no index serves it, but the ids alone are a small walk even for a million. */
static int find_short(struct store *s, const uint8_t tail[4], struct uuid *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, short_sql, (struct db_val[]){dbv_bytes(tail, 4)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "rule");
    *out = col_uuid(r, 0);
    rc = db_next(r, e);
    db_rows_free(&r);
    return rc > 0 ? err_set(e, ERR_CONFLICT, "several rules end like this: give the whole id") : rc;
}

int store_rule_find(struct store *s, struct span text, struct uuid *id_out, struct err *e)
{
    uint8_t tail[4] = {0};

    if (text.n != 8) {
        if (!uuid_parse(text, id_out))
            return err_set(e, ERR_INVALID, "a rule's id has 36 characters, or 8 hex digits for short");
        return 0;
    }
    for (size_t i = 0; i < 8; i++) {
        if (hex(text.p[i]) < 0)
            return err_at(e, i, "not a hex digit in the rule's id");
        tail[i / 2] = (uint8_t)(tail[i / 2] << 4 | hex(text.p[i]));
    }
    return find_short(s, tail, id_out, e);
}

int store_rule_list(struct store *s, struct store_scope scope, const struct uuid *policy, const struct uuid *after,
                    size_t limit, store_rule_fn fn, void *ctx, struct err *e)
{
    struct rule_list l = {fn, ctx, true};
    struct db_val    vals[] = {
           dbv_word(scope_kind_words, (int)scope.kind),
           dbv_uuid(&scope.id),
           dbv_uuid(after ? after : &uuid_zero),
           dbv_i64(limit == 0 ? INT64_MAX : (int64_t)limit),
           dbv_uuid_or_null(policy),
    };

    return row_each(s->main, policy ? list_policy_sql : list_sql, vals, policy ? 5 : 4, each_rule, &l, e);
}

int store_rule_count(struct store *s, struct store_scope scope, int64_t *out, struct err *e)
{
    struct db_val keys[] = {dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id)};

    return row_i64(s->main, count_sql, keys, COUNT(keys), out, e) < 0 ? -1 : 0;
}

int store_rule_count_all(struct store *s, int64_t *out, struct err *e)
{
    return row_i64(s->main, count_all_sql, NULL, 0, out, e) < 0 ? -1 : 0;
}

/* ---- changing ---- */

static void put_payload(struct buf *b, const char *key, const void *row)
{
    const struct store_rule *r = row;

    json_open(b, key, '{');
    json_add_string(b, "name", r->name);
    json_add_str(b, "action", action_words[r->action]);
    json_add_str(b, "flow", flow_words[r->flow]);
    json_add_i64(b, "priority", r->priority);
    json_add_bool(b, "enabled", r->enabled);
    json_add_bool(b, "require_proof", r->require_proof);
    json_add_bool(b, "test_only", r->test_only);
    json_add_i64(b, "expires_us", r->expires_us);
    json_add_string(b, "note", r->note);
    json_add_json(b, "conditions", r->conditions);
    json_close(b, '}');
}

static int note(struct store *s, const struct actor *by, const char *action, struct store_scope scope, struct uuid id,
                const struct store_rule *before, const struct store_rule *after, struct err *e)
{
    struct payload_change c = {action, "rule", id, put_payload, before, after};

    return payload_note(s, by, scope, &c, e);
}

/* For rule_row_insert_sql and update_sql, which number them alike. */
void rule_row_values(const struct store_rule *r, const struct uuid *id, int64_t now_us,
                     struct db_val out[RULE_ROW_VALUES])
{
    struct db_val vals[RULE_ROW_VALUES] = {
        dbv_uuid(id),
        dbv_uuid(&r->policy),
        dbv_text(r->name),
        dbv_word(action_words, (int)r->action),
        dbv_i64(r->priority),
        dbv_bool(r->enabled),
        dbv_word(flow_words, (int)r->flow),
        r->expires_us ? dbv_i64(r->expires_us) : DBV_NULL,
        dbv_bool(r->require_proof),
        dbv_bool(r->test_only),
        dbv_text(r->note),
        dbv_text(r->conditions),
        dbv_i64(now_us),
    };

    memcpy(out, vals, sizeof vals);
}

static int add_in(struct store *s, const struct actor *by, const struct store_rule *r, const struct uuid *id,
                  struct err *e)
{
    struct db_val       vals[RULE_ROW_VALUES];
    struct store_policy p;

    if (store_policy_get(s, r->policy, &p, e) < 0 || rule_row_permit(by, &p, r->action, e) < 0 ||
        store_change_note(s, CHANGE_RULE, p.scope, id, e) < 0)
        return -1;
    rule_row_values(r, id, clock_wall_us(), vals);
    if (db_run(s->main, rule_row_insert_sql, vals, RULE_ROW_VALUES, NULL, e) < 0 ||
        rule_room_check(s, by, p.scope, e) < 0 ||
        (rule_row_slows(NULL, r) && store_scope_slow_fit(s, p.scope, 0, e) < 0))
        return -1;
    return note(s, by, "rule.add", p.scope, *id, NULL, r, e);
}

struct store_rule store_rule_of(const struct rule *r, const struct uuid *policy, struct span conditions)
{
    return (struct store_rule){
        .id = r->id,
        .policy = *policy,
        .name = r->name,
        .note = r->note,
        .conditions = conditions,
        .action = r->action,
        .flow = r->flow,
        .priority = r->priority,
        .enabled = r->enabled,
        .require_proof = r->require_proof,
        .test_only = r->test_only,
        .expires_us = r->expires_us,
    };
}

int store_rule_add(struct store *s, const struct actor *by, const struct store_rule *r, struct uuid *id_out,
                   struct err *e)
{
    bool own;

    if (rule_row_check(r, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = uuid7_make();
    return row_end(s, own, add_in(s, by, r, id_out, e), e);
}

int rule_row_before(struct store *s, const struct actor *by, struct uuid id, struct arena *a, struct store_rule *out,
                    struct store_policy *policy_out, struct err *e)
{
    if (store_change_hold(s, e) < 0 || store_rule_get(s, id, a, out, e) < 0 ||
        store_policy_get(s, out->policy, policy_out, e) < 0)
        return -1;
    if (policy_out->scope.kind == SCOPE_GLOBAL && !by->admin)
        return err_set(e, ERR_DENIED, "global rules are the operator's");
    return store_change_note(s, CHANGE_RULE, policy_out->scope, &id, e);
}

static int set_in(struct store *s, const struct actor *by, const struct store_rule *r, struct arena *a, struct err *e)
{
    struct store_rule   before, after = *r;
    struct store_policy p;
    struct db_val       vals[RULE_ROW_VALUES];

    if (rule_row_before(s, by, r->id, a, &before, &p, e) < 0 || rule_row_permit(by, &p, r->action, e) < 0)
        return -1;
    after.policy = before.policy;
    rule_row_values(&after, &r->id, clock_wall_us(), vals);
    if (row_change_one(s, update_sql, vals, RULE_ROW_VALUES, "rule", e) < 0 ||
        (rule_row_slows(&before, &after) && store_scope_slow_fit(s, p.scope, 0, e) < 0))
        return -1;
    return note(s, by, "rule.set", p.scope, r->id, &before, &after, e);
}

static int enable_in(struct store *s, const struct actor *by, struct uuid id, bool on, struct arena *a, struct err *e)
{
    struct store_rule   before, after;
    struct store_policy p;

    if (rule_row_before(s, by, id, a, &before, &p, e) < 0 ||
        row_change_one(s, enable_sql, (struct db_val[]){dbv_uuid(&id), dbv_bool(on), dbv_i64(clock_wall_us())}, 3,
                       "rule", e) < 0)
        return -1;
    after = before;
    after.enabled = on;
    if (rule_row_slows(&before, &after) && store_scope_slow_fit(s, p.scope, 0, e) < 0)
        return -1;
    return note(s, by, on ? "rule.enable" : "rule.disable", p.scope, id, &before, &after, e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct arena *a, struct err *e)
{
    struct store_rule   before;
    struct store_policy p;

    if (rule_row_before(s, by, id, a, &before, &p, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "rule", e) < 0)
        return -1;
    return note(s, by, "rule.delete", p.scope, id, &before, NULL, e);
}

int store_rule_set(struct store *s, const struct actor *by, const struct store_rule *r, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (rule_row_check(r, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, RULE_ROW_MAX);
    rc = row_end(s, own, set_in(s, by, r, &a, e), e);
    arena_fini(&a);
    return rc;
}

int store_rule_enable(struct store *s, const struct actor *by, struct uuid id, bool on, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, RULE_ROW_MAX);
    rc = row_end(s, own, enable_in(s, by, id, on, &a, e), e);
    arena_fini(&a);
    return rc;
}

int store_rule_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, RULE_ROW_MAX);
    rc = row_end(s, own, delete_in(s, by, id, &a, e), e);
    arena_fini(&a);
    return rc;
}
