/* lib/store/brand.c - see brand.h. */
#include "store/brand.h"

#include <stdio.h>

#include "mail/address.h"
#include "mail/compose.h"
#include "store/change.h"
#include "store/domain.h"
#include "store/row.h"

#define COLUMNS                                                                                                        \
    "b.id, b.name, b.prefix, b.sender, b.url, b.support, b.webmail, b.contacts, b.calendar, b.accent_light,"           \
    " b.accent_dark, b.logo_type, b.created_us, b.updated_us"
static const char insert_sql[] = "INSERT INTO brand (id, tenant_id, name, prefix, sender, url, support, webmail,"
                                 " contacts, calendar, accent_light, accent_dark, created_us, updated_us)"
                                 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)";
static const char update_sql[] = "UPDATE brand SET name = $2, prefix = $3, sender = $4, url = $5, support = $6,"
                                 " webmail = $7, contacts = $8, calendar = $9, accent_light = $10, accent_dark = $11,"
                                 " updated_us = $12 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM brand WHERE id = $1";
static const char get_sql[] = "SELECT " COLUMNS " FROM brand b WHERE b.id = $1";
static const char list_sql[] = "SELECT " COLUMNS " FROM brand b ORDER BY b.name, b.id LIMIT $1";
static const char logo_set_sql[] = "UPDATE brand SET logo = $2, logo_type = $3, updated_us = $4 WHERE id = $1";
static const char logo_sql[] = "SELECT logo, logo_type FROM brand WHERE id = $1 AND logo_type <> ''";
static const char host_set_sql[] = "INSERT INTO brand_host (host, brand_id) VALUES ($1, $2)"
                                   " ON CONFLICT (host) DO UPDATE SET brand_id = excluded.brand_id";
static const char host_delete_sql[] = "DELETE FROM brand_host WHERE host = $1";
static const char domain_set_sql[] = "UPDATE domain SET brand_id = $2 WHERE id = $1";
static const char hosts_sql[] = "SELECT host FROM brand_host WHERE brand_id = $1 ORDER BY host";
static const char domains_sql[] = "SELECT name FROM domain WHERE brand_id = $1 ORDER BY name";
static const char of_host_sql[] = "SELECT " COLUMNS " FROM brand_host h JOIN brand b ON b.id = h.brand_id"
                                  " WHERE h.host = $1";
static const char of_domain_sql[] =
    "SELECT " COLUMNS " FROM domain d JOIN brand b ON b.id = d.brand_id WHERE d.name = $1 UNION ALL SELECT " COLUMNS
    " FROM domain_alias a JOIN domain d ON d.id = a.domain_id JOIN brand b ON b.id = d.brand_id WHERE a.name = $1";

/* The texts, in the order of COLUMNS behind the id; what people call them; and what each has to be (empty is good but for the name). */
static int check_name(const char *text, const char *what, struct err *e);
static int check_prefix(const char *text, const char *what, struct err *e);
static int check_mail(const char *text, const char *what, struct err *e);
static int check_origin(const char *text, const char *what, struct err *e);
static int check_page(const char *text, const char *what, struct err *e);
static int check_light(const char *text, const char *what, struct err *e);
static int check_dark(const char *text, const char *what, struct err *e);

static const struct text {
    const char *key, *what;
    size_t      at, size;
    int (*check)(const char *text, const char *what, struct err *e);
} texts[] = {
#define TEXT(key, what, member, check)                                                                                 \
    {                                                                                                                  \
        key, what, offsetof(struct store_brand, member), sizeof((struct store_brand *)0)->member, check                \
    }
    TEXT("name", "the name", name, check_name),
    TEXT("prefix", "the prefix", prefix, check_prefix),
    TEXT("sender", "the sender", sender, check_mail),
    TEXT("url", "the portal's address", url, check_origin),
    TEXT("support", "the support address", support, check_mail),
    TEXT("webmail", "the link to webmail", webmail, check_page),
    TEXT("contacts", "the link to contacts", contacts, check_page),
    TEXT("calendar", "the link to the calendar", calendar, check_page),
    TEXT("accent_light", "the colour on light pages", accent[SCHEME_LIGHT], check_light),
    TEXT("accent_dark", "the colour on dark pages", accent[SCHEME_DARK], check_dark),
    TEXT("logo_type", "the logo", logo_type, NULL),
#undef TEXT
};
#define WRITTEN (COUNT(texts) - 1) /* all but the logo's type */

