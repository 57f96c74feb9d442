/* lib/net/spamd_client.c - see spamd_client.h. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/ip.h"
#include "net/spamd_client.h"

#define NAME_MAX_BYTES 128 /* of a symbol */
#define HOST_MAX_BYTES 255
#define ADDRESS_MAX_BYTES 1000
#define SCORE_MAX 1e6

/* ---- asking ---- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' ||
           c == '_';
}

/* A name as a stranger gave it: itself when it can be nothing else in a Received line, else `unknown`. (SpamAssassin takes a sender from
 * behind the first "envelope-from " or "return-path " there.) */
static struct span host_word(struct span s, bool literal)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_word_byte(s.p[i]) && !(literal && (s.p[i] == ':' || s.p[i] == '[' || s.p[i] == ']')))
            return SPAN("unknown");
    if (s.n == 0 || s.n > HOST_MAX_BYTES || span_find_ci(s, SPAN("envelope")) < s.n ||
        span_find_ci(s, SPAN("return-path")) < s.n)
        return SPAN("unknown");
    return s;
}

/* An address without its brackets, or {NULL, 0} for one that could be read as something else in a header field. */
static struct span bare_sender(struct span s)
{
    s = span_trim(s);
    if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
        s = span_make(s.p + 1, s.n - 2);
    if (s.n == 0)
        return SPAN("");
    for (size_t i = 0; i < s.n; i++)
        if ((signed char)s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("()<>,;:\\\"[]", s.p[i]) != NULL)
            return SPAN_NONE;
    return s.n > ADDRESS_MAX_BYTES || span_chr(s, '@') == s.n ? SPAN_NONE : s;
}

static void put_date(struct buf *out, int64_t now_us)
{
    time_t    now = (time_t)(now_us / 1000000);
    struct tm tm;
    char      text[64];

    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    buf_puts(out, text);
}

/* As Postfix writes it, which SpamAssassin reads without guessing, with the sender in it: of all fields that is the one that none
 * below can cast doubt on. */
static void put_received(struct buf *out, const struct scanner_ask *ask, const struct ip *ip, struct span sender,
                         const char *our_host, const char *eol, int64_t now_us)
{
    char address[IP_TEXT];

    ip_format(ip, address);
    buf_printf(out, "Received: from %.*s (%.*s [%s%s])%s\tby %.*s (Postfix) with %s",
               SPAN_ARG(host_word(ask->helo, true)), SPAN_ARG(host_word(ask->hostname, false)),
               ip_is_v4(ip) ? "" : "IPv6:", address, eol, SPAN_ARG(host_word(span_of(our_host), false)),
               ask->user.n > 0 ? "ESMTPA" : "ESMTP");
    buf_printf(out, " id %.*s%s", SPAN_ARG(host_word(ask->queue_id, false)), eol);
    if (sender.p != NULL)
        buf_printf(out, "\t(envelope-from <%.*s>)", SPAN_ARG(sender));
    buf_puts(out, sender.p != NULL ? "; " : "\t; ");
    put_date(out, now_us);
    buf_puts(out, eol);
}

/* What SpamAssassin shall believe of client and sender, in fields that it looks at. */
static bool put_prefix(struct buf *out, const struct scanner_ask *ask, const char *our_host, int64_t now_us)
{
    struct span message = ask->message, sender = ask->from.p != NULL ? bare_sender(ask->from) : SPAN_NONE;
    size_t      lf = span_chr(message, '\n');
    const char *eol = lf > 0 && lf < message.n && message.p[lf - 1] == '\r' ? "\r\n" : "\n";
    struct ip   ip;
    bool        has_ip = ip_parse(ask->ip, true, &ip);

    /* An mbox line has to stay the first, and a first line that goes on would go on with ours. */
    if (message.n == 0 || message.p[0] == ' ' || message.p[0] == '\t' || span_starts(message, SPAN("From ")))
        return false;
    if (sender.p != NULL)
        buf_printf(out, "Return-Path: <%.*s>%sX-Envelope-From: <%.*s>%s", SPAN_ARG(sender), eol, SPAN_ARG(sender), eol);
    if (has_ip)
        put_received(out, ask, &ip, sender, our_host, eol, now_us);
    return sender.p != NULL && has_ip;
}

