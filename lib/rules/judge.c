/* lib/rules/judge.c - see judge.h. Recipients for whom the same rules match share one decision: the lists come from the
 * evaluation, which makes one for all where a scope asks nothing about the recipient. */
#include "rules/judge.h"

#define SCOPES (SCOPE_MAILBOX + 1)

/* What matched for one recipient, and who decided. */
struct ruling {
    const struct match *lists[SCOPES];
    size_t              ns[SCOPES], n;
    enum scope_kind     kinds[SCOPES];
    const struct uuid  *assigned;
    size_t              nassigned;
    bool                role_address;
    struct decision     decision;
};

static bool same(const struct ruling *a, const struct ruling *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (a->lists[i] != b->lists[i] || a->ns[i] != b->ns[i] || a->kinds[i] != b->kinds[i])
            return false;
    }
    return a->n == b->n && a->assigned == b->assigned && a->nassigned == b->nassigned &&
           a->role_address == b->role_address;
}

static int rule_on(struct evaluation *ev, const struct judge_rcpt *r, bool explain, struct ruling *out, struct err *e)
{
    *out = (struct ruling){.assigned = r->assigned.ids, .nassigned = r->assigned.n, .role_address = r->role_address};
    for (enum scope_kind kind = SCOPE_GLOBAL; kind <= SCOPE_MAILBOX; kind++) {
        if (r->scopes[kind] == NULL)
            continue;
        if ((explain ? evaluate_all : evaluate_scope)(ev, r->scopes[kind], &r->rcpt, &out->lists[out->n],
                                                      &out->ns[out->n], e) < 0)
            return -1;
        out->kinds[out->n++] = kind;
    }
    return 0;
}

static struct verdict verdict_on(const struct facts *facts, const struct judge_rcpt *r, const struct score_parts *score,
                                 const struct decision *d)
{
    struct verdict_in in = {
        .decision = *d,
        .score = *score,
        .thresholds = r->thresholds,
        .dispositions = r->dispositions,
        .greylisting = r->greylisting && facts->direction == DIRECTION_INBOUND,
        .no_score_reject = facts->direction == DIRECTION_LOCAL,
    };

    return decide_verdict(&in);
}

int judge(const struct facts *facts, const struct judge_rcpt *rcpts, size_t nrcpt, const struct score_parts *score,
          bool explain, struct verdict **verdicts_out, struct evaluation **evaluation_out, struct err *e)
{
    struct evaluation *ev = evaluation_new(facts);
    struct verdict    *verdicts = arena_array(facts->arena, nrcpt, sizeof *verdicts);
    struct ruling      last = {0}, now;

    if (ev == NULL || (verdicts == NULL && nrcpt > 0))
        return err_set(e, ERR_LIMIT, "judging %zu recipients needs more memory than one message may have", nrcpt);
    for (size_t i = 0; i < nrcpt; i++) {
        if (rule_on(ev, &rcpts[i], explain, &now, e) < 0)
            return -1;
        if (i > 0 && same(&now, &last))
            now.decision = last.decision;
        else if (decide_rule(now.lists, now.ns, now.kinds, now.n, &rcpts[i].assigned, now.role_address, explain,
                             facts->arena, &now.decision, e) < 0)
            return -1;
        verdicts[i] = verdict_on(facts, &rcpts[i], score, &now.decision);
        last = now;
    }
    *verdicts_out = verdicts;
    *evaluation_out = ev;
    return 0;
}
