#include "shm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define NAME_LENGTH_MAX 255

bool shm_permitted(bool listener_on, enum caller_class class, const struct peer *peer)
{
    static const struct ip loopback6 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    bool local = peer->is_unix || (ip_is_v4(&peer->ip) && peer->ip.b[12] == 127) || ip_cmp(&peer->ip, &loopback6) == 0;

    return listener_on && class == CLASS_MTA && local;
}

/* One slash at the start and none behind it: an object of shm_open(3), never a path. */
static int read_name(struct span text, char name[NAME_LENGTH_MAX + 1], struct err *e)
{
    if (text.n < 2 || text.n > NAME_LENGTH_MAX || text.p[0] != '/' || span_chr(span_skip(text, 1), '/') < text.n - 1 ||
        memchr(text.p, 0, text.n) != NULL || span_is(text, "/..") || span_is(text, "/."))
        return err_set(e, ERR_INVALID, "Shm names no shared memory");
    memcpy(name, text.p, text.n);
    name[text.n] = 0;
    return 0;
}

/* Without an offset from the start, without a length to the end. */
static int read_range(const struct rspamd_envelope *v, uint64_t size, uint64_t *from, uint64_t *n, struct err *e)
{
    *from = 0;
    if (v->shm_offset.n > 0 && !span_u64(v->shm_offset, from))
        return err_set(e, ERR_INVALID, "Shm-Offset is no number");
    *n = *from <= size ? size - *from : 0;
    if (v->shm_length.n > 0 && !span_u64(v->shm_length, n))
        return err_set(e, ERR_INVALID, "Shm-Length is no number");
    if (*from > size || *n > size - *from)
        return err_set(e, ERR_INVALID, "the shared memory holds %llu bytes, fewer than Shm-Offset and Shm-Length say",
                       (unsigned long long)size);
    return 0;
}

static int read_open(int fd, const struct rspamd_envelope *v, size_t max, struct buf *out, struct err *e)
{
    struct stat st;
    uint64_t    from = 0, n = 0;
    char       *room;

    if (fstat(fd, &st) < 0)
        return err_errno(e, "look at the shared memory");
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "Shm names no shared memory");
    if (read_range(v, (uint64_t)st.st_size, &from, &n, e) < 0)
        return -1;
    if (n > max || (room = buf_reserve(out, (size_t)n)) == NULL)
        return err_set(e, ERR_LIMIT, "the message has %llu bytes, at most %zu are taken", (unsigned long long)n, max);
    for (size_t at = 0;
         at < n;) { /* read(2), not a mapping: who shrinks the object meanwhile gets no SIGBUS out of us */
        ssize_t got = pread(fd, room + at, (size_t)n - at, (off_t)(from + at));

        if (got <= 0)
            return err_set(e, ERR_INVALID, "the shared memory became shorter while it was read");
        at += (size_t)got;
    }
    out->n += (size_t)n;
    return 0;
}

int shm_read(const struct rspamd_envelope *v, size_t max, struct buf *out, struct err *e)
{
    char name[NAME_LENGTH_MAX + 1];
    int  fd, rc;

    if (read_name(v->shm, name, e) < 0)
        return -1;
    if ((fd = shm_open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0)) < 0)
        return err_errno(e, "open the shared memory");
    rc = read_open(fd, v, max, out, e);
    fd_close(&fd);
    return rc;
}
