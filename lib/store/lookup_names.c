/* lib/store/lookup_names.c - who else reads the rows of a domain and of its mailboxes: aliases, and whom the catch-all takes. */
#include "store/lookup_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/address.h"

#define NAMES_BYTES_MAX ((size_t)64 << 20) /* of one domain */

static const char put_alias_sql[] = "INSERT INTO spamassassin_alias (scope, alias, username) VALUES ($1, $2, $3)";
static const char drop_scope_aliases_sql[] = "DELETE FROM spamassassin_alias WHERE scope = $1";

/* The addresses and other names of a domain. Spans live in the arena. */
struct names {
    struct arena arena;
    char         catchall[STORE_ADDRESS_MAX + 1]; /* its mailbox; "": nobody's, or one of another domain */
    struct span *aliases;                         /* of the domain */
    size_t       naliases;
    struct known {
        struct span local;
        bool        alias;
    } page[LOOKUP_PAGE];
    size_t n;
};

static int each_name(void *arg, struct span name, const struct uuid *domain)
{
    struct names *x = arg;

    (void)domain;
    if (x->naliases == LOOKUP_PAGE)
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
        if (store_address_list(s, v->id, after, LOOKUP_PAGE, each_address, x, e) < 0)
            return -1;
        if (x->arena.full)
            return err_set(e, ERR_LIMIT, "a domain with too many addresses");
        if (add_page(l, s, key, x, v, e) < 0)
            return -1;
        if (x->n > 0) {
            snprintf(last, sizeof last, "%.*s", SPAN_ARG(x->page[x->n - 1].local));
            after = span_of(last);
        }
    } while (x->n == LOOKUP_PAGE);
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
    char                     key[LOOKUP_KEY_MAX + 1], whole[STORE_DOMAIN_MAX + 2];
    int                      rc;

    if (x == NULL)
        panic("out of memory");
    arena_init(&x->arena, NAMES_BYTES_MAX);
    lookup_domain_key(&domain, key);
    if ((rc = lookup_domain(s, domain, &x->arena, &v, e)) > 0) {
        snprintf(whole, sizeof whole, "%%%s", v.name);
        x->aliases = arena_array(&x->arena, LOOKUP_PAGE, sizeof *x->aliases);
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

int lookup_names_write(struct store_lookup *l, struct store *s, const struct uuid *domain, struct err *e)
{
    char key[LOOKUP_KEY_MAX + 1];

    lookup_domain_key(domain, key);
    if (db_run(l->db, drop_scope_aliases_sql, (struct db_val[]){dbv_str(key)}, 1, NULL, e) < 0 ||
        db_batch_begin(l->db, put_alias_sql, e) < 0 || add_aliases(l, s, *domain, e) < 0)
        return -1;
    return db_batch_end(l->db, e);
}

int lookup_names_fill(struct store_lookup *l, struct store *s, const struct uuid *domains, size_t n, struct err *e)
{
    int rc = db_batch_begin(l->db, put_alias_sql, e);

    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add_aliases(l, s, domains[i], e);
    return rc == 0 ? db_batch_end(l->db, e) : -1;
}
