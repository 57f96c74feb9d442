/* lib/rules/decide.c - see decide.h. From a recipient's matches to a rule, from rule and score to an action, and from the
 * actions of all recipients to what one caller can carry out. */
#include "rules/decide.h"

#include <math.h>
#include <stdlib.h>

static int no_memory(struct err *e) { return err_set(e, ERR_LIMIT, "no memory left for a decision"); }

const char *layer_word(enum layer l)
{
    static const char *const words[] = {"global (locked)", "domain (locked)", "mailbox", "learned senders",
                                        "domain",          "default",         "none"};

    return words[l];
}

const char *action_word(enum action a)
{
    static const char *const words[] = {"pass", "tag", "defer", "quarantine", "discard", "reject"};

    return words[a];
}

int thresholds_check(const struct thresholds *t, struct err *e)
{
    const struct {
        const char *name;
        double      at;
    } rows[] = {{"greylist", t->greylist}, {"add_header", t->add_header}, {"reject", t->reject}};
    const char *below = NULL;
    double      least = 0;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!(rows[i].at > 0) || !(rows[i].at <= THRESHOLD_OFF))
            return err_set(e, ERR_INVALID, "%s is %g - it must be more than 0 and at most 999 (off)", rows[i].name,
                           rows[i].at);
        if (rows[i].at >= THRESHOLD_OFF)
            continue;
        if (rows[i].at <= least)
            return err_set(e, ERR_INVALID, "%s (%g) must be more than %s (%g)", rows[i].name, rows[i].at, below, least);
        least = rows[i].at;
        below = rows[i].name;
    }
    return 0;
}

/* ---- Which rule ---------------------------------------------------------------------------------------------- */

enum layer match_layer(const struct match *m, enum scope_kind kind, const struct assigned *assigned)
{
    const struct scope_policy *p = m->policy;

    if (kind == SCOPE_MAILBOX)
        return p->learned ? LAYER_LEARNED : LAYER_MAILBOX;
    if (kind == SCOPE_DOMAIN)
        return p->locked ? LAYER_DOMAIN_LOCKED : LAYER_DOMAIN;
    if (p->locked)
        return LAYER_GLOBAL_LOCKED;
    for (size_t i = 0; assigned != NULL && i < assigned->n; i++) {
        if (uuid_cmp(&assigned->ids[i], &p->id) == 0)
            return LAYER_DOMAIN;
    }
    return p->is_default ? LAYER_DEFAULT : LAYER_NONE;
}

static int compare(const void *one, const void *other)
{
    const struct layered *a = one, *b = other;

    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    if (a->m.policy->priority != b->m.policy->priority)
        return a->m.policy->priority < b->m.policy->priority ? -1 : 1;
    if (a->m.priority != b->m.priority)
        return a->m.priority < b->m.priority ? -1 : 1;
    if (a->m.action != b->m.action)
        return a->m.action == RULE_ALLOW ? -1 : 1;
    return uuid_cmp(&a->m.id, &b->m.id);
}

int decide_rule(const struct match *const *lists, const size_t *ns, const enum scope_kind *kinds, size_t nlists,
                const struct assigned *assigned, bool only_global_locked, bool keep_inert, struct arena *a,
                struct decision *out, struct err *e)
{
    struct layered *all;
    size_t          total = 0, n = 0;

    *out = (struct decision){0};
    for (size_t i = 0; i < nlists; i++)
        total += ns[i];
    if (total == 0)
        return 0;
    if ((all = arena_array(a, total, sizeof *all)) == NULL)
        return no_memory(e);
    for (size_t i = 0; i < nlists; i++) {
        for (size_t k = 0; k < ns[i]; k++) {
            enum layer layer = match_layer(&lists[i][k], kinds[i], assigned);

            if (only_global_locked && layer != LAYER_GLOBAL_LOCKED)
                layer = LAYER_NONE;
            if (layer != LAYER_NONE || keep_inert)
                all[n++] = (struct layered){.m = lists[i][k], .layer = layer};
        }
    }
    qsort(all, n, sizeof *all, compare);
    out->all = all;
    out->n = n;
    for (size_t i = 0; i < n && all[i].layer != LAYER_NONE && out->decider == NULL; i++) {
        if (all[i].m.why == WHY_APPLIED)
            out->decider = &all[i];
    }
    return 0;
}

/* ---- One recipient ------------------------------------------------------------------------------------------- */

static bool reaches(double score, double threshold) { return threshold < THRESHOLD_OFF && score >= threshold; }

/* What a score alone comes to. */
static enum action by_score(double score, const struct verdict_in *in)
{
    bool at_reject = reaches(score, in->thresholds.reject);

    if (at_reject && (!in->no_score_reject || in->dispositions.at_reject != ACTION_REJECT))
        return in->dispositions.at_reject;
    return at_reject || reaches(score, in->thresholds.add_header) ? in->dispositions.at_add_header : ACTION_PASS;
}

