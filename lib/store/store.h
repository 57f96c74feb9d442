/* lib/store/store.h - rows <-> structs: the only place with SQL text.
 *
 * A struct store is two connections: main (people, domains, rules) and log (messages, counters, greylist). It
 * belongs to one thread at a time; every thread that needs the data opens its own. No transaction spans both.
 *
 * Rows     A function that lists calls `fn` once a row. The row and what its spans point to live until fn
 *          returns. fn returns 0 to go on, anything else to stop (the list function then returns 0). While fn
 *          runs the connection is busy: fn must not call the store again.
 * Get      -1 with ERR_NOT_FOUND when there is no such row.
 * Change   Every mutation is one transaction: the rows, the change feed, the audit row; all or nothing. Several
 *          become one transaction between store_begin() and store_commit(); after an error in there the caller
 *          rolls back.
 * Errors   As db.h says. Two more: ERR_CONFLICT names what exists already, ERR_LIMIT names the quota.
 * Names    Domains arrive in A-label form and lower case, addresses as mail/address.h normalises them. The
 *          store checks lengths and UTF-8, not grammar. */
#ifndef POSTERN_STORE_STORE_H
#define POSTERN_STORE_STORE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "db/db.h"
#include "rules/scope.h"

#define STORE_DOMAIN_MAX 253 /* bytes of a domain name */
#define STORE_LOCAL_MAX 256  /* bytes of a local part; RFC 5321 says 64, UTF-8 and VERP say more */
#define STORE_ADDRESS_MAX (STORE_LOCAL_MAX + 1 + STORE_DOMAIN_MAX)
#define STORE_NAME_MAX 200  /* bytes of the name of a policy or a person */
#define STORE_ROUTE_MAX 255 /* bytes of a delivery route */
#define STORE_LIST_MAX 1000 /* rows that a paged list yields at most; a limit of 0 means this many */

/* Owns its connections. */
struct kept_texts;
struct store {
    struct db         *main, *log;
    struct kept_texts *texts; /* kept.h */
};

enum store_open_how {
    STORE_EXISTING, /* must exist, and this release must be able to work with it */
    STORE_CREATE,   /* make it if missing, and bring it up to date */
};
int  store_open(const char *url, enum store_open_how how, struct store **out, struct err *e);
void store_close(struct store **s);
/* Are both connections usable? Reconnects what can be. */
int store_ping(struct store *s, struct err *e);

/* This machine's row in table node, by host name; made when missing. */
int store_node(struct store *s, struct uuid *out, struct err *e);
/* This one is there. For whoever looks after what lost ones left behind: nodes that have not said so since `since_us`, at most max. */
int store_node_seen(struct store *s, int64_t now_us, struct err *e);
int store_nodes_gone(struct store *s, int64_t since_us, struct uuid *out, size_t max, size_t *n_out, struct err *e);
/* All of them, by name. */
#define STORE_NODE_SEEN_US (2 * 3600 * INT64_C(1000000)) /* rulesd says that it is there once an hour */
struct store_node {
    struct uuid id;
    struct span name;
    int64_t     seen_us; /* or when it was made, if it was not seen since */
};
typedef int (*store_node_fn)(void *ctx, const struct store_node *n);
int store_node_list(struct store *s, store_node_fn fn, void *ctx, struct err *e);

/* Groups mutations of the main database. Not nested. */
int  store_begin(struct store *s, struct err *e);
int  store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);

/* Who does it: asked of every mutation, written to the audit log. Everything is borrowed. */
enum actor_kind { ACTOR_SYSTEM, ACTOR_OPERATOR, ACTOR_ACCOUNT, ACTOR_API_KEY };
struct actor {
    enum actor_kind kind;
    struct uuid     id;         /* of the account or API key; zero for the others */
    const char     *name;       /* as a person reads it: "root at mx1", "anna@ours.example", "postern-rulesd" */
    const char     *acting_for; /* whose session it is, where that is somebody else; or NULL */
    const char     *source;     /* "command line", an IP address, "rulesd" */
    bool            admin;      /* may do what only the operator may: allows in Enforced, global policies */
    bool            over_quota; /* quotas do not stop this one (imports by the operator) */
};

/* Where a rule lives. The id is the domain's or the mailbox's; all zero for global. */
extern const char *const scope_kind_words[]; /* "global", "domain", "mailbox", NULL */
struct store_scope {
    enum scope_kind kind;
    struct uuid     id;
};
#define STORE_SCOPE_GLOBAL ((struct store_scope){.kind = SCOPE_GLOBAL})
static inline struct store_scope store_scope_domain(struct uuid id) { return (struct store_scope){SCOPE_DOMAIN, id}; }
static inline struct store_scope store_scope_mailbox(struct uuid id) { return (struct store_scope){SCOPE_MAILBOX, id}; }

/* What stands where the first tenant, and nobody, would stand. */
extern const struct uuid uuid_zero;
static inline bool       uuid_eq(const struct uuid *a, const struct uuid *b) { return uuid_cmp(a, b) == 0; }

#endif
