/* portal/domains.c - domains and their other names. What holds in them is in thresholds.c. */
#include <stdio.h>

#include "mail/domain.h"
#include "net/smtp_client.h"
#include "route.h"
#include "store/account.h"
#include "store/api_key.h"
#include "store/domain.h"

#define PAGE 200
#define DOMAINS_MAX 1000 /* of one person */

/* ---- a domain ---- */

static bool may_operate(struct call *c)
{
    struct store_scope global = STORE_SCOPE_GLOBAL;
    struct err         ignored = ERR_INIT;

    return permit(c->store, &c->who, DEED_OPERATE, &global, "thing", &ignored) == 0;
}

static int put_text(void *ctx, struct span text)
{
    json_add_text(ctx, NULL, text);
    return 0;
}

static int put_domain(struct call *c, struct buf *b, const char *key, const struct store_domain *d, bool operates,
                      struct err *e)
{
    json_open(b, key, '{');
    json_add_uuid(b, "id", &d->id);
    json_add_str(b, "name", d->name);
    json_add_str(b, "kind", domain_kind_words[d->kind]);
    json_add_str(b, "state", domain_state_words[d->state]);
    json_add_text(b, "delimiter", span_make(&d->delimiter, d->delimiter != 0));
    json_add_str(b, "route", operates ? d->route : store_domain_route_shown(d).text);
    json_open(b, "owners", '[');
    if (store_role_owners(c->store, d->id, put_text, b, e) < 0)
        return -1;
    json_close(b, ']');
    json_add_time(b, "created", d->created_us);
    json_close(b, '}');
    return 0;
}

struct paging {
    uint64_t    given;
    struct span after;
};
static const struct field paging_fields[] = {
    {"after", FIELD_TEXT, 0, 0, 400, NULL, offsetof(struct paging, after), "The `next` of the page before."},
    FIELDS_END};

/* Read before they are written: their owners need the store again. */
struct page {
    struct store_domain items[PAGE];
    size_t              n;
};

static int each_domain(void *ctx, const struct store_domain *d)
{
    struct page *p = ctx;

    p->items[p->n++] = *d;
    return p->n == PAGE;
}

static int list_all(struct call *c, struct err *e)
{
    const struct paging *in = c->query;
    struct page         *p = arena_zalloc(c->arena, sizeof *p);
    bool                 operates = may_operate(c);
    struct buf          *b;

    if (p == NULL)
        return err_set(e, ERR_LIMIT, "The answer would be too large.");
    if (store_domain_list(c->store, in->after.n > 0 ? in->after : SPAN(""), PAGE, each_domain, p, e) < 0)
        return -1;
    b = call_list_begin(c);
    for (size_t i = 0; i < p->n; i++)
        if (put_domain(c, b, NULL, &p->items[i], operates, e) < 0)
            return -1;
    call_list_end(c, p->n == PAGE ? span_of(p->items[PAGE - 1].name) : SPAN_NONE);
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
        if ((store_domain_get(c->store, o->ids[i], &d, e) < 0 || put_domain(c, b, NULL, &d, false, e) < 0) &&
            e->code != ERR_NOT_FOUND)
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
    return put_text(ctx, name);
}

static int get_domain(struct call *c, struct err *e)
{
    struct store_domain d;
    struct buf         *b;

    if (store_domain_get(c->store, c->object, &d, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    if (put_domain(c, b, "domain", &d, may_operate(c), e) < 0)
        return -1;
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
    c->member = "route";
    if (in->route.n > 0 && smtp_client_check(arena_printf(c->arena, "%.*s", SPAN_ARG(in->route)).p, e) < 0)
        return -1;
    c->member = NULL;
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

static const struct route rows[] = {
    {HTTPD_GET, "/domains", DEED_SEE_DOMAIN, OBJECT_NONE, 0, list_domains, paging_fields, NULL, sizeof(struct paging),
     0, "The domains that one owns; for the operator all.", "list:Domain"},
    {HTTPD_POST, "/domains", DEED_OPERATE, OBJECT_GLOBAL, 0, add_domain, NULL, add_fields, 0, sizeof(struct body),
     "Adds a domain.", "DomainDetail"},
    {HTTPD_GET, "/domains/{domain}", DEED_SEE_DOMAIN, OBJECT_DOMAIN, 0, get_domain,
     .summary = "A domain with its other names.", .reply = "DomainDetail"},
    {HTTPD_PATCH, "/domains/{domain}", DEED_WRITE_DOMAIN, OBJECT_DOMAIN, ROUTE_ATOMIC, set_domain, NULL, set_fields, 0,
     sizeof(struct body), "Changes a domain.", "DomainDetail"},
    {HTTPD_PUT, "/domains/{domain}/route", DEED_OPERATE, OBJECT_DOMAIN, ROUTE_ATOMIC, set_route, NULL, route_fields, 0,
     sizeof(struct body), "Says where a domain's mail goes on to.", "DomainDetail"},
    {HTTPD_DELETE, "/domains/{domain}", DEED_OPERATE, OBJECT_DOMAIN, 0, delete_domain,
     .summary = "Deletes a domain with everything in it."},
    {HTTPD_POST, "/domains/{domain}/aliases", DEED_OPERATE, OBJECT_DOMAIN, 0, add_alias, NULL, alias_fields, 0,
     sizeof(struct body), "Gives a domain another name.", "DomainDetail"},
    {HTTPD_DELETE, "/domains/{domain}/aliases/{alias}", DEED_OPERATE, OBJECT_DOMAIN, 0, delete_alias,
     .summary = "Takes another name of a domain away."},
};

#define DOMAIN_SCHEMA                                                                                                  \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"                \
    "\"kind\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"delimiter\":{\"type\":\"string\"},"              \
    "\"route\":{\"type\":\"string\"},\"owners\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"created\":{"    \
    "\"type\":\"string\"}}}"
const struct route_family domains_family = {
    "Domains", rows, COUNT(rows),
    "\"Domain\":" DOMAIN_SCHEMA ",\"DomainDetail\":{\"type\":\"object\",\"properties\":{\"domain\":" DOMAIN_SCHEMA
    ",\"aliases\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}"};
