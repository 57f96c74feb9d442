/* portal/rules_plan.h - what an import would do, line by line, before anything is stored.
 *
 * A line of a list that says no more than whom (rules/import.h) becomes an entry of a rule that holds many; a JSON line, and a row that has
 * a name, a note or an end, stay rules of their own. What does the same as a rule that is there, or as a line before it, is a
 * duplicate and left out: so an import that is made twice adds nothing. What contradicts (rules/conflict.h) is said, and left out on request.
 * The preview and the import are made of the same plan. */
#ifndef POSTERN_PORTAL_RULES_PLAN_H
#define POSTERN_PORTAL_RULES_PLAN_H

#include "base/map.h"
#include "fields.h"
#include "rules/import.h"
#include "rules_beside.h"

#define PLAN_TEXT_MAX (4 << 20)
#define PLAN_ITEMS_MAX 20000

enum plan_state { PLAN_NEW, PLAN_DUPLICATE, PLAN_CONFLICT, PLAN_ERROR, PLAN_PASSED, PLAN_STATES };

/* The body of the calls. */
struct plan_body {
    uint64_t    given;
    struct span text;
    int         format, action, kind;
    struct uuid policy;
    bool        skip_conflicts, confirm;
};
extern const struct field plan_fields[];

/* One rule that a line would be, or one entry of it; or a line that is none. */
struct item {
    size_t                 line;
    struct span            text; /* of the line, cut; or the entry */
    enum plan_state        state;
    struct rule            rule;
    struct store_policy   *policy;
    bool                   alone; /* a rule of its own */
    struct span            why;   /* ERROR: a sentence without its stop */
    struct uuid            same;  /* DUPLICATE: of this rule, or */
    size_t                 same_line;
    const struct conflict *conflict;
};
struct plan {
    struct call            *call;
    const struct plan_body *in;
    enum import_format      format;
    struct beside           beside; /* its arena holds all that is here */
    bool                    begun, may_regex;
    struct item            *items;
    size_t                  n, counts[PLAN_STATES], slow;
    struct map              known; /* key -> struct known */
    struct buf              key;
    struct store_policy    *policies[RULES_POLICIES_MAX];
    size_t                  npolicies;
};

/* Reads and compares all of it; call->body is a struct plan_body. `p` is zero before; drop it in any case. */
int  plan_make(struct plan *p, struct call *c, struct err *e);
void plan_drop(struct plan *p);
/* Would it be stored? */
bool plan_takes(const struct plan *p, const struct item *x);

#endif
