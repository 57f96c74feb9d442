/* tests/unit/store_lookup.c - twin of lib/store/lookup.c. What is asserted is what the other program would read. */
#include "store/lookup.h"

#include "store/learned.h"
#include "store/sending.h"
#include "store_world.h"

/* A look-up file as rulesd makes it, and a second connection that reads it. */
struct look {
    struct store_lookup *lookup;
    struct db           *reader;
    int64_t              seq; /* changes up to here were told */
};

static const char *file_of(struct world *w)
{
    static char path[PATH_MAX];
    int         fd;

    snprintf(path, sizeof path, "%s/lookup.db", w->dir);
    if ((fd = open(path, O_RDWR | O_CREAT, 0640)) >= 0)
        close(fd);
    return path;
}

static struct look look_at(struct world *w, enum lookup_kind kind)
{
    struct look l = {0};
    char        url[PATH_MAX + 16];

    OK(w, store_lookup_open(w->url, file_of(w), kind, &l.lookup, &w->e));
    OK(w, store_lookup_fill(l.lookup, w->more, &w->e));
    snprintf(url, sizeof url, "sqlite:%s", file_of(w));
    OK(w, db_open(w->kind == DB_SQLITE ? url : w->url, DB_MAIN, false, &l.reader, &w->e));
    l.seq = change_head(w);
    return l;
}

static void look_away(struct look *l)
{
    db_close(&l->reader);
    store_lookup_close(&l->lookup);
}

struct changes {
    struct store_change list[64];
    size_t              n;
};

static int note_change(void *ctx, const struct store_change *c)
{
    struct changes *all = ctx;

    all->list[all->n++] = *c;
    return all->n == COUNT(all->list);
}

/* Tells the look-up what has changed since. */
static void follow(struct world *w, struct look *l)
{
    struct changes all = {.n = 0};
    bool           gap;

    OK(w, store_changes(w->more, l->seq, &gap, note_change, &all, &w->e));
    assert_false(gap);
    for (size_t i = 0; i < all.n; i++) {
        OK(w, store_lookup_change(l->lookup, w->more, &all.list[i], &w->e));
        l->seq = all.list[i].seq;
    }
}

static const char userpref_sql[] =
    "SELECT preference, value, prio FROM spamassassin_userpref WHERE username = '@GLOBAL'"
    " OR username = '%' || lower($2) OR username = lower($1) OR (username = '@' || lower($2) AND NOT EXISTS"
    " (SELECT 1 FROM spamassassin_known WHERE address = lower($1))) ORDER BY prio, value, preference DESC";
static const char blocked_sql[] = "SELECT login, action FROM postfix_blocked_sender ORDER BY login";

/* "required_score=6 blocklist_from=a@b …", as SpamAssassin reads it for this user. */
static void reads(struct world *w, struct look *l, const char *user, const char *want)
{
    static char     got[4000];
    struct db_rows *r;
    size_t          n = 0;
    struct db_val   vals[] = {dbv_str(user), dbv_str(strchr(user, '@') + 1)};
    int             rc;

    got[0] = '\0';
    OK(w, db_query(l->reader, userpref_sql, vals, 2, &r, &w->e));
    while ((rc = db_next(r, &w->e)) > 0)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s=%.*s", n > 0 ? " " : "", SPAN_ARG(db_text(r, 0)),
                              SPAN_ARG(db_text(r, 1)));
    db_rows_free(&r);
    if (strcmp(got, want) != 0)
        fail_msg("%s reads \"%s\", not \"%s\"", user, got, want);
}

static struct uuid put_rule(struct world *w, struct store_scope scope, const char *policy, enum rule_action action,
                            const char *conditions)
{
    struct store_rule r = a_rule(policy_id(w, scope, policy), "x");
    struct uuid       id;

    r.action = action;
    r.conditions = span_of(conditions);
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    return id;
}

#define FROM(who) "[{\"kind\":\"sender\",\"any\":[\"" who "\"]}]"

