/* lib/rules/origin.c - see origin.h. */
#include "rules/origin.h"

#include "base/conf.h"
#include "mail/text.h"

#define RECEIVED_MAX 50
#define AUTHRES_FIELDS_MAX 50
#define AUTHRES_DKIM_MAX 64 /* d= of one message; further ones prove nothing */

int origin_trust_read(const struct conf_list *relays, const char *authserv_id, struct arena *a,
                      struct origin_trust *out, struct err *e)
{
    struct ip_block *blocks = arena_array(a, relays->n + 1, sizeof *blocks);

    if (blocks == NULL)
        return err_set(e, ERR_LIMIT, "too many trusted_relays");
    for (size_t i = 0; i < relays->n; i++)
        if (ip_block_parse(span_of(relays->items[i]), &blocks[i], e) < 0)
            return err_wrap(e, "trusted_relays");
    *out = (struct origin_trust){.relays = blocks, .nrelays = relays->n, .authserv_id = span_of(authserv_id)};
    return 0;
}

/* ---- the client ---- */

static bool is_relay(const struct origin_trust *t, const struct ip *ip)
{
    for (size_t i = 0; i < t->nrelays; i++)
        if (ip_block_holds(&t->relays[i], ip))
            return true;
    return false;
}

bool origin_client(const struct origin_trust *t, struct message *m, bool has_stated, const struct ip *stated,
                   struct ip *out)
{
    struct span text;
    struct ip   from;

    if (!has_stated)
        return false;
    *out = *stated;
    if (!is_relay(t, stated))
        return true;
    for (size_t i = 0; i < RECEIVED_MAX && message_received_ip(m, i, &text); i++) {
        if (!ip_parse(text, false, &from))
            break; /* what is not understood ends what is believed */
        if (is_relay(t, &from))
            continue;
        *out = from;
        break;
    }
    return true;
}

/* ---- Authentication-Results ---- */

/* One field's body, read from the front. What a writer quoted badly might be a sender's own words, so damage anywhere makes the
 * whole field worth nothing. */
struct field {
    struct span rest;
    bool        damaged;
};

/* White space and comments (nested, RFC 5322 3.2.2). */
static void skip_cfws(struct field *f)
{
    bool closed;

    f->rest = text_skip_comments(f->rest, &closed);
    f->damaged = f->damaged || !closed;
}

/* At a quote: what stands inside, escapes left as they are. */
static struct span take_quoted(struct field *f)
{
    struct span inside;
    size_t      i = 1;

    while (i < f->rest.n && f->rest.p[i] != '"')
        i += f->rest.p[i] == '\\' ? 2 : 1;
    f->damaged = f->damaged || i >= f->rest.n;
    inside = span_skip(span_head(f->rest, i), 1);
    f->rest = span_skip(f->rest, i + 1);
    return inside;
}

/* A run without blanks, comments and `;`; a name also ends at `=`, which a value may hold (SRS, base64). */
static struct span take_run(struct field *f, bool value)
{
    struct span run;
    size_t      i = 0;

    while (i < f->rest.n && memchr(value ? ";( \t\r\n\"" : ";( \t\r\n\"=", f->rest.p[i], value ? 7 : 8) == NULL)
        i++;
    run = span_head(f->rest, i);
    f->rest = span_skip(f->rest, i);
    f->damaged = f->damaged || (f->rest.n > 0 && f->rest.p[0] == '"') ||
                 memchr(run.n > 0 ? run.p : "", 0, run.n) != NULL;
    return run;
}

static struct span take_name(struct field *f)
{
    skip_cfws(f);
    return f->rest.n > 0 && f->rest.p[0] == '"' ? take_quoted(f) : take_run(f, false);
}

/* Of a quoted local part with its domain behind it, only "@domain" comes out: that is the part which somebody vouches for. */
static struct span take_value(struct field *f)
{
    struct span quoted, behind;

