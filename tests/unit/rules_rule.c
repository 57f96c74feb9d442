#include "rules/rule.h"

#include "rules.h"
#include "rules/regex.h"

static const char example[] =
    "{\"name\": \"Partner invoices\", \"action\": \"allow\", \"priority\": 90, \"enabled\": true, \"flow\": \"from\","
    " \"expires_at\": null, \"require_proof\": true, \"test_only\": false, \"note\": \"\", \"conditions\": ["
    "{\"kind\": \"sender\", \"source\": \"from\", \"any\": [\"billing@partner.example\", \"partner.example\","
    " \"*@*.partner.example\", \"/^inv-\\\\d+@/\"]},"
    "{\"kind\": \"recipient\", \"any\": [\"accounts@ours.example\", \"ours.example\"]},"
    "{\"kind\": \"subject\", \"match\": \"contains\", \"any\": [\"invoice\", \"rechnung\"], \"case_sensitive\": false},"
    "{\"kind\": \"body\", \"match\": \"regex\", \"any\": [\"INV-[0-9]{6}\"]},"
    "{\"kind\": \"header\", \"name\": \"List-Id\", \"match\": \"contains\", \"any\": [\"billing.partner\"]},"
    "{\"kind\": \"ip\", \"any\": [\"192.0.2.7\", \"2001:db8::/32\", \"192.0.2.10-192.0.2.99\"]},"
    "{\"kind\": \"host\", \"any\": [\"mx.partner.example\", \"*.partner.example\", \"*.[de|dk]\"]},"
    "{\"kind\": \"size\", \"min\": 0, \"max\": 1048576},"
    "{\"kind\": \"attachment\", \"any\": [{\"extension\": \"pdf\"}, {\"mime_type\": \"application/*\"},"
    " {\"filename\": \"invoice-*.pdf\"}, {\"present\": true}], \"not\": true},"
    "{\"kind\": \"signed_by\", \"any\": [\"partner.example\", \"lists.example\"]}]}";

static const char example_written[] =
    "{\"name\":\"Partner invoices\",\"action\":\"allow\",\"priority\":90,\"enabled\":true,\"flow\":\"from\","
    "\"expires_at\":null,\"require_proof\":true,\"test_only\":false,\"note\":\"\",\"conditions\":["
    "{\"kind\":\"sender\",\"source\":\"from\",\"any\":[\"billing@partner.example\",\"partner.example\","
    "\"*@*.partner.example\",\"/^inv-\\\\d+@/\"]},"
    "{\"kind\":\"recipient\",\"any\":[\"accounts@ours.example\",\"ours.example\"]},"
    "{\"kind\":\"subject\",\"match\":\"contains\",\"any\":[\"invoice\",\"rechnung\"]},"
    "{\"kind\":\"body\",\"match\":\"regex\",\"any\":[\"INV-[0-9]{6}\"]},"
    "{\"kind\":\"header\",\"name\":\"List-Id\",\"match\":\"contains\",\"any\":[\"billing.partner\"]},"
    "{\"kind\":\"ip\",\"any\":[\"192.0.2.7\",\"2001:db8::/32\",\"192.0.2.10-192.0.2.99\"]},"
    "{\"kind\":\"host\",\"any\":[\"mx.partner.example\",\"*.partner.example\",\"*.[de|dk]\"]},"
    "{\"kind\":\"size\",\"min\":0,\"max\":1048576},"
    "{\"kind\":\"attachment\",\"any\":[{\"extension\":\"pdf\"},{\"mime_type\":\"application/*\"},"
    "{\"filename\":\"invoice-*.pdf\"},{\"present\":true}],\"not\":true},"
    "{\"kind\":\"signed_by\",\"any\":[\"partner.example\",\"lists.example\"]}]}";

static void the_example_of_the_manual_is_read_and_written_as_it_was(void **unused)
{
    struct rule_check check = {.may_regex = true};
    struct rule       r;
    struct err        e = ERR_INIT;
    struct buf        b;

    (void)unused;
    buf_init(&b, RULE_JSON_MAX);
    if (rule_from_json(span_of(example), arena_of_test(), &check, &r, &e) < 0)
        fail_msg("%s", e.text);
    CHECK("priority", r.priority == 90 && r.action == RULE_ALLOW && r.flow == FLOW_FROM && r.nconditions == 10);
    CHECK("a regex, its slashes gone", r.conditions[0].any[3].kind == ENTRY_REGEX);
    check_text("its source", r.conditions[0].any[3].text, "^inv-\\d+@");
    check_text("header names in lower case", r.conditions[4].header, "list-id");
    CHECK("negated", r.conditions[8].negated && !r.conditions[7].negated);
    rule_put_json(&b, &r);
    check_text("written", buf_span(&b), example_written);
    buf_fini(&b);
}