static void set_score(struct world *w, struct store_scope scope, double add_header)
{
    struct store_setting x;

    OK(w, store_setting_get(w->more, scope, &x, &w->e));
    x.add_header = add_header;
    OK(w, store_setting_set(w->more, &root, scope, &x, &w->e));
}

static void let_mailboxes_differ(struct world *w, struct uuid domain, bool may)
{
    struct store_setting x;

    OK(w, store_setting_get(w->more, store_scope_domain(domain), &x, &w->e));
    x.mailbox_thresholds = may;
    OK(w, store_setting_set(w->more, &root, store_scope_domain(domain), &x, &w->e));
}

static void a_threshold_of_ones_own_comes_after_that_of_all(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna");
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);

    reads(w, &l, "anna@ours.example", "required_score=6");
    set_score(w, STORE_SCOPE_GLOBAL, 7.25);
    set_score(w, store_scope_domain(domain), 5.5);
    let_mailboxes_differ(w, domain, true);
    set_score(w, store_scope_mailbox(anna), 999);
    follow(w, &l);
    reads(w, &l, "anna@ours.example", "required_score=7.25 required_score=5.5 required_score=999");
    reads(w, &l, "Bob@Ours.Example", "required_score=7.25 required_score=5.5");
    reads(w, &l, "eve@elsewhere.example", "required_score=7.25");
    let_mailboxes_differ(w, domain, false);
    follow(w, &l);
    reads(w, &l, "anna@ours.example", "required_score=7.25 required_score=5.5");
    look_away(&l);
}

static void allows_ask_for_proof_and_the_stronger_layer_takes_back_what_a_weaker_one_says(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna");
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);

    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, FROM("news@shop.example"));
    put_rule(w, store_scope_mailbox(anna), POLICY_RULES, RULE_ALLOW, FROM("news@shop.example"));
    put_rule(w, store_scope_domain(domain), POLICY_ENFORCED, RULE_BLOCK, FROM("evil.example"));
    follow(w, &l);
    reads(w, &l, "anna@ours.example",
          "required_score=6 unwelcomelist_auth=news@shop.example blocklist_from=news@shop.example"
          " welcomelist_auth=news@shop.example unblocklist_from=news@shop.example"
          " unwelcomelist_auth=*@*.evil.example blocklist_from=*@*.evil.example"
          " unwelcomelist_auth=*@evil.example blocklist_from=*@evil.example");
    look_away(&l);
}

static void within_a_layer_the_rule_that_decides_is_told(void **state)
{
    struct world     *w = world_of(state);
    struct uuid       domain = add_domain(w, "ours.example"), id;
    struct look       l = look_at(w, LOOKUP_SPAMASSASSIN);
    struct store_rule first;
    struct arena      a;

    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    id = put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_ALLOW, FROM("a@x.example"));
    follow(w, &l);
    reads(w, &l, "x@ours.example", "required_score=6 welcomelist_auth=a@x.example unblocklist_from=a@x.example");
    arena_init(&a, 1 << 20);
    OK(w, store_rule_get(w->more, id, &a, &first, &w->e));
    first.priority = 200;
    OK(w, store_rule_set(w->more, &root, &first, &w->e));
    arena_fini(&a);
    follow(w, &l);
    reads(w, &l, "x@ours.example", "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example");
    OK(w, store_rule_enable(w->more, &root, id, false, &w->e));
    follow(w, &l);
    reads(w, &l, "x@ours.example", "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example");
    look_away(&l);
}

static struct uuid global_policy(struct world *w, const char *name, bool locked, bool is_default)
{
    struct store_policy p = {.scope = STORE_SCOPE_GLOBAL, .priority = 100, .enabled = true};
    struct uuid         id;

    snprintf(p.name, sizeof p.name, "%s", name);
    p.locked = locked;
    p.is_default = is_default;
    OK(w, store_policy_add(w->more, &root, &p, &id, &w->e));
    return id;
}

