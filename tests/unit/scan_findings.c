/* What a scanner's symbols mean: who is proven to have sent it, and what no allow lifts. */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "scan/findings.h"

static struct arena arena;

/* "NAME=score[option;option] NAME …" */
static struct scanner_answer answer_of(const char *text, bool spamd)
{
    struct rspamd_symbol *symbols = arena_array(&arena, 20, sizeof *symbols);
    struct scanner_answer a = {.spamd = spamd, .envelope_told = true, .reply = {.symbols = symbols}};
    struct span           rest = span_of(text), word, name, option;

    while (span_next(&rest, ' ', &word) && word.n > 0) {
        struct span           options = span_skip(word, span_chr(word, '[') + 1);
        struct span           head = span_head(word, span_chr(word, '['));
        struct span          *list = arena_array(&arena, 10, sizeof *list);
        struct rspamd_symbol *s = &symbols[a.reply.nsymbols++];

        span_next(&head, '=', &name);
        *s = (struct rspamd_symbol){.name = name, .options = list, .score = head.p != NULL ? strtod(head.p, NULL) : 0};
        options.n -= options.n > 0;
        while (options.n > 0 && span_next(&options, ';', &option))
            list[s->noptions++] = option;
        a.reply.score += s->score;
    }
    return a;
}

static const struct {
    const char *holds, *symbols, *from, *helo, *dkim, *spf;
    bool        spamd, dmarc;
    const char *dmarc_domain;
} proofs[] = {
    {"a valid signature proves its domain", "DKIM_TRACE[b.example:+]", "", "", "b.example", "", false, false, ""},
    {"others do not", "DKIM_TRACE[b.example:-;c.example:~;d.example:?]", "", "", "", "", false, false, ""},
    {"each of several", "DKIM_TRACE[B.example:+;c.example:-;d.example:+]", "", "", "b.example d.example", "", false,
     false, ""},
    {"the other symbol says the same", "R_DKIM_ALLOW[b.example:s=sel] DKIM_TRACE[b.example:+]", "", "", "b.example", "",
     false, false, ""},
    {"a signer cannot name another in d=", "R_DKIM_ALLOW[bank.example:s=x.evil.example:s=sel]", "", "", "", "", false,
     false, ""},
    {"nor in the trace", "DKIM_TRACE[bank.example:+.evil.example:-;bank.example:+x]", "", "", "", "", false, false, ""},
    {"nor by what is no domain", "DKIM_TRACE[:+;a..b:+;b.example/x:+;@:+]", "", "", "", "", false, false, ""},
    {"a signature that failed is none", "R_DKIM_REJECT[b.example:s=x] R_DKIM_NA", "", "", "", "", false, false, ""},
    {"SPF proves the envelope", "R_SPF_ALLOW[+ip4:192.0.2.1]", "B.example", "mx.c.example", "", "b.example", false,
     false, ""},
    {"or the HELO of the null sender", "R_SPF_ALLOW[+mx]", "", "mx.c.example", "", "mx.c.example", false, false, ""},
    {"a soft failure proves nothing", "R_SPF_SOFTFAIL", "b.example", "", "", "", false, false, ""},
    {"DMARC proves the author", "DMARC_POLICY_ALLOW[b.example;none]", "", "", "", "", false, true, "b.example"},
    {"a policy that is not met does not", "DMARC_POLICY_REJECT[b.example;x] DMARC_NA", "", "", "", "", false, false,
     ""},
    {"SpamAssassin's words are not Rspamd's", "DKIM_VALID_AU SPF_PASS DMARC_PASS", "b.example", "", "", "", false,
     false, ""},
    {"nor the other way round", "R_SPF_ALLOW DMARC_POLICY_ALLOW[b.example] DKIM_TRACE[b.example:+]", "b.example", "",
     "", "", true, false, ""},
    {"SpamAssassin: the author's signature", "DKIM_SIGNED DKIM_VALID DKIM_VALID_AU", "b.example", "", "", "", true,
     true, ""},
    {"SpamAssassin: somebody's signature", "DKIM_SIGNED DKIM_VALID", "b.example", "", "", "", true, false, ""},
    {"SpamAssassin: the envelope's signature", "DKIM_VALID DKIM_VALID_EF", "b.example", "", "b.example", "", true,
     false, ""},
    {"SpamAssassin: SPF", "SPF_PASS SPF_HELO_PASS", "b.example", "mx.c.example", "", "b.example", true, false, ""},
    {"SpamAssassin: SPF of the null sender", "SPF_PASS SPF_HELO_PASS", "", "mx.c.example", "", "mx.c.example", true,
     false, ""},
    {"SpamAssassin: HELO proves no envelope", "SPF_HELO_PASS", "b.example", "mx.c.example", "", "", true, false, ""},
    {"SpamAssassin: DMARC", "DMARC_PASS", "b.example", "", "", "", true, true, ""},
};

