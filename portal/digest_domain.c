/* portal/digest_domain.c - the digests of a domain: what its new mailboxes begin with, and the address that gets the domain's own. */
#include "change.h"
#include "digest_choice.h"
#include "mail/address.h"
#include "store/domain_admin.h"

/* ---- what a domain's new mailboxes begin with ---- */

/* NULL: there is none. */
static struct version version_of_default(const struct store_digest_choice *x)
{
    struct buf     b;
    struct version v;

    buf_init(&b, 4096);
    json_open(&b, NULL, '{');
    if (x != NULL)
        digest_choice_put(&b, x);
    json_close(&b, '}');
    v = version_of(buf_span(&b));
    buf_fini(&b);
    return v;
}

static int default_version(struct call *c, struct version *out, struct err *e)
{
    struct store_digest_choice x;
    int                        rc = store_digest_default(c->store, c->object, &x, e);

    if (rc >= 0)
        *out = version_of_default(rc > 0 ? &x : NULL);
    return rc < 0 ? -1 : 0;
}

static int reply_default(struct call *c, struct err *e)
{
    struct store_digest_choice x;
    struct version             v;
    struct buf                *b;
    int                        rc = store_digest_default(c->store, c->object, &x, e);

    if (rc < 0)
        return -1;
    v = version_of_default(rc > 0 ? &x : NULL);
    version_tag(c, &v);
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "version", v.text);
    json_add_bool(b, "on", rc > 0);
    if (rc > 0)
        digest_choice_put(b, &x);
    json_close(b, '}');
    return 0;
}

static int set_default_in(struct call *c, void *unused, struct err *e)
{
    struct store_digest_choice x = digest_choice_first(c);
    int64_t                    next;

    (void)unused;
    if (digest_choice_take(c, c->body, &x, &next, e) < 0 ||
        store_digest_default_set(c->store, &c->actor, c->object, &x, e) < 0)
        return -1;
    return reply_default(c, e);
}

static int set_default(struct call *c, struct err *e)
{
    return change_make(c, default_version, set_default_in, NULL, e);
}

static int delete_default_in(struct call *c, void *unused, struct err *e)
{
    (void)unused;
    if (store_digest_default_set(c->store, &c->actor, c->object, NULL, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static int delete_default(struct call *c, struct err *e)
{
    return change_make(c, default_version, delete_default_in, NULL, e);
}

/* ---- the address that is named for a domain ---- */

static int reply_admin(struct call *c, struct err *e)
{
    struct store_account a;
    struct buf          *b;
    int                  rc = store_domain_admin(c->store, c->object, &a, e);

    if (rc < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "address", rc > 0 ? a.login : NULL);
    json_close(b, '}');
    return 0;
}

struct admin_body {
    uint64_t    given;
    struct span address;
};
static const struct field admin_fields[] = {{"address", FIELD_TEXT, FIELD_REQUIRED, 3, STORE_ADDRESS_MAX, NULL,
                                             offsetof(struct admin_body, address),
                                             "It owns the domain and gets its digest."},
                                            FIELDS_END};

static int set_admin(struct call *c, struct err *e)
{
    const struct admin_body *in = c->body;
    struct address           a;

    c->member = "address";
    if (address_parse_path(span_trim(in->address), c->arena, &a, NULL) < 0 || a.full.n == 0 ||
        a.full.n > STORE_ADDRESS_MAX)
        return err_set(e, ERR_INVALID, "That is no address.");
    if (store_domain_admin_set(c->store, &c->actor, c->object, a.full, c->who.account.zone, e) < 0)
        return -1;
    return reply_admin(c, e);
}

static int delete_admin(struct call *c, struct err *e)
{
    if (store_domain_admin_clear(c->store, &c->actor, c->object, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/domains/{domain}/digest-default", DEED_SEE_DOMAIN, OBJECT_DOMAIN, ROUTE_VERSION, reply_default,
     .summary = "What the domain's new mailboxes begin with.", .reply = "DigestDefault"},
    {HTTPD_PUT, "/domains/{domain}/digest-default", DEED_OPERATE, OBJECT_DOMAIN, ROUTE_VERSION, set_default, NULL,
     digest_choice_fields, 0, sizeof(struct digest_choice_body),
     "People get that digest from when they get their mailbox.", "DigestDefault"},
    {HTTPD_DELETE, "/domains/{domain}/digest-default", DEED_OPERATE, OBJECT_DOMAIN, ROUTE_VERSION, delete_default,
     .summary = "New mailboxes begin without a digest."},
    {HTTPD_GET, "/domains/{domain}/admin", DEED_SEE_DOMAIN, OBJECT_DOMAIN, 0, reply_admin,
     .summary = "The address that the operator has named for the domain.", .reply = "DomainAdmin"},
    {HTTPD_PUT, "/domains/{domain}/admin", DEED_OPERATE, OBJECT_DOMAIN, 0, set_admin, NULL, admin_fields, 0,
     sizeof(struct admin_body),
     "Names it: an account is made where there is none, owns the domain, and gets the domain's digest.", "DomainAdmin"},
    {HTTPD_DELETE, "/domains/{domain}/admin", DEED_OPERATE, OBJECT_DOMAIN, 0, delete_admin,
     .summary = "Names nobody: the role and the digest that it got by being named go."},
};

const struct route_family digest_domain_family = {
    "Digests of a domain", rows, COUNT(rows),
    "\"DigestDefault\":{\"type\":\"object\",\"properties\":{\"version\":{\"type\":\"string\"},\"on\":{\"type\":"
    "\"boolean\"}," DIGEST_CHOICE_SCHEMA "}},"
    "\"DomainAdmin\":{\"type\":\"object\",\"properties\":{\"address\":{\"type\":[\"string\",\"null\"]}}}"};