static void what_is_left_out_has_the_defaults_of_the_manual(void **unused)
{
    static const char json[] = "{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":[\"a.example\"]},"
                               "{\"kind\":\"size\",\"max\":5},{\"any\":[\"x\"],\"kind\":\"subject\"}]}";
    struct rule       r;
    struct rule_check check = {0};

    (void)unused;
    CHECK("read", rule_from_json(span_of(json), arena_of_test(), &check, &r, NULL) == 0);
    CHECK("rule", r.enabled && r.require_proof && !r.test_only && r.priority == 100 && r.flow == FLOW_FROM &&
                      r.expires_us == 0);
    CHECK("no texts", r.name.n == 0 && r.note.n == 0);
    CHECK("sender", r.conditions[0].source == SOURCE_FROM && !r.conditions[0].negated);
    CHECK("size", r.conditions[1].size_min == 0 && r.conditions[1].size_max == 5);
    CHECK("any before kind", r.conditions[2].match == MATCH_CONTAINS && r.conditions[2].any[0].kind == ENTRY_TEXT);
    CHECK("no advice", check.advice == 0);
}

static void a_time_of_expiry_comes_back(void **unused)
{
    static const char json[] = "{\"action\":\"block\",\"expires_at\":\"2027-01-31T12:00:00+01:00\",\"conditions\":"
                               "[{\"kind\":\"ip\",\"any\":[\"192.0.2.1\"]}]}";
    struct rule       r;
    struct buf        b;

    (void)unused;
    buf_init(&b, 1000);
    CHECK("read", rule_from_json(span_of(json), arena_of_test(), NULL, &r, NULL) == 0);
    rule_put_json(&b, &r);
    CHECK("in UTC", strstr(b.p, "\"expires_at\":\"2027-01-31T11:00:00") != NULL);
    buf_fini(&b);
}

/* ---- Entries ---- */

/* clang-format off */
static const struct {
    const char     *holds, *condition, *written; /* condition: without "any" */
    enum entry_kind kind;
    const char     *text;
} entries[] = {
    {"an address", "\"kind\":\"sender\"", "bob@partner.example", ENTRY_ADDRESS, "bob@partner.example"},
    {"case does not count", "\"kind\":\"sender\"", "Bob@Partner.EXAMPLE", ENTRY_ADDRESS, "bob@partner.example"},
    {"blanks around are dropped", "\"kind\":\"sender\"", " bob@partner.example ", ENTRY_ADDRESS, "bob@partner.example"},
    {"angle brackets too", "\"kind\":\"sender\"", "<bob@partner.example>", ENTRY_ADDRESS, "bob@partner.example"},
    {"a quoted local part", "\"kind\":\"sender\"", "\\\"Bob Q\\\"@partner.example", ENTRY_ADDRESS, "bob q@partner.example"},
    {"an IDN", "\"kind\":\"sender\"", "bob@Bücher.example", ENTRY_ADDRESS, "bob@xn--bcher-kva.example"},
    {"an address literal is no wildcard", "\"kind\":\"sender\"", "bob@[192.0.2.1]", ENTRY_ADDRESS, "bob@[192.0.2.1]"},
    {"an escaped star is a star", "\"kind\":\"sender\"", "b\\\\*b@partner.example", ENTRY_ADDRESS, "b*b@partner.example"},
    {"a domain", "\"kind\":\"sender\"", "Partner.example", ENTRY_DOMAIN, "partner.example"},
    {"a domain with a final dot", "\"kind\":\"sender\"", "partner.example.", ENTRY_DOMAIN, "partner.example"},
    {"an IDN domain", "\"kind\":\"sender\"", "bücher.example", ENTRY_DOMAIN, "xn--bcher-kva.example"},
    {"a domain alone", "\"kind\":\"sender\"", "*@Partner.example", ENTRY_DOMAIN_ALONE, "partner.example"},
    {"its subdomains", "\"kind\":\"sender\"", "*@*.Partner.example", ENTRY_SUBDOMAINS, "partner.example"},
    {"its subdomains, written short", "\"kind\":\"sender\"", "*.partner.example", ENTRY_SUBDOMAINS, "partner.example"},
    {"a wildcard local part", "\"kind\":\"sender\"", "Bounce-*@Partner.example", ENTRY_WILDCARD, "bounce-*@partner.example"},
    {"a wildcard domain", "\"kind\":\"sender\"", "bob@*.[DE|dk]", ENTRY_WILDCARD, "bob@*.[de|dk]"},
    {"a wildcard and an IDN", "\"kind\":\"sender\"", "*@*.bücher.[de|at]", ENTRY_WILDCARD, "*@*.xn--bcher-kva.[de|at]"},
    {"a wildcard over the whole address", "\"kind\":\"sender\"", "*casino*", ENTRY_WILDCARD, "*casino*"},
    {"alternatives without an at sign are domains", "\"kind\":\"sender\"", "[a|b].example", ENTRY_WILDCARD, "*@[a|b].example"},
    {"alternatives of addresses", "\"kind\":\"sender\"", "[a@x.example|b@y.example]", ENTRY_WILDCARD, "[a@x.example|b@y.example]"},
    {"the null sender", "\"kind\":\"sender\",\"source\":\"envelope\"", "<>", ENTRY_NULL_SENDER, ""},
    {"a regex", "\"kind\":\"sender\"", "/^Bob/", ENTRY_REGEX, "^Bob"},
    {"recipients have the same grammar", "\"kind\":\"recipient\"", "*@ours.example", ENTRY_DOMAIN_ALONE, "ours.example"},
    {"a text is folded", "\"kind\":\"subject\"", "Grüße ÄÖ", ENTRY_TEXT, "grüße äö"},
    {"but not with case_sensitive", "\"kind\":\"subject\",\"case_sensitive\":true", "Grüße", ENTRY_TEXT, "Grüße"},
    {"wildcards in texts are text", "\"kind\":\"subject\"", "50% * [off]", ENTRY_TEXT, "50% * [off]"},
    {"exact texts are trimmed", "\"kind\":\"subject\",\"match\":\"exact\"", " Hello ", ENTRY_TEXT, "hello"},
    {"others are not", "\"kind\":\"subject\",\"match\":\"starts_with\"", " Hello ", ENTRY_TEXT, " hello "},
    {"an exact text may be empty", "\"kind\":\"header\",\"name\":\"X\",\"match\":\"exact\"", "", ENTRY_TEXT, ""},
    {"a regex on text", "\"kind\":\"body\",\"match\":\"regex\"", "/A+/", ENTRY_REGEX, "/A+/"},
    {"an address of a host", "\"kind\":\"ip\"", "192.0.2.7", ENTRY_IP, "192.0.2.7"},
    {"a host name is exact", "\"kind\":\"host\"", "MX.partner.example", ENTRY_DOMAIN_ALONE, "mx.partner.example"},
    {"hosts below", "\"kind\":\"host\"", "*.partner.example", ENTRY_SUBDOMAINS, "partner.example"},
    {"a host wildcard", "\"kind\":\"host\"", "mx?.Partner.example", ENTRY_WILDCARD, "mx?.partner.example"},
    {"a signer", "\"kind\":\"signed_by\"", "Partner.example", ENTRY_DOMAIN, "partner.example"},
};
/* clang-format on */

static int read_one(const char *condition, const char *written, struct rule_check *check, const char *action,
                    struct rule *out, struct err *e)
{
    static char json[16384];

    snprintf(json, sizeof json, "{\"action\":\"%s\",\"conditions\":[{%s,\"any\":[\"%s\"]}]}", action, condition,
             written);
    return rule_from_json(span_of(json), arena_of_test(), check, out, e);
}

static void an_entry_is_read_as_the_manual_says(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(entries); i++) {
        struct err  e = ERR_INIT;
        struct rule r;

        if (read_one(entries[i].condition, entries[i].written, NULL, "block", &r, &e) < 0)
            fail_msg("%s: %s", entries[i].holds, e.text);
        CHECK(entries[i].holds, r.conditions[0].any[0].kind == entries[i].kind);
        check_text(entries[i].holds, r.conditions[0].any[0].text, entries[i].text);
    }
}