static void global_policies_reach_whom_they_are_for(void **state)
{
    struct world *w = world_of(state);
    struct uuid   ours = add_domain(w, "ours.example"), assigned;
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);

    add_domain(w, "theirs.example");
    global_policy(w, "Locked", true, false);
    global_policy(w, "Default", false, true);
    assigned = global_policy(w, "Assigned", false, false);
    global_policy(w, "Inert", false, false);
    OK(w, store_policy_assign(w->more, &root, assigned, ours, &w->e));
    put_rule(w, STORE_SCOPE_GLOBAL, "Locked", RULE_BLOCK, FROM("l@x.example"));
    put_rule(w, STORE_SCOPE_GLOBAL, "Default", RULE_BLOCK, FROM("d@x.example"));
    put_rule(w, STORE_SCOPE_GLOBAL, "Assigned", RULE_BLOCK, FROM("a@x.example"));
    put_rule(w, STORE_SCOPE_GLOBAL, "Inert", RULE_BLOCK, FROM("i@x.example"));
    follow(w, &l);
    reads(w, &l, "x@theirs.example",
          "required_score=6 blocklist_from=d@x.example unwelcomelist_auth=l@x.example blocklist_from=l@x.example");
    reads(w, &l, "x@ours.example",
          "required_score=6 blocklist_from=d@x.example unwelcomelist_auth=a@x.example blocklist_from=a@x.example"
          " unwelcomelist_auth=l@x.example blocklist_from=l@x.example");
    OK(w, store_policy_unassign(w->more, &root, assigned, ours, &w->e));
    follow(w, &l);
    reads(w, &l, "x@ours.example",
          "required_score=6 blocklist_from=d@x.example unwelcomelist_auth=l@x.example blocklist_from=l@x.example");
    look_away(&l);
}

static void aliases_read_what_the_mailbox_reads(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna"), id;
    struct span   one[] = {SPAN("anna@ours.example")}, two[] = {SPAN("anna@ours.example"), SPAN("x@else.example")};
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);
    const char   *hers = "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example";

    put_rule(w, store_scope_mailbox(anna), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    OK(w, store_address_add(w->more, &root, domain, SPAN("info"), ADDRESS_ALIAS, one, 1, &id, &w->e));
    OK(w, store_address_add(w->more, &root, domain, SPAN("team"), ADDRESS_ALIAS, two, 2, &id, &w->e));
    OK(w, store_domain_alias_add(w->more, &root, domain, SPAN("other.example"), &w->e));
    follow(w, &l);
    reads(w, &l, "anna@ours.example", hers);
    reads(w, &l, "info@ours.example", hers);
    reads(w, &l, "anna@other.example", hers);
    reads(w, &l, "info@other.example", hers);
    reads(w, &l, "team@ours.example", "required_score=6");
    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, FROM("d@x.example"));
    follow(w, &l);
    reads(w, &l, "team@other.example", "required_score=6 unwelcomelist_auth=d@x.example blocklist_from=d@x.example");
    OK(w, store_mailbox_delete(w->more, &root, anna, &w->e));
    follow(w, &l);
    reads(w, &l, "info@ours.example", "required_score=6 unwelcomelist_auth=d@x.example blocklist_from=d@x.example");
    look_away(&l);
}

static void whoever_has_no_address_reads_what_the_catch_all_does(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna"), id, all;
    struct span   hers[] = {SPAN("anna@ours.example")}, two[] = {SPAN("anna@ours.example"), SPAN("x@else.example")};
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);
    const char   *caught = "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example";

    add_mailbox(w, domain, "ben");
    put_rule(w, store_scope_mailbox(anna), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    OK(w, store_domain_alias_add(w->more, &root, domain, SPAN("other.example"), &w->e));
    OK(w, store_address_add(w->more, &root, domain, SPAN("team"), ADDRESS_ALIAS, two, 2, &id, &w->e));
    follow(w, &l);
    reads(w, &l, "nobody@ours.example", "required_score=6");
    OK(w, store_address_add(w->more, &root, domain, SPAN(""), ADDRESS_CATCHALL, hers, 1, &all, &w->e));
    follow(w, &l);
    reads(w, &l, "nobody@ours.example", caught);
    reads(w, &l, "nobody@other.example", caught);
    reads(w, &l, "anna@ours.example", caught);
    reads(w, &l, "nobody@else.example", "required_score=6");
    for (int i = 0; i < 2; i++) {
        reads(w, &l, "ben@ours.example", "required_score=6");
        reads(w, &l, "ben@other.example", "required_score=6");
        reads(w, &l, "team@ours.example", "required_score=6");
        OK(w, store_lookup_fill(l.lookup, w->more, &w->e));
    }
    add_mailbox(w, domain, "nobody");
    follow(w, &l);
    reads(w, &l, "nobody@ours.example", "required_score=6");
    OK(w, store_address_delete(w->more, &root, all, &w->e));
    follow(w, &l);
    reads(w, &l, "else@ours.example", "required_score=6");
    look_away(&l);
}

