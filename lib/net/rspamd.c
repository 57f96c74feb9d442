/* lib/net/rspamd.c - see rspamd.h. Reading is a table of fields; writing follows the order of keys of Rspamd itself. */
#include "base/base64.h"
#include "base/ip.h"
#include "base/utf8.h"
#include "net/rspamd.h"

/* ---- reading ---- */

enum field_kind { TEXT, RCPT, ADDRESS_IP, FLAGS, PASS, MILTER, LOG, AUTHORIZATION, REFUSED };

#define AT(member) offsetof(struct rspamd_envelope, member)
static const struct field {
    struct span     name;
    enum field_kind kind;
    size_t          at; /* TEXT: the span that takes the value */
} fields[] = {
    {{"Rcpt", 4}, RCPT, 0},
    {{"From", 4}, TEXT, AT(from)},
    {{"IP", 2}, ADDRESS_IP, 0},
    {{"Helo", 4}, TEXT, AT(helo)},
    {{"Hostname", 8}, TEXT, AT(hostname)},
    {{"User", 4}, TEXT, AT(user)},
    {{"Queue-Id", 8}, TEXT, AT(queue_id)},
    {{"Deliver-To", 10}, TEXT, AT(deliver_to)},
    {{"MTA-Name", 8}, TEXT, AT(mta_name)},
    {{"TLS-Version", 11}, TEXT, AT(tls_version)},
    {{"TLS-Cipher", 10}, TEXT, AT(tls_cipher)},
    {{"Flags", 5}, FLAGS, 0},
    {{"Pass", 4}, PASS, 0},
    {{"Milter", 6}, MILTER, 0},
    {{"Password", 8}, TEXT, AT(password)},
    {{"Log", 3}, LOG, 0},
    {{"Authorization", 13}, AUTHORIZATION, 0},
    {{"Shm", 3}, TEXT, AT(shm)},
    {{"Shm-Offset", 10}, TEXT, AT(shm_offset)},
    {{"Shm-Length", 10}, TEXT, AT(shm_length)},
    {{"File", 4}, REFUSED, 0},
    {{"Path", 4}, REFUSED, 0},
    {{"Message-Length", 14}, REFUSED, 0},
};

static const struct field *field_named(struct span name)
{
    for (const struct field *f = fields; f < fields + COUNT(fields); f++)
        if (f->name.n == name.n && (f->name.p[0] | 0x20) == (name.p[0] | 0x20) && span_eq_ci(f->name, name))
            return f;
    return NULL;
}

static void read_ip(struct rspamd_envelope *env, struct span value)
{
    struct ip ip;

    if (env->ip.p != NULL || value.n == 0)
        return;
    if (!ip_parse(value, true, &ip)) {
        env->ip_invalid = true;
        return;
    }
    size_t colon = span_chr(value, ':');
    if (value.p[0] == '[')
        env->ip = span_skip(span_head(value, span_chr(value, ']')), 1);
    else
        env->ip = span_rchr(value, ':') == colon ? span_head(value, colon) : value; /* one colon: a port follows */
}

static void read_flags(struct rspamd_envelope *env, struct span list)
{
    struct span flag;

    while (span_next(&list, ',', &flag)) {
        flag = span_trim(flag);
        env->milter |= span_is_ci(flag, "milter");
        env->pass_all |= span_is_ci(flag, "pass_all");
        env->body_block |= span_is_ci(flag, "body_block");
        env->no_log |= span_is_ci(flag, "no_log");
    }
}

/* Padding may be missing; anything else that is no base64 gives {NULL, 0}. */
static struct span decode_base64(struct arena *a, struct span s)
{
    char    *out = arena_alloc(a, s.n / 4 * 3 + 3);
    size_t   n = 0;
    uint32_t bits = 0;
    unsigned have = 0;

    while (s.n > 0 && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n && out != NULL; i++) {
        int digit = base64_digit(s.p[i]);

        if (digit < 0)
            return SPAN_NONE;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    return span_make(out, out != NULL ? n : 0);
}

/* "Basic dXNlcjpwYXNz": the user's name does not matter. "Bearer pst_…" */
static void read_authorization(struct arena *a, struct rspamd_envelope *env, struct span value)
{
    if (env->bearer.p == NULL && span_starts_ci(value, SPAN("Bearer ")))
        env->bearer = span_trim(span_skip(value, 7));
    if (env->password.p != NULL || !span_starts_ci(value, SPAN("Basic ")))
        return;
    struct span both = decode_base64(a, span_trim(span_skip(value, 6)));
    size_t      colon = span_chr(both, ':');
    if (colon < both.n)
        env->password = span_skip(both, colon + 1);
}

static int read_field(const struct http_request *r, const struct http_header *h, struct rspamd_envelope *env,
                      struct err *e)
{
    const struct field *f = field_named(h->name);
    struct span        *text;

