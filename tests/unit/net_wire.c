/* Telling protocols apart, decompression, addresses of a field, numbers. */
#include <math.h>
#include <zlib.h>
#include <zstd.h>

#include "net.h"
#include "net/wire.h"

static const struct {
    const char    *holds, *bytes;
    enum wire_kind fallback, kind;
} kinds[] = {
    {"HTTP tells itself", "POST /checkv2 HTTP/1.1\r\n", WIRE_SPAMC, WIRE_HTTP},
    {"so does HTTP with LF alone", "GET /ping HTTP/1.0\n", WIRE_SPAMC, WIRE_HTTP},
    {"the preface of HTTP/2 is HTTP", "PRI * HTTP/2.0\r\n", WIRE_SPAMC, WIRE_HTTP},
    {"spamc tells itself on the HTTP port", "CHECK SPAMC/1.5\r\n", WIRE_HTTP, WIRE_SPAMC},
    {"so does the legacy form of Rspamd", "CHECK RSPAMC/1.3\r\n", WIRE_HTTP, WIRE_SPAMC},
    {"an unknown command is still spamc's", "FOO SPAMC/1.5\r\n", WIRE_HTTP, WIRE_SPAMC},
    {"half a line tells nothing", "CHECK SPAMC/1.", WIRE_HTTP, WIRE_UNDECIDED},
    {"nothing tells nothing", "", WIRE_HTTP, WIRE_UNDECIDED},
    {"a word alone is the port's own", "CHECK\r\n", WIRE_SPAMC, WIRE_SPAMC},
    {"an empty line is the port's own", "\r\nGET / HTTP/1.1\r\n", WIRE_HTTP, WIRE_HTTP},
    {"no version is the port's own", "GET /checkv2\r\n", WIRE_HTTP, WIRE_HTTP},
};

static void the_first_line_tells_the_protocol(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(kinds); i++)
        CHECK(kinds[i].holds, wire_detect(span_of(kinds[i].bytes), kinds[i].fallback) == kinds[i].kind);
}

static void a_first_line_without_end_is_the_ports_own_after_8_kib(void **unused)
{
    static char line[WIRE_LINE_MAX + 1];

    (void)unused;
    memset(line, 'a', sizeof line);
    assert_int_equal(wire_detect(span_make(line, WIRE_LINE_MAX - 1), WIRE_SPAMC), WIRE_UNDECIDED);
    assert_int_equal(wire_detect(span_make(line, WIRE_LINE_MAX), WIRE_SPAMC), WIRE_SPAMC);
}

static const struct {
    const char *holds;
    double      v;
    int         decimals;
    const char *text;
} numbers[] = {
    {"a whole number keeps one digit", 15, 3, "15.0"},
    {"zeros at the end go", 5.250, 3, "5.25"},
    {"three digits stay", -0.125, 3, "-0.125"},
    {"more are rounded", 1.0006, 3, "1.001"},
    {"rounding goes up to the next whole", 0.9999, 3, "1.0"},
    {"zeros behind the point stay in front of digits", 1.001, 3, "1.001"},
    {"minus nothing is nothing", -0.0, 3, "0.0"},
    {"nearly minus nothing too", -0.0001, 3, "0.0"},
    {"not a number is nothing", NAN, 3, "0.0"},
    {"infinity is nothing", -INFINITY, 3, "0.0"},
    {"huge is cut", 1e300, 2, "1000000000.0"},
    {"one digit only", -99.96, 1, "-100.0"},
    {"below one", 0.05, 1, "0.1"},
};

static void numbers_are_written_as_every_parser_reads_them(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 1000);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        buf_clear(&b);
        wire_put_decimal(&b, numbers[i].v, numbers[i].decimals);
        check_same(numbers[i].holds, buf_span(&b), span_of(numbers[i].text));
    }
    buf_clear(&b);
    wire_put_fixed(&b, -5, 2);
    wire_put_fixed(&b, 2000, 2);
    wire_put_fixed(&b, 0, 1);
    check_same("all digits asked for are there", buf_span(&b), SPAN("-0.0520.000.0"));
    buf_fini(&b);
}

