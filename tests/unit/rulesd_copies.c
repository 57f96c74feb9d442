/* tests/unit/rulesd_copies.c - twin of rulesd/copies.c. */
#include "../../rulesd/copies.h"

#include <sys/statvfs.h>

#include "log_world.h"
#include "rulesd_world.h"
#include "store/custody.h"
#include "store/setting.h"
#include "vault/purge.h"
#include "vault/vault.h"

#define SLOW_MS 20000
#define HOUR_US (3600 * INT64_C(1000000))
#define MAIL SPAN("From: news@shop.example\nSubject: prize\n\nYou have won.\n")

struct office {
    struct world   *w;
    char            keys[PATH_MAX], url[PATH_MAX];
    struct settings settings;
    struct journal *journal;
    struct custody *custody;
    struct copies  *copies;
    struct uuid     domain;
};

static void office_open(struct office *o)
{
    OK(o->w, journal_new(&o->settings, &o->journal, &o->w->e));
    OK(o->w, custody_new(&o->settings, o->journal, &o->custody, &o->w->e));
    OK(o->w, copies_new(&o->settings, o->custody, o->journal, &o->copies, &o->w->e));
}

static void office_close(struct office *o)
{
    copies_free(&o->copies);
    assert_null(o->copies);
    custody_free(&o->custody);
    journal_free(&o->journal);
}

static void office_begin(struct office *o, void **state)
{
    *o = (struct office){.w = world_of(state)};
    o->settings = settings_of(o->w);
    snprintf(o->keys, sizeof o->keys, "%s/keys", o->w->dir);
    snprintf(o->url, sizeof o->url, "file:%s/held", o->w->dir);
    o->settings.quarantine.keys = o->keys;
    o->settings.quarantine.url = o->url;
    o->settings.quarantine.retention_days = 30;
    o->settings.copies.delivered_hours = 24;
    OK(o->w, keyring_create(o->keys, &o->w->e));
    o->domain = add_domain(o->w, "ours.example");
    office_open(o);
}

static struct copies_stats stats(struct office *o)
{
    struct copies_stats s;

    copies_stats(o->copies, &s);
    return s;
}

/* Delivered, and handed over as a scan does. */
static struct uuid deliver(struct office *o, struct span mail, int64_t keep_us)
{
    struct letter l;

    a_letter(&l);
    l.to[0].domain = o->domain;
    l.to[0].state = l.to[1].state = STATE_RECEIVED;
    l.m.copy = true;
    l.m.keep_us = keep_us;
    journal_put(o->journal, &l.m);
    copies_put(o->copies, &l.m, mail);
    return l.m.uid;
}

static bool find(struct office *o, const struct uuid *uid, struct store_custody *out)
{
    struct arena a;
    bool         there;

    arena_init(&a, 1 << 16);
    o->w->e = ERR_INIT;
    there = store_custody_get(o->w->more, uid, &a, out, &o->w->e) == 0;
    o->w->e = ERR_INIT;
    arena_fini(&a);
    return there;
}

static int none_held(void *ctx, const struct store_held *h)
{
    (void)ctx;
    (void)h;
    fail_msg("a copy is in the list of what is held");
    return 1;
}

static void a_copy_is_sealed_behind_the_reply_and_gets_its_row(void **state)
{
    struct office        o;
    struct store_custody c;
    struct buf           mail;
    struct uuid          uid;

    office_begin(&o, state);
    uid = deliver(&o, MAIL, clock_wall_us() + 24 * HOUR_US);
    SOON(SLOW_MS, find(&o, &uid, &c));
    assert_true(c.copy && c.place == CUSTODY_SPOOL && c.bytes > 0);
    buf_init(&mail, 1 << 16);
    OK(o.w, vault_get(custody_vault(o.custody), &uid, NULL, &mail, &o.w->e));
    assert_true(span_eq(buf_span(&mail), MAIL));
    buf_fini(&mail);
    OK(o.w, store_custody_list(o.w->more, STORE_SCOPE_GLOBAL, NULL, 0, none_held, NULL, &o.w->e));
    assert_int_equal(stats(&o).kept, 1);
    office_close(&o);
}

static void a_copy_whose_row_a_crash_lost_is_found_again_as_a_copy(void **state)
{
    struct office               o;
    struct letter               l;
    const struct store_message *list[] = {&l.m};
    struct vault_kept           kept;
    struct store_custody        c;
    struct buf                  head;

    office_begin(&o, state);
    a_letter(&l);
    OK(o.w, store_message_put(o.w->more, list, 1, &o.w->e)); /* as far as it got */
    l.m.kept = l.m.copy = true;
    l.m.keep_us = clock_wall_us() + HOUR_US;
    buf_init(&head, 1 << 20);
    store_message_put_json(&head, &l.m);
    OK(o.w, vault_put(custody_vault(o.custody), &l.m.uid, buf_span(&head), MAIL, &kept, &o.w->e));
    buf_fini(&head);
    office_close(&o);
    office_open(&o);
    SOON(SLOW_MS, find(&o, &l.m.uid, &c));
    assert_true(c.copy);
    office_close(&o);
}