    skip_cfws(f);
    if (f->rest.n == 0 || f->rest.p[0] != '"')
        return take_run(f, true);
    quoted = take_quoted(f);
    behind = take_run(f, true);
    f->damaged = f->damaged || (behind.n > 0 && behind.p[0] != '@');
    return behind.n > 0 ? behind : quoted;
}

static bool take_char(struct field *f, char c)
{
    skip_cfws(f);
    if (f->rest.n == 0 || f->rest.p[0] != c)
        return false;
    f->rest = span_skip(f->rest, 1);
    return true;
}

/* What one "; method=result property=value …" says. */
struct result {
    struct span method, result;
    struct span mailfrom, helo, d, i, from;
};

static void take_result(struct field *f, struct result *r)
{
    const struct {
        const char  *name;
        struct span *value;
    } known[] = {{"smtp.mailfrom", &r->mailfrom},
                 {"smtp.helo", &r->helo},
                 {"header.d", &r->d},
                 {"header.i", &r->i},
                 {"header.from", &r->from}};

    *r = (struct result){0};
    for (bool first = true; f->rest.n > 0 && !take_char(f, ';'); first = false) {
        struct span key = take_name(f), value = SPAN_NONE;

        if (take_char(f, '='))
            value = take_value(f);
        else if (key.n == 0)
            f->rest = span_skip(f->rest, 1); /* a stray character */
        if (first) {
            r->method = span_head(key, span_chr(key, '/'));
            r->result = value;
        }
        for (size_t i = 0; i < COUNT(known); i++) {
            if (span_is_ci(key, known[i].name) && known[i].value->n == 0)
                *known[i].value = value;
        }
    }
}

/* The domain of "user@domain", "@domain" or "domain", in normal form; empty when it is none. */
static struct span domain_of(struct span value, struct arena *a)
{
    struct err  e;
    struct span out;
    size_t      at = span_rchr(value, '@');

    if (at < value.n)
        value = span_skip(value, at + 1);
    return value.n > 0 && domain_normalise(value, a, &out, &e) == 0 ? out : SPAN_NONE;
}

struct gathering {
    struct arena *arena;
    struct proof *proof;
    struct span  *dkim;
};

static void gather(struct gathering *g, const struct result *r)
{
    struct span domain;

    if (!span_is_ci(r->result, "pass"))
        return;
    if (span_is_ci(r->method, "dmarc") && !g->proof->dmarc_pass) {
        g->proof->dmarc_pass = true;
        g->proof->dmarc_domain = domain_of(r->from, g->arena);
    } else if (span_is_ci(r->method, "spf") && g->proof->spf_domain.n == 0) {
        g->proof->spf_domain = domain_of(r->mailfrom.n > 0 ? r->mailfrom : r->helo, g->arena);
    } else if (span_is_ci(r->method, "dkim") && g->proof->ndkim < AUTHRES_DKIM_MAX) {
        domain = domain_of(r->d.n > 0 ? r->d : r->i, g->arena);
        if (domain.n > 0)
            g->dkim[g->proof->ndkim++] = domain;
    }
}

/* One field's body: read once to see that it is whole, and once more to believe it. False when it is damaged, or not from our
 * authserv-id. */
static bool read_field(struct gathering *g, struct span body, struct span authserv_id)
{
    struct field  f = {.rest = body};
    struct result r;

    if (!span_eq_ci(take_name(&f), authserv_id) || f.damaged)
        return false;
    while (f.rest.n > 0 && !take_char(&f, ';')) /* a version */
        f.rest = span_skip(f.rest, 1);
    body = f.rest;
    while (f.rest.n > 0)
        take_result(&f, &r);
    if (f.damaged)
        return false;
    f.rest = body;
    while (f.rest.n > 0) {
        take_result(&f, &r);
        gather(g, &r);
    }
    return true;
}

/* Is a Received line from a trusted relay about a trusted relay? `writer_trusted`: the hop before it, the stated client or the
 * client of the line above, is one; nobody else's line is believed, a sender can write any. Below a line about a stranger
 * stands what the stranger sent. */
