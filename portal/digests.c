/* portal/digests.c - digests that a person has asked for: when, of what, in which words; and what became of those sent. */
#include <stdio.h>

#include "base/schedule.h"
#include "letter/content.h"
#include "letter/letter.h"
#include "limit.h"
#include "route.h"
#include "store/mailbox.h"

static const char *const language_words[] = {"en", "de", NULL};
/* A list of words is a set of bits. */
struct bit_word {
    const char *name;
    unsigned    bit;
};
static const struct bit_word told[] = {{"quarantined", DIGEST_QUARANTINED},
                                       {"blocked", DIGEST_BLOCKED},
                                       {"spam", DIGEST_SPAM}},
                             days[] = {{"sunday", 1},    {"monday", 2},  {"tuesday", 4},  {"wednesday", 8},
                                       {"thursday", 16}, {"friday", 32}, {"saturday", 64}};

#define MINUTES_A_DAY 1440
#define RUNS_SHOWN 20
#define NONE "There is no such digest."
#define LETTERS_MOST 5 /* that a person asks for, in ten minutes */
#define PREVIEW_POLICY "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

/* ---- out ---- */

static void put_bits(struct buf *b, const char *key, const struct bit_word *table, size_t n, unsigned bits)
{
    json_open(b, key, '[');
    for (size_t i = 0; i < n; i++)
        if ((bits & table[i].bit) != 0)
            json_add_str(b, NULL, table[i].name);
    json_close(b, ']');
}

static void put_choice(struct buf *b, const struct store_digest_choice *x)
{
    json_add_bool(b, "hourly", x->hourly);
    json_add_i64(b, "minute", x->minute);
    put_bits(b, "days", days, COUNT(days), x->weekdays);
    json_add_str(b, "zone", x->zone);
    json_add_str(b, "language", x->language);
    put_bits(b, "tells", told, COUNT(told), x->filters);
    json_add_bool(b, "quiet", x->quiet);
}

static void put_run(struct buf *b, const char *key, const struct store_run *r)
{
    json_open(b, key, '{');
    json_add_uuid(b, "id", &r->id);
    json_add_time(b, "since", r->since_us);
    json_add_time(b, "until", r->until_us);
    json_add_str(b, "state", run_state_words[r->state]);
    json_add_i64(b, "messages", r->total);
    json_add_i64(b, "attempts", r->attempts);
    json_add_text(b, "answer", r->answer.n > 0 ? r->answer : SPAN(""));
    json_add_time(b, "changed", r->changed_us);
    json_close(b, '}');
}

static int latest_run(void *ctx, const struct store_run *r)
{
    put_run(ctx, "last", r);
    return 1;
}

static int put_digest(struct call *c, struct buf *b, const struct store_digest *d, struct err *e)
{
    bool paused = d->paused_until_us > c->now_us;

    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &d->id);
    json_add_str(b, "kind", digest_kind_words[d->kind]);
    json_add_str(b, "of", d->of);
    json_add_str(b, "address", d->address);
    put_choice(b, &d->choice);
    json_add_bool(b, "stands", d->stands);
    json_add_bool(b, "paused", paused);
    if (paused && d->paused_until_us != DIGEST_PAUSED_FOR_GOOD)
        json_add_time(b, "paused_until", d->paused_until_us);
    else
        json_add_null(b, "paused_until");
    json_add_time(b, "next", d->next_us);
    if (store_run_list(c->store, d->id, 1, latest_run, b, e) < 0)
        return -1;
    json_close(b, '}');
    return 0;
}

/* ---- in ---- */