static void copies_past_their_time_go_however_many_they_are_and_held_mail_does_not(void **state)
{
    struct office               o;
    struct letter               held[60];
    const struct store_message *list[60];
    struct uuid                 uids[60];
    struct store_custody        c;
    struct custody_stats        s;

    office_begin(&o, state);
    for (size_t i = 0; i < COUNT(uids); i++)
        uids[i] = deliver(&o, MAIL, 1);
    for (size_t i = 0; i < COUNT(uids); i++)
        SOON(SLOW_MS, find(&o, &uids[i], &c));
    for (size_t i = 0; i < COUNT(held); i++) {
        a_letter(&held[i]);
        held[i].m.kept = true;
        held[i].m.keep_us = 1;
        held[i].m.sha256 = SPAN("01234567890123456789012345678901");
        held[i].m.key_id = SPAN("k");
        list[i] = &held[i].m;
    }
    OK(o.w, store_message_put(o.w->more, list, COUNT(list), &o.w->e));
    office_close(&o);
    office_open(&o);
    for (size_t i = 0; i < COUNT(uids); i++)
        SOON(SLOW_MS, find(&o, &uids[i], &c) && c.place == CUSTODY_GONE);
    SOON(SLOW_MS, (custody_stats(o.custody, &s), s.purge_stopped));
    for (size_t i = 0; i < COUNT(held); i++)
        assert_true(find(&o, &held[i].m.uid, &c) && c.place == CUSTODY_SPOOL);
    office_close(&o);
}

static void a_disk_that_is_nearly_full_gets_no_copies_and_still_holds(void **state)
{
    struct office  o;
    struct statvfs disk;
    int64_t        room = 0;

    office_begin(&o, state);
    office_close(&o);
    assert_int_equal(statvfs(o.w->dir, &disk), 0);
    o.settings.quarantine.min_free = (int64_t)(disk.f_bavail * disk.f_frsize) / 3 * 2;
    office_open(&o);
    deliver(&o, MAIL, clock_wall_us() + HOUR_US);
    SOON(SLOW_MS, stats(&o).left_out == 1);
    OK(o.w, vault_room(custody_vault(o.custody), &room, &o.w->e));
    assert_true(room > 0 && stats(&o).kept == 0 && stats(&o).waiting == 0);
    office_close(&o);
}

static void a_domain_gets_copies_up_to_its_own_limit(void **state)
{
    struct office        o;
    struct store_setting x = STORE_SETTING_NONE;
    char                 big[4000];

    office_begin(&o, state);
    memset(big, 'x', sizeof big);
    x.held_max = 10000;
    OK(o.w, store_setting_set(o.w->more, &root, store_scope_domain(o.domain), &x, &o.w->e));
    for (int i = 0; i < 3; i++)
        deliver(&o, span_make(big, sizeof big), clock_wall_us() + HOUR_US);
    SOON(SLOW_MS, stats(&o).waiting == 0);
    assert_true(stats(&o).kept == 2 && stats(&o).left_out == 1);
    office_close(&o);
}

static void more_than_can_wait_is_left_out_at_once(void **state)
{
    struct office o;
    char         *huge = calloc(1, COPIES_WAITING);

    office_begin(&o, state);
    assert_non_null(huge);
    deliver(&o, span_make(huge, COPIES_WAITING), clock_wall_us() + HOUR_US);
    assert_true(stats(&o).left_out == 1 && stats(&o).waiting == 0 && stats(&o).waiting_bytes == 0);
    free(huge);
    office_close(&o);
}

static void a_stop_leaves_out_what_waits(void **state)
{
    struct office o;
    int64_t       begun = clock_mono_us();

    office_begin(&o, state);
    for (int i = 0; i < 2000; i++)
        deliver(&o, MAIL, clock_wall_us() + HOUR_US);
    copies_free(&o.copies);
    assert_true(clock_mono_us() - begun < SLOW_MS * MS);
    office_close(&o);
}

static void switched_off_there_is_nothing(void **state)
{
    struct office o;

    office_begin(&o, state);
    office_close(&o);
    o.settings.copies.delivered_hours = 0;
    office_open(&o);
    assert_null(o.copies);
    office_close(&o);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_copy_is_sealed_behind_the_reply_and_gets_its_row),
        STORE(a_copy_whose_row_a_crash_lost_is_found_again_as_a_copy),
        STORE(copies_past_their_time_go_however_many_they_are_and_held_mail_does_not),
        STORE_SQLITE(a_disk_that_is_nearly_full_gets_no_copies_and_still_holds),
        STORE(a_domain_gets_copies_up_to_its_own_limit),
        STORE_SQLITE(more_than_can_wait_is_left_out_at_once),
        STORE_SQLITE(a_stop_leaves_out_what_waits),
        STORE_SQLITE(switched_off_there_is_nothing),
    };

    return run_on_both(tests, COUNT(tests));
}
