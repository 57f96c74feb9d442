/* lib/custody/explain.h - why a message gets its verdict: the same judge() as in rulesd, with every rule tried and listed.
 *
 * explain_begin() reads what rulesd would know of the message; explain_rcpt() judges it for one recipient, each by themselves: the
 * direction is the recipient's. Outbound, rules and thresholds are the sender's. What is found lives in the arena and the
 * message's bytes, but for the compiled scopes: explained_drop(). */
#ifndef POSTERN_CUSTODY_EXPLAIN_H
#define POSTERN_CUSTODY_EXPLAIN_H

#include "base/conf.h"
#include "rules/judge.h"
#include "store/address.h"

struct explain_message {
    struct span raw;
    bool        has_from;             /* an envelope sender was stated; "" and "<>" are the null sender */
    struct span from, ip, host, helo; /* empty: not stated */
    bool        authenticated;
    bool        has_score; /* what a scanner would have said */
    double      score;
};
struct explain {
    struct store         *store;
    struct arena         *arena;
    struct facts          facts;
    struct score_parts    score;
    struct store_resolved sender;
    bool                  authenticated;
};
int explain_begin(struct explain *x, struct store *s, const struct settings *settings, const struct explain_message *m,
                  struct arena *a, struct err *e);

struct explained {
    struct judge_rcpt judged;
    enum direction    direction;
    struct scope     *scopes[3];
    struct verdict    verdict;
};
/* `rcpt` as the envelope has it. To be dropped on -1 too. */
int  explain_rcpt(struct explain *x, struct span rcpt, struct explained *out, struct err *e);
void explained_drop(struct explained *r);

extern const char *const explain_verdict_words[]; /* "none", "allow", "block" by enum rule_verdict */

/* {"rcpt", "verdict", "action", "score", "thresholds", "layer", "rule": {"id", "name"} or null, "matches": [trace.h]} */
void explained_put_json(struct buf *b, const struct explained *r, struct arena *a);

#endif