/* clang-format off */
static const struct { const char *condition, *written, *says; } bad_entries[] = {
    {"\"kind\":\"sender\"", "", "conditions[0].any[0], character 1: an empty entry"},
    {"\"kind\":\"sender\"", "  ", "an empty entry"},
    {"\"kind\":\"sender\"", "info[x@partner.example", "conditions[0].any[0], character 5: unclosed \"[\" - write \"\\[\""},
    {"\"kind\":\"sender\"", "üü[x@partner.example", "character 3: unclosed"},
    {"\"kind\":\"sender\"", "bounce-*@[192.0.2.1]", "wildcards cannot stand before an address literal"},
    {"\"kind\":\"sender\"", "/abc", "character 1: unclosed \"/\""},
    {"\"kind\":\"sender\"", "//", "matches everything"},
    {"\"kind\":\"sender\"", "@partner.example", "write \"*@partner.example\" for everyone there"},
    {"\"kind\":\"sender\"", "bob@", "write \"bob@*\""},
    {"\"kind\":\"sender\"", ".partner.example", "write \"*.partner.example\" for all below it"},
    {"\"kind\":\"sender\"", "a..example", "empty label"},
    {"\"kind\":\"sender\"", "bob@a b.example", "character 6"},
    {"\"kind\":\"sender\"", "*@*bü.example", "A-label form"},
    {"\"kind\":\"sender\"", "Bob <bob@partner.example>", "character"},
    {"\"kind\":\"recipient\"", "<>", "no recipient"},
    {"\"kind\":\"subject\"", "", "an empty text stands in every text"},
    {"\"kind\":\"ip\"", "192.0.2.7/24", "192.0.2.0/24"},
    {"\"kind\":\"ip\"", "192.0.2", "any[0], character"},
    {"\"kind\":\"host\"", "192.0.2.1", "condition of the kind \"ip\""},
    {"\"kind\":\"host\"", "bob@partner.example", "condition of the kind \"sender\""},
    {"\"kind\":\"signed_by\"", "*.partner.example", "its subdomains are meant too"},
    {"\"kind\":\"signed_by\"", "bob@partner.example", "write \"partner.example\""},
    {"\"kind\":\"body\",\"match\":\"regex\"", "a[b", "conditions[0].any[0], character 4: missing terminating ]"},
    {"\"kind\":\"sender\"", "/ü[b/", "any[0], character 5: missing terminating ]"},
    {"\"kind\":\"body\",\"match\":\"regex\"", "(*UTF8)a", "is not allowed"},
};
/* clang-format on */

