/* lib/store/address.c - addresses of our domains, and to whom one leads. */
#include "store/address.h"

#include <stdio.h>

#include "store/audit.h"
#include "store/change.h"
#include "store/domain.h"
#include "store/row.h"

const char *const address_kind_words[] = {"mailbox", "alias", "list", "catchall", "sender", "group", NULL};

/* The longest local part of the three that may fit is the one that counts: exact, without tag, catch-all. */
static const char lead_sql[] =
    "SELECT a.kind, a.mailbox_id, m.account_id, m.enabled,"
    " (SELECT COUNT(*) FROM (SELECT 1 FROM address_target t WHERE t.address_id = a.id LIMIT 2) AS two),"
    " (SELECT MIN(t.target) FROM address_target t WHERE t.address_id = a.id), a.local"
    " FROM address a LEFT JOIN mailbox m ON m.id = a.mailbox_id"
    " WHERE a.domain_id = $1 AND a.local IN ($2, $3, '') AND a.enabled = 1 AND a.kind <> 'sender'"
    " ORDER BY LENGTH(a.local) DESC LIMIT 1";
static const char insert_sql[] =
    "INSERT INTO address (id, domain_id, local, kind, created_us) VALUES ($1, $2, $3, $4, $5)";
static const char insert_target_sql[] =
    "INSERT INTO address_target (address_id, target) VALUES ($1, $2) ON CONFLICT (address_id, target) DO NOTHING";
static const char delete_sql[] = "DELETE FROM address WHERE id = $1";

/* ---- resolving ---- */

static bool is_special(struct span local) { return span_is(local, "postmaster") || span_is(local, "abuse"); }

/* One step of the way from an address to a mailbox. */
struct step {
    struct store_domain domain;
    bool                ours, known;
    bool                leads; /* on to `next` */
    bool                special;
    char                next[STORE_ADDRESS_MAX + 1];
    enum address_kind   kind;
    bool                has_mailbox, has_account, enabled;
    struct uuid         mailbox, account;
    char                local[STORE_LOCAL_MAX + 1];
};

/* 1 the domain is ours and active, 0 not, -1. */
static int find_domain(struct store *s, struct span name, struct store_domain *out, struct err *e)
{
    struct err mine = ERR_INIT;

    if (store_domain_find(s, name, out, &mine) == 0)
        return out->state == DOMAIN_ACTIVE;
    if (mine.code == ERR_NOT_FOUND)
        return 0;
    if (e != NULL)
        *e = mine;
    return -1;
}

static void read_lead(struct db_rows *r, struct step *out)
{
    struct span target = db_text(r, 5);

    out->known = true;
    out->kind = (enum address_kind)col_word(r, 0, address_kind_words);
    out->has_mailbox = !db_is_null(r, 1);
    out->mailbox = col_uuid(r, 1);
    out->has_account = !db_is_null(r, 2);
    out->account = col_uuid(r, 2);
    out->enabled = db_i64(r, 3) != 0;
    col_str(r, 6, out->local, sizeof out->local);
    if ((out->kind == ADDRESS_ALIAS || out->kind == ADDRESS_CATCHALL) && db_i64(r, 4) == 1 &&
        target.n <= STORE_ADDRESS_MAX) {
        out->leads = true;
        col_str(r, 5, out->next, sizeof out->next);
    }
}

static int take_step(struct store *s, struct span address, struct step *out, struct err *e)
{
    size_t          at = span_rchr(address, '@');
    struct span     local = span_head(address, at), base = local;
    struct db_rows *r;
    int             rc;

    *out = (struct step){0};
    if (at == address.n || local.n == 0 || !is_storable(span_skip(address, at + 1)))
        return 0;
    if ((rc = find_domain(s, span_skip(address, at + 1), &out->domain, e)) <= 0)
        return rc;
    out->ours = true;
    if (out->domain.delimiter != '\0')
        base = span_head(local, span_chr(local, out->domain.delimiter));
    if (!is_storable(local)) /* nobody has it; the catch-all takes it like any other */
        local = base = SPAN("");
    out->special = is_special(local) || is_special(base);
    rc = row_first(s->main, lead_sql, (struct db_val[]){dbv_uuid(&out->domain.id), dbv_text(local), dbv_text(base)}, 3,
                   &r, e);
    if (rc <= 0)
        return rc;
    read_lead(r, out);
    db_rows_free(&r);
    return 0;
}

static void put_domain(struct store_resolved *out, const struct store_domain *d)
{
    out->domain = d->id;
    snprintf(out->domain_name, sizeof out->domain_name, "%s", d->name);
}

static void put_mailbox(struct store_resolved *out, const struct step *last)
{
    put_domain(out, &last->domain);
    out->has_mailbox = true;
    out->mailbox = last->mailbox;
    out->has_account = last->has_account;
    out->account = last->account;
    snprintf(out->mailbox_address, sizeof out->mailbox_address, "%s@%s", last->local, last->domain.name);
}

