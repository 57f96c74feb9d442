#include "rules/origin.h"

#include "rules.h"

static const struct ip_block relays[] = {
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 0}},
     {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 255, 255, 255}}},
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0}},
     {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 255}}},
};
static const struct origin_trust trust = {relays, COUNT(relays), {"mx.ours.example", 15}};

#define BY(ip) "Received: from a.example (a.example [" ip "]) by b.example; Sat, 21 Nov 2026 10:00:00 +0000\r\n"
#define NO_IP "Received: by b.example (Postfix, from userid 0); Sat, 21 Nov 2026 10:00:00 +0000\r\n"
#define END "Subject: x\r\n\r\nbody\r\n"

/* ---- The client ---------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct { const char *holds, *stated, *message, *client; } clients[] = {
    {"a stranger who is stated is the client", "192.0.2.7", BY("198.51.100.1") END, "192.0.2.7"},
    {"behind a relay, the one it names", "10.0.0.1", BY("192.0.2.7") BY("198.51.100.1") END, "192.0.2.7"},
    {"behind two relays", "127.0.0.1", BY("10.0.0.2") BY("192.0.2.7") BY("198.51.100.1") END, "192.0.2.7"},
    {"nobody outside: the stated one", "10.0.0.1", BY("10.0.0.2") BY("127.0.0.1") END, "10.0.0.1"},
    {"no Received at all: the stated one", "10.0.0.1", END, "10.0.0.1"},
    {"a line that names nobody ends it", "10.0.0.1", NO_IP BY("192.0.2.7") END, "10.0.0.1"},
    {"IPv6", "127.0.0.1", BY("IPv6:2001:db8::7") END, "2001:db8::7"},
    {"lines of the body are no Received lines", "10.0.0.1", END BY("192.0.2.7"), "10.0.0.1"},
};
/* clang-format on */

static void the_client_is_the_first_stranger_whom_trusted_relays_name(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(clients); i++) {
        struct arena   *a = arena_of_test();
        struct message *m = message_open(span_of(clients[i].message), a);
        struct ip       stated, got;
        char            text[IP_TEXT];

        CHECK("stated", ip_parse(span_of(clients[i].stated), false, &stated));
        CHECK(clients[i].holds, origin_client(&trust, m, true, &stated, &got));
        ip_format(&got, text);
        check_text(clients[i].holds, span_of(text), clients[i].client);
        CHECK("nothing stated, nothing known", !origin_client(&trust, m, false, &stated, &got));
    }
}

/* clang-format off */
static const struct { const char *holds, *ip, *host, *helo, *message, *is_host, *is_helo; bool no_host; } names[] = {
    {"names are read without case", "192.0.2.7", "MX.Partner.Example.", " Helo.Example ", END, "mx.partner.example", "helo.example", false},
    {"no name has several words", "192.0.2.7", "unknown", "[192.0.2.7]", END, "", "[192.0.2.7]", true},
    {"in angles too", "192.0.2.7", "<UNKNOWN>", "", END, "", "", true},
    {"nor is an address in brackets one", "192.0.2.7", "[192.0.2.7]", "x", END, "", "x", true},
    {"the names of a relay are not those of whom it names", "10.0.0.1", "relay.ours.example", "relay", BY("192.0.2.7") END, "", "", false},
    {"a relay that speaks for itself keeps them", "10.0.0.1", "relay.ours.example", "relay", END, "relay.ours.example", "relay", false},
    {"names without an address are the client's", "", "mx.partner.example", "x", END, "mx.partner.example", "x", false},
};
/* clang-format on */

static void a_client_has_its_own_names_alone(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct arena        *a = arena_of_test();
        struct facts         f = {.arena = a, .message = message_open(span_of(names[i].message), a)};
        struct origin_stated s = {span_of(names[i].ip), span_of(names[i].host), span_of(names[i].helo)};

        origin_facts(&trust, &s, &f);
        check_text(names[i].holds, f.host, names[i].is_host);
        check_text(names[i].holds, f.helo, names[i].is_helo);
        CHECK(names[i].holds, f.no_host == names[i].no_host);
        CHECK(names[i].holds, f.has_ip == (names[i].ip[0] != '\0') && f.proof.can_prove);
    }
}

