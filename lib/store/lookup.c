/* lib/store/lookup.c - see lookup.h.
 *
 * A row's scope is a path of ids, "/", "DOMAIN/" or "DOMAIN/MAILBOX", so that what a domain takes along when it goes is found by its
 * prefix. Each change claims its number first: on PostgreSQL that makes the nodes wait for each other, and the second finds the
 * work done. The source is read after that, so what is written is never older than its number. */
#include "store/lookup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "rules/spamassassin.h"
#include "store/address.h"
#include "store/domain.h"
#include "store/mailbox.h"
#include "store/row.h"
#include "store/rule.h"
#include "store/sending.h"
#include "store/setting.h"

#define LOOKUP_VERSION 2 /* of the files */
#define PAGE 1000
#define KEY_MAX (2 * 32 + 2)
#define SCOPE_BYTES_MAX ((size_t)2 << 30) /* of the rows of one scope */
#define RULE_BYTES_MAX ((size_t)64 << 20)

const char *const lookup_words[] = {"spamassassin", "postfix", NULL};

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

/* ---- The files ---------------------------------------------------------------------------------------------------- */

static const char spamassassin_schema[] =
    "CREATE TABLE spamassassin_head (one SMALLINT PRIMARY KEY CHECK (one = 1), seq BIGINT NOT NULL);"
    "INSERT INTO spamassassin_head (one, seq) VALUES (1, -1);"
    "CREATE TABLE spamassassin_row (scope TEXT NOT NULL, username TEXT NOT NULL, preference TEXT NOT NULL,"
    " value TEXT NOT NULL, prio BIGINT NOT NULL, until_us BIGINT NOT NULL);"
    "CREATE INDEX spamassassin_row_username ON spamassassin_row (username);"
    "CREATE INDEX spamassassin_row_scope ON spamassassin_row (scope);"
    "CREATE INDEX spamassassin_row_until ON spamassassin_row (until_us) WHERE until_us > 0;"
    "CREATE TABLE spamassassin_alias (scope TEXT NOT NULL, alias TEXT NOT NULL, username TEXT NOT NULL);"
    "CREATE INDEX spamassassin_alias_alias ON spamassassin_alias (alias);"
    "CREATE INDEX spamassassin_alias_scope ON spamassassin_alias (scope);"
    "CREATE VIEW spamassassin_userpref AS SELECT username, preference, value, prio FROM spamassassin_row UNION ALL"
    " SELECT a.alias, r.preference, r.value, r.prio FROM spamassassin_alias a"
    " JOIN spamassassin_row r ON r.username = a.username;"
    "CREATE VIEW spamassassin_known AS SELECT alias AS address FROM spamassassin_alias;";
static const char postfix_schema[] =
    "CREATE TABLE postfix_row (login TEXT PRIMARY KEY, until_us BIGINT);"
    "CREATE VIEW postfix_blocked_sender AS"
    " SELECT login, 'REJECT 5.7.1 Sending from this account is suspended' AS action FROM postfix_row"
    " WHERE until_us IS NULL OR until_us > CAST(strftime('%s', 'now') AS INTEGER) * 1000000;";

static const char version_sql[] = "PRAGMA user_version";
static const char mark_sql[] = "PRAGMA user_version = 2";
_Static_assert(LOOKUP_VERSION == 2, "mark_sql says it too");

static const char claim_sql[] = "UPDATE spamassassin_head SET seq = $1 WHERE one = 1 AND seq < $1";
static const char seat_sql[] = "UPDATE spamassassin_head SET seq = $1 WHERE one = 1";
static const char lock_sql[] = "UPDATE spamassassin_head SET seq = seq WHERE one = 1 RETURNING seq";
static const char put_row_sql[] =
    "INSERT INTO spamassassin_row (scope, username, preference, value, prio, until_us) VALUES ($1, $2, $3, $4, $5, $6)";
