/* lib/store/domain_admin.c - see domain_admin.h. */
#include "store/domain_admin.h"

#include <stdio.h>

#include "store/audit.h"
#include "store/digest.h"
#include "store/row.h"

static const char get_sql[] =
    "SELECT n.account_id, n.made_owner, n.digest_id, CASE WHEN r.role = 'owner' THEN 1 ELSE 0 END FROM domain_admin n"
    " LEFT JOIN domain_role r ON r.account_id = n.account_id AND r.domain_id = n.domain_id"
    " WHERE n.domain_id = $1";
static const char put_sql[] =
    "INSERT INTO domain_admin (domain_id, account_id, made_owner, digest_id, named_us) VALUES ($1, $2, $3, $4, $5)";
static const char delete_sql[] = "DELETE FROM domain_admin WHERE domain_id = $1";
static const char role_sql[] = "SELECT 1 FROM domain_role WHERE account_id = $1 AND domain_id = $2 AND role = 'owner'";
static const char digest_sql[] =
    "SELECT 1 FROM digest_subscription WHERE account_id = $1 AND domain_id = $2 AND kind = 'domain' LIMIT 1";

#define SEVEN_O_CLOCK 420
#define EVERY_DAY 127u

struct named {
    struct uuid account, digest;
    bool        made_owner, has_digest, owns;
};

static int get(struct store *s, const struct uuid *domain, struct named *out, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, get_sql, (struct db_val[]){dbv_uuid(domain)}, 1, &r, e);

    if (rc <= 0)
        return rc;
    *out = (struct named){.account = col_uuid(r, 0),
                          .made_owner = db_i64(r, 1) != 0,
                          .digest = col_uuid(r, 2),
                          .has_digest = !db_is_null(r, 2),
                          .owns = db_i64(r, 3) != 0};
    db_rows_free(&r);
    return 1;
}

int store_domain_admin(struct store *s, struct uuid domain, struct store_account *out, struct err *e)
{
    struct named n;
    int          rc = get(s, &domain, &n, e);

    if (rc <= 0 || !n.owns)
        return rc < 0 ? -1 : 0;
    return store_account_get(s, n.account, out, e) < 0 ? -1 : 1;
}

static void put_named(struct buf *b, const char *key, const void *row)
{
    const struct store_account *a = row;

    json_open(b, key, '{');
    json_add_str(b, "address", a->login);
    json_close(b, '}');
}

static int note(struct store *s, const struct actor *by, struct uuid domain, const struct store_account *before,
                const struct store_account *after, struct err *e)
{
    return payload_note(s, by, store_scope_domain(domain),
                        &(struct payload_change){.action = "domain.admin",
                                                 .kind = "domain",
                                                 .id = domain,
                                                 .put = put_named,
                                                 .before = before,
                                                 .after = after},
                        e);
}

/* ---- named ---- */

static int find_or_make(struct store *s, const struct actor *by, struct span login, struct store_account *a,
                        struct err *e)
{
    struct uuid id;

    if (store_account_find(s, login, a, e) == 0)
        return a->active ? 0 : err_set(e, ERR_CONFLICT, "the account %s may not sign in", a->login);
    if (e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    *a = (struct store_account){.active = true};
    snprintf(a->login, sizeof a->login, "%.*s", SPAN_ARG(login));
    return store_account_add(s, by, a, &id, e) < 0 ? -1 : store_account_get(s, id, a, e);
}

static int has(struct store *s, const char *sql, const struct uuid *account, const struct uuid *domain, bool *out,
               struct err *e)
{
    int64_t one;
    int     rc = row_i64(s->main, sql, (struct db_val[]){dbv_uuid(account), dbv_uuid(domain)}, 2, &one, e);

