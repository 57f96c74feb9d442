/* lib/vault/purge.c - see purge.h. */
#include "vault/purge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

#define SUFFIX_MAX 32

static bool clock_stepped(const struct purge_facts *f)
{
    int64_t by_wall = f->now_us - f->last_us, by_mono = f->now_mono_us - f->last_mono_us;

    if (f->last_us == 0)
        return false;
    if (f->last_mono_us == 0)
        return by_wall < -PURGE_STEP_US || by_wall > PURGE_AWAY_US;
    return by_wall - by_mono > PURGE_STEP_US || by_mono - by_wall > PURGE_STEP_US;
}

enum purge_verdict purge_judge(const struct purge_facts *f)
{
    if (clock_stepped(f))
        return PURGE_CLOCK;
    return f->due > PURGE_FEW && f->due > f->count / 10 ? PURGE_MANY : PURGE_GO;
}

static void path_of(const struct vault *v, const char *name, char out[PATH_MAX + SUFFIX_MAX])
{
    snprintf(out, PATH_MAX + SUFFIX_MAX, "%s/%s", vault_path(v), name);
}

int purge_last(const struct vault *v, int64_t *us_out, struct err *e)
{
    struct err why = ERR_INIT;
    struct buf text;
    char       path[PATH_MAX + SUFFIX_MAX];
    int        rc;

    *us_out = 0;
    path_of(v, "purged", path);
    buf_init(&text, 64);
    rc = fd_read_file(path, text.max, &text, &why);
    if (rc < 0 && why.code == ERR_NOT_FOUND)
        rc = 0;
    else if (rc < 0 && e != NULL)
        *e = why;
    else if (rc == 0 && !clock_parse_utc(span_trim(buf_span(&text)), us_out))
        rc = err_set(e, ERR_CORRUPT, "%s does not hold a time; remove it to go on", path);
    buf_fini(&text);
    return rc;
}

static int write_file(const struct vault *v, const char *path, struct span text, struct err *e)
{
    int rc, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int dir = open(vault_path(v), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && dir >= 0)
        fd_inherit(fd, dir);
    fd_close(&dir);
    if (fd < 0)
        return err_errno(e, "write %s", path);
    rc = fd_write_all(fd, text, e) < 0 || fd_sync(fd, e) < 0 ? err_wrap(e, "%s", path) : 0;
    fd_close(&fd);
    return rc;
}

int purge_mark(const struct vault *v, int64_t us, struct err *e)
{
    char path[PATH_MAX + SUFFIX_MAX], now[PATH_MAX + SUFFIX_MAX], text[32];

    path_of(v, "purged", path);
    path_of(v, "purged.new", now);
    clock_format_utc(us, text);
    strcat(text, "\n");
    if (write_file(v, now, span_of(text), e) < 0)
        return -1;
    return rename(now, path) < 0 ? err_errno(e, "name %s", path) : 0;
}

int purge_allow(const struct vault *v, struct err *e)
{
    char path[PATH_MAX + SUFFIX_MAX];

    path_of(v, "purge-allowed", path);
    return write_file(v, path, SPAN_NONE, e);
}

bool purge_take_leave(const struct vault *v)
{
    char path[PATH_MAX + SUFFIX_MAX];

    path_of(v, "purge-allowed", path);
    return unlink(path) == 0;
}
