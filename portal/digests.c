/* portal/digests.c - digests that a person has asked for: when, of what, in which words; and what became of those sent. */
#include <stdio.h>

#include "digest_choice.h"
#include "letter/content.h"
#include "letter/letter.h"
#include "limit.h"
#include "mail/address.h"
#include "sentence.h"
#include "store/audit.h"
#include "store/mailbox.h"

#define RUNS_SHOWN 20
#define NONE "There is no such digest."
#define LETTERS_MOST 5 /* that a person asks for, in ten minutes */
#define PREVIEW_POLICY "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

/* ---- out ---- */

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
    sentence_put(b, "answer_said", r->answer);
    json_add_time(b, "changed", r->changed_us);
    json_close(b, '}');
}

static int latest_run(void *ctx, const struct store_run *r)
{
    put_run(ctx, "last", r);
    return 1;
}

/* Behind a pause its hour is another one. */
static void put_next(struct buf *b, const struct store_digest *d, bool paused)
{
    struct err unused = ERR_INIT;
    int64_t    next = d->next_us;

    if (!d->stands || (paused && (d->paused_until_us == DIGEST_PAUSED_FOR_GOOD ||
                                  store_digest_choice_next(&d->choice, d->paused_until_us - 1, &next, &unused) < 0)))
        json_add_null(b, "next");
    else
        json_add_time(b, "next", next);
}

