/* digest/slot.c - see slot.h. */
#include "slot.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/secret.h"

#define NAMED 12 /* bytes of the hash of a database's name */

/* The address of slot n, and its length. */
static socklen_t address_of(struct span store_url, unsigned n, struct sockaddr_un *out)
{
    uint8_t hash[SECRET_HASH];
    char    text[2 * NAMED];
    int     len;

    secret_hash(store_url, hash);
    secret_text(span_make(hash, NAMED), text);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    len = snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "postern-digest/%s/%u", text, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

static void name_of(unsigned n, char *out, size_t size)
{
    char host[64] = "localhost";

    gethostname(host, sizeof host - 1);
    snprintf(out, size, "postern-digest %u at %s", n, host);
}

int slot_take(struct span store_url, struct slot *out, struct err *e)
{
    *out = (struct slot){.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (out->fd < 0)
        return err_errno(e, "make a socket");
    for (unsigned n = 1; n <= SLOTS_MAX; n++) {
        struct sockaddr_un at;
        socklen_t          len = address_of(store_url, n, &at);

        if (bind(out->fd, (struct sockaddr *)&at, len) == 0) {
            name_of(n, out->name, sizeof out->name);
            return 0;
        }
        if (errno != EADDRINUSE) {
            err_errno(e, "take a name");
            slot_leave(out);
            return -1;
        }
    }
    slot_leave(out);
    return err_set(e, ERR_LIMIT, "%d of them run on this machine already", SLOTS_MAX);
}

void slot_leave(struct slot *s) { fd_close(&s->fd); }

int slot_each_free(struct span store_url, slot_fn fn, void *ctx, struct err *e)
{
    int rc = 0;

    for (unsigned n = 1; n <= SLOTS_MAX && rc == 0; n++) {
        struct sockaddr_un at;
        socklen_t          len = address_of(store_url, n, &at);
        int                fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char               name[sizeof((struct slot *)0)->name];

        if (fd < 0)
            return err_errno(e, "make a socket");
        name_of(n, name, sizeof name);
        if (bind(fd, (struct sockaddr *)&at, len) == 0)
            rc = fn(ctx, span_of(name), e);
        fd_close(&fd);
    }
    return rc;
}