static void put_user(struct buf *out, struct span user)
{
    if (user.n == 0)
        return;
    buf_put(out, SPAN("User: "));
    for (size_t i = 0; i < user.n; i++)
        if ((unsigned char)user.p[i] >= ' ')
            buf_putc(out, user.p[i]);
    buf_put(out, SPAN("\r\n"));
}

bool spamd_put_question(struct buf *out, const struct scanner_ask *ask, bool names_only, const char *our_host,
                        int64_t now_us)
{
    struct buf prefix;
    bool       told;

    buf_init(&prefix, 8192);
    told = put_prefix(&prefix, ask, our_host, now_us) && !prefix.failed;
    if (prefix.failed)
        buf_clear(&prefix);
    buf_puts(out, names_only ? "SYMBOLS SPAMC/1.5\r\n" : "REPORT SPAMC/1.5\r\n");
    put_user(out, ask->deliver_to);
    buf_printf(out, "Content-length: %zu\r\n\r\n", prefix.n + ask->message.n + spamd_needs_end(ask->message));
    buf_put(out, buf_span(&prefix));
    buf_fini(&prefix);
    return told;
}

/* ---- reading ---- */

static int bad(struct err *e, const char *what) { return err_set(e, ERR_PROTOCOL, "%s", what); }

/* A plain decimal: "-1.5", "15", " 2.7"; no exponent, no word. */
static bool read_number(struct span s, double *out)
{
    char   text[32];
    size_t dots = 0, digits = 0;

    s = span_trim(s);
    if (s.n == 0 || s.n >= sizeof text)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && dots++ == 0)
            continue;
        if (s.p[i] == '-' && i == 0)
            continue;
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        digits++;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, NULL);
    return digits > 0 && *out <= SCORE_MAX && *out >= -SCORE_MAX;
}

/* "True ; 15.0 / 5.0": the numbers tell, the word is for people. */
static bool read_spam(struct span value, struct rspamd_reply *out)
{
    struct span rest = value, word, score;

    return span_next(&rest, ';', &word) && rest.p != NULL && span_next(&rest, '/', &score) && rest.p != NULL &&
           read_number(score, &out->score) && read_number(rest, &out->required_score);
}

static int read_status(struct span line, struct err *e)
{
    struct span rest = line, version, code;
    uint64_t    n;

    if (!span_starts(line, SPAN("SPAMD/")) || !span_next(&rest, ' ', &version) || !span_next(&rest, ' ', &code) ||
        !span_u64(code, &n))
        return bad(e, "this is no answer of spamd's");
    if (n != 0)
        return err_set(e, ERR_PROTOCOL, "it says: %.*s", (int)(line.n < 200 ? line.n : 200), line.p);
    return 0;
}

/* Status and header fields. *rest_out: the body. */
static int read_head(struct span in, struct rspamd_reply *out, struct span *rest_out, struct err *e)
{
    struct span line, name;
    uint64_t    length = UINT64_MAX;
    bool        spam = false, ended = false;

    if (!span_line(&in, &line))
        return bad(e, "it closed without an answer");
    if (read_status(line, e) < 0)
        return -1;
    while (!ended && span_line(&in, &line)) {
        ended = line.n == 0;
        if (!span_next(&line, ':', &name) || line.p == NULL)
            continue;
        if (span_is_ci(name, "Spam") && !spam && !(spam = read_spam(line, out)))
            return bad(e, "its line on the score cannot be read");
        if (span_is_ci(name, "Content-length") && !span_u64(span_trim(line), &length))
            return bad(e, "its length is no number");
    }
    if (!ended || !spam)
        return bad(e, ended ? "the answer has no score" : "the answer ends in its head");
    if (length != UINT64_MAX && length != in.n)
        return err_set(e, ERR_PROTOCOL, "%zu bytes came where %llu were announced", in.n, (unsigned long long)length);
    *rest_out = in;
    return 0;
}

struct symbols {
    struct rspamd_symbol *items;
    size_t                n, cap;
    struct arena         *arena;
};

static bool is_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_word_byte(s.p[i]) || s.p[i] == '.' || s.p[i] == '-')
            return false;
    return s.n > 0 && s.n <= NAME_MAX_BYTES && !(s.p[0] >= '0' && s.p[0] <= '9');
}

