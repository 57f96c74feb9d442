/* tests/unit/store_search.c - twin of lib/store/search.c, words.c and timeline.c. */
#include "store/search.h"

#include "log_world.h"
#include "store/day.h"

#define FOUND_MAX 2000
struct found {
    struct store_key        keys[FOUND_MAX];
    size_t                  n, stop_at; /* 0: never */
    struct store_search_end end;
};

static int each_found(void *ctx, const struct store_row *r)
{
    struct found *f = ctx;

    assert_true(f->n < FOUND_MAX);
    f->keys[f->n++] = r->key;
    return f->n == f->stop_at;
}

static void search(struct world *w, const struct store_search *what, struct found *f)
{
    f->n = 0;
    OK(w, store_search(w->more, what, each_found, f, &f->end, &w->e));
}

static size_t count(struct world *w, const struct store_search *what)
{
    struct found f = {0};

    search(w, what, &f);
    return f.n;
}

static void put(struct world *w, const struct letter *l)
{
    const struct store_message *m = &l->m;

    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

static struct uuid uid_at(int64_t ms)
{
    struct uuid u = uuid7_make(), at = day_uid_at(ms);

    memcpy(u.b, at.b, 6);
    return u;
}

/* ---- Words -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char       *holds;
    enum search_field field;
    const char       *text;
    bool              found;
} words[] = {
    {"a word of the subject", SEARCH_SUBJECT, "invoice", true},
    {"case does not count", SEARCH_SUBJECT, "YOUR Invoice", true},
    {"words side by side", SEARCH_SUBJECT, "your invoice", true},
    {"not in another order", SEARCH_SUBJECT, "invoice your", false},
    {"not with something between them", SEARCH_SUBJECT, "your 4711", false},
    {"the last word may be a beginning", SEARCH_SUBJECT, "your invo", true},
    {"but not of two letters", SEARCH_SUBJECT, "your in", false},
    {"the first may not", SEARCH_SUBJECT, "you invoice", false},
    {"no end of a word", SEARCH_SUBJECT, "voice", false},
    {"marks stand between words", SEARCH_SUBJECT, "INV-4711", true},
    {"so do they in what is asked", SEARCH_SUBJECT, "\"inv\" * (4711)", true},
    {"a subject is no sender", SEARCH_FROM, "invoice", false},
    {"the From address", SEARCH_FROM, "billing@partner.example", true},
    {"a part of it", SEARCH_FROM, "partner.example", true},
    {"the name", SEARCH_FROM, "Partner Billing", true},
    {"the envelope's sender", SEARCH_FROM, "bounce-17@lists.example", true},
    {"the recipient", SEARCH_TO, "anna+news@ours.example", true},
    {"the recipient's domain", SEARCH_TO, "ours.example", true},
    {"the Message-ID", SEARCH_MESSAGE_ID, "<20261122.4711@partner.example>", true},
    {"anywhere: a word of the subject", SEARCH_ANY, "your invoice", true},
    {"anywhere: a sender", SEARCH_ANY, "partner.example", true},
    {"anywhere: the recipient", SEARCH_ANY, "anna+news@ours.example", true},
    {"anywhere is none of the replies", SEARCH_ANY, "2.0.0 ok", false},
    {"what the sender was told", SEARCH_INBOUND, "2.0.0 ok", true},
    {"letters beyond ASCII", SEARCH_SUBJECT,
     "gr\xC3\xBC\xC3\x9F"
     "e",
     true},
    {"in either case", SEARCH_SUBJECT,
     "GR\xC3\x9C\xC3\x9F"
     "E",
     true},
    {"what is no word holds always", SEARCH_SUBJECT, " \"* - ", true},
    {"words that mean something to the database", SEARCH_SUBJECT, "NOT your OR", false},
    {"columns are none to ask for", SEARCH_SUBJECT, "scope : all", false},
    {"signs of a query", SEARCH_SUBJECT, "your & !nothing | ':*", false},
};

static void a_text_is_found_by_its_words_and_left_out_by_them(void **state)
{
    struct world *w = world_of(state);
    struct letter l;

    a_letter(&l);
    l.m.subject = SPAN("Your invoice INV-4711, viele Gr\xC3\xBC\xC3\x9F"
                       "e");
    l.m.sender = SPAN("bounce-17@lists.example");
    l.m.ndeliveries = 1;
    put(w, &l);
    for (size_t i = 0; i < COUNT(words); i++) {
        struct store_words  one = {.field = words[i].field, .text = span_of(words[i].text)};
        struct store_search all = {.words = &one, .nwords = 1}, box = all, domain = all;

        box.scope = store_scope_mailbox(first_box);
        domain.scope = store_scope_domain(first_domain);
        CHECK(words[i].holds, count(w, &all) == words[i].found);
        CHECK(words[i].holds, count(w, &box) == words[i].found);
        CHECK(words[i].holds, count(w, &domain) == words[i].found);
        one.without = true;
        if (i == COUNT(words) - 4)
            continue; /* no word: holds always, either way */
        CHECK(words[i].holds, count(w, &all) == !words[i].found);
        CHECK(words[i].holds, count(w, &box) == !words[i].found);
    }
}

