/* lib/net/smtp_dialogue.c - commands out, replies in. */
#include "net/smtp_inside.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/utf8.h"

#define LAST_WORDS_MS 500
#define REPLY_LINES_MAX 128

/* ---- bytes out and in ---- */

int smtp_lost(struct smtp_client *c, struct err *e, enum err_code code, const char *why)
{
    c->broken = true;
    return err_set(e, code, "%s: %s", c->host, why);
}

static int64_t deadline_in(const struct smtp_client *c, int64_t ms)
{
    int64_t at = clock_mono_us() + ms * 1000;

    return c->letter_end_us != 0 && c->letter_end_us < at ? c->letter_end_us : at;
}

static int wait_for(struct smtp_client *c, short events, int64_t until_us, struct err *e)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    int64_t       left_us = until_us - clock_mono_us();

    if (left_us <= 0)
        return smtp_lost(c, e, ERR_TIMEOUT, "no answer in time");
    if (curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return smtp_lost(c, e, ERR_LOST, "the connection is gone");
    if (poll(&(struct pollfd){.fd = fd, .events = events}, 1, (int)(left_us / 1000) + 1) < 0 && errno != EINTR)
        return smtp_lost(c, e, ERR_IO, strerror(errno));
    return 0;
}

int smtp_send_all(struct smtp_client *c, struct span bytes, struct err *e)
{
    int64_t until_us = deadline_in(c, c->reply_ms);

    while (bytes.n > 0) {
        size_t   sent = 0;
        CURLcode rc = curl_easy_send(c->curl, bytes.p, bytes.n, &sent);

        if (rc == CURLE_AGAIN) {
            if (wait_for(c, POLLOUT, until_us, e) < 0)
                return -1;
        } else if (rc != CURLE_OK) {
            return smtp_lost(c, e, ERR_LOST, "the connection was closed while we were sending");
        } else {
            bytes = span_skip(bytes, sent);
        }
    }
    return 0;
}

/* Appends what has come to c->in. */
static int receive(struct smtp_client *c, int64_t until_us, struct err *e)
{
    size_t   got = 0;
    char    *room = buf_reserve(&c->in, 1024);
    CURLcode rc;

    if (room == NULL)
        return smtp_lost(c, e, ERR_PROTOCOL, "a reply without an end");
    while ((rc = curl_easy_recv(c->curl, room, 1024, &got)) == CURLE_AGAIN)
        if (wait_for(c, POLLIN, until_us, e) < 0)
            return -1;
    if (rc != CURLE_OK || got == 0)
        return smtp_lost(c, e, ERR_LOST, "the connection was closed before the reply");
    c->in.n += got;
    return 0;
}

/* ---- what a server offers ---- */

struct word {
    const char *name;
    unsigned    bit;
};
static const struct word offer_words[] = {
    {"8BITMIME", OFFERS_8BITMIME},
    {"SMTPUTF8", OFFERS_SMTPUTF8},
    {"DSN", OFFERS_DSN},
};
static const struct word forward_words[] = {
    {"NAME", FORWARDS_NAME}, {"ADDR", FORWARDS_ADDR},   {"PORT", FORWARDS_PORT},     {"PROTO", FORWARDS_PROTO},
    {"HELO", FORWARDS_HELO}, {"IDENT", FORWARDS_IDENT}, {"SOURCE", FORWARDS_SOURCE},
};

static unsigned word_bit(const struct word *words, size_t n, struct span s)
{
    for (size_t i = 0; i < n; i++)
        if (span_is_ci(s, words[i].name))
            return words[i].bit;
    return 0;
}

/* A line of the reply to EHLO. */
static unsigned read_offer(struct span line)
{
    struct span word;
    unsigned    bits = 0;

    if (!span_next(&line, ' ', &word))
        return 0;
    if (!span_is_ci(word, "XFORWARD"))
        return word_bit(offer_words, COUNT(offer_words), word);
    while (span_next(&line, ' ', &word))
        bits |= word_bit(forward_words, COUNT(forward_words), word);
    return bits;
}

/* ---- replies ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "5.7.1" in front of the text: RFC 3463. */
static void read_dsn(struct span text, struct smtp_reply *r)
{
    struct span word = span_head(text, span_chr(text, ' ')), rest = word, part;
    uint64_t    number;
    size_t      parts = 0;

    while (span_next(&rest, '.', &part)) {
        if (part.n > 3 || !span_u64(part, &number))
            return;
        parts++;
    }
    if (parts == 3 && word.n < sizeof r->dsn && word.p[0] == (char)('0' + r->code / 100))
        memcpy(r->dsn, word.p, word.n);
}