static const struct {
    const char *holds, *field, *joined;
    size_t      n;
} fields[] = {
    {"one address", "<a@b.example>", "<a@b.example>", 1},
    {"several behind commas", "a@b.example, c@d.example ,e@f.example", "a@b.example|c@d.example|e@f.example", 3},
    {"a comma in quotes is part of the name", "<\"a,b\"@c.example>,d@e.example", "<\"a,b\"@c.example>|d@e.example", 2},
    {"an escaped quote does not end them", "\"a\\\",b\"@c.example", "\"a\\\",b\"@c.example", 1},
    {"an open quote runs to the end", "\"a,b@c.example", "\"a,b@c.example", 1},
    {"a backslash at the end is read over", "a,\"\\", "a|\"\\", 2},
    {"empty ones are dropped", ", ,a@b.example,,", "a@b.example", 1},
    {"nothing is nobody", "", "", 0},
};

static void a_recipient_field_splits_at_commas_outside_quotes(void **unused)
{
    struct arena a;
    struct buf   joined;

    (void)unused;
    arena_init(&a, 1 << 20);
    buf_init(&joined, 1000);
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct span_list l = {0};

        assert_true(wire_put_addresses(&l, &a, span_of(fields[i].field), 10));
        CHECK(fields[i].holds, l.n == fields[i].n);
        buf_clear(&joined);
        for (size_t k = 0; k < l.n; k++) {
            buf_puts(&joined, k > 0 ? "|" : "");
            buf_put(&joined, l.items[k]);
        }
        check_same(fields[i].holds, buf_span(&joined), span_of(fields[i].joined));
    }
    struct span_list l = {0};
    assert_false(wire_put_addresses(&l, &a, SPAN("a,b,c"), 2));
    arena_fini(&a);
    buf_fini(&joined);
}

/* ---- decompression ---- */

typedef int (*undo_fn)(struct span in, size_t max, struct buf *out, struct err *e);

static struct span squeeze(undo_fn undo, struct span plain, struct arena *a)
{
    size_t room = plain.n / 100 + plain.n + 1000;
    char  *out = arena_alloc(a, room);

    if (undo == wire_unzstd)
        return span_make(out, ZSTD_compress(out, room, plain.p, plain.n, 3));
    uLongf n = room;
    compress2((Bytef *)out, &n, (const Bytef *)plain.p, plain.n, 9);
    return span_make(out, n);
}

static void both_ways(undo_fn undo)
{
    static char  plain[300000];
    struct arena a;
    struct buf   out;
    struct err   e = ERR_INIT;

    arena_init(&a, 8 << 20);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (char)(i * i / 7);
    struct span squeezed = squeeze(undo, span_make(plain, sizeof plain), &a);
    assert_int_equal(undo(squeezed, sizeof plain, &out, &e), 0);
    check_same("what was squeezed comes back", buf_span(&out), span_make(plain, sizeof plain));

    buf_clear(&out);
    assert_int_equal(undo(squeezed, sizeof plain - 1, &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);

    buf_clear(&out);
    assert_int_equal(undo(span_head(squeezed, squeezed.n / 2), sizeof plain, &out, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);

    buf_clear(&out);
    assert_int_equal(undo(SPAN("this was never compressed"), 1000, &out, &e), -1);
    assert_int_equal(e.code, ERR_INVALID);

    buf_clear(&out);
    assert_int_equal(undo(SPAN(""), 1000, &out, &e), -1);

    memset(plain, 0, sizeof plain);
    squeezed = squeeze(undo, span_make(plain, sizeof plain), &a);
    buf_clear(&out);
    assert_true(squeezed.n < 1000);
    assert_int_equal(undo(squeezed, 10000, &out, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_true(out.n <= 10000);
    arena_fini(&a);
    buf_fini(&out);
}

static void zlib_is_undone_within_its_limit_and_damage_is_named(void **unused)
{
    (void)unused;
    both_ways(wire_inflate);
}

static void zstd_is_undone_within_its_limit_and_damage_is_named(void **unused)
{
    (void)unused;
    both_ways(wire_unzstd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_tells_the_protocol),
        cmocka_unit_test(a_first_line_without_end_is_the_ports_own_after_8_kib),
        cmocka_unit_test(numbers_are_written_as_every_parser_reads_them),
        cmocka_unit_test(a_recipient_field_splits_at_commas_outside_quotes),
        cmocka_unit_test(zlib_is_undone_within_its_limit_and_damage_is_named),
        cmocka_unit_test(zstd_is_undone_within_its_limit_and_damage_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