static bool believes_below(const struct origin_trust *t, struct message *m, size_t nth, bool writer_trusted)
{
    struct span text;
    struct ip   ip;

    return writer_trusted && nth < RECEIVED_MAX && message_received_ip(m, nth, &text) && ip_parse(text, false, &ip) &&
           is_relay(t, &ip);
}

size_t origin_authres(const struct origin_trust *t, struct message *m, bool has_stated, const struct ip *stated,
                      struct arena *a, struct proof *proof)
{
    bool             limit, trusted = has_stated && is_relay(t, stated);
    size_t           n, received = 0, fields = 0;
    struct gathering g = {.arena = a, .proof = proof};

    if (t->authserv_id.n == 0)
        return 0;
    proof->can_prove = true;
    if ((g.dkim = arena_array(a, AUTHRES_DKIM_MAX, sizeof *g.dkim)) == NULL)
        return 0;
    proof->dkim = g.dkim;
    proof->ndkim = 0;
    n = message_nheaders(m, &limit);
    for (size_t i = 0; i < n && fields < AUTHRES_FIELDS_MAX; i++) {
        const struct header *h = message_header_at(m, i);

        if (span_is_ci(h->name, "Received")) {
            if (!believes_below(t, m, received++, trusted))
                break;
        } else if (span_is_ci(h->name, "Authentication-Results")) {
            fields += read_field(&g, span_head(h->body, MESSAGE_HEADER_MAX), t->authserv_id);
        }
    }
    return fields;
}

/* ---- Both, and the client's names ---- */

static struct span lower(struct span text, struct arena *a)
{
    struct span copy = text.n > 0 ? arena_dup(a, text) : SPAN_NONE;

    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'Z')
            ((char *)copy.p)[i] |= 0x20;
    return copy;
}

static struct span verified_name(struct span text)
{
    text = span_trim(text);
    if (span_is_ci(text, "unknown") || span_is_ci(text, "<unknown>") || (text.n > 0 && text.p[0] == '['))
        return SPAN_NONE;
    return text.n > 0 && text.p[text.n - 1] == '.' ? span_head(text, text.n - 1) : text;
}

void origin_facts(const struct origin_trust *t, const struct origin_stated *s, struct facts *f)
{
    struct ip stated;
    bool      has_stated = ip_parse(s->ip, true, &stated);

    origin_authres(t, f->message, has_stated, &stated, f->arena, &f->proof);
    f->has_ip = origin_client(t, f->message, has_stated, &stated, &f->ip);
    if (f->has_ip && ip_cmp(&stated, &f->ip) != 0)
        return;
    f->host = lower(verified_name(s->host), f->arena);
    f->no_host = s->host.n > 0 && f->host.n == 0; /* "unknown": the MTA has looked */
    f->helo = lower(span_trim(s->helo), f->arena);
}

void origin_nexthop(struct span route, struct arena *a, struct rcpt_facts *out)
{
    struct span host = span_trim(route);
    size_t      scheme = span_find(host, SPAN("://"));

    host = scheme < host.n ? span_skip(host, scheme + 3) : host;
    host = span_head(host, span_chr(host, '?'));
    host = span_head(host, span_chr(host, '/'));
    host = span_chr(host, '@') < host.n ? span_skip(host, span_rchr(host, '@') + 1) : host;
    if (host.n > 0 && host.p[0] == '[')
        host = span_skip(span_head(host, span_chr(host, ']')), 1);
    else if (span_chr(host, ':') == span_rchr(host, ':'))
        host = span_head(host, span_chr(host, ':'));
    out->has_nexthop_ip = host.n > 0 && ip_parse(host, false, &out->nexthop_ip);
    out->nexthop = out->has_nexthop_ip ? SPAN_NONE : lower(host, a);
}

