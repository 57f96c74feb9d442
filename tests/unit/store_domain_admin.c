/* Who is named for a domain owns it and gets its digest; who is freed loses what being named gave, and nothing else. */
#include "store/domain_admin.h"

#include "store/digest.h"
#include "store_world.h"

static struct uuid a_domain(struct world *w)
{
    struct store_domain d = {.kind = DOMAIN_LOCAL, .state = DOMAIN_ACTIVE};
    struct uuid         id;

    snprintf(d.name, sizeof d.name, "ours.example");
    OK(w, store_domain_add(w->more, &root, &d, &id, &w->e));
    return id;
}

static void name(struct world *w, struct uuid domain, const char *login, const char *zone)
{
    OK(w, store_domain_admin_set(w->more, &root, domain, span_of(login), zone, &w->e));
}

static struct store_account find(struct world *w, const char *login)
{
    struct store_account a;

    OK(w, store_account_find(w->more, span_of(login), &a, &w->e));
    return a;
}

static enum role role_of(struct world *w, const char *login, struct uuid domain)
{
    struct store_account a = find(w, login);
    enum role            r;

    OK(w, store_role_of(w->more, a.id, domain, &r, &w->e));
    return r;
}

struct digests {
    struct store_digest last;
    size_t              n;
};

static int each_digest(void *ctx, const struct store_digest *d)
{
    struct digests *l = ctx;

    l->last = *d;
    l->n++;
    return 0;
}

static struct digests digests_of(struct world *w, const char *login)
{
    struct store_account a = find(w, login);
    struct digests       l = {.n = 0};

    OK(w, store_digest_list(w->more, a.id, each_digest, &l, &w->e));
    return l;
}

static void who_is_named_owns_the_domain_and_gets_its_digest_unasked(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          domain = a_domain(w);
    struct store_account a;
    struct digests       got;

    assert_int_equal(store_domain_admin(w->more, domain, &a, &w->e), 0);
    name(w, domain, "olga@elsewhere.example", "Asia/Kathmandu");
    assert_int_equal(store_domain_admin(w->more, domain, &a, &w->e), 1);
    assert_string_equal(a.login, "olga@elsewhere.example");
    assert_int_equal(role_of(w, a.login, domain), ROLE_OWNER);
    got = digests_of(w, a.login);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.last.kind, DIGEST_DOMAIN);
    assert_int_equal(got.last.choice.minute, 420);
    assert_int_equal(got.last.choice.weekdays, 127);
    assert_string_equal(got.last.choice.zone, "Asia/Kathmandu");
    CHECK("07:00 there is 01:15 in UTC", got.last.next_us / 60000000 % 1440 == 75 && got.last.stands);
    name(w, domain, "olga@elsewhere.example", "UTC");
    CHECK("twice is once", digests_of(w, a.login).n == 1);
}

static void the_digest_comes_at_the_domains_own_hour(void **state)
{
    struct world              *w = world_of(state);
    struct uuid                domain = a_domain(w);
    struct store_digest_choice c = {.minute = 600, .weekdays = 62, .filters = 3, .zone = "UTC", .language = "de"};

    OK(w, store_digest_default_set(w->more, &root, domain, &c, &w->e));
    name(w, domain, "olga@elsewhere.example", "Asia/Kathmandu");
    c = digests_of(w, "olga@elsewhere.example").last.choice;
    CHECK("its hour and days", c.minute == 600 && c.weekdays == 62 && c.filters == 3);
    assert_string_equal(c.zone, "UTC");
    assert_string_equal(c.language, "de");
    OK(w, store_domain_admin_clear(w->more, &root, domain, &w->e));
    OK(w, store_digest_default_set(w->more, &root, domain, NULL, &w->e));
    name(w, domain, "olga@elsewhere.example", "");
    assert_string_equal(digests_of(w, "olga@elsewhere.example").last.choice.zone, "UTC");
}