static void check_proof(const char *holds, const struct proof *p, const char *dkim, const char *spf)
{
    struct span rest = span_of(dkim), one;
    size_t      n = 0;

    CHECK(holds, p->can_prove);
    CHECK(holds, span_is(p->spf_domain, spf));
    for (; rest.n > 0 && span_next(&rest, ' ', &one); n++)
        CHECK(holds, n < p->ndkim && span_eq(p->dkim[n], one));
    CHECK(holds, p->ndkim == n);
}

static void symbols_prove_whom_they_name_and_nobody_else(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(proofs); i++) {
        struct scanner_answer a = answer_of(proofs[i].symbols, proofs[i].spamd);
        struct proof          p = {.can_prove = false};

        findings_proof(&a, span_of(proofs[i].from), span_of(proofs[i].helo), &arena, &p);
        check_proof(proofs[i].holds, &p, proofs[i].dkim, proofs[i].spf);
        CHECK(proofs[i].holds, p.dmarc_pass == proofs[i].dmarc && span_is(p.dmarc_domain, proofs[i].dmarc_domain));
    }
}

static void what_the_scanner_took_from_the_message_proves_no_envelope(void **unused)
{
    static const struct {
        const char *symbols;
        bool        spamd;
    } cases[] = {{"R_SPF_ALLOW DMARC_POLICY_ALLOW[b.example]", false}, {"SPF_PASS DMARC_PASS DKIM_VALID_EF", true}};

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scanner_answer a = answer_of(cases[i].symbols, cases[i].spamd);
        struct proof          p = {.can_prove = false};

        a.envelope_told = false;
        findings_proof(&a, SPAN("b.example"), SPAN("mx.b.example"), &arena, &p);
        check_proof(cases[i].symbols, &p, "", "");
        assert_false(p.dmarc_pass);
    }
}

static void only_a_sender_that_all_read_alike_is_plain(void **unused)
{
    static const char *const plain[] = {"",       "<>",           "<a@b.example>",
                                        "a@b.ex", "<a.b@b-c.ex>", "<SRS0=x=y=c.example=u+1/2@b.example>"};
    static const char *const odd[] = {
        "<a..b@b.example>",
        "<.a@b.example>",
        "<a.@b.example>",
        "<\xc3\xbc@b.example>",
        "<a@b\xc3\xbc.example>",
        "<a[b@b.example>",
        "<a b@b.example>",
        "<\"a b\"@b.example>",
        "<a@b@b.example>",
        "<@r.example:a@b.example>",
        "<a>",
        "<a@>",
        "<@b.example>",
        "<a@-b.example>",
        "<a@[192.0.2.1]>",
        "<a@b..example>",
        "<a@b.example",
        "a <a@b.example>",
        "<a@b.example.>",
        "<a\x7f@b.example>",
    };
    char   text[400];
    size_t n;

    (void)unused;
    for (size_t i = 0; i < COUNT(plain); i++)
        CHECK(plain[i], findings_sender_is_plain(span_of(plain[i])));
    for (size_t i = 0; i < COUNT(odd); i++)
        CHECK(odd[i], !findings_sender_is_plain(span_of(odd[i])));
    n = (size_t)snprintf(text, sizeof text, "%0320d@b.example", 0);
    assert_false(findings_sender_is_plain(span_make(text, n)));
    assert_false(findings_sender_is_plain(SPAN("a\0b@b.example")));
}

