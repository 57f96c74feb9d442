/* lib/store/api_key.c - keys of programs. */
#include "store/api_key.h"

#include <sodium.h>
#include <stdlib.h>

#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

const struct api_key_scope api_key_scopes[] = {
    {"ingest:rspamd", "hand over messages with Rspamd's result (metadata_exporter)"},
    {"ingest:delivery", "say what became of messages"},
    {"report", "report spam and not spam"},
    {"mail:read", "read the log of messages"},
    {"mail:act", "release, report and delete messages"},
    {"rules:read", "read rules"},
    {"rules:write", "write rules, policies and thresholds"},
    {"domain:read", "read a domain's settings, people and addresses"},
    {"domain:write", "change them"},
    {"audit:read", "read the audit log"},
    {"sso", "hand people over to the portal, signed in"},
    {"operate", "everything that is the operator's (role admin)"},
    {"maps:", "read the lists of a domain, or with maps:global all lists and thresholds"},
};
const size_t api_key_nscopes = COUNT(api_key_scopes);

#define EVERY_MAP "maps:global"

static const char insert_sql[] = "INSERT INTO api_key (id, tenant_id, name, key_sha256, scopes, role, networks,"
                                 " created_us, expires_us, bound) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static const char bind_sql[] = "INSERT INTO api_key_domain (api_key_id, domain_id) VALUES ($1, $2)";
static const char revoke_sql[] = "UPDATE api_key SET revoked_us = $2 WHERE id = $1 AND revoked_us IS NULL";
static const char get_sql[] = "SELECT name, scopes FROM api_key WHERE id = $1";
static const char list_sql[] =
    "SELECT id, name, key_sha256, scopes, role, networks, created_us, expires_us, last_used_us,"
    " revoked_us, bound FROM api_key ORDER BY id LIMIT 10000";
static const char by_hash_sql[] =
    "SELECT id, name, key_sha256, scopes, role, networks, created_us, expires_us, last_used_us,"
    " revoked_us, bound FROM api_key WHERE key_sha256 = $1";
static const char domains_of_sql[] = "SELECT api_key_id, domain_id FROM api_key_domain WHERE api_key_id = $1"
                                     " ORDER BY domain_id";
static const char domains_sql[] = "SELECT api_key_id, domain_id FROM api_key_domain ORDER BY api_key_id, domain_id";
static const char good_sql[] = "SELECT 1 FROM api_key WHERE id = $1 AND revoked_us IS NULL"
                               " AND (expires_us IS NULL OR expires_us > $2)";
static const char names_sql[] = "SELECT id, name FROM api_key ORDER BY id LIMIT 10000";
static const char role_sql[] = "SELECT role FROM api_key WHERE id = $1 AND (bound = 0 OR EXISTS"
                               " (SELECT 1 FROM api_key_domain WHERE api_key_id = $1 AND domain_id = $2))";
static const char used_sql[] = "UPDATE api_key SET last_used_us = $2 WHERE id = $1"
                               " AND (last_used_us IS NULL OR last_used_us < $2)";

/* ---- what a key says ---- */

