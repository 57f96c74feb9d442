/* portal/mail_act.c - what people do about one delivery: release it, say that it is spam or not, and decide about its sender. */
#include "custody/held.h"
#include "custody/release.h"
#include "custody/report.h"
#include "mail.h"
#include "route.h"
#include "scan/findings.h"
#include "sentence.h"
#include "store/audit.h"
#include "store/request.h"

#define MESSAGE_SPARE ((size_t)1 << 20)

/* ---- release ---- */

static bool filter_is_spamd(const struct call *c)
{
    const struct conf_list *scanner = &c->portal->settings->rulesd.scanner;

    return scanner->n > 0 && span_starts(span_of(scanner->items[0]), SPAN("spamd"));
}

enum deed mail_release_deed(const struct call *c, const struct mail_delivery *m, struct known *known_out)
{
    static const enum deed of[] = {[FINDING_NONE] = DEED_ACT_ON_MAIL,
                                   [FINDING_POLICY] = DEED_DECIDE_RELEASE,
                                   [FINDING_ATTACHMENT] = DEED_DECIDE_RELEASE,
                                   [FINDING_VIRUS] = DEED_RELEASE_VIRUS};
    struct known           known;
    enum finding_kind      why;

    known_read(m->t.message.symbols, m->has_release ? &m->release : NULL, filter_is_spamd(c),
               &c->portal->settings->rules.protected_symbols, c->arena, &known);
    why = known.gravest == FINDING_NONE && !held_by_themselves(m->d->delivery.has_rule, m->d->delivery.layer)
              ? FINDING_POLICY
              : known.gravest;
    if (known_out != NULL)
        *known_out = known;
    return of[why];
}

bool mail_is_held(const struct mail_delivery *m)
{
    return release_held(m->d->delivery.verdict) && m->t.has_custody && m->t.custody.place != CUSTODY_GONE &&
           !m->t.custody.copy;
}

/* *decided_out: what goes with it, by the word of who calls. */
static int may_release(struct call *c, const struct mail_delivery *m, bool confirmed_virus, struct lift *decided_out,
                       struct err *e)
{
    struct known known;
    enum deed    deed = mail_release_deed(c, m, &known);

    if (permit(c->store, &c->who, deed, &c->scope, "message", e) < 0)
        return -1;
    if (deed == DEED_RELEASE_VIRUS && !confirmed_virus)
        return err_set(e, ERR_CONFLICT,
                       "The filter found a virus in this message (%.*s). Say once more that it shall be sent.",
                       SPAN_ARG(known.names));
    *decided_out = known.lift;
    return 0;
}

/* What a scan at release found is known from here on, and decided about by who may. */
static int stopped(const struct store_release *row, struct err *e)
{
    if (row->state != RELEASE_FAILED || row->code != 0 || e->code != ERR_DENIED ||
        !sentence_is_ours(span_of(row->reply)))
        return -1;
    return err_set(e, ERR_CONFLICT, "It was not sent: %.300s.", row->reply);
}

/* Who waits for an answer of the owners has it by this. */
static int grant(struct call *c, struct err *e)
{
    if (store_request_answer(c->store, &c->delivery, REQUEST_WAITING, REQUEST_GRANTED, span_of(c->actor.name), SPAN(""),
                             c->now_us, e) == 0)
        return 0;
    if (e->code != ERR_CONFLICT)
        return -1;
    *e = ERR_INIT;
    return 0;
}

/* It did not leave at once. What the database says counts: `row` may be what was to be written, and was not. */
static int not_at_once(struct call *c, struct store_release *row, struct err *e)
{
    struct store_release now;
    struct err           why = ERR_INIT;
    int                  rc;

    if (row->state != RELEASE_REQUESTED || (e->code != ERR_LOST && e->code != ERR_BUSY && e->code != ERR_TIMEOUT))
        return stopped(row, e);
    rc = store_release_get(c->store, c->delivery.uid, c->delivery.n, &now, &why);
    if (rc <= 0 || (now.state != RELEASE_REQUESTED && now.state != RELEASE_SENDING))
        return err_set(e, ERR_BUSY,
                       "Nothing may have been written down, because the database is away. Please try again: the "
                       "message is sent once at most.");
    *row = now;
    *e = ERR_INIT;
    return grant(c, e);
}

