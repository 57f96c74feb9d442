/* portal/decide.c - see decide.h. What would decide the other way are rules that matched this message then, by its trace, and those that
 * match its sender now.
 *
 * To look at all of them can take as long as to compile three scopes, and the rule has to go ahead of those that stand when it is written.
 * So it is looked first, and then written in a transaction that looks again only if some rule was changed in between. */
#include "decide.h"

#include <stdio.h>

#include "base/json_read.h"
#include "base/utf8.h"
#include "change.h"
#include "mail/message.h"
#include "route.h"
#include "rules.h"
#include "sentence.h"
#include "store/address.h"
#include "store/change.h"
#include "store/compile.h"
#include "store/policy.h"

#define COMPILE_MAX 50000 /* rules of a scope that is looked through now; beyond, the trace has to do */
#define TRACE_MAX 50

/* ---- who would decide the other way ---- */

/* Before all of this scope's own: `above`. */
struct rivals {
    enum rule_action    action;       /* theirs */
    struct store_policy into;         /* where the new rule goes */
    int32_t             first;        /* the least priority of those that are as strong by their policy */
    bool                any, is_over; /* one of those; one that cannot be overtaken */
    bool                above;        /* … as it stands in another scope, or is enforced */
    char                over[RULE_NAME_MAX + 1];
};

static void meet(struct rivals *r, bool above, int32_t policy_priority, int32_t priority, struct span name)
{
    if (above || policy_priority < r->into.priority ||
        (policy_priority == r->into.priority && priority <= -RULE_PRIORITY_MAX)) {
        if (!r->is_over || (above && !r->above))
            snprintf(r->over, sizeof r->over, "%.*s", (int)utf8_clip(name, RULE_NAME_MAX), name.p);
        r->is_over = true;
        r->above |= above;
    } else if (policy_priority == r->into.priority) {
        r->first = r->any && r->first < priority ? r->first : priority;
        r->any = true;
    }
}

