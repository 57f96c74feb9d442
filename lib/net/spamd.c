/* lib/net/spamd.c - see spamd.h; the replies are in spamd_reply.c.
 *
 * The way of a request: SPAMD_LINE, then SPAMD_HEAD unless the version has none, then SPAMD_BODY by length or until the
 * peer shuts down its side. Fields and verbs are tables. */
#include "net/spamd.h"

#define FIELDS_MAX 255

static enum wire_step bad(struct spamd_request *r, int code, const char *text)
{
    r->code = code;
    r->state = SPAMD_OVER;
    err_set(&r->error, ERR_PROTOCOL, "%s", text);
    return WIRE_BAD;
}

/* ---- the request line ---- */

enum body_kind { NO_BODY, MESSAGE };

static const struct verb {
    struct span     name;
    enum spamd_verb verb;
    enum body_kind  body;
    bool            rspamc; /* known in the RSPAMC form too */
} verbs[] = {
    {{"PING", 4}, SPAMD_PING, NO_BODY, false},
    {{"CHECK", 5}, SPAMD_CHECK, MESSAGE, true},
    {{"SYMBOLS", 7}, SPAMD_SYMBOLS, MESSAGE, true},
    {{"REPORT", 6}, SPAMD_REPORT, MESSAGE, false},
    {{"REPORT_IFSPAM", 13}, SPAMD_REPORT_IFSPAM, MESSAGE, false},
    {{"PROCESS", 7}, SPAMD_PROCESS, MESSAGE, false},
    {{"HEADERS", 7}, SPAMD_HEADERS, MESSAGE, false},
    {{"TELL", 4}, SPAMD_TELL, MESSAGE, false},
    {{"SKIP", 4}, SPAMD_SKIP, NO_BODY, false},
};

static const struct verb *verb_named(struct span name)
{
    for (const struct verb *v = verbs; v < verbs + COUNT(verbs); v++)
        if (span_eq(v->name, name))
            return v;
    return NULL;
}

static enum body_kind body_of(const struct spamd_request *r)
{
    for (const struct verb *v = verbs; v < verbs + COUNT(verbs); v++)
        if (v->verb == r->verb)
            return v->body;
    return NO_BODY;
}

/* "1.5" is 105. Versions compare as decimal numbers, so 1.25 lies below 1.3: the first digit behind the point counts.
 */
static bool read_version(struct span text, int *out)
{
    size_t      dot = span_chr(text, '.');
    struct span behind = span_skip(text, dot + 1);
    uint64_t    major, minor = 0;

    if (dot > 3 || !span_u64(span_head(text, dot), &major) || behind.n > 3)
        return false;
    if (dot < text.n && !span_u64(behind, &minor))
        return false;
    *out = (int)major * 100 + (behind.n > 0 ? behind.p[0] - '0' : 0);
    return true;
}

static enum wire_step refuse_line(struct spamd_request *r, const char *text)
{
    r->line_refused = true;
    return bad(r, SPAMD_EX_PROTOCOL, text);
}

static enum wire_step finish(struct spamd_request *r, const struct buf *in, size_t used);

static enum wire_step read_line(struct spamd_request *r, struct buf *in, struct span line)
{
    size_t      blank = span_chr(line, ' ');
    struct span protocol = span_skip(line, blank + 1), version = span_skip(protocol, span_chr(protocol, '/') + 1);
    const struct verb *v = verb_named(span_head(line, blank));

    r->command_line = line;
    r->rspamc = span_starts(protocol, SPAN("RSPAMC/"));
    if (!r->rspamc && !span_starts(protocol, SPAN("SPAMC/")))
        return refuse_line(r, "not a request");
    if (v == NULL || (r->rspamc && !v->rspamc))
        return refuse_line(r, "unknown command");
    if (!read_version(version, &r->version))
        return refuse_line(r, "the version is not a number");
    r->verb = v->verb;
    r->state = SPAMD_HEAD;
    if (r->rspamc)
        return WIRE_MORE;
    if (v->body == NO_BODY && r->version < 105) /* these never had a head */
        return finish(r, in, r->pos);
    if (r->version <= 100) {
        r->head_end = r->pos;
        r->state = SPAMD_BODY;
    }
    return WIRE_MORE;
}