static void a_bad_entry_is_refused_with_its_place_and_a_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(bad_entries); i++) {
        struct rule_check check = {.may_regex = true};
        struct err        e = ERR_INIT;
        struct rule       r;

        CHECK(bad_entries[i].written,
              read_one(bad_entries[i].condition, bad_entries[i].written, &check, "block", &r, &e) < 0);
        check_err(bad_entries[i].written, &e, bad_entries[i].says);
    }
}

/* clang-format off */
static const struct { const char *json, *says; } bad_rules[] = {
    {"[]", "a rule is an object, not a list"},
    {"{\"action\":\"block\"}", "\"conditions\" is missing"},
    {"{\"conditions\":[{\"kind\":\"size\",\"max\":1}]}", "\"action\" is missing"},
    {"{\"action\":\"blok\",\"conditions\":[]}", "\"action\" cannot be \"blok\"; the nearest that it can be is \"block\""},
    {"{\"action\":1}", "\"action\" takes a text, not a number"},
    {"{\"actoin\":\"block\"}", "\"actoin\" is no key of a rule; the nearest is \"action\""},
    {"{\"action\":\"block\",\"action\":\"allow\"}", "\"action\" stands twice in a rule"},
    {"{\"scope\":\"global\"}", "\"scope\" is no key of a rule"},
    {"{\"action\":\"block\",\"conditions\":[]}", "\"conditions\" is empty"},
    {"{\"action\":\"block\",\"conditions\":{}}", "\"conditions\" takes a list, not an object"},
    {"{\"action\":\"block\",\"conditions\":[1]}", "conditions[0]: a condition is an object, not a number"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"max\":1},{}]}", "conditions[1]: \"kind\" is missing"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sendr\"}]}", "the nearest that it can be is \"sender\""},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\"}]}", "conditions[0]: \"any\" is missing"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":[]}]}", "conditions[0]: \"any\" is empty"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":\"x\"}]}", "\"any\" takes a list, not a text"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":[1]}]}", "any[0]: an entry is a text, not a number"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"any\":[{\"extension\":\"x\"}]}]}", "any[0]: an entry of a sender condition is a text"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[\"pdf\"]}]}", "is an object"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[{}]}]}", "any[0]: an empty object"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[{\"extention\":\"x\"}]}]}", "the nearest is \"extension\""},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[{\"filename\":\"a[b\"}]}]}", "conditions[0].any[0]: filename, character 2: unclosed"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"attachment\",\"any\":[{\"present\":false,\"extension\":\"x\"}]}]}", "nothing else can hold"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"sender\",\"match\":\"exact\",\"any\":[\"a.example\"]}]}", "\"match\" does not belong to a sender condition"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"header\",\"any\":[\"a\"]}]}", "\"name\" is missing"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"header\",\"name\":\"A B\",\"any\":[\"a\"]}]}", "\"name\", character 2"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\"}]}", "say \"min\" or \"max\""},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"min\":5,\"max\":4}]}", "\"min\" is larger than \"max\""},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"min\":-1}]}", "a whole number from 0"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"min\":1.5}]}", "not 1.5"},
    {"{\"action\":\"block\",\"priority\":1000001,\"conditions\":[]}", "from -1000000 to 1000000"},
    {"{\"action\":\"block\",\"expires_at\":\"soon\",\"conditions\":[]}", "\"expires_at\" takes null or a time"},
    {"{\"action\":\"block\",\"flow\":\"both\",\"conditions\":[]}", "\"flow\" cannot be \"both\""},
    {"{\"action\":\"block\",\"enabled\":\"yes\",\"conditions\":[]}", "\"enabled\" takes true or false, not a text"},
    {"{\"action\":\"block\",\"name\":\"a\\nb\",\"conditions\":[]}", "\"name\" holds a control character"},
    {"{\"action\":\"block\",\"conditions\":[{\"kind\":\"size\",\"max\":1}]} x", "behind the end of the JSON"},
};
/* clang-format on */