/* What an attempt was answered stands in words of its own: both kinds together, and each without the other. */
static void answers_are_searched_together_with_the_message(void **state)
{
    struct world       *w = world_of(state);
    struct letter       l, quiet;
    struct store_event  v = {.n = 1,
                             .at_us = clock_wall_us(),
                             .has_state = true,
                             .state = STATE_DEFERRED,
                             .has_attempt = true,
                             .host = SPAN("mx1.next.example"),
                             .code = 451,
                             .response = SPAN("451 4.7.1 Greylisted, come back")};
    struct store_events all = {.events = &v, .nevents = 1};
    struct store_words  two[2] = {{SEARCH_SUBJECT, SPAN("invoice"), false},
                                  {SEARCH_OUTBOUND, SPAN("greylisted"), false}};
    struct store_search q = {.words = two, .nwords = 2, .scope = store_scope_mailbox(first_box)};

    a_letter(&l);
    a_letter(&quiet);
    put(w, &l);
    put(w, &quiet);
    v.uid = l.m.uid;
    assert_int_equal(count(w, &q), 0);
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    assert_int_equal(count(w, &q), 1);
    two[0].text = SPAN("offer");
    assert_int_equal(count(w, &q), 0);
    two[0] = (struct store_words){SEARCH_DELIVERY, SPAN("4.7.1"), false};
    assert_int_equal(count(w, &q), 1);
    v.at_us += 1000000;
    v.state = STATE_DELIVERED;
    v.response = SPAN("250 2.0.0 Ok: queued as ABC");
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    assert_int_equal(count(w, &q), 0); /* the last one was another */
    two[0].text = SPAN("queued as abc");
    assert_int_equal(count(w, &q), 1);
    two[0].without = true;
    assert_int_equal(count(w, &q), 0);
    two[1] = (struct store_words){SEARCH_SUBJECT, SPAN("invoice"), false};
    assert_int_equal(count(w, &q), 1); /* the quiet one */
    two[0] = (struct store_words){SEARCH_OUTBOUND, SPAN("mx1.next.example"), false};
    two[1].without = true;
    assert_int_equal(count(w, &q), 0);
    q.nwords = 1;
    assert_int_equal(count(w, &q), 1);
    q.scope = store_scope_mailbox(second_box);
    assert_int_equal(count(w, &q), 0);
}

/* ---- Scopes and filters ------------------------------------------------------------------------------------------- */

static void nobody_finds_what_is_not_for_them(void **state)
{
    struct world       *w = world_of(state);
    struct letter       l;
    struct store_words  other = {SEARCH_TO, SPAN("berta"), false};
    struct store_search q = {.scope = store_scope_mailbox(first_box)};

    a_letter(&l);
    put(w, &l);
    assert_int_equal(count(w, &q), 1);
    q.words = &other;
    q.nwords = 1;
    assert_int_equal(count(w, &q), 0);
    q.scope = store_scope_domain(first_domain);
    assert_int_equal(count(w, &q), 0);
    q.scope = store_scope_domain(second_domain);
    assert_int_equal(count(w, &q), 1);
    q.scope = STORE_SCOPE_GLOBAL;
    assert_int_equal(count(w, &q), 1);
    q.nwords = 0;
    assert_int_equal(count(w, &q), 2);
    q.scope = store_scope_mailbox(uuid7_make());
    assert_int_equal(count(w, &q), 0);
}

struct filter_case {
    const char         *holds;
    struct store_search q;
    size_t              n; /* in first_box: of the four */
};

/* The store knows the mailbox's domain, and so where its words are; of one that is gone all places are asked. */
static void a_mailbox_is_searched_by_words_whether_it_is_still_there_or_not(void **state)
{
    struct world       *w = world_of(state);
    struct uuid         domain = add_domain(w, "ours.example"), box = add_mailbox(w, domain, "anna");
    struct store_words  word = {SEARCH_SUBJECT, SPAN("invoice"), false};
    struct store_search q = {.scope = store_scope_mailbox(box), .words = &word, .nwords = 1};
    struct letter       l;

    a_letter(&l);
    l.to[0].domain = domain;
    l.to[0].mailbox = box;
    l.to[0].has_rule = true;
    l.to[0].rule = first_box;
    put(w, &l);
    assert_int_equal(count(w, &q), 1);
    q.has_rule = true;
    q.rule = first_box;
    assert_int_equal(count(w, &q), 1);
    q.rule = second_box;
    assert_int_equal(count(w, &q), 0);
    q.has_rule = false;
    q.statuses = 1u << STATUS_RECEIVED;
    assert_int_equal(count(w, &q), 1);
    q.statuses = 1u << STATUS_SPAM;
    assert_int_equal(count(w, &q), 0);
    q.statuses = 0;
    q.has_domain = true;
    q.domain = domain;
    assert_int_equal(count(w, &q), 1);
    q.domain = second_domain;
    assert_int_equal(count(w, &q), 0);
    q.without = &(struct store_without){SEARCH_DOMAIN, domain};
    for (int gone = 0; gone < 2; gone++) {
        q.has_domain = true;
        q.nwithout = 0;
        q.domain = second_domain;
        assert_int_equal(count(w, &q), 0);
        q.domain = domain;
        assert_int_equal(count(w, &q), 1);
        q.has_domain = false;
        assert_int_equal(count(w, &q), 1);
        q.nwithout = 1;
        assert_int_equal(count(w, &q), 0);
        if (!gone)
            OK(w, store_mailbox_delete(w->more, &root, box, &w->e));
    }
}