static void what_is_proven_already_stays(void **unused)
{
    const struct span     before[] = {SPAN("a.example"), SPAN("b.example")};
    struct scanner_answer a = answer_of("DKIM_TRACE[b.example:+;c.example:+] R_SPF_ALLOW DMARC_POLICY_ALLOW[c.example]",
                                        false);
    struct proof          p = {.dmarc_pass = true,
                               .dmarc_domain = SPAN("a.example"),
                               .spf_domain = SPAN("a.example"),
                               .dkim = before,
                               .ndkim = 2};

    (void)unused;
    findings_proof(&a, SPAN("b.example"), SPAN_NONE, &arena, &p);
    check_proof("both", &p, "a.example b.example c.example", "a.example");
    assert_true(p.dmarc_pass && span_is(p.dmarc_domain, "a.example"));
}

static const struct {
    const char *symbol;
    bool        spamd, is;
} protected[] = {
    {"CLAM_VIRUS", false, true},
    {"CLAM_VIRUS_FAIL", false, false},
    {"CLAM_VIRUS_ENCRYPTED", false, true},
    {"CLAM_VIRUS_MACRO", false, true},
    {"CLAMAV", false, true},
    {"CLAMAV_FAIL", false, false},
    {"SOPHOS_VIRUS", false, true},
    {"NOT_A_VIRUS", false, false},
    {"OLETOOLS_MACRO", false, true},
    {"MIME_BAD_EXTENSION", false, true},
    {"MIME_DOUBLE_BAD_EXTENSION", false, true},
    {"MIME_ENCRYPTED_ARCHIVE", false, true},
    {"MIME_GOOD", false, false},
    {"MIME_HTML_ONLY", false, false},
    {"BAYES_SPAM", false, false},
    {"", false, false},
    {"MICROSOFT_EXECUTABLE", false, false},
    {"MICROSOFT_EXECUTABLE", true, true},
    {"CLAMAV", true, true},
    {"CLAM_VIRUS", true, false},
    {"RELAYCOUNTRY_BAD", true, true},
    {"BAYES_99", true, false},
    {"OURS_COUNTRY", false, true},
    {"OURS_COUNTRY", true, true},
    {"ours_country", true, false},
    {"OURS_FAIL", false, true},
};

static void protected_symbols_are_those_of_the_table_and_of_the_settings(void **unused)
{
    const char      *items[] = {"OURS_COUNTRY", "OURS_FAIL"};
    struct conf_list more = {items, 2};

    (void)unused;
    for (size_t i = 0; i < COUNT(protected); i++)
        CHECK(protected[i].symbol,
              findings_protected(span_of(protected[i].symbol), protected[i].spamd, &more) == protected[i].is);
    assert_false(findings_protected(SPAN("OURS_COUNTRY"), false, NULL));
}

