/* portal/mail.c - lists of the log, and one delivery with all that is known of it. */
#include "mail.h"

#include <math.h>
#include <stdlib.h>

#include "custody/held.h"
#include "mail/domain.h"
#include "mail_rules.h"
#include "mail_said.h"
#include "route.h"
#include "sentence.h"
#include "store/domain.h"
#include "store/mailbox.h"
#include "store/release.h"
#include "store/setting.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 200

/* ---- cursors: UID and number of the last row ---- */

struct span mail_cursor(struct call *c, const struct store_key *key)
{
    char bytes[24];

    memcpy(bytes, key->uid.b, 16);
    for (int i = 0; i < 8; i++)
        bytes[16 + i] = (char)((uint64_t)key->n >> (56 - 8 * i) & 0xff);
    return cursor_make(c->arena, span_make(bytes, sizeof bytes));
}

int mail_cursor_read(struct call *c, struct span text, struct store_key *out, struct err *e)
{
    struct span bytes;
    uint64_t    n = 0;

    if (cursor_read(c->arena, text, &bytes, e) < 0)
        return -1;
    if (bytes.n != 24)
        return err_set(e, ERR_INVALID, "The cursor is none that this list has given.");
    memcpy(out->uid.b, bytes.p, 16);
    for (int i = 0; i < 8; i++)
        n = n << 8 | (unsigned char)bytes.p[16 + i];
    out->n = (int64_t)n;
    return 0;
}

/* ---- searching ---- */

static int add_scope(void *ctx, const struct store_mailbox *m)
{
    struct mail_scopes *s = ctx;

    if (s->n < MAIL_SCOPES_MAX)
        s->scopes[s->n++] = store_scope_mailbox(m->id);
    return 0;
}

int mail_scopes_of_person(struct call *c, struct mail_scopes *out, struct err *e)
{
    out->n = 0;
    if (c->who.kind != WHO_SESSION)
        return err_set(e, ERR_DENIED, "An API key has no mailboxes of its own: name a scope.");
    return store_mailbox_of_account(c->store, c->who.account.id, add_scope, out, e);
}

static int by_key(const struct store_key *a, const struct store_key *b)
{
    int d = uuid_cmp(&a->uid, &b->uid);

    return d != 0 ? d : (a->n > b->n) - (a->n < b->n);
}

/* Rows of all scopes, until they are merged. */
struct gathered {
    struct arena     *arena;
    struct store_row *rows;
    size_t            n, max;
    bool              full; /* the arena */
};

static int gather(void *ctx, const struct store_row *row)
{
    struct gathered  *g = ctx;
    struct store_row *r = &g->rows[g->n];
    struct span *spans[] = {&r->queue_id, &r->ip,         &r->host,    &r->sender,    &r->from_address, &r->from_name,
                            &r->subject,  &r->message_id, &r->inbound, &r->recipient, &r->layer,        &r->answer};

    if (g->n == g->max)
        return 1;
    *r = *row;
    for (size_t i = 0; i < COUNT(spans); i++) {
        *spans[i] = arena_dup(g->arena, *spans[i]);
        g->full |= spans[i]->p == NULL;
    }
    g->n++;
    return g->full;
}

static int newest_first(const void *a, const void *b)
{
    return by_key(&((const struct store_row *)b)->key, &((const struct store_row *)a)->key);
}

/* A mailbox's own delivery, and that of a second mailbox of the same person for the same message, are two rows; the same row does not
 * come from two scopes. Where one scope has more behind its page, nothing older than that may be shown yet. */
static void merge(struct gathered *g, bool more, const struct store_key *horizon, size_t limit, struct mail_page *out)
{
    size_t n = 0;

    qsort(g->rows, g->n, sizeof *g->rows, newest_first);
    while (n < g->n && n < limit && (!more || by_key(&g->rows[n].key, horizon) >= 0))
        n++;
    *out = (struct mail_page){.rows = g->rows, .n = n, .more = more || n < g->n};
    if (out->more)
        out->next = n == limit || !more ? g->rows[n - 1].key : *horizon;
}

