/* tests/unit/base_local_part.c - twin of lib/base/local_part.c. */
#include "check.h"

#include "base/local_part.h"

static void a_local_part_is_quoted_when_it_has_to_be_and_never_twice(void **state)
{
    static const struct {
        const char *local, *written;
    } cases[] = {
        {"john.doe", "john.doe"},
        {"a+b=c", "a+b=c"},
        {"j\xC3\xB6rg", "j\xC3\xB6rg"},
        {"john doe", "\"john doe\""},
        {"a<b", "\"a<b\""},
        {".john", "\".john\""},
        {"john.", "\"john.\""},
        {"john..doe", "\"john..doe\""},
        {"", "\"\""},
        {"\"john doe\"", "\"john doe\""},
        {"\"a\\\"b\"", "\"a\\\"b\""},
        {"\"a\"b\"", "\"\\\"a\\\"b\\\"\""},
        {"\"half", "\"\\\"half\""},
        {"\"open\\\"", "\"\\\"open\\\\\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf b;

        buf_init(&b, 256);
        local_part_put(&b, span_of(cases[i].local));
        CHECK(cases[i].local, span_is(buf_span(&b), cases[i].written));
        buf_fini(&b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_part_is_quoted_when_it_has_to_be_and_never_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
