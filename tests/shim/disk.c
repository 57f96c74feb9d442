/* tests/shim/disk.c - for LD_PRELOAD: writes down, in order, what a program does to files below one folder, and what it says to
 * sockets. tests/system/lib/disk.mjs reads it: to see whether a reply came before what it promised was on disk, and to take away, after
 * a kill, what a power cut would have taken.
 *
 *   DISK_ROOT  the folder, by its absolute name without links
 *   DISK_LOG   where to write; a line an event, paths below the folder:
 *       create P · write P · sync P · rename A B · link A B · unlink P · mkdir P · rmdir P · reply UID
 *   DISK_SYNC_MS  how long every fsync() below it takes longer, as on a disk that is slow
 * An event is written down when it is done: what was under way at a kill has not happened. */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define LINE_MAX_BYTES (2 * PATH_MAX + 32)

static const char *root_path;
static int         log_fd = -1;
static long        sync_ms;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("DISK_LOG");

    root_path = getenv("DISK_ROOT");
    if (getenv("DISK_SYNC_MS") != NULL)
        sync_ms = strtol(getenv("DISK_SYNC_MS"), NULL, 10);
    if (path != NULL && root_path != NULL)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* One write(2) a line, which the kernel appends in order. */
static void note(const char *op, const char *one, const char *two)
{
    char line[LINE_MAX_BYTES];
    int  n = snprintf(line, sizeof line, "%s %s%s%s\n", op, one, two != NULL ? " " : "", two != NULL ? two : "");

    if (log_fd >= 0)
        syscall(SYS_write, log_fd, line, (size_t)n);
}

/* The part below the folder ("." for itself), or NULL. */
static const char *below(const char *path)
{
    size_t n = root_path != NULL ? strlen(root_path) : 0;

    if (n == 0 || strncmp(path, root_path, n) != 0)
        return NULL;
    return path[n] == '/' ? path + n + 1 : path[n] == '\0' ? "." : NULL;
}

static const char *of_fd(int fd, char out[PATH_MAX])
{
    char    link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, out, PATH_MAX - 1);
    if (n < 0)
        return NULL;
    out[n] = '\0';
    return below(out);
}

static const char *at(int dir, const char *name, char out[PATH_MAX])
{
    char        folder[PATH_MAX];
    const char *inside;

    if (name[0] == '/')
        return below(name);
    if (dir == AT_FDCWD || (inside = of_fd(dir, folder)) == NULL)
        return NULL;
    if (strcmp(inside, ".") == 0)
        snprintf(out, PATH_MAX, "%.4000s", name);
    else
        snprintf(out, PATH_MAX, "%.2000s/%.2000s", inside, name);
    return out;
}

static void note_at(const char *op, int dir, const char *name)
{
    char        path[PATH_MAX];
    const char *p = log_fd >= 0 ? at(dir, name, path) : NULL;

    if (p != NULL)
        note(op, p, NULL);
}

static void note_two(const char *op, int from, const char *old, int to, const char *new)
{
    char        paths[2][PATH_MAX];
    const char *a = log_fd >= 0 ? at(from, old, paths[0]) : NULL, *b = log_fd >= 0 ? at(to, new, paths[1]) : NULL;

    if (a != NULL && b != NULL)
        note(op, a, b);
}

static void note_fd(const char *op, int fd)
{
    char        path[PATH_MAX];
    const char *p = log_fd >= 0 ? of_fd(fd, path) : NULL;

    if (p != NULL)
        note(op, p, NULL);
}

#define NEXT(name, type) ((type)dlsym(RTLD_NEXT, name))

EXPORT int openat(int dir, const char *name, int flags, ...)
{
    bool    makes = (flags & O_CREAT) != 0;
    mode_t  mode = 0;
    va_list ap;
    int     fd;

    if (makes) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
        makes = faccessat(dir, name, F_OK, 0) < 0;
    }
    fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    if (fd >= 0 && makes)
        note_at("create", dir, name);
    return fd;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t n)
{
    ssize_t rc = syscall(SYS_write, fd, bytes, n);

    if (rc > 0)
        note_fd("write", fd);
    return rc;
}

EXPORT int fsync(int fd)
{
    char path[PATH_MAX];
    int  rc = NEXT("fsync", int (*)(int))(fd);

    if (sync_ms > 0 && of_fd(fd, path) != NULL)
        nanosleep(&(struct timespec){sync_ms / 1000, sync_ms % 1000 * 1000000}, NULL);
    if (rc == 0)
        note_fd("sync", fd);
    return rc;
}

EXPORT int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    int rc = NEXT("renameat2", int (*)(int, const char *, int, const char *, unsigned))(from, old, to, new, flags);

    if (rc == 0)
        note_two("rename", from, old, to, new);
    return rc;
}

EXPORT int rename(const char *old, const char *new)
{
    int rc = NEXT("rename", int (*)(const char *, const char *))(old, new);

    if (rc == 0)
        note_two("rename", AT_FDCWD, old, AT_FDCWD, new);
    return rc;
}

EXPORT int linkat(int from, const char *old, int to, const char *new, int flags)
{
    int rc = NEXT("linkat", int (*)(int, const char *, int, const char *, int))(from, old, to, new, flags);

    if (rc == 0)
        note_two("link", from, old, to, new);
    return rc;
}

EXPORT int unlinkat(int dir, const char *name, int flags)
{
    int rc = NEXT("unlinkat", int (*)(int, const char *, int))(dir, name, flags);

    if (rc == 0)
        note_at((flags & AT_REMOVEDIR) != 0 ? "rmdir" : "unlink", dir, name);
    return rc;
}

EXPORT int mkdirat(int dir, const char *name, mode_t mode)
{
    int rc = NEXT("mkdirat", int (*)(int, const char *, mode_t))(dir, name, mode);

    if (rc == 0)
        note_at("mkdir", dir, name);
    return rc;
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    int rc = NEXT("mkdir", int (*)(const char *, mode_t))(name, mode);

    if (rc == 0)
        note_at("mkdir", AT_FDCWD, name);
    return rc;
}

/* Said before it is sent: who hears it cannot be ahead of the line. */
EXPORT ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    static const char key[] = "\"uid\":\"";
    const char       *uid = n > 0 ? memmem(bytes, n, key, sizeof key - 1) : NULL;
    char              text[37] = "-";

    if (uid != NULL && (size_t)((const char *)bytes + n - uid) >= sizeof key - 1 + 36)
        memcpy(text, uid + sizeof key - 1, 36);
    if (n > 0)
        note("reply", text, NULL);
    return NEXT("send", ssize_t(*)(int, const void *, size_t, int))(fd, bytes, n, flags);
}
