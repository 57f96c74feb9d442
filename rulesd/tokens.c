/* rulesd/tokens.c - see tokens.h. */
#include "tokens.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"

#define TABLE_MAX ((size_t)256 << 20)

/* One key with its hash. Its texts and domains are in the table's arena. */
struct known {
    struct store_api_key key;
    uint8_t              hash[API_KEY_HASH];
    _Atomic int64_t      used_us;
};

/* Immutable but for the uses; counted under the lock of struct tokens. */
struct token_table {
    struct tokens *owner;
    size_t         refs;
    struct arena   arena;
    struct map     by_hash;
    struct known **all;
    size_t         n, cap;
    int64_t        seq;
};

struct tokens {
    pthread_mutex_t     lock; /* guards table, and refs of every table */
    struct token_table *table;
    pthread_mutex_t     reading; /* one reads at a time */
};

static struct token_table *table_new(struct tokens *owner, int64_t seq)
{
    struct token_table *t = calloc(1, sizeof *t);

    if (t == NULL)
        panic("out of memory");
    t->owner = owner;
    t->refs = 1;
    t->seq = seq;
    arena_init(&t->arena, TABLE_MAX);
    map_init(&t->by_hash);
    return t;
}

static void table_free(struct token_table *t)
{
    map_fini(&t->by_hash);
    arena_fini(&t->arena);
    free(t->all);
    free(t);
}

static void table_drop(struct token_table *t)
{
    struct tokens *owner = t->owner;
    bool           last;

    pthread_mutex_lock(&owner->lock);
    last = --t->refs == 0;
    pthread_mutex_unlock(&owner->lock);
    if (last)
        table_free(t);
}

static struct token_table *table_hold(struct tokens *t)
{
    struct token_table *table;

    pthread_mutex_lock(&t->lock);
    table = t->table;
    table->refs++;
    pthread_mutex_unlock(&t->lock);
    return table;
}

struct tokens *tokens_new(void)
{
    struct tokens *t = calloc(1, sizeof *t);

    if (t == NULL)
        panic("out of memory");
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->reading, NULL);
    t->table = table_new(t, -1);
    return t;
}

void tokens_free(struct tokens **tp)
{
    struct tokens *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    table_drop(t->table);
    pthread_mutex_destroy(&t->reading);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- reading ---- */

static struct known *find(const struct token_table *t, const uint8_t *hash)
{
    return map_get(&t->by_hash, span_make(hash, API_KEY_HASH));
}

static int each_key(void *ctx, const struct store_api_key *k, const uint8_t hash[API_KEY_HASH])
{
    struct token_table *t = ctx;
    struct known       *known = arena_zalloc(&t->arena, sizeof *known);
    struct uuid        *domains = arena_array(&t->arena, k->ndomains + 1, sizeof *domains);

    if (k->revoked_us != 0)
        return 0;
    if (t->n == t->cap) {
        t->cap = t->cap > 0 ? 2 * t->cap : 64;
        if ((t->all = realloc(t->all, t->cap * sizeof(struct known *))) == NULL)
            panic("out of memory");
    }
    if (known == NULL || domains == NULL)
        return 1;
    known->key = *k;
    known->key.name = arena_dup(&t->arena, k->name);
    known->key.scopes = arena_dup(&t->arena, k->scopes);
    known->key.networks = arena_dup(&t->arena, k->networks);
    if (k->ndomains > 0)
        memcpy(domains, k->domains, k->ndomains * sizeof *domains);
    known->key.domains = domains;
    memcpy(known->hash, hash, API_KEY_HASH);
    t->all[t->n++] = known;
    map_put(&t->by_hash, span_make(known->hash, API_KEY_HASH), known);
    return t->arena.full;
}

/* Uses that were not written yet go on with the new table. */
static void carry_uses(const struct token_table *from, struct token_table *to)
{
    for (size_t i = 0; i < from->n; i++) {
        struct known *now = find(to, from->all[i]->hash);

        if (now != NULL)
            now->used_us = from->all[i]->used_us;
    }
}

static int read_anew(struct tokens *t, const struct token_table *was, struct store *s, int64_t seq, struct err *e)
{
    struct token_table *table = table_new(t, seq), *old;

    if (store_api_key_list(s, each_key, table, e) < 0 || table->arena.full) {
        bool full = table->arena.full;

        table_free(table);
        return full ? err_set(e, ERR_LIMIT, "there are too many tokens") : -1;
    }
    carry_uses(was, table);
    pthread_mutex_lock(&t->lock);
    old = t->table;
    t->table = table;
    pthread_mutex_unlock(&t->lock);
    table_drop(old);
    return 0;
}

static int write_uses(struct token_table *t, struct store *s, int64_t now_us, struct err *e)
{
    for (size_t i = 0; i < t->n; i++) {
        struct known *known = t->all[i];
        int64_t       used = known->used_us;

        if (used == 0 || used < known->key.last_used_us + TOKENS_USED_US)
            continue;
        if (store_api_key_used(s, known->key.id, used < now_us ? used : now_us, e) < 0)
            return -1;
        known->key.last_used_us = used; /* read and written by who reads alone */
    }
    return 0;
}

int tokens_refresh(struct tokens *t, struct store *s, int64_t seq, int64_t now_us, struct err *e)
{
    struct token_table *table;
    int                 rc = 0;

    if (s == NULL)
        return 0;
    pthread_mutex_lock(&t->reading);
    table = table_hold(t);
    if (table->seq < seq) {
        rc = read_anew(t, table, s, seq, e);
        table_drop(table);
        table = table_hold(t);
    }
    if (rc == 0)
        rc = write_uses(table, s, now_us, e);
    table_drop(table);
    pthread_mutex_unlock(&t->reading);
    return rc;
}

/* ---- asking ---- */

enum token_answer tokens_ask(struct tokens *t, struct span text, struct span scope, const struct peer *from,
                             int64_t now_us, struct token *out)
{
    uint8_t             hash[API_KEY_HASH];
    struct token_table *table;
    struct known       *known;
    enum token_answer   answer = TOKEN_OK;

    *out = (struct token){0};
    if (!api_key_hash(text, hash))
        return TOKEN_UNKNOWN;
    table = table_hold(t);
    known = find(table, hash);
    if (known == NULL || !api_key_holds(&known->key, from->is_unix ? NULL : &from->ip, now_us))
        answer = TOKEN_UNKNOWN;
    else if (scope.n > 0 && !api_key_has_scope(known->key.scopes, scope))
        answer = TOKEN_DENIED;
    if (answer != TOKEN_OK) {
        table_drop(table);
        return answer;
    }
    known->used_us = now_us;
    *out = (struct token){table, &known->key};
    return TOKEN_OK;
}

void token_drop(struct token *k)
{
    if (k->table != NULL)
        table_drop(k->table);
    *k = (struct token){0};
}

size_t tokens_count(struct tokens *t)
{
    struct token_table *table = table_hold(t);
    size_t              n = table->n;

    table_drop(table);
    return n;
}