static void read_row(struct db_rows *r, struct store_brand *out)
{
    *out = (struct store_brand){.id = col_uuid(r, 0), .created_us = db_i64(r, 12), .updated_us = db_i64(r, 13)};
    for (size_t i = 0; i < COUNT(texts); i++)
        col_str(r, (int)i + 1, (char *)out + texts[i].at, texts[i].size);
}

/* 1, 0, -1. */
static int read_one(struct store *s, const char *sql, struct db_val key, struct store_brand *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, &key, 1, &r, e);

    if (rc <= 0)
        return rc;
    read_row(r, out);
    db_rows_free(&r);
    return 1;
}

int store_brand_get(struct store *s, struct uuid id, struct store_brand *out, struct err *e)
{
    int rc = read_one(s, get_sql, dbv_uuid(&id), out, e);

    return rc > 0 ? 0 : rc < 0 ? -1 : err_set(e, ERR_NOT_FOUND, "There is no such brand.");
}

int store_brand_of_host(struct store *s, struct span host, struct store_brand *out, struct err *e)
{
    return read_one(s, of_host_sql, dbv_text(host), out, e);
}

int store_brand_of_domain(struct store *s, struct span domain, struct store_brand *out, struct err *e)
{
    return read_one(s, of_domain_sql, dbv_text(domain), out, e);
}

/* ---- what is let in ---- */

bool brand_prefix_good(struct span prefix)
{
    bool good = prefix.n > 0 && prefix.n <= BRAND_PREFIX_MAX && prefix.p[0] >= 'A' && prefix.p[0] <= 'Z';

    for (size_t i = 0; i < prefix.n; i++)
        good &= (prefix.p[i] >= 'A' && prefix.p[i] <= 'Z') || (prefix.p[i] >= '0' && prefix.p[i] <= '9') ||
                prefix.p[i] == '_';
    return good;
}

void brand_prefix_of(const char *name, const char *otherwise, char out[BRAND_PREFIX_MAX + 1])
{
    size_t n = 0;

    for (const char *p = name; *p != '\0' && n < BRAND_PREFIX_MAX; p++) {
        char c = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;

        if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            out[n++] = c;
        else if (n > 0 && out[n - 1] != '_')
            out[n++] = '_';
    }
    while (n > 0 && out[n - 1] == '_')
        n--;
    out[n] = '\0';
    if (!brand_prefix_good(span_make(out, n)))
        snprintf(out, BRAND_PREFIX_MAX + 1, "%s", otherwise);
}

void brand_field(const char *prefix, const char *what, char out[BRAND_FIELD_MAX + 1])
{
    size_t n = 0;

    out[n++] = 'X';
    out[n++] = '-';
    for (const char *p = prefix; *p != '\0' && n < BRAND_PREFIX_MAX + 2; p++) {
        bool first = out[n - 1] == '-';

        if (*p != '_')
            out[n++] = *p >= 'A' && *p <= 'Z' && !first ? (char)(*p - 'A' + 'a') : *p;
        else if (!first)
            out[n++] = '-';
    }
    snprintf(out + n, BRAND_FIELD_MAX + 1 - n, "%s%s", out[n - 1] == '-' ? "" : "-", what);
}

/* It stands in the From of mail. */
static int check_name(const char *text, const char *what, struct err *e)
{
    (void)what;
    return strpbrk(text, "\"\\<>") == NULL
               ? 0
               : err_set(e, ERR_INVALID, "The name cannot have quotes, angle brackets or backslashes.");
}

static int check_prefix(const char *text, const char *what, struct err *e)
{
    (void)what;
    return brand_prefix_good(span_of(text)) ? 0
                                            : err_set(e, ERR_INVALID, "The prefix is a word in capitals, like ACME.");
}

