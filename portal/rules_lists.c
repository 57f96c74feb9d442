/* portal/rules_lists.c - the senders that a policy allows or blocks, as a plain list that is edited as a whole.
 *
 * A list is what the policy's rules of that action add up to that are no more than lists themselves (rules/plain.h): the quick bar makes
 * such, an import does, and what is added here goes into one that is named as the list is. Taken out is an entry wherever it stands; a
 * rule that nothing is left of goes. A change is a difference, made in one transaction to the list as it is then: of two people who edit it
 * at the same moment neither takes away what the other added. */
#include <stdlib.h>

#include "base/map.h"
#include "route.h"
#include "rules.h"
#include "rules/import.h"
#include "rules/plain.h"
#include "rules_order.h"
#include "store/change.h"
#include "store/setting.h"

#define PAGE_DEFAULT 1000
#define PAGE_MAX 5000
#define CHANGES_MAX 20000 /* lines of one change */
#define LIST_MEMORY ((size_t)96 << 20)

/* ---- a list as it is stored --------------------------------------------------------------------------------------- */

struct list_rule {
    struct uuid       id;
    struct rule       rule; /* with one condition */
    struct entry     *kept; /* what is left of its entries */
    size_t            nkept, cap;
    bool              changed;
    struct list_rule *next;
};
struct list_entry {
    struct span         key;
    const struct entry *entry;
    struct list_rule   *rule;
};
struct list {
    struct call        *call;
    struct arena        arena;
    enum rule_action    action;
    struct store_policy policy;
    struct list_rule   *rules;  /* the newest first */
    struct map          by_key; /* -> struct list_entry: the first of each */
    struct buf          key;
    bool                full, may_regex;
};

static struct span entry_key(struct list *l, const struct rule *r, const struct entry *x)
{
    buf_clear(&l->key);
    rule_put_entry_key(&l->key, r, x);
    return buf_span(&l->key);
}

static bool has_room(struct list *l, struct list_rule *r)
{
    size_t        cap = r->cap < 8 ? 8 : 2 * r->cap;
    struct entry *all;

    if (r->nkept < r->cap)
        return true;
    if ((all = arena_array(&l->arena, cap, sizeof *all)) == NULL)
        return false;
    if (r->nkept > 0)
        memcpy(all, r->kept, r->nkept * sizeof *all);
    r->kept = all;
    r->cap = cap;
    return true;
}

static bool keep_entry(struct list *l, struct list_rule *r, const struct entry *x)
{
    struct list_entry *n = arena_zalloc(&l->arena, sizeof *n);
    struct span        key = entry_key(l, &r->rule, x);

    if (n == NULL || !has_room(l, r))
        return false;
    r->kept[r->nkept++] = *x;
    if (map_get(&l->by_key, key) != NULL)
        return true;
    *n = (struct list_entry){arena_dup(&l->arena, key), x, r};
    if (n->key.p != NULL)
        map_put(&l->by_key, n->key, n);
    return n->key.p != NULL;
}

static struct list_rule *new_rule(struct list *l, const struct rule *rule)
{
    struct list_rule *r = arena_zalloc(&l->arena, sizeof *r);

    if (r == NULL)
        return NULL;
    *r = (struct list_rule){.id = rule->id, .rule = *rule, .next = l->rules};
    l->rules = r;
    return r;
}

static int each_rule(void *ctx, const struct store_rule *s)
{
    struct list      *l = ctx;
    struct rule       rule = {.id = s->id,
                              .action = s->action,
                              .flow = s->flow,
                              .priority = s->priority,
                              .enabled = s->enabled,
                              .require_proof = s->require_proof,
                              .test_only = s->test_only,
                              .expires_us = s->expires_us};
    struct list_rule *r;

    if (s->action != l->action || rule_conditions_from_json(s->conditions, &l->arena, NULL, &rule, NULL) < 0 ||
        !rule_is_list(&rule))
        return 0;
    rule.name = arena_dup(&l->arena, s->name);
    rule.note = arena_dup(&l->arena, s->note);
    if ((r = new_rule(l, &rule)) == NULL)
        return l->full = true;
    for (size_t i = 0; i < rule.conditions[0].nany && !l->full; i++)
        l->full = !keep_entry(l, r, &rule.conditions[0].any[i]);
    return l->full;
}

