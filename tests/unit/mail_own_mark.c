/* The mark of our own mail: good for one recipient and those bytes, for a while, and by nobody else's hand. */
#include "mail/own_mark.h"

#include "base/clock.h"
#include "check.h"

#define AT_US (INT64_C(1700000000) * 1000000)

static const uint8_t key[32] = "a key of thirty-two bytes, ours", other[32] = "another";
static const char    letter[] = "From: us@ours.example\r\nSubject: 3 messages\r\n\r\nHello.\r\n";

static struct buf marked(const char *message)
{
    struct buf b;

    buf_init(&b, 4096);
    own_mark_put(key, SPAN("anna@ours.example"), span_of(message), AT_US, &b);
    buf_puts(&b, message);
    return b;
}

static void what_we_have_sent_is_known(void **state)
{
    struct buf b = marked(letter), above;

    (void)state;
    buf_init(&above, 4096);
    buf_puts(&above, "Received: from a by b; then\r\n");
    buf_put(&above, buf_span(&b));
    CHECK("as it left", own_mark_check(key, buf_span(&b), SPAN("anna@ours.example"), AT_US));
    CHECK("with a Received on top", own_mark_check(key, buf_span(&above), SPAN("anna@ours.example"), AT_US));
    CHECK("by a clock that is behind",
          own_mark_check(key, buf_span(&b), SPAN("anna@ours.example"), AT_US - 60 * INT64_C(1000000)));
    CHECK("days later",
          own_mark_check(key, buf_span(&b), SPAN("anna@ours.example"), AT_US + OWN_MARK_TTL_US - 1000000));
    buf_fini(&above);
    buf_fini(&b);
}

static void what_a_reader_would_see_on_top_is_not_ours(void **state)
{
    static const char *const tops[] = {
        "Subject: Your account is locked, call us\r\n",
        "From: Your bank <bank@ext.example>\r\n",
        "reply-to: <them@ext.example>\r\n",
        "Sender: <them@ext.example>\r\n",
        "Content-Type: text/html\r\n",
        "MIME-Version: 1.0\r\n",
        "Received: from a by b\r\nSubject : later\r\n",
        "To: you\r\n",
        "List-Unsubscribe: <https://ext.example/>\r\n",
        "Date: now\r\n",
    };
    struct buf b = marked(letter), above;

    (void)state;
    for (size_t i = 0; i < COUNT(tops); i++) {
        buf_init(&above, 4096);
        buf_puts(&above, tops[i]);
        buf_put(&above, buf_span(&b));
        CHECK(tops[i], !own_mark_check(key, buf_span(&above), SPAN("anna@ours.example"), AT_US));
        buf_fini(&above);
    }
    buf_fini(&b);
}

static void line_ends_of_its_way_do_not_matter(void **state)
{
    struct buf b = marked(letter), lf;

    (void)state;
    buf_init(&lf, 4096);
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] != '\r')
            buf_put(&lf, span_make(b.p + i, 1));
    assert_true(own_mark_check(key, buf_span(&lf), SPAN("anna@ours.example"), AT_US));
    buf_fini(&lf);
    buf_fini(&b);
}

static void what_others_made_of_it_is_not(void **state)
{
    struct buf  b = marked(letter);
    static char changed[4096];

    (void)state;
    CHECK("to somebody else", !own_mark_check(key, buf_span(&b), SPAN("berta@ours.example"), AT_US));
    CHECK("by another key", !own_mark_check(other, buf_span(&b), SPAN("anna@ours.example"), AT_US));
    CHECK("too late", !own_mark_check(key, buf_span(&b), SPAN("anna@ours.example"), AT_US + OWN_MARK_TTL_US));
    CHECK("too early",
          !own_mark_check(key, buf_span(&b), SPAN("anna@ours.example"), AT_US - OWN_MARK_AHEAD_US - 1000000));
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] == '\r' || b.p[i] == '\n' || i < sizeof "X-Own-Mail: ")
            continue;
        memcpy(changed, b.p, b.n);
        changed[i] ^= 1;
        if (own_mark_check(key, span_make(changed, b.n), SPAN("anna@ours.example"), AT_US))
            fail_msg("byte %zu changed and nobody saw it", i);
    }
    buf_fini(&b);
}

static void what_is_no_mark_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "Subject: x\r\n\r\nX-Own-Mail: v=1; t=1; s=2\r\n",
        "X-Own-Mail:\r\n\r\n",
        "X-Own-Mail: v=2; t=1700000001; s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n",
        "X-Own-Mail: v=1; t=99999999999999999999; s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n",
        "X-Own-Mail: v=1; t=1700000001; s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\r\n",
        "X-Own-Mail: v=1; t=1700000001; s=A; x=1\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(bad[i], !own_mark_check(key, span_of(bad[i]), SPAN("anna@ours.example"), AT_US));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_have_sent_is_known),
        cmocka_unit_test(what_a_reader_would_see_on_top_is_not_ours),
        cmocka_unit_test(line_ends_of_its_way_do_not_matter),
        cmocka_unit_test(what_others_made_of_it_is_not),
        cmocka_unit_test(what_is_no_mark_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
