/* lib/store/domain.c - filtered domains and their other names. */
#include "store/domain.h"

#include <stdio.h>

#include "store/audit.h"
#include "store/change.h"
#include "store/policy.h"
#include "store/row.h"

const char *const domain_kind_words[] = {"local", "relay", "sdr", NULL};
const char *const domain_state_words[] = {"pending", "active", "disabled", NULL};

#define COLUMNS "d.id, d.name, d.kind, d.state, d.delimiter, d.route, d.created_us, d.updated_us"
static const char insert_sql[] =
    "INSERT INTO domain (id, tenant_id, name, kind, state, delimiter, route, created_us, updated_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
static const char update_sql[] =
    "UPDATE domain SET kind = $2, state = $3, delimiter = $4, route = $5, updated_us = $6 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM domain WHERE id = $1";
static const char catchall_sql[] = "SELECT COUNT(*) FROM address WHERE domain_id = $1 AND kind = 'catchall'";
static const char get_sql[] = "SELECT " COLUMNS " FROM domain d WHERE d.id = $1";
static const char find_sql[] = "SELECT " COLUMNS " FROM domain d WHERE d.name = $1 UNION ALL SELECT " COLUMNS
                               " FROM domain_alias a JOIN domain d ON d.id = a.domain_id WHERE a.name = $1";
static const char list_sql[] = "SELECT " COLUMNS " FROM domain d WHERE d.name > $1 ORDER BY d.name LIMIT $2";
static const char routed_sql[] = "SELECT 1 FROM domain WHERE route <> '' LIMIT 1";
static const char alias_insert_sql[] = "INSERT INTO domain_alias (name, domain_id, created_us) VALUES ($1, $2, $3)";
static const char alias_delete_sql[] = "DELETE FROM domain_alias WHERE name = $1";
static const char alias_get_sql[] = "SELECT domain_id FROM domain_alias WHERE name = $1";
static const char alias_list_sql[] = "SELECT name, domain_id FROM domain_alias WHERE domain_id = $1 ORDER BY name";

static void read_row(struct db_rows *r, struct store_domain *out)
{
    struct span delimiter = db_text(r, 4);

    *out = (struct store_domain){.id = col_uuid(r, 0), .created_us = db_i64(r, 6), .updated_us = db_i64(r, 7)};
    out->delimiter = delimiter.n > 0 ? delimiter.p[0] : '\0';
    out->kind = (enum domain_kind)col_word(r, 2, domain_kind_words);
    out->state = (enum domain_state)col_word(r, 3, domain_state_words);
    col_str(r, 1, out->name, sizeof out->name);
    col_str(r, 5, out->route, sizeof out->route);
}

static int read_one(struct store *s, const char *sql, struct db_val key, struct store_domain *out, const char *shown,
                    struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, &key, 1, &r, e);

    if (rc == 0)
        err_set(e, ERR_NOT_FOUND, *shown ? "no such domain: %s" : "there is no such domain", shown);
    if (rc <= 0)
        return -1;
    read_row(r, out);
    db_rows_free(&r);
    return 0;
}

int store_domain_get(struct store *s, struct uuid id, struct store_domain *out, struct err *e)
{
    return read_one(s, get_sql, dbv_uuid(&id), out, "", e);
}

int store_domain_find(struct store *s, struct span name, struct store_domain *out, struct err *e)
{
    char shown[STORE_DOMAIN_MAX + 1];

    snprintf(shown, sizeof shown, "%.*s", SPAN_ARG(name));
    return read_one(s, find_sql, dbv_text(name), out, shown, e);
}

struct store_route_shown store_domain_route_shown(const struct store_domain *d)
{
    struct span              route = span_of(d->route), user;
    size_t                   scheme = span_find(route, SPAN("://")), at;
    struct store_route_shown out;

    scheme += scheme < route.n ? 3 : 0;
    at = span_rchr(route, '@');
    user = at < route.n && at > scheme ? span_make(route.p + scheme, at - scheme) : SPAN_NONE;
    if (span_chr(user, ':') < user.n)
        snprintf(out.text, sizeof out.text, "%.*s:…%s", (int)(scheme + span_chr(user, ':')), d->route, d->route + at);
    else
        snprintf(out.text, sizeof out.text, "%s", d->route);
    return out;
}

/* ---- changing ---- */

static void put_payload(struct buf *b, const char *key, const void *row)
{
    const struct store_domain *d = row;

    json_open(b, key, '{');
    json_add_str(b, "name", d->name);
    json_add_str(b, "kind", domain_kind_words[d->kind]);
    json_add_str(b, "state", domain_state_words[d->state]);
    json_add_string(b, "delimiter", span_make(&d->delimiter, d->delimiter ? 1 : 0));
    json_add_str(b, "route", store_domain_route_shown(d).text);
    json_close(b, '}');
}