/* What the protected findings come to when nothing else is looked at. */
static enum action by_protected(const struct verdict_in *in)
{
    return in->score.protected_reject ? ACTION_REJECT : by_score(in->score.protected_sum, in);
}

/* Without a scanner nobody vouches for a message that no rule decided on: all that is left is to see whether its sender comes
 * again. A greylist threshold that is off means no greylisting there too. */
static bool greylist_due(const struct verdict *v, const struct verdict_in *in)
{
    if (!in->greylisting || v->rule != VERDICT_NONE || (v->by_protected && v->action > ACTION_TAG))
        return false;
    if (in->score.none)
        return in->decision.decider == NULL && in->thresholds.greylist < THRESHOLD_OFF;
    return reaches(v->score, in->thresholds.greylist) && !reaches(v->score, in->thresholds.reject);
}

struct verdict decide_verdict(const struct verdict_in *in)
{
    const struct layered *d = in->decision.decider;
    enum action protected = by_protected(in);
    bool           learned = d != NULL && d->layer == LAYER_LEARNED;
    struct verdict v = {
        .total = in->score.total, .score = in->score.total, .thresholds = in->thresholds, .decision = in->decision};

    if (d != NULL && d->m.action == RULE_BLOCK) {
        v.rule = VERDICT_BLOCK;
        v.score += SCORE_BLOCK;
        v.action = learned ? ACTION_QUARANTINE : in->dispositions.at_block;
        v.by_protected = protected > v.action;
    } else if (d != NULL && !learned) {
        v.rule = VERDICT_ALLOW;
        v.score = SCORE_ALLOW + in->score.protected_sum;
        v.action = ACTION_PASS;
        v.by_protected = protected != ACTION_PASS;
    } else {
        v.score += learned ? SCORE_LEARNED_ALLOW : 0;
        v.action = by_score(v.score, in);
        v.by_protected = in->score.protected_reject || (learned && protected > v.action);
    }
    if (v.by_protected)
        v.action = protected;
    v.after_defer = v.action;
    if (in->score.protected_defer && v.action != ACTION_REJECT) {
        v.action = ACTION_DEFER;
        v.by_protected = v.must_wait = true;
    }
    v.greylist_due = greylist_due(&v, in);
    return v;
}

struct verdict decide_deferred(const struct verdict *v)
{
    struct verdict out = *v;

    if (v->greylist_due)
        out.action = ACTION_DEFER;
    return out;
}

/* ---- All recipients ------------------------------------------------------------------------------------------ */

static bool accepts(enum action a) { return a == ACTION_PASS || a == ACTION_TAG; }
static bool refuses(enum action a) { return a == ACTION_QUARANTINE || a == ACTION_DISCARD || a == ACTION_REJECT; }

/* What is wanted of this caller, and what it comes to there. */
static enum action wanted(enum action a, const struct caller *c)
{
    return a == ACTION_REJECT && c->post ? ACTION_QUARANTINE : a;
}

static enum action carried_out(enum action a, const struct caller *c)
{
    a = wanted(a, c);
    if ((a != ACTION_QUARANTINE && a != ACTION_DISCARD) || (c->custody && (c->drops_recipients || c->discards)))
        return a;
    return c->post ? ACTION_TAG : ACTION_REJECT;
}

/* Over the recipients who remain. */
struct tally {
    size_t n, pass, tag, defer, refuse, reject, allow, block;
    size_t want_reject, want_discard, want_refuse, must_wait;
};

static void count(struct tally *t, const struct verdict *v, enum action a, const struct caller *c)
{
    enum action want = wanted(v->action, c);

    t->n++;
    t->pass += a == ACTION_PASS;
    t->tag += a == ACTION_TAG;
    t->defer += a == ACTION_DEFER;
    t->refuse += refuses(a);
    t->reject += a == ACTION_REJECT;
    t->allow += v->rule == VERDICT_ALLOW;
    t->block += v->rule == VERDICT_BLOCK;
    t->want_refuse += refuses(want);
    t->want_reject += want == ACTION_REJECT;
    t->want_discard += want == ACTION_DISCARD;
    t->must_wait += v->must_wait;
}

/* Rule, number and thresholds; the number of one whom a rule exempts or blocks is no number for the others. */
static void summarise(struct outcome *o, const struct tally *t, const struct verdict *verdicts, size_t n,
                      const bool *gone)
{
    bool first = true;

    o->rule = t->allow == t->n ? VERDICT_ALLOW : t->block == t->n ? VERDICT_BLOCK : VERDICT_NONE;
    for (size_t i = 0; i < n; i++) {
        const struct verdict *v = &verdicts[i];
        double                score = o->rule == v->rule ? v->score : v->total;

        if (gone != NULL && gone[i])
            continue;
        o->score = first ? score : fmax(o->score, score);
        o->thresholds.reject = first ? v->thresholds.reject : fmin(o->thresholds.reject, v->thresholds.reject);
        o->thresholds.add_header = first ? v->thresholds.add_header
                                         : fmin(o->thresholds.add_header, v->thresholds.add_header);
        o->thresholds.greylist = first ? v->thresholds.greylist : fmin(o->thresholds.greylist, v->thresholds.greylist);
        first = false;
    }
}