static void a_bad_rule_is_refused_with_its_place_and_a_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(bad_rules); i++) {
        struct rule_check check = {0};
        struct err        e = ERR_INIT;
        struct rule       r;

        CHECK(bad_rules[i].json, rule_from_json(span_of(bad_rules[i].json), arena_of_test(), &check, &r, &e) < 0);
        check_err(bad_rules[i].json, &e, bad_rules[i].says);
    }
}

static void too_much_of_anything_is_refused(void **unused)
{
    struct buf  b;
    struct rule r;
    struct err  e = ERR_INIT;

    (void)unused;
    buf_init(&b, 2 * RULE_JSON_MAX);
    buf_puts(&b, "[");
    for (int i = 0; i <= RULE_CONDITIONS_MAX; i++)
        buf_printf(&b, "%s{\"kind\":\"size\",\"max\":1}", i > 0 ? "," : "");
    buf_puts(&b, "]");
    CHECK("conditions",
          rule_conditions_from_json(buf_span(&b), arena_of_test(), NULL, &r, &e) < 0 && e.code == ERR_LIMIT);
    buf_clear(&b);
    buf_puts(&b, "[{\"kind\":\"sender\",\"any\":[");
    for (int i = 0; i <= RULE_ENTRIES_MAX; i++)
        buf_printf(&b, "%s\"a%d.example\"", i > 0 ? "," : "", i);
    buf_puts(&b, "]}]");
    CHECK("entries", rule_conditions_from_json(buf_span(&b), arena_of_test(), NULL, &r, &e) < 0 && e.code == ERR_LIMIT);
    buf_clear(&b);
    buf_puts(&b, "[{\"kind\":\"subject\",\"any\":[\"");
    for (int i = 0; i <= RULE_ENTRY_MAX; i++)
        buf_putc(&b, 'x');
    buf_puts(&b, "\"]}]");
    CHECK("an entry", rule_conditions_from_json(buf_span(&b), arena_of_test(), NULL, &r, &e) < 0);
    check_err("an entry", &e, "an entry of 1025 bytes, at most 1024");
    buf_clear(&b);
    buf_puts(&b, "[");
    while (b.n <= RULE_JSON_MAX)
        buf_puts(&b, "          ");
    buf_puts(&b, "{\"kind\":\"size\",\"max\":1}]");
    CHECK("bytes", rule_conditions_from_json(buf_span(&b), arena_of_test(), NULL, &r, &e) < 0 && e.code == ERR_LIMIT);
    buf_fini(&b);
}

static void a_full_arena_fails_the_rule_and_nothing_else(void **unused)
{
    (void)unused;
    for (size_t max = 0; max < 40000; max += 512) {
        struct arena a;
        struct rule  r;
        struct err   e = ERR_INIT;

        arena_init(&a, max);
        if (rule_from_json(span_of(example), &a, NULL, &r, &e) < 0)
            CHECK("says so", e.code == ERR_LIMIT);
        arena_fini(&a);
    }
}

