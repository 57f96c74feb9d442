/* tests/unit/rulesd_maps.c - twin of rulesd/maps.c. */
#include "../../rulesd/maps.h"

#include "base/ip.h"
#include "base/buf.h"
#include "rulesd_world.h"

/* ---- the pure parts ---- */

static void a_wildcard_becomes_a_regular_expression(void **unused)
{
    static const struct {
        const char *wildcard, *regex;
    } cases[] = {
        {"bounce-*@partner.example", "/^bounce-.*@partner\\.example$/i"},
        {"a?c@x.example", "/^a.c@x\\.example$/i"},
        {"*@[a|b].example", "/^.*@(?:a|b)\\.example$/i"},
        {"a\\*b*@x.example", "/^a\\*b.*@x\\.example$/i"},
        {"a+b/*@x.example", "/^a\\+b\\/.*@x\\.example$/i"},
        {"j\xc3\xb6rg*@x.example", "/^j\xc3\xb6rg.*@x\\.example$/iu"},
    };
    struct buf b;

    (void)unused;
    buf_init(&b, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&b);
        CHECK(cases[i].wildcard, map_put_wildcard(&b, span_of(cases[i].wildcard)));
        CHECK(cases[i].wildcard, span_is(buf_span(&b), cases[i].regex));
    }
    CHECK("a blank ends a key", !map_put_wildcard(&b, SPAN("\"a b\"*@x.example")));
    buf_fini(&b);
}

static void a_range_becomes_the_blocks_that_are_in_it(void **unused)
{
    static const struct {
        const char *range, *blocks;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7\n"},
        {"192.0.2.0/24", "192.0.2.0/24\n"},
        {"192.0.2.10-192.0.2.13", "192.0.2.10/31\n192.0.2.12/31\n"},
        {"192.0.2.255-192.0.3.0", "192.0.2.255\n192.0.3.0\n"},
        {"192.0.2.1-192.0.2.6", "192.0.2.1\n192.0.2.2/31\n192.0.2.4/31\n192.0.2.6\n"},
        {"0.0.0.0-255.255.255.255", "0.0.0.0/0\n"},
        {"255.255.255.255", "255.255.255.255\n"},
        {"2001:db8::/32", "2001:db8::/32\n"},
        {"2001:db8::1-2001:db8::4", "2001:db8::1\n2001:db8::2/127\n2001:db8::4\n"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"},
        {"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0\n"},
    };
    struct buf b;

    (void)unused;
    buf_init(&b, 4096);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip_block range;
        struct err      e = ERR_INIT;

        buf_clear(&b);
        if (ip_block_parse(span_of(cases[i].range), &range, &e) < 0)
            fail_msg("%s: %s", cases[i].range, e.text);
        map_put_range(&b, &range);
        CHECK(cases[i].range, span_is(buf_span(&b), cases[i].blocks));
    }
    buf_fini(&b);
}

static void a_path_names_a_map_or_none(void **unused)
{
    static const struct {
        const char *path;
        bool        is;
    } cases[] = {
        {"ours.example/block/senders", true},
        {"ours.example/allow/proven-domains", true},
        {"global/block/ips", true},
        {"global/settings", true},
        {"ours.example/settings", true},
        {"", false},
        {"ours.example", false},
        {"ours.example/block", false},
        {"ours.example/block/", false},
        {"ours.example/block/hosts", true},
        {"ours.example/allow/host-patterns", true},
        {"ours.example/block/names", false},
        {"ours.example/deny/senders", false},
        {"/block/senders", false},
        {"ours.example/block/senders/", false},
        {"ours.example/block/senders/x", false},
        {"ours.example/settings/x", false},
        {"../../etc/passwd", false},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct map_wish wish;

        CHECK(cases[i].path, maps_read_path(span_of(cases[i].path), &wish) == cases[i].is);
    }
}

/* ---- lists ---- */

static struct uuid add(struct world *w, struct uuid policy, enum rule_action action, bool proof, const char *conditions)
{
    struct store_rule r = a_rule(policy, "r");
    struct uuid       id = uuid_zero;

    r.action = action;
    r.require_proof = proof;
    r.conditions = span_of(conditions);
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    return id;
}