int store_resolve(struct store *s, struct span address, struct store_resolved *out, struct err *e)
{
    struct step step;
    char        next[STORE_ADDRESS_MAX + 1];

    *out = (struct store_resolved){0};
    if (take_step(s, address, &step, e) < 0)
        return -1;
    out->ours = step.ours;
    out->known = step.known;
    out->special = step.special;
    if (!step.ours)
        return 0;
    put_domain(out, &step.domain);
    for (int depth = 0; step.leads && depth < STORE_ALIAS_DEPTH; depth++) {
        memcpy(next, step.next, sizeof next);
        if (take_step(s, span_of(next), &step, e) < 0)
            return -1;
    }
    if (step.ours && step.has_mailbox && step.enabled)
        put_mailbox(out, &step);
    return 0;
}

/* ---- reading ---- */

/* The one place where the two databases have no word in common. */
#define JOIN_SQLITE "group_concat(x.target, char(10))"
#define JOIN_PGSQL "string_agg(x.target, chr(10))"
#define COLUMNS_BEFORE                                                                                                 \
    "SELECT a.id, a.domain_id, a.mailbox_id, a.kind, a.enabled, a.local, d.name, a.created_us, (SELECT "
#define COLUMNS_AFTER                                                                                                  \
    " FROM (SELECT t.target FROM address_target t WHERE t.address_id = a.id ORDER BY t.target) AS x)"                  \
    " FROM address a JOIN domain d ON d.id = a.domain_id"
#define WHERE_FIND " WHERE d.name = $1 AND a.local = $2"
#define WHERE_ID " WHERE a.id = $1"
#define WHERE_LIST " WHERE a.domain_id = $1 AND a.local >= $2 AND (a.local > $2 OR $3 = 1) ORDER BY a.local LIMIT $4"
static const char *const find_sql[] = {COLUMNS_BEFORE JOIN_SQLITE COLUMNS_AFTER WHERE_FIND,
                                       COLUMNS_BEFORE JOIN_PGSQL COLUMNS_AFTER  WHERE_FIND};
static const char *const get_sql[] = {COLUMNS_BEFORE JOIN_SQLITE COLUMNS_AFTER WHERE_ID,
                                      COLUMNS_BEFORE JOIN_PGSQL COLUMNS_AFTER  WHERE_ID};
static const char *const list_sql[] = {COLUMNS_BEFORE JOIN_SQLITE COLUMNS_AFTER WHERE_LIST,
                                       COLUMNS_BEFORE JOIN_PGSQL COLUMNS_AFTER  WHERE_LIST};

static void read_row(struct db_rows *r, struct store_address *out)
{
    *out = (struct store_address){
        .id = col_uuid(r, 0),
        .domain = col_uuid(r, 1),
        .mailbox = col_uuid(r, 2),
        .has_mailbox = !db_is_null(r, 2),
        .enabled = db_i64(r, 4) != 0,
        .local = db_text(r, 5),
        .domain_name = db_text(r, 6),
        .created_us = db_i64(r, 7),
        .targets = db_text(r, 8),
    };
    out->kind = (enum address_kind)col_word(r, 3, address_kind_words);
}

static int read_one(struct store *s, const char *sql, const struct db_val *keys, size_t n, struct arena *a,
                    struct store_address *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, sql, keys, n, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "address");
    read_row(r, out);
    out->local = arena_dup(a, out->local);
    out->domain_name = arena_dup(a, out->domain_name);
    out->targets = arena_dup(a, out->targets);
    db_rows_free(&r);
    return a->full ? err_set(e, ERR_LIMIT, "an address with too many targets") : 0;
}

int store_address_find(struct store *s, struct span address, struct arena *a, struct store_address *out, struct err *e)
{
    size_t        at = span_rchr(address, '@');
    struct db_val keys[] = {dbv_text(span_skip(address, at + 1)), dbv_text(span_head(address, at))};

    return read_one(s, find_sql[db_kind(s->main)], keys, COUNT(keys), a, out, e);
}

struct address_list {
    store_address_fn fn;
    void            *ctx;
};

static int each_address(void *arg, struct db_rows *r)
{
    struct address_list *l = arg;
    struct store_address a;

    read_row(r, &a);
    return l->fn(l->ctx, &a);
}

/* The catch-all's local part is empty, so "from the start" is not "after the empty one". */
int store_address_list(struct store *s, struct uuid domain, struct span after_local, size_t limit, store_address_fn fn,
                       void *ctx, struct err *e)
{
    struct address_list l = {fn, ctx};
    struct db_val       vals[] = {dbv_uuid(&domain), dbv_text(after_local), dbv_i64(after_local.p == NULL),
                                  dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->main, list_sql[db_kind(s->main)], vals, COUNT(vals), each_address, &l, e);
}

/* ---- changing ---- */

