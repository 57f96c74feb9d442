/* A wildcard matches exactly what trying everything finds, and whatever it matches holds its literal. An input is the pattern, a
 * line end, and the text.
 * Aims at lib/rules/wildcard.c. */
#include "rules/wildcard.h"

#include "base/utf8.h"
#include "rules.h"

#define SMALL 40
#define TEXT_MAX 4096

/* Does the pattern from byte p on match the text from byte t on? By definition, each question asked once. */
struct trial {
    struct span pattern, text;
    int8_t      known[SMALL + 1][SMALL + 1]; /* 0: not yet, 1: yes, -1: no */
};

static bool tries(struct trial *m, size_t p, size_t t);

static size_t character(struct span s, size_t at)
{
    utf8_next(s, &at, NULL);
    return at;
}

/* At a "[": every alternative, by reading ahead to the "]". */
static bool tries_alternatives(struct trial *m, struct wildcard_walk w, size_t t)
{
    struct wildcard_walk close = w;
    struct wildcard_item item;

    while (close.inside && wildcard_next(&close).kind != WILDCARD_END)
        ;
    while (w.inside) {
        size_t at = t;
        bool   same = true;

        while ((item = wildcard_next(&w)).kind == WILDCARD_LITERAL) {
            same = same && at < m->text.n &&
                   span_eq(span_between(m->text.p + at, m->text.p + character(m->text, at)), item.text);
            at = same ? character(m->text, at) : at;
        }
        if (same && tries(m, close.at, at))
            return true;
    }
    return false;
}

static bool tries_fresh(struct trial *m, size_t p, size_t t)
{
    struct wildcard_walk w = {.pattern = m->pattern, .at = p};
    struct wildcard_item item = wildcard_next(&w);
    size_t               next = t < m->text.n ? character(m->text, t) : t;

    switch (item.kind) {
    case WILDCARD_END: return t == m->text.n;
    case WILDCARD_RUN: return tries(m, w.at, t) || (next > t && tries(m, p, next));
    case WILDCARD_ONE: return next > t && tries(m, w.at, next);
    case WILDCARD_OPEN: return tries_alternatives(m, w, t);
    default:
        return next > t && span_eq(item.text, span_between(m->text.p + t, m->text.p + next)) && tries(m, w.at, next);
    }
}

static bool tries(struct trial *m, size_t p, size_t t)
{
    if (m->known[p][t] == 0)
        m->known[p][t] = tries_fresh(m, p, t) ? 1 : -1;
    return m->known[p][t] > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span  pattern, text = span_make(data, size);
    struct buf   b;
    struct trial m;
    bool         matches;

    if (!span_next(&text, '\n', &pattern))
        return 0;
    text = span_head(text.p != NULL ? text : SPAN(""), TEXT_MAX);
    buf_init(&b, 1 << 16);
    matches = wildcard_match(pattern, text);
    wildcard_literal(pattern, &b);
    REQUIRE(b.n <= pattern.n);
    if (wildcard_check(pattern, NULL) == 0) {
        REQUIRE(!matches || b.n == 0 || span_find(text, buf_span(&b)) < text.n);
        if (pattern.n <= SMALL && text.n <= SMALL) {
            memset(&m, 0, sizeof m);
            m.pattern = pattern;
            m.text = text;
            REQUIRE(tries(&m, 0, 0) == matches);
        }
        if (!wildcard_is(pattern)) {
            buf_clear(&b);
            wildcard_unescape(pattern, &b);
            REQUIRE(matches == span_eq(buf_span(&b), text));
        }
    }
    buf_fini(&b);
    return 0;
}
