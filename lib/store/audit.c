/* lib/store/audit.c - the audit log: rows in a chain a node. */
#include "store/audit.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/audit_name.h"
#include "store/row.h"

#define NODES_MAX 1000

static const char *const actor_kind_words[] = {"system", "operator", "account", "api_key", NULL};

static const char node_find_sql[] = "SELECT id FROM node WHERE name = $1";
static const char node_add_sql[] =
    "INSERT INTO node (id, name, created_us) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
static const char node_take_sql[] =
    "UPDATE node SET audit_seq = audit_seq + 1 WHERE id = $1 RETURNING audit_seq, audit_hash";
static const char node_put_sql[] = "UPDATE node SET audit_hash = $2 WHERE id = $1";
static const char node_head_sql[] = "SELECT audit_seq, audit_hash FROM node WHERE id = $1";
static const char node_list_sql[] = "SELECT id, audit_seq, audit_hash, name FROM node ORDER BY id LIMIT 1000";
static const char insert_sql[] =
    "INSERT INTO audit (node_id, seq, at_us, actor_kind, actor_id, actor_name, acting_for, source, action, object_kind,"
    " object_id, scope_kind, scope_id, payload, payload_sha256, previous, hash)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
#define COLUMNS                                                                                                        \
    "node_id, seq, at_us, actor_kind, actor_id, actor_name, acting_for, source, action, object_kind, object_id,"       \
    " scope_kind, scope_id, payload, payload_sha256, previous, hash"
static const char list_sql[] = "SELECT " COLUMNS " FROM audit WHERE at_us < $1 ORDER BY at_us DESC, seq DESC LIMIT $2";
static const char list_scope_sql[] = "SELECT " COLUMNS
                                     " FROM audit WHERE scope_kind = $3 AND scope_id = $4 AND at_us < $1"
                                     " ORDER BY at_us DESC, seq DESC LIMIT $2";
/* $1 … $3 where the last page ended, $4 part of the actor's name, $5 action, $6 since, $7 until, $8 how many. Text is looked for in a way
 * that both databases have: what is gone when it is replaced was there. */
#define FOUND                                                                                                          \
    " (at_us < $1 OR (at_us = $1 AND (seq < $2 OR (seq = $2 AND node_id < $3))))"                                      \
    " AND ($4 = '' OR replace(lower(actor_name), $4, '') <> lower(actor_name))"                                        \
    " AND ($5 = '' OR action = $5 OR substr(action, 1, length($5) + 1) = $5 || '.')"                                   \
    " AND at_us >= $6 AND at_us < $7 ORDER BY at_us DESC, seq DESC, node_id DESC LIMIT $8"
#define MAILBOXES "scope_kind = 'mailbox' AND scope_id IN (SELECT id FROM mailbox WHERE "
static const char find_all_sql[] = "SELECT " COLUMNS " FROM audit WHERE" FOUND;
static const char find_mailbox_sql[] = "SELECT " COLUMNS
                                       " FROM audit WHERE scope_kind = 'mailbox' AND scope_id = $9 AND" FOUND;
static const char find_domain_sql[] = "SELECT " COLUMNS " FROM audit WHERE ((scope_kind = 'domain' AND scope_id = $9)"
                                      " OR (" MAILBOXES "domain_id = $9))) AND" FOUND;
static const char find_person_sql[] = "SELECT " COLUMNS " FROM audit WHERE ((" MAILBOXES "account_id = $9))"
                                      " OR actor_id = $9 OR object_id = $9"
                                      " OR object_id IN (SELECT id FROM mailbox WHERE account_id = $9)) AND" FOUND;
static const char find_looked_sql[] = "SELECT " COLUMNS " FROM audit WHERE " MAILBOXES "account_id = $9)"
                                      " AND (action = 'body.open' OR substr(action, 1, 11) = 'quarantine.')"
                                      " AND actor_kind <> 'system' AND actor_id <> $9 AND" FOUND;