/* A line within the limits, without its end. WIRE_DONE: it is there. */
static enum wire_step next_line(struct spamd_request *r, const struct buf *in, struct span *line_out)
{
    bool   whole = wire_line(in, &r->pos, &r->scan, line_out);
    size_t n = whole ? line_out->n : in->n - r->pos;

    if (n > WIRE_LINE_MAX)
        return bad(r, SPAMD_EX_PROTOCOL, "the line is too long");
    if ((whole ? r->pos : in->n) > r->limits.head_max)
        return bad(r, SPAMD_EX_PROTOCOL, "the head is too large");
    if (!whole)
        return WIRE_MORE;
    *line_out = wire_chop(*line_out);
    return WIRE_DONE;
}

static enum wire_step step_line(struct spamd_request *r, struct buf *in)
{
    struct span    line;
    enum wire_step got = next_line(r, in, &line);

    return got == WIRE_DONE ? read_line(r, in, span_trim(line)) : got;
}

/* ---- the head ---- */

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20)
            return true;
    return false;
}

static enum wire_step on_length(struct spamd_request *r, struct span value)
{
    uint64_t length;

    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < '0' || value.p[i] > '9')
            return bad(r, SPAMD_EX_PROTOCOL, "Content-Length contains non-numeric bytes");
    if (value.n == 0)
        return bad(r, SPAMD_EX_PROTOCOL, "Content-Length is empty");
    if (!span_u64(value, &length) || length > r->limits.body_max)
        return bad(r, SPAMD_EX_PROTOCOL, "Content-Length is larger than this server takes");
    if (r->has_length && length != r->length)
        return bad(r, SPAMD_EX_PROTOCOL, "Content-Length is given twice, and differs");
    r->has_length = true;
    r->length = length;
    return WIRE_MORE;
}

static enum wire_step on_user(struct spamd_request *r, struct span value)
{
    if (has_control(value))
        return bad(r, SPAMD_EX_PROTOCOL, "User header contains control chars");
    r->has_user = true;
    r->user = value;
    return WIRE_MORE;
}

static enum wire_step on_compress(struct spamd_request *r, struct span value)
{
    if (span_find_ci(value, SPAN("zlib")) == value.n)
        return bad(r, SPAMD_EX_PROTOCOL, "the compression must be zlib");
    r->zlib = true;
    return WIRE_MORE;
}

static enum wire_step on_class(struct spamd_request *r, struct span value)
{
    r->message_class = span_is_ci(value, "spam")  ? SPAMD_CLASS_SPAM
                       : span_is_ci(value, "ham") ? SPAMD_CLASS_HAM
                                                  : SPAMD_CLASS_NONE;
    return WIRE_MORE;
}

/* Any separator will do: spamc writes "local,remote", others "local, remote". */
static unsigned places(struct span value)
{
    return (span_find_ci(value, SPAN("local")) < value.n ? SPAMD_LOCAL : 0) |
           (span_find_ci(value, SPAN("remote")) < value.n ? SPAMD_REMOTE : 0);
}

static enum wire_step on_set(struct spamd_request *r, struct span value)
{
    r->set = places(value);
    return WIRE_MORE;
}

static enum wire_step on_remove(struct spamd_request *r, struct span value)
{
    r->remove = places(value);
    return WIRE_MORE;
}

static enum wire_step on_rcpt(struct spamd_request *r, struct span value)
{
    r->nfields--; /* recipients have a ceiling of their own */
    if (has_control(value))
        return bad(r, SPAMD_EX_PROTOCOL, "Rcpt contains control chars");
    if (!wire_put_addresses(&r->rcpt, r->arena, value, r->limits.rcpt_max))
        return bad(r, SPAMD_EX_PROTOCOL, "too many recipients");
    return WIRE_MORE;
}

/* A field of the RSPAMC form that is only passed on. */
static enum wire_step set_text(struct spamd_request *r, struct span *to, struct span value)
{
    if (has_control(value))
        return bad(r, SPAMD_EX_PROTOCOL, "a field contains control chars");
    *to = value;
    return WIRE_MORE;
}

static enum wire_step on_from(struct spamd_request *r, struct span value)
{
    r->has_from = true;
    return set_text(r, &r->from, value);
}

static enum wire_step on_helo(struct spamd_request *r, struct span value) { return set_text(r, &r->helo, value); }

static enum wire_step on_hostname(struct spamd_request *r, struct span value)
{
    return set_text(r, &r->hostname, value);
}

