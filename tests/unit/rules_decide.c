#include "rules/decide.h"

#include <math.h>

#include "rules.h"

/* ---- Which rule ---------------------------------------------------------------------------------------------- */

enum {
    GLOBAL_LOCKED,
    GLOBAL_ASSIGNED,
    GLOBAL_DEFAULT,
    GLOBAL_INERT,
    DOMAIN_LOCKED,
    DOMAIN_OWN,
    MAILBOX_OWN,
    MAILBOX_LEARNED,
    POLICIES
};

/* clang-format off */
static const struct policy_row {
    enum scope_kind kind;
    bool            locked, is_default, learned, assigned;
    enum layer      layer;
} policies[POLICIES] = {
    [GLOBAL_LOCKED] = {SCOPE_GLOBAL, true, false, false, true, LAYER_GLOBAL_LOCKED},
    [GLOBAL_ASSIGNED] = {SCOPE_GLOBAL, false, true, false, true, LAYER_DOMAIN},
    [GLOBAL_DEFAULT] = {SCOPE_GLOBAL, false, true, false, false, LAYER_DEFAULT},
    [GLOBAL_INERT] = {SCOPE_GLOBAL, false, false, false, false, LAYER_NONE},
    [DOMAIN_LOCKED] = {SCOPE_DOMAIN, true, false, false, false, LAYER_DOMAIN_LOCKED},
    [DOMAIN_OWN] = {SCOPE_DOMAIN, false, false, false, false, LAYER_DOMAIN},
    [MAILBOX_OWN] = {SCOPE_MAILBOX, false, false, false, false, LAYER_MAILBOX},
    [MAILBOX_LEARNED] = {SCOPE_MAILBOX, false, false, true, false, LAYER_LEARNED},
};
/* clang-format on */

static struct scope_policy policy_of(int p, int32_t priority)
{
    return (struct scope_policy){.id.b = {(uint8_t)p, 1},
                                 .priority = priority,
                                 .locked = policies[p].locked,
                                 .is_default = policies[p].is_default,
                                 .learned = policies[p].learned};
}

static void a_policy_has_its_layer(void **unused)
{
    struct uuid     ids[] = {{.b = {GLOBAL_LOCKED, 1}}, {.b = {GLOBAL_ASSIGNED, 1}}};
    struct assigned assigned = {ids, 2};

    (void)unused;
    for (int p = 0; p < POLICIES; p++) {
        struct scope_policy policy = policy_of(p, 100);
        struct match        m = {.policy = &policy};

        if (match_layer(&m, policies[p].kind, &assigned) != policies[p].layer)
            fail_msg("policy %d is of layer %s", p, layer_word(match_layer(&m, policies[p].kind, &assigned)));
    }
}

struct attempt {
    int            policy, policy_priority, priority;
    char           action;
    uint8_t        age;
    enum match_why why;
};
#define A 'a'
#define B 'b'
/* clang-format off */
static const struct {
    const char *holds;
    struct attempt  tries[3];
    int         decides; /* index, -1 nobody */
} decisions[] = {
    {"a mailbox overrides its domain", {{DOMAIN_OWN, 1, 1, B, 1, 0}, {MAILBOX_OWN, 100, 100, A, 2, 0}}, 1},
    {"a locked domain policy overrides the mailbox", {{MAILBOX_OWN, 1, 1, A, 1, 0}, {DOMAIN_LOCKED, 100, 100, B, 2, 0}}, 1},
    {"a locked global policy overrides all", {{DOMAIN_LOCKED, 1, 1, A, 1, 0}, {GLOBAL_LOCKED, 100, 100, B, 2, 0}}, 1},
    {"a rule of the mailbox stands over what it learned", {{MAILBOX_LEARNED, 1, 1, A, 1, 0}, {MAILBOX_OWN, 100, 100, B, 2, 0}}, 1},
    {"what a mailbox learned stands over its domain", {{DOMAIN_OWN, 1, 1, B, 1, 0}, {MAILBOX_LEARNED, 100, 100, A, 2, 0}}, 1},
    {"an assigned policy counts as the domain's", {{GLOBAL_ASSIGNED, 1, 100, A, 2, 0}, {DOMAIN_OWN, 2, 1, B, 1, 0}}, 0},
    {"the default policy is the weakest", {{GLOBAL_DEFAULT, 1, 1, A, 1, 0}, {DOMAIN_OWN, 100, 100, B, 2, 0}}, 1},
    {"the default policy decides where nothing else does", {{GLOBAL_DEFAULT, 1, 1, A, 1, 0}, {DOMAIN_OWN, 100, 100, B, 2, WHY_NOT_PROVEN}}, 0},
    {"an inert policy never decides", {{GLOBAL_INERT, 1, 1, A, 1, 0}}, -1},
    {"the lower policy priority decides", {{DOMAIN_OWN, 20, 1, A, 1, 0}, {DOMAIN_OWN, 10, 100, B, 2, 0}}, 1},
    {"then the lower rule priority", {{DOMAIN_OWN, 10, 20, A, 1, 0}, {DOMAIN_OWN, 10, 10, B, 2, 0}}, 1},
    {"negative ones too", {{DOMAIN_OWN, 10, -1, B, 2, 0}, {DOMAIN_OWN, 10, 0, A, 1, 0}}, 0},
    {"then allow beats block", {{DOMAIN_OWN, 10, 10, B, 1, 0}, {DOMAIN_OWN, 10, 10, A, 2, 0}}, 1},
    {"then the older rule", {{DOMAIN_OWN, 10, 10, B, 2, 0}, {DOMAIN_OWN, 10, 10, B, 1, 0}}, 1},
    {"a test-only rule never decides", {{MAILBOX_OWN, 1, 1, B, 1, WHY_TEST_ONLY}, {DOMAIN_OWN, 1, 1, A, 2, 0}}, 1},
    {"an unknown one neither", {{MAILBOX_OWN, 1, 1, B, 1, WHY_UNKNOWN}, {DOMAIN_OWN, 1, 1, A, 2, 0}}, 1},
    {"an unproven one neither", {{MAILBOX_OWN, 1, 1, A, 1, WHY_NOT_PROVEN}}, -1},
    {"nothing matched", {{0, 0, 0, 0, 0, 0}}, -1},
};
/* clang-format on */

