/* portal/thresholds.c - what holds in a scope: thresholds, what happens at them, and the rest; and what other thresholds would have
 * made of last week's mail. A person has those of their own mailbox, where the domain permits it; a domain's are its owners'. */
#include <math.h>

#include "change.h"
#include "route.h"
#include "rules.h"
#include "sentence.h"
#include "store/score.h"
#include "store/setting.h"

#define SCORE_DAYS 7
#define DAY_US (86400 * INT64_C(1000000))

/* ---- what is set ---- */

static void put_word(struct buf *b, const char *key, const char *const *words, int i)
{
    json_add_str(b, key, i >= 0 ? words[i] : NULL);
}

static void put_yes(struct buf *b, const char *key, int yes)
{
    if (yes < 0)
        json_add_null(b, key);
    else
        json_add_bool(b, key, yes != 0);
}

static void put_number(struct buf *b, const char *key, int64_t n)
{
    if (n < 0)
        json_add_null(b, key);
    else
        json_add_i64(b, key, n);
}

static void put_thresholds(struct buf *b, double reject, double add_header, double greylist)
{
    json_add_f64(b, "reject", reject);
    json_add_f64(b, "add_header", add_header);
    json_add_f64(b, "greylist", greylist);
}

static void put_rest(struct buf *b, const struct store_setting *x)
{
    put_word(b, "at_block", disposition_words, x->at_block);
    put_word(b, "at_reject", disposition_words, x->at_reject);
    put_word(b, "at_add_header", disposition_words, x->at_add_header);
    put_yes(b, "greylisting", x->greylisting);
    put_yes(b, "mailbox_thresholds", x->mailbox_thresholds);
    put_word(b, "enrol", enrol_words, x->enrol);
    put_number(b, "retention_days", x->retention_days);
    put_yes(b, "copies", x->copies);
    put_number(b, "held_max", x->held_max);
    put_number(b, "mailbox_held_max", x->mailbox_held_max);
    put_number(b, "rules_max", x->rules_max);
    put_number(b, "mailbox_rules_max", x->mailbox_rules_max);
}

/* A mailbox has thresholds and nothing else. */
static void put_setting(const struct call *c, struct buf *b, const char *key, const struct store_setting *x)
{
    json_open(b, key, '{');
    put_thresholds(b, x->reject, x->add_header, x->greylist);
    if (c->scope.kind != SCOPE_MAILBOX)
        put_rest(b, x);
    json_close(b, '}');
}

/* One for the owner's part and the operator's: both are seen on one page. */
static struct version version_of_setting(const struct call *c, const struct store_setting *own)
{
    struct buf     b;
    struct version v;

    buf_init(&b, 4096);
    put_setting(c, &b, NULL, own);
    v = version_of(buf_span(&b));
    buf_fini(&b);
    return v;
}

static int setting_version(struct call *c, struct version *out, struct err *e)
{
    struct store_setting own;

    if (store_setting_get(c->store, c->scope, &own, e) < 0)
        return -1;
    *out = version_of_setting(c, &own);
    return 0;
}

/* What would hold if the scope said nothing. */
static int inherited_rows(struct call *c, struct store_setting *out, struct err *e)
{
    struct store_mailbox_view m;

    switch (c->scope.kind) {
    case SCOPE_GLOBAL: *out = store_setting_built_in; return 0;
    case SCOPE_DOMAIN: return store_setting_holds(c->store, NULL, out, e);
    case SCOPE_MAILBOX: break;
    }
    return store_mailbox_view(c->store, c->scope.id, &m, e) < 0 ? -1 : store_setting_holds(c->store, &m.domain, out, e);
}

static int inherited(struct call *c, struct store_setting *out, struct err *e)
{
    if (inherited_rows(c, out, e) < 0)
        return -1;
    if (out->retention_days == 0)
        out->retention_days = c->portal->settings->quarantine.retention_days;
    return 0;
}

static int get_settings(struct call *c, struct err *e)
{
    struct store_setting own, above;
    struct version       v;
    struct buf          *b;

    if (rules_permit(c, false, e) < 0 || store_setting_get(c->store, c->scope, &own, e) < 0 ||
        inherited(c, &above, e) < 0)
        return -1;
    v = version_of_setting(c, &own);
    version_tag(c, &v);
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "version", v.text);
    put_setting(c, b, "own", &own);
    put_setting(c, b, "inherited", &above);
    json_add_bool(b, "permitted", c->scope.kind != SCOPE_MAILBOX || above.mailbox_thresholds == 1);
    json_close(b, '}');
    return 0;
}

