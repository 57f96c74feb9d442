/* lib/rules/decide.h - from matches and scores to what happens (design.md 2.3 … 2.5). Pure.
 *
 * Per recipient: decide_rule() picks the rule, decide_verdict() applies score and thresholds. Per message: decide_outcome()
 * merges recipients into what one caller can carry out. */
#ifndef POSTERN_RULES_DECIDE_H
#define POSTERN_RULES_DECIDE_H

#include "rules/evaluate.h"

/* The strongest first. */
enum layer {
    LAYER_GLOBAL_LOCKED,
    LAYER_DOMAIN_LOCKED,
    LAYER_MAILBOX,
    LAYER_LEARNED,
    LAYER_DOMAIN,
    LAYER_DEFAULT,
    LAYER_NONE
};
const char *layer_word(enum layer l); /* "global (locked)", … */

#define THRESHOLD_OFF 999.0
#define SCORE_ALLOW (-100.0)
#define SCORE_BLOCK 100.0
#define SCORE_LEARNED_ALLOW (-6.0)

struct thresholds {
    double reject, add_header, greylist;
};
/* 0 < greylist < add_header < reject ≤ 999 among those that are on. */
int thresholds_check(const struct thresholds *t, struct err *e);

/* The global policies that count for a recipient's domain. */
struct assigned {
    const struct uuid *ids;
    size_t             n;
};
/* Which layer a match belongs to; LAYER_NONE: inert (a global policy neither locked, assigned nor default). */
enum layer match_layer(const struct match *m, enum scope_kind kind, const struct assigned *assigned);

struct layered {
    struct match m;
    enum layer   layer;
};
/* Sorts all matches of one recipient as they decide (layer, policy priority, rule priority, allow before block, age), drops
 * inert ones (unless keep_inert), and picks the decider: the first applied of the strongest layer that has one; so the default
 * policy, the weakest, counts only when nothing above matched.
 * only_global_locked: postmaster@ and abuse@. What is not locked and global is inert for them, and never decides. */
struct decision {
    const struct layered *all;
    size_t                n;
    const struct layered *decider; /* NULL: no rule decided */
};
int decide_rule(const struct match *const *lists, const size_t *ns, const enum scope_kind *kinds, size_t nlists,
                const struct assigned *assigned, bool only_global_locked, bool keep_inert, struct arena *a,
                struct decision *out, struct err *e);

enum action { ACTION_PASS, ACTION_TAG, ACTION_DEFER, ACTION_QUARANTINE, ACTION_DISCARD, ACTION_REJECT };
const char *action_word(enum action a);

/* What a domain does on a block, and with scores from the two thresholds on: TAG, QUARANTINE, DISCARD or REJECT. */
struct dispositions {
    enum action at_block, at_reject, at_add_header;
};
#define DISPOSITIONS_BUILT_IN ((struct dispositions){ACTION_REJECT, ACTION_REJECT, ACTION_TAG})

enum rule_verdict { VERDICT_NONE, VERDICT_ALLOW, VERDICT_BLOCK };

struct score_parts {
    double total;            /* the scanner's score; 0 without a scanner */
    double protected_sum;    /* of protected symbols: an allow does not cancel these */
    bool   protected_reject; /* the scanner's own pre-result on a protected finding */
    bool   protected_defer;  /* the same, but that it asks to come again, as when it could not look for viruses */
    bool   none;             /* there is no scanner: the numbers are 0, and say nothing */
};

struct verdict {
    enum rule_verdict rule; /* a learned allow is NONE: it shifts the score, and the thresholds decide */
    enum action       action;
    enum action       after_defer; /* what the retry of a deferred one gets; else the action */
    double            total;       /* the scanner's score, whatever rules say */
    double            score;       /* shown: with −100/+100/−6 */
    struct thresholds thresholds;
    bool            greylist_due; /* greylisting applies, and the score is in [greylist, reject), or there is neither a
                                       score nor a rule that decided: the caller asks */
    bool            by_protected; /* a protected finding decided, over rule or score */
    bool            must_wait;    /* nobody may get the message now: the scanner wants to see it again */
    struct decision decision;
};
struct verdict_in {
    struct decision     decision;
    struct score_parts  score;
    struct thresholds   thresholds;
    struct dispositions dispositions;
    bool                greylisting;     /* on for the domain, and inbound */
    bool                no_score_reject; /* local direction */
};
/* A learned block quarantines, whatever the domain does on a block. Protected findings that would refuse the message do so
 * over every rule, an allow as well as a block that would only hold it; and those that defer it let nothing happen to it but a refusal. */
struct verdict decide_verdict(const struct verdict_in *in);
/* The greylist said "not yet": the verdict with its action DEFER. Or it said "known": unchanged. */
struct verdict decide_deferred(const struct verdict *v);

/* What the caller can do. Quarantine and discard need custody and one of the first two; else they are carried out as reject, so
 * that the sender knows. Where the caller cannot refuse any more (post), a reject becomes quarantine; and where that cannot be carried
 * out either, the message is tagged, so that nothing is lost. */
struct caller {
    bool drops_recipients; /* Rspamd's milter reply: del_rcpt, discard */
    bool discards;         /* accepts and drops a message as a whole when told to: the Exim recipe */
    bool custody;          /* we hold copies: quarantine and discard can be carried out */
    bool post;             /* phase = post: cannot refuse any more */
};
/* rule, score and thresholds are those of the recipients who remain: all of them, unless some are removed. */
struct outcome {
    enum action       action;     /* of the message: PASS, TAG, DEFER, REJECT, or DISCARD (accepted, nobody gets it) */
    enum action       wish;       /* what all wanted: QUARANTINE or DISCARD, where `action` is what it came to; else
                                     the action. For the log, and for callers who can hold mail themselves */
    double            score;      /* what the one number should be */
    struct thresholds thresholds; /* the strictest that apply */
    const size_t     *removed;    /* recipients to drop with del_rcpt */
    size_t            nremoved;
    bool              split_tag; /* they differ in tagging alone: not tagged */
    enum rule_verdict rule;      /* allow if all allow, block if all block */
};
/* nrcpt ≥ 1. ERR_LIMIT when the arena is full. Where one must wait, all do, unless all refuse. */
int decide_outcome(const struct verdict *verdicts, size_t nrcpt, const struct caller *caller, struct arena *a,
                   struct outcome *out, struct err *e);

/* The number that spamd clients see, threshold always 6.0: allow −100.0; pass or defer min(s, 5.9); tag clamp(s, 6.0, 14.9), a
 * block that only tags too, since callers refuse or drop from some number on; reject or block max(s, 100.0); one decimal, at most
 * four digits before it, and rounding never crosses a border. */
double decide_spamd_score(const struct outcome *o);

#endif
