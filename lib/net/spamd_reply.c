/* lib/net/spamd_reply.c - see spamd.h: the replies of the spamd port, byte for byte as protocols.md 1.4 … 1.6 has them.
 */
#include "base/utf8.h"
#include "net/spamd.h"

#define REPORT_MAX 7168
#define ECHO_MAX 100

/* ---- the message with other fields on top ---- */

/* A writer that may only count: a Content-length goes out before what it counts. */
struct sink {
    struct buf *out; /* NULL: count alone */
    size_t      n;
};

static void emit(struct sink *to, struct span s)
{
    to->n += s.n;
    if (to->out != NULL)
        buf_put(to->out, s);
}

/* The field at the start of s: its line and those folded behind it, line ends included. */
static size_t field_length(struct span s)
{
    size_t n = 0;

    do
        n += span_chr(span_skip(s, n), '\n') + 1;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'));
    return n < s.n ? n : s.n;
}

static bool ends_name(char c) { return c == ':' || c == ' ' || c == '\t'; }

/* What a sender may not say: X-Spam…; and how a released message is known again (store/bypass.h), which is for one scan alone. */
static bool is_dropped(struct span field)
{
    static const struct span x_spam = {"X-Spam", 6}, bypass = {"X-Release-Bypass", 16};
    bool                     spam = span_starts_ci(field, x_spam);

    if ((!spam && !span_starts_ci(field, bypass)) || span_chr(field, ':') == field.n)
        return false;
    char next = span_skip(field, spam ? x_spam.n : bypass.n).p[0];
    return ends_name(next) || (spam && next == '-');
}