static const struct {
    const char *holds, *route, *name, *ip;
} routes[] = {
    {"a URL", "smtp://MX.inner.example:25", "mx.inner.example", ""},
    {"with a path", "lmtp://mx.inner.example/x", "mx.inner.example", ""},
    {"a name alone", "mx.inner.example", "mx.inner.example", ""},
    {"an address with a port", "192.0.2.1:25", "", "192.0.2.1"},
    {"IPv6 in brackets", "smtp://[2001:db8::1]:25", "", "2001:db8::1"},
    {"with a login and a query", "smtps://relay:se:cret@mx.inner.example:465?bypass=on", "mx.inner.example", ""},
    {"with a query alone", "smtp://mx.inner.example?bypass=on", "mx.inner.example", ""},
    {"IPv6 alone", "2001:db8::1", "", "2001:db8::1"},
    {"nothing", "", "", ""},
};

static void the_next_hop_is_the_host_of_the_route(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(routes); i++) {
        struct rcpt_facts r = {.has_nexthop_ip = false};
        char              ip[IP_TEXT] = "";

        origin_nexthop(span_of(routes[i].route), arena_of_test(), &r);
        if (r.has_nexthop_ip)
            ip_format(&r.nexthop_ip, ip);
        check_text(routes[i].holds, r.nexthop, routes[i].name);
        check_text(routes[i].holds, span_of(ip), routes[i].ip);
    }
}

static void no_more_than_50_received_lines_are_followed(void **unused)
{
    struct arena   *a = arena_of_test();
    struct ip       stated, got;
    struct buf      b;
    struct message *m;

    (void)unused;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 50; i++)
        buf_puts(&b, BY("10.0.0.9"));
    buf_puts(&b, BY("192.0.2.7") END);
    m = message_open(buf_span(&b), a);
    CHECK("stated", ip_parse(SPAN("10.0.0.1"), false, &stated));
    CHECK("the stated one", origin_client(&trust, m, true, &stated, &got) && ip_cmp(&stated, &got) == 0);
    buf_fini(&b);
}

/* ---- Authentication-Results ---------------------------------------------------------------------------------- */

