/* tests/unit/rulesd_custody.c - twin of rulesd/custody.c. */
#include "../../rulesd/custody.h"

#include <stdatomic.h>

#include "bucket.h"
#include "log_world.h"
#include "rulesd_world.h"
#include "store/custody.h"
#include "vault/purge.h"
#include "vault/vault.h"

#define SLOW_MS 20000
#define DAY_US (86400 * INT64_C(1000000))
#define MAIL SPAN("From: x@bad.example\nSubject: prize\n\nYou have won.\n")

/* A rulesd's worth of custody in the world's folder. */
struct office {
    struct world   *w;
    char            keys[PATH_MAX], url[PATH_MAX];
    struct settings settings;
    struct journal *journal;
    struct custody *custody;
    struct bucket  *bucket;
};

static void office_open(struct office *o)
{
    OK(o->w, journal_new(&o->settings, &o->journal, &o->w->e));
    OK(o->w, custody_new(&o->settings, o->journal, &o->custody, &o->w->e));
}

static void office_close(struct office *o)
{
    custody_free(&o->custody);
    assert_null(o->custody);
    journal_free(&o->journal);
}

static void office_begin(struct office *o, void **state, bool with_bucket)
{
    *o = (struct office){.w = world_of(state)};
    o->settings = settings_of(o->w);
    snprintf(o->keys, sizeof o->keys, "%s/keys", o->w->dir);
    if (with_bucket)
        o->bucket = bucket_start();
    snprintf(o->url, sizeof o->url,
             with_bucket ? "s3+http://127.0.0.1:%2$u/bucket?region=eu&spool=%1$s/held" : "file:%1$s/held", o->w->dir,
             with_bucket ? o->bucket->port : 0);
    o->settings.quarantine.keys = o->keys;
    o->settings.quarantine.url = o->url;
    o->settings.quarantine.retention_days = 30;
    OK(o->w, keyring_create(o->keys, &o->w->e));
    office_open(o);
}

static void office_end(struct office *o)
{
    office_close(o);
    if (o->bucket != NULL)
        bucket_stop(&o->bucket);
}

static struct custody_stats stats(struct office *o)
{
    struct custody_stats s;

    custody_stats(o->custody, &s);
    return s;
}

/* Of one that is held, as a scan has it. */
struct held {
    struct custody_job job;
    struct letter      letter;
    struct arena       arena;
    atomic_int         done;
};

static void on_done(struct custody_job *j) { atomic_fetch_add(&((struct held *)(void *)j)->done, 1); }

static void hold_begin(struct office *o, struct held *h, int64_t keep_us)
{
    memset(h, 0, sizeof *h);
    a_letter(&h->letter);
    h->letter.to[0].verdict = DELIVERY_QUARANTINED;
    h->letter.m.keep_us = keep_us;
    arena_init(&h->arena, 1 << 20);
    h->job = (struct custody_job){.record = &h->letter.m, .message = MAIL, .arena = &h->arena, .done = on_done};
    custody_put(o->custody, &h->job);
}

static void hold_end(struct held *h)
{
    SOON(SLOW_MS, atomic_load(&h->done) > 0);
    assert_int_equal(atomic_load(&h->done), 1);
}

/* Held, with its row (or without, as after a crash). */
static struct uuid hold(struct office *o, int64_t keep_us, bool with_row)
{
    struct held h;
    struct uuid uid;

    hold_begin(o, &h, keep_us);
    hold_end(&h);
    if (h.job.rc < 0)
        fail_msg("%s", h.job.err.text);
    if (with_row)
        journal_put(o->journal, &h.letter.m);
    uid = h.letter.m.uid;
    arena_fini(&h.arena);
    return uid;
}

static bool has_row(struct office *o, const struct uuid *uid)
{
    bool has = false;

    OK(o->w, store_custody_has(o->w->more, uid, 1, &has, &o->w->e));
    return has;
}

static enum custody_place place(struct office *o, const struct uuid *uid)
{
    struct store_custody c = {.place = CUSTODY_GONE};
    struct arena         a;

    arena_init(&a, 1 << 16);
    OK(o->w, store_custody_get(o->w->more, uid, &a, &c, &o->w->e));
    arena_fini(&a);
    return c.place;
}

