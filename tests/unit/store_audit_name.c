/* What the rows of the audit log are about, by name, also when it is gone. */
#include "store/audit_name.h"

#include "store/account.h"
#include "store_world.h"

static struct arena arena;

struct named {
    char action[40], object[200], scope[200], what[400];
};

static int first(void *ctx, const struct store_audit_row *r)
{
    struct named            *n = ctx;
    struct store_audit_names names;

    store_audit_names(r->payload, &arena, &names);
    snprintf(n->action, sizeof n->action, "%.*s", SPAN_ARG(r->action));
    snprintf(n->object, sizeof n->object, "%.*s", SPAN_ARG(names.object));
    snprintf(n->scope, sizeof n->scope, "%.*s", SPAN_ARG(names.scope));
    snprintf(n->what, sizeof n->what, "%.*s", SPAN_ARG(names.what));
    return 1;
}

static struct named last(struct world *w)
{
    struct named n = {.action = ""};

    OK(w, store_audit_list(w->more, NULL, INT64_MAX, 1, first, &n, &w->e));
    return n;
}

#define IS(n, a, o, s)                                                                                                 \
    do {                                                                                                               \
        assert_string_equal((n).action, a);                                                                            \
        assert_string_equal((n).object, o);                                                                            \
        assert_string_equal((n).scope, s);                                                                             \
        assert_null(strstr((n).what, "\"named\""));                                                                    \
    } while (0)

static void a_row_names_what_it_is_about_and_whom_it_concerns(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          ours = add_domain(w, "ours.example"), box = add_mailbox(w, ours, "anna"), id = uuid7_make();
    struct store_scope   scope = store_scope_mailbox(box);
    struct store_account a = {.login = "bob@ours.example", .active = true};
    struct store_rule    r = a_rule(policy_id(w, scope, POLICY_RULES), "with \"quotes\" and ,\"named\":{");

    IS(last(w), "policy.add", "Rules", "anna@ours.example");
    OK(w, store_rule_add(w->more, &root, &r, &r.id, &w->e));
    IS(last(w), "rule.add", "with \"quotes\" and ,\"named\":{", "anna@ours.example");
    OK(w, store_rule_delete(w->more, &root, r.id, &w->e));
    IS(last(w), "rule.delete", "with \"quotes\" and ,\"named\":{", "anna@ours.example");
    OK(w, store_account_add(w->more, &root, &a, &a.id, &w->e));
    IS(last(w), "account.add", "bob@ours.example", "ours.example");
    OK(w, store_role_set(w->more, &root, a.id, ours, ROLE_CLERK, &w->e));
    IS(last(w), "role.set", "bob@ours.example", "ours.example");
    OK(w, store_audit_note(w->more, &root, "body.open", "message", &id, scope, SPAN("{\"n\":1}"), &w->e));
    IS(last(w), "body.open", "", "anna@ours.example");
    assert_string_equal(last(w).what, "{\"n\":1}");
    OK(w, store_audit_note(w->more, &root, "body.open", "message", &id, scope, SPAN_NONE, &w->e));
    IS(last(w), "body.open", "", "anna@ours.example");
    assert_string_equal(last(w).what, "{}");
    OK(w, store_audit_note(w->more, &root, "key.rotate", "key", NULL, STORE_SCOPE_GLOBAL, SPAN_NONE, &w->e));
    IS(last(w), "key.rotate", "", "");
    OK(w, store_domain_delete(w->more, &root, ours, &w->e));
    IS(last(w), "domain.delete", "ours.example", "");
}

static void names_are_under_the_hash_and_go_with_the_payload(void **state)
{
    struct world               *w = world_of(state);
    struct store_audit_verified v;
    struct store_audit_names    names;

    add_domain(w, "ours.example");
    OK(w, store_audit_verify(w->more, &v, &w->e));
    assert_string_equal(v.broken, "");
    OK(w, db_run(store_of(state)->main,
                 "UPDATE audit SET payload = replace(payload, '\"named\":{\"object\":\"ours', "
                 "'\"named\":{\"object\":\"theirs')",
                 NULL, 0, NULL, &w->e));
    OK(w, store_audit_verify(w->more, &v, &w->e));
    CHECK("a name that was changed shows", v.broken[0] != '\0');
    store_audit_names(SPAN_NONE, &arena, &names);
    assert_true(names.object.n == 0 && names.scope.n == 0 && names.what.p == NULL);
}

static void what_is_no_payload_of_ours_names_nothing(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{\"named\":1}",
                                        "{\"named\":{\"object\":2}}",
                                        "{\"before\":[1]}",
                                        "{\"named\":{\"object\":\"x\"",
                                        "null"};
    struct store_audit_names names;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        store_audit_names(span_of(texts[i]), &arena, &names);
        CHECK(texts[i], names.scope.n == 0);
    }
    store_audit_names(SPAN("{\"before\":{\"x\":{\"name\":\"inner\"},\"name\":\"Old\"}}"), &arena, &names);
    assert_true(span_is(names.object, "Old"));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_row_names_what_it_is_about_and_whom_it_concerns),
        STORE(names_are_under_the_hash_and_go_with_the_payload),
        STORE_SQLITE(what_is_no_payload_of_ours_names_nothing),
    };
    int failed;

    arena_init(&arena, 1 << 20);
    failed = run_on_both(tests, COUNT(tests));
    arena_fini(&arena);
    return failed;
}