struct choice_body {
    uint64_t           given;
    int                kind, language;
    struct span        of, zone;
    bool               hourly, quiet;
    int64_t            minute;
    struct field_texts days, tells;
};
enum { IN_HOURLY, IN_MINUTE, IN_DAYS, IN_ZONE, IN_LANGUAGE, IN_TELLS, IN_QUIET, IN_KIND, IN_OF };
#define CHOICE_FIELDS(needed)                                                                                          \
    [IN_HOURLY] = {"hourly",                                                                                           \
                   FIELD_BOOL,                                                                                         \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   NULL,                                                                                               \
                   offsetof(struct choice_body, hourly),                                                               \
                   "Each hour, rather than once a day."},                                                              \
    [IN_MINUTE] = {"minute",                                                                                           \
                   FIELD_I64,                                                                                          \
                   needed,                                                                                             \
                   0,                                                                                                  \
                   MINUTES_A_DAY - 1,                                                                                  \
                   NULL,                                                                                               \
                   offsetof(struct choice_body, minute),                                                               \
                   "Of the local day: 420 is 07:00; hourly: of the hour."},                                            \
    [IN_DAYS] = {"days",                                                                                               \
                 FIELD_TEXTS,                                                                                          \
                 0,                                                                                                    \
                 0,                                                                                                    \
                 7,                                                                                                    \
                 NULL,                                                                                                 \
                 offsetof(struct choice_body, days),                                                                   \
                 "sunday … saturday; all of them unless said."},                                                       \
    [IN_ZONE] = {"zone",                                                                                               \
                 FIELD_TEXT,                                                                                           \
                 needed,                                                                                               \
                 1,                                                                                                    \
                 ZONE_NAME_MAX - 1,                                                                                    \
                 NULL,                                                                                                 \
                 offsetof(struct choice_body, zone),                                                                   \
                 "An IANA time zone: Europe/Berlin."},                                                                 \
    [IN_LANGUAGE] = {"language",      FIELD_WORD, 0, 0, 0, language_words, offsetof(struct choice_body, language),     \
                     "Of the letter."},                                                                                \
    [IN_TELLS] = {"tells",                                                                                             \
                  FIELD_TEXTS,                                                                                         \
                  0,                                                                                                   \
                  1,                                                                                                   \
                  3,                                                                                                   \
                  NULL,                                                                                                \
                  offsetof(struct choice_body, tells),                                                                 \
                  "What it tells of: quarantined, blocked, spam; what is quarantined unless said."},                   \
    [IN_QUIET] = {"quiet",                                                                                             \
                  FIELD_BOOL,                                                                                          \
                  0,                                                                                                   \
                  0,                                                                                                   \
                  0,                                                                                                   \
                  NULL,                                                                                                \
                  offsetof(struct choice_body, quiet),                                                                 \
                  "A letter a week also where nothing was held."}
static const struct field choice_fields[] = {CHOICE_FIELDS(FIELD_REQUIRED), FIELDS_END};
static const struct field set_fields[] = {CHOICE_FIELDS(0), FIELDS_END};
static const struct field add_fields[] = {
    CHOICE_FIELDS(FIELD_REQUIRED),
    [IN_KIND] = {"kind", FIELD_WORD, FIELD_REQUIRED, 0, 0, digest_kind_words, offsetof(struct choice_body, kind),
                 "Of a mailbox of one's own, or of a domain that one owns."},
    [IN_OF] = {"of", FIELD_TEXT, FIELD_REQUIRED, 1, STORE_ADDRESS_MAX, NULL, offsetof(struct choice_body, of),
               "The mailbox's address, or the domain's name."},
    FIELDS_END,
};

static int read_bits(struct call *c, const struct field_texts *texts, const struct bit_word *table, size_t n,
                     const char *member, unsigned *out, struct err *e)
{
    *out = 0;
    for (size_t i = 0; i < texts->n; i++) {
        unsigned bit = 0;

        for (size_t k = 0; k < n; k++)
            bit |= span_is(texts->items[i], table[k].name) ? table[k].bit : 0;
        if (bit == 0) {
            c->member = member;
            return err_set(e, ERR_INVALID, "\"%.*s\" is none of the words for this.", SPAN_ARG(texts->items[i]));
        }
        *out |= bit;
    }
    return 0;
}

