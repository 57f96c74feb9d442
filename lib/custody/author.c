/* lib/custody/author.c - see author.h. */
#include "custody/author.h"

#include <time.h>

#define ROWS_MAX 20 /* of one queue id or Message-ID */
#define ROW_ARENA_MAX ((size_t)64 << 20)
#define LOOK_AGAIN_MS 100
#define NAMED_MAX 100 /* addresses in To that are looked at */

const char *const author_sentences[AUTHOR_REASONS] = {
    [AUTHOR_NO_SENDER] = "it comes from <>",
    [AUTHOR_NONE] = "it has not one author that can be read",
    [AUTHOR_OURS] = "Postern sent it",
    [AUTHOR_AUTOMATIC] = "a program sent it",
    [AUTHOR_OTHER_SIGNED_IN] = "who was signed in is not its author",
    [AUTHOR_NOT_TO_US] = "it is proven, but was not written to an address of ours for that",
    [AUTHOR_UNPROVEN] = "nothing proves that its author sent it",
};

/* ---- rows of the log ---- */

struct uids {
    struct uuid list[ROWS_MAX];
    size_t      n;
};

static int each_uid(void *ctx, const struct uuid *uid)
{
    struct uids *u = ctx;

    u->list[u->n++] = *uid;
    return u->n == ROWS_MAX;
}

/* 1: it is there; 0, -1. All of its recipients may be many: `a` is for this row alone. */
static int get_row(const struct author *x, const struct uuid *uid, struct arena *a, struct store_timeline *out,
                   struct err *e)
{
    if (store_timeline(x->store, uid, STORE_SCOPE_GLOBAL, a, out, e) == 0)
        return 1;
    if (e->code != ERR_NOT_FOUND && e->code != ERR_LIMIT)
        return -1;
    *e = ERR_INIT;
    return 0;
}

int author_rows(const struct author *x, struct span handle, author_row_fn fn, void *ctx, struct err *e)
{
    struct uids           uids = {.n = 0};
    struct store_timeline row;
    struct arena          a;
    int                   rc = store_trace(x->store, handle, ROWS_MAX, each_uid, &uids, e);

    for (size_t i = 0; i < uids.n && rc >= 0; i++) {
        arena_init(&a, ROW_ARENA_MAX);
        if ((rc = get_row(x, &uids.list[i], &a, &row, e)) > 0)
            rc = fn(ctx, &uids.list[i], &row, e);
        arena_fini(&a);
        if (rc > 0)
            break;
    }
    return rc < 0 ? -1 : 0;
}

static struct span without_brackets(struct span id)
{
    return id.n >= 2 && id.p[0] == '<' && id.p[id.n - 1] == '>' ? span_skip(span_head(id, id.n - 1), 1) : id;
}

bool author_row_is(const struct store_message *m, struct span id, int64_t when_us)
{
    return m->at_us >= when_us - AUTHOR_NEAR_US && m->at_us <= when_us + AUTHOR_NEAR_US &&
           span_eq(without_brackets(m->message_id), id);
}

int author_signed_in(const struct author *x, const struct store_message *m, bool *known_out, struct err *e)
{
    const char           *domain = x->settings->rulesd.user_domain;
    struct span           user = m->auth_user;
    struct store_resolved who;
    struct address        address;

    *known_out = user.n > 0;
    if (user.n == 0)
        return 0;
    if (span_chr(user, '@') == user.n && domain[0] != '\0')
        user = arena_printf(x->arena, "%.*s@%s", SPAN_ARG(user), domain);
    if (address_parse_path(user, x->arena, &address, NULL) < 0 || address.full.n == 0)
        return 0;
    if (store_resolve(x->store, address.full, &who, e) < 0)
        return -1;
    if (who.has_account && x->who.has_account && uuid_eq(&who.account, &x->who.account))
        return 1;
    return who.ours && who.has_mailbox && x->who.has_mailbox && uuid_eq(&who.mailbox, &x->who.mailbox);
}

/* ---- proof ---- */

/* The lower wins where several rows could be the mail's. */
enum proven { PROVEN_OTHER, PROVEN_NOT, PROVEN_SIGNED_IN, PROVEN_BY_LOG, PROVEN_NO_ROW };

static struct report_site report_site_of(const struct author *x)
{
    return (struct report_site){&x->settings->rulesd.scanner, x->trust};
}

/* Did it go to an address of ours for such mail? 1, 0, -1. */
static int went_here(const struct author *x, const struct store_timeline *row, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < row->ndeliveries && rc == 0; i++)
        rc = x->is_for(x->ctx, row->deliveries[i].delivery.recipient, e);
    return rc;
}

static int prove_by_row(const struct author *x, const struct store_message *m, enum proven *out, struct err *e)
{
    const struct report_site site = report_site_of(x);
    struct proof             proof = {.can_prove = false};
    bool                     known;
    int                      rc = author_signed_in(x, m, &known, e);

    if (rc < 0)
        return -1;
    *out = rc > 0 ? PROVEN_SIGNED_IN : PROVEN_OTHER;
    if (known)
        return 0;
    report_prove_by_log(&site, m, x->arena, &proof);
    *out = proof_covers(&proof, x->from) ? PROVEN_BY_LOG : PROVEN_NOT;
    return 0;
}

struct proving {
    const struct author *x;
    enum proven          worst;
};

static int each_row(void *ctx, const struct uuid *uid, const struct store_timeline *row, struct err *e)
{
    struct proving *p = ctx;
    enum proven     one;
    int             rc;

    (void)uid;
    if (!author_row_is(&row->message, message_id(p->x->message), clock_wall_us()))
        return 0;
    if ((rc = went_here(p->x, row, e)) <= 0)
        return rc;
    if (prove_by_row(p->x, &row->message, &one, e) < 0)
        return -1;
    p->worst = one < p->worst ? one : p->worst;
    return 0;
}

