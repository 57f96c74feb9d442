/* tests/unit/store_setting.c - twin of lib/store/setting.c. */
#include <math.h>

#include "store/api_key.h"
#include "store_world.h"

/* Without the assigned policies: those went with the arena. */
static struct store_domain_view view_of(struct world *w, const struct uuid *domain)
{
    struct arena             a;
    struct store_domain_view v;

    arena_init(&a, 1 << 20);
    OK(w, store_domain_view(w->more, domain, &a, &v, &w->e));
    arena_fini(&a);
    return v;
}

static struct store_setting thresholds(double reject, double add_header, double greylist)
{
    struct store_setting x = STORE_SETTING_NONE;

    x.reject = reject;
    x.add_header = add_header;
    x.greylist = greylist;
    return x;
}

static void nothing_set_is_what_is_built_in(void **state)
{
    struct world            *w = world_of(state);
    struct uuid              ours = add_domain(w, "ours.example");
    struct store_domain_view v = view_of(w, &ours);

    assert_true(v.thresholds.reject == 15 && v.thresholds.add_header == 6 && v.thresholds.greylist == 4);
    assert_int_equal(v.dispositions.at_block, ACTION_REJECT);
    assert_int_equal(v.dispositions.at_reject, ACTION_REJECT);
    assert_int_equal(v.dispositions.at_add_header, ACTION_TAG);
    assert_int_equal(v.regex_role, ROLE_OWNER);
    assert_true(!v.greylisting && !v.mailbox_thresholds && v.active);
    assert_int_equal(v.rules_max, 5000);
    assert_int_equal(v.mailbox_rules_max, 500);
    assert_string_equal(v.name, "ours.example");
    assert_true(view_of(w, NULL).thresholds.reject == 15);
}

static void who_may_enrol_is_inherited_like_the_rest(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), theirs = add_domain(w, "theirs.example");
    struct store_setting closed = STORE_SETTING_NONE, own = closed, got;

    OK(w, store_setting_holds(s, &ours, &got, &w->e));
    assert_int_equal(got.enrol, ENROL_LISTED);
    closed.enrol = ENROL_CLOSED;
    own.enrol = ENROL_DELIVERED;
    OK(w, store_setting_set(s, &root, STORE_SCOPE_GLOBAL, &closed, &w->e));
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    OK(w, store_setting_holds(s, &ours, &got, &w->e));
    assert_int_equal(got.enrol, ENROL_DELIVERED);
    OK(w, store_setting_holds(s, &theirs, &got, &w->e));
    assert_int_equal(got.enrol, ENROL_CLOSED);
}

static void a_domain_inherits_what_it_has_not_set(void **state)
{
    struct world            *w = world_of(state);
    struct store            *s = w->more;
    struct uuid              ours = add_domain(w, "ours.example");
    struct store_setting     global = thresholds(20, NAN, 2.5), own = thresholds(NAN, 7.25, NAN), got;
    struct store_domain_view v;

    global.greylisting = 1;
    global.at_block = 2;
    own.at_block = 1;
    own.at_add_header = 3;
    own.retention_days = 7;
    own.rules_max = 0;
    OK(w, store_setting_set(s, &root, STORE_SCOPE_GLOBAL, &global, &w->e));
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    v = view_of(w, &ours);
    assert_true(v.thresholds.reject == 20 && v.thresholds.add_header == 7.25 && v.thresholds.greylist == 2.5);
    assert_true(v.greylisting && v.dispositions.at_block == ACTION_QUARANTINE &&
                v.dispositions.at_add_header == ACTION_REJECT && v.retention_days == 7 && v.rules_max == 0);
    OK(w, store_setting_get(s, store_scope_domain(ours), &got, &w->e));
    assert_true(isnan(got.reject) && got.add_header == 7.25 && got.greylisting == -1 && got.at_block == 1 &&
                got.at_reject == -1);
    own = STORE_SETTING_NONE;
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    v = view_of(w, &ours);
    assert_true(v.thresholds.add_header == 6 && v.dispositions.at_block == ACTION_DISCARD && v.retention_days == 0 &&
                v.rules_max == 5000);
}

