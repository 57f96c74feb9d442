/* lib/net/smtp_client.c - see smtp_client.h: the connection, then replies, then the dialogue from the top to the final dot. */
#include "net/smtp_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/crlf.h"
#include "base/ip.h"
#include "base/utf8.h"

#define CONNECT_MS 30000
#define REPLY_MS 60000
#define END_MS 300000
#define LETTER_MS 600000 /* one letter from its first command to its last reply: less than the lease of who releases */
#define LAST_WORDS_MS 500

#define REPLY_MAX (64 << 10)
#define REPLY_LINES_MAX 128
#define PIECE (32 << 10)       /* of the message at once */
#define COMMAND_MAX 4096       /* bytes of a command: the longest address, quoted, and its parameters */
#define XFORWARD_LINE 512      /* bytes of an XFORWARD command */
#define XFORWARD_VALUE_MAX 255 /* bytes of one of its values */

const char *const smtp_fate_words[] = {"unsent", "taken", "refused", "unknown", NULL};

/* Owns everything. Times are of the monotonic clock. */
struct smtp_client {
    CURL      *curl;
    char      *url, *host, *path; /* path: of a Unix socket, or NULL */
    char      *user, *password;   /* or NULL */
    char       helo[256];
    char       fault[CURL_ERROR_SIZE];
    bool       lmtp, tls_only, local;
    bool       dirty;  /* a transaction was begun and not ended: RSET before the next */
    bool       broken; /* of no further use */
    unsigned   offers;
    int64_t    connect_ms, reply_ms, end_ms;
    int64_t    letter_end_us; /* no step of the letter lasts longer */
    struct buf in;            /* what has come and was not read yet */
    struct buf out;
};

/* What a server can offer that we use. XFORWARD's attributes are bits too. */
enum {
    OFFERS_8BITMIME = 1 << 0,
    OFFERS_SMTPUTF8 = 1 << 1,
    OFFERS_DSN = 1 << 2,
    FORWARDS_NAME = 1 << 3,
    FORWARDS_ADDR = 1 << 4,
    FORWARDS_PORT = 1 << 5,
    FORWARDS_PROTO = 1 << 6,
    FORWARDS_HELO = 1 << 7,
    FORWARDS_IDENT = 1 << 8,
    FORWARDS_SOURCE = 1 << 9,
};
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

/* ---- the address ---- */

/* The parts of a URL, which curl takes apart. */
static char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
    char *text = NULL, *copy = NULL;

    if (curl_url_get(u, part, &text, flags) == CURLUE_OK) {
        copy = span_strdup(span_of(text));
        curl_free(text);
    }
    return copy;
}

/* This machine: plain text towards it leaves nothing to overhear. */
static bool is_local(const char *host)
{
    static const struct ip v6 = {{[15] = 1}};
    struct ip              ip;

    if (!ip_parse(span_of(host), false, &ip))
        return span_is_ci(span_of(host), "localhost");
    return ip_cmp(&ip, &v6) == 0 || (ip_is_v4(&ip) && ip.b[12] == 127);
}

#define HOW_WRITTEN "a mail server is written smtp://HOST:PORT, smtps://HOST:PORT, lmtp://HOST:PORT or lmtp+unix:/PATH"

/* Never says the address itself: it may have a password. */
static int not_so(struct err *e, const char *why) { return err_set(e, ERR_INVALID, "%s: " HOW_WRITTEN, why); }

static int read_scheme(struct smtp_client *c, const char *scheme, struct err *e)
{
    c->lmtp = strcmp(scheme, "lmtp") == 0;
    c->tls_only = strcmp(scheme, "smtps") == 0;
    if (c->lmtp || c->tls_only || strcmp(scheme, "smtp") == 0)
        return 0;
    return err_set(e, ERR_INVALID, "\"%.20s\" is no way to a mail server: " HOW_WRITTEN, scheme);
}