/* Matched when the message came, and may by what only the message itself can tell: its text, its attachments. */
static int meet_by_id(struct call *c, const struct uuid *id, struct rivals *r, struct err *e)
{
    struct store_rule rule;
    bool              own;

    if (store_rule_get(c->store, *id, c->arena, &rule, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        return 0;
    }
    own = rule.scope.kind == c->scope.kind && uuid_eq(&rule.scope.id, &c->scope.id);
    if (rule.action == r->action && rule.enabled && !rule.test_only &&
        (rule.expires_us == 0 || rule.expires_us > c->now_us) && (own || rule.locked))
        meet(r, !own || (rule.locked && c->scope.kind != SCOPE_MAILBOX), rule.policy_priority, rule.priority,
             rule.name);
    return 0;
}

static int meet_trace(struct call *c, struct span trace, struct rivals *r, struct err *e)
{
    struct json_read  json = {.in = trace, .arena = c->arena};
    struct json_value v, key;
    struct uuid       ids[TRACE_MAX];
    size_t            n = 0;
    struct err        ignored = ERR_INIT;

    if (trace.n == 0 || json_value(&json, &v, &ignored) < 0 || v.type != JSON_ARRAY)
        return 0;
    while (n < TRACE_MAX && json_item(&json, &ignored) > 0 && json_value(&json, &v, &ignored) == 0 &&
           v.type == JSON_OBJECT)
        while (json_member(&json, &key, &ignored) > 0 && json_value(&json, &v, &ignored) == 0)
            if (span_is(key.text, "id") && v.type == JSON_STRING && n < TRACE_MAX && uuid_parse(v.text, &ids[n]))
                n++;
    for (size_t i = 0; i < n; i++)
        if (meet_by_id(c, &ids[i], r, e) < 0)
            return -1;
    return 0;
}

/* The message as far as the log knows it, from a sender who is proven. */
static int facts_of(struct call *c, const struct mail_delivery *m, const struct breadths *b, struct facts *out,
                    struct rcpt_facts *rcpt, struct err *e)
{
    const struct store_message *msg = &m->t.message;
    struct store_resolved       who;
    struct span raw = arena_printf(c->arena, "From: <%.*s>\r\nSubject: %.*s\r\n\r\n", SPAN_ARG(b->sender.full),
                                   SPAN_ARG(msg->subject));

    *out = (struct facts){.arena = c->arena,
                          .host = msg->host,
                          .helo = msg->helo,
                          .direction = msg->direction,
                          .now_us = c->now_us,
                          .proof = {.can_prove = true, .dmarc_pass = true, .dmarc_domain = b->sender.domain}};
    *rcpt = (struct rcpt_facts){0};
    out->has_ip = ip_parse(msg->ip, false, &out->ip);
    out->has_envelope_from = address_parse_path(msg->sender, c->arena, &out->envelope_from, NULL) == 0;
    if ((out->message = message_open(raw, c->arena)) == NULL ||
        address_parse_path(m->d->delivery.recipient, c->arena, &rcpt->given, e) < 0 ||
        store_resolve(c->store, rcpt->given.full, &who, e) < 0)
        return -1;
    rcpt->resolved = arena_dup(c->arena, span_of(who.ours ? who.mailbox_address : ""));
    rcpt->resolved_domain = arena_dup(c->arena, span_of(who.ours ? who.domain_name : ""));
    return 0;
}

/* With an evaluation of its own: one knows its scopes by where they lie, and here the next may lie where this one did. */
static int meet_scope(struct call *c, const struct facts *facts, const struct rcpt_facts *rcpt,
                      struct store_scope scope, struct rivals *r, struct err *e)
{
    struct evaluation  *ev = evaluation_new(facts);
    struct compile_how  how = {.keep_text = true, .rules_max = COMPILE_MAX};
    struct scope       *s = NULL;
    const struct match *list;
    bool                own = scope.kind == c->scope.kind;
    size_t              n = 0;
    int                 rc;

    if (ev == NULL)
        return err_set(e, ERR_LIMIT, "The message is too large to be judged again.");
    if (store_scope_compile(c->store, scope, &how, &s, e) < 0) {
        if (e->code != ERR_LIMIT)
            return -1;
        *e = ERR_INIT;
        return 0;
    }
    if ((rc = evaluate_scope(ev, s, rcpt, &list, &n, e)) == 0)
        for (size_t i = 0; i < n; i++)
            if (list[i].why == WHY_APPLIED && list[i].action == r->action && !list[i].policy->learned &&
                (own || list[i].policy->locked))
                meet(r, !own || (list[i].policy->locked && scope.kind != SCOPE_MAILBOX), list[i].policy->priority,
                     list[i].priority, match_rule_name(&list[i]));
    scope_drop(&s);
    return rc;
}

static int meet_all(struct call *c, const struct mail_delivery *m, const struct breadths *b, struct rivals *r,
                    struct err *e)
{
    struct facts      facts;
    struct rcpt_facts rcpt;

    if (meet_trace(c, m->d->delivery.trace, r, e) < 0 || facts_of(c, m, b, &facts, &rcpt, e) < 0)
        return -1;
    if (meet_scope(c, &facts, &rcpt, STORE_SCOPE_GLOBAL, r, e) < 0 ||
        (m->d->delivery.has_domain &&
         meet_scope(c, &facts, &rcpt, store_scope_domain(m->d->delivery.domain), r, e) < 0) ||
        (c->scope.kind == SCOPE_MAILBOX && meet_scope(c, &facts, &rcpt, c->scope, r, e) < 0))
        return -1;
    return 0;
}

/* ---- the rule ---- */

/* What is pressed. */
struct press {
    enum rule_action     action;
    struct span          sender;
    struct mail_delivery m;
    struct breadths      b;
};

static bool offered(const struct breadths *b, struct span sender)
{
    for (size_t i = 0; i < b->n; i++)
        if (span_eq(b->items[i].sender, sender))
            return true;
    return false;
}

static int make_rule(struct call *c, const struct press *p, const struct rivals *r, struct buf *conditions,
                     struct store_rule *out, struct err *e)
{
    struct rule_check check = {.may_regex = false};
    struct rule       rule;
    struct buf        json;
    int               rc;

    buf_init(&json, 16384);
    json_open(&json, NULL, '{');
    json_add_text(&json, "name", span_head(p->sender, utf8_clip(p->sender, RULE_NAME_MAX)));
    json_add_str(&json, "action", rule_action_word(p->action));
    json_add_i64(&json, "priority", r->any && r->first <= RULE_PRIORITY ? r->first - 1 : RULE_PRIORITY);
    json_open(&json, "conditions", '[');
    json_open(&json, NULL, '{');
    json_add_str(&json, "kind", "sender");
    if (p->b.envelope)
        json_add_str(&json, "source", "envelope");
    json_open(&json, "any", '[');
    json_add_text(&json, NULL, p->sender);
    json_close(&json, ']');
    json_close(&json, '}');
    json_close(&json, ']');
    json_close(&json, '}');
    rc = rule_from_json(buf_span(&json), c->arena, &check, &rule, e);
    if (rc == 0) {
        rule_put_conditions_json(conditions, &rule);
        *out = (struct store_rule){.policy = r->into.id,
                                   .name = arena_dup(c->arena, rule.name),
                                   .note = SPAN(""),
                                   .conditions = buf_span(conditions),
                                   .action = rule.action,
                                   .flow = rule.flow,
                                   .priority = rule.priority,
                                   .enabled = true,
                                   .require_proof = true};
    }
    buf_fini(&json);
    return rc;
}

/* Pressed before: the same rule, which comes to the front again. */
struct same_rule {
    const struct store_rule *as;
    struct arena            *arena;
    int64_t                  now_us;
    bool                     found, enabled;
    struct uuid              id;
    int32_t                  priority;
    struct span              name, note;
};

static int is_same(void *ctx, const struct store_rule *r)
{
    struct same_rule *s = ctx;

    if (r->action != s->as->action || r->flow != s->as->flow || r->test_only ||
        !span_eq(r->conditions, s->as->conditions))
        return 0;
    s->found = true;
    s->id = r->id;
    s->enabled = r->enabled && (r->expires_us == 0 || r->expires_us > s->now_us);
    s->priority = r->priority;
    s->name = arena_dup(s->arena, r->name);
    s->note = arena_dup(s->arena, r->note);
    return 1;
}

static int save(struct call *c, struct store_rule *r, struct err *e)
{
    struct same_rule same = {.as = r, .arena = c->arena};

    if (store_rule_list(c->store, c->scope, &r->policy, NULL, 0, is_same, &same, e) < 0)
        return -1;
    if (!same.found)
        return store_rule_add(c->store, &c->actor, r, &r->id, e);
    r->id = same.id;
    r->name = same.name;
    r->note = same.note;
    return store_rule_set(c->store, &c->actor, r, e);
}

/* Mail to postmaster@ and abuse@ obeys nobody else's rules. */
static bool is_operators(struct call *c, const struct mail_delivery *m)
{
    struct store_resolved who;
    struct address        to;

    return address_parse_path(m->d->delivery.recipient, c->arena, &to, NULL) == 0 &&
           store_resolve(c->store, to.full, &who, NULL) == 0 && who.special;
}

static const char *note_of(struct call *c, const struct mail_delivery *m, const struct rivals *r,
                           enum rule_action action)
{
    if (r->is_over)
        return arena_printf(c->arena,
                            r->above ? "Saved, but the rule \"%s\", which is set above it, decides first."
                                     : "Saved, but the rule \"%s\" stands in a stronger policy and decides first.",
                            r->over)
            .p;
    if (is_operators(c, m))
        return "Saved, but mail to postmaster@ and abuse@ obeys the operator's rules alone.";
    if (action == RULE_ALLOW && !rules_can_prove(c))
        return "Saved, but nothing here can prove who sent a message: until a filter can, it lets nothing through.";
    return NULL;
}

/* ---- what others ask for ---- */

/* Everything that pressing is about, but for the rules that there are. */
static int begin(struct call *c, struct span sender, struct press *p, struct err *e)
{
    if (c->scope.kind == SCOPE_GLOBAL)
        return err_set(e, ERR_CONFLICT, "This message was for nobody here: no rule could be theirs.");
    if (mail_find(c, &p->m, e) < 0 || breadths_find(c, &p->m, &p->b, e) < 0)
        return -1;
    p->sender = sender;
    if (sender.n == 0) {
        if (p->b.items[0].reach != REACH_ADDRESS)
            return err_set(e, ERR_CONFLICT, "The sender's address cannot stand in a rule by itself.");
        p->sender = p->b.items[0].sender;
    }
    if (!offered(&p->b, p->sender)) {
        c->member = "sender";
        return err_set(e, ERR_INVALID, "The sender has to be one of those that are offered for this message.");
    }
    return 0;
}

static int begin_rivals(struct call *c, const struct press *p, struct rivals *r, struct err *e)
{
    *r = (struct rivals){.action = p->action == RULE_ALLOW ? RULE_BLOCK : RULE_ALLOW};
    return store_policy_find(c->store, c->scope, SPAN(POLICY_RULES), &r->into, e);
}

/* A press on its way into a rule. */
struct making {
    struct press   p;
    struct rivals  r;
    int64_t        seen; /* the change up to which r knows all rules; it may know of later ones */
    struct decided made;
};

static int look_round(struct call *c, struct making *x, struct err *e)
{
    if (store_change_head(c->store, &x->seen, e) < 0 || begin_rivals(c, &x->p, &x->r, e) < 0)
        return -1;
    return meet_all(c, &x->p.m, &x->p.b, &x->r, e);
}

static int make_in(struct call *c, void *ctx, struct err *e)
{
    struct making    *x = ctx;
    struct store_rule rule;
    struct buf        conditions;
    int64_t           head;
    int               rc;

    if (store_change_head(c->store, &head, e) < 0 || (head != x->seen && look_round(c, x, e) < 0))
        return -1;
    buf_init(&conditions, RULE_JSON_MAX);
    rc = make_rule(c, &x->p, &x->r, &conditions, &rule, e) < 0 || save(c, &rule, e) < 0 ? -1 : 0;
    buf_fini(&conditions);
    if (rc == 0)
        x->made = (struct decided){.rule = rule.id, .priority = rule.priority};
    return rc;
}

int decide_make(struct call *c, enum rule_action action, struct span sender, struct decided *out, struct err *e)
{
    struct making x = {.p = {.action = action}};

    if (begin(c, sender, &x.p, e) < 0 || look_round(c, &x, e) < 0 || change_make(c, NULL, make_in, &x, e) < 0)
        return -1;
    *out = x.made;
    out->note = note_of(c, &x.p.m, &x.r, action);
    return 0;
}

/* Whether there is such a rule in the policy. */
static int find_same(struct call *c, const struct press *p, const struct rivals *r, struct same_rule *same,
                     struct err *e)
{
    struct store_rule as;
    struct buf        conditions;
    int               rc;

    *same = (struct same_rule){.as = &as, .arena = c->arena, .now_us = c->now_us};
    buf_init(&conditions, RULE_JSON_MAX);
    rc = make_rule(c, p, r, &conditions, &as, e) < 0 ||
                 store_rule_list(c->store, c->scope, &as.policy, NULL, 0, is_same, same, e) < 0
             ? -1
             : 0;
    buf_fini(&conditions);
    same->as = NULL;
    return rc;
}

int decide_look(struct call *c, enum rule_action action, struct decide_stand *out, struct err *e)
{
    struct press     p = {.action = action};
    struct rivals    r;
    struct same_rule same;

    *out = (struct decide_stand){.rule = uuid_zero};
    if (begin(c, SPAN_NONE, &p, e) < 0) {
        if (e->code != ERR_CONFLICT)
            return -1;
        *e = ERR_INIT;
        return 0;
    }
    out->possible = true;
    if (begin_rivals(c, &p, &r, e) < 0 || find_same(c, &p, &r, &same, e) < 0)
        return -1;
    if (!same.found)
        return 0;
    out->rule = same.id;
    if (meet_all(c, &p.m, &p.b, &r, e) < 0)
        return -1;
    out->made = same.enabled && (!r.any || same.priority < r.first);
    out->over = r.is_over || is_operators(c, &p.m);
    out->unproven = action == RULE_ALLOW && !rules_can_prove(c);
    return 0;
}

/* ---- POST …/decide ---- */

struct decide_body {
    uint64_t    given;
    int         action;
    struct span sender;
};
static const struct field decide_fields[] = {{"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words,
                                              offsetof(struct decide_body, action), "allow or block"},
                                             {"sender", FIELD_TEXT, FIELD_REQUIRED, 1, STORE_ADDRESS_MAX, NULL,
                                              offsetof(struct decide_body, sender),
                                              "One of the breadths that are offered."},
                                             FIELDS_END};

static int decide(struct call *c, struct err *e)
{
    const struct decide_body *in = c->body;
    struct decided            made;
    struct buf               *out;

    if (decide_make(c, (enum rule_action)in->action, in->sender, &made, e) < 0)
        return -1;
    out = call_reply(c, 200);
    json_open(out, NULL, '{');
    json_add_uuid(out, "rule", &made.rule);
    json_add_i64(out, "priority", made.priority);
    json_add_str(out, "note", made.note);
    sentence_put(out, "note_said", span_of(made.note));
    json_close(out, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/deliveries/{uid}/{n}/breadths", DEED_SEE_MAIL, OBJECT_DELIVERY, 0, breadths_call, breadths_fields,
     NULL, sizeof(struct breadths_query), 0,
     "How far an allow or a block of its sender may reach, and how much mail of 30 days each would have caught.",
     "Breadths"},
    {HTTPD_POST, "/deliveries/{uid}/{n}/decide", DEED_WRITE_RULES, OBJECT_DELIVERY, 0, decide, NULL, decide_fields, 0,
     sizeof(struct decide_body), "Allows or blocks its sender from now on, by a rule ahead of what would beat it.",
     "Decided"},
};

const struct route_family decide_family = {
    "Mail", rows, COUNT(rows),
    "\"Breadths\":{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"properties\":{\"kind\":{\"type\":\"string\",\"enum\":[\"address\",\"stable\",\"domain\",\"subdomains\"]},"
    "\"sender\":{\"type\":\"string\"},\"messages\":{\"type\":\"integer\"}}}},\"more\":{\"type\":\"boolean\"},"
    "\"warning\":{\"type\":[\"string\",\"null\"]},\"warning_said\":{\"$ref\":\"#/components/schemas/SaidOrNull\"}}},"
    "\"Decided\":{\"type\":\"object\",\"properties\":{\"rule\":{\"type\":\"string\"},\"priority\":{\"type\":"
    "\"integer\"},\"note\":{\"type\":[\"string\",\"null\"]},\"note_said\":{\"$ref\":\"#/components/schemas/"
    "SaidOrNull\"}}}"};
