#include "rules/judge.h"

/* One recipient: each of its scopes asked, then who decides, then what follows. */
static int judge_one(struct evaluation *ev, const struct facts *facts, const struct judge_rcpt *r,
                     const struct score_parts *score, bool explain, struct verdict *out, struct err *e)
{
    const struct match *lists[3];
    size_t              ns[3], n = 0;
    enum scope_kind     kinds[3];
    struct verdict_in   in = {
          .score = *score,
          .thresholds = r->thresholds,
          .block_action = r->block_action,
          .greylisting = r->greylisting && facts->direction == DIRECTION_INBOUND,
          .no_score_reject = facts->direction == DIRECTION_LOCAL,
    };

    for (enum scope_kind kind = SCOPE_GLOBAL; kind <= SCOPE_MAILBOX; kind++) {
        if (r->scopes[kind] == NULL)
            continue;
        if ((explain ? evaluate_all : evaluate_scope)(ev, r->scopes[kind], &r->rcpt, &lists[n], &ns[n], e) < 0)
            return -1;
        kinds[n++] = kind;
    }
    if (decide_rule(lists, ns, kinds, n, &r->assigned, r->role_address, explain, facts->arena, &in.decision, e) < 0)
        return -1;
    *out = decide_verdict(&in);
    return 0;
}

int judge(const struct facts *facts, const struct judge_rcpt *rcpts, size_t nrcpt, const struct score_parts *score,
          bool explain, struct verdict **verdicts_out, struct evaluation **evaluation_out, struct err *e)
{
    struct evaluation *ev = evaluation_new(facts);
    struct verdict    *verdicts = arena_array(facts->arena, nrcpt, sizeof *verdicts);

    if (ev == NULL || verdicts == NULL)
        return err_set(e, ERR_LIMIT, "judging %zu recipients needs more memory than one message may have", nrcpt);
    for (size_t i = 0; i < nrcpt; i++)
        if (judge_one(ev, facts, &rcpts[i], score, explain, &verdicts[i], e) < 0)
            return -1;
    *verdicts_out = verdicts;
    *evaluation_out = ev;
    return 0;
}
