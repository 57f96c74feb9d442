/* lib/rules/conflict.h - rules that never decide, and rules that say the opposite of one another. Pure.
 *
 * A rule never decides when each entry of one of its conditions is caught by rules in front of it, together with all else that it
 * asks for (cover.h, strictly). It contradicts a rule of the other action in front of it when that one speaks of the same mail: all of
 * it, or that of some of its entries. An exception in front of what it is an exception from is neither.
 * Cost      Entries are found by hash; those that a hash does not find (wildcards, parts of texts, blocks of addresses, names of
 *           attachments) one by one, up to CONFLICT_STEPS in all. `whole` says whether that was enough: what is found is true in any case. */
#ifndef POSTERN_RULES_CONFLICT_H
#define POSTERN_RULES_CONFLICT_H

#include "rules/rule.h"

#define CONFLICT_STEPS 3000000
#define CONFLICT_BY_MAX 3

/* A rule that can decide now: neither expired nor of a policy that holds nowhere. Those that are off or for testing are passed over. */
struct conflict_rule {
    struct rule rule;
    uint32_t    part; /* 0: it holds wherever the others do; else only where those of the same part do */
};

enum conflict_kind {
    CONFLICT_SHADOWED, /* never decides */
    CONFLICT_OPPOSITE, /* contradicts */
};
struct conflict {
    enum conflict_kind  kind;
    size_t              rule;                     /* its index; */
    size_t              by[CONFLICT_BY_MAX], nby; /* and those in front of it, the first ones */
    bool                opposite;                 /* SHADOWED: by a rule of the other action */
    bool                if_proven;                /* OPPOSITE: where the sender is proven */
    const struct entry *entry;                    /* OPPOSITE: the first entry that it is about; NULL: the whole rule */
    size_t              nentries;
};
struct conflicts {
    const struct conflict *items; /* by rule; at most one of a rule */
    size_t                 n;
    bool                   whole;
};

/* The rules in the order in which they decide. Results are in the arena and point into the rules. ERR_LIMIT: the arena is full. */
int conflicts_find(const struct conflict_rule *rules, size_t n, struct arena *a, struct conflicts *out, struct err *e);

#endif
