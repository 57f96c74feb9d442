/* What a rule would have done to the mail that the log remembers. */
#include "check.h"
#include "custody/backtest.h"

static struct arena arena;

#define ATTACHED "[{\"name\":\"invoice 7.pdf\",\"type\":\"application/pdf\",\"size\":10}]"

static const struct store_message logged = {
    .direction = DIRECTION_INBOUND,
    .ip = {"192.0.2.9", 9},
    .helo = {"mx.shop.example", 15},
    .sender = {"bounce-7@mail.shop.example", 26},
    .from_address = {"news@shop.example", 17},
    .subject = {"Größe: =?utf-8?q?win?= 100%", 29},
    .size = 5000,
    .attachments = {ATTACHED, sizeof ATTACHED - 1},
};

#define RULE(action, more, conditions) "{\"action\":\"" action "\"" more ",\"conditions\":[" conditions "]}"
#define BLOCK(conditions) RULE("block", "", conditions)
#define ALLOW(conditions) RULE("allow", "", conditions)
#define BODY "{\"kind\":\"body\",\"any\":[\"x\"]}"

static const struct {
    const char          *holds, *rule;
    enum backtest_answer answer;
} cases[] = {
    {"a block of the sender's domain matches", BLOCK("{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"),
     BACKTEST_MATCH},
    {"of another it does not", BLOCK("{\"kind\":\"sender\",\"any\":[\"other.example\"]}"), BACKTEST_NO},
    {"the envelope sender is known",
     BLOCK("{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"bounce-*@mail.shop.example\"]}"), BACKTEST_MATCH},
    {"so is the recipient, as given", BLOCK("{\"kind\":\"recipient\",\"any\":[\"sales@ours.example\"]}"),
     BACKTEST_MATCH},
    {"and where it led", BLOCK("{\"kind\":\"recipient\",\"any\":[\"anna@ours.example\"]}"), BACKTEST_MATCH},
    {"a subject is the text that was logged, and is not decoded twice",
     BLOCK("{\"kind\":\"subject\",\"match\":\"exact\",\"any\":[\"größe: =?utf-8?q?win?= 100%\"]}"), BACKTEST_MATCH},
    {"the Subject field is the subject", BLOCK("{\"kind\":\"header\",\"name\":\"Subject\",\"any\":[\"GRÖ\"]}"),
     BACKTEST_MATCH},
    {"a network", BLOCK("{\"kind\":\"ip\",\"any\":[\"192.0.2.0/24\"]}"), BACKTEST_MATCH},
    {"not another", BLOCK("{\"kind\":\"ip\",\"any\":[\"192.0.3.0/24\"]}"), BACKTEST_NO},
    {"a block by the HELO", BLOCK("{\"kind\":\"host\",\"any\":[\"*.shop.example\"]}"), BACKTEST_MATCH},
    {"a host that nobody told is not known", BLOCK("{\"kind\":\"host\",\"any\":[\"mx.other.example\"]}"),
     BACKTEST_UNKNOWN},
    {"the size is that of the message, not of its row", BLOCK("{\"kind\":\"size\",\"min\":5000,\"max\":5000}"),
     BACKTEST_MATCH},
    {"not the size", BLOCK("{\"kind\":\"size\",\"min\":5001}"), BACKTEST_NO},
    {"no other size", BLOCK("{\"kind\":\"size\",\"min\":5001,\"not\":true}"), BACKTEST_MATCH},
    {"an attachment by its name", BLOCK("{\"kind\":\"attachment\",\"any\":[{\"filename\":\"invoice ?.pdf\"}]}"),
     BACKTEST_MATCH},
    {"by its extension and type",
     BLOCK("{\"kind\":\"attachment\",\"any\":[{\"extension\":\"pdf\",\"mime_type\":\"application/*\"}]}"),
     BACKTEST_MATCH},
    {"there is no such attachment", BLOCK("{\"kind\":\"attachment\",\"any\":[{\"extension\":\"exe\"}]}"), BACKTEST_NO},
    {"the log keeps no body", BLOCK(BODY), BACKTEST_UNKNOWN},
    {"what else does not hold settles it", BLOCK(BODY ",{\"kind\":\"sender\",\"any\":[\"other.example\"]}"),
     BACKTEST_NO},
    {"what else holds does not", BLOCK(BODY ",{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), BACKTEST_UNKNOWN},
    {"nor other fields", BLOCK("{\"kind\":\"header\",\"name\":\"List-Id\",\"any\":[\"x\"]}"), BACKTEST_UNKNOWN},
    {"nor signatures", BLOCK("{\"kind\":\"signed_by\",\"any\":[\"shop.example\"]}"), BACKTEST_UNKNOWN},
    {"an allow by name asks for proof", ALLOW("{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), BACKTEST_UNPROVEN},
    {"unless it does not",
     RULE("allow", ",\"require_proof\":false", "{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), BACKTEST_MATCH},
    {"an address of the client is proof",
     ALLOW("{\"kind\":\"sender\",\"any\":[\"shop.example\"]},{\"kind\":\"ip\",\"any\":[\"192.0.2.9\"]}"),
     BACKTEST_MATCH},
    {"test only counts all the same",
     RULE("block", ",\"test_only\":true", "{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), BACKTEST_MATCH},
    {"what is switched off too",
     RULE("block", ",\"enabled\":false", "{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), BACKTEST_MATCH},
};

static enum backtest_answer ask(const char *json, const struct backtest_mail *m)
{
    struct rule_check    check = {.may_regex = true, .freemail_confirmed = true};
    struct backtest_rule b;
    struct rule          r;
    struct err           e = ERR_INIT;
    enum backtest_answer answer = BACKTEST_NO;

    arena_reset(&arena);
    if (rule_from_json(span_of(json), &arena, &check, &r, &e) < 0 || backtest_rule_init(&b, &r, &arena, &e) < 0 ||
        backtest_ask(&b, m, &arena, &answer, &e) < 0)
        fail_msg("%s: %s", json, e.text);
    backtest_rule_drop(&b);
    return answer;
}

static void a_rule_is_asked_about_what_the_log_keeps(void **unused)
{
    const struct backtest_mail mail = {&logged, SPAN("sales@ours.example"), SPAN("anna@ours.example"), {0}};

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds, ask(cases[i].rule, &mail) == cases[i].answer);
}

static void a_sender_that_was_proven_then_is_proven(void **unused)
{
    const struct backtest_mail mail = {&logged,
                                       SPAN("sales@ours.example"),
                                       SPAN("anna@ours.example"),
                                       {.can_prove = true, .dmarc_pass = true, .dmarc_domain = SPAN("shop.example")}};

    (void)unused;
    assert_int_equal(ask(ALLOW("{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), &mail), BACKTEST_MATCH);
}

static void rows_that_hold_strange_things_are_asked_about_too(void **unused)
{
    static const char *const   attachments[] = {"[]", "", "[{\"name\":\"a\\r\\nSubject: x\",\"type\":\"te xt\"}]",
                                                "[{\"type\":\"text/plain;x=y\"}]", "[{\"name\":\"--x--\"}]"};
    struct store_message       m = logged;
    const struct backtest_mail mail = {&m, SPAN("no address"), SPAN(""), {0}};

    (void)unused;
    m.from_address = m.sender = m.ip = m.helo = SPAN("");
    m.subject = SPAN("a\r\nFrom: <news@shop.example>");
    for (size_t i = 0; i < COUNT(attachments); i++) {
        m.attachments = span_of(attachments[i]);
        assert_int_equal(ask(BLOCK("{\"kind\":\"sender\",\"any\":[\"shop.example\"]}"), &mail), BACKTEST_NO);
        assert_int_equal(ask(BLOCK("{\"kind\":\"attachment\",\"any\":[{\"present\":true}]}"), &mail),
                         i >= 2 ? BACKTEST_MATCH : BACKTEST_NO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_asked_about_what_the_log_keeps),
        cmocka_unit_test(a_sender_that_was_proven_then_is_proven),
        cmocka_unit_test(rows_that_hold_strange_things_are_asked_about_too),
    };
    int rc;

    arena_init(&arena, 16 << 20);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return rc;
}
