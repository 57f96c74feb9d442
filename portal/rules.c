/* portal/rules.c - what people do with rules: they are made, changed, switched, moved, deleted. How they are shown is in rules_view.c,
 * what a rule would do in rules_try.c. */
#include "rules.h"

#include <ctype.h>

#include "route.h"
#include "rules/import.h"
#include "rules_order.h"
#include "store/setting.h"

/* ---- what all share ---------------------------------------------------------------------------------------------- */

int rules_permit(struct call *c, bool write, struct err *e)
{
    if (c->scope.kind != SCOPE_DOMAIN)
        return 0;
    return permit(c->store, &c->who, write ? DEED_WRITE_POLICIES : DEED_SEE_DOMAIN, &c->scope, "domain", e);
}

bool rules_can_prove(const struct call *c)
{
    const struct settings *s = c->portal->settings;

    return c->portal->scanner != NULL || s->rules.authserv_id[0] != '\0';
}

int rules_say(struct call *c, struct err *e)
{
    struct err as = *e;
    char       text[sizeof as.text];
    size_t     n = strlen(as.text);

    if (as.code == ERR_LOST || as.code == ERR_BUSY || as.code == ERR_IO)
        return -1;
    memcpy(text, as.text, n + 1);
    text[0] = (char)toupper((unsigned char)text[0]);
    err_set(e, as.code, "%s%s", text, n > 0 && text[n - 1] == '.' ? "" : ".");
    e->at = as.at;
    c->member = c->member != NULL ? c->member : "rule";
    return -1;
}

int rules_read(struct call *c, struct span json, bool confirm, struct rule_check *check, struct rule *out,
               struct err *e)
{
    *check = (struct rule_check){.freemail_confirmed = confirm};
    if (store_may_regex(c->store, &c->actor, c->scope, &check->may_regex, e) < 0)
        return -1;
    return rule_from_json(json, c->arena, check, out, e) < 0 ? rules_say(c, e) : 0;
}

/* ---- adding and changing ----------------------------------------------------------------------------------------- */

struct rule_body {
    uint64_t    given;
    struct span rule;
    struct uuid policy;
    bool        confirm;
};
enum { BODY_RULE, BODY_POLICY };
static const struct field add_fields[] = {
    {"rule", FIELD_JSON, FIELD_REQUIRED, 0, RULE_JSON_MAX, NULL, offsetof(struct rule_body, rule),
     "The rule: name, action, conditions and so on."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct rule_body, policy), "Where to; the policy Rules."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct rule_body, confirm),
     "An allow of a whole free-mail domain is meant."},
    FIELDS_END};
static const struct field change_fields[] = {
    {"rule", FIELD_JSON, FIELD_REQUIRED, 0, RULE_JSON_MAX, NULL, offsetof(struct rule_body, rule), "All of the rule."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct rule_body, policy),
     "Into another policy of its scope, behind the rules that are there; without: it stays."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct rule_body, confirm),
     "An allow of a whole free-mail domain is meant."},
    FIELDS_END};

/* What saving says besides: words that the page has sentences for. */
static int put_saved(struct call *c, int status, const struct rule *r, const struct rule_check *check, struct err *e)
{
    struct version v;
    struct buf    *b;

    if (rules_version(c, &v, e) < 0)
        return -1;
    b = call_reply(c, status);
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &c->object);
    json_add_str(b, "version", v.text);
    json_open(b, "advice", '[');
    if ((check->advice & ADVICE_NEEDS_PROOF) != 0 && r->require_proof)
        json_add_str(b, NULL, rules_can_prove(c) ? "needs_proof" : "cannot_prove");
    if ((check->advice & ADVICE_SLOW_REGEX) != 0)
        json_add_str(b, NULL, "slow_regex");
    if ((check->advice & ADVICE_FREEMAIL) != 0)
        json_add_str(b, NULL, "freemail");
    if (r->test_only)
        json_add_str(b, NULL, "test_only");
    json_close(b, ']');
    json_close(b, '}');
    return 0;
}

