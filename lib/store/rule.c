/* lib/store/rule.c - rules as rows. */
#include "store/rule.h"

#include <stdlib.h>

#include "base/map.h"
#include "store/audit.h"
#include "store/change.h"
#include "store/policy.h"
#include "store/row.h"
#include "store/setting.h"

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
static const char count_to_sql[] = "SELECT COUNT(*) FROM (SELECT 1 AS one" FROM OF_SCOPE " LIMIT $3) AS x";
static const char count_all_sql[] = "SELECT COUNT(*) FROM rule";
static const char domain_of_sql[] = "SELECT domain_id FROM mailbox WHERE id = $1";
static const char insert_sql[] =
    "INSERT INTO rule (id, policy_id, name, action, priority, enabled, flow, expires_us, require_proof, test_only, "
    "note,"
    " conditions, created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)";
static const char update_sql[] =
    "UPDATE rule SET name = $3, action = $4, priority = $5, enabled = $6, flow = $7, expires_us = $8, require_proof = "
    "$9,"
    " test_only = $10, note = $11, conditions = $12, updated_us = $13 WHERE id = $1 AND policy_id = $2";
static const char enable_sql[] = "UPDATE rule SET enabled = $2, updated_us = $3 WHERE id = $1";
static const char order_sql[] = "SELECT id, priority FROM rule WHERE policy_id = $1"
                                " ORDER BY priority, CASE WHEN action = 'allow' THEN 0 ELSE 1 END, id";
static const char priority_sql[] = "UPDATE rule SET priority = $2, updated_us = $3 WHERE id = $1";
static const char transfer_sql[] = "UPDATE rule SET policy_id = $2, updated_us = $3 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM rule WHERE id = $1";

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

/* ---- what may be stored ---- */

static int check(const struct store_rule *r, struct err *e)
{
    if (check_text(r->name, 0, RULE_NAME_MAX, "the rule's name", e) < 0)
        return -1;
    if (r->note.n > RULE_NOTE_MAX)
        return err_set(e, ERR_INVALID, "the note has %zu bytes, at most %d", r->note.n, RULE_NOTE_MAX);
    if (r->conditions.n < 2 || r->conditions.n > RULE_JSON_MAX)
        return err_set(e, ERR_INVALID, "the conditions have %zu bytes of JSON, at most %d", r->conditions.n,
                       RULE_JSON_MAX);
    if (!is_storable(r->note) || !is_storable(r->conditions))
        return err_set(e, ERR_INVALID, "the rule's %s not UTF-8", is_storable(r->note) ? "conditions are" : "note is");
    if (r->priority < -1000000 || r->priority > 1000000)
        return err_set(e, ERR_INVALID, "a priority lies between -1,000,000 and 1,000,000");
    return 0;
}

/* Enforced means that nobody below can override it: an allow there would open a hole in everybody's rules. */
static int may_write(const struct actor *by, const struct store_policy *p, enum rule_action action, struct err *e)
{
    if (by->admin)
        return 0;
    if (p->scope.kind == SCOPE_GLOBAL)
        return err_set(e, ERR_DENIED, "global rules are the operator's");
    if (p->locked && action == RULE_ALLOW)
        return err_set(e, ERR_DENIED, "the policy %s is for blocks: only an admin puts an allow there", p->name);
    return 0;
}

/* How many rules the scope may have; -1: as many as it likes. */
static int quota_of(struct store *s, struct store_scope scope, int64_t *out, struct err *e)
{
    struct store_domain_view view;
    struct db_rows          *r;
    struct arena             a;
    struct uuid              domain = scope.id;
    int                      rc;

    *out = -1;
    if (scope.kind == SCOPE_GLOBAL)
        return 0;
    if (scope.kind == SCOPE_MAILBOX) {
        if ((rc = row_first(s->main, domain_of_sql, (struct db_val[]){dbv_uuid(&scope.id)}, 1, &r, e)) <= 0)
            return no_such(rc, e, "mailbox");
        domain = col_uuid(r, 0);
        db_rows_free(&r);
    }
    arena_init(&a, 1 << 20);
    rc = store_domain_view(s, &domain, &a, &view, e);
    arena_fini(&a);
    if (rc == 0)
        *out = scope.kind == SCOPE_DOMAIN ? view.rules_max : view.mailbox_rules_max;
    return rc;
}

