/* lib/rules/scope.h - all rules of one scope (global, a domain, a mailbox), compiled.
 *
 * Immutable once built, counted, shared by threads. Flat arrays: rules (sorted by id, which is by age), conditions, entries,
 * text. Each rule is filed under one anchor, its most selective condition that is not negated and whose entries can all be
 * filed: addresses, domains and exact texts by hash, IP blocks by the hash of their prefix, literals (texts, parts of wildcards
 * and regexes) by literal.h; rules without an anchor are tried on every message. Any other condition of many entries is filed
 * by itself. So a verdict's cost grows neither with other scopes' rules nor with the entries of this one that do not occur.
 * Memory: some 100 bytes an exact rule, at most 150, beyond the text of its entries; 3 kB a used regex. Compiling: half a
 * microsecond an exact rule.
 *
 * A change of few rules is an overlay: a small scope on top of a base, with the base's replaced rules masked out. */
#ifndef POSTERN_RULES_SCOPE_H
#define POSTERN_RULES_SCOPE_H

#include "rules/rule.h"

enum scope_kind { SCOPE_GLOBAL, SCOPE_DOMAIN, SCOPE_MAILBOX };

struct scope_policy {
    struct uuid id;
    int32_t     priority; /* default 100; lower decides */
    bool        locked, is_default;
    bool        learned;  /* the mailbox's learned senders, as a policy of their own */
    char        name[64]; /* cut at a character */
};

#define SCOPE_SLOW_REGEX_MAX 100 /* regexes without a literal of 3 bytes */

struct scope; /* opaque */
struct scope_builder;

/* keep_text: rules keep name and entries as written, for explain. */
struct scope_builder *scope_builder_new(enum scope_kind kind, const struct uuid *id, bool keep_text);
void                  scope_builder_free(struct scope_builder **b);
int                   scope_builder_policy(struct scope_builder *b, const struct scope_policy *p, struct err *e);
/* The rule's memory may go after the call. policy must have been added. ERR_LIMIT: too many slow regexes and the like. */
int scope_builder_rule(struct scope_builder *b, const struct uuid *policy, const struct rule *r, struct err *e);
/* Takes the builder. `at_change`: the change-feed seq that this state includes. */
struct scope *scope_build(struct scope_builder **b, int64_t at_change, struct err *e);
/* A new scope = base with `replaced` rules gone and those of `b` added (policies of b replace by id). Holds base. */
struct scope *scope_overlay(struct scope *base, const struct uuid *replaced, size_t nreplaced, struct scope_builder **b,
                            int64_t at_change, struct err *e);
size_t        scope_overlay_size(const struct scope *s); /* rules in the overlay and masked; for deciding to merge */

struct scope              *scope_hold(struct scope *s);
void                       scope_drop(struct scope **s);
size_t                     scope_nrules(const struct scope *s);
size_t                     scope_memory(const struct scope *s); /* bytes, the base's included */
int64_t                    scope_at_change(const struct scope *s);
size_t                     scope_npolicies(const struct scope *s);
const struct scope_policy *scope_policy_at(const struct scope *s, size_t i);

#endif