static int add_json(struct call *c, struct span json, bool confirm, const struct uuid *policy, struct err *e)
{
    struct rule_check   check;
    struct store_policy into;
    struct store_rule   row;
    struct rule         r;
    struct buf          conditions;
    int                 rc = -1;

    buf_init(&conditions, RULE_JSON_MAX);
    if (rules_permit(c, true, e) < 0 || rules_read(c, json, confirm, &check, &r, e) < 0 ||
        rules_policy(c, policy, SPAN_NONE, &into, e) < 0)
        goto out;
    rule_put_conditions_json(&conditions, &r);
    row = store_rule_of(&r, &into.id, buf_span(&conditions));
    rc = store_rule_add(c->store, &c->actor, &row, &c->object, e) < 0 ? rules_say(c, e)
                                                                      : put_saved(c, 201, &r, &check, e);
out:
    buf_fini(&conditions);
    return rc;
}

static int add_rule(struct call *c, struct err *e)
{
    const struct rule_body *in = c->body;

    return add_json(c, in->rule, in->confirm, field_given(in, BODY_POLICY) ? &in->policy : NULL, e);
}

/* A rule that was read, on its way into the store. */
struct saving {
    struct rule       rule;
    struct rule_check check;
    struct buf        conditions;
};

/* What becomes an allow leaves what is enforced first; what becomes a block goes there last. */
static int save_in(struct call *c, void *ctx, struct err *e)
{
    const struct rule_body *in = c->body;
    const struct saving    *x = ctx;
    struct store_rule       row, before;
    bool                    moves;

    if (store_rule_get(c->store, c->object, c->arena, &before, e) < 0)
        return -1;
    moves = field_given(in, BODY_POLICY) && !uuid_eq(&in->policy, &before.policy);
    if (moves && x->rule.action == RULE_ALLOW && rules_transfer(c, in->policy, e) < 0)
        return -1;
    row = store_rule_of(&x->rule, &before.policy, buf_span(&x->conditions));
    row.id = c->object;
    if (moves && x->rule.action == RULE_ALLOW) {
        if (store_rule_get(c->store, c->object, c->arena, &before, e) < 0)
            return -1;
        row.priority = before.priority; /* behind the rules that are there */
    }
    if (store_rule_set(c->store, &c->actor, &row, e) < 0)
        return rules_say(c, e);
    if (moves && x->rule.action == RULE_BLOCK && rules_transfer(c, in->policy, e) < 0)
        return -1;
    return put_saved(c, 200, &x->rule, &x->check, e);
}

static int change_rule(struct call *c, struct err *e)
{
    const struct rule_body *in = c->body;
    struct saving           x;
    int                     rc = -1;

    buf_init(&x.conditions, RULE_JSON_MAX);
    if (rules_permit(c, true, e) == 0 && rules_read(c, in->rule, in->confirm, &x.check, &x.rule, e) == 0) {
        rule_put_conditions_json(&x.conditions, &x.rule);
        rc = change_make(c, rules_version, save_in, &x, e);
    }
    buf_fini(&x.conditions);
    return rc;
}

struct switch_body {
    uint64_t given;
    bool     enabled;
};
static const struct field switch_fields[] = {{"enabled", FIELD_BOOL, FIELD_REQUIRED, 0, 0, NULL,
                                              offsetof(struct switch_body, enabled), "On, or off without deleting it."},
                                             FIELDS_END};

static int switch_rule(struct call *c, struct err *e)
{
    const struct switch_body *in = c->body;

    if (rules_permit(c, true, e) < 0)
        return -1;
    if (store_rule_enable(c->store, &c->actor, c->object, in->enabled, e) < 0)
        return rules_say(c, e);
    call_reply_nothing(c);
    return 0;
}

static int delete_in(struct call *c, void *unused, struct err *e)
{
    (void)unused;
    if (store_rule_delete(c->store, &c->actor, c->object, e) < 0)
        return rules_say(c, e);
    call_reply_nothing(c);
    return 0;
}

static int delete_rule(struct call *c, struct err *e)
{
    return rules_permit(c, true, e) < 0 ? -1 : change_make(c, rules_version, delete_in, NULL, e);
}