/* The queue id in the topmost Received field: that of the MTA that hands the mail over. */
static struct span queue_id(struct message *m)
{
    size_t               at = 0;
    const struct header *h = message_header_next(m, SPAN("Received"), &at);
    struct span          rest = h != NULL ? span_head(h->body, 4096) : SPAN_NONE, word, before = SPAN_NONE;

    while (rest.n > 0) {
        size_t n = 0;

        while (n < rest.n && span_chr(SPAN(" \t\r\n;"), rest.p[n]) == 5)
            n++;
        word = span_head(rest, n);
        if (n > 0 && span_is_ci(before, "id"))
            return word;
        before = n > 0 ? word : before;
        rest = span_skip(rest, n > 0 ? n : 1);
    }
    return SPAN_NONE;
}

static int prove_by_log(const struct author *x, enum proven *out, struct err *e)
{
    struct span    handles[] = {queue_id(x->message), message_id(x->message)};
    struct proving p = {x, PROVEN_NO_ROW};

    for (size_t i = 0; i < COUNT(handles) && p.worst == PROVEN_NO_ROW; i++)
        if (handles[i].n > 0 && author_rows(x, handles[i], each_row, &p, e) < 0)
            return -1;
    *out = p.worst;
    return 0;
}

bool author_proven_by_fields(const struct author *x, struct span bytes, const struct address *from)
{
    const struct report_site site = report_site_of(x);
    struct proof             proof = {.can_prove = false};

    report_prove_by_fields(&site, bytes, x->arena, &proof);
    return proof_covers(&proof, from);
}

/* The log is written behind the scans. */
static int wait_for_row(const struct author *x, enum proven *out, struct err *e)
{
    const struct timespec rest = {0, LOOK_AGAIN_MS * 1000000};
    int64_t               until = clock_mono_us() + x->wait_us;

    for (;;) {
        if (prove_by_log(x, out, e) < 0)
            return -1;
        if (*out != PROVEN_NO_ROW || !x->settings->rulesd.message_log || clock_mono_us() >= until)
            return 0;
        nanosleep(&rest, NULL);
    }
}

/* Is it written to an address of ours for that? A signature stays good when somebody sends the message on, to whomever, and with a
 * field more: so it is To that counts, if it stands there once. 1, 0, -1. */
static int is_to_us(const struct author *x, struct err *e)
{
    size_t               at = 0;
    const struct header *h = message_header_next(x->message, SPAN("To"), &at);
    struct address_walk  w = {.arena = x->arena};
    struct address       to;
    int                  rc = 0;

    if (h == NULL || message_header_next(x->message, SPAN("To"), &at) != NULL)
        return 0;
    w.rest = span_head(h->body, MESSAGE_HEADER_MAX);
    for (size_t n = 0; n < NAMED_MAX && rc == 0 && address_next(&w, &to); n++)
        rc = x->is_for(x->ctx, to.full, e);
    return rc;
}

int author_prove(struct author *x, enum author_reason *why_out, struct err *e)
{
    bool        by_fields = author_proven_by_fields(x, message_raw(x->message), x->from);
    enum proven by_log = PROVEN_NO_ROW;
    int         to_us = is_to_us(x, e);

    *why_out = AUTHOR_FINE;
    if (to_us < 0 || (by_fields ? prove_by_log : wait_for_row)(x, &by_log, e) < 0)
        return -1;
    if (by_log == PROVEN_OTHER)
        *why_out = AUTHOR_OTHER_SIGNED_IN;
    else if (by_log == PROVEN_SIGNED_IN)
        x->proof = "signed in";
    else if (to_us == 0 && (by_log == PROVEN_BY_LOG || by_fields))
        *why_out = AUTHOR_NOT_TO_US;
    else if (by_log == PROVEN_BY_LOG || by_fields)
        x->proof = by_fields ? "authentication-results" : "log";
    else
        *why_out = AUTHOR_UNPROVEN;
    return 0;
}

/* ---- what it says of itself ---- */

bool author_has_field(struct message *m, struct span name)
{
    size_t at = 0;

    return message_header_next(m, name, &at) != NULL;
}

/* RFC 3834: all but "no" says that a program sent it. */
static bool is_automatic(struct message *m)
{
    size_t               at = 0;
    const struct header *h;

    while ((h = message_header_next(m, SPAN("Auto-Submitted"), &at)) != NULL) {
        struct span body = span_trim(h->body);

        if (!span_eq_ci(span_trim(span_head(body, span_chr(body, ';'))), SPAN("no")))
            return true;
    }
    return false;
}

bool author_is_postern(const struct author *x, const struct address *from)
{
    struct address_walk w = {.rest = span_of(x->settings->smtp.from), .arena = x->arena};
    struct address      ours;

    return address_next(&w, &ours) && span_eq(ours.full, from->full);
}

int author_read(struct author *x, struct span envelope, enum author_reason *why_out, struct err *e)
{
    size_t n;

    *why_out = AUTHOR_FINE;
    if (envelope.n == 0)
        *why_out = AUTHOR_NO_SENDER;
    else if (message_from(x->message, &x->from, &n) != FACT_YES || n != 1)
        *why_out = AUTHOR_NONE;
    if (*why_out != AUTHOR_FINE)
        return 0;
    if (store_resolve(x->store, x->from->full, &x->who, e) < 0)
        return -1;
    if (author_is_postern(x, x->from))
        *why_out = AUTHOR_OURS;
    else if (is_automatic(x->message))
        *why_out = AUTHOR_AUTOMATIC;
    return 0;
}
