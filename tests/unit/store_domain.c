/* tests/unit/store_domain.c - twin of lib/store/domain.c. */
#include "store_world.h"

static void a_domain_is_born_with_its_two_policies(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct uuid         id = add_domain(w, "ours.example");
    struct store_policy p;
    struct store_domain d;

    OK(w, store_policy_find(s, store_scope_domain(id), SPAN(POLICY_RULES), &p, &w->e));
    assert_false(p.locked);
    OK(w, store_policy_find(s, store_scope_domain(id), SPAN(POLICY_ENFORCED), &p, &w->e));
    assert_true(p.locked);
    OK(w, store_domain_find(s, SPAN("ours.example"), &d, &w->e));
    assert_true(uuid_eq(&d.id, &id));
    assert_string_equal(d.name, "ours.example");
    assert_int_equal(d.state, DOMAIN_ACTIVE);
    assert_int_equal(d.delimiter, '+');
    assert_true(d.created_us > 0);
}

static void what_is_set_is_what_is_read(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct store_domain d;

    OK(w, store_domain_get(s, add_domain(w, "ours.example"), &d, &w->e));
    d.kind = DOMAIN_RELAY;
    d.state = DOMAIN_DISABLED;
    d.delimiter = '\0';
    snprintf(d.route, sizeof d.route, "smtp://127.0.0.1:10025");
    OK(w, store_domain_set(s, &root, &d, &w->e));
    OK(w, store_domain_get(s, d.id, &d, &w->e));
    assert_int_equal(d.kind, DOMAIN_RELAY);
    assert_int_equal(d.state, DOMAIN_DISABLED);
    assert_int_equal(d.delimiter, '\0');
    assert_string_equal(d.route, "smtp://127.0.0.1:10025");
}

static void no_name_is_given_twice(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct uuid         ours = add_domain(w, "ours.example"), ignored;
    struct store_domain again = {.name = "ours.example", .state = DOMAIN_ACTIVE}, alias = {.name = "other.example"};

    REFUSED(w, ERR_CONFLICT, store_domain_add(s, &root, &again, &ignored, &w->e));
    assert_non_null(strstr(w->e.text, "ours.example"));
    OK(w, store_domain_alias_add(s, &root, ours, SPAN("other.example"), &w->e));
    REFUSED(w, ERR_CONFLICT, store_domain_add(s, &root, &alias, &ignored, &w->e));
    REFUSED(w, ERR_CONFLICT, store_domain_alias_add(s, &root, ours, SPAN("other.example"), &w->e));
    REFUSED(w, ERR_CONFLICT, store_domain_alias_add(s, &root, ours, SPAN("ours.example"), &w->e));
}

static void an_alias_finds_its_domain_until_it_is_deleted(void **state)
{
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct uuid         ours = add_domain(w, "ours.example");
    struct store_domain d;

    OK(w, store_domain_alias_add(s, &root, ours, SPAN("other.example"), &w->e));
    OK(w, store_domain_find(s, SPAN("other.example"), &d, &w->e));
    assert_string_equal(d.name, "ours.example");
    OK(w, store_domain_alias_delete(s, &root, SPAN("other.example"), &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_domain_find(s, SPAN("other.example"), &d, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_domain_alias_delete(s, &root, SPAN("other.example"), &w->e));
}

static void a_deleted_domain_takes_everything_with_it(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna"), ignored;
    struct span          target = SPAN("anna@ours.example");
    struct store_setting x = STORE_SETTING_NONE;
    int64_t              n;
    struct store_mailbox m;

    x.reject = 20;
    OK(w, store_setting_set(s, &root, store_scope_domain(ours), &x, &w->e));
    OK(w, store_address_add(s, &root, ours, SPAN("info"), ADDRESS_ALIAS, &target, 1, &ignored, &w->e));
    add_rule(w, policy_id(w, store_scope_domain(ours), POLICY_RULES), "a");
    add_rule(w, policy_id(w, store_scope_mailbox(box), POLICY_RULES), "b");
    OK(w, store_domain_delete(s, &root, ours, &w->e));
    OK(w, store_rule_count_all(s, &n, &w->e));
    assert_int_equal(n, 0);
    REFUSED(w, ERR_NOT_FOUND, store_mailbox_get(s, box, &m, &w->e));
    OK(w, store_setting_get(s, store_scope_domain(ours), &x, &w->e));
    assert_true(x.reject != x.reject);
    REFUSED(w, ERR_NOT_FOUND, store_domain_delete(s, &root, ours, &w->e));
}

struct names {
    char text[256];
};

static int each_name(void *ctx, const struct store_domain *d)
{
    struct names *n = ctx;

    strcat(n->text, d->name);
    strcat(n->text, " ");
    return 0;
}

static void domains_are_listed_by_name_a_page_at_a_time(void **state)
{
    struct world *w = world_of(state);
    struct names  n = {""};

    add_domain(w, "c.example");
    add_domain(w, "a.example");
    add_domain(w, "b-b.example");
    add_domain(w, "b.example");
    OK(w, store_domain_list(w->more, SPAN_NONE, 2, each_name, &n, &w->e));
    assert_string_equal(n.text, "a.example b-b.example ");
    OK(w, store_domain_list(w->more, SPAN("b-b.example"), 0, each_name, &n, &w->e));
    assert_string_equal(n.text, "a.example b-b.example b.example c.example ");
}

static const struct {
    const char *holds, *name;
    char        delimiter;
} refused[] = {
    {"no name", "", '+'},
    {"a control character", "a\nb.example", '+'},
    {"not UTF-8", "a\xff.example", '+'},
    {"a letter as delimiter", "a.example", 'x'},
    {"a delimiter that addresses are made of", "a.example", '@'},
};

static void a_domain_with_a_catch_all_is_not_split(void **state)
{
    struct world       *w = world_of(state);
    struct store_domain d;
    struct span         target = SPAN("anna@ours.example");
    struct uuid         all;

    OK(w, store_domain_get(w->more, add_domain(w, "ours.example"), &d, &w->e));
    d.kind = DOMAIN_SDR;
    OK(w, store_address_add(w->more, &root, d.id, SPAN_NONE, ADDRESS_CATCHALL, &target, 1, &all, &w->e));
    REFUSED(w, ERR_CONFLICT, store_domain_set(w->more, &root, &d, &w->e));
    assert_non_null(strstr(w->e.text, "ours.example"));
    OK(w, store_address_delete(w->more, &root, all, &w->e));
    OK(w, store_domain_set(w->more, &root, &d, &w->e));
}

static void what_is_no_domain_is_refused(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(refused); i++) {
        struct store_domain d = {.delimiter = refused[i].delimiter};
        struct uuid         ignored;

        snprintf(d.name, sizeof d.name, "%s", refused[i].name);
        CHECK(refused[i].holds, store_domain_add(w->more, &root, &d, &ignored, &w->e) < 0);
        CHECK(refused[i].holds, w->e.code == ERR_INVALID);
    }
    assert_int_equal(change_head(w), 0);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_domain_is_born_with_its_two_policies),
        STORE(what_is_set_is_what_is_read),
        STORE(no_name_is_given_twice),
        STORE(an_alias_finds_its_domain_until_it_is_deleted),
        STORE(a_deleted_domain_takes_everything_with_it),
        STORE(domains_are_listed_by_name_a_page_at_a_time),
        STORE(a_domain_with_a_catch_all_is_not_split),
        STORE(what_is_no_domain_is_refused),
    };

    return run_on_both(tests, COUNT(tests));
}