static bool is_blank_line(struct span s)
{
    return s.n > 0 && (s.p[0] == '\n' || (s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n'));
}

/* What stays above our fields: an mbox From line, and a Return-Path. */
static size_t top_length(struct span message)
{
    size_t n = 0;

    if (span_starts(message, SPAN("From ")))
        n = span_chr(message, '\n') + 1;
    if (n < message.n && span_starts_ci(span_skip(message, n), SPAN("Return-Path:")))
        n += field_length(span_skip(message, n));
    return n <= message.n && n > 0 && message.p[n - 1] == '\n' ? n : 0;
}

static void rewrite(struct sink *to, struct span message, struct span fields, bool head_only)
{
    size_t at = top_length(message), kept = at;

    emit(to, span_head(message, at));
    emit(to, fields);
    while (at < message.n && !is_blank_line(span_skip(message, at))) {
        size_t n = field_length(span_skip(message, at));

        if (is_dropped(span_head(span_skip(message, at), n))) {
            emit(to, span_between(message.p + kept, message.p + at));
            kept = at + n;
        }
        at += n;
    }
    size_t end = message.n;
    if (head_only && at < message.n)
        end = at + (message.p[at] == '\r' ? 2 : 1);
    emit(to, span_between(message.p + kept, message.p + end));
}

void spamd_put_rewritten(struct buf *out, struct span message, struct span fields, bool head_only)
{
    struct sink to = {out, 0};

    rewrite(&to, message, fields, head_only);
}

/* ---- replies ---- */

/* Score and threshold as printed. Exim compares the numbers, others read the word: they must agree after rounding. */
struct printed {
    int64_t score, threshold;
};

static struct printed print_scores(const struct spamd_result *result, int decimals)
{
    struct printed p = {wire_scale(result->score, decimals), wire_scale(result->threshold, decimals)};

    if (result->spam && p.score < p.threshold)
        p.score = p.threshold;
    if (!result->spam && p.score >= p.threshold)
        p.score = p.threshold - 1;
    return p;
}

static void put_spam_line(struct buf *out, const struct spamd_result *result)
{
    struct printed p = print_scores(result, 1);

    buf_puts(out, result->spam ? "Spam: True ; " : "Spam: False ; ");
    wire_put_fixed(out, p.score, 1);
    buf_put(out, SPAN(" / "));
    wire_put_fixed(out, p.threshold, 1);
    buf_put(out, SPAN("\r\n"));
}

static void put_length(struct buf *out, size_t n)
{
    buf_put(out, SPAN("Content-length: "));
    buf_put_u64(out, n);
    buf_put(out, SPAN("\r\n"));
}

/* One printable word or line: control bytes become '_', so that nothing ends a line early. */
static void put_clean(struct buf *out, struct span s)
{
    while (s.n > 0) {
        size_t n = 0;

        while (n < s.n && (unsigned char)s.p[n] >= 0x20 && s.p[n] != 0x7f)
            n++;
        buf_put(out, span_head(s, n));
        if (n < s.n)
            buf_putc(out, '_');
        s = span_skip(s, n + 1);
    }
}

/* The report with the wanted line ends, cut between lines. `lead` stands before each line. */
static void put_report(struct buf *out, struct span report, const char *lead, const char *nl)
{
    struct span line;
    size_t      start = out->n;

    while (span_line(&report, &line)) {
        if (out->n - start + strlen(lead) + line.n + 2 > REPORT_MAX)
            return;
        buf_puts(out, lead);
        put_clean(out, line);
        buf_puts(out, nl);
    }
}

static const char *line_end(struct span message)
{
    size_t lf = span_chr(message, '\n');

    return lf < message.n && lf > 0 && message.p[lf - 1] == '\r' ? "\r\n" : "\n";
}

/* "tests=A,B,C", folded behind commas. */
static void put_tests(struct buf *out, struct span symbols, const char *nl)
{
    struct span name;
    size_t      column = 50; /* of what stands before, near enough */
    bool        first = true;

    buf_put(out, SPAN("tests="));
    if (symbols.n == 0)
        buf_put(out, SPAN("none"));
    while (symbols.n > 0 && span_next(&symbols, ',', &name)) {
        if (!first)
            buf_putc(out, ',');
        if (!first && column + name.n > 74) {
            buf_puts(out, nl);
            buf_putc(out, '\t');
            column = 8;
        }
        put_clean(out, name);
        column += name.n + 1;
        first = false;
    }
}

/* Readers of the reply take " autolearn=" as the end of the tests, and the presence of X-Spam-Flag, whatever its value,
 * as spam: hence one autolearn right behind the tests, and no flag for ham (protocols.md 3.2, 4.1). */
static void put_fields(struct buf *out, const struct spamd_result *result, const char *nl)
{
    struct printed p = print_scores(result, 1);
    struct span    number = span_skip(result->version, span_rchr(result->version, ' ') + 1);

    buf_put(out, SPAN("X-Spam-Checker-Version: "));
    put_clean(out, result->version);
    buf_put(out, SPAN(" on "));
    put_clean(out, result->host);
    buf_puts(out, nl);
    if (result->spam) {
        buf_put(out, SPAN("X-Spam-Flag: YES"));
        buf_puts(out, nl);
    }
    buf_put(out, SPAN("X-Spam-Level: "));
    for (int64_t i = 0; i < p.score / 10 && i < 50; i++)
        buf_putc(out, '*');
    buf_puts(out, nl);
    buf_puts(out, result->spam ? "X-Spam-Status: Yes, score=" : "X-Spam-Status: No, score=");
    wire_put_fixed(out, p.score, 1);
    buf_put(out, SPAN(" required="));
    wire_put_fixed(out, p.threshold, 1);
    buf_putc(out, ' ');
    put_tests(out, result->symbols, nl);
    buf_put(out, SPAN(" autolearn=no version="));
    put_clean(out, number.n > 0 ? number : result->version);
    buf_puts(out, nl);
    if (result->spam && result->report.n > 0) {
        buf_put(out, SPAN("X-Spam-Report:"));
        buf_puts(out, nl);
        put_report(out, result->report, "\t* ", nl);
    }
}

static void put_message(struct buf *out, const struct spamd_request *r, const struct spamd_result *result)
{
    bool        head_only = r->verb == SPAMD_HEADERS;
    struct buf  fields;
    struct sink count = {NULL, 0};

    buf_init(&fields, 256 * 1024);
    put_fields(&fields, result, line_end(r->body));
    if (r->version <= 101) {
        buf_put(out, SPAN("SPAMD/1.0 0 EX_OK\r\n"));
    } else {
        rewrite(&count, r->body, buf_span(&fields), head_only);
        buf_put(out, SPAN("SPAMD/1.1 0 EX_OK\r\n"));
        put_length(out, count.n);
        if (r->version >= 103)
            put_spam_line(out, result);
        buf_put(out, SPAN("\r\n"));
    }
    spamd_put_rewritten(out, r->body, buf_span(&fields), head_only);
    buf_fini(&fields);
}

/* CHECK, SYMBOLS, REPORT and REPORT_IFSPAM: the verdict, and a text. Below 1.3 no length: Exim takes it for damage. */
static void put_text(struct buf *out, const struct spamd_request *r, const struct spamd_result *result)
{
    struct buf text;

    buf_init(&text, 256 * 1024);
    if (r->verb == SPAMD_SYMBOLS) {
        put_clean(&text, result->symbols);
        if (r->version < 103)
            buf_put(&text, SPAN("\r\n"));
    } else if (r->verb == SPAMD_REPORT || (r->verb == SPAMD_REPORT_IFSPAM && result->spam)) {
        put_report(&text, result->report, "", r->version < 103 ? "\r\n" : "\n");
    }
    buf_put(out, SPAN("SPAMD/1.1 0 EX_OK\r\n"));
    if (r->version >= 103 && r->verb != SPAMD_CHECK)
        put_length(out, text.n);
    put_spam_line(out, result);
    buf_put(out, SPAN("\r\n"));
    buf_put(out, buf_span(&text));
    buf_fini(&text);
}

static void put_rspamc_symbols(struct buf *out, const struct spamd_result *result)
{
    struct span rest = result->symbols, name;

    for (size_t i = 0; rest.n > 0 && span_next(&rest, ',', &name); i++) {
        buf_put(out, SPAN("Symbol: "));
        put_clean(out, name);
        buf_putc(out, '(');
        wire_put_fixed(out, result->symbol_scores != NULL ? wire_scale(result->symbol_scores[i], 2) : 100, 2);
        buf_put(out, SPAN(")\r\n"));
    }
}

static void put_rspamc_line(struct buf *out, struct span name, struct span value)
{
    if (value.n == 0)
        return;
    buf_put(out, name);
    put_clean(out, value);
    buf_put(out, SPAN("\r\n"));
}

static void put_rspamc(struct buf *out, const struct spamd_result *result)
{
    struct printed p = print_scores(result, 2);

    buf_puts(out, result->spam ? "RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; "
                               : "RSPAMD/1.3 0 EX_OK\r\nMetric: default; False; ");
    wire_put_fixed(out, p.score, 2);
    buf_put(out, SPAN(" / "));
    wire_put_fixed(out, p.threshold, 2);
    buf_put(out, SPAN(" / "));
    wire_put_fixed(out, wire_scale(result->reject_threshold, 2), 2);
    buf_put(out, SPAN("\r\n"));
    put_rspamc_line(out, SPAN("Action: "), result->action);
    put_rspamc_symbols(out, result);
    put_rspamc_line(out, SPAN("Message: "), result->smtp_message);
    put_rspamc_line(out, SPAN("Message-ID: "), result->message_id);
}

void spamd_put_result(struct buf *out, const struct spamd_request *r, const struct spamd_result *result)
{
    if (r->rspamc)
        put_rspamc(out, result);
    else if (r->verb == SPAMD_PROCESS || r->verb == SPAMD_HEADERS)
        put_message(out, r, result);
    else
        put_text(out, r, result);
}

void spamd_put_pong(struct buf *out) { buf_put(out, SPAN("SPAMD/1.5 0 PONG\r\n")); }

static void put_places(struct buf *out, const char *name, unsigned which)
{
    static const char *const words[] = {"", "local", "remote", "local,remote"};

    if ((which & (SPAMD_LOCAL | SPAMD_REMOTE)) == 0)
        return;
    buf_puts(out, name);
    buf_puts(out, words[which & (SPAMD_LOCAL | SPAMD_REMOTE)]);
    buf_put(out, SPAN("\r\n"));
}

void spamd_put_tell(struct buf *out, unsigned did_set, unsigned did_remove)
{
    buf_put(out, SPAN("SPAMD/1.1 0 EX_OK\r\n"));
    put_places(out, "DidSet: ", did_set);
    put_places(out, "DidRemove: ", did_remove);
    buf_put(out, SPAN("\r\n\r\n"));
}

static const struct {
    int         code;
    const char *name, *lead;
} codes[] = {
    {SPAMD_EX_UNAVAILABLE, "EX_UNAVAILABLE", "Service Unavailable: "},
    {SPAMD_EX_TEMPFAIL, "EX_TEMPFAIL", "Temporary failure: "},
    {SPAMD_EX_PROTOCOL, "EX_PROTOCOL", "Bad header line: "},
    {SPAMD_EX_NOPERM, "EX_NOPERM", "Permission denied: "},
    {SPAMD_EX_TIMEOUT, "EX_TIMEOUT", "Timeout: "},
};

static size_t row_of(int code)
{
    for (size_t i = 0; i < COUNT(codes); i++)
        if (codes[i].code == code)
            return i;
    return 0;
}

/* The whole line; `echo` is what the peer wrote, repeated escaped and cut. */
static void put_error(struct buf *out, const struct spamd_request *r, int code, const char *text, struct span echo)
{
    size_t row = row_of(code);

    buf_puts(out, r->rspamc ? "RSPAMD/1.3 " : "SPAMD/1.0 ");
    buf_put_u64(out, (uint64_t)codes[row].code);
    buf_putc(out, ' ');
    if (r->rspamc) {
        buf_puts(out, codes[row].name);
    } else {
        buf_puts(out, codes[row].lead);
        utf8_put_escaped(out, span_head(span_of(text), 400), 0);
        if (echo.p != NULL) {
            buf_put(out, SPAN(" ("));
            utf8_put_escaped(out, span_head(echo, ECHO_MAX), 0);
            buf_putc(out, ')');
        }
    }
    buf_put(out, SPAN("\r\n"));
}

void spamd_put_error(struct buf *out, const struct spamd_request *r, int code, const char *text)
{
    put_error(out, r, code, text, SPAN_NONE);
}

void spamd_put_bad(struct buf *out, const struct spamd_request *r)
{
    if (r->code != 0)
        put_error(out, r, r->code, r->error.text, r->line_refused ? r->command_line : SPAN_NONE);
}