/* before or after may be NULL. */
static int note(struct store *s, const struct actor *by, const char *action, struct uuid id,
                const struct store_domain *before, const struct store_domain *after, struct err *e)
{
    struct payload_change c = {action, "domain", id, put_payload, before, after};

    return payload_note(s, by, store_scope_domain(id), &c, e);
}

static int check(const struct store_domain *d, struct err *e)
{
    if (check_text(span_of(d->name), 1, STORE_DOMAIN_MAX, "the domain's name", e) < 0)
        return -1;
    if (d->delimiter != '\0' && strchr("+-_=.#~", d->delimiter) == NULL)
        return err_set(e, ERR_INVALID, "the delimiter has to be one of + - _ = . # ~, or none");
    return check_text(span_of(d->route), 0, sizeof d->route - 1, "the delivery route", e);
}

/* No name twice, be it of a domain or of an alias. */
static int check_free(struct store *s, struct span name, struct err *e)
{
    struct store_domain other;
    struct err          mine = ERR_INIT;

    if (store_domain_find(s, name, &other, &mine) == 0)
        return err_set(e, ERR_CONFLICT, "%.*s exists already%s%s", SPAN_ARG(name),
                       span_is(name, other.name) ? "" : ", as another name of ",
                       span_is(name, other.name) ? "" : other.name);
    if (mine.code == ERR_NOT_FOUND)
        return 0;
    if (e != NULL)
        *e = mine;
    return -1;
}

static struct db_val delimiter_val(const struct store_domain *d)
{
    return dbv_text(span_make(&d->delimiter, d->delimiter ? 1 : 0));
}

static int add_in(struct store *s, const struct actor *by, const struct store_domain *d, struct err *e)
{
    struct store_policy rules = {
        .scope = store_scope_domain(d->id), .name = POLICY_RULES, .priority = POLICY_PRIORITY, .enabled = true};
    struct store_policy enforced = {
        .scope = rules.scope, .name = POLICY_ENFORCED, .priority = POLICY_PRIORITY, .locked = true, .enabled = true};
    struct uuid ignored;

    if (store_change_note(s, CHANGE_DOMAIN, store_scope_domain(d->id), NULL, e) < 0 ||
        check_free(s, span_of(d->name), e) < 0)
        return -1;
    if (db_run(s->main, insert_sql,
               (struct db_val[]){dbv_uuid(&d->id), dbv_uuid(&uuid_zero), dbv_str(d->name),
                                 dbv_word(domain_kind_words, (int)d->kind), dbv_word(domain_state_words, (int)d->state),
                                 delimiter_val(d), dbv_str(d->route), dbv_i64(clock_wall_us())},
               8, NULL, e) < 0)
        return say_conflict(e, "the domain %s exists already", d->name);
    if (note(s, by, "domain.add", d->id, NULL, d, e) < 0 || store_policy_add(s, by, &rules, &ignored, e) < 0)
        return -1;
    return store_policy_add(s, by, &enforced, &ignored, e);
}

int store_domain_add(struct store *s, const struct actor *by, const struct store_domain *d, struct uuid *id_out,
                     struct err *e)
{
    struct store_domain mine = *d;
    bool                own;

