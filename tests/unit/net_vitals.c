/* What a program says of its health, to whom it may concern. */
#include "net/vitals.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "net/http_client.h"

static struct {
    char             dir[32], listen[64];
    const char      *items[1];
    struct conf_list list;
    const char      *why;
    struct vitals   *vitals;
    struct buf       answer;
    struct err       e;
} w;

static const char *ill(void *ctx)
{
    (void)ctx;
    return w.why;
}

static void put(void *ctx, struct buf *out)
{
    (void)ctx;
    buf_puts(out, "postern_test_up 1\n");
}

static const struct vitals_config config = {"[test] listen_http", &w.list, ill, put, NULL};

static int set_up(void **unused)
{
    (void)unused;
    memset(&w, 0, sizeof w);
    strcpy(w.dir, "/tmp/net_vitals.XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    snprintf(w.listen, sizeof w.listen, "unix:%s/sock", w.dir);
    w.items[0] = w.listen;
    w.list = (struct conf_list){w.items, 1};
    buf_init(&w.answer, 65536);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    vitals_stop(&w.vitals);
    buf_fini(&w.answer);
    rmdir(w.dir);
    return 0;
}

static int get(const char *path)
{
    int status = 0;

    buf_clear(&w.answer);
    if (http_client_get_at(w.listen, path, 5000, &status, &w.answer, &w.e) < 0)
        fail_msg("%s: %s", path, w.e.text);
    return status;
}

static bool says(const char *text) { return span_is(buf_span(&w.answer), text); }

static void each_question_has_its_answer(void **unused)
{
    (void)unused;
    assert_int_equal(vitals_start(&config, &w.vitals, &w.e), 0);
    CHECK("it is well", get("/healthz") == 200 && says("ok\n"));
    CHECK("its numbers", get("/metrics") == 200 && says("postern_test_up 1\n"));
    CHECK("all else", get("/") == 404 && get("/metrics/more") == 404);
    w.why = "the database is away";
    CHECK("it is ill, and says of what", get("/healthz") == 503 && says("the database is away\n"));
    CHECK("that changes no number", get("/metrics") == 200);
    vitals_stop(&w.vitals);
    assert_null(w.vitals);
    CHECK("the socket goes with it", access(w.listen + sizeof "unix:" - 1, F_OK) < 0);
}

static void it_is_told_nothing(void **unused)
{
    char                 path[64];
    int                  status = 0;
    struct http_question q = {"http://x/metrics", path, SPAN("a=b"), 5000};

    (void)unused;
    snprintf(path, sizeof path, "%s/sock", w.dir);
    assert_int_equal(vitals_start(&config, &w.vitals, &w.e), 0);
    CHECK("a body is too large", http_client_ask(&q, &status, &w.answer, &w.e) == 0 && status == 413);
    q.form = SPAN("");
    CHECK("POST is none of its words", http_client_ask(&q, &status, &w.answer, &w.e) == 0 && status == 405);
}

static void what_cannot_be_listened_on_is_named_with_its_setting(void **unused)
{
    static const struct {
        const char *listen, *says;
    } cases[] = {{"nonsense", "[test] listen_http"}, {"127.0.0.1:0?phase=post", "no settings behind"}};

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        w.items[0] = cases[i].listen;
        w.e = ERR_INIT;
        assert_int_equal(vitals_start(&config, &w.vitals, &w.e), -1);
        assert_null(w.vitals);
        CHECK(cases[i].listen,
              strstr(w.e.text, "[test] listen_http") != NULL && strstr(w.e.text, cases[i].says) != NULL);
    }
    w.list.n = 0;
    assert_int_equal(vitals_start(&config, &w.vitals, &w.e), 0);
    assert_null(w.vitals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_question_has_its_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_told_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_listened_on_is_named_with_its_setting, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
