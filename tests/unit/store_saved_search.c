/* Saved searches: each person's own, in their order, whatever is moved or goes. */
#include "store/saved_search.h"

#include <stdio.h>

#include "store_world.h"

static struct uuid somebody(struct world *w, const char *login)
{
    struct store_account a = {.active = true};
    struct uuid          id;

    snprintf(a.login, sizeof a.login, "%s", login);
    OK(w, store_account_add(w->more, &root, &a, &id, &w->e));
    return id;
}

static struct uuid keep(struct world *w, struct uuid who, const char *name)
{
    struct store_saved_search x = {.name = span_of(name), .q = SPAN("status:spam"), .place = SPAN("")};
    struct uuid               id;

    OK(w, store_saved_search_add(w->more, &root, who, &x, 1000, &id, &w->e));
    return id;
}

static int each(void *ctx, const struct store_saved_search *x)
{
    char  *text = ctx;
    size_t n = strlen(text);

    snprintf(text + n, 200 - n, "%lld%.*s ", (long long)x->position, SPAN_ARG(x->name));
    return 0;
}

static const char *order(struct world *w, struct uuid who)
{
    static char text[200];

    text[0] = '\0';
    OK(w, store_saved_search_list(w->more, who, each, text, &w->e));
    return text;
}

static void move(struct world *w, struct uuid who, struct uuid id, int64_t to)
{
    struct store_saved_search x;
    struct arena              a;

    arena_init(&a, 16 << 10);
    OK(w, store_saved_search_get(w->more, who, id, &a, &x, &w->e));
    x.position = to;
    OK(w, store_saved_search_set(w->more, &root, who, &x, &w->e));
    arena_fini(&a);
}

static void what_is_moved_lets_the_others_close_up(void **state)
{
    struct world *w = world_of(state);
    struct uuid   anna = somebody(w, "anna@x.example"), bob = somebody(w, "bob@x.example");
    struct uuid   a = keep(w, anna, "a"), b = keep(w, anna, "b"), c = keep(w, anna, "c");

    keep(w, bob, "a");
    assert_string_equal(order(w, anna), "1a 2b 3c ");
    move(w, anna, c, 1);
    assert_string_equal(order(w, anna), "1c 2a 3b ");
    move(w, anna, c, 2);
    assert_string_equal(order(w, anna), "1a 2c 3b ");
    move(w, anna, a, 40);
    assert_string_equal(order(w, anna), "1c 2b 3a ");
    move(w, anna, b, 0);
    assert_string_equal(order(w, anna), "1c 2b 3a ");
    OK(w, store_saved_search_delete(w->more, &root, anna, c, &w->e));
    assert_string_equal(order(w, anna), "1b 2a ");
    assert_string_equal(order(w, bob), "1a ");
}

static void a_name_is_taken_once_by_each_person(void **state)
{
    struct world             *w = world_of(state);
    struct uuid               anna = somebody(w, "anna@x.example"), id;
    struct store_saved_search x = {.name = SPAN("a"), .q = SPAN(""), .place = SPAN("")};

    keep(w, anna, "a");
    assert_int_equal(store_saved_search_add(w->more, &root, anna, &x, 1000, &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    w->e = ERR_INIT;
    x.name = SPAN("");
    assert_int_equal(store_saved_search_add(w->more, &root, anna, &x, 1000, &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_INVALID);
    assert_string_equal(order(w, anna), "1a ");
}

static void nobody_reaches_anothers(void **state)
{
    struct world             *w = world_of(state);
    struct uuid               anna = somebody(w, "anna@x.example"), bob = somebody(w, "bob@x.example");
    struct store_saved_search x = {.id = keep(w, anna, "a"), .name = SPAN("b"), .q = SPAN(""), .place = SPAN("")};

    assert_int_equal(store_saved_search_set(w->more, &root, bob, &x, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
    w->e = ERR_INIT;
    assert_int_equal(store_saved_search_delete(w->more, &root, bob, x.id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
    assert_string_equal(order(w, anna), "1a ");
}

static void there_are_not_too_many(void **state)
{
    struct world             *w = world_of(state);
    struct uuid               anna = somebody(w, "anna@x.example"), id;
    struct store_saved_search x = {.name = SPAN("one more"), .q = SPAN(""), .place = SPAN("")};
    char                      name[16];

    for (int i = 0; i < SAVED_SEARCHES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        keep(w, anna, name);
    }
    assert_int_equal(store_saved_search_add(w->more, &root, anna, &x, 1000, &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_LIMIT);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(what_is_moved_lets_the_others_close_up),
        STORE(a_name_is_taken_once_by_each_person),
        STORE(nobody_reaches_anothers),
        STORE(there_are_not_too_many),
    };

    return run_on_both(tests, COUNT(tests));
}
