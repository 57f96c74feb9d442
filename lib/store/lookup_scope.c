/* lib/store/lookup_scope.c - what the rules and the threshold of one scope come to for SpamAssassin, as rows. */
#include "store/lookup_inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "rules/spamassassin.h"
#include "store/mailbox.h"
#include "store/rule.h"

#define SCOPE_BYTES_MAX ((size_t)2 << 30) /* of the rows of one scope */
#define RULE_BYTES_MAX ((size_t)64 << 20)

/* Where rows stand among each other: see lookup.h. */
enum {
    PRIO_SCORE_GLOBAL = 1,
    PRIO_SCORE_DOMAIN = 2,
    PRIO_SCORE_MAILBOX = 3,
    PRIO_DEFAULT = 10,
    PRIO_DOMAIN = 20,
    PRIO_MAILBOX = 30,
    PRIO_LOCKED_DOMAIN = 40,
    PRIO_LOCKED_GLOBAL = 50,
};

static const char put_row_sql[] =
    "INSERT INTO spamassassin_row (scope, username, preference, value, prio, until_us) VALUES ($1, $2, $3, $4, $5, $6)";
static const char drop_scope_sql[] = "DELETE FROM spamassassin_row WHERE scope = $1";
static const char drop_below_sql[] = "DELETE FROM spamassassin_row WHERE scope >= $1 AND scope < $2";

/* ---- One scope's lines -------------------------------------------------------------------------------------------- */

/* A rule of which something can be told. The patterns live in the arena of the lines. */
struct telling {
    int              prio;
    int32_t          policy_priority, priority;
    enum rule_action action;
    struct uuid      id;
    int64_t          until_us;
    struct span     *patterns;
    size_t           npatterns;
};

/* What a scope comes to. Owns its memory. */
struct lines {
    struct arena    arena, scratch; /* scratch: of the rule that is read */
    struct telling *rules;
    size_t          n, cap;
    char            key[LOOKUP_KEY_MAX + 1], username[STORE_ADDRESS_MAX + 2];
    double          score; /* NAN: inherited */
    int             score_prio;
    int             prio; /* of the rules that are read, where they do not say themselves */
    int64_t         now_us;
    struct err     *e;
    int             rc;
};

static void lines_init(struct lines *x, struct err *e)
{
    *x = (struct lines){.score = NAN, .now_us = clock_wall_us(), .e = e};
    arena_init(&x->arena, SCOPE_BYTES_MAX);
    arena_init(&x->scratch, RULE_BYTES_MAX);
}

static void lines_fini(struct lines *x)
{
    arena_fini(&x->arena);
    arena_fini(&x->scratch);
    free(x->rules);
}

static int prio_of(const struct lines *x, const struct store_rule *r)
{
    switch (r->scope.kind) {
    case SCOPE_MAILBOX: return PRIO_MAILBOX;
    case SCOPE_DOMAIN: return r->locked ? PRIO_LOCKED_DOMAIN : PRIO_DOMAIN;
    case SCOPE_GLOBAL: break;
    }
    if (x->prio != 0) /* assigned to the domain that is read */
        return r->locked ? 0 : x->prio;
    return r->locked ? PRIO_LOCKED_GLOBAL : r->is_default ? PRIO_DEFAULT : 0;
}

static int keep(struct lines *x, const struct store_rule *r, int prio, const struct spamassassin_rule *t)
{
    struct telling *to;

    if (x->n == x->cap) {
        x->cap = x->cap ? 2 * x->cap : 64;
        if ((x->rules = realloc(x->rules, x->cap * sizeof *x->rules)) == NULL)
            panic("out of memory");
    }
    to = &x->rules[x->n];
    *to = (struct telling){.prio = prio,
                           .policy_priority = r->policy_priority,
                           .priority = r->priority,
                           .action = r->action,
                           .id = r->id,
                           .until_us = r->expires_us,
                           .patterns = arena_array(&x->arena, t->npatterns, sizeof *to->patterns),
                           .npatterns = t->npatterns};
    for (size_t i = 0; to->patterns != NULL && i < t->npatterns; i++)
        to->patterns[i] = arena_dup(&x->arena, t->patterns[i]);
    if (x->arena.full)
        return err_set(x->e, ERR_LIMIT, "a scope with too many rules for SpamAssassin");
    x->n++;
    return 0;
}

