/* tests/unit/rulesd_caller.c - twin of rulesd/caller.c. */
#include "../../rulesd/caller.h"

#include <unistd.h>

#include "check.h"

static struct trust *trust_of(const char *mta_from, const char *mta_user, const char *password)
{
    struct settings s = {.rulesd = {.password = password,
                                    .mta_from = {&mta_from, mta_from != NULL},
                                    .mta_users = {&mta_user, mta_user != NULL}},
                         .rules = {.authserv_id = ""}};
    struct err      e = ERR_INIT;
    struct trust   *t = NULL;

    if (trust_new(&s, &t, &e) < 0)
        fail_msg("%s", e.text);
    return t;
}

static struct peer from_ip(const char *text)
{
    struct peer p = {0};

    assert_true(ip_parse(span_of(text), false, &p.ip));
    return p;
}

static struct peer from_user(uid_t uid) { return (struct peer){.is_unix = true, .uid = uid}; }

static const struct {
    const char       *holds, *mta_from, *mta_user, *ip;
    uid_t             uid;
    enum caller_class most, class;
} classes[] = {
    {"loopback alone proves nothing", NULL, NULL, "127.0.0.1", 0, CLASS_MTA, CLASS_SCAN},
    {"an address of mta_from is an MTA", "127.0.0.0/8", NULL, "127.0.0.1", 0, CLASS_MTA, CLASS_MTA},
    {"one beside it is not", "192.0.2.0/25", NULL, "192.0.2.128", 0, CLASS_MTA, CLASS_SCAN},
    {"IPv6 alike", "2001:db8::/32", NULL, "2001:db8::1", 0, CLASS_MTA, CLASS_MTA},
    {"a listener lowers it", "127.0.0.0/8", NULL, "127.0.0.1", 0, CLASS_SCAN, CLASS_SCAN},
    {"a user of mta_users is an MTA", NULL, "12345", NULL, 12345, CLASS_MTA, CLASS_MTA},
    {"root is", NULL, NULL, NULL, 0, CLASS_MTA, CLASS_MTA},
    {"another user is not", NULL, "12345", NULL, 12346, CLASS_MTA, CLASS_SCAN},
    {"nor one whom nobody could name", NULL, "12345", NULL, (uid_t)-1, CLASS_MTA, CLASS_SCAN},
    {"mta_from does not speak of sockets", "0.0.0.0/0", NULL, NULL, 12346, CLASS_MTA, CLASS_SCAN},
};

static void the_class_of_a_caller_is_told_by_its_connection(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(classes); i++) {
        struct trust *t = trust_of(classes[i].mta_from, classes[i].mta_user, "");
        struct peer   p = classes[i].ip != NULL ? from_ip(classes[i].ip) : from_user(classes[i].uid);

        CHECK(classes[i].holds, caller_class(t, &p, classes[i].most) == classes[i].class);
        trust_drop(&t);
    }
}

static const struct {
    const char *set, *given;
    bool        right;
} passwords[] = {
    {"secret", "secret", true}, {"secret", "secre", false},        {"secret", "secrets", false},
    {"secret", "", false},      {"secret", "Secret", false},       {"", "", false},
    {"", "x", false},           {"secret", "secretsecret", false},
};

static void a_password_is_right_only_as_a_whole_and_never_when_none_is_set(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(passwords); i++) {
        struct trust *t = trust_of(NULL, NULL, passwords[i].set);

        CHECK(passwords[i].given, trust_password(t, span_of(passwords[i].given)) == passwords[i].right);
        trust_drop(&t);
    }
}

static void a_damaged_block_is_refused_and_named(void **unused)
{
    const char     *bad = "300.0.0.1";
    struct settings s = {.rulesd = {.password = "", .mta_from = {&bad, 1}}, .rules = {.authserv_id = ""}};
    struct err      e = ERR_INIT;
    struct trust   *t;

    (void)unused;
    assert_int_equal(trust_new(&s, &t, &e), -1);
    assert_null(t);
    assert_non_null(strstr(e.text, "mta_from"));
}

#define SECOND INT64_C(1000000)

static void a_peer_may_name_twenty_recipients_a_minute(void **unused)
{
    struct allowance *a = allowance_new();
    struct peer       p = from_ip("192.0.2.1"), other = from_ip("192.0.2.2");
    int64_t           now = 1000 * SECOND;

    (void)unused;
    for (size_t i = 0; i < ALLOWANCE_PER_MINUTE; i++)
        assert_true(allowance_take(a, &p, 1, now));
    assert_false(allowance_take(a, &p, 1, now));
    assert_true(allowance_take(a, &p, 0, now)); /* a scan for nobody costs nothing */
    assert_true(allowance_take(a, &other, ALLOWANCE_PER_MINUTE, now));
    assert_false(allowance_take(a, &p, 1, now + 2 * SECOND));
    assert_true(allowance_take(a, &p, 1, now + 3 * SECOND)); /* a twentieth of a minute later there is one more */
    assert_false(allowance_take(a, &p, 1, now + 3 * SECOND));
    assert_true(allowance_take(a, &p, ALLOWANCE_PER_MINUTE, now + 63 * SECOND));
    allowance_free(&a);
}

static void what_is_refused_is_not_taken(void **unused)
{
    struct allowance *a = allowance_new();
    struct peer       p = from_user(1000);

    (void)unused;
    assert_false(allowance_take(a, &p, ALLOWANCE_PER_MINUTE + 1, SECOND));
    assert_false(allowance_take(a, &p, SIZE_MAX, SECOND));
    assert_true(allowance_take(a, &p, 15, SECOND));
    assert_false(allowance_take(a, &p, 6, SECOND));
    assert_true(allowance_take(a, &p, 5, SECOND));
    allowance_free(&a);
}

static void an_ipv6_network_is_one_peer_and_a_user_another(void **unused)
{
    struct allowance *a = allowance_new();
    struct peer       one = from_ip("2001:db8:1:2::1"), two = from_ip("2001:db8:1:2:ffff::1"),
                far = from_ip("2001:db8:1:3::1");
    struct peer user = from_user(0);

    (void)unused;
    assert_true(allowance_take(a, &one, 20, SECOND));
    assert_false(allowance_take(a, &two, 1, SECOND));
    assert_true(allowance_take(a, &far, 20, SECOND));
    assert_true(allowance_take(a, &user, 20, SECOND));
    allowance_free(&a);
}

static void many_peers_do_not_make_the_table_grow_nor_free_a_busy_one_for_long(void **unused)
{
    struct allowance *a = allowance_new();

    (void)unused;
    for (uint32_t i = 0; i < 100000; i++) {
        struct peer p = {.ip = {{[10] = 0xff, [11] = 0xff}}};

        memcpy(p.ip.b + 12, &i, 4);
        assert_true(allowance_take(a, &p, 20, SECOND));
        assert_false(allowance_take(a, &p, 1, SECOND));
    }
    allowance_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_class_of_a_caller_is_told_by_its_connection),
        cmocka_unit_test(a_password_is_right_only_as_a_whole_and_never_when_none_is_set),
        cmocka_unit_test(a_damaged_block_is_refused_and_named),
        cmocka_unit_test(a_peer_may_name_twenty_recipients_a_minute),
        cmocka_unit_test(what_is_refused_is_not_taken),
        cmocka_unit_test(an_ipv6_network_is_one_peer_and_a_user_another),
        cmocka_unit_test(many_peers_do_not_make_the_table_grow_nor_free_a_busy_one_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