int mail_release(struct call *c, const struct mail_release_how *asked, struct store_release *row, struct err *e)
{
    const struct settings *s = c->portal->settings;
    struct release_asked   decision = {.again = asked->again};
    struct mail_delivery   m;
    struct release_how     how = {.store = c->store,
                                  .keys = s->quarantine.keys,
                                  .url = s->delivery.url,
                                  .scanner = c->portal->scanner,
                                  .protected_symbols = &s->rules.protected_symbols,
                                  .prefix = s->rules.prefix,
                                  .unscanned_ok = s->rulesd.scanner_down == SCANNER_DOWN_ACCEPT,
                                  .message_max = (size_t)s->rulesd.max_message + MESSAGE_SPARE};

    *row = (struct store_release){0};
    if (mail_find(c, &m, e) < 0 || may_release(c, &m, asked->confirmed_virus, &decision.decided, e) < 0)
        return -1;
    if (!mail_is_held(&m))
        return err_set(e, ERR_CONFLICT, "This message is not held: there is nothing to release.");
    if (release_check(c->store, how.url, e) < 0 || worker_vault(c->worker, &how.vault, e) < 0)
        return -1;
    if (release_send(&how, &c->actor, c->delivery.uid, c->delivery.n, &decision, row, e) == 0)
        return grant(c, e);
    return not_at_once(c, row, e);
}

/* ---- taking a release back ---- */

/* Who asked for it has no answer any more. */
static int ungrant(struct call *c, struct err *e)
{
    if (store_request_answer(c->store, &c->delivery, REQUEST_GRANTED, REQUEST_WAITING, span_of(c->actor.name), SPAN(""),
                             c->now_us, e) < 0 &&
        e->code != ERR_CONFLICT)
        return -1;
    *e = ERR_INIT;
    return 0;
}

static int not_withdrawn(bool *gone_out, struct err *e)
{
    if (e->code == ERR_DENIED)
        return err_set(e, ERR_CONFLICT, "Somebody else has asked for it since: it is theirs to take back.");
    *gone_out = e->code == ERR_BUSY || e->code == ERR_CONFLICT;
    return *gone_out ? err_set(e, ERR_CONFLICT, "It has been sent: this cannot be taken back any more.") : -1;
}

/* Written down first, as a release is: what ended half way is taken back all the same when it is asked for again. */
int mail_unrelease(struct call *c, bool *gone_out, struct err *e)
{
    struct mail_delivery m;

    *gone_out = false;
    if (mail_find(c, &m, e) < 0)
        return -1;
    if (m.has_release && store_release_is_withdrawn(&m.release))
        return ungrant(c, e);
    if (!m.has_release || m.release.state == RELEASE_FAILED)
        return err_set(e, ERR_CONFLICT, "It is not being released: there is nothing to take back.");
    if (store_release_can_withdraw(&m.release, &c->actor) &&
        store_audit_note(c->store, &c->actor, "quarantine.unrelease", "message", &c->delivery.uid, c->scope, SPAN("{}"),
                         e) < 0)
        return -1;
    if (store_release_withdraw(c->store, &c->actor, c->delivery.uid, c->delivery.n, e) < 0)
        return not_withdrawn(gone_out, e);
    return ungrant(c, e);
}

/* ---- calls about a release ---- */

static int put_release(struct call *c, const struct store_release *r)
{
    struct buf *b = call_reply(c, 200);

    json_open(b, NULL, '{');
    json_add_str(b, "state", release_state_words[r->state]);
    mail_put_reply(b, r);
    json_add_str(b, "queue_id", r->queue_id);
    json_close(b, '}');
    return 0;
}

struct release_body {
    uint64_t given;
    bool     again, confirmed_virus;
};
static const struct field release_fields[] = {
    {"again", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct release_body, again),
     "Also where nobody knows whether it arrived: it may come twice."},
    {"confirmed_virus", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct release_body, confirmed_virus),
     "Although the filter found a virus in it: the operator alone can say so."},
    FIELDS_END};

static int release(struct call *c, struct err *e)
{
    const struct release_body *in = c->body;
    struct mail_release_how    how = {.again = in->again, .confirmed_virus = in->confirmed_virus};
    struct store_release       row;

    return mail_release(c, &how, &row, e) < 0 ? -1 : put_release(c, &row);
}

