/* lib/store/brand.h - how we look and what we call ourselves, for the hosts and domains that have it.
 *
 * Whose    A host name of the portal shows one brand; a domain may have one, for its people and their mail. Without either the
 *          installation's own settings hold.
 * Logo     PNG, JPEG, WebP or SVG of at most BRAND_LOGO_MAX bytes, told apart by their bytes; SVG without a document type.
 * Colours  colour.h: what cannot be read at 4.5:1 is refused.
 * Audit    "brand.add", "brand.set", "brand.delete", "brand.logo", "brand.host", "brand.domain". */
#ifndef POSTERN_STORE_BRAND_H
#define POSTERN_STORE_BRAND_H

#include "store/colour.h"
#include "store/store.h"

#define BRAND_LOGO_MAX ((size_t)100 * 1000)
#define BRAND_NAME_MAX 60
#define BRAND_PREFIX_MAX 32
#define BRAND_URL_MAX 299

struct store_brand {
    struct uuid id;
    char        name[BRAND_NAME_MAX + 1];
    char        prefix[BRAND_PREFIX_MAX + 1]; /* of symbols and headers: capitals, digits and "_" */
    char    sender[BRAND_URL_MAX + 1];  /* "Name <address>" or an address; "": [smtp] from's address under the name */
    char    url[BRAND_URL_MAX + 1];     /* scheme://host[:port] of its portal; "": [portal] public_url */
    char    support[BRAND_URL_MAX + 1]; /* an address */
    char    webmail[BRAND_URL_MAX + 1], contacts[BRAND_URL_MAX + 1], calendar[BRAND_URL_MAX + 1];
    char    accent[SCHEMES][COLOUR_TEXT + 1]; /* "": the pages' own */
    char    logo_type[32];                    /* "": there is none */
    int64_t created_us, updated_us;
};
typedef int (*store_brand_fn)(void *ctx, const struct store_brand *b);
typedef int (*store_brand_name_fn)(void *ctx, struct span name);

/* A word in capitals, digits and "_", which begins with a letter. */
bool brand_prefix_good(struct span prefix);
/* "Acme Mail" gives ACME_MAIL; a name that gives none: `otherwise`. */
void brand_prefix_of(const char *name, const char *otherwise, char out[BRAND_PREFIX_MAX + 1]);
/* "ACME_MAIL", "Released": "X-Acme-Mail-Released". */
#define BRAND_FIELD_MAX (BRAND_PREFIX_MAX + 40)
void brand_field(const char *prefix, const char *what, char out[BRAND_FIELD_MAX + 1]);

/* Is each of its texts what it has to be? On -1 key says which is not: "name", "accent_dark", as the API calls them. */
int store_brand_check(const struct store_brand *b, const char **key_out, struct err *e);
/* Both check. id, logo_type and times are made here. */
int store_brand_add(struct store *s, const struct actor *by, const struct store_brand *b, struct uuid *id_out,
                    struct err *e);
int store_brand_set(struct store *s, const struct actor *by, const struct store_brand *b, struct err *e);
int store_brand_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e);
int store_brand_get(struct store *s, struct uuid id, struct store_brand *out, struct err *e);
/* By name; at most STORE_LIST_MAX. */
int store_brand_list(struct store *s, store_brand_fn fn, void *ctx, struct err *e);

/* Empty bytes: takes it away. */
int store_brand_logo_set(struct store *s, const struct actor *by, struct uuid id, struct span bytes, struct err *e);
/* ERR_NOT_FOUND: no such brand, or it has none. *type_out: "image/png", …, static. */
int store_brand_logo(struct store *s, struct uuid id, struct arena *a, struct span *bytes_out, const char **type_out,
                     struct err *e);

/* A host, in lower case and without a port; a domain by id. NULL: takes the brand away from it. */
int store_brand_host_set(struct store *s, const struct actor *by, struct span host, const struct uuid *brand,
                         struct err *e);
int store_brand_domain_set(struct store *s, const struct actor *by, struct uuid domain, const struct uuid *brand,
                           struct err *e);
int store_brand_hosts(struct store *s, struct uuid brand, store_brand_name_fn fn, void *ctx, struct err *e);
int store_brand_domains(struct store *s, struct uuid brand, store_brand_name_fn fn, void *ctx, struct err *e);
/* 1 and the brand, 0 it has none, -1. A domain by its name or another name of it. */
int store_brand_of_host(struct store *s, struct span host, struct store_brand *out, struct err *e);
int store_brand_of_domain(struct store *s, struct span domain, struct store_brand *out, struct err *e);

#endif