static const struct {
    const char *holds;
    double      reject, add_header, greylist;
    bool        fits;
} orders[] = {
    {"the usual order", 15, 6, 4, true},
    {"decimals", 5.2, 5.1, 5, true},
    {"the upper end", 998.9, 6, 4, true},
    {"all off", THRESHOLD_OFF, THRESHOLD_OFF, THRESHOLD_OFF, true},
    {"one that is off has no place in the order", 15, THRESHOLD_OFF, 4, true},
    {"reject alone", 3, THRESHOLD_OFF, THRESHOLD_OFF, true},
    {"add_header above reject", 5, 6, 4, false},
    {"greylist above add_header", 15, 6, 7, false},
    {"greylist above reject, add_header off", 5, THRESHOLD_OFF, 6, false},
    {"two alike", 6, 6, 4, false},
    {"zero", 15, 6, 0, false},
    {"below zero", 15, -1, -2, false},
    {"beyond the end", 1000, 6, 4, false},
    {"inherited: greylist 4 above add_header", NAN, 3, NAN, false},
    {"inherited: reject 15 below add_header", NAN, 16, NAN, false},
    {"inherited, and in order", NAN, 5, NAN, true},
};

static void thresholds_keep_their_order_inherited_ones_included(void **state)
{
    struct world *w = world_of(state);
    struct uuid   ours = add_domain(w, "ours.example");

    for (size_t i = 0; i < COUNT(orders); i++) {
        struct store_setting x = thresholds(orders[i].reject, orders[i].add_header, orders[i].greylist), got;
        int                  rc = store_setting_set(w->more, &root, store_scope_domain(ours), &x, &w->e);

        CHECK(orders[i].holds, (rc == 0) == orders[i].fits);
        CHECK(orders[i].holds, rc == 0 || w->e.code == ERR_INVALID);
        OK(w, store_setting_get(w->more, store_scope_domain(ours), &got, &w->e));
        CHECK(orders[i].holds, rc < 0 || isnan(x.reject) || got.reject == x.reject);
    }
}

static void a_change_from_above_does_not_break_the_order_below(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna");
    struct store_setting own = thresholds(NAN, 12, NAN), global = thresholds(10, 6, 4), mine = thresholds(NAN, NAN, 11);

    own.mailbox_thresholds = 1;
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    REFUSED(w, ERR_INVALID, store_setting_set(s, &root, STORE_SCOPE_GLOBAL, &global, &w->e));
    assert_non_null(strstr(w->e.text, "ours.example"));
    assert_true(view_of(w, NULL).thresholds.reject == 15);
    OK(w, store_setting_set(s, &root, store_scope_mailbox(box), &mine, &w->e));
    own.add_header = 8;
    REFUSED(w, ERR_INVALID, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    assert_non_null(strstr(w->e.text, "mailbox"));
    global = thresholds(20, NAN, NAN);
    OK(w, store_setting_set(s, &root, STORE_SCOPE_GLOBAL, &global, &w->e));
    own.mailbox_thresholds = 0; /* then the mailbox's own do not hold, and are in nobody's way */
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    own.mailbox_thresholds = 1;
    REFUSED(w, ERR_INVALID, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
}

static void a_mailbox_has_its_own_where_the_domain_permits(void **state)
{
    struct world             *w = world_of(state);
    struct store             *s = w->more;
    struct uuid               ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna");
    struct store_setting      own = STORE_SETTING_NONE, mine = thresholds(NAN, NAN, 3), more = mine;
    struct store_mailbox_view v;

    REFUSED(w, ERR_DENIED, store_setting_set(s, &root, store_scope_mailbox(box), &mine, &w->e));
    own.mailbox_thresholds = 1;
    own.reject = 14;
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    OK(w, store_setting_set(s, &root, store_scope_mailbox(box), &mine, &w->e));
    OK(w, store_mailbox_view(s, box, &v, &w->e));
    assert_true(v.thresholds.reject == 14 && v.thresholds.add_header == 6 && v.thresholds.greylist == 3);
    assert_true(v.enabled && uuid_eq(&v.domain, &ours));
    more.greylisting = 1;
    REFUSED(w, ERR_INVALID, store_setting_set(s, &root, store_scope_mailbox(box), &more, &w->e));
    mine.greylist = 7;
    REFUSED(w, ERR_INVALID, store_setting_set(s, &root, store_scope_mailbox(box), &mine, &w->e));
    own.mailbox_thresholds = 0;
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &own, &w->e));
    OK(w, store_mailbox_view(s, box, &v, &w->e));
    assert_true(v.thresholds.greylist == 4);
}

