/* rulesd/session_spamd.c - the spamd protocol, and the text form RSPAMC that Exim's variant=rspamd speaks. */
#include "base/clock.h"
#include "base/log.h"
#include "reply.h"
#include "report.h"
#include "session.h"

static void begin(struct exchange *x, const struct wire_limits *limits)
{
    spamd_begin(&x->spamd, &x->arena, &x->plain, limits);
}

static enum wire_step step(struct exchange *x, struct buf *in, bool eof)
{
    enum wire_step got = spamd_step(&x->spamd, in, eof);

    x->used = x->spamd.used;
    return got;
}

static bool head_done(const struct exchange *x) { return spamd_head_done(&x->spamd); }

static size_t wants(const struct exchange *x, const struct buf *in) { return spamd_wants(&x->spamd, in); }

static enum metric_protocol protocol(const struct exchange *x)
{
    return x->spamd.rspamc ? METRIC_RSPAMC : METRIC_SPAMD;
}

static void count(struct exchange *x, enum metric_verb verb, enum metric_verdict verdict)
{
    metrics_request(x->metrics, protocol(x), verb, verdict);
}

static bool packed(const struct exchange *x) { return spamd_packed(&x->spamd); }

static enum wire_step unpack(struct exchange *x) { return spamd_unpack(&x->spamd); }

static void expire(struct exchange *x) { spamd_expire(&x->spamd); }

static void put_bad(struct exchange *x, struct buf *out)
{
    spamd_put_bad(out, &x->spamd);
    if (x->spamd.code != 0) /* 0: came and went */
        count(x, METRIC_OTHER, METRIC_REFUSED);
}

static void put_busy(struct exchange *x, struct buf *out)
{
    spamd_put_error(out, &x->spamd, SPAMD_EX_TEMPFAIL, "busy, try again");
    count(x, METRIC_OTHER, METRIC_FAILED);
}

/* ---- whom a message is for ---- */

/* Login names are no addresses: "anna" is anna@DOMAIN where the settings say so. spamass-milter's name for several recipients is
 * nobody's. */
static struct span user_address(struct exchange *x, struct span user)
{
    const struct listener *l = x->client->listener;

    if (span_chr(user, '@') < user.n)
        return user;
    if (user.n == 0 || l->user_domain.n == 0 || l->milter_lines)
        return SPAN_NONE;
    return arena_printf(&x->arena, "%.*s@%.*s", SPAN_ARG(user), SPAN_ARG(l->user_domain));
}

/* spamd knows one user; where that is an address, or maps to one, it is the recipient. */
static struct span named_user(struct exchange *x)
{
    return x->spamd.has_user ? user_address(x, span_trim(x->spamd.user)) : SPAN_NONE;
}

static void take_user(struct exchange *x, struct scan_request *req)
{
    struct span user = named_user(x);

    if (user.n == 0)
        return;
    x->rcpt = user;
    req->rcpt = &x->rcpt;
    req->nrcpt = 1;
}

/* The lines at the very top that some MTAs put there. A sender can write them too, so they count only where the listener says
 * that its caller always does; then they come off in any case. spamass-milter names a single recipient as User, which no sender can
 * forge: then that one counts. */
static void take_envelope_lines(struct exchange *x, struct scan_request *req)
{
    struct envelope_lines lines = {0};
    struct span           rest = SPAN_NONE;

    if (!x->client->listener->envelope_lines || req->class != CLASS_MTA)
        return;
    if ((x->client->listener->milter_lines ? origin_milter_lines : origin_envelope_lines)(req->message, &x->arena,
                                                                                          &lines, &rest) < 0)
        return;
    req->message = rest;
    req->ip = lines.ip;
    if (lines.has_from)
        req->from = lines.from;
    if (lines.nto > 0 && !(x->client->listener->milter_lines && req->nrcpt > 0)) {
        req->rcpt = lines.to;
        req->nrcpt = lines.nto;
    }
}

/* RSPAMC states the envelope in its head; Exim puts the lines into the message too. */
static void take_rspamc(struct exchange *x, struct scan_request *req)
{
    const struct spamd_request *r = &x->spamd;
    struct envelope_lines       lines;
    struct span                 rest;

    if (origin_envelope_lines(req->message, &x->arena, &lines, &rest) == 0)
        req->message = rest;
    if (r->has_from)
        req->from = r->from.p != NULL ? r->from : SPAN("");
    req->rcpt = r->rcpt.items;
    req->nrcpt = r->rcpt.n;
    if (r->rcpt.n == 0 && r->deliver_to.n > 0) {
        x->rcpt = r->deliver_to;
        req->rcpt = &x->rcpt;
        req->nrcpt = 1;
    }
    req->ip = r->ip;
    req->helo = r->helo;
    req->hostname = r->hostname;
    req->user = r->has_user ? r->user : SPAN_NONE;
    req->queue_id = r->queue_id;
}

