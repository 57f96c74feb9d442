/* Subscriptions: theirs alone, claimed by one, moved on once; and what a domain begins with. */
#include "store/digest.h"

#include "store_world.h"

#define AT_US (INT64_C(1000000) * 1000000)
#define LATER_US (AT_US + 86400 * INT64_C(1000000))

struct people {
    struct uuid domain, box, anna, owen;
};

static struct uuid an_account(struct world *w, const char *login)
{
    struct store_account a = {.active = true};
    struct uuid          id;

    snprintf(a.login, sizeof a.login, "%s", login);
    OK(w, store_account_add(w->more, &root, &a, &id, &w->e));
    return id;
}

static struct people some_people(struct world *w)
{
    struct people       p;
    struct store_domain d = {.kind = DOMAIN_LOCAL, .state = DOMAIN_ACTIVE};

    snprintf(d.name, sizeof d.name, "ours.example");
    OK(w, store_domain_add(w->more, &root, &d, &p.domain, &w->e));
    p.anna = an_account(w, "anna@ours.example");
    p.owen = an_account(w, "owen@elsewhere.example");
    OK(w, store_mailbox_add(w->more, &root, p.domain, SPAN("anna"), &p.anna, &p.box, &w->e));
    OK(w, store_role_set(w->more, &root, p.owen, p.domain, ROLE_OWNER, &w->e));
    return p;
}

static struct store_digest a_digest(const struct people *p, enum digest_kind kind)
{
    struct store_digest d = {.kind = kind,
                             .account = kind == DIGEST_MAILBOX ? p->anna : p->owen,
                             .mailbox = p->box,
                             .domain = p->domain,
                             .choice = {.minute = 420, .weekdays = 127, .filters = DIGEST_QUARANTINED},
                             .next_us = AT_US};

    snprintf(d.choice.zone, sizeof d.choice.zone, "Europe/Berlin");
    snprintf(d.choice.language, sizeof d.choice.language, "de");
    return d;
}

static struct uuid add(struct world *w, const struct store_digest *d)
{
    struct uuid id;

    OK(w, store_digest_add(w->more, &root, d, &id, &w->e));
    return id;
}

static struct store_digest get(struct world *w, struct uuid id)
{
    struct store_digest d;

    OK(w, store_digest_get(w->more, id, &d, &w->e));
    return d;
}

static void a_digest_goes_to_the_mailbox_or_to_the_owner(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest ask = a_digest(&p, DIGEST_MAILBOX), of_box, of_domain;

    of_box = get(w, add(w, &ask));
    ask = a_digest(&p, DIGEST_DOMAIN);
    of_domain = get(w, add(w, &ask));
    assert_string_equal(of_box.address, "anna@ours.example");
    assert_string_equal(of_box.of, "anna@ours.example");
    assert_string_equal(of_box.choice.zone, "Europe/Berlin");
    assert_string_equal(of_domain.address, "owen@elsewhere.example");
    assert_string_equal(of_domain.of, "ours.example");
    assert_true(of_box.stands && of_domain.stands && uuid_eq(&of_box.domain, &p.domain));
}

