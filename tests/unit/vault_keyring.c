#include "vault.h"

#include <pthread.h>
#include <stdatomic.h>

static int count(void *ctx, const struct key_info *key)
{
    (void)key;
    ++*(int *)ctx;
    return 0;
}

static int mode_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

static void the_first_pair_is_made_once(void **state)
{
    struct home *h = *state;
    char         before[KEY_ID_MAX + 1], path[KEY_ID_MAX + 16];
    int          n = 0;

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    strcpy(before, keyring_current(h->ring));
    snprintf(path, sizeof path, "keys/%s.key", before);
    assert_int_equal(mode_of(inside(h, "keys")), 0700);
    assert_int_equal(mode_of(inside(h, path)), 0400);
    keyring_close(&h->ring);

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    assert_string_equal(keyring_current(h->ring), before);
    keyring_each(h->ring, count, &n);
    assert_int_equal(n, 1);
}

static void without_keys_the_error_says_what_makes_them(void **state)
{
    struct home *h = *state;

    FAILS(h, keyring_open(h->keys, &h->ring, &h->e), ERR_NOT_FOUND, "postern init");
    FAILS(h, keyring_rotate(h->keys, (char[KEY_ID_MAX + 1]){0}, &h->e), ERR_NOT_FOUND, "postern init");
    assert_int_equal(mkdir(h->keys, 0700), 0);
    FAILS(h, keyring_open(h->keys, &h->ring, &h->e), ERR_NOT_FOUND, "postern init");
}

static void what_was_sealed_before_a_rotation_opens_after_it(void **state)
{
    struct home    *h = *state;
    const uint8_t   key[32] = "a key of thirty-two bytes, as is";
    uint8_t         sealed[KEY_SEALED_BYTES], again[KEY_SEALED_BYTES], out[32];
    char            old[KEY_ID_MAX + 1], new[KEY_ID_MAX + 1], id[KEY_ID_MAX + 1];
    struct keyring *later;
    int             n = 0;

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    strcpy(old, keyring_current(h->ring));
    OK(h, keyring_seal(h->ring, key, sealed, id, &h->e));
    OK(h, keyring_rotate(h->keys, new, &h->e));
    assert_string_not_equal(old, new);

    OK(h, keyring_open(h->keys, &later, &h->e));
    assert_string_equal(keyring_current(later), new);
    keyring_each(later, count, &n);
    assert_int_equal(n, 2);
    OK(h, keyring_unseal(later, old, sealed, out, &h->e));
    assert_memory_equal(out, key, 32);
    OK(h, keyring_seal(later, key, again, id, &h->e));
    OK(h, keyring_unseal(later, new, again, out, &h->e));
    assert_memory_equal(out, key, 32);
    FAILS(h, keyring_unseal(later, old, again, out, &h->e), ERR_CORRUPT, old);
    assert_string_equal(id, new);
    keyring_close(&later);
}

static void who_had_the_ring_open_takes_a_new_key(void **state)
{
    struct home  *h = *state;
    const uint8_t key[32] = "a key of thirty-two bytes, as is";
    uint8_t       sealed[KEY_SEALED_BYTES], out[32];
    char          old[KEY_ID_MAX + 1], new[KEY_ID_MAX + 1], id[KEY_ID_MAX + 1];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    assert_int_equal(keyring_refresh(h->ring, true, &h->e), 0);
    OK(h, keyring_seal(h->ring, key, sealed, old, &h->e));
    OK(h, keyring_rotate(h->keys, new, &h->e));
    assert_int_equal(keyring_refresh(h->ring, true, &h->e), 1);
    assert_int_equal(keyring_refresh(h->ring, true, &h->e), 0);
    assert_string_equal(keyring_current(h->ring), new);
    OK(h, keyring_unseal(h->ring, old, sealed, out, &h->e));
    assert_memory_equal(out, key, 32);
    OK(h, keyring_seal(h->ring, key, sealed, id, &h->e));
    assert_string_equal(id, new);
}

static void it_is_taken_without_being_told(void **state)
{
    struct home *h = *state;
    char new[KEY_ID_MAX + 1];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    OK(h, keyring_rotate(h->keys, new, &h->e));
    while (keyring_refresh(h->ring, false, &h->e) == 0)
        sched_yield();
    assert_string_equal(keyring_current(h->ring), new);
}

static void what_was_sealed_elsewhere_with_a_newer_key_opens_at_once(void **state)
{
    struct home  *h = *state;
    const uint8_t key[32] = {7};
    uint8_t       sealed[KEY_SEALED_BYTES], out[32];
    char new[KEY_ID_MAX + 1], id[KEY_ID_MAX + 1];
    struct keyring *theirs;

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    OK(h, keyring_rotate(h->keys, new, &h->e));
    OK(h, keyring_open(h->keys, &theirs, &h->e));
    OK(h, keyring_seal(theirs, key, sealed, id, &h->e));
    keyring_close(&theirs);
    OK(h, keyring_unseal(h->ring, new, sealed, out, &h->e));
    assert_memory_equal(out, key, 32);
    FAILS(h, keyring_unseal(h->ring, "2020-01-01-00000000", sealed, out, &h->e), ERR_DENIED, "2020-01-01-00000000");
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, 0400);
}

