/* The lines of a message as SMTP carries them. */
#include "base/buf.h"
#include "base/crlf.h"
#include "check.h"

static const struct {
    const char *holds;
    struct span in, out; /* out: each line with '|' behind it */
} cases[] = {
    {"CRLF and LF end a line alike", {"a\r\nb\nc", 6}, {"a|b|c|", 6}},
    {"an empty line is a line", {"a\r\n\r\nb\r\n", 8}, {"a||b|", 5}},
    {"nothing has no line", {"", 0}, {"", 0}},
    {"a CR alone is a byte like any other", {"a\rb\n", 4}, {"a\rb|", 4}},
    {"but in front of a dot it ends the line", {"a\r.\r\nb", 6}, {"a|.|b|", 6}},
    {"more than once in a line", {"\r.\r.x\n", 6}, {"|.|.x|", 6}},
    {"a CR at the very end is part of the line end", {"a\r\r\n", 4}, {"a\r|", 3}},
    {"a NUL is a byte", {"a\0b\n", 4}, {"a\0b|", 4}},
};

static void join(struct span in, const char *end, struct buf *out)
{
    struct span line;

    buf_clear(out);
    while (crlf_line(&in, &line)) {
        buf_put(out, line);
        buf_puts(out, end);
    }
}

static void a_message_has_the_lines_that_smtp_would_carry(void **unused)
{
    struct buf out, once, twice;

    (void)unused;
    buf_init(&out, 1000);
    buf_init(&once, 1000);
    buf_init(&twice, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        join(cases[i].in, "|", &out);
        CHECK(cases[i].holds, span_eq(buf_span(&out), cases[i].out));
        join(cases[i].in, "\r\n", &once);
        join(buf_span(&once), "\r\n", &twice);
        CHECK("going through it again changes nothing", span_eq(buf_span(&once), buf_span(&twice)));
    }
    buf_fini(&out);
    buf_fini(&once);
    buf_fini(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_message_has_the_lines_that_smtp_would_carry)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
