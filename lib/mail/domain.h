/* lib/mail/domain.h - domain names: one form to compare, and who owns what below which suffix.
 *
 * The normal form   A-labels, lower case, no final dot; an address literal keeps its brackets, in lower case.
 * All functions but domain_normalise() expect it. Any thread. */
#ifndef POSTERN_MAIL_DOMAIN_H
#define POSTERN_MAIL_DOMAIN_H

#include "base/arena.h"
#include "base/err.h"

#define DOMAIN_MAX 253

/* IDN to A-label (libidn2, non-transitional), lower case, no final dot. -1 and e when it cannot be a domain name (empty
 * label, > 63 / > 253 bytes, forbidden characters). Underscore is let through. The input itself if it is normal. */
int domain_normalise(struct span domain, struct arena *a, struct span *out, struct err *e);
/* The U-label form for people to read; the input itself when it does not convert. */
struct span domain_display(struct span domain, struct arena *a);

/* The organisational domain by the public suffix list (libpsl's built-in data); the domain itself when it is a public
 * suffix, a literal or an IPv4 address. A tail of the input. */
struct span domain_org(struct span domain);
bool        domain_is_public_suffix(struct span domain);
/* A domain at which anybody may open a mailbox (a short list of the large ones, ours). */
bool domain_is_freemail(struct span domain);
/* Is `domain` the same as, or below, `parent`? */
bool domain_is_within(struct span domain, struct span parent);

#endif