static enum action wish_of(const struct tally *t, enum action action)
{
    if (t->want_refuse < t->n || t->want_reject == t->n)
        return action;
    return t->want_discard == t->n ? ACTION_DISCARD : ACTION_QUARANTINE;
}

/* One verdict for all: where they differ, the score decides, and refusing and deferring need everybody. */
static void merge_one(struct outcome *o, const struct tally *t)
{
    if (t->reject == t->n)
        o->action = ACTION_REJECT;
    else if (t->refuse == t->n)
        o->action = ACTION_DISCARD;
    else if (t->defer == t->n)
        o->action = ACTION_DEFER;
    else if (t->pass == t->n)
        o->action = ACTION_PASS;
    else if (t->tag == t->n || o->rule == VERDICT_ALLOW)
        o->action = ACTION_TAG;
    else
        o->action = reaches(o->score, o->thresholds.add_header) ? ACTION_TAG : ACTION_PASS;
}

/* Those who remain, for a caller who drops the others. Deferring counts as accepting once anybody accepts. */
static void merge_each(struct outcome *o, const struct tally *t)
{
    if (t->pass + t->tag > 0) {
        o->split_tag = t->pass > 0 && t->tag > 0;
        o->action = t->pass > 0 ? ACTION_PASS : ACTION_TAG;
    } else if (t->defer > 0) {
        o->action = ACTION_DEFER;
    } else {
        o->action = t->reject == t->n ? ACTION_REJECT : ACTION_DISCARD;
    }
}

/* Fills removed; *gone_out says for each recipient whether it is. */
static int remove_refusing(const struct verdict *verdicts, size_t n, const struct caller *caller, struct arena *a,
                           struct outcome *out, const bool **gone_out, struct err *e)
{
    bool   *gone = arena_array(a, n, sizeof *gone);
    size_t *removed = arena_array(a, n, sizeof *removed);

    if (gone == NULL || removed == NULL)
        return no_memory(e);
    for (size_t i = 0; i < n; i++) {
        gone[i] = refuses(carried_out(verdicts[i].action, caller));
        if (gone[i])
            removed[out->nremoved++] = i;
    }
    out->removed = removed;
    *gone_out = gone;
    return 0;
}

int decide_outcome(const struct verdict *verdicts, size_t nrcpt, const struct caller *caller, struct arena *a,
                   struct outcome *out, struct err *e)
{
    struct tally all = {0}, left = {0};
    const bool  *gone = NULL;
    bool         anybody = false;

    *out = (struct outcome){0};
    for (size_t i = 0; i < nrcpt; i++) {
        enum action act = carried_out(verdicts[i].action, caller);

        count(&all, &verdicts[i], act, caller);
        anybody = anybody || accepts(act);
    }
    anybody = anybody && all.must_wait == 0;
    if (caller->drops_recipients && anybody && all.refuse > 0 &&
        remove_refusing(verdicts, nrcpt, caller, a, out, &gone, e) < 0)
        return -1;
    for (size_t i = 0; i < nrcpt; i++) {
        enum action act = carried_out(verdicts[i].action, caller);

        if (gone != NULL && gone[i])
            continue;
        if (caller->drops_recipients && anybody && act == ACTION_DEFER)
            act = verdicts[i].after_defer;
        count(&left, &verdicts[i], act, caller);
    }
    summarise(out, &left, verdicts, nrcpt, gone);
    if (left.must_wait > 0)
        out->action = ACTION_DEFER;
    else if (caller->drops_recipients)
        merge_each(out, &left);
    else
        merge_one(out, &left);
    out->wish = wish_of(&left, out->action);
    return 0;
}

/* ---- One number ---------------------------------------------------------------------------------------------- */

static double clamp(double s, double least, double most) { return s < least ? least : s > most ? most : s; }

double decide_spamd_score(const struct outcome *o)
{
    double s = isnan(o->score) ? 0 : round(clamp(o->score, -9999, 9999) * 10) / 10;

    if (o->action == ACTION_TAG)
        return clamp(s, 6.0, 14.9);
    if (refuses(o->action) || o->rule == VERDICT_BLOCK)
        return clamp(s, SCORE_BLOCK, 9999);
    if (o->action == ACTION_PASS && o->rule == VERDICT_ALLOW)
        return SCORE_ALLOW;
    s = clamp(s, -9999, 5.9);
    return s == 0 ? 0 : s; /* no minus before a zero */
}
