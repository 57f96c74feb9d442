/* portal/decide.c - "allow this sender", "block this sender", pressed beside a message: how far that may reach, and a rule that takes
 * effect.
 *
 * Reach    of the From address (the envelope's where there is none): the address, what of it stays from message to message, its
 *          domain, and that with all below it; never the domain of a free-mail house or a public suffix. Each says how much
 *          mail of the scope it would have caught in 30 days.
 * Effect   the rule goes into the policy `Rules` of the delivery's scope, ahead of all that would decide the other way there: rules
 *          that matched this message then, by its trace, and those that match its sender now. What stands above the scope, or in
 *          a stronger policy of it, cannot be overtaken: the answer names it. */
#include <stdio.h>

#include "base/json_read.h"
#include "base/utf8.h"
#include "mail.h"
#include "mail/message.h"
#include "route.h"
#include "rules/wildcard.h"
#include "scan/learnable.h"
#include "store/address.h"
#include "store/compile.h"
#include "store/policy.h"
#include "store/rule.h"

#define PAST_US (30 * 86400 * INT64_C(1000000))
#define PAST_ROWS 5000
#define PAST_WAIT_US INT64_C(1000000)
#define COMPILE_MAX 50000 /* rules of a scope that is looked through now; beyond, the trace has to do */
#define TRACE_MAX 50

/* ---- how far ---- */

enum reach { REACH_ADDRESS, REACH_STABLE, REACH_DOMAIN, REACH_SUBDOMAINS, REACHES };
static const char *const reach_words[] = {"address", "stable", "domain", "subdomains", NULL};

struct breadth {
    enum reach  reach;
    struct span sender; /* in the sender grammar of rules */
    int64_t     messages;
};
struct breadths {
    struct address sender;
    bool           envelope; /* it is the envelope's: there was no From to read */
    struct breadth items[REACHES];
    size_t         n;
    bool           shared; /* a free-mail house, or a suffix under which anybody may be */
};

static void add(struct breadths *b, enum reach reach, struct span sender)
{
    for (size_t i = 0; i < b->n; i++)
        if (span_eq(b->items[i].sender, sender))
            return;
    if (sender.n > 0)
        b->items[b->n++] = (struct breadth){.reach = reach, .sender = sender};
}

static int find_sender(struct call *c, const struct mail_delivery *m, struct breadths *out, struct err *e)
{
    const struct store_message *msg = &m->t.message;
    struct span                 text = msg->from_address.n > 0 ? msg->from_address : msg->sender;

    out->envelope = msg->from_address.n == 0;
    if (msg->direction == DIRECTION_OUTBOUND)
        return err_set(e, ERR_CONFLICT, "This message was sent from here: there is no stranger to decide about.");
    if (text.n == 0 || address_parse_path(text, c->arena, &out->sender, e) < 0 || out->sender.full.n == 0)
        return err_set(e, ERR_CONFLICT, "This message names no sender that a rule could be about.");
    return 0;
}

static int find_breadths(struct call *c, const struct mail_delivery *m, struct breadths *out, struct err *e)
{
    struct learnable stable;
    struct span      domain;

    *out = (struct breadths){0};
    if (find_sender(c, m, out, e) < 0)
        return -1;
    domain = out->sender.domain;
    learnable_breadth(&out->sender, c->arena, &stable);
    if (stable.sender.n > 0)
        add(out, REACH_ADDRESS, out->sender.full);
    out->shared = domain_is_freemail(domain) || domain_is_public_suffix(domain);
    if (stable.sender.n > 0 && !span_starts(stable.sender, SPAN("*@")))
        add(out, REACH_STABLE, stable.sender);
    if (!out->shared && domain.n > 0 && domain.p[0] != '[') {
        add(out, REACH_DOMAIN, arena_printf(c->arena, "*@%.*s", SPAN_ARG(domain)));
        add(out, REACH_SUBDOMAINS, domain);
    }
    return out->n > 0 ? 0 : err_set(e, ERR_CONFLICT, "The sender's address cannot stand in a rule.");
}

static bool covers(const struct breadth *b, const struct address *sender, const struct address *one)
{
    switch (b->reach) {
    case REACH_ADDRESS: return span_eq(one->full, sender->full);
    case REACH_STABLE: return wildcard_match(b->sender, one->full);
    case REACH_DOMAIN: return span_eq(one->domain, sender->domain);
    case REACH_SUBDOMAINS: return domain_is_within(one->domain, sender->domain);
    case REACHES: break;
    }
    return false;
}

/* ---- how much it would have caught ---- */