#define AR(text) "Authentication-Results: " text "\r\n"
#define OURS "mx.ours.example; "
/* clang-format off */
/* What was gathered, as text: "dmarc:domain spf:domain dkim:d dkim:d". */
static const struct { const char *holds, *stated, *message, *proof; size_t fields; } results[] = {
    {"all methods in one field", "192.0.2.7",
     AR(OURS "dmarc=pass header.from=a.example; spf=pass smtp.mailfrom=x@b.example; dkim=pass header.d=c.example header.s=s1") END,
     "dmarc:a.example spf:b.example dkim:c.example", 1},
    {"in several fields", "192.0.2.7", AR(OURS "dkim=pass header.d=c.example") AR(OURS "dkim=pass header.d=D.example") END,
     "dkim:c.example dkim:d.example", 2},
    {"only what passed", "192.0.2.7",
     AR(OURS "dmarc=fail header.from=a.example; spf=softfail smtp.mailfrom=b.example; dkim=none; dkim=pass header.d=c.example") END,
     "dkim:c.example", 1},
    {"only our authserv-id", "192.0.2.7", AR("mx.evil.example; dmarc=pass header.from=a.example") END, "", 0},
    {"not one that starts like ours", "192.0.2.7", AR("mx.ours.example.evil.example; dmarc=pass") END, "", 0},
    {"case does not count", "192.0.2.7", "AUTHENTICATION-RESULTS: MX.ours.EXAMPLE; DMARC=Pass Header.From=A.example\r\n" END, "dmarc:a.example", 1},
    {"comments, folds and a version", "192.0.2.7",
     AR("(c (d) \\) )mx.ours.example 1 (x;y)\r\n\t; dmarc (z) = (q) pass (p=none; dkim=pass header.d=evil.example)\r\n\theader.from=a.example") END,
     "dmarc:a.example", 1},
    {"a version of the method", "192.0.2.7", AR(OURS "spf/1=pass smtp.mailfrom=b.example") END, "spf:b.example", 1},
    {"a reason in quotes says nothing else", "192.0.2.7",
     AR(OURS "spf=fail reason=\"x; dmarc=pass\" smtp.mailfrom=b.example; dkim=pass reason=\"ok\" header.d=c.example") END,
     "dkim:c.example", 1},
    {"the HELO where there is no sender", "192.0.2.7", AR(OURS "spf=pass smtp.helo=h.example") END, "spf:h.example", 1},
    {"the sender counts, not the HELO", "192.0.2.7", AR(OURS "spf=pass smtp.helo=h.example smtp.mailfrom=x@b.example") END, "spf:b.example", 1},
    {"a value may hold an equals sign", "192.0.2.7", AR(OURS "spf=pass smtp.mailfrom=SRS0=ab=cd=a.example=x@b.example") END, "spf:b.example", 1},
    {"a quoted local part names no domain", "192.0.2.7", AR(OURS "spf=pass smtp.mailfrom=\"x@bank.example\"@evil.example") END, "spf:evil.example", 1},
    {"nor does one that a careless server did not quote", "192.0.2.7", AR(OURS "spf=pass smtp.mailfrom=a\"x@bank.example\"@evil.example") END, "", 0},
    {"header.i where there is no header.d", "192.0.2.7", AR(OURS "dkim=pass header.i=@c.example") END, "dkim:c.example", 1},
    {"none", "192.0.2.7", AR(OURS "none") END, "", 1},
    {"an open quote spoils the whole field", "192.0.2.7", AR(OURS "dmarc=pass header.from=a.example; dkim=pass reason=\"x") END, "", 0},
    {"an open comment too", "192.0.2.7", AR(OURS "dmarc=pass header.from=a.example; dkim=pass (x") END, "", 0},
    {"the topmost counts", "192.0.2.7", AR(OURS "spf=pass smtp.mailfrom=b.example") AR(OURS "spf=pass smtp.mailfrom=c.example") END, "spf:b.example", 2},
    {"what no domain can be is no proof", "192.0.2.7", AR(OURS "dkim=pass header.d=a..b; spf=pass smtp.mailfrom=\"\"") END, "", 1},
    {"below a line about a stranger stands what the stranger sent", "192.0.2.7", BY("192.0.2.7") AR(OURS "dmarc=pass header.from=a.example") END, "", 0},
    {"also behind a relay", "10.0.0.1", BY("192.0.2.7") AR(OURS "dmarc=pass header.from=a.example") END, "", 0},
    {"between two lines of relays it is ours", "10.0.0.1", BY("10.0.0.2") AR(OURS "dmarc=pass header.from=a.example") BY("192.0.2.7") END, "dmarc:a.example", 1},
    {"a stranger's line about a relay opens nothing", "192.0.2.7", BY("10.0.0.2") AR(OURS "dmarc=pass header.from=a.example") END, "", 0},
    {"nor does one that names nobody", "10.0.0.1", NO_IP AR(OURS "dmarc=pass header.from=a.example") END, "", 0},
};
/* clang-format on */

static void proof_text(const struct proof *p, char *out, size_t max)
{
    size_t n = 0;

    out[0] = '\0';
    if (p->dmarc_pass)
        n += (size_t)snprintf(out + n, max - n, "dmarc:%.*s ", SPAN_ARG(p->dmarc_domain));
    if (p->spf_domain.n > 0)
        n += (size_t)snprintf(out + n, max - n, "spf:%.*s ", SPAN_ARG(p->spf_domain));
    for (size_t i = 0; i < p->ndkim; i++)
        n += (size_t)snprintf(out + n, max - n, "dkim:%.*s ", SPAN_ARG(p->dkim[i]));
    if (n > 0)
        out[n - 1] = '\0';
}