static void the_strongest_rule_decides_in_any_order(void **unused)
{
    static const size_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct uuid         ids[] = {{.b = {GLOBAL_ASSIGNED, 1}}};
    struct assigned     assigned = {ids, 1};

    (void)unused;
    for (size_t i = 0; i < COUNT(decisions); i++) {
        for (size_t o = 0; o < COUNT(orders); o++) {
            struct scope_policy pool[3];
            struct match        m[3];
            const struct match *lists[3];
            size_t              ns[3], n = 0;
            enum scope_kind     kinds[3];
            struct decision     d;
            int                 decides = -1;

            for (size_t k = 0; k < 3; k++) {
                const struct attempt *t = &decisions[i].tries[orders[o][k]];

                if (t->action == 0)
                    continue;
                pool[n] = policy_of(t->policy, t->policy_priority);
                m[n] = (struct match){.policy = &pool[n],
                                      .id.b = {t->age},
                                      .priority = t->priority,
                                      .why = t->why,
                                      .action = t->action == A ? RULE_ALLOW : RULE_BLOCK,
                                      .rule = (uint32_t)orders[o][k]};
                lists[n] = &m[n];
                kinds[n] = policies[t->policy].kind;
                ns[n] = 1;
                n++;
            }
            CHECK(decisions[i].holds,
                  decide_rule(lists, ns, kinds, n, &assigned, false, true, arena_of_test(), &d, NULL) == 0);
            if (d.decider != NULL)
                decides = (int)d.decider->m.rule;
            CHECK(decisions[i].holds, decides == decisions[i].decides);
            CHECK("all that matched is in the trace", d.n == n);
        }
    }
}

static void postmaster_obeys_locked_global_rules_only(void **unused)
{
    struct scope_policy own = policy_of(MAILBOX_OWN, 1), locked = policy_of(GLOBAL_LOCKED, 1),
                        inert = policy_of(GLOBAL_INERT, 1);
    struct match m[] = {
        {.policy = &own, .id.b = {1}}, {.policy = &inert, .id.b = {2}}, {.policy = &locked, .id.b = {3}}};
    const struct match *lists[] = {m, m + 1};
    size_t              ns[] = {1, 2};
    enum scope_kind     kinds[] = {SCOPE_MAILBOX, SCOPE_GLOBAL};
    struct assigned     none = {NULL, 0};
    struct decision     d;

    (void)unused;
    CHECK("decides", decide_rule(lists, ns, kinds, 2, &none, true, false, arena_of_test(), &d, NULL) == 0);
    CHECK("the locked one", d.n == 1 && d.decider != NULL && d.decider->m.id.b[0] == 3);
    ns[1] = 1;
    CHECK("decides", decide_rule(lists, ns, kinds, 2, &none, true, true, arena_of_test(), &d, NULL) == 0);
    CHECK("the others are shown and do not decide", d.n == 2 && d.decider == NULL);
}

/* ---- One recipient ------------------------------------------------------------------------------------------- */

