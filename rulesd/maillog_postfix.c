/* rulesd/maillog_postfix.c - what Postfix's daemons write about a message, each in its own words. */
#include "maillog.h"
#include "maillog_take.h"

/* "4jX51P6jsYz1c738: ", "C0F69A847C2: " */
static bool take_queue_id(struct span *s, struct span *out)
{
    size_t n = 0;

    while (n < s->n && n < MAILLOG_QUEUE_ID_MAX && is_word(s->p[n]) && s->p[n] != '_')
        n++;
    struct span rest = span_skip(*s, n);
    if (n < 6 || span_is(span_head(*s, n), "NOQUEUE") || !take_text(&rest, ": "))
        return false;
    *out = span_head(*s, n);
    *s = rest;
    return true;
}

static bool is(struct mail_event *out, enum mail_event_kind kind)
{
    out->kind = kind;
    return true;
}

/* "reject: RCPT from host[ip]: 550 5.1.1 …". What was said there we have said ourselves, or it was said to a stranger. */
static bool read_refusal(struct span text, struct mail_event *out)
{
    static const struct {
        const char          *word;
        enum mail_event_kind kind;
    } rows[] = {
        {"milter-reject: ", MAIL_REFUSED}, {"milter-discard: ", MAIL_REFUSED}, {"milter-hold: ", MAIL_HELD},
        {"reject: ", MAIL_REFUSED},        {"discard: ", MAIL_REFUSED},        {"hold: ", MAIL_HELD},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (take_text(&text, rows[i].word))
            return is(out, rows[i].kind);
    }
    return false;
}

/* "client=host[ip], orig_queue_id=ID, orig_client=…". Behind a login name, which is its owner's to choose, nothing is read. */
static bool read_client(struct span rest, struct mail_event *out)
{
    size_t n = 0;

    if (!take_host(&rest, &out->host, &out->ip, &out->port))
        return false;
    if (take_text(&rest, ", orig_queue_id=")) {
        while (n < rest.n && n < MAILLOG_QUEUE_ID_MAX && (is_word(rest.p[n]) || rest.p[n] == '-'))
            n++;
        if (n == rest.n || rest.p[n] == ',')
            out->parent_id = span_head(rest, n);
    }
    return is(out, MAIL_ARRIVED);
}

static bool read_smtpd(struct span text, struct mail_event *out)
{
    struct span rest = text;

    if (!take_queue_id(&rest, &out->queue_id))
        return false;
    if (take_text(&rest, "client="))
        return read_client(rest, out);
    return read_refusal(rest, out);
}

static bool read_pickup(struct span text, struct mail_event *out)
{
    return take_queue_id(&text, &out->queue_id) && take_text(&text, "uid=") && is(out, MAIL_ARRIVED);
}

static bool read_cleanup(struct span text, struct mail_event *out)
{
    if (!take_queue_id(&text, &out->queue_id))
        return false;
    if (!take_text(&text, "message-id="))
        return read_refusal(text, out);
    out->message_id = span_trim(text);
    return is(out, MAIL_MESSAGE_ID);
}

/* A line's end is the daemon's own, whatever the sender's address tries to say before it. */
static bool read_qmgr(struct span text, struct mail_event *out)
{
    if (!take_queue_id(&text, &out->queue_id))
        return false;
    if (span_is(text, "removed"))
        return is(out, MAIL_REMOVED);
    if (!take_text(&text, "from=") || !take_bracketed(&text, &out->sender))
        return false;
    if (span_ends(text, SPAN(" (queue active)")))
        return is(out, MAIL_QUEUED);
    if (span_ends(text, SPAN(" status=expired, returned to sender")) ||
        span_ends(text, SPAN(" status=force-expired, returned to sender"))) {
        out->response = span_skip(text, span_find(text, SPAN("status=")) + strlen("status="));
        return is(out, MAIL_EXPIRED);
    }
    return false;
}

static bool read_postsuper(struct span text, struct mail_event *out)
{
    static const struct {
        const char          *word;
        enum mail_event_kind kind;
    } rows[] = {{"removed", MAIL_DELETED}, {"released from hold", MAIL_FREED}, {"placed on hold", MAIL_HELD}};

    if (!take_queue_id(&text, &out->queue_id))
        return false;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (span_is(text, rows[i].word))
            return is(out, rows[i].kind);
    return false;
}

