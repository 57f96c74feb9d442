#include "rules/judge.h"

#include "mail/leaf.h"
#include "rules.h"

/* A little world: one scope of each kind, made of "policy action conditions" rows; the policies are named by a letter. */
enum { RULES, LOCKED, LEARNED, DEFAULT, ASSIGNED, POLICIES };
static const struct uuid policy_ids[POLICIES] = {{.b = {1}}, {.b = {2}}, {.b = {3}}, {.b = {4}}, {.b = {5}}};

struct row {
    enum scope_kind kind;
    int             policy;
    const char     *action, *conditions;
};

static struct scope *scope_of(enum scope_kind kind, const struct row *rows, size_t n)
{
    static const struct uuid id = {.b = {9}};
    struct scope_builder    *b = scope_builder_new(kind, &id, true);
    struct arena             a;

    arena_init(&a, 16 << 20);
    for (int p = 0; p < POLICIES; p++) {
        struct scope_policy policy = {.id = policy_ids[p],
                                      .priority = 100,
                                      .locked = p == LOCKED,
                                      .is_default = p == DEFAULT,
                                      .learned = p == LEARNED};

        CHECK("policy", scope_builder_policy(b, &policy, NULL) == 0);
    }
    for (size_t i = 0; i < n; i++) {
        struct rule r = {.id.b = {0, 0, 0, (uint8_t)(i + 1)},
                         .priority = 100,
                         .enabled = true,
                         .flow = FLOW_FROM,
                         .action = strcmp(rows[i].action, "allow") == 0 ? RULE_ALLOW : RULE_BLOCK};
        struct err  e = ERR_INIT;

        if (rows[i].kind != kind)
            continue;
        if (rule_conditions_from_json(span_of(rows[i].conditions), &a, NULL, &r, &e) < 0)
            fail_msg("%s: %s", rows[i].conditions, e.text);
        CHECK("rule", scope_builder_rule(b, &policy_ids[rows[i].policy], &r, NULL) == 0);
    }
    arena_fini(&a);
    return scope_build(&b, 0, NULL);
}

#define FROM(who) "[{\"kind\":\"sender\",\"any\":[\"" who "\"]}]"
#define TO(who) "[{\"kind\":\"recipient\",\"any\":[\"" who "\"]}]"
#define SUBJECT(text) "[{\"kind\":\"subject\",\"any\":[\"" text "\"]}]"
#define BOB FROM("bob@partner.example")

