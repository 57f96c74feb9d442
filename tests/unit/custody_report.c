/* Reports: the row, the learned sender and the audit, for messages of the log and for those that come with the report. */
#include "custody/report.h"
#include "held_world.h"
#include "store/custody.h"

#define SIGNED "[{\"name\":\"DKIM_TRACE\",\"score\":0.0,\"options\":[\"partner.example:+\"]}]"

struct site {
    struct world       *w;
    struct store       *s;
    struct held_world   h;
    struct uuid         domain, anna, berta;
    struct letter       l;
    struct arena        arena;
    struct origin_trust trust;
    struct ip_block     relays[1];
    struct report_made  made;
};

static const struct conf_list no_scanner;

/* A letter to Anna in the log, signed by its sender. */
static void open_site(struct site *t, struct world *w)
{
    const struct store_message *list[1] = {&t->l.m};

    memset(t, 0, sizeof *t);
    t->w = w;
    t->s = w->more;
    open_held(&t->h, w);
    arena_init(&t->arena, 64 << 20);
    t->domain = add_domain(w, "ours.example");
    t->anna = add_mailbox(w, t->domain, "anna");
    t->berta = add_mailbox(w, t->domain, "berta");
    OK(w, ip_block_parse(SPAN("127.0.0.0/8"), &t->relays[0], &w->e));
    t->trust = (struct origin_trust){t->relays, 1, SPAN("mx.ours.example")};
    a_letter(&t->l);
    t->l.to[0].domain = t->domain;
    t->l.to[0].mailbox = t->anna;
    t->l.m.ndeliveries = 1;
    t->l.m.symbols = SPAN(SIGNED);
    OK(w, store_message_put(t->s, list, 1, &w->e));
}

static void close_site(struct site *t)
{
    arena_fini(&t->arena);
    close_held(&t->h);
}

static int make(struct site *t, const struct report_said *said)
{
    const struct report_site site = {&no_scanner, &t->trust};

    return report_make(t->s, &site, &root, said, &t->arena, &t->made, &t->w->e);
}

/* As somebody says it of the letter in the log. */
static void say(struct site *t, enum report_class class, const char *who)
{
    struct report_said said = {
        .class = class, .who = span_of(who), .channel = SPAN("command"), .recipient = SPAN("anna@ours.example")};

    OK(t->w, report_find(t->s, &t->l.m.uid, &t->arena, &said, &t->w->e));
    OK(t->w, make(t, &said));
}

/* "block billing@partner.example by dmarc; …" */
static int put_entry(void *ctx, const struct store_learned *l)
{
    buf_printf(ctx, "%s %.*s by %.*s;", l->action == RULE_BLOCK ? "block" : "allow", SPAN_ARG(l->sender),
               SPAN_ARG(l->proof));
    return 0;
}

static void check_entries(struct site *t, struct uuid mailbox, const char *want)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    OK(t->w, store_learned_load(t->s, mailbox, clock_wall_us(), put_entry, &b, &t->w->e));
    if (!span_is(buf_span(&b), want))
        fail_msg("entries: \"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&b)), want);
    buf_fini(&b);
}

static int put_report(void *ctx, const struct store_report *r)
{
    buf_printf(ctx, "%s %s %.*s;", report_class_words[r->class], report_state_words[r->state], SPAN_ARG(r->recipient));
    return 0;
}

static void check_reports(struct site *t, const char *want)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    OK(t->w, store_report_list(t->s, store_scope_mailbox(t->anna), 0, 0, put_report, &b, &t->w->e));
    if (!span_is(buf_span(&b), want))
        fail_msg("reports: \"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&b)), want);
    buf_fini(&b);
}

static int count_report(void *ctx, const struct store_audit_row *r)
{
    *(int *)ctx += span_starts(r->action, SPAN("report."));
    return 0;
}

static int audited(struct site *t)
{
    struct store_scope scope = store_scope_mailbox(t->anna);
    int                n = 0;

    OK(t->w, store_audit_list(t->s, &scope, INT64_MAX, 100, count_report, &n, &t->w->e));
    return n;
}

