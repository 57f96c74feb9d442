/* lib/store/rule_limit.c - what a rule may be, who may write it, and how many a scope may have. */
#include "store/rule_inside.h"

#include "store/row.h"
#include "store/setting.h"

static const char count_to_sql[] =
    "SELECT COUNT(*) FROM (SELECT 1 AS one FROM policy p JOIN rule r ON r.policy_id = p.id"
    " WHERE p.scope_kind = $1 AND p.scope_id = $2 LIMIT $3) AS x";
static const char domain_of_sql[] = "SELECT domain_id FROM mailbox WHERE id = $1";

/* As may_have_regex(). */
static const char slow_sql[] = "SELECT r.conditions FROM policy p JOIN rule r ON r.policy_id = p.id"
                               " WHERE p.scope_kind = $1 AND p.scope_id = $2 AND p.enabled = 1 AND r.enabled = 1"
                               " AND (r.conditions LIKE '%\"regex\"%' OR r.conditions LIKE '%\"/%')";

int rule_row_check(const struct store_rule *r, struct err *e)
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
int rule_row_permit(const struct actor *by, const struct store_policy *p, enum rule_action action, struct err *e)
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

int rule_room_check(struct store *s, const struct actor *by, struct store_scope scope, struct err *e)
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

/* ---- regexes without a fixed text ---- */

/* lib/rules writes a regex as "match":"regex", or as an entry "/…/": what has neither need not be read. */
static bool may_have_regex(struct span conditions)
{
    return span_find(conditions, SPAN("\"regex\"")) < conditions.n || span_find(conditions, SPAN("\"/")) < conditions.n;
}

static size_t count_slow(struct span conditions)
{
    struct rule  r = {0};
    struct arena a;
    size_t       n = 0;

    if (!may_have_regex(conditions))
        return 0;
    arena_init(&a, 64 << 20);
    if (rule_conditions_from_json(conditions, &a, NULL, &r, NULL) == 0)
        n = rule_slow_regexes(&r);
    arena_fini(&a);
    return n;
}

bool rule_row_slows(const struct store_rule *before, const struct store_rule *after)
{
    size_t has = after->enabled ? count_slow(after->conditions) : 0;

    return has > (has > 0 && before != NULL && before->enabled ? count_slow(before->conditions) : 0);
}

static int each_slow(void *ctx, struct db_rows *r)
{
    size_t *n = ctx;

    *n += count_slow(db_text(r, 0));
    return 0;
}

int store_scope_slow_fit(struct store *s, struct store_scope scope, size_t more, struct err *e)
{
    size_t n = 0;

    if (row_each(s->main, slow_sql, (struct db_val[]){dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id)},
                 2, each_slow, &n, e) < 0)
        return -1;
    if (n + more <= SCOPE_SLOW_REGEX_MAX)
        return 0;
    return err_set(e, ERR_LIMIT,
                   "there would be %zu regular expressions without a fixed text of at least 3 characters here, and %d "
                   "are allowed. Give them such a text, or use contains",
                   n + more, SCOPE_SLOW_REGEX_MAX);
}