static int note(struct store *s, const struct actor *by, const char *action, const struct store_address *a,
                struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    json_add_string(&b, "local", a->local);
    json_add_string(&b, "domain", a->domain_name);
    json_add_str(&b, "kind", address_kind_words[a->kind]);
    json_add_string(&b, "targets", a->targets);
    json_close(&b, '}');
    rc = store_audit_note(s, by, action, "address", &a->id, store_scope_domain(a->domain), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

static int check(struct span local, enum address_kind kind, const struct span *targets, size_t ntargets, struct err *e)
{
    bool needs_targets = kind == ADDRESS_ALIAS || kind == ADDRESS_CATCHALL;

    if (kind == ADDRESS_MAILBOX)
        return err_set(e, ERR_INVALID, "a mailbox is added as a mailbox");
    if (kind == ADDRESS_CATCHALL && local.n > 0)
        return err_set(e, ERR_INVALID, "a catch-all has no local part");
    if (check_text(local, kind == ADDRESS_CATCHALL ? 0 : 1, STORE_LOCAL_MAX, "the local part", e) < 0)
        return -1;
    if (needs_targets && ntargets == 0)
        return err_set(e, ERR_INVALID, "it has to lead somewhere: name at least one target");
    if (ntargets > STORE_TARGETS_MAX)
        return err_set(e, ERR_LIMIT, "%zu targets, at most %d", ntargets, STORE_TARGETS_MAX);
    for (size_t i = 0; i < ntargets; i++) {
        if (check_text(targets[i], 3, STORE_ADDRESS_MAX, "a target", e) < 0)
            return -1;
        if (span_rchr(targets[i], '@') == targets[i].n)
            return err_set(e, ERR_INVALID, "the target %.*s is no address", SPAN_ARG(targets[i]));
    }
    return 0;
}

static int add_rows(struct store *s, struct uuid id, struct uuid domain, struct span local, enum address_kind kind,
                    const struct span *targets, size_t ntargets, struct err *e)
{
    if (db_run(s->main, insert_sql,
               (struct db_val[]){dbv_uuid(&id), dbv_uuid(&domain), dbv_text(local),
                                 dbv_word(address_kind_words, (int)kind), dbv_i64(clock_wall_us())},
               5, NULL, e) < 0)
        return kind == ADDRESS_CATCHALL ? say_conflict(e, "the domain has a catch-all already")
                                        : say_conflict(e, "the address %.*s exists already", SPAN_ARG(local));
    for (size_t i = 0; i < ntargets; i++)
        if (db_run(s->main, insert_target_sql, (struct db_val[]){dbv_uuid(&id), dbv_text(targets[i])}, 2, NULL, e) < 0)
            return -1;
    return 0;
}

static int note_id(struct store *s, const struct actor *by, const char *action, struct uuid id, struct err *e)
{
    struct arena         a;
    struct store_address row;
    int                  rc;

    arena_init(&a, STORE_TARGETS_MAX * (STORE_ADDRESS_MAX + 2) + 4096);
    rc = read_one(s, get_sql[db_kind(s->main)], (struct db_val[]){dbv_uuid(&id)}, 1, &a, &row, e);
    if (rc == 0 && row.kind == ADDRESS_MAILBOX)
        rc = err_set(e, ERR_INVALID, "this is a mailbox: delete it as one");
    if (rc == 0)
        rc = store_change_note(s, CHANGE_ADDRESS, store_scope_domain(row.domain), &id, e);
    if (rc == 0)
        rc = note(s, by, action, &row, e);
    arena_fini(&a);
    return rc;
}

static int add_in(struct store *s, const struct actor *by, struct uuid id, struct uuid domain, struct span local,
                  enum address_kind kind, const struct span *targets, size_t ntargets, struct err *e)
{
    struct store_domain d;

    if (store_domain_get(s, domain, &d, e) < 0)
        return -1;
    if (kind == ADDRESS_CATCHALL && d.kind == DOMAIN_SDR)
        return err_set(e, ERR_CONFLICT, "%s is split: its catch-all would take the mail of the other server's people",
                       d.name);
    if (add_rows(s, id, domain, local, kind, targets, ntargets, e) < 0)
        return -1;
    return note_id(s, by, "address.add", id, e);
}

int store_address_add(struct store *s, const struct actor *by, struct uuid domain, struct span local,
                      enum address_kind kind, const struct span *targets, size_t ntargets, struct uuid *id_out,
                      struct err *e)
{
    bool own;

    if (check(local, kind, targets, ntargets, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    *id_out = uuid7_make();
    return row_end(s, own, add_in(s, by, *id_out, domain, local, kind, targets, ntargets, e), e);
}

static int delete_in(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    if (note_id(s, by, "address.delete", id, e) < 0)
        return -1;
    return row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "address", e);
}

int store_address_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, delete_in(s, by, id, e), e);
}