static void a_line_of_an_export_names_scope_and_policy(void **unused)
{
    static const char line[] =
        "{\"scope\":\"domain:ours.example\",\"policy\":\"Rules\",\"name\":\"\",\"action\":\"block\","
        "\"priority\":100,\"enabled\":true,\"flow\":\"to\",\"expires_at\":null,\"require_proof\":true,"
        "\"test_only\":false,\"note\":\"two\\nlines\",\"conditions\":[{\"kind\":\"ip\",\"any\":[\"192.0.2.1\"]}]}";
    struct rule r;
    struct span scope, policy;
    struct buf  b;

    (void)unused;
    buf_init(&b, 4096);
    CHECK("read", rule_line_from_json(span_of(line), arena_of_test(), NULL, &r, &scope, &policy, NULL) == 0);
    check_text("scope", scope, "domain:ours.example");
    check_text("policy", policy, "Rules");
    rule_put_line_json(&b, &r, scope, policy);
    check_text(
        "written", buf_span(&b),
        "{\"scope\":\"domain:ours.example\",\"policy\":\"Rules\",\"name\":\"\",\"action\":\"block\","
        "\"priority\":100,\"enabled\":true,\"flow\":\"to\",\"expires_at\":null,\"require_proof\":true,"
        "\"test_only\":false,\"note\":\"two\\u000alines\",\"conditions\":[{\"kind\":\"ip\",\"any\":[\"192.0.2.1\"]}]}");
    buf_fini(&b);
}

/* ---- What must not be stored ---- */

enum { FINE, EVERYBODY, CONFIRM };
static const struct {
    const char *condition, *written;
    int         answer;
} allows[] = {
    {"\"kind\":\"sender\"", "partner.example", FINE},
    {"\"kind\":\"sender\"", "partner.co.uk", FINE},
    {"\"kind\":\"sender\"", "bounce-*@partner.example", FINE},
    {"\"kind\":\"sender\"", "*@*.partner.co.uk", FINE},
    {"\"kind\":\"sender\"", "*partner*", FINE},
    {"\"kind\":\"sender\"", "*", EVERYBODY},
    {"\"kind\":\"sender\"", "**", EVERYBODY},
    {"\"kind\":\"sender\"", "*@*", EVERYBODY},
    {"\"kind\":\"sender\"", "?*@*.*", EVERYBODY},
    {"\"kind\":\"sender\"", "com", EVERYBODY},
    {"\"kind\":\"sender\"", "co.uk", EVERYBODY},
    {"\"kind\":\"sender\"", "*.com", EVERYBODY},
    {"\"kind\":\"sender\"", "*@*.co.uk", EVERYBODY},
    {"\"kind\":\"sender\"", "*@*.[co.uk|example]", EVERYBODY},
    {"\"kind\":\"sender\"", "*@[partner.example|*]", -1},
    {"\"kind\":\"sender\"", "[partner.example|com]", EVERYBODY},
    {"\"kind\":\"sender\"", "/./", EVERYBODY},
    {"\"kind\":\"sender\"", "/@/", EVERYBODY},
    {"\"kind\":\"sender\"", "/^(?!bob@)/", EVERYBODY},
    {"\"kind\":\"sender\"", "/@partner\\\\.example$/", FINE},
    {"\"kind\":\"sender\"", "gmail.com", CONFIRM},
    {"\"kind\":\"sender\"", "*@gmail.com", CONFIRM},
    {"\"kind\":\"sender\"", "?*@gmail.com", CONFIRM},
    {"\"kind\":\"sender\"", "/@gmail\\\\.com$/", CONFIRM},
    {"\"kind\":\"sender\"", "bob@gmail.com", FINE},
    {"\"kind\":\"sender\"", "bob*@gmail.com", FINE},
    {"\"kind\":\"sender\",\"not\":true", "partner.example", EVERYBODY},
    {"\"kind\":\"recipient\"", "sales@ours.example", FINE},
    {"\"kind\":\"recipient\"", "*", EVERYBODY},
    {"\"kind\":\"ip\"", "192.0.2.0/24", FINE},
    {"\"kind\":\"ip\"", "10.0.0.0/8", FINE},
    {"\"kind\":\"ip\"", "0.0.0.0/0", EVERYBODY},
    {"\"kind\":\"ip\"", "::/0", EVERYBODY},
    {"\"kind\":\"ip\"", "0.0.0.1-255.255.255.254", EVERYBODY},
    {"\"kind\":\"host\"", "mx.gmail.com", FINE},
    {"\"kind\":\"host\"", "*.gmail.com", FINE},
    {"\"kind\":\"host\"", "*", EVERYBODY},
    {"\"kind\":\"host\"", "*.com", EVERYBODY},
    {"\"kind\":\"host\"", "*.[net|partner.example]", EVERYBODY},
    {"\"kind\":\"signed_by\"", "gmail.com", CONFIRM},
    {"\"kind\":\"signed_by\"", "co.uk", EVERYBODY},
    {"\"kind\":\"subject\"", "invoice", FINE},
    {"\"kind\":\"subject\",\"match\":\"regex\"", ".*", EVERYBODY},
    {"\"kind\":\"subject\",\"match\":\"regex\"", "invoice|", EVERYBODY},
    {"\"kind\":\"header\",\"name\":\"X-No\",\"match\":\"exact\"", "", EVERYBODY},
    {"\"kind\":\"size\",\"max\":1000,\"not\":false", NULL, EVERYBODY},
    {"\"kind\":\"attachment\",\"any\":[{\"present\":true}]", NULL, EVERYBODY},
    {"\"kind\":\"attachment\",\"any\":[{\"present\":false}]", NULL, EVERYBODY},
    {"\"kind\":\"attachment\",\"any\":[{\"extension\":\"*\"}]", NULL, EVERYBODY},
    {"\"kind\":\"attachment\",\"any\":[{\"extension\":\"ics\"}]", NULL, FINE},
};

