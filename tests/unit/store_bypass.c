/* The header field that takes one released message past our own scan, once. */
#include "store/bypass.h"
#include "store_world.h"

static const uint8_t     key[BYPASS_KEY_BYTES] = {1, 2, 3};
static const struct span message = {"From: a@ext.test\r\nSubject: hi\r\n\r\nbody\r\n", 40};
static const struct span anna = {"anna@ours.test", 14};
#define NOW 1000000000000000

static const char *lifts = "";

static struct bypass make(struct buf *out, struct span text)
{
    struct uuid   uid = uuid7_make();
    struct bypass b;

    buf_clear(out);
    bypass_put(key, &uid, anna, text, lifts, NOW, &b, out);
    buf_put(out, text);
    return b;
}

static bool good(struct span text, struct span recipient, int64_t now_us)
{
    struct bypass b;

    return bypass_check(key, text, recipient, now_us, &b);
}

/* ---- what it is good for ---- */

static void a_bypass_is_good_for_its_message_its_recipient_and_a_quarter_of_an_hour(void **unused)
{
    struct buf    text, more;
    struct bypass made, read;

    (void)unused;
    buf_init(&text, 10000);
    buf_init(&more, 10000);
    made = make(&text, message);
    assert_true(bypass_check(key, buf_span(&text), anna, NOW, &read));
    assert_memory_equal(&made.uid, &read.uid, sizeof made.uid);
    assert_memory_equal(made.nonce, read.nonce, sizeof made.nonce);
    assert_int_equal(made.expires_us, read.expires_us);
    assert_string_equal(read.lifts, "");
    assert_true(good(buf_span(&text), anna, NOW + BYPASS_TTL_US - 1));
    CHECK("then it has expired", !good(buf_span(&text), anna, NOW + BYPASS_TTL_US));
    CHECK("it is for nobody else", !good(buf_span(&text), SPAN("bob@ours.test"), NOW));
    CHECK("nor for nobody", !good(buf_span(&text), SPAN_NONE, NOW));
    buf_puts(&more, "Received: from localhost\r\n\tby mx.test;\r\n now\r\nX-Other: 1\r\n");
    buf_put(&more, buf_span(&text));
    CHECK("what servers put above it does not matter", good(buf_span(&more), anna, NOW));
    buf_fini(&text);
    buf_fini(&more);
}

static void a_bypass_does_not_care_for_line_ends(void **unused)
{
    struct buf  text, unix_ends;
    struct span rest, line;

    (void)unused;
    buf_init(&text, 10000);
    buf_init(&unix_ends, 10000);
    make(&text, message);
    for (rest = buf_span(&text); span_line(&rest, &line);) {
        buf_put(&unix_ends, line);
        buf_putc(&unix_ends, '\n');
    }
    CHECK("an MTA that hands it on with LF", good(buf_span(&unix_ends), anna, NOW));
    make(&text, SPAN("Subject: x\n\nno end of line"));
    buf_puts(&text, "\r\n");
    CHECK("one that ends the last line", good(buf_span(&text), anna, NOW));
    buf_fini(&text);
    buf_fini(&unix_ends);
}

static void a_bypass_that_was_touched_in_any_byte_is_none(void **unused)
{
    struct buf text;

    (void)unused;
    buf_init(&text, 10000);
    make(&text, message);
    for (size_t i = 0; i < text.n; i++) {
        char was = text.p[i];

        text.p[i] ^= 1;
        if (good(buf_span(&text), anna, NOW))
            fail_msg("byte %zu", i);
        text.p[i] = was;
    }
    assert_true(good(buf_span(&text), anna, NOW));
    for (size_t n = 0; n + 2 < text.n; n++)
        if (good(span_head(buf_span(&text), n), anna, NOW))
            fail_msg("cut at %zu", n);
    buf_puts(&text, "more\r\n");
    CHECK("nor one with something behind the message", !good(buf_span(&text), anna, NOW));
    buf_fini(&text);
}

static const struct {
    const char *holds;
    struct span text;
} forged[] = {
    {"an empty field", {"X-Release-Bypass:\r\n\r\n", 21}},
    {"no value", {"X-Release-Bypass: v=1\r\n\r\n", 25}},
    {"another version",
     {"X-Release-Bypass: v=1; u=019a0000-0000-7000-8000-000000000000; t=1000000500000000; n=00; s=00\r\n\r\n", 97}},
    {"a MAC of zeros",
     {"X-Release-Bypass: v=2; u=019a0000-0000-7000-8000-000000000000; t=1000000500000000; "
      "n=00000000000000000000000000000000; l=; "
      "s=0000000000000000000000000000000000000000000000000000000000000000\r\n\r\n",
      192}},
    {"the field in the body", {"Subject: x\r\n\r\nX-Release-Bypass: v=1\r\n", 37}},
    {"nothing", {"", 0}},
};