bool api_key_hash(struct span text, uint8_t out[API_KEY_HASH])
{
    unsigned char bytes[32];
    size_t        n = 0;
    const char   *end;

    text = span_trim(text);
    if (text.n != API_KEY_TEXT || !span_starts(text, SPAN(API_KEY_PREFIX)) ||
        sodium_base642bin(bytes, sizeof bytes, text.p + 4, text.n - 4, NULL, &n, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n != sizeof bytes || end != text.p + text.n)
        return false;
    crypto_hash_sha256(out, (const unsigned char *)text.p, text.n);
    sodium_memzero(bytes, sizeof bytes);
    return true;
}

bool api_key_has_scope(struct span scopes, struct span scope)
{
    bool        is_map = span_starts(scope, SPAN("maps:"));
    struct span word;

    while (span_next(&scopes, ' ', &word))
        if (span_eq(word, scope) || (is_map && span_is(word, EVERY_MAP)))
            return true;
    return false;
}

static bool from_there(struct span networks, const struct ip *ip)
{
    struct span     word;
    struct ip_block block;

    if (span_trim(networks).n == 0)
        return true;
    while (ip != NULL && span_next(&networks, ' ', &word))
        if (ip_block_parse(word, &block, NULL) == 0 && ip_block_holds(&block, ip))
            return true;
    return false;
}

bool api_key_holds(const struct store_api_key *k, const struct ip *ip, int64_t now_us)
{
    return k->revoked_us == 0 && (k->expires_us == 0 || now_us < k->expires_us) && from_there(k->networks, ip);
}

bool api_key_for_domain(const struct store_api_key *k, const struct uuid *domain)
{
    for (size_t i = 0; i < k->ndomains; i++)
        if (uuid_eq(&k->domains[i], domain))
            return true;
    return !k->bound;
}

/* ---- changing ---- */

static int check_scope(struct span word, struct err *e)
{
    char   known[200] = "";
    size_t n = 0;

    for (const struct api_key_scope *s = api_key_scopes; s < api_key_scopes + api_key_nscopes; s++) {
        struct span name = span_of(s->name);

        if (name.p[name.n - 1] == ':' ? span_starts(word, name) && word.n > name.n : span_eq(word, name))
            return 0;
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s%s", n > 0 ? ", " : "", s->name,
                              name.p[name.n - 1] == ':' ? "DOMAIN" : "");
    }
    return err_set(e, ERR_INVALID, "\"%.*s\" is no scope of a token; there are %s", SPAN_ARG(span_head(word, 80)),
                   known);
}

static int check(const struct store_api_key *k, struct err *e)
{
    struct span     rest = k->scopes, word;
    struct ip_block block;
    size_t          n = 0;

    if (check_text(k->name, 1, STORE_NAME_MAX, "the token's name", e) < 0 ||
        check_text(k->scopes, 1, API_KEY_SCOPES_MAX, "the token's scopes", e) < 0)
        return -1;
    while (span_next(&rest, ' ', &word))
        if (check_scope(word, e) < 0)
            return -1;
    rest = k->networks;
    while (rest.n > 0 && span_next(&rest, ' ', &word))
        if (++n > API_KEY_NETWORKS_MAX || ip_block_parse(word, &block, e) < 0)
            return n > API_KEY_NETWORKS_MAX
                       ? err_set(e, ERR_LIMIT, "a token has at most %d networks", API_KEY_NETWORKS_MAX)
                       : err_wrap(e, "the network \"%.*s\"", SPAN_ARG(span_head(word, 80)));
    if (k->ndomains > API_KEY_DOMAINS_MAX)
        return err_set(e, ERR_LIMIT, "a token is for at most %d domains, or for all", API_KEY_DOMAINS_MAX);
    return 0;
}

