/* tests/unit/base_fingerprint.c - twin of lib/base/fingerprint.c. */
#include "base/fingerprint.h"

#include <stdio.h>

#include "check.h"

/* Databases keep these: whoever changes them forgets what was stored. */
static const struct {
    const char *bytes, *hex;
} cases[] = {
    {"", "99aa06d3014798d86001c324468d497f"},
    {"a", "a96faf705af16834e6c632b61e964e1f"},
    {"abc", "06b05ab6733a618578af5f94892f3950"},
};

static void a_fingerprint_is_the_same_on_every_machine_and_for_ever(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t got[FINGERPRINT_BYTES];
        char    hex[2 * FINGERPRINT_BYTES + 1];

        fingerprint(span_of(cases[i].bytes), got);
        for (size_t k = 0; k < sizeof got; k++)
            snprintf(hex + 2 * k, 3, "%02x", got[k]);
        if (strcmp(hex, cases[i].hex) != 0)
            fail_msg("\"%s\": %s", cases[i].bytes, hex);
    }
}

static void other_bytes_have_another_one(void **unused)
{
    uint8_t a[FINGERPRINT_BYTES], b[FINGERPRINT_BYTES];

    (void)unused;
    fingerprint(SPAN("anna@ours.example"), a);
    fingerprint(SPAN("anna@ours.examplf"), b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fingerprint_is_the_same_on_every_machine_and_for_ever),
        cmocka_unit_test(other_bytes_have_another_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