static const char chain_sql[] = "SELECT " COLUMNS " FROM audit WHERE node_id = $1 AND seq <= $2 ORDER BY seq";
static const char erase_sql[] = "UPDATE audit SET payload = NULL WHERE node_id = $1 AND seq = $2";

/* ---- the hash of a row ---- */

/* Each field with its length before it, so that no two rows have the same bytes. */
static void add_field(crypto_hash_sha256_state *h, struct span s)
{
    uint8_t n[8];

    for (int i = 0; i < 8; i++)
        n[i] = (uint8_t)((uint64_t)s.n >> (56 - 8 * i));
    crypto_hash_sha256_update(h, n, sizeof n);
    if (s.n > 0)
        crypto_hash_sha256_update(h, (const unsigned char *)s.p, s.n);
}

static void add_i64(crypto_hash_sha256_state *h, int64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)v);
    add_field(h, span_of(text));
}

static void add_uuid(crypto_hash_sha256_state *h, const struct uuid *u) { add_field(h, span_make(u->b, sizeof u->b)); }

static void row_hash(const struct store_audit_row *r, uint8_t out[32])
{
    crypto_hash_sha256_state h;

    crypto_hash_sha256_init(&h);
    add_field(&h, span_make(r->previous, 32));
    add_uuid(&h, &r->node);
    add_i64(&h, r->seq);
    add_i64(&h, r->at_us);
    add_field(&h, span_of(actor_kind_words[r->actor_kind]));
    add_uuid(&h, &r->actor);
    add_field(&h, r->actor_name);
    add_field(&h, r->acting_for);
    add_field(&h, r->source);
    add_field(&h, r->action);
    add_field(&h, r->object_kind);
    add_field(&h, r->has_object ? span_make(r->object.b, 16) : SPAN_NONE);
    add_field(&h, span_of(scope_kind_words[r->scope.kind]));
    add_uuid(&h, &r->scope.id);
    add_field(&h, span_make(r->payload_sha256, 32));
    crypto_hash_sha256_final(&h, out);
}

static void payload_hash(struct span payload, uint8_t out[32])
{
    crypto_hash_sha256(out, (const unsigned char *)(payload.p ? payload.p : ""), payload.n);
}

/* ---- writing ---- */

static void own_name(char out[256])
{
    snprintf(out, 256, "localhost");
    gethostname(out, 255);
    out[255] = '\0';
}

/* 1, 0 not there yet, -1. */
static int find_node(struct store *s, struct uuid *out, struct err *e)
{
    char            name[256];
    struct db_rows *r;
    int             rc;

    own_name(name);
    if ((rc = row_first(s->main, node_find_sql, (struct db_val[]){dbv_str(name)}, 1, &r, e)) <= 0)
        return rc;
    *out = col_uuid(r, 0);
    db_rows_free(&r);
    return 1;
}

int store_node(struct store *s, struct uuid *out, struct err *e)
{
    char        name[256];
    struct uuid id = uuid7_make();
    int         rc;

    if ((rc = find_node(s, out, e)) != 0)
        return rc < 0 ? -1 : 0;
    own_name(name);
    if (db_run(s->main, node_add_sql, (struct db_val[]){dbv_uuid(&id), dbv_str(name), dbv_i64(clock_wall_us())}, 3,
               NULL, e) < 0)
        return -1;
    /* Another process of this host may have been first. */
    if ((rc = find_node(s, out, e)) == 0)
        return err_set(e, ERR_CORRUPT, "this node's row cannot be found");
    return rc < 0 ? -1 : 0;
}

static void copy_hash(struct span s, uint8_t out[32])
{
    memset(out, 0, 32);
    if (s.n == 32)
        memcpy(out, s.p, 32);
}

