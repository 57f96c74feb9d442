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

struct people {
    char text[400];
};

static int each_person(void *ctx, const struct store_account *a, enum role role)
{
    struct people *p = ctx;

    snprintf(p->text + strlen(p->text), sizeof p->text - strlen(p->text), "%s %s, ", a->login, role_words[role]);
    return 0;
}

static struct uuid add_person(struct world *w, const char *login)
{
    struct store_account a = {.active = true};
    struct uuid          id;

    snprintf(a.login, sizeof a.login, "%s", login);
    OK(w, store_account_add(w->more, &root, &a, &id, &w->e));
    return id;
}

static void the_people_of_a_domain_have_a_mailbox_a_role_or_their_login_there(void **state)
{
    struct world *w = world_of(state);
    struct uuid   ours = add_domain(w, "ours.example"), mailbox, a, b, c, stranger;
    struct people all = {""}, rest = {""};
    bool          in;

    a = add_person(w, "a@ours.example");
    b = add_person(w, "b@elsewhere.example");
    c = add_person(w, "c@elsewhere.example");
    stranger = add_person(w, "d@notours.example");
    OK(w, store_mailbox_add(w->more, &root, ours, SPAN("b"), &b, &mailbox, &w->e));
    OK(w, store_role_set(w->more, &root, c, ours, ROLE_OWNER, &w->e));
    OK(w, store_account_of_domain(w->more, ours, SPAN_NONE, 0, each_person, &all, &w->e));
    assert_string_equal(all.text, "a@ours.example user, b@elsewhere.example user, c@elsewhere.example owner, ");
    OK(w, store_account_of_domain(w->more, ours, SPAN("a@ours.example"), 1, each_person, &rest, &w->e));
    assert_string_equal(rest.text, "b@elsewhere.example user, ");
    OK(w, store_account_is_in(w->more, a, ours, &in, &w->e));
    assert_true(in);
    OK(w, store_account_is_in(w->more, stranger, ours, &in, &w->e));
    assert_false(in);
}

static void the_last_admin_is_unmade_at_the_machine_alone(void **state)
{
    struct world        *w = world_of(state);
    struct store_account only = {.login = "root@ours.example", .active = true, .admin = true}, other = only;
    struct actor afar = {.kind = ACTOR_ACCOUNT, .name = "root@ours.example", .source = "192.0.2.1", .admin = true};

    snprintf(other.login, sizeof other.login, "second@ours.example");
    OK(w, store_account_add(w->more, &root, &only, &only.id, &w->e));
    OK(w, store_account_add(w->more, &root, &other, &other.id, &w->e));
    other.active = false;
    OK(w, store_account_set(w->more, &afar, &other, &w->e));
    REFUSED(w, ERR_CONFLICT, store_account_delete(w->more, &afar, only.id, &w->e));
    only.active = false;
    REFUSED(w, ERR_CONFLICT, store_account_set(w->more, &afar, &only, &w->e));
    only.active = true;
    only.admin = false;
    REFUSED(w, ERR_CONFLICT, store_account_set(w->more, &afar, &only, &w->e));
    OK(w, store_account_set(w->more, &root, &only, &w->e));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(an_account_is_read_as_it_was_written),
        STORE(a_login_is_given_once),
        STORE(roles_are_of_domains_and_end_with_the_account),
        STORE(only_an_admin_makes_admins),
        STORE(accounts_and_their_domains_are_listed_by_name),
        STORE(the_people_of_a_domain_have_a_mailbox_a_role_or_their_login_there),
        STORE(the_last_admin_is_unmade_at_the_machine_alone),
    };

    return run_on_both(tests, COUNT(tests));
}