static enum wire_step on_ip(struct spamd_request *r, struct span value) { return set_text(r, &r->ip, value); }

static enum wire_step on_queue_id(struct spamd_request *r, struct span value)
{
    return set_text(r, &r->queue_id, value);
}

static enum wire_step on_deliver_to(struct spamd_request *r, struct span value)
{
    return set_text(r, &r->deliver_to, value);
}

#define IN_SPAMC 1u
#define IN_RSPAMC 2u

/* Fields that are not here are read over. */
static const struct field {
    struct span name;
    unsigned    forms;
    enum wire_step (*on)(struct spamd_request *r, struct span value);
} known[] = {
    {{"Content-length", 14}, IN_SPAMC | IN_RSPAMC, on_length},
    {{"User", 4}, IN_SPAMC | IN_RSPAMC, on_user},
    {{"Compress", 8}, IN_SPAMC, on_compress},
    {{"Message-class", 13}, IN_SPAMC, on_class},
    {{"Set", 3}, IN_SPAMC, on_set},
    {{"Remove", 6}, IN_SPAMC, on_remove},
    {{"Rcpt", 4}, IN_RSPAMC, on_rcpt},
    {{"From", 4}, IN_RSPAMC, on_from},
    {{"Helo", 4}, IN_RSPAMC, on_helo},
    {{"Hostname", 8}, IN_RSPAMC, on_hostname},
    {{"IP", 2}, IN_RSPAMC, on_ip},
    {{"Queue-Id", 8}, IN_RSPAMC, on_queue_id},
    {{"Deliver-To", 10}, IN_RSPAMC, on_deliver_to},
};

