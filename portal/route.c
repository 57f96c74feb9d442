/* portal/route.c - see route.h. */
#include "route.h"

#include "custody/release.h"
#include "mail/domain.h"
#include "store/delivery.h"
#include "store/domain.h"
#include "store/learned.h"
#include "store/mailbox.h"
#include "store/policy.h"
#include "store/rule.h"

/* ---- finding the row ---- */

/* Both without their first slash; {name} takes one segment that is not empty. */
static bool path_fits(struct span pattern, struct span path, struct span params[CALL_PARAMS_MAX])
{
    struct span want, have;
    size_t      n = 0;

    for (;;) {
        bool more = span_next(&pattern, '/', &want), got = span_next(&path, '/', &have);

        if (!more || !got)
            return more == got;
        if (want.n > 0 && want.p[0] == '{') {
            if (have.n == 0 || n == CALL_PARAMS_MAX)
                return false;
            params[n++] = have;
        } else if (!span_eq(want, have)) {
            return false;
        }
    }
}

const struct route *route_find(enum httpd_method method, struct span path, struct span params_out[CALL_PARAMS_MAX],
                               unsigned *allowed_out)
{
    const struct route *found = NULL;
    struct span         params[CALL_PARAMS_MAX] = {0};

    *allowed_out = 0;
    for (const struct route_family *const *f = route_families; *f != NULL; f++) {
        for (const struct route *r = (*f)->rows; r < (*f)->rows + (*f)->n; r++) {
            if (!path_fits(span_skip(span_of(r->path), 1), span_skip(path, 1), params))
                continue;
            *allowed_out |= 1u << r->method;
            /* A fixed word before a parameter: "/sessions/all" is not a session's id. */
            if (r->method == method && (found == NULL || strchr(r->path, '{') == NULL)) {
                found = r;
                memcpy(params_out, params, sizeof params);
            }
        }
    }
    return found;
}

/* ---- finding the object ---- */

static int none(struct err *e, const char *what) { return err_set(e, ERR_NOT_FOUND, "There is no such %s.", what); }

int route_domain(struct call *c, struct span text, struct uuid *out, struct err *e)
{
    struct store_domain d;
    struct span         name;
    struct uuid         id;
    int                 rc = uuid_parse(text, &id) ? store_domain_get(c->store, id, &d, e)
                             : domain_normalise(text, c->arena, &name, NULL) == 0 ? store_domain_find(c->store, name, &d, e)
                                                                                  : none(e, "domain");

    *out = d.id;
    return rc < 0 && e->code == ERR_NOT_FOUND ? none(e, "domain") : rc;
}

static int find_domain(struct call *c, struct span text, struct err *e)
{
    if (route_domain(c, text, &c->object, e) < 0)
        return -1;
    c->scope = store_scope_domain(c->object);
    return 0;
}

static int find_mailbox(struct call *c, struct span text, struct err *e)
{
    struct store_mailbox m;
    struct uuid          id;
    int rc = uuid_parse(text, &id) ? store_mailbox_get(c->store, id, &m, e) : store_mailbox_find(c->store, text, &m, e);

    c->object = m.id;
    c->scope = store_scope_mailbox(m.id);
    return rc < 0 && e->code == ERR_NOT_FOUND ? none(e, "mailbox") : rc;
}

static int find_scope(struct call *c, struct span text, struct err *e)
{
    c->scope = STORE_SCOPE_GLOBAL;
    if (span_is(text, "global"))
        return 0;
    if (span_starts(text, SPAN("domain:")))
        return find_domain(c, span_skip(text, 7), e);
    if (span_starts(text, SPAN("mailbox:")))
        return find_mailbox(c, span_skip(text, 8), e);
    return err_set(e, ERR_INVALID, "A scope is global, domain:NAME or mailbox:ADDRESS.");
}

static int find_rule(struct call *c, struct span text, struct err *e)
{
    struct store_rule r;
    struct uuid       id;

    if (!uuid_parse(text, &id) || store_rule_get(c->store, id, c->arena, &r, e) < 0)
        return e->code == ERR_NONE || e->code == ERR_NOT_FOUND ? none(e, "rule") : -1;
    c->object = id;
    c->scope = r.scope;
    return 0;
}

static int find_policy(struct call *c, struct span text, struct err *e)
{
    struct store_policy p;
    struct uuid         id;

    if (!uuid_parse(text, &id) || store_policy_get(c->store, id, &p, e) < 0)
        return e->code == ERR_NONE || e->code == ERR_NOT_FOUND ? none(e, "policy") : -1;
    c->object = id;
    c->scope = p.scope;
    return 0;
}

static int find_learned(struct call *c, struct span text, struct err *e)
{
    struct uuid mailbox;

    if (!uuid_parse(text, &c->object) || store_learned_mailbox(c->store, c->object, &mailbox, e) < 0)
        return e->code == ERR_NONE || e->code == ERR_NOT_FOUND ? none(e, "learned sender") : -1;
    c->scope = store_scope_mailbox(mailbox);
    return 0;
}

static int find_delivery(struct call *c, struct span uid, struct span n, struct err *e)
{
    if (!uuid_parse(uid, &c->delivery.uid) || !span_i64(n, &c->delivery.n) || c->delivery.n < 1)
        return none(e, "message");
    return route_delivery(c, e);
}