/* The next number of our chain and the hash before it. Holds the node's row until the transaction ends. */
static int take_place(struct store *s, struct store_audit_row *row, struct err *e)
{
    struct db_rows *r;
    int             rc;

    if (store_node(s, &row->node, e) < 0)
        return -1;
    if ((rc = row_first(s->main, node_take_sql, (struct db_val[]){dbv_uuid(&row->node)}, 1, &r, e)) <= 0)
        return rc < 0 ? -1 : err_set(e, ERR_CORRUPT, "this node's row is gone");
    row->seq = db_i64(r, 0);
    copy_hash(db_text(r, 1), row->previous);
    db_rows_free(&r);
    return 0;
}

static int put_row(struct store *s, const struct store_audit_row *r, struct err *e)
{
    struct db_val vals[] = {
        dbv_uuid(&r->node),
        dbv_i64(r->seq),
        dbv_i64(r->at_us),
        dbv_word(actor_kind_words, (int)r->actor_kind),
        dbv_uuid(&r->actor),
        dbv_text(r->actor_name),
        r->acting_for.p ? dbv_text(r->acting_for) : DBV_NULL,
        dbv_text(r->source),
        dbv_text(r->action),
        dbv_text(r->object_kind),
        dbv_uuid_or_null(r->has_object ? &r->object : NULL),
        dbv_word(scope_kind_words, (int)r->scope.kind),
        dbv_uuid(&r->scope.id),
        dbv_text(r->payload),
        dbv_bytes(r->payload_sha256, 32),
        dbv_bytes(r->previous, 32),
        dbv_bytes(r->hash, 32),
    };

    if (db_run(s->main, insert_sql, vals, COUNT(vals), NULL, e) < 0)
        return -1;
    return db_run(s->main, node_put_sql, (struct db_val[]){dbv_uuid(&r->node), dbv_bytes(r->hash, 32)}, 2, NULL, e);
}

static int put_in_place(struct store *s, struct store_audit_row *row, struct err *e)
{
    payload_hash(row->payload, row->payload_sha256);
    if (take_place(s, row, e) < 0)
        return -1;
    row_hash(row, row->hash);
    return put_row(s, row, e);
}

static int note_in(struct store *s, struct store_audit_row *row, const char *kind, struct err *e)
{
    struct buf named;
    int        rc;

    buf_init(&named, PAYLOAD_MAX + 4096);
    rc = audit_put_named(s, kind, row->has_object ? &row->object : NULL, row->scope, row->payload, &named, e);
    row->payload = buf_span(&named);
    if (rc == 0)
        rc = put_in_place(s, row, e);
    buf_fini(&named);
    return rc;
}

int store_audit_note(struct store *s, const struct actor *by, const char *action, const char *object_kind,
                     const struct uuid *object, struct store_scope scope, struct span payload, struct err *e)
{
    struct store_audit_row row = {
        .at_us = clock_wall_us(),
        .actor_kind = by->kind,
        .actor = by->id,
        .actor_name = span_of(by->name ? by->name : ""),
        .acting_for = span_of(by->acting_for),
        .source = span_of(by->source ? by->source : ""),
        .action = span_of(action),
        .object_kind = span_of(object_kind),
        .has_object = object != NULL,
        .scope = scope,
        .payload = payload.p ? payload : SPAN("{}"),
    };
    bool mine;

    if (object != NULL)
        row.object = *object;
    if (row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, note_in(s, &row, object_kind, e), e);
}

int store_audit_erase(struct store *s, const struct actor *by, struct uuid node, int64_t seq, struct err *e)
{
    char payload[64];
    bool mine;
    int  rc;

    snprintf(payload, sizeof payload, "{\"number\":%lld}", (long long)seq);
    if (row_begin(s, &mine, e) < 0)
        return -1;
    rc = row_change_one(s, erase_sql, (struct db_val[]){dbv_uuid(&node), dbv_i64(seq)}, 2, "audit row", e);
    if (rc == 0)
        rc = store_audit_note(s, by, "audit.erase", "audit", &node, STORE_SCOPE_GLOBAL, span_of(payload), e);
    return row_end(s, mine, rc, e);
}

