/* lib/net/endpoint.c - see endpoint.h. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "net/endpoint.h"

#define BACKLOG 4096

static bool parse_port(struct span s, uint16_t *out)
{
    uint64_t port;

    if (s.n > 5 || !span_u64(s, &port) || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

static int parse_unix(struct span path, struct endpoint *out, struct err *e)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->addr;

    if (path.n == 0)
        return err_at(e, 5, "unix: needs a path");
    if (path.n >= sizeof un->sun_path)
        return err_at(e, 5, "the path of a Unix socket has at most %zu bytes", sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    out->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    out->is_unix = true;
    snprintf(out->text, sizeof out->text, "unix:%s", un->sun_path);
    return 0;
}

static void set_inet(struct endpoint *out, const struct ip *ip, bool v6, uint16_t port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;
    struct sockaddr_in  *in = (struct sockaddr_in *)&out->addr;

    memset(&out->addr, 0, sizeof out->addr);
    if (v6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        memcpy(&in6->sin6_addr, ip->b, 16);
    } else {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, ip->b + 12, 4);
    }
    out->addr_len = v6 ? sizeof *in6 : sizeof *in;
}

/* "127.0.0.1", "localhost", "[::1]": an IPv6 address stands in brackets here, and an IPv4 one does not. */
static bool parse_host(struct span host, struct ip *out, bool *v6_out)
{
    *v6_out = host.n > 0 && host.p[0] == '[';
    if (span_is_ci(host, "localhost"))
        host = SPAN("127.0.0.1");
    return ip_parse(host, false, out) && *v6_out == (span_chr(host, ':') < host.n);
}

static int parse_inet(struct span s, struct endpoint *out, struct err *e)
{
    size_t      colon = span_rchr(s, ':');
    struct span host = span_head(s, colon);
    struct ip   ip = {{0}};
    uint16_t    port;
    bool        v6;

    if (colon == s.n || !parse_port(span_skip(s, colon + 1), &port))
        return err_at(e, colon, "\"%.*s\" needs a port: ADDRESS:PORT, [V6]:PORT, *:PORT or unix:PATH", SPAN_ARG(s));
    if (span_is(host, "*"))
        v6 = true;
    else if (!parse_host(host, &ip, &v6))
        return err_at(e, 0, "\"%.*s\" is not an IP address (IPv6 in brackets), * or localhost", SPAN_ARG(host));
    set_inet(out, &ip, v6, port);
    snprintf(out->text, sizeof out->text, "%.*s", SPAN_ARG(s));
    return 0;
}

int endpoint_parse(const char *text, struct endpoint *out, struct span *query_out, struct err *e)
{
    struct span s = span_of(text);
    size_t      mark = span_chr(s, '?');

    memset(out, 0, sizeof *out);
    if (query_out != NULL)
        *query_out = span_skip(s, mark + 1);
    s = span_head(s, mark);
    if (span_starts(s, SPAN("unix:")))
        return parse_unix(span_skip(s, 5), out, e);
    return parse_inet(s, out, e);
}

/* A socket file that nobody listens on any more is removed; anything else in the way is an error. */
static int clear_stale(const struct endpoint *ep, struct err *e)
{
    const char *path = ((const struct sockaddr_un *)&ep->addr)->sun_path;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(e, "look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_CONFLICT, "%s exists and is not a socket: remove it or choose another path", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(e, "make a socket");
    int rc = connect(fd, (const struct sockaddr *)&ep->addr, ep->addr_len), why = errno;
    fd_close(&fd);
    if (rc == 0 || why != ECONNREFUSED)
        return err_set(e, ERR_CONFLICT, "%s is in use by another process", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_errno(e, "remove the stale socket %s", path);
    return 0;
}

static int listen_unix(struct endpoint *ep, struct err *e)
{
    const char *path = ((const struct sockaddr_un *)&ep->addr)->sun_path;
    int         fd = -1;

    if (clear_stale(ep, e) < 0)
        return -1;
    if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
        return err_errno(e, "make a socket");
    if (bind(fd, (const struct sockaddr *)&ep->addr, ep->addr_len) < 0 || chmod(path, 0666) < 0 ||
        listen(fd, BACKLOG) < 0) {
        err_errno(e, "listen on %s", ep->text);
        fd_close(&fd);
    }
    return fd;
}

/* The port that the system chose, into the address and its text. */
static int fill_port(int fd, struct endpoint *ep, struct err *e)
{
    if (getsockname(fd, (struct sockaddr *)&ep->addr, &ep->addr_len) < 0)
        return err_errno(e, "ask for the port of %s", ep->text);
    char    *colon = strrchr(ep->text, ':');
    uint16_t port = ntohs(ep->addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ep->addr)->sin6_port
                                                         : ((struct sockaddr_in *)&ep->addr)->sin_port);
    snprintf(colon, (size_t)(ep->text + sizeof ep->text - colon), ":%u", (unsigned)port);
    return 0;
}

/* `*` serves both families on one socket; a v6 address alone does not claim the v4 port of the same number. */
static int open_inet(struct endpoint *ep)
{
    bool both = ep->text[0] == '*';
    int  on = 1, only = !both;
    int  fd = socket(ep->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 && both && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        struct ip any = {{0}};

        set_inet(ep, &any, false, ntohs(((struct sockaddr_in6 *)&ep->addr)->sin6_port));
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* inherited by what accept(2) returns */
    if (ep->addr.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    return fd;
}

static int listen_inet(struct endpoint *ep, bool reuseport, struct err *e)
{
    int on = 1, fd = open_inet(ep);

    if (fd < 0)
        return err_errno(e, "make a socket for %s", ep->text);
    if ((reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        bind(fd, (const struct sockaddr *)&ep->addr, ep->addr_len) < 0 || listen(fd, BACKLOG) < 0) {
        err_errno(e, "listen on %s", ep->text);
        fd_close(&fd);
        return -1;
    }
    if (fill_port(fd, ep, e) < 0)
        fd_close(&fd);
    return fd;
}

int endpoint_listen(struct endpoint *ep, bool reuseport, struct err *e)
{
    return ep->is_unix ? listen_unix(ep, e) : listen_inet(ep, reuseport, e);
}