#define OFF THRESHOLD_OFF
#define P ACTION_PASS
#define T ACTION_TAG
#define R ACTION_REJECT
#define Q ACTION_QUARANTINE
#define D ACTION_DISCARD
#define E ACTION_DEFER
enum { NONE, ALLOW, BLOCK, LEARNED_ALLOW, LEARNED_BLOCK };
#define GREY 1u
#define LOCAL 2u
#define VIRUS 4u
#define NO_SCANNER 8u
#define COME_AGAIN 16u
/* clang-format off */
static const struct {
    const char       *holds;
    int               rule;
    double            total, protected_sum;
    struct thresholds t;
    enum action       block;
    unsigned          set;
    enum action       action;
    double            score;
    bool              due, by_protected;
} verdicts[] = {
    {"a low score passes", NONE, 3, 0, {15, 6, 4}, 0, GREY, P, 3, false, false},
    {"a threshold is reached by its own value", NONE, 6, 0, {15, 6, 4}, 0, 0, T, 6, false, false},
    {"decimals count", NONE, 5.999, 0, {15, 6, 4}, 0, 0, P, 5.999, false, false},
    {"the reject threshold rejects", NONE, 15, 0, {15, 6, 4}, 0, GREY, R, 15, false, false},
    {"a score in between asks the greylist", NONE, 4, 0, {15, 6, 4}, 0, GREY, P, 4, true, false},
    {"a tagged one too", NONE, 14.9, 0, {15, 6, 4}, 0, GREY, T, 14.9, true, false},
    {"not where greylisting is off", NONE, 4, 0, {15, 6, 4}, 0, 0, P, 4, false, false},
    {"without a scanner, what no rule decides on asks it", NONE, 0, 0, {15, 6, 4}, 0, GREY | NO_SCANNER, P, 0, true, false},
    {"unless greylisting is off", NONE, 0, 0, {15, 6, 4}, 0, NO_SCANNER, P, 0, false, false},
    {"or its threshold", NONE, 0, 0, {15, 6, OFF}, 0, GREY | NO_SCANNER, P, 0, false, false},
    {"not what a rule allows", ALLOW, 0, 0, {15, 6, 4}, 0, GREY | NO_SCANNER, P, -100, false, false},
    {"or blocks", BLOCK, 0, 0, {15, 6, 4}, R, GREY | NO_SCANNER, R, 100, false, false},
    {"or somebody once said is no spam", LEARNED_ALLOW, 0, 0, {15, 6, 4}, 0, GREY | NO_SCANNER, P, -6, false, false},
    {"but a score of 0 is a score", NONE, 0, 0, {15, 6, 4}, 0, GREY, P, 0, false, false},
    {"not where the threshold is off", NONE, 5, 0, {15, 6, OFF}, 0, GREY, P, 5, false, false},
    {"999 is off, not a number to reach", NONE, 5000, 0, {OFF, OFF, OFF}, 0, GREY, P, 5000, false, false},
    {"local mail is not rejected by score", NONE, 20, 0, {15, 6, 4}, 0, LOCAL, T, 20, false, false},
    {"the scanner's own finding rejects at any score", NONE, 1, 1, {15, 6, 4}, 0, VIRUS | GREY, R, 1, false, true},
    {"local or not", NONE, 1, 1, {15, 6, 4}, 0, VIRUS | LOCAL, R, 1, false, true},
    {"an allow cancels the score", ALLOW, 50, 0, {15, 6, 4}, 0, GREY, P, -100, false, false},
    {"but not protected findings", ALLOW, 50, 20, {15, 6, 4}, 0, GREY, R, -80, false, true},
    {"which tag by their own sum", ALLOW, 50, 7, {15, 6, 4}, 0, GREY, T, -93, false, true},
    {"and do nothing below", ALLOW, 50, 5, {15, 6, 4}, 0, GREY, P, -95, false, false},
    {"a virus is stronger than an allow", ALLOW, 0, 0, {15, 6, 4}, 0, VIRUS, R, -100, false, true},
    {"a block rejects", BLOCK, 1, 0, {15, 6, 4}, R, GREY, R, 101, false, false},
    {"or quarantines, as the domain wants", BLOCK, 1, 0, {15, 6, 4}, Q, 0, Q, 101, false, false},
    {"or discards", BLOCK, 1, 0, {15, 6, 4}, D, 0, D, 101, false, false},
    {"local mail too", BLOCK, 1, 0, {15, 6, 4}, R, LOCAL, R, 101, false, false},
    {"thresholds that are off do not matter to it", BLOCK, 1, 0, {OFF, OFF, OFF}, R, 0, R, 101, false, false},
    {"a virus is not held but rejected", BLOCK, 1, 0, {15, 6, 4}, Q, VIRUS, R, 101, false, true},
    {"a learned block quarantines", LEARNED_BLOCK, 1, 0, {15, 6, 4}, R, 0, Q, 101, false, false},
    {"and never discards", LEARNED_BLOCK, 1, 0, {15, 6, 4}, D, 0, Q, 101, false, false},
    {"a learned allow subtracts 6", LEARNED_ALLOW, 14, 0, {15, 6, 4}, 0, 0, T, 8, false, false},
    {"so that much passes", LEARNED_ALLOW, 11, 0, {15, 6, 4}, 0, 0, P, 5, false, false},
    {"and is perhaps greylisted", LEARNED_ALLOW, 11, 0, {15, 6, 4}, 0, GREY, P, 5, true, false},
    {"but much spam is spam still", LEARNED_ALLOW, 22, 0, {15, 6, 4}, 0, 0, R, 16, false, false},
    {"what the scanner defers for a protected finding is deferred", NONE, 1, 0, {15, 6, 4}, 0, COME_AGAIN, E, 1, false, true},
    {"not by the greylist", NONE, 5, 0, {15, 6, 4}, 0, COME_AGAIN | GREY, E, 5, false, true},
    {"an allow does not lift that", ALLOW, 1, 0, {15, 6, 4}, 0, COME_AGAIN | GREY, E, -100, false, true},
    {"nor does a learned one", LEARNED_ALLOW, 1, 0, {15, 6, 4}, 0, COME_AGAIN, E, -5, false, true},
    {"nobody holds it unseen", BLOCK, 1, 0, {15, 6, 4}, Q, COME_AGAIN, E, 101, false, true},
    {"who refuses it anyway does", BLOCK, 1, 0, {15, 6, 4}, R, COME_AGAIN, R, 101, false, false},
    {"and so does the score", NONE, 16, 0, {15, 6, 4}, 0, COME_AGAIN, R, 16, false, false},
    {"and protected findings do not shrink", LEARNED_ALLOW, 16, 16, {15, 6, 4}, 0, 0, R, 10, false, true},
};
/* clang-format on */