/* A rule that does not read is somebody else's to complain about. */
static bool read_conditions(const struct store_rule *r, struct arena *a, struct rule *out)
{
    struct err e = ERR_INIT;

    *out = (struct rule){0};
    if (rule_conditions_from_json(r->conditions, a, NULL, out, &e) < 0)
        return false;
    out->action = r->action;
    out->enabled = r->enabled;
    out->test_only = r->test_only;
    out->require_proof = r->require_proof;
    out->flow = r->flow;
    return true;
}

static int each_rule(void *arg, const struct store_rule *r)
{
    struct lines            *x = arg;
    struct rule              rule;
    struct spamassassin_rule told;
    int                      prio = prio_of(x, r);

    if (prio == 0 || (r->expires_us > 0 && r->expires_us <= x->now_us))
        return 0;
    arena_reset(&x->scratch);
    if (!read_conditions(r, &x->scratch, &rule))
        return 0;
    x->rc = spamassassin_express(&rule, &x->scratch, &told, x->e);
    if (x->rc == 0 && told.npatterns > 0)
        x->rc = keep(x, r, prio, &told);
    return x->rc;
}

/* As decisions go within a layer: what comes first wins. */
static int by_rank(const void *a, const void *b)
{
    const struct telling *x = a, *y = b;

    if (x->prio != y->prio)
        return x->prio < y->prio ? -1 : 1;
    if (x->policy_priority != y->policy_priority)
        return x->policy_priority < y->policy_priority ? -1 : 1;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    if (x->action != y->action)
        return x->action == RULE_ALLOW ? -1 : 1;
    return uuid_cmp(&x->id, &y->id);
}

static int add_line(struct store_lookup *l, const struct lines *x, const char *preference, struct span value, int prio,
                    int64_t until_us, struct err *e)
{
    struct db_val vals[] = {dbv_str(x->key), dbv_str(x->username), dbv_str(preference),
                            dbv_text(value), dbv_i64(prio),        dbv_i64(until_us)};

    return db_batch_add(l->db, vals, COUNT(vals), e);
}

/* The stronger layer takes back what a weaker one said of the same pattern: SpamAssassin would add the two up to nothing. */
static int add_pattern(struct store_lookup *l, const struct lines *x, const struct telling *t, struct span pattern,
                       struct err *e)
{
    bool allow = t->action == RULE_ALLOW;

    if (t->prio > PRIO_DEFAULT &&
        add_line(l, x, allow ? "unblocklist_from" : "unwelcomelist_auth", pattern, t->prio, t->until_us, e) < 0)
        return -1;
    return add_line(l, x, allow ? "welcomelist_auth" : "blocklist_from", pattern, t->prio, t->until_us, e);
}

/* Inside an open batch of put_row_sql. */
static int add_lines(struct store_lookup *l, struct lines *x, struct err *e)
{
    struct map seen; /* the patterns of the layer that is written */
    char       score[32];
    int        rc = 0;

    if (!isnan(x->score)) {
        snprintf(score, sizeof score, "%.6g", x->score);
        rc = add_line(l, x, "required_score", span_of(score), x->score_prio, 0, e);
    }
    if (x->n > 0)
        qsort(x->rules, x->n, sizeof *x->rules, by_rank);
    map_init(&seen);
    for (size_t i = 0; i < x->n && rc == 0; i++) {
        const struct telling *t = &x->rules[i];

        if (i > 0 && t->prio != x->rules[i - 1].prio) {
            map_fini(&seen);
            map_init(&seen);
        }
        for (size_t k = 0; k < t->npatterns && rc == 0; k++)
            if (map_put(&seen, t->patterns[k], x) == NULL)
                rc = add_pattern(l, x, t, t->patterns[k], e);
    }
    map_fini(&seen);
    return rc;
}