static void spam_leaves_a_block_ham_turns_it_and_the_same_again_changes_nothing(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    say(&t, REPORT_SPAM, "anna@ours.example");
    CHECK("new", t.made.added == REPORT_NEW && !t.made.has_body && t.made.entry.why == NULL);
    check_entries(&t, t.anna, "block billing@partner.example by dkim:partner.example;");
    check_reports(&t, "spam refused ours.example;");
    CHECK("it says why", t.made.note != NULL && strstr(t.made.note, "no longer stored") != NULL &&
                             strstr(t.made.note, "the sender was noted") != NULL);
    say(&t, REPORT_SPAM, "anna@ours.example");
    CHECK("the same", t.made.added == REPORT_SAID && t.made.entry.sender.n == 0);
    CHECK("and who did it is written down, once", audited(&t) == 1);
    say(&t, REPORT_HAM, "anna@ours.example");
    CHECK("the opposite", t.made.added == REPORT_TURNED);
    check_entries(&t, t.anna, "allow billing@partner.example by dkim:partner.example;");
    check_entries(&t, t.berta, "");
    check_reports(&t, "ham refused ours.example;spam superseded ours.example;");
    say(&t, REPORT_FORGET, "anna@ours.example");
    check_entries(&t, t.anna, "");
    CHECK("three times something changed", audited(&t) == 3);
    close_site(&t);
}

static int first_entry(void *ctx, const struct store_learned *l)
{
    *(struct uuid *)ctx = l->id;
    return 1;
}

static void an_entry_that_was_taken_away_does_not_come_back_by_saying_the_same(void **state)
{
    struct site t;
    struct uuid id = uuid_zero;

    open_site(&t, world_of(state));
    say(&t, REPORT_SPAM, "anna@ours.example");
    OK(t.w, store_learned_load(t.s, t.anna, clock_wall_us(), first_entry, &id, &t.w->e));
    OK(t.w, store_learned_delete(t.s, &root, id, &t.w->e));
    say(&t, REPORT_SPAM, "anna@ours.example");
    check_entries(&t, t.anna, "");
    close_site(&t);
}

static void it_is_the_mailboxs_report_whoever_hands_it_over(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    say(&t, REPORT_SPAM, "anna@ours.example");
    say(&t, REPORT_SPAM, "root@mx");
    CHECK("said before", t.made.added == REPORT_SAID);
    say(&t, REPORT_HAM, "127.0.0.1:4711");
    CHECK("and turned", t.made.added == REPORT_TURNED);
    check_entries(&t, t.anna, "allow billing@partner.example by dkim:partner.example;");
    close_site(&t);
}

static void two_people_who_disagree_keep_their_own_entries_and_the_filter_learns_neither(void **state)
{
    struct site        t;
    struct letter      l;
    struct report_said said = {.class = REPORT_SPAM, .who = SPAN("x"), .channel = SPAN("report")};

    open_site(&t, world_of(state));
    a_letter(&l);
    l.m.symbols = SPAN(SIGNED);
    l.to[0].domain = l.to[1].domain = t.domain;
    l.to[0].mailbox = t.anna;
    l.to[1].mailbox = t.berta;
    l.to[1].recipient = SPAN("berta@ours.example");
    hold_letter(&t.h, &l, SPAN("Subject: kept\r\n\r\n"), HELD_WHOLE);
    said.recipient = SPAN("anna@ours.example");
    OK(t.w, report_find(t.s, &l.m.uid, &t.arena, &said, &t.w->e));
    OK(t.w, make(&t, &said));
    CHECK("alone it waits for the filter", t.made.state == REPORT_WAITING && t.made.note == NULL);
    said.recipient = SPAN("berta@ours.example");
    said.class = REPORT_HAM;
    OK(t.w, report_find(t.s, &l.m.uid, &t.arena, &said, &t.w->e));
    OK(t.w, make(&t, &said));
    CHECK("the second hears of it", t.made.state == REPORT_UNDECIDED && strstr(t.made.note, "neither") != NULL);
    check_entries(&t, t.anna, "block billing@partner.example by dkim:partner.example;");
    check_entries(&t, t.berta, "allow billing@partner.example by dkim:partner.example;");
    check_reports(&t, "spam undecided ours.example;");
    close_site(&t);
}

