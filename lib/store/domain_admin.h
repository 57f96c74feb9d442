/* lib/store/domain_admin.h - the one address that the operator names for a domain: its account owns the domain and gets the domain's
 * digest without asking for it.
 *
 * Named    the account is made where there is none, becomes an owner, and gets a digest at the hour, in the zone and of what the domain's
 *          default says (digest.h); without one at 07:00 of what is quarantined. One who has a digest of the domain keeps that.
 * Freed    what it got by being named goes again: the owner's role, and the digest. What it had before stays.
 * Stands   as long as the account owns the domain: who is made something else is the address no longer.
 * Audit    "domain.admin", beside "account.add", "role.set", "digest.add" and "digest.delete". */
#ifndef POSTERN_STORE_DOMAIN_ADMIN_H
#define POSTERN_STORE_DOMAIN_ADMIN_H

#include "store/account.h"

/* 1 and who it is, 0 nobody, -1. */
int store_domain_admin(struct store *s, struct uuid domain, struct store_account *out, struct err *e);
/* `login` is a normalised address. `zone`: of the digest where there is no default; "": UTC. Who was named before is freed. ERR_CONFLICT: the
 * account may not sign in. */
int store_domain_admin_set(struct store *s, const struct actor *by, struct uuid domain, struct span login,
                           const char *zone, struct err *e);
/* Nobody named: nothing changes. */
int store_domain_admin_clear(struct store *s, const struct actor *by, struct uuid domain, struct err *e);

#endif
