/* tests/unit/net_prometheus.c - twin of lib/net/prometheus.c. */
#include "net/prometheus.h"

#include "check.h"

static const char text[] = "# HELP scans_total Scans.\n# TYPE scans_total counter\n"
                           "scans_total{kind=\"a b\"} 3\nscans_total{kind=\"c\"} 4.5\nscans_total_more 100\r\n"
                           "open -2\nroom 1.2e+10\nbad not-a-number\nendless +Inf\nlast 7";

static const struct {
    const char *holds, *name;
    bool        found;
    double      value;
} cases[] = {
    {"labels are added up", "scans_total", true, 7.5},
    {"a longer name is another one", "scans_total_more", true, 100},
    {"a gauge may be below zero", "open", true, -2},
    {"large numbers come with an exponent", "room", true, 1.2e10},
    {"the last line may lack its end", "last", true, 7},
    {"what is no number is not told", "bad", false, 0},
    {"nor what has no end", "endless", false, 0},
    {"nor what is not there", "missing", false, 0},
};

static void numbers_are_found_by_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        double value = -1;

        CHECK(cases[i].holds,
              prometheus_sum(span_of(text), cases[i].name, &value) == cases[i].found && value == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers_are_found_by_their_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