static void a_verdict_follows_rule_score_and_thresholds(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(verdicts); i++) {
        int               rule = verdicts[i].rule;
        struct layered    l = {.layer = rule >= LEARNED_ALLOW ? LAYER_LEARNED : LAYER_DOMAIN,
                               .m.action = rule == ALLOW || rule == LEARNED_ALLOW ? RULE_ALLOW : RULE_BLOCK};
        struct verdict_in in = {.decision = {&l, 1, rule == NONE ? NULL : &l},
                                .thresholds = verdicts[i].t,
                                .score = {.total = verdicts[i].total,
                                          .protected_sum = verdicts[i].protected_sum,
                                          .protected_reject = verdicts[i].set & VIRUS,
                                          .protected_defer = verdicts[i].set & COME_AGAIN,
                                          .none = verdicts[i].set & NO_SCANNER},
                                .dispositions = {verdicts[i].block, R, T},
                                .greylisting = verdicts[i].set & GREY,
                                .no_score_reject = verdicts[i].set & LOCAL};
        struct verdict    v = decide_verdict(&in), deferred = decide_deferred(&v);

        if (v.action != verdicts[i].action)
            fail_msg("%s: %s", verdicts[i].holds, action_word(v.action));
        CHECK(verdicts[i].holds, v.score == verdicts[i].score && v.total == verdicts[i].total);
        CHECK(verdicts[i].holds, v.greylist_due == verdicts[i].due);
        CHECK(verdicts[i].holds, v.by_protected == verdicts[i].by_protected);
        CHECK(verdicts[i].holds, v.rule == (rule == ALLOW                            ? VERDICT_ALLOW
                                            : rule == BLOCK || rule == LEARNED_BLOCK ? VERDICT_BLOCK
                                                                                     : VERDICT_NONE));
        CHECK("deferred where due, and only there", deferred.action == (v.greylist_due ? ACTION_DEFER : v.action));
        CHECK("the retry gets the action of its score", v.must_wait || deferred.after_defer == v.action);
        CHECK("what waits for the scanner says so", v.must_wait == (v.action == E));
    }
}

static void thresholds_must_be_in_order(void **unused)
{
    static const struct {
        struct thresholds t;
        bool              good;
    } rows[] = {
        {{15, 6, 4}, true},    {{OFF, OFF, OFF}, true},   {{OFF, 6, 4}, true},     {{15, OFF, 4}, true},
        {{15, 6, OFF}, true},  {{6, 6, 4}, false},        {{15, 4, 4}, false},     {{15, 6, 7}, false},
        {{4, OFF, 4}, false},  {{15, 6, 0}, false},       {{15, 6, -1}, false},    {{1000, 6, 4}, false},
        {{15, 6, NAN}, false}, {{INFINITY, 6, 4}, false}, {{0.3, 0.2, 0.1}, true}, {{15, 16, OFF}, false},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = ERR_INIT;

        if ((thresholds_check(&rows[i].t, &e) == 0) != rows[i].good)
            fail_msg("%g %g %g: %s", rows[i].t.reject, rows[i].t.add_header, rows[i].t.greylist, e.text);
    }
}

