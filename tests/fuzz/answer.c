/* Whatever somebody answers: what is read is within its bounds, each number once; and what stands below a line that is no command changes
 * nothing. Aims at lib/mail/answer.c. */
#include "mail/answer.h"

#include "mail.h"

static void check(const struct answer *a)
{
    REQUIRE(a->n <= ANSWER_NUMBERS_MAX && (!a->too_many || a->n == 0));
    for (size_t i = 0; i < a->n; i++) {
        REQUIRE(a->numbers[i] <= ANSWER_NUMBER_MAX);
        for (size_t j = 0; j < i; j++)
            REQUIRE(a->numbers[i] != a->numbers[j]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t        at = size > 0 ? data[0] : 0;
    struct span   text = span_skip(span_make(data, size), 1), above = span_head(text, at), below = span_skip(text, at);
    struct answer whole, alone;
    struct arena  a;

    answer_read(text, &whole);
    check(&whole);
    arena_init(&a, (size_t)1 << 20);
    text = arena_printf(&a, "%.*s\nOn Sunday she wrote:\n%.*s", SPAN_ARG(above), SPAN_ARG(below));
    answer_read(text, &whole);
    text = arena_printf(&a, "%.*s\nOn Sunday she wrote:\n", SPAN_ARG(above));
    answer_read(text, &alone);
    REQUIRE(whole.n == alone.n && whole.too_many == alone.too_many);
    for (size_t i = 0; i < alone.n; i++)
        REQUIRE(whole.numbers[i] == alone.numbers[i]);
    arena_fini(&a);
    return 0;
}
