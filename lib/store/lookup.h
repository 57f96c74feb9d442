/* lib/store/lookup.h - what other programs read of our data, and no more than they need (design.md 7).
 *
 * A look-up is made from the main database: rewritten as a whole once, then scope by scope as changes come. On SQLite it is a file of its
 * own (nobody but us reads the main one), on PostgreSQL tables with a view on top.
 *   spamassassin  spamassassin_userpref(username, preference, value, prio): @GLOBAL, %domain and user, the last row wins. Rows
 *                 below prio 10 are thresholds; 10 the default policy, 20 the domain, 30 the mailbox, 40 locked of the domain,
 *                 50 locked global ones. Aliases of a mailbox and of a domain are users and domains too, and a catch-all is the user
 *                 @DOMAIN, for whoever is not in spamassassin_known(address): there stand at least all addresses of its domain.
 *   postfix       postfix_blocked_sender(login, action).
 * Several nodes may keep one up to date (PostgreSQL): each change is applied once, whoever comes first. */
#ifndef POSTERN_STORE_LOOKUP_H
#define POSTERN_STORE_LOOKUP_H

#include "store/change.h"

enum lookup_kind { LOOKUP_SPAMASSASSIN, LOOKUP_POSTFIX, LOOKUP_KINDS };
extern const char *const lookup_words[]; /* "spamassassin", "postfix", NULL */

struct store_lookup;
/* path: of the file, which exists (with the owner, group and mode that it shall have) and may be empty; for PostgreSQL, url. A file that
 * is damaged or another release's: ERR_CORRUPT, make a new one. */
int  store_lookup_open(const char *url, const char *path, enum lookup_kind kind, struct store_lookup **out,
                       struct err *e);
void store_lookup_close(struct store_lookup **l);

/* All of it, in one transaction: who reads sees the old or the new. s is read, in a state not older than now. */
int store_lookup_fill(struct store_lookup *l, struct store *s, struct err *e);
/* What this change touches. */
int store_lookup_change(struct store_lookup *l, struct store *s, const struct store_change *c, struct err *e);
/* Rows that have run out meanwhile. */
int store_lookup_expire(struct store_lookup *l, struct store *s, int64_t now_us, struct err *e);
int store_lookup_rows(struct store_lookup *l, int64_t *out, struct err *e);

/* What the rules of a scope come to for SpamAssassin, rule by rule, for people: those that are not told as a whole. */
typedef int (*store_unsupported_fn)(void *ctx, const struct uuid *rule, struct span name, bool part, const char *why);
int store_lookup_unsupported(struct store *s, struct store_scope scope, store_unsupported_fn fn, void *ctx,
                             struct err *e);

#endif
