/* lib/store/api_key.h - keys of programs: what a machine shows instead of a person's password.
 *
 * Text     "pst_" and 32 random bytes in URL-safe base64: said once, when the key is made; what is stored is its SHA-256.
 * Scopes   what it is for, words of api_key_scopes[]; `maps:DOMAIN` names a domain of ours, `maps:global` all of them.
 * Domains  a key may be bound to some: it then means nothing elsewhere, also when the last of them has been deleted.
 * Networks it may be bound to where it comes from, too: blocks as in rules, at most API_KEY_NETWORKS_MAX. A Unix socket is not in
 *          any network.
 * Uses     store_api_key_used() is for now and then, not for every request; it moves no feed. */
#ifndef POSTERN_STORE_API_KEY_H
#define POSTERN_STORE_API_KEY_H

#include "base/ip.h"
#include "store/account.h"

#define API_KEY_PREFIX "pst_"
#define API_KEY_TEXT (4 + 43)   /* characters, without the NUL */
#define API_KEY_HASH 32         /* bytes */
#define API_KEY_SCOPES_MAX 4000 /* bytes of all scopes of a key */
#define API_KEY_NETWORKS_MAX 32
#define API_KEY_DOMAINS_MAX 1000
#define API_KEYS_MAX 10000 /* that a list yields */

/* The scopes there are, and what each is for; a row whose name ends with ':' wants a name behind it. */
struct api_key_scope {
    const char *name, *help;
};
extern const struct api_key_scope api_key_scopes[];
extern const size_t               api_key_nscopes;

struct store_api_key {
    struct uuid        id;
    struct span        name;
    struct span        scopes;   /* words, separated by one blank */
    struct span        networks; /* the same */
    enum role          role;     /* at most; what the portal's API looks at */
    bool               bound;    /* to `domains`, be they none any more */
    const struct uuid *domains;
    size_t             ndomains;
    int64_t            created_us, expires_us, last_used_us, revoked_us; /* 0: never */
};

/* Makes a key. Uses name, scopes, networks, role, domains, expires_us; text_out is the only time that the key is seen.
 * ERR_INVALID names the scope or network that is none. */
int store_api_key_add(struct store *s, const struct actor *by, const struct store_api_key *k, struct uuid *id_out,
                      char text_out[API_KEY_TEXT + 1], struct err *e);
/* From the next request on it is worth nothing. Revoking twice is fine. */
int store_api_key_revoke(struct store *s, const struct actor *by, struct uuid id, struct err *e);
/* Every key, the oldest first, revoked ones too; hash: what its text hashes to. */
typedef int (*store_api_key_fn)(void *ctx, const struct store_api_key *k, const uint8_t hash[API_KEY_HASH]);
int store_api_key_list(struct store *s, store_api_key_fn fn, void *ctx, struct err *e);
/* The key whose text hashes to this, revoked or not: api_key_holds() says whether it is good. Its spans live in `a`. */
int store_api_key_by_hash(struct store *s, const uint8_t hash[API_KEY_HASH], struct arena *a, struct store_api_key *out,
                          struct err *e);
/* For a person who types an id: the whole one, or its last eight digits, or the name, where it is that of one key alone. */
int store_api_key_find(struct store *s, struct span text, struct uuid *id_out, struct err *e);
/* How high a key stands in a domain: its role where it is bound, or everywhere; else ROLE_USER. */
int store_api_key_role(struct store *s, struct uuid id, struct uuid domain, enum role *out, struct err *e);
int store_api_key_used(struct store *s, struct uuid id, int64_t at_us, struct err *e);

/* The hash of a text as it was shown; false: it has not the form of a key. */
bool api_key_hash(struct span text, uint8_t out[API_KEY_HASH]);
/* Is it one of the words? "maps:global" stands for every "maps:…". */
bool api_key_has_scope(struct span scopes, struct span scope);
/* Does it hold at this time, for who comes from there? ip NULL: by a Unix socket. */
bool api_key_holds(const struct store_api_key *k, const struct ip *ip, int64_t now_us);
/* Is this one still good: neither revoked nor over? For what goes on after its call was permitted: exports. */
int store_api_key_good(struct store *s, struct uuid id, int64_t now_us, bool *out, struct err *e);
/* May it speak about that domain? */
bool api_key_for_domain(const struct store_api_key *k, const struct uuid *domain);

#endif