/* ---- Several recipients -------------------------------------------------------------------------------------- */

/* What one recipient got, as a letter: a allow, b block, p pass, t tag, d defer, e defer what is to be tagged, q learned
 * block (quarantine); w and v that the scanner wants to see again, v with an allow. The message has a score of 3 for p, a and b, 7 for t and e, 5 for d. */
static struct verdict verdict_of(char c)
{
    struct verdict v = {.thresholds = {15, 6, 4}, .total = c == 't' || c == 'e' ? 7 : c == 'd' ? 5 : 3};

    v.score = c == 'a' || c == 'v' ? -100 : c == 'b' || c == 'q' ? v.total + 100 : v.total;
    v.rule = c == 'a' || c == 'v' ? VERDICT_ALLOW : c == 'b' || c == 'q' ? VERDICT_BLOCK : VERDICT_NONE;
    v.action = c == 't' || c == 'e' ? T : c == 'b' ? R : c == 'q' ? Q : P;
    v.after_defer = v.action;
    v.must_wait = c == 'w' || c == 'v';
    if (c == 'd' || c == 'e' || v.must_wait)
        v.action = ACTION_DEFER;
    return v;
}

/* An outcome as text: the action, then "-N" for each that is removed, "s" for a split. */
static void outcome_text(const struct outcome *o, char out[16])
{
    size_t n = 0;

    out[n++] = "PTEQDR"[o->action];
    for (size_t i = 0; i < o->nremoved && n < 12; i++) {
        out[n++] = '-';
        out[n++] = (char)('0' + o->removed[i]);
    }
    if (o->split_tag)
        out[n++] = 's';
    out[n] = '\0';
}

#define DROPS 1u
#define CUSTODY 2u
#define POST 4u
#define DISCARDS 8u
/* clang-format off */
/* P pass, T tag, E defer, R reject, D discard; by what the caller can do. */
static const struct { const char *rcpts, *one, *drops, *drops_custody, *post_one, *post_drops, *post_drops_custody; } merges[] = {
    /*       one   drops   +custody  post: one  drops  +custody */
    {"a",    "P",  "P",    "P",      "P",       "P",   "P"},
    {"b",    "R",  "R",    "R",      "T",       "T",   "D"},
    {"p",    "P",  "P",    "P",      "P",       "P",   "P"},
    {"t",    "T",  "T",    "T",      "T",       "T",   "T"},
    {"d",    "E",  "E",    "E",      "E",       "E",   "E"},
    {"q",    "R",  "R",    "D",      "T",       "T",   "D"},
    {"aa",   "P",  "P",    "P",      "P",       "P",   "P"},
    {"ab",   "P",  "P-1",  "P-1",    "P",       "Ps",  "P-1"},
    {"ap",   "P",  "P",    "P",      "P",       "P",   "P"},
    {"at",   "T",  "Ps",   "Ps",     "T",       "Ps",  "Ps"},
    {"ad",   "P",  "P",    "P",      "P",       "P",   "P"},
    {"aq",   "P",  "P-1",  "P-1",    "P",       "Ps",  "P-1"},
    {"bb",   "R",  "R",    "R",      "T",       "T",   "D"},
    {"bp",   "P",  "P-0",  "P-0",    "P",       "Ps",  "P-0"},
    {"bt",   "T",  "T-0",  "T-0",    "T",       "T",   "T-0"},
    {"bd",   "P",  "E",    "E",      "P",       "Ps",  "E"},
    {"bq",   "R",  "R",    "D",      "T",       "T",   "D"},
    {"pp",   "P",  "P",    "P",      "P",       "P",   "P"},
    {"pt",   "T",  "Ps",   "Ps",     "T",       "Ps",  "Ps"},
    {"pd",   "P",  "P",    "P",      "P",       "P",   "P"},
    {"pq",   "P",  "P-1",  "P-1",    "P",       "Ps",  "P-1"},
    {"tt",   "T",  "T",    "T",      "T",       "T",   "T"},
    {"td",   "T",  "Ps",   "Ps",     "T",       "Ps",  "Ps"},
    {"tq",   "T",  "T-1",  "T-1",    "T",       "T",   "T-1"},
    {"te",   "T",  "T",    "T",      "T",       "T",   "T"},
    {"pe",   "T",  "Ps",   "Ps",     "T",       "Ps",  "Ps"},
    {"ee",   "E",  "E",    "E",      "E",       "E",   "E"},
    {"dd",   "E",  "E",    "E",      "E",       "E",   "E"},
    {"dq",   "P",  "E",    "E",      "P",       "Ps",  "E"},
    {"qq",   "R",  "R",    "D",      "T",       "T",   "D"},
    {"apt",  "T",  "Ps",   "Ps",     "T",       "Ps",  "Ps"},
    {"abd",  "P",  "P-1",  "P-1",    "P",       "Ps",  "P-1"},
    {"abq",  "P",  "P-1-2", "P-1-2", "P",       "Ps",  "P-1-2"},
    {"bbd",  "P",  "E",    "E",      "P",       "Ps",  "E"},
    {"v",    "E",  "E",    "E",      "E",       "E",   "E"},
    {"vw",   "E",  "E",    "E",      "E",       "E",   "E"},
    {"bv",   "E",  "E",    "E",      "E",       "E",   "E"},
    {"qvw",  "E",  "E",    "E",      "E",       "E",   "E"},
    {"bbb",  "R",  "R",    "R",      "T",       "T",   "D"},
};
/* clang-format on */

