/* lib/store/setting.c - thresholds and settings. */
#include "store/setting.h"

#include <math.h>

#include "store/api_key.h"
#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

const struct thresholds store_thresholds_built_in = {.reject = 15, .add_header = 6, .greylist = 4};
const char *const       disposition_words[] = {"tag", "quarantine", "discard", "reject", NULL};
const enum action       disposition_actions[] = {ACTION_TAG, ACTION_QUARANTINE, ACTION_DISCARD, ACTION_REJECT};
enum { DISPOSE_TAG, DISPOSE_REJECT = 3 }; /* indexes of the two */
const char *const enrol_words[] = {"listed", "delivered", "closed", NULL};

const struct store_setting store_setting_built_in = {
    .reject = 15,
    .add_header = 6,
    .greylist = 4,
    .at_block = DISPOSE_REJECT,
    .at_reject = DISPOSE_REJECT,
    .at_add_header = DISPOSE_TAG,
    .greylisting = 0,
    .regex_role = ROLE_OWNER,
    .mailbox_thresholds = 0,
    .rules_max = 5000,
    .mailbox_rules_max = 500,
    .enrol = ENROL_LISTED,
};

#define COLUMNS                                                                                                        \
    "reject, add_header, greylist, at_block, at_reject, at_add_header, greylisting, regex_role, mailbox_thresholds, "  \
    "rules_max, mailbox_rules_max, retention_days, held_max, mailbox_held_max, copies, enrol"
#define COLUMNS_N 16
static const char get_sql[] = "SELECT " COLUMNS " FROM setting WHERE scope_kind = $1 AND scope_id = $2";
/* All that may hold for a mailbox, or a domain. */
static const char layers_sql[] = "SELECT " COLUMNS ", scope_kind FROM setting WHERE (scope_kind = 'global'"
                                 " AND scope_id = $1) OR (scope_kind = 'domain' AND scope_id = $2)"
                                 " OR (scope_kind = 'mailbox' AND scope_id = $3)";
static const char put_sql[] =
    "INSERT INTO setting (scope_kind, scope_id, domain_id, mailbox_id, " COLUMNS ", updated_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)"
    " ON CONFLICT (scope_kind, scope_id) DO UPDATE SET reject = excluded.reject, add_header = excluded.add_header,"
    " greylist = excluded.greylist, at_block = excluded.at_block, at_reject = excluded.at_reject,"
    " at_add_header = excluded.at_add_header, greylisting = excluded.greylisting,"
    " regex_role = excluded.regex_role, mailbox_thresholds = excluded.mailbox_thresholds,"
    " rules_max = excluded.rules_max, mailbox_rules_max = excluded.mailbox_rules_max,"
    " retention_days = excluded.retention_days, held_max = excluded.held_max,"
    " mailbox_held_max = excluded.mailbox_held_max, copies = excluded.copies, enrol = excluded.enrol,"
    " updated_us = excluded.updated_us";
static const char domain_sql[] = "SELECT d.name, d.state, d.route, b.name, b.prefix FROM domain d"
                                 " LEFT JOIN brand b ON b.id = d.brand_id WHERE d.id = $1";
static const char assigned_sql[] =
    "SELECT p.id FROM policy_assignment a JOIN policy p ON p.id = a.policy_id"
    " WHERE a.domain_id = $1 AND p.enabled = 1 AND p.scope_kind = 'global' ORDER BY p.id";
static const char assigned_count_sql[] = "SELECT COUNT(*) FROM policy_assignment WHERE domain_id = $1";
static const char mailbox_sql[] = "SELECT domain_id, enabled FROM mailbox WHERE id = $1";
/* Every row that inherits from global, with what lies between: of one domain, or ($2 is 1) of all. */
static const char heirs_sql[] =
    "SELECT d.name, s.scope_kind, s.reject, s.add_header, s.greylist, t.reject, t.add_header, t.greylist,"
    " t.mailbox_thresholds"
    " FROM setting s LEFT JOIN mailbox m ON m.id = s.mailbox_id"
    " JOIN domain d ON d.id = COALESCE(s.domain_id, m.domain_id)"
    " LEFT JOIN setting t ON t.scope_kind = 'domain' AND t.scope_id = d.id AND s.scope_kind = 'mailbox'"
    " WHERE s.scope_kind <> 'global' AND (d.id = $1 OR $2 = 1)";

/* ---- reading ---- */

