/* tests/unit/rulesd_retention.c - twin of rulesd/retention.c. */
#include "../../rulesd/retention.h"

#include <stdatomic.h>

#include "log_world.h"
#include "rulesd_world.h"
#include "store/day.h"
#include "store/learned.h"

static int64_t messages(struct world *w) { return log_number(w, "SELECT COUNT(*) FROM message"); }

static void put_days_ago(struct world *w, int64_t days)
{
    struct letter               l;
    const struct store_message *m = &l.m;
    struct uuid                 at = day_uid_at((clock_wall_us() / DAY_US - days) * DAY_MS);

    a_letter(&l);
    memcpy(l.m.uid.b, at.b, 6);
    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

static void days_beyond_what_was_set_are_forgotten_soon_after_the_start(void **state)
{
    struct world     *w = world_of(state);
    struct settings   settings = settings_of(w);
    struct retention *r = NULL;

    settings.log.retention_days = 10;
    for (int64_t days = 0; days < 20; days += 3)
        put_days_ago(w, days);
    put_days_ago(w, 10);
    OK(w, retention_new(&settings, &RETENTION_CLOCK, &r, &w->e));
    SOON(10000, messages(w) == 5); /* of 0, 3, 6, 9 and 10 days ago */
    retention_free(&r);
    assert_null(r);
    assert_int_equal(messages(w), 5);
}

static int64_t learned(struct world *w)
{
    return db_number(w, ((struct store *)w->more)->main, "SELECT COUNT(*) FROM learned");
}

static void learned_senders_that_have_lapsed_go_too(void **state)
{
    struct world     *w = world_of(state);
    struct settings   settings = settings_of(w);
    struct retention *r = NULL;
    struct uuid       box = add_mailbox(w, add_domain(w, "ours.example"), "anna"), id;

    for (int i = 0; i < 2; i++) {
        struct store_learned l = {.mailbox = box,
                                  .action = RULE_BLOCK,
                                  .sender = i == 0 ? SPAN("a@old.example") : SPAN("a@new.example"),
                                  .proof = SPAN("dmarc"),
                                  .expires_us = clock_wall_us() + (i == 0 ? -2 : 2) * DAY_US};

        OK(w, store_learned_put(w->more, &root, &l, &id, &w->e));
    }
    settings.log.retention_days = 10;
    OK(w, retention_new(&settings, &RETENTION_CLOCK, &r, &w->e));
    SOON(10000, learned(w) == 1);
    retention_free(&r);
}

static void a_stop_does_not_wait(void **state)
{
    struct world     *w = world_of(state);
    struct settings   settings = settings_of(w);
    struct retention *r = NULL;
    int64_t           begun = clock_mono_us();

    settings.log.retention_days = 10;
    OK(w, retention_new(&settings, &RETENTION_CLOCK, &r, &w->e));
    retention_free(&r);
    assert_true(clock_mono_us() - begun < 5000000);
}

/* Clocks that the test sets. Each look asks for the time once: after two more, one has come to its end. */
static atomic_int_fast64_t wall_us, boot_us;
static atomic_int          looks;

static int64_t fake_wall(void)
{
    atomic_fetch_add(&looks, 1);
    return atomic_load(&wall_us);
}
static int64_t fake_boot(void) { return atomic_load(&boot_us); }

static void look_twice(void)
{
    int seen = atomic_load(&looks);

    SOON(20000, atomic_load(&looks) >= seen + 3);
}

static void pass(int64_t wall, int64_t boot)
{
    atomic_fetch_add(&wall_us, wall);
    atomic_fetch_add(&boot_us, boot);
    look_twice();
}

static void a_clock_that_has_stepped_forgets_nothing(void **state)
{
    static const struct retention_clock clock = {fake_wall, fake_boot, 1};
    static struct retention            *r;
    struct world                       *w = world_of(state);
    struct settings                     settings = settings_of(w);

    retention_free(&r); /* where the test has failed on the database before: its looks would count as ours */
    settings.log.retention_days = 10;
    put_days_ago(w, 0);
    put_days_ago(w, 8);
    atomic_store(&wall_us, clock_wall_us());
    atomic_store(&boot_us, 5000000);
    OK(w, retention_new(&settings, &clock, &r, &w->e));
    look_twice();
    assert_int_equal(messages(w), 2);
    pass(40 * DAY_US, 60000000); /* forwards: all would go */
    assert_int_equal(messages(w), 2);
    pass(-80 * DAY_US, 60000000); /* and backwards */
    assert_int_equal(messages(w), 2);
    pass(40 * DAY_US, 0); /* it is set right */
    assert_int_equal(messages(w), 2);
    pass(5 * DAY_US, 5 * DAY_US); /* time that has passed, be it asleep */
    SOON(20000, messages(w) == 1);
    pass(3600000000 - 200000000, 0); /* what is corrected now and then is no step */
    pass(6 * DAY_US, 6 * DAY_US);
    SOON(20000, messages(w) == 0);
    retention_free(&r);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(days_beyond_what_was_set_are_forgotten_soon_after_the_start),
        STORE(learned_senders_that_have_lapsed_go_too),
        STORE(a_stop_does_not_wait),
        STORE(a_clock_that_has_stepped_forgets_nothing),
    };

    return run_on_both(tests, COUNT(tests));
}
