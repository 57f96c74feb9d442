/* lib/net/endpoint.h - addresses of sockets and of clients. */
#ifndef POSTERN_NET_ENDPOINT_H
#define POSTERN_NET_ENDPOINT_H

#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#include "base/arena.h"
#include "base/err.h"

/* An IP address; v4 is kept as v4-mapped v6, so one compare serves both. */
struct ip {
    uint8_t b[16];
};
/* "192.0.2.7", "2001:db8::1", "[2001:db8::1]", with ":port" only when `port_ok` (design.md 7); "IPv6:…" prefix too. */
bool ip_parse(struct span text, bool port_ok, struct ip *out);
bool ip_is_v4(const struct ip *ip);
void ip_format(const struct ip *ip, char out[46]);
static inline int ip_cmp(const struct ip *a, const struct ip *b) { return memcmp(a->b, b->b, 16); }

/* A set of addresses and CIDR blocks; immutable once made. */
struct ip_block {
    struct ip first, last;
};
/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "192.0.2.10-192.0.2.99". Host bits set in a CIDR block are refused. */
int  ip_block_parse(struct span text, struct ip_block *out, struct err *e);
bool ip_block_holds(const struct ip_block *b, const struct ip *ip);

struct endpoint {
    struct sockaddr_storage addr;
    socklen_t               addr_len;
    bool                    is_unix;
    char                    text[128]; /* "127.0.0.1:1783", "unix:/run/…": for people */
};
/* "ADDRESS:PORT", "[V6]:PORT", "*:PORT" (v6 and v4), "localhost:PORT" (127.0.0.1), "unix:PATH". The query ("?a=b&c=d") is
 * returned, not read. */
int endpoint_parse(const char *text, struct endpoint *out, struct span *query_out, struct err *e);
/* A listening, non-blocking, close-on-exec socket. A stale Unix socket is replaced (a live one is an error); mode 0666 for
 * Unix sockets, since peers are told apart by SO_PEERCRED. A port 0 is filled in into ep->text. reuseport: one a thread. */
int endpoint_listen(struct endpoint *ep, bool reuseport, struct err *e);

#endif
