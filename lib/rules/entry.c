/* lib/rules/entry.c - see entry.h. Each kind of condition has its reader; the table at the end picks it. */
#include "rules/entry.h"

#include "base/utf8.h"
#include "mail/address.h"
#include "mail/text.h"
#include "rules/regex.h"
#include "rules/wildcard.h"

static int no_memory(struct err *e) { return err_set(e, ERR_LIMIT, "no memory left for an entry"); }

/* Moves the place of an error that was found in a part of the entry. Returns -1. The place in an A-label form can lie behind
 * the end of what was written: entry_parse() sees to that. */
static int behind(struct err *e, size_t before)
{
    if (e != NULL)
        e->at += before;
    return -1;
}

static int fold(struct span text, struct arena *a, struct span *out, struct err *e)
{
    *out = text_fold(text, a);
    return text.n > 0 && out->p == NULL ? no_memory(e) : 0;
}

static int unescape(struct span text, struct arena *a, struct span *out, struct err *e)
{
    struct buf b;

    *out = text;
    if (text.n == 0 || memchr(text.p, '\\', text.n) == NULL)
        return 0;
    buf_init(&b, text.n);
    wildcard_unescape(text, &b);
    *out = arena_dup(a, buf_span(&b));
    buf_fini(&b);
    return out->p == NULL ? no_memory(e) : 0;
}

/* ---- Domains ---- */

static bool is_literal(struct span domain)
{
    struct ip ip;

    return domain.n > 2 && domain.p[0] == '[' && domain.p[domain.n - 1] == ']' && ip_parse(domain, false, &ip);
}

static bool has_wildcard(struct span domain) { return !is_literal(domain) && wildcard_is(domain); }

static int plain_domain(struct span d, struct arena *a, struct span *out, struct err *e)
{
    if (d.n > 0 && d.p[0] == '.')
        return err_at(e, 0, "a domain does not start with a dot - write \"*%.*s\" for all below it", SPAN_ARG(d));
    if (unescape(d, a, &d, e) < 0)
        return -1;
    return domain_normalise(d, a, out, e);
}

/* The end of the label that starts at `from`: dots inside of [ ] do not count. */
static size_t label_end(struct span d, size_t from)
{
    struct wildcard_walk w = {.pattern = d, .at = from};
    struct wildcard_item item;

    while ((item = wildcard_next(&w)).kind != WILDCARD_END) {
        if (!w.inside && item.kind == WILDCARD_LITERAL && span_is(item.text, "."))
            return item.at;
    }
    return d.n;
}

/* A domain with wildcards: lower case; labels beyond ASCII become A-labels, which those with wildcards cannot. */
static int wild_domain(struct span d, struct arena *a, struct buf *out, struct err *e)
{
    for (size_t from = 0, end; from <= d.n; from = end + 1) {
        struct span label;

        end = label_end(d, from);
        label = span_make(d.p + from, end - from);
        if (from > 0)
            buf_putc(out, '.');
        for (size_t i = 0; i < label.n; i++) {
            if ((uint8_t)label.p[i] < 0x80)
                continue;
            if (wildcard_is(label))
                return err_at(e, from + i,
                              "wildcards and letters beyond ASCII cannot stand in one label - write the "
                              "label's A-label form (\"xn--…\")");
            if (plain_domain(label, a, &label, e) < 0)
                return behind(e, from);
            break;
        }
        for (size_t i = 0; i < label.n; i++)
            buf_putc(out, label.p[i] >= 'A' && label.p[i] <= 'Z' ? (char)(label.p[i] | 0x20) : label.p[i]);
    }
    return 0;
}

/* ---- Senders and recipients ---- */

static int regex_entry(struct span written, struct entry *out, struct err *e)
{
    if (written.n < 2 || written.p[written.n - 1] != '/')
        return err_at(e, 0, "unclosed \"/\" - a regular expression stands between two slashes");
    out->kind = ENTRY_REGEX;
    out->text = span_make(written.p + 1, written.n - 2);
    return out->text.n > 0 ? 0 : err_at(e, 1, "an empty regular expression matches everything");
}

/* The last "@" that is neither escaped nor in [ ]; w.n: none. *in_brackets: one is in there. */
static size_t at_sign(struct span w, bool *in_brackets)
{
    struct wildcard_walk walk = {.pattern = w};
    struct wildcard_item item;
    size_t               found = w.n;

    *in_brackets = false;
    if (memchr(w.p, '[', w.n) == NULL && memchr(w.p, '\\', w.n) == NULL)
        return span_rchr(w, '@');
    while ((item = wildcard_next(&walk)).kind != WILDCARD_END) {
        if (item.kind != WILDCARD_LITERAL || !span_is(item.text, "@") || item.at + 1 != walk.at)
            continue;
        if (walk.inside)
            *in_brackets = true;
        else
            found = item.at;
    }
    return found;
}