static int put_symbol(struct symbols *s, struct span name, double score, struct span description, struct err *e)
{
    if (s->n == RSPAMD_SYMBOLS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d symbols", RSPAMD_SYMBOLS_MAX);
    if (s->n == s->cap) {
        struct rspamd_symbol *more = arena_array(s->arena, s->cap = s->cap > 0 ? 2 * s->cap : 32, sizeof *more);

        if (more == NULL)
            return err_set(e, ERR_LIMIT, "the answer needs more memory than there is for it");
        if (s->n > 0)
            memcpy(more, s->items, s->n * sizeof *more);
        s->items = more;
    }
    s->items[s->n++] = (struct rspamd_symbol){.name = name, .description = description, .score = score};
    return 0;
}

/* "A,B,C", with or without a line end. */
static int read_names(struct span body, struct symbols *s, struct err *e)
{
    struct span rest = span_trim(body), name;

    while (span_next(&rest, ',', &name)) {
        name = span_trim(name);
        if (name.n == 0 || span_is(name, "none"))
            continue;
        if (!is_name(name))
            return bad(e, "its list of symbols holds what is none");
        if (put_symbol(s, name, 0, SPAN_NONE, e) < 0)
            return -1;
    }
    return 0;
}

/* Behind the last line of "---- -----…", which nothing that is quoted in the report can begin a line with. */
static bool find_table(struct span body, struct span *out)
{
    struct span line;
    bool        found = false;

    while (span_line(&body, &line)) {
        if (span_starts(line, SPAN("---- ----------"))) {
            found = true;
            *out = body;
        }
    }
    return found;
}

/* " 2.7 MISSING_DATE           Missing Date: header". False: no row. */
static bool read_row(struct span line, struct rspamd_symbol *out)
{
    size_t      from = 0;
    struct span rest, points;

    while (from < line.n && line.p[from] == ' ')
        from++;
    rest = span_skip(line, from);
    if (from > 3 || !span_next(&rest, ' ', &points) || !read_number(points, &out->score))
        return false;
    if (!span_next(&rest, ' ', &out->name) || !is_name(out->name))
        return false;
    out->description = span_trim(rest);
    return true;
}

/* What follows a row, when its text is long: indented far, or a note in brackets. */
static bool is_continuation(struct span line)
{
    struct span text = span_trim(line);

    if (text.n > 0 && text.p[0] == '[')
        return text.p[text.n - 1] == ']';
    return line.n > 5 && span_starts(line, SPAN("     ")) && text.n > 0;
}

/* The rows up to the first empty line. *whole_out: nothing else stood between them. */
static int read_table(struct span table, struct symbols *s, bool *whole_out, struct err *e)
{
    struct rspamd_symbol row = {{NULL, 0}, {NULL, 0}, 0, NULL, 0};
    struct span          line;

    *whole_out = true;
    while (span_line(&table, &line) && span_trim(line).n > 0) {
        if (read_row(line, &row)) {
            if (put_symbol(s, row.name, row.score, row.description, e) < 0)
                return -1;
        } else if (!is_continuation(line)) {
            *whole_out = false;
        }
    }
    return 0;
}

int spamd_read_answer(struct span in, bool names_only, struct arena *a, struct rspamd_reply *out, bool *table_out,
                      struct err *e)
{
    struct symbols symbols = {.arena = a};
    struct span    copy = arena_dup(a, in), body, table = SPAN_NONE;

    *out = (struct rspamd_reply){.reject = SCORE_MAX, .add_header = SCORE_MAX, .greylist = SCORE_MAX};
    *table_out = false;
    if (copy.p == NULL && in.n > 0)
        return err_set(e, ERR_LIMIT, "the answer needs more memory than there is for it");
    if (read_head(copy, out, &body, e) < 0)
        return -1;
    if (names_only ? read_names(body, &symbols, e) < 0
                   : find_table(body, &table) && read_table(table, &symbols, table_out, e) < 0)
        return -1;
    out->action = out->score >= out->required_score ? RSPAMD_ADD_HEADER : RSPAMD_NO_ACTION;
    out->symbols = symbols.items;
    out->nsymbols = symbols.n;
    return 0;
}