static void a_domain_takes_everything_of_it_along(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna");
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);
    int64_t       rows;

    put_rule(w, store_scope_mailbox(anna), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, FROM("b@x.example"));
    OK(w, store_domain_alias_add(w->more, &root, domain, SPAN("other.example"), &w->e));
    follow(w, &l);
    OK(w, store_lookup_rows(l.lookup, &rows, &w->e));
    assert_int_equal(rows, 1 + 2 + 2 + 2);
    OK(w, store_domain_delete(w->more, &root, domain, &w->e));
    follow(w, &l);
    OK(w, store_lookup_rows(l.lookup, &rows, &w->e));
    assert_int_equal(rows, 1);
    reads(w, &l, "anna@ours.example", "required_score=6");
    look_away(&l);
}

static void a_rule_that_has_run_out_is_told_no_more(void **state)
{
    struct world     *w = world_of(state);
    struct uuid       domain = add_domain(w, "ours.example"), id;
    struct store_rule r = a_rule(policy_id(w, store_scope_domain(domain), POLICY_RULES), "for a while");
    struct look       l;

    r.expires_us = clock_wall_us() + 2000000;
    r.conditions = SPAN(FROM("a@x.example"));
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    l = look_at(w, LOOKUP_SPAMASSASSIN);
    reads(w, &l, "x@ours.example", "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example");
    OK(w, store_lookup_expire(l.lookup, w->more, clock_wall_us(), &w->e));
    reads(w, &l, "x@ours.example", "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example");
    while (clock_wall_us() <= r.expires_us)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    OK(w, store_lookup_expire(l.lookup, w->more, clock_wall_us(), &w->e));
    reads(w, &l, "x@ours.example", "required_score=6");
    look_away(&l);
}

static void what_is_filled_anew_is_what_followed_the_changes(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example"), anna = add_mailbox(w, domain, "anna"), id;
    struct span   one[] = {SPAN("anna@ours.example")};
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);
    int64_t       before, after;

    put_rule(w, store_scope_mailbox(anna), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_ALLOW, FROM("b.example"));
    OK(w, store_address_add(w->more, &root, domain, SPAN("info"), ADDRESS_ALIAS, one, 1, &id, &w->e));
    set_score(w, store_scope_domain(domain), 5);
    follow(w, &l);
    OK(w, store_lookup_rows(l.lookup, &before, &w->e));
    OK(w, store_lookup_fill(l.lookup, w->more, &w->e));
    OK(w, store_lookup_rows(l.lookup, &after, &w->e));
    assert_int_equal(before, 1 + 1 + 4 + 2 + 1);
    assert_int_equal(after, before);
    look_away(&l);
}

static void of_two_nodes_one_applies_a_change(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example");
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN), m = look_at(w, LOOKUP_SPAMASSASSIN);

    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    follow(w, &l);
    follow(w, &m);
    reads(w, &m, "x@ours.example", "required_score=6 unwelcomelist_auth=a@x.example blocklist_from=a@x.example");
    look_away(&l);
    look_away(&m);
}

