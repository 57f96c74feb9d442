/* portal/people.c - who signs in, what they may do where, and the mailboxes and addresses of a domain.
 *
 * Whose account it is   an account is in the hands of who stands above all of it (route.c). Who owns one domain brings in people of that
 *                       domain alone: others are not there for them. */
#include <stdio.h>

#include "mail/address.h"
#include "route.h"
#include "store/account.h"
#include "store/address.h"
#include "store/domain.h"
#include "store/mailbox.h"
#include "store/sending.h"

#define PAGE 200

struct paging {
    uint64_t    given;
    struct span after;
};
static const struct field paging_fields[] = {
    {"after", FIELD_TEXT, 0, 0, 1000, NULL, offsetof(struct paging, after), "The `next` of the page before."},
    FIELDS_END};

/* A page in order of names. */
struct listing {
    struct call *c;
    struct buf  *b;
    size_t       n;
    struct span  last;
};

static struct listing list_begin(struct call *c) { return (struct listing){.c = c, .b = call_list_begin(c)}; }
static struct span    after_of(const struct call *c)
{
    const struct paging *in = c->query;

    return in->after.n > 0 ? in->after : SPAN("");
}

static int list_end(struct listing *l)
{
    call_list_end(l->c, l->n == PAGE ? l->last : SPAN_NONE);
    return 0;
}

static int keep(struct listing *l, struct span last)
{
    l->last = arena_dup(l->c->arena, last);
    l->n++;
    return 0;
}

/* ---- accounts ---- */

static void put_account(struct buf *b, const struct store_account *a, const char *role)
{
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &a->id);
    json_add_str(b, "login", a->login);
    json_add_str(b, "name", a->name);
    json_add_bool(b, "admin", a->admin);
    json_add_bool(b, "active", a->active);
    if (role != NULL)
        json_add_str(b, "role", role);
    json_add_time(b, "created", a->created_us);
    json_close(b, '}');
}

static int each_account(void *ctx, const struct store_account *a)
{
    struct listing *l = ctx;

    put_account(l->b, a, NULL);
    return keep(l, span_of(a->login));
}

static int each_person(void *ctx, const struct store_account *a, enum role role)
{
    struct listing *l = ctx;

    put_account(l->b, a, role_words[role]);
    return keep(l, span_of(a->login));
}

static int list_accounts(struct call *c, struct err *e)
{
    struct listing l = list_begin(c);

    return store_account_list(c->store, after_of(c), PAGE, each_account, &l, e) < 0 ? -1 : list_end(&l);
}

static int list_people(struct call *c, struct err *e)
{
    struct listing l = list_begin(c);

    return store_account_of_domain(c->store, c->object, after_of(c), PAGE, each_person, &l, e) < 0 ? -1 : list_end(&l);
}

static int reply_account(struct call *c, struct uuid id, struct err *e)
{
    struct store_account a;

    if (store_account_get(c->store, id, &a, e) < 0)
        return -1;
    put_account(call_reply(c, 200), &a, NULL);
    return 0;
}

static int get_account(struct call *c, struct err *e) { return reply_account(c, c->object, e); }

struct account_body {
    uint64_t    given;
    struct span login, name;
    bool        active, admin;
    int         role;
};
enum { ADD_LOGIN, ADD_NAME, ADD_ADMIN };
#define LOGIN_FIELD                                                                                                    \
    {                                                                                                                  \
        "login", FIELD_TEXT, FIELD_REQUIRED, 3, STORE_ADDRESS_MAX, NULL, offsetof(struct account_body, login),         \
            "The address that the person signs in with."                                                               \
    }
#define NAME_FIELD                                                                                                     \
    {                                                                                                                  \
        "name", FIELD_TEXT, 0, 0, STORE_NAME_MAX, NULL, offsetof(struct account_body, name), "As shown to others."     \
    }
