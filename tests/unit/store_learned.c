/* tests/unit/store_learned.c - twin of lib/store/learned.c. */
#include "store/learned.h"

#include "store_world.h"

struct seen {
    int                  n;
    struct store_learned last;
    char                 text[512];
};

static int each_learned(void *ctx, const struct store_learned *l)
{
    struct seen *seen = ctx;

    seen->n++;
    seen->last = *l;
    sprintf(seen->text + strlen(seen->text), "%s:%.*s:%.*s:%.*s ", l->action == RULE_ALLOW ? "allow" : "block",
            SPAN_ARG(l->sender), SPAN_ARG(l->proof), SPAN_ARG(l->report_uid));
    return 0;
}

static struct seen load(struct world *w, struct uuid mailbox, int64_t now)
{
    struct seen seen = {0};

    OK(w, store_learned_load(w->more, mailbox, now, each_learned, &seen, &w->e));
    return seen;
}

static struct store_learned entry(struct uuid mailbox, enum rule_action action, const char *sender)
{
    return (struct store_learned){.mailbox = mailbox,
                                  .action = action,
                                  .sender = span_of(sender),
                                  .proof = SPAN("dmarc"),
                                  .report_uid = SPAN("0190"),
                                  .expires_us = 1000};
}

static void a_later_report_takes_the_place_of_the_earlier(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          box = add_mailbox(w, add_domain(w, "ours.example"), "anna"), first, second;
    struct store_learned block = entry(box, RULE_BLOCK, "a@b.example"), allow = entry(box, RULE_ALLOW, "a@b.example");

    OK(w, store_learned_put(w->more, &root, &block, &first, &w->e));
    assert_string_equal(load(w, box, 0).text, "block:a@b.example:dmarc:0190 ");
    allow.report_uid = SPAN_NONE;
    OK(w, store_learned_put(w->more, &root, &allow, &second, &w->e));
    assert_true(uuid_eq(&first, &second));
    assert_string_equal(load(w, box, 0).text, "allow:a@b.example:dmarc: ");
}

static void an_entry_lapses_unless_a_hit_keeps_it_alive(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          box = add_mailbox(w, add_domain(w, "ours.example"), "anna"), ids[2];
    struct store_learned a = entry(box, RULE_BLOCK, "a@b.example"), b = entry(box, RULE_ALLOW, "b.example");

    OK(w, store_learned_put(w->more, &root, &a, &ids[0], &w->e));
    OK(w, store_learned_put(w->more, &root, &b, &ids[1], &w->e));
    assert_int_equal(load(w, box, 999).n, 2);
    assert_int_equal(load(w, box, 1000).n, 0);
    OK(w, store_learned_touch(w->more, &ids[1], 1, 2000, &w->e));
    assert_int_equal(load(w, box, 1000).n, 1);
    OK(w, store_learned_touch(w->more, ids, 2, 500, &w->e)); /* never shortens */
    assert_int_equal(load(w, box, 1999).n, 1);
}

static void an_entry_is_of_one_mailbox_and_can_be_undone(void **state)
{
    struct world *w = world_of(state);
    struct uuid   ours = add_domain(w, "ours.example"), anna = add_mailbox(w, ours, "anna"),
                bob = add_mailbox(w, ours, "bob"), id;
    struct store_learned a = entry(anna, RULE_BLOCK, "a@b.example"),
                         bad = entry(uuid7_make(), RULE_BLOCK, "a@b.example");

    OK(w, store_learned_put(w->more, &root, &a, &id, &w->e));
    assert_int_equal(load(w, bob, 0).n, 0);
    OK(w, store_learned_delete(w->more, &root, id, &w->e));
    assert_int_equal(load(w, anna, 0).n, 0);
    REFUSED(w, ERR_NOT_FOUND, store_learned_delete(w->more, &root, id, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_learned_put(w->more, &root, &bad, &id, &w->e));
    a.sender = SPAN_NONE;
    REFUSED(w, ERR_INVALID, store_learned_put(w->more, &root, &a, &id, &w->e));
}

struct listed {
    int         n;
    struct uuid last;
    char        text[512];
};

static int each_of(void *ctx, const struct store_learned *l, struct span mailbox)
{
    struct listed *to = ctx;

    to->n++;
    to->last = l->id;
    sprintf(to->text + strlen(to->text), "%.*s %.*s;", SPAN_ARG(mailbox), SPAN_ARG(l->sender));
    return 0;
}

static void check_list(struct world *w, struct store_scope scope, const struct uuid *after, size_t limit,
                       const char *want, struct uuid *last)
{
    struct listed to = {.n = 0};

    OK(w, store_learned_list(w->more, scope, after, 100, limit, each_of, &to, &w->e));
    assert_string_equal(to.text, want);
    if (last != NULL)
        *last = to.last;
}

static void they_are_listed_for_a_mailbox_a_domain_and_all_of_them(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          ours = add_domain(w, "ours.example"), theirs = add_domain(w, "theirs.example");
    struct uuid          anna = add_mailbox(w, ours, "anna"), ben = add_mailbox(w, theirs, "ben"), id;
    struct store_learned rows[] = {entry(anna, RULE_BLOCK, "a@x.example"), entry(ben, RULE_BLOCK, "b@x.example"),
                                   entry(anna, RULE_ALLOW, "c@x.example"), entry(anna, RULE_ALLOW, "old@x.example")};

    rows[3].expires_us = 99;
    for (size_t i = 0; i < COUNT(rows); i++)
        OK(w, store_learned_put(w->more, &root, &rows[i], &id, &w->e));
    check_list(w, store_scope_mailbox(anna), NULL, 0, "anna@ours.example a@x.example;anna@ours.example c@x.example;",
               NULL);
    check_list(w, store_scope_domain(theirs), NULL, 0, "ben@theirs.example b@x.example;", NULL);
    check_list(w, STORE_SCOPE_GLOBAL, NULL, 2, "anna@ours.example a@x.example;ben@theirs.example b@x.example;", &id);
    check_list(w, STORE_SCOPE_GLOBAL, &id, 2, "anna@ours.example c@x.example;", NULL);
}

static void what_has_lapsed_goes_a_day_later(void **state)
{
    const int64_t        day = 86400 * INT64_C(1000000);
    struct world        *w = world_of(state);
    struct uuid          box = add_mailbox(w, add_domain(w, "ours.example"), "anna"), id;
    struct store_learned l = entry(box, RULE_BLOCK, "a@b.example");
    int64_t              gone;

    l.expires_us = 90 * day;
    OK(w, store_learned_put(w->more, &root, &l, &id, &w->e));
    OK(w, store_learned_lapse(w->more, &root, 91 * day - 1, 10, &gone, &w->e));
    assert_int_equal(gone, 0);
    assert_int_equal(load(w, box, 0).n, 1);
    OK(w, store_learned_lapse(w->more, &root, 91 * day, 10, &gone, &w->e));
    assert_int_equal(gone, 1);
    assert_int_equal(load(w, box, 0).n, 0);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_later_report_takes_the_place_of_the_earlier),
        STORE(an_entry_lapses_unless_a_hit_keeps_it_alive),
        STORE(they_are_listed_for_a_mailbox_a_domain_and_all_of_them),
        STORE(what_has_lapsed_goes_a_day_later),
        STORE(an_entry_is_of_one_mailbox_and_can_be_undone),
    };

    return run_on_both(tests, COUNT(tests));
}
