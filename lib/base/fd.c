/* lib/base/fd.c - see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FD_CHUNK ((size_t)64 << 10)

void fd_close(int *fd)
{
    int keep = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = keep;
}

static int wait_writable(int fd, struct err *e)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    if (poll(&p, 1, -1) < 0 && errno != EINTR)
        return err_errno(e, "wait to write");
    return 0;
}

int fd_write_all(int fd, struct span bytes, struct err *e)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n >= 0)
            bytes = span_skip(bytes, (size_t)n);
        else if (errno == EAGAIN && wait_writable(fd, e) < 0)
            return -1;
        else if (errno != EAGAIN && errno != EINTR)
            return err_errno(e, "write %zu bytes", bytes.n);
    }
    return 0;
}

int fd_sync(int fd, struct err *e) { return fsync(fd) < 0 ? err_errno(e, "sync to disk") : 0; }

/* One step: 1 for more to come, 0 at the end of the file. */
static int read_some(int fd, const char *name, size_t max, size_t start, struct buf *b, struct err *e)
{
    size_t  left = max - (b->n - start), want = left < FD_CHUNK ? left + 1 : FD_CHUNK;
    char    chunk[FD_CHUNK];
    ssize_t n = read(fd, chunk, want < FD_CHUNK ? want : FD_CHUNK);

    if (n < 0)
        return errno == EINTR ? 1 : err_errno(e, "read %s", name);
    if ((size_t)n > left)
        return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name, max);
    buf_put(b, span_make(chunk, (size_t)n));
    if (b->failed)
        return err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name, b->max);
    return n > 0;
}

int fd_read_file(const char *path, size_t max, struct buf *b, struct err *e)
{
    bool        is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "standard input" : path;
    int         more, fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    size_t      start = b->n;

    if (fd < 0)
        return err_errno(e, "open %s", path);
    do
        more = read_some(fd, name, max, start, b, e);
    while (more > 0);
    if (!is_stdin)
        fd_close(&fd);
    return more;
}

void fd_inherit(int fd, int dir)
{
    struct stat above;

    if (geteuid() == 0 && fstat(dir, &above) == 0 && above.st_uid != 0 && fchown(fd, above.st_uid, above.st_gid) < 0)
        return; /* a root of few capabilities: it stays root's */
}

static void inherit_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int above = fd >= 0 ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (above >= 0)
        fd_inherit(fd, above);
    fd_close(&above);
    fd_close(&fd);
}

/* One directory of the way; there already is as good as made. */
static int make_one(const char *path, unsigned mode, struct err *e)
{
    struct stat st;

    if (mkdir(path, (mode_t)mode) == 0) {
        if (geteuid() == 0)
            inherit_directory(path);
        return 0;
    }
    if (errno != EEXIST)
        return err_errno(e, "make directory %s", path);
    if (stat(path, &st) < 0)
        return err_errno(e, "make directory %s", path);
    return S_ISDIR(st.st_mode) ? 0 : err_set(e, ERR_CONFLICT, "%s is in the way: not a directory", path);
}

int fd_mkdirs(const char *path, unsigned mode, struct err *e)
{
    char   upto[PATH_MAX];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof upto)
        return err_set(e, ERR_INVALID, "a directory's name has 1 to %d bytes, not %zu", PATH_MAX - 1, n);
    memcpy(upto, path, n + 1);
    for (char *slash = strchr(upto + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (make_one(upto, mode, e) < 0)
            return -1;
        *slash = '/';
    }
    return make_one(upto, mode, e);
}

static int sync_directory(const char *path, struct err *e)
{
    int rc = 0, fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) /* not ours to read, so neither to change */
        return errno == EACCES ? 0 : err_errno(e, "open %s", path);
    if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS) /* some file systems have nothing to sync */
        rc = err_errno(e, "sync %s to disk", path);
    fd_close(&fd);
    return rc;
}

int fd_sync_way(const char *path, struct err *e)
{
    char  upto[PATH_MAX];
    char *slash;

    if (strlen(path) >= sizeof upto)
        return err_set(e, ERR_INVALID, "the name of a directory is longer than %d bytes", PATH_MAX - 1);
    strcpy(upto, path);
    while ((slash = strrchr(upto, '/')) != NULL && slash > upto) {
        *slash = '\0';
        if (sync_directory(upto, e) < 0)
            return -1;
    }
    return sync_directory(path[0] == '/' ? "/" : ".", e);
}

/* Where locks and shared memory cannot be trusted, by statfs(2)'s magic number … */
static const struct {
    uint32_t    magic;
    const char *name;
} network_magics[] = {
    {0x00006969, "nfs"},  {0xFF534D42, "cifs"},   {0xFE534D42, "smb"},  {0x0000517B, "smbfs"}, {0x01021997, "9p"},
    {0x00C36400, "ceph"}, {0x0BD00BD0, "lustre"}, {0x47504653, "gpfs"}, {0x5346414F, "afs"},   {0x6B414653, "afs"},
    {0x73757245, "coda"}, {0x7461636F, "ocfs2"},  {0x01161970, "gfs2"}, {0x0000564C, "ncpfs"},
};

