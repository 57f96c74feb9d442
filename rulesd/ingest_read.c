/* rulesd/ingest_read.c - what other programs hand over, read: the head of metadata_exporter's requests, and delivery reports. Pure. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_read.h"
#include "ingest.h"
#include "maillog.h"

/* ---- what the exporter says ---- */

/* A value that it does not know is the word "unknown". */
static struct span told(const struct http_request *r, const char *name)
{
    struct span value = http_header_get(r, name);

    return span_is(value, "unknown") ? SPAN_NONE : value;
}

static int read_number(struct span text, double *out)
{
    char  z[40];
    char *end;

    if (text.n == 0 || text.n >= sizeof z)
        return -1;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    *out = strtod(z, &end);
    return *end == '\0' && isfinite(*out) && fabs(*out) <= 1e6 ? 0 : -1;
}

/* Strings of an array, at most max of them: more are left out (cut), or refused. What is no string is refused. */
static int read_strings(struct json_read *json, struct span *out, size_t max, bool cut, size_t *n_out, struct err *e)
{
    struct json_value v;
    int               rc;

    *n_out = 0;
    while ((rc = json_item(json, e)) > 0) {
        if (json_value(json, &v, e) < 0)
            return -1;
        if (v.type != JSON_STRING)
            return err_set(e, ERR_INVALID, "a string was expected");
        if (*n_out < max)
            out[(*n_out)++] = v.text;
        else if (!cut)
            return err_set(e, ERR_LIMIT, "more than %zu", max);
    }
    return rc;
}

static int read_rcpt(const struct http_request *r, struct arena *a, struct ingest_told *out, struct err *e)
{
    struct json_read  json = {.in = told(r, "X-Rspamd-Rcpt"), .arena = a};
    struct json_value v;
    struct span      *list;

    if (json.in.n == 0)
        return 0;
    if ((list = arena_array(a, json.in.n / 3 + 1, sizeof *list)) == NULL)
        return err_set(e, ERR_LIMIT, "the request needs too much memory");
    if (json_value(&json, &v, e) < 0 || v.type != JSON_ARRAY ||
        read_strings(&json, list, r->limits.rcpt_max, false, &out->nrcpt, e) < 0 || json_end(&json, e) < 0)
        return err_set(e, e->code == ERR_LIMIT ? ERR_LIMIT : ERR_INVALID, "X-Rspamd-Rcpt is no list of addresses");
    out->rcpt = list;
    return 0;
}

/* A member of a symbol that nobody asks for: a list of words, or one word. */
static int pass_over(struct json_read *json, const struct json_value *v, struct err *e)
{
    struct json_value inner;
    int               rc = 0;

    if (v->type == JSON_ARRAY)
        while ((rc = json_item(json, e)) > 0)
            if (json_value(json, &inner, e) < 0 || inner.type == JSON_ARRAY || inner.type == JSON_OBJECT)
                return err_set(e, ERR_INVALID, "too deep");
    return v->type == JSON_OBJECT ? err_set(e, ERR_INVALID, "too deep") : rc;
}

static int read_symbol(struct json_read *json, struct arena *a, struct rspamd_symbol *out, struct err *e)
{
    struct json_value key, v;
    int               rc;

    *out = (struct rspamd_symbol){0};
    while ((rc = json_member(json, &key, e)) > 0) {
        if (json_value(json, &v, e) < 0)
            return -1;
        if (span_is(key.text, "name") && v.type == JSON_STRING) {
            out->name = v.text;
        } else if (span_is(key.text, "score") && v.type == JSON_NUMBER) {
            if (read_number(v.text, &out->score) < 0)
                return err_set(e, ERR_INVALID, "a score that is none");
        } else if (span_is(key.text, "options") && v.type == JSON_ARRAY) {
            struct span *list = arena_array(a, RSPAMD_OPTIONS_MAX, sizeof *list);

            if (list == NULL)
                return err_set(e, ERR_LIMIT, "the request needs too much memory");
            out->options = list;
            if (read_strings(json, list, RSPAMD_OPTIONS_MAX, true, &out->noptions, e) < 0)
                return -1;
        } else if (pass_over(json, &v, e) < 0) {
            return -1;
        }
    }
    if (rc == 0 && out->name.n == 0)
        return err_set(e, ERR_INVALID, "a symbol without a name");
    return rc;
}

