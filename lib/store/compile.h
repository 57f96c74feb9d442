/* lib/store/compile.h - from rows to a compiled scope.
 *
 * A scope is what its rows say: the enabled rules of its enabled policies and, for a mailbox, its learned senders as a policy
 * of their own. A row that no longer reads as a rule is left out and reported, so that one damaged rule never silences others;
 * only the database can make compiling fail.
 * The number of the change feed that a scope carries is read before its rows: it includes that change and may include later
 * ones. Applying a change twice is harmless, missing one is not. */
#ifndef POSTERN_STORE_COMPILE_H
#define POSTERN_STORE_COMPILE_H

#include "store/store.h"

struct compile_how {
    bool   keep_text; /* names and entries as written, for explain */
    size_t rules_max; /* more rules than this: ERR_LIMIT, early; 0: no limit */
    /* May be NULL. A rule that was left out, and why. `e` lives for the call. */
    void (*left_out)(void *ctx, const struct uuid *rule, const struct err *e);
    /* May be NULL. Looked at now and then; true gives up with ERR_BUSY. */
    bool (*stop)(void *ctx);
    void *ctx;
};

/* The whole scope. An empty one is a scope too. */
int store_scope_compile(struct store *s, struct store_scope scope, const struct compile_how *how, struct scope **out,
                        struct err *e);

/* Single rules that changed after a scope was compiled, as they are now. Owns what it has read; one thread at a time. */
struct scope_patch;
struct scope_patch *scope_patch_new(const struct compile_how *how);
void                scope_patch_free(struct scope_patch **p);
/* Reads one rule again: changed, added, or gone. `seq` is the number of its change. */
int scope_patch_read(struct scope_patch *p, struct store *s, const struct uuid *rule, int64_t seq, struct err *e);
/* Readings so far, repeated ones included: what the patch costs. */
size_t scope_patch_size(const struct scope_patch *p);
/* Calls fn for each rule whose last change is after `seq`; fn returns 0 to go on, else the walk ends with that value. */
int scope_patch_each(const struct scope_patch *p, int64_t                              seq,
                     int (*fn)(void *ctx, const struct uuid *rule, int64_t seq), void *ctx);
/* base with the patch on top: a new scope that holds base. */
int scope_patch_apply(const struct scope_patch *p, struct store_scope scope, struct scope *base, struct scope **out,
                      struct err *e);

/* The scopes of more than `rules` rules, the disabled ones counted too: what a start compiles before it is asked. */
typedef int (*store_large_fn)(void *ctx, struct store_scope scope, int64_t rules);
int store_scopes_large(struct store *s, int64_t rules, store_large_fn fn, void *ctx, struct err *e);

#endif