/* Its mailbox, as long as there is one; else its domain. */
int route_delivery(struct call *c, struct err *e)
{
    struct store_owner   owner;
    struct store_mailbox m;

    c->object = c->delivery.uid;
    if (store_delivery_owner(c->store, &c->delivery, &owner, e) < 0)
        return e->code == ERR_NOT_FOUND ? none(e, "message") : -1;
    c->held = release_held(owner.verdict);
    if (owner.has_mailbox && store_mailbox_get(c->store, owner.mailbox, &m, e) == 0) {
        c->scope = store_scope_mailbox(owner.mailbox);
        return 0;
    }
    if (owner.has_mailbox && e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    c->scope = owner.has_domain ? store_scope_domain(owner.domain) : STORE_SCOPE_GLOBAL;
    return 0;
}

int route_permit(struct call *c, enum deed deed, const char *what, bool is_delivery, struct err *e)
{
    if (permit(c->store, &c->who, deed, &c->scope, what, e) < 0 ||
        standing_in(c->store, &c->who, &c->scope, &c->standing, e) < 0)
        return -1;
    return is_delivery && c->standing == STANDING_CLERK && !c->held ? none(e, what) : 0;
}

/* Somebody else's account is in the hands of who stands above all of it: the scope of the person's in which the caller stands lowest. Who
 * owns one domain of two does not get at a person's sign-in for both. */
struct homes {
    struct store_scope scopes[256];
    size_t             n;
    bool               more;
};

static void add_home(struct homes *h, struct store_scope scope)
{
    if (h->n == COUNT(h->scopes))
        h->more = true;
    else
        h->scopes[h->n++] = scope;
}

static int add_mailbox(void *ctx, const struct store_mailbox *m)
{
    add_home(ctx, store_scope_mailbox(m->id));
    return 0;
}

static int add_role(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name, enum role role)
{
    (void)account, (void)name, (void)role;
    add_home(ctx, store_scope_domain(*domain));
    return 0;
}

static int lowest_home(struct call *c, const struct homes *h, struct err *e)
{
    enum standing low = STANDING_ADMIN + 1, here;

    for (size_t i = 0; i < h->n; i++) {
        if (standing_in(c->store, &c->who, &h->scopes[i], &here, e) < 0)
            return -1;
        if (here < low) {
            low = here;
            c->scope = h->scopes[i];
        }
    }
    return 0;
}

/* A login that is an address of ours can be signed in with by who reads that mail. */
static int add_login(struct call *c, struct homes *h, const char *login, struct err *e)
{
    struct store_domain d;
    struct span         domain = span_skip(span_of(login), span_rchr(span_of(login), '@') + 1);

    if (domain.n == 0)
        return 0;
    if (store_domain_find(c->store, domain, &d, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        return 0;
    }
    add_home(h, store_scope_domain(d.id));
    return 0;
}

static int find_account(struct call *c, struct span text, struct err *e)
{
    struct store_account a;
    struct homes         h = {.n = 0};
    struct uuid          id;
    int rc = uuid_parse(text, &id) ? store_account_get(c->store, id, &a, e) : store_account_find(c->store, text, &a, e);

    if (rc < 0)
        return e->code == ERR_NOT_FOUND ? none(e, "account") : -1;
    c->object = a.id;
    if (store_mailbox_of_account(c->store, a.id, add_mailbox, &h, e) < 0 ||
        store_role_list(c->store, a.id, add_role, &h, e) < 0 || add_login(c, &h, a.login, e) < 0)
        return -1;
    c->scope = STORE_SCOPE_GLOBAL;
    return a.admin || h.more ? 0 : lowest_home(c, &h, e);
}

/* A name without a domain of ours is the operator's. */
static int find_sender(struct call *c, struct span text, struct err *e)
{
    struct store_domain d;
    struct span         name, domain = span_skip(text, span_rchr(text, '@') + 1);

    c->scope = STORE_SCOPE_GLOBAL;
    if (domain.n == 0 || domain_normalise(domain, c->arena, &name, NULL) < 0)
        return 0;
    if (store_domain_find(c->store, name, &d, e) == 0) {
        c->scope = store_scope_domain(d.id);
        return 0;
    }
    if (e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    return 0;
}

int route_object(struct call *c, struct err *e)
{
    struct span first = c->params[0];

    c->scope = STORE_SCOPE_GLOBAL;
    switch (c->route->object) {
    case OBJECT_SCOPE: return find_scope(c, first, e);
    case OBJECT_DOMAIN: return find_domain(c, first, e);
    case OBJECT_MAILBOX: return find_mailbox(c, first, e);
    case OBJECT_ACCOUNT: return find_account(c, first, e);
    case OBJECT_DELIVERY: return find_delivery(c, first, c->params[1], e);
    case OBJECT_RULE: return find_rule(c, first, e);
    case OBJECT_POLICY: return find_policy(c, first, e);
    case OBJECT_LEARNED: return find_learned(c, first, e);
    case OBJECT_SENDER: return find_sender(c, first, e);
    case OBJECT_NONE:
    case OBJECT_GLOBAL:
    case OBJECTS: break;
    }
    return 0;
}