static void every_filter_narrows_in_every_scope(void **state)
{
    struct world      *w = world_of(state);
    struct uuid        rule = {{0x77}};
    struct letter      l[4];
    struct store_words invoice = {SEARCH_SUBJECT, SPAN("invoice"), false};

    for (size_t i = 0; i < COUNT(l); i++) {
        a_letter(&l[i]);
        l[i].m.uid = uid_at((20000 + (int64_t)i) * DAY_MS);
        l[i].m.ndeliveries = 1;
        l[i].m.at_us = (20000 + (int64_t)i) * DAY_US;
    }
    l[1].to[0].verdict = DELIVERY_QUARANTINED;
    l[2].to[0].verdict = DELIVERY_BLOCKED;
    l[2].to[0].has_rule = true;
    l[2].to[0].rule = rule;
    l[3].m.direction = DIRECTION_LOCAL;
    for (size_t i = 0; i < COUNT(l); i++)
        put(w, &l[i]);

    const struct filter_case cases[] = {
        {"all of them", {.limit = 0}, 4},
        {"one status", {.statuses = 1u << STATUS_QUARANTINED}, 1},
        {"two", {.statuses = 1u << STATUS_QUARANTINED | 1u << STATUS_RECEIVED}, 3},
        {"a rule", {.has_rule = true, .rule = rule}, 1},
        {"a rule and a status", {.has_rule = true, .rule = rule, .statuses = 1u << STATUS_RECEIVED}, 0},
        {"a domain", {.has_domain = true, .domain = first_domain}, 4},
        {"another domain", {.has_domain = true, .domain = second_domain}, 0},
        {"a direction", {.directions = 1u << DIRECTION_LOCAL}, 1},
        {"one that nothing has", {.directions = 1u << DIRECTION_OUTBOUND}, 0},
        {"a direction and a status", {.directions = 1u << DIRECTION_INBOUND, .statuses = 1u << STATUS_RECEIVED}, 1},
        {"a direction and a rule", {.directions = 1u << DIRECTION_LOCAL, .has_rule = true, .rule = rule}, 0},
        {"a UID", {.has_uid = true, .uid = l[1].m.uid}, 1},
        {"a UID that is not there", {.has_uid = true, .uid = rule}, 0},
        {"since", {.since_us = 20002 * DAY_US}, 2},
        {"until", {.until_us = 20002 * DAY_US}, 2},
        {"between", {.since_us = 20001 * DAY_US, .until_us = 20003 * DAY_US}, 2},
        {"before all", {.until_us = 20000 * DAY_US}, 0},
        {"a limit", {.limit = 3}, 3},
    };
    const struct store_scope scopes[] = {STORE_SCOPE_GLOBAL, store_scope_domain(first_domain),
                                         store_scope_mailbox(first_box)};

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t k = 0; k < COUNT(scopes); k++) {
            struct store_search q = cases[i].q;

            q.scope = scopes[k];
            CHECK(cases[i].holds, count(w, &q) == cases[i].n);
            q.words = &invoice;
            q.nwords = 1;
            CHECK(cases[i].holds, count(w, &q) == cases[i].n);
        }
    }
}

/* Four messages, each to Anna of the first domain and to Berta of the second; the last one's second is nobody of ours. */
static const struct uuid one_rule = {{0x77}}, other_rule = {{0x78}};

static void put_four(struct world *w, struct uuid uids[4])
{
    static const struct {
        enum delivery_verdict verdict;
        enum direction        direction;
        const struct uuid    *rule;
    } four[] = {{DELIVERY_CLEAN, DIRECTION_INBOUND, NULL},
                {DELIVERY_BLOCKED, DIRECTION_OUTBOUND, &one_rule},
                {DELIVERY_BLOCKED, DIRECTION_LOCAL, &other_rule},
                {DELIVERY_QUARANTINED, DIRECTION_INBOUND, NULL}};

    for (size_t i = 0; i < COUNT(four); i++) {
        struct letter l;

        a_letter(&l);
        l.m.uid = uids[i] = uid_at((20000 + (int64_t)i) * DAY_MS);
        l.m.at_us = (20000 + (int64_t)i) * DAY_US;
        l.m.direction = four[i].direction;
        for (size_t k = 0; k < 2; k++) {
            l.to[k].verdict = four[i].verdict;
            l.to[k].has_rule = four[i].rule != NULL;
            l.to[k].rule = four[i].rule != NULL ? *four[i].rule : uuid_zero;
        }
        l.to[1].has_domain = l.to[1].has_mailbox = i < 3;
        put(w, &l);
    }
}

