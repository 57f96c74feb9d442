/* Entries of every kind: read, or refused with a place; then matched with a text, under the limits of the real thing. Whatever
 * matches holds its literal. An input is a byte for kind and options, the entry, a line end, and the text.
 * Aims at lib/rules/entry.c, lib/rules/regex.c and lib/rules/wildcard.c. */
#include "base/utf8.h"
#include "mail/domain.h"
#include "mail/text.h"
#include "rules/entry.h"
#include "rules/regex.h"
#include "rules/wildcard.h"

#include "rules.h"

static void try_regex(struct span source, unsigned flags, struct span text, struct arena *a)
{
    struct regex_budget scope = {.left_us = REGEX_SCOPE_US}, message = {.left_us = REGEX_MESSAGE_US};
    struct regex       *r = regex_array(1);
    enum regex_outcome  out;
    struct err          e = ERR_INIT;
    struct buf          literal;
    bool                good = regex_check(source, flags, &e) == 0;

    buf_init(&literal, REGEX_SOURCE_MAX);
    REQUIRE(good || (e.at <= source.n && e.text[0] != '\0'));
    regex_init(r, source, flags);
    out = regex_match(r, text, &scope, &message);
    REQUIRE(good || out == REGEX_LIMIT);
    if (regex_literal(source, flags, &literal) && out == REGEX_YES) {
        if (flags & REGEX_CASELESS)
            text = text_fold(text, a);
        REQUIRE(span_find(text, buf_span(&literal)) < text.n);
    }
    buf_fini(&literal);
    regex_array_free(&r, 1);
}

static void try_wildcard(struct span pattern, struct span text)
{
    struct buf literal;

    buf_init(&literal, 2 * WILDCARD_MAX);
    REQUIRE(wildcard_is(pattern) && wildcard_check(pattern, NULL) == 0);
    wildcard_literal(pattern, &literal);
    if (wildcard_match(pattern, text) && literal.n > 0)
        REQUIRE(span_find(text, buf_span(&literal)) < text.n);
    buf_fini(&literal);
}

static void try_entry(const struct condition *c, const struct entry *t, struct span text, struct arena *a)
{
    struct span again;

    switch (t->kind) {
    case ENTRY_REGEX: try_regex(t->text, entry_regex_flags(c), text, a); break;
    case ENTRY_WILDCARD: try_wildcard(t->text, text_fold(text, a)); break;
    case ENTRY_IP: REQUIRE(ip_block_holds(&t->ip, &t->ip.first) && ip_block_holds(&t->ip, &t->ip.last)); break;
    case ENTRY_DOMAIN:
    case ENTRY_DOMAIN_ALONE:
    case ENTRY_SUBDOMAINS: REQUIRE(domain_normalise(t->text, a, &again, NULL) == 0 && span_eq(again, t->text)); break;
    case ENTRY_TEXT:
        if (!c->case_sensitive)
            REQUIRE(span_eq(text_fold(t->text, a), t->text));
        break;
    case ENTRY_ADDRESS: REQUIRE(span_rchr(t->text, '@') < t->text.n); break;
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span      rest, written, value;
    struct condition c = {0};
    struct arena     a;
    struct entry     t;
    struct err       e = ERR_INIT;

    if (size < 2)
        return 0;
    c.kind = data[0] % COND_KINDS;
    c.match = data[0] / COND_KINDS % 5;
    c.case_sensitive = data[0] >= 50 && data[0] < 100;
    rest = span_make(data + 1, size - 1);
    span_next(&rest, '\n', &written);
    if (!utf8_valid(written))
        return 0;
    arena_init(&a, 64 << 20);
    rest = text_from_charset(span_head(rest, REGEX_BODY_MAX), SPAN("utf-8"), &a, NULL);
    if (entry_parse(&c, written, &a, &t, &e) == 0)
        try_entry(&c, &t, rest, &a);
    else
        REQUIRE(e.at <= written.n && e.text[0] != '\0');
    if (entry_attachment_value(written, data[0] & 1, &a, &value, &e) == 0 && wildcard_is(value))
        try_wildcard(value, text_fold(rest, &a));
    arena_fini(&a);
    return 0;
}