static int read_symbol_list(struct json_read *json, struct arena *a, struct rspamd_reply *out, struct err *e)
{
    struct rspamd_symbol *list = arena_array(a, INGEST_SYMBOLS_MAX, sizeof *list), over;
    struct json_value     v;
    int                   rc;

    if (list == NULL)
        return err_set(e, ERR_LIMIT, "the request needs too much memory");
    if (json_value(json, &v, e) < 0)
        return -1;
    if (v.type != JSON_ARRAY)
        return err_set(e, ERR_INVALID, "a list was expected");
    while ((rc = json_item(json, e)) > 0) {
        bool room = out->nsymbols < INGEST_SYMBOLS_MAX;

        if (json_value(json, &v, e) < 0)
            return -1;
        if (v.type != JSON_OBJECT)
            return err_set(e, ERR_INVALID, "an object was expected");
        if (read_symbol(json, a, room ? &list[out->nsymbols] : &over, e) < 0)
            return -1;
        out->nsymbols += room;
    }
    out->symbols = list;
    return rc < 0 ? -1 : json_end(json, e);
}

static int read_symbols(const struct http_request *r, struct arena *a, struct rspamd_reply *out, struct err *e)
{
    struct json_read json = {.in = told(r, "X-Rspamd-Symbols"), .arena = a};

    if (json.in.n == 0 || read_symbol_list(&json, a, out, e) == 0)
        return 0;
    return err_set(e, e->code == ERR_LIMIT ? ERR_LIMIT : ERR_INVALID, "X-Rspamd-Symbols is no list of symbols");
}

/* discard: accepted, and nobody gets it. A name that is none of Rspamd's own delivers. */
static void read_action(struct span text, struct rspamd_reply *out)
{
    for (enum rspamd_action a = RSPAMD_NO_ACTION; a <= RSPAMD_REJECT; a++)
        if (span_is_ci(text, rspamd_action_name(a)))
            out->action = a;
    if (span_is_ci(text, "discard") || span_is_ci(text, "quarantine")) {
        out->action = RSPAMD_REJECT;
        out->discard = true;
    }
}

int ingest_read_told(const struct http_request *r, struct arena *a, struct ingest_told *out, struct err *e)
{
    struct span score = told(r, "X-Rspamd-Score");

    *out = (struct ingest_told){.from = told(r, "X-Rspamd-From"),
                                .ip = told(r, "X-Rspamd-Ip"),
                                .user = told(r, "X-Rspamd-User"),
                                .queue_id = told(r, "X-Rspamd-Qid"),
                                .answer.by = "Rspamd"};
    out->answer.envelope_told = out->ip.n > 0 && out->from.n > 0; /* it scanned with both, so its SPF is about them */
    struct rspamd_reply *reply = &out->answer.reply;
    reply->reject = reply->add_header = reply->greylist = 999;
    if (http_header_get(r, "X-Rspamd-Action").n == 0)
        return err_set(e, ERR_INVALID, "X-Rspamd-Action is missing: meta_headers has to be on");
    read_action(http_header_get(r, "X-Rspamd-Action"), reply);
    if (score.n > 0 && read_number(score, &reply->score) < 0)
        return err_set(e, ERR_INVALID, "X-Rspamd-Score is no number");
    if (read_rcpt(r, a, out, e) < 0 || read_symbols(r, a, reply, e) < 0)
        return -1;
    return a->full ? err_set(e, ERR_LIMIT, "the request needs too much memory") : 0;
}

/* ---- what became of deliveries ---- */

/* The members of an event; each is a string, but for port. */
struct report {
    struct mail_event ev;
    struct span       status, at;
};

static int bad_event(struct err *e, size_t i, const char *what)
{
    return err_set(e, ERR_INVALID, "event %zu: %s", i + 1, what);
}

static struct span *text_member(struct report *r, struct span key)
{
    const struct {
        const char  *name;
        struct span *to;
    } members[] = {
        {"queue_id", &r->ev.queue_id},
        {"message_id", &r->ev.message_id},
        {"recipient", &r->ev.to},
        {"host", &r->ev.host},
        {"ip", &r->ev.ip},
        {"tls", &r->ev.tls},
        {"dsn", &r->ev.dsn},
        {"response", &r->ev.response},
        {"status", &r->status},
        {"at", &r->at},
    };

    for (size_t i = 0; i < COUNT(members); i++)
        if (span_is(key, members[i].name))
            return members[i].to;
    return NULL;
}

