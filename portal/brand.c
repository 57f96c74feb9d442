/* portal/brand.c - see brand.h; and the calls about brands. */
#include "brand.h"

#include <stdio.h>

#include "identify.h"
#include "mail/compose.h"
#include "mail/domain.h"
#include "route.h"
#include "store/domain.h"

#define LOGO_POLICY "default-src 'none'; style-src 'unsafe-inline'; sandbox"
#define NONE "There is no such brand."

/* ---- whose ---- */

static int by_domain(struct call *c, struct span address, struct store_brand *out, struct err *e)
{
    size_t at = span_rchr(address, '@');

    return at == address.n ? 0 : store_brand_of_domain(c->store, span_skip(address, at + 1), out, e);
}

/* "Mail.Acme.example:8443": the host that rows have. */
static struct span host_of(struct call *c, struct span host)
{
    struct span out;

    return domain_normalise(span_head(host, span_rchr(host, ':')), c->arena, &out, NULL) == 0 ? out : SPAN_NONE;
}

static int by_host(struct call *c, struct store_brand *out, struct err *e)
{
    struct span host = host_of(c, identify_host(c));

    return host.n == 0 ? 0 : store_brand_of_host(c->store, host, out, e);
}

static void fill_in(const struct call *c, struct store_brand *b, bool own)
{
    const struct settings *s = c->portal->settings;
    struct span            from = compose_address(span_of(s->smtp.from));

    if (!own)
        snprintf(b->name, sizeof b->name, "%s", s->portal.name);
    if (b->url[0] == '\0')
        snprintf(b->url, sizeof b->url, "%s", c->portal->origin);
    if (b->sender[0] == '\0' && own)
        snprintf(b->sender, sizeof b->sender, "\"%s\" <%.*s>", b->name, SPAN_ARG(from));
    else if (b->sender[0] == '\0')
        snprintf(b->sender, sizeof b->sender, "%s", s->smtp.from);
}

int brand_of(struct call *c, struct span address, struct store_brand *out, struct err *e)
{
    struct span whose = address.n == 0 && c->who.kind == WHO_SESSION ? span_of(c->who.account.login) : address;
    int         rc;

    *out = (struct store_brand){.id = uuid_zero};
    rc = by_domain(c, whose, out, e);
    if (rc == 0)
        rc = by_host(c, out, e);
    if (rc >= 0)
        fill_in(c, out, rc > 0);
    return rc < 0 ? -1 : 0;
}

/* ---- what pages show ---- */

static void put_accent(struct buf *b, const struct store_brand *x, enum scheme scheme, const char *key)
{
    struct accent made;
    struct err    e = ERR_INIT;

    if (x->accent[scheme][0] == '\0' || accent_make(span_of(x->accent[scheme]), scheme, &made, &e) < 0) {
        json_add_text(b, key, SPAN_NONE);
        return;
    }
    json_open(b, key, '{');
    json_add_str(b, "accent", made.accent);
    json_add_str(b, "on", made.on);
    json_add_str(b, "soft", made.soft);
    json_close(b, '}');
}

struct span brand_logo(struct call *c, const struct store_brand *x)
{
    char id[UUID_TEXT + 1];

    uuid_format(&x->id, id);
    return x->logo_type[0] == '\0'
               ? SPAN_NONE
               : arena_printf(c->arena, "/api/v1/brand/logo?brand=%s&at=%lld", id, (long long)x->updated_us);
}

static struct span or_none(const char *text) { return *text != '\0' ? span_of(text) : SPAN_NONE; }