static void postfix_reads_who_may_not_send(void **state)
{
    struct world        *w = world_of(state);
    struct look          l = look_at(w, LOOKUP_POSTFIX);
    struct store_blocked anna = {.login = SPAN("anna@ours.example"), .reason = SPAN("stolen")},
                         bob = {.login = SPAN("bob"), .reason = SPAN("was"), .until_us = 1};
    struct db_rows *r;

    OK(w, store_blocked_put(w->more, &root, &anna, &w->e));
    OK(w, store_blocked_put(w->more, &root, &bob, &w->e));
    follow(w, &l);
    OK(w, db_query(l.reader, blocked_sql, NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    assert_true(span_is(db_text(r, 0), "anna@ours.example"));
    assert_true(span_is(db_text(r, 1), "REJECT 5.7.1 Sending from this account is suspended"));
    assert_int_equal(db_next(r, &w->e), 0);
    db_rows_free(&r);
    OK(w, store_blocked_delete(w->more, &root, SPAN("anna@ours.example"), &w->e));
    follow(w, &l);
    OK(w, db_query(l.reader, blocked_sql, NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 0);
    db_rows_free(&r);
    look_away(&l);
}

/* SQLite: the file alone, after everybody has closed it, by somebody who may not write. */
static void a_file_that_nobody_has_open_keeps_its_companions(void **state)
{
    struct world *w = world_of(state);
    struct look   l = look_at(w, LOOKUP_SPAMASSASSIN);
    char          path[PATH_MAX + 8];

    look_away(&l);
    snprintf(path, sizeof path, "%s-wal", file_of(w));
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s-shm", file_of(w));
    assert_int_equal(access(path, F_OK), 0);
}

static void a_damaged_file_says_so(void **state)
{
    struct world        *w = world_of(state);
    struct store_lookup *l;
    FILE                *f = fopen(file_of(w), "w");

    for (int i = 0; i < 5000; i++)
        fputs("garbage ", f);
    fclose(f);
    REFUSED(w, ERR_CORRUPT, store_lookup_open(w->url, file_of(w), LOOKUP_SPAMASSASSIN, &l, &w->e));
    assert_null(l);
}

static int note_unsupported(void *ctx, const struct uuid *rule, struct span name, bool part, const char *why)
{
    size_t used = strlen(ctx);

    (void)rule;
    snprintf((char *)ctx + used, 500 - used, "%.*s %s: %s. ", SPAN_ARG(name), part ? "in part" : "not", why);
    return 0;
}

static void rules_that_cannot_be_told_are_listed_with_the_reason(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example");
    char          all[500] = "";

    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, FROM("a@x.example"));
    put_rule(w, store_scope_domain(domain), POLICY_RULES, RULE_BLOCK, "[{\"kind\":\"subject\",\"any\":[\"lottery\"]}]");
    OK(w, store_lookup_unsupported(w->more, store_scope_domain(domain), note_unsupported, all, &w->e));
    assert_string_equal(all, "x not: it looks at the subject. ");
}

int main(void)
{
    const struct both_test tests[] = {
        STORE(a_threshold_of_ones_own_comes_after_that_of_all),
        STORE(allows_ask_for_proof_and_the_stronger_layer_takes_back_what_a_weaker_one_says),
        STORE(within_a_layer_the_rule_that_decides_is_told),
        STORE(global_policies_reach_whom_they_are_for),
        STORE(aliases_read_what_the_mailbox_reads),
        STORE(whoever_has_no_address_reads_what_the_catch_all_does),
        STORE(a_domain_takes_everything_of_it_along),
        STORE(a_rule_that_has_run_out_is_told_no_more),
        STORE(what_is_filled_anew_is_what_followed_the_changes),
        STORE(of_two_nodes_one_applies_a_change),
        STORE(postfix_reads_who_may_not_send),
        STORE_SQLITE(a_file_that_nobody_has_open_keeps_its_companions),
        STORE_SQLITE(a_damaged_file_says_so),
        STORE(rules_that_cannot_be_told_are_listed_with_the_reason),
    };

    return run_on_both(tests, COUNT(tests));
}