static int parse_parts(struct smtp_client *c, CURLU *u, struct err *e)
{
    char *scheme = url_part(u, CURLUPART_SCHEME, 0), *port = url_part(u, CURLUPART_PORT, 0);
    int   rc;

    c->host = url_part(u, CURLUPART_HOST, 0);
    c->user = url_part(u, CURLUPART_USER, CURLU_URLDECODE);
    c->password = url_part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
    rc = read_scheme(c, scheme != NULL ? scheme : "", e);
    if (rc == 0 && (c->host == NULL || c->host[0] == '\0'))
        rc = not_so(e, "there is no host in it");
    if (rc == 0) {
        const char *fallback = c->lmtp ? "24" : c->tls_only ? "465" : "25";
        size_t      size = strlen(c->host) + 600;

        c->local = is_local(c->host);
        if ((c->url = malloc(size)) == NULL)
            panic("out of memory");
        /* curl greets an LMTP server in SMTP's words; "http" has it connect, and nothing else. */
        snprintf(c->url, size, "%s://%s:%s/%s", c->lmtp ? "http" : scheme, c->host, port != NULL ? port : fallback,
                 c->lmtp ? "" : c->helo);
    }
    free(scheme);
    free(port);
    return rc;
}

static int parse_url(struct smtp_client *c, const char *url, struct err *e)
{
    struct span text = span_head(span_of(url), span_chr(span_of(url), '?'));
    char       *bare;
    CURLUcode   how;
    CURLU      *u;
    int         rc;

    if (span_starts(text, SPAN("lmtp+unix:/"))) {
        c->path = span_strdup(span_skip(text, 10));
        c->host = span_strdup(text);
        c->url = span_strdup(SPAN("http://localhost/"));
        c->lmtp = c->local = true;
        return 0;
    }
    if (span_find(text, SPAN("://")) == text.n)
        return not_so(e, "there is no \"://\" in it");
    bare = span_strdup(text);
    if ((u = curl_url()) == NULL)
        panic("out of memory");
    how = curl_url_set(u, CURLUPART_URL, bare, CURLU_NON_SUPPORT_SCHEME);
    rc = how == CURLUE_OK                ? parse_parts(c, u, e)
         : how == CURLUE_BAD_PORT_NUMBER ? not_so(e, "the port is a number from 0 to 65535")
                                         : not_so(e, "there is no address of a host in it");
    curl_url_cleanup(u);
    free(bare);
    return rc;
}

/* This machine's name, or what stands for it: it becomes part of a URL. */
static void name_self(struct smtp_client *c, const char *helo)
{
    size_t n;

    if (helo != NULL)
        snprintf(c->helo, sizeof c->helo, "%s", helo);
    else if (gethostname(c->helo, sizeof c->helo - 1) < 0)
        c->helo[0] = '\0';
    n = strspn(c->helo, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:");
    if (n == 0 || c->helo[n] != '\0')
        snprintf(c->helo, sizeof c->helo, "localhost");
}

static struct smtp_client *client_new(const struct smtp_how *how)
{
    struct smtp_client *c = calloc(1, sizeof *c);

    if (c == NULL)
        panic("out of memory");
    name_self(c, how != NULL ? how->helo : NULL);
    c->connect_ms = how != NULL && how->connect_ms > 0 ? how->connect_ms : CONNECT_MS;
    c->reply_ms = how != NULL && how->reply_ms > 0 ? how->reply_ms : REPLY_MS;
    c->end_ms = how != NULL && how->end_ms > 0 ? how->end_ms : END_MS;
    buf_init(&c->in, REPLY_MAX);
    buf_init(&c->out, 2 * PIECE + COMMAND_MAX);
    return c;
}

static void client_free(struct smtp_client *c)
{
    if (c->curl != NULL)
        curl_easy_cleanup(c->curl);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c->url);
    free(c->host);
    free(c->path);
    free(c->user);
    free(c->password);
    free(c);
}

int smtp_client_check(const char *url, struct err *e)
{
    struct smtp_client *c = client_new(NULL);
    int                 rc = parse_url(c, url, e);

    client_free(c);
    return rc;
}

/* ---- bytes out and in ---- */

/* The connection is of no further use. Always -1. */
static int lost(struct smtp_client *c, struct err *e, enum err_code code, const char *why)
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
        return lost(c, e, ERR_TIMEOUT, "no answer in time");
    if (curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return lost(c, e, ERR_LOST, "the connection is gone");
    if (poll(&(struct pollfd){.fd = fd, .events = events}, 1, (int)(left_us / 1000) + 1) < 0 && errno != EINTR)
        return lost(c, e, ERR_IO, strerror(errno));
    return 0;
}

