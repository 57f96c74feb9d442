#include "check.h"

#include "base/ip.h"

static void an_address_is_read_in_each_form_that_peers_write(void **state)
{
    static const struct {
        const char *text, *plain; /* NULL: refused */
        const char *with_port;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7", "192.0.2.7"},
        {"2001:DB8::1", "2001:db8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1", "2001:db8::1"},
        {"IPv6:2001:db8::1", "2001:db8::1", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"},
        {"192.0.2.7:25", NULL, "192.0.2.7"},
        {"[2001:db8::1]:25", NULL, "2001:db8::1"},
        {"192.0.2.7:", NULL, NULL},
        {"192.0.2.7:2x", NULL, NULL},
        {"192.0.2", NULL, NULL},
        {"192.0.2.256", NULL, NULL},
        {" 192.0.2.7\t", "192.0.2.7", "192.0.2.7"},
        {"fe80::1%eth0", NULL, NULL},
        {"[2001:db8::1", NULL, NULL},
        {"", NULL, NULL},
        {"localhost", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (int port = 0; port <= 1; port++) {
            const char *want = port ? cases[i].with_port : cases[i].plain;
            struct ip   ip;
            char        text[IP_TEXT];

            CHECK(cases[i].text, ip_parse(span_of(cases[i].text), port, &ip) == (want != NULL));
            if (want == NULL)
                continue;
            ip_format(&ip, text);
            CHECK(cases[i].text, strcmp(text, want) == 0);
        }
    }
}

static void a_block_holds_what_lies_between_its_ends(void **state)
{
    static const struct {
        const char *block, *in, *out;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
        {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"0.0.0.0/0", "255.255.255.255", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
        {"::/0", "2001:db8::1", "192.0.2.7"}, /* IPv4 is a family of its own, however it is stored */
        {"192.0.2.10-192.0.2.99", "192.0.2.99", "192.0.2.100"},
        {"2001:db8::1-2001:db8::5", "2001:db8::5", "2001:db8::6"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip_block b;
        struct ip       ip;

        CHECK(cases[i].block, ip_block_parse(span_of(cases[i].block), &b, NULL) == 0);
        CHECK(cases[i].block, ip_parse(span_of(cases[i].in), false, &ip) && ip_block_holds(&b, &ip));
        if (cases[i].out != NULL)
            CHECK(cases[i].block, ip_parse(span_of(cases[i].out), false, &ip) && !ip_block_holds(&b, &ip));
    }
}

static void a_wrong_block_is_refused_with_its_cure(void **state)
{
    static const struct {
        const char *block, *says;
    } cases[] = {
        {"192.0.2.7/24", "192.0.2.0/24"},
        {"192.0.2.0/33", ""},
        {"192.0.2.9-192.0.2.1", ""},
        {"192.0.2.1-2001:db8::1", ""},
        {"192.0.2.0/", ""},
        {"192.0.2.0/-1", ""},
        {"x", ""},
        {"2001:db8::1/32", "2001:db8::/32"},
        {"2001:db8::/129", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip_block b;
        struct err      e = ERR_INIT;

        CHECK(cases[i].block, ip_block_parse(span_of(cases[i].block), &b, &e) == -1);
        CHECK(cases[i].block, e.code == ERR_INVALID && strstr(e.text, cases[i].says) != NULL);
    }
}

static void a_network_is_counted_in_the_bits_of_its_family(void **state)
{
    static const struct {
        const char *ip;
        unsigned    bits;
        const char *network;
    } cases[] = {
        {"192.0.2.77", 24, "192.0.2.0"},
        {"192.0.2.77", 32, "192.0.2.77"},
        {"192.0.2.77", 0, "0.0.0.0"},
        {"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
        {"2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6"},
        {"2001:db8::1", 0, "::"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip ip, network;
        char      text[IP_TEXT];

        assert_true(ip_parse(span_of(cases[i].ip), false, &ip));
        network = ip_network(&ip, cases[i].bits);
        ip_format(&network, text);
        assert_string_equal(text, cases[i].network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_read_in_each_form_that_peers_write),
        cmocka_unit_test(a_block_holds_what_lies_between_its_ends),
        cmocka_unit_test(a_wrong_block_is_refused_with_its_cure),
        cmocka_unit_test(a_network_is_counted_in_the_bits_of_its_family),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