static int get_brand(struct call *c, struct err *e)
{
    struct store_brand x;
    struct buf        *b;

    if (brand_of(c, SPAN_NONE, &x, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "name", x.name);
    json_add_text(b, "logo", brand_logo(c, &x));
    json_add_text(b, "support", or_none(x.support));
    json_add_text(b, "webmail", or_none(x.webmail));
    json_add_text(b, "contacts", or_none(x.contacts));
    json_add_text(b, "calendar", or_none(x.calendar));
    put_accent(b, &x, SCHEME_LIGHT, "light");
    put_accent(b, &x, SCHEME_DARK, "dark");
    json_close(b, '}');
    return 0;
}

struct logo_query {
    uint64_t    given;
    struct uuid brand;
    int64_t     at;
};
static const struct field logo_fields[] = {
    {"brand", FIELD_UUID, FIELD_REQUIRED, 0, 0, NULL, offsetof(struct logo_query, brand), "Whose logo."},
    {"at", FIELD_I64, 0, 0, INT64_MAX, NULL, offsetof(struct logo_query, at), "Which version of it, for caches."},
    FIELDS_END,
};

/* An image, whatever it holds: opened by itself, an SVG runs and loads nothing. */
static int get_logo(struct call *c, struct err *e)
{
    const struct logo_query *in = c->query;
    struct span              bytes;
    const char              *type;

    if (store_brand_logo(c->store, in->brand, c->arena, &bytes, &type, e) < 0)
        return -1;
    call_reply_bytes(c, type, bytes, NULL);
    httpd_set(c->reply, "Content-Security-Policy", SPAN(LOGO_POLICY));
    httpd_set(c->reply, "Cache-Control", SPAN("public, max-age=86400"));
    return 0;
}

/* ---- what the operator sets ---- */

struct brand_body {
    uint64_t    given;
    struct span texts[10];
};
#define ROW(i, key, flags, max, doc)                                                                                   \
    {                                                                                                                  \
        key, FIELD_TEXT, flags, 0, max, NULL, offsetof(struct brand_body, texts) + (i) * sizeof(struct span), doc      \
    }
#define BRAND_ROWS(flags)                                                                                              \
    ROW(0, "name", flags, BRAND_NAME_MAX, "What it calls itself."),                                                    \
        ROW(1, "prefix", 0, BRAND_PREFIX_MAX, "Of symbols and headers, a word in capitals; empty: made of the name."), \
        ROW(2, "sender", 0, BRAND_URL_MAX, "The sender of mail; empty: the installation's, under the name."),          \
        ROW(3, "url", 0, BRAND_URL_MAX, "The portal's address, for links in mail; empty: the installation's."),        \
        ROW(4, "support", 0, BRAND_URL_MAX, "Whom people write to."), ROW(5, "webmail", 0, BRAND_URL_MAX, "A link."),  \
        ROW(6, "contacts", 0, BRAND_URL_MAX, "A link."), ROW(7, "calendar", 0, BRAND_URL_MAX, "A link."),              \
        ROW(8, "accent_light", 0, COLOUR_TEXT, "#rrggbb, on light pages; empty: the pages' own."),                     \
        ROW(9, "accent_dark", 0, COLOUR_TEXT, "#rrggbb, on dark pages; empty: the pages' own."), FIELDS_END
static const struct field add_fields[] = {BRAND_ROWS(FIELD_REQUIRED)};
static const struct field set_fields[] = {BRAND_ROWS(0)};

static const struct {
    size_t at, size;
} members[10] = {
#define MEMBER(m)                                                                                                      \
    {                                                                                                                  \
        offsetof(struct store_brand, m), sizeof((struct store_brand *)0)->m                                            \
    }
    MEMBER(name),
    MEMBER(prefix),
    MEMBER(sender),
    MEMBER(url),
    MEMBER(support),
    MEMBER(webmail),
    MEMBER(contacts),
    MEMBER(calendar),
    MEMBER(accent[SCHEME_LIGHT]),
    MEMBER(accent[SCHEME_DARK]),
#undef MEMBER
};

static void take_body(const struct brand_body *in, struct store_brand *out)
{
    for (size_t i = 0; i < COUNT(members); i++)
        if (field_given(in, i))
            snprintf((char *)out + members[i].at, members[i].size, "%.*s", SPAN_ARG(span_trim(in->texts[i])));
}

static int put_name(void *ctx, struct span name)
{
    json_add_text(ctx, NULL, name);
    return 0;
}

/* Without its hosts and domains, which need the store again. */
static void put_texts(struct call *c, struct buf *b, const struct store_brand *x)
{
    json_add_uuid(b, "id", &x->id);
    for (size_t i = 0; i < COUNT(members); i++)
        json_add_str(b, set_fields[i].name, (const char *)x + members[i].at);
    json_add_text(b, "logo", brand_logo(c, x));
    json_add_time(b, "updated", x->updated_us);
}

static int put_brand(struct call *c, struct buf *b, const struct store_brand *x, struct err *e)
{
    json_open(b, NULL, '{');
    put_texts(c, b, x);
    json_open(b, "hosts", '[');
    if (store_brand_hosts(c->store, x->id, put_name, b, e) < 0)
        return -1;
    json_close(b, ']');
    json_open(b, "domains", '[');
    if (store_brand_domains(c->store, x->id, put_name, b, e) < 0)
        return -1;
    json_close(b, ']');
    json_close(b, '}');
    return 0;
}

struct all {
    struct call        *c;
    struct store_brand *items[STORE_LIST_MAX];
    size_t              n;
};

static int keep_brand(void *ctx, const struct store_brand *x)
{
    struct all         *all = ctx;
    struct store_brand *mine = arena_alloc(all->c->arena, sizeof *mine);

    if (mine == NULL || all->n == COUNT(all->items))
        return 1;
    *mine = *x;
    all->items[all->n++] = mine;
    return 0;
}

static int list_brands(struct call *c, struct err *e)
{
    struct all *all = arena_zalloc(c->arena, sizeof *all);
    struct buf *b;

    if (all == NULL)
        return err_set(e, ERR_LIMIT, "The request is too large.");
    all->c = c;
    if (store_brand_list(c->store, keep_brand, all, e) < 0)
        return -1;
    b = call_list_begin(c);
    for (size_t i = 0; i < all->n; i++)
        if (put_brand(c, b, all->items[i], e) < 0)
            return -1;
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int read_brand(struct call *c, struct store_brand *out, struct err *e)
{
    struct uuid id;

    return uuid_parse(c->params[0], &id) ? store_brand_get(c->store, id, out, e) : err_set(e, ERR_NOT_FOUND, NONE);
}

static int answer(struct call *c, struct uuid id, int status, struct err *e)
{
    struct store_brand x;

    return store_brand_get(c->store, id, &x, e) < 0 ? -1 : put_brand(c, call_reply(c, status), &x, e);
}

static void name_prefix(const struct call *c, struct store_brand *x)
{
    if (x->prefix[0] == '\0')
        brand_prefix_of(x->name, c->portal->settings->rules.prefix, x->prefix);
}

static int add_brand(struct call *c, struct err *e)
{
    struct store_brand x = {.prefix = ""};
    struct uuid        id;

    take_body(c->body, &x);
    name_prefix(c, &x);
    if (store_brand_check(&x, &c->member, e) < 0)
        return -1;
    return store_brand_add(c->store, &c->actor, &x, &id, e) < 0 ? -1 : answer(c, id, 201, e);
}

static int set_brand(struct call *c, struct err *e)
{
    struct store_brand x;

    if (read_brand(c, &x, e) < 0)
        return -1;
    take_body(c->body, &x);
    name_prefix(c, &x);
    if (store_brand_check(&x, &c->member, e) < 0)
        return -1;
    return store_brand_set(c->store, &c->actor, &x, e) < 0 ? -1 : answer(c, x.id, 200, e);
}

static int delete_brand(struct call *c, struct err *e)
{
    struct store_brand x;

    if (read_brand(c, &x, e) < 0 || store_brand_delete(c->store, &c->actor, x.id, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* No bytes: takes it away. */
static int set_logo(struct call *c, struct err *e)
{
    struct store_brand x;

    if (read_brand(c, &x, e) < 0 || store_brand_logo_set(c->store, &c->actor, x.id, c->request->body, e) < 0)
        return -1;
    return answer(c, x.id, 200, e);
}

/* Giving takes it from the brand that had it; taking away is for the brand that has it alone. */
static int give_host(struct call *c, bool give, struct err *e)
{
    struct store_brand x, has;
    struct span        host = host_of(c, c->params[1]);
    int                rc;

    if (read_brand(c, &x, e) < 0)
        return -1;
    if (host.n == 0)
        return err_set(e, ERR_INVALID, "That is no name of a host.");
    rc = give ? 1 : store_brand_of_host(c->store, host, &has, e);
    if (rc == 0 || (!give && rc > 0 && !uuid_eq(&has.id, &x.id)))
        return err_set(e, ERR_NOT_FOUND, "This brand does not have that host.");
    if (rc < 0 || store_brand_host_set(c->store, &c->actor, host, give ? &x.id : NULL, e) < 0)
        return -1;
    return answer(c, x.id, 200, e);
}

static int give_domain(struct call *c, bool give, struct err *e)
{
    struct store_brand  x, has;
    struct store_domain d;
    struct span         name;
    int                 rc;

    if (read_brand(c, &x, e) < 0)
        return -1;
    if (domain_normalise(c->params[1], c->arena, &name, NULL) < 0 || store_domain_find(c->store, name, &d, e) < 0)
        return e->code == ERR_NONE || e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such domain.")
                                                               : -1;
    rc = give ? 1 : store_brand_of_domain(c->store, span_of(d.name), &has, e);
    if (rc == 0 || (!give && rc > 0 && !uuid_eq(&has.id, &x.id)))
        return err_set(e, ERR_NOT_FOUND, "That domain does not have this brand.");
    if (rc < 0 || store_brand_domain_set(c->store, &c->actor, d.id, give ? &x.id : NULL, e) < 0)
        return -1;
    return answer(c, x.id, 200, e);
}

static int add_host(struct call *c, struct err *e) { return give_host(c, true, e); }
static int drop_host(struct call *c, struct err *e) { return give_host(c, false, e); }
static int add_domain(struct call *c, struct err *e) { return give_domain(c, true, e); }
static int drop_domain(struct call *c, struct err *e) { return give_domain(c, false, e); }

#define OPERATE(method, path, flags, run, fields, summary, reply)                                                      \
    {                                                                                                                  \
        method, path, DEED_OPERATE, OBJECT_GLOBAL, flags, run, NULL, fields, 0,                                        \
            (fields) != NULL ? sizeof(struct brand_body) : 0, summary, reply                                           \
    }
static const struct route rows[] = {
    {HTTPD_GET, "/brand", DEED_OPEN, OBJECT_NONE, 0, get_brand,
     .summary = "What this host, or the domain of who is signed in, calls itself and looks like.", .reply = "Brand"},
    {HTTPD_GET, "/brand/logo", DEED_OPEN, OBJECT_NONE, 0, get_logo, .query = logo_fields,
     .query_size = sizeof(struct logo_query), .summary = "The image.", .reply = "image/*"},
    OPERATE(HTTPD_GET, "/brands", 0, list_brands, NULL, "All brands, with their hosts and domains.", "list:BrandRow"),
    OPERATE(HTTPD_POST, "/brands", ROUTE_MAKES, add_brand, add_fields, "Makes a brand.", "BrandRow"),
    OPERATE(HTTPD_PATCH, "/brands/{brand}", ROUTE_ATOMIC, set_brand, set_fields, "Changes what is named.", "BrandRow"),
    OPERATE(HTTPD_DELETE, "/brands/{brand}", 0, delete_brand, NULL, "Its hosts and domains have none then.", NULL),
    OPERATE(HTTPD_PUT, "/brands/{brand}/logo", ROUTE_RAW, set_logo, NULL,
            "The body is the image: PNG, JPEG, WebP or SVG; none: takes it away.", "BrandRow"),
    OPERATE(HTTPD_PUT, "/brands/{brand}/hosts/{host}", 0, add_host, NULL, "This host shows this brand.", "BrandRow"),
    OPERATE(HTTPD_DELETE, "/brands/{brand}/hosts/{host}", 0, drop_host, NULL, "It does so no more.", "BrandRow"),
    OPERATE(HTTPD_PUT, "/brands/{brand}/domains/{domain}", 0, add_domain, NULL,
            "The people of this domain see this brand, in pages and mail.", "BrandRow"),
    OPERATE(HTTPD_DELETE, "/brands/{brand}/domains/{domain}", 0, drop_domain, NULL, "They do so no more.", "BrandRow"),
};

const struct route_family brand_family = {
    "Brands", rows, COUNT(rows),
    "\"Brand\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"logo\":{\"type\":[\"string\","
    "\"null\"]},"
    "\"support\":{\"type\":[\"string\",\"null\"]},\"webmail\":{\"type\":[\"string\",\"null\"]},"
    "\"contacts\":{\"type\":[\"string\",\"null\"]},\"calendar\":{\"type\":[\"string\",\"null\"]},"
    "\"light\":{\"type\":[\"object\",\"null\"]},\"dark\":{\"type\":[\"object\",\"null\"]}}},"
    "\"BrandRow\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"name\":{\"type\":\"string\"},"
    "\"prefix\":{\"type\":\"string\"},\"sender\":{\"type\":\"string\"},\"url\":{\"type\":\"string\"},\"support\":{"
    "\"type\":"
    "\"string\"},\"webmail\":{\"type\":\"string\"},\"contacts\":{\"type\":\"string\"},\"calendar\":{\"type\":"
    "\"string\"},"
    "\"accent_light\":{\"type\":\"string\"},\"accent_dark\":{\"type\":\"string\"},\"logo\":{\"type\":[\"string\","
    "\"null\"]},"
    "\"hosts\":{\"type\":\"array\"},\"domains\":{\"type\":\"array\"},\"updated\":{\"type\":\"string\"}}}"};