static const struct {
    const char *holds, *layer, *conditions, *why;
} above[] = {
    {"a rule of one's own about senders", "mailbox", "[{\"kind\":\"sender\",\"any\":[\"partner.example\"]}]",
     "a rule of your own"},
    {"a locked one of the domain", "domain (locked)", "[{\"kind\":\"sender\",\"any\":[\"partner.example\"]}]",
     "a rule of the domain"},
    {"a locked one of the operator", "global (locked)", "[{\"kind\":\"sender\",\"any\":[\"partner.example\"]}]",
     "mail administrators"},
    {"one that says nothing of senders", "mailbox", "[{\"kind\":\"subject\",\"any\":[\"prize\"]}]", NULL},
    {"one of a weaker layer", "domain", "[{\"kind\":\"sender\",\"any\":[\"partner.example\"]}]", NULL},
};

static void where_a_rule_goes_before_learned_senders_none_is_made(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(above); i++) {
        struct letter               l;
        const struct store_message *list[1] = {&l.m};
        struct store_rule           rule = a_rule(policy_id(t.w, store_scope_mailbox(t.anna), "Rules"), above[i].holds);
        struct report_said          said = {
                     .class = REPORT_SPAM, .who = SPAN("x"), .channel = SPAN("report"), .recipient = SPAN("anna@ours.example")};

        rule.conditions = span_of(above[i].conditions);
        a_letter(&l);
        l.m.symbols = SPAN(SIGNED);
        l.m.ndeliveries = 1;
        l.to[0].domain = t.domain;
        l.to[0].mailbox = t.anna;
        l.to[0].has_rule = true;
        l.to[0].layer = span_of(above[i].layer);
        OK(t.w, store_rule_add(t.s, &root, &rule, &l.to[0].rule, &t.w->e));
        OK(t.w, store_message_put(t.s, list, 1, &t.w->e));
        OK(t.w, report_find(t.s, &l.m.uid, &t.arena, &said, &t.w->e));
        OK(t.w, make(&t, &said));
        CHECK(above[i].holds, (t.made.entry.sender.n == 0) == (above[i].why != NULL));
        CHECK(above[i].holds,
              above[i].why == NULL || (t.made.entry.why != NULL && strstr(t.made.entry.why, above[i].why) != NULL));
    }
    close_site(&t);
}

static void nobody_reports_what_was_not_for_them(void **state)
{
    static const char *const others[] = {"berta@ours.example", "nobody@ours.example", "anna@strangers.example", "",
                                         "no address"};
    struct site              t;
    struct uuid              unknown = uuid7_make();

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(others); i++) {
        struct report_said said = {.recipient = span_of(others[i])};

        t.w->e = ERR_INIT;
        CHECK(others[i], report_find(t.s, &t.l.m.uid, &t.arena, &said, &t.w->e) < 0);
        CHECK(others[i], t.w->e.code == ERR_NOT_FOUND && said.record == NULL);
    }
    struct report_said said = {.recipient = SPAN("anna@ours.example")};
    CHECK("one that there is not", report_find(t.s, &unknown, &t.arena, &said, &t.w->e) < 0);
    t.w->e = ERR_INIT;
    check_reports(&t, "");
    close_site(&t);
}

/* Holds a message and reports it as who hands it over does. */
static void hand_over(struct site *t, enum report_class class, const char *message, const char *recipient)
{
    struct store_message m;
    struct report_said   said = {.class = class,
                                 .who = SPAN("program"),
                                 .channel = SPAN("tell"),
                                 .recipient = span_of(recipient),
                                 .record = &m,
                                 .has_body = true,
                                 .message = span_of(message)};

    report_record(&m, "127.0.0.1:1783", said.message.n, clock_wall_us());
    OK(t->w, report_keep(t->s, t->h.vault, &m, said.message, &t->arena, &t->w->e));
    OK(t->w, make(t, &said));
}

#define OURS                                                                                                           \
    "Received: from mx ([127.0.0.1]) by mx with LMTP; x\r\nAuthentication-Results: mx.ours.example; dmarc=pass "
#define AWAY "Received: from x (x [192.0.2.9]) by mx; x\r\n"