struct without_case {
    const char         *holds;
    struct store_search q;
    size_t              n[3]; /* in everybody's mail, in the first domain, in Anna's mailbox */
};

/* With words that drive the search, and with such as do not, it is the same. */
static void check_without(struct world *w, const struct without_case *c, size_t at, struct store_scope scope)
{
    static const struct store_words asked[] = {{SEARCH_SUBJECT, SPAN("invoice"), false},
                                               {SEARCH_SUBJECT, SPAN("nowhere"), true},
                                               {SEARCH_DELIVERY, SPAN("nowhere"), true}};
    struct store_search             q = c->q;

    q.scope = scope;
    for (size_t i = 0; i <= COUNT(asked); i++) {
        q.words = &asked[i];
        q.nwords = i < COUNT(asked);
        q.limit = 0;
        CHECK(c->holds, count(w, &q) == c->n[at]);
        q.limit = 1; /* what is left out does not fill a page */
        CHECK(c->holds, count(w, &q) == (c->n[at] > 0));
    }
}

#define WITHOUT(list) .without = list, .nwithout = COUNT(list)

static void what_is_left_out_is_not_there_and_all_else_is(void **state)
{
    const unsigned inbound = 1u << DIRECTION_INBOUND, outbound = 1u << DIRECTION_OUTBOUND;
    const unsigned blocked = 1u << STATUS_BLOCKED, held = 1u << STATUS_QUARANTINED;
    struct world  *w = world_of(state);
    struct uuid    uids[4];

    put_four(w, uids);

    const struct store_without rule[] = {{SEARCH_RULE, one_rule}},
                               rules[] = {{SEARCH_RULE, one_rule}, {SEARCH_RULE, other_rule}},
                               messages[] = {{SEARCH_UID, uids[0]}, {SEARCH_UID, uids[3]}, {SEARCH_UID, one_rule}},
                               domain[] = {{SEARCH_DOMAIN, first_domain}},
                               domains[] = {{SEARCH_DOMAIN, first_domain}, {SEARCH_DOMAIN, second_domain}},
                               strange[] = {{SEARCH_DOMAIN, uuid_zero}, {SEARCH_RULE, uuid_zero}},
                               each[] = {
                                   {SEARCH_DOMAIN, second_domain}, {SEARCH_RULE, one_rule}, {SEARCH_UID, uids[0]}};
    const struct without_case cases[] = {
        {"what no rule decided stays when one is left out", {WITHOUT(rule)}, {6, 3, 3}},
        {"two rules", {WITHOUT(rules)}, {4, 2, 2}},
        {"two messages, and one that is not there", {WITHOUT(messages)}, {4, 2, 2}},
        {"a domain, and what is of none stays", {WITHOUT(domain)}, {4, 0, 0}},
        {"two domains", {WITHOUT(domains)}, {1, 0, 0}},
        {"what is nowhere", {WITHOUT(strange)}, {8, 4, 4}},
        {"one of each kind", {WITHOUT(each)}, {3, 2, 2}},
        {"a direction", {.directions = 7 & ~outbound}, {6, 3, 3}},
        {"two directions", {.directions = outbound}, {2, 1, 1}},
        {"rules and a direction", {.directions = 7 & ~outbound, WITHOUT(rules)}, {4, 2, 2}},
        {"a direction, and one of each kind", {.directions = inbound | outbound, WITHOUT(each)}, {2, 1, 1}},
        {"a status, and all of its rules", {.statuses = blocked, WITHOUT(rules)}, {0, 0, 0}},
        {"a status, and one of its rules", {.statuses = blocked, WITHOUT(rule)}, {2, 1, 1}},
        {"a status, and a domain", {.statuses = held, WITHOUT(domain)}, {1, 0, 0}},
        {"a rule that is left out", {.has_rule = true, .rule = one_rule, WITHOUT(rule)}, {0, 0, 0}},
        {"a rule, and another is left out", {.has_rule = true, .rule = other_rule, WITHOUT(rule)}, {2, 1, 1}},
        {"a message that is left out", {.has_uid = true, .uid = uids[0], WITHOUT(messages)}, {0, 0, 0}},
        {"a domain, and another is left out",
         {.has_domain = true, .domain = second_domain, WITHOUT(domain)},
         {3, 0, 0}},
        {"a domain that is left out", {.has_domain = true, .domain = first_domain, WITHOUT(domain)}, {0, 0, 0}},
    };
    const struct store_scope scopes[] = {STORE_SCOPE_GLOBAL, store_scope_domain(first_domain),
                                         store_scope_mailbox(first_box)};

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t k = 0; k < COUNT(scopes); k++)
            check_without(w, &cases[i], k, scopes[k]);
}

/* ---- Everybody's mail, and the shelves that it is on ---------------------------------------------------------------- */

#define CROWD 300