static void keys_that_cannot_be_read_again_stay_as_they_were(void **state)
{
    struct home  *h = *state;
    const uint8_t key[32] = {1};
    uint8_t       sealed[KEY_SEALED_BYTES], out[32];
    char          old[KEY_ID_MAX + 1], id[KEY_ID_MAX + 1];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    strcpy(old, keyring_current(h->ring));
    unlink(inside(h, "keys/current"));
    write_text(inside(h, "keys/current"), "2020-01-01-00000000\n");
    assert_int_equal(keyring_refresh(h->ring, true, &h->e), -1);
    assert_non_null(strstr(h->e.text, "which is not there"));
    unlink(inside(h, "keys/current"));
    assert_int_equal(keyring_refresh(h->ring, true, &h->e), -1);
    OK(h, keyring_seal(h->ring, key, sealed, id, &h->e));
    assert_string_equal(id, old);
    OK(h, keyring_unseal(h->ring, old, sealed, out, &h->e));
    write_text(inside(h, "keys/current"), old);
    assert_int_equal(keyring_refresh(h->ring, true, &h->e), 0);
}

static atomic_bool rotating;

/* Seals for as long as keys change, and opens with the key that it was told. */
static void *seal_meanwhile(void *arg)
{
    const struct keyring *ring = arg;
    uintptr_t             bad = 0;

    do {
        uint8_t key[32] = {9}, sealed[KEY_SEALED_BYTES], out[32];
        char    id[KEY_ID_MAX + 1];

        keyring_refresh(ring, false, NULL);
        bad += keyring_seal(ring, key, sealed, id, NULL) < 0 || keyring_unseal(ring, id, sealed, out, NULL) < 0 ||
               memcmp(out, key, 32) != 0;
    } while (atomic_load(&rotating));
    return (void *)bad;
}

static void what_is_sealed_while_keys_change_opens(void **state)
{
    struct home *h = *state;
    pthread_t    threads[4];
    char new[KEY_ID_MAX + 1];
    void *bad;

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    atomic_store(&rotating, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, seal_meanwhile, h->ring);
    for (int i = 0; i < 20; i++) {
        OK(h, keyring_rotate(h->keys, new, &h->e));
        assert_true(keyring_refresh(h->ring, true, &h->e) >= 0);
        assert_string_equal(keyring_current(h->ring), new);
    }
    atomic_store(&rotating, false);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
}

static void who_has_only_the_public_half_seals_and_does_not_open(void **state)
{
    struct home  *h = *state;
    const uint8_t key[32] = {1};
    uint8_t       sealed[KEY_SEALED_BYTES], out[32];
    char          path[KEY_ID_MAX + 16], id[KEY_ID_MAX + 1];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    snprintf(path, sizeof path, "keys/%s.key", keyring_current(h->ring));
    assert_int_equal(unlink(inside(h, path)), 0);
    keyring_close(&h->ring);
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    OK(h, keyring_seal(h->ring, key, sealed, id, &h->e));
    FAILS(h, keyring_unseal(h->ring, keyring_current(h->ring), sealed, out, &h->e), ERR_DENIED,
          keyring_current(h->ring));
}

static void a_secret_half_of_another_pair_is_told_as_that(void **state)
{
    struct home  *h = *state;
    const uint8_t key[32] = {1};
    uint8_t       sealed[KEY_SEALED_BYTES], out[32];
    char          id[KEY_ID_MAX + 1], other[KEY_ID_MAX + 1], from[KEY_ID_MAX + 16], to[KEY_ID_MAX + 16];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    OK(h, keyring_rotate(h->keys, other, &h->e));
    snprintf(from, sizeof from, "keys/%s.key", other);
    snprintf(to, sizeof to, "keys/%s.key", keyring_current(h->ring));
    assert_int_equal(rename(inside(h, from), inside(h, to)), 0);
    OK(h, keyring_seal(h->ring, key, sealed, id, &h->e));
    snprintf(to, sizeof to, "%s", keyring_current(h->ring));
    keyring_close(&h->ring);
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    FAILS(h, keyring_unseal(h->ring, to, sealed, out, &h->e), ERR_CORRUPT, "not the secret half");
}

static void keys_that_others_can_read_are_refused(void **state)
{
    struct home *h = *state;
    char         path[KEY_ID_MAX + 16];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
    snprintf(path, sizeof path, "keys/%s.key", keyring_current(h->ring));
    keyring_close(&h->ring);
    assert_int_equal(chmod(inside(h, path), 0404), 0);
    FAILS(h, keyring_open(h->keys, &h->ring, &h->e), ERR_INVALID, "chmod 0400");
    assert_int_equal(chmod(inside(h, path), 0440), 0);
    assert_int_equal(chmod(h->keys, 0705), 0);
    FAILS(h, keyring_open(h->keys, &h->ring, &h->e), ERR_INVALID, "chmod 0700");
    assert_int_equal(chmod(h->keys, 0770), 0);
    FAILS(h, keyring_open(h->keys, &h->ring, &h->e), ERR_INVALID, "chmod 0700");
    assert_int_equal(chmod(h->keys, 0750), 0);
    OK(h, keyring_open(h->keys, &h->ring, &h->e));
}

