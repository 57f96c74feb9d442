/* tests/unit/store_mailbox.c - twin of lib/store/mailbox.c. */
#include "store_world.h"

static int each_address(void *ctx, const struct store_mailbox *m)
{
    strcat(strcat(ctx, m->address), " ");
    return 0;
}

static void a_mailbox_is_born_with_its_address_and_its_policy(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), id = add_mailbox(w, ours, "anna");
    struct store_mailbox m;

    OK(w, store_mailbox_find(s, SPAN("anna@ours.example"), &m, &w->e));
    assert_true(uuid_eq(&m.id, &id) && uuid_eq(&m.domain, &ours) && m.enabled && !m.has_account);
    assert_string_equal(m.address, "anna@ours.example");
    policy_id(w, store_scope_mailbox(id), POLICY_RULES);
    REFUSED(w, ERR_NOT_FOUND, store_mailbox_find(s, SPAN("bob@ours.example"), &m, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_mailbox_find(s, SPAN("anna"), &m, &w->e));
}

static void a_deleted_mailbox_takes_its_address_and_rules_with_it(void **state)
{
    struct world         *w = world_of(state);
    struct store         *s = w->more;
    struct uuid           ours = add_domain(w, "ours.example"), id = add_mailbox(w, ours, "anna");
    struct store_resolved r;
    int64_t               n;

    add_rule(w, policy_id(w, store_scope_mailbox(id), POLICY_RULES), "r");
    OK(w, store_mailbox_delete(s, &root, id, &w->e));
    OK(w, store_rule_count_all(s, &n, &w->e));
    assert_int_equal(n, 0);
    OK(w, store_resolve(s, SPAN("anna@ours.example"), &r, &w->e));
    assert_true(r.ours && !r.known);
    REFUSED(w, ERR_NOT_FOUND, store_mailbox_delete(s, &root, id, &w->e));
    add_mailbox(w, ours, "anna");
}

static void mailboxes_are_listed_by_address_and_by_person(void **state)
{
    struct world        *w = world_of(state);
    struct store        *s = w->more;
    struct uuid          ours = add_domain(w, "ours.example"), account;
    struct store_account a = {.login = "anna@ours.example", .active = true};
    struct store_mailbox m;
    char                 text[512] = "";

    OK(w, store_account_add(s, &root, &a, &account, &w->e));
    add_mailbox(w, ours, "c");
    OK(w, store_mailbox_get(s, add_mailbox(w, ours, "a"), &m, &w->e));
    add_mailbox(w, ours, "b");
    OK(w, store_mailbox_list(s, ours, SPAN_NONE, 2, each_address, text, &w->e));
    OK(w, store_mailbox_list(s, ours, SPAN("b"), 2, each_address, text, &w->e));
    assert_string_equal(text, "a@ours.example b@ours.example c@ours.example ");
    m.has_account = true;
    m.account = account;
    OK(w, store_mailbox_set(s, &root, &m, &w->e));
    text[0] = '\0';
    OK(w, store_mailbox_of_account(s, account, each_address, text, &w->e));
    assert_string_equal(text, "a@ours.example ");
    m.account = uuid7_make();
    REFUSED(w, ERR_NOT_FOUND, store_mailbox_set(s, &root, &m, &w->e));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_mailbox_is_born_with_its_address_and_its_policy),
        STORE(a_deleted_mailbox_takes_its_address_and_rules_with_it),
        STORE(mailboxes_are_listed_by_address_and_by_person),
    };

    return run_on_both(tests, COUNT(tests));
}