static void only_our_own_results_prove_anything(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(results); i++) {
        struct arena   *a = arena_of_test();
        struct message *m = message_open(span_of(results[i].message), a);
        struct proof    p = {0};
        struct ip       stated;
        char            text[1000];
        size_t          fields;

        CHECK("stated", ip_parse(span_of(results[i].stated), false, &stated));
        fields = origin_authres(&trust, m, true, &stated, a, &p);
        proof_text(&p, text, sizeof text);
        check_text(results[i].holds, span_of(text), results[i].proof);
        CHECK(results[i].holds, fields == results[i].fields && p.can_prove);
    }
}

static void without_an_authserv_id_nothing_can_be_proven(void **unused)
{
    struct origin_trust none = {relays, COUNT(relays), SPAN_NONE};
    struct arena       *a = arena_of_test();
    struct message     *m = message_open(SPAN(AR("; dmarc=pass header.from=a.example") END), a);
    struct proof        p = {0};

    (void)unused;
    CHECK("nothing", origin_authres(&none, m, false, NULL, a, &p) == 0 && !p.can_prove && !p.dmarc_pass);
}

/* Any bytes: it ends, and finds nothing that is no domain. */
static void damaged_results_do_no_harm(void **unused)
{
    static const char *const parts[] = {"mx.ours.example", ";",         "=", "(", ")",     "\"", "\\", "pass", "dkim",
                                        "header.d",        "a.example", " ", "@", "\r\n ", "/"};
    uint64_t                 seed = 5;
    size_t                   counted = 0;

    (void)unused;
    for (size_t round = 0; round < 20000; round++) {
        char            text[600] = "Authentication-Results: mx.ours.example;";
        size_t          n = random_below(&seed, 30);
        struct arena   *a = arena_of_test();
        struct proof    p = {0};
        struct message *m;

        while (n-- > 0)
            strcat(text, parts[random_below(&seed, COUNT(parts))]);
        strcat(text, "\r\n\r\n");
        m = message_open(span_of(text), a);
        counted += origin_authres(&trust, m, false, NULL, a, &p);
        for (size_t i = 0; i < p.ndkim; i++)
            CHECK(text, p.dkim[i].n > 0 && span_find(p.dkim[i], SPAN("\"")) == p.dkim[i].n);
    }
    CHECK("some counted, some did not", counted > 500 && counted < 19500);
}

/* ---- Proof --------------------------------------------------------------------------------------------------- */

static void proof_is_for_the_same_organisation(void **unused)
{
    static const struct {
        const char *holds, *dmarc, *spf, *dkim, *sender;
        bool        covers;
    } rows[] = {
        {"DMARC for the domain", "partner.example", "", "", "partner.example", true},
        {"DMARC for another domain", "evil.example", "", "", "partner.example", false},
        {"DKIM by the domain", "", "", "partner.example", "partner.example", true},
        {"DKIM by the organisation", "", "", "mail.partner.example", "news.partner.example", true},
        {"DKIM by somebody else", "", "", "evil.example", "partner.example", false},
        {"the same public suffix is not the same organisation", "", "", "evil.co.uk", "partner.co.uk", false},
        {"SPF for the organisation", "", "bounces.partner.co.uk", "", "partner.co.uk", true},
        {"SPF for somebody else", "", "evil.example", "", "partner.example", false},
        {"nothing at all", "", "", "", "partner.example", false},
        {"nobody", "", "partner.example", "", "", false},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct span    dkim = span_of(rows[i].dkim);
        struct proof   p = {.can_prove = true,
                            .dmarc_pass = rows[i].dmarc[0] != 0,
                            .dmarc_domain = span_of(rows[i].dmarc),
                            .spf_domain = span_of(rows[i].spf),
                            .dkim = &dkim,
                            .ndkim = dkim.n > 0};
        struct address sender = {.local = SPAN("bob"), .domain = span_of(rows[i].sender), .full = SPAN("bob@x")};

        CHECK(rows[i].holds, proof_covers(&p, &sender) == rows[i].covers);
    }
}