static int note(struct store *s, const struct actor *by, const char *action, struct uuid id, struct span name,
                struct span scopes, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_string(&b, "name", name);
    json_add_string(&b, "scopes", scopes);
    json_close(&b, '}');
    rc = store_audit_note(s, by, action, "api_key", &id, STORE_SCOPE_GLOBAL, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static int add_in(struct store *s, const struct actor *by, const struct store_api_key *k, const uint8_t *hash,
                  struct err *e)
{
    if (store_change_note(s, CHANGE_API_KEY, STORE_SCOPE_GLOBAL, &k->id, e) < 0 ||
        db_run(s->main, insert_sql,
               (struct db_val[]){dbv_uuid(&k->id), dbv_uuid(&uuid_zero), dbv_text(k->name),
                                 dbv_bytes(hash, API_KEY_HASH), dbv_text(k->scopes), dbv_word(role_words, (int)k->role),
                                 dbv_text(k->networks), dbv_i64(clock_wall_us()),
                                 k->expires_us > 0 ? dbv_i64(k->expires_us) : DBV_NULL, dbv_bool(k->ndomains > 0)},
               10, NULL, e) < 0)
        return -1;
    for (size_t i = 0; i < k->ndomains; i++)
        if (db_run(s->main, bind_sql, (struct db_val[]){dbv_uuid(&k->id), dbv_uuid(&k->domains[i])}, 2, NULL, e) < 0)
            return -1;
    return note(s, by, "api_key.add", k->id, k->name, k->scopes, e);
}

int store_api_key_add(struct store *s, const struct actor *by, const struct store_api_key *k, struct uuid *id_out,
                      char text_out[API_KEY_TEXT + 1], struct err *e)
{
    struct store_api_key mine = *k;
    unsigned char        bytes[32];
    uint8_t              hash[API_KEY_HASH];
    bool                 own;

    if (sodium_init() < 0)
        return err_set(e, ERR_IO, "libsodium does not start");
    if (check(k, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    randombytes_buf(bytes, sizeof bytes);
    strcpy(text_out, API_KEY_PREFIX);
    sodium_bin2base64(text_out + 4, API_KEY_TEXT + 1 - 4, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
    crypto_hash_sha256(hash, (const unsigned char *)text_out, API_KEY_TEXT);
    mine.id = *id_out = uuid7_make();
    return row_end(s, own, add_in(s, by, &mine, hash, e), e);
}

static int revoke_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct db_rows *r;
    char            name[STORE_NAME_MAX + 1], scopes[API_KEY_SCOPES_MAX + 1];
    int64_t         changed = 0;
    int             rc;

    if (store_change_note(s, CHANGE_API_KEY, STORE_SCOPE_GLOBAL, &id, e) < 0)
        return -1;
    if ((rc = row_first(s->main, get_sql, (struct db_val[]){dbv_uuid(&id)}, 1, &r, e)) <= 0)
        return no_such(rc, e, "token");
    col_str(r, 0, name, sizeof name);
    col_str(r, 1, scopes, sizeof scopes);
    db_rows_free(&r);
    if (db_run(s->main, revoke_sql, (struct db_val[]){dbv_uuid(&id), dbv_i64(clock_wall_us())}, 2, &changed, e) < 0)
        return -1;
    return changed == 0 ? 0 : note(s, by, "api_key.revoke", id, span_of(name), span_of(scopes), e);
}

int store_api_key_revoke(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, revoke_in(s, by, id, e), e);
}

int store_api_key_used(struct store *s, struct uuid id, int64_t at_us, struct err *e)
{
    return db_run(s->main, used_sql, (struct db_val[]){dbv_uuid(&id), dbv_i64(at_us)}, 2, NULL, e);
}

int store_api_key_good(struct store *s, struct uuid id, int64_t now_us, bool *out, struct err *e)
{
    int64_t one;
    int     rc = row_i64(s->main, good_sql, (struct db_val[]){dbv_uuid(&id), dbv_i64(now_us)}, 2, &one, e);

    *out = rc > 0;
    return rc < 0 ? -1 : 0;
}

/* ---- lists ---- */

/* The bindings of all keys, in the order of the keys. */
struct binding {
    struct uuid key, domain;
};
struct bindings {
    struct binding *all;
    size_t          n, cap;
};

static int each_binding(void *arg, struct db_rows *r)
{
    struct bindings *b = arg;

    if (b->n == b->cap) {
        b->cap = b->cap > 0 ? 2 * b->cap : 64;
        if ((b->all = realloc(b->all, b->cap * sizeof *b->all)) == NULL)
            panic("out of memory");
    }
    b->all[b->n++] = (struct binding){col_uuid(r, 0), col_uuid(r, 1)};
    return 0;
}

struct key_list {
    store_api_key_fn fn;
    void            *ctx;
    struct bindings  bindings;
    size_t           at; /* the first binding that is not of an earlier key */
};

/* The domains of one key, moved together so that they are an array. */
static size_t take_domains(struct key_list *l, const struct uuid *key, struct uuid *out)
{
    const struct bindings *b = &l->bindings;
    size_t                 n = 0;

    while (l->at < b->n && uuid_cmp(&b->all[l->at].key, key) < 0)
        l->at++;
    for (; l->at < b->n && uuid_eq(&b->all[l->at].key, key); l->at++)
        if (n < API_KEY_DOMAINS_MAX)
            out[n++] = b->all[l->at].domain;
    return n;
}

static struct store_api_key key_of_row(struct db_rows *r)
{
    int role = col_word(r, 4, role_words);

    return (struct store_api_key){
        .id = col_uuid(r, 0),
        .name = db_text(r, 1),
        .scopes = db_text(r, 3),
        .role = role < 0 ? ROLE_USER : (enum role)role,
        .networks = db_text(r, 5),
        .created_us = db_i64(r, 6),
        .expires_us = db_is_null(r, 7) ? 0 : db_i64(r, 7),
        .last_used_us = db_is_null(r, 8) ? 0 : db_i64(r, 8),
        .revoked_us = db_is_null(r, 9) ? 0 : db_i64(r, 9),
        .bound = db_i64(r, 10) != 0,
    };
}

static int each_key(void *arg, struct db_rows *r)
{
    struct key_list     *l = arg;
    struct uuid          domains[API_KEY_DOMAINS_MAX];
    struct span          hash = db_text(r, 2);
    struct store_api_key k = key_of_row(r);

    k.domains = domains;
    k.ndomains = take_domains(l, &k.id, domains);
    if (hash.n != API_KEY_HASH)
        return 0; /* no text can be this key */
    return l->fn(l->ctx, &k, (const uint8_t *)hash.p);
}

int store_api_key_list(struct store *s, store_api_key_fn fn, void *ctx, struct err *e)
{
    struct key_list l = {.fn = fn, .ctx = ctx};
    int             rc = row_each(s->main, domains_sql, NULL, 0, each_binding, &l.bindings, e);

    if (rc == 0)
        rc = row_each(s->main, list_sql, NULL, 0, each_key, &l, e);
    free(l.bindings.all);
    return rc;
}

int store_api_key_by_hash(struct store *s, const uint8_t hash[API_KEY_HASH], struct arena *a, struct store_api_key *out,
                          struct err *e)
{
    const struct db_val by_hash[] = {dbv_bytes(hash, API_KEY_HASH)};
    struct key_list     l = {0};
    struct db_rows     *r = NULL;
    struct uuid        *domains = arena_array(a, API_KEY_DOMAINS_MAX, sizeof *domains);
    int                 rc = row_first(s->main, by_hash_sql, by_hash, COUNT(by_hash), &r, e);

    if (rc <= 0)
        return no_such(rc, e, "API key");
    *out = key_of_row(r);
    out->name = arena_dup(a, out->name);
    out->scopes = arena_dup(a, out->scopes);
    out->networks = arena_dup(a, out->networks);
    db_rows_free(&r);
    const struct db_val of_key[] = {dbv_uuid(&out->id)};
    rc = row_each(s->main, domains_of_sql, of_key, COUNT(of_key), each_binding, &l.bindings, e);
    if (rc == 0 && (domains == NULL || out->networks.p == NULL))
        rc = err_set(e, ERR_LIMIT, "no room for an API key");
    if (rc == 0)
        out->ndomains = take_domains(&l, &out->id, domains);
    out->domains = domains;
    free(l.bindings.all);
    return rc;
}

struct finding {
    struct span text;
    struct uuid id;
    size_t      n;
};

#define SHORT_ID 8

static int each_name(void *arg, struct db_rows *r)
{
    struct finding *f = arg;
    struct uuid     id = col_uuid(r, 0);
    char            text[UUID_TEXT + 1];

    uuid_format(&id, text);
    if (!span_is_ci(f->text, text) && !span_is_ci(f->text, text + UUID_TEXT - SHORT_ID) &&
        !span_eq(f->text, db_text(r, 1)))
        return 0;
    f->id = id;
    f->n++;
    return 0;
}

int store_api_key_role(struct store *s, struct uuid id, struct uuid domain, enum role *out, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, role_sql, (struct db_val[]){dbv_uuid(&id), dbv_uuid(&domain)}, 2, &r, e);
    int             role;

    *out = ROLE_USER;
    if (rc <= 0)
        return rc;
    role = col_word(r, 0, role_words);
    *out = role < 0 ? ROLE_USER : (enum role)role;
    db_rows_free(&r);
    return 0;
}

int store_api_key_find(struct store *s, struct span text, struct uuid *id_out, struct err *e)
{
    struct finding f = {.text = text};

    if (row_each(s->main, names_sql, NULL, 0, each_name, &f, e) < 0)
        return -1;
    *id_out = f.id;
    if (f.n == 1)
        return 0;
    return f.n == 0 ? err_set(e, ERR_NOT_FOUND, "no such token: %.*s", SPAN_ARG(span_head(text, 80)))
                    : err_set(e, ERR_CONFLICT, "%zu tokens are called %.*s: say which by its id", f.n,
                              SPAN_ARG(span_head(text, 80)));
}
