/* lib/net/endpoint.h - addresses that we listen on. Addresses of clients: base/ip.h. */
#ifndef POSTERN_NET_ENDPOINT_H
#define POSTERN_NET_ENDPOINT_H

#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#include "base/err.h"
#include "base/ip.h"

struct endpoint {
    struct sockaddr_storage addr;
    socklen_t               addr_len;
    bool                    is_unix;
    char                    text[128]; /* "127.0.0.1:1783", "unix:/run/…": for people */
};
/* "ADDRESS:PORT", "[V6]:PORT", "*:PORT" (v6 and v4), "localhost:PORT" (127.0.0.1), "unix:PATH". The query ("?a=b&c=d")
 * is returned, not read. */
int endpoint_parse(const char *text, struct endpoint *out, struct span *query_out, struct err *e);
/* A listening, non-blocking, close-on-exec socket. A stale Unix socket is replaced (a live one is an error); mode 0666
 * for Unix sockets, since peers are told apart by SO_PEERCRED. A port 0 is filled in into ep->text. reuseport: one a
 * thread. */
int endpoint_listen(struct endpoint *ep, bool reuseport, struct err *e);

#endif