static void damaged_files_are_refused_by_name(void **state)
{
    static const struct {
        const char *file, *text, *words;
    } cases[] = {
        {"keys/x.pub", "", "x.pub is not a key"},
        {"keys/x.pub", "postern body-key-public 2026-11-22T00:00:00Z 00", "x.pub is not a key"},
        {"keys/x.key",
         "postern body-key-public 2026-11-22T00:00:00Z "
         "0000000000000000000000000000000000000000000000000000000000000000\n",
         "x.key is not a key"},
        {"keys/x.key",
         "postern body-key-secret yesterday "
         "0000000000000000000000000000000000000000000000000000000000000000\n",
         "x.key is not a key"},
        {"keys/current", "../../etc/passwd\n", "current does not hold"},
        {"keys/current", "", "current does not hold"},
        {"keys/current", "2020-01-01-00000000\n", "which is not there"},
    };
    struct home *h = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        OK(h, keyring_create(h->keys, &h->e));
        unlink(inside(h, cases[i].file));
        write_text(inside(h, cases[i].file), cases[i].text);
        h->e = ERR_INIT;
        CHECK(cases[i].words, keyring_open(h->keys, &h->ring, &h->e) < 0);
        CHECK(h->e.text, strstr(h->e.text, cases[i].words) != NULL);
        unlink(inside(h, cases[i].file));
    }
}

static void a_secret_is_made_once_and_is_that_of_its_purpose(void **state)
{
    struct home *h = *state;
    uint8_t      one[SECRET_BYTES], again[SECRET_BYTES], other[SECRET_BYTES];

    OK(h, keyring_create(h->keys, &h->e));
    OK(h, keyring_secret(h->keys, "bypass", one, &h->e));
    OK(h, keyring_secret(h->keys, "bypass", again, &h->e));
    OK(h, keyring_secret(h->keys, "link", other, &h->e));
    assert_memory_equal(one, again, sizeof one);
    assert_memory_not_equal(one, other, sizeof one);
    assert_int_equal(mode_of(inside(h, "keys/bypass.secret")), 0400);
    FAILS(h, keyring_secret(h->keys, "../bypass", one, &h->e), ERR_INVALID, "purpose");
    FAILS(h, keyring_secret(h->keys, "", one, &h->e), ERR_INVALID, "purpose");
    assert_int_equal(chmod(inside(h, "keys/bypass.secret"), 0444), 0);
    FAILS(h, keyring_secret(h->keys, "bypass", one, &h->e), ERR_INVALID, "chmod 0400");
    OK(h, keyring_open(h->keys, &h->ring, &h->e)); /* which they do not concern */
}

static void *ask_for_a_secret(void *arg)
{
    static uint8_t       secrets[8][SECRET_BYTES];
    static atomic_size_t at;
    uint8_t             *mine = secrets[atomic_fetch_add(&at, 1)];

    return keyring_secret(arg, "session", mine, NULL) == 0 ? mine : NULL;
}

static void all_who_ask_at_once_get_the_same_secret(void **state)
{
    struct home *h = *state;
    pthread_t    threads[8];
    void        *got[8];

    OK(h, keyring_create(h->keys, &h->e));
    for (size_t i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, ask_for_a_secret, h->keys);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], &got[i]);
    for (size_t i = 0; i < 8; i++) {
        assert_non_null(got[i]);
        assert_memory_equal(got[i], got[0], SECRET_BYTES);
    }
}

#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, home_begin, home_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_HOME(the_first_pair_is_made_once),
        IN_A_HOME(without_keys_the_error_says_what_makes_them),
        IN_A_HOME(what_was_sealed_before_a_rotation_opens_after_it),
        IN_A_HOME(who_had_the_ring_open_takes_a_new_key),
        IN_A_HOME(it_is_taken_without_being_told),
        IN_A_HOME(what_was_sealed_elsewhere_with_a_newer_key_opens_at_once),
        IN_A_HOME(keys_that_cannot_be_read_again_stay_as_they_were),
        IN_A_HOME(what_is_sealed_while_keys_change_opens),
        IN_A_HOME(who_has_only_the_public_half_seals_and_does_not_open),
        IN_A_HOME(a_secret_half_of_another_pair_is_told_as_that),
        IN_A_HOME(keys_that_others_can_read_are_refused),
        IN_A_HOME(damaged_files_are_refused_by_name),
        IN_A_HOME(a_secret_is_made_once_and_is_that_of_its_purpose),
        IN_A_HOME(all_who_ask_at_once_get_the_same_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
