/* So many a minute for each name. */
#include "base/rate.h"
#include "check.h"

#define SECOND INT64_C(1000000)

static const struct {
    const char *holds, *who;
    int64_t     at_s, n;
    bool        taken;
} steps[] = {
    {"a minute's worth goes at once", "anna", 100, 50, true},
    {"and the rest of it", "anna", 100, 10, true},
    {"but not one more", "anna", 100, 1, false},
    {"somebody else has their own", "berta", 100, 60, true},
    {"it refills evenly", "anna", 105, 5, true},
    {"and no faster", "anna", 105, 1, false},
    {"what was refused was not taken", "anna", 106, 1, true},
    {"too many at once get nothing", "anna", 126, 21, false},
    {"rather than a part", "anna", 126, 20, true},
    {"patience is not saved up", "anna", 1000, 61, false},
    {"beyond a minute's worth", "anna", 1000, 60, true},
};

static void nobody_gets_more_than_their_minutes_worth(void **unused)
{
    struct rate *r = rate_new();

    (void)unused;
    for (size_t i = 0; i < COUNT(steps); i++)
        CHECK(steps[i].holds,
              rate_take(r, span_of(steps[i].who), steps[i].n, 60, steps[i].at_s * SECOND) == steps[i].taken);
    rate_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_gets_more_than_their_minutes_worth)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
