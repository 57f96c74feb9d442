/* lib/rules/judge.h - one message, all its recipients: the one way from facts to verdicts, for rulesd, explain and backtest. */
#ifndef POSTERN_RULES_JUDGE_H
#define POSTERN_RULES_JUDGE_H

#include "rules/decide.h"
#include "rules/origin.h"

/* One recipient with all that decides for it. Outbound: the scopes are the sender's. Borrowed for the call. */
struct judge_rcpt {
    struct rcpt_facts   rcpt;
    const struct scope *scopes[3]; /* indexed by enum scope_kind; NULL: none */
    struct assigned     assigned;
    struct thresholds   thresholds;
    struct dispositions dispositions;
    bool                greylisting;
    bool                role_address; /* postmaster@, abuse@: locked global rules only */
};

/* explain: every rule tried is listed (evaluate_all). Verdicts are in the arena of the facts, same index as rcpts. No
 * recipient at all (nrcpt 0): give one with empty addresses and the global scope. ERR_BUSY: yield_us was used up; ERR_LIMIT. */
int judge(const struct facts *facts, const struct judge_rcpt *rcpts, size_t nrcpt, const struct score_parts *score,
          bool explain, struct verdict **verdicts_out, struct evaluation **evaluation_out, struct err *e);

#endif
