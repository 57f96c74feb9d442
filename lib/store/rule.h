/* lib/store/rule.h - rules as rows. The conditions are JSON text, checked by lib/rules and written by it before they come here.
 *
 * Quotas   (setting.h: rules_max of a domain and of its mailboxes) count the rules of the scope, enabled or not.
 * Regexes  without a fixed text are tried on every message: a scope has SCOPE_SLOW_REGEX_MAX of them at most in what is enabled. What
 *          would give it another one beyond (a rule, switching one on or its policy, an import) is ERR_LIMIT. It is decided in the
 *          transaction that writes: of several at one moment no more get in than fit. */
#ifndef POSTERN_STORE_RULE_H
#define POSTERN_STORE_RULE_H

#include "rules/rule.h"
#include "store/store.h"

#define RULE_PRIORITY 100

/* A rule with what its policy says about it. Spans are borrowed (the list: until fn returns; get: the arena). */
struct store_rule {
    struct uuid        id, policy;
    struct store_scope scope;
    int32_t            policy_priority;
    bool               locked, is_default; /* the policy's */
    struct span        name, note, conditions, policy_name;
    enum rule_action   action;
    enum rule_flow     flow;
    int32_t            priority;
    bool               enabled, require_proof, test_only;
    int64_t            expires_us; /* 0: never */
    int64_t            created_us, updated_us;
};
typedef int (*store_rule_fn)(void *ctx, const struct store_rule *r);

/* For rulesd: every enabled rule of the enabled policies of one scope, in no order; expired ones too (expires_us
 * is for who evaluates). Streams: memory does not grow with their number. note is empty. */
int store_scope_load(struct store *s, struct store_scope scope, store_rule_fn fn, void *ctx, struct err *e);
/* The same for one rule that the change feed named. ERR_NOT_FOUND: deleted or switched off, drop it. */
int store_scope_load_one(struct store *s, struct uuid rule, struct arena *a, struct store_rule *out, struct err *e);

/* What was read of a rule, as the row of that policy; conditions as rule_put_conditions_json() writes them. Borrows. */
struct store_rule store_rule_of(const struct rule *r, const struct uuid *policy, struct span conditions);
/* Uses policy, name, note, conditions, action, flow, priority, enabled, require_proof, test_only, expires_us. */
int store_rule_add(struct store *s, const struct actor *by, const struct store_rule *r, struct uuid *id_out,
                   struct err *e);
/* Writes the same fields of r->id, but for the policy: a rule stays where it is. */
int store_rule_set(struct store *s, const struct actor *by, const struct store_rule *r, struct err *e);
int store_rule_enable(struct store *s, const struct actor *by, struct uuid id, bool on, struct err *e);
int store_rule_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
/* In front of another rule of its policy, or behind all of them (before NULL): the priorities are numbered anew where there is no room
 * between two, below RULE_PRIORITY, so that what comes later comes last. Nothing else of a rule changes. ERR_CONFLICT: `before` is in
 * another policy. */
int store_rule_move(struct store *s, const struct actor *by, struct uuid id, const struct uuid *before, struct err *e);
/* Into another policy of the same scope, behind all the rules that are there. ERR_CONFLICT: it is of another scope. */
int store_rule_transfer(struct store *s, const struct actor *by, struct uuid id, struct uuid policy, struct err *e);
int store_rule_get(struct store *s, struct uuid id, struct arena *a, struct store_rule *out, struct err *e);
/* For a person who types an id: the whole one, or the eight digits that replies and lists show (rule_short_id()).
 * ERR_CONFLICT when those fit several. */
int store_rule_find(struct store *s, struct span text, struct uuid *id_out, struct err *e);
/* Of one scope, and of one of its policies when `policy` is given, disabled ones too, by age (id), those after
 * `after` (NULL: from the start). limit 0: all, for exports. */
int store_rule_list(struct store *s, struct store_scope scope, const struct uuid *policy, const struct uuid *after,
                    size_t limit, store_rule_fn fn, void *ctx, struct err *e);
int store_rule_count(struct store *s, struct store_scope scope, int64_t *out, struct err *e);
/* Rules in the whole database. */
int store_rule_count_all(struct store *s, int64_t *out, struct err *e);

/* Would that many regexes without a fixed text fit in, beside those that are there? ERR_LIMIT. For who shows what would be: whoever adds
 * them is told anyhow. */
int store_scope_slow_fit(struct store *s, struct store_scope scope, size_t more, struct err *e);

/* Many rules at once: one transaction (joined, if the caller has begun one), one row of the change feed for each
 * scope that was touched, one audit row for all. Ids ascend in the order of putting. Between begin and commit
 * nothing else may be called on the store. r->scope, locked and policy_priority are not read: what the policies
 * are is looked up at begin.
 *   begin(policies) → put … put → commit, or abort: then nothing was stored.
 * An error from put or commit has ended the import as abort does; *import is then NULL. */
struct store_import;
int store_import_begin(struct store *s, const struct actor *by, const struct uuid *policies, size_t npolicies,
                       struct store_import **out, struct err *e);
/* r->policy is one of the policies named at begin. */
int  store_import_put(struct store_import **import, const struct store_rule *r, struct err *e);
int  store_import_commit(struct store_import **import, struct err *e);
void store_import_abort(struct store_import **import);

#endif