static int read_list(struct list *l, struct err *e)
{
    if (store_rule_list(l->call->store, l->call->scope, &l->policy.id, NULL, 0, each_rule, l, e) < 0)
        return -1;
    return l->full ? err_set(e, ERR_LIMIT,
                             "The list is too long for a page: the operator can export and import it by command.")
                   : 0;
}

static int list_init(struct list *l, struct call *c, int action, const struct uuid *policy, struct err *e)
{
    *l = (struct list){.call = c, .action = (enum rule_action)action};
    arena_init(&l->arena, LIST_MEMORY);
    map_init(&l->by_key);
    buf_init(&l->key, 4 * RULE_ENTRY_MAX + 1000);
    if (store_may_regex(c->store, &c->actor, c->scope, &l->may_regex, e) < 0)
        return -1;
    return rules_policy(c, policy, SPAN_NONE, &l->policy, e);
}

static void list_fini(struct list *l)
{
    buf_fini(&l->key);
    map_fini(&l->by_key);
    arena_fini(&l->arena);
}

/* ---- reading it --------------------------------------------------------------------------------------------------- */

struct list_query {
    uint64_t    given;
    int         action;
    struct uuid policy;
    struct span q, after;
    int64_t     limit;
};
enum { QUERY_ACTION, QUERY_POLICY };
static const struct field list_fields[] = {
    {"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words, offsetof(struct list_query, action),
     "allow or block."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct list_query, policy), "Whose list; that of the policy Rules."},
    {"q", FIELD_TEXT, 0, 0, 200, NULL, offsetof(struct list_query, q), "Entries that contain this."},
    {"after", FIELD_TEXT, 0, 1, 4 * RULE_ENTRY_MAX, NULL, offsetof(struct list_query, after),
     "Where the page before ended."},
    {"limit", FIELD_I64, 0, 1, PAGE_MAX, NULL, offsetof(struct list_query, limit), "Entries of a page; 1,000."},
    FIELDS_END};

/* By how it reads; what reads alike, by what it means. */
static int by_text(const void *one, const void *other)
{
    const struct list_entry *const *a = one, *const *b = other;
    int                             order = span_cmp((*a)->entry->written, (*b)->entry->written);

    return order != 0 ? order : span_cmp((*a)->key, (*b)->key);
}

static const struct list_entry **sorted(struct list *l, struct span q, size_t *n_out)
{
    const struct list_entry **all = arena_array(&l->arena, l->by_key.n + 1, sizeof *all);
    struct span               key;
    void                     *value;
    size_t                    at = 0, n = 0;

    while (all != NULL && map_next(&l->by_key, &at, &key, &value)) {
        const struct list_entry *x = value;

        if (q.n == 0 || span_find_ci(x->entry->written, q) < x->entry->written.n)
            all[n++] = x;
    }
    if (n > 0)
        qsort(all, n, sizeof *all, by_text);
    *n_out = n;
    return all;
}

static void put_entries(struct call *c, const struct list_entry **all, size_t n)
{
    const struct list_query *q = c->query;
    size_t                   limit = q->limit > 0 ? (size_t)q->limit : PAGE_DEFAULT, i = 0, end;
    struct buf              *b = call_list_begin(c);

    while (q->after.n > 0 && i < n && span_cmp(all[i]->entry->written, q->after) <= 0)
        i++;
    end = i + limit < n ? i + limit : n;
    /* Those that read alike stay on one page. */
    while (end < n && end > 0 && span_eq(all[end]->entry->written, all[end - 1]->entry->written))
        end++;
    for (; i < end; i++) {
        json_open(b, NULL, '{');
        json_add_text(b, "entry", all[i]->entry->written);
        json_add_uuid(b, "rule", &all[i]->rule->id);
        json_close(b, '}');
    }
    json_close(b, ']');
    json_add_i64(b, "total", (int64_t)n);
    json_add_text(b, "next", end < n ? all[end - 1]->entry->written : SPAN_NONE);
    json_close(b, '}');
}