    if (f == NULL)
        return 0;
    switch (f->kind) {
    case TEXT:
        text = (struct span *)(void *)((char *)env + f->at);
        if (text->p == NULL)
            *text = h->value;
        return 0;
    case RCPT:
        if (!wire_put_addresses(&env->rcpt, r->arena, h->value, r->limits.rcpt_max))
            return err_set(e, ERR_LIMIT, "more than %zu recipients", r->limits.rcpt_max);
        return 0;
    case ADDRESS_IP: read_ip(env, h->value); return 0;
    case FLAGS: read_flags(env, h->value); return 0;
    case PASS: env->pass_all |= span_is_ci(h->value, "all"); return 0;
    case MILTER: env->milter |= !span_is_ci(h->value, "no"); return 0;
    case LOG: env->no_log |= span_is_ci(h->value, "no"); return 0;
    case AUTHORIZATION: read_authorization(r->arena, env, h->value); return 0;
    case REFUSED:
        return err_set(e, ERR_INVALID, "%.*s is not served here: send the message as the body", SPAN_ARG(f->name));
    }
    return 0;
}

int rspamd_read_envelope(const struct http_request *r, struct rspamd_envelope *out, struct err *e)
{
    *out = (struct rspamd_envelope){0};
    for (size_t i = 0; i < r->nheaders; i++)
        if (read_field(r, &r->headers[i], out, e) < 0)
            return -1;
    return 0;
}

/* ---- writing ---- */

static const char *const action_names[] = {
    [RSPAMD_NO_ACTION] = "no action",     [RSPAMD_GREYLIST] = "greylist",
    [RSPAMD_ADD_HEADER] = "add header",   [RSPAMD_REWRITE_SUBJECT] = "rewrite subject",
    [RSPAMD_SOFT_REJECT] = "soft reject", [RSPAMD_REJECT] = "reject",
};

const char *rspamd_action_name(enum rspamd_action a) { return action_names[a]; }

#define OFF 999.0 /* a threshold that never acts */

/* Most of what we write is plain ASCII: then the bytes go out as they are. */
static bool is_plain(struct span s)
{
    bool special = false;

    for (size_t i = 0; i < s.n; i++)
        special |= (signed char)s.p[i] < 0x20 || s.p[i] == '"' || s.p[i] == '\\';
    return !special;
}

static void put_string(struct buf *out, struct span s)
{
    buf_putc(out, '"');
    if (is_plain(s))
        buf_put(out, s);
    else
        json_put_chars(out, s);
    buf_putc(out, '"');
}

/* A string that goes into an SMTP reply or a header field: without CR, LF and NUL. */
static void put_one_line(struct buf *out, struct span s)
{
    buf_putc(out, '"');
    while (s.n > 0) {
        size_t n = 0;

        while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '\0')
            n++;
        json_put_chars(out, span_head(s, n));
        s = span_skip(s, n + 1);
    }
    buf_putc(out, '"');
}

/* Does the LF at the start of s fold a field: does a blank follow, and something behind it? */
static bool folds(struct span s)
{
    size_t n = 1;

    if (s.n < 3 || (s.p[1] != ' ' && s.p[1] != '\t'))
        return false;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t' || s.p[n] == '\r'))
        n++;
    return n < s.n && s.p[n] != '\n' && s.p[n] != '\0';
}

/* The value of a header field: what folds it stays, as LF; no other line end, and no NUL. */
static void put_field(struct buf *out, struct span s)
{
    size_t at = 0;

    buf_putc(out, '"');
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0')
            continue;
        json_put_chars(out, span_head(span_skip(s, at), i - at));
        if (i < s.n && s.p[i] == '\n' && i > 0 && folds(span_skip(s, i)))
            buf_put(out, SPAN("\\n"));
        at = i + 1;
    }
    buf_putc(out, '"');
}

/* `,"name":` with the comma left out at the start of an object. */
static void put_key(struct buf *out, bool *first, struct span name)
{
    if (!*first)
        buf_putc(out, ',');
    *first = false;
    put_string(out, name);
    buf_putc(out, ':');
}

static void put_symbol(struct buf *out, const struct rspamd_symbol *s)
{
    buf_put(out, SPAN("{\"name\":"));
    put_string(out, s->name);
    buf_put(out, SPAN(",\"score\":"));
    wire_put_decimal(out, s->score, 3);
    buf_put(out, SPAN(",\"metric_score\":"));
    wire_put_decimal(out, s->score, 3);
    if (s->description.n > 0) {
        buf_put(out, SPAN(",\"description\":"));
        put_string(out, s->description);
    }
    for (size_t i = 0; i < s->noptions; i++) {
        if (i == 0)
            buf_put(out, SPAN(",\"options\":["));
        else
            buf_putc(out, ',');
        put_string(out, s->options[i]);
    }
    if (s->noptions > 0)
        buf_putc(out, ']');
    buf_putc(out, '}');
}