struct past {
    struct breadths *b;
    struct arena     arena; /* of one row */
    size_t           rows;
};

static int count_row(void *ctx, const struct store_row *row)
{
    struct past   *p = ctx;
    struct address one;

    p->rows++;
    arena_reset(&p->arena);
    if (row->direction == DIRECTION_OUTBOUND ||
        address_parse_path(p->b->envelope ? row->sender : row->from_address, &p->arena, &one, NULL) < 0)
        return 0;
    for (size_t i = 0; i < p->b->n; i++)
        p->b->items[i].messages += covers(&p->b->items[i], &p->b->sender, &one);
    return 0;
}

/* *more_out: there may be others; nobody has looked at all. */
static int count_past(struct call *c, struct breadths *b, bool *more_out, struct err *e)
{
    struct store_words      words = {SEARCH_FROM, b->sender.domain, false};
    struct store_search     s = {.scope = c->scope, .words = &words, .nwords = 1, .since_us = c->now_us - PAST_US};
    struct store_search_end end = {.more = true};
    struct past             p = {.b = b};
    int64_t                 from = clock_mono_us();
    int                     rc = 0;

    arena_init(&p.arena, (size_t)1 << 20);
    while (rc == 0 && end.more && p.rows < PAST_ROWS && clock_mono_us() - from < PAST_WAIT_US) {
        if ((rc = store_search(c->store, &s, count_row, &p, &end, e)) == 0 && end.more) {
            s.before = end.next;
            s.has_before = true;
        }
    }
    arena_fini(&p.arena);
    *more_out = end.more;
    return rc;
}

/* ---- GET …/breadths ---- */

static bool can_prove(const struct call *c)
{
    const struct settings *s = c->portal->settings;

    return s->rulesd.scanner.n > 0 || s->rules.authserv_id[0] != '\0';
}

static const char *warning_of(const struct call *c, const struct breadths *b, enum rule_action action)
{
    if (action == RULE_ALLOW && !can_prove(c))
        return "Nothing here can prove who sent a message, and anybody can write any sender: until a filter can, "
               "this will let nothing through.";
    if (b->shared)
        return "Anybody may have an address at this domain: only the whole address can be meant.";
    if (action == RULE_ALLOW)
        return "It holds only for mail that is proven to come from there; a forged sender is judged as before.";
    return NULL;
}

struct breadths_query {
    uint64_t given;
    int      action;
};
static const struct field breadths_fields[] = {{"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words,
                                                offsetof(struct breadths_query, action), "allow or block"},
                                               FIELDS_END};

static int breadths(struct call *c, struct err *e)
{
    const struct breadths_query *in = c->query;
    struct mail_delivery         m;
    struct breadths              b;
    struct buf                  *out;
    bool                         more;

    if (mail_find(c, &m, e) < 0 || find_breadths(c, &m, &b, e) < 0 || count_past(c, &b, &more, e) < 0)
        return -1;
    out = call_reply(c, 200);
    json_open(out, NULL, '{');
    json_open(out, "items", '[');
    for (size_t i = 0; i < b.n; i++) {
        json_open(out, NULL, '{');
        json_add_str(out, "kind", reach_words[b.items[i].reach]);
        json_add_text(out, "sender", b.items[i].sender);
        json_add_i64(out, "messages", b.items[i].messages);
        json_close(out, '}');
    }
    json_close(out, ']');
    json_add_bool(out, "more", more);
    json_add_str(out, "warning", warning_of(c, &b, (enum rule_action)in->action));
    json_close(out, '}');
    return 0;
}

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

static int meet_scope(struct call *c, struct evaluation *ev, const struct rcpt_facts *rcpt, struct store_scope scope,
                      struct rivals *r, struct err *e)
{
    struct compile_how  how = {.keep_text = true, .rules_max = COMPILE_MAX};
    struct scope       *s = NULL;
    const struct match *list;
    bool                own = scope.kind == c->scope.kind;
    size_t              n = 0;
    int                 rc;

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
    struct facts       facts;
    struct rcpt_facts  rcpt;
    struct evaluation *ev;

