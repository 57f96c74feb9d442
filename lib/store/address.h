/* lib/store/address.h - addresses of our domains, and to whom one leads.
 *
 * Resolving, in this order: the domain or the domain that it is an alias of · the local part as it is · the
 * local part before the domain's delimiter · the domain's catch-all. An alias or catch-all with exactly one
 * target that is ours leads on from there, at most STORE_ALIAS_DEPTH times; a longer or circular one, one with
 * several targets or a foreign one, a list, a group, a disabled mailbox: the domain's rules alone. */
#ifndef POSTERN_STORE_ADDRESS_H
#define POSTERN_STORE_ADDRESS_H

#include "store/store.h"

#define STORE_ALIAS_DEPTH 8
#define STORE_TARGETS_MAX 1000

enum address_kind {
    ADDRESS_MAILBOX,
    ADDRESS_ALIAS,
    ADDRESS_LIST,
    ADDRESS_CATCHALL, /* its local part is empty */
    ADDRESS_SENDER,   /* may be written from; nothing is received there */
    ADDRESS_GROUP,
};
extern const char *const address_kind_words[]; /* "mailbox", "alias", "list", "catchall", "sender", "group", NULL */

struct store_resolved {
    bool        ours;    /* its domain is one of ours, and active. If not, nothing below holds */
    bool        known;   /* the address exists, by itself, its tag or the catch-all */
    bool        special; /* postmaster@ or abuse@: locked global rules alone judge it */
    bool        has_mailbox, has_account;
    struct uuid domain; /* whose rules and thresholds hold: the mailbox's where there is one */
    struct uuid mailbox;
    struct uuid account;
    char        domain_name[STORE_DOMAIN_MAX + 1];
    char        mailbox_address[STORE_ADDRESS_MAX + 1]; /* "" without a mailbox */
};
/* `address` is normalised: local@domain. Never ERR_NOT_FOUND: a stranger's address is `ours == false`. */
int store_resolve(struct store *s, struct span address, struct store_resolved *out, struct err *e);

struct store_address {
    struct uuid       id, domain, mailbox;
    enum address_kind kind;
    bool              has_mailbox, enabled;
    struct span       local, domain_name;
    struct span       targets; /* of aliases, lists, groups, catch-alls: one a line, in order of text */
    int64_t           created_us;
};
typedef int (*store_address_fn)(void *ctx, const struct store_address *a);

/* Adds an alias, list, group, sender or catch-all (then local is empty). ERR_CONFLICT when the address exists,
 * or when a catch-all is put into a domain of kind sdr. A mailbox is made by store_mailbox_add(). */
int store_address_add(struct store *s, const struct actor *by, struct uuid domain, struct span local,
                      enum address_kind kind, const struct span *targets, size_t ntargets, struct uuid *id_out,
                      struct err *e);
/* Not for a mailbox: store_mailbox_delete(). */
int store_address_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
/* By the exact address. The spans live in `a`. */
int store_address_find(struct store *s, struct span address, struct arena *a, struct store_address *out, struct err *e);
/* Of a domain, in order of local parts, those after `after_local` (SPAN_NONE: from the start). */
int store_address_list(struct store *s, struct uuid domain, struct span after_local, size_t limit, store_address_fn fn,
                       void *ctx, struct err *e);

#endif
