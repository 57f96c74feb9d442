/* lib/custody/known.c - see known.h. */
#include "custody/known.h"

#include <stdio.h>

#include "base/json_write.h"
#include "base/utf8.h"
#include "scan/learnable.h"

#define NAMES_MAX ((size_t)2000)
#define NAME_SHOWN ((size_t)60)

/* A symbol stands there once, however many scans found it. */
static bool is_named(struct span names, struct span name)
{
    struct span one;

    while (span_next(&names, ',', &one))
        if (span_eq(span_trim(one), name))
            return true;
    return false;
}

static void put_names(struct buf *b, const struct rspamd_reply *r, bool spamd, const struct conf_list *more)
{
    for (size_t i = 0; i < r->nsymbols; i++) {
        struct span name = span_head(r->symbols[i].name, NAME_SHOWN);

        if (!findings_protected(r->symbols[i].name, spamd, more) || is_named(buf_span(b), name) ||
            b->n + NAME_SHOWN * UTF8_SAFE_MAX + 2 > NAMES_MAX)
            continue;
        buf_puts(b, b->n > 0 ? ", " : "");
        utf8_put_escaped(b, name, 0);
    }
}

void known_read(struct span symbols, const struct store_release *row, bool spamd, const struct conf_list *more,
                struct arena *a, struct known *out)
{
    const struct span lists[] = {symbols, span_of(row != NULL ? row->found : "")};
    struct buf        names;

    *out = (struct known){.gravest = FINDING_NONE};
    buf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct scanner_answer answer = {0};
        enum finding_kind     gravest;

        learnable_read_symbols(lists[i], a, &answer);
        lift_add(&out->lift, answer.reply.symbols, answer.reply.nsymbols, spamd, more);
        put_names(&names, &answer.reply, spamd, more);
        gravest = findings_gravest(answer.reply.symbols, answer.reply.nsymbols, spamd, more);
        out->gravest = gravest > out->gravest ? gravest : out->gravest;
    }
    out->names = arena_dup(a, buf_span(&names));
    buf_fini(&names);
}

static void put_symbol(struct buf *b, const struct rspamd_symbol *s)
{
    json_open(b, NULL, '{');
    json_add_text(b, "name", s->name);
    json_open(b, "options", '[');
    for (size_t k = 0; k < s->noptions; k++)
        json_add_text(b, NULL, s->options[k]);
    json_close(b, ']');
    json_close(b, '}');
}

void known_keep(const struct scanner_answer *answer, const struct conf_list *more, struct store_release *row)
{
    size_t     n = (size_t)snprintf(row->found, sizeof row->found, "[");
    struct buf one;

    buf_init(&one, sizeof row->found);
    for (size_t i = 0; i < answer->reply.nsymbols; i++) {
        if (!findings_protected(answer->reply.symbols[i].name, answer->spamd, more))
            continue;
        buf_clear(&one);
        put_symbol(&one, &answer->reply.symbols[i]);
        if (!one.failed && n + one.n + sizeof ",]" <= sizeof row->found)
            n += (size_t)snprintf(row->found + n, sizeof row->found - n, "%s%s", n > 1 ? "," : "", one.p);
    }
    snprintf(row->found + n, sizeof row->found - n, "]");
    buf_fini(&one);
}