static size_t everybody_has(struct world *w, const char *text, enum search_field field)
{
    struct store_words one = {.field = field, .text = span_of(text)};

    return count(w, &(struct store_search){.words = &one, .nwords = 1, .limit = 1000});
}

/* Three days with mail of many domains, some of it within one moment. */
static void everybody_s_mail_is_found_on_whichever_shelf_it_is(void **state)
{
    struct world *w = world_of(state);
    struct store *s = w->more;
    int64_t       begin = 20000 * DAY_MS;

    for (size_t i = 0; i < CROWD; i++) {
        struct letter l;
        char          subject[64];

        a_letter(&l);
        l.m.uid = uid_at(begin + (int64_t)(i % 3) * DAY_MS + (int64_t)(i / 3) * 1500);
        snprintf(subject, sizeof subject, "common number%zu%s", i,
                 i % 60 == 7   ? " rare gem"
                 : i % 60 == 8 ? " gem"
                               : "");
        l.m.subject = span_of(subject);
        l.m.ndeliveries = 1;
        l.to[0].domain = uuid7_make();
        put(w, &l);
    }
    for (int step = 0; step < 2; step++) {
        assert_int_equal(everybody_has(w, "common", SEARCH_SUBJECT), CROWD);
        assert_int_equal(everybody_has(w, "gem", SEARCH_SUBJECT), 10);
        assert_int_equal(everybody_has(w, "rare gem", SEARCH_SUBJECT), 5);
        assert_int_equal(everybody_has(w, "gem rare", SEARCH_SUBJECT), 0);
        assert_int_equal(everybody_has(w, "number127", SEARCH_ANY), 1);
        assert_int_equal(everybody_has(w, "numb", SEARCH_ANY), CROWD);
        assert_int_equal(everybody_has(w, "nowhere", SEARCH_ANY), 0);
        if (db_kind(s->log) == DB_SQLITE && step == 0) /* a day as it was before there were moments */
            OK(w,
               db_script(s->log, "UPDATE log_day SET moments = 0 WHERE day = 20001; DROP TABLE moments_20001", &w->e));
    }
}

static size_t everybody_counts(struct world *w, const struct store_words *asked, size_t n)
{
    return count(w, &(struct store_search){.words = asked, .nwords = n});
}

/* Among rows whose subjects are alike the answer decides; and of many words each counts, also one that is short. */
static void everybody_s_mail_is_found_by_its_answers_and_by_many_words(void **state)
{
    static const char *const responses[] = {"452 4.2.2 Mailbox FULL", "552 Bo\xC3\xAEte pleine", "250 Ok", NULL};
    static const struct {
        const char *holds, *text;
        size_t      sqlite, pgsql;
    } cases[] = {
        {"a phrase in another case", "mailbox full", 1, 1}, {"how its last word begins", "mailbox ful", 1, 1},
        {"not the end of a word", "box full", 0, 0},        {"not in another order", "full mailbox", 0, 0},
        {"beyond ASCII", "bo\xC3\xAEte pleine", 1, 1},      {"an accent less", "boite pleine", 1, 0},
        {"an accent more", "m\xC3\xA0ilbox full", 1, 0},    {"what no answer has", "greylisted", 0, 0},
    };
    struct world            *w = world_of(state);
    struct store            *s = w->more;
    struct store_words       asked[STORE_WORDS_MAX] = {{SEARCH_SUBJECT, SPAN("invoice"), false}};
    static const char *const many[] = {"partner", "billing", "invoice", "example", "4711", "in", "your", "inv"};

    for (size_t i = 0; i < COUNT(responses); i++) {
        struct letter      l;
        struct store_event v = {.n = 1, .at_us = 1, .has_attempt = true, .code = 250};

        a_letter(&l);
        l.m.uid = uid_at(20000 * DAY_MS + (int64_t)i * 5000);
        l.m.ndeliveries = 1;
        l.to[0].domain = uuid7_make();
        put(w, &l);
        v.uid = l.m.uid;
        v.response = span_of(responses[i] != NULL ? responses[i] : "");
        if (responses[i] != NULL)
            OK(w, store_events_put(w->more, &(struct store_events){.events = &v, .nevents = 1}, NULL, &w->e));
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        asked[1] = (struct store_words){SEARCH_DELIVERY, span_of(cases[i].text), false};
        CHECK(cases[i].holds,
              everybody_counts(w, asked, 2) == (db_kind(s->log) == DB_SQLITE ? cases[i].sqlite : cases[i].pgsql));
    }
    for (size_t i = 0; i < COUNT(many); i++)
        asked[i] = (struct store_words){SEARCH_ANY, span_of(many[i]), false};
    assert_int_equal(everybody_counts(w, asked, COUNT(many)), 0); /* "in" is no word there */
    asked[5].text = SPAN("inv");
    assert_int_equal(everybody_counts(w, asked, COUNT(many)), COUNT(responses));
    asked[1] = (struct store_words){SEARCH_ANY, SPAN("INV"), true};
    CHECK("what is wanted and left out", everybody_counts(w, asked, COUNT(many)) == 0);
}