/* ---- reading ---- */

static void read_row(struct db_rows *r, struct store_audit_row *out)
{
    *out = (struct store_audit_row){
        .node = col_uuid(r, 0),
        .seq = db_i64(r, 1),
        .at_us = db_i64(r, 2),
        .actor = col_uuid(r, 4),
        .actor_name = db_text(r, 5),
        .acting_for = db_text(r, 6),
        .source = db_text(r, 7),
        .action = db_text(r, 8),
        .object_kind = db_text(r, 9),
        .has_object = !db_is_null(r, 10),
        .object = col_uuid(r, 10),
        .payload = db_is_null(r, 13) ? SPAN_NONE : db_text(r, 13),
    };
    out->actor_kind = (enum actor_kind)col_word(r, 3, actor_kind_words);
    out->scope.kind = (enum scope_kind)col_word(r, 11, scope_kind_words);
    out->scope.id = col_uuid(r, 12);
    copy_hash(db_text(r, 14), out->payload_sha256);
    copy_hash(db_text(r, 15), out->previous);
    copy_hash(db_text(r, 16), out->hash);
}

int store_audit_head(struct store *s, int64_t *seq_out, uint8_t hash_out[32], struct err *e)
{
    struct db_rows *r;
    struct uuid     node;
    int             rc;

    *seq_out = 0;
    memset(hash_out, 0, 32);
    if ((rc = find_node(s, &node, e)) <= 0)
        return rc;
    if ((rc = row_first(s->main, node_head_sql, (struct db_val[]){dbv_uuid(&node)}, 1, &r, e)) <= 0)
        return rc;
    *seq_out = db_i64(r, 0);
    copy_hash(db_text(r, 1), hash_out);
    db_rows_free(&r);
    return 0;
}

struct audit_list {
    store_audit_fn fn;
    void          *ctx;
};

static int each_row(void *arg, struct db_rows *r)
{
    struct audit_list     *l = arg;
    struct store_audit_row row;

    read_row(r, &row);
    return l->fn(l->ctx, &row);
}

int store_audit_list(struct store *s, const struct store_scope *scope, int64_t before_us, size_t limit,
                     store_audit_fn fn, void *ctx, struct err *e)
{
    struct audit_list l = {fn, ctx};
    struct db_val     vals[4] = {dbv_i64(before_us), dbv_i64((int64_t)page_limit(limit))};

    if (scope == NULL)
        return row_each(s->main, list_sql, vals, 2, each_row, &l, e);
    vals[2] = dbv_word(scope_kind_words, (int)scope->kind);
    vals[3] = dbv_uuid(&scope->id);
    return row_each(s->main, list_scope_sql, vals, 4, each_row, &l, e);
}

int store_audit_find(struct store *s, const struct store_audit_query *q, store_audit_fn fn, void *ctx, struct err *e)
{
    static const char *const of_scope[] = {
        [SCOPE_GLOBAL] = find_all_sql, [SCOPE_DOMAIN] = find_domain_sql, [SCOPE_MAILBOX] = find_mailbox_sql};
    const char *const sql[] = {[AUDIT_ALL] = find_all_sql,
                               [AUDIT_SCOPE] = of_scope[q->scope.kind],
                               [AUDIT_PERSON] = find_person_sql,
                               [AUDIT_LOOKED] = find_looked_sql};
    struct audit_list l = {fn, ctx};
    struct db_val     vals[] = {dbv_i64(q->before_us > 0 ? q->before_us : INT64_MAX),
                                dbv_i64(q->before_seq),
                                dbv_uuid(&q->before_node),
                                dbv_text(q->actor.n > 0 ? q->actor : SPAN("")),
                                dbv_text(q->action.n > 0 ? q->action : SPAN("")),
                                dbv_i64(q->since_us),
                                dbv_i64(q->until_us > 0 ? q->until_us : INT64_MAX),
                                dbv_i64((int64_t)page_limit(q->limit)),
                                dbv_uuid(q->where == AUDIT_SCOPE ? &q->scope.id : &q->of)};
    bool              all = sql[q->where] == find_all_sql;

    return row_each(s->main, sql[q->where], vals, COUNT(vals) - all, each_row, &l, e);
}