static int get_list(struct call *c, struct err *e)
{
    const struct list_query  *q = c->query;
    const struct list_entry **all;
    struct list               l;
    size_t                    n;
    int                       rc = -1;

    if (rules_permit(c, false, e) < 0)
        return -1;
    if (list_init(&l, c, q->action, field_given(q, QUERY_POLICY) ? &q->policy : NULL, e) == 0 &&
        read_list(&l, e) == 0) {
        all = sorted(&l, q->q, &n);
        rc = all != NULL
                 ? 0
                 : err_set(e, ERR_LIMIT,
                           "The list is too long for a page: the operator can export and import it by command.");
        if (rc == 0)
            put_entries(c, all, n);
    }
    list_fini(&l);
    return rc;
}

/* ---- changing it -------------------------------------------------------------------------------------------------- */

struct change_body {
    uint64_t           given;
    int                action;
    struct uuid        policy;
    struct field_texts add, remove;
    bool               reset, confirm;
};
enum { BODY_ACTION, BODY_POLICY };
static const struct field change_fields[] = {
    {"action", FIELD_WORD, FIELD_REQUIRED, 0, 0, rule_action_words, offsetof(struct change_body, action),
     "allow or block."},
    {"policy", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct change_body, policy),
     "Whose list; that of the policy Rules."},
    {"add", FIELD_TEXTS, 0, 0, CHANGES_MAX, NULL, offsetof(struct change_body, add),
     "Addresses, domains or IP addresses."},
    {"remove", FIELD_TEXTS, 0, 0, CHANGES_MAX, NULL, offsetof(struct change_body, remove), "The same."},
    {"reset", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct change_body, reset), "Takes all out first."},
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct change_body, confirm), "Whole free-mail domains are meant."},
    FIELDS_END};

/* What a change has come to. */
struct changed {
    struct span *added, *removed; /* as they are written */
    size_t       nadded, nremoved, already, missing;
};

/* Whoever writes "not wanted" means no domain "not", as a map would have it. */
static bool has_words(struct span line)
{
    struct span text = span_trim(span_head(line, span_find(line, SPAN(" #"))));

    return text.n > 0 && text.p[0] != '/' && text.p[0] != '#' &&
           (memchr(text.p, ' ', text.n) != NULL || memchr(text.p, '\t', text.n) != NULL);
}

/* A line as a rule of one entry. 1, 0: it says nothing, -1: the member is in e, and where there are several lines which one. What is there
 * may be taken out by anybody. */
static int read_entry(struct list *l, const struct field_texts *lines, size_t i, const char *member, bool confirm,
                      struct rule *out, struct err *e)
{
    struct rule_check    check = {.may_regex = l->may_regex || strcmp(member, "remove") == 0,
                                  .freemail_confirmed = confirm};
    struct import_reader r;
    struct span          line = lines->items[i], scope, policy;
    int                  rc;

    import_init(&r, IMPORT_MAP, rule_action_word(l->action), NULL);
    rc = has_words(line) ? err_set(e, ERR_INVALID, "an entry is one address, domain or IP address")
                         : import_line(&r, line, &l->arena, &check, out, &scope, &policy, e);
    import_fini(&r);
    if (rc < 0) {
        l->call->member = member;
        if (lines->n > 1)
            err_wrap(e, "line %zu, %.*s", i + 1, SPAN_ARG(span_head(line, 60)));
        e->at = 0;
        return rules_say(l->call, e);
    }
    return rc;
}