/* http(s)://, and nothing in it that ends an attribute or a line. */
static int check_link(const char *link, bool origin, const char *what, struct err *e)
{
    struct span text = span_of(link), rest;
    bool        https = span_starts(text, SPAN("https://"));

    if (text.n == 0)
        return 0;
    rest = span_skip(text, https ? 8 : 7);
    if ((!https && !span_starts(text, SPAN("http://"))) || rest.n == 0)
        return err_set(e, ERR_INVALID, "%s begins with https://.", what);
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] <= ' ' || rest.p[i] == 0x7f || strchr("\"'<>\\`@", rest.p[i]) != NULL ||
            (origin && strchr("/?#", rest.p[i]) != NULL))
            return err_set(e, ERR_INVALID,
                           origin ? "%s is https://HOST, without anything behind it." : "%s is no address of a page.",
                           what);
    return 0;
}

static int check_origin(const char *text, const char *what, struct err *e) { return check_link(text, true, what, e); }
static int check_page(const char *text, const char *what, struct err *e) { return check_link(text, false, what, e); }

/* How many addresses a mail reader would find, and whether it would find nothing else. */
static size_t addresses_in(struct span text, struct arena *a, bool *clean_out)
{
    struct address_walk w = {.rest = text, .arena = a};
    struct address      one;
    size_t              n = 0;

    while (address_next(&w, &one))
        n++;
    *clean_out = !w.damaged;
    return n;
}

/* "Name <address>" or an address. What letters go out from (compose_address()) has to be the one that is read there. */
static int check_mail(const char *text, const char *what, struct err *e)
{
    struct arena   a;
    struct address path = {0};
    bool           clean;
    size_t         n;
    int            rc;

    if (*text == '\0')
        return 0;
    arena_init(&a, 1 << 16);
    n = addresses_in(span_of(text), &a, &clean);
    rc = n == 1 && clean && address_parse_path(compose_address(span_of(text)), &a, &path, NULL) == 0 ? 0 : -1;
    arena_fini(&a);
    if (rc == 0)
        return 0;
    return err_set(e, ERR_INVALID, n > 1 ? "%s is one mail address, and not several." : "%s is no mail address.", what);
}

static int check_colour(const char *text, enum scheme scheme, struct err *e)
{
    struct accent made;

    return *text == '\0' ? 0 : accent_make(span_of(text), scheme, &made, e);
}

static int check_light(const char *text, const char *what, struct err *e)
{
    (void)what;
    return check_colour(text, SCHEME_LIGHT, e);
}

static int check_dark(const char *text, const char *what, struct err *e)
{
    (void)what;
    return check_colour(text, SCHEME_DARK, e);
}

int store_brand_check(const struct store_brand *b, const char **key_out, struct err *e)
{
    for (size_t i = 0; i < WRITTEN; i++) {
        const char *text = (const char *)b + texts[i].at;

        *key_out = texts[i].key;
        if (check_text(span_of(text), i == 0 ? 1 : 0, texts[i].size - 1, texts[i].what, e) < 0 ||
            texts[i].check(text, texts[i].what, e) < 0)
            return -1;
    }
    *key_out = NULL;
    return 0;
}

/* NULL: none that a page shows. */
static const char *type_of(struct span b)
{
    struct span start = span_trim(span_head(b, 1000));

    if (span_starts(b, SPAN("\x89PNG\r\n\x1a\n")))
        return "image/png";
    if (span_starts(b, SPAN("\xff\xd8\xff")))
        return "image/jpeg";
    if (b.n > 12 && span_starts(b, SPAN("RIFF")) && span_starts(span_skip(b, 8), SPAN("WEBP")))
        return "image/webp";
    if ((span_starts(start, SPAN("<svg")) || span_starts(start, SPAN("<?xml")) || span_starts(start, SPAN("<!--"))) &&
        span_find(b, SPAN("<svg")) < b.n && span_find(b, SPAN("<!DOCTYPE")) == b.n &&
        span_find(b, SPAN("<!ENTITY")) == b.n && is_storable(b))
        return "image/svg+xml";
    return NULL;
}

/* ---- changing ---- */

static void put_payload(struct buf *out, const char *key, const void *row)
{
    json_open(out, key, '{');
    for (size_t i = 0; i < COUNT(texts); i++)
        json_add_str(out, texts[i].key, (const char *)row + texts[i].at);
    json_close(out, '}');
}

static int note(struct store *s, const struct actor *by, const char *action, struct uuid id,
                const struct store_brand *before, const struct store_brand *after, struct err *e)
{
    struct payload_change c = {action, "brand", id, put_payload, before, after};

    return payload_note(s, by, STORE_SCOPE_GLOBAL, &c, e);
}