/* ---- proving ---- */

/* One node as its row says it should end, and how far the walk has come. */
struct chain {
    struct uuid                  node;
    int64_t                      seq_end;
    uint8_t                      hash_end[32];
    char                         name[64];
    int64_t                      seq; /* of the row before */
    uint8_t                      hash[32];
    struct store_audit_verified *out;
};
struct chain_list {
    struct chain chains[NODES_MAX];
    size_t       n;
};

static int each_node(void *arg, struct db_rows *r)
{
    struct chain_list *l = arg;
    struct chain      *c = &l->chains[l->n];

    if (l->n == NODES_MAX)
        return 1;
    c->node = col_uuid(r, 0);
    c->seq_end = db_i64(r, 1);
    copy_hash(db_text(r, 2), c->hash_end);
    col_str(r, 3, c->name, sizeof c->name);
    l->n++;
    return 0;
}

/* What is wrong with this row as the successor of what c has seen, or NULL. */
static const char *fault_of(const struct chain *c, const struct store_audit_row *row)
{
    uint8_t hash[32];

    if (row->seq != c->seq + 1)
        return "does not follow: rows are missing before it";
    if (memcmp(row->previous, c->hash, 32) != 0)
        return "does not continue the chain: the row before it was changed";
    if ((int)row->actor_kind < 0 || (int)row->scope.kind < 0)
        return "has a word that was never written";
    row_hash(row, hash);
    if (memcmp(row->hash, hash, 32) != 0)
        return "was changed";
    if (row->payload.p != NULL) {
        payload_hash(row->payload, hash);
        if (memcmp(row->payload_sha256, hash, 32) != 0)
            return "had its payload changed";
    }
    return NULL;
}

static int each_link(void *arg, struct db_rows *r)
{
    struct chain          *c = arg;
    struct store_audit_row row;
    const char            *fault;

    read_row(r, &row);
    c->out->rows++;
    c->out->erased += row.payload.p == NULL;
    if ((fault = fault_of(c, &row)) != NULL) {
        snprintf(c->out->broken, sizeof c->out->broken, "node %s, number %lld %s", c->name, (long long)row.seq, fault);
        return 1;
    }
    c->seq = row.seq;
    memcpy(c->hash, row.hash, 32);
    return 0;
}

static int walk(struct store *s, struct chain *c, struct err *e)
{
    if (row_each(s->main, chain_sql, (struct db_val[]){dbv_uuid(&c->node), dbv_i64(c->seq_end)}, 2, each_link, c, e) <
        0)
        return -1;
    c->out->nodes++;
    if (c->out->broken[0] == '\0' && (c->seq != c->seq_end || memcmp(c->hash, c->hash_end, 32) != 0))
        snprintf(c->out->broken, sizeof c->out->broken, "node %s ends at number %lld, its row says %lld", c->name,
                 (long long)c->seq, (long long)c->seq_end);
    return 0;
}

/* What is written meanwhile lies behind the ends that were read first, and is left for the next time. */
int store_audit_verify(struct store *s, struct store_audit_verified *out, struct err *e)
{
    struct chain_list *l = calloc(1, sizeof *l);
    int                rc;

    if (l == NULL)
        panic("out of memory");
    *out = (struct store_audit_verified){0};
    rc = row_each(s->main, node_list_sql, NULL, 0, each_node, l, e);
    for (size_t i = 0; rc == 0 && i < l->n && out->broken[0] == '\0'; i++) {
        l->chains[i].out = out;
        rc = walk(s, &l->chains[i], e);
    }
    free(l);
    return rc;
}
