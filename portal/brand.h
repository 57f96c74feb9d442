/* portal/brand.h - which brand a call is to show: that of the signed-in person's domain, else that of the host asked for, else the
 * installation's own name. What a host says chooses among brands that the operator has made, and nothing else: addresses in mail come
 * from the brand's settings or [portal] public_url. */
#ifndef POSTERN_PORTAL_BRAND_H
#define POSTERN_PORTAL_BRAND_H

#include "call.h"
#include "store/brand.h"

/* Every text filled in: name, sender and url are the installation's where the brand has none; id is zero where there is no brand.
 * `address`: the person's whose brand it is, where that is not the one signed in; or SPAN_NONE. */
int brand_of(struct call *c, struct span address, struct store_brand *out, struct err *e);

/* Where its logo is to be had; SPAN_NONE: it has none. */
struct span brand_logo(struct call *c, const struct store_brand *x);

#endif