static void the_direction_is_nothing_that_a_stranger_can_claim(void **unused)
{
    (void)unused;
    CHECK("inbound", origin_direction(false, false, true) == DIRECTION_INBOUND);
    CHECK("a sender address of ours proves nothing", origin_direction(false, true, true) == DIRECTION_INBOUND);
    CHECK("local", origin_direction(true, true, true) == DIRECTION_LOCAL);
    CHECK("outbound, signed in", origin_direction(true, false, false) == DIRECTION_OUTBOUND);
    CHECK("outbound, ours", origin_direction(false, true, false) == DIRECTION_OUTBOUND);
    CHECK("neither is ours", origin_direction(false, false, false) == DIRECTION_INBOUND);
}

/* ---- X-Envelope lines ---------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct { const char *holds, *raw, *from, *to, *rest; } envelopes[] = {
    {"both", "X-Envelope-From: <a@b.example>\r\nX-Envelope-To: c@d.example\r\nSubject: x\r\n\r\n", "<a@b.example>", "c@d.example|", "Subject: x\r\n\r\n"},
    {"in any order and case", "x-envelope-to: c@d.example\nX-ENVELOPE-FROM:a@b.example\nSubject: x\n\n", "a@b.example", "c@d.example|", "Subject: x\n\n"},
    {"behind an mbox line", "From a@b.example Sat Nov 21\nX-Envelope-To: c@d.example\n\nbody", NULL, "c@d.example|", "\nbody"},
    {"several lines and lists", "X-Envelope-To: a@b.example, \"c, d\"@e.example,,\r\n  f@g.example\r\nX-Envelope-To: h@i.example\r\nX: y\r\n", NULL,
     "a@b.example|\"c, d\"@e.example|f@g.example|h@i.example|", "X: y\r\n"},
    {"the null sender", "X-Envelope-From: <>\r\n\r\n", "<>", "", "\r\n"},
    {"the first sender counts", "X-Envelope-From: <>\r\nX-Envelope-From: a@b.example\r\n\r\n", "<>", "", "\r\n"},
    {"only at the very top", "Subject: x\r\nX-Envelope-To: c@d.example\r\n\r\n", NULL, "", "Subject: x\r\nX-Envelope-To: c@d.example\r\n\r\n"},
    {"not a longer name", "X-Envelope-To-Me: c@d.example\r\n\r\n", NULL, "", "X-Envelope-To-Me: c@d.example\r\n\r\n"},
    {"an empty message", "", NULL, "", ""},
    {"nothing behind", "X-Envelope-To: c@d.example", NULL, "c@d.example|", ""},
};
/* clang-format on */

static void envelope_lines_at_the_top_are_taken_off(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(envelopes); i++) {
        struct envelope_lines e;
        struct span           rest;
        struct buf            b;

        buf_init(&b, 1000);
        CHECK(envelopes[i].holds, origin_envelope_lines(span_of(envelopes[i].raw), arena_of_test(), &e, &rest) == 0);
        CHECK(envelopes[i].holds, e.has_from == (envelopes[i].from != NULL));
        if (e.has_from)
            check_text(envelopes[i].holds, e.from, envelopes[i].from);
        for (size_t k = 0; k < e.nto; k++) {
            buf_put(&b, e.to[k]);
            buf_putc(&b, '|');
        }
        check_text(envelopes[i].holds, buf_span(&b), envelopes[i].to);
        check_text(envelopes[i].holds, rest, envelopes[i].rest);
        buf_fini(&b);
    }
}

#define MILTER_TOP "X-Envelope-From: <a@b.example>\r\nX-Envelope-To: <c@d.example>\r\n"
#define MILTER_RECEIVED                                                                                                \
    "Received: from helo (mx.b.example [192.0.2.7])\r\n\tby mx.example (Postfix) with SMTP id x\r\n\tnow;\r\n"