static int send_all(struct smtp_client *c, struct span bytes, struct err *e)
{
    int64_t until_us = deadline_in(c, c->reply_ms);

    while (bytes.n > 0) {
        size_t   sent = 0;
        CURLcode rc = curl_easy_send(c->curl, bytes.p, bytes.n, &sent);

        if (rc == CURLE_AGAIN) {
            if (wait_for(c, POLLOUT, until_us, e) < 0)
                return -1;
        } else if (rc != CURLE_OK) {
            return lost(c, e, ERR_LOST, "the connection was closed while we were sending");
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
        return lost(c, e, ERR_PROTOCOL, "a reply without an end");
    while ((rc = curl_easy_recv(c->curl, room, 1024, &got)) == CURLE_AGAIN)
        if (wait_for(c, POLLIN, until_us, e) < 0)
            return -1;
    if (rc != CURLE_OK || got == 0)
        return lost(c, e, ERR_LOST, "the connection was closed before the reply");
    c->in.n += got;
    return 0;
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

/* One reply, whatever it says. */
static int read_reply(struct smtp_client *c, int64_t ms, struct smtp_reply *r, struct err *e)
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
            return lost(c, e, ERR_PROTOCOL, "what came is no reply of a mail server");
        c->offers |= read_offer(span_skip(line, 4));
        buf_consume(&c->in, lf + 1);
        seen = 0;
    }
    return 0;
}

/* It closed while we were sending: it may have said why. */
static void last_words(struct smtp_client *c, struct err *e)
{
    struct smtp_reply r;

    if (read_reply(c, LAST_WORDS_MS, &r, NULL) == 0)
        err_set(e, ERR_LOST, "%s closed the connection: %d %s", c->host, r.code, r.text);
    c->broken = true;
}

/* Sends what stands in c->out, and reads the reply. */
static int command(struct smtp_client *c, struct smtp_reply *r, struct err *e)
{
    int rc = c->out.failed ? lost(c, e, ERR_LIMIT, "a command that is too long") : send_all(c, buf_span(&c->out), e);

    if (rc < 0) {
        last_words(c, e);
        return -1;
    }
    if (read_reply(c, c->reply_ms, r, e) < 0)
        return -1;
    if (r->code == 421)
        c->broken = true;
    return 0;
}

static void begin(struct smtp_client *c, const char *text)
{
    buf_clear(&c->out);
    buf_puts(&c->out, text);
}

/* ---- greeting ---- */

static int greet(struct smtp_client *c, struct err *e)
{
    struct smtp_reply r;

    /* curl has read an SMTP server's greeting and said EHLO; what it heard it keeps to itself, so we ask again. */
    if (c->lmtp && (read_reply(c, c->reply_ms, &r, e) < 0 || r.code != 220))
        return c->broken ? -1 : err_set(e, ERR_LOST, "%s does not want to talk: %d %s", c->host, r.code, r.text);
    c->offers = 0;
    begin(c, c->lmtp ? "LHLO " : "EHLO ");
    buf_puts(&c->out, c->helo);
    buf_puts(&c->out, "\r\n");
    if (command(c, &r, e) < 0)
        return -1;
    if (r.code == 250)
        return 0;
    c->offers = 0;
    return c->lmtp || r.code < 500 ? err_set(e, ERR_LOST, "%s does not want to talk: %d %s", c->host, r.code, r.text)
                                   : 0; /* curl said HELO to this one: SMTP of the old kind, which offers nothing */
}

static enum err_code curl_fault(CURLcode rc)
{
    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT: return ERR_TIMEOUT;
    case CURLE_LOGIN_DENIED: return ERR_DENIED;
    case CURLE_WEIRD_SERVER_REPLY: return ERR_PROTOCOL;
    default: return ERR_LOST;
    }
}

static int dial(struct smtp_client *c, struct err *e)
{
    CURL    *h = c->curl = curl_easy_init();
    CURLcode rc;

    if (h == NULL)
        panic("out of memory");
    curl_easy_setopt(h, CURLOPT_URL, c->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps,http");
    curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->fault);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)c->connect_ms);
    curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->path);
    if (!c->tls_only) {
        curl_easy_setopt(h, CURLOPT_USE_SSL, c->local ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_TRY);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (c->user != NULL) {
        curl_easy_setopt(h, CURLOPT_USERNAME, c->user);
        curl_easy_setopt(h, CURLOPT_PASSWORD, c->password != NULL ? c->password : "");
    }
    if ((rc = curl_easy_perform(h)) != CURLE_OK)
        return err_set(e, curl_fault(rc), "connect to %s: %s", c->host,
                       c->fault[0] != '\0' ? c->fault : curl_easy_strerror(rc));
    return 0;
}

