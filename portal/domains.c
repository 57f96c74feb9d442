/* portal/domains.c - domains, their other names, and the settings that hold in a scope. */
#include <math.h>
#include <stdio.h>

#include "mail/domain.h"
#include "route.h"
#include "store/api_key.h"
#include "store/domain.h"
#include "store/setting.h"

#define PAGE 200
#define DOMAINS_MAX 1000 /* of one person */

/* ---- a domain ---- */

static void put_domain(struct buf *b, const char *key, const struct store_domain *d)
{
    json_open(b, key, '{');
    json_add_uuid(b, "id", &d->id);
    json_add_str(b, "name", d->name);
    json_add_str(b, "kind", domain_kind_words[d->kind]);
    json_add_str(b, "state", domain_state_words[d->state]);
    json_add_text(b, "delimiter", span_make(&d->delimiter, d->delimiter != 0));
    json_add_str(b, "route", d->route);
    json_add_time(b, "created", d->created_us);
    json_close(b, '}');
}

struct paging {
    uint64_t    given;
    struct span after;
};
static const struct field paging_fields[] = {
    {"after", FIELD_TEXT, 0, 0, 400, NULL, offsetof(struct paging, after), "The `next` of the page before."},
    FIELDS_END};

struct names {
    struct buf *b;
    size_t      n;
    char        last[STORE_DOMAIN_MAX + 1];
};

static int each_domain(void *ctx, const struct store_domain *d)
{
    struct names *l = ctx;

    put_domain(l->b, NULL, d);
    memcpy(l->last, d->name, sizeof l->last);
    l->n++;
    return 0;
}

static int list_all(struct call *c, struct err *e)
{
    const struct paging *in = c->query;
    struct names         l = {.b = call_list_begin(c)};

    if (store_domain_list(c->store, in->after.n > 0 ? in->after : SPAN(""), PAGE, each_domain, &l, e) < 0)
        return -1;
    call_list_end(c, l.n == PAGE ? span_of(l.last) : SPAN_NONE);
    return 0;
}

struct owned {
    struct uuid ids[DOMAINS_MAX];
    size_t      n;
};

static int each_role(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name, enum role role)
{
    struct owned *o = ctx;

    (void)account, (void)name;
    if (role >= ROLE_OWNER)
        o->ids[o->n++] = *domain;
    return o->n == DOMAINS_MAX;
}

static int list_owned(struct call *c, struct err *e)
{
    const struct who   *w = &c->who;
    struct owned       *o = arena_zalloc(c->arena, sizeof *o);
    struct store_domain d;
    struct buf         *b;

    if (o == NULL)
        return err_set(e, ERR_LIMIT, "The answer would be too large.");
    if (w->kind == WHO_SESSION && store_role_list(c->store, w->account.id, each_role, o, e) < 0)
        return -1;
    for (size_t i = 0; w->kind == WHO_KEY && w->key_role >= ROLE_OWNER && i < w->nkey_domains && i < DOMAINS_MAX; i++)
        o->ids[o->n++] = w->key_domains[i];
    b = call_list_begin(c);
    for (size_t i = 0; i < o->n; i++)
        if (store_domain_get(c->store, o->ids[i], &d, e) == 0)
            put_domain(b, NULL, &d);
        else if (e->code != ERR_NOT_FOUND)
            return -1;
    *e = ERR_INIT;
    call_list_end(c, SPAN_NONE);
    return 0;
}

/* Those that one owns; who stands above all of them gets all. */
static int list_domains(struct call *c, struct err *e)
{
    const struct store_scope global = STORE_SCOPE_GLOBAL;
    enum standing            here;

    if (standing_in(c->store, &c->who, &global, &here, e) < 0)
        return -1;
    return here >= STANDING_OWNER ? list_all(c, e) : list_owned(c, e);
}

static int each_alias(void *ctx, struct span name, const struct uuid *domain)
{
    (void)domain;
    json_add_text(ctx, NULL, name);
    return 0;
}