/* One of a crowd, each in a domain of its own, is answered otherwise. */
static void everybody_s_frequent_word_is_found_by_a_rare_answer(void **state)
{
    struct world               *w = world_of(state);
    struct store_delivery      *many = calloc(CROWD + 100, sizeof *many);
    struct letter               l;
    const struct store_message *m = &l.m;
    struct store_event          v = {.n = 17, .at_us = 1, .has_attempt = true, .response = SPAN("552 Quota exceeded")};
    struct store_words asked[] = {{SEARCH_SUBJECT, SPAN("invoice"), false}, {SEARCH_DELIVERY, SPAN("quota"), false}};

    a_letter(&l);
    l.m.uid = v.uid = uid_at(20000 * DAY_MS);
    for (size_t i = 0; i < CROWD + 100; i++) {
        many[i] = l.to[0];
        many[i].domain = uuid7_make();
    }
    l.m.deliveries = many;
    l.m.ndeliveries = CROWD + 100;
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    OK(w, store_events_put(w->more, &(struct store_events){.events = &v, .nevents = 1}, NULL, &w->e));
    CHECK("the one", everybody_counts(w, asked, 2) == 1);
    asked[1].text = SPAN("greylisted");
    CHECK("none", everybody_counts(w, asked, 2) == 0);
    asked[0].text = SPAN("nowhere");
    asked[1].text = SPAN("quota");
    CHECK("without the word", everybody_counts(w, asked, 2) == 0);
    free(many);
}

/* What was answered first stays among what all attempts were answered; the last one's answer is another. Old and new days say the same. */
static void everybody_s_answers_are_found_after_they_changed(void **state)
{
    static const struct {
        enum search_field field;
        const char       *text;
        size_t            n;
    } cases[] = {
        {SEARCH_OUTBOUND, "greylisted", 40}, {SEARCH_OUTBOUND, "mx7.partner.example", 1},
        {SEARCH_OUTBOUND, "accepted", 39},   {SEARCH_DELIVERY, "greylisted", 1},
        {SEARCH_DELIVERY, "accepted", 39},   {SEARCH_DELIVERY, "acc", 39},
        {SEARCH_DELIVERY, "nowhere", 0},     {SEARCH_OUTBOUND, "mx7 greylisted", 0},
    };
    struct world *w = world_of(state);
    struct store *s = w->more;
    char          host[32];

    for (size_t i = 0; i < 40; i++) {
        struct letter      l;
        struct store_event v = {.n = 1, .has_attempt = true, .response = SPAN("451 Greylisted")};

        a_letter(&l);
        l.m.uid = v.uid = uid_at(20000 * DAY_MS + (int64_t)i * 1500);
        l.m.ndeliveries = 1;
        l.to[0].domain = uuid7_make();
        put(w, &l);
        snprintf(host, sizeof host, "mx%zu.partner.example", i);
        v.host = span_of(host);
        for (v.at_us = 1; v.at_us <= (i == 9 ? 1 : 2); v.at_us++) {
            OK(w, store_events_put(s, &(struct store_events){.events = &v, .nevents = 1}, NULL, &w->e));
            v.response = SPAN("250 Accepted");
        }
    }
    for (int step = 0; step < 2; step++) {
        for (size_t i = 0; i < COUNT(cases); i++) {
            struct store_words one = {cases[i].field, span_of(cases[i].text), false};

            CHECK(cases[i].text, everybody_counts(w, &one, 1) == cases[i].n);
        }
        if (db_kind(s->log) == DB_SQLITE) /* a day as it was before moments had answers */
            OK(w, db_script(s->log, "UPDATE log_day SET moments_whole = 0", &w->e));
    }
}

/* ---- Pages -------------------------------------------------------------------------------------------------------- */

static void pages_are_in_order_and_whole(void **state)
{
    struct world               *w = world_of(state);
    static struct letter        l[60];
    static struct found         all, page;
    const struct store_message *m[COUNT(l)];
    struct store_words          invoice = {SEARCH_SUBJECT, SPAN("invoice"), false};

    for (size_t i = 0; i < COUNT(l); i++) {
        a_letter(&l[i]);
        if (i % 2)
            l[i].m.uid = uid_at((int64_t)(19000 + i * 7 % 50) * DAY_MS + DAY_MS - 1);
        l[i].m.direction = (enum direction)(i % 3);
        m[i] = &l[i].m;
    }
    OK(w, store_message_put(w->more, m, COUNT(l), &w->e));
    for (int round = 0; round < 4; round++) {
        struct store_search q = {.limit = 0};
        size_t              n = 0;

        q.words = &invoice;
        q.nwords = round & 1;
        q.scope = round & 2 ? store_scope_domain(first_domain) : STORE_SCOPE_GLOBAL;
        q.statuses = round & 1 ? 0 : (1u << (STATUS_REJECTED + 1)) - 1;
        search(w, &q, &all);
        assert_int_equal(all.n, round & 2 ? 60 : 120);
        assert_false(all.end.more);
        for (size_t i = 1; i < all.n; i++) {
            int c = uuid_cmp(&all.keys[i - 1].uid, &all.keys[i].uid);

            assert_true(c > 0 || (c == 0 && all.keys[i - 1].n > all.keys[i].n));
        }
        q.limit = 7;
        do {
            search(w, &q, &page);
            assert_true(page.n <= 7);
            for (size_t i = 0; i < page.n; i++, n++) {
                assert_true(n < all.n);
                assert_true(uuid_cmp(&page.keys[i].uid, &all.keys[n].uid) == 0 && page.keys[i].n == all.keys[n].n);
            }
            q.has_before = true;
            q.before = page.end.next;
        } while (page.end.more);
        assert_int_equal(n, all.n);
    }
}