/* Behind what the text has, as one line of UTF-8. */
static void add_text(struct smtp_reply *r, struct span line)
{
    size_t at = strlen(r->text), n;
    bool   utf8 = utf8_valid(line);

    if (at > 0 && at < SMTP_TEXT_MAX && line.n > 0)
        r->text[at++] = ' ';
    n = utf8 ? utf8_clip(line, SMTP_TEXT_MAX - at) : line.n < SMTP_TEXT_MAX - at ? line.n : SMTP_TEXT_MAX - at;
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)line.p[i];

        r->text[at + i] = b < 0x20 || b == 0x7f || (b >= 0x80 && !utf8) ? '?' : line.p[i];
    }
    r->text[at + n] = '\0';
}

/* 1: another line follows, 0: it was the last, -1: no reply of SMTP's. */
static int read_reply_line(struct smtp_reply *r, struct span line)
{
    int code;

    if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]) ||
        (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
        return -1;
    code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0';
    if (r->code != 0 && r->code != code)
        return -1;
    if (r->code == 0) {
        r->code = code;
        read_dsn(span_skip(line, 4), r);
    }
    add_text(r, span_trim(span_skip(line, 4)));
    return line.n > 3 && line.p[3] == '-';
}

int smtp_read_reply(struct smtp_client *c, int64_t ms, struct smtp_reply *r, struct err *e)
{
    int64_t until_us = deadline_in(c, ms);
    size_t  seen = 0; /* bytes of c->in in which there is no LF */
    int     more = 1;

    *r = (struct smtp_reply){.code = 0};
    for (size_t lines = 0; more > 0;) {
        size_t lf = seen + span_chr(span_skip(buf_span(&c->in), seen), '\n');

        if (lf == c->in.n) {
            seen = lf;
            if (receive(c, until_us, e) < 0)
                return -1;
            continue;
        }
        struct span line = span_trim(span_head(buf_span(&c->in), lf));
        if (++lines > REPLY_LINES_MAX || (more = read_reply_line(r, line)) < 0)
            return smtp_lost(c, e, ERR_PROTOCOL, "what came is no reply of a mail server");
        c->offers |= read_offer(span_skip(line, 4));
        buf_consume(&c->in, lf + 1);
        seen = 0;
    }
    return 0;
}

void smtp_last_words(struct smtp_client *c, struct err *e)
{
    struct smtp_reply r;

    if (smtp_read_reply(c, LAST_WORDS_MS, &r, NULL) == 0)
        err_set(e, ERR_LOST, "%s closed the connection: %d %s", c->host, r.code, r.text);
    c->broken = true;
}

int smtp_command(struct smtp_client *c, struct smtp_reply *r, struct err *e)
{
    int rc = c->out.failed ? smtp_lost(c, e, ERR_LIMIT, "a command that is too long")
                           : smtp_send_all(c, buf_span(&c->out), e);

    if (rc < 0) {
        smtp_last_words(c, e);
        return -1;
    }
    if (smtp_read_reply(c, c->reply_ms, r, e) < 0)
        return -1;
    if (r->code == 421)
        c->broken = true;
    return 0;
}

void smtp_begin(struct smtp_client *c, const char *text)
{
    buf_clear(&c->out);
    buf_puts(&c->out, text);
}

/* ---- queue ids ---- */

static struct span id_at(struct span text)
{
    size_t n = 0;

    while (n < text.n && (is_digit(text.p[n]) || (text.p[n] >= 'a' && text.p[n] <= 'z') ||
                          (text.p[n] >= 'A' && text.p[n] <= 'Z') || text.p[n] == '-'))
        n++;
    return span_head(text, n <= 64 ? n : 0);
}

struct span smtp_queue_id(struct span text)
{
    static const struct span before[] = {{"queued as ", 10}, {"OK id=", 6}};
    size_t                   at;

    for (size_t i = 0; i < COUNT(before); i++)
        if ((at = span_find_ci(text, before[i])) < text.n)
            return id_at(span_skip(text, at + before[i].n));
    if ((at = span_find_ci(text, SPAN(" Message accepted"))) == text.n)
        return SPAN_NONE;
    text = span_head(text, at);
    at = span_rchr(text, ' ');
    return id_at(at < text.n ? span_skip(text, at + 1) : text);
}