static void assigned_policies_are_in_the_view_while_they_are_enabled(void **state)
{
    struct world            *w = world_of(state);
    struct store            *s = w->more;
    struct uuid              ours = add_domain(w, "ours.example"), ids[3];
    struct store_policy      p = {.scope = STORE_SCOPE_GLOBAL, .priority = 10, .enabled = true};
    struct store_domain_view v;
    struct arena             a;

    for (size_t i = 0; i < COUNT(ids); i++) {
        snprintf(p.name, sizeof p.name, "p%zu", i);
        p.enabled = i != 1;
        OK(w, store_policy_add(s, &root, &p, &ids[i], &w->e));
        OK(w, store_policy_assign(s, &root, ids[i], ours, &w->e));
    }
    arena_init(&a, 1 << 20);
    OK(w, store_domain_view(s, &ours, &a, &v, &w->e));
    assert_int_equal(v.nassigned, 2);
    assert_true(uuid_eq(&v.assigned[0], &ids[0]) && uuid_eq(&v.assigned[1], &ids[2]));
    OK(w, store_policy_unassign(s, &root, ids[0], ours, &w->e));
    OK(w, store_domain_view(s, &ours, &a, &v, &w->e));
    assert_int_equal(v.nassigned, 1);
    arena_fini(&a);
}