static void merge(const char *rcpts, unsigned can, struct outcome *o)
{
    struct verdict v[8];
    struct caller  c = {
         .drops_recipients = can & DROPS, .custody = can & CUSTODY, .discards = can & DISCARDS, .post = can & POST};
    size_t n = strlen(rcpts);

    for (size_t i = 0; i < n; i++)
        v[i] = verdict_of(rcpts[i]);
    CHECK(rcpts, decide_outcome(v, n, &c, arena_of_test(), o, NULL) == 0);
}

static void check_merge(const char *rcpts, unsigned can, const char *want)
{
    struct outcome o;
    char           got[16];

    merge(rcpts, can, &o);
    outcome_text(&o, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s by a caller of %u: %s, not %s", rcpts, can, got, want);
}

static void recipients_who_differ_get_what_the_caller_can_do(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(merges); i++) {
        check_merge(merges[i].rcpts, 0, merges[i].one);
        check_merge(merges[i].rcpts, CUSTODY, merges[i].one);
        check_merge(merges[i].rcpts, DROPS, merges[i].drops);
        check_merge(merges[i].rcpts, DROPS | CUSTODY, merges[i].drops_custody);
        check_merge(merges[i].rcpts, POST, merges[i].post_one);
        check_merge(merges[i].rcpts, POST | CUSTODY, merges[i].post_one);
        check_merge(merges[i].rcpts, POST | DROPS, merges[i].post_drops);
        check_merge(merges[i].rcpts, POST | DROPS | CUSTODY, merges[i].post_drops_custody);
    }
}

/* The Exim recipe: one verdict for all, but it can accept a message and drop it. */
static void who_discards_as_a_whole_lets_us_hold_what_nobody_takes(void **unused)
{
    static const struct {
        const char *rcpts, *want;
    } rows[] = {{"q", "D"}, {"qq", "D"}, {"bq", "D"}, {"bb", "R"}, {"pq", "P"}, {"aq", "P"}, {"dq", "P"}, {"tq", "T"}};

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_merge(rows[i].rcpts, DISCARDS | CUSTODY, rows[i].want);
    check_merge("q", DISCARDS, "R");
}

/* What a domain wants done with spam, by threshold; protected findings are stronger than a rule that would let them in. */
static void a_domain_says_what_happens_at_its_thresholds(void **unused)
{
    static const struct {
        int                 rule;
        double              total, protected_sum;
        struct dispositions does;
        bool                local;
        enum action         action;
    } rows[] = {
        {NONE, 20, 0, {R, Q, T}, false, Q},  {NONE, 20, 0, {R, D, T}, false, D},   {NONE, 20, 0, {R, T, Q}, false, T},
        {NONE, 7, 0, {R, R, Q}, false, Q},   {NONE, 7, 0, {R, R, D}, false, D},    {NONE, 7, 0, {R, R, R}, false, R},
        {NONE, 3, 0, {R, Q, Q}, false, P},   {NONE, 20, 0, {R, Q, T}, true, Q},    {NONE, 20, 0, {R, R, Q}, true, Q},
        {BLOCK, 3, 0, {T, R, T}, false, T},  {BLOCK, 20, 20, {T, R, T}, false, R}, {BLOCK, 20, 20, {T, Q, T}, false, Q},
        {ALLOW, 20, 0, {R, Q, Q}, false, P}, {ALLOW, 20, 20, {R, Q, Q}, false, Q}, {ALLOW, 20, 7, {R, R, Q}, false, Q},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct layered    l = {.layer = LAYER_DOMAIN, .m.action = rows[i].rule == ALLOW ? RULE_ALLOW : RULE_BLOCK};
        struct verdict_in in = {.decision = {&l, 1, rows[i].rule == NONE ? NULL : &l},
                                .thresholds = {15, 6, 4},
                                .score = {.total = rows[i].total, .protected_sum = rows[i].protected_sum},
                                .dispositions = rows[i].does,
                                .no_score_reject = rows[i].local};
        struct verdict    v = decide_verdict(&in);

        if (v.action != rows[i].action)
            fail_msg("row %zu: %s", i, action_word(v.action));
    }
}