static bool symbol_seen(const struct rspamd_reply *reply, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (span_eq(reply->symbols[i].name, reply->symbols[at].name))
            return true;
    return false;
}

static void put_symbols(struct buf *out, const struct rspamd_reply *reply, bool *first)
{
    for (size_t i = 0; i < reply->nsymbols; i++) {
        if (symbol_seen(reply, i))
            continue;
        put_key(out, first, reply->symbols[i].name);
        put_symbol(out, &reply->symbols[i]);
    }
}

static void put_thresholds(struct buf *out, const struct rspamd_reply *reply)
{
    const struct {
        enum rspamd_action action;
        double             at;
    } rows[] = {
        {RSPAMD_REJECT, reply->reject}, {RSPAMD_ADD_HEADER, reply->add_header}, {RSPAMD_GREYLIST, reply->greylist}};
    bool first = true;

    buf_put(out, SPAN(",\"thresholds\":{"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!(rows[i].at < OFF))
            continue;
        put_key(out, &first, span_of(action_names[rows[i].action]));
        wire_put_decimal(out, rows[i].at, 3);
    }
    buf_putc(out, '}');
}

static void put_messages(struct buf *out, const struct rspamd_reply *reply)
{
    buf_put(out, SPAN(",\"messages\":{"));
    if (reply->smtp_message.n > 0) {
        buf_put(out, SPAN("\"smtp_message\":"));
        put_one_line(out, reply->smtp_message);
    }
    buf_putc(out, '}');
}

static void put_int(struct buf *out, int v)
{
    if (v < 0)
        buf_putc(out, '-');
    buf_put_u64(out, (uint64_t)(v < 0 ? -(int64_t)v : v));
}

static void put_added(struct buf *out, const struct rspamd_add_header *h)
{
    buf_put(out, SPAN("{\"value\":"));
    put_field(out, h->value);
    buf_put(out, SPAN(",\"order\":"));
    put_int(out, h->order);
    buf_putc(out, '}');
}

/* The next header of the name of headers[at], from `from` on; nadd_headers when there is none. */
static size_t same_name(const struct rspamd_reply *reply, size_t at, size_t from)
{
    while (from < reply->nadd_headers && !span_eq_ci(reply->add_headers[from].name, reply->add_headers[at].name))
        from++;
    return from;
}

/* One value, or, since a key may stand once only, a list of all values of that name. */
static void put_added_values(struct buf *out, const struct rspamd_reply *reply, size_t at)
{
    const struct rspamd_add_header *h = &reply->add_headers[at];
    size_t                          next = same_name(reply, at, at + 1);

    if (next == reply->nadd_headers) {
        if (h->plain)
            put_field(out, h->value);
        else
            put_added(out, h);
        return;
    }
    buf_putc(out, '[');
    put_added(out, h);
    for (; next < reply->nadd_headers; next = same_name(reply, at, next + 1)) {
        buf_putc(out, ',');
        put_added(out, &reply->add_headers[next]);
    }
    buf_putc(out, ']');
}

static void put_add_headers(struct buf *out, const struct rspamd_reply *reply)
{
    bool first = true;

    buf_putc(out, '{');
    for (size_t i = 0; i < reply->nadd_headers; i++) {
        if (same_name(reply, i, 0) < i)
            continue;
        put_key(out, &first, reply->add_headers[i].name);
        put_added_values(out, reply, i);
    }
    buf_putc(out, '}');
}

static void put_remove_headers(struct buf *out, const struct rspamd_reply *reply)
{
    bool first = true;

    buf_putc(out, '{');
    for (size_t i = 0; i < reply->nremove_headers; i++) {
        size_t before = 0;

        while (!span_eq_ci(reply->remove_headers[before], reply->remove_headers[i]))
            before++;
        if (before < i)
            continue;
        put_key(out, &first, reply->remove_headers[i]);
        put_int(out, reply->remove_at != NULL ? reply->remove_at[i] : 0);
    }
    buf_putc(out, '}');
}

static void put_list(struct buf *out, const struct span *items, size_t n,
                     void (*put)(struct buf *out, struct span item))
{
    for (size_t i = 0; i < n; i++) {
        buf_putc(out, i == 0 ? '[' : ',');
        put(out, items[i]);
    }
    buf_putc(out, ']');
}