    if (meet_trace(c, m->d->delivery.trace, r, e) < 0 || facts_of(c, m, b, &facts, &rcpt, e) < 0)
        return -1;
    if ((ev = evaluation_new(&facts)) == NULL)
        return err_set(e, ERR_LIMIT, "The message is too large to be judged again.");
    if (meet_scope(c, ev, &rcpt, STORE_SCOPE_GLOBAL, r, e) < 0 ||
        (m->d->delivery.has_domain && meet_scope(c, ev, &rcpt, store_scope_domain(m->d->delivery.domain), r, e) < 0) ||
        (c->scope.kind == SCOPE_MAILBOX && meet_scope(c, ev, &rcpt, c->scope, r, e) < 0))
        return -1;
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

static const struct breadth *offered(const struct breadths *b, struct span sender)
{
    for (size_t i = 0; i < b->n; i++)
        if (span_eq(b->items[i].sender, sender))
            return &b->items[i];
    return NULL;
}

static int make_rule(struct call *c, const struct breadths *b, const struct decide_body *in, const struct rivals *r,
                     struct buf *conditions, struct store_rule *out, struct err *e)
{
    struct rule_check check = {.may_regex = false};
    struct rule       rule;
    struct buf        json;
    int               rc;

    buf_init(&json, 16384);
    json_open(&json, NULL, '{');
    json_add_text(&json, "name", span_head(in->sender, utf8_clip(in->sender, RULE_NAME_MAX)));
    json_add_str(&json, "action", rule_action_word((enum rule_action)in->action));
    json_add_i64(&json, "priority", r->any && r->first <= RULE_PRIORITY ? r->first - 1 : RULE_PRIORITY);
    json_open(&json, "conditions", '[');
    json_open(&json, NULL, '{');
    json_add_str(&json, "kind", "sender");
    if (b->envelope)
        json_add_str(&json, "source", "envelope");
    json_open(&json, "any", '[');
    json_add_text(&json, NULL, in->sender);
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
    bool                     found;
    struct uuid              id;
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

static const char *note_of(struct call *c, const struct mail_delivery *m, const struct rivals *r,
                           enum rule_action action)
{
    struct store_resolved who;
    struct address        to;

    if (r->is_over)
        return arena_printf(c->arena,
                            r->above ? "Saved, but the rule \"%s\", which is set above it, decides first."
                                     : "Saved, but the rule \"%s\" stands in a stronger policy and decides first.",
                            r->over)
            .p;
    if (address_parse_path(m->d->delivery.recipient, c->arena, &to, NULL) == 0 &&
        store_resolve(c->store, to.full, &who, NULL) == 0 && who.special)
        return "Saved, but mail to postmaster@ and abuse@ obeys the operator's rules alone.";
    if (action == RULE_ALLOW && !can_prove(c))
        return "Saved, but nothing here can prove who sent a message: until a filter can, it lets nothing through.";
    return NULL;
}

static int decide(struct call *c, struct err *e)
{
    const struct decide_body *in = c->body;
    enum rule_action          action = (enum rule_action)in->action;
    struct mail_delivery      m;
    struct breadths           b;
    struct rivals             r = {.action = action == RULE_ALLOW ? RULE_BLOCK : RULE_ALLOW};
    struct store_rule         rule;
    struct buf                conditions, *out;
    int                       rc;

    if (c->scope.kind == SCOPE_GLOBAL)
        return err_set(e, ERR_CONFLICT, "This message was for nobody here: no rule could be theirs.");
    if (mail_find(c, &m, e) < 0 || find_breadths(c, &m, &b, e) < 0)
        return -1;
    if (offered(&b, in->sender) == NULL) {
        c->member = "sender";
        return err_set(e, ERR_INVALID, "The sender has to be one of those that are offered for this message.");
    }
    if (store_policy_find(c->store, c->scope, SPAN(POLICY_RULES), &r.into, e) < 0 || meet_all(c, &m, &b, &r, e) < 0)
        return -1;
    buf_init(&conditions, RULE_JSON_MAX);
    rc = make_rule(c, &b, in, &r, &conditions, &rule, e) < 0 || save(c, &rule, e) < 0 ? -1 : 0;
    buf_fini(&conditions);
    if (rc < 0)
        return -1;
    out = call_reply(c, 200);
    json_open(out, NULL, '{');
    json_add_uuid(out, "rule", &rule.id);
    json_add_i64(out, "priority", rule.priority);
    json_add_str(out, "note", note_of(c, &m, &r, action));
    json_close(out, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/deliveries/{uid}/{n}/breadths", DEED_SEE_MAIL, OBJECT_DELIVERY, 0, breadths, breadths_fields, NULL,
     sizeof(struct breadths_query), 0,
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
    "\"warning\":{\"type\":[\"string\",\"null\"]}}},"
    "\"Decided\":{\"type\":\"object\",\"properties\":{\"rule\":{\"type\":\"string\"},\"priority\":{\"type\":"
    "\"integer\"},\"note\":{\"type\":[\"string\",\"null\"]}}}"};