/* Every choice of up to four recipients, for every caller: what must never happen. */
static void nothing_is_lost_and_nobody_decides_for_another(void **unused)
{
    static const char letters[] = "abptdq";

    (void)unused;
    for (unsigned choice = 0; choice < 6 * 6 * 6 * 6; choice++) {
        char rcpts[5] = {letters[choice % 6], letters[choice / 6 % 6], letters[choice / 36 % 6], letters[choice / 216]};

        for (unsigned can = 0; can < 8; can++) {
            struct outcome o, backwards;
            size_t         refusing = strspn(rcpts, "bq"), deferring = strspn(rcpts, "d");
            char           reversed[5] = {rcpts[3], rcpts[2], rcpts[1], rcpts[0]};
            bool           holds = (can & DROPS) && (can & CUSTODY);

            merge(rcpts, can, &o);
            CHECK("nothing is discarded without a copy", o.action != D || holds);
            CHECK("nobody is removed by who cannot", o.nremoved == 0 || (can & DROPS));
            CHECK("after acceptance nothing is rejected", o.action != R || !(can & POST));
            CHECK("reject takes everybody", o.action != R || refusing == 4);
            CHECK("discard takes everybody", o.action != D || refusing == 4);
            CHECK("one verdict defers only if all defer", o.action != ACTION_DEFER || (can & DROPS) || deferring == 4);
            CHECK("who defers is deferred only if nobody accepts",
                  o.action != ACTION_DEFER || strpbrk(rcpts, "apt") == NULL);
            for (size_t i = 0; i < o.nremoved; i++)
                CHECK("only who refuses is removed", strchr("bq", rcpts[o.removed[i]]) != NULL);
            if ((can & DROPS) && (!(can & POST) || holds) && (o.action == P || o.action == T))
                CHECK("nobody's allow delivers to who refuses",
                      o.nremoved == (size_t)(rcpts[0] == 'b' || rcpts[0] == 'q') +
                                        (rcpts[1] == 'b' || rcpts[1] == 'q') + (rcpts[2] == 'b' || rcpts[2] == 'q') +
                                        (rcpts[3] == 'b' || rcpts[3] == 'q'));
            merge(reversed, can, &backwards);
            CHECK("the order of recipients means nothing",
                  o.action == backwards.action && o.nremoved == backwards.nremoved && o.score == backwards.score &&
                      o.rule == backwards.rule && o.wish == backwards.wish && o.split_tag == backwards.split_tag);
        }
    }
}

static void what_could_not_be_carried_out_is_remembered(void **unused)
{
    static const struct {
        const char *rcpts;
        unsigned    can;
        enum action action, wish;
    } rows[] = {
        {"b", 0, R, R},       {"q", 0, R, Q},
        {"q", CUSTODY, R, Q}, {"bq", 0, R, Q},
        {"b", POST, T, Q},    {"q", DROPS | CUSTODY, D, Q},
        {"pq", 0, P, P},      {"pq", DROPS, P, P},
        {"p", POST, P, P},    {"dd", 0, ACTION_DEFER, ACTION_DEFER},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome o;

        merge(rows[i].rcpts, rows[i].can, &o);
        CHECK(rows[i].rcpts, o.action == rows[i].action && o.wish == rows[i].wish);
    }
}

static void rule_score_and_thresholds_are_those_of_who_remains(void **unused)
{
    struct verdict v[2] = {verdict_of('a'), verdict_of('b')};
    struct caller  drops = {.drops_recipients = true}, one = {0};
    struct outcome o;

    (void)unused;
    v[0].thresholds = (struct thresholds){20, 5, OFF};
    CHECK("two", decide_outcome(v, 2, &drops, arena_of_test(), &o, NULL) == 0);
    CHECK("the one who remains allows", o.rule == VERDICT_ALLOW && o.score == -100 && o.thresholds.reject == 20);
    CHECK("two", decide_outcome(v, 2, &one, arena_of_test(), &o, NULL) == 0);
    CHECK("both remain: neither rule, the plain score", o.rule == VERDICT_NONE && o.score == 3);
    CHECK("the strictest of both",
          o.thresholds.reject == 15 && o.thresholds.add_header == 5 && o.thresholds.greylist == 4);
    v[0].total = v[1].total = 5.5;
    CHECK("two", decide_outcome(v, 2, &one, arena_of_test(), &o, NULL) == 0);
    CHECK("the score against the strictest add_header", o.action == T);
}