static enum answer do_scan(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)out;
    *req = (struct scan_request){.protocol = protocol(x),
                                 .class = x->client->class,
                                 .listener = x->client->listener,
                                 .peer = x->client->peer,
                                 .message = x->spamd.body,
                                 .form = (unsigned)x->spamd.verb << 16 | (unsigned)x->spamd.version};
    if (x->spamd.rspamc) {
        take_rspamc(x, req);
    } else {
        take_user(x, req);
        take_envelope_lines(x, req);
    }
    return ANSWER_SCAN;
}

static enum answer do_ping(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    spamd_put_pong(out);
    count(x, METRIC_PING, METRIC_OK);
    return ANSWER_READY;
}

/* ---- reports ---- */

/* spamc takes an answer without "Did…" for "was already un/learned". */
static enum answer put_report(struct errand *er, struct exchange *x, struct scan_request *req, struct buf *out)
{
    const struct report_end *end = report_came(er);
    bool                     news = end->made.added != REPORT_SAID;

    (void)req;
    if (end->rc < 0) {
        log_err(LOG_LEVEL_WARNING, "a report could not be kept", &end->err);
        spamd_put_error(out, &x->spamd, SPAMD_EX_TEMPFAIL, "the report could not be kept, try again later");
        count(x, METRIC_LEARN, METRIC_FAILED);
        return ANSWER_READY;
    }
    spamd_put_tell(out, news && x->spamd.set ? SPAMD_LOCAL : 0, news && !x->spamd.set ? SPAMD_LOCAL : 0);
    count(x, METRIC_LEARN, METRIC_OK);
    return ANSWER_READY;
}

static enum answer refuse_tell(struct exchange *x, struct buf *out, int code, const char *why)
{
    spamd_put_error(out, &x->spamd, code, why);
    count(x, METRIC_LEARN, METRIC_REFUSED);
    return ANSWER_READY;
}

static enum answer do_tell(struct exchange *x, struct scan_request *req, struct buf *out)
{
    struct report_ask ask = {.class = x->spamd.set == 0                            ? REPORT_FORGET
                                      : x->spamd.message_class == SPAMD_CLASS_SPAM ? REPORT_SPAM
                                                                                   : REPORT_HAM,
                             .message = x->spamd.body,
                             .recipient = named_user(x),
                             .person = x->spamd.has_user ? x->spamd.user : SPAN_NONE,
                             .channel = "tell",
                             .listener = x->client->listener->at.text,
                             .put = put_report};

    (void)req; /* a scan's */
    if (!reports_are_taken(x->server->reports))
        return refuse_tell(x, out, SPAMD_EX_UNAVAILABLE, SPAMD_TELL_OFF);
    if (x->client->class != CLASS_MTA)
        return refuse_tell(x, out, SPAMD_EX_NOPERM, "reports are taken from mail servers and their users alone");
    if (((x->spamd.set | x->spamd.remove) & SPAMD_LOCAL) == 0)
        return refuse_tell(x, out, SPAMD_EX_UNAVAILABLE, "nothing is reported to others from here");
    if (x->spamd.body.n == 0)
        return refuse_tell(x, out, SPAMD_EX_PROTOCOL, "there is no message to learn from");
    x->errand = report_take(x->server->reports, &ask, x);
    return ANSWER_LATER;
}

static enum answer do_skip(struct exchange *x, struct scan_request *req, struct buf *out)
{
    (void)req;
    (void)out;
    count(x, METRIC_SKIP, METRIC_OK);
    return ANSWER_READY;
}

static enum answer (*const verbs[])(struct exchange *x, struct scan_request *req, struct buf *out) = {
    [SPAMD_PING] = do_ping,    [SPAMD_CHECK] = do_scan,         [SPAMD_SYMBOLS] = do_scan,
    [SPAMD_REPORT] = do_scan,  [SPAMD_REPORT_IFSPAM] = do_scan, [SPAMD_PROCESS] = do_scan,
    [SPAMD_HEADERS] = do_scan, [SPAMD_TELL] = do_tell,          [SPAMD_SKIP] = do_skip,
};

static enum answer answer(struct exchange *x, struct scan_request *req, struct buf *out)
{
    x->keep = false;
    x->linger = true; /* clients are known to send more than their Content-length */
    return verbs[x->spamd.verb](x, req, out);
}

static void put_scan(struct exchange *x, struct buf *out)
{
    struct spamd_result result;

    if (x->scan->refused) {
        spamd_put_error(out, &x->spamd, SPAMD_EX_TEMPFAIL, "too many recipients in a minute, try again later");
        return;
    }
    if (x->scan->failed) {
        spamd_put_error(out, &x->spamd, SPAMD_EX_UNAVAILABLE, scan_excuse(x->scan));
        return;
    }
    if (x->scan->stopped && x->scan->outcome.action == ACTION_DEFER) { /* a score could not say "later" */
        spamd_put_error(out, &x->spamd, SPAMD_EX_TEMPFAIL, "temporarily unavailable, try again later");
        return;
    }
    reply_spamd(x->scan, x->server->host, &result);
    spamd_put_result(out, &x->spamd, &result);
}

const struct session session_spamd = {begin,  step,    head_done, wants,  packed,  unpack,
                                      expire, put_bad, put_busy,  answer, put_scan};
