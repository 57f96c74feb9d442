/* tests/unit/rulesd_listener.c - twin of rulesd/listener.c. */
#include "../../rulesd/listener.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

struct listeners {
    struct listener *all;
    size_t           n;
    struct err       e;
};

/* One listener for spamd, opened for `loops` loops. */
static int open_one(struct listeners *l, const char *text, size_t loops)
{
    struct settings s = {.rulesd = {.listen_spamd = {&text, 1}}};

    *l = (struct listeners){.e = ERR_INIT};
    return listeners_open(&s, loops, &l->all, &l->n, &l->e);
}

static void close_all(struct listeners *l)
{
    listeners_close(l->all, l->n);
    listeners_free(&l->all, l->n);
}

static const struct {
    const char       *text;
    enum caller_class most;
    bool              post, observe, lines;
} cases[] = {
    {"127.0.0.1:0", CLASS_MTA, false, false, false},
    {"127.0.0.1:0?class=scan", CLASS_SCAN, false, false, false},
    {"127.0.0.1:0?class=mta&phase=post", CLASS_MTA, true, false, false},
    {"127.0.0.1:0?mode=observe&envelope_lines=on", CLASS_MTA, false, true, true},
    {"127.0.0.1:0?envelope_lines=milter", CLASS_MTA, false, false, true},
    {"127.0.0.1:0?mode=live&phase=pre&envelope_lines=off", CLASS_MTA, false, false, false},
};

static void what_stands_behind_an_address_holds_for_it_alone(void **unused)
{
    struct listeners l;

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (open_one(&l, cases[i].text, 1) < 0)
            fail_msg("%s", l.e.text);
        CHECK(cases[i].text, l.all->most == cases[i].most && l.all->post == cases[i].post);
        CHECK(cases[i].text, l.all->observe == cases[i].observe && l.all->envelope_lines == cases[i].lines);
        close_all(&l);
    }
}

static const struct {
    const char *text, *words;
} refused[] = {
    {"127.0.0.1:0?class=boss", "class is scan or mta"},
    {"127.0.0.1:0?envelope_lines=maybe", "envelope_lines is on, off or milter"},
    {"127.0.0.1:0?phase", "phase is pre or post"},
    {"127.0.0.1:0?user_domain=two words", "user_domain is a domain"},
    {"127.0.0.1:0?clas=scan", "no \"clas=scan\""},
    {"nowhere", "needs a port"},
};

static void what_is_wrong_is_named(void **unused)
{
    struct listeners l;

    (void)unused;
    for (size_t i = 0; i < COUNT(refused); i++) {
        CHECK(refused[i].text, open_one(&l, refused[i].text, 1) < 0);
        CHECK(refused[i].text, strstr(l.e.text, refused[i].words) != NULL && strstr(l.e.text, "listen_spamd") != NULL);
    }
}

static void a_port_that_somebody_has_is_an_error_although_our_own_loops_share_it(void **unused)
{
    struct listeners one, two;
    char             again[128];

    (void)unused;
    assert_int_equal(open_one(&one, "127.0.0.1:0", 2), 0);
    assert_int_equal(one.all->nfds, 2);
    snprintf(again, sizeof again, "%s", one.all->at.text);
    assert_int_equal(open_one(&two, again, 2), -1);
    close_all(&one);
    assert_int_equal(open_one(&two, again, 2), 0);
    close_all(&two);
}

static void a_unix_socket_is_one_for_all_loops_and_goes_with_us(void **unused)
{
    struct listeners l;
    char             dir[] = "/tmp/postern-listener-XXXXXX", text[64];

    (void)unused;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "unix:%s/sock?class=scan", dir);
    assert_int_equal(open_one(&l, text, 4), 0);
    assert_int_equal(l.all->nfds, 1);
    assert_int_equal(rmdir(dir), -1);
    close_all(&l);
    assert_int_equal(rmdir(dir), 0);
}

static void without_any_address_nobody_could_ask(void **unused)
{
    struct settings  s = {0};
    struct listeners l = {.e = ERR_INIT};

    (void)unused;
    assert_int_equal(listeners_open(&s, 1, &l.all, &l.n, &l.e), -1);
    assert_null(l.all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_behind_an_address_holds_for_it_alone),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_port_that_somebody_has_is_an_error_although_our_own_loops_share_it),
        cmocka_unit_test(a_unix_socket_is_one_for_all_loops_and_goes_with_us),
        cmocka_unit_test(without_any_address_nobody_could_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