static void nobody_gets_a_digest_of_what_is_not_theirs(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest box = a_digest(&p, DIGEST_MAILBOX), domain = a_digest(&p, DIGEST_DOMAIN);
    struct uuid         id;

    box.account = p.owen;
    domain.account = p.anna;
    assert_int_equal(store_digest_add(w->more, &root, &box, &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_DENIED);
    w->e = ERR_INIT;
    assert_int_equal(store_digest_add(w->more, &root, &domain, &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_DENIED);
}

static void one_stands_no_more_when_mailbox_role_or_account_are_lost(void **state)
{
    struct world        *w = world_of(state);
    struct people        p = some_people(w);
    struct store_digest  box = a_digest(&p, DIGEST_MAILBOX), domain = a_digest(&p, DIGEST_DOMAIN);
    struct uuid          of_box = add(w, &box), of_domain = add(w, &domain);
    struct store_account anna;
    struct store_mailbox m;

    OK(w, store_role_set(w->more, &root, p.owen, p.domain, ROLE_CLERK, &w->e));
    CHECK("a clerk gets none", !get(w, of_domain).stands);
    OK(w, store_account_get(w->more, p.anna, &anna, &w->e));
    anna.active = false;
    OK(w, store_account_set(w->more, &root, &anna, &w->e));
    CHECK("who may not sign in gets none", !get(w, of_box).stands);
    anna.active = true;
    OK(w, store_account_set(w->more, &root, &anna, &w->e));
    CHECK("and again", get(w, of_box).stands);
    OK(w, store_mailbox_get(w->more, p.box, &m, &w->e));
    m.account = p.owen;
    OK(w, store_mailbox_set(w->more, &root, &m, &w->e));
    CHECK("the mailbox is somebody else's", !get(w, of_box).stands);
    OK(w, store_account_delete(w->more, &root, p.anna, &w->e));
    assert_int_equal(store_digest_get(w->more, of_box, &box, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
}

static void what_no_schedule_has_is_refused(void **state)
{
    struct world *w = world_of(state);
    struct people p = some_people(w);
    const struct {
        const char *what;
        int64_t     minute;
        bool        hourly;
        unsigned    weekdays, filters;
        const char *zone;
    } bad[] = {
        {"a minute behind the day", 1440, false, 127, 1, "UTC"},
        {"one before", -1, false, 127, 1, "UTC"},
        {"a minute behind the hour", 60, true, 127, 1, "UTC"},
        {"no day", 0, false, 0, 1, "UTC"},
        {"an eighth day", 0, false, 128, 1, "UTC"},
        {"nothing to tell", 0, false, 127, 0, "UTC"},
        {"a filter unknown", 0, false, 127, 8, "UTC"},
        {"no zone", 0, false, 127, 1, ""},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct store_digest d = a_digest(&p, DIGEST_MAILBOX);
        struct uuid         id;

        d.choice = (struct store_digest_choice){.minute = bad[i].minute,
                                                .hourly = bad[i].hourly,
                                                .weekdays = bad[i].weekdays,
                                                .filters = bad[i].filters,
                                                .language = "en"};
        snprintf(d.choice.zone, sizeof d.choice.zone, "%s", bad[i].zone);
        w->e = ERR_INIT;
        CHECK(bad[i].what, store_digest_add(w->more, &root, &d, &id, &w->e) < 0 && w->e.code == ERR_INVALID);
    }
}

static void what_is_due_is_claimed_by_one_and_moved_on_once(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest ask = a_digest(&p, DIGEST_MAILBOX), mine[4], other[4];
    struct uuid         id = add(w, &ask);
    int64_t             due, next = LATER_US;

    ask.next_us = LATER_US;
    add(w, &ask);
    OK(w, store_digest_next_due(w->more, &due, &w->e));
    assert_int_equal(due, AT_US);
    CHECK("before its time", store_digest_claim(w->more, SPAN("one"), AT_US - 1, mine, 4, &w->e) == 0);
    CHECK("at its time", store_digest_claim(w->more, SPAN("one"), AT_US, mine, 4, &w->e) == 1);
    assert_true(uuid_eq(&mine[0].id, &id));
    assert_string_equal(mine[0].address, "anna@ours.example");
    CHECK("by nobody else", store_digest_claim(w->more, SPAN("two"), AT_US, other, 4, &w->e) == 0);
    CHECK("until the lease lapses",
          store_digest_claim(w->more, SPAN("two"), AT_US + DIGEST_LEASE_US, other, 4, &w->e) == 1);
    OK(w, store_digest_done(w->more, other, &next, 1, &w->e));
    next = AT_US;
    OK(w, store_digest_done(w->more, mine, (int64_t[]){AT_US + 5}, 1, &w->e));
    CHECK("who was overtaken moves nothing", get(w, id).next_us == LATER_US);
    CHECK("both are due then", store_digest_claim(w->more, SPAN("one"), LATER_US, mine, 4, &w->e) == 2);
    OK(w, store_digest_free(w->more, SPAN("one"), &w->e));
    CHECK("who was killed and is back", store_digest_claim(w->more, SPAN("one"), LATER_US, mine, 1, &w->e) == 1);
}

static void many_that_are_due_are_claimed_a_batch_at_a_time(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest ask = a_digest(&p, DIGEST_MAILBOX), got[2 * DIGEST_CLAIM_MAX];
    const int           all = 2 * DIGESTS_PER_ACCOUNT;

    for (int i = 0; i < all; i++) {
        ask = a_digest(&p, i % 2 ? DIGEST_MAILBOX : DIGEST_DOMAIN);
        ask.next_us = AT_US - i;
        add(w, &ask);
    }
    assert_int_equal(store_digest_claim(w->more, SPAN("one"), AT_US, got, COUNT(got), &w->e), DIGEST_CLAIM_MAX);
    for (int i = 0; i < DIGEST_CLAIM_MAX; i++)
        assert_true(got[i].next_us == AT_US - all + 1 + i); /* who has waited longest */
    assert_int_equal(store_digest_claim(w->more, SPAN("two"), AT_US, got, COUNT(got), &w->e), all - DIGEST_CLAIM_MAX);
}

static void a_pause_is_kept_and_ends(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest ask = a_digest(&p, DIGEST_MAILBOX);
    struct uuid         id = add(w, &ask);

    OK(w, store_digest_pause(w->more, &root, id, LATER_US, &w->e));
    assert_int_equal(get(w, id).paused_until_us, LATER_US);
    OK(w, store_digest_pause(w->more, &root, id, 0, &w->e));
    assert_int_equal(get(w, id).paused_until_us, 0);
}

static void nobody_has_more_than_a_few(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest ask = a_digest(&p, DIGEST_MAILBOX);
    struct uuid         id;

    for (size_t i = 0; i < DIGESTS_PER_ACCOUNT; i++)
        add(w, &ask);
    assert_int_equal(store_digest_add(w->more, &root, &ask, &id, &w->e), -1);
    assert_int_equal(w->e.code, ERR_LIMIT);
}

static void a_domain_says_what_its_mailboxes_begin_with(void **state)
{
    struct world              *w = world_of(state);
    struct people              p = some_people(w);
    struct store_digest        d = a_digest(&p, DIGEST_MAILBOX);
    struct store_digest_choice c;

    assert_int_equal(store_digest_default(w->more, p.domain, &c, &w->e), 0);
    OK(w, store_digest_default_set(w->more, &root, p.domain, &d.choice, &w->e));
    d.choice.minute = 421;
    OK(w, store_digest_default_set(w->more, &root, p.domain, &d.choice, &w->e));
    assert_int_equal(store_digest_default(w->more, p.domain, &c, &w->e), 1);
    assert_int_equal(c.minute, 421);
    assert_string_equal(c.zone, "Europe/Berlin");
    OK(w, store_digest_default_set(w->more, &root, p.domain, NULL, &w->e));
    assert_int_equal(store_digest_default(w->more, p.domain, &c, &w->e), 0);
}

static int count(void *ctx, const struct store_digest *d)
{
    (void)d;
    ++*(size_t *)ctx;
    return 0;
}

static size_t digests_of(struct world *w, struct uuid account)
{
    size_t n = 0;

    OK(w, store_digest_list(w->more, account, count, &n, &w->e));
    return n;
}

static void who_gets_a_mailbox_begins_with_the_domains_digest(void **state)
{
    struct world        *w = world_of(state);
    struct people        p = some_people(w);
    struct store_digest  d = a_digest(&p, DIGEST_MAILBOX);
    struct store_mailbox m;
    struct uuid          second, bob = an_account(w, "bob@ours.example"), box;

    OK(w, store_digest_default_set(w->more, &root, p.domain, &d.choice, &w->e));
    OK(w, store_mailbox_add(w->more, &root, p.domain, SPAN("anna2"), &p.anna, &second, &w->e));
    CHECK("a mailbox that is made for somebody", digests_of(w, p.anna) == 1);
    OK(w, store_mailbox_add(w->more, &root, p.domain, SPAN("bob"), NULL, &box, &w->e));
    OK(w, store_mailbox_get(w->more, box, &m, &w->e));
    m.has_account = true;
    m.account = bob;
    OK(w, store_mailbox_set(w->more, &root, &m, &w->e));
    CHECK("one that is given to somebody", digests_of(w, bob) == 1);
    m.enabled = false;
    OK(w, store_mailbox_set(w->more, &root, &m, &w->e));
    CHECK("but not at each change", digests_of(w, bob) == 1);
    m.account = p.owen;
    OK(w, store_mailbox_set(w->more, &root, &m, &w->e));
    m.account = bob;
    OK(w, store_mailbox_set(w->more, &root, &m, &w->e));
    CHECK("nor twice of the same mailbox", digests_of(w, bob) == 1);
    CHECK("who had it in between has the one of that time", digests_of(w, p.owen) == 1);
}

static void a_default_keeps_nobody_from_a_mailbox(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest d = a_digest(&p, DIGEST_MAILBOX);
    struct uuid         box;

    for (size_t i = 0; i < DIGESTS_PER_ACCOUNT; i++)
        add(w, &d);
    snprintf(d.choice.zone, sizeof d.choice.zone, "Nowhere/Atall");
    OK(w, store_digest_default_set(w->more, &root, p.domain, &d.choice, &w->e));
    OK(w, store_mailbox_add(w->more, &root, p.domain, SPAN("anna2"), &p.anna, &box, &w->e));
    CHECK("who has many gets no more", digests_of(w, p.anna) == DIGESTS_PER_ACCOUNT);
    OK(w, store_mailbox_add(w->more, &root, p.domain, SPAN("owen"), &p.owen, &box, &w->e));
    CHECK("a zone that is gone", digests_of(w, p.owen) == 1);
}

static int last_action(void *ctx, const struct store_audit_row *r)
{
    snprintf(ctx, 64, "%.*s", SPAN_ARG(r->action));
    return 1;
}

static void every_change_is_in_the_audit_log(void **state)
{
    struct world       *w = world_of(state);
    struct people       p = some_people(w);
    struct store_digest d = a_digest(&p, DIGEST_MAILBOX);
    char                action[64] = "";

    d.id = add(w, &d);
    OK(w, store_audit_list(w->more, NULL, INT64_MAX, 1, last_action, action, &w->e));
    assert_string_equal(action, "digest.add");
    d.choice.minute = 600;
    OK(w, store_digest_set(w->more, &root, &d, &w->e));
    OK(w, store_audit_list(w->more, NULL, INT64_MAX, 1, last_action, action, &w->e));
    assert_string_equal(action, "digest.set");
    assert_int_equal(get(w, d.id).choice.minute, 600);
    OK(w, store_digest_delete(w->more, &root, d.id, &w->e));
    OK(w, store_audit_list(w->more, NULL, INT64_MAX, 1, last_action, action, &w->e));
    assert_string_equal(action, "digest.delete");
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_digest_goes_to_the_mailbox_or_to_the_owner),
        STORE(nobody_gets_a_digest_of_what_is_not_theirs),
        STORE(one_stands_no_more_when_mailbox_role_or_account_are_lost),
        STORE(what_no_schedule_has_is_refused),
        STORE(what_is_due_is_claimed_by_one_and_moved_on_once),
        STORE(many_that_are_due_are_claimed_a_batch_at_a_time),
        STORE(a_pause_is_kept_and_ends),
        STORE(nobody_has_more_than_a_few),
        STORE(a_domain_says_what_its_mailboxes_begin_with),
        STORE(who_gets_a_mailbox_begins_with_the_domains_digest),
        STORE(a_default_keeps_nobody_from_a_mailbox),
        STORE(every_change_is_in_the_audit_log),
    };

    return run_on_both(tests, COUNT(tests));
}
