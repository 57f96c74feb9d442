/* portal/limit.h - how often something may be tried in ten minutes, by whom or from where; counted in the log database, so that all
 * portals count together. Who and where are kept as digests. */
#ifndef POSTERN_PORTAL_LIMIT_H
#define POSTERN_PORTAL_LIMIT_H

#include "call.h"

#define LIMIT_TRIES_PER_PERSON 10 /* of a secret, in ten minutes */

/* Counts so many more, and says how many there were in these ten minutes. network: of this address's network alone. */
int limit_count(struct call *c, const char *kind, struct span who, bool network, int64_t more, int64_t *total,
                struct err *e);
/* The same of all networks together, without counting: nothing is written. */
int limit_so_far(struct call *c, const char *kind, struct span who, int64_t *total, struct err *e);
/* Are they in one network, as it is counted here? */
bool limit_same_network(const struct ip *a, const struct ip *b);
/* -1 with ERR_LIMIT, 429. */
int limit_refuse(struct call *c, struct err *e);
/* Counts one; -1 with ERR_LIMIT, 429, when that makes more than `most`. */
int limit_check(struct call *c, const char *kind, struct span who, bool network, int64_t most, struct err *e);

#endif