static int read_members(struct json_read *json, size_t i, struct report *r, struct err *e)
{
    struct json_value key, v;
    int               rc;

    while ((rc = json_member(json, &key, e)) > 0) {
        struct span *text = text_member(r, key.text);
        int64_t      port;

        if (json_value(json, &v, e) < 0)
            return -1;
        if (text != NULL && (v.type == JSON_STRING || v.type == JSON_NULL)) {
            *text = v.type == JSON_STRING ? v.text : SPAN_NONE;
        } else if (span_is(key.text, "port") && (v.type == JSON_NUMBER || v.type == JSON_NULL)) {
            if (v.type == JSON_NUMBER && (!json_i64(&v, &port) || port < 0 || port > 65535))
                return bad_event(e, i, "port is none");
            r->ev.port = v.type == JSON_NUMBER ? (unsigned)port : 0;
        } else {
            return err_set(e, ERR_INVALID, "event %zu: \"%.*s\" is no member of an event, or of the wrong type", i + 1,
                           SPAN_ARG(span_head(key.text, 40)));
        }
    }
    return rc;
}

/* Attempts, and the steps of a queue that Postfix and Exim tell by their logs. */
static bool read_status(struct span status, struct mail_event *ev)
{
    static const struct {
        const char          *word;
        enum mail_event_kind kind;
        enum mail_outcome    outcome;
    } words[] = {
        {"delivered", MAIL_ATTEMPT, MAIL_SENT},    {"sent", MAIL_ATTEMPT, MAIL_SENT},
        {"deferred", MAIL_ATTEMPT, MAIL_DEFERRED}, {"bounced", MAIL_ATTEMPT, MAIL_BOUNCED},
        {"queued", MAIL_QUEUED, MAIL_SENT},        {"expired", MAIL_EXPIRED, MAIL_SENT},
    };

    for (size_t i = 0; i < COUNT(words); i++) {
        if (!span_is(status, words[i].word))
            continue;
        ev->kind = words[i].kind;
        ev->outcome = words[i].outcome;
        return true;
    }
    return false;
}

static int finish_event(size_t i, struct report *r, int64_t now_us, struct err *e)
{
    struct mail_event *ev = &r->ev;

    if (!read_status(r->status, ev))
        return bad_event(e, i, "status is none of delivered, deferred, bounced, queued, expired");
    if (ev->queue_id.n == 0 && ev->message_id.n == 0)
        return bad_event(e, i, "neither queue_id nor message_id");
    if (ev->kind == MAIL_ATTEMPT && ev->to.n == 0)
        return bad_event(e, i, "recipient is missing");
    ev->at_us = now_us;
    if (r->at.n > 0 && !clock_parse_utc(r->at, &ev->at_us))
        return bad_event(e, i, "at is no time as RFC 3339 has it");
    maillog_reply(ev->response, &ev->code, &ev->dsn);
    return 0;
}

static int read_event(struct json_read *json, size_t i, int64_t now_us, struct mail_event *out, struct err *e)
{
    struct report r = {.ev.process = SPAN("ingest")};

    if (read_members(json, i, &r, e) < 0 || finish_event(i, &r, now_us, e) < 0)
        return -1;
    *out = r.ev;
    return 0;
}

/* At most so many as could stand in so many bytes. */
static size_t events_in(struct span body)
{
    size_t n = 0;

    for (size_t i = 0; i < body.n; i++)
        n += body.p[i] == '{';
    return n < INGEST_EVENTS_MAX ? n : INGEST_EVENTS_MAX;
}

static int read_list(struct json_read *json, int64_t now_us, struct mail_event *out, size_t *n_out, struct err *e)
{
    struct json_value v;
    int               rc;

    while ((rc = json_item(json, e)) > 0) {
        if (*n_out == INGEST_EVENTS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d events at once", INGEST_EVENTS_MAX);
        if (json_value(json, &v, e) < 0)
            return -1;
        if (v.type != JSON_OBJECT)
            return bad_event(e, *n_out, "no object");
        if (read_event(json, *n_out, now_us, &out[*n_out], e) < 0)
            return -1;
        ++*n_out;
    }
    return rc;
}

int ingest_read_events(struct span body, int64_t now_us, struct arena *a, const struct mail_event **out, size_t *n_out,
                       struct err *e)
{
    struct json_read   json = {.in = body, .arena = a};
    struct mail_event *list = arena_array(a, events_in(body) + 1, sizeof *list);
    struct json_value  v;
    int                rc;

    *n_out = 0;
    if (list == NULL)
        return err_set(e, ERR_LIMIT, "the request needs too much memory");
    *out = list;
    if (json_value(&json, &v, e) < 0)
        return -1;
    if (v.type == JSON_ARRAY)
        rc = read_list(&json, now_us, list, n_out, e);
    else if (v.type == JSON_OBJECT)
        rc = read_event(&json, (*n_out)++, now_us, list, e);
    else
        return err_set(e, ERR_INVALID, "an event or a list of events was expected");
    return rc < 0 ? -1 : json_end(&json, e);
}
