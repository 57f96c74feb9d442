/* lib/store/compile.c - rows in, a compiled scope out.
 *
 * Rows are read one after the other, parsed in an arena that is reset for each, and copied by the scope's builder: memory is
 * the scope's own and one row. */
#include "store/compile.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/utf8.h"
#include "store/change.h"
#include "store/learned.h"
#include "store/row.h"
#include "store/rule.h"

#define ROW_ARENA_MAX (64u << 20)    /* one rule, parsed: RULE_JSON_MAX of text and its entries */
#define PATCH_ARENA_MAX (256u << 20) /* all rules of a patch */
#define STOP_EVERY 512               /* rows between two looks at `stop` */
#define LEARNED_NAME "Learned senders"

static const struct compile_how plain = {0};

/* ---- A row as a rule --------------------------------------------------------------------------------------------- */

static struct scope_policy policy_of(const struct store_rule *r)
{
    struct scope_policy p = {
        .id = r->policy, .priority = r->policy_priority, .locked = r->locked, .is_default = r->is_default};
    size_t n = utf8_clip(r->policy_name, sizeof p.name - 1);

    memcpy(p.name, r->policy_name.p ? r->policy_name.p : "", n);
    return p;
}

/* A mailbox's learned senders are one policy, and the mailbox itself lends it its id. */
static struct scope_policy policy_of_learned(const struct uuid *mailbox)
{
    struct scope_policy p = {.id = *mailbox, .priority = RULE_PRIORITY, .learned = true};

    snprintf(p.name, sizeof p.name, "%s", LEARNED_NAME);
    return p;
}

static int rule_of(const struct store_rule *row, struct arena *a, struct rule *out, struct err *e)
{
    *out = (struct rule){0};
    if (rule_conditions_from_json(row->conditions, a, NULL, out, e) < 0)
        return -1;
    out->id = row->id;
    out->name = row->name;
    out->action = row->action;
    out->priority = row->priority;
    out->enabled = true;
    out->require_proof = row->require_proof;
    out->test_only = row->test_only;
    out->flow = row->flow;
    out->expires_us = row->expires_us;
    return 0;
}

/* By way of JSON, so that the sender is read by the grammar that rules are read by. An entry rests on what was proven when it
 * was learned, so an allow asks for that proof again. */
static int rule_of_learned(const struct store_learned *l, struct arena *a, struct rule *out, struct err *e)
{
    struct buf json;
    int        rc;

    buf_init(&json, 16 * RULE_ENTRY_MAX);
    buf_puts(&json, "[{\"kind\":\"sender\",\"any\":[");
    json_put_string(&json, l->sender);
    buf_puts(&json, "]}]");
    *out = (struct rule){0};
    rc = json.failed ? err_set(e, ERR_LIMIT, "the learned sender is too long")
                     : rule_conditions_from_json(arena_dup(a, buf_span(&json)), a, NULL, out, e);
    buf_fini(&json);
    if (rc < 0)
        return -1;
    out->id = l->id;
    out->name = SPAN(LEARNED_NAME);
    out->action = l->action;
    out->priority = RULE_PRIORITY;
    out->enabled = out->require_proof = true;
    out->flow = FLOW_FROM;
    out->expires_us = l->expires_us;
    return 0;
}

/* ---- The whole scope --------------------------------------------------------------------------------------------- */

/* One compilation under way. Owns the arena, the builder (until it is built) and the list of policies. */
struct compiling {
    const struct compile_how *how;
    struct scope_builder     *b;
    struct arena              arena;
    struct uuid              *policies; /* those that the builder has; rows of one come in a run, mostly */
    size_t                    npolicies, last;
    size_t                    rows;
    struct err               *e;
    bool                      failed;
};

static void leave_out(const struct compile_how *how, const struct uuid *rule, const struct err *why)
{
    if (how->left_out != NULL)
        how->left_out(how->ctx, rule, why);
}

static bool has_policy(struct compiling *c, const struct uuid *id)
{
    if (c->npolicies > 0 && uuid_eq(&c->policies[c->last], id))
        return true;
    for (size_t i = 0; i < c->npolicies; i++) {
        if (uuid_eq(&c->policies[i], id)) {
            c->last = i;
            return true;
        }
    }
    return false;
}

static int add_policy(struct compiling *c, const struct scope_policy *p, struct err *e)
{
    if (has_policy(c, &p->id))
        return 0;
    if (scope_builder_policy(c->b, p, e) < 0)
        return -1;
    if ((c->npolicies & (c->npolicies - 1)) == 0) { /* full at every power of two */
        c->policies = realloc(c->policies, (c->npolicies ? 2 * c->npolicies : 1) * sizeof *c->policies);
        if (c->policies == NULL)
            panic("out of memory");
    }
    c->last = c->npolicies;
    c->policies[c->npolicies++] = p->id;
    return 0;
}

