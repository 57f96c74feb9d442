/* lib/custody/release.c - see release.h. The steps of one delivery stand in send_claimed(), from the audit row to the last reply. */
#include "custody/release.h"

#include <stdio.h>
#include <time.h>

#include "base/utf8.h"
#include "custody/body.h"
#include "custody/known.h"
#include "mail/address.h"
#include "net/smtp_client.h"
#include "scan/wait.h"
#include "store/audit.h"
#include "store/bypass.h"
#include "store/custody.h"
#include "store/domain.h"
#include "store/setting.h"

#define HEAD_MAX 2000
#define UNFINISHED_MAX 1000 /* of one call */

/* One delivery on its way. Owns arena, message and head; the record lies in the arena. */
struct sending {
    const struct release_how    *how;
    const struct actor          *by;
    struct store_release        *row; /* the caller's */
    struct arena                 arena;
    struct buf                   message, head;
    struct store_message         record;
    const struct store_delivery *delivery;
    struct lift                  lift; /* what is decided: the row's */
    struct store_domain_view     domain;
    const char                  *url; /* the domain's, else [delivery] url */
    struct bypass                bypass;
    bool                         has_bypass;
};

bool release_held(enum delivery_verdict v)
{
    return v == DELIVERY_QUARANTINED || v == DELIVERY_REMOVED || v == DELIVERY_BLOCKED || v == DELIVERY_DISCARDED;
}

int release_check(struct store *s, const char *url, struct err *e)
{
    bool routed;

    if (url != NULL && url[0] != '\0')
        return smtp_client_check(url, e) < 0 ? err_wrap(e, "[delivery] url") : 0;
    if (store_domain_routed(s, &routed, e) < 0)
        return -1;
    return routed ? 0
                  : err_set(e, ERR_INVALID,
                            "there is no way to send released mail: [delivery] url names none, and no domain has a "
                            "route of its own; give it an smtpd without milters, such as smtp://127.0.0.1:10025");
}

/* Is "bypass=on" in the query of the URL? */
static bool wants_bypass(const char *url)
{
    struct span query = span_of(url), word;

    query = span_skip(query, span_chr(query, '?') + 1);
    while (span_next(&query, '&', &word))
        if (span_is(word, "bypass=on"))
            return true;
    return false;
}

/* ---- before it is sent ---- */

static int write_down(struct sending *x, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, 16 << 10);
    buf_printf(&b, "{\"n\":%lld,\"attempt\":%lld,\"recipient\":", (long long)x->row->n, (long long)x->row->attempt);
    json_put_string(&b, x->delivery->recipient);
    buf_printf(&b, ",\"decided\":\"%s\"}", x->row->lifts);
    rc = b.failed ? err_set(e, ERR_LIMIT, "the recipient's address is too long for the audit log")
                  : store_audit_note(x->how->store, x->by, "quarantine.release", "message", &x->row->uid,
                                     body_scope(x->delivery), buf_span(&b), e);
    buf_fini(&b);
    return rc;
}

/* Routes were not always checked: one that is no more than a next hop for rules to look at ("192.0.2.9:25") sends its mail where all goes. */
static const char *url_of(const struct sending *x)
{
    const char *route = x->domain.route;
    struct err  ignored = ERR_INIT;

    if (route[0] != '\0' && smtp_client_check(route, &ignored) == 0)
        return route;
    return x->how->url != NULL ? x->how->url : "";
}

static int has_way(const struct sending *x, struct err *e)
{
    return x->url[0] != '\0' ? 0
                             : err_set(e, ERR_INVALID,
                                       "there is no way to send it: [delivery] url names none, and its domain has no "
                                       "route of its own");
}