/* Does the scope, with what was just put into it, keep its quota? */
static int check_quota(struct store *s, const struct actor *by, struct store_scope scope, struct err *e)
{
    int64_t max, n = 0;

    if (by->over_quota)
        return 0;
    if (quota_of(s, scope, &max, e) < 0)
        return -1;
    if (max < 0)
        return 0;
    if (row_i64(s->main, count_to_sql,
                (struct db_val[]){dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id), dbv_i64(max + 1)},
                3, &n, e) < 0)
        return -1;
    if (n <= max)
        return 0;
    return err_set(e, ERR_LIMIT, "this %s may have %lld rules at most: delete some, or have an admin raise the number",
                   scope_kind_words[scope.kind], (long long)max);
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

#define RULE_VALUES 13
/* For insert_sql and update_sql, which number them alike. */
static void rule_values(const struct store_rule *r, const struct uuid *id, int64_t now_us,
                        struct db_val out[RULE_VALUES])
{
    struct db_val vals[RULE_VALUES] = {
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
    struct db_val       vals[RULE_VALUES];
    struct store_policy p;

    if (store_policy_get(s, r->policy, &p, e) < 0 || may_write(by, &p, r->action, e) < 0 ||
        store_change_note(s, CHANGE_RULE, p.scope, id, e) < 0)
        return -1;
    rule_values(r, id, clock_wall_us(), vals);
    if (db_run(s->main, insert_sql, vals, RULE_VALUES, NULL, e) < 0 || check_quota(s, by, p.scope, e) < 0)
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