static const char put_alias_sql[] = "INSERT INTO spamassassin_alias (scope, alias, username) VALUES ($1, $2, $3)";
static const char drop_rows_sql[] = "DELETE FROM spamassassin_row";
static const char drop_aliases_sql[] = "DELETE FROM spamassassin_alias";
static const char drop_scope_sql[] = "DELETE FROM spamassassin_row WHERE scope = $1";
static const char drop_below_sql[] = "DELETE FROM spamassassin_row WHERE scope >= $1 AND scope < $2";
static const char drop_scope_aliases_sql[] = "DELETE FROM spamassassin_alias WHERE scope = $1";
static const char ended_sql[] =
    "SELECT DISTINCT scope FROM spamassassin_row WHERE until_us > 0 AND until_us <= $1 LIMIT 1000";
static const char count_sql[] =
    "SELECT (SELECT COUNT(*) FROM spamassassin_row) + (SELECT COUNT(*) FROM spamassassin_alias)";

static const char drop_blocked_sql[] = "DELETE FROM postfix_row";
static const char put_blocked_sql[] = "INSERT INTO postfix_row (login, until_us) VALUES ($1, $2)";
static const char count_blocked_sql[] = "SELECT COUNT(*) FROM postfix_row";

/* What of the main database is not asked for elsewhere. */
static const char domains_sql[] = "SELECT id FROM domain WHERE id > $1 ORDER BY id LIMIT $2";
static const char assigned_to_sql[] =
    "SELECT DISTINCT a.domain_id FROM policy_assignment a WHERE a.domain_id > $1 ORDER BY a.domain_id LIMIT $2";
#define WITH_MAILBOX                                                                                                   \
    "(EXISTS (SELECT 1 FROM setting s WHERE s.mailbox_id = m.id) OR EXISTS (SELECT 1 FROM policy p"                    \
    " JOIN rule r ON r.policy_id = p.id WHERE p.mailbox_id = m.id))"
static const char mailboxes_sql[] = "SELECT m.id FROM mailbox m WHERE m.id > $1 AND " WITH_MAILBOX
                                    " ORDER BY m.id LIMIT $2";
static const char mailboxes_of_sql[] =
    "SELECT m.id FROM mailbox m WHERE m.id > $1 AND m.domain_id = $3 AND " WITH_MAILBOX " ORDER BY m.id LIMIT $2";

struct store_lookup {
    enum lookup_kind kind;
    struct db       *db;
    bool             view; /* the database itself is what is read: there is nothing to write */
};

static int make_schema(struct store_lookup *l, struct err *e)
{
    const char *schema = l->kind == LOOKUP_SPAMASSASSIN ? spamassassin_schema : postfix_schema;

    if (db_begin(l->db, e) < 0)
        return -1;
    if (db_script(l->db, schema, e) == 0 && db_script(l->db, mark_sql, e) == 0 && db_commit(l->db, e) == 0)
        return 0;
    db_rollback(l->db);
    return -1;
}

/* A file can be made again at any time, so a crash of the machine may cost its last moments. */
static int open_file(struct store_lookup *l, const char *path, struct err *e)
{
    struct span url;
    char        room[4200];
    int64_t     version = 0;

    url = span_make(room, (size_t)snprintf(room, sizeof room, "sqlite:%s", path));
    if (url.n >= sizeof room)
        return err_set(e, ERR_INVALID, "the path of a look-up file is too long");
    if (db_open(room, DB_MAIN, false, &l->db, e) < 0 || db_keep_files(l->db, e) < 0 ||
        db_script(l->db, "PRAGMA synchronous = NORMAL", e) < 0 || row_i64(l->db, version_sql, NULL, 0, &version, e) < 0)
        return -1;
    if (version == 0)
        return make_schema(l, e);
    if (version != LOOKUP_VERSION)
        return err_set(e, ERR_CORRUPT, "%s was made by another release", path);
    return 0;
}

int store_lookup_open(const char *url, const char *path, enum lookup_kind kind, struct store_lookup **out,
                      struct err *e)
{
    struct store_lookup *l = calloc(1, sizeof *l);
    int                  rc;

    if (l == NULL)
        panic("out of memory");
    l->kind = kind;
    if (span_starts(span_of(url), SPAN("sqlite:"))) {
        rc = open_file(l, path, e);
    } else {
        l->view = kind == LOOKUP_POSTFIX;
        rc = db_open(url, DB_MAIN, false, &l->db, e);
    }
    if (rc < 0)
        store_lookup_close(&l);
    *out = l;
    return rc;
}