static const struct {
    const char *holds, *message, *entries, *why;
} proofs[] = {
    {"our own Authentication-Results prove it",
     OURS "header.from=shop.example\r\n" AWAY "From: a@shop.example\r\n\r\nx\r\n", "block a@shop.example by dmarc;",
     NULL},
    {"those below a stranger's line do not",
     AWAY
     "Authentication-Results: mx.ours.example; dmarc=pass header.from=shop.example\r\nFrom: a@shop.example\r\n\r\n",
     "", "not proven"},
    {"nor those of others",
     "Authentication-Results: mx.evil.example; dmarc=pass header.from=shop.example\r\nFrom: a@shop.example\r\n\r\n", "",
     "not proven"},
    {"nor those about another", OURS "header.from=other.example\r\nFrom: a@shop.example\r\n\r\n", "", "not proven"},
    {"two authors have no entry", OURS "header.from=shop.example\r\nFrom: a@shop.example, b@shop.example\r\n\r\n", "",
     "several"},
    {"nor has the own domain", OURS "header.from=ours.example\r\nFrom: berta@ours.example\r\n\r\n", "", "own domain"},
    {"a made-up address leaves what stays", OURS "header.from=shop.example\r\nFrom: b-1234567@shop.example\r\n\r\n",
     "block b-*@shop.example by dmarc;", "made for this message"},
    {"and a message without anything none", "x", "", "no sender"},
};

static void what_comes_with_a_report_counts_by_our_own_fields_alone(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(proofs); i++) {
        const char *why;

        hand_over(&t, REPORT_SPAM, proofs[i].message, "anna+tag@ours.example");
        why = t.made.entry.why;
        if ((why == NULL) != (proofs[i].why == NULL) || (why != NULL && strstr(why, proofs[i].why) == NULL))
            fail_msg("%s: %s", proofs[i].holds, why != NULL ? why : "an entry");
        CHECK(proofs[i].holds, t.made.added == REPORT_NEW);
        check_entries(&t, t.anna, proofs[i].entries);
        if (t.made.entry.sender.n > 0)
            hand_over(&t, REPORT_FORGET, proofs[i].message, "anna@ours.example");
    }
    close_site(&t);
}

static void without_a_mailbox_the_filter_learns_and_no_entry_is_left(void **state)
{
    static const char *const to[] = {"", "nobody@ours.example"};
    struct site              t;

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(to); i++) {
        hand_over(&t, REPORT_SPAM, proofs[0].message, to[i]);
        CHECK(to[i], t.made.added == REPORT_NEW && t.made.entry.sender.n == 0 && t.made.entry.why != NULL);
    }
    hand_over(&t, REPORT_SPAM, proofs[0].message, "x@strangers.example");
    CHECK("the same bytes for the same people are the same report", t.made.added == REPORT_SAID);
    check_entries(&t, t.anna, "");
    close_site(&t);
}

static void a_held_message_is_at_hand_until_it_goes(void **state)
{
    struct site        t;
    struct letter      l;
    struct report_said said = {.recipient = SPAN("anna@ours.example")};

    open_site(&t, world_of(state));
    a_letter(&l);
    l.to[0].domain = t.domain;
    l.to[0].mailbox = t.anna;
    l.to[0].verdict = DELIVERY_QUARANTINED;
    hold_letter(&t.h, &l, SPAN("Subject: held\r\n\r\n"), HELD_WHOLE);
    OK(t.w, report_find(t.s, &l.m.uid, &t.arena, &said, &t.w->e));
    CHECK("held", said.has_body && said.logged);
    OK(t.w, store_custody_move(t.s, &l.m.uid, 1, CUSTODY_GONE, &t.w->e));
    OK(t.w, report_find(t.s, &l.m.uid, &t.arena, &said, &t.w->e));
    CHECK("gone", !said.has_body);
    close_site(&t);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(spam_leaves_a_block_ham_turns_it_and_the_same_again_changes_nothing),
        STORE_SQLITE(an_entry_that_was_taken_away_does_not_come_back_by_saying_the_same),
        STORE_SQLITE(it_is_the_mailboxs_report_whoever_hands_it_over),
        STORE(two_people_who_disagree_keep_their_own_entries_and_the_filter_learns_neither),
        STORE_SQLITE(where_a_rule_goes_before_learned_senders_none_is_made),
        STORE(nobody_reports_what_was_not_for_them),
        STORE_SQLITE(what_comes_with_a_report_counts_by_our_own_fields_alone),
        STORE_SQLITE(without_a_mailbox_the_filter_learns_and_no_entry_is_left),
        STORE_SQLITE(a_held_message_is_at_hand_until_it_goes),
    };

    return run_on_both(tests, COUNT(tests));
}
