/* Whatever somebody writes, what is shown is one valid line within its bounds that turns nothing around it, and is fit itself.
 * Aims at lib/mail/person_text.c. */
#include "mail/person_text.h"

#include "mail.h"

#define FSI 0x2068
#define PDI 0x2069

/* One isolate around all of it, or none; no control, no line end, nothing else that turns the direction for more than a moment. */
static void check_line(struct span s)
{
    int open = 0;

    REQUIRE(utf8_valid(s));
    for (size_t at = 0; at < s.n;) {
        size_t   from = at;
        uint32_t cp = utf8_next(s, &at, NULL);

        REQUIRE(cp >= 0x20 && !(cp >= 0x7F && cp < 0xA0) && cp != 0x2028 && cp != 0x2029);
        REQUIRE(!(cp >= 0x202A && cp <= 0x202E) && cp != 0x2066 && cp != 0x2067);
        REQUIRE(cp != FSI || from == 0);
        REQUIRE(cp != PDI || at == s.n);
        open += cp == FSI ? 1 : cp == PDI ? -1 : 0;
    }
    REQUIRE(open == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct span  in = span_skip(span_make(data, size), 1), out, again;
    size_t       max = size > 0 ? 1 + data[0] : 1;

    arena_init(&a, (size_t)1 << 20);
    out = person_text(in, max, &a);
    again = person_text(out, PERSON_TEXT_LOOK, &a);
    REQUIRE(out.p != NULL && out.n <= max * 16 * 4 + 9);
    check_line(out);
    REQUIRE(out.n + 9 > PERSON_TEXT_LOOK || span_eq(out, again));
    arena_fini(&a);
    return 0;
}
