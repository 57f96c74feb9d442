/* lib/rules/evaluate.h - which rules of a scope match a message for a recipient.
 *
 * Pure: facts in, matches out; no clock but the CPU budget, no files. An evaluation belongs to one message and one thread; it
 * keeps, per scope, what depends on the message alone, so that 10,000 recipients of one domain cost one pass over the message
 * and a look at the rules that could still match. Memory comes from the arena of the facts. */
#ifndef POSTERN_RULES_EVALUATE_H
#define POSTERN_RULES_EVALUATE_H

#include "mail/message.h"
#include "rules/regex.h"
#include "rules/scope.h"

enum direction { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_LOCAL };

/* What is known about who sent it (design.md 2.1 require_proof). Domains in normal form. */
struct proof {
    bool               can_prove;   /* a scanner or a configured authserv_id exists */
    bool               dmarc_pass;
    struct span        spf_domain;  /* the envelope (or, for <>, HELO) domain that passed SPF; empty: none */
    const struct span *dkim;        /* d= of valid signatures */
    size_t             ndkim;
};

struct facts {
    struct message *message;
    struct arena   *arena;
    bool            has_envelope_from;
    struct address  envelope_from;   /* full.n == 0: the null sender */
    bool            has_ip;
    struct ip       ip;
    struct span     host;            /* verified name of the connecting server, lower case; empty: none */
    struct span     helo;            /* lower case */
    enum direction  direction;       /* outbound: only rules with flow to or from_or_to */
    struct proof    proof;
    int64_t         now_us;          /* wall clock, for expiry */
    int64_t         yield_us;        /* CPU after which evaluate_* give up with ERR_BUSY, so that a loop thread can hand the
                                        whole scan to a worker (which sets 0: never) */
};

struct rcpt_facts {
    struct address given;    /* as the envelope had it, normal form */
    struct span    resolved; /* address of the mailbox it resolves to; empty: none. Entries match either */
    struct span    resolved_domain;
    struct span    nexthop;  /* host name of the configured next hop; empty: none */
    bool           has_nexthop_ip;
    struct ip      nexthop_ip;
};

enum match_why {
    WHY_APPLIED,
    WHY_TEST_ONLY,   /* would have applied */
    WHY_NOT_PROVEN,  /* an allow by sender name, and the sender is not proven */
    WHY_UNKNOWN,     /* some condition is unknown and none is false; `condition` names the first unknown one */
    WHY_FALSE,       /* explain only: `condition` is the first that does not hold */
    WHY_EXPIRED,     /* explain only */
    WHY_FLOW,        /* explain only: the direction leaves this flow out */
};

struct match {
    const struct scope        *scope;
    const struct scope_policy *policy;
    uint32_t                   rule;       /* index in its scope, for match_* below */
    struct uuid                id;
    enum rule_action           action;
    int32_t                    priority;
    enum match_why             why;
    uint16_t                   condition;
    uint32_t                   entry;      /* of the first condition with entries: which of its entries matched */
    const char                *limit;      /* WHY_UNKNOWN: "match limit", "time", "depth", "charset" …; static text */
    bool                       by_helo;    /* a host entry that only the HELO matched (blocks only) */
    bool                       by_resolved; /* matched the resolved address, not the one given */
};

struct evaluation; /* in the arena */
struct evaluation *evaluation_new(const struct facts *facts);

/* Every enabled, unexpired rule that matches, would match, or is unknown (never WHY_FALSE), in order of id. The list is in the
 * arena. ERR_LIMIT when the arena is full. rcpt may be NULL: recipient-side conditions are false. */
int evaluate_scope(struct evaluation *ev, const struct scope *s, const struct rcpt_facts *rcpt, const struct match **list_out,
                   size_t *n_out, struct err *e);
/* The same by trying every rule, without any index, and with WHY_FALSE … in the list: for explain, and the tests' oracle. */
int evaluate_all(struct evaluation *ev, const struct scope *s, const struct rcpt_facts *rcpt, const struct match **list_out,
                 size_t *n_out, struct err *e);

/* Can the verdict be told from the envelope alone (no applied-or-possible rule asks for content)? */
bool evaluation_touched_body(const struct evaluation *ev);
/* Regexes that hit a limit in this evaluation: for /metrics and the log. */
size_t evaluation_regex_limits(const struct evaluation *ev);

/* For the trace; empty unless the scope keeps text. */
struct span match_rule_name(const struct match *m);
/* "condition 2 (subject contains): none of its 3 entries occurs" and the like: one sentence for a person. */
struct span match_sentence(const struct match *m, struct arena *a);

#endif