/* What the domain says: where its mail goes, what a protected finding has to reach to stop it, and whose prefix our field has. */
static int read_domain(struct sending *x, struct err *e)
{
    x->domain = (struct store_domain_view){.thresholds = store_thresholds_built_in};
    if (store_domain_view(x->how->store, x->delivery->has_domain ? &x->delivery->domain : NULL, &x->arena, &x->domain,
                          e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        x->domain = (struct store_domain_view){.thresholds = store_thresholds_built_in};
    }
    x->url = url_of(x);
    return 0;
}

/* The names of what stops it, for people. */
static void name_findings(struct sending *x, const struct scanner_answer *answer, struct buf *out)
{
    for (size_t i = 0; i < answer->reply.nsymbols; i++) {
        const struct rspamd_symbol *s = &answer->reply.symbols[i];

        if (!findings_protected(s->name, answer->spamd, x->how->protected_symbols) ||
            lift_covers(&x->lift, s, answer->spamd, x->how->protected_symbols))
            continue;
        buf_puts(out, out->n > 0 ? ", " : "");
        utf8_put_escaped(out, span_head(s->name, 60), 0);
    }
}

/* ERR_DENIED: there is something about which nobody has decided. */
static int scan(struct sending *x, struct err *e)
{
    struct scanner_ask ask = {.message = buf_span(&x->message),
                              .from = x->record.sender.n > 0 ? x->record.sender : SPAN(""),
                              .rcpt = &x->delivery->recipient,
                              .nrcpt = 1,
                              .ip = x->record.ip,
                              .helo = x->record.helo,
                              .hostname = x->record.host,
                              .arena = &x->arena};
    struct score_parts parts = {0};
    struct buf         names;

    if (x->how->scanner == NULL)
        return 0;
    if (scan_wait(x->how->scanner, &ask, e) < 0)
        return x->how->unscanned_ok ? 0 : err_wrap(e, "it has to be scanned again before it leaves");
    findings_score(&ask.answer, x->how->protected_symbols, &x->lift, &parts);
    if (parts.protected_defer)
        return x->how->unscanned_ok
                   ? 0
                   : err_set(e, ERR_BUSY, "the scanner could not look for viruses, and asks to come again");
    if (!parts.protected_reject && parts.protected_sum < x->domain.thresholds.reject)
        return 0;
    known_keep(&ask.answer, x->how->protected_symbols, x->row);
    buf_init(&names, 400);
    name_findings(x, &ask.answer, &names);
    err_set(e, ERR_DENIED, "the scan stops it: %.*s", SPAN_ARG(buf_span(&names)));
    buf_fini(&names);
    return -1;
}

static int put_bypass(struct sending *x, int64_t now_us, struct err *e)
{
    uint8_t        key[BYPASS_KEY_BYTES];
    struct address rcpt;

    if (!wants_bypass(x->url))
        return 0;
    if (address_parse_path(x->delivery->recipient, &x->arena, &rcpt, e) < 0 ||
        keyring_secret(x->how->keys, BYPASS_SECRET, key, e) < 0)
        return -1;
    bypass_put(key, &x->row->uid, rcpt.full, buf_span(&x->message), x->row->lifts, now_us, &x->bypass, &x->head);
    x->has_bypass = true;
    return store_bypass_add(x->how->store, &x->bypass, e);
}

/* Our fields on top; the bypass is the lowest of them. */
static int write_head(struct sending *x, struct err *e)
{
    int64_t   now_us = clock_wall_us();
    time_t    now = (time_t)(now_us / 1000000);
    char      uid[UUID_TEXT + 1], date[64], field[BRAND_FIELD_MAX + 1];
    struct tm tm;

    uuid_format(&x->row->uid, uid);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    brand_field(x->domain.prefix[0] != '\0' ? x->domain.prefix : x->how->prefix, "Released", field);
    buf_printf(&x->head, "%s: %s; %s\r\n", field, uid, date);
    return put_bypass(x, now_us, e);
}

/* ---- sending it ---- */

static int dot(void *ctx, struct err *e)
{
    struct sending *x = ctx;

    return store_release_dot(x->how->store, x->row, clock_wall_us(), e);
}

static int talk(struct sending *x, struct smtp_client *c, struct smtp_result *result, struct err *e)
{
    struct smtp_origin origin = {
        .name = x->record.host, .addr = x->record.ip, .helo = x->record.helo, .ident = x->record.queue_id};
    struct smtp_letter letter = {.from = x->record.sender,
                                 .rcpt = &x->delivery->recipient,
                                 .nrcpt = 1,
                                 .origin = &origin,
                                 .head = buf_span(&x->head),
                                 .message = buf_span(&x->message),
                                 .notify_never = true,
                                 .before_end = dot,
                                 .ctx = x};

    return smtp_client_send(c, &letter, result, e);
}

static void keep_text(char *out, size_t size, struct span text)
{
    size_t n = utf8_clip(text, size - 1);

    memcpy(out, text.p != NULL ? text.p : "", n);
    out[n] = '\0';
}

static void keep_reply(struct store_release *r, enum release_state state, int code, const char *text)
{
    r->state = state;
    r->code = code;
    keep_text(r->reply, sizeof r->reply, span_of(text));
}

/* It ends here; e says why, and stays what the caller is told. */
static int end_unsent(struct sending *x, enum release_state state, struct err *e)
{
    struct err more = ERR_INIT;

    keep_reply(x->row, state, 0, e->text);
    if (store_release_done(x->how->store, x->row, &more) < 0)
        err_wrap(e, "(%.150s) ", more.text);
    return -1;
}

static int end_sent(struct sending *x, const struct smtp_client *c, const struct smtp_reply *reply, struct err *e)
{
    struct smtp_peer         peer;
    struct store_release_hop hop;

    smtp_client_peer(c, &peer);
    hop = (struct store_release_hop){.recipient = x->delivery->recipient,
                                     .host = span_of(peer.host),
                                     .ip = span_of(peer.ip),
                                     .port = peer.port,
                                     .tls = peer.tls,
                                     .dsn = span_of(reply->dsn)};
    keep_reply(x->row, RELEASE_SENT, reply->code, reply->text);
    keep_text(x->row->queue_id, sizeof x->row->queue_id, smtp_queue_id(span_of(reply->text)));
    if (x->has_bypass) /* nobody asked for it on the way: it must not lie about, good, in a mailbox */
        (void)store_bypass_spend(x->how->store, &x->bypass, clock_wall_us(), NULL);
    if (store_release_done(x->how->store, x->row, e) == 0)
        return store_release_tell(x->how->store, x->row, &hop, e) == 0 || e->code == ERR_NOT_FOUND /* forgotten */
                   ? 0
                   : err_wrap(e, "it was released, but the log does not show that yet");
    x->row->state = RELEASE_UNKNOWN;
    return err_wrap(e, "the mail server has it (%d %s), but that could not be written down", reply->code, reply->text);
}

static int end_refused(struct sending *x, const struct smtp_reply *reply, struct err *e)
{
    err_set(e, reply->code < 500 ? ERR_BUSY : ERR_DENIED, "the mail server refused it: %d %s", reply->code,
            reply->text);
    keep_reply(x->row, RELEASE_FAILED, reply->code, reply->text);
    (void)store_release_done(x->how->store, x->row, e);
    return -1;
}

static int hand_over(struct sending *x, struct err *e)
{
    struct smtp_client *c = NULL;
    struct smtp_result  result = {.fate = SMTP_UNSENT};
    int                 rc = -1;

    if (has_way(x, e) < 0 || smtp_client_open(x->url, NULL, &c, e) < 0)
        return end_unsent(x, RELEASE_REQUESTED, e);
    (void)talk(x, c, &result, e); /* its fate says more than its failure */
    switch (result.fate) {
    case SMTP_TAKEN: rc = end_sent(x, c, &result.reply, e); break;
    case SMTP_REFUSED: rc = end_refused(x, &result.reply, e); break;
    case SMTP_UNSENT: rc = end_unsent(x, RELEASE_REQUESTED, e); break;
    case SMTP_UNKNOWN:
        rc = end_unsent(x, RELEASE_UNKNOWN, e);
        err_wrap(e, "nobody knows whether the mail server has it: the connection was lost behind the final dot");
        break;
    }
    smtp_client_close(&c);
    return rc;
}

/* ---- one delivery ---- */

/* What cannot get better by trying again fails; else the request stays. */
static enum release_state after_fault(const struct err *e)
{
    switch (e->code) {
    case ERR_NOT_FOUND:
    case ERR_CORRUPT:
    case ERR_DENIED:
    case ERR_INVALID:
    case ERR_LIMIT: return RELEASE_FAILED;
    default: return RELEASE_REQUESTED;
    }
}

/* The record, and that this recipient's copy was held. */
static int look_up(struct sending *x, struct err *e)
{
    if (body_record(x->how->vault, &x->row->uid, &x->arena, &x->record, e) < 0 ||
        (x->delivery = body_delivery(&x->record, x->row->n, e)) == NULL)
        return -1;
    if (!release_held(x->delivery->verdict))
        return err_set(e, ERR_INVALID, "it was not held for %.*s: %s", SPAN_ARG(x->delivery->recipient),
                       delivery_verdict_words[x->delivery->verdict]);
    return 0;
}

static int send_claimed(struct sending *x, struct err *e)
{
    if (look_up(x, e) < 0 || write_down(x, e) < 0 || vault_get(x->how->vault, &x->row->uid, NULL, &x->message, e) < 0 ||
        read_domain(x, e) < 0 || scan(x, e) < 0 || write_head(x, e) < 0)
        return end_unsent(x, after_fault(e), e);
    return hand_over(x, e);
}

/* What was written down by a newer release of ours decides nothing here. */
static void read_lift(struct sending *x)
{
    if (!lift_read(span_of(x->row->lifts), &x->lift))
        x->row->lifts[0] = '\0';
}

static int claim_and_send(const struct release_how *how, const struct actor *by, struct uuid uid, int64_t n,
                          struct store_release *out, struct err *e)
{
    struct sending x = {.how = how, .by = by, .row = out};
    int            rc;

    if (store_release_claim(how->store, uid, n, clock_wall_us(), out, e) < 0)
        return -1;
    arena_init(&x.arena, 4 * VAULT_HEAD_MAX);
    buf_init(&x.message, how->message_max);
    buf_init(&x.head, HEAD_MAX);
    read_lift(&x);
    rc = send_claimed(&x, e);
    buf_fini(&x.head);
    buf_fini(&x.message);
    arena_fini(&x.arena);
    return rc;
}

/* Nothing is asked for that is not there to be had: a wrong number leaves no row behind. */
static int can_be_asked_for(const struct release_how *how, struct uuid uid, int64_t n, struct err *e)
{
    struct store_release row = {.uid = uid, .n = n};
    struct sending       x = {.how = how, .row = &row};
    int                  rc;

    arena_init(&x.arena, 4 * VAULT_HEAD_MAX);
    rc = look_up(&x, e) < 0 || read_domain(&x, e) < 0 ? -1 : has_way(&x, e);
    arena_fini(&x.arena);
    return rc;
}

static int request(const struct release_how *how, const struct actor *by, struct uuid uid, int64_t n,
                   const struct release_asked *asked, struct store_release *out, struct err *e)
{
    struct buf lifts;
    int        rc;

    buf_init(&lifts, LIFT_TEXT_MAX);
    lift_put(&lifts, &asked->decided);
    rc = store_release_request(how->store, by, uid, n, asked->again, lifts.n > 0 ? lifts.p : "", out, e);
    buf_fini(&lifts);
    return rc;
}

int release_send(const struct release_how *how, const struct actor *by, struct uuid uid, int64_t n,
                 const struct release_asked *asked, struct store_release *out, struct err *e)
{
    *out = (struct store_release){.uid = uid, .n = n};
    if (release_check(how->store, how->url, e) < 0 || can_be_asked_for(how, uid, n, e) < 0 ||
        request(how, by, uid, n, asked, out, e) < 0)
        return -1;
    return claim_and_send(how, by, uid, n, out, e);
}

/* ---- what was left ---- */

struct unfinished {
    struct store_release *rows;
    size_t                n;
    int64_t               before_us; /* what was requested later is somebody's who is about to send it */
};

static int collect(void *ctx, const struct store_release *r)
{
    struct unfinished *u = ctx;

    if (r->state != RELEASE_REQUESTED || r->changed_us <= u->before_us)
        u->rows[u->n++] = *r;
    return 0;
}

/* Does its body lie on a disk that is not ours? Here it would seem to be gone. */
static int is_elsewhere(struct store *s, const struct uuid *node, const struct uuid *uid, bool *out, struct err *e)
{
    struct arena         a;
    struct store_custody c;
    struct err           why = ERR_INIT;
    int                  rc;

    arena_init(&a, 64 << 10);
    rc = store_custody_get(s, uid, &a, &c, &why);
    *out = rc == 0 && c.place == CUSTODY_SPOOL && !uuid_eq(&c.node, node);
    arena_fini(&a);
    if (rc == 0 || why.code == ERR_NOT_FOUND)
        return 0;
    *e = why;
    return -1;
}

static int go_on_with(const struct release_how *how, const struct actor *by, struct unfinished *u, release_fn fn,
                      void *ctx, struct err *e)
{
    struct uuid node;
    int         taken = 0;

    if (store_node(how->store, &node, e) < 0)
        return -1;
    for (size_t i = 0; i < u->n; i++) {
        struct store_release *r = &u->rows[i];
        struct err            why = ERR_INIT;
        bool                  elsewhere;

        if (is_elsewhere(how->store, &node, &r->uid, &elsewhere, e) < 0)
            return -1;
        if (elsewhere)
            continue;
        int sent = claim_and_send(how, by, r->uid, r->n, r, &why);
        taken++;
        if (fn(ctx, r, sent < 0 ? &why : NULL) != 0)
            break;
    }
    return taken;
}

int release_unfinished(const struct release_how *how, const struct actor *by, int64_t quiet_us, release_fn fn,
                       void *ctx, struct err *e)
{
    int64_t           now_us = clock_wall_us();
    struct unfinished u = {.before_us = now_us - quiet_us};
    struct arena      a;
    int               rc;

    if (release_check(how->store, how->url, e) < 0)
        return -1;
    arena_init(&a, (UNFINISHED_MAX + 1) * sizeof *u.rows);
    u.rows = arena_array(&a, UNFINISHED_MAX, sizeof *u.rows);
    rc = store_release_open(how->store, now_us, UNFINISHED_MAX, collect, &u, e);
    if (rc == 0)
        rc = go_on_with(how, by, &u, fn, ctx, e);
    arena_fini(&a);
    return rc;
}
