/* tests/unit/store_custody.c - twin of lib/store/custody.c. */
#include "store/custody.h"

#include "log_world.h"
#include "store/attempt.h"

static const struct uuid nobody = {{0x99}};

/* To the first box in quarantine, to the second delivered; kept until `keep_us`. */
static void put_kept(struct world *w, struct letter *l, int64_t keep_us)
{
    const struct store_message *m = &l->m;

    a_letter(l);
    l->to[0].verdict = DELIVERY_QUARANTINED;
    l->m.kept = true;
    l->m.keep_us = keep_us;
    l->m.kept_bytes = 100;
    l->m.key_id = SPAN("k1");
    l->m.sha256 = SPAN("0123456789abcdef0123456789abcdef");
    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

static int each_custody(void *ctx, const struct store_custody *c)
{
    struct uuid **at = ctx;

    *(*at)++ = c->uid;
    return 0;
}

struct held {
    struct store_key keys[16];
    int64_t          keep_us[16];
    size_t           n;
};

static int each_held(void *ctx, const struct store_held *h)
{
    struct held *all = ctx;

    all->keep_us[all->n] = h->keep_us;
    all->keys[all->n++] = h->row.key;
    return 0;
}

static struct held list(struct world *w, struct store_scope scope, const struct store_key *before, size_t limit)
{
    struct held h = {.n = 0};

    OK(w, store_custody_list(w->more, scope, before, limit, each_held, &h, &w->e));
    return h;
}

static void a_kept_message_has_a_row_until_it_is_gone_and_after(void **state)
{
    struct world        *w = world_of(state);
    struct letter        l;
    struct store_custody c;
    struct arena         a;
    struct uuid          node, asked[2];
    bool                 has[2] = {false, true};

    arena_init(&a, 1 << 16);
    put_kept(w, &l, 77);
    OK(w, store_node(w->more, &node, &w->e));
    OK(w, store_custody_get(w->more, &l.m.uid, &a, &c, &w->e));
    assert_true(uuid_eq(&c.uid, &l.m.uid) && uuid_eq(&c.node, &node) && c.place == CUSTODY_SPOOL && c.bytes == 100);
    assert_true(span_is(c.key_id, "k1") && c.sha256.n == 32 && c.keep_us == 77 && c.object.n == UUID_TEXT);
    asked[0] = l.m.uid;
    asked[1] = nobody;
    OK(w, store_custody_has(w->more, asked, 2, has, &w->e));
    assert_true(has[0] && !has[1]);
    OK(w, store_custody_keep(w->more, &l.m.uid, 88, &w->e));
    OK(w, store_custody_move(w->more, asked, 2, CUSTODY_STORE, &w->e));
    OK(w, store_custody_get(w->more, &l.m.uid, &a, &c, &w->e));
    assert_true(c.place == CUSTODY_STORE && c.keep_us == 88);
    OK(w, store_custody_move(w->more, asked, 2, CUSTODY_GONE, &w->e));
    OK(w, store_custody_has(w->more, asked, 2, has, &w->e));
    assert_true(has[0]);
    REFUSED(w, ERR_NOT_FOUND, store_custody_keep(w->more, &l.m.uid, 99, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_custody_get(w->more, &nobody, &a, &c, &w->e));
    arena_fini(&a);
}

static int find_here(void *ctx, const struct store_node *n)
{
    struct store_node *here = ctx;

    if (uuid_eq(&n->id, &here->id))
        here->seen_us = n->seen_us;
    return 0;
}

/* As after the disk of its node died, and as after it came back all the same. */
static void what_is_lost_with_its_nodes_disk_says_so_until_it_turns_up_again(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l, moved;
    const struct store_message *m = &l.m;
    struct store_custody        c;
    struct store_custody_disk   d;
    struct store_node           here = {.seen_us = 0};
    struct arena                a;
    struct uuid                 both[2];
    bool                        has[2];

    arena_init(&a, 1 << 16);
    put_kept(w, &moved, 77);
    put_kept(w, &l, 77);
    both[0] = l.m.uid;
    both[1] = moved.m.uid;
    OK(w, store_node(w->more, &here.id, &w->e));
    OK(w, store_custody_move(w->more, &moved.m.uid, 1, CUSTODY_STORE, &w->e));
    OK(w, store_custody_disk(w->more, &here.id, &d, &w->e));
    assert_true(d.held == 1 && d.copies == 0 && d.bytes == 100);

    OK(w, store_custody_lose(w->more, both, 2, &nobody, SPAN("mx2"), &w->e));
    assert_int_equal(list(w, store_scope_mailbox(first_box), NULL, 0).n, 2);
    OK(w, store_custody_lose(w->more, both, 2, &here.id, SPAN("mx2"), &w->e));
    assert_int_equal(list(w, store_scope_mailbox(first_box), NULL, 0).n, 1);
    OK(w, store_custody_get(w->more, &l.m.uid, &a, &c, &w->e));
    assert_true(c.place == CUSTODY_GONE && span_is(c.lost, "mx2"));
    OK(w, store_custody_get(w->more, &moved.m.uid, &a, &c, &w->e));
    assert_true(c.place == CUSTODY_STORE && c.lost.n == 0);
    OK(w, store_custody_has(w->more, both, 2, has, &w->e));
    assert_true(!has[0] && has[1]);

    OK(w, store_message_put(w->more, &m, 1, &w->e));
    OK(w, store_custody_get(w->more, &l.m.uid, &a, &c, &w->e));
    assert_true(c.place == CUSTODY_SPOOL && c.lost.n == 0 && c.object.n == UUID_TEXT);
    assert_int_equal(list(w, store_scope_mailbox(first_box), NULL, 0).n, 2);

    OK(w, store_node_seen(w->more, INT64_MAX / 2, &w->e));
    OK(w, store_node_list(w->more, find_here, &here, &w->e));
    assert_int_equal(here.seen_us, INT64_MAX / 2);
    arena_fini(&a);
}

static void a_replay_brings_nothing_back_that_is_gone(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l;
    const struct store_message *m = &l.m;
    int64_t                     n, bytes;

    put_kept(w, &l, 77);
    OK(w, store_custody_usage(w->more, &first_box, &n, &bytes, &w->e));
    assert_int_equal(n, 1);
    OK(w, store_custody_move(w->more, &l.m.uid, 1, CUSTODY_GONE, &w->e));
    OK(w, db_script(((struct store *)w->more)->log,
                    w->kind == DB_SQLITE ? "DELETE FROM delivery_mailbox; DELETE FROM delivery; DELETE FROM message"
                                         : "DELETE FROM delivery_mailbox; DELETE FROM delivery; DELETE FROM message;"
                                           " DELETE FROM delivery_words",
                    &w->e));
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    OK(w, store_custody_usage(w->more, &first_box, &n, &bytes, &w->e));
    assert_int_equal(n, 0);
}

static void a_message_that_is_kept_after_it_was_logged_gets_its_row_and_is_a_copy_in_no_list(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l, held;
    struct uuid                 uids[2], *at = uids, node;
    const struct store_message *m[] = {&l.m, &l.m};
    struct store_message        kept;
    struct store_custody_sum    sum;
    int64_t                     n, bytes;

    a_letter(&l);
    OK(w, store_message_put(w->more, m, 1, &w->e));
    kept = l.m;
    kept.kept = kept.copy = true;
    kept.kept_bytes = 100;
    kept.keep_us = 100;
    kept.sha256 = SPAN("01234567890123456789012345678901");
    kept.key_id = SPAN("k");
    m[1] = &kept;
    OK(w, store_message_put(w->more, m, 2, &w->e));
    put_kept(w, &held, 200);
    OK(w, store_node(w->more, &node, &w->e));
    OK(w, store_custody_due(w->more, &node, true, 250, 0, each_custody, &at, &w->e));
    assert_true(at - uids == 1 && uuid_eq(&uids[0], &l.m.uid));
    OK(w, store_custody_sum(w->more, &node, true, 250, &sum, &w->e));
    assert_true(sum.count == 1 && sum.due_count == 1 && sum.bytes == 100);
    OK(w, store_custody_sum(w->more, NULL, false, 150, &sum, &w->e));
    assert_true(sum.count == 1 && sum.due_count == 0);
    OK(w, store_custody_usage(w->more, &first_box, &n, &bytes, &w->e));
    assert_int_equal(n, 1);
    OK(w, store_custody_copied(w->more, &second_domain, &bytes, &w->e));
    assert_int_equal(bytes, 100);
    OK(w, store_custody_copied(w->more, &nobody, &bytes, &w->e));
    assert_int_equal(bytes, 0);
}

static void what_is_past_its_time_is_due_the_longest_first(void **state)
{
    struct world            *w = world_of(state);
    struct letter            l[3];
    struct uuid              uids[4], *at = uids, node;
    struct store_custody_sum sum;

    put_kept(w, &l[0], 300);
    put_kept(w, &l[1], 100);
    put_kept(w, &l[2], 200);
    OK(w, store_node(w->more, &node, &w->e));
    OK(w, store_custody_due(w->more, &node, false, 250, 0, each_custody, &at, &w->e));
    assert_int_equal(at - uids, 2);
    assert_true(uuid_eq(&uids[0], &l[1].m.uid) && uuid_eq(&uids[1], &l[2].m.uid));
    at = uids;
    OK(w, store_custody_due(w->more, &nobody, false, 250, 0, each_custody, &at, &w->e));
    assert_int_equal(at - uids, 0);
    OK(w, store_custody_sum(w->more, NULL, false, 250, &sum, &w->e));
    assert_true(sum.count == 3 && sum.bytes == 300 && sum.due_count == 2 && sum.due_bytes == 200);
    OK(w, store_custody_move(w->more, &l[1].m.uid, 1, CUSTODY_GONE, &w->e));
    OK(w, store_custody_sum(w->more, &node, false, 250, &sum, &w->e));
    assert_true(sum.count == 2 && sum.due_count == 1);
    at = uids;
    OK(w, store_custody_each(w->more, NULL, NULL, 0, each_custody, &at, &w->e));
    assert_int_equal(at - uids, 2);
    at = uids;
    OK(w, store_custody_each(w->more, &node, &l[0].m.uid, 1, each_custody, &at, &w->e));
    assert_true(at - uids == 1 && uuid_eq(&uids[0], &l[2].m.uid));
}

static void what_is_held_is_counted_and_listed_for_its_owners_alone(void **state)
{
    struct world *w = world_of(state);
    struct letter l[3];
    struct held   h;
    int64_t       n, bytes;

    for (size_t i = 0; i < COUNT(l); i++)
        put_kept(w, &l[i], 1000 + (int64_t)i);
    OK(w, store_custody_usage(w->more, &first_box, &n, &bytes, &w->e));
    assert_true(n == 3 && bytes == 300);
    OK(w, store_custody_usage(w->more, &second_domain, &n, &bytes, &w->e));
    assert_true(n == 0 && bytes == 0);
    for (int i = 0; i < 3; i++) {
        struct store_scope scopes[] = {store_scope_mailbox(first_box), store_scope_domain(first_domain),
                                       STORE_SCOPE_GLOBAL};

        h = list(w, scopes[i], NULL, 2);
        assert_int_equal(h.n, 2);
        assert_true(uuid_eq(&h.keys[0].uid, &l[2].m.uid) && h.keys[0].n == 1 && h.keep_us[0] == 1002);
        h = list(w, scopes[i], &h.keys[1], 2);
        assert_int_equal(h.n, 1);
        assert_true(uuid_eq(&h.keys[0].uid, &l[0].m.uid));
    }
    assert_int_equal(list(w, store_scope_mailbox(second_box), NULL, 0).n, 0);
    OK(w, store_custody_move(w->more, &l[1].m.uid, 1, CUSTODY_GONE, &w->e));
    assert_int_equal(list(w, STORE_SCOPE_GLOBAL, NULL, 0).n, 2);
    assert_int_equal(list(w, store_scope_mailbox(first_box), NULL, 0).n, 2);
}

static int each_key(void *ctx, struct span key_id, int64_t count, int64_t keep_us)
{
    struct buf *said = ctx;

    buf_printf(said, "%.*s:%lld:%lld ", SPAN_ARG(key_id), (long long)count, (long long)keep_us);
    return 0;
}

static void each_key_tells_how_much_needs_it_and_until_when(void **state)
{
    struct world *w = world_of(state);
    struct letter l[3];
    struct buf    said;

    for (size_t i = 0; i < COUNT(l); i++) {
        const struct store_message *m = &l[i].m;

        put_kept(w, &l[i], 70 + (int64_t)i);
        if (i < 2)
            continue;
        l[i].m.uid = uuid7_make();
        l[i].m.key_id = SPAN("k2");
        OK(w, store_message_put(w->more, &m, 1, &w->e));
    }
    buf_init(&said, 1000);
    OK(w, store_custody_keys(w->more, each_key, &said, &w->e));
    assert_true(span_is(buf_span(&said), "k1:3:72 k2:1:72 "));
    buf_clear(&said);
    OK(w, store_custody_move(w->more, &l[2].m.uid, 1, CUSTODY_GONE, &w->e));
    OK(w, store_custody_keys(w->more, each_key, &said, &w->e));
    assert_true(span_is(buf_span(&said), "k1:3:72 "));
    buf_fini(&said);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_kept_message_has_a_row_until_it_is_gone_and_after),
        STORE(what_is_lost_with_its_nodes_disk_says_so_until_it_turns_up_again),
        STORE(a_replay_brings_nothing_back_that_is_gone),
        STORE(a_message_that_is_kept_after_it_was_logged_gets_its_row_and_is_a_copy_in_no_list),
        STORE(what_is_past_its_time_is_due_the_longest_first),
        STORE(what_is_held_is_counted_and_listed_for_its_owners_alone),
        STORE(each_key_tells_how_much_needs_it_and_until_when),
    };

    return run_on_both(tests, COUNT(tests));
}