static const struct {
    const char        *holds, *symbols;
    enum rspamd_action action;
    const char        *passthrough;
    bool               spamd, names_only;
    double             total, sum;
    bool               reject, defer;
} scores[] = {
    {"spam alone", "BAYES_SPAM=5 X=11", RSPAMD_REJECT, "", false, false, 16, 0, false, false},
    {"a file type among spam", "X=10 MIME_BAD_EXTENSION=4 MIME_DOUBLE_BAD_EXTENSION=3", RSPAMD_REJECT, "", false, false,
     17, 7, false, false},
    {"what speaks for it takes nothing off", "X=-10 MIME_BAD_EXTENSION=4 MIME_BAD=-3", RSPAMD_NO_ACTION, "", false,
     false, -9, 4, false, false},
    {"a reject that the score does not explain", "X=1 MIME_BAD_EXTENSION=4", RSPAMD_REJECT, "", false, false, 5, 4,
     true, false},
    {"one that a module forced", "X=20 MIME_BAD_EXTENSION=4", RSPAMD_REJECT, "force_actions", false, false, 24, 4, true,
     false},
    {"one that has nothing to do with it", "X=1", RSPAMD_REJECT, "multimap", false, false, 1, 0, false, false},
    {"a virus, whatever the score", "X=20 CLAM_VIRUS=0", RSPAMD_REJECT, "", false, false, 20, 0, true, false},
    {"a virus that the scanner lets pass", "CLAM_VIRUS=8", RSPAMD_ADD_HEADER, "", false, false, 8, 8, false, false},
    {"a scan for viruses that failed", "X=20 CLAM_VIRUS_FAIL=0", RSPAMD_REJECT, "", false, false, 20, 0, false, false},
    {"SpamAssassin's points", "X=3 MICROSOFT_EXECUTABLE=2", RSPAMD_ADD_HEADER, "", true, false, 5, 2, false, false},
    {"names without points", "CLAMAV=12 X", RSPAMD_ADD_HEADER, "", true, true, 12, 12, false, false},
    {"a scan for viruses that failed, and is wanted again", "X=2 CLAM_VIRUS_FAIL=0", RSPAMD_SOFT_REJECT, "", false,
     false, 2, 0, false, true},
    {"by the module that says so", "CLAM_VIRUS_FAIL=0", RSPAMD_SOFT_REJECT, "force_actions", false, false, 0, 0, false,
     true},
    {"one of the site's own", "OURS_FAIL=0", RSPAMD_SOFT_REJECT, "", false, false, 0, 0, false, true},
    {"a virus that is put off", "CLAM_VIRUS=8", RSPAMD_SOFT_REJECT, "greylist", false, false, 8, 8, false, true},
    {"a file type that is put off", "MIME_BAD_EXTENSION=4", RSPAMD_SOFT_REJECT, "", false, false, 4, 4, false, true},
    {"an engine that says so without a symbol", "X=1", RSPAMD_SOFT_REJECT, "clamav", false, false, 1, 0, false, true},
    {"the scanner's own greylisting is not about it", "CLAM_VIRUS_FAIL=0 MIME_BAD_EXTENSION=4", RSPAMD_SOFT_REJECT,
     "greylist", false, false, 4, 4, false, false},
    {"nor that of one which does not tell the module", "CLAM_VIRUS_FAIL=0 GREYLIST=0[greylisted;Sun;new record]",
     RSPAMD_SOFT_REJECT, "", false, false, 0, 0, false, false},
    {"a greylist that has let it through is no cause", "CLAM_VIRUS_FAIL=0 GREYLIST=0[pass;meta]", RSPAMD_SOFT_REJECT,
     "", false, false, 0, 0, false, true},
    {"nothing of that kind", "X=1", RSPAMD_SOFT_REJECT, "", false, false, 1, 0, false, false},
    {"a failure that the operator lets pass", "CLAM_VIRUS_FAIL=0", RSPAMD_NO_ACTION, "", false, false, 0, 0, false,
     false},
    {"names, and none of them protected", "X=12", RSPAMD_ADD_HEADER, "", true, true, 12, 0, false, false},
};

