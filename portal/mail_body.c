/* portal/mail_body.c - what a held message holds: its header, its text, its files. Who may look is decided, and written down, by
 * custody/body.h. */
#include <stdio.h>

#include "base/secret.h"
#include "base/utf8.h"
#include "custody/body.h"
#include "mail.h"
#include "mail/html.h"
#include "mail/html_safe.h"
#include "mail/leaf.h"
#include "mail/message.h"
#include "mail/text.h"
#include "route.h"

#define MESSAGE_SPARE ((size_t)1 << 20)
#define HEADERS_MAX 500
#define TEXT_MAX ((size_t)256 << 10) /* bytes of text that a preview shows */

struct reason_query {
    uint64_t    given;
    struct span reason;
};
static const struct field reason_fields[] = {{"reason", FIELD_TEXT, 0, 0, BODY_REASON_MAX, NULL,
                                              offsetof(struct reason_query, reason),
                                              "Why, where the operator opens somebody's mail: the person can see it."},
                                             FIELDS_END};

/* The bytes as they came; `message` is the caller's to end. */
static int open_body(struct call *c, struct buf *message, struct err *e)
{
    const struct reason_query *in = c->query;
    struct vault              *v;
    const char                *reason = in->reason.n > 0 ? arena_str(c->arena, in->reason) : NULL;

    if (worker_vault(c->worker, &v, e) < 0)
        return -1;
    buf_init(message, (size_t)c->portal->settings->rulesd.max_message + MESSAGE_SPARE);
    if (body_open(c->store, v, &c->actor, &c->delivery.uid, c->delivery.n, reason, message, e) == 0)
        return 0;
    buf_fini(message);
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "The message is not stored any more.") : -1;
}

static int with_body(struct call *c, int (*show)(struct call *c, struct message *m, struct err *e), struct err *e)
{
    struct buf      raw;
    struct message *m;
    int             rc;

    if (open_body(c, &raw, e) < 0)
        return -1;
    m = message_open(buf_span(&raw), c->arena);
    rc = m != NULL ? show(c, m, e) : err_set(e, ERR_LIMIT, "The message is too large to be shown.");
    buf_fini(&raw);
    return rc;
}

/* ---- header ---- */