static int put_digest(struct call *c, struct buf *b, const struct store_digest *d, struct err *e)
{
    bool paused = d->paused_until_us > c->now_us;

    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &d->id);
    json_add_str(b, "kind", digest_kind_words[d->kind]);
    json_add_str(b, "of", d->of);
    json_add_str(b, "address", d->address);
    digest_choice_put(b, &d->choice);
    json_add_bool(b, "stands", d->stands);
    json_add_bool(b, "paused", paused);
    if (paused && d->paused_until_us != DIGEST_PAUSED_FOR_GOOD)
        json_add_time(b, "paused_until", d->paused_until_us);
    else
        json_add_null(b, "paused_until");
    put_next(b, d, paused);
    if (store_run_list(c->store, d->id, 1, latest_run, b, e) < 0)
        return -1;
    json_close(b, '}');
    return 0;
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
static int find_what(struct call *c, const struct digest_choice_body *in, struct store_digest *d, struct err *e)
{
    struct store_mailbox m;
    struct address       a;

    d->kind = (enum digest_kind)in->kind;
    c->member = "of";
    if (d->kind == DIGEST_DOMAIN)
        return route_domain(c, in->of, &d->domain, e);
    if (address_parse_path(span_trim(in->of), c->arena, &a, NULL) < 0)
        return err_set(e, ERR_NOT_FOUND, "There is no such mailbox.");
    if (store_mailbox_find(c->store, a.full, &m, e) < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such mailbox.") : -1;
    d->mailbox = m.id;
    return 0;
}

/* Of what is not theirs they learn nothing; who runs the service knows it all. */
static int refuse(const struct call *c, const struct store_digest *d, struct err *e)
{
    if (c->who.account.admin)
        return err_set(e, ERR_DENIED,
                       d->kind == DIGEST_DOMAIN ? "A domain's digest is for its owners."
                                                : "A mailbox's digest is for the person whose it is.");
    return err_set(e, ERR_NOT_FOUND, "There is no such %s.", digest_kind_words[d->kind]);
}

static int add_digest(struct call *c, struct err *e)
{
    const struct digest_choice_body *in = c->body;
    struct store_digest              d = {.account = c->who.account.id, .choice = digest_choice_first(c)};
    struct uuid                      id;

    if (find_what(c, in, &d, e) < 0)
        return -1;
    c->member = NULL;
    if (digest_choice_take(c, in, &d.choice, &d.next_us, e) < 0)
        return -1;
    if (store_digest_add(c->store, &c->actor, &d, &id, e) < 0)
        return e->code == ERR_DENIED ? refuse(c, &d, e) : -1;
    return reply(c, id, 201, e);
}

/* When would that be, before it is asked for. */
static int tell_time(struct call *c, struct err *e)
{
    struct store_digest_choice x = digest_choice_first(c);
    struct buf                *b;
    int64_t                    next;

    if (digest_choice_take(c, c->query, &x, &next, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_time(b, "next", next);
    json_close(b, '}');
    return 0;
}

static int get_digest(struct call *c, struct err *e)
{
    struct store_digest d;

    return find(c, &d, e) < 0 ? -1 : put_digest(c, call_reply(c, 200), &d, e);
}

static int set_digest(struct call *c, struct err *e)
{
    struct store_digest d;

    if (find(c, &d, e) < 0 || digest_choice_take(c, c->body, &d.choice, &d.next_us, e) < 0 ||
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

    if (find(c, &d, e) < 0)
        return -1;
    if (field_given(in, 0) && in->until_us <= c->now_us) {
        c->member = "until";
        return err_set(e, ERR_INVALID, "That time is past.");
    }
    if (store_digest_pause(c->store, &c->actor, d.id, field_given(in, 0) ? in->until_us : DIGEST_PAUSED_FOR_GOOD, e) <
        0)
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

/* That a letter was asked for; which one, and to whom it goes. */
static int note_letter(struct call *c, const struct store_digest *d, const char *action, const struct uuid *run,
                       struct err *e)
{
    struct store_scope scope = d->kind == DIGEST_MAILBOX ? store_scope_mailbox(d->mailbox)
                                                         : store_scope_domain(d->domain);
    struct buf         b;
    int                rc;

    buf_init(&b, 4096);
    json_open(&b, NULL, '{');
    json_add_uuid(&b, "letter", run);
    json_add_str(&b, "to", d->address);
    json_close(&b, '}');
    rc = store_audit_note(c->store, &c->actor, action, "digest", &d->id, scope, buf_span(&b), e);
    buf_fini(&b);
    return rc;
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
    if ((rc = digest_begin(&look, &d, c->now_us, c->now_us, c->arena, &id, e)) < 0 ||
        (rc > 0 && note_letter(c, &d, "digest.send", &id, e) < 0))
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
        note_letter(c, &d, "digest.again", &id, e) < 0 || store_run_again(c->store, id, c->now_us, e) < 0)
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

#define CHOICE_IN(table) NULL, table, 0, sizeof(struct digest_choice_body)
static const struct route rows[] = {
    {HTTPD_GET, "/me/digests", DEED_SUBSCRIBE, OBJECT_NONE, 0, list_digests,
     .summary = "The digests that one gets, each with its last letter.", .reply = "list:Digest"},
    {HTTPD_POST, "/me/digests", DEED_SUBSCRIBE, OBJECT_NONE, ROUTE_MAKES, add_digest, CHOICE_IN(digest_add_fields),
     "Asks for a digest of a mailbox of one's own, or of a domain that one owns.", "Digest"},
    {HTTPD_GET, "/me/digest-time", DEED_SUBSCRIBE, OBJECT_NONE, 0, tell_time, digest_choice_fields, NULL,
     sizeof(struct digest_choice_body), 0, "When the first digest of such a choice would be.", "DigestTime"},
    {HTTPD_GET, "/me/digests/{digest}", DEED_SUBSCRIBE, OBJECT_NONE, 0, get_digest, .summary = "One of them.",
     .reply = "Digest"},
    {HTTPD_PATCH, "/me/digests/{digest}", DEED_SUBSCRIBE, OBJECT_NONE, ROUTE_ATOMIC, set_digest,
     CHOICE_IN(digest_set_fields),
     "Changes what is given: the hour, the days, the zone, the language, what it tells of.", "Digest"},
    {HTTPD_DELETE, "/me/digests/{digest}", DEED_SUBSCRIBE, OBJECT_NONE, 0, delete_digest,
     .summary = "Ends it; its links do nothing any more."},
    {HTTPD_POST, "/me/digests/{digest}/pause", DEED_SUBSCRIBE, OBJECT_NONE, 0, pause_digest, NULL, pause_fields, 0,
     sizeof(struct pause_body), "Sends none until a time, or until it is resumed.", "Digest"},
    {HTTPD_POST, "/me/digests/{digest}/resume", DEED_SUBSCRIBE, OBJECT_NONE, 0, resume_digest,
     .summary = "Goes on at its next hour.", .reply = "Digest"},
    {HTTPD_POST, "/me/digests/{digest}/send", DEED_SUBSCRIBE, OBJECT_NONE, 0, send_now,
     .summary = "Sends one now, if there is anything new.", .reply = "DigestSent"},
    {HTTPD_GET, "/me/digests/{digest}/letters", DEED_SUBSCRIBE, OBJECT_NONE, 0, list_runs,
     .summary = "What was sent lately, and what the mail server said.", .reply = "list:DigestLetter"},
    {HTTPD_POST, "/me/digests/{digest}/letters/{letter}/again", DEED_SUBSCRIBE, OBJECT_NONE, 0, send_again,
     .summary = "Sends a letter once more."},
    {HTTPD_GET, "/me/digests/{digest}/preview.html", DEED_SUBSCRIBE, OBJECT_NONE, ROUTE_NO_REPLAY, preview,
     .summary = "What it would look like now, as HTML.", .reply = "text/html"},
};

const struct route_family digests_family = {
    "Digests", rows, COUNT(rows),
    "\"Digest\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\"},\"kind\":{"
    "\"type\":\"string\"},\"of\":{\"type\":\"string\"},\"address\":{\"type\":\"string\"}," DIGEST_CHOICE_SCHEMA
    ",\"stands\":{\"type\":\"boolean\"},\"paused\":{\"type\":\"boolean\"},\"paused_until\":{\"type\":[\"string\","
    "\"null\"]},\"next\":{\"type\":[\"string\",\"null\"]},\"last\":{\"$ref\":\"#/components/schemas/DigestLetter\"}}},"
    "\"DigestTime\":{\"type\":\"object\",\"properties\":{\"next\":{\"type\":\"string\"}}},"
    "\"DigestSent\":{\"type\":\"object\",\"properties\":{\"sent\":{\"type\":\"boolean\"},\"run\":{\"type\":["
    "\"string\",\"null\"]}}},"
    "\"DigestLetter\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"since\":{\"type\":\"string\"}"
    ","
    "\"until\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"messages\":{\"type\":\"integer\"},\"attempts\":{"
    "\"type\":\"integer\"},\"answer\":{\"type\":\"string\"},\"answer_said\":{\"$ref\":\"#/components/schemas/"
    "SaidOrNull\"},"
    "\"changed\":{\"type\":\"string\"}}}"};
