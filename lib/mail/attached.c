/* lib/mail/attached.c - see attached.h. */
#include "mail/attached.h"

#include "mail/leaf.h"

/* Does it begin as messages do? What was not declared as one has to have an author, and something else that mail has. */
static bool is_message(struct span bytes, bool declared)
{
    static const char *const usual[] = {"Date", "Received", "Message-ID", "Subject", "To", "Return-Path"};
    struct header            h;
    bool                     from = false, more = false;
    size_t                   n = 0;

    if (span_starts(bytes, SPAN("From "))) /* of an mbox */
        bytes = span_skip(bytes, span_chr(bytes, '\n') + 1);
    for (; n < MESSAGE_HEADERS_MAX && header_next(&bytes, &h); n++) {
        from = from || span_is_ci(h.name, "From");
        for (size_t i = 0; i < COUNT(usual); i++)
            more = more || span_is_ci(h.name, usual[i]);
    }
    return declared ? n > 0 : from && more;
}

static bool is_candidate(const struct message_part *p)
{
    size_t n = p->filename.n;

    return p->kind == LEAF_MESSAGE || span_is(p->type, "application/octet-stream") ||
           (n > 4 && span_is_ci(span_skip(p->filename, n - 4), ".eml"));
}

/* Empty: it is no message. */
static struct span read_part(const struct message_part *p, struct arena *a)
{
    bool        clean, cut;
    struct span bytes = leaf_decode(p->raw, p->encoding, p->raw.n + 1, a, &clean, &cut);

    return clean && !cut && is_message(bytes, p->kind == LEAF_MESSAGE) ? bytes : SPAN_NONE;
}

int attached_messages(struct message *m, struct arena *a, struct span out[ATTACHED_MAX], struct err *e)
{
    bool        limit;
    size_t      nparts = message_parts(m, &limit), n = 0;
    const char *inside = NULL; /* up to here lies what an attached message holds itself */

    for (size_t i = 0; i < nparts && !limit; i++) {
        const struct message_part *p = message_part_at(m, i);
        struct span                bytes;

        if (inside != NULL && p->raw.p < inside)
            continue;
        if (p->kind == LEAF_MESSAGE)
            inside = p->raw.p + p->raw.n;
        if (!is_candidate(p) || (bytes = read_part(p, a)).n == 0)
            continue;
        if (n == ATTACHED_MAX)
            return err_set(e, ERR_LIMIT, "more than %d messages are attached", ATTACHED_MAX);
        out[n++] = bytes;
    }
    if (limit || a->full)
        return err_set(e, ERR_LIMIT, "its structure is too much: a limit of %s was reached",
                       message_limit(m) != NULL ? message_limit(m) : "memory");
    return (int)n;
}