/* clang-format off */
static const struct case_row {
    const char       *holds;
    struct row        rows[3];
    struct score_parts score;
    enum direction    direction;
    unsigned          set;
    enum action       action;
    enum rule_verdict rule;
    enum layer        layer; /* of the decider; LAYER_NONE: nobody */
} cases[] = {
#define GREY 1u
#define ROLE 2u
#define IN DIRECTION_INBOUND
    {"no rule: the score decides", {{0}}, {7, 0, false, false, false}, IN, 0, ACTION_TAG, VERDICT_NONE, LAYER_NONE},
    {"a rule of the domain", {{SCOPE_DOMAIN, RULES, "block", BOB}}, {0, 0, false, false, false}, IN, 0, ACTION_REJECT, VERDICT_BLOCK, LAYER_DOMAIN},
    {"a rule that does not match decides nothing", {{SCOPE_DOMAIN, RULES, "block", FROM("eve@partner.example")}}, {0, 0, false, false, false}, IN, 0,
     ACTION_PASS, VERDICT_NONE, LAYER_NONE},
    {"the mailbox overrides its domain", {{SCOPE_DOMAIN, RULES, "block", BOB}, {SCOPE_MAILBOX, RULES, "allow", SUBJECT("invoice")}},
     {50, 0, false, false, false}, IN, 0, ACTION_PASS, VERDICT_ALLOW, LAYER_MAILBOX},
    {"not what is locked", {{SCOPE_DOMAIN, LOCKED, "block", BOB}, {SCOPE_MAILBOX, RULES, "allow", SUBJECT("invoice")}},
     {0, 0, false, false, false}, IN, 0, ACTION_REJECT, VERDICT_BLOCK, LAYER_DOMAIN_LOCKED},
    {"an assigned global policy counts", {{SCOPE_GLOBAL, ASSIGNED, "block", BOB}}, {0, 0, false, false, false}, IN, 0, ACTION_REJECT, VERDICT_BLOCK,
     LAYER_DOMAIN},
    {"one that is not is inert", {{SCOPE_GLOBAL, RULES, "block", BOB}}, {0, 0, false, false, false}, IN, 0, ACTION_PASS, VERDICT_NONE, LAYER_NONE},
    {"the default policy", {{SCOPE_GLOBAL, DEFAULT, "block", BOB}}, {0, 0, false, false, false}, IN, 0, ACTION_REJECT, VERDICT_BLOCK, LAYER_DEFAULT},
    {"a learned block holds", {{SCOPE_MAILBOX, LEARNED, "block", BOB}}, {0, 0, false, false, false}, IN, 0, ACTION_QUARANTINE, VERDICT_BLOCK,
     LAYER_LEARNED},
    {"a learned allow subtracts 6, and the domain's block loses",
     {{SCOPE_MAILBOX, LEARNED, "allow", SUBJECT("invoice")}, {SCOPE_DOMAIN, RULES, "block", BOB}}, {7, 0, false, false, false}, IN, 0, ACTION_PASS,
     VERDICT_NONE, LAYER_LEARNED},
    {"a virus passes no allow", {{SCOPE_MAILBOX, RULES, "allow", SUBJECT("invoice")}}, {7, 0, true, false, false}, IN, 0, ACTION_REJECT, VERDICT_ALLOW,
     LAYER_MAILBOX},
    {"postmaster has no rules of a domain", {{SCOPE_DOMAIN, RULES, "block", BOB}}, {0, 0, false, false, false}, IN, ROLE, ACTION_PASS, VERDICT_NONE,
     LAYER_NONE},
    {"but locked global ones", {{SCOPE_GLOBAL, LOCKED, "block", BOB}, {SCOPE_DOMAIN, LOCKED, "allow", BOB}}, {0, 0, false, false, false}, IN, ROLE,
     ACTION_REJECT, VERDICT_BLOCK, LAYER_GLOBAL_LOCKED},
    {"greylisting is for inbound mail", {{0}}, {5, 0, false, false, false}, IN, GREY, ACTION_PASS, VERDICT_NONE, LAYER_NONE},
    {"not for local mail", {{0}}, {5, 0, false, false, false}, DIRECTION_LOCAL, GREY, ACTION_PASS, VERDICT_NONE, LAYER_NONE},
    {"without a scanner, for whoever no rule knows", {{0}}, {0, 0, false, false, true}, IN, GREY, ACTION_PASS, VERDICT_NONE, LAYER_NONE},
    {"and neither there for local mail", {{0}}, {0, 0, false, false, true}, DIRECTION_LOCAL, GREY, ACTION_PASS, VERDICT_NONE, LAYER_NONE},
    {"local mail is not rejected by score", {{0}}, {50, 0, false, false, false}, DIRECTION_LOCAL, 0, ACTION_TAG, VERDICT_NONE, LAYER_NONE},
    {"outbound mail sees no rules about senders", {{SCOPE_DOMAIN, RULES, "block", BOB}}, {0, 0, false, false, false}, DIRECTION_OUTBOUND, 0, ACTION_PASS,
     VERDICT_NONE, LAYER_NONE},
};
/* clang-format on */

static struct facts facts_of(struct arena *a, enum direction direction)
{
    static const char message[] =
        "From: Bob <bob@partner.example>\r\nTo: ann@ours.example\r\nSubject: Your invoice\r\n\r\nHello\r\n";

    return (struct facts){
        .message = message_open(SPAN(message), a),
        .arena = a,
        .has_envelope_from = true,
        .direction = direction,
        .envelope_from = {.local = SPAN("bob"), .domain = SPAN("partner.example"), .full = SPAN("bob@partner.example")},
        .proof = {.can_prove = true, .dmarc_pass = true, .dmarc_domain = SPAN("partner.example")}};
}

