/* portal/policies.c - policies: the named sets of rules of a scope, where they hold, and which rule is in which. */
#include <stdio.h>
#include <stdlib.h>

#include "route.h"
#include "rules.h"
#include "rules/decide.h"
#include "store/mailbox.h"
#include "store/policy.h"
#include "store/setting.h"

#define PAGE 200
#define NAMED 10 /* domains and rules that are named beside their number */

/* ---- one policy as JSON ------------------------------------------------------------------------------------------ */

/* As they decide. */
struct placed {
    enum layer          layer;
    struct store_policy policy;
};

/* What is asked about policies, and from where they are looked at. */
struct view {
    struct call    *c;
    struct buf     *b;
    struct assigned assigned; /* global policies that the domain at hand has */
    bool            above;    /* the list is of other scopes: read only, and only what holds */
    struct placed  *kept;     /* in the arena */
    size_t          n, max;
};

static enum layer layer_of(const struct view *v, const struct store_policy *p)
{
    const struct scope_policy as = {.id = p->id, .locked = p->locked, .is_default = p->is_default};
    const struct match        m = {.policy = &as};
    const struct assigned     itself = {&p->id, 1};
    bool                      anywhere = !v->above && p->nassigned > 0;

    return match_layer(&m, p->scope.kind, anywhere ? &itself : &v->assigned);
}

static int put_domain_name(void *ctx, const struct uuid *domain, struct span name)
{
    (void)domain;
    json_add_text(ctx, NULL, name);
    return 0;
}

/* Which domains have it is for the operator to know. */
static int put_domains(const struct view *v, const struct store_policy *p, struct err *e)
{
    json_add_i64(v->b, "domains", p->nassigned);
    json_open(v->b, "named", '[');
    if (p->nassigned > 0 && store_policy_domains(v->c->store, p->id, SPAN_NONE, NAMED, put_domain_name, v->b, e) < 0)
        return -1;
    json_close(v->b, ']');
    return 0;
}