/* clang-format off */
static const struct { const char *holds, *raw, *to, *ip, *rest; } milters[] = {
    {"one recipient", MILTER_TOP MILTER_RECEIVED "Subject: x\r\n\r\n", "<c@d.example>|", "192.0.2.7", "Subject: x\r\n\r\n"},
    {"further ones behind its Received line", MILTER_TOP MILTER_RECEIVED "X-Envelope-To: <e@f.example>\r\nX-Envelope-To: <g@h.example>\r\nSubject: x\r\n\r\n",
     "<c@d.example>|<e@f.example>|<g@h.example>|", "192.0.2.7", "Subject: x\r\n\r\n"},
    {"one Received line alone is its own", MILTER_TOP MILTER_RECEIVED MILTER_RECEIVED "X-Envelope-To: <e@f.example>\r\n\r\n", "<c@d.example>|", "192.0.2.7",
     MILTER_RECEIVED "X-Envelope-To: <e@f.example>\r\n\r\n"},
    {"a HELO with brackets of its own", MILTER_TOP "Received: from ([198.51.100.1]) (mx.b.example [192.0.2.7])\r\n\tby mx\r\nX: y\r\n", "<c@d.example>|", "192.0.2.7", "X: y\r\n"},
    {"a Received line without the client", MILTER_TOP "Received: from somewhere\r\nX: y\r\n", "<c@d.example>|", "", "X: y\r\n"},
    {"no lines at the top: none is ours", MILTER_RECEIVED "X-Envelope-To: <e@f.example>\r\n\r\n", "", "", MILTER_RECEIVED "X-Envelope-To: <e@f.example>\r\n\r\n"},
};
/* clang-format on */

static void lines_of_spamass_milter_are_taken_off(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(milters); i++) {
        struct envelope_lines e;
        struct span           rest;
        struct buf            b;

        buf_init(&b, 1000);
        CHECK(milters[i].holds, origin_milter_lines(span_of(milters[i].raw), arena_of_test(), &e, &rest) == 0);
        for (size_t k = 0; k < e.nto; k++) {
            buf_put(&b, e.to[k]);
            buf_putc(&b, '|');
        }
        check_text(milters[i].holds, buf_span(&b), milters[i].to);
        check_text(milters[i].holds, e.ip, milters[i].ip);
        check_text(milters[i].holds, rest, milters[i].rest);
        buf_fini(&b);
    }
}

static void too_many_recipients_are_refused(void **unused)
{
    struct envelope_lines e;
    struct span           rest;
    struct buf            b;

    (void)unused;
    buf_init(&b, 1 << 20);
    buf_puts(&b, "X-Envelope-To: a@b.example");
    for (int i = 1; i < ADDRESS_LIST_MAX; i++)
        buf_puts(&b, ",a@b.example");
    CHECK("as many as there may be",
          origin_envelope_lines(buf_span(&b), arena_of_test(), &e, &rest) == 0 && e.nto == ADDRESS_LIST_MAX);
    buf_puts(&b, ",a@b.example");
    CHECK("one more", origin_envelope_lines(buf_span(&b), arena_of_test(), &e, &rest) < 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_is_the_first_stranger_whom_trusted_relays_name),
        cmocka_unit_test(a_client_has_its_own_names_alone),
        cmocka_unit_test(the_next_hop_is_the_host_of_the_route),
        cmocka_unit_test(no_more_than_50_received_lines_are_followed),
        cmocka_unit_test(only_our_own_results_prove_anything),
        cmocka_unit_test(without_an_authserv_id_nothing_can_be_proven),
        cmocka_unit_test(damaged_results_do_no_harm),
        cmocka_unit_test(proof_is_for_the_same_organisation),
        cmocka_unit_test(the_direction_is_nothing_that_a_stranger_can_claim),
        cmocka_unit_test(envelope_lines_at_the_top_are_taken_off),
        cmocka_unit_test(lines_of_spamass_milter_are_taken_off),
        cmocka_unit_test(too_many_recipients_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
