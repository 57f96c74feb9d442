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

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_later_report_takes_the_place_of_the_earlier),
        STORE(an_entry_lapses_unless_a_hit_keeps_it_alive),
        STORE(an_entry_is_of_one_mailbox_and_can_be_undone),
    };

    return run_on_both(tests, COUNT(tests));
}
