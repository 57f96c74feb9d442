/* lib/net/smtp_envelope.c - addresses and origins as commands carry them. */
#include "net/smtp_inside.h"

#include <stdio.h>

#include "base/local_part.h"
#include "base/utf8.h"

#define XFORWARD_LINE 512      /* bytes of an XFORWARD command */
#define XFORWARD_VALUE_MAX 255 /* bytes of one of its values */

/* ---- addresses ---- */

bool smtp_put_path(struct buf *b, struct span address)
{
    size_t      at = span_rchr(address, '@');
    struct span local = span_head(address, at);

    if (address.n > SMTP_COMMAND_MAX / 4 || !utf8_valid(address))
        return false;
    for (size_t i = 0; i < address.n; i++)
        if ((unsigned char)address.p[i] < 0x20 || address.p[i] == 0x7f ||
            (i > at && (address.p[i] == ' ' || address.p[i] == '<' || address.p[i] == '>')))
            return false;
    buf_putc(b, '<');
    if (address.n > 0)
        local_part_put(b, local);
    buf_put(b, span_skip(address, at));
    buf_putc(b, '>');
    return true;
}

/* ---- XFORWARD ---- */

/* xtext (RFC 3461); what is not known, or too long, is [UNAVAILABLE]. */
static void put_xtext(struct buf *b, struct span value)
{
    if (value.n == 0 || value.n > XFORWARD_VALUE_MAX) {
        buf_puts(b, "[UNAVAILABLE]");
        return;
    }
    for (size_t i = 0; i < value.n; i++) {
        unsigned char ch = (unsigned char)value.p[i];

        if (ch < '!' || ch > '~' || ch == '+' || ch == '=')
            buf_printf(b, "+%02X", ch);
        else
            buf_putc(b, (char)ch);
    }
}

/* One attribute: into the command in c->out, or, where that would get too long, into the next. A server that does not take it
 * from us loses its log a line; that is no reason to keep the mail. */
static int forward(struct smtp_client *c, unsigned bit, const char *name, const char *prefix, struct span value,
                   struct err *e)
{
    struct buf        b;
    struct smtp_reply r;
    int               rc = 0;

    if ((c->offers & bit) == 0)
        return 0;
    buf_init(&b, SMTP_COMMAND_MAX);
    buf_printf(&b, " %s=%s", name, value.n > 0 ? prefix : "");
    put_xtext(&b, value);
    if (c->out.n > strlen("XFORWARD") && c->out.n + b.n + 2 > XFORWARD_LINE) {
        buf_puts(&c->out, "\r\n");
        rc = smtp_command(c, &r, e);
        smtp_begin(c, "XFORWARD");
    }
    buf_put(&c->out, buf_span(&b));
    buf_fini(&b);
    return rc;
}

int smtp_forward_origin(struct smtp_client *c, const struct smtp_origin *o, struct err *e)
{
    struct smtp_reply r;
    char              port[12] = "";
    bool              v6 = span_chr(o->addr, ':') < o->addr.n;

    if (o->port != 0)
        snprintf(port, sizeof port, "%u", o->port);
    smtp_begin(c, "XFORWARD");
    if (forward(c, FORWARDS_NAME, "NAME", "", o->name, e) < 0 ||
        forward(c, FORWARDS_ADDR, "ADDR", v6 ? "IPV6:" : "", o->addr, e) < 0 ||
        forward(c, FORWARDS_PORT, "PORT", "", span_of(port), e) < 0 ||
        forward(c, FORWARDS_PROTO, "PROTO", "", SPAN("ESMTP"), e) < 0 ||
        forward(c, FORWARDS_HELO, "HELO", "", o->helo, e) < 0 ||
        forward(c, FORWARDS_IDENT, "IDENT", "", o->ident, e) < 0 ||
        forward(c, FORWARDS_SOURCE, "SOURCE", "", SPAN("REMOTE"), e) < 0)
        return -1;
    if (c->out.n == strlen("XFORWARD"))
        return 0;
    buf_puts(&c->out, "\r\n");
    return smtp_command(c, &r, e);
}