/* Domain empty: `local` is the pattern for a whole address. */
static int put_wildcard(struct span local, struct span domain, struct arena *a, struct entry *out, struct err *e)
{
    struct buf b;
    int        rc = 0;

    buf_init(&b, 2 * RULE_ENTRY_MAX + DOMAIN_MAX);
    out->kind = ENTRY_WILDCARD;
    if (fold(local, a, &local, e) < 0)
        rc = -1;
    buf_put(&b, local);
    if (rc == 0 && domain.n > 0) {
        buf_putc(&b, '@');
        rc = wild_domain(domain, a, &b, e);
    }
    if (rc == 0 && b.n > WILDCARD_MAX)
        rc = err_at(e, 0, "%zu bytes are too long for a wildcard, at most %d", b.n, WILDCARD_MAX);
    if (rc == 0 && (out->text = arena_dup(a, buf_span(&b))).p == NULL)
        rc = no_memory(e);
    buf_fini(&b);
    return rc;
}

/* "*.domain", where the rest holds no wildcard. */
static bool below(struct span d) { return span_starts(d, SPAN("*.")) && d.n > 2 && !has_wildcard(span_skip(d, 2)); }

static int domain_entry(struct span w, bool at_in_brackets, struct arena *a, struct entry *out, struct err *e)
{
    if (below(w)) {
        out->kind = ENTRY_SUBDOMAINS;
        return plain_domain(span_skip(w, 2), a, &out->text, e) < 0 ? behind(e, 2) : 0;
    }
    if (!has_wildcard(w)) {
        out->kind = ENTRY_DOMAIN;
        return plain_domain(w, a, &out->text, e);
    }
    if (memchr(w.p, '*', w.n) == NULL && !at_in_brackets)
        return put_wildcard(SPAN("*"), w, a, out, e);
    return put_wildcard(w, SPAN_NONE, a, out, e);
}

/* Lower-case ASCII of the usual kind is its own normal form. */
static bool is_plain_local(struct span local)
{
    for (size_t i = 0; i < local.n; i++) {
        char c = local.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == '=' ||
              (c == '.' && i > 0 && i + 1 < local.n && local.p[i - 1] != '.')))
            return false;
    }
    return local.n > 0;
}

static int full_address(struct span w, size_t at, struct arena *a, struct entry *out, struct err *e)
{
    struct span    domain = span_skip(w, at + 1), normal;
    struct address address;

    out->kind = ENTRY_ADDRESS;
    if (is_plain_local(span_head(w, at))) {
        if (domain_normalise(domain, a, &normal, e) < 0)
            return behind(e, at + 1);
        if (normal.p == domain.p && normal.n == domain.n) {
            out->text = w;
            return 0;
        }
    }
    if (memchr(w.p, '"', at) == NULL && unescape(w, a, &w, e) < 0)
        return -1;
    if (address_parse_path(w, a, &address, e) < 0)
        return -1;
    out->text = address.full;
    return address.full.n > 0 ? 0 : err_at(e, 0, "no address");
}

static int address_entry(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e)
{
    bool        in_brackets;
    struct span local, domain;
    size_t      at;

    if (span_is(w, "<>") && c->kind == COND_SENDER) {
        out->kind = ENTRY_NULL_SENDER;
        return 0;
    }
    if (span_is(w, "<>"))
        return err_at(e, 0, "\"<>\" is the null sender, and no recipient");
    if (w.p[0] == '/')
        return regex_entry(w, out, e);
    at = at_sign(w, &in_brackets);
    local = span_head(w, at);
    domain = span_skip(w, at + 1);
    if (!is_literal(at < w.n ? domain : w) && wildcard_check(w, e) < 0)
        return -1;
    if (at == w.n)
        return domain_entry(w, in_brackets, a, out, e);
    if (local.n == 0)
        return err_at(e, 0, "nobody stands before the \"@\" - write \"*%.*s\" for everyone there", SPAN_ARG(w));
    if (domain.n == 0)
        return err_at(e, at, "no domain stands behind the \"@\" - write \"%.*s@*\" for all of them", SPAN_ARG(local));
    if (span_is(local, "*") && (below(domain) || !has_wildcard(domain))) {
        size_t skip = below(domain) ? 2 : 0;

        out->kind = skip > 0 ? ENTRY_SUBDOMAINS : ENTRY_DOMAIN_ALONE;
        return plain_domain(span_skip(domain, skip), a, &out->text, e) < 0 ? behind(e, at + 1 + skip) : 0;
    }
    if (wildcard_is(local) && is_literal(domain))
        return err_at(e, 0, "wildcards cannot stand before an address literal - write the whole address, or \"*@%.*s\"",
                      SPAN_ARG(span_head(domain, 100)));
    if (wildcard_is(local) || has_wildcard(domain))
        return put_wildcard(local, domain, a, out, e) < 0 ? behind(e, at + 1) : 0;
    return full_address(w, at, a, out, e);
}

/* ---- The other kinds ---- */