static int put_policy(const struct view *v, const struct store_policy *p, struct err *e)
{
    struct buf *b = v->b;
    enum layer  layer = layer_of(v, p);

    json_add_uuid(b, "id", &p->id);
    json_add_str(b, "scope", scope_kind_words[p->scope.kind]);
    store_policy_put(b, p);
    json_add_bool(b, "built_in", store_policy_is_built_in(p));
    json_add_str(b, "layer", layer_word(layer));
    json_add_bool(b, "inert", layer == LAYER_NONE);
    json_add_bool(b, "read_only", v->above);
    json_add_i64(b, "rules", p->nrules);
    json_add_time(b, "created", p->created_us);
    json_add_time(b, "updated", p->updated_us);
    return v->above || p->scope.kind != SCOPE_GLOBAL ? 0 : put_domains(v, p, e);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static int keep(void *ctx, const struct store_policy *p)
{
    struct view *v = ctx;
    enum layer   layer = layer_of(v, p);

    if (v->above && (!p->enabled || layer == LAYER_NONE))
        return 0;
    v->kept[v->n++] = (struct placed){layer, *p};
    return v->n == v->max;
}

static int by_place(const void *one, const void *other)
{
    const struct placed *a = one, *b = other;

    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    if (a->policy.priority != b->policy.priority)
        return a->policy.priority < b->policy.priority ? -1 : 1;
    return uuid_cmp(&a->policy.id, &b->policy.id);
}

static int put_list(struct view *v, struct err *e)
{
    qsort(v->kept, v->n, sizeof *v->kept, by_place);
    v->b = call_list_begin(v->c);
    for (size_t i = 0; i < v->n; i++) {
        json_open(v->b, NULL, '{');
        if (put_policy(v, &v->kept[i].policy, e) < 0)
            return -1;
        json_close(v->b, '}');
    }
    call_list_end(v->c, SPAN_NONE);
    return 0;
}

static int view_begin(struct call *c, bool above, struct view *v, struct err *e)
{
    *v = (struct view){.c = c, .above = above, .max = STORE_LIST_MAX};
    v->kept = arena_array(c->arena, v->max, sizeof *v->kept);
    return v->kept != NULL ? 0 : err_set(e, ERR_LIMIT, "The answer would be too large.");
}

static int list_own(struct call *c, struct err *e)
{
    struct view v;

    if (rules_permit(c, false, e) < 0 || view_begin(c, false, &v, e) < 0 ||
        store_policy_list(c->store, c->scope, keep, &v, e) < 0)
        return -1;
    return put_list(&v, e);
}

/* Global ones that hold in the domain at hand; for a mailbox those of the domain too. */
static int list_above(struct call *c, struct err *e)
{
    struct view               v;
    struct store_mailbox_view mailbox = {.domain = c->scope.id};
    struct store_domain_view  domain;

    if (rules_permit(c, false, e) < 0 || view_begin(c, true, &v, e) < 0)
        return -1;
    if (c->scope.kind == SCOPE_GLOBAL)
        return put_list(&v, e);
    if ((c->scope.kind == SCOPE_MAILBOX && store_mailbox_view(c->store, c->scope.id, &mailbox, e) < 0) ||
        store_domain_view(c->store, &mailbox.domain, c->arena, &domain, e) < 0)
        return -1;
    v.assigned = (struct assigned){domain.assigned, domain.nassigned};
    if (store_policy_list(c->store, STORE_SCOPE_GLOBAL, keep, &v, e) < 0)
        return -1;
    if (c->scope.kind == SCOPE_MAILBOX && v.n < v.max &&
        store_policy_list(c->store, store_scope_domain(mailbox.domain), keep, &v, e) < 0)
        return -1;
    return put_list(&v, e);
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

static int put_rule_name(void *ctx, const struct store_rule *r)
{
    json_add_text(ctx, NULL, r->name);
    return 0;
}

/* With the names of some of its rules: what would go with it. */
static int reply_policy(struct call *c, int status, struct uuid id, struct err *e)
{
    struct view         v = {.c = c};
    struct store_policy p;

    if (store_policy_get(c->store, id, &p, e) < 0 || store_policy_count(c->store, &p, e) < 0)
        return -1;
    v.b = call_reply(c, status);
    json_open(v.b, NULL, '{');
    if (put_policy(&v, &p, e) < 0)
        return -1;
    json_open(v.b, "first", '[');
    if (store_rule_list(c->store, p.scope, &p.id, NULL, NAMED, put_rule_name, v.b, e) < 0)
        return -1;
    json_close(v.b, ']');
    json_close(v.b, '}');
    return 0;
}

static int get_policy(struct call *c, struct err *e)
{
    return rules_permit(c, false, e) < 0 ? -1 : reply_policy(c, 200, c->object, e);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

struct policy_body {
    uint64_t    given;
    struct span name;
    int64_t     priority;
    bool        locked, is_default, enabled;
};
enum { P_NAME, P_PRIORITY, P_LOCKED, P_DEFAULT, P_ENABLED };
#define IN(member) offsetof(struct policy_body, member)
#define POLICY_FIELDS(flags)                                                                                           \
    [P_NAME] = {"name", FIELD_TEXT, flags, 1, STORE_NAME_MAX, NULL, IN(name), "Unique in its scope."},                 \
    [P_PRIORITY] = {"priority",                                                                                        \
                    FIELD_I64,                                                                                         \
                    0,                                                                                                 \
                    -1000000,                                                                                          \
                    1000000,                                                                                           \
                    NULL,                                                                                              \
                    IN(priority),                                                                                      \
                    "The lower decides; 100 unless said otherwise."},                                                  \
    [P_LOCKED] = {"locked", FIELD_BOOL, 0, 0, 0, NULL, IN(locked), "Nobody below overrides its rules."},               \
    [P_DEFAULT] = {"default",                                                                                          \
                   FIELD_BOOL,                                                                                         \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   NULL,                                                                                               \
                   IN(is_default),                                                                                     \
                   "Of a global one: it holds where no other policy matched; there is one at most."},                  \
    [P_ENABLED] = {"enabled", FIELD_BOOL, 0, 0, 0, NULL, IN(enabled), "Off: its rules do nothing."}, FIELDS_END
static const struct field add_fields[] = {POLICY_FIELDS(FIELD_REQUIRED)};
static const struct field set_fields[] = {POLICY_FIELDS(0)};

static void read_policy(const struct policy_body *in, struct store_policy *p)
{
    if (field_given(in, P_NAME))
        snprintf(p->name, sizeof p->name, "%.*s", SPAN_ARG(span_trim(in->name)));
    if (field_given(in, P_PRIORITY))
        p->priority = (int32_t)in->priority;
    if (field_given(in, P_LOCKED))
        p->locked = in->locked;
    if (field_given(in, P_DEFAULT))
        p->is_default = in->is_default;
    if (field_given(in, P_ENABLED))
        p->enabled = in->enabled;
}

static int add_policy(struct call *c, struct err *e)
{
    struct store_policy p = {.scope = c->scope, .priority = POLICY_PRIORITY, .enabled = true};
    struct uuid         id;

    read_policy(c->body, &p);
    return store_policy_add(c->store, &c->actor, &p, &id, e) < 0 ? -1 : reply_policy(c, 201, id, e);
}

static int set_policy(struct call *c, struct err *e)
{
    struct store_policy p;

    if (store_policy_get(c->store, c->object, &p, e) < 0)
        return -1;
    read_policy(c->body, &p);
    return store_policy_set(c->store, &c->actor, &p, e) < 0 ? -1 : reply_policy(c, 200, p.id, e);
}

static int delete_policy(struct call *c, struct err *e)
{
    if (store_policy_delete(c->store, &c->actor, c->object, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* ---- where it holds ---------------------------------------------------------------------------------------------- */

struct domains_query {
    uint64_t    given;
    struct span after;
};
static const struct field domains_fields[] = {
    {"after", FIELD_TEXT, 0, 0, 400, NULL, offsetof(struct domains_query, after), "The `next` of the page before."},
    FIELDS_END};

struct names {
    struct buf *b;
    size_t      n;
    char        last[STORE_DOMAIN_MAX + 1];
};

static int put_domain(void *ctx, const struct uuid *domain, struct span name)
{
    struct names *l = ctx;

    json_open(l->b, NULL, '{');
    json_add_uuid(l->b, "id", domain);
    json_add_text(l->b, "name", name);
    json_close(l->b, '}');
    snprintf(l->last, sizeof l->last, "%.*s", SPAN_ARG(name));
    l->n++;
    return 0;
}

static int list_domains(struct call *c, struct err *e)
{
    const struct domains_query *in = c->query;
    struct names                l = {.b = call_list_begin(c)};

    if (store_policy_domains(c->store, c->object, in->after, PAGE, put_domain, &l, e) < 0)
        return -1;
    call_list_end(c, l.n == PAGE ? span_of(l.last) : SPAN_NONE);
    return 0;
}

static int assign(struct call *c, bool on, struct err *e)
{
    struct uuid domain;

    if (route_domain(c, c->params[1], &domain, e) < 0 ||
        (on ? store_policy_assign : store_policy_unassign)(c->store, &c->actor, c->object, domain, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static int assign_on(struct call *c, struct err *e) { return assign(c, true, e); }

static int assign_off(struct call *c, struct err *e) { return assign(c, false, e); }

/* ---- which rule is in which -------------------------------------------------------------------------------------- */

struct transfer_body {
    uint64_t    given;
    struct uuid policy;
};
static const struct field transfer_fields[] = {
    {"policy", FIELD_UUID, FIELD_REQUIRED, 0, 0, NULL, offsetof(struct transfer_body, policy), "Of the same scope."},
    FIELDS_END};

int rules_transfer(struct call *c, struct uuid policy, struct err *e)
{
    if (store_rule_transfer(c->store, &c->actor, c->object, policy, e) == 0)
        return 0;
    c->member = "policy";
    if (e->code == ERR_NOT_FOUND || e->code == ERR_CONFLICT) /* what there is elsewhere is nobody's business here */
        err_set(e, ERR_INVALID, "There is no such policy here.");
    return -1;
}

static int transfer_rule(struct call *c, struct err *e)
{
    const struct transfer_body *in = c->body;

    if (rules_permit(c, true, e) < 0 || rules_transfer(c, in->policy, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_GET, "/scopes/{scope}/policies", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_own,
     .summary = "The policies of a mailbox, a domain or all, as they decide.", .reply = "list:Policy"},
    {HTTPD_GET, "/scopes/{scope}/policies/above", DEED_SEE_RULES, OBJECT_SCOPE, 0, list_above,
     .summary = "Policies from above that hold here too.", .reply = "list:Policy"},
    {HTTPD_POST, "/scopes/{scope}/policies", DEED_WRITE_POLICIES, OBJECT_SCOPE, ROUTE_MAKES, add_policy, NULL, add_fields, 0,
     sizeof(struct policy_body), "Makes a policy.", "PolicyDetail"},
    {HTTPD_GET, "/policies/{policy}", DEED_SEE_RULES, OBJECT_POLICY, 0, get_policy,
     .summary = "One policy, and what would go with it.", .reply = "PolicyDetail"},
    {HTTPD_PATCH, "/policies/{policy}", DEED_WRITE_POLICIES, OBJECT_POLICY, ROUTE_ATOMIC, set_policy, NULL, set_fields, 0,
     sizeof(struct policy_body), "Changes a policy; what is left out stays.", "PolicyDetail"},
    {HTTPD_DELETE, "/policies/{policy}", DEED_WRITE_POLICIES, OBJECT_POLICY, 0, delete_policy,
     .summary = "Deletes a policy with its rules."},
    {HTTPD_GET, "/policies/{policy}/domains", DEED_OPERATE, OBJECT_POLICY, 0, list_domains, domains_fields, NULL,
     sizeof(struct domains_query), 0, "The domains that a global policy is assigned to.", "list:PolicyDomain"},
    {HTTPD_PUT, "/policies/{policy}/domains/{domain}", DEED_OPERATE, OBJECT_POLICY, 0, assign_on,
     .summary = "Lets a global policy hold in a domain."},
    {HTTPD_DELETE, "/policies/{policy}/domains/{domain}", DEED_OPERATE, OBJECT_POLICY, 0, assign_off,
     .summary = "No longer."},
    {HTTPD_PUT, "/rules/{rule}/policy", DEED_WRITE_RULES, OBJECT_RULE, 0, transfer_rule, NULL, transfer_fields, 0,
     sizeof(struct transfer_body), "Moves a rule into another policy, behind the rules that are there.", NULL},
};
/* clang-format on */

#define POLICY_MEMBERS                                                                                                 \
    "\"id\":{\"type\":\"string\"},\"scope\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},\"priority\":{"       \
    "\"type\":\"integer\"},\"locked\":{\"type\":\"boolean\"},\"default\":{\"type\":\"boolean\"},\"enabled\":{"         \
    "\"type\":\"boolean\"},\"built_in\":{\"type\":\"boolean\"},\"layer\":{\"type\":\"string\"},\"inert\":{\"type\":"   \
    "\"boolean\"},\"read_only\":{\"type\":\"boolean\"},\"rules\":{\"type\":\"integer\"},\"domains\":{\"type\":"        \
    "\"integer\"},\"named\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"created\":{\"type\":\"string\"},"   \
    "\"updated\":{\"type\":\"string\"}"
const struct route_family policies_family = {"Policies", rows, COUNT(rows),
                                             "\"Policy\":{\"type\":\"object\",\"properties\":{" POLICY_MEMBERS "}},"
                                             "\"PolicyDetail\":{\"type\":\"object\",\"properties\":{" POLICY_MEMBERS
                                             ",\"first\":{\"type\":\"array\",\"items\":{"
                                             "\"type\":\"string\"}}}},"
                                             "\"PolicyDomain\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":"
                                             "\"string\"},\"name\":{\"type\":\"string\"}}}"};
