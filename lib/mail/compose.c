/* lib/mail/compose.c - see compose.h. */
#include "mail/compose.h"

#include <gmime/gmime.h>

#include "base/local_part.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 900 /* RFC 5322 2.1.1: 998 */

/* ---- what goes in ---- */

static int check(const char *field, struct span value, struct err *e)
{
    if (!utf8_valid(value))
        return err_set(e, ERR_INVALID, "%s is not UTF-8", field);
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
            return err_set(e, ERR_INVALID, "%s holds a control character", field);
    return 0;
}

static int check_all(const struct compose *m, struct err *e)
{
    if (check("From", m->from, e) < 0 || check("To", m->to, e) < 0 || check("To", m->to_name, e) < 0 ||
        check("Subject", m->subject, e) < 0 || check("Message-ID", m->message_id, e) < 0)
        return -1;
    for (size_t i = 0; i < m->nfields; i++)
        if (check(m->fields[i].name, m->fields[i].value, e) < 0)
            return -1;
    if (!utf8_valid(m->text) || !utf8_valid(m->html))
        return err_set(e, ERR_INVALID, "the text is not UTF-8");
    return compose_address(m->from).n > 0 ? 0 : err_set(e, ERR_INVALID, "From has no address");
}

struct span compose_address(struct span from)
{
    size_t open = span_rchr(from, '<');

    if (open == from.n)
        return span_trim(span_chr(from, '@') < from.n ? from : SPAN_NONE);
    from = span_skip(from, open + 1);
    return span_trim(span_head(from, span_chr(from, '>')));
}

/* "Name <address>" without the address and the quotes. */
static struct span name_of(struct span from)
{
    size_t      open = span_rchr(from, '<');
    struct span name = span_trim(open < from.n ? span_head(from, open) : SPAN_NONE);

    if (name.n >= 2 && name.p[0] == '"' && name.p[name.n - 1] == '"')
        name = span_make(name.p + 1, name.n - 2);
    return name;
}

static char *terminated(struct span s) { return g_strndup(s.p != NULL ? s.p : "", s.n); }

/* In its normal form, or quoted already. */
static char *as_field(struct span address)
{
    size_t     at = span_rchr(address, '@');
    struct buf b;
    char      *out;

    buf_init(&b, 2 * address.n + 8);
    if (address.n > 0)
        local_part_put(&b, span_head(address, at));
    buf_put(&b, span_skip(address, at));
    out = terminated(buf_span(&b));
    buf_fini(&b);
    return out;
}

/* ---- GMime's side ---- */

static void add_mailbox(GMimeMessage *g, GMimeAddressType type, struct span name, struct span address)
{
    char *n = terminated(name), *a = as_field(address);

    g_mime_message_add_mailbox(g, type, n[0] != '\0' ? n : NULL, a);
    g_free(n);
    g_free(a);
}

static GMimeObject *text_part(const char *subtype, struct span text)
{
    GMimeTextPart    *part = g_mime_text_part_new_with_subtype(subtype);
    GMimeStream      *bytes = g_mime_stream_mem_new_with_buffer(text.p != NULL ? text.p : "", text.n);
    GMimeDataWrapper *content = g_mime_data_wrapper_new_with_stream(bytes, GMIME_CONTENT_ENCODING_DEFAULT);

    g_mime_text_part_set_charset(part, "utf-8");
    g_mime_part_set_content(GMIME_PART(part), content);
    g_mime_part_set_content_encoding(GMIME_PART(part), GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
    g_object_unref(content);
    g_object_unref(bytes);
    return GMIME_OBJECT(part);
}

static void set_body(GMimeMessage *g, const struct compose *m)
{
    GMimeObject *text = text_part("plain", m->text);

    if (m->html.n == 0) {
        g_mime_message_set_mime_part(g, text);
        g_object_unref(text);
        return;
    }
    GMimeMultipart *both = g_mime_multipart_new_with_subtype("alternative");
    GMimeObject    *html = text_part("html", m->html);
    g_mime_multipart_add(both, text);
    g_mime_multipart_add(both, html);
    g_mime_message_set_mime_part(g, GMIME_OBJECT(both));
    g_object_unref(text);
    g_object_unref(html);
    g_object_unref(both);
}

/* GMime would encode a long word, and in a field like List-Unsubscribe nobody decodes it: what is ASCII stands as it is, on one line. */
static void set_field(GMimeMessage *g, const struct compose_field *f)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(GMIME_OBJECT(g));
    char            *value = terminated(f->value);

    g_mime_header_list_set(list, f->name, value, "utf-8");
    if (span_is_ascii(f->value) && f->value.n < LINE_MAX_BYTES) {
        char *raw = g_strdup_printf(" %s\n", value);

        g_mime_header_set_raw_value(g_mime_header_list_get_header(list, f->name), raw);
        g_free(raw);
    }
    g_free(value);
}

static void set_head(GMimeMessage *g, const struct compose *m)
{
    char      *subject = terminated(m->subject), *id = terminated(m->message_id);
    GDateTime *at = g_date_time_new_from_unix_utc(m->at_us / 1000000);

    add_mailbox(g, GMIME_ADDRESS_TYPE_FROM, name_of(m->from), compose_address(m->from));
    add_mailbox(g, GMIME_ADDRESS_TYPE_TO, m->to_name, m->to);
    g_mime_message_set_subject(g, subject, "utf-8");
    g_mime_message_set_date(g, at);
    g_mime_message_set_message_id(g, id);
    for (size_t i = 0; i < m->nfields; i++)
        set_field(g, &m->fields[i]);
    g_date_time_unref(at);
    g_free(subject);
    g_free(id);
}

int compose_message(const struct compose *m, struct buf *out, struct err *e)
{
    GMimeMessage       *g;
    GMimeFormatOptions *format;
    char               *text;

    if (check_all(m, e) < 0)
        return -1;
    g = g_mime_message_new(TRUE);
    format = g_mime_format_options_new();
    g_mime_format_options_set_newline_format(format, GMIME_NEWLINE_FORMAT_DOS);
    set_head(g, m);
    set_body(g, m);
    text = g_mime_object_to_string(GMIME_OBJECT(g), format);
    buf_puts(out, text);
    g_free(text);
    g_mime_format_options_free(format);
    g_object_unref(g);
    return out->failed ? err_set(e, ERR_LIMIT, "the message is too large") : 0;
}
