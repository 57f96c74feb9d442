/* Where we listen: what an address may be, and what opening it leaves behind. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "net.h"
#include "net/endpoint.h"

static const struct {
    const char *holds, *text;
    int         family; /* 0: refused */
    const char *shown, *query;
} cases[] = {
    {"IPv4", "127.0.0.1:1783", AF_INET, "127.0.0.1:1783", ""},
    {"IPv6 in brackets", "[::1]:1783", AF_INET6, "[::1]:1783", ""},
    {"every address", "*:11344", AF_INET6, "*:11344", ""},
    {"localhost", "localhost:25", AF_INET, "localhost:25", ""},
    {"a query is the caller's", "127.0.0.1:1?a=b&c=d", AF_INET, "127.0.0.1:1", "a=b&c=d"},
    {"a Unix socket", "unix:/run/x.sock?phase=post", AF_UNIX, "unix:/run/x.sock", "phase=post"},
    {"no port", "127.0.0.1", 0, NULL, NULL},
    {"an empty port", "127.0.0.1:", 0, NULL, NULL},
    {"a port too large", "127.0.0.1:65536", 0, NULL, NULL},
    {"a port that is a word", "127.0.0.1:smtp", 0, NULL, NULL},
    {"IPv6 without brackets", "::1:1783", 0, NULL, NULL},
    {"IPv4 in brackets", "[127.0.0.1]:1", 0, NULL, NULL},
    {"a name", "mail.example:25", 0, NULL, NULL},
    {"unix without a path", "unix:", 0, NULL, NULL},
    {"nothing", "", 0, NULL, NULL},
    {"a path too long",
     "unix:/"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     0, NULL, NULL},
};

static void an_address_says_family_and_port(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct endpoint ep;
        struct span     query;
        struct err      e = ERR_INIT;
        int             rc = endpoint_parse(cases[i].text, &ep, &query, &e);

        CHECK(cases[i].holds, (rc == 0) == (cases[i].family != 0));
        CHECK(cases[i].holds, rc == 0 || e.code == ERR_INVALID);
        if (rc < 0)
            continue;
        CHECK(cases[i].holds, ep.addr.ss_family == cases[i].family);
        CHECK(cases[i].holds, ep.is_unix == (cases[i].family == AF_UNIX));
        check_same(cases[i].holds, span_of(ep.text), span_of(cases[i].shown));
        check_same(cases[i].holds, query, span_of(cases[i].query));
    }
}

static int must_listen(const char *text, bool reuseport, struct endpoint *ep)
{
    struct err e = ERR_INIT;
    int        fd = -1;

    if (endpoint_parse(text, ep, NULL, &e) < 0 || (fd = endpoint_listen(ep, reuseport, &e)) < 0)
        fail_msg("%s: %s", text, e.text);
    return fd;
}

static bool can_connect(const struct endpoint *ep)
{
    int  fd = socket(ep->addr.ss_family, SOCK_STREAM, 0);
    bool ok = connect(fd, (const struct sockaddr *)&ep->addr, ep->addr_len) == 0;

    fd_close(&fd);
    return ok;
}

static void port_0_is_filled_in_with_the_one_that_was_given(void **unused)
{
    struct endpoint ep, again;
    struct err      e = ERR_INIT;
    int             fd = must_listen("127.0.0.1:0", false, &ep);

    (void)unused;
    assert_string_not_equal(ep.text, "127.0.0.1:0");
    assert_true(can_connect(&ep));
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(endpoint_parse(ep.text, &again, NULL, &e), 0);
    assert_int_equal(endpoint_listen(&again, false, &e), -1);
    assert_non_null(strstr(e.text, ep.text));
    fd_close(&fd);
}

static void several_threads_can_share_a_port_when_asked_to(void **unused)
{
    struct endpoint first, second;
    int             a = must_listen("127.0.0.1:0", true, &first), b = must_listen(first.text, true, &second);

    (void)unused;
    assert_true(a >= 0 && b >= 0);
    fd_close(&a);
    fd_close(&b);
}

static void a_star_serves_both_families(void **unused)
{
    struct endpoint ep, v4, v6;
    struct err      e = ERR_INIT;
    char            text[64];
    int             fd = must_listen("*:0", false, &ep);

    (void)unused;
    snprintf(text, sizeof text, "127.0.0.1%s", strrchr(ep.text, ':'));
    assert_int_equal(endpoint_parse(text, &v4, NULL, &e), 0);
    assert_true(can_connect(&v4));
    snprintf(text, sizeof text, "[::1]%s", strrchr(ep.text, ':'));
    assert_int_equal(endpoint_parse(text, &v6, NULL, &e), 0);
    if (ep.addr.ss_family == AF_INET6)
        assert_true(can_connect(&v6) || errno == EADDRNOTAVAIL);
    fd_close(&fd);
}

static void a_stale_unix_socket_is_replaced_and_a_live_one_is_not(void **unused)
{
    char            path[] = "/tmp/net_endpoint_XXXXXX", text[128];
    struct endpoint ep, again;
    struct err      e = ERR_INIT;
    struct stat     st;

    (void)unused;
    assert_non_null(mkdtemp(path));
    snprintf(text, sizeof text, "unix:%s/s", path);
    int fd = must_listen(text, false, &ep);
    assert_int_equal(stat(text + 5, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_true(can_connect(&ep));
    assert_int_equal(endpoint_parse(text, &again, NULL, &e), 0);
    assert_int_equal(endpoint_listen(&again, false, &e), -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_true(can_connect(&ep));
    fd_close(&fd);

    fd = must_listen(text, false, &ep); /* what a killed process left behind */
    assert_true(can_connect(&ep));
    fd_close(&fd);
    assert_int_equal(unlink(text + 5), 0);

    fd = open(text + 5, O_CREAT | O_WRONLY, 0600);
    fd_close(&fd);
    assert_int_equal(endpoint_listen(&again, false, &e), -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_int_equal(access(text + 5, F_OK), 0);
    unlink(text + 5);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_says_family_and_port),
        cmocka_unit_test(port_0_is_filled_in_with_the_one_that_was_given),
        cmocka_unit_test(several_threads_can_share_a_port_when_asked_to),
        cmocka_unit_test(a_star_serves_both_families),
        cmocka_unit_test(a_stale_unix_socket_is_replaced_and_a_live_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
