/* lib/store/mailbox.h - a mailbox: an address of ours whose mail is filtered for a person. */
#ifndef POSTERN_STORE_MAILBOX_H
#define POSTERN_STORE_MAILBOX_H

#include "store/store.h"

struct store_mailbox {
    struct uuid id, domain, account;
    bool        has_account; /* false: nobody has signed in for it yet */
    bool        enabled;     /* false: judged by the domain's rules alone */
    char        address[STORE_ADDRESS_MAX + 1];
    int64_t     created_us, updated_us;
};
typedef int (*store_mailbox_fn)(void *ctx, const struct store_mailbox *m);

/* Makes the mailbox, its address and its policy `Rules`. Who gets one, here or by store_mailbox_set(), begins with the digest that the
 * domain says (digest.h). */
int store_mailbox_add(struct store *s, const struct actor *by, struct uuid domain, struct span local,
                      const struct uuid *account, struct uuid *id_out, struct err *e);
/* Writes account and enabled of m->id. */
int store_mailbox_set(struct store *s, const struct actor *by, const struct store_mailbox *m, struct err *e);
/* With its address, policies, rules and learned senders. */
int store_mailbox_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
int store_mailbox_get(struct store *s, struct uuid id, struct store_mailbox *out, struct err *e);
/* By its own address, exactly; store_resolve() follows tags and aliases. */
int store_mailbox_find(struct store *s, struct span address, struct store_mailbox *out, struct err *e);
/* Of a domain, in order of local parts, those after `after_local`. */
int store_mailbox_list(struct store *s, struct uuid domain, struct span after_local, size_t limit, store_mailbox_fn fn,
                       void *ctx, struct err *e);
/* All of a person. */
int store_mailbox_of_account(struct store *s, struct uuid account, store_mailbox_fn fn, void *ctx, struct err *e);

#endif