static int text_entry(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e)
{
    if (c->match == MATCH_REGEX) {
        out->kind = ENTRY_REGEX;
        out->text = w;
        return w.n > 0 ? 0 : err_at(e, 0, "an empty regular expression matches everything");
    }
    out->kind = ENTRY_TEXT;
    out->text = c->match == MATCH_EXACT ? span_trim(w) : w;
    if (out->text.n == 0 && c->match != MATCH_EXACT)
        return err_at(e, 0, "an empty text stands in every text - write what to look for");
    return c->case_sensitive ? 0 : fold(out->text, a, &out->text, e);
}

static int ip_entry(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e)
{
    (void)c;
    (void)a;
    out->kind = ENTRY_IP;
    out->text = w;
    return ip_block_parse(w, &out->ip, e);
}

static int host_entry(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e)
{
    struct ip_block block;
    struct buf      b;
    int             rc;

    (void)c;
    if (ip_block_parse(w, &block, NULL) == 0)
        return err_at(e, 0, "an IP address is no host name - write it into a condition of the kind \"ip\"");
    if (memchr(w.p, '@', w.n) != NULL)
        return err_at(e, span_chr(w, '@'),
                      "a host name holds no \"@\" - write it into a condition of the kind \"sender\"");
    if (wildcard_check(w, e) < 0)
        return -1;
    if (below(w)) {
        out->kind = ENTRY_SUBDOMAINS;
        return plain_domain(span_skip(w, 2), a, &out->text, e) < 0 ? behind(e, 2) : 0;
    }
    if (!wildcard_is(w)) {
        out->kind = ENTRY_DOMAIN_ALONE;
        return plain_domain(w, a, &out->text, e);
    }
    out->kind = ENTRY_WILDCARD;
    buf_init(&b, RULE_ENTRY_MAX + DOMAIN_MAX);
    rc = wild_domain(w, a, &b, e);
    if (rc == 0 && (out->text = arena_dup(a, buf_span(&b))).p == NULL)
        rc = no_memory(e);
    buf_fini(&b);
    return rc;
}

static int signer_entry(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e)
{
    (void)c;
    if (wildcard_is(w))
        return err_at(e, 0, "no wildcards here - write a domain; its subdomains are meant too");
    if (memchr(w.p, '@', w.n) != NULL)
        return err_at(e, span_chr(w, '@'), "a signature names a domain, no address - write \"%.*s\"",
                      SPAN_ARG(span_skip(w, span_rchr(w, '@') + 1)));
    out->kind = ENTRY_DOMAIN;
    return plain_domain(w, a, &out->text, e);
}

static int no_entry(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e)
{
    (void)w;
    (void)a;
    (void)out;
    return err_at(e, 0, "a %s condition has no texts as entries", condition_kind_word(c->kind));
}

static const struct {
    int (*read)(const struct condition *c, struct span w, struct arena *a, struct entry *out, struct err *e);
    bool trim; /* blanks around an entry mean nothing, and nothing is left of an empty one */
} readers[COND_KINDS] = {
    [COND_SENDER] = {address_entry, true}, [COND_RECIPIENT] = {address_entry, true},
    [COND_SUBJECT] = {text_entry, false},  [COND_BODY] = {text_entry, false},
    [COND_HEADER] = {text_entry, false},   [COND_IP] = {ip_entry, true},
    [COND_HOST] = {host_entry, true},      [COND_SIZE] = {no_entry, false},
    [COND_ATTACHMENT] = {no_entry, false}, [COND_SIGNED_BY] = {signer_entry, true},
};

int entry_parse(const struct condition *c, struct span written, struct arena *a, struct entry *out, struct err *e)
{
    struct span w = readers[c->kind].trim ? span_trim(written) : written;

    *out = (struct entry){.written = written};
    if (written.n > RULE_ENTRY_MAX)
        return err_at(e, RULE_ENTRY_MAX, "an entry of %zu bytes, at most %d", written.n, RULE_ENTRY_MAX);
    if (w.n == 0 && readers[c->kind].trim)
        return err_at(e, 0, "an empty entry");
    if (readers[c->kind].read(c, w, a, out, e) == 0)
        return 0;
    behind(e, w.n > 0 ? (size_t)(w.p - written.p) : 0);
    if (e != NULL && e->at > written.n)
        e->at = written.n;
    return -1;
}

int entry_attachment_value(struct span written, bool dot, struct arena *a, struct span *out, struct err *e)
{
    struct span w = span_trim(written);

    if (w.n > RULE_ENTRY_MAX)
        return err_at(e, RULE_ENTRY_MAX, "an entry of %zu bytes, at most %d", w.n, RULE_ENTRY_MAX);
    if (dot && w.n > 1 && w.p[0] == '.')
        w = span_skip(w, 1);
    if (w.n == 0)
        return err_at(e, 0, "an empty entry");
    if (wildcard_check(w, e) < 0)
        return behind(e, (size_t)(w.p - written.p));
    return fold(w, a, out, e);
}

unsigned entry_regex_flags(const struct condition *c)
{
    bool text = c->kind == COND_SUBJECT || c->kind == COND_BODY || c->kind == COND_HEADER;

    return (text && c->case_sensitive ? 0 : REGEX_CASELESS) | (c->kind == COND_BODY ? REGEX_MULTILINE : 0);
}
