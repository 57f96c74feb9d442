/* portal/export.c - a search as CSV, page by page at the client's speed.
 *
 * UTF-8 with a byte order mark; cells as csv.h makes them. At most EXPORT_ROWS rows, the newest first. Who is shut out meanwhile gets no
 * further page (lasting.h). */
#include <stdio.h>
#include <stdlib.h>

#include "csv.h"
#include "lasting.h"
#include "mail.h"
#include "route.h"
#include "store/audit.h"

#define EXPORT_ROWS 100000
#define EXPORT_PAGE 500

/* From the first byte of the reply to its last; made by the call, and gone with the connection. */
struct csv {
    struct mail_scopes where;
    char               q[MAIL_QUERY_MAX + 1];
    size_t             q_bytes, rows;
    int64_t            until_us; /* what comes meanwhile is no part of it */
    struct store_key   before;
    bool               begun;
    struct lasting     who;
};

static void put_line(struct buf *b, const struct store_row *r)
{
    char uid[UUID_TEXT + 1], text[80];

    uuid_format(&r->key.uid, uid);
    csv_time(b, r->at_us);
    csv_cell(b, span_of(delivery_status_words[r->status]));
    csv_cell(b, span_of(direction_words[r->direction]));
    csv_cell(b, r->from_address);
    csv_cell(b, r->from_name);
    csv_cell(b, r->sender);
    csv_cell(b, r->recipient);
    csv_cell(b, r->subject);
    buf_printf(b, ",%lld,", (long long)r->size);
    if (r->has_score)
        buf_printf(b, "%.2f", r->score); /* a number, also below zero */
    snprintf(text, sizeof text, "%s/%lld", uid, (long long)r->key.n);
    csv_cell(b, span_of(text));
    csv_cell(b, r->answer);
    csv_row_end(b);
}

/* ---- pages ---- */

static int put_page(struct csv *x, struct worker *w, struct buf *chunk, struct err *e)
{
    struct call       c = {.portal = w->portal, .worker = w, .store = w->store, .arena = &w->arena};
    struct mail_query what;
    struct mail_page  page;

    if (mail_query_read(span_make(x->q, x->q_bytes), c.arena, &what, e) < 0)
        return -1;
    if (what.until_us == 0 || what.until_us > x->until_us)
        what.until_us = x->until_us;
    if (mail_search(&c, &x->where, &what, x->begun ? &x->before : NULL, EXPORT_PAGE, &page, e) < 0)
        return -1;
    if (!x->begun)
        buf_puts(chunk, "\xef\xbb\xbf"
                        "time,status,direction,from,from_name,sender,to,subject,size,score,id,answer\r\n");
    x->begun = true;
    for (size_t i = 0; i < page.n && x->rows < EXPORT_ROWS; i++, x->rows++)
        put_line(chunk, &page.rows[i]);
    x->before = page.next;
    return page.more && x->rows < EXPORT_ROWS;
}

static int more(void *ctx, void *worker, struct buf *chunk)
{
    struct csv    *x = ctx;
    struct worker *w = worker;
    struct err     e = ERR_INIT;
    int            rc = lasting_check(&x->who, w->store, &e) < 0 ? -1 : put_page(x, w, chunk, &e);

    arena_reset(&w->arena);
    return rc < 0 ? lasting_cut(&x->who, &e) : rc;
}

static void more_end(void *ctx) { free(ctx); }

/* ---- the calls ---- */

struct export_query {
    uint64_t    given;
    struct span q;
};
static const struct field export_fields[] = {
    {"q", FIELD_TEXT, 0, 0, MAIL_QUERY_MAX, NULL, offsetof(struct export_query, q), "As for the list."}, FIELDS_END};

static int note(struct call *c, const struct mail_scopes *where, struct span q, struct err *e)
{
    struct buf payload;
    int        rc = 0;

    buf_init(&payload, 8 * MAIL_QUERY_MAX);
    json_open(&payload, NULL, '{');
    json_add_str(&payload, "what", "mail");
    json_add_text(&payload, "q", q.p != NULL ? q : SPAN(""));
    json_close(&payload, '}');
    for (size_t i = 0; i < where->n && rc == 0; i++)
        rc = store_audit_note(c->store, &c->actor, "export.start", scope_kind_words[where->scopes[i].kind],
                              where->scopes[i].kind == SCOPE_GLOBAL ? NULL : &where->scopes[i].id, where->scopes[i],
                              buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

static int start(struct call *c, const struct mail_scopes *where, struct err *e)
{
    const struct export_query *in = c->query;
    struct mail_query          what;
    struct csv                *x;

    c->member = "q";
    if (mail_query_read(in->q, c->arena, &what, e) < 0)
        return -1;
    c->member = NULL;
    if (note(c, where, in->q, e) < 0)
        return -1;
    if ((x = calloc(1, sizeof *x)) == NULL)
        panic("out of memory");
    x->where = *where;
    x->who = lasting_of(c);
    x->until_us = c->now_us;
    x->q_bytes = in->q.n;
    if (in->q.n > 0)
        memcpy(x->q, in->q.p, in->q.n);
    c->reply->status = 200;
    httpd_set(c->reply, "Content-Type", SPAN("text/csv; charset=utf-8"));
    httpd_set(c->reply, "Content-Disposition", SPAN("attachment; filename=\"mail.csv\""));
    c->reply->more = more;
    c->reply->more_end = more_end;
    c->reply->more_ctx = x;
    return 0;
}

static int export_mine(struct call *c, struct err *e)
{
    struct mail_scopes where;

    return mail_scopes_of_person(c, &where, e) < 0 ? -1 : start(c, &where, e);
}

static int export_scope(struct call *c, struct err *e)
{
    struct mail_scopes where = {.scopes = {c->scope}, .n = 1};

    return start(c, &where, e);
}

static const struct route rows[] = {
    {HTTPD_GET, "/me/mail.csv", DEED_EXPORT, OBJECT_NONE, 0, export_mine, export_fields, NULL,
     sizeof(struct export_query), 0, "A search in all mailboxes of who is signed in, as CSV: up to 100,000 rows.",
     "text/csv"},
    {HTTPD_GET, "/scopes/{scope}/mail.csv", DEED_EXPORT, OBJECT_SCOPE, 0, export_scope, export_fields, NULL,
     sizeof(struct export_query), 0, "A search in a mailbox, a domain, or everywhere, as CSV: up to 100,000 rows.",
     "text/csv"},
};

const struct route_family export_family = {"Mail", rows, COUNT(rows), NULL};
