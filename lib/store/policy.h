/* lib/store/policy.h - named sets of rules.
 *
 * Every domain is born with `Rules` and `Enforced` (locked), every mailbox with `Rules`: those keep their names and locks, and are
 * switched off rather than deleted. A global policy acts where it is locked, assigned to a domain, or the default; otherwise it is
 * inert. Nobody below outranks what is locked: only an admin locks a policy that has allows, as only an admin puts one there. */
#ifndef POSTERN_STORE_POLICY_H
#define POSTERN_STORE_POLICY_H

#include "store/store.h"

#define POLICY_RULES "Rules"
#define POLICY_ENFORCED "Enforced"
#define POLICY_PRIORITY 100

struct store_policy {
    struct uuid        id;
    struct store_scope scope;
    char               name[STORE_NAME_MAX + 1]; /* unique in its scope */
    int32_t            priority;                 /* the lower decides */
    bool               locked, is_default;       /* is_default: global ones alone */
    bool               enabled;
    int64_t            created_us, updated_us;
    int64_t            nrules;    /* filled by store_policy_list() and _count() */
    int64_t            nassigned; /* domains it is assigned to; the same */
};
typedef int (*store_policy_fn)(void *ctx, const struct store_policy *p);

int store_policy_add(struct store *s, const struct actor *by, const struct store_policy *p, struct uuid *id_out,
                     struct err *e);
/* Writes name, priority, locked, is_default and enabled of p->id. */
int store_policy_set(struct store *s, const struct actor *by, const struct store_policy *p, struct err *e);
int store_policy_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
int store_policy_get(struct store *s, struct uuid id, struct store_policy *out, struct err *e);
/* Fills nrules and nassigned of p->id. */
int store_policy_count(struct store *s, struct store_policy *p, struct err *e);
int store_policy_find(struct store *s, struct store_scope scope, struct span name, struct store_policy *out,
                      struct err *e);
/* One of those that every domain or mailbox is born with. */
bool store_policy_is_built_in(const struct store_policy *p);
/* Adds its members that people set: name, priority, locked, default, enabled. */
void store_policy_put(struct buf *b, const struct store_policy *p);
/* Of one scope, by priority, then age. */
int store_policy_list(struct store *s, struct store_scope scope, store_policy_fn fn, void *ctx, struct err *e);

/* A global policy for a domain: for admins. Assigning twice is fine; unassigning what is not is ERR_NOT_FOUND. */
int store_policy_assign(struct store *s, const struct actor *by, struct uuid policy, struct uuid domain, struct err *e);
int store_policy_unassign(struct store *s, const struct actor *by, struct uuid policy, struct uuid domain,
                          struct err *e);
/* The domains that it is assigned to, in order of names, those after `after` (SPAN_NONE: from the start). */
typedef int (*store_policy_domain_fn)(void *ctx, const struct uuid *domain, struct span name);
int store_policy_domains(struct store *s, struct uuid policy, struct span after, size_t limit,
                         store_policy_domain_fn fn, void *ctx, struct err *e);

#endif