/* The lines of a map that are no comments. */
static const char *lines_of(struct world *w, const char *path, size_t *unsaid)
{
    static char     text[4096];
    struct maps    *m = maps_new();
    struct map_doc *d;
    struct map_wish wish;
    struct span     rest, line;
    size_t          n = 0, entries;

    assert_true(maps_read_path(span_of(path), &wish));
    OK(w, maps_get(m, w->more, &wish, change_head(w), clock_wall_us(), &d, &w->e));
    rest = map_doc_body(d);
    text[0] = '\0';
    while (span_line(&rest, &line)) {
        if (span_starts(line, SPAN("#"))) {
            char number[200];

            snprintf(number, sizeof number, "%.*s", SPAN_ARG(line));
            if (unsaid != NULL)
                sscanf(number, "# %zu entries here; %zu rules", &entries, unsaid);
            continue;
        }
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", SPAN_ARG(line));
    }
    map_doc_drop(&d);
    maps_free(&m);
    return text;
}

static void each_list_says_what_it_can_and_counts_the_rest(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example");
    struct uuid   rules = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    size_t        unsaid = 0;

    add(w, rules, RULE_BLOCK, true,
        "[{\"kind\":\"sender\",\"any\":[\"b@x.example\",\"a@x.example\",\"*@alone.example\",\"tree.example\","
        "\"*@*.below.example\",\"news-*@y.example\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"source\":\"any\",\"any\":[\"both@x.example\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"env@x.example\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"ip\",\"any\":[\"192.0.2.0/24\",\"198.51.100.7\"]}]");
    add(w, rules, RULE_BLOCK, true,
        "[{\"kind\":\"host\",\"any\":[\"MX.bad.example\",\"*.dial.example\",\"pool-*.[de|dk]\",\"b\\u00fccher."
        "example\"]}]");
    /* what no map can say */
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"any\":[\"/^inv/\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"<>\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"subject\",\"match\":\"contains\",\"any\":[\"x\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"not\":true,\"any\":[\"q@x.example\"]}]");
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"host\",\"not\":true,\"any\":[\"mx.good.example\"]}]");
    add(w, rules, RULE_BLOCK, true,
        "[{\"kind\":\"sender\",\"any\":[\"two@x.example\"]},{\"kind\":\"size\",\"min\":10}]");
    assert_string_equal(lines_of(w, "ours.example/block/senders", &unsaid), "a@x.example b@x.example both@x.example ");
    assert_int_equal(unsaid, 6);
    assert_string_equal(lines_of(w, "ours.example/block/domains", &unsaid), "alone.example ");
    assert_int_equal(unsaid, 6);
    assert_string_equal(lines_of(w, "ours.example/block/patterns", NULL),
                        "/@(?:[^@]+\\.)?tree\\.example$/i /@[^@]+\\.below\\.example$/i /^news-.*@y\\.example$/i ");
    assert_string_equal(lines_of(w, "ours.example/block/envelope-senders", NULL), "both@x.example env@x.example ");
    assert_string_equal(lines_of(w, "ours.example/block/ips", NULL), "192.0.2.0/24 198.51.100.7 ");
    assert_string_equal(lines_of(w, "ours.example/block/hosts", &unsaid), "mx.bad.example xn--bcher-kva.example ");
    assert_int_equal(unsaid, 6);
    assert_string_equal(lines_of(w, "ours.example/block/host-patterns", NULL),
                        "/^.+\\.dial\\.example$/i /^pool-.*\\.(?:de|dk)$/i ");
    assert_string_equal(lines_of(w, "ours.example/allow/senders", &unsaid), "");
    assert_int_equal(unsaid, 0);
}

static void an_allow_that_wants_proof_stands_in_the_proven_lists_alone(void **state)
{
    struct world *w = world_of(state);
    struct uuid   domain = add_domain(w, "ours.example");
    struct uuid   rules = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    size_t        unsaid = 0;

    add(w, rules, RULE_ALLOW, true, "[{\"kind\":\"sender\",\"any\":[\"proven@x.example\"]}]");
    add(w, rules, RULE_ALLOW, false, "[{\"kind\":\"sender\",\"any\":[\"trusted@x.example\"]}]");
    add(w, rules, RULE_ALLOW, true, "[{\"kind\":\"sender\",\"source\":\"envelope\",\"any\":[\"env@x.example\"]}]");
    assert_string_equal(lines_of(w, "ours.example/allow/senders", &unsaid), "trusted@x.example ");
    assert_int_equal(unsaid, 1);
    assert_string_equal(lines_of(w, "ours.example/allow/proven-senders", NULL), "proven@x.example ");
    assert_string_equal(lines_of(w, "ours.example/allow/envelope-senders", NULL), "");
}