struct move_body {
    uint64_t    given;
    struct uuid before;
};
static const struct field move_fields[] = {{"before", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct move_body, before),
                                            "The rule of the same policy that comes behind it; without: it goes last."},
                                           FIELDS_END};

static int move_rule(struct call *c, struct err *e)
{
    const struct move_body *in = c->body;

    if (rules_permit(c, true, e) < 0)
        return -1;
    if (store_rule_move(c->store, &c->actor, c->object, field_given(in, 0) ? &in->before : NULL, e) < 0) {
        c->member = "before";
        return rules_say(c, e);
    }
    call_reply_nothing(c);
    return 0;
}

/* ---- the quick way ----------------------------------------------------------------------------------------------- */

struct quick_body {
    uint64_t    given;
    int         action;
    struct span what;
    bool        confirm;
};
static const struct field quick_fields[] = {{"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words,
                                             offsetof(struct quick_body, action), "allow or block."},
                                            {"what", FIELD_TEXT, FIELD_REQUIRED, 1, RULE_NAME_MAX, NULL,
                                             offsetof(struct quick_body, what),
                                             "An address, a domain or an IP address."},
                                            {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct quick_body, confirm),
                                             "An allow of a whole free-mail domain is meant."},
                                            FIELDS_END};

static int add_quick(struct call *c, struct err *e)
{
    const struct quick_body *in = c->body;
    struct span              what = span_trim(in->what);
    struct ip_block          ignored;
    struct buf               json;
    int                      rc;

    buf_init(&json, 16384);
    json_open(&json, NULL, '{');
    json_add_text(&json, "name", what);
    json_add_str(&json, "action", rule_action_words[in->action]);
    json_open(&json, "conditions", '[');
    json_open(&json, NULL, '{');
    json_add_str(&json, "kind", ip_block_parse(what, &ignored, NULL) == 0 ? "ip" : "sender");
    json_open(&json, "any", '[');
    json_add_text(&json, NULL, what);
    json_close(&json, ']');
    json_close(&json, '}');
    json_close(&json, ']');
    json_close(&json, '}');
    c->member = "what";
    rc = add_json(c, buf_span(&json), in->confirm, NULL, e);
    if (rc < 0) { /* of JSON that the caller has not seen */
        import_own_terms(e);
        rules_say(c, e);
        e->at = 0;
    }
    buf_fini(&json);
    return rc;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_POST, "/scopes/{scope}/rules", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE | ROUTE_MAKES, add_rule, NULL, add_fields, 0,
     sizeof(struct rule_body), "Makes a rule.", "RuleSaved"},
    {HTTPD_POST, "/scopes/{scope}/rules/quick", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_MAKES, add_quick, NULL, quick_fields, 0,
     sizeof(struct quick_body), "Makes a rule of an address, a domain or an IP address.", "RuleSaved"},
    {HTTPD_PUT, "/rules/{rule}", DEED_WRITE_RULES, OBJECT_RULE, ROUTE_LARGE | ROUTE_VERSION, change_rule, NULL, change_fields, 0,
     sizeof(struct rule_body), "Writes a rule anew.", "RuleSaved"},
    {HTTPD_PATCH, "/rules/{rule}", DEED_WRITE_RULES, OBJECT_RULE, 0, switch_rule, NULL, switch_fields, 0,
     sizeof(struct switch_body), "Switches a rule on or off.", NULL},
    {HTTPD_POST, "/rules/{rule}/move", DEED_WRITE_RULES, OBJECT_RULE, 0, move_rule, NULL, move_fields, 0,
     sizeof(struct move_body), "Moves a rule within its policy.", NULL},
    {HTTPD_DELETE, "/rules/{rule}", DEED_WRITE_RULES, OBJECT_RULE, ROUTE_VERSION, delete_rule, .summary = "Deletes a rule."},
};
/* clang-format on */

const struct route_family rules_family = {
    "Rules", rows, COUNT(rows),
    "\"RuleSaved\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"},"
    "\"advice\":{\"type\":\"array\","
    "\"items\":{\"type\":\"string\"}}}}"};
