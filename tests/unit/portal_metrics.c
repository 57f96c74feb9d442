/* tests/unit/portal_metrics.c - twin of portal/metrics.c. */
#include "../../portal/metrics.h"

#include <stdio.h>

#include "check.h"

static bool says(const struct portal_counts *c, const char *line)
{
    struct metrics_view v = {
        .counts = c, .store_up = true, .outbox = {3, 2, 10000000}, .sessions = 7, .now_us = 15500000};
    struct buf b;
    bool       found;

    buf_init(&b, 1 << 20);
    metrics_put(&b, &v);
    found = span_find(buf_span(&b), span_of(line)) < b.n;
    buf_fini(&b);
    return found;
}

static void requests_are_counted_by_class_and_sign_ins_by_way_and_outcome(void **state)
{
    struct portal_counts c = {0};

    (void)state;
    metrics_count(&c, SPAN("/"), 200);
    metrics_count(&c, SPAN("/api/v1/signin/password"), 400);
    metrics_count(&c, SPAN("/api/v1/signin/password"), 429);
    metrics_count(&c, SPAN("/api/v1/signin/password"), 200);
    metrics_count(&c, SPAN("/api/v1/signin/link/use"), 503);
    assert_true(says(&c, "postern_portal_requests_total{class=\"2xx\"} 2\n"));
    assert_true(says(&c, "postern_portal_requests_total{class=\"4xx\"} 2\n"));
    assert_true(says(&c, "postern_portal_signins_total{way=\"password\",outcome=\"in\"} 1\n"));
    assert_true(says(&c, "postern_portal_signins_total{way=\"password\",outcome=\"refused\"} 2\n"));
    assert_true(says(&c, "postern_portal_signins_total{way=\"link\",outcome=\"failed\"} 1\n"));
    metrics_count(&c, SPAN("/api/v1/handoffs/use"), 404);
    assert_true(says(&c, "postern_portal_signins_total{way=\"sso\",outcome=\"refused\"} 1\n"));
    assert_true(says(&c, "postern_portal_outbox{state=\"waiting\"} 3\n"));
    assert_true(says(&c, "postern_portal_outbox_oldest_seconds 5.5\n"));
    assert_true(says(&c, "postern_portal_sessions 7\n"));
}

static size_t lines(struct span text)
{
    size_t      n = 0;
    struct span line;

    while (span_line(&text, &line))
        n++;
    return n;
}

static void what_strangers_ask_for_makes_no_more_numbers(void **state)
{
    struct portal_counts c = {0};
    struct metrics_view  v = {.counts = &c};
    struct buf           before, after;
    char                 path[64];

    (void)state;
    buf_init(&before, 1 << 20);
    buf_init(&after, 1 << 20);
    metrics_put(&before, &v);
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "/api/v1/signin/way-%d", i);
        metrics_count(&c, span_of(path), i); /* statuses too that there are not */
    }
    metrics_put(&after, &v);
    assert_int_equal(lines(buf_span(&before)), lines(buf_span(&after)));
    assert_true(span_find(buf_span(&after), SPAN("way-")) == after.n);
    buf_fini(&before);
    buf_fini(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_counted_by_class_and_sign_ins_by_way_and_outcome),
        cmocka_unit_test(what_strangers_ask_for_makes_no_more_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