/* In the spool, by its name. */
static bool has_file(struct office *o, const struct uuid *uid)
{
    char    path[PATH_MAX + 128], day[28], name[UUID_TEXT + 1];
    int64_t ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | uid->b[i];
    clock_format_utc(ms * 1000, day);
    uuid_format(uid, name);
    snprintf(path, sizeof path, "%s/held/%.10s/%s", o->w->dir, day, name);
    return access(path, F_OK) == 0;
}

static void a_held_message_is_on_disk_before_its_scan_goes_on(void **state)
{
    struct office o;
    struct held   h;

    office_begin(&o, state, false);
    hold_begin(&o, &h, clock_wall_us() + DAY_US);
    hold_end(&h);
    assert_int_equal(h.job.rc, 0);
    assert_true(has_file(&o, &h.letter.m.uid));
    assert_true(h.letter.m.kept);
    assert_true(h.letter.m.kept_bytes > 0);
    assert_int_equal(h.letter.m.sha256.n, 32);
    assert_true(h.letter.m.key_id.n > 0);
    assert_int_equal(stats(&o).kept, 1);
    arena_fini(&h.arena);
    office_end(&o);
}

static void without_keys_nothing_can_be_held_until_there_are_some(void **state)
{
    struct office o;
    char          later[PATH_MAX + 8];

    office_begin(&o, state, false);
    custody_free(&o.custody);
    snprintf(later, sizeof later, "%s.later", o.keys);
    assert_int_equal(rename(o.keys, later), 0);
    OK(o.w, custody_new(&o.settings, o.journal, &o.custody, &o.w->e));
    assert_false(custody_is_open(o.custody));
    custody_keys_again(o.custody, true);
    assert_false(custody_is_open(o.custody));
    assert_int_equal(rename(later, o.keys), 0);
    chmod(o.keys, 0777);
    custody_keys_again(o.custody, false);
    assert_false(custody_is_open(o.custody));
    chmod(o.keys, 0700);
    custody_keys_again(o.custody, false);
    assert_true(custody_is_open(o.custody));
    hold(&o, clock_wall_us() + DAY_US, false);
    assert_int_equal(stats(&o).kept, 1);
    office_end(&o);
}

/* Holds one after the other, all of which open, until one is sealed with this key. */
static void hold_until_sealed_with(struct office *o, const char *id)
{
    struct keyring *ring;
    struct vault   *vault;
    struct buf      message;
    int64_t         until_us = clock_mono_us() + SLOW_MS * INT64_C(1000);
    bool            sealed = false;

    OK(o->w, keyring_open(o->keys, &ring, &o->w->e));
    struct vault_how how = {.url = o->url, .keys = ring};
    OK(o->w, vault_open(&how, &vault, &o->w->e));
    while (!sealed && clock_mono_us() < until_us) {
        struct held h;

        hold_begin(o, &h, clock_wall_us() + DAY_US);
        hold_end(&h);
        assert_int_equal(h.job.rc, 0);
        buf_init(&message, 1000);
        OK(o->w, vault_get(vault, &h.letter.m.uid, NULL, &message, &o->w->e));
        assert_true(span_eq(buf_span(&message), MAIL));
        buf_fini(&message);
        sealed = span_is(h.letter.m.key_id, id);
        arena_fini(&h.arena);
    }
    assert_true(sealed);
    vault_close(&vault);
    keyring_close(&ring);
}

static void a_key_that_was_rotated_seals_without_a_restart(void **state)
{
    struct office o;
    char          id[KEY_ID_MAX + 1];

    office_begin(&o, state, false);
    OK(o.w, keyring_rotate(o.keys, id, &o.w->e));
    hold_until_sealed_with(&o, id);
    OK(o.w, keyring_rotate(o.keys, id, &o.w->e));
    custody_keys_again(o.custody, true);
    hold_until_sealed_with(&o, id);
    office_end(&o);
}

static void keys_that_are_lost_meanwhile_keep_nobody_from_sealing(void **state)
{
    struct office o;
    char          id[KEY_ID_MAX + 1], current[PATH_MAX + 16];

    office_begin(&o, state, false);
    OK(o.w, keyring_rotate(o.keys, id, &o.w->e));
    custody_keys_again(o.custody, true);
    snprintf(current, sizeof current, "%s/current", o.keys);
    assert_int_equal(unlink(current), 0);
    custody_keys_again(o.custody, true);
    hold(&o, clock_wall_us() + DAY_US, false);
    assert_int_equal(stats(&o).kept, 1);
    office_end(&o);
}