static const struct field add_person_fields[] = {LOGIN_FIELD, NAME_FIELD, FIELDS_END};
static const struct field add_account_fields[] = {
    [ADD_LOGIN] = LOGIN_FIELD,
    [ADD_NAME] = NAME_FIELD,
    [ADD_ADMIN] = {"admin", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct account_body, admin), "May they do everything."},
    FIELDS_END,
};

static int read_address(struct call *c, struct span text, const char *member, struct address *out, struct err *e)
{
    if (address_parse_path(span_trim(text), c->arena, out, NULL) == 0 && out->full.n > 0 &&
        out->full.n <= STORE_ADDRESS_MAX)
        return 0;
    c->member = member;
    return err_set(e, ERR_INVALID, "That is no address.");
}

static int make_account(struct call *c, struct span login, struct uuid *id, struct err *e)
{
    const struct account_body *in = c->body;
    struct store_account       a = {.active = true, .admin = in->admin};

    snprintf(a.login, sizeof a.login, "%.*s", SPAN_ARG(login));
    snprintf(a.name, sizeof a.name, "%.*s", SPAN_ARG(span_trim(in->name)));
    return store_account_add(c->store, &c->actor, &a, id, e);
}

static int add_account(struct call *c, struct err *e)
{
    const struct account_body *in = c->body;
    struct address             login;
    struct uuid                id;

    if (read_address(c, in->login, "login", &login, e) < 0 || make_account(c, login.full, &id, e) < 0)
        return -1;
    return reply_account(c, id, e);
}