struct settings_body {
    uint64_t given;
    double   reject, add_header, greylist;
    int      at_block, at_reject, at_add_header, enrol;
    bool     greylisting, mailbox_thresholds, copies;
    int64_t  retention_days, held_max, mailbox_held_max, rules_max, mailbox_rules_max;
};
enum {
    S_REJECT,
    S_ADD_HEADER,
    S_GREYLIST,
    S_AT_BLOCK,
    S_AT_REJECT,
    S_AT_ADD_HEADER,
    S_GREYLISTING,
    S_MAILBOX,
    S_ENROL,
    S_DAYS
};
#define IN(member) offsetof(struct settings_body, member)
static const struct field settings_fields[] = {
    [S_REJECT] = {"reject", FIELD_F64, 0, 0, 999, NULL, IN(reject), "The score from which mail is spam beyond doubt."},
    [S_ADD_HEADER] = {"add_header", FIELD_F64, 0, 0, 999, NULL, IN(add_header), "The score from which mail is spam."},
    [S_GREYLIST] = {"greylist", FIELD_F64, 0, 0, 999, NULL, IN(greylist), "The score from which strangers wait."},
    [S_AT_BLOCK] = {"at_block", FIELD_WORD, 0, 0, 0, disposition_words, IN(at_block), "What a block does."},
    [S_AT_REJECT] = {"at_reject", FIELD_WORD, 0, 0, 0, disposition_words, IN(at_reject), "And the score `reject`."},
    [S_AT_ADD_HEADER] = {"at_add_header", FIELD_WORD, 0, 0, 0, disposition_words, IN(at_add_header),
                         "And the score `add_header`."},
    [S_GREYLISTING] = {"greylisting", FIELD_BOOL, 0, 0, 0, NULL, IN(greylisting), "Do strangers wait at all."},
    [S_MAILBOX] = {"mailbox_thresholds", FIELD_BOOL, 0, 0, 0, NULL, IN(mailbox_thresholds),
                   "May a mailbox have thresholds of its own."},
    [S_ENROL] = {"enrol", FIELD_WORD, 0, 0, 0, enrol_words, IN(enrol), "Who may sign in without an account."},
    [S_DAYS] = {"retention_days", FIELD_I64, 0, 1, 3650, NULL, IN(retention_days), "How long held mail is kept."},
    FIELDS_END,
};

static void read_settings(const struct settings_body *in, struct store_setting *x)
{
#define GIVEN(i, value, none) (field_given(in, i) ? (value) : (none))
    x->reject = GIVEN(S_REJECT, in->reject, (double)NAN);
    x->add_header = GIVEN(S_ADD_HEADER, in->add_header, (double)NAN);
    x->greylist = GIVEN(S_GREYLIST, in->greylist, (double)NAN);
    x->at_block = GIVEN(S_AT_BLOCK, in->at_block, -1);
    x->at_reject = GIVEN(S_AT_REJECT, in->at_reject, -1);
    x->at_add_header = GIVEN(S_AT_ADD_HEADER, in->at_add_header, -1);
    x->greylisting = GIVEN(S_GREYLISTING, in->greylisting, -1);
    x->mailbox_thresholds = GIVEN(S_MAILBOX, in->mailbox_thresholds, -1);
    x->enrol = GIVEN(S_ENROL, in->enrol, -1);
    x->retention_days = GIVEN(S_DAYS, in->retention_days, -1);
}

/* All that an owner may say is replaced: what is not there, or null, is inherited. The operator's part stays. */
static int set_settings_in(struct call *c, void *unused, struct err *e)
{
    struct store_setting x;

    (void)unused;
    if (store_setting_get(c->store, c->scope, &x, e) < 0)
        return -1;
    read_settings(c->body, &x);
    return store_setting_set(c->store, &c->actor, c->scope, &x, e) < 0 ? -1 : get_settings(c, e);
}

static int set_settings(struct call *c, struct err *e)
{
    return rules_permit(c, true, e) < 0 ? -1 : change_make(c, setting_version, set_settings_in, NULL, e);
}