static double  col_f64(struct db_rows *r, int column) { return db_is_null(r, column) ? NAN : db_f64(r, column); }
static int     col_bool(struct db_rows *r, int column) { return db_is_null(r, column) ? -1 : db_i64(r, column) != 0; }
static int64_t col_i64(struct db_rows *r, int column) { return db_is_null(r, column) ? -1 : db_i64(r, column); }

static struct store_setting read_row(struct db_rows *r)
{
    return (struct store_setting){
        .reject = col_f64(r, 0),
        .add_header = col_f64(r, 1),
        .greylist = col_f64(r, 2),
        .at_block = col_word(r, 3, disposition_words),
        .at_reject = col_word(r, 4, disposition_words),
        .at_add_header = col_word(r, 5, disposition_words),
        .greylisting = col_bool(r, 6),
        .regex_role = col_word(r, 7, role_words),
        .mailbox_thresholds = col_bool(r, 8),
        .rules_max = col_i64(r, 9),
        .mailbox_rules_max = col_i64(r, 10),
        .retention_days = col_i64(r, 11),
        .held_max = col_i64(r, 12),
        .mailbox_held_max = col_i64(r, 13),
        .copies = col_bool(r, 14),
        .enrol = col_word(r, 15, enrol_words),
    };
}

int store_setting_get(struct store *s, struct store_scope scope, struct store_setting *out, struct err *e)
{
    struct db_val   keys[] = {dbv_word(scope_kind_words, (int)scope.kind), dbv_uuid(&scope.id)};
    struct db_rows *r;
    int             rc = row_first(s->main, get_sql, keys, COUNT(keys), &r, e);

    *out = STORE_SETTING_NONE;
    if (rc <= 0)
        return rc;
    *out = read_row(r);
    db_rows_free(&r);
    return 0;
}

static double  over_f64(double base, double own) { return isnan(own) ? base : own; }
static int     over_int(int base, int own) { return own < 0 ? base : own; }
static int64_t over_i64(int64_t base, int64_t own) { return own < 0 ? base : own; }

/* What holds where `own` is set over `base`. */
static struct store_setting over(struct store_setting base, const struct store_setting *own)
{
    base.reject = over_f64(base.reject, own->reject);
    base.add_header = over_f64(base.add_header, own->add_header);
    base.greylist = over_f64(base.greylist, own->greylist);
    base.at_block = over_int(base.at_block, own->at_block);
    base.at_reject = over_int(base.at_reject, own->at_reject);
    base.at_add_header = over_int(base.at_add_header, own->at_add_header);
    base.greylisting = over_int(base.greylisting, own->greylisting);
    base.regex_role = over_int(base.regex_role, own->regex_role);
    base.mailbox_thresholds = over_int(base.mailbox_thresholds, own->mailbox_thresholds);
    base.rules_max = over_i64(base.rules_max, own->rules_max);
    base.mailbox_rules_max = over_i64(base.mailbox_rules_max, own->mailbox_rules_max);
    base.retention_days = over_i64(base.retention_days, own->retention_days);
    base.held_max = over_i64(base.held_max, own->held_max);
    base.mailbox_held_max = over_i64(base.mailbox_held_max, own->mailbox_held_max);
    base.copies = over_int(base.copies, own->copies);
    base.enrol = over_int(base.enrol, own->enrol);
    return base;
}

/* The rows of a domain and a mailbox of it, with the global one: by enum scope_kind. */
struct layers {
    struct store_setting of[SCOPE_MAILBOX + 1];
};

static int each_layer(void *ctx, struct db_rows *r)
{
    struct layers *l = ctx;
    int            kind = col_word(r, COLUMNS_N, scope_kind_words);

    if (kind >= 0)
        l->of[kind] = read_row(r);
    return 0;
}

/* What is asked for by NULL is not set. */
static int read_layers(struct store *s, const struct uuid *domain, const struct uuid *mailbox, struct layers *out,
                       struct err *e)
{
    const struct store_scope global = STORE_SCOPE_GLOBAL;

    *out = (struct layers){{STORE_SETTING_NONE, STORE_SETTING_NONE, STORE_SETTING_NONE}};
    return row_each(s->main, layers_sql,
                    (struct db_val[]){dbv_uuid(&global.id), dbv_uuid_or_null(domain), dbv_uuid_or_null(mailbox)}, 3,
                    each_layer, out, e);
}

static struct store_setting holds(const struct layers *l)
{
    struct store_setting x = over(store_setting_built_in, &l->of[SCOPE_GLOBAL]);

    return over(x, &l->of[SCOPE_DOMAIN]);
}

