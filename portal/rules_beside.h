/* portal/rules_beside.h - rules of a scope, read and in order, with new ones among them: what would contradict, what would never decide.
 *
 * Memory    an arena of its own, BESIDE_MEMORY: what does not fit in is left out, and `whole` is false. What is said is true in any case. */
#ifndef POSTERN_PORTAL_RULES_BESIDE_H
#define POSTERN_PORTAL_RULES_BESIDE_H

#include "rules/conflict.h"
#include "rules_order.h"

#define BESIDE_MEMORY ((size_t)96 << 20)

/* A rule among the others. */
struct beside_rule {
    struct rules_place place;
    struct span        name;
    struct uuid        policy;
    bool               above;  /* of a scope above */
    size_t             fresh;  /* 1 and so on: a new one, of the caller's; 0: it is stored */
    size_t             number; /* in the list of its scope, from 1; 0: above, or new */
};
struct beside {
    struct rules_order         *order;
    struct arena                arena;
    struct buf                  places; /* of struct rules_place: all of the scope's own, in order */
    struct buf                  rows;   /* of struct beside_row, ours */
    struct uuid                 but;    /* left out: the one that is being changed */
    bool                        whole;
    const struct beside_rule  **rules; /* when it is ended: in order, */
    const struct conflict_rule *read;  /* and what they say */
    size_t                      n;
    struct conflicts            found;
};

/* Reads what is stored; `but` (or NULL) is left out. Then new ones are added, then it is ended. fini in any case. */
int  beside_begin(struct call *c, struct beside *b, const struct uuid *but, struct err *e);
int  beside_add(struct beside *b, const struct rule *r, const struct store_policy *p, const struct uuid *id,
                size_t fresh, struct err *e);
int  beside_end(struct beside *b, struct err *e);
void beside_fini(struct beside *b);

/* One thing that was found, as a JSON object in an array. */
void beside_put(struct buf *out, const struct beside *b, const struct conflict *f);

#endif