void store_lookup_close(struct store_lookup **l)
{
    if (*l == NULL)
        return;
    db_close(&(*l)->db);
    free(*l);
    *l = NULL;
}

/* ---- Ids of the main database, all at once: while a cursor is open nothing else may be asked --------------------------- */

struct ids {
    struct uuid *list;
    size_t       n, cap;
};

static int each_id(void *arg, struct db_rows *r)
{
    struct ids *all = arg;

    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 64;
        if ((all->list = realloc(all->list, all->cap * sizeof *all->list)) == NULL)
            panic("out of memory");
    }
    all->list[all->n++] = col_uuid(r, 0);
    return 0;
}

static int read_ids(struct store *s, const char *sql, const struct uuid *of, struct ids *out, struct err *e)
{
    struct db_val vals[] = {dbv_uuid(&uuid_zero), dbv_i64(INT64_MAX), dbv_uuid_or_null(of)};

    *out = (struct ids){0};
    return row_each(s->main, sql, vals, of != NULL ? 3 : 2, each_id, out, e);
}

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
    char            key[KEY_MAX + 1], username[STORE_ADDRESS_MAX + 2];
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

static void domain_key(const struct uuid *domain, char out[KEY_MAX + 1])
{
    put_hex(domain, out);
    strcpy(out + 32, "/");
}