/* ---- What the three kinds of scopes come to ------------------------------------------------------------------------ */

static void put_hex(const struct uuid *u, char *out)
{
    for (size_t i = 0; i < sizeof u->b; i++)
        snprintf(out + 2 * i, 3, "%02x", u->b[i]);
}

void lookup_domain_key(const struct uuid *domain, char out[LOOKUP_KEY_MAX + 1])
{
    put_hex(domain, out);
    strcpy(out + 32, "/");
}

static void mailbox_key(const struct uuid *domain, const struct uuid *mailbox, char out[LOOKUP_KEY_MAX + 1])
{
    lookup_domain_key(domain, out);
    put_hex(mailbox, out + 33);
}

static int load_rules(struct store *s, struct store_scope scope, struct lines *x, struct err *e)
{
    return store_scope_load(s, scope, each_rule, x, e) < 0 ? -1 : x->rc;
}

static int own_score(struct store *s, struct store_scope scope, double *out, struct err *e)
{
    struct store_setting own;

    if (store_setting_get(s, scope, &own, e) < 0)
        return -1;
    *out = own.add_header;
    return 0;
}

static int read_global(struct store *s, struct lines *x, struct err *e)
{
    snprintf(x->key, sizeof x->key, "/");
    snprintf(x->username, sizeof x->username, "@GLOBAL");
    x->score_prio = PRIO_SCORE_GLOBAL;
    if (own_score(s, STORE_SCOPE_GLOBAL, &x->score, e) < 0 || load_rules(s, STORE_SCOPE_GLOBAL, x, e) < 0)
        return -1;
    if (isnan(x->score))
        x->score = store_thresholds_built_in.add_header;
    return 0;
}

static int read_assigned(struct store *s, const struct store_domain_view *v, struct lines *x, struct err *e)
{
    x->prio = PRIO_DOMAIN;
    for (size_t i = 0; i < v->nassigned; i++)
        if (store_rule_list(s, STORE_SCOPE_GLOBAL, &v->assigned[i], NULL, 0, each_rule, x, e) < 0 || x->rc < 0)
            return -1;
    x->prio = 0;
    return 0;
}

int lookup_domain(struct store *s, struct uuid id, struct arena *a, struct store_domain_view *v, struct err *e)
{
    struct err why = ERR_INIT;

    if (store_domain_view(s, &id, a, v, &why) == 0)
        return v->active;
    if (why.code == ERR_NOT_FOUND)
        return 0;
    if (e != NULL)
        *e = why;
    return -1;
}

static int read_domain(struct store *s, struct uuid id, struct lines *x, struct err *e)
{
    struct store_domain_view v;
    int                      rc = lookup_domain(s, id, &x->arena, &v, e);

    lookup_domain_key(&id, x->key);
    if (rc <= 0)
        return rc;
    snprintf(x->username, sizeof x->username, "%%%s", v.name);
    x->score_prio = PRIO_SCORE_DOMAIN;
    if (own_score(s, store_scope_domain(id), &x->score, e) < 0 || load_rules(s, store_scope_domain(id), x, e) < 0)
        return -1;
    return read_assigned(s, &v, x, e);
}

