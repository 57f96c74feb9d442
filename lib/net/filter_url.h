/* lib/net/filter_url.h - where a filter is, as the settings say it: [rulesd] scanner, [trainer] backend. */
#ifndef POSTERN_NET_FILTER_URL_H
#define POSTERN_NET_FILTER_URL_H

#include "base/err.h"

struct filter_url {
    bool spamd;
    char *
        base; /* "http://HOST:PORT" or "http://HOST:PORT/path", without a slash at the end; over a socket "http://localhost" */
    char *socket; /* path of a Unix socket, or NULL */
};
/* "rspamd+http://HOST:PORT[/PATH]", "rspamd+http+unix:/PATH", "spamd://HOST:PORT", "spamd+unix:/PATH". ERR_INVALID says what is. */
int  filter_url_read(const char *setting, struct filter_url *out, struct err *e);
void filter_url_fini(struct filter_url *u);

#endif