static void whose_settings_they_are_decides_who_may_change_them(void **state)
{
    struct world        *w = world_of(state);
    struct store_setting x = thresholds(20, NAN, NAN);
    struct uuid          nobody = uuid7_make();

    REFUSED(w, ERR_DENIED, store_setting_set(w->more, &owner, STORE_SCOPE_GLOBAL, &x, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_setting_set(w->more, &root, store_scope_domain(nobody), &x, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_setting_set(w->more, &root, store_scope_mailbox(nobody), &x, &w->e));
}

static void an_owner_does_not_raise_the_quota(void **state)
{
    struct world        *w = world_of(state);
    struct store_scope   scope = store_scope_domain(add_domain(w, "ours.example"));
    struct store_setting x = thresholds(20, NAN, NAN);

    x.rules_max = 10;
    OK(w, store_setting_set(w->more, &root, scope, &x, &w->e));
    x.reject = 21;
    OK(w, store_setting_set(w->more, &owner, scope, &x, &w->e));
    x.rules_max = 11;
    REFUSED(w, ERR_DENIED, store_setting_set(w->more, &owner, scope, &x, &w->e));
    x.rules_max = 10;
    x.mailbox_rules_max = 1;
    REFUSED(w, ERR_DENIED, store_setting_set(w->more, &owner, scope, &x, &w->e));
}

static void copies_of_delivered_mail_are_for_the_operator_to_switch_on(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          ours = add_domain(w, "ours.example");
    struct store_scope   scope = store_scope_domain(ours);
    struct store_setting x = thresholds(20, NAN, NAN);

    assert_false(view_of(w, &ours).copies);
    x.copies = 1;
    REFUSED(w, ERR_DENIED, store_setting_set(w->more, &owner, scope, &x, &w->e));
    OK(w, store_setting_set(w->more, &root, scope, &x, &w->e));
    assert_true(view_of(w, &ours).copies);
    x.reject = 21;
    OK(w, store_setting_set(w->more, &owner, scope, &x, &w->e));
    assert_true(view_of(w, &ours).copies);
    x.copies = 0;
    REFUSED(w, ERR_DENIED, store_setting_set(w->more, &owner, scope, &x, &w->e));
}

static bool may_regex(struct world *w, const struct actor *by, struct store_scope scope)
{
    bool may = false;

    OK(w, store_may_regex(w->more, by, scope, &may, &w->e));
    return may;
}

static void who_writes_regexes_is_for_the_domain_to_say(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          ours = add_domain(w, "ours.example"), other = add_domain(w, "other.example");
    struct store_scope   scope = store_scope_domain(ours), mailbox = store_scope_mailbox(add_mailbox(w, ours, "anna"));
    struct store_account a = {.login = "anna@ours.example", .active = true};
    struct actor         anna = {.kind = ACTOR_ACCOUNT, .name = a.login};
    struct store_setting x = STORE_SETTING_NONE;

    OK(w, store_account_add(w->more, &root, &a, &anna.id, &w->e));
    assert_true(may_regex(w, &root, scope) && may_regex(w, &root, mailbox) && may_regex(w, &root, STORE_SCOPE_GLOBAL));
    assert_false(may_regex(w, &anna, scope) || may_regex(w, &anna, mailbox));
    OK(w, store_role_set(w->more, &root, anna.id, ours, ROLE_OWNER, &w->e));
    assert_true(may_regex(w, &anna, scope) && may_regex(w, &anna, mailbox));
    assert_false(may_regex(w, &anna, store_scope_domain(other)) || may_regex(w, &anna, STORE_SCOPE_GLOBAL));
    x.regex_role = ROLE_ADMIN;
    OK(w, store_setting_set(w->more, &root, scope, &x, &w->e));
    assert_false(may_regex(w, &anna, mailbox));
    OK(w, store_role_set(w->more, &root, anna.id, ours, ROLE_USER, &w->e));
    x.regex_role = ROLE_USER;
    OK(w, store_setting_set(w->more, &root, scope, &x, &w->e));
    assert_true(may_regex(w, &anna, mailbox));
}

/* All that a person can do, a program of theirs can. */
static void a_key_writes_regexes_where_it_stands_as_high_as_who_may(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          ours = add_domain(w, "ours.example"), other = add_domain(w, "other.example");
    struct store_scope   scope = store_scope_domain(ours), mailbox = store_scope_mailbox(add_mailbox(w, ours, "anna"));
    struct store_api_key k = {.name = SPAN("bound"),
                              .scopes = SPAN("rules:write"),
                              .role = ROLE_OWNER,
                              .bound = true,
                              .domains = &ours,
                              .ndomains = 1};
    struct actor         key = {.kind = ACTOR_API_KEY, .name = "bound"}, user = {.kind = ACTOR_API_KEY, .name = "user"};
    struct actor         gone = {.kind = ACTOR_API_KEY, .name = "gone"};
    char                 text[API_KEY_TEXT + 1];

    OK(w, store_api_key_add(w->more, &root, &k, &key.id, text, &w->e));
    assert_true(may_regex(w, &key, scope) && may_regex(w, &key, mailbox));
    assert_false(may_regex(w, &key, store_scope_domain(other)) || may_regex(w, &key, STORE_SCOPE_GLOBAL));
    k.name = SPAN("user");
    k.role = ROLE_USER;
    OK(w, store_api_key_add(w->more, &root, &k, &user.id, text, &w->e));
    assert_false(may_regex(w, &user, scope) || may_regex(w, &gone, scope));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(nothing_set_is_what_is_built_in),
        STORE(a_domain_inherits_what_it_has_not_set),
        STORE(who_may_enrol_is_inherited_like_the_rest),
        STORE(thresholds_keep_their_order_inherited_ones_included),
        STORE(a_change_from_above_does_not_break_the_order_below),
        STORE(a_mailbox_has_its_own_where_the_domain_permits),
        STORE(assigned_policies_are_in_the_view_while_they_are_enabled),
        STORE(whose_settings_they_are_decides_who_may_change_them),
        STORE(an_owner_does_not_raise_the_quota),
        STORE(copies_of_delivered_mail_are_for_the_operator_to_switch_on),
        STORE(who_writes_regexes_is_for_the_domain_to_say),
        STORE(a_key_writes_regexes_where_it_stands_as_high_as_who_may),
    };

    return run_on_both(tests, COUNT(tests));
}
