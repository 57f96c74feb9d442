#include "rules/origin.h"

#define RECEIVED_MAX 50
#define AUTHRES_FIELDS_MAX 50
#define AUTHRES_DKIM_MAX 64 /* d= of one message; further ones prove nothing */

/* ---- the client ---- */

static bool is_relay(const struct origin_trust *t, const struct ip *ip)
{
    for (size_t i = 0; i < t->nrelays; i++)
        if (ip_block_holds(&t->relays[i], ip))
            return true;
    return false;
}

bool origin_client(const struct origin_trust *t, struct message *m, bool has_stated, const struct ip *stated, struct ip *out)
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

/* Behind white space and comments (nested, RFC 5322 3.2.2). */
static struct span skip_cfws(struct span s)
{
    size_t depth = 0, i = 0;

    for (; i < s.n; i++) {
        char c = s.p[i];

        if (depth > 0 && c == '\\')
            i++;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
            break;
    }
    return span_skip(s, i);
}

/* A token or a quoted string (without its quotes; an escape inside makes it useless as a domain, so none is undone). */
static struct span take_word(struct span *s)
{
    struct span word;
    size_t      i = 0;

    *s = skip_cfws(*s);
    if (s->n > 0 && s->p[0] == '"') {
        for (i = 1; i < s->n && s->p[i] != '"'; i++)
            if (s->p[i] == '\\')
                i++;
        word = span_skip(span_head(*s, i), 1);
        *s = span_skip(*s, i + 1);
        return word;
    }
    while (i < s->n && strchr("=;( \t\r\n", s->p[i]) == NULL)
        i++;
    word = span_head(*s, i);
    *s = span_skip(*s, i);
    return word;
}

static bool take_char(struct span *s, char c)
{
    *s = skip_cfws(*s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = span_skip(*s, 1);
    return true;
}

/* What one "; method=result property=value …" says. */
struct result {
    struct span method, result;
    struct span mailfrom, helo, d, i, from;
};

static void take_result(struct span *s, struct result *r)
{
    *r = (struct result){0};
    for (bool first = true; s->n > 0 && !take_char(s, ';'); first = false) {
        struct span key = take_word(s), value = SPAN_NONE;

        if (take_char(s, '='))
            value = take_word(s);
        else if (key.n == 0)
            *s = span_skip(*s, 1); /* a stray character */
        if (first) {
            r->method = span_head(key, span_chr(key, '/'));
            r->result = value;
        } else if (span_is_ci(key, "smtp.mailfrom")) {
            r->mailfrom = value;
        } else if (span_is_ci(key, "smtp.helo")) {
            r->helo = value;
        } else if (span_is_ci(key, "header.d")) {
            r->d = value;
        } else if (span_is_ci(key, "header.i")) {
            r->i = value;
        } else if (span_is_ci(key, "header.from")) {
            r->from = value;
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
    if (!span_is_ci(r->result, "pass"))
        return;
    if (span_is_ci(r->method, "dmarc")) {
        g->proof->dmarc_pass = true;
        g->proof->dmarc_domain = domain_of(r->from, g->arena);
    } else if (span_is_ci(r->method, "spf")) {
        struct span domain = domain_of(r->mailfrom.n > 0 ? r->mailfrom : r->helo, g->arena);

        if (domain.n > 0)
            g->proof->spf_domain = domain;
    } else if (span_is_ci(r->method, "dkim") && g->proof->ndkim < AUTHRES_DKIM_MAX) {
        struct span domain = domain_of(r->d.n > 0 ? r->d : r->i, g->arena);

        if (domain.n > 0)
            g->dkim[g->proof->ndkim++] = domain;
    }
}

/* One field's body. False when it is not from our authserv-id. */
static bool read_field(struct gathering *g, struct span body, struct span authserv_id)
{
    struct result r;

    if (!span_eq_ci(take_word(&body), authserv_id))
        return false;
    while (body.n > 0 && !take_char(&body, ';')) /* a version */
        body = span_skip(skip_cfws(body), 1);
    while (body.n > 0) {
        take_result(&body, &r);
        gather(g, &r);
    }
    return true;
}

/* Was the nth Received line, counted from the top, written by a relay that we trust? It was, when the hop before it (the stated
 * client, or the client of the line above) is one. Nobody else's line is believed, whatever it says: a sender can write any. */
static bool received_trusted(const struct origin_trust *t, struct message *m, size_t nth, bool has_stated, const struct ip *stated)
{
    struct span text;
    struct ip   ip;

    if (nth == 0)
        return has_stated && is_relay(t, stated);
    return message_received_ip(m, nth - 1, &text) && ip_parse(text, false, &ip) && is_relay(t, &ip);
}

size_t origin_authres(const struct origin_trust *t, struct message *m, bool has_stated, const struct ip *stated, struct arena *a,
                      struct proof *proof)
{
    bool             limit;
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
            if (received >= RECEIVED_MAX || !received_trusted(t, m, received++, has_stated, stated))
                break;
        } else if (span_is_ci(h->name, "Authentication-Results")) {
            fields += read_field(&g, span_head(h->body, MESSAGE_HEADER_MAX), t->authserv_id);
        }
    }
    return fields;
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

/* Up to the next comma outside quotes and angle brackets. */
static struct span take_address(struct span *list)
{
    bool   quoted = false;
    size_t i = 0;

    for (; i < list->n && (quoted || list->p[i] != ','); i++) {
        if (list->p[i] == '\\' && quoted)
            i++;
        else if (list->p[i] == '"')
            quoted = !quoted;
    }
    struct span one = span_trim(span_head(*list, i));

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

int origin_envelope_lines(struct span raw, struct arena *a, struct envelope_lines *out, struct span *rest_out)
{
    struct span rest = raw, line, body;

    *out = (struct envelope_lines){0};
    if (span_starts(rest, SPAN("From ")))
        span_line(&rest, &line);
    for (;;) {
        if (take_field(&rest, SPAN("X-Envelope-From:"), &body)) {
            out->has_from = true;
            out->from = body;
        } else if (!take_field(&rest, SPAN("X-Envelope-To:"), &body)) {
            break;
        } else if (put_recipients(out, body, a) < 0) {
            return -1;
        }
    }
    *rest_out = rest;
    return 0;
}
