/* tests/unit/store_account.c - twin of lib/store/account.c. */
#include "store_world.h"

static struct store_account add(struct world *w, const char *login, bool admin)
{
    struct store_account a = {
        .admin = admin, .active = true, .language = "de", .zone = "Europe/Berlin", .name = "Jemand"};

    snprintf(a.login, sizeof a.login, "%s", login);
    OK(w, store_account_add(w->more, &root, &a, &a.id, &w->e));
    return a;
}

static enum role role_of(struct world *w, struct uuid account, struct uuid domain)
{
    enum role role;

    OK(w, store_role_of(w->more, account, domain, &role, &w->e));
    return role;
}

static void an_account_is_read_as_it_was_written(void **state)
{
    struct world        *w = world_of(state);
    struct store_account a = add(w, "anna@ours.example", false), got;

    OK(w, store_account_find(w->more, SPAN("anna@ours.example"), &got, &w->e));
    assert_true(uuid_eq(&got.id, &a.id) && got.active && !got.admin);
    assert_string_equal(got.language, "de");
    assert_string_equal(got.zone, "Europe/Berlin");
    got.active = false;
    got.zone[0] = '\0';
    OK(w, store_account_set(w->more, &root, &got, &w->e));
    OK(w, store_account_get(w->more, a.id, &got, &w->e));
    assert_true(!got.active && got.zone[0] == '\0');
    OK(w, store_account_delete(w->more, &root, a.id, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_account_get(w->more, a.id, &got, &w->e));
}

static void a_login_is_given_once(void **state)
{
    struct world        *w = world_of(state);
    struct store_account a = add(w, "anna@ours.example", false);

    REFUSED(w, ERR_CONFLICT, store_account_add(w->more, &root, &a, &a.id, &w->e));
    assert_non_null(strstr(w->e.text, "anna@ours.example"));
}

static void roles_are_of_domains_and_end_with_the_account(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          one = add_domain(w, "one.example"), two = add_domain(w, "two.example");
    struct store_account a = add(w, "anna@ours.example", false), boss = add(w, "root@ours.example", true);

    assert_int_equal(role_of(w, a.id, one), ROLE_USER);
    OK(w, store_role_set(s, &root, a.id, one, ROLE_CLERK, &w->e));
    assert_int_equal(role_of(w, a.id, one), ROLE_CLERK);
    OK(w, store_role_set(s, &root, a.id, one, ROLE_OWNER, &w->e));
    assert_int_equal(role_of(w, a.id, one), ROLE_OWNER);
    assert_int_equal(role_of(w, a.id, two), ROLE_USER);
    assert_int_equal(role_of(w, boss.id, two), ROLE_ADMIN);
    a.active = boss.active = false;
    OK(w, store_account_set(s, &root, &a, &w->e));
    OK(w, store_account_set(s, &root, &boss, &w->e));
    assert_int_equal(role_of(w, a.id, one), ROLE_USER);
    assert_int_equal(role_of(w, boss.id, one), ROLE_USER);
    assert_int_equal(role_of(w, uuid7_make(), one), ROLE_USER);
    OK(w, store_role_set(s, &root, a.id, one, ROLE_USER, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_role_set(s, &root, a.id, one, ROLE_USER, &w->e));
    REFUSED(w, ERR_INVALID, store_role_set(s, &root, a.id, one, ROLE_ADMIN, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_role_set(s, &root, uuid7_make(), one, ROLE_OWNER, &w->e));
}

static void only_an_admin_makes_admins(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct store_account a = add(w, "anna@ours.example", false), boss = add(w, "root@ours.example", true), more = a;

    snprintf(more.login, sizeof more.login, "eve@ours.example");
    more.admin = true;
    REFUSED(w, ERR_DENIED, store_account_add(s, &owner, &more, &more.id, &w->e));
    a.admin = true;
    REFUSED(w, ERR_DENIED, store_account_set(s, &owner, &a, &w->e));
    boss.admin = false;
    REFUSED(w, ERR_DENIED, store_account_set(s, &owner, &boss, &w->e));
    REFUSED(w, ERR_DENIED, store_account_delete(s, &owner, boss.id, &w->e));
    OK(w, store_account_set(s, &root, &a, &w->e));
}

static int each_login(void *ctx, const struct store_account *a)
{
    strcat(strcat(ctx, a->login), " ");
    return 0;
}

static int each_role(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name, enum role role)
{
    char *text = ctx;

    (void)account;
    (void)domain;
    sprintf(text + strlen(text), "%.*s:%s ", SPAN_ARG(name), role_words[role]);
    return 0;
}

static void accounts_and_their_domains_are_listed_by_name(void **state)
{
    struct world        *w = world_of(state);
    struct store_account a;
    char                 text[256] = "";

    add(w, "c@x.example", false);
    a = add(w, "a@x.example", false);
    add(w, "b@x.example", false);
    OK(w, store_account_list(w->more, SPAN_NONE, 2, each_login, text, &w->e));
    OK(w, store_account_list(w->more, SPAN("b@x.example"), 2, each_login, text, &w->e));
    assert_string_equal(text, "a@x.example b@x.example c@x.example ");
    OK(w, store_role_set(w->more, &root, a.id, add_domain(w, "two.example"), ROLE_OWNER, &w->e));
    OK(w, store_role_set(w->more, &root, a.id, add_domain(w, "one.example"), ROLE_CLERK, &w->e));
    text[0] = '\0';
    OK(w, store_role_list(w->more, a.id, each_role, text, &w->e));
    assert_string_equal(text, "one.example:clerk two.example:owner ");
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(an_account_is_read_as_it_was_written),          STORE(a_login_is_given_once),
        STORE(roles_are_of_domains_and_end_with_the_account), STORE(only_an_admin_makes_admins),
        STORE(accounts_and_their_domains_are_listed_by_name),
    };

    return run_on_both(tests, COUNT(tests));
}