static struct judge_rcpt rcpt_of(const char *address, struct scope *const *scopes)
{
    struct span       s = span_of(address);
    size_t            at = span_rchr(s, '@');
    struct judge_rcpt r = {.rcpt.given = {.local = span_head(s, at), .domain = span_skip(s, at + 1), .full = s},
                           .assigned = {&policy_ids[ASSIGNED], 1},
                           .thresholds = {15, 6, 4},
                           .dispositions = DISPOSITIONS_BUILT_IN};

    for (int k = 0; k < 3; k++)
        r.scopes[k] = scopes[k];
    return r;
}

static void drop_all(struct scope **scopes)
{
    for (int k = 0; k < 3; k++)
        scope_drop(&scopes[k]);
}

static void a_message_gets_the_verdict_of_the_strongest_layer(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct case_row *c = &cases[i];
        struct arena          *a = arena_of_test();
        struct facts           facts = facts_of(a, c->direction);
        struct scope          *scopes[3];
        struct judge_rcpt      rcpt;
        struct verdict        *fast, *slow;
        struct evaluation     *ev;
        struct err             e = ERR_INIT;

        for (enum scope_kind k = SCOPE_GLOBAL; k <= SCOPE_MAILBOX; k++) {
            size_t n = 0;

            while (n < COUNT(c->rows) && c->rows[n].action != NULL)
                n++;
            scopes[k] = scope_of(k, c->rows, n);
        }
        rcpt = rcpt_of("ann@ours.example", scopes);
        rcpt.role_address = c->set & ROLE;
        rcpt.greylisting = c->set & GREY;
        if (judge(&facts, &rcpt, 1, &c->score, false, &fast, &ev, &e) < 0)
            fail_msg("%s: %s", c->holds, e.text);
        CHECK(c->holds, judge(&facts, &rcpt, 1, &c->score, true, &slow, &ev, &e) == 0);
        if (fast->action != c->action || fast->rule != c->rule)
            fail_msg("%s: %s, rule %d", c->holds, action_word(fast->action), fast->rule);
        CHECK(c->holds, (fast->decision.decider == NULL ? LAYER_NONE : fast->decision.decider->layer) == c->layer);
        CHECK("greylisting is due for inbound mail alone",
              fast->greylist_due == ((c->set & GREY) && c->direction == IN));
        CHECK("explain says the same",
              slow->action == fast->action && slow->rule == fast->rule && slow->score == fast->score);
        CHECK("explain shows every rule", slow->decision.n >= fast->decision.n);
        drop_all(scopes);
    }
}

static void every_recipient_is_judged_by_their_own_rules(void **unused)
{
    static const struct row ann[] = {{SCOPE_MAILBOX, RULES, "allow", BOB}},
                            ben[] = {{SCOPE_MAILBOX, RULES, "block", BOB}},
                            domain[] = {{SCOPE_DOMAIN, RULES, "block", TO("cleo@ours.example")}};
    struct arena      *a = arena_of_test();
    struct facts       facts = facts_of(a, IN);
    struct scope      *scopes[3] = {scope_of(SCOPE_GLOBAL, NULL, 0), scope_of(SCOPE_DOMAIN, domain, 1), NULL};
    struct scope      *of_ann = scope_of(SCOPE_MAILBOX, ann, 1), *of_ben = scope_of(SCOPE_MAILBOX, ben, 1);
    struct judge_rcpt  rcpts[4] = {rcpt_of("ann@ours.example", scopes), rcpt_of("ben@ours.example", scopes),
                                   rcpt_of("cleo@ours.example", scopes), rcpt_of("dan@ours.example", scopes)};
    struct score_parts score = {7, 0, false, false, false};
    struct verdict    *v;
    struct evaluation *ev;

    (void)unused;
    rcpts[0].scopes[SCOPE_MAILBOX] = of_ann;
    rcpts[1].scopes[SCOPE_MAILBOX] = of_ben;
    rcpts[3].thresholds.add_header = 8;
    CHECK("judged", judge(&facts, rcpts, 4, &score, false, &v, &ev, NULL) == 0);
    CHECK("ann allows", v[0].action == ACTION_PASS && v[0].rule == VERDICT_ALLOW);
    CHECK("ben blocks", v[1].action == ACTION_REJECT && v[1].rule == VERDICT_BLOCK);
    CHECK("the domain blocks for cleo", v[2].action == ACTION_REJECT && v[2].rule == VERDICT_BLOCK);
    CHECK("dan has thresholds of his own", v[3].action == ACTION_PASS && v[3].rule == VERDICT_NONE);
    drop_all(scopes);
    scope_drop(&of_ann);
    scope_drop(&of_ben);
}