/* Every rule that holds some of them is gone through once. */
static void take_out_all(struct list *l, const struct map *keys, struct changed *out)
{
    for (struct list_rule *r = l->rules; r != NULL; r = r->next) {
        size_t n = 0;

        for (size_t i = 0; i < r->nkept; i++) {
            struct span key = entry_key(l, &r->rule, &r->kept[i]);

            if (keys != NULL && map_get(keys, key) == NULL) {
                r->kept[n++] = r->kept[i];
            } else if (map_del(&l->by_key, key) != NULL) {
                out->removed[out->nremoved++] = r->kept[i].written;
            }
        }
        r->changed |= n < r->nkept;
        r->nkept = n;
    }
}

static int remove_lines(struct list *l, const struct field_texts *lines, struct changed *out, struct err *e)
{
    struct map  keys;
    struct rule r;
    int         rc = 0;

    map_init(&keys);
    for (size_t i = 0; i < lines->n && rc >= 0; i++) {
        struct span key;

        if ((rc = read_entry(l, lines, i, "remove", true, &r, e)) != IMPORT_RULE)
            continue;
        key = arena_dup(&l->arena, entry_key(l, &r, &r.conditions[0].any[0]));
        out->missing += map_get(&l->by_key, key) == NULL;
        map_put(&keys, key, l);
    }
    if (rc >= 0)
        take_out_all(l, &keys, out);
    map_fini(&keys);
    return rc < 0 ? -1 : 0;
}

/* Where entries of that kind go: a rule that is named as the list is, and has room. */
static struct list_rule *home_of(struct list *l, const struct rule *like)
{
    bool              ip = like->conditions[0].kind == COND_IP;
    const char       *name = l->action == RULE_ALLOW ? (ip ? "Allowed servers" : "Allowed senders")
                             : ip                    ? "Blocked servers"
                                                     : "Blocked senders";
    struct list_rule *r = l->rules;
    struct rule       fresh = *like;

    while (r != NULL && (r->rule.conditions[0].kind != like->conditions[0].kind || !span_is(r->rule.name, name) ||
                         r->nkept == RULE_ENTRIES_MAX))
        r = r->next;
    fresh.name = span_of(name);
    return r != NULL ? r : new_rule(l, &fresh);
}

static int add_line(struct list *l, const struct rule *r, struct changed *out, struct err *e)
{
    const struct entry *x = &r->conditions[0].any[0];
    struct list_rule   *home;

    if (map_get(&l->by_key, entry_key(l, r, x)) != NULL) {
        out->already++;
        return 0;
    }
    if ((home = home_of(l, r)) == NULL || !keep_entry(l, home, x))
        return err_set(e, ERR_LIMIT,
                       "The list is too long for a page: the operator can export and import it by command.");
    home->changed = true;
    out->added[out->nadded++] = x->written;
    return 0;
}

static int add_lines(struct list *l, const struct change_body *in, struct changed *out, struct err *e)
{
    struct rule r;

    for (size_t i = 0; i < in->add.n; i++) {
        int rc = read_entry(l, &in->add, i, "add", in->confirm, &r, e);

        if (rc < 0 || (rc == IMPORT_RULE && add_line(l, &r, out, e) < 0))
            return -1;
    }
    return 0;
}

static int store_one(struct list *l, struct list_rule *r, struct err *e)
{
    struct call      *c = l->call;
    struct condition  condition = r->rule.conditions[0];
    struct rule       rule = r->rule;
    struct store_rule row;
    struct buf        json;
    int               rc;

    if (r->nkept == 0)
        return uuid_eq(&r->id, &uuid_zero) ? 0 : store_rule_delete(c->store, &c->actor, r->id, e);
    condition.any = r->kept;
    condition.nany = r->nkept;
    rule.conditions = &condition;
    buf_init(&json, RULE_JSON_MAX);
    rule_put_conditions_json(&json, &rule);
    row = store_rule_of(&rule, &l->policy.id, buf_span(&json));
    row.id = r->id;
    rc = json.failed                   ? err_set(e, ERR_LIMIT, "The list is too long.")
         : uuid_eq(&r->id, &uuid_zero) ? store_rule_add(c->store, &c->actor, &row, &r->id, e)
                                       : store_rule_set(c->store, &c->actor, &row, e);
    buf_fini(&json);
    return rc;
}

