/* lib/store/rule_order.c - which rule of a policy decides first, and which policy a rule is in. */
#include "store/rule_inside.h"

#include <stdlib.h>

#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

static const char order_sql[] = "SELECT id, priority FROM rule WHERE policy_id = $1"
                                " ORDER BY priority, CASE WHEN action = 'allow' THEN 0 ELSE 1 END, id";
static const char priority_sql[] = "UPDATE rule SET priority = $2, updated_us = $3 WHERE id = $1";
static const char transfer_sql[] = "UPDATE rule SET policy_id = $2, updated_us = $3 WHERE id = $1";

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

    if (rule_row_before(s, by, id, a, &row, &p, e) == 0 && place(s, &p, &x, id, before, &from, &to, e) == 0)
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
    arena_init(&a, RULE_ROW_MAX);
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

    if (rule_row_before(s, by, id, a, &row, &from, e) < 0 || store_policy_get(s, policy, &to, e) < 0)
        return -1;
    if (from.scope.kind != to.scope.kind || !uuid_eq(&from.scope.id, &to.scope.id))
        return err_set(e, ERR_CONFLICT, "the policy %s belongs to somebody else", to.name);
    if (uuid_eq(&from.id, &to.id))
        return 0;
    if (rule_row_permit(by, &to, row.action, e) < 0 ||
        row_change_one(s, transfer_sql, vals, COUNT(vals), "rule", e) < 0)
        return -1;
    x = ranking_make();
    rc = place(s, &to, &x, id, NULL, &was, &is, e);
    free(x.rules);
    if (rc == 0 && !from.enabled && rule_row_slows(NULL, &row))
        rc = store_scope_slow_fit(s, to.scope, 0, e);
    return rc < 0 ? -1 : note_transfer(s, by, &id, &from, &to, e);
}

int store_rule_transfer(struct store *s, const struct actor *by, struct uuid id, struct uuid policy, struct err *e)
{
    struct arena a;
    bool         own;
    int          rc;

    if (row_begin(s, &own, e) < 0)
        return -1;
    arena_init(&a, RULE_ROW_MAX);
    rc = row_end(s, own, transfer_in(s, by, id, policy, &a, e), e);
    arena_fini(&a);
    return rc;
}