int smtp_client_open(const char *url, const struct smtp_how *how, struct smtp_client **out, struct err *e)
{
    struct smtp_client *c = client_new(how);

    *out = NULL;
    if (parse_url(c, url, e) < 0 || dial(c, e) < 0 || greet(c, e) < 0) {
        client_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void smtp_client_close(struct smtp_client **c)
{
    size_t sent;

    if (*c == NULL)
        return;
    if (!(*c)->broken)
        (void)curl_easy_send((*c)->curl, "QUIT\r\n", 6, &sent);
    client_free(*c);
    *c = NULL;
}

void smtp_client_peer(const struct smtp_client *c, struct smtp_peer *out)
{
    char      *ip = NULL;
    long       port = 0;
    curl_off_t tls_us = 0;

    curl_easy_getinfo(c->curl, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(c->curl, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(c->curl, CURLINFO_APPCONNECT_TIME_T, &tls_us);
    *out = (struct smtp_peer){.host = c->host,
                              .ip = c->path == NULL && ip != NULL ? ip : "",
                              .port = c->path == NULL ? (unsigned)port : 0,
                              .tls = tls_us > 0};
}

/* ---- the envelope ---- */

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* "john.doe" may stand as it is; "john doe" has to be quoted. */
static bool is_dot_atom(struct span local)
{
    static const char specials[] = "()<>[]:;@\\,\" ";

    for (size_t i = 0; i < local.n; i++)
        if (strchr(specials, local.p[i]) != NULL ||
            (local.p[i] == '.' && (i == 0 || i + 1 == local.n || local.p[i + 1] == '.')))
            return false;
    return local.n > 0;
}

static bool is_quoted(struct span local)
{
    bool escaped = false;

    if (local.n < 2 || local.p[0] != '"' || local.p[local.n - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < local.n; i++) {
        if (!escaped && local.p[i] == '"')
            return false;
        escaped = !escaped && local.p[i] == '\\';
    }
    return !escaped;
}

/* "<address>" behind c->out. False: it is none that can be sent. */
static bool put_path(struct buf *b, struct span address)
{
    size_t      at = span_rchr(address, '@');
    struct span local = span_head(address, at);

    if (address.n > COMMAND_MAX / 4 || !utf8_valid(address))
        return false;
    for (size_t i = 0; i < address.n; i++)
        if ((unsigned char)address.p[i] < 0x20 || address.p[i] == 0x7f ||
            (i > at && (address.p[i] == ' ' || address.p[i] == '<' || address.p[i] == '>')))
            return false;
    buf_putc(b, '<');
    if (is_dot_atom(local) || is_quoted(local) || address.n == 0) {
        buf_put(b, address);
    } else {
        buf_putc(b, '"');
        for (size_t i = 0; i < local.n; i++) {
            if (local.p[i] == '"' || local.p[i] == '\\')
                buf_putc(b, '\\');
            buf_putc(b, local.p[i]);
        }
        buf_putc(b, '"');
        buf_put(b, span_skip(address, at));
    }
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
    buf_init(&b, COMMAND_MAX);
    buf_printf(&b, " %s=%s", name, value.n > 0 ? prefix : "");
    put_xtext(&b, value);
    if (c->out.n > strlen("XFORWARD") && c->out.n + b.n + 2 > XFORWARD_LINE) {
        buf_puts(&c->out, "\r\n");
        rc = command(c, &r, e);
        begin(c, "XFORWARD");
    }
    buf_put(&c->out, buf_span(&b));
    buf_fini(&b);
    return rc;
}

static int forward_origin(struct smtp_client *c, const struct smtp_origin *o, struct err *e)
{
    struct smtp_reply r;
    char              port[12] = "";
    bool              v6 = span_chr(o->addr, ':') < o->addr.n;

    if (o->port != 0)
        snprintf(port, sizeof port, "%u", o->port);
    begin(c, "XFORWARD");
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
    return command(c, &r, e);
}

/* ---- one letter ---- */

static bool said_yes(const struct smtp_reply *r, int class) { return r->code / 100 == class; }

static void refuse(struct smtp_result *result, const struct smtp_reply *r)
{
    *result = (struct smtp_result){SMTP_REFUSED, *r};
}

/* We say no ourselves, in a server's form. */
static void refuse_here(struct smtp_result *result, int code, const char *dsn, const char *why)
{
    *result = (struct smtp_result){SMTP_REFUSED, {.code = code}};
    snprintf(result->reply.dsn, sizeof result->reply.dsn, "%s", dsn);
    snprintf(result->reply.text, sizeof result->reply.text, "%s %s (not sent)", dsn, why);
}

/* What the server was not asked about yet gets this answer. */
static void refuse_rest(struct smtp_result *results, size_t n, const struct smtp_reply *r)
{
    for (size_t i = 0; i < n; i++)
        if (results[i].fate == SMTP_UNSENT)
            refuse(&results[i], r);
}

/* An answer that means neither yes nor no here. */
static int nonsense(struct smtp_client *c, const struct smtp_reply *r, const char *to, struct err *e)
{
    c->broken = true;
    return err_set(e, ERR_PROTOCOL, "%s answers %s with %d %s", c->host, to, r->code, r->text);
}

/* Is any address of the transaction one that only SMTPUTF8 carries? */
static bool needs_utf8(const struct smtp_letter *l)
{
    bool ascii = is_ascii(l->from);

    for (size_t i = 0; i < l->nrcpt && ascii; i++)
        ascii = is_ascii(l->rcpt[i]);
    return !ascii;
}

/* 1: go on, 0: all are refused, -1. */
static int say_mail(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_result mine;
    bool               utf8 = (c->offers & OFFERS_SMTPUTF8) != 0 && needs_utf8(l);

    begin(c, "MAIL FROM:");
    if (!put_path(&c->out, l->from) || (!utf8 && !is_ascii(l->from))) {
        if (is_ascii(l->from) || utf8)
            refuse_here(&mine, 553, "5.1.7", "the sender's address cannot be written in SMTP");
        else
            refuse_here(&mine, 553, "5.6.7", "the sender's address needs SMTPUTF8, which the server does not offer");
        refuse_rest(results, l->nrcpt, &mine.reply);
        return 0;
    }
    if ((c->offers & OFFERS_8BITMIME) != 0 && (!is_ascii(l->message) || !is_ascii(l->head)))
        buf_puts(&c->out, " BODY=8BITMIME");
    buf_puts(&c->out, utf8 ? " SMTPUTF8\r\n" : "\r\n");
    c->dirty = true;
    if (command(c, &mine.reply, e) < 0)
        return -1;
    if (said_yes(&mine.reply, 2))
        return 1;
    if (mine.reply.code < 400)
        return nonsense(c, &mine.reply, "MAIL", e);
    refuse_rest(results, l->nrcpt, &mine.reply);
    return 0;
}

/* 1: the server takes it, 0: it is refused, -1. */
static int say_rcpt(struct smtp_client *c, const struct smtp_letter *l, struct span rcpt, struct smtp_result *result,
                    struct err *e)
{
    struct smtp_reply r;

    if (!is_ascii(rcpt) && (c->offers & OFFERS_SMTPUTF8) == 0) {
        refuse_here(result, 553, "5.6.7", "the address needs SMTPUTF8, which the server does not offer");
        return 0;
    }
    begin(c, "RCPT TO:");
    if (rcpt.n == 0 || !put_path(&c->out, rcpt)) {
        refuse_here(result, 553, "5.1.3", "the address cannot be written in SMTP");
        return 0;
    }
    buf_puts(&c->out, l->notify_never && (c->offers & OFFERS_DSN) != 0 ? " NOTIFY=NEVER\r\n" : "\r\n");
    if (command(c, &r, e) < 0)
        return -1;
    if (said_yes(&r, 2))
        return 1;
    if (r.code < 400)
        return nonsense(c, &r, "RCPT", e);
    refuse(result, &r);
    return 0;
}

/* How many recipients the server takes; -1. */
static int say_rcpts(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    int taken = 0, rc = 0;

    for (size_t i = 0; i < l->nrcpt && rc >= 0 && !c->broken; i++) {
        rc = say_rcpt(c, l, l->rcpt[i], &results[i], e);
        taken += rc > 0;
    }
    return rc < 0 ? -1 : c->broken ? 0 : taken;
}

static int flush(struct smtp_client *c, struct err *e)
{
    int rc = send_all(c, buf_span(&c->out), e);

    buf_clear(&c->out);
    return rc;
}

/* A line may be longer than what we hold: it goes in pieces. */
static int put_line(struct smtp_client *c, struct span line, struct err *e)
{
    if (line.n > 0 && line.p[0] == '.')
        buf_putc(&c->out, '.');
    for (struct span piece; line.n > 0; line = span_skip(line, piece.n)) {
        piece = span_head(line, PIECE);
        buf_put(&c->out, piece);
        if (c->out.n >= PIECE && flush(c, e) < 0)
            return -1;
    }
    buf_puts(&c->out, "\r\n");
    return 0;
}

static int put_lines(struct smtp_client *c, struct span text, struct err *e)
{
    struct span line;

    buf_clear(&c->out);
    while (crlf_line(&text, &line))
        if (put_line(c, line, e) < 0 || (c->out.n >= PIECE && flush(c, e) < 0))
            return -1;
    return flush(c, e);
}

/* 1: the message may come, 0: all are refused, -1. */
static int say_data(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_reply r;

    begin(c, "DATA\r\n");
    if (command(c, &r, e) < 0)
        return -1;
    if (r.code == 354)
        return 1;
    if (r.code < 400)
        return nonsense(c, &r, "DATA", e);
    refuse_rest(results, l->nrcpt, &r);
    return 0;
}

/* The verdict on the message: one for all, or, in LMTP, one for each that RCPT was taken for. */
static int read_verdicts(struct smtp_client *c, struct smtp_result *results, size_t n, struct err *e)
{
    struct smtp_reply r = {.code = 0};

    for (size_t i = 0; i < n; i++) {
        if (results[i].fate != SMTP_UNKNOWN)
            continue;
        if ((c->lmtp || r.code == 0) && read_reply(c, c->end_ms, &r, e) < 0)
            return -1;
        if (r.code / 100 == 3)
            return nonsense(c, &r, "the message", e);
        results[i] = (struct smtp_result){said_yes(&r, 2) ? SMTP_TAKEN : SMTP_REFUSED, r};
    }
    c->dirty = false;
    if (r.code == 421)
        c->broken = true;
    return 0;
}

/* From here on nobody knows, until the replies are there. */
static int end_message(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    if (l->before_end != NULL && l->before_end(l->ctx, e) < 0) {
        c->broken = true;
        return -1;
    }
    for (size_t i = 0; i < l->nrcpt; i++)
        if (results[i].fate == SMTP_UNSENT)
            results[i].fate = SMTP_UNKNOWN;
    if (send_all(c, SPAN(".\r\n"), e) < 0)
        return -1;
    return read_verdicts(c, results, l->nrcpt, e);
}

static int say_letter(struct smtp_client *c, const struct smtp_letter *l, struct smtp_result *results, struct err *e)
{
    struct smtp_reply r;
    int               rc;

    if (c->dirty) {
        begin(c, "RSET\r\n");
        if (command(c, &r, e) < 0)
            return -1;
        c->dirty = false;
    }
    if (l->origin != NULL && forward_origin(c, l->origin, e) < 0)
        return -1;
    if ((rc = say_mail(c, l, results, e)) <= 0 || (rc = say_rcpts(c, l, results, e)) <= 0 ||
        (rc = say_data(c, l, results, e)) <= 0)
        return rc;
    if (put_lines(c, l->head, e) < 0 || put_lines(c, l->message, e) < 0) {
        last_words(c, e);
        return -1;
    }
    return end_message(c, l, results, e);
}

/* The server hung up politely (421) in the middle: those it had not answered are not sent. */
static int all_answered(const struct smtp_client *c, const struct smtp_result *results, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (results[i].fate == SMTP_UNSENT)
            return err_set(e, ERR_LOST, "%s ended the connection before the message", c->host);
    return 0;
}

int smtp_client_send(struct smtp_client *c, const struct smtp_letter *letter, struct smtp_result *results,
                     struct err *e)
{
    int rc;

    for (size_t i = 0; i < letter->nrcpt; i++)
        results[i] = (struct smtp_result){.fate = SMTP_UNSENT};
    if (letter->nrcpt == 0 || letter->nrcpt > SMTP_RCPT_MAX)
        return err_set(e, ERR_LIMIT, "a letter has from 1 to %d recipients, not %zu", SMTP_RCPT_MAX, letter->nrcpt);
    if (c->broken)
        return err_set(e, ERR_LOST, "%s: the connection was given up before", c->host);
    c->letter_end_us = clock_mono_us() + (int64_t)LETTER_MS * 1000;
    rc = say_letter(c, letter, results, e);
    c->letter_end_us = 0;
    return rc < 0 ? -1 : all_answered(c, results, letter->nrcpt, e);
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