static void what_does_not_act_is_in_no_list(void **state)
{
    struct world     *w = world_of(state);
    struct uuid       domain = add_domain(w, "ours.example"), other = add_domain(w, "other.example"), id;
    struct uuid       rules = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    struct store_rule r = a_rule(rules, "r");

    r.conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"off@x.example\"]}]");
    r.enabled = false;
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    r.conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"test@x.example\"]}]");
    r.enabled = r.test_only = true;
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    r.conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"lapsed@x.example\"]}]");
    r.test_only = false;
    r.expires_us = 1000;
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    r.conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"to@x.example\"]}]");
    r.expires_us = 0;
    r.flow = FLOW_TO;
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    add(w, policy_id(w, store_scope_domain(other), POLICY_RULES), RULE_BLOCK, true,
        "[{\"kind\":\"sender\",\"any\":[\"theirs@x.example\"]}]");
    assert_string_equal(lines_of(w, "ours.example/block/senders", NULL), "");
    assert_string_equal(lines_of(w, "other.example/block/senders", NULL), "theirs@x.example ");
}

static void global_policies_are_in_the_lists_where_they_act(void **state)
{
    struct world       *w = world_of(state);
    struct uuid         domain = add_domain(w, "ours.example"), locked, assigned, inert;
    struct store_policy p = {.name = "locked", .priority = 100, .locked = true, .enabled = true};

    OK(w, store_policy_add(w->more, &root, &p, &locked, &w->e));
    p.locked = false;
    strcpy(p.name, "assigned");
    OK(w, store_policy_add(w->more, &root, &p, &assigned, &w->e));
    strcpy(p.name, "inert");
    OK(w, store_policy_add(w->more, &root, &p, &inert, &w->e));
    OK(w, store_policy_assign(w->more, &root, assigned, domain, &w->e));
    add(w, locked, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"any\":[\"locked@x.example\"]}]");
    add(w, assigned, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"any\":[\"assigned@x.example\"]}]");
    add(w, inert, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"any\":[\"inert@x.example\"]}]");
    assert_string_equal(lines_of(w, "global/block/senders", NULL), "locked@x.example ");
    assert_string_equal(lines_of(w, "ours.example/block/senders", NULL), "assigned@x.example ");
}

/* ---- thresholds ---- */

static void the_settings_map_has_the_thresholds_of_each_active_domain(void **state)
{
    struct world        *w = world_of(state);
    struct maps         *m = maps_new();
    struct map_doc      *d;
    struct map_wish      wish;
    struct uuid          ours = add_domain(w, "ours.example"), off = add_domain(w, "off.example");
    struct store_setting s = STORE_SETTING_NONE;
    struct store_domain  disabled;

    s.reject = 9.5;
    s.greylist = 999;
    OK(w, store_setting_set(w->more, &root, store_scope_domain(ours), &s, &w->e));
    OK(w, store_domain_alias_add(w->more, &root, ours, SPAN("alias.example"), &w->e));
    OK(w, store_domain_get(w->more, off, &disabled, &w->e));
    disabled.state = DOMAIN_DISABLED;
    OK(w, store_domain_set(w->more, &root, &disabled, &w->e));
    add_domain(w, "plain.example");
    assert_true(maps_read_path(SPAN("global/settings"), &wish));
    OK(w, maps_get(m, w->more, &wish, change_head(w), 1, &d, &w->e));
    assert_string_equal(
        map_doc_body(d).p,
        "{\n\"ours.example\": {\"priority\": \"medium\", \"rcpt\": [\"@ours.example\", \"@alias.example\"], "
        "\"apply\": {\"actions\": {\"reject\": 9.5, \"add header\": 6, \"greylist\": 999}}},\n"
        "\"plain.example\": {\"priority\": \"medium\", \"rcpt\": [\"@plain.example\"], "
        "\"apply\": {\"actions\": {\"reject\": 15, \"add header\": 6, \"greylist\": 4}}}\n}\n");
    map_doc_drop(&d);
    assert_true(maps_read_path(SPAN("plain.example/settings"), &wish));
    OK(w, maps_get(m, w->more, &wish, change_head(w), 1, &d, &w->e));
    assert_null(strstr(map_doc_body(d).p, "ours.example"));
    map_doc_drop(&d);
    assert_true(maps_read_path(SPAN("nowhere.example/settings"), &wish));
    assert_int_equal(maps_get(m, w->more, &wish, change_head(w), 1, &d, &w->e), -1);
    assert_int_equal(w->e.code, ERR_NOT_FOUND);
    maps_free(&m);
}

/* ---- validators ---- */

static bool has(struct span fields, const char *text) { return span_find(fields, span_of(text)) < fields.n; }

