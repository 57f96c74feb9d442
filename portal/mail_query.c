/* portal/mail_query.c - see mail_query.h. */
#include "mail_query.h"

#include "base/utf8.h"

#define DAY_US (INT64_C(86400) * 1000000)

/* ---- tokens ---- */

struct token {
    struct span name;  /* without its colon; empty: there was none */
    struct span value; /* without its quotes */
    bool        without;
    size_t      at;
};

static bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; }

/* Up to the next blank, or, quoted, to the next quote; a quote that nobody closes goes to the end. */
static struct span take_value(struct span text, size_t *at)
{
    size_t start = *at, end;

    if (start < text.n && text.p[start] == '"') {
        end = start + 1 + span_chr(span_skip(text, start + 1), '"');
        *at = end < text.n ? end + 1 : text.n;
        return span_make(text.p + start + 1, end - start - 1);
    }
    for (end = start; end < text.n && text.p[end] != ' ' && text.p[end] != '\t' && text.p[end] != '\n'; end++)
        ;
    *at = end;
    return span_make(text.p + start, end - start);
}

static bool next_token(struct span text, size_t *at, struct token *out)
{
    size_t i;

    while (*at < text.n && (text.p[*at] == ' ' || text.p[*at] == '\t' || text.p[*at] == '\n'))
        (*at)++;
    if (*at == text.n)
        return false;
    *out = (struct token){.at = *at};
    out->without = text.p[*at] == '-' && *at + 1 < text.n && text.p[*at + 1] != ' ';
    *at += out->without;
    for (i = *at; i < text.n && is_name_char(text.p[i]); i++)
        ;
    if (i > *at && i < text.n && text.p[i] == ':') {
        out->name = span_make(text.p + *at, i - *at);
        *at = i + 1;
    }
    out->value = take_value(text, at);
    return true;
}

/* ---- what each name takes ---- */

static int bad(const struct token *t, struct err *e, const char *wanted)
{
    return err_at(e, t->at, "%.*s: %s", SPAN_ARG(t->name), wanted);
}

static int add_words(struct mail_query *q, const struct token *t, enum search_field field, struct err *e)
{
    if (q->nwords == COUNT(q->words))
        return err_at(e, t->at, "A search has at most %d texts; put some together in quotes.", STORE_WORDS_MAX);
    if (t->value.n > 0)
        q->words[q->nwords++] = (struct store_words){field, t->value, t->without};
    return 0;
}

static int add_without(struct mail_query *q, const struct token *t, const struct mail_without *one, struct err *e)
{
    if (q->nwithout == COUNT(q->without))
        return err_at(e, t->at, "A search excludes at most %d ids and domains.", STORE_WITHOUT_MAX);
    q->without[q->nwithout++] = *one;
    return 0;
}

/* One or several of some words, commas between, into the bits of those that were wanted before. */
static int take_bits(unsigned *wanted, const struct token *t, const char *const *words, const char *which,
                     const char *none, struct err *e)
{
    struct span rest = t->value, word;
    unsigned    bits = 0, all = 0;

    for (int i = 0; words[i] != NULL; i++)
        all |= 1u << i;
    while (span_next(&rest, ',', &word)) {
        int i = 0;

        while (words[i] != NULL && !span_is_ci(word, words[i]))
            i++;
        if (words[i] == NULL)
            return bad(t, e, which);
        bits |= 1u << i;
    }
    bits = t->without ? all & ~bits : bits;
    *wanted = *wanted == 0 ? bits : *wanted & bits;
    return *wanted != 0 ? 0 : bad(t, e, none);
}

static int take_status(struct mail_query *q, const struct token *t, struct err *e)
{
    return take_bits(&q->statuses, t, delivery_status_words,
                     "received, queued, delivered, spam, quarantined, blocked or rejected",
                     "together these leave no status to look for", e);
}

static int take_is(struct mail_query *q, const struct token *t, struct err *e)
{
    struct token held = *t;

    if (!span_is_ci(t->value, "held"))
        return bad(t, e, "held is all that there is");
    q->held = true;
    held.value = span_of(delivery_status_words[STATUS_QUARANTINED]);
    return take_status(q, &held, e);
}

static int take_uid(struct mail_query *q, const struct token *t, struct err *e)
{
    struct mail_without one = {.is.of = SEARCH_UID};

    if (!uuid_parse(t->value, &one.is.id))
        return bad(t, e, "is an id of 36 characters");
    if (t->without)
        return add_without(q, t, &one, e);
    q->has_uid = true;
    q->uid = one.is.id;
    return 0;
}