/* One more for the first box, which may have so much. */
static int hold_capped(struct office *o, int64_t max)
{
    const struct custody_cap cap = {first_box, max};
    struct held              h;
    int                      rc;

    memset(&h, 0, sizeof h);
    a_letter(&h.letter);
    h.letter.to[0].verdict = DELIVERY_QUARANTINED;
    h.letter.m.keep_us = clock_wall_us() + DAY_US;
    arena_init(&h.arena, 1 << 20);
    h.job = (struct custody_job){
        .record = &h.letter.m, .message = MAIL, .arena = &h.arena, .caps = &cap, .ncaps = 1, .done = on_done};
    custody_put(o->custody, &h.job);
    hold_end(&h);
    rc = h.job.rc < 0 ? (int)h.job.err.code : 0;
    arena_fini(&h.arena);
    return rc;
}

static void what_is_held_for_somebody_is_counted_also_after_the_database_was_away(void **state)
{
    static const char lose_sql[] =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
    struct office o;
    struct uuid   uid;
    struct db    *other;

    office_begin(&o, state, false);
    uid = hold(&o, clock_wall_us() + DAY_US, true);
    SOON(SLOW_MS, has_row(&o, &uid));
    for (int i = 0; i < 12; i++) /* every sealer has counted */
        assert_int_equal(hold_capped(&o, 1), ERR_FULL);
    assert_int_equal(hold_capped(&o, 1 << 20), 0);
    if (o.w->kind == DB_PGSQL) {
        OK(o.w, db_open(o.w->url, DB_LOG, false, &other, &o.w->e));
        OK(o.w, db_run(other, lose_sql, NULL, 0, NULL, &o.w->e));
        db_close(&other);
    }
    for (int i = 0; i < 12; i++)
        assert_int_equal(hold_capped(&o, 1), ERR_FULL);
    office_end(&o);
}

static void keys_that_are_not_safe_are_a_reason_not_to_start(void **state)
{
    struct office o;

    office_begin(&o, state, false);
    custody_free(&o.custody);
    chmod(o.keys, 0777);
    REFUSED(o.w, ERR_INVALID, custody_new(&o.settings, o.journal, &o.custody, &o.w->e));
    assert_null(o.custody);
    office_end(&o);
}

static void without_room_the_scan_is_told_and_nothing_is_kept(void **state)
{
    struct office o;
    struct held   h;

    office_begin(&o, state, false);
    office_close(&o);
    o.settings.quarantine.min_free = INT64_C(1) << 60;
    office_open(&o);
    hold_begin(&o, &h, clock_wall_us() + DAY_US);
    hold_end(&h);
    assert_int_equal(h.job.rc, -1);
    assert_int_equal(h.job.err.code, ERR_FULL);
    assert_false(h.letter.m.kept);
    assert_false(has_file(&o, &h.letter.m.uid));
    assert_int_equal(stats(&o).failed, 1);
    assert_true(stats(&o).room < 0);
    arena_fini(&h.arena);
    office_end(&o);
}

#define MANY 300

static void a_stop_answers_every_scan_once(void **state)
{
    static struct held held[MANY];
    struct office      o;
    size_t             kept = 0;

    office_begin(&o, state, false);
    for (size_t i = 0; i < MANY; i++)
        hold_begin(&o, &held[i], clock_wall_us() + DAY_US);
    custody_free(&o.custody);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(atomic_load(&held[i].done), 1);
        assert_true(held[i].job.rc == 0 || held[i].job.err.code == ERR_LOST);
        assert_int_equal(held[i].job.rc == 0, has_file(&o, &held[i].letter.m.uid));
        kept += held[i].job.rc == 0;
        arena_fini(&held[i].arena);
    }
    assert_true(kept < MANY);
    office_end(&o);
}

static void a_row_that_a_crash_lost_is_made_again_from_the_file(void **state)
{
    struct office        o;
    struct uuid          lost, known;
    struct store_custody c;
    struct arena         a;
    int64_t              keep_us = clock_wall_us() + 20 * DAY_US;

    office_begin(&o, state, false);
    lost = hold(&o, keep_us, false);
    known = hold(&o, keep_us, true);
    SOON(SLOW_MS, has_row(&o, &known));
    office_close(&o);
    assert_false(has_row(&o, &lost));
    office_open(&o);
    SOON(SLOW_MS, has_row(&o, &lost));
    assert_int_equal(stats(&o).replayed, 1);

    arena_init(&a, 1 << 16);
    OK(o.w, store_custody_get(o.w->more, &lost, &a, &c, &o.w->e));
    assert_int_equal(c.keep_us, keep_us);
    assert_true(c.bytes > 0 && c.sha256.n == 32 && c.key_id.n > 0);
    arena_fini(&a);
    office_end(&o);
}