/* What is given changes the choice; then it has to be one that runs. *next_out: when it does. */
static int take_choice(struct call *c, const struct choice_body *in, struct store_digest_choice *x, int64_t *next_out,
                       struct err *e)
{
    struct schedule s;

    if (field_given(in, IN_HOURLY))
        x->hourly = in->hourly;
    if (field_given(in, IN_MINUTE))
        x->minute = in->minute;
    if (field_given(in, IN_ZONE))
        snprintf(x->zone, sizeof x->zone, "%.*s", SPAN_ARG(in->zone));
    if (field_given(in, IN_LANGUAGE))
        snprintf(x->language, sizeof x->language, "%s", language_words[in->language]);
    if (field_given(in, IN_QUIET))
        x->quiet = in->quiet;
    if ((field_given(in, IN_DAYS) && read_bits(c, &in->days, days, COUNT(days), "days", &x->weekdays, e) < 0) ||
        (field_given(in, IN_TELLS) && read_bits(c, &in->tells, told, COUNT(told), "tells", &x->filters, e) < 0))
        return -1;
    s = (struct schedule){.hourly = x->hourly, .minute = (unsigned)x->minute, .weekdays = x->weekdays};
    snprintf(s.zone, sizeof s.zone, "%s", x->zone);
    return schedule_check(&s, e) < 0 ? -1 : schedule_next_us(&s, c->now_us, next_out, e);
}

static struct store_digest_choice choice_to_begin_with(const struct call *c)
{
    struct store_digest_choice x = {.weekdays = SCHEDULE_EVERY_DAY, .filters = DIGEST_QUARANTINED};

    snprintf(x.language, sizeof x.language, "%s", c->who.account.language[0] != '\0' ? c->who.account.language : "en");
    return x;
}

/* ---- one's own ---- */

static int find(struct call *c, struct store_digest *out, struct err *e)
{
    struct uuid id;

    if (!uuid_parse(c->params[0], &id))
        return err_set(e, ERR_NOT_FOUND, NONE);
    if (store_digest_get(c->store, id, out, e) < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, NONE) : -1;
    return uuid_eq(&out->account, &c->who.account.id) ? 0 : err_set(e, ERR_NOT_FOUND, NONE);
}

/* They are read first: a digest with its last run asks the database while it is written. */
struct mine {
    struct store_digest all[DIGESTS_PER_ACCOUNT];
    size_t              n;
};

static int each_mine(void *ctx, const struct store_digest *d)
{
    struct mine *m = ctx;

    if (m->n < COUNT(m->all))
        m->all[m->n++] = *d;
    return 0;
}