static size_t put_vals(const struct store_brand *b, struct db_val *vals, size_t n)
{
    for (size_t i = 0; i < WRITTEN; i++)
        vals[n++] = dbv_str((const char *)b + texts[i].at);
    vals[n++] = dbv_i64(clock_wall_us());
    return n;
}

static int add_in(struct store *s, const struct actor *by, const struct store_brand *b, struct err *e)
{
    struct db_val vals[16] = {dbv_uuid(&b->id), dbv_uuid(&uuid_zero)};
    size_t        n = put_vals(b, vals, 2);

    return db_run(s->main, insert_sql, vals, n, NULL, e) < 0 ? -1 : note(s, by, "brand.add", b->id, NULL, b, e);
}

int store_brand_add(struct store *s, const struct actor *by, const struct store_brand *b, struct uuid *id_out,
                    struct err *e)
{
    struct store_brand mine = *b;
    const char        *ignored;
    bool               own;

    mine.id = uuid7_make();
    mine.logo_type[0] = '\0';
    if (store_brand_check(b, &ignored, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = mine.id;
    return row_end(s, own, add_in(s, by, &mine, e), e);
}

/* Prefix and name stand in what rulesd says about the mail of its domains. */
static int heard_by_all(struct store *s, struct err *e)
{
    return store_change_note(s, CHANGE_SETTING, STORE_SCOPE_GLOBAL, NULL, e);
}

static int set_in(struct store *s, const struct actor *by, const struct store_brand *b, struct err *e)
{
    struct store_brand before, after;
    struct db_val      vals[16] = {dbv_uuid(&b->id)};
    size_t             n = put_vals(b, vals, 1);

    if (heard_by_all(s, e) < 0 || store_brand_get(s, b->id, &before, e) < 0 ||
        row_change_one(s, update_sql, vals, n, "brand", e) < 0 || store_brand_get(s, b->id, &after, e) < 0)
        return -1;
    return note(s, by, "brand.set", b->id, &before, &after, e);
}

int store_brand_set(struct store *s, const struct actor *by, const struct store_brand *b, struct err *e)
{
    const char *ignored;
    bool        own;

    if (store_brand_check(b, &ignored, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, b, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct store_brand before;

    if (heard_by_all(s, e) < 0 || store_brand_get(s, id, &before, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "brand", e) < 0)
        return -1;
    return note(s, by, "brand.delete", id, &before, NULL, e);
}

int store_brand_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}

static int logo_in(struct store *s, const struct actor *by, struct uuid id, struct span bytes, const char *type,
                   struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&id), bytes.n > 0 ? dbv_blob(bytes) : DBV_NULL, dbv_str(type),
                                  dbv_i64(clock_wall_us())};
    struct store_brand  before, after;

    if (store_brand_get(s, id, &before, e) < 0 || row_change_one(s, logo_set_sql, vals, COUNT(vals), "brand", e) < 0 ||
        store_brand_get(s, id, &after, e) < 0)
        return -1;
    return note(s, by, "brand.logo", id, &before, &after, e);
}

int store_brand_logo_set(struct store *s, const struct actor *by, struct uuid id, struct span bytes, struct err *e)
{
    const char *type = bytes.n == 0 ? "" : type_of(bytes);
    bool        own;

    if (bytes.n > BRAND_LOGO_MAX)
        return err_set(e, ERR_LIMIT, "A logo has at most %zu kB.", BRAND_LOGO_MAX / 1000);
    if (type == NULL)
        return err_set(e, ERR_INVALID, "A logo is a PNG, JPEG, WebP or SVG image.");
    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, logo_in(s, by, id, bytes, type, e), e);
}

int store_brand_logo(struct store *s, struct uuid id, struct arena *a, struct span *bytes_out, const char **type_out,
                     struct err *e)
{
    const struct db_val key = dbv_uuid(&id);
    struct db_rows     *r;
    int                 rc = row_first(s->main, logo_sql, &key, 1, &r, e);

    if (rc == 0)
        err_set(e, ERR_NOT_FOUND, "There is no logo.");
    if (rc <= 0)
        return -1;
    *bytes_out = arena_dup(a, db_text(r, 0));
    *type_out = type_of(*bytes_out);
    db_rows_free(&r);
    return *type_out != NULL ? 0 : err_set(e, ERR_CORRUPT, "a logo that is none");
}