static void ask_of(const struct mail_query *what, struct store_search *s)
{
    s->words = what->words;
    s->nwords = what->nwords;
    s->has_uid = what->has_uid;
    s->uid = what->uid;
    s->has_rule = what->has_rule;
    s->rule = what->rule;
    s->statuses = what->statuses;
    s->directions = what->directions;
    s->since_us = what->since_us;
    s->until_us = what->until_us;
}

/* A name that is none of ours is a domain without mail, and nobody says so: who asks may not know which are ours. */
static int domain_id(struct call *c, struct span typed, struct uuid *out, struct err *e)
{
    struct store_domain d = {.id = uuid_zero};
    struct span         name;

    if (domain_normalise(typed, c->arena, &name, NULL) == 0 && store_domain_find(c->store, name, &d, e) < 0 &&
        e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    *out = d.id;
    return 0;
}

/* The domains that are asked for and left out, by their ids. */
static int ask_domains(struct call *c, const struct mail_query *what, struct store_search *s,
                       struct store_without without[STORE_WITHOUT_MAX], struct err *e)
{
    for (size_t i = 0; i < what->nwithout; i++) {
        without[i] = what->without[i].is;
        if (without[i].of == SEARCH_DOMAIN && domain_id(c, what->without[i].domain, &without[i].id, e) < 0)
            return -1;
    }
    s->without = without;
    s->nwithout = what->nwithout;
    s->has_domain = what->domain.n > 0;
    return s->has_domain ? domain_id(c, what->domain, &s->domain, e) : 0;
}

/* What a clerk may know of. false: that is nothing of what was asked for. */
static bool only_held(struct store_search *s)
{
    unsigned held = 1u << STATUS_QUARANTINED;

    s->statuses = s->statuses == 0 ? held : s->statuses & held;
    return s->statuses != 0;
}

int mail_search(struct call *c, const struct mail_scopes *where, const struct mail_query *what,
                const struct store_key *before, size_t limit, struct mail_page *out, struct err *e)
{
    struct store_search  s = {.has_before = before != NULL, .limit = limit};
    struct store_without without[STORE_WITHOUT_MAX];
    struct gathered      g = {.arena = c->arena, .max = limit * (where->n > 0 ? where->n : 1)};
    struct store_key     horizon = {0};
    bool                 more = false;

    ask_of(what, &s);
    if (c->standing == STANDING_CLERK && !only_held(&s)) {
        *out = (struct mail_page){.n = 0};
        return 0;
    }
    if (before != NULL)
        s.before = *before;
    if ((g.rows = arena_array(c->arena, g.max, sizeof *g.rows)) == NULL)
        return err_set(e, ERR_LIMIT, "Too many mailboxes at once.");
    if (ask_domains(c, what, &s, without, e) < 0)
        return -1;
    for (size_t i = 0; i < where->n; i++) {
        struct store_search_end end;

        s.scope = where->scopes[i];
        if (store_search(c->store, &s, gather, &g, &end, e) < 0)
            return -1;
        if (end.more && (!more || by_key(&end.next, &horizon) > 0))
            horizon = end.next;
        more |= end.more;
    }
    if (g.full)
        return err_set(e, ERR_LIMIT, "The page is too large; ask for fewer rows.");
    merge(&g, more, &horizon, limit, out);
    return 0;
}

int mail_leave_out_deleted(struct call *c, struct mail_page *page, struct err *e)
{
    struct store_row *rows = arena_array(c->arena, page->n > 0 ? page->n : 1, sizeof *rows);
    size_t            n = 0;

    if (rows == NULL)
        return err_set(e, ERR_LIMIT, "The page is too large; ask for fewer rows.");
    for (size_t i = 0; i < page->n; i++) {
        int64_t deleted_us;

        if (store_held_deleted(c->store, &page->rows[i].key, &deleted_us, e) < 0)
            return -1;
        if (deleted_us == 0)
            rows[n++] = page->rows[i];
    }
    page->rows = rows;
    page->n = n;
    return 0;
}

static int gather_held(void *ctx, const struct store_held *h) { return gather(ctx, &h->row); }

int mail_deleted(struct call *c, const struct mail_scopes *where, const struct store_key *before, size_t limit,
                 struct mail_page *out, struct err *e)
{
    struct gathered  g = {.arena = c->arena, .max = limit * (where->n > 0 ? where->n : 1)};
    struct store_key horizon = {0};
    bool             more = false;

    if ((g.rows = arena_array(c->arena, g.max, sizeof *g.rows)) == NULL)
        return err_set(e, ERR_LIMIT, "Too many mailboxes at once.");
    for (size_t i = 0; i < where->n; i++) {
        size_t had = g.n;

        if (where->scopes[i].kind == SCOPE_GLOBAL)
            return err_set(e, ERR_INVALID, "Name the mailbox or the domain whose deleted mail is meant.");
        if (store_held_list_deleted(c->store, where->scopes[i].id, c->now_us - HELD_DELETED_US, before, limit,
                                    gather_held, &g, e) < 0)
            return -1;
        if (g.n - had == limit) {
            if (!more || by_key(&g.rows[g.n - 1].key, &horizon) > 0)
                horizon = g.rows[g.n - 1].key;
            more = true;
        }
    }
    if (g.full)
        return err_set(e, ERR_LIMIT, "The page is too large; ask for fewer rows.");
    merge(&g, more, &horizon, limit, out);
    return 0;
}

struct span mail_scopes_text(const struct mail_scopes *s, struct arena *a)
{
    struct span text = SPAN("");
    char        id[UUID_TEXT + 1];

    for (size_t i = 0; i < s->n; i++) {
        uuid_format(&s->scopes[i].id, id);
        text = arena_printf(a, "%.*s%s %s\n", SPAN_ARG(text), scope_kind_words[s->scopes[i].kind], id);
    }
    return text;
}

int mail_scopes_read(struct span text, struct mail_scopes *out, struct err *e)
{
    struct span line;

    out->n = 0;
    while (span_next(&text, '\n', &line) && line.n > 0) {
        size_t             blank = span_chr(line, ' ');
        struct store_scope one = {SCOPE_GLOBAL, uuid_zero};

        while (scope_kind_words[one.kind] != NULL && !span_is(span_head(line, blank), scope_kind_words[one.kind]))
            one.kind++;
        if (scope_kind_words[one.kind] == NULL || out->n == MAIL_SCOPES_MAX ||
            !uuid_parse(span_skip(line, blank + 1), &one.id))
            return err_set(e, ERR_CORRUPT, "a list of scopes cannot be read");
        out->scopes[out->n++] = one;
    }
    return 0;
}

/* ---- a row ---- */

void mail_put_row(struct buf *b, const char *key, const struct store_row *r) { mail_put_held_row(b, key, r, NULL); }

void mail_put_held_row(struct buf *b, const char *key, const struct store_row *r, const char *likely)
{
    json_open(b, key, '{');
    json_add_uuid(b, "uid", &r->key.uid);
    json_add_i64(b, "n", r->key.n);
    json_add_time(b, "at", r->at_us);
    json_add_str(b, "status", delivery_status_words[r->status]);
    json_add_str(b, "verdict", delivery_verdict_words[r->verdict]);
    json_add_str(b, "state", delivery_state_words[r->state]);
    json_add_bool(b, "released", delivery_was_released(r->verdict, r->state));
    json_add_str(b, "direction", direction_words[r->direction]);
    json_add_text(b, "sender", r->sender);
    json_add_text(b, "from", r->from_address);
    json_add_text(b, "from_name", r->from_name);
    json_add_text(b, "subject", r->subject);
    json_add_text(b, "recipient", r->recipient);
    json_add_i64(b, "size", r->size);
    json_add_bool(b, "attached", r->attached);
    json_add_f64(b, "score", r->has_score ? r->score : (double)NAN);
    json_add_uuid(b, "rule", r->has_rule ? &r->rule : NULL);
    json_add_text(b, "layer", r->layer.n > 0 ? r->layer : SPAN_NONE);
    json_add_text(b, "answer", r->answer);
    json_add_time(b, "updated", r->updated_us);
    if (likely != NULL)
        json_add_str(b, "likely", likely);
    json_close(b, '}');
}

/* custody/held.h, with what holds in the domain of the row before. */
struct opinion {
    bool              known;
    struct uuid       domain;
    struct thresholds t;
};

static const char *likely(struct call *c, const struct store_row *r, struct opinion *o)
{
    struct store_domain_view view;

    if (!o->known || !uuid_eq(&o->domain, &r->domain)) {
        if (store_domain_view(c->store, r->has_domain ? &r->domain : NULL, c->arena, &view, NULL) < 0)
            return NULL;
        *o = (struct opinion){true, r->domain, view.thresholds};
    }
    return held_likely_spam(r->has_rule, r->has_score, r->score, &o->t) ? "spam" : "ham";
}

/* ---- lists ---- */

struct list_query {
    uint64_t    given;
    struct span q, after;
    int64_t     limit;
};
enum { LIST_Q, LIST_AFTER, LIST_LIMIT };
static const struct field list_fields[] = {
    [LIST_Q] =
        {"q", FIELD_TEXT, 0, 0, MAIL_QUERY_MAX, NULL, offsetof(struct list_query, q),
         "What to look for, as people type it: from: to: subject: status: uid: rule: domain: inbound: outbound: "
         "delivery: direction: after: before: (days are those of UTC, a time may be one of any zone) date: (today, "
         "yesterday, 7d or 30d, of UTC), words, and - in front of any of these but times to exclude."},
    [LIST_AFTER] = {"after", FIELD_TEXT, 0, 0, 100, NULL, offsetof(struct list_query, after),
                    "The `next` of the page before."},
    [LIST_LIMIT] = {"limit", FIELD_I64, 0, 1, PAGE_MAX, NULL, offsetof(struct list_query, limit),
                    "How many rows at most; 50 unless said."},
    FIELDS_END,
};

static int list(struct call *c, const struct mail_scopes *where, struct err *e)
{
    const struct list_query *in = c->query;
    struct mail_query        what;
    struct store_key         before;
    struct mail_page         page;
    struct opinion           opinion = {.known = false};
    struct buf              *b;
    bool                     behind = in->after.n > 0;

    c->member = "q";
    if (mail_query_read(in->q, c->arena, &what, e) < 0)
        return -1;
    c->member = NULL;
    if ((behind && mail_cursor_read(c, in->after, &before, e) < 0) ||
        mail_search(c, where, &what, behind ? &before : NULL, in->limit > 0 ? (size_t)in->limit : PAGE_DEFAULT, &page,
                    e) < 0 ||
        (what.held && mail_leave_out_deleted(c, &page, e) < 0))
        return -1;
    b = call_list_begin(c);
    for (size_t i = 0; i < page.n; i++)
        mail_put_held_row(b, NULL, &page.rows[i], what.held ? likely(c, &page.rows[i], &opinion) : NULL);
    call_list_end(c, page.more ? mail_cursor(c, &page.next) : SPAN_NONE);
    return 0;
}

static int list_mine(struct call *c, struct err *e)
{
    struct mail_scopes where;

    return mail_scopes_of_person(c, &where, e) < 0 ? -1 : list(c, &where, e);
}

static int list_scope(struct call *c, struct err *e)
{
    struct mail_scopes where = {.scopes = {c->scope}, .n = 1};

    return list(c, &where, e);
}

/* ---- at a glance ---- */

#define SUMMARY_MAX 1000

#define DAY_US (86400 * INT64_C(1000000))

struct summary_query {
    uint64_t given;
    int64_t  today_us;
};
static const struct field summary_fields[] = {
    {"today", FIELD_TIME, 0, 0, 0, NULL, offsetof(struct summary_query, today_us),
     "When the day began for who looks, at most two days ago; midnight UTC unless said."},
    FIELDS_END};

static int summary(struct call *c, struct err *e)
{
    const struct summary_query *in = c->query;
    struct mail_query           last = {0}, today = {.statuses = 1u << STATUS_DELIVERED | 1u << STATUS_RECEIVED};
    struct mail_query           held = {.statuses = 1u << STATUS_QUARANTINED};
    struct mail_page            newest, delivered, waiting;
    struct mail_scopes          where;
    struct buf                 *b;

    today.since_us = in->today_us > c->now_us - 2 * DAY_US && in->today_us <= c->now_us
                         ? in->today_us
                         : c->now_us - c->now_us % DAY_US;
    if (mail_scopes_of_person(c, &where, e) < 0 || mail_search(c, &where, &last, NULL, 1, &newest, e) < 0 ||
        mail_search(c, &where, &today, NULL, SUMMARY_MAX, &delivered, e) < 0 ||
        mail_search(c, &where, &held, NULL, SUMMARY_MAX, &waiting, e) < 0 || mail_leave_out_deleted(c, &waiting, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_time(b, "last", newest.n > 0 ? newest.rows[0].at_us : 0);
    json_add_i64(b, "delivered_today", (int64_t)delivered.n);
    json_add_i64(b, "held", (int64_t)waiting.n);
    json_close(b, '}');
    return 0;
}

/* ---- one delivery ---- */

static void put_attempt(struct buf *b, const struct store_attempt *a)
{
    json_open(b, NULL, '{');
    json_add_time(b, "at", a->at_us);
    json_add_text(b, "to", a->final_recipient);
    json_add_text(b, "host", a->host);
    json_add_text(b, "ip", a->ip);
    json_add_i64(b, "port", a->port);
    json_add_text(b, "tls", a->tls);
    json_add_text(b, "dsn", a->dsn);
    json_add_i64(b, "code", a->code);
    json_add_text(b, "response", a->response);
    json_add_text(b, "queue_id", a->queue_id);
    json_close(b, '}');
}

static void put_message(struct buf *b, const struct store_message *m)
{
    json_add_time(b, "at", m->at_us);
    json_add_str(b, "direction", direction_words[m->direction]);
    json_add_text(b, "sender", m->sender);
    json_add_text(b, "from", m->from_address);
    json_add_text(b, "from_name", m->from_name);
    json_add_text(b, "subject", m->subject);
    json_add_text(b, "message_id", m->message_id);
    json_add_i64(b, "size", m->size);
    json_add_text(b, "queue_id", m->queue_id);
    json_open(b, "client", '{');
    json_add_text(b, "ip", m->ip);
    json_add_text(b, "host", m->host);
    json_add_text(b, "helo", m->helo);
    json_add_text(b, "tls", m->tls);
    json_close(b, '}');
    json_add_text(b, "inbound", m->inbound);
    json_add_f64(b, "scanner_score", m->has_score ? m->score : (double)NAN);
    json_add_json(b, "symbols", m->symbols.n > 0 ? m->symbols : SPAN("[]"));
    json_add_json(b, "attachments", m->attachments.n > 0 ? m->attachments : SPAN("[]"));
}

/* What holds now, for "your domain holds from 6". */
static int put_thresholds(struct call *c, struct buf *b, const struct store_delivery *d, struct err *e)
{
    struct store_domain_view  domain;
    struct store_mailbox_view mailbox;
    struct thresholds         t = {0};

    if (store_domain_view(c->store, d->has_domain ? &d->domain : NULL, c->arena, &domain, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        json_add_null(b, "thresholds");
        return 0;
    }
    t = domain.thresholds;
    if (d->has_mailbox && store_mailbox_view(c->store, d->mailbox, &mailbox, NULL) == 0)
        t = mailbox.thresholds;
    json_open(b, "thresholds", '{');
    json_add_f64(b, "reject", t.reject);
    json_add_f64(b, "add_header", t.add_header);
    json_add_f64(b, "greylist", t.greylist);
    json_close(b, '}');
    json_open(b, "dispositions", '{');
    json_add_str(b, "block", action_word(domain.dispositions.at_block));
    json_add_str(b, "reject", action_word(domain.dispositions.at_reject));
    json_add_str(b, "add_header", action_word(domain.dispositions.at_add_header));
    json_close(b, '}');
    return 0;
}

void mail_put_reply(struct buf *b, const struct store_release *r)
{
    struct err why = ERR_INIT;

    json_add_i64(b, "code", r->code);
    if (r->code != 0 || r->reply[0] == '\0') {
        json_add_str(b, "reply", r->reply);
        json_add_null(b, "reply_said");
        return;
    }
    err_set(&why, ERR_IO, "%s", r->reply);
    sentence_say(b, "reply", sentence_for(&why));
}

static void put_release(struct buf *b, const struct mail_delivery *m)
{
    const struct store_release *r = &m->release;

    if (!m->has_release) {
        json_add_null(b, "release");
        return;
    }
    json_open(b, "release", '{');
    json_add_str(b, "state", release_state_words[r->state]);
    json_add_bool(b, "taken_back", store_release_is_withdrawn(r));
    json_add_str(b, "requested_by", r->requested_by);
    json_add_time(b, "requested", r->requested_us);
    json_add_time(b, "changed", r->changed_us);
    mail_put_reply(b, r);
    json_add_str(b, "queue_id", r->queue_id);
    json_close(b, '}');
}

static int put_request(struct call *c, struct buf *b, const struct store_request **out, struct err *e)
{
    struct store_request *r = arena_zalloc(c->arena, sizeof *r);
    int                   rc = r != NULL ? store_request_get(c->store, &c->delivery, c->arena, r, e) : 0;

    *out = rc > 0 ? r : NULL;
    if (rc <= 0) {
        json_add_null(b, "request");
        return rc;
    }
    mail_put_request(b, "request", r);
    return 0;
}

void mail_put_request(struct buf *b, const char *key, const struct store_request *r)
{
    json_open(b, key, '{');
    json_add_str(b, "state", request_state_words[r->state]);
    json_add_text(b, "who", r->who);
    json_add_text(b, "why", r->why);
    json_add_time(b, "asked", r->asked_us);
    json_add_text(b, "answer", r->answer);
    json_add_text(b, "answered_by", r->answered_by);
    json_add_time(b, "answered", r->answered_us);
    json_close(b, '}');
}

static bool may(const struct call *c, enum deed deed)
{
    return permit(c->store, &c->who, deed, &c->scope, "message", NULL) == 0;
}

/* What a page shall offer; each call decides for itself again. */
static void put_can(struct call *c, struct buf *b, const struct mail_delivery *m, const struct store_request *asked)
{
    struct known known;
    enum deed    deed = mail_release_deed(c, m, &known);
    bool         held = mail_is_held(m) && !delivery_was_released(m->d->delivery.verdict, m->d->delivery.state);
    bool         release = held && may(c, deed);

    json_open(b, "can", '{');
    json_add_bool(b, "release", release);
    json_add_bool(b, "confirm_virus", release && deed == DEED_RELEASE_VIRUS);
    json_add_bool(b, "unrelease",
                  m->has_release && store_release_can_withdraw(&m->release, &c->actor) && may(c, DEED_ACT_ON_MAIL));
    json_add_text(b, "findings", held ? known.names : SPAN(""));
    json_add_bool(b, "ask",
                  held && !release && deed == DEED_DECIDE_RELEASE && asked == NULL && m->d->delivery.has_domain &&
                      may(c, DEED_ACT_ON_MAIL));
    json_add_bool(b, "report", may(c, DEED_ACT_ON_MAIL));
    json_add_bool(b, "open", m->t.has_custody && m->t.custody.place != CUSTODY_GONE && may(c, DEED_OPEN_BODY));
    json_add_bool(b, "decide",
                  c->scope.kind != SCOPE_GLOBAL && m->t.message.direction != DIRECTION_OUTBOUND &&
                      may(c, DEED_WRITE_RULES));
    json_close(b, '}');
}

static void put_custody(struct buf *b, const struct store_timeline *t)
{
    if (!t->has_custody) {
        json_add_null(b, "held");
        return;
    }
    json_open(b, "held", '{');
    json_add_bool(b, "there", t->custody.place != CUSTODY_GONE);
    json_add_bool(b, "copy", t->custody.copy);
    json_add_bool(b, "lost", t->custody.lost.n > 0);
    json_add_time(b, "until", t->custody.keep_us);
    json_close(b, '}');
}

int mail_find(struct call *c, struct mail_delivery *out, struct err *e)
{
    if (store_timeline(c->store, &c->delivery.uid, c->scope, c->arena, &out->t, e) < 0)
        return -1;
    out->d = NULL;
    for (size_t i = 0; i < out->t.ndeliveries; i++)
        if (out->t.deliveries[i].n == c->delivery.n)
            out->d = &out->t.deliveries[i];
    if (out->d == NULL)
        return err_set(e, ERR_NOT_FOUND, "There is no such message.");
    int rc = store_release_get(c->store, c->delivery.uid, c->delivery.n, &out->release, e);
    out->has_release = rc > 0;
    return rc < 0 ? -1 : 0;
}

static int put_delivery(struct call *c, struct buf *b, const struct mail_delivery *m, struct err *e)
{
    const struct store_timeline          *t = &m->t;
    const struct store_timeline_delivery *d = m->d;
    const struct store_request           *asked;

    json_open(b, NULL, '{');
    json_add_uuid(b, "uid", &c->delivery.uid);
    json_add_i64(b, "n", c->delivery.n);
    put_message(b, &t->message);
    json_add_text(b, "recipient", d->delivery.recipient);
    json_add_str(b, "status", delivery_status_words[d->status]);
    json_add_str(b, "verdict", delivery_verdict_words[d->delivery.verdict]);
    json_add_str(b, "state", delivery_state_words[d->delivery.state]);
    json_add_bool(b, "released", delivery_was_released(d->delivery.verdict, d->delivery.state));
    json_add_f64(b, "score", d->delivery.has_score ? d->delivery.score : (double)NAN);
    json_add_text(b, "layer", d->delivery.layer.n > 0 ? d->delivery.layer : SPAN_NONE);
    json_add_text(b, "answer", d->answer);
    json_add_time(b, "updated", d->updated_us);
    json_open(b, "attempts", '[');
    for (size_t i = 0; i < d->nattempts; i++)
        put_attempt(b, &d->attempts[i]);
    json_close(b, ']');
    put_custody(b, t);
    json_add_str(b, "standing", standing_words[c->standing]);
    put_release(b, m);
    if (mail_rules_put(c, &d->delivery, b, e) < 0 || put_thresholds(c, b, &d->delivery, e) < 0 ||
        put_request(c, b, &asked, e) < 0 || mail_said_put(c, &d->delivery, b, e) < 0)
        return -1;
    put_can(c, b, m, asked);
    json_close(b, '}');
    return 0;
}

static int get_delivery(struct call *c, struct err *e)
{
    struct mail_delivery m;

    return mail_find(c, &m, e) < 0 ? -1 : put_delivery(c, call_reply(c, 200), &m, e);
}

static const struct route rows[] = {
    {HTTPD_GET, "/me/mail", DEED_SEE_MAIL, OBJECT_NONE, 0, list_mine, list_fields, NULL, sizeof(struct list_query), 0,
     "Deliveries to all mailboxes of who is signed in, the newest first.", "list:Delivery"},
    {HTTPD_GET, "/me/summary", DEED_SEE_MAIL, OBJECT_NONE, 0, summary, summary_fields,
     .query_size = sizeof(struct summary_query),
     .summary = "When the last message came, how many were delivered today and are held (up to 1,000).",
     .reply = "Summary"},
    {HTTPD_GET, "/scopes/{scope}/mail", DEED_SEE_MAIL, OBJECT_SCOPE, 0, list_scope, list_fields, NULL,
     sizeof(struct list_query), 0, "Deliveries to a mailbox, a domain, or everywhere, the newest first.",
     "list:Delivery"},
    {HTTPD_GET, "/deliveries/{uid}/{n}", DEED_SEE_MAIL, OBJECT_DELIVERY, 0, get_delivery,
     .summary = "One delivery: the verdict and why, and what became of it.", .reply = "DeliveryDetail"},
};

/* ---- what openapi.json says of them ---- */

#define TEXT "{\"type\":\"string\"}"
#define TEXT_OR_NULL "{\"type\":[\"string\",\"null\"]}"
#define NUMBER_OR_NULL "{\"type\":[\"number\",\"null\"]}"
#define WHOLE "{\"type\":\"integer\"}"
#define YES_OR_NO "{\"type\":\"boolean\"}"
#define OBJECT_OR_NULL "{\"type\":[\"object\",\"null\"]}"
#define MEMBER(name, type) ",\"" name "\":" type
/* Of a row and of the whole alike. */
#define DELIVERY                                                                                                       \
    "\"uid\":{\"type\":\"string\",\"format\":\"uuid\"}" MEMBER("n", WHOLE)                                             \
        MEMBER("at", "{\"type\":\"string\",\"format\":\"date-time\"}")                                                 \
            MEMBER("status", "{\"type\":\"string\",\"enum\":[\"received\",\"queued\",\"delivered\",\"spam\","          \
                             "\"quarantined\",\"blocked\",\"rejected\"]}") MEMBER("verdict", TEXT)                     \
                MEMBER("state", TEXT) MEMBER("released", YES_OR_NO) MEMBER("direction", TEXT)                          \
                    MEMBER("sender", TEXT_OR_NULL) MEMBER("from", TEXT_OR_NULL) MEMBER("from_name", TEXT_OR_NULL)      \
                        MEMBER("subject", TEXT_OR_NULL) MEMBER("recipient", TEXT) MEMBER("size", WHOLE)                \
                            MEMBER("score", NUMBER_OR_NULL) MEMBER("layer", TEXT_OR_NULL)                              \
                                MEMBER("answer", TEXT_OR_NULL) MEMBER("updated", TEXT_OR_NULL)

/* clang-format off */
const struct route_family mail_family = {
    "Mail", rows, COUNT(rows),
    "\"Delivery\":{\"type\":\"object\",\"required\":[\"uid\",\"n\",\"at\",\"status\",\"recipient\"],\"properties\":{" DELIVERY
    MEMBER("attached", "{\"type\":\"boolean\",\"description\":\"it has attachments\"}") MEMBER("rule", TEXT_OR_NULL)
    MEMBER("likely", "{\"type\":\"string\",\"enum\":[\"spam\",\"ham\"]}") "}},"
    "\"Summary\":{\"type\":\"object\",\"properties\":{\"last\":" TEXT_OR_NULL MEMBER("delivered_today", WHOLE) MEMBER("held", WHOLE) "}},"
    "\"Attempt\":{\"type\":\"object\",\"properties\":{\"at\":" TEXT MEMBER("to", TEXT_OR_NULL) MEMBER("host", TEXT_OR_NULL)
    MEMBER("ip", TEXT_OR_NULL) MEMBER("port", WHOLE) MEMBER("tls", TEXT_OR_NULL) MEMBER("dsn", TEXT_OR_NULL) MEMBER("code", WHOLE)
    MEMBER("response", TEXT_OR_NULL) MEMBER("queue_id", TEXT_OR_NULL) "}},"
    "\"DeliveryDetail\":{\"type\":\"object\",\"required\":[\"uid\",\"n\",\"at\",\"status\",\"recipient\"],\"properties\":{" DELIVERY
    MEMBER("message_id", TEXT_OR_NULL) MEMBER("queue_id", TEXT_OR_NULL)
    MEMBER("client", "{\"type\":\"object\",\"properties\":{\"ip\":" TEXT_OR_NULL MEMBER("host", TEXT_OR_NULL) MEMBER("helo", TEXT_OR_NULL) MEMBER("tls", TEXT_OR_NULL) "}}")
    MEMBER("inbound", TEXT_OR_NULL) MEMBER("scanner_score", NUMBER_OR_NULL)
    MEMBER("symbols", "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}") MEMBER("attachments", "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}")
    MEMBER("matches", "{\"type\":\"array\",\"items\":{\"type\":\"object\"},\"description\":\"every rule that matched, and what came of it\"}")
    MEMBER("attempts", "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Attempt\"}}")
    MEMBER("rule", "{\"type\":[\"object\",\"null\"],\"properties\":{\"id\":" TEXT MEMBER("name", TEXT_OR_NULL) MEMBER("action", TEXT_OR_NULL) "}}")
    MEMBER("thresholds", OBJECT_OR_NULL) MEMBER("dispositions", OBJECT_OR_NULL) MEMBER("release", OBJECT_OR_NULL)
    MEMBER("request", "{\"anyOf\":[{\"$ref\":\"#/components/schemas/ReleaseRequest\"},{\"type\":\"null\"}]}")
    MEMBER("report", OBJECT_OR_NULL) MEMBER("held", OBJECT_OR_NULL)
    MEMBER("can", "{\"type\":\"object\",\"description\":\"what the caller may do about it\"}") MEMBER("standing", TEXT) "}}"};
/* clang-format on */
