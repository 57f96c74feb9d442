/* tests/unit/rules_import.c - lists as other programs and people write them. */
#include "rules/import.h"

#include "rules.h"

/* Each line of the text comes to: "action kind entry,entry" and what else it says, "-" nothing, "?" unsayable, "!why". */
static const struct {
    const char        *holds;
    enum import_format format;
    const char        *action, *kind, *text, *found;
} cases[] = {
    {"a preference of each kind", IMPORT_SPAMASSASSIN, NULL, NULL,
     "welcomelist_from a@x.example *@y.example\nwhitelist_auth x.example\nblacklist_from\tspam@*  # why\nblocklist_to "
     "u@x.example",
     "allow sender a@x.example,*@y.example|allow sender x.example|block sender spam@*|block recipient u@x.example"},
    {"what a list says and no rule can is told apart from what is no list", IMPORT_SPAMASSASSIN, NULL, NULL,
     "required_score 5\nunwelcomelist_from a@x.example\n# blocklist_from a@x.example\n\nblocklist_from", "-|?|-|-|?"},
    {"a map of addresses, domains and networks", IMPORT_MAP, "block", NULL,
     "a@x.example\n@y.example 10\n192.0.2.0/24\n# nobody\n\n/^a b@/\nz.test # why",
     "block sender a@x.example|block sender *@y.example|block ip 192.0.2.0/24|-|-|block sender /^a b@/|block sender "
     "z.test"},
    {"a map of subjects", IMPORT_MAP, "block", "subject", "lottery\n/^win [0-9]+/",
     "block subject lottery|block subject regex ^win [0-9]+"},
    {"a map that says nothing", IMPORT_MAP, NULL, NULL, "x.example", "!allows or blocks"},
    {"a table with a heading", IMPORT_CSV, NULL, NULL,
     "\xef\xbb\xbf"
     "Entry;Action;Note;Name\r\n\"a@x.example\";BLOCK;\"a; \"\"b\"\"\";Pests\r\n192.0.2.1;allow;;",
     "-|block sender a@x.example name=Pests note=a; \"b\"|allow ip 192.0.2.1"},
    {"a table without one", IMPORT_CSV, NULL, NULL, "block,x.example,Mine\nallow,y.example",
     "block sender x.example name=Mine|allow sender y.example"},
    {"one column", IMPORT_CSV, "allow", NULL, "\"x.example\"\ny.example",
     "allow sender x.example|allow sender y.example"},
    {"what keeps a table from computing goes again", IMPORT_CSV, "block", NULL, "entry,action\n'@x.example,",
     "-|!nobody stands before"},
    {"dates and proof", IMPORT_CSV, NULL, NULL,
     "action,entry,expires_at,require_proof\nallow,x.example,2031-01-01T00:00:00Z,no",
     "-|allow sender x.example until=1924992000 unproven"},
    {"a cell that does not end", IMPORT_CSV, "block", NULL, "entry,note\nx.example,\"no end",
     "-|!does not end on this line"},
    {"a cell that ends and goes on", IMPORT_CSV, "block", NULL, "entry,note\n\"x.example\"y,z",
     "-|!behind a quoted cell"},
    {"more cells than columns", IMPORT_CSV, "block", NULL, "entry\nx.example,y", "-|!more cells"},
    {"a kind that a row cannot have", IMPORT_CSV, "block", NULL, "entry,kind\nx,body", "-|!not \"body\""},
    {"a wrong entry is named in the words of the line", IMPORT_MAP, "block", NULL, "a@",
     "!character 2: no domain stands behind"},
    {"what is not UTF-8", IMPORT_MAP, "block", NULL, "a@x\xff.example", "!not UTF-8"},
    {"rules as we write them", IMPORT_JSON, NULL, NULL,
     "{\"action\":\"block\",\"scope\":\"global\",\"policy\":\"P\",\"conditions\":[{\"kind\":\"sender\",\"any\":[\"x."
     "example\"]}]}\n{\"action\":1}",
     "block sender x.example scope=global policy=P|!action"},
};

static void put_rule(struct buf *b, const struct rule *r, struct span scope, struct span policy)
{
    const struct condition *c = &r->conditions[0];

    buf_printf(b, "%s %s%s ", rule_action_word(r->action), condition_kind_word(c->kind),
               c->match == MATCH_REGEX ? " regex" : "");
    for (size_t i = 0; i < c->nany; i++)
        buf_printf(b, "%s%.*s", i > 0 ? "," : "", SPAN_ARG(c->any[i].written));
    if (r->name.n > 0)
        buf_printf(b, " name=%.*s", SPAN_ARG(r->name));
    if (r->note.n > 0)
        buf_printf(b, " note=%.*s", SPAN_ARG(r->note));
    if (r->expires_us != 0)
        buf_printf(b, " until=%lld", (long long)(r->expires_us / 1000000));
    if (scope.n > 0)
        buf_printf(b, " scope=%.*s", SPAN_ARG(scope));
    if (policy.n > 0)
        buf_printf(b, " policy=%.*s", SPAN_ARG(policy));
    buf_puts(b, r->require_proof ? "" : " unproven");
}

static void check_line(const char *holds, struct import_reader *r, struct span line, struct span want)
{
    struct arena     *a = arena_of_test();
    struct rule_check check = {.may_regex = true, .freemail_confirmed = true};
    struct span       scope, policy;
    struct rule       rule;
    struct err        e = ERR_INIT;
    struct buf        b;
    int               rc = import_line(r, line, a, &check, &rule, &scope, &policy, &e);

    if (rc < 0) {
        CHECK(holds, span_starts(want, SPAN("!")));
        check_err(holds, &e, arena_str(a, span_skip(want, 1)));
        return;
    }
    buf_init(&b, 4000);
    if (rc == IMPORT_RULE)
        put_rule(&b, &rule, scope, policy);
    else
        buf_putc(&b, rc == IMPORT_NOTHING ? '-' : '?');
    check_text(holds, buf_span(&b), arena_str(a, want));
    buf_fini(&b);
}

static void lines_become_rules(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct import_reader r;
        struct span          text = span_of(cases[i].text), found = span_of(cases[i].found), line, want;

        import_init(&r, cases[i].format, cases[i].action, cases[i].kind);
        while (span_line(&text, &line)) {
            CHECK(cases[i].holds, span_next(&found, '|', &want));
            check_line(cases[i].holds, &r, line, want);
        }
        CHECK(cases[i].holds, !span_next(&found, '|', &want));
        import_fini(&r);
    }
}

static void what_a_list_is_can_be_told(void **unused)
{
    static const struct {
        const char        *text;
        enum import_format is;
    } texts[] = {
        {"\n{\"action\":\"block\"}", IMPORT_JSON},
        {"# my list\na@x.example\n@y.example\n192.0.2.0/24\n", IMPORT_MAP},
        {"/^a{1,3}@/\nb@x.example", IMPORT_MAP},
        {"required_score 5.0\nwelcomelist_from a@x.example, b@x.example\n", IMPORT_SPAMASSASSIN},
        {"\tblacklist_from\ta@x.example", IMPORT_SPAMASSASSIN},
        {"action;entry\nblock;x.example", IMPORT_CSV},
        {"entry\nx.example", IMPORT_CSV},
        {"\"x.example\"\n", IMPORT_CSV},
        {"", IMPORT_MAP},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(texts); i++)
        CHECK(texts[i].text, import_guess(span_of(texts[i].text)) == texts[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_rules),
        cmocka_unit_test(what_a_list_is_can_be_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