int store_setting_holds(struct store *s, const struct uuid *domain, struct store_setting *out, struct err *e)
{
    struct layers l;

    if (read_layers(s, domain, NULL, &l, e) < 0)
        return -1;
    *out = holds(&l);
    return 0;
}

static struct thresholds thresholds_of(const struct store_setting *x)
{
    return (struct thresholds){.reject = x->reject, .add_header = x->add_header, .greylist = x->greylist};
}

struct assigned_list {
    struct uuid *ids;
    size_t       n, max;
};

static int each_assigned(void *arg, struct db_rows *r)
{
    struct assigned_list *l = arg;

    if (l->n == l->max)
        return 1;
    l->ids[l->n++] = col_uuid(r, 0);
    return 0;
}

static int read_assigned(struct store *s, const struct uuid *domain, struct arena *a, struct store_domain_view *out,
                         struct err *e)
{
    struct db_val        key = dbv_uuid(domain);
    struct assigned_list l = {0};
    int64_t              n = 0;

    if (row_i64(s->main, assigned_count_sql, &key, 1, &n, e) < 0)
        return -1;
    if (n == 0)
        return 0;
    l.max = (size_t)n;
    if ((l.ids = arena_array(a, l.max, sizeof *l.ids)) == NULL)
        return err_set(e, ERR_LIMIT, "%lld policies are assigned to a domain: too many", (long long)n);
    if (row_each(s->main, assigned_sql, &key, 1, each_assigned, &l, e) < 0)
        return -1;
    out->assigned = l.ids;
    out->nassigned = l.n;
    return 0;
}

static int read_domain(struct store *s, const struct uuid *domain, struct store_domain_view *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, domain_sql, (struct db_val[]){dbv_uuid(domain)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "domain");
    out->id = *domain;
    col_str(r, 0, out->name, sizeof out->name);
    out->active = span_is(db_text(r, 1), "active");
    col_str(r, 2, out->route, sizeof out->route);
    col_str(r, 3, out->brand, sizeof out->brand);
    col_str(r, 4, out->prefix, sizeof out->prefix);
    db_rows_free(&r);
    return 0;
}

int store_domain_view(struct store *s, const struct uuid *domain, struct arena *a, struct store_domain_view *out,
                      struct err *e)
{
    struct store_setting x;

    *out = (struct store_domain_view){.active = true};
    if (domain != NULL && (read_domain(s, domain, out, e) < 0 || read_assigned(s, domain, a, out, e) < 0))
        return -1;
    if (store_setting_holds(s, domain, &x, e) < 0)
        return -1;
    out->thresholds = thresholds_of(&x);
    out->dispositions = (struct dispositions){.at_block = disposition_actions[x.at_block],
                                              .at_reject = disposition_actions[x.at_reject],
                                              .at_add_header = disposition_actions[x.at_add_header]};
    out->greylisting = x.greylisting == 1;
    out->mailbox_thresholds = x.mailbox_thresholds == 1;
    out->regex_role = (enum role)x.regex_role;
    out->rules_max = x.rules_max;
    out->mailbox_rules_max = x.mailbox_rules_max;
    out->retention_days = x.retention_days;
    out->held_max = x.held_max;
    out->mailbox_held_max = x.mailbox_held_max;
    out->copies = x.copies == 1;
    return 0;
}

int store_mailbox_view(struct store *s, struct uuid mailbox, struct store_mailbox_view *out, struct err *e)
{
    struct store_setting x;
    struct layers        l;
    struct db_rows      *r;
    int                  rc = row_first(s->main, mailbox_sql, (struct db_val[]){dbv_uuid(&mailbox)}, 1, &r, e);

    *out = (struct store_mailbox_view){.id = mailbox};
    if (rc <= 0)
        return no_such(rc, e, "mailbox");
    out->domain = col_uuid(r, 0);
    out->enabled = db_i64(r, 1) != 0;
    db_rows_free(&r);
    if (read_layers(s, &out->domain, &mailbox, &l, e) < 0)
        return -1;
    x = holds(&l);
    if (x.mailbox_thresholds == 1)
        x = over(x, &l.of[SCOPE_MAILBOX]);
    out->thresholds = thresholds_of(&x);
    return 0;
}