static void put_milter(struct buf *out, const struct rspamd_reply *reply, bool legacy)
{
    bool first = true;

    if (reply->nadd_headers + reply->nremove_headers + reply->ndel_rcpt + reply->nadd_rcpt + reply->change_from.n ==
            0 &&
        !reply->discard)
        return;
    buf_puts(out, legacy ? ",\"rmilter\":{" : ",\"milter\":{");
    if (reply->nremove_headers > 0) {
        put_key(out, &first, SPAN("remove_headers"));
        put_remove_headers(out, reply);
    }
    if (reply->nadd_headers > 0) {
        put_key(out, &first, SPAN("add_headers"));
        put_add_headers(out, reply);
    }
    if (reply->ndel_rcpt > 0) {
        put_key(out, &first, SPAN("del_rcpt"));
        put_list(out, reply->del_rcpt, reply->ndel_rcpt, put_one_line);
    }
    if (reply->nadd_rcpt > 0) {
        put_key(out, &first, SPAN("add_rcpt"));
        put_list(out, reply->add_rcpt, reply->nadd_rcpt, put_one_line);
    }
    if (reply->change_from.n > 0) {
        put_key(out, &first, SPAN("change_from"));
        put_one_line(out, reply->change_from);
    }
    if (reply->discard) {
        put_key(out, &first, SPAN("reject"));
        buf_put(out, SPAN("\"discard\""));
    }
    buf_putc(out, '}');
}

static bool counts_as_spam(enum rspamd_action a) { return a != RSPAMD_NO_ACTION && a != RSPAMD_GREYLIST; }

/* is_skipped … action: the same in both forms. */
static void put_verdict(struct buf *out, const struct rspamd_reply *reply)
{
    buf_put(out, SPAN("\"is_skipped\":false,\"score\":"));
    wire_put_decimal(out, reply->score, 3);
    buf_put(out, SPAN(",\"required_score\":"));
    wire_put_decimal(out, reply->required_score, 3);
    buf_put(out, SPAN(",\"action\":\""));
    buf_puts(out, action_names[reply->action]);
    buf_putc(out, '"');
}

static void put_subject(struct buf *out, const struct rspamd_reply *reply)
{
    if (reply->action == RSPAMD_REWRITE_SUBJECT && reply->subject.n > 0) {
        buf_put(out, SPAN(",\"subject\":"));
        put_one_line(out, reply->subject);
    }
}

static void put_default(struct buf *out, const struct rspamd_reply *reply)
{
    bool first = false;

    buf_puts(out,
             counts_as_spam(reply->action) ? "{\"default\":{\"is_spam\":true," : "{\"default\":{\"is_spam\":false,");
    put_verdict(out, reply);
    put_subject(out, reply);
    put_symbols(out, reply, &first);
    buf_putc(out, '}');
}

static void put_modern(struct buf *out, const struct rspamd_reply *reply)
{
    bool first = true;

    buf_putc(out, '{');
    put_verdict(out, reply);
    put_thresholds(out, reply);
    buf_put(out, SPAN(",\"symbols\":{"));
    put_symbols(out, reply, &first);
    buf_putc(out, '}');
}

static void put_hold(struct buf *out, const struct rspamd_reply *reply)
{
    if (!reply->hold_reject && !reply->hold_add_header)
        return;
    buf_put(out, SPAN(",\"hold\":["));
    if (reply->hold_reject)
        buf_put(out, reply->hold_add_header ? SPAN("\"reject\",") : SPAN("\"reject\""));
    if (reply->hold_add_header)
        buf_put(out, SPAN("\"add header\""));
    buf_putc(out, ']');
}

void rspamd_put_json(struct buf *out, const struct rspamd_reply *reply, bool legacy)
{
    if (legacy)
        put_default(out, reply);
    else
        put_modern(out, reply);
    put_messages(out, reply);
    if (!legacy)
        put_subject(out, reply);
    if (reply->message_id.n > 0) {
        buf_put(out, SPAN(",\"message-id\":"));
        put_string(out, reply->message_id);
    }
    if (reply->uid.n > 0) {
        buf_put(out, SPAN(",\"uid\":"));
        put_string(out, reply->uid);
    }
    buf_put(out, SPAN(",\"time_real\":"));
    wire_put_decimal(out, reply->time_real, 6);
    if (reply->ndkim_signature > 0) {
        buf_put(out, SPAN(",\"dkim-signature\":"));
        if (reply->ndkim_signature > 1)
            put_list(out, reply->dkim_signature, reply->ndkim_signature, put_field);
        else
            put_field(out, reply->dkim_signature[0]);
    }
    put_milter(out, reply, legacy);
    put_hold(out, reply);
    buf_putc(out, '}');
}
