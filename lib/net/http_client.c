/* lib/net/http_client.c - see http_client.h. */
#include "net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

#include "net/endpoint.h"

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        panic("libcurl does not start");
}

static size_t on_write(char *from, size_t size, size_t n, void *ctx)
{
    struct buf *answer = ctx;

    buf_put(answer, span_make(from, size * n));
    return answer->failed ? 0 : size * n;
}

static void set_all(CURL *c, const struct http_question *q, struct buf *answer)
{
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)q->timeout_ms);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
    if (q->socket != NULL)
        curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, q->socket);
    if (q->form.p != NULL) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->form.n);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form.p);
    }
}

static enum err_code code_of(CURLcode rc, const struct buf *answer)
{
    if (answer->failed)
        return ERR_LIMIT;
    switch (rc) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return ERR_INVALID;
    case CURLE_OPERATION_TIMEDOUT: return ERR_TIMEOUT;
    default: return ERR_LOST;
    }
}

int http_client_ask(const struct http_question *q, int *status_out, struct buf *answer, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CURL                 *c;
    CURLcode              rc;
    long                  status = 0;

    pthread_once(&once, init_curl);
    if ((c = curl_easy_init()) == NULL)
        panic("out of memory");
    set_all(c, q, answer);
    rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);
    *status_out = (int)status;
    return rc == CURLE_OK ? 0
                          : err_set(e, code_of(rc, answer), "%s: %s", q->socket != NULL ? q->socket : q->url,
                                    answer->failed ? "it says too much" : curl_easy_strerror(rc));
}

/* Who listens on 0.0.0.0 or [::] is found there, too; "*" is a word of ours for both. */
int http_client_get_at(const char *listen, const char *path, int64_t timeout_ms, int *status_out, struct buf *answer,
                       struct err *e)
{
    struct http_question q = {.timeout_ms = timeout_ms};
    struct endpoint      at;
    struct span          query;
    char                 url[512];

    if (endpoint_parse(listen, &at, &query, e) < 0)
        return -1;
    snprintf(url, sizeof url, "http://%s%s%s", at.text[0] == '*' ? "127.0.0.1" : "",
             at.is_unix ? "localhost" : at.text + (at.text[0] == '*'), path);
    q.url = url;
    if (at.is_unix)
        q.socket = ((const struct sockaddr_un *)&at.addr)->sun_path;
    return http_client_ask(&q, status_out, answer, e);
}

void http_form_add(struct buf *form, const char *name, struct span value)
{
    static const char hex[] = "0123456789ABCDEF";

    buf_printf(form, "%s%s=", form->n > 0 ? "&" : "", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL) {
            buf_putc(form, (char)c);
        } else {
            buf_putc(form, '%');
            buf_putc(form, hex[c >> 4]);
            buf_putc(form, hex[c & 15]);
        }
    }
}