static int give_up(struct compiling *c, enum err_code code, const char *why)
{
    err_set(c->e, code, "%s after %zu rules", why, c->rows);
    c->failed = true;
    return -1;
}

/* What every row has to pass: the limit, and whether anybody still wants the result. 0 to go on. */
static int next_row(struct compiling *c)
{
    if (c->how->rules_max > 0 && c->rows >= c->how->rules_max)
        return give_up(c, ERR_LIMIT, "the scope was left");
    if (c->rows++ % STOP_EVERY == 0 && c->how->stop != NULL && c->how->stop(c->how->ctx))
        return give_up(c, ERR_BUSY, "compiling was stopped");
    arena_reset(&c->arena);
    return 0;
}

static int each_rule(void *arg, const struct store_rule *row)
{
    struct compiling   *c = arg;
    struct scope_policy policy;
    struct rule         rule;
    struct err          why = ERR_INIT;

    if (next_row(c) < 0)
        return -1;
    policy = policy_of(row);
    if (add_policy(c, &policy, &why) < 0 || rule_of(row, &c->arena, &rule, &why) < 0 ||
        scope_builder_rule(c->b, &policy.id, &rule, &why) < 0)
        leave_out(c->how, &row->id, &why);
    return 0;
}

static int each_learned(void *arg, const struct store_learned *l)
{
    struct compiling   *c = arg;
    struct scope_policy policy;
    struct rule         rule;
    struct err          why = ERR_INIT;

    if (next_row(c) < 0)
        return -1;
    policy = policy_of_learned(&l->mailbox);
    if (add_policy(c, &policy, &why) < 0 || rule_of_learned(l, &c->arena, &rule, &why) < 0 ||
        scope_builder_rule(c->b, &policy.id, &rule, &why) < 0)
        leave_out(c->how, &l->id, &why);
    return 0;
}

static int read_rows(struct compiling *c, struct store *s, struct store_scope scope, struct err *e)
{
    if (store_scope_load(s, scope, each_rule, c, e) < 0 || c->failed)
        return -1;
    if (scope.kind == SCOPE_MAILBOX && store_learned_load(s, scope.id, clock_wall_us(), each_learned, c, e) < 0)
        return -1;
    return c->failed ? -1 : 0;
}

int store_scope_compile(struct store *s, struct store_scope scope, const struct compile_how *how, struct scope **out,
                        struct err *e)
{
    struct err       mine = ERR_INIT;
    struct compiling c = {.how = how ? how : &plain, .e = e ? e : &mine};
    int64_t          seq;
    int              rc = -1;

    *out = NULL;
    if (store_change_head(s, &seq, e) < 0)
        return -1;
    arena_init(&c.arena, ROW_ARENA_MAX);
    c.b = scope_builder_new(scope.kind, &scope.id, c.how->keep_text);
    if (read_rows(&c, s, scope, e) == 0 && (*out = scope_build(&c.b, seq, e)) != NULL)
        rc = 0;
    scope_builder_free(&c.b);
    free(c.policies);
    arena_fini(&c.arena);
    return rc;
}

/* ---- Single rules ------------------------------------------------------------------------------------------------ */

/* One rule as it was last read. In the patch's arena; a later reading takes the row's place in the map. */
struct patch_row {
    struct uuid         id;
    int64_t             seq;
    bool                gone; /* deleted, switched off, or damaged */
    struct scope_policy policy;
    struct rule         rule;
};

struct scope_patch {
    struct compile_how how;
    struct arena       arena, row; /* row: what one reading needs and the patch does not */
    struct map         rows;       /* rule id -> struct patch_row */
    size_t             readings;
};

struct scope_patch *scope_patch_new(const struct compile_how *how)
{
    struct scope_patch *p = calloc(1, sizeof *p);

    if (p == NULL)
        panic("out of memory");
    p->how = how ? *how : plain;
    arena_init(&p->arena, PATCH_ARENA_MAX);
    arena_init(&p->row, ROW_ARENA_MAX);
    map_init(&p->rows);
    return p;
}

void scope_patch_free(struct scope_patch **p)
{
    if (*p == NULL)
        return;
    map_fini(&(*p)->rows);
    arena_fini(&(*p)->arena);
    arena_fini(&(*p)->row);
    free(*p);
    *p = NULL;
}

static struct span id_span(const struct uuid *id) { return span_make(id->b, sizeof id->b); }