enum { Q_COPIES, Q_HELD, Q_MAILBOX_HELD, Q_RULES, Q_MAILBOX_RULES };
#define BYTES_MAX (INT64_C(1) << 50)
static const struct field quota_fields[] = {
    [Q_COPIES] = {"copies", FIELD_BOOL, 0, 0, 0, NULL, IN(copies), "Are copies of delivered mail kept, to learn from."},
    [Q_HELD] = {"held_max", FIELD_I64, 0, 0, BYTES_MAX, NULL, IN(held_max), "Bytes held for the domain; 0: no limit."},
    [Q_MAILBOX_HELD] = {"mailbox_held_max", FIELD_I64, 0, 0, BYTES_MAX, NULL, IN(mailbox_held_max),
                        "Bytes held for each mailbox; 0: no limit."},
    [Q_RULES] = {"rules_max", FIELD_I64, 0, 0, 1000000, NULL, IN(rules_max), "Rules of the domain."},
    [Q_MAILBOX_RULES] = {"mailbox_rules_max", FIELD_I64, 0, 0, 1000000, NULL, IN(mailbox_rules_max),
                         "Rules of each mailbox."},
    FIELDS_END,
};

static int set_quotas_in(struct call *c, void *unused, struct err *e)
{
    const struct settings_body *in = c->body;
    struct store_setting        x;

    (void)unused;
    if (store_setting_get(c->store, c->scope, &x, e) < 0)
        return -1;
    x.copies = GIVEN(Q_COPIES, in->copies, -1);
    x.held_max = GIVEN(Q_HELD, in->held_max, -1);
    x.mailbox_held_max = GIVEN(Q_MAILBOX_HELD, in->mailbox_held_max, -1);
    x.rules_max = GIVEN(Q_RULES, in->rules_max, -1);
    x.mailbox_rules_max = GIVEN(Q_MAILBOX_RULES, in->mailbox_rules_max, -1);
    return store_setting_set(c->store, &c->actor, c->scope, &x, e) < 0 ? -1 : get_settings(c, e);
}

static int set_quotas(struct call *c, struct err *e) { return change_make(c, setting_version, set_quotas_in, NULL, e); }

/* ---- what other thresholds would have done ---- */

struct scores_query {
    uint64_t given;
    double   reject, add_header, greylist;
    bool     greylisting;
};
enum { SCORES_REJECT, SCORES_ADD_HEADER, SCORES_GREYLIST, SCORES_GREYLISTING };
#define ASKED(member) offsetof(struct scores_query, member)
static const struct field scores_fields[] = {
    [SCORES_REJECT] = {"reject", FIELD_F64, 0, 0, 999, NULL, ASKED(reject), "In place of the one that holds."},
    [SCORES_ADD_HEADER] = {"add_header", FIELD_F64, 0, 0, 999, NULL, ASKED(add_header), "The same."},
    [SCORES_GREYLIST] = {"greylist", FIELD_F64, 0, 0, 999, NULL, ASKED(greylist), "The same."},
    [SCORES_GREYLISTING] = {"greylisting", FIELD_BOOL, 0, 0, 0, NULL, ASKED(greylisting),
                            "Would strangers wait at all."},
    FIELDS_END,
};

static int lines_now(struct call *c, struct score_lines *out, struct err *e)
{
    struct store_mailbox_view mailbox;
    struct store_setting      x;

    if (c->scope.kind == SCOPE_MAILBOX && store_mailbox_view(c->store, c->scope.id, &mailbox, e) < 0)
        return -1;
    if (store_setting_holds(c->store,
                            c->scope.kind == SCOPE_GLOBAL   ? NULL
                            : c->scope.kind == SCOPE_DOMAIN ? &c->scope.id
                                                            : &mailbox.domain,
                            &x, e) < 0)
        return -1;
    *out = (struct score_lines){{x.reject, x.add_header, x.greylist}, x.greylisting == 1};
    if (c->scope.kind == SCOPE_MAILBOX)
        out->at = mailbox.thresholds;
    return 0;
}

static struct score_lines lines_asked(const struct scores_query *in, struct score_lines now)
{
    now.at.reject = field_given(in, SCORES_REJECT) ? in->reject : now.at.reject;
    now.at.add_header = field_given(in, SCORES_ADD_HEADER) ? in->add_header : now.at.add_header;
    now.at.greylist = field_given(in, SCORES_GREYLIST) ? in->greylist : now.at.greylist;
    now.greylisting = field_given(in, SCORES_GREYLISTING) ? in->greylisting : now.greylisting;
    return now;
}

static void put_lines(struct buf *b, const char *key, const struct score_lines *lines)
{
    json_open(b, key, '{');
    put_thresholds(b, lines->at.reject, lines->at.add_header, lines->at.greylist);
    json_add_bool(b, "greylisting", lines->greylisting);
    json_close(b, '}');
}