static void what_somebody_else_wrote_is_no_bypass(void **unused)
{
    struct buf    text, twice;
    uint8_t       other[BYPASS_KEY_BYTES] = {9};
    struct bypass b;

    (void)unused;
    for (size_t i = 0; i < COUNT(forged); i++)
        CHECK(forged[i].holds, !good(forged[i].text, anna, NOW));
    buf_init(&text, 10000);
    buf_init(&twice, 10000);
    make(&text, message);
    CHECK("another site's", !bypass_check(other, buf_span(&text), anna, NOW, &b));
    buf_puts(&twice, "X-Release-Bypass: v=1\r\n");
    buf_put(&twice, buf_span(&text));
    CHECK("only the topmost counts", !good(buf_span(&twice), anna, NOW));
    make(&text, buf_span(&twice));
    CHECK("so a field that the message came with does no harm", good(buf_span(&text), anna, NOW));
    buf_fini(&text);
    buf_fini(&twice);
}

/* A stranger, or a person who was allowed less, would put more in it. */
static void what_a_bypass_lifts_cannot_be_written_by_anybody_else(void **unused)
{
    static const char *const tried[] = {"",         "mime",      "file_type,mime", "file_type,virus:0123456789abcdef",
                                        "file_typ", "FILE_TYPE", "file_type;",     "file_type\r\n x"};
    struct buf               text;
    struct bypass            read;
    struct span              all, field;
    size_t                   at;

    (void)unused;
    buf_init(&text, 10000);
    lifts = "file_type";
    make(&text, message);
    lifts = "";
    assert_true(bypass_check(key, buf_span(&text), anna, NOW, &read));
    assert_string_equal(read.lifts, "file_type");
    all = buf_span(&text);
    at = span_find(all, SPAN("l=file_type"));
    field = span_head(all, at + 2);
    for (size_t i = 0; i < COUNT(tried); i++) {
        struct buf tampered;

        buf_init(&tampered, 10000);
        buf_put(&tampered, field);
        buf_puts(&tampered, tried[i]);
        buf_put(&tampered, span_skip(all, at + 2 + strlen("file_type")));
        CHECK(tried[i], !good(buf_span(&tampered), anna, NOW));
        buf_fini(&tampered);
    }
    buf_fini(&text);
}

/* ---- once ---- */

static void a_bypass_is_spent_once(void **state)
{
    struct world *w = world_of(state);
    struct store *s = store_of(state), *other = open_store(w);
    struct bypass b, never;
    struct buf    text;

    buf_init(&text, 10000);
    b = make(&text, message);
    never = make(&text, message);
    OK(w, store_bypass_add(s, &b, &w->e));
    assert_int_equal(store_bypass_spend(other, &b, b.expires_us, &w->e), 0);
    assert_int_equal(store_bypass_spend(other, &b, NOW, &w->e), 1);
    assert_int_equal(store_bypass_spend(s, &b, NOW, &w->e), 0);
    CHECK("one that was never given out", store_bypass_spend(s, &never, NOW, &w->e) == 0);
    CHECK("is not remembered for ever", store_bypass_trim(s, b.expires_us + (int64_t)48 * 3600 * 1000000, &w->e) == 0);
    OK(w, store_bypass_add(s, &b, &w->e));
    buf_fini(&text);
    store_close(&other);
}

int main(void)
{
    static const struct both_test tests[] = {STORE(a_bypass_is_spent_once)};
    const struct CMUnitTest       pure[] = {
              cmocka_unit_test(a_bypass_is_good_for_its_message_its_recipient_and_a_quarter_of_an_hour),
              cmocka_unit_test(a_bypass_does_not_care_for_line_ends),
              cmocka_unit_test(a_bypass_that_was_touched_in_any_byte_is_none),
              cmocka_unit_test(what_somebody_else_wrote_is_no_bypass),
              cmocka_unit_test(what_a_bypass_lifts_cannot_be_written_by_anybody_else),
    };
    int failed = cmocka_run_group_tests(pure, NULL, NULL);

    return failed + run_on_both(tests, COUNT(tests));
}