static void a_damaged_file_without_a_row_does_not_stop_the_others(void **state)
{
    struct office o;
    struct uuid   first, second;
    char          command[PATH_MAX + 100];

    office_begin(&o, state, false);
    first = hold(&o, clock_wall_us() + DAY_US, false);
    snprintf(command, sizeof command, "truncate -s 50 %s/held/2*/*", o.w->dir);
    assert_int_equal(system(command), 0);
    second = hold(&o, clock_wall_us() + DAY_US, false);
    office_close(&o);
    office_open(&o);
    SOON(SLOW_MS, has_row(&o, &second));
    assert_false(has_row(&o, &first));
    office_end(&o);
}

static void what_is_past_its_time_goes_file_and_row(void **state)
{
    struct office o;
    struct uuid   old, young;

    office_begin(&o, state, false);
    old = hold(&o, clock_wall_us() - 1000000, true);
    young = hold(&o, clock_wall_us() + DAY_US, true);
    SOON(SLOW_MS, has_row(&o, &old) && has_row(&o, &young));
    office_close(&o);
    office_open(&o);
    SOON(SLOW_MS, place(&o, &old) == CUSTODY_GONE);
    assert_false(has_file(&o, &old));
    assert_int_equal(place(&o, &young), CUSTODY_SPOOL);
    assert_true(has_file(&o, &young));
    assert_int_equal(stats(&o).purged, 1);
    assert_false(stats(&o).purge_stopped);
    office_end(&o);
}

static void too_much_at_once_stays_until_somebody_allows_it(void **state)
{
    struct office    o;
    struct uuid      uids[PURGE_FEW + 1];
    struct keyring  *ring;
    struct vault    *vault;
    struct vault_how how;

    office_begin(&o, state, false);
    for (size_t i = 0; i < COUNT(uids); i++)
        uids[i] = hold(&o, clock_wall_us() - 1000000, true);
    SOON(SLOW_MS, has_row(&o, &uids[COUNT(uids) - 1]));
    office_close(&o);
    office_open(&o);
    SOON(SLOW_MS, stats(&o).purge_stopped);
    assert_int_equal(stats(&o).purged, 0);
    assert_true(has_file(&o, &uids[0]));

    OK(o.w, keyring_open(o.keys, &ring, &o.w->e));
    how = (struct vault_how){.url = o.url, .keys = ring};
    OK(o.w, vault_open(&how, &vault, &o.w->e));
    OK(o.w, purge_allow(vault, &o.w->e));
    vault_close(&vault);
    keyring_close(&ring);
    SOON(SLOW_MS, stats(&o).purged == COUNT(uids));
    assert_false(stats(&o).purge_stopped);
    assert_false(has_file(&o, &uids[0]));
    office_end(&o);
}

static void what_has_its_row_moves_into_the_bucket(void **state)
{
    struct office o;
    struct uuid   known, unknown;

    office_begin(&o, state, true);
    known = hold(&o, clock_wall_us() + DAY_US, true);
    unknown = hold(&o, clock_wall_us() + DAY_US, false);
    SOON(SLOW_MS, has_row(&o, &known));
    SOON(SLOW_MS, stats(&o).uploaded == 1);
    assert_int_equal(place(&o, &known), CUSTODY_STORE);
    assert_false(has_file(&o, &known));
    assert_true(has_file(&o, &unknown));
    assert_int_equal(bucket_count(o.bucket), 1);
    assert_int_equal(atomic_load(&o.bucket->forged), 0);
    office_end(&o);
}

static void run_sql(struct office *o, enum db_part part, const char *sql, const struct db_val *vals, size_t n)
{
    struct db *db;

    OK(o->w, db_open(o->w->url, part, false, &db, &o->w->e));
    OK(o->w, db_run(db, sql, vals, n, NULL, &o->w->e));
    db_close(&db);
}

