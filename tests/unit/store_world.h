/* tests/unit/store_world.h - an open store on both databases, and somebody who may do everything. */
#ifndef POSTERN_TESTS_UNIT_STORE_WORLD_H
#define POSTERN_TESTS_UNIT_STORE_WORLD_H

#include "databases.h"
#include "store/account.h"
#include "store/address.h"
#include "store/audit.h"
#include "store/change.h"
#include "store/domain.h"
#include "store/mailbox.h"
#include "store/policy.h"
#include "store/rule.h"
#include "store/setting.h"

static const struct actor root = {.kind = ACTOR_OPERATOR, .name = "root", .source = "command line", .admin = true};
static const struct actor owner = {.kind = ACTOR_ACCOUNT, .name = "owner@ours.example", .source = "192.0.2.1"};

static inline struct store *open_store(struct world *w)
{
    struct store *s = NULL;

    OK(w, store_open(w->url, STORE_EXISTING, &s, &w->e));
    return s;
}

/* Migrations run once; the other tests start from a copy. */
static inline void make_pattern(void)
{
    char          url[PATH_MAX];
    struct world  w = {0};
    struct store *s = NULL;
    struct db    *admin = postgres_admin();

    OK(&w, db_script(admin, "CREATE DATABASE migrated", &w.e));
    db_close(&admin);
    postgres_url(url, sizeof url, "migrated");
    OK(&w, store_open(url, STORE_CREATE, &s, &w.e));
    store_close(&s);
    postgres.pattern = "migrated";
}

static inline int store_begin_world(void **state)
{
    struct world *w;
    struct store *s = NULL;

    if (*state != NULL && postgres_ready() && postgres.pattern == NULL)
        make_pattern();
    if (world_begin(state) < 0)
        return -1;
    w = *state;
    if (w->url[0] != '\0')
        OK(w, store_open(w->url, STORE_CREATE, &s, &w->e));
    w->more = s;
    return 0;
}

static inline int store_end_world(void **state)
{
    struct world *w = *state;
    struct store *s = w->more;

    store_close(&s);
    return world_end(state);
}

static inline struct store *store_of(void **state) { return world_of(state)->more; }

static inline struct uuid add_domain(struct world *w, const char *name)
{
    struct store_domain d = {.kind = DOMAIN_LOCAL, .state = DOMAIN_ACTIVE, .delimiter = '+'};
    struct uuid         id = uuid_zero;

    snprintf(d.name, sizeof d.name, "%s", name);
    OK(w, store_domain_add(w->more, &root, &d, &id, &w->e));
    return id;
}

static inline struct uuid add_mailbox(struct world *w, struct uuid domain, const char *local)
{
    struct uuid id = uuid_zero;

    OK(w, store_mailbox_add(w->more, &root, domain, span_of(local), NULL, &id, &w->e));
    return id;
}

static inline struct uuid policy_id(struct world *w, struct store_scope scope, const char *name)
{
    struct store_policy p = {0};

    OK(w, store_policy_find(w->more, scope, span_of(name), &p, &w->e));
    return p.id;
}

static inline struct store_rule a_rule(struct uuid policy, const char *name)
{
    return (struct store_rule){.policy = policy,
                               .name = span_of(name),
                               .note = SPAN("why"),
                               .action = RULE_BLOCK,
                               .flow = FLOW_FROM,
                               .priority = RULE_PRIORITY,
                               .enabled = true,
                               .require_proof = true,
                               .conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"spam.example\"]}]")};
}

static inline struct uuid add_rule(struct world *w, struct uuid policy, const char *name)
{
    struct store_rule r = a_rule(policy, name);
    struct uuid       id = uuid_zero;

    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    return id;
}

static inline int64_t change_head(struct world *w)
{
    int64_t seq = -1;

    OK(w, store_change_head(w->more, &seq, &w->e));
    return seq;
}

static inline int64_t count_rules(struct world *w, struct store_scope scope)
{
    int64_t n = -1;

    OK(w, store_rule_count(w->more, scope, &n, &w->e));
    return n;
}

#define STORE(test)                                                                                                    \
    {                                                                                                                  \
#test, test, store_begin_world, store_end_world, ON_BOTH                                                       \
    }
#define STORE_SQLITE(test)                                                                                             \
    {                                                                                                                  \
#test, test, store_begin_world, store_end_world, ON_SQLITE                                                     \
    }
#define STORE_PGSQL(test)                                                                                              \
    {                                                                                                                  \
#test, test, store_begin_world, store_end_world, ON_PGSQL                                                      \
    }

#endif