static void who_is_freed_loses_what_being_named_gave_alone(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          domain = a_domain(w), id;
    struct store_account a = {.active = true, .login = "owen@ours.example"};
    struct store_digest  d = {.kind = DIGEST_DOMAIN,
                              .domain = domain,
                              .choice = {.weekdays = 1, .filters = 1, .zone = "UTC", .language = "en"}};

    OK(w, store_account_add(w->more, &root, &a, &d.account, &w->e));
    OK(w, store_role_set(w->more, &root, d.account, domain, ROLE_OWNER, &w->e));
    OK(w, store_digest_add(w->more, &root, &d, &id, &w->e));
    name(w, domain, "owen@ours.example", "");
    CHECK("what it had is enough", digests_of(w, "owen@ours.example").n == 1);
    name(w, domain, "olga@elsewhere.example", "");
    CHECK("the owner of before stays one", role_of(w, "owen@ours.example", domain) == ROLE_OWNER);
    CHECK("with the digest of before", digests_of(w, "owen@ours.example").n == 1);
    OK(w, store_domain_admin_clear(w->more, &root, domain, &w->e));
    assert_int_equal(role_of(w, "olga@elsewhere.example", domain), ROLE_USER);
    assert_int_equal(digests_of(w, "olga@elsewhere.example").n, 0);
    OK(w, store_domain_admin_clear(w->more, &root, domain, &w->e));
}

static void who_owns_it_no_longer_is_the_address_no_longer(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          domain = a_domain(w);
    struct store_account a;

    name(w, domain, "olga@elsewhere.example", "");
    a = find(w, "olga@elsewhere.example");
    OK(w, store_role_set(w->more, &root, a.id, domain, ROLE_USER, &w->e));
    assert_int_equal(store_domain_admin(w->more, domain, &a, &w->e), 0);
    name(w, domain, "olga@elsewhere.example", "");
    CHECK("named again", role_of(w, "olga@elsewhere.example", domain) == ROLE_OWNER);
    CHECK("with one digest", digests_of(w, "olga@elsewhere.example").n == 1);
}

static void nobody_is_named_who_may_not_sign_in_and_nothing_changes(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          domain = a_domain(w), id;
    struct store_account a = {.login = "gone@ours.example"};

    OK(w, store_account_add(w->more, &root, &a, &id, &w->e));
    name(w, domain, "olga@elsewhere.example", "");
    assert_int_equal(store_domain_admin_set(w->more, &root, domain, SPAN("gone@ours.example"), "", &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    w->e = ERR_INIT;
    assert_int_equal(store_domain_admin(w->more, domain, &a, &w->e), 1);
    assert_string_equal(a.login, "olga@elsewhere.example");
}

static int last_action(void *ctx, const struct store_audit_row *r)
{
    snprintf(ctx, 64, "%.*s", SPAN_ARG(r->action));
    return 1;
}

static void naming_and_freeing_are_in_the_audit_log(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = a_domain(w);
    char          action[64] = "";

    name(w, domain, "olga@elsewhere.example", "");
    OK(w, store_audit_list(w->more, NULL, INT64_MAX, 1, last_action, action, &w->e));
    assert_string_equal(action, "domain.admin");
    OK(w, store_account_delete(w->more, &root, find(w, "olga@elsewhere.example").id, &w->e));
    OK(w, store_domain_admin_clear(w->more, &root, domain, &w->e));
    OK(w, store_audit_list(w->more, NULL, INT64_MAX, 1, last_action, action, &w->e));
    assert_string_equal(action, "account.delete");
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(who_is_named_owns_the_domain_and_gets_its_digest_unasked),
        STORE(the_digest_comes_at_the_domains_own_hour),
        STORE(who_is_freed_loses_what_being_named_gave_alone),
        STORE(who_owns_it_no_longer_is_the_address_no_longer),
        STORE(nobody_is_named_who_may_not_sign_in_and_nothing_changes),
        STORE(naming_and_freeing_are_in_the_audit_log),
    };

    return run_on_both(tests, COUNT(tests));
}