static int unrelease(struct call *c, struct err *e)
{
    bool gone;

    if (mail_unrelease(c, &gone, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

/* ---- putting away ---- */

int mail_put_away(struct call *c, bool away, struct err *e)
{
    struct mail_delivery m;
    int                  rc;

    if (mail_find(c, &m, e) < 0)
        return -1;
    if (!mail_is_held(&m))
        return err_set(e, ERR_CONFLICT, "This message is not held any more.");
    if (store_audit_note(c->store, &c->actor, away ? "quarantine.delete" : "quarantine.undelete", "message",
                         &c->delivery.uid, c->scope, SPAN("{}"), e) < 0)
        return -1;
    rc = away ? store_held_delete(c->store, &c->delivery, c->now_us, e)
              : store_held_undelete(c->store, &c->delivery, e);
    return rc < 0 && e->code == ERR_NOT_FOUND ? err_set(e, ERR_CONFLICT, "This message is not held any more.") : rc;
}

/* ---- reports ---- */

struct report_body {
    uint64_t given;
    int class;
};
static const struct field report_fields[] = {{"class", FIELD_WORD, FIELD_REQUIRED, 0, 0, report_class_words,
                                              offsetof(struct report_body, class),
                                              "spam, ham (not spam), or forget what was said."},
                                             FIELDS_END};

int mail_report(struct call *c, enum report_class class, struct report_made *made, struct err *e)
{
    const struct settings *s = c->portal->settings;
    struct mail_delivery   m;
    struct origin_trust    trust;
    struct report_site     site = {&s->rulesd.scanner, &trust};
    struct report_said     said = {.class = class,
                                   .who = span_of(c->actor.name),
                                   .channel = c->who.kind == WHO_KEY ? SPAN("api") : SPAN("portal")};

    if (mail_find(c, &m, e) < 0 ||
        origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, c->arena, &trust, e) < 0)
        return -1;
    said.recipient = m.d->delivery.recipient;
    return report_find(c->store, &c->delivery.uid, c->arena, &said, e) < 0 ||
                   report_make(c->store, &site, &c->actor, &said, c->arena, made, e) < 0
               ? -1
               : 0;
}

static int report(struct call *c, struct err *e)
{
    const struct report_body *in = c->body;
    struct report_made        made;
    struct buf               *b;

    if (mail_report(c, (enum report_class)in->class, &made, e) < 0)
        return -1;
    b = call_reply(c, 200);
    report_put_json(b, (enum report_class)in->class, &made);
    b->n--; /* the object is open once more, for a member that is the portal's alone */
    sentence_put(b, "why_said", span_of(made.entry.why));
    json_close(b, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_POST, "/deliveries/{uid}/{n}/release", DEED_ACT_ON_MAIL, OBJECT_DELIVERY, 0, release, NULL, release_fields,
     0, sizeof(struct release_body), "Sends a held message to its recipient after all.", "Release"},
    {HTTPD_POST, "/deliveries/{uid}/{n}/unrelease", DEED_ACT_ON_MAIL, OBJECT_DELIVERY, 0, unrelease,
     .summary = "Takes one's release back while the message is not sent: it is held as before."},
    {HTTPD_POST, "/deliveries/{uid}/{n}/report", DEED_ACT_ON_MAIL, OBJECT_DELIVERY, 0, report, NULL, report_fields, 0,
     sizeof(struct report_body), "Says that it is spam, or is not: the filter learns, and so does the mailbox.",
     "Report"},
};

const struct route_family mail_act_family = {
    "Mail", rows, COUNT(rows),
    "\"Release\":{\"type\":\"object\",\"properties\":{\"state\":{\"type\":\"string\"},\"code\":{\"type\":\"integer\"},"
    "\"reply\":{\"type\":\"string\"},\"reply_said\":{\"$ref\":\"#/components/schemas/"
    "SaidOrNull\"},\"queue_id\":{\"type\":\"string\"}}},"
    "\"Report\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"class\":{\"type\":\"string\"},"
    "\"added\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},\"why\":{\"type\":[\"string\",\"null\"]},\"why_"
    "said\":{\"$ref\":\"#/components/schemas/"
    "SaidOrNull\"},\"note\":{\"type\":[\"string\",\"null\"]},\"body\":{\"type\":\"boolean\"},"
    "\"sender\":{\"type\":\"string\"},\"proof\":{\"type\":\"string\"}}}"};