static int put_headers(struct call *c, struct message *m, struct err *e)
{
    struct buf *b = call_list_begin(c);
    bool        more;
    size_t      n = message_nheaders(m, &more);

    (void)e;
    for (size_t i = 0; i < n && i < HEADERS_MAX; i++) {
        bool clean;

        json_open(b, NULL, '{');
        json_add_text(b, "name", message_header_at(m, i)->name);
        json_add_text(b, "value", message_header_text(m, i, &clean));
        json_close(b, '}');
    }
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int get_headers(struct call *c, struct err *e) { return with_body(c, put_headers, e); }

/* ---- text ---- */

/* HTML as its reader would see it, each link with the host that it leads to. False: not all of it. */
static bool put_seen(struct call *c, struct span html, struct buf *out)
{
    struct buf safe;
    bool       whole;

    buf_init(&safe, HTML_SAFE_MAX);
    whole = html_safe(&html, 1, NULL, NULL, c->arena, &safe);
    buf_put(out, html_seen(buf_span(&safe), c->arena));
    buf_fini(&safe);
    return whole;
}

/* Of a text in several forms the last, as mail programs do; false: not all of it. */
static bool put_texts(struct call *c, const struct message_text *texts, size_t n, struct buf *out)
{
    size_t source = 0;
    bool   whole = true;

    while (source < n && !texts[source].html_source)
        source++;
    for (size_t i = 0; i < n && !texts[i].html_source; i++) {
        struct span html = texts[i].html && source < n ? texts[source++].text : SPAN_NONE;

        if (texts[i].spare)
            continue;
        if (out->n > 0)
            buf_puts(out, "\n\n");
        if (html.p != NULL)
            whole &= put_seen(c, html, out);
        else
            buf_put(out, texts[i].text);
    }
    return whole && !out->failed;
}

static int put_preview(struct call *c, struct message *m, struct err *e)
{
    struct buf                *b = call_reply(c, 200), text;
    const struct message_text *texts;
    size_t                     n, parts;
    bool                       limit, html = false, all;
    enum fact                  whole = message_texts(m, true, &texts, &n);

    (void)e;
    parts = message_parts(m, &limit);
    for (size_t i = 0; i < parts; i++)
        html |= message_part_at(m, i)->kind == LEAF_TEXT_HTML && !message_part_at(m, i)->attachment;
    buf_init(&text, TEXT_MAX);
    all = put_texts(c, texts, n, &text);
    json_open(b, NULL, '{');
    json_add_text(b, "text", text.p != NULL ? buf_span(&text) : SPAN(""));
    json_add_bool(b, "whole", whole == FACT_YES && all && !limit);
    json_add_bool(b, "html", html);
    json_close(b, '}');
    buf_fini(&text);
    return 0;
}

static int get_preview(struct call *c, struct err *e) { return with_body(c, put_preview, e); }

/* ---- HTML ---- */

#define HTML_PARTS_MAX 20
/* For this reply alone: it may stand in a frame of the page. Alone in a window it can do no more than there. */
#define HTML_POLICY "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"

struct pictures {
    struct message *message;
    struct arena   *arena;
};

/* What a cid: names, of any type: html_safe() looks at the bytes. */
static struct span picture_of(void *ctx, struct span content_id)
{
    struct pictures *p = ctx;
    bool             limit, clean, cut = false;
    size_t           n = message_parts(p->message, &limit);

    for (size_t i = 0; i < n && content_id.n > 0; i++) {
        const struct message_part *part = message_part_at(p->message, i);
        struct span                bytes;

        if (!span_eq(part->id, content_id))
            continue;
        bytes = leaf_decode(part->raw, part->encoding, HTML_SAFE_PICTURE_MAX, p->arena, &clean, &cut);
        return cut ? SPAN_NONE : bytes;
    }
    return SPAN_NONE;
}

/* The HTML of a message (there may be none) as UTF-8, in the arena; a text that does not fit is not there. */
static size_t html_parts(struct message *m, struct arena *a, struct span out[HTML_PARTS_MAX])
{
    bool   limit, clean, cut;
    size_t n = message_parts(m, &limit), found = 0;

    for (size_t i = 0; i < n && found < HTML_PARTS_MAX; i++) {
        const struct message_part *p = message_part_at(m, i);
        struct span                bytes;

        if (p->kind != LEAF_TEXT_HTML || p->attachment)
            continue;
        bytes = leaf_decode(p->raw, p->encoding, HTML_SAFE_INPUT_MAX, a, &clean, &cut);
        out[found++] = text_from_charset(bytes, p->charset, a, &clean);
    }
    return found;
}

static int put_preview_html(struct call *c, struct message *m, struct err *e)
{
    struct span     parts[HTML_PARTS_MAX];
    size_t          n = html_parts(m, c->arena, parts);
    struct pictures pictures = {m, c->arena};

    (void)e;
    c->reply->status = 200;
    c->reply->compress = true;
    httpd_set(c->reply, "Content-Type", SPAN("text/html; charset=utf-8"));
    httpd_set(c->reply, "Content-Security-Policy", SPAN(HTML_POLICY));
    httpd_set(c->reply, "X-Frame-Options", SPAN("SAMEORIGIN"));
    html_safe(parts, n, picture_of, &pictures, c->arena, &c->reply->body);
    return 0;
}

static int get_preview_html(struct call *c, struct err *e) { return with_body(c, put_preview_html, e); }

/* ---- files ---- */

#define FILE_NAME_MAX 255          /* bytes of a name or type that a list shows */
#define HASHED_US INT64_C(2000000) /* CPU time; looked at between parts */
#define HASH_TEXT ((size_t)2 * SECRET_HASH)

/* A message within a message is hashed whole, and its files once more: what all of them hold may be many times the message. */
struct hashing {
    struct arena arena; /* of one file */
    size_t       left;  /* bytes, still encoded */
    int64_t      until_us;
};

/* As the download has it. False: too much, for what is left. */
static bool hash_file(struct hashing *h, const struct message_part *p, size_t *size_out, char out[HASH_TEXT + 1])
{
    uint8_t     hash[SECRET_HASH];
    struct span bytes;
    bool        clean, cut;

    if (p->raw.n > h->left || clock_thread_cpu_us() > h->until_us)
        return false;
    h->left -= p->raw.n;
    arena_reset(&h->arena);
    bytes = leaf_decode(p->raw, p->encoding, p->raw.n + 1, &h->arena, &clean, &cut);
    if (bytes.p == NULL && p->raw.n > 0)
        return false;
    *size_out = bytes.n;
    secret_hash(bytes, hash);
    for (size_t i = 0; i < SECRET_HASH; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return true;
}

static void put_file(struct buf *b, struct hashing *h, const struct message_part *p, int64_t n)
{
    char   hash[HASH_TEXT + 1];
    size_t size = p->raw.n;
    bool   hashed = hash_file(h, p, &size, hash);

    json_open(b, NULL, '{');
    json_add_i64(b, "n", n);
    json_add_text(b, "name", span_head(p->filename, utf8_clip(p->filename, FILE_NAME_MAX)));
    json_add_text(b, "type", span_head(p->type, utf8_clip(p->type, FILE_NAME_MAX)));
    json_add_i64(b, "size", (int64_t)size);
    json_add_str(b, "sha256", hashed ? hash : NULL);
    json_close(b, '}');
}

static int put_files(struct call *c, struct message *m, struct err *e)
{
    struct buf    *b = call_list_begin(c);
    struct hashing h = {.left = message_raw(m).n + MESSAGE_SPARE, .until_us = clock_thread_cpu_us() + HASHED_US};
    bool           limit;
    size_t         parts = message_parts(m, &limit);
    int64_t        n = 0;

    (void)e;
    arena_init(&h.arena, h.left + MESSAGE_SPARE);
    for (size_t i = 0; i < parts; i++)
        if (message_part_at(m, i)->attachment)
            put_file(b, &h, message_part_at(m, i), ++n);
    arena_fini(&h.arena);
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int get_files(struct call *c, struct err *e) { return with_body(c, put_files, e); }

static int put_attachment(struct call *c, struct message *m, struct err *e)
{
    bool        limit, clean, cut;
    size_t      n = message_parts(m, &limit), seen = 0;
    uint64_t    wanted;
    struct span bytes;

    if (!span_u64(c->params[2], &wanted) || wanted == 0)
        return err_set(e, ERR_NOT_FOUND, "There is no such attachment.");
    for (size_t i = 0; i < n; i++) {
        const struct message_part *p = message_part_at(m, i);

        if (!p->attachment || ++seen != wanted)
            continue;
        bytes = leaf_decode(p->raw, p->encoding, p->raw.n + 1, c->arena, &clean, &cut);
        if (bytes.p == NULL && p->raw.n > 0)
            return err_set(e, ERR_LIMIT, "The attachment is too large to be taken out of the message.");
        call_reply_bytes(c, "application/octet-stream", bytes,
                         p->filename.n > 0 ? arena_str(c->arena, p->filename) : "attachment");
        return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "There is no such attachment.");
}

static int get_attachment(struct call *c, struct err *e) { return with_body(c, put_attachment, e); }

static int put_raw(struct call *c, struct message *m, struct err *e)
{
    (void)e;
    call_reply_bytes(c, "application/octet-stream", message_raw(m), "message.eml");
    return 0;
}

static int get_raw(struct call *c, struct err *e) { return with_body(c, put_raw, e); }

#define BODY(path, run, summary, reply)                                                                                \
    {                                                                                                                  \
        HTTPD_GET, path, DEED_OPEN_BODY, OBJECT_DELIVERY, 0, run, reason_fields, NULL, sizeof(struct reason_query), 0, \
            summary, reply                                                                                             \
    }
static const struct route rows[] = {
    BODY("/deliveries/{uid}/{n}/headers", get_headers, "The header fields of a held message, decoded.",
         "list:HeaderField"),
    BODY("/deliveries/{uid}/{n}/preview", get_preview,
         "The text of a held message, as its reader would see it, with the host of each link.", "Preview"),
    BODY("/deliveries/{uid}/{n}/preview.html", get_preview_html,
         "The HTML of a held message, made safe to look at: for a sandboxed frame.", "text/html"),
    BODY("/deliveries/{uid}/{n}/attachments", get_files,
         "The attachments of a held message, each with the SHA-256 of its content as the download has it.",
         "list:Attachment"),
    BODY("/deliveries/{uid}/{n}/attachments/{attachment}", get_attachment,
         "An attachment of a held message, counted from 1, as a download.", "application/octet-stream"),
    BODY("/deliveries/{uid}/{n}/raw", get_raw, "A held message as it came, as a download.", "application/octet-stream"),
};

const struct route_family mail_body_family = {
    "Mail", rows, COUNT(rows),
    "\"HeaderField\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"value\":{\"type\":"
    "\"string\"}}},"
    "\"Preview\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"},\"whole\":{\"type\":\"boolean\"},"
    "\"html\":{\"type\":\"boolean\"}}},"
    "\"Attachment\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"name\":{\"type\":[\"string\","
    "\"null\"]},\"type\":{\"type\":\"string\"},\"size\":{\"type\":\"integer\",\"description\":\"decoded\"},\"sha256\":{"
    "\"type\":[\"string\",\"null\"],\"description\":\"null: there is too much in the message to work all of them "
    "out\"}}}"};
