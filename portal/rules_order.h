/* portal/rules_order.h - the rules of a scope, and those from above that hold there, in the order in which they decide. */
#ifndef POSTERN_PORTAL_RULES_ORDER_H
#define POSTERN_PORTAL_RULES_ORDER_H

#include "call.h"
#include "rules/decide.h"
#include "store/policy.h"
#include "store/rule.h"

#define RULES_POLICIES_MAX 256

/* The scope as its policies make it. In the call's arena. */
struct rules_order {
    struct call        *call;
    struct store_policy policies[RULES_POLICIES_MAX]; /* its own, by priority */
    size_t              npolicies;
    struct assigned     assigned;
};
int rules_order_begin(struct call *c, struct rules_order **out, struct err *e);
/* Of a rule of this scope or of one above it. LAYER_NONE: it holds nowhere here. */
enum layer rules_layer(const struct rules_order *o, const struct store_rule *r);

/* Where a rule stands: what decide_rule() compares, in its order. */
struct rules_place {
    int32_t     layer, policy_priority, priority, action;
    struct uuid id;
};
struct rules_place rules_place_of(const struct rules_order *o, const struct store_rule *r);
int                rules_by_place(const void *one, const void *other); /* for qsort */

/* All of the scope, disabled ones too. / Those of the scopes above that are enabled, in enabled policies; without their notes. */
int rules_each_own(const struct rules_order *o, store_rule_fn fn, void *ctx, struct err *e);
int rules_each_above(const struct rules_order *o, store_rule_fn fn, void *ctx, struct err *e);

/* The policy of the scope that is meant: that id, else that name, else Rules. ERR_INVALID about the member `policy`. */
int rules_policy(struct call *c, const struct uuid *id, struct span name, struct store_policy *out, struct err *e);

#endif