/* The mailbox of that address: there already and nobody's, or made now. */
static int give_mailbox(struct call *c, const struct address *a, const struct uuid *account, struct err *e)
{
    struct store_mailbox m;
    struct uuid          id;

    if (store_mailbox_find(c->store, a->full, &m, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        return store_mailbox_add(c->store, &c->actor, c->object, a->local, account, &id, e);
    }
    if (m.has_account)
        return err_set(e, ERR_CONFLICT, "The mailbox %s is somebody else's.", m.address);
    m.has_account = true;
    m.account = *account;
    return store_mailbox_set(c->store, &c->actor, &m, e);
}

static int add_person_in(struct call *c, const struct address *login, struct uuid *id, struct err *e)
{
    return make_account(c, login->full, id, e) < 0 ? -1 : give_mailbox(c, login, id, e);
}

/* Somebody of this domain, with the mailbox of that address. */
static int add_person(struct call *c, struct err *e)
{
    const struct account_body *in = c->body;
    struct store_domain        d;
    struct address             login;
    struct uuid                id;

    if (read_address(c, in->login, "login", &login, e) < 0 || store_domain_get(c->store, c->object, &d, e) < 0)
        return -1;
    if (!span_is(login.domain, d.name)) {
        c->member = "login";
        return err_set(e, ERR_INVALID, "That is no address of %s.", d.name);
    }
    if (store_begin(c->store, e) < 0)
        return -1;
    if (add_person_in(c, &login, &id, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    return store_commit(c->store, e) < 0 ? -1 : reply_account(c, id, e);
}

enum { SET_NAME, SET_ACTIVE };
static const struct field set_account_fields[] = {
    [SET_NAME] = NAME_FIELD,
    [SET_ACTIVE] = {"active", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct account_body, active), "May they sign in."},
    FIELDS_END,
};

static int not_oneself(struct call *c, struct err *e)
{
    if (c->who.kind != WHO_SESSION || !uuid_eq(&c->object, &c->who.account.id))
        return 0;
    return err_set(e, ERR_CONFLICT, "That is your own account: somebody else has to do this.");
}

static int set_account(struct call *c, struct err *e)
{
    const struct account_body *in = c->body;
    struct store_account       a;

    if (store_account_get(c->store, c->object, &a, e) < 0)
        return -1;
    if (field_given(in, SET_ACTIVE) && !in->active && not_oneself(c, e) < 0)
        return -1;
    if (field_given(in, SET_NAME))
        snprintf(a.name, sizeof a.name, "%.*s", SPAN_ARG(span_trim(in->name)));
    if (field_given(in, SET_ACTIVE))
        a.active = in->active;
    return store_account_set(c->store, &c->actor, &a, e) < 0 ? -1 : reply_account(c, a.id, e);
}

static const struct field admin_fields[] = {
    {"admin", FIELD_BOOL, FIELD_REQUIRED, 0, 0, NULL, offsetof(struct account_body, admin), "May they do everything."},
    FIELDS_END};

static int set_admin(struct call *c, struct err *e)
{
    const struct account_body *in = c->body;
    struct store_account       a;

    if (store_account_get(c->store, c->object, &a, e) < 0)
        return -1;
    a.admin = in->admin;
    return store_account_set(c->store, &c->actor, &a, e) < 0 ? -1 : reply_account(c, a.id, e);
}

static int delete_account(struct call *c, struct err *e)
{
    if (not_oneself(c, e) < 0 || store_account_delete(c->store, &c->actor, c->object, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* The account by id or login, for who may bring it into a domain: one that is in it already; any, for the operator. */
static int find_person(struct call *c, struct span text, const struct uuid *domain, struct store_account *out,
                       struct err *e)
{
    const struct store_scope everywhere = STORE_SCOPE_GLOBAL;
    struct uuid              id;
    bool                     in;
    int                      rc = uuid_parse(text, &id) ? store_account_get(c->store, id, out, e)
                                                        : store_account_find(c->store, text, out, e);

    if (rc < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such account.") : -1;
    if (store_account_is_in(c->store, out->id, *domain, &in, e) < 0)
        return -1;
    return in ? 0 : permit(c->store, &c->who, DEED_OPERATE, &everywhere, "account", e);
}

static const char *const  role_choices[] = {"user", "clerk", "owner", NULL};
static const struct field role_fields[] = {{"role", FIELD_WORD, FIELD_REQUIRED, 0, 0, role_choices,
                                            offsetof(struct account_body, role), "What they are in this domain."},
                                           FIELDS_END};

static int set_role(struct call *c, struct err *e)
{
    const struct account_body *in = c->body;
    struct store_account       a;

    if (find_person(c, c->params[1], &c->object, &a, e) < 0)
        return -1;
    if (store_role_set(c->store, &c->actor, a.id, c->object, (enum role)in->role, e) < 0 &&
        !(e->code == ERR_NOT_FOUND && in->role == ROLE_USER))
        return -1;
    *e = ERR_INIT;
    call_reply_nothing(c);
    return 0;
}

/* ---- mailboxes ---- */

static void put_mailbox(struct buf *b, const struct store_mailbox *m)
{
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &m->id);
    json_add_str(b, "address", m->address);
    json_add_uuid(b, "account", m->has_account ? &m->account : NULL);
    json_add_bool(b, "enabled", m->enabled);
    json_add_time(b, "created", m->created_us);
    json_close(b, '}');
}

static int each_mailbox(void *ctx, const struct store_mailbox *m)
{
    struct listing *l = ctx;

    put_mailbox(l->b, m);
    return keep(l, span_head(span_of(m->address), span_rchr(span_of(m->address), '@')));
}

static int list_mailboxes(struct call *c, struct err *e)
{
    struct listing l = list_begin(c);

    return store_mailbox_list(c->store, c->object, after_of(c), PAGE, each_mailbox, &l, e) < 0 ? -1 : list_end(&l);
}

static int reply_mailbox(struct call *c, struct uuid id, struct err *e)
{
    struct store_mailbox m;

    if (store_mailbox_get(c->store, id, &m, e) < 0)
        return -1;
    put_mailbox(call_reply(c, 200), &m);
    return 0;
}

struct mailbox_body {
    uint64_t    given;
    struct span local, account;
    bool        enabled;
};
enum { MAILBOX_ACCOUNT, MAILBOX_ENABLED, MAILBOX_LOCAL = MAILBOX_ENABLED };
#define ACCOUNT_FIELD                                                                                                  \
    {                                                                                                                  \
        "account", FIELD_TEXT, 0, 0, STORE_ADDRESS_MAX, NULL, offsetof(struct mailbox_body, account),                  \
            "Whose it is: id or login; empty: nobody's yet."                                                           \
    }
static const struct field add_mailbox_fields[] = {
    [MAILBOX_ACCOUNT] = ACCOUNT_FIELD,
    [MAILBOX_LOCAL] = {"local", FIELD_TEXT, FIELD_REQUIRED, 1, STORE_LOCAL_MAX, NULL,
                       offsetof(struct mailbox_body, local), "What is in front of the @."},
    FIELDS_END,
};
static const struct field set_mailbox_fields[] = {
    [MAILBOX_ACCOUNT] = ACCOUNT_FIELD,
    [MAILBOX_ENABLED] = {"enabled", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct mailbox_body, enabled),
                         "Do rules of its own hold; else the domain's alone."},
    FIELDS_END,
};

/* What is in front of the @ of an address of this domain, in normal form. */
static int read_local(struct call *c, struct span local, struct address *out, struct err *e)
{
    struct store_domain d;
    struct span         whole;

    if (store_domain_get(c->store, c->object, &d, e) < 0)
        return -1;
    whole = arena_printf(c->arena, "%.*s@%s", SPAN_ARG(span_trim(local)), d.name);
    if (whole.p == NULL)
        return err_set(e, ERR_LIMIT, "The address is too long.");
    if (read_address(c, whole, "local", out, e) < 0)
        return -1;
    c->member = "local";
    return span_is(out->domain, d.name) ? 0 : err_set(e, ERR_INVALID, "That is no address.");
}

static int add_mailbox(struct call *c, struct err *e)
{
    const struct mailbox_body *in = c->body;
    struct store_account       a;
    struct address             address;
    struct uuid                id;
    bool                       owned = in->account.n > 0;

    if (read_local(c, in->local, &address, e) < 0 || (owned && find_person(c, in->account, &c->object, &a, e) < 0) ||
        store_mailbox_add(c->store, &c->actor, c->object, address.local, owned ? &a.id : NULL, &id, e) < 0)
        return -1;
    return reply_mailbox(c, id, e);
}

static int set_mailbox(struct call *c, struct err *e)
{
    const struct mailbox_body *in = c->body;
    struct store_mailbox       m;
    struct store_account       a;

    if (store_mailbox_get(c->store, c->object, &m, e) < 0)
        return -1;
    if (field_given(in, MAILBOX_ACCOUNT)) {
        m.has_account = in->account.n > 0;
        if (m.has_account && find_person(c, in->account, &m.domain, &a, e) < 0)
            return -1;
        m.account = m.has_account ? a.id : uuid_zero;
    }
    if (field_given(in, MAILBOX_ENABLED))
        m.enabled = in->enabled;
    return store_mailbox_set(c->store, &c->actor, &m, e) < 0 ? -1 : reply_mailbox(c, m.id, e);
}

static int delete_mailbox(struct call *c, struct err *e)
{
    if (store_mailbox_delete(c->store, &c->actor, c->object, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* ---- other addresses ---- */

static void put_address(struct buf *b, const struct store_address *a)
{
    struct span rest = a->targets, target;
    struct buf  address;

    buf_init(&address, STORE_ADDRESS_MAX + 1);
    buf_put(&address, a->local);
    buf_putc(&address, '@');
    buf_put(&address, a->domain_name);
    json_open(b, NULL, '{');
    json_add_text(b, "address", buf_span(&address));
    json_add_str(b, "kind", address_kind_words[a->kind]);
    json_open(b, "targets", '[');
    while (span_next(&rest, '\n', &target))
        if (target.n > 0)
            json_add_text(b, NULL, target);
    json_close(b, ']');
    json_add_time(b, "created", a->created_us);
    json_close(b, '}');
    buf_fini(&address);
}

static int each_address(void *ctx, const struct store_address *a)
{
    struct listing *l = ctx;

    if (a->kind != ADDRESS_MAILBOX)
        put_address(l->b, a);
    return keep(l, a->local);
}

/* Those that are no mailboxes; a page may be short for it. */
static int list_addresses(struct call *c, struct err *e)
{
    const struct paging *in = c->query;
    struct listing       l = list_begin(c);

    if (store_address_list(c->store, c->object, in->after.n > 0 ? in->after : SPAN_NONE, PAGE, each_address, &l, e) < 0)
        return -1;
    return list_end(&l);
}

struct address_body {
    uint64_t           given;
    struct span        local;
    int                kind;
    struct field_texts to;
};
static const char *const       kind_choices[] = {"alias", "list", "catchall", "sender", "group", NULL};
static const enum address_kind kinds[] = {ADDRESS_ALIAS, ADDRESS_LIST, ADDRESS_CATCHALL, ADDRESS_SENDER, ADDRESS_GROUP};
static const struct field      address_fields[] = {
         {"local", FIELD_TEXT, 0, 0, STORE_LOCAL_MAX, NULL, offsetof(struct address_body, local),
          "What is in front of the @; of a catch-all nothing."},
         {"kind", FIELD_WORD, FIELD_REQUIRED, 0, 0, kind_choices, offsetof(struct address_body, kind), "What it is."},
         {"to", FIELD_TEXTS, 0, 0, STORE_TARGETS_MAX, NULL, offsetof(struct address_body, to), "The addresses it leads to."},
         FIELDS_END,
};

static int add_address(struct call *c, struct err *e)
{
    const struct address_body *in = c->body;
    struct span               *targets = arena_array(c->arena, in->to.n + 1, sizeof *targets);
    struct address             address = {.local = SPAN("")}, target;
    struct uuid                id;

    if (targets == NULL)
        return err_set(e, ERR_LIMIT, "Too many targets.");
    if (kinds[in->kind] != ADDRESS_CATCHALL && read_local(c, in->local, &address, e) < 0)
        return -1;
    for (size_t i = 0; i < in->to.n; i++) {
        if (read_address(c, in->to.items[i], "to", &target, e) < 0)
            return -1;
        targets[i] = target.full;
    }
    c->member = NULL;
    if (store_address_add(c->store, &c->actor, c->object, address.local, kinds[in->kind], targets, in->to.n, &id, e) <
        0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static int delete_address(struct call *c, struct err *e)
{
    struct store_address a;

    if (store_address_find(c->store, c->params[1], c->arena, &a, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (e->code == ERR_NOT_FOUND || !uuid_eq(&a.domain, &c->object))
        return err_set(e, ERR_NOT_FOUND, "There is no such address.");
    if (store_address_delete(c->store, &c->actor, a.id, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* ---- blocked senders ---- */

struct blocked {
    struct listing l;
    bool           all;
    struct span    domains[1000]; /* else those alone */
    size_t         ndomains;
};

static int each_owned(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name,
                      enum role role)
{
    struct blocked *x = ctx;

    (void)account, (void)domain;
    if (role >= ROLE_OWNER)
        x->domains[x->ndomains++] = arena_dup(x->l.c->arena, name);
    return x->ndomains == COUNT(x->domains);
}

/* Whose senders does the caller see? */
static int find_owned(struct call *c, struct blocked *x, struct err *e)
{
    const struct store_scope global = STORE_SCOPE_GLOBAL;
    struct store_domain      d;
    enum standing            here;

    if (standing_in(c->store, &c->who, &global, &here, e) < 0)
        return -1;
    x->all = here >= STANDING_OWNER;
    if (c->who.kind == WHO_SESSION)
        return x->all ? 0 : store_role_list(c->store, c->who.account.id, each_owned, x, e);
    for (size_t i = 0; c->who.key_role >= ROLE_OWNER && i < c->who.nkey_domains && x->ndomains < COUNT(x->domains); i++)
        if (store_domain_get(c->store, c->who.key_domains[i], &d, e) == 0)
            x->domains[x->ndomains++] = arena_dup(c->arena, span_of(d.name));
    *e = ERR_INIT;
    return 0;
}

static bool is_seen(const struct blocked *x, struct span login)
{
    struct span domain = span_skip(login, span_rchr(login, '@') + 1);

    for (size_t i = 0; !x->all && i < x->ndomains; i++)
        if (domain.n > 0 && span_eq(domain, x->domains[i]))
            return true;
    return x->all;
}

static int each_blocked(void *ctx, const struct store_blocked *s)
{
    struct blocked *x = ctx;
    struct buf     *b = x->l.b;

    if (is_seen(x, s->login)) {
        json_open(b, NULL, '{');
        json_add_text(b, "login", s->login);
        json_add_text(b, "reason", s->reason);
        json_add_json(b, "evidence", s->evidence);
        json_add_text(b, "by", call_doer(s->automatic, s->blocked_by));
        json_add_bool(b, "automatic", s->automatic);
        json_add_time(b, "at", s->at_us);
        json_add_time(b, "until", s->until_us);
        json_close(b, '}');
    }
    return keep(&x->l, s->login);
}

static int list_blocked(struct call *c, struct err *e)
{
    struct blocked *x = arena_zalloc(c->arena, sizeof *x);

    if (x == NULL)
        return err_set(e, ERR_LIMIT, "The answer would be too large.");
    x->l.c = c;
    if (find_owned(c, x, e) < 0)
        return -1;
    x->l = list_begin(c);
    if (store_blocked_list(c->store, c->now_us, after_of(c), PAGE, each_blocked, x, e) < 0)
        return -1;
    return list_end(&x->l);
}

static int unblock(struct call *c, struct err *e)
{
    if (store_blocked_delete(c->store, &c->actor, c->params[0], e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

#define LIST(path, deed, object, run, summary, of)                                                                     \
    {                                                                                                                  \
        HTTPD_GET, path, deed, object, 0, run, paging_fields, NULL, sizeof(struct paging), 0, summary, "list:" of      \
    }
#define WRITE(method, path, deed, object, flags, run, fields, type, summary, reply)                                    \
    {                                                                                                                  \
        method, path, deed, object, flags, run, NULL, fields, 0, sizeof(type), summary, reply                          \
    }
static const struct route rows[] = {
    LIST("/accounts", DEED_OPERATE, OBJECT_GLOBAL, list_accounts, "Everybody, in order of logins.", "Account"),
    WRITE(HTTPD_POST, "/accounts", DEED_OPERATE, OBJECT_GLOBAL, 0, add_account, add_account_fields, struct account_body,
          "Adds an account without a mailbox.", "Account"),
    {HTTPD_GET, "/accounts/{account}", DEED_SEE_DOMAIN, OBJECT_ACCOUNT, 0, get_account, .summary = "An account.",
     .reply = "Account"},
    WRITE(HTTPD_PATCH, "/accounts/{account}", DEED_WRITE_PEOPLE, OBJECT_ACCOUNT, ROUTE_ATOMIC, set_account,
          set_account_fields, struct account_body, "Changes an account.", "Account"),
    WRITE(HTTPD_PUT, "/accounts/{account}/admin", DEED_OPERATE, OBJECT_ACCOUNT, ROUTE_ATOMIC, set_admin, admin_fields,
          struct account_body, "Makes somebody an admin, or none any more.", "Account"),
    {HTTPD_DELETE, "/accounts/{account}", DEED_WRITE_PEOPLE, OBJECT_ACCOUNT, 0, delete_account,
     .summary = "Deletes an account; its mailboxes stay."},
    LIST("/domains/{domain}/people", DEED_SEE_DOMAIN, OBJECT_DOMAIN, list_people,
         "Who has a mailbox or a role in a domain.", "Account"),
    WRITE(HTTPD_POST, "/domains/{domain}/people", DEED_WRITE_PEOPLE, OBJECT_DOMAIN, 0, add_person, add_person_fields,
          struct account_body, "Adds somebody, with the mailbox of that address.", "Account"),
    WRITE(HTTPD_PUT, "/domains/{domain}/roles/{account}", DEED_WRITE_PEOPLE, OBJECT_DOMAIN, 0, set_role, role_fields,
          struct account_body, "Says what somebody is in a domain.", NULL),
    LIST("/domains/{domain}/mailboxes", DEED_SEE_DOMAIN, OBJECT_DOMAIN, list_mailboxes, "The mailboxes of a domain.",
         "Mailbox"),
    WRITE(HTTPD_POST, "/domains/{domain}/mailboxes", DEED_WRITE_PEOPLE, OBJECT_DOMAIN, 0, add_mailbox,
          add_mailbox_fields, struct mailbox_body, "Adds a mailbox.", "Mailbox"),
    WRITE(HTTPD_PATCH, "/mailboxes/{mailbox}", DEED_WRITE_PEOPLE, OBJECT_MAILBOX, ROUTE_ATOMIC, set_mailbox,
          set_mailbox_fields, struct mailbox_body, "Says whose a mailbox is, and whether it has rules of its own.",
          "Mailbox"),
    {HTTPD_DELETE, "/mailboxes/{mailbox}", DEED_WRITE_PEOPLE, OBJECT_MAILBOX, 0, delete_mailbox,
     .summary = "Deletes a mailbox with its rules."},
    LIST("/domains/{domain}/addresses", DEED_SEE_DOMAIN, OBJECT_DOMAIN, list_addresses,
         "Aliases, lists, groups, senders and the catch-all of a domain.", "Address"),
    WRITE(HTTPD_POST, "/domains/{domain}/addresses", DEED_WRITE_PEOPLE, OBJECT_DOMAIN, 0, add_address, address_fields,
          struct address_body, "Adds an address that is no mailbox.", NULL),
    {HTTPD_DELETE, "/domains/{domain}/addresses/{address}", DEED_WRITE_PEOPLE, OBJECT_DOMAIN, 0, delete_address,
     .summary = "Deletes an address that is no mailbox; the catch-all is @ and the domain."},
    LIST("/blocked-senders", DEED_SEE_DOMAIN, OBJECT_NONE, list_blocked, "Who may not send any more, and why.",
         "BlockedSender"),
    {HTTPD_DELETE, "/blocked-senders/{login}", DEED_WRITE_PEOPLE, OBJECT_SENDER, 0, unblock,
     .summary = "Lets somebody send again. What the operator blocked, the operator lifts."},
};

const struct route_family people_family = {
    "People", rows, COUNT(rows),
    "\"Account\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"login\":{\"type\":\"string\"},"
    "\"name\":{\"type\":\"string\"},\"admin\":{\"type\":\"boolean\"},\"active\":{\"type\":\"boolean\"},"
    "\"role\":{\"type\":\"string\"},\"created\":{\"type\":\"string\"}}},"
    "\"Mailbox\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"address\":{\"type\":\"string\"},"
    "\"account\":{\"type\":[\"string\",\"null\"]},\"enabled\":{\"type\":\"boolean\"},\"created\":{\"type\":\"string\"}}"
    "},"
    "\"Address\":{\"type\":\"object\",\"properties\":{\"address\":{\"type\":\"string\"},\"kind\":{\"type\":\"string\"},"
    "\"targets\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"created\":{\"type\":\"string\"}}},"
    "\"BlockedSender\":{\"type\":\"object\",\"properties\":{\"login\":{\"type\":\"string\"},\"reason\":{\"type\":"
    "\"string\"},\"evidence\":{\"type\":\"object\"},\"by\":{\"type\":\"string\"},\"automatic\":{\"type\":\"boolean\"},"
    "\"at\":{\"type\":\"string\"},\"until\":{\"type\":[\"string\",\"null\"]}}}"};