    mine.id = uuid7_make();
    if (check(d, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = mine.id;
    return row_end(s, own, add_in(s, by, &mine, e), e);
}

/* As in store_address_add(), from the other side. */
static int check_split(struct store *s, const struct store_domain *d, const char *name, struct err *e)
{
    int64_t n = 0;

    if (d->kind != DOMAIN_SDR)
        return 0;
    if (row_i64(s->main, catchall_sql, (struct db_val[]){dbv_uuid(&d->id)}, 1, &n, e) < 0)
        return -1;
    if (n > 0)
        return err_set(e, ERR_CONFLICT,
                       "%s has a catch-all, which would take the mail of the other server's people: "
                       "delete it first",
                       name);
    return 0;
}

static int set_in(struct store *s, const struct actor *by, const struct store_domain *d, struct err *e)
{
    struct store_domain before, after;

    if (store_change_note(s, CHANGE_DOMAIN, store_scope_domain(d->id), NULL, e) < 0 ||
        store_domain_get(s, d->id, &before, e) < 0 || check_split(s, d, before.name, e) < 0)
        return -1;
    if (row_change_one(s, update_sql,
                       (struct db_val[]){dbv_uuid(&d->id), dbv_word(domain_kind_words, (int)d->kind),
                                         dbv_word(domain_state_words, (int)d->state), delimiter_val(d),
                                         dbv_str(d->route), dbv_i64(clock_wall_us())},
                       6, "domain", e) < 0 ||
        store_domain_get(s, d->id, &after, e) < 0)
        return -1;
    return note(s, by, "domain.set", d->id, &before, &after, e);
}

int store_domain_set(struct store *s, const struct actor *by, const struct store_domain *d, struct err *e)
{
    bool own;

    if (check(d, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, d, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct store_domain before;

    if (store_change_note(s, CHANGE_DOMAIN, store_scope_domain(id), NULL, e) < 0 ||
        store_domain_get(s, id, &before, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "domain", e) < 0)
        return -1;
    return note(s, by, "domain.delete", id, &before, NULL, e);
}

int store_domain_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}

struct domain_list {
    store_domain_fn fn;
    void           *ctx;
};

static int each_domain(void *arg, struct db_rows *r)
{
    struct domain_list *l = arg;
    struct store_domain d;

    read_row(r, &d);
    return l->fn(l->ctx, &d);
}

int store_domain_list(struct store *s, struct span after, size_t limit, store_domain_fn fn, void *ctx, struct err *e)
{
    struct domain_list l = {fn, ctx};

    return row_each(s->main, list_sql, (struct db_val[]){dbv_text(after), dbv_i64((int64_t)page_limit(limit))}, 2,
                    each_domain, &l, e);
}

/* ---- other names ---- */

static int note_alias(struct store *s, const struct actor *by, const char *action, struct uuid domain, struct span name,
                      struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_string(&b, "name", name);
    json_close(&b, '}');
    rc = store_audit_note(s, by, action, "domain", &domain, store_scope_domain(domain), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static int alias_add_in(struct store *s, const struct actor *by, struct uuid domain, struct span name, struct err *e)
{
    struct store_domain d;

    if (store_change_note(s, CHANGE_DOMAIN, store_scope_domain(domain), NULL, e) < 0 ||
        store_domain_get(s, domain, &d, e) < 0 || check_free(s, name, e) < 0)
        return -1;
    if (db_run(s->main, alias_insert_sql,
               (struct db_val[]){dbv_text(name), dbv_uuid(&domain), dbv_i64(clock_wall_us())}, 3, NULL, e) < 0)
        return say_conflict(e, "%.*s exists already", SPAN_ARG(name));
    return note_alias(s, by, "domain.alias.add", domain, name, e);
}

int store_domain_routed(struct store *s, bool *out, struct err *e)
{
    int64_t one;
    int     rc = row_i64(s->main, routed_sql, NULL, 0, &one, e);

    *out = rc > 0;
    return rc < 0 ? -1 : 0;
}

int store_domain_alias_add(struct store *s, const struct actor *by, struct uuid domain, struct span name, struct err *e)
{
    bool own;

    if (check_text(name, 1, STORE_DOMAIN_MAX, "the other name", e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, alias_add_in(s, by, domain, name, e), e);
}

static int alias_delete_in(struct store *s, const struct actor *by, struct span name, struct err *e)
{
    struct db_rows *r;
    struct uuid     domain;
    int             rc = row_first(s->main, alias_get_sql, (struct db_val[]){dbv_text(name)}, 1, &r, e);

    if (rc <= 0)
        return rc < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "%.*s is no other name of any domain", SPAN_ARG(name));
    domain = col_uuid(r, 0);
    db_rows_free(&r);
    if (store_change_note(s, CHANGE_DOMAIN, store_scope_domain(domain), NULL, e) < 0 ||
        row_change_one(s, alias_delete_sql, (struct db_val[]){dbv_text(name)}, 1, "other name", e) < 0)
        return -1;
    return note_alias(s, by, "domain.alias.delete", domain, name, e);
}

int store_domain_alias_delete(struct store *s, const struct actor *by, struct span name, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, alias_delete_in(s, by, name, e), e);
}

struct alias_list {
    store_domain_alias_fn fn;
    void                 *ctx;
};

static int each_alias(void *arg, struct db_rows *r)
{
    struct alias_list *l = arg;
    struct uuid        domain = col_uuid(r, 1);

    return l->fn(l->ctx, db_text(r, 0), &domain);
}

int store_domain_alias_list(struct store *s, struct uuid domain, store_domain_alias_fn fn, void *ctx, struct err *e)
{
    struct alias_list l = {fn, ctx};

    return row_each(s->main, alias_list_sql, (struct db_val[]){dbv_uuid(&domain)}, 1, each_alias, &l, e);
}