/* The value keeps its control bytes, so that its field can refuse them; blanks around it go. */
static struct span trim_value(struct span s)
{
    while (s.n > 0 && s.p[0] == ' ')
        s = span_skip(s, 1);
    while (s.n > 0 && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

static enum wire_step read_field(struct spamd_request *r, struct span line)
{
    size_t      colon = span_chr(line, ':');
    struct span name = span_head(line, colon), value = trim_value(span_skip(line, colon + 1));
    unsigned    form = r->rspamc ? IN_RSPAMC : IN_SPAMC;

    if (colon == line.n || colon == 0 || line.p[0] == ' ' || line.p[0] == '\t')
        return bad(r, SPAMD_EX_PROTOCOL, "header not in 'Name: value' format");
    r->nfields++;
    for (const struct field *f = known; f < known + COUNT(known); f++)
        if ((f->forms & form) && f->name.n == name.n && span_eq_ci(f->name, name))
            return f->on(r, value) == WIRE_BAD ? WIRE_BAD : WIRE_MORE;
    return WIRE_MORE;
}

static enum wire_step check_tell(struct spamd_request *r)
{
    if (r->set & r->remove)
        return bad(r, SPAMD_EX_PROTOCOL, "Set and Remove name the same place");
    if (r->set != 0 && r->message_class == SPAMD_CLASS_NONE)
        return bad(r, SPAMD_EX_PROTOCOL, "Message-class must be spam or ham");
    return WIRE_MORE;
}

static enum wire_step end_of_head(struct spamd_request *r, const struct buf *in)
{
    if (body_of(r) == NO_BODY)
        return finish(r, in, r->pos);
    if (r->rspamc && !r->has_length)
        return bad(r, SPAMD_EX_PROTOCOL, "Content-length is missing");
    if (r->zlib && !r->has_length)
        return bad(r, SPAMD_EX_UNAVAILABLE, "a compressed message needs a Content-length");
    r->head_end = r->pos;
    r->state = SPAMD_BODY;
    return r->verb == SPAMD_TELL ? check_tell(r) : WIRE_MORE;
}

static enum wire_step step_head(struct spamd_request *r, struct buf *in)
{
    struct span    line;
    enum wire_step got;

    while ((got = next_line(r, in, &line)) == WIRE_DONE) {
        if (line.n == 0)
            return end_of_head(r, in);
        if (read_field(r, line) == WIRE_BAD)
            return WIRE_BAD;
        if (r->nfields > FIELDS_MAX)
            return bad(r, SPAMD_EX_PROTOCOL, "too many headers");
    }
    return got;
}

/* ---- the body ---- */

static enum wire_step unpack(struct spamd_request *r, size_t max)
{
    struct err e = ERR_INIT;

    if (wire_inflate(r->body, max, r->inflated, &e) == 0) {
        r->body = buf_span(r->inflated);
        return WIRE_DONE;
    }
    r->packed = e.code == ERR_LIMIT && max < r->limits.body_max;
    if (!r->packed)
        return bad(r, SPAMD_EX_UNAVAILABLE, e.text);
    buf_clear(r->inflated);
    return WIRE_DONE;
}

bool spamd_packed(const struct spamd_request *r) { return r->packed; }

enum wire_step spamd_unpack(struct spamd_request *r)
{
    r->packed = false;
    return unpack(r, r->limits.body_max);
}

/* `used` bytes of `in` are the request; its body is what lies behind the head. */
static enum wire_step finish(struct spamd_request *r, const struct buf *in, size_t used)
{
    r->used = used;
    r->state = SPAMD_OVER;
    if (r->head_end == 0)
        return WIRE_DONE;
    r->body = span_between(in->p + r->head_end, in->p + used);
    return r->zlib ? unpack(r, wire_unpack_first(&r->limits)) : WIRE_DONE;
}

static enum wire_step step_body(struct spamd_request *r, struct buf *in)
{
    size_t have = in->n - r->head_end;

    if (r->has_length)
        return have < r->length ? WIRE_MORE : finish(r, in, r->head_end + (size_t)r->length);
    if (have > r->limits.body_max)
        return bad(r, SPAMD_EX_PROTOCOL, "the message is larger than this server takes");
    return WIRE_MORE;
}

static enum wire_step at_end(struct spamd_request *r, const struct buf *in)
{
    if (in->n == 0)
        return bad(r, 0, "the connection closed before a request");
    if (r->state != SPAMD_BODY)
        return bad(r, SPAMD_EX_PROTOCOL, "EOF during headers");
    if (!r->has_length)
        return finish(r, in, in->n);
    bad(r, SPAMD_EX_PROTOCOL, "");
    err_set(&r->error, ERR_PROTOCOL, "Content-Length mismatch: Expected %llu bytes, got %zu bytes",
            (unsigned long long)r->length, in->n - r->head_end);
    return WIRE_BAD;
}

/* ---- the machine ---- */

static enum wire_step (*const steps[])(struct spamd_request *r, struct buf *in) = {
    [SPAMD_LINE] = step_line,
    [SPAMD_HEAD] = step_head,
    [SPAMD_BODY] = step_body,
};

void spamd_begin(struct spamd_request *r, struct arena *a, struct buf *inflated, const struct wire_limits *limits)
{
    memset(r, 0, sizeof *r);
    r->arena = a;
    r->inflated = inflated;
    r->limits = *limits;
    buf_clear(inflated);
}

static void rebase(struct spamd_request *r, const struct buf *in)
{
    struct span *spans[] = {&r->user, &r->from,     &r->helo,       &r->hostname,
                            &r->ip,   &r->queue_id, &r->deliver_to, &r->command_line};

    if (r->base != NULL && r->base != in->p) {
        for (size_t i = 0; i < COUNT(spans); i++)
            wire_rebase(spans[i], r->base, in->p);
        for (size_t i = 0; i < r->rcpt.n; i++)
            wire_rebase(&r->rcpt.items[i], r->base, in->p);
    }
    r->base = in->p;
}

enum wire_step spamd_step(struct spamd_request *r, struct buf *in, bool eof)
{
    enum wire_step got = WIRE_MORE;

    rebase(r, in);
    while (got == WIRE_MORE && r->state != SPAMD_OVER) {
        enum spamd_state before = r->state;

        got = steps[r->state](r, in);
        if (r->state == before)
            break;
    }
    return got == WIRE_MORE && eof ? at_end(r, in) : got;
}

void spamd_expire(struct spamd_request *r)
{
    bad(r, SPAMD_EX_TIMEOUT, r->head_end > 0 ? "the message did not come in time" : "the request did not come in time");
}

bool spamd_head_done(const struct spamd_request *r) { return r->head_end > 0 || r->state == SPAMD_OVER; }

size_t spamd_wants(const struct spamd_request *r, const struct buf *in)
{
    if (r->state != SPAMD_BODY || !r->has_length || in->n - r->head_end >= r->length)
        return 0;
    return (size_t)r->length - (in->n - r->head_end);
}