static void who_stops_early_can_go_on_from_there(void **state)
{
    struct world       *w = world_of(state);
    static struct found f;
    struct letter       l;
    struct store_search q = {.limit = 0};

    for (int i = 0; i < 5; i++) {
        a_letter(&l);
        put(w, &l);
    }
    f.stop_at = 3;
    search(w, &q, &f);
    assert_int_equal(f.n, 3);
    assert_true(f.end.more);
    q.has_before = true;
    q.before = f.end.next;
    f.stop_at = 0;
    search(w, &q, &f);
    assert_int_equal(f.n, 7);
    assert_false(f.end.more);
}

static void an_empty_log_has_nothing_to_find_and_too_many_texts_are_refused(void **state)
{
    struct world           *w = world_of(state);
    struct store_words      many[STORE_WORDS_MAX + 1] = {0};
    struct store_without    out[STORE_WITHOUT_MAX + 1] = {0};
    struct store_search     q = {.words = many, .without = out};
    struct store_search_end end;

    assert_int_equal(count(w, &q), 0);
    q.nwords = COUNT(many);
    REFUSED(w, ERR_LIMIT, store_search(w->more, &q, each_found, NULL, &end, &w->e));
    q.nwords = 0;
    q.nwithout = COUNT(out);
    REFUSED(w, ERR_LIMIT, store_search(w->more, &q, each_found, NULL, &end, &w->e));
}

static void a_search_with_everything_in_it_is_one_statement(void **state)
{
    struct world        *w = world_of(state);
    struct store_words   many[STORE_WORDS_MAX];
    struct store_without out[STORE_WITHOUT_MAX];
    struct letter        l;
    char                 long_text[5000];

    a_letter(&l);
    put(w, &l);
    memset(long_text, 'a', sizeof long_text);
    for (size_t i = 1; i < sizeof long_text; i += 2)
        long_text[i] = ' ';
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = (struct store_words){(enum search_field)(i % 7), span_make(long_text, sizeof long_text), i >= 7};
    for (size_t i = 0; i < COUNT(out); i++)
        out[i] = (struct store_without){(enum search_id)(i % 3), second_domain};
    for (size_t from = 0; from < 7; from++) {
        struct store_search q = {.words = many + from,
                                 .without = out,
                                 .nwithout = COUNT(out),
                                 .nwords = COUNT(many) - from,
                                 .statuses = 0x7F,
                                 .has_uid = true,
                                 .has_rule = true,
                                 .has_domain = true,
                                 .directions = 7,
                                 .uid = l.m.uid,
                                 .domain = first_domain};

        assert_int_equal(count(w, &q), 0);
        q.scope = store_scope_mailbox(first_box);
        assert_int_equal(count(w, &q), 0);
        q.scope = STORE_SCOPE_GLOBAL;
        q.has_uid = q.has_rule = q.has_domain = false;
        assert_int_equal(count(w, &q), 0);
        q.nwords = 0; /* each state of each direction is a list of its own */
        assert_int_equal(count(w, &q), 1);
    }
}

/* ---- Timeline ----------------------------------------------------------------------------------------------------- */