bool proof_covers(const struct proof *p, const struct address *sender)
{
    struct span org = domain_org(sender->domain);

    if (sender->domain.n == 0)
        return false;
    if (p->dmarc_pass && (p->dmarc_domain.n == 0 || span_eq(domain_org(p->dmarc_domain), org)))
        return true;
    if (p->spf_domain.n > 0 && span_eq(domain_org(p->spf_domain), org))
        return true;
    for (size_t i = 0; i < p->ndkim; i++)
        if (span_eq(domain_org(p->dkim[i]), org))
            return true;
    return false;
}

enum direction origin_direction(bool authenticated, bool sender_ours, bool rcpt_ours)
{
    if (rcpt_ours)
        return authenticated ? DIRECTION_LOCAL : DIRECTION_INBOUND;
    return authenticated || sender_ours ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
}

/* ---- X-Envelope lines ---- */

/* The field at the start of *rest, folded lines and all, if it has this name; moves *rest behind it. */
static bool take_field(struct span *rest, struct span name, struct span *body_out)
{
    struct span s = *rest, line;

    if (!span_starts_ci(s, name))
        return false;
    span_line(&s, &line);
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        span_line(&s, &line);
    *body_out = span_trim(span_skip(span_between(rest->p, line.p + line.n), name.n));
    *rest = s;
    return true;
}

/* Up to the next comma outside quotes. */
static struct span take_address(struct span *list)
{
    struct span one;
    bool        quoted = false;
    size_t      i = 0;

    for (; i < list->n && (quoted || list->p[i] != ','); i++) {
        if (list->p[i] == '\\' && quoted)
            i++;
        else if (list->p[i] == '"')
            quoted = !quoted;
    }
    one = span_trim(span_head(*list, i));
    *list = span_skip(*list, i + 1);
    return one;
}

static int put_recipients(struct envelope_lines *out, struct span list, struct arena *a)
{
    while (list.n > 0) {
        struct span one = take_address(&list);

        if (one.n == 0)
            continue;
        if (out->nto == ADDRESS_LIST_MAX)
            return -1;
        if ((out->nto & (out->nto - 1)) == 0) { /* full at each power of two */
            struct span *more = arena_array(a, out->nto == 0 ? 1 : out->nto * 2, sizeof *more);

            if (more == NULL)
                return -1;
            if (out->nto > 0)
                memcpy(more, out->to, out->nto * sizeof *more);
            out->to = more;
        }
        out->to[out->nto++] = one;
    }
    return 0;
}

static int take_lines(struct span *rest, struct arena *a, struct envelope_lines *out)
{
    struct span body;

    for (;;) {
        if (take_field(rest, SPAN("X-Envelope-From:"), &body)) {
            out->from = out->has_from ? out->from : body;
            out->has_from = true;
        } else if (!take_field(rest, SPAN("X-Envelope-To:"), &body)) {
            return 0;
        } else if (put_recipients(out, body, a) < 0) {
            return -1;
        }
    }
}

int origin_envelope_lines(struct span raw, struct arena *a, struct envelope_lines *out, struct span *rest_out)
{
    struct span line;

    *out = (struct envelope_lines){0};
    *rest_out = raw;
    if (span_starts(raw, SPAN("From ")))
        span_line(rest_out, &line);
    return take_lines(rest_out, a, out);
}

/* "from HELO (NAME [IP])" is the first line of it: the last bracket of that, since the client chose what stands before. */
static struct span received_ip(struct span body)
{
    struct span line;
    size_t      open;

    span_line(&body, &line);
    line = span_trim(line);
    if (line.n < 2 || line.p[line.n - 1] != ')' || line.p[line.n - 2] != ']')
        return SPAN_NONE;
    open = span_rchr(line, '[');
    return open < line.n ? span_between(line.p + open + 1, line.p + line.n - 2) : SPAN_NONE;
}

int origin_milter_lines(struct span raw, struct arena *a, struct envelope_lines *out, struct span *rest_out)
{
    struct span body;

    if (origin_envelope_lines(raw, a, out, rest_out) < 0)
        return -1;
    if (out->nto == 0 || !take_field(rest_out, SPAN("Received:"), &body))
        return 0;
    out->ip = received_ip(body);
    return take_lines(rest_out, a, out);
}