static int64_t put_moves(struct buf *b, const struct store_scores *x)
{
    int64_t moved = 0;

    json_open(b, "moves", '[');
    for (size_t from = 0; from < SCORE_CLASSES; from++)
        for (size_t to = 0; to < SCORE_CLASSES; to++) {
            if (from == to || x->moves[from][to] == 0)
                continue;
            json_open(b, NULL, '{');
            json_add_str(b, "from", score_class_words[from]);
            json_add_str(b, "to", score_class_words[to]);
            json_add_i64(b, "n", x->moves[from][to]);
            json_close(b, '}');
            moved += x->moves[from][to];
        }
    json_close(b, ']');
    return moved;
}

static void put_scores(struct buf *b, const struct store_scores *x)
{
    json_add_i64(b, "days", SCORE_DAYS);
    json_add_time(b, "since", x->since_us);
    json_add_bool(b, "whole", x->whole);
    json_add_i64(b, "looked", x->looked);
    json_add_i64(b, "judged", x->judged);
    json_add_i64(b, "low", SCORES_LOW);
    json_add_i64(b, "high", SCORES_HIGH);
    json_open(b, "bins", '[');
    for (size_t i = 0; i < SCORES_BINS; i++)
        json_add_i64(b, NULL, x->bins[i]);
    json_close(b, ']');
    json_add_i64(b, "moved", put_moves(b, x));
}

static int get_scores(struct call *c, struct err *e)
{
    struct score_lines  now, then;
    struct store_scores x;
    struct err          order = ERR_INIT;
    struct buf         *b;

    if (lines_now(c, &now, e) < 0)
        return -1;
    then = lines_asked(c->query, now);
    if (store_scores(c->store, c->scope, c->now_us - SCORE_DAYS * DAY_US, &now, &then, &x, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    put_scores(b, &x);
    put_lines(b, "now", &now);
    put_lines(b, "then", &then);
    if (thresholds_check(&then.at, &order) < 0)
        sentence_say(b, "problem", order.text);
    else
        json_add_null(b, "problem");
    json_close(b, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/scopes/{scope}/settings", DEED_SEE_RULES, OBJECT_SCOPE, ROUTE_VERSION, get_settings,
     .summary = "What is set there, and what is inherited.", .reply = "Settings"},
    {HTTPD_PUT, "/scopes/{scope}/settings", DEED_WRITE_RULES, OBJECT_SCOPE, ROUTE_VERSION, set_settings, NULL,
     settings_fields, 0, sizeof(struct settings_body), "Sets thresholds and the rest; what is left out is inherited.",
     "Settings"},
    {HTTPD_PUT, "/scopes/{scope}/quotas", DEED_OPERATE, OBJECT_SCOPE, ROUTE_VERSION, set_quotas, NULL, quota_fields, 0,
     sizeof(struct settings_body), "Sets what the operator limits; what is left out is inherited.", "Settings"},
    {HTTPD_GET, "/scopes/{scope}/scores", DEED_SEE_MAIL, OBJECT_SCOPE, 0, get_scores, scores_fields, NULL,
     sizeof(struct scores_query), 0, "Last week's scores, and what other thresholds would have made of them.",
     "Scores"},
};

const struct route_family thresholds_family = {
    "Thresholds", rows, COUNT(rows),
    "\"Settings\":{\"type\":\"object\",\"properties\":{\"version\":{\"type\":\"string\"},\"own\":{\"type\":\"object\"},"
    "\"inherited\":{\"type\":"
    "\"object\"},"
    "\"permitted\":{\"type\":\"boolean\"}}},"
    "\"Scores\":{\"type\":\"object\",\"properties\":{\"days\":{\"type\":\"integer\"},\"since\":{\"type\":[\"string\","
    "\"null\"]},"
    "\"whole\":{\"type\":\"boolean\"},\"looked\":{\"type\":\"integer\"},\"judged\":{\"type\":\"integer\"},\"low\":{"
    "\"type\":"
    "\"integer\"},\"high\":{\"type\":\"integer\"},\"bins\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
    "\"moves\":{"
    "\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"moved\":{\"type\":\"integer\"},\"now\":{\"type\":\"object\"}"
    ","
    "\"then\":{\"type\":\"object\"},\"problem\":{\"type\":[\"string\",\"null\"]},\"problem_said\":{\"$ref\":\"#/"
    "components/schemas/Said\"}}}"};