static void the_timeline_of_a_message_has_all_of_it_and_each_scope_its_own(void **state)
{
    struct world           *w = world_of(state);
    struct letter           l;
    struct arena            a;
    struct store_timeline   t;
    struct store_event      v[3] = {{.n = 1, .at_us = 1, .has_state = true, .state = STATE_QUEUED},
                                    {.n = 2,
                                     .at_us = 2,
                                     .has_state = true,
                                     .state = STATE_DEFERRED,
                                     .has_attempt = true,
                                     .code = 450,
                                     .port = 25,
                                     .host = SPAN("mx.example"),
                                     .response = SPAN("450 wait")},
                                    {.n = 2,
                                     .at_us = 3,
                                     .has_state = true,
                                     .state = STATE_DELIVERED,
                                     .has_attempt = true,
                                     .code = 250,
                                     .port = 25,
                                     .host = SPAN("mx.example"),
                                     .response = SPAN("250 ok")}};
    struct store_queue_link links[] = {{SPAN("NEXT1"), uuid_zero, 1, 5}, {SPAN("NEXT2"), uuid_zero, 2, 6}};
    struct store_events     all = {.events = v, .nevents = 3, .links = links, .nlinks = 2};

    a_letter(&l);
    l.m.kept = true;
    l.m.sha256 = SPAN("0123456789abcdef0123456789abcdef");
    l.m.has_score = true;
    l.m.score = 7.25;
    put(w, &l);
    for (size_t i = 0; i < 3; i++)
        v[i].uid = l.m.uid;
    links[0].uid = links[1].uid = l.m.uid;
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    arena_init(&a, 1 << 20);
    OK(w, store_timeline(w->more, &l.m.uid, STORE_SCOPE_GLOBAL, &a, &t, &w->e));
    assert_true(span_eq(t.message.subject, l.m.subject) && span_eq(t.message.helo, l.m.helo) &&
                t.message.score == 7.25);
    assert_true(span_eq(t.message.message_id, l.m.message_id) && t.message.size == l.m.size);
    assert_int_equal(t.ndeliveries, 2);
    assert_int_equal(t.deliveries[0].nattempts, 0);
    assert_int_equal(t.deliveries[0].status, STATUS_QUEUED);
    assert_int_equal(t.deliveries[1].nattempts, 2);
    assert_true(span_is(t.deliveries[1].attempts[0].response, "450 wait") && t.deliveries[1].attempts[1].seq == 2);
    assert_true(span_is(t.deliveries[1].answer, "250 ok"));
    assert_int_equal(t.deliveries[1].status, STATUS_DELIVERED);
    assert_int_equal(t.nlinks, 2);
    assert_true(t.has_custody && t.custody.sha256.n == 32);

    OK(w, store_timeline(w->more, &l.m.uid, store_scope_mailbox(second_box), &a, &t, &w->e));
    assert_int_equal(t.ndeliveries, 1);
    assert_true(span_is(t.deliveries[0].delivery.recipient, "berta@theirs.example"));
    assert_int_equal(t.deliveries[0].nattempts, 2);
    assert_int_equal(t.nlinks, 1);
    assert_true(span_is(t.links[0].queue_id, "NEXT2"));
    OK(w, store_timeline(w->more, &l.m.uid, store_scope_domain(first_domain), &a, &t, &w->e));
    assert_int_equal(t.ndeliveries, 1);
    assert_int_equal(t.deliveries[0].nattempts, 0);
    REFUSED(w, ERR_NOT_FOUND, store_timeline(w->more, &l.m.uid, store_scope_mailbox(uuid_zero), &a, &t, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_timeline(w->more, &first_box, STORE_SCOPE_GLOBAL, &a, &t, &w->e));
    arena_fini(&a);
}

static int each_uid(void *ctx, const struct uuid *uid)
{
    *(struct uuid *)ctx = *uid;
    return 0;
}

static void a_message_is_traced_by_whatever_is_in_hand(void **state)
{
    struct world           *w = world_of(state);
    struct letter           l;
    char                    uid[UUID_TEXT + 1];
    struct store_queue_link link = {SPAN("NEXT1"), uuid_zero, 1, 5};
    struct store_events     all = {.links = &link, .nlinks = 1};
    const char *const       handles[] = {uid, "4XyZ12AbCdz1Qr", "NEXT1", "<20261122.4711@partner.example>",
                                         "20261122.4711@partner.example"};

    a_letter(&l);
    put(w, &l);
    uuid_format(&l.m.uid, uid);
    link.uid = l.m.uid;
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    for (size_t i = 0; i < COUNT(handles); i++) {
        struct uuid found = uuid_zero;

        OK(w, store_trace(w->more, span_of(handles[i]), 0, each_uid, &found, &w->e));
        CHECK(handles[i], uuid_eq(&found, &l.m.uid));
    }
    for (size_t i = 0; i < 3; i++) {
        static const char *const none[] = {"", "NONE", "\xFF"};
        struct uuid              found = uuid_zero;

        OK(w, store_trace(w->more, span_of(none[i]), 0, each_uid, &found, &w->e));
        assert_true(uuid_eq(&found, &uuid_zero));
    }
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_text_is_found_by_its_words_and_left_out_by_them),
        STORE(answers_are_searched_together_with_the_message),
        STORE(nobody_finds_what_is_not_for_them),
        STORE(a_mailbox_is_searched_by_words_whether_it_is_still_there_or_not),
        STORE(everybody_s_mail_is_found_on_whichever_shelf_it_is),
        STORE(everybody_s_mail_is_found_by_its_answers_and_by_many_words),
        STORE(everybody_s_frequent_word_is_found_by_a_rare_answer),
        STORE(everybody_s_answers_are_found_after_they_changed),
        STORE(every_filter_narrows_in_every_scope),
        STORE(what_is_left_out_is_not_there_and_all_else_is),
        STORE(pages_are_in_order_and_whole),
        STORE(who_stops_early_can_go_on_from_there),
        STORE(an_empty_log_has_nothing_to_find_and_too_many_texts_are_refused),
        STORE(a_search_with_everything_in_it_is_one_statement),
        STORE(the_timeline_of_a_message_has_all_of_it_and_each_scope_its_own),
        STORE(a_message_is_traced_by_whatever_is_in_hand),
    };

    return run_on_both(tests, COUNT(tests));
}