static int get_domain(struct call *c, struct err *e)
{
    struct store_domain d;
    struct buf         *b;

    if (store_domain_get(c->store, c->object, &d, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    put_domain(b, "domain", &d);
    json_open(b, "aliases", '[');
    if (store_domain_alias_list(c->store, d.id, each_alias, b, e) < 0)
        return -1;
    json_close(b, ']');
    json_close(b, '}');
    return 0;
}

struct body {
    uint64_t    given;
    struct span name, delimiter, route;
    int         kind, state;
};
enum { BODY_NAME, BODY_KIND };
#define NAME_FIELD                                                                                                     \
    {                                                                                                                  \
        "name", FIELD_TEXT, FIELD_REQUIRED, 1, 1000, NULL, offsetof(struct body, name),                                \
            "The name, as people write it."                                                                            \
    }
#define KIND_FIELD                                                                                                     \
    {                                                                                                                  \
        "kind", FIELD_WORD, 0, 0, 0, domain_kind_words, offsetof(struct body, kind),                                   \
            "Where its mailboxes are: here, on another server as a whole, or some here and some there."                \
    }
static const struct field add_fields[] = {NAME_FIELD, KIND_FIELD, FIELDS_END};
static const struct field alias_fields[] = {NAME_FIELD, FIELDS_END};

static int read_name(struct call *c, struct span text, struct span *out, struct err *e)
{
    if (domain_normalise(span_trim(text), c->arena, out, NULL) == 0 && out->n > 0 && span_chr(*out, '.') < out->n &&
        out->p[0] != '[')
        return 0;
    c->member = "name";
    return err_set(e, ERR_INVALID, "That is no domain name.");
}

static int add_domain(struct call *c, struct err *e)
{
    const struct body  *in = c->body;
    struct store_domain d = {.state = DOMAIN_ACTIVE, .delimiter = '+'};
    struct span         name;

    if (read_name(c, in->name, &name, e) < 0)
        return -1;
    snprintf(d.name, sizeof d.name, "%.*s", SPAN_ARG(name));
    d.kind = field_given(in, BODY_KIND) ? (enum domain_kind)in->kind : DOMAIN_LOCAL;
    return store_domain_add(c->store, &c->actor, &d, &c->object, e) < 0 ? -1 : get_domain(c, e);
}

enum { SET_STATE, SET_DELIMITER };
static const struct field set_fields[] = {
    [SET_STATE] = {"state", FIELD_WORD, 0, 0, 0, domain_state_words, offsetof(struct body, state),
                   "Is its mail filtered."},
    [SET_DELIMITER] = {"delimiter", FIELD_TEXT, 0, 0, 1, NULL, offsetof(struct body, delimiter),
                       "Between a mailbox and its +tag; empty: none."},
    FIELDS_END,
};

/* What waits for the operator is let in by the operator. */
static int may_set_state(struct call *c, const struct store_domain *d, enum domain_state to, struct err *e)
{
    if (d->state != DOMAIN_PENDING && to != DOMAIN_PENDING)
        return 0;
    return d->state == to ? 0 : permit(c->store, &c->who, DEED_OPERATE, &c->scope, "domain", e);
}

static int set_domain(struct call *c, struct err *e)
{
    const struct body  *in = c->body;
    struct store_domain d;

    if (store_domain_get(c->store, c->object, &d, e) < 0)
        return -1;
    if (field_given(in, SET_STATE)) {
        if (may_set_state(c, &d, (enum domain_state)in->state, e) < 0)
            return -1;
        d.state = (enum domain_state)in->state;
    }
    if (field_given(in, SET_DELIMITER))
        d.delimiter = in->delimiter.n > 0 ? in->delimiter.p[0] : '\0';
    return store_domain_set(c->store, &c->actor, &d, e) < 0 ? -1 : get_domain(c, e);
}

enum { ROUTE_KIND, ROUTE_ROUTE };
static const struct field route_fields[] = {
    [ROUTE_KIND] = KIND_FIELD,
    [ROUTE_ROUTE] = {"route", FIELD_TEXT, 0, 0, STORE_ROUTE_MAX, NULL, offsetof(struct body, route),
                     "Where its mail is delivered to: smtp://host:port; empty: as everybody's."},
    FIELDS_END,
};

static int set_route(struct call *c, struct err *e)
{
    const struct body  *in = c->body;
    struct store_domain d;

    if (store_domain_get(c->store, c->object, &d, e) < 0)
        return -1;
    if (field_given(in, ROUTE_KIND))
        d.kind = (enum domain_kind)in->kind;
    if (field_given(in, ROUTE_ROUTE))
        snprintf(d.route, sizeof d.route, "%.*s", SPAN_ARG(in->route));
    return store_domain_set(c->store, &c->actor, &d, e) < 0 ? -1 : get_domain(c, e);
}

static int delete_domain(struct call *c, struct err *e)
{
    if (store_domain_delete(c->store, &c->actor, c->object, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static int add_alias(struct call *c, struct err *e)
{
    const struct body *in = c->body;
    struct span        name;

    return read_name(c, in->name, &name, e) < 0 || store_domain_alias_add(c->store, &c->actor, c->object, name, e) < 0
               ? -1
               : get_domain(c, e);
}

static int delete_alias(struct call *c, struct err *e)
{
    struct store_domain d;
    struct span         name;

    if (domain_normalise(c->params[1], c->arena, &name, NULL) < 0)
        return err_set(e, ERR_NOT_FOUND, "There is no such name.");
    if (store_domain_find(c->store, name, &d, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (e->code == ERR_NOT_FOUND || !uuid_eq(&d.id, &c->object) || span_is(name, d.name))
        return err_set(e, ERR_NOT_FOUND, "There is no such name.");
    if (store_domain_alias_delete(c->store, &c->actor, name, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* ---- settings ---- */

static void put_word(struct buf *b, const char *key, const char *const *words, int i)
{
    json_add_str(b, key, i >= 0 ? words[i] : NULL);
}

static void put_yes(struct buf *b, const char *key, int yes)
{
    if (yes < 0)
        json_add_null(b, key);
    else
        json_add_bool(b, key, yes != 0);
}

static void put_number(struct buf *b, const char *key, int64_t n)
{
    if (n < 0)
        json_add_null(b, key);
    else
        json_add_i64(b, key, n);
}

static void put_setting(struct buf *b, const char *key, const struct store_setting *x)
{
    json_open(b, key, '{');
    json_add_f64(b, "reject", x->reject);
    json_add_f64(b, "add_header", x->add_header);
    json_add_f64(b, "greylist", x->greylist);
    put_word(b, "at_block", disposition_words, x->at_block);
    put_word(b, "at_reject", disposition_words, x->at_reject);
    put_word(b, "at_add_header", disposition_words, x->at_add_header);
    put_yes(b, "greylisting", x->greylisting);
    put_yes(b, "mailbox_thresholds", x->mailbox_thresholds);
    put_word(b, "enrol", enrol_words, x->enrol);
    put_number(b, "retention_days", x->retention_days);
    put_yes(b, "copies", x->copies);
    put_number(b, "held_max", x->held_max);
    put_number(b, "mailbox_held_max", x->mailbox_held_max);
    put_number(b, "rules_max", x->rules_max);
    put_number(b, "mailbox_rules_max", x->mailbox_rules_max);
    json_close(b, '}');
}

/* What would hold if the scope said nothing. */
static int inherited(struct call *c, struct store_setting *out, struct err *e)
{
    struct store_mailbox_view m;

    switch (c->scope.kind) {
    case SCOPE_GLOBAL: *out = store_setting_built_in; return 0;
    case SCOPE_DOMAIN: return store_setting_holds(c->store, NULL, out, e);
    case SCOPE_MAILBOX: break;
    }
    return store_mailbox_view(c->store, c->scope.id, &m, e) < 0 ? -1 : store_setting_holds(c->store, &m.domain, out, e);
}

static int get_settings(struct call *c, struct err *e)
{
    struct store_setting own, above;
    struct buf          *b;

    if (store_setting_get(c->store, c->scope, &own, e) < 0 || inherited(c, &above, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    put_setting(b, "own", &own);
    put_setting(b, "inherited", &above);
    json_close(b, '}');
    return 0;
}

struct settings_body {
    uint64_t given;
    double   reject, add_header, greylist;
    int      at_block, at_reject, at_add_header, enrol;
    bool     greylisting, mailbox_thresholds, copies;
    int64_t  retention_days, held_max, mailbox_held_max, rules_max, mailbox_rules_max;
};
enum {
    S_REJECT,
    S_ADD_HEADER,
    S_GREYLIST,
    S_AT_BLOCK,
    S_AT_REJECT,
    S_AT_ADD_HEADER,
    S_GREYLISTING,
    S_MAILBOX,
    S_ENROL,
    S_DAYS
};
#define IN(member) offsetof(struct settings_body, member)
static const struct field settings_fields[] = {
    [S_REJECT] = {"reject", FIELD_F64, 0, 0, 999, NULL, IN(reject), "The score from which mail is spam beyond doubt."},
    [S_ADD_HEADER] = {"add_header", FIELD_F64, 0, 0, 999, NULL, IN(add_header), "The score from which mail is spam."},
    [S_GREYLIST] = {"greylist", FIELD_F64, 0, 0, 999, NULL, IN(greylist), "The score from which strangers wait."},
    [S_AT_BLOCK] = {"at_block", FIELD_WORD, 0, 0, 0, disposition_words, IN(at_block), "What a block does."},
    [S_AT_REJECT] = {"at_reject", FIELD_WORD, 0, 0, 0, disposition_words, IN(at_reject), "And the score `reject`."},
    [S_AT_ADD_HEADER] = {"at_add_header", FIELD_WORD, 0, 0, 0, disposition_words, IN(at_add_header),
                         "And the score `add_header`."},
    [S_GREYLISTING] = {"greylisting", FIELD_BOOL, 0, 0, 0, NULL, IN(greylisting), "Do strangers wait at all."},
    [S_MAILBOX] = {"mailbox_thresholds", FIELD_BOOL, 0, 0, 0, NULL, IN(mailbox_thresholds),
                   "May a mailbox have thresholds of its own."},
    [S_ENROL] = {"enrol", FIELD_WORD, 0, 0, 0, enrol_words, IN(enrol), "Who may sign in without an account."},
    [S_DAYS] = {"retention_days", FIELD_I64, 0, 1, 3650, NULL, IN(retention_days), "How long held mail is kept."},
    FIELDS_END,
};

static void read_settings(const struct settings_body *in, struct store_setting *x)
{
#define GIVEN(i, value, none) (field_given(in, i) ? (value) : (none))
    x->reject = GIVEN(S_REJECT, in->reject, (double)NAN);
    x->add_header = GIVEN(S_ADD_HEADER, in->add_header, (double)NAN);
    x->greylist = GIVEN(S_GREYLIST, in->greylist, (double)NAN);
    x->at_block = GIVEN(S_AT_BLOCK, in->at_block, -1);
    x->at_reject = GIVEN(S_AT_REJECT, in->at_reject, -1);
    x->at_add_header = GIVEN(S_AT_ADD_HEADER, in->at_add_header, -1);
    x->greylisting = GIVEN(S_GREYLISTING, in->greylisting, -1);
    x->mailbox_thresholds = GIVEN(S_MAILBOX, in->mailbox_thresholds, -1);
    x->enrol = GIVEN(S_ENROL, in->enrol, -1);
    x->retention_days = GIVEN(S_DAYS, in->retention_days, -1);
}

/* All that an owner may say is replaced: what is not there, or null, is inherited. The operator's part stays. */
static int set_settings(struct call *c, struct err *e)
{
    struct store_setting x;

    if (store_setting_get(c->store, c->scope, &x, e) < 0)
        return -1;
    read_settings(c->body, &x);
    return store_setting_set(c->store, &c->actor, c->scope, &x, e) < 0 ? -1 : get_settings(c, e);
}

enum { Q_COPIES, Q_HELD, Q_MAILBOX_HELD, Q_RULES, Q_MAILBOX_RULES };
#define BYTES_MAX (INT64_C(1) << 50)
static const struct field quota_fields[] = {
    [Q_COPIES] = {"copies", FIELD_BOOL, 0, 0, 0, NULL, IN(copies), "Are copies of delivered mail kept, to learn from."},
    [Q_HELD] = {"held_max", FIELD_I64, 0, 0, BYTES_MAX, NULL, IN(held_max), "Bytes held for the domain; 0: no limit."},
    [Q_MAILBOX_HELD] = {"mailbox_held_max", FIELD_I64, 0, 0, BYTES_MAX, NULL, IN(mailbox_held_max),
                        "Bytes held for each mailbox; 0: no limit."},
    [Q_RULES] = {"rules_max", FIELD_I64, 0, 0, 1000000, NULL, IN(rules_max), "Rules of the domain."},
    [Q_MAILBOX_RULES] = {"mailbox_rules_max", FIELD_I64, 0, 0, 1000000, NULL, IN(mailbox_rules_max),
                         "Rules of each mailbox."},
    FIELDS_END,
};

static int set_quotas(struct call *c, struct err *e)
{
    const struct settings_body *in = c->body;
    struct store_setting        x;

    if (store_setting_get(c->store, c->scope, &x, e) < 0)
        return -1;
    x.copies = GIVEN(Q_COPIES, in->copies, -1);
    x.held_max = GIVEN(Q_HELD, in->held_max, -1);
    x.mailbox_held_max = GIVEN(Q_MAILBOX_HELD, in->mailbox_held_max, -1);
    x.rules_max = GIVEN(Q_RULES, in->rules_max, -1);
    x.mailbox_rules_max = GIVEN(Q_MAILBOX_RULES, in->mailbox_rules_max, -1);
    return store_setting_set(c->store, &c->actor, c->scope, &x, e) < 0 ? -1 : get_settings(c, e);
}

static const struct route rows[] = {
    {HTTPD_GET, "/domains", DEED_SEE_DOMAIN, OBJECT_NONE, 0, list_domains, paging_fields, NULL, sizeof(struct paging),
     0, "The domains that one owns; for the operator all.", "list:Domain"},
    {HTTPD_POST, "/domains", DEED_OPERATE, OBJECT_GLOBAL, 0, add_domain, NULL, add_fields, 0, sizeof(struct body),
     "Adds a domain.", "DomainDetail"},
    {HTTPD_GET, "/domains/{domain}", DEED_SEE_DOMAIN, OBJECT_DOMAIN, 0, get_domain,
     .summary = "A domain with its other names.", .reply = "DomainDetail"},
    {HTTPD_PATCH, "/domains/{domain}", DEED_WRITE_DOMAIN, OBJECT_DOMAIN, 0, set_domain, NULL, set_fields, 0,
     sizeof(struct body), "Changes a domain.", "DomainDetail"},
    {HTTPD_PUT, "/domains/{domain}/route", DEED_OPERATE, OBJECT_DOMAIN, 0, set_route, NULL, route_fields, 0,
     sizeof(struct body), "Says where a domain's mail goes on to.", "DomainDetail"},
    {HTTPD_DELETE, "/domains/{domain}", DEED_OPERATE, OBJECT_DOMAIN, 0, delete_domain,
     .summary = "Deletes a domain with everything in it."},
    {HTTPD_POST, "/domains/{domain}/aliases", DEED_OPERATE, OBJECT_DOMAIN, 0, add_alias, NULL, alias_fields, 0,
     sizeof(struct body), "Gives a domain another name.", "DomainDetail"},
    {HTTPD_DELETE, "/domains/{domain}/aliases/{alias}", DEED_OPERATE, OBJECT_DOMAIN, 0, delete_alias,
     .summary = "Takes another name of a domain away."},
    {HTTPD_GET, "/scopes/{scope}/settings", DEED_SEE_DOMAIN, OBJECT_SCOPE, 0, get_settings,
     .summary = "What is set there, and what is inherited.", .reply = "Settings"},
    {HTTPD_PUT, "/scopes/{scope}/settings", DEED_WRITE_POLICIES, OBJECT_SCOPE, 0, set_settings, NULL, settings_fields,
     0, sizeof(struct settings_body), "Sets thresholds and the rest; what is left out is inherited.", "Settings"},
    {HTTPD_PUT, "/scopes/{scope}/quotas", DEED_OPERATE, OBJECT_SCOPE, 0, set_quotas, NULL, quota_fields, 0,
     sizeof(struct settings_body), "Sets what the operator limits; what is left out is inherited.", "Settings"},
};

#define DOMAIN_SCHEMA                                                                                                  \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"                \
    "\"kind\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"delimiter\":{\"type\":\"string\"},"              \
    "\"route\":{\"type\":\"string\"},\"created\":{\"type\":\"string\"}}}"
const struct route_family domains_family = {
    "Domains", rows, COUNT(rows),
    "\"Domain\":" DOMAIN_SCHEMA ",\"DomainDetail\":{\"type\":\"object\",\"properties\":{\"domain\":" DOMAIN_SCHEMA
    ",\"aliases\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}},"
    "\"Settings\":{\"type\":\"object\",\"properties\":{\"own\":{\"type\":\"object\"},\"inherited\":{\"type\":"
    "\"object\"}}}"};
