/* Links: what we made reads back, nothing else does, and an old key is good for its links. */
#include "letter/link.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define AT_US (INT64_C(1700000000) * 1000000)

static const struct link release = {.action = LINK_RELEASE,
                                    .subscription = {{0x51, 2, 3}},
                                    .key = {{{0x01, 0x93, 0xff}}, 10000},
                                    .expires_us = AT_US + LINK_TTL_US};

static struct link_keys some_keys(unsigned newest)
{
    struct link_keys k = {.n = 2, .id = {newest, newest - 1}};

    for (size_t i = 0; i < k.n; i++)
        memset(k.key[i], (int)k.id[i], sizeof k.key[i]);
    return k;
}

static void what_was_made_is_read(void **state)
{
    struct link_keys k = some_keys(2);
    struct link      got;
    char             text[LINK_TEXT];

    (void)state;
    link_make(&k, &release, text);
    assert_int_equal(link_read(&k, span_of(text), AT_US, &got), LINK_GOOD);
    assert_true(got.action == LINK_RELEASE && uuid_cmp(&got.subscription, &release.subscription) == 0 &&
                uuid_cmp(&got.key.uid, &release.key.uid) == 0 && got.key.n == 10000 &&
                got.expires_us == release.expires_us);
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
}

static void an_expired_one_still_says_what_it_was_about(void **state)
{
    struct link_keys k = some_keys(2);
    struct link      got;
    char             text[LINK_TEXT];

    (void)state;
    link_make(&k, &release, text);
    assert_int_equal(link_read(&k, span_of(text), AT_US + LINK_TTL_US, &got), LINK_EXPIRED);
    assert_int_equal(got.key.n, 10000);
}

static void no_character_can_be_changed(void **state)
{
    struct link_keys k = some_keys(2);
    struct link      got;
    char             text[LINK_TEXT];

    (void)state;
    link_make(&k, &release, text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];

        for (const char *c = "Ab9-_= \x80"; *c != '\0'; c++) {
            text[i] = *c;
            if (*c != was && link_read(&k, span_of(text), AT_US, &got) != LINK_FORGED)
                fail_msg("character %zu as %c is taken", i, *c);
        }
        text[i] = was;
        CHECK("cut", link_read(&k, span_make(text, i), AT_US, &got) == LINK_FORGED);
    }
}

static void what_another_key_signed_is_forged(void **state)
{
    struct link_keys ours = some_keys(2), theirs = some_keys(2), newer = some_keys(3), newest = some_keys(4);
    struct link      got;
    char             text[LINK_TEXT];

    (void)state;
    theirs.key[0][0] ^= 1;
    link_make(&theirs, &release, text);
    CHECK("of the same number", link_read(&ours, span_of(text), AT_US, &got) == LINK_FORGED);
    link_make(&ours, &release, text);
    CHECK("rotated once", link_read(&newer, span_of(text), AT_US, &got) == LINK_GOOD);
    CHECK("and forgotten", link_read(&newest, span_of(text), AT_US, &got) == LINK_FORGED);
}

static void keys_are_made_and_rotated(void **state)
{
    char             dir[] = "/tmp/postern-links-XXXXXX", path[64];
    struct link_keys first, same, both;
    struct err       e = ERR_INIT;
    unsigned         id;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(link_keys_read(dir, &first, &e), 0);
    assert_int_equal(link_keys_read(dir, &same, &e), 0);
    assert_true(first.n == 1 && first.id[0] == 1 && memcmp(first.key[0], same.key[0], 32) == 0);
    assert_int_equal(link_keys_rotate(dir, &id, &e), 0);
    assert_int_equal(link_keys_read(dir, &both, &e), 0);
    assert_true(id == 2 && both.n == 2 && both.id[0] == 2 && memcmp(both.key[1], first.key[0], 32) == 0);
    for (id = 2; id < LINK_KEYS_MAX + 3;)
        assert_int_equal(link_keys_rotate(dir, &id, &e), 0);
    assert_int_equal(link_keys_read(dir, &both, &e), 0);
    CHECK("the newest ones",
          both.n == LINK_KEYS_MAX && both.id[0] == LINK_KEYS_MAX + 3 && both.id[LINK_KEYS_MAX - 1] == 4);
    for (; id > 0; id--) {
        snprintf(path, sizeof path, "%s/link-%u.secret", dir, id);
        unlink(path);
    }
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_made_is_read),       cmocka_unit_test(an_expired_one_still_says_what_it_was_about),
        cmocka_unit_test(no_character_can_be_changed), cmocka_unit_test(what_another_key_signed_is_forged),
        cmocka_unit_test(keys_are_made_and_rotated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