/* ---- whose it is ---- */

struct given {
    const char *kind; /* host, domain */
    struct span name;
};

static void put_given(struct buf *out, const char *key, const void *row)
{
    const struct given *g = row;

    json_open(out, key, '{');
    json_add_text(out, g->kind, g->name);
    json_close(out, '}');
}

/* What a brand is given to is there afterwards; what is taken, was there before. */
static int note_given(struct store *s, const struct actor *by, const char *action, const struct given *g,
                      const struct uuid *brand, struct err *e)
{
    const struct payload_change c = {action,
                                     "brand",
                                     brand != NULL ? *brand : uuid_zero,
                                     put_given,
                                     brand == NULL ? g : NULL,
                                     brand != NULL ? g : NULL};
    struct store_brand          b;

    if (brand != NULL && store_brand_get(s, *brand, &b, e) < 0)
        return -1;
    return payload_note(s, by, STORE_SCOPE_GLOBAL, &c, e);
}

static int host_in(struct store *s, const struct actor *by, struct span host, const struct uuid *brand, struct err *e)
{
    struct db_val      vals[] = {dbv_text(host), dbv_uuid_or_null(brand)};
    const struct given g = {"host", host};

    if (note_given(s, by, "brand.host", &g, brand, e) < 0)
        return -1;
    return brand != NULL ? db_run(s->main, host_set_sql, vals, 2, NULL, e)
                         : row_change_one(s, host_delete_sql, vals, 1, "host", e);
}

int store_brand_host_set(struct store *s, const struct actor *by, struct span host, const struct uuid *brand,
                         struct err *e)
{
    bool own;

    if (check_text(host, 1, STORE_DOMAIN_MAX, "the host", e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, host_in(s, by, host, brand, e), e);
}

static int domain_in(struct store *s, const struct actor *by, struct uuid domain, const struct uuid *brand,
                     struct err *e)
{
    struct store_domain d;
    struct given        g = {.kind = "domain"};

    if (store_domain_get(s, domain, &d, e) < 0)
        return -1;
    g.name = span_of(d.name);
    if (store_change_note(s, CHANGE_SETTING, store_scope_domain(domain), NULL, e) < 0 ||
        note_given(s, by, "brand.domain", &g, brand, e) < 0)
        return -1;
    return row_change_one(s, domain_set_sql, (struct db_val[]){dbv_uuid(&domain), dbv_uuid_or_null(brand)}, 2, "domain",
                          e);
}

int store_brand_domain_set(struct store *s, const struct actor *by, struct uuid domain, const struct uuid *brand,
                           struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, domain_in(s, by, domain, brand, e), e);
}

/* ---- lists ---- */

struct listing {
    store_brand_fn      fn;
    store_brand_name_fn name_fn;
    void               *ctx;
};

static int each_brand(void *arg, struct db_rows *r)
{
    struct listing    *l = arg;
    struct store_brand b;

    read_row(r, &b);
    return l->fn(l->ctx, &b);
}

static int each_name(void *arg, struct db_rows *r)
{
    struct listing *l = arg;

    return l->name_fn(l->ctx, db_text(r, 0));
}

int store_brand_list(struct store *s, store_brand_fn fn, void *ctx, struct err *e)
{
    struct listing l = {.fn = fn, .ctx = ctx};

    return row_each(s->main, list_sql, (struct db_val[]){dbv_i64(STORE_LIST_MAX)}, 1, each_brand, &l, e);
}

int store_brand_hosts(struct store *s, struct uuid brand, store_brand_name_fn fn, void *ctx, struct err *e)
{
    struct listing l = {.name_fn = fn, .ctx = ctx};

    return row_each(s->main, hosts_sql, (struct db_val[]){dbv_uuid(&brand)}, 1, each_name, &l, e);
}

int store_brand_domains(struct store *s, struct uuid brand, store_brand_name_fn fn, void *ctx, struct err *e)
{
    struct listing l = {.name_fn = fn, .ctx = ctx};

    return row_each(s->main, domains_sql, (struct db_val[]){dbv_uuid(&brand)}, 1, each_name, &l, e);
}