/* … and those that FUSE hides behind one number, by their name in mountinfo. */
#define FUSE_MAGIC 0x65735546
static const char *const network_fuses[] = {
    "fuse.sshfs",     "fuse.glusterfs", "fuse.s3fs",     "fuse.rclone",    "fuse.ceph",
    "fuse.ceph-fuse", "fuse.davfs",     "davfs",         "fuse.curlftpfs", "fuse.goofys",
    "fuse.gcsfuse",   "fuse.juicefs",   "fuse.mount-s3", "fuse.seaweedfs", "fuse.moosefs",
    "fuse.lizardfs",  "fuse.smbnetfs",  "fuse.blobfuse", "fuse.blobfuse2", "virtiofs",
};

/* "36 35 98:0 /root /at opts shared:1 - TYPE source opts": the line of this device names its type. */
static bool mountinfo_type(struct span line, dev_t dev, struct span *type_out)
{
    unsigned major_no, minor_no;
    size_t   dash = span_find(line, SPAN(" - "));
    char     head[64];

    snprintf(head, sizeof head, "%.*s", SPAN_ARG(span_head(line, sizeof head - 1)));
    if (sscanf(head, "%*d %*d %u:%u", &major_no, &minor_no) != 2 || makedev(major_no, minor_no) != dev)
        return false;
    line = span_skip(line, dash + 3);
    *type_out = span_head(line, span_chr(line, ' '));
    return true;
}

static const char *network_fuse(dev_t dev)
{
    struct buf  b;
    struct span rest, line, type;
    const char *found = NULL;

    buf_init(&b, (size_t)1 << 20);
    fd_read_file("/proc/self/mountinfo", b.max, &b, NULL);
    rest = buf_span(&b);
    while (found == NULL && span_line(&rest, &line)) {
        if (!mountinfo_type(line, dev, &type))
            continue;
        for (size_t i = 0; i < COUNT(network_fuses) && found == NULL; i++)
            found = span_is(type, network_fuses[i]) ? network_fuses[i] : NULL;
    }
    buf_fini(&b);
    return found;
}

/* The nearest parent of path that exists, path itself included. */
static bool nearest_existing(const char *path, char out[PATH_MAX], struct stat *st)
{
    size_t n = strlen(path);

    if (n >= PATH_MAX)
        return false;
    memcpy(out, path, n + 1);
    while (stat(out, st) < 0) {
        char *slash = strrchr(out, '/');

        if (errno != ENOENT && errno != ENOTDIR)
            return false;
        if (slash == NULL)
            memcpy(out, ".", 2);
        else
            slash[slash == out] = '\0';
    }
    return true;
}

bool fd_on_network(const char *path, const char **name_out)
{
    char          near[PATH_MAX];
    struct stat   st;
    struct statfs fs;
    const char   *name = NULL;

    if (!nearest_existing(path, near, &st) || statfs(near, &fs) < 0)
        return false;
    if ((uint32_t)fs.f_type == FUSE_MAGIC)
        name = network_fuse(st.st_dev);
    for (size_t i = 0; i < COUNT(network_magics) && name == NULL; i++)
        name = network_magics[i].magic == (uint32_t)fs.f_type ? network_magics[i].name : NULL;
    if (name != NULL && name_out != NULL)
        *name_out = name;
    return name != NULL;
}

int fd_replace_file(const char *path, struct span bytes, struct err *e)
{
    char        temp[4096];
    struct stat was;
    int         fd, rc;

    if (stat(path, &was) < 0)
        return err_errno(e, "look at %s", path);
    if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
        return err_set(e, ERR_INVALID, "%s is too long a path", path);
    if ((fd = mkostemp(temp, O_CLOEXEC)) < 0)
        return err_errno(e, "make a file beside %s", path);
    rc = fchmod(fd, was.st_mode & 07777) < 0 ||
                 (fchown(fd, was.st_uid, was.st_gid) < 0 && (was.st_uid != geteuid() || was.st_gid != getegid()))
             ? err_errno(e, "give %s its owner and mode", temp)
             : 0;
    if (rc == 0)
        rc = fd_write_all(fd, bytes, e) < 0 || fd_sync(fd, e) < 0 ? -1 : 0;
    if (rc == 0 && rename(temp, path) < 0)
        rc = err_errno(e, "put %s in its place", path);
    fd_close(&fd);
    if (rc < 0)
        unlink(temp);
    return rc < 0 ? -1 : fd_sync_way(path, e);
}