    *out = rc > 0;
    return rc < 0 ? -1 : 0;
}

static int choose(struct store *s, const struct uuid *domain, const struct store_account *a, const char *zone,
                  struct store_digest_choice *out, struct err *e)
{
    int rc = store_digest_default(s, *domain, out, e);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    *out = (struct store_digest_choice){.minute = SEVEN_O_CLOCK, .weekdays = EVERY_DAY, .filters = DIGEST_QUARANTINED};
    snprintf(out->zone, sizeof out->zone, "%s", zone[0] != '\0' ? zone : "UTC");
    snprintf(out->language, sizeof out->language, "%s", a->language[0] != '\0' ? a->language : "en");
    return 0;
}

static int give_digest(struct store *s, const struct actor *by, const struct uuid *domain,
                       const struct store_account *a, const char *zone, struct named *n, struct err *e)
{
    struct store_digest d = {.kind = DIGEST_DOMAIN, .account = a->id, .domain = *domain};
    bool                there;

    if (has(s, digest_sql, &a->id, domain, &there, e) < 0 || there)
        return there ? 0 : -1;
    if (choose(s, domain, a, zone, &d.choice, e) < 0 ||
        store_digest_choice_next(&d.choice, clock_wall_us(), &d.next_us, e) < 0 ||
        store_digest_add(s, by, &d, &n->digest, e) < 0)
        return -1;
    n->has_digest = true;
    return 0;
}

static int name(struct store *s, const struct actor *by, const struct uuid *domain, const struct store_account *a,
                const char *zone, struct err *e)
{
    struct named n = {.account = a->id};

    if (has(s, role_sql, &a->id, domain, &n.owns, e) < 0)
        return -1;
    n.made_owner = !n.owns;
    if ((n.made_owner && store_role_set(s, by, a->id, *domain, ROLE_OWNER, e) < 0) ||
        give_digest(s, by, domain, a, zone, &n, e) < 0)
        return -1;
    return db_run(s->main, put_sql,
                  (struct db_val[]){dbv_uuid(domain), dbv_uuid(&n.account), dbv_bool(n.made_owner),
                                    dbv_uuid_or_null(n.has_digest ? &n.digest : NULL), dbv_i64(clock_wall_us())},
                  5, NULL, e);
}

/* ---- freed ---- */

static int release(struct store *s, const struct actor *by, const struct uuid *domain, const struct named *n,
                   struct err *e)
{
    if (db_run(s->main, delete_sql, (struct db_val[]){dbv_uuid(domain)}, 1, NULL, e) < 0 ||
        (n->has_digest && store_digest_delete(s, by, n->digest, e) < 0))
        return -1;
    return n->made_owner && n->owns ? store_role_set(s, by, n->account, *domain, ROLE_USER, e) : 0;
}

/* ---- the calls ---- */

/* Named already: nothing changes. */
static int set(struct store *s, const struct actor *by, struct uuid domain, struct span login, const char *zone,
               struct err *e)
{
    struct store_account before, a;
    struct named         n;
    int                  had = get(s, &domain, &n, e);

    if (had < 0 || (had > 0 && store_account_get(s, n.account, &before, e) < 0) ||
        find_or_make(s, by, login, &a, e) < 0)
        return -1;
    if (had > 0 && n.owns && uuid_eq(&n.account, &a.id))
        return 0;
    if ((had > 0 && release(s, by, &domain, &n, e) < 0) || name(s, by, &domain, &a, zone, e) < 0)
        return -1;
    return note(s, by, domain, had > 0 ? &before : NULL, &a, e);
}

int store_domain_admin_set(struct store *s, const struct actor *by, struct uuid domain, struct span login,
                           const char *zone, struct err *e)
{
    bool mine;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, set(s, by, domain, login, zone, e), e);
}

static int clear(struct store *s, const struct actor *by, struct uuid domain, struct err *e)
{
    struct store_account before;
    struct named         n;
    int                  had = get(s, &domain, &n, e);

    if (had <= 0)
        return had;
    if (store_account_get(s, n.account, &before, e) < 0 || release(s, by, &domain, &n, e) < 0)
        return -1;
    return note(s, by, domain, &before, NULL, e);
}

int store_domain_admin_clear(struct store *s, const struct actor *by, struct uuid domain, struct err *e)
{
    bool mine;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, clear(s, by, domain, e), e);
}