static int change_in(struct list *l, const struct change_body *in, struct changed *out, struct err *e)
{
    size_t there;

    if (store_change_hold(l->call->store, e) < 0 || read_list(l, e) < 0)
        return -1;
    there = l->by_key.n;
    out->removed = arena_array(&l->arena, there + 1, sizeof *out->removed);
    out->added = arena_array(&l->arena, in->add.n + 1, sizeof *out->added);
    if (out->removed == NULL || out->added == NULL)
        return err_set(e, ERR_LIMIT,
                       "The list is too long for a page: the operator can export and import it by command.");
    if (in->reset)
        take_out_all(l, NULL, out);
    if ((!in->reset && remove_lines(l, &in->remove, out, e) < 0) || add_lines(l, in, out, e) < 0)
        return -1;
    for (struct list_rule *r = l->rules; r != NULL; r = r->next)
        if (r->changed && store_one(l, r, e) < 0)
            return rules_say(l->call, e);
    return 0;
}

static void put_texts(struct buf *b, const char *key, const struct span *texts, size_t n)
{
    json_open(b, key, '[');
    for (size_t i = 0; i < n; i++)
        json_add_text(b, NULL, texts[i]);
    json_close(b, ']');
}

static void put_changed(struct call *c, const struct changed *x)
{
    struct buf *b = call_reply(c, 200);

    json_open(b, NULL, '{');
    put_texts(b, "added", x->added, x->nadded);
    put_texts(b, "removed", x->removed, x->nremoved);
    json_add_i64(b, "already", (int64_t)x->already);
    json_add_i64(b, "missing", (int64_t)x->missing);
    json_close(b, '}');
}

static int change_list(struct call *c, struct err *e)
{
    const struct change_body *in = c->body;
    struct changed            out = {0};
    struct list               l;
    int                       rc = -1;

    if (rules_permit(c, true, e) < 0)
        return -1;
    if (list_init(&l, c, in->action, field_given(in, BODY_POLICY) ? &in->policy : NULL, e) == 0 &&
        store_begin(c->store, e) == 0) {
        rc = change_in(&l, in, &out, e);
        if (rc < 0)
            store_rollback(c->store);
        else
            rc = store_commit(c->store, e);
    }
    if (rc == 0)
        put_changed(c, &out);
    list_fini(&l);
    return rc;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_GET, "/scopes/{scope}/lists", DEED_SEE_RULES, OBJECT_SCOPE, 0, get_list, list_fields, NULL,
     sizeof(struct list_query), 0, "Who is allowed or blocked by name or address, as a list.", "SenderList"},
    {HTTPD_POST, "/scopes/{scope}/lists", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_LARGE, change_list, NULL, change_fields, 0,
     sizeof(struct change_body), "Takes entries out of a list, as it is then, and adds others: all or none.", "SenderListChanged"},
};
/* clang-format on */

const struct route_family rules_lists_family = {
    "Rules", rows, COUNT(rows),
    "\"SenderList\":{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"properties\":{\"entry\":{\"type\":\"string\"},\"rule\":{\"type\":\"string\"}}}},\"next\":{\"type\":[\"string\","
    "\"null\"]},\"total\":{\"type\":\"integer\"}}},"
    "\"SenderListChanged\":{\"type\":\"object\",\"properties\":{\"added\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"string\"}},\"removed\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"already\":{\"type\":\"integer\"},"
    "\"missing\":{\"type\":\"integer\"}}}"};
