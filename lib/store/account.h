/* lib/store/account.h - people who sign in, and what they may do where.
 *
 * Roles are rows: an account is an admin (the operator), owner or clerk of single domains, and for everything
 * else a user. What a session may do is computed from here, never from a request. */
#ifndef POSTERN_STORE_ACCOUNT_H
#define POSTERN_STORE_ACCOUNT_H

#include "store/store.h"

enum role { ROLE_USER, ROLE_CLERK, ROLE_OWNER, ROLE_ADMIN }; /* ascending */
extern const char *const role_words[];                       /* "user", "clerk", "owner", "admin", NULL */

struct store_account {
    struct uuid id;
    char        login[STORE_ADDRESS_MAX + 1]; /* the address that the person signs in with */
    char        name[STORE_NAME_MAX + 1];     /* as shown, may be empty */
    bool        admin, active;
    char        language[16]; /* BCP 47, or "" */
    char        zone[64];     /* IANA time zone, or "" */
    int64_t     created_us, updated_us;
};
typedef int (*store_account_fn)(void *ctx, const struct store_account *a);

int store_account_add(struct store *s, const struct actor *by, const struct store_account *a, struct uuid *id_out,
                      struct err *e);
/* Writes name, admin, active, language and zone of a->id. */
int store_account_set(struct store *s, const struct actor *by, const struct store_account *a, struct err *e);
/* Both: the last admin who can sign in stays one, when it is a person or a program that asks and not the operator of the machine
 * (ERR_CONFLICT). */
/* With its credentials and sessions; its mailboxes stay, without a person. */
int store_account_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
int store_account_get(struct store *s, struct uuid id, struct store_account *out, struct err *e);
int store_account_find(struct store *s, struct span login, struct store_account *out, struct err *e);
/* In order of logins, those after `after`. */
int store_account_list(struct store *s, struct span after, size_t limit, store_account_fn fn, void *ctx, struct err *e);

/* Those who have a mailbox, a role or their login in a domain, in order of logins, with their role there. */
typedef int (*store_person_fn)(void *ctx, const struct store_account *a, enum role role);
int store_account_of_domain(struct store *s, struct uuid domain, struct span after, size_t limit, store_person_fn fn,
                            void *ctx, struct err *e);
/* Is the account one of those? */
int store_account_is_in(struct store *s, struct uuid account, struct uuid domain, bool *out, struct err *e);

/* ROLE_OWNER or ROLE_CLERK of a domain; ROLE_USER takes the row away. */
int store_role_set(struct store *s, const struct actor *by, struct uuid account, struct uuid domain, enum role role,
                   struct err *e);
/* The strongest that the account has on that domain: ROLE_ADMIN for an admin, ROLE_USER without a row or when the
 * account is not active. */
int store_role_of(struct store *s, struct uuid account, struct uuid domain, enum role *out, struct err *e);
typedef int (*store_role_fn)(void *ctx, const struct uuid *account, const struct uuid *domain, struct span domain_name,
                             enum role role);
/* The domains of an account. */
int store_role_list(struct store *s, struct uuid account, store_role_fn fn, void *ctx, struct err *e);
/* Who owns a domain, by their logins. */
typedef int (*store_owner_fn)(void *ctx, struct span login);
int store_role_owners(struct store *s, struct uuid domain, store_owner_fn fn, void *ctx, struct err *e);

#endif