static int read_mailbox(struct store *s, struct uuid id, struct lines *x, struct err *e)
{
    struct err               why = ERR_INIT;
    struct store_mailbox     m;
    struct store_domain_view v;
    int                      rc;

    if (store_mailbox_get(s, id, &m, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        if (e != NULL)
            *e = why;
        return -1;
    }
    mailbox_key(&m.domain, &id, x->key);
    if ((rc = lookup_domain(s, m.domain, &x->arena, &v, e)) <= 0 || !m.enabled)
        return rc < 0 ? -1 : 0;
    snprintf(x->username, sizeof x->username, "%s", m.address);
    x->score_prio = PRIO_SCORE_MAILBOX;
    if (v.mailbox_thresholds && own_score(s, store_scope_mailbox(id), &x->score, e) < 0)
        return -1;
    return load_rules(s, store_scope_mailbox(id), x, e);
}

static int read_scope(struct store *s, struct store_scope scope, struct lines *x, struct err *e)
{
    switch (scope.kind) {
    case SCOPE_GLOBAL: return read_global(s, x, e);
    case SCOPE_DOMAIN: return read_domain(s, scope.id, x, e);
    case SCOPE_MAILBOX: return read_mailbox(s, scope.id, x, e);
    }
    return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------ */

int lookup_scope_write(struct store_lookup *l, struct store *s, struct store_scope scope, bool drop, struct err *e)
{
    struct lines x;
    int          rc;

    lines_init(&x, e);
    rc = read_scope(s, scope, &x, e);
    if (rc == 0 && drop && x.key[0] != '\0') /* "": a mailbox that is gone */
        rc = db_run(l->db, drop_scope_sql, (struct db_val[]){dbv_str(x.key)}, 1, NULL, e);
    if (rc == 0 && (x.n > 0 || !isnan(x.score)) && (rc = db_batch_begin(l->db, put_row_sql, e)) == 0) {
        rc = add_lines(l, &x, e);
        rc = rc < 0 ? -1 : db_batch_end(l->db, e);
    }
    lines_fini(&x);
    return rc;
}

int lookup_domain_drop(struct store_lookup *l, const struct uuid *domain, struct err *e)
{
    char from[LOOKUP_KEY_MAX + 1], to[LOOKUP_KEY_MAX + 1];

    lookup_domain_key(domain, from);
    lookup_domain_key(domain, to);
    to[32]++;
    return db_run(l->db, drop_below_sql, (struct db_val[]){dbv_str(from), dbv_str(to)}, 2, NULL, e);
}

int lookup_mailbox_drop(struct store_lookup *l, const struct uuid *domain, const struct uuid *mailbox, struct err *e)
{
    char key[LOOKUP_KEY_MAX + 1];

    mailbox_key(domain, mailbox, key);
    return db_run(l->db, drop_scope_sql, (struct db_val[]){dbv_str(key)}, 1, NULL, e);
}

/* ---- For people ---------------------------------------------------------------------------------------------------- */

struct unsupported {
    store_unsupported_fn fn;
    void                *ctx;
    struct arena         arena;
    int                  rc;
};

static int each_unsupported(void *arg, const struct store_rule *r)
{
    struct unsupported      *x = arg;
    struct rule              rule;
    struct spamassassin_rule told;

    arena_reset(&x->arena);
    if (!read_conditions(r, &x->arena, &rule))
        return x->fn(x->ctx, &r->id, r->name, false, "it does not read as a rule");
    if (spamassassin_express(&rule, &x->arena, &told, NULL) < 0)
        return x->fn(x->ctx, &r->id, r->name, false, "it is too large");
    if (told.fit == SPAMASSASSIN_WHOLE)
        return 0;
    return x->fn(x->ctx, &r->id, r->name, told.fit == SPAMASSASSIN_PART, told.why);
}

int store_lookup_unsupported(struct store *s, struct store_scope scope, store_unsupported_fn fn, void *ctx,
                             struct err *e)
{
    struct unsupported x = {.fn = fn, .ctx = ctx};
    int                rc;

    arena_init(&x.arena, RULE_BYTES_MAX);
    rc = store_scope_load(s, scope, each_unsupported, &x, e);
    arena_fini(&x.arena);
    return rc;
}