static void a_full_arena_is_an_error(void **unused)
{
    struct arena   a;
    struct verdict v[2] = {verdict_of('a'), verdict_of('b')};
    struct caller  drops = {.drops_recipients = true};
    struct outcome o;
    struct err     e = ERR_INIT;

    (void)unused;
    arena_init(&a, 0);
    CHECK("says so", decide_outcome(v, 2, &drops, &a, &o, &e) < 0 && e.code == ERR_LIMIT);
    arena_fini(&a);
}

/* ---- One number ---------------------------------------------------------------------------------------------- */

static void the_number_for_spamd_never_crosses_a_border(void **unused)
{
    uint64_t seed = 99;

    (void)unused;
    for (size_t i = 0; i < 1000000; i++) {
        double            s = ((double)random_below(&seed, 400000) - 200000) / 1000;
        struct outcome    o = {.score = i % 1000 == 0 ? s * 1e300 : s};
        enum action       actions[] = {P, T, ACTION_DEFER, R, D};
        enum rule_verdict rules[] = {VERDICT_NONE, VERDICT_NONE, VERDICT_ALLOW, VERDICT_BLOCK};
        char              text[32];
        double            shown;

        o.action = actions[random_below(&seed, COUNT(actions))];
        o.rule = rules[random_below(&seed, COUNT(rules))];
        snprintf(text, sizeof text, "%.1f", decide_spamd_score(&o));
        shown = strtod(text, NULL);
        CHECK("short", strlen(text) <= 7 && strcmp(text, "-0.0") != 0);
        if (o.action == T)
            CHECK("tag", shown >= 6.0 && shown <= 14.9);
        else if (o.rule == VERDICT_BLOCK || o.action == R || o.action == D)
            CHECK("block", shown >= 100.0 && (s < 100 || shown >= s - 0.051 || shown == 9999));
        else if (o.action == P && o.rule == VERDICT_ALLOW)
            CHECK("allow", shown == -100.0);
        else
            CHECK("pass", shown <= 5.9);
        if (o.rule == VERDICT_NONE && o.action == P && s <= 5.9 && i % 1000 != 0)
            CHECK("as it is, to a decimal", fabs(shown - s) < 0.0501);
    }
}

static void the_number_for_spamd_is_what_the_manual_says(void **unused)
{
    static const struct {
        enum action       action;
        enum rule_verdict rule;
        double            score, shown;
    } rows[] = {
        {P, VERDICT_NONE, 3.14, 3.1},     {P, VERDICT_NONE, 5.96, 5.9},   {P, VERDICT_NONE, 7, 5.9},
        {T, VERDICT_NONE, 5, 6.0},        {T, VERDICT_NONE, 14.96, 14.9}, {R, VERDICT_NONE, 15, 100},
        {R, VERDICT_NONE, 120.26, 120.3}, {P, VERDICT_ALLOW, -80, -100},  {T, VERDICT_ALLOW, -93, 6.0},
        {R, VERDICT_ALLOW, -80, 100},     {T, VERDICT_BLOCK, 103, 14.9},  {P, VERDICT_NONE, NAN, 0},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome o = {.action = rows[i].action, .rule = rows[i].rule, .score = rows[i].score};

        if (decide_spamd_score(&o) != rows[i].shown)
            fail_msg("row %zu: %g", i, decide_spamd_score(&o));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_has_its_layer),
        cmocka_unit_test(the_strongest_rule_decides_in_any_order),
        cmocka_unit_test(postmaster_obeys_locked_global_rules_only),
        cmocka_unit_test(a_verdict_follows_rule_score_and_thresholds),
        cmocka_unit_test(thresholds_must_be_in_order),
        cmocka_unit_test(recipients_who_differ_get_what_the_caller_can_do),
        cmocka_unit_test(who_discards_as_a_whole_lets_us_hold_what_nobody_takes),
        cmocka_unit_test(a_domain_says_what_happens_at_its_thresholds),
        cmocka_unit_test(nothing_is_lost_and_nobody_decides_for_another),
        cmocka_unit_test(what_could_not_be_carried_out_is_remembered),
        cmocka_unit_test(rule_score_and_thresholds_are_those_of_who_remains),
        cmocka_unit_test(a_full_arena_is_an_error),
        cmocka_unit_test(the_number_for_spamd_never_crosses_a_border),
        cmocka_unit_test(the_number_for_spamd_is_what_the_manual_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
