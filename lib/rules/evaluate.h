/* lib/rules/evaluate.h - which rules of a scope match a message for a recipient.
 *
 * Pure: facts in, matches out; no clock but the CPU budget, no files. An evaluation belongs to one message and one thread; it
 * keeps, per scope, what depends on the message alone, so that 10,000 recipients of one domain cost one pass over the message
 * and a look at the rules that could still match. Memory comes from the arena of the facts.
 *
 * What a condition is when a fact is missing
 *   sender     no From field: no address, so false (and its `not` true). Unreadable addresses: unknown, unless those that can
 *              be read settle it. Envelope not stated: unknown. `<>` asks the envelope, whatever `source` says.
 *   recipient  none given: false; so is every receiving side.
 *   ip, host   not stated: unknown; `no_host` makes it false. No configured next hop: false; its address not known: unknown.
 *   signed_by  unknown where nothing can prove, else true or false.
 *   text       an absent field is the empty text. A field, text or file name that cannot be decoded, or that a limit cut,
 *              makes the condition unknown unless some other one makes it true.
 * Several From addresses   A block needs one for which the condition holds, its `not` included; an allow needs all. `any` is
 *              true when the From side is, or the envelope is.
 * Proof        Asked of each sender condition without `not` that holds because of the sending side, each by the address that
 *              it looked at: DMARC speaks for a single From address alone, never for the envelope; for `<>` the From
 *              addresses count. A true `ip` (the client's) or `signed_by` condition without `not` in the rule is proof too.
 * HELO         Makes a host condition true for a block without `not`, nothing else. */
#ifndef POSTERN_RULES_EVALUATE_H
#define POSTERN_RULES_EVALUATE_H

#include "mail/message.h"
#include "rules/regex.h"
#include "rules/scope.h"

enum direction { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_LOCAL };

/* What is known about who sent it (design.md 2.1 require_proof). Domains in normal form. */
struct proof {
    bool               can_prove; /* a scanner or a configured authserv_id exists */
    bool               dmarc_pass;
    struct span        dmarc_domain; /* the From domain that passed; empty: whichever there is */
    struct span        spf_domain;   /* the envelope (or, for <>, HELO) domain that passed SPF; empty: none */
    const struct span *dkim;         /* d= of valid signatures */
    size_t             ndkim;
};

struct facts {
    struct message *message;
    struct arena   *arena;
    bool            has_envelope_from;
    struct address  envelope_from; /* full.n == 0: the null sender */
    bool            has_ip;
    struct ip       ip;
    struct span     host;      /* verified name of the connecting server, lower case; empty: not known */
    bool            no_host;   /* it is known to have none */
    struct span     helo;      /* lower case */
    enum direction  direction; /* outbound: only rules with flow to or from_or_to */
    struct proof    proof;
    int64_t         now_us;   /* wall clock, for expiry */
    int64_t         yield_us; /* CPU after which evaluate_* give up with ERR_BUSY, so that a loop
                                 thread can hand the whole scan to a worker, which sets 0 (never) and may go on with the
                                 same evaluation */
};

struct rcpt_facts {
    struct address given;    /* as the envelope had it, normal form */
    struct span    resolved; /* address of the mailbox it resolves to; empty: none. Entries match either */
    struct span    resolved_domain;
    struct span    nexthop; /* host name of the configured next hop; empty: none */
    bool           has_nexthop_ip;
    struct ip      nexthop_ip;
};

enum match_why {
    WHY_APPLIED,
    WHY_TEST_ONLY,  /* would have applied */
    WHY_NOT_PROVEN, /* an allow by sender name, and the sender is not proven */
    WHY_UNKNOWN,    /* some condition is unknown and none is false; `condition` names the first unknown one */
    WHY_FALSE,      /* explain only: `condition` is the first that does not hold */
    WHY_EXPIRED,    /* explain only */
    WHY_FLOW,       /* explain only: the direction leaves this flow out */
};

struct match {
    const struct scope        *scope;
    const struct scope_policy *policy;
    uint32_t                   rule; /* index in its scope, for match_* below */
    struct uuid                id;
    enum rule_action           action;
    int32_t                    priority;
    enum match_why             why;
    uint16_t    condition;   /* unknown, false, not proven: that one; else the first with entries and no `not` */
    uint32_t    entry;       /* of that condition: which of its entries made it true */
    const char *limit;       /* WHY_UNKNOWN: "match limit", "time", "depth", "charset" …; static text */
    struct span seen;        /* what the condition looked at, to be shown; never another recipient's address */
    bool        by_helo;     /* a host entry that only the HELO matched (blocks only) */
    bool        by_resolved; /* matched the resolved address, not the one given */
};

/* In the arena. A scope that it was asked about lives as long: it is known again by its address. */
struct evaluation;
struct evaluation *evaluation_new(const struct facts *facts);

#define EVALUATE_CPU_US 1000000 /* CPU of one message; later conditions are unknown ("time") */

/* Every enabled, unexpired rule that applies, would apply (WHY_TEST_ONLY, WHY_NOT_PROVEN), or was tried and is unknown (never
 * WHY_FALSE), in order of id. A rule whose anchor (scope.h) is unknown is not tried: evaluate_all() shows it. The list is in the
 * arena, and may be shared between recipients. ERR_LIMIT when the arena is full. rcpt may be NULL. */
int evaluate_scope(struct evaluation *ev, const struct scope *s, const struct rcpt_facts *rcpt,
                   const struct match **list_out, size_t *n_out, struct err *e);
/* The same by trying every rule, without any index, and with WHY_FALSE … in the list: for explain, and the tests' oracle. */
int evaluate_all(struct evaluation *ev, const struct scope *s, const struct rcpt_facts *rcpt,
                 const struct match **list_out, size_t *n_out, struct err *e);

/* Did any rule ask for the text of the body, or for attachments? (Header fields do not count.) */
bool evaluation_touched_body(const struct evaluation *ev);
/* Is the match unknown because a regex hit its limit? */
bool match_hit_limit(const struct match *m);
/* Regexes that hit a limit in this evaluation: for /metrics and the log. */
size_t evaluation_regex_limits(const struct evaluation *ev);

/* For the trace; empty unless the scope keeps text. */
struct span match_rule_name(const struct match *m);
/* "condition 2 (subject contains): none of its 3 entries occurs" and the like: one sentence for a person. */
struct span match_sentence(const struct match *m, struct arena *a);
/* What the sentence says, as a JSON object for who says it in another language: "code" ("applied", "test_only", "not_proven",
 * "unknown", "false", "expired", "flow", "no_conditions"); of the condition that it is about "condition" (its number), "conditions" (how
 * many), "kind", "not", "header", "entry", "text", "seen", "by_helo", "by_mailbox", "min", "max", "limit", "wide" (why a learned
 * sender stands for more than an address: "pattern", "domain"), as far as each is known; "at" of "expired". Texts are cut as there. */
void match_put_facts(struct buf *b, const char *key, const struct match *m);

#endif
