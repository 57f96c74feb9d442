/* Jobs: one worker at a time has one, a stop holds, and what was done is remembered to be taken back. */
#include "log_world.h"
#include "store/custody.h"
#include "store/job.h"
#include "store/release.h"

#define AT_US (INT64_C(1000000) * 1000000)

static struct uuid a_job(struct world *w)
{
    struct store_job j = {.owner = {{0xa1}},
                          .what = JOB_DELETE,
                          .actor = SPAN("anna"),
                          .acting_for = SPAN(""),
                          .source = SPAN(""),
                          .scopes = SPAN("mailbox x\n"),
                          .q = SPAN("is:held"),
                          .total = 3,
                          .until_us = AT_US};
    struct uuid      id;

    OK(w, store_job_add(w->more, &j, AT_US, &id, &w->e));
    return id;
}

static int count(void *ctx, const struct store_key *key)
{
    (void)key;
    ++*(size_t *)ctx;
    return 0;
}

static void a_job_is_one_workers_until_its_lease_lapses(void **state)
{
    struct world    *w = world_of(state);
    struct uuid      id = a_job(w);
    struct store_job j, again;
    struct arena     a;

    arena_init(&a, 1 << 16);
    assert_int_equal(store_job_claim(w->more, SPAN("one"), AT_US, &a, &j, &w->e), 1);
    assert_true(uuid_eq(&j.id, &id) && span_is(j.q, "is:held") && !j.begun);
    CHECK("nobody else meanwhile", store_job_claim(w->more, SPAN("two"), AT_US + 1, &a, &again, &w->e) == 0);
    CHECK("afterwards", store_job_claim(w->more, SPAN("two"), AT_US + JOB_LEASE_US, &a, &again, &w->e) == 1);
    assert_int_equal(store_job_step(w->more, SPAN("one"), &j, NULL, 0, AT_US, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    arena_fini(&a);
}

static void what_was_done_is_there_to_be_taken_back_page_by_page(void **state)
{
    struct world    *w = world_of(state);
    struct uuid      id = a_job(w);
    struct store_key done[3] = {{uuid7_make(), 1}, {uuid7_make(), 1}, {uuid7_make(), 2}};
    struct store_job j;
    struct arena     a;
    size_t           n = 0;

    arena_init(&a, 1 << 16);
    assert_int_equal(store_job_claim(w->more, SPAN("one"), AT_US, &a, &j, &w->e), 1);
    j.done = 3;
    j.at = done[2];
    j.begun = true;
    j.state = JOB_DONE;
    OK(w, store_job_step(w->more, SPAN("one"), &j, done, 3, AT_US, &w->e));
    OK(w, store_job_get(w->more, id, &a, &j, &w->e));
    assert_int_equal(j.state, JOB_DONE);
    assert_true(j.begun && uuid_eq(&j.at.uid, &done[2].uid));
    OK(w, store_job_items(w->more, id, NULL, 2, count, &n, &w->e));
    assert_int_equal(n, 2);
    OK(w, store_job_items(w->more, id, &done[1], 10, count, &n, &w->e));
    assert_int_equal(n, 3);
    OK(w, store_job_trim(w->more, AT_US + JOB_KEEP_US, &w->e));
    OK(w, store_job_get(w->more, id, &a, &j, &w->e));
    OK(w, store_job_trim(w->more, AT_US + JOB_KEEP_US + 1, &w->e));
    assert_int_equal(store_job_get(w->more, id, &a, &j, &w->e), -1);
    arena_fini(&a);
}

static bool waits(struct world *w, struct uuid id)
{
    struct store_job j;
    struct arena     a;

    arena_init(&a, 1 << 16);
    OK(w, store_job_get(w->more, id, &a, &j, &w->e));
    arena_fini(&a);
    return j.waits;
}

static void releases_wait_while_one_of_them_is_asked_for_and_not_sent(void **state)
{
    struct world        *w = world_of(state);
    struct store_job     add = {.what = JOB_RELEASE, .owner = {{0xa1}}, .actor = SPAN("anna"), .until_us = AT_US}, j;
    struct store_key     done[2] = {{uuid7_make(), 1}, {uuid7_make(), 1}}, other = {uuid7_make(), 1};
    struct store_release r;
    struct uuid          id;
    struct arena         a;

    add.acting_for = add.source = add.scopes = add.q = SPAN("");
    arena_init(&a, 1 << 16);
    OK(w, store_job_add(w->more, &add, AT_US, &id, &w->e));
    assert_int_equal(store_job_claim(w->more, SPAN("one"), AT_US, &a, &j, &w->e), 1);
    for (size_t i = 0; i < 2; i++)
        OK(w, store_release_request(w->more, &root, done[i].uid, 1, false, "", NULL, &w->e));
    OK(w, store_release_request(w->more, &root, other.uid, 1, false, "", NULL, &w->e));
    CHECK("what it has not done is not its own", !waits(w, id));
    j.gone = 7;
    OK(w, store_job_step(w->more, SPAN("one"), &j, done, 2, AT_US, &w->e));
    CHECK("two wait", waits(w, id));
    OK(w, store_release_withdraw(w->more, &root, done[0].uid, 1, &w->e));
    CHECK("one waits", waits(w, id));
    OK(w, store_release_claim(w->more, done[1].uid, 1, clock_wall_us(), &r, &w->e));
    CHECK("it is being sent", !waits(w, id));
    OK(w, store_job_get(w->more, id, &a, &j, &w->e));
    assert_int_equal(j.gone, 7);
    arena_fini(&a);
}

static void a_job_that_was_stopped_goes_no_further(void **state)
{
    struct world    *w = world_of(state);
    struct uuid      id = a_job(w);
    struct store_job j;
    struct arena     a;

    arena_init(&a, 1 << 16);
    assert_int_equal(store_job_claim(w->more, SPAN("one"), AT_US, &a, &j, &w->e), 1);
    OK(w, store_job_stop(w->more, id, AT_US, &w->e));
    assert_int_equal(store_job_step(w->more, SPAN("one"), &j, NULL, 0, AT_US, &w->e), -1);
    CHECK("and waits for nobody", store_job_claim(w->more, SPAN("two"), INT64_MAX / 2, &a, &j, &w->e) == 0);
    arena_fini(&a);
}

/* ---- what is put away ---- */

static int64_t kept_until(struct world *w, const struct uuid *uid)
{
    struct store_custody c;
    struct arena         a;

    arena_init(&a, 4096);
    OK(w, store_custody_get(w->more, uid, &a, &c, &w->e));
    arena_fini(&a);
    return c.keep_us;
}

static void a_message_goes_when_all_have_put_it_away_and_comes_back_when_one_takes_it_back(void **state)
{
    struct world               *w = world_of(state);
    const struct store_message *list[1];
    struct letter               l;
    struct store_key            one, two;
    int64_t                     now = clock_wall_us(), keep = now + 4 * HELD_DELETED_US, us;

    a_letter(&l);
    l.to[0].verdict = l.to[1].verdict = DELIVERY_QUARANTINED;
    l.m.kept = true;
    l.m.keep_us = keep;
    l.m.kept_bytes = 1000;
    l.m.sha256 = SPAN("01234567890123456789012345678901");
    l.m.key_id = SPAN("key");
    list[0] = &l.m;
    OK(w, store_message_put(w->more, list, 1, &w->e));
    one = (struct store_key){l.m.uid, 1};
    two = (struct store_key){l.m.uid, 2};

    OK(w, store_held_delete(w->more, &one, now, &w->e));
    OK(w, store_held_deleted(w->more, &one, &us, &w->e));
    assert_int_equal(us, now);
    CHECK("the other still has it", kept_until(w, &l.m.uid) == keep);
    OK(w, store_held_delete(w->more, &two, now, &w->e));
    OK(w, store_held_delete(w->more, &two, now + 5, &w->e));
    CHECK("nobody has it", kept_until(w, &l.m.uid) == now + HELD_DELETED_US);
    OK(w, store_held_undelete(w->more, &one, &w->e));
    CHECK("one has it again", kept_until(w, &l.m.uid) == keep);
    one.n = 9;
    assert_int_equal(store_held_delete(w->more, &one, now, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_job_is_one_workers_until_its_lease_lapses),
        STORE(what_was_done_is_there_to_be_taken_back_page_by_page),
        STORE(a_job_that_was_stopped_goes_no_further),
        STORE(releases_wait_while_one_of_them_is_asked_for_and_not_sent),
        STORE(a_message_goes_when_all_have_put_it_away_and_comes_back_when_one_takes_it_back),
    };

    return run_on_both(tests, COUNT(tests));
}
