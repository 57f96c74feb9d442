/* tests/unit/store_credential.c - twin of lib/store/credential.c. */
#include "store/credential.h"

#include "store_world.h"

static struct uuid add_account(struct world *w)
{
    struct store_account a = {.login = "anna@ours.example", .active = true};

    OK(w, store_account_add(w->more, &root, &a, &a.id, &w->e));
    return a.id;
}

static int check(struct world *w, struct uuid account, const char *password)
{
    return store_password_check(w->more, account, span_of(password), &w->e);
}

static void a_password_opens_the_account_and_no_other_does(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct uuid   a = add_account(w);

    assert_int_equal(check(w, a, "correct horse"), 0);
    OK(w, store_password_set(s, &root, a, SPAN("correct horse"), &w->e));
    assert_int_equal(check(w, a, "correct horse"), 1);
    assert_int_equal(check(w, a, "Correct horse"), 0);
    assert_int_equal(check(w, a, "correct horse "), 0);
    assert_int_equal(check(w, a, ""), 0);
    assert_int_equal(check(w, uuid7_make(), "correct horse"), 0);
    OK(w, store_password_set(s, &root, a, SPAN("battery staple"), &w->e));
    assert_int_equal(check(w, a, "correct horse"), 0);
    assert_int_equal(check(w, a, "battery staple"), 1);
    OK(w, store_password_clear(s, &root, a, &w->e));
    assert_int_equal(check(w, a, "battery staple"), 0);
    REFUSED(w, ERR_NOT_FOUND, store_password_clear(s, &root, a, &w->e));
}

static int each_row(void *ctx, const struct store_audit_row *r)
{
    int *found = ctx;

    *found += span_find(r->payload, SPAN("geheimes")) < r->payload.n;
    return 0;
}

static void a_password_is_stored_nowhere(void **state)
{
    static const char data_sql[] = "SELECT data FROM credential";
    struct world     *w = world_of(state);
    struct store     *s = w->more;
    struct db_rows   *r = NULL;
    int               found = 0;

    OK(w, store_password_set(s, &root, add_account(w), SPAN("geheimes Wort"), &w->e));
    OK(w, db_query(s->main, data_sql, NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    assert_true(span_starts(db_text(r, 0), SPAN("$argon2id$")));
    db_rows_free(&r);
    OK(w, store_audit_list(s, NULL, INT64_MAX, 0, each_row, &found, &w->e));
    assert_int_equal(found, 0);
}

/* Who guesses addresses must not learn from the clock which of them have a password. */
static void without_a_password_the_check_takes_its_time_too(void **state)
{
    struct world *w = world_of(state);
    struct uuid   a = add_account(w);
    int64_t       begun, with, without;

    OK(w, store_password_set(w->more, &root, a, SPAN("correct horse"), &w->e));
    begun = clock_thread_cpu_us();
    assert_int_equal(check(w, a, "wrong wrong wrong"), 0);
    with = clock_thread_cpu_us() - begun;
    begun = clock_thread_cpu_us();
    assert_int_equal(check(w, uuid7_make(), "wrong wrong wrong"), 0);
    without = clock_thread_cpu_us() - begun;
    assert_true(without > with / 2 && without < with * 2);
}

static void a_password_has_its_length(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    struct uuid   a = add_account(w);
    char          long_one[PASSWORD_LENGTH_MAX + 1];

    memset(long_one, 'x', sizeof long_one);
    REFUSED(w, ERR_INVALID, store_password_set(s, &root, a, SPAN("too short"), &w->e));
    REFUSED(w, ERR_INVALID, store_password_set(s, &root, a, span_make(long_one, sizeof long_one), &w->e));
    assert_int_equal(store_password_check(s, a, span_make(long_one, sizeof long_one), &w->e), 0);
    REFUSED(w, ERR_NOT_FOUND, store_password_set(s, &root, uuid7_make(), SPAN("long enough"), &w->e));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_password_opens_the_account_and_no_other_does),
        STORE(a_password_is_stored_nowhere),
        STORE(without_a_password_the_check_takes_its_time_too),
        STORE(a_password_has_its_length),
    };

    return run_on_both(tests, COUNT(tests));
}
