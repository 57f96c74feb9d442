/* lib/store/domain.h - filtered domains and their other names. */
#ifndef POSTERN_STORE_DOMAIN_H
#define POSTERN_STORE_DOMAIN_H

#include "store/store.h"

enum domain_kind {
    DOMAIN_LOCAL, /* its mailboxes are on this mail server */
    DOMAIN_RELAY, /* passed on to another server as a whole */
    DOMAIN_SDR,   /* split: some addresses here, the rest elsewhere */
};
enum domain_state { DOMAIN_PENDING, DOMAIN_ACTIVE, DOMAIN_DISABLED };
extern const char *const domain_kind_words[];  /* "local", "relay", "sdr", NULL */
extern const char *const domain_state_words[]; /* "pending", "active", "disabled", NULL */

struct store_domain {
    struct uuid       id;
    char              name[STORE_DOMAIN_MAX + 1];
    enum domain_kind  kind;
    enum domain_state state;
    char              delimiter;                  /* between the mailbox and its +tag; 0: tags are not stripped */
    char              route[STORE_ROUTE_MAX + 1]; /* delivery route of its own: smtp://host:port, or "" */
    int64_t           created_us, updated_us;
};
/* The route without its password ("smtps://relay:…@host"), for whoever is not the operator, and for the audit log. */
struct store_route_shown {
    char text[STORE_ROUTE_MAX + 4];
};
struct store_route_shown store_domain_route_shown(const struct store_domain *d);

typedef int (*store_domain_fn)(void *ctx, const struct store_domain *d);

/* Adds the domain (id and times are made here) with its two policies, `Rules` and `Enforced`. */
int store_domain_add(struct store *s, const struct actor *by, const struct store_domain *d, struct uuid *id_out,
                     struct err *e);
/* Writes kind, state, delimiter and route of d->id. ERR_CONFLICT: to be split, with a catch-all. */
int store_domain_set(struct store *s, const struct actor *by, const struct store_domain *d, struct err *e);
/* With everything in it: mailboxes, addresses, policies, rules, settings. */
int store_domain_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
int store_domain_get(struct store *s, struct uuid id, struct store_domain *out, struct err *e);
/* By its name or by an alias of it. */
int store_domain_find(struct store *s, struct span name, struct store_domain *out, struct err *e);
/* In order of names, those after `after` (SPAN_NONE: from the start). */
int store_domain_list(struct store *s, struct span after, size_t limit, store_domain_fn fn, void *ctx, struct err *e);

/* Has any of them a route of its own? */
int store_domain_routed(struct store *s, bool *out, struct err *e);

/* Another name of the same domain: every address of it exists under both. */
int store_domain_alias_add(struct store *s, const struct actor *by, struct uuid domain, struct span name,
                           struct err *e);
int store_domain_alias_delete(struct store *s, const struct actor *by, struct span name, struct err *e);
typedef int (*store_domain_alias_fn)(void *ctx, struct span name, const struct uuid *domain);
int store_domain_alias_list(struct store *s, struct uuid domain, store_domain_alias_fn fn, void *ctx, struct err *e);

#endif