/* Another node that was last seen then has what this one had, and it is due since a second. */
static void give_away(struct office *o, const struct uuid *uid, const struct uuid *to, int64_t seen_us)
{
    static const char node_sql[] = "INSERT INTO node (id, name, created_us, seen_us) VALUES ($1, $2, 1, $3)";
    static const char give_sql[] = "UPDATE custody SET node_id = $1, keep_us = $2 WHERE uid = $3";
    char              text[UUID_TEXT + 1], name[UUID_TEXT + 1];

    uuid_format(uid, text);
    uuid_format(to, name);
    struct db_val node[] = {dbv_blob(span_make(to->b, sizeof to->b)), dbv_str(name), dbv_i64(seen_us)};
    struct db_val give[] = {node[0], dbv_i64(clock_wall_us() - 1000000), dbv_str(text)};
    run_sql(o, DB_MAIN, node_sql, node, COUNT(node));
    run_sql(o, DB_LOG, give_sql, give, COUNT(give));
}

static void what_a_lost_node_left_in_the_bucket_is_purged_by_another(void **state)
{
    static const struct uuid lost = {{0x71}}, well = {{0x72}};
    struct office            o;
    struct uuid              of_lost, of_well, on_its_disk;
    int64_t                  now = clock_wall_us();

    office_begin(&o, state, true);
    of_lost = hold(&o, now + DAY_US, true);
    of_well = hold(&o, now + DAY_US, true);
    SOON(SLOW_MS, stats(&o).uploaded == 2);
    office_close(&o);
    office_open(&o);
    on_its_disk = hold(&o, now + DAY_US, true);
    SOON(SLOW_MS, has_row(&o, &on_its_disk));
    office_close(&o);
    give_away(&o, &of_lost, &lost, now - DAY_US - 60000000);
    give_away(&o, &of_well, &well, now - DAY_US + 600000000);
    office_open(&o);
    SOON(SLOW_MS, place(&o, &of_lost) == CUSTODY_GONE);
    SOON(SLOW_MS, stats(&o).purged == 1);
    assert_int_equal(place(&o, &of_well), CUSTODY_STORE);
    assert_int_not_equal(place(&o, &on_its_disk), CUSTODY_GONE);
    office_end(&o);
}

static const struct both_test tests[] = {
    {"a held message is on disk before its scan goes on", a_held_message_is_on_disk_before_its_scan_goes_on,
     store_begin_world, store_end_world, ON_SQLITE},
    {"without keys nothing can be held until there are some", without_keys_nothing_can_be_held_until_there_are_some,
     store_begin_world, store_end_world, ON_SQLITE},
    {"a key that was rotated seals without a restart", a_key_that_was_rotated_seals_without_a_restart,
     store_begin_world, store_end_world, ON_SQLITE},
    {"keys that are lost meanwhile keep nobody from sealing", keys_that_are_lost_meanwhile_keep_nobody_from_sealing,
     store_begin_world, store_end_world, ON_SQLITE},
    {"what is held for somebody is counted, also after the database was away",
     what_is_held_for_somebody_is_counted_also_after_the_database_was_away, store_begin_world, store_end_world,
     ON_BOTH},
    {"keys that are not safe are a reason not to start", keys_that_are_not_safe_are_a_reason_not_to_start,
     store_begin_world, store_end_world, ON_SQLITE},
    {"without room the scan is told, and nothing is kept", without_room_the_scan_is_told_and_nothing_is_kept,
     store_begin_world, store_end_world, ON_SQLITE},
    {"a stop answers every scan once", a_stop_answers_every_scan_once, store_begin_world, store_end_world, ON_SQLITE},
    {"a row that a crash lost is made again from the file", a_row_that_a_crash_lost_is_made_again_from_the_file,
     store_begin_world, store_end_world, ON_BOTH},
    {"a damaged file without a row does not stop the others", a_damaged_file_without_a_row_does_not_stop_the_others,
     store_begin_world, store_end_world, ON_SQLITE},
    {"what is past its time goes, file and row", what_is_past_its_time_goes_file_and_row, store_begin_world,
     store_end_world, ON_BOTH},
    {"too much at once stays until somebody allows it", too_much_at_once_stays_until_somebody_allows_it,
     store_begin_world, store_end_world, ON_SQLITE},
    {"what a lost node left in the bucket is purged by another",
     what_a_lost_node_left_in_the_bucket_is_purged_by_another, store_begin_world, store_end_world, ON_BOTH},
    {"what has its row moves into the bucket", what_has_its_row_moves_into_the_bucket, store_begin_world,
     store_end_world, ON_SQLITE},
};

int main(void) { return run_on_both(tests, COUNT(tests)); }
