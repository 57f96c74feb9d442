/* Which sender a report leaves behind: what was proven, and no more of it than is the sender's. */
#include "check.h"
#include "scan/findings.h"
#include "scan/learnable.h"

static struct arena arena;

static struct address address_of(const char *text)
{
    struct address a = {.full = SPAN_NONE};

    assert_int_equal(address_parse_path(span_of(text), &arena, &a, NULL), 0);
    return a;
}

static const struct {
    const char *holds, *from, *sender;
} breadths[] = {
    {"a person is an address", "Anna.Smith@Shop.example", "anna.smith@shop.example"},
    {"so is one with a year", "anna1987@shop.example", "anna1987@shop.example"},
    {"and one with a number and words", "no-reply_24x7@shop.example", "no-reply_24x7@shop.example"},
    {"a tag is not", "news+anna@shop.example", "news+*@shop.example"},
    {"the recipient in it is not", "bounce-4711-anna=ours.example@lists.example", "bounce-4711-*@lists.example"},
    {"a long number is not", "bounces-1234567@lists.example", "bounces-*@lists.example"},
    {"nor behind other words", "info.list_20261122@lists.example", "info.list_*@lists.example"},
    {"hexadecimal digits are not", "m-0f3a9c7be2@lists.example", "m-*@lists.example"},
    {"random letters and digits are not", "msg-k3j9x2q7zt@lists.example", "msg-*@lists.example"},
    {"where nothing is stable the domain counts", "0102018f3c7e@mail.shop.example", "*@mail.shop.example"},
    {"a tag alone leaves the domain", "+x12345@shop.example", "+*@shop.example"},
    {"but never that of a free-mail house", "a1b2c3d4e5f6@gmail.com", "a1b2c3d4e5f6@gmail.com"},
    {"nor one that is nobody's", "0102018f3c7e@co.uk", ""},
    {"what would be a pattern is none", "*@shop.example", ""},
    {"nor one that begins like a regex", "/a@shop.example", ""},
    {"nor a quoted one", "\"a b\"@shop.example", ""},
    {"nor one at an address literal", "a@[192.0.2.1]", ""},
};

static void an_entry_is_as_wide_as_what_stays_of_the_address(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(breadths); i++) {
        struct address   from = address_of(breadths[i].from);
        struct learnable l;

        learnable_breadth(&from, &arena, &l);
        if (!span_is(l.sender, breadths[i].sender))
            fail_msg("%s: %.*s", breadths[i].holds, SPAN_ARG(l.sender));
        CHECK(breadths[i].holds,
              (l.why == NULL) == (span_eq(l.sender, from.full) && !span_ends(from.full, SPAN("gmail.com"))));
    }
}

#define SIGNED "[{\"name\":\"DKIM_TRACE\",\"score\":0.000,\"options\":[\"shop.example:+\",\"other.example:-\"]}]"
#define AUTHOR "[{\"name\":\"DMARC_POLICY_ALLOW\",\"score\":-0.500,\"options\":[\"shop.example\",\"none\"]}]"
#define POSTED "[{\"name\":\"X\",\"score\":1.0},{\"name\":\"R_SPF_ALLOW\",\"score\":-0.2,\"options\":[\"+mx\"]}]"

static const struct {
    const char *holds, *symbols, *from, *envelope, *own, *sender, *proof, *why;
} findings[] = {
    {"by DMARC", AUTHOR, "a@shop.example", "", "ours.example", "a@shop.example", "dmarc", NULL},
    {"by DKIM, aligned", SIGNED, "a@news.shop.example", "", "ours.example", "a@news.shop.example", "dkim:shop.example",
     NULL},
    {"by SPF, aligned", POSTED, "a@shop.example", "b.shop.example", "ours.example", "a@shop.example",
     "spf:b.shop.example", NULL},
    {"a signature of others proves nobody", SIGNED, "a@other.example", "", "ours.example", "", "", "not proven"},
    {"nor SPF of others", POSTED, "a@shop.example", "bulk.example", "ours.example", "", "", "not proven"},
    {"nor does nothing", "[]", "a@shop.example", "shop.example", "ours.example", "", "", "not proven"},
    {"nor a list that is none", "[{\"name\":", "a@shop.example", "", "ours.example", "", "", "not proven"},
    {"nor one with something else behind", SIGNED "x", "a@shop.example", "", "ours.example", "a@shop.example",
     "dkim:shop.example", NULL},
    {"the own domain has no entry", AUTHOR, "a@shop.example", "", "shop.example", "", "", "own domain"},
    {"nor has what is below it", SIGNED, "a@x.shop.example", "", "shop.example", "", "", "own domain"},
    {"nor what is above it", AUTHOR, "a@shop.example", "", "x.shop.example", "", "", "own domain"},
    {"made-up addresses leave their stable part", AUTHOR, "n+1@shop.example", "", "ours.example", "n+*@shop.example",
     "dmarc", "stays"},
};

static void an_entry_needs_a_proven_stranger(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(findings); i++) {
        struct address        from = address_of(findings[i].from);
        struct scanner_answer answer = {.envelope_told = true};
        struct proof          proof = {.can_prove = false};
        struct learnable      l;

        learnable_read_symbols(span_of(findings[i].symbols), &arena, &answer);
        findings_proof(&answer, span_of(findings[i].envelope), SPAN_NONE, &arena, &proof);
        learnable_find(&from, 1, true, &proof, span_of(findings[i].own), &arena, &l);
        if (!span_is(l.sender, findings[i].sender) || !span_is(l.proof, findings[i].proof) ||
            (l.why == NULL) != (findings[i].why == NULL) || (l.why != NULL && strstr(l.why, findings[i].why) == NULL))
            fail_msg("%s: %.*s %.*s %s", findings[i].holds, SPAN_ARG(l.sender), SPAN_ARG(l.proof),
                     l.why != NULL ? l.why : "");
    }
}

static void several_authors_none_or_a_damaged_one_leave_nothing(void **unused)
{
    struct address   from[2] = {address_of("a@shop.example"), address_of("b@shop.example")};
    struct proof     proof = {.can_prove = true, .dmarc_pass = true};
    struct learnable l;

    (void)unused;
    learnable_find(from, 2, true, &proof, SPAN("ours.example"), &arena, &l);
    CHECK("several", l.sender.n == 0 && l.why != NULL);
    learnable_find(from, 0, true, &proof, SPAN("ours.example"), &arena, &l);
    CHECK("none", l.sender.n == 0 && l.why != NULL);
    learnable_find(from, 1, false, &proof, SPAN("ours.example"), &arena, &l);
    CHECK("damaged", l.sender.n == 0 && l.why != NULL);
    learnable_find(from, 1, true, &(struct proof){.can_prove = false}, SPAN("ours.example"), &arena, &l);
    CHECK("where nothing can prove, that is said", l.sender.n == 0 && strstr(l.why, "authserv_id") != NULL);
}

static int make_room(void **unused)
{
    (void)unused;
    arena_init(&arena, 16 << 20);
    return 0;
}

static int drop_room(void **unused)
{
    (void)unused;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_entry_is_as_wide_as_what_stays_of_the_address, make_room, drop_room),
        cmocka_unit_test_setup_teardown(an_entry_needs_a_proven_stranger, make_room, drop_room),
        cmocka_unit_test_setup_teardown(several_authors_none_or_a_damaged_one_leave_nothing, make_room, drop_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