static void many_recipients_of_one_domain_share_one_decision(void **unused)
{
    enum { MANY = 10000 };
    static struct row  rows[40];
    static const char  block[] = SUBJECT("invoice");
    struct arena      *a = arena_of_test();
    struct facts       facts = facts_of(a, IN);
    struct scope      *scopes[3] = {NULL, NULL, NULL};
    struct judge_rcpt *rcpts = calloc(MANY, sizeof *rcpts);
    struct score_parts score = {0, 0, false, false, false};
    struct verdict    *v;
    struct evaluation *ev;
    size_t             before;

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++)
        rows[i] = (struct row){SCOPE_DOMAIN, RULES, "block", block};
    scopes[SCOPE_DOMAIN] = scope_of(SCOPE_DOMAIN, rows, COUNT(rows));
    for (size_t i = 0; i < MANY; i++)
        rcpts[i] = rcpt_of("ann@ours.example", scopes);
    rcpts[MANY / 2].role_address = true;
    before = a->used;
    CHECK("judged", judge(&facts, rcpts, MANY, &score, false, &v, &ev, NULL) == 0);
    CHECK("alike", v[0].decision.n == COUNT(rows) && v[0].decision.all == v[MANY / 2 - 1].decision.all);
    CHECK("all of them", v[MANY - 1].action == ACTION_REJECT && v[0].action == ACTION_REJECT);
    CHECK("but not who has another role", v[MANY / 2].action == ACTION_PASS);
    CHECK("memory is for verdicts, not for lists", a->used - before < MANY * sizeof *v + 200000);
    free(rcpts);
    drop_all(scopes);
}

static void a_full_arena_fails_the_scan(void **unused)
{
    static const struct row rows[] = {{SCOPE_DOMAIN, RULES, "block", BOB}};
    struct scope           *scopes[3] = {NULL, scope_of(SCOPE_DOMAIN, rows, 1), NULL};
    struct score_parts      score = {0, 0, false, false, false};
    size_t                  failed = 0, done = 0;

    (void)unused;
    for (size_t max = 0; max < 60000; max += 500) {
        struct judge_rcpt  rcpt = rcpt_of("ann@ours.example", scopes);
        struct facts       facts;
        struct verdict    *v;
        struct evaluation *ev;
        struct arena       a;
        struct err         e = ERR_INIT;

        arena_init(&a, max);
        facts = facts_of(&a, IN);
        if (facts.message != NULL && judge(&facts, &rcpt, 1, &score, false, &v, &ev, &e) < 0) {
            failed++;
            CHECK("says so", e.code == ERR_LIMIT);
        } else if (facts.message != NULL) {
            done++;
            CHECK("right, or not at all", v->action == ACTION_REJECT);
        }
        arena_fini(&a);
    }
    CHECK("some fail, some do not", failed > 0 && done > 0);
    drop_all(scopes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_gets_the_verdict_of_the_strongest_layer),
        cmocka_unit_test(every_recipient_is_judged_by_their_own_rules),
        cmocka_unit_test(many_recipients_of_one_domain_share_one_decision),
        cmocka_unit_test(a_full_arena_fails_the_scan),
    };

    mail_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