int store_may_regex(struct store *s, const struct actor *by, struct store_scope scope, bool *out, struct err *e)
{
    struct store_mailbox_view mailbox = {.domain = scope.id};
    struct store_setting      x;
    enum role                 role;

    *out = by->admin;
    if (by->admin || scope.kind == SCOPE_GLOBAL || (by->kind != ACTOR_ACCOUNT && by->kind != ACTOR_API_KEY))
        return 0;
    if (scope.kind == SCOPE_MAILBOX && store_mailbox_view(s, scope.id, &mailbox, e) < 0)
        return -1;
    if (store_setting_holds(s, &mailbox.domain, &x, e) < 0 ||
        (by->kind == ACTOR_API_KEY ? store_api_key_role(s, by->id, mailbox.domain, &role, e)
                                   : store_role_of(s, by->id, mailbox.domain, &role, e)) < 0)
        return -1;
    *out = (int)role >= x.regex_role;
    return 0;
}

/* ---- changing ---- */

static void put_payload(struct buf *b, const char *key, const struct store_setting *x)
{
    json_open(b, key, '{');
    json_add_f64(b, "reject", x->reject);
    json_add_f64(b, "add_header", x->add_header);
    json_add_f64(b, "greylist", x->greylist);
    if (x->at_block >= 0)
        json_add_str(b, "at_block", disposition_words[x->at_block]);
    if (x->at_reject >= 0)
        json_add_str(b, "at_reject", disposition_words[x->at_reject]);
    if (x->at_add_header >= 0)
        json_add_str(b, "at_add_header", disposition_words[x->at_add_header]);
    if (x->greylisting >= 0)
        json_add_bool(b, "greylisting", x->greylisting == 1);
    if (x->regex_role >= 0)
        json_add_str(b, "regex_role", role_words[x->regex_role]);
    if (x->mailbox_thresholds >= 0)
        json_add_bool(b, "mailbox_thresholds", x->mailbox_thresholds == 1);
    if (x->rules_max >= 0)
        json_add_i64(b, "rules_max", x->rules_max);
    if (x->mailbox_rules_max >= 0)
        json_add_i64(b, "mailbox_rules_max", x->mailbox_rules_max);
    if (x->retention_days >= 0)
        json_add_i64(b, "retention_days", x->retention_days);
    if (x->held_max >= 0)
        json_add_i64(b, "held_max", x->held_max);
    if (x->mailbox_held_max >= 0)
        json_add_i64(b, "mailbox_held_max", x->mailbox_held_max);
    if (x->copies >= 0)
        json_add_bool(b, "copies", x->copies == 1);
    if (x->enrol >= 0)
        json_add_str(b, "enrol", enrol_words[x->enrol]);
    json_close(b, '}');
}

