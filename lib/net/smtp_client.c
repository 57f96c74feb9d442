/* lib/net/smtp_client.c - see smtp_client.h: whom we talk to. */
#include "net/smtp_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/ip.h"

#define CONNECT_MS 30000
#define REPLY_MS 60000
#define END_MS 300000
#define REPLY_MAX (64 << 10)

const char *const smtp_fate_words[] = {"unsent", "taken", "refused", "unknown", NULL};

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
    buf_init(&c->out, 2 * SMTP_PIECE + SMTP_COMMAND_MAX);
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

/* ---- greeting ---- */

static int greet(struct smtp_client *c, struct err *e)
{
    struct smtp_reply r;

    /* curl has read an SMTP server's greeting and said EHLO; what it heard it keeps to itself, so we ask again. */
    if (c->lmtp && (smtp_read_reply(c, c->reply_ms, &r, e) < 0 || r.code != 220))
        return c->broken ? -1 : err_set(e, ERR_LOST, "%s does not want to talk: %d %s", c->host, r.code, r.text);
    c->offers = 0;
    smtp_begin(c, c->lmtp ? "LHLO " : "EHLO ");
    buf_puts(&c->out, c->helo);
    buf_puts(&c->out, "\r\n");
    if (smtp_command(c, &r, e) < 0)
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