/* "Trusted TLS connection established to host[ip]:port: TLSv1.3 with cipher NAME (256/256 bits) …" */
static bool read_tls(struct span text, struct mail_event *out)
{
    size_t n = span_chr(span_head(text, 16), ' ');

    text = span_skip(text, n);
    if (!take_text(&text, " TLS connection established to ") || !take_host(&text, &out->host, &out->ip, &out->port) ||
        !take_text(&text, ": "))
        return false;
    out->tls = span_head(text, span_chr(text, ')') + 1);
    return is(out, MAIL_TLS);
}

/* "none", "local", "host[ip]:port", "host[private/lmtp]". An address behind which there is no port may be a socket's path. */
static void read_relay(struct span relay, struct mail_event *out)
{
    if (span_is(relay, "none"))
        return;
    if (!take_host(&relay, &out->host, &out->ip, &out->port))
        out->host = relay;
    else if (span_chr(out->ip, '/') < out->ip.n)
        out->ip = span_head(out->ip, 0);
}

static bool take_outcome(struct span *s, enum mail_outcome *out)
{
    static const struct {
        const char       *word;
        enum mail_outcome outcome;
    } rows[] = {{"sent (", MAIL_SENT},
                {"deferred (", MAIL_DEFERRED},
                {"SOFTBOUNCE (", MAIL_DEFERRED},
                {"bounced (", MAIL_BOUNCED},
                {"expired (", MAIL_BOUNCED}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (take_text(s, rows[i].word)) {
            *out = rows[i].outcome;
            return true;
        }
    }
    return false;
}

/* "relay=…, conn_use=2, delay=…, delays=…, dsn=2.0.0, status=": all of it is the daemon's. */
static bool take_pairs(struct span *s, struct mail_event *out)
{
    while (!take_text(s, "status=")) {
        size_t      n = span_find(span_head(*s, 1024), SPAN(", "));
        struct span pair = span_head(*s, n);

        if (n + 2 > s->n || n == 1024)
            return false;
        if (take_text(&pair, "relay="))
            read_relay(pair, out);
        else if (take_text(&pair, "dsn="))
            out->dsn = pair;
        else if (take_text(&pair, "conn_use="))
            out->reused = true;
        *s = span_skip(*s, n + 2);
    }
    return true;
}

/* "to=<a@b>, orig_to=<c@d>, relay=… status=sent (response)" */
static bool read_delivery(struct span text, struct mail_event *out)
{
    if (!take_queue_id(&text, &out->queue_id) || !take_text(&text, "to=") || !take_bracketed(&text, &out->to) ||
        !take_text(&text, ", "))
        return false;
    if (take_text(&text, "orig_to=") && (!take_bracketed(&text, &out->orig_to) || !take_text(&text, ", ")))
        return false;
    if (!take_pairs(&text, out) || !take_outcome(&text, &out->outcome))
        return false;
    if (text.n > 0 && text.p[text.n - 1] == ')')
        text.n--;
    out->response = maillog_reply(text, &out->code, &out->dsn);
    return is(out, MAIL_ATTEMPT);
}

static bool read_client_side(struct span text, struct mail_event *out)
{
    return read_delivery(text, out) || read_tls(text, out);
}

static const struct service {
    const char *name;
    bool (*read)(struct span text, struct mail_event *out);
} services[] = {
    {"smtp", read_client_side}, {"lmtp", read_client_side},    {"smtpd", read_smtpd},       {"cleanup", read_cleanup},
    {"qmgr", read_qmgr},        {"virtual", read_delivery},    {"local", read_delivery},    {"pipe", read_delivery},
    {"error", read_delivery},   {"retry", read_delivery},      {"relay", read_client_side}, {"discard", read_delivery},
    {"pickup", read_pickup},    {"postsuper", read_postsuper}, {"nqmgr", read_qmgr},        {"oqmgr", read_qmgr},
};

/* "postfix/smtp[3298]", "postfix-out/relay/smtp[77]": the service stands behind the last slash. */
bool maillog_read_postfix(struct span tag, struct span text, struct mail_event *out)
{
    struct span path = span_head(tag, span_chr(tag, '['));
    size_t      slash = span_rchr(path, '/');

    if (slash == path.n || slash == 0)
        return false;
    struct span name = span_skip(path, slash + 1);
    for (const struct service *s = services; s < services + COUNT(services); s++) {
        if (!span_is(name, s->name))
            continue;
        out->process = tag;
        return s->read(text, out);
    }
    return false;
}
