/* lib/net/filter_url.c - see filter_url.h. */
#include "net/filter_url.h"

#include <stdlib.h>

#include "base/buf.h"

#define SOCKET_PATH_MAX 107

static const struct scheme {
    struct span start;
    bool        spamd, is_unix;
} schemes[] = {
    {{"rspamd+http+unix:", 17}, false, true},
    {{"rspamd+http://", 14}, false, false},
    {{"spamd+unix:", 11}, true, true},
    {{"spamd://", 8}, true, false},
};

static char *with_http(struct span target)
{
    struct buf text;
    char      *out;

    while (target.n > 0 && target.p[target.n - 1] == '/')
        target.n--;
    buf_init(&text, 4096);
    buf_puts(&text, "http://");
    buf_put(&text, target);
    out = span_strdup(buf_span(&text));
    buf_fini(&text);
    return out;
}

/* "HOST:PORT", and for Rspamd a path behind it. */
static int read_target(const struct scheme *scheme, const char *setting, struct span target, struct filter_url *out,
                       struct err *e)
{
    size_t      slash = span_chr(target, '/');
    struct span host = span_head(target, slash);
    size_t      colon = span_rchr(host, ':');
    uint64_t    port;

    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || (unsigned char)target.p[i] > '~' ||
            strchr("@?#\\", target.p[i]) != NULL)
            return err_set(e, ERR_INVALID, "\"%s\": %c cannot stand in an address", setting, target.p[i]);
    if (colon == 0 || colon == host.n || !span_u64(span_skip(host, colon + 1), &port) || port == 0 || port > 65535)
        return err_set(e, ERR_INVALID, "\"%s\" needs a host and a port: %.*sHOST:PORT", setting,
                       SPAN_ARG(scheme->start));
    if (scheme->spamd && slash < target.n)
        return err_set(e, ERR_INVALID, "\"%s\": spamd has no paths: spamd://HOST:PORT", setting);
    out->base = with_http(target);
    return 0;
}

int filter_url_read(const char *setting, struct filter_url *out, struct err *e)
{
    struct span text = span_of(setting);

    *out = (struct filter_url){0};
    for (const struct scheme *s = schemes; s < schemes + COUNT(schemes); s++) {
        struct span target = span_skip(text, s->start.n);

        if (!span_starts(text, s->start))
            continue;
        out->spamd = s->spamd;
        if (!s->is_unix)
            return read_target(s, setting, target, out, e);
        if (target.n == 0 || target.p[0] != '/' || target.n > SOCKET_PATH_MAX)
            return err_set(e, ERR_INVALID, "\"%s\" needs the whole path of a socket, of at most %d bytes", setting,
                           SOCKET_PATH_MAX);
        out->socket = span_strdup(target);
        out->base = span_strdup(SPAN("http://localhost"));
        return 0;
    }
    return err_set(e, ERR_INVALID,
                   "\"%s\" is no filter: rspamd+http://HOST:PORT, rspamd+http+unix:/PATH, spamd://HOST:PORT or "
                   "spamd+unix:/PATH",
                   setting);
}

void filter_url_fini(struct filter_url *u)
{
    free(u->base);
    free(u->socket);
    *u = (struct filter_url){0};
}