static void an_allow_lifts_the_spam_and_not_the_rest(void **unused)
{
    const char      *items[] = {"OURS"};
    struct conf_list more = {items, 1};

    (void)unused;
    for (size_t i = 0; i < COUNT(scores); i++) {
        struct scanner_answer a = answer_of(scores[i].symbols, scores[i].spamd);
        struct score_parts    out;

        a.reply.required_score = 15;
        a.reply.action = scores[i].action;
        a.reply.passthrough = span_of(scores[i].passthrough);
        a.names_only = scores[i].names_only;
        findings_score(&a, &more, NULL, &out);
        CHECK(scores[i].holds, out.total == scores[i].total && !out.none);
        CHECK(scores[i].holds, out.protected_sum == scores[i].sum);
        CHECK(scores[i].holds, out.protected_reject == scores[i].reject);
        CHECK(scores[i].holds, out.protected_defer == scores[i].defer);
    }
}

static const struct {
    const char        *holds, *decided, *symbols;
    enum rspamd_action action;
    const char        *passthrough;
    double             sum;
    bool               reject, defer;
} lifted[] = {
    {"what was decided weighs nothing", "MIME_BAD_EXTENSION", "MIME_BAD_EXTENSION=9 X=1", RSPAMD_NO_ACTION, "", 0,
     false, false},
    {"and a reject for it is past", "MIME_BAD_EXTENSION", "MIME_BAD_EXTENSION=4", RSPAMD_REJECT, "force_actions", 0,
     false, false},
    {"what was not still weighs", "MIME_BAD_EXTENSION", "MIME_BAD_EXTENSION=9 MIME_BAD=3", RSPAMD_NO_ACTION, "", 3,
     false, false},
    {"and is still refused", "MIME_BAD_EXTENSION", "MIME_BAD_EXTENSION=9 CLAM_VIRUS=0[Emotet]", RSPAMD_REJECT, "clamav",
     0, true, false},
    {"the confirmed virus", "CLAM_VIRUS[Eicar]", "CLAM_VIRUS=0[Eicar]", RSPAMD_REJECT, "clamav", 0, false, false},
    {"another one", "CLAM_VIRUS[Eicar]", "CLAM_VIRUS=0[Emotet]", RSPAMD_REJECT, "clamav", 0, true, false},
    {"the confirmed virus, put off", "CLAM_VIRUS[Eicar]", "CLAM_VIRUS=0[Eicar]", RSPAMD_SOFT_REJECT, "clamav", 0, false,
     false},
    {"unless somebody could not look", "CLAM_VIRUS[Eicar]", "CLAM_VIRUS=0[Eicar] FPROT_FAIL=0", RSPAMD_SOFT_REJECT,
     "clamav", 0, false, true},
};

static void what_is_decided_counts_as_if_it_had_not_been_found(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(lifted); i++) {
        struct scanner_answer decided = answer_of(lifted[i].decided, false), a = answer_of(lifted[i].symbols, false);
        struct score_parts    out;
        struct lift           lift = {0};

        lift_add(&lift, decided.reply.symbols, decided.reply.nsymbols, false, NULL);
        a.reply.required_score = 15;
        a.reply.action = lifted[i].action;
        a.reply.passthrough = span_of(lifted[i].passthrough);
        findings_score(&a, NULL, &lift, &out);
        CHECK(lifted[i].holds, out.protected_sum == lifted[i].sum);
        CHECK(lifted[i].holds, out.protected_reject == lifted[i].reject);
        CHECK(lifted[i].holds, out.protected_defer == lifted[i].defer);
        CHECK("the score is what it is", out.total == a.reply.score);
    }
}

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_prove_whom_they_name_and_nobody_else),
        cmocka_unit_test(what_the_scanner_took_from_the_message_proves_no_envelope),
        cmocka_unit_test(only_a_sender_that_all_read_alike_is_plain),
        cmocka_unit_test(what_is_proven_already_stays),
        cmocka_unit_test(protected_symbols_are_those_of_the_table_and_of_the_settings),
        cmocka_unit_test(an_allow_lifts_the_spam_and_not_the_rest),
        cmocka_unit_test(what_is_decided_counts_as_if_it_had_not_been_found),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