static int note(struct store *s, const struct actor *by, struct store_scope scope, const struct store_setting *before,
                const struct store_setting *after, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, PAYLOAD_MAX);
    json_open(&b, NULL, '{');
    put_payload(&b, "before", before);
    put_payload(&b, "after", after);
    json_close(&b, '}');
    rc = store_audit_note(s, by, "setting.set", "setting", NULL, scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

/* Walks all that inherit, and stops at the first whose order would be broken. */
struct heirs {
    struct store_setting global;
    bool                 broken;
    struct err           why;
};

static int each_heir(void *arg, struct db_rows *r)
{
    struct heirs        *h = arg;
    struct store_setting own = STORE_SETTING_NONE, between = STORE_SETTING_NONE, x;
    struct thresholds    t;
    bool                 mailbox = col_word(r, 1, scope_kind_words) == SCOPE_MAILBOX;

    own.reject = col_f64(r, 2);
    own.add_header = col_f64(r, 3);
    own.greylist = col_f64(r, 4);
    between.reject = col_f64(r, 5);
    between.add_header = col_f64(r, 6);
    between.greylist = col_f64(r, 7);
    between.mailbox_thresholds = col_bool(r, 8);
    x = over(h->global, &between);
    if (mailbox && x.mailbox_thresholds != 1) /* what is not permitted does not hold */
        return 0;
    x = over(x, &own);
    t = thresholds_of(&x);
    if (thresholds_check(&t, &h->why) == 0)
        return 0;
    h->broken = true;
    err_wrap(&h->why,
             mailbox ? "a mailbox of %.*s has thresholds of its own that would no longer fit" : "the domain %.*s",
             SPAN_ARG(db_text(r, 0)));
    return 1;
}

/* With the new row in place: is every order still right that it can touch? */
static int check_order(struct store *s, struct store_scope scope, struct err *e)
{
    struct heirs              h = {.why = ERR_INIT};
    struct uuid               domain = scope.id;
    struct thresholds         t;
    struct store_mailbox_view view;

    if (store_setting_holds(s, NULL, &h.global, e) < 0)
        return -1;
    t = thresholds_of(&h.global);
    if (thresholds_check(&t, e) < 0)
        return -1;
    if (scope.kind == SCOPE_MAILBOX) {
        if (store_mailbox_view(s, scope.id, &view, e) < 0)
            return -1;
        return thresholds_check(&view.thresholds, e);
    }
    if (row_each(s->main, heirs_sql, (struct db_val[]){dbv_uuid(&domain), dbv_i64(scope.kind == SCOPE_GLOBAL)}, 2,
                 each_heir, &h, e) < 0)
        return -1;
    if (h.broken && e != NULL)
        *e = h.why;
    return h.broken ? -1 : 0;
}

static int check_mailbox(struct store *s, struct uuid mailbox, const struct store_setting *to, struct err *e)
{
    struct store_mailbox_view view;
    struct store_setting      domain;

    if (to->at_block >= 0 || to->at_reject >= 0 || to->at_add_header >= 0 || to->greylisting >= 0 ||
        to->regex_role >= 0 || to->mailbox_thresholds >= 0 || to->rules_max >= 0 || to->mailbox_rules_max >= 0 ||
        to->retention_days >= 0 || to->held_max >= 0 || to->mailbox_held_max >= 0 || to->copies >= 0 || to->enrol >= 0)
        return err_set(e, ERR_INVALID, "a mailbox has thresholds of its own, and no other settings");
    if (store_mailbox_view(s, mailbox, &view, e) < 0 || store_setting_holds(s, &view.domain, &domain, e) < 0)
        return -1;
    if (domain.mailbox_thresholds != 1 && !(isnan(to->reject) && isnan(to->add_header) && isnan(to->greylist)))
        return err_set(e, ERR_DENIED, "the domain does not permit its mailboxes thresholds of their own");
    return 0;
}

static struct db_val f64_or_null(double d) { return isnan(d) ? DBV_NULL : dbv_f64(d); }
static struct db_val int_or_null(int64_t i) { return i < 0 ? DBV_NULL : dbv_i64(i); }

static int set_in(struct store *s, const struct actor *by, struct store_scope scope, const struct store_setting *to,
                  struct err *e)
{
    struct store_setting before;
    struct db_val        vals[] = {
               DBV_SCOPE(&scope),
               f64_or_null(to->reject),
               f64_or_null(to->add_header),
               f64_or_null(to->greylist),
               dbv_word(disposition_words, to->at_block),
               dbv_word(disposition_words, to->at_reject),
               dbv_word(disposition_words, to->at_add_header),
               int_or_null(to->greylisting),
               dbv_word(role_words, to->regex_role),
               int_or_null(to->mailbox_thresholds),
               int_or_null(to->rules_max),
               int_or_null(to->mailbox_rules_max),
               int_or_null(to->retention_days),
               int_or_null(to->held_max),
               int_or_null(to->mailbox_held_max),
               int_or_null(to->copies),
               dbv_word(enrol_words, to->enrol),
               dbv_i64(clock_wall_us()),
    };

    if (store_change_note(s, CHANGE_SETTING, scope, NULL, e) < 0 || store_setting_get(s, scope, &before, e) < 0)
        return -1;
    if (scope.kind == SCOPE_MAILBOX && check_mailbox(s, scope.id, to, e) < 0)
        return -1;
    if (!by->admin && (to->rules_max != before.rules_max || to->mailbox_rules_max != before.mailbox_rules_max))
        return err_set(e, ERR_DENIED, "how many rules there may be is for the operator to say");
    if (!by->admin && (to->held_max != before.held_max || to->mailbox_held_max != before.mailbox_held_max))
        return err_set(e, ERR_DENIED, "how much may be held is for the operator to say");
    if (!by->admin && to->copies != before.copies)
        return err_set(e, ERR_DENIED, "whether copies of delivered mail are kept is for the operator to say");
    if (db_run(s->main, put_sql, vals, COUNT(vals), NULL, e) < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "no such domain or mailbox") : -1;
    if (check_order(s, scope, e) < 0)
        return -1;
    return note(s, by, scope, &before, to, e);
}

int store_setting_set(struct store *s, const struct actor *by, struct store_scope scope, const struct store_setting *to,
                      struct err *e)
{
    bool own;

    if (scope.kind == SCOPE_GLOBAL && !by->admin)
        return err_set(e, ERR_DENIED, "global settings are the operator's");
    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, scope, to, e), e);
}
