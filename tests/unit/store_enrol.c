/* Addresses that nobody listed, and who may sign in with one because mail was delivered to it. */
#include "store/enrol.h"

#include "log_world.h"
#include "store/address.h"
#include "store/attempt.h"
#include "store/setting.h"
#include "store/signin.h"

#define DAY_US (86400 * INT64_C(1000000))

static void set_enrol(struct world *w, struct uuid domain, enum enrol how)
{
    struct store_setting x = STORE_SETTING_NONE;

    x.enrol = (int)how;
    OK(w, store_setting_set(w->more, &root, store_scope_domain(domain), &x, &w->e));
}

/* A message for `to`, so long ago, that the mail server handed on to `final` (NULL: nothing was heard of it). */
static void deliver(struct world *w, struct uuid domain, const char *to, const char *final, int64_t ago_us,
                    int64_t code)
{
    const struct store_message *list[1];
    struct letter               l;
    struct store_event          event;
    struct store_events         all = {.events = &event, .nevents = 1};

    a_letter(&l);
    l.m.at_us -= ago_us;
    for (int64_t i = 5, ms = l.m.at_us / 1000; i >= 0; i--, ms >>= 8)
        l.m.uid.b[i] = (uint8_t)ms; /* a UID is its time */
    l.m.ndeliveries = 1;
    l.to[0].recipient = span_of(to);
    l.to[0].domain = domain;
    l.to[0].has_mailbox = false;
    list[0] = &l.m;
    OK(w, store_message_put(w->more, list, 1, &w->e));
    if (final == NULL)
        return;
    event = (struct store_event){.uid = l.m.uid,
                                 .n = 1,
                                 .at_us = l.m.at_us + 1,
                                 .has_state = true,
                                 .state = code < 300 ? STATE_DELIVERED : STATE_BOUNCED,
                                 .has_attempt = true,
                                 .queue_id = SPAN("Q"),
                                 .final_recipient = span_of(final),
                                 .code = code,
                                 .response = SPAN("ok")};
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
}

static bool may(struct world *w, const char *address)
{
    struct uuid domain;
    bool        out = false;

    OK(w, store_enrol_delivered(w->more, span_of(address), clock_wall_us(), &domain, &out, &w->e));
    return out;
}

static void what_was_delivered_to_within_ninety_days_may_sign_in(void **state)
{
    struct world *w = world_of(state);
    struct uuid   ours = add_domain(w, "ours.example"), listed = add_domain(w, "listed.example");

    set_enrol(w, ours, ENROL_DELIVERED);
    deliver(w, ours, "anna@ours.example", "anna@ours.example", DAY_US, 250);
    CHECK("delivered yesterday", may(w, "anna@ours.example"));
    CHECK("nobody has written to her", !may(w, "bob@ours.example"));
    deliver(w, ours, "berta@ours.example", "berta@ours.example", (ENROL_DAYS + 1) * DAY_US, 250);
    CHECK("that is too long ago", !may(w, "berta@ours.example"));
    deliver(w, ours, "cleo@ours.example", "cleo@ours.example", DAY_US, 550);
    CHECK("there is no such address", !may(w, "cleo@ours.example"));
    deliver(w, ours, "dora@ours.example", NULL, DAY_US, 0);
    CHECK("nothing was heard of it", !may(w, "dora@ours.example"));
    deliver(w, listed, "emil@listed.example", "emil@listed.example", DAY_US, 250);
    CHECK("the domain wants addresses to be listed", !may(w, "emil@listed.example"));
    CHECK("a longer name is another", !may(w, "na@ours.example") && !may(w, "ann@ours.example"));
}

static void a_list_or_an_alias_never_does(void **state)
{
    struct world     *w = world_of(state);
    struct uuid       ours = add_domain(w, "ours.example"), id;
    const struct span targets[] = {SPAN("x@far.example"), SPAN("y@far.example")};

    set_enrol(w, ours, ENROL_DELIVERED);
    OK(w, store_address_add(w->more, &root, ours, SPAN("all"), ADDRESS_LIST, targets, 2, &id, &w->e));
    deliver(w, ours, "all@ours.example", "all@ours.example", DAY_US, 250);
    CHECK("a list that is known", !may(w, "all@ours.example"));
    deliver(w, ours, "team@ours.example", "x@far.example", DAY_US, 250);
    CHECK("one that only the mail server knows", !may(w, "team@ours.example"));
    deliver(w, ours, "team@ours.example", "team@ours.example", DAY_US, 250);
    CHECK("and keeps a copy of", !may(w, "team@ours.example"));
    deliver(w, ours, "anna+news@ours.example", "anna+news@ours.example", DAY_US, 250);
    CHECK("a tag is somebody's", !may(w, "anna+news@ours.example"));
    deliver(w, ours, "postmaster@ours.example", "postmaster@ours.example", DAY_US, 250);
    CHECK("postmaster is nobody's", !may(w, "postmaster@ours.example"));
    OK(w, store_address_add(w->more, &root, ours, SPAN(""), ADDRESS_CATCHALL, targets, 1, &id, &w->e));
    deliver(w, ours, "frida@ours.example", "frida@ours.example", DAY_US, 250);
    CHECK("where there is a catch-all, everything may be its", !may(w, "frida@ours.example"));
}

static void the_first_sign_in_makes_mailbox_and_account(void **state)
{
    struct world           *w = world_of(state);
    struct uuid             ours = add_domain(w, "ours.example");
    struct store_signin_who who;
    struct store_resolved   to;
    struct span             anna = SPAN("anna@ours.example");

    set_enrol(w, ours, ENROL_DELIVERED);
    REFUSED(w, ERR_NOT_FOUND, store_signin_who(w->more, anna, &who, &w->e));
    deliver(w, ours, "anna@ours.example", "anna@ours.example", DAY_US, 250);
    OK(w, store_signin_who(w->more, anna, &who, &w->e));
    assert_true(!who.has_account && who.delivered);
    OK(w, store_signin_enrol(w->more, &root, anna, &who, &w->e));
    OK(w, store_resolve(w->more, anna, &to, &w->e));
    assert_true(to.known && to.has_mailbox && to.has_account && uuid_eq(&to.account, &who.account.id));
    OK(w, store_signin_who(w->more, anna, &who, &w->e));
    assert_true(who.has_account && who.has_mailbox && !who.delivered);
    set_enrol(w, ours, ENROL_CLOSED);
    deliver(w, ours, "bob@ours.example", "bob@ours.example", DAY_US, 250);
    REFUSED(w, ERR_NOT_FOUND, store_signin_who(w->more, SPAN("bob@ours.example"), &who, &w->e));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(what_was_delivered_to_within_ninety_days_may_sign_in),
        STORE(a_list_or_an_alias_never_does),
        STORE(the_first_sign_in_makes_mailbox_and_account),
    };

    return run_on_both(tests, COUNT(tests));
}