/* Damage makes a rule `gone`, as in a whole compilation; a full arena does not. */
static int patch_parse(struct scope_patch *p, struct store_rule *row, struct patch_row *to, struct err *e)
{
    struct err why = ERR_INIT;

    row->name = arena_dup(&p->arena, row->name);
    row->conditions = arena_dup(&p->arena, row->conditions);
    to->policy = policy_of(row);
    if (!p->arena.full && rule_of(row, &p->arena, &to->rule, &why) == 0)
        return 0;
    if (p->arena.full)
        return err_set(e, ERR_LIMIT, "too many changes for one patch");
    leave_out(&p->how, &row->id, &why);
    to->gone = true;
    return 0;
}

int scope_patch_read(struct scope_patch *p, struct store *s, const struct uuid *rule, int64_t seq, struct err *e)
{
    struct patch_row *to = arena_zalloc(&p->arena, sizeof *to);
    struct store_rule row;
    struct err        why = ERR_INIT;

    if (to == NULL)
        return err_set(e, ERR_LIMIT, "too many changes for one patch");
    arena_reset(&p->row);
    to->id = *rule;
    to->seq = seq;
    if (store_scope_load_one(s, *rule, &p->row, &row, &why) == 0) {
        if (patch_parse(p, &row, to, e) < 0)
            return -1;
    } else if (why.code == ERR_NOT_FOUND) {
        to->gone = true;
    } else {
        if (e != NULL)
            *e = why;
        return -1;
    }
    p->readings++;
    map_del(&p->rows, id_span(&to->id)); /* the key lies in the row: the old row's must not stay */
    map_put(&p->rows, id_span(&to->id), to);
    return 0;
}

size_t scope_patch_size(const struct scope_patch *p) { return p->readings; }

int scope_patch_each(const struct scope_patch *p, int64_t                              seq,
                     int (*fn)(void *ctx, const struct uuid *rule, int64_t seq), void *ctx)
{
    size_t at = 0;
    void  *value;

    while (map_next(&p->rows, &at, NULL, &value)) {
        const struct patch_row *r = value;
        int                     rc = r->seq > seq ? fn(ctx, &r->id, r->seq) : 0;

        if (rc != 0)
            return rc;
    }
    return 0;
}

static void put_rows(const struct scope_patch *p, struct compiling *c, struct uuid *ids, int64_t *seq)
{
    size_t at = 0, n = 0;
    void  *value;

    while (map_next(&p->rows, &at, NULL, &value)) {
        const struct patch_row *r = value;
        struct err              why = ERR_INIT;

        ids[n++] = r->id;
        *seq = r->seq > *seq ? r->seq : *seq;
        if (!r->gone &&
            (add_policy(c, &r->policy, &why) < 0 || scope_builder_rule(c->b, &r->policy.id, &r->rule, &why) < 0))
            leave_out(&p->how, &r->id, &why);
    }
}

int scope_patch_apply(const struct scope_patch *p, struct store_scope scope, struct scope *base, struct scope **out,
                      struct err *e)
{
    struct compiling c = {.how = &p->how};
    struct uuid     *ids = calloc(p->rows.n ? p->rows.n : 1, sizeof *ids);
    int64_t          seq = scope_at_change(base);

    if (ids == NULL)
        panic("out of memory");
    c.b = scope_builder_new(scope.kind, &scope.id, p->how.keep_text);
    put_rows(p, &c, ids, &seq);
    *out = scope_overlay(base, ids, p->rows.n, &c.b, seq, e);
    scope_builder_free(&c.b);
    free(c.policies);
    free(ids);
    return *out ? 0 : -1;
}

/* ---- Large scopes ------------------------------------------------------------------------------------------------ */

static const char large_sql[] =
    "SELECT p.scope_kind, p.scope_id, COUNT(*) FROM rule r JOIN policy p ON p.id = r.policy_id"
    " GROUP BY p.scope_kind, p.scope_id HAVING COUNT(*) > $1";

struct large_list {
    store_large_fn fn;
    void          *ctx;
};

static int each_large(void *arg, struct db_rows *r)
{
    struct large_list *l = arg;
    int                kind = col_word(r, 0, scope_kind_words);

    if (kind < 0)
        return 0;
    return l->fn(l->ctx, (struct store_scope){(enum scope_kind)kind, col_uuid(r, 1)}, db_i64(r, 2));
}

int store_scopes_large(struct store *s, int64_t rules, store_large_fn fn, void *ctx, struct err *e)
{
    struct large_list l = {fn, ctx};

    return row_each(s->main, large_sql, (struct db_val[]){dbv_i64(rules)}, 1, each_large, &l, e);
}
