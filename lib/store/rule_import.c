/* lib/store/rule_import.c - many rules at once. */
#include "store/rule_inside.h"

#include <stdlib.h>

#include "base/map.h"
#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

struct import_policy {
    struct store_policy policy;
    int64_t             count; /* rules put into it */
    bool                slow;  /* some with regexes without a fixed text */
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
    if (look_up_policies(i, policies, npolicies, e) < 0 || db_batch_begin(s->main, rule_row_insert_sql, e) < 0) {
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
    struct db_val         vals[RULE_ROW_VALUES];

    if (p == NULL)
        return err_set(e, ERR_INVALID, "a rule for a policy that the import did not name");
    if (rule_row_check(r, e) < 0 || rule_row_permit(i->by, &p->policy, r->action, e) < 0)
        return -1;
    rule_row_values(r, &id, i->now_us, vals);
    if (db_batch_add(i->s->main, vals, RULE_ROW_VALUES, e) < 0)
        return -1;
    p->count++;
    p->slow = p->slow || rule_row_slows(NULL, r);
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
        rc = rule_room_check(i->s, i->by, scopes[k], e);
    free(scopes);
    for (size_t k = 0; k < i->npolicies && rc == 0; k++)
        if (i->policies[k].slow)
            rc = store_scope_slow_fit(i->s, i->policies[k].policy.scope, 0, e);
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