static void mailbox_key(const struct uuid *domain, const struct uuid *mailbox, char out[KEY_MAX + 1])
{
    domain_key(domain, out);
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

/* 1: it is there and judged, 0: it is not, -1. */
static int find_domain(struct store *s, struct uuid id, struct arena *a, struct store_domain_view *v, struct err *e)
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
    int                      rc = find_domain(s, id, &x->arena, &v, e);

    domain_key(&id, x->key);
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
    if ((rc = find_domain(s, m.domain, &x->arena, &v, e)) <= 0 || !m.enabled)
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

/* ---- Aliases ------------------------------------------------------------------------------------------------------- */

/* The addresses and other names of a domain. Spans live in the arena. */
struct names {
    struct arena arena;
    char         catchall[STORE_ADDRESS_MAX + 1]; /* its mailbox; "": nobody's, or one of another domain */
    struct span *aliases;                         /* of the domain */
    size_t       naliases;
    struct known {
        struct span local;
        bool        alias;
    } page[PAGE];
    size_t n;
};

static int each_name(void *arg, struct span name, const struct uuid *domain)
{
    struct names *x = arg;

    (void)domain;
    if (x->naliases == PAGE)
        return 1;
    x->aliases[x->naliases++] = arena_dup(&x->arena, name);
    return 0;
}

static int each_address(void *arg, const struct store_address *a)
{
    struct names *x = arg;

    x->page[x->n++] = (struct known){arena_dup(&x->arena, a->local), a->kind != ADDRESS_MAILBOX};
    return 0;
}

/* mark: '@' of an address, '%' of a domain. */
static int add_alias(struct store_lookup *l, const char *key, struct span local, char mark, struct span domain,
                     const char *username, struct err *e)
{
    char          alias[STORE_ADDRESS_MAX + 2];
    struct db_val vals[] = {dbv_str(key), DBV_NULL, dbv_str(username)};

    snprintf(alias, sizeof alias, "%.*s%c%.*s", SPAN_ARG(local), mark, SPAN_ARG(domain));
    vals[1] = dbv_str(alias);
    return db_batch_add(l->db, vals, COUNT(vals), e);
}

/* Under all names of the domain. */
static int add_everywhere(struct store_lookup *l, const char *key, const struct names *x, struct span local,
                          const char *username, struct err *e)
{
    for (size_t n = 0; n < x->naliases; n++)
        if (add_alias(l, key, local, '@', x->aliases[n], username, e) < 0)
            return -1;
    return 0;
}

/* Whose lines an address reads: its own, or those of the one mailbox of the same domain that it leads to; "" for neither. */
static int user_of(struct store *s, const struct known *k, const struct store_domain_view *v,
                   char out[STORE_ADDRESS_MAX + 1], struct err *e)
{
    struct store_resolved to;

    snprintf(out, STORE_ADDRESS_MAX + 1, "%.*s@%s", SPAN_ARG(k->local), v->name);
    if (!k->alias)
        return 0;
    if (store_resolve(s, span_of(out), &to, e) < 0)
        return -1;
    if (to.has_mailbox && uuid_eq(&to.domain, &v->id))
        snprintf(out, STORE_ADDRESS_MAX + 1, "%s", to.mailbox_address);
    else
        out[0] = '\0';
    return 0;
}

static int add_page(struct store_lookup *l, struct store *s, const char *key, const struct names *x,
                    const struct store_domain_view *v, struct err *e)
{
    char username[STORE_ADDRESS_MAX + 1];

    for (size_t i = 0; i < x->n; i++) {
        const struct known *k = &x->page[i];

        if (k->local.n == 0 || (!k->alias && x->naliases == 0 && x->catchall[0] == '\0'))
            continue;
        if (user_of(s, k, v, username, e) < 0)
            return -1;
        if (username[0] == '\0' && x->catchall[0] == '\0')
            continue;
        if ((k->alias || x->catchall[0] != '\0') &&
            add_alias(l, key, k->local, '@', span_of(v->name), k->alias ? username : "", e) < 0)
            return -1;
        if (add_everywhere(l, key, x, k->local, username, e) < 0)
            return -1;
    }
    return 0;
}

static int add_pages(struct store_lookup *l, struct store *s, const char *key, struct names *x,
                     const struct store_domain_view *v, struct err *e)
{
    struct span after = SPAN_NONE;
    char        last[STORE_LOCAL_MAX + 1];

    do {
        x->n = 0;
        if (store_address_list(s, v->id, after, PAGE, each_address, x, e) < 0)
            return -1;
        if (x->arena.full)
            return err_set(e, ERR_LIMIT, "a domain with too many addresses");
        if (add_page(l, s, key, x, v, e) < 0)
            return -1;
        if (x->n > 0) {
            snprintf(last, sizeof last, "%.*s", SPAN_ARG(x->page[x->n - 1].local));
            after = span_of(last);
        }
    } while (x->n == PAGE);
    return 0;
}

/* Where the catch-all leads, which takes what is no address at all. Who has an address is known by it from then on, even if nothing is
 * to be read under it: a row without a user. */
static int read_catchall(struct store *s, struct names *x, const struct store_domain_view *v, struct err *e)
{
    struct store_resolved to;
    char                  nobody[STORE_DOMAIN_MAX + 4];

    snprintf(nobody, sizeof nobody, " @%s", v->name);
    if (store_resolve(s, span_of(nobody), &to, e) < 0)
        return -1;
    if (to.has_mailbox && uuid_eq(&to.domain, &v->id))
        snprintf(x->catchall, sizeof x->catchall, "%s", to.mailbox_address);
    return 0;
}

static int add_catchall(struct store_lookup *l, const char *key, const struct names *x,
                        const struct store_domain_view *v, struct err *e)
{
    if (x->catchall[0] == '\0')
        return 0;
    if (add_alias(l, key, SPAN_NONE, '@', span_of(v->name), x->catchall, e) < 0)
        return -1;
    return add_everywhere(l, key, x, SPAN_NONE, x->catchall, e);
}

/* Inside an open batch of put_alias_sql. */
static int add_aliases(struct store_lookup *l, struct store *s, struct uuid domain, struct err *e)
{
    struct names            *x = calloc(1, sizeof *x);
    struct store_domain_view v;
    char                     key[KEY_MAX + 1], whole[STORE_DOMAIN_MAX + 2];
    int                      rc;

    if (x == NULL)
        panic("out of memory");
    arena_init(&x->arena, RULE_BYTES_MAX);
    domain_key(&domain, key);
    if ((rc = find_domain(s, domain, &x->arena, &v, e)) > 0) {
        snprintf(whole, sizeof whole, "%%%s", v.name);
        x->aliases = arena_array(&x->arena, PAGE, sizeof *x->aliases);
        rc = x->aliases == NULL ? -1 : store_domain_alias_list(s, domain, each_name, x, e);
        for (size_t i = 0; i < x->naliases && rc == 0; i++)
            rc = add_alias(l, key, SPAN_NONE, '%', x->aliases[i], whole, e);
        if (rc == 0 && (rc = read_catchall(s, x, &v, e)) == 0 && (rc = add_catchall(l, key, x, &v, e)) == 0)
            rc = add_pages(l, s, key, x, &v, e);
    }
    arena_fini(&x->arena);
    free(x);
    return rc < 0 ? -1 : 0;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------ */

/* What is to be written again. */
struct work {
    struct store_scope *scopes;
    size_t              n;
    const struct uuid  *below;   /* a domain with everything in it goes first */
    const struct uuid  *aliases; /* of this domain */
    const struct uuid  *gone;    /* a mailbox that may not be there any more, of `aliases` */
};

static int write_scope(struct store_lookup *l, struct store *s, struct store_scope scope, bool drop, struct err *e)
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

static int write_aliases(struct store_lookup *l, struct store *s, const struct uuid *domain, struct err *e)
{
    char key[KEY_MAX + 1];

    domain_key(domain, key);
    if (db_run(l->db, drop_scope_aliases_sql, (struct db_val[]){dbv_str(key)}, 1, NULL, e) < 0 ||
        db_batch_begin(l->db, put_alias_sql, e) < 0 || add_aliases(l, s, *domain, e) < 0)
        return -1;
    return db_batch_end(l->db, e);
}

static int drop_below(struct store_lookup *l, const struct uuid *domain, struct err *e)
{
    char from[KEY_MAX + 1], to[KEY_MAX + 1];

    domain_key(domain, from);
    domain_key(domain, to);
    to[32]++;
    return db_run(l->db, drop_below_sql, (struct db_val[]){dbv_str(from), dbv_str(to)}, 2, NULL, e);
}

static int drop_mailbox(struct store_lookup *l, const struct uuid *domain, const struct uuid *mailbox, struct err *e)
{
    char key[KEY_MAX + 1];

    mailbox_key(domain, mailbox, key);
    return db_run(l->db, drop_scope_sql, (struct db_val[]){dbv_str(key)}, 1, NULL, e);
}

static int do_work(struct store_lookup *l, struct store *s, const struct work *w, struct err *e)
{
    if (w->below != NULL && drop_below(l, w->below, e) < 0)
        return -1;
    if (w->gone != NULL && drop_mailbox(l, w->aliases, w->gone, e) < 0)
        return -1;
    for (size_t i = 0; i < w->n; i++)
        if (write_scope(l, s, w->scopes[i], true, e) < 0)
            return -1;
    return w->aliases != NULL ? write_aliases(l, s, w->aliases, e) : 0;
}

/* In a transaction of its own, unless another node was first. */
static int claim_and_do(struct store_lookup *l, struct store *s, int64_t seq, const struct work *w, struct err *e)
{
    int64_t claimed = 0;

    if (db_begin(l->db, e) < 0)
        return -1;
    if (db_run(l->db, claim_sql, (struct db_val[]){dbv_i64(seq)}, 1, &claimed, e) == 0 &&
        (claimed == 0 || do_work(l, s, w, e) == 0) && db_commit(l->db, e) == 0)
        return 0;
    db_rollback(l->db);
    return -1;
}

/* A scope with the domains, or the mailboxes of a domain, that read it too. */
static int change_with(struct store_lookup *l, struct store *s, const struct store_change *c, const char *sql,
                       enum scope_kind kind, struct work *w, struct err *e)
{
    struct ids more = {0};
    int        rc = sql == NULL ? 0 : read_ids(s, sql, kind == SCOPE_MAILBOX ? &c->scope.id : NULL, &more, e);

    if (rc == 0) {
        if ((w->scopes = calloc(more.n + 1, sizeof *w->scopes)) == NULL)
            panic("out of memory");
        w->scopes[w->n++] = c->scope;
        for (size_t i = 0; i < more.n; i++)
            w->scopes[w->n++] = (struct store_scope){kind, more.list[i]};
        rc = claim_and_do(l, s, c->seq, w, e);
        free(w->scopes);
    }
    free(more.list);
    return rc;
}

static int change_spamassassin(struct store_lookup *l, struct store *s, const struct store_change *c, struct err *e)
{
    struct work w = {0};
    bool        global = c->scope.kind == SCOPE_GLOBAL;

    switch (c->kind) {
    case CHANGE_RULE:
    case CHANGE_POLICY: return change_with(l, s, c, global ? assigned_to_sql : NULL, SCOPE_DOMAIN, &w, e);
    case CHANGE_ASSIGNMENT: return change_with(l, s, c, NULL, SCOPE_DOMAIN, &w, e);
    case CHANGE_SETTING: /* a domain says whether its mailboxes may differ */
        return change_with(l, s, c, c->scope.kind == SCOPE_DOMAIN ? mailboxes_of_sql : NULL, SCOPE_MAILBOX, &w, e);
    case CHANGE_DOMAIN:
        w.below = w.aliases = &c->scope.id;
        return change_with(l, s, c, mailboxes_of_sql, SCOPE_MAILBOX, &w, e);
    case CHANGE_MAILBOX:
        w.gone = &c->scope.id;
        w.aliases = &c->object;
        return change_with(l, s, c, NULL, SCOPE_MAILBOX, &w, e);
    case CHANGE_ADDRESS: w.aliases = &c->scope.id; return claim_and_do(l, s, c->seq, &w, e);
    case CHANGE_LEARNED: /* they lower a score, or hold mail: neither can be told */
    case CHANGE_API_KEY:
    case CHANGE_SENDER: break;
    }
    return 0;
}

/* ---- All of it ---------------------------------------------------------------------------------------------------- */

static int fill_kind(struct store_lookup *l, struct store *s, const char *sql, enum scope_kind kind, struct err *e)
{
    struct ids all;
    int        rc = read_ids(s, sql, NULL, &all, e);

    for (size_t i = 0; i < all.n && rc == 0; i++)
        rc = write_scope(l, s, (struct store_scope){kind, all.list[i]}, false, e);
    free(all.list);
    return rc;
}

static int fill_aliases(struct store_lookup *l, struct store *s, struct err *e)
{
    struct ids all;
    int        rc = read_ids(s, domains_sql, NULL, &all, e);

    if (rc == 0)
        rc = db_batch_begin(l->db, put_alias_sql, e);
    for (size_t i = 0; i < all.n && rc == 0; i++)
        rc = add_aliases(l, s, all.list[i], e);
    if (rc == 0)
        rc = db_batch_end(l->db, e);
    free(all.list);
    return rc;
}

static int fill_spamassassin(struct store_lookup *l, struct store *s, struct err *e)
{
    int64_t seq, before = 0;

    if (row_i64(l->db, lock_sql, NULL, 0, &before, e) < 0 || store_change_head(s, &seq, e) < 0)
        return -1;
    if (db_kind(l->db) == DB_PGSQL && before == seq)
        return 0; /* another node keeps it so */
    if (db_run(l->db, drop_rows_sql, NULL, 0, NULL, e) < 0 || db_run(l->db, drop_aliases_sql, NULL, 0, NULL, e) < 0 ||
        db_run(l->db, seat_sql, (struct db_val[]){dbv_i64(seq)}, 1, NULL, e) < 0)
        return -1;
    if (write_scope(l, s, STORE_SCOPE_GLOBAL, false, e) < 0 || fill_kind(l, s, domains_sql, SCOPE_DOMAIN, e) < 0 ||
        fill_kind(l, s, mailboxes_sql, SCOPE_MAILBOX, e) < 0)
        return -1;
    return fill_aliases(l, s, e);
}

/* ---- Postfix ------------------------------------------------------------------------------------------------------- */

struct blocked_page {
    struct store_lookup *l;
    struct err          *e;
    char                 last[SENDING_LOGIN_MAX + 1];
    size_t               n;
};

static int each_blocked(void *arg, const struct store_blocked *b)
{
    struct blocked_page *p = arg;
    struct db_val        vals[] = {dbv_text(b->login), b->until_us > 0 ? dbv_i64(b->until_us) : DBV_NULL};

    p->n++;
    snprintf(p->last, sizeof p->last, "%.*s", SPAN_ARG(b->login));
    return db_run(p->l->db, put_blocked_sql, vals, COUNT(vals), NULL, p->e);
}

static int fill_postfix(struct store_lookup *l, struct store *s, struct err *e)
{
    struct blocked_page p = {.l = l, .e = e};

    if (l->view)
        return 0;
    if (db_run(l->db, drop_blocked_sql, NULL, 0, NULL, e) < 0)
        return -1;
    do {
        p.n = 0;
        if (store_blocked_list(s, clock_wall_us(), span_of(p.last), PAGE, each_blocked, &p, e) < 0)
            return -1;
    } while (p.n == PAGE);
    return 0;
}

/* ---- What is asked of both ------------------------------------------------------------------------------------------- */

int store_lookup_fill(struct store_lookup *l, struct store *s, struct err *e)
{
    int rc;

    if (l->view)
        return 0;
    if (db_begin(l->db, e) < 0)
        return -1;
    rc = l->kind == LOOKUP_SPAMASSASSIN ? fill_spamassassin(l, s, e) : fill_postfix(l, s, e);
    if (rc == 0 && db_commit(l->db, e) == 0)
        return 0;
    db_rollback(l->db);
    return -1;
}

int store_lookup_change(struct store_lookup *l, struct store *s, const struct store_change *c, struct err *e)
{
    if (l->kind == LOOKUP_SPAMASSASSIN)
        return change_spamassassin(l, s, c, e);
    return c->kind == CHANGE_SENDER ? store_lookup_fill(l, s, e) : 0;
}

static int hex_uuid(struct span hex, struct uuid *out)
{
    for (size_t i = 0; i < sizeof out->b; i++) {
        unsigned byte;

        if (hex.n < 32 || sscanf(hex.p + 2 * i, "%2x", &byte) != 1)
            return -1;
        out->b[i] = (uint8_t)byte;
    }
    return 0;
}

struct ended {
    struct store_scope scopes[PAGE];
    size_t             n;
};

static int each_ended(void *arg, struct db_rows *r)
{
    struct ended      *x = arg;
    struct span        key = db_text(r, 0);
    struct store_scope scope = STORE_SCOPE_GLOBAL;

    if (key.n > 1)
        scope.kind = key.n > 33 ? SCOPE_MAILBOX : SCOPE_DOMAIN;
    if (key.n > 1 && hex_uuid(scope.kind == SCOPE_MAILBOX ? span_skip(key, 33) : key, &scope.id) < 0)
        return 0;
    x->scopes[x->n++] = scope;
    return x->n == PAGE;
}

int store_lookup_expire(struct store_lookup *l, struct store *s, int64_t now_us, struct err *e)
{
    struct ended *x;
    int           rc;

    if (l->kind != LOOKUP_SPAMASSASSIN)
        return 0; /* its view knows the time */
    if ((x = calloc(1, sizeof *x)) == NULL)
        panic("out of memory");
    rc = row_each(l->db, ended_sql, (struct db_val[]){dbv_i64(now_us)}, 1, each_ended, x, e);
    if (rc == 0 && x->n > 0) {
        struct work w = {.scopes = x->scopes, .n = x->n};

        rc = db_begin(l->db, e);
        if (rc == 0 && (do_work(l, s, &w, e) < 0 || db_commit(l->db, e) < 0)) {
            db_rollback(l->db);
            rc = -1;
        }
    }
    free(x);
    return rc;
}

int store_lookup_rows(struct store_lookup *l, int64_t *out, struct err *e)
{
    *out = 0;
    if (l->view)
        return 0;
    return row_i64(l->db, l->kind == LOOKUP_SPAMASSASSIN ? count_sql : count_blocked_sql, NULL, 0, out, e) < 0 ? -1 : 0;
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