/* One allow, perhaps with a condition more. */
static int read_allow(size_t i, const char *more, struct rule_check *check, struct err *e)
{
    char        json[1000], any[200] = "";
    struct rule r;

    if (allows[i].written != NULL)
        snprintf(any, sizeof any, ",\"any\":[\"xx.partner.example\",\"%s\"]", allows[i].written);
    if (strstr(allows[i].condition, "\"ip\"") != NULL)
        snprintf(any, sizeof any, ",\"any\":[\"%s\"]", allows[i].written);
    snprintf(json, sizeof json, "{\"action\":\"allow\",\"conditions\":[{%s%s}%s]}", allows[i].condition, any, more);
    return rule_from_json(span_of(json), arena_of_test(), check, &r, e);
}

static void an_allow_of_everybody_is_refused(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(allows); i++) {
        struct rule_check check = {.may_regex = true}, sure = {.may_regex = true, .freemail_confirmed = true};
        struct err        e = ERR_INIT;
        int               rc = read_allow(i, "", &check, &e);
        const char       *name = allows[i].written != NULL ? allows[i].written : allows[i].condition;

        if (allows[i].answer == FINE && rc < 0)
            fail_msg("%s: %s", name, e.text);
        if (allows[i].answer != FINE)
            CHECK(name, rc < 0);
        if (allows[i].answer >= 0)
            CHECK(name, (e.code == ERR_CONFLICT) == (allows[i].answer == CONFIRM));
        if (allows[i].answer == EVERYBODY)
            CHECK(name, strstr(e.text, "would allow") != NULL);
        CHECK(name, ((check.advice & ADVICE_FREEMAIL) != 0) == (allows[i].answer == CONFIRM));
        if (allows[i].answer == CONFIRM)
            CHECK(name, read_allow(i, "", &sure, &e) == 0 && (sure.advice & ADVICE_FREEMAIL));
        if (allows[i].answer >= 0)
            CHECK("with one condition that narrows it, it is fine",
                  read_allow(i, ",{\"kind\":\"subject\",\"any\":[\"invoice\"]}", &check, &e) == 0);
        if (allows[i].answer == EVERYBODY)
            CHECK("a negated one more narrows nothing",
                  read_allow(i, ",{\"kind\":\"subject\",\"any\":[\"invoice\"],\"not\":true}", &check, &e) < 0);
    }
}

static void a_block_of_everybody_is_somebodys_choice(void **unused)
{
    struct rule_check check = {0};
    struct rule       r;

    (void)unused;
    CHECK("all", read_one("\"kind\":\"sender\"", "*", &check, "block", &r, NULL) == 0);
    CHECK("all but one", read_one("\"kind\":\"sender\",\"not\":true", "a.example", &check, "block", &r, NULL) == 0);
    CHECK("a top-level domain", read_one("\"kind\":\"sender\"", "top", &check, "block", &r, NULL) == 0);
}

static void who_may_not_write_regexes_is_told_the_setting(void **unused)
{
    struct rule_check check = {0};
    struct err        e = ERR_INIT;
    struct rule       r;

    (void)unused;
    CHECK("refused", read_one("\"kind\":\"sender\"", "/abc/", &check, "block", &r, &e) < 0 && e.code == ERR_DENIED);
    check_err("named", &e, "conditions[0].any[0]: regular expressions are not allowed to you here");
}