static int list_digests(struct call *c, struct err *e)
{
    struct mine *m = arena_zalloc(c->arena, sizeof *m);
    struct buf  *b;

    if (m == NULL)
        return err_set(e, ERR_LIMIT, "The request is too large.");
    if (store_digest_list(c->store, c->who.account.id, each_mine, m, e) < 0)
        return -1;
    b = call_list_begin(c);
    for (size_t i = 0; i < m->n; i++)
        if (put_digest(c, b, &m->all[i], e) < 0)
            return -1;
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int reply(struct call *c, struct uuid id, int status, struct err *e)
{
    struct store_digest d;

    if (store_digest_get(c->store, id, &d, e) < 0)
        return -1;
    return put_digest(c, call_reply(c, status), &d, e);
}

/* The mailbox has to be theirs, the domain one that they own: store/digest.h. */
static int find_what(struct call *c, const struct choice_body *in, struct store_digest *d, struct err *e)
{
    struct store_mailbox m;
    int                  rc;

    d->kind = (enum digest_kind)in->kind;
    c->member = "of";
    if (d->kind == DIGEST_DOMAIN)
        return route_domain(c, in->of, &d->domain, e);
    rc = store_mailbox_find(c->store, in->of, &m, e);
    d->mailbox = m.id;
    return rc < 0 && e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such mailbox.") : rc;
}

static int add_digest(struct call *c, struct err *e)
{
    const struct choice_body *in = c->body;
    struct store_digest       d = {.account = c->who.account.id, .choice = choice_to_begin_with(c)};
    struct uuid               id;

    if (find_what(c, in, &d, e) < 0)
        return -1;
    c->member = NULL;
    if (take_choice(c, in, &d.choice, &d.next_us, e) < 0)
        return -1;
    if (store_digest_add(c->store, &c->actor, &d, &id, e) < 0) /* of what is not theirs they learn nothing */
        return e->code == ERR_DENIED ? err_set(e, ERR_NOT_FOUND, "There is no such %s.", digest_kind_words[d.kind])
                                     : -1;
    return reply(c, id, 201, e);
}

static int get_digest(struct call *c, struct err *e)
{
    struct store_digest d;

    return find(c, &d, e) < 0 ? -1 : put_digest(c, call_reply(c, 200), &d, e);
}

static int set_digest(struct call *c, struct err *e)
{
    struct store_digest d;

    if (find(c, &d, e) < 0 || take_choice(c, c->body, &d.choice, &d.next_us, e) < 0 ||
        store_digest_set(c->store, &c->actor, &d, e) < 0)
        return -1;
    return reply(c, d.id, 200, e);
}

static int delete_digest(struct call *c, struct err *e)
{
    struct store_digest d;

    if (find(c, &d, e) < 0 || store_digest_delete(c->store, &c->actor, d.id, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

struct pause_body {
    uint64_t given;
    int64_t  until_us;
};
static const struct field pause_fields[] = {
    {"until", FIELD_TIME, 0, 0, 0, NULL, offsetof(struct pause_body, until_us), "Until then; for good unless said."},
    FIELDS_END};

static int pause_digest(struct call *c, struct err *e)
{
    const struct pause_body *in = c->body;
    struct store_digest      d;

    if (find(c, &d, e) < 0 || store_digest_pause(c->store, &c->actor, d.id,
                                                 field_given(in, 0) ? in->until_us : DIGEST_PAUSED_FOR_GOOD, e) < 0)
        return -1;
    return reply(c, d.id, 200, e);
}

static int resume_digest(struct call *c, struct err *e)
{
    struct store_digest d;

    if (find(c, &d, e) < 0 || store_digest_pause(c->store, &c->actor, d.id, 0, e) < 0)
        return -1;
    return reply(c, d.id, 200, e);
}

/* ---- what was sent, and what would be ---- */

static struct digest_look look_of(const struct call *c)
{
    const struct settings *s = c->portal->settings;

    return (struct digest_look){c->store, &s->rulesd.scanner, &s->rules.protected_symbols};
}

static int each_run(void *ctx, const struct store_run *r)
{
    put_run(ctx, NULL, r);
    return 0;
}

static int list_runs(struct call *c, struct err *e)
{
    struct store_digest d;

    if (find(c, &d, e) < 0 || store_run_list(c->store, d.id, RUNS_SHOWN, each_run, call_list_begin(c), e) < 0)
        return -1;
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int send_now(struct call *c, struct err *e)
{
    struct digest_look  look = look_of(c);
    struct store_digest d;
    struct uuid         id;
    struct buf         *b;
    int                 rc;

    if (find(c, &d, e) < 0 || limit_check(c, "digest", span_of(c->who.account.login), false, LETTERS_MOST, e) < 0)
        return -1;
    if (!d.stands)
        return err_set(e, ERR_CONFLICT, "This is not yours any more.");
    if ((rc = digest_begin(&look, &d, c->now_us, c->now_us, c->arena, &id, e)) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_bool(b, "sent", rc > 0);
    json_add_uuid(b, "run", rc > 0 ? &id : NULL);
    json_close(b, '}');
    return 0;
}

static int send_again(struct call *c, struct err *e)
{
    struct store_digest d;
    struct store_run    r;
    struct uuid         id;

    if (find(c, &d, e) < 0)
        return -1;
    if (!uuid_parse(c->params[1], &id) || store_run_get(c->store, id, c->arena, &r, e) < 0 ||
        !uuid_eq(&r.subscription, &d.id))
        return err_set(e, ERR_NOT_FOUND, "There is no such letter.");
    if (limit_check(c, "digest", span_of(c->who.account.login), false, LETTERS_MOST, e) < 0 ||
        store_run_again(c->store, id, c->now_us, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* As it would look now. Its links lead nowhere, and the page that shows it lets it do nothing. */
static int preview(struct call *c, struct err *e)
{
    static const struct link_keys none = {.n = 1};
    const struct settings        *s = c->portal->settings;
    struct digest_look            look = look_of(c);
    struct digest_content         content;
    struct store_digest           d;
    struct store_brand            brand;
    struct letter_templates      *templates;
    struct letter_what            what = {.subscription = &d, .content = &content, .now_us = c->now_us};
    struct letter_site            site = {.keys = &none,
                                          .public_url = c->portal->origin,
                                          .from = s->smtp.from,
                                          .name = s->portal.name,
                                          .reply_to = s->digest.reply_to};
    int                           rc;

    if (find(c, &d, e) < 0 || (rc = store_brand_of_domain(c->store, span_of(d.domain_name), &brand, e)) < 0 ||
        digest_content_new(&look, &d, c->now_us, c->arena, &content, e) < 0 ||
        letter_templates_open(s->digest.templates, &templates, e) < 0)
        return -1;
    what.brand = rc > 0 ? &brand : NULL;
    site.templates = templates;
    c->reply->status = 200;
    c->reply->compress = true;
    httpd_set(c->reply, "Content-Type", SPAN("text/html; charset=utf-8"));
    httpd_set(c->reply, "Content-Security-Policy", SPAN(PREVIEW_POLICY));
    httpd_set(c->reply, "X-Frame-Options", SPAN("SAMEORIGIN"));
    rc = letter_put_html(&site, &what, c->arena, &c->reply->body, e);
    letter_templates_close(&templates);
    return rc;
}

/* ---- what a domain's new mailboxes begin with ---- */

static int put_default(struct call *c, struct err *e)
{
    struct store_digest_choice x;
    struct buf                *b;
    int                        rc = store_digest_default(c->store, c->object, &x, e);

    if (rc < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_bool(b, "on", rc > 0);
    if (rc > 0)
        put_choice(b, &x);
    json_close(b, '}');
    return 0;
}

static int set_default(struct call *c, struct err *e)
{
    struct store_digest_choice x = choice_to_begin_with(c);
    int64_t                    next;

    if (take_choice(c, c->body, &x, &next, e) < 0 ||
        store_digest_default_set(c->store, &c->actor, c->object, &x, e) < 0)
        return -1;
    return put_default(c, e);
}

static int delete_default(struct call *c, struct err *e)
{
    if (store_digest_default_set(c->store, &c->actor, c->object, NULL, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

#define CHOICE_IN(table) NULL, table, 0, sizeof(struct choice_body)
static const struct route rows[] = {
    {HTTPD_GET, "/me/digests", DEED_SELF, OBJECT_NONE, 0, list_digests,
     .summary = "The digests that one gets, each with its last letter.", .reply = "list:Digest"},
    {HTTPD_POST, "/me/digests", DEED_SUBSCRIBE, OBJECT_NONE, 0, add_digest, CHOICE_IN(add_fields),
     "Asks for a digest of a mailbox of one's own, or of a domain that one owns.", "Digest"},
    {HTTPD_GET, "/me/digests/{digest}", DEED_SELF, OBJECT_NONE, 0, get_digest, .summary = "One of them.",
     .reply = "Digest"},
    {HTTPD_PATCH, "/me/digests/{digest}", DEED_SUBSCRIBE, OBJECT_NONE, 0, set_digest, CHOICE_IN(set_fields),
     "Changes what is given: the hour, the days, the zone, the language, what it tells of.", "Digest"},
    {HTTPD_DELETE, "/me/digests/{digest}", DEED_SUBSCRIBE, OBJECT_NONE, 0, delete_digest,
     .summary = "Ends it; its links do nothing any more."},
    {HTTPD_POST, "/me/digests/{digest}/pause", DEED_SUBSCRIBE, OBJECT_NONE, 0, pause_digest, NULL, pause_fields, 0,
     sizeof(struct pause_body), "Sends none until a time, or until it is resumed.", "Digest"},
    {HTTPD_POST, "/me/digests/{digest}/resume", DEED_SUBSCRIBE, OBJECT_NONE, 0, resume_digest,
     .summary = "Goes on at its next hour.", .reply = "Digest"},
    {HTTPD_POST, "/me/digests/{digest}/send", DEED_SUBSCRIBE, OBJECT_NONE, 0, send_now,
     .summary = "Sends one now, if there is anything new.", .reply = "DigestSent"},
    {HTTPD_GET, "/me/digests/{digest}/letters", DEED_SELF, OBJECT_NONE, 0, list_runs,
     .summary = "What was sent lately, and what the mail server said.", .reply = "list:DigestLetter"},
    {HTTPD_POST, "/me/digests/{digest}/letters/{letter}/again", DEED_SUBSCRIBE, OBJECT_NONE, 0, send_again,
     .summary = "Sends a letter once more."},
    {HTTPD_GET, "/me/digests/{digest}/preview.html", DEED_SUBSCRIBE, OBJECT_NONE, ROUTE_NO_REPLAY, preview,
     .summary = "What it would look like now, as HTML."},
    {HTTPD_GET, "/domains/{domain}/digest-default", DEED_SEE_DOMAIN, OBJECT_DOMAIN, 0, put_default,
     .summary = "What the domain's new mailboxes begin with.", .reply = "DigestDefault"},
    {HTTPD_PUT, "/domains/{domain}/digest-default", DEED_OPERATE, OBJECT_DOMAIN, 0, set_default,
     CHOICE_IN(choice_fields), "People get that digest from when their mailbox is made.", "DigestDefault"},
    {HTTPD_DELETE, "/domains/{domain}/digest-default", DEED_OPERATE, OBJECT_DOMAIN, 0, delete_default,
     .summary = "New mailboxes begin without a digest."},
};

#define CHOICE_SCHEMA                                                                                                  \
    "\"hourly\":{\"type\":\"boolean\"},\"minute\":{\"type\":\"integer\"},\"days\":{\"type\":\"array\",\"items\":{"     \
    "\"type\":\"string\"}},\"zone\":{\"type\":\"string\"},\"language\":{\"type\":\"string\"},\"tells\":{\"type\":"     \
    "\"array\",\"items\":{\"type\":\"string\"}},\"quiet\":{\"type\":\"boolean\"}"

const struct route_family digests_family = {
    "Digests", rows, COUNT(rows),
    "\"Digest\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\"},\"kind\":{"
    "\"type\":\"string\"},\"of\":{\"type\":\"string\"},\"address\":{\"type\":\"string\"}," CHOICE_SCHEMA
    ",\"stands\":{\"type\":\"boolean\"},\"paused\":{\"type\":\"boolean\"},\"paused_until\":{\"type\":[\"string\","
    "\"null\"]},\"next\":{\"type\":\"string\"},\"last\":{\"$ref\":\"#/components/schemas/DigestLetter\"}}},"
    "\"DigestDefault\":{\"type\":\"object\",\"properties\":{\"on\":{\"type\":\"boolean\"}," CHOICE_SCHEMA "}},"
    "\"DigestSent\":{\"type\":\"object\",\"properties\":{\"sent\":{\"type\":\"boolean\"},\"run\":{\"type\":["
    "\"string\",\"null\"]}}},"
    "\"DigestLetter\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"since\":{\"type\":\"string\"}"
    ","
    "\"until\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"messages\":{\"type\":\"integer\"},\"attempts\":{"
    "\"type\":\"integer\"},\"answer\":{\"type\":\"string\"},\"changed\":{\"type\":\"string\"}}}"};