static int take_rule(struct mail_query *q, const struct token *t, struct err *e)
{
    struct mail_without one = {.is.of = SEARCH_RULE};

    if (!uuid_parse(t->value, &one.is.id))
        return bad(t, e, "is a rule's id of 36 characters");
    if (t->without)
        return add_without(q, t, &one, e);
    q->has_rule = true;
    q->rule = one.is.id;
    return 0;
}

static int take_domain(struct mail_query *q, const struct token *t, struct err *e)
{
    if (t->value.n == 0 || t->value.n > STORE_DOMAIN_MAX)
        return bad(t, e, "is the name of a domain");
    if (t->without)
        return add_without(q, t, &(struct mail_without){.is.of = SEARCH_DOMAIN, .domain = t->value}, e);
    q->domain = t->value;
    return 0;
}

static int take_direction(struct mail_query *q, const struct token *t, struct err *e)
{
    return take_bits(&q->directions, t, direction_words, "inbound, outbound or local",
                     "together these leave no direction to look for", e);
}

static int take_after(struct mail_query *q, const struct token *t, struct err *e)
{
    return clock_parse_utc(t->value, &q->since_us) ? 0 : bad(t, e, "is a date like 2026-11-01");
}

static int take_before(struct mail_query *q, const struct token *t, struct err *e)
{
    return clock_parse_utc(t->value, &q->until_us) ? 0 : bad(t, e, "is a date like 2026-11-01");
}

/* Days of UTC: from so many behind today's to so many. */
static int take_date(struct mail_query *q, const struct token *t, struct err *e)
{
    static const struct {
        const char *word;
        int         from, to;
    } words[] = {{"today", 0, 1}, {"yesterday", -1, 0}, {"7d", -6, 1}, {"30d", -29, 1}};
    int64_t now_us = clock_wall_us(), today_us = now_us - now_us % DAY_US;

    for (size_t i = 0; i < COUNT(words); i++) {
        if (span_is_ci(t->value, words[i].word)) {
            q->since_us = today_us + words[i].from * DAY_US;
            q->until_us = today_us + words[i].to * DAY_US;
            return 0;
        }
    }
    return bad(t, e, "today, yesterday, 7d or 30d");
}

static const struct {
    const char *name;
    int         field; /* of words; -1: `take` */
    bool        negates;
    int (*take)(struct mail_query *q, const struct token *t, struct err *e);
} names[] = {
    {"from", SEARCH_FROM, true, NULL},
    {"to", SEARCH_TO, true, NULL},
    {"subject", SEARCH_SUBJECT, true, NULL},
    {"message-id", SEARCH_MESSAGE_ID, true, NULL},
    {"inbound", SEARCH_INBOUND, true, NULL},
    {"outbound", SEARCH_OUTBOUND, true, NULL},
    {"delivery", SEARCH_DELIVERY, true, NULL},
    {"status", -1, true, take_status},
    {"is", -1, false, take_is},
    {"uid", -1, true, take_uid},
    {"rule", -1, true, take_rule},
    {"domain", -1, true, take_domain},
    {"direction", -1, true, take_direction},
    {"date", -1, false, take_date},
    {"after", -1, false, take_after},
    {"before", -1, false, take_before},
};

/* "Re:" is a word of subjects, and so is what no filter is called. */
static struct span with_its_name(const struct token *t)
{
    return t->name.n > 0 ? span_between(t->name.p, t->value.p + t->value.n) : t->value;
}

static int take(struct mail_query *q, const struct token *t, struct err *e)
{
    struct token plain = *t;

    for (size_t i = 0; i < COUNT(names); i++) {
        if (!span_is_ci(t->name, names[i].name))
            continue;
        if (t->without && !names[i].negates)
            return bad(t, e, "cannot be excluded");
        return names[i].take != NULL ? names[i].take(q, t, e) : add_words(q, t, (enum search_field)names[i].field, e);
    }
    plain.value = with_its_name(t);
    return add_words(q, &plain, SEARCH_ANY, e);
}

int mail_query_read(struct span text, struct arena *a, struct mail_query *out, struct err *e)
{
    struct token t;
    size_t       at = 0;

    *out = (struct mail_query){0};
    text = arena_dup(a, text);
    if (text.n > MAIL_QUERY_MAX)
        return err_at(e, MAIL_QUERY_MAX, "A search has at most %d bytes.", MAIL_QUERY_MAX);
    if (!utf8_valid(text))
        return err_set(e, ERR_INVALID, "A search is UTF-8.");
    while (next_token(text, &at, &t))
        if (take(out, &t, e) < 0)
            return -1;
    if (out->since_us != 0 && out->until_us != 0 && out->since_us >= out->until_us)
        return err_set(e, ERR_INVALID, "after: has to be earlier than before:.");
    return 0;
}
