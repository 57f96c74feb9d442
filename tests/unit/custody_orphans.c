/* Whether what is held and what the log says of it are the same. */
#include "base/fd.h"
#include "custody/orphans.h"
#include "held_world.h"

#define HOUR_US (3600 * INT64_C(1000000))

/* What was told, for who compares. */
struct told {
    enum orphan_kind kinds[10];
    struct uuid      uids[10];
    bool             repaired[10];
    size_t           n;
};

static void on_orphan(void *ctx, const struct orphan *o)
{
    struct told *t = ctx;

    assert_true(t->n < COUNT(t->kinds));
    t->kinds[t->n] = o->kind;
    t->uids[t->n] = o->uid;
    t->repaired[t->n++] = o->repaired;
}

static struct told look(struct held_world *h, bool open, bool repair, struct orphans_sum *sum)
{
    struct orphans_how how = {.open = open, .repair = repair, .message_max = 1 << 20};
    struct told        t = {.n = 0};

    OK(h->w, orphans_find(h->w->more, h->vault, &how, on_orphan, &t, sum, &h->w->e));
    return t;
}

static struct uuid hold(struct held_world *h, enum held_as as, int64_t age_us)
{
    struct letter l;

    a_letter(&l);
    l.m.uid = uid_of_age(age_us);
    l.to[0].verdict = DELIVERY_QUARANTINED;
    hold_letter(h, &l, SPAN("Subject: held\r\n\r\nbody\r\n"), as);
    return l.m.uid;
}

static void a_message_without_a_row_is_found_and_its_row_made_again(void **state)
{
    struct held_world    h;
    struct orphans_sum   sum;
    struct told          t;
    struct uuid          uid, whole;
    bool                 has[1];
    struct store_custody c;
    struct arena         a;

    open_held(&h, world_of(state));
    whole = hold(&h, HELD_WHOLE, HOUR_US);
    uid = hold(&h, HELD_FILE_ALONE, HOUR_US);
    hold(&h, HELD_FILE_ALONE, 0); /* its row may be on the way */
    t = look(&h, true, false, &sum);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.kinds[0], ORPHAN_FILE);
    assert_true(uuid_eq(&t.uids[0], &uid));
    assert_false(t.repaired[0]);
    assert_int_equal(sum.files, 3);
    assert_int_equal(sum.rows, 1);
    t = look(&h, false, true, &sum);
    assert_true(t.n == 1 && t.repaired[0]);
    assert_int_equal(sum.repaired, 1);
    t = look(&h, false, true, &sum);
    assert_int_equal(t.n, 0);
    OK(h.w, store_custody_has(h.w->more, &uid, 1, has, &h.w->e));
    assert_true(has[0]);
    arena_init(&a, 1 << 20);
    OK(h.w, store_custody_get(h.w->more, &uid, &a, &c, &h.w->e));
    CHECK("with all that a row of it has", c.bytes > 0 && c.sha256.n == 32 && c.key_id.n > 0 && c.keep_us > 0);
    arena_fini(&a);
    (void)whole;
    close_held(&h);
}

static void a_row_without_its_message_is_told_and_never_repaired(void **state)
{
    struct held_world  h;
    struct orphans_sum sum;
    struct told        t;
    struct uuid        uid;

    open_held(&h, world_of(state));
    hold(&h, HELD_WHOLE, HOUR_US);
    uid = hold(&h, HELD_ROW_ALONE, HOUR_US);
    for (int i = 0; i < 2; i++) {
        t = look(&h, true, true, &sum);
        assert_int_equal(t.n, 1);
        assert_int_equal(t.kinds[0], ORPHAN_ROW);
        assert_true(uuid_eq(&t.uids[0], &uid));
        assert_false(t.repaired[0]);
    }
    OK(h.w, store_custody_move(h.w->more, &uid, 1, CUSTODY_GONE, &h.w->e));
    t = look(&h, true, true, &sum);
    CHECK("what is gone is not missed", t.n == 0);
    close_held(&h);
}

/* Changes a byte in the sealed body of an object: the tail behind it has 16. */
static void touch_body(struct held_world *h, const struct uuid *uid)
{
    char  path[2 * PATH_MAX], name[UUID_TEXT + 1], day[28], byte;
    int   fd;
    off_t at;

    uuid_format(uid, name);
    clock_format_utc(clock_wall_us() - HOUR_US, day);
    snprintf(path, sizeof path, "%s/%.10s/%s", vault_path(h->vault), day, name);
    assert_true((fd = open(path, O_RDWR)) >= 0);
    at = lseek(fd, -20, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    fd_close(&fd);
}

static void a_body_that_does_not_open_is_found_by_opening_it(void **state)
{
    struct held_world  h;
    struct orphans_sum sum;
    struct told        t;
    struct uuid        uid;

    open_held(&h, world_of(state));
    hold(&h, HELD_WHOLE, HOUR_US);
    uid = hold(&h, HELD_WHOLE, HOUR_US);
    touch_body(&h, &uid);
    t = look(&h, false, false, &sum);
    assert_int_equal(t.n, 0);
    t = look(&h, true, true, &sum);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.kinds[0], ORPHAN_DAMAGED);
    assert_true(uuid_eq(&t.uids[0], &uid));
    close_held(&h);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_message_without_a_row_is_found_and_its_row_made_again),
        STORE_SQLITE(a_row_without_its_message_is_told_and_never_repaired),
        STORE_SQLITE(a_body_that_does_not_open_is_found_by_opening_it),
    };

    return run_on_both(tests, COUNT(tests));
}