static void saving_gives_advice(void **unused)
{
    static const struct {
        const char *action, *condition, *written;
        unsigned    advice;
    } cases[] = {
        {"allow", "\"kind\":\"sender\"", "partner.example", ADVICE_NEEDS_PROOF},
        {"block", "\"kind\":\"sender\"", "partner.example", 0},
        {"allow", "\"kind\":\"ip\"", "192.0.2.1", 0},
        {"allow", "\"kind\":\"subject\"", "invoice", 0},
        {"block", "\"kind\":\"subject\",\"match\":\"regex\"", "abc\\\\d", 0},
        {"block", "\"kind\":\"subject\",\"match\":\"regex\"", "ab\\\\d|c", ADVICE_SLOW_REGEX},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rule_check check = {.may_regex = true};
        struct rule       r;

        CHECK(cases[i].written, read_one(cases[i].condition, cases[i].written, &check, cases[i].action, &r, NULL) == 0);
        CHECK(cases[i].written, check.advice == cases[i].advice);
    }
}

/* ---- Round trip ---- */

static void a_rule_that_was_written_reads_as_the_same(void **unused)
{
    uint64_t   seed = 7;
    struct buf once, twice;

    (void)unused;
    buf_init(&once, RULE_JSON_MAX);
    buf_init(&twice, RULE_JSON_MAX);
    for (size_t round = 0; round < 3000; round++) {
        struct entry     list[8] = {{0}};
        struct condition c[4] = {{0}};
        struct rule      r = {.priority = (int32_t)random_below(&seed, 1000), .flow = 1 + random_below(&seed, 3)}, read;
        struct err       e = ERR_INIT;

        r.action = random_below(&seed, 2);
        r.expires_us = random_below(&seed, 2) ? (int64_t)random_below(&seed, 4000000000000000) + 1 : 0;
        r.enabled = random_below(&seed, 2);
        r.name = span_of(entries[random_below(&seed, COUNT(entries))].holds);
        r.nconditions = 1 + random_below(&seed, 4);
        r.conditions = c;
        for (size_t i = 0; i < r.nconditions; i++) {
            c[i] = (struct condition){
                .kind = random_below(&seed, 3) == 0 ? COND_SUBJECT : COND_SENDER, .any = list + 2 * i, .nany = 1};
            c[i].negated = random_below(&seed, 2);
            c[i].source = 1 + random_below(&seed, 3);
            c[i].match = random_below(&seed, 5);
            list[2 * i].written = c[i].kind == COND_SUBJECT ? SPAN("Some \"text\"\\ \t\xc3\xa4")
                                                            : SPAN("Bob@B\xc3\xbc.example");
        }
        buf_clear(&once);
        buf_clear(&twice);
        rule_put_json(&once, &r);
        if (rule_from_json(buf_span(&once), arena_of_test(), NULL, &read, &e) < 0)
            fail_msg("%s: %s", once.p, e.text);
        for (size_t i = 0; i < r.nconditions; i++) {
            const struct condition *one = &c[i], *other = &read.conditions[i];

            CHECK("negated as it was", one->negated == other->negated && one->kind == other->kind);
            CHECK("compared as it was",
                  one->kind == COND_SUBJECT ? one->match == other->match : one->source == other->source);
        }
        rule_put_json(&twice, &read);
        check_text("round trip", buf_span(&twice), once.p);
    }
    buf_fini(&once);
    buf_fini(&twice);
}

static void the_short_id_is_the_end_of_the_id(void **unused)
{
    struct uuid id;
    char        z[9];

    (void)unused;
    CHECK("parses", uuid_parse(SPAN("0190a5b0-0000-7000-8000-0123deadbeef"), &id));
    rule_short_id(&id, z);
    assert_string_equal(z, "deadbeef");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_manual_is_read_and_written_as_it_was),
        cmocka_unit_test(what_is_left_out_has_the_defaults_of_the_manual),
        cmocka_unit_test(a_time_of_expiry_comes_back),
        cmocka_unit_test(an_entry_is_read_as_the_manual_says),
        cmocka_unit_test(a_bad_entry_is_refused_with_its_place_and_a_cure),
        cmocka_unit_test(a_bad_rule_is_refused_with_its_place_and_a_cure),
        cmocka_unit_test(too_much_of_anything_is_refused),
        cmocka_unit_test(a_full_arena_fails_the_rule_and_nothing_else),
        cmocka_unit_test(a_line_of_an_export_names_scope_and_policy),
        cmocka_unit_test(an_allow_of_everybody_is_refused),
        cmocka_unit_test(a_block_of_everybody_is_somebodys_choice),
        cmocka_unit_test(who_may_not_write_regexes_is_told_the_setting),
        cmocka_unit_test(saving_gives_advice),
        cmocka_unit_test(a_rule_that_was_written_reads_as_the_same),
        cmocka_unit_test(the_short_id_is_the_end_of_the_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