    if (check(r, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = uuid7_make();
    return row_end(s, own, add_in(s, by, r, id_out, e), e);
}

/* What a change of a stored rule needs to know first. The row waits in the arena. */
static int look_before(struct store *s, const struct actor *by, struct uuid id, struct arena *a, struct store_rule *out,
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
    struct db_val       vals[RULE_VALUES];

    if (look_before(s, by, r->id, a, &before, &p, e) < 0 || may_write(by, &p, r->action, e) < 0)
        return -1;
    after.policy = before.policy;
    rule_values(&after, &r->id, clock_wall_us(), vals);
    if (row_change_one(s, update_sql, vals, RULE_VALUES, "rule", e) < 0)
        return -1;
    return note(s, by, "rule.set", p.scope, r->id, &before, &after, e);
}

static int enable_in(struct store *s, const struct actor *by, struct uuid id, bool on, struct arena *a, struct err *e)
{
    struct store_rule   before, after;
    struct store_policy p;

    if (look_before(s, by, id, a, &before, &p, e) < 0 ||
        row_change_one(s, enable_sql, (struct db_val[]){dbv_uuid(&id), dbv_bool(on), dbv_i64(clock_wall_us())}, 3,
                       "rule", e) < 0)
        return -1;
    after = before;
    after.enabled = on;
    return note(s, by, on ? "rule.enable" : "rule.disable", p.scope, id, &before, &after, e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct arena *a, struct err *e)
{
    struct store_rule   before;
    struct store_policy p;

    if (look_before(s, by, id, a, &before, &p, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "rule", e) < 0)
        return -1;
    return note(s, by, "rule.delete", p.scope, id, &before, NULL, e);
}

#define ROW_MAX (RULE_JSON_MAX + RULE_NOTE_MAX + 4096)

int store_rule_set(struct store *s, const struct actor *by, const struct store_rule *r, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (check(r, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, ROW_MAX);
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
    arena_init(&a, ROW_MAX);
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
    arena_init(&a, ROW_MAX);
    rc = row_end(s, own, delete_in(s, by, id, &a, e), e);
    arena_fini(&a);
    return rc;
}

/* ---- order ---- */

#define MOVE_RULES_MAX 100000
#define MOVE_STEP 10 /* room for some moves between two */

struct ranked {
    struct uuid id;
    int64_t     priority;
};
struct ranking {
    struct ranked *rules; /* in the order in which they decide */
    size_t         n;
};

static int each_ranked(void *ctx, struct db_rows *r)
{
    struct ranking *x = ctx;

    if (x->n < MOVE_RULES_MAX)
        x->rules[x->n] = (struct ranked){col_uuid(r, 0), db_i64(r, 1)};
    return x->n++ == MOVE_RULES_MAX;
}

static size_t rank_of(const struct ranking *x, const struct uuid *id)
{
    size_t i = 0;

    while (i < x->n && !uuid_eq(&x->rules[i].id, id))
        i++;
    return i;
}

static void move_in_ranking(struct ranking *x, size_t from, size_t to)
{
    struct ranked moved = x->rules[from];

    if (from < to)
        memmove(&x->rules[from], &x->rules[from + 1], (to - from) * sizeof moved);
    else
        memmove(&x->rules[to + 1], &x->rules[to], (from - to) * sizeof moved);
    x->rules[to] = moved;
}

/* Between its neighbours, when a number is free there. */
static bool fits_between(struct ranking *x, size_t at, int64_t *out)
{
    int64_t low = at > 0 ? x->rules[at - 1].priority : INT64_MIN;
    int64_t high = at + 1 < x->n ? x->rules[at + 1].priority : INT64_MAX;

    if (low == INT64_MIN && high == INT64_MAX)
        *out = x->rules[at].priority;
    else if (low == INT64_MIN)
        *out = high - MOVE_STEP;
    else if (high == INT64_MAX)
        *out = low + (RULE_PRIORITY - low) / 2; /* in front of what is added later */
    else
        *out = low + (high - low) / 2;
    return *out > low && *out < high && *out >= -RULE_PRIORITY_MAX && *out <= RULE_PRIORITY_MAX;
}

static int set_priority(struct store *s, const struct ranked *r, int64_t priority, struct err *e)
{
    return row_change_one(s, priority_sql,
                          (struct db_val[]){dbv_uuid(&r->id), dbv_i64(priority), dbv_i64(clock_wall_us())}, 3, "rule",
                          e);
}

static int number_anew(struct store *s, const struct store_policy *p, const struct ranking *x, struct err *e)
{
    int64_t step = x->n <= RULE_PRIORITY_MAX / MOVE_STEP / 2 ? MOVE_STEP : 1;

    if (store_change_note(s, CHANGE_RULE, p->scope, NULL, e) < 0)
        return -1;
    for (size_t i = 0; i < x->n; i++) {
        int64_t priority = RULE_PRIORITY - step * (int64_t)(x->n - i);

        if (priority != x->rules[i].priority && set_priority(s, &x->rules[i], priority, e) < 0)
            return -1;
    }
    return 0;
}

static int note_move(struct store *s, const struct actor *by, const struct store_policy *p, const struct uuid *id,
                     size_t from, size_t to, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_uuid(&b, "policy", &p->id);
    json_open(&b, "before", '{');
    json_add_i64(&b, "place", (int64_t)from + 1);
    json_close(&b, '}');
    json_open(&b, "after", '{');
    json_add_i64(&b, "place", (int64_t)to + 1);
    json_close(&b, '}');
    json_close(&b, '}');
    rc = store_audit_note(s, by, "rule.move", "rule", id, p->scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

/* The ranking's room: for as many rules as a policy may have to be put in order. */
static struct ranking ranking_make(void)
{
    struct ranking x = {.rules = calloc(MOVE_RULES_MAX, sizeof *x.rules)};

    if (x.rules == NULL)
        panic("out of memory");
    return x;
}

static int place(struct store *s, const struct store_policy *p, struct ranking *x, struct uuid id,
                 const struct uuid *before, size_t *from_out, size_t *to_out, struct err *e)
{
    size_t  from, to;
    int64_t priority;

    if (row_each(s->main, order_sql, (struct db_val[]){dbv_uuid(&p->id)}, 1, each_ranked, x, e) < 0)
        return -1;
    if (x->n > MOVE_RULES_MAX)
        return err_set(e, ERR_LIMIT, "the policy has more than %d rules: give them priorities instead", MOVE_RULES_MAX);
    from = rank_of(x, &id);
    to = before != NULL ? rank_of(x, before) : x->n;
    if (from == x->n || (before != NULL && to == x->n))
        return err_set(e, ERR_CONFLICT, "the two rules are in different policies, whose order decides first");
    to -= to > from;
    *from_out = from;
    *to_out = to;
    if (to == from)
        return 0;
    move_in_ranking(x, from, to);
    return fits_between(x, to, &priority) ? set_priority(s, &x->rules[to], priority, e) : number_anew(s, p, x, e);
}

static int move_in(struct store *s, const struct actor *by, struct uuid id, const struct uuid *before, struct arena *a,
                   struct err *e)
{
    struct ranking      x = ranking_make();
    struct store_rule   row;
    struct store_policy p;
    size_t              from = 0, to = 0;
    int                 rc = -1;

    if (look_before(s, by, id, a, &row, &p, e) == 0 && place(s, &p, &x, id, before, &from, &to, e) == 0)
        rc = from == to ? 0 : note_move(s, by, &p, &id, from, to, e);
    free(x.rules);
    return rc;
}

int store_rule_move(struct store *s, const struct actor *by, struct uuid id, const struct uuid *before, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, ROW_MAX);
    rc = row_end(s, own, move_in(s, by, id, before, &a, e), e);
    arena_fini(&a);
    return rc;
}

/* ---- into another policy ---- */

static int note_transfer(struct store *s, const struct actor *by, const struct uuid *id,
                         const struct store_policy *from, const struct store_policy *to, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_open(&b, "before", '{');
    json_add_str(&b, "policy", from->name);
    json_close(&b, '}');
    json_open(&b, "after", '{');
    json_add_str(&b, "policy", to->name);
    json_close(&b, '}');
    json_close(&b, '}');
    rc = store_audit_note(s, by, "rule.move", "rule", id, to->scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static int transfer_in(struct store *s, const struct actor *by, struct uuid id, struct uuid policy, struct arena *a,
                       struct err *e)
{
    struct db_val       vals[] = {dbv_uuid(&id), dbv_uuid(&policy), dbv_i64(clock_wall_us())};
    struct ranking      x;
    struct store_rule   row;
    struct store_policy from, to;
    size_t              was = 0, is = 0;
    int                 rc;

    if (look_before(s, by, id, a, &row, &from, e) < 0 || store_policy_get(s, policy, &to, e) < 0)
        return -1;
    if (from.scope.kind != to.scope.kind || !uuid_eq(&from.scope.id, &to.scope.id))
        return err_set(e, ERR_CONFLICT, "the policy %s belongs to somebody else", to.name);
    if (uuid_eq(&from.id, &to.id))
        return 0;
    if (may_write(by, &to, row.action, e) < 0 || row_change_one(s, transfer_sql, vals, COUNT(vals), "rule", e) < 0)
        return -1;
    x = ranking_make();
    rc = place(s, &to, &x, id, NULL, &was, &is, e);
    free(x.rules);
    return rc < 0 ? -1 : note_transfer(s, by, &id, &from, &to, e);
}

int store_rule_transfer(struct store *s, const struct actor *by, struct uuid id, struct uuid policy, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, ROW_MAX);
    rc = row_end(s, own, transfer_in(s, by, id, policy, &a, e), e);
    arena_fini(&a);
    return rc;
}

/* ---- many at once ---- */

struct import_policy {
    struct store_policy policy;
    int64_t             count; /* rules put into it */
};

/* Owns the policies, and the transaction unless the caller had begun one. Borrows store and actor. */
struct store_import {
    struct store         *s;
    const struct actor   *by;
    struct import_policy *policies;
    size_t                npolicies;
    struct map            by_id; /* of the policies; the keys are their ids */
    int64_t               count, now_us;
    bool                  own, batching;
};

static struct span id_key(const struct uuid *id) { return span_make(id->b, sizeof id->b); }

static int look_up_policies(struct store_import *i, const struct uuid *policies, size_t n, struct err *e)
{
    if ((i->policies = calloc(n ? n : 1, sizeof *i->policies)) == NULL)
        panic("out of memory");
    for (; i->npolicies < n; i->npolicies++) {
        struct import_policy *p = &i->policies[i->npolicies];

        if (store_policy_get(i->s, policies[i->npolicies], &p->policy, e) < 0)
            return -1;
        map_put(&i->by_id, id_key(&p->policy.id), p);
    }
    return 0;
}

static void import_free(struct store_import **import)
{
    map_fini(&(*import)->by_id);
    free((*import)->policies);
    free(*import);
    *import = NULL;
}

void store_import_abort(struct store_import **import)
{
    struct store_import *i = *import;
    struct err           ignored;

    if (i == NULL)
        return;
    if (i->batching)
        db_batch_end(i->s->main, &ignored);
    row_end(i->s, i->own, -1, &ignored);
    import_free(import);
}

int store_import_begin(struct store *s, const struct actor *by, const struct uuid *policies, size_t npolicies,
                       struct store_import **out, struct err *e)
{
    struct store_import *i = calloc(1, sizeof *i);

    if (i == NULL)
        panic("out of memory");
    *out = NULL;
    *i = (struct store_import){.s = s, .by = by, .now_us = clock_wall_us()};
    map_init(&i->by_id);
    if (row_begin(s, &i->own, e) < 0) {
        import_free(&i);
        return -1;
    }
    if (look_up_policies(i, policies, npolicies, e) < 0 || db_batch_begin(s->main, insert_sql, e) < 0) {
        store_import_abort(&i);
        return -1;
    }
    i->batching = true;
    *out = i;
    return 0;
}

static int put_one(struct store_import *i, const struct store_rule *r, struct err *e)
{
    struct import_policy *p = map_get(&i->by_id, id_key(&r->policy));
    struct uuid           id = uuid7_make();
    struct db_val         vals[RULE_VALUES];

    if (p == NULL)
        return err_set(e, ERR_INVALID, "a rule for a policy that the import did not name");
    if (check(r, e) < 0 || may_write(i->by, &p->policy, r->action, e) < 0)
        return -1;
    rule_values(r, &id, i->now_us, vals);
    if (db_batch_add(i->s->main, vals, RULE_VALUES, e) < 0)
        return -1;
    p->count++;
    i->count++;
    return 0;
}

int store_import_put(struct store_import **import, const struct store_rule *r, struct err *e)
{
    if (put_one(*import, r, e) == 0)
        return 0;
    store_import_abort(import);
    return -1;
}

/* Each scope once, however many of its policies were filled: a domain's and a mailbox's id are never the same. */
static size_t touched_scopes(const struct store_import *i, struct store_scope *out)
{
    struct map seen;
    size_t     n = 0;

    map_init(&seen);
    for (size_t k = 0; k < i->npolicies; k++) {
        struct import_policy *p = &i->policies[k];

        if (p->count > 0 && map_put(&seen, id_key(&p->policy.scope.id), p) == NULL)
            out[n++] = p->policy.scope;
    }
    map_fini(&seen);
    return n;
}

/* The change feed comes last, so that its lock is held for a moment only. */
static int tell_changes(struct store_import *i, struct err *e)
{
    struct store_scope *scopes = calloc(i->npolicies, sizeof *scopes);
    size_t              n;
    int                 rc;

    if (scopes == NULL)
        panic("out of memory");
    n = touched_scopes(i, scopes);
    rc = store_change_note_scopes(i->s, CHANGE_RULE, scopes, n, e);
    for (size_t k = 0; k < n && rc == 0; k++)
        rc = check_quota(i->s, i->by, scopes[k], e);
    free(scopes);
    return rc;
}

static int note_import(struct store_import *i, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, 3 * PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_i64(&b, "rules", i->count);
    json_open(&b, "policies", '{');
    for (size_t k = 0; k < i->npolicies; k++) {
        char id[UUID_TEXT + 1];

        uuid_format(&i->policies[k].policy.id, id);
        json_add_i64(&b, id, i->policies[k].count);
    }
    json_close(&b, '}');
    json_close(&b, '}');
    rc = store_audit_note(i->s, i->by, "rule.import", "rule", NULL,
                          i->npolicies == 1 ? i->policies[0].policy.scope : STORE_SCOPE_GLOBAL, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

int store_import_commit(struct store_import **import, struct err *e)
{
    struct store_import *i = *import;
    int                  rc;

    i->batching = false;
    rc = db_batch_end(i->s->main, e);
    if (rc == 0 && i->count > 0 && (tell_changes(i, e) < 0 || note_import(i, e) < 0))
        rc = -1;
    rc = row_end(i->s, i->own, rc, e);
    import_free(import);
    return rc;
}
