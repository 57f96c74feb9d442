/* Where a filter is, as the settings say it. */
#include "check.h"
#include "base/span.h"
#include "net/filter_url.h"

static const struct {
    const char *setting;
    bool        spamd;
    const char *base, *socket;
} good[] = {
    {"rspamd+http://127.0.0.1:11334", false, "http://127.0.0.1:11334", NULL},
    {"rspamd+http://rspamd.inner.example:11334/", false, "http://rspamd.inner.example:11334", NULL},
    {"rspamd+http://[::1]:11334/rspamd/", false, "http://[::1]:11334/rspamd", NULL},
    {"rspamd+http+unix:/run/rspamd/controller.sock", false, "http://localhost", "/run/rspamd/controller.sock"},
    {"spamd://127.0.0.1:783", true, "http://127.0.0.1:783", NULL},
    {"spamd+unix:/run/spamd.sock", true, "http://localhost", "/run/spamd.sock"},
};

static void a_setting_says_which_kind_and_where(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct filter_url u;
        struct err        e = ERR_INIT;

        CHECK(good[i].setting, filter_url_read(good[i].setting, &u, &e) == 0 && u.spamd == good[i].spamd);
        assert_string_equal(u.base, good[i].base);
        CHECK(good[i].setting, (u.socket == NULL) == (good[i].socket == NULL));
        if (u.socket != NULL)
            assert_string_equal(u.socket, good[i].socket);
        filter_url_fini(&u);
        CHECK("and twice is as once", u.base == NULL && u.socket == NULL);
        filter_url_fini(&u);
    }
}

#define LONG_50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"

static const struct {
    const char *setting, *says;
} bad[] = {
    {"", "is no filter"},
    {"none", "is no filter"},
    {"http://127.0.0.1:11333", "rspamd+http://HOST:PORT"},
    {"rspamd+http://", "needs a host and a port"},
    {"rspamd+http://127.0.0.1", "needs a host and a port"},
    {"rspamd+http://:11333", "needs a host and a port"},
    {"rspamd+http://127.0.0.1:x", "needs a host and a port"},
    {"rspamd+http://127.0.0.1:0", "needs a host and a port"},
    {"spamd://127.0.0.1:65536", "needs a host and a port"},
    {"spamd://127.0.0.1:783/x", "no paths"},
    {"rspamd+http://u:p@127.0.0.1:11333", "@ cannot stand"},
    {"rspamd+http://127.0.0.1:11333/?a=b", "? cannot stand"},
    {"rspamd+http://127.0.0.1:11333/#x", "# cannot stand"},
    {"rspamd+http://127.0.0.1:11333/ x", "cannot stand"},
    {"rspamd+http+unix:run/x", "whole path"},
    {"spamd+unix:", "whole path"},
    {"spamd+unix:/" LONG_50 LONG_50 LONG_50, "107 bytes"},
};

static void what_names_no_filter_is_refused_with_the_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct filter_url u;
        struct err        e = ERR_INIT;

        CHECK(bad[i].setting, filter_url_read(bad[i].setting, &u, &e) < 0 && e.code == ERR_INVALID);
        if (strstr(e.text, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].setting, e.text);
        filter_url_fini(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_says_which_kind_and_where),
        cmocka_unit_test(what_names_no_filter_is_refused_with_the_cure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