static void what_has_not_changed_is_known_by_its_validators(void **state)
{
    struct world   *w = world_of(state);
    struct maps    *m = maps_new();
    struct map_doc *d, *again;
    struct map_wish wish;
    struct uuid     domain = add_domain(w, "ours.example");
    struct uuid     rules = policy_id(w, store_scope_domain(domain), POLICY_RULES);
    char            room[MAP_FIELDS_MAX], etag[80];
    int64_t         t0 = INT64_C(1795296651) * 1000000;

    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"any\":[\"a@x.example\"]}]");
    assert_true(maps_read_path(SPAN("ours.example/block/senders"), &wish));
    OK(w, maps_get(m, w->more, &wish, change_head(w), t0, &d, &w->e));
    struct span fields = map_doc_fields(d, t0, room);
    assert_true(has(fields, "Last-Modified: Sat, 21 Nov 2026 21:30:51 GMT\r\n"));
    assert_true(has(fields, "Expires: Sat, 21 Nov 2026 21:30:56 GMT\r\n"));
    assert_int_equal(sscanf(room, "ETag: %79s", etag), 1);
    assert_true(map_doc_is_known(d, span_of(etag), SPAN_NONE));
    assert_true(map_doc_is_known(d, SPAN("\"x\", *"), SPAN_NONE));
    assert_false(map_doc_is_known(d, SPAN("\"x\""), SPAN("Sat, 21 Nov 2026 21:30:51 GMT")));
    assert_true(map_doc_is_known(d, SPAN_NONE, SPAN("Sat, 21 Nov 2026 21:30:51 GMT")));
    assert_false(map_doc_is_known(d, SPAN_NONE, SPAN("Sat, 21 Nov 2026 21:30:50 GMT")));
    assert_false(map_doc_is_known(d, SPAN_NONE, SPAN("yesterday")));
    assert_false(map_doc_is_known(d, SPAN_NONE, SPAN_NONE));
    /* made again, and the same */
    add_domain(w, "other.example");
    OK(w, maps_get(m, w->more, &wish, change_head(w), t0 + 60000000, &again, &w->e));
    assert_true(map_doc_is_known(again, SPAN_NONE, SPAN("Sat, 21 Nov 2026 21:30:51 GMT")));
    map_doc_drop(&again);
    /* another text */
    add(w, rules, RULE_BLOCK, true, "[{\"kind\":\"sender\",\"any\":[\"b@x.example\"]}]");
    OK(w, maps_get(m, w->more, &wish, change_head(w), t0 + 120000000, &again, &w->e));
    assert_false(map_doc_is_known(again, span_of(etag), SPAN_NONE));
    assert_false(map_doc_is_known(again, SPAN_NONE, SPAN("Sat, 21 Nov 2026 21:30:51 GMT")));
    map_doc_drop(&again);
    map_doc_drop(&d);
    maps_free(&m);
}

static void a_map_is_made_again_when_a_rule_in_it_lapses(void **state)
{
    struct world     *w = world_of(state);
    struct maps      *m = maps_new();
    struct map_doc   *d;
    struct map_wish   wish;
    struct uuid       domain = add_domain(w, "ours.example"), id;
    struct store_rule r = a_rule(policy_id(w, store_scope_domain(domain), POLICY_RULES), "r");
    int64_t           seq;

    r.conditions = SPAN("[{\"kind\":\"sender\",\"any\":[\"soon@x.example\"]}]");
    r.expires_us = 5000;
    OK(w, store_rule_add(w->more, &root, &r, &id, &w->e));
    seq = change_head(w);
    assert_true(maps_read_path(SPAN("ours.example/block/senders"), &wish));
    OK(w, maps_get(m, w->more, &wish, seq, 4999, &d, &w->e));
    assert_non_null(strstr(map_doc_body(d).p, "soon@x.example"));
    map_doc_drop(&d);
    OK(w, maps_get(m, w->more, &wish, seq, 5000, &d, &w->e));
    assert_null(strstr(map_doc_body(d).p, "soon@x.example"));
    map_doc_drop(&d);
    maps_free(&m);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_SQLITE(a_wildcard_becomes_a_regular_expression),
        STORE_SQLITE(a_range_becomes_the_blocks_that_are_in_it),
        STORE_SQLITE(a_path_names_a_map_or_none),
        STORE(each_list_says_what_it_can_and_counts_the_rest),
        STORE(an_allow_that_wants_proof_stands_in_the_proven_lists_alone),
        STORE(what_does_not_act_is_in_no_list),
        STORE(global_policies_are_in_the_lists_where_they_act),
        STORE(the_settings_map_has_the_thresholds_of_each_active_domain),
        STORE(what_has_not_changed_is_known_by_its_validators),
        STORE(a_map_is_made_again_when_a_rule_in_it_lapses),
    };

    return run_on_both(tests, COUNT(tests));
}
